"""The budget of differential privacy: what noisy tables cost, and the ledger of what each period has spent.

A noisy table tells a little of everybody in it, and what tables tell adds up. The ledger is one file for all periods,
in the confidential zone, which outlives ``close``: it is only ever added to, and what it says was spent stays spent.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from .. import folders
from ..params import Budget, Noise, Period, WorkbookError


class BudgetError(WorkbookError):
    """A noisy table that the budget does not allow, or a ledger that cannot be trusted; nothing was drawn."""


@dataclass(frozen=True)
class Cost:
    """What a noisy table may tell of one visitor.

    ``rho``: zero-concentrated differential privacy (Bun & Steinke 2016); ``pure``: epsilon of Laplace noise, which is
    epsilon²/2 of rho, None for Gaussian noise; ``delta``: how likely a key of one visitor slips out of an open list.
    """

    rho: float
    pure: float | None = None
    delta: float = 0.0

    @classmethod
    def of(cls, noise: Noise) -> Cost:
        """The cost of a table under ``noise``; half of a delta that is needed twice goes to the keys."""
        keys = noise.delta if noise.keys == "threshold" else 0.0
        if noise.mechanism == "laplace":
            assert noise.epsilon is not None
            return cls(noise.epsilon**2 / 2, noise.epsilon, keys)
        if noise.rho is not None:
            return cls(noise.rho, None, keys)
        assert noise.epsilon is not None
        return cls(largest_rho(noise.epsilon, noise.delta - keys / 2), None, keys / 2)


def epsilon(rho: float, delta: float) -> float:
    """The epsilon that ``rho`` of zero-concentrated privacy is at ``delta``, by OpenDP's own conversion."""
    if not rho:
        return 0.0
    if delta <= 0:
        return float("inf")
    return _unit().map((2 * rho) ** 0.5).epsilon(delta)


def opendp() -> Any:
    """OpenDP, imported where it is needed: it takes a third of a second."""
    from opendp import prelude

    dp: Any = prelude
    dp.enable_features("contrib")
    return dp


@cache
def _unit() -> Any:
    dp = opendp()
    gaussian = dp.m.make_gaussian(dp.atom_domain(T="i64"), dp.absolute_distance(T="f64"), scale=1.0)
    return dp.c.make_zCDP_to_approxDP(gaussian)


@cache
def largest_rho(wanted: float, delta: float) -> float:
    """The largest rho that is at most ``wanted`` epsilon at ``delta``, found by halving."""
    low, high = 0.0, wanted + 1  # a rho above epsilon + 1 is above epsilon at any delta in use
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon(middle, delta) <= wanted else (low, middle)
    return low


def together(costs: Iterable[Cost], delta: float) -> float:
    """The epsilon at ``delta`` of all ``costs`` together: everything by its rho, or Laplace noise added up by itself,
    whichever is less (both are true)."""
    each = list(costs)
    left = delta - sum(c.delta for c in each)
    if each and left < -1e-9 * delta:
        return float("inf")
    gaussian = [c for c in each if c.pure is None]
    pure = sum(c.pure for c in each if c.pure is not None)
    return min(epsilon(sum(c.rho for c in each), left), pure + epsilon(sum(c.rho for c in gaussian), left))


def fits(costs: Iterable[Cost], budget: Budget) -> bool:
    """Whether all ``costs`` together are within ``budget``."""
    each = list(costs)
    slack = 1 + 1e-9  # a table that asks for the whole budget must not fail on the last bit
    if budget.rho is not None:
        return sum(c.rho for c in each) <= budget.rho * slack and sum(c.delta for c in each) <= budget.delta * slack
    assert budget.epsilon is not None
    return together(each, budget.delta) <= budget.epsilon * slack


@dataclass(frozen=True)
class Ledger:
    """What was spent, and the noisy tables that were drawn for it, in ``folder`` (0700, files 0600).

    ``ledger.jsonl`` has a line for each spending and one when its table is stored; a table is shown to nobody before
    the second. So a crash between the two can neither show a table that was not paid for, nor two for one spending.
    """

    folder: Path
    budget: Budget

    def drawn(
        self, period: str, data: str, table: str, request: dict[str, Any], cost: Cost, draw: Callable[[], pl.DataFrame]
    ) -> pl.DataFrame:
        """The noisy table of ``request`` over ``data`` (a fingerprint): the stored one, or paid for and drawn now.

        Raises BudgetError when the budget of the period, or of one that overlaps it, does not allow it.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = hashlib.sha256(json.dumps([period, data, request], sort_keys=True).encode()).hexdigest()[:32]
        path = self.folder / period / f"{key}.parquet"
        with folders.locked(self.folder / ".lock"):
            mine = [line for line in self._lines() if line["key"] == key]
            stored = mine[-1] if mine and mine[-1]["event"] == "stored" else None
            if stored and path.exists():
                return self._read(path, stored["sha256"])
            if not mine or stored:  # never paid for, or shown and lost: another draw is another release
                if path.exists():
                    raise BudgetError(f"{path}: a noisy table that {self._file} does not know; restore the ledger")
                self._check(period, table, cost)
                self._add({"event": "spent", "key": key, "period": period, "data": data, "table": table} | asdict(cost))
            content = io.BytesIO()
            draw().write_parquet(content)
            self._store(path, content.getvalue())
            self._add({"event": "stored", "key": key, "sha256": hashlib.sha256(content.getvalue()).hexdigest()})
            return self._read(path, None)

    def spent(self, period: str) -> list[tuple[str, Cost]]:
        """What was spent of a period, and of every one that overlaps it: table (with its period) and cost, in order."""
        own = Period.parse(period)
        found = []
        for line in self._lines():
            if line["event"] == "spent" and _overlap(own, Period.parse(line["period"])):
                name = line["table"] if line["period"] == period else f"{line['table']} of {line['period']}"
                found.append((name, Cost(line["rho"], line["pure"], line["delta"])))
        return found

    def shares(self, period: str) -> dict[str, int]:
        """What each noisy table takes of the budget by itself, in thousandths rounded up; ``Total``: all together.

        Of an epsilon, tables together take less than their sum; 1,000,000 stands for more than can be told.
        """
        spent: dict[str, list[Cost]] = {}
        for name, cost in self.spent(period):
            spent.setdefault(name, []).append(cost)
        everything = [cost for costs in spent.values() for cost in costs]
        return {name: self._share(costs) for name, costs in [*spent.items(), ("Total", everything)]}

    def _share(self, costs: list[Cost]) -> int:
        if self.budget.rho is not None:
            delta = sum(c.delta for c in costs)
            parts = [sum(c.rho for c in costs) / self.budget.rho]
            parts += [delta / self.budget.delta if self.budget.delta else math.inf] if delta else []
        else:
            assert self.budget.epsilon is not None
            parts = [together(costs, self.budget.delta) / self.budget.epsilon]
        return math.ceil(min(1000 * max(parts), 1e6) - 1e-6)

    def says(self, period: str) -> str:
        """One sentence on what of the budget is spent."""
        spent = self.spent(period)
        tables = "noisy table" if len(spent) == 1 else "noisy tables"
        return f"privacy budget of {period}: {self._sum([c for _, c in spent])} spent by {len(spent)} {tables}"

    @property
    def _file(self) -> Path:
        return self.folder / "ledger.jsonl"

    def _check(self, period: str, table: str, cost: Cost) -> None:
        spent = self.spent(period)
        if fits([*(c for _, c in spent), cost], self.budget):
            return
        by = "; ".join(f"{name} {self._sum([c], False)}" for name, c in spent) or "nothing"
        raise BudgetError(
            f"disclosure.budget: {table} of {period} needs {self._sum([cost], False)}, and the budget is not enough: "
            f"{self._sum([c for _, c in spent])} is spent (by {by}). Nothing was drawn or written. What is spent stays "
            f"spent, and every change of a noisy table or of the input draws anew: go back to the parameters and the "
            f"input that were drawn before, give {table} less, withhold instead of noise, or decide on a larger budget"
        )

    def _sum(self, costs: list[Cost], of: bool = True) -> str:
        """What costs are together, in the budget's own terms."""
        delta = sum(c.delta for c in costs)
        if self.budget.rho is not None:
            more = f", delta {delta:.3g} of {self.budget.delta:.3g}" if self.budget.delta else ""
            return f"rho {sum(c.rho for c in costs):.3g}{f' of {self.budget.rho:g}{more}' if of else ''}"
        at = f" at delta {self.budget.delta:g}" if self.budget.delta else ""
        allowed = f" of {self.budget.epsilon:g}" if of else ""
        return f"epsilon {together(costs, self.budget.delta):.3g}{allowed}{at}"

    def _lines(self) -> list[dict[str, Any]]:
        if not self._file.exists():
            return []
        # A last line without its end was cut by a crash, before anything was drawn or shown for it.
        whole = self._file.read_bytes().rpartition(b"\n")[0].splitlines()
        found = []
        for number, line in enumerate(whole, 1):
            try:
                entry = json.loads(line)
                found.append(entry if entry["event"] == "stored" else entry | {"rho": float(entry["rho"])})
            except (ValueError, KeyError, TypeError):
                raise BudgetError(
                    f"{self._file}, line {number}: not readable, so nobody can tell what was spent; restore the file"
                ) from None
        return found

    def _add(self, entry: dict[str, Any]) -> None:
        new = not self._file.exists()
        with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            file.seek(file.read().rfind(b"\n") + 1)
            file.truncate()
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync(self.folder)

    def _store(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
        _sync(self.folder)

    def _read(self, path: Path, sha256: str | None) -> pl.DataFrame:
        content = path.read_bytes()
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise BudgetError(
                f"{path}: not the noisy table that was drawn (its SHA-256 differs); restore it, or remove it to draw "
                "another one, which is paid for again"
            )
        return pl.read_parquet(io.BytesIO(content))


def _overlap(one: Period, other: Period) -> bool:
    return one.first < other.end and other.first < one.end


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Whole numbers within linear rows: the smallest and largest value of each unknown.

Every solution that bounds a value is checked exactly, in Python's integers, against every row.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

import highspy
import numpy as np

INFINITE = highspy.kHighsInf


class Row(NamedTuple):
    """low ≤ the sum of coefficient × unknown ≤ high; None is no limit."""

    coefficients: dict[Hashable, int]
    low: int | None
    high: int | None

    @classmethod
    def of(cls, terms: Iterable[tuple[Hashable, int]], low: int | None, high: int | None) -> Row:
        coefficients: dict[Hashable, int] = defaultdict(int)
        for key, coefficient in terms:
            coefficients[key] += coefficient
        return cls({key: c for key, c in coefficients.items() if c}, low, high)


class Contradiction(Exception):
    """What is published and what the attacker takes for known don't fit together."""


class System:
    """Unknowns with bounds, and rows."""

    def __init__(self) -> None:
        self.bounds: dict[Hashable, list[int | None]] = {}
        self.rows: list[Row] = []

    def bound(self, key: Hashable, low: int | None, high: int | None) -> None:
        """Narrows a key's bounds."""
        own = self.bounds.setdefault(key, [0, None])
        if low is not None and low > own[0]:  # type: ignore[operator]
            own[0] = low
        if high is not None and (own[1] is None or high < own[1]):
            own[1] = high
        if own[1] is not None and own[0] > own[1]:  # type: ignore[operator]
            raise Contradiction(f"{key}: at least {own[0]} and at most {own[1]}")

    def fix(self, key: Hashable, value: int) -> None:
        self.bound(key, value, value)

    def add(self, row: Row) -> None:
        for key in row.coefficients:
            self.bounds.setdefault(key, [0, None])
        self.rows.append(row)

    def value(self, key: Hashable) -> int | None:
        low, high = self.bounds.get(key, (0, None))
        return low if low == high else None

    def excess(self, row: Row) -> int | None:
        """The row's sum, where every term is known."""
        values = [self.value(key) for key in row.coefficients]
        if any(value is None for value in values):
            return None
        return sum(c * v for c, v in zip(row.coefficients.values(), values, strict=True) if v is not None)

    def agrees(self, row: Row) -> bool:
        total = self.excess(row)
        return total is None or ((row.low is None or row.low <= total) and (row.high is None or total <= row.high))

    def reach(self, row: Row) -> tuple[int | None, int | None]:
        """The smallest and largest sum that the bounds allow."""
        least: int | None = 0
        most: int | None = 0
        for key, c in row.coefficients.items():
            low, high = self.bounds[key] if c > 0 else self.bounds[key][::-1]
            least = None if least is None or low is None else least + c * low
            most = None if most is None or high is None else most + c * high
        return least, most

    def try_rows(self, rows: list[Row]) -> bool:
        """Adds rows, and carries bounds on from them; where that ends in a contradiction, nothing has been done."""
        before = {key: list(bounds) for key, bounds in self.bounds.items()}
        count = len(self.rows)
        for row in rows:
            self.add(row)
        try:
            self._carry(range(count, len(self.rows)))
        except Contradiction:
            self.bounds = before
            del self.rows[count:]
            return False
        return True

    def tighten(self) -> None:
        """Carries bounds from row to row until nothing changes, exactly; rows that say nothing more are dropped."""
        self._carry(range(len(self.rows)))
        self.rows = [row for row in self.rows if not self._idle(row)]

    def _carry(self, first: Iterable[int]) -> None:
        of_key: dict[Hashable, list[int]] = defaultdict(list)
        for number, row in enumerate(self.rows):
            for key in row.coefficients:
                of_key[key].append(number)
        waiting = deque(first)
        queued = set(waiting)
        visits: dict[int, int] = defaultdict(int)
        while waiting:
            number = waiting.popleft()
            queued.discard(number)
            visits[number] += 1
            if visits[number] > 50:  # slow convergence is left to the solver
                continue
            row = self.rows[number]
            least, most = self.reach(row)
            if (row.high is not None and least is not None and least > row.high) or (
                row.low is not None and most is not None and most < row.low
            ):
                raise Contradiction(f"{row}: its sum lies in {least} to {most}")
            for key, c in row.coefficients.items():
                before = tuple(self.bounds[key])
                low, high = before if c > 0 else before[::-1]
                if row.high is not None and least is not None and low is not None:
                    room = row.high - (least - c * low)
                    self.bound(key, *((None, room // c) if c > 0 else (-(room // -c), None)))
                if row.low is not None and most is not None and high is not None:
                    room = row.low - (most - c * high)
                    self.bound(key, *((-(-room // c), None) if c > 0 else (None, -room // -c)))
                if before != tuple(self.bounds[key]):
                    least, most = self.reach(row)
                    for other in of_key[key]:
                        if other not in queued:
                            waiting.append(other)
                            queued.add(other)

    def _idle(self, row: Row) -> bool:
        least, most = self.reach(row)
        return (row.low is None or (least is not None and least >= row.low)) and (
            row.high is None or (most is not None and most <= row.high)
        )

    def same_unknown(self) -> list[list[Hashable]]:
        """The groups of unknowns of which each tells all others, by the equations alone (eliminated in fractions)."""
        groups: dict[object, list[Hashable]] = defaultdict(list)
        for keys, rows in self.components():
            solved: dict[Hashable, dict[Hashable, Fraction]] = {}  # a key as a sum of the keys that stay free
            for row in rows:
                if row.low != row.high:
                    continue
                terms = _in_free({key: Fraction(c) for key, c in row.coefficients.items()}, solved)
                if terms:
                    pivot, scale = next(iter(terms.items()))
                    own = {key: -c / scale for key, c in terms.items() if key != pivot}
                    solved = {key: _in_free(sums, {pivot: own}) for key, sums in solved.items()} | {pivot: own}
            for key in keys:
                sums = solved.get(key, {key: Fraction(1)})
                if sums:
                    first = min(sums, key=repr)
                    groups[frozenset((k, c / sums[first]) for k, c in sums.items())].append(key)
        return [group for group in groups.values() if len(group) > 1]

    def components(self) -> list[tuple[list[Hashable], list[Row]]]:
        """The unknowns that rows connect, with their rows, constants moved to the limits."""
        leader: dict[Hashable, Hashable] = {key: key for key in self.bounds if self.value(key) is None}

        def find(key: Hashable) -> Hashable:
            while leader[key] != key:
                leader[key] = leader[leader[key]]
                key = leader[key]
            return key

        reduced = []
        for row in self.rows:
            free = {key: c for key, c in row.coefficients.items() if key in leader}
            constant = sum(c * self.bounds[key][0] for key, c in row.coefficients.items() if key not in leader)  # type: ignore[operator]
            if free:
                low = None if row.low is None else row.low - constant
                high = None if row.high is None else row.high - constant
                reduced.append(Row(free, low, high))
                first, *others = free
                for key in others:
                    leader[find(key)] = find(first)
        members: dict[Hashable, list[Hashable]] = defaultdict(list)
        for key in leader:
            members[find(key)].append(key)
        rows: dict[Hashable, list[Row]] = defaultdict(list)
        for row in reduced:
            rows[find(next(iter(row.coefficients)))].append(row)
        return [(keys, rows[root]) for root, keys in members.items()]


def _in_free(
    terms: dict[Hashable, Fraction], solved: dict[Hashable, dict[Hashable, Fraction]]
) -> dict[Hashable, Fraction]:
    total: dict[Hashable, Fraction] = defaultdict(Fraction)
    for key, c in terms.items():
        for other, part in solved.get(key, {key: Fraction(1)}).items():
            total[other] += c * part
    return {key: c for key, c in total.items() if c}


def intervals(system: System, wanted: dict[Hashable, int]) -> dict[Hashable, tuple[int, int]]:
    """For each wanted key the range of its values: the whole one where it is narrower than asked, else wide enough."""
    system.tighten()
    known: dict[Hashable, tuple[int, int]] = {}
    for key in wanted:
        value = system.value(key)
        if value is not None:
            known[key] = (value, value)
    for keys, rows in system.components():
        targets = {key: wanted[key] for key in keys if key in wanted}
        if targets:
            known |= Component(system, keys, rows).intervals(targets)
    return known


class Component:
    """Connected unknowns, solved together: each solution is a witness for all of them."""

    def __init__(self, system: System, keys: list[Hashable], rows: list[Row]) -> None:
        self.keys = keys
        self.place = {key: i for i, key in enumerate(keys)}
        self.rows = rows
        self.lows = [system.bounds[key][0] for key in keys]
        self.highs = [system.bounds[key][1] for key in keys]
        self.least: list[int | None] = [None] * len(keys)
        self.most: list[int | None] = [None] * len(keys)
        self.relaxed = self._model(whole=False)
        self.whole: highspy.Highs | None = None

    def intervals(self, targets: dict[Hashable, int]) -> dict[Hashable, tuple[int, int]]:
        known = {}
        for key, width in targets.items():
            place = self.place[key]
            low, high = self.lows[place], self.highs[place]
            if not self._wide(place, width):
                low = self._extreme(place, 1)
            if not self._wide(place, width):
                high = self._extreme(place, -1)
            if self._wide(place, width):
                low, high = self.least[place], self.most[place]
            # An unknown with no largest value is as wide as any.
            known[key] = (low, high if high is not None else 2**31)
        return known

    def _wide(self, place: int, width: int) -> bool:
        least, most = self.least[place], self.most[place]
        return least is not None and most is not None and most - least >= width

    def _extreme(self, place: int, sign: int) -> int:
        """The smallest (sign 1) or largest (-1) whole value; at worst a bound beyond which none lies."""
        outer = self._solve(self.relaxed, place, sign)
        witness = self.least[place] if sign > 0 else self.most[place]
        if outer is None:
            return 2**31 * -sign
        bound = ceil(outer - 1e-5) if sign > 0 else floor(outer + 1e-5)
        if witness == bound:
            return bound
        if self.whole is None:
            self.whole = self._model(whole=True)
        outer = self._solve(self.whole, place, sign)
        assert outer is not None
        return ceil(outer - 1e-5) if sign > 0 else floor(outer + 1e-5)

    def _solve(self, model: highspy.Highs, place: int, sign: int) -> float | None:
        """The best bound on a value, or None where there is none; a whole solution is kept as a witness."""
        model.changeColCost(place, float(sign))
        model.run()
        status = model.getModelStatus()
        if status == highspy.HighsModelStatus.kUnknown:  # numbers that went astray: once more from the start
            model.clearSolver()
            model.setOptionValue("presolve", "off")
            model.run()
            model.setOptionValue("presolve", "choose")
            status = model.getModelStatus()
        solution = list(model.getSolution().col_value)
        info = model.getInfo()
        best = info.mip_dual_bound if model is self.whole else info.objective_function_value
        model.changeColCost(place, 0.0)
        if status == highspy.HighsModelStatus.kInfeasible:
            raise Contradiction(f"no whole numbers fit {len(self.rows)} rows over {self.keys[:5]} …")
        if status in (highspy.HighsModelStatus.kUnbounded, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return None
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the solver stopped with {status}")
        self._witness([round(value) for value in solution])
        return best * sign

    def _witness(self, values: list[int]) -> bool:
        """Keeps what a solution shows, if it is one: checked exactly."""
        for value, low, high in zip(values, self.lows, self.highs, strict=True):
            if value < low or (high is not None and value > high):
                return False
        for row in self.rows:
            total = sum(c * values[self.place[key]] for key, c in row.coefficients.items())
            if (row.low is not None and total < row.low) or (row.high is not None and total > row.high):
                return False
        for i, value in enumerate(values):
            least, most = self.least[i], self.most[i]
            self.least[i] = value if least is None else min(value, least)
            self.most[i] = value if most is None else max(value, most)
        return True

    def _model(self, whole: bool) -> highspy.Highs:
        model = highspy.Highs()
        model.silent()
        model.setOptionValue("threads", 1)
        model.setOptionValue("mip_rel_gap", 0.0)
        model.setOptionValue("mip_abs_gap", 0.5)
        count = len(self.keys)
        lows = np.array(self.lows, dtype=float)
        highs = np.array([INFINITE if high is None else high for high in self.highs], dtype=float)
        model.addVars(count, lows, highs)
        if whole:
            kinds = np.full(count, highspy.HighsVarType.kInteger)
            model.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kinds)
        for row in self.rows:
            places = np.array([self.place[key] for key in row.coefficients], dtype=np.int32)
            values = np.array(list(row.coefficients.values()), dtype=float)
            low = -INFINITE if row.low is None else float(row.low)
            high = INFINITE if row.high is None else float(row.high)
            model.addRow(low, high, len(places), places, values)
        return model

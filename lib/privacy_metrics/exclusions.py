"""Rights reach the analysis: accounts whose owners objected, or whose data is restricted, are in no table of usage.

They stand in the register ``excluded_accounts``. ``collect`` leaves out what they did on the days on which they are
excluded, and again when the register has changed since: until a period is closed, an objection that is registered
late still counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from . import technical
from .params import Params, Period

REGISTER = "excluded_accounts"
REASONS = {
    "objected": "by an account whose owner had objected on that day (GDPR Art. 21)",
    "restricted": "by an account whose data was restricted on that day (GDPR Art. 18)",
}
"""Why a line is left out of what is collected: the first one that fits counts."""
_ALWAYS = date(9999, 12, 31)


@dataclass(frozen=True)
class Exclusions:
    """Who is left out, and when.

    ``spans`` has visitor (UInt64, the key of sessions), reason, first and last (Date, both included), in days of the
    controller's time zone. ``digests`` has a mark of each span, to know it again, and ``inputs`` by the name of each
    register what it was read from.
    """

    spans: pl.DataFrame
    digests: list[str]
    inputs: dict[str, dict[str, Any]]

    def on(self, day: date) -> pl.DataFrame:
        """Who is left out on ``day`` (visitor), and why (reason): the first of REASONS that fits."""
        if self.spans.is_empty():  # as most companies' are
            return self.spans.select("visitor", "reason")
        found = self.spans.filter(pl.col("first") <= day, pl.col("last") >= day)
        rank = {reason: n for n, reason in enumerate(REASONS)}
        found = found.sort(pl.col("reason").replace_strict(rank, return_dtype=pl.Int64))
        return found.unique("visitor", keep="first", maintain_order=True).select("visitor", "reason")


def read(params: Params, period: Period, key: bytes) -> Exclusions:
    """Who is left out of ``period``, from the register; nobody where none is given.

    Raises RegisterError where it can't be read or a row contradicts itself: what a person asked for is not passed over.
    """
    found = pl.DataFrame(schema={"visitor": pl.UInt64, "reason": pl.String, "first": pl.Date, "last": pl.Date})
    inputs: dict[str, dict[str, Any]] = {}
    for name, source in params.sources.registers.items():
        if (source.kind or name) != REGISTER:
            continue
        from . import registers, requests  # only here, as most collections need no register

        frame, given = registers.raw(params, period, name)
        inputs[name] = given
        rows = frame.filter(pl.col("excluded_until") < pl.col("excluded_from"))["row"].to_list()
        if rows:
            problems = [f"row {row}: excluded_until is before excluded_from" for row in rows]
            raise requests.RegisterError(given["file"], problems)
        accounts = frame["account"].unique()
        visitors = [technical.account_key(key, account) for account in accounts]
        known = pl.DataFrame({"account": accounts, "visitor": pl.Series(visitors, dtype=pl.UInt64)})
        spans = frame.join(known, on="account").select(
            "visitor",
            reason=pl.col("reason").cast(pl.String),
            first="excluded_from",
            last=pl.col("excluded_until").fill_null(_ALWAYS),
        )
        found = pl.concat([found, spans])
    within = found.filter(pl.col("first") <= period.last, pl.col("last") >= period.first).unique().sort(found.columns)
    return Exclusions(within, sorted(_digest(key, row) for row in within.iter_rows()), inputs)


def _digest(key: bytes, row: tuple[object, ...]) -> str:
    return hashlib.blake2b("\0".join(map(str, row)).encode(), digest_size=8, key=key, person=b"left out").hexdigest()

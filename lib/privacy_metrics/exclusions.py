"""Rights reach the analysis: accounts whose owners objected, or whose data is restricted, are in no table of usage.

They stand in the register ``excluded_accounts``. ``collect`` leaves their sessions out before it writes any, and again
when the register has changed since: until a period is closed, an objection that is registered late still counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import polars as pl

from . import registers, requests, technical
from .params import Params, Period

REGISTER = "excluded_accounts"
REASONS = {
    "objected": "by an account whose owner had objected on that day (GDPR Art. 21)",
    "restricted": "by an account whose data was restricted on that day (GDPR Art. 18)",
}
"""Why a line is left out of what is collected, and with it its whole session: the first one that fits counts."""
_ALWAYS = date(9999, 12, 31)


@dataclass(frozen=True)
class Exclusions:
    """Who is left out, and when.

    ``spans`` has visitor (UInt64, the key of sessions), reason, first and last (Date, both included); ``zone`` is the
    controller's time zone, whose days count. ``digests`` has a mark of each span, to know it again.
    """

    spans: pl.DataFrame
    zone: str
    digests: list[str]

    def leave_out(self, frames: dict[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
        """``frames`` (those of ``technical.sessions``) without these sessions, and how many lines went, by reason.

        A session that lies on two days is left out if either is excluded: in doubt for the person.
        """
        sessions = frames["sessions"]

        def day(column: str) -> pl.Expr:
            return pl.from_epoch(column).dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone).dt.date()

        touched = sessions.select("visitor", "session", "hits", start=day("start"), end=day("end"))
        touched = touched.join(self.spans, on="visitor").filter(
            pl.col("start") <= pl.col("last"), pl.col("end") >= pl.col("first")
        )
        rank = {reason: n for n, reason in enumerate(REASONS)}
        gone = touched.sort(pl.col("reason").replace_strict(rank)).unique(["visitor", "session"], keep="first")
        counts = dict(gone.group_by("reason").agg(pl.col("hits").sum()).iter_rows())
        if gone.height:
            on = ["visitor", "session"]
            frames = {
                name: frame.join(gone, on=on, how="anti", maintain_order="left") for name, frame in frames.items()
            }
        return frames, {reason: counts.get(reason, 0) for reason in REASONS}


def read(params: Params, period: Period, key: bytes) -> Exclusions:
    """Who is left out of ``period``, from the register; nobody where none is given.

    Raises RegisterError where it can't be read or a row contradicts itself: what a person asked for is not passed over.
    """
    zone = params.organisation.time_zone
    found = pl.DataFrame(schema={"visitor": pl.UInt64, "reason": pl.String, "first": pl.Date, "last": pl.Date})
    for name, source in params.sources.registers.items():
        if (source.kind or name) != REGISTER:
            continue
        path = params.path(source.path)
        mapping = requests.RegisterMapping(
            source.columns, source.values, source.fill, source.zone, source.date_format, source.separator,
            registers.columns(REGISTER),
        )  # fmt: skip
        frame = requests.read_frame(path, zone=zone, mapping=mapping)
        rows = (
            frame.with_row_index("row", 2).filter(pl.col("excluded_until") < pl.col("excluded_from"))["row"].to_list()
        )
        if rows:
            problems = [f"row {row}: excluded_until is before excluded_from" for row in rows]
            raise requests.RegisterError(path.name, problems)
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
    return Exclusions(within, zone, sorted(_digest(key, row) for row in within.iter_rows()))


def _digest(key: bytes, row: tuple[object, ...]) -> str:
    return hashlib.blake2b("\0".join(map(str, row)).encode(), digest_size=8, key=key, person=b"left out").hexdigest()

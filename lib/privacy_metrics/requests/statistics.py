"""Statistics of requests: what came in, how it was answered against the legal limit, what is still open.

Every table is of the register *as it was known at the end of the period's last day* (or of the day it was exported,
where that is earlier): a request answered later was open then. So a quarter's figures stay what they were, and quarters
can be compared. Requests about data held for customers (role ``processor``) are in a table of their own only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import combinations, pairwise
from math import exp, floor, log, sqrt
from statistics import NormalDist

import polars as pl

from ..deadlines import Calendar, with_due_dates
from ..disclosure import TOTAL, Cells, Release
from .register import EXCLUSIONS, OUTCOMES, REASON_CODES, RIGHTS, SUBJECT_GROUPS, UNANSWERED_ENDS, Register

DUE = ("overdue", "due in 7 days", "due in 8–30 days", "due in 31–90 days", "due later")
ON_TIME = ("on time", "on time with pauses credited", "late", "overdue and open")
EXTENSIONS = ("told in time, with reasons", "told in time, without reasons", "told late")
IDENTITY = ("not asked", "confirmed", "not shown", "awaited")
VERIFIED = ("0–3 days", "4–7 days", "8–14 days", "15 days or more")
TOLD = ("complete", "without reasons, complaint or remedy")

ENDS = ("decided_on", "response_sent_on")
_PAUSES = ("identity_requested_on", "identity_received_on", "clarification_requested_on", "clarification_received_on")


# ---- tables ---------------------------------------------------------------------------------------------------------


def as_known(requests: pl.DataFrame, day: date) -> pl.DataFrame:
    """The requests received up to ``day``, without what happened after it; adds ``ended_on`` (Date).

    ``ended_on`` is the day of the answer, or of the decision where none was owed or sent; null while open. What ended
    after ``day`` is open, and has no outcome and no reason.
    """
    frame = requests.filter(pl.col("received_on") <= day)
    later = ["extension_notified_on", "executed_on", *_PAUSES]
    frame = frame.with_columns(pl.when(pl.col(name) <= day).then(pl.col(name)).alias(name) for name in later)
    ended = pl.coalesce("response_sent_on", pl.when(pl.col("state") == "closed").then("decided_on"))
    frame = frame.with_columns(ended_on=ended).with_columns(_open=(pl.col("ended_on") <= day).not_().fill_null(True))
    gone = ["ended_on", "outcome", "reason_code", "response_format", *ENDS]
    return frame.with_columns(pl.when(~pl.col("_open")).then(pl.col(name)).alias(name) for name in gone).drop("_open")


def request_tables(
    register: Register, calendar: Calendar, first: date, last: date, as_of: date, period: str
) -> list[Cells]:
    """Every table of the requests in the period from ``first`` to ``last``, from the register exported on ``as_of``.

    Measure ``requests`` (request lines); ``people`` counts cases, which are what a register without names knows of
    people. Each table's notes say what it counts.
    """
    day = min(last, as_of)
    known = with_due_dates(as_known(register.requests, day), calendar)
    own = known.filter(pl.col("role") == "controller")
    make = _Maker(period, first, day)
    ended = own.filter(pl.col("ended_on").is_between(first, day))
    refused = ended.filter(pl.col("outcome").is_in(["refused", "partial", "not_identified"]))
    received = own.filter(pl.col("received_on") >= first)
    tables = [
        make.table("requests_by_right", "Requests by right", ["right"], received, "Requests received in the period."),
        make.table(
            "requests_by_month", "Requests by month", ["month"],
            received.with_columns(month=pl.col("received_on").dt.strftime("%Y-%m")),
            "Requests by the month in which they were received.",
        ),
        make.table("requests_by_channel", "Requests by channel", ["channel"], received, "By how they came."),
        make.table(
            "requests_by_group", "Requests by group of people", ["subject_group"], received,
            "By the group that the person belongs to.",
        ),
        make.table(
            "requests_by_outcome", "Requests closed, by outcome", ["right", "outcome"], ended,
            "Requests that ended in the period, by how they ended.",
        ),
        make.table(
            "requests_by_ground", "Refusals by ground", ["right", "reason_code"],
            refused,
            "Requests refused in whole or in part in the period, by the ground that was recorded.",
        ),
        make.table(
            "requests_refusal_letters", "Refusals, by what the person was told", ["right", "letter"],
            refused.with_columns(letter=_letter()),
            "A refusal names its reasons, the right to complain and the judicial remedy (GDPR Art. 12(4)).",
        ),
        make.table(
            "requests_on_time", "Requests that fell due, by how the limit was kept", ["right", "on_time"],
            _on_time(own, first, day),
            "Requests whose last day to answer was in the period, and those that were answered late in it. Pauses "
            "are the days in which identity or clarification was awaited (EDPB Guidelines 01/2022, para 159).",
        ),
        make.table(
            "requests_on_time_by_month", "Requests that fell due, by month", ["month", "on_time"],
            _on_time(own, first, day).with_columns(month=pl.col("judged_on").dt.strftime("%Y-%m")),
            "The same by the month of the last day to answer.",
        ),
        make.table(
            "requests_open", "Open requests, by when they fall due", ["right", "due"],
            own.filter(pl.col("ended_on").is_null()).with_columns(due=_due(day)),
            f"Requests without an answer at the end of {day}, by their last day to answer.",
        ),
        make.table(
            "requests_extended", "Extensions told", ["right", "extension"],
            own.filter(pl.col("extension_notified_on") >= first).with_columns(extension=_extension()),
            "An extension is told within one month of receipt, with its reasons (GDPR Art. 12(3)).",
        ),
        make.table(
            "requests_identity", "Identity checks", ["right", "identity"], received.with_columns(identity=_identity()),
            "Requests received in the period, by whether more information was asked for to confirm the identity.",
        ),
        make.table(
            "requests_identity_days", "Days to confirm an identity", ["days"],
            own.filter(pl.col("identity_received_on") >= first).with_columns(days=_verified()),
            "Identities confirmed in the period, by the days from asking to the person's answer.",
        ),
        _without_total(make.table(
            "requests_flow", "Open requests from start to end", ["flow"], _flow(own, first),
            "Open at the start and received together are ended and open at the end together.",
        )),
        _life_table(own, first, day, period),
        make.table(
            "requests_processor", "Requests about data held for customers", ["right"],
            known.filter((pl.col("role") == "processor") & (pl.col("received_on") >= first)),
            "Received in the period as a processor (GDPR Art. 28(3)(e)); the customer answers them. In no other table.",
        ),
        _account(register, period),
    ]  # fmt: skip
    return tables


@dataclass(frozen=True)
class _Maker:
    period: str
    first: date
    day: date

    def table(self, name: str, title: str, dimensions: list[str], rows: pl.DataFrame, note: str) -> Cells:
        """Counts the rows and their cases, by every subset of the dimensions."""
        counts = [
            pl.len().cast(pl.Int64).alias("requests"),
            pl.col("case_id").n_unique().cast(pl.Int64).alias("people"),
        ]
        # Of a table without a row, its total is the one cell.
        parts = [rows.select(*counts, *(pl.lit(TOTAL).alias(d) for d in dimensions))]
        rows = rows.with_columns(pl.col(d).cast(pl.String).fill_null("none recorded") for d in dimensions)
        for kept in (k for size in range(1, len(dimensions) + 1) for k in combinations(dimensions, size)):
            margin = [pl.lit(TOTAL).alias(d) for d in dimensions if d not in kept]
            parts.append(rows.group_by(kept).agg(*counts).with_columns(margin))
        columns = [*dimensions, "requests", "people"]
        frame = pl.concat([part.select(columns) for part in parts])
        frame = frame.sort([key for d in dimensions for key in (pl.col(d) == TOTAL, _order(d), pl.col(d))])
        return Cells(name, title, self.period, tuple(dimensions), ("requests",), frame, (note,))


_ORDERS = {
    "right": RIGHTS, "due": DUE, "on_time": ON_TIME, "extension": EXTENSIONS, "identity": IDENTITY, "days": VERIFIED,
    "subject_group": SUBJECT_GROUPS, "reason_code": REASON_CODES, "letter": TOLD,
    "outcome": OUTCOMES, "flow": ("open at the start", "received", "ended", "open at the end"),
}  # fmt: skip


def rank(dimension: str, category: str) -> int:
    """The place of a category in the dimension's own order; those without one come last."""
    names = _ORDERS.get(dimension, ())
    return names.index(category) if category in names else len(names)


def _order(dimension: str) -> pl.Expr:
    names = _ORDERS.get(dimension, ())
    return pl.col(dimension).replace_strict(
        {name: number for number, name in enumerate(names)}, default=len(names), return_dtype=pl.Int32
    )


def _owed() -> pl.Expr:
    """Whether an answer was owed at all: a request withdrawn, merged or misdirected in time was owed none."""
    free = pl.col("outcome").cast(pl.String).is_in(UNANSWERED_ENDS) & (pl.col("ended_on") <= pl.col("due_credited"))
    return ~free.fill_null(False)


def _on_time(own: pl.DataFrame, first: date, day: date) -> pl.DataFrame:
    """The requests to be judged, with ``on_time`` and ``judged_on``: the last day to answer, pauses credited or not.

    Whoever answers late answers in some period; whose limit ran out before this one and is still open stands in the
    backlog, and was counted as late when it ran out.
    """
    ended, due, credited = pl.col("ended_on"), pl.col("due"), pl.col("due_credited")
    how = (
        pl.when(ended <= due).then(pl.lit(ON_TIME[0]))
        .when(ended <= credited).then(pl.lit(ON_TIME[1]))
        .when(ended.is_not_null()).then(pl.lit(ON_TIME[2]))
        .otherwise(pl.lit(ON_TIME[3]))
    )  # fmt: skip
    # An answer after the strict limit and within the credited one is judged on the latter's day.
    judged = pl.when((ended <= due).fill_null(False)).then(due).otherwise(credited)
    frame = own.filter(_owed()).with_columns(on_time=how, judged_on=judged)
    return frame.filter(pl.col("judged_on").is_between(first, day))


def _due(day: date) -> pl.Expr:
    left = (pl.col("due_credited") - pl.lit(day)).dt.total_days()
    return (
        pl.when(left < 0).then(pl.lit(DUE[0])).when(left <= 7).then(pl.lit(DUE[1]))
        .when(left <= 30).then(pl.lit(DUE[2])).when(left <= 90).then(pl.lit(DUE[3])).otherwise(pl.lit(DUE[4]))
    )  # fmt: skip


def _extension() -> pl.Expr:
    in_time = pl.col("extension_notified_on") <= pl.col("first_due_credited")
    reasons = pl.col("extension_reasons_given").fill_null(False)
    told = pl.when(in_time & reasons).then(pl.lit(EXTENSIONS[0])).when(in_time).then(pl.lit(EXTENSIONS[1]))
    return told.otherwise(pl.lit(EXTENSIONS[2]))


def _letter() -> pl.Expr:
    parts = ("reasons_given", "complaint_right_given", "remedy_given")
    complete = pl.all_horizontal([pl.col(part).fill_null(False) for part in parts])
    return pl.when(complete).then(pl.lit(TOLD[0])).otherwise(pl.lit(TOLD[1]))


def _identity() -> pl.Expr:
    asked, shown = pl.col("identity_requested_on"), pl.col("identity_received_on")
    return (
        pl.when(asked.is_null()).then(pl.lit(IDENTITY[0])).when(shown.is_not_null()).then(pl.lit(IDENTITY[1]))
        .when(pl.col("ended_on").is_not_null()).then(pl.lit(IDENTITY[2])).otherwise(pl.lit(IDENTITY[3]))
    )  # fmt: skip


def _verified() -> pl.Expr:
    days = (pl.col("identity_received_on") - pl.col("identity_requested_on")).dt.total_days()
    return (
        pl.when(days <= 3).then(pl.lit(VERIFIED[0])).when(days <= 7).then(pl.lit(VERIFIED[1]))
        .when(days <= 14).then(pl.lit(VERIFIED[2])).otherwise(pl.lit(VERIFIED[3]))
    )  # fmt: skip


def _without_total(table: Cells) -> Cells:
    """Of categories that are no parts of a whole."""
    (dimension,) = table.dimensions
    return replace(table, frame=table.frame.filter(pl.col(dimension) != TOTAL))


def _flow(own: pl.DataFrame, first: date) -> pl.DataFrame:
    before, ended = pl.col("received_on") < first, pl.col("ended_on")
    kinds = {
        "open at the start": before & (ended.is_null() | (ended >= first)),
        "received": ~before,
        "ended": ended >= first,
        "open at the end": ended.is_null(),
    }
    return pl.concat([own.filter(rule).with_columns(flow=pl.lit(name)) for name, rule in kinds.items()])


def _life_table(own: pl.DataFrame, first: date, day: date, period: str) -> Cells:
    """How long requests wait: by whole days since receipt, how many were answered, ended otherwise, or are still open.

    Of the requests received in the twelve months up to ``day``, or in the period where that is longer.
    """
    since = min(first, day.replace(year=day.year - 1, day=min(day.day, 28)) + timedelta(days=1))
    frame = own.filter(pl.col("received_on") >= since)
    end = pl.col("ended_on").fill_null(pl.lit(day))
    other = pl.col("outcome").cast(pl.String).is_in(UNANSWERED_ENDS).fill_null(False)
    open_ = pl.col("ended_on").is_null()
    rows = frame.select(
        "case_id", day=(end - pl.col("received_on")).dt.total_days(), answered=~open_ & ~other, other=other, open=open_
    )
    counts = [
        pl.len().alias("requests"), pl.col("answered").sum(), pl.col("other").sum().alias("ended_otherwise"),
        pl.col("open").sum().alias("still_open"), pl.col("case_id").n_unique().alias("people"),
    ]  # fmt: skip
    by_day = rows.group_by("day").agg(counts).sort("day").with_columns(pl.col("day").cast(pl.String))
    total = rows.select(pl.lit(TOTAL).alias("day"), *counts)
    measures = ("requests", "answered", "ended_otherwise", "still_open")
    columns = [pl.col("day"), *(pl.col(m).cast(pl.Int64) for m in (*measures, "people"))]
    note = (
        f"Of the requests received from {since} to {day}: days from receipt to the answer, to another end (withdrawn, "
        f"merged, misdirected), or to {day} for those still open."
    )
    frame = pl.concat([by_day.select(columns), total.select(columns)])
    return Cells("requests_waiting", "Days to an answer", period, ("day",), measures, frame, (note,))


def _account(register: Register, period: str) -> Cells:
    account = register.account
    rows = {name: account[name] for name in account if name != "read"} | {TOTAL: account["read"]}
    frame = pl.DataFrame({"row": list(rows), "rows": list(rows.values())}, schema={"row": pl.String, "rows": pl.Int64})
    notes = tuple(f"{reason}: {why}" for reason, why in EXCLUSIONS.items() if reason in rows)
    return Cells(
        "register_account", "What became of every row of the register", period, ("row",), ("rows",), frame, notes
    )


# ---- what follows from released counts -------------------------------------------------------------------------------


def wilson(part: int, whole: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share (E. B. Wilson, 1927); (0, 1) of none.

    >>> [round(x, 2) for x in wilson(38, 40)]
    [0.83, 0.99]
    """
    if not whole:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = part / whole
    middle = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z / (1 + z * z / whole) * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    # At the ends the interval touches them exactly; rounding must not part it from the share.
    return (0.0 if part == 0 else max(0.0, middle - half)), (1.0 if part == whole else min(1.0, middle + half))


def percent(share: float) -> str:
    """A share in whole percent, rounded down: 99.6 % never prints as 100 %."""
    return f"{floor(share * 100 + 1e-9)} %"


@dataclass(frozen=True)
class Waiting:
    """The course of waiting for an answer, from a life table.

    ``steps`` are (day, share answered by the end of that day, lower and upper bound of its confidence band).
    """

    steps: tuple[tuple[int, float, float, float], ...]
    requests: int
    still_open: int

    def answered_by(self, day: int) -> tuple[float, float, float]:
        """Share answered by the end of ``day``, with its band."""
        return next((step[1:] for step in reversed(self.steps) if step[0] <= day), (0.0, 0.0, 0.0))

    def percentile(self, share: float) -> int | None:
        """The first day by whose end ``share`` were answered; None where that is not reached."""
        return next((day for day, answered, *_ in self.steps if answered >= share - 1e-12), None)

    def percentile_band(self, share: float) -> tuple[int | None, int | None]:
        """Between which days that percentile lies, at the band's confidence; None for not reached."""
        low = next((day for day, _, _, high in self.steps if high >= share), None)
        high = next((day for day, _, low, _ in self.steps if low >= share), None)
        return low, high


def waiting(release: Release, confidence: float = 0.95) -> Waiting | None:
    """The course of waiting from the release ``requests_waiting``; None where a day of it is withheld or it is empty.

    The Aalen-Johansen estimate: open requests are censored at their age, and a request that ended without an answer
    competes with one that was answered. Without such ends it is one minus the Kaplan-Meier estimate, with Greenwood's
    variance. The band is log-log (Kalbfleisch and Prentice, 1980), by the delta method for the variance (Marubini and
    Valsecchi, 1995, sec. 10.2).
    """
    columns = ("requests", "answered", "ended_otherwise", "still_open")
    rows = release.frame.filter(pl.col("day") != TOTAL)
    if not rows.height or rows["withheld"].any():
        return None
    table = sorted((int(day), *counts) for day, *counts in rows.select("day", *columns).iter_rows())
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    at_risk = sum(row[1] for row in table)
    total, open_ = at_risk, sum(row[4] for row in table)
    survival, share = 1.0, 0.0
    # Per event day: at risk, answers, all ends, survival before it, and the share answered after it.
    past: list[tuple[int, int, int, float, float]] = []
    steps = []
    for day, leaving, answered, other, _ in table:
        ends = answered + other
        if ends:
            before = survival
            share += before * answered / at_risk
            survival *= 1 - ends / at_risk
            past.append((at_risk, answered, ends, before, share))
            if answered:
                steps.append((day, min(share, 1.0), *_band(share, past, z)))
        at_risk -= leaving
    return Waiting(tuple(steps), total, open_)


def _band(share: float, past: list[tuple[int, int, int, float, float]], z: float) -> tuple[float, float]:
    variance = 0.0
    for at_risk, answered, ends, before, then in past:
        gap = share - then
        if ends < at_risk:
            variance += gap * gap * ends / (at_risk * (at_risk - ends))
        variance += before * before * (at_risk - answered) * answered / at_risk**3
        variance -= 2 * gap * before * answered / at_risk**2
    rest = 1 - share
    if rest <= 1e-12:
        return share, min(share, 1.0)
    width = z * sqrt(max(variance, 0.0)) / (rest * log(rest))
    # log(rest) is negative: the larger exponent gives the smaller rest, and the upper bound of the share.
    return 1 - rest ** exp(width), 1 - rest ** exp(-width)


def limits(values: list[int]) -> tuple[float, int, int]:
    """Mean and limits of a c-chart: the counts outside which 99.73 % of a Poisson variable's values do not fall.

    Exact, as three standard deviations are too narrow for small counts (10 a month: 2 to 21).
    """
    from scipy.stats import poisson

    mean = sum(values) / len(values)
    low, high = poisson.ppf([0.00135, 0.99865], mean) if mean else (0, 0)
    return mean, int(low), int(high)


def share_limits(parts: list[int], wholes: list[int]) -> tuple[float, list[tuple[float, float]]]:
    """Mean share and, for each whole, the limits of a p-chart from the exact binomial distribution."""
    from scipy.stats import binom

    mean = sum(parts) / sum(wholes)
    bounds = [tuple(float(x) / n for x in binom.ppf([0.00135, 0.99865], n, mean)) for n in wholes]
    return mean, [(max(low, 0.0), min(high, 1.0)) for low, high in bounds]


def runs(values: list[float], mean: float, length: int = 8) -> Iterator[tuple[int, int]]:
    """Where ``length`` or more values in a row lie on one side of ``mean``: first and last index of each run."""
    sides = [(v > mean) - (v < mean) for v in values]
    starts = [0, *(n for n, (a, b) in enumerate(pairwise(sides), 1) if a != b), len(sides)]
    for start, end in pairwise(starts):
        if end - start >= length and sides[start]:
            yield start, end - 1

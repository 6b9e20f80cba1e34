"""Statistics of requests: what came in, how it was answered against the legal limit, what is still open.

Every table is of the register *as it was known at the end of the period's last day* (or of the day it was exported,
where that is earlier): a request answered later was open then. So a quarter's figures stay what they were, and quarters
can be compared. Requests about data held for customers (role ``processor``) are in a table of their own only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from math import exp, floor, log, sqrt
from statistics import NormalDist

import polars as pl

from ..deadlines import ASK_WITHIN, ONE_MONTH, Calendar, due_date, explain, moved_days, with_due_dates
from ..disclosure import TOTAL, Cells, Group, Nesting, Release
from .register import EXCLUSIONS, OUTCOMES, REASON_CODES, RIGHTS, SUBJECT_GROUPS, UNANSWERED_ENDS, Register, repeated

DUE = ("overdue", "due in 7 days", "due in 8–30 days", "due in 31–90 days", "due later")
OVERDUE = ("1–7 days", "8–30 days", "31–90 days", "91 days or more")
ON_TIME = ("on time", "on time with pauses credited", "late", "overdue and open")
EXTENSIONS = ("told in time, with reasons", "told in time, without reasons", "told late")
IDENTITY = ("not asked", "confirmed", "not shown", "awaited")
VERIFIED = ("0–3 days", "4–7 days", "8–14 days", "15 days or more")
TOLD = ("complete", "without reasons, complaint or remedy")
ENDED = ("answered", "refused in whole or in part", "ended without an answer owed")
OPEN = ("open, not overdue", "overdue")
STANDS = (*ENDED, *OPEN)
CLOSED = ("closed", "open")
KEPT = ("on time", "not on time")
EXTENDED = ("extended", "not extended")
CAME = ("open at the start", "received")
WENT = ("closed", "open at the end")
CONTACT = ("after a request", "without a request before")
STANDING = ("answered", "open")
CALIFORNIA = (
    "complied with in whole", "complied with in part", "denied, not verifiable", "denied, exempt",
    "denied, other grounds", "not yet answered", "withdrawn, duplicate or misdirected",
)  # fmt: skip
"""What became of a request as 11 CCR 7102 asks: compliance in whole or in part, denials by reason; and the rest."""

ENDS = ("decided_on", "response_sent_on")
ABOUT_NOBODY = ("register_account", "requests_calendar", "requests_limits")
"""Tables that count rows or days, and no people."""
_PAUSES = ("identity_requested_on", "identity_received_on", "clarification_requested_on", "clarification_received_on")
REFUSED = ("refused", "partial", "not_identified")
"""Outcomes that refuse a request in whole or in part."""
MET = ("fulfilled", "no_data")
"""Outcomes that give the person all there was to give."""
_GROUPS = {"subject_group": "group", "channel": "channel"}
_POPULATIONS = {
    "requests received": (
        "requests_by_right", "requests_by_month", "requests_by_group", "requests_by_channel", "requests_identity",
        "requests_extended_by_group", "requests_extended_by_channel", "requests_stands_by_group",
        "requests_stands_by_channel",
    ),
    "requests that fell due": (
        "requests_on_time", "requests_on_time_by_month", "requests_on_time_by_outcome", "requests_on_time_by_group",
        "requests_on_time_by_channel",
    ),
    "requests closed": ("requests_by_outcome",),
    "requests refused": ("requests_by_ground", "requests_refusal_letters"),
    "requests open": ("requests_open",),
    "requests waiting": ("requests_waiting", "requests_waiting_by_right"),
    "requests overdue": ("requests_overdue",),
    "requests falling due": ("requests_falling_due",),
}  # fmt: skip
"""What tables count, where several count the same: those share their margins.

What is told of a group or a channel is told of the requests *received* in the period: with those closed and those open
it would be a sum over two periods, from which what one of them withholds could be had.
"""
_NESTING: dict[str, Nesting] = {
    "stands": ("stands", "open", {**dict.fromkeys(ENDED, CLOSED[:1]), **dict.fromkeys(OPEN, CLOSED[1:])}),
    "on_time": ("on_time", "kept", {**dict.fromkeys(ON_TIME[1:], KEPT[1:]), ON_TIME[0]: KEPT[:1]}),
}
"""Of dimensions whose categories are parts of another one's: which."""
_GROUPED: dict[str, tuple[Group, ...]] = {
    "requests_by_outcome": (("outcome", REFUSED, "requests refused"),),
    "requests_open": (("due", DUE[:1], "requests overdue"), ("due", DUE[1:], "requests falling due")),
    "requests_flow": (
        ("came", CAME[1:], "requests received"),
        ("went", WENT[:1], "requests closed"),
        ("went", WENT[1:], "requests open"),
    ),
}
"""Of tables whose categories are counted in tables of their own: which, and as what."""
_POPULATION = {table: population for population, tables in _POPULATIONS.items() for table in tables}


# ---- tables ---------------------------------------------------------------------------------------------------------


def as_known(requests: pl.DataFrame, day: date) -> pl.DataFrame:
    """The requests received up to ``day``, without what happened after it; adds ``ended_on`` (Date).

    ``ended_on`` is the day of the answer, or of the decision where none was owed or sent; null while open. What ended
    after ``day`` is open, and has no outcome and no reason.
    """
    frame = requests.lazy().filter(pl.col("received_on") <= day)
    later = ["extension_notified_on", "executed_on", *_PAUSES]
    # What no entry is later than needs no look at every row.
    later = [name for name in later if isinstance(last := requests[name].max(), date) and last > day]
    frame = frame.with_columns(pl.when(pl.col(name) <= day).then(pl.col(name)).alias(name) for name in later)
    ended = pl.coalesce("response_sent_on", pl.when(pl.col("state") == "closed").then("decided_on"))
    frame = frame.with_columns(ended_on=ended).with_columns(_open=(pl.col("ended_on") <= day).not_().fill_null(True))
    gone = ["ended_on", "outcome", "reason_code", "response_format", *ENDS]
    frame = frame.with_columns(pl.when(~pl.col("_open")).then(pl.col(name)).alias(name) for name in gone)
    return frame.drop("_open").collect()


def request_tables(
    register: Register, calendar: Calendar, first: date, last: date, as_of: date, period: str, *,
    ask_within: int = ASK_WITHIN, california: Mapping[str, Sequence[str]] | None = None,
) -> list[Cells]:  # fmt: skip
    """Every table of the requests in the period from ``first`` to ``last``, from the register exported on ``as_of``.

    Measure ``requests`` (request lines); ``people`` counts cases, which are what a register without names knows of
    people. Each table's notes say what it counts. ``ask_within`` is as in ``deadlines.with_due_dates``; ``california``
    says which rights make a kind of request in the tables of 11 CCR 7102, which are made only if it is given.
    """
    day = min(last, as_of)
    known = with_due_dates(as_known(_numbered_cases(register.requests), day), calendar, ask_within).lazy()
    own = known.filter(pl.col("role") == "controller")
    make = _Maker(period)
    ended = own.filter(pl.col("ended_on").is_between(first, day))
    refused = ended.filter(pl.col("outcome").is_in(REFUSED))
    received = own.filter(pl.col("received_on") >= first)
    waiting = own.filter(pl.col("ended_on").is_null())
    extended = own.filter(pl.col("extension_notified_on") >= first)
    judged = _on_time(own, first, day).collect().lazy()
    tables = [
        make.table("requests_by_right", "Requests by right", ["right"], received, "Requests received in the period."),
        make.table(
            "requests_by_month", "Requests by month", ["month"],
            received.with_columns(month=_month("received_on")),
            "Requests by the month in which they were received.",
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
            judged,
            "Requests whose last day to answer was in the period, and those that were answered late in it. Pauses "
            "are the days in which identity or clarification was awaited (EDPB Guidelines 01/2022, para 159).",
        ),
        make.table(
            "requests_on_time_by_month", "Requests that fell due, by month", ["month", "on_time"],
            judged.with_columns(month=_month("judged_on")),
            "The same by the month of the last day to answer.",
        ),
        make.table(
            "requests_on_time_by_outcome", "Requests that fell due, by outcome", ["outcome", "on_time"],
            judged.with_columns(outcome=pl.col("outcome").cast(pl.String).fill_null("still open")),
            "The same by how they ended.",
        ),
        make.table(
            "requests_open", "Open requests, by when they fall due", ["right", "due"],
            waiting.with_columns(due=_due(day)),
            f"Requests without an answer at the end of {day}, by their last day to answer.",
        ),
        make.table(
            "requests_overdue", "Overdue requests, by how long they have been", ["overdue_for"],
            waiting.filter(_left(day) < 0).with_columns(overdue_for=_overdue_for(day)),
            f"Requests without an answer at the end of {day} whose last day to answer was before.",
        ),
        make.table(
            "requests_falling_due", "Open requests, by the month in which they fall due", ["month"],
            waiting.filter(_left(day) >= 0).with_columns(month=_month("due_credited")),
            f"Requests without an answer at the end of {day} that are not overdue.",
        ),
        make.table(
            "requests_extended", "Extensions told", ["right", "extension"],
            extended.with_columns(extension=_extension()),
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
        make.table(
            "requests_complaints", "Complaints", ["contact", "standing"], _complaints(own, first),
            "Complaints received in the period: whether the same case holds an earlier request, and where they stand.",
        ),
        make.table(
            "requests_flow", "Open requests from start to end", ["came", "went"], _flow(own, first),
            "Open at the start and received together are closed and open at the end together.",
        ),
        *_life_tables(make, own, first, day),
        make.table(
            "requests_processor", "Requests about data held for customers", ["right"],
            known.filter((pl.col("role") == "processor") & (pl.col("received_on") >= first)),
            "Received in the period as a processor (GDPR Art. 28(3)(e)); the customer answers them. In no other table.",
        ),
    ]  # fmt: skip
    for column, name in _GROUPS.items():
        by = f"by {'group of people' if name == 'group' else name}"
        tables += [
            make.table(
                f"requests_by_{name}", f"Requests {by}", [column, "open"],
                received.with_columns(open=pl.when(_closed()).then(pl.lit(CLOSED[0])).otherwise(pl.lit(CLOSED[1]))),
                f"Requests received in the period, by where they stood at the end of {day}.",
            ),
            make.table(
                f"requests_stands_by_{name}", f"Requests {by}, in detail", [column, "stands"],
                received.with_columns(stands=_stands(day)),
                f"Requests received in the period, by how they ended or stood at the end of {day}.",
            ),
            make.table(
                f"requests_extended_by_{name}", f"Extensions, {by}", [column, "extended"],
                received.with_columns(extended=_extended()),
                "Requests received in the period, by whether an extension was told.",
            ),
            make.table(
                f"requests_on_time_by_{name}", f"Requests that fell due, {by}", [column, "kept"],
                judged.with_columns(
                    kept=pl.when(pl.col("on_time") == ON_TIME[0]).then(pl.lit(KEPT[0])).otherwise(pl.lit(KEPT[1]))
                ),
                "Requests whose last day to answer was in the period, and those that were answered late in it.",
            ),
        ]  # fmt: skip
    if california:
        tables += _california(make, received, california, day)
    return [
        *tables, _calendar(calendar, first, last, period), _limits(calendar, first, last, period),
        _account(register, period),
    ]  # fmt: skip


def _numbered_cases(requests: pl.DataFrame) -> pl.DataFrame:
    """The columns that the tables need, with ``case`` (UInt32) for the case, and ``alone`` where it has one line.

    Cases of one line need not be told apart to be counted, which is most of the work of counting.
    """
    kept = requests.drop("request_id", "case_id", "country", "escalated")
    shared = repeated(requests["case_id"])
    if shared is None:
        return kept.with_columns(case=pl.lit(0, pl.UInt32), alone=pl.lit(True))
    lines = requests.select("case_id", case=pl.int_range(pl.len(), dtype=pl.UInt32)).filter(shared)
    of_case = lines.select(pl.col("case").min().over("case_id"))["case"]
    case = pl.zeros(requests.height, pl.UInt32, eager=True).scatter(shared.arg_true(), of_case)
    return kept.with_columns(case=case, alone=~shared)


@dataclass(frozen=True)
class _Maker:
    period: str

    def table(self, name: str, title: str, dimensions: list[str], rows: pl.LazyFrame, note: str) -> Cells:
        """Counts the rows and their cases, by every subset of the dimensions."""
        return self.counted(name, title, dimensions, rows, {"requests": pl.len()}, note)

    def counted(
        self, name: str, title: str, dimensions: list[str], rows: pl.LazyFrame, measures: dict[str, pl.Expr], note: str
    ) -> Cells:
        """Several counts at once, by every subset of the dimensions."""
        counts = rows.group_by(dimensions).agg(**measures, people=pl.col("alone").sum())
        # Of the cases with several lines, each counts once in every cell it is in.
        several = rows.filter(~pl.col("alone")).select(*dimensions, "case").unique()
        fine, cases = (frame.with_columns(_named(frame, dimensions)) for frame in pl.collect_all([counts, several]))
        totals = [pl.col(name).sum().cast(pl.Int64) for name in (*measures, "people")]
        parts = []
        for kept in (k for size in range(len(dimensions) + 1) for k in combinations(dimensions, size)):
            margin = [pl.lit(TOTAL).alias(d) for d in dimensions if d not in kept]
            if not kept:
                more = cases["case"].n_unique()
                parts.append(fine.select(*totals, *margin).with_columns(pl.col("people") + more))
                continue
            part = fine.group_by(kept).agg(totals)
            of_several = cases.group_by(kept).agg(more=pl.col("case").n_unique().cast(pl.Int64))
            part = part.join(of_several, on=kept, how="left").with_columns(
                pl.col("people") + pl.col("more").fill_null(0)
            )
            parts.append(part.with_columns(margin))
        columns = [*dimensions, *measures, "people"]
        frame = pl.concat([part.select(columns) for part in parts])
        frame = frame.sort([key for d in dimensions for key in (pl.col(d) == TOTAL, _order(d), pl.col(d))])
        return Cells(
            name,
            title,
            self.period,
            tuple(dimensions),
            tuple(measures),
            frame,
            (note,),
            _POPULATION.get(name, ""),
            tuple(_NESTING[d] for d in dimensions if d in _NESTING and name in _POPULATION),
            groups=_GROUPED.get(name, ()),
        )


def _named(frame: pl.DataFrame, dimensions: list[str]) -> list[pl.Expr]:
    """The categories as text; a day stands for its month (the words of a few months are made after counting)."""
    return [
        (pl.col(d).dt.strftime("%Y-%m") if frame.schema[d] == pl.Date else pl.col(d).cast(pl.String)).fill_null(
            "none recorded"
        )
        for d in dimensions
    ]


_ORDERS = {
    "right": RIGHTS, "due": DUE, "on_time": ON_TIME, "extension": EXTENSIONS, "identity": IDENTITY, "days": VERIFIED,
    "subject_group": SUBJECT_GROUPS, "reason_code": REASON_CODES, "letter": TOLD,
    "outcome": OUTCOMES, "came": CAME, "went": WENT,
    "overdue_for": OVERDUE, "stands": STANDS, "open": CLOSED, "kept": KEPT, "extended": EXTENDED,
    "contact": CONTACT, "standing": STANDING,
    "response": CALIFORNIA,
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
    free = pl.col("outcome").is_in(UNANSWERED_ENDS) & (pl.col("ended_on") <= pl.col("due_credited"))
    return ~free.fill_null(False)


def _month(day: str) -> pl.Expr:
    return pl.col(day).dt.truncate("1mo")


def _on_time(own: pl.LazyFrame, first: date, day: date) -> pl.LazyFrame:
    """The requests to be judged, with ``on_time`` and ``judged_on``: the last day to answer, pauses credited or not.

    Whoever answers late answers in some period; whose limit ran out before this one and is still open stands in the
    backlog, and was counted as late when it ran out.
    """
    ended, due, credited = pl.col("ended_on"), pl.col("due"), pl.col("due_credited")
    on_time, paused, late, overdue = (pl.lit(name, pl.Enum(ON_TIME)) for name in ON_TIME)
    how = (
        pl.when(ended <= due).then(on_time).when(ended <= credited).then(paused)
        .when(ended.is_not_null()).then(late).otherwise(overdue)
    )  # fmt: skip
    # An answer after the strict limit and within the credited one is judged on the latter's day.
    judged = pl.when((ended <= due).fill_null(False)).then(due).otherwise(credited)
    frame = own.filter(_owed()).with_columns(on_time=how, judged_on=judged)
    kept = ("right", "channel", "subject_group", "outcome", "on_time", "judged_on", "case", "alone")
    return frame.filter(pl.col("judged_on").is_between(first, day)).select(kept)


def _left(day: date) -> pl.Expr:
    return (pl.col("due_credited") - pl.lit(day)).dt.total_days()


def _overdue_for(day: date) -> pl.Expr:
    late = -_left(day)
    return (
        pl.when(late <= 7).then(pl.lit(OVERDUE[0])).when(late <= 30).then(pl.lit(OVERDUE[1]))
        .when(late <= 90).then(pl.lit(OVERDUE[2])).otherwise(pl.lit(OVERDUE[3]))
    )  # fmt: skip


def _ended() -> pl.Expr:
    outcome = pl.col("outcome").cast(pl.String)
    return (
        pl.when(outcome.is_in(REFUSED)).then(pl.lit(ENDED[1]))
        .when(outcome.is_in(UNANSWERED_ENDS)).then(pl.lit(ENDED[2])).otherwise(pl.lit(ENDED[0]))
    )  # fmt: skip


def _stands(day: date) -> pl.Expr:
    still_open = pl.when(_left(day) < 0).then(pl.lit(OPEN[1])).otherwise(pl.lit(OPEN[0]))
    return pl.when(_closed()).then(_ended()).otherwise(still_open)


def _closed() -> pl.Expr:
    return pl.col("ended_on").is_not_null()


def _extended() -> pl.Expr:
    told = pl.col("extension_notified_on").is_not_null()
    return pl.when(told).then(pl.lit(EXTENDED[0])).otherwise(pl.lit(EXTENDED[1]))


def _due(day: date) -> pl.Expr:
    left = _left(day)
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


def _complaints(own: pl.LazyFrame, first: date) -> pl.LazyFrame:
    """Complaints received since ``first``: ``contact``, whether their case holds an earlier or simultaneous request."""
    is_complaint = pl.col("right") == "complaint"
    asked = own.filter(~is_complaint, ~pl.col("alone")).group_by("case").agg(asked_on=pl.col("received_on").min())
    rows = own.filter(is_complaint, pl.col("received_on") >= first).join(asked, on="case", how="left")
    before = ~pl.col("alone") & (pl.col("asked_on") <= pl.col("received_on")).fill_null(False)
    return rows.with_columns(
        contact=pl.when(before).then(pl.lit(CONTACT[0])).otherwise(pl.lit(CONTACT[1])),
        standing=pl.when(pl.col("ended_on").is_null()).then(pl.lit(STANDING[1])).otherwise(pl.lit(STANDING[0])),
    )


def _flow(own: pl.LazyFrame, first: date) -> pl.LazyFrame:
    """Requests that were open at some time in the period, by where they came from and where they went."""
    before, ended = pl.col("received_on") < first, pl.col("ended_on")
    return own.filter(ended.is_null() | (ended >= first)).with_columns(
        came=pl.when(before).then(pl.lit(CAME[0])).otherwise(pl.lit(CAME[1])),
        went=pl.when(ended.is_null()).then(pl.lit(WENT[1])).otherwise(pl.lit(WENT[0])),
    )


_WAITED = {
    "answered": pl.col("answered").sum(),
    "ended_otherwise": pl.col("other").sum(),
    "still_open": pl.col("still").sum(),
}
"""Their sum is no measure: whoever has a sum and two of its parts has the third."""


def _life_tables(make: _Maker, own: pl.LazyFrame, first: date, day: date) -> list[Cells]:
    """How long people wait: by whole days, how many were answered, ended otherwise, or are still open.

    Of the requests received in the twelve months up to ``day``, or in the period where that is longer; and of the
    identity checks begun then.
    """
    since = min(first, day.replace(year=day.year - 1, day=min(day.day, 28)) + timedelta(days=1))
    end = pl.col("ended_on").fill_null(pl.lit(day))
    other = pl.col("outcome").is_in(UNANSWERED_ENDS).fill_null(False)
    still = pl.col("ended_on").is_null()
    waited = own.filter(pl.col("received_on") >= since).with_columns(
        day=(end - pl.col("received_on")).dt.total_days(), answered=~still & ~other, other=other, still=still
    )
    shown = pl.col("identity_received_on").is_not_null()
    # Whoever was asked, did not answer, and whose request then ended: an end that competes with the answer.
    over = pl.when(~still).then(pl.max_horizontal("ended_on", "identity_requested_on"))
    until = pl.coalesce("identity_received_on", over, pl.lit(day))
    asked = own.filter(pl.col("identity_requested_on") >= since).with_columns(
        day=(until - pl.col("identity_requested_on")).dt.total_days(),
        answered=shown, other=~shown & ~still, still=~shown & still,
    )  # fmt: skip
    note = (
        f"Of the requests received from {since} to {day}: days from receipt to the answer, to another end (withdrawn, "
        f"merged, misdirected), or to {day} for those still open."
    )
    asked_note = (
        f"Of the identity checks begun from {since} to {day}: days from asking to the person's answer, to the end of "
        f"the request without one, or to {day} for those still awaited."
    )
    return [
        make.counted("requests_waiting", "Days to an answer", ["day"], waited, _WAITED, note),
        make.counted(
            "requests_waiting_by_right", "Days to an answer, by right", ["right", "day"], waited, _WAITED, note
        ),
        make.counted("requests_identity_waiting", "Days to confirm an identity", ["day"], asked, _WAITED, asked_note),
    ]


def _california(
    make: _Maker, received: pl.LazyFrame, kinds: Mapping[str, Sequence[str]], day: date
) -> list[Cells]:  # fmt: skip
    """The counts that 11 CCR 7102 asks for, of the requests received in the period, for all individuals."""
    kind = (
        pl.col("right")
        .cast(pl.String)
        .replace_strict(
            {right: name for name, rights in kinds.items() for right in rights}, default=None, return_dtype=pl.String
        )
    )
    outcome, reason = pl.col("outcome").cast(pl.String), pl.col("reason_code").cast(pl.String)
    exempt = ("others_rights", "legal_duty", "legal_claims", "expression", "public_interest", "art20_conditions",
              "compelling_grounds", "investigation", "reporting_reconciliation")  # fmt: skip
    response = (
        pl.when(outcome.is_null()).then(pl.lit(CALIFORNIA[5]))
        .when(outcome.is_in(["fulfilled", "no_data"])).then(pl.lit(CALIFORNIA[0]))
        .when(outcome == "partial").then(pl.lit(CALIFORNIA[1]))
        .when(outcome.is_in(UNANSWERED_ENDS)).then(pl.lit(CALIFORNIA[6]))
        .when((outcome == "not_identified") | (reason == "identity_not_shown").fill_null(False))
        .then(pl.lit(CALIFORNIA[2]))
        .when(reason.is_in(exempt)).then(pl.lit(CALIFORNIA[3])).otherwise(pl.lit(CALIFORNIA[4]))
    )  # fmt: skip
    rows = received.with_columns(kind=kind, response=response).filter(pl.col("kind").is_not_null())
    still, other = pl.col("ended_on").is_null(), outcome.is_in(UNANSWERED_ENDS).fill_null(False)
    waited = rows.with_columns(
        day=(pl.col("ended_on").fill_null(pl.lit(day)) - pl.col("received_on")).dt.total_days(),
        answered=~still & ~other, other=other, still=still,
    )  # fmt: skip
    note = (
        "Requests received in the period, of all individuals, by kind as 11 CCR 7102(a)(1) has them. That no data is "
        "held counts as complied with."
    )
    return [
        make.table("requests_california", "Requests as California counts them", ["kind", "response"], rows, note),
        make.counted(
            "requests_california_waiting", "Days to respond, as California counts", ["kind", "day"], waited, _WAITED,
            "Days from receipt to the response; open requests count for as long as they were seen.",
        ),
    ]  # fmt: skip


def _calendar(calendar: Calendar, first: date, last: date, period: str) -> Cells:
    """The days off on which a limit of one month ended in the period, so that it moved to the next working day."""
    moved = moved_days(calendar, first, last)
    total = pl.DataFrame({"day_off": [TOTAL], "receipt_days": [moved["receipt_days"].sum()]})
    frame = pl.concat([moved, total.cast({"receipt_days": pl.Int64})])
    note = "Days of receipt whose nominal last day was a weekend or one of these holidays (Reg. 1182/71 Art. 3(4))."
    return Cells(
        "requests_calendar", "Days off that moved a due date", period, ("day_off",), ("receipt_days",), frame, (note,)
    )


def _limits(calendar: Calendar, first: date, last: date, period: str) -> Cells:
    """The days of receipt of the period whose limit does not end on the same date of the next month, in words."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    dues = [(day, due_date(day, ONE_MONTH, calendar)) for day in days]
    moved = {explain(day, calendar): (due - day).days for day, due in dues if due.day != day.day}
    frame = pl.DataFrame(
        {"why": list(moved), "days_to_answer": list(moved.values())},
        schema={"why": pl.String, "days_to_answer": pl.Int64},
    )
    note = "All other days of the period run out on the same date of the next month."
    return Cells(
        "requests_limits", "When an answer is due, where not on the same date", period, ("why",), ("days_to_answer",),
        frame, (note,),
    )  # fmt: skip


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


def waiting(release: Release, confidence: float = 0.95, **group: str) -> Waiting | None:
    """The course of waiting from a life table; None where a day of it is withheld or it is empty.

    ``group`` chooses one category of a life table by further dimensions: ``waiting(by_right, right="access")``.

    The Aalen-Johansen estimate: open requests are censored at their age, and a request that ended without an answer
    competes with one that was answered. Without such ends it is one minus the Kaplan-Meier estimate, with Greenwood's
    variance. The band is log-log (Kalbfleisch and Prentice, 1980), by the delta method for the variance (Marubini and
    Valsecchi, 1995, sec. 10.2).
    """
    others = [pl.col(d) == group.get(d, TOTAL) for d in release.dimensions if d != "day"]
    rows = release.frame.filter(pl.col("day") != TOTAL, *others)
    if not rows.height or rows["withheld"].any():
        return None
    counts = pl.col("answered"), pl.col("ended_otherwise"), pl.col("still_open")
    leaving = pl.sum_horizontal(counts).alias("leaving")
    table = sorted(rows.select(pl.col("day").cast(pl.Int64), leaving, *counts).iter_rows())
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


CHANCE = 0.0027
"""How seldom chance alone may give what is called a change: what three standard deviations leave out."""


def differs(now: int, before: int, days: int = 1, days_before: int = 1) -> float:
    """How probable two counts at least so unlike are, if the rate per day did not change (a p-value).

    The exact conditional test of two Poisson counts (Przyborowski and Wilenski, 1940). Below CHANCE it is a change.
    """
    from scipy.stats import binomtest

    return float(binomtest(now, now + before, days / (days + days_before)).pvalue) if now + before else 1.0


def shares_differ(part: int, whole: int, part_before: int, whole_before: int) -> float:
    """The same of two shares (Fisher's exact test)."""
    from scipy.stats import fisher_exact

    table = [[part, whole - part], [part_before, whole_before - part_before]]
    return float(fisher_exact(table)[1])  # pyright: ignore[reportArgumentType]


def forecast(counts: Sequence[int], confidence: float = 0.95) -> tuple[float, int, int]:
    """The expected count of the next month, and between which values it lies, from the months before.

    The mean's own uncertainty is in the interval. Months that differ more than chance lets them (a campaign, a price
    letter) widen it: the variance is that of the months where it is above the mean. Quantiles are those of the negative
    binomial distribution with this mean and variance. Raises ValueError for fewer than two months.
    """
    from scipy.stats import nbinom

    if len(counts) < 2:
        raise ValueError("a forecast needs two months or more")
    mean = sum(counts) / len(counts)
    if not mean:
        return 0.0, 0, 0
    spread = sum((n - mean) ** 2 for n in counts) / (len(counts) - 1)
    variance = max(spread, mean) * (1 + 1 / len(counts))
    low, high = nbinom.ppf(
        [(1 - confidence) / 2, (1 + confidence) / 2], mean * mean / (variance - mean), mean / variance
    )
    return mean, int(low), int(high)

"""The law's calendar: when a period in months ends, on which day an answer is due, and why.

Sources: Regulation (EEC, Euratom) No 1182/71 Art. 3 (periods), Case C-171/03 *Toeters* (a period ends on the date or
weekday of the *event* itself, not of the day after it), GDPR Art. 12(3)-(4) (one month, two further months, refusals),
EDPB Guidelines 01/2022 paras 157-164 (receipt, suspension, working days).

All days are local calendar dates of the controller; what arrives or leaves on a day counts for the whole day.

>>> explain(date(2026, 1, 31), Calendar("FI"))
'received Sat 31 Jan 2026; one month ends on Sat 28 Feb, a Saturday; next working day Mon 2 Mar'
"""

from __future__ import annotations

import calendar as _calendar
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import cast

import holidays as _holidays
import polars as pl

from .params import WorkbookError

ONE_MONTH, EXTENDED = 1, 3
"""Months to answer: one; with an extension three from receipt in one step (GDPR Art. 12(3); tietosuoja.fi)."""

ASK_WITHIN = 5
"""Working days from receipt in which identity or clarification must be asked for its pause to be credited.

EDPB 01/2022 para 159 says "without undue delay" and gives no number: this one is a policy, not law.
"""

WITHOUT_EXTENSION = ("refused", "not_identified")
"""Outcomes that no extension covers: no action was taken, and Art. 12(4) gives one month for saying so."""

# The library counts these as public, but they are free by collective agreement only; Act 150/1930 sec. 5 concerns
# courts and authorities. Dropping them gives the earlier date, which is the safe one.
_NOT_BY_LAW = {"FI": ("Midsummer Eve", "Christmas Eve")}

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {1: "one month ends", 2: "two months end", 3: "three months end"}


class CalendarError(WorkbookError):
    """A country, or a part of one, whose public holidays are not known."""


@dataclass(frozen=True)
class Calendar:
    """The public holidays of the controller's country (Reg. 1182/71 Art. 2(1)); ``day in calendar`` asks for one.

    ``country`` is an ISO 3166-1 alpha-2 code, ``subdivision`` a part of it with holidays of its own (``holidays``'
    code), ``extra`` further days with their names. ``eves`` counts Finland's Midsummer Eve and Christmas Eve as
    holidays, which by law they are not. Raises CalendarError for a country or part that ``holidays`` does not know.
    """

    country: str
    subdivision: str | None = None
    eves: bool = False
    extra: Mapping[date, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        self.days(2026, 2026)

    def days(self, first: int, last: int) -> dict[date, str]:
        """The public holidays of the years ``first`` to ``last``, in order, with their English names."""
        found = dict(_public(self.country, self.subdivision, self.eves, first, last))
        found.update((day, name) for day, name in self.extra.items() if first <= day.year <= last)
        return dict(sorted(found.items()))

    def name(self, day: date) -> str | None:
        """The name of the public holiday on ``day``; None if it is none."""
        return self.extra.get(day) or _public(self.country, self.subdivision, self.eves, day.year, day.year).get(day)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.name(day) is not None

    def working_days(self, first: date, last: date) -> pl.DataFrame:
        """Every day from ``first`` to ``last``: ``day`` (Date), ``working`` (Boolean), ``rolled`` (Date).

        Working days are all days but Saturdays, Sundays and public holidays (Art. 2(2)); ``rolled`` is the day itself
        or the next working day (Art. 3(4)).
        """
        # No run of days off comes near 60 days, so the last day finds its next working day inside the frame.
        days = pl.date_range(first, last + timedelta(days=60), eager=True).alias("day")
        free = pl.Series(list(self.days(first.year, last.year + 1)), dtype=pl.Date)
        working = (pl.col("day").dt.weekday() < 6) & ~pl.col("day").is_in(free.implode())
        table = days.to_frame().with_columns(working=working)
        rolled = pl.when("working").then("day").fill_null(strategy="backward")
        return table.with_columns(rolled=rolled).filter(pl.col("day") <= last)


@lru_cache(maxsize=512)
def _public(country: str, subdivision: str | None, eves: bool, first: int, last: int) -> dict[date, str]:
    years = range(first, last + 1)
    try:
        found = _holidays.country_holidays(country, subdiv=subdivision, years=years, language="en_US")
    except NotImplementedError:
        part = f", part {subdivision!r}" if subdivision else ""
        raise CalendarError(
            f"organisation.country: no public holidays are known of {country!r}{part}; "
            "write an ISO 3166-1 alpha-2 code such as FI"
        ) from None
    dropped = () if eves else _NOT_BY_LAW.get(country, ())
    return {day: name for day, name in found.items() if name not in dropped}


# ---- one request ----------------------------------------------------------------------------------------------------


def period_end(event: date, months: int = 0, days: int = 0) -> date:
    """The nominal last day of a period of ``months`` and then ``days`` that runs from ``event``.

    It falls on the same date as the event; where the month has no such date, on its last day (Reg. 1182/71
    Art. 3(2)(c), *Toeters*). A week is seven days: it ends on the weekday of the event.
    """
    year, month = divmod(event.year * 12 + event.month - 1 + months, 12)
    last = _calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(event.day, last)) + timedelta(days=days)


def is_working_day(day: date, holidays: Container[date]) -> bool:
    """Whether ``day`` is no Saturday, no Sunday and not among ``holidays`` (Reg. 1182/71 Art. 2(2))."""
    return day.weekday() < 5 and day not in holidays


def roll_forward(day: date, holidays: Container[date]) -> date:
    """``day``, or the next working day where it is none (Reg. 1182/71 Art. 3(4))."""
    while not is_working_day(day, holidays):
        day += timedelta(days=1)
    return day


def add_working_days(day: date, n: int, holidays: Container[date]) -> date:
    """The ``n``-th working day after ``day``."""
    for _ in range(n):
        day = roll_forward(day + timedelta(days=1), holidays)
    return day


def due_date(received: date, months: int, holidays: Container[date], credited: int = 0) -> date:
    """The last day to answer a request received on ``received``: ``months`` from receipt, rolled forward once.

    ``holidays`` is a Calendar or any collection of dates. ``credited`` days of pauses move the nominal end before it is
    rolled (EDPB 01/2022 para 159; 0 for the strict date).
    """
    return roll_forward(period_end(received, months, credited), holidays)


def credited_days(
    received: date,
    pauses: list[tuple[date | None, date | None]],
    holidays: Container[date],
    ask_within: int = ASK_WITHIN,
) -> int:
    """Days of pauses to credit: from asked to answered, of each pause that was asked for without undue delay.

    A pause counts only with both dates, and only if asked by the ``ask_within``-th working day after receipt. Days that
    two pauses share count once. (EDPB 01/2022 para 159 and example 31: "there may be a suspension in time".)
    """
    latest = add_working_days(received, ask_within, holidays)
    days = {
        asked + timedelta(days=n)
        for asked, answered in pauses
        if asked is not None and answered is not None and asked <= latest
        for n in range((answered - asked).days)
    }
    return len(days)


def explain(received: date, holidays: Container[date], months: int = ONE_MONTH, credited: int = 0) -> str:
    """Why the due date of a request is what it is, in words: receipt, nominal end, pauses, and what it rolls over."""
    nominal = period_end(received, months, credited)
    plain = period_end(received, months)
    period = _NUMBERS.get(months, f"{months} months end")
    words = f"received {_say(received)} {received.year}; {period} on {_say(plain, received)}"
    if credited:
        words += f"; {credited} {'day' if credited == 1 else 'days'} of pauses move it to {_say(nominal, received)}"
    due = roll_forward(nominal, holidays)
    if due != nominal:
        return f"{words}, {_why_free(nominal, holidays)}; next working day {_say(due, received)}"
    return words + (", the last day of that month" if plain.day != received.day and not credited else "")


def _say(day: date, since: date | None = None) -> str:
    year = f" {day.year}" if since is not None and day.year != since.year else ""
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month]}{year}"


def _why_free(day: date, holidays: Container[date]) -> str:
    names = [("a Saturday", "a Sunday")[day.weekday() - 5]] if day.weekday() > 4 else []
    if day in holidays:
        names.append((holidays.name(day) if isinstance(holidays, Calendar) else None) or "a public holiday")
    return " and ".join(names)


# ---- millions of requests -------------------------------------------------------------------------------------------


def due_dates(received: pl.Series, months: int, calendar: Calendar, credited: pl.Series | None = None) -> pl.Series:
    """``due_date`` of every date in ``received`` (Date; null stays null); ``credited`` are days of pauses (Int32)."""
    if (span := _span(received)) is None:
        return received
    # Tables over the whole span, indexed by the number of the day: no row asks the calendar by itself. ``offset_by``
    # keeps to the month's end, as Art. 3(2)(c) does.
    ends = pl.date_range(*span, eager=True).dt.offset_by(f"{months}mo").to_physical()
    nominal = ends.gather(received.to_physical() - _number(span[0]))
    if credited is not None:
        nominal = nominal + credited
    first, last = _span(nominal.cast(pl.Date)) or span
    rolled = calendar.working_days(first, last)["rolled"]
    return rolled.gather(nominal - _number(first)).alias(received.name)


def moved_days(calendar: Calendar, first: date, last: date) -> pl.DataFrame:
    """The days off from ``first`` to ``last``, and how many limits of one month they move to the next working day.

    Columns: ``day_off`` (String: each public holiday, then Saturdays and Sundays together), ``receipt_days`` (Int64:
    the days of receipt whose month ends there).
    """
    received = pl.date_range(first - timedelta(days=31), last, eager=True).alias("received")
    ends = (
        received.to_frame()
        .select(day=pl.col("received").dt.offset_by("1mo"))
        .filter(pl.col("day").is_between(first, last))
    )
    counts = dict(ends.group_by("day").len().iter_rows())
    holidays = [day for day in calendar.days(first.year, last.year) if first <= day <= last]
    rows = [(f"{_say(day)} {day.year}: {calendar.name(day)}", counts.get(day, 0)) for day in holidays]
    weekends = sum(n for day, n in counts.items() if day.weekday() > 4 and day not in holidays)
    schema = {"day_off": pl.String, "receipt_days": pl.Int64}
    return pl.DataFrame([*rows, ("Saturdays and Sundays", weekends)], schema=schema, orient="row")


def latest_asks(received: pl.Series, within: int, calendar: Calendar) -> pl.Series:
    """``add_working_days`` of every date in ``received`` (Date): the last day on which asking was in time."""
    if (span := _span(received)) is None:
        return received
    first, last = span
    table = calendar.working_days(first, last + timedelta(days=60 + 3 * within))
    working = table.filter("working")["day"]
    after = table["working"].cum_sum().cast(pl.UInt32)  # working days up to and with this one: the index of the next
    found = working.gather(after.head((last - first).days + 1) + (within - 1))
    return found.gather(received.to_physical() - _number(first)).alias(received.name)


def with_due_dates(requests: pl.DataFrame, calendar: Calendar, ask_within: int = ASK_WITHIN) -> pl.DataFrame:
    """``requests`` with their due dates, strictly and with pauses credited.

    Needs the columns received_on, identity_requested_on, identity_received_on, clarification_requested_on,
    clarification_received_on, extension_notified_on (Date) and outcome (String or Enum, null while open). Adds:

    - ``first_due`` (Date): one month from receipt
    - ``paused_days`` (Int32): days of pauses credited, as ``credited_days`` counts them
    - ``first_due_credited`` (Date): ``first_due`` with them
    - ``months`` (Int8): 3 where an extension counts, else 1; ``months_credited`` likewise. An extension counts if the
      person was told by the first due date (Art. 12(3)), and never for a refusal (Art. 12(4))
    - ``due``, ``due_credited`` (Date): the last day to answer
    """
    received, told = requests["received_on"], requests["extension_notified_on"]
    latest = latest_asks(received, ask_within, calendar)
    paused = requests.select(paused_days=_credited(latest))["paused_days"]
    first = due_dates(received, ONE_MONTH, calendar)
    # Few requests are paused, and few extended: only theirs differ from the first due date.
    some, credited = (paused != 0).arg_true(), first
    if some.len():
        credited = first.clone().scatter(
            some, due_dates(received.gather(some), ONE_MONTH, calendar, paused.gather(some))
        )
    frame = requests.with_columns(
        first_due=first, paused_days=paused, first_due_credited=credited.alias("first_due_credited")
    )
    extendable = ~requests["outcome"].is_in(list(WITHOUT_EXTENSION)).fill_null(False)
    for suffix, one in (("", first), ("_credited", credited)):
        counts = (extendable & (told <= one)).fill_null(False)
        longer, due = counts.arg_true(), one
        if longer.len():
            days = paused.gather(longer) if suffix else None
            due = one.clone().scatter(longer, due_dates(received.gather(longer), EXTENDED, calendar, days))
        months = pl.Series([ONE_MONTH, EXTENDED], dtype=pl.Int8).gather(counts.cast(pl.UInt32))
        frame = frame.with_columns(months.alias(f"months{suffix}"), due.alias(f"due{suffix}"))
    return frame


def deadline_table(requests: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """Every request's due dates in words, from the answer of ``with_due_dates``; rows in the same order.

    Columns: request_id, received_on, due (Date), why (String), due_credited (Date), why_credited (String). It is about
    single requests, so it stays in the confidential zone.
    """
    frame = requests
    for name, months, days in (
        ("why", "months", pl.lit(0, pl.Int32)),
        ("why_credited", "months_credited", pl.col("paused_days")),
    ):
        frame = frame.with_columns(_days=days)
        keys = ["received_on", months, "_days"]
        distinct = frame.select(keys).unique().drop_nulls()
        words = [explain(received, calendar, n, credited) for received, n, credited in distinct.iter_rows()]
        answers = distinct.with_columns(pl.Series(name, words, dtype=pl.String))
        frame = frame.join(answers, on=keys, how="left", maintain_order="left")
    return frame.select("request_id", "received_on", "due", "why", "due_credited", "why_credited")


def _credited(latest: pl.Series) -> pl.Expr:
    """``credited_days`` of the two pauses of a row."""
    spans = []
    for what in ("identity", "clarification"):
        asked, answered = pl.col(f"{what}_requested_on"), pl.col(f"{what}_received_on")
        counts = answered.is_not_null() & (asked <= latest)
        spans.append((pl.when(counts).then(asked), pl.when(counts).then(answered)))
    (a, b), (c, d) = spans
    length = _days(b - a).fill_null(0) + _days(d - c).fill_null(0)
    both = a.is_not_null() & c.is_not_null()
    shared = pl.when(both).then(_days(pl.min_horizontal(b, d) - pl.max_horizontal(a, c)).clip(0)).otherwise(0)
    return (length - shared).cast(pl.Int32)


def _days(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_days().cast(pl.Int32)


def _span(days: pl.Series) -> tuple[date, date] | None:
    """The first and the last of ``days``; None where there is none."""
    known = days.drop_nulls()
    return (cast("date", known.min()), cast("date", known.max())) if known.len() else None


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days

"""What a control is, how its cases become a verdict, and the registry of controls.

A control is a function of registers that gives its *cases*: a frame with one row per case of the population and the
columns ``row`` (UInt32: the row in the source of the control's first register), ``on`` (Date: when it happened, or
since when it is wrong), one Boolean per layer that the control speaks for (``notice``, ``law``, ``policy``: is it an
exception?), and where they apply ``unknown`` (Boolean: the register does not say), ``warns`` (Boolean: no exception
yet, but a due date inside the warning window) and ``subject`` (UInt64: the person). A control that speaks for no layer
is a measure: it gives ``Figures``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ..deadlines import Calendar
from ..notice import LAYERS, Layer, Notice, Promise
from ..params import Period
from ..registers import REGISTERS

Verdict = Literal["kept", "at risk", "broken", "no evidence", "not applicable"]
VERDICTS: tuple[Verdict, ...] = ("kept", "at risk", "broken", "no evidence", "not applicable")


@dataclass(frozen=True)
class Scope:
    """What a control may know besides its registers: the period, the company's calendar and notice, the day reached."""

    period: Period
    zone: str
    calendar: Calendar
    notice: Notice
    as_of: date
    """The day of the export: the earliest one among the control's registers."""
    warning: int = 30

    @property
    def day(self) -> date:
        """The day that a state is judged on: the period's last, or the day of the export if that is earlier."""
        return min(self.period.last, self.as_of)

    @property
    def soon(self) -> date:
        """The last day of the warning window."""
        return self.day + timedelta(days=self.warning)

    def within(self, column: str) -> pl.Expr:
        """Whether a date, or a time in UTC, falls in the period, as the company's midnight has it."""
        return self.local(column).is_between(self.period.first, self.period.last)

    def times_within(self, column: str) -> pl.Expr:
        """``within`` for a time in UTC, as a comparison of times: fast for millions of rows."""
        zone = ZoneInfo(self.zone)
        days = (self.period.first, self.period.end)
        first, end = (datetime(d.year, d.month, d.day, tzinfo=zone).astimezone(UTC) for d in days)
        return pl.col(column).is_between(first, end, closed="left")

    def local(self, column: str) -> pl.Expr:
        """The company's calendar date of a time in UTC; a date as it is."""
        if column.endswith("_on"):
            return pl.col(column)
        return pl.col(column).dt.convert_time_zone(self.zone).dt.date()


@dataclass(frozen=True)
class Figures:
    """What a control that passes no verdict reports: a population and counts by name.

    One named ``two-factor of accounts`` is a part of the one named ``accounts``, and shown with its share; one named
    ``days per answered`` is a sum over ``answered``, and shown with its average. Behind a sum stand the people whom
    ``people`` says; behind another figure, as many as it counts.
    """

    population: int
    counts: dict[str, int]
    people: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Control:
    """A control by name: what its exceptions are, the registers it reads, the layers it speaks for, its options.

    ``risk`` says what besides a due date that is near puts a promise at risk; empty for none.
    """

    name: str
    exceptions: str
    about: Literal["people", "things"]
    layers: tuple[Layer, ...]
    registers: tuple[str, ...]
    options: type[BaseModel]
    cases: Callable[..., pl.DataFrame | Figures]
    measure: bool
    risk: str = ""


CONTROLS: dict[str, Control] = {}
"""Every control by name."""


def control(
    name: str, exceptions: str, *layers: Layer, about: Literal["people", "things"] = "people", risk: str = ""
) -> Any:
    """Registers a function as the control ``name``; without layers, it is a measure.

    Its arguments are the scope, then the registers that it reads, each by its schema's name; keyword arguments are its
    options, with their defaults.
    """

    def register(cases: Callable[..., pl.DataFrame | Figures]) -> Callable[..., pl.DataFrame | Figures]:
        signature = inspect.signature(cases, eval_str=True).parameters.values()
        reads = tuple(p.name for p in signature if p.kind is not p.KEYWORD_ONLY)[1:]
        given = {p.name: (p.annotation, p.default) for p in signature if p.kind is p.KEYWORD_ONLY}
        assert name not in CONTROLS, name
        assert set(reads) <= set(REGISTERS), name
        options = create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **given)  # type: ignore[call-overload]
        CONTROLS[name] = Control(name, exceptions, about, layers, reads, options, cases, not layers, risk)
        return cases

    return register


def fault(promise: Promise, sources: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with how a promise is to be measured: the field and the reason; None if nothing.

    ``sources`` has the schema's name of every register under ``sources.registers``.
    """
    found = CONTROLS.get(promise.control)
    if found is None:
        return "control", f"is {promise.control!r}; there is no such control; there are {', '.join(sorted(CONTROLS))}"
    known = {**{name: name for name in REGISTERS}, **sources}
    for name in promise.registers:
        if name not in known:
            return "registers", f"{name!r} is no register; there are {', '.join(known)}"
    if tuple(known[name] for name in promise.registers) != found.registers:
        order = ", ".join(found.registers)
        return "registers", f"are {', '.join(promise.registers)}; the control {found.name} reads {order}, in this order"
    try:
        found.options(**promise.options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if name not in found.options.model_fields:
            has = ", ".join(found.options.model_fields) or "none"
            return "options", f"{name!r} is no option of the control {found.name}; it has {has}"
        return f"options.{name}", f"is {first['input']!r}; {first['msg']}"
    return None


# ---- results --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """A register as a control finds it; without a ``frame``, ``problem`` says why."""

    name: str
    frame: pl.DataFrame | None = None
    as_of: date | None = None
    problem: str = "there is none among the sources"
    excluded: int = 0
    """Rows that contradict themselves and were left out."""
    may_be_empty: bool = False

    @property
    def rows(self) -> int:
        return 0 if self.frame is None else self.frame.height


@dataclass(frozen=True)
class Finding:
    """What a layer has to say: its verdict, how many exceptions, and since when (the first one's date)."""

    verdict: Verdict
    exceptions: int = 0
    since: date | None = None


@dataclass(frozen=True)
class Result:
    """How a promise fared in a period.

    ``layers`` has a finding for each layer that the control speaks for; a measure has ``figures`` instead. ``people``
    counts the distinct people: all, and by layer (``any``: in one or another) those of the exceptions and of the other
    cases; of a measure, those behind the figures that are sums. ``rows`` (columns register, row, layer, on) are the
    exceptions themselves: they stay in the confidential zone.
    """

    promise: str
    control: str
    period: str
    about: Literal["people", "things"]
    population: int
    layers: Mapping[Layer, Finding]
    evidence: tuple[tuple[str, int, date | None], ...]
    """Register, rows, and the day of its export."""
    wrong: int = 0
    """Cases that are an exception in one layer or another."""
    unknown: int = 0
    warnings: int = 0
    unreadable: int = 0
    reason: str = ""
    """Why there is no evidence, or why it is not whole."""
    figures: dict[str, int] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    rows: pl.DataFrame = field(default_factory=lambda: EXCEPTIONS.clear(), repr=False, compare=False)


EXCEPTIONS = pl.DataFrame(schema={"register": pl.String, "row": pl.UInt32, "layer": pl.String, "on": pl.Date})
CASES: dict[str, Any] = {
    "row": pl.UInt32, "on": pl.Date, **dict.fromkeys(LAYERS, pl.Boolean), "unknown": pl.Boolean, "warns": pl.Boolean,
    "subject": pl.UInt64,
}  # fmt: skip


def evaluate(
    notice: Notice, period: Period, registers: Mapping[str, Evidence], zone: str, calendar: Calendar
) -> list[Result]:
    """How every promise fared in ``period``, in the notice's order. ``registers`` by the names the promises use."""
    return [_evaluate(promise, notice, period, registers, zone, calendar) for promise in notice.promises]


def _evaluate(
    promise: Promise, notice: Notice, period: Period, registers: Mapping[str, Evidence], zone: str, calendar: Calendar
) -> Result:
    found = CONTROLS[promise.control]
    read = [registers.get(name, Evidence(name)) for name in promise.registers]
    evidence = tuple((e.name, e.rows, e.as_of) for e in read)
    unreadable = sum(e.excluded for e in read)

    def without(verdict: Verdict, reason: str, population: int = 0) -> Result:
        layers: dict[Layer, Finding] = {layer: Finding(verdict) for layer in _layers(promise, found)}
        return Result(
            promise.id, found.name, period.label, found.about, population, layers, evidence, unreadable=unreadable,
            reason=reason,
        )  # fmt: skip

    if reason := _missing(read, period):
        return without("no evidence", reason)
    days = [e.as_of for e in read if e.as_of is not None]
    scope = Scope(period, zone, calendar, notice, min(days, default=period.last), promise.warning)
    frames = [e.frame for e in read]
    cases = found.cases(scope, *frames, **found.options(**promise.options).model_dump())
    population = cases.population if isinstance(cases, Figures) else cases.height
    if population < max(promise.expected, 1):
        if promise.expected:
            return without(
                "no evidence", f"{population} cases, where at least {promise.expected} are expected", population
            )
        return without("not applicable", "no case in the period")
    if isinstance(cases, Figures):
        return Result(
            promise.id, found.name, period.label, found.about, population, {}, evidence, unreadable=unreadable,
            figures=cases.counts, people=cases.people,
        )  # fmt: skip
    return _judged(promise, found, scope, _whole(cases, found), evidence, unreadable)


def _layers(promise: Promise, found: Control) -> tuple[Layer, ...]:
    """The layers that a control speaks for; on a duty that only the law knows, the notice has no words to break."""
    return found.layers if promise.quote else tuple(layer for layer in found.layers if layer != "notice")


def _missing(read: list[Evidence], period: Period) -> str:
    """Why registers are no evidence; empty if they are."""
    for register in read:
        if register.frame is None:
            return f"{register.name}: {register.problem}"
        if not register.rows and not register.may_be_empty:
            return f"{register.name}: is empty"
        if register.as_of is not None and register.as_of < period.first:
            return f"{register.name}: was exported on {register.as_of}, before the period began"
    return ""


def _whole(cases: pl.DataFrame, found: Control) -> pl.DataFrame:
    """The cases with every column; one that the control does not speak of is null."""
    assert set(found.layers) <= set(cases.columns), f"{found.name} says nothing of {found.layers}"
    return cases.select(
        *((pl.col(n) if n in cases.columns else pl.lit(None)).cast(dtype).alias(n) for n, dtype in CASES.items())
    ).with_columns(pl.col(*found.layers, "unknown", "warns").fill_null(False))


def _judged(
    promise: Promise, found: Control, scope: Scope, cases: pl.DataFrame, evidence: Any, unreadable: int
) -> Result:  # fmt: skip
    unknown, warnings = int(cases["unknown"].sum()), int(cases["warns"].sum())
    running = scope.as_of < scope.period.last
    counted = "subject" in cases.columns and cases["subject"].null_count() < cases.height
    spoken = _layers(promise, found)
    any_ = pl.any_horizontal(spoken)
    people = {"all": _people(cases, counted)}
    people["any: exceptions"] = _people(cases.filter(any_), counted)
    people["any: others"] = _people(cases.filter(~any_), counted)
    layers: dict[Layer, Finding] = {}
    rows = []
    for layer in spoken:
        wrong = cases.filter(pl.col(layer))
        people[f"{layer}: exceptions"] = _people(wrong, counted)
        people[f"{layer}: others"] = _people(cases.filter(~pl.col(layer)), counted)
        tolerance = Decimal(0) if layer == "law" else Decimal(str(promise.tolerance))
        if wrong.height > tolerance * cases.height:
            verdict: Verdict = "broken"
        elif unknown:
            verdict = "no evidence"
        elif warnings or unreadable or running:
            verdict = "at risk"
        else:
            verdict = "kept"
        since = wrong["on"].min()
        layers[layer] = Finding(verdict, wrong.height, since if isinstance(since, date) else None)
        rows.append(wrong.select(register=pl.lit(promise.registers[0]), row="row", layer=pl.lit(layer), on="on"))
    reasons = [
        f"the register does not say in {unknown:,} cases" if unknown else "",
        f"{unreadable:,} rows contradict themselves and could not be tested" if unreadable else "",
        f"exported on {scope.as_of}, before the period ended" if running else "",
    ]
    return Result(
        promise.id, found.name, scope.period.label, found.about, cases.height, layers, evidence,
        cases.filter(any_).height, unknown, warnings, unreadable, "; ".join(filter(None, reasons)), {}, people,
        pl.concat([EXCEPTIONS, *rows]).sort("layer", "row"),
    )  # fmt: skip


def _people(cases: pl.DataFrame, counted: bool) -> int:
    """Distinct people of the cases; a control that names none has one person a case."""
    return cases["subject"].n_unique() if counted else cases.height

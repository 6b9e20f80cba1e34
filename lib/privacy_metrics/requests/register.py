"""The register of requests: its schema, declared once, and reading it from CSV, Parquet and XLSX.

A register holds one row per *request line*: a message that asks for access and erasure is one case and two lines.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ..params import WorkbookError

MOST = 20
"""How many problems of a register one error lists."""
LONGEST = 40
"""How many characters an unknown code may have to be quoted in an error."""


@dataclass(frozen=True)
class Column:
    """A column of the schema; ``required`` says that every row must have a value."""

    name: str
    kind: Literal["text", "enum", "country", "boolean", "date", "moment", "time", "number", "code", "codes"]
    doc: str
    required: bool = False
    allowed: tuple[str, ...] = ()

    @property
    def dtype(self) -> pl.DataType | type[pl.DataType]:
        """The type in the frame that the readers give."""
        if self.kind == "enum":
            return pl.Enum(self.allowed)
        return {
            "boolean": pl.Boolean, "date": pl.Date, "moment": pl.Date, "time": pl.Datetime("us", "UTC"),
            "number": pl.Int64, "codes": pl.List(pl.String),
        }.get(self.kind, pl.String)  # fmt: skip

    @property
    def output(self) -> str:
        """The name in that frame: ``received_at`` becomes ``received_on``, the local date; its time is not kept."""
        return "received_on" if self.name == "received_at" else self.name

    @property
    def form(self) -> str:
        """What a value may look like, as an error says it."""
        return {
            "text": "some text",
            "enum": "one of " + ", ".join(self.allowed),
            "country": "an ISO 3166-1 alpha-2 code such as FI",
            "boolean": "true or false",
            "date": f"a date as 2026-07-01, or a time with its offset as 2026-07-01T09:30:00+03:00, {_YEARS}",
            "moment": f"a time with its offset as 2026-07-01T09:30:00+03:00, {_YEARS}",
            "time": f"a time with its offset as 2026-07-01T09:30:00+03:00, {_YEARS}",
            "number": "a whole number of at least 0",
            "code": "an identifier of at most 80 characters, without spaces",
            "codes": "identifiers without spaces, parted by semicolons",
        }[self.kind]


_FIRST, _LAST = date(2000, 1, 1), date(2100, 12, 31)
_YEARS = "from 2000 to 2100"

SUBJECT_GROUPS = ("customer", "user", "prospect", "partner", "visitor", "unknown")
RIGHTS = (
    "access", "portability", "rectification", "restriction", "erasure", "consent_withdrawal", "objection",
    "marketing_objection", "automated_decision", "complaint", "other",
)  # fmt: skip
OUTCOMES = ("fulfilled", "partial", "refused", "no_data", "withdrawn", "duplicate", "misdirected", "not_identified")
REASON_CODES = (
    "manifestly_unfounded", "excessive", "repetitive", "identity_not_shown", "others_rights", "legal_duty",
    "legal_claims", "expression", "public_interest", "art20_conditions", "compelling_grounds", "investigation",
    "reporting_reconciliation", "missing_form_field", "other",
)  # fmt: skip

SCHEMA: dict[str, Column] = {
    column.name: column
    for column in (
        Column("request_id", "text", "identifies the request line; stands once", True),
        Column("case_id", "text", "the message or person's case that the line is part of", True),
        Column("received_at", "moment", "when it reached the controller through any official channel", True),
        Column("channel", "enum", "how it came", True, ("email", "web_form", "support", "letter", "phone", "other")),
        Column("subject_group", "enum", "which group of people the person belongs to", True, SUBJECT_GROUPS),
        Column("right", "enum", "the right that is exercised (GDPR Art. 7(3), 15-22, 77)", True, RIGHTS),
        Column("role", "enum", "processor: about data held for a customer", True, ("controller", "processor")),
        Column("country", "country", "the person's country; empty if not known"),
        Column(
            "state", "enum", "where it stands", True,
            ("received", "awaiting_identity", "awaiting_clarification", "in_progress", "extended", "closed"),
        ),
        Column("outcome", "enum", "how it ended; empty while open", False, OUTCOMES),
        Column("reason_code", "enum", "the ground of a refusal, in whole or in part", False, REASON_CODES),
        Column("identity_requested_on", "date", "information to confirm the identity was asked for (Art. 12(6))"),
        Column("identity_received_on", "date", "and arrived"),
        Column("clarification_requested_on", "date", "the person was asked to specify the request (recital 63)"),
        Column("clarification_received_on", "date", "and did"),
        Column("extension_notified_on", "date", "the person was told of the extension (Art. 12(3))"),
        Column("extension_reasons_given", "boolean", "with the reasons for it"),
        Column("decided_on", "date", "the decision was taken"),
        Column("response_sent_on", "date", "the person was answered: this ends the legal clock"),
        Column("executed_on", "date", "what was granted was carried out"),
        Column("response_format", "enum", "how the answer was given", False, ("electronic", "paper")),
        Column("reasons_given", "boolean", "a refusal named its reasons (Art. 12(4))"),
        Column("complaint_right_given", "boolean", "a refusal named the right to complain (Art. 12(4))"),
        Column("remedy_given", "boolean", "a refusal named the judicial remedy (Art. 12(4))"),
        Column("escalated", "boolean", "the case was escalated"),
    )
}  # fmt: skip
"""Every column of a register, by name. Other columns (names, addresses, free text) are never read."""

REQUESTS: dict[str, Any] = {column.output: column.dtype for column in SCHEMA.values()}
"""Columns and types of the frame that the readers give: the schema's, with ``received_on`` (Date) for received_at."""

UNANSWERED_ENDS = ("withdrawn", "duplicate", "misdirected")
"""Outcomes that end a request without an answer being owed: ends that compete with an answer."""

EXCLUSIONS = {
    "two outcomes": "the same request_id stands with different outcomes",
    "duplicate id": "the same request_id stands more than once",
    "answered before received": "response_sent_on is before the day of receipt",
    "dated before receipt": "another date is before the day of receipt",
    "identity received before asked": "identity_received_on without, or before, identity_requested_on",
    "clarification received before asked": "clarification_received_on without, or before, clarification_requested_on",
    "outcome while open": "an outcome, and a state that is not closed",
    "answered while open": "response_sent_on, and a state that is not closed",
    "closed without outcome": "the state closed, and no outcome",
    "ended without a date": "the state closed, with neither decided_on nor response_sent_on",
    "dated in the future": "received, decided, answered or executed after the day the register was read",
}
"""Why a row that contradicts itself is left out, in the order in which the reasons are tried: the first one counts."""


class RegisterError(WorkbookError):
    """A register that can't be read; the message names file, rows and columns, up to MOST problems at once.

    It quotes no value, but for those of enum columns.
    """

    def __init__(self, where: str, problems: Iterable[str], more: int = 0) -> None:
        self.problems = list(problems)
        shown = self.problems[:MOST]
        more += len(self.problems) - len(shown)
        lines = [f"{where}: {problem}" for problem in shown]
        super().__init__("\n".join([*lines, f"{where}: and {more:,} more"] if more else lines))


@dataclass(frozen=True)
class RegisterMapping:
    """How another register's columns and values become the schema's.

    ``columns``: the file's column for a column of the schema. ``values``: per column of the schema, the schema's value
    (None for empty) for a value of the file. ``fill``: a value for a column that the file does not have; None says that
    it is not known. ``zone``: the time zone of times that carry no offset. ``date_format``: how the file writes dates
    and times, where not as ISO 8601 (``%d.%m.%Y``, chrono's codes). ``separator``: of a CSV file. ``schema``: the
    columns of the register that is read, those of requests unless another is given.

    Raises RegisterError for a column or value that the schema does not have.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    fill: Mapping[str, str | None] = field(default_factory=dict)
    zone: str | None = None
    date_format: str | None = None
    separator: str = ","
    schema: Mapping[str, Column] = field(default_factory=lambda: SCHEMA)

    def __post_init__(self) -> None:
        problems = [
            f"{part}: the schema has no column {name}; it has {', '.join(self.schema)}"
            for part in ("columns", "values", "fill")
            for name in getattr(self, part)
            if name not in self.schema
        ]
        known = [(f"values.{n}", n, v) for n, vs in self.values.items() for v in vs.values()]
        known += [(f"fill.{n}", n, v) for n, v in self.fill.items()]
        for part, name, value in known:
            column = self.schema.get(name)
            if column and column.kind == "enum" and value is not None and value not in column.allowed:
                problems.append(f"{part}: {value!r} is not {column.form}")
        problems += [f"fill.{n}: is also in columns; keep one of them" for n in self.fill if n in self.columns]
        if problems:
            raise RegisterError("mapping", problems)

    def source(self, column: str) -> str:
        """The file's column for a column of the schema."""
        return self.columns.get(column, column)


@dataclass(frozen=True)
class Register:
    """What was read: ``read`` rows are the used ones (``requests``) and the excluded ones, by reason.

    ``requests`` has the columns REQUESTS. ``excluded`` has ``row`` (UInt32, as a spreadsheet counts: the header is row
    1) and ``reason`` (String, a key of EXCLUSIONS). ``notes`` say what the source can't tell. ``rows`` are the numbers
    of the rows in ``requests`` (UInt32).
    """

    requests: pl.DataFrame
    excluded: pl.DataFrame
    read: int
    notes: tuple[str, ...] = ()
    rows: pl.Series = field(default_factory=lambda: pl.Series("row", [], dtype=pl.UInt32))

    @property
    def account(self) -> dict[str, int]:
        """Rows read, used, and excluded by reason: read = used + the rest."""
        counts = dict(self.excluded["reason"].value_counts().iter_rows())
        return {"read": self.read, "used": self.requests.height, **{r: counts[r] for r in EXCLUSIONS if r in counts}}

    def without_ids(self) -> pl.DataFrame:
        """``requests`` with ids that say nothing: a request's row in the source, and the first row of its case."""
        line = pl.int_range(pl.len()).over("row") if self.rows.is_duplicated().any() else pl.lit(0)
        first = self.rows.to_frame("row").with_columns(first=pl.col("row"))
        case = self.requests["case_id"]
        if (shared := repeated(case)) is not None:
            of_case = first.filter(shared).select(pl.col("first").min().over(case.filter(shared)))["first"]
            first = first.with_columns(first=_filled(first["first"], shared, of_case))
        named = first.with_columns(line=line).select(
            request_id=pl.when(pl.col("line") == 0)
            .then(pl.format("row {}", "row"))
            .otherwise(pl.format("row {}, line {}", "row", pl.col("line") + 1)),
            case_id=pl.format("row {}", "first"),
        )
        return self.requests.with_columns(named.get_columns())


def read_requests(path: str | Path, **options: Any) -> pl.DataFrame:
    """``read_register(path, ...).requests``: for where the account of excluded rows is not needed."""
    return read_register(path, **options).requests


def read_register(
    path: str | Path,
    *,
    zone: str = "Europe/Helsinki",
    mapping: RegisterMapping | None = None,
    as_of: date | None = None,
) -> Register:
    """Reads a register from CSV (also .gz), Parquet or XLSX, by the file's suffix.

    Only the schema's columns are read at all. The day of receipt, and of every time, is the calendar date in ``zone``,
    the controller's. With ``as_of``, what is dated after that day is excluded as contradictory.

    Raises RegisterError with every missing column, impossible date, time without zone, empty required value and
    unknown value of an enum, up to MOST; and when the file is missing or not readable. A row that contradicts itself
    (EXCLUSIONS) is excluded and counted, never mended.
    """
    return _settle(_read_file(path, zone, mapping or RegisterMapping()), as_of, ())


def read_frame(path: str | Path, *, zone: str, mapping: RegisterMapping) -> pl.DataFrame:
    """Every row of a register in a file, with the columns and types of ``mapping.schema``, in the file's order.

    For registers of any schema; reads and raises as ``read_register`` does, and excludes no row.
    """
    return _read_file(path, zone, mapping).drop(ROW)


def _read_file(path: str | Path, zone: str, mapping: RegisterMapping) -> pl.DataFrame:
    path = Path(path)
    if not path.is_file():
        raise RegisterError(str(path), ["no such file"])
    kind = path.suffix.lower().removeprefix(".") if path.suffix.lower() != ".gz" else "csv"
    if kind == "parquet":
        return checked(lambda: pl.scan_parquet(path), path.name, zone, mapping)
    if kind in ("xlsx", "xlsm"):
        frame = _read_xlsx(path, mapping)
        return checked(lambda: frame.lazy(), path.name, zone, mapping)
    if kind not in ("csv", "txt", "tsv"):
        raise RegisterError(
            path.name, [f"no reader for .{kind}; there are csv, csv.gz, parquet and xlsx (or a database)"]
        )
    separator = "\t" if kind == "tsv" else mapping.separator
    try:
        return checked(lambda: pl.scan_csv(path, separator=separator, infer_schema=False), path.name, zone, mapping)
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        # Polars' own messages quote the line, and with it a person.
        raise RegisterError(path.name, _csv_problems(path, separator)) from None


# ---- validation -----------------------------------------------------------------------------------------------------


def validate(
    scan: Callable[[], pl.LazyFrame],
    where: str,
    zone: str,
    mapping: RegisterMapping,
    as_of: date | None = None,
    notes: tuple[str, ...] = (),
) -> Register:
    """Turns raw rows into a Register: the boundary where the schema is checked. ``scan`` may be called twice.

    Columns of text are parsed; dates, times and booleans of a typed source are taken as they are. Raises RegisterError.
    """
    return _settle(checked(scan, where, zone, mapping), as_of, notes)


def checked(scan: Callable[[], pl.LazyFrame], where: str, zone: str, mapping: RegisterMapping) -> pl.DataFrame:
    """Raw rows with the columns and types of ``mapping.schema``, and ``_row`` for the row's number in its source.

    ``scan`` may be called twice. Raises RegisterError.
    """
    raw = scan().collect_schema()
    _check_columns(raw, where, mapping)
    steps, faults = _expressions(raw, zone, mapping)
    lines = _numbered(scan(), raw).select(ROW, *steps[0])
    # In steps, so that no value is parsed once more for everything that is made of it.
    for step in steps[1:]:
        lines = lines.with_columns(step)
    names = [column.output for column in mapping.schema.values()]
    frame = lines.select(ROW, *names, _faulty=pl.any_horizontal([fault.when for fault in faults])).collect(
        engine="streaming"
    )
    if frame["_faulty"].any():
        raise RegisterError(where, *_problems(lines, faults))
    return frame.drop("_faulty")


ROW = "_row"
"""The column with a row's number in its source, where the frame that is validated has been made from other rows."""


def _numbered(rows: pl.LazyFrame, raw: pl.Schema) -> pl.LazyFrame:
    """With the numbers of the rows: as a spreadsheet counts, with the header as row 1, unless they are there."""
    return rows.with_columns(pl.col(ROW).cast(pl.UInt32)) if ROW in raw else rows.with_row_index(ROW, 2)


def _check_columns(raw: pl.Schema, where: str, mapping: RegisterMapping) -> None:
    problems = []
    for name in mapping.schema:
        source = mapping.source(name)
        if name in mapping.fill:
            continue
        if source not in raw:
            called = f"column {source}" + (f" (for {name})" if source != name else "")
            problems.append(
                f"{called} is missing; add it, name the file's own column (mapping.columns: {{{name}: ...}}), "
                f"or say that it is not known (mapping.fill: {{{name}: null}})"
            )
        elif f"{source}_duplicated_0" in raw:
            problems.append(f"column {source} stands twice; keep one of them")
    if len(raw) == 1 and len(problems) > 1:
        problems.insert(0, f"has one column only; is {mapping.separator!r} its separator (mapping.separator)?")
    if problems:
        raise RegisterError(where, problems)


@dataclass(frozen=True)
class _Fault:
    """What can be wrong with a column; ``when`` is over the columns that ``_expressions`` makes."""

    column: Column
    when: pl.Expr
    reason: str
    quote: bool = False


Steps = tuple[list[pl.Expr], list[pl.Expr], list[pl.Expr]]
"""Expressions over the raw columns; over those and these; and over what both make."""


def _expressions(raw: pl.Schema, zone: str, mapping: RegisterMapping) -> tuple[Steps, list[_Fault]]:
    """In steps the schema's columns, with the helping ones that the faults need; and the faults.

    ``_given_NAME`` says that the source has a value there, ``_naive_NAME`` that it is a time without a zone, and
    ``_raw_NAME`` is the value of an enum before it is mapped.
    """
    steps: Steps = ([], [], [])
    faults: list[_Fault] = []
    for column in mapping.schema.values():
        if column.name in mapping.fill:
            text, dtype = pl.lit(mapping.fill[column.name], pl.String), pl.String()
        else:
            source = mapping.source(column.name)
            text, dtype = pl.col(source), raw[source]
        if isinstance(dtype, pl.Categorical | pl.Enum) or (
            column.kind in ("text", "enum", "country", "code", "codes", "number") and dtype != pl.String
        ):
            text, dtype = text.cast(pl.String), pl.String()
        before = text
        if dtype == pl.String:
            if changes := mapping.values.get(column.name):
                text = text.replace({old: new or "" for old, new in changes.items()})
            # An empty field is no value, whichever way the source writes it.
            text = pl.when(text != "").then(text)
        found = _parse(steps, column, text, dtype, zone, mapping)
        if found:
            steps[0].append(text.is_not_null().alias(f"_given_{column.name}"))
        if column.kind == "enum":
            steps[0].append(before.alias(f"_raw_{column.name}"))
        faults += found
        if column.required:
            lacks = ~_given(column) if found else pl.col(column.output).is_null()
            faults.append(_Fault(column, lacks, f"is empty; it must be {column.form}"))
    return steps, faults


def _given(column: Column) -> pl.Expr:
    return pl.col(f"_given_{column.name}")


def _parse(
    steps: Steps, column: Column, text: pl.Expr, dtype: pl.DataType, zone: str, mapping: RegisterMapping
) -> list[_Fault]:
    """Adds to ``steps`` what makes the column's value; gives what can be wrong with it."""
    unread = _given(column) & pl.col(column.output).is_null()
    value, found = text, []
    if column.kind == "enum":
        value, found = text.cast(column.dtype, strict=False), [_Fault(column, unread, "", quote=True)]
    elif column.kind == "country":
        value = pl.when(text.str.contains(r"^[A-Z]{2}$")).then(text)
        found = [_Fault(column, unread, f"is not {column.form}")]
    elif column.kind == "boolean" and dtype != pl.Boolean:
        # 1 and 0 are what SQL and XLSX have for it.
        text = text.cast(pl.String).str.to_lowercase()
        value = pl.when(text.is_in(["true", "1"])).then(True).when(text.is_in(["false", "0"])).then(False)
        found = [_Fault(column, unread, f"is not {column.form}")]
    elif column.kind == "number":
        # A spreadsheet's whole numbers come as 3.0.
        number = text.str.replace(r"\.0+$", "").str.to_integer(strict=False, dtype=pl.Int64)
        value, found = pl.when(number >= 0).then(number), [_Fault(column, unread, f"is not {column.form}")]
    elif column.kind == "code":
        value = pl.when(text.str.contains(r"^\S{1,80}$")).then(text)
        found = [_Fault(column, unread, f"is not {column.form}")]
    elif column.kind == "codes":
        listed = pl.when(text.str.contains(r"^[^\s;]{1,80}(; ?[^\s;]{1,80})*$")).then(text)
        value = listed.str.replace_all(" ", "", literal=True).str.split(";")
        found = [_Fault(column, unread, f"is not {column.form}")]
    elif column.kind == "time":
        return _parse_time(steps, column, text, dtype, zone, mapping)
    elif column.kind in ("date", "moment"):
        return _parse_day(steps, column, text, dtype, zone, mapping)
    steps[0].append(value.alias(column.output))
    return found


_MOMENT = r"^\d{4}-\d\d-\d\d[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d+)?)?(Z|[+-][01]\d:?[0-5]\d)?$"


def _parse_day(
    steps: Steps, column: Column, text: pl.Expr, dtype: pl.DataType, zone: str, mapping: RegisterMapping
) -> list[_Fault]:
    """The calendar date in ``zone`` of a date or a time, and whether it lacks a zone that it must have.

    A date alone is the local date by itself, but a moment of receipt must say its time and zone, unless the mapping
    says which zone the register is kept in.
    """
    name, own, form = column.name, mapping.zone, mapping.date_format
    bare_date_allowed = column.kind == "date" or own is not None
    naive = pl.lit(False)
    if dtype == pl.Date:
        steps[0].append(text.alias(column.output))
        naive = naive if bare_date_allowed else _given(column)
    elif isinstance(dtype, pl.Datetime):
        moment = text if dtype.time_zone else _in_zone(text, own or zone)
        steps[0].append(moment.dt.convert_time_zone(zone).dt.date().alias(column.output))
        naive = _given(column) if not dtype.time_zone and own is None else naive
    elif dtype != pl.String:
        steps[0].append(pl.lit(None, pl.Date).alias(column.output))
    elif form and source_has_time(form):
        offset = "%z" in form or "%:z" in form
        parsed = text.str.to_datetime(form, strict=False, time_zone="UTC" if offset else None)
        moment = parsed if offset else _in_zone(parsed, own or zone)
        steps[0].append(moment.dt.convert_time_zone(zone).dt.date().alias(column.output))
        naive = pl.col(column.output).is_not_null() if not offset and own is None else naive
    elif form:
        steps[0].append(text.str.to_date(form, strict=False).alias(column.output))
        naive = naive if bare_date_allowed else pl.col(column.output).is_not_null()
    else:
        bare, longer, day = (pl.col(f"_{part}_{name}") for part in ("bare", "longer", "day"))
        local, offset = pl.col(f"_local_{name}"), pl.col(f"_offset_{name}")
        is_bare = text.str.len_bytes() == 10
        # Parted first: most dates are bare, and the pattern then looks at the others only.
        more = pl.when(~is_bare).then(text)
        steps[0].extend(
            [
                is_bare.alias(f"_bare_{name}"),
                pl.when(more.str.contains(_MOMENT)).then(more).alias(f"_longer_{name}"),
                text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).alias(f"_day_{name}"),
            ]
        )
        steps[1].extend([_local(longer, day).alias(f"_local_{name}"), _offset(longer).alias(f"_offset_{name}")])
        moment = (local - pl.duration(minutes=offset)).dt.replace_time_zone("UTC")
        unzoned = longer.is_not_null() & offset.is_null()
        if own:
            moment = pl.when(unzoned).then(_in_zone(local, own).dt.convert_time_zone("UTC")).otherwise(moment)
        else:
            naive = unzoned
        if not bare_date_allowed:
            naive = naive | (bare & day.is_not_null())
        local_day = moment.dt.convert_time_zone(zone).dt.date()
        steps[2].append(pl.when(bare).then(day).otherwise(local_day).alias(column.output))
    no_date = _given(column) & ~pl.col(column.output).is_between(_FIRST, _LAST).fill_null(False)
    naive = naive.fill_null(False)
    say_zone = (
        "has no time zone; write its offset as 2026-07-01T09:30:00+03:00, or say which zone it is in (mapping.zone)"
    )
    return [
        _Fault(column, naive, say_zone),
        _Fault(column, no_date & ~naive, f"is no date that can be; it must be {column.form}"),
    ]


def _parse_time(
    steps: Steps, column: Column, text: pl.Expr, dtype: pl.DataType, zone: str, mapping: RegisterMapping
) -> list[_Fault]:
    """A time to the second, in UTC. It must say its offset, unless the mapping says which zone the register is in."""
    name, own, form = column.name, mapping.zone, mapping.date_format
    naive, step = pl.lit(False), steps[0]
    if isinstance(dtype, pl.Datetime):
        value = text if dtype.time_zone else _in_zone(text, own or zone)
        naive = _given(column) if not dtype.time_zone and own is None else naive
    elif dtype != pl.String:
        value = pl.lit(None, pl.Datetime("us", "UTC"))
    elif form:
        offset = "%z" in form or "%:z" in form
        parsed = text.str.to_datetime(form, strict=False, time_zone="UTC" if offset else None)
        value = parsed if offset else _in_zone(parsed, own or zone)
        naive = pl.col(column.output).is_not_null() if not offset and own is None else naive
    else:
        longer, day, local, offset = (pl.col(f"_{part}_{name}") for part in ("longer", "day", "local", "offset"))
        steps[0].extend(
            [
                pl.when(text.str.contains(_MOMENT)).then(text).alias(f"_longer_{name}"),
                text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).alias(f"_day_{name}"),
            ]
        )
        steps[1].extend([_local(longer, day).alias(f"_local_{name}"), _offset(longer).alias(f"_offset_{name}")])
        second = longer.str.extract(r"^.{16}:([0-5]\d)").cast(pl.Int8).cast(pl.Int64).fill_null(0) * 1_000_000
        unzoned = longer.is_not_null() & offset.is_null()
        moment = (local - pl.duration(minutes=offset)).dt.replace_time_zone("UTC")
        bare = _in_zone(pl.when(unzoned).then(local), own or zone).dt.convert_time_zone("UTC")
        value = pl.coalesce(moment, bare) + second.cast(pl.Duration("us"))
        naive, step = (unzoned if own is None else naive), steps[2]
    value = value.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC")).dt.truncate("1s")
    step.append(value.alias(column.output))
    no_time = _given(column) & ~pl.col(column.output).dt.date().is_between(_FIRST, _LAST).fill_null(False)
    naive = naive.fill_null(False)
    say_zone = "has no time zone; write its offset, or say which zone the register is in (zone)"
    return [
        _Fault(column, naive, say_zone),
        _Fault(column, no_time & ~naive, f"is no time that can be; it must be {column.form}"),
    ]


def source_has_time(form: str) -> bool:
    return bool(re.search(r"%[-_0]?[HIkl]|%[TRXcr+s]", form))


def _offset(text: pl.Expr) -> pl.Expr:
    """Minutes that a time written with an offset is ahead of UTC; null without one. By position, from the end."""
    zulu, colon = text.str.ends_with("Z"), text.str.contains(r"[+-]\d\d:\d\d$")
    plain = text.str.contains(r"[+-]\d{4}$")
    hours = pl.when(colon).then(text.str.slice(-6, 3)).when(plain).then(text.str.slice(-5, 3))
    minutes = hours.cast(pl.Int8, strict=False).cast(pl.Int32).abs() * 60
    minutes = minutes + text.str.slice(-2, 2).cast(pl.Int8, strict=False).cast(pl.Int32)
    return pl.when(zulu).then(0).when(hours.str.starts_with("-")).then(-minutes).otherwise(minutes)


def _local(text: pl.Expr, day: pl.Expr) -> pl.Expr:
    """The time of day on ``day``, to the minute. By position, which is twice as fast as parsing it whole."""
    hour, minute = (text.str.slice(at, 2).cast(pl.Int8, strict=False).cast(pl.Int32) for at in (11, 14))
    minutes = day.cast(pl.Int32).cast(pl.Int64) * 1440 + pl.when(hour < 24).then(hour) * 60 + minute
    return (minutes * 60_000_000).cast(pl.Datetime("us"))


def _in_zone(moment: pl.Expr, zone: str) -> pl.Expr:
    return moment.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")


def _problems(lines: pl.LazyFrame, faults: list[_Fault]) -> tuple[list[str], int]:
    """Every problem in words, and how many more there are; one per value of an enum, one per row otherwise."""
    found: list[tuple[int, str]] = []
    more = 0
    for fault in faults:
        column, bad = fault.column, lines.filter(fault.when)
        if fault.quote:
            by_value = bad.group_by(value=f"_raw_{column.name}").agg(pl.len(), pl.col(ROW).sort().head(3))
            values = by_value.collect(engine="streaming").sort(pl.col(ROW).list.first())
            long = values.filter(pl.col("value").str.len_chars() > LONGEST).height
            if values.height > MOST or long:
                # So many or so long are no codes of a closed list: they may be names or free text.
                listed = _rows(values[ROW].list.first().head(3).to_list(), int(values["len"].sum()))
                found.append((values[ROW][0][0], f"{listed}: {column.name} {_no_codes(values.height)} {column.form}"))
                continue
            for value, count, first in values.iter_rows():
                said = (
                    f"{_rows(first, count)}: {column.name} is {value!r}; it must be {column.form} "
                    f"(mapping.values: {{{column.name}: {{{value}: ...}}}})"
                )
                found.append((first[0], said))
            continue
        numbers = bad.select(ROW).collect(engine="streaming")[ROW].sort()
        found += [(number, f"row {number}: {column.name} {fault.reason}") for number in numbers.head(MOST)]
        more += max(0, numbers.len() - MOST)
    return [problem for _, problem in sorted(found)], more


def _no_codes(distinct: int) -> str:
    said = "1 unknown value" if distinct == 1 else f"{distinct:,} unknown values"
    return f"has {said}, too many or too long to be codes (is it the right column?); it must be"


def _rows(first: list[int], count: int) -> str:
    more = f" and {count - len(first):,} more" if count > len(first) else ""
    return f"row{'s' if count > 1 else ''} {', '.join(map(str, first))}{more}"


def _settle(frame: pl.DataFrame, as_of: date | None, notes: tuple[str, ...]) -> Register:
    """Parts the rows that contradict themselves from the others."""
    received, state, outcome = pl.col("received_on"), pl.col("state"), pl.col("outcome")
    others = [n for n, c in SCHEMA.items() if c.kind == "date" and n != "response_sent_on"]
    after = pl.lit(False)
    if as_of is not None:
        done = ["received_on", "decided_on", "response_sent_on", "executed_on"]
        after = pl.any_horizontal([pl.col(n) > as_of for n in done])
    twice, outcomes = _duplicates(frame)
    tests = {
        "two outcomes": outcomes,
        "duplicate id": twice,
        "answered before received": pl.col("response_sent_on") < received,
        "dated before receipt": pl.any_horizontal([pl.col(n) < received for n in others]),
        "identity received before asked": _unasked("identity"),
        "clarification received before asked": _unasked("clarification"),
        "outcome while open": outcome.is_not_null() & (state != "closed"),
        "answered while open": pl.col("response_sent_on").is_not_null() & (state != "closed"),
        "closed without outcome": outcome.is_null() & (state == "closed"),
        "ended without a date": (state == "closed")
        & pl.col("decided_on").is_null()
        & pl.col("response_sent_on").is_null(),
        "dated in the future": after,
    }
    reason: pl.Expr = pl.lit(None, pl.String)
    for name in reversed(EXCLUSIONS):
        reason = pl.when(tests[name]).then(pl.lit(name)).otherwise(reason)
    excluded = frame.lazy().select(pl.col(ROW).alias("row"), reason=reason).filter(pl.col("reason").is_not_null())
    excluded, read = excluded.collect().sort("row", maintain_order=True), frame.height
    if excluded.height:
        frame = frame.filter(reason.is_null())
    return Register(frame.drop(ROW), excluded, read, notes, frame[ROW].alias("row"))


def _unasked(what: str) -> pl.Expr:
    asked, answered = pl.col(f"{what}_requested_on"), pl.col(f"{what}_received_on")
    return answered.is_not_null() & (asked.is_null() | (answered < asked))


def _duplicates(frame: pl.DataFrame) -> tuple[pl.Series | pl.Expr, pl.Series | pl.Expr]:
    """Which rows share their request_id with another, and which of those have different outcomes."""
    if (twice := repeated(frame["request_id"])) is None:
        return pl.lit(False), pl.lit(False)
    outcomes = pl.col("outcome").n_unique().over("request_id")
    several = frame.filter(twice).select("request_id", _n=outcomes).filter(pl.col("_n") > 1)["request_id"].unique()
    return twice, frame["request_id"].is_in(several.implode())


def repeated(ids: pl.Series) -> pl.Series | None:
    """Which of ``ids`` (String) stand more than once; None where none does."""
    hashed = ids.hash()
    if hashed.n_unique() == ids.len():
        return None
    # Two ids may share a hash: those with a repeated one are few, and are compared themselves.
    found = hashed.is_duplicated()
    exactly = ids.filter(found).is_duplicated()
    return _filled(found, found, exactly) if exactly.any() else None


def _filled(series: pl.Series, where: pl.Series, values: pl.Series) -> pl.Series:
    """``series`` with ``values`` in the places where ``where`` is true."""
    return series.clone().scatter(where.arg_true(), values)


# ---- files ----------------------------------------------------------------------------------------------------------


def _csv_problems(path: Path, separator: str) -> list[str]:
    """Where a CSV file is broken; no value of it is quoted."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines, delimiter=separator)
            width = len(next(reader, []))
            if not width:
                return ["is empty; it must hold at least the header"]
            bad = [(n, len(row)) for n, row in islice(enumerate(reader, 2), 10_000_000) if len(row) > width]
        problems = [f"row {n}: has {found} fields, the header has {width}" for n, found in bad]
    except UnicodeDecodeError as error:
        return [f"byte {error.start:,} is not UTF-8; save the file as UTF-8"]
    except csv.Error:
        problems = []
    return problems or ["not readable as CSV; check its quotes and its separator"]


def _read_xlsx(path: Path, mapping: RegisterMapping) -> pl.DataFrame:
    try:
        from fastexcel import FastExcelError, read_excel
    except ImportError:
        raise RegisterError(
            path.name, ["reading XLSX needs the package fastexcel: pip install fastexcel, or save it as CSV"]
        ) from None
    try:
        book = read_excel(path)
        head = book.load_sheet(0, n_rows=0)
        names = [column.name for column in head.available_columns()]
        wanted = [name for name in dict.fromkeys(map(mapping.source, mapping.schema)) if name in names]
        return book.load_sheet(0, use_columns=wanted).to_polars() if wanted else pl.DataFrame(schema=names)
    except FastExcelError:
        raise RegisterError(
            path.name, ["not readable as XLSX; its first sheet must hold the header and the rows"]
        ) from None

"""Exports of other request trackers as a Register: Fides, the Data Rights Protocol, OpenDSR, Jira Service Management.

Each is read by an allow-list of its fields: identities, names and free text are never kept. What an export can't tell
is in the register's notes, and nothing is guessed: a request that ended on a day nobody recorded is left out and
counted.

- **Fides** (``privacy_requests_download_YYYY-MM-DD.csv``; columns and states as in ethyca/fides' CSV download and its
  ``PrivacyRequestStatus``, May 2026). ``Deadline`` counts days left from the day of export: it is ignored. ``Completed
  On`` is set by manual finalisation only; without it ``Last Updated`` stands for it, the latest it can be. ``Request
  Type`` joins several actions with ``+``: one line each. ``error``, and the other states that Fides' own overdue filter
  leaves out, are open by law. ``Denial Reason`` is free text and not read.
- **Data Rights Protocol 1.0** (specification of August 2025): JSON of status objects together with the request's
  ``exercise``, an array or one object a line. It is a log of callbacks: of several for one request the last counts.
  There is no closing time; name the field with the time of the callback (``columns: {response_sent_on: ...}``).
- **OpenDSR 2.0** (2020; OpenGDPR 1.0 has the same names): JSON as above. It is a protocol from controller to processor,
  so its role is ``processor`` unless ``fill`` says otherwise. There is no refused and no failed state, so what ended as
  ``cancelled`` has no outcome; and no closing time.
- **Jira Service Management** (CSV export of issues). Jira takes an issue for closed once it has a ``Resolution``. Times
  have no zone: they are in that of the person who exported them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ..params import RegisterInput, RequestRegister
from .register import ROW, SCHEMA, Column, Register, RegisterError, RegisterMapping, read_register, validate

_UNKNOWN: dict[str, str | None] = dict.fromkeys(
    (
        "country", "reason_code", "identity_requested_on", "identity_received_on", "clarification_requested_on",
        "clarification_received_on", "extension_notified_on", "extension_reasons_given", "decided_on", "executed_on",
        "response_format", "reasons_given", "complaint_right_given", "remedy_given", "escalated",
    )
)  # fmt: skip
_UNTOLD = "it tells of no pauses, extensions, refusal letters or countries"


@dataclass(frozen=True)
class _Tracker:
    """``fields`` are all that is read; ``lines`` makes a raw frame the register's lines, with columns in a mapping."""

    name: str
    fields: tuple[str, ...]
    required: tuple[str, ...]
    lines: Callable[[pl.LazyFrame, RegisterMapping], pl.LazyFrame]
    mapping: RegisterMapping
    notes: tuple[str, ...]
    json: bool = False


def mapping_of(given: RegisterInput, schema: Mapping[str, Column] = SCHEMA) -> RegisterMapping:
    """How a register, as the parameters have it, becomes the schema's."""
    return RegisterMapping(
        given.columns, given.values, given.fill, given.zone, given.date_format, given.separator, schema
    )


def read_source(
    spec: RequestRegister, path: Path, *, zone: str = "Europe/Helsinki", as_of: date | None = None
) -> Register:
    """The register of ``sources.requests`` in a file: a table by its suffix, or a tracker's export.

    Raises RegisterError.
    """
    if spec.kind == "table":
        return read_register(path, zone=zone, mapping=mapping_of(spec), as_of=as_of)
    return read_export(spec.kind, path, zone=zone, mapping=mapping_of(spec), as_of=as_of)


def read_export(
    kind: str, path: str | Path, *, zone: str = "Europe/Helsinki", mapping: RegisterMapping | None = None,
    as_of: date | None = None,
) -> Register:  # fmt: skip
    """The register in a tracker's export of ``kind`` (a key of TRACKERS).

    ``mapping`` adds to what is known of the tracker, and takes its place where both speak of a column: a field of the
    company's own (``columns: {subject_group: "Custom Field Group"}``), a renamed state (``values``).

    Raises RegisterError.
    """
    path, given = Path(path), mapping or RegisterMapping()
    if not path.is_file():
        raise RegisterError(str(path), ["no such file"])
    tracker = TRACKERS[kind]
    merged = _merged(tracker.mapping, given)
    wanted = (*tracker.fields, *given.columns.values())
    raw = _json_rows(path, wanted) if tracker.json else _csv_rows(path, wanted, merged.separator)
    missing = [name for name in tracker.required if name not in raw.collect_schema()]
    if missing:
        raise RegisterError(path.name, [f"{name} is missing; is this an export of {tracker.name}?" for name in missing])
    raw = raw.with_columns(
        pl.lit(None, pl.String).alias(name) for name in tracker.fields if name not in raw.collect_schema()
    )
    lines = tracker.lines(raw, merged)
    return validate(lambda: lines, path.name, zone, merged, as_of, tracker.notes)


def _merged(known: RegisterMapping, given: RegisterMapping) -> RegisterMapping:
    columns = {n: c for n, c in known.columns.items() if n not in given.fill} | dict(given.columns)
    fill = {n: v for n, v in known.fill.items() if n not in given.columns} | dict(given.fill)
    names = {*known.values, *given.values}
    values = {n: {**known.values.get(n, {}), **given.values.get(n, {})} for n in sorted(names)}
    separator = given.separator
    return RegisterMapping(
        columns, values, fill, given.zone or known.zone, given.date_format or known.date_format, separator
    )


# ---- files ----------------------------------------------------------------------------------------------------------


def _csv_rows(path: Path, wanted: tuple[str, ...], separator: str) -> pl.LazyFrame:
    """The wanted columns of a CSV file, as text, with the numbers of its rows; the header is row 1."""
    try:
        raw = pl.scan_csv(path, separator=separator, infer_schema=False)
        found = [name for name in dict.fromkeys(wanted) if name in raw.collect_schema()]
        return raw.select(found).with_row_index(ROW, 2).collect().lazy()
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        # Polars' own messages quote the line, and with it a person.
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            header = next(csv.reader(lines, delimiter=separator), [])
        says = f"its header has {len(header)} fields" if header else "it is empty"
        raise RegisterError(path.name, [f"not readable as CSV in UTF-8; {says}"]) from None


def _json_rows(path: Path, wanted: tuple[str, ...]) -> pl.LazyFrame:
    """The wanted fields of JSON objects, as text: an array, or one a line; the first object is row 1."""
    names = list(dict.fromkeys(wanted))
    rows: dict[str, list[Any]] = {name: [] for name in names}
    numbers = []
    for number, thing in _objects(path):
        numbers.append(number)
        for name in names:
            value = thing.get(name)
            rows[name].append(value if value is None or isinstance(value, str) else json.dumps(value))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))
    found = [name for name in names if frame[name].null_count() < frame.height]
    return frame.select(found).with_columns(pl.Series(ROW, numbers, dtype=pl.UInt32)).lazy()


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegisterError(path.name, [f"byte {error.start:,} is not UTF-8; save the file as UTF-8"]) from None
    problems: list[str] = []
    found: list[tuple[int, Any]] = []
    if text.lstrip().startswith("["):
        try:
            found = list(enumerate(json.loads(text), 1))
        except json.JSONDecodeError as error:
            problems.append(f"line {error.lineno}: is not JSON")
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    found.append((number, json.loads(line)))
                except json.JSONDecodeError:
                    problems.append(f"row {number}: is not JSON; write one object a line, or an array of objects")
    problems += [f"row {number}: is no JSON object" for number, thing in found if not isinstance(thing, dict)]
    if problems:
        raise RegisterError(path.name, problems)
    yield from found


# ---- Fides ----------------------------------------------------------------------------------------------------------

_FIDES_OPEN = {
    "identity_unverified": "awaiting_identity", **dict.fromkeys(
        (
            "pending", "approved", "in_processing", "requires_input", "paused", "awaiting_email_send",
            "requires_manual_finalization", "pending_external", "awaiting_pre_approval",
            "pre_approval_not_eligible", "error",
        ), "in_progress",
    ),
}  # fmt: skip
_FIDES_CLOSED = {"complete": "fulfilled", "denied": "refused", "canceled": "withdrawn", "duplicate": "duplicate"}


def _fides(raw: pl.LazyFrame, mapping: RegisterMapping) -> pl.LazyFrame:
    status, key = pl.col("Status"), pl.col("Request ID")
    closed, updated = status.is_in(list(_FIDES_CLOSED)), pl.col("Last Updated")
    lines = raw.with_columns(
        right=pl.col("Request Type").str.split("+"), _several=pl.col("Request Type").str.contains("+", literal=True)
    )
    lines = lines.explode("right", empty_as_null=True, keep_nulls=True).with_columns(pl.col("right").str.strip_chars())
    if "consent" not in mapping.values.get("right", {}):
        # A consent given or withdrawn in a banner is no request to be answered.
        lines = lines.filter((pl.col("right") != "consent").fill_null(True))
    return lines.with_columns(
        request_id=pl.when("_several").then(pl.format("{}/{}", key, "right")).otherwise(key),
        outcome=pl.when(closed).then(status),
        response_sent_on=pl.when(status == "denied")
        .then(pl.coalesce("Time Approved/Denied", updated))
        .when(status == "complete")
        .then(pl.coalesce("Completed On", updated)),
        decided_on=pl.when(status.is_in(["canceled", "duplicate"])).then(updated),
    )


# ---- the Data Rights Protocol ---------------------------------------------------------------------------------------

_DENIED = {  # reason: outcome, ground
    "suspected_fraud": ("refused", "identity_not_shown"),
    "insuf_verification": ("not_identified", "identity_not_shown"),
    "no_match": ("no_data", None), "claim_not_covered": ("refused", "other"),
    "outside_jurisdiction": ("refused", "other"), "too_many_requests": ("refused", "repetitive"),
    "other": ("refused", "other"),
}  # fmt: skip


def _protocol(raw: pl.LazyFrame, mapping: RegisterMapping) -> pl.LazyFrame:
    status, reason = pl.col("status"), pl.col("reason")
    key = pl.when(reason.is_not_null() & (reason != "")).then(pl.format("{}/{}", status, reason)).otherwise(status)
    # What no mapping knows goes into one column, so that one error says it.
    final = status.is_in(["fulfilled", "revoked"]) | status.is_in(["denied"])
    lines = raw.with_columns(request_id=pl.coalesce("request_id", "agent-request-id"))
    named = lines.filter(pl.col("request_id").is_not_null()).unique("request_id", keep="last", maintain_order=True)
    lines = pl.concat([named, lines.filter(pl.col("request_id").is_null())])
    grounds = [f"denied/{name}" for name, (_, ground) in _DENIED.items() if ground]
    return lines.with_columns(
        state=key, outcome=pl.when(final).then(key), reason_code=pl.when(key.is_in(grounds)).then(key)
    )


# ---- OpenDSR --------------------------------------------------------------------------------------------------------


def _opendsr(raw: pl.LazyFrame, mapping: RegisterMapping) -> pl.LazyFrame:
    mapped = [name for name, value in mapping.values.get("outcome", {}).items() if value]
    status = pl.col("request_status")
    return raw.with_columns(outcome=pl.when(status.is_in(mapped)).then(status))


# ---- Jira Service Management ----------------------------------------------------------------------------------------


def _jira(raw: pl.LazyFrame, mapping: RegisterMapping) -> pl.LazyFrame:
    resolution = pl.col("Resolution")
    closed = resolution.is_not_null() & (resolution != "") & (resolution != "Unresolved")
    return raw.with_columns(
        state=pl.when(closed).then(pl.lit("closed")).otherwise(pl.col("Status")),
        outcome=pl.when(closed).then(resolution),
        Resolved=pl.when(closed).then("Resolved"),
    )


_ALIKE = {"channel": "other", "subject_group": "unknown"}
_PROTOCOL_VALUES: Mapping[str, Mapping[str, str | None]] = {
    "right": {
        "deletion": "erasure", "access": "access", "access:categories": "access", "access:specific": "access",
        "sale:opt-out": "objection", "sale:opt-in": "other",
    },
    "state": {
        "open": "received", "in_progress": "in_progress", "in_progress/need_user_verification": "awaiting_identity",
        "expired": "in_progress", "fulfilled": "closed", "revoked": "closed", "denied": "closed",
        **{f"denied/{name}": "closed" for name in _DENIED},
    },
    "outcome": {
        "fulfilled": "fulfilled", "revoked": "withdrawn", "denied": "refused",
        **{f"denied/{name}": outcome for name, (outcome, _) in _DENIED.items()},
    },
    "reason_code": {f"denied/{name}": ground for name, (_, ground) in _DENIED.items()},
}  # fmt: skip

TRACKERS: dict[str, _Tracker] = {
    "fides": _Tracker(
        "Fides",
        (
            "Status", "Request Type", "Time Received", "Request ID", "Time Approved/Denied", "Last Updated",
            "Completed On",
        ),
        ("Status", "Request Type", "Time Received", "Request ID", "Last Updated"),
        _fides,
        RegisterMapping(
            columns={"case_id": "Request ID", "received_at": "Time Received", "state": "Status"},
            values={
                "right": {"update": "rectification"},
                "state": {**_FIDES_OPEN, **dict.fromkeys(_FIDES_CLOSED, "closed")}, "outcome": _FIDES_CLOSED,
            },
            fill={n: v for n, v in _UNKNOWN.items() if n != "decided_on"} | _ALIKE | {"role": "controller"},
        ),
        (
            "Fides' export gives no date of automatic completion: the last update stands for it, the latest it can be",
            "Fides' time of receipt is that of the entry: what reached the controller before it is not known",
            f"of Fides, {_UNTOLD}; lines of type consent are no requests and left out",
        ),
    ),
    "data_rights_protocol": _Tracker(
        "a Data Rights Protocol agent",
        ("request_id", "agent-request-id", "received_at", "exercise", "status", "reason"),
        ("received_at", "exercise", "status"),
        _protocol,
        RegisterMapping(
            columns={"case_id": "request_id", "right": "exercise"},
            values=_PROTOCOL_VALUES,
            fill={n: v for n, v in _UNKNOWN.items() if n != "reason_code"}
            | _ALIKE | {"role": "controller", "response_sent_on": None},
        ),
        (
            "the Data Rights Protocol has no closing time: without a field for it (sources.requests.columns: "
            "{response_sent_on: ...}) what has ended is left out",
            f"of the Data Rights Protocol, {_UNTOLD}; expired requests are open by law until they are answered",
        ),
        json=True,
    ),
    "opendsr": _Tracker(
        "OpenDSR",
        ("subject_request_id", "subject_request_type", "submitted_time", "request_status"),
        ("subject_request_id", "subject_request_type", "submitted_time", "request_status"),
        _opendsr,
        RegisterMapping(
            columns={
                "request_id": "subject_request_id", "case_id": "subject_request_id", "received_at": "submitted_time",
                "right": "subject_request_type", "state": "request_status",
            },
            values={
                "state": {
                    "pending": "received", "in_progress": "in_progress", "completed": "closed", "cancelled": "closed",
                },
                "outcome": {"completed": "fulfilled"},
            },
            fill=_UNKNOWN | _ALIKE | {"role": "processor", "response_sent_on": None},
        ),
        (
            "OpenDSR has no closing time: without a field for it (sources.requests.columns: {response_sent_on: ...}) "
            "what has ended is left out",
            "OpenDSR has no refused state: what was cancelled has no outcome and is left out, unless "
            "sources.requests.values.outcome says what cancelled means",
            f"of OpenDSR, {_UNTOLD}; its requests are sub-tasks that a controller gave to a processor",
        ),
        json=True,
    ),
    "jira": _Tracker(
        "Jira Service Management",
        ("Issue key", "Status", "Resolution", "Created", "Resolved", "Custom field (Request Type)"),
        ("Issue key", "Status", "Created"),
        _jira,
        RegisterMapping(
            columns={
                "request_id": "Issue key", "case_id": "Issue key", "received_at": "Created",
                "response_sent_on": "Resolved", "right": "Custom field (Request Type)",
            },
            values={
                "state": {
                    "Open": "received", "To Do": "received", "Waiting for support": "in_progress",
                    "In Progress": "in_progress", "Pending": "in_progress", "Escalated": "in_progress",
                    "Waiting for approval": "in_progress", "Waiting for customer": "awaiting_clarification",
                    "Reopened": "in_progress", "Done": "closed", "Resolved": "closed", "Closed": "closed",
                },
                "outcome": {
                    "Done": "fulfilled", "Fixed": "fulfilled", "Won't Do": "refused", "Won't Fix": "refused",
                    "Declined": "refused", "Duplicate": "duplicate", "Canceled": "withdrawn", "Cancelled": "withdrawn",
                },
            },
            fill=_UNKNOWN | _ALIKE | {"role": "controller"},
            date_format="%d/%b/%y %I:%M %p",
        ),
        (
            "Jira's times have no zone: they are taken to be in sources.requests.zone, or else in the organisation's",
            f"of Jira, {_UNTOLD}, unless fields of the company's own do (sources.requests.columns)",
        ),
    ),
}  # fmt: skip
"""The exports that can be read, by ``sources.requests.kind``."""

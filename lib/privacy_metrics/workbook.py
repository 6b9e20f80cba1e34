"""The workbook of one period: named releases, made of what ``collection`` has collected, and nothing else."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from . import controls, engines, exclusions, exemption, folders, requests, technical
from .collection import collect as collect
from .collection import is_collected as is_collected
from .collection import recorded as _record
from .collection import sessions as sessions
from .collection import state as state
from .collection import write_private
from .deadlines import Calendar, deadline_table, with_due_dates
from .disclosure import (
    Cells,
    Ledger,
    Policy,
    Release,
    audit_tables,
    budget_table,
    control,
    load,
    noisy,
    release,
    save,
    trend,
    view,
)
from .disclosure.audit import Table
from .params import Params, Period, WorkbookError


def is_published(params: Params, period: Period) -> bool:
    """Whether releases of ``period`` were published, so that a reader has them."""
    return bool(_versions(params, period))


def close(params: Params, period: Period) -> None:
    """Destroys the period's key and sessions; from then on only its releases exist."""
    zone = params.confidential(period)
    if not zone.is_dir():
        raise WorkbookError(f"{period.label} is not collected: there is nothing to close in {zone}")
    (zone / "key").write_bytes(secrets.token_bytes(32))  # a copy-on-write disk may keep the old block; see README
    for version in _versions(params, period):
        shutil.rmtree(_published(params, period, version) / "cells", ignore_errors=True)
    shutil.rmtree(zone)


# ---- releases -------------------------------------------------------------------------------------------------------


@dataclass
class Workbook:
    """The releases of one period, and of the periods before it; what a notebook works with.

    >>> book = open_workbook("2026Q3")  # doctest: +SKIP
    >>> book["sessions_by_country"]  # doctest: +SKIP
    """

    params: Params
    period: Period
    releases: dict[str, Release]
    notes: tuple[str, ...] = ()
    inputs: list[dict[str, Any]] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict, repr=False)
    """What ``collect`` noted: accounts, and the day of the register."""
    fingerprint: str = field(default="", repr=False)
    """Of all that the releases were made from."""
    known: list[str] = field(default_factory=list, repr=False)
    """The earlier publications that the audit took for known."""
    _history: dict[str, Workbook | None] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Release:
        """The release of table ``name``; KeyError with the names there are."""
        if name not in self.releases:
            raise KeyError(f"no table {name!r}; there are {', '.join(self.releases)}")
        return self.releases[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.releases)

    def trend(self, name: str) -> Release:
        """Table ``name`` of the earlier periods that are collected and of this one, oldest first."""
        return trend([book[name] for book in self.periods().values() if name in book.releases])

    def periods(self) -> dict[str, Workbook]:
        """The workbooks of the earlier periods that are collected, and this one, by label, oldest first."""
        earlier = {p.label: self._book(p) for p in self.period.history(self.params.reports.history)[:-1]}
        return {label: book for label, book in earlier.items() if book} | {self.period.label: self}

    def _book(self, period: Period) -> Workbook | None:
        if period.label not in self._history:
            self._history[period.label] = _open(self.params, period)
        return self._history[period.label]

    def __repr__(self) -> str:
        return f"<Workbook {self.period.label} of {self.params.organisation.name}: {len(self.releases)} releases>"


def open_workbook(period: str, params: str | None = None) -> Workbook:
    """The workbook of ``period`` under the parameters folder ``params`` (default: the nearest ``params/``).

    Only releases are read. What is not collected or released yet is made in a process of its own, so that no notebook's
    memory ever holds a log line or a session.
    """
    loaded = Params.load(params)
    wanted = Period.parse(period)
    book = _open(loaded, wanted)
    if book is None:
        command = [sys.executable, "-m", "privacy_metrics", "prepare", wanted.label, "--params", str(loaded.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise WorkbookError(
                done.stderr.strip() or f"prepare of {wanted.label} failed with exit code {done.returncode}"
            )
        book = _open(loaded, wanted)
        assert book is not None
    return book


def prepare(params: Params, period: Period) -> None:
    """Makes the releases of a collected period, unless they stand as they would be made.

    They wait in the confidential zone until ``publish``. Raises DisclosureError where a table can't be made safe.
    """
    with folders.locked(params.confidential(period).with_name(f".{period.label}.lock")):
        if _open(params, period) is None:
            zone = params.confidential(period)
            releases, cells, more = _made(params, period)
            folders.replace(zone / "releases", lambda new: _save(releases, cells, more, new))


def _open(params: Params, period: Period) -> Workbook | None:
    """What stands ready: published last if nothing has changed since, else prepared; None where neither does."""
    record = _record(params.confidential(period))
    versions = _versions(params, period)
    if record is None:
        return _read_releases(params, period, _published(params, period, versions[0])) if versions else None
    if versions:
        book = _read_releases(params, period, _published(params, period, versions[0]))
        if book.fingerprint == _fingerprint(params, record):
            return book
    folder = params.confidential(period) / "releases"
    book = _read_releases(params, period, folder) if folder.is_dir() else None
    current = book and (book.fingerprint, book.known) == (_fingerprint(params, record), _labels(params, period))
    return book if current else None


def _made(params: Params, period: Period) -> tuple[dict[str, Release], dict[str, pl.DataFrame], dict[str, Any]]:
    zone = params.confidential(period)
    record = _record(zone)
    if record is None:
        raise WorkbookError(f"{period.label} is not collected: there is nothing to make releases of")
    frames = sessions(params, period)
    policy = Policy(audience=params.disclosure.audience, **params.disclosure.limits)
    uncontrolled = replace(policy, people=False)
    engine = engines.engine(params)
    tables = [technical.cells(spec, frames, period, engine) for spec in params.tables if not spec.noise]
    made = release([_line_account(record["account"], period)], uncontrolled)
    notes = list(record["notes"])
    if record["requests"]:
        for table in _request_cells(params, period, zone, record["requests"]):
            if table.name in requests.ABOUT_NOBODY:
                made |= release([table], uncontrolled)
            elif policy.audience == "internal" and set(table.dimensions) <= HANDLING:
                made |= release([table], replace(policy, exact=True))
            else:
                tables.append(replace(table, exact=HANDLING) if policy.audience == "internal" else table)
        notes += record["requests"]["notes"]
    notes += record["register_notes"]
    if params.notice:
        accounts = {name: one["account"] for name, one in record["registers"].items() if one["account"]}
        made |= release([controls.register_account(accounts, period.label)], uncontrolled)
        results, public = controls.load(zone), policy.audience == "public"
        if public:
            by_name = controls.tables(results, period.label, public)
            tables += [t for name, t in by_name.items() if name not in controls.ABOUT_NOBODY | controls.STAFF]
    versions = _versions(params, period)
    controlled, audit, cells = control(
        tables, policy, _known(params, period), before=_cells_before(params, period, versions)
    )
    made = controlled | _noisy(params, period, frames, policy, record["data"]) | made
    if params.notice:
        results = _with_own_outputs(params, period, record, results, _own_outputs(params, period, tables, made))
        for name, table in controls.tables(results, period.label, public).items():
            if name in controls.ABOUT_NOBODY:
                made |= release([table], uncontrolled)
            elif not public:
                made |= release([table], replace(policy, exact=True))
    if audit:
        made |= release(audit_tables(audit, period.label), uncontrolled)
    if params.exemption:
        facts = exemption.Facts(params, period, zone, frames, record, tables, made, audit)
        made |= release([exemption.table(facts)], uncontrolled)
    if params.disclosure.budget:
        ledger = _ledger(params)
        notes.append(ledger.says(period.label))
        made |= release([budget_table(ledger, period.label)], uncontrolled)
    more = {
        "fingerprint": _fingerprint(params, record), "known": _labels(params, period), "notes": notes,
        "inputs": record["inputs"], "audit": asdict(audit) if audit else None,
        "record": {k: record[k] for k in ("period", "account", "requests", "notes") if k in record},
    }  # fmt: skip
    return made, cells, more


def _own_outputs(
    params: Params, period: Period, tables: Sequence[Cells], made: Mapping[str, Release]
) -> list[dict[str, Any]]:
    """The usage tables as rows of the register of analytics outputs, with the fewest people in a cell that is shown.

    A table that shows no cell is none, and one with noise counts no people.
    """
    usage = {spec.name for spec in params.tables if not spec.noise}
    shown = {t.name: exemption.people_shown(t, made[t.name]) for t in tables if t.name in usage}
    return [
        {"row": 0, "output_id": name, "made_on": period.last, "level": "aggregate", "fewest_people": people.min()}
        for name, people in shown.items()
        if people.len()
    ]


def _with_own_outputs(
    params: Params, period: Period, record: dict[str, Any], results: list[controls.Result], own: list[dict[str, Any]]
) -> list[controls.Result]:
    """The results with the promises on analytics outputs judged on the register and on ``own``, the report's tables.

    Without the register there is no evidence of the other outputs, so nothing changes.
    """
    assert params.notice
    found = {}
    promises = [p for p in params.notice.promises if p.control == "aggregate-trends"]
    for name in {p.registers[0] for p in promises} & set(record["registers"]):
        noted, source = record["registers"][name], params.sources.registers[name]
        if not noted["problem"]:
            frame = pl.read_parquet(params.confidential(period) / f"register_{name}.parquet")
            if frame.height or source.may_be_empty:
                frame = pl.concat([frame, pl.DataFrame(own, schema=frame.schema)])
            excluded = noted["account"]["read"] - noted["account"]["used"]
            as_of = date.fromisoformat(noted["as_of"])
            found[name] = controls.Evidence(name, frame, as_of, "", excluded, source.may_be_empty)
    notice = params.notice.model_copy(update={"promises": [p for p in promises if p.registers[0] in found]})
    judged = controls.evaluate(notice, period, found, params.organisation.time_zone, _calendar(params))
    again = {result.promise: _naming_own(result) for result in judged}
    return [again.get(result.promise, result) for result in results]


def _naming_own(result: controls.Result) -> controls.Result:
    """The result, which says how many of its exceptions are the report's own tables: no row of a register tells."""
    count = result.rows.filter(pl.col("row") == 0, pl.col("layer") == "notice").height
    why = f"{count} of the exceptions are usage tables of this report" if count else ""
    return replace(result, reason="; ".join(filter(None, [result.reason, why])))


def _noisy(
    params: Params, period: Period, frames: dict[str, pl.DataFrame], policy: Policy, data: str
) -> dict[str, Release]:
    """The tables with noise, each as it was drawn before of the same data, or paid for from the budget now."""
    made = {}
    for spec in params.tables:
        if spec.noise:
            table = technical.contributions(spec, frames, params, period)
            made[spec.name] = noisy(table, spec.noise, policy, data, _ledger(params))
    return made


def _ledger(params: Params) -> Ledger:
    assert params.disclosure.budget is not None
    return Ledger(params.path(params.zones.confidential) / "noise", params.disclosure.budget)


def _save(releases: dict[str, Release], cells: dict[str, pl.DataFrame], more: dict[str, Any], folder: Path) -> None:
    save(releases.values(), folder / "releases", more)
    (folder / "cells").mkdir(mode=0o700)
    for name, frame in cells.items():
        path = folder / "cells" / f"{name}.parquet"
        frame.write_parquet(path)
        path.chmod(0o600)


# ---- what was published ---------------------------------------------------------------------------------------------


def publish(book: Workbook) -> None:
    """Notes the releases of the book, and of the earlier periods that it shows, as published: a reader has them from
    now on, whatever becomes of the outputs. What is kept is what was published, and it outlives ``close``; of the
    people in each cell, which tell what a later version may say, ``close`` leaves nothing.
    """
    for one in book.periods().values():
        versions = _versions(book.params, one.period)
        if versions:
            last = _read_releases(book.params, one.period, _published(book.params, one.period, versions[0]))
            if last.fingerprint == one.fingerprint:
                continue
        final = _published(book.params, one.period, versions[0] + 1 if versions else 1)
        ready = book.params.confidential(one.period) / "releases"
        folders.replace(final, partial(_copy, ready))


def _copy(ready: Path, new: Path) -> None:
    shutil.copytree(ready, new, dirs_exist_ok=True)


def _published(params: Params, period: Period, version: int | None = None) -> Path:
    folder = params.path(params.zones.confidential) / "published" / period.label
    return folder / f"{version:04}" if version else folder


def _versions(params: Params, period: Period) -> list[int]:
    """The numbers of what was published of a period, newest first."""
    folder = _published(params, period)
    return sorted((int(p.name) for p in folder.iterdir() if p.name.isdigit()), reverse=True) if folder.is_dir() else []


def _read_releases(params: Params, period: Period, folder: Path) -> Workbook:
    releases, more = load(folder / "releases")
    return Workbook(
        params, period, releases, tuple(more["notes"]), more["inputs"], more["record"], more["fingerprint"],
        more["known"],
    )  # fmt: skip


def _others(params: Params, period: Period) -> list[tuple[Period, int, int]]:
    """What a reader has already: period, version, and how it stands to this one (its own versions count 1, 2 …)."""
    found = [(period, version, number) for number, version in enumerate(_versions(params, period)[:3], 1)]
    root = _published(params, period).parent
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        other = Period.parse(folder.name)
        inside = other.first >= period.first and other.end <= period.end
        around = other.first <= period.first and other.end >= period.end
        if other != period and (inside or around) and (versions := _versions(params, other)):
            found.append((other, versions[0], 1))
    return found


def _labels(params: Params, period: Period) -> list[str]:
    return [f"{other.label} version {version}" for other, version, _ in _others(params, period)]


def _known(params: Params, period: Period) -> list[Table]:
    """Earlier versions of this period, and the periods within and around it."""
    return [
        view(release, number)
        for other, version, number in _others(params, period)
        for release in _read_releases(params, other, _published(params, other, version)).releases.values()
        if release.policy.people and not release.policy.exact and not release.policy.noise
    ]


def _cells_before(params: Params, period: Period, versions: Sequence[int]) -> dict[str, pl.DataFrame]:
    folder = _published(params, period, versions[0]) / "cells" if versions else None
    return {path.stem: pl.read_parquet(path) for path in folder.glob("*.parquet")} if folder else {}


def _fingerprint(params: Params, record: dict[str, Any]) -> str:
    """Of all that a period's releases are made from."""
    chosen = params.model_dump(mode="json", include={"tables", "disclosure", "organisation", "requests", "exemption"})
    code = [Path(__file__).with_name("disclosure"), Path(__file__).with_name("requests")]
    files = [p for folder in code for p in sorted(folder.glob("*.py"))]
    files += [Path(__file__).with_name(name) for name in ("technical.py", "deadlines.py", "exemption.py")]
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in files]
    return hashlib.sha256(json.dumps([record["state"], chosen, digests], sort_keys=True).encode()).hexdigest()


HANDLING = {
    "right", "month", "day", "days", "due", "on_time", "extension", "outcome", "reason_code", "letter", "identity",
    "came", "went", "overdue_for", "contact", "standing", "kind", "response", "kept",
}  # fmt: skip
"""Dimensions that say when and how a request was handled, and nothing of the person.

For the internal audience, counts by these are exact: the staff who answer for them work with the register itself. What
says something of the person (group, channel) is controlled, and for publication everything is.
"""


def _request_cells(params: Params, period: Period, zone: Path, record: dict[str, Any]) -> list[Cells]:
    """The tables of the register."""
    register = requests.Register(
        pl.read_parquet(zone / "requests.parquet"), pl.read_parquet(zone / "requests_excluded.parquet"),
        record["read"], tuple(record["notes"]),
    )  # fmt: skip
    as_of = date.fromisoformat(record["as_of"])
    california = params.requests.california
    return requests.request_tables(
        register, _calendar(params), period.first, period.last, as_of, period.label,
        ask_within=params.requests.ask_within, california=california.model_dump() if california else None,
    )  # fmt: skip


def _calendar(params: Params) -> Calendar:
    company = params.organisation
    return Calendar(company.country, company.subdivision, extra=company.extra_holidays)


def deadlines(params: Params, period: Period) -> Path:
    """Writes ``deadlines.csv`` into the confidential zone: why each open request's due date is what it is, in words.

    Of the requests open at the end of the period, most urgent first; columns as in ``deadlines.deadline_table``, with
    the row of the register for the request's id. Raises WorkbookError where the period has no register.
    """
    zone, record = params.confidential(period), _record(params.confidential(period))
    if record is None or record["requests"] is None:
        why = "is not collected" if record is None else "has no register of requests (sources.requests)"
        raise WorkbookError(f"{period.label} {why}: there are no deadlines to explain")
    day = min(period.last, date.fromisoformat(record["requests"]["as_of"]))
    known = requests.as_known(pl.read_parquet(zone / "requests.parquet"), day)
    waiting = known.filter(pl.col("ended_on").is_null(), pl.col("role") == "controller")
    days = _calendar(params)
    table = deadline_table(with_due_dates(waiting, days, params.requests.ask_within), days)
    path = zone / "deadlines.csv"
    path.unlink(missing_ok=True)
    write_private(path, table.sort("due", "received_on", "request_id").write_csv().encode())
    return path


def _line_account(account: dict[str, int], period: Period) -> Cells:
    """Lines read = lines used + lines excluded by reason; the reasons' words are in the notes."""
    reasons = technical.REASONS | exclusions.REASONS
    rows = {
        "used": account["used"],
        **{reason: account[reason] for reason in reasons},
        "Total": account["read"],
    }
    frame = pl.DataFrame(
        {"line": list(rows), "lines": list(rows.values())}, schema={"line": pl.String, "lines": pl.Int64}
    )
    notes = tuple(f"{reason}: {why}" for reason, why in reasons.items())
    return Cells("line_account", "What became of every log line", period.label, ("line",), ("lines",), frame, notes)

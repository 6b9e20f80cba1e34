"""The workbook of one period: the personal zone entered once (``collect``), and from then on named releases only."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from . import controls, exclusions, exemption, folders, geography, registers, requests, sources, technical
from .deadlines import Calendar
from .disclosure import (
    Cells,
    Ledger,
    Policy,
    Release,
    audit_tables,
    control,
    leaks,
    load,
    noisy,
    release,
    save,
    trend,
    view,
)
from .disclosure.audit import Table
from .params import AccessLog, Params, Period, WorkbookError

FRAMES = ("sessions", "areas", "steps", "products")
KNOWN = "known"
"""The keyed marks of what no output may hold (``leaks.Marks``)."""
LAYOUT = 7
"""Raised whenever what ``collect`` writes changes, so that an older collection is made anew."""

Progress = Callable[[int, int, int], None]
"""Called with bytes read, bytes in all, and lines read."""


# ---- the personal zone ----------------------------------------------------------------------------------------------


def collect(params: Params, period: Period, progress: Progress | None = None) -> dict[str, Any]:
    """Reads the raw input of ``period`` once and writes its pseudonymous sessions into the confidential zone.

    Skips the reading when neither the input nor what it depends on has changed. Gives the record of the collection:
    ``account`` (lines read, used, and excluded by reason), ``requests`` (the same of the register's rows, and its day),
    ``inputs``, ``notes``. Raises WorkbookError, with what was there before still in place.
    """
    for spec in params.tables:
        technical.check(spec)
        technical.keys(spec, params, period)
    zone = params.confidential(period)
    with folders.locked(zone.with_name(f".{period.label}.lock")):
        zone.parent.chmod(0o700)
        try:
            found = [(source, sources.find(source, params, period)) for source in params.sources.technical]
        except sources.SourceError:
            _leave_out_late(params, period, zone)
            raise
        state = {
            "technical": _state(params, found),
            "requests": _state_of_requests(params),
            "registers": _state_of_registers(params),
        }
        old = _record(zone)
        if old and old["state"] == state:
            return old
        key = _key(zone)
        left_out = exclusions.read(params, period, key)
        # Whoever is excluded no longer was left out before, and is read again.
        same = old and old["state"]["technical"] == state["technical"] and set(old["left_out"]) <= set(left_out.digests)

        def build(new: Path) -> None:
            new.chmod(0o700)
            if old and same:
                record = _keep(zone, new, old, left_out)
            else:
                record = _read(params, period, found, key, new, left_out, progress)
            record |= _read_requests(params, new, key)
            record["registers"] = _read_registers(params, period, new, key, record)
            record["inputs"] = [*record["technical_inputs"], *record["register_inputs"]]
            _write_private(new / "key", key)
            record |= {"layout": LAYOUT, "state": state}
            _write_private(new / "collect.json", json.dumps(record, indent=1).encode())

        folders.replace(zone, build)
        record = _record(zone)
        assert record is not None
        return record


def _keep(zone: Path, new: Path, old: dict[str, Any], left_out: exclusions.Exclusions) -> dict[str, Any]:
    """Takes what is collected over into the folder ``new``, without whom is left out by now."""
    shutil.copy2(zone / f"{KNOWN}.parquet", new)
    kept = ("period", "account", "technical_inputs", "notes", "data", "all_data", "left_out", "excluded")
    record = {name: old[name] for name in kept}
    if record["left_out"] == left_out.digests:
        for name in FRAMES:
            shutil.copy2(zone / f"{name}.parquet", new)
        return record
    frames, counts = left_out.leave_out({name: pl.read_parquet(zone / f"{name}.parquet") for name in FRAMES})
    _write_frames(frames, new)
    return record | _without(record["account"], counts, record["all_data"], left_out, frames)


def _leave_out_late(params: Params, period: Period, zone: Path) -> None:
    """Whoever objected since is left out also where the logs are gone, and only the sessions are there."""
    old = _record(zone)
    if not old or set(old["left_out"]) >= set((late := exclusions.read(params, period, _key(zone))).digests):
        return

    def build(new: Path) -> None:
        shutil.copytree(zone, new, dirs_exist_ok=True, ignore=shutil.ignore_patterns("collect.json", "releases"))
        both = replace(late, digests=sorted({*old["left_out"], *late.digests}))
        record = old | _keep(zone, new, old, both)
        record["state"] = old["state"] | {"left_out": hashlib.sha256("".join(both.digests).encode()).hexdigest()}
        _write_private(new / "collect.json", json.dumps(record, indent=1).encode())

    folders.replace(zone, build)


def _without(
    account: dict[str, int], gone: dict[str, int], data: str, left_out: exclusions.Exclusions,
    frames: dict[str, pl.DataFrame],
) -> dict[str, Any]:  # fmt: skip
    """The line account when lines by excluded accounts have gone, and what the sessions that are left follow from."""
    changed = account | {"used": account["used"] - sum(gone.values())}
    changed |= {reason: account.get(reason, 0) + count for reason, count in gone.items()}
    left = hashlib.sha256("".join([data, *left_out.digests]).encode()).hexdigest()
    rest = left if any(changed[reason] for reason in gone) else data
    frames = {name: frames[name] for name in FRAMES}
    remaining = sum(left_out.leave_out(frames)[1].values())
    return {
        "account": changed, "data": rest, "all_data": data, "left_out": left_out.digests,
        "excluded": {"spans": left_out.spans.height, "remaining": remaining},
    }  # fmt: skip


def is_collected(params: Params, period: Period) -> bool:
    """Whether the confidential zone holds ``period``."""
    return _record(params.confidential(period)) is not None


def is_published(params: Params, period: Period) -> bool:
    """Whether releases of ``period`` were published, so that a reader has them."""
    return bool(_versions(params, period))


def state(params: Params, period: Period) -> dict[str, str] | None:
    """What the collection of ``period`` was made from, as fingerprints; None where it is not collected."""
    record = _record(params.confidential(period))
    return record["state"] if record else None


def close(params: Params, period: Period) -> None:
    """Destroys the period's key and sessions; from then on only its releases exist."""
    zone = params.confidential(period)
    if not zone.is_dir():
        raise WorkbookError(f"{period.label} is not collected: there is nothing to close in {zone}")
    (zone / "key").write_bytes(secrets.token_bytes(32))  # a copy-on-write disk may keep the old block; see README
    for version in _versions(params, period):
        shutil.rmtree(_published(params, period, version) / "cells", ignore_errors=True)
    shutil.rmtree(zone)


def _key(zone: Path) -> bytes:
    path = zone / "key"
    return path.read_bytes() if path.is_file() else secrets.token_bytes(32)


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _record(zone: Path) -> dict[str, Any] | None:
    path = zone / "collect.json"
    record = json.loads(path.read_text()) if path.is_file() else None
    return record if record and record.get("layout") == LAYOUT else None


def _state(params: Params, found: list[tuple[AccessLog, sources.Files]]) -> str:
    """What a collection depends on, in one fingerprint: the files as they stand, and the parameters that matter."""
    countries = params.sources.countries
    paths = [p for _, files in found for p in files.paths] + ([params.path(countries.mmdb)] if countries.mmdb else [])
    stats = [(str(p), s.st_size, s.st_mtime_ns) for p in paths if p.exists() and (s := p.stat())]
    kept = params.model_dump(
        mode="json", include={"organisation": {"time_zone"}, "service": True, "sources": {"technical", "countries"}}
    )
    limits = params.disclosure.model_dump(include=_COLLECTED)
    return hashlib.sha256(json.dumps([LAYOUT, stats, kept, limits], sort_keys=True).encode()).hexdigest()


_COLLECTED = {"ipv4_bits", "ipv6_bits", "session_gap"}


def _data(params: Params, period: Period, inputs: list[dict[str, Any]]) -> str:
    """What the sessions of a period follow from, in one fingerprint: what the files hold, not where and since when.

    The privacy budget goes by it: the same data, collected again, gets the noise that it got before.
    """
    kept = params.model_dump(mode="json", include={"organisation": {"time_zone"}, "service": True})
    limits = params.disclosure.model_dump(include=_COLLECTED)
    files = sorted(file["fingerprint"] for file in inputs)
    return hashlib.sha256(json.dumps([period.label, files, kept, limits], sort_keys=True).encode()).hexdigest()


def _state_of_requests(params: Params) -> str:
    spec = params.sources.requests
    if not spec:
        return ""
    path = params.path(spec.path)
    stat = (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else None
    kept = [LAYOUT, str(path), stat, spec.model_dump(mode="json"), params.organisation.time_zone]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _state_of_registers(params: Params) -> str:
    """What the registers and their controls depend on: files, parameters, and the code that gives the verdicts."""
    paths = {name: params.path(source.path) for name, source in params.sources.registers.items()}
    stats = [(n, (p.stat().st_size, p.stat().st_mtime_ns) if p.exists() else None) for n, p in paths.items()]
    kept = params.model_dump(
        mode="json", include={"organisation": True, "sources": {"registers", "as_of"}, "notice": True}
    )
    code = [Path(registers.__file__), *sorted(Path(controls.__file__).parent.glob("*.py"))]
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in code]
    return hashlib.sha256(json.dumps([LAYOUT, stats, kept, digests], sort_keys=True).encode()).hexdigest()


def _read_requests(params: Params, new: Path, key: bytes) -> dict[str, Any]:
    """The register of requests, validated, into the folder ``new``; a row's number stands for the request's id."""
    spec = params.sources.requests
    if not spec:
        return {"requests": None, "register_inputs": []}
    path = params.path(spec.path)
    mapping = requests.RegisterMapping(spec.columns, spec.values, spec.fill, None, spec.date_format, spec.separator)
    register = requests.read_register(
        path, zone=params.organisation.time_zone, mapping=mapping, as_of=spec.as_of or date.today()
    )
    used = pl.DataFrame({"row": pl.int_range(2, register.read + 2, dtype=pl.UInt32, eager=True)})
    used = used.join(register.excluded, on="row", how="anti", maintain_order="left")["row"]
    kept = register.requests.with_columns(
        request_id=pl.format("row {}", used), case_id=pl.col("case_id").rank("dense").cast(pl.String)
    )
    # The controls look for a request's row in other registers: under a keyed hash of its id.
    linked = registers.pseudonymised("requests", register.requests.with_columns(used), key)
    linked = linked.select(registers.REGISTERS["requests"].column_names())
    for name, frame in (("requests", kept), ("requests_excluded", register.excluded), ("register_requests", linked)):
        _write_frame(new / f"{name}.parquet", frame)
    entries = [kept[name].max() for name in ("received_on", "decided_on", "response_sent_on", "executed_on")]
    as_of = spec.as_of or max((day for day in entries if isinstance(day, date)), default=date.today())
    record = {"account": register.account, "read": register.read, "as_of": str(as_of), "notes": list(register.notes)}
    return {"requests": record, "register_inputs": [_input(params, path)]}


def _read_registers(
    params: Params, period: Period, new: Path, key: bytes, record: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Every other register, validated, into the folder ``new``, and what the notice's promises make of them.

    A register that can't be read stops nothing: its promises have no evidence, and the notes say why.
    """
    record["register_notes"] = []
    made: dict[str, dict[str, Any]] = {}
    found: dict[str, controls.Evidence] = {}
    zone, company = params.organisation.time_zone, params.organisation
    for name, source in params.sources.registers.items():
        path, kind = params.path(source.path), source.kind or name
        if kind == exclusions.REGISTER:
            record["register_inputs"] = [*record["register_inputs"], _input(params, path)]
            continue
        as_of = source.as_of or params.sources.as_of
        assert as_of is not None, "the parameters ask for it"
        try:
            mapping = requests.RegisterMapping(
                source.columns, source.values, source.fill, source.zone, source.date_format, source.separator,
                registers.columns(kind),
            )  # fmt: skip
            read = registers.read(kind, path, zone=zone, mapping=mapping, as_of=as_of, key=key)
        except requests.RegisterError as error:
            found[name] = controls.Evidence(name, problem="it could not be read")
            made[name] = {"kind": kind, "as_of": str(as_of), "account": {}, "problem": str(error)}
            record["register_notes"] = [*record["register_notes"], f"sources.registers.{name} is no evidence: {error}"]
            continue
        _write_frame(new / f"register_{name}.parquet", read.frame)
        excluded = read.excluded.height
        found[name] = controls.Evidence(name, read.frame, as_of, "", excluded, source.may_be_empty)
        made[name] = {"kind": kind, "as_of": str(as_of), "account": read.account, "problem": ""}
        record["register_inputs"] = [*record["register_inputs"], _input(params, path)]
    if noted := record["requests"]:
        excluded = noted["account"]["read"] - noted["account"]["used"]
        frame = pl.read_parquet(new / "register_requests.parquet")
        as_of = date.fromisoformat(noted["as_of"])
        found["requests"] = controls.Evidence("requests", frame, as_of, "", excluded)
    if params.notice:
        days = Calendar(company.country, company.subdivision, extra=company.extra_holidays)
        controls.save(controls.evaluate(params.notice, period, found, zone, days), new)
    return made


def _write_frame(path: Path, frame: pl.DataFrame) -> None:
    frame.write_parquet(path, compression="zstd")
    path.chmod(0o600)


def _input(params: Params, path: Path) -> dict[str, Any]:
    return {
        "file": os.path.relpath(path, params.root),
        "bytes": path.stat().st_size,
        "fingerprint": sources.fingerprint(path),
    }


def _read(
    params: Params, period: Period, found: list[tuple[AccessLog, sources.Files]], key: bytes, new: Path,
    left_out: exclusions.Exclusions, progress: Progress | None,
) -> dict[str, Any]:  # fmt: skip
    mmdb = params.sources.countries.mmdb
    countries = geography.load(params.path(mmdb)) if mmdb else geography.without_countries()
    hits = technical.Hits(params, period, key, countries)
    marks = leaks.Marks(key)
    total = sum(path.stat().st_size for _, files in found for path in files.paths)
    before = 0
    notes: list[str] = []
    for source, files in found:
        for lines in sources.read(source, files):
            hits.add(lines)
            marks.add(lines)
            if progress:
                progress(before + files.done, total, hits.account["read"])
        before += files.done
        if files.missing_days:
            notes.append(f"no log for {len(files.missing_days)} days: {', '.join(map(str, files.missing_days))}")
        notes += [f"{path.name} is cut short: read up to the cut" for path in files.cut_short]
    if not mmdb:
        notes.append("countries: none were looked up (sources.countries.none)")
    frames = technical.sessions(hits.frame(), params.disclosure.session_gap)
    frames["sessions"] = technical.describe(frames["sessions"], hits.clients, params.organisation.time_zone)
    frames, gone = left_out.leave_out(frames)
    _write_frames(frames | {KNOWN: marks.frame()}, new)
    files_read = [*(p for _, files in found for p in files.paths), *([params.path(mmdb)] if mmdb else [])]
    inputs = [_input(params, path) for path in files_read]
    account = dict(hits.account)
    if account["read"] == account["outside period"] + account["broken"]:
        raise sources.SourceError(
            f"no line of {period.label} among the {account['read']:,} lines read ({account['broken']:,} broken); "
            "is it the right period, and are these the right logs (sources.technical)?"
        )
    assert account["read"] == account["used"] + sum(account[r] for r in technical.REASONS), "a line was lost"
    record = {"period": period.label, "technical_inputs": inputs, "notes": notes}
    return record | _without(account, gone, _data(params, period, inputs), left_out, frames)


def _write_frames(frames: dict[str, pl.DataFrame], folder: Path) -> None:
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd", statistics=False)
        (folder / f"{name}.parquet").chmod(0o600)


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


def _made(params: Params, period: Period) -> tuple[dict[str, Release], list[Cells], dict[str, Any]]:
    zone = params.confidential(period)
    record = _record(zone)
    if record is None:
        raise WorkbookError(f"{period.label} is not collected: there is nothing to make releases of")
    frames = {name: pl.read_parquet(zone / f"{name}.parquet") for name in FRAMES}
    policy = Policy(audience=params.disclosure.audience, **params.disclosure.limits)
    uncontrolled = replace(policy, people=False)
    tables = [technical.cells(spec, frames, period) for spec in params.tables if not spec.noise]
    made = release([_line_account(record["account"], period)], uncontrolled)
    notes = list(record["notes"])
    if record["requests"]:
        for table in _request_cells(params, period, zone, record["requests"]):
            if table.name == "register_account":
                made |= release([table], uncontrolled)
            elif policy.audience == "internal" and set(table.dimensions) <= HANDLING:
                made |= release([table], replace(policy, exact=True))
            else:
                tables.append(table)
        notes += record["requests"]["notes"]
    notes += record["register_notes"]
    if params.notice:
        accounts = {name: one["account"] for name, one in record["registers"].items() if one["account"]}
        made |= release([controls.register_account(accounts, period.label)], uncontrolled)
        public = policy.audience == "public"
        for name, table in controls.tables(controls.load(zone), period.label, public).items():
            if name in controls.ABOUT_NOBODY:
                made |= release([table], uncontrolled)
            elif not public:
                made |= release([table], replace(policy, exact=True))
            elif name not in controls.STAFF:
                tables.append(table)
    versions = _versions(params, period)
    controlled, audit = control(tables, policy, _known(params, period), before=_cells_before(params, period, versions))
    made = controlled | _noisy(params, period, frames, policy, record["data"]) | made
    if audit:
        made |= release(audit_tables(audit, period.label), uncontrolled)
    if params.exemption:
        facts = exemption.Facts(params, period, zone, frames, record, tables, made, audit)
        made |= release([exemption.table(facts)], uncontrolled)
    if params.disclosure.budget:
        notes.append(_ledger(params).says(period.label))
    more = {
        "fingerprint": _fingerprint(params, record), "known": _labels(params, period), "notes": notes,
        "inputs": record["inputs"], "audit": asdict(audit) if audit else None,
        "record": {k: record[k] for k in ("period", "account", "requests", "notes") if k in record},
    }  # fmt: skip
    return made, tables, more


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


def _save(releases: dict[str, Release], cells: Sequence[Cells], more: dict[str, Any], folder: Path) -> None:
    save(releases.values(), folder / "releases", more)
    (folder / "cells").mkdir(mode=0o700)
    for table in cells:
        path = folder / "cells" / f"{table.name}.parquet"
        table.frame.select(*table.dimensions, "people").write_parquet(path)
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
    chosen = params.model_dump(mode="json", include={"tables", "disclosure", "organisation", "exemption"})
    code = [Path(__file__).with_name("disclosure"), Path(__file__).with_name("requests")]
    files = [p for folder in code for p in sorted(folder.glob("*.py"))]
    files += [Path(technical.__file__), Path(exemption.__file__)]
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in files]
    return hashlib.sha256(json.dumps([record["state"], chosen, digests], sort_keys=True).encode()).hexdigest()


HANDLING = {
    "right", "month", "day", "days", "due", "on_time", "extension", "outcome", "reason_code", "letter", "identity",
    "flow",
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
    company = params.organisation
    days = Calendar(company.country, company.subdivision, extra=company.extra_holidays)
    as_of = date.fromisoformat(record["as_of"])
    return requests.request_tables(register, days, period.first, period.last, as_of, period.label)


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

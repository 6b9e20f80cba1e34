"""Collection: the personal zone is entered once, and pseudonymous sessions are kept by day in the confidential zone."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from . import engines, exclusions, folders, geography, sources, technical, visits
from .exclusions import Exclusions
from .marks import Marks
from .params import Params, Period, Source

LAYOUT = 9
"""Raised whenever what ``collect`` writes changes, so that an older collection is made anew."""
HELD = 500_000
"""Hits held before sessions are made of them: enough to be fast, few enough that memory stays flat."""
LATE = 3600
"""Seconds for which hits are held back then: lines are logged that much out of order, seldom more."""

Found = Sequence[tuple[Source, sources.Files]]
"""The sources of technical data with what holds the period of each."""
Progress = Callable[[int, int, int], None]
"""Called with bytes read, bytes in all, and lines read."""


def collect(params: Params, period: Period, progress: Progress | None = None) -> dict[str, Any]:
    """Reads the raw input of ``period`` once and writes its pseudonymous sessions into the confidential zone.

    Skips the reading when neither the input nor what it depends on has changed. Gives the record of the collection:
    ``account`` (lines read, used, and excluded by reason), ``requests`` (the same of the register's rows, and its day),
    ``inputs``, ``notes``. Raises WorkbookError, with what was there before still in place.
    """
    for spec in params.tables:
        technical.check(spec)
        if spec.noise:
            technical.keys(spec, params, period)
    zone = params.confidential(period)
    with folders.locked(zone.with_name(f".{period.label}.lock")):
        zone.parent.chmod(0o700)
        try:
            found = sources.find_all(params, period)
        except sources.SourceError:
            _leave_out_late(params, period, zone)
            raise
        state = {
            "plan": _state_of_plan(params),
            "technical": _state(params, found),
            "requests": _state_of_requests(params, period),
            "registers": _state_of_registers(params, period),
        }
        old = recorded(zone)
        same = old if old and old["state"]["technical"] == state["technical"] else None
        # A query is asked whether its rows have changed only where nothing else says that they must be read.
        if same and sources.digests(found, ask=True) != same["state"]["queries"]:
            same = None
        if same:
            state["queries"] = same["state"]["queries"]
            if same["state"] == state:
                return same
        key = _key(zone)
        left_out = exclusions.read(params, period, key)
        # Whoever is excluded no longer was left out before, and is read again: everything is.
        kept = old if old and set(old["left_out"]["digests"]) <= set(left_out.digests) else None
        same = same if kept else None

        def build(new: Path) -> None:
            new.chmod(0o700)
            same_plan = kept is not None and kept["state"]["plan"] == state["plan"]
            store = Days(params, period, new, zone if same_plan else None)
            if same:
                store.keep()
                store.keep_marks(None)
                record = {name: same[name] for name in _OF_SOURCES}
            else:
                known = kept["files"] if kept and same_plan else []
                record = _read(params, period, found, key, store, known, progress)
                state["queries"] = sources.digests(found)
            record |= _without(record, store, left_out, kept["left_out"] if kept and same_plan else None)
            record |= _read_requests(params, period, new, key)
            record["registers"] = _read_registers(params, period, new, key, record, left_out)
            record["inputs"] = [*record["technical_inputs"], *record["register_inputs"]]
            write_private(new / "key", key)
            record |= {"layout": LAYOUT, "state": state}
            write_private(new / "collect.json", json.dumps(record, indent=1).encode())

        folders.replace(zone, build)
        record = recorded(zone)
        assert record is not None
        return record


_OF_SOURCES = ("period", "all_lines", "files", "technical_inputs", "notes", "all_data")


def _without(
    record: dict[str, Any], store: Days, left_out: Exclusions, before: dict[str, Any] | None
) -> dict[str, Any]:
    """Leaves accounts out of the days in ``store``; the line account, and what the sessions that are left follow from.

    ``before`` is what had been left out of the days that ``store`` took over.
    """
    by_day = store.leave_out(left_out, before["days"] if before else {})
    account = dict(record["all_lines"])
    for counts in by_day.values():
        for reason, lines in counts.items():
            account["used"] -= lines
            account[reason] += lines
    changed = hashlib.sha256("".join([record["all_data"], *left_out.digests]).encode()).hexdigest()
    return {
        "account": account,
        "data": changed if by_day else record["all_data"],
        "left_out": {"digests": left_out.digests, "days": by_day},
        "excluded": {"spans": left_out.spans.height, "remaining": store.remaining(left_out)},
    }


def _leave_out_late(params: Params, period: Period, zone: Path) -> None:
    """Whoever objected since is left out also where the logs are gone, and only the sessions are there."""
    old = recorded(zone)
    if not old or set(old["left_out"]["digests"]) >= set((late := exclusions.read(params, period, _key(zone))).digests):
        return

    def build(new: Path) -> None:
        ignored = shutil.ignore_patterns("collect.json", "releases", "days", "known")
        shutil.copytree(zone, new, dirs_exist_ok=True, ignore=ignored)
        store = Days(params, period, new, zone)
        store.keep()
        store.keep_marks(None)
        both = replace(late, digests=sorted({*old["left_out"]["digests"], *late.digests}))
        record = old | _without(old, store, both, old["left_out"])
        record["state"] = old["state"] | {"left_out": hashlib.sha256("".join(both.digests).encode()).hexdigest()}
        write_private(new / "collect.json", json.dumps(record, indent=1).encode())

    folders.replace(zone, build)


def is_collected(params: Params, period: Period) -> bool:
    """Whether the confidential zone holds ``period``."""
    return recorded(params.confidential(period)) is not None


def state(params: Params, period: Period) -> dict[str, str] | None:
    """What the collection of ``period`` was made from, as fingerprints; None where it is not collected."""
    record = recorded(params.confidential(period))
    return record["state"] if record else None


def _key(zone: Path) -> bytes:
    path = zone / "key"
    return path.read_bytes() if path.is_file() else secrets.token_bytes(32)


def write_private(path: Path, content: bytes) -> None:
    """Writes a file of the confidential zone, which is not there yet (mode 0600)."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def recorded(zone: Path) -> dict[str, Any] | None:
    """What ``collect`` noted in ``zone``; None where nothing is collected, or by an older version."""
    path = zone / "collect.json"
    record = json.loads(path.read_text()) if path.is_file() else None
    return record if record and record.get("layout") == LAYOUT else None


def _state_of_plan(params: Params) -> str:
    """What every collected day depends on besides the logs: the parameters that matter, and the country database."""
    mmdb = params.sources.countries.mmdb
    stats = _stat(params.path(mmdb)) if mmdb else None
    include: Any = {"organisation": {"time_zone"}, "service": True, "sources": {"countries"}}
    kept = params.model_dump(mode="json", include=include)
    limits = params.disclosure.model_dump(include=_COLLECTED)
    return hashlib.sha256(json.dumps([LAYOUT, stats, kept, limits], sort_keys=True).encode()).hexdigest()


def _state(params: Params, found: Found) -> str:
    """What a collection depends on, in one fingerprint: the files as they stand and the plan, not what queries give."""
    stats = [
        (source.model_dump(mode="json"), [(str(path), *_stat(path)) for path in files.paths]) for source, files in found
    ]
    return hashlib.sha256(json.dumps([_state_of_plan(params), stats], sort_keys=True).encode()).hexdigest()


_COLLECTED = {"ipv4_bits", "ipv6_bits", "session_gap"}


def _data(params: Params, period: Period, inputs: list[dict[str, Any]]) -> str:
    """What the sessions of a period follow from, in one fingerprint: what the files hold, not where and since when.

    The privacy budget goes by it: the same data, collected again, gets the noise that it got before.
    """
    kept = params.model_dump(mode="json", include={"organisation": {"time_zone"}, "service": True})
    limits = params.disclosure.model_dump(include=_COLLECTED)
    files = sorted(file["fingerprint"] for file in inputs)
    return hashlib.sha256(json.dumps([period.label, files, kept, limits], sort_keys=True).encode()).hexdigest()


def _stat(path: Any) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _state_of_requests(params: Params, period: Period) -> str:
    spec = params.sources.requests
    if not spec:
        return ""
    seen = [str(params.path(spec.path)), _stat(params.path(spec.path))] if spec.path else _rows(params, period).look()
    kept = [LAYOUT, seen, spec.model_dump(mode="json"), params.organisation.time_zone]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _rows(params: Params, period: Period) -> sources.Rows:
    """The rows of the register's query, of the schema's columns alone."""
    from .requests import SCHEMA

    spec = params.sources.requests
    assert spec is not None
    return sources.register_rows(spec, SCHEMA, params, period, "sources.requests.query")


def _read_requests(params: Params, period: Period, new: Path, key: bytes) -> dict[str, Any]:
    """The register of requests, validated, into the folder ``new``; a row's number stands for the request's id."""
    spec = params.sources.requests
    if not spec:
        return {"requests": None, "register_inputs": []}
    from . import requests  # only here, as the rest needs neither calendars nor statistics

    zone, as_of = params.organisation.time_zone, spec.as_of or date.today()
    if spec.path:
        register = requests.read_source(spec, params.path(spec.path), zone=zone, as_of=as_of)
        register_input = _input(params, params.path(spec.path))
    else:
        rows = _rows(params, period)
        frame = pl.concat(rows.read())
        register = requests.validate(frame.lazy, rows.where, zone, requests.mapping_of(spec), as_of)
        register_input = {"file": rows.where, "rows": rows.rows, "fingerprint": rows.digest}
    kept = register.without_ids()
    _write_frame(new / "requests.parquet", kept)
    _write_frame(new / "requests_excluded.parquet", register.excluded)
    if params.notice or params.sources.registers:
        from . import registers

        # The controls look for a request's row in other registers: under a keyed hash of its id.
        linked = registers.pseudonymised("requests", register.requests.with_columns(register.rows), key)
        _write_frame(new / "register_requests.parquet", linked.select(registers.REGISTERS["requests"].column_names()))
    entries = [kept[name].max() for name in ("received_on", "decided_on", "response_sent_on", "executed_on")]
    as_of = spec.as_of or max((day for day in entries if isinstance(day, date)), default=date.today())
    record = {"account": register.account, "read": register.read, "as_of": str(as_of), "notes": list(register.notes)}
    return {"requests": record, "register_inputs": [register_input]}


def _state_of_registers(params: Params, period: Period) -> str:
    """What the registers and their controls depend on: files, parameters, and the code that gives the verdicts.

    A database that refuses is part of it: its register is no evidence, until it answers.
    """
    if not params.notice and not params.sources.registers:
        return ""
    from . import controls, registers

    def seen(name: str, path: str | None) -> Any:
        try:
            return _stat(params.path(path)) if path else registers.asked(params, period, name).look()
        except sources.SourceError as error:
            return str(error)

    stats = [(name, seen(name, source.path)) for name, source in params.sources.registers.items()]
    include: Any = {"organisation": True, "sources": {"registers", "as_of"}, "notice": True}
    kept = params.model_dump(mode="json", include=include)
    code = [Path(registers.__file__), *sorted(Path(controls.__file__).parent.glob("*.py"))]
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in code]
    return hashlib.sha256(json.dumps([LAYOUT, stats, kept, digests], sort_keys=True).encode()).hexdigest()


def _read_registers(
    params: Params, period: Period, new: Path, key: bytes, record: dict[str, Any], left_out: Exclusions
) -> dict[str, dict[str, Any]]:
    """Every other register, validated, into the folder ``new``, and what the notice's promises make of them.

    A register that can't be read stops nothing: its promises have no evidence, and the notes say why.
    """
    record["register_notes"] = []
    made: dict[str, dict[str, Any]] = {}
    if not params.notice and not params.sources.registers:
        return made
    from . import controls, deadlines, registers, requests

    found: dict[str, controls.Evidence] = {}
    zone, company = params.organisation.time_zone, params.organisation
    for name, source in params.sources.registers.items():
        if name in left_out.inputs:  # that of excluded accounts has been read, and nothing of it is kept
            record["register_inputs"] = [*record["register_inputs"], left_out.inputs[name]]
            continue
        kind, as_of = source.kind or name, source.as_of or params.sources.as_of
        assert as_of is not None, "the parameters ask for it"
        try:
            frame, given = registers.raw(params, period, name)
        except (requests.RegisterError, sources.SourceError) as error:
            found[name] = controls.Evidence(name, problem="it could not be read")
            made[name] = {"kind": kind, "as_of": str(as_of), "account": {}, "problem": str(error)}
            record["register_notes"] = [*record["register_notes"], f"sources.registers.{name} is no evidence: {error}"]
            continue
        record["register_inputs"] = [*record["register_inputs"], given]
        read = registers.read(kind, frame, zone=zone, as_of=as_of, key=key)
        _write_frame(new / f"register_{name}.parquet", read.frame)
        found[name] = controls.Evidence(name, read.frame, as_of, "", read.excluded.height, source.may_be_empty)
        made[name] = {"kind": kind, "as_of": str(as_of), "account": read.account, "problem": ""}
    if noted := record["requests"]:
        excluded = noted["account"]["read"] - noted["account"]["used"]
        frame = pl.read_parquet(new / "register_requests.parquet")
        as_of = date.fromisoformat(noted["as_of"])
        found["requests"] = controls.Evidence("requests", frame, as_of, "", excluded)
    if params.notice:
        days = deadlines.Calendar(company.country, company.subdivision, extra=company.extra_holidays)
        controls.save(controls.evaluate(params.notice, period, found, zone, days), new)
    return made


def _write_frame(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    frame.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
    path.chmod(0o600)


def _input(params: Params, path: Any, size: int | None = None, fingerprint: str | None = None) -> dict[str, Any]:
    return {
        "file": os.path.relpath(path, params.root) if isinstance(path, Path) else str(path),
        "bytes": path.stat().st_size if size is None else size,
        "fingerprint": fingerprint or sources.fingerprint(path),
    }


def _read(
    params: Params, period: Period, found: Found, key: bytes, store: Days, known: list[dict[str, Any]],
    progress: Progress | None,
) -> dict[str, Any]:  # fmt: skip
    """Reads what is new among the inputs and writes the days that it touches; ``known`` are the inputs of before.

    A day's sessions depend on that day's lines alone. So a new file's hits are counted apart and joined to what is
    there; only where they lie among others, or where a file has changed or gone, are a day's lines read again.
    """
    mmdb = params.sources.countries.mmdb
    countries = geography.load(params.path(mmdb)) if mmdb else geography.without_countries()
    inputs = _inputs(found, known)
    hits = technical.Hits(params, period, key, countries, len(inputs))
    marks = Marks(key, hits.numbers)
    gone = _recognise(inputs, known, hits)
    again = np.zeros(hits.days.shape[1], bool)
    for entry in gone:
        again[entry["days"]] = True
    store.discard(again)
    gap = params.disclosure.session_gap
    engine = engines.engine(params)

    seen: dict[int, pl.DataFrame] = {}

    def read_here(wanted: list[_Input], only: np.ndarray | None) -> None:
        total = sum(file.size for file in wanted)
        done = 0
        # Sessions are made of the hits that were held while the next lines are read; of one lot of hits at a time.
        with ThreadPoolExecutor(1) as other:

            def stored(last: Future[None] | None, before: int | None = None) -> Future[None]:
                if last:
                    last.result()
                return other.submit(store.add_all, technical.days(hits, gap, before, engine))

            storing = None
            for source, some in _by_source(wanted):
                opened = some[0].rows or sources.Files([file.path for file in some])
                numbers = np.array([file.number for file in some])
                for lines in sources.read(source, opened):
                    hits.add(lines, numbers, only)
                    if only is None:
                        marks.add(lines, numbers)
                    if only is None and hits.size > HELD:
                        # Whole days, so that each is stored once; parts of days, or what there is, where that is much.
                        whole_days, everything = hits.size <= 2 * HELD, hits.size > 3 * HELD
                        before = None if everything else hits.settled(LATE, whole_days)
                        if before is None or before > hits.earliest:
                            storing = stored(storing, before)
                    if progress:
                        progress(done + opened.done, total, int(hits.accounts.sum()))
                done += opened.done
                for file in some:
                    file.was_read(opened)
            storing = stored(storing)
            if only is None:
                seen.update((file.number, marks.of_file(file.number)) for file in wanted)
            storing.result()

    def read_there(cluster: Any, wanted: list[_Input], only: np.ndarray | None) -> None:
        from . import spark

        job = spark.Job(params, period, key, countries, [(file.source, file.path) for file in inputs], only)
        parts = [part for f in wanted for part in spark.parts(f.source, f.path, f.number, f.size)]
        collected = cluster.collect(job, parts, gap)
        touched = np.zeros(again.size, bool) if only is None else only
        for number, done in collected.accounts() if only is None else ():
            hits.accounts[number] += done["account"]
            hits.days[number, done["days"]] = touched[done["days"]] = True
            inputs[number].cut_short |= done["cut_short"]
        if only is None:
            seen.update({file.number: marks.of_file(file.number) for file in wanted} | collected.marks())
        store.add_all(collected.days(np.flatnonzero(touched).tolist()))
        if progress:
            total = sum(file.size for file in wanted)
            progress(total, total, int(hits.accounts.sum()))

    def read(wanted: list[_Input], only: np.ndarray | None) -> None:
        # What a query gives is read here, and where it lies among lines of logs, so are those.
        asked = [file for file in wanted if file.rows]
        if params.engine == "spark" and (only is None or not asked):
            if there := [file for file in wanted if not file.rows]:
                read_there(engine, there, only)
            wanted = asked
        if wanted:
            read_here(wanted, only)

    read([file for file in inputs if file.new], None)
    if (mixed := store.mixed | again).any():
        store.discard(mixed)
        read([file for file in inputs if (hits.days[file.number] & mixed).any()], mixed)
    store.keep()
    store.keep_marks({file.name: seen[file.number] if file.new else None for file in inputs})
    notes = _all_broken(found, inputs, hits)
    account = {"read": int(hits.accounts.sum())}
    account |= dict(zip(("used", *technical.REASONS), hits.accounts.sum(axis=0).tolist(), strict=True))
    if account["read"] == account["outside period"] + account["broken"]:
        raise sources.SourceError(
            f"no line of {period.label} among the {account['read']:,} lines read ({account['broken']:,} broken); "
            "is it the right period, and are these the right logs (sources.technical)?"
        )
    for _, some in found:
        if some.missing_days:
            notes.append(f"no log for {len(some.missing_days)} days: {', '.join(map(str, some.missing_days))}")
        notes += some.notes
    notes += [f"{file.path.name} is cut short: read up to the cut" for file in inputs if file.cut_short]
    if not mmdb:
        notes.append("countries: none were looked up (sources.countries.none)")
    told = [_input(params, file.path, file.size, file.fingerprint) for file in inputs if not file.rows]
    told += [_input(params, params.path(mmdb))] if mmdb else []
    told += sources.asked(found)
    return {
        "period": period.label, "all_lines": account | dict.fromkeys(exclusions.REASONS, 0), "technical_inputs": told,
        "notes": notes, "files": [file.record(hits) for file in inputs], "all_data": _data(params, period, told),
    }  # fmt: skip


def _all_broken(found: Found, inputs: list[_Input], hits: technical.Hits) -> list[str]:
    """A note for each file of which every line is broken. Raises SourceError for a source of such files alone."""
    read = hits.accounts.sum(axis=1)
    broken = hits.accounts[:, ("used", *technical.REASONS).index("broken")]
    notes: list[str] = []
    for number, (source, _) in enumerate(found):
        some = [file for file in inputs if file.source is source and read[file.number]]
        for file in some:
            if broken[file.number] < read[file.number]:
                continue
            why = sources.why_broken(source, file.rows or sources.Files([file.path]))
            if all(broken[f.number] == read[f.number] for f in some):
                where = file.rows.where if file.rows else file.path
                count = sum(read[f.number] for f in some)
                raise sources.SourceError(
                    f"sources.technical.{number}: every line is broken ({count:,}), of {where} the first at {why}; say "
                    "what format they have (kind, log_format, columns), or take the source out"
                )
            notes.append(f"{file.path.name}: every line is broken, the first at {why}")
    return notes


@dataclass
class _Input:
    """A log file, or what a query gives: what it is known by, and what became of it."""

    number: int
    source: Source
    path: Any = None
    rows: sources.Rows | None = None
    new: bool = True
    cut_short: bool = False
    size: int = 0
    modified: int = 0
    fingerprint: str = ""

    def was_read(self, opened: sources.Files) -> None:
        """Notes what only reading tells."""
        self.cut_short = self.path in opened.cut_short
        if self.rows:
            if self.fingerprint not in ("", self.rows.digest):
                raise sources.SourceError(f"{self.rows.where}: its rows changed while they were read; collect again")
            self.fingerprint = self.rows.digest

    def record(self, hits: technical.Hits) -> dict[str, Any]:
        """The input without its name (the inputs have that): its account in the order of REASONS, days as numbers."""
        return {
            "identity": self.identity, "cut_short": self.cut_short, "account": hits.accounts[self.number].tolist(),
            "days": np.flatnonzero(hits.days[self.number]).tolist(),
        }  # fmt: skip

    @property
    def identity(self) -> list[Any]:
        """What tells an input from a changed one; a rename keeps it."""
        return [self.source.model_dump(mode="json"), self.size, self.modified, self.fingerprint]

    @property
    def name(self) -> str:
        """What its marks are kept under."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:32]


def _inputs(found: Found, known: list[dict[str, Any]]) -> list[_Input]:
    inputs: list[_Input] = []
    asked_before = [entry["identity"][0] for entry in known]
    for source, files in found:
        if isinstance(files, sources.Rows):
            # A query that was asked before may give what it gave then; one that was not is asked once, when it is read.
            before = source.model_dump(mode="json") in asked_before
            digest = (files.digest or files.look()) if before else ""
            inputs.append(_Input(len(inputs), source, rows=files, fingerprint=digest))
        for path in files.paths:
            size, modified = _stat(path)
            inputs.append(
                _Input(len(inputs), source, path, None, True, False, size, modified, sources.fingerprint(path))
            )
    return inputs


def _recognise(files: list[_Input], known: list[dict[str, Any]], hits: technical.Hits) -> list[dict[str, Any]]:
    """Marks the inputs that were read before and takes over their accounts; gives those that are there no longer."""
    left = list(known)
    for file in files:
        for entry in left:
            if entry["identity"] == file.identity:
                file.new, file.cut_short = False, entry["cut_short"]
                hits.accounts[file.number] = entry["account"]
                hits.days[file.number, entry["days"]] = True
                left.remove(entry)
                break
    return left


def _by_source(files: list[_Input]) -> Iterator[tuple[Source, list[_Input]]]:
    for _, group in groupby(files, key=lambda file: (id(file.source), id(file.rows))):
        some = list(group)
        yield some[0].source, some


class Days:
    """The days of a period in the confidential zone, four files of sessions each; a day's sessions end at midnight.

    Beside them stand the marks of known values, a file of them for every input.
    """

    def __init__(self, params: Params, period: Period, new: Path, old: Path | None) -> None:
        self.days, self.new, self.old = period.days, new, old
        self.gap = params.disclosure.session_gap
        self.mixed = np.zeros(len(self.days), bool)
        """Days whose hits were counted apart though they lie among each other: to be read again, together."""
        self.discarded = np.zeros(len(self.days), bool)
        (new / "days").mkdir(mode=0o700)
        (new / "known").mkdir(mode=0o700)

    def add(self, day: int, frames: dict[str, pl.DataFrame]) -> None:
        """Adds sessions (frames of technical.days) to those of a day, and writes them."""
        if self.mixed[day]:
            return
        if before := self._read(day):
            joined = visits.stitch({name: pl.concat([before[name], frames[name]]) for name in frames}, self.gap)
            if joined is None:
                self.mixed[day] = True
                return
            frames = {name: technical.in_order(frame) for name, frame in joined.items()}
        for name, frame in frames.items():
            path = self._path(self.new, name, day)
            path.unlink(missing_ok=True)
            _write_frame(path, frame)

    def add_all(self, days: Iterable[tuple[int, dict[str, pl.DataFrame]]]) -> None:
        """Adds days of sessions, one after the other."""
        for day, frames in days:
            self.add(day, frames)

    def discard(self, days: np.ndarray) -> None:
        """Forgets what is known of days: their lines are read again."""
        self.discarded |= days
        self.mixed &= ~days
        for day in np.flatnonzero(days).tolist():
            for name in visits.FRAMES:
                self._path(self.new, name, day).unlink(missing_ok=True)

    def keep(self) -> None:
        """Takes over from the old collection the days that were not touched."""
        for name in visits.FRAMES:
            (self.new / "days" / name).mkdir(mode=0o700, exist_ok=True)
            for day in range(len(self.days)):
                path = self._path(self.new, name, day)
                old = self.old and self._path(self.old, name, day)
                if old and old.exists() and not path.exists() and not self.discarded[day]:
                    os.link(old, path)

    def keep_marks(self, of_inputs: dict[str, pl.DataFrame | None] | None) -> None:
        """Writes the marks of new inputs, by name, and takes over those of the others (None); all without a list."""
        if of_inputs is None:
            assert self.old is not None
            of_inputs = {path.stem: None for path in (self.old / "known").iterdir()}
        for name, frame in of_inputs.items():
            path = self.new / "known" / f"{name}.parquet"
            if frame is not None:
                _write_frame(path, frame)
            else:
                assert self.old is not None
                os.link(self.old / "known" / path.name, path)

    def leave_out(self, left_out: Exclusions, before: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        """Takes the visitors of excluded accounts out of the days they are excluded on; the lines left out in all, by
        day and reason. ``before`` says how many had been left out of days that are not read anew."""
        gone = {str(day): dict(before.get(str(day), {})) for n, day in enumerate(self.days) if not self.discarded[n]}
        for number, day in enumerate(self.days):
            who = left_out.on(day)
            path = self._path(self.new, "sessions", number)
            if not who.height or not path.exists():
                continue
            found = pl.read_parquet(path, columns=["visitor", "hits"]).join(who, on="visitor")
            counts = gone.setdefault(str(day), {})
            for reason, lines in found.group_by("reason").agg(pl.col("hits").sum()).sort("reason").iter_rows():
                counts[reason] = counts.get(reason, 0) + lines
            for name in visits.FRAMES if found.height else ():
                path = self._path(self.new, name, number)
                rest = pl.read_parquet(path).join(who, on="visitor", how="anti", maintain_order="left")
                path.unlink()
                _write_frame(path, rest)
        return {day: counts for day, counts in gone.items() if counts}

    def remaining(self, left_out: Exclusions) -> int:
        """How many lines of excluded accounts are there, on the days they are excluded on."""
        lines = 0
        for number, day in enumerate(self.days):
            path = self._path(self.new, "sessions", number)
            if (who := left_out.on(day)).height and path.exists():
                lines += (
                    pl.read_parquet(path, columns=["visitor", "hits"]).join(who, on="visitor")["hits"].to_numpy().sum()
                )
        return int(lines)

    def _read(self, day: int) -> dict[str, pl.DataFrame] | None:
        for folder in (self.new, None if self.discarded[day] else self.old):
            if folder and self._path(folder, "sessions", day).exists():
                return {name: pl.read_parquet(self._path(folder, name, day)) for name in visits.FRAMES}
        return None

    def _path(self, folder: Path, name: str, day: int) -> Path:
        return folder / "days" / name / f"{self.days[day]}.parquet"


def sessions(params: Params, period: Period) -> dict[str, pl.DataFrame]:
    """The collected sessions of ``period`` as ``technical.cells`` takes them: those cut at midnight are joined."""
    folder = params.confidential(period) / "days"
    as_text = pl.selectors.categorical().cast(pl.String)
    frames = {
        name: pl.concat([pl.read_parquet(p).with_columns(as_text) for p in sorted((folder / name).iterdir())])
        for name in visits.FRAMES
    }
    cuts = technical.midnights(period, params.organisation.time_zone)
    frames = visits.stitch_at(frames, params.disclosure.session_gap, cuts)
    return frames | {"sessions": technical.describe(frames["sessions"], params.organisation.time_zone)}

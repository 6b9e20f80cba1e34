"""Sources of technical data: whatever a company has, read into frames of the columns PARSED.

A kind of source is a class of parameters, a way to find what holds a period, and a way to read it; ``register`` adds
one, and the parameters know it by its name from then on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import polars as pl

from ..params import SOURCES, AccessLog, Params, Period, Source
from . import combined, databases, formats, json_lines, logs, records, tabular, w3c
from .combined import PARSED as PARSED
from .combined import Lines as Lines
from .databases import Rows as Rows
from .databases import register_rows as register_rows
from .logs import Files as Files
from .logs import SourceError as SourceError
from .logs import fingerprint as fingerprint

Find = Callable[[Any, Params, Period], Files]
Read = Callable[[Any, Any], Iterator[pl.DataFrame]]


@dataclass(frozen=True)
class Kind:
    """A kind of source: ``find`` gives what holds a period, ``read`` its lines in batches with the columns PARSED.

    A line or row that is no request is kept with a null ``time``, so that it is counted as broken.
    """

    parameters: type[Source]
    find: Find
    read: Read


KINDS: dict[str, Kind] = {}


def register(parameters: type[Source], read: Read, find: Find = logs.find) -> None:
    """Adds a kind of source, named by the ``kind`` of its parameters; for a source of files, ``find`` is the files'."""
    (name,) = get_args(parameters.model_fields["kind"].annotation)
    KINDS[name], SOURCES[name] = Kind(parameters, find, read), parameters


def find(source: Source, params: Params, period: Period) -> Files:
    """What holds ``period`` of a source: its files, or its query's rows. Raises SourceError where nothing does."""
    return KINDS[source.kind].find(source, params, period)


def find_all(params: Params, period: Period) -> list[tuple[Source, Files]]:
    """Each source of technical data with what holds ``period``.

    Raises SourceError also where two sources have one file, and for a log beside its own compressed copy.
    """
    found = [(source, find(source, params, period)) for source in params.sources.technical]
    first: dict[Hashable, int] = {}
    whole: dict[str, Any] = {}
    for number, (_, files) in enumerate(found):
        for path in files.paths:
            other = first.setdefault(logs.identity(path), number)
            if other != number:
                raise SourceError(
                    f"sources.technical: {path.name} stands in sources {other} and {number}, and its lines would count "
                    "twice; narrow the path of one of them"
                )
            copy = whole.setdefault(str(path).removesuffix(".gz").removesuffix(".zst"), path)
            if copy is not path:
                raise SourceError(
                    f"sources.technical: {copy} stands beside {path.name}, which is the same log compressed or not, "
                    "and its lines would count twice; take one of them away, or narrow the path"
                )
    return found


def read(source: Source, files: Files) -> Iterator[Lines]:
    """The lines or rows of a source in batches; ``Lines.file`` says which of ``files.paths`` each stands in.

    Raises SourceError for what can't be read.
    """
    if isinstance(source, AccessLog) and (language := formats.combined(source)) is not None:
        return logs.read(files, language=language)
    if isinstance(files, Rows):
        return (Lines.of(frame) for frame in KINDS[source.kind].read(source, files) if frame.height)
    return map(Lines.of, records.gathered(_by_file(source, files)))


def why_broken(source: Source, files: Files) -> str:
    """Where the first of lines that are all broken stands, and why it is no request; nothing of it is quoted."""
    frame = next(iter(read(source, files))).frame()
    if isinstance(files, Rows) or isinstance(source, tabular.Parquet):
        at = "row 1"
    elif isinstance(source, w3c.W3C):
        lines = combined.split(next(logs.blocks(Files(files.paths))))
        at = f"line {1 + (~lines.str.starts_with('#')).arg_true()[0]}"
    else:
        at = f"line {2 if isinstance(source, tabular.Csv) else 1}"
    return f"{at}: {records.why_broken(frame)}"


def _by_file(source: Source, files: Files) -> Iterator[pl.DataFrame]:
    """The frames of each file, with its place among ``files.paths`` (column ``file``); ``files`` is kept up to date."""
    for number, path in enumerate(files.paths):
        before, one = files.done, Files([path])
        for frame in KINDS[source.kind].read(source, one):
            files.done = before + one.done
            if frame.height:
                yield frame.with_columns(file=pl.lit(number, pl.UInt32))
        files.done = before + one.done
        files.cut_short += one.cut_short


def digests(found: Sequence[tuple[Source, Files]], *, ask: bool = False) -> str:
    """What the queries among the sources gave, in one fingerprint; with ``ask``, what they give now."""
    each = [(files.look() if ask else files.digest) for _, files in found if isinstance(files, Rows)]
    return hashlib.sha256("".join(each).encode()).hexdigest() if each else ""


def asked(found: Sequence[tuple[Source, Files]]) -> list[dict[str, Any]]:
    """The queries among the sources as a record's inputs: which one, how many rows it gave, and their digest."""
    return [
        {"file": f"sources.technical.{n} ({source.kind} query)", "rows": files.rows, "fingerprint": files.digest}
        for n, (source, files) in enumerate(found)
        if isinstance(files, Rows)
    ]


def _find_access_log(source: AccessLog, params: Params, period: Period) -> Files:
    formats.tokens_of(source)  # a format that can't be read is told before any file is
    files = logs.find(source, params, period)
    files.notes += formats.notes(source)
    return files


register(AccessLog, formats.read, _find_access_log)
register(json_lines.JsonLines, json_lines.read)
register(w3c.W3C, w3c.read)
register(tabular.Parquet, tabular.read_parquet)
register(tabular.Csv, tabular.read_csv)
for _query in (databases.PostgreSQLQuery, databases.SQLiteQuery, databases.DuckDBQuery):
    register(_query, databases.read_clickstream, databases.find)

"""Sources of technical data: whatever a company has, read into frames of the columns PARSED.

A kind of source is a class of parameters, a way to find what holds a period, and a way to read it; ``register`` adds
one, and the parameters know it by its name from then on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import polars as pl

from ..params import SOURCES, AccessLog, Params, Period, Source
from . import databases, formats, json_lines, logs, tabular, w3c
from .databases import Rows as Rows
from .databases import rows as rows
from .logs import PARSED as PARSED
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


def read(source: Source, files: Files) -> Iterator[pl.DataFrame]:
    """The lines or rows of a source in batches, columns PARSED, broken ones with null ``time``. Raises SourceError."""
    return (lines for lines in KINDS[source.kind].read(source, files) if lines.height)


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
    formats.parser(source)  # a format that can't be read is told before any file is
    files = logs.find(source, params, period)
    files.notes += formats.notes(source)
    return files


def _read_access_log(source: AccessLog, files: Files) -> Iterator[pl.DataFrame]:
    parse = formats.parser(source)
    return (parse(logs._lines(block)) for block in logs.blocks(files))


register(AccessLog, _read_access_log, _find_access_log)
register(json_lines.JsonLines, json_lines.read)
register(w3c.W3C, w3c.read)
register(tabular.Parquet, tabular.read_parquet)
register(tabular.Csv, tabular.read_csv)
for _query in (databases.PostgreSQLQuery, databases.SQLiteQuery, databases.DuckDBQuery):
    register(_query, databases.read_clickstream, databases.find)

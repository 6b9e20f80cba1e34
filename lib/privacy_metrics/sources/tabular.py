"""Clickstream kept as records: Parquet and CSV files with a mapping of their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import polars as pl
import pyarrow as pa
from pydantic import AfterValidator

from ..params import Columns, LogFiles
from . import logs
from .combined import split
from .logs import Files, SourceError
from .records import BATCH, gathered, is_text, locate, parsed, plain


class Parquet(LogFiles, Columns):
    """Parquet files, one row per request."""

    kind: Literal["parquet"]


def _separator(text: str) -> str:
    if not re.fullmatch(r"[\x01-\x7f]", text) or text.isalnum() or text in '"\r\n':
        raise ValueError('it must be one ASCII character that is no letter, digit, quote or line end: ",", ";", "\\t"')
    return text


class Csv(LogFiles, Columns):
    """CSV files with a header, plain or gzip or zstd: one line per request, and no field over several lines."""

    kind: Literal["csv"]
    separator: Annotated[str, AfterValidator(_separator)] = ","


def read_parquet(source: Parquet, files: Files) -> Iterator[pl.DataFrame]:
    """The rows of ``files`` in batches, columns PARSED; only the mapped columns are read.

    Raises SourceError, with the file's name, for one that can't be read, or whose columns are not what the fields need.
    """
    from pyarrow import parquet  # only then is it loaded

    for path in files.paths:
        with logs.reading(path), path.open("rb") as raw:
            size = raw.seek(0, 2)
            try:
                file = parquet.ParquetFile(raw)
                found = locate(file.schema_arrow.names, source, str(path))
                _check(file.schema_arrow, found, str(path))
                columns = list(dict.fromkeys(found.values()))
                for batch in file.iter_batches(BATCH, columns=columns):
                    frame = pl.DataFrame({name: plain(batch.column(name)) for name in columns})
                    yield parsed(frame, source, found, str(path))
            except (OSError, pa.ArrowException):
                raise SourceError(
                    f"{path}: not readable as Parquet; restore the file, or take it out of the source"
                ) from None
        files.done += size


def _check(schema: pa.Schema, found: dict[str, str], where: str) -> None:
    """Raises SourceError for columns of types that their fields can't be read from."""
    problems = []
    for name, column in found.items():
        kind = schema.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        moment = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        allowed = {"time": "text, a number or a timestamp", "account": "text or a number", "status": "text or a number"}
        if not (is_text(kind) or pa.types.is_null(kind) or (number and name in allowed) or (moment and name == "time")):
            problems.append(
                f"{where}: column {column} (for {name}) is {kind}; it must be {allowed.get(name, 'text')}: "
                "write it so, or name another column (columns)"
            )
    if problems:
        raise SourceError("\n".join(problems))


def read_csv(source: Csv, files: Files) -> Iterator[pl.DataFrame]:
    """The lines of ``files`` after each one's header in batches, columns PARSED.

    A line with an open quote, or with more or fewer fields than the header, is broken by itself. Raises SourceError for
    a header that can't be read or lacks a column.
    """
    return gathered(_read_csv(source, files))


def _read_csv(source: Csv, files: Files) -> Iterator[pl.DataFrame]:
    for path, blocks in logs.blocks_by_file(files):
        names: list[str] = []
        found: dict[str, str] = {}
        for block in blocks:
            lines = split(block).str.strip_suffix("\r")
            if not names:
                names = _fields(lines[0], source.separator)
                if not names:
                    raise SourceError(
                        f"{path}: line 1 is no header that can be read; it must name the columns, and lines must end "
                        "with a line feed; add it, or end the lines so"
                    )
                found = locate(names, source, str(path))
                lines = lines[1:]
            if lines.len():
                yield parsed(rows(lines, names, source.separator), source, found, str(path))


def _fields(line: str, separator: str) -> list[str]:
    """The fields of a line of CSV as Python's reader finds them; none of one that it refuses (over 128 KB, say)."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def rows(lines: pl.Series, names: list[str], separator: str) -> pl.DataFrame:
    """The fields of CSV ``lines`` as text, one row a line: empty fields are null, and so is all of a broken line."""
    quoted = lines.str.contains('"', literal=True)
    bare = lines
    if quoted.any():
        bare = lines.str.replace_all(r'"[^"]*"', "")  # what is left has a quote where one is open
    whole = (bare.str.count_matches(separator, literal=True) == len(names) - 1) & (lines != "")
    odd: dict[int, list[str | None]] = {}
    if quoted.any():
        field = rf'(?:"(?:[^"]|"")*"|[^"{re.escape(separator)}]*)'
        written = lines.str.contains(rf"^{field}(?:{re.escape(separator)}{field})*$")
        # Quotes where no CSV writer puts them: read line by line.
        for n in (whole & ~written & ~bare.str.contains('"', literal=True)).arg_true():
            fields = _fields(lines[n], separator)
            if len(fields) == len(names):
                odd[n] = [value or None for value in fields]
        whole = whole & written
    columns = [f"{n}" for n in range(len(names))]
    schema = dict.fromkeys(columns, pl.String)
    frame = pl.DataFrame(schema=schema)
    if whole.any():
        text = "\n".join(lines.filter(whole)).encode()
        frame = pl.read_csv(text, separator=separator, has_header=False, schema=schema)
    others = pl.DataFrame(list(odd.values()), schema=schema, orient="row")
    broken = pl.DataFrame(schema=schema).clear(lines.len() - frame.height - others.height)
    row = pl.select(row=pl.int_range(lines.len())).to_series()
    rest = row.filter(~whole & ~row.is_in(list(odd)))
    place = pl.concat([row.filter(whole), pl.Series(list(odd), dtype=row.dtype), rest])
    frame = pl.concat([frame, others, broken])[place.arg_sort()]
    # Of a name that stands twice, the mapping takes none: locate has seen to that.
    return frame.select(pl.col(f"{names.index(name)}").alias(name) for name in dict.fromkeys(names))

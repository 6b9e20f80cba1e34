"""W3C extended logs (IIS and others) and CloudFront's, whose ``#Fields`` line says what a line's columns are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import unquote

import polars as pl

from ..params import LogFiles
from . import logs
from .combined import split
from .logs import Files, SourceError
from .records import gathered, settle

_FIELDS = {
    "c-ip": "address",
    "cs-username": "account",
    "cs-method": "method",
    "cs-uri": "target",
    "cs-uri-stem": "stem",
    "cs-uri-query": "query",
    "sc-status": "status",
    "cs(referer)": "referrer",
    "cs(user-agent)": "agent",
    "cs(accept-language)": "language",
    "x-forwarded-for": "forwarded",
    "cs(x-forwarded-for)": "forwarded",
    "date": "date",
    "time": "clock",
}


class W3C(LogFiles):
    """Logs with a ``#Fields`` line, plain or gzip or zstd; their times are UTC.

    Columns are parted by tabs (CloudFront: a user agent is percent-encoded) or by spaces (IIS: its spaces are ``+``).
    """

    kind: Literal["w3c"]


def read(source: W3C, files: Files) -> Iterator[pl.DataFrame]:
    """The lines of ``files`` in batches, columns PARSED. Directives (``#...``) are no lines of the account.

    Raises SourceError for a file that has lines before a ``#Fields`` line, or one that lacks what a request needs.
    """
    return gathered(_read(source, files))


def _read(source: W3C, files: Files) -> Iterator[pl.DataFrame]:
    for path, blocks in logs.blocks_by_file(files):
        names: list[str] = []
        for block in blocks:
            lines = split(block).str.strip_suffix("\r")
            directive = lines.str.starts_with("#")
            # Each #Fields line begins a part that it describes.
            begins = lines.str.starts_with("#Fields:").cast(pl.UInt32).cum_sum()
            for part in pl.DataFrame({"line": lines, "part": begins, "directive": directive}).partition_by(
                "part", maintain_order=True
            ):
                first = part["line"][0]
                if first.startswith("#Fields:"):
                    names = first.removeprefix("#Fields:").split()
                records = part.filter(~pl.col("directive"))["line"]
                if records.len():
                    yield _records(records, names, source, str(path))


def _records(lines: pl.Series, names: list[str], source: W3C, where: str) -> pl.DataFrame:
    if not names:
        raise SourceError(f"{where}: has lines before a #Fields: line, which says what they hold; is it a W3C log?")
    at = {_FIELDS[name.lower()]: n for n, name in reversed(list(enumerate(names))) if name.lower() in _FIELDS}
    lacks = [
        words
        for name, words in {
            "date": "date", "clock": "time", "address": "c-ip", "method": "cs-method", "status": "sc-status",
        }.items()
        if name not in at
    ]  # fmt: skip
    if not at.keys() & {"target", "stem"}:
        lacks.append("cs-uri-stem")
    if source.proxies and "forwarded" not in at:
        lacks.append("x-forwarded-for (for proxies)")
    if lacks:
        raise SourceError(f"{where}: its #Fields: line lacks {', '.join(lacks)}; log these fields too")
    tabs = lines.str.contains("\t", literal=True)  # each line by itself: one of junk may have what the others have not
    row = pl.select(row=pl.int_range(lines.len())).to_series()
    parts = [_cut(lines.filter(some), mark, at, len(names)) for mark, some in (("\t", tabs), (" ", ~tabs))]
    fields = pl.concat(parts)[pl.concat([row.filter(tabs), row.filter(~tabs)]).arg_sort()]
    fields = fields.with_columns(time=pl.col("date") + "T" + pl.col("clock") + "Z")
    if "stem" in at:
        stem = pl.col("stem")
        if "query" in at:
            stem = stem + pl.when(~pl.col("query").is_in(["-", ""])).then("?" + pl.col("query")).otherwise(pl.lit(""))
        fields = fields.with_columns(target=stem)
    fields = fields.drop("date", "clock", "stem", "query", strict=False)
    return settle(fields, where, proxies=source.proxies)


def _cut(lines: pl.Series, mark: str, at: dict[str, int], count: int) -> pl.DataFrame:
    """The fields of lines whose columns are parted by ``mark``; null where there are more or fewer than ``count``."""
    split = lines.str.splitn(mark, count + 1).struct
    whole = split.field(f"field_{count - 1}").is_not_null() & split.field(f"field_{count}").is_null()
    fields = pl.select(pl.when(whole).then(split.field(f"field_{n}")).alias(name) for name, n in at.items())
    encoded = [name for name in ("agent", "language", "forwarded") if name in at]
    return fields.with_columns(_decoded(fields[name], mark == "\t") for name in encoded)


def _decoded(values: pl.Series, percent: bool) -> pl.Series:
    """What the server encoded so that it could stand in a column, resolved once per distinct value."""
    distinct = values.unique().drop_nulls()
    plain = [unquote(text) if percent else text.replace("+", " ") for text in distinct]
    return values.replace_strict(distinct, pl.Series(plain, dtype=pl.String), default=None, return_dtype=pl.String)

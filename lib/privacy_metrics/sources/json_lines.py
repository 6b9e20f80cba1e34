"""JSON lines: one object per request, as nginx (escape=json), Caddy and Traefik write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import polars as pl
from pydantic import model_validator

from ..params import Columns, LogFiles
from . import logs
from .combined import split
from .logs import Files, SourceError
from .records import settle

PRESETS: dict[str, dict[str, str]] = {
    "nginx": {
        "address": "remote_addr", "account": "remote_user", "time": "time_iso8601", "request": "request",
        "status": "status", "referrer": "http_referer", "agent": "http_user_agent",
        "language": "http_accept_language", "forwarded": "http_x_forwarded_for",
    },
    "caddy": {
        "address": "request.remote_ip", "account": "user_id", "time": "ts", "method": "request.method",
        "target": "request.uri", "status": "status", "referrer": "request.headers.Referer.0",
        "agent": "request.headers.User-Agent.0", "language": "request.headers.Accept-Language.0",
        "forwarded": "request.headers.X-Forwarded-For.0",
    },
    "traefik": {
        "address": "ClientHost", "account": "ClientUsername", "time": "StartUTC", "method": "RequestMethod",
        "target": "RequestPath", "status": "DownstreamStatus", "referrer": "request_Referer",
        "agent": "request_User-Agent", "language": "request_Accept-Language", "forwarded": "request_X-Forwarded-For",
    },
}  # fmt: skip
"""Where a server's own access log has each field; nginx has no names of its own, so its variables' names are taken."""


class JsonLines(LogFiles, Columns):
    """JSON lines, plain or gzip or zstd: ``preset`` is the server, ``columns`` the paths that differ.

    A path goes into objects and lists by dots: ``request.headers.User-Agent.0``.
    """

    kind: Literal["json_lines"]
    preset: Literal["nginx", "caddy", "traefik"] | None = None

    @model_validator(mode="after")
    def _enough(self) -> JsonLines:
        have = {*self.paths, *self.fill}
        if "request" in have:
            have |= {"method", "target"}
        lacks = [name for name in ("time", "method", "target", "status") if name not in have]
        if not have & {"address", "account"}:
            lacks.append("address")
        if lacks:
            raise ValueError(f"give a preset ({', '.join(PRESETS)}), or columns for {', '.join(lacks)}")
        return self

    @property
    def paths(self) -> dict[str, str]:
        """The path of each field."""
        named: dict[str, str] = {**(PRESETS[self.preset] if self.preset else {}), **self.columns}
        return {field: path for field, path in named.items() if field not in self.fill}


def read(source: JsonLines, files: Files) -> Iterator[pl.DataFrame]:
    """The lines of ``files`` in batches, columns PARSED; a line that is no such object is broken by itself."""
    paths = {name: path.split(".") for name, path in source.paths.items()}
    schema = _schema(list(paths.values()), source.path)
    chosen = [_at(path).alias(name) for name, path in paths.items()]
    chosen += [pl.lit(value).alias(name) for name, value in source.fill.items()]
    for block in logs.blocks(files):
        fields = decode(block, schema).select(chosen)
        yield settle(fields, source.path, source.time_zone, source.proxies)


def decode(block: bytes, schema: dict[str, Any]) -> pl.DataFrame:
    """One row per line of ``block`` with the columns ``schema``, all null for a line that does not hold them."""
    count = block.count(b"\n") + (not block.endswith(b"\n"))
    if (frame := _whole(block, count, schema)) is not None:
        return frame
    # What reads a block at once fails on one bad line of it: then the lines are looked at, and what is left is halved.
    lines = split(block)
    good = pl.Series([_is_object(line) for line in lines], dtype=pl.Boolean)
    row = pl.select(row=pl.int_range(lines.len())).to_series()
    read = _halved(lines.filter(good), schema)
    broken = pl.DataFrame(schema=schema).clear(lines.len() - read.height)
    return pl.concat([read, broken])[pl.concat([row.filter(good), row.filter(~good)]).arg_sort()]


def _halved(lines: pl.Series, schema: dict[str, Any]) -> pl.DataFrame:
    if not lines.len():
        return pl.DataFrame(schema=schema)
    frame = _whole("\n".join(lines).encode(), lines.len(), schema)
    if frame is not None:
        return frame
    if lines.len() == 1:
        return pl.DataFrame(schema=schema).clear(1)
    middle = lines.len() // 2
    return pl.concat([_halved(lines[:middle], schema), _halved(lines[middle:], schema)])


def _whole(block: bytes, count: int, schema: dict[str, Any]) -> pl.DataFrame | None:
    try:
        frame = pl.read_ndjson(block, schema=schema)
    except (pl.exceptions.PolarsError, OSError):
        return None
    return frame if frame.height == count else None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _schema(paths: list[list[str]], where: str) -> dict[str, Any]:
    """The part of the objects that the paths name: every leaf as text, whatever it is."""
    tree: dict[str, list[list[str]]] = {}
    for head, *rest in paths:
        tree.setdefault(head, []).append(rest)
    schema: dict[str, Any] = {}
    for head, rests in tree.items():
        if not all(rests):
            if any(rests):
                raise SourceError(f"{where}: columns name {head} and a part of {head}; a field is one or the other")
            schema[head] = pl.String
        elif all(rest[0].isdigit() for rest in rests):
            inner = [rest[1:] for rest in rests]
            schema[head] = pl.List(pl.Struct(_schema(inner, where)) if all(inner) else pl.String)
        else:
            schema[head] = pl.Struct(_schema(rests, where))
    return schema


def _at(path: list[str]) -> pl.Expr:
    value = pl.col(path[0])
    for part in path[1:]:
        value = value.list.get(int(part), null_on_oob=True) if part.isdigit() else value.struct.field(part)
    return value

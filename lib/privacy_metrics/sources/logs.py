"""Access logs in the combined format read in batches, each line parsed or counted as broken.

The frames made here hold personal data (addresses, accounts, user agents); they live in memory only, inside
``collect``, and are turned into pseudonymous hits by ``technical``.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from ..params import AccessLog, LogFiles, Params, Period, WorkbookError

BLOCK = 48 << 20
"""Bytes of lines parsed at a time: large enough to be fast, small enough that memory stays flat."""
CHUNK = 8 << 20

PARSED = {
    "address": pl.String,  # as logged: IPv4, IPv6 or a host name
    "account": pl.String,  # the log's user field; null where anonymous
    "time": pl.Int64,  # epoch seconds
    "method": pl.String,
    "target": pl.String,  # path and query
    "status": pl.UInt16,
    "referrer": pl.String,  # null where none
    "agent": pl.String,  # null where none
    "language": pl.String,  # Accept-Language; null where none or not logged
}
"""Columns of a parsed line; ``time`` is null where the line is broken."""

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = (
    rf"^(\S+) \S+ (.+?) \[([^\]]+)\] {_QUOTED} (\d{{3}}) (?:\d+|-)(?: {_QUOTED} {_QUOTED}(?: {_QUOTED})?.*)?\r?$"
)
_STAMP = " [01/Jul/2026:09:12:44 +0300] "
_MONTHS = {
    m: i for i, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


class SourceError(WorkbookError):
    """A source that is missing or unreadable; the message names the file."""


@dataclass
class Files:
    """The files of one source for a period, and what is missing or damaged among them."""

    paths: list[Any]
    """Each a Path, or a file of an object store (``stores.Remote``)."""
    missing_days: list[date] = field(default_factory=list)
    cut_short: list[Path] = field(default_factory=list)
    done: int = 0
    """Bytes read so far, as they stand on disk."""
    notes: list[str] = field(default_factory=list)
    """What a report must say of the source."""


def find(source: LogFiles, params: Params, period: Period) -> Files:
    """The files that hold ``period``: a file, a glob, or one file a day, with the days around for late rotation.

    Raises SourceError when nothing is found, or when a day of the period has no file and that is not allowed.
    """
    if "{date}" not in source.path:
        paths = _glob(params, source.path)
        if not paths:
            raise SourceError(f"sources.technical.path: {source.path}: no such file in {params.root}")
        return Files(paths)
    around = [period.first - timedelta(days=1), *period.days, period.end]
    by_day = {day: _glob(params, source.path.replace("{date}", day.isoformat())) for day in around}
    missing = [day for day in period.days if not by_day[day]]
    if len(missing) == len(period.days):
        raise SourceError(
            f"sources.technical.path: {source.path}: no file for any day of {period.label} in {params.root}"
        )
    if missing and not source.allow_missing_days:
        days = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise SourceError(
            f"sources.technical.path: {source.path}: no file for {days}; "
            "restore it, or set allow_missing_days: true to report without these days"
        )
    return Files([path for day in around for path in by_day[day]], missing)


def _glob(params: Params, pattern: str) -> list[Any]:
    if "://" in pattern:
        from . import stores  # only then is a store's client loaded

        return [*stores.find(pattern)]
    path = params.path(pattern)
    if not any(c in pattern for c in "*?["):
        return [path] if path.is_file() else []
    anchor = Path(path.anchor)
    return sorted(p for p in anchor.glob(str(path.relative_to(anchor))) if p.is_file())


def fingerprint(path: Any) -> str:
    """SHA-256 over a file's size and its first and last MiB: tells a changed log without reading all of it again."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        if size > 2 << 20:
            file.seek(-(1 << 20), 2)
        digest.update(file.read())
    return digest.hexdigest()


def read(source: AccessLog, files: Files) -> Iterator[pl.DataFrame]:
    """The lines of ``files`` in batches, parsed: one row per line, broken ones with null ``time`` (columns PARSED).

    A gzip file that ends before its end is read as far as it goes and noted in ``files.cut_short``. Raises
    SourceError, with the file's name, for one that cannot be read.
    """
    for block in blocks(files):
        yield parse(_lines(block), language=source.language)


def blocks(files: Files) -> Iterator[bytes]:
    """The content of the files in blocks of whole lines; each is read and decompressed while the one before is parsed.

    Raises SourceError, with the file's name, for one that cannot be read.
    """
    with ThreadPoolExecutor(1) as ahead:
        found = _blocks(files)
        coming = ahead.submit(next, found, None)
        while (block := coming.result()) is not None:
            coming = ahead.submit(next, found, None)
            yield block


def blocks_by_file(files: Files) -> Iterator[tuple[Any, Iterator[bytes]]]:
    """Each file with its blocks, for formats whose files begin with a header; ``files`` is kept up to date."""
    for path in files.paths:
        before, one = files.done, Files([path])

        def counted(before: int = before, one: Files = one) -> Iterator[bytes]:
            for block in blocks(one):
                files.done = before + one.done
                yield block

        yield path, counted()
        files.done = before + one.done
        files.cut_short += one.cut_short


def _blocks(files: Files) -> Iterator[bytes]:
    """The content of the files, one after the other, in blocks of about BLOCK bytes that end with a line's end."""
    parts: list[bytes] = []
    size = 0
    for path in files.paths:
        rest = b""
        for chunk in _chunks(path, files):
            head, newline, rest = (rest + chunk).rpartition(b"\n")
            parts += [head, newline]
            size += len(head)
            if size >= BLOCK:
                yield b"".join(parts)
                parts, size = [], 0
        if rest:  # a last line without its end must not run into the next file
            parts += [rest, b"\n"]
    if parts:
        yield b"".join(parts)


def _chunks(path: Any, files: Files) -> Iterator[bytes]:
    before = files.done
    try:
        with path.open("rb") as raw:
            content = _opened(raw)
            while chunk := content.read1(CHUNK):
                files.done = before + raw.tell()
                yield chunk
    except EOFError:
        files.cut_short.append(path)
    except (OSError, zlib.error) as error:
        if "Truncated compressed stream" in str(error):  # what pyarrow says of zstd
            files.cut_short.append(path)
            return
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise SourceError(f"{path}: not readable ({reason}); restore the file, or take it out of the source") from None
    files.done = before + path.stat().st_size


def _opened(raw: BufferedReader) -> Any:
    """The content of a file, decompressed where its first bytes say so, whatever it is called."""
    first = raw.peek(4)[:4]
    if first[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)
    if first == b"\x28\xb5\x2f\xfd":
        return _Zstd(pa.CompressedInputStream(raw, "zstd"))
    if first and Path(raw.name).suffix in (".gz", ".zst"):
        raise OSError(f"its content is not what its name {Path(raw.name).suffix} says")
    return raw


class _Zstd:
    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def read1(self, size: int) -> bytes:
        # Of a frame that is cut short, pyarrow gives nothing of the read that meets the cut: so many small ones.
        return self.stream.read(min(size, 1 << 16))


def _lines(block: bytes) -> pl.DataFrame:
    # A separator that no line can hold makes the CSV reader a line reader (tests/test_sources.py pins this). The empty
    # line before the others is there because the reader would decompress what begins like a compressed file.
    lines = pl.scan_csv(
        b"\n" + block,
        separator="\n",
        quote_char=None,
        has_header=False,
        schema={"line": pl.String},
        encoding="utf8-lossy",
        empty_string_is_null=False,
    )
    return lines.slice(1).collect()


def parse(lines: pl.DataFrame, *, language: bool = False) -> pl.DataFrame:
    """Parses ``lines`` (column ``line``) of the combined format into the columns PARSED, in the same order.

    With ``language``, a quoted Accept-Language header follows the user agent. Lines of the plain shape are cut at
    their quotes; the others alone go through a regular expression.
    """
    part = [pl.col("part").struct.field(f"field_{i}") for i in range(9)]
    cut = lines.select(pl.col("line").str.splitn('"', 9).alias("part"))
    head = part[0].str.head(-len(_STAMP)).str.splitn(" ", 3)
    request = part[1].str.splitn(" ", 3)
    stamp = part[0].str.tail(len(_STAMP))
    plain = cut.select(
        address=head.struct.field("field_0"),
        account=head.struct.field("field_2"),
        stamp=stamp,
        method=request.struct.field("field_0"),
        target=request.struct.field("field_1"),
        protocol=request.struct.field("field_2"),
        status=part[2].str.slice(1, 3).cast(pl.UInt16, strict=False),
        referrer=part[3],
        agent=part[5],
        language=part[7] if language else pl.lit(None, pl.String),
        fits=(
            stamp.str.starts_with(" [")
            & stamp.str.ends_with("] ")
            & part[0].str.len_bytes().gt(len(_STAMP))
            & (part[2].str.slice(4, 1) == " ")
            & (part[4] == " ")
            & (part[6].is_in(["", "\r"]) | part[6].str.starts_with(" "))
            & ~part[1].str.ends_with("\\")
            & ~part[3].str.ends_with("\\")
            & ~part[5].str.ends_with("\\")
            & (part[8].is_in(["", "\r"]) if language else True)
        ).fill_null(False),
    )
    plain = plain.with_columns(fits=pl.col("fits") & pl.col("protocol").str.starts_with("HTTP/").fill_null(False))
    if not plain["fits"].all():
        odd = lines.filter(~plain["fits"])
        plain = plain.with_columns(odd=~pl.col("fits"))
        plain = _merge(plain, _by_expression(odd, language=language))
    moments = _moments(plain["stamp"])
    return plain.select(
        "address",
        pl.when(pl.col("account") != "-").then("account").alias("account"),
        moments.alias("time"),
        "method",
        "target",
        "status",
        *(pl.when(~pl.col(c).is_in(["-", ""])).then(c).alias(c) for c in ("referrer", "agent", "language")),
    ).with_columns(time=pl.when(_is_request()).then("time"))


def _is_request() -> pl.Expr:
    """Whether the fields make a request; ``OPTIONS *`` and absolute targets of proxies are requests too."""
    known = pl.col("target").str.starts_with("/") | pl.col("target").str.contains(r"^(?:https?://|\*$)")
    return (known & pl.col("status").is_between(100, 599) & pl.col("address").is_not_null()).fill_null(False)


def _by_expression(lines: pl.DataFrame, *, language: bool) -> pl.DataFrame:
    names = ["address", "account", "stamp", "request", "status", "referrer", "agent", "language"]
    groups = pl.col("line").str.extract_groups(_COMBINED).struct.rename_fields(names).alias("groups")
    request = pl.col("request").str.extract_groups(r"^(\S+) (\S.*?)(?: (HTTP/[0-9.]+))?$")
    return (
        lines.select(groups)
        .unnest("groups")
        .with_columns(request.struct.rename_fields(["method", "target", "protocol"]).alias("request"))
        .unnest("request")
        .with_columns(
            pl.col("status").cast(pl.UInt16, strict=False),
            (" [" + pl.col("stamp") + "] ").alias("stamp"),
            pl.col("language") if language else pl.lit(None, pl.String).alias("language"),
        )
    )


def _merge(plain: pl.DataFrame, odd: pl.DataFrame) -> pl.DataFrame:
    """``plain`` with the rows that are ``odd`` taken from the other frame, in order."""
    columns = [c for c in plain.columns if c not in ("fits", "odd")]
    row = plain.with_row_index("row")
    mended = pl.concat(
        [
            row.filter("fits").select("row", *columns),
            odd.select(row.filter("odd")["row"], *columns),
        ]
    )
    return mended.sort("row").drop("row")


def _moments(stamps: pl.Series) -> pl.Series:
    """Epoch seconds of `` [01/Jul/2026:09:12:44 +0300] ``; null where it is no moment. Days are resolved once each."""
    name = stamps.name
    frame = pl.select(
        day=stamps.str.slice(2, 12) + stamps.str.slice(22, 6),
        hour=stamps.str.slice(14, 2).cast(pl.Int32, strict=False),
        minute=stamps.str.slice(17, 2).cast(pl.Int32, strict=False),
        second=stamps.str.slice(20, 2).cast(pl.Int32, strict=False),
        shape=(stamps.str.len_bytes() == len(_STAMP))
        & (stamps.str.slice(16, 1) == ":")
        & (stamps.str.slice(19, 1) == ":"),
    )
    days = frame["day"].unique().drop_nulls()
    midnight = pl.DataFrame(
        {"day": days, "midnight": [_midnight(d) for d in days]}, schema={"day": pl.String, "midnight": pl.Int64}
    )
    within = (
        pl.col("shape") & pl.col("hour").is_between(0, 23) & pl.col("minute").is_between(0, 59)
        & pl.col("second").is_between(0, 60)
    )  # fmt: skip
    return (
        frame.join(midnight, on="day", how="left", maintain_order="left")
        .select(
            pl.when(within).then(pl.col("midnight") + pl.col("hour") * 3600 + pl.col("minute") * 60 + pl.col("second"))
        )
        .to_series()
        .alias(name)
    )


def _midnight(day: str) -> int | None:
    """Epoch seconds at which ``01/Jul/2026: +0300`` begins; None for a day that does not exist."""
    try:
        number, month, year = int(day[:2]), _MONTHS[day[3:6]], int(day[7:11])
        sign, hours, minutes = {"+": 1, "-": -1}[day[13]], int(day[14:16]), int(day[16:18])
        start = datetime(year, month, number, tzinfo=UTC)
    except (ValueError, KeyError, IndexError):
        return None
    if day[2] != "/" or day[6] != "/" or day[11:13] != ": " or hours > 14 or minutes > 59:
        return None
    return int(start.timestamp()) - sign * (hours * 3600 + minutes * 60)

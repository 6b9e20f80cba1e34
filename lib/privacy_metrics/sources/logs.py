"""Files of log lines: which hold a period, their content in blocks, and the combined format read in batches.

The frames made here hold personal data (addresses, accounts, user agents); they live in memory only, inside
``collect``, and are turned into pseudonymous hits by ``technical``.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import sys
import zlib
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..params import LogFiles, Params, Period, WorkbookError
from .combined import BEYOND, Heads, Lines, parse

BLOCK = 24 << 20
"""Bytes of lines parsed at a time: large enough to be fast, small enough that memory stays flat."""
CHUNK = 4 << 20
_NEWLINE = 10
PARSERS = min(2, os.cpu_count() or 1)
"""Blocks parsed at a time: what is made of the lines needs less of a core than parsing them does."""


class SourceError(WorkbookError):
    """A source that is missing or unreadable; the message names the file."""


@dataclass
class Files:
    """The files of one source for a period, and what is missing or damaged among them."""

    paths: list[Any]
    """Each a Path, or a file of an object store (``stores.Remote``)."""
    missing_days: list[date] = field(default_factory=list)
    cut_short: list[Any] = field(default_factory=list)
    done: int = 0
    """Bytes read so far, as they stand on disk."""
    notes: list[str] = field(default_factory=list)
    """What a report must say of the source."""


def find(source: LogFiles, params: Params, period: Period) -> Files:
    """The files that hold ``period``: a file, a glob, or one file a day, with the days around for late rotation.

    Raises SourceError when nothing is found, or when a day of the period has no file and that is not allowed.
    """
    if "{date}" not in source.path:
        paths = _once(_glob(params, source.path))
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
    return Files(_once(path for day in around for path in by_day[day]), missing)


def _glob(params: Params, pattern: str) -> list[Any]:
    if "://" in pattern:
        from . import stores  # only then is a store's client loaded

        return [*stores.find(pattern)]
    path = params.path(pattern)
    anchor = Path(path.anchor)
    named = sorted(anchor.glob(str(path.relative_to(anchor)))) if any(c in pattern for c in "*?[") else [path]
    if lost := [p for p in named if p.is_symlink() and not p.exists()]:
        raise SourceError(
            f"sources.technical.path: {lost[0]} is a link to a file that is not there; restore the file, or take the "
            "link away"
        )
    return [p for p in named if p.is_file()]


def _once(paths: Iterable[Any]) -> list[Any]:
    """Each file under the first of its names: a link beside its file, as a log's current name is, is no other file."""
    once: dict[Hashable, Any] = {}
    for path in paths:
        once.setdefault(identity(path), path)
    return [*once.values()]


def identity(path: Any) -> Hashable:
    """What the names of one file have in common, links and ``file://`` among them, and those of two do not."""
    local = path if isinstance(path, Path) else path.local
    if local is None:
        return str(path)
    with reading(path):
        found = local.stat()
    return found.st_dev, found.st_ino


@contextmanager
def reading(path: Any) -> Iterator[None]:
    """What the system says of a file becomes a SourceError with what to do, also of one that has gone since found."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError(
            f"{path}: has gone since it was found; collect again where logs were rotated, or restore the file"
        ) from None
    except (OSError, zlib.error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise SourceError(f"{path}: not readable ({reason}); restore the file, or take it out of the source") from None


def fingerprint(path: Any) -> str:
    """SHA-256 over a file's size and its first and last MiB: tells a changed log without reading all of it again.

    Raises SourceError, with the file's name, for one that cannot be read.
    """
    with reading(path), path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256(str(size).encode())
        digest.update(file.read(1 << 20))
        if size > 2 << 20:
            file.seek(-(1 << 20), 2)
        digest.update(file.read())
    return digest.hexdigest()


def read(files: Files, *, language: bool) -> Iterator[Lines]:
    """The lines of ``files`` of the combined format in batches; ``Lines.file`` says in which of ``files.paths``.

    A compressed file that ends before its end is read as far as it goes and noted in ``files.cut_short``. Raises
    SourceError, with the file's name, for one that cannot be read.
    """
    # One thread reads and decompresses, others parse, as numpy and Polars let go of the interpreter's lock. All want it
    # back more often than every five milliseconds, or they wait for each other longer than they work.
    heads = Heads()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(PARSERS) as parsers:
            blocks = _blocks(files)
            coming = reader.submit(next, blocks, None)
            parsing: deque[Future[Lines]] = deque()
            while (block := coming.result()) is not None or parsing:
                if block is not None:
                    coming = reader.submit(next, blocks, None)
                    parsing.append(parsers.submit(_parsed, block, language, heads))
                if block is None or len(parsing) > PARSERS:
                    yield parsing.popleft().result()
    finally:
        sys.setswitchinterval(interval)


def _parsed(block: _Block, language: bool, heads: Heads) -> Lines:
    lines = parse(block.content, language=language, heads=heads)
    numbers = np.array([file for file, _ in block.parts], np.uint32)
    if numbers[0] == numbers[-1]:  # most blocks are of one file: its lines need not be counted
        return replace(lines, file=np.full(lines.time.size, numbers[0]))
    ends = np.cumsum([length for _, length in block.parts])
    counts = [np.count_nonzero(part == _NEWLINE) for part in np.split(block.content[: ends[-1]], ends[:-1])]
    return replace(lines, file=np.repeat(numbers, counts))


def blocks(files: Files) -> Iterator[bytes]:
    """The content of the files in blocks of whole lines; each is read and decompressed while the one before is parsed.

    Raises SourceError, with the file's name, for one that cannot be read.
    """
    with ThreadPoolExecutor(1) as ahead:
        found = (block.content[:-BEYOND].tobytes() for block in _blocks(files))
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


@dataclass
class _Block:
    """Whole lines, with BEYOND bytes after them."""

    content: np.ndarray
    parts: list[tuple[int, int]]
    """The numbers of the files that they stand in, and how many bytes of each, one after the other."""


def _blocks(files: Files) -> Iterator[_Block]:
    """The content of the files, one after the other, in blocks of about BLOCK bytes, into which it is read at once."""
    room, size = np.empty(BLOCK + CHUNK + BEYOND, np.uint8), 0
    parts: list[tuple[int, int]] = []

    def free() -> memoryview:
        nonlocal room
        if size + CHUNK + BEYOND > room.size:  # a line that is longer than a block
            room = np.concatenate([room[:size], np.empty(size + CHUNK + BEYOND, np.uint8)])
        return room.data[size : size + CHUNK]

    for file, path in enumerate(files.paths):
        for length in _chunks(path, files, free):
            parts.append((file, length))
            size += length
            after = room[size - length : size].tobytes().rfind(b"\n") + 1 if size >= BLOCK else 0
            if not after:
                continue
            rest = room[size - length + after : size]
            parts[-1] = (file, after)
            yield _Block(room[: size - rest.size + BEYOND], parts)
            room, size = np.empty(BLOCK + CHUNK + BEYOND, np.uint8), rest.size
            room[:size] = rest
            parts = [(file, size)]
        if size and room[size - 1] != _NEWLINE:  # a last line without its end must not run into the next file
            free()[0] = _NEWLINE
            parts.append((file, 1))
            size += 1
    if size:
        yield _Block(room[: size + BEYOND], parts)


def _chunks(path: Any, files: Files, free: Callable[[], memoryview]) -> Iterator[int]:
    """Reads a file to where ``free`` says, bit by bit; gives how many bytes each time."""
    before = files.done
    with reading(path), path.open("rb") as raw:
        size = raw.seek(0, 2)
        raw.seek(0)
        try:
            content = _opened(raw)
            length = _begun(content, free())
            while length:
                files.done = before + raw.tell()
                yield length
                length = content.readinto1(free())
        except EOFError:
            files.cut_short.append(path)
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        except OSError as error:
            if "Truncated compressed stream" not in str(error):  # what pyarrow says of zstd
                raise
            files.cut_short.append(path)
    files.done = before + size


_FIRST = {
    "gzip": rb"\x1f\x8b",
    "zstd": rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18",  # the second is a frame to skip, which pzstd begins with
    "bzip2": rb"BZh[1-9][1\x17]",
    "xz": rb"\xfd7zXZ",
    "zip": rb"PK[\x03\x05]",
    "lz4": rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18",
}
"""What the first bytes of compressed files are; the first two kinds are read."""
_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some programs begin UTF-8 with."""
_WIDE = rb"(?s)\xff\xfe|\xfe\xff|\0\0\xfe\xff|[^\0]\0.\0|\0[^\0]\0[^\0]"
"""What text of UTF-16 and UTF-32 begins with, with or without a mark."""


def _opened(raw: BufferedReader) -> Any:
    """The content of a file, decompressed where its first bytes say so, whatever it is called."""
    first = raw.peek(6)[:6]
    kind = next((name for name, begins in _FIRST.items() if re.match(begins, first)), None)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if kind == "zstd":
        return _Zstd(pa.CompressedInputStream(raw, "zstd"))
    if kind:
        raise SourceError(f"is compressed with {kind}, which is not read; decompress it, or use gzip or zstd")
    if first and Path(raw.name).suffix in (".gz", ".zst"):
        raise OSError(f"its content is not what its name {Path(raw.name).suffix} says")
    return raw


def _begun(content: Any, room: memoryview) -> int:
    """Reads the first bytes of a file's text without a byte order mark; gives how many."""
    length = 0
    while length < 4 and (more := content.readinto1(room[length:])):
        length += more
    if re.match(_WIDE, room[: min(length, 4)]):
        raise SourceError("is text of UTF-16 or UTF-32, and UTF-8 is read; convert it (iconv -f UTF-16 -t UTF-8)")
    if room[: min(length, 3)] != _MARK:
        return length
    room[: length - 3] = bytes(room[3:length])
    return length - 3


class _Zstd:
    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def readinto1(self, free: memoryview) -> int:
        # Of a frame that is cut short, pyarrow gives nothing of the read that meets the cut: so many small ones.
        return self.stream.readinto(free[: 1 << 16])


def is_plain(path: Path) -> bool:
    """Whether a file is UTF-8 as it stands: neither compressed, nor with a byte order mark."""
    with reading(path), path.open("rb") as file:
        first = file.read(6)
    return not (first.startswith(_MARK) or any(re.match(begins, first) for begins in (*_FIRST.values(), _WIDE)))


def read_part(path: Path, start: int, size: int, *, language: bool) -> Iterator[Lines]:
    """The lines of a plain file of the combined format that begin within ``size`` bytes from ``start``, in batches.

    Read part by part, every line of a file is read once. Raises SourceError for a file that cannot be read.
    """
    heads = Heads()
    with reading(path), path.open("rb") as file:
        if start:  # a line that begins at the first byte is this part's, one that began before is not
            file.seek(start - 1)
            file.readline()
        while (left := start + size - file.tell()) > 0:
            block = file.read(min(left, BLOCK))
            if not block:
                return
            if not block.endswith(b"\n"):
                block += file.readline()
            yield parse(block, language=language, heads=heads)

"""Object stores: files at s3://, gs://, abfs:// or file://, with what of a ``Path`` the readers of logs use.

Credentials come from the environment, as each store's own tools take them (``AWS_ACCESS_KEY_ID`` and the like).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from .logs import SourceError

READ_AHEAD = 4 << 20
"""Bytes asked for at a time: a store answers slowly and gives much."""


@dataclass(frozen=True)
class Stat:
    """Size in bytes and time of the last change in nanoseconds, as ``Path.stat`` names them."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class Remote:
    """One file of an object store."""

    store: fs.FileSystem
    key: str
    address: str
    found: Stat

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def local(self) -> Path | None:
        """Where it is on this machine, of a file at file://."""
        return Path(self.key) if isinstance(self.store, fs.LocalFileSystem) else None

    def stat(self) -> Stat:
        return self.found

    def open(self, mode: str = "rb") -> BufferedReader:
        """Its content, sought and read like a file's."""
        return BufferedReader(_Raw(self.store.open_input_file(self.key), self.name), READ_AHEAD)


class _Raw(RawIOBase):
    def __init__(self, file: Any, name: str) -> None:
        self.file, self.name = file, name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readinto(self, buffer: Any) -> int:
        content = self.file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self.file.close()
        super().close()


def find(pattern: str) -> list[Remote]:
    """The files at an address with ``*``, ``**`` and ``[...]`` as in a path, by name.

    Raises SourceError when the store can't be reached or does not answer.
    """
    place, _, options = pattern.partition("?") if re.search(r"\?\w+=", pattern) else (pattern, "", "")
    fixed = re.split(r"[*\[]", place)[0]
    folder = place if fixed == place else fixed.rpartition("/")[0]
    scheme = place.partition("://")[0]
    try:
        store, start = fs.FileSystem.from_uri(folder + (f"?{options}" if options else ""))
        if fixed == place:
            listed = [store.get_file_info(start)]
        else:
            listed = store.get_file_info(fs.FileSelector(start, allow_not_found=True, recursive=True))
    except (OSError, ValueError, NotImplementedError, pa.ArrowException) as error:
        raise SourceError(f"sources.technical.path: {place}: the store can't be read ({_reason(error)})") from None
    wanted = re.compile(_expression(start + place.removeprefix(folder)))
    return [
        Remote(store, info.path, f"{scheme}://{info.path}", Stat(info.size or 0, info.mtime_ns or 0))
        for info in sorted(listed, key=lambda info: info.path)
        if info.type == fs.FileType.File and wanted.fullmatch(info.path)
    ]


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*|\[[^\]]*\])", pattern)
    known = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return "".join(known.get(p, p if p.startswith("[") else re.escape(p)) for p in parts)

"""Marks of what no output may hold: keyed hashes of the accounts, addresses, user agents and query values of the input.

``collect`` makes them, the leak check (``disclosure.leaks``) asks them, and they go with the period's key.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

import numpy as np
import polars as pl

from .sources.combined import Coded, Kept, Lines

ACCOUNT, ADDRESS, AGENT, QUERY, VISITOR = (
    "an account of the input", "an address of the input", "a user agent of the input",
    "a value of a query in the input", "a visitor key",
)  # fmt: skip
SHORTEST_ACCOUNT = 4
PLAIN_NUMBER = 8
"""A number of fewer digits can't be told from a count, so an account that is one is not looked for."""
ADDRESS_BITS = 28
"""Bits kept of the mark of an IPv4 address: with the key, each mark fits 16 or more of all the addresses there are."""
SHORTEST_QUERY = 10
MACHINE = "HeadlessChrome/"
"""A browser without a window is nobody's; it writes its name into a PDF that it prints."""


_COLUMNS = ((ACCOUNT, "account"), (ADDRESS, "address"), (AGENT, "agent"))


class Marks:
    """Takes parsed log lines, and keeps of each distinct account, address, user agent and query value a keyed mark.

    Without the key a mark tells nothing. With it, a value can be tried; of an IPv4 address (there are few enough to try
    them all) the mark is so short that many addresses fit. What each file holds is known by itself, so that a file that
    has gone takes its marks with it.
    """

    def __init__(self, key: bytes, numbers: Mapping[str, Kept] | None = None) -> None:
        """``numbers`` are those that another has for the texts of a column, which need no others then."""
        self.key = key
        given = numbers or {}
        self._numbers = {kind: given.get(column) or Kept() for kind, column in _COLUMNS} | {QUERY: Kept()}
        self._hashed = dict.fromkeys(self._numbers, 0)
        """Of how many parts of a kind's texts there are marks."""
        self._seen: dict[tuple[int, str], list[np.ndarray]] = {}
        self._file = -1
        self._here = {kind: np.zeros(1, bool) for kind in self._numbers}
        """By the number of a value, whether the file that is being read has it; the last is for none."""
        self._marks: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, lines: Lines, files: np.ndarray | None = None) -> None:
        """Adds lines, used or not; ``files`` are the numbers of the files that ``lines.file`` speaks of."""
        if lines.file is None or not lines.time.size:
            parts = [(0, slice(None))]
        else:  # a file's lines stand together
            first = np.flatnonzero(np.append(True, lines.file[1:] != lines.file[:-1]))
            ends = np.append(first[1:], lines.file.size)
            parts = [(int(lines.file[a]), slice(a, b)) for a, b in zip(first, ends, strict=True)]
        numbers = {}
        for kind, column in _COLUMNS:
            numbers[kind], _ = self._numbers[kind].of_values(lines.texts[column])
        for number, rows in parts:
            self._begin(number if files is None else int(files[number]))
            for kind, column in _COLUMNS:
                self._see(kind, numbers[kind][lines.texts[column].code[rows]])
            for column in ("target", "referrer"):
                asked = _present(lines.texts[column], rows)
                asked = asked.filter(asked.str.contains("?", literal=True))
                values = asked.str.extract_all(r"[?&;][^=&;?\s]+=[^&;#\s]{10,}").explode().drop_nulls()
                self._see(QUERY, self._numbers[QUERY].of(values)[0])

    def _begin(self, file: int) -> None:
        """What is seen from here on is of ``file``; what was seen before is kept by its numbers."""
        if file == self._file:
            return
        for kind, here in self._here.items():
            if (numbers := np.flatnonzero(here)).size:
                self._seen.setdefault((self._file, kind), []).append(numbers.astype(np.uint32))
                here[numbers] = False
        self._file = file

    def _see(self, kind: str, numbers: np.ndarray) -> None:
        here = self._here[kind]
        if (more := self._numbers[kind].size + 1 - here.size) > 0:
            self._here[kind] = here = np.append(here, np.zeros(more + here.size // 2, bool))
        here[numbers] = True
        here[-1] = False

    def of_file(self, file: int) -> pl.DataFrame:
        """Marks of a file: ``kind``, ``bits`` (how many are kept), ``mark`` (UInt64), in no order of the input."""
        self._begin(-1)
        found = [pl.DataFrame(schema={"kind": pl.String, "bits": pl.UInt8, "mark": pl.UInt64})]
        for kind in self._numbers:
            if parts := self._seen.get((file, kind)):
                bits, marks = self._of_values(kind)
                numbers = np.unique(np.concatenate(parts))
                frame = pl.DataFrame({"bits": bits[numbers], "mark": marks[numbers]}).filter(pl.col("bits") > 0)
                found.append(frame.select(pl.lit(kind).alias("kind"), "bits", "mark"))
        return pl.concat(found).unique().sort("kind", "bits", "mark")

    def _of_values(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Bits and mark of every value by its number, hashed once; no bits where it can't be looked for."""
        bits, marks = self._marks.get(kind, (np.empty(0, np.uint8), np.empty(0, np.uint64)))
        if new := self._numbers[kind].texts[self._hashed[kind] :]:
            contents = [_marked(kind, value) for values in new for value in values.to_list()]
            kept = [(ADDRESS_BITS if kind == ADDRESS and len(c) == 4 else 64) if c else 0 for c in contents]
            hashed = keyed(_begun(self.key, kind), contents)
            left_out = np.minimum(64 - np.array(kept, np.uint64), 63)  # of what has no bits, the mark is not used
            bits, marks = np.append(bits, np.array(kept, np.uint8)), np.append(marks, hashed >> left_out)
            self._hashed[kind] += len(new)
            self._marks[kind] = bits, marks
        return bits, marks


def _present(column: Coded, rows: slice) -> pl.Series:
    """The values of a column that stand in some of the rows."""
    there = np.zeros(column.values.len(), bool)
    there[column.code[rows]] = True
    return column.values.filter(pl.Series(there)).drop_nulls()


def mark(key: bytes, kind: str, content: bytes) -> int:
    """64 bits of BLAKE2b with the period's key; the kind is part of what is hashed."""
    return int(keyed(_begun(key, kind), [content])[0])


def _begun(key: bytes, kind: str) -> Any:
    return hashlib.blake2b(kind.encode() + b"\0", digest_size=8, key=key)


def keyed(begun: Any, contents: Iterable[bytes]) -> np.ndarray:
    """64 bits (UInt64) of BLAKE2b of each content after what is ``begun``: the key is set up once for all."""
    digests = []
    for content in contents:
        digest = begun.copy()
        digest.update(content)
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def _marked(kind: str, value: str) -> bytes:
    """What is hashed of a value of the input: nothing, where it can't be looked for."""
    if kind == ADDRESS:
        return packed(value)
    if kind == AGENT:
        return value.strip().casefold().encode() if len(value) >= SHORTEST_ACCOUNT and MACHINE not in value else b""
    if kind == ACCOUNT:
        return value.strip().casefold().encode() if is_account(value) else b""
    text = unquote_plus(value.partition("=")[2]).strip().casefold()
    return text.encode() if is_token(text) else b""


def is_account(text: str) -> bool:
    """Whether a text is long enough to be told from other words and numbers."""
    text = text.strip()
    return len(text) >= (PLAIN_NUMBER if text.isdigit() else SHORTEST_ACCOUNT)


def is_token(text: str) -> bool:
    """Whether a query's value looks made for one person: long, of letters and digits, and no date or time."""
    return (
        len(text) >= SHORTEST_QUERY
        and any(c.isdigit() for c in text)
        and any(c.isalpha() for c in text)
        and not re.fullmatch(r"[\d.:+tzqw-]+", text)
    )


def packed(text: str) -> bytes:
    """An address as 4 or 16 bytes, without its zone; a mapped IPv4 address is that one; empty for none."""
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        content = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return b""
    return content[12:] if content.startswith(bytes(10) + b"\xff\xff") else content

"""The combined log format: a block of bytes becomes parsed lines, each line parsed or told to be broken.

Where quotes and line ends stand says where the fields of a plain line are, so that no line is copied or searched: the
texts of a field are views into the block, and what is to be known of a text is asked once per distinct text. Every line
of another shape goes through one regular expression, which is what the format means; both ways agree on every line
(tests/test_combined.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl
import pyarrow as pa

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
TEXTS = tuple(name for name, kind in PARSED.items() if kind == pl.String)

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = (
    rf"^\x00*([!-~]+) \S+ (.+?) \[([^\]]+)\] {_QUOTED} (\d{{3}}) (?:\d+|-)"
    rf"(?: {_QUOTED} {_QUOTED}(?: {_QUOTED})?.*)?\r?$"
)
"""NULs before a line are what a log has that was truncated while its server went on writing where it was."""
_REQUEST = r"^(\S+) (\S.*?)(?: (HTTP/[0-9.]+))?$"
_STAMP = " [01/Jul/2026:09:12:44 +0300] "
_MONTHS = {
    m: i for i, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}
_QUOTE, _NEWLINE, _SPACE, _RETURN, _BACKSLASH, _MINUS = b'"\n \r\\-'
BROKEN = -(2**62)
"""The time of a broken line."""
BEYOND = 32
"""Bytes kept after a block, so that what is taken out at its last mark is there."""
_PLACES = pl.int_range(1 << 18, dtype=pl.UInt32, eager=True)
"""The places of the bytes searched for marks at a time: what a processor's cache holds."""


@dataclass(frozen=True)
class Coded:
    """A column of text: its values (String), and of every row which of them stands there. A value may stand twice."""

    values: pl.Series
    code: np.ndarray
    run: Heads | None = None
    """Whose values they are where all blocks of a run have the same: they only become more."""

    @classmethod
    def of(cls, texts: pl.Series) -> Coded:
        """The distinct values of ``texts``, nulls among them."""
        physical = texts.cast(pl.Categorical(pl.Categories.random())).to_physical()
        nulls = physical.null_count()
        size = int(cast(int, physical.max())) + 1 if nulls < physical.len() else 0
        code = (physical.fill_null(size) if nulls else physical).to_numpy()
        place = np.zeros(size + bool(nulls), np.int64)
        place[code] = np.arange(code.size)
        return cls(texts.gather(place), code)

    def column(self) -> pl.Series:
        return self.values.gather(self.code)


class Numbered:
    """The distinct texts of a run, each with a number: 0, 1, 2 … as they are first seen; null is -1."""

    def __init__(self) -> None:
        self._kind = pl.Categorical(pl.Categories.random())
        self._last = pl.Series([], dtype=self._kind)  # categories are forgotten when no series has them
        self._of_runs: WeakKeyDictionary[Heads, np.ndarray] = WeakKeyDictionary()
        self.size = 0

    def of(self, texts: pl.Series) -> tuple[np.ndarray, pl.Series]:
        """The numbers of ``texts``, and the texts that are new in the order of their numbers."""
        self._last = texts.cast(self._kind)
        physical = self._last.to_physical().cast(pl.Int64)
        number = (physical.fill_null(-1) if physical.null_count() else physical).to_numpy()
        before, self.size = self.size, max(self.size, int(number.max(initial=-1)) + 1)
        if before == self.size:
            return number, texts.clear()
        place = np.zeros(self.size - before, np.int64)
        new = np.flatnonzero(number >= before)
        place[number[new] - before] = new
        # Made anew, as views would keep the block that they look into.
        return number, pl.Series(texts.gather(place).to_list(), dtype=pl.String)

    def of_values(self, column: Coded) -> tuple[np.ndarray, pl.Series]:
        """The numbers of a column's values, and the texts that are new; of a run's, only what is new is looked at."""
        if column.run is None:
            return self.of(column.values)
        known = self._of_runs.get(column.run, np.empty(0, np.int64))
        number, new = self.of(column.values[known.size :])
        if number.size:
            self._of_runs[column.run] = known = np.concatenate([known, number])
        return known, new


class Kept(Numbered):
    """The same, with the texts themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[pl.Series] = []
        """In the order of their numbers, in parts."""

    def of(self, texts: pl.Series) -> tuple[np.ndarray, pl.Series]:
        number, new = super().of(texts)
        if new.len():
            self.texts.append(new)
        return number, new


class Heads:
    """The distinct heads of the lines of a run, each with a number, and the address and the account that it names.

    Most are seen in many blocks, so that what is to be known of them is asked once. Blocks may be parsed side by side.
    """

    def __init__(self) -> None:
        self._numbers = Numbered()
        self._address, self._account = pl.Series(dtype=pl.String), pl.Series(dtype=pl.String)
        self._plain = np.empty(0, bool)
        self._lock = Lock()

    def plain(self, texts: pl.Series) -> tuple[Coded, Coded, np.ndarray]:
        """Addresses and accounts of heads such as ``240.1.2.3 - nl-7``, and whether each is such a head."""
        return self._of(texts, _heads)

    def named(self, address: pl.Series, account: pl.Series) -> tuple[Coded, Coded]:
        """The same for addresses and accounts that are known already, or null."""
        texts = address.fill_null("") + "\n" + account.fill_null("")  # no plain head has a line end
        return self._of(texts, _names)[:2]

    def _of(self, texts: pl.Series, told: Any) -> tuple[Coded, Coded, np.ndarray]:
        with self._lock:
            number, new = self._numbers.of(texts)
            if new.len():
                address, account, plain = told(new)
                many = self._address.n_chunks() > 100
                self._address = pl.concat([self._address, address], rechunk=many)
                self._account = pl.concat([self._account, account], rechunk=many)
                self._plain = np.append(self._plain, plain)
            code = number.astype(np.uint32)
            return Coded(self._address, code, self), Coded(self._account, code, self), self._plain[number]


def _heads(texts: pl.Series) -> tuple[pl.Series, pl.Series, np.ndarray]:
    """Address and account of the heads ``240.1.2.3 - nl-7``, and whether a head is plain."""
    part = texts.str.splitn(" ", 3).struct
    address, identity, account = (part.field(f"field_{n}") for n in range(3))
    plain = (
        (address != "") & (identity != "") & (account != "")
        & ~texts.str.contains(r"[^!-~ ]") & ~texts.str.contains(" [", literal=True)
    ).fill_null(False)  # fmt: skip
    return address, account.set(account == "-", None), plain.to_numpy()


def _names(texts: pl.Series) -> tuple[pl.Series, pl.Series, np.ndarray]:
    part = texts.str.splitn("\n", 2).struct
    address, account = (part.field(name) for name in ("field_0", "field_1"))
    return address.set(address == "", None), account.set(account == "", None), np.zeros(texts.len(), bool)


@dataclass(frozen=True)
class Lines:
    """Parsed lines: what stands in PARSED, with texts as Coded."""

    time: np.ndarray  # BROKEN where the line is broken
    status: np.ndarray  # 0 where there is none
    texts: dict[str, Coded]
    file: np.ndarray | None = None
    """Which of the source's files a line stands in."""

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Lines:
        """The lines of a frame with the columns PARSED, and ``file`` where there are several."""
        texts = {name: Coded.of(frame[name]) for name in TEXTS}
        file = frame["file"].to_numpy() if "file" in frame.columns else None
        return cls(frame["time"].fill_null(BROKEN).to_numpy(), frame["status"].fill_null(0).to_numpy(), texts, file)

    def frame(self) -> pl.DataFrame:
        """The lines as a frame with the columns PARSED."""
        time, status = pl.Series(self.time, dtype=pl.Int64), pl.Series(self.status, dtype=pl.UInt16)
        return pl.DataFrame(
            {name: column.column() for name, column in self.texts.items()}
            | {"time": time.set(time == BROKEN, None), "status": status.set(status == 0, None)}
        ).select(*PARSED)


def parse(content: bytes | np.ndarray, *, language: bool = False, heads: Heads | None = None) -> Lines:
    """The lines of ``content``, in the same order.

    An array (of uint8) is not copied: its lines are whole, and BEYOND bytes of no meaning stand after them. With
    ``language``, a quoted Accept-Language header follows the user agent. Bytes that are no UTF-8 are replaced.
    ``heads`` are those of the blocks before.
    """
    heads = heads or Heads()
    block = _Block(content)
    marks = block.marks()
    ends = np.flatnonzero(block.bytes[marks[:-1]] == _NEWLINE)
    first = np.concatenate([[0], ends[:-1] + 1])[: ends.size]  # of the marks, the first of each line
    start = np.concatenate([[0], marks[ends[:-1]] + 1])[: ends.size]
    rows, plain = _plain(block, marks, first, start, ends - first, language, heads)
    if rows.size == start.size:
        return plain
    odd = np.ones(start.size, bool)
    odd[rows] = False
    found = _by_expression(block.texts(start[odd], marks[ends[odd]]), language=language)
    others = Lines.of(found)
    others.texts["address"], others.texts["account"] = heads.named(found["address"], found["account"])
    order = np.argsort(np.concatenate([rows, np.flatnonzero(odd)]), kind="stable")
    texts = {}
    for name in TEXTS:
        one, two = plain.texts[name], others.texts[name]
        if two.run:  # what was asked later has the values of what was asked before, too
            texts[name] = Coded(two.values, np.concatenate([one.code, two.code])[order], two.run)
            continue
        code = np.concatenate([one.code, two.code + np.uint32(one.values.len())])[order]
        texts[name] = Coded(pl.concat([one.values, two.values]), code)
    time, status = np.concatenate([plain.time, others.time]), np.concatenate([plain.status, others.status])
    return Lines(time[order], status[order], texts)


def places(marked: pl.Series, *last: int) -> np.ndarray:
    """Where ``marked`` (Boolean) is true, and then ``last``: np.flatnonzero, several times as fast where many are."""
    found = np.empty(int(marked.sum()) + len(last), np.int64)
    done = 0
    for at in range(0, marked.len(), _PLACES.len()):
        part = marked.slice(at, _PLACES.len())
        some = _PLACES.slice(0, part.len()).filter(part).to_numpy()
        np.add(some, at, out=found[done : done + some.size])
        done += some.size
    found[done:] = last
    return found


def split(content: bytes) -> pl.Series:
    """The lines of ``content`` without their ends, as text: views, nothing is copied."""
    block = _Block(content)
    ends = np.flatnonzero(block.bytes[: block.size] == _NEWLINE)
    return block.texts(np.concatenate([[0], ends[:-1] + 1])[: ends.size], ends)


class _Block:
    """The bytes of whole lines, and the words and texts that stand at places of it."""

    def __init__(self, content: bytes | np.ndarray) -> None:
        if isinstance(content, bytes):
            content = _block_of(content)
        self.size = content.size - BEYOND
        if self.size and content[: self.size].view(np.int8).min() < 0:  # not all of it is ASCII
            lines = content.data[: self.size]
            try:
                str(lines, "utf-8")
            except UnicodeDecodeError:
                content = _block_of(str(lines, "utf-8", "replace").encode())
                self.size = content.size - BEYOND
        self.bytes = content
        self.words = np.ndarray(self.bytes.size - 7, "<u8", self.bytes, strides=(1,))
        """The eight bytes from every place on, as one number."""

    def words_at(self, place: np.ndarray, *offsets: int) -> list[np.ndarray]:
        """The words so far after each place (24 at most), taken out together: that is faster than one by one."""
        records = np.ndarray(self.bytes.size - BEYOND + 1, f"V{BEYOND}", self.bytes, strides=(1,))
        taken = records[place]
        return [taken.getfield("<u8", offset) for offset in offsets]

    def marks(self) -> np.ndarray:
        """The places of quotes and line ends, and the size of all."""
        buffers = [None, pa.py_buffer(self.bytes)]
        data = _series(pa.uint8(), self.size, buffers)
        return places((data == _QUOTE) | (data == _NEWLINE), self.size)

    def texts(self, start: np.ndarray, end: np.ndarray) -> pl.Series:
        """The texts between places, as views in Arrow's layout: a length, then 12 bytes of text or where it is."""
        length = end - start
        kept = np.minimum(length, 13)
        low = self.words[start] & _LOW[kept]
        view = np.empty((length.size, 2), "<u8")
        view[:, 0] = length.view(np.uint64) | (low << _32)
        view[:, 1] = start.view(np.uint64) << _32
        inline = np.flatnonzero(length <= 12)
        high = self.words[start[inline] + 8] & _HIGH[kept[inline]]
        view[inline, 1] = (low[inline] >> _32) | (high << _32)
        buffers = [None, pa.py_buffer(view), pa.py_buffer(self.bytes)]
        return _series(pa.string_view(), length.size, buffers)

    def quoted(self, marks: np.ndarray) -> pl.Series:
        """The texts from each of ``marks`` to the next, in one step for all; views, nothing is copied."""
        buffers = [None, pa.py_buffer(marks), pa.py_buffer(self.bytes)]
        return _series(pa.large_string(), marks.size - 1, buffers)

    def moments(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Epoch seconds of the stamps at ``place``, and whether each is one: a day that exists, two digits an item."""
        day, year, clock, zone = self.words_at(place, 0, 6, 14, 22)
        # A day is resolved once where it begins: lines stand in order of time, nearly.
        same = np.zeros(place.size, bool)
        same[1:] = (day[1:] == day[:-1]) & (year[1:] == year[:-1]) & (zone[1:] == zone[:-1])
        begins = np.flatnonzero(~same)
        known: dict[bytes, int | None] = {}
        midnights = []
        for at in place[begins].tolist():
            text = self.bytes[at : at + len(_STAMP)].tobytes()
            stamp = text[:14] + text[22:]
            if stamp not in known:
                framed = stamp.startswith(b" [") and stamp.endswith(b"] ")
                known[stamp] = _midnight(stamp[2:-2].decode("latin-1")) if framed else None
            midnights.append(known[stamp])
        count = np.diff(np.append(begins, place.size))
        exists = np.repeat(np.array([m is not None for m in midnights], bool), count)
        midnight = np.repeat(np.array([m or 0 for m in midnights], np.int64), count)
        digits = clock ^ _CLOCK
        fits = exists & (((digits + _CLOCK_SIXES) | digits) & _NO_CLOCK == 0)
        pairs = (digits * _10 + (digits >> _8)).view(np.int64)  # each byte ten times itself and the next one
        hour, minute, second = pairs & 0xFF, pairs >> 24 & 0xFF, pairs >> 48 & 0xFF
        fits &= (hour <= 23) & (minute <= 59) & (second <= 60)
        return midnight + hour * 3600 + minute * 60 + second, fits


@dataclass(frozen=True)
class _Exported:
    """An array by Arrow's interface alone: of one of pyarrow's own, Polars loads what pyarrow computes with, too."""

    array: pa.Array

    def __arrow_c_array__(self, schema: object = None) -> tuple[object, object]:
        return self.array.__arrow_c_array__(schema)


def _series(kind: pa.DataType, length: int, buffers: list[pa.Buffer | None]) -> pl.Series:
    return pl.Series(_Exported(pa.Array.from_buffers(kind, length, buffers)))  # pyright: ignore[reportArgumentType]


def _block_of(content: bytes) -> np.ndarray:
    ended = b"" if not content or content.endswith(b"\n") else b"\n"
    return np.frombuffer(b"".join([content, ended, bytes(BEYOND)]), np.uint8)


_8, _10, _32 = np.uint64(8), np.uint64(10), np.uint64(32)
_CLOCK, _CLOCK_SIXES, _NO_CLOCK, _CODE, _CODE_SIXES, _NO_CODE = (
    np.uint64(int.from_bytes(bytes.fromhex(word), "little"))
    for word in (
        "30303a30303a3030", "0606000606000606", "f0f0fff0f0fff0f0",  # 09:12:44
        "2030303020000000", "0006060600000000", "fff0f0f0ff000000",  # a status between spaces
    )
)  # fmt: skip
_ZEROS, _SIXES, _NOT_DIGITS = (np.uint64(byte * 0x0101010101010101) for byte in (0x30, 0x06, 0xF0))
_LOW = np.array([256 ** min(n, 8) - 1 for n in range(14)], np.uint64)
"""By the length of a text (13 for more than 12): masks of the first of the words it stands in."""
_HIGH = np.array([256 ** max(min(n, 12) - 8, 0) - 1 for n in range(14)], np.uint64)
"""The same of the second word, for a text of at most 12 bytes."""


def _plain(
    block: _Block, marks: np.ndarray, first: np.ndarray, start: np.ndarray, quotes: np.ndarray,
    language: bool, heads: Heads,
) -> tuple[np.ndarray, Lines]:  # fmt: skip
    """The numbers of the lines of the plain shape, and their fields."""
    data = block.bytes
    rows = np.flatnonzero(quotes >= 6)
    rows = rows[marks[first[rows]] - start[rows] > len(_STAMP)]
    quote = [marks[first[rows] + n] for n in range(7)]  # the seventh may be the line's end
    stamp = quote[0] - len(_STAMP)
    time, fits = block.moments(stamp)
    after = quote[1] + 1  # ` 200 1234 `
    code, size, longer = block.words_at(after, 0, 5, 13)
    code = code ^ _CODE
    fits &= ((code + _CODE_SIXES) | code) & _NO_CODE == 0
    digits = code.view(np.int64)
    status = (digits >> 8 & 0xF) * 100 + (digits >> 16 & 0xF) * 10 + (digits >> 24 & 0xF)
    length = quote[2] - after - 6
    fits &= (data[quote[2] - 1] == _SPACE) & (
        _sizes(length, size, longer) | ((length == 1) & (data[after + 5] == _MINUS))
    )
    fits &= (quote[4] - quote[3] == 2) & (data[quote[3] + 1] == _SPACE)
    following = data[quote[5] + 1]
    ended = (following == _RETURN) & (data[quote[5] + 2] == _NEWLINE)
    fits &= ended | (following == _NEWLINE) | (following == _SPACE)
    for n in (1, 3, 5):
        fits &= data[quote[n] - 1] != _BACKSLASH
    spoken = [quote[6], quote[6]]
    if language:
        opened = (following == _SPACE) & (quote[6] == quote[5] + 2) & (quotes[rows] > 6)
        closing = marks[np.minimum(first[rows] + 7, marks.size - 1)]
        fits &= ~opened | ((quotes[rows] > 7) & (data[closing - 1] != _BACKSLASH))
        spoken = [quote[6] + 1, np.where(opened, closing, quote[6] + 1)]
    likely: Any = slice(None) if fits.all() else np.flatnonzero(fits)
    # Of a line that does not fit, what would be the head may end within a character.
    address, account, plain = heads.plain(block.texts(start[rows][likely], stamp[likely]))
    kept: Any = likely if plain.all() else np.arange(rows.size)[likely][plain]
    quoted = block.quoted(marks)
    at = first[rows][kept]
    requests = _unquoted(quoted, at)
    parts = requests.values.to_frame("request").select(_request()).unnest("request").with_columns(known=_known_target())
    known = parts["known"].to_numpy()[requests.code] & (status[kept] >= 100) & (status[kept] <= 599)
    texts = {
        "address": replace(address, code=address.code[plain]),
        "account": replace(account, code=account.code[plain]),
        "method": Coded(parts["method"], requests.code),
        "target": Coded(parts["target"], requests.code),
        "referrer": _optional(_unquoted(quoted, at + 2)),
        "agent": _optional(_unquoted(quoted, at + 4)),
        "language": _optional(Coded.of(block.texts(spoken[0][kept], spoken[1][kept])))
        if language
        else Coded(pl.Series([None], dtype=pl.String), np.zeros(known.size, np.uint32)),
    }
    return rows[kept], Lines(np.where(known, time[kept], BROKEN), status[kept].astype(np.uint16), texts)


def _sizes(length: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether texts of a length, in two words, are numbers of at most 12 digits."""
    length = np.clip(length, 0, 13)
    digits = (low ^ _ZEROS) & _LOW[length]
    fits = (((digits + _SIXES) | digits) & _NOT_DIGITS == 0) & (length > 0) & (length < 13)
    if (longer := np.flatnonzero(length > 8)).size:
        digits = (high[longer] ^ _ZEROS) & _HIGH[length[longer]]
        fits[longer] &= ((digits + _SIXES) | digits) & _NOT_DIGITS == 0
    return fits


def _unquoted(quoted: pl.Series, at: np.ndarray) -> Coded:
    """The texts after the quotes ``at``, with which those of ``quoted`` begin."""
    coded = Coded.of(quoted.gather(at))
    return Coded(coded.values.str.slice(1), coded.code)


def _optional(coded: Coded) -> Coded:
    return Coded(coded.values.set(coded.values.is_in(["-", ""]), None), coded.code)


def _request() -> pl.Expr:
    fields = pl.col("request").str.extract_groups(_REQUEST)
    return fields.struct.rename_fields(["method", "target", "protocol"]).alias("request")


def _known_target() -> pl.Expr:
    """Whether a target is one; ``OPTIONS *`` and absolute targets of proxies are targets too."""
    return pl.col("target").str.contains(r"^(?:/|https?://|\*$)").fill_null(False)


def _by_expression(texts: pl.Series, *, language: bool) -> pl.DataFrame:
    names = ["address", "account", "stamp", "request", "status", "referrer", "agent", "language"]
    groups = texts.alias("line").str.extract_groups(_COMBINED).struct.rename_fields(names).struct.unnest()
    frame = groups.with_columns(_request()).unnest("request").with_columns(
        pl.col("status").cast(pl.UInt16, strict=False),
        _moments(" [" + groups["stamp"] + "] ").alias("time"),
        pl.col("language") if language else pl.lit(None, pl.String).alias("language"),
        pl.when(pl.col("account") != "-").then("account").alias("account"),
    )  # fmt: skip
    is_request = _known_target() & pl.col("status").is_between(100, 599).fill_null(False)
    return frame.select(
        "address",
        "account",
        pl.when(is_request & pl.col("address").is_not_null()).then("time").alias("time"),
        "method",
        "target",
        "status",
        *(pl.when(~pl.col(c).is_in(["-", ""])).then(c).alias(c) for c in ("referrer", "agent", "language")),
    )


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

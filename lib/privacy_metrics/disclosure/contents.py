"""What a reader gets of an output file, whatever its kind: its texts with their places, and its tables.

A kind of file is an entry of ``KINDS``; what is packed, embedded or encoded in a file is read as a file of its own.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import csv
import gzip
import hashlib
import io
import json
import lzma
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from .pdf import PdfUnreadable, pdf_texts

SHORTEST = 4
"""Texts of fewer characters are left out: nothing that is looked for is that short."""
LARGEST_COUNT = 2**24
"""Numbers below are not looked at: an address or a key written as a number is larger (but for the first 1/256)."""
DEEPEST = 6
"""So many files within files are read; what lies deeper is a fault."""
UNPACKED = 2**30
"""A packed file of more bytes than this is not unpacked, and is a fault."""
PIXELS = "the pixels of a picture"
OWN = "a script of the product's own"


@dataclass(frozen=True)
class Grid:
    """A table of a file: ``rows`` by column name; ``titles`` are other names of its columns, ``about`` its own."""

    file: str
    where: str
    rows: Sequence[Mapping[str, Any]]
    titles: Mapping[str, set[str]] = field(default_factory=dict)
    about: str = ""


@dataclass
class Contents:
    """The texts, tables, faults and skipped parts of the files that were read.

    ``scripts`` are the SHA-256 (hex) of scripts that come with the product: one that is the same to the byte holds
    nothing of the input, whatever its numbers look like.
    """

    scripts: frozenset[str] = frozenset()
    grids: list[Grid] = field(default_factory=list)
    faults: list[tuple[str, str, str]] = field(default_factory=list)
    """File, place, and why it could not be read."""
    skipped: dict[str, int] = field(default_factory=dict)
    """What was not looked at, and how often."""
    _texts: list[tuple[str, str, int | None, str]] = field(default_factory=list)
    _columns: list[pl.DataFrame] = field(default_factory=list)
    _file: str = ""
    _depth: int = 0

    def frame(self) -> pl.DataFrame:
        """Every text: ``file``, ``where`` and ``row`` (null where the place has no number), ``text``."""
        schema = {"file": pl.String, "where": pl.String, "row": pl.Int64, "text": pl.String}
        return pl.concat([pl.DataFrame(self._texts, schema=schema, orient="row"), *self._columns])

    def read_file(self, name: str, content: bytes) -> None:
        """Reads one file of a folder; ``name`` is its path in it."""
        self._file = name
        self.add("file name", None, name)
        self.read(content, "", name)

    def read(self, content: bytes, where: str, name: str = "") -> None:
        """Reads ``content`` as the kind of file that it is; ``where`` is its place in the file that holds it."""
        if not content:
            return
        if self._depth >= DEEPEST:
            return self.fault(where, "files within files, too deep")
        self._depth += 1
        kind = kind_of(name, content)
        try:
            KINDS[kind](self, content, where)
        except _UNREADABLE as error:
            self.fault(where, f"not readable as {kind} ({type(error).__name__})")
            self.runs(content, where)
        finally:
            self._depth -= 1

    def add(self, where: str, row: int | None, text: str) -> None:
        """Notes a text; files that are embedded in it, as a data URI or as base64, are read."""
        if len(text) < SHORTEST:
            return
        if not text.isascii():  # half a surrogate pair is no character
            text = text.encode("utf-8", "replace").decode()
        if len(text) >= 16:
            text = _BASE64.sub(lambda found: self._embedded(found, where, row), text)
        self._texts.append((self._file, where, row, text))

    def add_column(self, where: str, values: pl.Series, first: int = 1) -> None:
        """Notes a column of texts, one a row."""
        if not values.len():
            return
        rows = pl.int_range(first, first + values.len(), dtype=pl.Int64, eager=True)
        frame = pl.DataFrame({"file": self._file, "where": where, "row": rows, "text": values.cast(pl.String)})
        frame = frame.filter(pl.col("text").str.len_chars() >= SHORTEST)
        coded = frame["text"].str.contains(_BASE64_RUN)
        self._columns.append(frame.filter(~coded))
        for _, _, row, text in frame.filter(coded).iter_rows():
            self.add(where, row, text)

    def fault(self, where: str, why: str) -> None:
        self.faults.append((self._file, where, why))

    def skip(self, what: str) -> None:
        self.skipped[what] = self.skipped.get(what, 0) + 1

    def runs(self, content: bytes, where: str) -> None:
        """Notes every run of letters in bytes of no known kind, in UTF-8 and both UTF-16."""
        for run in _RUN.findall(content):
            self.add(where, None, run.decode("utf-8", "replace"))
        for coding, run in (("utf-16-le", _RUN_LE), ("utf-16-be", _RUN_BE)):
            for found in run.findall(content):
                self.add(where, None, found.decode(coding, "replace"))

    def _embedded(self, found: re.Match[str], where: str, row: int | None) -> str:
        """Reads what a run of base64 stands for; a text stands for itself, a file is taken out of the text."""
        run = found["run"]
        place = f"{_place(where, row)}, base64"
        longest = b""
        for start in range(4 if len(run) < 4096 else 1):  # the run may begin with letters that are none of its own
            content = _decoded(run[start:])
            if found["uri"] or _magic(content):
                self.read(content, place, _EXTENSIONS.get(found["uri"] or "", ""))
                return f"{found['uri'] or ''}…"
            for printable in _RUN.findall(content):
                if len(printable) > len(longest):
                    longest = printable
        if len(longest) >= 6 and self._depth < DEEPEST:
            self._depth += 1
            self.add(place, None, longest.decode("utf-8", "replace"))
            self._depth -= 1
        return found[0]

    # ---- tables within files ----

    def records(self, rows: Sequence[Any], where: str, titles: Mapping[str, set[str]], about: str = "") -> None:
        if rows and isinstance(rows[0], dict) and len(rows[0]) > 1:
            self.grids.append(Grid(self._file, where, rows, titles, about))


_UNREADABLE = (
    ValueError, KeyError, IndexError, EOFError, OSError, zlib.error, lzma.LZMAError, struct.error, zipfile.BadZipFile,
    NotImplementedError, RuntimeError, RecursionError, ElementTree.ParseError, csv.Error, pa.ArrowException,
    pl.exceptions.PolarsError, PdfUnreadable,
)  # fmt: skip
_BASE64_RUN = r"[A-Za-z0-9+/_-]{16}"
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/_-])(?:data:(?P<uri>[\w.+-]+/[\w.+-]+)?[^,\s\"']*;base64,\s*)?(?P<run>[A-Za-z0-9+/_-]{16,}={0,2})"
)
_RUN = re.compile(rb"(?:[\x20-\x7e]|[\xc3-\xf4][\x80-\xbf]{1,3}){5,}")
_RUN_LE = re.compile(rb"(?:[\x20-\x7e]\x00){5,}")
_RUN_BE = re.compile(rb"(?:\x00[\x20-\x7e]){5,}")
_EXTENSIONS = {
    "image/svg+xml": ".svg", "text/html": ".html", "application/json": ".json", "text/csv": ".csv",
    "text/plain": ".txt", "application/javascript": ".js", "text/css": ".css",
}  # fmt: skip


def _decoded(run: str) -> bytes:
    plain = run.rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) // 4 * 4] if len(plain) % 4 == 1 else plain
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def _place(where: str, row: int | None) -> str:
    return where if row is None else f"{where} {row}".strip()


def text_of(content: bytes) -> str:
    """Bytes as text: UTF-8, else UTF-16 by its mark or its zero bytes, else Windows-1252."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    head = content[:4096]
    if head.count(0) > len(head) // 4:
        return content.decode("utf-16-be" if head[:2].startswith(b"\0") else "utf-16-le", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


_ODD = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd]")


def _looks_like_text(content: bytes) -> bool:
    text = text_of(content[:65_536])
    return len(_ODD.findall(text)) <= len(text) // 200


# ---- text, JSON, CSV, markup ----------------------------------------------------------------------------------------


def _text(into: Contents, content: bytes, where: str) -> None:
    text = text_of(content)
    _lines(into, text, where)
    # What is wrapped (base64 in lines, quoted-printable with soft ends of lines) is one text to its reader.
    if "=\n" in text or "=\r\n" in text:
        into.add(where or "whole text", None, re.sub(r"=\r?\n", "", text))
    for block in re.finditer(r"(?:^[A-Za-z0-9+/]{40,}={0,2}\r?\n){1,}[A-Za-z0-9+/]+={0,2}", text, re.MULTILINE):
        into.add(_place(where, text.count("\n", 0, block.start()) + 1), None, re.sub(r"\s", "", block[0]))


def _lines(into: Contents, text: str, where: str, first: int = 1) -> None:
    for number, line in enumerate(text.split("\n"), first):
        into.add(f"{where}, line" if where else "line", number, line)


def _json(into: Contents, content: bytes, where: str) -> None:
    text = text_of(content)
    try:
        values = [json.loads(text, object_pairs_hook=_pairs)]
    except ValueError:
        try:  # one value a line
            values = [json.loads(line, object_pairs_hook=_pairs) for line in text.splitlines() if line.strip()]
        except ValueError:
            _lines(into, text, where)
            return into.fault(where, "not readable as JSON")
        into.records(values, where, {})
    for number, value in enumerate(values, 1):
        prefix = where if len(values) == 1 else f"{where}, line {number}".lstrip(", ")
        _Json(into, value).walk(value, f"{prefix} " if prefix else "")


class _Twice(list):
    """An object whose keys stand twice, as pairs: a reader of the bytes sees all of them."""


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice([{k: v} for k, v in pairs])


class _Json:
    """One JSON document: every string, every key, and every large number, by JSON pointer."""

    def __init__(self, into: Contents, document: Any) -> None:
        self.into = into
        self.keys: set[str] = set()
        self.titles: dict[str, set[str]] = {}
        self.about: list[str] = []
        self._entitle(document)

    def _entitle(self, value: Any) -> None:
        """Finds what a chart calls its fields, and itself."""
        if isinstance(value, list):
            for each in value:
                if isinstance(each, (dict, list)):
                    self._entitle(each)
        elif isinstance(value, dict):
            name, title = value.get("field"), value.get("title")
            if isinstance(name, str) and isinstance(title, str):
                self.titles.setdefault(name, set()).add(title)
            for key, each in value.items():
                if key in ("title", "text", "subtitle", "description"):
                    self.about += [each] if isinstance(each, str) else []
                    self.about += [e for e in each if isinstance(e, str)] if isinstance(each, list) else []
                if isinstance(each, (dict, list)) and key not in ("values", "outputs"):
                    self._entitle(each)

    def walk(self, value: Any, where: str) -> None:
        if isinstance(value, str):
            self.string(value, where)
        elif isinstance(value, dict):
            for key, each in value.items():
                if key not in self.keys:
                    self.keys.add(key)
                    self.into.add(f"{where}, a key" if where else "a key", None, key)
                if type(each) is float or (type(each) is int and abs(each) < LARGEST_COUNT):
                    if abs(each) >= LARGEST_COUNT and float(each).is_integer():
                        self.into.add(f"{where}/{key}", None, str(int(each)))
                    continue
                self.walk(each, f"{where}/{key.replace('~', '~0').replace('/', '~1')}")
        elif isinstance(value, list):
            if value and all(isinstance(each, str) for each in value):
                if all(each.endswith("\n") for each in value[:-1]):  # a notebook's way to write one text
                    return self.string("".join(value), where)
            elif not isinstance(value, _Twice):
                self.into.records(value, where, self.titles, " ".join(self.about))
            for number, each in enumerate(value):
                self.walk(each, f"{where}/{number}")
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST_COUNT:
            self.into.add(where, None, str(value))

    def string(self, text: str, where: str) -> None:
        start = text.lstrip()[:1]
        if start == "<" and len(text) > 40:
            return _markup_text(self.into, text, where)
        if start in ("{", "[") and len(text) > 20:
            try:
                inner = json.loads(text, object_pairs_hook=_pairs)
            except ValueError:
                pass  # it only looks like JSON: it is read as the text that it is
            else:
                return _Json(self.into, inner).walk(inner, f"{where} ")
        if "\n" in text:
            return _lines(self.into, text, where)
        self.into.add(where, None, text)


def _csv(into: Contents, content: bytes, where: str) -> None:
    text = text_of(content)
    head = text.split("\n", 1)[0]
    separator = max(",;\t|", key=head.count)
    try:
        frame = pl.read_csv(
            text.encode(), separator=separator, has_header=False, infer_schema=False, empty_string_is_null=False
        )
    except pl.exceptions.PolarsError:
        csv.field_size_limit(sys.maxsize)
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
        width = max(map(len, rows), default=0)
        frame = pl.DataFrame(
            [row + [""] * (width - len(row)) for row in rows], schema=[f"{n}" for n in range(width)], orient="row"
        )
    if not frame.height:
        return
    names = [str(name) for name in frame.row(0)]
    prefix = f"{where}, " if where else ""
    for number, name in enumerate(names, 1):
        into.add(f"{prefix}the name of column {number}", None, name)
        into.add_column(f"{prefix}column {name}, row", frame.to_series(number - 1)[1:], 2)
    into.grids.append(Grid(into._file, where, _Rows(names, frame[1:], 2)))


class _Rows(Sequence):
    """A frame as rows by name, made when they are looked at."""

    def __init__(self, names: Sequence[str], frame: pl.DataFrame, first: int = 1) -> None:
        self.names, self.frame, self.first = names, frame, first

    def __len__(self) -> int:
        return self.frame.height

    def __getitem__(self, index: Any) -> Any:
        return dict(zip(self.names, self.frame.row(index), strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.names, row, strict=True)) for row in self.frame.iter_rows())


_INLINE = {
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp",
    "small", "span", "strong", "sub", "sup", "u", "var", "wbr",
}  # fmt: skip


class _Markup(HTMLParser):
    """HTML, SVG or XML: text (over inline tags), attributes, comments, scripts, and tables."""

    def __init__(self, into: Contents, where: str) -> None:
        super().__init__(convert_charrefs=True)
        self.into, self.where = into, where
        self.parts: list[str] = []
        self.at = 1
        self.script = ""
        self.tables: list[list[list[str]]] = []
        self.number = 0

    def note(self, what: str, row: int, text: str) -> None:
        self.into.add(f"{self.where}, {what}line" if self.where else f"{what}line", row, text)

    def flush(self) -> None:
        if text := "".join(self.parts).strip():
            self.note("", self.at, text)
            if self.tables and self.tables[-1] and self.tables[-1][-1]:
                self.tables[-1][-1][-1] = f"{self.tables[-1][-1][-1]} {text}".strip()
        self.parts = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _INLINE:
            self.flush()
        line = self.getpos()[0]
        for name, value in attrs:
            if value:
                self.note(f"attribute {name}, ", line, value)
        if tag in ("script", "style"):
            self.script = f"{tag} {dict(attrs).get('type') or ''}"
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if self.script and tag in ("script", "style"):
            kind, text = self.script, "".join(self.parts)
            self.script, self.parts = "", []
            place = f"{self.where}, {tag} of line {self.at}".lstrip(", ")
            if hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() in self.into.scripts:
                self.into.skip(OWN)
            elif "json" in kind:
                self.into.read(text.encode("utf-8", "surrogatepass"), place, ".json")
            else:
                _lines(self.into, text, self.where, self.at)
            return
        if tag not in _INLINE:
            self.flush()
        if tag == "table" and self.tables:
            self.number += 1
            self.table(self.tables.pop())

    def table(self, rows: list[list[str]]) -> None:
        """Rows under the last row of column names before them: a heading over the whole table is none."""
        heads: list[str] = []
        made = []
        about = " ".join(cell for row in rows if len(row) == 1 for cell in row)
        for row in rows:
            if heads and len(row) == len(heads):
                made.append(dict(zip(heads, row, strict=True)))
            elif not made and len(row) > 1:
                heads = row
        self.into.records(made, f"{self.where}, table {self.number}".lstrip(", "), {}, about)

    def handle_data(self, data: str) -> None:
        if not self.parts:
            self.at = self.getpos()[0]
        self.parts.append(data)

    def handle_comment(self, data: str) -> None:
        self.note("comment, ", self.getpos()[0], data)

    def handle_decl(self, decl: str) -> None:
        self.note("declaration, ", self.getpos()[0], decl)

    def handle_pi(self, data: str) -> None:
        self.note("instruction, ", self.getpos()[0], data)

    def unknown_decl(self, data: str) -> None:
        self.note("", self.getpos()[0], data)


def _markup_text(into: Contents, text: str, where: str) -> None:
    parser = _Markup(into, where)
    parser.feed(text)
    parser.close()
    parser.flush()


def _markup(into: Contents, content: bytes, where: str) -> None:
    _markup_text(into, text_of(content), where)


# ---- Parquet, spreadsheets, packed files, pictures ------------------------------------------------------------------


def _parquet(into: Contents, content: bytes, where: str) -> None:
    prefix = f"{where}, " if where else ""
    about = pq.read_metadata(io.BytesIO(content))
    into.add(f"{prefix}created by", None, str(about.created_by))
    for key, value in (about.metadata or {}).items():
        into.add(f"{prefix}a metadata key", None, text_of(key))
        into.read(value, f"{prefix}metadata")
    for group in range(about.num_row_groups):
        for number in range(about.num_columns):
            column = about.row_group(group).column(number)
            if column.is_stats_set and column.statistics.has_min_max:
                for bound in (column.statistics.min, column.statistics.max):
                    into.add(f"{prefix}statistics of column {number + 1}", None, _plain(bound))
    frame = pl.read_parquet(io.BytesIO(content))
    for number, name in enumerate(frame.columns, 1):
        into.add(f"{prefix}the name of column {number}", None, name)
        column = frame[name]
        if column.dtype.is_integer() or column.dtype.is_float():
            large = (column.cast(pl.Float64).abs() >= LARGEST_COUNT).fill_null(False)
            if not large.any():
                continue
            column = column.cast(pl.Int128, strict=False) if column.dtype.is_float() else column
            column = column.cast(pl.String)
        elif column.dtype not in (pl.String, pl.Categorical, pl.Enum):
            column = pl.Series([None if v is None else _plain(v) for v in column.to_list()], dtype=pl.String)
        into.add_column(f"{prefix}column {name}, row", column.fill_null(""))
    into.grids.append(Grid(into._file, where, _Rows(frame.columns, frame)))


def _plain(value: Any) -> str:
    return text_of(value) if isinstance(value, bytes) else str(value)


def _zip(into: Contents, content: bytes, where: str) -> None:
    prefix = f"{where}, " if where else ""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        into.add(f"{prefix}comment", None, text_of(packed.comment))
        names = packed.namelist()
        sheets: dict[str, str] = {}
        strings: list[str] = []
        if "xl/workbook.xml" in names:
            sheets, strings = _sheets(packed)
        for info in packed.infolist():
            into.add(f"{prefix}a name in it", None, info.filename)
            into.add(f"{prefix}a comment in it", None, text_of(info.comment))
            if info.is_dir():
                continue
            if info.file_size > UNPACKED:
                into.fault(f"{prefix}{info.filename}", "too large when unpacked")
                continue
            part = packed.read(info)
            if info.filename in sheets:
                _sheet(into, part, f"{prefix}{sheets[info.filename]}", strings)
            into.read(part, f"{prefix}{info.filename}", info.filename)


_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def _sheets(packed: zipfile.ZipFile) -> tuple[dict[str, str], list[str]]:
    """A workbook's sheets, their names by file, hidden ones too; and its shared strings."""
    book = ElementTree.fromstring(packed.read("xl/workbook.xml"))
    targets = {
        r.get("Id"): r.get("Target", "") for r in ElementTree.fromstring(packed.read("xl/_rels/workbook.xml.rels"))
    }
    files = {}
    for sheet in book.iter(f"{_MAIN}sheet"):
        target = targets.get(sheet.get(_RELATION), "")
        files[target.lstrip("/") if target.startswith("/") else f"xl/{target}"] = sheet.get("name", "")
    strings = []
    if "xl/sharedStrings.xml" in packed.namelist():
        table = ElementTree.fromstring(packed.read("xl/sharedStrings.xml"))
        strings = ["".join(t.text or "" for t in item.iter(f"{_MAIN}t")) for item in table.iter(f"{_MAIN}si")]
    return files, strings


def _sheet(into: Contents, part: bytes, name: str, strings: Sequence[str]) -> None:
    rows: list[dict[str, Any]] = []
    heads: dict[str, str] = {}
    for row in ElementTree.fromstring(part).iter(f"{_MAIN}row"):
        made: dict[str, Any] = {}
        for cell in row.iter(f"{_MAIN}c"):
            at, kind = cell.get("r", ""), cell.get("t")
            value = "".join(v.text or "" for v in cell.iter(f"{_MAIN}v"))
            if kind == "s" and value:
                value = strings[int(value)]
            elif kind == "inlineStr":
                value = "".join(t.text or "" for t in cell.iter(f"{_MAIN}t"))
            into.add(f"{name}!{at}", None, value)
            for formula in cell.iter(f"{_MAIN}f"):
                into.add(f"{name}!{at}, formula", None, formula.text or "")
            made[at.rstrip("0123456789")] = value
        if not heads:  # the first row of more than one cell has the columns' names
            heads = made if sum(bool(v) for v in made.values()) > 1 else {}
        elif made:
            rows.append({heads.get(column, column): value for column, value in made.items()})
    into.records(rows, name, {})


def _packed(opened: Callable[[io.BytesIO], Any]) -> Callable[[Contents, bytes, str], None]:
    def read(into: Contents, content: bytes, where: str) -> None:
        with opened(io.BytesIO(content)) as file:
            plain = file.read(UNPACKED + 1)
        if len(plain) > UNPACKED:
            return into.fault(where, "too large when unpacked")
        name = PurePosixPath(into._file).stem if not where else ""
        into.read(plain, f"{where}, unpacked".lstrip(", "), name)

    return read


def _gzip(into: Contents, content: bytes, where: str) -> None:
    if content[3] & 8:  # the name of the file that was packed (RFC 1952)
        start = 12 + struct.unpack("<H", content[10:12])[0] if content[3] & 4 else 10
        into.add(f"{where}, name of the packed file".lstrip(", "), None, text_of(content[start:].split(b"\0", 1)[0]))
    _packed(lambda raw: gzip.GzipFile(fileobj=raw))(into, content, where)


def _require(kind: str, content: bytes) -> None:
    if _magic(content) != kind:
        raise ValueError(f"it does not begin as {kind} does")


def _png(into: Contents, content: bytes, where: str) -> None:
    _require("PNG", content)
    into.skip(PIXELS)
    at = 8
    while at + 8 <= len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        data = content[at + 8 : at + 8 + size]
        place = f"{where}, {kind.decode('latin-1')} chunk".lstrip(", ")
        if kind == b"tEXt":
            into.add(place, None, data.decode("latin-1").replace("\0", " "))
        elif kind == b"zTXt":
            name, _, rest = data.partition(b"\0")
            into.add(place, None, f"{text_of(name)} {zlib.decompress(rest[1:]).decode('latin-1')}")
        elif kind == b"iTXt":
            name, _, rest = data.partition(b"\0")
            language, translated, text = rest[2:].split(b"\0", 2)
            text = zlib.decompress(text) if rest[0] else text
            into.add(place, None, " ".join(text_of(part) for part in (name, language, translated, text)))
        elif kind not in (b"IDAT", b"PLTE"):
            into.runs(data, place)
        at += size + 12
        if kind == b"IEND":
            break
    into.runs(content[at:], f"{where}, after the picture".lstrip(", "))


def _jpeg(into: Contents, content: bytes, where: str) -> None:
    _require("JPEG", content)
    into.skip(PIXELS)
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        size = struct.unpack(">H", content[at + 2 : at + 4])[0]
        if content[at + 1] == 0xFE or 0xE0 <= content[at + 1] <= 0xEF:
            into.runs(content[at + 4 : at + 2 + size], f"{where}, metadata".lstrip(", "))
        at += size + 2
    into.runs(content[content.rfind(b"\xff\xd9") + 2 :], f"{where}, after the picture".lstrip(", "))


def _picture(into: Contents, content: bytes, where: str) -> None:
    into.skip(PIXELS)
    into.runs(content, where)


def _pdf(into: Contents, content: bytes, where: str) -> None:
    prefix = f"{where}, " if where else ""
    for place, text in pdf_texts(content):
        if isinstance(text, bytes):
            into.read(text, f"{prefix}{place}")
        else:
            into.add(f"{prefix}{place}", None, text)


def _unknown(into: Contents, content: bytes, where: str) -> None:
    if _looks_like_text(content):
        start = text_of(content[:200]).lstrip()[:1]
        if start == "<":
            return _markup(into, content, where)
        if start in ("{", "["):
            try:
                json.loads(text_of(content))
            except ValueError:
                return _text(into, content, where)  # it only looks like JSON
            return _json(into, content, where)
        return _text(into, content, where)
    into.fault(where, "a kind of file that is not known")
    into.runs(content, where)


KINDS: dict[str, Callable[[Contents, bytes, str], None]] = {
    "HTML": _markup, "XML": _markup, "SVG": _markup, "notebook": _json, "JSON": _json, "CSV": _csv, "text": _text,
    "Parquet": _parquet, "XLSX": _zip, "ZIP": _zip, "PDF": _pdf, "PNG": _png, "JPEG": _jpeg, "picture": _picture,
    "gzip": _gzip, "bzip2": _packed(bz2.BZ2File), "xz": _packed(lzma.LZMAFile),
    "zstd": _packed(lambda raw: pa.CompressedInputStream(raw, "zstd")), "unknown": _unknown,
}  # fmt: skip
"""What reads each kind of file; a new kind is one more entry, and one in what tells it (``_MAGIC``, ``_SUFFIXES``)."""

_MAGIC = {
    b"PAR1": "Parquet", b"PK\x03\x04": "ZIP", b"PK\x05\x06": "ZIP", b"%PDF": "PDF", b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG", b"GIF8": "picture", b"RIFF": "picture", b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
_SUFFIXES = {
    ".html": "HTML", ".htm": "HTML", ".xml": "XML", ".rels": "XML", ".vml": "XML", ".svg": "SVG", ".ipynb": "notebook",
    ".json": "JSON", ".jsonl": "JSON", ".ndjson": "JSON", ".csv": "CSV", ".tsv": "CSV", ".txt": "text", ".md": "text",
    ".css": "text", ".js": "text", ".yaml": "text", ".yml": "text", ".py": "text", ".log": "text",
}  # fmt: skip
_MUST_BE = {
    ".parquet": "Parquet", ".xlsx": "ZIP", ".zip": "ZIP", ".pdf": "PDF", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG",
    ".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd",
}  # fmt: skip


_STARTS = {start[:2] for start in _MAGIC}


def _magic(content: bytes) -> str | None:
    if content[:2] not in _STARTS:
        return None
    return next((kind for start, kind in _MAGIC.items() if content.startswith(start)), None)


def kind_of(name: str, content: bytes) -> str:
    """The kind of a file (an entry of KINDS), by its first bytes, else by the end of its name."""
    suffix = PurePosixPath(name).suffix.lower()
    if kind := _magic(content):
        return "XLSX" if kind == "ZIP" and suffix in (".xlsx", ".xlsm") else kind
    return _MUST_BE.get(suffix) or _SUFFIXES.get(suffix) or "unknown"

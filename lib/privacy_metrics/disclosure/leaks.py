"""The leak check: looks for what must never stand in an output, in every file, on the bytes that a reader gets.

Two layers. *Patterns* know nothing of the input: addresses, e-mail addresses, URLs with a query, user agents, keys,
counts of too few people. *Known values* are those of the input, which the confidential zone keeps as keyed marks
(``Marks``): enough to know a value again in an output, and destroyed with the period's key. A finding never quotes
what it found.
"""

from __future__ import annotations

import base64
import binascii
import html
import ipaddress
import json
import quopri
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import polars as pl

from ..marks import (
    ACCOUNT,
    ADDRESS,
    AGENT,
    MACHINE,
    QUERY,
    SHORTEST_ACCOUNT,
    VISITOR,
    is_account,
    is_token,
    mark,
    packed,
)
from ..marks import (
    ADDRESS_BITS as ADDRESS_BITS,
)
from ..params import WorkbookError
from .audit import TOTAL
from .contents import LARGEST_COUNT, Contents, Grid, kind_of
from .release import Release

DEFAULT_THRESHOLD = 10
"""The fewest people of a published cell where neither the parameters nor a manifest say it."""


class LeakError(WorkbookError):
    """A run that is not published, because something stands in it that must not; quotes places, and no values."""


@dataclass(frozen=True, order=True)
class Leak:
    """A finding: in which file, at which place, and what kind of value stands there (never the value)."""

    file: str
    place: str
    kind: str


@dataclass(frozen=True)
class Checked:
    """What was looked through, and what was found."""

    leaks: list[Leak]
    files: dict[str, int]
    """How many files of each kind."""
    size: int
    """Their bytes."""
    skipped: dict[str, int]
    """What was not looked at, and how often."""
    searched: list[str]
    """What was looked for."""

    def require(self) -> None:
        """Raises LeakError when something was found."""
        if self.leaks:
            shown = "".join(f"\n  {leak.file}: {leak.place}: {leak.kind}" for leak in self.leaks[:20])
            more = f"\n  and {len(self.leaks) - 20:,} more" if len(self.leaks) > 20 else ""
            raise LeakError(
                f"the leak check found {len(self.leaks):,} values that must not be published, so nothing is:"
                f"{shown}{more}\n"
                "Take them out of the notebook or parameters that put them there, and run the report again."
            )


# ---- known values ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """What one period's confidential zone knows of its input."""

    key: bytes = field(repr=False)
    marks: Mapping[tuple[str, int], np.ndarray] = field(repr=False)
    visitors: np.ndarray = field(repr=False)

    @classmethod
    def read(cls, zone: Path) -> Known | None:
        """From the folder that ``collect`` wrote; None where the period is closed."""
        if not (zone / "known").is_dir():
            return None
        files = sorted((zone / "known").iterdir())
        frame = pl.concat([pl.read_parquet(file) for file in files]).unique().sort("kind", "bits", "mark")
        marks = {key: part["mark"].to_numpy() for key, part in frame.partition_by(
            "kind", "bits", as_dict=True, include_key=False).items()}  # fmt: skip
        days = sorted((zone / "days" / "sessions").iterdir())
        visitors = pl.concat([pl.read_parquet(day, columns=["visitor"]) for day in days])["visitor"].unique().sort()
        return cls((zone / "key").read_bytes(), marks, visitors.to_numpy())  # pyright: ignore[reportArgumentType]

    def holds(self, kind: str, contents: Sequence[bytes]) -> np.ndarray:
        """For each of ``contents`` whether the input holds it."""
        found = np.zeros(len(contents), bool)
        for (of, bits), marks in self.marks.items():
            if of == kind and len(marks) and contents:
                hashed = np.fromiter(
                    (mark(self.key, kind, c) >> (64 - bits) for c in contents), np.uint64, len(contents)
                )
                fits = _among(hashed, marks)
                if kind == ADDRESS:  # a mark of each family has its own length
                    fits &= np.fromiter(((len(c) == 4) == (bits < 64) for c in contents), bool, len(contents))
                found |= fits
        return found

    def is_chance(self, holds: np.ndarray) -> bool:
        """Whether as many of some numbers would fit the marks of IPv4 addresses if all of them were counts.

        A mark fits 16 addresses (``ADDRESS_BITS``). Of a thousand addresses one count in 268,000 fits, of ten million
        one in 27: there, one number that fits tells nothing, and a column of addresses still does.
        """
        from scipy.stats import binom

        marks = len(self.marks.get((ADDRESS, ADDRESS_BITS), ()))
        found = int(holds.sum())
        return bool(binom.sf(found - 1, len(holds), min(1.0, marks / 2**ADDRESS_BITS)) > CHANCE)


def _among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    if not len(ordered):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[at] == values


# ---- patterns -------------------------------------------------------------------------------------------------------

_DOT = r"(?:\.|\[\.\]|\(\.\)|\[dot\]|\(dot\))"
_PART = r"(\d{1,3}|[xX]{1,3}|\*)"
_QUAD = re.compile(rf"(?<![\d.])(\d{{1,3}}){_DOT}(\d{{1,3}}){_DOT}{_PART}{_DOT}{_PART}(?!\d|\.\d|[xX*])")
_DOTTED_HEX = re.compile(r"(?i)\b0x[0-9a-f]{1,2}(?:\.0x[0-9a-f]{1,2}){3}\b")
_OCTAL = re.compile(r"(?<![\d.])0[0-7]{2,3}(?:\.0[0-7]{0,3}){3}(?!\d|\.\d)")
_BEFORE_VERSION = re.compile(
    r"(?:\b(?:Chrome|Chromium|CriOS|HeadlessChrome|Edge?[A-Z]{0,4}|OPR|Opera|Firefox|FxiOS|Safari|Vivaldi|YaBrowser|"
    r"SamsungBrowser|Version|version)[ /]|\bv)$"
)
"""What stands right before four numbers that are a browser's version and no address."""
_COLONS = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?![\w:])")
_ARPA = re.compile(r"(?i)(?:[0-9a-f]\.){4,32}ip6\.arpa|(?:\d{1,3}\.){2,4}in-addr\.arpa")
_HOST = re.compile(
    r"(?i)(?<!\d)(?<!\d[-_])(\d{1,3})([-_])(\d{1,3})\2(\d{1,3})\2(\d{1,3})(?![-_]?\d)[\w-]*(?:\.[a-z][\w-]*){2,}"
    r"|\b[0-9a-f]{1,4}(?:-[0-9a-f]{0,4}){2,7}\.ipv6-literal\.net\b"
)
"""A host that its provider named by its address, as ``81-2-3-4.dsl.example.net``."""
_NOBODY = {"0.0.0.0", "127.0.0.1", "255.255.255.255"}
"""Addresses of no person: any, this machine, everybody."""
_IN_USE = [ipaddress.IPv6Network(n) for n in ("2000::/3", "fc00::/7", "fe80::/10", "64:ff9b::/96", "::ffff:0:0/96")]
"""IPv6 space that addresses are given from (IANA). Elsewhere, ``dead::beef`` is a word and ``[::2]`` a slice."""
_EMAIL = re.compile(
    r"[\w.%+'-]{1,64}(?:@|\s?(?:\(at\)|\[at\]|\{at\}|<at>)\s?)(?:[\w-]{1,63}(?:\.|\s?(?:\(dot\)|\[dot\])\s?)){1,6}[^\W\d_]{2,24}\b"
    r"|[\w.+-]{1,64} at (?:[\w-]{1,63} dot ){1,6}[^\W\d_]{2,24}\b",
    re.IGNORECASE,
)
_URL = re.compile(
    r"(?:https?|ftp|wss?)://[^\s\"'<>\\`|{}]{3,}?\?[^\s\"'<>\\`|{}]{2,}"
    r"|(?<![\w.)/<*\\])/[\w.~%@:+-][\w.~%@:/+-]*\?[\w.~%-]+=[^\s\"'<>\\`(){}]+"
    r"|(?:https?|ftp)://[^\s/@:\"']+:[^\s/@\"']+@"
)
_AGENT = re.compile(
    r"\bMozilla/\d[\w.]*[^\"'<>\n]{0,400}"
    r"|(?<![\w/])[A-Za-z][\w.-]*/\d[\w.]*(?:[ +](?:\([^()\"<>]{2,300}\)|[A-Za-z][\w.-]*/\d[\w.]*))+"
)
_KEY = re.compile(r"(?<![\w.])-?\d{17,20}(?!\w|\.\d)")
_FEW = re.compile(
    r"(?<![\d.,−-])(\d{1,3})\s(?:distinct\s)?(?:people|persons?|visitors?)\b(?!\skind)"
    r"|\b(?:people|persons|visitors)[\"']?\s*[:=]\s*(\d{1,3})(?![\d,.])",
    re.IGNORECASE,
)


_FEW_QUICK = r"(?i)\d\s(?:distinct\s)?(?:people|person|visitor)|(?:people|persons|visitors)[\"']?\s*[:=]"


def _addresses(text: str, versions: bool = False) -> Iterator[str]:
    """What in a text is an address; with ``versions`` also what stands where a browser's version does."""
    for found in _QUAD.finditer(text):
        numbers = [int(part) for part in found.groups() if part.isdigit()]
        # Without a host part it is an address cut short, which is one still.
        if max(numbers) > 255 or ".".join(map(str, numbers)) in _NOBODY:
            continue
        if versions or len(numbers) < 4 or not _BEFORE_VERSION.search(text, max(0, found.start() - 20), found.start()):
            yield found[0]
    for pattern in (_DOTTED_HEX, _OCTAL, _ARPA):
        for found in pattern.finditer(text):
            yield found[0]
    for found in _HOST.finditer(text):
        if all(int(part) < 256 for part in found.group(1, 3, 4, 5) if part):
            yield found[0]
    for found in _COLONS.finditer(text):
        try:
            address = ipaddress.IPv6Address(found[0].rstrip("."))
        except ValueError:
            continue
        if any(address in network for network in _IN_USE) and str(address.ipv4_mapped) not in _NOBODY:
            yield found[0]


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return (found[0] for found in pattern.finditer(text))


def _agents(text: str) -> Iterator[str]:
    return (written for written in _matches(_AGENT, text) if MACHINE not in written)


def _keys(text: str) -> Iterator[str]:
    return (found[0] for found in _KEY.finditer(text) if 2**54 <= abs(int(found[0])) < 2**64 - 1)


def _few(threshold: int, text: str) -> Iterator[str]:
    for found in _FEW.finditer(text):
        if 0 < int(found[1] or found[2]) < threshold:
            yield found[0]


PATTERNS: dict[str, tuple[str, Callable[[str], Iterator[str]]]] = {
    "an IP address": (
        r"(?i)\d(?:\.|\[\.\]|\(\.\)|.dot.)\d{1,3}(?:\.|\[\.\]|\(\.\)|.dot.)[\dx*]|0x[0-9a-f]{1,2}\.0x|[0-9a-f]?:[0-9a-f:]*:|\.arpa|\d[-_]\d{1,3}[-_]\d{1,3}[-_]\d|-[0-9a-f]*\.ipv6-l",
        _addresses,
    ),
    "an e-mail address": (
        r"(?i)\S@\S|[(\[{<]at[)\]}>]| at \S+ dot ", partial(_matches, _EMAIL)
    ),
    "a URL with a query": (r"\?\S+|://[^\s/]*:[^\s/]*@", partial(_matches, _URL)),
    "a user agent": (r"[A-Za-z]/\d", _agents),
    "a number as long as a visitor key": (r"\d{17}", _keys),
}  # fmt: skip
"""Kinds of values with what finds them: a quick test on many texts (Rust's expressions), and an exact one on a text."""
FEW = "a count of fewer people than the threshold"
HELD = "the value of a withheld cell"


# ---- the same text in other writings --------------------------------------------------------------------------------

_CODED = r"&[#\w]+;|\\|%[0-9A-Fa-f]{2}|=[0-9A-F]{2}|[^\x00-\x7F]|\+"
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")


def _unescaped(text: str) -> str:
    """Without the escapes of JSON and JavaScript."""
    return re.sub(
        r"\\(?:u\{?([0-9a-fA-F]{4,6})\}?|x([0-9a-fA-F]{2})|([/\"'\\]))",
        lambda m: chr(int(m[1] or m[2], 16) % 0x110000) if not m[3] else m[3],
        text,
    )


def _unquoted(text: str) -> str:
    return quopri.decodestring(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


_WRITINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("&", html.unescape), ("\\", _unescaped), ("%", unquote), ("=", _unquoted),
    ("", lambda text: _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))),
)  # fmt: skip


def _writings(text: str) -> set[str]:
    """What a text says once its escapes are resolved, also where they are escaped twice."""
    found: set[str] = set()
    now = text
    for _ in range(3):
        before = now
        for sign, resolve in _WRITINGS:
            if sign in now:
                now = resolve(now)
                found.add(now)
        if now == before:
            break
    # Half a surrogate pair is no character, and nobody's value.
    return {said.encode("utf-8", "replace").decode() for said in found} - {text}


def _with_writings(texts: pl.Series) -> pl.DataFrame:
    """Columns ``text`` (the number of a distinct text) and ``said`` (it, and what it says in other writings)."""
    plain = pl.DataFrame({"text": pl.int_range(texts.len(), dtype=pl.UInt32, eager=True), "said": texts})
    coded = plain.filter(pl.col("said").str.contains(_CODED))
    more = [(number, said) for number, text in coded.iter_rows() for said in _writings(text)]
    return plain.vstack(pl.DataFrame(more, schema=plain.schema, orient="row"))


# ---- known values in texts ------------------------------------------------------------------------------------------

AS_NUMBER = "an address of the input, as a number"
CHANCE = 0.001
"""Numbers that fit addresses of the input are told when less likely than this among so many counts."""
_TOKEN = r"[^\s\"'`<>()\[\]{}|,;=&?!*\\]{4,}"
_LONG_NUMBER = re.compile(r"(?<![\d.])-?(?:\d{8,39}(?!\d|\.\d)|(?<!\d,)\d{1,3}(?:,\d{3}){2,12}(?!\d|,\d|\.\d))")
_HEX = re.compile(r"(?i)(?<![0-9a-z])(?:0x([0-9a-f]{7,8})|(?:0x)?([0-9a-f]{16}|[0-9a-f]{32}))(?![0-9a-z])")
_IDENTIFIER = re.compile(
    r"(?i)(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=\d*[a-f])[0-9a-f]{32,})(?![0-9a-z])"
)
"""A UUID, or a digest: the digits between its letters are no number, and there are enough to fit a short mark."""
_DASHED = re.compile(r"(?<!\d)(\d{1,3})([-_])(\d{1,3})\2(\d{1,3})\2(\d{1,3})(?!\d)")


def _spellings(token: str) -> Iterator[str]:
    """What of a token may be an account: it whole, between its separators, and parts of it that hold a digit."""
    whole = token.strip(".,:;!?-_…/")
    yield whole
    parts = [part for part in re.split(r"[/:#@~]", whole) if part]
    if len(parts) > 1:
        yield from parts
    for part in parts:
        if len(part) <= 128 and any(c.isdigit() for c in part) and re.search(r"[._-]", part):
            pieces = re.split(r"([._-])", part)
            for start in range(0, len(pieces), 2):
                for end in range(start + 1, min(start + 10, len(pieces)) + 1, 2):
                    spelled = "".join(pieces[start:end])
                    if any(c.isdigit() for c in spelled):
                        yield spelled
    if 8 <= len(token) < 16 and re.fullmatch(r"[A-Za-z0-9+/]+", token):
        plain = b""
        with suppress(binascii.Error):  # no base64, then
            plain = base64.b64decode(token + "=" * (-len(token) % 4))
        if plain.isascii() and (text := plain.decode("ascii")).isprintable():
            yield text


def _numbers(text: str, published: frozenset[int]) -> Iterator[tuple[str, bytes]]:
    """Addresses and visitor keys that a text may hold as numbers."""
    for found in _LONG_NUMBER.finditer(_IDENTIFIER.sub(" ", text)):
        number = int(found[0].replace(",", ""))
        if number in published:
            continue
        if LARGEST_COUNT <= number < 2**32:
            yield AS_NUMBER, number.to_bytes(4)
        elif 2**64 <= number < 2**128:
            yield ADDRESS, number.to_bytes(16)
        if 2**32 <= abs(number) < 2**64:
            yield VISITOR, (number % 2**64).to_bytes(8)
    for found in _HEX.finditer(text):
        digits = (found[1] or found[2]).rjust(8, "0")
        yield (VISITOR if len(digits) == 16 else ADDRESS), bytes.fromhex(digits)
    for found in _DASHED.finditer(text):
        if max(numbers := [int(found[n]) for n in (1, 3, 4, 5)]) <= 255:
            yield ADDRESS, bytes(numbers)
    for written in _addresses(text, versions=True):
        if address := packed(written):
            yield ADDRESS, address


def _known(
    said: pl.DataFrame, known: Sequence[Known], published: frozenset[int], words: frozenset[str]
) -> Iterator[tuple[int, str]]:
    """Numbers of texts, and the kind of known value that each holds; ``said`` is as ``_with_writings`` gives it."""
    kinds = (ACCOUNT, ADDRESS, AS_NUMBER, AGENT, QUERY, VISITOR)
    candidates: dict[str, dict[bytes, set[int]]] = {kind: {} for kind in kinds}

    def note(kind: str, content: bytes, texts: Iterable[int]) -> None:
        candidates[kind].setdefault(content, set()).update(texts)

    cut = said.select("text", pl.col("said").str.extract_all(_TOKEN).alias("token")).explode("token").drop_nulls()
    tokens = cut.group_by("token", maintain_order=True).agg(pl.col("text").unique())
    for token, texts in tokens.iter_rows():
        if len(token) > 1000:
            continue
        if "/" in token:
            note(AGENT, token.casefold().encode(), texts)
        for spelled in set(_spellings(token)):
            folded = spelled.casefold()
            if is_token(folded):
                note(QUERY, folded.encode(), texts)
            if is_account(folded) and len(folded) <= 64 and not (folded in words and not _has_digit(folded)):
                note(ACCOUNT, folded.encode(), texts)
    whole = said.filter(pl.col("said").str.len_chars().is_between(SHORTEST_ACCOUNT, 1000))
    for number, text in whole.iter_rows():
        folded = text.strip().casefold()
        note(AGENT, folded.encode(), [number])
        if len(folded) <= 64 and is_account(folded) and " " in folded:
            note(ACCOUNT, folded.encode(), [number])
    for number, text in said.filter(pl.col("said").str.contains(r"[A-Za-z]/\d")).iter_rows():
        for found in _AGENT.finditer(text):
            note(AGENT, found[0].strip().casefold().encode(), [number])
    numeric = r"\d{8}|\d,\d{3},\d{3}|(?i)[0-9a-f]{7}|\d[-_.]\d{1,3}[-_.]\d|[0-9a-f:]:[0-9a-f:]*:"
    for number, text in said.filter(pl.col("said").str.contains(numeric)).iter_rows():
        for kind, content in _numbers(text, published):
            note(kind, content, [number])
    for kind, found in candidates.items():
        contents = list(found)
        for one in known:
            if kind == VISITOR:
                keys = np.fromiter((int.from_bytes(c) for c in contents), np.uint64, len(contents))
                holds = _among(keys, one.visitors)
            elif kind == AS_NUMBER:
                holds = one.holds(ADDRESS, contents)
                if holds.any() and one.is_chance(holds):
                    continue
            else:
                holds = one.holds(kind, contents)
            for at in np.flatnonzero(holds):
                yield from ((number, kind) for number in found[contents[at]])


def _has_digit(text: str) -> bool:
    return any(c.isdigit() for c in text)


# ---- tables ---------------------------------------------------------------------------------------------------------

_PEOPLE = {"people", "persons", "visitors", "distinct people"}
_SAID = {"state", "step", "share", "change"}
"""Fields of a chart's data that say a value in words: they are no category."""


def _count(value: Any) -> int | None:
    """A cell's value as a count; None for one that is withheld, empty, or none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return int(value) if value == value and abs(value) < 2**62 else None
    text = str(value).replace(",", "").replace("\u202f", "").replace("\u00a0", "").strip()
    return int(float(text)) if re.fullmatch(r"-?\d{1,18}(?:\.0+)?", text) else None


def _too_few(grid: Grid, threshold: int) -> Iterator[str]:
    first = next(iter(grid.rows))
    for name in first:
        if {name.casefold(), *(t.casefold() for t in grid.titles.get(name, ()))} & _PEOPLE:
            for number, row in enumerate(grid.rows):
                value = _count(row.get(name)) if isinstance(row, dict) else None
                if value is not None and 0 < value < threshold and not _is_noisy(row, name):
                    yield _cell(grid, name, number)


def _is_noisy(row: Mapping[str, Any], name: str) -> bool:
    """Whether a figure stands with its interval, as those with noise do: it is nobody's count, however small."""
    ends = {key.casefold().replace("_", " "): _count(value) for key, value in row.items()}
    low, high = (ends.get(f"{name.casefold()} {end}") for end in ("low", "high"))
    return low is not None and high is not None and low < high


def _cell(grid: Grid, column: str, number: int) -> str:
    first = getattr(grid.rows, "first", 1)
    return f"{grid.where}, column {column}, row {number + first}".lstrip(", ")


@dataclass(frozen=True)
class Shown:
    """What a release withholds, in the words in which charts and tables show it."""

    release: Release
    words: frozenset[str]
    held: frozenset[frozenset[str]]
    periods: frozenset[str]
    keys: frozenset[tuple[str, ...]]
    """The withheld rows' categories in the order of the dimensions, as they are written and as they are shown."""

    @classmethod
    def of(cls, release: Release, category: Callable[[str, str], str], periods: Iterable[str]) -> Shown:
        def key(row: Sequence[str]) -> frozenset[str]:
            pairs = zip(release.dimensions, row, strict=True)
            return frozenset(category(d, v) for d, v in pairs if v != TOTAL)

        rows = release.frame.select(*release.dimensions, "withheld").iter_rows()
        keys = [(key(row[:-1]), row[-1]) for row in rows]
        held = frozenset(k for k, withheld in keys if withheld)
        written = list(release.frame.filter("withheld").select(release.dimensions).iter_rows())
        spelled = [tuple(category(d, v) for d, v in zip(release.dimensions, row, strict=True)) for row in written]
        # Words alone do not tell two cells apart where two dimensions share them: such a key is not looked for.
        return cls(
            release, frozenset(w for k, _ in keys for w in k), held - {k for k, withheld in keys if not withheld},
            frozenset(periods), frozenset(tuple(map(_plain, row)) for row in (*written, *spelled)),
        )  # fmt: skip


def _of_withheld(grid: Grid, shown: Sequence[Shown], label: Callable[[str], str]) -> Iterator[str]:
    """Cells of a table that give a value where the release withholds it."""
    stem = Path(grid.where or grid.file).stem.casefold()
    first = grid.rows[0]
    for one in reversed(shown):
        release = one.release
        names = [d if d in first else label(d) for d in release.dimensions]
        if release.name[:31].casefold() == stem and isinstance(first, dict) and set(names) <= set(first):
            for number, row in enumerate(grid.rows):
                if tuple(_plain(str(row.get(name))) for name in names) in one.keys:
                    for measure in {m for d in release.measures for m in (d, label(d))} & set(row):
                        if _count(row[measure]) is not None:
                            yield _cell(grid, measure, number)
            return
    about = grid.about
    candidates = [s for s in shown if s.held and s.release.title in about]
    if not candidates:
        return
    every = frozenset(p for s in candidates for p in s.periods)
    latest = candidates[-1].periods
    for number, row in enumerate(grid.rows):
        if not isinstance(row, dict):
            continue
        texts = {v for k, v in row.items() if isinstance(v, str) and k not in _SAID}
        if "withheld" in row.values():
            continue
        periods = texts & every or latest
        for one in candidates:
            names = {"value", *one.release.measures, *(label(m) for m in one.release.measures)}
            if periods & one.periods and (texts & one.words) in one.held:
                for name in names & set(row):
                    measures = {label(m) for m in one.release.measures}
                    titled = grid.titles.get(name, set())
                    if _count(row[name]) is not None and (name != "value" or not titled or titled & measures):
                        yield _cell(grid, name, number)


def _plain(category: str) -> str:
    return category.removeprefix("'")  # how a CSV writes one that a spreadsheet would compute


# ---- the check ------------------------------------------------------------------------------------------------------

_NAMES = ("file name", "a key", "the name of column", "a name in it", "a metadata key")


@dataclass(frozen=True)
class Rules:
    """What the check knows beside the files.

    ``parameters`` is the text of the run's parameters: what stands there was given, and is not from the input, unless
    it is a known value. ``words`` are the product's own (no account is told from them). ``category`` and ``label`` say
    how a category and a column are shown; ``period`` gives the names of a release's period. ``scripts`` are those of
    the product itself, by their SHA-256 (``Contents.scripts``).
    """

    threshold: int = DEFAULT_THRESHOLD
    known: Sequence[Known] = ()
    releases: Sequence[Release] = ()
    parameters: str = ""
    words: Iterable[str] = ()
    category: Callable[[str, str], str] = lambda dimension, value: value
    label: Callable[[str], str] = lambda name: name
    period: Callable[[str], Iterable[str]] = field(default=lambda name: (name,))
    scripts: frozenset[str] = frozenset()


def check(folder: Path, rules: Rules | None = None) -> Checked:
    """Looks through every file under ``folder``, as a reader gets it."""
    if not folder.is_dir():
        raise LeakError(f"{folder}: no such folder; give the folder whose files are to be looked through")
    rules = rules or Rules(threshold=threshold_of(folder))
    contents = Contents(rules.scripts)
    kinds: dict[str, int] = {}
    size = 0
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    for name in names:
        content = (folder / name).read_bytes()
        size += len(content)
        kinds[kind_of(name, content)] = kinds.get(kind_of(name, content), 0) + 1
        contents.read_file(name, content)
    places = contents.frame()
    distinct = places["text"].unique(maintain_order=True)
    found = pl.DataFrame(
        sorted(set(_found(_with_writings(distinct), rules))), schema={"number": pl.UInt32, "kind": pl.String},
        orient="row",
    )  # fmt: skip
    texts = pl.DataFrame({"text": distinct}).with_row_index("number")
    hit = places.join(texts.join(found, on="number"), on="text")
    named = hit.filter(pl.any_horizontal(*(pl.col("where").str.contains(n, literal=True) for n in _NAMES)))
    hidden = sorted(set(named["text"].to_list()), key=len, reverse=True)
    leaks = {Leak(file, _place(where, row), kind) for file, where, row, _, _, kind in hit.iter_rows()}
    leaks |= {Leak(file, where or "whole file", why) for file, where, why in contents.faults}
    shown = [Shown.of(r, rules.category, rules.period(r.period)) for r in rules.releases if r.policy.people]
    for grid in contents.grids:
        if len(grid.rows):
            leaks |= {Leak(grid.file, place, FEW) for place in _too_few(grid, rules.threshold)}
            leaks |= {Leak(grid.file, place, HELD) for place in _of_withheld(grid, shown, rules.label)}
    veiled = {name: _veiled(name, hidden, f"file {number}") for number, name in enumerate(names, 1)}
    leaks = {Leak(veiled[leak.file], _hide(leak.place, hidden), leak.kind) for leak in leaks}
    return Checked(sorted(leaks), dict(sorted(kinds.items())), size, contents.skipped, _searched(rules))


NEAR = 500
"""Of a long text (a script in one line), so many characters around what the quick test finds are looked at exactly."""


def _near(quick: str, text: str) -> Iterator[str]:
    if len(text) <= 4 * NEAR:
        yield text
        return
    start = end = -1
    for found in re.finditer(quick, text):
        if start >= 0 and found.start() - NEAR > end:
            yield text[start:end]
            start = -1
        start = max(0, found.start() - NEAR) if start < 0 else start
        end = found.end() + NEAR
    if start >= 0:
        yield text[start:end]


def _found(said: pl.DataFrame, rules: Rules) -> Iterator[tuple[int, str]]:
    few = (_FEW_QUICK, partial(_few, rules.threshold))
    for kind, (quick, exact) in {**PATTERNS, FEW: few}.items():
        for number, text in said.filter(pl.col("said").str.contains(quick)).iter_rows():
            if any(written not in rules.parameters for part in _near(quick, text) for written in exact(part)):
                yield number, kind
    if rules.known:
        published = {
            value
            for release in rules.releases
            for measure in release.measures
            for value in release.frame[measure].drop_nulls().to_list()
        }
        words = {
            word for text in rules.words for word in re.findall(r"[^\W\d_]{4,}(?:[-_.][^\W\d_]+)*", text.casefold())
        }
        yield from _known(said, rules.known, frozenset(published), frozenset(words))


def threshold_of(folder: Path) -> int:
    """The threshold under which the folder was made, where its manifest says it."""
    try:
        noted = json.loads((folder / "manifest.json").read_text("utf-8"))
        return int(noted["parameters"]["values"]["disclosure"]["threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_THRESHOLD  # a folder of another's: the manifest, if any, is looked through as a file


def _place(where: str, row: int | None) -> str:
    return (where if row is None else f"{where} {row}") or "whole file"


def _hide(text: str, hidden: Sequence[str]) -> str:
    for name in hidden:
        text = text.replace(name, "…")
    return text


def _veiled(name: str, hidden: Sequence[str], instead: str) -> str:
    return instead if any(part in name for part in hidden) else name


def _searched(rules: Rules) -> list[str]:
    found = [*PATTERNS, f"{FEW} ({rules.threshold})"]
    if rules.releases:
        held = sum(r.withheld for r in rules.releases)
        found.append(f"{HELD} ({held:,} cells of {len(rules.releases):,} tables)")
    for kind in (ACCOUNT, ADDRESS, AGENT, QUERY):
        if count := sum(len(m) for one in rules.known for (of, _), m in one.marks.items() if of == kind):
            found.append(f"{kind} ({count:,})")
    if visitors := sum(len(one.visitors) for one in rules.known):
        found.append(f"{VISITOR} ({visitors:,})")
    return found

"""Geography: the country of an address by a range join, and the truncation that makes an address pseudonymous."""

from __future__ import annotations

import csv
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import maxminddb
import numpy as np
import polars as pl
import pyarrow as pa

from .params import WorkbookError
from .sources.combined import places

UNKNOWN = "unknown"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"


class CountriesError(WorkbookError):
    """A country database that is missing or not readable."""


@dataclass(frozen=True)
class Ranges:
    """Sorted starts of ranges and the country from each start on (an index into ``Countries.names``)."""

    starts: np.ndarray
    country: np.ndarray

    def find(self, keys: np.ndarray) -> np.ndarray:
        return self.country[np.searchsorted(self.starts, keys, side="right") - 1]


@dataclass(frozen=True)
class Countries:
    """Country ranges of both address families; ``names[0]`` is unknown."""

    names: list[str]
    v4: Ranges  # of uint32
    v6: Ranges  # of the high 64 bits; a network finer than that is at ``fine``
    fine: dict[int, Ranges]  # high 64 bits → ranges of the low 64 bits


def without_countries() -> Countries:
    """Every country unknown: the explicit choice to go on without a database."""
    empty = np.zeros(1, np.int16)
    return Countries([UNKNOWN], Ranges(np.zeros(1, np.uint32), empty), Ranges(np.zeros(1, np.uint64), empty), {})


def load(path: Path) -> Countries:
    """Flattens the MaxMind DB at ``path`` (a country or city edition) into sorted ranges, once.

    The country of a network is its record's ``country.iso_code``, else its ``registered_country.iso_code``. Raises
    CountriesError when the file is missing, is no MaxMind DB, or is damaged.
    """
    advice = "give another file in sources.countries.mmdb, or set sources.countries to none: true to go on without"
    if not path.is_file():
        raise CountriesError(f"{path}: no such file; {advice}")
    names: dict[str, int] = {UNKNOWN: 0}
    try:
        content = path.read_bytes()
        with maxminddb.open_database(path, maxminddb.MODE_MEMORY) as reader:
            tree = _tree(content, reader.metadata().node_count, reader.metadata().record_size)
            if reader.metadata().ip_version == 4:
                v4, v6 = _leaves(tree, 32, 0), _leaves(tree, 128, len(tree))
            else:
                v6 = _leaves(tree, 128, 0)
                v4 = _leaves(tree, 32, _first_child(tree, 96))
            # Networks that have one record in common are asked for once.
            record, one, place = np.unique(
                np.concatenate([v4.record, v6.record]), return_index=True, return_inverse=True
            )
            asked = [_written(v4, v6, int(at)) for at in one]
            codes = [
                0 if of == len(tree) else names.setdefault(_iso_code(reader.get(address)), len(names))
                for of, address in zip(record.tolist(), asked, strict=True)
            ]
    except (maxminddb.InvalidDatabaseError, OSError, ValueError, UnicodeDecodeError) as error:
        raise CountriesError(f"{path}: not readable as a MaxMind DB ({type(error).__name__}); {advice}") from None
    country = np.array(codes, np.int16)[place]
    country4, country6 = country[: v4.record.size], country[v4.record.size :]
    finer = v6.depth > 64
    halves, first = np.unique(v6.high, return_index=True)
    inside, starts = np.unique(v6.high[finer], return_index=True)
    parts = zip(inside.tolist(), starts, [*starts, int(finer.sum())][1:], strict=True)
    return Countries(
        list(names), _ranges(v4.high.astype(np.uint32), country4), _ranges(halves, np.where(finer, 0, country6)[first]),
        {high: _ranges(v6.low[finer][at:end], country6[finer][at:end]) for high, at, end in parts},
    )  # fmt: skip


@dataclass(frozen=True)
class _Leaves:
    """The networks that a search tree tells apart, in order: their bits, of IPv4 in ``high``, and how many count."""

    high: np.ndarray
    low: np.ndarray
    depth: np.ndarray
    record: np.ndarray
    """What the tree leads to: the number of its nodes where there is no record, more for a record."""


def _tree(content: bytes, count: int, size: int) -> np.ndarray:
    """A row for each of ``count`` nodes, and in it what the bit 0 and the bit 1 lead to, each of ``size`` bits.

    MaxMind DB file format, version 2.0.
    """
    if size not in (24, 28, 32):
        raise ValueError("records of an unknown size")
    rows = np.frombuffer(content, np.uint8, count * size // 4).reshape(count, size // 4).astype(np.uint32)
    if size == 28:  # the byte in the middle has the highest four bits of both
        left, right = rows[:, 3] >> 4, rows[:, 3] & 15
        rows = np.column_stack([left, rows[:, :3], right, rows[:, 4:]])
    found = np.zeros((count, 2), np.uint32)
    for byte in range(rows.shape[1] // 2):
        found = (found << 8) | rows[:, [byte, byte + rows.shape[1] // 2]]
    return found


def _first_child(tree: np.ndarray, depth: int) -> int:
    """The node after ``depth`` bits of 0, or what stands for its record."""
    node = 0
    for _ in range(depth):
        node = int(tree[node, 0]) if node < len(tree) else node
    return node


def _leaves(tree: np.ndarray, bits: int, start: int) -> _Leaves:
    """The networks below a node, level by level."""
    node, bit64 = np.array([start], np.uint32), np.uint64(1)
    high, low = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    found = []
    for depth in range(bits + 1):
        ends = node >= len(tree)
        found.append((high[ends], low[ends], np.full(int(ends.sum()), depth), node[ends]))
        if ends.all():
            break
        if depth == bits or node.size > 8 * len(tree) + 1_000_000:
            raise ValueError("a search tree without an end")
        high, low, node = (np.repeat(part[~ends], 2) for part in (high, low, node))
        at = bits - 1 - depth
        half, shift = (high, at - 64) if at >= 64 else (low, at) if bits > 64 else (high, at)
        half[1::2] |= bit64 << np.uint64(shift)
        node = tree[node, np.arange(node.size) & 1]
    parts = [np.concatenate(part) for part in zip(*found, strict=True)]
    order = np.lexsort((parts[1], parts[0]))
    return _Leaves(*(part[order] for part in parts))


def _written(v4: _Leaves, v6: _Leaves, at: int) -> str:
    """An address of the network at a place among those of both families."""
    if at < v4.high.size:
        return str(ipaddress.IPv4Address(int(v4.high[at])))
    at -= v4.high.size
    return str(ipaddress.IPv6Address(int(v6.high[at]) << 64 | int(v6.low[at])))


def _iso_code(record: object) -> str:
    if isinstance(record, dict):
        for key in ("country", "registered_country"):
            part = record.get(key)
            if isinstance(part, dict) and isinstance(code := part.get("iso_code"), str):
                return code
    return UNKNOWN


def _ranges(starts: np.ndarray, country: np.ndarray) -> Ranges:
    """Neighbours of one country are one range."""
    new = np.flatnonzero(np.diff(country, prepend=-1))
    return Ranges(starts[new], country[new].astype(np.int16))


def resolve(addresses: pl.Series, countries: Countries, *, ipv4_bits: int, ipv6_bits: int) -> pl.DataFrame:
    """What ``locate`` finds, as a frame: ``country`` (ISO 3166-1 alpha-2, or ``unknown``) and ``network`` (UInt64)."""
    country, network = locate(addresses, countries, ipv4_bits=ipv4_bits, ipv6_bits=ipv6_bits)
    return pl.DataFrame({"country": pl.Series(countries.names).gather(country.astype(np.uint32)), "network": network})


def locate(
    addresses: pl.Series, countries: Countries, *, ipv4_bits: int, ipv6_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Country and truncated network of ``addresses`` (String); the country is looked up before truncating.

    Arrays: the country (its place in ``countries.names``) and the network (uint64: the family and the first
    ``ipv4_bits`` or ``ipv6_bits`` bits; 0 for what is no address, such as a host name). An IPv4 address mapped into
    IPv6 is that IPv4 address.
    """
    if addresses.len() <= _PART:  # of most blocks of lines there are few that are new
        return _located(addresses, countries, ipv4_bits, ipv6_bits)
    starts = range(0, addresses.len(), _PART)
    with ThreadPoolExecutor(2) as threads:
        parts = threads.map(lambda at: _located(addresses[at : at + _PART], countries, ipv4_bits, ipv6_bits), starts)
        country, network = (np.concatenate(part) for part in zip(*parts, strict=True))
    return country, network


_PART = 1 << 15
"""Addresses read at a time: few enough that what is made of them stays in a processor's cache."""


def _located(
    addresses: pl.Series, countries: Countries, ipv4_bits: int, ipv6_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    country = np.zeros(addresses.len(), np.int16)
    network = np.zeros(addresses.len(), np.uint64)
    at4, keys, at6, halves = packed(addresses)
    country[at4] = countries.v4.find(keys)
    network[at4] = (keys >> np.uint32(32 - ipv4_bits)) | np.uint64(4 << 60)
    country[at6] = countries.v6.find(halves[:, 0])
    network[at6] = (halves[:, 0] >> np.uint64(64 - ipv6_bits)) | np.uint64(6 << 60)
    if countries.fine:
        finer = np.flatnonzero(np.isin(halves[:, 0], np.fromiter(countries.fine, np.uint64)))
        for high in np.unique(halves[finer, 0]).tolist():
            inside = finer[halves[finer, 0] == high]
            country[at6[inside]] = countries.fine[high].find(halves[inside, 1])
    return country, network


def packed(addresses: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The bits of ``addresses`` (String), as inet_pton reads them; one that is mapped into IPv6 is its IPv4 address.

    Arrays: places of the IPv4 addresses, their 32 bits, places of those of IPv6, their high and low 64 bits.
    """
    dotted, others = _families(addresses)
    at4, at6 = np.flatnonzero(dotted), np.flatnonzero(others)
    rest = addresses.filter(pl.Series(dotted))
    keys = _ipv4(rest)
    if keys is None:  # a host name is among them
        fits = rest.str.contains(rf"^(?:{_OCTET}\.){{3}}{_OCTET}$").to_numpy()
        at4, keys = at4[fits], _ipv4(rest.filter(fits))
        assert keys is not None
    halves = _ipv6(addresses.filter(pl.Series(others)))
    high, low = halves[:, 0], halves[:, 1]
    mapped = (high == 0) & (low >> np.uint64(32) == 0xFFFF)  # ::ffff:0:0/96 (RFC 4291 §2.5.5.2)
    if mapped.any():
        at4 = np.concatenate([at4, at6[mapped]])
        keys = np.concatenate([keys, low[mapped].astype(np.uint32)])
    six = ((high & low) != _ONES) & ~mapped
    return (at4, keys, at6, halves) if six.all() else (at4, keys, at6[six], halves[six])


def _families(addresses: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Whether ``addresses`` have a dot among their second to fourth bytes and no colon there, as all of IPv4 have; and
    which are others.

    The first four bytes of a text stand beside its length in Arrow's views, of which each is four numbers.
    """
    (views,) = pa.chunked_array(addresses.rechunk()).chunks
    first = np.frombuffer(views.buffers()[1], "<u4").reshape(-1, 4)[views.offset :][: len(views), 1].copy()
    dotted = _has(first, ".") & ~_has(first, ":")
    if not addresses.null_count():
        return dotted, ~dotted
    there = addresses.is_not_null().to_numpy()
    return dotted & there, ~dotted & there


def _has(words: np.ndarray, letter: str) -> np.ndarray:
    """Whether the second to fourth bytes of ``words`` (uint32) have a letter."""
    words = words ^ np.uint32(ord(letter) * 0x01010101)
    return (words - np.uint32(0x01010100)) & ~words & np.uint32(0x80808000) != 0


def _parts() -> np.ndarray:
    """What a part of an IPv4 address is by the three bytes at whose end it stands: its number, and 256 for each digit.

    A byte is known by its lowest five bits; those of the first stand highest. 0 where inet_pton reads no number from 0
    to 255 there, or one with a digit more than it needs.
    """
    found = np.zeros((32, 32, 32), np.uint16)
    signs = [ord(sign) & 31 for sign in ".\n"]
    for number in range(256):
        *before, last = (ord(digit) & 31 for digit in str(number))
        if len(before) == 2:
            found[before[0], before[1], last] = number + 3 * 256
        elif len(before) == 1:
            found[signs, before[0], last] = number + 2 * 256
        else:
            found[:, signs, last] = number + 256
    return found.ravel()


_PARTS = _parts()
_SIGNS = np.frombuffer(b"...\n", np.uint32)


def _ipv4(addresses: pl.Series) -> np.ndarray | None:
    """The 32 bits of ``addresses`` if each is four decimal numbers as inet_pton reads them; None if one is not.

    All are one text for it, in which a part of an address is what stands before a dot or a line's end.
    """
    if not addresses.len():
        return np.zeros(0, np.uint32)
    text = np.frombuffer(f"\n\n\n{addresses.str.join(chr(10))[0]}\n".encode(), np.uint8)
    before = places(pl.Series(text[3:]) < ord("0"))  # each is three bytes before a sign
    if before.size != 4 * addresses.len() or (text[3:][before].view(np.uint32) != _SIGNS).any():
        return None
    known = text & np.uint8(31)
    hundreds, tens, ones = (known[n:][before].astype(np.uint16) for n in range(3))
    part = _PARTS[hundreds << np.uint16(10) | tens << np.uint16(5) | ones]
    digits = int((part >> np.uint16(8)).sum())
    if part.min() < 256 or text.max() > ord("9") or digits + before.size + 3 != text.size:
        return None
    return part.astype(np.uint8).view(">u4").astype(np.uint32)


_NONE = b"\xff" * 16  # a multicast address, which nobody sends from (RFC 4291 §2.7)
_ONES = np.uint64(2**64 - 1)


def _ipv6(addresses: pl.Series) -> np.ndarray:
    """The high and low 64 bits of ``addresses`` as inet_pton reads them, _ONES twice for what is none."""
    found = _groups(addresses)
    if found is None:
        fits = addresses.str.contains(r"^[0-9A-Fa-f:]+$").to_numpy()
        plain = _groups(addresses.filter(fits))
        assert plain is not None
        found = np.full((addresses.len(), 2), _ONES)
        found[fits] = plain
    others = np.flatnonzero((found[:, 0] & found[:, 1]) == _ONES)  # with an end as of IPv4, with a zone, or none
    if others.size:
        content = b"".join(map(_by_system, addresses.gather(others)))
        found[others] = np.frombuffer(content, ">u8").reshape(-1, 2)
    return found


def _groups(addresses: pl.Series) -> np.ndarray | None:
    """The bits of ``addresses`` that are groups of hexadecimal digits, eight or fewer about a ``::``; else _ONES.

    None if one has another character. All are one text, in which a group stands before a colon or a line's end.
    """
    if not addresses.len():
        return np.empty((0, 2), np.uint64)
    text = np.frombuffer(f"\n\n\n\n{addresses.str.join(chr(10))[0]}\n".encode(), np.uint8)
    letter = (text | np.uint8(32)) - np.uint8(ord("a")) < 6
    figure = letter | (text - np.uint8(ord("0")) < 10)
    digit = ((text & np.uint8(15)) + letter * np.uint8(9)) * figure
    # What stands before a sign: the last two digits of a group in one byte, and the two before in another.
    last = (digit[1:] | digit[:-1] << np.uint8(4)) * figure[1:]
    three = figure[3:] & figure[2:-1] & figure[1:-2]
    pair = np.empty((three.size, 2), np.uint8)
    np.multiply(last[:-2], three, out=pair[:, 0])
    pair[:, 1] = last[2:]
    before = places(pl.Series(~figure[4:]))  # each is four bytes before a sign
    sign = text[4:][before]
    ends = np.append(-1, np.flatnonzero(sign == ord("\n")))
    groups = np.diff(ends)
    if groups.size != addresses.len() or np.count_nonzero(sign == ord(":")) + groups.size != sign.size:
        return None
    value = pair.view(np.uint16).ravel()[before]
    first, closing = ends[:-1] + 1, ends[1:]
    # Between the colons of :: there is one empty group; where it begins or ends the address, one more on that side.
    none = ~figure[3:][before]
    empty = np.flatnonzero(none)
    owner = np.searchsorted(closing, empty)
    gaps = np.bincount(owner, minlength=groups.size)
    begins, closes = none[first], none[closing]
    fits = np.where(gaps == 0, groups == 8, (groups - gaps < 8) & (gaps == 1 + begins + closes))
    if begins.any() or closes.any():
        fits &= ~begins | none[np.minimum(first + 1, closing)]
        fits &= ~closes | none[np.maximum(closing - 1, first)]
    if (five := three[1:] & figure[1:-3] & figure[:-4]).any():
        fits[np.searchsorted(before[closing], np.flatnonzero(five))] = False
    times = np.ones(before.size, np.intp)
    opened = empty[np.flatnonzero(np.diff(owner, prepend=-1))]
    times[opened] = 9 - groups[gaps > 0]  # the first empty group stands for all that are left out
    if not fits.all():
        kept = np.repeat(fits, groups)
        value, times = value[kept], times[kept]
    halves = np.repeat(value, times).view(">u8").astype(np.uint64).reshape(-1, 2)
    if fits.all():
        return halves
    found = np.full((groups.size, 2), _ONES)
    found[fits] = halves
    return found


def _by_system(text: str) -> bytes:
    try:
        return socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return _NONE


@cache
def countries() -> dict[str, dict[str, str]]:
    """By ISO 3166-1 code: ``name``, ``region`` (UN M49), and ``column`` and ``row`` on the tile grid, if on it."""
    text = files("privacy_metrics").joinpath("templates/countries.csv").read_text("utf-8")
    return {row["code"]: row for row in csv.DictReader(text.splitlines())}


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

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

from .params import WorkbookError

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
    starts = range(0, max(addresses.len(), 1), _PART)
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
    network[at4] = (np.uint64(4) << np.uint64(60)) | (keys >> np.uint32(32 - ipv4_bits)).astype(np.uint64)
    country[at6] = countries.v6.find(halves[:, 0])
    finer = np.flatnonzero(np.isin(halves[:, 0], np.fromiter(countries.fine, np.uint64)))
    for high in np.unique(halves[finer, 0]).tolist():
        inside = finer[halves[finer, 0] == high]
        country[at6[inside]] = countries.fine[high].find(halves[inside, 1])
    network[at6] = (np.uint64(6) << np.uint64(60)) | (halves[:, 0] >> np.uint64(64 - ipv6_bits))
    return country, network


def packed(addresses: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The bits of ``addresses`` (String), as inet_pton reads them; one that is mapped into IPv6 is its IPv4 address.

    Arrays: places of the IPv4 addresses, their 32 bits, places of those of IPv6, their high and low 64 bits.
    """
    with_colon = addresses.str.contains(":", literal=True).fill_null(False).to_numpy()
    at6, at4 = np.flatnonzero(with_colon), np.flatnonzero(~with_colon)
    rest = addresses.gather(at4) if at6.size else addresses
    keys = _ipv4(rest)
    if keys is None:  # a host name is among them, or nothing
        fits = rest.str.contains(rf"^(?:{_OCTET}\.){{3}}{_OCTET}$").fill_null(False).to_numpy()
        at4, keys = at4[fits], _ipv4(rest.filter(fits))
        assert keys is not None
    halves = _ipv6(addresses.gather(at6))
    high, low = halves[:, 0], halves[:, 1]
    mapped = (high == 0) & (low >> np.uint64(32) == 0xFFFF)  # ::ffff:0:0/96 (RFC 4291 §2.5.5.2)
    six = ((high & low) != _ONES) & ~mapped
    return (
        np.concatenate([at4, at6[mapped]]), np.concatenate([keys, low[mapped].astype(np.uint32)]),
        at6[six], halves[six],
    )  # fmt: skip


_DIGITS = np.repeat([1, 2, 3, 0], [10, 90, 156, 744]).astype(np.uint8)
"""How many digits a part of an IPv4 address is written with: no more than it needs; 0 where it is too large."""


def _ipv4(addresses: pl.Series) -> np.ndarray | None:
    """The 32 bits of ``addresses`` if each is four decimal numbers as inet_pton reads them; None if one is not.

    All are one text for it, in which a part of an address is what stands before a dot.
    """
    if not addresses.len():
        return np.zeros(0, np.uint32)
    text = np.frombuffer(f"..{addresses.str.join('.')[0]}.".encode(), np.uint8)
    dots = np.flatnonzero(text == ord("."))[2:]
    ends = addresses.str.len_bytes().fill_null(0).to_numpy().cumsum(dtype=np.int64) + np.arange(2, addresses.len() + 2)
    digits = text - np.uint8(ord("0"))
    if not np.array_equal(dots[3::4], ends) or np.count_nonzero(digits < 10) + dots.size + 2 != text.size:
        return None
    width = np.diff(dots, prepend=1) - 1
    tens = digits[dots - 2] * (width > 1)
    value = digits[dots - 1] + tens * np.uint16(10) + digits[dots - 3] * (width > 2) * np.uint16(100)
    if (_DIGITS[value] != width).any():
        return None
    return value.astype(np.uint8).view(">u4").astype(np.uint32)


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
    text = np.frombuffer(f"...\n{addresses.str.join(chr(10))[0]}\n".encode(), np.uint8)
    letter = (text | np.uint8(32)) - np.uint8(ord("a")) < 6
    figure = letter | (text - np.uint8(ord("0")) < 10)
    digit = ((text & np.uint8(15)) + letter * np.uint8(9)) * figure
    byte = digit.copy()
    byte[1:] |= digit[:-1] << np.uint8(4)
    signs = np.flatnonzero(~figure)[3:]
    sign = text[signs]
    ends = np.flatnonzero(sign == ord("\n"))
    if ends.size != addresses.len() + 1 or np.count_nonzero(sign == ord(":")) + ends.size != sign.size:
        return None
    width = np.diff(signs) - 1
    first, last, groups = ends[:-1], ends[1:] - 1, np.diff(ends)
    value = np.empty((width.size, 2), np.uint8)
    value[:, 0] = byte[signs[1:] - 3] * (width > 2)
    value[:, 1] = byte[signs[1:] - 1]
    empty = np.flatnonzero(width == 0)
    value[empty] = 0
    # Between the colons of :: there is one empty group; where it begins or ends the address, one more on that side.
    owner = np.searchsorted(last, empty)
    gaps = np.bincount(owner, minlength=groups.size)
    begins, closes = width[first] == 0, width[last] == 0
    fits = np.where(gaps == 0, groups == 8, (groups - gaps < 8) & (gaps == 1 + begins + closes))
    fits &= ~begins | (width[np.minimum(first + 1, last)] == 0)
    fits &= ~closes | (width[np.maximum(last - 1, first)] == 0)
    fits[np.searchsorted(last, np.flatnonzero(width > 4))] = False
    times = np.ones(width.size, np.intp)
    opened = empty[np.flatnonzero(np.diff(owner, prepend=-1))]
    times[opened] = 9 - groups[gaps > 0]  # the first empty group stands for all that are left out
    value = value.view(np.uint16).ravel()
    if not fits.all():
        kept = np.repeat(fits, groups)
        value, times = value[kept], times[kept]
    found = np.full((groups.size, 2), _ONES)
    found[fits] = np.repeat(value, times).view(">u8").reshape(-1, 2)
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

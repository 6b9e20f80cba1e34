"""Geography: the country of an address by a range join, and the truncation that makes an address pseudonymous."""

from __future__ import annotations

import csv
import ipaddress
import socket
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import repeat
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
    v4: list[tuple[int, int, int]] = []
    v6: list[tuple[int, int, int]] = []
    try:
        with maxminddb.open_database(path, maxminddb.MODE_MEMORY) as reader:
            for network, record in reader:
                country = names.setdefault(_iso_code(record), len(names))
                low = int(network.network_address)
                span = (low, low + network.num_addresses, country)
                if network.version == 4 or (low >> 32 == 0 and reader.metadata().ip_version == 6):
                    v4.append(span)
                else:
                    v6.append(span)
    except (maxminddb.InvalidDatabaseError, OSError, ValueError, UnicodeDecodeError) as error:
        raise CountriesError(f"{path}: not readable as a MaxMind DB ({type(error).__name__}); {advice}") from None
    coarse = [(lo >> 64, hi >> 64, c) for lo, hi, c in v6 if not (lo | hi) & (2**64 - 1)]
    fine: dict[int, list[tuple[int, int, int]]] = {}
    for lo, hi, c in v6:
        if (lo | hi) & (2**64 - 1):
            high = (lo >> 64) << 64
            fine.setdefault(lo >> 64, []).append((lo - high, hi - high, c))
    return Countries(
        list(names),
        _ranges(v4, np.uint32, 2**32),
        _ranges(coarse, np.uint64, 2**64),
        {high: _ranges(spans, np.uint64, 2**64) for high, spans in fine.items()},
    )


def _iso_code(record: object) -> str:
    if isinstance(record, dict):
        for key in ("country", "registered_country"):
            part = record.get(key)
            if isinstance(part, dict) and isinstance(code := part.get("iso_code"), str):
                return code
    return UNKNOWN


def _ranges(spans: list[tuple[int, int, int]], kind: type, limit: int) -> Ranges:
    """Starts with the country from each on; gaps are unknown. Networks of an MMDB do not overlap."""
    starts, country, end = [0], [0], 0
    for low, high, code in sorted(spans):
        if low > end:
            starts.append(end)
            country.append(0)
        starts.append(low)
        country.append(code)
        end = high
    if end < limit:
        starts.append(end)
        country.append(0)
    order = np.array(starts, dtype=object)
    keep = [i for i in range(len(starts)) if i + 1 == len(starts) or order[i] != order[i + 1]]
    return Ranges(np.array([starts[i] for i in keep], kind), np.array([country[i] for i in keep], np.int16))


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
    country = np.zeros(addresses.len(), np.int16)
    network = np.zeros(addresses.len(), np.uint64)
    at4, keys, at6, halves = packed(addresses)
    country[at4] = countries.v4.find(keys)
    network[at4] = (np.uint64(4) << np.uint64(60)) | (keys >> np.uint32(32 - ipv4_bits)).astype(np.uint64)
    country[at6] = countries.v6.find(halves[:, 0])
    for high, ranges in countries.fine.items():
        inside = np.flatnonzero(halves[:, 0] == high)
        if inside.size:
            country[at6[inside]] = ranges.find(halves[inside, 1])
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
    texts = addresses.gather(at6).to_list()
    content = b"".join(_ipv6(texts[at : at + _PART]) for at in range(0, len(texts), _PART))
    halves = np.frombuffer(content, ">u8").astype(np.uint64).reshape(-1, 2)
    high, low = halves[:, 0], halves[:, 1]
    mapped = (high == 0) & (low >> np.uint64(32) == 0xFFFF)  # ::ffff:0:0/96 (RFC 4291 §2.5.5.2)
    six = ((high & low) != _ONES) & ~mapped
    return (
        np.concatenate([at4, at6[mapped]]), np.concatenate([keys, low[mapped].astype(np.uint32)]),
        at6[six], halves[six],
    )  # fmt: skip


_PART = 1000
"""Texts tried at once."""
_NONE = b"\xff" * 16  # a multicast address, which nobody sends from (RFC 4291 §2.7)
_ONES = np.uint64(2**64 - 1)


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


def _ipv6(texts: list[str]) -> bytes:
    """The 16 bytes of each address, _NONE for what is none. All are tried at once, as what is none is rare."""
    texts = [text.partition("%")[0] for text in texts] if any("%" in text for text in texts) else texts
    try:
        return b"".join(map(socket.inet_pton, repeat(socket.AF_INET6), texts))
    except (OSError, ValueError):
        if len(texts) == 1:
            return _NONE
        half = len(texts) // 2
        return _ipv6(texts[:half]) + _ipv6(texts[half:])


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

"""Countries by a range join, looked up before truncation."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import maxminddb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from privacy_metrics import geography
from privacy_metrics.marks import packed as as_bytes


def test_countries_agree_with_maxminddb_on_random_addresses(real: Path) -> None:
    path = real / "GeoLite2-Country-Test.mmdb"
    countries = geography.load(path)
    rng = random.Random(3)
    with maxminddb.open_database(path) as reader:
        networks = [network for network, _ in reader]
        addresses = {str(n[rng.randrange(min(n.num_addresses, 2**60))]) for n in networks for _ in range(5)}
        addresses |= {socket.inet_ntop(socket.AF_INET6, rng.randbytes(16)) for _ in range(2000)}
        addresses |= {socket.inet_ntop(socket.AF_INET, rng.randbytes(4)) for _ in range(2000)}
        # 6to4 and Teredo addresses, of which the database has what it has of the IPv4 address in them.
        for start in (b"\x20\x02", b"\x20\x01\0\0", bytes(12)):
            addresses |= {
                socket.inet_ntop(
                    socket.AF_INET6, (start + network.network_address.packed[-4:] + rng.randbytes(14))[:16]
                )
                for network in networks
                if network.version == 4 or not int(network.network_address) >> 32
            }
        v4 = sorted(a for a in addresses if ":" not in a)
        asked = sorted(addresses) + [f"::ffff:{a}" for a in v4]
        found = geography.resolve(pl.Series(asked), countries, ipv4_bits=16, ipv6_bits=32)
        expected = [geography._iso_code(reader.get(a.removeprefix("::ffff:"))) for a in asked]
    assert found["country"].to_list() == expected
    assert len(set(expected)) > 10


OCTETS = st.one_of(st.integers(0, 255), st.sampled_from([256, 300, 1000, "", "01", "00", "a", "+1", " 1", "1 "]))
GROUPS = st.one_of(
    st.integers(0, 0xFFFF).map(lambda n: f"{n:x}"), st.sampled_from(["", "0", "00FF", "ffff", "12345", "g", "é", "%e"])
)


def dotted(parts: list[int | str]) -> str:
    return ".".join(map(str, parts))


WRITTEN = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda a: a.exploded.upper()),
    st.ip_addresses(v=4).map(lambda a: f"::ffff:{a}"),
    st.ip_addresses(v=4).map(lambda a: f"0:0:0:0:0:ffff:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}"),
    st.lists(OCTETS, min_size=1, max_size=6).map(dotted),
    st.lists(GROUPS, min_size=1, max_size=10).map(":".join),
    st.text("0123456789abcdefABCDEF:.%x é\n\0", max_size=45),
    st.sampled_from(
        ["::", "::1", "1::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "fe80::1%eth0", "1::2::3", "www.example"]
    ),
    st.none(),
)


@settings(max_examples=5000 if os.environ.get("PROOF") == "1" else 300, deadline=None)
@given(st.lists(WRITTEN, max_size=30) | st.lists(st.lists(OCTETS, min_size=3, max_size=5).map(dotted), max_size=2))
def test_addresses_read_all_at_once_are_what_inet_pton_reads(addresses: list[str | None]) -> None:
    series = pl.Series(["x", *addresses], dtype=pl.String)[1:]
    at4, keys, at6, halves = geography.packed(series)
    found = dict(zip(at4.tolist(), (int(key).to_bytes(4) for key in keys), strict=True))
    found |= {n: int(high).to_bytes(8) + int(low).to_bytes(8) for n, (high, low) in zip(at6, halves, strict=True)}
    assert found == {n: bits for n, text in enumerate(addresses) if (bits := as_bytes(text or ""))}


def test_two_addresses_of_one_network_cannot_be_told_apart() -> None:
    found = geography.resolve(
        pl.Series(
            [
                "240.1.2.3",
                "240.1.99.98",
                "240.2.2.3",
                "3fff:1::1",
                "3fff:1:ffff::9",
                "3fff:2::1",
                "a.example",
                "::ffff:240.1.7.7",
            ]
        ),
        geography.without_countries(),
        ipv4_bits=16,
        ipv6_bits=32,
    )["network"].to_list()
    assert found[0] == found[1] == found[7] != found[2]
    assert found[3] == found[4] != found[5]
    assert found[6] == 0


@pytest.mark.parametrize(("size", "row"), [(24, "0abcde 123456"), (28, "abcdef 70 123456"), (32, "0abcdef0 12345678")])
def test_a_tree_is_read_in_every_size_of_record(size: int, row: str) -> None:
    (first, second), (_, last) = geography._tree(2 * bytes.fromhex(row) + b"more", 2, size).tolist()
    # Of 28 bits, the byte in the middle has the highest four of both.
    assert (first, second, last) == {
        24: (0x0ABCDE, 0x123456, 0x123456), 28: (0x7ABCDEF, 0x0123456, 0x0123456),
        32: (0x0ABCDEF0, 0x12345678, 0x12345678),
    }[size]  # fmt: skip


def test_a_database_of_ipv4_alone_and_networks_finer_than_64_bits(tmp_path: Path) -> None:
    written = {
        "SE": "198.51.100.0/25",
        "FI": "198.51.100.128/25",
        "NO": "2001:db8::8000:0:0:0/65",
        "DK": "2001:db8::/66",
    }
    for version in (4, 6):
        writer = MMDBWriter(version, ipv4_compatible=version == 6)
        for code, network in written.items():
            if version == 6 or ":" not in network:
                writer.insert_network(IPSet([network]), {"country": {"iso_code": code}})
        writer.to_db_file(str(tmp_path / "a.mmdb"))
        countries = geography.load(tmp_path / "a.mmdb")
        asked = [
            "198.51.100.1",
            "198.51.100.200",
            "198.51.101.1",
            "2001:db8::9000:0:0:1",
            "2001:db8::1",
            "2001:db8::4000:0:0:0",
        ]
        found = geography.resolve(pl.Series(asked), countries, ipv4_bits=16, ipv6_bits=32)["country"].to_list()
        assert found == ["SE", "FI", "unknown", *(["NO", "DK", "unknown"] if version == 6 else 3 * ["unknown"])]


def test_a_tree_that_leads_back_to_itself_is_damaged(tmp_path: Path) -> None:
    writer = MMDBWriter(6)
    writer.insert_network(IPSet(["2001:db8::/32"]), {"country": {"iso_code": "SE"}})
    writer.to_db_file(str(tmp_path / "a.mmdb"))
    content = (tmp_path / "a.mmdb").read_bytes()
    (tmp_path / "a.mmdb").write_bytes(bytes(6) + content[6:])
    with pytest.raises(geography.CountriesError, match="not readable as a MaxMind DB"):
        geography.load(tmp_path / "a.mmdb")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mmdb"
    with pytest.raises(geography.CountriesError, match="no such file"):
        geography.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(geography.CountriesError, match="not readable as a MaxMind DB"):
        geography.load(path)

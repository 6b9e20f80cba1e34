"""Countries by a range join, looked up before truncation."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import maxminddb
import polars as pl
import pytest

from privacy_metrics import geography


def test_countries_agree_with_maxminddb_on_random_addresses(real: Path) -> None:
    path = real / "GeoLite2-Country-Test.mmdb"
    countries = geography.load(path)
    rng = random.Random(3)
    with maxminddb.open_database(path) as reader:
        networks = [network for network, _ in reader]
        addresses = {str(n[rng.randrange(min(n.num_addresses, 2**60))]) for n in networks for _ in range(5)}
        addresses |= {socket.inet_ntop(socket.AF_INET6, rng.randbytes(16)) for _ in range(2000)}
        addresses |= {socket.inet_ntop(socket.AF_INET, rng.randbytes(4)) for _ in range(2000)}
        v4 = sorted(a for a in addresses if ":" not in a)
        asked = sorted(addresses) + [f"::ffff:{a}" for a in v4]
        found = geography.resolve(pl.Series(asked), countries, ipv4_bits=16, ipv6_bits=32)
        expected = [geography._iso_code(reader.get(a.removeprefix("::ffff:"))) for a in asked]
    assert found["country"].to_list() == expected
    assert len(set(expected)) > 10


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


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mmdb"
    with pytest.raises(geography.CountriesError, match="no such file"):
        geography.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(geography.CountriesError, match="not readable as a MaxMind DB"):
        geography.load(path)

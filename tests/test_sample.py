"""The sample: deterministic, with nobody's addresses, and with what a report must survive."""

from __future__ import annotations

import gzip
import ipaddress
import re
from datetime import date
from pathlib import Path

import maxminddb
import polars as pl
import pytest

from privacy_metrics import sample
from privacy_metrics.requests import OUTCOMES, RIGHTS, read_register

NOBODYS = [
    ipaddress.ip_network(n)
    for n in (
        "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001:db8::/32",
        "3fff::/20", "2001:2::/48",
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "made"
    sample.make_sample(folder, periods=("2026Q3",), lines=20_000)
    return folder


def lines(folder: Path) -> list[bytes]:
    return [text for p in sorted((folder / "logs").iterdir()) for text in gzip.decompress(p.read_bytes()).split(b"\n")]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(small: Path, tmp_path: Path) -> None:
    sample.make_sample(tmp_path / "again", periods=("2026Q3",), lines=20_000)
    sample.make_sample(tmp_path / "other", periods=("2026Q3",), lines=20_000, seed=5)
    names = sorted(str(p.relative_to(small)) for p in small.rglob("*") if p.is_file())
    # The database notes when it was built, and nothing else may differ.
    kept = [name for name in names if not name.endswith(".mmdb")]
    assert [n for n in kept if (small / n).read_bytes() != (tmp_path / "again" / n).read_bytes()] == []
    # Vendors, assets and the like are the same company's.
    drawn = [n for n in kept if not n.startswith("registers/")]
    assert [n for n in drawn if (small / n).read_bytes() == (tmp_path / "other" / n).read_bytes()] == []


def test_every_address_is_in_a_range_that_belongs_to_nobody(small: Path) -> None:
    found = {text.split(b" ", 1)[0].decode() for text in lines(small) if re.match(rb"^[0-9a-f.:]+ - ", text)}
    addresses = [ipaddress.ip_address(a) for a in found]
    assert {a.version for a in addresses} == {4, 6}
    outside = [a for a in addresses if not any(a.version == n.version and a in n for n in NOBODYS)]
    assert outside == []


def test_the_database_knows_the_addresses_and_about_sixty_countries(small: Path) -> None:
    found = {text.split(b" ", 1)[0].decode() for text in lines(small) if re.match(rb"^[0-9a-f.:]+ - ", text)}
    with maxminddb.open_database(str(small / "countries.mmdb")) as database:
        countries = [(database.get(address) or {}).get("country", {}).get("iso_code") for address in found]
        everywhere = {record["country"]["iso_code"] for _, record in database}
    assert countries.count(None) < len(countries) / 50
    assert 55 <= len(everywhere) <= 80
    assert {person["country"] for person in sample.RARE} <= everywhere


def test_the_log_holds_the_canaries_crawlers_and_broken_lines(small: Path) -> None:
    text = b"\n".join(lines(small))
    for canary in sample.CANARIES.values():
        assert canary.encode() in text
    for person in sample.RARE:
        assert person["agent"].encode() in text
    assert b"bot" in text.lower()


def test_the_register_holds_every_right_outcome_and_state_that_matters() -> None:
    folder = Path(__file__).parents[1] / "sample"
    if not (folder / "requests.csv").is_file():
        pytest.skip("no sample: make it with privacy-metrics sample sample")
    register = read_register(folder / "requests.csv", zone="Europe/Helsinki", as_of=sample.AS_OF)
    assert register.excluded.height == 0
    rows = register.requests
    assert set(rows["right"]) >= set(RIGHTS) - {"automated_decision", "complaint", "other"}
    assert set(rows["outcome"].drop_nulls()) == set(OUTCOMES)
    assert set(rows["role"]) == {"controller", "processor"}
    assert rows.filter(pl.col("extension_notified_on").is_not_null()).height > 3
    open_ = rows.filter(pl.col("state") != "closed")
    assert open_.height > 20
    assert open_.filter(pl.col("received_on") < date(2026, 8, 1)).height > 0

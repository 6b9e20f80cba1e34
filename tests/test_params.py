"""Parameters and periods: what is accepted, and errors that name file and field."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy_metrics.params import Params, ParamsError, Period

COMPANY = """
organisation: {name: Example, country: FI, time_zone: Europe/Helsinki}
sources:
  technical: [{path: access.log}]
  countries: {none: true}
"""


def write(folder: Path, **files: str) -> Path:
    params = folder / "params"
    params.mkdir()
    for name, text in files.items():
        (params / f"{name}.yaml").write_text(text, "utf-8")
    return params


def test_a_few_lines_are_enough(tmp_path: Path) -> None:
    params = Params.load(write(tmp_path, company=COMPANY))
    assert params.disclosure.threshold == 10
    assert params.root == tmp_path
    assert {t.name for t in params.tables} >= {"sessions_by_country", "hits_by_area"}


def test_one_field_of_the_reports_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    params = Params.load(write(tmp_path, company=COMPANY, reports="reports: {history: 2}"))
    assert params.reports.history == 2
    assert params.reports.usage.notebooks == ["usage_trends"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": COMPANY, "b": "disclosure: {threshold: 1}"}, r"params/b.yaml: disclosure.threshold: is 1; .*2"),
        ({"a": COMPANY, "b": "disclosure: {treshold: 5}"}, r"params/b.yaml: disclosure.treshold: no such parameter"),
        ({"a": COMPANY, "b": "organisation: {}"}, r"params/b.yaml: organisation stands in params/a.yaml too"),
        ({"a": COMPANY.replace("FI", "Finland")}, r"params/a.yaml: organisation.country: is 'Finland'"),
        ({"a": COMPANY.replace("Europe/Helsinki", "Helsinki")}, r"time_zone: is 'Helsinki'; .* IANA"),
        ({"a": COMPANY.replace("{none: true}", "{}")}, r"sources.countries: give either mmdb: FILE or none: true"),
        ({"a": COMPANY, "b": "x: [1"}, r"params/b.yaml, line \d+: not readable as YAML"),
        ({"a": COMPANY, "b": "- 1"}, r"params/b.yaml: holds a list"),
        ({"a": "sources: {}"}, r"organisation: is missing"),
        ({}, r"holds no \*.yaml file"),
    ],
)
def test_a_fault_is_told_with_its_file_and_field(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        Params.load(write(tmp_path, **files))


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such folder"):
        Params.load(tmp_path / "nothing")


@given(st.integers(1971, 2199), st.sampled_from([1, 3, 12]), st.integers(0, 11))
def test_a_period_parses_back_and_follows_the_one_before(year: int, months: int, offset: int) -> None:
    period = Period(date(year, 1 + offset // months * months, 1), months)
    assert Period.parse(period.label) == period
    assert period.previous().end == period.first
    assert period.previous(3).previous(-3) == period
    assert len(period.days) == (period.end - period.first).days


@pytest.mark.parametrize("text", ["", "2026Q5", "2026-13", "26Q3", "2026Q3x", "2026-9", "9999", "../2026"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ParamsError, match="period: "):
        Period.parse(text)


def test_a_period_is_bounded_by_local_midnight() -> None:
    start, end = Period.parse("2026Q1").bounds("Europe/Helsinki")
    assert end - start == 90 * 86400 - 3600  # the clock goes forward on 29 March 2026

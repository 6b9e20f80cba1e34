"""An independent attacker: it recovers nothing from what we publish, and does where a protection is off."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attacker import (
    Contradiction,
    Knowledge,
    Value,
    attack,
    changes,
    complete_groups,
    read,
    recovered,
    told_by_a_lone_contributor,
)
from company import company, line
from privacy_metrics import requests, workbook
from privacy_metrics.deadlines import Calendar
from privacy_metrics.disclosure import Policy, control
from privacy_metrics.params import Params, Period
from privacy_metrics.reports import export_releases

ROOT = Path(__file__).parents[1]
PROOF = os.environ.get("PROOF") == "1"
QUARTERS = ("2026Q1", "2026Q2", "2026Q3")

Rows = dict[tuple[str, ...], int | tuple[int | None, ...] | None]


def publish(folder: Path, period: str, **tables: tuple[str, str, Rows]) -> Path:
    """A published folder: for each table its dimensions, its measures, and each cell's values (None: withheld)."""
    (folder / "data").mkdir(parents=True)
    resources = []
    for name, (dimensions, measures, rows) in tables.items():
        fields, counts = dimensions.split(), measures.split()
        with (folder / "data" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow([*fields, *counts, "withheld"])
            for cell, value in rows.items():
                values = value if isinstance(value, tuple) else (value,) * len(counts)
                out.writerow([*cell, *("" if v is None else v for v in values), str(None in values).lower()])
        schema = [{"name": f, "type": "string"} for f in fields] + [{"name": m, "type": "integer"} for m in counts]
        resources.append(
            {
                "path": f"{name}.csv",
                "title": name,
                "description": f"{period}: cells of at least 10 people, internal audience.",
                "schema": {"fields": [*schema, {"name": "withheld", "type": "boolean"}], "primaryKey": fields},
            }
        )
    (folder / "data" / "datapackage.json").write_text(json.dumps({"resources": resources}), "utf-8")
    return folder


def one(**values: int | None) -> Rows:
    """A table of one dimension; `_` in a category's name is a space."""
    return {(category.replace("_", " "),): value for category, value in values.items()}


def told(values: list[Value]) -> dict[tuple[str, tuple[str, ...], str], int]:
    """The values that were recovered exactly."""
    return {(v.table, v.cell, v.measure): v.low for v in values if v.low == v.high}


# --- What is published of the sample, and of made companies -------------------------------------------------------


def tables_of(root: Path, out: Path, periods: Sequence[str] = QUARTERS) -> list[Path]:
    """The data files of three quarters, or other periods, published one after the other."""
    params = Params.load(root / "params")
    folders = []
    for period in periods:
        workbook.collect(params, Period.parse(period))
        book = workbook.open_workbook(period, str(root / "params"))
        export_releases([book[name] for name in book], out / period, "Published")
        workbook.publish(book)
        folders.append(out / period)
    return folders


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The sample's three quarters as published: the data files, and for the proof the reports too."""
    if not (ROOT / "sample" / "requests.csv").is_file():
        pytest.skip("no sample: make it with privacy-metrics sample sample")
    root = tmp_path_factory.mktemp("published")
    shutil.copytree(ROOT / "params", root / "params")
    (root / "sample").symlink_to(ROOT / "sample")
    if not PROOF:
        return tables_of(root, root / "data")
    for quarter in QUARTERS:
        subprocess.run([sys.executable, "-m", "privacy_metrics", "report", quarter], cwd=root, check=True)
    return [root / "outputs" / quarter for quarter in QUARTERS]


def test_nothing_is_recovered_from_the_samples_three_quarters(quarters: list[Path]) -> None:
    tried = attack(quarters)
    assert tried.tried > 500
    # The cases of a promise are counted once for each layer of rules; inside, nothing of these counts is withheld.
    layered = {"promises_people", "promises_things"}
    assert {rule.split(": ")[1] for rule in tried.dropped} <= layered
    for folder in quarters:
        assert all(
            value is not None
            for t in layered
            for cell in read(folder).tables[t].cells.values()
            for value in cell.values()
        )
    assert beyond_exact_counts(tried.found) == []


def test_requests_told_to_the_public_give_nothing_away(tmp_path: Path) -> None:
    if not (ROOT / "sample" / "requests.csv").is_file():
        pytest.skip("no sample: make it with privacy-metrics sample sample")
    first, last, as_of = date(2026, 7, 1), date(2026, 9, 30), date(2026, 10, 1)
    register = requests.read_register(ROOT / "sample" / "requests.csv", as_of=as_of)
    tables = requests.request_tables(register, Calendar("FI"), first, last, as_of, "2026Q3")
    told = [table for table in tables if table.name not in requests.ABOUT_NOBODY]
    export_releases(control(told, Policy(10, "public")).releases.values(), tmp_path / "2026Q3", "Requests")
    tried = attack([tmp_path / "2026Q3"])
    assert tried.tried > 500
    assert (tried.found, tried.dropped) == ([], [])


def beyond_exact_counts(found: list[Value]) -> list[Value]:
    """Without the parts of an exact count (of how requests were handled, for the internal audience) that is narrow by
    itself, where no more is known of them than that: from none to all of it."""

    def bounded(value: Value) -> bool:
        if not value.table.startswith("requests_"):
            return False
        cells = read(value.folder).tables[value.table].cells
        return value.low == 0 and cells["Total", *value.cell[1:]][value.measure] == value.high

    return [value for value in found if not bounded(value)]


def test_the_tables_of_the_sample_withstand_one_by_one(quarters: list[Path]) -> None:
    alone = attack(quarters, Knowledge(other_tables=False, other_periods=False))
    assert alone.tried > 500
    assert beyond_exact_counts(alone.found) == []


def test_the_samples_other_files_tell_no_withheld_value(quarters: list[Path]) -> None:
    """Parquet files; for the proof also the pages, their charts and the notebooks."""
    with_files, without = (
        attack(quarters, Knowledge(other_tables=False, other_files=other_files)) for other_files in (True, False)
    )
    assert with_files.found == without.found


@pytest.mark.parametrize("seed", range(6 if PROOF else 1))
def test_nothing_is_recovered_from_a_random_company(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines = [
        line(
            moment=f"{chance.randint(1, 28):02}/{month}/2026:{chance.randint(8, 20):02}:00:00 +0200",
            address=f"{chance.randint(240, 243)}.{int(chance.paretovariate(0.6)) % 200}.1.1",
            path="/" + "abcdefgh"[min(7, int(chance.paretovariate(0.8)) - 1)],
            user=f"u{int(chance.paretovariate(0.5)) % 300}",
        )
        for month in ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep")
        for _ in range(400)
    ]
    company(tmp_path, lines)
    tried = attack(tables_of(tmp_path, tmp_path))
    assert tried.tried > 0
    assert tried.found == []


FEW_TABLES = """
tables:
  - {name: sessions_by_week, title: Weeks, dimensions: [week], measures: [sessions, hits, people]}
  - {name: sessions_by_month, title: Months, dimensions: [month], measures: [sessions, hits, people]}
  - {name: sessions_by_weekday, title: Weekdays, dimensions: [weekday], measures: [sessions]}
  - {name: sessions_by_entry, title: Entries, dimensions: [entry_area], measures: [sessions, people]}
  - {name: hits_by_area, title: Areas, dimensions: [area], measures: [hits, people]}
  - {name: steps_by_area, title: Steps, dimensions: [from_area, to_area], measures: [hits]}
"""


@pytest.mark.parametrize(("seed", "more"), [(0, FEW_TABLES), *((n, "") for n in range(1, 5 if PROOF else 1))])
def test_nothing_is_recovered_from_a_quarter_after_its_months(tmp_path: Path, seed: int, more: str) -> None:
    chance = random.Random(seed)
    # At all hours: some sessions are over the midnight between two months.
    lines = [
        line(
            moment=f"{chance.choice((1, 1, 5, 12, 20, last, last)):02}/{month}/2026:"
            f"{chance.choice((0, 9, 14, 23, 23)):02}:{chance.choice((1, 30, 58)):02}:00 +0300",
            address=f"240.{int(chance.paretovariate(0.6)) % 200}.1.1",
            path="/" + "abcdefgh"[min(7, int(chance.paretovariate(0.8)) - 1)],
            user=f"u{int(chance.paretovariate(0.5)) % 300}",
        )
        for month, last in (("Jul", 31), ("Aug", 31), ("Sep", 30))
        for _ in range(300)
    ]
    company(tmp_path, lines, more=more)
    tried = attack(tables_of(tmp_path, tmp_path, ("2026-07", "2026-08", "2026-09", "2026Q3")))
    assert tried.tried > 100
    assert tried.found == []


# --- It can: each protection switched off in turn ------------------------------------------------------------------


def test_without_the_complementary_step_a_single_withheld_cell_is_subtracted(tmp_path: Path) -> None:
    folder = publish(
        tmp_path / "a",
        "2026Q3",
        sessions_by_x=("device os", "sessions", {
            ("phone", "iOS"): 40, ("phone", "KaiOS"): None, ("phone", "Total"): 47,
            ("tablet", "iOS"): 30, ("tablet", "KaiOS"): 12, ("tablet", "Total"): 42,
            ("Total", "iOS"): 70, ("Total", "KaiOS"): 19, ("Total", "Total"): 89,
        }),
    )  # fmt: skip
    found = recovered([folder])
    assert told(found) == {("sessions_by_x", ("phone", "KaiOS"), "sessions"): 7}


def test_a_complement_too_small_is_no_protection(tmp_path: Path) -> None:
    folder = publish(
        tmp_path / "a", "2026Q3", sessions_by_x=("channel", "sessions", one(a=50, b=None, c=None, Total=57))
    )
    assert [(v.cell, v.low, v.high) for v in recovered([folder])] == [(("b",), 1, 6), (("c",), 1, 6)]


def test_a_wide_complement_protects(tmp_path: Path) -> None:
    folder = publish(
        tmp_path / "a", "2026Q3", sessions_by_x=("channel", "sessions", one(a=50, b=None, c=None, Total=90))
    )
    tried = attack([folder])
    assert (tried.tried, tried.found) == (2, [])
    assert recovered([folder], required=100) != []


def test_without_linking_tables_that_share_a_margin_give_each_other_away(tmp_path: Path) -> None:
    rows = {
        ("web", "de"): 60, ("web", "fr"): 30, ("web", "Total"): 90,
        ("app", "de"): None, ("app", "fr"): None, ("app", "Total"): None,
        ("box", "de"): None, ("box", "fr"): None, ("box", "Total"): None,
        ("Total", "de"): 100, ("Total", "fr"): 60, ("Total", "Total"): 160,
    }  # fmt: skip
    folder = publish(
        tmp_path / "a",
        "2026Q3",
        sessions_by_device_and_language=("device language", "sessions", rows),
        sessions_by_device=("device", "sessions", one(web=90, app=63, box=7, Total=160)),
    )
    assert told(recovered([folder])) == {
        ("sessions_by_device_and_language", ("app", "Total"), "sessions"): 63,
        ("sessions_by_device_and_language", ("box", "Total"), "sessions"): 7,
    }
    assert attack([folder], Knowledge(other_tables=False)).found == []


def test_without_linking_versions_give_their_browsers_away(tmp_path: Path) -> None:
    folder = publish(
        tmp_path / "a",
        "2026Q3",
        sessions_by_browser=("browser", "sessions", one(Firefox=100, Lynx=None, Opera=None, Total=144)),
        sessions_by_browser_version=(
            "browser_version",
            "sessions",
            one(Firefox_139=None, Firefox_140=70, Lynx_2=None, Opera_118=40, Total=144),
        ),
    )
    assert told(recovered([folder])) == {
        ("sessions_by_browser", ("Lynx",), "sessions"): 4,
        ("sessions_by_browser", ("Opera",), "sessions"): 40,
        ("sessions_by_browser_version", ("Firefox 139",), "sessions"): 30,
        ("sessions_by_browser_version", ("Lynx 2",), "sessions"): 4,
    }
    assert attack([folder], Knowledge(other_tables=False)).found == []


def test_without_linking_moves_give_entries_and_exits_away(tmp_path: Path) -> None:
    folder = publish(
        tmp_path / "a",
        "2026Q3",
        sessions_by_entry=("entry_area", "sessions", one(Home=100, Docs=None, Help=None, Total=160)),
        sessions_by_exit=("exit_area", "sessions", one(Home=70, Docs=None, Help=None, Total=160)),
        steps_by_area=("from_area to_area", "hits", {
            ("Home", "Home"): 0, ("Home", "Docs"): 40, ("Home", "Total"): 40,
            ("Docs", "Home"): 10, ("Docs", "Docs"): 0, ("Docs", "Total"): 10,
            ("Total", "Home"): 10, ("Total", "Docs"): 40, ("Total", "Total"): 50,
        }),
        hits_by_area=("area", "hits", one(Home=120, Docs=97, Help=8, Total=225)),
    )  # fmt: skip
    narrow = {(v.table, v.cell): (v.low, v.high) for v in recovered([folder])}
    # Nobody moves to Help, so what enters there leaves there: at most its 8 page views.
    assert narrow["sessions_by_entry", ("Help",)] == narrow["sessions_by_exit", ("Help",)] == (3, 8)
    assert narrow["sessions_by_entry", ("Docs",)] == (52, 57)
    assert attack([folder], Knowledge(other_tables=False)).found == []


def test_without_other_quarters_months_are_had_from_their_quarter(tmp_path: Path) -> None:
    spec = ("channel", "requests")
    folders = [
        publish(tmp_path / "m7", "2026-07", requests_by_channel=(*spec, one(mail=40, fax=None, web=None, Total=80))),
        publish(tmp_path / "m8", "2026-08", requests_by_channel=(*spec, one(mail=50, fax=15, web=30, Total=95))),
        publish(tmp_path / "m9", "2026-09", requests_by_channel=(*spec, one(mail=45, fax=12, web=33, Total=90))),
        publish(tmp_path / "q3", "2026Q3", requests_by_channel=(*spec, one(mail=135, fax=32, web=98, Total=265))),
    ]
    assert told(recovered(folders)) == {
        ("requests_by_channel", ("fax",), "requests"): 5,
        ("requests_by_channel", ("web",), "requests"): 35,
    }
    assert attack(folders, Knowledge(other_periods=False)).found == []


def test_a_session_over_midnight_is_reckoned_with(tmp_path: Path) -> None:
    spec = ("channel", "sessions")
    folders = [
        publish(tmp_path / "m7", "2026-07", sessions_by_x=(*spec, one(mail=40, fax=None, web=None, Total=80))),
        publish(tmp_path / "m8", "2026-08", sessions_by_x=(*spec, one(mail=50, fax=15, web=30, Total=95))),
        publish(tmp_path / "m9", "2026-09", sessions_by_x=(*spec, one(mail=45, fax=12, web=33, Total=90))),
        publish(tmp_path / "q3", "2026Q3", sessions_by_x=(*spec, one(mail=134, fax=32, web=97, Total=263))),
    ]
    # Two sessions are in two months; of mail it is one.
    assert [(v.cell, v.low, v.high) for v in recovered(folders)] == [(("fax",), 5, 6), (("web",), 34, 35)]


def test_whom_a_part_has_in_another_category_from_midnight_is_no_contradiction(tmp_path: Path) -> None:
    def rows(**values: tuple[int | None, int | None]) -> Rows:
        return {(name,): value for name, value in values.items()}

    spec = ("entry_area", "sessions people")
    folders = [
        publish(tmp_path / "m7", "2026-07", t=(*spec, rows(Home=(40, 30), Total=(40, 30)))),
        publish(tmp_path / "m8", "2026-08", t=(*spec, rows(Home=(50, 30), Total=(50, 30)))),
        publish(tmp_path / "m9", "2026-09", t=(*spec, rows(Home=(45, 30), Docs=(12, 12), Total=(57, 40)))),
        # Of the twelve who are in Docs when September begins, two entered at Home.
        publish(tmp_path / "q3", "2026Q3", t=(*spec, rows(Home=(135, 80), Docs=(10, 10), Total=(145, 85)))),
    ]
    assert attack(folders).dropped == []
    # Without a session over midnight nobody is.
    folders[-1] = publish(tmp_path / "q4", "2026Q3", t=(*spec, rows(Home=(137, 80), Docs=(10, 10), Total=(147, 85))))
    assert "2026Q3: t: people of its parts" in attack(folders).dropped


def test_without_earlier_versions_a_rerun_with_late_data_gives_away_what_both_withhold(tmp_path: Path) -> None:
    spec = ("channel", "requests")
    folders = [
        publish(tmp_path / "v1", "2026Q3", t=(*spec, one(fax=None, mail=None, web=50, app=60, Total=180))),
        publish(tmp_path / "v2", "2026Q3", t=(*spec, one(fax=None, mail=64, web=None, app=63, Total=183))),
    ]
    found = recovered(folders)
    assert {(v.folder.name, v.cell[0]): (v.low, v.high) for v in found} == {
        ("v1", "fax"): (6, 6),
        ("v2", "fax"): (6, 6),
        ("v1", "mail"): (64, 64),
        ("v2", "web"): (50, 50),
    }
    assert attack(folders, Knowledge(earlier_versions=False)).found == []


def test_two_versions_that_publish_a_cell_tell_of_the_few_who_came_late(tmp_path: Path) -> None:
    earlier = publish(
        tmp_path / "v1", "2026Q3", t=("country", "sessions people", {("SE",): (90, 40), ("FI",): (70, 30)})
    )
    later = publish(tmp_path / "v2", "2026Q3", t=("country", "sessions people", {("SE",): (94, 42), ("FI",): (70, 30)}))
    assert changes(earlier, later) == [("t", ("SE",), "people", 40, 42)]
    assert changes(earlier, earlier) == []


@pytest.mark.parametrize(
    "place", ["usage.html chart", "usage.html table", "notebook", "parquet", "history of another quarter"]
)
def test_a_withheld_value_that_stands_in_another_file_is_found(tmp_path: Path, place: str) -> None:
    rows = one(FI=70, SE=40, AX=None, EE=None, Total=150)
    folder = publish(tmp_path / "2026Q3", "2026Q3", sessions_by_country=("country", "sessions", rows))
    folders = [folder]
    assert recovered([folder]) == []
    records = [{"category": c, "value": v} for c, v in (("FI", 70), ("SE", 40), ("AX", 4))]
    if place == "usage.html chart":
        text = f'<script type="application/json" id="spec-1">{json.dumps({"data": {"values": records}})}</script>'
        (folder / "usage.html").write_text(text, "utf-8")
    elif place == "usage.html table":
        cells = "".join(f"<tr><td>{r['category']}</td><td>{r['value']}</td></tr>" for r in records)
        (folder / "usage.html").write_text(f"<table><tr><th>Country</th><th>Sessions</th></tr>{cells}</table>", "utf-8")
    elif place == "notebook":
        output = {"data": {"application/vnd.privacy-metrics.vegalite+json": {"data": {"values": records}}}}
        (folder / "usage.ipynb").write_text(json.dumps({"cells": [{"outputs": [output]}]}), "utf-8")
    elif place == "parquet":
        frame = pl.DataFrame({"country": ["FI", "SE", "AX", "EE"], "sessions": [70, 40, 4, None]})
        frame.write_parquet(folder / "data" / "sessions_by_country.parquet")
    else:
        history = publish(tmp_path / "2026Q4", "2026Q4", t=("country", "hits", one(FI=1, Total=1)))
        shown = [r | {"x": "2026Q3"} for r in records] + [{"category": "FI", "value": 71, "x": "2026Q4"}]
        text = f'<script type="application/json">{json.dumps({"data": {"values": shown}})}</script>'
        (history / "usage.html").write_text(text, "utf-8")
        folders.append(history)
    assert told(recovered(folders)) == {
        ("sessions_by_country", ("AX",), "sessions"): 4,
        ("sessions_by_country", ("EE",), "sessions"): 36,
    }


ROWS = {"a": 900, "b": None, "c": None, "d": None, "Total": 1900}


@pytest.mark.parametrize(
    ("measures", "said", "least", "most"),
    [
        ("low high width required", (100, 900, 800, 40), 391, 400),  # a tenth of the value
        ("low high width", (395, 399, 4), 395, 399),  # closer than the tables tell
        ("low high width times_required", (360, 440, 80, 2), 161, 400),  # 80 is twice what is required, not five times
    ],
)
def test_what_is_said_of_the_most_exposed_values_is_turned_against_them(
    tmp_path: Path, measures: str, said: tuple[int, ...], least: int, most: int
) -> None:
    tables: dict[str, tuple[str, str, Rows]] = {
        "t": ("c", "sessions", one(**ROWS)),
        "audit_exposed": ("cell", measures, {("c b: sessions",): said}),
    }
    folder = publish(tmp_path / "a", "2026Q3", **tables)
    values = {v.cell[0]: (v.low, v.high) for v in attack([folder], required=10**6).values}
    assert values["b"] == (max(least, said[0]), min(most, said[1]))
    blind = {v.cell[0]: (v.low, v.high) for v in attack([folder], Knowledge(audit=False), required=10**6).values}
    assert blind["b"] == (1, 998)


def test_the_share_that_is_shown_tells_a_total_that_is_withheld(tmp_path: Path) -> None:
    shown = one(a=900, b=None, c=None, Total=None)
    audit = ("table", "shown percent_shown", {("t",): (900, 97)})
    folder = publish(tmp_path / "a", "2026Q3", t=("c", "sessions", shown), audit_tables=audit)
    values = {v.cell[0]: (v.low, v.high) for v in attack([folder], required=10**6).values}
    assert values["Total"] == (919, 927)  # 97 %: 900 of at most 927, and of more than 918


def test_a_year_to_date_is_its_quarters(tmp_path: Path) -> None:
    spec = ("channel", "sessions people")

    def rows(**values: tuple[int | None, int | None]) -> Rows:
        return {(name,): value for name, value in values.items()}

    folders = [
        publish(tmp_path / "q1", "2026Q1", t=(*spec, rows(mail=(80, 40), fax=(70, 30), web=(60, 30), Total=(210, 99)))),
        publish(
            tmp_path / "q2", "2026Q2",
            t=(*spec, rows(mail=(80, 40), fax=(None, None), web=(None, None), Total=(180, 90))),
        ),
        publish(tmp_path / "y", "2026", t=(*spec, rows(mail=(160, 75), fax=(76, 31), web=(154, 70), Total=(390, 170)))),
    ]  # fmt: skip
    assert told(recovered(folders)) == {
        ("t", ("fax",), "sessions"): 6,
        ("t", ("web",), "sessions"): 94,
    }
    assert attack(folders, Knowledge(other_periods=False)).found == []


def test_a_lone_contributor_learns_what_is_withheld_beside_it(tmp_path: Path) -> None:
    two = publish(tmp_path / "two", "2026Q3", t=("c", "sessions", one(a=50, b=None, c=None, Total=90)))
    three = publish(tmp_path / "three", "2026Q3", t=("c", "sessions", one(a=50, b=None, c=None, d=None, Total=120)))
    assert told_by_a_lone_contributor([two]) == [[("t", ("b",), "sessions"), ("t", ("c",), "sessions")]]
    assert told_by_a_lone_contributor([three]) == []


def test_a_group_all_of_which_is_in_one_category_is_told(tmp_path: Path) -> None:
    rows = {
        ("men", "ill"): 30, ("men", "well"): 0, ("men", "Total"): 30,
        ("women", "ill"): 12, ("women", "well"): 20, ("women", "Total"): 32,
    }  # fmt: skip
    folder = publish(tmp_path / "a", "2026Q3", t=("sex state", "requests", rows))
    assert complete_groups(folder) == [("t", ("men", "Total"), "ill")]


def test_that_few_people_are_in_each_withheld_cell_is_knowledge_too(tmp_path: Path) -> None:
    rows: Rows = {("FI",): (50, 30), ("AX",): (None, None), ("EE",): (None, None), ("Total",): (90, 48)}
    folder = publish(tmp_path / "a", "2026Q3", t=("country", "sessions people", rows))
    assert attack([folder]).found == []
    few = attack([folder], Knowledge(few_in_each=True)).found
    assert {(v.cell[0], v.measure): (v.low, v.high) for v in few} == {
        ("AX", "people"): (9, 9),
        ("EE", "people"): (9, 9),
    }


def test_figures_that_can_not_be_true_are_no_success(tmp_path: Path) -> None:
    folder = publish(tmp_path / "a", "2026Q3", t=("c", "sessions", one(a=50, b=None, Total=40)))
    with pytest.raises(Contradiction):
        attack([folder])


# Here: the same with the protection's own switches (no linking, no complementary step, nothing known of before): a
# company's tables released with one of them off are exported, and the attacker must recover the planted cell.


# --- Its arithmetic ------------------------------------------------------------------------------------------------


@settings(max_examples=300 if PROOF else 30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=6, max_size=6), st.sets(st.integers(0, 11), min_size=2, max_size=7))
def test_its_intervals_are_those_of_trying_every_table(values: list[int], hidden: set[int]) -> None:
    grid = [values[:3], values[3:]]
    full = {(f"r{i}", f"c{j}"): grid[i][j] for i in range(2) for j in range(3)}
    table = margins(full)
    withheld = [cell for place, cell in enumerate(table) if place in hidden and cell != ("Total", "Total")]
    shown = {cell: None if cell in withheld else value for cell, value in table.items()}
    fitting = []
    for guess in itertools.product(range(sum(values) + 1), repeat=5):
        # The sixth cell is what is left of the grand total, which is published.
        rest = sum(values) - sum(guess)
        if rest >= 0:
            tried = margins(dict(zip(full, (*guess, rest), strict=True)))
            if all(shown[cell] in (None, value) for cell, value in tried.items()):
                fitting.append(tried)
    closed = {axis: any(shown[c] == 0 for c in shown if c[1 - axis] == "Total" != c[axis]) for axis in (0, 1)}
    single = [c for c in withheld if c.count("Total") == 1]
    occurs = [c for c in single if not closed[0 if c[1] == "Total" else 1]]
    fitting = [t for t in fitting if all(t[c] > 0 for c in occurs)]
    with tempfile.TemporaryDirectory() as root:
        folder = publish(Path(root) / "a", "2026Q3", t=("row column", "requests", shown))
        if not fitting:  # a margin of 0 was withheld, against what the attacker takes for known
            with pytest.raises(Contradiction):
                attack([folder], required=10**6)
            return
        found = attack([folder], required=10**6)
    assert {v.cell: (v.low, v.high) for v in found.found} == {
        cell: (min(t[cell] for t in fitting), max(t[cell] for t in fitting)) for cell in withheld
    }


def margins(cells: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    rows, columns = (sorted({cell[axis] for cell in cells}) for axis in (0, 1))
    table = dict(cells)
    table |= {(r, "Total"): sum(cells[r, c] for c in columns) for r in rows}
    table |= {("Total", c): sum(cells[r, c] for r in rows) for c in columns}
    return table | {("Total", "Total"): sum(cells.values())}

"""Collecting again reads what is new, and gives byte for byte what collecting from scratch gives."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from company import FIREFOX, company, line
from privacy_metrics import collection, technical, workbook
from privacy_metrics.params import Params, Period, WorkbookError

JULY = Period.parse("2026-07")
DAYS = [date(2026, 7, n) for n in (1, 2, 3, 31)]
SOURCES = """
sources:
  technical:
    - {path: "logs/www-{date}.log", allow_missing_days: true}
    - {path: "logs/panel*"}
  countries: {mmdb: countries.mmdb}
"""


def start(root: Path) -> Params:
    company(root, [])
    (root / "logs" / "a.log").unlink()
    text = (root / "params" / "company.yaml").read_text()
    (root / "params" / "company.yaml").write_text(text[: text.index("\nsources:")] + SOURCES)
    (root / "logs" / f"www-{DAYS[0]}.log").write_text(line(user="first") + "\n")
    (root / "logs" / "panel.log").write_text("")
    return Params.load(root / "params")


def content(zone: Path) -> dict[str, bytes]:
    return {str(p.relative_to(zone)): p.read_bytes() for p in sorted(zone.rglob("*")) if p.is_file()}


def from_scratch(params: Params) -> dict[str, bytes]:
    """What a first collection with the same key writes."""
    zone = params.confidential(JULY)
    kept = zone.with_name("kept")
    zone.rename(kept)
    zone.mkdir()
    shutil.copy(kept / "key", zone / "key")
    try:
        workbook.collect(params, JULY)
        return content(zone)
    finally:
        shutil.rmtree(zone)
        kept.rename(zone)


@st.composite
def hits(draw: st.DrawFn, day: date) -> str:
    """A line of about ``day``: mostly around its midnights, in Helsinki's or another zone, seldom broken."""
    if draw(st.integers(0, 15)) == 0:
        return draw(st.sampled_from(["", "no line", line("01/Aug/2026:00:00:00 +0300"), line(status=404)]))
    seconds = draw(
        st.one_of(st.integers(-3600, 3600), st.integers(80_000, 90_000), st.sampled_from([-1, 0, 1, 86_400]))
    )
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds - 3 * 3600)
    offset = draw(st.sampled_from([0, 3, -5]))
    stamp = (moment + timedelta(hours=offset)).strftime("%d/%b/%Y:%H:%M:%S ") + f"{offset:+03}00"
    return line(
        stamp,
        address=draw(st.sampled_from(["240.1.2.3", "241.9.2.3", "3fff:1::1"])),
        user=draw(st.sampled_from(["-", "-", "ann"])),
        path=draw(st.sampled_from(["/docs", "/blog", "/"])),
        agent=draw(st.sampled_from([FIREFOX, "curl/8.1"])),
    )


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[str, str, list[str]]]:
    """What happens to the logs between two collections: files that appear, grow, are written anew, renamed, or go."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        day = draw(st.sampled_from(DAYS))
        name = draw(st.sampled_from([f"www-{day}.log", "panel.log", "panel.log.1", "panel-2.log"]))
        kind = draw(st.sampled_from(["append", "append", "append", "replace", "remove", "rename"]))
        found.append((kind, name, draw(st.lists(hits(day), max_size=8))))
    return found


def apply(folder: Path, kind: str, name: str, lines: list[str]) -> None:
    path = folder / name
    text = "".join(text + "\n" for text in lines)
    if kind == "append":
        path.write_text((path.read_text() if path.exists() else "") + text)
    elif kind == "replace":
        path.write_text(text)
    elif kind == "remove" and name != f"www-{DAYS[0]}.log":
        path.unlink(missing_ok=True)
    elif kind == "rename" and path.exists() and name.startswith("panel"):
        path.rename(folder / "panel-renamed.log")
    if not list(folder.glob("panel*")):
        (folder / "panel.log").write_text("")


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_collecting_again_gives_what_collecting_from_scratch_gives(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("company")
    params = start(root)
    for _ in range(data.draw(st.integers(2, 4))):
        for change in data.draw(changes()):
            apply(root / "logs", *change)
        try:
            workbook.collect(params, JULY)
        except WorkbookError as error:
            if not re.search("no line of 2026-07|every line is broken", str(error)):
                raise
            continue
        assert content(params.confidential(JULY)) == from_scratch(params)


def test_the_property_above_sees_a_day_that_was_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = start(tmp_path)
    workbook.collect(params, JULY)
    (tmp_path / "logs" / f"www-{DAYS[1]}.log").write_text(line("01/Jul/2026:09:05:00 +0300", user="first") + "\n")
    monkeypatch.setattr("privacy_metrics.visits.stitch", lambda frames, gap: frames)
    workbook.collect(params, JULY)
    monkeypatch.undo()
    assert content(params.confidential(JULY)) != from_scratch(params)


def read(params: Params) -> int:
    """Collects, and tells how many bytes were read."""
    seen = [0]
    workbook.collect(params, JULY, lambda done, total, lines: seen.append(total))
    return max(seen)


def test_one_more_day_costs_that_day(tmp_path: Path) -> None:
    params = start(tmp_path)
    logs = tmp_path / "logs"
    for number in range(1, 11):
        day = f"{number:02}/Jul/2026"
        text = [line(f"{day}:23:5{n}:00 +0300", user=f"u{n}") for n in range(10)]
        text += [line(f"{number + 1:02}/Jul/2026:00:00:0{n} +0300", user=f"u{n}") for n in range(5)]  # rotated late
        (logs / f"www-2026-07-{number:02}.log").write_text("\n".join(text) + "\n")
        assert read(params) == (logs / f"www-2026-07-{number:02}.log").stat().st_size
    sessions = workbook.sessions(params, JULY)["sessions"]
    # Each day's sessions of u0 to u4 go on after midnight, with the last lines of the same file.
    assert sessions.filter(hits=2).height == 50
    assert content(params.confidential(JULY)) == from_scratch(params)


def test_lines_among_others_of_an_earlier_day_cost_the_files_of_that_day_only(tmp_path: Path) -> None:
    params = start(tmp_path)
    logs = tmp_path / "logs"
    for number in (1, 2, 3):
        moments = [f"0{number}/Jul/2026:09:0{n}:00 +0300" for n in (0, 2)]
        (logs / f"www-2026-07-0{number}.log").write_text("".join(line(m, path="/docs") + "\n" for m in moments))
    read(params)
    (logs / "panel.log").write_text(line("02/Jul/2026:09:01:00 +0300", path="/blog") + "\n")
    totals: list[int] = []
    workbook.collect(params, JULY, lambda done, total, lines: totals.append(total))
    assert (
        totals
        == [(logs / "panel.log").stat().st_size]
        + [(logs / "www-2026-07-02.log").stat().st_size + (logs / "panel.log").stat().st_size] * 2
    )
    steps = workbook.sessions(params, JULY)["steps"]
    assert sorted(steps.select("from_area", "to_area").rows()) == [("blog", "docs"), ("docs", "blog")]
    assert content(params.confidential(JULY)) == from_scratch(params)


def test_a_renamed_file_is_not_read_again_and_a_changed_one_is(tmp_path: Path) -> None:
    params = start(tmp_path)
    panel = tmp_path / "logs" / "panel.log"
    panel.write_text(line("05/Jul/2026:09:00:00 +0300") + "\n")
    read(params)
    panel.rename(panel.with_name("panel.log.1"))
    panel.write_text(line("06/Jul/2026:09:00:00 +0300") + "\n")
    assert read(params) == panel.stat().st_size
    panel.write_text(line("06/Jul/2026:09:00:00 +0300", user="another") + "\n")
    assert read(params) > 0
    assert content(params.confidential(JULY)) == from_scratch(params)


def test_the_account_of_every_file_adds_up(tmp_path: Path) -> None:
    params = start(tmp_path)
    (tmp_path / "logs" / "panel.log").write_text(line(status=404) + "\n\n" + line(user="x") + "\n")
    record = workbook.collect(params, JULY)
    accounts = {
        Path(i["file"]).name: f["account"] for i, f in zip(record["technical_inputs"], record["files"], strict=False)
    }
    reasons = ("used", *technical.REASONS)
    assert dict(zip(reasons, accounts["panel.log"], strict=True)) == {
        **dict.fromkeys(reasons, 0),
        "used": 1,
        "broken": 1,
        "error": 1,
    }
    assert record["account"]["read"] == sum(map(sum, accounts.values())) == 4


def test_small_batches_give_what_one_batch_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = start(tmp_path)
    lines = [
        line(f"{day:02}/Jul/2026:{hour:02}:{minute:02}:00 +0300", user=f"u{minute % 7}", path=f"/{'abc'[minute % 3]}")
        for day in (1, 2, 3) for hour in (0, 9, 10, 23) for minute in range(0, 60, 7)
    ]  # fmt: skip
    # A third file goes back in time: its lines lie among those of days that are done.
    for number, some in enumerate((lines[::2], lines[1::4], lines[3::4])):
        (tmp_path / "logs" / f"panel-{number}.log").write_text("\n".join(some))
    workbook.collect(params, JULY)
    expected = content(params.confidential(JULY))
    monkeypatch.setattr("privacy_metrics.collection.HELD", 5)
    monkeypatch.setattr("privacy_metrics.technical.REMEMBERED", 1)
    monkeypatch.setattr("privacy_metrics.sources.logs.BLOCK", 700)
    monkeypatch.setattr("privacy_metrics.sources.logs.CHUNK", 300)
    assert from_scratch(params) == expected
    assert json.loads(expected["collect.json"])["account"]["used"] == len(lines) + 1


def test_a_day_is_stored_once_unless_it_has_very_many_hits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = start(tmp_path)
    moments = [f"{day:02}/Jul/2026:{hour:02}:{minute:02}:00 +0300" for day, hour in ((2, 9), (3, 9), (3, 12), (4, 9))
               for minute in range(0, 60, 2)]  # fmt: skip
    (tmp_path / "logs" / "panel.log").write_text("".join(line(moment) + "\n" for moment in moments))
    monkeypatch.setattr("privacy_metrics.sources.logs.BLOCK", 500)
    monkeypatch.setattr("privacy_metrics.sources.logs.CHUNK", 300)
    stored: list[int] = []
    add = collection.Days.add
    monkeypatch.setattr(collection.Days, "add", lambda days, day, some: (stored.append(day), add(days, day, some)))
    monkeypatch.setattr(collection, "HELD", 40)
    workbook.collect(params, JULY)
    assert stored == [0, 1, 2, 3]
    once = content(params.confidential(JULY))
    stored.clear()
    monkeypatch.setattr(collection, "HELD", 10)
    assert from_scratch(params) == once
    assert stored != [0, 1, 2, 3]
    assert set(stored) == {0, 1, 2, 3}


def test_addresses_seen_before_the_first_used_line_keep_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = start(tmp_path)
    addresses = ["240.1.0.1", "3fff:2::1", "240.3.0.1", "3fff:1::1", "241.9.2.3", "240.2.0.1"]
    early = [line("30/Jun/2026:09:00:00 +0300", address=address) for address in addresses[:4]]
    late = [line(f"02/Jul/2026:09:00:{n:02} +0300", address=address) for n, address in enumerate(addresses)]
    (tmp_path / "logs" / "panel.log").write_text("\n".join(early + late))
    workbook.collect(params, JULY)
    expected = content(params.confidential(JULY))
    monkeypatch.setattr("privacy_metrics.sources.logs.BLOCK", 300)
    monkeypatch.setattr("privacy_metrics.sources.logs.CHUNK", 200)
    assert from_scratch(params) == expected
    assert workbook.sessions(params, JULY)["sessions"].filter(pl.col("visitor_kind") == "anonymous").height > 5


@pytest.mark.parametrize("order", [1, -1])
def test_hits_are_not_held_for_ever_whatever_the_order_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    params = start(tmp_path)
    days = [f"{day:02}/Jul/2026" for day in range(1, 29)][::order]
    for number, day in enumerate(days):  # panel-00.log is read first; rotated logs are numbered from the newest on
        moments = [f"{day}:{hour:02}:00:00 +0300" for hour in range(24)]
        (tmp_path / "logs" / f"panel-{number:02}.log").write_text("".join(line(moment) + "\n" for moment in moments))
    workbook.collect(params, JULY)
    expected = content(params.confidential(JULY))
    monkeypatch.setattr("privacy_metrics.sources.logs.BLOCK", 500)
    monkeypatch.setattr("privacy_metrics.sources.logs.CHUNK", 300)
    monkeypatch.setattr(collection, "HELD", 50)
    sizes: list[int] = []
    add = technical.Hits.add
    monkeypatch.setattr(technical.Hits, "add", lambda hits, *rest: (add(hits, *rest), sizes.append(hits.size)))
    assert from_scratch(params) == expected
    assert max(sizes) < 3 * 50 + 10

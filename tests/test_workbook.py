"""Collect: every line accounted for, nothing personal written, and nothing lost when the input is bad."""

from __future__ import annotations

import gzip
import json
import stat
from pathlib import Path

import polars as pl
import pytest

from company import BOT, company, line, people, register_csv
from privacy_metrics import exclusions, workbook
from privacy_metrics.disclosure import Release
from privacy_metrics.params import ParamsError, Period, WorkbookError
from privacy_metrics.technical import REASONS

Q3 = Period.parse("2026Q3")
KINDS = {
    "broken": ["no log line at all", '240.1.2.3 - - [99/Jul/2026:09:00:00 +0300] "GET / HTTP/1.1" 200 1 "-" "x"', ""],
    # midnight in Helsinki is 21:00 UTC the day before: these two are on either side of it
    "outside period": [line("30/Jun/2026:20:59:59 +0000"), line("01/Oct/2026:00:00:00 +0300")],
    "crawler": [line(agent=BOT)],
    "probe": [line(method="HEAD"), line(method="OPTIONS")],
    "error": [line(status=404), line(status=503)],
    "redirect": [line(status=301)],
    "static file": [line(path="/logo.svg"), line(path="/a/b.CSS?v=3")],
    "used": [line("30/Jun/2026:21:00:00 +0000"), line("30/Sep/2026:23:59:59 +0300"), line(status=304)],
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_line_is_used_or_excluded_for_the_first_reason_that_fits(tmp_path: Path) -> None:
    lines = [text for texts in KINDS.values() for text in texts]
    record = workbook.collect(company(tmp_path, lines), Q3)
    assert record["account"] == {"read": len(lines), **{kind: len(texts) for kind, texts in KINDS.items()},
                                 **dict.fromkeys(exclusions.REASONS, 0)}  # fmt: skip
    assert set(record["account"]) == {"read", "used", *REASONS, *exclusions.REASONS}


def test_a_broken_line_does_not_take_its_neighbours_with_it(tmp_path: Path) -> None:
    lines = [
        line(user="a"),
        '240.1.2.3 - - [01/Jul/2026:09:00:00 +0300] "GET /x HTTP/1.1" 200 1 "-" "unterminated',
        line(user="b"),
    ]
    params = company(tmp_path, lines)
    assert workbook.collect(params, Q3)["account"]["used"] == 2


def test_what_is_written_is_private_and_holds_no_raw_value(tmp_path: Path) -> None:
    lines = [
        *people(12), line(user="SECRET-account", path="/docs?token=SECRET-token", referrer="https://a.example/?q=SECRET"),
        line(address="240.77.13.37", agent="SECRET-agent/1.0"), line(address="3fff:ca7:beef::7"),
    ]  # fmt: skip
    params = company(tmp_path, lines, register_csv({"request_id": "SECRET-id", "case_id": "SECRET-case"}))
    workbook.collect(params, Q3)
    zone = params.confidential(Q3)
    assert stat.S_IMODE(zone.stat().st_mode) == 0o700
    for path in zone.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path.name
        if path.is_dir():
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += pl.read_parquet(path).write_csv().encode()
        for secret in (b"SECRET", b"240.77.13.37", b"240.77", b"3fff:ca7", b"user3", b"/docs"):
            assert secret not in content, f"{secret!r} is in {path.name}"


def test_another_period_gives_the_same_person_another_key(tmp_path: Path) -> None:
    params = company(tmp_path, [line(user="a"), line("01/Jun/2026:09:00:00 +0300", user="a")])
    visitors = []
    for label in ("2026Q2", "2026Q3"):
        workbook.collect(params, Period.parse(label))
        visitors.append(workbook.sessions(params, Period.parse(label))["sessions"]["visitor"][0])
    assert visitors[0] != visitors[1]


def test_collecting_again_reads_nothing_unless_the_input_changed(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    first = workbook.collect(params, Q3)
    before = files(params.confidential(Q3))
    seen: list[int] = []
    assert workbook.collect(params, Q3, lambda *progress: seen.append(1)) == first
    assert seen == []
    assert files(params.confidential(Q3)) == before
    params = company(tmp_path, people(13))
    assert workbook.collect(params, Q3)["account"]["used"] == 13
    # The key stays: a person of the first collection is the same one in the second.
    assert (params.confidential(Q3) / "key").read_bytes() == before["key"]


BAD = {
    "no log": (lambda root: (root / "logs" / "a.log").unlink(), "logs/\\*.log"),
    "no countries": (lambda root: (root / "countries.mmdb").unlink(), "countries.mmdb"),
    "corrupt countries": (lambda root: (root / "countries.mmdb").write_bytes(b"\0" * 500), "countries.mmdb"),
    "damaged gzip": (
        lambda root: (root / "logs" / "b.log").write_bytes(b"\x1f\x8b" + b"\x01" * 60), "b.log",
    ),
    "no register": (lambda root: (root / "requests.csv").unlink(), "requests.csv"),
    "a missing column": (
        lambda root: (root / "requests.csv").write_text("request_id,case_id\n1,1\n"),
        "requests.csv: column received_at",
    ),
    "an impossible date": (
        lambda root: (root / "requests.csv").write_text(register_csv({"received_at": "2026-02-30T10:00:00+02:00"})),
        "row 2: received_at is no date that can be",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_and_what_was_collected_stays(tmp_path: Path, kind: str) -> None:
    spoil, message = BAD[kind]
    params = company(tmp_path, people(12), register_csv({}))
    workbook.collect(params, Q3)
    before = files(params.confidential(Q3))
    spoil(tmp_path)
    with pytest.raises(WorkbookError, match=message) as raised:
        workbook.collect(params, Q3)
    assert files(params.confidential(Q3)) == before
    assert "user3" not in str(raised.value)
    assert [p.name for p in params.confidential(Q3).parent.iterdir() if not p.name.startswith(".")] == ["2026Q3"]


def test_logs_without_a_line_of_the_period_are_the_wrong_logs(tmp_path: Path) -> None:
    params = company(tmp_path, people(3))
    with pytest.raises(WorkbookError, match=r"no line of 2025Q1 among the 3 lines read"):
        workbook.collect(params, Period.parse("2025Q1"))
    assert not params.confidential(Period.parse("2025Q1")).exists()


def test_an_empty_log_is_the_wrong_log_too(tmp_path: Path) -> None:
    with pytest.raises(WorkbookError, match="no line of 2026Q3 among the 0 lines"):
        workbook.collect(company(tmp_path, []), Q3)


def test_a_log_cut_in_a_gzip_block_is_read_up_to_the_cut_and_says_so(tmp_path: Path) -> None:
    params = company(tmp_path, people(1))
    packed = gzip.compress("".join(text + "\n" for text in people(20_000)).encode())
    (tmp_path / "logs" / "b.log").write_bytes(packed[: len(packed) // 2])
    record = workbook.collect(params, Q3)
    assert any("b.log is cut short" in note for note in record["notes"])
    assert record["account"]["used"] > 1000


def test_without_countries_only_when_that_is_said(tmp_path: Path) -> None:
    params = company(tmp_path, people(40))
    (tmp_path / "countries.mmdb").unlink()
    text = (tmp_path / "params" / "company.yaml").read_text().replace("{mmdb: countries.mmdb}", "{none: true}")
    (tmp_path / "params" / "company.yaml").write_text(text)
    book = workbook.open_workbook("2026Q3", str(params.folder))
    assert book["sessions_by_country"].value("people", country="unknown") == 40
    assert any("countries: none were looked up" in note for note in book.notes)


def test_the_workbook_gives_releases_by_name_and_nothing_else(tmp_path: Path) -> None:
    params = company(tmp_path, [*people(30), *people(4, "/blog", "x"), *people(15, "/pricing", "y")])
    book = workbook.open_workbook("2026Q3", str(params.folder))
    assert all(isinstance(book[name], Release) for name in book)
    assert book["hits_by_area"].value("people", area="blog") is None
    with pytest.raises(KeyError, match="no table 'sessions'"):
        book["sessions"]


def test_opening_collects_in_another_process_and_says_what_went_wrong(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    (tmp_path / "logs" / "a.log").unlink()
    with pytest.raises(WorkbookError, match="logs"):
        workbook.open_workbook("2026Q3", str(params.folder))
    with pytest.raises(ParamsError, match="is no period"):
        workbook.open_workbook("2026Q5", str(params.folder))


def test_closing_destroys_key_and_sessions(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    workbook.collect(params, Q3)
    workbook.close(params, Q3)
    assert not params.confidential(Q3).exists()
    with pytest.raises(WorkbookError, match="nothing to close"):
        workbook.close(params, Q3)


def test_a_register_counts_requests_of_the_controller_only(tmp_path: Path) -> None:
    rows = [
        {}, {"right": "erasure"}, {"role": "processor"},
        {"received_at": "2026-06-30T23:59:00+03:00"},  # the quarter before
        {"state": "closed", "outcome": "fulfilled", "decided_on": "2026-07-20", "response_sent_on": "2026-07-20"},
        {"state": "closed", "outcome": "fulfilled", "decided_on": "2026-08-05", "response_sent_on": "2026-08-05"},
    ]  # fmt: skip
    params = company(tmp_path, people(12), register_csv(*rows))
    book = workbook.open_workbook("2026Q3", str(params.folder))
    assert book["requests_by_right"].value("requests") == 4
    assert book["requests_processor"].value("requests") == 1
    on_time = book["requests_on_time"]
    # Due on Mon 3 August (1 August is a Saturday): one kept, one late; two of July and one of June are overdue.
    assert on_time.value("requests", on_time="on time") == 1
    assert on_time.value("requests", on_time="late") == 1
    assert on_time.value("requests", on_time="overdue and open") == 3
    assert book["requests_open"].value("requests", due="overdue") == 3
    account = json.loads((params.confidential(Q3) / "collect.json").read_text())["requests"]["account"]
    assert account == {"read": 6, "used": 6}


# ---- requests -------------------------------------------------------------------------------------------------------


def requests_of(count: int, **row: str) -> list[dict[str, str]]:
    return [dict(row) for _ in range(count)]


OPEN = {"received_at": "2026-07-31T10:00:00+03:00", "state": "in_progress"}
DONE = {"state": "closed", "outcome": "fulfilled", "response_sent_on": "2026-07-20", "decided_on": "2026-07-20"}


def test_the_deadlines_of_open_requests_are_told_in_words_and_in_the_confidential_zone_only(tmp_path: Path) -> None:
    rows = [OPEN | {"request_id": "SECRET-1"}, DONE, OPEN | {"received_at": "2026-09-24T10:00:00+03:00"}]
    params = company(tmp_path, people(12), register_csv(*rows))
    workbook.collect(params, Q3)
    path = workbook.deadlines(params, Q3)
    assert path.parent == params.confidential(Q3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = pl.read_csv(path)
    assert told["request_id"].to_list() == ["row 2", "row 4"]
    assert told["why"].to_list() == [
        "received Fri 31 Jul 2026; one month ends on Mon 31 Aug",
        "received Thu 24 Sep 2026; one month ends on Sat 24 Oct, a Saturday; next working day Mon 26 Oct",
    ]


def test_without_a_register_there_are_no_deadlines_to_explain(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    with pytest.raises(WorkbookError, match="is not collected"):
        workbook.deadlines(params, Q3)
    workbook.collect(params, Q3)
    with pytest.raises(WorkbookError, match="has no register of requests"):
        workbook.deadlines(params, Q3)


@pytest.mark.parametrize("audience", ["internal", "public"])
def test_groups_are_controlled_and_how_requests_were_handled_is_exact_inside_only(
    tmp_path: Path, audience: str
) -> None:
    rows = [
        *requests_of(30, **DONE), *requests_of(14, **OPEN), *requests_of(20, **DONE, subject_group="user"),
        *requests_of(7, **OPEN, subject_group="visitor"), *requests_of(6, **DONE, subject_group="partner"),
    ]  # fmt: skip
    more = f"disclosure: {{audience: {audience}}}\nrequests: {{california: {{}}}}\n"
    params = company(tmp_path, people(12), register_csv(*rows), more)
    workbook.collect(params, Q3)
    book = workbook.open_workbook("2026Q3", str(params.folder))
    groups = book["requests_by_group"]
    assert groups.value("requests") == 77
    assert [groups.value("requests", subject_group=g) for g in ("visitor", "partner")] == [None, None]
    # 21 of 77 are open and overdue: a group's part of them is not what is left of that.
    assert groups.value("requests", open="open", subject_group="visitor") is None
    inside = audience == "internal"
    # For the public, that all of fewer than 30 open requests are overdue is told of nobody.
    assert book["requests_open"].value("requests", due="overdue") == (21 if inside else None)
    assert book["requests_california"].value("requests", kind="know") in ((77,) if inside else (77, None))
    assert str(book["requests_by_right"].policy).startswith("exact" if inside else "cells of at least")

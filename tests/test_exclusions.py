"""Objections and restrictions reach the analysis, on the day, also when they are registered late."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from company import company, line, people
from privacy_metrics import exclusions, registers, workbook
from privacy_metrics.params import Params, Period
from privacy_metrics.requests import RegisterError
from privacy_metrics.sources import SourceError

Q3 = Period.parse("2026Q3")
REGISTERS = "  as_of: 2026-10-01\n  registers: {excluded_accounts: {path: excluded.csv}}\n"
HEAD = "account,reason,excluded_from,excluded_until\n"
LINES = [
    line("01/Aug/2026:23:40:00 +0300", user="anna"), line("02/Aug/2026:12:00:00 +0300", user="anna"),
    line("03/Aug/2026:12:00:00 +0300", user="anna"), line("02/Aug/2026:12:00:00 +0300", user="annabel"),
    line("02/Aug/2026:12:00:00 +0300"),
]  # fmt: skip


def excluding(root: Path, *rows: str, lines: list[str] = LINES) -> Params:
    root.mkdir(exist_ok=True)
    (root / "excluded.csv").write_text(HEAD + "".join(row + "\n" for row in rows), "utf-8")
    return company(root, lines, more=REGISTERS)


def lines_kept(params: Params) -> int:
    return workbook.sessions(params, Q3)["sessions"]["hits"].sum()


def account(params: Params) -> dict[str, int]:
    found = workbook.collect(params, Q3)["account"]
    assert found["read"] == found["used"] + sum(v for k, v in found.items() if k not in ("read", "used"))
    assert lines_kept(params) == found["used"]
    return {name: found[name] for name in ("used", "objected", "restricted")}


@pytest.mark.parametrize(
    ("rows", "used", "objected", "restricted"),
    [
        ([], 5, 0, 0),
        (["anna,objected,2026-08-02,"], 3, 2, 0),
        (["anna,objected,2026-08-02,2026-08-02"], 4, 1, 0),
        (["anna,restricted,2026-08-03,2026-12-31"], 4, 0, 1),
        (["anna,objected,2026-08-04,"], 5, 0, 0),
        (["anna,objected,2026-05-01,2026-08-01"], 4, 1, 0),
        (["anna,objected,2026-05-01,2026-07-31"], 5, 0, 0),
        (["anna,restricted,2026-08-01,", "anna,objected,2026-08-03,"], 2, 1, 2),
        (["nobody,objected,2026-07-01,"], 5, 0, 0),
    ],
)
def test_an_account_is_left_out_on_the_days_of_its_exclusion(
    tmp_path: Path, rows: list[str], used: int, objected: int, restricted: int
) -> None:
    assert account(excluding(tmp_path, *rows)) == {"used": used, "objected": objected, "restricted": restricted}


def test_of_a_session_over_midnight_the_day_of_the_exclusion_is_left_out(tmp_path: Path) -> None:
    night = [line("01/Aug/2026:23:50:00 +0300", user="anna"), line("02/Aug/2026:00:10:00 +0300", user="anna")]
    assert account(excluding(tmp_path, "anna,objected,2026-08-02,", lines=[*night, line()]))["objected"] == 1


def test_one_who_objects_late_is_left_out_of_what_is_collected_as_if_it_had_been_known(tmp_path: Path) -> None:
    rows = ["anna,objected,2026-08-02,", "annabel,restricted,2026-07-01,"]
    early, late = excluding(tmp_path / "early", *rows), excluding(tmp_path / "late")
    wanted = account(early)
    assert account(late)["used"] == 5
    excluding(tmp_path / "late", rows[0])
    assert account(late)["objected"] == 2
    excluding(tmp_path / "late", *rows)
    assert account(late) == wanted == {"used": 2, "objected": 2, "restricted": 1}
    frames = [workbook.sessions(params, Q3) for params in (early, late)]
    for name, frame in frames[0].items():
        assert frame.drop("visitor").equals(frames[1][name].drop("visitor")), name


def test_what_was_left_out_is_still_known_when_another_register_has_changed(tmp_path: Path) -> None:
    params = excluding(tmp_path, "anna,objected,2026-08-02,")
    before = workbook.collect(params, Q3)
    (tmp_path / "excluded.csv").write_text(HEAD + "anna,objected,2026-08-02,\nbert,objected,2030-01-01,\n", "utf-8")
    after = workbook.collect(params, Q3)
    assert after["state"]["registers"] != before["state"]["registers"]
    kept = before.keys() - {"state", "inputs", "register_inputs"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_one_who_is_not_excluded_any_more_is_read_again(tmp_path: Path) -> None:
    params = excluding(tmp_path, "anna,objected,2026-08-02,")
    assert account(params)["used"] == 3
    excluding(tmp_path)
    assert account(params) == {"used": 5, "objected": 0, "restricted": 0}


def test_a_late_objection_reaches_sessions_whose_logs_are_gone(tmp_path: Path) -> None:
    params = excluding(tmp_path)
    before = workbook.collect(params, Q3)
    (tmp_path / "excluded.csv").write_text(HEAD + "anna,objected,2026-07-01,\n", "utf-8")
    (tmp_path / "logs" / "a.log").unlink()
    with pytest.raises(SourceError):
        workbook.collect(params, Q3)
    assert workbook.is_collected(params, Q3)
    assert lines_kept(params) == 2
    assert workbook.state(params, Q3) != before["state"]
    with pytest.raises(SourceError):
        workbook.collect(params, Q3)
    assert lines_kept(params) == 2


def test_of_one_who_objects_late_no_word_is_left_in_what_is_stored(tmp_path: Path) -> None:
    lines = [line(user="anna", path="/hers"), line(path="/docs"), line(path="/blog")]
    params = excluding(tmp_path, lines=lines)
    workbook.collect(params, Q3)
    assert "hers" in words(params)
    excluding(tmp_path, "anna,objected,2026-07-01,", lines=lines)
    workbook.collect(params, Q3)
    assert {"docs", "blog"} <= words(params)
    assert "hers" not in words(params)


def words(params: Params) -> set[str]:
    """What the dictionaries of the stored sessions hold, whether a row has it or not."""
    columns = [
        chunk.dictionary
        for path in (params.confidential(Q3) / "days").rglob("*.parquet")
        for column in parquet.read_table(path).columns if pa.types.is_dictionary(column.type)
        for chunk in column.chunks
    ]  # fmt: skip
    return {word for column in columns for word in column.to_pylist()}


def test_a_late_objection_is_other_data_to_the_noise(tmp_path: Path) -> None:
    params = excluding(tmp_path)
    before = workbook.collect(params, Q3)["data"]
    excluding(tmp_path, "nobody,objected,2026-07-01,")
    assert workbook.collect(params, Q3)["data"] == before
    excluding(tmp_path, "anna,objected,2026-07-01,")
    assert workbook.collect(params, Q3)["data"] != before


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("SECRET,objected,2026-08-02,2026-08-01", "row 2: excluded_until is before excluded_from"),
        ("SECRET,maybe,2026-08-02,", "reason is 'maybe'"),
        (",objected,2026-08-02,", "row 2: account is empty"),
    ],
)
def test_a_register_of_exclusions_that_cant_be_read_stops_the_collection(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(RegisterError, match=said) as caught:
        workbook.collect(excluding(tmp_path, row), Q3)
    assert "SECRET" not in str(caught.value)


def test_a_register_of_exclusions_in_a_database_that_is_away_stops_the_collection(tmp_path: Path) -> None:
    away = "{database: {kind: sqlite, path: r.db}, query: SELECT * FROM r}"
    params = company(tmp_path, LINES, more=REGISTERS.replace("{path: excluded.csv}", away))
    with pytest.raises(SourceError, match=r"r\.db: no such file"):
        workbook.collect(params, Q3)
    assert not workbook.is_collected(params, Q3)


def test_the_register_of_exclusions_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    raw = registers.raw
    monkeypatch.setattr(registers, "raw", lambda *asked: (seen.append(asked[2]), raw(*asked))[1])
    record = workbook.collect(excluding(tmp_path, "anna,objected,2026-08-02,"), Q3)
    assert seen == [exclusions.REGISTER]
    assert [given["file"] for given in record["register_inputs"]] == ["excluded.csv"]


def test_no_account_is_kept(tmp_path: Path) -> None:
    params = excluding(tmp_path, "SECRET-one,objected,2026-07-01,", lines=[*people(12), line(user="SECRET-one")])
    workbook.collect(params, Q3)
    kept = [path for path in params.confidential(Q3).rglob("*") if path.is_file()]
    assert len(kept) > 4
    for path in kept:
        assert b"SECRET" not in path.read_bytes(), path.name
    assert not [path for path in kept if exclusions.REGISTER in path.name]


def test_the_line_account_names_them(tmp_path: Path) -> None:
    params = excluding(tmp_path, "user3,objected,2026-07-01,", lines=people(30))
    workbook.collect(params, Q3)
    workbook.prepare(params, Q3)
    told = workbook.open_workbook("2026Q3", str(params.folder))["line_account"]
    assert (told.value("lines", line="objected"), told.value("lines")) == (1, 30)

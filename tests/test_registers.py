"""Registers: each schema documents its columns, one reader for every kind of file, and no person in what is kept."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from company import company, people
from privacy_metrics import cli, registers
from privacy_metrics.cli import app
from privacy_metrics.params import Period
from privacy_metrics.registers import HAPPENED, REGISTERS, columns, persons, read
from privacy_metrics.requests import RegisterError, RegisterMapping, read_frame
from registers_made import AS_OF, KEY, PLAIN, ZONE, csv

OTHERS = [name for name in REGISTERS if name != "requests"]


def reading(name: str, path: Path, **mapping: Any) -> registers.Read:
    given = RegisterMapping(**mapping, schema=columns(name))
    frame = read_frame(path, zone=ZONE, mapping=given).with_row_index("row", 2)
    return read(name, frame, zone=ZONE, as_of=AS_OF, key=KEY)


def written(folder: Path, name: str, *rows: dict[str, str]) -> Path:
    path = folder / f"{name}.csv"
    path.write_text(csv(name, list(rows)), "utf-8")
    return path


@pytest.mark.parametrize("name", OTHERS)
def test_every_column_says_what_it_holds(name: str) -> None:
    assert REGISTERS[name].__doc__
    for column in columns(name).values():
        assert len(column.doc) > 3, column.name
        assert column.kind not in ("text", "moment") or column.name in persons(name), (
            f"{column.name} may hold free text"
        )


@pytest.mark.parametrize("name", OTHERS)
def test_csv_parquet_xlsx_and_sql_give_the_same_frame(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, {}, {})
    wanted = reading(name, path).frame
    raw = pl.read_csv(path, infer_schema=False)
    raw.write_parquet(tmp_path / "r.parquet")
    raw.write_excel(tmp_path / "r.xlsx")
    assert wanted.height == 2
    assert reading(name, tmp_path / "r.parquet").frame.equals(wanted)
    assert reading(name, tmp_path / "r.xlsx").frame.equals(wanted)
    with sqlite3.connect(tmp_path / "r.db") as connection:
        raw = raw.with_columns(name=pl.lit("Anna Example"))
        listed = ", ".join(f'"{c}"' for c in raw.columns)
        connection.execute(f"CREATE TABLE r ({listed})")
        connection.executemany(f"INSERT INTO r VALUES ({', '.join('?' * raw.width)})", raw.rows())
    connection.close()
    database = f"database: {{kind: sqlite, path: r.db}}, query: SELECT * FROM r, as_of: {AS_OF}"
    params = company(tmp_path, people(12), more=f"  registers: {{{name}: {{{database}}}}}\n")
    frame, given = registers.raw(params, Period.parse("2026Q3"), name)
    assert given["rows"] == 2
    assert read(name, frame, zone=ZONE, as_of=AS_OF, key=KEY).frame.equals(wanted)


def test_columns_outside_the_schema_are_never_read(tmp_path: Path) -> None:
    path = written(tmp_path, "vendors", {})
    raw = pl.read_csv(path, infer_schema=False).with_columns(contact=pl.lit("anna@mail.example"), note=pl.lit("text"))
    raw.write_csv(path)
    assert reading("vendors", path).frame.columns == REGISTERS["vendors"].column_names()


def test_a_person_is_a_keyed_hash_that_joins_registers_of_one_period_and_of_no_other(tmp_path: Path) -> None:
    events = reading("cookie_events", written(tmp_path, "cookie_events", {}, {"subject_ref": "bert"})).frame
    consents = reading("consents", written(tmp_path, "consents", {"subject_ref": "bert"})).frame
    assert events["subject_ref"].dtype == pl.UInt64
    assert events["subject_ref"][1] == consents["subject_ref"][0] != events["subject_ref"][0]
    given = RegisterMapping(schema=columns("consents"))
    frame = read_frame(tmp_path / "consents.csv", zone=ZONE, mapping=given).with_row_index("row", 2)
    other = read("consents", frame, zone=ZONE, as_of=AS_OF, key=b"another key")
    assert other.frame["subject_ref"][0] != consents["subject_ref"][0]


def test_every_fault_is_told_with_its_row_and_no_value_of_a_person(tmp_path: Path) -> None:
    path = written(
        tmp_path, "consents", {"at": "2026-07-01"}, {"state": "maybe"}, {"purpose": ""}, {"at": "2026-13-01T00:00:00Z"},
        {"subject_ref": "", "purpose": "with spaces"}, {"subject_ref": "SECRET", "expires_at": "soon"},
    )  # fmt: skip
    with pytest.raises(RegisterError) as caught:
        reading("consents", path)
    text = str(caught.value)
    for said in ("row 2: at ", "row 3: state is 'maybe'", "row 4: purpose is empty", "row 5: at ", "row 6: subject_ref",
                 "row 6: purpose", "row 7: expires_at"):  # fmt: skip
        assert f"consents.csv: {said}" in text
    assert "SECRET" not in text
    assert "soon" not in text


def test_rows_that_contradict_themselves_are_counted_and_left_out(tmp_path: Path) -> None:
    path = written(
        tmp_path, "contracts", {}, {"signed_on": "2026-02-01", "ends_on": "2026-01-31"}, {"contract_id": "twice"},
        {"contract_id": "twice"},
    )  # fmt: skip
    found = reading("contracts", path)
    assert found.excluded.rows() == [
        (3, "not over before signed"), (4, "stands twice"), (5, "stands twice"),
    ]  # fmt: skip
    assert found.account == {"read": 4, "used": 1, "not over before signed": 1, "stands twice": 2}


@pytest.mark.parametrize("name", sorted(HAPPENED))
def test_what_has_happened_is_not_later_than_the_export(name: str, tmp_path: Path) -> None:
    column = HAPPENED[name][0]
    clock = columns(name)[column].kind == "time"
    last, after = ("2026-10-01T23:59:59+03:00", "2026-10-02T00:00:00+03:00") if clock else ("2026-10-01", "2026-10-02")
    found = reading(name, written(tmp_path, name, {column: last}, {column: after}))
    assert found.frame["row"].to_list() == [2]
    assert found.excluded.rows() == [(3, "dated in the future")]


def test_another_tools_columns_and_values_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("who;topic;change;when\nanna;news;subscribe;03.07.2026 09:00\n", "utf-8")
    fill = dict.fromkeys(("effective_at", "expires_at", "recorded_at", "notice_version"))
    found = reading(
        "consents", path, columns={"subject_ref": "who", "purpose": "topic", "state": "change", "at": "when"},
        values={"purpose": {"news": "newsletter"}, "state": {"subscribe": "granted"}}, fill=fill, zone=ZONE,
        date_format="%d.%m.%Y %H:%M", separator=";",
    )  # fmt: skip
    row = found.frame.row(0, named=True)
    assert (row["purpose"], row["state"], str(row["at"])) == ("newsletter", "granted", "2026-07-03 06:00:00+00:00")


def test_the_templates_are_readable_and_nothing_is_overwritten(tmp_path: Path) -> None:
    written = registers.template(tmp_path / "new")
    assert {p.stem for p in written} == set(REGISTERS)
    for name in OTHERS:
        assert reading(name, tmp_path / "new" / f"{name}.csv").frame.height == 0
    (tmp_path / "new" / "vendors.csv").write_text("mine", "utf-8")
    with pytest.raises(FileExistsError, match="is there already"):
        registers.template(tmp_path / "new")
    assert (tmp_path / "new" / "vendors.csv").read_text("utf-8") == "mine"


def test_the_command_lists_every_column_and_writes_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.out, "width", 200)
    told = CliRunner().invoke(app, ["registers"]).output
    assert [c for name in REGISTERS for c in columns(name) if c not in told] == []
    done = CliRunner().invoke(app, ["registers", "--template", str(tmp_path / "r")])
    assert done.exit_code == 0
    assert len(list((tmp_path / "r").iterdir())) == len(REGISTERS)


def test_a_plain_row_of_every_register_is_dated_before_the_export() -> None:
    assert set(PLAIN) == set(REGISTERS)
    assert date(2026, 10, 1) == AS_OF

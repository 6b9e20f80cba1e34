"""The register of requests: every form of it gives the same frame, every fault is named, and nobody is quoted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from company import register_csv
from privacy_metrics.params import Params
from privacy_metrics.requests import (
    EXCLUSIONS,
    MOST,
    REQUESTS,
    SCHEMA,
    Register,
    RegisterError,
    RegisterMapping,
    read_register,
)

CLOSED = {"state": "closed", "outcome": "fulfilled", "decided_on": "2026-07-10", "response_sent_on": "2026-07-10"}
REFUSED = CLOSED | {"outcome": "refused", "reason_code": "excessive", "reasons_given": "true", "remedy_given": "false"}
ROWS = [{}, CLOSED, REFUSED, {"right": "erasure", "identity_requested_on": "2026-07-02", "country": "FI"}]


def write(folder: Path, *rows: dict[str, str], name: str = "requests.csv") -> Path:
    path = folder / name
    path.write_text(register_csv(*rows), "utf-8")
    return path


def problems(path: Path, **options) -> str:
    with pytest.raises(RegisterError) as raised:
        read_register(path, **options)
    return str(raised.value)


# ---- every form of a register ---------------------------------------------------------------------------------------


def _parquet(frame: pl.DataFrame, folder: Path) -> Register:
    frame.write_parquet(folder / "r.parquet")
    return read_register(folder / "r.parquet")


def _typed_parquet(frame: pl.DataFrame, folder: Path) -> Register:
    days = [name for name, column in SCHEMA.items() if column.kind == "date"]
    flags = [name for name, column in SCHEMA.items() if column.kind == "boolean"]
    typed = frame.with_columns(
        pl.col("received_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%:z"),
        *(pl.col(name).str.to_date("%Y-%m-%d", strict=False) for name in days),
        *(pl.when(pl.col(name) != "").then(pl.col(name) == "true").alias(name) for name in flags),
        pl.col("right").cast(pl.Categorical),
    )
    return _parquet(typed, folder)


def _xlsx(frame: pl.DataFrame, folder: Path) -> Register:
    frame.write_excel(folder / "r.xlsx")
    return read_register(folder / "r.xlsx")


def _gzip(frame: pl.DataFrame, folder: Path) -> Register:
    frame.write_csv(folder / "r.csv.gz", compression="gzip")
    return read_register(folder / "r.csv.gz")


def _semicolons(frame: pl.DataFrame, folder: Path) -> Register:
    frame.write_csv(folder / "r.csv", separator=";")
    return read_register(folder / "r.csv", mapping=RegisterMapping(separator=";"))


FORMS: dict[str, Callable[[pl.DataFrame, Path], Register]] = {
    "Parquet": _parquet, "typed Parquet": _typed_parquet, "XLSX": _xlsx, "gzip": _gzip,
    "semicolons": _semicolons,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_frame_that_csv_gives(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, *ROWS)
    expected = read_register(path)
    assert dict(expected.requests.schema) == REQUESTS
    assert expected.account == {"read": 4, "used": 4}
    raw = pl.read_csv(path, infer_schema=False).fill_null("")
    found = FORMS[form](raw.with_columns(person=pl.lit("Ada Lovelace")), tmp_path)
    assert found.requests.equals(expected.requests)
    assert found.rows.to_list() == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "text",
    [
        "{kind: sql, path: a.csv}", "{query: SELECT 1}", "{kind: fides}",
        "{kind: jira, database: {kind: sqlite, path: a.db}, query: SELECT 1}", "{path: a.csv, query: SELECT 1}",
        "{kind: excel, path: a.csv}", "{path: a.csv, zone: Mars}",
    ],
)  # fmt: skip
def test_a_source_that_can_not_be_is_refused_with_its_field(tmp_path: Path, text: str) -> None:
    from company import ORGANISATION, SOURCES

    folder = tmp_path / "params"
    folder.mkdir()
    (folder / "p.yaml").write_text(ORGANISATION + SOURCES + f"  requests: {text}\n")
    with pytest.raises(Exception, match=r"params/p\.yaml: sources\.requests"):
        Params.load(folder)


# ---- what the columns may hold --------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    moment=st.datetimes(datetime(2001, 1, 2), datetime(2099, 1, 1)), offset=st.integers(-14 * 60, 14 * 60),
    form=st.sampled_from(["T%H:%M", " %H:%M:%S", "T%H:%M:%S.%f"]), colon=st.booleans(),
    zone=st.sampled_from(["Europe/Helsinki", "America/Los_Angeles", "Pacific/Apia", "UTC"]),
)  # fmt: skip
def test_the_day_of_receipt_is_the_controllers(tmp_path_factory, moment, offset, form, colon, zone) -> None:
    """Property: what Python's own calendar makes of the same text."""
    at = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    written = at.strftime(f"%Y-%m-%d{form}") + ("Z" if offset == 0 else at.strftime("%:z" if colon else "%z"))
    if colon and offset and "%:z" in written:  # Python 3.11 has no %:z
        sign, minutes = "-" if offset < 0 else "+", abs(offset)
        written = written.replace("%:z", f"{sign}{minutes // 60:02}:{minutes % 60:02}")
    path = write(tmp_path_factory.mktemp("r"), {"received_at": written})
    assert read_register(path, zone=zone).requests["received_on"].to_list() == [at.astimezone(ZoneInfo(zone)).date()]


def test_a_time_without_a_zone_is_asked_for_one(tmp_path: Path) -> None:
    path = write(tmp_path, {"received_at": "2026-06-30T22:30:00"}, {"received_at": "2026-07-01"})
    said = problems(path)
    assert "row 2: received_at has no time zone; write its offset" in said
    assert "row 3: received_at has no time zone" in said
    in_utc = read_register(path, mapping=RegisterMapping(zone="UTC"))
    assert in_utc.requests["received_on"].to_list() == [date(2026, 7, 1), date(2026, 7, 1)]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("received_at", "2026-02-30T10:00:00+02:00", "is no date that can be"),
        ("received_at", "2026-07-01T25:00:00+03:00", "is no date that can be"),
        ("received_at", "1899-07-01T10:00:00+02:00", "is no date that can be"),
        ("received_at", "yesterday", "is no date that can be"),
        ("received_at", "", "is empty; it must be a time with its offset"),
        ("decided_on", "31.7.2026", "is no date that can be; it must be a date as 2026-07-01"),
        ("country", "Finland", "is not an ISO 3166-1 alpha-2 code"),
        ("escalated", "maybe", "is not true or false"),
        ("case_id", "", "is empty; it must be some text"),
        ("right", "", "is empty; it must be one of access"),
    ],
)
def test_a_fault_is_named_by_file_row_and_column_and_not_quoted(tmp_path: Path, column, value, reason) -> None:
    said = problems(write(tmp_path, {}, {column: value}))
    assert said.startswith(f"requests.csv: row 3: {column} {reason}")
    assert len(said.splitlines()) == 1
    assert value == "" or value not in said.replace("2026-07-01", "")


def test_all_faults_are_told_at_once_and_in_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [{"country": "Finland"}, {"decided_on": "soon"}, {"right": "acces"}, {"right": "acces", "channel": "fax"}]
    said = problems(write(tmp_path, *rows)).splitlines()
    assert [line.split(":")[1].strip() for line in said] == ["row 2", "row 3", "rows 4, 5", "row 5"]
    assert "right is 'acces'" in said[2]
    assert said[2].endswith("(mapping.values: {right: {acces: ...}})")


def test_so_many_faults_are_counted_that_no_log_is_filled_by_them(tmp_path: Path) -> None:
    said = problems(write(tmp_path, *[{"decided_on": "soon", "country": "x"}] * 500)).splitlines()
    assert len(said) == MOST + 1
    assert said[-1] == "requests.csv: and 980 more"
    assert said[0].startswith("requests.csv: row 2: ")


def test_a_column_of_names_is_not_quoted_as_unknown_codes(tmp_path: Path) -> None:
    names = [{"channel": f"Ada Lovelace {n}"} for n in range(MOST + 1)]
    said = problems(write(tmp_path, *names))
    assert "Ada" not in said
    assert "channel has 21 unknown values, too many or too long to be codes" in said
    long = problems(write(tmp_path, {"right": "please delete all that you hold about my late husband"}))
    assert "husband" not in long


def test_missing_columns_are_told_with_three_ways_out(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("request_id,case_id\n1,1\n")
    said = problems(path)
    assert "column received_at is missing; add it, name the file's own column" in said
    assert said.count("\n") == MOST
    (tmp_path / "e.csv").write_text("")
    assert "is empty" in problems(tmp_path / "e.csv")
    (tmp_path / "r.docx").write_text("x")
    assert "no reader for .docx" in problems(tmp_path / "r.docx")


def test_a_torn_csv_is_told_by_row_and_not_quoted(tmp_path: Path) -> None:
    path = write(tmp_path, {}, {})
    path.write_text(path.read_text() + "Ada Lovelace," * 40 + "\n")
    said = problems(path)
    assert "row 4: has 41 fields, the header has 25" in said
    assert "Ada" not in said


# ---- mappings -------------------------------------------------------------------------------------------------------


def test_another_registers_columns_and_values_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "german.csv"
    path.write_text(
        "Nr;Eingang;Art;Stand;Name\nA1;01.07.2026 23:30;Auskunft;offen;Ada\nA2;02.07.2026 09:00;Löschung;erledigt;Ada\n"
    )
    mapping = RegisterMapping(
        columns={
            "request_id": "Nr", "case_id": "Nr", "received_at": "Eingang", "right": "Art", "state": "Stand",
            "outcome": "Stand",
        },
        values={
            "right": {"Auskunft": "access", "Löschung": "erasure"},
            "state": {"offen": "in_progress", "erledigt": "closed"},
            "outcome": {"offen": None, "erledigt": "fulfilled"},
        },
        fill={
            n: {"channel": "other", "subject_group": "unknown", "role": "controller", "decided_on": "2026-07-09"}.get(n)
            for n in SCHEMA if n not in ("request_id", "case_id", "received_at", "right", "state", "outcome")
        },
        zone="Europe/Berlin", date_format="%d.%m.%Y %H:%M", separator=";",
    )  # fmt: skip
    with pytest.raises(RegisterError, match="row 2: decided_on is no date that can be"):
        read_register(path, mapping=mapping)  # the fill is read as the file's dates are
    fill = {**mapping.fill, "decided_on": None}
    closing = RegisterMapping(mapping.columns, mapping.values, fill, mapping.zone, mapping.date_format, ";")
    register = read_register(path, mapping=closing)
    assert register.requests["received_on"].to_list() == [date(2026, 7, 2)]  # half past midnight in Helsinki
    assert register.account == {"read": 2, "used": 1, "ended without a date": 1}


def test_a_mapping_of_what_the_schema_has_not_is_refused() -> None:
    with pytest.raises(RegisterError) as raised:
        RegisterMapping(columns={"recieved": "x"}, values={"right": {"a": "acces"}}, fill={"state": "ajar"})
    assert "columns: the schema has no column recieved" in str(raised.value)
    assert "values.right: 'acces' is not one of access" in str(raised.value)
    assert "fill.state: 'ajar' is not one of received" in str(raised.value)


# ---- rows that contradict themselves --------------------------------------------------------------------------------

CONTRADICTIONS = {
    "two outcomes": [CLOSED | {"request_id": "x"}, REFUSED | {"request_id": "x"}],
    "duplicate id": [{"request_id": "y"}, {"request_id": "y"}],
    "answered before received": [CLOSED | {"response_sent_on": "2026-06-30"}],
    "dated before receipt": [CLOSED | {"decided_on": "2026-06-30"}],
    "identity received before asked": [{"identity_received_on": "2026-07-05"}],
    "clarification received before asked": [
        {"clarification_requested_on": "2026-07-06", "clarification_received_on": "2026-07-05"}
    ],
    "outcome while open": [CLOSED | {"state": "in_progress"}],
    "answered while open": [{"response_sent_on": "2026-07-05"}],
    "closed without outcome": [CLOSED | {"outcome": ""}],
    "ended without a date": [CLOSED | {"decided_on": "", "response_sent_on": ""}],
    "dated in the future": [CLOSED | {"response_sent_on": "2027-01-01"}],
}


@pytest.mark.parametrize("reason", EXCLUSIONS)
def test_a_contradiction_is_left_out_and_counted_by_row(tmp_path: Path, reason: str) -> None:
    bad = CONTRADICTIONS[reason]
    register = read_register(write(tmp_path, {}, *bad, {}), as_of=date(2026, 10, 1))
    assert register.excluded.rows() == [(3 + n, reason) for n in range(len(bad))]
    assert register.account == {"read": 2 + len(bad), "used": 2, reason: len(bad)}
    assert register.rows.to_list() == [2, 3 + len(bad)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(sorted(CONTRADICTIONS)), max_size=8))
def test_rows_read_are_rows_used_and_rows_excluded(tmp_path_factory, kinds: list[str]) -> None:
    rows = [row for kind in kinds for row in CONTRADICTIONS[kind]] + [{}]
    register = read_register(write(tmp_path_factory.mktemp("r"), *rows), as_of=date(2026, 10, 1))
    account = register.account
    assert account["read"] == len(rows) == sum(n for name, n in account.items() if name != "read")
    assert sorted([*register.rows, *register.excluded["row"]]) == list(range(2, len(rows) + 2))


def test_ids_give_way_to_rows_and_a_case_stays_one(tmp_path: Path) -> None:
    rows = [{"case_id": "Ada"}, {"case_id": "Bo"}, {"case_id": "Ada"}, {"state": "closed"}, {"case_id": "Ada"}]
    register = read_register(write(tmp_path, *rows))
    kept = register.without_ids()
    assert kept["request_id"].to_list() == ["row 2", "row 3", "row 4", "row 6"]
    assert kept["case_id"].to_list() == ["row 2", "row 3", "row 2", "row 2"]

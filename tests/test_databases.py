"""Databases: what a query gives is read, what it asks of the period is bound, and nothing is quoted or written."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from company import company, people, register_csv
from postgres import PASSWORD, Server
from postgres import postgres as postgres
from privacy_metrics import sources, workbook
from privacy_metrics.params import Database, DuckDB, Params, Period, PostgreSQL, SQLite
from privacy_metrics.sources import Rows, databases
from privacy_metrics.sources.databases import DatabaseError
from test_source_kinds import LISTS, known

Q3 = Period.parse("2026Q3")
COLUMNS = list(sources.PARSED)
KINDS = ("sqlite", "duckdb", "postgresql")
Make = Callable[[str, list[tuple[Any, ...]], str], tuple[Database, str]]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes rows into a table of a new database: its parameters, and as text for a parameters file."""
    kind: str = request.param
    if kind == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    count = iter(range(1000))

    def made(columns: str, rows: list[tuple[Any, ...]], table: str = "visits") -> tuple[Database, str]:
        marks = ", ".join("?" * len(columns.split(",")))
        if kind == "sqlite":
            path = tmp_path / f"{next(count)}.db"
            with sqlite3.connect(path) as connection:
                connection.execute(f"CREATE TABLE {table} ({columns})")
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            connection.close()
            return SQLite(kind="sqlite", path=str(path)), f"kind: sqlite, path: '{path}'"
        if kind == "duckdb":
            path = tmp_path / f"{next(count)}.duckdb"
            with duckdb.connect(str(path)) as connection:
                connection.execute(f"CREATE TABLE {table} ({columns})")
                if rows:
                    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            return DuckDB(kind="duckdb", path=str(path)), f"kind: duckdb, path: '{path}'"
        with admin(server) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            cursor.execute(f"CREATE TABLE {table} ({columns})")
            numbered = ", ".join(f"${n}" for n in range(1, len(columns.split(",")) + 1))
            if rows:
                cursor.executemany(f"INSERT INTO {table} VALUES ({numbered})", rows)
            connection.commit()
        return PostgreSQL(kind="postgresql", uri=server.uri), f"kind: postgresql, uri: '{server.uri}'"

    return made


def admin(server: Server) -> Any:
    from adbc_driver_postgresql import dbapi

    return dbapi.connect(server.uri)


def ask(database: Database, query: str, **parameters: Any) -> pl.DataFrame:
    return pl.concat(databases.read(database, query, parameters))


def rows_of(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    # PostgreSQL's texts hold no NUL.
    return [tuple(v.replace("\0", "") if isinstance(v := r[c], str) else v for c in COLUMNS) for r in records]


VISITS = (
    "address varchar, account varchar, time bigint, method varchar, target varchar, status int, referrer varchar, "
    "agent varchar, language varchar"
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=LISTS)
def test_what_was_written_into_a_database_comes_back(make: Make, records: list[dict[str, Any]]) -> None:
    database, _ = make(VISITS, rows_of(records))
    source = sources.KINDS[database.kind].parameters.model_validate(
        {**database.model_dump(), "query": "SELECT * FROM visits"}
    )
    frames = pl.concat(
        databases.read_clickstream(source, Rows([], frames=lambda: databases.read(database, source.query, {})))
    )
    expected = [known(dict(zip(COLUMNS, row, strict=True))) for row in rows_of(records)]
    key = [str(row) for row in expected]
    assert sorted(map(str, frames.to_dicts())) == sorted(key)


def test_the_period_is_bound_as_moments_and_as_seconds(make: Make) -> None:
    database, _ = make("n int, seen bigint", [(1, 100), (2, 200), (3, 300)])
    start = dt.datetime.fromtimestamp(100, dt.UTC)
    found = ask(database, "SELECT n FROM visits WHERE seen > $low AND seen <= $high -- $low\n", low=100, high=300)
    assert sorted(found["n"].cast(pl.Int64)) == [2, 3]
    text = ask(database, "SELECT '$start' AS text, CAST($start AS varchar) AS moment", start=start)
    assert text["text"][0] == "$start"
    assert text["moment"][0].startswith("1970-01-01 00:01:40")
    with pytest.raises(DatabaseError, match=r"\$begin is no parameter; there are \$start, \$end"):
        ask(database, "SELECT $begin", start=1, end=2)


@pytest.mark.parametrize("value", ["'; DROP TABLE visits; --", "' OR '1'='1", "$1", "\\'"])
def test_what_is_bound_is_no_sql(make: Make, value: str) -> None:
    database, _ = make("n int, name varchar", [(1, "a")])
    if database.kind == "postgresql":
        return  # its parameters are moments and numbers; the next test shows that a text could not pass as one
    assert ask(database, "SELECT n FROM visits WHERE name = $name", name=value).height == 0
    assert ask(database, "SELECT n FROM visits").height == 1


def test_nothing_is_written(make: Make) -> None:
    database, _ = make("n int", [(1,)])
    for query in ("INSERT INTO visits VALUES (2)", "DELETE FROM visits", "SELECT 1; DROP TABLE visits"):
        with pytest.raises(DatabaseError):
            ask(database, query)
    assert ask(database, "SELECT n FROM visits").height == 1


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS n) AS a; CREATE TABLE made (n int); SELECT * FROM (SELECT 1 AS n",
        "SELECT 1 AS n) AS a; COPY (SELECT 1) TO '{file}'; SELECT * FROM (SELECT 1 AS n",
        "SELECT E'\\'') AS a; COPY (SELECT 1) TO '{file}'; SELECT * FROM (SELECT '1' AS n",
        "SELECT n FROM visits; SELECT 2 AS n",
    ],
)
def test_several_statements_are_refused(make: Make, tmp_path: Path, query: str) -> None:
    database, _ = make("n int", [(1,)])
    file = tmp_path / "written.csv"
    for one in [database, *([DuckDB(kind="duckdb")] if database.kind == "duckdb" else [])]:
        with pytest.raises(DatabaseError, match=r"the query: holds several statements; give one, a SELECT"):
            ask(one, query.format(file=file))
    assert not file.exists()


def test_a_semicolon_in_a_text_or_at_the_end_begins_no_statement(make: Make) -> None:
    database, _ = make("n int", [(1,)])
    assert ask(database, "SELECT ';a;' AS b -- c; d\n FROM visits /* e; */ ; ; -- f;\n")["b"][0] == ";a;"


SECRET = "SECRET-Jane-Doe"
FAILING = {
    "sqlite": ["SELECT json_extract(name, '$.a') AS x FROM visits", "SELECT abs(-9223372036854775807 - n) FROM visits"],
    "duckdb": ["SELECT CAST(name AS int) AS x FROM visits", "SELECT error(name) AS x FROM visits"],
    "postgresql": ["SELECT name::int AS x FROM visits", "SELECT (name || '')::timestamptz AS x FROM visits"],
}


def test_an_error_quotes_no_row(make: Make) -> None:
    database, _ = make("n int, name varchar", [(1, SECRET)])
    for query in FAILING[database.kind]:
        with pytest.raises(DatabaseError, match="failed on some row") as raised:
            ask(database, query)
        assert SECRET not in str(raised.value)
        assert raised.value.__suppress_context__
    words = {"SELECT nope FROM visits": "nope", "SELECT n FROM absent": "absent", "SELECT n FRO visits": "syntax error"}
    if database.kind == "postgresql":  # the others give the second one a name of its own
        words["SELECT n, name AS n FROM visits"] = "column n twice"
    for query, message in words.items():
        with pytest.raises(DatabaseError, match=message):
            ask(database, query)


def test_rows_come_in_batches_and_types_of_all_kinds_as_what_a_frame_can_hold(make: Make) -> None:
    database, _ = make("n int, name varchar", [])
    many = {
        "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT n FROM c",
        "duckdb": "SELECT * FROM range(1, 300001) AS t(n)",
        "postgresql": "SELECT n, repeat('x', 100) AS x FROM generate_series(1, 300000) AS n",
    }[database.kind]
    frames = list(databases.read(database, many + ";", {}))
    assert len(frames) > 1
    assert sum(pl.concat(frames)["n"].cast(pl.Int64)) == 300_000 * 300_001 // 2
    assert ask(database, "SELECT n FROM visits").height == 0
    odd = {
        "sqlite": ("SELECT 1.5 AS a, x'41' AS b, NULL AS c", ["1.5", "A", ""]),
        "duckdb": ("SELECT 1.50::decimal(9,2) AS a, [1] AS b, INTERVAL 1 DAY AS c", ["1.50", "[1]", "1 day"]),
        "postgresql": ("SELECT 1.50::numeric AS a, inet '::1' AS b, '{1}'::int[] AS c", ["1.50", "::1/128", "{1}"]),
    }[database.kind]  # fmt: skip
    assert list(ask(database, odd[0]).row(0)) == odd[1]


def test_a_column_of_sqlite_may_hold_nothing_for_long_and_then_a_text(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [*((None, n) for n in range(60_000)), ("x", "text")])
    connection.close()
    found = ask(SQLite(kind="sqlite", path=str(path)), "SELECT * FROM t")
    assert found.row(60_000) == ("x", "text")


def test_bytes_that_are_no_utf8_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (CAST(x'2fff61' AS TEXT)), (x'2ffe'), ('/b')")
    connection.close()
    rows = Rows([], frames=lambda: databases.read(SQLite(kind="sqlite", path=str(path)), "SELECT * FROM t", {}))
    assert pl.concat(rows.read())["a"].to_list() == ["/\ufffda", "/\ufffd", "/b"]


@pytest.mark.parametrize("moment", ["timestamptz 'infinity'", "timestamp '-infinity'", "date 'infinity'"])
def test_a_moment_that_no_calendar_has_is_named_by_its_column(make: Make, moment: str) -> None:
    database, _ = make("n int", [(1,)])
    if database.kind == "sqlite":
        return  # it has no moments, and a text of that kind is none
    with pytest.raises(DatabaseError, match=r"column ends holds a moment outside the years 1 to 9999.*leave such rows"):
        ask(database, f"SELECT n, {moment} AS ends FROM visits")
    assert ask(database, "SELECT n, date '9999-12-31' AS ends FROM visits")["ends"][0] == dt.date(9999, 12, 31)


def clickstream(text: str, root: Path, query: str) -> Params:
    params = company(root, people(1))
    path = root / "params" / "company.yaml"
    columns = "columns: {time: seen}, fill: {method: GET, status: '200'}"
    given_text = f'technical: [{{{text}, query: "{query}", {columns}}}]'
    path.write_text(path.read_text().replace("technical: [{kind: access_log, path: logs/*.log}]", given_text))
    return Params.load(params.folder)


def test_a_clickstream_is_collected_and_collected_again_only_when_its_rows_change(make: Make, tmp_path: Path) -> None:
    start, end = Q3.bounds("Europe/Helsinki")
    visits = [("240.1.2.3", f"u{n}", start + n, "/docs") for n in range(20)]
    visits += [("240.1.2.3", "early", start - 1, "/docs"), ("240.1.2.3", "late", end, "/docs")]
    columns = "address varchar, account varchar, seen bigint, target varchar"
    _, text = make(columns, visits)
    query = "SELECT * FROM visits WHERE seen >= $start_epoch AND seen < $end_epoch"
    params = clickstream(text, tmp_path, query)
    record = workbook.collect(params, Q3)
    assert (record["account"]["read"], record["account"]["used"]) == (20, 20)
    assert record["inputs"][-1]["rows"] == 20
    again = workbook.collect(params, Q3)
    assert again == record
    if "postgresql" not in text:
        return  # the others are files of their own, made anew under another name
    make(columns, [*visits[::-1], ("240.1.2.3", "new", start + 99, "/blog")])
    assert workbook.collect(params, Q3)["account"]["used"] == 21
    # The same rows in another order are the same.
    before = workbook.collect(params, Q3)
    make(columns, [("240.1.2.3", "new", start + 99, "/blog"), *visits])
    assert workbook.collect(params, Q3) == before


def test_a_clickstream_that_lacks_a_column_says_which(make: Make, tmp_path: Path) -> None:
    _, text = make("address varchar, seen bigint", [("240.1.2.3", 1)])
    with pytest.raises(sources.SourceError, match="query: column target is missing"):
        workbook.collect(clickstream(text, tmp_path, "SELECT * FROM visits"), Q3)


def test_a_register_is_read_through_a_query_and_only_its_own_columns(make: Make, tmp_path: Path) -> None:
    csv = register_csv({}, {"right": "erasure"}, {"received_at": "2026-08-01T10:00:00+03:00"})
    frame = pl.read_csv(csv.encode(), infer_schema=False).with_columns(person=pl.lit(SECRET))
    columns = ", ".join(f'"{name}" varchar' for name in frame.columns)
    _, text = make(columns, frame.rows(), "requests_of_people")
    params = company(tmp_path, people(12), csv)
    by_file = workbook.collect(params, Q3)["requests"]
    path = tmp_path / "params" / "company.yaml"
    path.write_text(
        path.read_text().replace(
            "path: requests.csv", f"database: {{{text}}}, query: SELECT * FROM requests_of_people WHERE $start < $end"
        )
    )
    by_query = workbook.collect(Params.load(params.folder), Q3)
    assert by_query["requests"] == by_file
    assert by_query["inputs"][-1]["file"] == "sources.requests.query"
    zone = params.confidential(Q3)
    assert SECRET not in "".join(pl.read_parquet(p).write_csv() for p in zone.glob("*.parquet"))
    assert workbook.collect(Params.load(params.folder), Q3) == by_query


# ---- PostgreSQL alone -----------------------------------------------------------------------------------------------


def test_the_password_comes_from_the_environment_and_is_in_no_error(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    database = PostgreSQL(kind="postgresql", uri=postgres.uri, password_env="REPORTING_PASSWORD")
    with pytest.raises(DatabaseError, match=r"Failed to connect.*no password supplied"):
        ask(database, "SELECT 1 AS n")
    monkeypatch.setenv("REPORTING_PASSWORD", PASSWORD)
    assert ask(database, "SELECT 1 AS n")["n"][0] == 1
    for wrong in (PASSWORD + "x", "&port=1", "' OR 1"):
        monkeypatch.setenv("REPORTING_PASSWORD", wrong)
        with pytest.raises(DatabaseError, match="authentication failed") as raised:
            ask(database, "SELECT 1 AS n")
        assert wrong not in str(raised.value)
    monkeypatch.setenv("REPORTING_PASSWORD", PASSWORD)
    absent = PostgreSQL(kind="postgresql", uri="postgresql://owner@127.0.0.1:1/x", password_env="REPORTING_PASSWORD")
    with pytest.raises(DatabaseError, match="Failed to connect") as raised:
        ask(absent, "SELECT 1 AS n")
    assert PASSWORD not in str(raised.value)


def test_the_server_sees_the_period_as_values_and_not_in_the_query(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    start = dt.datetime(2026, 6, 30, 21, tzinfo=dt.UTC)
    query = "SELECT $start AS start, $n AS n /* marked */"
    row = ask(PostgreSQL(kind="postgresql", uri=postgres.uri), query, start=start, n=777_123).row(0)
    assert row == (start, 777_123)
    with pytest.raises(DatabaseError, match="failed on some row"):
        ask(PostgreSQL(kind="postgresql", uri=postgres.uri), "SELECT $n", n="1); DROP TABLE visits")
    seen = [line for line in (postgres.folder / "log").read_text().splitlines() if "marked" in line]
    assert seen
    assert not [line for line in seen if "777123" in line or "2026-06-30" in line]


# ---- DuckDB alone ---------------------------------------------------------------------------------------------------


def test_a_query_of_duckdb_may_name_files(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    assert ask(DuckDB(kind="duckdb"), f"SELECT * FROM '{tmp_path}/*.parquet' WHERE n > $n", n=1)["n"].to_list() == [2]


@pytest.mark.parametrize("database", [SQLite(kind="sqlite", path="none.db"), DuckDB(kind="duckdb", path="none.db")])
def test_a_database_that_is_not_there_is_not_made(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"none\.db: no such file"):
        ask(database, "SELECT 1 AS n")
    assert not Path("none.db").exists()


QUERIES = st.lists(
    st.one_of(
        st.sampled_from(["$start", "$end", "'$start'", '"$end"', "-- $end\n", "/* $end */", "$$ $end $$", "$t$ $x$t$"]),
        st.sampled_from(["SELECT", " ", "'it''s'", "1", ",", "::int", "a$b"]),
    )
).map(" ".join)  # fmt: skip


@given(QUERIES)
def test_parameters_are_found_outside_texts_and_comments_only(query: str) -> None:
    text, used = databases.bound(query, {"start": 1, "end": 2}, "q")
    code = re.sub(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$", "", query, flags=re.DOTALL)
    assert text.count("\0") // 2 == len(re.findall(r"(?<!\w)\$(?:start|end)\b", code))
    assert set(used) == set(re.findall(r"(?<!\w)\$(start|end)\b", code))

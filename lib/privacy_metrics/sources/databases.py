"""Databases: PostgreSQL and SQLite through ADBC, and DuckDB, for clickstream and registers alike.

A query stands in the parameters. What it asks about the period is bound (``$start``, ``$end``, ``$start_epoch``,
``$end_epoch``), never pasted. Connections can only read. Rows come in batches; an error quotes no row.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import polars as pl
import polars_hash as plh
import pyarrow as pa
from pydantic import Field

from ..params import Columns, Database, DuckDB, Params, Period, PostgreSQL, RegisterInput, SQLite
from .logs import Files, SourceError
from .records import BATCH, locate, parsed, plain


class Query(Columns):
    """A clickstream that a database's query gives, one row per request."""

    query: str = Field(min_length=1)


class PostgreSQLQuery(PostgreSQL, Query):
    """Requests from PostgreSQL."""

    kind: Literal["postgresql"]


class SQLiteQuery(SQLite, Query):
    """Requests from SQLite."""

    kind: Literal["sqlite"]


class DuckDBQuery(DuckDB, Query):
    """Requests from DuckDB, or from files that its query names."""

    kind: Literal["duckdb"]


class DatabaseError(SourceError):
    """A database that can't be reached, or a query that it refuses; no row and no password is quoted."""


@dataclass
class Rows(Files):
    """What a query gives for a period, in place of files; ``digest`` tells whether it has changed."""

    frames: Callable[[], Iterator[pl.DataFrame]] = field(default=lambda: iter(()))
    where: str = ""
    rows: int = 0
    digest: str = ""

    def look(self) -> str:
        """The digest of what the query gives now: reads all rows."""
        for _ in self.read():
            pass
        return self.digest

    def read(self) -> Iterator[pl.DataFrame]:
        """The rows in batches; afterwards ``rows`` and ``digest`` are theirs."""
        self.rows, total = 0, 0
        for frame in self.frames():
            self.rows += frame.height
            total += _sum(frame)
            yield frame
        self.digest = hashlib.sha256(f"{self.rows} {total}".encode()).hexdigest()


def rows(
    database: Database, query: str, params: Params, period: Period, where: str,
    columns: Callable[[list[str]], Iterable[str]] = lambda names: names,
) -> Rows:  # fmt: skip
    """The rows that ``query`` gives for ``period``, of the ``columns`` alone; nothing is asked yet."""
    located, parameters = database.located(params.root), times(params, period)
    return Rows([], frames=lambda: read(located, query, parameters, columns, where), where=where)


def register_rows(
    register: RegisterInput, schema: Iterable[str], params: Params, period: Period, where: str
) -> Rows:  # fmt: skip
    """The rows of a register's query, of the schema's columns alone."""
    assert register.database is not None
    assert register.query is not None
    wanted = {register.columns.get(name, name) for name in schema}
    return rows(
        register.database, register.query, params, period, where,
        lambda names: [name for name in names if name in wanted],
    )  # fmt: skip


def find(source: Query, params: Params, period: Period) -> Rows:
    """The rows of a source for ``period``."""
    where = f"sources.technical: the {source.kind} query"
    return rows(
        _database(source), source.query, params, period, where,
        lambda names: locate(names, source, where).values(),
    )  # fmt: skip


def read_clickstream(source: Query, files: Rows) -> Iterator[pl.DataFrame]:
    """What the query gives in batches, columns PARSED; a row that is no request is broken."""
    for frame in files.read():
        yield parsed(frame, source, locate(frame.columns, source, files.where), files.where)


def times(params: Params, period: Period) -> dict[str, Any]:
    """What a query may ask about the period, by name: moments in UTC, and the same as epoch seconds."""
    start, end = period.bounds(params.organisation.time_zone)
    moments = {"start": datetime.fromtimestamp(start, UTC), "end": datetime.fromtimestamp(end, UTC)}
    return {**moments, "start_epoch": start, "end_epoch": end}


def read(
    database: Database, query: str, parameters: Mapping[str, Any],
    columns: Callable[[list[str]], Iterable[str]] = lambda names: names, where: str = "the query",
) -> Iterator[pl.DataFrame]:  # fmt: skip
    """The rows of ``query`` in batches, with the parameters (moments and whole numbers) bound to ``$name``.

    ``columns`` is told what the query has and says which to fetch. Types that frames do not have come as text, and all
    of SQLite's do, whose columns have no type. Raises DatabaseError, which begins with ``where``.
    """
    text, used = bound(query, parameters, where)
    open_, run, mark, all_text = _DRIVERS[database.kind]
    for n, name in enumerate(used, 1):
        text = text.replace(f"\0{name}\0", mark(n, parameters[name]))
    with _explained(database, where), closing(open_(database)) as connection:
        given = [parameters[name] for name in used]
        inner = f"({text}\n) AS asked"
        with run(connection, f"SELECT * FROM {inner} LIMIT 0", given) as asked:
            schema = asked.schema
        names = schema.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DatabaseError(f"{where}: gives column {', '.join(twice)} twice; name each once (AS)")
        wanted = [n for n in dict.fromkeys(columns(names)) if n in names]
        fields = ", ".join(_field(name, schema.field(name).type, all_text) for name in wanted) or "1"
        with run(connection, f"SELECT {fields} FROM {inner}", given) as batches:
            yield pl.DataFrame(pl.from_arrow(batches.schema.empty_table()))  # the columns, where there is no row
            for batch in batches:
                yield _frame(batch, where)


def bound(query: str, parameters: Mapping[str, Any], where: str) -> tuple[str, list[str]]:
    """``query`` with each ``$name`` outside texts and comments between NULs, and the names in order of first use.

    Raises DatabaseError for a name that is no parameter, and for several statements, of which a later one could write.
    """
    used: dict[str, None] = {}
    comment = r"--[^\n]*|/\*.*?\*/"

    def place(match: re.Match[str]) -> str:
        if match[0] == ";":
            if re.sub(comment, "", match.string[match.end() :], flags=re.DOTALL).strip("; \t\r\n"):
                raise DatabaseError(f"{where}: holds several statements; give one, a SELECT")
            return ""
        name = match["name"]
        if not name:
            return match[0]
        if name not in parameters:
            known = ", ".join(f"${n}" for n in parameters)
            raise DatabaseError(f"{where}: ${name} is no parameter; there are {known}")
        used[name] = None
        return f"\0{name}\0"

    text = r"(?<!\w)[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(?<!\w)\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
    found = rf"{text}|{comment}|;|(?<!\w)\$(?P<name>[A-Za-z_]\w*)"
    return re.sub(found, place, query.replace("\0", ""), flags=re.DOTALL).strip(), list(used)


def _frame(batch: pa.RecordBatch, where: str) -> pl.DataFrame:
    """The rows of a batch. Raises DatabaseError for a moment that is none of the calendar's, such as infinity."""
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        held = plain(column)
        if held.null_count() > column.null_count:
            raise DatabaseError(
                f"{where}: column {name} holds a moment outside the years 1 to 9999, as infinity is; leave such rows "
                "out in the query, or give NULL for it"
            )
        columns[name] = held
    return pl.DataFrame(columns)


def _field(name: str, kind: pa.DataType, all_text: bool) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if all_text:  # the driver guesses a column's type from its first rows, and stops where a later one differs
        return f"coalesce(CAST({quoted} AS TEXT), '') AS {quoted}"
    plain = (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )  # fmt: skip
    return quoted if plain else f"CAST({quoted} AS TEXT) AS {quoted}"


def _sum(frame: pl.DataFrame) -> int:
    """The sum of the rows' hashes: the same rows give the same, in whatever order a database has them."""
    if not frame.height:
        return 0
    text = [pl.col(n).cast(pl.String, strict=False).fill_null("\0") for n in frame.columns]
    hashed = frame.select(plh.concat_str(text, separator="\x1f").nchash.xxhash64()).to_series()
    return int((hashed // 2**32).sum()) * 2**32 + int((hashed % 2**32).sum())


def _database(source: Any) -> Database:
    kind = next(k for k in (PostgreSQL, SQLite, DuckDB) if isinstance(source, k))
    return kind.model_validate(source.model_dump(include=set(kind.model_fields)))


# ---- the drivers ----------------------------------------------------------------------------------------------------


def _open_postgresql(database: PostgreSQL) -> Any:
    from adbc_driver_postgresql import dbapi

    connection = dbapi.connect(_with_password(database))
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()
    return connection


def _with_password(database: PostgreSQL) -> str:
    """The URI with the password of another variable than libpq's own, which libpq reads by itself."""
    password = os.environ.get(database.password_env)
    if database.password_env == "PGPASSWORD" or password is None:
        return database.uri
    parts = urlsplit(database.uri)
    return database.uri + ("&" if parts.query else "?") + "password=" + quote(password, safe="")


@contextmanager
def _run_postgresql(connection: Any, query: str, given: list[Any]) -> Iterator[pa.RecordBatchReader]:
    # With a parameter of its own the driver fetches a result whole; without one it streams (COPY). So the values are
    # bound to settings of the session, which the query reads.
    with connection.cursor() as cursor:
        for n, value in enumerate(given, 1):
            text = value.isoformat() if isinstance(value, datetime) else str(value)
            cursor.execute(f"SELECT set_config('privacy_metrics.p{n}', $1, false)", (text,))
            cursor.fetchall()
        cursor.execute(query)
        yield cursor.fetch_record_batch()


def _mark_postgresql(n: int, value: Any) -> str:
    kind = "timestamptz" if isinstance(value, datetime) else "bigint"
    return f"current_setting('privacy_metrics.p{n}')::{kind}"


def _open_sqlite(database: SQLite) -> Any:
    from adbc_driver_sqlite import dbapi

    if not Path(database.path).is_file():
        raise DatabaseError(f"{database.path}: no such file")
    return dbapi.connect(f"file:{quote(str(Path(database.path).resolve()))}?mode=ro")


@contextmanager
def _run_sqlite(connection: Any, query: str, given: list[Any]) -> Iterator[pa.RecordBatchReader]:
    values = [v.strftime("%Y-%m-%d %H:%M:%S") if isinstance(v, datetime) else v for v in given]
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH // 4)})
        cursor.execute(query, values or None)
        yield cursor.fetch_record_batch()


def _open_duckdb(database: DuckDB) -> Any:
    import duckdb

    if database.path and not Path(database.path).is_file():
        raise DatabaseError(f"{database.path}: no such file")
    # What is not installed is not fetched from the network.
    config: dict[str, Any] = {"autoinstall_known_extensions": "false"}
    connection = duckdb.connect(database.path or ":memory:", read_only=bool(database.path), config=config)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@contextmanager
def _run_duckdb(connection: Any, query: str, given: list[Any]) -> Iterator[pa.RecordBatchReader]:
    yield connection.sql(query, params=given).to_arrow_reader(BATCH)


_DRIVERS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., str], bool]] = {
    "postgresql": (_open_postgresql, _run_postgresql, _mark_postgresql, False),
    "sqlite": (_open_sqlite, _run_sqlite, lambda n, value: f"?{n}", True),
    "duckdb": (_open_duckdb, _run_duckdb, lambda n, value: f"${n}", False),
}
"""By kind: how to connect, to run a query, to write a parameter, and whether every column is fetched as text."""


@contextmanager
def _explained(database: Database, where: str) -> Iterator[None]:
    """What a driver says becomes a DatabaseError without what may be of a row, and without the password."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 (three drivers, each with errors of its own; none is lost)
        reason = _reason(error)
        if isinstance(database, PostgreSQL) and (password := os.environ.get(database.password_env)):
            for written in (password, quote(password, safe="")):
                reason = reason.replace(written, "…")
        raise DatabaseError(f"{where}: {reason}") from None


_SAFE_DUCKDB = ("ParserException", "CatalogException", "BinderException", "PermissionException", "IOException")


def _reason(error: Exception) -> str:
    """What can be said of a driver's error: its words where they are of the query or the connection, else its kind."""
    state = getattr(error, "sqlstate", None)
    text = re.split(r"\n\s*(?:LINE \d|Query was|query:)|\. SQLSTATE", str(error))[0].strip()
    text = re.sub(r"^\w+: (?:\[\w+\] )?", "", text).replace("\n", " ")
    if type(error).__module__.startswith(("duckdb", "_duckdb")):
        if type(error).__name__ in _SAFE_DUCKDB or "extension" in text:
            return text
        return f"the query failed on some row ({type(error).__name__}); run it in DuckDB to see where"
    if state:
        # Class 42: syntax error or access rule violation (PostgreSQL, Appendix A): of the query, and not of a row.
        safe = state.startswith(("42", "25", "08", "28", "3D"))
        return text if safe else f"the query failed on some row (SQLSTATE {state}); run it in psql to see where"
    if "connect" in text.lower() or "prepare" in text.lower() or "readonly database" in text:
        return text
    return f"the query failed on some row ({type(error).__name__}); run it in the database's own shell to see where"

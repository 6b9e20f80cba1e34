"""Apache Spark: reads the logs itself, in parts, and runs the collect plan on a cluster; the tables are the same.

A task reads one part of the input as ``collect`` does: it parses lines, resolves the distinct addresses and clients of
its part against what was broadcast (country ranges, the period's key), and gives hits, which never leave the cluster.
Beside them it gives what it did: the line account and the days of its file, and marks of known values. Spark writes
hits to its own scratch disks where they do not fit into memory, encrypted with a key of that run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from . import params as parameters
from . import sources, technical
from .engines import Engine, signed
from .geography import Countries
from .marks import Marks
from .params import AccessLog, Params, Period, Source, WorkbookError
from .sources import formats, logs

PART = 64 << 20
"""Bytes of a plain log that one task reads; a compressed file is one task's."""

FETCHED = 500_000
"""Sessions that come back from the cluster at a time: few enough for one machine's memory, many enough to be fast."""

_SHUFFLES = "spark.sql.shuffle.partitions"
_ARROW = {pl.String: pa.string(), pl.Int64: pa.int64(), pl.Int32: pa.int32(), pl.Boolean: pa.bool_()}
_SPARK = {pl.String: "string", pl.Int64: "bigint", pl.Int32: "int", pl.Boolean: "boolean"}
_ROW = {
    **technical.ENGINE_HIT, "input": pl.Int32, "done": pl.String, "mark_of": pl.String, "bits": pl.Int32,
    "mark": pl.Int64,
}  # fmt: skip
"""A row of what a task gives: a hit, or what was done (JSON), or a mark; the other columns are null."""


class Spark(Engine):
    """A Spark session. Raises WorkbookError, which says what to install, where there is no pyspark or no Java."""

    def __init__(self, options: parameters.Spark) -> None:
        try:
            from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise WorkbookError(
                "engine: spark needs the package pyspark; install privacy-metrics[spark], and Java 17 or later"
            ) from None
        config = {
            "spark.io.encryption.enabled": "true", "spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC",
            "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR", _SHUFFLES: "2",
            # Java without memory ends, instead of waiting for ever; what was asked before is not kept for a page.
            "spark.driver.extraJavaOptions": "-XX:+ExitOnOutOfMemoryError", "spark.sql.ui.retainedExecutions": "1",
        }  # fmt: skip
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # tasks run where this library is
        self.chosen, self.master = options.config, options.master
        builder = SparkSession.builder.master(options.master).appName("privacy-metrics")
        for name, value in {**config, **options.config}.items():
            builder = builder.config(name, value)
        try:
            self.session = builder.getOrCreate()
        except Exception as error:  # noqa: BLE001 (py4j's own class, and what Java's start-up raises)
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise WorkbookError(
                f"engine: spark at {options.master} could not be started ({reason[:200]}); is Java 17 or later "
                "installed, and is the master there (spark.master)?"
            ) from None

    def frame(self, frame: pl.DataFrame) -> Any:
        """Sends a frame to the cluster once: else every task that reads it would bring its rows from here again.

        Two workers have each part, so one of them may die.
        """
        from pyspark import StorageLevel  # pyright: ignore[reportMissingImports]

        frame = signed(frame)
        narrow = pl.selectors.unsigned_integer().cast(pl.Int64)
        sent = self.session.createDataFrame(_arrow(frame.with_columns(narrow)))
        return sent.localCheckpoint(storageLevel=StorageLevel.MEMORY_AND_DISK_2)

    def polars(self, native: Any) -> pl.DataFrame:
        try:
            found = native.toArrow()
        except Exception as error:  # noqa: BLE001 (py4j's and Spark's own classes, and a connection that is lost)
            # The message itself may quote a row.
            what = getattr(error, "getCondition", lambda: None)() or type(error).__name__
            raise WorkbookError(
                f"engine: spark at {self.master} did not do what it was asked ({what}); its logs say "
                "more. Where it was without memory, give it more (spark.config: spark.driver.memory, "
                "spark.executor.memory)"
            ) from None
        return pl.DataFrame(pl.from_arrow(found))

    def keep(self, native: Any) -> Any:
        from pyspark import StorageLevel  # pyright: ignore[reportMissingImports]

        return native.persist(StorageLevel.MEMORY_AND_DISK)

    def collect(self, job: Job, inputs: Sequence[Part], gap: int) -> Collected:
        """Reads parts of the input on the cluster, and cuts their hits into sessions."""
        context = self.session.sparkContext
        if _SHUFFLES not in self.chosen:
            self.session.conf.set(_SHUFFLES, str(max(2, len(inputs))))
        shared = context.broadcast(job)

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for row in batch.to_pylist():
                    yield from _run(shared.value, Part(**row))

        rows = [(part.input, part.start, part.size) for part in inputs]
        parts = self.session.createDataFrame(
            context.parallelize(rows, max(len(rows), 1)), "input int, start bigint, size bigint"
        )
        schema = ", ".join(f"{name} {_SPARK[kind]}" for name, kind in _ROW.items())
        return Collected(self, self.keep(parts.mapInArrow(run, schema)), gap)


@dataclass(frozen=True)
class Part:
    """A part of an input, by its number: lines that begin within ``size`` bytes from ``start``; all of it for -1."""

    input: int
    start: int
    size: int


@dataclass(frozen=True)
class Job:
    """What every task is told."""

    params: Params
    period: Period
    key: bytes
    countries: Countries
    inputs: list[tuple[Source, Any]]
    """Source and path, by number."""
    only: np.ndarray | None
    """Flags of the days whose hits are wanted again; None where all are, and lines are to be accounted for."""


def parts(source: Source, path: Any, number: int, size: int) -> list[Part]:
    """The parts that tasks read of a file: a plain combined log is cut, anything else is one task's."""
    plain = isinstance(source, AccessLog) and formats.combined(source) is not None and isinstance(path, Path)
    if not plain or size <= PART or not logs.is_plain(path):
        return [Part(number, -1, size)]
    return [Part(number, start, min(PART, size - start)) for start in range(0, size, PART)]


def _run(job: Job, part: Part) -> Iterator[pa.RecordBatch]:
    source, path = job.inputs[part.input]
    hits = technical.Hits(job.params, job.period, job.key, job.countries, 1)
    marks = Marks(job.key, hits.numbers)
    files = logs.Files([path])
    number = np.zeros(1, np.int64)
    done: dict[str, Any] = {}
    try:
        if part.start < 0:
            batches = sources.read(source, files)
        else:
            language = isinstance(source, AccessLog) and bool(formats.combined(source))
            batches = logs.read_part(path, part.start, part.size, language=language)
        for lines in batches:
            hits.add(lines, number, job.only)
            if job.only is None:
                marks.add(lines, number)
            if hits.size:
                yield from _rows(part.input, hits.take_described())
    except sources.SourceError as error:
        done["error"] = str(error)
    done |= {
        "account": hits.accounts[0].tolist(), "days": np.flatnonzero(hits.days[0]).tolist(),
        "cut_short": bool(files.cut_short),
    }  # fmt: skip
    yield from _rows(part.input, pl.DataFrame({"done": [json.dumps(done)]}))
    if job.only is None:
        seen = marks.of_file(0).select(
            mark_of="kind", bits=pl.col("bits").cast(pl.Int32), mark=pl.col("mark").reinterpret(signed=True)
        )
        yield from _rows(part.input, seen)


def _rows(number: int, frame: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    known = frame.with_columns(input=pl.lit(number, pl.Int32))
    full = known.select(
        pl.col(name) if name in known.columns else pl.lit(None, kind).alias(name) for name, kind in _ROW.items()
    )
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in _ROW.items()])
    yield from full.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema).to_batches(100_000)


def _arrow(frame: pl.DataFrame) -> pa.Table:
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    small = [pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(small))


class Collected:
    """What tasks gave: what was done, marks, and sessions a day at a time."""

    def __init__(self, engine: Spark, rows: Any, gap: int) -> None:
        self.engine, self.rows, self.gap = engine, rows, gap
        self.done = self.engine.polars(rows.filter("done IS NOT NULL").select("input", "done"))
        for text in self.done["done"]:
            if error := json.loads(text).get("error"):
                raise sources.SourceError(error)

    def accounts(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """By part, in no order: the input's number, with ``account``, ``days`` and ``cut_short``."""
        for number, text in self.done.iter_rows():
            yield number, json.loads(text)

    def marks(self) -> dict[int, pl.DataFrame]:
        """Marks of each input, as ``Marks.of_file`` gives them."""
        found = self.rows.filter("mark IS NOT NULL").select("input", "mark_of", "bits", "mark").distinct()
        frame = self.engine.polars(found).select(
            "input", kind="mark_of", bits=pl.col("bits").cast(pl.UInt8), mark=pl.col("mark").reinterpret(signed=False)
        )
        by_input = frame.sort("input", "kind", "bits", "mark").partition_by("input", as_dict=True, include_key=False)
        return {number: part for (number,), part in by_input.items()}  # pyright: ignore[reportReturnType]

    def days(self, days: Iterable[int]) -> Iterator[tuple[int, dict[str, pl.DataFrame]]]:
        """The frames of each of ``days``, as they are stored; only some days' are here at a time."""
        hits = self.rows.filter("visitor IS NOT NULL").select(*technical.ENGINE_HIT)
        frames = {name: self.engine.keep(frame) for name, frame in self.engine.plan(hits, self.gap).items()}
        sizes = dict(self.engine.polars(frames["sessions"].groupBy("day").count()).iter_rows())
        for some in _batches([day for day in days if day in sizes], sizes):
            here = f"day IN ({', '.join(map(str, some))})"
            found = {n: technical.as_stored(n, self.engine.polars(f.filter(here))) for n, f in frames.items()}
            yield from technical.by_day(found)
        for frame in (*frames.values(), self.rows):
            frame.unpersist()


def _batches(days: list[int], sizes: dict[int, int]) -> Iterator[list[int]]:
    """Days one after another, as many as have no more than FETCHED sessions together; one day alone may have more."""
    some: list[int] = []
    for day in days:
        if some and sum(sizes[d] for d in [*some, day]) > FETCHED:
            yield some
            some = []
        some.append(day)
    if some:
        yield some

"""Engines: what is collected and every table are the same, byte for byte, on Polars, DuckDB and Spark."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from company import BOT, FIREFOX, company, line, people
from privacy_metrics import engines, spark, technical, workbook
from privacy_metrics.params import AccessLog, Params, Period, WorkbookError
from privacy_metrics.sample import make_log, write_countries
from privacy_metrics.sources import Files, logs

PROOF = os.environ.get("PROOF") == "1"
JULY = Period.parse("2026-07")
TABLES = [
    ("country", "[country, device]", "[sessions, hits, people]"), ("browser", "[browser, browser_version]", "[hits]"),
    ("clock", "[week, weekday, hour]", "[sessions]"), ("area", "[area, visitor_kind]", "[hits, people]"),
    ("moves", "[from_area, to_area]", "[hits]"), ("products", "[product, action]", "[hits, people]"),
    ("sites", "[referrer_kind, referrer_site, language]", "[sessions, people]"),
    ("ends", "[entry_area, exit_area, region]", "[sessions, hits]"), ("all", "[]", "[sessions, hits, people]"),
]  # fmt: skip
SOME = ("area", "moves", "products", "all")
"""Tables of every frame, counted on Spark where time is short."""
MORE = """
service:
  hosts: [shop.example]
  products: [{product: servers, paths: [/servers], terms: [server]}, {product: backups, paths: [/backups]}]
disclosure: {session_gap: GAP, ipv4_bits: BITS}
tables:
""" + "".join(
    f"  - {{name: {name}, title: {name}, dimensions: {dimensions}, measures: {measures}}}\n"
    for name, dimensions, measures in TABLES
)


SMALL = {
    "spark.sql.codegen.wholeStage": "false", "spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": "1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError",
}  # fmt: skip
"""Spark without what pays on large data only."""


def why_not() -> str | None:
    """Why Spark can't run here; None where it can."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed (make test installs it where there is Java: requirements-spark.lock)"
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).is_file():
        return "there is no Java (Debian: apt-get install openjdk-17-jre-headless)"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < 17:
        return f"Spark needs Java 17 or later, not {version[0] if version else told[:80]!r}"
    return None


ENGINES = ["duckdb", pytest.param("spark", marks=pytest.mark.skipif(bool(why_not()), reason=why_not() or ""))]


@st.composite
def hits(draw: st.DrawFn) -> str:
    """A line of a July day: few people, few moments near each other and near midnight, seldom broken."""
    if draw(st.integers(0, 20)) == 0:
        return draw(st.sampled_from(["", "no line", line(status=404), line(agent=BOT), line(method="HEAD")]))
    day, clock = (
        draw(st.integers(1, 4)),
        draw(st.sampled_from(["00:00:00", "00:00:07", "00:01:10", "00:20:00", "23:50:00"])),
    )
    return line(
        f"0{day}/Jul/2026:{clock} +0300",
        address=draw(st.sampled_from(["240.1.2.3", "241.9.2.3", "3fff:1::1", "a-host"])),
        user=draw(st.sampled_from(["-", "-", "ann", "\u00e5sa"])),
        path=draw(st.sampled_from(["/docs", "/Blog/a", "/", "/servers/x", "/backups", "/search?q=server"])),
        agent=draw(st.sampled_from([FIREFOX, "curl/8.1", "-", FIREFOX.replace("128", "99")])),
        referrer=draw(st.sampled_from(["-", "https://www.google.com/", "https://shop.example/", "https://b.example/"])),
    )


def written(root: Path, lines: list[str], gap: int = 1800, bits: int = 16) -> Params:
    """A company whose lines stand in two files, one of them compressed."""
    params = company(root, lines[::2], more=MORE.replace("GAP", str(gap)).replace("BITS", str(bits)))
    (root / "logs" / "b.log").write_bytes(gzip.compress("".join(text + "\n" for text in lines[1::2]).encode()))
    return params


def on(params: Params, engine: str) -> Params:
    found = params.model_copy(update={"engine": engine})
    if not found.spark.config:
        found = found.model_copy(update={"spark": found.spark.model_copy(update={"config": SMALL})})
    found._root, found._folder = params.root, params.folder
    return found


def content(zone: Path) -> dict[str, bytes]:
    return {str(p.relative_to(zone)): p.read_bytes() for p in sorted(zone.rglob("*")) if p.is_file()}


def collected(params: Params, period: Period, engine: str, key: bytes = b"k" * 32) -> dict[str, bytes]:
    """What a first collection writes with a known key."""
    zone = params.confidential(period)
    shutil.rmtree(zone, ignore_errors=True)
    zone.mkdir(parents=True)
    (zone / "key").write_bytes(key)
    workbook.collect(on(params, engine), period)
    return content(zone)


def tables(params: Params, period: Period, engine: str, wanted: Sequence[str] = ()) -> dict[str, bytes]:
    frames = workbook.sessions(params, period)
    machine = engines.engine(on(params, engine))
    specs = [spec for spec in params.tables if not wanted or spec.name in wanted]
    return {spec.name: technical.cells(spec, frames, period, machine).frame.write_csv().encode() for spec in specs}


@pytest.mark.parametrize("engine", ENGINES)
def test_random_logs_give_the_same_bytes_on_every_engine(engine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    examples = (200 if PROOF else 4) if engine == "duckdb" else (25 if PROOF else 2)

    wanted = SOME if engine == "spark" and not PROOF else ()
    # On Spark an example takes seconds: the first that fails is told as it is.
    phases = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if engine == "duckdb" else [])]

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), phases=phases)
    @given(st.lists(hits(), max_size=40), st.sampled_from([60, 600, 1800]), st.sampled_from([8, 12, 16]))
    def same(lines: list[str], gap: int, bits: int) -> None:
        params = written(tmp_path_factory.mktemp("company"), [line(), *lines], gap, bits)
        expected = collected(params, JULY, "polars")
        counted = tables(params, JULY, "polars", wanted)
        assert collected(params, JULY, engine) == expected
        assert tables(params, JULY, engine, wanted) == counted

    same()


def test_the_comparison_sees_a_plan_without_a_total_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same_second = [line(path=f"/{area}", user="ann") for area in "dcba"]
    params = written(tmp_path, same_second)
    expected = collected(params, JULY, "polars")
    assert collected(params, JULY, "duckdb") == expected
    monkeypatch.setattr("privacy_metrics.visits._ORDER", ("time",))
    assert collected(params, JULY, "duckdb") != expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_day_more_and_a_changed_file_are_collected_the_same_on_every_engine(engine: str, tmp_path: Path) -> None:
    params = written(tmp_path, [line(user=f"u{n}", path=f"/{n % 3}") for n in range(30)])
    results = []
    for name in ("polars", engine):
        (tmp_path / "logs" / "c.log").unlink(missing_ok=True)
        collected(params, JULY, name)
        for text in (line("02/Jul/2026:09:00:00 +0300"), line("01/Jul/2026:09:00:00 +0300", user="u3", path="/9")):
            (tmp_path / "logs" / "c.log").write_text(text + "\n")
            os.utime(tmp_path / "logs" / "c.log", (1, 1))
            workbook.collect(on(params, name), JULY)
            results.append(content(params.confidential(JULY)))
    assert results[:2] == results[2:]


def test_parts_of_a_file_hold_each_line_once(tmp_path: Path) -> None:
    texts = [line(user=f"u{n}", path="/" + "x" * (n % 50)) for n in range(200)] + ["no end"]
    path = tmp_path / "a.log"
    path.write_text("\n".join(texts))
    (whole,) = logs.read(Files([path]), language=False)
    expected = whole.frame()
    for size in (23, 101, 4096, 10**6):
        found = [
            lines.frame()
            for start in range(0, path.stat().st_size, size)
            for lines in logs.read_part(path, start, size, language=False)
        ]
        assert pl.concat(found).equals(expected)


def test_a_plain_log_is_cut_into_parts_and_a_compressed_one_is_not(tmp_path: Path) -> None:
    for name, text in (("a.log", b"x" * 100), ("b.log", gzip.compress(os.urandom(100)))):
        (tmp_path / name).write_bytes(text)
    size = 3 * spark.PART + 1
    assert len(spark.parts(AccessLog(path="x"), tmp_path / "a.log", 0, size)) == 4
    assert len(spark.parts(AccessLog(path="x"), tmp_path / "b.log", 0, size)) == 1
    assert len(spark.parts(AccessLog(path="x", log_format="common"), tmp_path / "a.log", 0, size)) == 1


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "")
def test_what_spark_could_not_do_is_told_without_a_row(tmp_path: Path) -> None:
    engine = spark.Spark(on(written(tmp_path, []), "spark").spark)
    said = {"raise_error('nl-20007')": "USER_RAISED_EXCEPTION", "CAST('nl-20007' AS int)": "CAST_INVALID_INPUT"}
    for query, condition in said.items():
        expected = rf"engine: spark at local.* did not do what it was asked \({condition}\).*spark\.driver\.memory"
        with pytest.raises(WorkbookError, match=expected) as told:
            engine.polars(engine.session.sql(f"SELECT {query} AS x FROM range(2)"))
        assert "20007" not in str(told.value)


def test_without_pyspark_an_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyspark.sql", None)
    params = written(tmp_path, people(3))
    with pytest.raises(WorkbookError, match=r"engine: spark needs the package pyspark; install .*Java 17"):
        workbook.collect(on(params, "spark"), JULY)


# ---- a cluster ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A standalone master and two workers on loopback, each in a process group of its own."""
    if reason := why_not():
        pytest.skip(reason)
    home = Path(str(find_spec("pyspark").submodule_search_locations[0]))  # pyright: ignore[reportOptionalMemberAccess, reportOptionalSubscript]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"spark://127.0.0.1:{port}"
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    started = []

    def start(kind: str, *options: str) -> None:
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", "--host", "127.0.0.1"]
        log = (tmp_path / f"{len(started)}.log").open("wb")
        started.append(
            subprocess.Popen(
                [*command, "--webui-port", "0", *options], env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )
        )  # fmt: skip

    start("master.Master", "--port", str(port))
    for number in (1, 2):
        start("worker.Worker", "--cores", "1", "--memory", "1g", "--work-dir", str(tmp_path / f"work{number}"), url)
    deadline = time.monotonic() + 60
    while (tmp_path / "0.log").read_text().count("Registering worker") < 2:
        assert time.monotonic() < deadline, "the workers did not register with the master"
        time.sleep(0.2)
    yield url, started[1:]
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_java() -> None:
    """Ends the Java of the tests before: a session has one master, and their memory is not given back."""
    from pyspark import SparkContext

    if (other := SparkContext._active_spark_context) is not None:
        other.stop()
    if (gateway := SparkContext._gateway) is not None:
        gateway.shutdown()
        gateway.proc.kill()
        gateway.proc.wait()
        SparkContext._gateway = SparkContext._jvm = None


def test_a_cluster_that_loses_a_worker_gives_the_same_tables(
    cluster: tuple[str, list[subprocess.Popen]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, workers = cluster
    end_java()
    quarter = Period.parse("2026Q3")
    params = written(tmp_path, [])
    (tmp_path / "logs" / "b.log").unlink()
    write_countries(tmp_path / "countries.mmdb")
    make_log(tmp_path / "logs" / "a.log", 2_000_000 if PROOF else 60_000)
    expected = collected(params, quarter, "polars")
    wanted = () if PROOF else SOME
    counted = tables(params, quarter, "polars", wanted)
    monkeypatch.setattr(spark, "FETCHED", 5_000)
    monkeypatch.setattr(spark, "PART", (tmp_path / "logs" / "a.log").stat().st_size // 16)
    config = {
        **({} if PROOF else SMALL),
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.executor.memory": "700m",
        "spark.sql.shuffle.partitions": "2",
    }  # fmt: skip
    params = params.model_copy(update={"spark": params.spark.model_copy(update={"master": url, "config": config})})
    params._root, params._folder = tmp_path, tmp_path / "params"
    engine = spark.Spark(params.spark)
    session = engine.session
    deadline = time.monotonic() + 60
    while len(session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()) < 1 + len(workers):  # the driver too
        assert time.monotonic() < deadline, "the workers' executors did not start"
        time.sleep(0.2)
    sent = pl.DataFrame({"number": range(10_000)})
    there = engine.frame(sent)
    killed: list[int] = []

    def kill() -> None:
        """Kills a worker with its executor when some tasks of a stage are done and others are not."""
        tracker = session.sparkContext.statusTracker()
        while not killed:
            for stage in tracker.getActiveStageIds():
                info = tracker.getStageInfo(stage)
                if info and 1 <= info.numCompletedTasks < info.numTasks - 1 and info.numActiveTasks:
                    os.killpg(workers[0].pid, signal.SIGKILL)
                    killed.append(info.numTasks - info.numCompletedTasks)
                    break
            time.sleep(0.02)

    watcher = threading.Thread(target=kill, daemon=True)
    watcher.start()
    try:
        assert collected(params, quarter, "spark") == expected
        assert killed
        assert killed[0] >= 1
        assert workers[0].wait(10) == -signal.SIGKILL
        assert workers[1].poll() is None
        assert engine.polars(there.orderBy("number")).equals(sent)  # what had been sent outlives a worker too
        assert tables(params, quarter, "spark", wanted) == counted
    finally:
        killed.append(0)
        session.stop()

"""How fast and how large ``collect`` is: beside its peers, by size, compressed, and a day later.

    make bench                                       # 2 million lines, three rounds
    .venv/bin/python benchmarks/collect.py --lines 20000000 --rounds 3

The log is made by the sample's generator: 200,000 addresses, 3,000 clients. All programs look up countries in the same
database; GoAccess anonymises addresses; benchmarks/duckdb_peer.py says what that statement lacks. They run as whole
processes, in turn, with the log in the page cache; a ratio is the median of those of each round. With ``--folder`` what
was made stays there for another run. Where GoAccess or zstd is not installed, that is said.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import maxminddb
import polars as pl

from privacy_metrics import geography
from privacy_metrics.params import Period
from privacy_metrics.sample import make_log, write_countries
from privacy_metrics.sources import Files, logs

PERIOD = Period.parse("2026Q3")
PARAMS = """
organisation: {{name: Benchmark, country: FI, time_zone: Europe/Helsinki}}
sources:
  technical: [{{path: "{path}"}}]
  countries: {{mmdb: ../countries.mmdb}}
"""
COLLECT = [sys.executable, "-m", "privacy_metrics", "collect", PERIOD.label]


@dataclass(frozen=True)
class Cost:
    """What one process cost: seconds by the wall and of processors, and peak resident memory (MiB)."""

    wall: float
    processor: float
    peak: int


def measured(command: list[str], cwd: Path) -> Cost:
    """Runs a process to its end; its output is dropped, its failure is not."""
    # Compiled modules are kept, as they are where nobody forbids it: what is installed is not compiled at every start.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=kept, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)}: failed with status {status}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def company(folder: Path, name: str, path: str) -> Path:
    """A folder with parameters that read ``path``."""
    root = folder / name
    shutil.rmtree(root, ignore_errors=True)
    (root / "params").mkdir(parents=True)
    (root / "params" / "params.yaml").write_text(PARAMS.format(path=path))
    return root


def collected(root: Path) -> Cost:
    """A first collection."""
    shutil.rmtree(root / "confidential", ignore_errors=True)
    return measured(COLLECT, root)


def account(root: Path) -> dict[str, int]:
    return json.loads((root / "confidential" / PERIOD.label / "collect.json").read_text())["account"]


def cached(path: Path) -> int:
    """Reads a file, so that it is in the page cache; gives its line ends."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 24), b""))


def made(folder: Path, lines: int) -> Path:
    path = folder / f"{lines}.log"
    if not path.is_file():
        make_log(path, lines)
        write_countries(folder / "countries.mmdb")
    return path


def median(costs: list[Cost]) -> float:
    return statistics.median(cost.wall for cost in costs)


def ratios(over: list[float], under: list[float]) -> str:
    found = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def times(over: list[Cost], under: list[Cost]) -> str:
    """The ratio by the wall, and of what processors had to do, which other programs on the machine hardly change."""
    processor = [a.processor / b.processor for a, b in zip(over, under, strict=True)]
    wall = ratios([cost.wall for cost in over], [cost.wall for cost in under])
    return f"{wall} times (of processor time {statistics.median(processor):.2f})"


def peers(folder: Path, log: Path, lines: int, rounds: int, wanted: list[str]) -> Cost:
    """Beside GoAccess and DuckDB. Gives the median seconds of ``collect`` and its peak memory."""
    root = company(folder, "plain", f"../{log.name}")
    commands = {
        "collect": COLLECT,
        "DuckDB": [
            sys.executable, str(Path(__file__).with_name("duckdb_peer.py")), str(log), str(folder / "countries.mmdb"),
            str(folder / "duckdb"),
        ],
        "GoAccess": [
            "goaccess", str(log), "--log-format=COMBINED", "--anonymize-ip", "--no-global-config",
            f"--geoip-database={folder / 'countries.mmdb'}", "--output=goaccess.json",
        ],
    }  # fmt: skip
    if not shutil.which("goaccess"):
        print("GoAccess is not installed: no comparison (Debian: apt-get install goaccess)")
        del commands["GoAccess"]
    commands = {name: command for name, command in commands.items() if name in ["collect", *wanted]}
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(collected(root) if name == "collect" else measured(command, root))
    if account(root)["read"] != lines:
        raise SystemExit(f"collect accounts for {account(root)['read']:,} lines of {lines:,}")
    for name, found in costs.items():
        processor = statistics.median(cost.processor for cost in found)
        print(
            f"{name:9} {median(found):7.2f} s, {processor:.2f} s of processors  "
            f"{lines / median(found) / 1e6:5.2f} M lines/s  peak {max(cost.peak for cost in found):,} MiB"
        )
    for name in [name for name in commands if name != "collect"]:
        print(f"  {name} takes {times(costs[name], costs['collect'])} as long as collect")
    ours = sorted(costs["collect"], key=lambda cost: cost.wall)
    middle = ours[len(ours) // 2]
    return Cost(middle.wall, middle.processor, max(cost.peak for cost in ours))


def compressed(folder: Path, log: Path, plain: Cost, rounds: int) -> None:
    """gzip and zstd, beside the decompressor alone and the plain log."""
    for program, ending in (("gzip", ".gz"), ("zstd", ".zst")):
        if not shutil.which(program):
            print(f"{program} is not installed: not measured")
            continue
        path = log.with_name(log.name + ending)
        if not path.is_file():
            with path.open("wb") as file:
                subprocess.run([program, "-c", "-3", str(log)], check=True, stdout=file)
        cached(path)
        root = company(folder, program, f"../{path.name}")
        ours, alone = [], []
        for _ in range(rounds):
            ours.append(collected(root))
            alone.append(measured([program, "-dc", str(path)], folder))
        limit = [max(cost, plain, key=lambda cost: cost.wall) for cost in alone]
        print(
            f"{program:9} {median(ours):7.2f} s  {program} -dc alone {median(alone):.2f} s: "
            f"{times(ours, limit)} the larger of that and of the plain time"
        )


def countries(folder: Path, log: Path, rounds: int) -> None:
    """The country of each distinct address of the log, beside one look-up of each with maxminddb."""
    found: set[str] = set()
    for lines in logs.read(Files([log]), language=False):
        found.update(lines.texts["address"].values.drop_nulls().to_list())
    addresses = sorted(found)
    series = pl.Series(addresses, dtype=pl.String)
    ranges = geography.load(folder / "countries.mmdb")
    _, keys, _, halves = geography.packed(series)
    theirs, alone, ours = [], [], []
    with maxminddb.open_database(folder / "countries.mmdb", maxminddb.MODE_MMAP_EXT) as reader:
        for _ in range(5 * rounds):  # they are short, and a ratio of short times varies
            started = time.perf_counter()
            records = [reader.get(address) for address in addresses]
            theirs.append(time.perf_counter() - started)
            started = time.perf_counter()
            ranges.v4.find(keys)
            ranges.v6.find(halves[:, 0])
            alone.append(time.perf_counter() - started)
            started = time.perf_counter()
            resolved = geography.resolve(series, ranges, ipv4_bits=16, ipv6_bits=32)["country"]
            ours.append(time.perf_counter() - started)
    if resolved.to_list() != [geography._iso_code(record) for record in records]:
        raise SystemExit("the countries are not those that maxminddb finds")
    v6 = len(halves) / len(addresses)
    print(
        f"countries of {len(addresses):,} distinct addresses ({v6:.0%} IPv6), identical: from text to country and "
        f"truncated network {ratios(theirs, ours)} times as fast as by maxminddb, the look-up of numbers alone "
        f"{ratios(theirs, alone)}"
    )


def day_by_day(folder: Path, log: Path, whole: Cost, rounds: int) -> None:
    """A file a day: what the last day costs when the others are collected, and what a changed file costs."""
    root = company(folder, "days", "logs/*.log")
    (root / "logs").mkdir()
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        starts = [0]
        for day in PERIOD.days[1:]:
            starts.append(content.rfind(b"\n", 0, content.find(day.strftime("[%d/%b/%Y:").encode(), starts[-1])) + 1)
        for day, start, end in zip(PERIOD.days, starts, [*starts[1:], len(content)], strict=True):
            (root / "logs" / f"{day}.log").write_bytes(content[start:end])
    last = root / "logs" / f"{PERIOD.days[-1]}.log"
    text = last.read_bytes()
    lines = text.count(b"\n")
    alone = company(folder, "day", "logs/*.log")
    (alone / "logs").mkdir()
    (alone / "logs" / last.name).write_bytes(text)
    later, changed, only = [], [], []
    for _ in range(rounds):
        last.unlink()
        shutil.rmtree(root / "confidential", ignore_errors=True)
        measured(COLLECT, root)
        before = account(root)["read"]
        last.write_bytes(text)
        later.append(measured(COLLECT, root))
        only.append(collected(alone))
        if account(root)["read"] - before != lines:
            raise SystemExit("the day that was added is not accounted for")
        last.write_bytes(text + text[: text.index(b"\n") + 1])
        changed.append(measured(COLLECT, root))
        if account(root)["read"] - before != lines + 1:
            raise SystemExit("the changed file was not collected again")
    nothing = measured(COLLECT, root).wall
    print(
        f"a day more ({lines:,} lines) {median(later):.2f} s, that day alone {median(only):.2f} s, its file changed "
        f"{median(changed):.2f} s, nothing new {nothing:.2f} s, all days {whole.wall:.2f} s: a day more takes "
        f"{times(later, only)} that day alone"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=["DuckDB", "GoAccess"], help="which of them to run")
    parser.add_argument("--folder", type=Path, help="where the logs are made, and stay; else in a temporary folder")
    parser.add_argument("--make", action="store_true", help="only make the logs")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        log, tenth = made(folder, options.lines), made(folder, options.lines // 10)
        if options.make:
            return
        lines, few = cached(log), cached(tenth)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        print(f"{lines:,} lines, {log.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores, {options.rounds} rounds")
        whole = peers(folder, log, lines, options.rounds, options.peers)
        small = [collected(company(folder, "tenth", f"../{tenth.name}")) for _ in range(options.rounds)]
        fewer = max(cost.peak for cost in small)
        processor = whole.processor / statistics.median(cost.processor for cost in small)
        print(
            f"{few:9,} lines {median(small):.2f} s, peak {fewer:,} MiB: {lines / few:.1f} times the lines take "
            f"{whole.wall / median(small):.1f} times the time (of processors {processor:.1f}) and "
            f"{whole.peak / fewer:.2f} times the memory"
        )
        compressed(folder, log, whole, options.rounds)
        countries(folder, log, options.rounds)
        day_by_day(folder, log, whole, options.rounds)
        report = measured([sys.executable, "-m", "privacy_metrics", "report", PERIOD.label], folder / "plain")
        print(f"report after collect: {report.wall:.1f} s, peak {report.peak:,} MiB (papermill, HTML, data files)")


if __name__ == "__main__":
    main()

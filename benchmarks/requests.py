"""How fast and how large the register of requests is, end to end: read and validated, due dates, every table.

    make bench                                            # with the other benchmarks
    .venv/bin/python benchmarks/requests.py --rows 5000000 --rounds 3

The register is made by the sample's generator, its rows repeated under new numbers, and written as CSV and as Parquet.
Each measured run is a process of its own: reading it, the account of its rows, and every table of one quarter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl

from privacy_metrics.params import Period
from privacy_metrics.sample import AS_OF, make_register

RUN = """
import sys
from datetime import date
from privacy_metrics.deadlines import Calendar
from privacy_metrics.requests import read_register, request_tables
path, first, last, as_of = sys.argv[1], *map(date.fromisoformat, sys.argv[2:])
register = read_register(path, as_of=as_of)
tables = request_tables(register, Calendar("FI"), first, last, as_of, "2026Q3")
print(register.account["read"], len(tables))
"""
PERIOD = Period.parse("2026Q3")


def make(folder: Path, rows: int) -> dict[str, Path]:
    """The register as ``requests.csv`` and ``requests.parquet``, of ``rows`` rows."""
    base = make_register([PERIOD.previous(2), PERIOD.previous(1), PERIOD])
    copies = -(-rows // base.height)
    numbered = pl.concat(
        base.with_columns(
            pl.format("{}-{}", name, pl.lit(copy)).alias(name) for name in ("request_id", "case_id")
        ).lazy()
        for copy in range(copies)
    )
    paths = {"CSV": folder / "requests.csv", "Parquet": folder / "requests.parquet"}
    numbered.head(rows).sink_csv(paths["CSV"])
    pl.scan_csv(paths["CSV"], infer_schema=False).sink_parquet(paths["Parquet"])
    return paths


def measured(path: Path) -> tuple[float, float, int, str]:
    """Wall seconds, processor seconds and peak resident memory (MiB) of one process, and what it printed."""
    command = [sys.executable, "-c", RUN, str(path), *map(str, (PERIOD.first, PERIOD.last, AS_OF))]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"reading {path.name} failed with status {status}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, said.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    assert date(2026, 10, 1) == AS_OF
    with tempfile.TemporaryDirectory() as name:
        for kind, path in make(Path(name), options.rows).items():
            path.read_bytes()  # in the page cache
            rounds = [measured(path) for _ in range(options.rounds)]
            seconds, processor = (statistics.median(r[n] for r in rounds) for n in (0, 1))
            peak = max(r[2] for r in rounds)
            rows, tables = rounds[0][3].split()
            assert int(rows) == options.rows, rows
            size = f"{options.rows:,} requests, {path.stat().st_size / 1e6:,.0f} MB"
            print(
                f"{kind:8} {size}: {seconds:5.1f} s ({processor:.1f} s of processor, {os.cpu_count()} cores), "
                f"peak {peak:,} MiB, {tables} tables"
            )


if __name__ == "__main__":
    main()

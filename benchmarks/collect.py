"""How fast and how large ``collect`` is, beside GoAccess on the same log in the same run; and what a report costs.

    make bench                                       # 2 million lines, three rounds
    .venv/bin/python benchmarks/collect.py --lines 5000000 --rounds 5

The log is made by the sample's generator: 200,000 addresses, 3,000 clients. Both programs anonymise addresses and look
up countries in the same database; both run as whole processes, in turn. Where GoAccess is not installed, that is said.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from privacy_metrics.sample import make_log, write_countries

PARAMS = """
organisation: {name: Benchmark, country: FI, time_zone: Europe/Helsinki}
sources:
  technical: [{path: access.log}]
  countries: {mmdb: countries.mmdb}
"""


def measured(command: list[str], cwd: Path) -> tuple[float, int]:
    """Wall seconds and peak resident memory (MiB) of one process; its output is dropped, its failure is not."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)}: failed with status {status}")
    return seconds, usage.ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "params").mkdir()
        (folder / "params" / "params.yaml").write_text(PARAMS)
        make_log(folder / "access.log", options.lines)
        write_countries(folder / "countries.mmdb")
        log = folder / "access.log"
        lines = sum(block.count(b"\n") for block in iter(log.open("rb").read1, b""))
        log.read_bytes()  # in the page cache for both
        print(f"{lines:,} lines, {log.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores")
        ours = [sys.executable, "-m", "privacy_metrics", "collect", "2026Q3"]
        theirs = [
            "goaccess", str(log), "--log-format=COMBINED", "--anonymize-ip", "--no-global-config",
            f"--geoip-database={folder / 'countries.mmdb'}", "--output=goaccess.json",
        ]  # fmt: skip
        peers = {"collect": ours}
        if shutil.which("goaccess"):
            peers["GoAccess"] = theirs
        else:
            print("GoAccess is not installed: no comparison (Debian: apt-get install goaccess)")
        times: dict[str, list[tuple[float, int]]] = {peer: [] for peer in peers}
        for _ in range(options.rounds):
            for peer, command in peers.items():
                shutil.rmtree(folder / "confidential", ignore_errors=True)
                times[peer].append(measured(command, folder))
        for peer, rounds in times.items():
            seconds = statistics.median(s for s, _ in rounds)
            peak = max(mib for _, mib in rounds)
            print(f"{peer:9} {seconds:6.2f} s  {lines / seconds / 1e6:5.2f} M lines/s  peak {peak:,} MiB")
        if "GoAccess" in times:
            ratios = [g[0] / c[0] for c, g in zip(times["collect"], times["GoAccess"], strict=True)]
            print(f"collect is {statistics.median(ratios):.1f} times as fast ({min(ratios):.1f} to {max(ratios):.1f})")
        subprocess.run(ours, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        account = json.loads((folder / "confidential" / "2026Q3" / "collect.json").read_text())["account"]
        assert account["read"] == lines, account
        seconds, peak = measured([sys.executable, "-m", "privacy_metrics", "report", "2026Q3"], folder)
        print(f"report after collect: {seconds:.1f} s, peak {peak:,} MiB (papermill, HTML, data files)")


if __name__ == "__main__":
    main()

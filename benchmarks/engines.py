"""What ``collect`` costs on each engine for a billion lines, from a log and a tenth of it: docs/scale.md quotes it.

    .venv/bin/python benchmarks/engines.py --lines 5000000 --engines polars duckdb spark

The cost of a line is the time of the large log less that of the small one, by the lines that it has more, so that the
start of Python and of Java does not count. ``--master`` is where Spark runs (local[*]).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from collect import cached, collected, company, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--engines", nargs="*", default=["polars", "duckdb", "spark"])
    parser.add_argument("--master", default="local[*]")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        several = [made(folder, lines) for lines in (options.lines // 10, options.lines)]
        lines = [cached(log) for log in several]
        for engine in options.engines:
            seconds = []
            for log in several:
                root = company(folder, engine, f"../{log.name}")
                chosen = f"engine: {engine}\nspark: {{master: '{options.master}'}}\n"
                (root / "params" / "engine.yaml").write_text(chosen)
                seconds.append(statistics.median(collected(root).wall for _ in range(options.rounds)))
            each = (seconds[1] - seconds[0]) / (lines[1] - lines[0])
            print(
                f"{engine:7} {lines[0]:,} lines {seconds[0]:.1f} s, {lines[1]:,} lines {seconds[1]:.1f} s: "
                f"{each * 1e9 / 60:.0f} minutes a billion lines more"
            )


if __name__ == "__main__":
    main()

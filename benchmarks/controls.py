"""How long the controls over consent and cookies take, and how much memory: 10 million events, each with its consent.

    make bench                                             # 10 million events, 2 million consents
    .venv/bin/python benchmarks/controls.py --events 1000000

The registers lie as the confidential zone has them. What is measured is a whole process that reads them and evaluates
``consent-before-cookies`` and ``consent-changeable`` over a quarter. As many exceptions as were planted must be found.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

PERIOD = "2026Q3"
_EPOCH = 1_782_853_200
"""Midnight in Helsinki on 1 July 2026."""


def make(folder: Path, events: int) -> tuple[int, int]:
    """Writes both registers; gives how many events have no consent, and how many follow a withdrawal."""
    rng = np.random.default_rng(7)
    people = events // 10
    subject = rng.integers(1, 2**63, people, dtype=np.uint64)
    purposes = np.array(["marketing", "preferences", "statistics"])
    given = _EPOCH + rng.integers(0, 40 * 86_400, people)
    purpose = rng.integers(0, 3, people)
    withdrawn = rng.random(people) < 0.2
    until = given + 30 * 86_400
    changes = pl.concat(
        [
            pl.DataFrame(
                {"subject_ref": subject[chosen], "purpose": purposes[purpose[chosen]], "at": at[chosen]}
            ).with_columns(state=pl.lit(state))
            for state, at, chosen in (
                ("granted", given, np.ones(people, bool)), ("denied", until, withdrawn),
                ("granted", given - 400 * 86_400, rng.random(people) < 0.8),
            )
        ]
    )  # fmt: skip
    # A consent of last year counts too: only those who never gave one before are asked for by the first events.
    old = changes.slice(people + int(withdrawn.sum()))["subject_ref"]
    at = pl.from_epoch("at", "s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    none = pl.lit(None, pl.Datetime("us", "UTC"))
    changes = changes.sample(fraction=1, shuffle=True, seed=1).with_row_index("row", 2)
    changes.select(
        "row", "subject_ref", "purpose", pl.col("state").cast(pl.Enum(["granted", "denied"])), at.alias("at"),
        effective_at=none, expires_at=none, recorded_at=at, notice_version=pl.lit("1"),
    ).write_parquet(folder / "consents.parquet")  # fmt: skip
    who = rng.integers(0, people, events)
    moment = _EPOCH + rng.integers(0, 90 * 86_400, events)
    has_old = pl.DataFrame({"s": subject[who]})["s"].is_in(old.implode()).to_numpy()
    early = int(((moment < given[who]) & ~has_old).sum())
    late = int((withdrawn[who] & (moment > until[who])).sum())
    frame = pl.DataFrame({"subject_ref": subject[who], "at": moment, "category": purposes[purpose[who]]})
    frame.with_row_index("row", 2).select(
        "row", "subject_ref", at.alias("at"), "category", necessary=pl.lit(False)
    ).write_parquet(folder / "cookie_events.parquet")  # fmt: skip
    return early, late


def evaluate(folder: Path) -> None:
    """Prints the exceptions of both controls; runs in a process of its own."""
    from privacy_metrics.controls import CONTROLS, Scope
    from privacy_metrics.deadlines import Calendar
    from privacy_metrics.params import Params, Period

    notice = Params.load(Path(__file__).parents[1] / "params").notice
    assert notice is not None
    scope = Scope(Period.parse(PERIOD), "Europe/Helsinki", Calendar("FI"), notice, date(2026, 10, 1))
    frames = [pl.read_parquet(folder / f"{name}.parquet") for name in ("cookie_events", "consents")]
    for name in ("consent-before-cookies", "consent-changeable"):
        cases = CONTROLS[name].cases(scope, *frames)
        assert isinstance(cases, pl.DataFrame)
        print(cases.height, int(cases["notice"].sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--evaluate", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.evaluate:
        evaluate(options.evaluate)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted = make(folder, options.events)
        command = [sys.executable, __file__, "--evaluate", name]
        started = time.perf_counter()
        with (folder / "found").open("w") as found:
            process = subprocess.Popen(command, stdout=found)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status:
            raise SystemExit(f"the controls failed with status {status}")
        counted = [tuple(map(int, line.split())) for line in (folder / "found").read_text().splitlines()]
        assert [n for _, n in counted] == list(planted), (counted, planted)
        changes = pl.scan_parquet(folder / "consents.parquet").select(pl.len()).collect().item()
        print(f"{options.events:,} cookie events against {changes:,} changes of consent, two controls:")
        work, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024
        print(f"{seconds:.1f} s ({work:.1f} s of the processor), peak {peak:,} MiB")
        print(f"{sum(planted):,} planted exceptions: all found, and no other")


if __name__ == "__main__":
    main()

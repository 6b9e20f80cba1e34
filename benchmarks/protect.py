"""How long it takes to protect and to audit tables: 60 x 13 x 8 categories with margins, 50,000 cells, the sample.

.venv/bin/python benchmarks/protect.py           # part of make bench
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from privacy_metrics import workbook
from privacy_metrics.disclosure import TOTAL, Cells, Policy, control
from privacy_metrics.params import Params, Period


def made(shape: tuple[int, ...], mean: float, seed: int = 1) -> Cells:
    """A table with all margins whose cells are skewed as countries, browsers and devices are."""
    rng = np.random.default_rng(seed)
    scale = np.ones(shape)
    for axis, size in enumerate(shape):
        weights = 1 / np.arange(1, size + 1) ** 1.1
        scale = scale * (weights / weights.mean()).reshape([-1 if axis == a else 1 for a in range(len(shape))])
    people = rng.poisson(mean * scale)
    sessions = people + rng.poisson(people * 1.5)
    people, sessions = (_with_margins(values) for values in (people, sessions))
    names = [[*(f"{chr(97 + axis)}{n:02}" for n in range(size)), TOTAL] for axis, size in enumerate(shape)]
    dimensions = tuple(f"d{axis}" for axis in range(len(shape)))
    frame = pl.DataFrame(list(product(*names)), schema=list(dimensions), orient="row")
    frame = frame.with_columns(
        sessions=pl.Series(sessions.ravel(), dtype=pl.Int64), people=pl.Series(people.ravel(), dtype=pl.Int64)
    )
    return Cells("t", "t", "2026Q3", dimensions, ("sessions",), frame.filter(pl.col("people") > 0))


def _with_margins(values: np.ndarray) -> np.ndarray:
    for axis in range(values.ndim):
        values = np.concatenate([values, values.sum(axis=axis, keepdims=True)], axis=axis)
    return values


def sample_quarter() -> None:
    """Prepares the sample's third quarter, with the two before it known: every table, each withheld value audited."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(Path(__file__).parents[1] / "params", folder / "params")
        for command in (("sample", "sample"), ("collect", "--history", "2026Q3")):
            subprocess.run(
                [sys.executable, "-m", "privacy_metrics", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL
            )
        params = Params.load(folder / "params")
        for period in Period.parse("2026Q3").history(2):
            started = time.perf_counter()
            workbook.prepare(params, period)
            print(f"the sample's {period.label}, all its tables: {time.perf_counter() - started:.1f} s")


def main() -> None:
    sample_quarter()
    for shape, mean in (((60, 13, 8), 14.0), ((166, 36, 10), 14.0)):
        table = made(shape, mean)
        small = table.frame.filter(pl.col("people") < 10).height
        started = time.perf_counter()
        audit = control([table], Policy(10, "internal")).audit
        seconds = time.perf_counter() - started
        assert audit is not None
        assert audit.widths["1"] == audit.values  # none is narrower than required
        nearest = audit.most_exposed[0]
        print(
            f"{' x '.join(map(str, shape))}: {audit.cells:,} cells, {small:,} of them of 1 to 9 people: "
            f"{seconds:.1f} s, {audit.withheld:,} withheld ({audit.secondary:,} secondary), narrowest interval "
            f"{nearest.high - nearest.low} ({nearest.times} times the required one at least)"
        )
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB")


if __name__ == "__main__":
    main()

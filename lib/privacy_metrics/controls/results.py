"""The results of a period: kept in the confidential zone, and made into tables for disclosure control."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ..disclosure import TOTAL, Cells
from ..notice import LAYERS
from .evaluation import CONTROLS, EXCEPTIONS, VERDICTS, Finding, Result

_RESULTS, _ROWS = "controls.json", "exceptions.parquet"


def save(results: Iterable[Result], folder: Path) -> None:
    """Writes ``controls.json`` and ``exceptions.parquet`` into ``folder``, mode 0600."""
    results = list(results)
    same = {name: pl.col(name) for name in EXCEPTIONS.columns}
    rows = [r.rows.select(promise=pl.lit(r.promise), control=pl.lit(r.control), **same) for r in results]
    empty = EXCEPTIONS.select(promise=pl.lit(""), control=pl.lit(""), **same)
    pl.concat([empty, *rows]).write_parquet(folder / _ROWS, compression="zstd", statistics=False)
    (folder / _ROWS).chmod(0o600)
    plain = [{f.name: _plain(getattr(r, f.name)) for f in fields(r) if f.name != "rows"} for r in results]
    with os.fdopen(os.open(folder / _RESULTS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(plain, indent=1, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, Finding):
        return {"verdict": value.verdict, "exceptions": value.exceptions, "since": value.since}
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def load(folder: Path) -> list[Result]:
    """What ``save`` wrote, without the rows of the exceptions; empty where nothing was."""
    path = folder / _RESULTS
    made = []
    for plain in json.loads(path.read_text()) if path.is_file() else []:
        layers = {k: Finding(v["verdict"], v["exceptions"], _day(v["since"])) for k, v in plain["layers"].items()}
        evidence = tuple((name, rows, _day(as_of)) for name, rows, as_of in plain["evidence"])
        made.append(Result(**(plain | {"layers": layers, "evidence": evidence})))
    return made


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def exceptions_of(name: str, folder: Path) -> pl.DataFrame:
    """The exceptions of a control or a promise, as ``save`` wrote them into the confidential zone.

    Columns promise, control, register, row, layer, on.
    """
    rows = pl.read_parquet(folder / _ROWS)
    return rows.filter((pl.col("control") == name) | (pl.col("promise") == name)).sort("promise", "layer", "row")


# ---- tables ---------------------------------------------------------------------------------------------------------


def tables(results: Sequence[Result], period: str) -> dict[str, Cells]:
    """The results as tables before disclosure control, by name.

    ``promises``: how many promises have which verdict, by promise and layer: about promises, and nobody.
    ``controls_people``, ``controls_things``: by promise and finding (``notice: exception``, ``notice: none``, … and the
    total), the cases; those of people with the distinct people behind them, as these counts are about them.
    ``measures``: figures of the controls without a verdict.
    """
    made = {"promises": _promises(results, period)}
    for about in ("people", "things"):
        made[f"controls_{about}"] = _counts([r for r in results if r.about == about and r.layers], about, period)
    figures = [(r.promise, name, count) for r in results for name, count in r.figures.items()]
    frame = pl.DataFrame(
        [(*row, row[2]) for row in figures],
        schema={"promise": pl.String, "figure": pl.String, "count": pl.Int64, "people": pl.Int64}, orient="row",
    )  # fmt: skip
    notes = ("What the controls that pass no verdict report.",)
    made["measures"] = Cells(
        "measures", "Figures without a verdict", period, ("promise", "figure"), ("count",), frame, notes
    )
    return made


def _promises(results: Sequence[Result], period: str) -> Cells:
    rows = [(r.promise, layer, f.verdict) for r in results for layer, f in r.layers.items()]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("promise", "layer", "verdict"), pl.String), orient="row")
    frame = frame.with_columns(promises=pl.lit(1, pl.Int64))
    by_verdict = frame.group_by("layer", "verdict").agg(pl.col("promises").sum()).with_columns(promise=pl.lit(TOTAL))
    order = {v: n for n, v in enumerate(VERDICTS)} | {layer: n for n, layer in enumerate(LAYERS)}
    by_verdict = by_verdict.sort(pl.col("layer").replace_strict(order), pl.col("verdict").replace_strict(order))
    whole = pl.concat([frame, by_verdict.select(frame.columns)])
    notes = tuple(f"{r.promise}: {r.reason}" for r in results if r.reason)
    return Cells(
        "promises",
        "The promises and their verdicts",
        period,
        ("promise", "layer", "verdict"),
        ("promises",),
        whole,
        notes,
    )


def _counts(results: Sequence[Result], about: str, period: str) -> Cells:
    rows = []
    for r in results:
        everybody = r.people.get("all", r.population)
        rows.append((r.promise, TOTAL, r.population, everybody))
        for layer, found in r.layers.items():
            others = r.population - found.exceptions
            rows.append((r.promise, f"{layer}: exception", found.exceptions, r.people.get(f"{layer}: exceptions", 0)))
            rows.append((r.promise, f"{layer}: none", others, r.people.get(f"{layer}: others", everybody)))
    schema = {"promise": pl.String, "finding": pl.String, "cases": pl.Int64, "people": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    exceptions = tuple(f"{r.promise}: exceptions are {CONTROLS[r.control].exceptions}" for r in results)
    title = f"Cases and exceptions of the promises about {about}"
    return Cells(f"controls_{about}", title, period, ("promise", "finding"), ("cases",), frame, exceptions)

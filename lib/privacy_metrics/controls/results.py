"""The results of a period: kept in the confidential zone, and made into tables for disclosure control."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ..disclosure import TOTAL, Cells
from ..notice import LAYERS
from .evaluation import EXCEPTIONS, VERDICTS, Finding, Result, Verdict

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

WORST: tuple[Verdict, ...] = ("broken", "no evidence", "at risk", "kept", "not applicable")
"""The verdicts, the worst one first: a promise as a whole has the worst of its layers' verdicts."""
WHOLE = "all"
"""Stands for a promise as a whole among the layers."""
ABOUT_NOBODY = {"promises", "promises_verdicts", "promises_things", "promises_evidence"}
"""Tables of counts that are about promises, contracts or assets, and about no person."""
STAFF = {"promises_since"}
"""Tables that are not made for publication: the day of an exception may be somebody's."""


def tables(results: Sequence[Result], period: str, public: bool = False) -> dict[str, Cells]:
    """The results as tables before disclosure control, by name; ``public``: in the form that can be controlled.

    ``promises``: one for each promise, layer (``all``: the promise as a whole) and verdict, and how many have which.
    ``promises_verdicts``: how many promises as a whole have which verdict.
    ``promises_people``, ``promises_things``: by promise and finding (``notice: exception``, ``notice: none``, … and the
    total), the cases; those about people with the distinct people behind them. For publication the layers, which count
    the same people, are one: ``exception`` and ``none`` add up to the total, and promises to theirs.
    ``promises_figures``: figures of the controls without a verdict.
    ``promises_since``: the date of the first exception, by promise and layer, with how many there are.
    ``promises_evidence``: the registers of each promise, with the day of the export.
    """
    made = [_promises(results, period), _verdicts(results, period)]
    made.append(_counts([r for r in results if r.about == "things"], "things", period))
    people = [r for r in results if r.about == "people"]
    made.append(_added_up(people, period) if public else _counts(people, "people", period))
    made += [_figures(results, period), _since(results, period), _evidence(results, period)]
    return {table.name: table for table in made}


def whole(result: Result) -> Verdict | None:
    """The verdict on a promise as a whole: the worst of its layers'; None for a measure."""
    found = {layer.verdict for layer in result.layers.values()}
    return next((verdict for verdict in WORST if verdict in found), None)


def _promises(results: Sequence[Result], period: str) -> Cells:
    rows = [(r.promise, layer, f.verdict) for r in results for layer, f in r.layers.items()]
    rows += [(r.promise, WHOLE, verdict) for r in results if (verdict := whole(r))]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("promise", "layer", "verdict"), pl.String), orient="row")
    frame = frame.with_columns(promises=pl.lit(1, pl.Int64))
    by_verdict = frame.group_by("layer", "verdict").agg(pl.col("promises").sum()).with_columns(promise=pl.lit(TOTAL))
    order = {v: n for n, v in enumerate([*VERDICTS, WHOLE, *LAYERS])}
    by_verdict = by_verdict.sort(pl.col("layer", "verdict").replace_strict(order, return_dtype=pl.Int64))
    notes = tuple(f"{r.promise}: {r.reason}" for r in results if r.reason)
    return Cells(
        "promises", "The promises and their verdicts", period, ("promise", "layer", "verdict"), ("promises",),
        pl.concat([frame, by_verdict.select(frame.columns)]), notes,
    )  # fmt: skip


def _verdicts(results: Sequence[Result], period: str) -> Cells:
    found = [whole(r) for r in results]
    rows = [(verdict, found.count(verdict)) for verdict in VERDICTS]
    rows.append((TOTAL, sum(count for _, count in rows)))
    frame = pl.DataFrame(rows, schema={"verdict": pl.String, "promises": pl.Int64}, orient="row")
    notes = (
        "A promise counts by the worst of its verdicts: on the notice's words, on the law, and on company policy.",
    )
    return Cells(
        "promises_verdicts", "How many promises have which verdict", period, ("verdict",), ("promises",), frame, notes
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
    notes = ("Cases of the period, and for each layer those that are an exception and those that are none.",)
    title = f"Cases and exceptions of the promises about {about}"
    return Cells(f"promises_{about}", title, period, ("promise", "finding"), ("cases",), frame, notes)


def _added_up(results: Sequence[Result], period: str) -> Cells:
    rows = []
    for r in results:
        everybody = r.people.get("all", r.population)
        rows.append((r.promise, "exception", r.wrong, r.people.get("any: exceptions", 0)))
        rows.append((r.promise, "none", r.population - r.wrong, r.people.get("any: others", everybody)))
        rows.append((r.promise, TOTAL, r.population, everybody))
    schema = {"promise": pl.String, "finding": pl.String, "cases": pl.Int64, "people": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    # Nobody knows how many people all promises together are about: at least as many as any one of them.
    margin = frame.group_by("finding", maintain_order=True).agg(pl.col("cases").sum(), pl.col("people").max())
    frame = pl.concat([frame, margin.with_columns(promise=pl.lit(TOTAL)).select(*schema)])
    notes = ("Cases of the period, those that are an exception to the notice, the law or policy, and the others.",)
    title = "Cases and exceptions of the promises about people"
    return Cells("promises_people", title, period, ("promise", "finding"), ("cases",), frame, notes)


def _figures(results: Sequence[Result], period: str) -> Cells:
    rows = [
        (f"{r.promise}: {name}", count, r.people.get(name, count)) for r in results for name, count in r.figures.items()
    ]
    schema = {"figure": pl.String, "count": pl.Int64, "people": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    notes = ("What the controls that pass no verdict report.",)
    return Cells("promises_figures", "Figures without a verdict", period, ("figure",), ("count",), frame, notes)


def _since(results: Sequence[Result], period: str) -> Cells:
    rows = [
        (r.promise, layer, str(found.since), found.exceptions, found.exceptions)
        for r in results
        for layer, found in r.layers.items()
        if found.since
    ]
    schema = {"promise": pl.String, "layer": pl.String, "since": pl.String, "exceptions": pl.Int64, "people": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return Cells(
        "promises_since", "Since when there are exceptions", period, ("promise", "layer", "since"), ("exceptions",),
        frame,
    )  # fmt: skip


def _evidence(results: Sequence[Result], period: str) -> Cells:
    rows = [(r.promise, name, str(as_of) if as_of else "none") for r in results for name, _, as_of in r.evidence]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("promise", "register", "as_of"), pl.String), orient="row")
    frame = frame.with_columns(registers=pl.lit(1, pl.Int64))
    return Cells(
        "promises_evidence", "The evidence of each promise", period, ("promise", "register", "as_of"), ("registers",),
        frame,
    )  # fmt: skip


def register_account(accounts: Mapping[str, Mapping[str, int]], period: str) -> Cells:
    """``promises_registers``: rows of each register read = rows used + rows excluded by reason."""
    rows = [
        (name, TOTAL if what == "read" else what, count)
        for name, account in accounts.items()
        for what, count in account.items()
    ]
    frame = pl.DataFrame(rows, schema={"register": pl.String, "row": pl.String, "rows": pl.Int64}, orient="row")
    return Cells(
        "promises_registers", "What became of every row of the registers", period, ("register", "row"), ("rows",), frame
    )

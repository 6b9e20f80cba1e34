"""Complementary suppression: which safe cells must be withheld so that the unsafe ones can't be had by subtraction."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

TOTAL = "Total"
"""The category of a margin: the row is about all categories of that dimension together."""


def withhold(
    cells: pl.DataFrame, dimensions: Sequence[str], measure: str, threshold: int, primary: pl.Series
) -> pl.Series:
    """Which rows of ``cells`` to withhold: the ``primary`` ones and those that would give them away.

    ``cells`` has one row per cell and margin: ``dimensions`` (String, ``Total`` for a margin), ``people`` (distinct
    people) and the additive ``measure``. A *line* is a margin with its parts along one dimension. In each line that
    has a withheld cell, at least two are withheld, and one of them holds at least ``threshold`` people: so neither a
    cell nor the sum of the withheld cells is about fewer.
    """
    held = primary.to_list()
    people, value = cells["people"].to_list(), cells[measure].to_list()
    lines = [line for d in dimensions for line in _lines(cells, dimensions, d)]
    changed = True
    while changed:
        changed = False
        for total, parts in lines:
            members = parts if total is None else [*parts, total]
            hidden = [i for i in members if held[i]]
            if not hidden or (len(hidden) > 1 and max(people[i] for i in hidden) >= threshold):
                continue
            open_parts = [i for i in parts if not held[i] and people[i] >= threshold]
            choice = min(open_parts, key=lambda i: (value[i], i), default=total)
            if choice is not None and not held[choice]:
                held[choice] = changed = True
    return pl.Series("withheld", held, dtype=pl.Boolean)


def _lines(cells: pl.DataFrame, dimensions: Sequence[str], along: str) -> list[tuple[int | None, list[int]]]:
    others = [d for d in dimensions if d != along]
    rows: dict[tuple, tuple[list[int], list[int]]] = {}
    for i, row in enumerate(cells.select(along, *others).iter_rows()):
        totals, parts = rows.setdefault(row[1:], ([], []))
        (totals if row[0] == TOTAL else parts).append(i)
    return [(totals[0] if totals else None, parts) for totals, parts in rows.values()]

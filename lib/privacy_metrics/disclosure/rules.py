"""Which cells are unsafe by themselves (primary cells), and by which rule."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from .audit import TOTAL

RULES = {
    "threshold": "fewer distinct people than the threshold",
    "p-percent": "the second largest contributor could estimate the largest one's value too closely",
    "dominance": "one person makes up most of the value",
    "full": "all of a small group share one category, so it is known of each of them",
}
"""The rules by name, in the order in which they are tried."""


def under_threshold(threshold: int) -> pl.Expr:
    """Whether a cell holds somebody, but fewer than ``threshold`` distinct people (column ``people``).

    A cell of nobody is not unsafe by this rule: it says of no one that they did something.
    """
    return pl.col("people").is_between(1, threshold - 1)


def p_percent(measure: str, percent: float) -> pl.Expr:
    """Whether total - largest - second < percent of the largest (Hundepool et al. 2012, sec. 4.2.2).

    Needs the columns ``largest_MEASURE`` and ``second_MEASURE``: what the two largest contributors have of it.
    """
    largest = pl.col(f"largest_{measure}")
    rest = pl.col(measure) - largest - pl.col(f"second_{measure}")
    return (pl.col("people") > 0) & (rest < percent / 100 * largest)


def dominance(measure: str, percent: float) -> pl.Expr:
    """Whether the largest contributor has more than ``percent`` of ``measure``: the (1, k) dominance rule."""
    return (pl.col("people") > 0) & (pl.col(f"largest_{measure}") > percent / 100 * pl.col(measure))


def full(cells: pl.DataFrame, dimensions: Sequence[str], group: int) -> pl.Series:
    """Whether a cell holds everybody of a group of fewer than ``group`` people that is told by the other dimensions.

    Whoever knows that somebody belongs to the group then knows the category, too.
    """
    found = pl.repeat(False, cells.height, dtype=pl.Boolean, eager=True)
    if len(dimensions) < 2:
        return found
    for along in dimensions:
        others = [d for d in dimensions if d != along]
        totals = cells.filter(pl.col(along) == TOTAL).select(*others, whole="people")
        whole = cells.join(totals, on=others, how="left", maintain_order="left")["whole"]
        named = cells.select(pl.any_horizontal([pl.col(d) != TOTAL for d in others])).to_series()
        inside = cells[along] != TOTAL
        found = found | (inside & named & (cells["people"] > 0) & (cells["people"] == whole) & (whole < group))
    return found.fill_null(False)

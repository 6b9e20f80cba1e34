"""Which cells are unsafe by themselves (primary cells)."""

from __future__ import annotations

import polars as pl


def under_threshold(threshold: int) -> pl.Expr:
    """Whether a cell holds somebody, but fewer than ``threshold`` distinct people (column ``people``).

    A cell of nobody is not unsafe by this rule: it says of no one that they did something.
    """
    return pl.col("people").is_between(1, threshold - 1)

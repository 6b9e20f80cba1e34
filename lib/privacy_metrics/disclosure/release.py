"""The release: the only thing that can be charted, shown as a table, or written to the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import polars as pl

from .rules import under_threshold
from .suppression import TOTAL, withhold

_SEAL = object()


@dataclass(frozen=True)
class Policy:
    """What a published cell must hold to; ``threshold`` is the fewest distinct people in it."""

    threshold: int
    audience: str
    exact: bool = False
    """Exact counts for the accountable staff (internal audience only), never for publication."""
    people: bool = True
    """False for counts of log lines or files, which are about nobody."""

    def __post_init__(self) -> None:
        if self.threshold < 2:
            raise ValueError(
                f"disclosure.threshold is {self.threshold}; it must be at least 2 (a cell of one is that person)"
            )
        if self.exact and self.audience != "internal":
            raise ValueError("exact counts are for the internal audience only")

    def __str__(self) -> str:
        if not self.people:
            return "counts of lines or rows, not of people"
        if self.exact:
            return "exact counts, for the accountable staff only"
        return f"cells of at least {self.threshold} people, {self.audience} audience"


@dataclass(frozen=True, eq=False, repr=False)
class Release:
    """A table that has passed disclosure control.

    ``frame`` has one String column per dimension (``Total`` for a margin), one Int64 column per measure (null where
    withheld) and the Boolean column ``withheld``; rows are in a fixed order. Made by the functions of this package
    only: the constructor refuses to be called from elsewhere.
    """

    name: str
    title: str
    period: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    frame: pl.DataFrame
    policy: Policy
    notes: tuple[str, ...] = ()
    audit: str = ""
    seal: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("a Release is made by disclosure control, not by hand: ask the workbook for a table")
        expected = [*self.dimensions, *self.measures, "withheld"]
        if self.frame.columns != expected:
            raise ValueError(f"release {self.name}: columns {self.frame.columns}, expected {expected}")
        shown = self.frame.filter("withheld").select(self.measures)
        if any(shown[m].null_count() != shown.height for m in self.measures):
            raise ValueError(f"release {self.name}: a withheld cell still holds a value")

    @property
    def cells(self) -> pl.DataFrame:
        """The rows that are no margins."""
        return self.frame.filter(*(pl.col(d) != TOTAL for d in self.dimensions))

    @property
    def withheld(self) -> int:
        """How many rows are withheld."""
        return int(self.frame["withheld"].sum())

    def value(self, measure: str, **cell: str) -> int | None:
        """The published value of one cell; a dimension not given is taken over all its categories.

        None where the cell is withheld; 0 where it holds nobody.
        """
        wanted = {d: cell.get(d, TOTAL) for d in self.dimensions}
        if unknown := set(cell) - set(self.dimensions):
            raise KeyError(f"release {self.name} has no dimension {', '.join(sorted(unknown))}")
        rows = self.frame.filter(*(pl.col(d) == v for d, v in wanted.items()))
        return rows[measure][0] if rows.height else 0

    def margin(self, *dimensions: str) -> pl.DataFrame:
        """The rows over ``dimensions`` alone: every other dimension at its total."""
        return self.frame.filter(
            *((pl.col(d) != TOTAL) if d in dimensions else (pl.col(d) == TOTAL) for d in self.dimensions)
        )

    def over(self, *dimensions: str) -> Release:
        """The part of this release that is over ``dimensions`` alone, the other ones at their total."""
        if unknown := set(dimensions) - set(self.dimensions):
            raise KeyError(f"release {self.name} has no dimension {', '.join(sorted(unknown))}")
        others = [d for d in self.dimensions if d not in dimensions]
        frame = self.frame.filter(*(pl.col(d) == TOTAL for d in others)).select(*dimensions, *self.measures, "withheld")
        return replace(self, dimensions=dimensions, frame=frame, seal=_SEAL)

    @property
    def footnote(self) -> str:
        """One sentence on the policy and on what was withheld, for the foot of a chart or table."""
        n = self.withheld
        held = "nothing withheld" if n == 0 else f"{n:,} of {self.frame.height:,} cells withheld"
        return f"{self.period}: {self.policy}; {held}."

    def __repr__(self) -> str:
        return f"<Release {self.name} {self.footnote}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(c)}</th>" for c in (*self.dimensions, *self.measures))
        rows = "".join(
            "<tr>" + "".join(f"<td>{'withheld' if v is None else escape(str(v))}</td>" for v in row) + "</tr>"
            for row in self.frame.drop("withheld").head(50).iter_rows()
        )
        more = f"<p>{self.frame.height - 50:,} more rows</p>" if self.frame.height > 50 else ""
        caption = f"<caption>{escape(self.title)}. {escape(self.footnote)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def trend(releases: Iterable[Release]) -> Release:
    """The same table of several periods as one release, with the first dimension ``period``.

    Raises ValueError when the releases are not of one table.
    """
    parts = list(releases)
    if len({(r.name, r.dimensions, r.measures, r.policy) for r in parts}) != 1:
        raise ValueError("a trend is made of releases of one table under one policy")
    last = parts[-1]
    frame = pl.concat([r.frame.select(pl.lit(r.period).alias("period"), pl.all()) for r in parts])
    return Release(
        last.name, last.title, last.period, ("period", *last.dimensions), last.measures, frame, last.policy,
        last.notes, last.audit, _SEAL,
    )  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """A table before disclosure control; it stays in the confidential zone.

    ``frame`` holds every cell and every margin: one String column per dimension (``Total`` for a margin), the measures
    (Int64, the first of them additive over the dimensions) and ``people`` (Int64: the distinct people in the cell).
    """

    name: str
    title: str
    period: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def release(tables: Sequence[Cells], policy: Policy) -> dict[str, Release]:
    """Puts ``tables`` through disclosure control under ``policy``; the releases by name, in the order given."""
    return {table.name: _release(table, policy) for table in tables}


def _release(table: Cells, policy: Policy) -> Release:
    cells = table.frame
    if policy.exact or not policy.people:
        held = pl.repeat(False, cells.height, dtype=pl.Boolean, eager=True).alias("withheld")
    else:
        primary = cells.select(under_threshold(policy.threshold)).to_series()
        held = withhold(cells, table.dimensions, table.measures[0], policy.threshold, primary)
    frame = cells.select(
        *table.dimensions,
        *(pl.when(~held).then(pl.col(m).cast(pl.Int64)).alias(m) for m in table.measures),
        held.alias("withheld"),
    )
    return Release(
        table.name, table.title, table.period, table.dimensions, table.measures, frame, policy, table.notes,
        seal=_SEAL,
    )  # fmt: skip

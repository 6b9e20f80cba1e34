"""The release: the only thing that can be charted, shown as a table, or written to the outputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from . import audit
from .audit import TOTAL, Contradiction, Table
from .rules import RULES, dominance, full, p_percent, under_threshold
from .suppression import Protected, protect

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
    p_percent: float = 10.0
    """A cell is unsafe if its second largest contributor could tell the largest one's value within this percentage."""
    dominance: float = 90.0
    """A cell is unsafe if one person has more than this percentage of its value."""
    group: int = 30
    """A group of fewer people than this must not all share one category of another dimension."""
    protection: float | None = None
    """How wide the interval of what a reader can compute of a withheld value must be; the threshold, unless given."""
    relative: float = 0.1
    """And how wide, as a share of the value."""

    @property
    def absolute(self) -> float:
        return float(self.threshold) if self.protection is None else self.protection

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
    population: str = ""
    """What is counted: tables of one population have the same margins."""
    nesting: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
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
        last.notes, last.audit, last.population, last.nesting, _SEAL,
    )  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """A table before disclosure control; it stays in the confidential zone.

    ``frame`` holds every cell and every margin: one String column per dimension (``Total`` for a margin), the measures
    (Int64, the first of them additive over the dimensions) and ``people`` (Int64: the distinct people in the cell); for
    the dominance rules also ``largest`` and ``second`` (Int64: what the two largest contributors have of the first
    measure). Tables of one ``population`` count the same things, so that they share their margins. ``nesting`` says
    what the categories of a dimension are part of, as ``audit.Table`` has it.
    """

    name: str
    title: str
    period: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    population: str = ""
    nesting: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """What disclosure control did to the tables of one release, in counts that tell of no cell.

    ``rules``: how many cells each rule of ``rules.RULES`` found unsafe, ``secondary`` how many more were withheld.
    ``narrowest``: the narrowest feasibility interval of a withheld value, and ``required`` what it had to be.
    ``widths``: how many withheld values have an interval of at least so many times the required width.
    """

    cells: int
    withheld: int
    rules: dict[str, int]
    secondary: int
    narrowest: float
    required: float
    widths: dict[str, int]
    kept: dict[str, float]
    """By table: the share of the first measure's value that is published in its cells (margins apart)."""
    programmes: int


def release(tables: Sequence[Cells], policy: Policy, known: Sequence[Table] = ()) -> dict[str, Release]:
    """Puts ``tables`` through disclosure control under ``policy``; the releases by name, in the order given."""
    return control(tables, policy, known)[0]


def control(
    tables: Sequence[Cells], policy: Policy, known: Sequence[Table] = ()
) -> tuple[dict[str, Release], Audit | None]:
    """``release``, and the audit of it. ``known`` is what was published before, and a reader still has.

    Raises DisclosureError where a value could be told too closely whatever is withheld.
    """
    if policy.exact or not policy.people:
        return {table.name: _as_it_is(table, policy) for table in tables}, None
    whole = [replace(table, frame=_complete(table)) for table in tables]
    seen = [
        Table(t.name, t.period, t.population or t.name, t.dimensions, _measures(t), t.frame, nesting=t.nesting)
        for t in whole
    ]
    try:
        return _controlled(whole, seen, policy, audit.system([*seen, *known]))
    except Contradiction:
        # Periods or versions that do not fit each other: a reader can't conclude from one to the other either.
        return _controlled(whole, seen, policy, audit.system([*seen, *known], relate=False))


def _controlled(
    whole: Sequence[Cells], seen: Sequence[Table], policy: Policy, system: audit.System
) -> tuple[dict[str, Release], Audit]:
    reasons = {}
    primary = np.zeros(len(system.cells), bool)
    for table, view in zip(whole, seen, strict=True):
        for number, (key, reason) in enumerate(zip(_keys(table), _unsafe(table, policy), strict=True)):
            cell = audit.scope(view, key)
            if reason or _told_by_difference(system, cell, table.frame, number, policy.threshold):
                primary[system.cells[cell]] = True
                reasons[cell] = reason or "difference"
    done = protect(system, seen, primary, policy.absolute, policy.relative)
    made = {}
    for table, view in zip(whole, seen, strict=True):
        held = pl.Series(
            [bool(done.held[system.cells[audit.scope(view, key)]]) for key in _keys(table)], dtype=pl.Boolean
        )
        made[table.name] = _sealed(table, policy, held, _says(done, held))
    return made, _audited(whole, made, done, reasons)


def _measures(table: Cells) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*table.measures, "people"] if "people" in table.measures else table.measures))


def _keys(table: Cells) -> list[dict[str, str]]:
    return [dict(zip(table.dimensions, key, strict=True)) for key in table.frame.select(table.dimensions).iter_rows()]


GRID = 50_000
"""Up to so many combinations, those that hold nobody are listed too (0): so that they can be withheld among others."""


def _complete(table: Cells) -> pl.DataFrame:
    """The table with every combination of its categories, so that a category's absence tells nothing by itself."""
    frame = table.frame
    if len(table.dimensions) < 2:
        return frame
    names = [frame.select(d).unique(maintain_order=True) for d in table.dimensions]
    if np.prod([float(n.height) for n in names]) > GRID:
        return frame
    grid = names[0]
    for more in names[1:]:
        grid = grid.join(more, how="cross")
    rest = [c for c in frame.columns if c not in table.dimensions]
    return grid.join(frame, on=table.dimensions, how="left", maintain_order="left").with_columns(
        pl.col(rest).fill_null(0)
    )


def _unsafe(table: Cells, policy: Policy) -> list[str | None]:
    """By row, the first rule that finds the cell unsafe."""
    frame, measure = table.frame, table.measures[0]
    tests = {"threshold": frame.select(under_threshold(policy.threshold)).to_series()}
    if "largest" in frame.columns:
        tests["p-percent"] = frame.select(p_percent(measure, policy.p_percent)).to_series()
        tests["dominance"] = frame.select(dominance(measure, policy.dominance)).to_series()
    tests["full"] = full(frame, table.dimensions, policy.group)
    found: list[str | None] = [None] * frame.height
    for name, test in tests.items():
        found = [old or (name if new else None) for old, new in zip(found, test, strict=True)]
    return found


def _told_by_difference(system: audit.System, cell: audit.Cell, frame: pl.DataFrame, row: int, threshold: int) -> bool:
    """Whether an earlier version of the period tells of few people by its difference to this one, or withheld the cell.

    People who came late are as many as the people more, at most; and what was withheld stays so, or the newer version
    would give the older one away.
    """
    scope, population, named = cell
    older = (f"{scope.partition('#')[0]}#1", population, named)
    differs, held = False, False
    people = None
    for measure in [c for c in frame.columns if system.variable(older, c) is not None]:
        at = system.variable(older, measure)
        assert at is not None
        if system.held[at]:
            held = True
            continue
        change = float(frame[measure][row]) - system.value[at]
        differs |= change != 0
        if measure == "people" or people is None:
            people = change
    return held or (differs and not (people is not None and people >= threshold))


def _says(done: Protected, held: pl.Series) -> str:
    return "audited: nothing withheld" if not held.any() else "audited: no withheld value can be told closely"


def _audited(tables: Sequence[Cells], made: dict[str, Release], done: Protected, reasons: dict) -> Audit:
    widths = done.audit.width / done.required
    known = widths[np.isfinite(widths)]
    counts = {f"{n}": int((known >= n - 1e-9).sum()) for n in (1, 2, 5, 10, 100)}
    kept = {}
    for table in tables:
        inner = table.frame.filter(*(pl.col(d) != TOTAL for d in table.dimensions))
        open_ = made[table.name].cells
        all_, shown = (float(frame[table.measures[0]].sum()) for frame in (inner, open_))
        kept[table.name] = shown / all_ if all_ else 1.0
    by_rule = {name: sum(r == name for r in reasons.values()) for name in (*RULES, "difference")}
    tightest = int(np.nanargmin(widths)) if known.size else 0
    return Audit(
        cells=len(done.held), withheld=int(done.held.sum()), rules=by_rule,
        secondary=int(done.held.sum()) - len(reasons),
        narrowest=float(done.audit.width[tightest]) if known.size else float("inf"),
        required=float(done.required[tightest]) if known.size else 0.0,
        widths=counts, kept=kept, programmes=done.audit.programmes,
    )  # fmt: skip


def _as_it_is(table: Cells, policy: Policy) -> Release:
    return _sealed(table, policy, pl.repeat(False, table.frame.height, dtype=pl.Boolean, eager=True), "")


def _sealed(table: Cells, policy: Policy, held: pl.Series, said: str) -> Release:
    frame = table.frame.select(
        *table.dimensions,
        *(pl.when(~held).then(pl.col(m).cast(pl.Int64)).alias(m) for m in table.measures),
        held.alias("withheld"),
    )
    return Release(
        table.name, table.title, table.period, table.dimensions, table.measures, frame, policy, table.notes, said,
        table.population or table.name, table.nesting, _SEAL,
    )  # fmt: skip


def view(release: Release, version: int = 0) -> Table:
    """A release as a reader has it: what ``known`` takes (with a version of 1 or more), and an audit starts from."""
    return Table(
        release.name, release.period, release.population, release.dimensions, release.measures, release.frame, version,
        release.nesting,
    )  # fmt: skip


def save(releases: Iterable[Release], folder: Path, more: dict[str, Any]) -> None:
    """Writes releases, as they were published, into ``folder``; ``more`` is noted with them."""
    folder.mkdir(parents=True)
    noted = []
    for one in releases:
        one.frame.write_parquet(folder / f"{one.name}.parquet")
        noted.append({f.name: getattr(one, f.name) for f in fields(one) if f.name not in ("frame", "policy", "seal")})
        noted[-1]["policy"] = asdict(one.policy)
    (folder / "releases.json").write_text(json.dumps(more | {"releases": noted}), "utf-8")


def load(folder: Path) -> tuple[dict[str, Release], dict[str, Any]]:
    """What ``save`` wrote."""
    more = json.loads((folder / "releases.json").read_text("utf-8"))
    made = {}
    for noted in more.pop("releases"):
        noted |= {k: tuple(noted[k]) for k in ("dimensions", "measures", "notes")}
        noted["nesting"] = {child: (parent, of) for child, (parent, of) in noted["nesting"].items()}
        noted |= {"policy": Policy(**noted["policy"]), "frame": pl.read_parquet(folder / f"{noted['name']}.parquet")}
        made[noted["name"]] = Release(**noted, seal=_SEAL)
    return made, more

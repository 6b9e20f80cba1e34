"""The release: the only thing that can be charted, shown as a table, or written to the outputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from . import audit
from .audit import TOTAL, Group, Nesting, Table
from .budget import Ledger
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
    noise: str = ""
    """For a table with noise instead of withheld cells: by which guarantee."""
    confidence: float = 0.0
    """And that of its intervals."""

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
            return "counts of lines, rows or cells, not of people"
        if self.exact:
            return "exact counts, for the accountable staff only"
        if self.noise:
            return (
                f"noise in every figure ({self.noise}), {100 * self.confidence:g} % intervals, {self.audience} audience"
            )
        return f"cells of at least {self.threshold} people, {self.audience} audience"


@dataclass(frozen=True, eq=False, repr=False)
class Release:
    """A table that has passed disclosure control.

    ``frame`` has one String column per dimension (``Total`` for a margin), one Int64 column per measure (null where
    withheld) and the Boolean column ``withheld``; rows are in a fixed order. A table with noise also has, before
    ``withheld``, the ``bounds``: the interval of each figure. Made by the functions of this package only: the
    constructor refuses to be called from elsewhere.
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
    nesting: tuple[Nesting, ...] = ()
    groups: tuple[Group, ...] = ()
    seal: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("a Release is made by disclosure control, not by hand: ask the workbook for a table")
        expected = [*self.dimensions, *self.measures, *self.bounds, "withheld"]
        if self.frame.columns != expected:
            raise ValueError(f"release {self.name}: columns {self.frame.columns}, expected {expected}")
        shown = self.frame.filter("withheld").select(self.measures)
        if any(shown[m].null_count() != shown.height for m in self.measures):
            raise ValueError(f"release {self.name}: a withheld cell still holds a value")

    @property
    def bounds(self) -> tuple[str, ...]:
        """The columns ``<measure>_low`` and ``<measure>_high`` (Int64) of a table with noise; of others, none."""
        return tuple(f"{m}_{end}" for m in self.measures for end in ("low", "high")) if self.policy.noise else ()

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
        rows = self._at(cell)
        return rows[measure][0] if rows.height else 0

    def interval(self, measure: str, **cell: str) -> tuple[int, int] | None:
        """Between which values the true one of a cell lies, at the policy's confidence; None without noise."""
        rows = self._at(cell)
        if not self.policy.noise or not rows.height:
            return None
        return rows[f"{measure}_low"][0], rows[f"{measure}_high"][0]

    def _at(self, cell: dict[str, str]) -> pl.DataFrame:
        if unknown := set(cell) - set(self.dimensions):
            raise KeyError(f"release {self.name} has no dimension {', '.join(sorted(unknown))}")
        return self.frame.filter(*(pl.col(d) == cell.get(d, TOTAL) for d in self.dimensions))

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
        frame = self.frame.filter(*(pl.col(d) == TOTAL for d in others)).select(
            *dimensions, *self.measures, *self.bounds, "withheld"
        )
        return replace(self, dimensions=dimensions, frame=frame, seal=_SEAL)

    @property
    def footnote(self) -> str:
        """One sentence on the policy and on what was withheld, for the foot of a chart or table."""
        if self.policy.noise:
            return f"{self.period}: {self.policy}."
        n = self.withheld
        held = "nothing withheld" if n == 0 else f"{n:,} of {self.frame.height:,} cells withheld"
        return f"{self.period}: {self.policy}; {held}."

    def __repr__(self) -> str:
        return f"<Release {self.name} {self.footnote}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(c)}</th>" for c in (*self.dimensions, *self.measures, *self.bounds))
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
        last.notes, last.audit, last.population, last.nesting, last.groups, _SEAL,
    )  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """A table before disclosure control; it stays in the confidential zone.

    ``frame`` holds every cell and every margin: one String column per dimension (``Total`` for a margin), the measures
    (Int64, the first of them additive over the dimensions) and ``people`` (Int64: the distinct people in the cell); for
    the dominance rules also ``largest_MEASURE`` and ``second_MEASURE`` (Int64: what the two largest contributors
    have). Tables of one ``population`` count the same things, so that they share their margins. ``nesting`` and
    ``groups`` are what a reader knows of the categories, as ``audit.Table`` has it.
    """

    name: str
    title: str
    period: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    population: str = ""
    nesting: tuple[Nesting, ...] = ()
    apart: tuple[str, str] | None = None
    """Two dimensions that never have the same category."""
    exact: frozenset[str] = frozenset()
    """Dimensions whose counts are published as they are: so is a cell that only these name, and every reader has it."""
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True)
class Exposed:
    """A withheld value that a reader can tell most closely: between ``low`` and ``high``, and no closer."""

    cell: str
    measure: str
    low: int
    high: int
    times: int
    """How many times as wide as required that is, as one of ``MULTIPLES``: what is required may be a share of the
    value, and would tell it."""


@dataclass(frozen=True)
class Audit:
    """What disclosure control did to the tables of one release; nothing of it is more than a reader can compute.

    ``rules``: how many cells each rule of ``rules.RULES`` found unsafe, ``secondary`` how many more were withheld.
    ``widths``: how many withheld values have an interval that many times as wide as required, or wider.
    """

    cells: int
    withheld: int
    rules: dict[str, int]
    secondary: int
    values: int
    """Withheld values: a cell may have several."""
    widths: dict[str, int]
    exact: bool
    """Whether ``widths`` are those of the whole intervals; of very many values, they are as wide as that at least."""
    most_exposed: tuple[Exposed, ...]
    kept: dict[str, tuple[int, int, int, int | None]]
    """By table: cells, those withheld, the value of the first measure that is published in cells (margins apart), and
    how many percent of the published total that is, rounded down."""
    known: int
    """Tables of earlier publications that were taken for known."""
    told: int
    """Withheld values that these tell more closely than is required, whatever is withheld now: of them no more is
    required than that, and those of which they tell all are not among ``values``."""
    programmes: int


class Controlled(NamedTuple):
    """What disclosure control gives."""

    releases: dict[str, Release]
    audit: Audit | None
    """None where nothing was withheld by rule: exact counts, or counts of lines."""
    cells: dict[str, pl.DataFrame]
    """By table, what a later version needs to know of this one, and no reader: dimensions, ``people`` (Int64) and
    ``reason`` (String, of ``rules.RULES``, ``difference`` or ``secondary``; null where the cell is published)."""


def release(tables: Sequence[Cells], policy: Policy, known: Sequence[Table] = ()) -> dict[str, Release]:
    """Puts ``tables`` through disclosure control under ``policy``; the releases by name, in the order given."""
    return control(tables, policy, known).releases


def control(
    tables: Sequence[Cells], policy: Policy, known: Sequence[Table] = (), *,
    before: Mapping[str, pl.DataFrame] | None = None, link: bool = True, complementary: bool = True,
) -> Controlled:  # fmt: skip
    """``release``, and the audit of it. ``known`` is what was published before, and a reader still has.

    ``before`` are the ``cells`` of the last version of the period, while they are there: they tell how many people a
    change is about, and why a cell was withheld. Without ``link`` each table is protected by itself, and without
    ``complementary`` only the unsafe cells are withheld: two ways to be unsafe, for the tests. Raises DisclosureError
    where a value could be told too closely whatever is withheld.
    """
    if policy.exact or not policy.people:
        return Controlled({table.name: _as_it_is(table, policy) for table in tables}, None, {})
    whole = [replace(table, frame=_complete(table)) for table in tables]
    seen = [
        Table(
            t.name,
            t.period,
            t.population or t.name,
            t.dimensions,
            t.measures,
            t.frame,
            nesting=t.nesting,
            groups=t.groups,
            exact=t.exact,
        )
        for t in whole
    ]
    if not link:
        seen, known = [audit.alone(table, number) for number, table in enumerate(seen)], ()
    system = audit.system([*seen, *known])
    places = [[system.cells[cell] for cell in _scopes(table)] for table in seen]
    known_anyway = {system.cell_of[v] for v in np.flatnonzero(system.open)}
    reasons: dict[int, str] = {}
    people: dict[int, int] = {}
    for table, place in zip(whole, places, strict=True):
        older = (before or {}).get(table.name)
        kept = _kept(table, older, [t for t in known if t.version and t.name == table.name], policy)
        for at, reason, again, count in zip(place, _unsafe(table, policy), kept, table.frame["people"], strict=True):
            people[at] = int(count)
            # What a table finds unsafe is so in every table that the cell stands in.
            if (why := reason or again) and at not in known_anyway and reasons.get(at) not in RULES:
                reasons[at] = why
    primary = np.zeros(len(system.cells), bool)
    primary[list(reasons)] = True
    unsafe = np.zeros(len(primary), bool)
    unsafe[[at for at, reason in reasons.items() if reason in RULES]] = True
    done = protect(
        system, seen, primary, policy.absolute, policy.relative, unsafe=unsafe, people=people,
        threshold=policy.threshold, complementary=complementary,
    )  # fmt: skip
    made, cells = {}, {}
    for table, place in zip(whole, places, strict=True):
        held = pl.Series(done.held[place], dtype=pl.Boolean)
        made[table.name] = _sealed(table, policy, held, _says(held))
        why = [reasons.get(at, "secondary") if one else None for at, one in zip(place, held, strict=True)]
        cells[table.name] = table.frame.select(*table.dimensions, "people", reason=pl.Series(why, dtype=pl.String))
    return Controlled(made, _audited(whole, made, system, done, reasons, len(known)), cells)


def _scopes(table: Table) -> list[audit.Cell]:
    keys = table.frame.select(table.dimensions).iter_rows()
    return [audit.scope(table, dict(zip(table.dimensions, key, strict=True))) for key in keys]


GRID = 50_000
"""Up to so many combinations, those that hold nobody are listed too (0): so that they can be withheld among others."""


def _complete(table: Cells) -> pl.DataFrame:
    """The table with every combination that a reader takes for possible, each dimension in the order of its own margin:
    neither a row's absence nor its place tells anything."""
    frame = table.frame
    if len(table.dimensions) < 2:
        return frame
    names = []
    for d in table.dimensions:
        alone = frame.filter(pl.col(other) == TOTAL for other in table.dimensions if other != d)
        names.append(alone.select(d) if alone.height else frame.select(pl.col(d).unique().sort()))
    if np.prod([float(n.height) for n in names]) > GRID:
        return frame.sort(table.dimensions)
    grid = names[0]
    for more in names[1:]:
        grid = grid.join(more, how="cross")
    for possible in _possible(table):
        grid = grid.filter(possible)
    rest = [c for c in frame.columns if c not in table.dimensions]
    return grid.join(frame, on=table.dimensions, how="left", maintain_order="left").with_columns(
        pl.col(rest).fill_null(0)
    )


def _possible(table: Cells) -> Iterator[pl.Expr]:
    if table.apart:
        one, two = table.apart
        yield (pl.col(one) != pl.col(two)) | (pl.col(one) == TOTAL)
    for child, parent, mapping in table.nesting:
        if {child, parent} <= set(table.dimensions):
            pairs = [f"{name}\0{category}" for name, over in mapping.items() for category in over]
            either = (pl.col(child) == TOTAL) | (pl.col(parent) == TOTAL)
            yield either | (pl.col(child) + "\0" + pl.col(parent)).is_in(pairs)


def _unsafe(table: Cells, policy: Policy) -> list[str | None]:
    """By row, the first rule that finds the cell unsafe."""
    frame = table.frame
    tests = [("threshold", frame.select(under_threshold(policy.threshold)).to_series())]
    for measure in (m for m in table.measures if f"largest_{m}" in frame.columns):
        tests.append(("p-percent", frame.select(p_percent(measure, policy.p_percent)).to_series()))
        tests.append(("dominance", frame.select(dominance(measure, policy.dominance)).to_series()))
    tests.append(("full", full(frame, table.dimensions, policy.group)))
    found: list[str | None] = [None] * frame.height
    for name, test in tests:
        found = [old or (name if new else None) for old, new in zip(found, test, strict=True)]
    return found


def _kept(table: Cells, before: pl.DataFrame | None, versions: Sequence[Table], policy: Policy) -> list[str | None]:
    """By row, why the last version of the period has it withheld: ``difference``, ``secondary`` or not at all (None).

    Late data adds people: as many as the cell has more of, if that is known; the difference must not tell of few. What
    was withheld stays so, or the newer version would give the older one away: what was so for another cell (or, where
    that is not known, has nobody more in it) still is for it.
    """
    last = min((v for v in versions if v.period == table.period), key=lambda v: v.version, default=None)
    if last is None:
        return [None] * table.frame.height
    on = list(table.dimensions)
    measures = [m for m in table.measures if m in last.measures]
    old = last.frame.select(*on, "withheld", *(pl.col(m).alias(f"old_{m}") for m in measures))
    rows = table.frame.with_row_index("row")
    rows = rows.join(old, on=on, how="left", maintain_order="left") if on else rows.join(old, how="cross")
    if before is not None and set(on) <= set(before.columns):
        reason = "reason" if "reason" in before.columns else pl.lit(None, pl.String)
        counts = before.select(*on, was="people", reason=reason)
        rows = rows.join(counts, on=on, how="left", maintain_order="left") if on else rows.join(counts, how="cross")
    else:
        was = pl.col("old_people") if "people" in measures else pl.lit(None, pl.Int64)
        rows = rows.with_columns(was=was, reason=pl.lit(None, pl.String))
    # A combination that was not listed held nobody.
    new = pl.col("withheld").is_null()
    differs = pl.any_horizontal([pl.col(m) != pl.when(new).then(0).otherwise(pl.col(f"old_{m}")) for m in measures])
    more = pl.col("people") - pl.when(new).then(0).otherwise(pl.col("was"))
    for_another = (pl.col("reason") == "secondary").fill_null((more == 0).fill_null(False))
    why = (
        pl.when(pl.col("withheld").fill_null(False))
        .then(pl.when(for_another).then(pl.lit("secondary")).otherwise(pl.lit("difference")))
        .when(differs.fill_null(False) & ~(more >= policy.threshold).fill_null(False))
        .then(pl.lit("difference"))
    )
    return rows.select(why).to_series().to_list()


def _says(held: pl.Series) -> str:
    return "audited: nothing withheld" if not held.any() else "audited: no withheld value can be told closely"


MULTIPLES = (1, 2, 5, 10, 100)
EXACT = 1_000
"""Of so many withheld values all intervals are computed to their ends; of more, those of the nearest few."""


def _audited(
    tables: Sequence[Cells], made: dict[str, Release], system: audit.System, done: Protected, reasons: dict[int, str],
    known: int,
) -> Audit:  # fmt: skip
    at = np.flatnonzero(~np.array(system.fixed) & done.held[np.array(system.cell_of, dtype=int)] & (done.required > 0))
    low, high, required = done.audit.low[at], done.audit.high[at], done.required[at]
    nearest = np.lexsort((at, (high - low) / required))[: EXACT if at.size <= EXACT else max(2, 20_000 // at.size)]
    for one, (least, most) in zip(
        nearest, audit.ends(system, done.point, _held(system, done), at[nearest]), strict=True
    ):
        low[one], high[one] = least, most
    widths = (high - low) / required
    kept = {}
    for table in tables:
        release, measure = made[table.name], table.measures[0]
        shown, total = int(release.cells[measure].sum()), release.value(measure)
        kept[table.name] = (release.frame.height, release.withheld, shown, 100 * shown // total if total else None)
    by_rule = {name: sum(r == name for r in reasons.values()) for name in (*RULES, "difference")}
    return Audit(
        cells=len({int(c) for c in np.array(system.cell_of)[~np.array(system.fixed)]}), withheld=int(done.held.sum()),
        rules=by_rule, secondary=int(done.held.sum()) - sum(by_rule.values()), values=at.size,
        widths={f"{n}": int((widths >= n - 1e-9).sum()) for n in MULTIPLES},
        exact=at.size <= EXACT,
        most_exposed=_most_exposed(system, at[nearest], low[nearest], high[nearest], widths[nearest]), kept=kept,
        known=known, told=int((done.told & _held(system, done)).sum()), programmes=done.audit.programmes,
    )  # fmt: skip


def audit_tables(found: Audit, period: str) -> list[Cells]:
    """An audit as tables to release: counts of cells and of values, and the ends of intervals, which tell of no person.

    ``audit_cells``: all cells, by whether they are published or why not. ``audit_widths``: withheld values by how many
    times as wide as required their interval is. ``audit_tables``: by table, its cells, those withheld, and the value of
    its first measure that is published in cells, also in percent of its total. ``audit_exposed``: the values that can
    be told most closely.
    """
    why = {"published": [found.cells - found.withheld]}
    why |= {_PLAIN[name]: [count] for name, count in found.rules.items()}
    why |= {_PLAIN["secondary"]: [found.secondary], TOTAL: [found.cells]}
    bands = [found.widths[f"{n}"] for n in MULTIPLES]
    names = [f"{a} to {b} times" for a, b in pairwise(MULTIPLES)] + [f"{MULTIPLES[-1]} times or more"]
    widths = {name: [n - more] for name, n, more in zip(names, bands, [*bands[1:], 0], strict=True)}
    exposed = {f"{e.cell}: {e.measure}": (e.low, e.high, e.high - e.low, e.times) for e in found.most_exposed}
    return [
        _listed(
            period, "audit_cells", "Every cell, published or withheld", "cell_state", why, ["cells"],
            *(f"{_PLAIN[name]}: {meaning}" for name, meaning in (RULES | _MORE).items()),
        ),
        _listed(
            period, "audit_widths", "How little can be told of what is withheld", "width",
            widths | {TOTAL: [found.values]}, ["values"],
            "The interval of what a reader can compute, as a multiple of the width required"
            + ("." if found.exact else "; of so many values, it may be wider."),
            *([f"Earlier publications tell {found.told:,} values more closely, whatever is withheld now; of these no "
               "more is required."] if found.told else []),
        ),
        _listed(
            period, "audit_tables", "What each table shows", "table", found.kept,
            ["cells", "withheld_cells", "shown", "percent_shown"],
            "Shown: what the published cells hold of the table's first measure, margins apart, and how many percent of "
            "the total that is, rounded down.",
        ),
        _listed(
            period, "audit_exposed", "The values that can be told most closely", "cell", exposed,
            ["low", "high", "width", "times_required"],
            "A reader can compute that the value lies between low and high, which is at least so many times the width "
            "required."
            + ("" if found.exact else " Of so many values, only some were compared."),
        ),
    ]  # fmt: skip


def budget_table(ledger: Ledger, period: str) -> Cells:
    """``audit_budget``: by noisy table of ``period``, and of those that overlap it, what it has spent of the budget."""
    said = ledger.says(period)
    return _listed(
        period, "audit_budget", "What noise has spent of the privacy budget", "noisy_table",
        {name: [share] for name, share in ledger.shares(period).items()}, ["thousandths_of_budget"],
        f"{said[:1].upper()}{said[1:]}.", "Rounded up; what several tables tell together may be less than their sum.",
    )  # fmt: skip


def _listed(
    period: str, name: str, title: str, dimension: str, rows: Mapping[str, Sequence[int | None]],
    measures: Sequence[str], *notes: str,
) -> Cells:  # fmt: skip
    """A table of one dimension from its rows."""
    columns = {m: pl.Series([r[n] for r in rows.values()], dtype=pl.Int64) for n, m in enumerate(measures)}
    frame = pl.DataFrame({dimension: pl.Series(list(rows), dtype=pl.String), **columns})
    return Cells(name, title, period, (dimension,), tuple(measures), frame, notes)


_PLAIN = {
    "threshold": "too few people",
    "p-percent": "one could tell another one's part",
    "dominance": "one person is most of it",
    "full": "all of a small group",
    "difference": "an earlier version would tell",
    "secondary": "withheld for another cell",
}
_MORE = {
    "difference": "an earlier version withheld it, or would tell of few people by the difference",
    "secondary": "safe by itself; another one could be computed from it",
}


def _most_exposed(
    system: audit.System, at: np.ndarray, low: np.ndarray, high: np.ndarray, widths: np.ndarray
) -> tuple[Exposed, ...]:
    """The five of ``at`` told most closely; ``widths`` of intervals are multiples of the required one."""
    names = {variable: name for name, variable in system.index.items()}
    shown = []
    for variable, least, most, width in zip(at, low, high, widths, strict=True):
        (_, _, categories), measure = names[int(variable)]
        cell = ", ".join(f"{d} {v}" for d, v in sorted(categories)) or TOTAL
        times = max((n for n in MULTIPLES if width >= n - 1e-9), default=0)
        shown.append(Exposed(cell, measure, int(least), int(most), times))
    return tuple(sorted(shown, key=lambda e: (e.times, e.high - e.low, e.cell, e.measure))[:5])


def _held(system: audit.System, done: Protected) -> np.ndarray:
    fixed = np.array(system.fixed)
    return np.where(fixed, np.array(system.held), done.held[np.array(system.cell_of, dtype=int)])


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
        table.population or table.name, table.nesting, table.groups, _SEAL,
    )  # fmt: skip


def sealed(
    name: str, title: str, period: str, dimensions: tuple[str, ...], measures: tuple[str, ...], frame: pl.DataFrame,
    policy: Policy, notes: tuple[str, ...], population: str,
) -> Release:  # fmt: skip
    """A release of a frame that already has noise: for ``disclosure.noise`` alone."""
    return Release(
        name, title, period, dimensions, measures, frame, policy, notes, "", population, seal=_SEAL,
    )  # fmt: skip


def view(release: Release, version: int = 0) -> Table:
    """A release as a reader has it: what ``known`` takes (with a version of 1 or more), and an audit starts from."""
    return Table(
        release.name, release.period, release.population, release.dimensions, release.measures, release.frame, version,
        release.nesting, release.groups,
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
        noted["nesting"] = tuple((c, p, {k: tuple(v) for k, v in of.items()}) for c, p, of in noted["nesting"])
        noted["groups"] = tuple((d, tuple(of), population) for d, of, population in noted.get("groups", ()))
        noted |= {"policy": Policy(**noted["policy"]), "frame": pl.read_parquet(folder / f"{noted['name']}.parquet")}
        made[noted["name"]] = Release(**noted, seal=_SEAL)
    return made, more

"""The attacker: all that is published as one system of constraints, and what follows from it for a withheld cell.

A reader knows that a margin is the sum of its parts, that tables of one population share their margins, that a cell
which is listed holds somebody, that hits are at least sessions and sessions at least people, that a margin has at least
as many people as its largest part and at most as many as its parts together, what earlier versions of the period said,
what the months of a quarter add up to, and which weeks lie in which month. For each withheld value, the *feasibility
interval* runs from the smallest to the largest whole number that fits all of that: two programmes (Hundepool et al.,
Statistical Disclosure Control, 2012, ch. 4). Article 29 WP Opinion 05/2014 asks that nothing can be inferred.

A linear programme may say more than whole numbers allow, so that an interval counts only as far as whole numbers are
seen to reach: its ends are values of whole solutions, and where none is found, an integer programme looks for one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import highspy
import numpy as np
import polars as pl
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ..params import Period, WorkbookError

TOTAL = "Total"
"""The category of a margin: the row is about all categories of that dimension together."""

LISTED = ("sessions", "hits", "requests", "people")
"""Measures that are at least 1 in a category that is listed."""


def additive(measure: str) -> bool:
    """Whether a measure adds up over the categories of a dimension; people do not."""
    return measure != "people"


_LESS = (("people", "sessions"), ("sessions", "hits"), ("people", "hits"), ("people", "requests"))

Nesting = tuple[str, str, dict[str, tuple[str, ...]]]
"""A dimension, another one, and for each category of the first those of the second that it occurs with."""

Group = tuple[str, tuple[str, ...], str]
"""A dimension, some of its categories, and the population that is all of these together."""

Cell = tuple[str, str, frozenset[tuple[str, str]]]
"""A cell of the published world: scope (a period's label, with its version), population, and categories."""


class DisclosureError(WorkbookError):
    """A release that cannot be made safe, or whose audit fails; nothing of it is written."""


class Contradiction(DisclosureError):
    """Published figures that no data fits."""


@dataclass(frozen=True)
class Table:
    """A table as a reader sees it, or before it is one: ``frame`` has the dimensions and measures, margins included.

    ``withheld`` is the reader's view; where it is absent, every value is known. ``nesting`` says what a reader knows of
    the world: of a dimension's categories, with which ones of another dimension each occurs, as ``("browser", "os",
    {"Mobile Safari": ("iOS",), "Firefox": ("Linux", "Windows")})``.
    """

    name: str
    period: str
    population: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    frame: pl.DataFrame
    version: int = 0
    nesting: tuple[Nesting, ...] = ()
    groups: tuple[Group, ...] = ()
    exact: frozenset[str] = frozenset()
    """Dimensions whose counts every reader has: a cell that only these name is known, and is not withheld."""


@dataclass
class System:
    """Variables (a measure of a cell) and the constraints between them, each ``low <= row . x <= high``."""

    index: dict[tuple[Cell, str], int] = field(default_factory=dict)
    cell_of: list[int] = field(default_factory=list)
    """For each variable its cell's number: the values of one row are withheld together."""
    cells: dict[Cell, int] = field(default_factory=dict)
    value: list[float] = field(default_factory=list)
    """The true values; NaN where only a reader's view is known and the cell is withheld."""
    fixed: list[bool] = field(default_factory=list)
    """Whether the cell belongs to an earlier publication: it can no longer be withheld, or stays as it was."""
    open: list[bool] = field(default_factory=list)
    """Whether every reader has the cell's value from elsewhere; such a cell is fixed, too."""
    held: list[bool] = field(default_factory=list)
    least: list[float] = field(default_factory=list)
    """What a reader knows a value to be at least: 1 of a category that is listed, 0 of a combination."""
    latent: list[bool] = field(default_factory=list)
    """Values that are in no table and that others are made of: a week's part in a month."""
    rows: list[tuple[list[int], list[float], float, float]] = field(default_factory=list)
    related: list[int] = field(default_factory=list)
    """The rows that say what periods and versions have to do with each other."""

    def variable(self, cell: Cell, measure: str) -> int | None:
        return self.index.get((cell, measure))

    def matrix(self) -> Any:
        data, columns, starts = [], [], [0]
        for where, factors, _, _ in self.rows:
            columns += where
            data += factors
            starts.append(len(columns))
        return sparse.csr_matrix((data, columns, starts), shape=(len(self.rows), len(self.value)))

    @property
    def low(self) -> np.ndarray:
        return np.array([row[2] for row in self.rows])

    @property
    def high(self) -> np.ndarray:
        return np.array([row[3] for row in self.rows])


def system(tables: Iterable[Table]) -> System:
    """The system of all ``tables`` together: same cells are the same variables."""
    made = System()
    parts: list[tuple[Table, dict[tuple[str, ...], Cell]]] = []
    for table in tables:
        parts.append((table, _add_cells(made, table)))
    seen: set[Any] = set()
    for table, cells in parts:
        for along in table.dimensions:
            _add_lines(made, table, cells, along, seen)
    _add_nesting(made, parts)
    _add_groups(made, parts)
    _add_balance(made)
    _add_order(made)
    before = len(made.rows)
    _add_periods(made)
    _add_versions(made)
    made.related = list(range(before, len(made.rows)))
    return made


def alone(table: Table, number: int) -> Table:
    """A table that shares nothing with another one."""
    return replace(table, population=f"{table.population} {number}", nesting=(), groups=())


def scope(table: Table, key: dict[str, str]) -> Cell:
    """The cell that a row is about: the same one, however it is written.

    Of a month's own tables, that month says nothing; and what a category is part of says nothing beside it.
    """
    named = {d: v for d, v in key.items() if v != TOTAL and (d, v) != ("month", table.period)}
    for child, parent, mapping in table.nesting:
        if child in named and parent in named and mapping.get(named[child]) == (named[parent],):
            del named[parent]
    return (f"{table.period}#{table.version}", table.population, frozenset(named.items()))


def known_anyway(table: Table, cell: Cell) -> bool:
    """Whether the readers of a table have this cell's value from elsewhere: it names dimensions of ``exact`` only."""
    return bool(table.exact) and {dimension for dimension, _ in cell[2]} <= table.exact


def _add_cells(made: System, table: Table) -> dict[tuple[str, ...], Cell]:
    cells: dict[tuple[str, ...], Cell] = {}
    frame = table.frame
    held = frame["withheld"].to_list() if "withheld" in frame.columns else [False] * frame.height
    columns = [frame[m].to_list() for m in table.measures]
    keys = frame.select(table.dimensions).rows() if table.dimensions else [()] * frame.height
    for number, key in enumerate(keys):
        cell = scope(table, dict(zip(table.dimensions, key, strict=True)))
        cells[key] = cell
        place = made.cells.setdefault(cell, len(made.cells))
        for measure, values in zip(table.measures, columns, strict=True):
            value = values[number]
            at = made.index.get((cell, measure))
            if at is None:
                at = made.index[cell, measure] = len(made.value)
                made.cell_of.append(place)
                made.value.append(np.nan if value is None else float(value))
                made.open.append(known_anyway(table, cell))
                made.fixed.append(table.version > 0 or made.open[-1])
                made.held.append(held[number])
                made.latent.append(False)
                made.least.append(_least(cell, measure, value))
            elif value is not None:
                # What one table withholds, another one may say.
                made.value[at], made.held[at] = float(value), held[number] and made.held[at]
    return cells


def _least(cell: Cell, measure: str, value: int | None) -> float:
    """What a reader knows a value to be at least: a category that is listed holds somebody.

    A cell with sessions has people; so of a cell that has people, 0 of them is never taken for possible.
    """
    listed = len(cell[2]) < 2 and measure in LISTED
    return 1.0 if value != 0 and (listed or (measure == "people" and value is not None)) else 0.0


def _lines(table: Table, along: str) -> list[tuple[tuple[str, ...] | None, list[tuple[str, ...]]]]:
    """Margins with their parts along one dimension, as keys of rows."""
    at = table.dimensions.index(along)
    found: dict[tuple[str, ...], tuple[list[tuple[str, ...]], list[tuple[str, ...]]]] = {}
    for key in table.frame.select(table.dimensions).iter_rows():
        totals, parts = found.setdefault(key[:at] + key[at + 1 :], ([], []))
        (totals if key[at] == TOTAL else parts).append(key)
    return [(totals[0] if totals else None, parts) for totals, parts in found.values()]


def _add_lines(made: System, table: Table, cells: dict, along: str, seen: set) -> None:
    for total, parts in _lines(table, along):
        if total is None or not parts:
            continue
        for measure in table.measures:
            whole = made.index[cells[total], measure]
            pieces = [made.index[cells[part], measure] for part in parts]
            _whole_and_parts(made, whole, pieces, measure, seen)


def _whole_and_parts(made: System, whole: int, pieces: list[int], measure: str, seen: set) -> None:
    if pieces == [whole]:
        return  # one cell, written in two ways
    mark = (whole, tuple(sorted(pieces)))
    if mark in seen:
        return
    seen.add(mark)
    ones = [1.0] * len(pieces)
    if additive(measure):
        made.rows.append(([whole, *pieces], [-1.0, *ones], 0.0, 0.0))
    else:
        made.rows.append(([whole, *pieces], [-1.0, *ones], 0.0, np.inf))
        made.rows += [([whole, piece], [1.0, -1.0], 0.0, np.inf) for piece in pieces]


def _add_nesting(made: System, parts: list[tuple[Table, dict]]) -> None:
    """What categories have to do with those of another dimension, in whichever tables these stand.

    A category that occurs with several ones has a part in each; the parts are in no table, and the rest adds up.
    """
    done: set[Any] = set()
    for table, cells in parts:
        for child, parent, mapping in table.nesting:
            if child not in table.dimensions:
                continue
            groups: dict[tuple[str, str, frozenset], list[tuple[str, Cell]]] = defaultdict(list)
            for cell in dict.fromkeys(cells.values()):
                said = dict(cell[2])
                if child in said and parent not in said and said[child] in mapping:
                    groups[cell[0], cell[1], cell[2] - {(child, said[child])}].append((said[child], cell))
            for place, below in groups.items():
                for measure in table.measures:
                    if (place, child, parent, measure) not in done:
                        done.add((place, child, parent, measure))
                        _add_overlap(made, place, below, parent, mapping, measure)


def _add_groups(made: System, parts: list[tuple[Table, dict]]) -> None:
    """What some categories add up to, where that is counted in tables of its own."""
    for table, cells in parts:
        for dimension, categories, population in table.groups:
            inside: dict[tuple[str, frozenset], list[Cell]] = defaultdict(list)
            for cell in dict.fromkeys(cells.values()):
                said = dict(cell[2])
                if said.get(dimension) in categories:
                    inside[cell[0], cell[2] - {(dimension, said[dimension])}].append(cell)
            for (where, rest), pieces in inside.items():
                for measure in table.measures:
                    whole = made.index.get(((where, population, rest), measure))
                    if whole is not None:
                        _whole_and_parts(made, whole, [made.index[cell, measure] for cell in pieces], measure, set())


def _add_overlap(
    made: System, place: tuple[str, str, frozenset], below: list[tuple[str, Cell]], parent: str,
    mapping: dict[str, tuple[str, ...]], measure: str,
) -> None:  # fmt: skip
    label, population, rest = place
    above = {
        category: made.index[cell, measure]
        for category in {p for name, _ in below for p in mapping[name]}
        if ((cell := (label, population, rest | {(parent, category)})), measure) in made.index
    }
    if not above:
        return
    inside: dict[str, list[int]] = defaultdict(list)
    for name, cell in below:
        at = made.index[cell, measure]
        over = mapping[name]
        parts = [at] if len(over) == 1 else [_latent(made, cell, parent, category, measure) for category in over]
        if len(over) > 1:
            _whole_and_parts(made, at, parts, measure, set())
        for category, part in zip(over, parts, strict=True):
            inside[category].append(part)
    for category, whole in above.items():
        _whole_and_parts(made, whole, inside[category], measure, set())


def _latent(made: System, cell: Cell, parent: str, category: str, measure: str) -> int:
    where, population, named = cell
    part = (where, population, named | {(parent, category)})
    if (part, measure) not in made.index:
        made.index[part, measure] = len(made.value)
        made.cell_of.append(made.cells.setdefault(part, len(made.cells)))
        made.value.append(np.nan)
        for column, value in (
            (made.fixed, True),
            (made.open, False),
            (made.held, True),
            (made.latent, True),
            (made.least, 0.0),
        ):
            column.append(value)  # type: ignore[arg-type]
    return made.index[part, measure]


IN = (("visits", "entry_area", "sessions"), ("steps", "to_area", "hits"))
OUT = (("visits", "exit_area", "sessions"), ("steps", "from_area", "hits"))
SEEN = ("visits", "area", "hits")
"""Each stay in an area begins with an entry or a step into it, ends with an exit or a step out, and has a page view."""


def _add_balance(made: System) -> None:
    """Entries and steps in are exits and steps out, area by area, and at most its page views; so are their people."""
    shapes: dict[tuple[str, str], set[frozenset]] = defaultdict(set)
    areas: dict[tuple[str, frozenset], set[str]] = defaultdict(set)
    ours = {dimension for _, dimension, _ in (*IN, *OUT, SEEN)}
    for label, population, named in list(made.cells):
        shapes[label, population].add(frozenset(d for d, _ in named))
        said = {d: v for d, v in named if d in ours}
        if len(said) == 1:
            (item,) = said.items()
            areas[label, named - {item}].add(item[1])
    for (label, rest), names in sorted(areas.items(), key=str):
        shape = frozenset(d for d, _ in rest)
        there = {p for p in (*IN, *OUT, SEEN) if shape | {p[1]} in shapes[label, p[0]]}
        for name in sorted(names):
            # A category that a published table does not list holds nobody there.
            cells = {p: ((label, p[0], rest | {(p[1], name)}), p[2]) for p in there}
            at = {p: made.index[cell] for p, cell in cells.items() if cell in made.index}
            into, out, seen = ([at[p] for p in side if p in at] for side in (IN, OUT, (SEEN,)))
            if there >= {*IN, *OUT}:
                _difference(made, into, out, 0.0, 0.0)
            for side, stays in ((IN, into), (OUT, out)):
                if there >= {SEEN, *side}:
                    _difference(made, seen, stays, 0.0, np.inf)
                # Whoever enters or leaves by an area sees it.
                people = [((label, p[0], rest | {(p[1], name)}), "people") for p in (SEEN, side[0])]
                if all(cell in made.index for cell in people):
                    viewers, passers = (made.index[cell] for cell in people)
                    made.rows.append(([viewers, passers], [1.0, -1.0], 0.0, np.inf))


def _difference(made: System, more: list[int], less: list[int], low: float, high: float) -> None:
    if more or less:
        made.rows.append(([*more, *less], [*[1.0] * len(more), *[-1.0] * len(less)], low, high))


def _add_order(made: System) -> None:
    """Hits are at least sessions, and sessions at least people."""
    by_cell: dict[Cell, dict[str, int]] = defaultdict(dict)
    for (cell, measure), at in made.index.items():
        by_cell[cell][measure] = at
    for measures in by_cell.values():
        for less, more in _LESS:
            if less in measures and more in measures:
                made.rows.append(([measures[more], measures[less]], [1.0, -1.0], 0.0, np.inf))


def _add_periods(made: System) -> None:
    """What the months or quarters of a longer period add up to, all of them or those that are published."""
    newest: dict[str, int] = {}
    for (where, _, _), _ in made.index:
        label, _, version = where.partition("#")
        newest[label] = min(newest.get(label, int(version)), int(version))
    periods = {label: Period.parse(label) for label in newest}
    for label, period in periods.items():
        for months in {1, 3} - {period.months}:
            inner = [Period(period.first, months)]
            while inner[-1].end < period.end:
                inner.append(Period(inner[-1].end, months))
            names = [p.label for p in inner if p.label in newest]
            if months < period.months and names:
                scopes = [f"{name}#{newest[name]}" for name in names]
                _add_sum(made, f"{label}#{newest[label]}", scopes, whole_known=len(names) == len(inner))


def _add_sum(made: System, whole: str, scopes: list[str], whole_known: bool) -> None:
    surplus = _surplus(made, whole, scopes)
    published: dict[tuple[str, str], set[frozenset]] = defaultdict(set)
    for ((where, population, named), _), at in made.index.items():
        if not made.latent[at]:
            published[where, population].add(frozenset(d for d, _ in named))
    for (cell, measure), at in list(made.index.items()):
        where, population, named = cell
        if where != whole:
            continue
        pieces: list[int] = []
        for part in scopes:
            month = dict(named).get("month")
            inner = named - {("month", month)} if month and part.startswith(f"{month}#") else named
            if inner is named and month and part.count("-"):
                continue  # another month holds nothing of this one
            if frozenset(d for d, _ in inner) not in published[part, population]:
                break
            # A part without this cell holds nobody there, as it publishes the table.
            if ((part, population, inner), measure) in made.index:
                pieces.append(made.index[(part, population, inner), measure])
        else:
            _whole_of_periods(made, at, pieces, measure, whole_known, surplus[population])


def _surplus(made: System, whole: str, scopes: list[str]) -> dict[str, dict[str, float]]:
    """By population and additive measure, by how much the parts' grand totals exceed that of the whole, where known.

    More than 0: sessions over midnight between two parts, which count in both. Less: what is in no part, as a later
    quarter of a year to date or data that came late; nothing of the sort where it is 0.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for ((where, population, named), measure), at in made.index.items():
        if where == whole and not named and additive(measure):
            pieces = [made.index.get(((part, population, named), measure)) for part in scopes]
            values = [made.value[at], *(np.nan if piece is None else made.value[piece] for piece in pieces)]
            if np.isfinite(values).all():
                found[population][measure] = sum(values[1:]) - values[0]
    return found


def _whole_of_periods(
    made: System, whole: int, pieces: list[int], measure: str, whole_known: bool, surplus: Mapping[str, float]
) -> None:
    row = [whole, *pieces], [-1.0, *[1.0] * len(pieces)]
    if not additive(measure):
        # The session that a part begins at midnight may be in another category than the whole one, so that this is
        # likely only; a reader who guesses so must learn nothing either.
        made.rows += [([whole, piece], [1.0, -1.0], 0.0, np.inf) for piece in pieces]
        if whole_known or any(more >= 0 for more in surplus.values()):
            made.rows.append((*row, 0.0, np.inf))
    elif measure in surplus:
        # No cell differs by more than all of them together.
        made.rows.append((*row, min(0.0, surplus[measure]), max(0.0, surplus[measure])))
    else:
        # How many sessions are over midnight is not told: a reader guesses that few are, and that is dropped where it
        # is not so; no whole has more of them than its parts.
        made.rows.append((*row, 0.0 if whole_known else -np.inf, 0.0))
        if measure == "sessions" and whole_known:
            made.rows.append((*row, 0.0, np.inf))


def _add_versions(made: System) -> None:
    """A later version of a period holds at least what an earlier one did, as late data is added."""
    by_name: dict[tuple, dict[int, int]] = defaultdict(dict)
    for ((where, population, named), measure), at in made.index.items():
        label, _, version = where.partition("#")
        by_name[label, population, named, measure][int(version)] = at
    for versions in by_name.values():
        # Version 0 is the newest, 1 the one published before it, and so on.
        ordered = [versions[v] for v in sorted(versions)]
        for newer, older in pairwise(ordered):
            known = [made.value[at] for at in (newer, older) if not made.held[at]]
            if len(known) == 2 and known[0] < known[1]:
                continue  # this one shrank, so a reader can't rely on it
            made.rows.append(([newer, older], [1.0, -1.0], 0.0, np.inf))


# ---- a point that fits ----------------------------------------------------------------------------------------------


def complete(made: System) -> np.ndarray:
    """Whole numbers for every variable that fit all rows: the true values, and any that fit where none is known.

    Rows that say what periods and versions have to do with each other are dropped where the figures contradict them (a
    log that was corrected): a reader can't rely on them either. Raises Contradiction where the tables themselves do not
    add up.
    """
    values, held = np.array(made.value), np.array(made.held)
    unknown = np.flatnonzero(np.isnan(values))
    names = {at: name for name, at in made.index.items()}
    matrix = made.matrix()
    rest = matrix @ np.nan_to_num(values)
    low, high = made.low - rest, made.high - rest
    related = np.zeros(len(made.rows), bool)
    related[made.related] = True
    touched = matrix[:, unknown].tocsr()
    empty = np.diff(touched.indptr) == 0
    broken = (low > 1e-6) | (high < -1e-6)
    if (broken & empty & ~related).any():
        raise Contradiction("a table's margins are not the sums of its cells")
    dropped = broken & empty
    if unknown.size:
        used = np.flatnonzero(~empty)
        loose = np.flatnonzero(related[used])
        # A related row may be missed, at a price; the others may not.
        slack = sparse.csr_matrix((np.ones(len(loose)), (loose, np.arange(len(loose)))), (len(used), len(loose)))
        both: Any = sparse.hstack([touched[used], slack, -slack])
        count = both.shape[1]
        least = np.concatenate([np.array(made.least)[unknown], np.zeros(2 * len(loose))])
        solver = programme(both, low[used], high[used], least, np.full(count, _far(values)))
        # An earlier version is taken to have been as large as the newer one allows: late data are few.
        late = np.where([names[at][0][0].endswith("#0") or made.latent[at] for at in unknown.tolist()], 0.0, -1e-3)
        price = np.concatenate([late, np.ones(2 * len(loose))])
        solver.changeColsCost(count, np.arange(count, dtype=np.int32), price)
        found = _whole(solver, len(unknown))
        if found is None:
            raise Contradiction("what was published contradicts itself: no whole numbers fit all of it")
        values[unknown] = np.round(found[: len(unknown)])
        missed = found[len(unknown) : len(unknown) + len(loose)] + found[len(unknown) + len(loose) :]
        dropped[used[loose[missed > 0.5]]] = True
    if dropped.any():
        made.rows = [row for row, drop in zip(made.rows, dropped, strict=True) if not drop]
        kept = np.cumsum(~dropped) - 1
        made.related = [int(kept[r]) for r in made.related if not dropped[r]]
    assert np.isfinite(values[held]).all()
    return values


def _far(values: np.ndarray) -> float:
    """Far above any value, so that no programme is unbounded; who can say no more than that knows nothing."""
    return max(1e7, 10 * float(np.nanmax(values, initial=1.0)))


def _solution(solver: Any) -> np.ndarray | None:
    solver.run()
    fine = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return np.array(solver.getSolution().col_value) if fine else None


def _whole(solver: Any, count: int, nodes: int = 500) -> np.ndarray | None:
    """A best solution whose first ``count`` values are whole numbers; None where none is found in ``nodes`` nodes."""
    found = _solution(solver)
    if found is not None and (np.abs(found[:count] - np.round(found[:count])) < 1e-6).all():
        return found
    kind = np.full(count, highspy.HighsVarType.kInteger)
    solver.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kind)
    solver.setOptionValue("mip_max_nodes", nodes)
    solver.run()
    fine = solver.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    found = np.array(solver.getSolution().col_value) if fine else None
    solver.changeColsIntegrality(
        count, np.arange(count, dtype=np.int32), np.full(count, highspy.HighsVarType.kContinuous)
    )
    return found


# ---- intervals ------------------------------------------------------------------------------------------------------


Move = tuple[Sequence[int], Sequence[float]]
"""Variables, and by how much each changes."""


@dataclass
class Intervals:
    """What a reader can say of each withheld variable: its value lies between ``low`` and ``high``.

    Bounds are exact for the variables in ``exact``; for the others, whole numbers that fit everything published reach
    from ``low`` to ``high``, so that the true interval is at least as wide. ``programmes`` is how many that took, and
    ``moves`` are the changes of the point that they found.
    """

    low: np.ndarray
    high: np.ndarray
    exact: np.ndarray
    programmes: int = 0
    effort: float = 0.0
    """Programmes by their size: about what they cost, and the same on every machine."""
    moves: list[Move] = field(default_factory=list)

    @property
    def width(self) -> np.ndarray:
        return self.high - self.low


def intervals(
    made: System, point: np.ndarray, held: np.ndarray, required: np.ndarray, moves: Sequence[Move] = (), *,
    trial: bool = False,
) -> Intervals:  # fmt: skip
    """The feasibility interval of every withheld variable (``held``), at least up to the width that is ``required``.

    ``point`` fits all rows (``complete``). Where the required width is infinite, the interval is computed to its ends.
    ``moves`` may make it faster: changes of the point that are tried against every constraint first, and count where
    they hold. A ``trial`` leaves a component at the first value for which no width is found.
    """
    count = len(point)
    answer = Intervals(np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, bool))
    unknown = np.flatnonzero(held)
    if not unknown.size:
        return answer
    answer.effort = float(unknown.size)
    matrix = made.matrix()
    rest = matrix @ np.where(held, 0.0, point)
    touched = matrix[:, unknown].tocsr()
    used = np.flatnonzero(np.diff(touched.indptr))
    touched = touched[used]
    low, high = made.low[used] - rest[used], made.high[used] - rest[used]
    # Rows and columns as one graph: an unknown that no row touches is a component by itself.
    graph = sparse.bmat([[None, touched], [touched.T, None]])
    groups, labels = connected_components(graph, directed=False)
    row_label, label = labels[: touched.shape[0]], labels[touched.shape[0] :]
    order, row_order = np.argsort(label, kind="stable"), np.argsort(row_label, kind="stable")
    ends, row_ends = (
        np.searchsorted(label[order], np.arange(groups + 1)),
        np.searchsorted(row_label[row_order], np.arange(groups + 1)),
    )
    least, most = _witnessed(made, matrix, point, held, moves)
    floor = np.array(made.least)
    for group in range(groups):
        columns = order[ends[group] : ends[group + 1]]
        rows = row_order[row_ends[group] : row_ends[group + 1]]
        if not columns.size:
            continue
        at = unknown[columns]
        if (most[at] - least[at] < required[at] - 1e-6).any():
            part = _Attack(touched[rows][:, columns], low[rows], high[rows], point[at], floor[at])
            part.least, part.most = least[at], most[at]
            part.prove(required[at], trial)
            least[at], most[at], answer.exact[at] = part.least, part.most, part.done
            answer.programmes += part.programmes
            answer.effort += part.effort
            answer.moves += [(at[where].tolist(), change.tolist()) for where, change in part.moves]
        answer.low[at], answer.high[at] = least[at], most[at]
    return answer


def ends(
    made: System, point: np.ndarray, held: np.ndarray, variables: Sequence[int] | np.ndarray
) -> list[tuple[int, int]]:
    """The exact ends of the feasibility intervals of some withheld variables, in whole numbers."""
    required = np.zeros(len(point))
    required[list(variables)] = np.inf
    found = intervals(made, point, held, required)
    return [(int(found.low[at]), int(found.high[at])) for at in variables]


class _Quiet(highspy.Highs):
    """A solver that prints nothing: the first one of a process greets on standard output before it can be silenced."""

    def enableCallbacks(self) -> None:
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


def programme(matrix: Any, low: Any, high: Any, least: Any, most: Any) -> Any:
    """A solver with ``low <= matrix . x <= high`` and ``least <= x <= most``, and no objective yet."""
    columns: Any = sparse.csc_matrix(matrix)
    made: Any = highspy.HighsLp()
    made.num_row_, made.num_col_ = columns.shape
    made.col_cost_ = np.zeros(columns.shape[1])
    made.col_lower_, made.col_upper_ = least, most
    made.row_lower_ = np.where(np.isinf(low), -highspy.kHighsInf, low)
    made.row_upper_ = np.where(np.isinf(high), highspy.kHighsInf, high)
    made.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    made.a_matrix_.start_, made.a_matrix_.index_ = columns.indptr, columns.indices
    made.a_matrix_.value_ = columns.data
    solver = _Quiet()
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 0)
    solver.passModel(made)
    return solver


def _witnessed(
    made: System, matrix: Any, point: np.ndarray, held: np.ndarray, moves: Sequence[Move]
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and largest values that those of ``moves`` reach which keep to all that is published."""
    least, most = point.copy(), point.copy()
    if not moves:
        return least, most
    sizes = np.array([len(where) for where, _ in moves])
    where = np.concatenate([np.asarray(w, dtype=int) for w, _ in moves])
    change = np.round(np.concatenate([np.asarray(c, dtype=float) for _, c in moves]))
    number = np.repeat(np.arange(len(moves)), sizes)
    fine = np.ones(len(moves), bool)
    np.logical_and.at(fine, number, held[where] & (point[where] + change >= np.array(made.least)[where] - 1e-9))
    use = fine[number]
    where, change, number = where[use], change[use], number[use]
    effect = (matrix @ sparse.csc_matrix((change, (where, number)), shape=(len(point), len(moves)))).tocoo()
    now = (matrix @ point)[effect.row] + effect.data
    low, high = made.low, made.high
    kept = (now >= low[effect.row] - 1e-6) & (now <= high[effect.row] + 1e-6)
    np.logical_and.at(fine, effect.col, kept)
    use = fine[number]
    np.minimum.at(least, where[use], point[where[use]] + change[use])
    np.maximum.at(most, where[use], point[where[use]] + change[use])
    return least, most


_DUAL, _PRIMAL = 1, 4
"""Strategies of the simplex method, as the solver numbers them."""

WIDE = (8, 24, 64)
"""How many variables of a row may change in the small programmes."""

LARGE = 1000
"""In components of more variables, a trial looks near the point only."""


class _Attack:
    """Programmes over one component; every whole solution is a witness for all of its variables."""

    def __init__(self, matrix: Any, low: np.ndarray, high: np.ndarray, point: np.ndarray, least: np.ndarray) -> None:
        self.count = matrix.shape[1]
        self.matrix, self.low, self.high, self.floor = matrix, low, high, least
        self.point = point
        self.effort = 0.0
        self.least, self.most = point.copy(), point.copy()
        self.done = np.zeros(self.count, bool)
        self.programmes = 0
        self.moves: list[tuple[np.ndarray, np.ndarray]] = []
        self.numbers = np.arange(self.count, dtype=np.int32)

    # What only some components need is made when it is asked for: small programmes are enough for most.

    @cached_property
    def solver(self) -> Any:
        """The programme over all variables, for ends."""
        return programme(self.matrix, self.low, self.high, self.floor, np.full(self.count, _far(self.point)))

    @cached_property
    def near(self) -> tuple[Any, np.ndarray]:
        """The programme near the point in which every variable may change."""
        return self._near_programme(self.numbers)

    @cached_property
    def columns(self) -> Any:
        return self.matrix.tocsc()

    @cached_property
    def long(self) -> np.ndarray:
        """Which rows are of more than a few variables."""
        return np.diff(self.matrix.indptr) > 4

    def prove(self, required: np.ndarray, trial: bool = False) -> None:
        """Widens the seen ranges until each is as wide as required or its ends are known; a trial, until one is not."""
        random = np.random.default_rng(self.count)
        finite = np.isfinite(required)
        for turn in range(40 if self.count > 4 else 0):
            short = self._short(required) & finite
            if short.sum() <= max(25, self.count / 50):
                break
            before = int(short.sum())
            # Many at once: each programme pushes all that still lack width in one direction. Few are faster one by one.
            signs = np.ones(self.count) if turn == 0 else np.where(random.random(self.count) < 0.7, 1.0, -1.0)
            self._solve(np.where(short, signs * random.uniform(0.5, 1.5, self.count), 0.0))
            if turn > 2 and before - int((self._short(required) & finite).sum()) < before / 50:
                break
        for at in range(self.count):
            if self._short_at(at, required[at]):
                self._prove_one(at, required[at], trial and self.count > LARGE)
                if trial and self._short_at(at, required[at]):
                    break

    def _prove_one(self, at: int, required: float, near: bool = False) -> None:
        if np.isfinite(required):
            # Near the point, and only as far as is needed: what is found there is whole, most of the time.
            for goal in (self.least[at] + required, self.most[at] - required):
                if goal >= self.floor[at]:
                    self._reach(at, float(goal), turns=1 if near else 4)
                if not self._short_at(at, required):
                    return
        if near:
            return
        cost = np.zeros(self.count)
        cost[at] = 1.0
        top, bottom = np.floor(self._solve(cost) + 1e-6), np.ceil(-self._solve(-cost) - 1e-6)
        if np.isfinite(required) and top - bottom < required - 1e-6:
            return  # not even fractions reach as far
        for goal in (top, bottom):
            if not self._seen(at, goal):
                self._reach(at, float(goal))
            if not self._short_at(at, required):
                return
        self.done[at] = True

    def _reach(self, at: int, goal: float, turns: int = 4) -> None:
        """Looks for a whole solution in which the value is ``goal`` and as little as possible is otherwise.

        First where only some values around it may change: such programmes are small, and often enough.
        """
        for wide in WIDE:
            some = self._around(at, wide)
            if 2 * len(some) < self.count:
                self._reach_within(some, at, goal, min(turns, 2))
            if self._seen(at, goal):
                return
        if turns > 1:
            self._reach_within(self.numbers, at, goal, turns)

    def _around(self, at: int, wide: int) -> np.ndarray:
        """Variables about one: some of each row that it is in, and what closes the cubes that these begin."""
        room = self.point - self.floor
        chosen = np.zeros(self.count, bool)
        chosen[at] = True
        for row in self.columns[:, [at]].indices:
            inside = self.matrix.indices[self.matrix.indptr[row] : self.matrix.indptr[row + 1]]
            chosen[inside[np.argsort(-room[inside], kind="stable")][:wide]] = True
        for _ in range(2):
            touched = np.zeros(self.matrix.shape[0], bool)
            touched[self.columns[:, np.flatnonzero(chosen)].indices] = True
            wanted = np.bincount(self.matrix[touched].indices, minlength=self.count)
            paired = np.bincount(self.matrix[touched & ~self.long].indices, minlength=self.count)
            chosen |= (wanted > 1) | (paired > 0)
        return np.flatnonzero(chosen)

    def _reach_within(self, among: np.ndarray, at: int, goal: float, turns: int) -> None:
        """The same, where only the variables ``among`` may change."""
        count = len(among)
        solver, upper = self.near if count == self.count else self._near_programme(among)
        place = int(np.searchsorted(among, at))
        move = goal - self.point[at]
        up, down = (move, 0.0) if move > 0 else (0.0, -move)
        solver.changeColBounds(place, up, up)
        solver.changeColBounds(count + place, down, down)
        random = np.random.default_rng(at)
        numbers = np.arange(2 * count, dtype=np.int32)
        for turn in range(turns):
            if turn:  # at other prices, another way: one that is whole is often among the first
                solver.changeColsCost(2 * count, numbers, 1.0 + 0.3 * random.random(2 * count))
            self.programmes += 1
            self.effort += float(count)
            solver.clearSolver()  # from the start is many times as fast as from another variable's solution
            found = _solution(solver) if turn < 3 else _whole(solver, 2 * count, nodes=20)
            if found is None:
                break
            change = np.round(found[:count] - found[count:])
            whole = self.point.copy()
            whole[among] += change
            if self._witness(whole):
                self.moves.append((among[change != 0], change[change != 0]))
            if self._seen(at, goal):
                break
        solver.changeColBounds(place, 0.0, float(upper[place]))
        solver.changeColBounds(count + place, 0.0, float(upper[count + place]))

    def _near_programme(self, among: np.ndarray) -> tuple[Any, np.ndarray]:
        """How far the variables ``among`` go up and down, at the price of 1 each; others stay where they are."""
        count = len(among)
        part = self.matrix[:, among].tocsr()
        rows = np.flatnonzero(np.diff(part.indptr))
        part = part[rows]
        shift = (self.matrix @ self.point)[rows]
        room = np.maximum(self.point - self.floor, 0.0)[among]
        upper = np.concatenate([np.full(count, _far(self.point)), room])
        both = sparse.hstack([part, -part])
        solver = programme(both, self.low[rows] - shift, self.high[rows] - shift, np.zeros(2 * count), upper)
        solver.changeColsCost(2 * count, np.arange(2 * count, dtype=np.int32), np.ones(2 * count))
        return solver, upper

    def _seen(self, at: int, goal: float) -> bool:
        return bool(self.least[at] <= goal <= self.most[at])

    def _short_at(self, at: int, required: float) -> bool:
        return bool(self.most[at] - self.least[at] < required - 1e-6)

    def _short(self, required: np.ndarray) -> np.ndarray:
        return self.most - self.least < required - 1e-6

    def _solve(self, cost: np.ndarray) -> float:
        """The largest ``cost . x``; the solution is a witness if it is whole, or is near one that is."""
        self.programmes += 1
        self.effort += float(self.count) ** 2 / 700
        self.solver.changeColsCost(self.count, self.numbers, -cost)
        # The last solution still fits, and is near the next one as a rule; where it is not, it is better to start anew.
        self.solver.setOptionValue("simplex_strategy", _PRIMAL)
        self.solver.setOptionValue("simplex_iteration_limit", self.count)
        self.solver.run()
        status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            self.solver.setOptionValue("simplex_strategy", _DUAL)
            self.solver.setOptionValue("simplex_iteration_limit", highspy.kHighsIInf)
            self.solver.clearSolver()
            self.solver.run()
            status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise DisclosureError(f"the audit's linear programme ended with {self.solver.modelStatusToString(status)}")
        found = np.array(self.solver.getSolution().col_value)
        self._witness(np.round(found))
        return float(cost @ found)

    def _witness(self, found: np.ndarray) -> bool:
        sums = self.matrix @ found
        fits = (found >= self.floor).all() and (sums >= self.low - 1e-6).all() and (sums <= self.high + 1e-6).all()
        if fits:
            self.least = np.fmin(self.least, found)
            self.most = np.fmax(self.most, found)
        return bool(fits)


def required_width(values: np.ndarray, absolute: float, relative: float) -> np.ndarray:
    """How wide the interval of a withheld value must be: ``absolute``, or ``relative`` of the value if that is more.

    Whole numbers; ``absolute`` where a value is not known.
    """
    return np.ceil(np.maximum(absolute, relative * np.nan_to_num(values)) - 1e-9)


def exposed(held: np.ndarray, found: Intervals, required: np.ndarray) -> Sequence[int]:
    """The withheld variables whose interval is narrower than required."""
    with np.errstate(invalid="ignore"):
        short = held & ~(found.width >= required - 1e-6)
    return np.flatnonzero(short).tolist()

"""The attacker: all that is published as one system of constraints, and what follows from it for a withheld cell.

A reader knows that a margin is the sum of its parts, that tables of one population share their margins, that a cell
which is listed holds somebody, that hits are at least sessions and sessions at least people, that a margin has at least
as many people as its largest part and at most as many as its parts together, what earlier versions of the period said,
and what the months of a quarter add up to. For each withheld value, the *feasibility interval* runs from the smallest
to the largest value that fits all of that: two linear programmes (Hundepool et al., Statistical Disclosure Control,
2012, ch. 4). Article 29 WP Opinion 05/2014 asks that nothing can be inferred.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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

Cell = tuple[str, str, frozenset[tuple[str, str]]]
"""A cell of the published world: scope (a period's label, with its version), population, and categories."""


class DisclosureError(WorkbookError):
    """A release that cannot be made safe, or whose audit fails; nothing of it is written."""


class Contradiction(DisclosureError):
    """Published figures that no data fits."""


@dataclass(frozen=True)
class Table:
    """A table as a reader sees it, or before it is one: ``frame`` has the dimensions and measures, margins included.

    ``withheld`` is the reader's view; where it is absent, every value is known. ``nesting`` says what the categories of
    a dimension are part of: ``{"browser_version": ("browser", {"Firefox 128": "Firefox"})}``.
    """

    name: str
    period: str
    population: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    frame: pl.DataFrame
    version: int = 0
    nesting: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)


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
    held: list[bool] = field(default_factory=list)
    least: list[float] = field(default_factory=list)
    """What a reader knows a value to be at least: 1 of a category that is listed, 0 of a combination."""
    rows: list[tuple[list[int], list[float], float, float]] = field(default_factory=list)

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


def system(tables: Iterable[Table], relate: bool = True) -> System:
    """The system of all ``tables`` together: same cells are the same variables.

    Without ``relate``, what periods and versions say of each other is left out.
    """
    made = System()
    parts: list[tuple[Table, dict[tuple[str, ...], Cell]]] = []
    for table in tables:
        parts.append((table, _add_cells(made, table)))
    seen: set[Any] = set()
    for table, cells in parts:
        for along in table.dimensions:
            _add_lines(made, table, cells, along, seen)
    _add_nesting(made, parts)
    _add_order(made)
    if relate:
        _add_periods(made)
        _add_versions(made)
    return made


def scope(table: Table, key: dict[str, str]) -> Cell:
    """The cell that a row is about."""
    named = frozenset((d, v) for d, v in key.items() if v != TOTAL)
    return (f"{table.period}#{table.version}", table.population, named)


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
                made.fixed.append(table.version > 0)
                made.held.append(held[number])
                made.least.append(1.0 if len(cell[2]) < 2 and measure in LISTED else 0.0)
            elif value is not None:
                # What one table withholds, another one may say.
                made.value[at], made.held[at] = float(value), held[number] and made.held[at]
    return cells


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
    """Categories that are parts of another dimension's category, in whichever table that stands."""
    seen: set[Any] = set()
    for table, cells in parts:
        for child, (parent, mapping) in table.nesting.items():
            if child not in table.dimensions:
                continue
            at = table.dimensions.index(child)
            groups: dict[Cell, list[Cell]] = defaultdict(list)
            for key, cell in cells.items():
                if key[at] == TOTAL or key[at] not in mapping:
                    continue
                label, population, named = cell
                above = (named - {(child, key[at])}) | {(parent, mapping[key[at]])}
                groups[label, population, above].append(cell)
            for above, below in groups.items():
                for measure in table.measures:
                    if (above, measure) in made.index:
                        pieces = [made.index[cell, measure] for cell in below]
                        _whole_and_parts(made, made.index[above, measure], pieces, measure, seen)


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
    published: dict[tuple[str, str], set[frozenset]] = defaultdict(set)
    for (where, population, named), _ in made.index:
        published[where, population].add(frozenset(d for d, _ in named))
    for (cell, measure), at in list(made.index.items()):
        where, population, named = cell
        if where != whole:
            continue
        shape = frozenset(d for d, _ in named)
        # A part without this cell holds nobody there, if it publishes the table at all.
        if not all(shape in published[part, population] for part in scopes):
            continue
        found = [made.index.get(((part, population, named), measure)) for part in scopes]
        pieces = [piece for piece in found if piece is not None]
        ones = [1.0] * len(pieces)
        if measure == "people":
            made.rows += [([at, piece], [1.0, -1.0], 0.0, np.inf) for piece in pieces]
        if measure in ("people", "sessions"):
            # A session that goes on over midnight between two months counts in both.
            if whole_known:
                made.rows.append(([at, *pieces], [-1.0, *ones], 0.0, np.inf))
        else:
            made.rows.append(([at, *pieces], [-1.0, *ones], 0.0 if whole_known else -np.inf, 0.0))


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


# ---- intervals ------------------------------------------------------------------------------------------------------


@dataclass
class Intervals:
    """What a reader can say of each withheld variable: its value lies between ``low`` and ``high``.

    Bounds are exact for the variables in ``exact``, and for the others a range that is certain to be possible (so the
    true interval is at least as wide). ``programmes`` is how many linear programmes that took.
    """

    low: np.ndarray
    high: np.ndarray
    exact: np.ndarray
    programmes: int = 0
    effort: float = 0.0
    """Programmes by their size squared: about what they cost, and the same on every machine."""

    @property
    def width(self) -> np.ndarray:
        return self.high - self.low


def intervals(
    made: System, held: np.ndarray, required: np.ndarray, exact: bool = False, moves: Sequence[Move] = ()
) -> Intervals:
    """The feasibility interval of every withheld variable (``held``), at least up to the width that is ``required``.

    With ``exact`` every interval is computed to its ends. ``moves`` may make it faster: changes of the true values that
    are tried against every constraint first, and count where they hold. Raises DisclosureError where the published
    figures contradict each other.
    """
    count = len(made.value)
    values = np.array(made.value)
    answer = Intervals(np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, bool))
    unknown = np.flatnonzero(held)
    if not unknown.size:
        return answer
    matrix = made.matrix()
    known = np.where(held, 0.0, values)
    rest = matrix @ known
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
    least, most = _witnessed(made, matrix, values, held, moves)
    for group in range(groups):
        columns = order[ends[group] : ends[group + 1]]
        rows = row_order[row_ends[group] : row_ends[group + 1]]
        if not columns.size:
            continue
        at = unknown[columns]
        part = _Attack(touched[rows][:, columns], low[rows], high[rows], values[at], np.array(made.least)[at])
        part.least, part.most = least[at], most[at]
        part.prove(required[at], exact)
        answer.low[at], answer.high[at], answer.exact[at] = part.least, part.most, part.done
        answer.programmes += part.programmes
        answer.effort += part.programmes * float(part.count) ** 2
    return answer


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
    solver.passModel(made)
    return solver


Move = tuple[Sequence[int], Sequence[float]]
"""Variables, and by how much each changes."""


def _witnessed(
    made: System, matrix: Any, values: np.ndarray, held: np.ndarray, moves: Sequence[Move]
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and largest values that those of ``moves`` reach which keep to all that is published."""
    least, most = values.copy(), values.copy()
    moves = [move for move in moves if held[list(move[0])].all() and np.isfinite(values[list(move[0])]).all()]
    if not moves or np.isnan(values).any():
        return least, most
    columns = np.repeat(np.arange(len(moves)), [len(where) for where, _ in moves])
    where = np.concatenate([np.asarray(w, dtype=int) for w, _ in moves])
    change = np.concatenate([np.asarray(c, dtype=float) for _, c in moves])
    fine = np.ones(len(moves), bool)
    np.logical_and.at(fine, columns, values[where] + change >= np.array(made.least)[where] - 1e-9)
    effect = (matrix @ sparse.csc_matrix((change, (where, columns)), shape=(len(values), len(moves)))).tocoo()
    now = (matrix @ values)[effect.row] + effect.data
    kept = (now >= made.low[effect.row] - 1e-6) & (now <= made.high[effect.row] + 1e-6)
    np.logical_and.at(fine, effect.col, kept)
    use = fine[columns]
    np.minimum.at(least, where[use], values[where[use]] + change[use])
    np.maximum.at(most, where[use], values[where[use]] + change[use])
    return least, most


class _Attack:
    """Linear programmes over one component; every solution is a witness for all of its variables."""

    def __init__(self, matrix: Any, low: np.ndarray, high: np.ndarray, truth: np.ndarray, least: np.ndarray) -> None:
        self.count = matrix.shape[1]
        # Far above any value, so that no programme is unbounded; who can say no more than that knows nothing.
        far = max(1e7, 10 * float(np.nanmax(truth, initial=1.0)))
        self.solver = programme(matrix, low, high, least, np.full(self.count, far))
        self.least, self.most = truth.copy(), truth.copy()
        self.done = np.zeros(self.count, bool)
        self.programmes = 0
        self.numbers = np.arange(self.count, dtype=np.int32)

    def prove(self, required: np.ndarray, exact: bool) -> None:
        """Widens the seen ranges until each is as wide as required, or its ends are known."""
        random = np.random.default_rng(self.count)
        for turn in range(40 if self.count > 4 else 0):
            short = self._short(required)
            if exact or not short.any():
                break
            before = int(short.sum())
            # Many at once: each programme pushes all that still lack width in one direction.
            signs = np.ones(self.count) if turn == 0 else np.where(random.random(self.count) < 0.7, 1.0, -1.0)
            self._solve(np.where(short, signs * random.uniform(0.5, 1.5, self.count), 0.0))
            if turn > 2 and before - int(self._short(required).sum()) < before / 50:
                break
        for at in range(self.count):
            if not exact and not self._short(required)[at]:
                continue
            for sign in (1.0, -1.0):
                cost = np.zeros(self.count)
                cost[at] = sign
                self._solve(cost)
                if not exact and not self._short(required)[at]:
                    break
            else:
                self.done[at] = True

    def _short(self, required: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return ~(self.most - self.least >= required - 1e-6)

    def _solve(self, cost: np.ndarray) -> None:
        """Where ``cost . x`` is largest, as a witness."""
        self.programmes += 1
        self.solver.changeColsCost(self.count, self.numbers, -cost)
        self.solver.run()
        status = self.solver.getModelStatus()
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            raise Contradiction("what is published contradicts itself: no data fits all of it")
        if status != highspy.HighsModelStatus.kOptimal:
            raise DisclosureError(f"the audit's linear programme ended with {self.solver.modelStatusToString(status)}")
        found = np.array(self.solver.getSolution().col_value)
        self.least = np.fmin(self.least, found)
        self.most = np.fmax(self.most, found)


def required_width(values: np.ndarray, absolute: float, relative: float) -> np.ndarray:
    """How wide the interval of a withheld value must be: ``absolute``, or ``relative`` of the value if that is more."""
    return np.maximum(absolute, relative * np.nan_to_num(values))


def exposed(made: System, held: np.ndarray, found: Intervals, required: np.ndarray) -> Sequence[int]:
    """The withheld variables whose interval is narrower than required."""
    with np.errstate(invalid="ignore"):
        short = held & ~(found.width >= required - 1e-6)
    return np.flatnonzero(short).tolist()

"""Complementary suppression: which safe cells are withheld so that no unsafe one can be had from what is published.

All tables of a release are one system (see ``audit``). First, in each table, every withheld cell gets the cheapest
*hypercube*: cells that can be raised and lowered together without changing any margin (Giessing and Repsilber, 2002).
Then the attacker's audit finds what is still exposed; for each such cell a linear programme gives the cheapest set of
cells that lets it vary by the required width (Kelly, Golden and Assad, 1992), until nothing is exposed. Last, what is
withheld without need is given back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import highspy
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from .audit import (
    TOTAL,
    DisclosureError,
    Intervals,
    Move,
    System,
    Table,
    additive,
    complete,
    exposed,
    intervals,
    programme,
    required_width,
    scope,
)

EFFORT = 300.0
"""How much effort is spent on giving cells back, for each value that is published or not (``Intervals.effort``)."""

DENSE = 2_000_000
"""The largest table that is looked through for hypercubes; larger ones go to the linear programmes at once."""


@dataclass(frozen=True)
class Protected:
    """The pattern: which cells are withheld, and the audit that it stood."""

    held: np.ndarray
    """By cell."""
    audit: Intervals
    required: np.ndarray
    """By variable."""
    told: np.ndarray
    """By variable, whether earlier publications tell it more closely than is required, whatever is withheld now."""
    rounds: int
    point: np.ndarray
    """Whole numbers that fit everything: the true values, where they are known."""


def protect(
    system: System, tables: Sequence[Table], primary: np.ndarray, absolute: float, relative: float, *,
    unsafe: np.ndarray | None = None, people: dict[int, int] | None = None, threshold: int = 2,
    complementary: bool = True,
) -> Protected:  # fmt: skip
    """Which cells of ``tables`` to withhold, given the ``primary`` ones (by cell number of ``system``); ``unsafe`` are
    those of them that are so by themselves, and not because an earlier version withheld them.

    Every withheld value's feasibility interval is at least ``absolute`` wide, and of a primary cell ``relative`` of the
    value. ``people`` are those in each cell, where that is known: what is withheld along a line of a table is about
    ``threshold`` of them, and no single person could take their own part away from it and so tell another one's.
    What earlier publications withheld must stay protected, too. Where these, or a count that every reader has from
    elsewhere (``System.open``), tell a value more closely whatever is withheld now, its interval is as wide as they
    allow. Raises DisclosureError when nothing that may be withheld is left and a cell is still exposed.
    """
    of_cell = np.array(system.cell_of, dtype=int)
    fixed = np.array(system.fixed)
    always = np.array(system.held) & fixed  # what earlier versions withheld
    # A cell that is withheld for others is safe by itself, and needs no more than the absolute width.
    of_itself = (primary if unsafe is None else unsafe)[of_cell] & ~fixed
    required = required_width(np.where(of_itself, np.array(system.value), 0.0), absolute, relative)
    required[np.array(system.latent)] = 0
    point = complete(system)
    held = primary.copy()
    by_variable = lambda pattern: np.where(fixed, always, pattern[of_cell])  # noqa: E731
    known = fixed & ~np.array(system.latent)
    told = np.zeros(len(of_cell), bool)
    if known.any():
        # What every reader has already bounds what withholding all the rest can do.
        bound = _bound(system, known)
        most = intervals(system, point, np.where(fixed, always, True) & bound, required)
        told = bound & ~fixed & (np.nan_to_num(most.width) < required)
        required = np.where(bound, np.minimum(required, np.nan_to_num(most.width)), required)
    if not complementary or (not held.any() and not always.any()):
        return Protected(held, intervals(system, point, by_variable(held), required), required, told, 0, point)
    free = np.zeros(len(held), bool)
    free[of_cell[~fixed]] = True
    # What is told anyway hides little: it is withheld for others only where nothing else will do.
    free[of_cell[told]] = False
    weight = _weights(system, point, of_cell)
    lines = _Lines(system, fixed & ~np.array(system.open), of_cell, people or {}, threshold)
    # Where an earlier version has a pattern already, it is kept to, and widened only where that is not enough.
    moves = _hypercubes(system, tables, held, free & ~always.any(), weight, point, required)
    moves += _alone(system, point)
    moves += _with_versions(system, moves)
    movers = {m: _Mover(system, m, point, of_cell, free, weight) for m in _measures(system)}
    rounds = 0
    while True:
        rounds += 1
        before = held.sum()
        lines.close(held, free, weight)
        found = intervals(system, point, by_variable(held), required, moves=moves)
        moves += found.moves
        open_ = exposed(by_variable(held), found, required)
        if not open_ and held.sum() == before:
            break
        _widen(system, open_, held, movers, required, of_cell, point)
        if open_ and held.sum() == before:
            _more(system, open_, held, free, of_cell, weight)
        if open_ and held.sum() == before:
            if free[of_cell[told]].all():
                raise DisclosureError(
                    f"{len(open_)} withheld values can be told too closely, and nothing more can be withheld: publish "
                    "fewer dimensions, or lower disclosure.protection"
                )
            free[of_cell[told]] = True
            movers = {m: _Mover(system, m, point, of_cell, free, weight) for m in _measures(system)}
    budget = EFFORT * len(system.value)
    # Every value that a cell was withheld for stays protected without it, or the cell stays withheld.
    for cell in sorted(np.flatnonzero(held & ~primary).tolist(), key=lambda c: -weight[c]):
        if budget < 0:
            break
        held[cell] = False
        if lines.stand(cell, held):
            trial = intervals(system, point, by_variable(held), required, moves=moves, trial=True)
            moves += trial.moves
            budget -= trial.effort
            if not exposed(by_variable(held), trial, required):
                found = trial
                continue
        held[cell] = True
    return Protected(held, found, required, told, rounds, point)


def _bound(system: System, known: np.ndarray) -> np.ndarray:
    """By variable, whether it has to do with a value of ``known``, which every reader has."""
    matrix = system.matrix()
    _, label = connected_components(sparse.bmat([[None, matrix], [matrix.T, None]]), directed=False)
    mine = label[matrix.shape[0] :]
    return np.isin(mine, mine[known])


class _Lines:
    """The sums of a table, of which what is withheld can be had together, as one cell: it must be safe as that."""

    def __init__(
        self, system: System, fixed: np.ndarray, of_cell: np.ndarray, people: dict[int, int], threshold: int
    ) -> None:
        self.people, self.threshold = people, threshold
        self.lines = [
            of_cell[columns] for columns, _, low, high in system.rows if low == high == 0 and not fixed[columns].any()
        ]
        self.through: dict[int, list[int]] = defaultdict(list)
        for number, cells in enumerate(self.lines):
            for cell in cells:
                self.through[int(cell)].append(number)

    def _safe(self, number: int, held: np.ndarray) -> bool:
        cells = self.lines[number]
        within = cells[held[cells]]
        # The whole is the first of a line: with it withheld, nothing is to be taken away from.
        if not within.size or held[cells[0]]:
            return True
        counts = [self.people[int(c)] for c in within if int(c) in self.people]
        if len(counts) < len(within):
            return True
        known = [c for c in counts if c]
        # The people of several cells may be the same ones: of their number, only the sum is known to be no less.
        alone = len(known) == 2 and min(known) == 1 and max(known) < self.threshold
        return not known or (sum(known) >= self.threshold and not alone)

    def stand(self, cell: int, held: np.ndarray) -> bool:
        """Whether the lines through ``cell`` are safe as they are."""
        return all(self._safe(number, held) for number in self.through[int(cell)])

    def close(self, held: np.ndarray, free: np.ndarray, weight: np.ndarray) -> None:
        """Withholds the cheapest further cells of each line until it is safe."""
        todo = {n for c in np.flatnonzero(held) for n in self.through[int(c)]}
        while todo:
            number = todo.pop()
            while not self._safe(number, held):
                cells = [int(c) for c in self.lines[number] if free[c] and not held[c] and self.people.get(int(c), 1)]
                if not cells:
                    break
                cheapest = min(cells, key=lambda c: (weight[c], c))
                held[cheapest] = True
                todo.update(n for n in self.through[cheapest] if n != number)


def _measures(system: System) -> list[str]:
    return sorted({measure for _, measure in system.index if additive(measure)})


def _weights(system: System, values: np.ndarray, of_cell: np.ndarray) -> np.ndarray:
    """What withholding a cell costs: its value (the rarest additive measure's), and 1 for being withheld at all.

    Margins cost more than their value: many readers look at them.
    """
    weight = np.ones(len(system.cells))
    for (_, measure), at in system.index.items():
        if additive(measure):
            weight[of_cell[at]] = max(weight[of_cell[at]], 1 + values[at])
    for cell, number in system.cells.items():
        if not cell[2]:
            weight[number] *= 20
    return weight


# ---- hypercubes -----------------------------------------------------------------------------------------------------


def _hypercubes(
    system: System, tables: Sequence[Table], held: np.ndarray, free: np.ndarray, weight: np.ndarray,
    values: np.ndarray, required: np.ndarray,
) -> list[Move]:  # fmt: skip
    """Withholds hypercubes in every table until each withheld cell has one in each table that it stands in.

    Gives how the values of each hypercube can move.
    """
    grids = [grid for table in tables if (grid := _grid(system, table, values, required)) is not None]
    changed = True
    while changed:
        changed = False
        for grid in grids:
            changed |= grid.close(held, free, weight)
    return [move for grid in grids for move in grid.moves]


def _alone(system: System, values: np.ndarray) -> list[Move]:
    """People are told by inequalities only: each count may move by itself, down to the least and up to the sessions."""
    moves: list[Move] = []
    for (cell, measure), at in system.index.items():
        if measure == "people":
            over = system.index.get((cell, "sessions"), system.index.get((cell, "hits")))
            moves.append(([at], [system.least[at] - values[at]]))
            if over is not None:
                moves.append(([at], [values[over] - values[at]]))
    return moves


def _with_versions(system: System, moves: Sequence[Move]) -> list[Move]:
    """The same moves, made by the values of earlier versions of the period at once."""
    older: dict[int, list[int]] = defaultdict(list)
    newest = {cell: at for cell, at in system.index.items() if cell[0][0].endswith("#0")}
    for ((where, population, named), measure), at in system.index.items():
        label, _, version = where.partition("#")
        now = newest.get(((f"{label}#0", population, named), measure))
        if version != "0" and now is not None and system.held[at]:
            older[now].append(at)
    return [
        (
            [*where, *(o for v in where for o in older[v])],
            [*change, *(c for v, c in zip(where, change, strict=True) for _ in older[v])],
        )
        for where, change in moves
        if any(v in older for v in where)
    ]


def _grid(system: System, table: Table, values: np.ndarray, required: np.ndarray) -> _Grid | None:
    if not table.dimensions or table.version:
        return None
    names = [[TOTAL, *sorted(set(table.frame[d].to_list()) - {TOTAL})] for d in table.dimensions]
    shape = tuple(len(n) for n in names)
    if np.prod([float(n) for n in shape]) > DENSE:
        return None
    measures = [m for m in table.measures if additive(m)]
    places = [{name: n for n, name in enumerate(ns)} for ns in names]
    cell = np.full(shape, -1, dtype=np.int64)
    variable = np.full((len(measures), *shape), -1, dtype=np.int64)
    rooms = np.zeros((len(measures), *shape))
    need = np.zeros(shape)
    for key in table.frame.select(table.dimensions).iter_rows():
        at = tuple(place[k] for place, k in zip(places, key, strict=True))
        found = scope(table, dict(zip(table.dimensions, key, strict=True)))
        cell[at] = system.cells[found]
        for number, measure in enumerate(measures):
            one = system.index[found, measure]
            variable[(number, *at)] = one
            rooms[(number, *at)] = values[one] - system.least[one]
        need[at] = required[variable[(0, *at)]]
    return _Grid(cell, variable, rooms, need)


class _Grid:
    """One table as an array with the margins at index 0, and what is known to be safe in it."""

    def __init__(self, cell: np.ndarray, variable: np.ndarray, rooms: np.ndarray, need: np.ndarray) -> None:
        self.cell, self.variable, self.rooms, self.need = cell, variable, rooms, need
        self.room = rooms[0]
        self.moves: list[Move] = []
        self.safe = np.zeros(cell.shape, bool)

    def close(self, held: np.ndarray, free: np.ndarray, weight: np.ndarray) -> bool:
        """Gives every withheld cell of the table a hypercube; whether that withheld anything more."""
        there = self.cell >= 0
        mine = np.where(there, held[self.cell], False)
        todo = np.argwhere(mine & ~self.safe)
        if not len(todo):
            return False
        price = np.where(
            mine, 0.0, np.where(there & np.where(there, free[self.cell], False), weight[self.cell], np.inf)
        )
        todo = sorted((tuple(at) for at in todo), key=lambda at: -self.room[at])
        more = False
        for at in todo:
            if self.safe[at]:
                continue
            corners = self._cheapest(at, price)
            if corners is None:
                continue
            for corner in corners:
                if price[corner] > 0:
                    price[corner] = 0.0
                    held[self.cell[corner]] = True
                    more = True
        return more

    def _cheapest(self, at: tuple[int, ...], price: np.ndarray) -> list[tuple[int, ...]] | None:
        """The corners of the cheapest hypercube at a cell that lets it vary enough; None where there is none."""
        dims = len(at)
        shape = tuple(n - 1 for n in self.cell.shape)
        others = [np.delete(np.arange(n), a) for n, a in zip(self.cell.shape, at, strict=True)]
        # A margin moves with its part, another part against it.
        signs = [np.where((o == 0) | (a == 0), 1, -1) for o, a in zip(others, at, strict=True)]
        cost = np.zeros(shape)
        down = np.full(shape, self.room[at])
        up = np.full(shape, np.inf)
        for size in range(1, dims + 1):
            for chosen in combinations(range(dims), size):
                index = np.ix_(*[others[d] if d in chosen else np.array([at[d]]) for d in range(dims)])
                sign = np.ones((1,) * dims)
                for d in chosen:
                    sign = sign * signs[d].reshape([-1 if d == e else 1 for e in range(dims)])
                room = self.room[index]
                cost = cost + price[index]
                down = np.minimum(down, np.where(sign > 0, room, np.inf))
                up = np.minimum(up, np.where(sign < 0, room, np.inf))
        width = up + down
        cost = np.where(width >= self.need[at], cost, np.inf)
        best = int(np.argmin(cost))
        place = np.unravel_index(best, shape)
        if not np.isfinite(cost[place]):
            return None
        corner = tuple(o[p] for o, p in zip(others, place, strict=True))
        corners = [
            tuple(corner[d] if d in chosen else at[d] for d in range(dims))
            for size in range(dims + 1)
            for chosen in combinations(range(dims), size)
        ]
        for each in corners:
            self.safe[each] |= bool(width[place] >= self.need[each])
        self._keep(at, corners)
        return corners

    def _keep(self, at: tuple[int, ...], corners: list[tuple[int, ...]]) -> None:
        """Notes how far the corners can move together, up and down, in each measure."""
        sign = np.array(
            [
                np.prod([1 if a == c or a == 0 or c == 0 else -1 for a, c in zip(at, each, strict=True)])
                for each in corners
            ]
        )
        need = max(self.need[each] for each in corners)
        for variable, rooms in zip(self.variable, self.rooms, strict=True):
            where = [int(variable[each]) for each in corners]
            room = np.array([rooms[each] for each in corners])
            up = min(room[sign < 0].min(initial=np.inf), max(need, room.max()))
            down = min(room[sign > 0].min(initial=np.inf), max(need, room.max()))
            self.moves += [(where, (sign * up).tolist()), (where, (sign * -down).tolist())]


# ---- linear programmes ----------------------------------------------------------------------------------------------


class _Mover:
    """Cheapest ways to move the values of one additive measure without changing what is published."""

    def __init__(
        self, system: System, measure: str, values: np.ndarray, of_cell: np.ndarray, free: np.ndarray,
        weight: np.ndarray,
    ) -> None:  # fmt: skip
        # What earlier publications withheld, and the parts that are in no table, move for nothing.
        loose = np.array(system.held) & np.array(system.fixed)
        self.variables = np.array(
            [at for (_, m), at in system.index.items() if m == measure and (free[of_cell[at]] or loose[at])], dtype=int
        )
        self.place = {int(v): n for n, v in enumerate(self.variables)}
        self.cells = of_cell[self.variables]
        self.weight = np.where(loose[self.variables], 0.0, weight[self.cells])
        self.free = ~loose[self.variables]
        lines = [
            (columns, factors)
            for columns, factors, low, high in system.rows
            if low == high == 0 and any(c in self.place for c in columns)
        ]
        rows, columns, data = [], [], []
        for number, (where, factors) in enumerate(lines):
            for c, f in zip(where, factors, strict=True):
                if c in self.place:
                    rows.append(number)
                    columns.append(self.place[c])
                    data.append(f)
        n = len(self.variables)
        matrix = sparse.csc_matrix((data, (rows, columns)), shape=(len(lines), n))
        both = sparse.hstack([matrix, -matrix]).tocsc()
        room = values[self.variables] - np.array(system.least)[self.variables]
        self.upper = np.concatenate([np.full(n, 1e7), np.maximum(room, 0.0)])
        zero = np.zeros(len(lines))
        self.solver = programme(both, zero, zero, np.zeros(2 * n), self.upper)
        self.numbers = np.arange(2 * n, dtype=np.int32)

    def move(self, variable: int, width: float, held: np.ndarray) -> np.ndarray | None:
        """How each variable moves when ``variable`` goes up by ``width`` at the least cost; None if it can't."""
        n, at = len(self.variables), self.place[variable]
        price = np.where(held[self.cells], 1e-4, self.weight)
        self.solver.changeColsCost(2 * n, self.numbers, np.concatenate([price, price]))
        self.solver.changeColBounds(at, width, width)
        self.solver.changeColBounds(n + at, 0.0, 0.0)
        self.solver.run()
        fine = self.solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        found = np.array(self.solver.getSolution().col_value) if fine else None
        self.solver.changeColBounds(at, 0.0, float(self.upper[at]))
        self.solver.changeColBounds(n + at, 0.0, float(self.upper[n + at]))
        return None if found is None else found[:n] - found[n:]


def _widen(
    system: System, open_: Sequence[int], held: np.ndarray, movers: dict[str, _Mover], required: np.ndarray,
    of_cell: np.ndarray, values: np.ndarray,
) -> None:  # fmt: skip
    """Withholds, for each exposed variable, the cheapest cells that let it vary by the required width."""
    measure_of = {at: measure for (_, measure), at in system.index.items()}
    additive = {int(of_cell[at]): at for at, measure in measure_of.items() if measure in movers}
    moved: set[int] = set()
    for variable in sorted(open_, key=lambda v: -values[v]):
        measure = measure_of[variable]
        # People do not add up: what lets the cell's sessions vary lets its people vary.
        target = variable if measure in movers else additive.get(int(of_cell[variable]))
        if target is None or target in moved:
            continue
        mover = movers[measure_of[target]]
        found = mover.move(target, float(required[variable]), held) if target in mover.place else None
        if found is not None:
            held[mover.cells[(np.abs(found) > 1e-6) & mover.free]] = True
            moved.update(mover.variables[np.abs(found) >= required[mover.variables] - 1e-6].tolist())


def _more(
    system: System, open_: Sequence[int], held: np.ndarray, free: np.ndarray, of_cell: np.ndarray, weight: np.ndarray
) -> None:
    """Withholds the cheapest published cell of a constraint of each exposed variable, where no movement was found, or
    where all of those are withheld, all cells of the nearest constraints that have another."""
    exposed_ = set(open_)
    before = held.sum()
    for columns, *_ in system.rows:
        if exposed_.isdisjoint(columns):
            continue
        cells = {int(of_cell[c]) for c in columns if free[of_cell[c]] and not held[of_cell[c]]}
        if cells:
            held[min(cells, key=lambda c: (weight[c], c))] = True
    if held.sum() > before:
        return
    through: dict[int, list[int]] = defaultdict(list)
    for number, (columns, *_) in enumerate(system.rows):
        for column in columns:
            through[column].append(number)
    for variable in open_:
        seen, edge = {variable}, {variable}
        while edge:
            edge = {c for v in edge for number in through[v] for c in system.rows[number][0]} - seen
            seen |= edge
            if cells := {int(of_cell[c]) for c in edge if free[of_cell[c]] and not held[of_cell[c]]}:
                held[list(cells)] = True  # what of it is not needed is given back
                break

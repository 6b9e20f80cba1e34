"""Noise instead of withholding: tables under differential privacy, with the visitor of the period as the unit.

Each visitor counts in at most so many cells, with at most so much in each. Every margin gets discrete Gaussian
(Canonne, Kamath & Steinke 2020) or discrete Laplace noise of its own, scaled to what one visitor can change, so that a
total need not carry the noise of all its cells. What comes after is arithmetic on noisy figures and costs nothing: the
measures that add up are fitted to all margins at once (least squares, weighted by precision), made whole, non-negative
and additive; people, who do not add up, are made to fit their parts. Every figure has an interval, from the noise's
scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import polars_hash as plh
from scipy.fft import dctn, idctn

from ..params import Noise, WorkbookError
from .audit import TOTAL, additive
from .budget import Cost, Ledger, opendp
from .release import Policy, Release, sealed

OTHER = "other"
"""The category of everything that is in no list of keys."""

LARGEST = 100_000
"""The most cells of a noisy table, margins apart."""

Level = tuple[bool, ...]
"""A margin, or the cells: for each dimension, whether it is kept."""


@dataclass(frozen=True)
class Contributions:
    """What each visitor adds to each cell of a table, before bounds and noise; it stays in the confidential zone.

    ``frame`` has one row per visitor and cell: a String column per dimension, ``visitor`` (UInt64), and the measures
    (Int64; people is 1). ``keys`` has, for each dimension, every category that it can have whatever the data are, or
    None where that is not public: then categories are released only if enough people have them.
    """

    name: str
    title: str
    period: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    frame: pl.DataFrame
    keys: Mapping[str, tuple[str, ...] | None]
    population: str = ""


def noisy(table: Contributions, noise: Noise, policy: Policy, data: str, ledger: Ledger) -> Release:
    """The release of ``table`` with noise: the one drawn before of the same ``data``, or one paid for now.

    Raises BudgetError when the period's budget does not allow it, and WorkbookError for a table of too many cells.
    """
    size = math.prod(len(known) for known in table.keys.values() if known is not None)
    if size > LARGEST:
        raise WorkbookError(
            f"tables: {table.name} has {size:,} cells of public keys; with noise it may have {LARGEST:,}: take a "
            "dimension out"
        )
    cost = Cost.of(noise)
    part = share(noise, cost, len(table.measures), list(table.keys.values()))
    request = {
        "dimensions": table.dimensions, "measures": table.measures, "population": table.population,
        "keys": {d: list(k) if k is not None else None for d, k in table.keys.items()},
        "noise": noise.model_dump(mode="json", exclude={"confidence"}),
    }  # fmt: skip
    drawn = ledger.drawn(table.period, data, table.name, request, cost, lambda: draw(table, noise, part, cost.delta))
    keys = {d: tuple(drawn.filter(pl.col(d) != TOTAL)[d].unique(maintain_order=True)) for d in table.dimensions}
    frame = consistent(drawn, keys, table.measures, noise, part)
    said = f"epsilon {noise.epsilon:g}" if noise.epsilon is not None else f"rho {noise.rho:g}"
    said += f" at delta {noise.delta:g}" if noise.delta else ""
    said = f"differential privacy, {said} for a visitor's whole period; a visitor counts in {_most(table, noise)}"
    return sealed(
        table.name, table.title, table.period, table.dimensions, table.measures, frame,
        replace(policy, noise=said, confidence=noise.confidence), _notes(table, noise), table.population,
    )  # fmt: skip


def _most(table: Contributions, noise: Noise) -> str:
    """The contribution bounds in words."""
    measures = " and ".join(f"{noise.bound(m):,} {m}" for m in table.measures if additive(m))
    cells = "1 cell" if noise.cells == 1 else f"{noise.cells:,} cells"
    return f"at most {cells} with at most {measures}{' each' if noise.cells > 1 else ''}"


def _notes(table: Contributions, noise: Noise) -> tuple[str, ...]:
    open_ = [d.replace("_", " ") for d, k in table.keys.items() if k is None]
    notes = [
        f"Every figure has random noise; the true one is in its interval with {100 * noise.confidence:g} % confidence.",
        f"A visitor counts in {_most(table, noise)}: what is beyond that is in no figure and no interval.",
    ]
    if open_:
        notes.append(f"A {' or '.join(open_)} of few people is counted as {OTHER}.")
    return tuple(notes)


# ---- bounds ---------------------------------------------------------------------------------------------------------


def bounded(rows: pl.DataFrame, dimensions: Sequence[str], measures: Sequence[str], noise: Noise) -> pl.DataFrame:
    """``rows`` with each visitor in at most ``noise.cells`` cells, and at most ``noise.bound`` of a measure in each.

    Which cells are kept follows from a hash of visitor and cell: it is the same whatever the order of rows, and whoever
    else is among them.
    """
    if not dimensions:
        return rows.with_columns(pl.col(m).clip(0, noise.bound(m)) for m in measures)
    named = pl.concat_str(pl.col("visitor").cast(pl.String), *dimensions, separator="\x1f")
    chance = rows.select(named.alias("named")).select(plh.col("named").nchash.xxh3_64().alias("chance"))  # type: ignore[attr-defined]
    ordered = rows.hstack(chance).sort("visitor", "chance", *dimensions)
    place = pl.int_range(pl.len()).over("visitor")
    kept = ordered.filter(place < noise.cells).drop("chance")
    return kept.with_columns(pl.col(m).clip(0, noise.bound(m)) for m in measures)


def levels(dimensions: int) -> list[Level]:
    """The cells and every margin, the finest first."""
    axes = range(dimensions)
    return [tuple(a in kept for a in axes) for n in range(dimensions, -1, -1) for kept in combinations(axes, n)]


def sensitivity(shape: Sequence[int], level: Level, measure: str, noise: Noise) -> tuple[int, float]:
    """By how much one visitor can change the figures of a margin: the sum of changes (L1), and their length (L2).

    ``shape`` is how many categories each dimension has. Where finest cells fall together in a margin's cell, so do
    what a visitor has in each: the worst case is that as many as can do.
    """
    cells = min(noise.cells, math.prod(shape))
    if not additive(measure):
        n = min(cells, math.prod(n for n, kept in zip(shape, level, strict=True) if kept))
        return n, _root(n)
    merged = math.prod(n for n, kept in zip(shape, level, strict=True) if not kept)
    whole, rest = divmod(cells, merged)
    bound = noise.bound(measure)
    return bound * cells, _root(bound**2 * (whole * merged**2 + rest**2))


def _root(square: int) -> float:
    exact = math.isqrt(square)
    return float(exact) if exact**2 == square else math.nextafter(math.sqrt(square), math.inf)


# ---- noise ----------------------------------------------------------------------------------------------------------


def measurement(noise: Noise, reach: tuple[int, float], share: float) -> Any:
    """OpenDP's noise for a vector of counts that one visitor changes by ``reach`` (L1, L2), costing at most ``share``
    (rho or epsilon)."""
    dp = opendp()
    vector = dp.vector_domain(dp.atom_domain(T="i64"))
    if noise.mechanism == "gaussian":
        return dp.m.make_gaussian(vector, dp.l2_distance(T="f64"), scale=scale(noise, reach, share))
    return dp.m.make_laplace(vector, dp.l1_distance(T="i64"), scale=scale(noise, reach, share))


def scale(noise: Noise, reach: tuple[int, float], share: float) -> float:
    """The scale of the noise: sigma of the discrete Gaussian, b of the discrete Laplace distribution."""
    exact = reach[1] / math.sqrt(2 * share) if noise.mechanism == "gaussian" else reach[0] / share
    return exact * (1 + 1e-9)  # so that OpenDP, which rounds a loss up, never finds more than the share


def share(noise: Noise, cost: Cost, measures: int, keys: Sequence[tuple[str, ...] | None]) -> float:
    """What each margin of each measure, and each choice of keys, may cost: equal parts of the table's budget."""
    whole = cost.rho if noise.mechanism == "gaussian" else cost.pure
    assert whole is not None
    return whole / (measures * 2 ** len(keys) + sum(k is None for k in keys))


def draw(table: Contributions, noise: Noise, part: float, delta: float) -> pl.DataFrame:
    """Every cell and margin of ``table``, each with noise of its own at the cost of ``part``: they do not add up yet.

    Columns as in ``Cells.frame``, without people unless they are a measure; the finest rows come first.
    """
    rows = bounded(table.frame, table.dimensions, table.measures, noise)
    keys = _chosen(table, rows, noise, part, delta)
    for dimension, known in keys.items():
        if OTHER in known:
            listed = pl.col(dimension).is_in(list(known))
            rows = rows.with_columns(pl.when(listed).then(dimension).otherwise(pl.lit(OTHER)).alias(dimension))
    # Categories that fell together in one cell are bounded together.
    rows = rows.group_by(*table.dimensions, "visitor").agg(pl.col(table.measures).sum())
    rows = bounded(rows, table.dimensions, table.measures, noise)
    places = [rows[d].replace_strict(list(k), range(len(k)), return_dtype=pl.Int64) for d, k in keys.items()]
    codes = np.array([p.to_numpy() for p in places], np.int64).reshape(len(keys), rows.height)
    shape = [len(k) for k in keys.values()]
    counts = {m: _counted(rows["visitor"].to_numpy(), codes, rows[m].to_numpy(), shape, m) for m in table.measures}
    parts = []
    for level in levels(len(shape)):
        columns = {}
        for measure in table.measures:
            add = measurement(noise, sensitivity(shape, level, measure, noise), part)
            columns[measure] = pl.Series(add(counts[measure][level].ravel().tolist()), dtype=pl.Int64)
        parts.append(_named(keys, level).with_columns(**columns))
    return pl.concat(parts)


def _counted(
    visitors: np.ndarray, codes: np.ndarray, values: np.ndarray, shape: Sequence[int], measure: str
) -> dict[Level, np.ndarray]:
    """The figures of each level, as an array in which a dimension that is not kept has length 1."""
    found = {}
    for level in levels(len(shape)):
        kept = [n if keep else 1 for n, keep in zip(shape, level, strict=True)]
        at = np.zeros(len(visitors), np.int64)
        for n, keep, code in zip(shape, level, codes, strict=True):
            at = at * n + code if keep else at
        if not additive(measure):
            at = pl.DataFrame({"at": at, "visitor": visitors}).unique()["at"].to_numpy()
        sums = np.bincount(at, values if additive(measure) else None, minlength=math.prod(kept))
        found[level] = np.rint(sums).astype(np.int64).reshape(kept)
    return found


def _named(keys: Mapping[str, Sequence[str]], level: Level) -> pl.DataFrame:
    """The dimensions' columns of the rows of a level, the last dimension running fastest."""
    kept = [known if keep else (TOTAL,) for known, keep in zip(keys.values(), level, strict=True)]
    rows = list(product(*kept))
    return pl.DataFrame(rows, schema=dict.fromkeys(keys, pl.String), orient="row", height=len(rows))


def _chosen(
    table: Contributions, rows: pl.DataFrame, noise: Noise, part: float, delta: float
) -> dict[str, tuple[str, ...]]:
    """The categories of every dimension: the public ones, or those that enough people have."""
    public = math.prod(len(known) for known in table.keys.values() if known is not None)
    open_ = sum(known is None for known in table.keys.values())
    chosen = {}
    for dimension, known in table.keys.items():
        if known is None:
            most = int((LARGEST / public) ** (1 / open_)) - 1
            people = rows.select("visitor", dimension).unique().group_by(dimension).len()
            found = keys_measurement(noise, part, delta / open_)(dict(people.iter_rows()))
            kept = sorted(found, key=lambda name: (-found[name], name))[: max(most, 0)]
            known = (*sorted(set(kept) - {OTHER}), OTHER)
        chosen[dimension] = known
    return chosen


def keys_measurement(noise: Noise, part: float, delta: float) -> Any:
    """OpenDP's release of keys from people per category, costing at most ``part`` (rho or epsilon) and ``delta``."""
    dp = opendp()
    reach = key_reach(noise)
    domain = dp.map_domain(dp.atom_domain(T="String"), dp.atom_domain(T="i64"))
    size = scale(noise, (noise.cells, _root(noise.cells)), part)
    absolute = dp.absolute_distance(T="i64")

    def at(threshold: int) -> Any:
        if noise.mechanism == "gaussian":
            return dp.m.make_gaussian_threshold(domain, dp.l02inf_distance(absolute), scale=size, threshold=threshold)
        return dp.m.make_laplace_threshold(domain, dp.l01inf_distance(absolute), scale=size, threshold=threshold)

    low, high = 1, 2
    while at(high).map(reach)[1] > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle).map(reach)[1] > delta else (low, middle)
    return at(high)


def key_reach(noise: Noise) -> tuple[int, int, int]:
    """What one visitor changes in the number of people by category: how many, their length or sum, and each."""
    n = noise.cells
    return n, n if noise.mechanism == "laplace" else math.isqrt(n - 1) + 1, 1


# ---- after the noise ------------------------------------------------------------------------------------------------


def consistent(
    drawn: pl.DataFrame, keys: Mapping[str, tuple[str, ...]], measures: Sequence[str], noise: Noise, part: float
) -> pl.DataFrame:
    """``drawn`` made consistent, with ``<measure>_low`` and ``<measure>_high``; rows in the order of the keys.

    Measures that add up do so over every margin; of people, the largest part is at most the whole, and the parts
    together are at least it. Everything is whole and at least 0, and in its interval.
    """
    shape = [len(known) for known in keys.values()]
    columns: dict[str, list[np.ndarray]] = {}
    for measure in measures:
        figures, at = {}, 0
        for level in levels(len(shape)):
            kept = [n if keep else 1 for n, keep in zip(shape, level, strict=True)]
            figures[level] = drawn[measure][at : at + math.prod(kept)].to_numpy().astype(float).reshape(kept)
            at += math.prod(kept)
        variance = {
            level: _variance(noise, scale(noise, sensitivity(shape, level, measure, noise), part)) for level in figures
        }
        middle, spread, values = (_added_up if additive(measure) else _people)(figures, variance, shape)
        reach = {level: _quantile(noise) * math.sqrt(v) for level, v in spread.items()}
        columns[measure] = [values[level].ravel() for level in figures]
        # The truth is whole and at least 0; a figure that was moved for consistency stays in its interval.
        low = {n: np.minimum(values[n], np.maximum(np.floor(middle[n] - reach[n]), 0)) for n in figures}
        high = {n: np.maximum(values[n], np.ceil(middle[n] + reach[n])) for n in figures}
        columns[f"{measure}_low"] = [low[level].ravel() for level in figures]
        columns[f"{measure}_high"] = [high[level].ravel() for level in figures]
    frame = pl.concat([_named(keys, level) for level in levels(len(shape))]).with_columns(
        pl.Series(name, np.concatenate(parts).astype(np.int64)) for name, parts in columns.items()
    )
    order = [
        pl.col(d).replace_strict([*known, TOTAL], range(len(known) + 1), return_dtype=pl.Int64)
        for d, known in keys.items()
    ]
    bounds = [f"{m}_{end}" for m in measures for end in ("low", "high")]
    frame = frame.select(*keys, *measures, *bounds, pl.lit(False).alias("withheld"))
    return frame.sort(order) if order else frame


def _variance(noise: Noise, size: float) -> float:
    """The variance of the noise, at most: that of the continuous distribution of the same scale."""
    return size**2 if noise.mechanism == "gaussian" else 2 * size**2


def _quantile(noise: Noise) -> float:
    """How many standard deviations an interval reaches to either side.

    A figure fitted to several margins has a sum of noises, which lies between the two distributions.
    """
    outside = 1 - noise.confidence
    normal = NormalDist().inv_cdf(1 - outside / 2)
    return normal if noise.mechanism == "gaussian" else max(normal, -math.log(outside) / math.sqrt(2))


Fitted = tuple[dict[Level, np.ndarray], dict[Level, float], dict[Level, np.ndarray]]
"""By level: the unbiased estimate, its variance, and the consistent figures."""


def _added_up(figures: dict[Level, np.ndarray], variance: dict[Level, float], shape: Sequence[int]) -> Fitted:
    """Fits cells to all margins by least squares, makes them whole and non-negative, and adds them up again.

    In the orthonormal cosine basis, whose first vector is constant, a margin has just the coefficients that are
    constant along the dimensions that it has not. So the precisions of the margins add up coefficient by coefficient.
    """
    precision, weighted = np.zeros(shape), np.zeros(shape)
    corner = {level: tuple(slice(None) if keep else slice(1) for keep in level) for level in figures}
    for level, figure in figures.items():
        folded = math.prod(n for n, keep in zip(shape, level, strict=True) if not keep)
        precision[corner[level]] += folded / variance[level]
        weighted[corner[level]] += math.sqrt(folded) / variance[level] * _cosines(figure)
    fitted = weighted / precision
    middle, spread = {}, {}
    for level in figures:
        folded = math.prod(n for n, keep in zip(shape, level, strict=True) if not keep)
        middle[level] = _cosines(math.sqrt(folded) * fitted[corner[level]], back=True)
        spread[level] = float(folded * (1 / precision[corner[level]]).mean())
    cells = _whole(_non_negative(fitted, precision))
    axes = {level: tuple(a for a, keep in enumerate(level) if not keep) for level in figures}
    return middle, spread, {level: cells.sum(axis=axes[level], keepdims=True) for level in figures}


def _cosines(figures: np.ndarray, back: bool = False) -> np.ndarray:
    if not figures.ndim:
        return figures
    return np.asarray((idctn if back else dctn)(figures, norm="ortho"))


def _non_negative(fitted: np.ndarray, precision: np.ndarray, steps: int = 1000) -> np.ndarray:
    """Non-negative cells close to ``fitted`` (coefficients), in the norm of their precision.

    Cutting at 0 raises every total by the noise of its empty cells, and so does, less, the closest fit, which takes
    the rest from all cells alike. So margins are held firmer than their precision, by FIRM for each dimension added up,
    and so are cells that are clear of the noise: what has to give are the small ones. Found by alternating directions
    (Boyd et al. 2011, ch. 5): each step solves the fit exactly and cuts at 0.
    """
    flat = sum(((np.indices(fitted.shape)[axis] == 0).astype(float) for axis in range(fitted.ndim)), np.zeros(()))
    firm = precision * FIRM**flat
    free = _cosines(fitted, back=True)
    spread = float((1 / precision).mean())
    held = np.where(free > 3 * math.sqrt(spread), FIRM / spread, 0)
    hold = held * free
    cells = np.maximum(free, 0)
    dual = np.zeros_like(cells)
    weight = 100 * float(precision.min())
    for step in range(steps):
        free = _cosines((firm * fitted + weight * _cosines(cells - dual)) / (firm + weight), back=True)
        before, cells = cells, np.maximum((weight * (free + dual) + hold) / (weight + held), 0)
        dual = dual + free - cells
        apart, moved = float(np.abs(free - cells).sum()), float(np.abs(cells - before).sum())
        if max(apart, moved) < 0.1:
            break
        if step % 10 == 9 and step < steps // 2:  # neither of the two may lag behind (Boyd et al. 2011, sec. 3.4.1)
            change = 2.0 if apart > 10 * moved else 0.5 if moved > 10 * apart else 1.0
            weight, dual = weight * change, dual / change
    return cells


FIRM = 10.0
"""Measured on a sparse table of 60 by 13 by 8 cells: the total's error was a seventh of the closest fit's, its margins'
a third to two thirds, its cells' 7 % more; and on one of 252 countries of which 7 had visitors, the mean error of those
was -7 sessions instead of -41, at a standard deviation of 33."""


def _whole(cells: np.ndarray) -> np.ndarray:
    """Cells rounded so that sums over the last dimensions are rounded sums: by largest remainders, from the total."""
    grid = np.rint(cells * 1024) / 1024  # sums of such numbers are exact
    shape = grid.shape
    whole = np.rint(grid.sum())
    for axis in range(len(shape)):
        parts = grid.reshape(*shape[: axis + 1], -1).sum(axis=-1)
        floor = np.floor(parts)
        missing = np.asarray(whole - floor.sum(axis=-1))[..., None]
        place = np.argsort(np.argsort(floor - parts, axis=-1, kind="stable"), axis=-1, kind="stable")
        whole = floor + (place < missing)
    return whole.reshape(shape)


def _people(figures: dict[Level, np.ndarray], variance: dict[Level, float], shape: Sequence[int]) -> Fitted:
    """Makes people fit their parts: no part above a whole (from the total down), no whole above its parts (and up)."""
    values = {level: np.maximum(figure, 0) for level, figure in figures.items()}
    order = list(figures)
    for level in reversed(order):
        for axis, keep in enumerate(level):
            if keep:
                values[level] = np.minimum(values[level], values[_without(level, axis)])
    for level in order:
        for axis, keep in enumerate(level):
            if not keep:
                finer = tuple(k or a == axis for a, k in enumerate(level))
                values[level] = np.minimum(values[level], values[finer].sum(axis=axis, keepdims=True))
    return dict(figures), dict(variance), values


def _without(level: Level, axis: int) -> Level:
    return tuple(keep and a != axis for a, keep in enumerate(level))

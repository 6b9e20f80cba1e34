"""Noise: bounds that hold for everybody, a budget that is never exceeded, intervals that hold what they say."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import opendp.prelude as dp
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from company import company, line, people
from privacy_metrics import charts, reports, tables, workbook
from privacy_metrics.disclosure import (
    OTHER,
    TOTAL,
    BudgetError,
    Contributions,
    Ledger,
    Policy,
    Release,
    budget_table,
    leaks,
    noisy,
    trend,
)
from privacy_metrics.disclosure import noise as module
from privacy_metrics.disclosure.budget import Cost, epsilon, fits, largest_rho, together
from privacy_metrics.disclosure.noise import (
    bounded,
    consistent,
    draw,
    key_reach,
    keys_measurement,
    levels,
    measurement,
    scale,
    sensitivity,
    share,
)
from privacy_metrics.params import Budget, Noise, Params, ParamsError, Period, WorkbookError

dp.enable_features("contrib")
PROOF = bool(os.environ.get("PROOF"))
POLICY = Policy(10, "internal")
GAUSSIAN = Noise(rho=0.5, cells=2, per_cell=3)
LAPLACE = Noise(mechanism="laplace", epsilon=1, cells=2, per_cell=3)
MANY = 10_000 if PROOF else 60


def contributions(rows: list[tuple], keys: dict, measures: tuple[str, ...] = ("sessions", "people")) -> Contributions:
    """A table of rows (category of each dimension, visitor, sessions)."""
    frame = pl.DataFrame(
        rows, schema=dict.fromkeys(keys, pl.String) | {"visitor": pl.UInt64, "sessions": pl.Int64}, orient="row"
    )
    frame = frame.group_by(*keys, "visitor").agg(pl.col("sessions").sum()).with_columns(people=pl.lit(1, pl.Int64))
    return Contributions(
        "made", "Made", "2026Q3", tuple(keys), measures, frame.select(*keys, "visitor", *measures), keys
    )


KEYS = {"a": ("a0", "a1", "a2"), "b": ("b0", "b1")}
ROWS = st.lists(
    st.tuples(st.sampled_from(KEYS["a"]), st.sampled_from(KEYS["b"]), st.integers(0, 5), st.integers(1, 9)),
    max_size=40,
)
BOUNDS = st.builds(Noise, rho=st.just(0.5), cells=st.integers(1, 7), per_cell=st.integers(1, 6))


def crowd(n: int = 400, seed: int = 1) -> Contributions:
    random = np.random.default_rng(seed)
    rows = [
        (f"a{random.integers(3)}", f"b{int(random.random() < 0.2)}", v, int(random.integers(1, 3)))
        for v in range(n)
        for _ in range(2)
    ]
    return contributions(rows, KEYS)


# ---- bounds and sensitivity -----------------------------------------------------------------------------------------


@settings(max_examples=MANY, deadline=None)
@given(ROWS, BOUNDS, st.randoms())
def test_no_visitor_exceeds_the_bounds_and_the_order_of_rows_does_not_matter(rows, noise, random) -> None:
    table = contributions(rows, KEYS)
    kept = bounded(table.frame, table.dimensions, table.measures, noise)
    each = kept.group_by("visitor").agg(pl.len(), pl.col("sessions").max())
    assert (each["len"] <= noise.cells).all()
    assert (each["sessions"] <= noise.bound("sessions")).all()
    # Nothing is lost that the bounds allow.
    allowed = table.frame.group_by("visitor").agg(pl.len().clip(upper_bound=noise.cells))
    assert each["len"].sum() == allowed["len"].sum()
    shuffled = table.frame.sample(fraction=1, shuffle=True, seed=random.randrange(1000))
    again = bounded(shuffled, table.dimensions, table.measures, noise)
    assert again.sort(pl.all()).equals(kept.sort(pl.all()))


def counts(table: Contributions, noise: Noise) -> dict[str, dict]:
    rows = bounded(table.frame, table.dimensions, table.measures, noise)
    codes = np.array([
        rows[d].replace_strict(list(k), range(len(k)), return_dtype=pl.Int64).to_numpy() for d, k in KEYS.items()
    ])  # fmt: skip
    shape = [len(k) for k in KEYS.values()]
    return {
        m: module._counted(rows["visitor"].to_numpy(), codes.reshape(2, rows.height), rows[m].to_numpy(), shape, m)
        for m in table.measures
    }


@settings(max_examples=MANY, deadline=None)
@given(ROWS, BOUNDS, st.integers(0, 5))
def test_a_visitor_changes_no_margin_by_more_than_the_sensitivity(rows, noise, gone) -> None:
    with_them = counts(contributions(rows, KEYS), noise)
    without = counts(contributions([row for row in rows if row[2] != gone], KEYS), noise)
    for measure, level in product(with_them, levels(2)):
        moved = np.abs(with_them[measure][level] - without[measure][level]).ravel()
        l1, l2 = sensitivity([3, 2], level, measure, noise)
        assert moved.sum() <= l1
        assert (moved**2).sum() <= l2**2 * (1 + 1e-12)


def test_the_sensitivity_is_reached_by_the_worst_visitor() -> None:
    # Two cells of one row, three sessions in each, and one cell elsewhere: so is the bound no wider than it must be.
    noise = Noise(rho=0.5, cells=3, per_cell=3)
    table = contributions([("a0", "b0", 1, 9), ("a0", "b1", 1, 9), ("a1", "b0", 1, 9)], KEYS)
    found = counts(table, noise)
    for level in levels(2)[:2] + levels(2)[3:]:
        l1, l2 = sensitivity([3, 2], level, "sessions", noise)
        assert found["sessions"][level].sum() == l1
        assert math.sqrt((found["sessions"][level] ** 2).sum()) == pytest.approx(l2)
    assert sensitivity([3, 2], (False, False), "people", noise) == (1, 1.0)


# ---- what it costs, by OpenDP's own maps ----------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [GAUSSIAN, LAPLACE, Noise(epsilon=1, delta=1e-6, cells=5, per_cell=7)])
def test_all_margins_together_cost_at_most_the_table_s_budget(noise: Noise) -> None:
    cost = Cost.of(noise)
    part = share(noise, cost, 2, list(KEYS.values()))
    each, reaches = [], []
    for measure, level in product(("sessions", "people"), levels(2)):
        reach = sensitivity([3, 2], level, measure, noise)
        made = measurement(noise, reach, part)
        assert made.map(reach[1] if noise.mechanism == "gaussian" else reach[0]) <= part
        each.append(made)
        reaches.append(reach)
    spent = sum(m.map(r[1] if noise.mechanism == "gaussian" else r[0]) for m, r in zip(each, reaches, strict=True))
    whole = cost.rho if noise.mechanism == "gaussian" else cost.pure
    assert whole is not None
    assert 0.999 * whole < spent <= whole * (1 + 1e-12)
    # The same sum as OpenDP's own composition of equal mechanisms.
    both = dp.c.make_composition([each[0], each[0]])
    d_in = reaches[0][1] if noise.mechanism == "gaussian" else reaches[0][0]
    assert both.map(d_in) == pytest.approx(2 * each[0].map(d_in))


@settings(max_examples=500 if PROOF else 15, deadline=None)
@given(st.floats(0.05, 5), st.sampled_from([1e-9, 1e-6, 1e-4]))
def test_rho_is_the_most_that_epsilon_and_delta_allow(wanted: float, delta: float) -> None:
    rho = largest_rho(wanted, delta)
    assert epsilon(rho, delta) <= wanted
    assert epsilon(rho * 1.001, delta) > wanted
    # Bun & Steinke 2016, Prop. 1.3: OpenDP's conversion is never worse.
    assert epsilon(rho, delta) <= rho + 2 * math.sqrt(rho * math.log(1 / delta))


def test_costs_add_up_by_composition() -> None:
    half = Cost.of(Noise(epsilon=0.5, delta=5e-7, cells=1, per_cell=1))
    assert together([half, half], 1e-6) == pytest.approx(epsilon(2 * half.rho, 1e-6))
    laplace = Cost.of(LAPLACE)
    assert together([laplace], 0) == 1.0
    assert together([laplace, laplace], 0) == 2.0
    many = [Cost.of(Noise(mechanism="laplace", epsilon=0.05, cells=1, per_cell=1))] * 200
    assert together(many, 1e-6) < 5 < 200 * 0.05
    pure = dp.m.make_laplace(dp.atom_domain(T="i64"), dp.absolute_distance(T="i64"), scale=1.0)
    assert laplace.rho == pytest.approx(dp.c.make_pureDP_to_zCDP(pure).map(1))
    open_keys = Cost(0.01, None, 5e-7)
    assert together([open_keys, open_keys, open_keys], 1e-6) == math.inf
    assert fits([Cost(0.3), Cost(0.2)], Budget(rho=0.5))
    assert not fits([Cost(0.3), Cost(0.3)], Budget(rho=0.5))
    assert not fits([Cost(0.1)], Budget(epsilon=1))


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_keys_cost_what_was_set_aside_for_them(mechanism: str) -> None:
    given_ = {"epsilon": 1} if mechanism == "laplace" else {"rho": 0.1}
    noise = Noise(mechanism=mechanism, cells=3, per_cell=1, keys="threshold", delta=1e-6, **given_)
    spent, slipped = keys_measurement(noise, 0.1, 1e-6).map(key_reach(noise))
    assert spent <= 0.1
    assert slipped <= 1e-6


# ---- the noise itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [GAUSSIAN, LAPLACE])
def test_the_noise_has_the_distribution_that_is_claimed(noise: Noise) -> None:
    # No seed: the noise is OpenDP's own. A false alarm comes once in a million runs.
    size = scale(noise, (3, 3.0), 0.5)
    drawn = np.array(measurement(noise, (3, 3.0), 0.5)([100] * 40_000)) - 100
    wide = np.arange(-60, 61)
    weight = np.exp(-(wide**2) / (2 * size**2)) if noise.mechanism == "gaussian" else np.exp(-np.abs(wide) / size)
    expected = weight / weight.sum() * len(drawn)
    often = expected >= 20
    observed = np.array([(drawn == k).sum() for k in wide[often]] + [len(drawn) - np.isin(drawn, wide[often]).sum()])
    predicted = np.append(expected[often], len(drawn) - expected[often].sum())
    assert stats.chisquare(observed, predicted * observed.sum() / predicted.sum()).pvalue > 1e-6
    # The check can fail: a scale that is 10 % less is told.
    narrow = np.exp(-(wide**2) / (2 * (0.9 * size) ** 2))
    narrow = narrow / narrow.sum() * len(drawn)
    assert stats.chisquare(observed[:-1], narrow[often] * observed[:-1].sum() / narrow[often].sum()).pvalue < 1e-6


@pytest.mark.parametrize("noise", [
    Noise(mechanism="laplace", epsilon=1, cells=1, per_cell=2), Noise(rho=0.5, cells=1, per_cell=2)
])  # fmt: skip
def test_no_output_tells_more_of_a_visitor_than_the_budget(noise: Noise) -> None:
    # One figure, with and without a visitor of two sessions: how often each output comes, and how much that tells.
    def figure(rows: list[tuple], times: int) -> np.ndarray:
        table = contributions(rows, {}, ("sessions",))
        add = measurement(noise, sensitivity([], (), "sessions", noise), share(noise, Cost.of(noise), 1, []))
        true = int(bounded(table.frame, (), ("sessions",), noise)["sessions"].sum())
        return np.array(add([true] * times))

    times = 60_000
    neighbours = figure([(1, 1), (2, 7)], times), figure([(1, 1)], times)
    limit = 1.0 if noise.mechanism == "laplace" else epsilon(0.5, 1e-2)
    slack = 0.0 if noise.mechanism == "laplace" else 1e-2
    for one, other in (neighbours, neighbours[::-1]):
        for cut in range(-3, 8):
            for event in (lambda x, c=cut: x <= c, lambda x, c=cut: x >= c, lambda x, c=cut: x == c):
                p, q = event(one).mean(), event(other).mean()
                error = 6 * math.sqrt((p + math.exp(2 * limit) * q) / times) + 1e-4
                assert p <= math.exp(limit) * q + slack + error
    # The check can fail: a tenth of the epsilon is not what it costs.
    p, q = (neighbours[0] >= 3).mean(), (neighbours[1] >= 3).mean()
    assert p > math.exp(limit / 10) * q + 6 * math.sqrt(p / times)


COARSE = GAUSSIAN.model_dump() | {"rho": 60.0, "cells": 1, "per_cell": 1}


def covered(table: Contributions, noise: Noise, rounds: int) -> tuple[float, float]:
    """The share of figures whose interval holds the true one, over many drawings, and six of its standard errors."""
    truth = counts(table, noise)
    part = share(noise, Cost.of(noise), 2, list(KEYS.values()))
    shares = []
    for _ in range(rounds):
        frame = consistent(draw(table, noise, part, 0), KEYS, table.measures, noise, part)
        held = []
        for measure, level in product(table.measures, levels(2)):
            rows = frame.filter(*(
                (pl.col(d) != TOTAL) if keep else (pl.col(d) == TOTAL) for d, keep in zip(KEYS, level, strict=True)
            ))  # fmt: skip
            low, high = (rows[f"{measure}_{end}"].to_numpy() for end in ("low", "high"))
            held += [*((low <= truth[measure][level].ravel()) & (truth[measure][level].ravel() <= high))]
        shares.append(np.mean(held))
    return float(np.mean(shares)), 6 * float(np.std(shares)) / math.sqrt(rounds)


@pytest.mark.parametrize(
    "noise", [GAUSSIAN, LAPLACE, Noise(rho=8, cells=2, per_cell=3), Noise.model_construct(**COARSE)]
)
def test_intervals_hold_what_they_say(noise: Noise) -> None:
    # The scale of the last two is about one and below one: there, whole numbers make intervals wider, never narrower.
    inside, error = covered(crowd(200), noise, 3000 if PROOF else 120)
    assert inside > 0.95 - error
    if noise in (GAUSSIAN, LAPLACE):
        # The check can fail: intervals of 70 % do not hold 95 %.
        inside, error = covered(crowd(200), noise.model_copy(update={"confidence": 0.7}), 120)
        assert inside < 0.95 - error


# ---- consistent tables ----------------------------------------------------------------------------------------------


@settings(max_examples=MANY, deadline=None)
@given(ROWS, st.sampled_from([GAUSSIAN, LAPLACE, Noise(rho=0.01, cells=2, per_cell=3)]))
def test_tables_are_whole_non_negative_additive_and_inside_their_intervals(rows, noise) -> None:
    table = contributions(rows, KEYS)
    part = share(noise, Cost.of(noise), 2, list(KEYS.values()))
    frame = consistent(draw(table, noise, part, 0), KEYS, table.measures, noise, part)
    assert frame.height == 4 * 3
    for measure in table.measures:
        assert frame.select(
            pl.col(f"{measure}_low").is_between(0, pl.col(measure)) & (pl.col(measure) <= pl.col(f"{measure}_high"))
        ).to_series().all()  # fmt: skip
    for along, other in (("a", "b"), ("b", "a")):
        parts = frame.filter(pl.col(along) != TOTAL).group_by(other).agg(
            pl.col("sessions", "people").sum(), most=pl.col("people").max()
        )  # fmt: skip
        both = frame.filter(pl.col(along) == TOTAL).join(parts, on=other)
        assert both.height == len(KEYS[other]) + 1
        assert (both["sessions"] == both["sessions_right"]).all()
        assert (both["most"] <= both["people"]).all()
        assert (both["people"] <= both["people_right"]).all()


def test_a_total_does_not_carry_the_noise_of_its_empty_cells() -> None:
    keys = {"a": tuple(f"{n:03}" for n in range(400))}
    table = contributions([(f"{v % 4:03}", v, 1) for v in range(8000)], keys, ("sessions",))
    noise = Noise(rho=0.02, cells=1, per_cell=1)
    part = share(noise, Cost.of(noise), 1, list(keys.values()))
    drawn = draw(table, noise, part, 0)
    frame = consistent(drawn, keys, table.measures, noise, part)
    size = scale(noise, (1, 1.0), part)
    cut = drawn.filter(pl.col("a") != TOTAL)["sessions"].clip(lower_bound=0).sum()
    assert abs(frame["sessions"][-1] - 8000) < 8 * size < abs(cut - 8000)
    assert all(abs(v - 2000) < 8 * size for v in frame["sessions"][:4])


def test_open_categories_are_released_when_enough_people_have_them() -> None:
    rows = [("big.example", v, 1) for v in range(600)] + [("secret.example", 1000, 1), ("secret.example", 1001, 1)]
    table = contributions(rows, {"site": None})
    noise = Noise(rho=0.5, delta=1e-6, cells=2, per_cell=3, keys="threshold")
    part = share(noise, Cost.of(noise), 2, [None])
    for _ in range(20):
        drawn = draw(table, noise, part, noise.delta)
        assert drawn["site"].to_list() == ["big.example", OTHER, TOTAL]
    with pytest.raises(ValueError, match="not"):
        Noise(rho=0.5, cells=2, per_cell=3, keys="nothing")


# ---- the ledger -----------------------------------------------------------------------------------------------------


def ledger(tmp_path: Path, **budget: float) -> Ledger:
    return Ledger(tmp_path / "noise", Budget(**(budget or {"rho": 1.0})))


def test_the_same_input_repeats_the_same_noise_and_pays_once(tmp_path: Path) -> None:
    book = ledger(tmp_path, rho=0.5)
    first = noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    assert isinstance(first, Release)
    assert noisy(crowd(), GAUSSIAN, POLICY, "data", book).frame.equals(first.frame)
    wider = noisy(crowd(), GAUSSIAN.model_copy(update={"confidence": 0.99}), POLICY, "data", book)
    assert wider.frame.select("sessions", "people").equals(first.frame.select("sessions", "people"))
    assert len(book.spent("2026Q3")) == 1
    for path in (tmp_path / "noise").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_spent_budget_refuses_says_why_and_writes_nothing(tmp_path: Path) -> None:
    book = ledger(tmp_path, rho=0.9)
    noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    before = {p: p.read_bytes() for p in (tmp_path / "noise").rglob("*") if p.is_file()}
    for data, noise in (("late data", GAUSSIAN), ("data", GAUSSIAN.model_copy(update={"cells": 3}))):
        with pytest.raises(
            BudgetError, match=r"made of 2026Q3 needs rho 0\.5.*rho 0\.5 of 0\.9 is spent \(by made"
        ) as raised:
            noisy(crowd(), noise, POLICY, data, book)
        assert isinstance(raised.value, WorkbookError)
    assert {p: p.read_bytes() for p in (tmp_path / "noise").rglob("*") if p.is_file()} == before
    # What was drawn is still there.
    assert noisy(crowd(), GAUSSIAN, POLICY, "data", book)


@pytest.mark.parametrize("budget", [Budget(rho=2.0), Budget(epsilon=20.0, delta=1e-6)])
def test_what_is_spent_is_told_by_table_and_together(tmp_path: Path, budget: Budget) -> None:
    ledger = Ledger(tmp_path / "noise", budget)
    assert budget_table(ledger, "2026Q3").frame.rows() == [("Total", 0)]
    noisy(crowd(), GAUSSIAN, POLICY, "data", ledger)
    noisy(replace(crowd(), name="other"), GAUSSIAN, POLICY, "other data", ledger)
    noisy(crowd(), GAUSSIAN, POLICY, "later data", ledger)
    told = dict(budget_table(ledger, "2026Q3").frame.iter_rows())
    if budget.rho:
        assert told == {"made": 500, "other": 250, "Total": 750}
    else:
        by_hand = {n: math.ceil(1000 * epsilon(0.5 * n, 1e-6) / 20) for n in (1, 2, 3)}
        assert told == {"made": by_hand[2], "other": by_hand[1], "Total": by_hand[3]}
        assert told["Total"] < told["made"] + told["other"]
    assert dict(budget_table(ledger, "2026Q4").frame.iter_rows()) == {"Total": 0}


def test_periods_that_overlap_share_a_budget_and_others_do_not(tmp_path: Path) -> None:
    book = ledger(tmp_path, rho=0.5)
    cost, frame = Cost(0.5), pl.DataFrame({"a": [1]})
    book.drawn("2026Q3", "data", "t", {}, cost, lambda: frame)
    book.drawn("2026Q2", "data", "t", {}, cost, lambda: frame)
    for overlapping in ("2026-09", "2026"):
        with pytest.raises(BudgetError, match="t of 2026Q3"):
            book.drawn(overlapping, "data", "t", {}, cost, lambda: frame)


CRASHES = {
    "before it is drawn": "module.draw = lambda *_: os.kill(os.getpid(), 9)",
    "before it is stored": "Ledger._store = lambda *_: os.kill(os.getpid(), 9)",
    "before that is noted": (
        "add = Ledger._add\n"
        "Ledger._add = lambda self, e: os.kill(os.getpid(), 9) if e['event'] == 'stored' else add(self, e)"
    ),
}


@pytest.mark.parametrize("when", CRASHES)
def test_a_crash_neither_shows_a_table_twice_nor_pays_twice(tmp_path: Path, when: str) -> None:
    program = textwrap.dedent("""
        import os, sys
        sys.path.insert(0, {tests!r})
        from pathlib import Path
        from test_noise import GAUSSIAN, POLICY, Ledger, crowd, ledger, module, noisy
        {crash}
        noisy(crowd(), GAUSSIAN, POLICY, "data", ledger(Path({folder!r})))
        print("shown")
    """)
    text = program.replace("{crash}", CRASHES[when]).format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "shown" not in done.stdout
    book = ledger(tmp_path)
    assert len(book.spent("2026Q3")) == 1
    first = noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    assert noisy(crowd(), GAUSSIAN, POLICY, "data", book).frame.equals(first.frame)
    assert len(book.spent("2026Q3")) == 1


def test_a_table_that_was_shown_and_is_lost_is_paid_for_again(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    (stored,) = (tmp_path / "noise" / "2026Q3").iterdir()
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(BudgetError, match="SHA-256"):
        noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    stored.unlink()
    noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    assert len(book.spent("2026Q3")) == 2


def test_a_torn_last_line_is_no_spending_and_any_other_damage_is_an_error(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    file = tmp_path / "noise" / "ledger.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"event": "spe')
    noisy(crowd(), GAUSSIAN, POLICY, "more", book)
    assert len(book.spent("2026Q3")) == 2
    file.write_bytes(b"spilt" + whole)
    with pytest.raises(BudgetError, match=r"ledger\.jsonl, line 1: not readable"):
        noisy(crowd(), GAUSSIAN, POLICY, "data", book)
    file.unlink()
    with pytest.raises(BudgetError, match="does not know; restore the ledger"):
        noisy(crowd(), GAUSSIAN, POLICY, "data", book)


# ---- the whole way --------------------------------------------------------------------------------------------------

NOISY = """
disclosure: {budget: {epsilon: 2, delta: 1e-6}}
tables:
  - {name: by_month, title: By month, dimensions: [month], measures: [sessions, people]}
  - name: by_clock
    title: By weekday and hour
    dimensions: [weekday, hour]
    measures: [sessions, people]
    noise: {epsilon: 1.5, delta: 1e-6, cells: 2, per_cell: 3}
"""


def test_a_company_s_noisy_table_is_drawn_shown_written_and_outlives_its_sessions(tmp_path: Path) -> None:
    params = company(tmp_path, people(900), more=NOISY)
    book = workbook.open_workbook("2026Q3", str(params.folder))
    table = book["by_clock"]
    assert table.withheld == 0
    low, high = table.interval("sessions") or (0, 0)
    assert low <= table.value("sessions") <= high
    assert f"between {low:,}" not in repr(table)
    assert "epsilon 1.5" in table.footnote
    assert any("privacy budget of 2026Q3: epsilon 1.5 of 2" in note for note in book.notes)
    assert f"{low:,} to {high:,}" in tables.table(table.over("hour"))._repr_html_()
    assert f"95 % interval {low:,} to {high:,}" in tables.figure(table).note
    spec = str(charts.bars(table.over("hour")).to_dict())
    top = table.over("hour").frame.filter(pl.col("hour") == "09").row(0, named=True)
    assert f"between {top['sessions_low']:,} and {top['sessions_high']:,}" in spec
    assert "'type': 'rule'" in spec
    reports.export_releases([table], tmp_path / "data", "Data")
    assert {"sessions_low", "people_high"} <= set(pl.read_csv(tmp_path / "data" / "by_clock.csv").columns)
    # The finest figures are of few people, or none: the check finds them harmless by their intervals.
    assert table.frame.filter(pl.col("people").is_between(1, 9)).height
    assert not leaks.check(tmp_path / "data").leaks
    assert book["audit_budget"].value("thousandths_of_budget", noisy_table="by_clock") == 750
    again = workbook.open_workbook("2026Q3", str(params.folder))
    assert again["by_clock"].frame.equals(table.frame)
    workbook.publish(book)
    workbook.close(params, Period.parse("2026Q3"))
    closed = workbook.open_workbook("2026Q3", str(params.folder))["by_clock"]
    assert closed.frame.equals(table.frame)
    assert trend([closed]).bounds == table.bounds
    # Collected again from the same files under a new key, and all that was published lost: still the noise of before.
    shutil.rmtree(tmp_path / "confidential" / "published")
    assert workbook.open_workbook("2026Q3", str(params.folder))["by_clock"].frame.equals(table.frame)
    # One more visitor is other data, and 1.5 more would be too much.
    params = company(tmp_path, [*people(900), line(user="late")], more=NOISY)
    workbook.collect(params, Period.parse("2026Q3"))
    with pytest.raises(WorkbookError, match=r"epsilon 1\.5 of 2 at delta 1e-06 is spent"):
        workbook.open_workbook("2026Q3", str(params.folder))


BAD = {
    "no budget": (NOISY.replace("budget: {epsilon: 2, delta: 1e-6}", ""), "by_clock has noise; say in disc"),
    "both": (NOISY.replace("cells: 2", "cells: 2, rho: 1"), "give either epsilon or rho"),
    "no delta": (NOISY.replace("epsilon: 1.5, delta: 1e-6", "epsilon: 1.5"), "needs a delta"),
    "no cells": (NOISY.replace("cells: 2, ", ""), "noise.cells: is missing"),
    "another mechanism": (NOISY.replace("cells: 2", "cells: 2, mechanism: uniform"), "'gaussian' or 'laplace'"),
    "other measures": (
        NOISY.replace("per_cell: 3", "per_cell: {hits: 3}"), "must have one number for each of sessions",
    ),
    "threshold for Laplace without delta": (
        NOISY.replace("epsilon: 1.5, delta: 1e-6", "mechanism: laplace, epsilon: 1, keys: threshold"), "needs a delta",
    ),
    "no such parameter": (NOISY.replace("cells: 2", "cells: 2, seed: 1"), "no such parameter"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_wrong_parameter_is_told_with_its_field(tmp_path: Path, kind: str) -> None:
    text, message = BAD[kind]
    with pytest.raises(ParamsError, match=message):
        company(tmp_path, people(2), more=text)


@pytest.mark.parametrize(("dimension", "keys", "message"), [
    ("browser", "public", "browser has no public list"), ("hour", "threshold", "write keys: public"),
])  # fmt: skip
def test_keys_must_be_public_or_thresholded_as_the_table_needs(tmp_path, dimension, keys, message) -> None:
    text = NOISY.replace("[weekday, hour]", f"[{dimension}]").replace("cells: 2", f"cells: 2, keys: {keys}")
    params: Params = company(tmp_path, people(20), more=text)
    with pytest.raises(WorkbookError, match=message):
        workbook.collect(params, Period.parse("2026Q3"))


def test_too_many_public_cells_are_refused_before_anything_is_spent(tmp_path: Path) -> None:
    keys = {d: tuple(f"{n:03}" for n in range(400)) for d in ("a", "b")}
    with pytest.raises(WorkbookError, match="160,000 cells"):
        noisy(contributions([("001", "002", 1, 1)], keys), GAUSSIAN, POLICY, "data", ledger(tmp_path))
    assert not (tmp_path / "noise").exists()

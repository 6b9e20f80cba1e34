"""Sessions: the fast way gives the rows of the plan, and what was counted apart is joined as if counted together."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from privacy_metrics import visits

GAP = 100

HITS = st.lists(
    st.fixed_dictionaries(
        {
            "visitor": st.sampled_from([1, 2, 2**63 + 5]),
            "time": st.one_of(st.integers(0, 1000), st.sampled_from([0, GAP, GAP + 1, 2 * GAP + 1])),
            "account": st.booleans(),
            "country": st.sampled_from(["FI", "SE", "unknown"]),
            "client": st.integers(0, 3),
            "language": st.sampled_from(["sv", "fi"]),
            "referrer_kind": st.sampled_from(["search", "direct"]),
            "referrer_site": st.sampled_from(["none", "a.example"]),
            "area": st.sampled_from(["home", "docs", "blog", "Åland"]),
            "shown": st.sampled_from([None, ("servers", "viewed"), ("servers", "searched"), ("backups", "viewed")]),
        }
    ),
    max_size=40,
)


def frame(hits: list[dict]) -> pl.DataFrame:
    rows = [
        {**hit, "product": hit["shown"] and hit["shown"][0], "action": hit["shown"] and hit["shown"][1]} for hit in hits
    ]
    return pl.DataFrame(rows, schema=visits.HIT)


def rows(frame: pl.DataFrame) -> list[tuple]:
    frame = frame.select(sorted(frame.columns)).with_columns(pl.selectors.categorical().cast(pl.String))
    return sorted(frame.rows(), key=str)


@settings(max_examples=150, deadline=None)
@given(HITS)
def test_the_fast_way_gives_the_rows_of_the_plan(hits: list[dict]) -> None:
    fast, slow = visits.sessions(frame(hits), GAP), visits.plan(frame(hits), GAP)
    for name in visits.FRAMES:
        assert sorted(fast[name].columns) == sorted(slow[name].columns)
        assert rows(fast[name]) == rows(slow[name]), name


@settings(max_examples=15, deadline=None)
@given(HITS)
def test_the_plan_gives_the_same_rows_on_duckdb(hits: list[dict]) -> None:
    table = frame(hits).with_columns(pl.selectors.categorical().cast(pl.String)).to_arrow()
    slow = visits.plan(duckdb.from_arrow(table), GAP)
    for name, fast in visits.sessions(frame(hits), GAP).items():
        assert rows(fast) == rows(slow[name].pl()), name


@settings(max_examples=50, deadline=None)
@given(HITS, st.integers(2**40, 2**52))
def test_hits_too_far_apart_to_be_packed_are_counted_too(hits: list[dict], far: int) -> None:
    one = frame([{**hit, "visitor": hit["visitor"] // 7 + n % 2} for n, hit in enumerate(hits)])
    two = one.with_columns(
        pl.when(pl.col("visitor") % 2 == 0).then(pl.col("time") * far).otherwise("time").alias("time")
    )
    for name, part in visits.sessions(two, GAP).items():
        assert rows(part) == rows(visits.plan(two, GAP)[name]), name


@settings(max_examples=150, deadline=None)
@given(HITS, st.lists(st.integers(0, 1000), max_size=4))
def test_sessions_cut_at_midnights_are_joined_again(hits: list[dict], cuts: list[int]) -> None:
    whole = visits.sessions(frame(hits), GAP)
    apart = visits.sessions(frame(hits), GAP, sorted(cuts))
    joined = visits.stitch_at(apart, GAP, np.array(sorted({-1, *cuts, 1001})))
    for name in visits.FRAMES:
        assert rows(joined[name]) == rows(whole[name]), name


@settings(max_examples=150, deadline=None)
@given(HITS, st.randoms(use_true_random=False))
def test_hits_counted_apart_are_joined_exactly_or_not_at_all(hits: list[dict], random) -> None:
    whole = frame(hits)
    mask = pl.Series([random.random() < 0.5 for _ in hits], dtype=pl.Boolean)
    parts = [visits.sessions(whole.filter(chosen), GAP) for chosen in (mask, ~mask)]
    joined = visits.stitch({name: pl.concat([p[name] for p in parts]) for name in visits.FRAMES}, GAP)
    assume(joined is not None)
    for name, part in visits.sessions(whole, GAP).items():
        assert rows(joined[name]) == rows(part), name


def test_hits_that_lie_among_each_other_are_not_joined() -> None:
    one = {
        "visitor": 1, "time": 10, "account": False, "country": "FI", "client": 0, "language": "fi",
        "referrer_kind": "direct", "referrer_site": "none", "area": "home", "shown": None,
    }  # fmt: skip
    for times, other in (((10, 30), 20), ((10, 30), 30), ((10,), 10)):
        parts = [visits.sessions(frame([{**one, "time": time} for time in some]), GAP) for some in (times, (other,))]
        assert visits.stitch({name: pl.concat([p[name] for p in parts]) for name in visits.FRAMES}, GAP) is None

"""Statistics of requests: each against an independent computation, hand-worked cases and a naive count."""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight
from statsmodels.stats.proportion import proportion_confint

from privacy_metrics.deadlines import Calendar, credited_days, due_date, moved_days, period_end
from privacy_metrics.disclosure import TOTAL, Cells, Policy, Release, control, release
from privacy_metrics.requests import (
    CHANCE,
    OUTCOMES,
    REASON_CODES,
    REQUESTS,
    Register,
    differs,
    forecast,
    limits,
    percent,
    request_tables,
    share_limits,
    shares_differ,
    waiting,
    wilson,
)

FI = Calendar("FI")
PROOF = "PROOF" in os.environ
FIRST, LAST, AS_OF = date(2026, 7, 1), date(2026, 9, 30), date(2026, 10, 1)


# ---- waiting --------------------------------------------------------------------------------------------------------


def life(answered: list[int], other: list[int], still: list[int]) -> Release:
    """The life table of requests answered, otherwise ended and still open after so many days."""
    counts = {day: [0, 0, 0] for day in sorted({*answered, *other, *still})}
    for kind, days in enumerate((answered, other, still)):
        for day in days:
            counts[day][kind] += 1
    rows = [(str(day), *c) for day, c in counts.items()]
    rows.append((TOTAL, *(sum(r[n] for r in rows) for n in range(1, 4))))
    measures = ("answered", "ended_otherwise", "still_open")
    frame = pl.DataFrame(rows, schema=["day", *measures], orient="row").with_columns(people=pl.sum_horizontal(measures))
    cells = Cells("requests_waiting", "Days", "2026Q3", ("day",), measures, frame)
    return release([cells], Policy(10, "internal", exact=True))["requests_waiting"]


def course(answered: list[int], other: list[int], still: list[int]):
    found = waiting(life(answered, other, still))
    assert found is not None
    return found


def test_the_hand_worked_curve_and_its_log_log_band() -> None:
    # Domain reference, section 5.1: closed 5, 8, 8, 12; open 6, 15.
    found = course([5, 8, 8, 12], [], [6, 15])
    steps = {day: (share, low, high) for day, share, low, high in found.steps}
    assert [1 - steps[day][0] for day in (5, 8, 12)] == pytest.approx([0.833333, 0.416667, 0.208333], abs=1e-6)
    assert (1 - steps[8][2], 1 - steps[8][1]) == pytest.approx((0.055992, 0.766522), abs=1e-6)
    assert (1 - steps[12][2], 1 - steps[12][1]) == pytest.approx((0.008737, 0.595062), abs=1e-6)
    assert found.percentile(0.5) == 8
    assert found.percentile(0.9) is None  # not reached, and never a number


def test_a_request_open_on_the_day_another_is_answered_was_at_risk() -> None:
    assert course([30], [], [30]).answered_by(30)[0] == pytest.approx(0.5)


def test_with_nothing_answered_no_percentile_is_reached() -> None:
    found = course([], [], [1, 5, 9])
    assert found.steps == ()
    assert found.percentile(0.5) is None
    assert found.percentile_band(0.5) == (None, None)
    assert found.answered_by(100)[0] == 0
    assert waiting(life([], [], [])) is None


days = st.lists(st.integers(0, 60), max_size=25)


@settings(max_examples=120, deadline=None)
@given(answered=days.filter(len), still=days)
def test_the_curve_is_scipys_and_its_band_too(answered, still) -> None:
    found = course(answered, [], still)
    survival = stats.ecdf(stats.CensoredData(uncensored=answered, right=still)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where the curve is 1 or 0, scipy's band is NaN
        band = survival.confidence_interval(0.95, method="log-log")
    for day, share, low, high in found.steps:
        assert 1 - share == pytest.approx(float(survival.evaluate(day)), abs=1e-9)
        theirs = 1 - float(band.high.evaluate(day)), 1 - float(band.low.evaluate(day))
        if not any(map(math.isnan, theirs)):
            assert (low, high) == pytest.approx(theirs, abs=1e-7)
    for quantile in (0.5, 0.9):
        passed = [
            q for q, p in zip(survival.quantiles, survival.probabilities, strict=True) if p <= 1 - quantile + 1e-12
        ]
        assert found.percentile(quantile) == (min(passed) if passed else None)


@settings(max_examples=60, deadline=None)
@given(
    answered=st.lists(st.integers(1, 40), min_size=3, max_size=20, unique=True),
    still=st.lists(st.integers(1, 40), max_size=8),
)
def test_the_median_and_its_interval_are_statsmodels(answered, still) -> None:
    found = course(answered, [], still)
    theirs = SurvfuncRight([*answered, *still], [1] * len(answered) + [0] * len(still))
    median = theirs.quantile(0.5)
    ours = found.percentile(0.5)
    # statsmodels takes the first time below one half, where the curve stands on it exactly the one after.
    exactly = any(abs(share - 0.5) < 1e-9 for _, share, *_ in found.steps)
    if not exactly:
        assert (math.isnan(median) and ours is None) or ours == median
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = theirs.quantile_ci(0.5, method="cloglog")
    mine = found.percentile_band(0.5)
    # statsmodels inverts a test at each event: it agrees to within one event.
    events = [0, *sorted(set(answered)), math.inf]
    for own, other in ((mine[0], low), (mine[1], high)):
        own, other = (math.inf if v is None or math.isnan(v) else v for v in (own, other))
        if other in events and own in events:
            assert abs(events.index(own) - events.index(other)) <= 1


@settings(max_examples=60, deadline=None)
@given(
    answered=st.lists(st.integers(1, 40), min_size=2, max_size=20),
    other=st.lists(st.integers(1, 40), max_size=8),
    still=st.lists(st.integers(1, 40), max_size=8),
)
def test_other_ends_compete_as_in_statsmodels(answered, other, still) -> None:
    found = course(answered, other, still)
    times = np.array([*answered, *other, *still], float)
    status = np.array([1] * len(answered) + [2] * len(other) + [0] * len(still))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its standard errors divide by nobody at risk
        theirs = CumIncidenceRight(times, status)
    incidence = dict(zip(theirs.times.tolist(), theirs.cinc[0].tolist(), strict=True))
    for day, share, low, high in found.steps:
        assert share == pytest.approx(incidence[day], abs=1e-9)
        assert low - 1e-12 <= share <= high + 1e-12


@settings(max_examples=60, deadline=None)
@given(answered=days.filter(len), still=days)
def test_leaving_the_open_ones_out_would_flatter(answered, still) -> None:
    """Property: at no day is the share answered larger than among the closed alone."""
    closed = course(answered, [], [])
    for day, share, *_ in course(answered, [], still).steps:
        assert share <= closed.answered_by(day)[0] + 1e-12


# ---- shares, limits, changes, forecasts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"), [(38, 40, 83, 99), (40, 40, 91, 100), (4, 4, 51, 100), (0, 40, 0, 9)]
)
def test_wilsons_interval_of_worked_cases(part, whole, low, high) -> None:
    # Domain reference, section 5.2 (its lower bound of 4/4, 40 %, is Clopper and Pearson's; Wilson's is 51 %).
    found = wilson(part, whole)
    assert (round(100 * found[0]), round(100 * found[1])) == (low, high)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 300).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_wilsons_interval_is_statsmodels_and_scipys(counts) -> None:
    part, whole = counts
    if whole:
        theirs = proportion_confint(part, whole, method="wilson")
        assert wilson(part, whole) == pytest.approx((max(0, theirs[0]), min(1, theirs[1])), abs=1e-12)
        other = stats.binomtest(part, whole).proportion_ci(method="wilson")
        assert wilson(part, whole) == pytest.approx((other.low, other.high), abs=1e-9)
    else:
        assert wilson(part, whole) == (0, 1)


def test_a_share_is_rounded_down() -> None:
    assert [percent(s) for s in (0.996, 1.0, 0.29, 0.999999)] == ["99 %", "100 %", "29 %", "99 %"]


@pytest.mark.parametrize(("mean", "low", "high"), [(5, 0, 13), (10, 2, 21), (40, 22, 60)])
def test_the_limits_of_a_c_chart_are_exact(mean, low, high) -> None:
    # Domain reference, section 5.5.
    assert limits([mean, mean]) == (mean, low, high)


def smallest(share: float, chance: Callable[[int], float]) -> int:
    """The smallest count whose distribution function reaches ``share``, added up one by one."""
    total, count = chance(0), 0
    while total < share:
        count += 1
        total += chance(count)
    return count


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 80), min_size=2, max_size=12))
def test_the_limits_of_counts_are_those_added_up_by_hand(values) -> None:
    mean, low, high = limits(values)
    if mean:
        poisson = lambda n: math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))  # noqa: E731
        assert (low, high) == (smallest(0.00135, poisson), smallest(0.99865, poisson))
    else:
        assert (low, high) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=8))
def test_the_limits_of_shares_are_those_added_up_by_hand(counts) -> None:
    parts, wholes = [p for p, _ in counts], [w for _, w in counts]
    mean, bounds = share_limits(parts, wholes)
    assert mean == sum(parts) / sum(wholes)
    for whole, (low, high) in zip(wholes, bounds, strict=True):
        assert 0 <= low <= high <= 1
        if 0 < mean < 1:
            binomial = lambda n, whole=whole: math.comb(whole, n) * mean**n * (1 - mean) ** (whole - n)  # noqa: E731
            assert low * whole == pytest.approx(smallest(0.00135, binomial))
            # At the very top, the sum of the last digits may fall short of the share by rounding.
            assert abs(high * whole - smallest(0.99865 - 1e-12, binomial)) < 1.01


def test_a_p_chart_near_one_stays_below_one() -> None:
    # Domain reference, section 5.5: 40 cases, 95 %: exact 82.5 % to 100 %, where three deviations give 105 %.
    assert share_limits([38, 38], [40, 40])[1] == [(0.825, 1.0)] * 2


def test_a_rise_by_four_tenths_is_no_change() -> None:
    # Domain reference, section 5.5: 40 against 28 requests; 2 of 40 late against 6 of 38.
    assert differs(40, 28) == pytest.approx(0.18, abs=0.01)
    assert shares_differ(2, 40, 6, 38) == pytest.approx(0.15, abs=0.01)
    assert differs(0, 0) == 1
    assert differs(90, 40) < CHANCE < differs(60, 40)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_two_counts_are_compared_as_coins_are(now, before) -> None:
    """Property: the two-sided tail of heads among as many fair throws, added up by hand."""
    throws = now + before
    chances = [math.comb(throws, n) / 2**throws for n in range(throws + 1)]
    expected = sum(c for c in chances if c <= chances[now] * (1 + 1e-7))
    assert differs(now, before) == pytest.approx(expected if throws else 1, abs=1e-9)
    assert differs(now, before) == pytest.approx(differs(before, now))


def test_a_forecast_covers_what_comes_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20260701)
    inside = 0
    for _ in range(2000):
        past = rng.poisson(40, 9).tolist()
        _, low, high = forecast(past)
        inside += low <= rng.poisson(40) <= high
    assert 0.94 <= inside / 2000 <= 0.99
    mean, low, high = forecast([40] * 400)
    assert (mean, low, high) == (40, *stats.poisson.ppf([0.025, 0.975], 40))
    # Months that differ more than chance lets them make it wider.
    assert forecast([10, 70, 20, 60])[2] > forecast([40, 40, 40, 40])[2]
    assert forecast([0, 0]) == (0, 0, 0)
    with pytest.raises(ValueError, match="two months"):
        forecast([3])


# ---- every table against a naive count ------------------------------------------------------------------------------


@st.composite
def registers(draw) -> list[dict[str, Any]]:
    """Requests as rows, plausible and not: several lines a case, pauses, extensions, ends after the period."""
    rows = []
    for n in range(draw(st.integers(0, 14))):
        received = draw(st.dates(date(2026, 2, 1), date(2026, 9, 30)))
        later = lambda most=70, received=received: received + timedelta(days=draw(st.integers(0, most)))  # noqa: E731
        row: dict[str, Any] = dict.fromkeys(REQUESTS) | {
            "request_id": f"r{n}", "case_id": f"c{draw(st.integers(0, 9))}", "received_on": received,
            "channel": draw(st.sampled_from(["email", "letter"])), "country": None, "state": "in_progress",
            "subject_group": draw(st.sampled_from(["customer", "visitor"])),
            "right": draw(st.sampled_from(["access", "erasure", "complaint"])),
            "role": draw(st.sampled_from(["controller"] * 5 + ["processor"])),
        }  # fmt: skip
        if draw(st.booleans()):
            row["identity_requested_on"] = later(10)
            if draw(st.booleans()):
                row["identity_received_on"] = row["identity_requested_on"] + timedelta(days=draw(st.integers(0, 25)))
        if draw(st.booleans()):
            row["extension_notified_on"], row["extension_reasons_given"] = later(40), draw(st.booleans())
        if draw(st.booleans()):
            ended = later(100)
            if ended <= AS_OF:
                outcome = draw(st.sampled_from(OUTCOMES))
                refused = outcome in ("refused", "partial", "not_identified")
                row |= {
                    "state": "closed", "outcome": outcome, "decided_on": ended,
                    "response_sent_on": None if outcome in ("withdrawn", "duplicate") else ended,
                    "reason_code": draw(st.sampled_from(REASON_CODES)) if refused else None,
                    "reasons_given": draw(st.booleans()) if refused else None,
                    "complaint_right_given": True, "remedy_given": True,
                }  # fmt: skip
        rows.append(row)
    return rows


def naive(rows: list[dict[str, Any]]) -> dict[str, Counter]:
    """Every table, counted one request at a time; (categories) to (requests, the set of cases)."""
    found: dict[str, dict[tuple, list]] = {}

    def count(table: str, row: dict, *keys: str) -> None:
        found.setdefault(table, {}).setdefault(keys, []).append(row["case_id"])

    for row in rows:
        if row["received_on"] > LAST:
            continue
        known = {k: (None if isinstance(v, date) and v > LAST else v) for k, v in row.items()}
        ended = row["response_sent_on"] or (row["decided_on"] if row["state"] == "closed" else None)
        ended = ended if ended and ended <= LAST else None
        outcome = row["outcome"] if ended else None
        if row["role"] == "processor":
            if row["received_on"] >= FIRST:
                count("requests_processor", row, row["right"])
            continue
        pause = [(known["identity_requested_on"], known["identity_received_on"])]
        credited = credited_days(row["received_on"], pause, FI)
        first, first_credited = (due_date(row["received_on"], 1, FI, days) for days in (0, credited))
        told, refused = known["extension_notified_on"], outcome in ("refused", "not_identified")
        due = due_date(row["received_on"], 3, FI) if told and told <= first and not refused else first
        late = first_credited
        if told and told <= first_credited and not refused:
            late = due_date(row["received_on"], 3, FI, credited)
        right, group, channel = row["right"], row["subject_group"], row["channel"]
        if row["received_on"] >= FIRST:
            count("requests_by_right", row, right)
            count("requests_by_month", row, f"{row['received_on']:%Y-%m}")
            stands = "overdue" if (late - LAST).days < 0 else "open, not overdue"
            if ended:
                refused_ = outcome in ("refused", "partial", "not_identified")
                stands = "refused in whole or in part" if refused_ else "answered"
                free = outcome in ("withdrawn", "duplicate", "misdirected")
                stands = "ended without an answer owed" if free else stands
            count("requests_stands_by_channel", row, channel, stands)
            count("requests_by_group", row, group, "closed" if ended else "open")
            count("requests_extended_by_group", row, group, "extended" if told else "not extended")
        if ended and ended >= FIRST:
            count("requests_by_outcome", row, right, str(outcome))
            if outcome in ("refused", "partial", "not_identified"):
                count("requests_by_ground", row, right, str(row["reason_code"]))
                count("requests_refusal_letters", row, right,
                      "complete" if row["reasons_given"] else "without reasons, complaint or remedy")  # fmt: skip
        if not ended:
            left = (late - LAST).days
            band = "overdue" if left < 0 else "due in 7 days" if left <= 7 else "due in 8–30 days" if left <= 30 else (
                "due in 31–90 days" if left <= 90 else "due later")  # fmt: skip
            count("requests_open", row, right, band)
            if left < 0:
                since = -left
                count("requests_overdue", row, "1–7 days" if since <= 7 else "8–30 days" if since <= 30 else
                      "31–90 days" if since <= 90 else "91 days or more")  # fmt: skip
            else:
                count("requests_falling_due", row, f"{late:%Y-%m}")
        if told and told >= FIRST:
            said = "told late" if told > first_credited else "told in time, with reasons"
            if told <= first_credited and not row["extension_reasons_given"]:
                said = "told in time, without reasons"
            count("requests_extended", row, right, said)
        free = outcome in ("withdrawn", "duplicate", "misdirected") and ended is not None and ended <= late
        if not free:
            how = "overdue and open" if not ended else "on time" if ended <= due else (
                "on time with pauses credited" if ended <= late else "late")  # fmt: skip
            judged = due if ended and ended <= due else late
            if FIRST <= judged <= LAST:
                count("requests_on_time", row, right, how)
                count("requests_on_time_by_group", row, group, how if how == "on time" else "not on time")
                count("requests_on_time_by_month", row, f"{judged:%Y-%m}", how)
                count("requests_on_time_by_outcome", row, str(outcome or "still open"), how)
        waited = ((ended or LAST) - row["received_on"]).days
        count("requests_waiting_by_right", row, right, str(waited))
    return {name: Counter({k: len(v) for k, v in cells.items()}) for name, cells in found.items()} | {
        f"{name} people": Counter({k: len(set(v)) for k, v in cells.items()}) for name, cells in found.items()
    }


def tables_of(rows: list[dict[str, Any]], **options) -> dict[str, Cells]:
    frame = pl.DataFrame(rows, schema=REQUESTS)
    excluded = pl.DataFrame(schema={"row": pl.UInt32, "reason": pl.String})
    found = request_tables(Register(frame, excluded, len(rows)), FI, FIRST, LAST, AS_OF, "2026Q3", **options)
    return {table.name: table for table in found}


COUNTED = {
    "requests_by_right", "requests_by_month", "requests_stands_by_channel", "requests_by_group", "requests_by_outcome",
    "requests_by_ground", "requests_refusal_letters", "requests_open", "requests_overdue", "requests_falling_due",
    "requests_extended", "requests_on_time", "requests_on_time_by_group", "requests_on_time_by_month",
    "requests_on_time_by_outcome", "requests_processor", "requests_extended_by_group", "requests_waiting_by_right",
}  # fmt: skip


@settings(max_examples=400 if PROOF else 40, deadline=None)
@given(registers())
def test_every_table_is_what_counting_one_by_one_gives(rows) -> None:
    expected, tables = naive(rows), tables_of(rows)
    for name in COUNTED:
        frame = tables[name].frame
        if name == "requests_waiting_by_right":
            frame = frame.with_columns(requests=pl.sum_horizontal("answered", "ended_otherwise", "still_open"))
        dimensions = tables[name].dimensions
        inner = frame.filter(*(pl.col(d) != TOTAL for d in dimensions))
        for measure, key in (("requests", name), ("people", f"{name} people")):
            got = {row[:-1]: row[-1] for row in inner.select(*dimensions, measure).iter_rows()}
            assert got == dict(expected.get(key, {})), (name, measure)
        whole = frame.filter(*(pl.col(d) == TOTAL for d in dimensions))
        assert whole["requests"].to_list() == [sum(expected.get(name, Counter()).values())]


@settings(max_examples=200 if PROOF else 15, deadline=None)
@given(registers())
def test_what_was_open_and_came_is_what_ended_and_stays_open(rows) -> None:
    tables = tables_of(rows)
    flow = {(came, went): n for came, went, n, _ in tables["requests_flow"].frame.iter_rows()}
    whole_of = lambda name: tables[name].frame.filter(pl.all_horizontal(pl.col(pl.String) == TOTAL))["requests"].sum()  # noqa: E731
    assert flow.get((TOTAL, "closed"), 0) == whole_of("requests_by_outcome")
    assert flow.get((TOTAL, "open at the end"), 0) == whole_of("requests_open")
    assert flow.get(("received", TOTAL), 0) == whole_of("requests_by_right")
    whole = tables["requests_waiting"].frame.filter(pl.col("day") == TOTAL)
    # Open ones are in the curve for as long as they were seen, and no table averages the closed ones alone.
    assert whole["still_open"][0] == flow.get((TOTAL, "open at the end"), 0)
    assert {m for table in tables.values() for m in table.measures} == {
        "requests", "answered", "ended_otherwise", "still_open", "receipt_days", "days_to_answer", "rows",
    }  # fmt: skip


def test_a_requests_figures_stay_what_they_were_when_it_is_answered_later() -> None:
    row = dict.fromkeys(REQUESTS) | {
        "request_id": "1", "case_id": "1", "received_on": date(2026, 9, 20), "channel": "email", "right": "access",
        "subject_group": "user", "role": "controller", "state": "in_progress",
    }  # fmt: skip
    later = row | {"state": "closed", "outcome": "refused", "decided_on": date(2026, 10, 1)}
    later["response_sent_on"] = later["decided_on"]
    before, after = tables_of([row]), tables_of([later])
    for name, table in before.items():
        assert table.frame.equals(after[name].frame), name


def complaint(case: str, day: int, right: str, **more) -> dict[str, Any]:
    return dict.fromkeys(REQUESTS) | {
        "request_id": f"{case}{day}", "case_id": case, "received_on": date(2026, 8, day), "channel": "email",
        "right": right, "subject_group": "user", "role": "controller", "state": "in_progress", **more,
    }  # fmt: skip


def test_complaints_are_counted_by_whether_the_company_was_asked_first() -> None:
    done = {"state": "closed", "outcome": "fulfilled", "decided_on": date(2026, 8, 20)}
    rows = [
        complaint("a", 3, "access"), complaint("a", 9, "complaint"), complaint("b", 4, "complaint", **done),
        complaint("c", 5, "complaint"), complaint("c", 6, "access"),
    ]  # fmt: skip
    frame = tables_of(rows)["requests_complaints"].frame
    assert {
        row[:2]: row[2] for row in frame.select("contact", "standing", "requests").iter_rows() if TOTAL not in row
    } == {
        ("after a request", "open"): 1,
        ("without a request before", "answered"): 1,
        ("without a request before", "open"): 1,
    }


def test_californias_table_is_made_when_asked_for_and_parts_every_request() -> None:
    done = {"state": "closed", "decided_on": date(2026, 8, 20)}
    ends = [
        {}, done | {"outcome": "fulfilled"}, done | {"outcome": "no_data"}, done | {"outcome": "partial"},
        done | {"outcome": "refused", "reason_code": "legal_duty"}, done | {"outcome": "refused"},
        done | {"outcome": "not_identified"}, done | {"outcome": "withdrawn"},
    ]  # fmt: skip
    rows = [complaint(f"c{n}", 1, "erasure", **end) for n, end in enumerate(ends)] + [complaint("x", 1, "objection")]
    assert "requests_california" not in tables_of(rows)
    tables = tables_of(rows, california={"delete": ["erasure"], "know": ["access"]})
    frame = tables["requests_california"].frame.filter(pl.col("kind") == "delete")
    assert dict(frame.select("response", "requests").iter_rows()) == {
        "complied with in whole": 2, "complied with in part": 1, "denied, exempt": 1, "denied, other grounds": 1,
        "denied, not verifiable": 1, "not yet answered": 1, "withdrawn, duplicate or misdirected": 1, TOTAL: 8,
    }  # fmt: skip
    assert tables["requests_california"].frame.filter(kind=TOTAL, response=TOTAL)["requests"].to_list() == [8]
    cells = tables["requests_california_waiting"]
    course = waiting(release([cells], Policy(10, "internal", exact=True))[cells.name], kind="delete")
    assert course is not None
    assert (course.percentile(0.5), course.still_open) == (19, 1)


def test_an_identity_check_that_nobody_answers_is_no_quick_one() -> None:
    asked = {"identity_requested_on": date(2026, 8, 4)}
    rows = [
        complaint("a", 3, "access", **asked, identity_received_on=date(2026, 8, 9)),
        complaint("b", 3, "access", **asked),
        complaint("c", 3, "access", **asked, state="closed", outcome="not_identified", decided_on=date(2026, 8, 30)),
    ]
    cells = tables_of(rows)["requests_identity_waiting"]
    course = waiting(release([cells], Policy(10, "internal", exact=True))[cells.name])
    assert course is not None
    assert course.answered_by(5)[0] == pytest.approx(1 / 3)
    assert (course.requests, course.still_open) == (3, 1)
    assert course.percentile(0.5) is None


def test_the_calendar_of_the_period_is_frozen_with_it() -> None:
    frame = tables_of([])["requests_calendar"].frame
    # Finland has no public holiday from July to September 2026.
    receipts = [date(2026, 5, 25) + timedelta(days=n) for n in range(140)]
    ends = [period_end(received, 1) for received in receipts]
    moved = sum(FIRST <= end <= LAST and end.weekday() > 4 for end in ends)
    assert frame.rows() == [("Saturdays and Sundays", moved), (TOTAL, moved)]
    spring = moved_days(FI, date(2026, 4, 1), date(2026, 6, 30))
    assert spring["day_off"].to_list() == [
        "Fri 3 Apr 2026: Good Friday", "Sun 5 Apr 2026: Easter Sunday", "Mon 6 Apr 2026: Easter Monday",
        "Fri 1 May 2026: May Day", "Thu 14 May 2026: Ascension Day", "Sun 24 May 2026: Pentecost",
        "Sat 20 Jun 2026: Midsummer Day", "Saturdays and Sundays",
    ]  # fmt: skip
    assert spring["receipt_days"].to_list()[:-1] == [
        sum(period_end(date(2026, 2, 20) + timedelta(days=n), 1) == day for n in range(120))
        for day in FI.days(2026, 2026) if date(2026, 4, 1) <= day <= date(2026, 6, 30)
    ]  # fmt: skip


# ---- what the internal audience has exactly --------------------------------------------------------------------------


def group_table(counts: list[list[int]], exact: frozenset[str]) -> Cells:
    """Requests by group and by how the limit was kept; every request is a person of its own."""
    rows = {
        (group, kept): counts[g][k]
        for g, group in enumerate(("customer", "user", "visitor"))
        for k, kept in enumerate(("on time", "not on time"))
    }
    groups, kinds = (sorted({key[axis] for key in rows}) for axis in (0, 1))
    rows |= {(g, TOTAL): sum(rows[g, k] for k in kinds) for g in groups}
    rows |= {(TOTAL, k): sum(rows[g, k] for g in groups) for k in kinds}
    rows[TOTAL, TOTAL] = sum(map(sum, counts))
    frame = pl.DataFrame(
        [(*key, n, n) for key, n in rows.items()], orient="row",
        schema={"subject_group": pl.String, "kept": pl.String, "requests": pl.Int64, "people": pl.Int64},
    )  # fmt: skip
    dimensions = ("subject_group", "kept")
    return Cells("t", "T", "2026Q3", dimensions, ("requests",), frame, population="due", exact=exact)


def what_fits(release: Release, counts: list[list[int]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Between which values each withheld count lies, by trying every table with the exact counts of both kinds."""
    groups, kinds = ("customer", "user", "visitor"), ("on time", "not on time")
    shown = {row[:2]: row[2] for row in release.frame.select("subject_group", "kept", "requests").iter_rows()}
    columns = [
        [(a, b, n - a - b) for a in range(n + 1) for b in range(n - a + 1)]
        for n in (sum(row[k] for row in counts) for k in (0, 1))
    ]
    found: dict[tuple[str, str], set[int]] = {}
    for on_time, late in product(*columns):
        table = {(g, k): column[n] for k, column in zip(kinds, (on_time, late), strict=True)
                 for n, g in enumerate(groups)}  # fmt: skip
        table |= {(g, TOTAL): table[g, kinds[0]] + table[g, kinds[1]] for g in groups}
        if all(shown.get(cell) in (None, n) for cell, n in table.items()):
            for cell, n in table.items():
                found.setdefault(cell, set()).add(n)
    return {cell: (min(ns), max(ns)) for cell, ns in found.items() if shown.get(cell, 0) is None}


POLICY = Policy(audience="internal", threshold=4, protection=4, relative=0)


@settings(max_examples=150 if PROOF else 25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=3, max_size=3))
def test_no_count_of_a_group_follows_from_what_is_exact(counts) -> None:
    """The threshold is kept as far as the exact counts allow: with those alone, a part lies between none and all."""
    release = control([group_table(counts, frozenset({"kept"}))], POLICY).releases["t"]
    whole = {"on time": sum(row[0] for row in counts), "not on time": sum(row[1] for row in counts)}
    assert {k: release.value("requests", kept=k) for k in whole} == whole
    assert release.value("requests") == sum(whole.values())
    listed = sum(any(row) for row in counts)
    for (_, kept), (low, high) in what_fits(release, counts).items():
        # Each group that is listed has somebody, which a reader may take away.
        most = whole.get(kept, sum(whole.values())) - listed
        assert high - low >= min(4, most), (kept, low, high)


def test_a_group_is_told_where_exact_counts_are_taken_for_withheld() -> None:
    counts = [[5, 3], [6, 0], [9, 0]]
    unaware = control([group_table(counts, frozenset())], POLICY).releases["t"]
    aware = control([group_table(counts, frozenset({"kept"}))], POLICY).releases["t"]
    width = lambda release: min((b - a for a, b in what_fits(release, counts).values()), default=9)  # noqa: E731
    assert width(unaware) < min(width(aware), 3)

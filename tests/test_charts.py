"""Charts: what they take, what they say, and what they never show."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import altair as alt
import polars as pl
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy_metrics import charts
from privacy_metrics.disclosure import TOTAL, Cells, Policy, Release, release, trend
from privacy_metrics.params import Period

EVIL = (
    "<script>window.pwned = 1</script>",
    '</script><img src=x onerror="window.pwned = 1">',
    "**bold** [x](javascript:window.pwned=1) ![y](http://127.0.0.1:9/y.png)",
)


def made(name: str, dimensions: tuple[str, ...], counts: dict[tuple[str, ...], int], period: str = "2026Q3") -> Release:
    """A release of made counts (two sessions a person) with all margins, under a threshold of 10."""
    sums: dict[tuple[str, ...], int] = {}
    for key, n in counts.items():
        for kept in itertools.product((True, False), repeat=len(dimensions)):
            cell = tuple(k if keep else TOTAL for k, keep in zip(key, kept, strict=True))
            sums[cell] = sums.get(cell, 0) + n
    rows = sorted(sums.items(), key=lambda item: [(k == TOTAL, k) for k in item[0]])
    columns = {d: [key[i] for key, _ in rows] for i, d in enumerate(dimensions)}
    frame = pl.DataFrame(columns | {"sessions": [2 * n for _, n in rows], "people": [n for _, n in rows]})
    cells = Cells(name, f"Sessions by {' and '.join(dimensions)}", period, dimensions, ("sessions", "people"), frame)
    return release([cells], Policy(10, "internal"))[name]


def by_country(period: str = "2026Q3", factor: int = 1) -> Release:
    counts = {"DE": 4000, "FI": 2500, "SE": 700, "XX": 60, "unknown": 40, "MT": 3, "AX": 12}
    return made("countries", ("country",), {(c,): n * factor if n > 20 else n for c, n in counts.items()}, period)


def by_week(period: str = "2026Q3", held: str = "") -> Release:
    weeks = dict.fromkeys(day.strftime("%G-W%V") for day in Period.parse(period).days)
    return made("weeks", ("week",), {(w,): 5 if w == held else 300 + n for n, w in enumerate(weeks)}, period)


def clock() -> Release:
    counts = {(d, f"{h:02}"): (h - 4) * 9 for d in ("Mon", "Tue", "Sat") for h in range(5, 20)}
    return made("clock", ("weekday", "hour"), counts)


def outcomes() -> Release:
    counts = {(r, o): n for r in ("access", "erasure") for o, n in (("granted", 60), ("refused", 15), ("open", 20))}
    return made("outcomes", ("right", "outcome"), counts)


def life_table(rows: list[tuple[int, int, int, int]], policy: Policy | None = None) -> Release:
    """Rows of (day, answered, ended otherwise, still open)."""
    measures = ("answered", "ended_otherwise", "still_open")
    table = [(str(day), a, o, c) for day, a, o, c in rows]
    total = (TOTAL, *(sum(row[n] for row in table) for n in range(1, 4)))
    frame = pl.DataFrame([*table, total], schema=["day", *measures], orient="row")
    frame = frame.with_columns(people=pl.sum_horizontal(measures))
    cells = Cells("requests_waiting", "Days to an answer", "2026Q3", ("day",), measures, frame)
    return release([cells], policy or Policy(10, "internal", exact=True))["requests_waiting"]


def waiting() -> Release:
    return life_table([(day, 14, day % 2 * 12, 11) for day in range(1, 36)], Policy(10, "internal"))


def trends() -> Release:
    return trend([by_country("2026Q1"), by_country("2026Q2", 2), by_country("2026Q3", 3)])


EVERY: dict[str, Callable[[], alt.Chart | alt.LayerChart]] = {
    "bars": lambda: charts.bars(by_country()),
    "bars of a trend": lambda: charts.bars(trends(), "people"),
    "lines": lambda: charts.lines(trend([by_week("2026Q2"), by_week()]), "week"),
    "lines by colour": lambda: charts.lines(trends(), "period", color="country"),
    "change": lambda: charts.change(trends()),
    "heatmap": lambda: charts.heatmap(clock()),
    "tiles": lambda: charts.tiles(by_country()),
    "stacked": lambda: charts.stacked(outcomes()),
    "survival": lambda: charts.survival(waiting(), 30),
    "control": lambda: charts.control(trend([by_week("2026Q2"), by_week()]), "week"),
}


@pytest.fixture(params=EVERY)
def chart(request: pytest.FixtureRequest) -> Callable[[], alt.Chart | alt.LayerChart]:
    return EVERY[request.param]


def rows_of(made_chart: alt.LayerChart | alt.Chart) -> list[dict]:
    """The inline values of a chart: what all its layers share, then each layer's own."""
    spec = made_chart.to_dict()
    parts = [spec, *spec.get("layer", [])]
    return [row for part in parts if "data" in part for row in part["data"]["values"]]


def subtitle(made_chart: alt.LayerChart | alt.Chart) -> str:
    return " ".join(made_chart.to_dict()["title"]["subtitle"])


@pytest.mark.parametrize("thing", [by_country().frame, {"DE": 1}, None, "table"])
@pytest.mark.parametrize(
    "draw",
    [
        charts.bars, charts.change, charts.heatmap, charts.tiles, charts.stacked, lambda r: charts.lines(r, "week"),
        lambda r: charts.survival(r, 30), lambda r: charts.control(r, "week"),
    ],
)  # fmt: skip
def test_only_a_release_is_drawn(draw: Callable, thing: object) -> None:
    with pytest.raises(TypeError, match="a chart draws a Release, not a"):
        draw(thing)


def test_a_chart_is_the_same_bytes_each_time(chart: Callable) -> None:
    charts.enable()
    first, second = (json.dumps(chart()._repr_mimebundle_()) for _ in range(2))
    assert first == second


def test_a_chart_says_its_finding_its_period_its_policy_and_its_figures(chart: Callable) -> None:
    spec = chart().to_dict()
    assert spec["title"]["text"][0]
    assert "2026" in subtitle(chart())
    assert "at least 10 people" in subtitle(chart())
    assert "withheld" in subtitle(chart())
    assert any(ch.isdigit() for ch in spec["description"].split("Main figures: ")[1])


def test_a_chart_loads_nothing_and_uses_fonts_of_the_system(chart: Callable) -> None:
    spec = chart().to_dict()
    text = json.dumps({k: v for k, v in spec.items() if k != "$schema"})
    assert "http" not in text
    assert '"url"' not in text
    assert "Arial" in spec["config"]["font"]


def test_bars_may_keep_the_order_of_the_table() -> None:
    table = made("widths", ("width",), {("1 to 2",): 30, ("2 to 5",): 10, ("more",): 20})
    assert [row["category"] for row in rows_of(charts.bars(table, ranked=False))] == ["1 to 2", "2 to 5", "more"]
    assert [row["category"] for row in rows_of(charts.bars(table))] == ["1 to 2", "more", "2 to 5"]


def test_the_title_may_be_given() -> None:
    assert charts.bars(by_country(), title="Ours").to_dict()["title"]["text"] == ["Ours"]


def test_bars_rank_and_say_the_rest() -> None:
    shown = charts.bars(by_country(), top=2)
    assert [row["category"] for row in rows_of(shown)[:2]] == ["Germany", "Finland"]
    assert [row["value"] for row in rows_of(shown)] == [8000, 5000]
    assert "smaller ones not shown together" in subtitle(shown)
    assert "2 categories withheld" in subtitle(shown)
    assert "together" not in subtitle(charts.bars(by_country(), "people", top=2))


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=12).filter(lambda t: t != TOTAL), st.integers(0, 200), max_size=12))
def test_no_withheld_category_is_among_the_bars(counts: dict[str, int]) -> None:
    table = made("t", ("browser",), {(k,): n for k, n in counts.items()} or {("x",): 0})
    shown = {row["category"]: row["value"] for row in rows_of(charts.bars(table, top=99))}
    published = {b: v for b, v in table.cells.select("browser", "sessions").iter_rows() if v}
    assert shown == published


def test_a_line_has_a_gap_where_a_value_is_withheld_and_says_so() -> None:
    table = by_week(held="2026-W30")
    line = charts.lines(table, "week")
    gaps = {row["x"] for row in rows_of(line) if row["value"] is None}
    # The second withheld one, which keeps the first from being had by subtraction, is a part week at the edge.
    assert gaps == {"2026-07-20"}
    assert table.value("sessions", week="2026-W27") is None
    assert "1 value withheld (a gap)" in subtitle(line)
    assert {row["state"] for row in rows_of(line) if row["x"] in gaps} == {"withheld"}


def test_a_week_of_two_periods_is_added_up_and_part_weeks_at_the_edges_are_left_out() -> None:
    both = trend([by_week("2026Q2"), by_week("2026Q3")])
    values = {row["x"]: row["value"] for row in rows_of(charts.lines(both, "week"))}
    q2, q3 = by_week("2026Q2"), by_week("2026Q3")
    assert values["2026-06-29"] == q2.value("sessions", week="2026-W27") + q3.value("sessions", week="2026-W27")
    # 1 April 2026 and 30 September 2026 are Wednesdays.
    assert min(values) == "2026-04-06"
    assert max(values) == "2026-09-21"
    assert "2 part weeks at the edges not shown" in subtitle(charts.lines(both, "week"))


def test_people_of_two_periods_are_not_added_up() -> None:
    both = trend([by_week("2026Q2"), by_week("2026Q3")])
    row = next(row for row in rows_of(charts.lines(both, "week", "people")) if row["x"] == "2026-06-29")
    assert row["value"] is None
    assert "not added up" in row["state"]


def test_a_step_that_nobody_is_counted_in_is_zero() -> None:
    line = charts.lines(made("m", ("month",), {("2026-07",): 50, ("2026-09",): 70}), "month")
    assert [row["value"] for row in rows_of(line)] == [100, 0, 140]


def test_change_compares_the_last_two_periods() -> None:
    row = rows_of(charts.change(trends()))[0]
    assert (row["category"], row["before"], row["now"], row["change"]) == ("Germany", 16000, 24000, "+50 %")


def test_the_change_of_one_period_is_that_period() -> None:
    assert charts.change(by_country()).to_dict() == charts.bars(by_country()).to_dict()


def test_a_heat_map_shows_empty_cells_as_zero_and_withheld_ones_without_a_value() -> None:
    table = clock()
    rows = charts.heatmap(table).to_dict()["layer"]
    values = {(r["y"], r["x"]): r["value"] for r in rows[0]["data"]["values"]}
    held = {(r["y"], r["x"]) for r in rows[1]["data"]["values"]}
    assert values["Wed", "00"] == 0
    assert held == {(d, h) for d, h, w in table.cells.select("weekday", "hour", "withheld").iter_rows() if w}
    assert len(values) + len(held) == 7 * 24
    assert not held & set(values)
    assert all("value" not in r and r["state"] == "withheld" for r in rows[1]["data"]["values"])


def test_the_tile_map_keeps_every_country_and_names_what_has_no_tile() -> None:
    drawn = charts.tiles(by_country())
    base = drawn.to_dict()["layer"][0]["data"]["values"]
    on_grid = {code for code, row in charts.countries().items() if row["column"]}
    assert {row["code"] for row in base} == on_grid
    assert "unknown 80" in subtitle(drawn)
    assert next(row for row in base if row["code"] == "MT")["state"] == "withheld"


def test_no_two_countries_share_a_tile_and_all_of_europe_has_one() -> None:
    placed = [(r["column"], r["row"]) for r in charts.countries().values() if r["column"]]
    assert len(placed) == len(set(placed))
    europe = (
        "AD AL AT BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK "
        "MT NL NO PL PT RO RS RU SE SI SK SM TR UA VA XK"
    )
    assert all(charts.countries()[code]["column"] for code in europe.split())


def test_survival_says_the_share_within_the_limit_and_counts_the_open_ones_as_long_as_they_were_seen() -> None:
    # closed 5, 8, 8, 12; open 6, 15: waiting 0.8333 after 5, 0.4167 after 8, 0.2083 after 12
    chart = charts.survival(life_table([(5, 1, 0, 0), (6, 0, 0, 1), (8, 2, 0, 0), (12, 1, 0, 0), (15, 0, 0, 1)]), 8)
    assert chart.to_dict()["title"]["text"] == ["58 % were answered within 8 days; half were answered within 8 days"]
    assert [(row["day"], row["waiting"]) for row in rows_of(chart) if "waiting" in row][:5] == [
        (0, 1.0), (5, 0.8333), (8, 0.4167), (12, 0.2083), (13, 0.2083),
    ]  # fmt: skip


def test_a_survival_curve_with_a_withheld_day_is_not_drawn() -> None:
    chart = charts.survival(life_table([(5, 30, 0, 0), (6, 3, 0, 0), (8, 20, 0, 0)], Policy(10, "public")))
    assert "No curve" in chart.to_dict()["title"]["text"][0]
    assert not rows_of(chart)


def months(counts: dict[str, int]) -> Release:
    frame = pl.DataFrame({"month": [*counts, TOTAL], "requests": [*counts.values(), sum(counts.values())]})
    cells = Cells("m", "Requests by month", "2026", ("month",), ("requests",), frame.with_columns(people="requests"))
    return release([cells], Policy(10, "internal", exact=True))["m"]


def test_a_control_chart_signals_only_outside_its_limits() -> None:
    calm = {f"2026-{m:02}": n for m, n in enumerate((38, 45, 41, 52, 36, 44, 40, 47, 39, 43, 50, 37), 1)}
    assert charts.control(months(calm), "month").to_dict()["title"]["text"][0].startswith("No signal in 12 months")
    wild = calm | {"2026-09": 95}
    assert charts.control(months(wild), "month").to_dict()["title"]["text"][0].startswith("1 signal")


def test_eight_in_a_row_on_one_side_of_the_mean_are_within_the_limits_and_no_signal() -> None:
    counts = {f"2026-{m:02}": 40 if m <= 8 else 52 for m in range(1, 13)}
    chart = charts.control(months(counts), "month").to_dict()
    assert chart["title"]["text"][0].startswith("No signal")


def test_an_unknown_measure_or_dimension_is_named() -> None:
    with pytest.raises(ValueError, match="no measure clicks; it has sessions, people"):
        charts.bars(by_country(), "clicks")
    with pytest.raises(ValueError, match="no dimension shoe_size"):
        charts.bars(by_country(), dimension="shoe_size")
    with pytest.raises(ValueError, match="needs two"):
        charts.heatmap(by_country())


def test_hostile_categories_are_plain_text_in_the_picture() -> None:
    picture = vl_convert.vegalite_to_svg(
        charts.bars(made("b", ("browser",), {(e,): 50 for e in EVIL} | {("Firefox",): 90})).to_dict()
    )
    assert "<script" not in picture
    assert "<img" not in picture
    assert "&lt;script" in picture


def test_a_notebook_output_carries_specification_picture_and_text() -> None:
    charts.enable()
    bundle = charts.bars(by_country())._repr_mimebundle_()
    assert set(bundle) == {charts.MIME, "image/svg+xml", "text/plain"}
    assert bundle["text/plain"].startswith("<chart: Bar chart. Most sessions: Germany")


def test_how_requests_ended_is_the_title() -> None:
    counts = {
        ("access", "fulfilled"): 40, ("access", "refused"): 12,
        ("erasure", "fulfilled"): 35, ("erasure", "partial"): 13,
    }  # fmt: skip
    ended = made("requests_by_outcome", ("right", "outcome"), counts)
    said = " ".join(charts.outcomes(ended).to_dict()["title"]["text"])
    assert said == "75 % of 200 closed requests were met in full; 50 refused in whole or in part"

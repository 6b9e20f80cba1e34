"""Tables, key figures and prose: readable, and text from data is only text."""

from __future__ import annotations

import re

import mistune
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy_metrics import tables
from privacy_metrics.disclosure import Cells, Policy, Release, release
from test_charts import EVIL, by_country, clock, made, trends


def cells_of(html: str) -> list[list[str]]:
    """The text of a table's body, row by row."""
    body = html[html.index("<tbody") : html.index("</tbody")]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]


def test_only_a_release_is_shown() -> None:
    with pytest.raises(TypeError, match="not a DataFrame"):
        tables.table(by_country().frame)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not a DataFrame"):
        tables.figure(by_country().frame)  # type: ignore[arg-type]


def test_a_table_has_separators_withheld_words_a_bold_total_and_the_policy() -> None:
    html = tables.table(by_country()).as_raw_html()
    rows = cells_of(html)
    assert ["Germany", "8,000", "4,000"] in rows
    assert ["Malta", "withheld", "withheld"] in rows
    assert rows[-1] == ["Total", "14,630", "7,315"]
    assert "font-weight: bold" in html.split("<tr>")[-1]
    assert by_country().footnote in html
    assert "July to September 2026" in html


def test_ranked_rows_come_largest_first_and_the_rest_is_said() -> None:
    html = tables.table(by_country(), rows=2, ranked=True).as_raw_html()
    assert [row[0] for row in cells_of(html)] == ["Germany", "Finland", "Total"]
    assert "5 more rows are in the data files." in html


def test_a_pivot_shows_nobody_as_zero_and_withheld_as_withheld() -> None:
    table = clock()
    rows = {row[0]: row[1:] for row in cells_of(tables.table(table, pivot="weekday", rows=None).as_raw_html())}
    for hour in [f"{h:02}" for h in range(5, 20)]:
        expected = [table.value("sessions", weekday=d, hour=hour) for d in ("Mon", "Sat", "Tue")]
        assert rows[hour][:3] == [tables.number(v) for v in expected]


def test_a_trend_becomes_columns_of_periods() -> None:
    rows = cells_of(tables.table(trends(), pivot="period", ranked=True).as_raw_html())
    assert rows[0] == ["Germany", "8,000", "16,000", "24,000"]


def test_a_table_is_the_same_bytes_each_time() -> None:
    assert tables.table(by_country())._repr_html_() == tables.table(by_country())._repr_html_()
    assert "0x" not in repr(tables.table(by_country()))


@pytest.mark.parametrize("evil", EVIL)
def test_a_hostile_category_is_text_in_a_table(evil: str) -> None:
    html = tables.table(made("b", ("browser",), {(evil,): 50, ("Firefox",): 90})).as_raw_html()
    assert "<script" not in html
    assert "<img" not in html
    assert "<a " not in html
    assert "<strong" not in html
    pivoted = tables.table(
        made("b", ("os", "browser"), {("x", evil): 50, ("y", "b"): 90}), pivot="browser"
    ).as_raw_html()
    assert "<script" not in pivoted
    assert "<img" not in pivoted


def test_key_figures_give_value_change_and_note() -> None:
    figure = tables.figure(trends(), "From Finland", country="FI", note="all products")
    assert figure == tables.Figure(
        "From Finland", "15,000", "+50 % against 10,000 in April to June 2026", "all products"
    )
    assert tables.figure(by_country(), country="MT").value == "withheld"
    assert tables.figure(by_country(), country="ZW").value == "0"


def test_key_figures_are_text_too() -> None:
    row = tables.figures(tables.Figure(EVIL[0], EVIL[1], EVIL[1], EVIL[0]))
    assert "<script" not in row._repr_html_()
    assert "<img" not in row._repr_html_()
    assert repr(tables.figures(tables.Figure("a", "1", "+2 %"))) == "a: 1 (+2 %)"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("*_[]()!<>#`~|\\&;:/.-+=\"' \nab1@{}"), min_size=1, max_size=25))
def test_a_value_in_prose_is_only_ever_text(value: str) -> None:
    html = str(
        mistune.create_markdown(escape=True, plugins=["table", "strikethrough"])(tables.say("x {v} y", v=value).text)
    )
    assert set(re.findall(r"</?([a-z]+)", html)) == {"p"}


def test_prose_formats_figures_and_says_withheld() -> None:
    said = tables.say("**{n}** of {m} from {c}", n=12345, m=None, c="Germany")
    assert said._repr_markdown_() == "**12,345** of withheld from Germany"
    assert repr(tables.say("{n} from {c}", n=12345, c="a*b")) == "12,345 from a*b"


def backlog(**counts: int) -> Release:
    """Open requests by right and by when they fall due."""
    due = {"overdue": "overdue", "soon": "due in 7 days", "month": "due in 8–30 days", "quarter": "due in 31–90 days"}
    rows = [(right, due[k], n, n) for right in ("access", "Total") for k, n in counts.items()]
    rows += [(right, "Total", sum(counts.values()), sum(counts.values())) for right in ("access", "Total")]
    frame = pl.DataFrame(
        rows, orient="row",
        schema={"right": pl.String, "due": pl.String, "requests": pl.Int64, "people": pl.Int64},
    )  # fmt: skip
    table = Cells("requests_open", "Open requests", "2026Q3", ("right", "due"), ("requests",), frame)
    return release([table], Policy(threshold=10, audience="internal", exact=True))["requests_open"]


def test_what_falls_due_is_added_up_and_what_is_overdue_is_not() -> None:
    found = backlog(overdue=3, soon=2, month=5, quarter=7)
    assert [tables.due_within(found, days).value for days in (7, 30, 90)] == ["2", "7", "14"]
    with pytest.raises(ValueError, match="7, 30, 90"):
        tables.due_within(found, 14)

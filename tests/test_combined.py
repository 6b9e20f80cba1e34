"""The combined format: the fast way and the regular expression read every line alike, whatever it is."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privacy_metrics.sources import combined

GOOD = '240.1.2.3 - - [01/Jul/2026:09:12:44 +0300] "GET /a HTTP/1.1" 200 12 "https://x.example/" "Mozilla/5.0"'
WORDS = [
    "", " ", "  ", '"', '""', '" "', "\\", '\\"', "[", "]", " [", "] ", "-", "\t", "\r", "é", "\u00a0", "٣", "x" * 13,
    "200", "99", "1000", "12345678", "123456789012", "1234567890123", "1e3", " - ", "HTTP/1.1", "GET", "https://a/b",
    "01/Jul/2026:09:12:44 +0300", "31/Feb/2026:09:12:44 +0300", "01/Jul/2026:24:60:61 +0300", "1:", "+9", "0",
]  # fmt: skip


@st.composite
def nearly_good(draw: st.DrawFn) -> str:
    """A good line of which pieces are cut out, doubled or replaced."""
    text = draw(
        st.sampled_from([GOOD, GOOD + ' "fi,en"', GOOD + ' "fi" "x"', GOOD.replace("- -", "- nl-7"), GOOD + "\r"])
    )
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 2, 5, 30])))
        text = text[:start] + draw(st.sampled_from(WORDS)) + text[end:]
    return text.replace("\n", " ")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(nearly_good(), nearly_good(), st.text(max_size=40)), min_size=1, max_size=12), st.booleans())
@example([GOOD.replace("- - [", "- a [b [")], False)
@example([GOOD.replace(" 200 ", " 200x")], False)
@example([GOOD.replace('"Mozilla/5.0"', '"a\\\\"')], False)
@example([GOOD + ' "half', GOOD + ' "half\\"'], True)
def test_every_line_is_read_as_the_regular_expression_reads_it(lines: list[str], language: bool) -> None:
    lines = [re.sub(r"[\n\ud800-\udfff]", "", line) for line in lines]
    content = "".join(line + "\n" for line in lines).encode()
    found = combined.parse(content, language=language).frame()
    expected = combined._by_expression(pl.Series("line", lines), language=language)
    assert found.rows() == expected.rows()


def test_the_regular_expression_agrees_with_pythons_own_on_good_lines() -> None:
    found = combined._by_expression(pl.Series([GOOD]), language=False).row(0, named=True)
    match = re.match(combined._COMBINED, GOOD)
    assert match
    assert (found["address"], found["referrer"], found["agent"]) == (match[1], match[6], match[7])


def test_most_lines_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    slow = combined._by_expression
    monkeypatch.setattr(combined, "_by_expression", lambda texts, **k: (seen.append(len(texts)), slow(texts, **k))[1])
    lines = [GOOD, GOOD + "\r", GOOD + ' "fi"', GOOD.replace("- -", "- nl-7"), GOOD.replace(" 12 ", " - ")]
    assert combined.parse("\n".join(lines).encode()).time.tolist() == [1782886364] * 5
    assert seen == []
    combined.parse(b"no line")
    assert seen == [1]


def test_a_value_of_any_length_is_kept_whole() -> None:
    agents = ["x" * n for n in (1, 4, 7, 8, 9, 11, 12, 13, 14, 200, 100_000)] + ["ä" * 6, "ä" * 7]
    content = "\n".join(GOOD.replace("Mozilla/5.0", agent) for agent in agents)
    assert combined.parse(content.encode()).frame()["agent"].to_list() == agents


def test_every_line_of_a_real_log_is_read_alike(real) -> None:
    content = (real / "access.log").read_bytes()
    expected = combined._by_expression(combined.split(content), language=False)
    assert combined.parse(content).frame().equals(expected)


@pytest.mark.parametrize("size", [0, 1, (1 << 18) - 1, 1 << 18, 3 << 18])
def test_places_are_those_that_are_marked(size: int) -> None:
    marked = np.random.default_rng(size).random(size) < 0.3
    assert combined.places(pl.Series(marked, dtype=pl.Boolean), size).tolist() == [*np.flatnonzero(marked), size]

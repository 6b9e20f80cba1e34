"""Presentable tables and key figures of a ``Release``, and prose that takes its figures from data.

Text from data is only ever text: great_tables escapes cells, and what is made here escapes its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import great_tables as gt
import polars as pl

from . import requests
from .charts import category, growth, label, period_title, span_title
from .disclosure import TOTAL, Release

WITHHELD = "withheld"
_MUTED, _RULE = "#52606D", "#D9DEE4"


def table(
    release: Release,
    rows: int | None = 30,
    title: str | None = None,
    ranked: bool = False,
    pivot: str | None = None,
    measure: str | None = None,
) -> gt.GT:
    """A release as a table: margins last and bold, ``withheld`` where a value is, the policy below.

    A table with noise has each figure's interval beside it. At most ``rows`` categories are shown (all: None), the
    largest by ``measure`` first when ``ranked``; how many more there are is said. With ``pivot`` that dimension's
    categories become columns of one ``measure``. Raises TypeError for anything but a Release.
    """
    if not isinstance(release, Release):
        raise TypeError(f"a table shows a Release, not a {type(release).__name__}: ask the workbook for a table")
    frame = release.frame
    measures = list(release.measures)
    dimensions = list(release.dimensions)
    wanted = measure or measures[0]
    if pivot:
        dimensions.remove(pivot)
        columns = frame[pivot].unique(maintain_order=True).to_list()
        columns.sort(key=lambda c: c == TOTAL)
        held = frame.filter("withheld").select(*dimensions, pivot)
        frame = frame.pivot(on=pivot, index=dimensions, values=wanted, maintain_order=True)
        # A combination without a row holds nobody; one with a null is withheld.
        hidden = set(held.iter_rows())
        measures = [f"m{n}" for n in range(len(columns))]
        cells = [
            [0 if v is None and (*key, column) not in hidden else v for key, v in zip(keys, frame[column], strict=True)]
            for column, keys in ((c, list(frame.select(dimensions).iter_rows())) for c in columns)
        ]
        spans = _spans(release, wanted, [*dimensions, pivot])
        keys = list(frame.select(dimensions).iter_rows())
        frame = frame.select(dimensions).with_columns(
            *(pl.Series(m, c, dtype=pl.Int64) for m, c in zip(measures, cells, strict=True)),
            *(
                pl.Series(f"{m}_between", [_between(spans.get((*key, c))) for key in keys], dtype=pl.String)
                for m, c in zip(measures if spans else [], columns, strict=False)
            ),
        )
        heads: dict[str, Any] = {
            m: TOTAL if c == TOTAL else category(pivot, c) for m, c in zip(measures, columns, strict=True)
        }
    else:
        spans = {m: _spans(release, m, dimensions) for m in measures if release.bounds}
        keys = list(frame.select(dimensions).iter_rows())
        frame = frame.select(*dimensions, *measures).with_columns(
            pl.Series(f"{m}_between", [_between(spans[m].get(key)) for key in keys], dtype=pl.String) for m in spans
        )
        heads = {m: label(m) for m in measures}
    # Of the margins only the grand total (of each period) is shown: the data files hold the others.
    free = [pl.col(d) == TOTAL for d in dimensions if d != "period"]
    inner = frame.filter(~pl.any_horizontal(free)) if free else frame
    margins = frame.filter(pl.all_horizontal(free)) if free else frame.clear()
    if ranked:
        inner = inner.sort(measures[-1] if pivot else wanted, descending=True, nulls_last=True, maintain_order=True)
    more = 0 if rows is None else max(0, inner.height - rows)
    shown = pl.concat([inner.head(inner.height - more), margins])
    shown = shown.with_columns(
        pl.col(d).map_elements(
            lambda v, d=d: period_title(v) if d == "period" else category(d, v), return_dtype=pl.String
        )
        for d in dimensions
    )
    bold = list(range(inner.height - more, shown.height))
    # Each figure's interval stands beside it.
    pairs = [(m, f"{m}_between") for m in measures if f"{m}_between" in shown.columns]
    shown = shown.select(*dimensions, *(c for m in measures for c in (m, f"{m}_between") if c in shown.columns))
    heads |= {b: f"{100 * release.policy.confidence:g} % interval" for _, b in pairs}
    made = (
        _Table(shown, id=f"table-{release.name}")
        .tab_header(title=title or release.title, subtitle=span_title(_periods(release)))
        .cols_label(heads | {d: label(d) for d in dimensions})
        .fmt_integer(columns=measures)
        .sub_missing(columns=measures, missing_text=WITHHELD)
        .cols_align("right", columns=[*measures, *(b for _, b in pairs)])
        .tab_source_note(release.footnote)
    )
    if more:
        made = made.tab_source_note(f"{more:,} more rows are in the data files.")
    for m in measures:
        empty = [n for n, v in enumerate(shown[m]) if v is None]
        if empty:
            made = made.tab_style(gt.style.text(color=_MUTED, style="italic"), gt.loc.body(columns=m, rows=empty))
    if bold:
        made = made.tab_style(gt.style.text(weight="bold"), gt.loc.body(rows=bold))
    return made.tab_options(
        table_width="100%", table_font_names=["Arial", "Liberation Sans", "sans-serif"], table_font_size="14px",
        heading_align="left", heading_title_font_size="17px", heading_subtitle_font_size="12px",
        column_labels_font_weight="bold", source_notes_font_size="12px", data_row_padding="5px",
        table_border_top_style="hidden", table_border_bottom_color=_RULE,
    )  # fmt: skip


def _spans(release: Release, measure: str, keys: list[str]) -> dict[tuple[str, ...], tuple[int, int]]:
    if not release.bounds:
        return {}
    rows = release.frame.select(*keys, f"{measure}_low", f"{measure}_high").iter_rows()
    return {tuple(row[:-2]): (row[-2], row[-1]) for row in rows}


def _between(span: tuple[int, int] | None) -> str:
    return "" if span is None else f"{span[0]:,} to {span[1]:,}"


def _periods(release: Release) -> list[str]:
    if "period" not in release.dimensions:
        return [release.period]
    return [p for p in release.frame["period"].unique(maintain_order=True).to_list() if p != TOTAL]


class _Table(gt.GT):
    def __repr__(self) -> str:
        # GT's own holds addresses in memory: a stored notebook would differ from run to run.
        return f"<table: {self._heading.title}>"

    def _repr_html_(self) -> str:
        # A report brings its own style; GT's, of ten thousand characters a table, would swell the stored notebooks.
        html = super()._repr_html_()
        return re.sub(r"<style>.*?</style>", f"<style>{_GRID}</style>", html, count=1, flags=re.DOTALL)


_GRID = """
.gt_table{width:100%;border-collapse:collapse;font-size:14px;border:0}
.gt_table tr{background:none!important}.gt_table th,.gt_table td{padding:5px 8px!important;border:0}
.gt_heading,.gt_sourcenote{text-align:left!important}.gt_title{font-size:17px;font-weight:bold}.gt_subtitle,.gt_sourcenote{font-size:12px;color:#52606D}
.gt_table .gt_left{text-align:left!important}.gt_table .gt_right{text-align:right!important}
.gt_table .gt_col_headings{border-bottom:2px solid #1B2733}.gt_table .gt_row{border-bottom:1px solid #D9DEE4}
""".strip().replace("\n", "")


# ---- key figures ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """One key figure: what it is, its value as text, its change as text, and a note."""

    label: str
    value: str
    change: str = ""
    note: str = ""


def figure(
    release: Release, name: str | None = None, measure: str | None = None, note: str = "", **cell: str
) -> Figure:
    """A cell of a release as a key figure (its total unless a category is given); a trend also gives the change.

    ``figure(trend([q2, q3]), "Sessions from Finland", country="FI")``
    """
    if not isinstance(release, Release):
        raise TypeError(f"a key figure is a Release's, not a {type(release).__name__}'s: ask the workbook for a table")
    measure = measure or release.measures[0]
    at = cell | ({"period": release.period} if "period" in release.dimensions else {})
    if span := release.interval(measure, **at):
        interval = f"{100 * release.policy.confidence:g} % interval {_between(span)}"
        note = f"{note}; {interval}" if note else interval
    if "period" not in release.dimensions:
        return Figure(name or label(measure), number(release.value(measure, **cell)), "", note)
    periods = _periods(release)
    now = release.value(measure, **cell, period=release.period)
    change = ""
    if len(periods) > 1:
        before = release.value(measure, **cell, period=periods[-2])
        against = f"against {number(before)} in {period_title(periods[-2])}"
        change = against if now is None or before is None else f"{growth(now, before)} {against}"
        earlier = release.interval(measure, **cell, period=periods[-2])
        if span and earlier and span[0] <= earlier[1] and earlier[0] <= span[1]:
            change = f"within the noise {against}"
    return Figure(name or label(measure), number(now), change, note)


def share(release: Release, name: str, *, whole: str = "", note: str = "", **parts: Sequence[str]) -> Figure:
    """What part of a release is of the given categories, as a key figure with its Wilson interval.

    ``share(on_time, "Answered on time", on_time=["on time"])``; of a trend, the change in the number of the others is
    left to the control chart. ``whole`` names what the share is of.
    """
    if not isinstance(release, Release):
        raise TypeError(f"a key figure is a Release's, not a {type(release).__name__}'s: ask the workbook for a table")
    (dimension, categories), at = *parts.items(), {"period": release.period} if "period" in release.dimensions else {}
    total = release.value(release.measures[0], **at)
    counts = [release.value(release.measures[0], **{dimension: c}, **at) for c in categories]
    if total is None or any(c is None for c in counts):
        return Figure(name, WITHHELD, "", note)
    if not total:
        return Figure(name, "–", f"no {whole or 'cases'}", note)
    part = sum(c for c in counts if c is not None)
    low, high = requests.wilson(part, total)
    change = f"{part:,} of {total:,}{f' {whole}' if whole else ''}"
    interval = f"95 % interval {requests.percent(low)} to {requests.percent(high)}"
    return Figure(name, requests.percent(part / total), change, f"{note}; {interval}" if note else interval)


def waited(release: Release, share: float, name: str) -> Figure:
    """The days by which ``share`` of the requests were answered, from the life table ``requests_waiting``."""
    course = requests.waiting(release)
    if course is None:
        return Figure(name, WITHHELD)
    low, high = ("not reached" if day is None else f"{day:,}" for day in course.percentile_band(share))
    day = course.percentile(share)
    value = "not reached" if day is None else f"{day:,} {'day' if day == 1 else 'days'}"
    return Figure(name, value, f"95 % interval {low} to {high}", f"of {course.requests:,} requests, open ones included")


class figures:
    """A row of key figures, as cards in a notebook and in a report and as text elsewhere."""

    def __init__(self, *cards: Figure) -> None:
        self.cards = cards

    def __repr__(self) -> str:
        return "\n".join(
            f"{c.label}: {c.value}" + "".join(f" ({part})" for part in (c.change, c.note) if part) for c in self.cards
        )

    def _repr_html_(self) -> str:
        def line(kind: str, text: str) -> str:
            return f'<div class="pm-{kind}">{escape(text)}</div>' if text else ""

        cards = "".join(
            f'<li class="pm-figure">{line("label", c.label)}{line("value", c.value)}{line("change", c.change)}'
            f"{line('note', c.note)}</li>"
            for c in self.cards
        )
        # The style is for JupyterLab; a report has its own and drops this one.
        return f'<style>{_CARDS}</style><ul class="pm-figures">{cards}</ul>'


_CARDS = """
.pm-figures{display:flex;flex-wrap:wrap;gap:12px;list-style:none;padding:0;margin:12px 0}
.pm-figure{flex:1 1 150px;border:1px solid #D9DEE4;border-top:3px solid #0072B2;border-radius:4px;padding:12px 14px}
.pm-label,.pm-change,.pm-note{font-size:13px}.pm-value{font-size:26px;font-weight:bold}
""".strip().replace("\n", "")


# ---- prose ----------------------------------------------------------------------------------------------------------


def number(value: int | None) -> str:
    """A published value for people: ``12,345``, or ``withheld``."""
    return WITHHELD if value is None else f"{value:,}"


def markdown(value: Any) -> str:
    """``value`` as Markdown that shows it and does nothing else: no link, no image, no HTML, no emphasis.

    >>> markdown("[x](javascript:1)")
    '\\\\[x\\\\]\\\\(javascript\\\\:1\\\\)'
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return number(value)
    # A backslash before any ASCII punctuation is that character itself (CommonMark 0.31, 2.4).
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", re.sub(r"\s+", " ", str(value)))


class say:
    """A sentence whose figures and names come from data: ``say("{n} sessions, most from {top}.", n=n, top=top)``.

    The sentence is Markdown, the values are not.
    """

    def __init__(self, sentence: str, **values: Any) -> None:
        self.text = sentence.format(**{name: markdown(value) for name, value in values.items()})
        self.plain = sentence.format(
            **{name: number(v) if v is None or isinstance(v, int) else str(v) for name, v in values.items()}
        )

    def __repr__(self) -> str:
        return self.plain

    def _repr_markdown_(self) -> str:
        return self.text

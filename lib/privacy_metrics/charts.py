"""Charts of a ``Release``: one look, a title that says the finding, and what was withheld said on every picture.

Every function takes a ``Release`` and nothing else (TypeError otherwise) and gives an Altair chart whose specification
is the same bytes for the same release. ``enable()`` makes a notebook carry specification and static picture.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import altair as alt
import polars as pl
import vl_convert

from . import requests
from .disclosure import TOTAL, Release
from .geography import countries
from .params import ParamsError, Period

MIME = "application/vnd.privacy-metrics.vegalite+json"
"""The mime type of a specification in a notebook: nbformat takes only types that end in ``+json``."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5C6670")
"""Okabe & Ito, Color Universal Design (2008), without yellow and black; a grey stands last."""
SEQUENTIAL = ("#E4EEF6", "#B7D3E8", "#7FB0D3", "#3D84B8", "#0B5A94", "#08345C")
INK, MUTED, RULE, EMPTY, HELD = "#1B2733", "#52606D", "#D9DEE4", "#EEF0F2", "#C3C9D0"
WIDTH = 720
# Arial and Liberation Sans have the same metrics: the static picture is laid out as the browser lays it out.
FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"

_NUMBER = ",d"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = tuple(f"{hour:02}" for hour in range(24))
_CLOCK = {"week": "%G-W%V", "month": "%Y-%m"}
_WORDS = {
    "os": "Operating system",
    "hits": "Page views",
    "referrer_kind": "Kind of referrer",
    "referrer_site": "Referring site",
    "subject_group": "Group",
    "reason_code": "Ground",
    "days_to_answer": "Days",
}
_GROUNDS = {"others_rights": "rights of others", "art20_conditions": "conditions of Art. 20 not met"}
_REGISTER = (
    "right", "outcome", "reason_code", "channel", "subject_group", "due", "on_time", "letter", "came", "went", "row",
    "stands", "open", "kept", "extended", "why", "contact", "standing", "response", "extension", "identity",
    "overdue_for", "table", "cell", "layer", "verdict", "figure", "register",
)  # fmt: skip
_TWICE = "not added up over two periods"
_NOTHING_HELD = "nothing withheld"
_HATCH = "M-1,1L1,-1"
_TITLE = {"anchor": "start", "frame": "bounds", "fontSize": 17, "fontWeight": "bold", "color": INK, "font": FONT}
_SUBTITLE = {"subtitleFontSize": 12, "subtitleColor": MUTED, "subtitleFont": FONT, "subtitlePadding": 5, "offset": 14}
_AXIS = {"labelFontSize": 12, "titleFontSize": 12, "labelColor": INK, "titleColor": MUTED, "titleFontWeight": "normal"}
_THEME: dict[str, Any] = {
    "font": FONT,
    "background": "#FFFFFF",
    "view": {"stroke": None},
    "title": _TITLE | _SUBTITLE,
    "axis": _AXIS
    | {
        "gridColor": RULE,
        "domainColor": RULE,
        "tickColor": RULE,
        "labelLimit": 210,
        "maxExtent": 300,
        "titlePadding": 8,
    },
    "legend": _AXIS | {"orient": "top", "labelLimit": 200, "offset": 8, "symbolSize": 90},
    "text": {"font": FONT, "fontSize": 12, "color": INK},
    "range": {"category": list(PALETTE), "heatmap": list(SEQUENTIAL), "ramp": list(SEQUENTIAL)},
}


# ---- in notebooks ---------------------------------------------------------------------------------------------------


def enable() -> None:
    """Makes charts come out as specification, static SVG and text: no JavaScript, no network, the same bytes."""
    alt.renderers.register("report", _render)
    alt.renderers.enable("report")


def _render(spec: dict[str, Any], **_: Any) -> dict[str, Any]:
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    picture = vl_convert.vegalite_to_svg(spec, vl_version=version)
    # Vega numbers gradients and clips over the life of the process: the same chart drawn second would differ.
    numbers: dict[str, str] = {}
    picture = re.sub(
        r'(?<=id=")(gradient_|clip)\d+(?=")|(?<=url\(#)(gradient_|clip)\d+(?=\))',
        lambda found: numbers.setdefault(found[0], f"part{len(numbers)}"),
        picture,
    )
    return {MIME: spec, "image/svg+xml": picture, "text/plain": f"<chart: {spec.get('description', '')}>"}


# ---- words ----------------------------------------------------------------------------------------------------------


def label(name: str) -> str:
    """A column's name for people: ``visitor_kind`` is ``Visitor kind``."""
    return _WORDS.get(name, name.replace("_", " ").capitalize())


def category(dimension: str, value: str) -> str:
    """A category's name for people: a country's code becomes its name, a register's word loses its underscores."""
    if dimension == "country" and value in countries():
        return countries()[value]["name"]
    if dimension == "reason_code":
        value = _GROUNDS.get(value, value)
    if dimension == "referrer_site" and value == "none":
        return "no other site"
    return _sentence(value.replace("_", " ")) if dimension in _REGISTER else value


def period_title(text: str) -> str:
    """A period's label in words: ``2026Q3`` is ``July to September 2026``."""
    try:
        return Period.parse(text).title
    except ParamsError:
        return text


def span_title(periods: Sequence[str]) -> str:
    """From the first period to the last in words: ``January to September 2026``."""
    try:
        first, last = Period.parse(periods[0]), Period.parse(periods[-1])
    except ParamsError:
        return ", ".join(periods)
    if first == last:
        return last.title
    year = "" if first.first.year == last.last.year else f" {first.first.year}"
    return f"{first.first:%B}{year} to {last.last:%B} {last.last.year}"


def _short(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %"


def growth(now: float, before: float) -> str:
    """The change in percent, as text: ``+12 %``, ``−3 %``, ``±0 %``, or ``new``; below 20, where a percentage says
    nothing, in numbers: ``+4``."""
    if not before:
        return "new" if now else "±0"
    if before < 20:
        return f"{now - before:+,.0f}".replace("-", "−").replace("+0", "±0")
    return f"{100 * (now - before) / before:+.0f} %".replace("-", "−").replace("+0 %", "±0 %").replace("−0 %", "±0 %")


def _said(value: int, span: tuple[int, int] | None) -> str:
    """A published value with the interval that noise leaves."""
    return f"{value:,}" if span is None else f"{value:,} (between {span[0]:,} and {span[1]:,})"


def _figure(release: Release, value: int) -> str:
    return f"about {value:,}" if release.bounds else f"{value:,}"


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _sentence(text: str) -> str:
    # Not iOS or macOS: a name with a capital inside keeps its small first letter.
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].islower() else text


# ---- charts ---------------------------------------------------------------------------------------------------------


def bars(
    release: Release, measure: str | None = None, dimension: str | None = None, top: int = 15, title: str | None = None,
    ranked: bool = True,
) -> alt.LayerChart:  # fmt: skip
    """The ``top`` categories of a dimension (the first unless given), ranked, or else in the order of the table."""
    measure, dimension = _measure(release, measure), _dimension(release, dimension)
    rows = _rows(release, dimension)
    found = [(d, v) for d, v in rows.select(dimension, measure).iter_rows() if v]
    if ranked:
        found.sort(key=lambda r: (-r[1], r[0]))
    shown, rest = found[:top], found[top:]
    total = _total(release, measure)
    spans = _spans(release, measure, dimension)
    notes = [_held(rows)]
    if rest:
        # Distinct people may stand in several categories: only the additive measure has a sum.
        sum_of = f" together {sum(v for _, v in rest):,}" if measure == release.measures[0] else ""
        notes.append(f"{_count(len(rest), 'smaller one', 'smaller ones')} not shown{sum_of}")
    values = [
        {"category": category(dimension, d), "value": v, "share": _percent(v, total) if total else "withheld"}
        | _ends(v, spans.get((d,)))
        for d, v in shown
    ]
    finding = "Nothing to show"
    if values:
        share = f" of {_figure(release, total)} ({_percent(shown[0][1], total)})" if total else ""
        first = _short(values[0]["category"])
        finding = f"Most {label(measure).lower()}: {first}, {_figure(release, shown[0][1])}{share}"
        if spans and len(values) > 1 and values[1]["high"] > values[0]["low"]:
            finding = f"{first} is among the first: more, the noise does not tell"
    tooltip = [_tip("category", label(dimension)), _value_tip(measure, spans), _tip("share", "Share")]
    end = "high" if spans else "value"
    base = alt.Chart(_inline(values)).encode(
        y=alt.Y("category:N", sort=[v["category"] for v in values], title=label(dimension), axis=_axis(ticks=False)),
        x=_quantity("value", measure, most=max((v[end] for v in values), default=1)),
        tooltip=tooltip,
    )
    text = base.mark_text(align="left", dx=5).encode(
        text=alt.Text("value:Q", format=_NUMBER), **({"x": "high:Q"} if spans else {})
    )
    marks = [base.mark_bar(color=PALETTE[0], height={"band": 0.72}), *(_rules(base, "x") if spans else []), text]
    chart = alt.layer(*marks).properties(height=_height(values, 24))
    said = [f"{v['category']} {v['value']:,}" for v in values]
    return _finish(chart, release, title or finding, notes, said, "Bar chart")


def lines(
    release: Release, x: str, measure: str | None = None, color: str | None = None, title: str | None = None
) -> alt.LayerChart:
    """The course over ``x`` (``week``, ``month``, or any dimension in its order), a line for each of ``color``.

    A line has a gap where a value is withheld. A week that two periods share is added up (never distinct people, which
    do not add up), and one that the first or last period cuts off is left out; both are said.
    """
    measure = _measure(release, measure)
    named = [k for k in (color, x) if k]
    points, periods = _points(release, measure, *named, over=x)
    across = ["period"] if "period" in release.dimensions and x != "period" else []
    spans = _spans(release, measure, *named, within=across)
    steps, cut = _steps(x, points, periods)
    table = {tuple(r[:-2]): r[-2:] for r in points.iter_rows()}
    names: list[str | None] = [*_ranked(points, color, "value")] if color else [None]
    notes = _edges(cut)
    if len(names) > len(PALETTE):
        notes.append(f"{len(names) - len(PALETTE)} smaller ones not shown")
    series = names[: len(PALETTE)]
    values: list[dict[str, Any]] = []
    for name in series:
        for step in steps:
            # A step without a row holds nobody: 0, as Release.value says.
            v, held = table.get((step,) if name is None else (name, step), (0, False))
            row = {
                "x": _position(x, step),
                "step": _step_name(x, step),
                "value": v,
                "state": "withheld" if held else _TWICE,
            }
            if v is not None:
                span = spans.get((step,) if name is None else (name, step))
                row |= {"state": _said(v, span), **_ends(v, span)}
            values.append(row | ({} if name is None or color is None else {"series": category(color, name)}))
    gaps = [row | {"value": 0} for row in values if row["value"] is None]
    notes = [
        *_gaps(sum(row["state"] == "withheld" for row in gaps), sum(row["state"] == _TWICE for row in gaps)),
        *notes,
    ]
    timed = x in _CLOCK
    axis = (
        _axis(grid=False, tickCount=8, format="%b %Y", labelOverlap=True) if timed else _axis(grid=False, labelAngle=0)
    )
    position = (
        alt.X("x:T", scale=alt.Scale(type="utc"), title=f"{label(x)} (start)", axis=axis)
        if timed
        else alt.X("x:N", sort=[_position(x, s) for s in steps], title=label(x), axis=axis)
    )
    tips = [_tip("step", label(x)), *([_tip("series", label(color))] if color else []), _tip("state", label(measure))]
    hue: dict[str, Any] = {}
    if color:
        domain = [category(color, n) for n in series if n is not None]
        scale = alt.Scale(domain=domain, range=list(PALETTE[: len(domain)]))
        hue = {"color": alt.Color("series:N", scale=scale, sort=domain, title=None)}
    base = alt.Chart(_inline(values)).encode(x=position, y=_quantity("value", measure, axis="y"), tooltip=tips, **hue)
    size = 18 if len(steps) > 20 else 40
    plain: dict[str, Any] = {} if color else {"color": PALETTE[0]}
    layers: list[alt.Chart] = [
        *(_rules(base, "y", **plain) if spans else []),
        base.mark_line(strokeWidth=2.2, invalid="break-paths-show-path-domains", **plain),
        base.mark_point(filled=True, size=size, opacity=1, **plain),
        # Wide invisible targets, so that a tooltip needs no exact aim.
        base.mark_point(size=260, opacity=0, filled=True),
    ]
    if gaps:
        marks = alt.Chart(_inline(gaps)).mark_point(shape="stroke", angle=90, size=90, color=HELD, strokeWidth=3)
        layers.append(marks.encode(x=position, y=alt.Y("value:Q"), tooltip=tips))
    said, finding = _course(release, measure, values, color)
    return _finish(
        alt.layer(*layers).properties(height=300), release, title or finding, notes, said, "Line chart", periods
    )


def change(
    release: Release, measure: str | None = None, dimension: str | None = None, top: int = 15, title: str | None = None
) -> alt.LayerChart:
    """This period against the one before, per category, of a trend (``disclosure.trend``).

    Where there is no earlier period, the ``bars`` of this one.
    """
    measure, dimension = _measure(release, measure), _dimension(release, dimension)
    periods = _periods(release, release.frame)
    if len(periods) < 2:
        return bars(release, measure, dimension, top, title)
    rows = _rows(release, "period", dimension, current=False)
    before, now = periods[-2:]
    table = {(p, d): v for p, d, v in rows.select("period", dimension, measure).iter_rows()}
    names = sorted({d for p, d in table if p in (before, now)})
    pairs = [(d, table.get((before, d), 0), table.get((now, d), 0)) for d in names]
    open_pairs = sorted(
        ((d, b, n) for d, b, n in pairs if b is not None and n is not None and b + n),
        key=lambda r: (-r[2], -r[1], r[0]),
    )
    shown = open_pairs[:top]
    held = sum(b is None or n is None for _, b, n in pairs)
    notes = [f"{_count(held, 'category', 'categories')} withheld" if held else "nothing withheld"]
    if len(open_pairs) > top:
        notes.append(f"{len(open_pairs) - top} smaller ones not shown")
    values = [{"category": category(dimension, d), "before": b, "now": n, "change": growth(n, b)} for d, b, n in shown]
    spans = _spans(release, measure, "period", dimension, current=False)
    finding = "Nothing to compare"
    if shown:
        told = [r for r in shown if _apart(*(spans.get((p, r[0]), (0, 0)) for p in (before, now)))] if spans else shown
        most = max(told or shown, key=lambda r: (abs(r[2] - r[1]), r[0]))
        name, by = _short(category(dimension, most[0])), growth(most[2], most[1])
        finding = f"{name} changed most: {most[1]:,} to {most[2]:,} ({by})"
    for value, (d, b, n) in zip(values if spans else [], shown, strict=False):
        one, other = (spans.get((p, d), (0, 0)) for p in (before, now))
        value |= {"said_before": _said(b, one), "said_now": _said(n, other)}
        value["change"] = value["change"] if _apart(one, other) else "within the noise"
    if spans and shown and all(v["change"] == "within the noise" for v in values):
        finding = "No change is larger than the noise"
    order = [v["category"] for v in values]
    tips = [
        _tip("category", label(dimension)), _tip("before", period_title(before), _NUMBER),
        _tip("now", period_title(now), _NUMBER), _tip("change", "Change"),
    ]  # fmt: skip
    if spans:
        tips[1:3] = [_tip("said_before", period_title(before)), _tip("said_now", period_title(now))]
    y = alt.Y("category:N", sort=order, title=label(dimension), axis=_axis(ticks=False, grid=True))
    key = alt.Color(
        "period:N", title=None, sort=[period_title(before), period_title(now)],
        scale=alt.Scale(domain=[period_title(before), period_title(now)], range=[PALETTE[4], PALETTE[0]]),
    )  # fmt: skip
    ends = [
        v | {"value": v[which], "period": period_title(p)} | _ends(v[which], spans.get((p, d)))
        for v, (d, _, _) in zip(values, shown, strict=True)
        for which, p in (("before", before), ("now", now))
    ]
    far = {
        v["category"]: max(e.get("high", e["value"]) for e in ends if e["category"] == v["category"]) for v in values
    }
    right = [v | {"end": far[v["category"]]} for v in values]
    most = round(max(far.values(), default=1) * (1.1 if spans else 1))  # words take more room than a percentage
    chart = alt.layer(
        alt.Chart(_inline(values))
        .mark_rule(strokeWidth=3, color=HELD)
        .encode(x="before:Q", x2="now:Q", y=y, tooltip=tips),
        *(_rules(alt.Chart(_inline(ends)).encode(y=y, tooltip=tips), "x") if spans else []),
        alt.Chart(_inline(ends))
        .mark_point(filled=True, size=110, opacity=1)
        .encode(x=_quantity("value", measure, most=most), y=y, color=key, tooltip=tips),
        alt.Chart(_inline(right)).mark_text(align="left", dx=10).encode(x="end:Q", y=y, text="change:N", tooltip=tips),
    ).properties(height=_height(values, 24))
    said = [f"{v['category']} {v['before']:,} to {v['now']:,} ({v['change']})" for v in values]
    return _finish(chart, release, title or finding, notes, said, "Dumbbell chart", [before, now])


def heatmap(
    release: Release, x: str | None = None, y: str | None = None, measure: str | None = None, top: int = 24,
    title: str | None = None,
) -> alt.LayerChart:  # fmt: skip
    """Two dimensions against each other (unless given: the first downwards, the second across).

    A withheld cell is grey and hatched; a cell of nobody is 0. Of a long dimension the ``top`` categories are shown.
    """
    measure = _measure(release, measure)
    y, x = _pair(release, y, x)
    rows = _rows(release, y, x)
    across, down = _universe(x, rows, measure, top), _universe(y, rows, measure, top)
    missing = rows[x].n_unique() - len(across), rows[y].n_unique() - len(down)
    table = {(b, a): (v, held) for b, a, v, held in rows.select(y, x, measure, "withheld").iter_rows()}
    spans = _spans(release, measure, y, x)
    values, held_cells = [], []
    for b in down:
        for a in across:
            v, held = table.get((b, a), (0, False))
            state = "withheld" if held else _said(v, spans.get((b, a)))
            cell = {"x": category(x, a), "y": category(y, b), "state": state}
            (held_cells if held else values).append(cell if held else cell | {"value": v})
    notes = [f"{_count(len(held_cells), 'cell', 'cells')} withheld (hatched)" if held_cells else "nothing withheld"]
    notes += [f"{n} smaller of {label(d).lower()} not shown" for n, d in zip(missing, (x, y), strict=True) if n > 0]
    best = max(values, key=lambda c: (c["value"], c["y"], c["x"]), default=None)
    finding = (
        f"Most {label(measure).lower()}: {_short(best['y'])}, {_short(best['x'])} ({_figure(release, best['value'])})"
        if best
        else "Every cell is withheld"
    )
    tips = [_tip("y", label(y)), _tip("x", label(x)), _tip("state", label(measure))]
    across_axis = _axis(grid=False, labelAngle=0 if x in ("hour", "weekday") else -35)
    place = {
        "x": alt.X("x:N", sort=[category(x, a) for a in across], title=label(x), axis=across_axis),
        "y": alt.Y("y:N", sort=[category(y, b) for b in down], title=label(y), axis=_axis(grid=False)),
        "tooltip": tips,
    }
    legend = alt.Legend(format=_NUMBER, gradientLength=200, titleOrient="left", titleLimit=300)
    shade = alt.Color(
        "value:Q",
        title=f"{label(measure)} (number)",
        scale=alt.Scale(range=list(SEQUENTIAL), domainMin=0),
        legend=legend,
    )
    layers: list[alt.Chart] = [alt.Chart(_inline(values)).mark_rect(stroke="white").encode(color=shade, **place)]
    if held_cells:
        blank = alt.Chart(_inline(held_cells))
        hatch = {"shape": _HATCH, "size": 90, "stroke": MUTED, "strokeWidth": 1, "filled": False}
        layers += [
            blank.mark_rect(stroke="white", color=HELD).encode(**place),
            blank.mark_point(**hatch).encode(**place),
        ]
    ranked = sorted(values, key=lambda c: (-c["value"], c["y"], c["x"]))[:5]
    said = [f"{c['y']}, {c['x']} {c['value']:,}" for c in ranked if c["value"]]
    return _finish(
        alt.layer(*layers).properties(height=_height(down, 26)), release, title or finding, notes, said, "Heat map"
    )


def tiles(
    release: Release, measure: str | None = None, dimension: str = "country", title: str | None = None
) -> alt.LayerChart:
    """A tile for each country, on a grid that keeps neighbours together; withheld ones are hatched, absent ones grey.

    What has no tile (``unknown`` and small islands) is said below the title.
    """
    measure = _measure(release, measure)
    rows = _rows(release, dimension)
    found = {c: (v, held) for c, v, held in rows.select(dimension, measure, "withheld").iter_rows()}
    grid = {code: (int(row["column"]), int(row["row"])) for code, row in countries().items() if row["column"]}
    spans = _spans(release, measure, dimension)
    most = max((v for v, _ in found.values() if v), default=1)
    values, held_tiles, base = [], [], []
    for code, (column, row) in grid.items():
        v, held = found.get(code, (0, False))
        tile: dict[str, Any] = {"code": code, "country": countries()[code]["name"], "column": column, "row": row}
        base.append(tile | {"state": "withheld" if held else _said(v, spans.get((code,)))})
        if held:
            held_tiles.append(base[-1])
        elif v:
            values.append(base[-1] | {"value": v})
    away = {c: v for c, (v, held) in found.items() if c not in grid and not held and v}
    notes = [_held(rows)]
    if away:
        named = ", ".join(
            f"{category('country', c)} {v:,}" for c, v in sorted(away.items(), key=lambda i: (-i[1], i[0]))[:3]
        )
        notes.append(f"without a tile: {_short(named, 90)}" + (" and others" if len(away) > 3 else ""))
    leader = max(values, key=lambda t: (t["value"], t["code"]), default=None)
    total = _total(release, measure)
    finding = "Nothing to show"
    if leader:
        share = f" ({_percent(leader['value'], total)})" if total else ""
        origins = _count(len(values), "country", "countries")
        finding = f"From {origins}; most from {leader['country']}: {_figure(release, leader['value'])}{share}"
    tips = [_tip("country", "Country"), _tip("state", label(measure))]
    size = WIDTH // 22
    place = {
        "x": alt.X("column:O", axis=None, scale=alt.Scale(domain=list(range(21)), paddingInner=0.08)),
        "y": alt.Y("row:O", axis=None, scale=alt.Scale(domain=list(range(18)), paddingInner=0.08)),
        "tooltip": tips,
    }
    legend = alt.Legend(format=_NUMBER, gradientLength=200, titleOrient="left", titleLimit=300, tickCount=4)
    scale = alt.Scale(type="sqrt", range=list(SEQUENTIAL), domain=[0, most])
    shade = alt.Color("value:Q", title=f"{label(measure)} (number, square-root scale)", scale=scale, legend=legend)
    layers = [
        # The grey layer below: a country that is absent must not vanish from the map.
        alt.Chart(_inline(base)).mark_rect(color=EMPTY, cornerRadius=3).encode(**place),
        alt.Chart(_inline(base)).mark_text(fontSize=10, color=MUTED).encode(text="code:N", **place),
        alt.Chart(_inline(values)).mark_rect(cornerRadius=3).encode(color=shade, **place),
    ]
    for ink, dark in ((INK, False), ("#FFFFFF", True)):
        # The scale's upper half is too dark for black letters.
        codes = [tile for tile in values if ((tile["value"] / most) ** 0.5 > 0.45) == dark]
        layers.append(alt.Chart(_inline(codes)).mark_text(fontSize=10, color=ink).encode(text="code:N", **place))
    if held_tiles:
        blank = alt.Chart(_inline(held_tiles))
        hatch = {"shape": _HATCH, "size": 500, "stroke": MUTED, "strokeWidth": 1, "filled": False, "opacity": 0.7}
        layers += [
            blank.mark_rect(color=HELD, cornerRadius=3).encode(**place),
            blank.mark_point(**hatch).encode(**place),
            blank.mark_text(fontSize=10, color=INK).encode(text="code:N", **place),
        ]
    ranked = sorted(values, key=lambda t: (-t["value"], t["code"]))[:5]
    said = [f"{t['country']} {t['value']:,}" for t in ranked]
    chart = alt.layer(*layers).properties(height=18 * (size - 4))
    return _finish(chart, release, title or finding, notes, said, "Tile map")


def stacked(
    release: Release, dimension: str | None = None, parts: str | None = None, measure: str | None = None,
    title: str | None = None, ranked: bool = True, colors: Mapping[str, str] | None = None,
) -> alt.Chart:  # fmt: skip
    """What each category of ``dimension`` is made of, by ``parts``: outcomes by right, for one.

    A withheld part has no length: the bar is shorter by it, and the number of such parts is said. The largest come
    first, or, not ``ranked``, the parts in the table's own order. ``colors`` are those of the parts.
    """
    measure = _measure(release, measure)
    dimension, parts = _pair(release, dimension, parts)
    rows = _rows(release, dimension, parts)
    by = _ranked(rows, dimension, measure)
    table = {(d, p): v for d, p, v in rows.select(dimension, parts, measure).iter_rows()}
    found = _ranked(rows, parts, measure) if ranked else _own_order(rows, parts)
    published = [p for p in found if any(table.get((d, p)) for d in by)]
    kinds = published[: len(PALETTE)]
    notes = [_held(rows, "part", "parts")]
    if len(published) > len(kinds):
        notes.append(f"{_count(len(published) - len(kinds), 'smaller part', 'smaller parts')} not shown")
    spans = _spans(release, measure, dimension, parts)
    values = [
        {"category": category(dimension, d), "part": category(parts, p), "value": table[d, p], "order": n}
        | _ends(table[d, p], spans.get((d, p)))
        for d in by
        for n, p in enumerate(kinds)
        if table.get((d, p))
    ]
    top = max(values, key=lambda v: (v["value"], v["category"]), default=None)
    finding = (
        f"Most: {_short(top['category'])}, {_short(top['part'])}: {_figure(release, top['value'])}"
        if top
        else "Nothing to show"
    )
    domain = [category(parts, p) for p in kinds]
    hues = [(colors or {}).get(p, PALETTE[n]) for n, p in enumerate(kinds)] if colors else list(PALETTE)
    chart = (
        alt.Chart(_inline(values))
        .mark_bar(height={"band": 0.72}, stroke="white", strokeWidth=1)
        .encode(
            y=alt.Y(
                "category:N", sort=[category(dimension, d) for d in by], title=label(dimension), axis=_axis(ticks=False)
            ),
            x=_quantity("value", measure),
            color=alt.Color("part:N", sort=domain, scale=alt.Scale(domain=domain, range=hues), title=label(parts)),
            order=alt.Order("order:Q"),
            tooltip=[
                _tip("category", label(dimension)),
                _tip("part", label(parts)),
                _value_tip(measure, spans),
            ],
        )
        .properties(height=_height(by, 28))
    )
    said = [f"{v['category']}, {v['part']} {v['value']:,}" for v in sorted(values, key=lambda v: -v["value"])[:6]]
    return _finish(chart, release, title or finding, notes, said, "Stacked bar chart")


def backlog(release: Release) -> alt.Chart:
    """The open requests by right and by when they fall due (``requests_open``); how many are overdue is the title."""
    _check(release)
    measure = release.measures[0]
    total, overdue, soon = (
        release.value(measure, **cell) for cell in ({}, {"due": "overdue"}, {"due": "due in 7 days"})
    )
    if total == 0:
        finding = "Nothing is open"
    elif total is None or overdue is None or soon is None:
        finding = "Open requests, by when they fall due"
    else:
        late = f"{overdue:,} of {total:,} open requests {'is' if overdue == 1 else 'are'} overdue"
        finding = (
            f"{late if overdue else f'None of {total:,} open requests is overdue'}; {soon:,} fall due within 7 days"
        )
    colors: dict[str, str] = dict(zip(requests.DUE, (PALETTE[n] for n in (1, 4, 0, 5, 6)), strict=True))
    return stacked(release, "right", "due", title=finding, ranked=False, colors=colors)


def outcomes(release: Release) -> alt.Chart:
    """How the closed requests of each right ended (``requests_by_outcome``); how many were met is the title."""
    _check(release)
    (by,) = (d for d in release.dimensions if d != "outcome")
    measure, total = release.measures[0], release.value(release.measures[0])
    met, refused = (
        None if None in counts else sum(n for n in counts if n is not None)
        for counts in ([release.value(measure, outcome=o) for o in some] for some in (requests.MET, requests.REFUSED))
    )
    if total is None or met is None or refused is None:
        finding = "Closed requests, by how they ended"
    elif not total:
        finding = "Nothing was closed"
    else:
        finding = (
            f"{_percent(met, total)} of {_count(total, 'closed request was', 'closed requests were')} met in full; "
            f"{refused:,} refused in whole or in part"
        )
    return stacked(release, by, "outcome", title=finding)


def load(falling_due: Release, by_month: Release) -> alt.LayerChart:
    """What must be answered in each of the next three months: what is open already, and what is likely to come.

    Takes ``requests_falling_due`` and the trend of ``requests_by_month``. What comes in one month falls due in the
    next: so the first month holds known requests only. The interval is that of ``requests.forecast``.
    """
    _check(falling_due)
    _, counts, _, _ = _series(by_month.over(*_keep(by_month, "month")), by_month.measures[0], "month")
    known_counts = [v for v in counts if v is not None]
    start = Period.parse(falling_due.period).end
    # The limits of what is open when the period ends are in its next months; an extension reaches into the third.
    months = [Period(start, 1), *(Period(start, 1).previous(-n) for n in (1, 2))]
    if len(known_counts) < 2:
        return _too_few(by_month, None)
    mean, low, high = requests.forecast(known_counts)
    known = [falling_due.value(falling_due.measures[0], month=month.label) for month in months]
    parts = ("open already", "likely to come")
    values: list[dict[str, Any]] = []
    for n, (month, already) in enumerate(zip(months, known, strict=True)):
        come = (round(mean), low, high) if n else (0, 0, 0)
        base = already or 0
        for part, value in zip(parts, (base, come[0]), strict=True):
            values.append({
                "month": month.title, "part": part, "value": value, "order": parts.index(part),
                "low": base + come[1], "high": base + come[2],
                "state": "withheld" if part == parts[0] and already is None else f"{value:,}",
            })  # fmt: skip
    held = sum(v is None for v in known)
    base = known[1] or 0
    finding = f"{'Withheld' if known[0] is None else f'{known[0]:,}'} open requests fall due in {months[0].title}; in "
    finding += f"{months[1].title} about {round(mean) + base:,} ({low + base:,} to {high + base:,})"
    notes = [
        f"{_count(held, 'value', 'values')} withheld" if held else "nothing withheld",
        f"from {len(known_counts)} months of {round(mean):,} requests on average; the bar's mark is a 95 % interval",
        "what comes in one month falls due in the next",
    ]
    order = [month.title for month in months]
    tips = [
        _tip("month", "Falls due in"), _tip("part", "Requests"), _tip("state", "Number"),
        _tip("low", "In all from", _NUMBER), _tip("high", "In all to", _NUMBER),
    ]  # fmt: skip
    y = alt.Y("month:N", sort=order, title="Falls due in", axis=_axis(ticks=False))
    scale = alt.Scale(domain=list(parts), range=[PALETTE[0], PALETTE[5]])
    bars_ = alt.Chart(_inline(values)).mark_bar(height={"band": 0.6}).encode(
        y=y, x=_quantity("value", falling_due.measures[0]), order=alt.Order("order:Q"), tooltip=tips,
        color=alt.Color("part:N", sort=list(parts), scale=scale, title=None),
    )  # fmt: skip
    ends = [v for v in values if v["part"] == parts[1] and v["high"] > v["low"]]
    marks = (
        alt.Chart(_inline(ends)).mark_rule(strokeWidth=2, color=INK).encode(y=y, x="low:Q", x2="high:Q", tooltip=tips)
    )
    said = [f"{v['month']}: {v['part']} {v['state']}" for v in values]
    chart = alt.layer(bars_, marks).properties(height=_height(months, 44))
    return _finish(chart, falling_due, finding, notes, said, "Bar chart")


def survival(release: Release, limit: int = 30, title: str | None = None) -> alt.LayerChart:
    """How long requests wait for an answer: the share still waiting by day, its confidence band, and the legal limit.

    Takes the life table ``requests_waiting`` (see ``requests.waiting``); open requests count as long as they were seen.
    """
    _check(release)
    course = requests.waiting(release)
    if course is None or not course.steps:
        return _finish(
            _nothing(), release, title or "No curve: its days are withheld, or nobody was answered", [], [], "No chart"
        )
    first = {"day": 0, "answered": 0.0, "waiting": 1.0, "low": 1.0, "high": 1.0}
    values = [first] + [
        {"day": day, "answered": share, "waiting": 1 - share, "low": 1 - high, "high": 1 - low}
        for day, share, low, high in course.steps
    ]
    last = max(limit + 5, values[-1]["day"])
    values.append(values[-1] | {"day": last})
    values = [{k: round(v, 4) for k, v in value.items()} for value in values]
    share, low, high = course.answered_by(limit)
    median = course.percentile(0.5)
    half = "half wait longer than was seen" if median is None else f"half were answered within {median} days"
    finding = f"{requests.percent(share)} were answered within {limit} days; {half}"
    notes = [
        "nothing withheld",
        f"{course.requests:,} requests, {course.still_open:,} of them still open and counted as long as they were seen",
        f"95 % band at {limit} days: {requests.percent(low)} to {requests.percent(high)}",
    ]
    tips = [
        _tip("day", "Days since receipt"), _tip("waiting", "Still waiting", ".1%"), _tip("answered", "Answered", ".1%"),
        _tip("low", "Band from", ".1%"), _tip("high", "Band to", ".1%"),
    ]  # fmt: skip
    x = alt.X(
        "day:Q", title="Days since receipt", axis=_axis(grid=False), scale=alt.Scale(domain=[0, last], nice=False)
    )
    y = alt.Y("waiting:Q", title="Still waiting", axis=_axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(_inline(values)).encode(x=x, y=y, tooltip=tips)
    edge = alt.Chart(_inline([{"day": limit, "text": f"one month (about {limit} days)"}])).encode(x="day:Q")
    chart = alt.layer(
        base.mark_area(interpolate="step-after", opacity=0.18, color=PALETTE[0]).encode(y="low:Q", y2="high:Q"),
        base.mark_line(interpolate="step-after", strokeWidth=2.4, color=PALETTE[0]),
        base.mark_point(size=200, opacity=0, filled=True),
        edge.mark_rule(color=PALETTE[1], strokeWidth=2, strokeDash=[6, 4]),
        edge.mark_text(align="left", dx=6, dy=8, color=PALETTE[1], fontWeight="bold").encode(
            y=alt.value(0), text="text:N"
        ),
    ).properties(height=300)
    marks = [course.percentile(q) for q in (0.5, 0.9)]
    said = [f"{q} by day {day}" for q, day in zip(("half", "90 %"), marks, strict=True) if day is not None]
    return _finish(chart, release, title or finding, notes, said, "Survival curve")


def control(release: Release, x: str, measure: str | None = None, title: str | None = None) -> alt.LayerChart:
    """A control chart of counts: their mean, and the exact Poisson limits that chance seldom leaves (a c-chart).

    A signal is a value outside the limits; nothing else is called a change.
    """
    measure = _measure(release, measure)
    steps, series, periods, notes = _series(release, measure, x)
    shown = [v for v in series if v is not None]
    if len(shown) < 2:
        return _too_few(release, title)
    mean, low, high = requests.limits(shown)
    across = ["period"] if "period" in release.dimensions and x != "period" else []
    spans = _spans(release, measure, x, within=across)
    if spans:
        notes = [*notes, "limits widened by the noise"]
    wider = [(spans[(s,)][1] - spans[(s,)][0]) / 2 if (s,) in spans else 0.0 for s in steps]
    bounds = [(max(low - w, 0.0), high + w) for w in wider]
    values = [None if v is None else float(v) for v in series]
    return _control(release, measure, x, steps, values, mean, bounds, periods, notes, _NUMBER, title)


def control_share(
    release: Release, x: str, kind: str, good: Sequence[str], name: str, title: str | None = None
) -> alt.LayerChart:
    """A control chart of a share (a p-chart): what part of each step is of a ``good`` category of dimension ``kind``.

    The limits are those of the exact binomial distribution, which for few cases are wide, and one-sided near 100 %.
    """
    measure = _measure(release, None)
    steps, wholes, periods, notes = _series(release.over(*_keep(release, x)), measure, x)
    rows = release.frame.filter(pl.col(kind).is_in(list(good)), pl.col(x) != TOTAL)
    sums = {
        step: (n, held)
        for step, n, held in rows.group_by(x).agg(pl.col(measure).sum(), pl.col("withheld").any()).iter_rows()
    }
    parts = [
        None if sums.get(step, (0, False))[1] or not whole else sums.get(step, (0, False))[0]
        for step, whole in zip(steps, wholes, strict=True)
    ]
    known = [(p, w) for p, w in zip(parts, wholes, strict=True) if p is not None and w]
    if len(known) < 2:
        return _too_few(release, title)
    mean, some = requests.share_limits([p for p, _ in known], [w for _, w in known])
    found = iter(some)
    bounds = [next(found) if p is not None and w else (None, None) for p, w in zip(parts, wholes, strict=True)]
    series = [p / w if p is not None and w else None for p, w in zip(parts, wholes, strict=True)]
    return _control(release, name, x, steps, series, mean, bounds, periods, notes, ".0%", title)


def _series(release: Release, measure: str, x: str) -> tuple[list[str], list[int | None], list[str], list[str]]:
    points, periods = _points(release, measure, x, over=x)
    steps, cut = _steps(x, points, periods)
    table = {step: (v, held) for step, v, held in points.iter_rows()}
    series = [table.get(step, (0, False))[0] for step in steps]
    held = sum(table.get(step, (0, False))[1] for step in steps)
    return steps, series, periods, _gaps(held, sum(v is None for v in series) - held) + _edges(cut)


def _keep(release: Release, x: str) -> list[str]:
    return ["period", x] if "period" in release.dimensions else [x]


def _control(
    release: Release, measure: str, x: str, steps: list[str], series: list[float | None], mean: float,
    bounds: Sequence[tuple[float | None, float | None]], periods: list[str], notes: list[str], form: str,
    title: str | None,
) -> Any:  # fmt: skip
    states = ["no value", "within the limits", "signal"]
    signals = {
        n
        for n, (v, (low, high)) in enumerate(zip(series, bounds, strict=True))
        if v is not None and low is not None and high is not None and not low <= v <= high
    }
    known = [n for n, v in enumerate(series) if v is not None]
    values = [
        {
            "x": _position(x, step), "step": _step_name(x, step), "value": v, "low": low, "high": high,
            "state": states[0] if v is None else states[2] if n in signals else states[1],
        }
        for n, (step, v, (low, high)) in enumerate(zip(steps, series, bounds, strict=True))
    ]  # fmt: skip
    named = [_step_name(x, steps[n]) for n in sorted(signals)]
    finding = f"No signal in {len(known)} {label(x).lower()}s: what differs is within chance"
    if named:
        finding = f"{_count(len(named), 'signal', 'signals')}: {', '.join(named[:3])}{' …' if len(named) > 3 else ''}"
    if len(known) < 8:
        notes = [*notes, f"{len(known)} values are few for limits (8 or more make a baseline)"]
    show = f"{mean:.0%}" if "%" in form else f"{mean:,.1f}"
    place = (
        alt.X(
            "x:T",
            scale=alt.Scale(type="utc"),
            title=f"{label(x)} (start)",
            axis=_axis(grid=False, format="%b %Y", tickCount=8),
        )
        if x in _CLOCK
        else alt.X("x:N", sort=[v["x"] for v in values], title=label(x), axis=_axis(grid=False, labelAngle=0))
    )
    scale = alt.Scale(domain=states[1:], range=[PALETTE[0], PALETTE[1]])
    tips = [
        _tip("step", label(x)), _tip("value", label(measure), form), _tip("low", "Lower limit", form),
        _tip("high", "Upper limit", form), _tip("state", "State"),
    ]  # fmt: skip
    axis = {"format": "%"} if "%" in form else {"format": _NUMBER, "tickMinStep": 1}
    y = alt.Y("value:Q", title=label(measure), axis=_axis(**axis), scale=alt.Scale(zero="%" not in form))
    base = alt.Chart(_inline(values)).encode(x=place, tooltip=tips)
    middle = alt.Chart(_inline([{"at": mean, "text": f"mean {show}"}])).encode(y="at:Q")
    chart = alt.layer(
        base.mark_area(interpolate="step", color=EMPTY).encode(y="low:Q", y2="high:Q"),
        middle.mark_rule(color=MUTED, strokeDash=[5, 4]),
        middle.mark_text(align="left", dy=-7, dx=3, color=MUTED, fontSize=11).encode(x=alt.value(0), text="text:N"),
        base.mark_line(color=PALETTE[0], strokeWidth=2, invalid="break-paths-show-path-domains").encode(y=y),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            y=y, color=alt.Color("state:N", scale=scale, title=None)
        ),
    ).properties(height=280)
    said = [f"mean {show}", *(f"signal in {name}" for name in named)]
    return _finish(chart, release, title or finding, notes, said, "Control chart", periods)


def _too_few(release: Release, title: str | None) -> Any:
    finding = "Too early to say: limits and forecasts need two published months or more"
    return _finish(_nothing(), release, title or finding, [], [], "No chart")


def _nothing() -> Any:
    empty = alt.Chart(_inline([])).mark_point()
    return alt.layer(empty).properties(height=20)


# ---- the release's rows ---------------------------------------------------------------------------------------------


def _check(release: Release) -> None:
    if not isinstance(release, Release):
        raise TypeError(f"a chart draws a Release, not a {type(release).__name__}: ask the workbook for a table")


def _measure(release: Release, measure: str | None) -> str:
    _check(release)
    if measure is not None and measure not in release.measures:
        raise ValueError(f"release {release.name} has no measure {measure}; it has {', '.join(release.measures)}")
    return measure or release.measures[0]


def _dimension(release: Release, dimension: str | None) -> str:
    free = [d for d in release.dimensions if d != "period"] or ["period"]
    return free[0] if dimension is None else dimension


def _pair(release: Release, one: str | None, two: str | None) -> tuple[str, str]:
    free = [d for d in release.dimensions if d != "period" and d not in (one, two)]
    if len(free) < (one is None) + (two is None):
        raise ValueError(
            f"release {release.name} has the dimensions {', '.join(release.dimensions)}; this chart needs two"
        )
    return one or free.pop(0), two or free.pop(0)


def _rows(release: Release, *dimensions: str, current: bool = True) -> pl.DataFrame:
    """The rows over ``dimensions``, all else at its total; of a trend those of the last period when ``current``."""
    if unknown := [d for d in dimensions if d not in release.dimensions]:
        raise ValueError(
            f"release {release.name} has no dimension {unknown[0]}; it has {', '.join(release.dimensions)}"
        )
    if "period" not in release.dimensions or "period" in dimensions or not current:
        return release.margin(*dimensions)
    return release.margin("period", *dimensions).filter(pl.col("period") == release.period)


def _spans(
    release: Release, measure: str, *keys: str, current: bool = True, within: Sequence[str] = ()
) -> dict[tuple[str, ...], tuple[int, int]]:
    """By ``keys``, the interval of each value of a table with noise; empty for one without.

    A value added up over ``within`` has the sums of the ends: the noises are independent, so that is at least as sure.
    """
    if not release.bounds:
        return {}
    rows = _rows(release, *keys, *within, current=current and not within)
    low, high = f"{measure}_low", f"{measure}_high"
    sums = rows.group_by(keys, maintain_order=True).agg(pl.col(low, high).sum())
    return {tuple(row[:-2]): (row[-2], row[-1]) for row in sums.iter_rows()}


def _ends(value: int, span: tuple[int, int] | None) -> dict[str, Any]:
    """Of a value with noise: its words, and the ends of its interval."""
    return {} if span is None else {"said": _said(value, span), "low": span[0], "high": span[1]}


def _value_tip(measure: str, spans: dict) -> alt.Tooltip:
    return _tip("said", label(measure)) if spans else _tip("value", label(measure), _NUMBER)


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[1] < other[0] or other[1] < one[0]


def _rules(base: Any, axis: str, **options: Any) -> list[Any]:
    """The intervals of the values of ``base``, as rules with ends."""
    look: dict[str, Any] = {"strokeWidth": 1.6, "opacity": 0.75, "color": INK} | options
    rule = base.mark_rule(**look).encode(**{axis: "low:Q", f"{axis}2": "high:Q"})
    tick = [base.mark_tick(thickness=1.6, size=9, **look).encode(**{axis: f"{end}:Q"}) for end in ("low", "high")]
    return [rule, *tick]


def _points(release: Release, measure: str, *keys: str, over: str) -> tuple[pl.DataFrame, list[str]]:
    """The values by ``keys``, those of several periods added up where that makes sense, and the periods.

    Columns: the keys, ``value`` (null where withheld, or where distinct people would be added up) and ``withheld``.
    """
    across = "period" in release.dimensions and over != "period"
    rows = _rows(release, *keys, *(["period"] if across else []), current=False)
    adds = pl.lit(measure == release.measures[0])
    gap = pl.col("withheld").any() | (~adds & (pl.len() > 1))
    value = pl.when(gap).then(None).otherwise(pl.col(measure).sum()).alias("value")
    periods = _periods(release, rows if "period" in rows.columns else None)
    return rows.group_by(keys, maintain_order=True).agg(value, pl.col("withheld").any()), periods


def _gaps(held: int, twice: int) -> list[str]:
    said = [f"{_count(held, 'value', 'values')} withheld (a gap)" if held else "nothing withheld"]
    return said + ([f"{_count(twice, 'week', 'weeks')} over two periods not added up (people)"] if twice else [])


def _edges(cut: int) -> list[str]:
    return [_count(cut, "part week at an edge", "part weeks at the edges") + " not shown"] if cut else []


def _total(release: Release, measure: str) -> int | None:
    last = {"period": release.period} if "period" in release.dimensions else {}
    return release.value(measure, **last)


def _periods(release: Release, rows: pl.DataFrame | None) -> list[str]:
    if rows is None or "period" not in rows.columns:
        return [release.period]
    found = rows["period"].unique(maintain_order=True).to_list()
    return [p for p in found if p != TOTAL] or [release.period]


def _steps(x: str, points: pl.DataFrame, periods: Sequence[str]) -> tuple[list[str], int]:
    """Every step of the axis, also those nobody was counted in, and how many part weeks were left out."""
    if x not in _CLOCK:
        return _in_order(x, points[x].unique(maintain_order=True).to_list()), 0
    days = sorted({day for p in periods for day in Period.parse(p).days})
    counts: dict[str, int] = {}
    for day in days:
        step = day.strftime(_CLOCK[x])
        counts[step] = counts.get(step, 0) + 1
    steps = [s for s, n in counts.items() if x == "month" or n == 7]
    return steps, len(counts) - len(steps)


def _position(x: str, step: str) -> str:
    if x == "week":
        return date.fromisocalendar(int(step[:4]), int(step[-2:]), 1).isoformat()
    return f"{step}-01" if x == "month" else step


def _step_name(x: str, step: str) -> str:
    if x == "week":
        start = date.fromisocalendar(int(step[:4]), int(step[-2:]), 1)
        return f"week {int(step[-2:])} of {step[:4]} (from {start.day} {start:%B})"
    return period_title(step) if x in ("month", "period") else category(x, step)


def _in_order(dimension: str, names: Iterable[str]) -> list[str]:
    found = set(names)
    if dimension == "weekday":
        return [d for d in _WEEKDAYS if d in found] + sorted(found - set(_WEEKDAYS))
    return sorted(found)


def _universe(dimension: str, rows: pl.DataFrame, measure: str, top: int) -> list[str]:
    fixed = {"weekday": _WEEKDAYS, "hour": _HOURS}.get(dimension)
    if fixed:
        return list(fixed)
    if dimension in _CLOCK:
        return sorted(rows[dimension].unique())
    return _ranked(rows, dimension, measure)[:top]


def _own_order(rows: pl.DataFrame, dimension: str) -> list[str]:
    return sorted(rows[dimension].unique().to_list(), key=lambda name: (requests.rank(dimension, name), name))


def _ranked(rows: pl.DataFrame, dimension: str, measure: str) -> list[str]:
    sums = rows.group_by(dimension).agg(pl.col(measure).sum()).sort([measure, dimension], descending=[True, False])
    return sums[dimension].to_list()


def _course(release: Release, measure: str, values: list[dict[str, Any]], color: str | None) -> tuple[list[str], str]:
    """What a trend says: the total against the period before, or else the highest value."""
    known = [v for v in values if v["value"] is not None]
    name = label(measure)
    if not known:
        return [], f"{name}: every value is withheld"
    top = max(known, key=lambda v: (v["value"], v["step"]))
    low = min(known, key=lambda v: (v["value"], v["step"]))
    said = [
        f"{k} {v['value']:,} in {v['step']}{', ' + v['series'] if color else ''}"
        for k, v in (("highest", top), ("lowest", low))
    ]
    finding = f"{name} peaked at {_figure(release, top['value'])} in {top['step']}"
    if color and "series" in top:
        finding = f"{_short(top['series'])} peaked at {_figure(release, top['value'])} {name.lower()} in {top['step']}"
    elif "period" in release.dimensions and len(periods := _periods(release, release.frame)) > 1:
        before, now = (release.value(measure, period=p) for p in periods[-2:])
        if before and now:
            word = "rose" if now > before else "fell" if now < before else "stood still"
            amount = "" if now == before else f" by {_percent(abs(now - before), before)}"
            finding = f"{name} {word}{amount}: {before:,} to {now:,} in {period_title(periods[-1])}"
            spans = [release.interval(measure, period=p) or (0, 0) for p in periods[-2:]]
            if release.bounds and not _apart(*spans):
                finding = f"{name} changed by no more than the noise: {before:,} to {now:,} in {periods[-1]}"
            said.insert(0, finding)
    return said, finding


# ---- the look -------------------------------------------------------------------------------------------------------


def _inline(values: list[dict[str, Any]]) -> alt.Data:
    return alt.Data(values=values)


def _height(rows: Sequence[Any], step: int) -> int:
    return max(1, len(rows)) * step


def _axis(**options: Any) -> alt.Axis:
    return alt.Axis(domain=False, **options)


def _tip(field: str, title: str, form: str | None = None) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", title=title, format=form) if form else alt.Tooltip(f"{field}:N", title=title)


def _quantity(field: str, measure: str, axis: str = "x", most: int | None = None) -> Any:
    channel = alt.X if axis == "x" else alt.Y
    # With a text behind the mark, the scale ends late enough to leave it room.
    scale = alt.Scale(zero=True) if most is None else alt.Scale(domain=[0, 1.1 * most], nice=False)
    return channel(
        f"{field}:Q",
        title=f"{label(measure)} (number)",
        axis=_axis(format=_NUMBER, tickCount=6, grid=True),
        scale=scale,
    )


def _held(rows: pl.DataFrame, one: str = "category", many: str = "categories") -> str:
    n = int(rows["withheld"].sum())
    return f"{_count(n, one, many)} withheld" if n else _NOTHING_HELD


def _finish(
    chart: Any, release: Release, title: str, notes: Sequence[str], said: Sequence[str], kind: str,
    periods: Sequence[str] = (),
) -> Any:  # fmt: skip
    """The chart with the theme, its title, what it is about, and a description that names the main figures."""
    span = span_title(periods or [release.period])
    about = f"{release.title}, {span}"
    if release.bounds:
        notes = [note for note in notes if note != _NOTHING_HELD]
    control_note = _sentence("; ".join([str(release.policy), *notes]) + ".")
    title = _sentence(title)
    subtitle = [line for text in (about, control_note) for line in textwrap.wrap(text, 112)]
    main = "; ".join(_short(s, 90) for s in said[:6])
    description = f"{kind}. {title}. {about}." + (f" Main figures: {main}." if main else "") + f" {control_note}"
    return chart.properties(
        title=alt.TitleParams(textwrap.wrap(title, 74) or [""], subtitle=subtitle),
        width=WIDTH,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=description,
    ).configure(**_THEME)

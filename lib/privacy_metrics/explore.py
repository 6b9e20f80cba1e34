"""The explorer: a period's published tables under widgets. Every answer is a ``Release``; nothing is counted here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
from IPython.display import display

from . import charts, tables
from .disclosure import Release
from .workbook import Workbook

NONE = "(none)"


@dataclass(frozen=True)
class Kind:
    """A kind of picture: how many dimensions it shows (0: any), how it is drawn of workbook, release, measure and
    dimensions, and whether it suits them."""

    dimensions: int
    draw: Callable[[Workbook, Release, str, tuple[str, ...]], Any]
    suits: Callable[[Workbook, tuple[str, ...]], bool] = lambda book, dimensions: True


def _trend(book: Workbook, release: Release, dimensions: tuple[str, ...]) -> Release:
    return book.trend(release.name).over("period", *dimensions)


def _in_time(book: Workbook, dimensions: tuple[str, ...]) -> bool:
    return dimensions[0] in ("week", "month")


def _has_history(book: Workbook, dimensions: tuple[str, ...]) -> bool:
    return len(book.periods()) > 1 and not _in_time(book, dimensions)


KINDS: Mapping[str, Kind] = {
    "Bars": Kind(1, lambda b, r, m, d: charts.bars(r.over(*d), m)),
    "Course": Kind(1, lambda b, r, m, d: charts.lines(_trend(b, r, d), d[0], m), _in_time),
    "Change": Kind(1, lambda b, r, m, d: charts.change(_trend(b, r, d), m), _has_history),
    "Tile map": Kind(1, lambda b, r, m, d: charts.tiles(r.over(*d), m), lambda b, d: d == ("country",)),
    "Heat map": Kind(2, lambda b, r, m, d: charts.heatmap(r.over(*d), x=d[1], y=d[0], measure=m)),
    "Stacked bars": Kind(2, lambda b, r, m, d: charts.stacked(r.over(*d), *d, measure=m)),
    "Table": Kind(0, lambda b, r, m, d: tables.table(r.over(*d), ranked=True, measure=m)),
}
"""The kinds of picture by name; a new one is one more entry."""


def find(book: Workbook, measure: str, *dimensions: str) -> Release | None:
    """The smallest published table that holds ``measure`` by ``dimensions``; None where there is none."""
    found = [r for r in book.releases.values() if measure in r.measures and set(dimensions) <= set(r.dimensions)]
    return min(found, key=lambda r: (len(r.dimensions), r.frame.height, r.name), default=None)


def measures(book: Workbook) -> list[str]:
    """Every measure of the published tables."""
    return sorted({measure for release in book.releases.values() for measure in release.measures})


def partners(book: Workbook, measure: str, first: str | None = None) -> list[str]:
    """The dimensions to choose from: all that ``measure`` is published by, or those beside ``first`` in one table."""
    found = [r for r in book.releases.values() if measure in r.measures and (first is None or first in r.dimensions)]
    return sorted({d for release in found for d in release.dimensions if d != first}, key=charts.label)


def kinds(book: Workbook, *dimensions: str) -> list[str]:
    """The kinds of picture that suit the dimensions."""
    return [n for n, k in KINDS.items() if k.dimensions in (0, len(dimensions)) and k.suits(book, dimensions)]


def answer(book: Workbook, measure: str, dimensions: tuple[str, ...], kind: str) -> Any:
    """The picture of ``measure`` by ``dimensions``. Raises KeyError where no published table has them together."""
    release = find(book, measure, *dimensions)
    if release is None:
        raise KeyError(f"no published table has {measure} by {' and '.join(dimensions)}")
    return KINDS[kind].draw(book, release, measure, dimensions)


class explore:
    """The explorer of a workbook, for the end of a notebook's cell. Its choices are always of what is published."""

    def __init__(self, book: Workbook) -> None:
        self.books = book.periods()
        style = {"description_width": "90px"}

        def menu(name: str, options: list[tuple[str, str]], value: str) -> Any:
            return widgets.Dropdown(options=options, value=value, description=name, style=style)

        first = measures(book)
        self.period = menu("Period", [(label, label) for label in self.books], book.period.label)
        self.measure = menu("Measure", _named(first), "sessions" if "sessions" in first else first[0])
        one = partners(book, self.measure.value)
        self.one = menu("By", _named(one), "country" if "country" in one else one[0])
        self.two = menu("And by", [(NONE, NONE)], NONE)
        suiting = kinds(book, self.one.value)
        self.kind = menu("Chart", [(kind, kind) for kind in suiting], suiting[0])
        self.output = widgets.Output()
        self._settling = False
        for choice in (self.period, self.measure, self.one, self.two, self.kind):
            choice.observe(self._changed, "value")
        self._changed()

    @property
    def dimensions(self) -> tuple[str, ...]:
        return (self.one.value,) if self.two.value == NONE else (self.one.value, self.two.value)

    def _changed(self, _: Any = None) -> None:
        if self._settling:
            return
        self._settling = True
        try:
            book = self.books[self.period.value]
            _offer(self.measure, _named(measures(book)))
            _offer(self.one, _named(partners(book, self.measure.value)))
            _offer(self.two, [(NONE, NONE), *_named(partners(book, self.measure.value, self.one.value))])
            _offer(self.kind, [(name, name) for name in kinds(book, *self.dimensions)])
        finally:
            self._settling = False
        picture = answer(book, self.measure.value, self.dimensions, self.kind.value)
        self.output.clear_output(wait=True)
        with self.output:
            display(picture)

    def _ipython_display_(self) -> None:
        menus = widgets.HBox([widgets.VBox([self.period, self.measure, self.kind]), widgets.VBox([self.one, self.two])])
        display(widgets.VBox([menus, self.output]))


def _named(names: list[str]) -> list[tuple[str, str]]:
    return [(charts.label(name), name) for name in names]


def _offer(menu: widgets.Dropdown, options: list[tuple[str, str]]) -> None:
    """Offers ``options`` and keeps the choice where it is still one of them."""
    kept = menu.value if menu.value in [value for _, value in options] else options[0][1]
    menu.options = options
    menu.value = kept

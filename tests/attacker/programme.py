"""The attacker's programme: every published figure as an equation over the withheld ones, solved over whole numbers."""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from attacker.read import TOTAL, Cell, Publication, Table, read, told_elsewhere
from attacker.solve import Row, System, intervals

# A withheld or published number: folder, the thing counted, measure, and the categories (a margin names none).
Key = tuple[int, str, str, frozenset[tuple[str, str]]]

# A session is in one category of each dimension but these; a hit is in one category of all.
OF_PAGES = {"area", "product", "action", "from_area", "to_area"}

# Browsers that exist on one operating system only.
SYSTEM_OF = {
    "Mobile Safari": "iOS",
    "Mobile Safari UI/WKWebView": "iOS",
    "Chrome Mobile iOS": "iOS",
    "Firefox iOS": "iOS",
    "Chrome Mobile": "Android",
    "Samsung Internet": "Android",
    "Safari": "Mac OS X",
}
# The kinds of referrer of a session that names no site.
WITHOUT_SITE = {"direct", "internal", "newsletter"}


WHOLE = ("sessions", "hits", "requests", "people")
"""Measures that count all that is in a cell; others count a part of it, which may be none."""


@dataclass(frozen=True)
class Knowledge:
    """What the attacker uses beside the margins; each can be left out."""

    other_tables: bool = True
    other_periods: bool = True
    earlier_versions: bool = True
    other_files: bool = True
    audit: bool = True
    """What the publication says of its own protection."""
    few_in_each: bool = False
    """Takes every withheld cell for a primary one: fewer people than the threshold."""


class Value(NamedTuple):
    """A withheld value and the whole numbers between which it must lie."""

    folder: Path
    table: str
    cell: Cell
    measure: str
    low: int
    high: int


@dataclass
class Attack:
    """`found` are the values known more closely than `required`; `tried` counts the withheld values."""

    found: list[Value]
    tried: int
    values: list[Value] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def recovered(folders: Sequence[Path], required: int | None = None) -> list[Value]:
    """The withheld values of published folders whose interval is narrower than `required` (their threshold)."""
    return attack(folders, required=required).found


def attack(folders: Sequence[Path], knowledge: Knowledge = Knowledge(), required: int | None = None) -> Attack:
    """Tries every withheld value of the folders, given all of them; versions of a period come oldest first."""
    publications = [read(folder) for folder in folders]
    programme = Programme(publications, knowledge)
    places: dict[Key, list[tuple[int, str, Cell, str]]] = defaultdict(list)
    for number, publication in enumerate(publications):
        for table in publication.tables.values():
            for cell, measure in table.withheld():
                places[programme.key(number, table, measure, cell)].append((number, table.name, cell, measure))
    wanted = {key: required or publications[key[0]].threshold for key in places}
    known = intervals(programme.system, wanted)
    values = [
        Value(publications[number].folder, name, cell, measure, *known[key])
        for key, cells in places.items()
        for number, name, cell, measure in cells
    ]
    values.sort()
    narrow = [v for v in values if v.high - v.low < (required or read_threshold(publications, v))]
    return Attack(narrow, len(values), values, programme.dropped)


def read_threshold(publications: list[Publication], value: Value) -> int:
    return next(p.threshold for p in publications if p.folder == value.folder)


class Programme:
    """The equations of a list of publications."""

    def __init__(self, publications: list[Publication], knowledge: Knowledge) -> None:
        self.publications = publications
        self.knowledge = knowledge
        self.system = System()
        self.dropped: list[str] = []
        self.things = [self._things(p) for p in publications]
        for number, publication in enumerate(publications):
            for table in publication.tables.values():
                self._published(number, table)
        if knowledge.other_files:
            for (number, name, cell, measure), value in told_elsewhere(publications).items():
                self.system.fix(self.key(number, publications[number].tables[name], measure, cell), value)
        for number, publication in enumerate(publications):
            for table in publication.tables.values():
                self._margins(number, table)
            if knowledge.audit:
                self._use(f"{publication.period}: what is said of the most exposed values", self._exposed(number))
                self._use(f"{publication.period}: the share that is shown", self._shares(number))
            if knowledge.other_tables:
                self._use(f"{publication.period}: versions of browsers", self._versions(number))
                self._use(f"{publication.period}: sites without a name", self._sites(number))
                self._use(f"{publication.period}: systems of browsers", self._systems(number))
                self._use(f"{publication.period}: visits to areas", self._visits(number))
                self._use(f"{publication.period}: nobody steps to the same area", self._same_area(number))
                self._use(f"{publication.period}: weeks in months", self._weeks(number))
        if knowledge.earlier_versions:
            self._earlier()
        if knowledge.other_periods:
            self._periods()
        if knowledge.few_in_each:
            self._few()

    def key(self, number: int, table: Table, measure: str, cell: Cell) -> Key:
        categories = frozenset((d, c) for d, c in zip(table.dimensions, cell, strict=True) if c != TOTAL)
        return (number, self.things[number][table.name, measure], measure, categories)

    def _things(self, publication: Publication) -> dict[tuple[str, str], str]:
        """Tables count the same thing where their measure and grand total are the same and no shared cell differs."""
        things: dict[tuple[str, str], str] = {}
        groups: dict[tuple[str, int], list[dict[frozenset[tuple[str, str]], int]]] = defaultdict(list)
        for table in publication.tables.values():
            for measure in table.measures:
                things[table.name, measure] = table.name
                total = table.cells.get((TOTAL,) * len(table.dimensions), {}).get(measure)
                if total is None or not self.knowledge.other_tables:
                    continue
                own = {
                    frozenset((d, c) for d, c in zip(table.dimensions, cell, strict=True) if c != TOTAL): row[measure]
                    for cell, row in table.cells.items()
                    if row[measure] is not None
                }
                for place, group in enumerate(groups[measure, total]):
                    if all(group.get(cell, value) == value for cell, value in own.items()):
                        group |= own
                        things[table.name, measure] = f"{measure} {total} {place}"
                        break
                else:
                    groups[measure, total].append(dict(own))
                    things[table.name, measure] = f"{measure} {total} {len(groups[measure, total]) - 1}"
        return things

    def _published(self, number: int, table: Table) -> None:
        """A published value is a constant; a withheld one is a whole number, not 0 where only what occurs is listed."""
        for measure in table.measures:
            # A dimension of which some category is published with 0 has a closed list: its categories may be empty.
            margins = {cell: dimension for cell in table.cells if (dimension := only(cell)) is not None}
            closed = {dimension for cell, dimension in margins.items() if table.cells[cell][measure] == 0}
            for cell, row in table.cells.items():
                key = self.key(number, table, measure, cell)
                value = row[measure]
                if value is None:
                    occurs = measure in WHOLE and cell in margins and margins[cell] not in closed
                    self.system.bound(key, 1 if occurs else 0, None)
                else:
                    self.system.fix(key, value)

    def _few(self) -> None:
        """Every withheld cell that may be about fewer people than the threshold is taken to be."""
        self.system.tighten()
        for number, publication in enumerate(self.publications):
            for table in publication.tables.values():
                for cell, measure in table.withheld():
                    key = self.key(number, table, measure, cell)
                    if measure == "people" and (self.system.bounds[key][0] or 0) < publication.threshold:
                        self.system.bound(key, None, publication.threshold - 1)

    def _margins(self, number: int, table: Table) -> None:
        for measure in table.measures:
            rows = []
            for position, dimension in enumerate(table.dimensions):
                parts: dict[Cell, list[Cell]] = defaultdict(list)
                for cell in table.cells:
                    margin = (*cell[:position], TOTAL, *cell[position + 1 :])
                    if cell[position] != TOTAL and margin in table.cells:
                        parts[margin].append(cell)
                for margin, cells in parts.items():
                    total = self.key(number, table, measure, margin)
                    keys = [self.key(number, table, measure, cell) for cell in cells]
                    if measure == "people" or (measure == "sessions" and dimension in OF_PAGES):
                        rows += overlapping(total, keys)
                    else:
                        rows.append(Row.of([(total, -1), *((key, 1) for key in keys)], 0, 0))
            self._use(f"{self.publications[number].period}: {table.name}: {measure} add up", rows)
        order = [m for m in ("hits", "sessions", "people") if m in table.measures]
        for cell in table.cells:
            keys = [self.key(number, table, m, cell) for m in order]
            for more, fewer in pairwise(keys):
                self.system.add(Row.of([(more, 1), (fewer, -1)], 0, None))
            if len(keys) > 1:
                # Where nobody is, nothing was done.
                largest = table.cells.get((TOTAL,) * len(cell), {}).get(order[0])
                if largest is not None:
                    self.system.add(Row.of([(keys[-1], largest), (keys[0], -1)], 0, None))

    def _use(self, rule: str, rows: Iterable[Row]) -> None:
        """A rule that some published figure breaks is not one: it is left out, and its name kept."""
        rows = list(rows)
        if all(self.system.agrees(row) for row in rows):
            for row in rows:
                self.system.add(row)
        else:
            self.dropped.append(rule)

    def _guess(self, rule: str, rows: Iterable[Row]) -> None:
        """A rule that need not be true is also left out where published figures break it together."""
        if not self.system.try_rows(list(rows)):
            self.dropped.append(rule)

    def _exposed(self, number: int) -> Iterable[Row]:
        """A value said to be among the most exposed lies between its ends, and what is required of it fits the ratio.

        What is required is the threshold or, of a value that is unsafe by itself, a tenth of it if that is more.
        """
        publication = self.publications[number]
        told = publication.tables.get("audit_exposed")
        keys: dict[str, set[Key]] = defaultdict(set)
        for table in publication.tables.values():
            for cell, measure in table.withheld():
                named = sorted((d, c) for d, c in zip(table.dimensions, cell, strict=True) if c != TOTAL)
                label = ", ".join(f"{d} {c}" for d, c in named) or TOTAL
                keys[f"{label}: {measure}"].add(self.key(number, table, measure, cell))
        for (label,), said in told.cells.items() if told else ():
            found = keys.get(label, set())
            if len(found) != 1:
                continue  # two things are called so, and which one is meant is not said
            (key,) = found
            width = said["high"] - said["low"]  # type: ignore[operator]
            yield Row.of([(key, 1)], said["low"], said["high"])
            if (times := said.get("times_required")) is not None:
                more = next((n for n in (1, 2, 5, 10, 100) if n > times), None)
                least = 10 * width // more + 1 if more and width >= more * publication.threshold else None
                yield Row.of([(key, 1)], least, 10 * width // times if times and least else None)
            if (required := said.get("required")) is not None and required > publication.threshold:
                yield Row.of([(key, 1)], 10 * (required - 1) + 1, 10 * required)

    def _shares(self, number: int) -> Iterable[Row]:
        """What is shown of a table, in percent rounded down, tells its total where that is withheld."""
        tables = self.publications[number].tables
        told = tables.get("audit_tables")
        for (name,), said in told.cells.items() if told else ():
            percent, shown = said.get("percent_shown"), said["shown"]
            if percent and shown is not None and name in tables:
                table = tables[name]
                total = self.key(number, table, table.measures[0], (TOTAL,) * len(table.dimensions))
                yield Row.of([(total, 1)], 100 * shown // (percent + 1) + 1, 100 * shown // percent)

    def _tables(self, number: int, *dimensions: str) -> list[Table]:
        return [t for t in self.publications[number].tables.values() if t.dimensions == dimensions]

    def _pairs(self, number: int, first: str, second: str) -> Iterable[tuple[Table, Table, str]]:
        for one in self._tables(number, first):
            for other in self._tables(number, second):
                for measure in one.measures:
                    if measure in other.measures:
                        yield one, other, measure

    def _belong(self, number: int, fine: Table, coarse: Table, measure: str, parts: dict[str, list[str]]) -> list[Row]:
        """Each category of the coarse table is all its parts of the fine one together."""
        rows = []
        for whole, categories in parts.items():
            total = self.key(number, coarse, measure, (whole,))
            keys = [self.key(number, fine, measure, (category,)) for category in categories]
            rows += (
                overlapping(total, keys)
                if measure == "people"
                else [Row.of([(total, -1), *((k, 1) for k in keys)], 0, 0)]
            )
        return rows

    def _versions(self, number: int) -> Iterable[Row]:
        """`Chrome 140` is one of `Chrome`: the longest browser's name that it begins with."""
        names = {d for t in self.publications[number].tables.values() for d in t.dimensions if d.endswith("_version")}
        for name in names:
            for fine, coarse, measure in self._pairs(number, name, name.removesuffix("_version")):
                parts: dict[str, list[str]] = defaultdict(list)
                for category in fine.categories(0):
                    fitting = [b for b in coarse.categories(0) if category == b or category.startswith(f"{b} ")]
                    if fitting:
                        parts[max(fitting, key=len)].append(category)
                yield from self._belong(number, fine, coarse, measure, parts)

    def _sites(self, number: int) -> Iterable[Row]:
        for sites, kinds, measure in self._pairs(number, "referrer_site", "referrer_kind"):
            if measure != "people" and ("none",) in sites.cells:
                none = self.key(number, sites, measure, ("none",))
                keys = [self.key(number, kinds, measure, (k,)) for k in kinds.categories(0) if k in WITHOUT_SITE]
                yield Row.of([(none, -1), *((key, 1) for key in keys)], 0, 0)

    def _systems(self, number: int) -> Iterable[Row]:
        for browsers in self._tables(number, "browser"):
            for table in self.publications[number].tables.values():
                if "os" not in table.dimensions:
                    continue
                for measure in set(browsers.measures) & set(table.measures):
                    for system in set(SYSTEM_OF.values()):
                        cell = tuple(system if d == "os" else TOTAL for d in table.dimensions)
                        own = [(b,) for b in browsers.categories(0) if SYSTEM_OF.get(b) == system]
                        if own and cell in table.cells:
                            whole = self.key(number, table, measure, cell)
                            keys = [self.key(number, browsers, measure, b) for b in own]
                            if measure == "people":
                                yield from (Row.of([(whole, 1), (key, -1)], 0, None) for key in keys)
                            else:
                                yield Row.of([(whole, 1), *((key, -1) for key in keys)], 0, None)

    def _visits(self, number: int) -> Iterable[Row]:
        """A visit to an area begins with an entry or a move to it, and ends with a move from it or an exit."""
        for entries in self._tables(number, "entry_area"):
            for exits in self._tables(number, "exit_area"):
                for steps in self._tables(number, "from_area", "to_area"):
                    areas = {*entries.categories(0), *exits.categories(0), *steps.categories(0), *steps.categories(1)}
                    for area in sorted(areas):
                        begun = (
                            [(self.key(number, entries, "sessions", (area,)), 1)] if (area,) in entries.cells else []
                        )
                        ended = [(self.key(number, exits, "sessions", (area,)), 1)] if (area,) in exits.cells else []
                        if (TOTAL, area) in steps.cells:
                            begun.append((self.key(number, steps, "hits", (TOTAL, area)), 1))
                        if (area, TOTAL) in steps.cells:
                            ended.append((self.key(number, steps, "hits", (area, TOTAL)), 1))
                        yield Row.of([*begun, *((key, -1) for key, _ in ended)], 0, 0)
                        for pages in self._tables(number, "area"):
                            if (area,) in pages.cells and "hits" in pages.measures:
                                hits = self.key(number, pages, "hits", (area,))
                                yield Row.of([(hits, 1), *((key, -1) for key, _ in begun)], 0, None)
                                yield Row.of([(hits, 1), *((key, -1) for key, _ in ended)], 0, None)
        for name in ("entry_area", "exit_area"):
            for some, pages, measure in self._pairs(number, name, "area"):
                if measure == "people":
                    for cell in some.cells:
                        if cell in pages.cells:
                            more, fewer = (self.key(number, t, measure, cell) for t in (pages, some))
                            yield Row.of([(more, 1), (fewer, -1)], 0, None)

    def _same_area(self, number: int) -> Iterable[Row]:
        for steps in self._tables(number, "from_area", "to_area"):
            same = [cell for cell in steps.cells if cell[0] == cell[1] != TOTAL]
            if sum(steps.cells[cell]["hits"] == 0 for cell in same) > 1:
                yield from (Row.of([(self.key(number, steps, "hits", cell), 1)], 0, 0) for cell in same)

    def _weeks(self, number: int) -> Iterable[Row]:
        """A week and a month share the days that they share: each is the sum of such pieces."""
        start, end = days(self.publications[number].period)
        for weeks, months, measure in self._pairs(number, "week", "month"):
            pieces: dict[tuple[str, str], Key] = {}
            for offset in range((end - start).days + 1):
                day = start + timedelta(offset)
                year, week, _ = day.isocalendar()
                pair = (f"{year}-W{week:02}", f"{day:%Y-%m}")
                pieces[pair] = (
                    number,
                    f"{weeks.name} {months.name}",
                    measure,
                    frozenset({("week", pair[0]), ("month", pair[1])}),
                )
            for key in pieces.values():
                self.system.bound(key, 0, None)
            for table, position in ((weeks, 0), (months, 1)):
                for (category,) in table.cells:
                    parts = [key for pair, key in pieces.items() if pair[position] == category]
                    if parts:
                        whole = self.key(number, table, measure, (category,))
                        yield from (
                            overlapping(whole, parts)
                            if measure == "people"
                            else [Row.of([(whole, -1), *((key, 1) for key in parts)], 0, 0)]
                        )

    def _earlier(self) -> None:
        """Late data add to what was counted before: no figure of a later version is smaller."""
        for later, publication in enumerate(self.publications):
            for earlier in range(later):
                before = self.publications[earlier]
                if before.period != publication.period:
                    continue
                for name, table in publication.tables.items():
                    old = before.tables.get(name)
                    if old is None:
                        continue
                    for measure in table.measures:
                        rows = [
                            Row.of(
                                [
                                    (self.key(later, table, measure, cell), 1),
                                    (self.key(earlier, old, measure, cell), -1),
                                ],
                                0,
                                None,
                            )
                            for cell in table.cells
                            if cell in old.cells and measure in old.measures
                        ]
                        self._guess(f"{publication.period}: {name}: late {measure} add to what was there", rows)

    def _periods(self) -> None:
        """A quarter is its months, a year its quarters or months; a part of them is at most the whole."""
        latest = {publication.period: number for number, publication in enumerate(self.publications)}
        spans = {period: days(period) for period in latest}
        for period, (start, end) in spans.items():
            inside = {p: s for p, s in spans.items() if p != period and start <= s[0] and s[1] <= end}
            for kind in {"month" if "-" in p else "quarter" for p in inside}:
                parts = sorted(p for p in inside if ("-" in p) == (kind == "month"))
                whole = sum((inside[p][1] - inside[p][0]).days + 1 for p in parts) == (end - start).days + 1
                self._together(latest[period], [latest[p] for p in parts], whole)

    def _together(self, whole: int, parts: list[int], complete: bool) -> None:
        period = self.publications[whole].period
        for name, table in self.publications[whole].tables.items():
            own = [(number, self.publications[number].tables.get(name)) for number in parts]
            present = [(number, part) for number, part in own if part is not None]
            complete_here = complete and len(present) == len(own)
            surplus = {
                m: self._over(whole, table, m, present)
                for m in table.measures
                if len(present) == len(own) and all(m in part.measures for _, part in present)
            }
            # What no grand total leaves room for is in no cell.
            covered = complete_here or any(more is not None and more >= 0 for more in surplus.values())
            midnight = self._sessions_over_midnight(whole, parts) if "requests" not in table.measures else 0
            for measure in table.measures:
                if not all(measure in part.measures for _, part in present):
                    continue
                rows, inside = [], []
                over = surplus.get(measure)
                for cell in table.cells:
                    key = self.key(whole, table, measure, cell)
                    keys = [self.key(n, part, measure, cell) for n, part in present if cell in part.cells]
                    if measure == "people":
                        # A part begins a session at midnight: it may be in another category than the whole one.
                        named = {d for d, c in zip(table.dimensions, cell, strict=True) if c != TOTAL}
                        more = 0 if named <= OF_PAGES else midnight
                        *each, together = overlapping(key, keys)
                        rows += [row._replace(low=-more) for row in each] if more is not None else []
                        rows += [together] if covered else []
                    elif over is not None:
                        rows.append(Row.of([(key, -1), *((k, 1) for k in keys)], min(0, over), max(0, over)))
                    elif complete_here and not {"from_area", "to_area"} & set(table.dimensions):
                        rows.append(Row.of([(key, -1), *((k, 1) for k in keys)], 0, 0))
                    else:  # a step over midnight is in no part
                        rows.append(Row.of([(key, -1), *((k, 1) for k in keys)], None, 0))
                    for number, part in present:
                        month = self.publications[number].period
                        if (
                            "month" in table.dimensions
                            and dict(zip(table.dimensions, cell, strict=True))["month"] == month
                        ):
                            same = tuple(
                                TOTAL if d == "month" else c for d, c in zip(table.dimensions, cell, strict=True)
                            )
                            if same in part.cells:
                                inside.append(Row.of([(key, 1), (self.key(number, part, measure, same), -1)], 0, 0))
                if over is not None:
                    inside = [row._replace(low=min(0, -over), high=max(0, -over)) for row in inside]
                self._guess(
                    f"{period}: {name}: {measure} of its parts", [r for r in rows if "month" not in table.dimensions]
                )
                self._guess(f"{period}: {name}: {measure} of its months", inside)

    def _sessions_over_midnight(self, whole: int, parts: list[int]) -> int | None:
        """How many sessions the parts have more than the whole; None where no grand total tells."""
        for name, table in self.publications[whole].tables.items():
            own = [(n, part) for n in parts if (part := self.publications[n].tables.get(name)) is not None]
            known = "sessions" in table.measures and len(own) == len(parts)
            if known and (over := self._over(whole, table, "sessions", own)) is not None:
                return max(0, over)
        return None

    def _over(self, whole: int, table: Table, measure: str, parts: list[tuple[int, Table]]) -> int | None:
        """By how much the parts' grand totals exceed the whole's: sessions over midnight are one of each period.

        Where it is less than nothing, that much is in no part.
        """
        if measure == "people":
            return None
        total = self.key(whole, table, measure, (TOTAL,) * len(table.dimensions))
        own = [(self.key(n, part, measure, (TOTAL,) * len(part.dimensions)), 1) for n, part in parts]
        return self.system.excess(Row.of([(total, -1), *own], 0, 0))


def only(cell: Cell) -> int | None:
    """The position of a cell's one category, where all others are margins."""
    places = [i for i, category in enumerate(cell) if category != TOTAL]
    return places[0] if len(places) == 1 else None


def overlapping(total: Key, parts: Sequence[Key]) -> list[Row]:
    """Counts of people: each part is at most the total, and the total at most the sum of the parts (the last row)."""
    rows = [Row.of([(total, 1), (part, -1)], 0, None) for part in parts]
    return [*rows, Row.of([(total, -1), *((part, 1) for part in parts)], 0, None)]


def days(period: str) -> tuple[date, date]:
    """The first and last day of a year, a quarter or a month."""
    year, quarter, month = re.fullmatch(r"(\d{4})(?:Q(\d)|-(\d\d))?", period).groups()  # type: ignore[union-attr]
    first = int(month) if month else 3 * int(quarter) - 2 if quarter else 1
    last = int(month) if month else 3 * int(quarter) if quarter else 12
    return date(int(year), first, 1), date(int(year), last, calendar.monthrange(int(year), last)[1])

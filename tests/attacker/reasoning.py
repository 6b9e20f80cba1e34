"""What an attacker learns without a solver: from two versions, from full groups, and as one of the people counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from attacker.programme import Knowledge, Programme, only
from attacker.read import TOTAL, Cell, read


class Change(NamedTuple):
    """A published cell that two versions of a period tell differently, by fewer people than the threshold."""

    table: str
    cell: Cell
    measure: str
    before: int
    after: int


def changes(earlier: Path, later: Path) -> list[Change]:
    """The cells whose change between two versions of a period is about fewer people than the threshold.

    Where a table counts no people, the change of the other measures counts: people are at most as many.
    """
    old, new = read(earlier), read(later)
    found = []
    for name, table in new.tables.items():
        for cell, row in table.cells.items():
            before = old.tables[name].cells.get(cell) if name in old.tables else None
            if before is None:
                continue
            measures = ["people"] if "people" in row else list(row)
            for measure in measures:
                was, now = before.get(measure), row[measure]
                if was is not None and now is not None and 0 < abs(now - was) < new.threshold:
                    found.append(Change(name, cell, measure, was, now))
    return found


def complete_groups(folder: Path) -> list[tuple[str, Cell, str]]:
    """The margins of tables of two dimensions all of which is in one category: (table, margin, that category).

    Whoever is known to be in the margin is known to be in the category.
    """
    found = []
    for name, table in read(folder).tables.items():
        if len(table.dimensions) != 2:
            continue
        measure = "people" if "people" in table.measures else table.measures[0]
        for margin, row in table.cells.items():
            place = only(margin)
            if place is None or not row[measure]:
                continue
            parts = {
                cell[1 - place]: values[measure]
                for cell, values in table.cells.items()
                if cell[place] == margin[place] and cell[1 - place] != TOTAL
            }
            filled = [category for category, value in parts.items() if value != 0]
            if len(parts) > 1 and len(filled) == 1 and parts[filled[0]] == row[measure]:
                found.append((name, margin, filled[0]))
    return found


def told_by_a_lone_contributor(folders: Sequence[Path]) -> list[list[tuple[str, Cell, str]]]:
    """The groups of withheld values of which each gives away all others to whoever knows it: (table, cell, measure).

    If a withheld cell is one person, that person knows its value.
    """
    publications = [read(folder) for folder in folders]
    programme = Programme(publications, Knowledge())
    places = {
        programme.key(number, table, measure, cell): (table.name, cell, measure)
        for number, publication in enumerate(publications)
        for table in publication.tables.values()
        for cell, measure in table.withheld()
    }
    programme.system.tighten()
    groups = [sorted({places[k] for k in group if k in places}) for group in programme.system.same_unknown()]
    return sorted(group for group in groups if len(group) > 1)

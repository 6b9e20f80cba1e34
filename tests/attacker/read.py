"""What a reader sees in a published folder: its tables, and every figure that stands elsewhere in its files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl

TOTAL = "Total"
Cell = tuple[str, ...]
Record = dict[str, Any]


@dataclass
class Table:
    """One published table: for each cell and measure its value, or None where it is withheld or there is none."""

    name: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    cells: dict[Cell, dict[str, int | None]]
    held: set[Cell]
    """The cells that are withheld, as the table says."""

    def withheld(self) -> list[tuple[Cell, str]]:
        return [
            (cell, m) for cell, row in self.cells.items() for m, v in row.items() if v is None and cell in self.held
        ]

    def categories(self, position: int) -> list[str]:
        return sorted({cell[position] for cell in self.cells} - {TOTAL})


@dataclass
class Publication:
    """A published folder: its tables, and the lists of records that stand in its other files."""

    folder: Path
    period: str
    threshold: int
    tables: dict[str, Table]
    records: list[list[Record]] = field(default_factory=list)


def read(folder: Path) -> Publication:
    """A folder's tables from its data package, and the records in its other files."""
    described = next(path for path in (folder / "datapackage.json", folder / "data/datapackage.json") if path.is_file())
    resources = [r for r in json.loads(described.read_text("utf-8"))["resources"] if r["path"].endswith(".csv")]
    tables = {}
    for resource in resources:
        fields = resource["schema"]["fields"]
        dimensions = tuple(resource["schema"]["primaryKey"])
        measures = tuple(f["name"] for f in fields if f["type"] == "integer" and f["name"] not in dimensions)
        with (described.parent / resource["path"]).open(encoding="utf-8", newline="") as lines:
            rows = {tuple(row[d] for d in dimensions): row for row in csv.DictReader(lines)}
        cells = {cell: {m: int(row[m]) if row[m] else None for m in measures} for cell, row in rows.items()}
        held = {cell for cell, row in rows.items() if row["withheld"] == "true"}
        name = Path(resource["path"]).stem
        tables[name] = Table(name, dimensions, measures, cells, held)
    said = " ".join(r["description"] for r in resources)
    period = re.match(r"(\d{4}(?:Q\d|-\d\d)?): ", said)
    threshold = re.search(r"cells of at least (\d+) people", said)
    if period is None or threshold is None:
        raise ValueError(f"{described}: its descriptions name no period, or no threshold")
    return Publication(folder, period[1], int(threshold[1]), tables, list(_records(folder)))


def told_elsewhere(publications: list[Publication]) -> dict[tuple[int, str, Cell, str], int]:
    """The withheld values in other files: of the same folder, or of one that shows this period as history."""
    told = {}
    for number, publication in enumerate(publications):
        for other in publications:
            for records in other.records:
                if other.period == publication.period:
                    lists = [records] if other is publication else []
                else:
                    keys = sorted({key for record in records for key in record})
                    lists = [[r for r in records if r.get(key) == publication.period] for key in keys]
                for part in filter(None, lists):
                    pairs = [pair for table in publication.tables.values() for pair in _pairs(part, table)]
                    # A list all of which one table publishes is that table's, and says nothing of one that looks alike.
                    if any(all(table.cells[cell][m] is not None for cell in shown) for table, m, shown in pairs):
                        continue
                    for table, measure, shown in pairs:
                        for cell, value in shown.items():
                            if table.cells[cell][measure] is None:
                                told[number, table.name, cell, measure] = value
    return told


def _pairs(records: list[Record], table: Table) -> Iterator[tuple[Table, str, dict[Cell, int]]]:
    """The measures of a table that a list of records may show, with the value of each cell in it.

    Each dimension is one of the list's fields, and a numeric field agrees with the measure in every published cell, of
    which there are at least two different ones.
    """
    texts = [key for key in records[0] if all(isinstance(r.get(key), str) for r in records)]
    numbers = [key for key in records[0] if any(_whole(r.get(key)) is not None for r in records)]
    places: list[str] = []
    for position, dimension in enumerate(table.dimensions):
        categories = {*table.categories(position), TOTAL}
        fitting = [k for k in texts if k not in places and sum(_category(r[k]) in categories for r in records) > 1]
        if not fitting:
            return
        places.append(dimension if dimension in fitting else fitting[0])
    for number in numbers:
        rows = [(tuple(_category(r[p]) for p in places), _whole(r.get(number))) for r in records]
        shown = {cell: value for cell, value in rows if cell in table.cells and value is not None}
        for measure in table.measures:
            seen = [(table.cells[cell][measure], value) for cell, value in shown.items()]
            published = {value for own, value in seen if own is not None}
            if len(published) > 1 and all(own in (None, value) for own, value in seen):
                yield table, measure, shown


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}(?:,\d{3})*|\d+", value.strip()):
        return int(value.replace(",", ""))
    return None


def _category(text: str) -> str:
    """A chart writes a week as its Monday."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        year, week, _ = date.fromisoformat(text).isocalendar()
        return f"{year}-W{week:02}"
    return text


def _records(folder: Path) -> Iterator[list[Record]]:
    """Every list of records in a folder: Parquet files, charts' data and tables in pages and notebooks."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield from _lists(pl.read_parquet(path).cast({pl.Categorical: pl.String, pl.Enum: pl.String}).to_dicts())
        elif path.suffix == ".ipynb":
            notebook = json.loads(path.read_text("utf-8"))
            yield from _lists(notebook)
            for text in _texts(notebook):
                yield from _page(text)
        elif path.suffix == ".html":
            yield from _page(path.read_text("utf-8"))


def _page(text: str) -> Iterator[list[Record]]:
    for script in re.findall(r"<script type=\"application/json\"[^>]*>(.*?)</script>", text, re.DOTALL):
        yield from _lists(json.loads(script))
    if "<table" in text:
        page = _Tables()
        page.feed(re.sub(r"(?s)<(script|style)\b.*?</\1>", "", text))
        for rows in page.tables:
            if rows:
                yield [{str(i): value for i, value in enumerate(row)} for row in rows]


def _lists(value: Any) -> Iterator[list[Record]]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _lists(part)
    elif isinstance(value, list):
        if value and all(isinstance(part, dict) for part in value):
            yield value
        for part in value:
            yield from _lists(part)


def _texts(notebook: Record) -> Iterator[str]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            for mime, content in output.get("data", {}).items():
                if mime == "text/html":
                    yield content if isinstance(content, str) else "".join(content)


class _Tables(HTMLParser):
    """The tables of a page, as rows of the text in their cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.tables[-1][-1][-1] += data.strip()

"""Reports: notebooks executed by papermill, one self-contained HTML file each, and the run's folder.

A report makes no network request and runs no script but its own two, which its Content-Security-Policy names by hash.
Everything here is a function of its arguments: the same notebooks, releases and parameters give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bleach
import mistune
import nbformat
import papermill
import polars as pl
import vl_convert
import xlsxwriter
import zmq
from bleach.css_sanitizer import CSSSanitizer
from bleach.html5lib_shim import Filter  # pyright: ignore[reportAttributeAccessIssue]
from ipykernel.kernelspec import KERNEL_NAME, RESOURCES, get_kernel_dict
from jinja2 import Environment, PackageLoader, StrictUndefined
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from markupsafe import Markup
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from . import assessment, charts, folders, promises, tables, workbook
from .disclosure import Release, leaks
from .params import Params, Period, ReportSpec, WorkbookError

TIMEOUT = 600
"""Seconds that one cell may take."""

# ---- notebooks ------------------------------------------------------------------------------------------------------


class NotebookFailed(WorkbookError):
    """A notebook that did not run to its end; ``kept`` is the executed notebook. The message quotes no values."""

    def __init__(self, notebook: str, cell: str, kind: str, kept: Path) -> None:
        super().__init__(notebook, cell, kind, kept)
        self.notebook, self.cell, self.kind, self.kept = notebook, cell, kind, kept

    def __str__(self) -> str:
        return f"{self.notebook}: {self.cell} failed with {self.kind}; the executed notebook is kept in {self.kept}"


class _ThisPython(KernelSpecManager):
    """Whatever kernels are installed on the machine, a notebook runs in the environment that runs this."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class _Kernels(AsyncKernelManager):
    def __init__(self, **options: Any) -> None:
        # Encrypted where ZeroMQ can: what a cell prints is not for others on the machine (and ipykernel warns if not).
        secure = "auto" if zmq.has("curve") else "disabled"
        super().__init__(**(options | {"kernel_spec_manager": _ThisPython(), "transport_encryption": secure}))


@dataclass(frozen=True)
class Job:
    """A notebook to run: from where, to where, with which parameters, in which folder."""

    notebook: Path
    out: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cwd: Path = Path()


def run_notebook(notebook: Path, out: Path, parameters: Mapping[str, Any], cwd: Path, timeout: int = TIMEOUT) -> Path:
    """Executes ``notebook`` in ``cwd`` and writes it to ``out``, without times and paths of this machine.

    Only parameters of the notebook's ``parameters`` cell are taken. Raises WorkbookError for an unknown one (before
    anything runs), NotebookFailed when a cell fails, takes longer than ``timeout`` seconds, or the kernel dies.
    """
    notebook, out, cwd = notebook.resolve(), out.resolve(), cwd.resolve()
    if not notebook.is_file():
        raise WorkbookError(f"{notebook}: no such notebook")
    try:
        known = papermill.inspect_notebook(str(notebook))
    except (ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError) as error:
        raise WorkbookError(f"{notebook}: not readable as a notebook ({type(error).__name__})") from None
    # papermill escapes values but not names: a crafted name would be run as code.
    if unknown := sorted(set(parameters) - set(known)):
        raise WorkbookError(f"{notebook.name}: no parameter {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    out.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(out),
            dict(parameters),
            kernel_name=KERNEL_NAME,
            language="python",
            progress_bar=sys.stderr.isatty(),
            execution_timeout=timeout,
            kernel_manager_class=_Kernels,
            # The kernel's folder, and not this process's: so notebooks can run side by side in threads.
            resources={"metadata": {"path": str(cwd)}},
            record_timing=False,
            coalesce_streams=True,
            # A polite shutdown interrupts the kernel first, which then complains on our terminal.
            shutdown_kernel="immediate",
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
        timed_out = isinstance(error, CellTimeoutError)
        kind = error.ename if isinstance(error, PapermillExecutionError) else type(error).__name__
        kind = (
            f"no answer within {timeout} seconds"
            if timed_out
            else "a dead kernel"
            if isinstance(error, DeadKernelError)
            else kind
        )
        raise NotebookFailed(notebook.name, _failed_cell(out), str(kind), out) from None
    finally:
        if out.is_file():
            _settle(out)
    return out


def run_notebooks(
    jobs: Iterable[Job], workers: int | None = None, done: Callable[[Job], None] = lambda job: None
) -> list[Path]:
    """Runs ``jobs`` side by side, one a core unless given, and calls ``done`` after each; the outputs in order.

    Raises the first failure in the order of the jobs; those already started end first.
    """
    todo = list(jobs)

    def run(job: Job) -> Path:
        made = run_notebook(job.notebook, job.out, job.parameters, job.cwd)
        done(job)
        return made

    with ThreadPoolExecutor(max_workers=max(1, min(len(todo), workers or os.cpu_count() or 1))) as pool:
        futures = [pool.submit(run, job) for job in todo]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_ADDED = {"injected-parameters", "papermill-error-cell-tag"}


def _failed_cell(executed: Path) -> str:
    """Which cell of the source failed, by its number in the source, where papermill has added cells."""
    number, last = 0, "a cell"
    for cell in nbformat.read(executed, as_version=4).cells:
        added = _ADDED & set(cell.metadata.get("tags", []))
        number += not added
        state = cell.metadata.get("papermill", {})
        if state.get("start_time"):
            last = "the cell with the given parameters" if added else f"cell {number}"
        if state.get("status") == "failed":
            break
    # Of a cell that is stopped or whose kernel dies, papermill notes only that it was the last one to start.
    return last


def _settle(path: Path) -> None:
    """Takes out of an executed notebook what differs from run to run or tells of the machine."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells):
        for volatile in ("papermill", "execution"):
            cell.metadata.pop(volatile, None)
        if _ADDED & set(cell.metadata.get("tags", [])):
            cell["id"] = f"added-{number}"
    nbformat.write(notebook, path)


# ---- HTML -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cover:
    """What stands on a report's first page; all of it is shown as text."""

    organisation: str
    title: str
    period: str
    scope: str = ""
    audience: str = ""
    verdict: str = ""
    source: str = ""
    """From what the report was made, without a wall clock unless the caller gives one."""
    figures: Sequence[tables.Figure] = ()
    changes: tuple[str, Sequence[str]] = ("", ())
    """What changed, below a heading that says since when."""


@dataclass(frozen=True)
class Section:
    """A part of the appendix: text, then a table; ``rows`` hold values of any kind, shown as text."""

    title: str
    text: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()


def withheld(releases: Iterable[Release]) -> Section:
    """What was withheld of each release, under which policy, as a section for the appendix."""
    rows = [(r.title, r.name, r.frame.height, r.withheld, str(r.policy)) for r in releases]
    return Section(
        "What was withheld",
        "A withheld cell would be about too few people, or would give such a cell away by subtraction.",
        ("Table", "Data file", "Cells", "Withheld", "Policy"),
        rows,
    )


def to_html(notebooks: Sequence[Path], cover: Cover, appendix: Sequence[Section] = (), lang: str = "en") -> str:
    """One self-contained HTML file from executed notebooks: their prose, pictures and tables, no code.

    A notebook's ``# Title`` starts a chapter. Raises WorkbookError for a notebook that holds an error.
    """
    page = _Page()
    body = Markup("\n").join(page.notebook(path) for path in notebooks)
    sections = [(page.heading(2, "Appendix"), None)] if appendix else []
    sections += [(page.heading(3, section.title), section) for section in appendix]
    scripts = [Markup(text) for text in (_bundle(), _script("report.js"))] if page.charts else []
    return _render(
        "report.html.j2",
        cover=cover, body=body, sections=sections, contents=page.contents, scripts=scripts, lang=lang,
        specs=page.charts, policy=_policy(scripts),
    )  # fmt: skip


def index_html(
    cover: Cover,
    links: Sequence[tuple[str, str, str]],
    facts: Sequence[tuple[str, Any]] = (),
    sections: Sequence[Section] = (),
    lang: str = "en",
) -> str:
    """The page over a period's reports: ``links`` are (relative address, name, what it is), ``facts`` (name, value)."""
    for address, *_ in links:
        if re.match(r"[a-z][a-z0-9+.-]*:|//|/", address, re.IGNORECASE):
            raise ValueError(f"index: {address} is not relative; a run's folder can be moved")
    return _render(
        "index.html.j2", cover=cover, links=links, facts=facts, sections=sections, lang=lang, policy=_policy([])
    )


def _policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy: nothing is loaded, and no script runs but ``scripts``."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed (with its interpreter, so that nothing needs ``eval``) in one script."""
    # Inside a script element only these two would end or change it.
    return (
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        .replace("</script", "<\\/script")
        .replace("<!--", "<\\!--")
    )


@cache
def _script(name: str) -> str:
    return _environment().get_template(name).render()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("privacy_metrics", "templates"), autoescape=lambda name: "html" in (name or ""),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values, css=Markup(_script("report.css")))


def _json(value: Any) -> Markup:
    """``value`` as JSON that can stand in a script element: no ``<``, so no end tag and no comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


# ---- HTML from outputs is cleaned: what is not listed here does not come through -------------------------------------

_TAGS = [
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "div", "dl", "dt",
    "em", "figcaption", "figure", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "s",
    "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
]  # fmt: skip
_ATTRIBUTES = {
    "*": ["class", "id", "style", "aria-label", "aria-labelledby", "aria-describedby"],
    "a": ["href"], "img": ["src", "alt"], "td": ["colspan", "rowspan", "headers"],
    "th": ["colspan", "rowspan", "headers", "scope"], "ol": ["start"],
}  # fmt: skip
_STYLES = CSSSanitizer(
    allowed_css_properties=["color", "font-style", "font-weight", "text-align", "width", "background-color"],
    allowed_svg_properties=[],
)


class _Outputs(Filter):
    """Gives every id, and what refers to one, a prefix (no output can take the page's own ids or another's), and lets
    no image through but one that holds its own content."""

    def __init__(self, source: Any, prefix: str) -> None:
        super().__init__(source)
        self.prefix = prefix

    def __iter__(self) -> Any:
        for token in super().__iter__():
            attributes = token.get("data") if token["type"] in ("StartTag", "EmptyTag") else {}
            if token.get("name") == "img" and not _EMBEDDED.match(attributes.get((None, "src"), "")):
                yield {"type": "Characters", "data": attributes.get((None, "alt"), "")}
                continue
            for key in attributes:
                if key[1] in ("id", "headers", "aria-labelledby", "aria-describedby"):
                    attributes[key] = " ".join(self.prefix + part for part in attributes[key].split())
            yield token


_EMBEDDED = re.compile(r"data:image/(png|jpeg|gif|svg\+xml);base64,")


def _clean(html: str, prefix: str) -> Markup:
    # A style element's text would be shown as text once its tags are gone.
    html = re.sub(r"<(style|script|title)\b.*?</\1\s*>", "", html, flags=re.DOTALL | re.IGNORECASE)
    cleaner = bleach.Cleaner(
        tags=_TAGS, attributes=_ATTRIBUTES, css_sanitizer=_STYLES, protocols=["http", "https", "mailto", "data"],
        strip=True, filters=[partial(_Outputs, prefix=prefix)],
    )  # fmt: skip
    return Markup(cleaner.clean(html))


class _Headings(mistune.HTMLRenderer):
    """Markdown with headings one level down (the cover has the first), none skipped, each with an anchor."""

    def __init__(self, page: _Page) -> None:
        super().__init__(escape=True)
        self.page = page

    def heading(self, text: str, level: int, **_: Any) -> str:
        return f"{self.page.heading(level + 1, Markup(text).striptags(), Markup(text))}\n"


class _Page:
    """One report's body in the making: its contents, its anchors and its charts."""

    def __init__(self) -> None:
        self.contents: list[tuple[int, str, str]] = []
        self.charts: list[Markup] = []
        self.outputs = 0
        self.level = 1
        self.markdown = mistune.create_markdown(renderer=_Headings(self), plugins=["table", "strikethrough"])

    def heading(self, level: int, plain: str, inner: str | None = None) -> Markup:
        self.level = level = min(level, self.level + 1, 6)
        words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60]
        # The number makes it unique: two notebooks may have a heading of the same words.
        anchor = f"s{len(self.contents) + 1}-{words}".rstrip("-")
        self.contents.append((level, anchor, plain))
        return Markup('<h{0} id="{1}">{2}</h{0}>').format(level, anchor, plain if inner is None else inner)

    def notebook(self, path: Path) -> Markup:
        parts: list[str] = []
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells, 1):
            if cell.cell_type == "markdown":
                parts.append(self.prose(cell.source))
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    raise WorkbookError(f"{path.name}: cell {number} holds an error; run the notebook again")
                parts.append(self.output(output))
        return Markup("<section>{}</section>").format(Markup("\n").join(parts))

    def prose(self, text: str) -> Markup:
        # HTML in Markdown is text here, so the only ids are the headings' own; links and images are cleaned.
        return _clean(str(self.markdown(text)), "")

    def output(self, output: Any) -> Markup:
        """The richest form that is safe: chart, HTML, Markdown, picture, text; messages on stderr are left out."""
        self.outputs += 1
        if output.output_type == "stream":
            return Markup("<pre>{}</pre>").format(output.text) if output.name == "stdout" else Markup()
        data = output.get("data", {})
        if charts.MIME in data:
            return self.chart(data[charts.MIME], data.get("image/svg+xml", ""))
        if "text/html" in data:
            return Markup('<div class="output">{}</div>').format(_clean(data["text/html"], f"o{self.outputs}-"))
        if "text/markdown" in data:
            return self.prose(data["text/markdown"])
        for kind in ("image/svg+xml", "image/png", "image/jpeg"):
            if kind in data:
                return Markup('<figure><img src="{}" alt="{}"></figure>').format(
                    _picture(kind, data[kind]), data.get("text/plain", "")
                )
        if any("widget" in kind for kind in data) or "text/plain" not in data:
            return Markup()
        return Markup("<pre>{}</pre>").format(data["text/plain"])

    def chart(self, spec: Mapping[str, Any], picture: str) -> Markup:
        self.charts.append(_json(spec))
        number = len(self.charts)
        words = spec.get("description", "Chart")
        return Markup(
            '<figure class="chart" id="chart-{0}" data-spec="spec-{0}"><img src="{1}" alt="{2}"></figure>'
        ).format(number, _picture("image/svg+xml", picture), words)


def _picture(kind: str, data: str) -> str:
    """A picture as an address of its own content: shown as an image, an SVG can run nothing and clash with nothing."""
    encoded = base64.b64encode(data.encode()).decode() if kind == "image/svg+xml" else re.sub(r"\s", "", data)
    return f"data:{kind};base64,{encoded}"


# ---- files ----------------------------------------------------------------------------------------------------------


def export_releases(releases: Iterable[Release], folder: Path, title: str, name: str = "privacy-metrics") -> list[Path]:
    """Each release as ``NAME.csv`` and ``NAME.parquet``, with a Frictionless ``datapackage.json``, and all of them in
    ``tables.xlsx``; the files made.

    A withheld value is an empty field (null in Parquet) and its row's ``withheld`` is true; a table with noise has the
    intervals of its figures, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    resources = []
    ordered = sorted(releases, key=lambda r: r.name)
    for release in ordered:
        for suffix in ("csv", "parquet"):
            path = folder / f"{release.name}.{suffix}"
            if suffix == "csv":
                release.frame.with_columns(
                    pl.col(d).map_elements(_cell, return_dtype=pl.String) for d in release.dimensions
                ).write_csv(path)
            else:
                release.frame.write_parquet(
                    path, compression="zstd", compression_level=3, statistics=True, use_pyarrow=False
                )
            made.append(path)
            resources.append(_resource(release, path))
    package = {
        "profile": "tabular-data-package",
        "name": re.sub(r"[^a-z0-9._-]+", "-", name.lower()),
        "title": title,
        "resources": resources,
    }
    made.append(write_json(folder / "datapackage.json", package))
    made.append(write_spreadsheet(ordered, folder / "tables.xlsx", title))
    return made


NEVER = datetime(2000, 1, 1)
"""The time of writing that a spreadsheet notes: the same for all, so that the same tables give the same bytes."""
MOST_ROWS = 1_048_575
"""Rows of a sheet below its head (the file format's limit)."""


def write_spreadsheet(releases: Sequence[Release], path: Path, title: str) -> Path:
    """Releases as a spreadsheet: a sheet of contents with the policies, then a sheet each, in the words of the reports.

    Numbers are numbers and everything else is text, whatever it begins with; a withheld value says so.
    """
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"title": title, "created": NEVER})
        styles = {
            "title": book.add_format({"bold": True, "font_size": 14}),
            "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
            "number": book.add_format({"num_format": "#,##0"}),
            "held": book.add_format({"italic": True, "font_color": "#6b7280", "align": "right"}),
            "link": book.add_format({"font_color": "#1d4ed8", "underline": 1}),
            "text": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        names = _sheet_names(releases)
        _contents_sheet(book.add_worksheet("Contents"), releases, names, title, styles)
        for release, name in zip(releases, names, strict=True):
            _release_sheet(book.add_worksheet(name), release, styles)
    return path


def _sheet_names(releases: Sequence[Release]) -> list[str]:
    """A release's name, cut to the 31 characters of a sheet's name, and told apart where that makes two one."""
    names: list[str] = []
    for release in releases:
        name = release.name[:31]
        if name in names:
            name = f"{name[:27]}_{len(names):03}"
        names.append(name)
    return names


def _contents_sheet(
    sheet: Any, releases: Sequence[Release], names: Sequence[str], title: str, styles: Mapping[str, Any]
) -> None:
    sheet.write_string(0, 0, title, styles["title"])
    for column, (head, width) in enumerate(
        {"Table": 48, "Sheet": 30, "Period": 10, "Rows": 9, "Withheld": 9, "Policy": 56}.items()
    ):
        sheet.set_column(column, column, width)
        sheet.write_string(2, column, head, styles["head"])
    for row, (release, name) in enumerate(zip(releases, names, strict=True), 3):
        sheet.write_string(row, 0, release.title)
        sheet.write_url(row, 1, f"internal:'{name}'!A1", styles["link"], name)
        sheet.write_string(row, 2, release.period)
        sheet.write_number(row, 3, release.frame.height, styles["number"])
        sheet.write_number(row, 4, release.withheld, styles["number"])
        sheet.write_string(row, 5, str(release.policy))
    sheet.freeze_panes(3, 0)


def _release_sheet(sheet: Any, release: Release, styles: Mapping[str, Any]) -> None:
    sheet.write_string(0, 0, release.title, styles["title"])
    sheet.write_string(1, 0, release.footnote)
    for row, note in enumerate(release.notes, 2):
        sheet.write_string(row, 0, note)
    head = 3 + len(release.notes)
    figures = (*release.measures, *release.bounds)
    for column, name in enumerate((*release.dimensions, *figures)):
        sheet.write_string(head, column, charts.label(name), styles["head"])
        sheet.set_column(column, column, 28 if name in release.dimensions else 14)
    for row, values in enumerate(release.frame.head(MOST_ROWS - head).iter_rows(named=True), head + 1):
        for column, name in enumerate(release.dimensions):
            sheet.write_string(row, column, charts.category(name, values[name]))
        for column, name in enumerate(figures, len(release.dimensions)):
            if values[name] is None:
                sheet.write_string(row, column, tables.WITHHELD, styles["held"])
            else:
                sheet.write_number(row, column, values[name], styles["number"])
    if release.frame.height > MOST_ROWS - head:
        raise WorkbookError(f"tables.xlsx: {release.name} has more rows than a sheet holds; take a dimension out of it")
    sheet.freeze_panes(head + 1, len(release.dimensions))


def _cell(text: str) -> str:
    """A category as CSV text that a spreadsheet shows and does not compute (OWASP, CSV injection)."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _resource(release: Release, path: Path) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [
        {"name": d, "type": "string", "description": f"{charts.label(d)}; Total is all of them together"}
        for d in release.dimensions
    ]
    fields += [{"name": m, "type": "integer", "description": f"{charts.label(m)} (number)"} for m in release.measures]
    fields += [{"name": b, "type": "integer", "description": "end of the interval"} for b in release.bounds]
    fields.append(
        {"name": "withheld", "type": "boolean", "description": "the row's values are withheld for disclosure control"}
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    csv = path.suffix == ".csv"
    about = {
        "name": f"{release.name}-{path.suffix[1:]}",
        "path": path.name,
        "title": release.title,
        "description": _sentences([release.footnote, *release.notes]),
        "format": path.suffix[1:],
        "mediatype": "text/csv" if csv else "application/vnd.apache.parquet",
        "bytes": path.stat().st_size,
        "hash": f"sha256:{digest}",
        "schema": {"fields": fields, "missingValues": [""]}
        | ({"primaryKey": list(release.dimensions)} if release.dimensions else {}),
    }
    return about | {"profile": "tabular-data-resource"} | ({"encoding": "utf-8"} if csv else {})


PACKAGES = ("altair", "great-tables", "nbclient", "papermill", "polars", "privacy-metrics", "vl-convert-python")


def manifest(
    folder: Path, period: str, parameters: Mapping[str, Any], inputs: Mapping[str, str], **more: Any
) -> dict[str, Any]:
    """What a run's folder holds and came from: every file's SHA-256 and size, versions, and fingerprints.

    ``parameters`` are fingerprinted whole, ``inputs`` are fingerprints by name, ``more`` is put in as it is.
    """
    text = json.dumps(parameters, sort_keys=True, ensure_ascii=False, default=str)
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / "manifest.json"
    }
    return more | {
        "period": period,
        "parameters": {"sha256": hashlib.sha256(text.encode()).hexdigest(), "values": dict(parameters)},
        "inputs": dict(inputs),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "files": files,
    }


def write_json(path: Path, value: Any) -> Path:
    """``value`` as JSON with sorted keys: the same value, the same bytes."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    return path


def write_run(final: Path, build: Callable[[Path], None]) -> Path:
    """Lets ``build`` fill a new folder and puts it in the place of ``final`` in one step; gives ``final``.

    When ``build`` raises, ``final`` is as it was and the new folder is gone (``folders.replace``); a failed notebook is
    kept in ``.NAME.failed`` beside ``final``, and the error says so.
    """
    final = final.resolve()
    failed = final.with_name(f".{final.name}.failed")

    def keeping(new: Path) -> None:
        try:
            build(new)
        except NotebookFailed as error:
            if error.kept.is_relative_to(new.resolve()):
                shutil.rmtree(failed, ignore_errors=True)
                # A traceback may quote what stays inside: for the owner's eyes only.
                failed.mkdir(mode=0o700)
                error.kept = Path(shutil.move(error.kept, failed / error.kept.name))
            raise
        # A temporary folder is closed to others; a run's is as open as any folder that the user makes.
        new.chmod(0o777 & ~_umask())

    folders.replace(final, keeping)
    shutil.rmtree(failed, ignore_errors=True)
    return final


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ---- a period's reports ---------------------------------------------------------------------------------------------

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
"""The workbook's own notebooks; one of the same name beside the params folder comes first."""


def make(
    params: Params, period: Period, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Path, bool]:
    """Makes ``outputs/PERIOD`` from what is collected: reports, executed notebooks, data files and a manifest.

    Gives the folder, and whether it was made: it is not when it stands there whole, from the same input, parameters,
    notebooks and code. Raises NotebookFailed or WorkbookError with the folder as it was.
    """
    final = params.outputs(period)
    kinds = {"usage": params.reports.usage, "compliance": params.reports.compliance}
    sources = {name: _notebook(params, name) for spec in kinds.values() for name in spec.notebooks}
    with folders.locked(final.with_name(f".{final.name}.lock")):
        state = _state(params, period, sources)
        if _is_whole(final, state):
            return final, False
        book = workbook.open_workbook(period.label, str(params.folder))

        def build(new: Path) -> None:
            missing = {name: why for name, path in sources.items() if (why := _lacks(path, params))}
            given = {"period": period.label, "params": os.path.relpath(params.folder, params.root)}
            jobs = [
                Job(path, new / "notebooks" / path.name, given, params.root)
                for name, path in sources.items()
                if name not in missing
            ]
            ended: list[Job] = []

            def done(job: Job) -> None:
                ended.append(job)
                progress(len(ended), len(jobs))

            progress(0, len(jobs))
            executed = dict(zip((job.notebook.stem for job in jobs), run_notebooks(jobs, done=done), strict=True))
            for kind, spec in kinds.items():
                cover = Cover(
                    params.organisation.name, spec.title, period.title, _scope(kind, book), _audience(params),
                    _verdict(kind, book), _made_from(book), **(_first_page(book) if kind == "compliance" else {}),
                )  # fmt: skip
                gaps = [Section("Without evidence", missing[name]) for name in spec.notebooks if name in missing]
                appendix = [*gaps, *_appendix(kind, book)]
                chapters = [executed[name] for name in spec.notebooks if name in executed]
                (new / f"{kind}.html").write_text(to_html(chapters, cover, appendix), "utf-8")
            title = f"{params.organisation.name}, {period.title}"
            export_releases(book.releases.values(), new / "data", title, f"{params.organisation.name}-{period.label}")
            assessment.write(book, new)
            (new / "index.html").write_text(_index(params, period, book, kinds), "utf-8")
            fingerprints = {file["file"]: file["fingerprint"] for file in book.inputs}
            write_json(
                new / "manifest.json",
                manifest(
                    new, period.label, params.as_dict(), fingerprints, state=state, account=book.record["account"]
                ),
            )
            leaks.check(new, leak_rules(book)).require()
            workbook.publish(book)

        return write_run(final, build), True


def leak_rules(book: workbook.Workbook) -> leaks.Rules:
    """What the leak check of ``outputs/PERIOD`` knows: the marks of the input, what is withheld, what is no leak."""
    params, periods = book.params, book.periods()
    zones = [params.confidential(Period.parse(label)) for label in periods]
    given = json.dumps(params.as_dict(), ensure_ascii=False)
    shown = [release for one in periods.values() for release in one.releases.values()]
    # A browser that is called like an account is no account; of what people chose themselves (a path), nobody knows.
    closed = [
        value
        for release in shown
        for dimension in release.dimensions
        if dimension not in _OPEN
        for value in release.frame[dimension].unique().to_list()
    ]
    return leaks.Rules(
        threshold=params.disclosure.limits["threshold"],
        known=[known for zone in zones if (known := leaks.Known.read(zone))],
        releases=shown,
        parameters=given,
        words=[given, *_own_words(), *closed],
        category=charts.category,
        label=charts.label,
        period=lambda label: (label, charts.period_title(label)),
        scripts=own_scripts(),
    )


def own_scripts() -> frozenset[str]:
    """The SHA-256 of the scripts that every report with charts has."""
    return frozenset(hashlib.sha256(script.encode()).hexdigest() for script in (_bundle(), _script("report.js")))


_OPEN = {"area", "entry_area", "exit_area", "from_area", "to_area", "product", "referrer_site"}
"""Dimensions whose categories come from what is in the logs, and from no closed list."""


def _own_words() -> list[str]:
    """The texts of this package and its notebooks, which were there before any input was read."""
    # The sample's module holds what its logs hold.
    code = [p for p in Path(__file__).parent.rglob("*") if p.suffix in (".py", ".j2", ".css", ".js", ".csv", ".yaml")]
    texts = [p.read_text("utf-8") for p in sorted(code) if p.name != "sample.py"]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        texts += [cell.source for cell in nbformat.read(path, as_version=4).cells]
    return texts


def _notebook(params: Params, name: str) -> Path:
    for folder in (params.root / "notebooks", NOTEBOOKS):
        if (path := folder / f"{name}.ipynb").is_file():
            return path
    raise WorkbookError(f"reports: no notebook {name}.ipynb in {params.root / 'notebooks'} or {NOTEBOOKS}")


def _lacks(notebook: Path, params: Params) -> str:
    """Why a notebook can't be run: its metadata say which source it needs, and the parameters have none."""
    needs = json.loads(notebook.read_text("utf-8")).get("metadata", {}).get("privacy_metrics", {}).get("needs")
    if needs in ("notice", "exemption"):
        return (
            "" if getattr(params, needs) else f"No {needs} is given (params: {needs}), so nothing can be said about it."
        )
    if needs and getattr(params.sources, needs) is None:
        return f"No register of {needs} is given (params: sources.{needs}), so nothing can be said about it."
    return ""


def _state(params: Params, period: Period, notebooks: Mapping[str, Path]) -> str:
    """What a run depends on, in one fingerprint: collections, parameters, notebooks, and the code."""
    collected = [workbook.state(params, p) for p in period.history(params.reports.history)]
    code = [p for p in sorted(Path(__file__).parent.rglob("*")) if p.suffix in (".py", ".j2", ".css", ".js", ".csv")]
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (*notebooks.values(), *code)]
    versions = {name: version(name) for name in PACKAGES}
    text = json.dumps([collected, params.as_dict(), digests, versions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_whole(folder: Path, state: str) -> bool:
    path = folder / "manifest.json"
    if not path.is_file():
        return False
    noted = json.loads(path.read_text("utf-8"))
    return noted["state"] == state and all(
        (folder / name).is_file() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]
        for name, file in noted["files"].items()
    )


def _audience(params: Params) -> str:
    if params.disclosure.audience == "public":
        noise = " or has noise" if any(table.noise for table in params.tables) else ""
        return f"Public: every figure is about at least {params.disclosure.limits['threshold']} people{noise}"
    return "Internal: for the accountable staff"


def _scope(kind: str, book: workbook.Workbook) -> str:
    if kind == "usage":
        lines = book["line_account"]
        return f"{lines.value('lines', line='used'):,} page views of {lines.value('lines'):,} log lines"
    found = promises.standings(book)
    registers = len({name for s in found for name in s.evidence})
    measured = sum(s.verdict == promises.MEASURE for s in found)
    judged = sum(s.verdict not in (promises.MEASURE, "not applicable") for s in found)
    figures = f" and {measured} figures without a verdict" if measured else ""
    told = f"{judged} promises of the privacy notice{figures}, on {registers} registers; rights" if found else "Rights"
    return f"{told} requests that the company answers for as controller"


def _first_page(book: workbook.Workbook) -> dict[str, Any]:
    """How many promises are kept, and what changed since the period before; nothing without a notice."""
    if not promises.standings(book):
        return {}
    before, changes = promises.changes(book)
    if not before:
        return {"figures": promises.cards(book)}
    worse = [promises.said(change) for change in changes if not change.better]
    better = [change.promise.id for change in changes if change.better]
    said = [*worse, f"Better than they were: {', '.join(better)}" if better else ""]
    head = f"What changed since {charts.period_title(before)}"
    return {"figures": promises.cards(book), "changes": (head, list(filter(None, said)) or ["No verdict is another."])}


def _made_from(book: workbook.Workbook) -> str:
    day = (book.record.get("requests") or {}).get("as_of")
    return f"{len(book.inputs):,} input files" + (f"; the register as of {day}" if day else "")


def _verdict(kind: str, book: workbook.Workbook) -> str:
    """One sentence for the cover."""
    if kind == "usage":
        release = book["sessions_by_month"] if "sessions_by_month" in book.releases else None
        if release is None:
            return ""
        people = f" of {tables.number(release.value('people'))} people" if "people" in release.measures else ""
        return f"{tables.number(release.value('sessions'))} sessions{people}"
    if promises.standings(book):
        return promises.verdict(book)
    if "requests_by_right" not in book.releases:
        return "No evidence: no register of requests is given"
    received, judged = book["requests_by_right"].value("requests"), book["requests_on_time"]
    fell_due, on_time = judged.value("requests"), judged.value("requests", on_time="on time")
    overdue = book["requests_open"].value("requests", due="overdue")
    said = f"{tables.number(received)} requests received"
    if fell_due:
        said += f"; of {tables.number(fell_due)} that fell due, {tables.number(on_time)} were answered on time"
    return f"{said}; {tables.number(overdue)} overdue and open" if overdue != 0 else f"{said}; none overdue"


def _appendix(kind: str, book: workbook.Workbook) -> list[Section]:
    account = "line_account" if kind == "usage" else "register_account"
    shown = [r for r in book.releases.values() if r.name.startswith(_COMPLIANCE) == (kind == "compliance")]
    sections = []
    if account in book.releases:
        release = book[account]
        meaning = dict(note.split(": ", 1) for note in release.notes if ": " in note)
        name, measure = release.dimensions[0], release.measures[0]
        rows = [(c, v, meaning.get(c, "")) for c, v in release.frame.select(name, measure).iter_rows()]
        sections.append(
            Section(release.title, _NOTHING_LOST[kind], (charts.label(name), charts.label(measure), ""), rows)
        )
    sections.append(withheld(shown))
    meant = [(r.title, _sentences(r.notes)) for r in shown if r.notes and r.name != account]
    if meant:
        sections.append(Section("What the tables count", "", ("Table", "Meaning"), meant))
    policy = book.params.disclosure
    sections.append(
        Section(
            "Method",
            _METHOD[kind],
            ("Parameter", "Value"),
            [
                ("Time zone of the period and of every hour", book.params.organisation.time_zone),
                ("Fewest distinct people in a published cell", f"{policy.limits['threshold']}"),
                ("Bits kept of an IPv4 address to tell visitors apart", f"{policy.ipv4_bits}"),
                ("Bits kept of an IPv6 address, likewise", f"{policy.ipv6_bits}"),
                ("Seconds without a request that end a session", f"{policy.session_gap:,}"),
            ]
            if kind == "usage"
            else [
                ("Public holidays of", book.params.organisation.country),
                ("Time zone of receipt", book.params.organisation.time_zone),
                ("Fewest people in a published cell of a breakdown", f"{policy.limits['threshold']}"),
            ],
        )
    )
    if book.notes:
        sections.append(Section("Notes of the collection", "", ("Note",), [(note,) for note in book.notes]))
    return sections


def _sentences(notes: Iterable[str]) -> str:
    """Notes as one text: those that end a sentence follow each other, others are a list."""
    return "".join(f"{note} " if note.endswith(".") else f"{note}; " for note in notes).rstrip("; ")


_COMPLIANCE = ("request", "register", "promise", "exemption")
"""How the names of the compliance report's tables begin."""
_NOTHING_LOST = {
    "usage": "Lines read are lines used and lines excluded, each for the first reason that applies, in this order.",
    "compliance": "Rows read are rows used and rows excluded because they contradict themselves.",
}
_METHOD = {
    "usage": "The country of an address is looked up; then the address is truncated, and never written. A visitor "
    "is the account where the log knows it, else a keyed hash of truncated address and client; the key is random, made "
    "for the period, and destroyed with it. Only tables that pass the disclosure policy leave the confidential zone.",
    "compliance": "Due dates follow GDPR Art. 12(3) and Regulation 1182/71: one month, or three where an extension was "
    "told in time, counted in calendar days in the controller's time zone, and moved past weekends and public "
    "holidays. On time is given strictly, and with the days credited in which identity or clarification was awaited. "
    "Names, addresses and free text of the register are never read.",
}


def _index(params: Params, period: Period, book: workbook.Workbook, kinds: Mapping[str, ReportSpec]) -> str:
    cover = Cover(
        params.organisation.name, "Privacy compliance workbook", period.title, audience=_audience(params),
        source=_made_from(book),
    )  # fmt: skip
    about = {
        "usage": "How the service is used: people, sessions, places, clients, areas and products, and what changed",
        "compliance": "Whether the privacy notice is kept, and how people's rights requests were handled",
    }
    links = [(f"{kind}.html", spec.title, about[kind]) for kind, spec in kinds.items()]
    if promises.standings(book):
        links += [
            (
                "controls.json",
                "Promises as JSON",
                "Each promise with its evidence and verdicts; the schema is beside it",
            ),
            ("controls-oscal.json", "Promises as OSCAL", "Assessment results for tools that read NIST's language"),
        ]
    links += [
        ("data/datapackage.json", "Data files", f"{len(book.releases)} tables as CSV and Parquet, with a data package"),
        ("manifest.json", "Manifest", "Inputs, parameters and versions, and every file's SHA-256"),
    ]
    facts = [(spec.title, _verdict(kind, book)) for kind, spec in kinds.items()]
    return index_html(cover, links, facts)

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
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bleach
import mistune
import nbformat
import papermill
import vl_convert
import zmq
from bleach.css_sanitizer import CSSSanitizer
from bleach.html5lib_shim import Filter
from ipykernel.kernelspec import KERNEL_NAME, RESOURCES, get_kernel_dict
from jinja2 import Environment, PackageLoader, StrictUndefined
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from markupsafe import Markup
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from . import charts
from .disclosure import Release
from .params import WorkbookError

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
    except Exception as error:  # nbformat and papermill raise many kinds for a file that is no notebook
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
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
        timed_out = isinstance(error, CellTimeoutError)
        kind = error.ename if isinstance(error, PapermillExecutionError) else type(error).__name__
        kind = f"no answer within {timeout} seconds" if timed_out else "a dead kernel" if isinstance(error, DeadKernelError) else kind
        raise NotebookFailed(notebook.name, _failed_cell(out), str(kind), out) from None
    finally:
        if out.is_file():
            _settle(out)
    return out


def run_notebooks(jobs: Iterable[Job], workers: int | None = None, done: Callable[[Job], None] = lambda job: None) -> list[Path]:
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
    number = 0
    for cell in nbformat.read(executed, as_version=4).cells:
        added = _ADDED & set(cell.metadata.get("tags", []))
        number += not added
        if cell.metadata.get("papermill", {}).get("status") in ("failed", "running"):
            return "the cell with the given parameters" if added else f"cell {number}"
    return "a cell"


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
        "A withheld cell is one that would be about too few people, or that would give such a cell away by subtraction.",
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
        if re.match(r"[a-z][a-z0-9+.-]*:|//|/", address, re.I):
            raise ValueError(f"index: {address} is not relative; a run's folder can be moved")
    return _render("index.html.j2", cover=cover, links=links, facts=facts, sections=sections, lang=lang, policy=_policy([]))


def _policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy: nothing is loaded, and no script runs but ``scripts``."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src {hashes or "'none'"}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed (with its expression interpreter, so that nothing needs ``eval``) in one script."""
    # Inside a script element only these two would end or change it.
    return vl_convert.javascript_bundle().replace("</script", "<\\/script").replace("<!--", "<\\!--")


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


# ---- HTML from data is cleaned: what is not listed here does not come through ------------------------------------------

_TAGS = (
    "a abbr b blockquote br caption code col colgroup dd del div dl dt em figcaption figure h2 h3 h4 h5 h6 hr i img li ol p "
    "pre s small span strong sub sup table tbody td tfoot th thead tr ul"
).split()
_ATTRIBUTES = {
    "*": ["class", "id", "style", "aria-label", "aria-labelledby", "aria-describedby"],
    "a": ["href"], "img": ["src", "alt"], "td": ["colspan", "rowspan", "headers"],
    "th": ["colspan", "rowspan", "headers", "scope"], "ol": ["start"],
}  # fmt: skip
_STYLES = CSSSanitizer(
    allowed_css_properties="color font-style font-weight text-align width background-color white-space".split(),
    allowed_svg_properties=[],
)


class _Ids(Filter):
    """Gives every id, and what refers to one, a prefix: no output can take the page's own ids or another's."""

    prefix = ""

    def __iter__(self) -> Any:
        for token in super().__iter__():
            for key in token.get("data") if token["type"] in ("StartTag", "EmptyTag") else ():
                if key[1] in ("id", "headers", "aria-labelledby", "aria-describedby"):
                    token["data"][key] = " ".join(self.prefix + part for part in token["data"][key].split())
                elif key[1] == "src" and not re.match(r"data:image/(png|jpeg|gif|svg\+xml);base64,", token["data"][key]):
                    token["data"][key] = "data:,"
            yield token


def _clean(html: str, prefix: str) -> Markup:
    # A style element's text would be shown as text once its tags are gone.
    html = re.sub(r"<(style|script|title)\b.*?</\1\s*>", "", html, flags=re.S | re.I)
    cleaner = bleach.Cleaner(
        tags=_TAGS, attributes=_ATTRIBUTES, css_sanitizer=_STYLES, protocols=["http", "https", "mailto", "data"],
        strip=True, filters=[type("Ids", (_Ids,), {"prefix": prefix})],
    )  # fmt: skip
    return Markup(cleaner.clean(html))


class _Headings(mistune.HTMLRenderer):
    """Markdown with headings one level down (the cover has the first), none skipped, each with an anchor."""

    def __init__(self, page: _Page) -> None:
        super().__init__(escape=True)
        self.page = page

    def heading(self, text: str, level: int, **_: Any) -> str:
        plain = Markup(text).striptags()
        return f"{self.page.heading(level + 1, plain, Markup(bleach.clean(text, tags=['em', 'strong', 'code'], strip=True)))}\n"


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
        # mistune escapes HTML in Markdown; the cleaner deals with what a link or image may still point to.
        html = str(self.markdown(text))
        return _Heads.keep(html, lambda rest: _clean(rest, ""))

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
                return Markup('<figure><img src="{}" alt="{}"></figure>').format(_picture(kind, data[kind]), data.get("text/plain", ""))
        if any("widget" in kind for kind in data) or "text/plain" not in data:
            return Markup()
        return Markup("<pre>{}</pre>").format(data["text/plain"])

    def chart(self, spec: Mapping[str, Any], picture: str) -> Markup:
        self.charts.append(_json(spec))
        number = len(self.charts)
        words = spec.get("description", "Chart")
        return Markup('<figure class="chart" id="chart-{0}" data-spec="spec-{0}"><img src="{1}" alt="{2}"></figure>').format(
            number, _picture("image/svg+xml", picture), words
        )


def _picture(kind: str, data: str) -> str:
    """A picture as an address of its own content: shown as an image, an SVG can run nothing and clash with nothing."""
    encoded = base64.b64encode(data.encode()).decode() if kind == "image/svg+xml" else re.sub(r"\s", "", data)
    return f"data:{kind};base64,{encoded}"

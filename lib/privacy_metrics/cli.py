"""The command ``privacy-metrics``: its progress and its exit codes (0 done, 1 an error that the user can mend)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from . import __version__
from .params import Params, Period, WorkbookError

if TYPE_CHECKING:
    from .disclosure.leaks import Checked

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="Usage and compliance reports from anonymised data.",
    epilog="Start with: [bold]privacy-metrics sample sample[/bold], then [bold]privacy-metrics report 2026Q3[/bold].",
)  # fmt: skip
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

PeriodArg = Annotated[
    str, typer.Argument(metavar="PERIOD", help="A quarter (2026Q3), a month (2026-09) or a year (2026).")
]
ParamsOpt = Annotated[
    Path | None, typer.Option("--params", metavar="DIR", help="The parameters folder; without it, the nearest params/.")
]


@app.command(epilog="Example: [bold]privacy-metrics sample sample --seed 7[/bold]")
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it; made if it is not there.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 20260701,
    lines: Annotated[int, typer.Option(help="Log lines a quarter, about.")] = 300_000,
) -> None:
    """Make the sample company's input: three quarters of access logs, a country database and registers."""
    from .sample import make_sample

    with _steps(f"Making the sample in {folder}", "days") as progress:
        make_sample(folder, seed=seed, lines=lines, progress=progress)
    out.print(f"Sample input is in {folder}")


@app.command(
    epilog="Examples: [bold]privacy-metrics collect 2026Q3[/bold]; [bold]privacy-metrics collect 2026-09[/bold]"
)
def collect(
    period: PeriodArg,
    params: ParamsOpt = None,
    history: Annotated[bool, typer.Option("--history", help="Also the periods before it that a trend shows.")] = False,
) -> None:
    """Read the raw input of a period once, into the confidential zone, and account for every line."""
    loaded, wanted = Params.load(params), Period.parse(period)
    if history:
        _collect_history(loaded, wanted)
    _print_account(_collect(loaded, wanted))


@app.command(epilog="Example: [bold]privacy-metrics prepare 2026Q3[/bold]")
def prepare(period: PeriodArg, params: ParamsOpt = None) -> None:
    """Make the releases of a period and of those that its trends show, for the notebooks; collect what is new first."""
    from . import workbook

    loaded, wanted = Params.load(params), Period.parse(period)
    _collect_history(loaded, wanted)
    if workbook.is_collected(loaded, wanted) or not workbook.is_published(loaded, wanted):
        _collect(loaded, wanted)
    _prepare(loaded, wanted)


@app.command(epilog="Examples: [bold]privacy-metrics report 2026Q3[/bold]; [bold]privacy-metrics report 2026[/bold]")
def report(period: PeriodArg, params: ParamsOpt = None) -> None:
    """Make the reports of a period: collect what is new, run the notebooks, write outputs/PERIOD in one step."""
    from . import reports

    loaded, wanted = Params.load(params), Period.parse(period)
    _collect_history(loaded, wanted)
    record = _collect(loaded, wanted)
    _prepare(loaded, wanted)
    with _steps(f"Running the notebooks of {wanted.label}", "notebooks") as progress:
        folder, made = reports.make(loaded, wanted, progress)
    if made:
        _print_account(record)
    for name in ("index.html", "usage.html", "compliance.html"):
        out.print(folder / name)
    if not made:
        out.print("Nothing has changed since they were made.")


@app.command(epilog="Example: [bold]privacy-metrics deadlines 2026Q3[/bold]")
def deadlines(period: PeriodArg, params: ParamsOpt = None) -> None:
    """Explain in words why each open request is due when it is, in a file of the confidential zone."""
    from . import workbook

    loaded, wanted = Params.load(params), Period.parse(period)
    _collect(loaded, wanted)
    out.print(workbook.deadlines(loaded, wanted))


@app.command(
    epilog="Examples: [bold]privacy-metrics check outputs/2026Q3[/bold]; "
    "[bold]privacy-metrics check outputs/2026Q3 --period 2026Q3[/bold]"
)
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Any folder; every file in it is looked through.")],
    params: ParamsOpt = None,
    period: Annotated[
        str | None, typer.Option("--period", metavar="PERIOD", help="Also look for the values of this period's input.")
    ] = None,
) -> None:
    """Look through every file of a folder for personal data and counts of too few people; exit code 1 if there are."""
    from . import reports
    from .disclosure import leaks

    rules = leaks.Rules(leaks.threshold_of(folder), scripts=reports.own_scripts())
    if period or params:
        from . import workbook

        loaded = Params.load(params)
        if period:
            book = workbook.open_workbook(Period.parse(period).label, str(loaded.folder))
            rules = reports.leak_rules(book)
        else:
            rules = leaks.Rules(
                threshold=loaded.disclosure.limits["threshold"],
                parameters=json.dumps(loaded.as_dict(), ensure_ascii=False),
                scripts=reports.own_scripts(),
            )
    done = leaks.check(folder, rules)
    _print_checked(folder, done)
    if done.leaks:
        raise typer.Exit(1)


@app.command(epilog="Example: [bold]privacy-metrics close 2026Q2[/bold]")
def close(
    period: PeriodArg,
    params: ParamsOpt = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy a period's key and sessions for good: from then on only its published releases exist."""
    from . import workbook

    loaded, wanted = Params.load(params), Period.parse(period)
    if not yes and not typer.confirm(f"Destroy the sessions and the key of {wanted.label}? This can't be undone."):
        raise typer.Exit(1)
    workbook.close(loaded, wanted)
    out.print(f"{wanted.label} is closed.")


@app.command(
    epilog="Examples: [bold]privacy-metrics registers consents[/bold]; "
    "[bold]privacy-metrics registers --template registers[/bold]"
)
def registers(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; without one, all.")] = None,
    template: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an empty CSV file of each into DIR, to fill in.")
    ] = None,
) -> None:
    """List the registers that show whether promises are kept, with their columns."""
    from . import registers

    if template is not None:
        written = registers.template(template)
        out.print(f"{len(written)} empty registers are in {template}")
        return
    if unknown := sorted(set(names or ()) - set(registers.REGISTERS)):
        raise WorkbookError(f"there is no register {', '.join(unknown)}; there are {', '.join(registers.REGISTERS)}")
    for name in names or registers.REGISTERS:
        about = (registers.REGISTERS[name].__doc__ or "").strip().partition("\n")[0]
        table = Table(title=f"[bold]{name}[/bold]: {about}", title_justify="left", title_style="")
        for heading in ("column", "what it holds", "form"):
            table.add_column(heading, overflow="fold")
        hashed = registers.persons(name)
        for column in registers.columns(name).values():
            form = "any reference; a keyed hash is kept" if column.name in hashed else column.form
            table.add_row(column.name + ("" if column.required else " (may be empty)"), column.doc, form)
        out.print(table)


@app.command(epilog="Example: [bold]privacy-metrics exceptions consent-before-cookies 2026Q3[/bold]")
def exceptions(
    control: Annotated[str, typer.Argument(metavar="CONTROL", help="A control, or the id of a promise.")],
    period: PeriodArg,
    params: ParamsOpt = None,
) -> None:
    """Print which rows of its register break a promise, for the person who is to mend it."""
    from . import controls, workbook

    loaded, wanted = Params.load(params), Period.parse(period)
    known = {name for p in (loaded.notice.promises if loaded.notice else ()) for name in (p.id, p.control)}
    if control not in known:
        has = f"it has {', '.join(sorted(known))}" if known else "there is no notice among the parameters"
        raise WorkbookError(f"no promise of the notice has the id or control {control!r}; {has}")
    if not workbook.is_collected(loaded, wanted):
        raise WorkbookError(f"{wanted.label} is not collected, or closed: run privacy-metrics collect {wanted.label}")
    zone = loaded.confidential(wanted)
    paths = {name: source.path for name, source in loaded.sources.registers.items()}
    if loaded.sources.requests:
        paths["requests"] = loaded.sources.requests.path
    for result in controls.load(zone):
        if control in (result.promise, result.control):
            for layer, found in result.layers.items():
                out.print(
                    f"{result.promise} ({layer}): {found.verdict}; exceptions: {found.exceptions:,} of "
                    f"{result.population:,} cases" + (f"; {result.reason}" if result.reason else "")
                )
    rows = controls.exceptions_of(control, zone)
    if rows.height:
        table = Table()
        for heading in ("promise", "layer", "file", "row", "since"):
            table.add_column(heading, justify="right" if heading == "row" else "left")
        for promise, _, register, row, layer, on in rows.iter_rows():
            table.add_row(promise, layer, paths.get(register, register), str(row), str(on))
        out.print(table)


@app.command(hidden=True)
def version() -> None:
    """Print the version."""
    out.print(__version__)


SHOWN = 100
"""So many findings are listed; the rest are counted."""


def _print_checked(folder: Path, done: Checked) -> None:
    if done.leaks:
        table = Table(title="What must not be there (where it stands, never what it is)", title_justify="left")
        for head in ("file", "place", "kind"):
            table.add_column(head, overflow="fold")
        for leak in done.leaks[:SHOWN]:
            table.add_row(Text(leak.file), Text(leak.place), Text(leak.kind))
        out.print(table)
        if len(done.leaks) > SHOWN:
            out.print(f"and {len(done.leaks) - SHOWN:,} more")
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in done.files.items())
    out.print(
        f"Looked through {sum(done.files.values()):,} files ({kinds}), {done.size:,} bytes, for:", highlight=False
    )
    for what in done.searched:
        out.print(f"  {what}", highlight=False)
    for what, count in done.skipped.items():
        out.print(f"Not looked at: {what} ({count:,})", highlight=False)
    found = f"{len(done.leaks):,} findings in {folder}" if done.leaks else f"Nothing was found in {folder}"
    out.print(found, markup=False, highlight=False)


def _collect(params: Params, period: Period) -> dict:
    from . import collection

    with _bar(f"Collecting {period.label}") as progress:
        return collection.collect(params, period, progress)


def _collect_history(params: Params, period: Period) -> None:
    """Collects the earlier periods of the trend; one whose input is not there is said and left out of the trend."""
    from . import sources, workbook

    for earlier in period.history(params.reports.history)[:-1]:
        try:
            _collect(params, earlier)
        except sources.SourceError as error:
            if not workbook.is_collected(params, earlier):
                err.print(f"[dim]{earlier.label} is not in the trends: {error}[/dim]", highlight=False)


def _prepare(params: Params, period: Period) -> None:
    """Makes the releases of the period, and of the earlier ones of its trends that are collected."""
    from . import workbook

    for one in period.history(params.reports.history):
        if workbook.is_collected(params, one):
            with err.status(f"Protecting the tables of {one.label}") if err.is_terminal else nullcontext():
                workbook.prepare(params, one)


def _print_account(record: dict) -> None:
    account = record["account"]
    table = Table(title=f"What became of every log line of {record['period']}", title_justify="left")
    table.add_column("line")
    table.add_column("lines", justify="right")
    for name, count in account.items():
        if name != "read":
            table.add_row(name, f"{count:,}")
    table.add_section()
    table.add_row("read", f"{account['read']:,}")
    out.print(table)
    for note in [*record["notes"], *record["register_notes"]]:
        out.print(f"Note: {note}")


@contextmanager
def _bar(title: str) -> Iterator:
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TextColumn("{task.fields[lines]:>12,} lines"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as shown:
        task = shown.add_task(title, total=None, lines=0)
        yield lambda done, total, lines: shown.update(task, completed=done, total=total, lines=lines)


@contextmanager
def _steps(title: str, unit: str) -> Iterator:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def main() -> None:
    """Runs the command; an error that the user can mend is printed without a traceback."""
    try:
        app()
    except WorkbookError as error:
        err.print(f"error: {error}", markup=False, highlight=False)
        sys.exit(1)
    except OSError as error:  # the disk is full, a folder is read-only: the file and the reason, no traceback
        err.print(f"error: {error.filename or ''}: {error.strerror or error}", markup=False, highlight=False)
        sys.exit(1)

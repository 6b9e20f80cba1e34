"""The promises of the notice as a report shows them: how many are kept, what changed, the matrix, what is not kept.

Everything here is read from the releases of a workbook and from the notice; text from either is only ever text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import TYPE_CHECKING

from .charts import period_title
from .controls import CONTROLS, VERDICTS, WHOLE
from .disclosure import TOTAL
from .notice import LAYERS, Promise
from .tables import Figure, markdown, number

if TYPE_CHECKING:
    from .workbook import Workbook

NOT_KEPT = ("broken", "no evidence", "at risk")
"""Verdicts that ask for somebody's attention, the worst first."""
_MARKS = {"kept": "✓", "at risk": "!", "broken": "✕", "no evidence": "?", "not applicable": "–"}
_SHORT = {"not applicable": "n/a", "no evidence": "none"}
_WORDS = {"notice": "the notice's words", "law": "the law", "policy": "company policy"}
MEASURE = "measure"
"""Stands where a verdict would, for a control that reports figures and passes none."""


@dataclass(frozen=True)
class Standing:
    """How a promise stands in a period, as released; a count that is withheld is None.

    ``verdicts`` and ``exceptions`` are by layer; ``verdict`` is that on the promise as a whole (``measure``: none is
    passed). ``since`` is the date of the first exception by layer, for the accountable staff. ``evidence`` are the
    registers with the days of their exports; ``reason`` says why there is no evidence, or why it is not whole.
    """

    promise: Promise
    verdict: str
    verdicts: dict[str, str]
    cases: int | None
    exceptions: dict[str, int | None]
    since: dict[str, date]
    evidence: dict[str, date | None]
    reason: str
    figures: dict[str, int | None]
    together: int | None = None
    """For publication: the exceptions in one layer or another."""

    @property
    def most(self) -> int | None:
        """The exceptions of the layer that has most of them, for publication of all layers; None where withheld."""
        if self.together is not None or not self.exceptions:
            return self.together
        counts = list(self.exceptions.values())
        return None if None in counts else max((c for c in counts if c is not None), default=0)


def standings(book: Workbook) -> list[Standing]:
    """Every promise of the notice in the book's period, in the notice's order; empty where the book has no promises."""
    if "promises" not in book.releases or not book.params.notice:
        return []
    verdicts: dict[str, dict[str, str]] = {}
    for promise, layer, verdict in book["promises"].cells.select("promise", "layer", "verdict").iter_rows():
        verdicts.setdefault(promise, {})[layer] = verdict
    cases = _counts(book)
    figures: dict[str, dict[str, int | None]] = {}
    if "promises_figures" in book.releases:
        for what, count in book["promises_figures"].frame.select("figure", "count").iter_rows():
            promise, name = what.split(": ", 1)
            figures.setdefault(promise, {})[name] = count
    since: dict[str, dict[str, date]] = {}
    if "promises_since" in book.releases:
        for promise, layer, day in book["promises_since"].frame.select("promise", "layer", "since").iter_rows():
            since.setdefault(promise, {})[layer] = date.fromisoformat(day)
    evidence: dict[str, dict[str, date | None]] = {}
    for promise, name, day in book["promises_evidence"].frame.select("promise", "register", "as_of").iter_rows():
        evidence.setdefault(promise, {})[name] = None if day == "none" else date.fromisoformat(day)
    reasons = dict(note.split(": ", 1) for note in book["promises"].notes)
    made = []
    for promise in book.params.notice.promises:
        if promise.id not in cases:
            continue  # it was not a promise yet when the period was collected
        found = verdicts.get(promise.id, {})
        counts = cases[promise.id]
        made.append(
            Standing(
                promise, found.pop(WHOLE, MEASURE), found, counts.get(TOTAL),
                {layer: counts.get(f"{layer}: exception") for layer in found}, since.get(promise.id, {}),
                evidence.get(promise.id, {}), reasons.get(promise.id, ""), figures.get(promise.id, {}),
                counts.get("exception"),
            )
        )  # fmt: skip
    return made


def _counts(book: Workbook) -> dict[str, dict[str, int | None]]:
    """By promise and finding, the cases."""
    counts: dict[str, dict[str, int | None]] = {}
    for name in ("promises_people", "promises_things"):
        for promise, what, count in book[name].frame.select("promise", "finding", "cases").iter_rows():
            counts.setdefault(promise, {})[what] = count
    return counts


def history(book: Workbook) -> dict[str, dict[str, Standing]]:
    """By period, oldest first, how each promise stood, by its id; periods without promises are left out."""
    found = {label: {s.promise.id: s for s in standings(one)} for label, one in book.periods().items()}
    return {label: those for label, those in found.items() if those}


@dataclass(frozen=True)
class Change:
    """A promise whose verdict is not what it was in the period before."""

    promise: Promise
    before: str
    now: str

    @property
    def better(self) -> bool:
        """Whether it is not as bad as it was."""
        order = [*NOT_KEPT, "kept", "not applicable"]
        return order.index(self.now) > order.index(self.before)


def changes(book: Workbook) -> tuple[str, list[Change]]:
    """The period before (empty where it is not collected), and the promises whose verdict changed, worst first."""
    before = book.period.previous().label
    found = history(book)
    if before not in found or book.period.label not in found:
        return "", []
    old, made = found[before], []
    for name, now in found[book.period.label].items():
        if name in old and old[name].verdict != now.verdict and MEASURE not in (old[name].verdict, now.verdict):
            made.append(Change(now.promise, old[name].verdict, now.verdict))
    order = [*NOT_KEPT, "kept", "not applicable"]
    return before, sorted(made, key=lambda change: order.index(change.now))


# ---- the first page -------------------------------------------------------------------------------------------------


def cards(book: Workbook) -> list[Figure]:
    """How many promises as a whole are kept, broken, at risk and without evidence, each against the period before."""
    names = {"kept": "Kept", "broken": "Broken", "at risk": "At risk", "no evidence": "Without evidence"}
    now, last = book["promises_verdicts"], book.periods().get(book.period.previous().label)
    before = last["promises_verdicts"] if last and "promises_verdicts" in last.releases else None
    made = []
    for found, name in names.items():
        count, change = now.value("promises", verdict=found) or 0, ""
        if before:
            was = before.value("promises", verdict=found) or 0
            step = f"{count - was:+d}".replace("-", "−").replace("+0", "±0")
            change = f"{step} against {was} in {period_title(before.period)}"
        made.append(Figure(name, number(count), change))
    return made


def verdict(book: Workbook) -> str:
    """One sentence: of how many promises how many are kept, broken, at risk and without evidence."""
    found = book["promises_verdicts"]
    counts = {name: found.value("promises", verdict=name) or 0 for name in VERDICTS}
    whole = sum(counts.values()) - counts["not applicable"]
    rest = ", ".join(f"{counts[v]} {w}" for v, w in (("broken", "broken"), ("at risk", "at risk"),
                                                     ("no evidence", "without evidence")))  # fmt: skip
    return f"Of {whole} promises {counts['kept']} are kept, {rest}"


def said(change: Change) -> str:
    """A change in a few words: ``N07 broken, was kept: <what the exceptions are>``."""
    return f"{change.promise.id} {change.now}, was {change.before}: {_title(change.promise)}"


class changed:
    """What changed since the period before, as a list: what got worse, then what got better."""

    def __init__(self, book: Workbook) -> None:
        self.before, self.changes = changes(book)

    def __repr__(self) -> str:
        return "\n".join(map(said, self.changes)) or "Nothing has changed."

    def _repr_markdown_(self) -> str:
        if not self.before:
            return "The period before is not collected, so no change can be told."
        if not self.changes:
            return f"No verdict is another than in {markdown(period_title(self.before))}."
        parts = []
        for better, head in ((False, "Worse"), (True, "Better")):
            lines = [f"- **{markdown(c.promise.id)} {c.now}**, was {c.before}: {markdown(_title(c.promise))}"
                     for c in self.changes if c.better is better]  # fmt: skip
            if lines:
                parts.append(f"{head} than in {markdown(period_title(self.before))}:\n\n" + "\n".join(lines))
        return "\n\n".join(parts)


# ---- the matrix -----------------------------------------------------------------------------------------------------


class matrix:
    """Every promise on one page: its evidence, cases, exceptions, verdicts, and its verdicts in the periods before."""

    def __init__(self, book: Workbook) -> None:
        self.now = standings(book)
        self.periods = history(book)

    def __repr__(self) -> str:
        return "\n".join(
            f"{s.promise.id}: {s.verdict}; {_exceptions(s)} exceptions of {number(s.cases)} cases; "
            + " ".join(f"{label} {self._was(label, s)}" for label in self.periods)
            for s in self.now
        )

    def _was(self, label: str, standing: Standing) -> str:
        found = self.periods[label].get(standing.promise.id)
        return found.verdict if found else "not applicable"

    def _repr_html_(self) -> str:
        labels = list(self.periods)
        heads = "".join(f'<th scope="col" class="{kind}">{head}</th>' for head, kind in _HEADS.items())
        heads += "".join(f'<th scope="col" class="pm-moved">{escape(label)}</th>' for label in labels)
        rows = "".join(f"<tr>{self._row(s, labels)}</tr>" for s in self.now)
        legend = ", ".join(f"{mark} {name}" for name, mark in _MARKS.items())
        note = (
            f"{legend}. The marks are those of a promise as a whole: the worst of its verdicts. A promise without a "
            "verdict reports figures; of the verdicts, none is short for no evidence."
        )
        return (
            f'<style>{_STYLE}</style><table class="pm-matrix"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>'
            f'</table><p class="pm-note">{escape(note)}</p>'
        )

    def _row(self, s: Standing, labels: list[str]) -> str:
        cells = [
            f'<th scope="row">{escape(s.promise.id)}</th>',
            f"<td>{escape(_cut(s.promise.quote or f'({s.promise.law})', 62))}</td>",
            f"<td>{escape(', '.join(name.replace('_', ' ') for name in s.evidence))}</td>",
            f'<td class="number">{number(s.cases)}</td>',
            f'<td class="number">{_exceptions(s) if s.verdicts else ""}</td>',
        ]
        for layer in LAYERS:
            found = s.verdicts.get(layer, "")
            words = _SHORT.get(found, found) or (MEASURE if layer == "notice" and not s.verdicts else "")
            cells.append(f'<td class="pm-verdict {_class(found)}">{words}</td>')
        for label in labels:
            was = self._was(label, s) if s.verdicts else ""
            mark = f'{_MARKS[was]}<span class="pm-hidden"> {was}</span>' if was else ""
            cells.append(f'<td class="pm-moved {_class(was)}">{mark}</td>')
        return "".join(cells)


_HEADS = {
    "Promise": "pm-id", "What the notice says": "pm-quote", "Evidence": "pm-evidence", "Cases": "number",
    "Exceptions": "number", "Notice": "pm-verdict", "Law": "pm-verdict", "Policy": "pm-verdict",
}  # fmt: skip


def _exceptions(standing: Standing) -> str:
    return "withheld" if standing.most is None else number(standing.most)


def _class(verdict: str) -> str:
    return f"pm-{verdict.replace(' ', '-')}" if verdict else ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rsplit(" ", 1)[0] + " …"


_STYLE = """
.pm-matrix{width:100%;border-collapse:collapse;font-size:12px;line-height:1.25}
.pm-matrix th,.pm-matrix td{padding:2px 5px;text-align:left!important;border-bottom:1px solid #D9DEE4}
.pm-matrix .number{text-align:right!important}.pm-matrix .pm-moved{text-align:center!important}
.pm-hidden{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.pm-broken{color:#A13D00;font-weight:bold}.pm-at-risk{color:#7A5600;font-weight:bold}
.pm-no-evidence{color:#5B3A8C;font-weight:bold}.pm-kept{color:#00664A}.pm-not-applicable{color:#52606D}
""".strip().replace("\n", "")


# ---- what is not kept -----------------------------------------------------------------------------------------------


class sections:
    """A section for each promise that is broken, without evidence or at risk: what, since when, how many, the trend,
    and what the notice says."""

    def __init__(self, book: Workbook) -> None:
        self.period = book.period.label
        self.periods = history(book)
        found = [s for s in standings(book) if s.verdict in NOT_KEPT]
        self.shown = sorted(found, key=lambda s: NOT_KEPT.index(s.verdict))

    def __repr__(self) -> str:
        return "\n".join(f"{s.promise.id}: {s.verdict}; {_title(s.promise)}" for s in self.shown) or "None."

    def _repr_markdown_(self) -> str:
        return "\n\n".join(map(self._section, self.shown)) or "Every promise is kept."

    def _section(self, s: Standing) -> str:
        promise = s.promise
        parts = [f"### {markdown(promise.id)} {s.verdict}: {markdown(_title(promise))}"]
        if promise.quote:
            parts.append(f"> {markdown(promise.quote)}\n>\n> *The notice, {markdown(promise.section)}*")
        parts.append("\n".join(f"- {line}" for line in self._facts(s)))
        parts.append(self._trend(s))
        return "\n\n".join(parts)

    def _facts(self, s: Standing) -> Iterable[str]:
        for layer, found in s.verdicts.items():
            law = f" ({markdown(s.promise.law)})" if layer == "law" and s.promise.law else ""
            count = s.exceptions[layer]
            line = f"By {_WORDS[layer]}{law}: **{found}**"
            if (found == "broken" or count) and s.together is None:
                line += f", {number(count)} of {number(s.cases)} cases"
            if day := s.since.get(layer):
                line += f", the first on {_day(day)}"
            yield line
        if s.promise.tolerance:
            yield f"Tolerance: {100 * s.promise.tolerance:g} % of the cases (never of the law's)"
        if s.verdict == "at risk" and not s.reason:
            soon = f"a due date falls within {s.promise.warning} days of the period's end"
            risk = CONTROLS[s.promise.control].risk
            yield f"At risk: {risk}, or {soon}" if risk else f"At risk: {soon}"
        if s.reason:
            yield f"Evidence: {markdown(s.reason)}"
        dated = (f"{markdown(name)} ({'not given' if day is None else _day(day)})" for name, day in s.evidence.items())
        yield f"Registers, and the days of their export: {', '.join(dated)}"
        if s.promise.owner:
            yield f"Owner: {markdown(s.promise.owner)}"
        if any(s.exceptions.values()) and s.since:
            command = f"privacy-metrics exceptions {s.promise.id} {self.period}"
            yield f"Which rows to mend: `{command}`, for those who may read the register"

    def _trend(self, s: Standing) -> str:
        layers = list(s.verdicts)
        head = ["Period", "Cases", *(f"Exceptions, {layer}" for layer in layers), "Verdict"]
        rows = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
        for label, those in self.periods.items():
            was = those.get(s.promise.id)
            if was:
                counts = [number(was.exceptions.get(layer, 0)) for layer in layers]
                cells = [period_title(label), number(was.cases), *counts, was.verdict]
                rows.append(f"| {' | '.join(map(markdown, cells))} |")
        return "\n".join(rows)


# ---- figures without a verdict --------------------------------------------------------------------------------------


class measures:
    """The figures of the promises that pass no verdict, period by period; a part of another figure with its share."""

    def __init__(self, book: Workbook) -> None:
        self.periods = history(book)
        self.shown = [s for s in standings(book) if s.verdict == MEASURE]

    def __repr__(self) -> str:
        return "\n".join(f"{s.promise.id}: {n} {number(count)}" for s in self.shown for n, count in s.figures.items())

    def _repr_markdown_(self) -> str:
        return "\n\n".join(map(self._section, self.shown)) or "There are none."

    def _section(self, s: Standing) -> str:
        labels = list(self.periods)
        rows = [f"| {' | '.join(['Figure', *map(period_title, labels)])} |", f"| --- |{' ---: |' * len(labels)}"]
        for name in s.figures:
            counts = [_part(name, self._was(label, s)) for label in labels]
            rows.append(f"| {' | '.join([markdown(name), *counts])} |")
        head = f"**{markdown(s.promise.id)}** {markdown(_title(s.promise))}"
        return f"{head}\n\n> {markdown(s.promise.quote or '')}\n\n" + "\n".join(rows)

    def _was(self, label: str, standing: Standing) -> dict[str, int | None]:
        found = self.periods[label].get(standing.promise.id)
        return found.figures if found else {}


def _part(name: str, figures: dict[str, int | None]) -> str:
    """A figure, and its share of the one that it is a part of, or its average over the one that it is a sum over; a
    dash where the period has none."""
    if name not in figures:
        return "–"
    known = {one.partition(" of ")[0]: count for one, count in figures.items()}
    count, all_, over = figures[name], known.get(name.partition(" of ")[2]), known.get(name.partition(" per ")[2])
    if count is not None and over:
        return f"{number(count)} ({count / over:.1f} each)"
    return number(count) + (f" ({100 * count / all_:.0f} %)" if count is not None and all_ else "")


def _title(promise: Promise) -> str:
    return CONTROLS[promise.control].exceptions


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"

"""The promises for other programs: ``controls.json`` with its JSON Schema, and OSCAL assessment results.

Both say what the reports say, from the same releases; a count that is withheld is null. Nothing depends on a clock.
OSCAL is NIST's language for assessments. What is written is meant for the version that it names, 1.1.3: the sample's
results were read without fault by compliance-trestle 3.9.0, whose models are made from that version and refuse a field
that is unknown, missing or of another code. What they let pass, times and empty lists, the tests hold to the data types
of the version's JSON schema.
"""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from . import __version__, promises
from .controls import CONTROLS, VERDICTS
from .notice import Layer

if TYPE_CHECKING:
    from .workbook import Workbook

Verdict = Literal["kept", "at risk", "broken", "no evidence", "not applicable", "measure"]
SCHEMA = "https://json-schema.org/draft/2020-12/schema"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Layered(_Part):
    """What one layer has to say: the notice's words, the law, or company policy."""

    verdict: Verdict
    exceptions: int | None = Field(description="cases that are exceptions; null: withheld")
    since: date | None = Field(description="the first exception's date; null: none, or not for publication")


class Evidence(_Part):
    """A register that the control reads."""

    register_: str = Field(alias="register", serialization_alias="register")
    exported_on: date | None = Field(description="null: there is no such register")


class Past(_Part):
    """The verdict on the promise as a whole in a period."""

    period: str
    verdict: Verdict


class Promised(_Part):
    """A promise and how it fared."""

    id: str
    section: str
    quote: str | None = Field(description="the notice's words; null: a duty that only the law knows")
    law: str | None
    strength: Literal["unconditional", "hedged", "information"]
    owner: str
    control: str
    exceptions_are: str
    verdict: Verdict = Field(description="the worst of the layers' verdicts; measure: the control passes none")
    layers: dict[Layer, Layered]
    cases: int | None = Field(description="the population; null: withheld")
    tolerance: float
    evidence: list[Evidence]
    reason: str = Field(description="why there is no evidence, or why it is not whole; empty otherwise")
    figures: dict[str, int | None]
    history: list[Past] = Field(description="this period and those before it, oldest first")


class Changed(_Part):
    """A promise whose verdict is not what it was in the period before."""

    promise: str
    before: Verdict
    now: Verdict


class Document(_Part):
    """The promises of a privacy notice and what was found of each in one period."""

    organisation: str
    period: str
    notice_version: str
    audience: Literal["internal", "public"]
    verdicts: dict[Literal["kept", "at risk", "broken", "no evidence", "not applicable"], int]
    promises: list[Promised]
    compared_with: str | None = Field(description="the period before; null: it is not collected")
    changes: list[Changed]


def document(book: Workbook) -> Document:
    """The content of ``controls.json``; raises ValueError for a book without a notice."""
    notice = book.params.notice
    if notice is None:
        raise ValueError("no notice is given, so there are no promises to tell of")
    past = promises.history(book)
    before, changes = promises.changes(book)
    made = []
    for s in promises.standings(book):
        p = s.promise
        layers = {
            layer: Layered.model_validate(
                {"verdict": found, "exceptions": s.exceptions[layer], "since": s.since.get(layer)}
            )
            for layer, found in s.verdicts.items()
        }
        made.append(Promised.model_validate({
            "id": p.id, "section": p.section, "quote": p.quote, "law": p.law, "strength": p.strength, "owner": p.owner,
            "control": p.control, "exceptions_are": CONTROLS[p.control].exceptions, "verdict": s.verdict,
            "layers": layers, "cases": s.cases, "tolerance": p.tolerance,
            "evidence": [{"register": name, "exported_on": day} for name, day in s.evidence.items()],
            "reason": s.reason, "figures": s.figures,
            "history": [{"period": label, "verdict": those[p.id].verdict} for label, those in past.items()
                        if p.id in those],
        }))  # fmt: skip
    counts = {name: book["promises_verdicts"].value("promises", verdict=name) or 0 for name in VERDICTS}
    return Document.model_validate({
        "organisation": book.params.organisation.name, "period": book.period.label, "notice_version": notice.version,
        "audience": book.params.disclosure.audience, "verdicts": counts, "promises": made,
        "compared_with": before or None,
        "changes": [{"promise": c.promise.id, "before": c.before, "now": c.now} for c in changes],
    })  # fmt: skip


def schema() -> dict[str, Any]:
    """The JSON Schema of ``controls.json``."""
    made = Document.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": SCHEMA, "$id": "controls.schema.json"} | made


# ---- OSCAL ----------------------------------------------------------------------------------------------------------

OSCAL = "1.1.3"
_SPACE = uuid.UUID("6f3f2c0e-4f0b-5a52-9d3c-0a4e3f6f2b11")
"""Names are hashed within this space: the same promise in the same period has the same identifier."""
NAMESPACE = "https://privacy-metrics.example/ns/oscal"
"""Of the properties that OSCAL does not know."""


def oscal(book: Workbook) -> dict[str, Any]:
    """OSCAL assessment results: an observation for each promise, and a finding for each that has a verdict.

    A promise is ``satisfied`` when it is kept, and ``not-satisfied`` when it is broken, at risk or without evidence;
    the finding's title says which. One that is not applicable has an observation alone.
    """
    told = document(book)
    zone = ZoneInfo(book.params.organisation.time_zone)
    days = [one.exported_on for p in told.promises for one in p.evidence if one.exported_on]
    seen = _moment(max(days, default=book.period.end), zone)

    def name(*parts: str) -> str:
        return str(uuid.uuid5(_SPACE, "\0".join((told.organisation, told.period, *parts))))

    observations, findings = [], []
    for p in told.promises:
        observations.append({
            "uuid": name("observation", p.id), "title": f"{p.id}: {p.exceptions_are}",
            "description": p.quote or p.law or p.id, "methods": ["TEST"],
            "props": _props({
                "verdict": p.verdict, "control": p.control, "owner": p.owner, "cases": p.cases,
                **{f"{layer}-verdict": one.verdict for layer, one in p.layers.items()},
                **{f"{layer}-exceptions": one.exceptions for layer, one in p.layers.items()},
                **{f"{layer}-since": one.since for layer, one in p.layers.items()},
                **{f"figure-{figure.replace(' ', '-')}": count for figure, count in p.figures.items()},
            }),
            "relevant-evidence": [
                {"description": f"register {one.register_}"
                 + (f", exported on {one.exported_on}" if one.exported_on else ", not given")} for one in p.evidence
            ],
            "collected": seen,
        } | ({"remarks": p.reason} if p.reason else {}))  # fmt: skip
        if p.verdict in ("measure", "not applicable"):
            continue
        findings.append({
            "uuid": name("finding", p.id), "title": f"{p.id} {p.verdict}",
            "description": f"{p.exceptions_are}: {p.verdict}",
            "target": {
                "type": "objective-id", "target-id": _token(p.id),
                "status": {"state": "satisfied" if p.verdict == "kept" else "not-satisfied",
                           "reason": {"kept": "pass", "broken": "fail"}.get(p.verdict, "other")},
            },
            "related-observations": [{"observation-uuid": name("observation", p.id)}],
        })  # fmt: skip
    notice = name("notice")
    return {"assessment-results": {
        "uuid": name("assessment-results"),
        "metadata": {
            "title": f"Promises of the privacy notice of {told.organisation}, {book.period.title}",
            "last-modified": seen, "version": told.period, "oscal-version": OSCAL,
            "props": _props({"made-with": f"privacy-metrics {__version__}", "audience": told.audience}),
        },
        "import-ap": {"href": f"#{notice}", "remarks": "The plan is the notice's section of the parameters."},
        "results": [{
            "uuid": name("result"), "title": book.period.title,
            "description": promises.verdict(book), "start": _moment(book.period.first, zone),
            "end": _moment(book.period.end, zone, before=True),
            "reviewed-controls": {"control-selections": [
                {"include-controls": [{"control-id": _token(p.id)} for p in told.promises]}
            ]},
            "observations": observations,
        } | ({"findings": findings} if findings else {})],
        "back-matter": {"resources": [{
            "uuid": notice, "title": f"Privacy notice, version {told.notice_version}",
            "description": book.params.notice.source if book.params.notice else "",
        }]},
    }}  # fmt: skip


def _moment(day: date, zone: ZoneInfo, before: bool = False) -> str:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (midnight - timedelta(seconds=1) if before else midnight).isoformat()


def _token(text: str) -> str:
    """An OSCAL token begins with a letter or an underscore; the other characters of a promise's id it allows."""
    return text if text[0].isalpha() else f"_{text}"


def _props(values: dict[str, Any]) -> list[dict[str, str]]:
    """A property's value is one line with no space around it; one that is empty is left out."""
    told = {n: " ".join(str(v).split()) for n, v in values.items() if v is not None}
    return [{"name": n, "ns": NAMESPACE, "value": value} for n, value in told.items() if value]


# ---- files ----------------------------------------------------------------------------------------------------------


def write(book: Workbook, folder: Path) -> list[Path]:
    """``controls.json``, ``controls.schema.json`` and ``controls-oscal.json``; none for a book without a notice."""
    if not promises.standings(book):
        return []
    content = {
        "controls.json": document(book).model_dump(mode="json", by_alias=True),
        "controls.schema.json": schema(),
        "controls-oscal.json": oscal(book),
    }
    made = []
    for name, value in content.items():
        path = folder / name
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
        made.append(path)
    return made

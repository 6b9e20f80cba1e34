"""An authority's exemption of audience measurement from consent: each condition with the value in force and its proof.

The list of conditions is the section ``exemption`` of the parameters. A check is a small function that looks at what is
collected and released, and not at what was meant; the checks are a registry, and one fits every authority's list that
asks the same. ``stated`` is the one that can't look: it repeats what the company declares, and says so.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from . import exclusions, geography, registers
from .disclosure import Audit, Cells, Release
from .params import Condition, Params, ParamsError, Period

if TYPE_CHECKING:
    from .workbook import Workbook

FINDINGS = ("holds", "does not hold", "no evidence", "stated")


@dataclass(frozen=True)
class Facts:
    """What a check may look at: what was collected of the period, and what was released of it."""

    params: Params
    period: Period
    zone: Path
    """The period's folder in the confidential zone."""
    frames: Mapping[str, pl.DataFrame]
    record: Mapping[str, Any]
    tables: Sequence[Cells]
    releases: Mapping[str, Release]
    audit: Audit | None

    def register(self, schema: str) -> pl.DataFrame | None:
        """The rows of the registers with this schema; None where none is given or can be read."""
        names = [name for name, kind in self.params.sources.schemas().items() if kind == schema]
        paths = [path for name in names if (path := self.zone / f"register_{name}.parquet").is_file()]
        return pl.concat([pl.read_parquet(path) for path in paths]) if paths else None

    def kept(self) -> list[str]:
        """The columns of what is collected of a person, each once."""
        return sorted({column for frame in self.frames.values() for column in frame.columns})

    def texts(self) -> pl.Series:
        """Every distinct text in what is collected."""
        found = [
            frame[column].cast(pl.String).unique()
            for frame in self.frames.values()
            for column, dtype in frame.schema.items()
            if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)
        ]
        return pl.concat(found).drop_nulls().unique().sort() if found else pl.Series([], dtype=pl.String)


@dataclass(frozen=True)
class Shown:
    """The value in force, what proves it, and whether the condition holds (None: there is no evidence)."""

    value: str
    proof: str
    holds: bool | None


@dataclass(frozen=True)
class Check:
    name: str
    options: type[BaseModel]
    look: Callable[..., Shown]


CHECKS: dict[str, Check] = {}
"""Every check by name."""


def check(name: str) -> Any:
    """Registers a function of ``Facts`` as the check ``name``; its keyword arguments are its options."""

    def register(look: Callable[..., Shown]) -> Callable[..., Shown]:
        signature = inspect.signature(look, eval_str=True).parameters.values()
        given = {
            p.name: (p.annotation, ... if p.default is p.empty else p.default)
            for p in signature
            if p.kind is p.KEYWORD_ONLY
        }
        options = create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **given)  # type: ignore[call-overload]
        CHECKS[name] = Check(name, options, look)
        return look

    return register


def fault(condition: Condition) -> str:
    """What is wrong with how a condition is to be shown; empty if nothing."""
    found = CHECKS.get(condition.check)
    if found is None:
        return f"check is {condition.check!r}; there is no such check; there are {', '.join(CHECKS)}"
    try:
        found.options(**condition.options)
    except ValidationError as error:
        first = error.errors()[0]
        return f"options.{'.'.join(map(str, first['loc']))}: {first['msg']}; the check {found.name} has " + (
            ", ".join(found.options.model_fields) or "none"
        )
    return ""


def table(facts: Facts) -> Cells:
    """The conditions with what was found, as a table: it tells of fields, limits and counts of lines, and of nobody."""
    assert facts.params.exemption is not None
    rows = []
    for condition in facts.params.exemption.conditions:
        found = CHECKS[condition.check]
        shown = found.look(facts, **found.options(**condition.options).model_dump())
        finding = {True: "holds", False: "does not hold", None: "no evidence"}[shown.holds]
        rows.append((condition.id, "stated" if found.name == "stated" else finding, shown.value, shown.proof, 1))
    names = ("condition", "finding", "value", "proof")
    frame = pl.DataFrame(rows, schema={**dict.fromkeys(names, pl.String), "conditions": pl.Int64}, orient="row")
    title = facts.params.exemption.title
    return Cells("exemption", title, facts.period.label, names, ("conditions",), frame)


# ---- the checks -----------------------------------------------------------------------------------------------------


@check("purpose")
def purpose(facts: Facts, *, activities: tuple[str, ...], purposes: tuple[str, ...]) -> Shown:
    """The record of processing activities has the measurement with these purposes and no other."""
    rows = facts.register("processing_activities")
    if rows is None:
        return Shown("not known", "no record of processing activities is given", None)
    period = facts.period
    rows = rows.filter(
        pl.col("activity_id").is_in(activities), pl.col("active_from") <= period.last,
        pl.col("active_until").is_null() | (pl.col("active_until") >= period.first),
    )  # fmt: skip
    found = sorted(rows["purpose"].fill_null("none").unique())
    proof = f"rows of {', '.join(activities)} in the record of processing activities in the period: {rows.height:,}"
    return Shown(", ".join(found) or "not known", proof, set(found) <= set(purposes) if found else None)


def people_shown(cells: Cells, release: Release) -> pl.Series:
    """The people in each cell of a table that its release shows, but for empty ones."""
    open_ = release.frame.filter(~pl.col("withheld")).select(cells.dimensions)
    people = cells.frame.filter(pl.col("people") > 0)
    return (people.join(open_, on=list(cells.dimensions), how="semi") if cells.dimensions else people)["people"]


@check("anonymous-statistics")
def anonymous_statistics(facts: Facts) -> Shown:
    """Every published cell of the usage tables is about as many people as the policy says, or has noise."""
    threshold = facts.params.disclosure.limits["threshold"]
    fewest, shown = None, 0
    usage = {spec.name for spec in facts.params.tables}
    for cells in (c for c in facts.tables if c.name in usage):
        people = people_shown(cells, facts.releases[cells.name])
        shown += people.len()
        least = people.min()
        if isinstance(least, int):
            fewest = least if fewest is None else min(fewest, least)
    noisy = sum(bool(spec.noise) for spec in facts.params.tables)
    value = f"a cell is published from {threshold} people on" + (f"; {noisy} tables have noise" if noisy else "")
    proof = f"{shown:,} published cells looked at: the fewest people in one are {fewest}"
    if facts.audit:
        proof += f"; an attack on {facts.audit.values:,} withheld values told none more closely than is allowed"
    return Shown(value, proof, fewest >= threshold if fewest is not None else (True if noisy else None))


@check("no-joins")
def no_joins(facts: Facts) -> Shown:
    """No key of the usage data stands in a register: the two can't be joined."""
    visitors = facts.frames["sessions"].select("visitor").unique()
    references = pl.concat(
        [pl.Series("visitor", [], dtype=pl.UInt64)]
        + [
            frame[column].drop_nulls().unique().alias("visitor")
            for schema in registers.REGISTERS
            if (frame := facts.register(schema)) is not None
            for column in registers.persons(schema)
        ]
    ).unique()
    both = visitors.join(references.to_frame(), on="visitor", how="semi").height
    proof = f"{both:,} of {visitors.height:,} visitor keys are among the {references.len():,} references to people in "
    return Shown(
        "usage and registers have keys of their own", proof + f"the {len(facts.record['registers']):,} registers",
        both == 0,
    )  # fmt: skip


@check("own-site")
def own_site(facts: Facts) -> Shown:
    """Of other sites only the host name is kept from which somebody came; a key follows nobody to another site."""
    sites = facts.frames["sessions"]["referrer_site"].cast(pl.String).drop_nulls().unique()
    wrong = sites.filter(sites.str.contains(r"[/?#@]")).len()
    hosts = ", ".join(facts.params.service.hosts) or "the logs' own"
    proof = f"{sites.len():,} referring sites are kept, {wrong:,} of them with more than a host name"
    return Shown(f"measured hosts: {hosts}", proof, wrong == 0)


@check("tracker-lifetime")
def tracker_lifetime(facts: Facts, *, most_months: int, cookies: tuple[str, ...] = ()) -> Shown:
    """The measurement's cookies live no longer; without any, a visitor's key ends with its period."""
    if not cookies:
        keys = [path.read_bytes() for path in sorted(facts.zone.parent.glob("*/key"))]
        distinct = len({hashlib.sha256(key).digest() for key in keys})
        value = f"no tracker is set; a visitor's key lives for one {facts.period.kind}"
        proof = f"the keys of {len(keys):,} periods that are not closed: {distinct:,} different ones"
        return Shown(value, proof, distinct == len(keys) and facts.period.months <= most_months)
    scans = facts.register("cookie_scans")
    if scans is None:
        return Shown("not known", "no scan of the cookies is given", None)
    seen = scans.filter(
        pl.col("cookie").is_in(cookies), pl.col("scanned_on").is_between(facts.period.first, facts.period.last)
    )
    if not seen.height or seen["lifetime_days"].null_count():
        return Shown("not known", f"{seen.height:,} scans of the period show it, or not its lifetime", None)
    end = pl.col("scanned_on") + pl.duration(days=pl.col("lifetime_days"))
    late = seen.filter(end > pl.col("scanned_on").dt.offset_by(f"{most_months}mo")).height
    value = f"at most {seen['lifetime_days'].max():,} days ({', '.join(cookies)})"
    proof = f"{seen.height:,} findings of the scans of the period, {late:,} with more than {most_months} months"
    return Shown(value, proof, late == 0)


@check("data-lifetime")
def data_lifetime(facts: Facts, *, most_months: int) -> Shown:
    """From the oldest session, and the oldest daily log, to the end of the period."""
    known = [path.parent.name for path in sorted(facts.zone.parent.glob("*/key"))]
    open_ = [one for one in map(_period, known) if one and one.first <= facts.period.last]
    days = {f"sessions of {min(open_).label}": min(open_).first}
    logs = [day for source in facts.params.sources.technical for day in _dated(facts.params, source)]
    if logs:
        days["daily logs"] = min(logs)
    ages = {name: _months(day, facts.period.end) for name, day in days.items()}
    value = f"at most {max(ages.values())} months at the period's end"
    proof = "; ".join(f"the oldest {name}: since {days[name]}" for name in days)
    return Shown(value, proof, max(ages.values()) <= most_months)


def _period(label: str) -> Period | None:
    try:
        return Period.parse(label)
    except ParamsError:
        return None


def _dated(params: Params, source: Any) -> list[date]:
    """The days of which a log lies there, where the log's name has the day."""
    path = getattr(source, "path", "")
    if "{date}" not in path:
        return []
    whole = params.path(path.replace("{date}", "*"))
    anchor = Path(whole.anchor)
    names = (p.name for p in anchor.glob(str(whole.relative_to(anchor))))
    return [date.fromisoformat(found[0]) for name in names if (found := re.search(r"\d{4}-\d\d-\d\d", name))]


def _months(first: date, end: date) -> int:
    """Months begun from ``first`` to the day before ``end``."""
    return 12 * (end.year - first.year) + end.month - first.month + (end.day > first.day)


@check("address-truncation")
def address_truncation(facts: Facts, *, ipv4_bits: int, ipv6_bits: int) -> Shown:
    """So many bits of an address are used at most, and no address is kept at all."""
    used = facts.params.disclosure
    texts = facts.texts()
    addresses = sum(geography.is_address(text) for text in texts)
    value = f"{used.ipv4_bits} bits of IPv4, {used.ipv6_bits} bits of IPv6"
    proof = f"{addresses:,} of {texts.len():,} different texts in what is collected are addresses"
    return Shown(value, proof, used.ipv4_bits <= ipv4_bits and used.ipv6_bits <= ipv6_bits and addresses == 0)


PLACES = ("address", "postcode", "city", "country", "region")
"""Fields that say where somebody is, the finest first."""


@check("finest-geography")
def finest_geography(facts: Facts, *, finest: str) -> Shown:
    """No field of what is collected says more closely where somebody is."""
    fields = [name for name in PLACES if name in facts.kept()]
    value = fields[0] if fields else "none"
    proof = f"fields of what is collected that say where somebody is: {', '.join(fields) or 'none'}"
    return Shown(value, proof, all(PLACES.index(name) >= PLACES.index(finest) for name in fields))


@check("objections")
def objections(facts: Facts) -> Shown:
    """Nothing is collected of accounts whose owners objected, from that day on."""
    if exclusions.REGISTER not in facts.params.sources.schemas().values():
        return Shown("not known", f"no register {exclusions.REGISTER} is given", None)
    account, found = facts.record["account"], facts.record["excluded"]
    lines = sum(account[reason] for reason in exclusions.REASONS)
    proof = f"{found['spans']:,} exclusions in force in the period; {found['remaining']:,} lines of theirs are left"
    return Shown(f"{lines:,} log lines left out", proof, found["remaining"] == 0)


@check("stated")
def stated(facts: Facts, *, value: str, proof: str) -> Shown:
    """What the company declares, where nothing that is collected could show it."""
    return Shown(value, proof, None)


# ---- the page -------------------------------------------------------------------------------------------------------


def verdict(book: Workbook) -> str:
    """One sentence: how many of the conditions hold."""
    found = book["exemption"].frame["finding"].to_list()
    rest = ", ".join(f"{found.count(name)} {name}" for name in FINDINGS[1:] if found.count(name))
    return f"{found.count('holds')} of {len(found)} conditions hold" + (f"; {rest}" if rest else "")


class conditions:
    """Every condition with its words, the value in force, the proof and the finding, as a table."""

    def __init__(self, book: Workbook) -> None:
        spec = book.params.exemption
        told = {c.id: c.says for c in spec.conditions} if spec else {}
        self.source = f"{spec.authority}: {spec.source}" if spec else ""
        self.rows: list[tuple[str, str, str, str]] = [
            (told.get(name) or str(name), value, proof, finding)
            for name, finding, value, proof in book["exemption"].frame.drop("conditions", "withheld").iter_rows()
        ]

    def __repr__(self) -> str:
        return "\n".join(f"{finding}: {says} {value} ({proof})" for says, value, proof, finding in self.rows)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{h}</th>' for h in ("Condition", "In force", "Proof", "Finding"))
        kinds = {"holds": "pm-kept", "does not hold": "pm-broken", "no evidence": "pm-no-evidence"}
        body = "".join(
            f'<tr><th scope="row" class="pm-says">{escape(says)}</th><td>{escape(value)}</td><td>{escape(proof)}</td>'
            f'<td class="pm-finding {kinds.get(finding, "pm-stated")}">{finding}</td></tr>'
            for says, value, proof, finding in self.rows
        )
        return (
            f'<table class="pm-conditions"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
            f'<p class="pm-note">{escape(self.source)}</p>'
        )

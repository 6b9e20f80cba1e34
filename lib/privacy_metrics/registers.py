"""The registers that show whether a promise is kept: each one schema, declared once, and one reader for all of them.

A schema is the documentation of its register: the class says what a row is, each column what it means. Only a schema's
columns are read; none of them holds a name or free text. Columns marked as a person's are replaced by a keyed hash as
they are read. ``REGISTERS`` has every schema by name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl

from . import requests, sources
from .params import Params, Period
from .requests import Column, checked, mapping_of, read_frame
from .requests.register import ROW

Kind = Literal["code", "codes", "person", "enum", "country", "boolean", "date", "time", "number"]


class Register(dy.Schema):
    """What every register has: the row in its source."""

    row = dy.UInt32(description="the row in the source, as a spreadsheet counts: the header is row 1")


def _code(doc: str, required: bool = False, key: bool = False) -> dy.Column:
    return dy.String(nullable=not required, description=doc, metadata={"kind": "code", "key": key})


def _codes(doc: str) -> dy.Column:
    return dy.List(dy.String(nullable=True), nullable=True, description=doc, metadata={"kind": "codes"})


def _person(doc: str, required: bool = True, key: bool = False) -> dy.Column:
    """A reference to a person, or to a record of one: what is kept is a keyed hash of it."""
    return dy.UInt64(nullable=not required, description=doc, metadata={"kind": "person", "key": key})


def _enum(doc: str, allowed: Iterable[str], required: bool = False) -> dy.Column:
    return dy.Enum(list(allowed), nullable=not required, description=doc, metadata={"kind": "enum"})


def _country(doc: str) -> dy.Column:
    return dy.String(nullable=True, description=doc, metadata={"kind": "country"})


def _boolean(doc: str, required: bool = False) -> dy.Column:
    return dy.Bool(nullable=not required, description=doc, metadata={"kind": "boolean"})


def _date(doc: str, required: bool = False) -> dy.Column:
    return dy.Date(nullable=not required, description=doc, metadata={"kind": "date"})


def _time(doc: str, required: bool = False) -> dy.Column:
    return dy.Datetime(nullable=not required, time_zone="UTC", description=doc, metadata={"kind": "time"})


def _number(doc: str, required: bool = False) -> dy.Column:
    return dy.Int64(nullable=not required, description=doc, metadata={"kind": "number"})


def _in_order(*columns: str) -> Any:
    """A rule: where they are given, the first column's date is not after the second one's."""
    first, second = columns

    def rule(cls: type[Register]) -> pl.Expr:
        return (pl.col(first) <= pl.col(second)).fill_null(True)

    return dy.rule()(rule)


GROUPS = requests.SUBJECT_GROUPS
MESSAGES = ("marketing", "newsletter", "service")
DIRECT_MARKETING = "direct_marketing"
"""The purpose under which an opt-out from direct marketing stands in the register of consents, as ``denied``."""


# ---- rights ---------------------------------------------------------------------------------------------------------


class Requests(Register):
    """The register of data-subject requests, one row per request line; ``privacy_metrics.requests.SCHEMA``.

    It is read by ``sources.requests``. The request's id is a keyed hash here, to find its row in ``request_handling``.
    """

    request_id = _person("the request line", key=True)
    received_on = _date("when it reached the controller", required=True)
    subject_group = _enum("which group of people the person belongs to", GROUPS, required=True)
    right = _enum("the right that is exercised", requests.RIGHTS, required=True)
    role = _enum("processor: about data held for a customer", ("controller", "processor"), required=True)
    state = _enum("where it stands", requests.SCHEMA["state"].allowed, required=True)
    outcome = _enum("how it ended; empty while open", requests.OUTCOMES)
    reason_code = _enum("the ground of a refusal, in whole or in part", requests.REASON_CODES)
    identity_requested_on = _date("information to confirm the identity was asked for")
    identity_received_on = _date("and arrived")
    clarification_requested_on = _date("the person was asked to specify the request")
    clarification_received_on = _date("and did")
    extension_notified_on = _date("the person was told of the extension")
    extension_reasons_given = _boolean("with the reasons for it")
    decided_on = _date("the decision was taken")
    response_sent_on = _date("the person was answered")
    executed_on = _date("what was granted was carried out")
    response_format = _enum("how the answer was given", ("electronic", "paper"))
    reasons_given = _boolean("a refusal named its reasons")
    complaint_right_given = _boolean("a refusal named the right to complain")
    remedy_given = _boolean("a refusal named the judicial remedy")
    escalated = _boolean("the case was escalated")


class RequestHandling(Register):
    """What the register of requests does not say of a request line: one row per line that there is more to say of."""

    request_id = _person("the request line, as in the register of requests", key=True)
    forwarded_on = _date("a request about data held for a customer was passed to that customer")
    data_held = _boolean("the person was told whether data about them is held: true yes, false no, empty not told")
    copy_sent = _boolean("a copy of the data was sent")
    machine_readable = _boolean("in a structured, commonly used, machine-readable format (GDPR Art. 20(1))")
    recipients_notified_on = _date("recipients were told of a rectification, erasure or restriction (Art. 19)")
    compelling_grounds = _boolean("a refused objection: compelling legitimate grounds are recorded (Art. 21(1))")
    evidence_kept = _boolean("a request found unfounded or excessive: the evidence is kept (Art. 12(5))")


class Restrictions(Register):
    """A restriction of processing that was granted (GDPR Art. 18): one row per restriction."""

    request_id = _person("the request line that asked for it", key=True)
    ground = _enum(
        "Art. 18(1)(a) to (d)", ("accuracy_contested", "unlawful", "legal_claims", "objection_pending")
    )  # fmt: skip
    restricted_on = _date("from this day on the data is only stored", required=True)
    lifted_on = _date("the restriction ended")
    told_before_lift_on = _date("the person was told that it would be lifted (Art. 18(3))")
    last_processed_on = _date("the last day on which the data was processed other than by storing it")

    not_lifted_before_it_began = _in_order("restricted_on", "lifted_on")


class ExcludedAccounts(Register):
    """An account that no table of usage counts, as its owner objected or its data is restricted: one row per time.

    ``collect`` reads it by itself (``privacy_metrics.exclusions``): it is kept nowhere.
    """

    account = _person("the account, as the access logs write it")
    reason = _enum("objected: GDPR Art. 21; restricted: Art. 18", ("objected", "restricted"), required=True)
    excluded_from = _date("the first day on which it is not counted", required=True)
    excluded_until = _date("the last one; empty while it goes on")

    excluded_for_a_while = _in_order("excluded_from", "excluded_until")


# ---- consent and messages -------------------------------------------------------------------------------------------


class Consents(Register):
    """A consent given, refused or withdrawn, an opt-out: one row per change of one purpose of one person or device."""

    subject_ref = _person("the person or device")
    purpose = _code("what it is about: a cookie category, newsletter, direct_marketing, …", required=True)
    state = _enum("granted, or denied: refused, withdrawn, opted out", ("granted", "denied"), required=True)
    at = _time("when it was given or withdrawn", required=True)
    effective_at = _time("a withdrawal: when it was put into effect")
    expires_at = _time("a consent: from this moment on it is not valid any more")
    recorded_at = _time("when the row was written; later than ``at`` for what arrived late")
    notice_version = _code("the version of the notice that was shown")


class CookieEvents(Register):
    """A cookie, or what the law treats like one, that was set or read: one row per event."""

    subject_ref = _person("the person or device, as in the register of consents")
    at = _time("when", required=True)
    category = _code("its purpose, as in the register of consents", required=True)
    necessary = _boolean("it is necessary for the website, so that no consent is needed", required=True)


class CookieScans(Register):
    """A scan of the website: one row per page, cookie and phase; one row without a cookie for a page that sets none."""

    scan_id = _code("the scan", required=True)
    scanned_on = _date("when", required=True)
    page = _code("the page's code or path; a number will do", required=True)
    cookie = _code("the cookie's name; empty where none was set")
    necessary = _boolean("it is necessary for the website")
    lifetime_days = _number("how many days it lives once it is set; 0 for as long as the browser is open")
    phase = _enum("when it was set", ("before_choice", "after_reject", "after_accept"), required=True)
    settings_reachable = _boolean("the page offers the cookie settings", required=True)


class CookieNotice(Register):
    """The cookies that the cookie notice lists: one row per cookie and time that it was listed."""

    cookie = _code("the cookie's name", required=True)
    listed_from = _date("listed from this day on", required=True)
    listed_until = _date("the last day; empty while listed")

    listed_for_a_while = _in_order("listed_from", "listed_until")


class MarketingMessages(Register):
    """An electronic message that was sent to one person: one row per message and recipient."""

    subject_ref = _person("the recipient, as in the register of consents")
    sent_at = _time("when", required=True)
    kind = _enum("marketing, newsletter, or service: updates and the infrastructure", MESSAGES, required=True)
    topic = _code("what a service message is about")
    unsubscribe = _boolean("it offered to unsubscribe")


# ---- processing -----------------------------------------------------------------------------------------------------


class ProcessingActivities(Register):
    """The record of processing activities (GDPR Art. 30): one row per activity, group, purpose and time."""

    activity_id = _code("the activity", required=True)
    subject_group = _enum("about which group of people", GROUPS, required=True)
    purpose = _code("the purpose, by its code in the notice")
    legal_ground = _code("the ground, by its code in the notice")
    active_from = _date("the first day", required=True)
    active_until = _date("the last day; empty while it goes on")

    active_for_a_while = _in_order("active_from", "active_until")


class DataInventory(Register):
    """A kind of data that a system holds: one row per field (or set of fields), group and time."""

    item_id = _code("the field", required=True)
    system_id = _code("the system", required=True)
    subject_group = _enum("about which group of people", GROUPS, required=True)
    category = _code("the kind of data, by its code in the notice")
    technical = _boolean("technical data, gathered by the use of the service", required=True)
    joined_with_user_data = _boolean("combined with data of a user", required=True)
    classed_personal = _boolean("treated as personal data", required=True)
    in_request_scope = _boolean("searched when a person makes a request", required=True)
    retention_rule = _code("the rule that says how long it is kept")
    held_from = _date("the first day", required=True)
    held_until = _date("the last day; empty while it is held")

    held_for_a_while = _in_order("held_from", "held_until")


class Systems(Register):
    """A system that holds personal data and where it stands: one row per system and time."""

    system_id = _code("the system", required=True)
    tag = _code("what it is, where a promise names it: customer_database")
    hosted_by = _enum("on one's own servers or another's", ("own", "vendor"), required=True)
    country = _country("where the data is stored")
    encryption = _enum("is in place, or why not", ("yes", "not_appropriate", "no"))
    firewall = _enum("is in place, or why not", ("yes", "not_appropriate", "no"))
    secure_facility = _enum("is in place, or why not", ("yes", "not_appropriate", "no"))
    access_reviewed_on = _date("who may enter it was last reviewed")
    used_from = _date("the first day", required=True)
    used_until = _date("the last day; empty while it is used")

    used_for_a_while = _in_order("used_from", "used_until")


class AnalyticsOutputs(Register):
    """A table, chart or data set made for trend analysis: one row per output; the workbook adds its tables."""

    output_id = _code("the output", required=True)
    made_on = _date("when", required=True)
    level = _enum("of detail", ("aggregate", "pseudonymous", "identified"), required=True)
    fewest_people = _number("the fewest people in a cell of it")
    justified = _boolean("why it could not be aggregated is recorded")


class RankingModels(Register):
    """A model that ranks or scores people: one row per model and time."""

    model_id = _code("the model", required=True)
    subject_group = _enum("about which group of people", GROUPS, required=True)
    inputs = _codes("what goes in, by the codes in the notice")
    special_category = _boolean("an input is a special category of data (Art. 9)", required=True)
    effect = _enum("what it leads to", ("ranking", "contact", "exclusion", "price"), required=True)
    human_step = _boolean("a person decides before it has an effect")
    used_from = _date("the first day", required=True)
    used_until = _date("the last day; empty while it is used")

    used_for_a_while = _in_order("used_from", "used_until")


# ---- recipients -----------------------------------------------------------------------------------------------------


class Transfers(Register):
    """Personal data that goes to a country: one row per recipient, mechanism and time."""

    transfer_id = _code("the transfer", required=True)
    country = _country("the recipient's country")
    started_on = _date("the first day", required=True)
    ended_on = _date("the last day; the same for a single transfer, empty while it goes on")
    mechanism = _enum("the safeguard (GDPR Ch. V)", ("scc", "adequacy", "bcr", "derogation", "none"))
    signed_on = _date("standard contractual clauses: in force from this day on")
    valid_until = _date("and up to this day; empty without an end")
    scope = _code("adequacy for a part only: the part that the recipient belongs to, such as DPF")

    not_ended_before_it_began = _in_order("started_on", "ended_on")
    not_over_before_signed = _in_order("signed_on", "valid_until")


class Vendors(Register):
    """A vendor with access to personal data: one row per vendor and time of access."""

    vendor_id = _code("the vendor", required=True)
    country = _country("where it is")
    access_from = _date("the first day of access", required=True)
    access_until = _date("the last day; empty while it has access")

    access_for_a_while = _in_order("access_from", "access_until")


class Contracts(Register):
    """A contract on the processing of personal data (GDPR Art. 28): one row per contract."""

    contract_id = _code("the contract", required=True, key=True)
    vendor_id = _code("with which vendor", required=True)
    signed_on = _date("in force from this day on", required=True)
    ends_on = _date("and up to this day; empty without an end")
    purposes = _codes("the purposes it allows, by their codes in the notice")
    instructions_clause = _boolean("it binds the vendor to instructions")
    security_clause = _boolean("it asks for security measures")

    not_over_before_signed = _in_order("signed_on", "ends_on")


class VendorEvaluations(Register):
    """An evaluation of a vendor's security: one row per evaluation."""

    vendor_id = _code("the vendor", required=True)
    evaluated_on = _date("when", required=True)


class GroupCompanies(Register):
    """A company of the group and the management system of information security: one row per company and time."""

    company_id = _code("the company", required=True)
    country = _country("where it is")
    member_from = _date("the first day in the group", required=True)
    member_until = _date("the last day; empty while it belongs to it")
    covered_from = _date("in the scope of the group's management system from this day on")
    covered_until = _date("and up to this day; empty without an end")

    member_for_a_while = _in_order("member_from", "member_until")
    covered_for_a_while = _in_order("covered_from", "covered_until")


class Disclosures(Register):
    """Personal data that was disclosed to a third party: one row per disclosure."""

    disclosure_id = _code("the disclosure", required=True, key=True)
    subject_ref = _person(
        "about whom, as in the register of consents; empty for a disclosure about many", required=False
    )
    disclosed_at = _time("when", required=True)
    ground = _enum(
        "why it was allowed",
        ("legal_obligation", "legal_claims", "legitimate_interest", "consent", "business_transfer"),
    )
    purpose = _code("with consent: the purpose, as in the register of consents")
    informed_on = _date("the person was told")
    not_informed_reason = _enum(
        "why the person was not told", ("forbidden_by_law", "investigation", "impossible", "emergency")
    )  # fmt: skip


# ---- retention ------------------------------------------------------------------------------------------------------


class Retention(Register):
    """What became of the data after a relationship: one row per record of a group of people."""

    record_ref = _person("the record", key=True)
    subject_group = _enum("about which group of people", GROUPS, required=True)
    relationship_ended_on = _date("the account was closed, the relationship or the last contact ended", required=True)
    deleted_on = _date("the data was deleted; empty while it is kept")
    hold_reason = _enum(
        "why it is kept on", ("law", "authority_order", "investigation", "reporting_reconciliation", "legal_claims")
    )  # fmt: skip
    hold_from = _date("the hold began")
    hold_until = _date("and ended")
    hold_review_due_on = _date("the hold is to be reviewed by this day")

    not_deleted_before_the_end = _in_order("relationship_ended_on", "deleted_on")
    held_for_a_while = _in_order("hold_from", "hold_until")


class RetentionRuns(Register):
    """A run that deletes what is past its limit: one row per run, system and rule."""

    run_on = _date("when", required=True)
    system_id = _code("the system, as in the data inventory", required=True)
    retention_rule = _code("the rule, as in the data inventory", required=True)
    overdue = _number("records past the rule's limit after the run, and on no hold", required=True)
    oldest_due_on = _date("the limit of the one among them that has been past it longest")
    on_hold = _number("records past the limit that are on a documented hold")
    deleted = _number("records that the run deleted")


class Prospects(Register):
    """A prospective customer in the database: one row per record."""

    record_ref = _person("the record", key=True)
    source = _code("where it came from, by its code in the notice")
    obtained_on = _date("when", required=True)
    informed_on = _date("the person was told (GDPR Art. 14(3))")
    first_contact_on = _date("the person was first contacted")
    deleted_on = _date("the record was deleted")

    not_deleted_before_obtained = _in_order("obtained_on", "deleted_on")


class ProspectReviews(Register):
    """A review of the database of prospects: one row per review that was finished."""

    review_id = _code("the review", required=True, key=True)
    done_on = _date("when it was finished", required=True)
    in_scope = _number("records that were to be reviewed", required=True)
    reviewed = _number("records that were", required=True)
    corrected = _number("records that were corrected")
    deleted = _number("records that were deleted")


class ProspectDecisions(Register):
    """A decision about a prospect: one row per decision."""

    record_ref = _person("the record, as in the register of prospects")
    decided_at = _time("when", required=True)
    decided_by = _enum("a person, or the program by itself", ("human", "automatic"))
    effect = _enum("what it led to", ("ranking", "contact", "exclusion", "price"), required=True)


class EventRegistrations(Register):
    """A registration for an event: one row per registration."""

    record_ref = _person("the registration", key=True)
    event_ended_on = _date("the last day of the event", required=True)
    has_dietary = _boolean("dietary requirements were given", required=True)
    dietary_deleted_on = _date("and deleted")
    dietary_exported = _boolean("they reached a tool of sales or marketing")


# ---- security and the rest ------------------------------------------------------------------------------------------

ASSETS = ("website", "data_centre", "system", "other")


class Assets(Register):
    """A website, data centre, system or other asset: one row per asset and time in service."""

    asset_id = _code("the asset", required=True)
    kind = _enum("which of the kinds that the notice names", ASSETS, required=True)
    service_from = _date("the first day in service", required=True)
    service_until = _date("the last day; empty while in service")

    in_service_for_a_while = _in_order("service_from", "service_until")


class SecurityTests(Register):
    """A test of an asset for vulnerabilities: one row per test and asset."""

    test_id = _code("the test", required=True)
    asset_id = _code("the asset", required=True)
    done_on = _date("when", required=True)


class Findings(Register):
    """A vulnerability that a test found: one row per finding."""

    finding_id = _code("the finding", required=True, key=True)
    asset_id = _code("the asset", required=True)
    severity = _enum("how severe", ("low", "medium", "high", "critical"), required=True)
    opened_on = _date("when it was found", required=True)
    due_on = _date("to be mended by this day")
    closed_on = _date("it was mended")

    not_closed_before_found = _in_order("opened_on", "closed_on")


class Accounts(Register):
    """Counts of accounts, and no account: one row per day of counting."""

    counted_on = _date("the day", required=True)
    accounts = _number("accounts that were open", required=True)
    two_factor = _number("of them with two-factor authentication", required=True)

    @dy.rule()
    def no_more_than_all(cls) -> pl.Expr:
        return pl.col("two_factor") <= pl.col("accounts")


class Complaints(Register):
    """A complaint to a supervisory authority: one row per complaint."""

    complaint_id = _code("the complaint", required=True, key=True)
    received_on = _date("when the company heard of it", required=True)
    contacted_first = _boolean("the person had turned to the company before")
    closed_on = _date("it was closed")

    not_closed_before_received = _in_order("received_on", "closed_on")


class NoticeVersions(Register):
    """A version of the privacy notice: one row per version."""

    version = _code("the version", required=True, key=True)
    effective_on = _date("in force from this day on", required=True)
    material = _boolean("it changes something material", required=True)
    announced_on = _date("people were told of it")
    groups_told = _codes("which groups of people were told")
    groups_concerned = _codes("which groups it concerns; empty for all")


REGISTERS: dict[str, type[Register]] = {
    "".join("_" + c.lower() if c.isupper() else c for c in schema.__name__).removeprefix("_"): schema
    for schema in (
        Requests, RequestHandling, Restrictions, ExcludedAccounts, Consents, CookieEvents, CookieScans, CookieNotice,
        MarketingMessages, ProcessingActivities, DataInventory, Systems, AnalyticsOutputs, RankingModels, Transfers,
        Vendors, Contracts, VendorEvaluations, GroupCompanies, Disclosures, Retention, RetentionRuns, Prospects,
        ProspectReviews, ProspectDecisions,
        EventRegistrations, Assets, SecurityTests, Findings, Accounts, Complaints, NoticeVersions,
    )
}  # fmt: skip
"""Every register's schema by name, in the order in which they are listed."""


# ---- reading --------------------------------------------------------------------------------------------------------


@cache
def columns(name: str) -> dict[str, Column]:
    """The columns of a register's source, by name: what the reader looks for, and what a template holds."""
    if name == "requests":
        return requests.SCHEMA
    found = {}
    for column, declared in REGISTERS[name].columns().items():
        if column != "row":
            kind = (declared.metadata or {})["kind"]
            allowed = tuple(declared.categories) if isinstance(declared, dy.Enum) else ()
            as_read = "text" if kind == "person" else kind
            found[column] = Column(column, as_read, declared.description or "", not declared.nullable, allowed)
    return found


def persons(name: str) -> list[str]:
    """The columns that refer to a person: what is kept of them is a keyed hash."""
    return [n for n, c in REGISTERS[name].columns().items() if (c.metadata or {}).get("kind") == "person"]


@dataclass(frozen=True)
class Read:
    """What was read of a register: ``frame`` has its schema's columns; the other rows contradict themselves.

    ``excluded`` has ``row`` (UInt32) and ``reason`` (String): a rule of the schema, ``stands twice``, ``dated in the
    future``, or ``no such date``.
    """

    frame: pl.DataFrame
    excluded: pl.DataFrame

    @property
    def account(self) -> dict[str, int]:
        """Rows read, used, and excluded by reason: read = used + the rest."""
        counts = dict(sorted(self.excluded["reason"].value_counts().iter_rows()))
        return {"read": self.frame.height + self.excluded.height, "used": self.frame.height, **counts}


def read(name: str, frame: pl.DataFrame, *, zone: str, as_of: date, key: bytes) -> Read:
    """The register ``name`` of its rows (``raw``); references to people become hashes under ``key``.

    ``zone`` is the controller's time zone; what is dated after ``as_of``, the day of the export, is excluded.
    """
    return settle(name, pseudonymised(name, frame, key), as_of, zone)


def raw(params: Params, period: Period, name: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Every row of the register ``sources.registers.name``, with ``row``, its number; and what it was read from.

    Raises RegisterError with every problem of the file, and SourceError where a database refuses.
    """
    source = params.sources.registers[name]
    zone, mapping = params.organisation.time_zone, mapping_of(source, columns(source.kind or name))
    if source.path:
        path = params.path(source.path)
        frame = read_frame(path, zone=zone, mapping=mapping).with_row_index("row", 2)
        given = {"bytes": path.stat().st_size, "fingerprint": sources.fingerprint(path)}
        return frame, {"file": os.path.relpath(path, params.root), **given}
    rows = asked(params, period, name)
    frame = checked(pl.concat(rows.read()).lazy, rows.where, zone, mapping).rename({ROW: "row"})
    return frame, {"file": rows.where, "rows": rows.rows, "fingerprint": rows.digest}


def asked(params: Params, period: Period, name: str) -> sources.Rows:
    """What the query of the register ``sources.registers.name`` gives, of its schema's columns alone."""
    source = params.sources.registers[name]
    schema = columns(source.kind or name)
    return sources.register_rows(source, schema, params, period, f"sources.registers.{name}.query")


def settle(name: str, frame: pl.DataFrame, as_of: date, zone: str) -> Read:
    """Parts the rows that contradict themselves, or are dated after ``as_of``, from the others."""
    schema = REGISTERS[name]
    midnight = datetime.combine(as_of + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    tests: dict[str, pl.Series] = {}
    if keys := [n for n, c in schema.columns().items() if (c.metadata or {}).get("key")]:
        tests["stands twice"] = frame.select(keys).is_duplicated()
    if happened := HAPPENED.get(name):
        after = [pl.col(n) > as_of if frame.schema[n] == pl.Date else pl.col(n) >= midnight for n in happened]
        tests["dated in the future"] = frame.select(after=pl.any_horizontal(after).fill_null(False))["after"]
    wrong = [frame.filter(test).select("row", reason=pl.lit(why)) for why, test in tests.items()]
    used, failure = schema.filter(frame, cast=True)
    broken = failure.details()
    wrong += [
        broken.filter(pl.col(rule) == "invalid").select("row", reason=pl.lit(rule.replace("_", " ")))
        for rule in sorted(failure.counts())
    ]
    excluded = pl.concat([NO_ROWS, *wrong]).unique("row", keep="first", maintain_order=True).sort("row")
    return Read(used.join(excluded, on="row", how="anti", maintain_order="left") if excluded.height else used, excluded)


NO_ROWS = pl.DataFrame(schema={"row": pl.UInt32, "reason": pl.String})

HAPPENED = {
    "request_handling": ("forwarded_on", "recipients_notified_on"),
    "restrictions": ("lifted_on", "told_before_lift_on", "last_processed_on"),
    "consents": ("at", "effective_at", "recorded_at"),
    "cookie_events": ("at",),
    "cookie_scans": ("scanned_on",),
    "marketing_messages": ("sent_at",),
    "analytics_outputs": ("made_on",),
    "vendor_evaluations": ("evaluated_on",),
    "disclosures": ("disclosed_at", "informed_on"),
    "retention": ("deleted_on",),
    "retention_runs": ("run_on",),
    "prospects": ("obtained_on", "informed_on", "first_contact_on", "deleted_on"),
    "prospect_reviews": ("done_on",),
    "prospect_decisions": ("decided_at",),
    "event_registrations": ("dietary_deleted_on",),
    "security_tests": ("done_on",),
    "findings": ("opened_on", "closed_on"),
    "accounts": ("counted_on",),
    "complaints": ("received_on", "closed_on"),
    "notice_versions": ("announced_on",),
}
"""Columns that say what has happened, and so can't be later than the day of the export."""


def pseudonymised(name: str, frame: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """References to people as 64 bits of BLAKE2b under the period's random key; the same reference, the same number."""
    for column in persons(name):
        distinct = frame.get_column(column).drop_nulls().unique()
        hashes = [
            int.from_bytes(hashlib.blake2b(ref.encode(), digest_size=8, key=key, person=b"registers").digest())
            for ref in distinct
        ]
        known = pl.DataFrame({column: distinct, "_hash": pl.Series(hashes, dtype=pl.UInt64)})
        frame = frame.join(known, on=column, how="left", maintain_order="left")
        frame = frame.with_columns(pl.col("_hash").alias(column)).drop("_hash")
    return frame


def template(folder: Path) -> list[Path]:
    """Writes an empty CSV file for every register into ``folder``, to be filled in; gives their paths.

    Raises FileExistsError before it writes anything if one is there already: nobody's register is overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / f"{name}.csv": ",".join(columns(name)) + "\n" for name in REGISTERS}
    if there := [path for path in paths if path.exists()]:
        raise FileExistsError(17, "is there already; give an empty folder", str(there[0]))
    for path, header in paths.items():
        path.write_text(header, "utf-8")
    return list(paths)

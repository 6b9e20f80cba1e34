"""Made registers for tests: rows as a person would fill them in, read by the workbook's own reader."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from privacy_metrics import registers
from privacy_metrics.controls import CONTROLS, Scope
from privacy_metrics.deadlines import Calendar
from privacy_metrics.notice import Notice
from privacy_metrics.params import Period
from privacy_metrics.requests import RegisterMapping, read_frame

ZONE = "Europe/Helsinki"
KEY = b"a key of the test's period, 32 b"
AS_OF = date(2026, 10, 1)
Q3 = Period.parse("2026Q3")
NOTICE = Notice.model_validate(
    yaml.safe_load((Path(__file__).parents[1] / "params" / "notice.yaml").read_text("utf-8"))["notice"]
)

PLAIN: dict[str, dict[str, str]] = {
    "requests": {
        "channel": "email", "subject_group": "customer", "right": "access", "role": "controller", "case_id": "C",
        "state": "closed", "outcome": "fulfilled", "received_at": "2026-07-06T10:00:00+03:00",
        "response_sent_on": "2026-07-20", "decided_on": "2026-07-20",
    },
    "request_handling": {},
    "restrictions": {"restricted_on": "2026-07-20", "ground": "unlawful"},
    "excluded_accounts": {"account": "anna", "reason": "objected", "excluded_from": "2026-07-01"},
    "consents": {
        "subject_ref": "anna", "purpose": "statistics", "state": "granted", "at": "2026-07-01T12:00:00+03:00",
        "notice_version": "1",
    },
    "cookie_events": {
        "subject_ref": "anna", "category": "statistics", "necessary": "false", "at": "2026-08-01T12:00:00+03:00",
    },
    "cookie_scans": {
        "scan_id": "s1", "scanned_on": "2026-08-03", "page": "home", "phase": "after_accept",
         "settings_reachable": "true",
    },
    "cookie_notice": {"listed_from": "2025-01-01"},
    "marketing_messages": {
        "subject_ref": "anna", "sent_at": "2026-08-01T12:00:00+03:00", "kind": "marketing", "unsubscribe": "true",
    },
    "processing_activities": {
        "activity_id": "a", "subject_group": "customer", "purpose": "service", "legal_ground": "contract",
        "active_from": "2025-01-01",
    },
    "data_inventory": {
        "item_id": "i", "system_id": "s", "subject_group": "customer", "category": "contact", "technical": "false",
        "joined_with_user_data": "false", "classed_personal": "true", "in_request_scope": "true",
        "retention_rule": "R1", "held_from": "2025-01-01",
    },
    "systems": {
        "hosted_by": "own", "country": "FI", "encryption": "yes", "firewall": "yes", "secure_facility": "yes",
        "access_reviewed_on": "2026-06-01", "used_from": "2025-01-01",
    },
    "analytics_outputs": {"made_on": "2026-08-03", "level": "aggregate", "fewest_people": "10"},
    "ranking_models": {
        "subject_group": "prospect", "inputs": "communication", "special_category": "false", "effect": "ranking",
        "used_from": "2025-01-01",
    },
    "transfers": {"started_on": "2025-01-01", "mechanism": "scc", "signed_on": "2024-12-01", "country": "IN"},
    "vendors": {"vendor_id": "v", "country": "US", "access_from": "2025-01-01"},
    "contracts": {
        "vendor_id": "v", "signed_on": "2024-12-01", "purposes": "service", "instructions_clause": "true",
        "security_clause": "true",
    },
    "vendor_evaluations": {"vendor_id": "v", "evaluated_on": "2026-02-02"},
    "group_companies": {"company_id": "c", "member_from": "2025-01-01", "covered_from": "2025-01-01"},
    "disclosures": {
        "subject_ref": "anna", "disclosed_at": "2026-08-03T12:00:00+03:00", "ground": "legal_obligation",
        "informed_on": "2026-08-01",
    },
    "retention": {"subject_group": "user", "relationship_ended_on": "2026-07-10"},
    "retention_runs": {"system_id": "s", "retention_rule": "R1", "run_on": "2026-08-03", "overdue": "0"},
    "prospects": {"source": "direct", "obtained_on": "2026-07-10"},
    "prospect_reviews": {"done_on": "2026-08-20", "in_scope": "10", "reviewed": "10", "corrected": "1", "deleted": "0"},
    "prospect_decisions": {"decided_at": "2026-08-03T12:00:00+03:00", "decided_by": "human", "effect": "contact"},
    "event_registrations": {"event_ended_on": "2026-07-10", "has_dietary": "true", "dietary_exported": "false"},
    "assets": {"asset_id": "a", "kind": "system", "service_from": "2024-01-01"},
    "security_tests": {"asset_id": "a", "done_on": "2026-02-02", "test_id": "t"},
    "findings": {"asset_id": "a", "severity": "high", "opened_on": "2026-07-10", "due_on": "2026-08-10"},
    "accounts": {"counted_on": "2026-09-30", "accounts": "100", "two_factor": "40"},
    "complaints": {"received_on": "2026-08-03"},
    "notice_versions": {"effective_on": "2026-08-15", "material": "true", "announced_on": "2026-08-01",
                        "groups_told": "customer;user;prospect;partner;visitor"},
}  # fmt: skip
"""A plain row of each register: nothing about it is an exception."""

_KEYS = {
    "request_id",
    "record_ref",
    "contract_id",
    "finding_id",
    "complaint_id",
    "disclosure_id",
    "review_id",
    "version",
}


def csv(name: str, rows: list[dict[str, str]]) -> str:
    """A register's CSV text with the given rows; what a row does not say is plain, and identifiers are made."""
    names = list(registers.columns(name))
    made = []
    for n, row in enumerate(rows):
        whole = {c: f"{c[0]}{n}" for c, column in registers.columns(name).items() if c in _KEYS or (
            column.required and column.kind in ("code", "text"))}  # fmt: skip
        whole |= PLAIN[name] | row
        assert set(whole) <= set(names), set(whole) - set(names)
        made.append([whole.get(c) or None for c in names])
    return pl.DataFrame(made, schema=dict.fromkeys(names, pl.String), orient="row").write_csv()


def register(name: str, *rows: dict[str, str], as_of: date = AS_OF) -> pl.DataFrame:
    """A register of the given rows as controls get it; the first row is row 2, as a spreadsheet counts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.csv"
        path.write_text(csv(name, list(rows)), "utf-8")
        if name == "requests":
            from privacy_metrics.requests import read_register

            read = read_register(path, zone=ZONE, as_of=as_of).requests.with_row_index("row", 2)
            return registers.pseudonymised(name, read, KEY).select(registers.REGISTERS[name].column_names())
        mapping = RegisterMapping(schema=registers.columns(name))
        frame = read_frame(path, zone=ZONE, mapping=mapping).with_row_index("row", 2)
        found = registers.read(name, frame, zone=ZONE, as_of=as_of, key=KEY)
        assert found.excluded.height == 0, found.excluded
        return found.frame


def scope(period: Period = Q3, as_of: date = AS_OF, warning: int = 30) -> Scope:
    return Scope(period, ZONE, Calendar("FI"), NOTICE, as_of, warning)


def found(control: str, *frames: pl.DataFrame, at: Scope | None = None, **options: Any) -> dict[str, list[int]]:
    """The rows that a control finds: exceptions by layer, what is unknown and what warns; empty ones are left out."""
    chosen = CONTROLS[control]
    cases = chosen.cases(at or scope(), *frames, **chosen.options(**options).model_dump())
    assert isinstance(cases, pl.DataFrame)
    assert cases["row"].is_unique().all(), "a case stands twice"
    told = {name: cases.filter(pl.col(name).fill_null(False))["row"].sort().to_list()
            for name in ("notice", "law", "policy", "unknown", "warns") if name in cases.columns}  # fmt: skip
    return {name: rows for name, rows in told.items() if rows}

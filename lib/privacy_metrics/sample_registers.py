"""The sample company's registers: what its notice's promises are measured on, with exceptions that are known.

``PLANTED`` says which promise breaks in which quarter; each is mended in the next one. Everything is made from the
seed, about nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from .params import Period
from .registers import REGISTERS, columns

ZONE = ZoneInfo("Europe/Helsinki")

PLANTED = {
    "N01": "2026Q2", "N02": "2026Q2", "N03": "2026Q2", "N04": "2026Q2", "N05": "2026Q2", "N06": "2026Q1",
    "N07": "2026Q2", "N07.scan": "2026Q2", "N08": "2026Q1", "N09": "2026Q3", "N10": "2026Q2", "N11": "2026Q2",
    "N12": "2026Q2", "N12.record": "2026Q2", "N13": "2026Q2", "N17": "2026Q1", "N18": "2026Q2", "N20": "2026Q2",
    "N21.purposes": "2026Q2", "N22": "2026Q2", "N23": "2026Q3", "N25": "2026Q2", "N25.runs": "2026Q2",
    "N26": "2026Q2", "N29": "2026Q1", "N34": "2026Q1", "N40.opt-out": "2026Q1", "N43": "2026Q2", "N45": "2026Q2",
    "L28.3": "2026Q2",
}  # fmt: skip
"""The quarter in which a promise of the sample's notice is broken."""

LIFETIMES = {"session": 0, "consent": 180, "stats_id": 390, "ads_id": 90, "chat_id": 30}
"""Days that the sample's cookies live: no more than thirteen months."""

Row = dict[str, Any]


def write_registers(
    folder: Path, seed: int, periods: Sequence[Period], requests: pl.DataFrame, accounts: Sequence[str]
) -> None:
    """Writes a CSV file for every register but that of requests into ``folder``; ``requests`` is that one, and
    ``accounts`` are those of the logs."""
    folder.mkdir()
    rng = np.random.default_rng([seed, 7])
    rows: dict[str, list[Row]] = {name: [] for name in REGISTERS if name != "requests"}
    _lasting(rows)
    _subscribers(rows)
    for period in periods:
        _visitors(rows, rng, period)
        _messages(rows, period)
        _people(rows, rng, period)
        _things(rows, period)
    _handling(rows, requests)
    _excluded(rows, accounts)
    for name, made in rows.items():
        _write(folder / f"{name}.csv", name, made)


def _write(path: Path, name: str, rows: list[Row]) -> None:
    names = list(columns(name))
    frame = pl.DataFrame(
        [[_text(row.get(column)) for column in names] for row in rows], schema=dict.fromkeys(names, pl.String),
        orient="row",
    )  # fmt: skip
    frame.write_csv(path)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


def _is(period: Period, promise: str) -> bool:
    """Whether the exceptions of a promise are planted in the period."""
    return PLANTED[promise] == period.label


def _at(day: date, seconds: int = 36_000) -> datetime:
    """A time of a day: so many seconds after local midnight, ten o'clock unless given."""
    return datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(seconds=seconds)


def _rows(names: str, *values: tuple[Any, ...]) -> list[Row]:
    return [dict(zip(names.split(), row, strict=True)) for row in values]


# ---- what lasts longer than a quarter -------------------------------------------------------------------------------


def _lasting(rows: dict[str, list[Row]]) -> None:
    start = date(2024, 1, 1)
    rows["processing_activities"] += _rows(
        "activity_id subject_group purpose legal_ground active_from active_until",
        ("provide-service", "customer", "service", "contract", start, None),
        ("provide-service", "user", "service", "contract", start, None),
        ("account-management", "customer", "relationship", "legitimate_interest", start, None),
        ("newsletter", "customer", "communication", "consent", start, None),
        ("usage-statistics", "user", "quality", "legitimate_interest", start, None),
        ("abuse-prevention", "user", "compliance", "legal_obligation", start, None),
        ("bookkeeping", "customer", "compliance", "legal_obligation", start, None),
        ("sales-outreach", "prospect", "marketing", "legitimate_interest", start, None),
        ("lead-ranking", "prospect", "ranking", "legitimate_interest", start, None),
        ("partner-programme", "partner", "relationship", "legitimate_interest", start, None),
        ("website", "visitor", "website", "legitimate_interest", start, None),
        ("web-analytics", "visitor", "quality", "consent", start, None),
        ("benchmark-sharing", "customer", "resale", "legitimate_interest", date(2026, 4, 14), date(2026, 6, 9)),
        ("partner-survey", "partner", "communication", "consent", date(2026, 5, 4), date(2026, 5, 29)),
    )
    inventory = [
        ("crm-contact", "crm", "customer", "contact", False, False),
        ("crm-orders", "crm", "customer", "contract", False, False),
        ("billing-cards", "billing", "customer", "billing", False, False),
        ("users", "panel", "user", "account", False, False),
        ("tickets", "support", "user", "communication", False, False),
        ("prospect-contact", "crm", "prospect", "contact", False, False),
        ("prospect-topics", "crm", "prospect", "interest", False, False),
        ("partners", "crm", "partner", "contact", False, False),
        ("events", "events", "customer", "event", False, False),
        ("cookie-choices", "web", "visitor", "cookies", False, False),
        ("log-address", "logs", "visitor", "ip_address", True, False),
        ("log-agent", "logs", "visitor", "browser", True, False),
        ("log-language", "logs", "visitor", "language", True, False),
        ("log-country", "logs", "visitor", "location", True, False),
        ("log-url", "logs", "visitor", "clickstream", True, False),
        ("panel-usage", "panel", "user", "areas", True, True),
        ("panel-products", "panel", "user", "products", True, True),
    ]  # fmt: skip
    names = "item_id system_id subject_group category technical joined_with_user_data"
    kept = {"classed_personal": True, "in_request_scope": True, "retention_rule": "R1", "held_from": start}
    rows["data_inventory"] += [row | kept for row in _rows(names, *inventory)]
    joined = _rows(names, ("usage-profile", "warehouse", "user", "areas", True, True))[0]
    rows["data_inventory"] += [
        joined | kept | {"in_request_scope": False, "held_from": date(2026, 4, 2), "held_until": date(2026, 6, 25)},
        joined | kept | {"held_from": date(2026, 6, 26)},
    ]
    trial = _rows(
        names,
        ("crm-hobbies", "crm", "customer", "hobbies", False, False),
        ("panel-keys", "panel", "user", "keystrokes", True, False),
        ("chat", "support", "user", "communication", False, False),
    )
    tried = kept | {"held_from": date(2026, 4, 20), "held_until": date(2026, 6, 12)}
    rows["data_inventory"] += [row | tried for row in trial[:2]] + [trial[2] | tried | {"retention_rule": None}]
    measures = {"encryption": "yes", "firewall": "yes", "secure_facility": "yes", "used_from": start}
    places = ("FI", "FI", "FI", "DE", "NL", "SE", "FI", "FI", "PL", "US")
    names = ("crm", "billing", "panel", "support", "events", "web", "logs", "warehouse", "backup", "survey-tool")
    for n, (name, country) in enumerate(zip(names, places, strict=True)):
        own = name not in ("survey-tool", "events")
        rows["systems"].append(
            measures | {
                "system_id": name, "hosted_by": "own" if own else "vendor", "country": country,
                "tag": "customer_database" if name == "crm" else None,
                "access_reviewed_on": date(2025, 10, 12) if n == 3 else date(2026, 1, 20) - timedelta(days=n),
            }
        )  # fmt: skip
    rows["ranking_models"] += _rows(
        "model_id subject_group inputs special_category effect human_step used_from",
        (
            "lead-rank",
            "prospect",
            "website_interaction;communication;event_registration",
            False,
            "ranking",
            None,
            start,
        ),
    )
    _recipients(rows, start)
    rows["cookie_notice"] += _rows(
        "cookie listed_from listed_until",
        ("session", start, None), ("consent", start, None), ("stats_id", start, None), ("ads_id", start, None),
        ("old_ab", start, date(2025, 12, 31)),
    )  # fmt: skip
    rows["prospect_reviews"] += _rows(
        "review_id done_on in_scope reviewed corrected deleted",
        ("PR-5", date(2025, 9, 20), 410, 410, 12, 31), ("PR-6", date(2026, 3, 10), 455, 455, 9, 22),
        ("PR-7", date(2026, 8, 28), 502, 502, 17, 40),
    )  # fmt: skip
    rows["notice_versions"] += _rows(
        "version effective_on material announced_on groups_told groups_concerned",
        ("2023-10-06", date(2023, 10, 6), True, date(2023, 9, 20), "customer;user;prospect;partner;visitor", None),
        ("2026-05-15", date(2026, 5, 15), True, date(2026, 5, 15), "customer;user", "customer;user"),
        ("2026-09-01", date(2026, 9, 1), True, date(2026, 8, 3), "customer;user", "customer;user"),
    )


def _recipients(rows: dict[str, list[Row]], start: date) -> None:
    rows["transfers"] += _rows(
        "transfer_id country started_on ended_on mechanism signed_on valid_until scope",
        ("T-de", "DE", start, None, "none", None, None, None),
        ("T-us", "US", start, None, "adequacy", None, None, "data_privacy_framework"),
        ("T-gb", "GB", start, None, "adequacy", None, None, None),
        ("T-in", "IN", start, None, "scc", date(2023, 12, 1), date(2028, 11, 30), None),
        ("T-br", "BR", date(2026, 1, 12), None, "adequacy", None, None, None),  # before the decision of 26 January
        ("T-sg", "SG", start, date(2026, 6, 14), "scc", date(2023, 12, 15), date(2026, 6, 14), None),
        ("T-sg", "SG", date(2026, 6, 15), None, "scc", date(2026, 6, 15), date(2029, 6, 14), None),
    )
    vendors = ("mailer", "survey", "payments", "telephony", "storage-audit", "translations", "events", "hr-tool")
    for n, name in enumerate(vendors):
        rows["vendors"].append(
            {"vendor_id": name, "country": ("US", "US", "IE", "GB", "DE", "IN", "FI", "SE")[n], "access_from": start}
        )
        last = date(2026, 4, 30) if name == "translations" else None
        clauses = {"instructions_clause": True, "security_clause": True, "purposes": "service;communication"}
        rows["contracts"].append(
            clauses | {"contract_id": f"K-{n}", "vendor_id": name, "signed_on": date(2023, 11, 2), "ends_on": last}
        )
        if last:
            rows["contracts"].append(
                clauses | {"contract_id": f"K-{n}b", "vendor_id": name, "signed_on": date(2026, 6, 20)}
            )
        for year in (2025, 2026):
            day = date(year, 2, 3) + timedelta(days=3 * n)
            rows["vendor_evaluations"].append({"vendor_id": name, "evaluated_on": day})
    first, last = date(2026, 4, 20), date(2026, 6, 12)
    pilot = {"vendor_id": "pilot"}
    rows["vendors"].append(pilot | {"country": "FI", "access_from": first, "access_until": last})
    unsafe = {"instructions_clause": True, "security_clause": False, "purposes": "service"}
    rows["contracts"].append(pilot | unsafe | {"contract_id": "K-pilot", "signed_on": first, "ends_on": last})
    rows["vendor_evaluations"].append(pilot | {"evaluated_on": first})
    rows["group_companies"] += _rows(
        "company_id country member_from covered_from",
        ("oy", "FI", start, start), ("gmbh", "DE", start, start), ("inc", "US", start, start),
        ("pte", "SG", date(2026, 5, 4), date(2026, 6, 22)),
    )  # fmt: skip
    for n, (asset, kind) in enumerate(
        [("www", "website"), ("panel", "website"), ("hel1", "data_centre"), ("fra1", "data_centre"), ("crm", "system"),
         ("billing", "system"), ("laptops", "other")]
    ):  # fmt: skip
        rows["assets"].append({"asset_id": asset, "kind": kind, "service_from": start})
        days = [date(2025, 11, 10), date(2026, 2, 5), date(2026, 4, 28), date(2026, 7, 14), date(2026, 9, 22)]
        if asset == "panel":
            days.remove(date(2026, 4, 28))  # three months from 5 February are over on 5 May
        for k, day in enumerate(days if kind == "website" else days[:1] + days[3:4]):
            test = {"test_id": f"S-{n}{k}", "asset_id": asset, "done_on": day + timedelta(days=n % 3)}
            rows["security_tests"].append(test)


# ---- consent, cookies and messages ----------------------------------------------------------------------------------

_SUBSCRIBERS, _OPTED_OUT = 180, 24


def _subscribers(rows: dict[str, list[Row]]) -> None:
    """Who subscribed, left and came back, and who opted out of direct marketing."""
    for n in range(_SUBSCRIBERS):
        given = _at(date(2025, 2, 1) + timedelta(days=n), 40_000 + n)
        rows["consents"].append(_consent(f"s{n:04}", "newsletter", "granted", given))
        if n % 15 == 4:
            rows["consents"].append(_consent(f"s{n:04}", "newsletter", "denied", given + timedelta(days=90)))
        if n % 30 == 4:
            # A consent that came back on paper, and was noted two days later.
            again = _consent(f"s{n:04}", "newsletter", "granted", given + timedelta(days=120))
            rows["consents"].append(again | {"recorded_at": given + timedelta(days=122)})
    for n in range(_OPTED_OUT):
        rows["consents"].append(
            _consent(f"s{7 * n:04}", "direct_marketing", "denied", _at(date(2025, 9, 1), 30_000 + n))
        )


def _consent(person: str, purpose: str, state: str, at: datetime) -> Row:
    row = {"subject_ref": person, "purpose": purpose, "state": state, "at": at, "recorded_at": at}
    if state == "granted":
        return row | {"notice_version": "2023-10-06"}
    return row | {"effective_at": at}


def _visitors(rows: dict[str, list[Row]], rng: np.random.Generator, period: Period) -> None:
    """Visitors' choices, and the cookies that were set: in the same second, and until the choice is taken back."""
    devices = 240
    for n in range(devices):
        device = f"{period.label}-d{n:04}"
        at = _at(period.first + timedelta(days=n % (len(period.days) - 14)), int(rng.integers(20_000, 80_000)))
        rows["cookie_events"].append(_cookie(device, "necessary", True, at - timedelta(seconds=2)))
        granted = bool(rng.random() < 0.62)
        for purpose in ("statistics", "marketing") if n % 3 == 0 else ("statistics",):
            choice = _consent(device, purpose, "granted" if granted else "denied", at)
            if _is(period, "N12.record") and n in (9, 30, 66) and granted:
                choice["notice_version"] = None
            rows["consents"].append(choice)
            if granted:
                rows["cookie_events"] += [
                    _cookie(device, purpose, False, at + timedelta(hours=hours)) for hours in (0, 3, 52)
                ]
        if granted and n % 12 == 5:
            back = at + timedelta(days=5)
            taken = _consent(device, "statistics", "denied", back)
            if _is(period, "N34") and n in (5, 29, 53):
                taken["effective_at"] = back + timedelta(hours=40)
            rows["consents"].append(taken)
            if _is(period, "N08") and n > 100:
                rows["cookie_events"].append(_cookie(device, "statistics", False, back + timedelta(days=1)))
    if _is(period, "N07"):
        for n in range(9):
            at = _at(period.first + timedelta(days=40), 50_000 + n)
            rows["cookie_events"].append(_cookie(f"{period.label}-x{n // 2}", "marketing", False, at))


def _cookie(device: str, category: str, necessary: bool, at: datetime) -> Row:
    return {"subject_ref": device, "at": at, "category": category, "necessary": necessary}


def _messages(rows: dict[str, list[Row]], period: Period) -> None:
    left = {n for n in range(_SUBSCRIBERS) if n % 15 == 4 and n % 30 != 4}
    out = {7 * n for n in range(_OPTED_OUT)}
    for month in range(3):
        sent = _at(period.first + timedelta(days=30 * month + 10))
        for n in range(_SUBSCRIBERS):
            person = f"s{n:04}"
            if n not in left | out:
                rows["marketing_messages"].append(_message(person, sent + timedelta(seconds=n), "newsletter"))
            if n % 9 == 0:
                topic = ("maintenance", "update", "security")[month]
                rows["marketing_messages"].append(_message(person, sent + timedelta(days=5), "service", topic))
            elif n % 4 == 1 and n not in out:
                rows["marketing_messages"].append(_message(person, sent + timedelta(days=9), "marketing"))
    if _is(period, "N12"):
        for n in sorted(left - out)[:3]:
            rows["marketing_messages"].append(
                _message(f"s{n:04}", _at(period.first + timedelta(days=70)), "newsletter")
            )
    if _is(period, "N40.opt-out"):
        for n in sorted(out)[:2]:
            rows["marketing_messages"].append(_message(f"s{n:04}", _at(period.first + timedelta(days=50)), "marketing"))


def _message(person: str, at: datetime, kind: str, topic: str | None = None) -> Row:
    return {
        "subject_ref": person,
        "sent_at": at,
        "kind": kind,
        "topic": topic,
        "unsubscribe": kind != "service" or None,
    }


# ---- people and records ---------------------------------------------------------------------------------------------


def _people(rows: dict[str, list[Row]], rng: np.random.Generator, period: Period) -> None:
    last = len(period.days) - 1
    for n in range(36):
        ended = period.first + timedelta(days=2 * n)
        group = ("user", "user", "customer", "partner")[n % 4]
        row = {"record_ref": f"{period.label}-a{n}", "subject_group": group, "relationship_ended_on": ended}
        if n % 6 == 2:
            row |= {
                "hold_reason": "reporting_reconciliation",
                "hold_from": ended,
                "hold_review_due_on": date(2027, 6, 30),
            }
        else:
            row |= {"deleted_on": ended + timedelta(days=int(rng.integers(3, 28)))}
        if _is(period, "N26") and n in (4, 9, 13):
            row["deleted_on"] = ended + timedelta(days=44)
        rows["retention"].append(row)
    for n in range(16):
        ended = period.first + timedelta(days=4 * n)
        row = {"record_ref": f"{period.label}-c{n}", "subject_group": ("prospect", "visitor")[n % 2]}
        rows["retention"].append(row | {"relationship_ended_on": ended, "deleted_on": ended + timedelta(days=n + 5)})
    sources = ("direct", "interaction", "public", "lead_provider")
    for n in range(40):
        got = period.first + timedelta(days=2 * n)
        source = "purchased_list" if _is(period, "N05") and n in (11, 12) else sources[n % 4]
        record = f"{period.label}-p{n}"
        informed = got + timedelta(days=int(rng.integers(1, 9))) if n % 4 > 1 else None
        rows["prospects"].append(
            {"record_ref": record, "source": source, "obtained_on": got, "informed_on": informed,
             "first_contact_on": got + timedelta(days=10)}
        )  # fmt: skip
        alone = _is(period, "N13") and n in (20, 21)
        rows["prospect_decisions"].append(
            {"record_ref": record, "decided_at": _at(got, 50_000), "decided_by": "automatic" if alone else "human",
             "effect": "contact"}
        )  # fmt: skip
    event = period.first + timedelta(days=35)
    for n in range(25):
        late = _is(period, "N06") and n in (0, 5, 10)
        row = {"record_ref": f"{period.label}-e{n}", "event_ended_on": event, "has_dietary": n % 5 == 0}
        if n % 5 == 0:
            row |= {"dietary_deleted_on": event + timedelta(days=43 if late else 6), "dietary_exported": False}
        rows["event_registrations"].append(row)
    for n in range(6):
        at = _at(period.first + timedelta(days=12 * n + 5))
        row = {"disclosure_id": f"{period.label}-{n}", "subject_ref": f"s{n + 20:04}", "disclosed_at": at}
        if n < 4:
            told = at.date() - timedelta(days=3) if n < 2 else None
            reason = "forbidden_by_law" if n > 1 and not (_is(period, "N23") and n == 3) else None
            row |= {"ground": "legal_obligation", "informed_on": told, "not_informed_reason": reason}
        else:
            row |= {"ground": "consent", "purpose": "newsletter"}
        rows["disclosures"].append(row)
    for n in range(2):
        day = period.first + timedelta(days=30 * n + 8)
        rows["complaints"].append(
            {"complaint_id": f"{period.label}-{n}", "received_on": day, "contacted_first": n == 0,
             "closed_on": day + timedelta(days=40) if day < date(2026, 8, 1) else None}
        )  # fmt: skip
    for month in range(3):
        counted = period.first + timedelta(days=min(30 * month + 29, last))
        open_ = 2_300 + 9 * (counted - date(2026, 1, 1)).days // 4
        share = 0.41 + 0.0006 * (counted - date(2026, 1, 1)).days
        rows["accounts"].append({"counted_on": counted, "accounts": open_, "two_factor": int(open_ * share)})


# ---- things ---------------------------------------------------------------------------------------------------------


def _things(rows: dict[str, list[Row]], period: Period) -> None:
    for month in range(3):
        day = period.first + timedelta(days=30 * month + 3)
        for page in ("home", "pricing", "docs", "blog"):
            seen = [
                ("session", True, "before_choice"),
                ("consent", True, "after_reject"),
                ("stats_id", False, "after_accept"),
            ]
            if page == "home":
                seen.append(("ads_id", False, "after_accept"))
            if _is(period, "N07.scan") and month == 1 and page == "blog":
                seen.append(("ads_id", False, "before_choice"))
            if _is(period, "N09") and month == 2 and page == "pricing":
                seen.append(("chat_id", False, "after_accept"))
            rows["cookie_scans"] += [
                {"scan_id": f"{day:%Y-%m}", "scanned_on": day, "page": page, "cookie": cookie, "necessary": necessary,
                 "phase": phase, "settings_reachable": True, "lifetime_days": LIFETIMES[cookie]}
                for cookie, necessary, phase in seen
            ]  # fmt: skip
        for n in range(4):
            small = _is(period, "N10") and month == 1 and n == 2
            rows["analytics_outputs"].append(
                {
                    "output_id": f"{day:%Y-%m}-{n}",
                    "made_on": day,
                    "level": "aggregate",
                    "fewest_people": 4 if small else 10 + n,
                }
            )
        for system in ("crm", "billing", "panel", "support", "events", "web", "logs", "warehouse"):
            run: Row = {"run_on": day, "system_id": system, "retention_rule": "R1", "overdue": 0, "deleted": 12 + month}
            if system == "support":
                # What is left for less than the grace is no exception.
                old = 61 if _is(period, "N25.runs") and month == 2 else 9
                run |= {"overdue": 3, "oldest_due_on": day - timedelta(days=old)}
            rows["retention_runs"].append(run | {"on_hold": 2 if system == "billing" else 0})
        rows["findings"].append(
            {"finding_id": f"F-{day:%Y-%m}", "asset_id": "www", "severity": ("low", "medium", "high")[month],
             "opened_on": day, "due_on": day + timedelta(days=45),
             "closed_on": day + timedelta(days=21) if day < date(2026, 9, 1) else None}
        )  # fmt: skip


# ---- requests -------------------------------------------------------------------------------------------------------


def _excluded(rows: dict[str, list[Row]], accounts: Sequence[str]) -> None:
    """Twelve people who objected to the analysis in the course of the year, and four whose data is restricted."""
    for n, account in enumerate(accounts[:16]):
        first = date(2026, 1, 19) + timedelta(days=14 * n)
        row: Row = {"account": account, "reason": "restricted" if n % 4 == 3 else "objected", "excluded_from": first}
        rows["excluded_accounts"].append(row | {"excluded_until": first + timedelta(days=40) if n % 4 == 3 else None})


def _handling(rows: dict[str, list[Row]], requests: pl.DataFrame) -> None:
    """What the register of requests does not say of its rows; for two of them too little."""
    left = {"N01": 1, "N29": 2}

    def left_out(promise: str, day: str) -> bool:
        """Whether this request is one of those of which too little was noted."""
        planted = Period.parse(PLANTED[promise])
        found = left[promise] > 0 and planted.first <= date.fromisoformat(day) <= planted.last
        left[promise] -= found
        return found

    for row in requests.iter_rows(named=True):
        if row["state"] != "closed":
            continue
        answered = row["response_sent_on"] or row["decided_on"]
        noted: Row = {"request_id": row["request_id"]}
        granted = row["outcome"] in ("fulfilled", "partial")
        if row["role"] == "processor":
            if not left_out("N01", answered):
                noted["forwarded_on"] = answered
        elif row["right"] == "access" and granted:
            if not left_out("N29", answered):
                noted |= {"data_held": True, "copy_sent": True}
        elif row["right"] == "portability" and granted:
            noted["machine_readable"] = True
        elif row["right"] in ("rectification", "erasure") and granted:
            noted["recipients_notified_on"] = row["executed_on"]
        if row["reason_code"] in ("manifestly_unfounded", "excessive", "repetitive"):
            noted["evidence_kept"] = True
        if row["right"] == "objection" and row["outcome"] in ("refused", "partial"):
            noted["compelling_grounds"] = True
        rows["request_handling"].append(noted)
        if row["right"] == "restriction" and granted:
            rows["restrictions"].append(
                {"request_id": row["request_id"], "ground": "accuracy_contested", "restricted_on": answered}
            )

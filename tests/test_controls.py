"""Each control on a made register in which the exceptions are known: they are found, and nothing else is."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from privacy_metrics.controls import CONTROLS, Evidence, Figures, evaluate
from privacy_metrics.deadlines import Calendar
from privacy_metrics.notice import Promise
from privacy_metrics.params import Period
from registers_made import AS_OF, NOTICE, PLAIN, Q3, ZONE, found, register, scope

# Control: options, the registers' rows (each a change to the plain row; the first one is row 2), and what is found.
Case = tuple[dict[str, Any], list[list[dict[str, str]]], dict[str, list[int]]]

OPEN = {"state": "in_progress", "outcome": "", "response_sent_on": "", "decided_on": ""}
REFUSED = {"outcome": "refused", "reasons_given": "true", "complaint_right_given": "true", "remedy_given": "true"}
LATE = {"response_sent_on": "2026-08-07", "decided_on": "2026-08-07"}  # received on 6 July: due on 6 August
TIMES = "2026-08-01T12:00:{:02}+03:00"


CASES: dict[str, list[Case]] = {
    "consent-before-cookies": [
        # the same second, a second before, the other purpose, somebody else, one that is necessary
        ({}, [
            [{"at": TIMES.format(30)}, {"at": TIMES.format(29)}, {"category": "marketing"}, {"subject_ref": "bert"},
             {"subject_ref": "bert", "necessary": "true"}],
            [{"at": TIMES.format(30)}],
        ], {"notice": [3, 4, 5], "law": [3, 4, 5]}),
        # expired: valid up to the second before; the end of the quarter in local time
        ({}, [
            [{"at": "2026-08-31T23:59:59+03:00"}, {"at": "2026-09-01T00:00:00+03:00"},
             {"at": "2026-09-30T23:59:59+03:00"}, {"at": "2026-10-01T00:00:00+03:00"}],
            [{"expires_at": "2026-09-01T00:00:00+03:00"}],
        ], {"notice": [3, 4], "law": [3, 4]}),
        # a consent that was noted late does not count before it was noted, where the parameters say so
        ({"recorded_within_hours": 24}, [
            [{"at": "2026-08-01T12:00:00+03:00"}, {"at": "2026-08-04T12:00:00+03:00"}],
            [{"at": "2026-07-30T12:00:00+03:00", "recorded_at": "2026-08-03T12:00:00+03:00"}],
        ], {"notice": [2], "law": [2]}),
    ],
    "consent-changeable": [
        # withdrawn at :30; the same second can't be told apart, the next one can; consent given again at :40
        ({}, [
            [{"at": TIMES.format(30)}, {"at": TIMES.format(31)}, {"at": TIMES.format(40)}],
            [{"at": TIMES.format(40)}, {"state": "denied", "at": TIMES.format(30)}, {}],
        ], {"notice": [3], "law": [3]}),
        # put into effect earlier than the grace allows
        ({"grace_hours": 24}, [
            [{"at": "2026-08-01T13:00:00+03:00"}, {"at": "2026-08-01T15:00:00+03:00"}],
            [{}, {"state": "denied", "at": TIMES.format(0), "effective_at": "2026-08-01T14:00:00+03:00"}],
        ], {"notice": [3], "law": [3]}),
        # as many consents as are asked for, and no withdrawal; a refusal, and one withdrawn before, are none
        ({"grants": 2}, [
            [{"at": "2026-07-02T12:00:00+03:00"}, {"subject_ref": "bert", "at": "2026-07-02T12:00:00+03:00"}],
            [{}, {"subject_ref": "bert"}, {"subject_ref": "carl", "state": "denied"},
             {"subject_ref": "dora", "at": "2026-05-01T12:00:00+03:00"},
             {"subject_ref": "dora", "state": "denied", "at": "2026-06-30T23:59:59+03:00"},
             {"subject_ref": "dora", "state": "denied", "at": "2026-08-01T12:00:00+03:00"},
             {"subject_ref": "anna", "purpose": "newsletter", "at": "2026-05-01T12:00:00+03:00"},
             {"subject_ref": "anna", "purpose": "newsletter", "state": "denied"}],
        ], {"warns": [2, 3]}),
        ({"grants": 3}, [[{}], [{}, {"subject_ref": "bert"}]], {}),
        # withdrawn on the last day, a consent that was given long before
        ({"grants": 2}, [
            [{"at": "2026-07-02T12:00:00+03:00"}],
            [{}, {"subject_ref": "bert"}, {"subject_ref": "carl", "at": "2025-05-01T12:00:00+03:00"},
             {"subject_ref": "carl", "state": "denied", "at": "2026-09-30T23:59:59+03:00"}],
        ], {}),
    ],
    "cookies-scanned": [
        ({}, [[
            {"cookie": "a", "necessary": "false", "phase": "before_choice"},
            {"cookie": "a", "necessary": "false", "phase": "after_reject"},
            {"cookie": "a", "necessary": "false", "phase": "after_accept"},
            {"cookie": "s", "necessary": "true", "phase": "before_choice"}, {"phase": "before_choice"},
            {"cookie": "x", "phase": "before_choice"},
        ]], {"notice": [2, 3], "law": [2, 3], "unknown": [7]}),
    ],
    "settings-reachable": [
        ({}, [[
            {"page": "home"}, {"page": "docs", "settings_reachable": "false"}, {"page": "docs"},
            {"page": "old", "settings_reachable": "false", "scanned_on": "2026-06-30"},
        ]], {"notice": [3], "law": [3]}),
    ],
    "cookies-listed": [
        # on the first and the last day of the listing, and a day beside it
        ({}, [
            [{"cookie": "a", "scanned_on": "2026-08-03"}, {"cookie": "a", "scanned_on": "2026-08-02"},
             {"cookie": "b", "scanned_on": "2026-08-03"}, {"cookie": "b", "scanned_on": "2026-08-04"}, {"cookie": "c"}],
            [{"cookie": "a", "listed_from": "2026-08-03"}, {"cookie": "b", "listed_until": "2026-08-03"}],
        ], {"notice": [3, 5, 6]}),
        # listed on the day of the scan, and not found by it; before and after it; found while it was not listed
        ({}, [[{"cookie": "a"}], [{"cookie": "a"}, {"cookie": "b", "listed_from": "2026-08-03",
                                                   "listed_until": "2026-08-03"}]], {"warns": [2]}),
        ({}, [[{"cookie": "a"}], [{"cookie": "a"}, {"cookie": "b", "listed_until": "2026-08-02"},
                                  {"cookie": "c", "listed_from": "2026-08-04"}]], {}),
        ({}, [
            [{"cookie": "a"}, {"cookie": "b"}, {"cookie": "a", "scanned_on": "2026-09-03"}],
            [{"cookie": "a"}, {"cookie": "b", "listed_from": "2026-09-03"}],
        ], {"notice": [3], "warns": [2, 3, 4]}),
    ],
    "consent-demonstrable": [
        ({}, [[
            {}, {"notice_version": ""}, {"recorded_at": "2026-07-02T12:00:00+03:00"},
            {"recorded_at": "2026-07-02T12:00:01+03:00"}, {"state": "denied", "notice_version": ""},
        ]], {"law": [3], "policy": [5]}),
    ],
    "right-withdraw-consent": [
        ({"limit_hours": 24}, [[
            {"state": "denied", "effective_at": "2026-07-02T12:00:00+03:00"},
            {"state": "denied", "effective_at": "2026-07-02T12:00:01+03:00"}, {"state": "denied"}, {},
            {"state": "denied", "at": "2026-09-30T12:00:00+03:00"},
        ]], {"notice": [4], "policy": [3, 4], "warns": [6]}),
    ],
    "newsletter-consent": [
        ({}, [
            [{"kind": "newsletter", "sent_at": TIMES.format(30)}, {"kind": "newsletter", "sent_at": TIMES.format(29)},
             {"kind": "marketing", "subject_ref": "bert"}, {"kind": "newsletter", "subject_ref": "bert"},
             {"kind": "newsletter", "subject_ref": "carl"}],
            [{"purpose": "newsletter", "at": TIMES.format(30)}, {"purpose": "newsletter", "subject_ref": "carl"},
             {"purpose": "newsletter", "subject_ref": "carl", "state": "denied", "at": "2026-07-31T12:00:00+03:00"}],
        ], {"notice": [3, 5, 6], "law": [3, 5, 6]}),
    ],
    "marketing-opt-out": [
        # opted out the day before: at the grace's end, a second after it; a service message; one who never opted out
        ({"grace_hours": 24}, [
            [{"sent_at": TIMES.format(0)}, {"sent_at": TIMES.format(1)}, {"kind": "service"}, {"subject_ref": "bert"},
             {"kind": "newsletter", "sent_at": TIMES.format(2)}],
            [{"purpose": "direct_marketing", "state": "denied", "at": "2026-07-31T12:00:00+03:00"}],
        ], {"notice": [3, 6], "law": [2, 3, 6]}),
        # an opt-out that was taken back before it took effect never counts
        ({"grace_hours": 24}, [
            [{"sent_at": "2026-08-05T12:00:00+03:00"}],
            [{"purpose": "direct_marketing", "state": "denied", "at": "2026-07-31T12:00:00+03:00"},
             {"purpose": "direct_marketing", "at": "2026-07-31T18:00:00+03:00"}],
        ], {}),
    ],
    "unsubscribe-offered": [
        ({}, [[{}, {"unsubscribe": "false"}, {"unsubscribe": ""}, {"kind": "service", "unsubscribe": "false"}]],
         {"notice": [3], "law": [3], "unknown": [4]}),
    ],
    "service-messages-only": [
        ({"topics": ["update"], "most": 2}, [
            [{"kind": "service", "topic": t, "sent_at": TIMES.format(n), "subject_ref": who}
             for n, (t, who) in enumerate([("update", "anna"), ("offer", "anna"), ("update", "anna"), ("offer",
              "bert")])],
            [{"purpose": "direct_marketing", "state": "denied"}],
        ], {"notice": [3], "policy": [4]}),
    ],
    "disclosure-consent": [
        ({}, [
            [{"ground": "consent", "purpose": "partner", "disclosed_at": TIMES.format(30)},
             {"ground": "consent", "purpose": "partner", "disclosed_at": TIMES.format(29)},
             {"ground": "legal_obligation"}, {"ground": "consent", "purpose": ""}],
            [{"purpose": "partner", "at": TIMES.format(30)}],
        ], {"notice": [3], "law": [3], "unknown": [5]}),
    ],
    "authority-disclosures": [({}, [[{}, {"ground": ""}]], {"notice": [3], "law": [3]})],
    "disclosure-told": [
        # told the day before, on the day, never, never and with a reason; one on another ground
        ({}, [[
            {"informed_on": "2026-08-02"}, {"informed_on": "2026-08-03"}, {"informed_on": ""},
            {"informed_on": "", "not_informed_reason": "investigation"}, {"ground": "consent", "informed_on": ""},
        ]], {"notice": [3, 4]}),
    ],
    "data-categories": [
        ({"groups": ["customer", "user"]}, [[
            {}, {"category": "health"}, {"category": "health", "subject_group": "prospect"}, {"category": ""},
            {"category": "account"}, {"category": "account", "subject_group": "user"},
            {"category": "health", "held_until": "2026-06-30"}, {"category": "health", "held_until": "2026-07-01"},
            {"category": "health", "held_from": "2026-10-01"}, {"category": "ip_address", "technical": "true"},
        ]], {"notice": [3, 6, 9], "unknown": [5]}),
    ],
    "technical-categories": [
        ({}, [[{"technical": "true", "category": "browser"}, {"technical": "true", "category": "fonts"},
               {"technical": "true", "category": ""}, {"category": "fonts"}]], {"notice": [3], "unknown": [4]}),
    ],
    "combined-is-personal": [
        ({}, [[
            {"technical": "true", "joined_with_user_data": "true"} | change
            for change in ({}, {"classed_personal": "false"}, {"in_request_scope": "false"}, {"retention_rule": ""},
                           {"classed_personal": "false", "joined_with_user_data": "false"})
        ]], {"notice": [3, 4, 5], "law": [3, 4]}),
    ],
    "retention-rules": [
        ({}, [[{}, {"retention_rule": ""}, {"retention_rule": "", "classed_personal": "false"}]],
         {"notice": [3], "law": [3]}),
    ],
    "retention-runs": [
        # the grace's last day is 2 August: overdue up to it, since a day before, since when is not said
        ({"days": 30}, [
            [{"system_id": s} for s in "abcde"] + [{"system_id": "f", "classed_personal": "false"},
             {"system_id": "g", "retention_rule": ""}, {"system_id": "b", "subject_group": "visitor"}],
            [{"system_id": "a", "run_on": "2026-08-02", "overdue": "4", "oldest_due_on": "2026-07-03"},
             {"system_id": "b", "run_on": "2026-08-02", "overdue": "4", "oldest_due_on": "2026-07-02"},
             {"system_id": "b", "run_on": "2026-09-02"}, {"system_id": "c", "overdue": "1"},
             {"system_id": "d", "retention_rule": "R2"}, {"system_id": "d", "run_on": "2026-06-30"},
             {"system_id": "e", "on_hold": "9"}],
        ], {"notice": [3, 4, 9], "law": [3, 4, 9], "unknown": [5]}),
        # a run counts for what was held on its day
        ({}, [
            [{"held_until": "2026-08-02"}, {"held_until": "2026-08-03"}, {"held_from": "2026-08-04"}],
            [{"overdue": "1"}],
        ], {"notice": [3], "law": [3], "unknown": [2, 4]}),
    ],
    "declared-purposes": [
        ({}, [[{}, {"purpose": "ranking"}, {"purpose": "ranking", "subject_group": "prospect"}, {"purpose": ""}]],
         {"notice": [3], "law": [3], "unknown": [5]}),
    ],
    "legal-grounds": [
        # a lawful ground that the notice does not give breaks the notice alone
        ({}, [[{}, {"legal_ground": "vital_interests"}, {"legal_ground": ""}, {"legal_ground": "habit"},
               {"subject_group": "prospect", "legal_ground": "consent"}]], {"notice": [3, 4, 5, 6], "law": [4, 5]}),
    ],
    "aggregate-trends": [
        ({"fewest": 10}, [[
            {}, {"fewest_people": "9"}, {"fewest_people": "9", "justified": "true"}, {"level": "identified"},
            {"fewest_people": ""}, {"level": "pseudonymous", "fewest_people": "", "justified": "true"},
        ]], {"notice": [3, 5], "policy": [3, 5], "unknown": [6], "warns": [4, 7]}),
    ],
    "no-automated-decisions": [
        ({}, [[{}, {"decided_by": "automatic"}, {"decided_by": "automatic", "effect": "exclusion"},
               {"decided_by": "automatic", "effect": "ranking"}, {"decided_by": ""}]],
         {"notice": [3, 4], "law": [4], "unknown": [6]}),
    ],
    "ranking-inputs": [
        ({}, [[
            {}, {"inputs": "communication;linkedin"}, {"special_category": "true"},
            {"effect": "contact", "human_step": "false"}, {"effect": "contact", "human_step": "true"}, {"inputs": ""},
            {"inputs": "linkedin", "subject_group": "customer"}, {"effect": "contact"},
        ]], {"notice": [3, 4, 5], "law": [4, 5], "unknown": [7, 9]}),
    ],
    "event-data": [
        # the 30th day after the event is 9 August: deleted on it, a day later, never; the next event's is still to come
        ({"days": 30}, [[
            {"dietary_deleted_on": "2026-08-09"}, {"dietary_deleted_on": "2026-08-10"}, {},
            {"event_ended_on": "2026-09-20"}, {"has_dietary": "false"},
            {"dietary_deleted_on": "2026-07-11", "dietary_exported": "true"},
            {"event_ended_on": "2026-01-10", "dietary_deleted_on": "2026-06-30"},
        ]], {"notice": [3, 4, 7], "law": [3, 4, 7], "policy": [3, 4], "warns": [5]}),
    ],
    "transfer-safeguards": [
        ({}, [[
            {"country": "DE", "mechanism": "none"}, {}, {"mechanism": "none"}, {"mechanism": ""},
            {"valid_until": "2026-09-30"}, {"valid_until": "2026-09-29"}, {"signed_on": "2026-07-02"},
            {"signed_on": "2026-07-01"}, {"country": "US", "mechanism": "adequacy"},
            {"country": "US", "mechanism": "adequacy", "scope": "data_privacy_framework"},
            {"country": "US", "mechanism": "adequacy", "scope": "privacy_shield"},
            {"country": "CN", "mechanism": "adequacy"}, {"mechanism": "bcr"},
             {"country": "GB", "mechanism": "adequacy"},
            {"ended_on": "2026-06-30", "mechanism": "none"}, {"ended_on": "2026-07-01", "mechanism": "none"},
        ]], {"notice": [4, 7, 8, 10, 12, 13, 14, 17], "law": [4, 7, 8, 10, 12, 13, 17], "unknown": [5], "warns": [6]}),
    ],
    "stored-in-eu": [({}, [[{}, {"country": "US"}, {"country": "NO"}, {"country": ""}]],
     {"notice": [3, 4], "unknown": [5]})],
    "hosted-by-us": [
        ({"tag": "customer_database"}, [[{"tag": "customer_database"} | change for change in
                                        ({}, {"country": "IS"}, {"hosted_by": "vendor"},
                                         {"country": ""})] + [{"country": "US"}]],
         {"notice": [3, 4], "unknown": [5]}),
    ],
    "processor-contracts": [
        # a contract that ends on the last day of access; a day before it; two that follow each other; a gap of a day
        ({}, [
            [{"vendor_id": "a", "access_until": "2026-08-31"}, {"vendor_id": "b", "access_until": "2026-08-31"},
             {"vendor_id": "c"}, {"vendor_id": "d"}, {"vendor_id": "e"},
              {"vendor_id": "f", "access_until": "2026-06-30"},
             {"vendor_id": "g"}],
            [{"vendor_id": "a", "ends_on": "2026-08-31"}, {"vendor_id": "b", "ends_on": "2026-08-30"},
             {"vendor_id": "c", "ends_on": "2026-07-31"}, {"vendor_id": "c", "signed_on": "2026-08-01"},
             {"vendor_id": "d", "ends_on": "2026-07-31"}, {"vendor_id": "d", "signed_on": "2026-08-02"},
             {"vendor_id": "g", "ends_on": "2026-10-15"}],
        ], {"notice": [3, 5, 6], "law": [3, 5, 6], "warns": [8]}),
        ({"outside_eea": True}, [[{"country": "FI"}, {"country": "US", "vendor_id": "w"}], [{"vendor_id": "x"}]],
         {"notice": [3], "law": [3]}),
        ({}, [[{"country": "FI"}, {"country": "US", "vendor_id": "w"}], [{"vendor_id": "x"}]],
         {"notice": [2, 3], "law": [2, 3]}),
    ],
    "vendor-instructions": [
        ({}, [
            [{"vendor_id": v} for v in "abcd"],
            [{"vendor_id": "a"}, {"vendor_id": "b", "purposes": "service;resale"},
             {"vendor_id": "c", "instructions_clause": "false"},
             {"vendor_id": "a", "signed_on": "2020-01-01", "ends_on": "2025-01-01", "purposes": "resale"}],
        ], {"notice": [3, 4], "law": [4], "unknown": [5]}),
    ],
    "security-clauses": [
        # the contract in force on the last day counts: the newer one of b, not yet the one of c
        ({}, [
            [{"vendor_id": v} for v in "abcd"],
            [{"vendor_id": "a"}, {"vendor_id": "b"},
             {"vendor_id": "b", "signed_on": "2026-09-30", "security_clause": "false"},
             {"vendor_id": "c", "security_clause": "false"}, {"vendor_id": "c", "signed_on": "2026-10-01"},
             {"vendor_id": "d", "security_clause": ""}],
        ], {"notice": [3, 4], "law": [3, 4], "unknown": [5]}),
    ],
    "vendor-evaluated": [
        ({"months": 12}, [
            [{"vendor_id": v} for v in "abcde"],
            [{"vendor_id": "a", "evaluated_on": "2025-09-30"}, {"vendor_id": "b", "evaluated_on": "2025-09-29"},
             {"vendor_id": "c", "evaluated_on": "2026-10-01"}, {"vendor_id": "d"}],
        ], {"notice": [4, 6], "policy": [3, 4, 6], "warns": [2]}),
    ],
    "one-isms": [
        ({}, [[
            {"company_id": "a"}, {"company_id": "b", "covered_from": "2026-07-02"},
             {"company_id": "c", "covered_from": ""},
            {"company_id": "d", "member_until": "2026-08-31", "covered_until": "2026-08-31"},
            {"company_id": "e", "covered_until": "2026-10-15"},
             {"company_id": "f", "member_from": "2026-07-02", "covered_from": "2026-07-02"},
        ]], {"notice": [3, 4], "warns": [6]}),
    ],
    "retention": [
        # ended on 10 July: the 30th day is 9 August. Deleted the day after it, two days after it; on hold
        ({"groups": ["user"], "days": 30, "holds": ["investigation"]}, [[
            {"deleted_on": "2026-08-10"}, {"deleted_on": "2026-08-11"}, {},
            {"hold_reason": "investigation", "hold_from": "2026-08-10"},
            {"hold_reason": "investigation", "hold_from": "2026-08-11"},
            {"hold_reason": "investigation", "hold_from": "2026-07-10", "hold_until": "2026-09-29"},
            {"hold_reason": "investigation", "hold_from": "2026-07-10", "hold_until": "2026-09-30"},
            {"hold_reason": "legal_claims", "hold_from": "2026-07-10"}, {"subject_group": "customer"},
            {"relationship_ended_on": "2026-09-20"},
            {"hold_reason": "investigation", "hold_from": "2026-07-10", "hold_review_due_on": "2026-09-01"},
            {"relationship_ended_on": "2026-01-10", "deleted_on": "2026-06-30"},
        ]], {"notice": [3, 4, 6, 7, 9], "law": [3, 4, 6, 7], "policy": [3, 4, 6, 7], "warns": [11, 12]}),
    ],
    "prospect-sources": [
        ({}, [[
            {}, {"source": "purchased"}, {"source": ""}, {"source": "public", "informed_on": "2026-08-10"},
            {"source": "public", "informed_on": "2026-08-11"}, {"source": "public"},
            {"source": "public", "informed_on": "2026-08-01", "first_contact_on": "2026-07-20"},
            {"source": "public", "obtained_on": "2026-09-20"}, {"source": "public", "deleted_on": "2026-07-20"},
        ]], {"notice": [3], "law": [6, 7, 8], "unknown": [4], "warns": [9]}),
    ],
    "prospect-review": [
        ({"months": 6}, [[{"done_on": "2026-01-20"}, {"done_on": "2026-07-20"}]], {}),
        ({"months": 6}, [[{"done_on": "2026-01-20"}, {"done_on": "2026-07-21"}]], {"policy": [3]}),
        ({"months": 6}, [[{"done_on": "2026-03-29"}]], {"policy": [2]}),
        ({"months": 6}, [[{"done_on": "2026-03-30"}]], {"warns": [2]}),
        ({"months": 6}, [[{"reviewed": "9"}]], {"notice": [2], "policy": [2]}),
        ({"months": 6}, [[{"corrected": "0"}]], {"warns": [2]}),
    ],
    "answered-in-time": [
        # received on 6 July, so due on 6 August; open and overdue; due on 1 October; a request of a customer's
        ({}, [[
            {"response_sent_on": "2026-08-06", "decided_on": "2026-08-06"}, LATE, OPEN,
            OPEN | {"received_at": "2026-09-01T10:00:00+03:00"}, LATE | {"role": "processor"},
            {"outcome": "withdrawn", "response_sent_on": "", "decided_on": "2026-08-06"},
            {"outcome": "withdrawn", "response_sent_on": "", "decided_on": "2026-08-07"},
            LATE | {"extension_notified_on": "2026-08-06"}, LATE | {"extension_notified_on": "2026-08-07"},
            # late in the quarter before, so no case of this one but for the answer
            LATE | {"received_at": "2026-05-04T10:00:00+03:00", "response_sent_on": "2026-10-01",
             "decided_on": "2026-10-01"},
        ]], {"law": [3, 4, 8, 10], "warns": [5]}),
        ({"rights": ["erasure"]}, [[LATE, LATE | {"right": "erasure"}]], {"law": [3]}),
    ],
    "right-access": [
        ({}, [
            [{}, {}, {}, {"outcome": "no_data"}, LATE, REFUSED],
            [{"request_id": "r0", "data_held": "true", "copy_sent": "true"}, {"request_id": "r1", "data_held": "true"},
             {"request_id": "r4", "data_held": "false"}],
        ], {"notice": [3], "law": [3, 6], "unknown": [4]}),
    ],
    "right-portability": [
        ({}, [
            [{"right": "portability"} | change for change in (
                {"response_format": "electronic"}, {"response_format": "paper"}, {"response_format": "electronic"},
                REFUSED | {"reason_code": "art20_conditions"}, {"response_format": "electronic"})],
            [{"request_id": f"r{n}", "machine_readable": str(n != 2).lower()} for n in range(4)],
        ], {"notice": [3, 4, 5], "law": [3, 4], "unknown": [6]}),
    ],
    "right-rectification": [
        ({"days": 7}, [
            [{"right": "rectification"} | change for change in (
                {"executed_on": "2026-07-27"}, {"executed_on": "2026-07-28"}, {}, {"executed_on": "2026-07-21"},
                REFUSED)],
            [{"request_id": f"r{n}", "recipients_notified_on": "2026-07-28"} for n in range(3)],
        ], {"notice": [3, 4], "law": [3, 4], "warns": [5]}),
    ],
    "right-restriction": [
        ({}, [
            [{"right": "restriction"} for _ in range(7)],
            [{"request_id": "r0"}, {"request_id": "r1", "ground": ""},
             {"request_id": "r2", "lifted_on": "2026-08-10", "told_before_lift_on": "2026-08-09"},
             {"request_id": "r3", "lifted_on": "2026-08-10", "told_before_lift_on": "2026-08-11"},
             {"request_id": "r4", "last_processed_on": "2026-07-21"},
              {"request_id": "r5", "last_processed_on": "2026-07-20"}],
        ], {"notice": [3, 5, 6], "law": [3, 5, 6], "unknown": [8]}),
    ],
    "right-erasure": [
        # a late answer breaks the law and not "always"; silence and a refusal without its reason break both
        ({}, [[{"right": "erasure"} | change for change in (
            {}, LATE, OPEN, REFUSED | {"reason_code": "legal_duty"},
            REFUSED | {"reason_code": "legal_duty", "reasons_given": "false"}, REFUSED,
            OPEN | {"received_at": "2026-09-10T10:00:00+03:00"},
        )]], {"notice": [4, 6, 7], "law": [3, 4, 6, 7], "warns": [8]}),
    ],
    "right-object": [
        ({}, [
            [{"right": "objection"}, {"right": "objection"} | REFUSED | {"reason_code": "compelling_grounds"},
             {"right": "objection"} | REFUSED | {"reason_code": "excessive"},
             {"right": "marketing_objection"} | REFUSED | {"reason_code": "compelling_grounds"},
             {"right": "objection"} | REFUSED | {"reason_code": "compelling_grounds"},
             {"right": "objection"} | REFUSED | {"reason_code": "compelling_grounds"}],
            [{"request_id": "r1", "compelling_grounds": "true"}, {"request_id": "r4", "compelling_grounds": "false"}],
        ], {"notice": [4, 5, 6], "law": [4, 5, 6], "unknown": [7]}),
    ],
    "withdrawals-carried-out": [
        ({"days": 3}, [[{"right": "consent_withdrawal"} | change for change in (
            {"executed_on": "2026-07-09"}, {"executed_on": "2026-07-10"}, OPEN,
            REFUSED, OPEN | {"received_at": "2026-09-29T10:00:00+03:00"},
        )]], {"notice": [5], "policy": [3, 4, 5], "warns": [6]}),
    ],
    "identity-before-disclosure": [
        ({}, [[{"identity_requested_on": "2026-07-07"} | change for change in (
            {"identity_received_on": "2026-07-20"}, {"identity_received_on": "2026-07-21"}, {}, REFUSED,
        )] + [{}] * 4], {"notice": [3, 4], "law": [3, 4]}),
        # asked for on the seventh day and on the eighth; of half of the requests, and of more
        ({"days": 7, "most_share": 0.5}, [[
            {"identity_requested_on": "2026-07-13", "identity_received_on": "2026-07-15"},
            {"identity_requested_on": "2026-07-14", "identity_received_on": "2026-07-15"}, {}, {},
        ]], {"warns": [3]}),
        ({"days": 7, "most_share": 0.49}, [[
            {"identity_requested_on": "2026-07-13", "identity_received_on": "2026-07-15"}, {},
            {"right": "erasure"}, {"role": "processor"},
        ]], {"warns": [2]}),
    ],
    "rejection-grounds": [
        ({}, [[REFUSED | change for change in (
            {"reason_code": "excessive"}, {"reason_code": "others_rights"}, {"reason_code": "legal_duty"}, {},
            {"reason_code": "excessive", "reasons_given": "false"}, {"reason_code": "excessive", "remedy_given": ""},
        )] + [{}]], {"notice": [3, 4, 5, 6], "law": [4, 5, 6, 7]}),
    ],
    "complaint-right-told": [
        ({}, [[REFUSED, REFUSED | {"complaint_right_given": "false"}, REFUSED | {"complaint_right_given": ""}, {}]],
         {"notice": [3, 4], "law": [3, 4]}),
    ],
    "no-form-needed": [
        ({}, [[REFUSED | {"reason_code": "excessive"}, REFUSED | {"reason_code": "missing_form_field"}, {}]],
         {"law": [3]}),
    ],
    "evidence-of-excess": [
        ({}, [
            [REFUSED | {"reason_code": "excessive"}, REFUSED | {"reason_code": "repetitive"},
             REFUSED | {"reason_code": "legal_duty"}],
            [{"request_id": "r0", "evidence_kept": "true"}],
        ], {"law": [3]}),
    ],
    "extension-notified": [
        ({}, [[{"extension_notified_on": day,
         "extension_reasons_given": given} | OPEN | {"state": "extended"} for day, given in (
            ("2026-08-06", "true"), ("2026-08-07", "true"), ("2026-08-06", "false"), ("2026-08-06", ""))] + [{}]],
         {"law": [3, 4, 5]}),
    ],
    "clarification-in-time": [
        ({"days": 7, "most_share": 0.7}, [[
            {"clarification_requested_on": "2026-07-13"}, {"clarification_requested_on": "2026-07-14"}, {},
        ]], {"policy": [3]}),
        ({"days": 7, "most_share": 0.5}, [[{"clarification_requested_on": "2026-07-13"}, {}]], {}),
        ({"days": 7, "most_share": 0.6}, [[
            {"clarification_requested_on": "2026-07-13"}, {"clarification_requested_on": "2026-07-14"}, {},
        ]], {"policy": [3], "warns": [2, 3]}),
    ],
    "controller-role": [
        ({}, [
            [{"role": "processor", "outcome": "misdirected"} for _ in range(3)] + [{}],
            [{"request_id": "r0", "forwarded_on": "2026-07-08"}, {"request_id": "r1"}],
        ], {"notice": [3], "unknown": [4]}),
    ],
    "security-tests": [
        ({"months": 12, "website_months": 3}, [
            [{"asset_id": "a"}, {"asset_id": "b", "kind": "website"}, {"asset_id": "c", "kind": "website"},
             {"asset_id": "d"},
             {"asset_id": "e", "service_from": "2026-08-01"}, {"asset_id": "f", "service_until": "2026-06-30"}],
            [{"asset_id": "a", "done_on": "2025-12-01"}, {"asset_id": "b", "done_on": "2026-06-30"},
             {"asset_id": "c", "done_on": "2026-06-29"}, {"asset_id": "b", "done_on": "2026-10-01"}],
        ], {"policy": [4, 5], "warns": [3]}),
        # a kind of which the last test is a year ago to the day, one of a day more; one in service for less, with
        # none; one whose only test was of an asset that was taken out of service and was too long ago by then
        ({"months": 12, "website_months": 3}, [
            [{"asset_id": "a"}, {"asset_id": "b"}, {"asset_id": "c", "kind": "data_centre"},
             {"asset_id": "d", "kind": "data_centre", "service_from": "2026-08-01"},
             {"asset_id": "e", "kind": "other", "service_from": "2025-09-30"},
             {"asset_id": "f", "kind": "website", "service_until": "2026-08-02"}],
            [{"asset_id": "a", "done_on": "2025-09-30"}, {"asset_id": "c", "done_on": "2025-09-29"},
             {"asset_id": "c", "done_on": "2026-10-01"}, {"asset_id": "f", "done_on": "2026-05-01"}],
        ], {"notice": [4, 5, 7], "policy": [3, 4, 7], "warns": [2, 6]}),
    ],
    "findings-mended": [
        ({}, [[
            {"closed_on": "2026-08-10"}, {"closed_on": "2026-08-11"}, {}, {"due_on": "2026-09-30"}, {"due_on": ""},
            {"opened_on": "2026-01-01", "closed_on": "2026-06-30"}, {"due_on": "2026-09-29"},
        ]], {"policy": [3, 4, 8], "unknown": [6], "warns": [5]}),
    ],
    "security-measures": [
        ({"months": 12}, [[
            {}, {"encryption": "no"}, {"firewall": "not_appropriate"}, {"secure_facility": ""},
            {"access_reviewed_on": "2025-09-29"}, {"access_reviewed_on": "2025-09-30"}, {"access_reviewed_on": ""},
        ]], {"notice": [3], "policy": [6, 8], "unknown": [5], "warns": [7]}),
    ],
    "changes-announced": [
        ({}, [[
            {"announced_on": "2026-08-14"}, {"announced_on": "2026-08-15"}, {"announced_on": ""},
            {"material": "false", "announced_on": ""}, {"groups_told": "customer"},
            {"groups_told": "customer", "groups_concerned": "customer"},
             {"effective_on": "2026-10-20", "announced_on": ""},
            {"effective_on": "2026-06-30", "announced_on": ""},
        ]], {"notice": [3, 4, 6], "warns": [8]}),
    ],
}  # fmt: skip

MEASURES: dict[str, tuple[list[list[dict[str, str]]], Figures]] = {
    "two-factor": (
        [[{"counted_on": "2026-08-31", "two_factor": "39"}, {}, {"counted_on": "2026-06-30"}]],
        Figures(100, {"accounts": 100, "two-factor of accounts": 40}),
    ),
    "complaints": (
        [
            [{"contacted_first": "true"}, {"closed_on": "2026-09-30"}, {"received_on": "2026-06-30"}],
            # answered after 14 days, on the last day of the quarter, after it; not escalated
            [
                {"escalated": "true"},
                {"escalated": "true", "received_at": "2026-06-30T10:00:00+03:00", "response_sent_on": "2026-09-30"},
                {"escalated": "true", "response_sent_on": "2026-10-01"},
                {},
            ],
        ],
        Figures(
            8,
            {
                "complaints": 2,
                "contacted first of complaints": 1,
                "open": 2,
                "escalated": 2,
                "escalated answered": 2,
                "days per escalated answered": 14 + 92,
            },
            {"days per escalated answered": 2},
        ),
    ),
    "clarification-pauses": (
        # seven days; asked and never answered; answered after the quarter; asked after it; one of another quarter
        [
            [
                {"clarification_requested_on": "2026-07-08", "clarification_received_on": "2026-07-15"},
                {"clarification_requested_on": "2026-09-20"},
                {"clarification_requested_on": "2026-09-28", "clarification_received_on": "2026-10-01"},
                {"received_at": "2026-09-29T10:00:00+03:00", "clarification_requested_on": "2026-10-01"} | OPEN,
                {"received_at": "2026-06-30T10:00:00+03:00", "clarification_requested_on": "2026-07-01"},
                {"role": "processor", "clarification_requested_on": "2026-07-08"},
                {},
            ]
        ],
        Figures(
            5,
            {"requests": 5, "paused of requests": 3, "still paused of paused": 2, "days per paused": 7 + 10 + 2},
            {"days per paused": 3},
        ),
    ),
    "identity-checks": (
        # answered; never, and closed; never, and open; closed after the quarter; asked for after it
        [
            [
                {"identity_requested_on": "2026-07-08", "identity_received_on": "2026-07-15"},
                {"identity_requested_on": "2026-07-16"},
                {"identity_requested_on": "2026-07-07"} | OPEN,
                {"identity_requested_on": "2026-07-07", "response_sent_on": "2026-10-01"},
                {"received_at": "2026-09-29T10:00:00+03:00", "identity_requested_on": "2026-10-01"} | OPEN,
                {"role": "processor", "identity_requested_on": "2026-07-08"},
                {},
            ]
        ],
        Figures(
            6,
            {
                "requests": 6,
                "checked of requests": 4,
                "never answered of checked": 1,
                "days to ask per checked": 2 + 10 + 1 + 1,
            },
            {"days to ask per checked": 4},
        ),
    ),
}


def test_every_control_has_a_case_in_which_something_is_found_and_something_is_not() -> None:
    assert set(CASES) | set(MEASURES) == set(CONTROLS)
    for name, cases in CASES.items():
        seen = {what for _, _, wanted in cases for what in wanted}
        assert set(CONTROLS[name].layers) <= seen, f"{name}: a layer without a planted exception"


@pytest.mark.parametrize(("control", "number"), [(c, n) for c, cases in CASES.items() for n in range(len(cases))])
def test_a_control_finds_the_planted_exceptions_and_nothing_else(control: str, number: int) -> None:
    options, rows, wanted = CASES[control][number]
    frames = [register(name, *given) for name, given in zip(CONTROLS[control].registers, rows, strict=True)]
    assert found(control, *frames, **options) == wanted


@pytest.mark.parametrize("control", sorted(MEASURES))
def test_a_measure_counts(control: str) -> None:
    rows, wanted = MEASURES[control]
    frames = [register(name, *given) for name, given in zip(CONTROLS[control].registers, rows, strict=True)]
    assert CONTROLS[control].cases(scope(), *frames) == wanted


def test_an_adequacy_decision_counts_from_its_day_to_its_last() -> None:
    q3 = Period.parse("2020Q3")
    made = register("transfers", {
        "country": "US", "mechanism": "adequacy", "scope": "privacy_shield", "started_on": "2020-07-15",
         "ended_on": "2020-07-15",
    }, {
        "country": "US", "mechanism": "adequacy", "scope": "privacy_shield", "started_on": "2020-07-16",
         "ended_on": "2020-07-16",
    })  # fmt: skip
    assert found("transfer-safeguards", made, at=scope(q3)) == {"notice": [3], "law": [3]}
    brazil = register("transfers", {"country": "BR", "mechanism": "adequacy", "started_on": "2026-01-26"},
                      {"country": "BR", "mechanism": "adequacy", "started_on": "2026-01-25"})  # fmt: skip
    assert found("transfer-safeguards", brazil, at=scope(Period.parse("2026Q1"))) == {"notice": [3], "law": [3]}


def test_a_transfer_to_a_country_that_left_the_area_needs_a_safeguard_from_then_on() -> None:
    made = register("transfers", {"country": "GB", "mechanism": "none", "started_on": "2020-01-01",
     "ended_on": "2021-06-30"},
                    {"country": "GB", "mechanism": "none", "started_on": "2020-01-01"})  # fmt: skip
    assert found("transfer-safeguards", made, at=scope(Period.parse("2021Q2"))) == {}
    assert found("transfer-safeguards", made, at=scope(Period.parse("2021Q3"))) == {"notice": [3], "law": [3]}


# ---- verdicts -------------------------------------------------------------------------------------------------------

VENDORS = [{"vendor_id": "a"}, {"vendor_id": "b"}]
PROMISE = Promise(id="P", quote="binding contractual commitments", control="processor-contracts",
                  registers=["vendors", "contracts"])  # fmt: skip


def judged(promise: Promise = PROMISE, period: Period = Q3, **evidence: Evidence | None) -> Any:
    known = {
        "vendors": Evidence("vendors", register("vendors", *VENDORS), AS_OF, ""),
        "contracts": Evidence("contracts", register("contracts", *VENDORS), AS_OF, ""),
    } | evidence
    notice = NOTICE.model_copy(update={"promises": [promise]})
    return evaluate(notice, period, {k: e for k, e in known.items() if e}, ZONE, Calendar("FI"))[0]


def verdicts(result: Any) -> dict[str, str]:
    return {layer: found.verdict for layer, found in result.layers.items()}


def test_a_promise_is_kept_by_its_cases() -> None:
    result = judged()
    assert verdicts(result) == {"notice": "kept", "law": "kept"}
    assert (result.population, result.rows.height) == (2, 0)
    assert result.evidence == (("vendors", 2, AS_OF), ("contracts", 2, AS_OF))


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        ({"contracts": None}, "contracts: there is none among the sources"),
        ({"contracts": Evidence("contracts", problem="it could not be read")}, "contracts: it could not be read"),
        ({"contracts": Evidence("contracts", register("contracts"), AS_OF, "")}, "contracts: is empty"),
        ({"vendors": Evidence("vendors", register("vendors"), AS_OF, "")}, "vendors: is empty"),
        (
            {"contracts": Evidence("contracts", register("contracts", *VENDORS), date(2026, 6, 30), "")},
            "contracts: was exported on 2026-06-30, before the period began",
        ),
    ],
)
def test_a_register_that_is_missing_unreadable_empty_or_old_is_no_evidence(evidence: Any, reason: str) -> None:
    result = judged(**evidence)
    assert verdicts(result) == {"notice": "no evidence", "law": "no evidence"}
    assert result.reason == reason


def test_a_register_with_no_case_in_the_period_is_not_applicable_and_no_evidence_where_cases_are_expected() -> None:
    over = Evidence("vendors", register("vendors", {"access_until": "2026-06-30"}), AS_OF, "")
    assert verdicts(judged(vendors=over)) == {"notice": "not applicable", "law": "not applicable"}
    expecting = PROMISE.model_copy(update={"expected": 1})
    assert verdicts(judged(expecting, vendors=over)) == {"notice": "no evidence", "law": "no evidence"}


def test_a_register_that_may_be_empty_is_not_applicable() -> None:
    none = Evidence("vendors", register("vendors"), AS_OF, "", may_be_empty=True)
    assert verdicts(judged(vendors=none)) == {"notice": "not applicable", "law": "not applicable"}


def test_a_duty_that_only_the_law_knows_is_not_judged_by_the_words_of_the_notice() -> None:
    contracts = Evidence("contracts", register("contracts", VENDORS[0]), AS_OF, "")
    duty = PROMISE.model_copy(update={"quote": None, "law": "GDPR Art. 28(3)"})
    result = judged(duty, contracts=contracts)
    assert verdicts(result) == {"law": "broken"}
    assert result.rows["layer"].unique().to_list() == ["law"]
    assert verdicts(judged(duty, contracts=None)) == {"law": "no evidence"}


def test_exceptions_within_the_tolerance_are_kept_but_not_for_the_law() -> None:
    contracts = Evidence("contracts", register("contracts", VENDORS[0]), AS_OF, "")
    half = judged(PROMISE.model_copy(update={"tolerance": 0.5}), contracts=contracts)
    assert verdicts(half) == {"notice": "kept", "law": "broken"}
    less = judged(PROMISE.model_copy(update={"tolerance": 0.49}), contracts=contracts)
    assert verdicts(less) == {"notice": "broken", "law": "broken"}
    assert less.rows.rows() == [("vendors", 3, "law", date(2026, 7, 1)), ("vendors", 3, "notice", date(2026, 7, 1))]
    assert less.layers["notice"].since == date(2026, 7, 1)


def test_what_could_not_be_tested_or_is_not_over_is_at_risk_and_never_kept() -> None:
    left_out = Evidence("contracts", register("contracts", *VENDORS), AS_OF, "", excluded=1)
    assert verdicts(judged(contracts=left_out)) == {"notice": "at risk", "law": "at risk"}
    running = Evidence("contracts", register("contracts", *VENDORS), date(2026, 8, 15), "")
    result = judged(contracts=running)
    assert verdicts(result) == {"notice": "at risk", "law": "at risk"}
    assert result.reason == "exported on 2026-08-15, before the period ended"


def test_a_row_that_does_not_say_is_no_evidence_unless_another_is_an_exception() -> None:
    promise = Promise(id="P", quote="primarily", control="stored-in-eu", registers=["systems"])
    for rows, verdict in (([{}, {"country": ""}], "no evidence"), ([{"country": "US"}, {"country": ""}], "broken")):
        systems = Evidence("systems", register("systems", *rows), AS_OF, "")
        assert verdicts(judged(promise, systems=systems)) == {"notice": verdict}


def test_two_layers_of_one_promise_can_differ() -> None:
    promise = Promise(
        id="P", quote="portability", control="right-portability", registers=["requests", "request_handling"]
    )
    refusal = {"right": "portability", "reason_code": "art20_conditions"} | REFUSED
    evidence = {
        "requests": Evidence("requests", register("requests", refusal), AS_OF, ""),
        "request_handling": Evidence("request_handling", register("request_handling", {"request_id": "r0"}), AS_OF, ""),
    }
    assert verdicts(judged(promise, **evidence)) == {"notice": "broken", "law": "kept"}


def test_the_same_registers_in_another_order_of_rows_give_the_same_results() -> None:
    contracts = register("contracts", VENDORS[0])
    evidence = {"contracts": Evidence("contracts", contracts, AS_OF, "")}
    vendors = register("vendors", *VENDORS)
    turned = Evidence("vendors", vendors.reverse(), AS_OF, "")
    one, other = judged(**evidence), judged(vendors=turned, **evidence)
    assert one == other
    assert one.rows.equals(other.rows)


def test_a_plain_row_is_given_for_every_register() -> None:
    from privacy_metrics.registers import REGISTERS

    assert set(PLAIN) == set(REGISTERS)
    assert all(isinstance(register(name, {}), pl.DataFrame) for name in REGISTERS)

"""Point-in-time controls against naive ones, row by row and day by day, on random registers full of ties."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy_metrics.controls import CONTROLS
from privacy_metrics.controls.consent import changes, standing
from privacy_metrics.controls.recipients import first_gap
from privacy_metrics.params import Period
from privacy_metrics.registers import REGISTERS
from registers_made import NOTICE, Q3, found, scope

bounded = settings(max_examples=2_000 if os.environ.get("PROOF") else 40, deadline=None)
START = datetime(2026, 8, 1, 9, 0, 0, tzinfo=UTC)
PURPOSES = ("statistics", "marketing")
# A few moments only, so that events, consents and withdrawals meet in one second, and hours apart for graces.
MOMENTS = st.builds(
    lambda hours, seconds: START + timedelta(hours=hours, seconds=seconds), st.integers(0, 4), st.integers(0, 2)
)
DAYS = st.integers(-6, 96).map(lambda n: Q3.first + timedelta(days=n))
LATER = st.one_of(st.none(), DAYS)


def frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A register of the given rows with the types of its schema; the first row is row 2."""
    empty = REGISTERS[name].create_empty()
    made = [{"row": n, **dict.fromkeys(empty.columns[1:]), **row} for n, row in enumerate(rows, 2)]
    return pl.DataFrame(made, schema=empty.schema) if made else empty


# ---- consent --------------------------------------------------------------------------------------------------------


@st.composite
def consents(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for _ in range(draw(st.integers(1, 7))):
        at = draw(MOMENTS)
        rows.append(
            {
                "subject_ref": draw(st.integers(1, 2)), "purpose": draw(st.sampled_from(PURPOSES)),
                "state": draw(st.sampled_from(["granted", "denied"])), "at": at,
                "effective_at": draw(st.one_of(st.none(), MOMENTS)), "expires_at": draw(st.one_of(st.none(), MOMENTS)),
                "recorded_at": at + timedelta(hours=draw(st.sampled_from([0, 0, 1, 3]))),
            }
        )  # fmt: skip
    return rows


EVENTS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([*PURPOSES, "other"]), MOMENTS), min_size=1, max_size=8)


def naive_standing(
    subject: int, purpose: str, at: datetime, rows: list[dict[str, Any]], grace: int, recorded: int | None
) -> tuple[bool, bool]:
    """Of the changes that count by now, the one that was made last decides."""
    counting = []
    for number, row in enumerate(rows):
        if (row["subject_ref"], row["purpose"]) != (subject, purpose):
            continue
        if row["state"] == "granted":
            begins = row["at"]
            if recorded is not None and row["recorded_at"] > row["at"] + timedelta(hours=recorded):
                begins = row["recorded_at"]
            counts = begins <= at
        else:
            limit = row["at"] + timedelta(hours=grace)
            begins = limit if row["effective_at"] is None else max(row["at"], min(row["effective_at"], limit))
            counts = begins < at
        if counts:
            counting.append((row["at"], row["state"] == "denied", number, row))
    if not counting:
        return False, False
    last = max(counting, key=lambda change: change[:3])[3]
    expired = last["expires_at"] is not None and at >= last["expires_at"]
    return last["state"] == "granted" and not expired, last["state"] == "denied"


@bounded
@given(consents(), EVENTS, st.sampled_from([0, 1, 3]), st.sampled_from([None, 0, 2]))
def test_the_consent_in_force_is_that_of_a_naive_search(
    rows: Any, events: Any, grace: int, recorded: int | None
) -> None:
    made = changes(frame("consents", rows), grace, recorded)
    asked = pl.DataFrame(
        events, schema={"subject_ref": pl.UInt64, "purpose": pl.String, "at": pl.Datetime("us", "UTC")}, orient="row"
    )
    told = standing(asked, made).select("valid", "denied").rows()
    assert told == [naive_standing(*event, rows, grace, recorded) for event in events]


@bounded
@given(consents(), EVENTS, st.sampled_from([0, 1, 3]))
def test_the_controls_over_consent_are_naive_ones(rows: Any, events: Any, grace: int) -> None:
    known = frame("consents", rows)
    cookies = frame("cookie_events", [
        {"subject_ref": s, "category": p, "at": at, "necessary": p == "other"} for s, p, at in events
    ])  # fmt: skip
    kinds = ("marketing", "newsletter", "service")
    sent = frame("marketing_messages", [
        {"subject_ref": s, "sent_at": at, "kind": kinds[n % 3], "topic": ("update", "offer")[n % 2]}
        for n, (s, _, at) in enumerate(events)
    ])  # fmt: skip
    told = frame("disclosures", [
        {"subject_ref": s, "purpose": p, "disclosed_at": at, "ground": "consent"} for s, p, at in events
    ])  # fmt: skip

    def rows_where(test: Any) -> list[int]:
        return [n for n, event in enumerate(events, 2) if test(n - 2, *event)]

    def valid(s: int, p: str, at: datetime, g: int = 0) -> bool:
        return naive_standing(s, p, at, rows, g, None)[0]

    def denied(s: int, p: str, at: datetime, g: int = 0) -> bool:
        return naive_standing(s, p, at, rows, g, None)[1]

    wanted = {
        "consent-before-cookies": rows_where(
            lambda n, s, p, at: p != "other" and not valid(s, p, at) and not denied(s, p, at)
        ),
        "consent-changeable": rows_where(lambda n, s, p, at: p != "other" and denied(s, p, at, grace)),
        "newsletter-consent": rows_where(lambda n, s, p, at: n % 3 == 1 and not valid(s, "statistics", at, grace)),
        "marketing-opt-out": rows_where(lambda n, s, p, at: n % 3 != 2 and denied(s, "marketing", at, grace)),
        "service-messages-only": rows_where(
            lambda n, s, p, at: n % 3 == 2 and n % 2 == 1 and denied(s, "marketing", at)
        ),
        "disclosure-consent": rows_where(lambda n, s, p, at: not valid(s, p, at)),
    }
    given_: dict[str, tuple[pl.DataFrame, dict[str, Any]]] = {
        "consent-before-cookies": (cookies, {}),
        "consent-changeable": (cookies, {"grace_hours": grace}),
        "newsletter-consent": (sent, {"purpose": "statistics", "grace_hours": grace}),
        "marketing-opt-out": (sent, {"purpose": "marketing", "grace_hours": grace}),
        "service-messages-only": (sent, {"purpose": "marketing", "topics": ["update"]}),
        "disclosure-consent": (told, {}),
    }
    for control, (events_, options) in given_.items():
        assert found(control, events_, known, **options).get("notice", []) == wanted[control], control


@bounded
@given(consents(), EVENTS, st.sampled_from([1, 2, 4]))
def test_a_log_of_consents_without_a_withdrawal_is_that_of_a_naive_search(rows: Any, events: Any, grants: int) -> None:
    # some of the changes are of the quarter before
    moved = [row | {"at": row["at"] - timedelta(days=60 * (n % 3 == 0))} for n, row in enumerate(rows)]
    cookies = frame("cookie_events", [
        {"subject_ref": s, "category": p, "at": at, "necessary": p == "other"} for s, p, at in events
    ])  # fmt: skip
    purposes = {p for _, p, _ in events} - {"other"}
    now = [n for n, row in enumerate(moved) if row["purpose"] in purposes and row["at"].date() >= Q3.first]
    given_ = sum(moved[n]["state"] == "granted" for n in now)

    def order(n: int) -> Any:
        return moved[n]["at"], moved[n]["state"] == "denied", n

    def taken_back(n: int) -> bool:
        same = [m for m, row in enumerate(moved) if order(m) < order(n)
                and (row["subject_ref"], row["purpose"]) == (moved[n]["subject_ref"], moved[n]["purpose"])]  # fmt: skip
        return moved[n]["state"] == "denied" and bool(same) and moved[max(same, key=order)]["state"] == "granted"

    silent = given_ >= grants and not any(map(taken_back, now))
    wanted = [n for n, (_, p, _) in enumerate(events, 2) if p != "other"] if silent else []
    assert found("consent-changeable", cookies, frame("consents", moved), grants=grants).get("warns", []) == wanted


# ---- days -----------------------------------------------------------------------------------------------------------


def days(first: date, last: date | None, period: Period = Q3) -> Iterator[date]:
    """The days of the period from ``first`` to ``last``, both included."""
    return (day for day in period.days if first <= day and (last is None or day <= last))


def spell(draw: st.DrawFn) -> tuple[date, date | None]:
    first, last = draw(DAYS), draw(LATER)
    return first, None if last is None else max(first, last)


@st.composite
def spells(draw: st.DrawFn, keys: str = "ab", most: int = 6) -> list[tuple[str, date, date | None]]:
    return [(draw(st.sampled_from(keys)), *spell(draw)) for _ in range(draw(st.integers(1, most)))]


@bounded
@given(spells(keys="abc"), spells())
def test_the_first_gap_is_the_first_day_that_no_cover_holds(asked: Any, cover: Any) -> None:
    schema = {"k": pl.String, "from": pl.Date, "until": pl.Date}
    frames = [pl.DataFrame(rows, schema=schema, orient="row") for rows in (asked, cover)]
    told = first_gap(frames[0], frames[1], ["k"]).to_list()
    for (key, first, last), gap in zip(asked, told, strict=True):
        covered = [(a, b) for k, a, b in cover if k == key]
        day = first
        while any(a <= day and (b is None or day <= b) for a, b in covered) and day <= (last or date(2027, 6, 30)):
            day += timedelta(days=1)
        forever = last is None and day > date(2027, 6, 30)
        assert gap == (None if forever or (last is not None and day > last) else day)


@bounded
@given(spells(keys="abc"), spells())
def test_contracts_count_on_each_day_of_access(vendors: Any, contracts: Any) -> None:
    access = frame("vendors", [{"vendor_id": v, "access_from": a, "access_until": b} for v, a, b in vendors])
    signed = frame("contracts", [
        {"contract_id": f"k{n:02}", "vendor_id": v, "signed_on": a, "ends_on": b, "security_clause": n % 2 == 0,
         "instructions_clause": n % 3 != 0, "purposes": ["service"] if n % 4 else ["resale"]}
        for n, (v, a, b) in enumerate(contracts)
    ])  # fmt: skip

    def in_force(vendor: str, day: date) -> list[tuple[date, str, int]]:
        return sorted((a, f"k{n:02}", n) for n, (v, a, b) in enumerate(contracts)
                      if v == vendor and a <= day and (b is None or day <= b))  # fmt: skip

    missing, clause, bound = [], [], []
    for n, (vendor, a, b) in enumerate(vendors, 2):
        reached = list(days(a, b))
        if any(not in_force(vendor, day) for day in reached):
            missing.append(n)
        if reached and (last := in_force(vendor, reached[-1])):
            number = last[-1][2]
            clause += [n] if number % 2 else []
            bound += [n] if number % 3 == 0 or number % 4 == 0 else []
    assert found("processor-contracts", access, signed).get("notice", []) == missing
    assert found("security-clauses", access, signed).get("notice", []) == clause
    assert found("vendor-instructions", access, signed).get("notice", []) == bound


COUNTRIES = st.sampled_from(["FI", "NO", "GB", "US", "IN", "BR"])


@st.composite
def transfers(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for n in range(draw(st.integers(1, 5))):
        (started, ended), (signed, valid) = spell(draw), spell(draw)
        rows.append(
            {"transfer_id": f"t{n}", "country": draw(COUNTRIES), "started_on": started, "ended_on": ended,
             "mechanism": draw(st.sampled_from(["scc", "adequacy", "bcr", "none", None])), "signed_on": signed,
             "valid_until": valid, "scope": draw(st.sampled_from([None, "data_privacy_framework", "privacy_shield"]))}
        )  # fmt: skip
    return rows


def belongs(country: str, day: date, eea: bool) -> bool:
    lists = [*NOTICE.regions.eu, *(NOTICE.regions.eea if eea else [])]
    return any(country in e.countries and e.start <= day and (e.until is None or day <= e.until) for e in lists)


def adequate(country: str, part: str | None, day: date) -> bool:
    return any(
        e.country == country and e.scope in (None, part) and e.start <= day and (e.until is None or day <= e.until)
        for e in NOTICE.regions.adequacy
    )


@bounded
@given(transfers(), st.sampled_from(["2026Q3", "2020Q3", "2021Q2", "2016Q3", "2026Q1"]))
def test_safeguards_count_on_each_day_of_a_transfer(rows: list[dict[str, Any]], label: str) -> None:
    period = Period.parse(label)
    shift = period.first - Q3.first
    moved = [{k: v + shift if isinstance(v, date) else v for k, v in row.items()} for row in rows]
    wanted: dict[str, list[int]] = {"notice": [], "law": [], "unknown": []}
    for n, row in enumerate(moved, 2):
        reached = list(days(row["started_on"], row["ended_on"], period))
        outside = [day for day in reached if not belongs(row["country"], day, True)]
        if not outside:
            continue
        if row["mechanism"] is None:
            wanted["unknown"].append(n)
            continue
        bare = [
            day
            for day in outside
            if not (row["mechanism"] == "scc" and row["signed_on"] <= day <= (row["valid_until"] or date.max))
            and not (row["mechanism"] == "adequacy" and adequate(row["country"], row["scope"], day))
        ]
        if bare or row["mechanism"] not in ("scc", "adequacy"):
            wanted["notice"].append(n)
        if bare and row["mechanism"] != "bcr":
            wanted["law"].append(n)
    told = found("transfer-safeguards", frame("transfers", moved), at=scope(period, as_of=period.end))
    assert {k: told.get(k, []) for k in wanted} == wanted


@bounded
@given(st.lists(st.tuples(COUNTRIES, st.booleans()), min_size=1, max_size=4), st.data())
def test_a_system_is_in_the_union_on_each_day_of_its_use(systems: list[tuple[str, bool]], data: Any) -> None:
    period = Period.parse("2020Q1")  # a country leaves on its 31st day
    rows = []
    for n, (country, own) in enumerate(systems):
        used = spell(data.draw)
        first, last = (day and day + (period.first - Q3.first) for day in used)
        rows.append({"system_id": f"s{n}", "country": country, "hosted_by": "own" if own else "vendor",
                     "used_from": first, "used_until": last, "tag": "db"})  # fmt: skip
    abroad, elsewhere = [], []
    for n, row in enumerate(rows, 2):
        reached = list(days(row["used_from"], row["used_until"], period))
        out = any(not belongs(row["country"], day, False) for day in reached)
        abroad += [n] if out else []
        elsewhere += [n] if reached and (out or row["hosted_by"] != "own") else []
    made, at = frame("systems", rows), scope(period, as_of=period.end)
    assert found("stored-in-eu", made, at=at).get("notice", []) == abroad
    assert found("hosted-by-us", made, at=at, tag="db").get("notice", []) == elsewhere


@bounded
@given(spells(keys="abc"), spells(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_coverage_counts_on_each_day_in_the_group(members: Any, covers: Any, listed: list[bool]) -> None:
    rows = [
        {"company_id": c, "member_from": a, "member_until": b,
         "covered_from": covers[n][1] if n < len(covers) and listed[n] else None,
         "covered_until": covers[n][2] if n < len(covers) and listed[n] else None}
        for n, (c, a, b) in enumerate(members)
    ]  # fmt: skip
    wanted = [
        n for n, row in enumerate(rows, 2)
        if any(
            not any(o["company_id"] == row["company_id"] and o["covered_from"] and o["covered_from"] <= day
                    and day <= (o["covered_until"] or date.max) for o in rows)
            for day in days(row["member_from"], row["member_until"])
        )
    ]  # fmt: skip
    assert found("one-isms", frame("group_companies", rows)).get("notice", []) == wanted


@bounded
@given(spells(keys="ab", most=3), st.lists(st.tuples(st.sampled_from("abc"), DAYS), max_size=6))
def test_a_cookie_is_listed_on_the_day_of_the_scan(listed: Any, scans: Any) -> None:
    notice = frame("cookie_notice", [{"cookie": c, "listed_from": a, "listed_until": b} for c, a, b in listed])
    made = frame("cookie_scans", [
        {"scan_id": "s", "scanned_on": day, "page": "p", "cookie": c, "phase": "after_accept",
         "settings_reachable": True}
        for c, day in scans
    ])  # fmt: skip
    wanted = [
        n for n, (c, day) in enumerate(scans, 2)
        if day in Q3.days and not any(k == c and a <= day <= (b or date.max) for k, a, b in listed)
    ]  # fmt: skip
    now = [(c, day) for c, day in scans if day in Q3.days]
    sought = {k for k, a, b in listed for _, day in now if a <= day <= (b or date.max)}
    seen = {c for c, day in now if any(k == c and a <= day <= (b or date.max) for k, a, b in listed)}
    told = found("cookies-listed", made, notice)
    assert told.get("notice", []) == wanted
    doubtful = [n for n, (_, day) in enumerate(scans, 2) if day in Q3.days] if sought - seen else []
    assert told.get("warns", []) == doubtful


RULES = st.sampled_from(["R1", "R2"])


@bounded
@given(
    st.lists(st.tuples(st.sampled_from("ab"), RULES, st.booleans(), DAYS, LATER), min_size=1, max_size=5),
    st.lists(st.tuples(st.sampled_from("ab"), RULES, DAYS, st.sampled_from([0, 0, 2]), LATER), max_size=8),
    st.sampled_from([0, 10]),
)  # fmt: skip
def test_a_run_of_deletion_counts_for_what_was_held_on_its_day(items: Any, runs: Any, grace: int) -> None:
    inventory = frame("data_inventory", [
        {"item_id": f"i{n}", "system_id": s, "subject_group": "visitor", "technical": False,
         "joined_with_user_data": False, "classed_personal": personal, "in_request_scope": True, "retention_rule": rule,
         "held_from": a, "held_until": b and max(a, b)}
        for n, (s, rule, personal, a, b) in enumerate(items)
    ])  # fmt: skip
    made = frame("retention_runs", [
        {"run_on": day, "system_id": s, "retention_rule": rule, "overdue": count, "oldest_due_on": due}
        for s, rule, day, count, due in runs
    ])  # fmt: skip
    left, unseen = [], []
    for n, (s, rule, personal, a, b) in enumerate(items, 2):
        held = set(days(a, None if b is None else max(a, b)))
        of_it = [run for run in runs if run[:2] == (s, rule) and run[2] in held]
        if held and personal:
            unseen += [n] if not of_it else []
            left += [n] if any(
                count and not (due and due + timedelta(days=grace) >= day) for _, _, day, count, due in of_it
            ) else []  # fmt: skip
    told = found("retention-runs", inventory, made, days=grace)
    assert (told.get("notice", []), told.get("unknown", [])) == (left, unseen)


HOLDS = st.sampled_from([None, "investigation", "legal_claims"])


@bounded
@given(st.lists(st.tuples(DAYS, LATER, HOLDS, DAYS, LATER), min_size=1, max_size=6), st.sampled_from([0, 5, 30]))
def test_a_hold_counts_on_each_day_past_the_limit(records: Any, limit: int) -> None:
    rows = [
        {"record_ref": n, "subject_group": "user", "relationship_ended_on": ended,
         "deleted_on": gone and max(gone, ended), "hold_reason": reason, "hold_from": reason and begun,
         "hold_until": reason and over and max(begun, over)}
        for n, (ended, gone, reason, begun, over) in enumerate(records)
    ]  # fmt: skip
    wanted: dict[str, list[int]] = {"notice": [], "law": []}
    for n, row in enumerate(rows, 2):
        there = [
            day for day in Q3.days
            if day > row["relationship_ended_on"] + timedelta(days=limit) and day < (row["deleted_on"] or date.max)
        ]  # fmt: skip
        held = [
            day for day in there if row["hold_reason"] and row["hold_from"] <= day <= (row["hold_until"] or date.max)
        ]
        if len(held) < len(there):
            wanted["law"].append(n)
        if len(held) < len(there) or (there and row["hold_reason"] != "investigation"):
            wanted["notice"].append(n)
    told = found("retention", frame("retention", rows), groups=["user"], days=limit, holds=["investigation"])
    assert {k: told.get(k, []) for k in wanted} == wanted


def months_after(day: date, months: int) -> date:
    from privacy_metrics.deadlines import period_end

    return period_end(day, months)


@bounded
@given(
    spells(keys="abc"), st.lists(st.tuples(st.sampled_from("ab"), DAYS), max_size=6), st.sampled_from([1, 2]),
    st.lists(st.booleans(), min_size=6, max_size=6),
)  # fmt: skip
def test_the_latest_evaluation_and_test_by_then_count(used: Any, done: Any, months: int, sites: list[bool]) -> None:
    vendors = frame("vendors", [{"vendor_id": v, "access_from": a, "access_until": b} for v, a, b in used])
    evaluated = frame("vendor_evaluations", [{"vendor_id": v, "evaluated_on": day} for v, day in done])
    assets = frame("assets", [
        {"asset_id": v, "kind": "website" if site else "system", "service_from": a, "service_until": b}
        for (v, a, b), site in zip(used, sites, strict=False)
    ])  # fmt: skip
    tested = frame("security_tests", [{"test_id": "t", "asset_id": v, "done_on": day} for v, day in done])
    never, late, overdue = [], [], []
    kinds: dict[bool, list[tuple[int, date, date, date | None]]] = {}
    for n, ((key, a, b), site) in enumerate(zip(used, sites, strict=False), 2):
        reached = list(days(a, b))
        if not reached:
            continue
        last = max((day for v, day in done if v == key and day <= reached[-1]), default=None)
        if last is None:
            never.append(n)
        if last is None or months_after(last, months) < reached[-1]:
            late.append(n)
        interval = 1 if site else months
        if months_after(last or a, interval) < reached[-1]:
            overdue.append(n)
        kinds.setdefault(site, []).append((n, a, reached[-1], last))
    untested = []
    for site, assets_ in kinds.items():
        tests = [last for *_, last in assets_ if last]
        begun = max(tests) if tests else min(first for _, first, *_ in assets_)
        if months_after(begun, 1 if site else months) < max(at for *_, at, _ in assets_):
            untested += [n for n, *_ in assets_]
    told = found("vendor-evaluated", vendors, evaluated, months=months)
    assert (told.get("notice", []), told.get("policy", [])) == (never, late)
    told = found("security-tests", assets, tested, months=months, website_months=1)
    assert (told.get("notice", []), told.get("policy", [])) == (sorted(untested), overdue)


@bounded
@given(st.lists(DAYS, min_size=1, max_size=5), st.sampled_from([1, 2]))
def test_reviews_follow_each_other_within_the_interval(done: list[date], months: int) -> None:
    rows = [{"review_id": f"r{n}", "done_on": day, "in_scope": 1, "reviewed": 1} for n, day in enumerate(done)]
    reached = sorted((day, n) for n, day in enumerate(done, 2) if day <= Q3.last)
    wanted = set()
    for (before, _), (day, n) in pairwise(reached):
        if day in Q3.days and day > months_after(before, months):
            wanted.add(n)
    if reached and months_after(reached[-1][0], months) < Q3.last:
        wanted.add(reached[-1][1])
    assert found("prospect-review", frame("prospect_reviews", rows), months=months).get("policy", []) == sorted(wanted)


def test_the_naive_check_catches_a_control_that_takes_the_latest_state() -> None:
    plain = {"subject_ref": 1, "purpose": "statistics", "effective_at": None, "expires_at": None}
    rows: list[dict[str, Any]] = [
        plain | {"state": "denied", "at": START, "recorded_at": START},
        plain | {"state": "granted", "at": START + timedelta(hours=2)},
    ]
    events = [(1, "statistics", START + timedelta(hours=1))]
    latest = changes(frame("consents", rows)).unique("subject_ref", keep="last").with_columns(pl.lit(0).alias("from"))
    asked = pl.DataFrame(
        events, schema={"subject_ref": pl.UInt64, "purpose": pl.String, "at": pl.Datetime("us", "UTC")}, orient="row"
    )
    right = [naive_standing(*event, rows, 0, None) for event in events]
    assert standing(asked, latest).select("valid", "denied").rows() != right
    assert standing(asked, changes(frame("consents", rows))).select("valid", "denied").rows() == right


def test_every_control_that_joins_in_time_is_compared() -> None:
    joined = {name for name, c in CONTROLS.items() if len(c.registers) > 1 and "requests" not in c.registers}
    compared = {
        "consent-before-cookies", "consent-changeable", "newsletter-consent", "marketing-opt-out", "cookies-listed",
        "service-messages-only", "disclosure-consent", "processor-contracts", "vendor-instructions", "security-clauses",
        "vendor-evaluated", "security-tests", "retention-runs",
    }  # fmt: skip
    assert joined == compared

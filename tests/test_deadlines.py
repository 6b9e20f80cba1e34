"""The law's calendar. E, T and U numbers are the test vectors of the project's domain reference, section 1.4."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy_metrics.deadlines import (
    Calendar,
    CalendarError,
    add_working_days,
    credited_days,
    deadline_table,
    due_date,
    due_dates,
    explain,
    is_working_day,
    latest_asks,
    period_end,
    with_due_dates,
)

FI = Calendar("FI")
EVES = Calendar("FI", eves=True)
ENGLAND = Calendar("GB", subdivision="ENG")
DAYS = pl.date_range(date(2016, 1, 1), date(2040, 12, 31), eager=True)


def day(text: str) -> date:
    return date.fromisoformat(text)


# ---- published examples and dated vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize("year", range(2018, 2041))
def test_a_request_of_5_march_runs_to_5_april_and_one_of_31_august_to_30_september(year):
    # E1, E2: EDPB Guidelines 01/2022, para 160, examples 32 and 33.
    assert period_end(date(year, 3, 5), 1) == date(year, 4, 5)
    assert period_end(date(year, 8, 31), 1) == date(year, 9, 30)


@pytest.mark.parametrize(
    ("vector", "received", "months", "nominal", "due"),
    [
        ("E3: EDPB 01/2022 example 32, dated", "2024-03-05", 1, "2024-04-05", "2024-04-05"),
        ("E4: EDPB 01/2022 example 32 and para 161 (weekend)", "2025-03-05", 1, "2025-04-05", "2025-04-07"),
        ("E5: EDPB 01/2022 example 32 and para 161 (Easter)", "2026-03-05", 1, "2026-04-05", "2026-04-07"),
        ("E6: EDPB 01/2022 example 33, dated", "2026-08-31", 1, "2026-09-30", "2026-09-30"),
        ("E7: Reg. 1182/71 Art. 3(2)(c) and 3(4)", "2026-01-30", 1, "2026-02-28", "2026-03-02"),
        ("E8: as E7, received on a Saturday", "2026-01-31", 1, "2026-02-28", "2026-03-02"),
        ("E9: Reg. 1182/71 Art. 3(2)(c), leap year", "2028-01-30", 1, "2028-02-29", "2028-02-29"),
        ("E10: Reg. 1182/71 Art. 3(4), May Day", "2026-04-01", 1, "2026-05-01", "2026-05-04"),
        ("E11: Reg. 1182/71 Art. 3(4), Independence Day", "2026-11-06", 1, "2026-12-06", "2026-12-07"),
        ("E12: Reg. 1182/71 Art. 3(4), Christmas", "2026-11-25", 1, "2026-12-25", "2026-12-28"),
        ("E13: Reg. 1182/71 Art. 3(4), New Year", "2026-12-01", 1, "2027-01-01", "2027-01-04"),
        ("E14: Reg. 1182/71 Art. 3(4), Epiphany", "2026-12-06", 1, "2027-01-06", "2027-01-07"),
        ("E15: Christmas Eve is no public holiday by law", "2026-11-24", 1, "2026-12-24", "2026-12-24"),
        ("E16: Midsummer Eve is no public holiday by law", "2026-05-19", 1, "2026-06-19", "2026-06-19"),
        ("E17: one month", "2026-10-31", 1, "2026-11-30", "2026-11-30"),
        ("E17: extended, GDPR Art. 12(3)", "2026-10-31", 3, "2027-01-31", "2027-02-01"),
        ("E18: extended in one step (tietosuoja.fi)", "2026-01-31", 3, "2026-04-30", "2026-04-30"),
        ("E19: extended, clamp and weekend", "2026-11-30", 3, "2027-02-28", "2027-03-01"),
        ("E20: year end", "2026-12-31", 1, "2027-01-31", "2027-02-01"),
        ("E20: year end, extended", "2026-12-31", 3, "2027-03-31", "2027-03-31"),
        ("issue 4: 30 Nov 2028 is due on 30 Dec, not 31 Dec", "2028-11-30", 1, "2028-12-30", "2029-01-02"),
    ],
)
def test_dated_vectors_of_finland(vector, received, months, nominal, due):
    assert period_end(day(received), months) == day(nominal), vector
    assert due_date(day(received), months, FI) == day(due), vector


@pytest.mark.parametrize(("received", "due"), [("2026-11-24", "2026-12-28"), ("2026-05-19", "2026-06-22")])
def test_the_eves_count_as_holidays_only_when_switched_on(received, due):
    # E15, E16: the other column.
    assert due_date(day(received), 1, EVES) == day(due)


def test_a_credited_pause_moves_the_nominal_end_before_it_rolls():
    # E21: received 1 Oct 2026, identity asked on 3 Oct and had on 13 Oct. EDPB 01/2022 para 159.
    received, pause = day("2026-10-01"), (day("2026-10-03"), day("2026-10-13"))
    credited = credited_days(received, [pause], FI)
    assert credited == 10
    assert period_end(received, 1) == day("2026-11-01")
    assert due_date(received, 1, FI) == day("2026-11-02")
    assert due_date(received, 1, FI, credited) == day("2026-11-11")
    # E21 under Art. 12A UK GDPR: the period runs from the identity information instead.
    assert due_date(pause[1], 1, ENGLAND) == day("2026-11-13")


@pytest.mark.parametrize(
    ("event", "due"),
    [
        # T1, T2: Case C-171/03 Toeters: three weeks end on the weekday of the event itself.
        ("1998-03-12", "1998-04-02"),
        ("1998-03-13", "1998-04-03"),
        ("1998-03-16", "1998-04-06"),
        ("1998-01-27", "1998-02-17"),
        ("1998-01-28", "1998-02-18"),
    ],
)
def test_a_period_ends_on_the_weekday_of_the_event(event, due):
    assert period_end(day(event), days=21) == day(due)
    assert is_working_day(day(due), Calendar("NL"))


@pytest.mark.parametrize(
    ("vector", "received", "due"),
    [
        ("U1: ICO checklist, 3 September", "2025-09-03", "2025-10-03"),
        ("U2: 30 January (Lexology)", "2025-01-30", "2025-02-28"),
        ("U2: 30 January of a leap year", "2024-01-30", "2024-02-29"),
        ("U3: 31 January (school-sector note)", "2025-01-31", "2025-02-28"),
        ("U3: 31 January of a leap year", "2024-01-31", "2024-02-29"),
        ("U4: 1 April", "2025-04-01", "2025-05-01"),
        ("U4: 1 April, due on a Saturday before a bank holiday", "2027-04-01", "2027-05-04"),
        ("U5: 31 August (law-firm note)", "2026-08-31", "2026-09-30"),
        ("U6: 21 September", "2026-09-21", "2026-10-21"),
        ("U7: 1 August at 23:59; the day of receipt counts", "2025-08-01", "2025-09-01"),
        ("U8: 31 March", "2026-03-31", "2026-04-30"),
        ("U8: 31 March, due on a Sunday before a bank holiday", "2023-03-31", "2023-05-02"),
    ],
)
def test_dated_vectors_of_the_united_kingdom(vector, received, due):
    assert due_date(day(received), 1, ENGLAND) == day(due), vector


def test_counting_from_the_day_after_is_another_rule():
    """The way that must not be coded gives another date on 58 receipt days of 2024 to 2028 (domain reference, 1.2)."""

    def wrong(received: date) -> date:
        return period_end(received + timedelta(days=1), 1) - timedelta(days=1)

    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(366 + 3 * 365 + 366)]
    assert sum(wrong(d) != period_end(d, 1) for d in days) == 58


def test_the_statutory_holidays_of_finland_are_thirteen():
    # Act 388/1937 and the church's calendar, 2026, written out: what the library says must not drift.
    assert list(FI.days(2026, 2026)) == [
        day(d)
        for d in (
            "2026-01-01", "2026-01-06", "2026-04-03", "2026-04-05", "2026-04-06", "2026-05-01", "2026-05-14",
            "2026-05-24", "2026-06-20", "2026-10-31", "2026-12-06", "2026-12-25", "2026-12-26",
        )
    ]  # fmt: skip
    assert set(EVES.days(2026, 2026)) - set(FI.days(2026, 2026)) == {day("2026-06-19"), day("2026-12-24")}


def test_a_day_can_be_added_and_an_unknown_country_is_refused():
    extra = Calendar("FI", extra={day("2026-09-30"): "Company day"})
    assert due_date(day("2026-08-31"), 1, extra) == day("2026-10-01")
    assert "Company day" in explain(day("2026-08-31"), extra)
    with pytest.raises(CalendarError, match=r"organisation\.country: no public holidays are known of 'EU'"):
        Calendar("EU")


# ---- pauses ---------------------------------------------------------------------------------------------------------


def test_a_pause_counts_only_when_asked_in_time_and_answered():
    received = day("2026-10-01")  # a Thursday: the fifth working day after it is Thursday 8 October
    assert add_working_days(received, 5, FI) == day("2026-10-08")
    assert credited_days(received, [(day("2026-10-08"), day("2026-10-10"))], FI) == 2
    assert credited_days(received, [(day("2026-10-09"), day("2026-10-11"))], FI) == 0
    assert credited_days(received, [(day("2026-10-02"), None), (None, None)], FI) == 0


def test_overlapping_pauses_are_merged():
    received = day("2026-10-01")
    identity, clarification = (day("2026-10-02"), day("2026-10-12")), (day("2026-10-06"), day("2026-10-20"))
    assert credited_days(received, [identity, clarification], FI) == 18
    assert credited_days(received, [identity, (day("2026-10-03"), day("2026-10-04"))], FI) == 10
    assert credited_days(received, [identity, (day("2026-10-06"), None)], FI) == 10


def requests(rows: list[dict]) -> pl.DataFrame:
    dates = [f"{what}_{how}_on" for what in ("identity", "clarification") for how in ("requested", "received")]
    schema = {"request_id": pl.String, "received_on": pl.Date, **dict.fromkeys(dates, pl.Date)}
    return pl.DataFrame(rows, schema={**schema, "extension_notified_on": pl.Date, "outcome": pl.String})


def test_an_extension_counts_only_if_told_within_the_first_month():
    frame = with_due_dates(
        requests(
            [
                {"request_id": "in time", "received_on": day("2026-01-30"), "extension_notified_on": day("2026-03-02")},
                {"request_id": "late", "received_on": day("2026-01-30"), "extension_notified_on": day("2026-03-03")},
                {"request_id": "none", "received_on": day("2026-01-30")},
                {
                    "request_id": "refused", "received_on": day("2026-01-30"),
                    "extension_notified_on": day("2026-02-02"), "outcome": "refused",
                },
            ]
        ),
        FI,
    )  # fmt: skip
    # E7: the first month ends on Sat 28 Feb and rolls to Mon 2 Mar: by then the person must have been told.
    assert frame["first_due"].to_list() == [day("2026-03-02")] * 4
    assert frame["due"].to_list() == [day("2026-04-30"), *[day("2026-03-02")] * 3]
    assert frame["months"].to_list() == [3, 1, 1, 1]


def test_a_credited_pause_moves_the_day_by_which_an_extension_must_be_told():
    row = {
        "request_id": "E21", "received_on": day("2026-10-01"), "identity_requested_on": day("2026-10-03"),
        "identity_received_on": day("2026-10-13"), "extension_notified_on": day("2026-11-11"),
    }  # fmt: skip
    frame = with_due_dates(requests([row]), FI)
    told = frame.row(0, named=True)
    assert (told["first_due"], told["first_due_credited"]) == (day("2026-11-02"), day("2026-11-11"))
    assert (told["due"], told["due_credited"], told["paused_days"]) == (day("2026-11-02"), day("2027-01-11"), 10)


# ---- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "months", "credited", "words"),
    [
        (
            "2026-01-31", 1, 0,
            "received Sat 31 Jan 2026; one month ends on Sat 28 Feb, a Saturday; next working day Mon 2 Mar",
        ),
        (
            "2026-03-05", 1, 0,
            "received Thu 5 Mar 2026; one month ends on Sun 5 Apr, a Sunday and Easter Sunday; "
            "next working day Tue 7 Apr",
        ),
        ("2024-03-05", 1, 0, "received Tue 5 Mar 2024; one month ends on Fri 5 Apr"),
        ("2026-08-31", 1, 0, "received Mon 31 Aug 2026; one month ends on Wed 30 Sep, the last day of that month"),
        (
            "2026-12-01", 1, 0,
            "received Tue 1 Dec 2026; one month ends on Fri 1 Jan 2027, New Year's Day; "
            "next working day Mon 4 Jan 2027",
        ),
        ("2026-01-31", 3, 0, "received Sat 31 Jan 2026; three months end on Thu 30 Apr, the last day of that month"),
        (
            "2026-10-01", 1, 10,
            "received Thu 1 Oct 2026; one month ends on Sun 1 Nov; 10 days of pauses move it to Wed 11 Nov",
        ),
    ],
)  # fmt: skip
def test_a_due_date_is_explained_in_words(received, months, credited, words):
    assert explain(day(received), FI, months, credited) == words


def test_the_table_explains_every_request():
    rows = [
        {"request_id": "a", "received_on": day("2026-01-31")},
        {"request_id": "b", "received_on": day("2026-01-31"), "extension_notified_on": day("2026-02-10")},
    ]
    table = deadline_table(with_due_dates(requests(rows), FI), FI)
    assert table["request_id"].to_list() == ["a", "b"]
    assert table["why"].to_list() == [explain(day("2026-01-31"), FI), explain(day("2026-01-31"), FI, 3)]
    assert table["why_credited"].to_list() == table["why"].to_list()


# ---- a second, naive implementation ---------------------------------------------------------------------------------


def walk(received: date, months: int, credited: int, free: set[date]) -> date:
    """Day by day, as a clerk with a wall calendar would: no month arithmetic, no clamping."""
    today, turned = received, 0
    while turned < months or today.day != received.day:
        tomorrow = today + timedelta(days=1)
        if turned == months and tomorrow.day == 1:
            break  # the last month is over and the date never came
        turned += tomorrow.day == 1
        today = tomorrow
    for _ in range(credited):
        today += timedelta(days=1)
    while today.strftime("%u") in "67" or today in free:
        today += timedelta(days=1)
    return today


@pytest.mark.parametrize("months", [1, 3])
def test_every_day_of_2016_to_2040_agrees_with_counting_day_by_day(months):
    free = set(FI.days(2016, 2041))
    expected = [walk(received, months, 0, free) for received in DAYS]
    assert [due_date(received, months, free) for received in DAYS] == expected
    assert due_dates(DAYS, months, FI).to_list() == expected


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    country=st.sampled_from([FI, EVES, ENGLAND, Calendar("DE"), Calendar("GR")]),
)
def test_the_frame_agrees_with_single_requests(data, country):
    """Property: what is computed for millions at once is what the plain functions say of each."""
    near = st.integers(0, 40).map(lambda n: timedelta(days=n))
    rows = []
    for n in range(data.draw(st.integers(1, 8))):
        received = data.draw(st.dates(date(2016, 1, 1), date(2040, 12, 31)))
        row: dict = {"request_id": str(n), "received_on": received}
        for what in ("identity", "clarification"):
            if data.draw(st.booleans()):
                asked = received + timedelta(days=data.draw(st.integers(0, 12)))
                row[f"{what}_requested_on"] = asked
                row[f"{what}_received_on"] = data.draw(st.sampled_from([None, asked + data.draw(near)]))
        row["extension_notified_on"] = data.draw(st.sampled_from([None, received + data.draw(near)]))
        row["outcome"] = data.draw(st.sampled_from([None, "fulfilled", "refused", "not_identified"]))
        rows.append(row)
    frame = with_due_dates(requests(rows), country)
    asked = latest_asks(frame["received_on"], 5, country)
    for row, got, latest in zip(rows, frame.iter_rows(named=True), asked, strict=True):
        received, free = row["received_on"], set(country.days(row["received_on"].year, row["received_on"].year + 1))
        assert latest == add_working_days(received, 5, free)
        pauses = [(row.get(f"{w}_requested_on"), row.get(f"{w}_received_on")) for w in ("identity", "clarification")]
        credited = credited_days(received, pauses, free)
        assert got["paused_days"] == credited
        for suffix, extra in (("", 0), ("_credited", credited)):
            first = walk(received, 1, extra, free)
            told = row["extension_notified_on"]
            extended = told is not None and told <= first and row["outcome"] not in ("refused", "not_identified")
            assert got[f"first_due{suffix}"] == first
            assert got[f"due{suffix}"] == (walk(received, 3, extra, free) if extended else first)

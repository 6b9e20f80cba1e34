"""Exports of other trackers: a small made example of each, its traps, and what must never be kept."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from privacy_metrics.requests import Register, RegisterError, RegisterMapping, read_export

SECRETS = ("ada@example.org", "Lovelace", "+358401234567", "please delete my late husband's account")
AS_OF = date(2026, 10, 1)


def rows(register: Register, *columns: str) -> list[tuple]:
    return register.requests.select(columns).rows()


def holds_no_secret(register: Register) -> None:
    text = register.requests.write_csv() + register.excluded.write_csv() + " ".join(register.notes)
    assert not [secret for secret in SECRETS if secret in text]


# ---- Fides ----------------------------------------------------------------------------------------------------------

# The columns in the order of Fides' own download, then identities and a custom field.
FIDES = """\
Status,Request Type,Time Received,Deadline,Reviewed By,Request ID,Time Approved/Denied,Denial Reason,Last Updated,Completed On,phone_number,email,Custom Field Group
complete,access+erasure,2026-07-01 22:30:00.123456+00:00,2026-10-30 00:00:00+00:00,Ada Lovelace,pri_1,2026-07-03 08:00:00+00:00,,2026-07-20 09:00:00+00:00,,+358401234567,ada@example.org,customer
complete,erasure,2026-07-02 08:00:00+00:00,,Ada Lovelace,pri_2,2026-07-03 08:00:00+00:00,,2026-09-20 09:00:00+00:00,2026-07-10 09:00:00+00:00,,ada@example.org,user
denied,update,2026-07-03 08:00:00+00:00,,Ada Lovelace,pri_3,2026-07-15 08:00:00+00:00,please delete my late husband's account,2026-08-30 09:00:00+00:00,,,ada@example.org,user
error,access,2026-07-04 08:00:00+00:00,,,pri_4,,,2026-07-05 09:00:00+00:00,,,ada@example.org,user
identity_unverified,access,2026-07-05 08:00:00+00:00,,,pri_5,,,2026-07-05 09:00:00+00:00,,,ada@example.org,user
canceled,access,2026-07-06 08:00:00+00:00,,,pri_6,,,2026-07-08 09:00:00+00:00,,,ada@example.org,user
complete,consent,2026-07-07 08:00:00+00:00,,,pri_7,,,2026-07-07 09:00:00+00:00,,,ada@example.org,user
"""  # noqa: E501


@pytest.fixture
def fides(tmp_path: Path) -> Path:
    path = tmp_path / "privacy_requests_download_2026-10-01.csv"
    path.write_text(FIDES)
    return path


def test_a_fides_export_becomes_lines_with_the_dates_it_really_has(fides: Path) -> None:
    register = read_export("fides", fides, as_of=AS_OF)
    assert rows(register, "request_id", "right", "state", "outcome") == [
        ("pri_1/access", "access", "closed", "fulfilled"),
        ("pri_1/erasure", "erasure", "closed", "fulfilled"),
        ("pri_2", "erasure", "closed", "fulfilled"),
        ("pri_3", "rectification", "closed", "refused"),
        ("pri_4", "access", "in_progress", None),  # an error is legally open
        ("pri_5", "access", "awaiting_identity", None),
        ("pri_6", "access", "closed", "withdrawn"),
    ]
    assert register.requests["case_id"].to_list()[:2] == ["pri_1", "pri_1"]
    # 22:30 UTC is the next day in Helsinki; the deadline of the export is ignored.
    assert register.requests["received_on"][0] == date(2026, 7, 2)
    answered = register.requests["response_sent_on"].to_list()
    # The last update stands for a completion that is not recorded, and not for one that is; a denial has its own time.
    assert answered[:4] == [date(2026, 7, 20), date(2026, 7, 20), date(2026, 7, 10), date(2026, 7, 15)]
    assert answered[4:] == [None, None, None]
    assert register.requests["decided_on"].to_list()[6] == date(2026, 7, 8)
    assert register.rows.to_list() == [2, 2, 3, 4, 5, 6, 7]
    assert any("last update stands for it" in note for note in register.notes)
    holds_no_secret(register)


def test_a_fides_field_of_the_companys_own_is_mapped(fides: Path) -> None:
    mapping = RegisterMapping(
        columns={"subject_group": "Custom Field Group"}, values={"right": {"consent": "consent_withdrawal"}}
    )
    register = read_export("fides", fides, mapping=mapping, as_of=AS_OF)
    assert register.requests["subject_group"].to_list() == ["customer", "customer", *["user"] * 6]
    assert register.requests["right"].to_list()[-1] == "consent_withdrawal"
    holds_no_secret(register)


def test_an_unknown_fides_state_is_listed_with_its_rows_and_the_mapping_to_add(fides: Path) -> None:
    fides.write_text(FIDES.replace("error,", "on_hold,").replace("identity_unverified,", "on_hold,"))
    with pytest.raises(RegisterError) as raised:
        read_export("fides", fides, as_of=AS_OF)
    assert "rows 5, 6: state is 'on_hold'" in str(raised.value)
    assert "mapping.values: {state: {on_hold: ...}}" in str(raised.value)
    assert not [secret for secret in SECRETS if secret in str(raised.value)]


def test_identities_in_another_order_change_nothing(fides: Path) -> None:
    first = read_export("fides", fides, as_of=AS_OF)
    lines = [line.split(",") for line in FIDES.splitlines()]
    fides.write_text("\n".join(",".join([*reversed(line[10:]), *line[:10]]) for line in lines) + "\n")
    assert read_export("fides", fides, as_of=AS_OF).requests.equals(first.requests)


# ---- the Data Rights Protocol ---------------------------------------------------------------------------------------

PERSON = {"name": "Ada Lovelace", "email": "ada@example.org", "phone_number": "+358401234567"}


def protocol(**fields: str) -> dict:
    received = {"received_at": "2026-07-01T10:00:00Z", "expected_by": "2026-08-15T10:00:00Z", "exercise": "deletion"}
    return PERSON | received | fields | {"processing_details": "please delete my late husband's account"}


STATUS_TABLE = [
    ({"status": "open"}, "received", None, None),
    ({"status": "in_progress"}, "in_progress", None, None),
    ({"status": "in_progress", "reason": "need_user_verification"}, "awaiting_identity", None, None),
    ({"status": "expired"}, "in_progress", None, None),
    ({"status": "fulfilled"}, "closed", "fulfilled", None),
    ({"status": "revoked"}, "closed", "withdrawn", None),
    ({"status": "denied", "reason": "suspected_fraud"}, "closed", "refused", "identity_not_shown"),
    ({"status": "denied", "reason": "insuf_verification"}, "closed", "not_identified", "identity_not_shown"),
    ({"status": "denied", "reason": "no_match"}, "closed", "no_data", None),
    ({"status": "denied", "reason": "claim_not_covered"}, "closed", "refused", "other"),
    ({"status": "denied", "reason": "outside_jurisdiction"}, "closed", "refused", "other"),
    ({"status": "denied", "reason": "too_many_requests"}, "closed", "refused", "repetitive"),
    ({"status": "denied", "reason": "other"}, "closed", "refused", "other"),
]


@pytest.mark.parametrize("array", [True, False])
def test_every_state_of_the_protocol_is_known(tmp_path: Path, array: bool) -> None:
    # Data Rights Protocol 1.0, the table of statuses.
    path = tmp_path / "statuses.json"
    things = [
        protocol(request_id=f"q{n}", called_back="2026-07-09T10:00:00Z", **s) for n, (s, *_) in enumerate(STATUS_TABLE)
    ]
    path.write_text(json.dumps(things) if array else "\n".join(map(json.dumps, things)))
    for thing in things:
        if thing["status"] in ("open", "in_progress", "expired"):
            del thing["called_back"]
    path.write_text(json.dumps(things) if array else "\n".join(map(json.dumps, things)))
    mapping = RegisterMapping(columns={"response_sent_on": "called_back"})
    register = read_export("data_rights_protocol", path, mapping=mapping, as_of=AS_OF)
    assert register.account == {"read": 13, "used": 13}
    assert rows(register, "state", "outcome", "reason_code") == [tuple(row[1:]) for row in STATUS_TABLE]
    assert set(register.requests["right"]) == {"erasure"}
    holds_no_secret(register)


def test_of_several_callbacks_the_last_counts_and_without_a_closing_time_nothing_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "callbacks.jsonl"
    things = [
        protocol(request_id="a", status="open"), protocol(request_id="b", status="in_progress"),
        protocol(request_id="a", status="fulfilled"),
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, things)))
    register = read_export("data_rights_protocol", path, as_of=AS_OF)
    assert register.account == {"read": 2, "used": 1, "ended without a date": 1}
    assert register.excluded.rows() == [(3, "ended without a date")]
    assert any("has no closing time" in note for note in register.notes)


def test_an_unknown_reason_of_the_protocol_is_an_error_with_the_mapping_to_add(tmp_path: Path) -> None:
    path = tmp_path / "callbacks.jsonl"
    path.write_text(json.dumps(protocol(request_id="a", status="denied", reason="moon_phase")))
    with pytest.raises(RegisterError, match=r"row 1: state is 'denied/moon_phase'.*mapping\.values"):
        read_export("data_rights_protocol", path)


# ---- OpenDSR --------------------------------------------------------------------------------------------------------


def opendsr(key: str, status: str, **fields: str) -> dict:
    return {
        "subject_request_id": key, "subject_request_type": "erasure", "submitted_time": "2026-07-01T10:00:00Z",
        "request_status": status, "subject_identities": [{"identity_type": "email", "identity_value": SECRETS[0]}],
        "expected_completion_time": "2026-07-15T10:00:00Z", **fields,
    }  # fmt: skip


def test_opendsr_requests_are_a_processors_and_cancelled_is_no_outcome(tmp_path: Path) -> None:
    path = tmp_path / "opendsr.json"
    things = [
        opendsr("1", "pending", regulation="gdpr"), opendsr("2", "in_progress"),
        opendsr("3", "completed", completed_at="2026-07-05T10:00:00Z"),
        opendsr("4", "cancelled", completed_at="2026-07-05T10:00:00Z"), opendsr("5", "completed"),
    ]  # fmt: skip
    path.write_text(json.dumps(things))
    closing = RegisterMapping(columns={"response_sent_on": "completed_at"})
    register = read_export("opendsr", path, mapping=closing, as_of=AS_OF)
    assert rows(register, "request_id", "state", "outcome", "role") == [
        ("1", "received", None, "processor"),
        ("2", "in_progress", None, "processor"),
        ("3", "closed", "fulfilled", "processor"),
    ]
    assert register.excluded.rows() == [(4, "closed without outcome"), (5, "ended without a date")]
    assert any("no refused state" in note for note in register.notes)
    holds_no_secret(register)
    said = RegisterMapping(
        columns={"response_sent_on": "completed_at"}, values={"outcome": {"cancelled": "withdrawn"}},
        fill={"role": "controller"},
    )  # fmt: skip
    register = read_export("opendsr", path, mapping=said, as_of=AS_OF)
    assert rows(register, "outcome", "role")[-1] == ("withdrawn", "controller")


def test_a_line_that_is_no_json_is_named_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "opendsr.json"
    path.write_text(json.dumps(opendsr("1", "pending")) + "\n{ada@example.org\n[1]\n")
    with pytest.raises(RegisterError) as raised:
        read_export("opendsr", path)
    assert "opendsr.json: row 2: is not JSON" in str(raised.value)
    path.write_text(json.dumps(opendsr("1", "pending")) + "\n[1]\n")
    with pytest.raises(RegisterError, match="row 2: is no JSON object"):
        read_export("opendsr", path)
    assert "ada" not in str(raised.value)


# ---- Jira Service Management ----------------------------------------------------------------------------------------

JIRA = """\
Summary,Issue key,Issue id,Issue Type,Status,Project key,Resolution,Assignee,Reporter,Created,Updated,Resolved,Labels,Labels,Custom field (Request Type),Comment
Ada Lovelace wants her data,PRIV-1,101,Service Request,Waiting for support,PRIV,,,ada@example.org,01/Jul/26 11:50 PM,02/Jul/26 1:00 PM,,a,b,My data,"please delete my late husband's account, now"
x,PRIV-2,102,Service Request,Waiting for customer,PRIV,,,ada@example.org,02/Jul/26 9:00 AM,02/Jul/26 1:00 PM,,,,Delete me,
x,PRIV-3,103,Service Request,Resolved,PRIV,Done,,ada@example.org,03/Jul/26 9:00 AM,02/Aug/26 1:00 PM,20/Jul/26 1:00 PM,,,Delete me,
x,PRIV-4,104,Service Request,Erledigt,PRIV,Won't Do,,ada@example.org,04/Jul/26 9:00 AM,02/Aug/26 1:00 PM,21/Jul/26 1:00 PM,,,My data,
x,PRIV-5,105,Service Request,Done,PRIV,,,ada@example.org,05/Jul/26 9:00 AM,02/Aug/26 1:00 PM,,,,My data,
"""  # noqa: E501
RIGHTS = RegisterMapping(values={"right": {"My data": "access", "Delete me": "erasure"}}, zone="America/New_York")


def test_a_jira_export_is_closed_by_its_resolution_and_timed_in_the_exporters_zone(tmp_path: Path) -> None:
    path = tmp_path / "jira.csv"
    path.write_text(JIRA)
    register = read_export("jira", path, mapping=RIGHTS, as_of=AS_OF)
    assert rows(register, "request_id", "right", "state", "outcome") == [
        ("PRIV-1", "access", "in_progress", None),
        ("PRIV-2", "erasure", "awaiting_clarification", None),
        ("PRIV-3", "erasure", "closed", "fulfilled"),
        ("PRIV-4", "access", "closed", "refused"),  # whatever its status is called
    ]
    # Closed by its status, with no resolution: how it ended is not known.
    assert register.excluded.rows() == [(6, "closed without outcome")]
    # Ten to midnight in New York is the next day in Helsinki.
    assert register.requests["received_on"][0] == date(2026, 7, 2)
    assert register.requests["response_sent_on"].to_list() == [None, None, date(2026, 7, 20), date(2026, 7, 21)]
    holds_no_secret(register)


def test_request_types_of_jira_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "jira.csv"
    path.write_text(JIRA)
    with pytest.raises(RegisterError) as raised:
        read_export("jira", path, mapping=RegisterMapping(zone="Europe/Helsinki"))
    assert "right is 'Delete me'; it must be one of access" in str(raised.value)
    assert "right is 'My data'" in str(raised.value)


def test_another_file_is_not_taken_for_an_export(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(RegisterError, match="Issue key is missing; is this an export of Jira Service Management"):
        read_export("jira", path)
    with pytest.raises(RegisterError, match="no such file"):
        read_export("jira", tmp_path / "gone.csv")

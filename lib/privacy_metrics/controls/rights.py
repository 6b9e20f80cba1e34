"""The rights of people: requests answered in time, with what the notice and the law say an answer holds.

A request stands in the period in which it was settled: the day it was answered, or the day after its due date where it
was not answered by then. So a late answer is one exception, in one period. What an answer must hold is judged in the
period in which it was given.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from ..deadlines import with_due_dates
from ..requests import UNANSWERED_ENDS
from .evaluation import Figures, Scope, control

REFUSED = ("refused", "partial", "not_identified")
"""Outcomes with which something was not done (GDPR Art. 12(4))."""

GRANTED = ("fulfilled", "partial")


def answers(scope: Scope, requests: pl.DataFrame, rights: tuple[str, ...] | list[str]) -> pl.DataFrame:
    """The controller's requests for ``rights`` that were settled or answered in the period, or fall due soon.

    Adds ``late`` (Boolean: settled in the period, by running out of time), ``answered`` (Boolean: in the period),
    ``soon`` (Boolean: open, and due inside the warning window), ``due`` (Date) and ``on`` (Date: the day of settling).
    """
    known = scope.as_of
    asked = requests.filter(pl.col("right").is_in(list(rights)), pl.col("role") == "controller")
    asked = with_due_dates(asked, scope.calendar)
    over = pl.col("due") + timedelta(days=1)
    # withdrawn, a duplicate, not ours: no answer is owed from then on
    dropped = pl.col("outcome").is_in(UNANSWERED_ENDS).fill_null(False)
    ended = pl.coalesce("response_sent_on", "decided_on")
    ended = pl.when(pl.col("state") == "closed").then(ended).otherwise(pl.col("response_sent_on"))
    asked = asked.with_columns(ended=ended, dropped=dropped)
    in_time = (pl.col("ended") <= pl.col("due")).fill_null(False)
    overdue = ~in_time & (over <= known)
    cases = asked.with_columns(
        late=overdue & over.is_between(scope.period.first, scope.period.last),
        answered=~pl.col("dropped")
        & pl.col("ended").is_between(scope.period.first, scope.period.last).fill_null(False),
        soon=pl.col("ended").is_null() & (pl.col("due") >= scope.day) & (pl.col("due") <= scope.soon),
        on=pl.when(overdue).then(over).otherwise(pl.col("ended")),
    )
    return cases.filter(pl.col("late") | pl.col("answered") | pl.col("soon")).with_columns(
        on=pl.coalesce("on", "due")
    )  # fmt: skip


def _with_handling(cases: pl.DataFrame, request_handling: pl.DataFrame) -> pl.DataFrame:
    """What there is more to say of a request; null where nothing is."""
    return cases.join(
        request_handling.drop("row").with_columns(handled=pl.lit(True)), on="request_id", how="left",
        maintain_order="left",
    ).with_columns(pl.col("handled").fill_null(False))  # fmt: skip


@control("answered-in-time", "requests that were answered late, or are overdue and open", "law")
def answered_in_time(scope: Scope, requests: pl.DataFrame, *, rights: tuple[str, ...] = ()) -> pl.DataFrame:
    """For ``rights``, or without them for every right. Strictly: no pause is credited. (Art. 12(3), Reg. 1182/71.)"""
    every = sorted(set(requests["right"].cast(pl.String)) - {"complaint", "other"})
    cases = answers(scope, requests, rights or every)
    return cases.select("row", "on", law="late", warns="soon")


@control("right-access", "access requests late, or answered without saying whether data is held", "notice", "law")
def right_access(scope: Scope, requests: pl.DataFrame, request_handling: pl.DataFrame) -> pl.DataFrame:
    """Art. 15: confirmation, and a copy where data is held and nothing stands against it."""
    cases = _with_handling(answers(scope, requests, ["access"]), request_handling)
    done = pl.col("answered") & (pl.col("outcome").is_in([*GRANTED, "no_data"]))
    told = pl.col("data_held").is_not_null() | (pl.col("outcome") == "no_data")
    copied = pl.col("copy_sent").fill_null(False) | ~pl.col("data_held").fill_null(False)
    wrong = (done & pl.col("handled") & ~(told & copied)).fill_null(False)
    unknown = (done & ~pl.col("handled") & (pl.col("outcome") != "no_data")).fill_null(False)
    return cases.select("row", "on", notice=wrong, law=wrong | pl.col("late"), warns="soon", unknown=unknown)


@control("right-portability", "portability requests late, refused, or answered in no electronic form", "notice", "law")
def right_portability(scope: Scope, requests: pl.DataFrame, request_handling: pl.DataFrame) -> pl.DataFrame:
    """A refusal for want of the conditions of Art. 20(1) is lawful; a notice that names no such condition is broken by
    it. What was handed over is in a machine-readable format."""
    cases = _with_handling(answers(scope, requests, ["portability"]), request_handling)
    given = (pl.col("answered") & pl.col("outcome").is_in(GRANTED)).fill_null(False)
    refused = (pl.col("answered") & (pl.col("reason_code") == "art20_conditions")).fill_null(False)
    paper = given & (pl.col("response_format") == "paper").fill_null(False)
    unreadable = given & ~pl.col("machine_readable").fill_null(True)
    unknown = given & (pl.col("response_format").is_null() | pl.col("machine_readable").is_null())
    wrong = paper | unreadable
    return cases.select(
        "row", "on", notice=wrong | refused, law=wrong | pl.col("late"), warns="soon", unknown=unknown & ~paper
    )


@control(
    "right-rectification",
    "rectifications late, or granted and not carried out",
    "notice",
    "law",
    risk="it is not on record that recipients were told",
)
def right_rectification(
    scope: Scope, requests: pl.DataFrame, request_handling: pl.DataFrame, *, days: int = 7
) -> pl.DataFrame:
    """Carried out at most ``days`` after the answer. Recipients that were not told put it at risk. (Art. 16, 19.)"""
    cases = _with_handling(answers(scope, requests, ["rectification"]), request_handling)
    granted = (pl.col("answered") & pl.col("outcome").is_in(GRANTED)).fill_null(False)
    limit = pl.col("ended").dt.offset_by(f"{days}d")
    carried = pl.col("executed_on").is_not_null() & (pl.col("executed_on") <= limit)
    wrong = granted & ~carried & (pl.col("executed_on").is_not_null() | (limit < scope.as_of))
    untold = granted & pl.col("recipients_notified_on").is_null()
    return cases.select("row", "on", notice=wrong, law=wrong | pl.col("late"), warns=pl.col("soon") | untold)


@control(
    "right-restriction",
    "restrictions late, without a ground, processed on, or lifted before the person was told",
    "notice",
    "law",
)
def right_restriction(scope: Scope, requests: pl.DataFrame, restrictions: pl.DataFrame) -> pl.DataFrame:
    """Art. 18: a granted restriction has one of four grounds; the data is only stored; the person is told before it is
    lifted."""
    cases = answers(scope, requests, ["restriction"])
    known = restrictions.drop("row").with_columns(known=pl.lit(True))
    cases = cases.join(known, on="request_id", how="left", maintain_order="left")
    granted = (pl.col("answered") & pl.col("outcome").is_in(GRANTED)).fill_null(False)
    used = pl.col("last_processed_on") > pl.col("restricted_on")
    used = used & (pl.col("last_processed_on") <= pl.col("lifted_on").fill_null(pl.date(9999, 12, 31)))
    untold = pl.col("lifted_on").is_not_null() & ~(pl.col("told_before_lift_on") <= pl.col("lifted_on")).fill_null(
        False
    )
    wrong = (granted & (pl.col("ground").is_null() | used | untold)).fill_null(False)
    return cases.select(
        "row", "on", notice=wrong & pl.col("known").is_not_null(),
        law=(wrong & pl.col("known").is_not_null()) | pl.col("late"), warns="soon",
        unknown=granted & pl.col("known").is_null(),
    )  # fmt: skip


@control(
    "right-erasure", "erasures overdue, answered with no decision, or refused with no reason told", "notice", "law"
)
def right_erasure(scope: Scope, requests: pl.DataFrame) -> pl.DataFrame:
    """A request whose time has run out without an answer breaks the notice, and one answered late does not;
    it breaks the law. (Art. 17, 12(3)-(4).)"""
    cases = answers(scope, requests, ["erasure"])
    silent = pl.col("late") & (pl.col("ended").is_null() | (pl.col("ended") > scope.day)) & ~pl.col("dropped")
    unsaid = pl.col("outcome").is_in(REFUSED) & (
        ~pl.col("reasons_given").fill_null(False) | pl.col("reason_code").is_null()
    )
    wrong = silent | (pl.col("answered") & (pl.col("outcome").is_null() | unsaid)).fill_null(False)
    return cases.select(
        "row", "on", notice=wrong, law=pl.col("late") | (pl.col("answered") & unsaid).fill_null(False), warns="soon"
    )


@control(
    "right-object",
    "objections late, refused without compelling grounds, or refused against direct marketing",
    "notice",
    "law",
)
def right_object(scope: Scope, requests: pl.DataFrame, request_handling: pl.DataFrame) -> pl.DataFrame:
    """Art. 21(1): the controller shows compelling grounds; Art. 21(3): against direct marketing there are none."""
    cases = _with_handling(answers(scope, requests, ["objection", "marketing_objection"]), request_handling)
    refused = (pl.col("answered") & pl.col("outcome").is_in(["refused", "partial"])).fill_null(False)
    absolute = pl.col("right") == "marketing_objection"
    grounds = (pl.col("reason_code") == "compelling_grounds").fill_null(False)
    grounds = grounds & pl.col("compelling_grounds").fill_null(True)
    wrong = refused & (absolute | ~grounds)
    unknown = refused & ~absolute & grounds & ~pl.col("handled")
    return cases.select("row", "on", notice=wrong, law=wrong | pl.col("late"), warns="soon", unknown=unknown)


@control(
    "withdrawals-carried-out", "withdrawals of consent by request, refused or carried out too late", "notice", "policy"
)
def withdrawals_carried_out(scope: Scope, requests: pl.DataFrame, *, days: int = 3) -> pl.DataFrame:
    """No outcome but carrying it out fits; ``days`` from receipt is policy. (Art. 7(3).)"""
    asked = requests.filter(
        pl.col("right") == "consent_withdrawal", pl.col("role") == "controller",
        pl.col("received_on").is_between(scope.period.first, scope.period.last),
        ~pl.col("outcome").is_in(UNANSWERED_ENDS).fill_null(False),
    )  # fmt: skip
    limit = pl.col("received_on").dt.offset_by(f"{days}d")
    refused = pl.col("outcome").is_in(REFUSED).fill_null(False)
    open_ = pl.col("executed_on").is_null()
    late = (pl.col("executed_on") > limit).fill_null(False) | (open_ & (limit < scope.as_of))
    return asked.select(
        "row", on="received_on", notice=refused, policy=refused | late, warns=open_ & (limit >= scope.as_of) & ~refused
    )


@control(
    "identity-before-disclosure",
    "data handed over before an identity that was asked for was confirmed",
    "notice",
    "law",
    risk="the identity is asked for late, or in a large share of the requests",
)
def identity_before_disclosure(
    scope: Scope, requests: pl.DataFrame, *, days: int = 7, most_share: float = 0.5
) -> pl.DataFrame:
    """Of the access and portability requests in which it was asked for. (Art. 12(6), 5(1)(f).)

    Asked for more than ``days`` after receipt, a case warns. Where it was asked for in more than ``most_share`` of such
    requests received in the period, every case does: the law asks for reasonable doubts.
    """
    rights = ("access", "portability")
    asked = requests.filter(
        pl.col("right").is_in(rights), pl.col("identity_requested_on").is_not_null(),
        pl.col("response_sent_on").is_between(scope.period.first, scope.period.last),
    )  # fmt: skip
    given = pl.col("outcome").is_in(GRANTED).fill_null(False)
    early = ~(pl.col("identity_received_on") <= pl.col("response_sent_on")).fill_null(False)
    late = pl.col("identity_requested_on") > pl.col("received_on").dt.offset_by(f"{days}d")
    came, checked = _share(scope, requests, "identity_requested_on", rights)
    return asked.select(
        "row", on="response_sent_on", notice=given & early, law=given & early,
        warns=late | pl.lit(checked > most_share * came),
    )  # fmt: skip


@control("identity-checks", "checks of identity: in how many requests, how soon, and how many were never answered")
def identity_checks(scope: Scope, requests: pl.DataFrame) -> Figures:
    """Of the requests received in the period: those in which it was asked for by its end, the days from receipt to
    asking, and those of them that were closed by then and never answered the question."""
    came = _received(scope, requests)
    asked = came.filter(pl.col("identity_requested_on") <= scope.day)
    days = asked.select((pl.col("identity_requested_on") - pl.col("received_on")).dt.total_days().sum()).item()
    ended = pl.coalesce("response_sent_on", "decided_on") <= scope.day
    never = asked.filter(pl.col("state") == "closed", ended, pl.col("identity_received_on").is_null())
    counts = {
        "requests": came.height, "checked of requests": asked.height, "never answered of checked": never.height,
        "days to ask per checked": days,
    }  # fmt: skip
    return Figures(came.height, counts, {"days to ask per checked": asked.height})


def _refusals(scope: Scope, requests: pl.DataFrame) -> pl.DataFrame:
    return requests.filter(
        pl.col("outcome").is_in(REFUSED), pl.col("role") == "controller",
        pl.coalesce("response_sent_on", "decided_on").is_between(scope.period.first, scope.period.last),
    ).with_columns(on=pl.coalesce("response_sent_on", "decided_on"))  # fmt: skip


EXEMPTIONS = {
    "access": ("others_rights",),
    "portability": ("others_rights", "art20_conditions"),
    "erasure": ("legal_duty", "legal_claims", "expression", "public_interest"),
    "objection": ("compelling_grounds", "legal_claims"),
    "rectification": (),
    "restriction": (),
}
"""Grounds for refusing that the law has for a right: Art. 15(4), 17(3), 20(1) and (4), 21(1)."""

UNFOUNDED = ("manifestly_unfounded", "excessive", "repetitive")
"""Art. 12(5)."""


@control(
    "rejection-grounds",
    "refusals on a ground that neither notice nor law names, or with no reason told",
    "notice",
    "law",
)
def rejection_grounds(
    scope: Scope,
    requests: pl.DataFrame,
    *,
    grounds: tuple[str, ...] = UNFOUNDED,
    others: tuple[str, ...] = ("identity_not_shown",),
) -> pl.DataFrame:
    """``grounds``: those that the notice names; ``others``: what it says elsewhere. The law adds those of each right
    (EXEMPTIONS), and asks that the reason, the right to complain and the remedy are told (Art. 12(4))."""
    refused = _refusals(scope, requests)
    lawful = pl.col("reason_code").is_in([*UNFOUNDED, "identity_not_shown"]).fill_null(False)
    for right, codes in EXEMPTIONS.items():
        lawful = lawful | ((pl.col("right") == right) & pl.col("reason_code").is_in(codes)).fill_null(False)
    told = pl.all_horizontal(
        pl.col(n).fill_null(False) for n in ("reasons_given", "complaint_right_given", "remedy_given")
    )
    named = pl.col("reason_code").is_in([*grounds, *others]).fill_null(False)
    return refused.select("row", "on", notice=~named | ~pl.col("reasons_given").fill_null(False), law=~lawful | ~told)


@control("complaint-right-told", "refusals that did not name the right to complain", "notice", "law")
def complaint_right_told(scope: Scope, requests: pl.DataFrame) -> pl.DataFrame:
    """Art. 12(4)."""
    untold = ~pl.col("complaint_right_given").fill_null(False)
    return _refusals(scope, requests).select("row", "on", notice=untold, law=untold)


@control("no-form-needed", "refusals for a missing field of a form", "law")
def no_form_needed(scope: Scope, requests: pl.DataFrame) -> pl.DataFrame:
    """Art. 12(2), 12(6): a request needs no form, and no more data than identifies the person."""
    wrong = (pl.col("reason_code") == "missing_form_field").fill_null(False)
    return _refusals(scope, requests).select("row", "on", law=wrong)


@control("evidence-of-excess", "refusals as unfounded or excessive with no evidence kept", "law")
def evidence_of_excess(scope: Scope, requests: pl.DataFrame, request_handling: pl.DataFrame) -> pl.DataFrame:
    """Art. 12(5): the controller bears the burden of demonstrating it."""
    refused = _refusals(scope, requests).filter(pl.col("reason_code").is_in(UNFOUNDED))
    cases = _with_handling(refused, request_handling)
    return cases.select("row", "on", law=~pl.col("evidence_kept").fill_null(False))


@control("extension-notified", "extensions told after the first month, or with no reasons", "law")
def extension_notified(scope: Scope, requests: pl.DataFrame) -> pl.DataFrame:
    """Art. 12(3)."""
    told = requests.filter(
        pl.col("extension_notified_on").is_between(scope.period.first, scope.period.last),
        pl.col("role") == "controller",
    )  # fmt: skip
    cases = with_due_dates(told, scope.calendar)
    late = pl.col("extension_notified_on") > pl.col("first_due")
    return cases.select(
        "row", on="extension_notified_on", law=late | ~pl.col("extension_reasons_given").fill_null(False)
    )


def _share(scope: Scope, requests: pl.DataFrame, asked_on: str, rights: tuple[str, ...] = ()) -> tuple[int, int]:
    """The controller's requests that were received in the period, and how many were asked for something by its end."""
    came = _received(scope, requests)
    came = came.filter(pl.col("right").is_in(rights)) if rights else came
    return came.height, came.filter(pl.col(asked_on) <= scope.day).height


def _received(scope: Scope, requests: pl.DataFrame) -> pl.DataFrame:
    return requests.filter(pl.col("role") == "controller", scope.within("received_on"))


@control(
    "clarification-in-time",
    "requests for clarification that came late",
    "policy",
    risk="a large share of the requests is paused for clarification",
)
def clarification_in_time(
    scope: Scope, requests: pl.DataFrame, *, days: int = 7, most_share: float = 0.25
) -> pl.DataFrame:
    """At most ``days`` after receipt: what is asked later does not speed up anything (EDPB 01/2022 para 159).

    Where more than ``most_share`` of the requests received in the period were paused, every case warns.
    """
    asked = requests.filter(
        pl.col("clarification_requested_on").is_between(scope.period.first, scope.period.last)
    )  # fmt: skip
    late = pl.col("clarification_requested_on") > pl.col("received_on").dt.offset_by(f"{days}d")
    came, paused = _share(scope, requests, "clarification_requested_on")
    return asked.select("row", on="clarification_requested_on", policy=late, warns=pl.lit(paused > most_share * came))


@control("clarification-pauses", "pauses for clarification: how many requests, and how many days")
def clarification_pauses(scope: Scope, requests: pl.DataFrame) -> Figures:
    """Of the requests received in the period: those that were paused by its end, and the days from asking to the
    answer, or to the period's end where there is none by then."""
    came = _received(scope, requests)
    paused = came.filter(pl.col("clarification_requested_on") <= scope.day)
    end = pl.min_horizontal(pl.col("clarification_received_on").fill_null(scope.day), pl.lit(scope.day))
    days = paused.select((end - pl.col("clarification_requested_on")).dt.total_days().sum()).item()
    waiting = paused.filter((pl.col("clarification_received_on") <= scope.day).fill_null(False).not_())
    counts = {
        "requests": came.height, "paused of requests": paused.height, "still paused of paused": waiting.height,
        "days per paused": days,
    }  # fmt: skip
    return Figures(came.height, counts, {"days per paused": paused.height})


@control("controller-role", "requests about a customer's data that were closed and not passed on", "notice")
def controller_role(scope: Scope, requests: pl.DataFrame, request_handling: pl.DataFrame) -> pl.DataFrame:
    """Art. 28(3)(e): the processor assists the controller, whose request it is."""
    closed = requests.filter(
        pl.col("role") == "processor", pl.col("state") == "closed",
        pl.coalesce("response_sent_on", "decided_on").is_between(scope.period.first, scope.period.last),
    )  # fmt: skip
    cases = _with_handling(closed, request_handling)
    return cases.select(
        "row", on=pl.coalesce("response_sent_on", "decided_on"),
        notice=pl.col("handled") & pl.col("forwarded_on").is_null(), unknown=~pl.col("handled"),
    )  # fmt: skip


@control("complaints", "complaints to a supervisory authority, and concerns that were brought to the company first")
def complaints(scope: Scope, complaints: pl.DataFrame, requests: pl.DataFrame) -> Figures:
    """Counts of the period: complaints, how many had contacted the company first, open at its end; requests that were
    escalated to the officer, those of them answered in the period (whenever they came), and the days from receipt to
    the answer."""
    heard = complaints.filter(scope.within("received_on"))
    open_ = complaints.filter(
        pl.col("received_on") <= scope.day, pl.col("closed_on").is_null() | (pl.col("closed_on") > scope.day)
    )
    escalated = requests.filter(scope.within("received_on"), pl.col("escalated").fill_null(False))
    first = int(heard["contacted_first"].fill_null(False).sum())
    told = requests.filter(scope.within("response_sent_on"), pl.col("escalated").fill_null(False))
    days = told.select((pl.col("response_sent_on") - pl.col("received_on")).dt.total_days().sum()).item()
    counts = {
        "complaints": heard.height, "contacted first of complaints": first, "open": open_.height,
        "escalated": escalated.height, "escalated answered": told.height, "days per escalated answered": days,
    }  # fmt: skip
    seen = heard.height + open_.height + escalated.height + told.height
    return Figures(seen, counts, {"days per escalated answered": told.height})

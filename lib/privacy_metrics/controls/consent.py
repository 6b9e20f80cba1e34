"""Cookies, consent and messages: what was in force at the moment of an event, and not what is in force today."""

from __future__ import annotations

import numpy as np
import polars as pl

from ..registers import DIRECT_MARKETING
from .evaluation import Scope, control

_GRANT, _EVENT, _DENIAL = 0, 1, 2
"""Within one second, a consent counts before an event, and an event before a withdrawal: times are whole seconds, and
the click that gives consent sets the cookie in the same one."""


_LATER = 2**34
"""More than four times the second of any time up to 2100."""


def _second(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("s")


def changes(consents: pl.DataFrame, grace_hours: int = 0, recorded_within_hours: int | None = None) -> pl.DataFrame:
    """The changes of consent that take effect, each with the moment from which it counts.

    A consent counts from ``at``; with ``recorded_within_hours``, one that was recorded later than that counts from
    when it was recorded. A withdrawal counts from ``effective_at``, and at the latest ``grace_hours`` after ``at``. Of
    the changes that count at a moment, the one made last (``at``) decides, in whichever order the rows stand: so a
    change never counts if a later one counts before it does.

    Columns subject_ref, purpose, from (Int64: four times the second, and the order within it), granted, until (Int64:
    the second from which a consent has expired; null: never), sorted by subject, purpose and from.
    """
    granted = pl.col("state") == "granted"
    at = _second("at")
    limit = at + 3600 * grace_hours
    starts = pl.when(granted).then(at).otherwise(pl.min_horizontal(_second("effective_at"), limit).clip(lower_bound=at))
    if recorded_within_hours is not None:
        late = granted & (_second("recorded_at") > at + 3600 * recorded_within_hours)
        starts = pl.when(late).then(_second("recorded_at")).otherwise(starts)
    order = pl.when(granted).then(_GRANT).otherwise(_DENIAL)
    made = consents.select(
        "subject_ref", "purpose", "row", granted=granted, until=_second("expires_at"), made=4 * at + order,
        **{"from": 4 * starts + order},
    ).sort("subject_ref", "purpose", "made", "row")  # fmt: skip
    # From the last change backwards: what a later one of the same person and purpose overtakes.
    nxt = pl.col("from").shift(-1)
    same = (pl.col("subject_ref") == pl.col("subject_ref").shift(-1)) & (
        pl.col("purpose") == pl.col("purpose").shift(-1)
    )
    if made.select((same & (nxt < pl.col("from"))).any()).item():
        later = pl.col("from").shift(-1).cum_min(reverse=True).over("subject_ref", "purpose")
        overtaken = (later <= pl.col("from")).fill_null(False)
    else:
        overtaken = (same & (nxt == pl.col("from"))).fill_null(False)
    return made.filter(~overtaken).select("subject_ref", "purpose", "from", "granted", "until")


def standing(events: pl.DataFrame, made: pl.DataFrame) -> pl.DataFrame:
    """What was in force at each event: point in time, by person and purpose.

    ``events`` has subject_ref (UInt64), purpose (String) and at (Datetime); ``made`` is of ``changes``. Adds ``valid``
    (Boolean: a consent is in force), ``denied`` (Boolean: the last change is a refusal or withdrawal). An event with no
    change before it has neither. Rows stay in their order.
    """
    if not made.height:
        return events.with_columns(valid=pl.lit(False), denied=pl.lit(False))
    purposes = pl.Enum(made["purpose"].unique().sort())
    people = made.select(pl.col("subject_ref").unique().sort()).with_columns(_person=pl.int_range(pl.len()))
    # One number for person, purpose and moment: a join in time becomes a binary search, in one pass for all purposes.
    pair = pl.col("_person") * len(purposes.categories) + pl.col("purpose").cast(purposes, strict=False).to_physical()

    def numbered(frame: pl.DataFrame) -> pl.DataFrame:
        known = frame.join(people, on="subject_ref", how="left", maintain_order="left")
        return known.with_columns(_pair=pair)

    made = numbered(made)
    asked = numbered(events.select("subject_ref", "purpose", _at=_second("at")))
    keys = made.select(_LATER * pl.col("_pair") + pl.col("from")).to_series().to_numpy()
    moments = asked.select((_LATER * pl.col("_pair") + 4 * pl.col("_at") + _EVENT).fill_null(-1)).to_series()
    # In order, the searches walk through the keys once: three times as fast as at random.
    order = moments.arg_sort()
    last = np.empty(moments.len(), np.int64)
    last[order.to_numpy()] = np.searchsorted(keys, moments.gather(order).to_numpy(), side="right") - 1
    last = pl.Series(last)
    found = made.select("granted", "until", _found="_pair")[last.clip(0)]
    asked = pl.concat([asked.select("_at", "_pair"), found], how="horizontal").select(
        known=((pl.col("_found") == pl.col("_pair")) & (last >= 0)).fill_null(False), granted="granted",
        unexpired=(pl.col("_at") < pl.col("until")).fill_null(True),
    )  # fmt: skip
    return events.with_columns(
        asked.select(
            valid=pl.col("known") & pl.col("granted") & pl.col("unexpired"), denied=pl.col("known") & ~pl.col("granted")
        )
    )


# ---- cookies --------------------------------------------------------------------------------------------------------


def _cookies(scope: Scope, events: pl.DataFrame) -> pl.DataFrame:
    """The events of the period that need consent."""
    wanted = events.lazy().filter(~pl.col("necessary"), scope.times_within("at"))
    return wanted.select("row", "subject_ref", "at", purpose="category").collect()


@control("consent-before-cookies", "non-necessary cookies with no valid earlier consent", "notice", "law")
def consent_before_cookies(
    scope: Scope, cookie_events: pl.DataFrame, consents: pl.DataFrame, *, recorded_within_hours: int | None = None
) -> pl.DataFrame:
    """A consent counts from the second in which it was given, until it is withdrawn or expires.

    Events after a withdrawal are the business of ``consent-changeable``. (ePrivacy Directive Art. 5(3); GDPR Art. 7.)
    """
    made = changes(consents, recorded_within_hours=recorded_within_hours)
    events = standing(_cookies(scope, cookie_events), made)
    wrong = ~pl.col("valid") & ~pl.col("denied")
    return events.select("row", subject="subject_ref", on=scope.local("at"), notice=wrong, law=wrong)


@control(
    "consent-changeable",
    "non-necessary cookies after a refusal or withdrawal took effect",
    "notice",
    "law",
    risk="many consents and not one withdrawal: the settings may not work",
)
def consent_changeable(
    scope: Scope, cookie_events: pl.DataFrame, consents: pl.DataFrame, *, grace_hours: int = 0, grants: int = 100
) -> pl.DataFrame:
    """A withdrawal takes effect when the register says so, at the latest ``grace_hours`` after it. (Art. 7(3).)

    Where ``grants`` consents to the cookies' purposes or more were given in the period and none was withdrawn, the
    control may be broken: every case warns.
    """
    cookies = _cookies(scope, cookie_events)
    events = standing(cookies, changes(consents, grace_hours))
    wrong = pl.col("denied")
    silent = _never_withdrawn(scope, consents, cookies["purpose"].unique(), grants)
    return events.select(
        "row", subject="subject_ref", on=scope.local("at"), notice=wrong, law=wrong, warns=pl.lit(silent)
    )


def _never_withdrawn(scope: Scope, consents: pl.DataFrame, purposes: pl.Series, grants: int) -> bool:
    """Whether ``grants`` or more consents to ``purposes`` were given in the period, and none was taken back in it.

    Taken back: the change that the same person made before it is a consent; a refusal is none.
    """
    known = consents.lazy().filter(pl.col("purpose").is_in(purposes.implode()))
    now = known.filter(scope.times_within("at"))
    granted = pl.col("state") == "granted"
    if now.filter(granted).select(pl.len()).collect().item() < grants:
        return False
    denying = now.filter(~granted).select("subject_ref", "purpose").unique()
    ordered = (
        known.join(denying, on=["subject_ref", "purpose"], how="semi")
        .select("subject_ref", "purpose", "at", "row", granted=granted)
        .sort("subject_ref", "purpose", "at", ~pl.col("granted"), "row")
    )
    same = (pl.col("subject_ref") == pl.col("subject_ref").shift(1)) & (pl.col("purpose") == pl.col("purpose").shift(1))
    taken = ordered.filter(~pl.col("granted") & same & pl.col("granted").shift(1), scope.times_within("at"))
    return taken.select(pl.len()).collect().item() == 0


@control(
    "cookies-scanned",
    "non-necessary cookies that a scan found before a choice or after a refusal",
    "notice",
    "law",
    about="things",
)
def cookies_scanned(scope: Scope, cookie_scans: pl.DataFrame) -> pl.DataFrame:
    """What a scanner saw, where there is no log of events."""
    wrong = (pl.col("cookie").is_not_null() & ~pl.col("necessary") & (pl.col("phase") != "after_accept")).fill_null(
        False
    )
    unknown = pl.col("cookie").is_not_null() & pl.col("necessary").is_null()
    scanned = cookie_scans.filter(scope.within("scanned_on"))
    return scanned.select("row", on="scanned_on", notice=wrong, law=wrong, unknown=unknown)


@control("settings-reachable", "scanned pages without the cookie settings", "notice", "law", about="things")
def settings_reachable(scope: Scope, cookie_scans: pl.DataFrame) -> pl.DataFrame:
    """One case for each page of a scan. (Art. 7(3): as easy to withdraw as to give.)"""
    scanned = cookie_scans.filter(scope.within("scanned_on")).sort("row")
    pages = scanned.group_by("scan_id", "page", maintain_order=True).agg(
        pl.col("row").first(), on=pl.col("scanned_on").first(), notice=~pl.col("settings_reachable").all()
    )
    return pages.select("row", "on", "notice", law="notice")


@control(
    "cookies-listed",
    "cookies that a scan found and the cookie notice does not list",
    "notice",
    about="things",
    risk="a cookie is listed and no scan of the period found it",
)
def cookies_listed(scope: Scope, cookie_scans: pl.DataFrame, cookie_notice: pl.DataFrame) -> pl.DataFrame:
    """A listing counts on the day of the scan. Where one was looked for by a scan of the period and never seen, the
    notice may be out of date: every case warns."""
    found = cookie_scans.filter(scope.within("scanned_on"), pl.col("cookie").is_not_null())
    listed = found.select("row", "cookie", "scanned_on").join(cookie_notice.drop("row"), on="cookie")
    on_the_day = pl.col("scanned_on").is_between("listed_from", pl.col("listed_until").fill_null(pl.date(9999, 1, 1)))
    shown = listed.filter(on_the_day)
    days = cookie_scans.filter(scope.within("scanned_on")).select(pl.col("scanned_on").unique())
    sought = cookie_notice.join(days, how="cross").filter(on_the_day)
    unseen = not set(sought["cookie"]) <= set(shown["cookie"])
    return found.select(
        "row", on="scanned_on", notice=~pl.col("row").is_in(shown["row"].implode()), warns=pl.lit(unseen)
    )


# ---- consents -------------------------------------------------------------------------------------------------------


@control("consent-demonstrable", "consents with no notice version, or recorded too late", "law", "policy")
def consent_demonstrable(scope: Scope, consents: pl.DataFrame, *, recorded_within_hours: int = 24) -> pl.DataFrame:
    """Art. 7(1): the controller can demonstrate that the person has consented, and to what."""
    given = consents.filter(pl.col("state") == "granted", scope.times_within("at"))
    late = (_second("recorded_at") > _second("at") + 3600 * recorded_within_hours).fill_null(False)
    return given.select(
        "row", subject="subject_ref", on=scope.local("at"), law=pl.col("notice_version").is_null(), policy=late
    )


@control("right-withdraw-consent", "withdrawals that were not in effect within the limit", "notice", "policy")
def right_withdraw_consent(scope: Scope, consents: pl.DataFrame, *, limit_hours: int = 24) -> pl.DataFrame:
    """A withdrawal or opt-out must say when it took effect. The limit is policy; the notice is broken by one that never
    took effect. (Art. 7(3).)"""
    denied = consents.filter(pl.col("state") == "denied", scope.times_within("at"))
    limit = pl.duration(hours=limit_hours)
    reached = pl.lit(scope.as_of).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    late = (pl.col("effective_at") > pl.col("at") + limit).fill_null(False)
    never = pl.col("effective_at").is_null()
    over = never & (pl.col("at") + limit < reached)
    return denied.select(
        "row", subject="subject_ref", on=scope.local("at"), notice=over, policy=late | over, warns=never & ~over
    )


# ---- messages -------------------------------------------------------------------------------------------------------


def _messages(scope: Scope, messages: pl.DataFrame, kinds: tuple[str, ...], purpose: str) -> pl.DataFrame:
    sent = messages.filter(pl.col("kind").is_in(kinds), scope.times_within("sent_at"))
    return sent.select("row", "subject_ref", "topic", at="sent_at", purpose=pl.lit(purpose))


@control("newsletter-consent", "newsletters to people with no active consent", "notice", "law")
def newsletter_consent(
    scope: Scope,
    marketing_messages: pl.DataFrame,
    consents: pl.DataFrame,
    *,
    purpose: str = "newsletter",
    grace_hours: int = 0,
) -> pl.DataFrame:
    """The consent is in force at the second of sending; a withdrawal counts at the latest after ``grace_hours``."""
    sent = standing(_messages(scope, marketing_messages, ("newsletter",), purpose), changes(consents, grace_hours))
    wrong = ~pl.col("valid")
    return sent.select("row", subject="subject_ref", on=scope.local("at"), notice=wrong, law=wrong)


@control("marketing-opt-out", "direct marketing after an opt-out took effect", "notice", "law")
def marketing_opt_out(
    scope: Scope,
    marketing_messages: pl.DataFrame,
    consents: pl.DataFrame,
    *,
    purpose: str = DIRECT_MARKETING,
    grace_hours: int = 0,
) -> pl.DataFrame:
    """Service messages are exempt. An opt-out counts at the latest after ``grace_hours``; for the law, which knows no
    grace (Art. 21(3)), at once."""
    sent = _messages(scope, marketing_messages, ("marketing", "newsletter"), purpose)
    strict = standing(sent, changes(consents)).select("row", law="denied")
    graced = standing(sent, changes(consents, grace_hours)).join(strict, on="row")
    return graced.select("row", "law", subject="subject_ref", on=scope.local("at"), notice="denied")


@control("unsubscribe-offered", "direct marketing that offers no way to unsubscribe", "notice", "law")
def unsubscribe_offered(scope: Scope, marketing_messages: pl.DataFrame) -> pl.DataFrame:
    """ePrivacy Directive Art. 13(2): an opportunity to object with each message."""
    sent = marketing_messages.filter(pl.col("kind") != "service", scope.times_within("sent_at"))
    wrong = ~pl.col("unsubscribe").fill_null(True)
    unknown = pl.col("unsubscribe").is_null()
    return sent.select(
        "row", subject="subject_ref", on=scope.local("sent_at"), notice=wrong, law=wrong, unknown=unknown
    )


@control("service-messages-only", "service messages to people who opted out, about something else", "notice", "policy")
def service_messages_only(
    scope: Scope, marketing_messages: pl.DataFrame, consents: pl.DataFrame, *, topics: tuple[str, ...] = (),
    most: int = 6, purpose: str = DIRECT_MARKETING,
) -> pl.DataFrame:  # fmt: skip
    """``topics``: what a service message may be about. ``most``: the most of them that a person gets in a period and
    they are still occasional, which is policy."""
    sent = standing(_messages(scope, marketing_messages, ("service",), purpose), changes(consents))
    optedout = sent.filter("denied").sort("at", "row")
    many = pl.int_range(pl.len()).over("subject_ref") >= most
    wrong = ~pl.col("topic").is_in(topics)
    return optedout.select(
        "row", subject="subject_ref", on=scope.local("at"), notice=wrong.fill_null(False), policy=many,
        unknown=pl.col("topic").is_null(),
    ).sort("row")  # fmt: skip


@control("disclosure-consent", "disclosures on consent with no consent in force", "notice", "law")
def disclosure_consent(scope: Scope, disclosures: pl.DataFrame, consents: pl.DataFrame) -> pl.DataFrame:
    """A disclosure on the ground of consent, at the second of disclosing."""
    asked = disclosures.filter(pl.col("ground") == "consent", scope.times_within("disclosed_at"))
    events = asked.select("row", "subject_ref", "purpose", at="disclosed_at")
    known = events.drop_nulls(["subject_ref", "purpose"])
    judged = standing(known, changes(consents)).select("row", "valid", known=pl.lit(True))
    cases = events.join(judged, on="row", how="left", maintain_order="left")
    wrong = (~pl.col("valid")).fill_null(False)
    return cases.select(
        "row", subject="subject_ref", on=scope.local("at"), notice=wrong, law=wrong, unknown=pl.col("known").is_null()
    )


@control("authority-disclosures", "disclosures with no recorded ground", "notice", "law")
def authority_disclosures(scope: Scope, disclosures: pl.DataFrame) -> pl.DataFrame:
    """GDPR Art. 6(1): every disclosure has a ground."""
    made = disclosures.filter(scope.times_within("disclosed_at"))
    wrong = pl.col("ground").is_null()
    return made.select("row", on=scope.local("disclosed_at"), notice=wrong, law=wrong)


@control("disclosure-told", "legal disclosures of which the person was not told before, with no reason", "notice")
def disclosure_told(scope: Scope, disclosures: pl.DataFrame) -> pl.DataFrame:
    """Told on the day of the disclosure is not told in advance."""
    grounds = ("legal_obligation", "legal_claims")
    made = disclosures.filter(pl.col("ground").is_in(grounds), scope.times_within("disclosed_at"))
    told = (pl.col("informed_on") < scope.local("disclosed_at")).fill_null(False)
    return made.select(
        "row", on=scope.local("disclosed_at"), notice=~told & pl.col("not_informed_reason").is_null(),
    )  # fmt: skip

"""What data is held, for which purpose, on which ground, and what is made of it."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from .evaluation import Scope, control

FOREVER = date(9999, 12, 31)


def in_force(scope: Scope, register: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
    """The rows that are in force on some day of the period up to the day reached; both dates belong to a row."""
    return register.filter(pl.col(first) <= scope.day, pl.col(last).fill_null(FOREVER) >= scope.period.first)


def pairs(declared: dict[str, list[str]] | dict[str, dict[str, str]], value: str) -> pl.DataFrame:
    """What a notice declares by group, as a frame of subject_group and ``value``."""
    rows = [(group, code) for group, codes in declared.items() for code in codes]
    return pl.DataFrame(rows, schema={"subject_group": pl.String, value: pl.String}, orient="row")


def _declared(frame: pl.DataFrame, allowed: pl.DataFrame, value: str) -> pl.DataFrame:
    """``frame`` with ``declared``: whether the notice has this value for this group of people."""
    keyed = frame.with_columns(pl.col("subject_group").cast(pl.String))
    marked = allowed.with_columns(declared=pl.lit(True))
    found = keyed.join(marked, on=["subject_group", value], how="left", maintain_order="left")
    return found.with_columns(pl.col("declared").fill_null(False))


@control("data-categories", "kinds of data that the notice does not declare for the group", "notice", about="things")
def data_categories(scope: Scope, data_inventory: pl.DataFrame, *, groups: tuple[str, ...] = ()) -> pl.DataFrame:
    """For ``groups``, or without them for all. Technical data is ``technical-categories``' business."""
    held = in_force(scope, data_inventory, "held_from", "held_until").filter(~pl.col("technical"))
    if groups:
        held = held.filter(pl.col("subject_group").is_in(groups))
    held = _declared(held, pairs(scope.notice.data, "category"), "category")
    empty = pl.col("category").is_null()
    return held.select("row", on="held_from", notice=~pl.col("declared") & ~empty, unknown=empty)


@control(
    "technical-categories", "technical data of a category that the notice does not declare", "notice", about="things"
)
def technical_categories(scope: Scope, data_inventory: pl.DataFrame) -> pl.DataFrame:
    """The categories are the notice's ``technical`` ones."""
    held = in_force(scope, data_inventory, "held_from", "held_until").filter("technical")
    wrong = ~pl.col("category").is_in(list(scope.notice.technical))
    return held.select("row", on="held_from", notice=wrong.fill_null(False), unknown=pl.col("category").is_null())


@control(
    "combined-is-personal",
    "technical data combined with a user's and not treated as personal",
    "notice",
    "law",
    about="things",
)
def combined_is_personal(scope: Scope, data_inventory: pl.DataFrame) -> pl.DataFrame:
    """Treated as personal: classed so, searched for requests, and under a rule of retention. (GDPR Art. 4(1).)"""
    held = in_force(scope, data_inventory, "held_from", "held_until")
    held = held.filter(pl.col("technical") & pl.col("joined_with_user_data"))
    classed = ~pl.col("classed_personal")
    wrong = classed | ~pl.col("in_request_scope") | pl.col("retention_rule").is_null()
    return held.select("row", on="held_from", notice=wrong, law=classed | ~pl.col("in_request_scope"))


@control("retention-rules", "kinds of personal data with no rule of retention", "notice", "law", about="things")
def retention_rules(scope: Scope, data_inventory: pl.DataFrame) -> pl.DataFrame:
    """GDPR Art. 5(1)(e), 30(1)(f)."""
    held = in_force(scope, data_inventory, "held_from", "held_until").filter("classed_personal")
    wrong = pl.col("retention_rule").is_null()
    return held.select("row", on="held_from", notice=wrong, law=wrong)


@control(
    "declared-purposes",
    "activities with a purpose that the notice does not declare for the group",
    "notice",
    "law",
    about="things",
)
def declared_purposes(scope: Scope, processing_activities: pl.DataFrame) -> pl.DataFrame:
    """GDPR Art. 5(1)(b), 13(1)(c)."""
    active = in_force(scope, processing_activities, "active_from", "active_until")
    active = _declared(active, pairs(scope.notice.purposes, "purpose"), "purpose")
    empty = pl.col("purpose").is_null()
    wrong = ~pl.col("declared") & ~empty
    return active.select("row", on="active_from", notice=wrong, law=wrong, unknown=empty)


GROUNDS = ("consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interest")
"""GDPR Art. 6(1)(a) to (f)."""


@control(
    "legal-grounds",
    "activities with no ground, or one that the notice does not give for the group",
    "notice",
    "law",
    about="things",
)
def legal_grounds(scope: Scope, processing_activities: pl.DataFrame) -> pl.DataFrame:
    """For the law, any ground of Art. 6(1) will do; a blank one is an exception to both: there is none on record."""
    active = in_force(scope, processing_activities, "active_from", "active_until")
    active = _declared(active, pairs(scope.notice.grounds, "legal_ground"), "legal_ground")
    lawful = pl.col("legal_ground").is_in(GROUNDS).fill_null(False)
    return active.select("row", on="active_from", notice=~pl.col("declared"), law=~lawful)


@control(
    "aggregate-trends",
    "outputs of trend analysis with a person or a small cell in them, not justified",
    "notice",
    "policy",
    about="things",
    risk="outputs could not be aggregated, and the reason is recorded",
)
def aggregate_trends(scope: Scope, analytics_outputs: pl.DataFrame, *, fewest: int = 10) -> pl.DataFrame:
    """Where an aggregate was not possible and the reason is recorded, the promise is at risk.

    The usage tables of the workbook's own report of the period stand among the outputs, as row 0: see
    ``workbook.prepare``.
    """
    made = analytics_outputs.filter(scope.within("made_on"))
    aggregate = pl.col("level") == "aggregate"
    identifiable = ~aggregate | (pl.col("fewest_people") < fewest).fill_null(False)
    justified = pl.col("justified").fill_null(False)
    return made.select(
        "row", on="made_on", notice=identifiable & ~justified, policy=identifiable & ~justified,
        warns=identifiable & justified, unknown=aggregate & pl.col("fewest_people").is_null(),
    )  # fmt: skip


@control("no-automated-decisions", "decisions about prospects that no person made", "notice", "law")
def no_automated_decisions(scope: Scope, prospect_decisions: pl.DataFrame) -> pl.DataFrame:
    """A ranking by itself is none for the law, which asks for a legal or similarly significant effect (Art. 22)."""
    made = prospect_decisions.filter(scope.times_within("decided_at"))
    automatic = (pl.col("decided_by") == "automatic").fill_null(False)
    decides = pl.col("effect") != "ranking"
    return made.select(
        "row", subject="record_ref", on=scope.local("decided_at"), notice=automatic & decides,
        law=automatic & pl.col("effect").is_in(["exclusion", "price"]),
        unknown=pl.col("decided_by").is_null() & decides,
    )  # fmt: skip


@control(
    "ranking-inputs",
    "models that use what the notice does not name, or decide by themselves",
    "notice",
    "law",
    about="things",
)
def ranking_inputs(
    scope: Scope, ranking_models: pl.DataFrame, *, groups: tuple[str, ...] = ("prospect",)
) -> pl.DataFrame:
    """Inputs are the notice's ``ranking_inputs``; special categories are forbidden (Art. 9, 22(4))."""
    used = in_force(scope, ranking_models, "used_from", "used_until").filter(pl.col("subject_group").is_in(groups))
    allowed = list(scope.notice.ranking_inputs)
    other = pl.col("inputs").list.eval(~pl.element().is_in(allowed)).list.any().fill_null(False)
    alone = (pl.col("effect") != "ranking") & ~pl.col("human_step").fill_null(True)
    unknown = pl.col("inputs").is_null() | ((pl.col("effect") != "ranking") & pl.col("human_step").is_null())
    return used.select(
        "row", on="used_from", notice=other | pl.col("special_category") | alone,
        law=pl.col("special_category") | alone, unknown=unknown,
    )  # fmt: skip


@control("event-data", "dietary requirements kept after the event, or handed to sales", "notice", "law", "policy")
def event_data(scope: Scope, event_registrations: pl.DataFrame, *, days: int = 30) -> pl.DataFrame:
    """They may tell of health or religion (Art. 9). ``days`` after the event is policy; for the law, too, they are no
    longer needed then (Art. 5(1)(e))."""
    given = event_registrations.filter("has_dietary", pl.col("event_ended_on") <= scope.day)
    end = pl.col("event_ended_on").dt.offset_by(f"{days}d")
    gone = pl.col("dietary_deleted_on").fill_null(FOREVER)
    given = given.filter(gone >= scope.period.first)
    kept = (gone > end) & (end < scope.day)
    exported = pl.col("dietary_exported").fill_null(False)
    return given.select(
        "row", subject="record_ref", on=pl.when(kept).then(end + timedelta(days=1)).otherwise("event_ended_on"),
        notice=kept | exported, law=kept | exported, policy=kept,
        warns=(gone > scope.day) & end.is_between(scope.day, scope.soon), unknown=pl.col("dietary_exported").is_null(),
    )  # fmt: skip

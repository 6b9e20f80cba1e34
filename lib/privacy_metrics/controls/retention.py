"""How long data is kept, and the review of prospects."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from .evaluation import Scope, control
from .processing import FOREVER, in_force

INDIRECT = ("public", "lead_provider")
"""Sources that are not the person: GDPR Art. 14 applies."""


@control(
    "retention",
    "records of an ended relationship past the limit with no documented hold",
    "notice",
    "law",
    "policy",
    risk="the review of a hold is overdue",
)
def retention(
    scope: Scope, retention: pl.DataFrame, *, groups: tuple[str, ...], days: int = 30, holds: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Records of ``groups`` that were kept more than ``days`` after the end, on some day of the period.

    A hold counts on the days from its beginning to its end, both included, and for a reason among ``holds`` (those that
    the notice names). ``on`` is the first day of the period without one. The limit of ``days`` is policy, and a hold
    past its review puts the promise at risk. (Art. 5(1)(e).)
    """
    limit = pl.col("relationship_ended_on").dt.offset_by(f"{days}d")
    gone = pl.col("deleted_on").fill_null(FOREVER)
    # the days past the limit that fall in the period, on which the record was still there
    first = pl.max_horizontal(limit + timedelta(days=1), pl.lit(scope.period.first))
    last = pl.min_horizontal(gone - timedelta(days=1), pl.lit(scope.day))
    ended = retention.filter(
        pl.col("subject_group").is_in(groups), pl.col("relationship_ended_on") <= scope.day, gone >= scope.period.first
    )
    cases = ended.with_columns(first=first, last=last, past=first <= last)
    held = pl.col("hold_from").is_not_null() & pl.col("hold_reason").is_not_null()
    until = pl.col("hold_until").fill_null(FOREVER)

    def uncovered(counts: pl.Expr) -> pl.Expr:
        """The first day past the limit that a hold does not cover; null if there is none."""
        before = pl.when(~counts | (pl.col("hold_from") > pl.col("first")) | (until < pl.col("first"))).then("first")
        after = pl.when(until < pl.col("last")).then(until + timedelta(days=1))
        return pl.when("past").then(pl.coalesce(before, after))

    cases = cases.with_columns(bare=uncovered(held & pl.col("hold_reason").is_in(holds)), undocumented=uncovered(held))
    ripening = (gone > scope.day) & limit.is_between(scope.day, scope.soon) & ~held
    stale = pl.col("past") & (pl.col("hold_review_due_on") < scope.day).fill_null(False)
    return cases.select(
        "row", subject="record_ref", on=pl.coalesce("bare", "undocumented", "relationship_ended_on"),
        notice=pl.col("bare").is_not_null(), law=pl.col("undocumented").is_not_null(),
        policy=pl.col("undocumented").is_not_null(), warns=ripening | stale,
    )  # fmt: skip


@control(
    "retention-runs",
    "kinds of personal data of which a run of deletion left records past the limit",
    "notice",
    "law",
    about="things",
)
def retention_runs(
    scope: Scope, data_inventory: pl.DataFrame, retention_runs: pl.DataFrame, *, days: int = 30
) -> pl.DataFrame:
    """Every kind of personal data under a rule of retention, of whichever group of people: the runs of its rule in its
    system on the days of the period on which the data was held. None is no evidence.

    A run leaves records past the limit where some are overdue, on no hold, and the oldest one has been so for more than
    ``days``. One that does not say since when may have been so for long. (Art. 5(1)(e).)
    """
    held = in_force(scope, data_inventory, "held_from", "held_until").filter(
        "classed_personal", pl.col("retention_rule").is_not_null()
    )
    runs = retention_runs.filter(scope.within("run_on"), pl.col("run_on") <= scope.day)
    grace = pl.col("oldest_due_on").dt.offset_by(f"{days}d")
    left = (pl.col("overdue") > 0) & ~(grace >= pl.col("run_on")).fill_null(False)
    keys = ["system_id", "retention_rule"]
    found = held.select("row", "held_from", "held_until", *keys).join(runs.drop("row"), on=keys)
    found = found.filter(pl.col("run_on").is_between("held_from", pl.col("held_until").fill_null(FOREVER)))
    told = found.group_by("row").agg(wrong=left.any(), first=pl.col("run_on").filter(left).min())
    cases = held.join(told, on="row", how="left", maintain_order="left")
    wrong = pl.col("wrong").fill_null(False)
    return cases.select(
        "row", on=pl.coalesce("first", "held_from"), notice=wrong, law=wrong, unknown=pl.col("wrong").is_null()
    )


@control(
    "prospect-sources", "prospects from a source that the notice does not name, or not told in time", "notice", "law"
)
def prospect_sources(scope: Scope, prospects: pl.DataFrame, *, indirect: tuple[str, ...] = INDIRECT) -> pl.DataFrame:
    """For ``indirect`` sources the law adds: told within a month, and by the first contact (Art. 14(3)). A prospect is
    a case in the period in which it was obtained."""
    got = prospects.filter(scope.within("obtained_on"))
    other = ~pl.col("source").is_in(list(scope.notice.prospect_sources))
    limit = pl.min_horizontal(pl.col("obtained_on").dt.offset_by("1mo"), "first_contact_on")
    owed = pl.col("source").is_in(indirect).fill_null(False)
    owed = owed & (pl.col("deleted_on").is_null() | (pl.col("deleted_on") > limit))
    late = owed & (pl.col("informed_on").fill_null(FOREVER) > limit)
    over = late & (pl.col("informed_on").is_not_null() | (limit < scope.as_of))
    return got.select(
        "row", subject="record_ref", on="obtained_on", notice=other.fill_null(False), law=over, warns=late & ~over,
        unknown=pl.col("source").is_null(),
    )  # fmt: skip


@control(
    "prospect-review",
    "reviews of the prospects that came too late or were not whole",
    "notice",
    "policy",
    about="things",
    risk="a review changed nothing",
)
def prospect_review(scope: Scope, prospect_reviews: pl.DataFrame, *, months: int = 6) -> pl.DataFrame:
    """The notice is broken where no review was finished at all, or not all of it; ``months`` is policy.

    A case for each review of the period, and one for the last review before the day reached.
    """
    done = prospect_reviews.filter(pl.col("done_on") <= scope.day).sort("done_on", "row")
    before = pl.col("done_on").shift(1)
    gap = (pl.col("done_on") > before.dt.offset_by(f"{months}mo")).fill_null(False)
    end = pl.col("done_on").dt.offset_by(f"{months}mo")
    last = pl.int_range(pl.len()) == pl.len() - 1
    cases = done.with_columns(gap=gap, end=end, last=last).with_columns(
        over=pl.col("last") & (pl.col("end") < scope.day),
    )  # fmt: skip
    cases = cases.filter(scope.within("done_on") | pl.col("last"))
    now = scope.within("done_on")
    part = now & (pl.col("reviewed") < pl.col("in_scope"))
    unchanged = now & ((pl.col("corrected").fill_null(0) + pl.col("deleted").fill_null(0)) == 0)
    return cases.select(
        "row", on=pl.when("over").then(pl.col("end") + timedelta(days=1)).otherwise("done_on"), notice=part,
        policy=part | (now & pl.col("gap")) | pl.col("over"),
        warns=unchanged | (pl.col("last") & pl.col("end").is_between(scope.day, scope.soon)),
    )  # fmt: skip

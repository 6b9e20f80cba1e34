"""Tests, measures, accounts, and the notice's own versions."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from .evaluation import Figures, Scope, control
from .processing import in_force


@control("security-tests", "assets not tested in time, or of a kind that was not", "notice", "policy", about="things")
def security_tests(
    scope: Scope, assets: pl.DataFrame, security_tests: pl.DataFrame, *, months: int = 12, website_months: int = 3
) -> pl.DataFrame:
    """A kind of asset (websites, data centres, systems, others) of which not one was tested for longer than the
    interval breaks the notice, with every asset of it; an asset that was not is against policy. An asset is judged on
    its last day in service in the period, a kind on the last one of its assets; from the first day in service, a test
    is not due for the length of the interval."""
    serving = in_force(scope, assets, "service_from", "service_until")
    serving = serving.with_columns(
        at=pl.min_horizontal(pl.col("service_until").fill_null(scope.day), pl.lit(scope.day))
    ).sort("at", "row")
    done = security_tests.select("asset_id", "done_on").sort("done_on")
    cases = serving.join_asof(
        done, left_on="at", right_on="done_on", by="asset_id", strategy="backward", check_sortedness=False
    )
    since = pl.coalesce("done_on", "service_from")
    tested = pl.coalesce(pl.col("done_on").max().over("kind"), pl.col("service_from").min().over("kind"))

    def end(day: pl.Expr) -> pl.Expr:
        """The last day of the interval that begins on ``day``."""
        site = pl.col("kind") == "website"
        return pl.when(site).then(day.dt.offset_by(f"{website_months}mo")).otherwise(day.dt.offset_by(f"{months}mo"))

    cases = cases.with_columns(due=end(since), kind_due=end(tested), kind_at=pl.col("at").max().over("kind"))
    late = pl.col("due") < pl.col("at")
    untested = pl.col("kind_due") < pl.col("kind_at")
    first = pl.when(untested).then("kind_due").when(late).then("due") + timedelta(days=1)
    return cases.select(
        "row", on=pl.coalesce(first, "at"), notice=untested, policy=late,
        warns=~late & (pl.col("due") <= scope.soon) & pl.col("service_until").is_null(),
    ).sort("row")  # fmt: skip


@control("findings-mended", "findings past their due date", "policy", about="things")
def findings_mended(scope: Scope, findings: pl.DataFrame) -> pl.DataFrame:
    """A finding is a case while it is open in the period; mended on the due day is in time."""
    open_ = findings.filter(
        pl.col("opened_on") <= scope.day, pl.col("closed_on").is_null() | (pl.col("closed_on") >= scope.period.first)
    )
    still = pl.col("closed_on").is_null() | (pl.col("closed_on") > scope.day)
    late = pl.when(still).then(pl.col("due_on") < scope.day).otherwise(pl.col("closed_on") > pl.col("due_on"))
    late = late.fill_null(False)
    return open_.select(
        "row", on=pl.when(late).then(pl.col("due_on") + timedelta(days=1)).otherwise("opened_on"), policy=late,
        warns=still & ~late & (pl.col("due_on") <= scope.soon).fill_null(False), unknown=pl.col("due_on").is_null(),
    )  # fmt: skip


MEASURES = ("encryption", "firewall", "secure_facility")


@control(
    "security-measures",
    "systems without a measure that the notice names, or an access review that is due",
    "notice",
    "policy",
    about="things",
)
def security_measures(scope: Scope, systems: pl.DataFrame, *, months: int = 12) -> pl.DataFrame:
    """``not_appropriate`` is no exception. Rights of access are reviewed every ``months``."""
    used = in_force(scope, systems, "used_from", "used_until")
    missing = pl.any_horizontal(pl.col(m).eq("no").fill_null(False) for m in MEASURES)
    unknown = pl.any_horizontal(pl.col(m).is_null() for m in MEASURES)
    since = pl.coalesce("access_reviewed_on", "used_from")
    due = since.dt.offset_by(f"{months}mo")
    late = due < scope.day
    return used.select(
        "row", on=pl.when(late).then(due + timedelta(days=1)).otherwise("used_from"), notice=missing, policy=late,
        warns=~late & (due <= scope.soon), unknown=unknown,
    )  # fmt: skip


@control("two-factor", "accounts with two-factor authentication", about="people")
def two_factor(scope: Scope, accounts: pl.DataFrame) -> Figures:
    """Counts of the last day of counting in the period."""
    counted = accounts.filter(scope.within("counted_on")).sort("counted_on", "row").tail(1)
    if not counted.height:
        return Figures(0, {})
    row = counted.row(0, named=True)
    return Figures(row["accounts"], {"accounts": row["accounts"], "two-factor of accounts": row["two_factor"]})


@control(
    "changes-announced",
    "material versions of the notice that were told on or after the day they took effect",
    "notice",
    about="things",
)
def changes_announced(scope: Scope, notice_versions: pl.DataFrame) -> pl.DataFrame:
    """Told in advance: the day before at the latest, and to every group that it concerns. A version is a case in the
    period in which it took effect; one that takes effect soon and is not told yet puts the promise at risk."""
    groups = list(scope.notice.groups)
    concerned = pl.col("groups_concerned").fill_null(pl.lit(groups))
    left_out = concerned.list.set_difference(pl.col("groups_told").fill_null(pl.lit([], dtype=pl.List(pl.String))))
    untold = ~(pl.col("announced_on") < pl.col("effective_on")).fill_null(False) | (left_out.list.len() > 0)
    now = pl.col("effective_on").is_between(scope.period.first, scope.day)
    coming = (pl.col("effective_on") > scope.day) & (pl.col("effective_on") <= scope.soon)
    cases = notice_versions.filter("material", now | coming)
    return cases.select("row", on="effective_on", notice=untold & now, warns=untold & coming)

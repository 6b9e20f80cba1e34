"""Who receives personal data and where it goes: countries, contracts and decisions as they stood on the day."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from .evaluation import Scope, control
from .processing import FOREVER, in_force

# ---- days that are covered ------------------------------------------------------------------------------------------


def first_gap(spells: pl.DataFrame, cover: pl.DataFrame, keys: list[str]) -> pl.Series:
    """The first day of each spell that no cover with the same keys holds; null where every day is covered.

    ``spells`` and ``cover`` have the keys and ``from``, ``until`` (Date, both included; null: without an end). Covers
    that overlap or follow each other day by day hold together. One answer for each spell, in its order.
    """
    joined = _merged(cover, keys)
    asked = spells.select(*keys, "from", "until", pl.int_range(pl.len()).alias("_n"))
    held = asked.join(joined.rename({"from": "_from", "until": "_until"}), on=keys, how="inner")
    held = held.filter(pl.col("_from") <= pl.col("from"), pl.col("_until") >= pl.col("from"))
    reach = asked.join(held.group_by("_n").agg(pl.col("_until").max()), on="_n", how="left", maintain_order="left")
    gap = pl.when(pl.col("_until").is_null()).then("from").otherwise(pl.col("_until") + timedelta(days=1))
    # Nothing lasts for ever: the day after FOREVER would be none.
    gap = pl.when(pl.col("_until") == FOREVER).then(None).otherwise(gap)
    return reach.select(gap=pl.when(gap <= pl.col("until").fill_null(FOREVER)).then(gap))["gap"]


def _merged(cover: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Covers of the same keys that overlap or follow each other, as one."""
    ordered = cover.select(*keys, "from", pl.col("until").fill_null(FOREVER)).sort(*keys, "from", "until")
    reach = pl.col("until").cum_max().shift(1)
    apart = (pl.col("from") > reach + timedelta(days=1)).fill_null(True)
    return (
        ordered.with_columns(_new=apart.over(keys))
        .with_columns(_part=pl.col("_new").cum_sum())
        .group_by(*keys, "_part")
        .agg(pl.col("from").min(), pl.col("until").max())
        .drop("_part")
    )


def _spells(scope: Scope, register: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
    """The part of each row's time that falls in the period, as ``from`` and ``until``."""
    return in_force(scope, register, first, last).with_columns(
        pl.max_horizontal(pl.col(first), pl.lit(scope.period.first)).alias("from"),
        pl.min_horizontal(pl.col(last).fill_null(FOREVER), pl.lit(scope.day)).alias("until"),
    )


# ---- countries ------------------------------------------------------------------------------------------------------


@control(
    "transfer-safeguards",
    "transfers outside the EEA with no valid safeguard of those that the notice names",
    "notice",
    "law",
    about="things",
)
def transfer_safeguards(
    scope: Scope, transfers: pl.DataFrame, *, mechanisms: tuple[str, ...] = ("scc", "adequacy")
) -> pl.DataFrame:
    """Valid on each day of the period on which the recipient's country was outside the EEA.

    Standard contractual clauses count from signing to their last day, an adequacy decision while it is in force and for
    the part of the country that it is about; others only for the law (GDPR Art. 46(2), 49), and there without dates.
    ``on`` is the first day without one.
    """
    spells = _spells(scope, transfers, "started_on", "ended_on")
    unplaced = pl.col("country").is_null()
    area = scope.notice.regions.membership(eea=True)
    outside = spells.with_columns(outside=first_gap(spells, area, ["country"])).filter(
        pl.col("outside").is_not_null() | unplaced
    )
    by_row = outside.with_columns(outside.select("row").to_series().alias("_row"))
    inside = by_row.select("_row", "country").join(area, on="country").select("_row", "from", "until")
    clauses = by_row.filter(pl.col("mechanism") == "scc", pl.col("signed_on").is_not_null()).select(
        "_row", pl.col("signed_on").alias("from"), pl.col("valid_until").alias("until")
    )
    decisions = by_row.filter(pl.col("mechanism") == "adequacy").select("_row", "country", theirs="scope")
    decisions = decisions.join(scope.notice.regions.adequate(), on="country")
    whole = pl.col("scope").is_null() | (pl.col("scope") == pl.col("theirs")).fill_null(False)
    decided = decisions.filter(whole).select("_row", "from", "until")
    covered = pl.concat([inside, clauses, decided])
    gap = first_gap(by_row.select("_row", "from", "until"), covered, ["_row"])
    blank = pl.col("mechanism").is_null() | unplaced
    named = pl.col("mechanism").is_in(mechanisms).fill_null(False)
    other = pl.col("mechanism").is_in(["bcr", "derogation"]).fill_null(False)
    missing = pl.col("gap").is_not_null()
    return by_row.with_columns(gap=gap).select(
        "row", on=pl.coalesce("gap", "outside", "from"), notice=~blank & (missing | ~named),
        law=~blank & missing & ~other, unknown=blank,
        warns=~missing & (pl.col("valid_until") <= scope.soon).fill_null(False) & (pl.col("mechanism") == "scc"),
    )  # fmt: skip


@control("stored-in-eu", "systems with personal data outside the European Union", "notice", about="things")
def stored_in_eu(scope: Scope, systems: pl.DataFrame) -> pl.DataFrame:
    """The promise's ``tolerance`` is the share that may be elsewhere and still is "primarily" in the Union."""
    spells = _spells(scope, systems, "used_from", "used_until")
    gap = first_gap(spells, scope.notice.regions.membership(eea=False), ["country"])
    blank = pl.col("country").is_null()
    cases = spells.with_columns(gap=gap)
    return cases.select(
        "row", on=pl.coalesce("gap", "from"), notice=pl.col("gap").is_not_null() & ~blank, unknown=blank
    )


@control(
    "hosted-by-us",
    "systems of a kind that are not on one's own servers in the European Union",
    "notice",
    about="things",
)
def hosted_by_us(scope: Scope, systems: pl.DataFrame, *, tag: str = "customer_database") -> pl.DataFrame:
    """The systems with ``tag``."""
    spells = _spells(scope, systems.filter(pl.col("tag") == tag), "used_from", "used_until")
    gap = first_gap(spells, scope.notice.regions.membership(eea=False), ["country"])
    blank = pl.col("country").is_null()
    abroad = pl.col("gap").is_not_null() & ~blank
    return spells.with_columns(gap=gap).select(
        "row", on=pl.coalesce("gap", "from"), notice=abroad | (pl.col("hosted_by") != "own"), unknown=blank
    )


# ---- vendors and contracts ------------------------------------------------------------------------------------------


def _outside_only(scope: Scope, vendors: pl.DataFrame, outside_eea: bool) -> pl.DataFrame:
    """The vendors' time of access in the period; with ``outside_eea``, of those that are outside on some day of it."""
    spells = _spells(scope, vendors, "access_from", "access_until")
    if not outside_eea:
        return spells
    gap = first_gap(spells, scope.notice.regions.membership(eea=True), ["country"])
    return spells.filter(gap.is_not_null() | spells["country"].is_null())


@control(
    "processor-contracts",
    "vendors with access to personal data and no contract in force",
    "notice",
    "law",
    about="things",
)
def processor_contracts(
    scope: Scope, vendors: pl.DataFrame, contracts: pl.DataFrame, *, outside_eea: bool = False
) -> pl.DataFrame:
    """In force on each day of access in the period: from the day of signing to the last day, both included. (Art. 28.)

    ``outside_eea``: only vendors that are outside the EEA on some day of the period.
    """
    spells = _outside_only(scope, vendors, outside_eea)
    cover = contracts.select("vendor_id", pl.col("signed_on").alias("from"), pl.col("ends_on").alias("until"))
    gap = first_gap(spells, cover, ["vendor_id"])
    missing = pl.col("gap").is_not_null()
    ahead = spells.with_columns(until=pl.min_horizontal(pl.col("access_until").fill_null(FOREVER), pl.lit(scope.soon)))
    soon = first_gap(ahead, cover, ["vendor_id"])
    return spells.with_columns(gap=gap, soon=soon).select(
        "row", on=pl.coalesce("gap", "from"), notice=missing, law=missing,
        warns=~missing & pl.col("soon").is_not_null(),
    )  # fmt: skip


def _latest_contract(scope: Scope, vendors: pl.DataFrame, contracts: pl.DataFrame) -> pl.DataFrame:
    """Each vendor's time of access with the contract in force on its last day in the period, if there is one."""
    spells = _spells(scope, vendors, "access_from", "access_until")
    candidates = spells.select("row", "vendor_id", "until").join(contracts.drop("row"), on="vendor_id")
    candidates = candidates.filter(pl.col("until").is_between("signed_on", pl.col("ends_on").fill_null(FOREVER)))
    latest = candidates.sort("signed_on", "contract_id").unique("row", keep="last")
    wanted = latest.select("row", "purposes", "instructions_clause", "security_clause", contract=pl.lit(True))
    return spells.join(wanted, on="row", how="left", maintain_order="left")


@control(
    "vendor-instructions",
    "vendors whose contract allows another purpose or binds them to no instructions",
    "notice",
    "law",
    about="things",
)
def vendor_instructions(scope: Scope, vendors: pl.DataFrame, contracts: pl.DataFrame) -> pl.DataFrame:
    """The contract in force on the last day of access in the period. (Art. 28(3)(a), 29.)"""
    cases = _latest_contract(scope, vendors, contracts)
    allowed = scope.notice.all_purposes()
    other = pl.col("purposes").list.eval(~pl.element().is_in(allowed)).list.any().fill_null(False)
    unbound = ~pl.col("instructions_clause").fill_null(True)
    blank = pl.col("contract").is_null() | pl.col("purposes").is_null() | pl.col("instructions_clause").is_null()
    return cases.select("row", on="from", notice=other | unbound, law=unbound, unknown=blank)


@control("security-clauses", "vendors whose contract asks for no security measures", "notice", "law", about="things")
def security_clauses(scope: Scope, vendors: pl.DataFrame, contracts: pl.DataFrame) -> pl.DataFrame:
    """The contract in force on the last day of access in the period. (Art. 28(3)(c), 32.)"""
    cases = _latest_contract(scope, vendors, contracts)
    missing = ~pl.col("security_clause").fill_null(True)
    return cases.select("row", on="from", notice=missing, law=missing, unknown=pl.col("security_clause").is_null())


@control(
    "vendor-evaluated", "vendors whose security was not evaluated, or too long ago", "notice", "policy", about="things"
)
def vendor_evaluated(
    scope: Scope,
    vendors: pl.DataFrame,
    vendor_evaluations: pl.DataFrame,
    *,
    months: int = 12,
    outside_eea: bool = False,
) -> pl.DataFrame:
    """The notice is broken by none at all; the interval of ``months`` is policy. Judged on the last day of access in
    the period."""
    spells = _outside_only(scope, vendors, outside_eea).sort("until", "row")
    known = vendor_evaluations.select("vendor_id", "evaluated_on").sort("evaluated_on")
    cases = spells.join_asof(
        known, left_on="until", right_on="evaluated_on", by="vendor_id", strategy="backward", check_sortedness=False
    )
    end = pl.col("evaluated_on").dt.offset_by(f"{months}mo")
    none = pl.col("evaluated_on").is_null()
    late = (end < pl.col("until")).fill_null(False)
    ongoing = pl.col("access_until").is_null() | (pl.col("access_until") > scope.day)
    return cases.select(
        "row", on=pl.coalesce(end + timedelta(days=1), "access_from"), notice=none, policy=none | late,
        warns=(end.is_between(scope.day, scope.soon) & ongoing & ~late).fill_null(False),
    ).sort("row")  # fmt: skip


@control("one-isms", "group companies outside the scope of the management system", "notice", about="things")
def one_isms(scope: Scope, group_companies: pl.DataFrame) -> pl.DataFrame:
    """Covered on each day of the period on which the company belongs to the group."""
    spells = _spells(scope, group_companies, "member_from", "member_until")
    cover = group_companies.filter(pl.col("covered_from").is_not_null())
    cover = cover.select("company_id", pl.col("covered_from").alias("from"), pl.col("covered_until").alias("until"))
    gap = first_gap(spells, cover, ["company_id"])
    missing = pl.col("gap").is_not_null()
    return spells.with_columns(gap=gap).select(
        "row", on=pl.coalesce("gap", "from"), notice=missing,
        warns=~missing & pl.col("covered_until").is_between(scope.day, scope.soon).fill_null(False),
    )  # fmt: skip

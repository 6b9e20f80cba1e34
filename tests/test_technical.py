"""Sessions and tables: what they count, beside a naive way of counting the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise, product
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from company import FIREFOX, company, line
from privacy_metrics import clients, technical, visits, workbook
from privacy_metrics.params import Period, TableSpec, WorkbookError

Q3 = Period.parse("2026Q3")
AREAS = ("home", "docs", "blog")
GAP = 1800

HITS = st.lists(
    st.tuples(
        st.integers(1, 3),  # visitor
        st.one_of(st.integers(0, 20_000), st.sampled_from([0, GAP, GAP + 1, 2 * GAP, 2 * GAP + 1])),
        st.sampled_from(AREAS),
        st.sampled_from([None, "servers", "storage"]),
    ),
    max_size=40,
)


def frame(hits: list[tuple]) -> pl.DataFrame:
    rows = [
        {
            "visitor": v, "time": t, "account": False, "country": "FI", "client": 0, "language": "fi",
            "referrer_kind": "direct", "referrer_site": "none", "area": a, "product": p,
            "action": "viewed" if p else None,
        }
        for v, t, a, p in hits
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=visits.HIT)


def naive(hits: list[tuple]) -> dict[str, list[tuple]]:
    """The same, one visitor and one hit after the other."""
    by_visitor = defaultdict(list)
    for visitor, *rest in hits:
        by_visitor[visitor].append(tuple(rest))
    found = defaultdict(list)
    for visitor, mine in by_visitor.items():
        mine.sort(key=lambda hit: (hit[0], hit[1], hit[2] is not None, hit[2] or ""))
        cuts = [0, *(n for n, (a, b) in enumerate(pairwise(mine), 1) if b[0] - a[0] > GAP), len(mine)]
        for start, end in pairwise(cuts):
            session = mine[start:end]
            number = session[0][0]
            areas = [area for _, area, _ in session]
            found["sessions"].append((visitor, number, session[-1][0], len(session), areas[0], areas[-1]))
            found["areas"] += [(visitor, number, a, areas.count(a)) for a in sorted(set(areas))]
            moves = [(a, b) for a, b in pairwise(areas) if a != b]
            found["steps"] += [(visitor, number, *m, moves.count(m)) for m in sorted(set(moves))]
            products = [p for *_, p in session if p]
            found["products"] += [(visitor, number, p, "viewed", products.count(p)) for p in sorted(set(products))]
    return found


@settings(max_examples=150, deadline=None)
@given(HITS)
def test_sessions_areas_steps_and_products_are_those_of_the_naive_way(hits: list[tuple]) -> None:
    got = visits.sessions(frame(hits), GAP)
    want = naive(hits)
    columns = ["visitor", "session", "end", "hits", "entry_area", "exit_area"]
    assert sorted(got["sessions"].select(columns).rows()) == sorted(want["sessions"])
    assert sorted(got["areas"].select("visitor", "session", "area", "hits").rows()) == sorted(want["areas"])
    steps = got["steps"].select("visitor", "session", "from_area", "to_area", "hits").rows()
    assert sorted(steps) == sorted(want["steps"])
    products = got["products"].select("visitor", "session", "product", "action", "hits").rows()
    assert sorted(products) == sorted(want["products"])


@settings(max_examples=50, deadline=None)
@given(HITS, st.randoms())
def test_the_order_of_the_lines_does_not_matter(hits: list[tuple], random) -> None:
    shuffled = random.sample(hits, len(hits))
    one, two = visits.sessions(frame(hits), GAP), visits.sessions(frame(shuffled), GAP)
    for name, part in one.items():
        assert sorted(part.rows(), key=str) == sorted(two[name].rows(), key=str)


@settings(max_examples=50, deadline=None)
@given(HITS)
def test_every_cell_and_margin_is_what_counting_the_rows_gives(hits: list[tuple]) -> None:
    spec = TableSpec(
        name="t", title="t", dimensions=["entry_area", "exit_area"], measures=["sessions", "hits", "people"]
    )
    sessions = visits.sessions(frame(hits), GAP)["sessions"].with_columns(
        pl.col("entry_area", "exit_area").cast(pl.String)
    )
    rows = technical.cells(spec, {"sessions": sessions}, Q3).frame
    want = []
    for entry, exit_ in product((*AREAS, "Total"), repeat=2):
        mine = [
            s for s in sessions.iter_rows(named=True)
            if entry in ("Total", s["entry_area"]) and exit_ in ("Total", s["exit_area"])
        ]  # fmt: skip
        if mine or (entry, exit_) == ("Total", "Total"):
            own = Counter(s["visitor"] for s in mine)
            seen = Counter({v: sum(s["hits"] for s in mine if s["visitor"] == v) for v in own})
            largest = [(*sorted(c.values(), reverse=True), 0, 0)[:2] for c in (own, seen)]
            want.append((entry, exit_, len(mine), sum(seen.values()), len(own), *largest[0], *largest[1]))
    assert sorted(rows.rows()) == sorted(want)


@pytest.mark.parametrize(
    ("dimensions", "measures", "message"),
    [
        (["shoe_size"], ["sessions"], "no dimension shoe_size; there are"),
        (["country", "country"], ["sessions"], "a dimension stands twice"),
        (["area", "product"], ["hits"], "areas and products are not counted together"),
        (["country"], ["people"], "people can't be added up"),
        (["area"], ["sessions"], "sessions do not add up here"),
    ],
)
def test_a_table_that_can_not_be_counted_is_refused(dimensions: list, measures: list, message: str) -> None:
    with pytest.raises(WorkbookError, match=message):
        technical.check(TableSpec(name="t", title="t", dimensions=dimensions, measures=measures))


def one(root: Path, lines: list[str], more: str = "") -> dict:
    params = company(root, lines, more=more)
    workbook.collect(params, Q3)
    return workbook.sessions(params, Q3)["sessions"].row(0, named=True)


def test_the_eight_categories_become_dimensions(tmp_path: Path) -> None:
    row = one(tmp_path, [line(referrer="https://www.google.fi/search?q=x", path="/pricing")])
    assert (row["browser"], row["browser_version"], row["os"], row["device"]) == (
        "Firefox",
        "Firefox 128",
        "Linux",
        "desktop",
    )
    assert (row["referrer_kind"], row["referrer_site"], row["entry_area"]) == ("search", "google.fi", "pricing")
    assert (row["month"], row["week"], row["weekday"], row["hour"]) == ("2026-07", "2026-W27", "Wed", "09")
    assert row["visitor_kind"] == "anonymous"
    assert len(row["country"]) == 2


@pytest.mark.parametrize(
    ("referrer", "kind", "site"),
    [
        ("-", "direct", "none"),
        ("https://shop.example.org/a?b=c", "other site", "shop.example.org"),
        ("https://www.linkedin.com/feed", "social", "linkedin.com"),
        ("http://192.0.2.7/admin", "other site", "unknown"),
        ("http://[::bad", "unknown", "unknown"),
    ],
)
def test_a_referrer_is_its_site_and_kind_and_no_more(tmp_path: Path, referrer: str, kind: str, site: str) -> None:
    row = one(tmp_path, [line(referrer=referrer)])
    assert (row["referrer_kind"], row["referrer_site"]) == (kind, site)


def test_a_visitor_is_the_account_else_truncated_address_and_client(tmp_path: Path) -> None:
    lines = [
        line(user="a", address="240.1.2.3"), line(user="a", address="240.9.9.9", agent="curl/8.1"),  # one account
        line(address="240.1.2.3"), line(address="240.1.99.7"),  # one /16 and one client: not told apart
        line(address="240.2.2.3"), line(address="240.1.2.3", agent=FIREFOX.replace("128", "127")),
        line(address="3fff:1:2::1"), line(address="3fff:1:ffff::2"),  # one /32
    ]  # fmt: skip
    params = company(tmp_path, lines)
    workbook.collect(params, Q3)
    sessions = workbook.sessions(params, Q3)["sessions"]
    assert sessions["visitor"].n_unique() == 5


CLIENTS = {
    "Mozilla/5.0 (Linux; Android 9; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.2 like Chrome/120.0 Safari":
        ("Amazon Silk", "Amazon Silk 120", "Android", "tablet", False),
    "Mozilla/5.0 (Linux; U; en-us; KFAPWI Build/JDQ39) AppleWebKit/535.19 silk/3.13 Safari/535.19":
        ("Safari", "Safari", "Linux", "desktop", False),
    "Mozilla/5.0 (compatible; ExampleImages/3.0; +http://example.com/bots)":
        ("unknown", "unknown", "unknown", "unknown", True),
    "Xenu Link Sleuth/1.3.8": ("Xenu Link Sleuth", "Xenu Link Sleuth 1", "unknown", "unknown", True),
    "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1":
        ("Mobile Safari", "Mobile Safari 17", "iOS", "tablet", False),
    "Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36":
        ("Chrome Mobile", "Chrome Mobile 120", "Android", "phone", False),
    "Mozilla/5.0 (X11; U; Linux x86_64; en-us) AppleWebKit/534.35 Chrome/11.0.696.65 Safari/534.35 Puffin/3.9174IT":
        ("Puffin", "Puffin 3", "Linux", "tablet", False),
    "curl/8.1": ("curl", "curl 8", "unknown", "program", False),
}  # fmt: skip


def test_a_client_is_what_all_patterns_of_ua_parser_say_of_it() -> None:
    agents = pl.Series([*CLIENTS, None])
    found = clients.resolve(agents)
    for agent, row in zip(agents, found.iter_rows(), strict=True):
        assert row == CLIENTS.get(agent, (*["unknown"] * 4, False)), agent


def test_a_search_of_very_many_fields_is_a_page_like_others(tmp_path: Path) -> None:
    many = line(path="/search?q=servers" + "&b=1" * 200)
    products = "service: {products: [{product: servers, terms: [servers]}]}\n"
    params = company(tmp_path, [line(path="/search?q=servers&b=1"), many], more=products)
    assert workbook.collect(params, Q3)["account"]["used"] == 2
    assert workbook.sessions(params, Q3)["products"]["hits"].to_list() == [1]

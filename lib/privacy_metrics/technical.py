"""Technical data: hits become pseudonymous sessions, sessions become tables of cells.

Parsed log lines enter ``Hits``, which counts every line as used or excluded by reason and keeps of a used one what the
notice's eight declared categories need, without address, account, user agent or URL. ``sessions`` and ``cells`` are
written against narwhals, on epoch seconds, so that they mean the same on every engine.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any
from urllib.parse import parse_qs, urlsplit

import narwhals as nw
import polars as pl

from . import clients, geography
from .disclosure import OTHER, TOTAL, Cells, Contributions, Nesting
from .params import Params, Period, TableSpec, WorkbookError

UNKNOWN = "unknown"

REASONS = {
    "broken": "not readable as a log line",
    "outside period": "before or after the period",
    "crawler": "a known crawler, monitor or preview",
    "probe": "HEAD, OPTIONS and the like: no page and no action",
    "error": "answered with an error (status 400 or above)",
    "redirect": "answered with a redirect: the page that follows counts",
    "static file": "an image, style sheet, script or font of a page",
}
"""Why a line is excluded, in the order in which the reasons are tried: a line counts under the first that fits."""

SEARCH_ENGINES = {
    "google", "bing", "duckduckgo", "yahoo", "ecosia", "yandex", "baidu", "startpage", "qwant", "brave", "kagi", "ask",
    "seznam",
}  # fmt: skip
SOCIAL = {
    "linkedin.com", "lnkd.in", "facebook.com", "instagram.com", "x.com", "twitter.com", "t.co", "reddit.com",
    "youtube.com",
    "news.ycombinator.com", "mastodon.social", "bsky.app", "tiktok.com", "pinterest.com",
}  # fmt: skip

REFERRER_KINDS = ("direct", "internal", "newsletter", "other site", "search", "social", UNKNOWN)

# A hit: what is kept of a used line. Text columns are categories of few values, codes in memory.
HIT = {
    "visitor": pl.UInt64,
    "time": pl.Int64,
    "account": pl.Boolean,
    "country": pl.Categorical,
    "client": pl.UInt32,
    "language": pl.Categorical,
    "referrer_kind": pl.Categorical,
    "referrer_site": pl.Categorical,
    "area": pl.Categorical,
    "product": pl.Categorical,
    "action": pl.Categorical,
}


class Distinct:
    """Answers to a question about a value, asked once per distinct value and joined back to the rows."""

    def __init__(self, keys: Sequence[str], answer: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self.keys = list(keys)
        self.answer = answer
        self.known: pl.DataFrame | None = None

    def join(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``frame`` with the answer's columns, in the same order."""
        values = frame.select(self.keys).unique()
        new = values if self.known is None else values.join(self.known, on=self.keys, how="anti", nulls_equal=True)
        if new.height:
            answered = new.hstack(self.answer(new))
            self.known = answered if self.known is None else self.known.vstack(answered)
        assert self.known is not None
        return frame.join(self.known, on=self.keys, how="left", nulls_equal=True, maintain_order="left")


class Hits:
    """Takes parsed lines and keeps pseudonymous hits and the line account."""

    def __init__(self, params: Params, period: Period, key: bytes, countries: geography.Countries) -> None:
        self.params, self.key = params, key
        self.start, self.end = period.bounds(params.organisation.time_zone)
        self.account: Counter[str] = Counter({"read": 0, "used": 0, **dict.fromkeys(REASONS, 0)})
        self.frames: list[pl.DataFrame] = []
        bits = params.disclosure
        self._addresses = Distinct(
            ["address"],
            lambda new: geography.resolve(
                new["address"], countries, ipv4_bits=bits.ipv4_bits, ipv6_bits=bits.ipv6_bits
            ),
        )
        self._agents = Distinct(["agent"], self._describe_agents)
        self._visitors = Distinct(["account", "network", "agent"], self._visitor_keys)
        self._languages = Distinct(["language"], lambda new: _language(new["language"]))
        self.clients = pl.DataFrame(schema={"client": pl.UInt32, **clients.SCHEMA})

    def add(self, lines: pl.DataFrame) -> None:
        """Adds parsed lines (columns ``sources.PARSED``), each to the hits or to the account of excluded lines."""
        lines = self._agents.join(lines).with_columns(self._reason())
        for reason, count in lines["reason"].value_counts().iter_rows():
            self.account[reason or "used"] += count
        self.account["read"] += lines.height
        used = lines.filter(pl.col("reason").is_null())
        if not used.height:
            return
        used = self._languages.join(self._addresses.join(used))
        used = self._visitors.join(
            used.with_columns(
                pl.when(pl.col("account").is_null()).then("network").alias("network"),
                pl.when(pl.col("account").is_null()).then("agent").alias("agent"),
            )
        )
        pages = used.select("target").unique()
        used = used.join(pages.hstack(_pages(pages["target"], self.params)), on="target", how="left")
        refs = used.select("referrer").unique()
        used = used.join(
            refs.hstack(_referrers(refs["referrer"], self.params.service.hosts)),
            on="referrer",
            how="left",
            nulls_equal=True,
        )
        used = used.with_columns(
            pl.col("account").is_not_null(),
            referrer_kind=pl.when(pl.col("newsletter")).then(pl.lit("newsletter")).otherwise("referrer_kind"),
            referrer_site=pl.when(pl.col("newsletter")).then(pl.lit("none")).otherwise("referrer_site"),
            language="tag",
        )
        self.frames.append(used.select(pl.col(name).cast(kind) for name, kind in HIT.items()))

    def frame(self) -> pl.DataFrame:
        """All hits so far, columns HIT; ``clients`` says what a client is."""
        return pl.concat(self.frames, rechunk=False) if self.frames else pl.DataFrame(schema=HIT)

    def _describe_agents(self, new: pl.DataFrame) -> pl.DataFrame:
        found = clients.resolve(new["agent"])
        codes = pl.int_range(self.clients.height, self.clients.height + new.height, dtype=pl.UInt32, eager=True)
        found = found.select(codes.alias("client"), pl.all())
        self.clients = pl.concat([self.clients, found])
        return found.select("client", "crawler")

    def _visitor_keys(self, new: pl.DataFrame) -> pl.DataFrame:
        keys = [
            _keyed(self.key, f"client {network} {agent}") if account is None else account_key(self.key, account)
            for account, network, agent in new.iter_rows()
        ]
        return pl.DataFrame({"visitor": pl.Series(keys, dtype=pl.UInt64)})

    def _reason(self) -> pl.Expr:
        path = pl.col("target").str.splitn("?", 2).struct.field("field_0")
        endings = self.params.service.static_files
        ending = (
            path.str.extract(r"\.([A-Za-z0-9]{1,5})$").str.to_lowercase().is_in(endings) if endings else pl.lit(False)
        )
        status = pl.col("status")
        tests = {
            "broken": pl.col("time").is_null(),
            "outside period": (pl.col("time") < self.start) | (pl.col("time") >= self.end),
            "crawler": pl.col("crawler"),
            "probe": ~pl.col("method").is_in(["GET", "POST", "PUT", "PATCH", "DELETE"]),
            "error": (status >= 400) | (status < 200),
            "redirect": (status >= 300) & (status != 304),
            "static file": ending.fill_null(False),
        }
        choice: pl.Expr = pl.lit(None, pl.String)
        for reason in reversed(REASONS):
            choice = pl.when(tests[reason]).then(pl.lit(reason)).otherwise(choice)
        return choice.alias("reason")


def _keyed(key: bytes, text: str) -> int:
    """64 bits of BLAKE2b keyed with the period's random key: without the key, nobody can tell whose it is."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest())


def account_key(key: bytes, account: str) -> int:
    """The visitor key of an account: what its sessions are known by."""
    return _keyed(key, f"account {account}")


def _language(headers: pl.Series) -> pl.DataFrame:
    tag = headers.str.extract(r"^\s*([A-Za-z]{2,3})\b").str.to_lowercase()
    return pl.DataFrame({"tag": tag.fill_null(UNKNOWN)})


def _pages(targets: pl.Series, params: Params) -> pl.DataFrame:
    """Area, product, what was done with it, and whether a newsletter led here, of distinct targets."""
    service = params.service
    # An absolute target (a proxy's) is about its path alone.
    target = targets.str.replace(r"^https?://[^/?]*", "")
    parts = target.str.splitn("?", 2).struct
    path, query = parts.field("field_0"), parts.field("field_1").fill_null("")
    segment = path.str.extract(r"^/([A-Za-z][A-Za-z0-9_-]{0,39})(?:/|$)").str.to_lowercase()
    area = pl.when(path.is_in(["", "/"])).then(pl.lit("home")).otherwise(segment.fill_null("other"))
    if service.areas:
        area = pl.lit("Other")
        for rule in reversed(service.areas):
            area = pl.when(_under(path, rule.paths)).then(pl.lit(rule.area)).otherwise(area)
    viewed: pl.Expr = pl.lit(None, pl.String)
    for rule in reversed(service.products):
        if rule.paths:
            viewed = pl.when(_under(path, rule.paths)).then(pl.lit(rule.product)).otherwise(viewed)
    terms = pl.Series([_search_terms(t, service.search.parameter) for t in target.to_list()], dtype=pl.String)
    searched: pl.Expr = pl.lit(None, pl.String)
    for rule in reversed(service.products):
        if rule.terms:
            found = terms.str.contains_any([t.lower() for t in rule.terms])
            searched = pl.when(pl.lit(found)).then(pl.lit(rule.product)).otherwise(searched)
    searching = _under(path, [service.search.path])
    product = pl.when(searching).then(searched).otherwise(viewed)
    return pl.select(
        area=area.cast(pl.String) if isinstance(area, pl.Expr) else area,
        product=product,
        action=pl.when(product.is_null())
        .then(None)
        .when(searching)
        .then(pl.lit("searched"))
        .otherwise(pl.lit("viewed")),
        newsletter=query.str.contains(r"(?:^|&)utm_medium=(?:email|newsletter)(?:&|$)"),
        rows=pl.int_range(targets.len(), eager=True),
    ).drop("rows")


def _under(path: pl.Series, prefixes: Iterable[str]) -> pl.Series:
    """Whether a path is one of ``prefixes`` or below it: /docs holds /docs/api and not /docsearch; / is only itself."""
    found = pl.repeat(False, path.len(), eager=True)
    for prefix in prefixes:
        stem = prefix.rstrip("/")
        found = found | ((path == prefix) | (path == stem) | (path.str.starts_with(stem + "/") if stem else False))
    return found


def _search_terms(target: str, parameter: str) -> str | None:
    if parameter + "=" not in target:
        return None
    return (
        " ".join(parse_qs(target.partition("?")[2], max_num_fields=50, errors="replace").get(parameter, [])).lower()
        or None
    )


def _referrers(referrers: pl.Series, own: Sequence[str]) -> pl.DataFrame:
    rows = [_referrer(text, frozenset(h.lower() for h in own)) for text in referrers.to_list()]
    return pl.DataFrame(rows, schema={"referrer_kind": pl.String, "referrer_site": pl.String}, orient="row")


def _referrer(text: str | None, own: frozenset[str]) -> tuple[str, str]:
    """Kind and site of a referrer. A site is a host name without ``www.``; an address is no site."""
    if not text:
        return "direct", "none"
    try:
        host = (urlsplit(text).hostname or "").rstrip(".")
    except ValueError:
        host = ""
    if not host:
        return UNKNOWN, UNKNOWN
    if host in own:
        return "internal", "none"
    site = host.removeprefix("www.").removeprefix("m.")
    if geography.is_address(host) or "." not in site or len(site) > 80:
        return "other site", UNKNOWN
    labels = site.split(".")
    if any(site == s or site.endswith("." + s) for s in SOCIAL):
        return "social", site
    if any(label in SEARCH_ENGINES for label in labels[-3:-1]):
        return "search", site
    return "other site", site


# ---- sessions -------------------------------------------------------------------------------------------------------

_ORDER = [
    "time",
    "area",
    "product",
    "action",
    "client",
    "country",
    "language",
    "referrer_kind",
    "referrer_site",
    "account",
]


def sessions(hits: Any, gap: int) -> dict[str, Any]:
    """Cuts each visitor's hits into sessions: a new one starts after more than ``gap`` seconds without a hit.

    Frames of the answer, by name; ``session`` numbers a visitor's sessions from 1:

    - ``sessions``: visitor, session, start, end (epoch seconds), hits, account, country, client, language,
      referrer_kind, referrer_site and entry_area (of its first hit), exit_area (of its last)
    - ``areas``: visitor, session, area, hits
    - ``steps``: visitor, session, from_area, to_area, hits (moves between two areas)
    - ``products``: visitor, session, product, action, hits
    """
    frame: Any = nw.from_native(hits)
    earlier = nw.col("time", "area").shift(1).over("visitor", order_by=_ORDER).name.prefix("last_")
    frame = frame.with_columns(earlier)
    starts = nw.col("last_time").is_null() | (nw.col("time") - nw.col("last_time") > gap)
    frame = frame.with_columns(starts=starts.cast(nw.Int64))
    frame = frame.with_columns(session=nw.col("starts").cum_sum().over("visitor", order_by=_ORDER))
    # The last hit of a session is the one after which the visitor's next hit starts another, or none follows.
    frame = frame.with_columns(next=nw.col("starts").shift(-1).over("visitor", order_by=_ORDER))
    by = ["visitor", "session"]
    spans = frame.group_by(by).agg(start=nw.col("time").min(), end=nw.col("time").max(), hits=nw.len())
    of_first = ["account", "country", "client", "language", "referrer_kind", "referrer_site", "area"]
    first = frame.filter(nw.col("starts") == 1).select(*by, *of_first).rename({"area": "entry_area"})
    last = frame.filter(nw.col("next").is_null() | (nw.col("next") == 1)).select(*by, exit_area=nw.col("area"))
    moves = frame.filter((nw.col("starts") == 0) & (nw.col("area") != nw.col("last_area")))
    parts = {
        "sessions": spans.join(first, on=by, how="inner").join(last, on=by, how="inner"),
        "areas": frame.group_by(*by, "area").agg(hits=nw.len()),
        "steps": moves.rename({"last_area": "from_area", "area": "to_area"})
        .group_by(*by, "from_area", "to_area")
        .agg(hits=nw.len()),
        "products": frame.filter(~nw.col("product").is_null()).group_by(*by, "product", "action").agg(hits=nw.len()),
    }
    return {name: nw.to_native(part) for name, part in parts.items()}


# ---- tables ---------------------------------------------------------------------------------------------------------

CLOCK = ("month", "week", "weekday", "hour")
OF_SESSION = (
    *CLOCK, "visitor_kind", "country", "region", "browser", "browser_version", "os", "device", "language",
    "referrer_kind", "referrer_site", "entry_area", "exit_area",
)  # fmt: skip
OF_PART = {"area": "areas", "from_area": "steps", "to_area": "steps", "product": "products", "action": "products"}
"""Dimensions that a session may have several of, and the frame that holds them."""

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def check(spec: TableSpec) -> None:
    """Raises WorkbookError when a table asks for dimensions or measures that do not go together."""
    where = f"tables: {spec.name}"
    allowed = sorted((*OF_SESSION, *OF_PART))
    if unknown := [d for d in spec.dimensions if d not in allowed]:
        raise WorkbookError(f"{where}: no dimension {', '.join(unknown)}; there are {', '.join(allowed)}")
    if len(set(spec.dimensions)) < len(spec.dimensions):
        raise WorkbookError(f"{where}: a dimension stands twice")
    bases = {OF_PART[d] for d in spec.dimensions if d in OF_PART}
    if len(bases) > 1:
        raise WorkbookError(f"{where}: {' and '.join(sorted(bases))} are not counted together; make two tables")
    if spec.measures[0] == "people":
        raise WorkbookError(
            f"{where}: people can't be added up, so they can't be the first measure; put sessions or hits first"
        )
    if bases and "sessions" in spec.measures:
        raise WorkbookError(
            f"{where}: a session visits several {bases.pop()}, so sessions do not add up here; count hits"
        )


def describe(sessions: pl.DataFrame, known: pl.DataFrame, zone: str) -> pl.DataFrame:
    """``sessions`` with every dimension OF_SESSION instead of the codes: the client's words and the local calendar.

    ``known`` are ``Hits.clients``; month, week (ISO 8601), weekday and hour (String) are those of the session's start
    in ``zone``.
    """
    moment = pl.from_epoch("start").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    regions = {code: country["region"] for code, country in geography.countries().items()}
    return sessions.join(known.drop("crawler"), on="client", how="left").select(
        "visitor",
        "session",
        "start",
        "end",
        "hits",
        month=moment.dt.strftime("%Y-%m"),
        week=moment.dt.strftime("%G-W%V"),
        weekday=moment.dt.weekday().replace_strict(dict(enumerate(_WEEKDAYS, 1)), return_dtype=pl.String),
        hour=moment.dt.strftime("%H"),
        visitor_kind=pl.when("account").then(pl.lit("account")).otherwise(pl.lit("anonymous")),
        region=pl.col("country").cast(pl.String).replace_strict(regions, default=UNKNOWN, return_dtype=pl.String),
        **{name: pl.col(name) for name in OF_SESSION if name not in (*CLOCK, "visitor_kind", "region")},
    )


def cells(spec: TableSpec, frames: dict[str, pl.DataFrame], period: Period) -> Cells:
    """Counts the cells and margins of a table; ``frames`` are those of ``sessions`` with the clients' columns."""
    check(spec)
    base, rows = _counted(spec, frames)
    data = nw.from_native(rows)
    counts = {
        "sessions": nw.len(),
        "hits": nw.col("hits").sum(),
        "people": nw.col("visitor").n_unique(),
    }
    wanted = list(dict.fromkeys([*spec.measures, "people"]))
    additive = [m for m in wanted if m != "people"]
    contributors = [f"{rank}_{m}" for m in additive for rank in ("largest", "second")]
    aggregates = [counts[m].cast(nw.Int64).alias(m) for m in wanted]
    parts = []
    for size in range(len(spec.dimensions), -1, -1):
        for kept in combinations(spec.dimensions, size):
            part = data.group_by(*kept).agg(*aggregates) if kept else data.select(*aggregates)
            for measure in additive:
                part = _with_largest(part, data, kept, measure, counts[measure])
            margin = [nw.lit(TOTAL).alias(d) for d in spec.dimensions if d not in kept]
            parts.append(
                part.with_columns(*margin).select(
                    *(nw.col(d).cast(nw.String) for d in spec.dimensions), *wanted, *contributors
                )
            )
    frame = pl.concat([pl.DataFrame(nw.to_native(p)) for p in parts])
    return Cells(
        spec.name, spec.title, period.label, tuple(spec.dimensions), tuple(spec.measures),
        _in_order(frame, spec.dimensions), (), POPULATIONS[base], _nesting(spec, frames["sessions"]),
        ("from_area", "to_area") if {"from_area", "to_area"} <= set(spec.dimensions) else None,
    )  # fmt: skip


def _counted(spec: TableSpec, frames: dict[str, pl.DataFrame]) -> tuple[str, pl.DataFrame]:
    """The frame that a table counts, by name, and its rows with every dimension of the table."""
    base = next((OF_PART[d] for d in spec.dimensions if d in OF_PART), "sessions")
    rows = frames["sessions"]
    if base != "sessions":
        wanted = ["visitor", "session", *(d for d in spec.dimensions if d not in OF_PART)]
        rows = frames[base].join(rows.select(wanted), on=["visitor", "session"], how="inner")
    return base, rows


def contributions(spec: TableSpec, frames: dict[str, pl.DataFrame], params: Params, period: Period) -> Contributions:
    """What each visitor adds to each cell of a table, with the keys that are public: what noise is added to."""
    check(spec)
    base, rows = _counted(spec, frames)
    counts = {"sessions": pl.len(), "hits": pl.col("hits").sum(), "people": pl.lit(1)}
    each = rows.group_by(*spec.dimensions, "visitor").agg(counts[m].cast(pl.Int64).alias(m) for m in spec.measures)
    frame = each.with_columns(pl.col(spec.dimensions).cast(pl.String)) if spec.dimensions else each
    return Contributions(
        spec.name, spec.title, period.label, tuple(spec.dimensions), tuple(spec.measures), frame,
        keys(spec, params, period), POPULATIONS[base],
    )  # fmt: skip


def keys(spec: TableSpec, params: Params, period: Period) -> dict[str, tuple[str, ...] | None]:
    """By dimension of a table, every category that it can have, whatever the data are; None where that is open.

    Raises WorkbookError when the table's noise needs public keys and a dimension has none.
    """
    areas = tuple(dict.fromkeys([*(rule.area for rule in params.service.areas), "Other"]))
    products = tuple(dict.fromkeys(rule.product for rule in params.service.products))
    known = geography.countries()
    declared: dict[str, tuple[str, ...]] = {
        "month": tuple(dict.fromkeys(day.strftime("%Y-%m") for day in period.days)),
        "week": tuple(dict.fromkeys(day.strftime("%G-W%V") for day in period.days)),
        "weekday": _WEEKDAYS,
        "hour": tuple(f"{hour:02}" for hour in range(24)),
        "visitor_kind": ("account", "anonymous"),
        "country": (*known, UNKNOWN, OTHER),
        "region": (*sorted({country["region"] for country in known.values()}), UNKNOWN),
        "device": clients.DEVICES,
        "referrer_kind": REFERRER_KINDS,
        "action": ("searched", "viewed"),
    }
    if params.service.areas:
        declared |= dict.fromkeys(("area", "entry_area", "exit_area", "from_area", "to_area"), areas)
    if products:
        declared["product"] = products
    found = {d: declared.get(d) for d in spec.dimensions}
    without = [d for d, listed in found.items() if listed is None]
    if spec.noise and without and spec.noise.keys == "public":
        raise WorkbookError(
            f"tables: {spec.name}.noise.keys is public, but {', '.join(without)} has no public list of categories "
            "(for areas and products: service.areas, service.products); write keys: threshold, with a delta"
        )
    if spec.noise and not without and spec.noise.keys == "threshold":
        raise WorkbookError(
            f"tables: {spec.name}.noise.keys is threshold, but every dimension has a public list of categories; "
            "write keys: public, which costs nothing"
        )
    return found


POPULATIONS = {"sessions": "visits", "areas": "visits", "steps": "steps", "products": "products"}
"""What a table of each frame counts: tables of one population have the same margins. Every hit is in one area, so that
hits by area and hits by country have one total."""


KNOWN = (
    ("week", "month"), ("browser_version", "browser"), ("browser", "os"), ("browser_version", "os"), ("os", "device"),
    ("referrer_site", "referrer_kind"), ("country", "region"),
)  # fmt: skip
"""Dimensions of which a reader knows which categories go together: the calendar, and that Safari runs on Apple's."""


def _nesting(spec: TableSpec, sessions: pl.DataFrame) -> tuple[Nesting, ...]:
    """Of the dimensions of KNOWN, which categories occur together."""
    found = []
    for child, parent in KNOWN:
        if child in spec.dimensions and {child, parent} <= set(sessions.columns):
            pairs = sessions.select(pl.col(child, parent).cast(pl.String)).unique().sort(child, parent)
            over = pairs.group_by(child, maintain_order=True).agg(parent)
            found.append((child, parent, {name: tuple(categories) for name, categories in over.iter_rows()}))
    return tuple(found)


def _with_largest(part: Any, data: Any, kept: Sequence[str], measure: str, count: Any) -> Any:
    """Adds ``largest_MEASURE`` and ``second_MEASURE``: what the two largest contributors to a cell have of it."""
    largest, second = f"largest_{measure}", f"second_{measure}"
    each = data.group_by(*kept, "visitor").agg(own=count.cast(nw.Int64))
    most = nw.col("own").max().alias(largest)
    most = each.group_by(*kept).agg(most) if kept else each.select(most)
    # The second largest is the largest again where two have as much.
    joined = each.join(most, on=list(kept), how="left") if kept else each.join(most, how="cross")
    below = joined.with_columns(top=(nw.col("own") == nw.col(largest)).cast(nw.Int64)).with_columns(
        rest=nw.when(nw.col("top") == 0).then(nw.col("own"))
    )
    sums = [nw.col("top").sum().alias("tops"), nw.col("rest").max().alias("next"), nw.col(largest).max()]
    found = below.group_by(*kept).agg(*sums) if kept else below.select(*sums)
    again = nw.when(nw.col("tops") > 1).then(nw.col(largest)).otherwise(nw.col("next").fill_null(0))
    found = found.select(*kept, nw.col(largest).fill_null(0), again.alias(second))
    return part.join(found, on=list(kept), how="left") if kept else part.join(found, how="cross")


def _in_order(frame: pl.DataFrame, dimensions: Sequence[str]) -> pl.DataFrame:
    """Rows by category, weekdays as in a week, margins last."""
    keys = []
    for name in dimensions:
        keys.append(pl.col(name) == TOTAL)
        days = dict(zip(_WEEKDAYS, "0123456", strict=True))
        keys.append(pl.col(name).replace(days) if name == "weekday" else pl.col(name))
    return frame.sort(keys) if keys else frame

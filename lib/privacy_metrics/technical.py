"""Technical data: hits become pseudonymous sessions, sessions become tables of cells.

Parsed log lines enter ``Hits``, which counts every line as used or excluded by reason and keeps of a used one what the
notice's eight declared categories need, without address, account, user agent or URL. ``visits`` cuts hits into
sessions; ``days`` gives them as they are stored, day by day; ``cells`` counts them, on any engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import polars as pl

from . import clients, geography, visits
from .marks import keyed
from .params import Params, Period, TableSpec, WorkbookError
from .sources.combined import BROKEN, Coded, Kept, Lines, Numbered
from .visits import HIT

if TYPE_CHECKING:
    from .disclosure import Cells, Contributions, Nesting
    from .engines import Engine

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


class _Told:
    """What a function tells of texts, row by row, asked once for each distinct text of a run."""

    def __init__(self, tell: Callable[[pl.Series], pl.DataFrame]) -> None:
        self._tell, self._nothing = tell, tell(pl.Series([], dtype=pl.String))
        self._numbers, self._rows = Numbered(), self._nothing

    def of(self, texts: pl.Series) -> pl.DataFrame:
        """The rows of ``texts``; null is as nothing."""
        if self._numbers.size > REMEMBERED:
            self._numbers, self._rows = Numbered(), self._nothing
        number, new = self._numbers.of(texts.fill_null("") if texts.null_count() else texts)
        if new.len():
            self._rows = pl.concat([self._rows, self._tell(new)], rechunk=True)
        return self._rows[number]


REMEMBERED = 200_000
"""Distinct texts of a kind after which what was told of them is forgotten, so that memory stays flat."""


class Hits:
    """Takes parsed lines and keeps pseudonymous hits, the line account of every file, and the days a file touches."""

    def __init__(self, params: Params, period: Period, key: bytes, countries: geography.Countries, files: int) -> None:
        self.params, self.key, self.countries = params, key, countries
        self.midnights = midnights(period, params.organisation.time_zone)
        self.accounts = np.zeros((files, len(REASONS) + 1), np.int64)
        """Of every file: lines used, and lines excluded by REASONS."""
        self.days = np.zeros((files, self.midnights.size - 1), bool)
        """Of every file: the days of the period that it has used lines of."""
        self.held: list[pl.DataFrame] = []
        self.size = 0
        self.latest = 0
        """About the time of the lines that were added last (epoch seconds)."""
        self._agents: dict[str | None, int] = {}
        self.numbers = {"address": Kept(), "account": Kept()}
        self._networks: dict[int, int] = {}
        self._country, self._network = np.zeros(1, np.int16), np.zeros(1, np.int64)
        """By the number of an address, the place of its country in ``countries.names`` and the number of its truncated
        network; the last is for none."""
        self._parts_located = 0
        self._clients = pl.DataFrame(schema=clients.SCHEMA)
        self._visitors = np.empty((0, 2), np.uint64)
        self._targets = _Told(lambda targets: _pages(targets, params))
        self._referrers = _Told(lambda referrers: _referrers(referrers, params.service.hosts))

    def add(self, lines: Lines, files: np.ndarray, only: np.ndarray | None = None) -> None:
        """Adds lines, each to the hits or to the account of excluded lines.

        ``files`` are the numbers of the source's files. With ``only``, a flag for each day of the period, the hits of
        other days are left out, and nothing is added to the account.
        """
        client = self._client_numbers(lines.texts["agent"].values)
        crawler = self._clients["crawler"].to_numpy()[client]
        pages = self._targets.of(lines.texts["target"].values)
        reason = self._reasons(lines, crawler, pages["static"].to_numpy())
        file = files[np.zeros(reason.size, np.int64) if lines.file is None else lines.file]
        used = np.flatnonzero(reason == 0)
        day = np.searchsorted(self.midnights, lines.time[used], side="right") - 1
        if only is None:
            kinds = len(REASONS) + 1
            counts = np.bincount(file * kinds + reason, minlength=self.accounts.size)
            self.accounts += counts.reshape(self.accounts.shape)
            self.days[file[used], day] = True
        else:
            used = used[only[day]]
        if used.size:
            self.held.append(self._hits(lines, used, client, pages))
            self.size += used.size
            self.latest = int(np.median(lines.time[used]))

    def _hits(self, lines: Lines, used: np.ndarray, client: np.ndarray, pages: pl.DataFrame) -> pl.DataFrame:
        """The hits of the lines ``used``; ``visitor`` is a number of this run, ``client`` one of ``_agents``."""
        code = {name: column.code[used] for name, column in lines.texts.items()}
        values = {name: column.values for name, column in lines.texts.items()}
        address = self._located(lines.texts["address"])[code["address"]]
        accounts, _ = self.numbers["account"].of_values(lines.texts["account"])
        account = accounts[code["account"]]
        has_account = account >= 0
        client = client[code["agent"]]
        visitor = np.where(has_account, account, (self._network[address] << 32) | client).astype(np.uint64)
        visitor |= has_account.astype(np.uint64) << np.uint64(63)
        newsletter = pages["newsletter"].to_numpy()[code["target"]]
        mails = as_categories(pl.DataFrame({"referrer_kind": ["newsletter"], "referrer_site": ["none"]}))
        referrers = pl.concat([self._referrers.of(values["referrer"]), mails])
        referrer = np.where(newsletter, referrers.height - 1, code["referrer"])
        names = pl.Series(self.countries.names, dtype=pl.String).cast(_CATEGORY)
        tags = _language(values["language"])["tag"].cast(_CATEGORY)
        return pl.DataFrame(
            [
                pl.Series("visitor", visitor),
                pl.Series("time", lines.time[used]),
                pl.Series("account", has_account),
                names.gather(self._country[address].astype(np.uint32)).alias("country"),
                pl.Series("client", client.astype(np.uint32)),
                tags.gather(code["language"]).alias("language"),
                *referrers[referrer],
                *pages.select("area", "product", "action")[code["target"]],
            ]
        )

    def _located(self, addresses: Coded) -> np.ndarray:
        """The numbers of the values of ``addresses``, of which country and truncated network are known then."""
        number, _ = self.numbers["address"].of_values(addresses)
        if parts := self.numbers["address"].texts[self._parts_located :]:  # the marks number addresses, too
            self._parts_located += len(parts)
            new, bits = pl.concat(parts), self.params.disclosure
            country, network = geography.locate(new, self.countries, ipv4_bits=bits.ipv4_bits, ipv6_bits=bits.ipv6_bits)
            networks, which = np.unique(network, return_inverse=True)
            network = _numbered(self._networks, networks.tolist())[which]
            self._country = np.concatenate([self._country[:-1], country, self._country[-1:]])
            self._network = np.concatenate([self._network[:-1], network, self._network[-1:]])
        return number

    @property
    def earliest(self) -> int:
        """The time of the first of the hits held, of which there are some (epoch seconds)."""
        return min(int(frame["time"].to_numpy().min()) for frame in self.held if frame.height)

    def settled(self, late: int, whole_days: bool) -> int:
        """``late`` seconds before the latest lines (epoch seconds), or the midnight before that."""
        time = self.latest - late
        if not whole_days:
            return time
        return int(self.midnights[max(np.searchsorted(self.midnights, time, side="right") - 1, 0)])

    def take(self, before: int | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Hits (columns HIT), and what their clients are, by ``client``; the hits are held no longer.

        Only hits before the epoch second ``before``, or all.
        """
        hits = self._taken(before)
        # A client's code is its place in the order of the keyed user agents: it does not depend on what was read first.
        rank = self._client_keys().rank("ordinal") - 1
        described = self._clients.drop("crawler")[rank.arg_sort()]
        return hits.with_columns(rank.gather(hits["client"]).alias("client")), described

    def take_described(self, before: int | None = None) -> pl.DataFrame:
        """The same hits as any engine takes them (columns ENGINE_HIT)."""
        hits = self._taken(before)
        numbers, which = np.unique(hits["visitor"].to_numpy(), return_inverse=True)
        client = hits["client"]
        day = np.searchsorted(self.midnights, hits["time"].to_numpy(), side="right") - 1
        return hits.with_columns(
            pl.Series("visitor", self.visitor_keys(numbers)[which].view(np.int64)),
            pl.Series("day", day, dtype=pl.Int32),
            self._client_keys().gather(client).alias("client"),
            *self._clients.select(CLIENT)[client],
            pl.selectors.categorical().cast(pl.String),
        ).select(*ENGINE_HIT)

    def _taken(self, before: int | None) -> pl.DataFrame:
        hits = pl.concat(self.held) if self.held else pl.DataFrame(schema=HIT)
        self.held, self.size = [], 0
        if before is not None:
            later = hits.filter(pl.col("time") >= before)
            hits = hits.filter(pl.col("time") < before)
            self.held, self.size = [later], later.height
        return hits

    def _client_keys(self) -> pl.Series:
        """By the number of a user agent, 63 bits that put agents in one order on every engine."""
        keys = keyed(_begun(self.key), (f"agent {agent}".encode() for agent in self._agents))
        return pl.Series((keys >> np.uint64(1)).astype(np.int64))

    def visitor_keys(self, visitors: np.ndarray) -> np.ndarray:
        """The keyed hashes that stand for visitors, whose numbers are distinct and sorted."""
        known = self._visitors
        place = np.minimum(np.searchsorted(known[:, 0], visitors), max(len(known) - 1, 0))
        new = visitors if not len(known) else visitors[known[place, 0] != visitors]
        if new.size:
            accounts = [text for part in self.numbers["account"].texts for text in part]
            networks, agents = list(self._networks), list(self._agents)
            texts = (
                f"account {accounts[number & 0xFFFFFFFF]}".encode() if number & _ACCOUNT
                else f"client {networks[number >> 32]} {agents[number & 0xFFFFFFFF]}".encode()
                for number in new.tolist()
            )  # fmt: skip
            added = np.stack([new, keyed(_begun(self.key), texts)], axis=1)
            known = np.concatenate([known, added])
            self._visitors = known = known[np.argsort(known[:, 0])]
        return known[np.searchsorted(known[:, 0], visitors), 1]

    def _client_numbers(self, agents: pl.Series) -> np.ndarray:
        values = agents.to_list()
        if new := [agent for agent in dict.fromkeys(values) if agent not in self._agents]:
            self._clients = pl.concat([self._clients, clients.resolve(pl.Series(new, dtype=pl.String))])
        return _numbered(self._agents, values)

    def _reasons(self, lines: Lines, crawler: np.ndarray, static: np.ndarray) -> np.ndarray:
        """Of every line 0 where it is used, else the number of its reason, from 1 in the order of REASONS."""
        text, status = lines.texts, lines.status
        method, target = text["method"], text["target"]
        page = method.values.is_in(["GET", "POST", "PUT", "PATCH", "DELETE"]).fill_null(False).to_numpy()
        tests = {
            "broken": lines.time == BROKEN,
            "outside period": (lines.time < self.midnights[0]) | (lines.time >= self.midnights[-1]),
            "crawler": crawler[text["agent"].code],
            "probe": ~page[method.code],
            "error": (status >= 400) | (status < 200),
            "redirect": (status >= 300) & (status != 304),
            "static file": static[target.code],
        }
        reason = np.zeros(status.size, np.int64)
        for number, name in reversed(list(enumerate(REASONS, 1))):
            reason[tests[name]] = number
        return reason


CLIENT = ("browser", "browser_version", "os", "device")
ENGINE_HIT = {
    name: pl.String if kind == pl.Categorical else pl.Int64 if kind.is_integer() else kind for name, kind in HIT.items()
} | {"day": pl.Int32, **dict.fromkeys(CLIENT, pl.String)}
"""A hit as any engine takes it: text and signed numbers (a visitor's 64 bits are read as such), day, and client."""
_CATEGORY = pl.Categorical
_ACCOUNT = 1 << 63
"""Marks a visitor's number as that of an account; else its high half is a network and its low half a client."""


def midnights(period: Period, zone: str) -> np.ndarray:
    """The epoch second at which each day of the period begins in time zone ``zone``, and at which the period ends."""
    tz = ZoneInfo(zone)
    days = (*period.days, period.end)
    return np.array([int(datetime(d.year, d.month, d.day, tzinfo=tz).timestamp()) for d in days])


def _numbered(known: dict[Any, int], values: Iterable[Any]) -> np.ndarray:
    """The numbers of ``values``; what is not known yet gets the next one."""
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def _begun(key: bytes) -> Any:
    """BLAKE2b keyed with the period's random key, for 64 bits: without the key, nobody can tell whose they are."""
    return hashlib.blake2b(digest_size=8, key=key)


def account_key(key: bytes, account: str) -> int:
    """The visitor key of an account: what its sessions are known by."""
    return int(keyed(_begun(key), [f"account {account}".encode()])[0])


def _language(headers: pl.Series) -> pl.DataFrame:
    tag = headers.str.extract(r"^\s*([A-Za-z]{2,3})\b").str.to_lowercase()
    return pl.DataFrame({"tag": tag.fill_null(UNKNOWN)})


def _pages(targets: pl.Series, params: Params) -> pl.DataFrame:
    """Of distinct targets: area, product, what was done with it, and whether it is of a newsletter or a static file."""
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
    ending = path.str.extract(r"\.([A-Za-z0-9]{1,5})$").str.to_lowercase()
    searching = _under(path, [service.search.path])
    product = pl.when(searching).then(searched).otherwise(viewed)
    pages = pl.select(
        area=area.cast(pl.String) if isinstance(area, pl.Expr) else area,
        product=product,
        action=pl.when(product.is_null())
        .then(None)
        .when(searching)
        .then(pl.lit("searched"))
        .otherwise(pl.lit("viewed")),
        newsletter=query.str.contains(r"(?:^|&)utm_medium=(?:email|newsletter)(?:&|$)"),
        static=ending.is_in(service.static_files).fill_null(False),
    )
    return as_categories(pages)


def _under(path: pl.Series, prefixes: Iterable[str]) -> pl.Series:
    """Whether a path is one of ``prefixes`` or below it: /docs holds /docs/api and not /docsearch; / is only itself."""
    found = pl.repeat(False, path.len(), eager=True)
    for prefix in prefixes:
        stem = prefix.rstrip("/")
        found = found | ((path == prefix) | (path == stem) | (path.str.starts_with(stem + "/") if stem else False))
    return found


def _search_terms(target: str, parameter: str) -> str | None:
    query = target.partition("?")[2]
    if parameter + "=" not in query or query.count("&") >= MOST_FIELDS:
        return None
    return " ".join(parse_qs(query, errors="replace").get(parameter, [])).lower() or None


MOST_FIELDS = 50
"""Fields of a query from which on nobody has typed it into a search."""


def _referrers(referrers: pl.Series, own: Sequence[str]) -> pl.DataFrame:
    """Kind and site of referrers; only what stands before the path matters, so that is looked at once."""
    origins = Coded.of(pl.select(pl.coalesce(referrers.str.extract(r"^([^/?#]*//[^/?#]*)"), referrers)).to_series())
    hosts = frozenset(h.lower() for h in own)
    rows = [_referrer(text, hosts) for text in origins.values.to_list()]
    schema = {"referrer_kind": pl.String, "referrer_site": pl.String}
    return as_categories(pl.DataFrame(rows, schema=schema, orient="row"))[origins.code]


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


STORED = (
    "visitor", "session", "end", "hits", "account", "country", "browser", "browser_version", "os", "device", "language",
    "referrer_kind", "referrer_site", "entry_area", "exit_area",
)  # fmt: skip
"""Columns of a stored session: no address, no account, no user agent, no URL."""


def days(
    hits: Hits, gap: int, before: int | None = None, engine: Engine | None = None
) -> Iterator[tuple[int, dict[str, pl.DataFrame]]]:
    """The sessions of the hits held (of those before the epoch second ``before``), cut at midnight: by day, the frames.

    A day is its number in the period. ``sessions`` has the columns STORED; rows are sorted, text is Categorical. The
    hits are taken at once and cut when the days are asked for, in another thread if need be.
    """
    if engine is not None:
        return _cut_by(engine, hits.take_described(before), gap)
    return _cut(hits, *hits.take(before), gap)


def _cut_by(engine: Engine, taken: pl.DataFrame, gap: int) -> Iterator[tuple[int, dict[str, pl.DataFrame]]]:
    yield from by_day(engine.sessions(taken, gap))


def _cut(
    hits: Hits, taken: pl.DataFrame, known: pl.DataFrame, gap: int
) -> Iterator[tuple[int, dict[str, pl.DataFrame]]]:
    frames = visits.sessions(taken, gap, hits.midnights.tolist(), hits.visitor_keys)
    clients = as_categories(known)[frames["sessions"]["client"]]
    frames["sessions"] = pl.concat([frames["sessions"], clients], how="horizontal").select(STORED)
    ends = {}
    for name, frame in frames.items():  # sessions of a day stand together, as they are cut at midnight
        day = np.searchsorted(hits.midnights, frame["session"].to_numpy(), side="right") - 1
        ends[name] = np.cumsum(np.bincount(day, minlength=hits.midnights.size))
    sizes = np.diff(ends["sessions"], prepend=0)
    for day in np.flatnonzero(sizes).tolist():
        first = {name: int(end[day - 1]) if day else 0 for name, end in ends.items()}
        yield day, {name: frame[first[name] : int(ends[name][day])] for name, frame in frames.items()}


def by_day(frames: dict[str, pl.DataFrame]) -> Iterator[tuple[int, dict[str, pl.DataFrame]]]:
    """Frames with a column ``day``, a day at a time and without it."""
    parts: dict[str, dict[Any, pl.DataFrame]] = {
        name: frame.partition_by("day", as_dict=True, include_key=False, maintain_order=True)
        for name, frame in frames.items()
    }
    for day in sorted(parts["sessions"]):
        yield day[0], {name: some.get(day, frames[name].drop("day").clear()) for name, some in parts.items()}


def as_stored(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """A frame that an engine gave, as the frames that are stored: their columns, types and order of rows."""
    frame = frame.with_columns(pl.col("visitor").reinterpret(signed=False))
    columns = {"sessions": STORED, **{part: (*names, "hits") for part, names in visits.PARTS.items()}}[name]
    return as_categories(in_order(frame.select(*columns, "day")))


def as_categories(frame: pl.DataFrame) -> pl.DataFrame:
    """Text as Categorical: codes are copied and stored faster than text."""
    return frame.with_columns(pl.selectors.string().cast(_CATEGORY))


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows sorted by what names them: the same rows give the same file."""
    return frame.sort("visitor", "session", *(c for c in frame.columns if c not in (*STORED, "day")))


def describe(sessions: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Stored ``sessions`` with every dimension OF_SESSION: the local calendar, and the kind of visitor, are added.

    month, week (ISO 8601), weekday and hour (String) are those of the session's start in ``zone``.
    """
    quarter = pl.col("session") // 900  # no time zone's clock moves within a quarter of an hour
    starts = sessions.select(quarter=quarter).unique()
    regions = {code: country["region"] for code, country in geography.countries().items()}
    moment = pl.from_epoch(pl.col("quarter") * 900).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    clock = starts.with_columns(
        month=moment.dt.strftime("%Y-%m"),
        week=moment.dt.strftime("%G-W%V"),
        weekday=moment.dt.weekday().replace_strict(dict(enumerate(_WEEKDAYS, 1)), return_dtype=pl.String),
        hour=moment.dt.strftime("%H"),
    )
    rows = sessions.with_columns(quarter=quarter).join(clock, on="quarter", how="left", maintain_order="left")
    return rows.with_columns(
        visitor_kind=pl.when("account").then(pl.lit("account")).otherwise(pl.lit("anonymous")),
        region=pl.col("country").replace_strict(regions, default=UNKNOWN, return_dtype=pl.String),
    ).select("visitor", "session", "end", "hits", *OF_SESSION)


def cells(spec: TableSpec, frames: dict[str, pl.DataFrame], period: Period, engine: Engine | None = None) -> Cells:
    """Counts the cells and margins of a table; ``frames`` are those of ``collection.sessions``.

    They are counted in memory, or by ``engine``.
    """
    from .disclosure import TOTAL, Cells  # here and below: collecting needs no solver

    check(spec)
    base, rows = _counted(spec, frames)
    some = rows.select("visitor", "hits", *spec.dimensions)
    data = nw.from_native(engine.frame(some) if engine else some)
    counts = {
        "sessions": nw.len(),
        "hits": nw.col("hits").sum().fill_null(0),  # of no rows
        "people": nw.col("visitor").n_unique().fill_null(0),
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
            keys = (nw.col(d).cast(nw.String) if d in kept else nw.lit(TOTAL).alias(d) for d in spec.dimensions)
            parts.append(part.select(*keys, *wanted, *contributors))
    made = nw.to_native(nw.concat(parts))
    frame = engine.polars(made) if engine else pl.DataFrame(made)
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
    from .disclosure import Contributions

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
    from .disclosure import OTHER

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
    from .disclosure import TOTAL

    keys = []
    for name in dimensions:
        keys.append(pl.col(name) == TOTAL)
        days = dict(zip(_WEEKDAYS, "0123456", strict=True))
        keys.append(pl.col(name).replace(days) if name == "weekday" else pl.col(name))
    return frame.sort(keys) if keys else frame

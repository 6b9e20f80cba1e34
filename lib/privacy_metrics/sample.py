"""The sample company's input: access logs, a country database and registers, made from a seed, about nobody.

Addresses come from ranges that belong to nobody (reserved, benchmarking, documentation), so that no line can be about
a person. The same seed and sizes give the same bytes.
"""

from __future__ import annotations

import gzip
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from . import folders
from .params import Period
from .sample_registers import write_registers

ZONE = ZoneInfo("Europe/Helsinki")
HOSTS = ("www.nordlake.example", "panel.nordlake.example")

# Country, share of the people, UTC offset of its office hours, first language.
_COUNTRIES = [
    line.split()
    for line in """FI 220 3 fi;SE 95 2 sv;DE 90 2 de;NL 62 2 nl;GB 58 1 en;US 55 -5 en;EE 40 3 et;DK 36 2 da;NO 34 2 nb
    PL 32 2 pl;FR 30 2 fr;ES 22 2 es;IT 18 2 it;LT 15 3 lt;LV 14 3 lv;IE 12 1 en;BE 12 2 nl;CH 11 2 de;AT 11 2 de
    CZ 10 2 cs;IN 10 5 en;CA 9 -5 en;BR 8 -3 pt;UA 7 3 uk;RO 7 3 ro;PT 6 1 pt;HU 5 2 hu;JP 5 9 ja;SG 5 8 en;AU 5 10 en
    TR 4 3 tr;GR 4 3 el;IL 3 3 he;MX 3 -6 es;AR 3 -3 es;ZA 2 2 en;KR 2 9 ko;BG 2 3 bg;SK 2 2 sk;SI 2 2 sl
    HR 2 2 hr;NZ 1.2 12 en;AE 1.2 4 ar;VN 1 7 vi;ID 1 7 id;CL .9 -4 es;CO .8 -5 es;MY .8 8 ms;PH .8 8 en;TH .7 7 th
    KE .5 3 en;NG .5 1 en;RS .5 2 sr;LU .4 2 fr;MT .35 2 mt;CY .35 3 el;EG .3 3 ar;PK .3 5 en;GE .25 4 ka;KZ .2 5 kk
    MD .15 3 ro;UY .12 -3 es""".replace("\n", ";").split(";")
    if line.strip()
]

RARE = (
    {"country": "TV", "agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 Ladybird/1.0", "language": "tvl"},
    {"country": "IS", "agent": "NetSurf/3.11 (Haiku)", "language": "is,en;q=0.5"},
    {"country": "GL", "agent": "Mozilla/5.0 (PlayStation; PlayStation 5/8.20) AppleWebKit/605.1.15", "language": "kl"},
    {"country": "FO", "agent": "Mozilla/5.0 (Mobile; Nokia 8110 4G; rv:48.0) Gecko/48.0 KAIOS/2.5", "language": "fo"},
    {"country": "AX", "agent": "Lynx/2.9.2 libwww-FM/2.14", "language": "sv-AX"},
)
"""People with traits that nobody else has: whom a careless report would expose."""

CANARIES = {
    "email": "canary.person@mail.example",
    "account": "nl-CANARY7",
    "ipv4": "240.77.13.37",
    "ipv6": "3fff:ca7:beef::7",
    "url": "https://www.nordlake.example/reset?token=canary-4f6e2d91c3",
    "agent": "Mozilla/5.0 (Canary; unique 7c1f9e) CanaryBrowser/7.7",
}
"""One value of each kind that must never be found in an output."""

_SITE = {  # area: share of first pages, paths, next areas with weights; -- ends the visit
    "home": (34, ["/"], "products 30 pricing 24 docs 14 blog 8 signup 6 search 4 -- 34"),
    "products": (
        10,
        [
            f"/products/{p}"
            for p in ["servers", "object-storage", "databases", "load-balancer", "networking", "backups"]
        ],
        "pricing 30 products 28 docs 16 signup 8 search 3 -- 34",
    ),
    "kubernetes": (0, ["/products/managed-kubernetes"], "pricing 30 docs 24 signup 12 products 12 -- 30"),
    "pricing": (12, ["/pricing", "/pricing/calculator"], "signup 16 products 22 docs 9 home 5 -- 46"),
    "docs": (
        24,
        [
            f"/docs/{p}"
            for p in ["quickstart", "api/servers", "api/storage", "cli", "terraform", "networking", "faq", "backups"]
        ],
        "docs 52 search 8 products 5 pricing 4 -- 34",
    ),
    "blog": (
        11,
        [f"/blog/{p}" for p in ["nvme-benchmarks", "new-region", "cost-tips", "gdpr-checklist"]],
        "blog 18 home 10 docs 8 -- 62",
    ),
    "signup": (2, ["/signup"], "docs 30 home 12 -- 58"),
    "search": (
        1,
        [
            f"/search?q={q}"
            for q in ["object+storage", "managed+database", "snapshot+backup", "load+balancer", "api+token"]
        ],
        "docs 50 products 26 search 12 -- 16",
    ),
    "about": (6, ["/about", "/careers", "/legal/privacy"], "home 26 blog 10 -- 64"),
}
_PANEL = {
    "servers": (
        60,
        ["/panel/servers", "/panel/servers/new", "/panel/servers/graphs"],
        "servers 46 storage 12 networking 9 billing 6 -- 24",
    ),
    "storage": (10, ["/panel/storage", "/panel/storage/object"], "storage 30 servers 26 databases 8 -- 28"),
    "databases": (9, ["/panel/databases"], "databases 30 servers 18 networking 8 -- 34"),
    "kubernetes": (0, ["/panel/kubernetes", "/panel/kubernetes/nodes"], "kubernetes 44 servers 14 networking 8 -- 28"),
    "networking": (6, ["/panel/networking", "/panel/networking/firewall"], "networking 32 servers 28 -- 34"),
    "billing": (8, ["/panel/billing", "/panel/billing/invoices"], "billing 34 servers 16 account 8 -- 42"),
    "account": (4, ["/panel/account", "/panel/account/api-tokens"], "account 28 servers 24 -- 44"),
    "support": (3, ["/panel/support", "/panel/support/tickets"], "support 40 servers 18 -- 38"),
}
_REFERRERS = [
    ("-", 46), ("https://www.google.com/", 25), ("https://www.bing.com/", 4), ("https://duckduckgo.com/", 4),
    ("https://www.linkedin.com/", 4), ("https://www.reddit.com/", 2), ("https://news.ycombinator.com/", 2),
    ("https://partner.hostcompare.example/", 5), ("https://devtools.example/clouds", 3), ("newsletter", 4),
    ("https://forum.sysadmins.example/t/clouds", 1),
]  # fmt: skip
_CRAWLERS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15 (Applebot/0.1)",
    "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
]
_BROKEN = [
    rb'240.3.3.3 - - [%s] "\x16\x03\x01\x02\x00\x01\x00\x01\xFC" 400 157 "-" "-" "-"',
    rb'240.3.3.4 - - [%s] "-" 400 0 "-" "-" "-"',
    rb'240.3.3.5 - - [%s] "GET /docs/cli HT',
    rb'240.3.3.6 - - [%s] "GET /docs/faq HTTP/1.1" 200 512 "-" "Mozilla/5.0 (an agent without its end',
    rb"",
    rb'240.3.3.7 - - [31/Feb/2026:10:00:00 +0200] "GET / HTTP/1.1" 200 512 "-" "Mozilla/5.0" "fi"',
    rb"240.3.3.8 - -",
]
_ODD = [  # lines that look broken and are not
    rb'240.3.4.1 - - [%s] "GET /docs/faq HTTP/1.1" 200 512 "-" "Mozilla/5.0 (an \"odd\" agent) Firefox/128.0" "en"',
    rb'240.3.4.2 - - [%s] "GET /blog/' + b"\xe4\xf6\xfc" + rb' HTTP/1.1" 200 512 "-" "Mozilla/5.0 Firefox/128.0" "de"',
    rb'3fff:3::9 - - [%s] "GET /pricing HTTP/2.0" 200 512 "-" "Mozilla/5.0 Firefox/128.0" "sv"' + b"\r",
    rb'240.3.4.4 - - [%s] "GET /docs/cli?x='
    + b"x" * 6000
    + rb' HTTP/1.1" 200 512 "-" "Mozilla/5.0 Firefox/128.0" "en"',
]
LAUNCH = date(2026, 8, 18)
OUTAGE = (datetime(2026, 7, 22, 13, 5, tzinfo=ZONE).timestamp(), datetime(2026, 7, 22, 15, 40, tzinfo=ZONE).timestamp())
_HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 8, 14, 17, 18, 16, 14, 16, 17, 16, 14, 11, 9, 9, 9, 8, 6, 4], float)
_WEEK = np.array([1.15, 1.2, 1.2, 1.15, 1.0, 0.55, 0.5])


def make_sample(
    folder: Path,
    seed: int = 20260701,
    periods: Sequence[str] = ("2026Q1", "2026Q2", "2026Q3"),
    lines: int = 300_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes ``logs/access-DAY.log.gz`` for each day of ``periods``, and the country database and registers.

    ``lines`` is about how many log lines a quarter holds; ``progress`` hears of the days done, and of all. What was
    in ``folder`` before is replaced in one step.
    """
    parsed = [Period.parse(p) for p in periods]

    def build(new: Path) -> None:
        networks = _networks(seed)
        _write_countries(new / "countries.mmdb", networks)
        (new / "logs").mkdir()
        world = _World(seed, networks, people=11_500, agents=_COMMON)
        days = [day for period in parsed for day in period.days]
        for number, (day, content) in enumerate(_by_file(world, days, parsed[0].first, lines / 91, oddities=True), 1):
            path = new / "logs" / f"access-{day}.log.gz"
            with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                file.write(content)
            progress(number, len(days))
        requests = make_register(parsed, seed)
        requests.write_csv(new / "requests.csv")
        accounts = [world.user[n] for n in np.flatnonzero(world.account)]
        write_registers(new / "registers", seed, parsed, requests, accounts)

    folders.replace(folder, build)


def make_log(
    path: Path, lines: int, seed: int = 1, *, language: bool = False, people: int = 302_000, clients: int = 3_000
) -> None:
    """Writes one combined log of about ``lines`` lines over 2026Q3, in order of time: what the benchmarks read.

    Of the people three in four come in that quarter: 5 million lines are of 200,000 addresses.
    """
    world = _World(seed, _networks(seed), people=people, agents=clients)
    period = Period.parse("2026Q3")
    with path.open("wb") as file:
        # The days of this quarter hold 0.86 of the lines that the rhythm of the sample's three quarters would give.
        for _, content in _by_file(world, period.days, period.first, lines / 92 / 0.86, language=language):
            file.write(content)


def write_countries(path: Path, seed: int = 1) -> None:
    """Writes the country database that goes with ``make_log`` of the same ``seed``."""
    _write_countries(path, _networks(seed))


# ---- addresses and countries ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Network:
    country: str  # empty: no record in the database
    network: ipaddress.IPv4Network | ipaddress.IPv6Network


@cache
def _networks(seed: int) -> list[_Network]:
    """Who has which network: about one /16 (or IPv6 /32) for each share, small countries in slices of a shared one."""
    rng = np.random.default_rng([seed, 1])
    v4 = iter(ipaddress.ip_network("240.0.0.0/5").subnets(new_prefix=16))
    v6 = iter(ipaddress.ip_network("3fff::/20").subnets(new_prefix=32))
    found: list[_Network] = []
    for country, share, _, _ in _COUNTRIES:
        whole = int(float(share) // 4)
        for source, bits in ((v4, 18), (v6, 40)):
            found += [_Network(country, next(source)) for _ in range(whole)]
            # A shared network: a slice of it is this country's, the rest Finland's or nobody's. Whoever truncates first
            # and looks up then finds another country.
            parts = list(next(source).subnets(new_prefix=bits))
            found.append(_Network(country, parts[0]))
            found += [_Network("FI" if rng.random() < 0.5 else "", part) for part in parts[1:4]]
    for person in RARE:
        found.append(_Network(person["country"], next(v4)))
    found += [
        _Network("FI", ipaddress.ip_network("198.18.0.0/16")), _Network("SE", ipaddress.ip_network("198.19.0.0/16")),
        _Network("DE", ipaddress.ip_network("192.0.2.0/24")), _Network("NL", ipaddress.ip_network("198.51.100.0/24")),
        _Network("", ipaddress.ip_network("203.0.113.0/24")), _Network("EE", ipaddress.ip_network("2001:db8::/32")),
        _Network("DK", ipaddress.ip_network("2001:2::/48")),
    ]  # fmt: skip
    return found


class _Database(MMDBWriter):
    """Without the time of writing: the same networks give the same bytes."""

    def _build_meta(self) -> dict[str, Any]:
        return super()._build_meta() | {"build_epoch": 1_782_864_000}


def _write_countries(path: Path, networks: Sequence[_Network]) -> None:
    writer = _Database(
        ip_version=6, ipv4_compatible=True, database_type="Sample-Country", languages=["en"],
        description="Countries of addresses that belong to nobody",
    )  # fmt: skip
    by_country: dict[str, list[str]] = {}
    for item in networks:
        by_country.setdefault(item.country, []).append(str(item.network))
    for country, members in sorted(by_country.items()):
        if country:
            writer.insert_network(IPSet(members), {"country": {"iso_code": country}})
    writer.to_db_file(str(path))


# ---- people, visits and lines ---------------------------------------------------------------------------------------


class _Chain:
    """A site as a chain of areas: the first page's area, its pages, and what comes next."""

    def __init__(self, areas: dict[str, tuple[int, list[str], str]]) -> None:
        self.names = list(areas)
        self.first = np.array([a[0] for a in areas.values()], float)
        self.pages = [a[1] for a in areas.values()]
        self.next = np.zeros((len(areas), len(areas) + 1))
        for i, (_, _, text) in enumerate(areas.values()):
            words = text.split()
            for name, weight in zip(words[::2], words[1::2], strict=True):
                self.next[i, len(areas) if name == "--" else self.names.index(name)] += float(weight)

    def cumulative(self, launched: bool) -> tuple[np.ndarray, np.ndarray]:
        first, following = self.first.copy(), self.next.copy()
        if launched:  # the launch draws visits to the new product and moves to it
            at = self.names.index("kubernetes")
            first[at] += 9
            following[: len(self.names), at] += 6
        return np.cumsum(first / first.sum()), np.cumsum(following / following.sum(1, keepdims=True), 1)


class _World:
    """People with their lasting traits, and the lines of a day's visits."""

    def __init__(self, seed: int, networks: Sequence[_Network], people: int, agents: int) -> None:
        self.seed = seed
        rng = np.random.default_rng([seed, 2])
        countries = [c for c, *_ in _COUNTRIES]
        share = np.array([float(s) for _, s, _, _ in _COUNTRIES])
        self.country = rng.choice(len(countries), people, p=share / share.sum())
        self.offset = np.array([int(o) for _, _, o, _ in _COUNTRIES])[self.country]
        self.account = rng.random(people) < 0.22
        self.weight = rng.lognormal(0, 1.0, people) * np.where(self.account, 2.2, 1.0)
        self.joined = np.where(rng.random(people) < 0.7, 0, rng.integers(0, 300, people))  # days after the first
        self.agents, popularity = _agents(agents)
        self.agent = rng.choice(len(self.agents), people, p=popularity)
        self.address = _addresses(rng, networks, [countries[c] for c in self.country])
        own = [tag for *_, tag in _COUNTRIES]
        self.language = [
            (f"{t}-{c},{t};q=0.9,en;q=0.8" if r < 0.75 and t != "en" else "en-US,en;q=0.9")
            for t, c, r in zip(
                [own[c] for c in self.country], [countries[c] for c in self.country], rng.random(people), strict=True
            )
        ]
        self.user = [f"nl-{20_000 + n}" for n in range(people)]
        self.site, self.panel = _Chain(_SITE), _Chain(_PANEL)

    def day(self, day: date, first: date, visits: float) -> pl.DataFrame:
        """The lines of the visits that begin on ``day``; columns time (epoch seconds) and line (without its end)."""
        rng = np.random.default_rng([self.seed, 3, day.toordinal()])
        number = (day - first).days
        factor = _WEEK[day.weekday()] * (0.9 + 0.0025 * number) * (0.8 if day.month == 7 else 1.0)
        launched = day >= LAUNCH
        if launched:
            factor *= 1.06 + 0.35 * np.exp(-(day - LAUNCH).days / 9)
        n = max(1, rng.poisson(visits * factor))
        weight = self.weight * (self.joined <= number)
        who = rng.choice(len(weight), n, p=weight / weight.sum())
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp())
        hour = (rng.choice(24, n, p=_HOURS / _HOURS.sum()) + 3 - self.offset[who]) % 24
        start = midnight + hour * 3600 + rng.integers(0, 3600, n)
        panel = self.account[who] & (rng.random(n) < 0.75)
        parts = [
            self._walk(rng, self.site, who[~panel], start[~panel], launched, False),
            self._walk(rng, self.panel, who[panel], start[panel], launched, True),
        ]
        return self._lines(rng, pl.concat(parts))

    def _walk(
        self, rng: np.random.Generator, chain: _Chain, who: np.ndarray, start: np.ndarray, launched: bool, panel: bool
    ) -> pl.DataFrame:
        """Pages of visits: one row per request, with the visitor, the time, the path and the page before it."""
        first, following = chain.cumulative(launched)
        visit = np.arange(who.size)
        area = np.searchsorted(first, rng.random(who.size))
        time = start.astype(np.int64)
        host = HOSTS[1] if panel else HOSTS[0]
        names = [r for r, _ in _REFERRERS]
        odds = np.array([w for _, w in _REFERRERS], float)
        came = np.array(names, dtype=object)[rng.choice(len(names), who.size, p=odds / odds.sum())]
        came = np.full(who.size, "-", object) if panel else came
        frames = []
        before = came
        for page in range(25):
            if not visit.size:
                break
            pick = rng.random(visit.size)
            path = np.array(
                [chain.pages[a][int(p * len(chain.pages[a]))] for a, p in zip(area, pick, strict=True)], object
            )
            news = before == "newsletter"
            path = np.where(news, path + "?utm_source=newsletter&utm_medium=email", path)
            before = np.where(news, "-", before)
            frames.append(
                pl.DataFrame(
                    {
                        "who": who[visit], "time": time, "path": path.astype(str), "before": before.astype(str),
                        "panel": np.full(visit.size, panel), "first": np.full(visit.size, page == 0),
                    }
                )
            )  # fmt: skip
            draw = rng.random(visit.size)
            area = (following[area] < draw[:, None]).sum(1)
            stay = area < len(chain.names)
            time = (time + np.clip(rng.exponential(70, visit.size), 2, 1500).astype(np.int64))[stay]
            before = np.array([f"https://{host}{p.partition('?')[0]}" for p in path[stay]], object)
            visit, area = visit[stay], area[stay]
        schema = {
            "who": pl.Int64,
            "time": pl.Int64,
            "path": pl.String,
            "before": pl.String,
            "panel": pl.Boolean,
            "first": pl.Boolean,
        }
        return pl.concat(frames) if frames else pl.DataFrame(schema=schema)

    def _lines(self, rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
        n = pages.height
        chance, size = rng.random(n), rng.integers(800, 60_000, n)
        time = pages["time"].to_numpy()
        down = pages["panel"].to_numpy() & (time >= OUTAGE[0]) & (time < OUTAGE[1]) & (chance < 0.85)
        status = np.where(down, 502, np.where(chance > 0.985, 404, np.where(chance > 0.955, 304, 200)))
        method = np.where(pages["panel"].to_numpy() & (rng.random(n) < 0.12), "POST", "GET")
        lines = pages.with_columns(status=status, method=method, size=size)
        files = ["/static/app.css", "/static/app.js", "/static/logo.svg", "/static/font.woff2"]
        static = lines.filter(rng.random(n) < 0.16)
        static = static.with_columns(
            path=pl.Series(rng.choice(files, static.height)), method=pl.lit("GET"), status=pl.lit(200, pl.Int64),
            before="https://" + pl.when("panel").then(pl.lit(HOSTS[1])).otherwise(pl.lit(HOSTS[0])) + pl.col("path"),
        )  # fmt: skip
        entry = lines.filter(pl.col("panel") & pl.col("first"))
        signin = entry.with_columns(
            pl.col("time") - 3,
            path=pl.lit("/signin"),
            method=pl.lit("POST"),
            status=pl.lit(302, pl.Int64),
            panel=pl.lit(False),
        )
        bots = lines.filter(~pl.col("panel") & pl.lit(pl.Series(rng.random(n) < 0.1)))
        everyone = pl.concat([lines, static.select(lines.columns), signin.select(lines.columns)])
        people = self._traits(everyone, everyone["who"].to_numpy())
        crawlers = bots.with_columns(
            address=pl.lit("240.9.9.") + (pl.col("who") % 200).cast(pl.String), before=pl.lit("-"), user=pl.lit("-"),
            agent=pl.Series(rng.choice(_CRAWLERS, bots.height)), language=pl.lit("-"),
        )  # fmt: skip
        return pl.concat([people, crawlers.select(people.columns)])

    def _traits(self, rows: pl.DataFrame, who: np.ndarray) -> pl.DataFrame:
        index = pl.Series(who)
        return rows.with_columns(
            address=pl.Series(self.address).gather(index),
            user=pl.when("panel").then(pl.Series(self.user).gather(index)).otherwise(pl.lit("-")),
            agent=pl.Series(self.agents).gather(pl.Series(self.agent).gather(index)),
            language=pl.Series(self.language).gather(index),
        )


def _addresses(rng: np.random.Generator, networks: Sequence[_Network], countries: Sequence[str]) -> list[str]:
    """An address for each person in a network of the person's country; about three in ten are IPv6."""
    v4: dict[str, list[tuple[int, int]]] = {}
    v6: dict[str, list[tuple[int, int]]] = {}
    for item in networks:
        kind = v4 if item.network.version == 4 else v6
        kind.setdefault(item.country, []).append((int(item.network.network_address), item.network.num_addresses))
    six, pick, host = (
        rng.random(len(countries)) < 0.3,
        rng.random(len(countries)),
        rng.integers(1, 2**62, len(countries)),
    )
    found = []
    for country, is6, p, h in zip(countries, six, pick, host.tolist(), strict=True):
        own = (v6 if is6 else v4)[country]
        low, size = own[int(p * len(own))]
        if is6:
            found.append(
                str(ipaddress.IPv6Address(low + ((h << 20) % (size >> 64) << 64 if size >> 64 > 1 else 0) + h % 2**16))
            )
        else:
            found.append(str(ipaddress.IPv4Address(low + h % size)))
    return found


_COMMON = 220
"""User agents that are common; the sample has no others."""


def _agents(count: int) -> tuple[list[str], np.ndarray]:
    """``count`` user agents as people have them, the common ones first, with their shares; no fewer than _COMMON."""
    webkit = "AppleWebKit/537.36 (KHTML, like Gecko)"
    windows, mac, linux = "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"
    families: list[tuple[float, str]] = []
    for weight, system in ((30, windows), (16, mac), (8, linux), (1, "X11; CrOS x86_64 14541.0.0")):
        families.append((weight, f"Mozilla/5.0 ({system}) {webkit} Chrome/{{v}}.0.0.0 Safari/537.36"))
    families += [
        (9, f"Mozilla/5.0 ({windows}) {webkit} Chrome/{{v}}.0.0.0 Safari/537.36 Edg/{{v}}.0.0.0"),
        (1.5, f"Mozilla/5.0 ({windows}) {webkit} Chrome/{{v}}.0.0.0 Safari/537.36 OPR/{{w}}.0.0.0"),
        (6, f"Mozilla/5.0 ({windows}; rv:{{v}}.0) Gecko/20100101 Firefox/{{v}}.0"),
        (3, "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0"),
        (2, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:{v}.0) Gecko/20100101 Firefox/{v}.0"),
        (8, f"Mozilla/5.0 ({mac}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{{s}} Safari/605.1.15"),
        (7, "Mozilla/5.0 (iPhone; CPU iPhone OS {i} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/{s} Mobile/15E148 Safari/604.1"),
        (1, "Mozilla/5.0 (iPad; CPU OS {i} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/{s} Safari/604.1"),
        (8, f"Mozilla/5.0 (Linux; Android 10; K) {webkit} Chrome/{{v}}.0.0.0 Mobile Safari/537.36"),
        (1, f"Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S911B) {webkit} SamsungBrowser/{{g}}.0 Chrome/{{v}}.0.0.0 "
            "Mobile Safari/537.36"),
        (1.2, "curl/8.{c}.0"), (0.8, "python-requests/2.{r}.3"), (0.8, "Terraform/1.{t}.2 (+https://www.terraform.io)"),
    ]  # fmt: skip
    agents, weights = [], []
    for age in range(-(-_COMMON // len(families))):
        for weight, text in families:
            agents.append(
                text.format(
                    v=140 - age, w=124 - age, s=f"{18 - age // 6}.{(5 - age) % 6}",
                    i=f"{18 - age // 6}_{(5 - age) % 6}", g=28 - age % 8 + age // 8, c=15 + age, r=32 + age, t=12 + age,
                )
            )  # fmt: skip
            weights.append(weight * 0.62**age + 1e-4)
    # ages repeat some texts; the same text twice is the same client
    unique = dict(zip(agents, weights, strict=True))
    share = np.array(list(unique.values())[:_COMMON])
    # Beyond the common ones, a long tail of phones: one client in eight, each model as seldom as the other.
    phones = [
        f"Mozilla/5.0 (Linux; Android {14 - n % 6}; SM-{'AGMF'[n % 4]}{100 + n // 4}B) {webkit} "
        f"Chrome/{140 - n % 40}.0.0.0 Mobile Safari/537.36"
        for n in range(count - _COMMON)
    ]
    share = np.append(share, np.full(len(phones), share.sum() / 7 / max(1, len(phones))))
    return [*list(unique)[:_COMMON], *phones], share / share.sum()


def _by_file(
    world: _World,
    days: Sequence[date],
    first: date,
    lines_a_day: float,
    *,
    language: bool = True,
    oddities: bool = False,
) -> Iterator[tuple[date, bytes]]:
    """The content of each day's file: rotated some seconds after midnight, so a day begins in the file before."""
    late: pl.DataFrame | None = None
    for day in days:
        made = world.day(day, first, lines_a_day / 4.6)
        if oddities:
            made = pl.concat([made, _special(world.seed, day, made.columns)])
        made = made if late is None else pl.concat([late, made])
        tomorrow = day + timedelta(days=1)
        rotation = int(datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZONE).timestamp()) + 5
        late = made.filter(pl.col("time") >= rotation)
        now = made.filter(pl.col("time") < rotation).sort("time", "address", "path", "agent")
        yield day, _content(now, world.seed, day, language=language, oddities=oddities)


def _content(rows: pl.DataFrame, seed: int, day: date, *, language: bool, oddities: bool) -> bytes:
    stamp = (
        pl.from_epoch("time")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(str(ZONE))
        .dt.strftime("%d/%b/%Y:%H:%M:%S %z")
    )
    form = '{} - {} [{}] "{} {} HTTP/2.0" {} {} "{}" "{}"' + (' "{}"' if language else "")
    fields = [
        "address",
        "user",
        stamp,
        "method",
        "path",
        "status",
        "size",
        "before",
        "agent",
        *(["language"] if language else []),
    ]
    lines = rows.select(pl.format(form, *fields)).to_series()
    if not oddities:
        return "\n".join(lines.to_list()).encode() + b"\n"
    out = [line.encode() for line in lines.to_list()]
    rng = np.random.default_rng([seed, 4, day.toordinal()])
    for kind in (*rng.choice(len(_BROKEN), 2), *(len(_BROKEN) + rng.choice(len(_ODD), 1))):
        text = (_BROKEN + _ODD)[kind]
        at = int(rng.integers(0, len(out)))
        when = stamp_at(int(rows["time"][min(at, rows.height - 1)])).encode()
        out.insert(at, text.replace(b"%s", when))
    return b"\n".join(out) + (b"" if day.day == 13 else b"\n")


def stamp_at(moment: int) -> str:
    """The log's writing of an epoch second, in the company's time zone."""
    return datetime.fromtimestamp(moment, ZONE).strftime("%d/%b/%Y:%H:%M:%S %z")


def _special(seed: int, day: date, columns: Sequence[str]) -> pl.DataFrame:
    """The rare people and the canaries: a few visits each, on fixed days."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=ZONE).timestamp())
    own = {p["country"]: n for n, p in enumerate(RARE)}
    rows = []
    for person in RARE:
        if (day.day + own[person["country"]]) % 10 == 0:
            address = _rare_address(seed, person["country"])
            for k, path in enumerate(("/", "/products/object-storage", "/pricing")):
                rows.append((noon + 60 * k, path, "-", address, "-", person["agent"], person["language"]))
    if day.day in (7, 21):
        mail = f"/newsletter?email={CANARIES['email']}"
        rows += [
            (noon, mail, CANARIES["url"], CANARIES["ipv4"], "-", CANARIES["agent"], "fi"),
            (
                noon + 9,
                "/reset?token=" + CANARIES["url"].partition("=")[2],
                "-",
                CANARIES["ipv6"],
                "-",
                CANARIES["agent"],
                "fi",
            ),
            (noon + 30, "/panel/servers", "-", CANARIES["ipv4"], CANARIES["account"], CANARIES["agent"], "fi"),
        ]
    names = ["time", "path", "before", "address", "user", "agent", "language"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String) | {"time": pl.Int64}, orient="row")
    constant = {
        "who": pl.lit(-1, pl.Int64), "panel": pl.lit(False), "first": pl.lit(True), "status": pl.lit(200, pl.Int64),
        "method": pl.lit("GET"), "size": pl.lit(1234, pl.Int64),
    }  # fmt: skip
    return frame.with_columns(**constant).select(columns)


def _rare_address(seed: int, country: str) -> str:
    network = next(n.network for n in _networks(seed) if n.country == country)
    return str(network.network_address + 4242)


# ---- the register of data-subject requests --------------------------------------------------------------------------

_RIGHTS = {  # right: share, days to answer (median)
    "access": (34, 13), "erasure": (24, 16), "marketing_objection": (12, 2), "rectification": (8, 7),
    "objection": (6, 12), "portability": (6, 14), "consent_withdrawal": (6, 1), "restriction": (4, 9),
}  # fmt: skip
_GROUPS = {"customer": 44, "user": 30, "prospect": 12, "visitor": 8, "partner": 4, "unknown": 2}
_CHANNELS = {"email": 46, "web_form": 38, "support": 12, "letter": 3, "phone": 1}
_REFUSALS = {
    "access": ("others_rights", "manifestly_unfounded", "excessive"), "portability": ("art20_conditions",),
    "erasure": ("legal_duty", "legal_claims", "reporting_reconciliation"), "objection": ("compelling_grounds",),
}  # fmt: skip
AS_OF = date(2026, 10, 1)
"""The day on which the sample's register was exported."""


def make_register(periods: Sequence[Period], seed: int = 20260701) -> pl.DataFrame:
    """The register of about 150 requests a quarter, all columns text, as a tracker would export it on AS_OF."""
    rng = np.random.default_rng([seed, 5])
    rows: list[dict[str, str]] = []
    for period in periods:
        for day in period.days:
            busy = 1.9 if (day.year, day.month) == (2026, 9) else 1.0  # a price letter in September
            mean = (1.5 + 0.0015 * (day - periods[0].first).days) * busy * (0.35 if day.weekday() > 4 else 1.25)
            for _ in range(rng.poisson(mean)):
                rows += _case(rng, day, len(rows) + 1)
    rows += _edges(rng, len(rows) + 1, {day for period in periods for day in period.days})
    return pl.DataFrame(rows).sort("received_at", "request_id")


def _choose(rng: np.random.Generator, weights: dict[str, int]) -> str:
    share = np.array(list(weights.values()), float)
    return str(rng.choice(list(weights), p=share / share.sum()))


def _case(rng: np.random.Generator, day: date, number: int) -> list[dict[str, str]]:
    """One person's message: usually one request, now and then two rights at once."""
    at = datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(minutes=int(rng.integers(420, 1439)))
    right = _choose(rng, {r: share for r, (share, _) in _RIGHTS.items()})
    rights = [right, "erasure"] if right == "access" and rng.random() < 0.12 else [right]
    shared = {
        "case_id": f"C{number:05}", "received_at": at.isoformat(), "channel": _choose(rng, _CHANNELS),
        "subject_group": _choose(rng, _GROUPS), "role": "processor" if rng.random() < 0.05 else "controller",
        "country": str(rng.choice([c for c, *_ in _COUNTRIES[:25]])),
    }  # fmt: skip
    return [_request(rng, day, f"R{number + k:05}", name, shared) for k, name in enumerate(rights)]


def _request(rng: np.random.Generator, received: date, key: str, right: str, shared: dict[str, str]) -> dict[str, str]:
    row = dict.fromkeys(_COLUMNS, "") | shared | {"request_id": key, "right": right, "escalated": "false"}
    took = max(0, round(float(rng.lognormal(np.log(_RIGHTS[right][1]), 0.55))))
    if rng.random() < 0.03:
        took += 25  # one that was left lying
    asked = None
    if right in ("access", "erasure", "portability") and rng.random() < 0.22:
        asked = received + timedelta(days=int(rng.integers(0, 6)))
        waited = int(rng.integers(1, 12))
        row["identity_requested_on"] = asked.isoformat()
        took += (asked - received).days + waited
        if rng.random() < 0.1 or asked + timedelta(days=waited) > AS_OF:
            if rng.random() < 0.5 or asked > AS_OF - timedelta(days=40):
                return row | {"state": "awaiting_identity"}
            return _closed(rng, row, received + timedelta(days=28), "not_identified", "identity_not_shown")
        row["identity_received_on"] = (asked + timedelta(days=waited)).isoformat()
    if right == "access" and rng.random() < 0.05:
        first = received + timedelta(days=int(rng.integers(1, 4)))
        second = first + timedelta(days=int(rng.integers(2, 9)))
        row["clarification_requested_on"], row["clarification_received_on"] = first.isoformat(), second.isoformat()
        took = max(took, (second - received).days + 3)
    if right in ("access", "portability") and rng.random() < 0.07:
        told = received + timedelta(days=int(rng.integers(12, 27)) if rng.random() < 0.8 else 36)
        took = max(took, (told - received).days + int(rng.integers(5, 45)))
        row["extension_notified_on"], row["extension_reasons_given"] = told.isoformat(), "true"
    end = received + timedelta(days=took)
    if row["extension_notified_on"] and row["extension_notified_on"] > AS_OF.isoformat():
        row["extension_notified_on"], row["extension_reasons_given"] = "", ""
    for column in ("clarification_received_on", "clarification_requested_on"):
        if row[column] > AS_OF.isoformat():
            row[column] = ""
    if end >= AS_OF or (rng.random() < 0.012 and received > AS_OF - timedelta(days=120)):
        waiting = row["clarification_requested_on"] and not row["clarification_received_on"]
        state = "awaiting_clarification" if waiting else "extended" if row["extension_notified_on"] else "in_progress"
        return row | {"state": "received" if (AS_OF - received).days < 2 and state == "in_progress" else state}
    if shared["role"] == "processor":
        return _closed(rng, row, end, "misdirected", "")
    draw = rng.random()
    reasons = _REFUSALS.get(right)
    if reasons and draw < 0.08:
        return _closed(rng, row, end, "refused", str(rng.choice(reasons)))
    if reasons and right != "portability" and draw < 0.16:
        return _closed(rng, row, end, "partial", reasons[0])
    if draw > 0.985:
        return _closed(rng, row, end, "withdrawn", "")
    if draw > 0.97:
        return _closed(rng, row, end, "duplicate", "")
    if right in ("access", "erasure") and draw > 0.9:
        return _closed(rng, row, end, "no_data", "")
    return _closed(rng, row, end, "fulfilled", "")


def _closed(rng: np.random.Generator, row: dict[str, str], end: date, outcome: str, reason: str) -> dict[str, str]:
    answered = "" if outcome in ("withdrawn", "duplicate") else end.isoformat()
    told = outcome in ("refused", "partial", "not_identified")
    done = outcome in ("fulfilled", "partial") and row["right"] != "access"
    executed = min(end + timedelta(days=int(rng.integers(0, 3))), AS_OF) if done else None
    form = "electronic" if row["right"] in ("access", "portability") and outcome in ("fulfilled", "partial") else ""
    return row | {
        "state": "closed", "outcome": outcome, "reason_code": reason,
        "decided_on": end.isoformat(), "response_sent_on": answered,
        "executed_on": executed.isoformat() if executed else "",
        "response_format": ("paper" if rng.random() < 0.03 else form) if form else "",
        "reasons_given": "true" if told else "", "complaint_right_given": "true" if told else "",
        "remedy_given": "true" if told else "", "escalated": "true" if rng.random() < 0.02 else "false",
    }  # fmt: skip


def _edges(rng: np.random.Generator, number: int, days: set[date]) -> list[dict[str, str]]:
    """Requests on the days that calendars get wrong, one overdue and open, one refused with no reason told."""
    shared = {"channel": "email", "subject_group": "customer", "role": "controller", "country": "FI"}
    rows = []
    for day, hour, minute, took, outcome in (
        (date(2026, 1, 31), 12, 0, 30, "fulfilled"),  # due on Mon 2 March
        (date(2026, 3, 5), 12, 0, 33, "fulfilled"),  # due on Tue 7 April: Easter
        (date(2026, 5, 19), 12, 0, 31, "fulfilled"),  # due on Fri 19 June: Midsummer Eve is no holiday
        (date(2026, 6, 30), 23, 50, 12, "fulfilled"),  # the quarter's last minutes
        (date(2026, 8, 31), 9, 0, 30, "fulfilled"),  # due on 30 September
        (date(2026, 7, 6), 10, 0, 20, "refused"),
        (date(2026, 7, 20), 10, 0, 400, ""),
    ):
        if day not in days:
            continue
        at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE)
        base = dict.fromkeys(_COLUMNS, "") | shared
        base |= {
            "request_id": f"R{number:05}",
            "case_id": f"C{number:05}",
            "received_at": at.isoformat(),
            "right": "access",
        }
        base |= {"escalated": "false", "state": "in_progress"}
        if outcome:
            base = _closed(rng, base, day + timedelta(days=took), outcome, "excessive" if outcome == "refused" else "")
        if outcome == "refused":
            base |= {"reasons_given": "false", "complaint_right_given": "false", "reason_code": ""}
        rows.append(base)
        number += 1
    return rows


_COLUMNS = (
    "request_id", "case_id", "received_at", "channel", "subject_group", "right", "role", "country", "state", "outcome",
    "reason_code", "identity_requested_on", "identity_received_on", "clarification_requested_on",
    "clarification_received_on", "extension_notified_on", "extension_reasons_given", "decided_on", "response_sent_on",
    "executed_on", "response_format", "reasons_given", "complaint_right_given", "remedy_given", "escalated",
)  # fmt: skip

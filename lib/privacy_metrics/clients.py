"""Clients: what a user agent says of browser, operating system and device, by ua-parser on the distinct strings."""

from __future__ import annotations

import polars as pl
from ua_parser import Parser
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

UNKNOWN = "unknown"
DEVICES = ("desktop", "phone", "program", "tablet", "television", UNKNOWN)
SCHEMA = {
    "browser": pl.String,
    "browser_version": pl.String,
    "os": pl.String,
    "device": pl.String,
    "crawler": pl.Boolean,
}

# What ua-parser calls no spider and yet is nobody's browser: monitors, link checkers, headless browsers, feed fetchers.
_MACHINE = r"(?i)bot\b|bot[/;_-]|crawl|spider|slurp|headless|monitor|uptime|pingdom|lighthouse|feedfetcher|preview|scan"
# Programs and libraries that call a service on somebody's behalf: people's scripts, not crawlers.
_PROGRAMS = (
    "curl", "wget", "python", "okhttp", "go-http", "java", "apache-httpclient", "terraform", "ansible", "node",
    "axios", "libwww", "ruby", "php", "guzzle", "postman", "insomnia", "rust", "reqwest", "dart", "perl", "powershell",
)  # fmt: skip
_DESKTOP = {
    "Windows",
    "Mac OS X",
    "Linux",
    "Ubuntu",
    "Fedora",
    "Debian",
    "Chrome OS",
    "FreeBSD",
    "OpenBSD",
    "NetBSD",
    "Haiku",
}
_TELEVISION = {"Tizen", "WebOS", "Roku", "tvOS", "Google TV"}

_parser: Parser | None = None


def resolve(agents: pl.Series) -> pl.DataFrame:
    """Browser family, family with major version, operating system, device class and whether a known crawler.

    ``agents`` are distinct user agents (String, null where the log has none). Columns of the answer, in their order:
    SCHEMA. The device class is ``desktop``, ``phone``, ``tablet``, ``television``, ``program`` or ``unknown``.
    """
    global _parser
    if _parser is None:
        _parser = Parser(Resolver(load_lazy_builtins()))
    rows = [_describe(_parser, agent) for agent in agents.to_list()]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    machine = agents.str.contains(_MACHINE).fill_null(False)
    return frame.with_columns(crawler=pl.col("crawler") | machine)


def _describe(parser: Parser, agent: str | None) -> tuple[str, str, str, str, bool]:
    if not agent:
        return UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, False
    found = parser.parse(agent)
    browser = found.user_agent.family if found.user_agent else UNKNOWN
    major = found.user_agent.major if found.user_agent else None
    version = f"{browser} {major}" if major and major.isdigit() and len(major) < 5 else browser
    os = found.os.family if found.os else UNKNOWN
    family, brand = (found.device.family, found.device.brand) if found.device else ("", "")
    return browser, version, os, _device(agent, browser, os, family, brand or ""), family == "Spider"


def _device(agent: str, browser: str, os: str, family: str, brand: str) -> str:
    low = browser.lower()
    if any(low.startswith(p) for p in _PROGRAMS) or (browser == UNKNOWN and agent.lower().startswith(_PROGRAMS)):
        return "program"
    if os in _TELEVISION or "SMART-TV" in agent or "SmartTV" in agent:
        return "television"
    if family == "iPad" or "Tablet" in brand or "Tablet" in agent or (os == "Android" and " Mobile" not in agent):
        return "tablet"
    if os in ("iOS", "Android", "Windows Phone", "KaiOS") or " Mobile" in agent:
        return "phone"
    return "desktop" if os in _DESKTOP or os.startswith("Windows") else UNKNOWN

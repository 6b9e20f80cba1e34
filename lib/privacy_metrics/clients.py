"""Clients: what a user agent says of browser, operating system and device, by ua-parser on the distinct strings."""

from __future__ import annotations

from functools import cache
from operator import attrgetter

import polars as pl
from ua_parser import Domain
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
_CRAWLER, _IPAD = "Spider", "iPad"


@cache
def _patterns() -> Resolver:
    """ua-parser's patterns of browsers and operating systems, and of devices those of crawlers and of the iPad."""
    browsers, systems, devices = load_lazy_builtins()
    some = [device for device in devices if attrgetter("family")(device) in (_CRAWLER, _IPAD)]
    return Resolver((browsers, systems, some))


@cache
def _device_patterns() -> Resolver:
    """All patterns of devices, which take twice as long to prepare as the others: only where one of them is needed."""
    return Resolver(([], [], load_lazy_builtins()[2]))


def resolve(agents: pl.Series) -> pl.DataFrame:
    """Browser family, family with major version, operating system, device class and whether a known crawler.

    ``agents`` are distinct user agents (String, null where the log has none). Columns of the answer, in their order:
    SCHEMA. The device class is ``desktop``, ``phone``, ``tablet``, ``television``, ``program`` or ``unknown``.
    """
    machine = agents.str.contains(_MACHINE).fill_null(False)
    rows = [_describe(agent, is_machine) for agent, is_machine in zip(agents, machine, strict=True)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _describe(agent: str | None, machine: bool) -> tuple[str, str, str, str, bool]:
    if not agent:
        return UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, False
    found = _patterns()(agent, Domain.ALL)
    browser = found.user_agent.family if found.user_agent else UNKNOWN
    major = found.user_agent.major if found.user_agent else None
    version = f"{browser} {major}" if major and major.isdigit() and len(major) < 5 else browser
    os = found.os.family if found.os else UNKNOWN
    family = found.device.family if found.device else ""
    if family == _CRAWLER and not machine:
        # Of these patterns some fit devices too (Amazon's browser is called Silk), which come first in the whole list.
        device = _device_patterns()(agent, Domain.DEVICE).device
        machine = device is not None and device.family == _CRAWLER
    return browser, version, os, _device(agent, browser, os, family), machine


def _device(agent: str, browser: str, os: str, family: str) -> str:
    low = browser.lower()
    if any(low.startswith(p) for p in _PROGRAMS) or (browser == UNKNOWN and agent.lower().startswith(_PROGRAMS)):
        return "program"
    if os in _TELEVISION or "SMART-TV" in agent or "SmartTV" in agent:
        return "television"
    if family == _IPAD or _IPAD in agent or "Tablet" in agent or (os == "Android" and " Mobile" not in agent):
        return "tablet"
    if os in ("iOS", "Android", "Windows Phone", "KaiOS") or " Mobile" in agent:
        return "phone"
    return "desktop" if os in _DESKTOP or os.startswith("Windows") else UNKNOWN

"""A very small company for tests: a parameters folder, a log of known lines, a register of known requests."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from privacy_metrics.params import Params
from privacy_metrics.sample import write_countries

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

ORGANISATION = "organisation: {name: Small Oy, country: FI, time_zone: Europe/Helsinki}\n"
SOURCES = """
sources:
  technical: [{kind: access_log, path: logs/*.log}]
  countries: {mmdb: countries.mmdb}
"""
REGISTER = "  requests: {path: requests.csv, as_of: 2026-10-01}\n"


def line(
    moment: str = "01/Jul/2026:09:00:00 +0300",
    address: str = "240.1.2.3",
    path: str = "/docs",
    user: str = "-",
    status: int = 200,
    method: str = "GET",
    agent: str = FIREFOX,
    referrer: str = "-",
) -> str:
    return f'{address} - {user} [{moment}] "{method} {path} HTTP/1.1" {status} 512 "{referrer}" "{agent}"'


def people(count: int, path: str = "/docs", prefix: str = "user") -> list[str]:
    """One line each of ``count`` people with accounts."""
    return [line(path=path, user=f"{prefix}{n}") for n in range(count)]


def company(root: Path, lines: list[str], register: str | None = None, more: str = "") -> Params:
    """Writes the company's files under ``root``; ``register`` is the text of its CSV."""
    (root / "logs").mkdir(parents=True, exist_ok=True)
    (root / "logs" / "a.log").write_text("".join(text + "\n" for text in lines), "utf-8")
    if not (root / "countries.mmdb").exists():
        write_countries(root / "countries.mmdb")
    (root / "params").mkdir(exist_ok=True)
    if register is not None:
        (root / "requests.csv").write_text(register, "utf-8")
    text = ORGANISATION + SOURCES + (REGISTER if register is not None else "") + more
    (root / "params" / "company.yaml").write_text(text, "utf-8")
    return Params.load(root / "params")


def register_csv(*rows: dict[str, str]) -> str:
    """A register with the given rows; what a row does not say is empty or the plain value."""
    from privacy_metrics.requests import SCHEMA

    plain = {
        "channel": "email", "subject_group": "customer", "right": "access", "role": "controller",
        "state": "in_progress", "received_at": "2026-07-01T10:00:00+03:00",
    }  # fmt: skip
    full = [
        dict.fromkeys(SCHEMA, "") | plain | {"request_id": f"R{n}", "case_id": f"C{n}"} | row
        for n, row in enumerate(rows)
    ]
    return (
        pl.DataFrame(full, schema=dict.fromkeys(SCHEMA, pl.String)).write_csv(quote_style="necessary").replace('""', "")
    )

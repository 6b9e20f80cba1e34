"""A real browser for tests: Debian's Chromium, driven by playwright; skips with its reason where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: chromium is not installed, and could not be by this user")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS.split())
        yield chromium
        chromium.close()


class Opened:
    """A page in a browser, with all that it asked for and complained of."""

    def __init__(self, browser, path: Path, **options) -> None:
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page = browser.new_page(viewport={"width": 1000, "height": 900}, **options)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        self.page.goto(path.as_uri())

"""Shared fixtures: the real input beside the project, where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from browser import browser as browser
from postgres import postgres as postgres

REAL = Path(os.environ.get("REAL_INPUT", Path(__file__).parents[2] / "shared" / "real"))


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder with a real access log and a real MaxMind test database."""
    if not (REAL / "access.log").is_file():
        pytest.skip("no real data: set REAL_INPUT to a folder with access.log and GeoLite2-Country-Test.mmdb")
    return REAL

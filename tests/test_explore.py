"""The explorer: whatever is chosen, the answer is a published table; and it works in a real JupyterLab."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import altair as alt
import great_tables as gt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from company import company, line, register_csv
from privacy_metrics import charts
from privacy_metrics import explore as explorer
from privacy_metrics.workbook import Workbook, open_workbook

ROOT = Path(__file__).parents[1]


def lines() -> list[str]:
    return [
        line(f"{day:02}/{month}/2026:{9 + n % 9:02}:00:00 +0300", path=path, user=f"u{n % 40}")
        for month in ("May", "Aug")
        for day in (3, 12, 20)
        for n, path in enumerate(["/docs", "/pricing", "/", "/blog"] * 25)
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    company(folder, lines(), register_csv({}, {"right": "erasure"}))
    return folder


@pytest.fixture(scope="module")
def book(root: Path) -> Workbook:
    return open_workbook("2026Q3", str(root / "params"))


def test_every_choice_that_is_offered_has_an_answer_that_is_published(book: Workbook) -> None:
    answered = 0
    for measure in explorer.measures(book):
        for one in explorer.partners(book, measure):
            for two in (None, *explorer.partners(book, measure, one)):
                dimensions = (one,) if two is None else (one, two)
                for kind in explorer.kinds(book, *dimensions):
                    picture = explorer.answer(book, measure, dimensions, kind)
                    assert isinstance(picture, alt.LayerChart | alt.Chart | gt.GT)
                    answered += 1
    assert answered > 60


def test_what_is_not_published_together_is_refused(book: Workbook) -> None:
    with pytest.raises(KeyError, match="no published table has sessions by country and browser"):
        explorer.answer(book, "sessions", ("country", "browser"), "Heat map")


@given(
    st.lists(st.tuples(st.sampled_from(["period", "measure", "one", "two", "kind"]), st.integers(0, 30)), max_size=8)
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_order_of_choices_leads_to_an_error(book: Workbook, choices: list[tuple[str, int]]) -> None:
    shown = explorer.explore(book)
    for name, number in choices:
        menu = getattr(shown, name)
        menu.value = menu.options[number % len(menu.options)][1]
    assert shown.output.outputs == () or all(o["output_type"] != "error" for o in shown.output.outputs)


# ---- in JupyterLab --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab on the company's folder, with a copy of the explorer's notebook."""
    (root / "notebooks").mkdir(exist_ok=True)
    shutil.copy(ROOT / "notebooks" / "explore.ipynb", root / "notebooks")
    home = tmp_path_factory.mktemp("home")
    places = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    log = home / "log"
    options = [
        "--no-browser", "--port=0", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
        "--allow-root", f"--ServerApp.root_dir={root}",
    ]  # fmt: skip
    with log.open("w") as out:
        environment = os.environ | places | {"JUPYTERLAB_WORKSPACES_DIR": str(home / "w")}
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], stdout=out, stderr=out, env=environment
        )
    try:
        for _ in range(300):
            found = re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)/lab", log.read_text())
            if found:
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
        else:
            pytest.fail(f"JupyterLab did not start: {log.read_text()}")
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        server.terminate()
        server.wait(20)


def until(true: Callable[[], bool], seconds: int = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing changed in time"
        time.sleep(0.1)


def test_the_explorer_is_opened_run_and_operated_in_jupyterlab(lab: str, browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    outside: list[str] = []
    page.on("request", lambda r: None if r.url.startswith((lab, "data:", "blob:", "ws:")) else outside.append(r.url))
    page.goto(f"{lab}/lab/tree/notebooks/explore.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    menus = page.locator(".widget-dropdown select")
    menus.nth(4).wait_for(timeout=60_000)
    picture = page.locator(".jp-OutputArea .widget-output, .jp-OutputArea .jupyter-widgets-output-area").first
    picture.locator("svg, img").first.wait_for(timeout=60_000)
    first = picture.inner_html()

    # Period, measure and kind of chart are on the left, the two dimensions on the right.
    assert menus.nth(0).input_value() == "2026Q3"
    menus.nth(3).select_option(label="Entry area")
    until(lambda: picture.inner_html() != first)
    menus.nth(2).select_option(label="Table")
    picture.locator("table").wait_for(timeout=20_000)
    text = picture.inner_text()
    assert "docs" in text
    assert "cells of at least 10 people" in text
    menus.nth(0).select_option(label="2026Q2")
    until(lambda: "April to June 2026" in picture.inner_text())
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert outside == []
    page.screenshot(path=str(tmp_path / "explorer.png"))


def test_an_answer_in_jupyterlab_is_a_picture_that_needs_no_extension(book: Workbook) -> None:
    charts.enable()
    bundle = explorer.answer(book, "sessions", ("country",), "Bars")._repr_mimebundle_()
    assert "image/svg+xml" in bundle
    json.dumps(bundle)

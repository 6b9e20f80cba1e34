"""The whole way, on the sample: one command, and what comes out of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from browser import Opened
from company import company, people
from privacy_metrics.sample import CANARIES, RARE

ROOT = Path(__file__).parents[1]
RUN = [
    "anonymity_audit.ipynb", "measurement_exemption.ipynb", "notice_controls.ipynb", "rights_requests.ipynb",
    "usage_trends.ipynb",
]  # fmt: skip


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "privacy_metrics", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample company's parameters and input, with zones of their own."""
    if not (ROOT / "sample" / "requests.csv").is_file():
        pytest.skip("no sample: make it with privacy-metrics sample sample")
    root = tmp_path_factory.mktemp("workplace")
    shutil.copytree(ROOT / "params", root / "params")
    (root / "sample").symlink_to(ROOT / "sample")
    return root


@pytest.fixture(scope="module")
def reported(workplace: Path) -> tuple[Path, subprocess.CompletedProcess]:
    done = run("report", "2026Q3", cwd=workplace)
    assert done.returncode == 0, done.stderr
    return workplace / "outputs" / "2026Q3", done


def test_the_command_says_where_the_reports_are_and_what_became_of_every_line(reported) -> None:
    folder, done = reported
    for name in ("index.html", "usage.html", "compliance.html"):
        assert f"{folder / name}" in done.stdout
    account = json.loads((folder / "manifest.json").read_text())["account"]
    assert account["read"] == account["used"] + sum(n for k, n in account.items() if k not in ("read", "used"))
    assert f"{account['read']:,}" in done.stdout
    assert not done.stderr


def test_the_run_is_whole(reported) -> None:
    folder, _ = reported
    made = files(folder)
    manifest = json.loads(made.pop("manifest.json"))
    assert {name: hashlib.sha256(content).hexdigest() for name, content in made.items()} == {
        name: file["sha256"] for name, file in manifest["files"].items()
    }
    assert {p.suffix for p in (folder / "data").iterdir()} == {".csv", ".parquet", ".json", ".xlsx"}
    assert {"controls.json", "controls.schema.json", "controls-oscal.json"} <= set(made)
    assert sorted(p.name for p in (folder / "notebooks").iterdir()) == RUN


def test_the_second_call_skips_what_is_done(reported, workplace: Path) -> None:
    folder, _ = reported
    before = folder.stat().st_mtime_ns
    done = run("report", "2026Q3", cwd=workplace)
    assert done.returncode == 0
    assert "Nothing has changed" in done.stdout
    assert folder.stat().st_mtime_ns == before


def test_the_same_input_gives_the_same_bytes(reported, workplace: Path) -> None:
    folder, _ = reported
    before = files(folder)
    shutil.rmtree(folder)
    assert run("report", "2026Q3", cwd=workplace).returncode == 0
    after = files(folder)
    assert sorted(before) == sorted(after)
    assert [name for name in before if before[name] != after[name]] == []


def test_no_canary_and_no_rare_trait_is_in_any_output(reported, workplace: Path) -> None:
    folder, _ = reported
    raw = b"".join(gzip.decompress(p.read_bytes()) for p in sorted((ROOT / "sample" / "logs").glob("*2026-09-*.gz")))
    rare = [person["agent"] for person in RARE]
    secrets = [*CANARIES.values(), "240.77.13", "3fff:ca7", "canary-4f6e2d91c3", *rare]
    for path, content in files(folder).items():
        shown = content
        if path.endswith(".parquet"):
            shown += pl.read_parquet(folder / path).write_csv().encode()
        for secret in secrets:
            assert secret.encode() not in shown, f"{secret} is in {path}"
    # The check can fail: the input does hold them.
    assert all(secret.encode() in raw for secret in (CANARIES["email"], CANARIES["account"], CANARIES["agent"]))


def test_a_person_with_rare_traits_is_in_no_cell(reported) -> None:
    folder, _ = reported
    countries = pl.read_csv(folder / "data" / "sessions_by_country.csv")
    rare = countries.filter(pl.col("country").is_in([person["country"] for person in RARE]))
    assert rare.height == len(RARE)
    assert rare["withheld"].all()
    assert rare["sessions"].null_count() == rare.height
    languages = pl.read_csv(folder / "data" / "sessions_by_language.csv")
    assert languages.filter(pl.col("language").is_in(["tvl", "kl", "fo"]))["withheld"].to_list() == [True] * 3


@pytest.mark.parametrize("name", ["index", "usage", "compliance"])
def test_a_page_makes_no_request_shows_its_pictures_and_holds_no_code(reported, browser, name: str) -> None:
    folder, _ = reported
    html = (folder / f"{name}.html").read_text("utf-8")
    assert "open_workbook" not in html
    path = folder / f"{name}.html"
    opened = Opened(browser, path)
    figures = opened.page.locator("figure.chart").count()
    opened.page.wait_for_function(f"document.querySelectorAll('figure.chart svg').length >= {figures}")
    assert (figures >= 8) == (name != "index")
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]
    assert opened.messages == []
    policy = opened.page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content")
    assert policy.startswith("default-src 'none'")
    assert not opened.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


@pytest.mark.parametrize("name", ["usage", "compliance"])
def test_on_a_phone_tables_scroll_and_no_word_is_cut_to_letters(reported, browser, name: str) -> None:
    folder, _ = reported
    opened = Opened(browser, folder / f"{name}.html")
    opened.page.set_viewport_size({"width": 390, "height": 844})
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    cells = "[...document.querySelectorAll('main td, main th')].filter(cell => cell.innerText.length > 20)"
    assert opened.page.evaluate(f"{cells}.length") > 20
    assert opened.page.evaluate(f"Math.min(...{cells}.map(cell => cell.getBoundingClientRect().width))") > 60
    opened.page.close()


def test_the_reports_print(reported, browser, tmp_path: Path) -> None:
    folder, _ = reported
    opened = Opened(browser, folder / "usage.html")
    opened.page.wait_for_timeout(500)
    pdf = opened.page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") > 5


def test_every_promise_stands_on_one_printed_page_with_its_movement(reported, browser) -> None:
    folder, _ = reported
    opened = Opened(browser, folder / "compliance.html")
    opened.page.emulate_media(media="print")
    opened.page.set_viewport_size({"width": 680, "height": 900})  # A4 without its margins
    matrix = opened.page.locator(".pm-matrix")
    assert matrix.bounding_box()["height"] < 940
    marks = opened.page.locator(".pm-matrix tbody tr:first-child .pm-moved").all()
    assert len(marks) == 3
    assert all(mark.bounding_box()["width"] > 20 for mark in marks)
    opened.page.close()


BROKEN_WORDS = """() => {
  const broken = [];
  for (const cell of document.querySelectorAll("table:not(.pm-matrix) :is(td, th):first-child")) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      for (const word of texts.currentNode.data.matchAll(/[A-Za-z]{2,20}/g)) {
        const range = document.createRange();
        range.setStart(texts.currentNode, word.index);
        range.setEnd(texts.currentNode, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.top)));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


@pytest.mark.parametrize("name", ["usage", "compliance"])
def test_no_printed_table_breaks_the_words_that_name_its_rows(reported, browser, name: str) -> None:
    folder, _ = reported
    opened = Opened(browser, folder / f"{name}.html")
    opened.page.emulate_media(media="print")
    opened.page.set_viewport_size({"width": 680, "height": 900})
    assert opened.page.evaluate(BROKEN_WORDS) == []
    opened.page.add_style_tag(content="td, th { overflow-wrap: anywhere; width: 1px }")  # it can tell
    assert opened.page.evaluate(BROKEN_WORDS)
    opened.page.close()


BAD = {
    "an unknown period": (["report", "2026Q5"], "2026Q5' is no period"),
    "a missing folder": (["report", "2026Q3", "--params", "nowhere"], "no such folder"),
    "a period without logs": (["report", "2020Q1"], "no file for any day of 2020Q1"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_ends_with_a_clear_error_and_touches_nothing(reported, workplace: Path, kind: str) -> None:
    folder, _ = reported
    before = files(folder.parent)
    arguments, message = BAD[kind]
    done = run(*arguments, cwd=workplace)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert files(folder.parent) == before


def test_a_notebook_that_fails_is_kept_and_the_reports_stay(tmp_path: Path) -> None:
    company(tmp_path, people(40))
    done = run("report", "2026Q3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = files(tmp_path / "outputs" / "2026Q3")
    (tmp_path / "notebooks").mkdir()
    text = (ROOT / "notebooks" / "usage_trends.ipynb").read_text("utf-8").replace("sessions_by_clock", "no_such_table")
    (tmp_path / "notebooks" / "usage_trends.ipynb").write_text(text, "utf-8")
    done = run("report", "2026Q3", cwd=tmp_path)
    assert done.returncode == 1
    assert "usage_trends.ipynb: cell" in done.stderr
    assert "failed with KeyError" in done.stderr
    kept = Path(done.stderr.split("the executed notebook is kept in ")[1].strip())
    assert kept.is_file()
    assert files(tmp_path / "outputs" / "2026Q3") == before


def test_without_a_register_the_compliance_report_says_no_evidence(tmp_path: Path) -> None:
    company(tmp_path, people(40))
    assert run("report", "2026Q3", cwd=tmp_path).returncode == 0
    html = (tmp_path / "outputs" / "2026Q3" / "compliance.html").read_text("utf-8")
    assert "No evidence: no register of requests is given" in html
    assert "Without evidence" in html


def test_plain_papermill_runs_a_notebook(reported, workplace: Path, tmp_path: Path) -> None:
    papermill = Path(sys.executable).with_name("papermill")
    for name in (*(Path(name).stem for name in RUN), "explore"):
        done = subprocess.run(
            [papermill, ROOT / "notebooks" / f"{name}.ipynb", tmp_path / f"{name}.ipynb", "-p", "period", "2026Q2"],
            cwd=workplace, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "2026Q2" in (tmp_path / f"{name}.ipynb").read_text("utf-8")


def test_every_command_explains_itself_with_an_example(tmp_path: Path) -> None:
    for command in ("sample", "collect", "report", "close", "registers", "exceptions"):
        done = run(command, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert "Example" in done.stdout, command


def test_a_real_log_of_2015_gives_a_report_with_every_line_accounted_for(real: Path, tmp_path: Path) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "site.yaml").write_text(
        "organisation: {name: A public web site, country: US, time_zone: UTC}\n"
        "sources:\n"
        f"  technical: [{{path: {real / 'access.log'}}}]\n"
        f"  countries: {{mmdb: {real / 'GeoLite2-Country-Test.mmdb'}}}\n"
    )
    done = run("report", "2015Q2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    account = json.loads((tmp_path / "outputs" / "2015Q2" / "manifest.json").read_text())["account"]
    assert account["read"] == (real / "access.log").read_bytes().count(b"\n")
    assert account["read"] == account["used"] + sum(n for k, n in account.items() if k not in ("read", "used"))
    assert account["used"] > 1000

"""Reports: notebooks run safely, one file without a network, a run that is there whole or not at all."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import stat
import textwrap
from pathlib import Path

import nbformat
import polars as pl
import pytest

from browser import Opened
from privacy_metrics import charts, reports
from privacy_metrics.params import WorkbookError
from privacy_metrics.reports import Cover, Job, NotebookFailed, Section
from test_charts import EVIL, by_country, clock, made

COVER = Cover("Example & Co", "Usage report", "July to September 2026", "All products", "internal")
SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_charts import EVIL, by_country, clock, made, trends
from privacy_metrics import charts, tables
charts.enable()
"""


def notebook(path: Path, *cells: str, parameters: str = 'period = "2026Q3"') -> Path:
    """A notebook of code cells, Markdown where the text starts with ``#``, and a parameters cell."""
    v4 = nbformat.v4
    first = v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]})
    made_cells = [
        v4.new_markdown_cell(text, id=f"c{n}") if text.startswith("#") else v4.new_code_cell(text, id=f"c{n}")
        for n, text in enumerate(map(textwrap.dedent, cells))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(v4.new_notebook(cells=[first, *made_cells], metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An executed notebook with every kind of output, and hostile text in each of them."""
    folder = tmp_path_factory.mktemp("report")
    source = notebook(
        folder / "usage.ipynb",
        f"# Usage <b>raw</b>\n{EVIL[0]} {EVIL[1]} [l](javascript:window.pwned=1) ![i](http://127.0.0.1:9/i.png)",
        SETUP,
        "evil = made('browsers', ('browser',), {(e,): 50 + n for n, e in enumerate(EVIL)} | {('Firefox',): 900})",
        "charts.bars(evil)",
        "charts.tiles(by_country())",
        "charts.heatmap(clock())",
        "charts.bars(evil, title=EVIL[1])",
        "tables.table(evil)",
        "tables.figures(tables.figure(trends(), EVIL[1], note=EVIL[0]))",
        "tables.say('Most use {b}.', b=EVIL[1])",
        "#### Skips levels",
        "# Usage <b>raw</b>",
        "from IPython.display import HTML, SVG, Markdown",
        "HTML(EVIL[0] + EVIL[1] + '<b id=content onclick=window.pwned=1>bold</b><iframe src=http://127.0.0.1:9></iframe>')",
        "Markdown(EVIL[0] + EVIL[1])",
        'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" onload="pwned=1"><script>window.pwned=1</script></svg>\')',
        "print(EVIL[0]); print('secret', file=sys.stderr)",
    )
    return reports.run_notebook(source, folder / "out" / "usage.ipynb", {"period": "2026Q3"}, folder)


@pytest.fixture(scope="session")
def report(executed: Path) -> str:
    appendix = [
        Section("Lines", EVIL[0], ("Reason", "Lines"), [("used", 12345), (EVIL[1], 3)]),
        reports.withheld([by_country()]),
    ]
    return reports.to_html([executed], COVER, appendix)


# ---- notebooks ------------------------------------------------------------------------------------------------------


def test_the_notebook_gets_its_parameters_and_its_folder_and_runs_in_this_environment(tmp_path: Path) -> None:
    source = notebook(tmp_path / "n.ipynb", "import os, sys; print(period, os.getcwd(), sys.executable, sys.prefix)")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = reports.run_notebook(source, tmp_path / "o" / "n.ipynb", {"period": "it's 2026"}, elsewhere)
    import sys

    text = nbformat.read(out, as_version=4).cells[-1].outputs[0].text.strip()
    assert text == f"it's 2026 {elsewhere} {sys.executable} {sys.prefix}"


def test_an_unknown_parameter_stops_before_anything_runs(tmp_path: Path) -> None:
    source = notebook(tmp_path / "n.ipynb", "open('ran', 'w')")
    crafted = "x = 1\nimport os; os.system('touch ran')\ny"
    with pytest.raises(WorkbookError, match=r"(?s)n\.ipynb: no parameter .*; it has period"):
        reports.run_notebook(source, tmp_path / "o.ipynb", {crafted: 1}, tmp_path)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "o.ipynb").exists()


@pytest.mark.parametrize("content", ["", "{}", "[1]", "not json", None])
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "n.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WorkbookError, match=r"n\.ipynb"):
        reports.run_notebook(path, tmp_path / "o.ipynb", {}, tmp_path)


def test_a_failing_cell_names_notebook_cell_and_kind_and_no_values(tmp_path: Path) -> None:
    source = notebook(tmp_path / "n.ipynb", "1 + 1", "secret = 'Jane'; raise KeyError(secret)", "print('after')")
    with pytest.raises(NotebookFailed) as failure:
        reports.run_notebook(source, tmp_path / "o.ipynb", {"period": "x"}, tmp_path)
    assert str(failure.value) == (
        f"n.ipynb: cell 3 failed with KeyError; the executed notebook is kept in {tmp_path / 'o.ipynb'}"
    )
    assert (tmp_path / "o.ipynb").exists()
    with pytest.raises(WorkbookError, match="holds an error"):
        reports.to_html([tmp_path / "o.ipynb"], COVER)


def test_a_cell_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    source = notebook(tmp_path / "n.ipynb", "import time; time.sleep(60)")
    with pytest.raises(NotebookFailed, match="cell 2 failed with no answer within 1 seconds"):
        reports.run_notebook(source, tmp_path / "o.ipynb", {}, tmp_path, timeout=1)


def test_a_kernel_that_dies_is_said(tmp_path: Path) -> None:
    source = notebook(tmp_path / "n.ipynb", "import os; os._exit(1)")
    with pytest.raises(NotebookFailed, match="cell 2 failed with a dead kernel"):
        reports.run_notebook(source, tmp_path / "o.ipynb", {}, tmp_path)


def test_running_again_gives_the_same_bytes_without_this_machine(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    source = notebook(
        tmp_path / "n.ipynb", "# Title", SETUP, "charts.heatmap(clock())", "tables.table(clock())", "print(1)\nprint(2)"
    )
    jobs = [Job(source, tmp_path / name / "n.ipynb", {"period": "2026Q3"}, tmp_path) for name in ("a", "b")]
    done: list[Job] = []
    first, second = reports.run_notebooks(jobs, done=done.append)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(done, key=lambda j: j.out) == jobs
    assert "papermill" not in json.dumps(nbformat.read(first, as_version=4).metadata)
    assert str(tmp_path) not in first.read_text()
    assert capfd.readouterr() == ("", "")


def test_one_failure_among_several_is_raised(tmp_path: Path) -> None:
    sources = [notebook(tmp_path / "a.ipynb", "1"), notebook(tmp_path / "b.ipynb", "1 / 0")]
    with pytest.raises(NotebookFailed, match=r"b\.ipynb: cell 2 failed with ZeroDivisionError"):
        reports.run_notebooks(Job(s, tmp_path / "o" / s.name, {}, tmp_path) for s in sources)


# ---- HTML -----------------------------------------------------------------------------------------------------------


def test_a_report_is_the_same_bytes_each_time(executed: Path, report: str) -> None:
    assert reports.to_html([executed], COVER) == reports.to_html([executed], COVER)
    assert len(report.encode()) < 2_500_000


def test_the_bundle_is_in_a_report_once_and_only_with_charts(tmp_path: Path, report: str) -> None:
    assert report.count("window.vegaEmbed") == 1
    plain = notebook(tmp_path / "n.ipynb", "# Only words")
    html = reports.to_html([plain], COVER)
    assert "<script" not in html
    assert "script-src &#39;none&#39;" in html
    assert len(html) < 20_000


def test_the_policy_names_the_hashes_of_exactly_the_own_scripts(report: str) -> None:
    import base64

    scripts = re.findall(r"<script>(.*?)</script>", report, re.DOTALL)
    wanted = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', report)
    assert policy
    assert len(scripts) == 2
    allowed = policy[1].replace("&#39;", "'").split("script-src ")[1].split(";")[0]
    assert allowed.split() == wanted
    assert report.index("Content-Security-Policy") < report.index("<script")


def test_a_report_holds_no_code_and_no_messages(report: str) -> None:
    assert "charts.enable" not in report
    assert "secret" not in re.sub(r"<script>.*?</script>", "", report, flags=re.DOTALL)


def test_headings_are_in_order_and_anchors_unique(report: str) -> None:
    body = re.sub(r"<script.*?</script>", "", report, flags=re.DOTALL)
    levels = [int(level) for level in re.findall(r"<h([1-6])", body)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = re.findall(r'\bid="([^"]+)"', body)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([^"]+)"', body):
        assert target in ids


def test_an_index_links_only_to_its_own_folder() -> None:
    html = reports.index_html(COVER, [("usage.html", "Usage", "what")], [("Sessions", 1234567), ("Held", None)])
    assert 'href="usage.html"' in html
    assert "1,234,567" in html
    assert "withheld" in html
    for address in ("https://example.org/", "//example.org", "/etc/passwd", "javascript:x"):
        with pytest.raises(ValueError, match="not relative"):
            reports.index_html(COVER, [(address, "x", "x")])


def test_in_a_browser_a_report_asks_for_nothing_and_hostile_text_is_dead(browser, tmp_path: Path, report: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(report, "utf-8")
    opened = Opened(browser, path)
    page = opened.page
    page.wait_for_function("document.querySelectorAll('figure.chart svg').length == 4")
    page.wait_for_timeout(300)
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]
    assert opened.messages == []
    assert page.evaluate("window.pwned") is None
    assert page.locator("figure.chart > img").count() == 0
    assert page.locator("iframe, [onclick], [onerror]").count() == 0
    for figure in page.locator("figure.chart > div").all():
        assert figure.get_attribute("role") == "img"
        assert len(figure.get_attribute("aria-label")) > 60
    # The text is there, as text.
    assert EVIL[1] in page.locator("main").inner_text()
    page.close()


def test_in_a_browser_a_mark_has_a_tooltip_and_a_hostile_name_in_it_is_text(
    browser, tmp_path: Path, report: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(report, "utf-8")
    opened = Opened(browser, path)
    marks = opened.page.locator("#chart-1 .mark-rect.role-mark path")
    marks.first.wait_for()
    marks.first.hover()
    tip = opened.page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    assert "1,800" in tip.inner_text()
    seen = ""
    for n in range(marks.count()):
        marks.nth(n).hover()
        opened.page.wait_for_timeout(50)
        seen += tip.inner_text()
    assert all(evil in seen for evil in EVIL[:2])
    assert opened.page.evaluate("window.pwned") is None
    assert opened.messages == []
    opened.page.close()


def test_in_a_browser_the_policy_blocks_a_planted_script_handler_image_and_request(
    browser, tmp_path: Path, report: str
) -> None:
    planted = """<script>window.pwned = 1</script><img src="x" onerror="window.pwned = 1">
    <img src="http://127.0.0.1:9/i.png"><link rel="stylesheet" href="http://127.0.0.1:9/s.css">"""
    path = tmp_path / "report.html"
    path.write_text(report.replace("</main>", planted + "</main>"), "utf-8")
    opened = Opened(browser, path)
    opened.page.wait_for_function("document.querySelectorAll('figure.chart svg').length == 4")
    blocked = opened.page.evaluate("""async () => {
      const tried = {};
      try { tried.eval = eval("1") } catch (e) { tried.eval = e.name }
      try { await fetch("http://127.0.0.1:9/"); tried.fetch = "sent" } catch (e) { tried.fetch = e.name }
      return tried;
    }""")
    assert opened.page.evaluate("window.pwned") is None
    assert blocked["fetch"] == "TypeError"
    assert any("script-src" in m for m in opened.messages)
    # Chromium reports a request that its policy stopped as failed and never sends it.
    assert any("img-src" in m for m in opened.messages)
    assert any("connect-src" in m or "default-src" in m for m in opened.messages)
    opened.page.close()


def test_without_javascript_and_in_print_the_pictures_are_there(browser, tmp_path: Path, report: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(report, "utf-8")
    opened = Opened(browser, path, java_script_enabled=False)
    pictures = opened.page.locator("figure.chart > img").all()
    assert len(pictures) == 4
    assert all(picture.bounding_box()["height"] > 100 for picture in pictures)
    pdf = opened.page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
    opened.page.close()


# ---- files ----------------------------------------------------------------------------------------------------------


def test_releases_are_exported_with_the_same_bytes_and_described(tmp_path: Path) -> None:
    tables = [by_country(), clock()]
    for name in ("a", "b"):
        reports.export_releases(tables, tmp_path / name, "Tables of 2026Q3")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    package = json.loads((tmp_path / "a" / "datapackage.json").read_text())
    assert package["profile"] == "tabular-data-package"
    assert len({r["name"] for r in package["resources"]}) == 4
    for resource in package["resources"]:
        content = (tmp_path / "a" / resource["path"]).read_bytes()
        assert resource["bytes"] == len(content)
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert pl.read_parquet(tmp_path / "a" / "countries.parquet").equals(by_country().frame)
    csv = pl.read_csv(tmp_path / "a" / "countries.csv")
    assert csv.columns == [f["name"] for f in package["resources"][2]["schema"]["fields"]]
    assert csv["sessions"].to_list() == by_country().frame["sessions"].to_list()
    assert csv.filter("withheld")["sessions"].null_count() == by_country().withheld


def test_a_category_is_no_formula_in_the_csv(tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://example.org";"x")'
    reports.export_releases([made("b", ("browser",), {(evil,): 50, ("-1+2",): 40})], tmp_path, "t")
    firsts = pl.read_csv(tmp_path / "b.csv")["browser"].to_list()
    assert firsts == ["'-1+2", f"'{evil}", "Total"]
    assert evil in pl.read_parquet(tmp_path / "b.parquet")["browser"].to_list()


def test_the_manifest_holds_every_file_and_fingerprints(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.txt").write_bytes(b"x")
    one = reports.manifest(tmp_path, "2026Q3", {"b": 1, "a": 2}, {"log": "sha256:0"}, seed=7)
    reports.write_json(tmp_path / "manifest.json", one)
    two = reports.manifest(tmp_path, "2026Q3", {"a": 2, "b": 1}, {"log": "sha256:0"}, seed=7)
    assert one == two
    assert one["files"] == {"sub/x.txt": {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}}
    assert one["parameters"]["sha256"] != reports.manifest(tmp_path, "2026Q3", {"a": 3}, {})["parameters"]["sha256"]
    assert {"python", "polars", "altair"} <= set(one["versions"])


def test_a_run_takes_the_place_of_the_one_before_in_one_step(tmp_path: Path) -> None:
    final = tmp_path / "outputs" / "2026Q3"
    for text in ("old", "new"):
        assert reports.write_run(final, lambda new, text=text: (new / text).write_text(text) and None) == final
        assert [p.name for p in final.iterdir()] == [text]
    assert [p.name for p in final.parent.iterdir()] == ["2026Q3"]
    assert stat.S_IMODE(final.stat().st_mode) & 0o700 == 0o700


def test_a_failed_run_touches_nothing_and_keeps_the_failed_notebook(tmp_path: Path) -> None:
    final = tmp_path / "2026Q3"
    reports.write_run(final, lambda new: (new / "old").write_text("old") and None)

    def build(new: Path) -> None:
        (new / "half").write_text("half")
        source = notebook(tmp_path / "n.ipynb", "raise ValueError('x')")
        reports.run_notebook(source, new / "notebooks" / "n.ipynb", {}, tmp_path)

    with pytest.raises(NotebookFailed) as failure:
        reports.write_run(final, build)
    kept = tmp_path / ".2026Q3.failed" / "n.ipynb"
    assert str(kept) in str(failure.value)
    assert kept.is_file()
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [p.name for p in final.iterdir()] == ["old"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".2026Q3.failed", "2026Q3", "n.ipynb"]
    reports.write_run(final, lambda new: (new / "good").write_text("x") and None)
    assert not kept.exists()


def test_the_custom_mime_type_is_one_that_nbformat_takes(executed: Path) -> None:
    nbformat.validate(nbformat.read(executed, as_version=4))
    assert charts.MIME.endswith("+json")

"""The promises from registers to reports: what was planted in the sample is found, mended, shown, and nothing else."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import stat
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from company import company, line, people
from privacy_metrics import assessment, cli, controls, exemption, promises, sample, workbook
from privacy_metrics.cli import app
from privacy_metrics.params import Params, ParamsError, Period
from privacy_metrics.sample_registers import PLANTED

OWN = Path(__file__).parents[1] / "params"
TABLES = "tables: [{name: sessions_by_month, title: Sessions by month, dimensions: [month]}]"
LABELS = ("2026Q1", "2026Q2", "2026Q3")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Params:
    """The sample company with little traffic, its three quarters collected and made into releases."""
    root = tmp_path_factory.mktemp("company")
    sample.make_sample(root / "sample", lines=2_500)
    shutil.copytree(OWN, root / "params")
    (root / "params" / "tables.yaml").write_text(TABLES, "utf-8")
    (root / "params" / "reports.yaml").write_text("reports: {history: 3}", "utf-8")
    logs = b"".join(gzip.decompress(p.read_bytes()) for p in sorted((root / "sample" / "logs").glob("*-08-*")))
    seen = sorted(set(re.findall(r" (nl-[0-9]+) ", logs.decode("utf-8", "replace"))))[:3]
    with (root / "sample" / "registers" / "excluded_accounts.csv").open("a") as file:
        file.write("".join(f"{account},objected,2026-08-01,\n" for account in seen))
    params = Params.load(root / "params")
    for label in LABELS:
        workbook.collect(params, Period.parse(label))
        workbook.prepare(params, Period.parse(label))
    return params


@pytest.fixture(scope="module")
def book(made: Params) -> workbook.Workbook:
    return workbook.open_workbook("2026Q3", str(made.folder))


def results(params: Params, label: str) -> dict[str, controls.Result]:
    return {r.promise: r for r in controls.load(params.confidential(Period.parse(label)))}


def verdicts(result: controls.Result) -> set[str]:
    return {layer.verdict for layer in result.layers.values()}


# ---- the sample -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", sorted(PLANTED))
def test_a_planted_promise_breaks_in_its_quarter_and_is_mended_in_the_next(made: Params, promise: str) -> None:
    period = Period.parse(PLANTED[promise])
    assert "broken" in verdicts(results(made, period.label)[promise])
    after = Period(period.end, 3).label
    if after in LABELS and promise != "N29":  # requests of the sample are late in every quarter
        assert "broken" not in verdicts(results(made, after)[promise])


def test_in_one_quarter_a_third_of_the_promises_are_broken_and_what_rests_on_no_request_was_planted(
    made: Params,
) -> None:
    found = results(made, "2026Q2")
    broken = [name for name, result in found.items() if "broken" in verdicts(result)]
    assert len(broken) >= len(found) / 3
    alone = {n for n in broken if "requests" not in [register for register, *_ in found[n].evidence]}
    assert alone == {n for n, label in PLANTED.items() if label == "2026Q2"} - {"N01"}


def test_a_third_of_the_controls_have_exceptions_planted_in_one_quarter(made: Params) -> None:
    found = results(made, "2026Q2")
    planted = {found[name].control for name, label in PLANTED.items() if label == "2026Q2"}
    assert len(planted) >= len({result.control for result in found.values()}) / 3


def test_every_promise_of_the_sample_has_evidence(made: Params) -> None:
    assert [n for label in LABELS for n, r in results(made, label).items() if "no evidence" in verdicts(r)] == []


def test_the_registers_in_the_confidential_zone_are_private_and_hold_no_reference_to_a_person(made: Params) -> None:
    zone = made.confidential(Period.parse("2026Q3"))
    paths = sorted(zone.glob("register_*.parquet"))
    assert len(paths) == 31
    for path in [*paths, zone / "exceptions.parquet", zone / "controls.json"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = pl.read_parquet(zone / "register_consents.parquet").write_csv()
    assert "s0004" not in kept
    assert "2026Q3-d" not in kept


# ---- what is wrong with the parameters or a register ----------------------------------------------------------------


def changed(made: Params, folder: Path, change: Any, name: str = "notice") -> Params:
    shutil.copytree(made.folder, folder / "params")
    path = folder / "params" / f"{name}.yaml"
    content = yaml.safe_load(path.read_text("utf-8"))
    change(content[name])
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    return Params.load(folder / "params")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"control": "nothing"}, "params/notice.yaml: notice.promises N17: control is 'nothing'; there is no such"),
        ({"registers": ["nowhere"]}, "notice.promises N17: registers 'nowhere' is no register; there are "),
        ({"registers": ["consents"]}, "are consents; the control transfer-safeguards reads transfers, in this order"),
        ({"options": {"days": 3}}, "options 'days' is no option of the control transfer-safeguards; it has mechanisms"),
        ({"tolerance": 2}, "tolerance: is 2; Input should be less than 1"),
    ],
)
def test_a_promise_that_can_not_be_measured_is_a_clear_error_at_the_start(
    made: Params, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        changed(made, tmp_path, lambda notice: next(p for p in notice["promises"] if p["id"] == "N17").update(change))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"check": "magic"},
            "params/exemption.yaml: exemption.conditions trackers: check is 'magic'; there is no such",
        ),
        ({"options": {}}, "exemption.conditions trackers: options.most_months: Field required"),
        ({"options": {"most_months": "long"}}, "options.most_months: Input should be a valid integer"),
    ],
)
def test_a_condition_that_can_not_be_shown_is_a_clear_error_at_the_start(
    made: Params, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    def alter(section: dict[str, Any]) -> None:
        next(c for c in section["conditions"] if c["id"] == "trackers").update(change)

    with pytest.raises(ParamsError) as caught:
        changed(made, tmp_path, alter, "exemption")
    assert said in str(caught.value)


MORE = """  as_of: 2026-10-01
  registers: {{vendors: {{path: vendors.csv}}, contracts: {{path: contracts.csv}}}}
notice:
  version: "1"
  groups: {{customer: Customers}}
  regions: {{eu: [{{countries: [FI], from: 1995-01-01, source: Accession Treaty}}]}}
  promises:
    - {{id: P, quote: "{quote}", law: GDPR Art. 28, control: processor-contracts, registers: [vendors, contracts]}}
"""


def another(root: Path, contracts: str, quote: str = "binding commitments", more: str = "") -> Params:
    root.mkdir(exist_ok=True)
    rows = "".join(f"v{n},US,2025-01-01,\n" for n in range(3))
    (root / "vendors.csv").write_text("vendor_id,country,access_from,access_until\n" + rows, "utf-8")
    (root / "contracts.csv").write_text(contracts, "utf-8")
    return company(root, people(30), more=MORE.format(quote=quote) + more)


HEAD = "contract_id,vendor_id,signed_on,ends_on,purposes,instructions_clause,security_clause\n"
SIGNED = HEAD + "".join(f"k{n},v{n},2024-01-01,,,true,true\n" for n in range(3))


def opened(params: Params) -> workbook.Workbook:
    workbook.collect(params, Period.parse("2026Q3"))
    workbook.prepare(params, Period.parse("2026Q3"))
    return workbook.open_workbook("2026Q3", str(params.folder))


def test_another_companys_notice_is_another_file(tmp_path: Path) -> None:
    kept = opened(another(tmp_path / "kept", SIGNED))
    assert [s.verdict for s in promises.standings(kept)] == ["kept"]
    assert promises.verdict(kept) == "Of 1 promises 1 are kept, 0 broken, 0 at risk, 0 without evidence"
    broken = opened(another(tmp_path / "broken", SIGNED.rsplit("k2", 1)[0]))
    found = promises.standings(broken)[0]
    assert (found.verdict, found.cases, found.exceptions) == ("broken", 3, {"notice": 1, "law": 1})


def test_a_register_that_cant_be_read_is_no_evidence_and_stops_nothing(tmp_path: Path) -> None:
    book = opened(another(tmp_path, HEAD + "k,SECRET vendor,soon,,,true,true\n"))
    found = promises.standings(book)[0]
    assert (found.verdict, found.reason) == ("no evidence", "contracts: it could not be read")
    note = next(n for n in book.notes if "contracts" in n)
    assert "sources.registers.contracts is no evidence: contracts.csv: row 2: signed_on" in note
    assert "SECRET" not in note


def test_a_register_in_a_database_that_is_away_is_no_evidence_until_it_is_back(tmp_path: Path) -> None:
    here = SIGNED.replace("v0", "SECRET")
    asked = "contracts: {database: {kind: sqlite, path: r.db}, query: SELECT * FROM r, kind: contracts}"
    another(tmp_path, "")
    text = (tmp_path / "params" / "company.yaml").read_text("utf-8")
    (tmp_path / "params" / "company.yaml").write_text(text.replace("contracts: {path: contracts.csv}", asked), "utf-8")
    params, period = Params.load(tmp_path / "params"), Period.parse("2026Q3")

    away = workbook.collect(params, period)
    assert away["account"]["used"] == 30
    assert away["registers"]["contracts"]["problem"].endswith("r.db: no such file")
    assert [note for note in away["register_notes"] if "sources.registers.contracts is no evidence" in note]
    assert [s.verdict for s in promises.standings(opened(params))] == ["no evidence"]
    assert workbook.collect(params, period) == away

    pl.read_csv(here.encode(), infer_schema=False).write_database("r", f"sqlite:///{tmp_path / 'r.db'}", engine="adbc")
    back = workbook.collect(params, period)
    assert (back["registers"]["contracts"]["problem"], back["register_notes"]) == ("", [])
    assert back["account"] == away["account"]
    (tmp_path / "r.db").unlink()
    assert workbook.collect(params, period)["register_notes"] == away["register_notes"]
    assert "SECRET" not in json.dumps(away)


def test_what_a_notice_says_is_only_ever_text(tmp_path: Path) -> None:
    words = "<script>alert(1)</script> [x](javascript:1) | *y*"
    book = opened(another(tmp_path, HEAD, quote=words))
    html, text = promises.matrix(book)._repr_html_(), promises.sections(book)._repr_markdown_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "> \\<script\\>" in text
    assert "[x](" not in text


def test_the_rows_to_mend_are_listed_for_who_may_read_the_register(
    made: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.out, "width", 200)
    told = CliRunner().invoke(app, ["exceptions", "N18", "2026Q2", "--params", str(made.folder)])
    assert told.exit_code == 0
    row = controls.exceptions_of("N18", made.confidential(Period.parse("2026Q2"))).row(0, named=True)
    source = pl.read_csv(made.root / "sample" / "registers" / "vendors.csv")
    assert source["vendor_id"][row["row"] - 2] == "translations"
    assert f" {row['row']} " in told.output
    unknown = CliRunner().invoke(app, ["exceptions", "N99", "2026Q2", "--params", str(made.folder)])
    assert "no promise of the notice has the id or control 'N99'" in str(unknown.exception)


OUTPUTS = """  as_of: 2026-10-01
  registers: {{analytics_outputs: {{path: outputs.csv, may_be_empty: {empty}}}}}
disclosure: {{threshold: {threshold}}}
tables: [{{name: sessions_by_month, title: Sessions by month, dimensions: [month]}}]
notice:
  version: "1"
  groups: {{customer: Customers}}
  regions: {{eu: [{{countries: [FI], from: 1995-01-01, source: Accession Treaty}}]}}
  promises:
    - {{id: T, quote: only aggregated, control: aggregate-trends, registers: [analytics_outputs],
       options: {{fewest: 8}}}}
"""
OUTPUT = "o1,2026-08-03,aggregate,20,\n"


@pytest.mark.parametrize(
    ("threshold", "rows", "empty", "verdict", "cases", "exceptions"),
    [
        (7, OUTPUT, "false", "broken", 2, 1),  # the report shows a cell of seven people, and the promise says eight
        (8, OUTPUT, "false", "kept", 1, 0),  # the cell is withheld, so the table shows nobody
        (7, "", "true", "broken", 1, 1),
        (7, "", "false", "no evidence", 0, 0),  # nobody says what else was made
    ],
)
def test_the_reports_own_tables_are_outputs_of_trend_analysis(
    tmp_path: Path, threshold: int, rows: str, empty: str, verdict: str, cases: int, exceptions: int
) -> None:
    (tmp_path / "outputs.csv").write_text("output_id,made_on,level,fewest_people,justified\n" + rows, "utf-8")
    book = opened(company(tmp_path, people(7), more=OUTPUTS.format(threshold=threshold, empty=empty)))
    found = promises.standings(book)[0]
    assert (found.verdict, found.cases, found.exceptions["notice"]) == (verdict, cases, exceptions)
    assert ("1 of the exceptions are usage tables of this report" in found.reason) == (verdict == "broken")
    assert book["promises_verdicts"].value("promises", verdict=verdict) == 1


def quarters(root: Path) -> Params:
    """A company of four quarters: a vendor's contract lapsed in the second one, and one of 2025 has no contract yet."""
    contracts = HEAD + "k0,v0,2024-01-01,2026-02-14,,true,true\nk9,v0,2026-04-02,,,true,true\n"
    contracts += "k1,v1,2024-01-01,,,true,true\nk2,v2,2025-11-03,2026-10-20,,true,true\n"
    params = another(root, contracts)
    days = ("15/Nov/2025", "15/Feb/2026", "15/May/2026", "15/Aug/2026")
    lines = [line(f"{day}:09:00:00 +0200", user=f"user{n}") for day in days for n in range(12)]
    (root / "logs" / "a.log").write_text("".join(text + "\n" for text in lines), "utf-8")
    return params


def test_movement_over_four_quarters_is_told_from_what_each_of_them_found(tmp_path: Path) -> None:
    params = quarters(tmp_path)
    labels = ("2025Q4", "2026Q1", "2026Q2", "2026Q3")
    for label in labels:
        workbook.collect(params, Period.parse(label))
        workbook.prepare(params, Period.parse(label))
    book = workbook.open_workbook("2026Q3", str(params.folder))
    # v2 had access for a month before it signed; v0 for weeks after its contract ended, up to 2 April; v2's ends soon
    wanted = [("broken", 1), ("broken", 1), ("broken", 1), ("at risk", 0)]
    past = promises.history(book)
    assert list(past) == list(labels)
    assert [(past[label]["P"].verdict, past[label]["P"].exceptions["law"]) for label in labels] == wanted
    assert [results(params, label)["P"].layers["law"].since and str(results(params, label)["P"].layers["law"].since)
            for label in labels] == ["2025-10-01", "2026-02-15", "2026-04-01", None]  # fmt: skip
    assert repr(promises.matrix(book)).endswith("2025Q4 broken 2026Q1 broken 2026Q2 broken 2026Q3 at risk")
    html = promises.matrix(book)._repr_html_()
    assert re.findall(r'class="pm-moved">(\d{4}Q\d)<', html) == list(labels)
    assert re.findall(r'pm-moved pm-[a-z-]+">(.)<', html) == ["✕", "✕", "✕", "!"]
    text = promises.sections(book)._repr_markdown_()
    trend = [row for row in text.splitlines() if row.startswith("| ") and " 202" in row]
    assert trend == [
        "| October to December 2025 | 3 | 1 | 1 | broken |", "| January to March 2026 | 3 | 1 | 1 | broken |",
        "| April to June 2026 | 3 | 1 | 1 | broken |", "| July to September 2026 | 3 | 0 | 0 | at risk |",
    ]  # fmt: skip
    told = assessment.document(book).promises[0].history
    assert [(one.period, one.verdict) for one in told] == [(a, b[0]) for a, b in zip(labels, wanted, strict=True)]
    assert [(c.before, c.now) for c in promises.changes(book)[1]] == [("broken", "at risk")]


# ---- the reports ----------------------------------------------------------------------------------------------------


def test_the_first_page_counts_every_promise_once_by_its_worst_verdict(made: Params, book: workbook.Workbook) -> None:
    found = [controls.results.whole(r) for r in results(made, "2026Q3").values()]
    cards = {card.label: card for card in promises.cards(book)}
    for verdict, name in (("kept", "Kept"), ("broken", "Broken"), ("at risk", "At risk")):
        assert cards[name].value == str(found.count(verdict))
    before = [controls.results.whole(r) for r in results(made, "2026Q2").values()]
    step = found.count("kept") - before.count("kept")
    assert cards["Kept"].change == f"+{step} against {before.count('kept')} in April to June 2026"


def test_what_changed_is_what_differs_from_the_quarter_before(made: Params, book: workbook.Workbook) -> None:
    before, changes = promises.changes(book)
    now, then = results(made, "2026Q3"), results(made, "2026Q2")
    whole = controls.results.whole
    assert before == "2026Q2"
    assert {(c.promise.id, c.before, c.now) for c in changes} == {
        (n, whole(then[n]), whole(r)) for n, r in now.items() if whole(r) != whole(then[n])
    }
    assert {"N04", "N07", "N18", "N45"} <= {c.promise.id for c in changes if c.better}
    assert {"N09", "N23"} <= {c.promise.id for c in changes if not c.better}


def test_the_matrix_and_the_sections_say_what_the_results_say(made: Params, book: workbook.Workbook) -> None:
    html, text = promises.matrix(book)._repr_html_(), promises.sections(book)._repr_markdown_()
    assert html.count("<tr>") == 1 + len(results(made, "2026Q3"))
    for name, result in results(made, "2026Q3").items():
        verdict = controls.results.whole(result)
        assert (f"### {name.replace('.', chr(92) + '.').replace('-', chr(92) + '-')} " in text) == (
            verdict in promises.NOT_KEPT
        ), name
    assert "the first on 2 September 2026" in text
    assert "| April to June 2026 | 4 | 0 | kept |\n| July to September 2026 | 4 | 1 | broken |" in text


def test_a_year_of_quarters_is_shown_and_one_that_is_not_collected_is_left_out(book: workbook.Workbook) -> None:
    looked_at = [period.label for period in book.period.history(book.params.reports.history)]
    assert looked_at == ["2025Q4", *LABELS]
    assert tuple(promises.matrix(book).periods) == LABELS


def test_figures_without_a_verdict_are_shown_by_period_with_the_share_of_what_they_are_a_part_of(
    book: workbook.Workbook,
) -> None:
    text = promises.measures(book)._repr_markdown_()
    now = {s.promise.id: s.figures for s in promises.standings(book)}["N44.two-factor"]
    all_, part = now["accounts"], now["two-factor of accounts"]
    assert all_
    assert part
    row = next(line for line in text.splitlines() if "two\\-factor of accounts" in line)
    assert row.count(" %)") == len(book.periods())
    assert row.endswith(f" {part:,} ({100 * part / all_:.0f} %) |")
    pauses = {s.promise.id: s.figures for s in promises.standings(book)}["N36.pauses"]
    days, paused = pauses["days per paused"], pauses["paused of requests"]
    assert days
    assert paused
    row = next(line for line in text.splitlines() if "days per paused" in line)
    assert row.endswith(f" {days} ({days / paused:.1f} each) |")


def test_for_publication_small_counts_are_withheld_and_no_day_of_an_exception_is_told(
    made: Params, tmp_path: Path
) -> None:
    shutil.copytree(made.folder, tmp_path / "params")
    (tmp_path / "sample").symlink_to(made.root / "sample")
    path = tmp_path / "params" / "disclosure.yaml"
    path.write_text(path.read_text("utf-8").replace("audience: internal", "audience: public"), "utf-8")
    book = opened(Params.load(tmp_path / "params"))
    found = {s.promise.id: s for s in promises.standings(book)}
    assert "promises_since" not in book.releases
    assert all(not s.since for s in found.values())
    assert found["N23"].verdict == "broken"
    assert found["N23"].most is None
    assert found["N23"].cases is None
    counts = book["promises_people"].frame.filter(~pl.col("withheld"), pl.col("cases") > 0)["cases"]
    assert counts.min() >= 10  # type: ignore[operator]
    # Of twenty days of pause, and of those who waited: a sum is about the people behind it.
    pauses = found["N36.pauses"].figures
    assert results(made, "2026Q3")["N36.pauses"].figures["days per paused"] >= 10
    assert pauses["requests"]
    assert (pauses["paused of requests"], pauses["days per paused"]) == (None, None)


# ---- for other programs ---------------------------------------------------------------------------------------------


def test_controls_json_fits_its_schema_and_a_wrong_one_does_not(book: workbook.Workbook, tmp_path: Path) -> None:
    written = {path.name: json.loads(path.read_text("utf-8")) for path in assessment.write(book, tmp_path)}
    assert set(written) == {"controls.json", "controls.schema.json", "controls-oscal.json"}
    schema, told = written["controls.schema.json"], written["controls.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    validator.validate(told)
    assert len(told["promises"]) == 63
    broken = next(p for p in told["promises"] if p["id"] == "N09")
    assert broken["layers"]["notice"] == {"verdict": "broken", "exceptions": 1, "since": "2026-09-02"}
    assert [h["verdict"] for h in broken["history"]] == ["kept", "kept", "broken"]
    for wrong in ({"verdict": "fine"}, {"cases": "many"}, {"more": 1}, {"history": [{"period": "2026Q3"}]}):
        assert not validator.is_valid(told | {"promises": [broken | wrong]}), wrong
    again = tmp_path / "again"
    again.mkdir()
    assert [p.read_bytes() for p in assessment.write(book, again)] == [
        p.read_bytes() for p in sorted(tmp_path.glob("*.json"), key=lambda p: list(written).index(p.name))
    ]


# The data types of the JSON schema of OSCAL 1.1.3, and which of them a field has.
STRING, TOKEN = r"\S(.*\S)?", r"[^\W\d][\w.\-]*"
UUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[45][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
TYPES = {
    "uuid": UUID, "observation-uuid": UUID, "name": TOKEN, "target-id": TOKEN, "control-id": TOKEN, "state": TOKEN,
    "reason": TOKEN, "value": STRING, "version": STRING, "oscal-version": STRING, "start": MOMENT, "end": MOMENT,
    "collected": MOMENT, "last-modified": MOMENT,
}  # fmt: skip


def misfits(content: Any, name: str = "") -> list[str]:
    """The fields of an OSCAL document whose text is not of their type, and lists that hold nothing."""
    if isinstance(content, dict):
        return [wrong for key, value in content.items() for wrong in misfits(value, key)]
    if isinstance(content, list):
        return [name] * (not content) + [wrong for value in content for wrong in misfits(value, name)]
    return [] if re.fullmatch(TYPES.get(name, "(?s:.*)"), content) else [name]


def test_the_oscal_results_are_of_the_types_of_the_version_that_they_name(book: workbook.Workbook) -> None:
    told = assessment.oscal(book)
    assert told["assessment-results"]["metadata"]["oscal-version"] == "1.1.3"
    assert misfits(told) == []
    observation = told["assessment-results"]["results"][0]["observations"][0]
    for name, wrong in (("uuid", "7"), ("collected", "2026-10-01"), ("methods", [])):
        assert misfits(observation | {name: wrong}) == [name]
    assert misfits({"props": assessment._props({"owner": " Privacy \n office", "cases": None, "reason": "  "})}) == []
    assert misfits({"value": "Privacy \n office", "name": "2 cases"}) == ["value", "name"]


def test_the_oscal_results_refer_to_what_is_there(book: workbook.Workbook) -> None:
    told = assessment.oscal(book)["assessment-results"]
    result = told["results"][0]
    identifiers = [told["uuid"], result["uuid"]]
    identifiers += [one["uuid"] for one in (*result["observations"], *result["findings"])]
    identifiers += [one["uuid"] for one in told["back-matter"]["resources"]]
    assert len(set(identifiers)) == len(identifiers)
    assert {uuid.UUID(one).version for one in identifiers} == {5}
    assert told["import-ap"]["href"] == "#" + told["back-matter"]["resources"][0]["uuid"]
    observed = {one["uuid"] for one in result["observations"]}
    states = {}
    for finding in result["findings"]:
        assert finding["related-observations"][0]["observation-uuid"] in observed
        states[finding["target"]["target-id"]] = finding["target"]["status"]
    assert states["N09"] == {"state": "not-satisfied", "reason": "fail"}
    assert states["N07"] == {"state": "satisfied", "reason": "pass"}
    assert states["N44"] == {"state": "not-satisfied", "reason": "other"}
    assert "N46" not in states
    assert result["start"] == "2026-07-01T00:00:00+03:00"
    assert result["end"] == "2026-09-30T23:59:59+03:00"


# ---- the exemption --------------------------------------------------------------------------------------------------


def test_every_condition_of_the_sample_has_a_value_and_a_proof(book: workbook.Workbook) -> None:
    rows = {r["condition"]: r for r in book["exemption"].frame.iter_rows(named=True)}
    assert {name for name, r in rows.items() if r["finding"] == "stated"} == {"own-account", "information"}
    assert {name for name, r in rows.items() if r["finding"] == "holds"} == set(rows) - {"own-account", "information"}
    assert all(r["value"] and r["proof"] for r in rows.values())
    lines = sum(book["line_account"].value("lines", line=reason) or 0 for reason in ("objected", "restricted"))
    assert rows["objections"]["value"] == f"{lines:,} log lines left out"
    assert lines > 0


def facts(params: Params, **changed: Any) -> exemption.Facts:
    zone = params.confidential(Period.parse("2026Q3"))
    frames = workbook.sessions(params, Period.parse("2026Q3"))
    record = json.loads((zone / "collect.json").read_text("utf-8"))
    plain: dict[str, Any] = {"params": params, "period": Period.parse("2026Q3"), "zone": zone, "frames": frames,
                             "record": record, "tables": [], "releases": {}, "audit": None}  # fmt: skip
    return exemption.Facts(**(plain | changed))


def test_each_condition_that_is_violated_is_found(made: Params) -> None:
    plain = facts(made)
    sessions = plain.frames["sessions"]

    def shown(check: str, facts_: exemption.Facts = plain, **options: Any) -> bool | None:
        return exemption.CHECKS[check].look(facts_, **options).holds

    def with_sessions(**columns: pl.Expr) -> exemption.Facts:
        return facts(made, frames={**plain.frames, "sessions": sessions.with_columns(**columns)})

    assert shown("purpose", activities=("usage-statistics",), purposes=("quality",)) is True
    assert shown("purpose", activities=("usage-statistics", "newsletter"), purposes=("quality",)) is False
    assert shown("purpose", activities=("nothing",), purposes=("quality",)) is None
    assert shown("no-joins") is True
    person = pl.read_parquet(plain.zone / "register_consents.parquet")["subject_ref"][0]
    assert shown("no-joins", with_sessions(visitor=pl.lit(person, pl.UInt64))) is False
    assert shown("own-site") is True
    assert shown("own-site", with_sessions(referrer_site=pl.lit("other.example/page"))) is False
    assert shown("tracker-lifetime", most_months=13) is True
    assert shown("tracker-lifetime", most_months=2) is False
    assert shown("tracker-lifetime", most_months=13, cookies=("stats_id",)) is True
    assert shown("tracker-lifetime", most_months=12, cookies=("stats_id",)) is False
    assert shown("tracker-lifetime", most_months=12, cookies=("unseen",)) is None
    assert shown("data-lifetime", most_months=9) is True
    assert shown("data-lifetime", most_months=8) is False
    assert shown("address-truncation", ipv4_bits=16, ipv6_bits=48) is True
    assert shown("address-truncation", ipv4_bits=8, ipv6_bits=48) is False
    leaking = with_sessions(referrer_site=pl.lit("240.1.2.3"))
    assert shown("address-truncation", leaking, ipv4_bits=16, ipv6_bits=48) is False
    assert shown("finest-geography", finest="city") is True
    assert shown("finest-geography", finest="region") is False
    assert shown("finest-geography", with_sessions(postcode=pl.lit("00100")), finest="city") is False
    assert shown("objections") is True
    left = plain.record | {"excluded": {"spans": 1, "remaining": 2}}
    assert shown("objections", facts(made, record=left)) is False
    assert shown("anonymous-statistics") is None


def test_a_published_cell_of_few_people_is_found(made: Params, book: workbook.Workbook) -> None:
    release = book["sessions_by_month"]
    cells = [release.frame.with_columns(people=pl.lit(least, pl.Int64)) for least in (10, 9)]
    for frame, holds in zip(cells, (True, False), strict=True):
        table = workbook.Cells(release.name, "", "2026Q3", release.dimensions, release.measures, frame)
        given = facts(made, tables=[table], releases={release.name: release})
        assert exemption.CHECKS["anonymous-statistics"].look(given).holds is holds

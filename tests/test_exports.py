"""The forms that continuous integration reads: valid, complete, and deaf to hostile texts."""

import html as html_module
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import report_fixture
import schemas
from report_fixture import HOSTILE

from audit import exports, judging
from audit.borders import write_json
from audit.exports import export_of
from audit.types import AuditResult, Waiver

ROOT = Path(__file__).parents[1]
TODAY = date(2026, 11, 24)
RESULTS = {name: make() for name, make in report_fixture.ALL.items()}
WAIVERS = (
    Waiver(claim="swaps.*", reason="known; fixed in 2.1", owner="Ana", expires="2026-12-31"),
    Waiver(claim="swaps.*", reason="too old", owner="Ben", expires="2026-01-31"),
    Waiver(claim="nothing.like_it", reason="a slip", owner="Cy", expires="2027-01-31"),
)
RESULTS["waived"] = replace(
    RESULTS["normal"],
    waivers=WAIVERS,
    verdicts=tuple(
        replace(v, waived_by="Ana, until 2026-12-31: known")
        if v.claim.measurement.startswith("swaps") and v.status == "fail"
        else v
        for v in RESULTS["normal"].verdicts
    ),
)
RESULTS["strict"] = replace(
    RESULTS["normal"], plan=replace(RESULTS["normal"].plan, undecided="fail")
)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


@pytest.fixture(params=sorted(RESULTS))
def export(request):
    return export_of(RESULTS[request.param], today=TODAY)


@pytest.fixture(scope="module")
def junit_schema():
    return schemas.junit()


@pytest.fixture(scope="module")
def sarif_schema():
    from jsonschema import Draft4Validator, FormatChecker

    return Draft4Validator(schemas.sarif(), format_checker=FormatChecker())


# Valid.


def test_junit_is_valid_by_the_schema(export, junit_schema):
    junit_schema.validate(exports.junit(export))


def test_sarif_is_valid_by_the_schema(export, sarif_schema):
    log = json.loads(exports.sarif(export))
    assert [e.message for e in sarif_schema.iter_errors(log)] == []


def test_the_schemas_can_refuse(junit_schema, sarif_schema):
    good = export_of(RESULTS["normal"], today=TODAY)
    broken = exports.junit(good).replace('errors="', 'errorz="')
    assert not junit_schema.is_valid(broken)
    log = json.loads(exports.sarif(good))
    log["runs"][0]["results"][0]["kind"] = "undecided"
    assert list(sarif_schema.iter_errors(log))


def test_sarif_is_read_by_others_without_loss(export):
    """By a model of SARIF 2.1.0 that is not ours: nothing unknown, nothing of another type."""
    from sarif_pydantic import Sarif

    text = exports.sarif(export)
    back = json.loads(Sarif.model_validate_json(text).model_dump_json(by_alias=True))
    assert not list(_lost(json.loads(text), back))
    broken = json.loads(text)
    del broken["runs"][0]["tool"]["driver"]["name"]
    with pytest.raises(ValueError, match=r"driver\.name"):
        Sarif.model_validate(broken)


def _lost(mine, theirs, at=""):
    if isinstance(mine, dict):
        for key, value in mine.items():
            yield from _lost(value, theirs.get(key), f"{at}/{key}")
    elif isinstance(mine, list):
        assert len(mine) == len(theirs), at
        for i, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            yield from _lost(one, other, f"{at}/{i}")
    elif mine != theirs:
        yield at, mine, theirs


def test_junit_is_read_by_others_as_it_counts_itself(export):
    from junitparser import Error, Failure, JUnitXml, Skipped

    suites = list(JUnitXml.fromstring(exports.junit(export).encode()))
    kinds = [type(r) for suite in suites for case in suite for r in case.result]
    for name, kind in (("failures", Failure), ("errors", Error), ("skipped", Skipped)):
        assert sum(getattr(suite, name) for suite in suites) == kinds.count(kind)
    assert sum(suite.tests for suite in suites) == sum(len(list(suite)) for suite in suites)


def test_sarif_keeps_what_the_schema_cannot_say(export):
    """SARIF 2.1.0, 3.27.10: a result that is no fail has the level none; 3.27.5: indices agree."""
    run = json.loads(exports.sarif(export))["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert (result["level"] == "none") == (result["kind"] != "fail")
        assert result["message"]["text"]
    prints = [r["partialFingerprints"]["evenhandClaim/v1"] for r in run["results"]]
    assert len(set(prints)) == len(prints)


def test_gitlab_has_the_documented_form(export):
    """https://docs.gitlab.com/ci/testing/code_quality/: six required keys, five severities."""
    found = json.loads(exports.gitlab(export))
    for entry in found:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["lines"]["begin"] >= 1
        path = entry["location"]["path"]
        assert path and not path.startswith(("./", "/")), "GitLab wants it relative, without ./"
        assert all(isinstance(entry[k], str) and entry[k] for k in ("description", "fingerprint"))
    assert len({entry["fingerprint"] for entry in found}) == len(found)


def test_the_json_verdict_is_json_and_says_the_code(export):
    said = json.loads(exports.verdict_json(export))
    assert said["schema"] == 1 and said["exit_code"] == export.code
    assert len(said["claims"]) == len(export.rows) == sum(said["counts"].values())


def test_the_badge_is_an_image_that_can_be_read_aloud(export):
    root = ET.fromstring(exports.badge(export))
    assert root.get("role") == "img" and root.get("aria-label").startswith("evenhand gates: ")


# Right.


def cases(export):
    found = {}
    for case in ET.fromstring(exports.junit(export)).iter("testcase"):
        kinds = [child.tag for child in case if child.tag != "system-out"]
        found.setdefault(kinds[0] if kinds else "passed", []).append(case.get("name"))
    return found


def test_junit_shows_each_claim_once_as_what_it_is(export):
    found = cases(export)
    counted = {kind: len(names) for kind, names in found.items()}
    waivers = len(export.problems)
    assert counted.get("failure", 0) == export.count("failed")
    assert counted.get("error", 0) == export.count("error") + waivers
    assert counted.get("passed", 0) == export.count("passed")
    assert sum(counted.values()) == len(export.rows) + waivers
    for suite in ET.fromstring(exports.junit(export)).iter("testsuite"):
        for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.get(plural)) == len(list(suite.iter(kind)))


def test_undecided_is_neither_success_nor_failure():
    export = export_of(RESULTS["normal"], today=TODAY)
    open_ = {r.claim for r in export.rows if r.outcome == "undecided"}
    assert open_ and open_ <= set(cases(export)["skipped"])
    kinds = {
        r["message"]["text"].partition(": ")[0]: r["kind"]
        for r in json.loads(exports.sarif(export))["runs"][0]["results"]
    }
    assert {kinds[claim] for claim in open_} == {"open"}


def test_undecided_fails_where_the_audit_says_so():
    export = export_of(RESULTS["strict"], today=TODAY)
    assert export.count("undecided") == 0 and export.code == 1
    open_ = {r.claim for r in export.rows if r.word == "undecided" and r.outcome == "failed"}
    assert open_ and open_ <= set(cases(export)["failure"])


def test_a_crash_is_an_error_and_a_notification():
    export = export_of(RESULTS["crashed"], today=TODAY)
    assert export.count("error") and cases(export)["error"]
    (call,) = json.loads(exports.sarif(export))["runs"][0]["invocations"]
    assert call["executionSuccessful"] is False and call["toolExecutionNotifications"]


def test_a_waived_finding_stays_visible_everywhere():
    export = export_of(RESULTS["waived"], today=TODAY)
    waived = [r for r in export.rows if r.verdict.waived_by]
    assert waived and all(r.outcome == "noted" for r in waived)
    assert {r.claim for r in waived} <= set(cases(export)["skipped"])
    held = [
        r for r in json.loads(exports.sarif(export))["runs"][0]["results"] if r.get("suppressions")
    ]
    assert len(held) == len(waived)
    assert all(r["suppressions"][0]["status"] == "accepted" for r in held)
    for form in (exports.markdown, exports.gitlab, exports.verdict_json):
        assert "Ana" in form(export)


def test_a_waiver_that_no_longer_holds_is_loud_everywhere():
    export = export_of(RESULTS["waived"], today=TODAY)
    assert len(export.problems) == 2
    assert "waiver 1" in cases(export)["error"]
    for form in exports.FORMATS.values():
        if form is not exports.badge:
            said = form(export).replace("<code>", "")
            assert "Ben" in said and "Cy" in said, form.__name__


@pytest.mark.parametrize("name", ["normal", "clear", "crashed", "unjudged", "strict"])
def test_every_form_agrees_with_the_exit_code(name):
    export = export_of(RESULTS[name], today=TODAY)
    assert export.code == judging.exit_code(RESULTS[name], today=TODAY)
    worst = min(
        ({"failed": 1, "error": 2, "undecided": 3}.get(r.outcome, 9) for r in export.rows),
        default=9,
    )
    assert export.code == (0 if worst == 9 else worst)
    for word in ("failure", "error"):
        assert (word in cases(export)) == (
            any(r.outcome == {"failure": "failed", "error": "error"}[word] for r in export.rows)
        )


def test_a_result_points_at_the_line_of_its_gate(tmp_path):
    result = RESULTS["normal"]
    text = "# one\n[model]\n[[gate]]\nmetric = 'a'\n\n [[ gate ]] # two\n[gates]\npolicy = 'x'\n"
    lines = {0: 3, 1: 6, 2: 8, 7: 8}
    for gate, line in lines.items():
        verdict = result.verdicts[0]
        one = replace(
            result,
            plan=replace(result.plan, audit_file=text),
            verdicts=(replace(verdict, claim=replace(verdict.claim, gate=gate)),),
        )
        assert export_of(one, today=TODAY).rows[0].line == line


def test_examples_point_at_the_row_of_the_data_file():
    result = RESULTS["normal"]
    finding = replace(result.findings[0], example_ids=("row-3", "applicant-7"))
    corpora = tuple(replace(c, path="data/my texts.jsonl") for c in result.provenance.corpora)
    one = replace(
        result, findings=(finding,), provenance=replace(result.provenance, corpora=corpora)
    )
    log = json.loads(exports.sarif(export_of(one, today=TODAY)))
    related = next(
        r["relatedLocations"] for r in log["runs"][0]["results"] if "relatedLocations" in r
    )
    first, second = (place["physicalLocation"] for place in related)
    assert first["artifactLocation"]["uri"] == "data/my%20texts.jsonl"
    assert first["region"] == {"startLine": 3} and "region" not in second


def test_fingerprints_survive_a_rerun_and_another_limit():
    def prints(result):
        log = json.loads(exports.sarif(export_of(result, today=TODAY)))
        return {r["partialFingerprints"]["evenhandClaim/v1"] for r in log["runs"][0]["results"]}

    result = RESULTS["normal"]
    other = replace(
        result,
        verdicts=tuple(
            replace(v, because="…", claim=replace(v.claim, limit=0.4, id=f"{v.claim.id}4", gate=3))
            for v in result.verdicts
        ),
    )
    assert prints(result) == prints(other)


# Deaf.

EVIL = RESULTS["hostile"]


def of_form(name):
    export = export_of(EVIL, audit_path="audit.toml", today=TODAY)
    form = exports.FORMATS.get(name) or getattr(exports, name)
    return form(export)


@pytest.mark.parametrize("name", [*exports.FORMATS, "summary", "annotations"])
def test_no_control_character_reaches_a_terminal_or_a_reader(name):
    assert not CONTROL.search(of_form(name))
    of_form(name).encode("utf-8")


def test_hostile_texts_stay_text_in_junit():
    root = ET.fromstring(of_form("junit"))
    tags = {element.tag for element in root.iter()}
    assert tags <= {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "error",
        "skipped",
        "system-out",
    }


def test_markdown_renders_hostile_texts_as_text():
    """Rendered as GitHub does, HTML allowed: only our own elements come out, and no link."""
    from markdown_it import MarkdownIt

    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(of_form("markdown"))
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z!][\w-]*)", html))
    ours = "h3 p table thead tbody tr th td code strong details summary ul li br"
    assert tags <= {*ours.split(), "!--"}
    assert html.count("<!--") == 1
    # The first two hostile texts are short enough to stand whole.
    assert all(text in html_module.unescape(html) for text in HOSTILE[:2])


def test_markdown_holds_no_mention_link_or_table_cell_of_others():
    body = of_form("markdown")
    rows = [line for line in body.splitlines() if line.startswith("| **")]
    assert rows and {line.count("|") for line in rows} == {5}
    spans = re.findall("<code>(.*?)</code>", body)
    assert spans and not any(re.search(r"[^\w &#;]", span) for span in spans)


@pytest.mark.parametrize("budget", [3_000, 60_000])
def test_a_comment_keeps_within_what_the_site_takes_and_counts_the_rest(budget):
    from audit.exports._markdown import page

    export = export_of(report_fixture.large(), today=TODAY)
    said = page(export, budget)
    assert len(said.encode()) <= budget
    assert ("more are in the report" in said) == (said.count("| **") < len(export.rows))


def test_annotations_are_single_commands_with_everything_escaped():
    for line in of_form("annotations").splitlines():
        found = re.fullmatch(
            r"::(error|warning|notice) file=([^,:]*),line=(\d+),title=([^,:]*)::(.*)", line
        )
        assert found, line
        assert "%" not in re.sub("%(25|0D|0A|3A|2C)", "", found[4] + found[5])


def test_annotations_stop_at_what_the_site_shows():
    said = exports.annotations(export_of(report_fixture.large(), today=TODAY)).splitlines()
    assert len(said) == 10 and "11 more claims" in said[-1]


def test_a_name_cannot_command_the_runner(tmp_path, monkeypatch):
    """Everything printed before our own commands stands between stop-commands and its token."""
    from audit.commands import gated

    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    said, _ = gated(EVIL, {}, "audit.toml", github=True)
    first, *rest = said.splitlines()
    token = re.fullmatch(r"::stop-commands::(evenhand-[0-9a-f]{32})", first)[1]
    end = rest.index(f"::{token}::")
    assert not any(token in line for line in rest[:end])
    assert all(line.startswith(("::error", "::warning", "::notice")) for line in rest[end + 1 :])
    assert summary.read_text("utf-8").startswith("<!-- evenhand -->")


def test_the_words_never_used_are_not_used():
    import tomllib

    listed = tomllib.loads((ROOT / "datasets/law/words.toml").read_text("utf-8"))
    words = listed["en"]["words"]
    export = export_of(RESULTS["normal"], today=TODAY)
    said = " ".join(form(export) for form in exports.FORMATS.values()).lower()
    assert words and not [
        w for w in words if re.search(rf"(?<!\w){re.escape(str(w).lower())}(?!\w)", said)
    ]


def test_the_forms_load_nothing_heavy(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(write_json(RESULTS["normal"]))
    heavy = ["torch", "transformers", "textattack", "captum", "nlpaug", "fairlearn", "pandas"]
    files = " ".join(f"'--{name}', {str(tmp_path / name)!r}," for name in exports.FORMATS)
    code = (
        "import sys; from audit.cli import main; "
        f"code = main(['gate', {str(path)!r}, {files} '--github']); "
        f"print([m for m in {[*heavy, 'pyarrow', 'sklearn', 'statsmodels']!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", *exports.FORMATS}


def test_a_result_with_waivers_survives_the_disk():
    from audit.borders import read_json

    result = RESULTS["waived"]
    assert read_json(AuditResult, write_json(result)) == result

"""The same result as CSV, Parquet, model card, bill of materials, statement, PDF; and redacted."""

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
import report_fixture as fixture
import schemas
from test_report import banned

from audit import aiverify, attest, bom, flat, modelcard, pdf, redact, renderings, report
from audit.borders import read_json, write_json
from audit.cells import inert
from audit.cli import main
from audit.errors import Unsupported
from audit.types import AuditResult, Estimate, Response

NAMES = sorted(fixture.ALL)
QUIET = [name for name in NAMES if name != "hostile"]


@pytest.fixture(scope="module")
def results():
    return {name: make() for name, make in fixture.ALL.items()}


@pytest.fixture
def stored(tmp_path, results):
    (tmp_path / "result.json").write_text(write_json(results["normal"]), "utf-8")
    return tmp_path


def measured(result):
    return [m for run in result.runs for m in run.measurements]


@pytest.mark.parametrize("name", NAMES)
def test_the_csv_holds_every_measurement_and_nothing_that_runs(name, results):
    result = results[name]
    table = list(csv.DictReader(io.StringIO(flat.as_csv(result), newline="")))
    assert len(table) == len(measured(result))
    for row, m in zip(table, measured(result), strict=True):
        if isinstance(m.value, Estimate):
            assert float(row["value"]) == m.value.value and int(row["n"]) == m.value.n
            assert float(row["low"]) == m.value.low and float(row["high"]) == m.value.high
        else:
            assert row["value"] == "" and row["absent"] == inert(m.value.code)
        for cell in row.values():
            assert cell[:1] not in ("=", "+", "@", "\t", "\r")
            assert cell[:1] != "-" or float(cell) <= 0
            assert cell.isprintable()


def test_parquet_is_the_same_table_in_the_same_bytes(tmp_path, results):
    import pyarrow.parquet as pq

    for i in (1, 2):
        flat.write_parquet(results["normal"], tmp_path / f"{i}.parquet")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    table = pq.read_table(tmp_path / "1.parquet").to_pylist()
    assert table == flat.rows(results["normal"])


@pytest.mark.parametrize("name", NAMES)
def test_the_bill_of_materials_is_one_by_its_published_schema(name, results):
    import jsonschema
    from referencing import Registry, Resource

    every = schemas.cyclonedx()
    registry = Registry().with_resources(
        [
            (schema["$id"], Resource.from_contents(schema))
            for schema in (every["spdx"], every["jsf-0.82"])
        ]
    )
    validator = jsonschema.Draft7Validator(every["bom-1.6"], registry=registry)
    said = json.loads(bom.bom(results[name]))
    assert [e.message for e in validator.iter_errors(said)] == []
    assert list(validator.iter_errors(said | {"components": [{"type": "poem", "name": 3}]}))
    assert bom.bom(results[name]) == bom.bom(fixture.ALL[name]())
    model = said["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    packages = [c for c in said["components"] if c["type"] == "library"]
    assert len(packages) == len(results[name].provenance.packages)


def test_the_bill_says_each_metric_with_its_interval(results):
    said = json.loads(bom.bom(results["normal"]))["metadata"]["component"]["modelCard"]
    metrics = said["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics and all(
        m["confidenceInterval"].keys() == {"lowerBound", "upperBound"} for m in metrics
    )
    for m in metrics:
        low, high = (float(m["confidenceInterval"][k]) for k in ("lowerBound", "upperBound"))
        assert low <= float(m["value"]) <= high
    assert said["considerations"]["fairnessAssessments"]


@pytest.mark.parametrize("name", NAMES)
def test_the_model_card_is_read_back_by_the_hub(name, results):
    from huggingface_hub import ModelCard

    text = modelcard.model_card(results[name])
    card = ModelCard(text)
    assert card.data.pipeline_tag == "text-classification"
    chosen = modelcard._chosen(results[name])
    kept = card.data.eval_results or []
    assert len(kept) == len(chosen)
    ids = {m.id: e for m, e in chosen}
    for one in kept:
        assert one.metric_value == ids[one.metric_name].value
        assert one.metric_args["low"] == ids[one.metric_name].low
    body = text.split("\n---\n", 1)[1]
    # Between backticks of ours and entities, nobody else's markup is left.
    assert "<script" not in body and "<img" not in body and "](" not in body


def test_a_statement_names_the_files_and_the_claims(stored, results):
    said = attest.statement(results["normal"], stored)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["subject"][0]["name"] == "result.json"
    assert all(re.fullmatch("[0-9a-f]{64}", s["digest"]["sha256"]) for s in said["subject"])
    tests = said["predicate"]
    every = tests["passedTests"] + tests["warnedTests"] + tests["failedTests"]
    assert sorted(every) == sorted(v.claim.id for v in results["normal"].verdicts)
    assert tests["result"] == "FAILED"
    failed = {v.claim.id for v in results["normal"].verdicts if v.status == "fail"}
    waived = {v.claim.id for v in results["normal"].verdicts if v.waived_by or not v.claim.blocking}
    assert failed - waived <= set(tests["failedTests"])


@pytest.mark.parametrize("name", NAMES)
def test_the_ai_verify_form_has_what_its_schema_requires(name, results):
    """Required fields and patterns of aiverify.testresult.schema.json."""
    said = json.loads(aiverify.test_result(results[name]))
    assert {"gid", "cid", "start_time", "time_taken", "test_arguments", "output"} <= set(said)
    for key in ("gid", "cid"):
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-._]*", said[key]) and len(said[key]) <= 128
    arguments = said["test_arguments"]
    assert arguments["mode"] in ("upload", "api")
    assert arguments["modelType"] in ("classification", "regression")
    assert re.match(r"urn:[a-z0-9]+:", arguments["testDataset"])
    assert len(said["output"]["measurements"]) == len(measured(results[name]))


# Redaction.


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_left_and_no_number_is_lost(name, results):
    whole = results[name]
    less = redact.redacted(whole)
    said = write_json(less)
    for case in (c for run in less.runs for c in run.cases):
        assert all(not t or t.startswith("[hidden: ") for t in (case.before, case.after, case.note))
        assert case.example_id.startswith("id-") and case.words == ()
    for run in whole.runs:
        for case in run.cases:
            for text in (case.before, case.after, case.note):
                # The hostile fixture has the same strings for names, which stay.
                if len(text) > 12 and name != "hostile":
                    assert json.dumps(text, ensure_ascii=False)[1:-1] not in said
    # Half a surrogate pair comes back as a visible escape.
    assert name == "hostile" or read_json(AuditResult, said) == less
    assert [m.value for m in measured(less) if isinstance(m.value, Estimate)] == [
        m.value for m in measured(whole) if isinstance(m.value, Estimate)
    ]
    assert [v.status for v in less.verdicts] == [v.status for v in whole.verdicts]
    assert report.render(less)


def test_a_hash_lets_an_auditor_find_the_text_again(results):
    import hashlib

    case = next(c for run in results["normal"].runs for c in run.cases)
    less = next(c for run in redact.redacted(results["normal"]).runs for c in run.cases)
    assert hashlib.sha256(case.before.encode()).hexdigest() in less.before
    assert f"{len(case.before):,} characters" in less.before


def test_evidence_of_a_finding_still_finds_its_cases(results):
    less = redact.redacted(results["normal"])
    shown = {c.example_id for run in less.runs for c in run.cases}
    named = [i for f in less.findings for i in f.example_ids]
    assert named and set(named) & shown


@pytest.mark.parametrize(
    "text",
    [
        "write to jane.doe@example.org today",
        "see https://example.org/u/jane?id=3",
        "call +44 20 7946 0958 now",
        "on 192.168.17.4 it ran",
        "card 4111 1111 1111 1111 charged",
        "IBAN DE89 3704 0044 0532 0130 00",
        "key sk-abcdefghijklmnopqrst12345",
        "ghp_abcdefghijklmnopqrstuvwxyz123456",
        "in /home/jane/secret/model",
        r"in C:\Users\jane\model",
    ],
)
def test_what_points_at_a_person_goes(text):
    said = redact.scrubbed(text)
    assert "[hidden:" in said
    for part in ("jane", "7946", "17.4", "4111 1111", "3704", "abcdefghij"):
        assert part not in said


@pytest.mark.parametrize(
    "text", ["p = 0.0036 of m = 9, alpha 0.05", "1,812 texts on 2026-11-23", "ratio 0.123456"]
)
def test_numbers_of_the_audit_stay(text):
    assert redact.scrubbed(text) == text


def test_operator_host_owner_and_paths_are_hidden(results):
    origin = replace(
        results["normal"].provenance,
        operator="Jane Doe",
        model_name="/srv/people/jane/model",
        scope={"contact": "jane@example.org"},
        responses={"F-1": Response(response="ask jane@example.org", owner="Jane Doe")},
    )
    said = write_json(redact.redacted(replace(results["normal"], provenance=origin)))
    assert not re.search("jane|Jane|audit-2", said)


# The command, and words.


def test_the_shared_profile_is_redacted_unless_somebody_says_otherwise(stored, results):
    text = next(c.before for run in results["normal"].runs for c in run.cases if len(c.before) > 20)
    out = stored / "out.json"
    for options, there in (
        ([], True),
        (["--profile", "shared"], False),
        (["--redact"], False),
        (["--profile", "shared", "--no-redact"], True),
    ):
        assert main(["report", str(stored), "--json", str(out), *options]) == 0
        assert (text in out.read_text("utf-8")) is there
    assert main(["report", str(stored), "--profile", "secret"]) == 2


def test_the_command_writes_what_is_asked_for_and_only_that(stored, capsys):
    wanted = {
        "--markdown": "a.md",
        "--model-card": "b.md",
        "--csv": "c.csv",
        "--parquet": "d.parquet",
        "--bom": "e.json",
        "--in-toto": "f.json",
        "--ai-verify": "g.json",
    }
    asked = [part for k, v in wanted.items() for part in (k, str(stored / "o" / v))]
    assert main(["report", str(stored), *asked]) == 0
    assert sorted(p.name for p in (stored / "o").iterdir()) == sorted(wanted.values())
    assert not (stored / "report.html").exists()
    assert capsys.readouterr().out.count(": ") >= len(wanted)


def test_without_a_browser_the_pdf_is_said_to_be_missing(stored, capsys, monkeypatch):
    monkeypatch.setenv(pdf.VARIABLE, "no-such-program")
    asked = ["--pdf", str(stored / "r.pdf"), "--csv", str(stored / "r.csv")]
    assert main(["report", str(stored), *asked]) == 0
    said = capsys.readouterr().out
    assert "pdf: not run. The PDF was not made, because no Chromium" in said
    assert (stored / "r.csv").exists() and not (stored / "r.pdf").exists()


def test_the_pdf_is_tagged_and_has_an_outline(stored):
    try:
        pdf.browser()
    except Unsupported as why:
        pytest.skip(str(why))
    assert main(["report", str(stored), "--pdf", str(stored / "r.pdf")]) == 0
    body = (stored / "r.pdf").read_bytes()
    assert body.startswith(b"%PDF-")
    assert b"/StructTreeRoot" in body and b"/MarkInfo" in body
    assert b"/Outlines" in body and b"/Lang" in body
    if shutil.which("pdfinfo"):
        said = subprocess.run(
            ["pdfinfo", str(stored / "r.pdf")], capture_output=True, text=True, check=True
        ).stdout
        assert re.search(r"Tagged:\s+yes", said)


@pytest.mark.parametrize("name", QUIET)
@pytest.mark.parametrize("form", ["markdown", "model card", "bom", "csv", "AI Verify", "in-toto"])
def test_no_form_says_a_banned_word(name, form, results, tmp_path):
    (tmp_path / "result.json").write_text(write_json(results[name]), "utf-8")
    renderings.FORMS[form](results[name], tmp_path, tmp_path / "made")
    said = (tmp_path / "made").read_text("utf-8")
    # What stands in code marks, and names of packages, are others' words.
    said = re.sub(r"<code>.*?</code>", " ", said)
    own = re.sub(r'"(?:name|purl|bom-ref)": "[^"]*"', " ", said)
    assert banned(own) == []

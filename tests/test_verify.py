"""An untouched result passes; every kind of tampering is named."""

import json
import re
import shutil

import numpy as np
import pytest

from audit import rerun, signing, store, verify
from audit.cli import main
from audit.wordshares import TOP_WORDS

MODEL = """
import numpy as np


class Words:
    labels = ("no", "yes")
    fingerprint = "words {shift}"

    def probabilities(self, texts):
        p = [
            0.5 + 0.4 * ("good" in t) - 0.4 * ("bad" in t) - 0.25 * (" she " in t) + {shift}
            for t in texts
        ]
        p = np.clip(np.array(p) + [0.001 * (len(t) % 7) for t in texts], 0.01, 0.99)
        return np.stack([1 - p, p], axis=1)


classifier = Words()
"""
AUDIT = """
[audit]
seed = 3
out = "out"

[model]
path = "model.py:classifier"

[decision]
favourable = ["yes"]

[corpora.test]
path = "texts.csv"
label = "label"
id = "id"
groups = { sex = "sex", race = "race" }

[[probe]]
name = "swaps"

[[probe]]
name = "typos"

[[probe]]
name = "group_rates"
reference = { sex = "m" }

[[probe]]
name = "impact_ratio"

[[probe]]
name = "calibration"

[[probe]]
name = "bias_auc"

[[probe]]
name = "data_audit"

[[probe]]
name = "templates"
suite = "hiring"

[[probe]]
name = "slices"

[[gate]]
metric = "swaps.favourable_gap"
at_least = -0.05
at_most = 0.05

[[gate]]
metric = "typos.flip_rate"
at_most = 0.2

[[gate]]
metric = "group_rates.accuracy"
at_least = 0.3
where = { sex = "*" }
"""


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A signed audit with its model and texts, and the signer's keys elsewhere."""
    folder = tmp_path_factory.mktemp("audited")
    rows = [
        f"{i},It was a {('good', 'bad', 'usual')[i % 3]} day and {('she', 'he')[i % 2]} thought "
        f"so on day {i},{('yes', 'no')[i % 3 == 1]},{'fm'[i % 2]},{'abc'[i % 5 % 3]}"
        for i in range(240)
    ]
    (folder / "texts.csv").write_text("id,text,label,sex,race\n" + "\n".join(rows) + "\n")
    (folder / "model.py").write_text(MODEL.replace("{shift}", "0.0"))
    (folder / "audit.toml").write_text(AUDIT)
    assert main(["run", str(folder / "audit.toml")]) in (0, 1, 3)
    keys = folder / "keys"
    keys.mkdir()
    for name in ("mine", "other"):
        signing.new_key(keys / f"{name}.pem")
    signing.sign(folder / "out", keys / "mine.pem", signer="A. Auditor", day="2026-11-27")
    return folder


@pytest.fixture
def copy(audited, tmp_path):
    shutil.copytree(audited, tmp_path / "copy")
    return tmp_path / "copy"


def checked(folder, capsys, *, key=True, again=False):
    """Return the exit code, and the sentences that something differs."""
    command = ["verify", str(folder / "out")]
    if key:
        command += ["--key", str(folder / "keys" / "mine.pem.pub")]
    if again:
        command += ["--audit", str(folder / "audit.toml")]
    capsys.readouterr()
    code = main(command)
    said = capsys.readouterr().out
    return code, [line for line in said.splitlines() if line.startswith("DIFFERS")], said


def test_an_untouched_result_passes_every_check(audited, capsys):
    code, differs, said = checked(audited, capsys, again=True)
    assert (code, differs) == (0, []), said
    assert "not checked" not in said
    assert "Signed by A. Auditor, 2026-11-27 with key" in said
    assert re.search(r"numbers: \d{3,} values and intervals follow", said)
    assert "20 cases, the largest difference 0.0e+00" in said
    assert "118 answers of 12 known examples" in said


def test_without_signature_and_model_it_says_what_nobody_looked_at(copy, capsys):
    (copy / "out" / signing.SIGNATURE).unlink()
    code, _, said = checked(copy, capsys, key=False)
    assert code == 0
    assert "not checked  signature: There is no signature.json" in said
    code, differs, _ = checked(copy, capsys, key=True)
    assert code == 2 and "A public key was named" in differs[0]


def edited(change):
    def tamper(folder):
        path = folder / "out" / "result.json"
        said = json.loads(path.read_text("utf-8"))
        change(said)
        path.write_text(json.dumps(said, sort_keys=True, indent=1), "utf-8")

    return tamper


def measurement(said, id_):
    return next(m for r in said["runs"] for m in r["measurements"] if m["id"] == id_)


def one_digit(said):
    value = measurement(said, "typos.flip_rate")["value"]
    value["value"] = value["low"] + (value["high"] - value["low"]) * 0.55


def interval_end(said):
    measurement(said, "group_rates.accuracy")["value"]["high"] = 0.999


def both_and_basis(said):
    value = measurement(said, "typos.flip_rate")["value"]
    value["basis"]["hits"] += 1
    value["value"] = value["basis"]["hits"] / value["basis"]["n"]
    value["high"] = max(value["high"], value["value"])


def verdict_status(said):
    said["verdicts"][0]["status"] = "pass" if said["verdicts"][0]["status"] != "pass" else "fail"


def case_removed(said):
    run = next(r for r in said["runs"] if r["cases"])
    run["cases"] = run["cases"][1:]


def case_reworded(said):
    run = next(r for r in said["runs"] if r["cases"])
    run["cases"][0]["after"] += " indeed"


def n_changed(said):
    measurement(said, "group_rates.accuracy")["value"]["n"] -= 1


def limit_moved(said):
    for one in (said["plan"]["claims"][0], said["verdicts"][0]["claim"]):
        one["limit"] = 0.5 if one["side"] == "at_most" else -0.5


def seed_changed(said):
    said["plan"]["seed"] = 4


def other_model_named(said):
    said["provenance"]["model"] = "0" * 64


def finding_dropped(said):
    said["findings"] = said["findings"][1:]


def date_changed(said):
    said["telemetry"]["started"] = "2026-01-01T00:00:00+00:00"


def model_swapped(folder):
    (folder / "model.py").write_text(MODEL.replace("{shift}", "0.03"))


def model_retouched(folder):
    """Other scores under the old name: only asking it again shows that."""
    text = MODEL.replace('"words {shift}"', '"words 0.0"').replace("{shift}", "0.03")
    (folder / "model.py").write_text(text)


def corpus_changed(folder):
    path = folder / "texts.csv"
    path.write_text(path.read_text("utf-8").replace("a good day", "a fine day", 1), "utf-8")


def plan_file_changed(folder):
    path = folder / "out" / "audit.toml"
    path.write_text(path.read_text("utf-8").replace("at_most = 0.2", "at_most = 0.9"), "utf-8")


def table_changed(name):
    def tamper(folder):
        import pyarrow.parquet as pq

        path = folder / "out" / name
        pq.write_table(pq.read_table(path).slice(1), path)

    return tamper


def signature_swapped(folder):
    """A signature by the same signer, of another audit."""
    other = folder / "other"
    shutil.copytree(folder / "out", other)
    path = other / "result.json"
    said = json.loads(path.read_text("utf-8"))
    for change in (one_digit, seed_changed, verdict_status, other_model_named, finding_dropped):
        change(said)
    said["files"] = {}
    path.write_text(json.dumps(said), "utf-8")
    signing.sign(other, folder / "keys" / "mine.pem")
    shutil.copyfile(other / signing.SIGNATURE, folder / "out" / signing.SIGNATURE)


def signed_by_another(folder):
    signing.sign(folder / "out", folder / "keys" / "other.pem")


def signature_edited(folder):
    path = folder / "out" / signing.SIGNATURE
    said = json.loads(path.read_text("utf-8"))
    import base64

    payload = base64.b64decode(said["payload"]).replace(b"FAILED", b"PASSED")
    payload = payload.replace(b"A. Auditor", b"B. Auditor")
    said["payload"] = base64.b64encode(payload).decode()
    path.write_text(json.dumps(said), "utf-8")


TAMPERINGS = {
    "one digit of a value": (edited(one_digit), "typos.flip_rate: the value is"),
    "an interval end": (edited(interval_end), "group_rates.accuracy: the interval is"),
    "a value with its counts": (edited(both_and_basis), "typos.flip_rate: the interval is"),
    "a verdict": (edited(verdict_status), "the verdict says"),
    "a case removed": (edited(case_removed), "not those of the rule: 1 missing, 0 that"),
    "a case reworded": (edited(case_reworded), "not those of the rule: 1 missing, 1 that"),
    "n changed": (edited(n_changed), "group_rates.accuracy: n is 239, but 240 units"),
    "a limit moved": (edited(limit_moved), "other claims than its audit file"),
    "another seed": (edited(seed_changed), "other rules than its audit file"),
    "another model named": (edited(other_model_named), "is another one than the result was made"),
    "a finding dropped": (edited(finding_dropped), "The findings are not those that follow"),
    "another date": (edited(date_changed), "Changed after signing: times and costs."),
    "another model": (model_swapped, "is another one than the result was made with"),
    "the model retouched": (model_retouched, "texts otherwise than the result says"),
    "another corpus": (corpus_changed, "The corpus test is another one than was audited."),
    "another plan": (plan_file_changed, "The audit file beside the result is not the one"),
    "the units": (table_changed("units.parquet"), "The table of units, units.parquet, is not"),
    "the cases": (table_changed("cases.parquet"), "The table of cases, cases.parquet, is not"),
    "the signature of another result": (signature_swapped, "The signature is of another result."),
    "another signer": (signed_by_another, "The result was signed with another key"),
    "the signature itself": (signature_edited, "does not fit what it says"),
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_tampering_is_named(kind, copy, capsys):
    tamper, sentence = TAMPERINGS[kind]
    tamper(copy)
    code, differs, said = checked(copy, capsys, again=True)
    assert code == 2
    assert any(sentence in line for line in differs), said
    assert "The result is not what it says it is." in said


@pytest.mark.parametrize(
    "kind",
    [k for k, (tamper, _) in TAMPERINGS.items() if tamper.__qualname__.startswith("edited")],
)
def test_whatever_is_edited_in_a_result_the_signature_says_so(kind, copy):
    TAMPERINGS[kind][0](copy)
    found = verify.verify(copy / "out", public=copy / "keys" / "mine.pem.pub")
    assert found[0].what == "signature" and found[0].state == "differs"
    assert found[0].said.startswith("Changed after signing: ")


def test_a_key_is_its_owners_alone_and_never_overwritten(tmp_path, capsys):
    assert main(["sign", "--new-key", str(tmp_path / "k.pem")]) == 0
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in (tmp_path / "k.pem.pub").read_text("ascii")
    before = (tmp_path / "k.pem").read_bytes()
    assert main(["sign", "--new-key", str(tmp_path / "k.pem")]) == 2
    assert (tmp_path / "k.pem").read_bytes() == before


def test_a_key_with_a_password_opens_with_it_alone(copy, tmp_path, monkeypatch):
    monkeypatch.setenv(signing.PASSWORD, "correct horse")
    signing.new_key(tmp_path / "k.pem")
    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()
    assert main(["sign", str(copy / "out"), "--key", str(tmp_path / "k.pem")]) == 0
    monkeypatch.delenv(signing.PASSWORD)
    assert main(["sign", str(copy / "out"), "--key", str(tmp_path / "k.pem")]) == 2


@pytest.mark.parametrize(
    "command",
    [["sign"], ["sign", "OUT"], ["sign", "OUT", "--key", "nowhere.pem"], ["verify", "nowhere"]],
)
def test_a_command_that_cannot_be_done_ends_with_two(command, copy):
    assert main([str(copy / "out") if part == "OUT" else part for part in command]) == 2


def test_sigstore_is_asked_for_only_where_it_is_installed(copy, capsys, monkeypatch):
    monkeypatch.setattr(signing.importlib.util, "find_spec", lambda name: None)
    assert main(["sign", str(copy / "out"), "--sigstore"]) == 2
    assert "Sigstore is not installed" in capsys.readouterr().err


def test_the_envelope_is_one_that_others_can_check(audited):
    """DSSE's encoding by hand, Ed25519 by the library, in-toto's fields by its specification."""
    import base64

    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    said = json.loads((audited / "out" / signing.SIGNATURE).read_text("utf-8"))
    payload = base64.b64decode(said["payload"])
    kind = said["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    key = load_pem_public_key((audited / "keys" / "mine.pem.pub").read_bytes())
    key.verify(base64.b64decode(said["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["predicate"]["result"] in ("PASSED", "WARNED", "FAILED")
    file = store.file_digest(audited / "out" / "result.json")
    assert statement["subject"][0]["digest"]["sha256"] == file
    tests = [len(statement["predicate"][k]) for k in ("passedTests", "warnedTests", "failedTests")]
    assert sum(tests) == len(store.read(audited / "out").verdicts)


def test_wrong_known_answers_are_told(monkeypatch):
    from audit import selftest

    monkeypatch.setitem(selftest.ANSWERS, "TV33", lambda *_: {"below_four_fifths": True})
    found = verify.known_answers()
    assert found.state == "differs" and "TV33: below_four_fifths" in found.said


def test_a_list_of_words_among_the_cases_is_not_put_to_the_model(audited, monkeypatch):
    result = store.read(audited / "out")
    table = {
        "example_id": [f"{TOP_WORDS}yes", "e1"],
        "before": ["she, woman", "a text"],
        "after": ["she, woman", "another"],
        "score_before": [0.9, 0.2],
        "score_after": [0.9, 0.4],
    }
    monkeypatch.setattr(store, "read_table", lambda *_: table)
    asked = []

    def scored(texts):
        asked.extend(texts)
        return np.array([{"a text": 0.2, "another": 0.4}.get(t, 0.0) for t in texts])

    check = rerun._cases(result, audited, scored, 20)
    assert check.state == "agrees" and asked == ["a text", "another"]
    for column in table.values():
        del column[1:]
    assert rerun._cases(result, audited / "out", scored, 20).state == "not_checked"

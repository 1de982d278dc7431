"""An audit file is read whole or refused with the place and a suggestion."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import config
from audit.errors import AuditError, ConfigError
from audit.settings import RecipeConfig, TrainConfig
from audit.types import Gate

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "datasets" / "schema" / "audit.schema.json"
LEAST = """
[model]
path = "m"
[decision]
favourable = ["yes"]
[corpora.test]
path = "t.csv"
"""
FULL = (
    LEAST
    + """
groups = {gender = "author gender"}
labels = {"1" = "yes"}
limit = 500
[corpora.train]
path = "hub:owner/name"
[audit]
seed = 7
alpha = 0.1
undecided = "warn"
[[probe]]
name = "typos"
slips = 2
[[probe]]
name = "group_rates"
reference = {gender = "male"}
[[gate]]
metric = "typos.flip_rate"
at_most = 1
[train]
epochs = 1
[[recipe]]
name = "noise"
share = 0.5
[system]
name = "Screening"
[scope]
purpose = "sifting"
reviewed = "2026-01-02"
"""
)


def refused(text):
    with pytest.raises(ConfigError) as caught:
        config.reads(text)
    return str(caught.value), caught.value.hint


def test_the_least_audit_file_has_defaults_for_the_rest():
    read = config.reads(LEAST)
    assert read.audit == config.AuditSection()
    assert read.train == TrainConfig()
    assert (read.audit.seed, read.audit.alpha, read.audit.undecided) == (0, 0.05, "exit3")
    assert read.corpora["test"] == config.CorpusConfig(path="t.csv")
    assert read.probe == read.gate == read.recipe == ()


def test_every_table_arrives():
    read = config.reads(FULL)
    assert read.corpora["test"].groups == {"gender": "author gender"}
    assert read.probe == (
        config.ProbeConfig(name="typos", params={"slips": 2}),
        config.ProbeConfig(name="group_rates", params={"reference": {"gender": "male"}}),
    )
    assert read.gate == (Gate(metric="typos.flip_rate", at_most=1.0),)
    assert read.recipe == (RecipeConfig(name="noise", params={"share": 0.5}),)
    assert read.train.epochs == 1
    assert read.system == {"name": "Screening"}


@pytest.mark.parametrize(
    ("old", "new", "sentence", "hint"),
    [
        (
            "at_most = 1",
            "atmost = 1",
            "audit.toml.gate[0] has no setting 'atmost'.",
            "Did you mean 'at_most'?",
        ),
        (
            "[[gate]]",
            "[[gates]]",
            "audit.toml has [[gates]], but limits are [[gate]] and [gates] is one table.",
            "Did you mean 'gate'?",
        ),
        (
            "limit = 500",
            "limits = 500",
            "audit.toml.corpora.test has no setting 'limits'.",
            "Did you mean 'limit'?",
        ),
        (
            "limit = 500",
            "limit = 0",
            "audit.toml.corpora.test.limit must be at least 1, got 0.",
            "",
        ),
        ("seed = 7", "seed = -1", "audit.toml.audit.seed must be 0 or more, got -1.", ""),
        ("seed = 7", "seed = 7.0", "audit.toml.audit.seed must be a whole number, got 7.0.", ""),
        ("seed = 7", "seed = true", "audit.toml.audit.seed must be a whole number, got true.", ""),
        (
            "alpha = 0.1",
            "alpha = 0",
            "audit.toml.audit.alpha must lie between 0 and 1, got 0.0.",
            "",
        ),
        (
            "alpha = 0.1",
            "alpha = nan",
            "audit.toml.audit.alpha must be a finite number, got nan.",
            "",
        ),
        (
            '"warn"',
            '"exit4"',
            "audit.toml.audit.undecided must be 'exit3', 'fail' or 'warn', got \"exit4\".",
            "Did you mean 'exit3'?",
        ),
        (
            'favourable = ["yes"]',
            'favourable = "yes"',
            'audit.toml.decision.favourable must be a list, got "yes".',
            "",
        ),
        (
            'favourable = ["yes"]',
            "favourable = []",
            "audit.toml.decision.favourable must name at least one label.",
            "",
        ),
        (
            'favourable = ["yes"]',
            'favourable = ["yes"]\nthreshold = 1.0',
            "audit.toml.decision.threshold must lie between 0 and 1, got 1.0.",
            "",
        ),
        (
            'favourable = ["yes"]',
            "",
            "audit.toml.decision lacks the setting 'favourable'.",
            "",
        ),
        ('path = "m"', "", "audit.toml.model lacks the setting 'path'.", ""),
        ('path = "m"', 'path = ""', "audit.toml.model.path must name a model.", ""),
        ("epochs = 1", "epochs = 0", "audit.toml.train.epochs must be at least 1, got 0.", ""),
        (
            'name = "typos"\n',
            "",
            "audit.toml.probe[0] lacks the setting 'name'.",
            "",
        ),
        (
            'name = "Screening"',
            "name = 3",
            "audit.toml.system.name must be a text in quotes, got 3.",
            "",
        ),
        (
            '"hub:owner/name"',
            '"x"\ndelimiter = "::"',
            "audit.toml.corpora.train.delimiter must be one character, and no quote or line break.",
            "",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(old, new, sentence, hint):
    assert old in FULL
    assert refused(FULL.replace(old, new, 1)) == (sentence, hint)


def test_the_audited_texts_must_be_named():
    said, hint = refused(LEAST.replace("corpora.test", "corpora.tset"))
    assert said == "The audit file has no [corpora.test]."
    assert "[corpora.NAME]" in hint


def test_a_corpus_has_a_plain_name():
    said, _ = refused(LEAST + '[corpora."../x"]\npath = "y"\n')
    assert "'../x' cannot be the name of a corpus." in said


def test_what_is_not_toml_is_refused_with_its_line():
    said, _ = refused("[model\npath")
    assert said.startswith("audit.toml is not TOML:")
    assert "line 1" in said


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        config.read(tmp_path / "audit.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        config.read(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'[model]\npath = "caf\xe9"\n')
    with pytest.raises(ConfigError, match=r"latin\.toml is not UTF-8: line 2"):
        config.read(latin)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "audit.toml"
    path.write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode())
    assert config.read(path) == config.reads(LEAST)


def test_a_kept_text_with_a_byte_order_mark_is_read_again():
    assert config.reads("\ufeff" + LEAST) == config.reads(LEAST)
    assert config.reads(config.deepened("\ufeff" + LEAST)).probe[0].name == "certificate"


def test_deep_adds_what_is_not_asked_for_yet_and_nothing_else():
    whole = config.reads(config.deepened(FULL))
    plain = config.reads(FULL)
    assert whole == dataclasses.replace(
        plain, probe=(*plain.probe, config.ProbeConfig(name="certificate"))
    )
    mine = FULL + '[[probe]]\nname = "certificate"\ntexts = 3\n'
    assert config.deepened(mine) == mine


def test_deep_says_where_it_can_add_nothing():
    with pytest.raises(ConfigError, match="--deep cannot add to the probes of mine.toml"):
        config.deepened('probe = [{ name = "typos" }]\n' + LEAST, "mine.toml")


def test_a_date_is_read_as_its_text():
    read = config.reads(FULL.replace('"2026-01-02"', "2026-01-02"))
    assert read.scope["reviewed"] == "2026-01-02"


def test_paths_start_from_the_folder_of_the_file(tmp_path):
    (tmp_path / "m").mkdir()
    read = config.reads(LEAST + '[corpora.hub]\npath = "hub:a/b"\n')
    there = config.resolve(read, tmp_path)
    assert there.model.path == str(tmp_path / "m")
    assert there.corpora["test"].path == str(tmp_path / "t.csv")
    assert there.corpora["hub"].path == "hub:a/b"
    assert there.audit.out == str(tmp_path / "audit-out")
    assert there.train.encoder == "packaged"


@pytest.mark.parametrize(
    ("model", "expected"),
    [("owner/name", "owner/name"), ("module:name", "module:name"), ("f.py:name", "{}/f.py:name")],
)
def test_what_is_no_path_stays_as_it_is(model, expected, tmp_path):
    read = config.reads(LEAST.replace('"m"', json.dumps(model)))
    assert config.resolve(read, tmp_path).model.path == expected.format(tmp_path)


def test_reading_an_audit_file_loads_nothing_heavy_before_it_must():
    code = "import sys, audit.config, audit.corpus; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# The documentation and the schema.


def tables():
    found = [config.AuditSection, config.ModelConfig, config.CorpusConfig, config.DecisionConfig]
    found += [config.GatesConfig, config.WaiversConfig, config.BaselineConfig]
    return [*found, config.ProbeConfig, Gate, TrainConfig, RecipeConfig]


@pytest.mark.parametrize("table", tables(), ids=lambda cls: cls.__name__)
def test_every_setting_is_documented(table):
    sections = (ROOT / "docs" / "audit-file.md").read_text("utf-8").split("\n## ")
    opening = {
        "AuditSection": "[audit]",
        "ModelConfig": "[model]",
        "CorpusConfig": "[corpora.",
        "DecisionConfig": "[decision]",
        "ProbeConfig": "[[probe]]",
        "Gate": "[[gate]]",
        "TrainConfig": "[train]",
        "RecipeConfig": "[[recipe]]",
        "GatesConfig": "[gates]",
        "WaiversConfig": "[waivers]",
        "BaselineConfig": "[baseline]",
    }[table.__name__]
    (section,) = [s for s in sections if s.startswith(opening)]
    for field in dataclasses.fields(table):
        assert f"`{field.name}`" in section, f"{opening} does not mention {field.name}"


def test_every_table_is_documented():
    text = (ROOT / "docs" / "audit-file.md").read_text("utf-8")
    for field in dataclasses.fields(config.AuditConfig):
        assert f"[{field.name}" in text


def test_the_documented_example_is_an_audit_file():
    text = (ROOT / "docs" / "audit-file.md").read_text("utf-8")
    read = config.reads(text.split("```toml\n")[1].split("```")[0])
    assert read.gate[0].at_most == 0.05


def test_the_shipped_schema_is_the_one_of_the_code():
    text = SCHEMA.read_text("utf-8")
    assert json.loads(text) == config.schema(), (
        "write json.dumps(audit.config.schema(), indent=1) to datasets/schema/audit.schema.json, "
        "and its digest to datasets/sources.toml"
    )
    card = tomllib.loads((ROOT / "datasets" / "sources.toml").read_text("utf-8"))
    digest = hashlib.sha256(SCHEMA.read_bytes()).hexdigest()
    assert card["schema/audit.schema.json"]["sha256"] == digest


def test_the_schema_knows_settings_and_refuses_others():
    schema = config.schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"model", "decision", "corpora"}
    assert schema["properties"]["corpora"]["required"] == ["test"]
    gate, probe = schema["$defs"]["Gate"], schema["$defs"]["ProbeConfig"]
    assert gate["additionalProperties"] is False
    assert set(gate["properties"]) == {f.name for f in dataclasses.fields(Gate)}
    assert probe["additionalProperties"] is True
    assert set(probe["properties"]) == {"name"}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["", LEAST, "[model]\n", "[[probe]]\n", "gate = "]))
def test_any_text_is_an_audit_file_or_an_error_in_a_sentence(tail, head):
    try:
        config.reads(head + tail)
    except AuditError as problem:
        assert str(problem)

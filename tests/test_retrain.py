"""A retrain from the command line, on a tiny encoder: stages, resuming, the comparison."""

import json
import random
from dataclasses import replace

import pytest
from tiny import tiny_bert

from audit import store
from audit.checkpoint import file_digest
from audit.cli import main
from audit.config import read
from audit.retrain import retrain
from audit.runner import Silent


class Quiet(Silent):
    def say(self, line): ...
    def training(self, done, total, note): ...


AUDIT = """
[model]
path = "model"
device = "cpu"
[decision]
favourable = ["yes"]
[corpora.test]
path = "test.csv"
label = "label"
id = "id"
[corpora.train]
path = "train.csv"
label = "label"
id = "id"
[[probe]]
name = "typos"
[[gate]]
metric = "typos.flip_rate"
at_most = 0.001
[train]
encoder = "model"
epochs = 1
max_length = 32
[[recipe]]
name = "noise"
share = 0.5
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrain")
    rng = random.Random(2)
    words = "good report late manager desk number explain woman nobody asked".split()
    texts = [" ".join(rng.choice(words) for _ in range(8)) for _ in range(160)]
    tiny_bert(folder / "model", texts, ("no", "yes"))
    for name, some in (("train", texts[:100]), ("test", texts[100:])):
        rows = [f"{name}{i},{t},{'yes' if 'good' in t else 'no'}" for i, t in enumerate(some)]
        (folder / f"{name}.csv").write_text("id,text,label\n" + "\n".join(rows) + "\n")
    (folder / "audit.toml").write_text(AUDIT)
    return folder


def test_a_retrain_ends_in_a_comparison_and_is_not_done_twice(folder, tmp_path, capsys):
    command = ["retrain", str(folder / "audit.toml"), "--out", str(tmp_path), "-q"]
    assert main(command) == 0
    result = store.read(tmp_path)
    assert result.comparison is not None and result.comparison.texts == 60
    assert {c.measurement for c in result.comparison.changes} >= {"accuracy", "typos.flip_rate"}
    data = json.loads((tmp_path / "data" / "augmentation.json").read_text())
    assert set(data["copies"]) == {"noise-keyboard", "noise-ocr"}
    assert 0 < sum(data["copies"].values()) <= 200 and set(data["shares"].values()) == {0.5}
    rows = (tmp_path / "data" / "train.jsonl").read_text("utf-8").splitlines()
    assert (
        len(rows)
        == data["texts"]
        == json.loads((tmp_path / "train-0" / "training.json").read_text())["what"]["train"][
            "texts"
        ]
    )
    assert (tmp_path / "report.html").exists()
    weights = (tmp_path / "train-0" / "model.safetensors").stat().st_mtime_ns
    assert main(command) == 0
    assert (tmp_path / "train-0" / "model.safetensors").stat().st_mtime_ns == weights
    assert store.read(tmp_path) == result
    capsys.readouterr()


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ('[[recipe]]\nname = "noise"\nshare = 0.5', "at least one recipe"),
        ("corpora.train", "training texts"),
    ],
)
def test_what_a_retrain_needs_is_said_at_once(folder, tmp_path, capsys, old, said):
    broken = folder / "broken.toml"
    broken.write_text(AUDIT.replace(old, "" if "recipe" in old else "corpora.other"))
    assert main(["retrain", str(broken), "--out", str(tmp_path), "-q"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('name = "noise"\nkinds = ["ocr"]', "noise-ocr is asked for by 2 recipes"),
        ('name = "logit_pairing"\n[[recipe]]\nname = "logit_pairing"', "logit_pairing is asked"),
    ],
)
def test_a_recipe_that_is_asked_for_twice_is_refused_before_any_work(
    folder, tmp_path, capsys, more, said
):
    broken = folder / "twice.toml"
    broken.write_text(f"{AUDIT}[[recipe]]\n{more}\n")
    assert main(["retrain", str(broken), "--out", str(tmp_path), "-q"]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_killed_retrain_goes_on_and_ends_as_if_nothing_had_happened(folder, tmp_path):
    """Killed in the training and again in the second audit; done stages are not done twice."""
    asked = read(folder / "audit.toml")
    asked = replace(asked, train=replace(asked.train, epochs=2, seeds=2))

    class Plug(Quiet):
        def __init__(self, at):
            self.at = at

        def training(self, done, total, note):
            if self.at == ("training", done):
                raise KeyboardInterrupt

        def began(self, i, name):
            self.audits = getattr(self, "audits", 0) + 1
            if self.at == ("audit", self.audits):
                raise KeyboardInterrupt

        def scored(self, n):
            # The middle of the audit after: some of its batches are paid for, others are not.
            self.batches = getattr(self, "batches", 0) + (getattr(self, "audits", 0) > 1)
            if self.at == ("batch", self.batches):
                raise KeyboardInterrupt

    whole = retrain(asked, tmp_path / "whole", base=folder, display=Quiet())
    for at in (("training", 6), ("audit", 2), ("batch", 2)):
        with pytest.raises(KeyboardInterrupt):
            retrain(asked, tmp_path / "cut", base=folder, display=Plug(at))
        assert not (tmp_path / "cut" / "comparison.json").exists()
    result = retrain(asked, tmp_path / "cut", base=folder, display=Quiet())
    named = result.comparison.after_name
    assert replace(whole.comparison, after_name=named) == result.comparison
    for seed in (0, 1):
        one, other = (
            store.read_table(tmp_path / where / f"after-{seed}", store.UNITS)
            for where in ("whole", "cut")
        )
        assert one == other and "p:yes" in one
        verdicts = [store.read(tmp_path / w / f"after-{seed}").verdicts for w in ("whole", "cut")]
        assert verdicts[0] == verdicts[1]
    for name in ("train-0/model.safetensors", "train-1/model.safetensors", "data/train.jsonl"):
        assert file_digest(tmp_path / "cut" / name) == file_digest(tmp_path / "whole" / name)
    assert any(w.startswith("Two seeds") for w in result.comparison.words)


def test_other_recipes_make_the_training_stage_anew(folder, tmp_path):
    asked = read(folder / "audit.toml")
    retrain(asked, tmp_path, base=folder, display=Quiet())
    before = file_digest(tmp_path / "train-0" / "model.safetensors")
    fewer = replace(asked.recipe[0], params={"share": 0.1})
    retrain(replace(asked, recipe=(fewer,)), tmp_path, base=folder, display=Quiet())
    assert file_digest(tmp_path / "train-0" / "model.safetensors") != before


def test_dev_texts_held_out_have_no_copy_in_training(folder, tmp_path):
    retrain(read(folder / "audit.toml"), tmp_path, base=folder, display=Quiet())
    rows = [json.loads(x) for x in (tmp_path / "data" / "train.jsonl").read_text().splitlines()]
    record = json.loads((tmp_path / "train-0" / "training.json").read_text())
    sources = {row["id"].partition("+")[0] for row in rows}
    assert record["what"]["dev"]["texts"] > 0
    assert len(sources) + record["what"]["dev"]["texts"] == 100


def test_the_second_model_is_attacked_anew(folder, tmp_path):
    """What broke the first model is never shown to the second: the audits share no probe unit."""
    retrain(read(folder / "audit.toml"), tmp_path, base=folder, display=Quiet())
    one, other = (store.read(tmp_path / name) for name in ("before", "after-0"))
    assert one.provenance.model != other.provenance.model
    assert not any(cost.from_journal for cost in other.telemetry.probes)
    assert all(cost.queries > 0 for cost in other.telemetry.probes)

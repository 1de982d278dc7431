"""Adversarial training: texts are attacked again between epochs, also after a kill."""

import json
from dataclasses import replace

import pytest
from test_retrain import AUDIT, Quiet, folder  # noqa: F401

from audit import decision, hardening
from audit.checkpoint import file_digest
from audit.config import read
from audit.objective import Attacking, Objective
from audit.retrain import retrain
from audit.types import Example

RULE = decision.make(("no", "yes"), ("yes",))
TEXTS = tuple(
    Example(id=f"t{i}", text=t, label="yes", groups={"sex": "f"})
    for i, t in enumerate(("good report number", "late manager explain", "desk woman asked"))
)


def attacking(**changed):
    asked = Attacking(
        texts=("t0", "t2"), recipe="deepwordbug", queries=20, rule=RULE, seed=0, admits=dict
    )
    return replace(asked, **changed)


class Words:
    """Rows of a number for each word, in place of a tokenizer; scores by the word *good*."""

    def rows(self, examples):
        return [
            {"input_ids": [int.from_bytes(w.encode()) for w in e.text.split()]} for e in examples
        ]

    def scores(self, model, texts):
        import numpy as np

        good = np.array(["good" in t for t in texts], float)
        return np.stack([1 - good, good], axis=1) * 0.8 + 0.1


class Model:
    training = True

    def eval(self):
        self.training = False

    def train(self, on):
        self.training = on


def bound(asked):
    slots = hardening.Slots(asked, TEXTS)
    texts = (*TEXTS, *slots.added)
    rows = Words().rows(texts)
    slots.bind(rows, texts, Words())
    return slots, dict(zip((e.id for e in texts), rows, strict=True))


def test_a_slot_holds_its_text_until_an_attack_turns_it_and_weighs_as_it_does():
    slots, rows = bound(attacking())
    assert [e.id for e in slots.added] == ["t0+adversarial", "t2+adversarial"]
    assert rows["t0+adversarial"] == rows["t0"]
    made = slots.objective(Objective(weights={"t0": 3.0}, cells={"t2": "f/yes"}))
    assert made.weights == {"t0": 3.0, "t0+adversarial": 3.0}
    assert made.cells == {"t2": "f/yes", "t2+adversarial": "f/yes"}
    model = Model()
    slots.attack(model, 1, RULE.labels)
    assert slots.rounds == [] and rows["t0+adversarial"] == rows["t0"]
    slots.attack(model, 2, RULE.labels)
    # Only the first text holds the word that decides.
    assert slots.rounds == [hardening.Round(epoch=2, attacked=2, turned=1, admitted=1)]
    assert set(slots.texts) == {"t0"} and "good" not in slots.texts["t0"]
    assert model.training and rows["t0"] == Words().rows(TEXTS)[0]
    assert rows["t0+adversarial"] != rows["t0"] and rows["t2+adversarial"] == rows["t2"]
    again, fresh = bound(attacking())
    again.restore(json.loads(json.dumps(slots.state())))
    assert fresh == rows and again.rounds == slots.rounds


def test_what_may_not_be_trained_on_fills_no_slot_and_attacks_come_when_asked():
    slots, rows = bound(attacking(admits=lambda changed: {}, every=2))
    slots.attack(Model(), 2, RULE.labels)
    assert slots.rounds == []
    slots.attack(Model(), 3, RULE.labels)
    assert slots.rounds == [hardening.Round(epoch=3, attacked=2, turned=1, admitted=0)]
    assert rows["t0+adversarial"] == rows["t0"]


RECIPE = """
[[recipe]]
name = "adversarial"
share = 1.0
texts = 12
queries = 30
similarity = 0
"""


def test_a_training_killed_between_attacks_ends_as_the_whole_one(folder, tmp_path):  # noqa: F811
    (folder / "hard.toml").write_text(AUDIT[: AUDIT.index("[[recipe]]")] + RECIPE)
    asked = read(folder / "hard.toml")
    asked = replace(asked, train=replace(asked.train, epochs=3, patience=0))

    class Plug(Quiet):
        def training(self, done, total, note):
            if done == 11:
                raise KeyboardInterrupt

    retrain(asked, tmp_path / "whole", base=folder, display=Quiet())
    with pytest.raises(KeyboardInterrupt):
        retrain(asked, tmp_path / "cut", base=folder, display=Plug())
    assert list((tmp_path / "cut" / "train-0.partial").glob("checkpoint-*"))
    retrain(asked, tmp_path / "cut", base=folder, display=Quiet())
    for name in ("train-0/model.safetensors", "data/train.jsonl"):
        assert file_digest(tmp_path / "cut" / name) == file_digest(tmp_path / "whole" / name)
    records = [
        json.loads((tmp_path / where / "train-0" / "training.json").read_text())
        for where in ("cut", "whole")
    ]
    rounds = records[0]["result"]["attacks"]
    assert [r["epoch"] for r in rounds] == [2, 3] and all(r["attacked"] == 12 for r in rounds)
    assert records[0]["result"] == records[1]["result"]
    assert records[0]["what"]["objective"]["attacking"]["texts"] == 12
    assert any("Before epoch 2, 12 training texts" in n for n in records[0]["result"]["notes"])
    once = replace(
        asked, recipe=(replace(asked.recipe[0], params={**asked.recipe[0].params, "every": 0}),)
    )
    retrain(once, tmp_path / "once", base=folder, display=Quiet())
    record = json.loads((tmp_path / "once" / "train-0" / "training.json").read_text())
    assert record["result"]["attacks"] == []

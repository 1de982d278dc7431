"""One threshold for all: it brings groups together where one can, and reads no group to decide."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_recipes import folder  # noqa: F401
from test_retrain import Quiet

from audit import decision, mitigation, store
from audit.config import read
from audit.decision import decide
from audit.errors import ConfigError, DataError
from audit.retrain import retrain
from audit.settings import RecipeConfig
from audit.thresholds import choose, said
from audit.types import Example

RULE = decision.make(("no", "yes"), ("yes",))


def made(n, f, m):
    """`n` texts of each group, scores spread over the bounds of its pair."""
    scores, examples = [], []
    for sex, (low, high) in (("f", f), ("m", m)):
        for i, p in enumerate(np.linspace(low, high, n)):
            scores.append([1 - p, p])
            label = "yes" if p >= 0.5 else "no"
            examples.append(Example(id=f"{sex}{i}", text="x", label=label, groups={"sex": sex}))
    return np.array(scores), examples


def test_the_choice_is_that_of_trying_every_hundredth():
    """The lower half of m lies under 0.5, f lies wider: somewhere else the rates meet."""
    scores, examples = made(200, (0.3, 0.9), (0.1, 0.95))
    found = choose(RULE, scores, examples, "sex", margin=0.3)
    truth = np.array([e.label == "yes" for e in examples])
    is_f = np.arange(400) < 200

    def spread(t):
        return abs((scores[is_f, 1] >= t).mean() - (scores[~is_f, 1] >= t).mean())

    fits = [
        t / 100
        for t in range(1, 100)
        if ((scores[:, 1] >= t / 100) == truth).mean() >= 1 - 0.3 - 1e-12
    ]
    assert found.threshold in fits
    assert spread(found.threshold) == pytest.approx(min(spread(t) for t in fits))
    assert found.spread[1] < found.spread[0] == pytest.approx(spread(0.5), abs=0.01)
    assert found.accuracy[0] == 1.0 and found.accuracy[1] >= 0.7
    moved = decide(replace(RULE, threshold=found.threshold), scores).favourable
    assert abs(moved[is_f].mean() - moved[~is_f].mean()) == pytest.approx(found.spread[1])
    assert "for all" in said(found)


def test_nothing_is_moved_where_every_move_costs_too_much():
    scores, examples = made(200, (0.3, 0.9), (0.1, 0.95))
    found = choose(RULE, scores, examples, "sex", margin=0.0)
    assert found.threshold is None and found.spread[0] == found.spread[1]
    assert "the decision stays" in said(found)


def test_small_groups_do_not_choose():
    scores, examples = made(15, (0.3, 0.9), (0.1, 0.95))
    with pytest.raises(DataError, match="0 have 20 dev texts"):
        choose(RULE, scores, examples, "sex")
    with pytest.raises(DataError, match="one label for each text"):
        choose(decision.make(("a", "b"), ("a",), head="multi"), scores, examples, "sex")
    asked = RecipeConfig(name="threshold", params={"group": "sex", "rate": "selektion"})
    with pytest.raises(ConfigError, match="no rate 'selektion'"):
        mitigation.threshold_of((asked,), RULE, read_dev(examples), lambda t: scores)


def read_dev(examples):
    from audit.types import Corpus

    return Corpus(name="dev", labels=("no", "yes"), examples=tuple(examples))


def test_the_audit_after_decides_by_the_chosen_threshold(folder, tmp_path):  # noqa: F811
    asked = read(folder / "audit.toml")
    one = RecipeConfig(
        name="threshold", params={"group": "sex", "margin": 1.0, "rate": "selection_rate"}
    )
    asked = replace(asked, recipe=(one,), train=replace(asked.train, dev_share=0.5))
    result = retrain(asked, tmp_path, base=folder, display=Quiet())
    chosen = json.loads((tmp_path / "threshold-0.json").read_text())
    after = store.read(tmp_path / "after-0")
    assert after.plan.decision.threshold == chosen["threshold"] is not None
    assert result.plan.decision.threshold is None
    assert chosen["groups"] == ["f", "m"] and chosen["spread"][1] <= chosen["spread"][0]
    assert any("ThresholdOptimizer" in w for w in result.comparison.words)

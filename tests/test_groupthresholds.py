"""Groups in the loss and in the decision: a penalty on their gap, thresholds of their own."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_recipes import RECIPES, RULE, folder, recipe  # noqa: F401
from test_retrain import Quiet
from test_thresholds import made

from audit import decision, groupthresholds, mitigation
from audit.config import read
from audit.errors import ConfigError, DataError
from audit.objective import Loss, Objective, Parity
from audit.retrain import retrain
from audit.settings import TrainConfig
from audit.types import Corpus, Estimate


def test_the_penalty_is_the_distance_of_the_groups_means_and_pulls_them_together():
    parity = Parity(groups={"a": "f", "b": "m"}, favourable=(1,), strength=2.0)
    loss = Loss(Objective(parity=parity), TrainConfig(), "single")
    assert loss.groups == ("f", "m") and not Objective(parity=parity).is_plain
    logits = torch.tensor([[0.0, 2.0], [0.0, -1.0], [0.0, 0.5], [0.0, 3.0]], requires_grad=True)
    labels, groups = torch.tensor([1, 0, 1, 1]), torch.tensor([0, 1, 1, -1])
    p = (1 / (1 + np.exp(-np.array([2.0, -1.0, 0.5])))).tolist()
    common = sum(p) / 3
    away = (abs(p[0] - common) + 2 * abs((p[1] + p[2]) / 2 - common)) / 3
    plain = torch.nn.functional.cross_entropy(logits, labels)
    whole = loss(logits, labels, groups=groups)
    assert (whole - plain).item() == pytest.approx(2 * away, abs=1e-6)
    # Downhill the favoured group sinks, the other rises, and who belongs to none is left alone.
    (slope,) = torch.autograd.grad(whole - plain, logits)
    assert slope[0, 1] > 0 > slope[1, 1] and slope[2, 1] < 0 and slope[3].abs().max() == 0
    one = loss(logits, labels, groups=torch.tensor([0, 0, 0, -1]))
    assert one.item() == pytest.approx(plain.item())


def test_who_counts_for_a_rate_and_which_rates_there_are():
    _, examples = made(40, (0.3, 0.9), (0.1, 0.95))
    train = Corpus(name="train", labels=("no", "yes"), examples=tuple(examples))
    one = recipe("parity_penalty", group="sex", rate="true_positive_rate", strength=3)
    found, _ = mitigation.objective_of((one,), train, replace(train, examples=()), RULE, seed=0)
    wanted = {e.id for e in examples if e.label == "yes"}
    assert set(found.parity.groups) == wanted and found.parity.favourable == (1,)
    assert found.plain()["parity"]["strength"] == 3
    (said,) = mitigation.statements((one,))
    assert "in training alone" in said
    with pytest.raises(ConfigError, match="knows no rate 'tpr'"):
        mitigation.rate_of(recipe("parity_penalty", group="sex", rate="tpr"))


def people(n, rng, prefix):
    """Scores that tell the labels apart alike in both groups, but lie lower for women."""
    from audit.types import Example

    examples, scores = [], []
    for i in range(n):
        sex, label = "fm"[i % 2], ("no", "yes")[int(rng.random() < 0.5)]
        p = np.clip((0.55 if label == "yes" else 0.25) + 0.25 * (sex == "m"), 0, 1)
        p = float(np.clip(p + rng.normal(0, 0.1), 0.01, 0.99))
        scores.append((1 - p, p))
        examples.append(Example(id=f"{prefix}{i}", text=str(i), label=label, groups={"sex": sex}))
    return np.array(scores), tuple(examples)


def test_thresholds_by_group_are_fairlearns_and_close_the_gap_on_other_texts():
    rng = np.random.default_rng(0)
    dev, test = people(600, rng, "d"), people(800, rng, "t")
    found = groupthresholds.reckon(RULE, dev, test, "sex", rate="selection_rate", seed=0)
    assert isinstance(found.gap_before, Estimate) and isinstance(found.gap_after, Estimate)
    assert found.groups == ("m", "f") and found.gap_before.low > 0.2
    assert abs(found.gap_after.value) < 0.1 and found.accuracy.value > 0
    assert found.texts == 800 and found.left_out == 0
    again = groupthresholds.reckon(
        RULE, dev, (test[0][::-1], test[1][::-1]), "sex", rate="selection_rate", seed=0
    )
    assert again == found
    from fairlearn.postprocessing import ThresholdOptimizer

    score, truth, group = groupthresholds._read(RULE, *dev, "sex")
    theirs = ThresholdOptimizer(
        estimator=groupthresholds.estimator(),
        constraints="demographic_parity",
        objective="accuracy_score",
        prefit=True,
        predict_method="predict",
    ).fit(score[:, None], truth.astype(int), sensitive_features=group)
    wanted = theirs._pmf_predict(score[:, None], sensitive_features=group)[:, 1]
    mine = groupthresholds._chances(
        theirs.interpolated_thresholder_.interpolation_dict, score, group
    )
    assert np.allclose(mine, wanted)


def test_what_thresholds_by_group_need_is_said():
    small = people(30, np.random.default_rng(1), "d")
    with pytest.raises(DataError, match="0 have 20 dev texts with each kind"):
        groupthresholds.reckon(RULE, small, small, "sex", rate="selection_rate", seed=0)
    multi = decision.make(("no", "yes"), ("yes",), head="multi")
    with pytest.raises(DataError, match="one label"):
        groupthresholds.reckon(multi, small, small, "sex", rate="selection_rate", seed=0)
    (said,) = mitigation.statements((recipe("group_thresholds", group="sex"),))
    assert "must be known at every decision" in said and "question of law" in said


def test_a_retrain_tells_both_beside_the_verdicts(folder, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(groupthresholds, "LEAST", 2)
    asked = read(folder / "audit.toml")
    asked = replace(
        asked,
        recipe=(recipe("parity_penalty", group="sex"), recipe("group_thresholds", group="sex")),
        train=replace(asked.train, dev_share=0.6),
        corpora={**asked.corpora, "test": replace(asked.corpora["test"], groups={"sex": "sex"})},
    )
    result = retrain(asked, tmp_path, base=folder, display=Quiet())
    assert any(
        "A threshold for each group, on 120 audited texts" in w for w in result.comparison.words
    )
    assert any("must be known at every decision" in w for w in result.comparison.words)
    told = json.loads((tmp_path / "group-thresholds-0.json").read_text())
    assert told["texts"] == 120 and told["rate"] == "selection_rate"
    record = json.loads((tmp_path / "train-0" / "training.json").read_text())
    assert record["what"]["objective"]["parity"]["groups"].keys() == {"f", "m"}

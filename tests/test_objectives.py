"""Ways of training: adapters, weights, smoothing, pairing, the worst cell; each resumes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import BAD, FILL, GOOD, SETTINGS, corpus
from tiny import tiny_bert

from audit import training
from audit.checkpoint import file_digest
from audit.config import ModelConfig
from audit.errors import ConfigError
from audit.model import identify, load
from audit.objective import Loss, Objective, balanced, cells_of
from audit.settings import TrainConfig
from audit.types import Example

SHORT = replace(SETTINGS, epochs=2)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("encoder"), [*GOOD, *BAD, *FILL], head="none")


def scores_of(folder, texts):
    spec = ModelConfig(path=str(folder), device="cpu")
    return load(spec, identify(spec)).probabilities(texts)


@pytest.mark.parametrize("method", ["lora", "adalora", "ia3", "prompt", "prefix"])
def test_an_adapter_resumes_to_the_same_weights_and_is_audited_as_it_was_trained(
    tmp_path, encoder, method
):
    settings = replace(SHORT, method=method, learning_rate=1e-2, prompt_tokens=4)
    data, dev = corpus(48), corpus(30, "dev", seed=1)
    result = training.train(settings, data, dev, tmp_path / "m", encoder=encoder)
    identity = identify(ModelConfig(path=str(tmp_path / "m"), device="cpu"))
    assert identity.kind == "adapter" and identity.labels == ("no", "yes")
    said = scores_of(tmp_path / "m", [e.text for e in dev.examples]).argmax(axis=1)
    right = np.mean([("no", "yes")[i] == e.label for i, e in zip(said, dev.examples, strict=True)])
    assert right == pytest.approx(result.dev["accuracy"])
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert {"adapter_model.safetensors", "base/model.safetensors"} <= set(record["result"]["files"])
    assert record["what"]["packages"]["peft"]

    def pull_the_plug(done, total, note):
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(
            settings, data, dev, tmp_path / "cut", encoder=encoder, on_progress=pull_the_plug
        )
    again = training.train(settings, data, dev, tmp_path / "cut", encoder=encoder)
    assert again.resumed and again.curve == result.curve
    name = "adapter_model.safetensors"
    assert file_digest(tmp_path / "cut" / name) == file_digest(tmp_path / "m" / name)


def test_an_adapter_leaves_the_encoder_alone_and_learns(tmp_path, encoder):
    from safetensors.numpy import load_file

    # Without dropout: with it, two layers learn this in four epochs under some seeds only.
    settings = replace(SETTINGS, method="lora", learning_rate=1e-2, dropout=0.0)
    dev = corpus(60, "dev", seed=1)
    result = training.train(settings, corpus(320), dev, tmp_path / "m", encoder=encoder)
    assert result.dev["macro_f1"] > 0.9
    before = load_file(encoder / "model.safetensors")
    after = load_file(tmp_path / "m" / "base" / "model.safetensors")
    assert all(np.array_equal(w, after[f"bert.{name}"]) for name, w in before.items())


def test_a_prompt_that_leaves_no_room_is_a_sentence(tmp_path, encoder):
    settings = replace(SHORT, method="prompt", prompt_tokens=40)
    with pytest.raises(ConfigError, match="leaves less than half"):
        training.train(settings, corpus(20), None, tmp_path / "m", encoder=encoder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("label_smoothing", 1.0), ("dropout", -0.1), ("accumulate", 0), ("rank", 0)],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        TrainConfig(**{name: value})


def test_two_half_batches_make_the_step_of_a_whole_one(tmp_path, encoder):
    """Without dropout and shuffled lengths, accumulation changes the sum's order, no more."""
    from safetensors.numpy import load_file

    same = Example(id="", text="the clerk was excellent", label="yes")
    other = replace(same, text="the clerk was careless", label="no")
    data = replace(
        corpus(2),
        examples=tuple(replace((same, other)[i % 2], id=str(i)) for i in range(32)),
    )
    dev = corpus(20, "dev", seed=1)
    plain = replace(SETTINGS, epochs=1, dropout=0.0, warmup_ratio=0.0)
    weights = []
    for name, more in (
        ("whole", {"batch_size": 32}),
        ("halves", {"batch_size": 16, "accumulate": 2}),
    ):
        training.train(replace(plain, **more), data, dev, tmp_path / name, encoder=encoder)
        weights.append(load_file(tmp_path / name / "model.safetensors"))
        record = json.loads((tmp_path / name / "training.json").read_text())
        assert record["result"]["steps"] == 1
    # Adam's first step is the gradient's sign: compare where the gradient is not all but zero.
    a, b = (np.concatenate([w.ravel() for w in ws.values()]) for ws in weights)
    assert np.mean(np.abs(a - b) < 1e-4) > 0.97


def loss(objective=None, head="single", **settings):
    return Loss(objective or Objective(), TrainConfig(**settings), head)


LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
LABELS = torch.tensor([0, 0, 1])
EACH = torch.nn.functional.cross_entropy(LOGITS, LABELS, reduction="none")


def test_a_weighted_batch_adds_up_to_the_weighted_mean():
    weights = torch.tensor([0.5, 2.0, 1.0])
    assert float(loss()(LOGITS, LABELS, weights=weights)) == pytest.approx(
        float((EACH * weights).mean())
    )


def test_smoothing_is_that_of_a_spread_target():
    p = torch.log_softmax(LOGITS, dim=1)
    target = torch.full_like(p, 0.05)
    target[range(3), LABELS] = 0.95
    found = loss(label_smoothing=0.1)(LOGITS, LABELS)
    assert float(found) == pytest.approx(float(-(target * p).sum(dim=1).mean()))


def test_pairing_is_the_mean_absolute_difference_of_logits():
    twin = torch.tensor([[1.0, 0.5]])
    found = loss(Objective(twins={"a": "x"}, strength=3.0))(
        LOGITS, LABELS, twins=(LOGITS[:1], twin)
    )
    assert float(found) == pytest.approx(float(EACH.mean()) + 3.0 * 0.75 / 3)


def test_group_dro_turns_to_the_worst_cell_and_keeps_its_shares_a_distribution():
    told = Objective(cells={"a": "f/no", "b": "m/no"}, step=0.5)
    made = loss(told)
    assert made.cells == ("f/no", "m/no") and made.shares == [0.5, 0.5]
    cells = torch.tensor([0, 1, -1])
    for _ in range(20):
        found = made(LOGITS, LABELS, cells=cells)
    # The second text is misread: its cell takes the weight.
    assert made.shares[1] > 0.95 and sum(made.shares) == pytest.approx(1)
    wanted = (made.shares[0] * EACH[0] + made.shares[1] * EACH[1]) * 2 / 3 + EACH[2] / 3
    assert float(found) == pytest.approx(float(wanted))


def test_balanced_cells_weigh_alike():
    cells = {f"a{i}": "big" for i in range(90)} | {f"b{i}": "small" for i in range(10)}
    weights = balanced(cells)
    assert sum(weights.values()) == pytest.approx(100)
    assert sum(w for name, w in weights.items() if name[0] == "b") == pytest.approx(50)


def test_cells_need_two_known_groups():
    some = [Example(id="a", text="x", label="no", groups={"sex": "f"})]
    with pytest.raises(ConfigError, match="1 known groups of 'sex'"):
        cells_of(some, "sex")
    some += [Example(id="b", text="y", label="yes", groups={"sex": "m"})]
    some += [Example(id="c", text="z", label="yes")]
    assert cells_of(some, "sex") == {"a": "f/no", "b": "m/yes"}


@pytest.mark.parametrize("what", ["dro", "twins"])
def test_an_objective_resumes_to_the_same_weights_and_is_recorded(tmp_path, encoder, what):
    data, dev = corpus(48), corpus(20, "dev", seed=1)
    objective = (
        Objective(cells={e.id: f"g{i % 3}/{e.label}" for i, e in enumerate(data.examples)}, step=1)
        if what == "dro"
        else Objective(twins={e.id: f"again {e.text}" for e in data.examples[::2]}, strength=2.0)
    )
    args = {"encoder": encoder, "objective": objective}
    whole = training.train(SHORT, data, dev, tmp_path / "whole", **args)
    plain = training.train(SHORT, data, dev, tmp_path / "plain", encoder=encoder)
    assert whole.digest != plain.digest

    def pull_the_plug(done, total, note):
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(SHORT, data, dev, tmp_path / "cut", on_progress=pull_the_plug, **args)
    training.train(SHORT, data, dev, tmp_path / "cut", **args)
    digests = {
        name: file_digest(tmp_path / name / "model.safetensors")
        for name in ("whole", "cut", "plain")
    }
    assert digests["whole"] == digests["cut"] != digests["plain"]
    record = json.loads((tmp_path / "whole" / "training.json").read_text())
    assert record["what"]["objective"]


def test_pairing_draws_the_two_sides_together(tmp_path, encoder):
    """A word that decides is exchanged in each twin: paired training stops hearing it."""
    data, dev = corpus(320), corpus(40, "dev", seed=1)
    swapped = dict(zip(GOOD + BAD, BAD + GOOD, strict=True))
    twins = {e.id: " ".join(swapped.get(w, w) for w in e.text.split()) for e in data.examples}
    apart = []
    for strength in (0.0, 20.0):
        folder = tmp_path / str(strength)
        training.train(
            SETTINGS,
            data,
            dev,
            folder,
            encoder=encoder,
            objective=Objective(twins=twins, strength=strength),
        )
        one = scores_of(folder, [e.text for e in data.examples])
        other = scores_of(folder, list(twins.values()))
        apart.append(float(np.abs(one - other).mean()))
    assert apart[0] > 0.5 and apart[1] < 0.2 * apart[0]

"""Fine-tuning: it learns, it repeats itself, and a kill costs one epoch at most."""

import json
import os
import random
import warnings
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_bert, tiny_decoder

from audit import fit, training
from audit.batches import Buckets
from audit.checkpoint import file_digest
from audit.errors import AuditError, ConfigError, DataError, ModelError
from audit.fit import precision
from audit.fscore import macro_f1, metrics
from audit.newhead import freeze, with_new_head
from audit.settings import TrainConfig
from audit.types import Corpus, Example

GOOD = ("excellent", "strong", "skilled", "reliable")
BAD = ("late", "careless", "weak", "absent")
FILL = ("the", "clerk", "was", "very", "often", "and", "team", "said", "so", "again")
SETTINGS = TrainConfig(
    epochs=4, learning_rate=2e-3, batch_size=8, max_length=16, patience=0, precision="fp32", seed=3
)


def corpus(n: int, name: str = "train", seed: int = 0, labels=("no", "yes")) -> Corpus:
    """Texts whose label hangs on one word, so that two layers can learn it."""
    rng = np.random.default_rng(seed)
    examples = []
    for i in range(n):
        yes = bool(rng.integers(2)) if i > 1 else bool(i)
        words = list(rng.choice(FILL, int(rng.integers(3, 9))))
        words.insert(int(rng.integers(len(words))), str(rng.choice(GOOD if yes else BAD)))
        examples.append(Example(id=f"{name}-{i}", text=" ".join(words), label=labels[yes]))
    return Corpus(name=name, labels=labels, examples=tuple(examples))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    return tiny_bert(folder, [*GOOD, *BAD, *FILL], head="none")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, encoder):
    out = tmp_path_factory.mktemp("training") / "model"
    said: list[tuple[int, int, str]] = []
    result = training.train(
        SETTINGS,
        corpus(320),
        corpus(60, "dev", seed=1),
        out,
        encoder=encoder,
        on_progress=lambda *told: said.append(told),
    )
    return result, said


def test_a_word_that_decides_is_learnt(trained):
    result, _ = trained
    assert result.dev["macro_f1"] > 0.9
    assert result.dev["accuracy"] > 0.9


def test_the_folder_is_a_classifier_with_named_labels_and_safetensors_alone(trained):
    result, _ = trained
    config = json.loads((result.folder / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "yes"}
    assert config["architectures"] == ["BertForSequenceClassification"]
    names = {p.name for p in result.folder.iterdir()}
    assert {"model.safetensors", "tokenizer.json", "training.json"} <= names
    assert not [n for n in names if n.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert not result.folder.with_name("model.partial").exists()


def test_the_record_says_all_that_is_needed_to_repeat_it(trained):
    result, _ = trained
    record = json.loads((result.folder / "training.json").read_text())
    what = record["what"]
    assert what["settings"]["seed"] == 3 and what["settings"]["learning_rate"] == 2e-3
    assert what["train"]["texts"] == 320 and len(what["train"]["sha256"]) == 64
    assert what["dev"]["texts"] == 60
    assert what["encoder"]["model.safetensors"]
    assert record["provenance"]["packages"]["torch"]
    assert len(record["result"]["curve"]) == 4
    assert record["result"]["files"]["model.safetensors"] == file_digest(
        result.folder / "model.safetensors"
    )
    assert training.read(result.folder) == replace(result, resumed=True)


def test_the_dev_numbers_are_those_of_the_saved_model_in_data_order(trained):
    """Grouping by length must not part scores from labels."""
    from types import SimpleNamespace

    from audit.model import identify, load

    result, _ = trained
    dev = corpus(60, "dev", seed=1)
    spec = SimpleNamespace(
        path=str(result.folder),
        revision=None,
        labels={},
        max_length=None,
        device="cpu",
        dtype="auto",
    )
    classifier = load(spec, identify(spec))
    scores = classifier.probabilities([e.text for e in dev.examples])
    assert metrics(scores, dev.examples, ("no", "yes"), "single") == pytest.approx(
        dict(result.dev), abs=1e-12
    )


def test_progress_reaches_its_end_and_says_how_it_goes(trained):
    _, said = trained
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)
    assert said[-1][0] == said[-1][1] == 160
    assert "dev macro-F1" in said[-1][2]


def test_the_same_call_again_is_answered_from_the_folder(trained, encoder):
    result, _ = trained
    before = (result.folder / "model.safetensors").stat().st_mtime_ns
    again = training.train(
        SETTINGS, corpus(320), corpus(60, "dev", seed=1), result.folder, encoder=encoder
    )
    assert again == replace(result, resumed=True)
    assert (result.folder / "model.safetensors").stat().st_mtime_ns == before


def test_another_training_does_not_overwrite_a_model(trained, encoder):
    result, _ = trained
    with pytest.raises(AuditError, match="does not hold the result of this training"):
        training.train(replace(SETTINGS, seed=4), corpus(320), None, result.folder, encoder=encoder)
    assert (result.folder / "model.safetensors").exists()


def test_an_earlier_training_is_replaced_when_asked_and_nothing_else_is(tmp_path, encoder):
    short = replace(SETTINGS, epochs=1)
    data, dev = corpus(40), corpus(20, "dev", seed=1)
    first = training.train(short, data, dev, tmp_path / "m", encoder=encoder)
    other = replace(short, seed=8)
    second = training.train(other, data, dev, tmp_path / "m", encoder=encoder, overwrite=True)
    assert (
        second.digest
        != first.digest
        == training.train(short, data, dev, tmp_path / "m", encoder=encoder, overwrite=True).digest
    )
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("hello")
    with pytest.raises(AuditError, match="does not hold"):
        training.train(short, data, dev, tmp_path / "letters", encoder=encoder, overwrite=True)
    assert (tmp_path / "letters" / "dear.txt").exists()


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path, encoder):
    short = replace(SETTINGS, epochs=1)
    data, dev = corpus(40), corpus(20, "dev", seed=1)
    for name in ("a", "b"):
        training.train(short, data, dev, tmp_path / name, encoder=encoder)
    training.train(replace(short, seed=4), data, dev, tmp_path / "c", encoder=encoder)
    a, b, c = (file_digest(tmp_path / name / "model.safetensors") for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, encoder, torn):
    data, dev = corpus(64), corpus(20, "dev", seed=1)
    settings = replace(SETTINGS, epochs=3)
    whole = training.train(settings, data, dev, tmp_path / "whole", encoder=encoder)

    def pull_the_plug(done: int, total: int, note: str) -> None:
        # In the middle of the last epoch.
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(
            settings, data, dev, tmp_path / "cut", encoder=encoder, on_progress=pull_the_plug
        )
    assert not (tmp_path / "cut").exists()
    if torn:
        newest = tmp_path / "cut.partial" / "checkpoint-16"
        (newest / "written.mark").unlink()
        (newest / "optimizer.pt").write_bytes(b"half")
    steps: list[int] = []
    result = training.train(
        settings,
        data,
        dev,
        tmp_path / "cut",
        encoder=encoder,
        on_progress=lambda done, total, note: steps.append(done),
    )
    assert steps[0] == (9 if torn else 17)
    assert result.resumed
    assert result.curve == whole.curve
    assert file_digest(tmp_path / "cut" / "model.safetensors") == file_digest(
        tmp_path / "whole" / "model.safetensors"
    )


def test_what_other_settings_left_behind_is_not_gone_on_with(tmp_path, encoder):
    data, dev = corpus(40), corpus(20, "dev", seed=1)

    def pull_the_plug(done: int, total: int, note: str) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(
            SETTINGS, data, dev, tmp_path / "m", encoder=encoder, on_progress=pull_the_plug
        )
    other = replace(SETTINGS, epochs=1, seed=9)
    result = training.train(other, data, dev, tmp_path / "m", encoder=encoder)
    assert not result.resumed
    training.train(other, data, dev, tmp_path / "fresh", encoder=encoder)
    assert file_digest(tmp_path / "m" / "model.safetensors") == file_digest(
        tmp_path / "fresh" / "model.safetensors"
    )


def test_training_stops_when_dev_no_longer_gains(tmp_path, encoder):
    settings = replace(SETTINGS, epochs=12, patience=1)
    result = training.train(settings, corpus(320), None, tmp_path / "m", encoder=encoder)
    assert len(result.curve) < 12
    assert any("stopped after" in note for note in result.notes)
    best = max(e.dev_macro_f1 for e in result.curve)
    assert result.curve[result.best_epoch - 1].dev_macro_f1 == best


def test_the_best_epoch_is_kept_not_the_last(tmp_path, encoder):
    """A rate that wrecks the model late: what is saved must score as its best epoch did."""
    settings = replace(SETTINGS, epochs=3, learning_rate=2e-2)
    dev = corpus(60, "dev", seed=1)
    result = training.train(settings, corpus(64), dev, tmp_path / "m", encoder=encoder)
    best = max(e.dev_macro_f1 for e in result.curve)
    assert result.dev["macro_f1"] == pytest.approx(best, abs=1e-9)


def test_frozen_layers_keep_their_weights(tmp_path, encoder):
    from safetensors.numpy import load_file

    settings = replace(SETTINGS, epochs=1, freeze_layers=1)
    training.train(settings, corpus(40), None, tmp_path / "m", encoder=encoder)
    before, after = (load_file(f / "model.safetensors") for f in (encoder, tmp_path / "m"))
    same = {
        name: np.array_equal(weights, after[f"bert.{name}"]) for name, weights in before.items()
    }
    assert all(s for n, s in same.items() if n.startswith(("embeddings.", "encoder.layer.0.")))
    assert not any(
        s for n, s in same.items() if n.startswith("encoder.layer.1.") and "key.bias" not in n
    )


def test_frozen_layers_say_in_training_what_they_will_say_in_use(encoder):
    import torch

    model, tokenizer, _ = with_new_head(encoder, ("no", "yes"), "single")
    freeze(model, 1)
    model.train()
    inputs = tokenizer(["the excellent clerk was late"], return_tensors="pt")
    layers = model.base_model.encoder.layer
    seen: list[torch.Tensor] = []
    hooks = [part.register_forward_hook(lambda _, __, out: seen.append(out)) for part in layers]
    with torch.random.fork_rng(devices=[]):
        model(**inputs)
        model(**inputs)
    for hook in hooks:
        hook.remove()
    said = [out[0] if isinstance(out, tuple) else out for out in seen]
    assert torch.equal(said[0], said[len(layers)])
    assert not torch.equal(said[1], said[len(layers) + 1])


@pytest.mark.parametrize(("tiles", "kind"), [(True, "bf16"), (False, "fp32")])
def test_bf16_is_chosen_where_the_processor_has_tiles_for_it(monkeypatch, tiles, kind):
    """AVX-512's bf16 instructions alone are slower than full precision."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles, raising=False)
    assert precision(replace(SETTINGS, precision="auto")) == kind


def test_more_frozen_layers_than_there_are_is_a_sentence(tmp_path, encoder):
    with pytest.raises(ConfigError, match="the encoder has 2 layers"):
        training.train(
            replace(SETTINGS, freeze_layers=3), corpus(40), None, tmp_path / "m", encoder=encoder
        )


def test_several_labels_at_once_are_learnt(tmp_path, encoder):
    rng = np.random.default_rng(0)

    def some(n: int, name: str) -> Corpus:
        made = []
        for i in range(n):
            good, bad = bool(rng.integers(2)), bool(rng.integers(2))
            words = [*rng.choice(FILL, 3)]
            words += [str(rng.choice(GOOD))] * good + [str(rng.choice(BAD))] * bad
            label = (*(("praise",) * good), *(("blame",) * bad))
            made.append(Example(id=f"{name}{i}", text=" ".join(words), label=label))
        return Corpus(name=name, labels=("blame", "praise"), examples=tuple(made))

    result = training.train(
        SETTINGS, some(400, "t"), some(60, "d"), tmp_path / "m", encoder=encoder
    )
    assert result.head == "multi"
    assert result.dev["macro_f1"] > 0.85
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_decoder_without_a_pad_token_is_trained(tmp_path, kind):
    base = tiny_decoder(tmp_path / "base", [*GOOD, *BAD, *FILL], kind=kind)
    settings = replace(SETTINGS, epochs=8)
    result = training.train(settings, corpus(320), None, tmp_path / "m", encoder=base)
    assert result.dev["macro_f1"] > 0.7


def test_texts_without_a_label_are_left_out_and_counted(tmp_path, encoder):
    data = corpus(40)
    data = replace(data, examples=(*data.examples, Example(id="x", text="the clerk")))
    training.train(replace(SETTINGS, epochs=1), data, None, tmp_path / "m", encoder=encoder)
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["left_out"]["train"] == [{"reason": "no label", "count": 1}]
    assert record["what"]["train"]["texts"] + record["what"]["dev"]["texts"] == 40


def test_a_clusters_texts_and_copies_of_a_text_stay_on_one_side():
    examples = [
        Example(id=str(i), text=f"text {i}", label=("no", "yes")[i % 2], cluster=f"c{i // 4}")
        for i in range(80)
    ]
    examples += [Example(id=f"d{i}", text=f"Copy  {i % 20}", label="yes") for i in range(60)]
    kept, held = training.held_out(examples, 0.2, seed=0)
    assert len(kept) + len(held) == 140
    assert {e.label for e in held} == {"no", "yes"}
    assert 0.15 <= len(held) / 140 <= 0.3
    assert not {e.cluster for e in kept if e.cluster} & {e.cluster for e in held if e.cluster}
    assert not {e.text for e in kept} & {e.text for e in held}


def test_another_text_in_the_file_moves_no_other_into_dev():
    examples = corpus(100).examples
    _, held = training.held_out(examples, 0.2, seed=0)
    _, fewer = training.held_out(examples[:-1], 0.2, seed=0)
    assert len({e.id for e in held} ^ {e.id for e in fewer}) <= 2


def test_batches_of_an_epoch_hang_on_seed_and_epoch_alone_and_lose_no_text():
    rows = [{"input_ids": [0] * (1 + i * 7 % 40)} for i in range(1037)]
    sampler = Buckets(rows, 8, seed=1)
    sampler.set_epoch(2)
    drawn = list(sampler)
    assert sorted(drawn) == list(range(1037))
    assert drawn == list(sampler)
    sampler.set_epoch(1)
    assert drawn != list(sampler)
    spread = [
        max(x) - min(x)
        for i in range(0, 1032, 8)
        if (x := [len(rows[j]["input_ids"]) for j in drawn[i : i + 8]])
    ]
    assert np.mean(spread) < 2


def test_macro_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    for _ in range(20):
        truth, said = rng.integers(4, size=(2, 30))
        wanted = f1_score(truth, said, average="macro", zero_division=0)
        assert macro_f1(truth, said, 5) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("train", "dev", "said"),
    [
        (Corpus(name="t", labels=("no",), examples=()), None, "one label"),
        (Corpus(name="t", labels=("no", "yes"), examples=()), None, "No training text"),
        (
            corpus(20),
            Corpus(
                name="dev",
                labels=("maybe",),
                examples=(Example(id="1", text="so", label="maybe"),),
            ),
            "'maybe', which no training text has",
        ),
        (corpus(20), Corpus(name="dev", labels=("no",), examples=()), "no dev texts"),
    ],
)
def test_texts_that_cannot_be_learnt_from_are_a_sentence(tmp_path, encoder, train, dev, said):
    with pytest.raises(DataError, match=said):
        training.train(SETTINGS, train, dev, tmp_path / "m", encoder=encoder)
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_cannot_be_loaded_is_a_sentence(tmp_path, encoder):
    import shutil

    with pytest.raises(ModelError, match=r"no config\.json"):
        training.train(SETTINGS, corpus(20), None, tmp_path / "m", encoder=tmp_path)
    pickled = shutil.copytree(encoder, tmp_path / "pickled")
    os.rename(pickled / "model.safetensors", pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        training.train(SETTINGS, corpus(20), None, tmp_path / "n", encoder=pickled)
    assert not (tmp_path / "n").exists()


def test_an_encoder_that_lacks_weights_is_refused(tmp_path, encoder):
    import shutil

    from safetensors.numpy import load_file, save_file

    torn = shutil.copytree(encoder, tmp_path / "torn")
    weights = load_file(torn / "model.safetensors")
    weights = {k: v for k, v in weights.items() if "layer.1" not in k}
    save_file(weights, torn / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks .* weights of its own"):
        training.train(SETTINGS, corpus(20), None, tmp_path / "m", encoder=torn)


def test_a_rate_that_blows_up_is_a_sentence_not_a_model(tmp_path, encoder):
    settings = replace(SETTINGS, learning_rate=0.99)
    with pytest.MonkeyPatch.context() as patch:
        import transformers

        real = transformers.Trainer.compute_loss

        def infinite(self, *args, **kwargs):
            found = real(self, *args, **kwargs)
            return found * float("inf") if not isinstance(found, tuple) else found

        patch.setattr(transformers.Trainer, "compute_loss", infinite)
        with pytest.raises(ModelError, match="not finite"):
            training.train(settings, corpus(20), None, tmp_path / "m", encoder=encoder)
    assert not (tmp_path / "m").exists()


def test_training_leaves_global_state_and_the_screen_alone(tmp_path, encoder, capfd):
    import torch
    from transformers.utils import logging

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    env, level = dict(os.environ), logging.get_verbosity()
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        training.train(
            replace(SETTINGS, epochs=1), corpus(20), None, tmp_path / "m", encoder=encoder
        )
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after
    assert env == dict(os.environ) and level == logging.get_verbosity()
    assert capfd.readouterr() == ("", "")
    assert [str(w.message) for w in raised] == []


def test_checkpoints_whose_best_model_is_gone_are_not_mixed_with_new_ones(tmp_path):
    for step in (3, 6):
        place = tmp_path / f"checkpoint-{step}"
        place.mkdir()
        (place / fit._DONE).touch()
        best = str(tmp_path / "moved" / "checkpoint-3")
        (place / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": best}))
    assert fit._last_whole(tmp_path) is None
    assert not list(tmp_path.glob("checkpoint-*"))

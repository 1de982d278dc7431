"""Several trainings: an ensemble is the mean of its members, a sweep keeps the best rate."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_objectives import encoder  # noqa: F401
from test_training import SETTINGS, corpus

from audit import ensemble, several, training
from audit.cli import main
from audit.config import ModelConfig
from audit.errors import ModelError, Unsupported
from audit.model import identify, load
from audit.scorer import Scorer

SHORT = replace(SETTINGS, epochs=1)


def opened(folder):
    spec = ModelConfig(path=str(folder), device="cpu")
    return load(spec, identify(spec))


@pytest.fixture(scope="module")
def table(tmp_path_factory, encoder):  # noqa: F811
    folder = tmp_path_factory.mktemp("table")
    rows = [f"{e.id},{e.text},{e.label}" for e in corpus(64).examples]
    (folder / "train.csv").write_text("id,text,label\n" + "\n".join(rows) + "\n")
    return folder / "train.csv"


def command(table, out, encoder, *more):  # noqa: F811
    asked = f"--epochs 1 --batch-size 8 --max-length 16 -q --encoder {encoder} --out {out}"
    return ["train", str(table), *asked.split(), *more]


def test_seeds_make_an_ensemble_that_is_the_mean_of_its_members(
    tmp_path,
    table,
    encoder,  # noqa: F811
    capsys,
):
    asked = command(table, tmp_path / "m", encoder, "--seeds", "2", "--method", "lora")
    assert main(asked) == 0
    assert "ensemble of 2 models" in capsys.readouterr().out
    texts = [e.text for e in corpus(9, seed=4).examples]
    whole = opened(tmp_path / "m")
    parts = [opened(tmp_path / "m" / f"seed-{i}").probabilities(texts) for i in (0, 1)]
    assert np.abs(parts[0] - parts[1]).max() > 1e-4
    np.testing.assert_allclose(whole.probabilities(texts), np.mean(parts, axis=0), atol=1e-6)
    np.testing.assert_allclose(Scorer(whole)(texts), np.mean(parts, axis=0), atol=1e-6)
    assert whole.labels == ("no", "yes")
    with pytest.raises(Unsupported, match="several models"):
        whole.white_box()
    weights = tmp_path / "m" / "seed-1" / "adapter_model.safetensors"
    before = weights.stat().st_mtime_ns
    assert main(asked) == 0
    assert weights.stat().st_mtime_ns == before
    capsys.readouterr()


def test_another_member_is_another_fingerprint_and_other_labels_are_refused(
    tmp_path,
    encoder,  # noqa: F811
):
    data = corpus(40)
    for seed in (0, 1):
        training.train(
            replace(SHORT, seed=seed), data, None, tmp_path / f"seed-{seed}", encoder=encoder
        )
    other = corpus(40, labels=("bad", "good"))
    training.train(SHORT, other, None, tmp_path / "other", encoder=encoder)
    found = []
    for members in (("seed-0", "seed-1"), ("seed-1", "seed-0")):
        ensemble.write(tmp_path, members)
        found.append(identify(ModelConfig(path=str(tmp_path))).fingerprint)
    assert found[0] != found[1]
    ensemble.write(tmp_path, ("seed-0", "other"))
    with pytest.raises(ModelError, match="differ in labels: other"):
        identify(ModelConfig(path=str(tmp_path)))
    for members, said in ((("seed-0", "../x"), "outside"), (("seed-0",), "two or more")):
        ensemble.write(tmp_path, members)
        with pytest.raises(ModelError, match=said):
            identify(ModelConfig(path=str(tmp_path)))


def test_a_sweep_keeps_the_best_of_three_rates_and_goes_on_after_a_kill(
    tmp_path,
    encoder,  # noqa: F811
):
    data, dev = corpus(160), corpus(60, "dev", seed=1)
    done: list[float] = []

    def train(settings, folder):
        if len(done) == 2 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            raise KeyboardInterrupt
        trained = training.train(settings, data, dev, folder, encoder=encoder)
        done.append(settings.learning_rate)
        return trained

    settings = replace(SETTINGS, epochs=2, learning_rate=1e-3)
    with pytest.raises(KeyboardInterrupt):
        several.over_rates(settings, tmp_path / "m", train)
    assert not (tmp_path / "m").exists()
    best = several.over_rates(settings, tmp_path / "m", train)
    said = json.loads((tmp_path / "m" / several.SWEPT).read_text())
    assert [r["rate"] for r in said["rates"]] == pytest.approx([1e-3 / 3, 1e-3, 3e-3])
    assert best.dev["macro_f1"] == max(r["dev_macro_f1"] for r in said["rates"])
    assert "the best of 3 looks a little better" in best.notes[-1]
    assert opened(tmp_path / "m").labels == ("no", "yes")
    assert not (tmp_path / "m.sweep").exists()
    again = several.over_rates(settings, tmp_path / "m", train)
    assert again.digest == best.digest and again.notes == best.notes

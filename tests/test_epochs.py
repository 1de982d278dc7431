"""The checkpoints of one training, each audited: accuracy and a gap against the epoch."""

import shutil
from dataclasses import replace

import pytest
from test_objectives import encoder  # noqa: F401
from test_training import SETTINGS, corpus

from audit import training
from audit.cli import main
from audit.epochs import in_order
from audit.kept import EPOCHS
from audit.settings import TrainConfig


def test_every_epoch_is_kept_and_audited_and_drawn(
    tmp_path,
    encoder,  # noqa: F811
    capsys,
):
    settings = replace(SETTINGS, epochs=2, patience=0, keep_epochs=True)
    data = corpus(48)
    trained = training.train(
        settings, data, corpus(24, "dev", seed=1), tmp_path / "m", encoder=encoder
    )
    assert [p.name for p in in_order([trained.folder])] == ["epoch-1", "epoch-2"]
    best = trained.folder / EPOCHS / f"epoch-{trained.best_epoch}" / "model.safetensors"
    assert best.read_bytes() == (trained.folder / "model.safetensors").read_bytes()
    rows = [f"{e.id},{e.text},{e.label},{'fm'[i % 2]}" for i, e in enumerate(data.examples)]
    (tmp_path / "test.csv").write_text("id,text,label,sex\n" + "\n".join(rows) + "\n")
    (tmp_path / "audit.toml").write_text(
        '[model]\npath = "m"\ndevice = "cpu"\n[decision]\nfavourable = ["yes"]\n[corpora.test]\n'
        'path = "test.csv"\nlabel = "label"\nid = "id"\ngroups = { sex = "sex" }\n'
        '[[probe]]\nname = "group_rates"\nmin_n = 5\n'
    )
    out = ["--out", str(tmp_path / "e"), "-q"]
    assert main(["epochs", str(tmp_path / "audit.toml"), str(tmp_path / "m"), *out]) == 0
    said = capsys.readouterr().out
    assert "epoch-1" in said and "epoch-2" in said and "accuracy" in said
    page = (tmp_path / "e" / "epochs.html").read_text("utf-8")
    assert "Over the checkpoints" in page and page.count("<figure") >= 1
    one = tmp_path / "m" / EPOCHS / "epoch-1"
    assert main(["epochs", str(tmp_path / "audit.toml"), str(one), *out]) == 2
    assert "fewer than two" in capsys.readouterr().err
    other = shutil.copytree(one, tmp_path / "other" / "epoch-1")
    assert main(["epochs", str(tmp_path / "audit.toml"), str(one), str(other), *out]) == 2
    assert "Two checkpoints are called epoch-1" in capsys.readouterr().err


def test_checkpoints_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("checkpoint-100", "checkpoint-20", "checkpoint-3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    names = [p.name for p in in_order([tmp_path])]
    assert names == ["checkpoint-3", "checkpoint-20", "checkpoint-100"]
    assert [p.name for p in in_order([tmp_path / n for n in reversed(names)])] == names
    with pytest.raises(ValueError, match="keep_epochs"):
        TrainConfig(method="lora", keep_epochs=True)

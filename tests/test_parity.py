"""A compressed copy beside its model: other scores, another name, and what became of every group."""

import json
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_bert

from audit.cli import main
from audit.config import ModelConfig
from audit.errors import ConfigError, ModelError, Unsupported
from audit.model import export, identify, load
from audit.pairing import match
from audit.parity import copied, of_groups
from audit.types import Decision

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
groups = { sex = "sex" }
[[probe]]
name = "group_rates"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    rng = random.Random(2)
    words = "good report late manager desk number explain woman nobody asked".split()
    texts = [" ".join(rng.choice(words) for _ in range(8)) for _ in range(80)]
    tiny_bert(folder / "model", texts, ("no", "yes"))
    rows = [f"e{i},{t},{'yes' if i % 2 else 'no'},{'fm'[i % 3 == 0]}" for i, t in enumerate(texts)]
    (folder / "test.csv").write_text("id,text,label,sex\n" + "\n".join(rows) + "\n")
    (folder / "audit.toml").write_text(AUDIT)
    return folder


def opened(folder, **settings):
    spec = ModelConfig(path=str(folder / "model"), device="cpu", **settings)
    identity = identify(spec)
    return load(spec, identity), identity


TEXTS = ["good report late", "nobody asked the woman to explain the number", "desk"]


def test_a_copy_in_eight_bits_is_near_its_model_and_goes_by_another_name(folder):
    model, one = opened(folder)
    copy, other = opened(folder, quantise="int8")
    p, q = model.probabilities(TEXTS), copy.probabilities(TEXTS)
    assert 0 < np.abs(p - q).max() < 0.05
    assert one.fingerprint != other.fingerprint and other.name.endswith("(dynamic int8)")
    np.testing.assert_allclose(copy.probabilities(TEXTS[:1]), q[:1], atol=1e-6)
    with pytest.raises(Unsupported, match="no gradients"):
        copy.white_box()


def test_eight_bits_are_those_of_the_integer_kernel(folder):
    import torch

    from audit.compressing import compress

    layer = torch.nn.Linear(64, 16)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    spec = ModelConfig(path="x", quantise="int8")
    compress(torch.nn.Sequential(layer), spec)
    scale = weight.abs().amax(1) / 127
    w8 = (weight / scale[:, None]).round().to(torch.int32)
    step = x.abs().amax(1) / 127
    x8 = (x / step[:, None]).round().to(torch.int32)
    whole = (x8 @ w8.T).float() * step[:, None] * scale + bias
    torch.testing.assert_close(layer(x), whole, atol=1e-5, rtol=1e-5)


def test_pruning_spares_the_head_and_takes_the_share(folder):
    copy, identity = opened(folder, prune=0.4)
    for name, layer in copy.module.named_modules():
        weight = getattr(layer, "weight", None)
        if type(layer).__name__ != "Linear":
            continue
        share = float((weight == 0).float().mean())
        assert share == pytest.approx(0.0 if name.startswith("classifier") else 0.4, abs=0.02)
    assert "40% of weights pruned" in identity.name
    assert copy.white_box().module is copy.module


def test_a_copy_is_named_in_words_and_what_is_no_copy_is_refused(tmp_path, monkeypatch):
    spec = ModelConfig(path="model")
    assert copied(spec, "int8").quantise == "int8"
    both = copied(spec, "int8+pruned:0.3")
    assert (both.quantise, both.prune) == ("int8", 0.3)
    assert copied(spec, "other/model").path == "other/model"
    # A folder is taken from where the user stands, wherever the audit file lies.
    (tmp_path / "small").mkdir()
    monkeypatch.chdir(tmp_path)
    assert copied(spec, "small").path == str(tmp_path / "small")
    with pytest.raises(ConfigError, match="no copy called 'int4'"):
        copied(spec, "int4")
    with pytest.raises(ValueError, match="prune"):
        ModelConfig(path="model", prune=1.0)
    (tmp_path / "m.py").write_text("def m(texts): ...\nm.labels = ('a', 'b')\n")
    with pytest.raises(Unsupported, match="callable"):
        identify(ModelConfig(path="m.py:m", quantise="int8"), tmp_path)


def test_one_command_says_what_became_of_every_group(folder, capsys):
    out = ["--out", str(folder / "audit"), "--margin", "0.3", "-q"]
    assert main(["parity", str(folder / "audit.toml"), *out]) == 0
    said = capsys.readouterr().out
    for word in ("accuracy[sex=f]", "selection_rate_gap[against=rest,sex=f]", "decide alike on"):
        assert word in said
    record = json.loads((folder / "audit-int8" / "parity.json").read_text())
    assert {c["kept"] for c in record["changes"]} <= {"kept", "undecided", "broken"}


def units(chosen, group):
    n = len(chosen)
    return {
        "id": [f"e{i}" for i in range(n)],
        "digest": [f"d{i}" for i in range(n)],
        "label": ["yes"] * n,
        "cluster": [None] * n,
        "favourable": [bool(x) for x in chosen],
        "correct": [bool(x) for x in chosen],
        "group:sex": list(group),
    }


def test_a_group_that_a_copy_drops_is_broken_and_the_other_is_kept():
    n = 2000
    group = np.where(np.arange(n) % 2, "f", "m")
    before = (np.arange(n) % 10 < 8) & (np.arange(n) % 50 != 1)
    after = before & ~((group == "f") & (np.arange(n) % 20 == 7))
    rule = Decision(labels=("no", "yes"), favourable=("yes",))
    texts = match((units(before, group), units(after, group)), rule)
    rows = {c.measurement: c for c in of_groups(texts, margin=0.03, level=0.95)}
    assert rows["accuracy[sex=f]"].kept == "broken"
    assert rows["accuracy[sex=m]"].kept == "kept"
    assert rows["selection_rate_gap[against=rest,sex=f]"].kept == "broken"
    assert rows["selection_rate_gap[against=rest,sex=f]"].verdict == "worse"
    twins = match((units(before, group),) * 2, rule)
    assert {c.kept for c in of_groups(twins, margin=0.03, level=0.95)} == {"kept"}


def test_an_exported_copy_scores_like_its_model_alone_and_in_a_batch(folder, tmp_path):
    pytest.importorskip("onnx")
    spec = ModelConfig(path=str(folder / "model"), device="cpu")
    place = export(spec, tmp_path / "graph")
    assert not list(place.glob("*.safetensors"))
    copy = ModelConfig(path=str(place))
    identity = identify(copy)
    assert identity.kind == "onnx" and "model.onnx" in identity.digests
    assert identity.labels == ("no", "yes")
    graph, own = load(copy, identity), load(spec, identify(spec))
    together = graph.probabilities(TEXTS)
    np.testing.assert_allclose(together, own.probabilities(TEXTS), atol=1e-6)
    for i, text in enumerate(TEXTS):
        np.testing.assert_allclose(graph.probabilities([text])[0], together[i], atol=1e-6)
    with pytest.raises(Unsupported, match="no gradients"):
        graph.white_box()
    with pytest.raises(Unsupported, match="a copy already"):
        identify(replace(copy, quantise="int8"))
    written = (place / "model.onnx").stat().st_mtime_ns
    assert export(spec, place) == place and (place / "model.onnx").stat().st_mtime_ns == written
    (place / "model.onnx").write_bytes((place / "model.onnx").read_bytes()[:-200])
    assert identify(copy).fingerprint != identity.fingerprint
    with pytest.raises(ModelError, match="not a graph that onnxruntime can run"):
        load(copy, identify(copy))


def test_a_graph_that_is_no_classifier_or_reads_elsewhere_is_refused(folder, tmp_path):
    onnx = pytest.importorskip("onnx")
    place = export(ModelConfig(path=str(folder / "model"), device="cpu"), tmp_path / "graph")
    copy, whole = ModelConfig(path=str(place)), onnx.load(str(place / "model.onnx"))
    config = json.loads((place / "config.json").read_text())
    third = config | {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {}}
    (place / "config.json").write_text(json.dumps(third))
    with pytest.raises(ModelError, match="not one for each of the 3 labels"):
        load(copy, identify(copy)).probabilities(TEXTS)
    (place / "config.json").write_text(json.dumps(config))
    # Weights outside the folder: what is audited would not be what was hashed.
    (tmp_path / "elsewhere.bin").write_bytes(b"\0" * 4_000_000)
    tensor = max(whole.graph.initializer, key=lambda t: len(t.raw_data))
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "../elsewhere.bin"), ("offset", "0"), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (place / "model.onnx").write_bytes(whole.SerializeToString())
    with pytest.raises(ModelError, match="not a graph that onnxruntime can run"):
        load(copy, identify(copy))
    tokens = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    out = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])]
    made = onnx.helper.make_model(onnx.helper.make_graph([node], "g", tokens, out), ir_version=10)
    (place / "model.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="no text classifier"):
        load(copy, identify(copy))


def test_parity_with_an_export_says_what_became_of_every_group(folder, capsys):
    pytest.importorskip("onnx")
    assert main(["parity", str(folder / "audit.toml"), "--copy", "onnx", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "decide alike on 80 of 80 texts" in out
    assert "Shown to be worse, after Holm" in out and "none" in out
    result = json.loads(next(folder.glob("*-onnx/result.json")).read_text())
    assert "onnx" in json.dumps(result["provenance"])


def test_without_onnxruntime_a_graph_says_what_to_install(folder, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    place = export(ModelConfig(path=str(folder / "model"), device="cpu"), tmp_path / "graph")
    copy = ModelConfig(path=str(place))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Unsupported) as said:
        load(copy, identify(copy))
    assert "evenhand[onnx]" in said.value.hint

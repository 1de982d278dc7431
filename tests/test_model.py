import json
import shutil

import numpy as np
import pytest
from tiny import tiny_bert, tiny_decoder

from audit import model
from audit.checkpoint import tensor_shapes
from audit.classifier import white_box
from audit.config import ModelConfig
from audit.errors import ModelError, Unsupported
from audit.scorer import Scorer

TEXTS = ["a good film", "a bad film", "neither one nor the other", "it was long and it was loud"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "bert"
    tiny_bert(folder, TEXTS, ("no", "yes"))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "bert")


def identify(folder, **more):
    return model.identify(ModelConfig(path=str(folder), **more))


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_labels_head_and_limit_are_told_from_the_files(folder):
    found = identify(folder)
    assert (found.labels, found.head, found.kind) == (("no", "yes"), "single", "transformers")
    edit(folder, problem_type="multi_label_classification")
    assert identify(folder).head == "multi"


def test_labels_can_be_renamed(folder):
    assert identify(folder, labels={"yes": "advance"}).labels == ("no", "advance")
    with pytest.raises(ModelError, match="renames 'maybe', which is not a label"):
        identify(folder, labels={"maybe": "x"})


def test_everything_that_moves_a_score_moves_the_fingerprint(folder):
    first = identify(folder).fingerprint
    assert identify(folder).fingerprint == first
    assert identify(folder, max_length=8).fingerprint != first
    assert identify(folder, dtype="bfloat16").fingerprint != first
    weights = folder / "model.safetensors"
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    assert identify(folder).fingerprint != first


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: edit(f, architectures=["BertModel"]), "no classification head"),
        (lambda f: edit(f, id2label={"0": "score"}, label2id={"score": 0}), "is a regression"),
        (lambda f: edit(f, auto_map={"AutoModel": "x.Y"}), "asks for code of its own"),
        (lambda f: (f / "config.json").unlink(), "not a model folder"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "keeps its weights in a pickle",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
        (
            lambda f: (f / "model.safetensors").write_bytes(
                (f / "model.safetensors").read_bytes()[:-10]
            ),
            "ends before its last tensor",
        ),
        (lambda f: (f / "adapter_config.json").write_text("{}"), "a full model and an adapter"),
        (
            lambda f: (
                (f / "model.safetensors").unlink(),
                (f / "model.safetensors.index.json").write_text(
                    json.dumps({"weight_map": {"w": "../secret.safetensors"}})
                ),
            ),
            "points outside its folder",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_bad_folder_is_one_sentence(folder, spoil, said):
    spoil(folder)
    with pytest.raises(ModelError, match=said):
        identify(folder)


def test_a_missing_model_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="There is no model at"):
        identify(tmp_path / "nowhere")


@pytest.mark.transformers4
def test_a_head_that_is_not_in_the_file_is_refused(folder):
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: w for name, w in weights.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    spec = ModelConfig(path=str(folder))
    with pytest.raises(ModelError, match="lacks 2 weights, first classifier"):
        model.load(spec, model.identify(spec))


@pytest.mark.transformers4
def test_scores_equal_the_plain_module(folder):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    spec = ModelConfig(path=str(folder), device="cpu")
    scores = Scorer(model.load(spec, model.identify(spec)))(TEXTS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    module = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        plain = [module(**tokenizer(t, return_tensors="pt")).logits.softmax(-1)[0] for t in TEXTS]
    np.testing.assert_allclose(scores, torch.stack(plain).numpy(), atol=1e-6)


@pytest.mark.transformers4
def test_a_decoder_reads_its_last_token_whatever_the_padding(tmp_path):
    tiny_decoder(tmp_path, TEXTS, ("no", "yes"))
    spec = ModelConfig(path=str(tmp_path), device="cpu")
    loaded = model.load(spec, model.identify(spec))
    together = loaded.probabilities(TEXTS)
    alone = np.concatenate([loaded.probabilities([t]) for t in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.ptp(together[:, 0]) > 1e-6


def test_pairs_of_texts_are_one_input(folder):
    spec = ModelConfig(path=str(folder), device="cpu")
    scorer = Scorer(model.load(spec, model.identify(spec)))
    one, other = scorer([("a good film", "a bad film"), ("a bad film", "a good film")])
    assert not np.array_equal(one, other)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_is_audited_with_its_base(folder, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForSequenceClassification

    base = AutoModelForSequenceClassification.from_pretrained(folder)
    config = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"])
    adapted = peft.get_peft_model(base, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    spec = ModelConfig(path=str(tmp_path / "adapter"), device="cpu")
    identity = model.identify(spec)
    assert identity.kind == "adapter"
    ours = Scorer(model.load(spec, identity))(TEXTS)
    plain = ModelConfig(path=str(folder), device="cpu")
    without = Scorer(model.load(plain, model.identify(plain)))(TEXTS)
    assert np.abs(ours - without).max() > 1e-4


def test_a_callable_is_audited_from_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def rule(texts):\n"
        "    p = np.array([0.9 if 'good' in t else 0.1 for t in texts])\n"
        "    return np.stack([1 - p, p], axis=1)\n"
        "rule.labels = ('no', 'yes')\n"
    )
    spec = ModelConfig(path="mine.py:rule")
    identity = model.identify(spec, tmp_path)
    loaded = model.load(spec, identity, tmp_path)
    assert Scorer(loaded)(["good", "bad"])[:, 1].tolist() == [0.9, 0.1]
    with pytest.raises(Unsupported, match="is a callable"):
        white_box(loaded)
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text().replace("0.9", "0.8"))
    assert model.identify(spec, tmp_path).fingerprint != identity.fingerprint


@pytest.mark.parametrize(
    ("body", "said"),
    [("def rule(t): ...", "does not say its labels"), ("1/0", "cannot be imported")],
)
def test_a_callable_that_cannot_be_used_is_one_sentence(tmp_path, body, said):
    (tmp_path / "mine.py").write_text(body)
    with pytest.raises(ModelError, match=said):
        model.identify(ModelConfig(path="mine.py:rule"), tmp_path)


def test_a_header_longer_than_its_file_is_refused(tmp_path):
    (tmp_path / "m.safetensors").write_bytes((10**9).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="header is longer"):
        tensor_shapes(tmp_path / "m.safetensors")

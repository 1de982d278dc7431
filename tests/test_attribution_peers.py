"""Against Captum's own code, over many repeats, and in bounded memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_bert

from audit import model
from audit.attribution import attribute
from audit.config import ModelConfig
from audit.plausible import agreement
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent

TEXTS = [
    "she said the film was bad",
    "her brother thought nothing of it but he liked the long and odd music",
]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    folder = tiny_bert(tmp_path_factory.mktemp("bert"), TEXTS, ("no", "perhaps", "yes"))
    spec = ModelConfig(path=str(folder), device="cpu")
    return Scorer(model.load(spec, model.identify(spec)))


def features(scorer, text):
    """The model as a function of which words are there, and the text's tokens, for Captum."""
    import torch

    box = scorer.classifier.white_box()
    ids = box.tokenizer(text, return_tensors="pt").input_ids
    mask = box.tokenizer.mask_token_id

    def logit(ids):
        logits = box.module(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.double()
        return logits[:, 2] - logits[:, :2].logsumexp(-1)

    base = torch.where((ids == ids[0, 0]) | (ids == ids[0, -1]), ids, torch.full_like(ids, mask))
    return logit, ids, base


@pytest.mark.parametrize("text", TEXTS)
def test_occlusion_is_captums_feature_ablation(text, scorer):
    from captum.attr import FeatureAblation

    logit, ids, base = features(scorer, text)
    theirs = FeatureAblation(logit).attribute(ids, baselines=base)[0, 1:-1]
    (mine,) = attribute(scorer, [text], [2], "occlusion")
    np.testing.assert_allclose(mine.weights, theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize("method", ["shapley", "kernel_shap"])
def test_sampling_methods_lie_within_captums_spread_over_twenty_repeats(method, scorer):
    import torch
    from captum.attr import ShapleyValueSampling

    logit, ids, base = features(scorer, TEXTS[0])
    theirs = []
    with torch.random.fork_rng(devices=[]):
        for seed in range(20):
            torch.manual_seed(seed)
            found = ShapleyValueSampling(logit).attribute(ids, baselines=base, n_samples=25)
            theirs.append(found[0, 1:-1].numpy())
    ours = np.array(
        [
            attribute(scorer, TEXTS[:1], [2], method, baseline="mask", seed=s)[0].weights
            for s in range(20)
        ]
    )
    theirs = np.array(theirs)
    spread = np.sqrt((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / 20)
    # Six words at 3.5 standard errors: false alarm once in three hundred.
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) <= 3.5 * spread + 1e-6).all()


def test_gradient_shap_lies_within_captums_spread_over_twenty_repeats(scorer):
    import torch
    from captum.attr import GradientShap

    box = scorer.classifier.white_box()
    ids = box.tokenizer(TEXTS[0], return_tensors="pt").input_ids
    table = box.module.get_input_embeddings()
    special = (ids == ids[0, 0]) | (ids == ids[0, -1])
    base = table(torch.where(special, ids, torch.zeros_like(ids))).detach()

    def logit(x):
        logits = box.module(inputs_embeds=x).logits
        return logits[:, 2] - logits[:, :2].logsumexp(-1)

    theirs = []
    with torch.random.fork_rng(devices=[]):
        for seed in range(20):
            torch.manual_seed(seed)
            np.random.seed(seed)
            found = GradientShap(logit).attribute(
                table(ids).detach(), baselines=base, n_samples=25, stdevs=0.0
            )
            theirs.append(found.sum(-1)[0, 1:-1].detach().numpy())
    ours = np.array(
        [attribute(scorer, TEXTS[:1], [2], "gradient_shap", seed=s)[0].weights for s in range(20)]
    )
    theirs = np.array(theirs)
    spread = np.sqrt((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / 20)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) <= 3.5 * spread + 1e-6).all()


def test_memory_stays_flat_over_a_thousand_texts(tmp_path):
    """In a process of its own: peak memory after 1,000 texts is that after the first 200."""
    folder = tiny_bert(tmp_path / "model", TEXTS, layers=1)
    code = f"""
import resource
from audit import model
from audit.attribution import attribute
from audit.classifier import white_box
from audit.config import ModelConfig
spec = ModelConfig(path={str(folder)!r}, device="cpu")
box = white_box(model.load(spec, model.identify(spec)))
words = {TEXTS[1]!r}.split()
texts = [" ".join(words[: 2 + i % 5]) for i in range(1000)]
def peak():
    # Not getrusage: it begins with what the process that started this one holds.
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1])
attribute(box, texts[:200], [1])
first = peak()
attribute(box, texts, [1])
print(first, peak())
"""
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    first, last = map(int, done.stdout.split())
    unit = 1024 if sys.platform != "darwin" else 1024**2
    # The answers themselves are a few megabytes; slopes of 1,000 texts would be ten times that.
    assert last - first < 24 * unit


def test_marked_words_are_found_above_chance_where_the_model_reads_them():
    scorer = Scorer(Lexicon(good=2.0, bad=-2.0))
    texts = ["a good film in all", "a bad end of it all", "so it was", "good to see"] * 5
    found = attribute(scorer, texts, [1], "kernel_shap")
    marked = [[(2, 6)], [(2, 5)], [], [(0, 4)]] * 5
    one = agreement(found, marked)
    assert one.left_out == 5 and one.token_f1.n == 15
    assert one.token_f1.value == one.iou_f1.value == pytest.approx(1.0)
    assert one.average_precision.value == pytest.approx(1.0) and one.over_chance.low > 0
    wrong = agreement(found, [[(len(text) - 1, len(text))] for text in texts])
    assert wrong.token_f1.value == 0.0 and wrong.left_out == 0
    assert isinstance(agreement(found, [[]] * 20).token_f1, Absent)

from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_bert

from audit import model
from audit.attribution import attribute
from audit.config import ModelConfig
from audit.reliability import judge, kendall, quality
from audit.scorer import Scorer
from audit.testing import Lexicon

TEXTS = [
    "nobody said that she liked the film very much in the end",
    "then she went home and wrote nine long letters to friends",
    "after lunch the old bridge was painted because she asked for it",
    "in the garden she had planted seven trees before winter came",
]


@pytest.fixture(scope="module")
def one_word(tmp_path_factory):
    """A model that provably reads `she` alone: every other word looks like padding."""
    import torch

    folder = tiny_bert(tmp_path_factory.mktemp("one"), TEXTS, seed=1)
    spec = ModelConfig(path=str(folder), device="cpu")
    made = model.load(spec, model.identify(spec))
    table = made.module.get_input_embeddings().weight
    with torch.no_grad():
        strong = torch.randn(table.shape[1], generator=torch.Generator().manual_seed(0))
        table[4:] = table[0]
        table[made.tokenizer.convert_tokens_to_ids("she")] = strong
    return Scorer(made)


def moved(one, by):
    return replace(one, weights=tuple(np.roll(one.weights, by).tolist()))


def test_the_word_a_model_reads_earns_high_and_any_other_low(one_word):
    found = attribute(one_word, TEXTS, [1])
    assert [r.label for r in judge(one_word, TEXTS, [1], found)] == ["high"] * 4
    for by in (1, 4):
        wrong = [moved(one, by) for one in found]
        assert [r.label for r in judge(one_word, TEXTS, [1], wrong)] == ["low"] * 4


def test_weights_dealt_at_random_are_low_and_true_ones_are_not():
    rng = np.random.default_rng(0)
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(120)]
    scorer = Scorer(
        Lexicon(**{w: float(x) for w, x in zip(words, rng.normal(size=120), strict=True)})
    )
    texts = [" ".join(rng.choice(words, size=12, replace=False)) for _ in range(120)]
    found = attribute(scorer, texts, [1], "kernel_shap")
    true = [r.label for r in judge(scorer, texts, [1], found)]
    dealt = [replace(a, weights=tuple(rng.permutation(a.weights).tolist())) for a in found]
    false = [r.label for r in judge(scorer, texts, [1], dealt)]
    assert true == ["high"] * 120
    # 0.025 of them by construction; 8 or more of 120 would be a chance of one in a hundred.
    assert sum(label != "low" for label in false) < 8


def test_every_label_has_its_reason():
    scorer = Scorer(Lexicon(good=2.0))
    texts = ["", "good", "so good", "a b c d e f", "a good b c d e f g"]
    found = attribute(scorer, texts, [1], "kernel_shap")
    labels = judge(scorer, texts, [1], found)
    assert [r.label for r in labels] == ["low", "low", "low", "low", "high"]
    assert "too few" in labels[1].reasons[0]
    assert any("no single word" in why for why in labels[3].reasons)
    off = [replace(found[-1], delta=d) for d in (0.02, 0.2)]
    assert [judge(scorer, texts[-1:], [1], [a])[0].label for a in off] == ["limited", "low"]


def test_leaving_words_out_is_no_witness_for_itself(one_word):
    scorer = Scorer(Lexicon(good=2.0))
    text = ["a good b c d e f g"]
    label = judge(scorer, text, [1], attribute(scorer, text, [1], "ablation"))[0]
    assert label.label == "limited" and "nothing else bears it out" in label.reasons[-1]
    # Where there is a mask token, masking and deleting bear witness to each other.
    for method in ("occlusion", "ablation"):
        found = attribute(one_word, TEXTS, [1], method)
        assert "low" not in {r.label for r in judge(one_word, TEXTS, [1], found)}
        assert not any("nothing else" in r.reasons[-1] for r in judge(one_word, TEXTS, [1], found))


def test_two_methods_and_a_random_copy_are_held_against_each_other():
    scorer = Scorer(Lexicon(good=2.0, odd=1.0, bad=-1.0))
    texts = ["a good odd but bad film"]
    (one,) = attribute(scorer, texts, [1], "shapley")
    same = judge(scorer, texts, [1], [one], others=[one], randomised=[one])[0]
    assert same.agreement == pytest.approx(1.0) and same.label == "limited"
    assert any("random weights" in why for why in same.reasons)
    assert kendall(one.weights, [-w for w in one.weights]) == pytest.approx(-1.0)
    assert kendall([1.0, 1.0], [0.0, 1.0]) is None


def test_the_toy_model_has_its_known_comprehensiveness():
    # TV29: the order of the weights, three fractions of four words.
    scorer = Scorer(Lexicon(awful=2.0, boring=1.0, fine=-0.5))
    texts = ["awful boring film fine"] * 2
    found = attribute(scorer, texts, [1], "ablation")
    q = quality(scorer, texts, [1], found, fractions=(0.25, 0.5, 0.75))

    def p(z):
        return 1 / (1 + np.exp(-z))

    full = p(2.5)
    assert q.comprehensiveness.value == pytest.approx(
        full - np.mean([p(0.5), p(-0.5), p(-0.5)]), abs=1e-9
    )
    assert q.sufficiency.value == pytest.approx(full - np.mean([p(2), p(3), p(3)]), abs=1e-9)
    assert q.over_reversed.value > q.over_random.value > 0


def test_a_true_order_beats_random_ones_and_a_random_one_does_not(one_word):
    found = attribute(one_word, TEXTS, [1])
    assert quality(one_word, TEXTS, [1], found, baseline="mask").over_random.low > 0
    scorer = Scorer(Lexicon())
    flat = attribute(scorer, TEXTS, [1], "ablation")
    assert quality(scorer, TEXTS, [1], flat).over_random.value == 0.0

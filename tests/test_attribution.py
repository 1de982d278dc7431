import random
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_bert, tiny_decoder

from audit import attribution, model
from audit.attribution import attribute
from audit.classifier import WhiteBox, white_box
from audit.config import ModelConfig
from audit.errors import ConfigError, Unsupported
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.wordpieces import words

TEXTS = [
    "a good film, too long by half and then some",
    "good",
    "she said the film was bad",
    "her brother thought nothing of it, but he liked the long and odd music in the end",
    "an odd one",
]


def load(folder):
    spec = ModelConfig(path=str(folder), device="cpu")
    return white_box(model.load(spec, model.identify(spec)))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return load(tiny_bert(tmp_path_factory.mktemp("bert"), TEXTS, ("no", "perhaps", "yes")))


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    folder = tiny_bert(tmp_path_factory.mktemp("scored"), TEXTS, ("no", "perhaps", "yes"))
    spec = ModelConfig(path=str(folder), device="cpu")
    return Scorer(model.load(spec, model.identify(spec)))


def rewired(kind, bert, **more):
    """Return a random classifier of another architecture behind the same tokenizer."""
    import torch
    import transformers

    size = len(bert.tokenizer)
    common = {"vocab_size": size, "num_labels": 2, "initializer_range": 0.2, "pad_token_id": 0}
    wide = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 66,
    }
    shapes = {
        "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        "Roberta": wide,
        "DebertaV2": {**wide, "position_biased_input": False, "relative_attention": True},
        "Qwen2": {**wide, "num_key_value_heads": 4},
        "Electra": {**wide, "embedding_size": 16},
        "Albert": {**wide, "embedding_size": 16},
        "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = getattr(transformers, f"{kind}Config")(**common, **shapes[kind])
        module = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    return WhiteBox(
        module=module,
        tokenizer=bert.tokenizer,
        max_length=64,
        device=bert.device,
        labels=("no", "yes"),
        head="single",
    )


def sums(found):
    return np.array([sum(a.weights) for a in found])


def rises(found):
    return np.array([a.logit - a.logit_baseline for a in found])


def test_the_weights_add_up_to_the_rise_of_the_logit(bert):
    found = attribute(bert, TEXTS, [2], tolerance=0.01)
    assert all(a.converged(0.01) for a in found)
    np.testing.assert_allclose(sums(found), rises(found), atol=0.01 * (1 + abs(rises(found)).max()))
    assert max(abs(rises(found))) > 0.1


def test_the_logit_is_that_of_the_score(bert):
    import torch

    found = attribute(bert, TEXTS, [1, 2])
    for text, one in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            p = bert.module(**bert.tokenizer(text, return_tensors="pt")).logits.double().softmax(-1)
        score = float(p[0, 1:].sum())
        assert one.logit == pytest.approx(np.log(score / (1 - score)), abs=1e-4)


def test_it_equals_captum_on_one_text(bert):
    import torch
    from captum.attr import LayerIntegratedGradients

    ids = bert.tokenizer(TEXTS[2], return_tensors="pt").input_ids
    start = torch.where(torch.arange(ids.shape[1]).gt(0) & (ids != ids[0, -1]), 0, ids)

    def logit(ids):
        logits = bert.module(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        return logits[:, 2] - logits[:, :2].logsumexp(-1)

    plain = LayerIntegratedGradients(logit, bert.module.get_input_embeddings())
    theirs = plain.attribute(ids, baselines=start, n_steps=30, method="gausslegendre")
    theirs = theirs.sum(-1)[0, 1:-1]
    (mine,) = attribute(bert, [TEXTS[2]], [2], steps=30)
    np.testing.assert_allclose(mine.weights, theirs.detach().numpy(), atol=1e-5)


def test_company_and_packing_change_nothing(bert):
    alone = [attribute(bert, [text], [2], steps=16)[0] for text in TEXTS]
    for budget in (40, 400, 40_000):
        together = attribute(bert, TEXTS, [2], steps=16, batch_tokens=budget)
        for a, b in zip(alone, together, strict=True):
            assert a.words == b.words
            np.testing.assert_allclose(a.weights, b.weights, atol=2e-5)


def test_points_are_added_where_they_are_too_few_and_the_answer_says_so(bert):
    few = attribute(bert, TEXTS, [2], steps=2)
    enough = attribute(bert, TEXTS, [2])
    most = attribute(bert, TEXTS, [2], tolerance=0.0)
    assert not all(a.converged(1e-4) for a in few) and all(a.steps == 2 for a in few)
    assert all(a.converged() for a in enough)
    assert {a.steps for a in most if a.delta} == {attribution.STEPS}
    assert max(a.steps for a in enough) < attribution.STEPS


@pytest.mark.parametrize(
    "kind", ["DistilBert", "Roberta", "DebertaV2", "Electra", "Albert", "XLNet", "Qwen2"]
)
def test_other_architectures_converge_too(kind, bert):
    box = rewired(kind, bert)
    found = attribute(box, TEXTS, [1])
    assert all(a.converged() for a in found), [a.delta for a in found]
    assert abs(rises(found)).max() > 0.05


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_decoders_without_a_padding_token_converge_too(kind, tmp_path):
    box = load(tiny_decoder(tmp_path, TEXTS, kind=kind))
    found = attribute(box, TEXTS, [1])
    alone = attribute(box, TEXTS[:1], [1])[0]
    assert all(a.converged() for a in found), [a.delta for a in found]
    np.testing.assert_allclose(alone.weights, found[0].weights, atol=2e-4)


def test_a_head_of_several_labels_explains_its_highest_favourable_logit(tmp_path):
    box = load(tiny_bert(tmp_path, TEXTS, ("a", "b", "c"), head="multi"))
    import torch

    for one, text in zip(attribute(box, TEXTS, [0, 2]), TEXTS, strict=True):
        with torch.no_grad():
            logits = box.module(**box.tokenizer(text, return_tensors="pt")).logits[0]
        assert one.logit == pytest.approx(float(logits[[0, 2]].max()), abs=1e-4)


def test_one_word_that_drives_the_logit_carries_it(tmp_path):
    import torch

    box = load(tiny_bert(tmp_path, TEXTS, seed=1))
    word = box.tokenizer.convert_tokens_to_ids("she")
    table = box.module.get_input_embeddings().weight
    with torch.no_grad():
        # Every other word means nothing: it looks like padding, whatever the encoder makes of it.
        mine = torch.randn(table.shape[1], generator=torch.Generator().manual_seed(0))
        table[5:] = table[0]
        table[word] = mine
    one = attribute(box, ["nobody said that she liked the film"], [1])[0]
    size = np.abs(one.weights)
    assert one.words[3] == "nobody said that she liked the film".split()[3] == "she"
    assert size[3] / size.sum() > 0.99


def test_a_model_that_reads_nothing_carries_nothing(tmp_path):
    import torch

    box = load(tiny_bert(tmp_path, TEXTS))
    with torch.no_grad():
        box.module.classifier.weight.zero_()
    for one in attribute(box, TEXTS, [1]):
        assert np.abs(one.weights).max() < 1e-6
        assert one.converged()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "x",
        "It's so-so: 10,000 € 😀👍🏽 for café\u0301 naïve",
        "这部电影很好 good",
        "שלום עולם مرحبا",
        "हिन्दी में",
        "word " * 10_000,
        "\ud800 lone",
        "[PAD] [SEP] [MASK]",
    ],
)
def test_strange_texts_keep_their_spans(bert, text):
    one = attribute(bert, [text, TEXTS[0]], [2], steps=4)[0]
    assert len(one.words) == len(one.weights) == len(one.spans) == len(one.parts)
    assert [text[a:b] for a, b in one.spans] == list(one.words)
    assert all(a < b for a, b in one.spans) and list(one.spans) == sorted(one.spans)
    assert np.isfinite(one.weights).all() and np.isfinite(one.delta)
    assert one.truncated == (len(text) > 1000)


def test_pairs_say_which_side_a_word_is_on(bert):
    one = attribute(bert, [("a good film", "she liked it")], [2])[0]
    assert one.words == ("a", "good", "film", "she", "liked", "it")
    assert one.parts == (0, 0, 0, 1, 1, 1)
    assert one.converged()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It's so-so!!", ["It's", "so", "-", "so", "!!"]),
        ("她很好 ok", ["她", "很", "好", "ok"]),
        ("हिन्दी", ["हिन्दी"]),
        ("", []),
    ],
)
def test_words_are_what_a_reader_calls_words(text, found):
    assert [text[a:b] for a, b in words(text)] == found


def test_the_module_and_the_dice_are_left_as_they_were(bert):
    import torch

    module = bert.module
    module.train()
    frozen = module.classifier.weight
    frozen.requires_grad_(False)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    try:
        first = attribute(bert, TEXTS, [2])
        assert module.training and module.bert.training
        assert not frozen.requires_grad and module.bert.pooler.dense.weight.requires_grad
        assert module.bert.pooler.dense.weight.grad is None
        assert not module.get_input_embeddings()._forward_hooks
    finally:
        frozen.requires_grad_(True)
        module.eval()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tolist())
    # Dropout was off although the module was training.
    assert attribute(bert, TEXTS, [2]) == first


def test_what_is_kept_holds_no_word_and_comes_back_whole(bert):
    texts = ["a private sentence", ("she", "he private")]
    found = [attribute(bert, [text], [2])[0] for text in texts]
    kept = attribution.dumps(found)
    assert b"private" not in kept
    assert attribution.loads(kept, texts) == found


def test_a_callable_has_no_inside():
    with pytest.raises(Unsupported, match="callable"):
        white_box(Lexicon())


@pytest.mark.parametrize("favourable", [[], [0, 1, 2]])
def test_a_target_needs_a_side(bert, favourable):
    with pytest.raises(ValueError, match="some labels must be favourable"):
        attribute(bert, TEXTS, favourable)


BENT = {"awful": 2.0, "boring": 1.0, "fine": -0.5}


def of(found):
    return dict(zip(found.words, found.weights, strict=True))


@pytest.mark.parametrize("method", attribution.WORD_METHODS)
def test_on_a_logistic_model_every_word_gets_its_coefficient(method):
    scorer = Scorer(Lexicon(**BENT))
    found = attribute(scorer, ["awful boring film fine"], [1], method)[0]
    assert of(found) == pytest.approx({**BENT, "film": 0.0}, abs=1e-6)
    assert found.logit == pytest.approx(2.5) and found.converged(1e-6)


@pytest.mark.parametrize("method", attribution.WORD_METHODS)
def test_altered_texts_are_free_the_second_time(method):
    scorer = Scorer(Lexicon(**BENT))
    first = attribute(scorer, TEXTS, [1], method)
    paid = scorer.forwards
    assert attribute(scorer, TEXTS, [1], method) == first
    assert scorer.forwards == paid > 0


def test_occlusion_asks_one_text_per_word_and_two_more():
    scorer = Scorer(Lexicon(**BENT))
    attribute(scorer, ["every single word here differs"], [1], "occlusion")
    # The whole text, the empty one, and one without each word.
    assert scorer.forwards == 5 + 2


class Interacting(Lexicon):
    """Two words count only together: no sum of words explains it, Shapley values share it."""

    def probabilities(self, texts):
        logit = np.array([2.0 * ("not" in t and "good" in t) + ("odd" in t) for t in texts])
        p = 1 / (1 + np.exp(-logit))
        return np.stack([1 - p, p], axis=1)


def test_kernel_shap_over_all_coalitions_is_the_shapley_value():
    scorer = Scorer(Interacting())
    exact = attribute(scorer, ["not a good odd film"], [1], "kernel_shap")[0]
    assert of(exact) == pytest.approx(
        {"not": 1.0, "good": 1.0, "odd": 1.0, "a": 0.0, "film": 0.0}, abs=1e-6
    )
    drawn = [
        attribute(scorer, ["not a good odd film"], [1], "shapley", seed=s)[0].weights
        for s in range(20)
    ]
    spread = np.std(drawn, axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(np.mean(drawn, axis=0) - exact.weights) <= 3 * spread + 1e-9).all()
    # By itself each of the two is worth both: leaving one out is not a share.
    assert of(attribute(scorer, ["not a good odd film"], [1], "ablation")[0])[
        "not"
    ] == pytest.approx(2.0)


@pytest.mark.parametrize("method", [m for m in attribution.METHODS if m != "deeplift"])
def test_the_company_of_a_text_changes_nothing(method, bert, scorer):
    alone = [attribute(scorer, [text], [2], method)[0] for text in TEXTS]
    for a, b in zip(alone, attribute(scorer, TEXTS, [2], method), strict=True):
        assert a.words == b.words and a.method == method
        np.testing.assert_allclose(a.weights, b.weights, atol=3e-5)


@pytest.mark.parametrize("method", [m for m in attribution.METHODS if m != "deeplift"])
@pytest.mark.parametrize(
    "text", ["", "x", "😀👍🏽 café", "שלום עולם", "这部电影很好", "word " * 300]
)
def test_every_method_takes_every_text(method, text, scorer):
    one = attribute(scorer, [text], [2], method, samples=4)[0]
    assert [text[a:b] for a, b in one.spans] == list(one.words)
    assert len(one.weights) == len(one.words) and np.isfinite(one.weights).all()
    assert one.truncated == (len(text) > 1000)


@pytest.mark.parametrize("method", ["input_x_gradient", "saliency"])
def test_gradients_at_the_text_are_captums(method, bert):
    import torch
    from captum.attr import InputXGradient, Saliency

    ids = bert.tokenizer(TEXTS[2], return_tensors="pt").input_ids
    x = bert.module.get_input_embeddings()(ids).detach().requires_grad_(True)

    def logit(x):
        logits = bert.module(inputs_embeds=x, attention_mask=torch.ones_like(ids)).logits
        return logits[:, 2] - logits[:, :2].logsumexp(-1)

    if method == "saliency":
        theirs = Saliency(logit).attribute(x).norm(dim=-1)
    else:
        theirs = InputXGradient(logit).attribute(x).sum(dim=-1)
    (mine,) = attribute(bert, [TEXTS[2]], [2], method)
    np.testing.assert_allclose(mine.weights, theirs.detach().numpy()[0, 1:-1], atol=1e-5)


@pytest.mark.parametrize("baseline", ["pad", "mask", "zero", "average"])
def test_each_baseline_is_said_and_explained(baseline, bert):
    one = attribute(bert, [TEXTS[2]], [2], baseline=baseline)[0]
    said = {"pad": "[PAD]", "mask": "[MASK]"}.get(baseline, baseline)
    assert one.baseline == said and one.converged()


def test_nested_points_are_points_of_the_next_rule_and_integrate_what_is_smooth():
    from audit.attribution._gradients import FIRST, MOST, rule

    n = FIRST
    while n <= MOST:
        one = rule(n)
        x = np.array(one.alphas)
        assert len(x) == n - 1 and 0 < x[0] < x[-1] < 1
        assert one.alphas == rule(2 * n).alphas[1::2]
        for f, whole in ((np.ones_like(x), 1.0), (x, 0.5), (x**3, 0.25), (np.exp(x), np.e - 1)):
            assert one.weights @ f == pytest.approx(whole, abs=1e-4 if n == FIRST else 1e-9)
        ends = np.concatenate([[0.0], x, [1.0]])
        assert one.between @ (3 * x**2) == pytest.approx(np.diff(ends**3), abs=1e-4)
        n *= 2


def test_an_error_that_crosses_zero_is_no_convergence(bert, monkeypatch):
    """A slope that no rule follows, but whose few points happen to add up, gets more points."""
    from audit.attribution._gradients import FIRST, rule
    from audit.attribution._inside import Inside

    asked = []

    def ends(self, reads):
        return np.zeros(len(reads)), np.zeros(len(reads))

    def slopes(self, reads, points):
        asked.append(len(points))
        # The logit swings between the points; the slope at them is nought.
        return {p: (float(np.sin(40 * p[1])), np.zeros(len(reads[p[0]].ids))) for p in points}

    monkeypatch.setattr(Inside, "ends", ends)
    monkeypatch.setattr(Inside, "slopes", slopes)
    (one,) = attribute(bert, TEXTS[:1], [2])
    assert one.delta == 0.0 and one.steps > len(rule(FIRST).alphas) and len(asked) > 1


def test_what_does_not_exist_is_named(bert):
    with pytest.raises(ConfigError, match="shaply") as told:
        attribute(bert, TEXTS, [2], "shaply")
    assert "shapley" in told.value.hint
    with pytest.raises(ConfigError, match="baseline"):
        attribute(bert, TEXTS, [2], baseline="deleted")
    with pytest.raises(Unsupported, match="scorer"):
        attribute(bert, TEXTS, [2], "lime")


class Bag:
    """Words through one hidden layer of activations: what DeepLIFT's rules were made for."""

    def box(self, bert):
        import torch
        from transformers import PretrainedConfig

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.config = PretrainedConfig(pad_token_id=0)
                self.table = torch.nn.Embedding(len(bert.tokenizer), 16)
                self.hidden, self.bend = torch.nn.Linear(16, 24), torch.nn.ReLU()
                self.score = torch.nn.Linear(24, 2)

            def get_input_embeddings(self):
                return self.table

            def forward(self, input_ids, attention_mask):
                x = self.table(input_ids) * attention_mask.unsqueeze(-1)
                logits = self.score(self.bend(self.hidden(x.sum(dim=1))))
                return type("Out", (), {"logits": logits})()

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            module = Module().eval()
        return replace(bert, module=module, labels=("no", "yes"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_deeplift_is_captums_where_its_rules_reach(bert):
    import torch
    from captum.attr import DeepLift

    box = Bag().box(bert)
    found = attribute(box, TEXTS, [1], "deeplift")
    assert all(a.converged() for a in found) and abs(rises(found)).max() > 0.5

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = box.module

        def forward(self, x):
            logits = self.inner.score(self.inner.bend(self.inner.hidden(x.sum(dim=1))))
            return logits[:, 1] - logits[:, 0]

    for text, mine in zip(TEXTS, found, strict=True):
        ids = box.tokenizer(text, return_tensors="pt").input_ids
        inner = (ids != ids[0, 0]) & (ids != ids[0, -1])
        x = box.module.table(ids).detach()
        start = torch.where(inner.unsqueeze(-1), box.module.table.weight[0], x).detach()
        theirs = DeepLift(Plain()).attribute(x, baselines=start).sum(-1)[0][inner[0]]
        np.testing.assert_allclose(mine.weights, theirs.detach().numpy(), atol=1e-5)
        (alone,) = attribute(box, [text], [1], "deeplift")
        np.testing.assert_allclose(mine.weights, alone.weights, atol=1e-5)
    hooks = [part for part in box.module.modules() if part._forward_hooks or part._backward_hooks]
    assert not hooks


@pytest.mark.parametrize(
    "kind", ["", "DistilBert", "Roberta", "DebertaV2", "Electra", "Albert", "XLNet", "Qwen2"]
)
def test_deeplift_is_refused_where_its_sums_are_wrong(kind, bert):
    box = rewired(kind, bert) if kind else bert
    with pytest.raises(Unsupported, match="DeepLIFT is not right on"):
        attribute(box, TEXTS, [1], "deeplift")
    # The refusal leaves nothing behind.
    assert all(a.converged() for a in attribute(box, TEXTS[:2], [1]))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_deeplift_is_refused_on_decoders_too(kind, tmp_path):
    box = load(tiny_decoder(tmp_path, TEXTS, kind=kind))
    with pytest.raises(Unsupported, match="attention"):
        attribute(box, TEXTS, [1], "deeplift")

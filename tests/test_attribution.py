import random

import numpy as np
import pytest
from tiny import tiny_bert, tiny_decoder

from audit import attribution, model
from audit.attribution import attribute
from audit.classifier import WhiteBox, white_box
from audit.config import ModelConfig
from audit.errors import Unsupported
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
    theirs = plain.attribute(ids, baselines=start, n_steps=30).sum(-1)[0, 1:-1]
    (mine,) = attribute(bert, [TEXTS[2]], [2], steps=30, most_steps=30)
    np.testing.assert_allclose(mine.weights, theirs.detach().numpy(), atol=1e-5)


def test_company_and_packing_change_nothing(bert):
    alone = [attribute(bert, [text], [2], steps=16, most_steps=16)[0] for text in TEXTS]
    for budget in (40, 400, 40_000):
        together = attribute(bert, TEXTS, [2], steps=16, most_steps=16, batch_tokens=budget)
        for a, b in zip(alone, together, strict=True):
            assert a.words == b.words
            np.testing.assert_allclose(a.weights, b.weights, atol=2e-5)


def test_points_are_added_where_they_are_too_few_and_the_answer_says_so(bert):
    few = attribute(bert, TEXTS, [2], steps=2, most_steps=2, tolerance=1e-3)
    more = attribute(bert, TEXTS, [2], steps=2, most_steps=256, tolerance=1e-3)
    assert not all(a.converged(1e-3) for a in few)
    assert all(a.converged(1e-3) for a in more)
    raised = [i for i, a in enumerate(more) if a.steps > 2]
    assert raised == [i for i, a in enumerate(few) if not a.converged(1e-3)]


@pytest.mark.parametrize("kind", ["DistilBert", "Roberta", "DebertaV2", "Qwen2"])
def test_other_architectures_converge_too(kind, bert):
    box = rewired(kind, bert)
    found = attribute(box, TEXTS, [1], most_steps=512)
    assert all(a.converged() for a in found), [a.delta for a in found]
    assert abs(rises(found)).max() > 0.05


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_decoders_without_a_padding_token_converge_too(kind, tmp_path):
    box = load(tiny_decoder(tmp_path, TEXTS, kind=kind))
    found = attribute(box, TEXTS, [1], most_steps=512)
    alone = attribute(box, TEXTS[:1], [1], most_steps=512)[0]
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
    one = attribute(bert, [text, TEXTS[0]], [2], steps=4, most_steps=4)[0]
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

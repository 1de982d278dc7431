import numpy as np
import pytest

from audit import catalogue
from audit.bench import Bench
from audit.decision import make
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Corpus, Example, Measurement
from probes.typos import slip


def measured(model, texts, labels=None, clusters=None, **settings):
    examples = tuple(
        Example(
            id=f"e{i}",
            text=t,
            label=labels[i] if labels else None,
            cluster=clusters[i] if clusters else None,
        )
        for i, t in enumerate(texts)
    )
    bench = Bench(
        probe="typos",
        corpus=Corpus(name="t", labels=model.labels, examples=examples),
        scorer=Scorer(model),
        decision=make(model.labels, ("positive",)),
        resources=Resources(),
    )
    facts = catalogue.make("typos", settings).run(bench)
    return {f.metric: f for f in facts if isinstance(f, Measurement)}


def test_a_model_that_reads_one_word_is_found_out():
    """Every text hangs on 'really': mistype it and the decision turns."""
    texts = [f"it was really so {i}" for i in range(60)]
    found = measured(Lexicon(really=2.0, was=-0.5), texts, ["positive"] * 60)
    assert found["flip_rate"].value.low > 0.9
    assert found["accuracy_drop"].value.low > 0.85


def test_a_model_that_reads_nothing_is_not_accused():
    found = measured(Lexicon(), [f"it was really so {i}" for i in range(60)], ["positive"] * 60)
    assert found["flip_rate"].value.value == 0
    assert found["accuracy_drop"].value.value == 0


def test_copies_of_one_source_are_not_counted_as_many():
    texts = [f"it was really so {i}" for i in range(60)]
    model = Lexicon(really=2.0, was=-0.5)
    alone = measured(model, texts)["flip_rate"].value
    shared = measured(model, texts, clusters=[f"c{i // 20}" for i in range(60)])["flip_rate"].value
    assert (alone.n, shared.n) == (60, 3)
    assert shared.high - shared.low > alone.high - alone.low


@pytest.mark.parametrize("text", ["", "so so", "1234567", "aaaa oooo", "don't", "@really"])
def test_a_text_without_a_word_to_mistype_is_left_alone(text):
    assert slip(text, np.random.default_rng(0)) is None


def test_a_text_left_alone_is_counted():
    found = measured(Lexicon(), ["so so", "a longer text"])["flip_rate"]
    assert (found.eligible, found.used, found.left_out[0].count) == (2, 1, 1)


@pytest.mark.parametrize("slips", [1, 2, 9])
def test_slips_move_two_letters_each_and_nothing_else(slips):
    text = "the quick brown foxes jumped"
    for seed in range(50):
        other = slip(text, np.random.default_rng(seed), slips=slips)
        assert sorted(other) == sorted(text)
        changed = sum(a != b for a, b in zip(text, other, strict=True))
        assert changed == 2 * min(slips, 4)

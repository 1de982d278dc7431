"""An 8-bit copy may rank what a search tries; what counts is the model's own word."""

from dataclasses import replace

import numpy as np
import pytest

from audit import model, quantised
from audit.attack_recipes import recipe
from audit.attacks import Target, attack
from audit.bench import Bench
from audit.cache import DiskCache
from audit.config import ModelConfig
from audit.decision import decide, make
from audit.errors import Unsupported
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.testing import Lexicon
from audit.types import Cases, Corpus, Example, Measurement
from probes.attack import Attack
from tests.tiny import tiny_bert

TEXTS = (
    "The nurse said that nobody in this clinic had time to explain the treatment",
    "A terrible dinner, a wonderful evening and a very long way home!",
    "Our teacher reads old books about ships, storms and lonely islands.",
    "I'd never trust @someone who sells watches at http://example.com for 5 dollars",
    "Children played football near the river until the rain began to fall heavily",
    "it was",
)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tiny_bert(tmp_path_factory.mktemp("tiny"), TEXTS, sharpness=3.0, seed=4)
    spec = ModelConfig(path=str(folder), max_length=64, device="cpu", dtype="float32")
    return model.load(spec, model.identify(spec))


def searched(name, classifier, screen, scorer=None):
    scorer = scorer or Scorer(classifier)
    rule = make(scorer.labels, scorer.labels[:1])
    truths = decide(rule, scorer(TEXTS)).label.tolist()
    targets = [
        Target(text=text, truth=truth, rng=stream(3, name, str(i)))
        for i, (text, truth) in enumerate(zip(TEXTS, truths, strict=True))
    ]
    found = dict(attack(targets, recipe(name), scorer, rule, screen=screen))
    return rule, truths, [found[i] for i in range(len(TEXTS))]


def test_the_copy_says_nearly_the_same_and_leaves_the_original_alone(bert):
    before = bert.probabilities(TEXTS)
    copy = quantised.int8(bert)
    rough = copy.probabilities(TEXTS)
    assert np.array_equal(bert.probabilities(TEXTS), before)
    assert 0 < np.abs(rough - before).max() < 0.05
    assert copy.fingerprint != bert.fingerprint
    assert copy.fingerprint == quantised.fingerprint(bert.fingerprint)
    assert copy.labels == bert.labels and copy.dtype == "int8"


def test_what_the_copy_says_of_a_text_does_not_hang_on_its_company(bert):
    copy = quantised.int8(bert)
    together = copy.probabilities(TEXTS)
    alone = np.concatenate([copy.probabilities([text]) for text in TEXTS])
    # One scale for a whole batch, as torch's own dynamic quantisation takes it, moves them by 1e-2.
    assert np.abs(together - alone).max() < 1e-5


def test_a_callable_has_no_copy_and_the_probe_says_so():
    with pytest.raises(Unsupported, match="callable") as said:
        quantised.int8(Lexicon(really=1.0))
    assert "screen" in said.value.hint
    probe, bench = on(Lexicon(really=3.0))
    with pytest.raises(Unsupported, match="callable"):
        list(probe.run(bench))


@pytest.mark.parametrize("name", ["deepwordbug", "pwws", "pruthi"])
def test_ranked_by_the_model_itself_a_search_goes_the_same_way(bert, name):
    if "wordnet" in recipe(name).needs and Resources().wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")
    _, _, plain = searched(name, bert, None)
    _, _, screened = searched(name, bert, Scorer(bert))
    assert [(f.outcome, f.text, f.queries) for f in screened] == [
        (f.outcome, f.text, f.queries) for f in plain
    ]
    assert all(f.verified == f.agreed for f in screened)
    assert sum(f.verified for f in screened) < sum(f.queries for f in screened) / 4


@pytest.mark.parametrize("name", ["deepwordbug", "pruthi", "morpheus"])
def test_every_success_is_the_models_own_whatever_the_copy_says(bert, name):
    dice = np.random.default_rng(5)

    def wild(texts):
        return dice.dirichlet([0.3, 0.3], len(texts))

    rule, truths, found = searched(name, bert, wild)
    turned = decide(rule, bert.probabilities([f.text for f in found])).label
    for f, truth, now in zip(found, truths, turned, strict=True):
        assert (f.outcome == "success") == (int(now) != truth)
    assert sum(f.agreed for f in found) < sum(f.verified for f in found)


def test_a_constant_model_is_not_broken_because_its_copy_is():
    scorer = Scorer(Lexicon(nothing=1.0))
    _, _, found = searched(
        "deepwordbug", None, lambda texts: np.array([[0.01, 0.99]] * len(texts)), scorer
    )
    assert {f.outcome for f in found} <= {"failed", "unchangeable"}


def test_every_step_a_search_takes_was_asked_of_the_model(bert):
    asked = []
    scorer = Scorer(bert)

    class Watched:
        labels, head = scorer.labels, scorer.head

        def __call__(self, texts):
            asked.extend(texts)
            return scorer(texts)

    _, _, found = searched("deepwordbug", bert, Scorer(quantised.int8(bert)), Watched())
    assert any(f.edits > 1 for f in found)
    assert all(f.text in asked for f in found)


def on(classifier, **settings):
    examples = tuple(Example(id=f"e{i}", text=text) for i, text in enumerate(TEXTS))
    memory = settings.pop("memory", None)
    scorer = Scorer(classifier, memory=memory)
    bench = Bench(
        probe="attack",
        corpus=Corpus(name="test", labels=scorer.labels, examples=examples),
        scorer=scorer,
        decision=make(scorer.labels, scorer.labels[-1:]),
        resources=Resources(),
    )
    return Attack(min_n=1, screen="int8", **settings), bench


def test_the_probe_says_how_often_the_copy_agreed_and_pays_for_it_once(bert, tmp_path):
    probe, bench = on(bert, memory=DiskCache(tmp_path / "scores.db"))
    facts = [f for f in probe.run(bench) if not isinstance(f, Cases)]
    assert sorted(f.id for f in facts if isinstance(f, Measurement)) == sorted(
        probe.plan(bench).claims
    )
    found = {f.metric: f for f in facts}
    agreement = found["screen_agreement"]
    assert agreement.where == {"screen": "int8", "recipe": "deepwordbug"}
    assert 0.5 < agreement.value.value <= 1
    assert "calls of the int8 copy" in found["attack_success_rate"].budget
    assert bench.scorer.queries <= probe.plan(bench).queries
    # The copy's scores stand in the cache under its own name: nothing is loaded to answer again.
    kept = Scorer(bert, memory=DiskCache(tmp_path / "scores.db"))
    again = replace(bench, scorer=kept)
    assert [f for f in probe.run(again) if not isinstance(f, Cases)] == facts
    assert kept.forwards == 0

"""Input reduction is TextAttack's, breaks nothing, and says how few words keep a decision."""

import numpy as np
import pytest

from audit import foreign
from audit.attack_recipes import Kit
from audit.attacks import Target
from audit.bench import Bench
from audit.decision import decide, make
from audit.errors import ConfigError
from audit.lockstep import Failure
from audit.reducing import RECIPE, reduce
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Example, Measurement
from probes.attack import Attack
from probes.reduction import Reduction

TEXTS = (
    "The nurse said that nobody in this clinic had time to explain the terrible treatment",
    "A terrible dinner, a wonderful evening and a very long way home!",
    "Our teacher reads old books about ships, storms and lonely islands.",
    "it was",
    "!!! ??? ...",
    "Good good good good",
    "Wonderful children played terrible football near the river",
    "Nobody in the village had ever seen such a large and friendly dog",
)


@pytest.fixture(scope="module")
def ta():
    return foreign.textattack()


def some_model():
    return Lexicon(terrible=-2.0, wonderful=2.0, good=1.0, nobody=-0.7, home=0.4, old=0.3, the=0.1)


def targets(texts, truths):
    return [
        Target(text=text, truth=truth, rng=stream(3, str(i)))
        for i, (text, truth) in enumerate(zip(texts, truths, strict=True))
    ]


def one_by_one(ta, texts, truths, scorer, budget=None, *, mended=True):
    """TextAttack's own recipe in a plain loop, its deletions mended."""

    class Wrapper(ta.models.wrappers.ModelWrapper):
        model = None

        def __call__(self, some):
            rows = scorer(list(some))
            return rows / rows.sum(axis=1, keepdims=True)

    found = []
    for i, (text, truth) in enumerate(zip(texts, truths, strict=True)):
        with foreign.borrowed_randomness(stream(3, str(i))), foreign.no_downloads():
            made = ta.attack_recipes.InputReductionFeng2018.build(Wrapper())
            made.goal_function.use_cache = False
            made.goal_function.batch_size = 2**31
            if mended:
                kit = Kit(ta=ta, ask=None, resources=Resources())
                made.transformation = RECIPE.parts(kit)[0]
            if budget is not None:
                made.goal_function.query_budget = budget
            end = made.attack(text, truth)
        found.append((end.perturbed_result.attacked_text.tokenizer_input, end.num_queries))
    return found


@pytest.mark.parametrize("budget", [None, 9])
@pytest.mark.parametrize("width", [1, 32])
def test_every_search_ends_as_textattacks_own(ta, budget, width):
    texts = [text for text in TEXTS if any(c.isalpha() for c in text)]
    scorer = Scorer(some_model())
    rule = make(scorer.labels, scorer.labels[:1])
    truths = decide(rule, scorer(texts)).label.tolist()
    truths[2] = 1 - truths[2]
    plain = one_by_one(ta, texts, truths, Scorer(some_model()), budget)
    ours = dict(
        reduce(targets(texts, truths), Scorer(some_model()), rule, max_queries=budget, width=width)
    )
    assert [(ours[i].text, ours[i].queries) for i in range(len(texts))] == plain
    kinds = {ours[i].outcome for i in range(len(texts))}
    assert kinds == {"reduced", "skipped"} | ({"censored"} if budget else set())
    # Each still is decided as it was, and is shorter where anything could go.
    for i, text in enumerate(texts):
        if ours[i].outcome == "reduced" and ours[i].dropped:
            assert decide(rule, scorer([ours[i].text])).label[0] == truths[i]
            assert len(ours[i].text) < len(text)


def test_textattacks_own_deletions_go_astray_and_ours_do_not(ta):
    text = ["houses seven old alpha green"]
    scorer = Scorer(Lexicon(alpha=3.0, green=0.3, seven=0.2, houses=0.1))
    rule = make(scorer.labels, scorer.labels[:1])
    truths = decide(rule, scorer(text)).label.tolist()
    ((theirs, _),) = one_by_one(ta, text, truths, scorer, mended=False)
    (ours,) = dict(reduce(targets(text, truths), scorer, rule)).values()
    assert ours.text.split() == ["alpha"] and len(theirs.split()) > 1


def test_a_text_without_words_is_left_as_it_is(ta):
    scorer = Scorer(some_model())
    rule = make(scorer.labels, scorer.labels[:1])
    truths = decide(rule, scorer(["... !!!"])).label.tolist()
    (end,) = dict(reduce(targets(["... !!!"], truths), scorer, rule)).values()
    assert not isinstance(end, Failure)
    assert (end.words, end.dropped, end.text) == (0, 0, "... !!!")


def test_under_several_labels_the_whole_set_is_kept(ta):
    class Two:
        labels, head, fingerprint = ("a", "b"), "multi", "two"

        def probabilities(self, texts):
            rows = [(0.9 if "alpha" in t else 0.1, 0.8 if "beta" in t else 0.2) for t in texts]
            return np.array(rows)

    scorer = Scorer(Two())
    rule = make(scorer.labels, ("a",), head="multi", threshold=0.5)
    texts = ["green alpha seven beta houses", "green houses seven"]
    truths = decide(rule, scorer(texts)).label.tolist()
    ends = dict(reduce(targets(texts, truths), scorer, rule))
    assert ends[0].text.split() == ["alpha", "beta"] and ends[0].dropped == 3
    assert ends[1].words - ends[1].dropped == 1


def on(classifier, sentences, clusters=None, **settings):
    scorer = Scorer(classifier)
    corpus = Corpus(
        name="test",
        labels=scorer.labels,
        examples=tuple(
            Example(id=f"e{i}", text=text, cluster=clusters[i] if clusters else None)
            for i, text in enumerate(sentences)
        ),
    )
    bench = Bench(
        probe="reduction",
        corpus=corpus,
        scorer=scorer,
        decision=make(scorer.labels, scorer.labels[-1:]),
        resources=Resources(),
    )
    return Reduction(**settings), bench


def measured(probe, bench):
    facts = list(probe.run(bench))
    found = {f.metric: f for f in facts if isinstance(f, Measurement)}
    assert {f.id for f in found.values()} == set(probe.plan(bench).claims)
    return found, next(f for f in facts if isinstance(f, Cases))


def test_a_model_that_hangs_on_one_word_needs_that_word_alone():
    texts = [f"the {a} film number seven surprised {b} really" for a in ("long", "new", "old")
             for b in ("Anna", "Peter", "Marie", "George")]  # fmt: skip
    found, cases = measured(*on(Lexicon(really=3.0), texts))
    one = found["one_word_enough"].value
    assert (one.value, one.n) == (1.0, 12) and one.low > 0.7
    assert found["words_left"].value.value == pytest.approx(1 / 8)
    assert all(after.split() == ["really"] for after in cases.after)
    assert not any(cases.flipped)
    assert all("7 of 8 words gone" in note for note in cases.note)


def test_what_says_nothing_is_left_out_and_counted():
    texts = ["really", "!!!", *["long houses really stand seven years"] * 4]
    found, _ = measured(*on(Lexicon(really=3.0), texts, texts=None, max_queries=8))
    skips = {s.reason: s.count for s in found["words_left"].left_out}
    assert skips == {
        "fewer than two words": 2,
        "search ended by the query budget": 4,
    }
    assert isinstance(found["one_word_enough"].value, Absent)
    fewer, _ = measured(*on(Lexicon(really=3.0), texts, texts=2))
    assert {s.reason: s.count for s in fewer["words_left"].left_out}[
        "not among the texts drawn"
    ] == 4


def test_it_is_no_recipe_of_an_attack_and_says_where_it_is():
    assert RECIPE.source and RECIPE.what
    with pytest.raises(ConfigError, match="breaks no decision") as said:
        Attack(recipe="input_reduction")
    assert "reduction" in said.value.hint

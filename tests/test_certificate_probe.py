"""The certificate speaks of the vote over synonyms, and no substitution that it rules out is found."""

import itertools

import numpy as np
import pytest

from audit import foreign
from audit.bench import Bench
from audit.decision import make
from audit.errors import Unsupported
from audit.neighbours import neighbours
from audit.resources import Resources
from audit.scorer import Scorer
from audit.synonyms import Synonyms
from audit.testing import Lexicon
from audit.types import Cases, Corpus, Example, Measurement
from probes.certificate import Certificate, _majority

TEXTS = (
    "the terrible report was a waste of money",
    "a great meeting with the new manager",
    "nobody wanted to vote in this country",
    "zzyzx qwq",
)


@pytest.fixture(scope="module")
def synonyms():
    if Resources().wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")
    foreign.show_wordnet(Resources())
    return Synonyms(
        table=neighbours(Resources().encoder()), fixed=frozenset({"the", "was", "a", "of", "and"})
    )


def on(classifier, labels=None, texts=TEXTS, **settings):
    scorer = Scorer(classifier)
    bench = Bench(
        probe="certificate",
        corpus=Corpus(
            name="test",
            labels=scorer.labels,
            examples=tuple(
                Example(id=f"e{i}", text=text, label=None if labels is None else labels[i])
                for i, text in enumerate(texts)
            ),
        ),
        scorer=scorer,
        decision=make(scorer.labels, scorer.labels[-1:]),
        resources=Resources(),
    )
    return Certificate(**settings), bench


def measured(probe, bench):
    facts = list(probe.run(bench))
    found = {f.metric: f for f in facts if isinstance(f, Measurement)}
    assert sorted(f.id for f in found.values()) == sorted(probe.plan(bench).claims)
    return found, next(f for f in facts if isinstance(f, Cases))


def test_synonyms_go_both_ways_and_are_no_opposites(synonyms):
    for word in ("terrible", "great", "vote", "country"):
        for other in synonyms.of(word):
            assert word in synonyms.of(other)
    assert "awful" in synonyms.of("terrible")
    assert not {"bad", "poor"} & set(synonyms.of("good"))
    assert synonyms.of("zzyzx") == () and synonyms.around("zzyzx") == ("zzyzx",)
    assert synonyms.overlap("zzyzx") == 1.0
    assert synonyms.of("was") == () and "was" not in synonyms.around("were")


def test_the_overlap_is_the_least_over_the_substitutions(synonyms):
    tight = Synonyms(table=synonyms.table, most=3)
    for word in ("terrible", "women", "great"):
        mine = set(tight.around(word))
        assert word in mine and len(mine) <= 3
        said = [
            sum(min((w in mine) / len(mine), (w in theirs) / len(theirs)) for w in mine | theirs)
            for theirs in (set(tight.around(other)) for other in tight.of(word))
        ]
        assert tight.overlap(word) == pytest.approx(min(said))


def test_a_model_that_reads_no_word_with_a_synonym_is_certified_everywhere(synonyms):
    found, cases = measured(*on(Lexicon(qqq=1.0), ["negative"] * 4))
    share = found["held_share"]
    assert share.value.value == 1.0 and share.value.n == 3 and len(cases) == 0
    assert ("no word in it has a synonym", 1) in [(s.reason, s.count) for s in share.left_out]
    assert "smoothed" in share.unit and "not the shipped model" in share.budget
    assert "shipped" in found["shipped_accuracy"].unit


def test_a_model_that_hangs_on_half_the_words_of_a_group_is_not_certified_there(synonyms):
    group = synonyms.around("terrible")
    half = dict.fromkeys(group[: len(group) // 2], 3.0)
    found, cases = measured(
        *on(Lexicon(qqq=-1.0, **half), texts=("the terrible qqq", "the qqq vote"), samples=30)
    )
    assert (found["held_share"].value.value, found["held_share"].value.n) == (0.5, 2)
    assert cases.example_id == ["e0"] and "not beyond reach" in cases.note[0]


def test_what_is_certified_no_substitution_turns(synonyms):
    """Each substitution of a text that an adversary may make, by a vote of its own."""
    # The one word turns the decision, the vote over all that may stand for it holds.
    text = f"{TEXTS[0]} qqq"
    probe, bench = on(
        Lexicon(qqq=0.5, terrible=-0.4, money=-0.3), texts=(text,), samples=400, confidence=0.999
    )
    found, _ = measured(probe, bench)
    words = text.split()
    choices = [[w, *synonyms.of(w)] for w in words]
    rng = np.random.default_rng(0)

    def vote(text):
        some = [" ".join(str(rng.choice(synonyms.around(w))) for w in text) for _ in range(200)]
        return _majority(bench.decide(bench.scorer(some)).label.tolist())

    assert len(list(itertools.product(*choices))) > 50
    every = list(itertools.product(*choices))[::5][:25]
    assert found["held_share"].value.value == 1.0
    assert found["vote_agreement"].value.value == 0.0
    assert {vote(text) for text in every} == {vote(words)}


def test_without_wordnet_it_says_so(monkeypatch):
    monkeypatch.setattr("audit.resources._wordnet_places", list)
    probe, bench = on(Lexicon(nothing=1.0))
    with pytest.raises(Unsupported, match="WordNet") as said:
        probe.plan(bench)
    assert said.value.hint


@pytest.mark.parametrize(
    "wrong", [{"texts": 0}, {"samples": 0}, {"words": -1}, {"confidence": 0.4}, {"least": 1.0}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        Certificate(**wrong)

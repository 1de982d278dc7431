from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_bert

from audit import model, runner
from audit.aligning import align
from audit.attribution import attribute
from audit.config import (
    AuditConfig,
    AuditSection,
    CorpusConfig,
    DecisionConfig,
    ModelConfig,
    ProbeConfig,
)
from audit.decision import decide, make
from audit.evidence import explained
from audit.report import render
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Case, Corpus, Example

TEXTS = [
    "she wrote a short report about old bridges",
    "yesterday he carried the heavy table upstairs",
    "the garden was planted when she came home",
    "after lunch he painted seven wooden chairs",
    "she said the bridge was old and he agreed",
]
RULE = make(("negative", "positive"), ("positive",))


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    folder = tiny_bert(tmp_path_factory.mktemp("bert"), [*TEXTS, "her him"])
    spec = ModelConfig(path=str(folder), device="cpu")
    return Scorer(model.load(spec, model.identify(spec)))


def case(scorer, before, after, **more):
    scores = decide(RULE, scorer([before, after])).score
    return Case(
        metric="swaps.flip_rate",
        example_id=before[:8],
        before=before,
        after=after,
        score_before=float(scores[0]),
        score_after=float(scores[1]),
        **more,
    )


def test_both_sides_of_a_changed_decision_are_attributed_and_labelled(scorer):
    other = TEXTS[0].replace("she", "he")
    (made,) = explained([case(scorer, TEXTS[0], other, flipped=True)], scorer, RULE, probe="swaps")
    assert made.words == tuple(TEXTS[0].split()) and made.words_after == tuple(other.split())
    for label in (made.reliability, made.reliability_after):
        assert label.split(":")[0] in ("high", "limited", "low")
    rows = align(made.words, made.weights, made.words_after, made.weights_after)
    assert [(r.before, r.after) for r in rows if r.changed] == [("she", "he")]
    # What the differences add up to is what the logit did, less what the two baselines part.
    assert sum(r.difference for r in rows) == pytest.approx(
        sum(made.weights_after) - sum(made.weights)
    )


def test_no_more_than_the_bound_and_the_largest_changes_first(scorer):
    cases = [
        replace(case(scorer, text, text.replace("she", "her").replace("he ", "him ")), flipped=True)
        for text in TEXTS
    ]
    made = explained(cases, scorer, RULE, probe="swaps", most=2)
    got = [i for i, c in enumerate(made) if c.words]
    size = [abs(c.score_after - c.score_before) for c in cases]
    assert sorted(got) == sorted(np.argsort(-np.array(size), kind="stable")[:2].tolist())
    assert explained(cases, scorer, RULE, probe="swaps", most=0) == tuple(cases)


def test_wrong_decisions_of_a_slice_have_one_side_and_unchanged_cases_none(scorer):
    same = case(scorer, TEXTS[0], TEXTS[0])
    (made,) = explained([same], scorer, RULE, probe="slices")
    assert made.words and made.reliability and not made.words_after
    assert explained([same], scorer, RULE, probe="typos") == (same,)


def test_colours_that_a_probe_brings_get_a_label(scorer):
    words = tuple(TEXTS[0].split())
    coloured = replace(
        case(scorer, TEXTS[0], TEXTS[0]), words=words, weights=tuple(range(len(words)))
    )
    (made,) = explained([coloured], scorer, RULE, probe="reliance")
    assert made.reliability and made.weights == coloured.weights
    other = replace(coloured, words=words[:2], weights=(1.0, 2.0))
    assert explained([other], scorer, RULE, probe="reliance") == (other,)


def test_both_texts_of_a_pair_are_attributed_on_both_sides(scorer):
    pair, other = (TEXTS[0], TEXTS[4]), (TEXTS[0].replace("she", "he"), TEXTS[4])
    scores = decide(RULE, scorer([pair, other])).score
    made = Case(
        metric="swaps.flip_rate",
        example_id="p",
        before="\n".join(pair),
        after="\n".join(other),
        score_before=float(scores[0]),
        score_after=float(scores[1]),
        flipped=True,
    )
    (one,) = explained([made], scorer, RULE, probe="swaps", pairs=True)
    assert one.words == tuple(" ".join(pair).split())
    assert one.words_after == tuple(" ".join(other).split())
    assert one.reliability and one.reliability_after
    (whole,) = attribute(scorer, [pair], [1])
    np.testing.assert_allclose(one.weights, whole.weights, rtol=1e-3, atol=1e-5)
    # Three lines cannot be parted into two texts.
    unclear = replace(made, before="a\n" + made.before)
    assert explained([unclear], scorer, RULE, probe="swaps", pairs=True) == (unclear,)


def test_a_callable_has_cases_without_colours():
    some = (Case(metric="m", example_id="a", before="a", after="b", score_before=0, score_after=1),)
    assert explained(some, Scorer(Lexicon()), RULE, probe="swaps") == some


def test_an_audit_stores_them_and_its_page_shows_them(tmp_path):
    tiny_bert(tmp_path / "model", [*TEXTS, "her him his"], sharpness=40.0)
    corpus = Corpus(
        name="test",
        labels=RULE.labels,
        examples=tuple(
            Example(id=f"e{i}", text=text, label="positive") for i, text in enumerate(TEXTS)
        ),
    )
    config = AuditConfig(
        audit=AuditSection(evidence=3),
        model=ModelConfig(path="model", device="cpu"),
        decision=DecisionConfig(favourable=("positive",)),
        corpora={"test": CorpusConfig(path="unread.csv")},
        probe=(ProbeConfig(name="typos"),),
    )
    result = runner.run(config, tmp_path / "out", base=tmp_path, corpora={"test": corpus})
    flipped = [c for c in result.runs[0].cases if c.flipped]
    assert flipped, "the model must be unsteady enough for this test"
    shown = [c for c in flipped if c.words_after]
    assert len(shown) == min(3, len(flipped)) and all(c.reliability for c in shown)
    again = runner.run(config, tmp_path / "out", base=tmp_path, corpora={"test": corpus})
    assert again == result
    page = render(result)
    assert page.count('class="aligned"') == len(shown)
    assert "Reliability of the colours" in page
    none = replace(config, audit=replace(config.audit, evidence=0))
    bare = runner.run(none, tmp_path / "bare", base=tmp_path, corpora={"test": corpus})
    assert not any(c.words for c in bare.runs[0].cases)

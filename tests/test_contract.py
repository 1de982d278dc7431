"""What every probe owes its reader. A new probe is tested here without writing a test."""

import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit import catalogue
from audit.bench import Bench
from audit.decision import make
from audit.errors import Unsupported
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Cases, Corpus, Estimate, Example, Measurement

ROOT = Path(__file__).parents[1]
# Settings that keep a probe small enough to run over and over.
PARAMS = {
    "attack": {"max_queries": 60, "texts": 6, "min_n": 2},
    "certificate": {"texts": 6, "samples": 12, "votes": 4, "confidence": 0.9},
    "reduction": {"texts": 8},
    "plausibility": {"texts": 8},
    "reliance": {"texts": 8},
    "templates": {"corpus": "test", "identity": ["sex"]},
}
OPENINGS = (
    "John wrote that she really liked the report",
    "Her mother called him about the good results",
    "The woman said that nothing here was wrong",
    "Maria and her brother found a terrible mistake",
    "Nobody wanted to read the other document",
)


@pytest.fixture
def corpus():
    return Corpus(
        name="test",
        labels=("negative", "positive"),
        examples=tuple(
            Example(
                id=f"e{i}",
                text=f"{OPENINGS[i % 5]} number {i}",
                label=("negative", "positive")[(i // 2) % 2],
                groups={"sex": "female" if i % 2 else "male"} if i % 7 else {},
                rationale=((0, 4),) if i % 3 else None,
            )
            for i in range(80)
        ),
        sha256="fixed",
    )


@pytest.fixture(params=sorted(catalogue.names()))
def probe(request):
    return catalogue.make(request.param, PARAMS.get(request.param))


def bench(probe, corpus, scorer=None):
    scorer = scorer or Scorer(Lexicon(good=2.0, she=1.0, john=-1.0, terrible=-2.0))
    return Bench(
        probe=probe.name,
        corpus=corpus,
        corpora={"test": corpus},
        scorer=scorer,
        decision=make(scorer.labels, ("positive",)),
        resources=Resources(),
        seed=3,
    )


def facts(probe, on):
    try:
        return list(probe.run(on))
    except Unsupported as reason:
        pytest.skip(f"not run: {reason}")


def comparable(found):
    return [plain(f) if isinstance(f, Cases) else f for f in found]


def plain(cases):
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars_of(cases).items()}


def vars_of(cases):
    return {name: getattr(cases, name) for name in cases.__dataclass_fields__}


def test_same_seed_same_facts(probe, corpus):
    first = comparable(facts(probe, bench(probe, corpus)))
    assert comparable(facts(probe, bench(probe, corpus))) == first


def test_other_batch_size_same_facts(probe, corpus):
    model = Lexicon(good=2.0, she=1.0, john=-1.0, terrible=-2.0)
    small = bench(probe, corpus, Scorer(model, batch_size=3))
    assert comparable(facts(probe, small)) == comparable(facts(probe, bench(probe, corpus)))


def test_global_randomness_is_neither_read_nor_moved(probe, corpus):
    np.random.seed(1), random.seed(1)
    first = comparable(facts(probe, bench(probe, corpus)))
    np.random.seed(2), random.seed(2)
    before = random.getstate(), np.random.get_state()[1].tolist()
    assert comparable(facts(probe, bench(probe, corpus))) == first
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_dropping_a_text_changes_no_other_perturbation(probe, corpus):
    whole, fewer = Lexicon(good=2.0), Lexicon(good=2.0)
    facts(probe, bench(probe, corpus, Scorer(whole)))
    less = replace(corpus, examples=corpus.examples[1:])
    facts(probe, bench(probe, less, Scorer(fewer)))
    if PARAMS.get(probe.name, {}).get("texts"):
        # A sample may draw another text in the place of the one that left, and only that one.
        gone = {t for t in fewer.seen if t not in set(whole.seen)}
        assert len(gone) <= max(200, len(set(whole.seen)) // 3)
        return
    assert set(fewer.seen) <= set(whole.seen)


def test_the_plan_names_just_what_is_measured_and_scores_nothing(probe, corpus):
    on = bench(probe, corpus)
    try:
        planned = probe.plan(on)
    except Unsupported as reason:
        pytest.skip(f"not run: {reason}")
    assert on.scorer.queries == 0
    found = facts(probe, on)
    ids = [f.id for f in found if isinstance(f, Measurement)]
    assert sorted(ids) == sorted(planned.claims)
    assert len(set(ids)) == len(ids)
    asked = on.scorer.queries
    assert asked <= planned.queries * 1.2 + 1
    if not planned.upper_bound:
        assert asked >= planned.queries * 0.8 - 1


def test_every_text_is_counted(probe, corpus):
    for f in facts(probe, bench(probe, corpus)):
        if isinstance(f, Measurement):
            assert f.used >= 0
            if not f.where:
                assert f.eligible <= len(corpus.examples)
            if isinstance(f.value, Estimate):
                assert f.value.n <= f.used


def test_an_empty_corpus_gives_no_number(probe, corpus):
    empty = bench(probe, replace(corpus, examples=()))
    try:
        found = list(probe.run(empty))
        probe.plan(empty)
    except Unsupported:
        return
    assert not [f for f in found if isinstance(f, Measurement) and isinstance(f.value, Estimate)]


def test_a_case_shows_the_scores_of_its_texts(probe, corpus):
    on = bench(probe, corpus)
    for some in facts(probe, on):
        if not isinstance(some, Cases) or not len(some):
            continue
        lengths = {len(getattr(some, n)) for n in ("before", "after", "score_before", "flipped")}
        assert lengths == {len(some)}
        for texts, scores in ((some.before, some.score_before), (some.after, some.score_after)):
            mine = on.decide(on.scorer(list(texts))).score
            np.testing.assert_allclose(mine, np.asarray(scores, float), atol=1e-9)


def test_settings_that_do_not_exist_are_refused(probe):
    from audit.errors import ConfigError

    with pytest.raises(ConfigError, match="has no setting 'nonsense'"):
        catalogue.make(probe.name, {"nonsense": 1})


def test_every_file_in_probes_is_in_the_catalogue():
    files = {p.stem for p in (ROOT / "probes").glob("*.py")} - {"__init__"}
    assert files == {
        where.split(":")[0].removeprefix("probes.") for where in catalogue.names().values()
    }


@pytest.mark.parametrize("name", sorted(catalogue.names()))
def test_a_probe_asks_a_question_and_names_its_source(name):
    module = __import__(f"probes.{name}", fromlist=["x"])
    assert module.__doc__.splitlines()[0].endswith("?")
    assert re.search(r"Source: .*(https?://|doi:|arXiv:)", module.__doc__, re.S)

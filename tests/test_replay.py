"""Texts of an earlier audit are held against the model of today."""

import pytest

from audit import store
from audit.bench import Bench
from audit.config import CorpusConfig
from audit.corpus import load
from audit.decision import make
from audit.errors import ConfigError, Unsupported
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Cases, Corpus, Example, Measurement
from probes.replay import Replay

TEXTS = [f"the {a} was really {b}" for a in ("film", "meal", "trip") for b in ("good", "fine")]
SPEC = {
    "text": "after",
    "second": "before",
    "cluster": "example_id",
    "groups": {"measurement": "measurement", "flipped": "flipped", "note": "note"},
}


def earlier(path, changes):
    """A `cases.parquet` as an audit writes it: (recipe, text, altered text, flipped)."""
    for_each = [
        Cases(
            metric=metric,
            example_id=[f"e{TEXTS.index(before)}"],
            before=[before],
            after=[after],
            score_before=[0.9],
            score_after=[0.1],
            flipped=[flipped],
            note=[f"x: success after 9 queries, 1 of 4 words, model {model}"],
        )
        for metric, before, after, flipped, model in changes
    ]
    store.write_cases(path, for_each)
    return load(CorpusConfig(path=str(path), **SPEC), name="earlier")


def bench(classifier, corpora):
    scorer = Scorer(classifier)
    return Bench(
        probe="replay",
        corpus=Corpus(
            name="test", labels=scorer.labels, examples=(Example(id="a", text="any text"),)
        ),
        corpora=corpora,
        scorer=scorer,
        decision=make(scorer.labels, ("positive",)),
        resources=Resources(),
    )


def attack(name):
    return f"attack.attack_success_rate[recipe={name}]"


@pytest.fixture
def changes():
    slips = [(attack("pruthi"), t, t.replace("really", "raelly"), True, "abc") for t in TEXTS]
    near = [(attack("pwws"), t, t.replace("was", "be"), True, "abc") for t in TEXTS[:2]]
    failed = [(attack("pwws"), TEXTS[3], TEXTS[3].replace("was", "be"), False, "abc")]
    other = [("typos.flip_rate", TEXTS[0], TEXTS[0].replace("film", "flim"), True, "abc")]
    return [*slips, *near, *failed, *other]


def measured(probe, on):
    found = list(probe.run(on))
    numbers = {f.id: f for f in found if isinstance(f, Measurement)}
    assert tuple(numbers) == probe.plan(on).claims
    return numbers, next(f for f in found if isinstance(f, Cases))


def test_what_broke_the_old_model_still_breaks_one_with_the_same_weakness(tmp_path, changes):
    corpora = {"earlier": earlier(tmp_path / "cases.parquet", changes)}
    on = bench(Lexicon(really=3.0), corpora)
    found, cases = measured(Replay(), on)
    assert found["replay.still_broken[recipe=pruthi]"].value.value == 1.0
    assert found["replay.still_broken[recipe=pwws]"].value.value == 0.0
    whole = found["replay.still_broken"]
    assert whole.value.value == pytest.approx(6 / 8) and whole.value.low < 0.75 < whole.value.high
    # Two texts made from one original are no two independent texts.
    assert (whole.used, whole.value.n) == (8, 6)
    assert {(s.reason, s.count) for s in whole.left_out} == {
        ("did not change the decision then", 1),
        ("not a case of an attack", 1),
    }
    assert "abc (8 texts)" in whole.budget
    assert sum("still works" in note for note in cases.note) == sum(cases.flipped) == 6
    assert on.scorer.queries == Replay().plan(on).queries == 16


def test_a_model_that_was_mended_is_said_to_withstand_them(tmp_path, changes):
    corpora = {"earlier": earlier(tmp_path / "cases.parquet", changes)}
    found, _ = measured(Replay(), bench(Lexicon(nothing=1.0), corpora))
    assert found["replay.still_broken"].value.value == 0.0
    assert found["replay.still_broken"].value.high > 0.1


def test_without_earlier_texts_the_probe_says_what_to_add(tmp_path):
    with pytest.raises(Unsupported, match="No texts of an earlier audit") as said:
        Replay().plan(bench(Lexicon(), {}))
    assert "cases.parquet" in said.value.hint
    with pytest.raises(ConfigError, match="no table"):
        Replay(corpus="erlier").plan(bench(Lexicon(), {}))
    alone = Corpus(name="earlier", labels=("a",), examples=(Example(id="x", text="y"),))
    with pytest.raises(Unsupported, match="no original"):
        Replay().plan(bench(Lexicon(), {"earlier": alone}))

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audit import catalogue, dialects
from audit.bench import Bench
from audit.decision import make
from audit.errors import ConfigError
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Cases, Corpus, Estimate, Example, Measurement

HOSTILE = json.loads((Path(__file__).parent / "hostile_texts.json").read_text("utf-8"))


def say(text, dialect="aae", feature="", seed=0):
    rng = np.random.default_rng(seed)
    found = dialects.changes(text, dialect, feature)
    return dialects.apply(text, dialects.settled(found, rng))


def neutral(text):
    return dialects.apply(text, dialects.neutral(text))


@pytest.mark.parametrize("row", dialects.features(), ids=lambda f: f.feature)
def test_the_example_of_each_feature_is_what_its_rule_says(row):
    if row.dialect == "aae":
        assert say(row.standard, row.dialect, row.feature) == row.changed
    else:
        said = {say(row.standard, row.dialect, row.feature, seed) for seed in range(60)}
        assert row.changed in said


@pytest.mark.parametrize(
    ("feature", "before", "after"),
    [
        ("habitual_be", "She's always singing.", "She always be singing."),
        ("habitual_be", "I am often running late", "I often be running late"),
        ("aint", "I'm not tired and it isn't late.", "I ain't tired and it ain't late."),
        ("aint", "They haven't seen it.", "They ain't seen it."),
        ("aint", "ISN'T IT?", "AIN'T IT?"),
        ("copula_absence", "They're at home, she's working.", "They at home, she working."),
        ("copula_absence", "You are so kind", "You so kind"),
        ("negative_concord", "He never told anybody.", "He never told nobody."),
        ("negative_concord", "We didn't see any cars.", "We didn't see no cars."),
        ("completive_done", "I've seen it; she has eaten.", "I done seen it; she done eaten."),
        ("third_person", "He always tries and she doesn't.", "He always try and she don't."),
        ("was_levelling", "They were late.", "They was late."),
        ("finna", "He's about to leave, I'm gonna stay.", "He's finna leave, I'm finna stay."),
        ("g_dropping", "Running and WAITING.", "Runnin' and WAITIN'."),
        ("g_dropping", "It’s raining or going on", "It’s raining or goin’ on"),
    ],
)
def test_a_rule_says_what_a_speaker_might(feature, before, after):
    assert say(before, "aae", feature) == after


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("copula_absence", "I am here. It is late. Yes, she is."),
        ("copula_absence", "She's been there. He's seen it. John's car. Who they are."),
        ("copula_absence", "She is and he is. They are, too."),
        ("copula_absence", "They were kind. Is she kind?"),
        ("habitual_be", "He is running. He is always kind."),
        ("aint", "He was not there. You have not the time. They do not."),
        ("negative_concord", "I do not want it any more. Not any of us. Nobody saw it, any day."),
        ("negative_concord", "I did not go, but anyone can. Whether or not anyone comes."),
        ("negative_concord", "It was not any better."),
        (
            "completive_done",
            "I have to go. You have time. I have a car. We have been. You have left.",
        ),
        ("third_person", "They works. The car runs. She is. He was. Cats love it."),
        ("was_levelling", "If they were rich. I wish we were there. They weren't."),
        ("finna", "I am going to London. I am going home."),
        ("g_dropping", "The king and the thing bring spring. Bing."),
        ("verb", "I'll go to see-saw. The user's. http://go.com/run @go #run"),
        ("noun", "The dog's dog-house"),
        ("", "https://she.is/working @working #waiting {going} <b>"),
    ],
)
def test_a_rule_leaves_alone_what_it_cannot_be_sure_of(feature, text):
    dialect = "inflection" if feature in ("verb", "noun") else "aae"
    found = say(text, dialect, feature)
    if feature == "verb":
        assert "see-saw" in found and "http://go.com/run @go #run" in found
    else:
        assert found == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("It is not good.", "It's not good."),
        ("I don't think she's working.", "I do not think she's working."),
        ("Someone saw that movie, for example.", "Somebody saw that film, for instance."),
        ("The end is not good.", "The end isn't good."),
        ("Maybe they're right", "Perhaps they are right"),
        ("CANNOT GO", "CAN'T GO"),
        ("I've seen it; I have it.", "I have seen it; I have it."),
        ("They don’t know", "They do not know"),
        ("That is what it is.", "That is what it is."),
        ("Isn't it? Why don't men ask?", "Isn't it? Why don't men ask?"),
        ("don't you see", "don't you see"),
        ("the user's photo", "the user's picture"),
    ],
)
def test_a_neutral_change_stays_in_standard_english(before, after):
    assert neutral(before) == after


def test_neutral_changes_make_nothing_that_the_dialect_says():
    texts = [f.standard for f in dialects.features()] + [
        "I do not know anyone who is not going to buy it.",
        "They are here and we have not seen them until now.",
    ]
    for text in texts:
        for word in ("ain't", "finna", "in'", "nothing", "nobody", " done "):
            assert (word in neutral(text)) == (word in text)


@pytest.mark.parametrize("dialect", ["aae", "inflection"])
def test_no_text_is_too_odd(dialect):
    texts = [t if isinstance(t, str) else str(t) for t in _strings(HOSTILE)]
    assert len(texts) > 20
    for text in [*texts, "İ'm İs anythİng", "I don't see anythıng ſhe is going to see", ""]:
        for found in (dialects.changes(text, dialect), dialects.neutral(text)):
            spans = [(c.edit.start, c.edit.end) for c in found]
            assert all(a[1] <= b[0] for a, b in pairwise(spans))
            dialects.apply(text, dialects.settled(found, np.random.default_rng(0)))


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from _strings(v)
    elif isinstance(value, list):
        for v in value:
            yield from _strings(v)


@pytest.mark.parametrize(
    ("dialect", "feature", "said"),
    [("aav", "", "no dialect 'aav'"), ("aae", "copula", "no feature 'copula'")],
)
def test_a_misspelt_dialect_or_feature_is_told_what_there_is(dialect, feature, said):
    with pytest.raises(ConfigError, match=said):
        dialects.changes("text", dialect, feature)


def test_every_word_of_the_tables_has_forms_that_differ():
    verbs = dialects._rows("verbs")
    assert len({row["base"] for row in verbs}) == len(verbs) > 200
    assert all(row["third"].endswith("s") and row["gerund"].endswith("ing") for row in verbs)
    assert all(row["singular"] != row["plural"] for row in dialects._rows("nouns"))


def bench_of(model, texts, clusters=None, seed=0):
    examples = tuple(
        Example(id=f"e{i}", text=t, cluster=clusters[i] if clusters else None)
        for i, t in enumerate(texts)
    )
    return Bench(
        probe="dialect",
        corpus=Corpus(name="t", labels=model.labels, examples=examples),
        scorer=Scorer(model),
        decision=make(model.labels, ("positive",)),
        resources=Resources(),
        seed=seed,
    )


def measured(model, texts, clusters=None, **settings):
    facts = catalogue.make("dialect", settings).run(bench_of(model, texts, clusters))
    return {f.metric: f for f in facts if isinstance(f, Measurement)}


TEXTS = [f"the plan is not sure and pupils do not know {i}" for i in range(80)]


def test_a_model_that_marks_the_dialect_down_is_found_beyond_the_price_of_editing():
    found = measured(Lexicon(**{"ain't": -1.0, "the": 0.5}), TEXTS, feature="aint")
    assert found["flip_rate"].value.value == 1
    assert found["placebo_flip_rate"].value.value == 0
    assert found["excess_flip_rate"].value.low > 0.9
    # Logits of 0.5 and -0.5.
    assert found["shift"].value.value == pytest.approx(-0.2449, abs=1e-4)
    assert found["excess_shift"].value.value == pytest.approx(-0.2449, abs=1e-4)


def test_a_model_that_any_edit_turns_is_not_accused():
    """It reads 'not' and nothing else: the dialect and the contraction both take it away."""
    texts = [f"the plan is not here {i}" for i in range(80)]
    found = measured(Lexicon(**{"not": 1.0, "the": -0.5}), texts, feature="aint")
    assert found["flip_rate"].value.value == found["placebo_flip_rate"].value.value == 1
    assert found["excess_flip_rate"].value.value == 0
    assert found["excess_shift"].value.value == 0


def test_a_model_that_favours_the_dialect_gets_the_other_sign():
    found = measured(Lexicon(**{"ain't": 1.0, "the": -0.5}), TEXTS, feature="aint")
    assert found["shift"].value.value > 0.2 and found["excess_shift"].value.value > 0.2


def test_texts_that_cannot_be_rewritten_are_counted():
    texts = [*TEXTS[:5], "nothing here", "they were here", "we were here"]
    found = measured(Lexicon(the=0.5), texts)
    flips, excess = found["flip_rate"], found["excess_flip_rate"]
    assert (flips.eligible, flips.used, flips.value.n) == (8, 7, 7)
    assert {s.reason: s.count for s in excess.left_out} == {
        "nothing that the dialect says otherwise": 1,
        "no place for a neutral change": 2,
    }
    assert excess.used == excess.value.n == 5


def test_dialect_and_placebo_change_the_same_number_of_places():
    text = "she is not sure, they were still waiting and he never told anyone here; maybe they do not know"
    on = bench_of(Lexicon(), [text])
    for changes in (1, 2, 3, 9):
        (trial,) = catalogue.make("dialect", {"changes": changes})._trials(on)
        places = [
            sum(a != b for a, b in zip(*_aligned(text, other), strict=True))
            for other in (trial.matched, trial.placebo)
        ]
        possible = (len(dialects.changes(text, "aae")), len(dialects.neutral(text)))
        assert places == [min(changes, *possible)] * 2


def _aligned(one, other):
    """Runs of equal and unequal words of two texts, so that each changed place is one difference."""
    from difflib import SequenceMatcher

    a, b = one.split(), other.split()
    left, right = [], []
    for tag, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        left.append("same" if tag == "equal" else " ".join(a[i:j]))
        right.append("same" if tag == "equal" else f"-{' '.join(b[k:m])}")
    return left, right


def test_copies_of_one_source_are_not_counted_as_many():
    model = Lexicon(**{"ain't": -1.0, "the": 0.5})
    # Half of the sources are of a kind that flips.
    texts = [t if i % 4 < 2 else t.replace("the", "the the the") for i, t in enumerate(TEXTS)]
    alone = measured(model, texts, feature="aint")
    shared = measured(model, texts, [f"c{i % 4}" for i in range(80)], feature="aint")
    for metric in ("flip_rate", "excess_flip_rate", "shift", "excess_shift"):
        one, other = alone[metric].value, shared[metric].value
        assert isinstance(one, Estimate) and (one.n, other.n) == (80, 4)
        assert other.high - other.low > one.high - one.low


def test_a_case_says_which_features_were_changed():
    facts = catalogue.make("dialect", {}).run(bench_of(Lexicon(), ["she is not waiting"]))
    (found,) = (f for f in facts if isinstance(f, Cases))
    assert found.after[0] == "she ain't waitin'"
    assert found.note[0] == "aint, g_dropping"


def test_a_feature_alone_is_a_slice_of_its_own():
    on = bench_of(Lexicon(), TEXTS)
    whole = catalogue.make("dialect", {}).plan(on).claims
    one = catalogue.make("dialect", {"feature": "aint"}).plan(on).claims
    other = catalogue.make("dialect", {"dialect": "inflection"}).plan(on).claims
    assert len({*whole, *one, *other}) == 15


def test_a_misspelt_feature_is_refused_before_the_run():
    with pytest.raises(ConfigError, match="no feature 'aintt'"):
        catalogue.make("dialect", {"feature": "aintt"}).plan(bench_of(Lexicon(), TEXTS))


def test_every_feature_is_documented():
    page = (Path(__file__).parents[1] / "docs" / "audit-file.md").read_text("utf-8")
    section = page.split("\n### dialect\n")[1].split("\n#")[0]
    assert all(f"`{f.feature}`" in section for f in dialects.features())

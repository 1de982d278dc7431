"""Noise that turns decisions is found; noise that does not is not accused."""

from dataclasses import replace

import pytest

from audit.bench import Bench
from audit.decision import make
from audit.errors import AuditError
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Example, Measurement
from probes.noise import Noise

SUBJECTS = ("The film", "Her dinner", "Our evening", "That journey", "His answer")
PLACES = ("in town", "abroad", "at home", "near the river", "on the island", "last summer")
TEXTS = [f"{s} was wonderful {p}" for s in SUBJECTS for p in PLACES]


def on(classifier, texts=TEXTS, label="positive"):
    examples = tuple(Example(id=f"e{i}", text=t, label=label) for i, t in enumerate(texts))
    scorer = Scorer(classifier)
    return Bench(
        probe="noise",
        corpus=Corpus(name="test", labels=scorer.labels, examples=examples),
        scorer=scorer,
        decision=make(scorer.labels, ("positive",)),
        resources=Resources(),
    )


def measured(bench, **settings):
    facts = list(Noise(**settings).run(bench))
    rates = {(f.metric, f.where["kind"]): f for f in facts if isinstance(f, Measurement)}
    return rates, [f for f in facts if isinstance(f, Cases)]


def test_a_model_that_hangs_on_one_word_loses_decisions_under_every_noise():
    rates, cases = measured(on(Lexicon(wonderful=2.0, was=-0.5, at=-0.1)), words=1.0)
    for kind in ("keyboard", "ocr", "spelling"):
        assert rates["flip_rate", kind].value.low > 0.3, kind
        assert rates["accuracy_drop", kind].value.low > 0.3, kind
    assert {c.metric for c in cases} == {f"noise.flip_rate[kind={k}]" for k in Noise().kinds}
    for some in cases:
        assert all(a != b for a, b in zip(some.before, some.after, strict=True))
        turned = [a for a, f in zip(some.after, some.flipped, strict=True) if f]
        assert turned and all("wonderful" not in a.split() for a in turned)


def test_a_model_that_reads_nothing_is_not_accused():
    rates, _ = measured(on(Lexicon(nothing=1.0), label="negative"))
    for (metric, kind), found in rates.items():
        assert found.value.value == 0.0, (metric, kind)
        assert found.value.low <= 0.0 <= found.value.high


def test_texts_that_no_noise_can_change_are_left_out_and_counted():
    texts = [*TEXTS[:10], "!!!", "[URL] @anna", "xq zv"]
    rates, _ = measured(on(Lexicon(wonderful=2.0), texts))
    spelling = rates["flip_rate", "spelling"]
    assert spelling.eligible == 13
    assert [(s.reason, s.count) for s in spelling.left_out] == [
        ("no word that spelling noise can change", 3)
    ]
    assert spelling.value.n == spelling.used == 10


def test_more_severe_noise_costs_no_less():
    bench = on(Lexicon(wonderful=2.0))
    mild, _ = measured(bench, kinds=("keyboard",), words=0.1)
    severe, _ = measured(bench, kinds=("keyboard",), words=1.0)
    one, other = mild["flip_rate", "keyboard"].value, severe["flip_rate", "keyboard"].value
    assert one.high < other.low


def test_a_kind_does_not_move_the_dice_of_another():
    bench = on(Lexicon(wonderful=2.0))
    alone, _ = measured(bench, kinds=("ocr",))
    among, _ = measured(bench)
    assert alone["flip_rate", "ocr"] == among["flip_rate", "ocr"]


def test_only_the_first_text_of_a_pair_is_disturbed():
    seen = []

    class Second:
        labels = ("negative", "positive")
        fingerprint = "second"

        def probabilities(self, inputs):
            seen.extend(inputs)
            return Lexicon(wonderful=2.0).probabilities([a for a, _ in inputs])

    bench = on(Second())
    pairs = tuple(replace(e, second="and so it was") for e in bench.corpus.examples)
    measured(replace(bench, corpus=replace(bench.corpus, examples=pairs)), kinds=("keyboard",))
    assert {second for _, second in seen} == {"and so it was"}


def test_without_labels_only_flips_are_planned_and_measured():
    bench = on(Lexicon(wonderful=2.0), label=None)
    assert [c.split("[")[0] for c in Noise().plan(bench).claims] == ["noise.flip_rate"] * 3
    rates, _ = measured(bench)
    assert {metric for metric, _ in rates} == {"flip_rate"}


def test_an_empty_corpus_says_why_there_is_no_number():
    rates, _ = measured(on(Lexicon(), texts=[]))
    assert all(isinstance(found.value, Absent) for found in rates.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ("keybord",)},
        {"kinds": ()},
        {"kinds": ("ocr", "ocr")},
        {"words": 0.0},
        {"letters": 1.1},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(AuditError):
        Noise(**wrong)

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


VERSION_1 = [
    "The flln was wlnveeful in town",
    "The film wa8 wonderful in tuwn",
    "The film wos wonderfool in town",
]
CURVE = (0.1, 0.3, 0.5)
LONG = [
    f"{s} was wonderful {p} and everybody there remembered each single moment"
    for s in SUBJECTS
    for p in PLACES
]


def curve(facts, metric, kind):
    return [
        next(
            f
            for f in facts
            if isinstance(f, Measurement)
            and f.metric == metric
            and f.where == {"kind": kind, "severity": f"{severity:g}"}
        )
        for severity in CURVE
    ]


def test_accuracy_falls_with_severity_for_a_model_that_reads_words():
    on_words = on(Lexicon(wonderful=2.0, was=-0.5, at=-0.1), LONG)
    facts = list(Noise(kinds=("keyboard", "last_words", "bidi"), severities=CURVE).run(on_words))
    for kind in ("keyboard", "last_words", "bidi"):
        accuracy = [m.value.value for m in curve(facts, "accuracy", kind)]
        assert accuracy == sorted(accuracy, reverse=True) and accuracy[0] > accuracy[-1], kind
    flips = [m.value for m in curve(facts, "flip_rate", "bidi")]
    assert flips[0].high < flips[-1].low


class Length:
    """Says positive to texts of nine words and more."""

    labels = ("negative", "positive")
    fingerprint = "length"

    def probabilities(self, inputs):
        import numpy as np

        long = np.array([len(text.split()) >= 9 for text in inputs], float)
        return np.stack([0.9 - 0.8 * long, 0.1 + 0.8 * long], axis=1)


def test_accuracy_stays_for_a_model_that_reads_nothing_but_length():
    kinds = ("keyboard", "ocr", "spelling", "case_random", "lookalikes", "bidi", "space_tab")
    facts = list(Noise(kinds=kinds, severities=CURVE).run(on(Length(), LONG)))
    for kind in kinds:
        found = curve(facts, "accuracy", kind)
        assert [m.value.value for m in found] == [1.0] * 3, kind
        assert [m.value.value for m in curve(facts, "accuracy_drop", kind)] == [0.0] * 3


def test_a_model_that_reads_length_is_seen_when_texts_get_shorter():
    """The test above can fail: cutting a text is what such a model minds."""
    facts = list(Noise(kinds=("first_words",), severities=CURVE).run(on(Length(), LONG)))
    accuracy = [m.value.value for m in curve(facts, "accuracy", "first_words")]
    assert accuracy[0] == 1.0 and accuracy[-1] < 0.5


def test_a_curve_has_the_ids_planned_and_a_band_over_its_points():
    bench = on(Lexicon(wonderful=2.0), LONG)
    probe = Noise(kinds=("keyboard", "emoji"), severities=CURVE)
    found = [f for f in probe.run(bench) if isinstance(f, Measurement)]
    assert sorted(m.id for m in found) == sorted(probe.plan(bench).claims)
    assert "noise.flip_rate[kind=emoji,severity=0.1]" in {m.id for m in found}
    assert {m.metric for m in found} == {"flip_rate", "accuracy", "accuracy_drop"}
    for m in found:
        # 1 - 0.05 / 3: together the three cover at 95 %.
        assert m.value.level == pytest.approx(0.98333333)
        assert m.unit == "share of texts, band over 3 severities"
    one, *_ = Noise(kinds=("keyboard",), severities=(0.1,)).run(bench)
    point = next(m for m in found if m.id == "noise.flip_rate[kind=keyboard,severity=0.1]")
    assert one.id == "noise.flip_rate[kind=keyboard]" and one.value.level == 0.95
    assert one.value.value == point.value.value
    assert point.value.low < one.value.low and one.value.high < point.value.high


def test_the_band_holds_all_points_at_once_as_often_as_it_says():
    """By simulation: the intervals of a curve together, and each at 95 % for comparison."""
    import numpy as np

    from audit import stats
    from audit.perturbation import band_level

    rng, truth, n = np.random.default_rng(5), np.array([0.1, 0.2, 0.35, 0.5]), 200
    held = {0.95: 0, band_level(0.95, 4): 0}
    for _ in range(400):
        hits = (rng.random((n, 4)) < truth).sum(axis=0)
        for level in held:
            bounds = [stats.share(int(h), n, level=level) for h in hits]
            held[level] += all(b.low <= t <= b.high for b, t in zip(bounds, truth, strict=True))
    pointwise, band = (count / 400 for count in held.values())
    assert pointwise < 0.9 and band > 0.93


def test_texts_of_one_cluster_count_as_one_in_a_curve():
    bench = on(Lexicon(wonderful=2.0, was=-0.5), LONG)
    paired = tuple(replace(e, cluster=f"c{i // 2}") for i, e in enumerate(bench.corpus.examples))
    bench = replace(bench, corpus=replace(bench.corpus, examples=paired))
    facts = list(Noise(kinds=("case_random",), severities=CURVE).run(bench))
    for metric in ("flip_rate", "accuracy", "accuracy_drop"):
        assert {m.value.n for m in curve(facts, metric, "case_random")} == {15}


def test_words_is_the_older_name_of_one_severity():
    bench = on(Lexicon(wonderful=2.0))
    older = [f for f in Noise(kinds=("ocr",), words=0.7).run(bench) if isinstance(f, Measurement)]
    newer = Noise(kinds=("ocr",), severities=(0.7,)).run(bench)
    assert older == [f for f in newer if isinstance(f, Measurement)]


def test_another_text_dropped_changes_no_noise():
    bench = on(Lexicon(wonderful=2.0), LONG)
    fewer = replace(bench, corpus=replace(bench.corpus, examples=bench.corpus.examples[3:]))
    probe = Noise(kinds=("filler", "zero_width", "keyboard_de"), severities=CURVE)
    whole, rest = (
        {
            (c.metric, i): a
            for c in probe.run(b)
            if isinstance(c, Cases)
            for i, a in zip(c.example_id, c.after, strict=True)
        }
        for b in (bench, fewer)
    )
    assert rest and all(whole[key] == after for key, after in rest.items())


def test_one_severity_measures_what_version_1_measured():
    """Texts made by version 1 of this probe, before there were severities."""
    _, cases = measured(on(Lexicon(wonderful=2.0), TEXTS[:1]))
    assert [c.after[0] for c in cases] == VERSION_1


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
        {"severities": ()},
        {"severities": (0.3, 0.3)},
        {"severities": (0.1, 1.2)},
        {"severities": (0.1,), "words": 0.2},
        {"letters": 1.1},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(AuditError):
        Noise(**wrong)

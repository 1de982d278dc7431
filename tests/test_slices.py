"""Weak slices: found where there are any, not where there are none, and never by the same texts."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact

from audit import slicing
from audit.bench import Bench
from audit.decision import make
from audit.errors import ConfigError
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Estimate, Example, Measurement
from probes.slices import Slices

LABELS = ("negative", "positive")
WORDS = [a + b + c for a in "bdfgklmn" for b in "aeiou" for c in ("ra", "ne", "sol", "ti", "x")]
_RARE = 1 / np.arange(1, len(WORDS) + 1)
FREQUENCY = _RARE / _RARE.sum()


class Constant(Lexicon):
    """Says *positive* of every text: it is right where the label says so."""

    def probabilities(self, texts):
        return np.tile([0.1, 0.9], (len(texts), 1))


def bench(examples, model=None, labels=LABELS, **more):
    more.setdefault("seed", 0)
    return Bench(
        probe="slices",
        corpus=Corpus(name="test", labels=labels, examples=tuple(examples)),
        scorer=Scorer(model or Constant()),
        decision=make(labels, labels[-1:], head=more.pop("head", "single")),
        resources=Resources(),
        **more,
    )


def run(examples, probe=None, **more):
    facts = list((probe or Slices()).run(bench(examples, **more)))
    found = {f.id.removeprefix("slices."): f for f in facts if isinstance(f, Measurement)}
    return found, [f for f in facts if isinstance(f, Cases)]


def confirmed(found):
    return [
        m.budget
        for id, m in sorted(found.items())
        if id.startswith("accuracy_gap") and isinstance(m.value, Estimate)
    ]


def drawn(n, rng, *, wrong=0.15, clusters=None, twice=0.0):
    """Texts whose errors hang on nothing in them (but, where wanted, on what they come from)."""
    examples, mood, source = [], {}, 0
    sizes = rng.integers(4, 14, n)
    words = np.split(rng.choice(WORDS, sizes.sum(), p=FREQUENCY), np.cumsum(sizes))
    for i in range(n):
        text = " ".join(words[i])
        if examples and rng.random() < twice:
            text = examples[int(rng.integers(len(examples)))].text
        rate, cluster = wrong, None
        if clusters:
            source = int(rng.integers(clusters))
            cluster = f"s{source}"
            rate = mood.setdefault(source, float(rng.beta(0.6, 3.4)))
            # What comes from one source shares words, too.
            text += f" {WORDS[source % len(WORDS)]}"
        examples.append(
            Example(
                id=f"e{i}",
                text=text,
                label="negative" if rng.random() < rate else "positive",
                groups={"sex": "fm"[int(rng.integers(2))], "age": "young mid old".split()[i % 3]},
                cluster=cluster,
            )
        )
    return examples


def low_end(k, n):
    return float(binomtest(k, n).proportion_ci(0.95, method="exact").low)


@pytest.mark.parametrize(
    ("kind", "datasets", "settings"),
    [
        ("independent", 200, {}),
        ("from sources", 100, {"clusters": 60}),
        ("with repeats", 100, {"twice": 0.1}),
    ],
)
def test_where_errors_hang_on_nothing_a_slice_is_confirmed_in_one_data_set_of_twenty_at_most(
    kind, datasets, settings
):
    alarms = searched = 0
    for number in range(datasets):
        rng = np.random.default_rng([7, number])
        found, _ = run(drawn(500, rng, **settings), Slices(min_n=20), seed=number)
        alarms += bool(confirmed(found))
        searched += int(found["suspect_gap"].budget.split()[0].replace(",", ""))
    assert searched / datasets > 50
    assert low_end(alarms, datasets) <= 0.05, f"{kind}: {alarms} of {datasets}"


def test_the_simulation_catches_a_search_that_confirms_itself():
    alarms = 0
    for number in range(60):
        examples = drawn(500, np.random.default_rng([7, number]))
        good = np.array([e.label == "positive" for e in examples])
        part = np.random.default_rng(number).random(500) < 0.5
        of = slicing.features(
            [e.text for e in examples], [e.groups for e in examples], part, least=20
        )
        found = slicing.search(of, good, part, least=20, most=10)
        checked = slicing.check(found.suspects, good, part, [e.id for e in examples])
        alarms += any(c.p <= 0.05 for c in checked)
    assert low_end(alarms, 60) > 0.05, f"{alarms} of 60"


def test_a_planted_slice_is_found_and_named_in_eight_of_ten_data_sets():
    """2,000 texts; one in ten has the word; wrong in 0.30 of those and in 0.10 of the others."""
    hits = named = 0
    datasets = 40
    for number in range(datasets):
        rng = np.random.default_rng([11, number])
        examples = []
        for e in drawn(2000, rng, wrong=0.10):
            if rng.random() < 0.10:
                worse = "negative" if rng.random() < 0.30 else "positive"
                e = replace(e, text=f"{e.text} quince", label=worse)
            examples.append(e)
        found, _ = run(examples, seed=number)
        said = confirmed(found)
        hits += any("“quince”" in s for s in said)
        named += bool(said) and said[0].startswith("the word “quince”:")
    assert low_end(datasets - hits, datasets) <= 0.20 and hits >= 0.8 * datasets
    assert named >= 0.8 * datasets


def planted(n=3000, seed=3):
    """Women's texts with the word *quince* are wrong in 0.45, all others in 0.10."""
    rng = np.random.default_rng(seed)
    examples = []
    for e in drawn(n, rng, wrong=0.10):
        if rng.random() < 0.2:
            rate = 0.45 if e.groups["sex"] == "f" else 0.10
            worse = "negative" if rng.random() < rate else "positive"
            e = replace(e, text=f"{e.text} quince", label=worse)
        examples.append(e)
    return examples


def test_a_weak_group_within_a_word_is_named_as_that():
    found, cases = run(planted())
    first = confirmed(found)[0]
    assert first.startswith("sex = f and the word “quince”:")
    m = found["accuracy_gap[rank=01]"]
    assert m.value.high < -0.2 and m.value.low < -0.35
    # Every text shown is in the slice, wrong, and none of the searched half.
    shown = cases[0]
    assert shown.metric == m.id and all("quince" in t for t in shown.before)
    assert shown.note[0].startswith("sex = f and the word")
    assert len(shown) == m.value.basis.n - m.value.basis.hits
    assert found["weak_share"].value.low > 0.0


def test_interval_and_p_value_are_those_of_the_confirming_half_alone():
    examples = planted()
    found, _ = run(examples)
    on = bench(examples)
    half = {e.id: float(on.rng("half", f"t{e.text}").random()) < 0.5 for e in examples}
    inside = [("quince" in e.text and e.groups["sex"] == "f", e.label == "positive", half[e.id])
              for e in examples]  # fmt: skip
    table = [
        [sum(i == a and r == b and not h for i, r, h in inside) for b in (True, False)]
        for a in (True, False)
    ]
    m = found["accuracy_gap[rank=01]"]
    assert (m.value.basis.hits, m.value.basis.n) == (table[0][0], sum(table[0]))
    assert m.used == sum(map(sum, table))
    m_checked = int(m.budget.split(" taken forward")[0].rsplit(", ", 1)[1])
    p = fisher_exact(table, alternative="less").pvalue
    assert f"p = {min(1, p * m_checked):.2g} after Holm" in m.budget
    assert m.value.level == pytest.approx(1 - 0.05 / m_checked)
    assert found["suspect_gap"].value.level == 0.95
    assert found["suspect_gap"].value.value == m.value.value


def test_what_is_good_on_the_searched_half_alone_is_not_reported():
    """Errors planted by the split itself: the search sees them, the other half does not."""
    examples = [e for e in planted() if "quince" not in e.text]
    on = bench(examples)
    worse = []
    for k, e in enumerate(examples):
        searched = float(on.rng("half", f"t{e.text} mirage").random()) < 0.5
        if k % 10 == 0:
            label = "negative" if searched and k % 20 else "positive"
            e = replace(e, text=f"{e.text} mirage", label=label)
        worse.append(e)
    found, cases = run(worse)
    assert not any("mirage" in s for s in confirmed(found))
    assert not any("mirage" in note for c in cases for note in c.note)
    # It was the suspect nonetheless: its gap is measured where nothing was planted.
    assert isinstance(found["suspect_gap"].value, Estimate)
    assert found["suspect_gap"].value.high > 0.0


def test_dropping_a_text_moves_no_other_text_to_the_other_half():
    examples = drawn(300, np.random.default_rng(0), clusters=40)
    on = bench(examples)

    def halves(some):
        from probes.slices import _searched, _units

        return dict(zip([e.id for e in some], _searched(on, _units(some)), strict=True))

    whole, fewer = halves(examples), halves(examples[1:])
    assert fewer == {id: side for id, side in whole.items() if id != examples[0].id}
    by_cluster = {}
    for e in examples:
        by_cluster.setdefault(e.cluster, set()).add(bool(whole[e.id]))
    assert all(len(sides) == 1 for sides in by_cluster.values())
    assert 0.3 < np.mean(list(whole.values())) < 0.7


def test_equal_texts_are_on_one_side_and_count_as_dependent():
    text = "the very same complaint about the late parcel"
    many = [Example(id=f"m{i}", text=text, label="negative") for i in range(120)]
    rest = [replace(e, groups={}) for e in drawn(600, np.random.default_rng(2), wrong=0.1)]
    found, _ = run(rest + many)
    assert not any("parcel" in s for s in confirmed(found))


def test_all_is_planned_and_nothing_is_lost():
    examples = planted(900)
    examples += [Example(id=f"u{i}", text=f"nobody labelled this {i}") for i in range(40)]
    on = bench(examples)
    planned = Slices(forward=4).plan(on)
    found, _ = run(examples, Slices(forward=4))
    assert {f"slices.{id}" for id in found} == set(planned.claims)
    assert planned.queries == 900
    for m in found.values():
        assert m.eligible == 940
        assert sum(s.count for s in m.left_out if s.reason == "no true label") == 40
        assert m.used + sum(s.count for s in m.left_out) == m.eligible


def test_a_gate_can_be_put_on_the_slice_that_looked_worst():
    """Where nothing is weak, its gap is measured and small; where something is, it is large."""
    calm, _ = run(drawn(4000, np.random.default_rng(5), wrong=0.05), Slices(min_n=100))
    assert calm["suspect_gap"].value.low > -0.10
    assert run(planted())[0]["suspect_gap"].value.high < -0.10


def test_twenty_thousand_texts_take_seconds():
    examples = drawn(20_000, np.random.default_rng(9))
    on = bench(examples)
    on.scorer([e.text for e in examples])
    began = time.perf_counter()
    assert len(list(Slices().run(on))) >= 12
    assert time.perf_counter() - began < 60


def test_a_model_that_is_always_right_has_a_number_and_no_slice():
    right = [replace(e, label="positive") for e in drawn(800, np.random.default_rng(1))]
    found, _ = run(right)
    assert found["suspect_gap"].value.value == 0.0 and found["suspect_gap"].value.low > -0.1
    assert not confirmed(found) and found["weak_share"].value.value == 0.0


def test_without_labels_the_share_of_favourable_decisions_is_searched():
    rng = np.random.default_rng(4)
    texts = [replace(e, label=None) for e in drawn(1500, rng)]
    texts = [replace(e, text=f"{e.text} quince") if i % 9 == 0 else e for i, e in enumerate(texts)]
    found, _ = run(texts, model=Lexicon(quince=-3.0, **dict.fromkeys(WORDS, 0.1)))
    m = found["selection_rate_gap[rank=01]"]
    assert m.budget.startswith("the word “quince”: 0 of ")
    assert "favourable" in m.unit and "accuracy_gap[rank=01]" not in found


def test_chinese_text_is_sliced_by_two_characters():
    assert slicing.terms("今天天气") == {"今天", "天天", "天气"}
    assert slicing.terms(("看b站，好", "Her mother's")) == {
        "看",
        "b",
        "站",
        "好",
        "her",
        "mother",
        "s",
    }
    rng = np.random.default_rng(0)
    base = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动"
    examples = []
    for i in range(1600):
        text = "".join(rng.choice(list(base), 14))
        bad = i % 8 == 0
        wrong = rng.random() < (0.5 if bad else 0.1)
        text = f"{text[:6]}榴莲{text[8:]}" if bad else text
        examples.append(Example(id=str(i), text=text, label=LABELS[not wrong]))
    found, _ = run(examples)
    assert confirmed(found)[0].startswith("the word “榴莲”:")


def test_lengths_and_scripts_are_slices_too():
    rng = np.random.default_rng(8)
    examples = []
    for i, e in enumerate(drawn(1600, rng, wrong=0.05)):
        cyrillic = i % 6 == 0
        wrong = rng.random() < (0.4 if cyrillic else 0.05)
        text = f"слово{i % 400} ещё{i}" if cyrillic else e.text
        examples.append(replace(e, text=text, label=LABELS[not wrong]))
    said = confirmed(run(examples)[0])
    assert any("Cyrillic script" in s for s in said)
    part = np.ones(len(examples), dtype=bool)
    of = slicing.features([e.text for e in examples], [e.groups for e in examples], part, least=30)
    lengths = [n for n in of.names if n.endswith("characters")]
    assert len(lengths) == 4 and any("or more" in n for n in lengths)
    columns = [of.names.index(n) for n in lengths]
    assert of.matrix[:, columns].sum() == len(examples)


class Many(Constant):
    """Three labels, each on its own."""

    labels = ("a", "b", "c")
    head = "multi"

    def probabilities(self, texts):
        return np.tile([0.9, 0.1, 0.9], (len(texts), 1))


def test_multi_label_models_and_pairs_of_texts_are_sliced():
    rng = np.random.default_rng(1)
    examples = []
    for i, e in enumerate(drawn(1200, rng)):
        bad = i % 7 == 0
        wrong = rng.random() < (0.6 if bad else 0.1)
        second = "and quince" if bad else "and nothing"
        examples.append(replace(e, second=second, label=("a",) if wrong else ("a", "c")))
    found, cases = run(examples, model=Many(), labels=Many.labels, head="multi")
    assert confirmed(found)[0].startswith("the word “quince”:")
    assert all(t.endswith("and quince") for t in cases[0].before)


def test_only_the_attributes_that_are_named_are_searched():
    everything = confirmed(run(planted())[0])
    others = confirmed(run(planted(), Slices(attributes=("age",)))[0])
    assert any(s.startswith("sex = f") for s in everything)
    assert others and not any("sex" in s for s in others)
    with pytest.raises(ConfigError, match="has the attribute 'agee'"):
        run(planted(200), Slices(attributes=("agee",)))


def test_few_texts_give_a_reason_and_odd_settings_are_refused():
    for examples in ((), drawn(20, np.random.default_rng(0))):
        found, cases = run(examples)
        assert all(isinstance(m.value, Absent) for m in found.values()) and not cases
    for wrong in ({"min_n": 0}, {"forward": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            Slices(**wrong).plan(bench(()))

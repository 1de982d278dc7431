"""Rates by group: equal to fairlearn's, honest where it is silent, and planned as they are run."""

import csv

import numpy as np
import pytest

from audit import stats
from audit.bench import Bench
from audit.decision import make
from audit.errors import ConfigError, Unsupported
from audit.metrics import RATES, Outcome, rates_by_group
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Corpus, Estimate, Example, Measurement
from probes.group_rates import GroupRates
from tests import realdata

LABELS = ("negative", "positive")


def example(i, sex, said, true, **more):
    """A text on which `Lexicon(good=2, bad=-2)` says what is wanted."""
    groups = {} if sex is None else {"sex": sex}
    label = None if true is None else LABELS[true]
    text = f"{'good' if said else 'bad'} {i}"
    return Example(id=str(i), text=text, label=label, groups=groups, **more)


def cells(*rows):
    """Examples from (sex, said, true, how many)."""
    flat = [(sex, said, true) for sex, said, true, n in rows for _ in range(n)]
    return [example(i, *row) for i, row in enumerate(flat)]


def bench(examples, **more):
    more.setdefault("scorer", Scorer(Lexicon(good=2.0, bad=-2.0)))
    more.setdefault("decision", make(LABELS, ("positive",)))
    return Bench(
        probe="group_rates",
        corpus=Corpus(name="test", labels=LABELS, examples=tuple(examples)),
        resources=Resources(),
        **more,
    )


def run(examples, probe=None, **more):
    facts = list((probe or GroupRates()).run(bench(examples, **more)))
    assert all(isinstance(f, Measurement) for f in facts)
    found = {f.id.removeprefix("group_rates."): f for f in facts}
    assert len(found) == len(facts), "two measurements share an id"
    return found


# TV10: A (tp 40, fn 10, fp 15, tn 85) and B (18, 12, 18, 52).
TV10 = cells(
    *(("A", 1, 1, 40), ("A", 0, 1, 10), ("A", 1, 0, 15), ("A", 0, 0, 85)),
    *(("B", 1, 1, 18), ("B", 0, 1, 12), ("B", 1, 0, 18), ("B", 0, 0, 52)),
)


def test_the_known_table_comes_out_of_texts():
    found = run(TV10, GroupRates(reference={"sex": "B"}))
    tpr = found["true_positive_rate_gap[against=B,sex=A]"].value
    fpr = found["false_positive_rate_gap[against=B,sex=A]"].value
    assert (tpr.low, tpr.value, tpr.high) == pytest.approx((-0.00184521, 0.2, 0.39729206), abs=1e-7)
    assert fpr.value == pytest.approx(-0.10714286)
    assert (fpr.low, fpr.high) == pytest.approx((-0.23378394, 0.0136023), abs=1e-7)
    assert found["selection_rate[sex=A]"].value.value == pytest.approx(0.36666667)
    assert found["accuracy"].value.value == pytest.approx((40 + 85 + 18 + 52) / 250)
    assert tpr.mde == pytest.approx(stats.mde_difference(50, 30, 58 / 80))


def test_rates_equal_fairlearns_on_a_real_scored_file():
    """Adult: 5,000 and more people, five rates, two attributes, to 1e-12 of fairlearn's own."""
    from fairlearn import metrics as theirs
    from sklearn.metrics import accuracy_score, precision_score

    with (realdata.path("adult") / "adult_rf_binary.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    said = np.array([float(r["score"]) >= 0.5 for r in rows])
    true = np.array([r["label_value"] == "1" for r in rows])
    assert len(rows) > 5000 and 0.05 < said.mean() < 0.95
    examples = [
        Example(
            id=str(i),
            text=f"{'good' if s else 'bad'} {i}",
            label=LABELS[int(t)],
            groups={"gender": r["gender"], "race": r["race"]},
        )
        for i, (r, s, t) in enumerate(zip(rows, said, true, strict=True))
    ]
    found = run(examples, GroupRates(min_n=1))
    functions = {
        "selection_rate": theirs.selection_rate,
        "true_positive_rate": theirs.true_positive_rate,
        "false_positive_rate": theirs.false_positive_rate,
        "positive_predictive_value": precision_score,
        "accuracy": accuracy_score,
    }
    checked = 0
    for attribute in ("gender", "race"):
        frame = theirs.MetricFrame(
            metrics=functions,
            y_true=true.astype(int),
            y_pred=said.astype(int),
            sensitive_features=[r[attribute] for r in rows],
        )
        for group, row in frame.by_group.iterrows():
            for rate, value in row.items():
                ours = found[f"{rate}[{attribute}={group}]"].value
                assert abs(ours.value - value) <= 1e-12, (rate, group)
                assert ours.low <= value <= ours.high
                checked += 1
    assert checked >= 5 * (2 + 4)
    gap = found["selection_rate_gap[against=rest,gender=Female]"].value
    women, men = (found[f"selection_rate[gender={g}]"].value.value for g in ("Female", "Male"))
    assert abs(gap.value - (women - men)) <= 1e-12


def test_fairlearn_is_really_asked():
    outcome = Outcome(*(np.array(x, bool) for x in ([1, 0, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0])))
    group = np.array(["a", "a", "b"])
    assert rates_by_group(outcome, group, "true_positive_rate") == {"a": 0.5}
    assert rates_by_group(outcome, group, "false_positive_rate") == {"b": 1.0}


def test_one_lone_positive_does_not_stop_the_probe():
    """fairlearn squeezes an array of one group name into none at all."""
    found = run(cells(("F", 1, 1, 1), ("F", 0, 0, 40), ("M", 0, 0, 40)))
    assert found["true_positive_rate[sex=F]"].value.code == "too_few"
    assert isinstance(found["accuracy_gap[against=rest,sex=F]"].value, Estimate)


def test_a_planted_gap_is_found_and_equal_groups_are_not_accused():
    uneven = cells(("F", 1, 1, 30), ("F", 0, 1, 70), ("M", 1, 1, 60), ("M", 0, 1, 40))
    gap = run(uneven)["selection_rate_gap[against=rest,sex=F]"].value
    assert gap.high < -0.1
    even = cells(("F", 1, 1, 45), ("F", 0, 1, 55), ("M", 1, 1, 45), ("M", 0, 1, 55))
    gap = run(even)["selection_rate_gap[against=rest,sex=F]"].value
    assert gap.low < 0 == gap.value < gap.high


def test_a_cell_without_a_text_is_absent_and_never_one():
    """fairlearn answers 1.0 or 0.0 here."""
    none = cells(("F", 1, 0, 40), ("M", 1, 1, 40), ("M", 0, 0, 40))
    found = run(none)
    for name in (
        "true_positive_rate[sex=F]",
        "true_positive_rate_gap[against=rest,sex=F]",
        "true_positive_rate_gap[against=rest,sex=M]",
    ):
        assert isinstance(found[name].value, Absent)
        assert found[name].value.code == "no_positives"
    few = run(cells(("F", 1, 1, 29), ("M", 1, 1, 40), ("M", 0, 1, 3)))
    assert few["selection_rate[sex=F]"].value.code == "too_few"
    assert "29" in few["selection_rate[sex=F]"].value.reason


def test_the_plan_names_just_what_the_run_measures():
    three = cells(("F", 1, 1, 40), ("M", 0, 0, 40), ("X", 1, 0, 10), (None, 1, 1, 5))
    unlabelled = cells(("F", 1, None, 40), ("M", 0, None, 40))
    for examples in (three, unlabelled, TV10, []):
        for probe in (GroupRates(), GroupRates(attributes=("sex",)), GroupRates(min_n=1)):
            if not examples and probe.attributes:
                continue
            where = bench(examples)
            planned = probe.plan(where)
            assert where.scorer.queries == 0
            measured = [f.id for f in probe.run(where)]
            assert list(planned.claims) == measured
            assert planned.queries == where.scorer.queries == len(examples)
            assert set(planned.mde) <= set(planned.claims)
    planned = GroupRates(reference={"sex": "M"}).plan(bench(three))
    assert "group_rates.selection_rate_gap[against=M,sex=F]" in planned.mde
    assert "group_rates.selection_rate_gap[against=M,sex=X]" not in planned.mde


def test_without_labels_there_are_selection_rates_alone():
    found = run(cells(("F", 1, None, 40), ("M", 0, None, 40)))
    assert {f.metric.removeprefix("selection_rate") for f in found.values()} == {
        *("", "_gap", "_omnibus_p", "_spread")
    }


def test_unknown_groups_and_missing_labels_are_counted_not_hidden():
    mixed = cells(("F", 1, 1, 40), ("M", 0, 1, 40), (None, 1, 1, 7), ("F", 1, None, 3))
    found = run(mixed)
    gap = found["accuracy_gap[against=rest,sex=F]"]
    left = {s.reason: s.count for s in gap.left_out}
    assert left == {"group unknown": 7, "no true label": 3}
    assert gap.used == 80 and gap.eligible == 90
    assert found["accuracy[sex=F]"].used == 40
    assert found["selection_rate"].used == 90


def test_texts_of_one_author_count_as_one():
    """Ten texts of each of 40 authors who say the same throughout are 40 units, not 400."""
    examples = []
    for i in range(400):
        author = i // 10
        said = author % 2 if author < 20 else author % 4 > 0
        sex = "F" if author < 20 else "M"
        examples.append(example(i, sex, said, 1, cluster=f"a{author}"))
    clustered = run(examples, GroupRates(min_n=10))["selection_rate_gap[against=rest,sex=F]"].value
    alone = [Example(id=e.id, text=e.text, label=e.label, groups=e.groups) for e in examples]
    naive = run(alone, GroupRates(min_n=10))["selection_rate_gap[against=rest,sex=F]"].value
    assert clustered.value == pytest.approx(naive.value) and clustered.n == 20
    assert naive.high < 0 < clustered.high
    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_clustered_gaps_of_equal_groups_cover_zero_as_often_as_they_say():
    rng, clusters = np.random.default_rng(3), [f"c{i // 4}" for i in range(240)]
    member = np.arange(240) < 80
    for p in (0.05, 0.4):
        inside = 0
        for _ in range(400):
            rate = rng.beta(2 * p, 2 * (1 - p), size=60)
            x = (rng.random(240) < np.repeat(rate, 4)).astype(float)
            e = stats.difference_of_means(x, member, clusters, low=0.0, high=1.0)
            inside += isinstance(e, Estimate) and e.low <= 0 <= e.high
        assert inside / 400 >= 0.92, p


def test_many_labels_are_right_only_when_the_label_is():
    """Three labels, two favourable: a favourable but wrong label is selected, not accurate."""

    class Fixed:
        labels, head, fingerprint = ("a", "b", "c"), "single", "fixed"

        def probabilities(self, texts):
            return np.tile([0.1, 0.7, 0.2], (len(texts), 1))

    groups = ({"sex": s} for s in "FM" for _ in range(40))
    examples = [
        Example(id=str(i), text=f"t{i}", label="abc"[i % 3], groups=g) for i, g in enumerate(groups)
    ]
    made = Bench(
        probe="group_rates",
        corpus=Corpus(name="test", labels=("a", "b", "c"), examples=tuple(examples)),
        resources=Resources(),
        scorer=Scorer(Fixed()),
        decision=make(("a", "b", "c"), ("a", "b")),
    )
    found = {f.id: f.value for f in GroupRates(min_n=1).run(made)}
    assert found["group_rates.selection_rate"].value == 1.0
    assert found["group_rates.true_positive_rate"].value == 1.0
    assert found["group_rates.accuracy"].value == pytest.approx(27 / 80)


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (GroupRates(attributes=("sexx",)), "has the attribute 'sexx'"),
        (GroupRates(reference={"sex": "W"}), "sex = 'W'"),
        (GroupRates(reference={"sex": "rest"}), "everyone else"),
    ],
)
def test_a_misspelt_group_is_refused_before_anything_is_scored(probe, said):
    made = bench([*TV10, *(example(1000 + i, "rest", 1, 1) for i in range(2))])
    with pytest.raises(ConfigError, match=said):
        probe.plan(made)


def test_texts_without_any_group_cannot_be_compared():
    with pytest.raises(Unsupported, match="has a group"):
        GroupRates().plan(bench(cells((None, 1, 1, 3))))


def test_every_rate_has_a_unit_of_its_own():
    found = run(TV10)
    for rate in RATES:
        assert found[rate].unit and found[rate].family == f"group_rates.{rate}"
    assert len({found[rate].unit for rate in RATES[1:4]}) == 3


def test_the_adverse_decision_can_be_the_positive_one():
    """Of 100 harmless texts of each dialect, 30 and 10 are taken down: the gap is +0.2."""
    texts = cells(
        *(("aae", 0, 1, 30), ("aae", 1, 1, 70), ("aae", 0, 0, 45), ("aae", 1, 0, 5)),
        *(("white", 0, 1, 10), ("white", 1, 1, 90), ("white", 0, 0, 40), ("white", 1, 0, 10)),
    )
    reference = {"sex": "white"}
    adverse = run(texts, GroupRates(reference=reference, positive="unfavourable"))
    usual = run(texts, GroupRates(reference=reference))
    of = "[against=white,sex=aae]"
    fpr = adverse[f"false_positive_rate_gap{of}"]
    assert fpr.value.value == pytest.approx(0.2) and fpr.value.low > 0
    assert "truly favourable texts decided unfavourable" in fpr.unit
    # The same texts the other way round: what was a false alarm is a missed selection.
    assert usual[f"true_positive_rate_gap{of}"].value.value == pytest.approx(-0.2)
    assert adverse["true_positive_rate[sex=aae]"].value.value == pytest.approx(45 / 50)
    assert usual["false_positive_rate[sex=aae]"].value.value == pytest.approx(5 / 50)
    assert adverse["positive_predictive_value[sex=aae]"].value.value == pytest.approx(45 / 75)
    assert usual["positive_predictive_value[sex=aae]"].value.value == pytest.approx(70 / 75)
    for same in ("selection_rate", "accuracy"):
        assert adverse[f"{same}_gap{of}"] == usual[f"{same}_gap{of}"]


def test_harmless_tweets_in_an_african_american_dialect_are_taken_down_more_often():
    """A plain classifier of Davidson's tweets, judged as in Sap et al. (2019), ACL P19-1163."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = (realdata.rows("davidson", f"{part}.jsonl") for part in ("train", "test"))
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=10, max_iter=500),
    )
    model.fit([r["text"] for r in train], [r["label"] != 2 for r in train])

    class Filter:
        labels, head, fingerprint = ("harmless", "abusive"), "single", "tweets"

        def probabilities(self, texts):
            return model.predict_proba(list(texts))

    examples = tuple(
        Example(
            id=str(i),
            text=r["text"],
            label=Filter.labels[int(r["label"] != 2)],
            groups={"dialect": r["dialect"]} if r["dialect"] else {},
        )
        for i, r in enumerate(test)
    )
    made = Bench(
        probe="group_rates",
        corpus=Corpus(name="tweets", labels=Filter.labels, examples=examples),
        resources=Resources(),
        scorer=Scorer(Filter()),
        decision=make(Filter.labels, ("harmless",)),
    )
    probe = GroupRates(reference={"dialect": "white"}, positive="unfavourable")
    found = {f.id: f.value for f in probe.run(made)}
    gap = found["group_rates.false_positive_rate_gap[against=white,dialect=aae]"]
    assert gap.n == 83 and gap.low > 0.1, gap
    spread = found["group_rates.false_positive_rate_omnibus_p[over=dialect]"]
    assert spread.value < 0.001


def test_a_predictive_value_counts_the_decided_and_says_who_is_left():
    found = run(cells(("F", 1, 1, 30), ("F", 1, 0, 10), ("F", 0, 1, 9), ("M", 0, 0, 40)))
    of = found["positive_predictive_value[sex=F]"]
    assert of.value.value == 0.75 and of.used == 40
    assert {s.reason: s.count for s in of.left_out} == {"the decision is unfavourable": 9}
    nobody = found["positive_predictive_value[sex=M]"].value
    assert nobody.code == "no_decisions"


def test_equalized_odds_are_tested_with_both_gaps_in_view():
    """TV10: the gaps have opposite signs, which cancels in one test and shows in the other."""
    found = run(TV10, GroupRates(reference={"sex": "B"}))
    of = "[against=B,sex=A]"
    assert found[f"equalized_odds_p{of}"].value.value == pytest.approx(0.8363632701)
    assert found[f"odds_heterogeneity_p{of}"].value.value == pytest.approx(0.0093601221)
    assert found[f"odds_heterogeneity_p{of}"].unit == "p-value"
    strict = run(TV10, GroupRates(reference={"sex": "B"}, min_n=31))
    assert strict[f"equalized_odds_p{of}"].value.code == "too_few"


def test_all_groups_are_tested_at_once_and_small_ones_left_aside_by_name():
    """TV16, with five texts of a fourth group that would move it."""
    rows = [("A", 1, 1, 45), ("A", 0, 1, 75), ("B", 1, 1, 30), ("B", 0, 1, 70)]
    rows += [("C", 1, 1, 12), ("C", 0, 1, 28), ("D", 1, 1, 5), (None, 0, 1, 3)]
    found = run(cells(*rows))
    of = found["selection_rate_omnibus_p[over=sex]"]
    assert of.value.value == pytest.approx(0.4420974989) and of.value.method == "chi2"
    left = {s.reason: s.count for s in of.left_out}
    assert left == {"group unknown": 3, "in a group of fewer than 30": 5}
    spread = found["selection_rate_spread[over=sex]"]
    assert spread.value.value == 0 and spread.value.n == 3 and spread.value.high > 0


def intersected(n=40, cluster=None):
    """Four cells of `n` texts; only black women are turned down more often."""
    out = []
    for sex in ("F", "M"):
        for race in ("black", "white"):
            hits = n // 5 if (sex, race) == ("F", "black") else n * 3 // 5
            for i in range(n):
                word = "good" if i < hits else "bad"
                out.append(
                    Example(
                        id=f"{sex}{race}{i}",
                        text=f"{word} {sex} {race} {i}",
                        label="positive",
                        groups={"sex": sex, "race": race},
                        cluster=None if cluster is None else f"{sex}{race}{i // cluster}",
                    )
                )
    return out


def test_combined_groups_show_what_each_attribute_alone_dilutes():
    both = GroupRates(
        intersections=(("sex", "race"),), reference={"sex": "M", "race": "white"}, min_n=30
    )
    found = run(intersected(), both)
    gap = found["selection_rate_gap[against=reference,race=black,sex=F]"].value
    assert gap.value == pytest.approx(-0.4) and gap.high < 0
    assert gap.value < found["selection_rate_gap[against=M,sex=F]"].value.value
    assert "selection_rate_gap[against=reference,race=white,sex=M]" not in found
    rest = found["selection_rate_gap[against=rest,race=black,sex=F]"].value
    assert rest.value == pytest.approx(-0.4)
    assert found["selection_rate_omnibus_p[over=sex and race]"].value.value < 0.001


def test_small_cells_get_no_rate_but_a_place_in_the_ranking():
    tiny = [
        Example(id=f"x{i}", text=f"bad x {i}", label="positive", groups={"sex": "X", "race": "w"})
        for i in range(3)
    ]
    found = run([*intersected(), *tiny], GroupRates(intersections=(("sex", "race"),)))
    where = "[race=w,sex=X]"
    assert found[f"selection_rate{where}"].value.code == "too_few"
    placed = found[f"selection_rate_for_ranking{where}"]
    worst = found["selection_rate_for_ranking[race=black,sex=F]"]
    # 0 of 3 is no evidence of being last: it is drawn towards the rest.
    assert placed.value.value > 0 and worst.value.value < 0.3
    assert placed.value.high - placed.value.low > worst.value.high - worst.value.low
    assert "for ranking only" in placed.unit and placed.family == ""


def test_cells_that_differ_by_chance_alone_are_not_ranked():
    alike = [
        Example(
            id=f"{s}{r}{i}",
            text=f"{'good' if i < 20 else 'bad'} {s}{r}{i}",
            groups={"sex": s, "race": r},
        )
        for s in "FM"
        for r in "bw"
        for i in range(40)
    ]
    found = run(alike, GroupRates(intersections=(("sex", "race"),)))
    assert found["selection_rate_for_ranking[race=b,sex=F]"].value.code == "complete_pooling"


def test_clusters_reach_the_tests_over_all_groups():
    found = run(intersected(cluster=10), GroupRates(intersections=(("sex", "race"),), min_n=10))
    assert found["selection_rate_omnibus_p[over=race]"].value.method == "cluster-permutation"
    for name in (
        "selection_rate_spread[over=sex]",
        "selection_rate_for_ranking[race=black,sex=F]",
    ):
        assert found[name].value.code == "clustered"


def test_gaps_over_thresholds_are_those_of_the_decision_at_each():
    """At its own threshold the curve is the gap; elsewhere it is the gap of that decision."""
    texts = [
        Example(
            id=str(i), text=" ".join(["good"] * (i % 5) + [f"t{i}"]), groups={"sex": "FM"[i % 2]}
        )
        for i in range(200)
    ]
    lexicon = Lexicon(good=0.7)
    points = (0.6, 0.8, 0.9)
    rule = make(LABELS, ("positive",), threshold=0.8)
    more = {"scorer": Scorer(lexicon), "decision": rule}
    found = run(texts, GroupRates(thresholds=points), **more)
    scores = lexicon.probabilities([e.text for e in texts])[:, 1]
    women = np.array([e.groups["sex"] == "F" for e in texts])
    seen = set()
    for t in points:
        said = found[f"selection_rate_gap_at[against=rest,sex=F,threshold={t:g}]"]
        wanted = (scores[women] >= t).mean() - (scores[~women] >= t).mean()
        assert said.value.value == pytest.approx(wanted)
        assert "pointwise" in said.unit
        seen.add(round(wanted, 6))
    own = found["selection_rate_gap[against=rest,sex=F]"].value
    assert own == found["selection_rate_gap_at[against=rest,sex=F,threshold=0.8]"].value
    planned = GroupRates(thresholds=points).plan(bench(texts, **more))
    assert list(planned.claims) == [f"group_rates.{name}" for name in found]


def test_the_plan_is_kept_with_every_setting():
    probe = GroupRates(
        intersections=(("sex", "race"),),
        thresholds=(0.3, 0.7),
        positive="unfavourable",
        reference={"sex": "M", "race": "white"},
    )
    where = bench([*intersected(), *cells((None, 1, 1, 4), ("F", 0, 0, 3))])
    planned = probe.plan(where)
    facts = list(probe.run(where))
    assert list(planned.claims) == [f.id for f in facts]
    assert "group_rates.selection_rate_gap[against=reference,race=black,sex=F]" in planned.mde
    for f in facts:
        assert 0 <= f.used <= f.eligible


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (GroupRates(intersections=(("sex", "sex"),)), "two attributes"),
        (GroupRates(intersections=(("sex", "rase"),)), "has the attribute 'rase'"),
        (GroupRates(thresholds=(0.5, 1.0)), "between 0 and 1"),
        (GroupRates(thresholds=(0.5, 0.5)), "the same number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(probe, said):
    with pytest.raises(ConfigError, match=said):
        probe.plan(bench(intersected()))


def test_an_attribute_cannot_take_a_word_that_ids_use():
    texts = [Example(id=str(i), text=f"good {i}", groups={"against": "x"}) for i in range(3)]
    with pytest.raises(ConfigError, match="'against'"):
        GroupRates().plan(bench(texts))


def test_the_joint_tests_are_for_texts_that_are_independent():
    found = run(
        [example(i, "AB"[i % 2], i % 3 > 0, i % 5 > 1, cluster=f"c{i // 2}") for i in range(300)],
        GroupRates(min_n=10),
    )
    assert found["equalized_odds_p[against=rest,sex=A]"].value.code == "clustered"


def test_a_number_that_fairlearn_does_not_share_stops_the_probe(monkeypatch):
    from audit import metrics

    monkeypatch.setattr(metrics, "rates_by_group", lambda *_: {"0": 0.123})
    with pytest.raises(AssertionError, match="by fairlearn"):
        run(TV10)

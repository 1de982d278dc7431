"""AUCs: equal to scikit-learn's, with intervals that cover, also where nothing goes wrong."""

import numpy as np
import pytest
from scipy.stats import norm

from audit import ranking, stats
from audit.types import Absent, Estimate

LABEL = np.array([1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0], bool)
SCORE = np.array([0.9, 0.8, 0.35, 0.4, 0.3, 0.2, 0.1, 0.85, 0.6, 0.7, 0.55, 0.15])
MEMBER = np.arange(12) >= 7
KINDS = ("subgroup", "bpsn", "bnsp")


def drawn(rng, n=200, ties=False):
    label = rng.random(n) < 0.4
    score = rng.normal(size=n) + label
    return np.round(score, 1) if ties else score, label, rng.random(n) < 0.3


def test_tv11_bias_aucs():
    whole = ranking.auc(SCORE, LABEL)
    assert whole.value == pytest.approx(0.8857142857)
    assert (whole.low, whole.high) == pytest.approx((0.5164622804, 0.9825277170), abs=1e-8)
    for function, expected in (
        (ranking.subgroup_auc, 5 / 6),
        (ranking.bpsn_auc, 7 / 9),
        (ranking.bnsp_auc, 1.0),
    ):
        assert function(SCORE, LABEL, MEMBER).value == pytest.approx(expected, abs=1e-12)
    assert ranking.power_mean([0.9, 0.8, 0.6]) == pytest.approx(0.7019324558, abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_every_cell_equals_scikit_learns(ties):
    from sklearn.metrics import roc_auc_score

    for seed in range(20):
        score, label, member = drawn(np.random.default_rng(seed), ties=ties)
        for function, over in (
            (ranking.subgroup_auc, member),
            (ranking.bpsn_auc, (label & ~member) | (~label & member)),
            (ranking.bnsp_auc, (label & member) | (~label & ~member)),
        ):
            theirs = roc_auc_score(label[over], score[over])
            assert function(score, label, member).value == pytest.approx(theirs, abs=1e-12)


def test_the_error_is_delongs_by_counting_every_pair():
    score, label, _ = drawn(np.random.default_rng(3), ties=True)
    up, down = score[label], score[~label]
    won = (up[:, None] > down[None, :]) + 0.5 * (up[:, None] == down[None, :])
    variance = won.mean(1).var(ddof=1) / len(up) + won.mean(0).var(ddof=1) / len(down)
    assert ranking.auc(score, label).basis.se == pytest.approx(variance**0.5, rel=1e-12)


def test_the_paired_error_is_that_of_resampling():
    """Overall and subgroup AUC share texts; a stratified bootstrap by scikit-learn agrees."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(5)
    score, label, member = drawn(rng, 600)
    whole = ranking.area(score, label)
    own = ranking.area(score, label, None, member)
    ours = ranking.difference(own, whole)
    strata = [np.flatnonzero((label == a) & (member == b)) for a in (0, 1) for b in (0, 1)]
    draws = []
    for _ in range(600):
        i = np.concatenate([rng.choice(s, len(s)) for s in strata])
        y, x, m = label[i], score[i], member[i]
        draws.append(roc_auc_score(y[m], x[m]) - roc_auc_score(y, x))
    assert ours.mde / 2.8 == pytest.approx(np.std(draws), rel=0.12)
    assert ours.basis.correlation > 0.2
    assert (ours.low, ours.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.02)


def test_duplicated_texts_in_clusters_add_nothing():
    score, label, _ = drawn(np.random.default_rng(7), 80)
    once = ranking.auc(score, label)
    names = [f"c{i}" for i in range(80)] * 3
    thrice = ranking.auc(np.tile(score, 3), np.tile(label, 3), names)
    blind = ranking.auc(np.tile(score, 3), np.tile(label, 3))
    assert thrice.n == once.n and thrice.value == pytest.approx(once.value)
    assert thrice.basis.se == pytest.approx(once.basis.se, rel=1e-12)
    assert blind.basis.se < 0.6 * once.basis.se
    assert thrice.method == "logit-delong-cluster"


def test_clusters_of_one_are_no_clusters():
    score, label, _ = drawn(np.random.default_rng(8), 50)
    assert ranking.auc(score, label, [str(i) for i in range(50)]) == ranking.auc(score, label)


@pytest.mark.parametrize("truth", [0.7, 0.9])
def test_intervals_cover_dependent_texts(truth):
    """Six texts of one author share a level; both classes of one author depend on each other."""
    rng, shift = np.random.default_rng(11), norm.ppf(truth) * 2
    names = [str(i // 6) for i in range(120)]
    label = np.tile([True, False], 60)
    hits = blind = 0
    for _ in range(400):
        score = np.repeat(rng.normal(size=20), 6) + rng.normal(size=120) + shift * label
        e = ranking.auc(score, label, names)
        hits += e.low <= truth <= e.high
        label_of_author = np.repeat(np.arange(20) % 2 == 0, 6)
        score = np.repeat(rng.normal(size=20), 6) + rng.normal(size=120) + shift * label_of_author
        b = ranking.auc(score, label_of_author)
        blind += b.low <= truth <= b.high
    assert 0.92 <= hits / 400 <= 0.985
    # The same test sees an interval that forgets the authors.
    assert blind / 400 < 0.85


@pytest.mark.parametrize(("truth", "m", "n"), [(0.7, 30, 30), (0.9, 20, 200), (0.95, 100, 100)])
def test_intervals_cover_independent_texts(truth, m, n):
    rng, shift = np.random.default_rng(13), norm.ppf(truth) * 2**0.5
    label = np.arange(m + n) < m
    found = [ranking.auc(rng.normal(size=m + n) + shift * label, label) for _ in range(600)]
    assert 0.915 <= np.mean([e.low <= truth <= e.high for e in found]) <= 0.985


def test_perfect_separation_is_not_certainty():
    """Of 20 and 50 texts none is misplaced: so many would be with some chance up to 17 % wrong."""
    e = ranking.auc(np.arange(70.0), np.arange(70) >= 50)
    assert (e.value, e.high) == (1.0, 1.0)
    assert e.low == pytest.approx(0.025 ** (1 / 20))
    assert stats.p_beyond(e, 0.95, "above") == pytest.approx(0.95**20)
    same = ranking.auc(np.ones(70), np.arange(70) >= 50)
    assert same.value == 0.5 and same.low < 0.45 and same.high > 0.55
    # An area without an error of its own lends its gap one.
    score, label = np.arange(140.0), np.tile(np.arange(70) >= 50, 2)
    score[70:] = np.random.default_rng(1).normal(size=70)
    own = ranking.area(score, label, None, np.arange(140) < 70)
    other = ranking.area(score, label, None, np.arange(140) >= 70)
    gap = ranking.difference(own, other)
    alone = ranking.auc(score[70:], label[70:])
    assert own.se == 0 and gap.mde > alone.mde
    assert gap.low < gap.value - (alone.high - alone.value)


def test_equal_groups_are_told_apart_as_rarely_as_the_level_says():
    """60 texts of a group among 600, AUC 0.9: each side errs about as often as it says."""
    rng, shift, member = np.random.default_rng(23), norm.ppf(0.9) * 2**0.5, np.arange(600) < 60
    label, told = np.tile([True, False], 300), {"below": 0, "above": 0}
    for _ in range(400):
        score = rng.normal(size=600) + shift * label
        own = ranking.area(score, label, None, member)
        gap = stats.for_judging(ranking.difference(own, ranking.area(score, label)))
        for side in told:
            told[side] += stats.p_beyond(gap, 0.0, side) <= 0.05
    assert 8 <= told["below"] <= 36 and 1 <= told["above"] <= 36


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_bounds_and_p_values_are_two_sides_of_one_thing(level):
    score, label, member = drawn(np.random.default_rng(2))
    gap = ranking.difference(ranking.area(score, label, None, member), ranking.area(score, label))
    for some in (gap, stats.for_judging(gap)):
        assert stats.interval(some, some.level) == (some.low, some.high)
        low, high = stats.interval(some, level)
        assert stats.p_beyond(some, low, "above") == pytest.approx((1 - level) / 2, rel=1e-6)
        assert stats.p_beyond(some, high, "below") == pytest.approx((1 - level) / 2, rel=1e-6)
    assert stats.for_judging(gap).low < gap.low
    for e in (ranking.auc(SCORE, LABEL), ranking.auc(score, label)):
        for some in (e, stats.for_judging(e)):
            low, high = stats.interval(some, level)
            assert 0 < low < some.value < high < 1
            assert stats.p_beyond(some, low, "above") == pytest.approx((1 - level) / 2)
            assert stats.p_beyond(some, high, "below") == pytest.approx((1 - level) / 2)
        assert stats.p_beyond(e, 0.0, "above") == stats.p_beyond(e, 1.0, "below") == 0.0
        judged = stats.for_judging(e)
        assert judged.low < e.low and judged.high > e.high


def test_what_cannot_be_ranked_is_absent_with_its_reason():
    nan, yes = float("nan"), [True, True, False, False]
    for inputs, code in (
        (([], []), "empty"),
        (([1, 2, 3], [True] * 3), "one_class"),
        (([1, 2, 3], [False] * 3), "one_class"),
        (([1, 2, 3], [True, False, False]), "too_few"),
        (([1, nan, 2, 3], yes), "not_finite"),
        (([1, 2, 3], yes), "invalid"),
        (([1, 2, 3, 4], yes, ["a", "a", "b", "c"]), "too_few"),
    ):
        found = ranking.auc(*inputs)
        assert isinstance(found, Absent) and found.code == code and found.reason, inputs
    nobody = ranking.subgroup_auc([1, 2, 3, 4], yes, [False] * 4)
    assert isinstance(nobody, Absent) and nobody.code == "empty"


def test_the_generalized_mean_at_its_edges():
    assert ranking.power_mean([0.5, 0.5]) == pytest.approx(0.5)
    assert ranking.power_mean([0.9, 0.0]) == 0.0
    assert ranking.power_mean([1, 4], p=0) == pytest.approx(2)
    assert ranking.power_mean([1, 3], p=1) == pytest.approx(2)
    assert ranking.power_mean([1e-200, 2e-200]) == pytest.approx(1.1394e-200, rel=1e-3)
    for bad in ([], [-0.1], [float("nan")]):
        assert isinstance(ranking.power_mean(bad), Absent)


def test_the_generalized_mean_has_the_error_of_its_texts():
    """Groups of 200 with one AUC: the interval covers it, although the mean leans below it."""
    rng, truth, hits, values = np.random.default_rng(17), 0.85, 0, []
    shift, group = norm.ppf(truth) * 2**0.5, np.arange(1000) % 5
    for _ in range(200):
        label = rng.random(1000) < 0.5
        score = rng.normal(size=1000) + shift * label
        cells = [ranking.cell("subgroup", label, group == k) for k in range(5)]
        areas = [ranking.area(score, label, None, cell) for cell in cells]
        e = ranking.power_mean_of(areas)
        assert isinstance(e, Estimate)
        assert e.value == pytest.approx(ranking.power_mean([a.value for a in areas]))
        hits += e.low <= truth <= e.high
        values.append(e.value)
    assert 0.9 <= hits / 200 <= 0.99
    assert np.mean(values) < truth


def test_areas_without_an_error_of_their_own():
    score, label = np.arange(60.0), np.arange(60) >= 30
    low = ranking.area(score, label, None, (np.arange(60) < 20) | (np.arange(60) >= 40))
    whole = ranking.area(score, label)
    mean = ranking.power_mean_of([low, whole])
    assert (mean.value, mean.low) == pytest.approx((1.0, 0.025 ** (1 / 20)))
    gap = ranking.difference(low, whole)
    assert gap.value == 0 and gap.low < -0.05 and gap.high > 0.05
    some = ranking.area(SCORE, LABEL)
    same = ranking.difference(some, some)
    assert isinstance(same, Absent) and same.code == "no_variation"
    assert isinstance(ranking.power_mean_of([]), Absent)


def test_any_input_gives_a_number_or_a_reason():
    rng, kinds = np.random.default_rng(21), set()
    for _ in range(500):
        n = int(rng.integers(1, 12))
        score = rng.choice([0.0, 0.3, 0.3, 1.0, rng.random()], n)
        label, member = rng.random(n) < 0.5, rng.random(n) < 0.5
        names = rng.choice(list("abcde"), n).tolist() if rng.random() < 0.5 else None
        areas = [ranking.area(score, label, names, ranking.cell(k, label, member)) for k in KINDS]
        there = [a for a in areas if not isinstance(a, Absent)]
        found = [ranking.as_estimate(a) for a in there] + [ranking.auc(score, label, names)]
        found += [ranking.difference(a, b, names) for a in there for b in there]
        found += [ranking.power_mean_of(there, names)]
        for one in found:
            assert isinstance(one, Estimate) or one.reason
            if isinstance(one, Estimate):
                for limit in (-1.0, 0.0, 0.4, 1.0):
                    assert 0 <= stats.p_beyond(one, limit, "above") <= 1
                    assert 0 <= stats.p_beyond(stats.for_judging(one), limit, "below") <= 1
            kinds.add(one.method if isinstance(one, Estimate) else one.code)
    assert {"logit-delong", "logit-delong-cluster", "delong-gap", "too_few", "one_class"} <= kinds


def test_few_misplaced_texts_do_not_look_better_by_chance():
    """DeLong's error alone calls 9 in 100 such groups better than the rest, where 2.5 are meant."""
    rng, better = np.random.default_rng(3), 0
    for _ in range(200):
        positive = np.r_[np.ones(40), np.zeros(40), rng.random(300) < 0.4].astype(bool)
        drawn = rng.normal(np.where(positive, 2.212, 0), np.where(positive, 0.4, 1))
        of_group = ranking.area(drawn, positive, None, np.arange(380) < 80)
        better += ranking.difference(of_group, ranking.area(drawn, positive)).low > 0
    assert better <= 8


def test_the_error_compared_with_is_the_error_itself_where_many_are_misplaced():
    rng = np.random.default_rng(0)
    positive = np.arange(4000) % 2 == 0
    found = ranking.area(rng.normal(positive * 1.0, 1), positive)
    assert found.wary == pytest.approx(found.se, rel=1e-3)
    few = ranking.area(np.r_[1.0, 3, 4, 5, 6, 0, 0.5, 2, 0.2, 0.3], np.arange(10) < 5)
    a = (0.96 * 5 + 1) / 7
    modelled = a * (1 - a) / 25 * (1 + 4 * (1 - a) / (2 - a) + 4 * a / (1 + a))
    assert few.wary == pytest.approx((few.se**2 * modelled) ** 0.25)


def test_ends_of_the_generalized_mean_are_numbers_like_others():
    assert ranking.power_mean([1.0, 1.0]) == ranking.power_mean([1.0, 1.0], p=0) == 1.0
    assert ranking.power_mean([0.0, 0.5], p=1) == pytest.approx(0.25)
    assert ranking.power_mean([0.0, 0.5], p=0) == ranking.power_mean([0.0, 0.0], p=2) == 0.0

"""Two shares, many groups: known answers, brute force, and a number or a reason for any counts."""

from fractions import Fraction
from itertools import pairwise, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import impact, power, stats
from audit import proportions as p
from audit.types import Absent, Estimate

COUNTS = st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
CELLS = st.lists(COUNTS, max_size=6)
TV14 = [(60, 120), (30, 100), (8, 40), (15, 25), (2, 12), (4, 6), (0, 3), (2, 2)]
TV15 = [(45, 120), (30, 100), (12, 40), (9, 25), (4, 12)]


def bounds(e):
    return e.low, e.high


def test_the_guidelines_own_example():
    """TV01: 48 of 80 against 12 of 40."""
    assert bounds(p.miettinen_nurminen(48, 80, 12, 40)) == pytest.approx(
        (0.11102509, 0.46268270), abs=1e-8
    )
    assert bounds(p.agresti_caffo(48, 80, 12, 40)) == pytest.approx(
        (0.1124999979, 0.4635743342), abs=1e-9
    )
    assert bounds(stats.difference(48, 80, 12, 40)) == pytest.approx(
        (0.110768048, 0.455876304), abs=1e-9
    )
    e = p.ratio(12, 40, 48, 80)
    assert e.value == 0.5 and bounds(e) == pytest.approx((0.2926731681, 0.7952573443), abs=1e-9)
    assert bounds(p.katz(12, 40, 48, 80)) == pytest.approx((0.3014329410, 0.8293718634), abs=1e-9)
    assert p.fisher(12, 40, 48, 80).p == pytest.approx(0.0034092217)
    assert p.boschloo(12, 40, 48, 80).p == pytest.approx(0.0020059596, rel=1e-6)
    z = p.standard_deviations(48, 80, 12, 40)
    assert (z.statistic, z.p) == pytest.approx((3.098386677, 0.0019457737))


def test_four_fifths_and_significance_say_different_things():
    """TV02 fails four fifths by luck; TV03 keeps it and is ten standard deviations off."""
    small, large = (3, 10, 5, 10), (9000, 20000, 10000, 20000)
    assert p.four_fifths(*small).below and p.fisher(*small).p == pytest.approx(0.6499166468)
    assert bounds(p.ratio(*small)) == pytest.approx((0.1861527335, 1.7841014306), abs=1e-9)
    assert not p.four_fifths(*large).below
    assert p.standard_deviations(*large).statistic == pytest.approx(-10.0125234864)
    assert p.fisher(*large).p == pytest.approx(1.4548188e-23, rel=1e-6)
    assert bounds(p.katz(*large)) == pytest.approx((0.8815969060, 0.9187872535), abs=1e-9)


def test_an_empty_cell_has_a_bound_by_score_and_none_by_katz():
    """TV04."""
    e = p.ratio(0, 5, 30, 60)
    assert (e.low, e.value) == (0, 0) and e.high == pytest.approx(0.9021963419)
    assert p.katz(0, 5, 30, 60).code == "zero_cell"
    assert p.ratio(3, 5, 0, 60).code == "no_hits" == p.four_fifths(3, 5, 0, 60).code
    assert p.fisher(0, 5, 30, 60).p == pytest.approx(0.0565550041)
    assert p.fisher(5, 5, 0, 5).statistic is None


def test_published_bounds_of_a_difference():
    """TV06; Newcombe (1998), example (a)."""
    assert bounds(p.miettinen_nurminen(56, 70, 48, 80)) == pytest.approx((0.0528, 0.3382), abs=5e-5)
    assert bounds(p.agresti_caffo(56, 70, 48, 80)) == pytest.approx(
        (0.0524529266, 0.3357584555), abs=1e-9
    )


def test_four_fifths_is_told_in_whole_numbers():
    """TV33: floating point says 0.7999999999999999 of a ratio of just four fifths."""
    assert (44 / 100) / (55 / 100) < 0.8
    found = p.four_fifths(44, 100, 55, 100)
    assert (found.below, found.numerator, found.denominator) == (False, 4, 5)
    assert p.four_fifths(43, 100, 55, 100).below
    assert p.ratio(44, 100, 55, 100).value == 0.8
    huge = 10**17
    assert p.four_fifths(4 * huge - 1, 10 * huge, 5 * huge, 10 * huge).below


@given(COUNTS, COUNTS)
def test_the_comparison_is_that_of_exact_fractions(one, other):
    found = p.four_fifths(*one, *other)
    if one[1] and other[0]:
        ratio = Fraction(*one) / Fraction(*other)
        assert found.below == (ratio < Fraction(4, 5))
        assert Fraction(found.numerator, found.denominator) == ratio
    else:
        assert isinstance(found, Absent)


def test_opposite_gaps_cancel_in_one_test_and_show_in_the_other():
    """TV10: true positives up by a fifth, false positives down."""
    strata = [(40, 50, 18, 30), (15, 100, 18, 70)]
    assert p.cochran_mantel_haenszel(strata).p == pytest.approx(0.8363632701)
    found = p.heterogeneity(strata)
    assert found.p == pytest.approx(0.0093601221) and found.df == 1
    assert p.heterogeneity(strata[:1]).code == "too_few"
    assert p.cochran_mantel_haenszel([(0, 5, 0, 9), (3, 0, 1, 2)]).code == "invalid"
    assert p.cochran_mantel_haenszel([(0, 5, 0, 9)]).code == "too_few"
    assert p.heterogeneity([(5, 5, 0, 5), (4, 4, 0, 9)]).code == "no_variation"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(1, 30)] * 4), min_size=2, max_size=4))
def test_stratified_tests_are_statsmodels_wherever_it_has_an_answer(tables):
    from statsmodels.stats.contingency_tables import StratifiedTable

    strata = [(a, a + b, c, c + d) for a, b, c, d in tables]
    theirs = StratifiedTable([np.array([[a, b], [c, d]]) for a, b, c, d in tables])
    assert p.cochran_mantel_haenszel(strata).p == pytest.approx(theirs.test_null_odds().pvalue)
    if theirs.oddsratio_pooled != 1:
        found = p.heterogeneity(strata)
        assert found.p == pytest.approx(theirs.test_equal_odds().pvalue, rel=1e-6, abs=1e-12)


def test_a_common_odds_ratio_of_one_has_a_test_all_the_same():
    """statsmodels divides 0 by 0 here: the two tables are each other's mirror."""
    found = p.heterogeneity([(20, 30, 10, 30), (10, 30, 20, 30)])
    # Expected counts are 15 everywhere: four cells of 25/15 in each of two tables.
    assert found.statistic == pytest.approx(2 * 4 * 25 / 15)


def test_shrinkage_of_small_cells():
    """TV14."""
    found = p.shrink(TV14)
    assert (found.a, found.b) == pytest.approx((3.770458, 5.830199), rel=1e-4)
    wanted = (0.492054, 0.308123, 0.237304, 0.542488, 0.267143, 0.498085, 0.299227, 0.497425)
    assert found.rates == pytest.approx(wanted, abs=1e-5)
    assert found.bounds[6] == pytest.approx((0.09161879, 0.56679311), abs=1e-5)
    # The raw extremes, 0 of 3 and 2 of 2, are not who comes last and first.
    assert min(found.rates) == found.rates[2] and max(found.rates) == found.rates[3]


def test_groups_alike_are_pooled_wholly():
    """TV14c: the likelihood runs off to a prior of infinite strength; it must not be printed."""
    alike = [*TV15, (1, 6), (0, 3), (2, 2)]
    found = p.shrink(alike)
    assert found.complete and found.a is None and found.b is None
    assert set(found.rates) == {found.pooled} and found.pooled == pytest.approx(0.3344155844)
    ranked = p.ranking(alike)
    assert all(e.code == "complete_pooling" and "0.334" in e.reason for e in ranked)


def test_a_known_prior_gives_the_known_posterior():
    """TV14b: Beta(2, 2) and 0 of 3, through the same quantile function that the bounds use."""
    from scipy.special import betaincinv

    assert pytest.approx(0.2857142857) == (0 + 2) / (3 + 4)
    assert betaincinv(2, 5, 0.025) == pytest.approx(0.0432718683)
    assert betaincinv(2, 5, 0.975) == pytest.approx(0.6412345790)


def test_shrunk_cells_lie_nearer_to_one_another_and_small_ones_move_further():
    ranked = p.ranking(TV14)
    found = p.shrink(TV14)
    for e, (k, n), rate in zip(ranked, TV14, found.rates, strict=True):
        assert e.value == rate and e.method == "beta-binomial" and e.n == n
        middle = found.a / (found.a + found.b)
        moved = abs(k / n - rate)
        assert moved <= abs(k / n - middle) + 1e-9
    assert abs(0 - found.rates[6]) > abs(0.2 - found.rates[2])
    low, high = stats.interval(ranked[0], 0.95)
    assert (low, high) == pytest.approx(found.bounds[0], abs=2e-3)


def test_spread_of_groups_less_what_chance_adds():
    """TV15."""
    found = p.between_group_variance(TV15)
    assert found.naive == pytest.approx(0.0011672222)
    assert found.sampling == pytest.approx(0.0078554771)
    assert found.corrected == pytest.approx(-0.0066882549) and found.value == 0
    apart = p.spread([(10, 100), (50, 100), (90, 100)])
    assert apart.low > 0.02 and apart.value == pytest.approx(0.16 - 0.17 / 99 / 3 * 2, rel=0.01)


def test_the_spread_of_equal_groups_is_seldom_above_zero():
    rng = np.random.default_rng(0)
    draws = [[(int(rng.binomial(80, 0.4)), 80) for _ in range(6)] for _ in range(300)]
    wrong = np.mean([p.spread(cells).low > 0 for cells in draws])
    assert wrong <= 0.06
    spread = [[(int(rng.binomial(80, q)), 80) for q in rng.beta(8, 12, 6)] for _ in range(200)]
    truth = 8 * 12 / (20**2 * 21)
    covered = np.mean([(e := p.spread(cells)).low <= truth <= e.high for cells in spread])
    assert 0.88 <= covered <= 0.99


def test_one_test_over_all_groups():
    """TV16."""
    cells = [(45, 120), (30, 100), (12, 40)]
    found = p.omnibus(cells)
    assert (found.method, found.df) == ("chi2", 2)
    assert (found.statistic, found.p) == pytest.approx((1.6324496712, 0.4420974989))
    sampled = p.omnibus(cells, permutation=True)
    assert abs(sampled.p - found.p) < 0.03 and sampled.method == "permutation"
    # scipy raises on a column of zeros.
    assert p.omnibus([(0, 50), (0, 70)]).code == "no_variation"
    assert p.omnibus([(3, 50), (0, 0)]).code == "one_group"


def test_few_texts_are_permuted_and_agree_with_every_table_there_is():
    cells = [(3, 4), (0, 3), (1, 4)]
    rate = Fraction(4, 11)

    def chi2(hits):
        return sum(
            (k - n * rate) ** 2 / (n * rate * (1 - rate))
            for k, (_, n) in zip(hits, cells, strict=True)
        )

    seen, exact, whole = chi2([3, 0, 1]), 0, 0
    for hits in product(*(range(n + 1) for _, n in cells)):
        if sum(hits) == 4:
            ways = comb(4, hits[0]) * comb(3, hits[1]) * comb(4, hits[2])
            whole += ways
            exact += ways * (chi2(hits) >= seen)
    found = p.omnibus(cells, rng=np.random.default_rng(1))
    assert found.method == "permutation"
    assert found.p == pytest.approx(exact / whole, abs=0.02)
    again = p.as_estimate(found, 11)
    assert again.low <= exact / whole <= again.high and again.value == pytest.approx(found.p)


@pytest.mark.parametrize("nested", [True, False])
def test_clustered_groups_that_are_alike_are_seldom_told_apart(nested):
    rng = np.random.default_rng(7)
    cluster = np.repeat(np.arange(40), 5)
    clustered, naive = 0, 0
    for _ in range(200):
        x = (rng.random(200) < rng.beta(0.6, 1.4, 40)[cluster]).astype(float)
        group = cluster % 3 if nested else rng.integers(0, 3, 200)
        found = p.omnibus_clustered(
            x, group.astype(str), [str(c) for c in cluster], rng=rng, resamples=199
        )
        assert found.method == ("cluster-permutation" if nested else "cluster-wald")
        clustered += found.p <= 0.05
        cells = [(int(x[group == g].sum()), int((group == g).sum())) for g in range(3)]
        naive += p.omnibus(cells).p <= 0.05
    assert clustered / 200 <= 0.1
    if nested:
        assert naive / 200 > 0.15


def test_clustered_groups_that_differ_are():
    rng = np.random.default_rng(7)
    cluster = np.repeat(np.arange(40), 5)
    x = (rng.random(200) < np.where(cluster % 2, 0.7, 0.2)).astype(float)
    group = np.array(["ab"[c % 2] for c in cluster])
    assert p.omnibus_clustered(x, group, [str(c) for c in cluster]).p < 0.01
    assert p.omnibus_clustered(x, group, ["one"] * 200).code == "too_few"
    assert p.omnibus_clustered(np.ones(200), group, [None] * 200).code == "no_variation"


@pytest.mark.parametrize(
    ("groups", "n", "rate", "share"),
    [
        (2, 50, 0.5, 0.2607184518755833),
        (2, 100, 0.5, 0.11478076571282925),
        (5, 100, 0.5, 0.5049821208957772),
        (10, 100, 0.5, 0.8503580637764456),
        (4, 100, 0.2, 0.8499869323887972),
        (10, 500, 0.5, 0.01610662337684554),
        (2, 100, 0.9, 7.733193324366283e-06),
    ],
)
def test_equal_groups_fall_under_four_fifths_as_often_as_known(groups, n, rate, share):
    """TV31."""
    assert p.null_band([n] * groups, rate).p_below == pytest.approx(share, rel=1e-9)


def test_the_null_band_of_unequal_sizes_agrees_with_every_outcome():
    sizes, rate = (3, 5, 7), 0.4
    below, lowest = Fraction(0), []
    q = Fraction(2, 5)
    for hits in product(*(range(n + 1) for n in sizes)):
        chance = Fraction(1)
        for k, n in zip(hits, sizes, strict=True):
            chance *= comb(n, k) * q**k * (1 - q) ** (n - k)
        rates = [Fraction(k, n) for k, n in zip(hits, sizes, strict=True)]
        ratio = min(rates) / max(rates) if max(rates) else Fraction(1)
        lowest.append((ratio, chance))
        below += chance * (ratio < Fraction(4, 5))
    band = p.null_band(sizes, rate)
    assert band.p_below == pytest.approx(float(below), rel=1e-9)
    lowest.sort()
    steps = np.cumsum([float(chance) for _, chance in lowest])
    middle = lowest[int(np.searchsorted(steps, 0.5))][0]
    assert band.median == pytest.approx(float(middle), abs=0.002)
    assert p.null_band([5], 0.5).code == "one_group"
    assert p.null_band([5, 5], 1.5).code == "invalid"
    assert p.null_band([5, 5], 0.0).p_below == 0 == p.null_band([5, 5], 1.0).p_below


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS, st.sampled_from([0.8, 0.95, 0.999]))
def test_two_shares_always_give_a_number_or_a_reason(one, other, level):
    for make in (p.miettinen_nurminen, p.agresti_caffo, p.ratio, p.katz):
        e = make(*one, *other, level=level)
        assert isinstance(e, Estimate | Absent)
        if isinstance(e, Estimate):
            for judged in (e, stats.for_judging(e)):
                assert stats.interval(judged, level) == bounds(judged)
                for limit in (-0.1, 0.0, 0.8, 1.0, 1.25):
                    for side in ("above", "below"):
                        assert 0 <= stats.p_beyond(judged, limit, side) <= 1
    for test in (p.fisher, p.boschloo, p.standard_deviations):
        found = test(*one, *other)
        assert isinstance(found, Absent) or 0 <= found.p <= 1 + 1e-12
    assert isinstance(p.ratio(5, 3, 1, 2), Absent)


@settings(max_examples=80, deadline=None)
@given(CELLS)
def test_many_groups_always_give_a_number_or_a_reason(cells):
    found = p.omnibus(cells, resamples=99)
    assert isinstance(found, Absent) or 0 < found.p <= 1
    assert isinstance(p.as_estimate(found, 10), Estimate | Absent)
    assert isinstance(p.spread(cells), Estimate | Absent)
    assert isinstance(p.between_group_variance(cells), p.Spread | Absent)
    shrunk = p.shrink(cells)
    if isinstance(shrunk, p.Shrunk):
        assert all(
            0 <= low <= r <= high <= 1
            for r, (low, high) in zip(shrunk.rates, shrunk.bounds, strict=True)
        )
    assert len(p.ranking(cells)) == len(cells)
    strata = [(*a, *b) for a, b in pairwise(cells)]
    for test in (p.heterogeneity, p.cochran_mantel_haenszel):
        found = test(strata)
        assert isinstance(found, Absent) or 0 <= found.p <= 1
    band = p.null_band([n for _, n in cells], 0.3)
    assert isinstance(band, Absent) or 0 <= band.p_below <= 1


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS, st.sampled_from([0.005, 0.025, 0.05]))
def test_a_ratio_can_be_judged_at_any_limit(one, other, alpha):
    """A p-value at a one-sided bound is that bound's error, for shown and for judging bounds."""
    e = p.ratio(*one, *other)
    if isinstance(e, Absent):
        return
    for judged in (e, stats.for_judging(e)):
        low, high = stats.interval(judged, 1 - 2 * alpha)
        if 1e-6 < low < e.value - 1e-6:
            assert stats.p_beyond(judged, low * 0.9999, "above") <= alpha * 1.001
            assert stats.p_beyond(judged, low * 1.0001, "above") >= alpha * 0.999
        if high > e.value + 1e-6:
            assert stats.p_beyond(judged, high * 1.0001, "below") <= alpha * 1.001
            assert stats.p_beyond(judged, high * 0.9999, "below") >= alpha * 0.999


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_judged_ratios_never_err_more_than_they_say(rate):
    """Every table of 30 and 60 whose true ratio is 0.8: how often the bound is wrong."""
    from scipy.stats import binom

    n, m, alpha = 30, 60, 0.05
    wrong = {"low": 0.0, "high": 0.0}
    for a in range(n + 1):
        for b in range(1, m + 1):
            chance = binom.pmf(a, n, 0.8 * rate) * binom.pmf(b, m, rate)
            if chance < 1e-6:
                continue
            low, high = stats.interval(stats.for_judging(p.ratio(a, n, b, m)), 1 - 2 * alpha)
            wrong["low"] += chance * (low > 0.8)
            wrong["high"] += chance * (high < 0.8)
    assert max(wrong.values()) <= alpha, wrong


@pytest.mark.parametrize("make", [p.miettinen_nurminen, p.agresti_caffo])
def test_difference_intervals_cover(make):
    from scipy.stats import binom

    n, m, covered = 20, 35, []
    for one, other in product((0.1, 0.35, 0.6, 0.9), repeat=2):
        inside = 0.0
        for a, b in product(range(n + 1), range(m + 1)):
            chance = binom.pmf(a, n, one) * binom.pmf(b, m, other)
            if chance > 1e-7:
                e = make(a, n, b, m)
                inside += chance * (e.low <= one - other <= e.high)
        covered.append(inside)
    assert 0.94 <= np.mean(covered) <= 0.965 and min(covered) >= 0.92


def test_texts_needed_are_the_published_ones():
    """TV17."""
    assert power.needed_difference(0.3, 0.4) == pytest.approx(355.9428127)
    assert power.needed_difference(0.3, 0.4, alpha=0.05 / 300) == pytest.approx(963.5369006)
    assert power.needed_pairs(0.1, 0.03) == pytest.approx(869.7361463761)
    assert power.needed_pairs(0.1, -0.05) == pytest.approx(311.5868751757)
    assert (power.needed_clean(0.01), power.needed_clean(0.001)) == (299, 2995)
    assert power.needed_width(0.02) == 2401
    for n, mde in {20: 0.4298448894, 100: 0.1926567551, 2000: 0.0413375714}.items():
        assert power.mde_difference(n, n, 0.3) == pytest.approx(mde, abs=1e-9)
    for nothing in (
        power.needed_difference(0.3, 0.3),
        power.needed_pairs(0.1, 0.2),
        power.needed_clean(1.0),
        power.needed_width(0.0),
        power.texts_needed(0.1, 0, 0.1),
    ):
        assert nothing is None


@given(st.floats(0.005, 0.6), st.integers(1, 10**6), st.floats(0.005, 0.9))
def test_needed_texts_grow_as_the_square(now, texts, target):
    needed = power.texts_needed(now, texts, target)
    assert needed >= texts * (now / target) ** 2 - 1e-6 * texts
    assert power.texts_needed(now, texts, now) == texts


def test_more_texts_really_make_the_target_detectable():
    """The rule of squares against the formula it stands for, within the tenth it claims."""
    for n in (200, 1000, 5000):
        for target in (0.03, 0.05, 0.1):
            now = power.mde_difference(n, n, 0.5)
            needed = power.texts_needed(now, 2 * n, target) // 2
            assert power.mde_difference(needed, needed, 0.5) == pytest.approx(target, rel=0.05)


def test_who_scores_above_the_median():
    """TV23: ties at the median do not count."""
    score = [70, 80, 80, 80, 90, 60, 50, 80, 95, 40, 85, 75]
    sex = np.array(list("MMMFMFFFMFFM"))
    above = impact.above_median(score)
    assert above[sex == "M"].mean() == pytest.approx(1 / 3)
    assert above[sex == "F"].mean() == pytest.approx(1 / 6)
    assert len(impact.above_median([])) == 0
    assert impact.above_median([1, 2]).tolist() == [False, True]


def test_two_percent_is_told_in_whole_numbers():
    """TV24; a category of just 2 % is not below."""
    assert impact.may_be_excluded([900, 85, 15]) == [False, False, True]
    assert impact.may_be_excluded([98, 2]) == [False, False]


@settings(max_examples=150, deadline=None)
@given(COUNTS, COUNTS)
def test_the_distance_to_four_fifths_is_the_shortest(one, other):
    found = impact.to_four_fifths(*one, *other)
    if isinstance(found, Absent):
        assert not one[1] or not other[0]
        return
    (k, n), below = one, p.four_fifths(*one, *other).below
    assert (found > 0) == below
    if 0 <= k + found <= n:
        assert p.four_fifths(k + found, n, *other).below != below
    step = 1 if found > 0 else -1
    assert p.four_fifths(k + found - step, n, *other).below == below


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS)
def test_the_distance_to_significance_turns_the_test(one, other):
    found = impact.to_significance(*one, *other)
    if isinstance(found, Absent):
        return

    def turned(k):
        test = p.fisher(k, one[1], *other)
        return not isinstance(test, Absent) and test.p <= 0.05

    k, now = one[0], turned(one[0])
    there = [k + s * found for s in (1, -1) if 0 <= k + s * found <= one[1]]
    assert any(turned(t) != now for t in there)
    assert found >= 1


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (lambda: p.boschloo(100, 300, 120, 300), "too_large"),
        (lambda: impact.to_four_fifths(3, 2, 1, 2), "invalid"),
        (lambda: impact.to_significance(3, 2, 1, 2), "invalid"),
        (lambda: impact.to_significance(0, 0, 1, 2), "empty"),
        (lambda: impact.to_significance(2, 3, 1, 2), "out_of_reach"),
        (lambda: p.omnibus_clustered([], [], []), "empty"),
        (lambda: p.omnibus_clustered([float("nan")], ["a"], [None]), "not_finite"),
        (lambda: p.omnibus_clustered([0.0, 1.0], ["a", "a"], [None] * 2), "one_group"),
        # Every cluster has a text of every group: two clusters cannot tell three groups apart.
        (
            lambda: p.omnibus_clustered(
                [0.0, 1, 0, 1, 1, 0], list("abcabc"), ["x"] * 3 + ["y"] * 3
            ),
            "too_few",
        ),
        (lambda: p.omnibus([(3, 2), (1, 5)]), "invalid"),
        (lambda: p.spread([(1, 1), (3, 9)]), "one_group"),
        (lambda: p.heterogeneity([(3, 2, 1, 5)]), "invalid"),
    ],
)
def test_what_cannot_be_tested_says_why_by_code(found, code):
    said = found()
    assert isinstance(said, Absent) and said.code == code and said.reason


def test_one_audit_in_twenty_shows_less_than_the_low_end_of_the_band():
    rng = np.random.default_rng(0)
    sizes = np.array([40, 90, 150])
    drawn = rng.binomial(sizes, 0.3, size=(20_000, 3)) / sizes
    lowest = drawn.min(axis=1) / drawn.max(axis=1)
    band = p.null_band(sizes.tolist(), 0.3)
    assert (lowest < band.low).mean() == pytest.approx(0.05, abs=0.01)
    assert (lowest < band.median).mean() == pytest.approx(0.5, abs=0.02)


def test_two_groups_are_enough_for_a_spread_and_for_shrinking():
    found = p.between_group_variance([(10, 20), (15, 20)])
    assert (found.naive, found.sampling) == pytest.approx((0.03125, (0.25 + 0.1875) / 2 / 19))
    apart = p.shrink([(5, 50), (45, 50)])
    assert not apart.complete and 0.1 < apart.rates[0] < 0.2 < 0.8 < apart.rates[1] < 0.9


def test_a_fitted_prior_is_the_likeliest_by_another_search():
    from scipy.optimize import minimize
    from scipy.stats import betabinom

    for cells in (TV14, [(5, 50), (45, 50)], [(1, 900), (9, 300), (0, 40), (30, 1000)]):
        k, n = np.array(cells).T
        best = minimize(
            lambda t, k=k, n=n: -betabinom.logpmf(k, n, *np.exp(t)).sum(),
            [0.0, 0.0],
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000},
        )
        found = p.shrink(cells)
        assert (found.a, found.b) == pytest.approx(np.exp(best.x), rel=1e-4)


def test_a_group_without_a_text_is_no_group_of_the_band():
    assert p.null_band([50, 0, 40], 0.2) == p.null_band([50, 40], 0.2)
    assert p.null_band([50, 40], 0.2).groups == 2 and p.null_band([50, 0], 0.2).code == "one_group"


def test_two_clusters_a_group_can_be_dealt_anew():
    """Of the six ways to deal four clusters two are as far apart as what was seen."""
    x = [0.0, 0, 0, 0, 1, 1, 1, 1]
    found = p.omnibus_clustered(
        x, ["a"] * 4 + ["b"] * 4, list("wwxxyyzz"), rng=np.random.default_rng(0)
    )
    assert found.p == pytest.approx(1 / 3, abs=0.03)


def test_one_side_that_hits_throughout_has_katzs_ratio():
    e = p.katz(5, 5, 2, 4)
    assert e.value == 2 and bounds(e) == pytest.approx(
        (2 * np.exp(-1.959964 * 0.5), 2 * np.exp(1.959964 * 0.5)), rel=1e-6
    )
    assert p.katz(5, 5, 4, 4).code == p.katz(4, 4, 5, 5).code

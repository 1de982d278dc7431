"""The smallest detectable effect beside each estimate, and bounds where nothing varies."""

from math import hypot, sqrt

import numpy as np
import pytest
from scipy.stats import beta, f_oneway, t

from audit import manygroups, proportions, ranking, stats
from audit.types import Absent, Estimate

RNG = np.random.default_rng(4)
X = RNG.normal(2.0, 3.0, size=60)
UNSEEN = 1 - 0.05 ** (1 / 20)
"""Probability that 20 units without a hit leave open, one-sided."""


def test_a_mean_prints_what_eighty_in_a_hundred_such_samples_show():
    """(1.96 + 0.84) standard errors, rounded as it is printed."""
    assert stats.mean(X).mde == pytest.approx(2.8 * X.std(ddof=1) / sqrt(60))
    names = [str(i // 3) for i in range(60)]
    totals = (X - X.mean()).reshape(20, 3).sum(axis=1)
    robust = sqrt(20 / 19 * float(totals @ totals)) / 60
    assert stats.mean(X, names).mde == pytest.approx(2.8 * robust)


def test_a_rare_share_in_clusters_is_not_surer_than_two_clusters_more_would_leave_it():
    """Korn and Graubard's effective size, its design effect between that seen and a wider one."""
    hits = [3, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    x = [1.0 if j < k else 0.0 for k in hits for j in range(4)]
    e = stats.mean(x, [str(i) for i in range(10) for _ in range(4)], low=0.0, high=1.0)
    p = 4 / 40
    seen = 10 / 9 * sum((k - 4 * p) ** 2 for k in hits) / 40**2
    q = 8 / 48
    wider = 12 / 11 * sum((k - 4 * q) ** 2 for k in [*hits, 4, 0]) / 48**2
    effects = [seen / (p * (1 - p) / 40), wider / (q * (1 - q) / 48)]
    effective = 40 / sqrt(effects[0] * effects[1])
    assert e.method == "cluster-wilson" and e.n == 10
    z = t.ppf(0.975, 9)
    middle = (p + z * z / (2 * effective)) / (1 + z * z / effective)
    half = z / (1 + z * z / effective) * sqrt(p * (1 - p) / effective + (z / effective / 2) ** 2)
    assert (e.low, e.high) == pytest.approx((middle - half, middle + half))


def test_values_all_alike_still_leave_an_effect_open():
    e = stats.mean([0.0] * 20, low=0.0, high=1.0)
    assert e.mde == pytest.approx(UNSEEN * 2.8 / 1.96)
    assert (e.low, e.high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))
    wide = stats.mean([0.0] * 20, low=-1.0, high=1.0)
    assert wide.mde == pytest.approx(2 * UNSEEN * 2.8 / 1.96)


def test_a_difference_of_means_prints_its_own():
    member = np.arange(60) < 25
    a, b = X[member], X[~member]
    influence = [(v - a.mean()) / 25 for v in a] + [-(v - b.mean()) / 35 for v in b]
    se = sqrt(60 / 59 * float(np.square(influence).sum()))
    e = stats.difference_of_means(X, member)
    assert e.basis.se == pytest.approx(se) and e.mde == pytest.approx(2.8 * se)
    assert e.n == 25 and e.basis.df == 24


def test_a_resampled_mean_prints_its_own():
    e = stats.bootstrap(
        lambda w: (w @ X) / w.sum(axis=1), 60, rng=np.random.default_rng(0), resamples=4000
    )
    assert e.mde == pytest.approx(2.8 * X.std() / sqrt(60), rel=0.05)
    two = stats.bootstrap(lambda w: w @ X[:2], 2, rng=np.random.default_rng(0), resamples=50)
    assert isinstance(two, Estimate) and two.n == 2
    one = stats.bootstrap(lambda w: w @ X[:1], 1, rng=np.random.default_rng(0))
    assert isinstance(one, Absent) and one.code == "too_few"


def test_areas_that_separate_perfectly_leave_an_effect_open():
    scores, positive = np.arange(40.0), np.arange(40) >= 20
    e = ranking.auc(scores, positive)
    assert (e.value, e.n, e.basis.se, e.basis.df) == (1.0, 20, 0.0, 19.0)
    assert e.mde == pytest.approx(UNSEEN * 2.8 / 1.96)
    assert e.low == pytest.approx(0.025 ** (1 / 20)) and e.high == 1.0
    area = ranking.area(scores, positive)
    assert area.unseen == pytest.approx((21 / 22) * (1 / 22) / 20)


def test_an_area_prints_its_own_effect():
    positive = np.arange(60) % 2 == 0
    e = ranking.auc(X + positive, positive)
    up, down = (X + 1)[positive], X[~positive]
    pairs = (up[:, None] > down[None, :]).astype(float)
    se = sqrt(pairs.mean(1).var(ddof=1) / 30 + pairs.mean(0).var(ddof=1) / 30)
    assert e.basis.se == pytest.approx(se) and e.mde == pytest.approx(2.8 * se)


def test_a_net_change_is_judged_by_exact_bounds_of_both_sides():
    """The square-and-add rule of two shares of one whole, from beta quantiles."""
    n, b, c = 200, 14, 5
    found = stats.for_judging(stats.paired_difference(n, b, c))
    p, q = b / n, c / n
    (p_low, p_high), (q_low, q_high) = (
        (beta.ppf(0.025, k, n - k + 1), beta.ppf(0.975, k + 1, n - k)) for k in (b, c)
    )
    pull = sqrt(p * q / ((1 - p) * (1 - q)))

    def spread(one, two):
        return sqrt(hypot(one, two) ** 2 + 2 * pull * one * two)

    assert found.low == pytest.approx(p - q - spread(p - p_low, q_high - q))
    assert found.high == pytest.approx(p - q + spread(p_high - p, q - q_low))


def test_a_named_prior_takes_every_count_there_is():
    mean, (low, high) = manygroups.posterior(3, 3, 2, 2)
    assert mean == 5 / 7 and (low, high) == pytest.approx(beta(5, 2).interval(0.95))
    assert manygroups.posterior(0, 0, 2, 2)[0] == 0.5
    for bad in ((4, 3, 2, 2), (-1, 3, 2, 2), (1, 3, 0, 2), (1, 3, 2, 0)):
        assert isinstance(manygroups.posterior(*bad), Absent)


def test_a_group_of_two_counts_in_the_spread_and_a_group_of_one_does_not():
    cells = [(30, 60), (10, 50), (1, 2)]
    assert manygroups.spread(cells).n == 3
    alone = manygroups.spread([*cells, (1, 1)])
    assert alone == manygroups.spread(cells)


def test_a_mean_knows_the_borders_of_what_it_measures():
    e = stats.mean([0.0, 1.0, 1.0, 0.5], low=0.0, high=1.0)
    assert stats.p_beyond(e, 1.5, "below") == 0.0 and stats.p_beyond(e, -0.5, "above") == 0.0
    assert 0 < stats.p_beyond(e, 1.0, "below") < 0.5
    assert 0 < stats.p_beyond(e, 0.0, "above") < 0.5


def test_two_groups_by_t_agree_with_the_analysis_of_variance():
    member = np.arange(60) < 30
    e = stats.difference_of_means(X, member)
    z = e.value / e.basis.se
    assert z**2 == pytest.approx(f_oneway(X[:30], X[30:]).statistic, rel=0.03)


def test_a_clustered_share_prints_an_effect_no_smaller_than_single_texts_would():
    x = np.array([1.0, 1.0, 0.0, 0.0] + [1.0, 0.0] * 28)
    names = [str(i // 2) for i in range(60)]
    e = stats.mean(x, names, low=0.0, high=1.0)
    # All but two pairs are half and half: the clusters agree more than single texts could.
    assert e.method == "cluster-wilson"
    assert e.mde == pytest.approx(2.8 * sqrt(0.25 / 60))


def test_a_ratio_over_a_rare_share_is_judged_by_the_edges_of_both():
    found = stats.for_judging(proportions.ratio(5, 30, 1, 30))
    own, other = stats.clopper_pearson(5, 30), stats.clopper_pearson(1, 30)
    assert found.low == pytest.approx(own.low / other.high)
    common = stats.for_judging(proportions.ratio(12, 40, 48, 80))
    own, other = stats.clopper_pearson(12, 40), stats.clopper_pearson(48, 80)
    assert common.low > own.low / other.high and common.high < own.high / other.low

"""Numbers and edges that no known answer shows, each by a formula of its own."""

from math import inf, sqrt

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as scipy_stats

from audit import (
    calibrating,
    contrasts,
    decision,
    gates,
    manygroups,
    metrics,
    omnibus,
    power,
    proportions,
    ranking,
    scales,
    stats,
)
from audit.intervals import tango_z
from audit.types import (
    Absent,
    Estimate,
    Example,
    Gate,
    Means,
    Measurement,
    Pairs,
    PlannedProbe,
    ProbeRun,
    Quantiles,
    TwoCounts,
    TwoMeans,
)

Z, Z_POWER = 1.959963985, 0.841621234


# --- gates


def planned(*names):
    return PlannedProbe(
        probe="typos", version="1", params={}, units=1, queries=2, measurements=names
    )


def test_a_claim_is_named_by_its_side_and_limit():
    gate = Gate(metric="typos.flip_rate", at_most=0.1, at_least=0.01)
    claims = gates.expand([gate], [planned("typos.flip_rate")])
    assert {c.side: c.id for c in claims} == {
        "at_most": "typos.flip_rate <= 0.1",
        "at_least": "typos.flip_rate >= 0.01",
    }


def test_each_failure_shows_the_interval_of_its_own_step_of_holm():
    """Of two claims the clearer has to pass alpha / 2, the other alpha."""
    names = ("typos.a", "typos.b")
    run = ProbeRun(
        probe="typos",
        version="1",
        params={},
        measurements=tuple(
            Measurement(
                id=name,
                metric=name[-1],
                value=stats.share(hits, 1000),
                unit="share",
                eligible=1000,
            )
            for name, hits in zip(names, (300, 130), strict=True)
        ),
    )
    claims = gates.expand([Gate(metric="typos.*", at_most=0.1)], [planned(*names)])
    clear, other = gates.judge(claims, [run])
    assert (clear.status, other.status) == ("fail", "fail")
    assert clear.interval_level == pytest.approx(0.95, abs=1e-6)
    assert other.interval_level == pytest.approx(0.90, abs=1e-6)


# --- decisions of several labels


def test_several_labels_are_one_number_and_a_single_true_label_is_one_of_them():
    rule = decision.make(("a", "b", "c"), ("a",), head="multi")
    decided = decision.decide(rule, np.array([[0.9, 0.1, 0.7], [0.1, 0.2, 0.9], [0.1, 0.1, 0.1]]))
    assert decided.label.tolist() == [0b101, 0b100, 0]
    assert decided.favourable.tolist() == [True, False, False]
    assert decided.score.tolist() == [0.9, 0.1, 0.1]
    truths = (("a", "c"), "c", ())
    examples = tuple(Example(id=str(i), text="x", label=t) for i, t in enumerate(truths))
    assert decision.correct(rule, decided, examples).tolist() == [True, True, True]
    other = tuple(Example(id=str(i), text="x", label="b") for i in range(3))
    assert decision.correct(rule, decided, other).tolist() == [False] * 3


# --- power


def test_a_share_seen_as_nought_is_reckoned_as_one_in_one_more():
    # From 0.1, where a share seen as 0 of 9 is taken to lie, with its own spread at either end.
    gap = optimize.brentq(
        lambda d: 3 * d - Z * sqrt(0.1 * 0.9) - Z_POWER * sqrt((0.1 + d) * (0.9 - d)), 0.01, 0.8
    )
    assert power.mde_share(9, 0.0) == pytest.approx(gap, abs=1e-6)
    assert power.mde_share(1, 0.5) == 1.0
    assert power.mde_share(9, 1.0) == pytest.approx(power.mde_share(9, 0.0), abs=1e-12)


def test_a_difference_from_nought_solves_its_equation():
    n, near = 100, 1 / 200

    def short(gap):
        far = near + gap
        pooled = (far + near) / 2
        null = sqrt(2 * pooled * (1 - pooled) / n)
        real = sqrt((far * (1 - far) + near * (1 - near)) / n)
        return gap - Z * null - Z_POWER * real

    expected = optimize.brentq(short, 1e-6, 0.9)
    assert power.mde_difference(n, n, 0.0) == pytest.approx(expected, abs=1e-6)


def test_sizes_that_cannot_be_have_no_answer():
    assert power.texts_needed(0.1, 0, 0.05) is None
    assert power.texts_needed(0.0, 10, 0.05) is None
    assert power.texts_needed(0.1, 10, 0.0) is None
    assert power.texts_needed(0.1, 1, 5.0) == 1
    assert power.needed_pairs(0.0, 0.1) is None
    assert power.needed_width(0.05) == 385


# --- means and differences


def test_an_effective_number_is_the_naive_variance_over_the_clusters_own():
    x = np.array([1.0, 1.0, 0.0, 0.0, 2.0, 2.0, 5.0, 5.0])
    clusters = [c for c in "abcd" for _ in (0, 1)]
    found = stats.mean(x, clusters)
    totals = x.reshape(4, 2).sum(axis=1) - 2 * x.mean()
    own = 4 / 3 * float(totals @ totals) / 64
    assert found.n_effective == pytest.approx(x.var(ddof=1) / own)
    assert 1 < found.n_effective < 8
    # Clusters alike in their totals carry no less than their texts, and no more.
    even = stats.mean([0.0, 3.0, 3.0, 0.0, 1.0, 2.1], [c for c in "abc" for _ in (0, 1)])
    assert even.n_effective == 6


def test_changes_all_one_way_are_tested_whichever_way_it_is():
    assert stats.mcnemar(5, 0) == stats.mcnemar(0, 5) == pytest.approx(2 / 32)


@pytest.mark.parametrize("top", [1.0, 3.0])
def test_a_side_without_variation_is_lent_a_unit_at_each_end(top):
    still, mixed = np.zeros(10), np.array([0.0, top] * 10)
    found = stats.difference_of_means(
        np.concatenate([still, mixed]), np.arange(30) < 10, low=0.0, high=top
    )
    influence = np.concatenate([still / 10, -(mixed - top / 2) / 20])
    variance = 30 / 29 * float(influence @ influence)
    variance += top**2 * (1 / 12) * (11 / 12) / 10
    share, worth = 0.5, 19.0
    shrunk = (share * worth + 1) / (worth + 2)
    robust = 20 / 19 * float((mixed - top / 2) @ (mixed - top / 2)) / 400
    variance += max(0.0, top**2 * shrunk * (1 - shrunk) / worth - robust)
    assert found.basis.se == pytest.approx(sqrt(variance), rel=1e-9)


# --- intervals


def test_no_change_at_all_agrees_with_no_change_and_with_nothing_else():
    assert tango_z(Pairs(n=10, b=0, c=0), 0.0) == 0.0
    assert tango_z(Pairs(n=10, b=10, c=0), 1.0) == 0.0
    assert tango_z(Pairs(n=10, b=0, c=0), 1.0) == -inf


def test_beyond_what_was_drawn_the_tail_goes_on_like_a_normal_one():
    drawn = Estimate(
        value=0.0,
        low=-2.0,
        high=2.0,
        n=50,
        n_effective=None,
        level=0.95,
        method="bootstrap",
        mde=None,
        basis=Quantiles(probs=(0.025, 0.5, 0.975), values=(-2 * Z, 0.0, 2 * Z)),
    )
    # Twice a standard normal: its quantile at 0.99995 is 3.8906.
    assert stats.interval(drawn, 0.9999) == pytest.approx((-2 * 3.890592, 2 * 3.890592), abs=1e-4)
    assert stats.p_beyond(drawn, -2 * 3.890592, "above") == pytest.approx(0.00005, rel=1e-3)


def test_the_hybrid_of_two_sides_takes_the_near_end_of_each():
    def side(mean):
        return Means(mean=mean, se=0.1, df=9.0, low=0.0, high=1.0)

    basis = TwoMeans(one=side(0.6), other=side(0.5), correlation=0.0)
    low, high = scales.hybrid(basis, (0.5, 0.8), (0.2, 0.54))
    assert low == pytest.approx(0.1 - sqrt(0.1**2 + 0.04**2))
    assert high == pytest.approx(0.1 + sqrt(0.2**2 + 0.3**2))


def test_a_difference_that_nothing_contradicts_has_no_distance():
    assert contrasts.difference_z(TwoCounts(hits=5, n=5, other_hits=0, other_n=5), 1.0) == 0.0
    assert contrasts.difference_z(TwoCounts(hits=0, n=5, other_hits=0, other_n=5), 0.0) == 0.0


# --- tables


@pytest.mark.parametrize("test", [proportions.fisher, proportions.boschloo])
def test_groups_with_equal_hits_are_tested_like_any_others(test):
    found = test(3, 10, 3, 25)
    other = {"fisher": scipy_stats.fisher_exact, "boschloo": scipy_stats.boschloo_exact}
    # scipy takes the columns for the two groups.
    expected = other[test.__name__]([[3, 3], [7, 22]]).pvalue
    assert found.p == pytest.approx(expected, abs=1e-9)


def test_small_cells_of_a_high_rate_are_permuted_like_those_of_a_low_one():
    high = omnibus.omnibus([(19, 20), (20, 20), (18, 20)], rng=np.random.default_rng(0))
    low = omnibus.omnibus([(1, 20), (0, 20), (2, 20)], rng=np.random.default_rng(0))
    assert high.resamples and low.resamples and high.statistic == pytest.approx(low.statistic)
    shown = omnibus.as_estimate(high, 60)
    assert shown.basis.n == high.resamples + 1


def test_three_groups_of_whole_clusters_are_held_against_each_other():
    x = np.array([1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1], dtype=float)
    clusters = np.repeat([f"c{i}" for i in range(9)], 2)
    of = np.repeat([0, 1, 2], 6)
    found = omnibus.omnibus_clustered(x, of, clusters, rng=np.random.default_rng(1))
    means = np.array([x[of == g].mean() for g in range(3)])
    expected = float((6 * (means - x.mean()) ** 2).sum()) / float(x.var())
    assert found.df == 2 and found.statistic == pytest.approx(expected)


def test_texts_outside_every_slice_join_no_slice():
    n = 24
    outcome = metrics.Outcome(
        selected=np.arange(n) % 3 == 0,
        truth=np.ones(n, bool),
        known=np.ones(n, bool),
        correct=np.ones(n, bool),
    )
    clusters = np.array([f"c{i // 2}" for i in range(n)])
    masks = [np.arange(n) < 8, (np.arange(n) >= 8) & (np.arange(n) < 16)]
    part = np.arange(n) < 16
    found = metrics.omnibus_of(
        outcome, "selection_rate", masks, clusters, rng=np.random.default_rng(2), level=0.95
    )
    alone = omnibus.omnibus_clustered(
        outcome.selected[part].astype(float),
        np.repeat([0, 1], 8),
        clusters[part],
        rng=np.random.default_rng(2),
    )
    assert found.value == pytest.approx(alone.p)


def test_the_interval_of_a_spread_is_where_cochrans_q_is_no_surprise():
    cells = [(40, 100), (55, 100), (30, 80), (66, 120)]
    hits, n = (np.array(side, float) for side in zip(*cells, strict=True))
    near = (hits + 0.5) / (n + 1)
    sampling, rate = near * (1 - near) / n, hits / n

    def q(tau2):
        w = 1 / (tau2 + sampling)
        return float((w * (rate - (w * rate).sum() / w.sum()) ** 2).sum())

    found = manygroups.spread(cells)
    high = optimize.brentq(lambda t: q(t) - scipy_stats.chi2.ppf(0.025, 3), 0, 10)
    assert found.high == pytest.approx(high, rel=1e-4)


def test_a_prior_below_one_and_no_hits_have_a_posterior():
    found = manygroups.posterior(0, 3, 0.5, 0.5)
    assert not isinstance(found, Absent) and found[0] == pytest.approx(0.5 / 4)


def test_a_band_of_chance_lies_around_its_mean():
    p = np.linspace(0.05, 0.95, 60)
    band = calibrating.null_band(p, rng=np.random.default_rng(0))
    assert band.low < band.mean < band.high


def test_a_loss_is_never_below_nought():
    found = calibrating.log_loss(np.array([0.9, 0.6, 0.1]), np.array([1, 1, 0]))
    assert found.basis.low == 0.0 and found.low >= 0.0
    assert found.value == pytest.approx(-np.log([0.9, 0.6, 0.9]).mean())


def test_a_label_is_named_with_its_article():
    said = {word: metrics._a(word) for word in ("unfavourable", "favourable")}
    assert said == {"unfavourable": "an unfavourable", "favourable": "a favourable"}


def test_a_gap_of_areas_prints_an_effect_of_2_8_standard_errors():
    rng = np.random.default_rng(4)
    label = np.arange(400) % 2 == 0
    score = rng.normal(label.astype(float), 1.0)
    member = rng.random(400) < 0.5
    own, rest = ranking.area(score, label, over=member), ranking.area(score, label, over=~member)
    gap = ranking.difference(own, rest)
    # Two sides without a text in common: their errors add.
    assert gap.mde == pytest.approx(2.8 * sqrt(own.se**2 + rest.se**2), rel=0.02)


def test_which_side_is_empty_is_said():
    assert stats.difference(0, 0, 1, 2).reason == "the group has no text"
    assert stats.difference(1, 2, 0, 0).reason == "its comparison has no text"


def test_scores_nearly_alike_on_one_side_get_one_unit_more_at_each_end():
    """The added variance is that of scores between the ends, not that of yes and no."""
    rng = np.random.default_rng(1)
    x = np.r_[np.full(9, 0.9), 0.8, rng.uniform(0.2, 0.6, 40)]
    mine = np.arange(50) < 10

    def lacking(y):
        n, own = len(y), y.var(ddof=1) / len(y)
        worth = min(n, y.var() / own)
        p = (y.mean() * worth + 1) / (worth + 2)
        inner = min(1.0, y.var() / (y.mean() * (1 - y.mean())))
        return max(0.0, p * (1 - p) / worth * inner - own)

    e = stats.difference_of_means(x, mine, low=0.0, high=1.0)
    bare = stats.difference_of_means(x, mine)
    assert lacking(x[mine]) > 0
    added = lacking(x[mine]) + lacking(x[~mine])
    assert e.basis.se**2 - bare.basis.se**2 == pytest.approx(added)


def test_a_generalized_mean_carries_the_errors_of_its_areas():
    rng = np.random.default_rng(2)
    positive = np.arange(400) % 2 == 0
    score = rng.normal(positive * np.where(np.arange(400) < 200, 0.6, 1.6), 1)
    one, other = (
        ranking.area(score, positive, None, side)
        for side in (np.arange(400) < 200, np.arange(400) >= 200)
    )
    e = ranking.power_mean_of([one, other])
    value = np.mean([one.value**-5, other.value**-5]) ** (-1 / 5)
    # The derivative of the mean by each area, the errors being independent.
    pulls = [(a.value / value) ** -6 / 2 for a in (one, other)]
    se = sqrt(sum((pull * a.se) ** 2 for pull, a in zip(pulls, (one, other), strict=True)))
    assert (e.value, e.basis.se) == pytest.approx((value, se)) and e.mde == pytest.approx(2.8 * se)


def test_groups_that_share_clusters_are_compared_by_walds_statistic():
    rng = np.random.default_rng(3)
    names = [str(i // 2) for i in range(80)]
    groups = ["a" if i % 2 else "b" for i in range(80)]
    shared = np.repeat(rng.normal(0, 1, 40), 2)
    x = shared + rng.normal(0, 1, 80) + np.array([0.3 if g == "a" else 0.0 for g in groups])
    found = omnibus.omnibus_clustered(x, groups, names)
    a, b = x[1::2], x[0::2]
    apart = (a - a.mean()) - (b - b.mean())
    variance = 40 / 39 * float(apart @ apart) / 40**2
    wald = (a.mean() - b.mean()) ** 2 / variance
    assert found.statistic == pytest.approx(wald)
    assert found.p == pytest.approx(float(scipy_stats.f.sf(wald, 1, 39)))


def test_as_many_hits_as_texts_more_is_not_all_alike():
    """Four hits in sixteen texts of ten and six: two and two."""
    found = proportions.boschloo(2, 10, 2, 6)
    assert found.p == pytest.approx(scipy_stats.boschloo_exact([[2, 2], [8, 4]]).pvalue, rel=1e-6)


def test_a_gap_of_clustered_rates_knows_that_rates_end_at_0_and_1():
    hits = np.r_[np.zeros(20), np.ones(10), np.zeros(10)].astype(bool)
    outcome = metrics.Outcome(
        selected=hits, known=hits, truth=hits, correct=hits, positive="favourable"
    )
    mine = np.arange(40) < 20
    clusters = np.array([f"c{i // 2}" for i in range(40)])
    e = metrics.gap_of(outcome, "selection_rate", mine, ~mine, clusters, min_n=5, level=0.95)
    own = stats.difference_of_means(hits.astype(float), mine, list(clusters), low=0.0, high=1.0)
    assert (e.low, e.high) == (own.low, own.high)


def test_how_far_a_text_is_from_the_other_decision():
    top = decision.make(("a", "b", "c"), ("b", "c"))
    scores = np.array([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1]])
    assert decision.distance(top, scores) == pytest.approx([-0.1, 0.25])
    line = decision.make(("a", "b"), ("b",), threshold=0.7)
    assert decision.distance(line, np.array([[0.4, 0.6]])) == pytest.approx([-0.1])
    several = decision.make(("a", "b"), ("b",), head="multi")
    assert decision.distance(several, np.array([[0.9, 0.6]])) == pytest.approx([0.1])
    assert decision.names(top, 2) == ("c",) and decision.names(several, 3) == ("a", "b")
    assert decision.names(several, 0) == ()


def test_a_number_that_was_looked_at_once_is_itself():
    from audit.intervals import by_itself

    e = stats.share(3, 9)
    assert by_itself(e) is e


def test_a_correlation_is_pearsons_with_an_interval_around_it():
    from audit.resampling import correlation

    rng = np.random.default_rng(5)
    x = rng.normal(size=60)
    y = x + rng.normal(size=60)
    e = correlation(x, y, rng=rng)
    assert e.value == pytest.approx(np.corrcoef(x, y)[0, 1]) and -1 <= e.low < e.value < e.high <= 1
    assert isinstance(correlation(np.ones(20), y[:20], rng=rng), Absent)

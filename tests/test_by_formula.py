"""Formulas written out a second time, and what stands exactly on an edge."""

from math import exp, lgamma, log, sqrt

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as scipy_stats

from audit import (
    contrasts,
    decision,
    gates,
    intervals,
    manygroups,
    metrics,
    omnibus,
    paired,
    power,
    proportions,
    ranking,
    resampling,
    sequential,
    stats,
)
from audit.errors import ConfigError
from audit.types import Absent, Estimate, Gate, Measurement, PlannedProbe, ProbeRun, TwoCounts

Z, Z_POWER = scipy_stats.norm.ppf([0.975, 0.8])


# --- means, shares and their differences


def test_a_clustered_share_has_the_middle_of_two_design_effects():
    hits, sizes = np.array([3, 0, 5, 1, 0, 2]), np.array([6, 4, 5, 3, 2, 6])
    x = np.concatenate([np.arange(m) < k for k, m in zip(hits, sizes, strict=True)]).astype(float)
    names = np.repeat(list("abcdef"), sizes)
    e = stats.mean(x, list(names), low=0.0, high=1.0)
    n, g, p = 26, 6, 11 / 26
    seen = g / (g - 1) * sum((k - p * m) ** 2 for k, m in zip(hits, sizes, strict=True)) / n**2
    size = n / g
    more = (11 + size) / (n + 2 * size)
    gaps = [k - more * m for k, m in zip([*hits, size, 0], [*sizes, size, size], strict=True)]
    added = (g + 2) / (g + 1) * sum(gap**2 for gap in gaps) / (n + 2 * size)
    single = p * (1 - p) / n
    effects = max(1.0, seen / single), max(1.0, added / (more * (1 - more)))
    variance = single * sqrt(effects[0] * effects[1])
    assert e.basis.se == pytest.approx(sqrt(variance)) and e.mde == pytest.approx(2.8 * e.basis.se)
    half = scipy_stats.t.ppf(0.975, g - 1)
    worth = p * (1 - p) / variance
    low, high = (
        (p + half**2 / (2 * worth))
        + s * half * sqrt(p * (1 - p) / worth + half**2 / (4 * worth**2))
        for s in (-1, 1)
    )
    scale = 1 + half**2 / worth
    assert (e.low, e.high) == pytest.approx((low / scale, high / scale))


def test_what_is_all_alike_could_have_hidden_what_nine_units_hide():
    e = stats.mean([2.0] * 9, low=1.0, high=5.0)
    assert e.mde == pytest.approx(4 * (1 - 0.05 ** (1 / 9)) * 2.8 / 1.96)
    unseen = 1 - 0.025 ** (1 / 9)
    assert (e.low, e.high) == pytest.approx((2 - unseen, 2 + 3 * unseen))
    # The chance of nine units like these is what a limit is held against.
    assert stats.p_beyond(e, 3.0, "below") == pytest.approx((1 - 1 / 3) ** 9)
    assert stats.p_beyond(e, 1.5, "above") == pytest.approx(0.5**9)
    for edge in (1.0, 5.0):
        assert stats.mean([edge] * 9, low=1.0, high=5.0).value == edge
    assert stats.mean([0.5] * 9, low=1.0, high=5.0).code == "invalid"
    assert stats.mean([5.5] * 9, low=1.0, high=5.0).code == "invalid"
    assert stats.mean([2.0] * 9, low=1.0).code == "no_variation"


def test_a_difference_of_means_takes_numbers_up_to_its_ends_and_none_beyond():
    x, mine = np.array([0.0, 1.0, 0.5, 0.2, 0.9, 0.0]), np.arange(6) < 3
    e = stats.difference_of_means(x, mine, low=0.0, high=1.0)
    assert e.mde == pytest.approx(2.8 * e.basis.se) and e.basis.df == 2
    assert (e.basis.low, e.basis.high) == (-1.0, 1.0)
    for wrong in (-0.1, 1.1):
        bad = stats.difference_of_means(np.r_[x[:5], wrong], mine, low=0.0, high=1.0)
        assert isinstance(bad, Absent) and bad.code == "invalid" and "0 to 1" in bad.reason
    open_ = stats.difference_of_means(x, mine, low=0.0)
    influence = np.where(mine, x - 0.5, -(x - x[3:].mean())) / 3
    assert open_.basis.low is None
    assert open_.basis.se == pytest.approx(sqrt(6 / 5 * float(influence @ influence)))


def test_signs_are_drawn_in_batches_without_one_too_many():
    assert stats.sign_flip(np.ones(40), resamples=5_000) == 1 / 5_001
    half = stats.sign_flip(np.r_[np.ones(20), -np.ones(20)], resamples=4_500)
    assert half == 1.0
    assert stats.sign_flip([1.0, 1.0, 1.0], ["a", "a", "b"]) == 0.5
    assert stats.sign_flip([1.0, -1.0, 2.0], ["a", "a", "b"]) == 1.0


# --- smallest effects


@pytest.mark.parametrize(("n", "other", "p"), [(50, 200, 0.3), (200, 50, 0.3), (80, 80, 0.9)])
def test_the_smallest_difference_solves_its_equation(n, other, p):
    near = min(p, 1 - p)

    def lacking(gap):
        far = near + gap
        pooled = (n * far + other * near) / (n + other)
        null = sqrt(pooled * (1 - pooled) * (1 / n + 1 / other))
        real = sqrt(far * (1 - far) / n + near * (1 - near) / other)
        return gap - Z * null - Z_POWER * real

    found = power.mde_difference(n, other, p)
    assert found == pytest.approx(optimize.brentq(lacking, 1e-6, 0.69), abs=1e-9)
    ratio = proportions.ratio(round(n * p), n, round(other * p), other)
    assert ratio.mde == pytest.approx(found / p)


def test_the_smallest_net_change_solves_its_equation():
    def lacking(net, n=100, share=0.2):
        changed = max(share, net)
        return net * sqrt(n) - Z * sqrt(changed) - Z_POWER * sqrt(changed - net * net)

    assert power.mde_paired(100, 0.2) == pytest.approx(optimize.brentq(lacking, 0, 0.5), abs=1e-9)
    # Fewer changes than would be seen: the change is then all changes there are.
    own = optimize.brentq(lambda net: lacking(net, 100, 0.0), 1e-3, 0.9)
    assert power.mde_paired(100, 0.01) == pytest.approx(own, abs=1e-9)
    assert power.mde_paired(1, 0.5) is None


def test_numbers_of_texts_round_up_and_need_something_to_see():
    assert power.needed_clean(0.01) == 299 and 0.99**299 < 0.05 < 0.99**298
    assert power.needed_clean(0.01, level=0.9) == 230
    assert power.needed_clean(0.0) is None is power.needed_clean(1.0)
    assert power.needed_width(0.1) == 97 and power.needed_width(0.1, 0.2) == 62
    assert power.needed_width(0.0) is None is power.needed_width(-0.1)
    assert power.texts_needed(0.2, 100, 0.1) == 400 and power.texts_needed(0.1, 100, 0.3) == 12
    assert power.mde_of_claim(0.1, 1) == pytest.approx(0.1 * (1.6448536 + Z_POWER) / (Z + Z_POWER))
    strict = scipy_stats.norm.ppf(1 - 0.1 / 4) + scipy_stats.norm.ppf(0.9)
    found = power.mde_of_claim(0.1, 4, alpha=0.1, power=0.9)
    assert found == pytest.approx(0.1 * strict / (Z + Z_POWER))


# --- two shares


def likelihood(x, n, p):
    if p <= 0 or p >= 1:
        return 0.0 if (x == 0 and p <= 0) or (x == n and p >= 1) else -np.inf
    return x * log(p) + (n - x) * log(1 - p)


@pytest.mark.parametrize("table", [(7, 20, 3, 30), (0, 12, 4, 9), (15, 15, 6, 10), (1, 40, 1, 2)])
def test_score_statistics_are_those_of_the_likeliest_shares_by_search(table):
    x, n, y, m = table
    for delta in (-0.3, -0.05, 0.0, 0.2, 0.55):
        room = max(0.0, -delta), min(1.0, 1 - delta)
        fit = optimize.minimize_scalar(
            lambda p, d=delta: -likelihood(x, n, p + d) - likelihood(y, m, p),
            bounds=room,
            method="bounded",
            options={"xatol": 1e-12},
        )
        own, other = fit.x + delta, fit.x
        variance = (own * (1 - own) / n + other * (1 - other) / m) * (n + m) / (n + m - 1)
        found = contrasts.difference_z(TwoCounts(hits=x, n=n, other_hits=y, other_n=m), delta)
        assert found == pytest.approx((x / n - y / m - delta) / sqrt(variance), rel=2e-4)
    for ratio in (0.3, 1.0, 2.5):
        fit = optimize.minimize_scalar(
            lambda p, r=ratio: -likelihood(x, n, p * r) - likelihood(y, m, p),
            bounds=(0.0, min(1.0, 1 / ratio)),
            method="bounded",
            options={"xatol": 1e-12},
        )
        own, other = fit.x * ratio, fit.x
        variance = own * (1 - own) / n + ratio**2 * other * (1 - other) / m
        variance *= (n + m) / (n + m - 1)
        found = contrasts.ratio_z(TwoCounts(hits=x, n=n, other_hits=y, other_n=m), ratio)
        assert found == pytest.approx((x / n - ratio * y / m) / sqrt(variance), rel=2e-4)


@pytest.mark.parametrize("make", [proportions.miettinen_nurminen, proportions.ratio])
@pytest.mark.parametrize("table", [(7, 20, 3, 30), (0, 12, 4, 9), (15, 15, 6, 10), (1, 40, 2, 2)])
def test_bounds_are_where_the_score_statistic_is_1_96(make, table):
    x, n, y, m = table
    basis = TwoCounts(hits=x, n=n, other_hits=y, other_n=m)
    z = contrasts.difference_z if make is proportions.miettinen_nurminen else contrasts.ratio_z
    for level in (0.8, 0.95, 0.999):
        e, far = make(*table, level=level), scipy_stats.norm.ppf(0.5 + level / 2)
        for bound, wanted in ((e.low, far), (e.high, -far)):
            if bound not in (0.0, -1.0, 1.0):
                assert z(basis, bound) == pytest.approx(wanted, abs=1e-5)


def test_a_falling_function_is_met_where_it_is_or_at_the_nearer_end():
    def line(x):
        return 3 - x

    assert contrasts.falling_root(line, 1.0, 0.0, 10.0) == pytest.approx(2.0)
    assert contrasts.falling_root(line, 5.0, 0.0, 10.0) == pytest.approx(0.0, abs=1e-12)
    assert contrasts.falling_root(line, -9.0, 0.0, 10.0) == pytest.approx(10.0)
    assert contrasts.falling_root(line, -2.0, 0.0, 10.0) == pytest.approx(5.0)


def test_added_hits_and_misses_stay_within_what_a_difference_can_be():
    e = proportions.agresti_caffo(3, 3, 0, 3)
    a, b = 4 / 5, 1 / 5
    half = Z * sqrt(2 * 0.16 / 5)
    assert (e.value, e.low, e.high) == pytest.approx((1.0, a - b - half, 1.0))
    mirrored = proportions.agresti_caffo(0, 3, 3, 3)
    assert (mirrored.low, mirrored.high) == pytest.approx((-1.0, half - 0.6))


# --- tables


def test_an_expected_count_of_five_is_enough_for_chi_square():
    found = omnibus.omnibus([(7, 10), (3, 10), (5, 10)])
    assert (found.method, found.df, found.resamples) == ("chi2", 2.0, None)
    theirs = scipy_stats.chi2_contingency([[7, 3, 5], [3, 7, 5]], correction=False)
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert omnibus.omnibus([(7, 10), (2, 10), (5, 10)]).method == "permutation"
    shown = omnibus.as_estimate(found, 30)
    assert (shown.value, shown.low, shown.high, shown.n) == (found.p, found.p, found.p, 30)


def test_two_groups_in_every_cluster_are_tested_as_pairs():
    for seed, pairs in ((0, 4), (1, 9)):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(0.6, 1, pairs), rng.normal(0, 1, pairs)
        found = omnibus.omnibus_clustered(
            np.r_[a, b], ["a"] * pairs + ["b"] * pairs, [str(i) for i in range(pairs)] * 2
        )
        theirs = scipy_stats.ttest_rel(a, b)
        assert found.statistic == pytest.approx(theirs.statistic**2)
        assert found.p == pytest.approx(theirs.pvalue)


def test_three_groups_in_every_cluster_have_hotellings_test():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(7, 3)) + np.array([0.0, 0.8, 0.3])
    found = omnibus.omnibus_clustered(
        x.ravel(), list("abc") * 7, [str(i) for i in range(7) for _ in "abc"]
    )
    gaps = x[:, 1:] - x[:, :1]
    t2 = 7 * gaps.mean(0) @ np.linalg.solve(np.cov(gaps.T), gaps.mean(0))
    assert found.statistic == pytest.approx(t2) and found.df == 2
    assert found.p == pytest.approx(scipy_stats.f.sf(t2 * 5 / (6 * 2), 2, 5))


def test_standard_deviations_between_two_rates_are_the_pooled_z():
    found = proportions.standard_deviations(48, 80, 12, 40)
    z = 0.3 / sqrt(0.5 * 0.5 * (1 / 80 + 1 / 40))
    assert (found.statistic, found.p) == pytest.approx((z, 2 * scipy_stats.norm.sf(z)))
    for table in ((0, 8, 0, 4), (8, 8, 4, 4)):
        assert proportions.standard_deviations(*table).code == "no_variation"


def test_strata_weigh_by_mantel_and_haenszel():
    strata = [(7, 20, 3, 30), (5, 9, 6, 11), (0, 4, 0, 9), (2, 12, 9, 14)]
    found = proportions.cochran_mantel_haenszel(strata)
    shift = variance = 0.0
    for k, n, j, m in strata:
        t = n + m
        shift += k - n * (k + j) / t
        variance += n * m * (k + j) * (t - k - j) / (t * t * (t - 1))
    assert found.statistic == pytest.approx(shift**2 / variance) and found.df == 1
    assert found.p == pytest.approx(scipy_stats.chi2.sf(shift**2 / variance, 1))
    lone = proportions.cochran_mantel_haenszel([strata[0], (3, 3, 2, 2)])
    assert lone.df == 1 and proportions.heterogeneity([strata[0], (3, 3, 2, 2)]).code == "too_few"
    assert proportions.cochran_mantel_haenszel([(0, 4, 0, 9)]).code == "too_few"


# --- many groups


def test_a_prior_named_beforehand_may_meet_no_text_and_all_hits():
    assert manygroups.posterior(0, 0, 2, 2)[0] == 0.5
    mean, (low, high) = manygroups.posterior(3, 3, 2, 1, level=0.9)
    assert mean == pytest.approx(5 / 6)
    assert (low, high) == pytest.approx(tuple(scipy_stats.beta.ppf([0.05, 0.95], 5, 1)))
    for bad in ((4, 3, 1, 1), (-1, 3, 1, 1), (1, 3, 0, 1), (1, 3, 1, 0)):
        assert manygroups.posterior(*bad).code == "invalid"


def test_groups_without_any_hit_are_pooled_with_jeffreys_bounds():
    for cells, pooled in (([(0, 20), (0, 30)], 0.0), ([(20, 20), (30, 30)], 1.0)):
        found = manygroups.shrink(cells)
        assert found.complete and found.rates == (pooled, pooled)
        bounds = scipy_stats.beta.ppf([0.025, 0.975], 50 * pooled + 0.5, 50 * (1 - pooled) + 0.5)
        wanted = min(pooled, bounds[0]), max(pooled, bounds[1])
        assert found.bounds == (pytest.approx(wanted), pytest.approx(wanted))
    single = manygroups.shrink([(3, 9)])
    assert single.complete and single.pooled == pytest.approx(1 / 3)


def test_ranked_cells_without_a_text_are_absent_and_the_others_are_not():
    cells = [(60, 120), (0, 0), (5, 100), (8, 40)]
    ranked, found = manygroups.ranking(cells), manygroups.shrink(cells)
    assert ranked[1].code == "empty" and [e.n for i, e in enumerate(ranked) if i != 1] == [
        120,
        100,
        40,
    ]
    first = scipy_stats.beta.ppf([0.025, 0.975], 60 + found.a, 60 + found.b)
    assert (ranked[0].low, ranked[0].high) == pytest.approx(tuple(first), abs=2e-4)
    assert found.bounds[0] == pytest.approx(tuple(first))
    assert found.rates[1] == pytest.approx(found.a / (found.a + found.b))


@pytest.mark.parametrize(("sizes", "rate"), [((4, 6), 0.4), ((3, 5, 4), 0.7)])
def test_the_band_of_chance_by_every_outcome(sizes, rate):
    import itertools

    chances: dict[float, float] = {}
    for hits in itertools.product(*(range(n + 1) for n in sizes)):
        chance = np.prod(
            [scipy_stats.binom.pmf(k, n, rate) for k, n in zip(hits, sizes, strict=True)]
        )
        rates = [k / n for k, n in zip(hits, sizes, strict=True)]
        lowest = min(rates) / max(rates) if max(rates) else 1.0
        chances[lowest] = chances.get(lowest, 0.0) + chance
    band = manygroups.null_band(sizes, rate)
    below = sum(c for r, c in chances.items() if r < 0.8 - 1e-12)
    assert band.p_below == pytest.approx(below)
    for p, value in zip(band.probs, band.values, strict=True):
        # In steps of a thousandth: what lies under the value is at most `p`, with the next step more.
        assert sum(c for r, c in chances.items() if r < value - 1e-9) <= p + 1e-9
        if value < 1:
            assert sum(c for r, c in chances.items() if r < value + 0.001 + 1e-9) > p - 1e-9


# --- areas


def drawn_areas(seed=0, n=60):
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    score = rng.normal(positive * 1.0, 1.0)
    return score, positive


def test_areas_that_share_texts_are_compared_with_their_common_error():
    score, positive = drawn_areas()
    member = np.arange(60) < 30
    one, whole = ranking.area(score, positive, over=member), ranking.area(score, positive)
    gap = ranking.difference(one, whole)
    shared = float(one.influence @ whole.influence)
    assert gap.basis.correlation == pytest.approx(shared / (one.se * whole.se))
    apart = one.se**2 + whole.se**2 - 2 * shared
    wary = apart + one.wary**2 - one.se**2 + whole.wary**2 - whole.se**2
    assert gap.mde == pytest.approx(min(1.0, 2.8 * sqrt(wary)))
    assert gap.n == 10 and ranking.difference(one, one).code == "no_variation"


def test_the_wary_error_is_halfway_to_hanleys_where_two_units_are_misplaced():
    m, n, value, se = 20, 60, 0.95, 0.005
    a = (value * m + 1) / (m + 2)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    hanley = sqrt((a * (1 - a) + ((m + n) / 2 - 1) * (q1 + q2 - 2 * a * a)) / (m * n))
    found = ranking.Area(
        value=value, influence=np.zeros(80), units=m, other_units=n, se=se, clustered=False
    )
    assert found.wary == pytest.approx(sqrt(se * hanley))
    wide = ranking.Area(
        value=value, influence=np.zeros(80), units=m, other_units=n, se=0.2, clustered=False
    )
    assert wide.wary == 0.2 and found.unseen == 0.0 and found.degrees == 19
    many = ranking.Area(
        value=0.8, influence=np.zeros(80), units=m, other_units=n, se=se, clustered=False
    )
    # Four are misplaced: a quarter of the way.
    a = (0.8 * m + 1) / (m + 2)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    hanley = sqrt((a * (1 - a) + ((m + n) / 2 - 1) * (q1 + q2 - 2 * a * a)) / (m * n))
    assert many.wary == pytest.approx(se * (hanley / se) ** 0.25)


def test_areas_without_an_error_have_the_effect_that_nothing_in_n_hides():
    e = ranking.auc([1, 2, 3, 4, 5, 6, 7], [False] * 4 + [True] * 3)
    assert e.value == 1.0 and e.mde == pytest.approx(min(1.0, (1 - 0.05 ** (1 / 3)) * 2.8 / 1.96))
    perfect = ranking.area([1, 2, 3, 4, 5, 6, 7], [False] * 4 + [True] * 3)
    shrunk = 4 / 5
    assert perfect.unseen == pytest.approx(shrunk * (1 - shrunk) / 3)
    assert ranking.auc([1.0, 2.0], [True, True]).reason.startswith("no text is negative")
    assert ranking.auc([1.0, 2.0], [False, False]).reason.startswith("no text is positive")
    assert ranking.auc([1.0], [True, False]).code == "invalid"


@pytest.mark.parametrize("p", [-5.0, 1.0, 2.0])
def test_a_generalized_mean_of_areas_moves_as_its_parts_do(p):
    score, positive = drawn_areas(1)
    masks = [np.arange(60) % 2 == i for i in (0, 1)]
    areas = [ranking.area(score, positive, over=mask) for mask in masks]
    names = [f"c{i // 4}" for i in range(60)]
    e = ranking.power_mean_of(areas, names, p)
    step, influence = 1e-6, 0.0
    for i, a in enumerate(areas):
        values = [b.value for b in areas]
        up, down = list(values), list(values)
        up[i], down[i] = up[i] + step, down[i] - step
        slope = (ranking.power_mean(up, p) - ranking.power_mean(down, p)) / (2 * step)
        influence = influence + slope * a.influence
    se = sqrt(float((influence.reshape(-1, 4).sum(axis=1) ** 2).sum()))
    assert e.basis.se == pytest.approx(se, rel=1e-5) and e.mde == pytest.approx(2.8 * se, rel=1e-5)


# --- sequences and pairs


def test_a_sequential_test_needs_two_shares_and_two_errors():
    good = {"p0": 0.1, "p1": 0.2, "alpha": 0.05, "beta": 0.1}
    assert sequential.sprt([0], **good).decision == "continue"
    for bad in (
        {"p0": 0.0},
        {"p1": 1.0},
        {"p1": 0.1},
        {"alpha": 0.0},
        {"beta": 0.0},
        {"alpha": 0.5, "beta": 0.5},
        {"alpha": 1.0},
    ):
        assert sequential.sprt([0], **(good | bad)).code == "invalid"
    assert sequential.sprt([1, 1], 0.01, 0.5, alpha=0.05, beta=0.1).step == 1
    lone = sequential.sprt([0, 1], 0.1, 0.95)
    assert (lone.decision, lone.step) == ("accept", 1)


def test_a_streams_bounds_are_those_of_its_betting_unit_by_unit():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 40)
    total = staked = cost = 0.0
    mean, variance = 0.5, 0.25
    done, squares = 0.5, 0.25
    for t, value in enumerate((x + 1) / 2, 1):
        stake = min(0.5, sqrt(2 * log(2 / 0.05) / (variance * t * log(1 + t))))
        cost += (value - mean) ** 2 * (-log(1 - stake) - stake)
        total, staked = total + stake, staked + stake * value
        done += value
        mean = done / (t + 1)
        squares += (value - mean) ** 2
        variance = squares / (t + 1)
    e = sequential.mean_sequence(x, low=-1.0, high=1.0)
    half = (cost + log(2 / 0.05)) / total
    wanted = tuple(2 * (staked / total + s * half) - 1 for s in (-1, 1))
    assert (e.low, e.high) == pytest.approx(wanted) and e.n == 40
    one = sequential.mean_sequence([0.0, 1.0], low=0.0, high=1.0)
    assert (one.low, one.high) == (0.0, 1.0)
    for bad in ([-0.1, 0.5], [0.5, 1.1]):
        assert sequential.mean_sequence(bad, low=0.0, high=1.0).code == "invalid"
    assert sequential.mean_sequence([0.5], low=0.5, high=0.5).code == "invalid"


def test_a_share_watched_all_along_is_bounded_by_its_mixture():
    e = sequential.confidence_sequence(7, 20)
    for bound in (e.low, e.high):
        # Beta function over the likelihood: 20 exactly where the mixture has won 1 / 0.05.
        beta = lgamma(8) + lgamma(14) - lgamma(22)
        assert exp(beta - 7 * log(bound) - 13 * log(1 - bound)) == pytest.approx(20)
    assert sequential.confidence_sequence(0, 20).low == 0.0
    assert sequential.confidence_sequence(20, 20).high == 1.0
    assert sequential.confidence_sequence(21, 20).code == "invalid"


def test_a_margin_met_exactly_is_not_kept():
    for margin in (0.0, 1.0, -0.1):
        assert paired.non_inferiority(100, 3, 3, margin).code == "invalid"
    found = paired.non_inferiority(1000, 30, 25, 0.02, method="paired-wald")
    edge = paired.non_inferiority(1000, 30, 25, -found.difference.low, method="paired-wald")
    assert not edge.holds and edge.p == pytest.approx(0.05)
    assert paired.non_inferiority(10, 0, 0, 0.1, method="paired-wald").code == "no_change"
    assert found.difference.level == pytest.approx(0.9)
    strict = paired.non_inferiority(1000, 30, 25, 0.02, alpha=0.025)
    assert strict.difference == stats.paired_difference(1000, 25, 30, level=0.95)


def test_changes_of_few_pairs_stay_within_what_a_net_change_can_be():
    e = paired.bonett_price(3, 3, 0)
    assert e.high == 1.0 and -1 < e.low < 1 and paired.bonett_price(3, 0, 3).low == -1.0
    p = paired.mcnemar_midp(1, 4)
    assert p == pytest.approx(2 * (1 / 32) + 5 / 32) and paired.mcnemar_midp(3, 3) == 1.0
    assert paired.mcnemar_midp(-1, 4).code == "invalid" == paired.mcnemar_midp(4, -1).code


# --- resampling


def test_one_undefined_resample_in_twenty_is_still_an_estimate():
    def undefined(share):
        def statistic(weights):
            found = weights @ np.arange(10.0) / 10
            if len(found) > 1:
                found[: int(share * len(found))] = np.nan
            return found

        return resampling.bootstrap(statistic, 10, rng=np.random.default_rng(0), resamples=1000)

    assert isinstance(undefined(0.05), Estimate) and undefined(0.051).code == "unstable"


def test_a_correlation_ignores_scale_and_draws_whole_clusters():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=30), rng.normal(size=30)
    e = resampling.correlation(x, y, rng=np.random.default_rng(1))
    moved = resampling.correlation(5 * x + 3, -2 * y, rng=np.random.default_rng(1))
    assert (moved.value, moved.low, moved.high) == pytest.approx((-e.value, -e.high, -e.low))
    twice = resampling.correlation(
        np.tile(x, 2), np.tile(y, 2), [str(i) for i in range(30)] * 2, rng=np.random.default_rng(1)
    )
    assert twice.value == pytest.approx(e.value) and twice.n == 30
    assert twice.high - twice.low == pytest.approx(e.high - e.low, rel=0.15)
    line = resampling.correlation(x, 2 * x, rng=np.random.default_rng(1))
    assert isinstance(line, Absent) and line.code == "no_variation"


# --- intervals


def test_bounds_beyond_a_border_leave_nothing_to_chance():
    e = stats.mean([0.2, 0.4, 0.9, 0.5], low=0.0, high=1.0)
    assert stats.p_beyond(e, -0.1, "above") == 0.0 == stats.p_beyond(e, 1.1, "below")
    assert stats.p_beyond(e, 0.0, "above") > 0.0 < stats.p_beyond(e, 1.0, "below")
    x = np.array([0.2, 0.4, 0.9, 0.5])
    t = 0.5 / sqrt(x.var(ddof=1) / 4)
    assert stats.p_beyond(e, 0.0, "above") == pytest.approx(scipy_stats.t.sf(t, 3))
    area = ranking.auc(*drawn_areas())
    assert stats.p_beyond(area, 0.0, "above") == 0.0 == stats.p_beyond(area, 1.0, "below")
    assert stats.p_beyond(stats.share(10**6, 10**6), 0.5, "above") == pytest.approx(1e-12, rel=1e-6)


def test_a_number_is_looked_at_once_and_a_certain_one_has_no_width():
    e = intervals.looked_at(stats.share(30, 100), 1, 2, 100)
    assert e.low < stats.share(30, 100).low and e.high > stats.share(30, 100).high
    with pytest.raises(ValueError, match="once"):
        intervals.looked_at(e, 1, 2, 100)
    sure = intervals.certain(0.3, 1, "count", 0.95)
    assert (sure.value, sure.low, sure.high, sure.n) == (0.3, 0.3, 0.3, 1)
    assert stats.p_beyond(sure, 0.2, "above") == 0.0 and stats.p_beyond(sure, 0.4, "above") == 1.0


# --- rates, decisions, gates


def test_gaps_and_odds_take_as_many_texts_as_asked_for():
    rng = np.random.default_rng(0)
    selected, truth = rng.random(80) < 0.5, np.arange(80) % 2 == 0
    outcome = metrics.Outcome(
        selected=selected, truth=truth, known=np.ones(80, bool), correct=selected == truth
    )
    mine = np.arange(80) < 24
    kind = {"min_n": 24, "level": 0.95}
    gap = metrics.gap_of(outcome, "selection_rate", mine, ~mine, None, **kind)
    cells = metrics.cells_of(outcome, "selection_rate", [mine, ~mine])
    assert gap == stats.difference(*cells[0], *cells[1])
    few = metrics.gap_of(outcome, "selection_rate", mine, ~mine, None, min_n=25, level=0.95)
    assert few.code == "too_few" and "24" in few.reason
    more = metrics.gap_of(outcome, "selection_rate", ~mine, mine, None, min_n=25, level=0.95)
    assert more.code == "too_few"
    for apart, test in (
        (True, proportions.heterogeneity),
        (False, proportions.cochran_mantel_haenszel),
    ):
        odds = metrics.odds_of(outcome, mine, ~mine, None, apart=apart, min_n=12, level=0.95)
        strata = []
        for among in (truth, ~truth):
            own, other = selected[mine & among], selected[~mine & among]
            strata.append((int(own.sum()), len(own), int(other.sum()), len(other)))
        assert odds.value == pytest.approx(test(strata).p) and odds.n == 80
        lacking = metrics.odds_of(outcome, mine, ~mine, None, apart=apart, min_n=13, level=0.95)
        assert lacking.code == "too_few"


def test_counts_agree_with_fairlearn():
    hits = np.arange(12) % 3 == 0

    good = metrics.Outcome(selected=hits, truth=~hits, known=np.ones(12, bool), correct=hits)
    cells = {("a",): np.arange(12) < 5, ("b",): np.arange(12) >= 5}
    for rate in metrics.RATES:
        metrics.check_points(good, cells, rate)
    by_group = metrics.rates_by_group(good, np.where(np.arange(12) < 5, "a", "b"), "selection_rate")
    assert by_group == pytest.approx({"a": 2 / 5, "b": 2 / 7})


def test_decisions_on_an_edge():
    line = decision.make(("a", "b"), ("b",), threshold=0.7)
    at = decision.decide(line, np.array([[0.3, 0.7], [0.31, 0.69]]))
    assert at.favourable.tolist() == [True, False] and at.label.tolist() == [1, 0]
    top = decision.make(("a", "b", "c"), ("b",))
    assert decision.decide(top, np.array([[0.4, 0.4, 0.2]])).label.tolist() == [0]
    several = decision.make(("a", "b"), ("b",), head="multi")
    both = decision.decide(several, np.array([[0.5, 0.5], [0.49, 0.2]]))
    assert both.label.tolist() == [3, 0] and both.favourable.tolist() == [True, False]
    assert decision.decide(several, np.array([[0.9, 0.25]])).score.tolist() == [0.25]
    many = tuple(f"l{i}" for i in range(62))
    assert decision.make(many, many, head="multi").labels == many
    with pytest.raises(ConfigError, match="62"):
        decision.make((*many, "more"), many, head="multi")
    for threshold in (0.0, 1.0):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            decision.make(("a", "b"), ("b",), threshold=threshold)
    for favourable in ((), ("a", "b")):
        with pytest.raises(ConfigError, match="At least one"):
            decision.make(("a", "b"), favourable)


def test_gates_on_an_edge():
    one = PlannedProbe(
        probe="typos", version="1", params={}, units=1, queries=2, measurements=("typos.flip_rate",)
    )
    same = gates.expand([Gate(metric="typos.flip_rate", at_most=0.1, at_least=0.1)], [one])
    assert len(same) == 2
    assert gates.expand([Gate(metric="typos.flip_rate", at_most=0.1, min_n=1)], [one])[0].min_n == 1
    for bad in (
        {"at_most": 0.1, "at_least": 0.2},
        {"at_most": 0.1, "min_n": 0},
        {"at_most": float("inf")},
        {"at_most": 0.1, "at_least": float("nan")},
    ):
        with pytest.raises(ConfigError):
            gates.expand([Gate(metric="typos.flip_rate", **bad)], [one])


def test_the_smallest_p_value_that_draws_can_state():
    assert stats.sign_flip(np.ones(40)) == 1 / 20_001
    apart = omnibus.omnibus([(30, 30), (0, 30)], permutation=True)
    assert (apart.p, apart.resamples) == (1 / 10_000, 9_999)
    names = [f"c{i // 2}" for i in range(60)]
    dealt = omnibus.omnibus_clustered(
        [1.0] * 30 + [0.0] * 30, ["a"] * 30 + ["b"] * 30, names, rng=np.random.default_rng(0)
    )
    assert (dealt.p, dealt.resamples) == (1 / 2_000, 1_999)
    shown = omnibus.as_estimate(dealt, 60)
    assert shown.value == 1 / 2_000 and shown.high > 1 / 2_000 > shown.low


# --- what a first draw of changed lines had left unnoticed


def test_a_limit_at_the_end_of_a_clustered_share_has_the_tail_of_that_end():
    x, names = np.array([1.0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]), list("aabbccddeeff")
    e = stats.mean(x, names, low=0.0, high=1.0)
    assert e.method == "cluster-wilson"
    assert intervals.p_beyond(e, e.high, "below") == pytest.approx(0.025)
    assert intervals.p_beyond(e, e.low, "above") == pytest.approx(0.025)


def test_pairs_that_all_go_one_way_have_exact_bounds():
    e = intervals.for_judging(stats.paired_difference(10, 0, 10))
    low, high = scipy_stats.binomtest(10, 10).proportion_ci(0.95, "exact")
    none = scipy_stats.binomtest(0, 10).proportion_ci(0.95, "exact").high
    assert (e.value, e.low) == (-1.0, -1.0)
    assert high == 1.0 and e.high == pytest.approx(-1 + sqrt(none**2 + (1 - low) ** 2))


def test_the_statistic_of_dealt_clusters_is_pearsons_where_each_text_is_one():
    x = np.array([1, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0], float)
    of = np.repeat(["a", "b", "c"], [5, 4, 3])
    found = omnibus.omnibus_clustered(x, of, [f"t{i}" for i in range(12)])
    table = [[x[of == g].sum(), (1 - x[of == g]).sum()] for g in "abc"]
    assert found.statistic == pytest.approx(scipy_stats.chi2_contingency(table)[0])


def test_sizes_of_one_and_none():
    assert proportions.katz(3, 10, 2, 4).n == proportions.katz(2, 4, 3, 10).n == 4
    assert isinstance(proportions.boschloo(5, 3, 1, 2), Absent)
    assert power.mde_difference(0, 5, 0.5) is None and power.mde_difference(5, 0, 0.5) is None
    assert power.texts_needed(0.1, 0, 0.1) is None and power.texts_needed(0.1, 1, 0.1) == 1


def test_a_claim_with_exactly_the_texts_it_asks_for_counts_among_holms():
    probes = [
        PlannedProbe(
            probe=n, version="1", params={}, units=1, queries=2, measurements=(f"{n}.flip_rate",)
        )
        for n in ("typos", "noise")
    ]
    at = 40
    asked = [Gate(metric=f"{p.probe}.flip_rate", at_most=0.1, min_n=at) for p in probes]
    runs = [
        ProbeRun(
            probe=p.probe,
            version="1",
            params={},
            measurements=(
                Measurement(
                    id=f"{p.probe}.flip_rate",
                    metric="flip_rate",
                    value=stats.share(k, at),
                    unit="share",
                    eligible=at,
                ),
            ),
        )
        for p, k in zip(probes, (12, 9), strict=True)
    ]
    first, second = gates.judge(gates.expand(asked, probes), runs)
    ps = sorted(
        intervals.p_beyond(intervals.for_judging(r.measurements[0].value), 0.1, "above")
        for r in runs
    )
    assert ps[0] < 0.05 / 2 and ps[1] < 0.05
    assert (first.status, second.status) == ("fail", "fail")

"""Calibration: known answers, other people's regressions, and what chance alone would show."""

import numpy as np
import pytest

from audit import calibrating as cal
from audit.types import Absent, Estimate

PROB = [0.05, 0.12, 0.18, 0.22, 0.31, 0.37, 0.44, 0.48, 0.52, 0.58]
PROB += [0.63, 0.67, 0.71, 0.78, 0.82, 0.86, 0.91, 0.95, 0.97, 1.0]
EVENT = [0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1]


def drawn(rng, n, slope=1.0, intercept=0.0):
    x = rng.normal(0, 1.5, n)
    y = rng.random(n) < 1 / (1 + np.exp(-(intercept + slope * x)))
    return 1 / (1 + np.exp(-x)), y


def test_tv13_calibration():
    assert cal.expected_calibration_error(PROB, EVENT).value == pytest.approx(0.1835, abs=1e-12)
    assert cal.maximum_calibration_error(PROB, EVENT) == pytest.approx(0.78, abs=1e-12)
    assert cal.brier(PROB, EVENT).value == pytest.approx(0.143165, abs=1e-12)
    assert cal.log_loss(PROB, EVENT).value == pytest.approx(0.4297662142061, abs=1e-12)
    assert cal.calibration_in_the_large(PROB, EVENT).value == pytest.approx(0.0215, abs=1e-12)
    z = cal.spiegelhalter(PROB, EVENT)
    assert (z.statistic, z.p) == pytest.approx((-0.3779093472, 0.7054979384), abs=1e-9)


def test_bins_are_closed_on_the_right():
    """0.3 lies in the third bin and not in the fourth, whatever a float makes of three tenths."""
    for edge in (0.1, 0.2, 0.3, 0.6, 0.7, 0.9):
        lone = cal.maximum_calibration_error([edge, edge + 0.05], [1, 0])
        both = cal.maximum_calibration_error([edge - 0.05, edge], [0, 1])
        assert lone == pytest.approx(max(1 - edge, edge + 0.05))
        assert both == pytest.approx(abs(edge - 0.05 + edge - 1) / 2)
    assert cal.maximum_calibration_error([0.0, 1.0], [0, 1]) == 0.0


def test_points_equal_scikit_learns():
    from sklearn.metrics import brier_score_loss, log_loss

    p, y = drawn(np.random.default_rng(0), 500)
    assert cal.brier(p, y).value == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert cal.log_loss(p, y).value == pytest.approx(log_loss(y, p), abs=1e-12)
    # At 0 scikit-learn moves by the resolution of the type, ours by what it says: 1e-15.
    ours, theirs = cal.log_loss([0.0, 0.5], [1, 0]), log_loss([1, 0], [0.0, 0.5])
    assert ours.value == pytest.approx((-np.log(1e-15) - np.log(0.5)) / 2) and ours.value < theirs


def test_the_recalibration_is_statsmodels():
    import statsmodels.api as sm

    p, y = drawn(np.random.default_rng(1), 300, slope=0.7, intercept=0.3)
    design = sm.add_constant(np.log(p / (1 - p)))
    theirs = sm.Logit(y.astype(float), design).fit(disp=0)
    ours = cal.recalibration(p, y)
    for i, one in enumerate((ours.intercept, ours.slope)):
        assert one.value == pytest.approx(theirs.params[i], abs=1e-8)
        assert (one.low, one.high) == pytest.approx(theirs.conf_int()[i], abs=1e-6)
    names = np.arange(300) // 5
    robust = sm.Logit(y.astype(float), design).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": names, "use_correction": False}
    )
    ours = cal.recalibration(p, y, [str(k) for k in names])
    assert ours.slope.n == 60
    for i, one in enumerate((ours.intercept, ours.slope)):
        assert one.basis.se == pytest.approx(robust.bse[i] * (60 / 59) ** 0.5, rel=1e-8)


def test_the_difference_of_two_lines_is_an_interaction():
    import statsmodels.api as sm

    rng = np.random.default_rng(2)
    p, y = drawn(rng, 400)
    g = rng.random(400) < 0.4
    x = np.log(p / (1 - p))
    theirs = sm.Logit(y.astype(float), np.stack([np.ones(400), x, g, g * x], 1)).fit(disp=0)
    ours = cal.recalibration_difference(p, y, g)
    for one, i in ((ours.intercept, 2), (ours.slope, 3)):
        assert one.value == pytest.approx(theirs.params[i], abs=1e-7)
        assert one.basis.se == pytest.approx(theirs.bse[i], rel=1e-6)
    assert ours.slope.n == g.sum()
    names = np.arange(400) // 4
    robust = sm.Logit(y.astype(float), np.stack([np.ones(400), x, g, g * x], 1)).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": names, "use_correction": False}
    )
    ours = cal.recalibration_difference(p, y, g, [str(k) for k in names])
    assert ours.slope.basis.se == pytest.approx(robust.bse[3] * (100 / 99) ** 0.5, rel=1e-6)


def test_recalibration_intervals_cover():
    rng, hits = np.random.default_rng(3), 0
    for _ in range(400):
        line = cal.recalibration(*drawn(rng, 200, slope=0.8))
        hits += line.slope.low <= 0.8 <= line.slope.high
    assert 0.925 <= hits / 400 <= 0.98


def test_a_perfect_model_shows_an_error_and_the_band_says_which():
    """Published for perfect models: mean error by size, over probabilities drawn evenly."""
    for n, (mean, high) in {20: (0.217, 0.320), 100: (0.102, 0.147), 1000: (0.033, 0.048)}.items():
        bands = [
            cal.null_band(np.random.default_rng(seed).random(n), resamples=400) for seed in range(8)
        ]
        assert np.mean([b.mean for b in bands]) == pytest.approx(mean, rel=0.06)
        assert np.mean([b.high for b in bands]) == pytest.approx(high, rel=0.08)
    # The draws and the error itself are two pieces of code for one quantity.
    rng, outside = np.random.default_rng(4), 0
    for _ in range(600):
        p = rng.random(150)
        error = cal.expected_calibration_error(p, rng.random(150) < p, resamples=2, rng=rng)
        outside += cal.null_band(p, error.value, resamples=199, rng=rng).p <= 0.05
    assert outside / 600 <= 0.08


@pytest.mark.parametrize(("shift", "least"), [(0.0, 0.93), (0.1, 0.84)])
def test_the_interval_of_the_binned_error_covers(shift, least):
    """Approximately: 0.88 to 0.98 over the cells tried. A percentile bootstrap covers 0 never."""
    rng, hits, above = np.random.default_rng(5), 0, 0
    for _ in range(120):
        p = rng.uniform(0.1, 0.9, 300)
        q = p + shift * np.where(np.floor(p * 10) % 2 == 0, 1, -1)
        e = cal.expected_calibration_error(p, rng.random(300) < q, resamples=400, rng=rng)
        hits += e.low <= shift <= e.high
        above += e.value > shift
    assert hits / 120 >= least
    assert shift > 0 or above == 120


def test_the_binned_error_stays_within_its_bounds():
    rng = np.random.default_rng(6)
    for n in (2, 5, 50):
        p = rng.random(n)
        e = cal.expected_calibration_error(p, rng.random(n) < 0.5)
        assert isinstance(e, Estimate) and 0 <= e.low <= e.value <= e.high <= 1


def test_spiegelhalters_z_is_standard_normal_for_a_calibrated_model():
    rng = np.random.default_rng(7)
    p = rng.random((2000, 150))
    z = [cal.spiegelhalter(row, rng.random(150) < row).statistic for row in p]
    assert np.std(z) == pytest.approx(1, abs=0.05) and abs(np.mean(z)) < 0.07


def test_what_has_no_calibration_is_absent_with_its_reason():
    p, nan = [0.1, 0.4, 0.6, 0.9], float("nan")
    for function, inputs, code in (
        (cal.recalibration, (p, [1, 1, 1, 1]), "one_class"),
        (cal.recalibration, (p, [0, 0, 1, 1]), "separated"),
        (cal.recalibration, (p, [1, 1, 0, 0]), "separated"),
        (cal.recalibration, ([0.3] * 4, [1, 0, 1, 0]), "no_variation"),
        (cal.recalibration, (p, [1, 0, 1, 0], ["a", "a", "b", "b"]), "too_few"),
        (cal.recalibration, ([], []), "empty"),
        (cal.recalibration_difference, (p, [1, 0, 1, 0], [1, 1, 1, 1]), "empty"),
        (cal.recalibration_difference, (p, [1, 0, 1, 0], [0, 0, 0, 0]), "empty"),
        (cal.recalibration_difference, (p, [1, 0, 1, 2], [0, 0, 1, 1]), "invalid"),
        (cal.spiegelhalter, ([], []), "empty"),
        (cal.brier, ([0.1, nan], [0, 1]), "invalid"),
        (cal.brier, ([0.1, 1.1], [0, 1]), "invalid"),
        (cal.brier, ([0.1, 0.2], [0, 2]), "invalid"),
        (cal.brier, ([0.1], [0, 1]), "invalid"),
        (cal.log_loss, ([], []), "empty"),
        (cal.spiegelhalter, ([0.0, 0.5, 1.0], [0, 1, 1]), "no_variation"),
        (cal.expected_calibration_error, ([], []), "empty"),
        (cal.expected_calibration_error, ([0.0, 1.0], [0, 1]), "no_variation"),
        (cal.maximum_calibration_error, ([nan], [1]), "invalid"),
        (cal.calibration_in_the_large, ([], []), "empty"),
        (cal.null_band, ([],), "empty"),
        (cal.null_band, ([nan],), "invalid"),
    ):
        found = function(*inputs)
        assert isinstance(found, Absent) and found.code == code and found.reason, (function, inputs)


def test_probabilities_of_0_and_1_do_not_break_the_line():
    rng = np.random.default_rng(8)
    p = np.concatenate([np.zeros(20), np.ones(20), rng.random(60)])
    line = cal.recalibration(
        p, np.concatenate([[1], np.zeros(19), np.ones(20), rng.random(60) < 0.5])
    )
    assert 0 < line.slope.low < line.slope.value < 1


def test_dependence_that_leaves_no_error_is_no_certainty():
    """Three clusters, each a perfect table: what differs between them cannot be read off."""
    p, y = [0.25] * 4 + [0.75] * 4, [1, 0, 0, 0, 1, 1, 1, 0]
    names = [name for name in "abc" for _ in range(8)]
    found = cal.recalibration(p * 3, y * 3, names)
    assert isinstance(found, Absent) and found.code == "unstable"
    alone = cal.recalibration(p * 3, y * 3)
    assert alone.slope.value == pytest.approx(1) and alone.slope.low < 0.9
    sides = [True] * 16 + [False] * 8
    found = cal.recalibration_difference(p * 3, y * 3, sides, names)
    assert isinstance(found, Absent) and found.code == "too_few"


def test_any_input_gives_a_number_or_a_reason():
    """Texts by the handful, with ties, ends, clusters: nothing raises, and no number is NaN."""
    rng, kinds = np.random.default_rng(9), set()
    for _ in range(400):
        n = int(rng.integers(1, 14))
        p = rng.choice([0.0, 1e-9, 0.2, 0.5, 0.5 + 1e-9, 0.8, 1.0, rng.random()], n)
        y = rng.random(n) < rng.choice([0.0, 0.5, 0.9])
        names = rng.choice(list("abcdefg"), n).tolist() if rng.random() < 0.5 else None
        sides = rng.random(n) < 0.5
        found = [
            cal.brier(p, y, names),
            cal.log_loss(p, y, names),
            cal.calibration_in_the_large(p, y, names),
            cal.expected_calibration_error(p, y, resamples=20, rng=rng),
        ]
        for line in (
            cal.recalibration(p, y, names),
            cal.recalibration_difference(p, y, sides, names),
        ):
            found += [line] if isinstance(line, Absent) else [line.slope, line.intercept]
        for one in found:
            assert isinstance(one, Estimate) or one.reason
            kinds.add(one.method if isinstance(one, Estimate) else one.code)
        assert np.isfinite(cal.maximum_calibration_error(p, y))
    assert {"wald", "cluster-wald", "one_class", "separated", "test-inversion"} <= kinds


def test_a_band_is_a_number_that_can_stand_in_a_report():
    band = cal.null_band([0.3] * 40 + [0.7] * 40, rng=np.random.default_rng(0))
    e = band.as_estimate(80)
    assert (e.value, e.n, e.method) == (band.mean, 80, "null-band")
    assert (e.low, e.high) == pytest.approx((band.low, band.high), rel=0.05)


def test_an_error_that_no_true_error_tried_makes_sure_is_still_bounded():
    """Every error drawn is at least this small one, but for one draw in two hundred."""
    said = np.full(10_000, 0.50004)
    came = np.arange(10_000) < 5_001
    e = cal.expected_calibration_error(said, came, rng=np.random.default_rng(0))
    assert e.value == pytest.approx(6e-5)
    assert e.low == 0.0 and e.value <= e.high < 0.01


def test_four_draws_tell_no_chance_below_one_in_ten():
    """What half of 200 texts were said to have and all of them have, no draw of a true model shows:
    0 of 4 draws count as 0.5 of 5, so that no quantile below that leaves 0."""
    e = cal.expected_calibration_error(
        [0.5] * 200, [1] * 200, rng=np.random.default_rng(0), resamples=4
    )
    values = dict(zip(cal.BAND_PROBS, e.basis.values, strict=True))
    assert {v for p, v in values.items() if p < 0.099} == {0.0}
    assert all(v > 0.3 for p, v in values.items() if p > 0.101)


def test_the_bounds_of_the_binned_error_are_where_the_binomial_says():
    """One bin: 60 texts said to come with 0.3, and 27 came. By every count's own probability."""
    from scipy.optimize import brentq
    from scipy.stats import binom

    n, said, came = 60, 18, 27
    e = cal.expected_calibration_error(
        [0.3] * n, [1] * came + [0] * (n - came), rng=np.random.default_rng(0), resamples=40_000
    )
    least = came - said

    def larger(share):
        return binom.sf(said + least - 1, n, share) + binom.cdf(said - least, n, share)

    assert e.value == pytest.approx(0.15)
    for bound, chance in ((e.low, 0.025), (e.high, 0.975)):
        share = brentq(lambda s, chance=chance: larger(s) - chance, 0.3, 0.9)
        assert bound == pytest.approx(share - 0.3, abs=0.005)


@pytest.mark.parametrize(("n", "said", "came"), [(10, 0.1, 3), (30, 0.2, 8), (300, 0.5, 200)])
def test_a_larger_share_of_true_errors_never_ends_lower(n, said, came):
    e = cal.expected_calibration_error([said] * n, [1] * came + [0] * (n - came))
    assert (np.diff(e.basis.values) >= 0).all() and e.basis.values[-1] > e.value


def test_chances_of_a_band_are_counted_over_all_its_draws():
    """3,000 texts are drawn in two batches; every model errs by 0 or more, none by 2."""
    p = np.linspace(0.1, 0.9, 3_000)
    sure = cal.null_band(p, 0.0, rng=np.random.default_rng(0))
    never = cal.null_band(p, 2.0, rng=np.random.default_rng(0))
    assert (sure.p, never.p) == (1.0, 1 / 2001) and cal.null_band(p[:9]).p == 1.0


def test_a_band_holds_the_share_it_says():
    """One bin of 40 texts said to be even: the error is how far a binomial is from 20."""
    from scipy.stats import binom

    for level in (0.8, 0.95):
        band = cal.null_band([0.5] * 40, rng=np.random.default_rng(0), level=level, bins=1)
        away = np.abs(np.arange(41) - 20) / 40
        chance = binom.pmf(np.arange(41), 40, 0.5)
        for bound, tail in ((band.low, (1 - level) / 2), (band.high, (1 + level) / 2)):
            assert chance[away < bound - 1e-9].sum() < tail + 0.015
            assert chance[away <= bound + 1e-9].sum() > tail - 0.015


@pytest.mark.parametrize("bad", [[0.5, 1.5], [0.5, -0.1], [0.5, float("inf")]])
def test_no_band_is_drawn_of_what_is_no_probability(bad):
    assert cal.null_band(bad).code == "invalid"

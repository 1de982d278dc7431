"""Censored searches are counted as Kaplan and Meier do, checked against statsmodels."""

import numpy as np
import pytest

from audit import stats
from audit.survival import NEVER, found_by
from audit.types import Absent, Estimate


def drawn(seed, n=60, grid=12):
    rng = np.random.default_rng(seed)
    times, limits = rng.integers(1, grid, n), rng.integers(1, grid, n)
    return np.minimum(times, limits).astype(float), times <= limits


def reference(x, hit):
    from statsmodels.duration.survfunc import SurvfuncRight

    return SurvfuncRight(np.where(np.isinf(x), 1e9, x), hit.astype(int))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_curve_and_its_intervals_are_statsmodels(seed, level):
    from scipy.stats import norm

    x, hit = drawn(seed)
    x[:6], hit[:6] = NEVER, False
    known = reference(x, hit)
    z = norm.ppf(0.5 + level / 2)
    checked = 0
    for time, s, se in zip(known.surv_times, known.surv_prob, known.surv_prob_se, strict=True):
        mine = found_by(x, hit, time, level=level)
        assert mine.value == pytest.approx(1 - s, abs=1e-12)
        if not 0 < s < 1:
            continue
        width = se / (s * abs(np.log(s)))
        assert mine.low == pytest.approx(1 - s ** np.exp(-z * width), abs=1e-12)
        assert mine.high == pytest.approx(1 - s ** np.exp(z * width), abs=1e-12)
        assert stats.interval(mine, level) == pytest.approx((mine.low, mine.high), abs=1e-12)
        checked += 1
    assert checked >= 5


def test_between_two_events_the_curve_is_flat():
    x, hit = [1, 3, 5, 5], [True, True, False, False]
    assert found_by(x, hit, 4).value == found_by(x, hit, 3).value == pytest.approx(0.5)
    assert found_by(x, hit, 2.9).value == pytest.approx(0.25)


def test_without_censoring_the_curve_is_the_plain_share():
    x = np.array([2.0, 4.0, 4.0, 9.0, NEVER, NEVER])
    hit = np.isfinite(x)
    for at, share in ((1, 0), (2, 1 / 6), (4, 3 / 6), (50, 4 / 6)):
        assert found_by(x, hit, at).value == pytest.approx(share)


def test_a_search_broken_off_is_neither_a_success_nor_robust():
    """Of two that got past 5 one succeeds: half of what was left, not a quarter, nor a third."""
    x, hit = [5, 5, 10, 20], [False, False, True, False]
    assert found_by(x, hit, 10).value == pytest.approx(0.5)
    as_robust = found_by([NEVER, NEVER, 10, 20], hit, 10).value
    left_out = found_by(x[2:], hit[2:], 4).value
    assert as_robust == pytest.approx(0.25) and left_out == 0


def test_past_the_last_search_nothing_is_known():
    later = found_by([5, 7, 8], [True, False, False], 9)
    assert isinstance(later, Absent) and later.code == "censored"
    assert isinstance(found_by([5, 7, 8], [True, False, False], 8), Estimate)
    assert found_by([5, 7], [True, True], 100).value == 1.0


def test_before_the_first_success_the_interval_rests_on_those_still_under_risk():
    x, hit = [1] * 30 + [9] * 10, [False] * 30 + [True] * 10
    early = found_by(x, hit, 5)
    assert early.value == 0 and early.high == stats.share(0, 10).high


def test_doubled_searches_of_one_author_are_worth_the_half():
    x, hit = drawn(3, n=40)
    once = found_by(x, hit, 6)
    names = [f"a{i}" for i in range(40)] * 2
    both = np.concatenate([x, x]), np.concatenate([hit, hit])
    clustered, naive = found_by(*both, 6, names), found_by(*both, 6)
    assert naive.value == clustered.value == pytest.approx(once.value)
    assert naive.high - naive.low < 0.8 * (once.high - once.low)
    # Greenwood on the half, but for the correction of a mean over 40 clusters.
    assert clustered.high - clustered.low == pytest.approx(once.high - once.low, rel=0.02)
    assert clustered.n == 40


def test_nothing_and_nonsense_give_no_number():
    assert found_by([], [], 3).code == "empty"
    assert found_by([float("nan")], [False], 3).code == "not_finite"
    assert found_by([NEVER], [True], 3).code == "not_finite"


@pytest.mark.slow
def test_the_intervals_cover_under_random_censoring():
    rng, hits, n = np.random.default_rng(8), 0, 400
    for _ in range(n):
        time, limit = rng.exponential(10, 50), rng.exponential(20, 50)
        found = found_by(np.minimum(time, limit), time <= limit, 8.0)
        hits += found.low <= 1 - np.exp(-0.8) <= found.high
    assert hits / n > 0.93

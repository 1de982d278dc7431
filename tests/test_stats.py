"""What must hold of every interval, whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import stats
from audit.types import Absent, Estimate

COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@st.composite
def estimates(draw):
    kind = draw(st.sampled_from(["share", "cp", "difference", "pairs", "mean", "flat", "boot"]))
    level = draw(LEVELS)
    hits, n = draw(COUNTS)
    if kind == "share":
        return stats.share(hits, n, level=level)
    if kind == "cp":
        return stats.clopper_pearson(hits, n, level=level)
    if kind == "difference":
        return stats.difference(hits, n, *draw(COUNTS), level=level)
    if kind == "pairs":
        b = draw(st.integers(0, n))
        return stats.paired_difference(n, b, draw(st.integers(0, n - b)), level=level)
    if kind == "flat":
        return stats.mean([0.25] * (n + 1), low=0.0, high=1.0, level=level)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.normal(size=n + 2)
    if kind == "mean":
        return stats.mean(x, level=level)
    return stats.bootstrap(
        lambda w: (w @ x) / w.sum(axis=1), len(x), rng=rng, resamples=300, level=level
    )


@settings(max_examples=300, deadline=None)
@given(estimates())
def test_an_interval_at_its_own_level_is_its_own(e):
    assert stats.interval(e, e.level) == (e.low, e.high)
    assert e.low <= e.value <= e.high


@settings(max_examples=300, deadline=None)
@given(estimates(), st.floats(-1.2, 1.2), st.sampled_from([0.01, 0.025, 0.05, 0.1]))
def test_p_values_and_intervals_are_duals(e, limit, alpha):
    low, high = stats.interval(e, 1 - 2 * alpha)
    above, below = stats.p_beyond(e, limit, "above"), stats.p_beyond(e, limit, "below")
    assert 0 <= above <= 1 and 0 <= below <= 1
    room = 1e-6
    if low > limit + room:
        assert above <= alpha * 1.001
    if low < limit - room and limit < e.value:
        assert above >= alpha * 0.999
    if high < limit - room:
        assert below <= alpha * 1.001
    if high > limit + room and limit > e.value:
        assert below >= alpha * 0.999


@settings(max_examples=100, deadline=None)
@given(estimates())
def test_a_higher_level_is_never_narrower(e):
    wide, narrow = stats.interval(e, 0.99), stats.interval(e, 0.8)
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=12),
    st.lists(st.sampled_from(["a", "b", None]), min_size=12, max_size=12),
)
def test_any_input_gives_a_number_or_a_reason(values, clusters):
    for found in (
        stats.mean(values, clusters[: len(values)]),
        stats.mean(values, low=-1.0, high=1.0),
    ):
        assert isinstance(found, Estimate | Absent)
    assert isinstance(stats.sign_flip(values, clusters[: len(values)]), float | Absent)


def covered(draw, truth, n=1500, seed=0):
    rng = np.random.default_rng(seed)
    hits = sum((e := draw(rng)).low <= truth <= e.high for _ in range(n))
    return hits / n


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5])
def test_wilson_covers_as_often_as_it_says(p):
    assert 0.93 <= covered(lambda rng: stats.share(int(rng.binomial(80, p)), 80), p) <= 0.985


def test_clustered_means_cover_and_naive_ones_do_not():
    clusters = [f"c{i // 10}" for i in range(200)]

    def sample(rng):
        return np.repeat(rng.normal(size=20), 10) + rng.normal(size=200) * 0.5

    honest = covered(lambda rng: stats.mean(sample(rng), clusters), 0.0, 600)
    naive = covered(lambda rng: stats.mean(sample(rng)), 0.0, 600)
    assert honest >= 0.93 and naive < 0.7


def test_bootstrap_covers():
    def one(rng):
        x = rng.exponential(size=60)
        return stats.bootstrap(
            lambda w: (w @ x) / w.sum(axis=1), 60, rng=rng, resamples=400, level=0.95
        )

    assert 0.90 <= covered(one, 1.0, 400) <= 0.97


def test_resampling_ten_metrics_of_ten_thousand_texts_is_quick():
    import time

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 10))
    clock = time.perf_counter()
    for j in range(10):
        stats.bootstrap(lambda w, j=j: (w @ x[:, j]) / w.sum(axis=1), 2_000, rng=rng, resamples=500)
    assert time.perf_counter() - clock < 5

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
    kinds = "share cp difference pairs mean flat boot clusters sides lattice judged".split()
    kind = draw(st.sampled_from(kinds))
    if kind == "judged":
        return stats.for_judging(draw(estimates().filter(lambda e: e.method != "judged")))
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
    if kind in ("clusters", "sides"):
        # Both ends of the list are mixed, so that every case has a number.
        x = np.concatenate([[0, 1, 1], rng.random(n + 12) < hits / n, [1, 0]]).astype(float)
        of = [f"c{i // 2}" for i in range(len(x))]
        if kind == "clusters":
            return stats.mean(x, of, low=0.0, high=1.0, level=level)
        member = np.arange(len(x)) < len(x) // 2
        return stats.difference_of_means(x, member, of, low=0.0, high=1.0, level=level)
    x = np.array([0.0] * n + [1.0] * 3) if kind == "lattice" else rng.normal(size=n + 2)
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
    room = 1e-9
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


@settings(max_examples=200, deadline=None)
@given(estimates(), st.sampled_from([0.01, 0.025, 0.05, 0.1]))
def test_a_limit_on_the_bound_itself_has_the_bounds_own_p(e, alpha):
    """The closest a dual can be asked: the p-value at a one-sided bound is its error."""
    low, high = stats.interval(e, 1 - 2 * alpha)
    # A bound that sits on the end of the scale is not where the p-value turns.
    for bound, out, side in ((low, -1e-9, "above"), (high, 1e-9, "below")):
        if abs(bound) in (0, 1) or abs(bound - e.value) < 1e-6:
            continue
        # Quantiles that share a value share the largest of their p-values.
        assert stats.p_beyond(e, bound, side) >= alpha * 0.9999
        assert stats.p_beyond(e, bound + out, side) <= alpha * 1.0001


@pytest.mark.parametrize("n", [5, 50, 300])
def test_values_all_alike_leave_what_was_not_seen(n):
    """The bounds are Clopper and Pearson's of 0 in n, at any level, times the room there is."""
    flat = stats.mean([0.0] * n, low=0.0, high=2.0)
    for level in (0.8, 0.9, 0.95, 0.999):
        exact = stats.interval(stats.clopper_pearson(0, n), level)
        assert stats.interval(flat, level) == pytest.approx((0.0, 2 * exact[1]))
    assert stats.p_beyond(flat, 0.2, "below") == pytest.approx(0.9**n)
    assert stats.p_beyond(flat, 0.0, "above") >= 0.5
    assert stats.p_beyond(flat, -0.1, "above") == 0.0
    off_centre = stats.mean([0.25] * n, low=0.0, high=1.0)
    assert off_centre.high - 0.25 == pytest.approx(3 * (0.25 - off_centre.low))


def test_few_resamples_claim_no_more_than_a_normal_tail():
    x = np.random.default_rng(0).normal(size=40) + 0.45
    e = stats.bootstrap(
        lambda w: (w @ x) / w.sum(axis=1), 40, rng=np.random.default_rng(1), resamples=200
    )
    assert min(e.basis.probs) >= 1 / 201
    least = min(e.basis.values)
    assert stats.p_beyond(e, least, "above") >= 1 / 201
    for alpha in (1e-3, 1e-5):
        low = stats.interval(e, 1 - 2 * alpha)[0]
        assert low < least
        assert stats.p_beyond(e, low, "above") == pytest.approx(alpha, rel=1e-4)


@pytest.mark.parametrize("p", [0.02, 0.05, 0.3])
def test_rare_clustered_shares_cover_and_seldom_pass_wrongly(p):
    """Sixty sources of five texts: a Wald interval passes one broken limit in five here."""
    clusters = [f"c{i // 5}" for i in range(300)]
    rng, inside, passed = np.random.default_rng(5), 0, 0
    for _ in range(600):
        rate = rng.beta(2 * p, 2 * (1 - p), size=60)
        x = (rng.random(300) < np.repeat(rate, 5)).astype(float)
        e = stats.mean(x, clusters, low=0.0, high=1.0)
        inside += e.low <= p <= e.high
        passed += stats.p_beyond(e, p, "below") <= 0.05
    assert inside / 600 >= 0.9 and passed / 600 <= 0.1


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_judged_differences_never_err_more_than_they_say(alpha):
    """Summed over every table: a rare rate, a small group beside a large one, equal truths."""
    from scipy.stats import binom

    n, m = 40, 400
    for p in (0.01, 0.05, 0.3):
        one, two = binom.pmf(np.arange(n + 1), n, p), binom.pmf(np.arange(m + 1), m, p)
        shown = judged = 0.0
        for a in np.flatnonzero(one > 1e-7):
            for b in np.flatnonzero(two > 1e-4):
                e = stats.difference(int(a), n, int(b), m)
                if e.value <= 0:
                    continue
                weight = one[a] * two[b]
                shown += weight * (stats.interval(e, 1 - 2 * alpha)[0] > 0)
                strict = stats.for_judging(e)
                judged += weight * (stats.interval(strict, 1 - 2 * alpha)[0] > 0)
        assert judged <= alpha, p
        if p == 0.01:
            assert shown > alpha


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
    """The second the acceptance allows twice over: CPU time, so that a busy machine does not."""
    import time

    rng = np.random.default_rng(0)
    hits = (rng.random((10_000, 10)) < 0.4).astype(float)
    columns = np.concatenate([hits, np.ones((10_000, 10))], axis=1)
    clusters = [f"c{i // 3}" for i in range(10_000)]
    clock = time.process_time()
    found = stats.bootstrap_totals(lambda t: t[:, :10] / t[:, 10:], columns, clusters, rng=rng)
    assert time.process_time() - clock < 2
    for j, e in enumerate(found):
        assert e.value == pytest.approx(hits[:, j].mean()) and e.n == 3334
        exact = stats.mean(hits[:, j], clusters, low=0.0, high=1.0)
        assert (e.low, e.high) == pytest.approx((exact.low, exact.high), abs=0.002)


def test_totals_and_texts_are_resampled_to_the_same_interval():
    """A ratio of two groups' rates, clusters spanning both: weights of texts against totals."""
    rng = np.random.default_rng(4)
    x, group = rng.random(600) < 0.5, np.arange(600) % 2 == 0
    clusters = [f"c{i // 6}" for i in range(600)]
    columns = np.stack([x & group, group, x & ~group, ~group], axis=1).astype(float)

    def of_totals(t):
        return ((t[:, 0] / t[:, 1]) / (t[:, 2] / t[:, 3]))[:, None]

    def of_texts(w):
        t = w @ columns
        return of_totals(t)[:, 0]

    (one,) = stats.bootstrap_totals(of_totals, columns, clusters, rng=np.random.default_rng(1))
    other = stats.bootstrap(of_texts, 600, clusters, rng=np.random.default_rng(1))
    assert one.value == pytest.approx(other.value)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-6)


def test_totals_that_say_nothing_are_absent_one_by_one():
    rng = np.random.default_rng(0)

    def both(t):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([t[:, 0] / t[:, 1], t[:, 0] / t[:, 2], t[:, 1] / t[:, 1]], axis=1)

    rare = np.stack([rng.random(50), np.ones(50), np.arange(50) == 0], axis=1).astype(float)
    first, second, third = stats.bootstrap_totals(both, rare, rng=rng, resamples=200)
    assert isinstance(first, Estimate)
    assert (second.code, third.code) == ("unstable", "no_variation")
    assert [a.code for a in stats.bootstrap_totals(both, rare[:0], rng=rng)] == ["empty"]
    alone = stats.bootstrap_totals(both, rare, ["c"] * 50, rng=rng)
    assert [a.code for a in alone] == ["too_few"] * 3
    never = stats.bootstrap_totals(lambda t: t[:, :1] * np.nan, rare, rng=rng, resamples=20)
    assert never[0].code == "undefined"


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (lambda: stats.share(0, 0), "empty"),
        (lambda: stats.share(3, 2), "invalid"),
        (lambda: stats.share(-1, 2), "invalid"),
        (lambda: stats.difference(1, 2, 0, 0), "empty"),
        (lambda: stats.difference(0, 0, 1, 2), "empty"),
        (lambda: stats.difference(3, 2, 1, 2), "invalid"),
        (lambda: stats.difference(1, 2, 3, 2), "invalid"),
        (lambda: stats.paired_difference(0, 0, 0), "empty"),
        (lambda: stats.paired_difference(5, 3, 3), "invalid"),
        (lambda: stats.paired_difference(5, -1, 3), "invalid"),
        (lambda: stats.mcnemar(0, 0), "no_change"),
        (lambda: stats.mcnemar(-1, 3), "invalid"),
        (lambda: stats.mean([]), "empty"),
        (lambda: stats.mean([1.0]), "too_few"),
        (lambda: stats.mean([1.0, 2.0], ["a", "a"]), "too_few"),
        (lambda: stats.mean([1.0, float("nan")]), "not_finite"),
        (lambda: stats.mean([2.0, 2.0]), "no_variation"),
        (lambda: stats.mean([2.0, 2.0], low=0.0, high=1.0), "invalid"),
        (lambda: stats.difference_of_means([1.0, 2.0], [True, True]), "empty"),
        (lambda: stats.difference_of_means([1.0, 2.0], [False, False]), "empty"),
        (lambda: stats.difference_of_means([1.0, float("inf")], [True, False]), "not_finite"),
        (lambda: stats.difference_of_means([1.0, 2.0], [True, False]), "too_few"),
        (
            lambda: stats.difference_of_means([1.0, 2, 3, 5], [1, 1, 0, 0], low=0.0, high=4.0),
            "invalid",
        ),
        (lambda: stats.difference_of_means([1.0, 1, 2, 2], [1, 1, 0, 0]), "no_variation"),
        (lambda: stats.sign_flip([]), "empty"),
        (lambda: stats.sign_flip([0.0, 0.0]), "no_change"),
        (lambda: stats.sign_flip([float("nan")]), "not_finite"),
        (lambda: stats.bootstrap(lambda w: w[:, 0], 0, rng=np.random.default_rng(0)), "empty"),
    ],
)
def test_what_cannot_be_estimated_says_why_by_code(found, code):
    said = found()
    assert isinstance(said, Absent) and said.code == code and said.reason


def test_sampled_and_exact_sign_flips_agree():
    """Up to sixteen differences are enumerated, more are drawn; ten tiny ones change nothing."""
    from itertools import product

    x = np.array([0.5, 1.2, -0.3, 0.8, 2.0, -0.6, 1.1, 0.2, 0.9, -0.4])
    flipped = [abs(np.dot(s, x)) >= abs(x.sum()) - 1e-12 for s in product((-1, 1), repeat=10)]
    assert stats.sign_flip(x) == pytest.approx(np.mean(flipped))
    long = np.concatenate([x, np.full(10, 1e-9)])
    assert stats.sign_flip(long) == pytest.approx(np.mean(flipped), abs=0.012)
    many = np.ones(40)
    assert stats.sign_flip(many, resamples=999) == 1 / 1000


def test_adjusting_nothing_gives_nothing_and_a_missing_p_is_refused():
    for adjust in (stats.holm, stats.benjamini_hochberg, stats.benjamini_yekutieli):
        assert len(adjust([])) == 0
        assert adjust([0.03]).tolist() == [0.03]
        with pytest.raises(ValueError, match="leave absent ones out"):
            adjust([0.1, float("nan")])


def test_sizes_of_nothing_detect_nothing():
    assert stats.mde_share(0) is None is stats.mde_difference(0, 5, 0.5)
    assert stats.mde_paired(0, 0.1) is None is stats.mde_mean(1.0, 0)
    assert stats.mde_difference(1, 1, 0.5) is None
    # Twice the power's half: a share near 0 or 1 is not taken to vary not at all.
    assert 0 < stats.mde_share(100, 0.0) < stats.mde_share(100, 0.5)
    assert stats.mde_mean(2.0, 100) == pytest.approx(2 * (1.959964 + 0.841621) / 10, abs=1e-6)


def test_sixteen_differences_are_still_enumerated():
    assert stats.sign_flip(np.ones(16)) == 2 / 2**16
    assert stats.sign_flip(np.ones(17), resamples=99) == 1 / 100


def test_each_side_of_a_difference_needs_two_units_of_its_own():
    x, many = [0.0, 1.0, 1.0, 0.0, 1.0, 0.5], ["a", "b", "c", "d", "e", "f"]
    mine = [True] * 4 + [False] * 2
    assert stats.difference_of_means(x, mine, many).n == 2
    assert stats.difference_of_means(x, [not m for m in mine], many).n == 2
    for member in (mine, [not m for m in mine]):
        found = stats.difference_of_means(x, member, ["a", "b", "c", "d", "e", "e"])
        assert isinstance(found, Absent) and found.code == "too_few"


def test_a_limit_met_exactly_is_half_and_one_that_is_kept_is_one():
    e = stats.share(5, 10)
    for side in ("above", "below"):
        assert stats.p_beyond(e, 0.5, side) == 0.5
    assert stats.p_beyond(e, 0.4, "below") == 1.0 == stats.p_beyond(e, 0.6, "above")


def test_sizes_at_their_ends_have_a_formula_of_their_own():
    z, z_power = 1.959963985, 0.841621234
    from audit.power import needed_difference, needed_pairs

    gap = stats.mde_share(100)
    assert gap * 10 == pytest.approx(z * 0.5 + z_power * np.sqrt(0.25 - gap**2))
    middle = np.sqrt(2 * 0.95 * 0.05)
    assert needed_difference(0.9, 1.0) == pytest.approx(
        ((z * middle + z_power * np.sqrt(0.09)) / 0.1) ** 2
    )
    assert needed_difference(0.0, 0.1) == pytest.approx(needed_difference(1.0, 0.9))
    assert needed_pairs(1.0, 0.2) == pytest.approx(((z + z_power * np.sqrt(0.96)) / 0.2) ** 2)
    assert needed_pairs(0.2, 0.2) == pytest.approx(
        ((z * np.sqrt(0.2) + z_power * np.sqrt(0.16)) / 0.2) ** 2
    )
    assert needed_pairs(1.1, 0.2) is None is needed_difference(1.1, 0.2)
    assert needed_difference(0.2, -0.1) is None is needed_difference(0.2, 0.2)

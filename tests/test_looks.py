"""Bounds that hold over all declared looks together, whatever the number rests on."""

import numpy as np
import pytest

from audit import looks, stats
from audit.borders import read_json, write_json
from audit.errors import ResultError
from audit.intervals import by_itself, interval, looked_at, p_beyond
from audit.stats import for_judging
from audit.types import Estimate

KINDS = (
    stats.share(19, 200),
    stats.share(0, 200),
    stats.difference(40, 200, 20, 300),
    stats.paired_difference(500, 30, 12),
    stats.mean(np.linspace(0, 1, 50), low=0.0, high=1.0),
    stats.bootstrap(lambda w: w @ np.linspace(0, 1, 50), 50, rng=np.random.default_rng(0)),
)


def test_the_schedule_grows_to_all_texts_from_a_number_that_says_something():
    assert looks.schedule(2000) == (44, 62, 88, 125, 177, 250, 354, 500, 707, 1000, 1414, 2000)
    assert looks.schedule(20) == (20,)
    assert len(looks.schedule(10**7)) == looks.MOST
    for units in (40, 333, 2000):
        steps = looks.schedule(units)
        for i, n in enumerate(steps, 1):
            assert n == pytest.approx(units * looks.share(i, len(steps)), abs=0.5)


def test_one_look_costs_nothing():
    for p in (1e-8, 0.01, 0.05, 0.3):
        assert looks.p_of(p, 1, 1) == pytest.approx(p, rel=2e-3)
        assert looks.alone(p, 1, 1) == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize("number", [1, 4, 12])
def test_the_p_value_is_the_dual_of_the_bound(number):
    for look in range(max(1, number - 5), number + 1):
        for alpha in (0.3, 0.05, 0.005):
            assert looks.p_of(looks.alone(alpha, look, number), look, number) == pytest.approx(
                alpha, rel=1e-9
            )


@pytest.mark.parametrize("number", [3, 12])
def test_the_chance_of_ever_crossing_is_alpha_and_the_power_is_what_walks_show(number):
    """Against 200,000 random walks, which know nothing of the recursion."""
    rng, walks = np.random.default_rng(0), 200_000
    times = np.array([looks.share(i, number) for i in range(1, number + 1)])
    steps = np.diff(times, prepend=0.0)
    noise = np.cumsum(rng.normal(size=(walks, number)) * np.sqrt(steps), axis=1)
    for drift in (0.0, 2.83, 5.0):
        z = (noise + drift * times) / np.sqrt(times)
        border = np.array([-_quantile(looks.alone(0.05, i, number)) for i in range(1, number + 1)])
        ever = np.maximum.accumulate(z >= border, axis=1).mean(axis=0)
        np.testing.assert_allclose(looks.crossing(drift, 0.05, number), ever, atol=0.004)
    assert looks.crossing(0.0, 0.05, number)[-1] == pytest.approx(0.05, abs=1e-4)


def _quantile(p):
    from scipy.special import ndtri

    return float(ndtri(p))


@pytest.mark.parametrize("e", KINDS, ids=lambda e: e.method)
def test_a_number_looked_at_is_wider_and_keeps_every_promise_of_an_estimate(e):
    seen = [looked_at(e, look, 6, 100) for look in (2, 4, 6)]
    widths = [one.high - one.low for one in seen]
    assert widths[0] >= widths[1] >= widths[2] > e.high - e.low
    for one in seen:
        assert interval(one, one.level) == (one.low, one.high)
        assert by_itself(one) == e
        judged = for_judging(one)
        assert judged.method == for_judging(e).method
        for alpha in (0.2, 0.05):
            low, _ = interval(judged, 1 - 2 * alpha)
            assert (p_beyond(judged, low - 1e-6, "above") <= alpha + 1e-9) or low <= 0
            if low > e.value - 0.9 and low < e.value - 1e-6:
                assert p_beyond(judged, low + 1e-4, "above") > alpha - 1e-9
        assert read_json(Estimate, write_json(one), error=ResultError, at="x") == one
    with pytest.raises(ValueError, match="once"):
        looked_at(seen[0], 1, 2, 3)


@pytest.mark.parametrize("limit", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("side", ["above", "below"])
def test_exact_counts_err_rarely_over_all_looks_together(limit, side):
    """A share that lies at its limit: who looks at every look is misled one time in 20 at most."""
    rng, units, walks = np.random.default_rng(7), 800, 1_000
    steps = looks.schedule(units)
    hits = np.cumsum(rng.random((walks, units)) < limit, axis=1)
    known = {}

    def p(k, look):
        if (k, look) not in known:
            e = looked_at(stats.share(k, steps[look - 1]), look, len(steps), 0)
            known[k, look] = p_beyond(for_judging(e), limit, side)
        return known[k, look]

    wrong = sum(
        any(p(int(walk[n - 1]), i) <= 0.05 for i, n in enumerate(steps, 1)) for walk in hits
    )
    # 5 % and three standard errors of a thousand walks.
    assert wrong / walks <= 0.05 + 3 * (0.05 * 0.95 / walks) ** 0.5

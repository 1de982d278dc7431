"""From what an estimate rests on to an interval at any level and a p-value at any limit.

Each method's p-value is the dual of its interval: the limit is beyond the interval exactly when the
p-value says so.
"""

from collections.abc import Callable
from math import sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from audit.types import Basis, Counts, Estimate, Means, Pairs, Quantiles, TwoCounts

Side = Literal["above", "below"]
_NORMAL = NormalDist()


def z_of(p: float) -> float:
    """Return the standard normal quantile of `p`."""
    return _NORMAL.inv_cdf(p)


def quantile_of_t(p: float, df: float) -> float:
    """Return the quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, p))


def interval(estimate: Estimate, level: float) -> tuple[float, float]:
    """Return the two-sided interval of an estimate at another level, from its basis alone."""
    return interval_of(estimate.value, estimate.basis, estimate.method, level)


def interval_of(value: float, basis: Basis, method: str, level: float) -> tuple[float, float]:
    """Return the interval at `level`, always around `value`."""
    low, high = _bounds(basis, method, level)
    return min(value, low), max(value, high)


def p_beyond(estimate: Estimate, limit: float, side: Side) -> float:
    """Return a one-sided p-value that the truth lies beyond `limit`.

    Args:
        estimate: Any estimate.
        limit: What the truth is held against.
        side: ``above``: evidence that the truth exceeds `limit`; ``below``: that it falls short.

    Returns:
        In [0, 1]; at most alpha exactly when the interval at level 1 - 2 alpha lies beyond `limit`.
        Never below 1 / resamples for a bootstrap.
    """
    if side == "below" and estimate.value >= limit:
        return 1.0 if estimate.value > limit else 0.5
    if side == "above" and estimate.value <= limit:
        return 1.0 if estimate.value < limit else 0.5
    basis, method = estimate.basis, estimate.method
    if isinstance(basis, Quantiles):
        return _quantile_p(basis, limit, side)
    if isinstance(basis, Means):
        from scipy.special import stdtr

        # Beyond the border of what the quantity can be, nothing is left to chance.
        if side == "above" and basis.low is not None and limit < basis.low:
            return 0.0
        if side == "below" and basis.high is not None and limit > basis.high:
            return 0.0
        distance = abs(basis.mean - limit) / basis.se
        return float(stdtr(basis.df, -distance))
    # Found by halving the level at which the interval just reaches the limit.
    inside, outside = 1e-12, 0.5
    for _ in range(80):
        alpha = sqrt(inside * outside)
        low, high = _bounds(basis, method, 1 - 2 * alpha)
        beyond = low > limit if side == "above" else high < limit
        inside, outside = (inside, alpha) if beyond else (alpha, outside)
        if outside / inside < 1 + 1e-12:
            break
    return outside


def _bounds(basis: Basis, method: str, level: float) -> tuple[float, float]:
    alpha = (1 - level) / 2
    if isinstance(basis, Counts):
        if method == "clopper-pearson":
            return _clopper_pearson(basis.hits, basis.n, alpha)
        return wilson(basis.hits, basis.n, alpha)
    if isinstance(basis, TwoCounts):
        return _newcombe(basis, alpha)
    if isinstance(basis, Pairs):
        return _tango(basis, alpha)
    if isinstance(basis, Means):
        half = quantile_of_t(1 - alpha, basis.df) * basis.se
        low, high = basis.mean - half, basis.mean + half
        low = low if basis.low is None else max(low, basis.low)
        return low, high if basis.high is None else min(high, basis.high)
    low, high = np.interp([alpha, 1 - alpha], basis.probs, basis.values)
    return float(low), float(high)


def wilson(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Return Wilson's score bounds with `alpha` on each side."""
    z, p = -z_of(alpha), hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At p = 0 or 1 the formula meets the border only up to rounding.
    return min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half))


def _clopper_pearson(hits: int, n: int, alpha: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, alpha)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - alpha)) if hits < n else 1.0
    return low, high


def _newcombe(basis: TwoCounts, alpha: float) -> tuple[float, float]:
    a, b = basis.hits / basis.n, basis.other_hits / basis.other_n
    a_low, a_high = wilson(basis.hits, basis.n, alpha)
    b_low, b_high = wilson(basis.other_hits, basis.other_n, alpha)
    gap = a - b
    return (
        gap - float(np.hypot(a - a_low, b_high - b)),
        gap + float(np.hypot(a_high - a, b - b_low)),
    )


def _tango(basis: Pairs, alpha: float) -> tuple[float, float]:
    z, gap = -z_of(alpha), (basis.b - basis.c) / basis.n

    def beyond(delta: float) -> float:
        return tango_z(basis, delta)

    return _root(beyond, z, -1.0, gap), _root(beyond, -z, gap, 1.0)


def tango_z(basis: Pairs, delta: float) -> float:
    """Return Tango's score statistic for a net change of `delta`; falls as `delta` rises."""
    n, b, c = basis.n, basis.b, basis.c
    # The restricted maximum-likelihood share of pairs that went the second way.
    second = -b - c + (2 * n - b + c) * delta
    third = -c * delta * (1 - delta)
    share = (sqrt(max(0.0, second * second - 8 * n * third)) - second) / (4 * n)
    variance = n * (2 * share + delta * (1 - delta))
    score = b - c - n * delta
    if variance <= 1e-15:
        return 0.0 if abs(score) < 1e-12 else float(np.copysign(np.inf, score))
    return score / sqrt(variance)


def _root(f: Callable[[float], float], target: float, low: float, high: float) -> float:

    # f falls from low to high; when it never reaches the target the bound is the border itself.
    if target > 0 and f(low) <= target:
        return low
    if target < 0 and f(high) >= target:
        return high
    for _ in range(200):
        middle = (low + high) / 2
        if f(middle) > target:
            low = middle
        else:
            high = middle
        if high - low < 1e-15:
            break
    return (low + high) / 2


def _quantile_p(basis: Quantiles, limit: float, side: Side) -> float:
    below = float(np.interp(limit, basis.values, basis.probs))
    p = below if side == "above" else 1 - below
    return max(p, min(q for q in basis.probs if q > 0))

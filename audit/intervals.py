"""From what an estimate rests on to an interval at any level and a p-value at any limit.

Each method's p-value is the dual of its interval: the limit is beyond the interval exactly when the
p-value says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import hypot, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from audit import contrasts, looks, scales
from audit.contrasts import falling_root
from audit.types import (
    Basis,
    Counts,
    Estimate,
    Floats,
    Looks,
    Means,
    Pairs,
    Quantiles,
    Stream,
    TwoCounts,
    TwoMeans,
)

Side = Literal["above", "below"]
_NORMAL = NormalDist()
_LEAST_P = 1e-12
_FAR = -_NORMAL.inv_cdf(_LEAST_P)
_CONTRASTS: Mapping[str, Callable[[TwoCounts, float], tuple[float, float]]] = {
    "miettinen-nurminen": contrasts.miettinen_nurminen,
    "agresti-caffo": contrasts.agresti_caffo,
    "ratio-score": contrasts.ratio_score,
    "katz": contrasts.katz,
}
_EXACT = {
    "wilson": "clopper-pearson",
    "newcombe": "newcombe-exact",
    "miettinen-nurminen": "newcombe-exact",
    "agresti-caffo": "newcombe-exact",
    "ratio-score": "ratio-exact",
    "katz": "ratio-exact",
    "tango": "paired-exact",
    "bonett-price": "paired-exact",
    "paired-wald": "paired-exact",
    "beta-mixture": "beta-mixture-sided",
    "logit-delong": "logit-delong-t",
    "delong-gap": "delong-gap-t",
}
"""What is shown to what is judged by."""


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


def estimated(
    value: float,
    basis: Basis,
    method: str,
    n: int,
    level: float,
    *,
    mde: float | None = None,
    n_effective: float | None = None,
) -> Estimate:
    """Return a number with the interval that its basis gives at `level`."""
    low, high = interval_of(value, basis, method, level)
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=int(n),
        n_effective=n_effective,
        level=level,
        method=method,
        mde=mde,
        basis=basis,
    )


def looked_at(estimate: Estimate, look: int, of: int, texts: int) -> Estimate:
    """Return a number as one seen at look `look` of the `of` declared, with `texts` texts read."""
    if isinstance(estimate.basis, Looks):
        raise ValueError("a number is looked at once")
    basis = Looks(look=look, looks=of, texts=texts, of=estimate.basis)
    low, high = interval_of(estimate.value, basis, estimate.method, estimate.level)
    return replace(estimate, low=low, high=high, basis=basis)


def by_itself(estimate: Estimate) -> Estimate:
    """Return a number as if it had been looked at once, whenever that was."""
    if not isinstance(estimate.basis, Looks):
        return estimate
    basis = estimate.basis.of
    low, high = interval_of(estimate.value, basis, estimate.method, estimate.level)
    return replace(estimate, low=low, high=high, basis=basis)


def certain(value: float, n: int, method: str, level: float) -> Estimate:
    """Return a number that follows from `n` units without any chance, such as a count of them."""
    basis = Means(mean=value, se=0.0, df=float(max(1, n - 1)), low=value, high=value)
    return estimated(value, basis, method, n, level)


def p_beyond(estimate: Estimate, limit: float, side: Side) -> float:
    """Return a one-sided p-value that the truth lies beyond `limit`.

    Args:
        estimate: Any estimate.
        limit: What the truth is held against.
        side: ``above``: evidence that the truth exceeds `limit`; ``below``: that it falls short.

    Returns:
        In [0, 1]; at most alpha exactly when the interval at level 1 - 2 alpha lies beyond `limit`.
    """
    if side == "below" and estimate.value >= limit:
        return 1.0 if estimate.value > limit else 0.5
    if side == "above" and estimate.value <= limit:
        return 1.0 if estimate.value < limit else 0.5
    basis, method = estimate.basis, estimate.method
    if isinstance(basis, Looks):
        p = p_beyond(replace(estimate, basis=basis.of), limit, side)
        return looks.p_of(p, basis.look, basis.looks)
    if isinstance(basis, Quantiles):
        return _quantile_p(basis, limit, side)
    if isinstance(basis, Means):
        if basis.se == 0:
            return _constant_p(basis, limit, side)
        from scipy.special import stdtr

        # Beyond the border of what the quantity can be, nothing is left to chance.
        if side == "above" and basis.low is not None and limit < basis.low:
            return 0.0
        if side == "below" and basis.high is not None and limit > basis.high:
            return 0.0
        se = basis.se
        if method.startswith("logit-"):
            away = scales.logit_distance(basis, limit)
            return _NORMAL.cdf(-away) if method == "logit-delong" else float(stdtr(basis.df, -away))
        if method == "cluster-wilson":
            if not 0 < limit < 1:
                return 0.0
            se *= sqrt(limit * (1 - limit) / (basis.mean * (1 - basis.mean)))
        return float(stdtr(basis.df, -abs(basis.mean - limit) / se))
    return _p_of_bounds(basis, method, limit, side)


def _p_of_bounds(basis: Basis, method: str, limit: float, side: Side) -> float:
    """Return the error at which the bound just reaches the limit, never below 1e-12.

    In normal quantiles bounds are nearly straight lines, so false position finds it in few steps;
    every third step halves, where they are not.
    """

    def clear(z: float) -> float:
        low, high = _bounds(basis, method, 1 - 2 * _NORMAL.cdf(-z))
        return low - limit if side == "above" else limit - high

    near, far = 0.0, _FAR
    at_near, at_far = clear(1e-9), clear(far)
    if at_far > 0:
        return _NORMAL.cdf(-far)
    if at_near <= 0:
        return 0.5
    step = 0
    while far - near >= 1e-10:
        z = near + (far - near) * at_near / (at_near - at_far)
        if step % 3 == 2 or not near < z < far:
            z = (near + far) / 2
        step += 1
        found = clear(z)
        if found > 0:
            near, at_near, at_far = z, found, at_far / 2
        else:
            far, at_far, at_near = z, found, at_near / 2
    return _NORMAL.cdf(-far)


def for_judging(estimate: Estimate) -> Estimate:
    """Return the same number with the bounds to use where a verdict hangs on it.

    Counts get Clopper and Pearson's bounds, differences and ratios the hybrid of these. The score
    intervals shown elsewhere cover well on average, but far out in one tail, where Holm looks, a
    rare event in a small group beside a large one gives them many times the error they state.

    Source:
        Donner & Zou (2012), doi:10.1177/0962280210385746, for hybrids of single bounds.
    """
    if estimate.method not in _EXACT:
        return estimate
    method = _EXACT[estimate.method]
    low, high = interval_of(estimate.value, estimate.basis, method, estimate.level)
    return replace(estimate, method=method, low=low, high=high)


def _bounds(basis: Basis, method: str, level: float) -> tuple[float, float]:
    alpha = (1 - level) / 2
    if isinstance(basis, Looks):
        error = looks.alone(alpha, basis.look, basis.looks)
        return _bounds(basis.of, method, 1 - 2 * error)
    if isinstance(basis, Counts):
        if method == "clopper-pearson":
            return _clopper_pearson(basis.hits, basis.n, alpha)
        if method == "beta-mixture":
            return scales.mixture(basis, 2 * alpha)
        if method == "beta-mixture-sided":
            # The mixture wins on both sides together; one side alone may claim no half of it.
            return scales.mixture(basis, alpha)
        return wilson(basis.hits, basis.n, alpha)
    if isinstance(basis, TwoCounts):
        return _two_counts(basis, method, alpha)
    if isinstance(basis, TwoMeans):
        inner = "logit-" + method.replace("-gap", "")
        one, other = (_bounds(side, inner, level) for side in (basis.one, basis.other))
        return scales.hybrid(basis, one, other)
    if isinstance(basis, Stream):
        return scales.stream_bounds(basis, alpha)
    if isinstance(basis, Pairs):
        if method in scales.PAIRED:
            return scales.PAIRED[method](basis, -z_of(alpha))
        return _paired_exact(basis, alpha) if method == "paired-exact" else _tango(basis, alpha)
    if isinstance(basis, Means):
        if basis.se == 0:
            return _constant(basis, alpha)
        if method == "cluster-wilson":
            return _cluster_wilson(basis, alpha)
        if method.startswith("logit-"):
            normal = method == "logit-delong"
            return scales.logit_bounds(
                basis, -z_of(alpha) if normal else quantile_of_t(1 - alpha, basis.df)
            )
        half = quantile_of_t(1 - alpha, basis.df) * basis.se
        low, high = basis.mean - half, basis.mean + half
        low = low if basis.low is None else max(low, basis.low)
        return low, high if basis.high is None else min(high, basis.high)
    return _quantile(basis, alpha), _quantile(basis, 1 - alpha)


def _two_counts(basis: TwoCounts, method: str, alpha: float) -> tuple[float, float]:
    if method in _CONTRASTS:
        return _CONTRASTS[method](basis, -z_of(alpha))
    if method == "ratio-exact":
        own = _clopper_pearson(basis.hits, basis.n, alpha)
        other = _clopper_pearson(basis.other_hits, basis.other_n, alpha)
        return contrasts.ratio_exact(basis, own, other)
    return _newcombe(basis, _clopper_pearson if method == "newcombe-exact" else wilson, alpha)


def wilson(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Return Wilson's score bounds with `alpha` on each side."""
    return _score(hits / n, n, -z_of(alpha))


def _score(p: float, n: float, z: float) -> tuple[float, float]:
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At p = 0 or 1 the formula meets the border only up to rounding.
    return min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half))


def _clopper_pearson(hits: int, n: int, alpha: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, alpha)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - alpha)) if hits < n else 1.0
    return low, high


Single = Callable[[int, int, float], tuple[float, float]]


def _newcombe(basis: TwoCounts, single: Single, alpha: float) -> tuple[float, float]:
    a, b = basis.hits / basis.n, basis.other_hits / basis.other_n
    a_low, a_high = single(basis.hits, basis.n, alpha)
    b_low, b_high = single(basis.other_hits, basis.other_n, alpha)
    gap = a - b
    return gap - hypot(a - a_low, b_high - b), gap + hypot(a_high - a, b - b_low)


def _paired_exact(basis: Pairs, alpha: float) -> tuple[float, float]:
    n, b, c = basis.n, basis.b / basis.n, basis.c / basis.n
    b_low, b_high = _clopper_pearson(basis.b, n, alpha)
    c_low, c_high = _clopper_pearson(basis.c, n, alpha)
    # Two shares of one whole pull against each other, which widens their difference.
    pull = sqrt(b * c / ((1 - b) * (1 - c))) if b < 1 and c < 1 else 0.0

    def spread(one: float, two: float) -> float:
        return sqrt(one * one + two * two + 2 * pull * one * two)

    return (
        max(-1.0, b - c - spread(b - b_low, c_high - c)),
        min(1.0, b - c + spread(b_high - b, c - c_low)),
    )


def _constant(basis: Means, alpha: float) -> tuple[float, float]:
    # df + 1 equal units: what was not seen has at most this probability.
    unseen = 1 - alpha ** (1 / (basis.df + 1))
    low = basis.mean if basis.low is None else basis.low
    high = basis.mean if basis.high is None else basis.high
    return basis.mean - unseen * (basis.mean - low), basis.mean + unseen * (high - basis.mean)


def _constant_p(basis: Means, limit: float, side: Side) -> float:
    end = basis.low if side == "above" else basis.high
    if end is None:
        return 1.0
    room, needed = abs(basis.mean - end), abs(basis.mean - limit)
    return 0.0 if needed > room else float((1 - needed / room) ** (basis.df + 1))


def _cluster_wilson(basis: Means, alpha: float) -> tuple[float, float]:
    p = basis.mean
    effective = p * (1 - p) / basis.se**2
    return _score(p, effective, quantile_of_t(1 - alpha, basis.df))


def _tango(basis: Pairs, alpha: float) -> tuple[float, float]:
    z, gap = -z_of(alpha), (basis.b - basis.c) / basis.n

    def beyond(delta: float) -> float:
        return tango_z(basis, delta)

    return falling_root(beyond, z, -1.0, gap), falling_root(beyond, -z, gap, 1.0)


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


def _quantile_points(basis: Quantiles) -> tuple[Floats, Floats]:
    """Return normal quantiles and values, with one far point on each side.

    Beyond what was drawn the tail goes on like a normal one with the spread of the whole.
    """
    z, v = np.array([z_of(p) for p in basis.probs]), np.array(basis.values)
    slope = (v[-1] - v[0]) / (z[-1] - z[0])
    far = 40.0
    z = np.concatenate([[-far], z, [far]])
    v = np.concatenate([[v[0] - slope * (far + z[1])], v, [v[-1] + slope * (far - z[-2])]])
    return z, v


def _quantile(basis: Quantiles, p: float) -> float:
    z, v = _quantile_points(basis)
    return float(np.interp(z_of(p), z, v))


def _quantile_p(basis: Quantiles, limit: float, side: Side) -> float:
    z, v = _quantile_points(basis)
    if side == "below":
        z, v, limit = -z[::-1], -v[::-1], -limit
    # Where several quantiles share a value, the p-value is the largest that fits.
    i = int(np.searchsorted(v, limit, side="right"))
    if i in (0, len(v)):
        return _LEAST_P if i == 0 else 1.0
    p = _NORMAL.cdf(z[i - 1] + (limit - v[i - 1]) / (v[i] - v[i - 1]) * (z[i] - z[i - 1]))
    # What was drawn says nothing of tails so far out, and no number is proof.
    return max(_LEAST_P, p)

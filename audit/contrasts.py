"""Bounds of the difference or the ratio of two independent proportions, from their counts."""

from collections.abc import Callable
from math import acos, copysign, cos, exp, inf, log, pi, sqrt

from audit.types import TwoCounts

Bounds = tuple[float, float]
_LARGEST = 1e12
"""Ratios are not followed further; no table of real size bounds one so loosely."""


def miettinen_nurminen(basis: TwoCounts, z: float) -> Bounds:
    """Return the differences whose score statistic lies within `z` of 0, in [-1, 1].

    Source:
        Miettinen & Nurminen (1985), Statistics in Medicine 4, pp. 213-226. statsmodels 0.15's
        ``method="score", compare="diff"`` leaves the restricted maximum (its issue 10269).
    """
    gap = basis.hits / basis.n - basis.other_hits / basis.other_n

    def beyond(delta: float) -> float:
        return difference_z(basis, delta)

    return falling_root(beyond, z, -1.0, gap), falling_root(beyond, -z, gap, 1.0)


def difference_z(basis: TwoCounts, delta: float) -> float:
    """Return Miettinen and Nurminen's score statistic of a difference `delta`; falls in `delta`."""
    x1, n1, x2, n2 = basis.hits, basis.n, basis.other_hits, basis.other_n
    total, hits = n1 + n2, x1 + x2
    # The restricted maximum-likelihood share of the other side: a root of a cubic.
    c2 = ((total + n2) * delta - total - hits) / (3 * total)
    c1 = ((n2 * delta - total - 2 * x2) * delta + hits) / total
    c0 = x2 * delta * (1 - delta) / total
    q = c2**3 - c1 * c2 / 2 + c0 / 2
    p = copysign(sqrt(max(0.0, c2 * c2 - c1 / 3)), q)
    angle = (pi + acos(min(1.0, max(-1.0, q / p**3)))) / 3 if p else pi / 2
    other = min(1.0, max(0.0, 2 * p * cos(angle) - c2))
    own = min(1.0, max(0.0, other + delta))
    variance = (own * (1 - own) / n1 + other * (1 - other) / n2) * total / max(1, total - 1)
    return _over(x1 / n1 - x2 / n2 - delta, variance)


def agresti_caffo(basis: TwoCounts, z: float) -> Bounds:
    """Return Wald bounds after one more hit and one more miss on each side, within [-1, 1].

    Source:
        Agresti & Caffo (2000), The American Statistician 54(4), pp. 280-288.
    """
    a, n = (basis.hits + 1) / (basis.n + 2), basis.n + 2
    b, m = (basis.other_hits + 1) / (basis.other_n + 2), basis.other_n + 2
    half = z * sqrt(a * (1 - a) / n + b * (1 - b) / m)
    return max(-1.0, a - b - half), min(1.0, a - b + half)


def ratio_score(basis: TwoCounts, z: float) -> Bounds:
    """Return the ratios whose score statistic lies within `z` of 0; the other side has a hit.

    Source:
        Koopman (1984), Biometrics 40, pp. 513-517; with the factor N / (N - 1) of Miettinen &
        Nurminen (1985), Statistics in Medicine 4, pp. 213-226.
    """
    value = ratio_of(basis)

    def beyond(logarithm: float) -> float:
        return ratio_z(basis, exp(logarithm))

    low = 0.0
    if basis.hits:
        start, step = log(value), 1.0
        while beyond(start - step) < z and step < log(_LARGEST):
            step *= 2
        low = exp(falling_root(beyond, z, start - step, start))
    start, step = log(max(value, 1e-9)), 1.0
    while beyond(start + step) > -z and start + step < log(_LARGEST):
        step *= 2
    return low, exp(falling_root(beyond, -z, start, start + step))


def ratio_z(basis: TwoCounts, ratio: float) -> float:
    """Return Miettinen and Nurminen's score statistic of a ratio; falls as it rises."""
    x1, n1, x2, n2 = basis.hits, basis.n, basis.other_hits, basis.other_n
    # The restricted maximum-likelihood share of the other side: a root of a quadratic.
    a = (n1 + n2) * ratio
    b = n1 * ratio + x1 + n2 + x2 * ratio
    root = sqrt(max(0.0, b * b - 4 * a * (x1 + x2)))
    # The form that does not subtract near equals.
    other = min(1.0, 2 * (x1 + x2) / (b + root))
    own = min(1.0, ratio * other)
    variance = own * (1 - own) / n1 + ratio * ratio * other * (1 - other) / n2
    variance *= (n1 + n2) / max(1, n1 + n2 - 1)
    return _over(x1 / n1 - ratio * x2 / n2, variance)


def katz(basis: TwoCounts, z: float) -> Bounds:
    """Return the bounds of a ratio on the logarithmic scale; both sides have a hit.

    Source:
        Katz, Baptista, Azen & Pike (1978), Biometrics 34, pp. 469-474.
    """
    value = ratio_of(basis)
    half = z * sqrt(1 / basis.hits - 1 / basis.n + 1 / basis.other_hits - 1 / basis.other_n)
    return value * exp(-half), value * exp(half)


def ratio_exact(basis: TwoCounts, own: Bounds, other: Bounds) -> Bounds:
    """Return the ratio's hybrid bounds from bounds of each side's share; the other's has a hit.

    Source:
        Donner & Zou (2012), Statistical Methods in Medical Research 21(4), pp. 347-359, section 2,
        doi:10.1177/0962280210385746.
    """
    a, b = basis.hits / basis.n, basis.other_hits / basis.other_n
    (a_low, a_high), (b_low, b_high) = own, other

    def bound(edge: float, far: float, sign: int) -> float:
        # `far` < 2b always: Clopper and Pearson's upper bound may pass 2b for a rare share.
        below = far * (2 * b - far)
        if below <= 0:
            return edge / far
        room = (a * b) ** 2 - edge * (2 * a - edge) * below
        return (a * b + sign * sqrt(max(0.0, room))) / below

    return max(0.0, bound(a_low, b_high, -1)), bound(a_high, b_low, 1)


def ratio_of(basis: TwoCounts) -> float:
    """Return the ratio, rounded once: 44/100 over 55/100 is 0.8 and not the float before it."""
    return (basis.hits * basis.other_n) / (basis.n * basis.other_hits)


def falling_root(f: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Return where `f`, which falls from `low` to `high`, meets `target`; else the nearer end."""
    if target > 0 and f(low) <= target:
        return low
    if target < 0 and f(high) >= target:
        return high
    # Wider than the spacing of floats at either end, so that halving reaches it.
    while high - low > 1e-15 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2
        if f(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _over(score: float, variance: float) -> float:
    if variance <= 1e-18:
        return 0.0 if abs(score) < 1e-12 else copysign(inf, score)
    return score / sqrt(variance)

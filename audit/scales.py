"""Bounds that are straight lines on another scale: logits, mixtures over time, adjusted pairs."""

from collections.abc import Callable, Mapping
from math import exp, inf, log, sqrt

from audit.contrasts import Bounds, falling_root
from audit.types import Counts, Means, Pairs, Stream, TwoMeans


def logit_bounds(basis: Means, t: float) -> Bounds:
    """Return bounds `t` standard errors away on the logit scale, within (0, 1).

    Source:
        Pepe (2003), The Statistical Evaluation of Medical Tests, section 5.2, for AUCs.
    """
    middle, half = _logit(basis.mean), t * _logit_se(basis)
    return _expit(middle - half), _expit(middle + half)


def logit_distance(basis: Means, limit: float) -> float:
    """Return how many standard errors `limit` lies from the mean on the logit scale."""
    if not 0 < limit < 1:
        return inf
    return abs(_logit(basis.mean) - _logit(limit)) / _logit_se(basis)


def mixture(basis: Counts, alpha: float) -> Bounds:
    """Return the shares against which a uniform mixture of alternatives has not yet won `1/alpha`.

    Source:
        Robbins (1970), Annals of Mathematical Statistics 41(5), pp. 1397-1409; Howard et al.
        (2021), Annals of Statistics 49(2), doi:10.1214/20-AOS1991.
    """
    from scipy.special import betaln

    hits, misses = basis.hits, basis.n - basis.hits
    constant = float(betaln(hits + 1, misses + 1))

    def gain(p: float) -> float:
        if (hits and p <= 0) or (misses and p >= 1):
            return inf
        own = hits * log(p) if hits else 0.0
        return constant - own - (misses * log(1 - p) if misses else 0.0)

    value, needed = basis.hits / basis.n, -log(alpha)
    low = falling_root(gain, needed, 0.0, value)
    return low, falling_root(lambda p: -gain(p), -needed, value, 1.0)


def stream_bounds(basis: Stream, alpha: float) -> Bounds:
    """Return the bounds of a stream's mean with `alpha` on each side, at any time of looking."""
    half = basis.slack - basis.scale * log(alpha)
    return max(basis.low, basis.centre - half), min(basis.high, basis.centre + half)


def hybrid(basis: TwoMeans, one: Bounds, other: Bounds) -> Bounds:
    """Return the bounds of a difference from those of its two sides, whose errors go together.

    Source:
        Zou & Donner (2008), Statistics in Medicine 27, pp. 1693-1702, doi:10.1002/sim.3095, and
        Zou (2007), Psychological Methods 12(4), for the term of correlation.
    """
    a, b, pull = basis.one.mean, basis.other.mean, basis.correlation

    def apart(x: float, y: float) -> float:
        return sqrt(max(0.0, x * x + y * y - 2 * pull * x * y))

    low = a - b - apart(a - one[0], other[1] - b)
    return max(-1.0, low), min(1.0, a - b + apart(one[1] - a, b - other[0]))


def _bonett_price(basis: Pairs, z: float) -> Bounds:
    return _wald(Pairs(n=basis.n + 2, b=basis.b + 1, c=basis.c + 1), z)


def _wald(basis: Pairs, z: float) -> Bounds:
    n, net = basis.n, (basis.b - basis.c) / basis.n
    half = z * sqrt(max(0.0, (basis.b + basis.c) / n - net * net) / n)
    return max(-1.0, net - half), min(1.0, net + half)


PAIRED: Mapping[str, Callable[[Pairs, float], Bounds]] = {
    "bonett-price": _bonett_price,
    "paired-wald": _wald,
}


def _logit(p: float) -> float:
    return log(p / (1 - p))


def _logit_se(basis: Means) -> float:
    return basis.se / (basis.mean * (1 - basis.mean))


def _expit(x: float) -> float:
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))

"""How many searches have found something by a given cost, those that were broken off counted right.

A search that finds something does so at a cost (queries, share of words changed). One that was
broken off is *censored* at the cost it had reached: until then it had found nothing, and what it
would have found is unknown. One that came to its end without finding anything never will: it stays
under risk for ever.
"""

from collections.abc import Sequence
from math import exp, inf, isnan, log, sqrt

import numpy as np

from audit import stats
from audit.intervals import z_of
from audit.resampling import by_cluster
from audit.types import Absent, Estimate, Floats, Quantiles

_PROBS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
"""Where the interval's quantiles are kept, on the lower side; the upper one mirrors it."""

NEVER = inf
"""Cost at which a search that ended by itself without success would succeed."""


def found_by(
    cost: Sequence[float] | Floats,
    found: Sequence[bool] | np.ndarray,
    at: float,
    clusters: Sequence[str | None] | None = None,
    *,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the share of searches that find something at a cost of `at` or less.

    One less Kaplan and Meier's product, with pointwise intervals on the scale of log(-log).

    Args:
        cost: What each search had cost when it found something or was broken off, shape ``(n,)``,
            none below 0; `NEVER` for one that ended by itself without finding anything.
        found: Whether it found something, shape ``(n,)``.
        at: The cost asked about; a search broken off at just this cost was under risk there.
        clusters: Cluster of each search, as in `stats.mean`; None: a cluster of its own.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The share in [0, 1]; `Absent` for no search, costs that are not numbers, or where every
        search had been broken off before `at` (the curve ends there). While nothing, or once
        everything, has been found the scale has no width: the interval is then Wilson's for the
        searches still under risk at `at`, or for those that found something. `n` counts clusters.

    Source:
        Kaplan & Meier (1958), JASA 53, pp. 457-481; Kalbfleisch & Prentice (2002), The Statistical
        Analysis of Failure Time Data, section 1.4, for log(-log); Williams (1995), Biometrics 51,
        pp. 1324-1328 (infinitesimal jackknife), for clusters, of which Greenwood's formula is the
        case without any.
    """
    x, hit = np.asarray(cost, np.float64).ravel(), np.asarray(found, bool).ravel()
    if x.size == 0:
        return Absent(code="empty", reason="no search was left to measure")
    if isnan(at) or np.isnan(x).any() or (x < 0).any() or np.isinf(x[hit]).any():
        return Absent(code="not_finite", reason="a cost is not a number that a search can have")
    events = hit & (x <= at)
    if not (x >= at).any() and not _all_found(x, events):
        return Absent(
            code="censored", reason="every search had found something or been broken off before"
        )
    survival, influence = _product(x, events)
    totals, _ = by_cluster(influence, clusters)
    groups = len(totals)
    if survival in (0.0, 1.0):
        return _at_the_end(x, events, at, clusters, groups, level)
    variance = float(totals @ totals)
    if groups < x.size:
        if groups < 2:
            return Absent(code="too_few", reason="fewer than two independent units")
        # Clusters that happen to differ less than single searches would are no evidence of accord.
        variance = max(groups / (groups - 1) * variance, float(influence @ influence))
    return _loglog(survival, sqrt(variance), groups, level)


def influence_by(cost: Sequence[float] | Floats, found: Sequence[bool], at: float) -> Floats:
    """Return how far each search moves `found_by`, shape ``(n,)``; see `types.Influence`."""
    x, hit = np.asarray(cost, np.float64).ravel(), np.asarray(found, bool).ravel()
    survival, influence = _product(x, hit & (x <= at))
    return -survival * influence


def _all_found(x: Floats, events: np.ndarray) -> bool:
    last = float(x.max())
    return bool(events[x == last].all())


def _product(x: Floats, events: np.ndarray) -> tuple[float, Floats]:
    """Return the product-limit estimate, and each search's influence on its logarithm."""
    survival, influence = 1.0, np.zeros(len(x))
    for time in np.unique(x[events]):
        risk = x >= time
        now = events & (x == time)
        n, d = int(risk.sum()), int(now.sum())
        survival *= (n - d) / n
        if n == d:
            return 0.0, influence
        influence -= (now - risk * (d / n)) / (n - d)
    return survival, influence


def _at_the_end(
    x: Floats,
    events: np.ndarray,
    at: float,
    clusters: Sequence[str | None] | None,
    groups: int,
    level: float,
) -> Estimate | Absent:
    kept = events if events.any() else x >= at
    if groups < x.size:
        names = None if clusters is None else [c for c, k in zip(clusters, kept, strict=True) if k]
        return stats.mean(events[kept].astype(float), names, low=0.0, high=1.0, level=level)
    return stats.share(int(events.sum()), int(kept.sum()), level=level)


def _loglog(survival: float, se: float, n: int, level: float) -> Estimate:
    """Return the estimate whose quantiles are normal on log(-log S); `se` is that of log S."""
    width = se / abs(log(survival))
    ends = (1 - level) / 2
    lower = sorted({*_PROBS, ends})
    probs = [*lower, *(1 - p for p in reversed(lower) if p < 0.5)]
    # A larger z is a longer exponent: less survival, more found.
    values = [1 - survival ** exp(z_of(p) * width) for p in probs]
    value = 1 - survival
    low, high = values[probs.index(ends)], values[-1 - probs.index(ends)]
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        n=n,
        level=level,
        method="kaplan-meier",
        mde=2.8 * se * survival,
        basis=Quantiles(probs=tuple(probs), values=tuple(values)),
    )

"""Uncertainty. Every function returns an `Estimate`, or an `Absent` that says why there is none."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from audit.intervals import estimated, for_judging, interval, p_beyond
from audit.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm
from audit.power import mde_difference, mde_mean, mde_paired, mde_share
from audit.resampling import EMPTY, bootstrap, bootstrap_totals, by_cluster, cluster_names
from audit.types import (
    Absent,
    Counts,
    Estimate,
    Floats,
    Means,
    Pairs,
    TwoCounts,
)

__all__ = [
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bootstrap",
    "bootstrap_totals",
    "clopper_pearson",
    "difference",
    "difference_of_means",
    "for_judging",
    "holm",
    "interval",
    "mcnemar",
    "mde_difference",
    "mde_mean",
    "mde_paired",
    "mde_share",
    "mean",
    "p_beyond",
    "paired_difference",
    "share",
    "sign_flip",
]


def share(hits: int, n: int, *, level: float = 0.95) -> Estimate | Absent:
    """Estimate a proportion with Wilson's score interval.

    Args:
        hits: Units with the property, in ``0..n``.
        n: Units observed, each counted once.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The share in [0, 1]; `Absent` ("empty") when ``n == 0``, ("invalid") for impossible counts.

    Source:
        Wilson (1927), JASA 22(158), pp. 209-212; recommended over the Wald interval by
        Brown, Cai & DasGupta (2001), doi:10.1214/ss/1009213286.
    """
    return _share(hits, n, "wilson", level)


def clopper_pearson(hits: int, n: int, *, level: float = 0.95) -> Estimate | Absent:
    """Estimate a proportion with an interval that covers at least as often as it says.

    Source:
        Clopper & Pearson (1934), Biometrika 26(4), pp. 404-413.
    """
    return _share(hits, n, "clopper-pearson", level)


def difference(
    hits: int, n: int, other_hits: int, other_n: int, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate how much larger one proportion is than another, independent one.

    Returns:
        ``hits/n - other_hits/other_n``, signed, in [-1, 1]; `Absent` when either side is empty. `n`
        of the estimate is the smaller side, which is what limits it.

    Source:
        Newcombe (1998), Statistics in Medicine 17, pp. 873-890, method 10.
    """
    if n == 0 or other_n == 0:
        side = "the group" if n == 0 else "its comparison"
        return Absent(code="empty", reason=f"{side} has no text")
    if not (0 <= hits <= n and 0 <= other_hits <= other_n):
        return Absent(code="invalid", reason="more hits than texts")
    basis = TwoCounts(hits=int(hits), n=int(n), other_hits=int(other_hits), other_n=int(other_n))
    return estimated(
        hits / n - other_hits / other_n,
        basis,
        "newcombe",
        min(n, other_n),
        level,
        mde=mde_difference(n, other_n, (hits + other_hits) / (n + other_n)),
    )


def paired_difference(n: int, b: int, c: int, *, level: float = 0.95) -> Estimate | Absent:
    """Estimate a net change over `n` pairs of which `b` went one way and `c` the other.

    Returns:
        ``(b - c) / n``, in [-1, 1], with Tango's score interval.

    Source:
        Tango (1998), Statistics in Medicine 17, pp. 891-908.
    """
    if n == 0:
        return EMPTY
    if not (b >= 0 and c >= 0 and b + c <= n):
        return Absent(code="invalid", reason="more changes than pairs")
    return estimated(
        (b - c) / n,
        Pairs(n=int(n), b=int(b), c=int(c)),
        "tango",
        n,
        level,
        mde=mde_paired(n, (b + c) / n),
    )


def mcnemar(b: int, c: int) -> float | Absent:
    """Return the exact two-sided p-value that changes go both ways alike.

    `Absent` when nothing changed: then there is nothing to test, which is no proof of anything.

    Source:
        McNemar (1947), Psychometrika 12(2), pp. 153-157; exact binomial form.
    """
    if b + c == 0:
        return Absent(code="no_change", reason="no pair changed")
    if not (b >= 0 and c >= 0):
        return Absent(code="invalid", reason="a count below zero")
    from scipy.stats import binomtest

    return float(binomtest(int(b), int(b + c), 0.5).pvalue)


def mean(
    values: Sequence[float] | Floats,
    clusters: Sequence[str | None] | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the mean of units that are independent, or independent between clusters only.

    Args:
        values: One number per text, shape ``(n,)``.
        clusters: Cluster of each text; None: a cluster of its own. The mean is over texts; its
            error that of the cluster totals (a ratio estimate), with clusters - 1 degrees of
            freedom.
        low: Least value a number can take, if it has one; the interval stays inside.
        high: Greatest value, likewise.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The mean; `Absent` for fewer than two independent units or numbers that are not finite. When
        no unit differs from another, the error cannot be read off the data: a value at the far end
        of the range may then have, unseen, a probability up to Clopper and Pearson's bound of 0 in
        n. A clustered share of yes and no gets Wilson's interval at its effective size.

    Source:
        Cameron & Miller (2015), Journal of Human Resources 50(2), section II; Korn & Graubard
        (1998), Survey Methodology 24, pp. 193-201, for clustered shares; Hanley & Lippman-Hand
        (1983), JAMA 249(13), for the constant case (rule of three). The design effect of a
        clustered share is the geometric mean of the one observed and of that with two clusters of
        the usual size more, one all hits and one without: in few clusters a rare share and its
        spread are seen too small together.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size == 0:
        return EMPTY
    if not np.isfinite(x).all():
        return Absent(code="not_finite", reason="a value is not a finite number")
    totals, sizes = by_cluster(x, clusters)
    groups = len(totals)
    if groups < 2:
        return Absent(code="too_few", reason="fewer than two independent units")
    value = float(x.mean())
    residuals = totals - value * sizes
    variance = groups / (groups - 1) * float(residuals @ residuals) / x.size**2
    se = sqrt(variance)
    method, mde = "t" if groups == x.size else "cluster-t", 2.8 * se
    if se < 1e-12 * max(1.0, abs(value)):
        if low is None or high is None:
            return Absent(code="no_variation", reason="all values are the same")
        if not low <= value <= high:
            return Absent(code="invalid", reason=f"a value lies outside {low:g} to {high:g}")
        se, mde = 0.0, (high - low) * (1 - 0.05 ** (1 / groups)) * 2.8 / 1.96
    elif groups < x.size and (low, high) == (0, 1) and np.isin(x, (0.0, 1.0)).all():
        variance = _clustered_share(totals, sizes, variance)
        se = sqrt(variance)
        method, mde = "cluster-wilson", 2.8 * se
    naive = float(x.var(ddof=1)) / x.size if x.size > 1 else 0.0
    effective = None
    if clusters is not None and groups < x.size and variance > 0:
        effective = float(min(x.size, max(1.0, x.size * naive / variance)))
    basis = Means(mean=value, se=se, df=float(groups - 1), low=low, high=high)
    return estimated(value, basis, method, groups, level, mde=mde, n_effective=effective)


def _clustered_share(totals: Floats, sizes: Floats, variance: float) -> float:
    """Return the variance to reckon with for a share of yes and no, not 0 and not 1."""
    n, groups = float(sizes.sum()), len(totals)
    p = float(totals.sum()) / n
    # Clusters that happen to differ less than single texts would are no evidence of accord.
    least = p * (1 - p) / n
    size = n / groups
    more = (totals.sum() + size) / (n + 2 * size)
    residuals = np.append(totals - more * sizes, [size * (1 - more), -size * more])
    added = (groups + 2) / (groups + 1) * float(residuals @ residuals) / (n + 2 * size)
    effect = max(1.0, added / (more * (1 - more)))
    return sqrt(max(variance, least) * least * effect)


def difference_of_means(
    values: Sequence[float] | Floats,
    member: Sequence[bool] | NDArray[np.bool_],
    clusters: Sequence[str | None] | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the mean of members less the mean of the others, clusters shared or not.

    Args:
        values: One number per text, shape ``(n,)``.
        member: Which texts are members.
        clusters: As in `mean`; a cluster may have texts on both sides.
        low: Least value a number can take, if it has one.
        high: Greatest value, likewise. With both, a side whose values are nearly or wholly the same
            is not taken to be without error: its variance is at least that with one independent
            unit more at each end.

    Returns:
        The signed difference; `n` is the number of clusters on the smaller side.

    Source:
        Cameron & Miller (2015), section II: cluster-robust variance of the difference; Agresti &
        Caffo (2000), The American Statistician 54(4), for the added units.
    """
    x, inside = np.asarray(values, np.float64).ravel(), np.asarray(member, bool).ravel()
    if inside.all() or not inside.any():
        return Absent(code="empty", reason="one side has no text")
    if not np.isfinite(x).all():
        return Absent(code="not_finite", reason="a value is not a finite number")
    names = cluster_names(len(x), clusters)
    _, index = np.unique(names, return_inverse=True)
    groups = int(index.max()) + 1
    sides = [len(np.unique(index[inside])), len(np.unique(index[~inside]))]
    if min(sides) < 2:
        return Absent(code="too_few", reason="one side has fewer than two independent units")
    a, b = float(x[inside].mean()), float(x[~inside].mean())
    influence = np.where(inside, (x - a) / inside.sum(), -(x - b) / (~inside).sum())
    totals = np.bincount(index, influence, groups)
    variance = groups / (groups - 1) * float(totals @ totals)
    least, most = None, None
    if low is not None and high is not None:
        if x.min() < low or x.max() > high:
            return Absent(code="invalid", reason=f"a value lies outside {low:g} to {high:g}")
        least, most = low - high, high - low
        variance += _unseen(x[inside], index[inside], low, high)
        variance += _unseen(x[~inside], index[~inside], low, high)
    se = sqrt(variance)
    if se < 1e-12 * max(1.0, abs(a - b)):
        return Absent(code="no_variation", reason="all values on each side are the same")
    basis = Means(mean=a - b, se=se, df=float(min(sides) - 1), low=least, high=most)
    return estimated(a - b, basis, "cluster-t", min(sides), level, mde=2.8 * se)


def sign_flip(
    values: Sequence[float] | Floats,
    clusters: Sequence[str | None] | None = None,
    *,
    rng: np.random.Generator | None = None,
    resamples: int = 20_000,
) -> float | Absent:
    """Return the two-sided p-value that paired differences are symmetric around zero.

    Exact up to 2^16 sign patterns; beyond, a sample with ``(b + 1) / (m + 1)``, never 0.

    Source:
        Phipson & Smyth (2010), SAGMB 9(1) 39.
    """
    x = np.asarray(values, np.float64).ravel()
    if x.size == 0:
        return EMPTY
    if not np.isfinite(x).all():
        return Absent(code="not_finite", reason="a value is not a finite number")
    totals, _ = by_cluster(x, clusters)
    totals = totals[totals != 0]
    if totals.size == 0:
        return Absent(code="no_change", reason="no pair differs")
    observed = abs(totals.sum()) * (1 - 1e-12)
    if totals.size <= 16:
        signs = np.array(np.meshgrid(*[[-1, 1]] * totals.size)).reshape(totals.size, -1)
        return float(np.mean(np.abs(totals @ signs) >= observed))
    rng = rng or np.random.default_rng(0)
    hits, done = 0, 0
    while done < resamples:
        some = min(2000, resamples - done)
        signs = rng.integers(0, 2, size=(some, totals.size)) * 2 - 1
        hits += int(np.sum(np.abs(signs @ totals) >= observed))
        done += some
    return (hits + 1) / (resamples + 1)


def _share(hits: int, n: int, method: str, level: float) -> Estimate | Absent:
    if n == 0:
        return EMPTY
    if not 0 <= hits <= n:
        return Absent(code="invalid", reason="more hits than texts")
    basis = Counts(hits=int(hits), n=int(n))
    return estimated(hits / n, basis, method, n, level, mde=mde_share(n, hits / n))


def _unseen(x: Floats, index: NDArray[np.intp], low: float, high: float) -> float:
    """Return what one side's variance lacks for one more independent unit at each end."""
    _, own = np.unique(index, return_inverse=True)
    units, value = int(own.max()) + 1, float(x.mean())
    totals = np.bincount(own, x - value)
    robust = units / (units - 1) * float(totals @ totals) / x.size**2
    single = float(x.var()) / x.size
    # Independent units the side is worth; without variation, its clusters.
    effective = min(x.size, x.size * single / robust) if robust > 1e-24 else float(units)
    share = (value - low) / (high - low)
    shrunk = (share * effective + 1) / (effective + 2)
    # Values strictly between the ends vary less than yes and no of the same mean.
    inner = single * x.size / ((high - low) ** 2 * share * (1 - share)) if 0 < share < 1 else 1.0
    floor = (high - low) ** 2 * shrunk * (1 - shrunk) / effective * min(1.0, inner or 1.0)
    return max(0.0, floor - robust)

"""Do groups differ at all? One test over all of them, with and without clusters.

A group's cell is a pair ``(hits, n)`` of units with the property and units in all; cells without a
unit are left aside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.intervals import certain, estimated
from audit.resampling import EMPTY, cluster_names
from audit.types import Absent, Counts, Estimate, Floats

Cell = tuple[int, int]
Ints = NDArray[np.int64]
ONE_GROUP = Absent(code="one_group", reason="fewer than two groups have a text")
ALL_ALIKE = Absent(code="no_variation", reason="every text has the property, or none has it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A test of one hypothesis."""

    statistic: float | None
    """None where it is infinite, as an odds ratio with an empty cell is."""
    p: float
    """Two-sided, in (0, 1]."""
    method: str
    df: float | None = None
    resamples: int | None = None
    """Draws behind `p` where it was sampled; its own error is that of a share of so many."""


def omnibus(
    cells: Sequence[Cell],
    *,
    permutation: bool | None = None,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
) -> Tested | Absent:
    """Test whether all groups have the same rate.

    Args:
        cells: ``(hits, n)`` of each group.
        permutation: Sample the margins' own distribution instead of using chi-square; None: where
            a count expected under equality is below 5.
        rng: Source of the permutations.
        resamples: Number of permutations.

    Returns:
        Pearson's chi-square with groups - 1 degrees of freedom, or its permutation p-value
        ``(b + 1) / (m + 1)``. `Absent` for fewer than two groups with a text, and when no text or
        every text hits, where scipy raises.

    Source:
        Pearson (1900); Phipson & Smyth (2010), SAGMB 9(1) 39, for the sampled p-value; Cochran
        (1954), Biometrics 10, pp. 417-451, for the rule of 5.
    """
    found = counted(cells)
    if isinstance(found, Absent):
        return found
    hits, n = found
    if len(n) < 2:
        return ONE_GROUP
    total, all_hits = int(n.sum()), int(hits.sum())
    if all_hits in (0, total):
        return ALL_ALIKE
    rate = all_hits / total
    observed = float(_pearson(hits, n, rate))
    if permutation is None:
        permutation = bool(min(rate, 1 - rate) * n.min() < 5)
    df = float(len(n) - 1)
    if not permutation:
        from scipy.special import chdtrc

        return Tested(statistic=observed, p=float(chdtrc(df, observed)), method="chi2", df=df)
    rng = rng or np.random.default_rng(0)
    drawn = rng.multivariate_hypergeometric(n, all_hits, size=resamples, method="marginals")
    beaten = int((_pearson(drawn, n, rate) >= observed * (1 - 1e-12)).sum())
    return Tested(
        statistic=observed,
        p=(beaten + 1) / (resamples + 1),
        method="permutation",
        df=df,
        resamples=resamples,
    )


def omnibus_clustered(
    values: Sequence[float] | Floats,
    groups: Sequence[str] | NDArray[np.str_],
    clusters: Sequence[str | None],
    *,
    rng: np.random.Generator | None = None,
    resamples: int = 1_999,
) -> Tested | Absent:
    """Test whether all groups have the same mean when texts of one cluster are not independent.

    Where every cluster lies in one group, whole clusters are dealt out anew (a permutation test).
    Where clusters span groups, a cluster-robust Wald statistic is held against Hotelling's F.

    Args:
        values: One number per text, shape ``(n,)``.
        groups: Group of each text.
        clusters: Cluster of each text; None: a cluster of its own.
        rng: Source of the permutations.
        resamples: Number of permutations.

    Returns:
        The test; `Absent` for fewer than two groups, a group of fewer than two clusters, or values
        that do not differ.

    Source:
        Cameron & Miller (2015), Journal of Human Resources 50(2), sections II and VI; Phipson &
        Smyth (2010), SAGMB 9(1) 39.
    """
    x = np.asarray(values, np.float64).ravel()
    if x.size == 0:
        return EMPTY
    if not np.isfinite(x).all():
        return Absent(code="not_finite", reason="a value is not a finite number")
    names, of = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return ONE_GROUP
    if float(np.ptp(x)) == 0:
        return ALL_ALIKE
    _, index = np.unique(cluster_names(len(x), clusters), return_inverse=True)
    k, g = len(names), int(index.max()) + 1
    present = np.zeros((g, k), bool)
    present[index, of] = True
    if present.sum(axis=0).min() < 2:
        return Absent(code="too_few", reason="a group has fewer than two independent units")
    if present.sum(axis=1).max() == 1:
        return _dealt_anew(x, index, present, rng or np.random.default_rng(0), resamples)
    sizes = np.bincount(of, minlength=k).astype(float)
    means = np.bincount(of, x, k) / sizes
    influence = np.zeros((g, k))
    np.add.at(influence, (index, of), (x - means[of]) / sizes[of])
    contrast = np.eye(k)[1:] - np.eye(k)[:1]
    covariance = contrast @ (influence.T @ influence * g / (g - 1)) @ contrast.T
    gaps = contrast @ means
    if np.linalg.matrix_rank(covariance) < k - 1 or g - k < 1:
        return Absent(code="too_few", reason="too few independent units for so many groups")
    wald = float(gaps @ np.linalg.solve(covariance, gaps))
    from scipy.special import fdtrc

    f = wald * (g - k + 1) / ((g - 1) * (k - 1))
    p = float(fdtrc(k - 1, g - k + 1, max(0.0, f)))
    return Tested(statistic=wald, p=p, method="cluster-wald", df=float(k - 1))


def counted(cells: Sequence[Cell]) -> tuple[Ints, Ints] | Absent:
    """Return hits and sizes of the cells that have a text, or why there is nothing to compare."""
    if any(not 0 <= k <= m for k, m in cells):
        return Absent(code="invalid", reason="more hits than texts")
    filled = [(int(k), int(m)) for k, m in cells if m]
    if not filled:
        return EMPTY
    return np.array([k for k, _ in filled], np.int64), np.array([m for _, m in filled], np.int64)


def _pearson(hits: Ints, n: Ints, rate: float) -> Floats:
    gap = hits - n * rate
    return np.asarray((gap * gap / (n * rate * (1 - rate))).sum(axis=-1), np.float64)


def _dealt_anew(
    x: Floats,
    index: NDArray[np.intp],
    present: NDArray[np.bool_],
    rng: np.random.Generator,
    resamples: int,
) -> Tested:
    """Permute whole clusters between groups, each group keeping its number of clusters."""
    # Every cluster lies in one group, so this is the group's number.
    order = np.argsort(present @ np.arange(present.shape[1]), kind="stable")
    totals = np.bincount(index, x)[order].astype(np.float64)
    sizes = np.bincount(index)[order].astype(np.float64)
    starts = np.concatenate([[0], np.cumsum(present.sum(axis=0))[:-1]])
    centre = float(x.mean())

    def statistic(t: Floats, n: Floats) -> Floats:
        t, n = np.add.reduceat(t, starts, axis=-1), np.add.reduceat(n, starts, axis=-1)
        return np.asarray(((t - n * centre) ** 2 / n).sum(axis=-1), np.float64)

    observed = float(statistic(totals, sizes))
    beaten, step = 0, max(1, 2_000_000 // len(totals))
    for start in range(0, resamples, step):
        some = min(step, resamples - start)
        dealt = rng.permuted(np.tile(np.arange(len(totals)), (some, 1)), axis=1)
        beaten += int((statistic(totals[dealt], sizes[dealt]) >= observed * (1 - 1e-12)).sum())
    return Tested(
        statistic=observed / float(x.var()),
        p=(beaten + 1) / (resamples + 1),
        method="cluster-permutation",
        df=float(len(starts) - 1),
        resamples=resamples,
    )


def as_estimate(test: Tested | Absent, n: int, *, level: float = 0.95) -> Estimate | Absent:
    """Return a test's p-value as a number that can be reported beside others.

    A sampled p-value gets the interval of a share of so many draws, which is its Monte-Carlo error;
    one from a formula has no error of its own. Neither is a limit to keep: gates belong on effects.

    Args:
        test: The test.
        n: Texts behind it.
        level: Coverage of the Monte-Carlo interval, in (0, 1).
    """
    if isinstance(test, Absent):
        return test
    if test.resamples is None:
        return certain(test.p, n, test.method, level)
    whole = test.resamples + 1
    return estimated(test.p, Counts(hits=round(test.p * whole), n=whole), test.method, n, level)

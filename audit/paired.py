"""The same texts twice: changes of decisions and of scores, and whether a new model is no worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from audit.intervals import estimated, p_beyond
from audit.power import mde_paired
from audit.resampling import EMPTY, by_cluster
from audit.stats import mean, paired_difference
from audit.types import Absent, Estimate, Floats, Pairs, Quantiles

_PROBS = np.unique(np.concatenate([np.linspace(0.005, 0.995, 199), np.geomspace(1e-4, 5e-3, 12)]))


def bonett_price(n: int, b: int, c: int, *, level: float = 0.95) -> Estimate | Absent:
    """Estimate a net change over `n` pairs with one change more each way.

    Args:
        n: Pairs.
        b: Pairs that went one way.
        c: Pairs that went the other.
        level: Coverage of the interval, in (0, 1).

    Returns:
        ``(b - c) / n``, in [-1, 1]; `Absent` for no pair and for impossible counts. For display;
        verdicts take the bounds that `for_judging` gives.

    Source:
        Bonett & Price (2012), Journal of Educational and Behavioral Statistics 37(4), pp. 479-488,
        doi:10.3102/1076998611411915.
    """
    return _net(n, b, c, "bonett-price", level)


def mcnemar_midp(b: int, c: int) -> float | Absent:
    """Return the two-sided mid-p value that changes go both ways alike; second to the exact one.

    Returns:
        In (0, 1]; `Absent` when nothing changed, and for a count below zero.

    Source:
        Fagerland, Lydersen & Laake (2013), BMC Medical Research Methodology 13:91,
        doi:10.1186/1471-2288-13-91.
    """
    if b + c == 0:
        return Absent(code="no_change", reason="no pair changed")
    if not (b >= 0 and c >= 0):
        return Absent(code="invalid", reason="a count below zero")
    from scipy.stats import binom

    fewer, total = min(int(b), int(c)), int(b + c)
    twice = 2 * float(binom.cdf(fewer, total, 0.5)) - float(binom.pmf(fewer, total, 0.5))
    return min(1.0, twice)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Whether a new model gets at most a margin fewer texts right, on the same texts."""

    difference: Estimate
    """New less base, with the two-sided interval at ``1 - 2 alpha`` whose lower bound decides."""
    margin: float
    p: float
    """One-sided, against 'worse by the margin or more'."""
    holds: bool
    """Whether the lower bound lies above ``-margin``."""


def non_inferiority(
    n: int,
    lost: int,
    gained: int,
    margin: float,
    *,
    alpha: float = 0.05,
    method: Literal["tango", "paired-wald"] = "tango",
) -> NonInferiority | Absent:
    """Ask whether a model is no worse than another by `margin`, on the same texts.

    Args:
        n: Texts.
        lost: Texts that only the base model got right.
        gained: Texts that only the new model got right.
        margin: Largest loss, in (0, 1), that is still no loss; declared before the run.
        alpha: One-sided error, in (0, 0.5).
        method: ``tango``: the score test, right also where few texts change; ``paired-wald``: the
            familiar form, for comparison with other tables.

    Returns:
        The answer; `Absent` for no text, impossible counts, margin or error, and for ``paired-wald``
        where no text changed, which it takes for certainty.

    Source:
        Nam (1997), Biometrics 53, pp. 1422-1430 (the score test, whose interval is Tango's, 1998);
        Schuirmann (1987) for the one-sided test by a ``1 - 2 alpha`` interval.
    """
    if not 0 < margin < 1:
        return Absent(code="invalid", reason="the margin must lie between 0 and 1")
    if not 0 < alpha < 0.5:
        return Absent(code="invalid", reason="the error must lie between 0 and one half")
    level = 1 - 2 * alpha
    if method == "tango":
        found = paired_difference(n, gained, lost, level=level)
    else:
        found = _net(n, gained, lost, method, level)
    if isinstance(found, Absent):
        return found
    if found.low == found.high:
        return Absent(code="no_change", reason="no error can be read off pairs all alike")
    p = p_beyond(found, -margin, "above")
    return NonInferiority(difference=found, margin=margin, p=p, holds=found.low > -margin)


def bca(
    values: Sequence[float] | Floats,
    clusters: Sequence[str | None] | None = None,
    *,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate a mean with the bias-corrected and accelerated bootstrap.

    Args:
        values: One number per text, shape ``(n,)``.
        clusters: Cluster of each text; None: a cluster of its own. Whole clusters are drawn.
        rng: Source of the resamples.
        resamples: Number of resamples.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The mean; `Absent` for fewer than two independent units (where scipy raises), for values all
        alike (where scipy answers NaN) or not finite, and for resamples too few or too lopsided to
        be corrected. Tails rarer than one in all resamples go on like a normal one.

    Source:
        Efron (1987), JASA 82(397), pp. 171-185; resampled by
        scipy.stats.bootstrap, corrected here so that any level can be read off.
    """
    x = np.asarray(values, np.float64).ravel()
    if x.size == 0:
        return EMPTY
    if not np.isfinite(x).all():
        return Absent(code="not_finite", reason="a value is not a finite number")
    if resamples < 2:
        return Absent(code="invalid", reason="fewer than two resamples")
    totals, sizes = by_cluster(x, clusters)
    if len(totals) < 2:
        return Absent(code="too_few", reason="fewer than two independent units")
    value = float(x.mean())
    residuals = totals - value * sizes
    if float(np.abs(residuals).max()) < 1e-12 * max(1.0, abs(value)):
        return Absent(code="no_variation", reason="all values are the same")
    from scipy import stats as scipy_stats

    def ratio(t: Floats, s: Floats, axis: int = -1) -> Floats:
        return np.asarray(t.sum(axis=axis) / s.sum(axis=axis))

    found = scipy_stats.bootstrap(
        (totals, sizes),
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 4_000_000 // len(totals)),
        method="percentile",
        rng=rng or np.random.default_rng(0),
    )
    drawn = np.asarray(found.bootstrap_distribution)
    basis = _bca_basis(drawn, residuals, value)
    if basis is None:
        return Absent(code="unstable", reason="the resamples give no corrected quantiles")
    return estimated(value, basis, "bca", len(totals), level, mde=2.8 * float(drawn.std()))


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterfactualGap:
    """Mean absolute change of a score under counterfactuals, and its signed mean."""

    macro: Estimate | Absent
    """Each text weighs alike."""
    micro: Estimate | Absent
    """Each counterfactual weighs alike; texts are clusters."""
    signed: Estimate | Absent
    """Mean over texts of the original's score less the counterfactuals'."""


def counterfactual_gap(
    before: Sequence[float] | Floats,
    after: Sequence[Sequence[float]],
    clusters: Sequence[str | None] | None = None,
    *,
    level: float = 0.95,
) -> CounterfactualGap | Absent:
    """Estimate the counterfactual token fairness gap.

    Args:
        before: Score of each text, in [0, 1].
        after: Scores of its counterfactuals, at least one; texts without any are left out before.
        clusters: Cluster of each text; None: a cluster of its own.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        The gap, in [0, 1], over texts and over counterfactuals; `Absent` when there is no text,
        a text has no counterfactual, or a score is not finite or outside [0, 1].

    Source:
        Garg et al. (2019), AIES, arXiv:1809.10610, definition 2.
    """
    if len(before) != len(after) or any(len(some) == 0 for some in after):
        return Absent(code="invalid", reason="a text has no counterfactual")
    if len(before) == 0:
        return EMPTY
    counts = np.array([len(some) for some in after])
    owner = np.repeat(np.arange(len(counts)), counts)
    own = np.asarray(before, np.float64)
    other = np.concatenate([np.asarray(some, np.float64) for some in after])
    every = np.concatenate([own, other])
    if not np.isfinite(every).all():
        return Absent(code="not_finite", reason="a score is not a finite number")
    if every.min() < 0 or every.max() > 1:
        return Absent(code="invalid", reason="a score lies outside 0 to 1")
    change = own[owner] - other
    apart = np.bincount(owner, np.abs(change)) / counts
    net = np.bincount(owner, change) / counts
    names = [None] * len(counts) if clusters is None else list(clusters)
    units = [f"t{i}" if names[i] is None else f"c{names[i]}" for i in owner]
    return CounterfactualGap(
        macro=mean(apart, clusters, low=0.0, high=1.0, level=level),
        micro=mean(np.abs(change), units, low=0.0, high=1.0, level=level),
        signed=mean(net, clusters, low=-1.0, high=1.0, level=level),
    )


def _net(n: int, b: int, c: int, method: str, level: float) -> Estimate | Absent:
    if n == 0:
        return EMPTY
    if not (b >= 0 and c >= 0 and b + c <= n):
        return Absent(code="invalid", reason="more changes than pairs")
    basis = Pairs(n=int(n), b=int(b), c=int(c))
    mde = mde_paired(n, (b + c) / n)
    return estimated((b - c) / n, basis, method, n, level, mde=mde)


def _bca_basis(drawn: Floats, residuals: Floats, value: float) -> Quantiles | None:
    """Return the corrected quantiles of the resamples, from which any level can be read."""
    from scipy.special import ndtr, ndtri

    below = float(np.mean(drawn < value) + np.mean(drawn == value) / 2)
    cubes = float(np.sum(residuals**3))
    acceleration = cubes / (6 * float(np.sum(residuals**2)) ** 1.5)
    shift = float(ndtri(below))
    if not isfinite(shift):
        return None
    z = shift + ndtri(_PROBS)
    room = 1 - acceleration * z
    corrected = ndtr(shift + z / room)
    # Resamples say nothing of what is rarer than one in all of them.
    rarest = 1 / (len(drawn) + 1)
    ok = (room > 0) & (corrected >= rarest) & (corrected <= 1 - rarest)
    if ok.sum() < 2:
        return None
    values = np.quantile(drawn, corrected[ok])
    return Quantiles(
        probs=tuple(map(float, _PROBS[ok])), values=tuple(map(float, np.maximum.accumulate(values)))
    )

"""The line from stated to true log-odds: whether probabilities are too extreme, too high, or right.

`probs` are stated probabilities of an event, shape ``(n,)``, in [0, 1]; `events` say whether it
came true.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.intervals import estimated
from audit.resampling import EMPTY, cluster_names
from audit.types import Absent, Estimate, Floats, Means

Events = Sequence[bool] | Sequence[int] | NDArray[np.bool_]
Probs = Sequence[float] | Floats
Clusters = Sequence[str | None] | None
NO_PROBABILITY = Absent(code="invalid", reason="a number is no probability between 0 and 1")
_NORMAL = 1e9
"""Degrees of freedom at which Student's t is the normal distribution to nine digits."""
_CLIP = 1e-7
"""Resolution of a probability in single precision: 0 and 1 are read as this far from the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """The line from stated to true log-odds; slope 1 and intercept 0 for a calibrated model."""

    slope: Estimate
    """Below 1: the probabilities are too extreme; above 1: too timid."""
    intercept: Estimate
    """Log-odds of an event that was said to be as likely as not."""


def recalibration(
    probs: Probs, events: Events, clusters: Clusters = None, *, level: float = 0.95
) -> Recalibration | Absent:
    """Estimate slope and intercept of the logistic regression of events on stated log-odds.

    Args:
        probs: Stated probabilities; 0 and 1 are read as 1e-7 away, the resolution of a probability
            in single precision.
        events: What came true.
        clusters: Cluster of each text; None: a cluster of its own. Errors are then robust to
            dependence within clusters, with clusters - 1 degrees of freedom.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        Both, with Wald intervals. `Absent`: "one_class", "no_variation" (all probabilities equal),
        "separated" (some probability divides events from the rest, so that no slope is largest),
        "too_few" clusters.

    Source:
        Cox (1958), Biometrika 45, pp. 562-565; Miller, Hui & Tierney (1991), Statistics in Medicine
        10, pp. 1213-1226; Cameron & Miller (2015), Journal of Human Resources 50(2), section VI,
        for clusters.
    """
    fit = _fit(probs, events)
    if isinstance(fit, Absent):
        return fit
    totals, groups = _totals(fit.influence, clusters)
    if totals is None:
        return _recalibrated(fit.beta, fit.variance, len(fit.influence), _NORMAL, "wald", level)
    if groups < 3:
        return Absent(code="too_few", reason="fewer than three independent units")
    variance = totals.T @ totals * groups / (groups - 1)
    return _recalibrated(fit.beta, variance, groups, float(groups - 1), "cluster-wald", level)


def recalibration_difference(
    probs: Probs,
    events: Events,
    member: Sequence[bool] | NDArray[np.bool_],
    clusters: Clusters = None,
    *,
    level: float = 0.95,
) -> Recalibration | Absent:
    """Estimate slope and intercept of the members less those of the others.

    Args:
        probs: Stated probabilities.
        events: What came true.
        member: Which texts are members.
        clusters: As in `recalibration`; a cluster may have texts on both sides.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        Both differences; `n` counts the independent units of the smaller side. `Absent` when either
        side has no `recalibration`, with its reason.

    Source:
        As `recalibration`; the two fits are independent but for clusters that they share.
    """
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
    mine = np.asarray(member, bool).ravel()
    one, other = _fit(p[mine], y[mine]), _fit(p[~mine], y[~mine])
    if isinstance(one, Absent):
        return one
    if isinstance(other, Absent):
        return other
    influence = np.zeros((len(p), 2))
    influence[mine], influence[~mine] = one.influence, -other.influence
    beta = one.beta - other.beta
    totals, groups = _totals(influence, clusters)
    if totals is None:
        least = min(int(mine.sum()), int((~mine).sum()))
        return _recalibrated(beta, one.variance + other.variance, least, _NORMAL, "wald", level)
    names = cluster_names(len(p), clusters)
    least = min(len(np.unique(names[mine])), len(np.unique(names[~mine])))
    if least < 3:
        return Absent(code="too_few", reason="one side has fewer than three independent units")
    variance = totals.T @ totals * groups / (groups - 1)
    return _recalibrated(beta, variance, least, float(least - 1), "cluster-wald", level)


def read(probs: Probs, events: Events) -> tuple[Floats, Floats] | Absent:
    """Return both as arrays of numbers, or why they are no probabilities and events."""
    p, y = np.asarray(probs, np.float64).ravel(), np.asarray(events, np.float64).ravel()
    if p.size == 0 and y.size == 0:
        return EMPTY
    if p.size != y.size:
        return Absent(code="invalid", reason=f"{p.size} probabilities for {y.size} events")
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1):
        return NO_PROBABILITY
    if not np.isin(y, (0.0, 1.0)).all():
        return Absent(code="invalid", reason="an event is neither 0 nor 1")
    return p, y


@dataclass(frozen=True, slots=True)
class _Fit:
    beta: Floats
    """Intercept and slope."""
    variance: Floats
    """Of both, by the model, shape ``(2, 2)``."""
    influence: Floats
    """What each text adds to the error of both, shape ``(n, 2)``."""


def _fit(probs: Probs, events: Events) -> _Fit | Absent:
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
    p = np.clip(p, _CLIP, 1 - _CLIP)
    x = np.log(p) - np.log1p(-p)
    if y.min() == y.max():
        return Absent(code="one_class", reason="the event came always or never")
    if float(np.ptp(x)) < 1e-6:
        return Absent(code="no_variation", reason="all probabilities are the same")
    yes, no = x[y > 0], x[y == 0]
    if yes.min() >= no.max() or no.min() >= yes.max():
        return Absent(
            code="separated", reason="a probability divides events from the rest: no slope is best"
        )
    fitted = _logistic(x, y)
    if fitted is None:
        return Absent(code="unstable", reason="the regression does not converge")
    beta, curvature, scores = fitted
    variance: Floats = np.asarray(np.linalg.inv(curvature), np.float64)
    return _Fit(beta, variance, scores @ variance)


def _totals(influence: Floats, clusters: Clusters) -> tuple[Floats | None, int]:
    """Return the sums over clusters and how many there are; None where each text is its own."""
    n = len(influence)
    if clusters is None or len(clusters) == 0:
        return None, n
    _, index = np.unique(cluster_names(n, clusters), return_inverse=True)
    groups = int(index.max()) + 1
    if groups == n:
        return None, n
    return np.stack([np.bincount(index, column) for column in influence.T], axis=1), groups


def _recalibrated(
    beta: Floats, variance: Floats, n: int, degrees: float, method: str, level: float
) -> Recalibration | Absent:
    errors = np.sqrt(np.diag(variance))
    if not (np.isfinite(errors).all() and errors.min() > 1e-9):
        return Absent(code="unstable", reason="the regression's error cannot be told")

    def one(i: int) -> Estimate:
        basis = Means(mean=float(beta[i]), se=float(errors[i]), df=degrees)
        return estimated(basis.mean, basis, method, n, level, mde=2.8 * basis.se)

    return Recalibration(intercept=one(0), slope=one(1))


def _logistic(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Return coefficients, curvature and each text's score, or None without convergence."""
    from scipy.special import expit

    design = np.stack([np.ones_like(x), x], axis=1)
    beta = np.array([0.0, 0.0])

    def loss(b: Floats) -> float:
        at = design @ b
        return float(np.sum(np.logaddexp(0.0, at) - y * at))

    now = loss(beta)
    for _ in range(200):
        fit = expit(design @ beta)
        scores = design * (y - fit)[:, None]
        curvature = design.T @ (design * (fit * (1 - fit))[:, None])
        try:
            step = np.linalg.solve(curvature, scores.sum(axis=0))
        except np.linalg.LinAlgError:
            return None
        if float(np.abs(step).max()) < 1e-10 * max(1.0, float(np.abs(beta).max())):
            return beta, curvature, scores
        size = 1.0
        while (after := loss(beta + size * step)) > now + 1e-12 and size > 1e-8:
            size /= 2
        beta, now = beta + size * step, after
    return None

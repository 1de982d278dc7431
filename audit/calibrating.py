"""Do probabilities keep what they say? Errors of probabilities against what came true.

Everywhere `probs` are stated probabilities of an event, shape ``(n,)``, in [0, 1], and `events` say
whether it came true. The error of calibration by bins is above 0 for a perfect model too, and the
more so the fewer the texts: it is never to be read without `null_band`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from audit.intervals import estimated
from audit.omnibus import Tested
from audit.resampling import EMPTY, bootstrap, cluster_names
from audit.stats import mean
from audit.types import Absent, Estimate, Floats, Means, Quantiles

Events = Sequence[bool] | Sequence[int] | NDArray[np.bool_]
Probs = Sequence[float] | Floats
Clusters = Sequence[str | None] | None
_NORMAL = 1e9
_CLIP = 1e-7
"""Resolution of a probability in single precision: 0 and 1 are read as this far from the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The error of calibration by bins that a perfect model shows on texts as many as these."""

    mean: float
    low: float
    high: float
    level: float
    """Share of perfect models between `low` and `high`."""
    p: float
    """Share of perfect models with an error at least as large as the one observed, as
    ``(b + 1) / (m + 1)``."""
    resamples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """The line from stated to true log-odds; slope 1 and intercept 0 for a calibrated model."""

    slope: Estimate
    """Below 1: the probabilities are too extreme; above 1: too timid."""
    intercept: Estimate
    """Log-odds of an event that was said to be as likely as not."""


def expected_calibration_error(
    probs: Probs,
    events: Events,
    clusters: Clusters = None,
    *,
    bins: int = 10,
    rng: np.random.Generator | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the mean distance between stated and observed frequency over equally wide bins.

    Bins are closed on the right, the first on both sides. Resamples lie above the error on the
    texts by about as much as that lies above the truth; the interval is therefore reflected (basic
    bootstrap) and cut at 0.

    Returns:
        The error, in [0, 1]. `Absent` as `bootstrap`, and for numbers that are no probabilities.

    Source:
        Guo et al. (2017), ICML, section 2, arXiv:1706.04599; Nixon et al. (2019),
        arXiv:1904.01685, for its bias; Davison & Hinkley (1997), section 5.2, for the interval.
    """
    read = _read(probs, events)
    if isinstance(read, Absent):
        return read
    p, y = read
    off = _members(p, bins) * (p - y)[:, None]
    found = bootstrap(
        lambda weights: np.abs(weights @ off).sum(axis=1) / weights.sum(axis=1),
        len(p),
        clusters,
        rng=rng or np.random.default_rng(0),
        resamples=resamples,
        level=level,
    )
    if isinstance(found, Absent) or not isinstance(found.basis, Quantiles):
        return found
    mirrored = 2 * found.value - np.array(found.basis.values)[::-1]
    basis = Quantiles(
        probs=tuple(1 - q for q in found.basis.probs[::-1]),
        values=tuple(map(float, np.clip(mirrored, 0.0, 1.0))),
    )
    return estimated(found.value, basis, "basic-bootstrap", found.n, level, mde=found.mde)


def maximum_calibration_error(probs: Probs, events: Events, *, bins: int = 10) -> float | Absent:
    """Return the largest distance between stated and observed frequency over the bins in use.

    Without an interval: a maximum is large by chance where a bin holds few texts, and resampling
    does not tell by how much. For display only.

    Source:
        Guo et al. (2017), ICML, section 2, arXiv:1706.04599.
    """
    read = _read(probs, events)
    if isinstance(read, Absent):
        return read
    p, y = read
    member = _members(p, bins)
    held = np.maximum(1.0, member.sum(axis=0))
    return float((np.abs((p - y) @ member) / held).max())


def null_band(
    probs: Probs,
    observed: float | None = None,
    *,
    bins: int = 10,
    rng: np.random.Generator | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> Band | Absent:
    """Return the error by bins of models that keep exactly what `probs` say (parametric bootstrap).

    Args:
        probs: The stated probabilities; events are drawn with them, independently.
        observed: The error found, for `Band.p`; None: p is 1.
        bins: As in `expected_calibration_error`.
        rng: Source of the events.
        resamples: How many times events are drawn.
        level: Share of errors in the band, half of the rest on each side.

    Source:
        Broecker & Smith (2007), Weather and Forecasting 22(3), pp. 651-661; Roelofs et al. (2022),
        AISTATS, arXiv:2012.08668, for the bias.
    """
    p = np.asarray(probs, np.float64).ravel()
    if p.size == 0:
        return EMPTY
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1):
        return _NO_PROBABILITY
    member = _members(p, bins)
    rng = rng or np.random.default_rng(0)
    errors: list[Floats] = []
    step = max(1, 4_000_000 // p.size)
    for start in range(0, resamples, step):
        some = min(step, resamples - start)
        events = rng.random((some, p.size)) < p
        errors.append(np.abs((events - p) @ member).sum(axis=1) / p.size)
    drawn = np.concatenate(errors)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    beyond = resamples if observed is None else int(np.sum(drawn >= observed - 1e-12))
    return Band(
        mean=float(drawn.mean()),
        low=float(low),
        high=float(high),
        level=level,
        p=(beyond + 1) / (resamples + 1),
        resamples=resamples,
    )


def brier(
    probs: Probs, events: Events, clusters: Clusters = None, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate the mean squared distance between probability and event, in [0, 1].

    Source:
        Brier (1950), Monthly Weather Review 78(1), pp. 1-3.
    """
    read = _read(probs, events)
    if isinstance(read, Absent):
        return read
    p, y = read
    return mean((p - y) ** 2, clusters, low=0.0, high=1.0, level=level)


def calibration_in_the_large(
    probs: Probs, events: Events, clusters: Clusters = None, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate how much more often the event comes than was said, on average, in [-1, 1].

    Source:
        Cox (1958), Biometrika 45, pp. 562-565; Van Calster et al. (2019), BMC Medicine 17:230,
        doi:10.1186/s12916-019-1466-7 (mean calibration).
    """
    read = _read(probs, events)
    if isinstance(read, Absent):
        return read
    p, y = read
    return mean(y - p, clusters, low=-1.0, high=1.0, level=level)


def log_loss(
    probs: Probs,
    events: Events,
    clusters: Clusters = None,
    *,
    clip: float = 1e-15,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the mean of minus the log of what was said of what came, 0 or more.

    Args:
        probs: Stated probabilities.
        events: What came true.
        clusters: Cluster of each text; None: a cluster of its own.
        clip: Probabilities nearer to 0 or 1 are moved this far away, which bounds what one text can
            cost (34.5 by default; scikit-learn 1.9 moves by the resolution of the array's type).
        level: Coverage of the interval, in (0, 1).

    Source:
        Good (1952), JRSS B 14, pp. 107-114.
    """
    read = _read(probs, events)
    if isinstance(read, Absent):
        return read
    p, y = read
    p = np.clip(p, clip, 1 - clip)
    return mean(-np.log(np.where(y > 0, p, 1 - p)), clusters, low=0.0, level=level)


def spiegelhalter(probs: Probs, events: Events) -> Tested | Absent:
    """Test whether the Brier score is what the probabilities themselves expect; independent texts.

    Returns:
        Z and its two-sided p-value. `Absent` ("no_variation") when every probability is 0, 1 or one
        half: then the score cannot differ from what is expected.

    Source:
        Spiegelhalter (1986), Statistics in Medicine 5, pp. 421-433.
    """
    read = _read(probs, events)
    if isinstance(read, Absent):
        return read
    p, y = read
    spread = float(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))
    if spread <= 0:
        return Absent(code="no_variation", reason="every probability is 0, 1 or one half")
    z = float(np.sum((y - p) * (1 - 2 * p))) / sqrt(spread)
    return Tested(statistic=z, p=erfc(abs(z) / sqrt(2)), method="spiegelhalter-z")


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
    read = _read(probs, events)
    if isinstance(read, Absent):
        return read
    p, y = read
    p = np.clip(p, _CLIP, 1 - _CLIP)
    x = np.log(p) - np.log1p(-p)
    if y.min() == y.max():
        return Absent(code="one_class", reason="the event came always or never")
    if float(np.ptp(x)) < 1e-9:
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
    variance = np.linalg.inv(curvature)
    units, degrees, method = len(y), _NORMAL, "wald"
    if clusters is not None and len(clusters):
        _, index = np.unique(cluster_names(len(y), clusters), return_inverse=True)
        groups = int(index.max()) + 1
        if groups < len(y):
            if groups < 3:
                return Absent(code="too_few", reason="fewer than three independent units")
            sums = np.stack([np.bincount(index, s) for s in scores.T], axis=1)
            variance = variance @ (sums.T @ sums) @ variance * groups / (groups - 1)
            units, degrees, method = groups, float(groups - 1), "cluster-wald"
    errors = np.sqrt(np.diag(variance))
    if not (np.isfinite(errors).all() and errors.min() > 0):
        return Absent(code="unstable", reason="the regression's error cannot be told")

    def one(i: int) -> Estimate:
        basis = Means(mean=float(beta[i]), se=float(errors[i]), df=degrees)
        return estimated(basis.mean, basis, method, units, level, mde=2.8 * basis.se)

    return Recalibration(intercept=one(0), slope=one(1))


_NO_PROBABILITY = Absent(code="invalid", reason="a number is no probability between 0 and 1")


def _read(probs: Probs, events: Events) -> tuple[Floats, Floats] | Absent:
    p, y = np.asarray(probs, np.float64).ravel(), np.asarray(events, np.float64).ravel()
    if p.size == 0 and y.size == 0:
        return EMPTY
    if p.size != y.size:
        return Absent(code="invalid", reason=f"{p.size} probabilities for {y.size} events")
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1):
        return _NO_PROBABILITY
    if not np.isin(y, (0.0, 1.0)).all():
        return Absent(code="invalid", reason="an event is neither 0 nor 1")
    return p, y


def _members(p: Floats, bins: int) -> Floats:
    """Return which bin each probability is in, shape ``(n, bins)``, closed on the right."""
    edges = np.linspace(0, 1, bins + 1)
    # An edge is a decimal like 0.3, which `linspace` may miss by one bit.
    index = np.searchsorted(edges[1:-1] + 1e-12, p, side="left")
    return np.asarray(np.eye(bins)[index])


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
        if float(np.abs(step).max()) < 1e-10:
            return beta, curvature, scores
        size = 1.0
        while (after := loss(beta + size * step)) > now + 1e-12 and size > 1e-8:
            size /= 2
        beta, now = beta + size * step, after
    return None

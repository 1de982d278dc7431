"""Do probabilities keep what they say? Errors of probabilities against what came true.

Everywhere `probs` are stated probabilities of an event, shape ``(n,)``, in [0, 1], and `events` say
whether it came true. The error of calibration by bins is above 0 for a perfect model too, and the
more so the fewer the texts: it is never to be read without `null_band`.
"""

from dataclasses import dataclass, field
from math import erfc, sqrt

import numpy as np

from audit.intervals import estimated
from audit.omnibus import Tested
from audit.recalibrating import (
    NO_PROBABILITY,
    Clusters,
    Events,
    Probs,
    Recalibration,
    read,
    recalibration,
    recalibration_difference,
)
from audit.resampling import EMPTY
from audit.stats import mean
from audit.types import Absent, Estimate, Floats, Quantiles

__all__ = [
    "BAND_PROBS",
    "Band",
    "Recalibration",
    "brier",
    "calibration_in_the_large",
    "expected_calibration_error",
    "log_loss",
    "maximum_calibration_error",
    "null_band",
    "recalibration",
    "recalibration_difference",
    "spiegelhalter",
]

BAND_PROBS = tuple(i / 200 for i in range(1, 200))


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
    values: tuple[float, ...] = field(repr=False)
    """Quantiles of the errors at the shares `BAND_PROBS`."""

    def as_estimate(self, n: int) -> Estimate:
        """Return mean and band as a number that can be reported beside the error of `n` texts."""
        basis = Quantiles(probs=BAND_PROBS, values=self.values)
        return estimated(self.mean, basis, "null-band", n, self.level)


def expected_calibration_error(
    probs: Probs,
    events: Events,
    *,
    bins: int = 10,
    rng: np.random.Generator | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the mean distance between stated and observed frequency over equally wide bins.

    Bins are closed on the right, the first on both sides. Chance adds to the error, so that no
    resampling of the texts covers the truth: a resample has more of it still. The interval asks
    instead which true errors would have given one like this: in each bin the true frequency is
    moved from what was stated towards, and beyond, what was observed, and events are drawn.

    Args:
        probs: Stated probabilities.
        events: What came true, of texts that are independent.
        bins: Number of bins.
        rng: Source of the draws.
        resamples: Draws at each true error that is tried.
        level: Coverage of the interval, in (0, 1); approximate.

    Returns:
        The error, in [0, 1]: biased upwards, so that it may lie near the upper bound. `Absent`:
        "empty", "invalid", "no_variation" where it is 0.

    Source:
        Guo et al. (2017), ICML, section 2, arXiv:1706.04599; Nixon et al. (2019),
        arXiv:1904.01685, for its bias; Davison & Hinkley (1997), Bootstrap Methods, section 5.4,
        for limits by parametric test inversion.
    """
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
    member = _members(p, bins)
    held = member.sum(axis=0)
    used = held > 0
    held, said, came = held[used], (p @ member)[used], (y @ member)[used]
    value = float(np.abs(came - said).sum()) / p.size
    if value < 1e-12:
        return Absent(code="no_variation", reason="every bin keeps exactly what it says")
    rng = rng or np.random.default_rng(0)
    truths, larger = [], []
    for step in (*np.linspace(0, 2, 26), *np.geomspace(2.2, 60, 18)):
        share = np.clip((said + step * (came - said)) / held, 0.0, 1.0)
        truth = float(np.abs(held * share - said).sum()) / p.size
        drawn = rng.binomial(held.astype(np.int64), share, size=(resamples, len(held)))
        error = np.abs(drawn - said).sum(axis=1) / p.size
        truths.append(truth if step else 0.0)
        larger.append((float(np.sum(error >= value - 1e-12)) + 0.5) / (resamples + 1))
        if larger[-1] > 1 - 1 / resamples or truth > 0.999:
            break
    # Whether an error like this one is likelier the larger the truth: a curve of confidence.
    curve = np.maximum.accumulate(np.array(larger))
    probs_ = np.array(BAND_PROBS)
    basis = Quantiles(
        probs=BAND_PROBS, values=tuple(map(float, np.interp(probs_, curve, np.array(truths))))
    )
    return estimated(value, basis, "test-inversion", p.size, level)


def maximum_calibration_error(probs: Probs, events: Events, *, bins: int = 10) -> float | Absent:
    """Return the largest distance between stated and observed frequency over the bins in use.

    Without an interval: a maximum is large by chance where a bin holds few texts, and resampling
    does not tell by how much. For display only.

    Source:
        Guo et al. (2017), ICML, section 2, arXiv:1706.04599.
    """
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
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
        return NO_PROBABILITY
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
        values=tuple(map(float, np.quantile(drawn, BAND_PROBS))),
    )


def brier(
    probs: Probs, events: Events, clusters: Clusters = None, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate the mean squared distance between probability and event, in [0, 1].

    Source:
        Brier (1950), Monthly Weather Review 78(1), pp. 1-3.
    """
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
    return mean((p - y) ** 2, clusters, low=0.0, high=1.0, level=level)


def calibration_in_the_large(
    probs: Probs, events: Events, clusters: Clusters = None, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate how much more often the event comes than was said, on average, in [-1, 1].

    Source:
        Cox (1958), Biometrika 45, pp. 562-565; Van Calster et al. (2019), BMC Medicine 17:230,
        doi:10.1186/s12916-019-1466-7 (mean calibration).
    """
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
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
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
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
    both = read(probs, events)
    if isinstance(both, Absent):
        return both
    p, y = both
    spread = float(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))
    if spread <= 0:
        return Absent(code="no_variation", reason="every probability is 0, 1 or one half")
    z = float(np.sum((y - p) * (1 - 2 * p))) / sqrt(spread)
    return Tested(statistic=z, p=erfc(abs(z) / sqrt(2)), method="spiegelhalter-z")


def _members(p: Floats, bins: int) -> Floats:
    """Return which bin each probability is in, shape ``(n, bins)``, closed on the right."""
    edges = np.linspace(0, 1, bins + 1)
    # An edge is a decimal like 0.3, which `linspace` may miss by one bit.
    index = np.searchsorted(edges[1:-1] + 1e-12, p, side="left")
    return np.asarray(np.eye(bins)[index])

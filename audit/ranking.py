"""How well scores rank texts: areas under the ROC curve, of groups against their background."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from audit.intervals import estimated
from audit.resampling import EMPTY, cluster_names
from audit.types import Absent, Estimate, Floats, Means, TwoMeans

Bools = NDArray[np.bool_]
Clusters = Sequence[str | None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """An AUC over some texts, with what each text adds to its error."""

    value: float
    """Probability that a positive text scores above a negative one, ties counted half."""
    influence: Floats
    """Shape ``(n,)`` over all texts asked, 0 for those outside: the error is the sum over the
    independent units of the sums over their texts."""
    units: int
    """Independent units (texts or clusters) on the smaller of the two sides."""
    other_units: int
    """The same on the larger."""
    se: float
    clustered: bool

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the error: the smaller side is what it hangs on."""
        return float(self.units - 1)

    @property
    def wary(self) -> float:
        """The error to compare with, where few texts are misplaced: among 80 texts at an AUC of
        0.98, DeLong's is seen small together with an area seen large, so that one gap in ten and
        more would look better by chance. It is drawn towards Hanley and McNeil's error at an area
        with one more unit at each end; halfway where at most two units are misplaced, and ever less
        where more are.

        Source:
            Hanley & McNeil (1982), Radiology 143(1), pp. 29-36, for the error from an area alone.
        """
        if self.se == 0:
            return 0.0
        m, n = self.units, self.other_units
        a = (self.value * m + 1) / (m + 2)
        more = ((m + n) / 2 - 1) * ((1 - a) / (2 - a) + a / (1 + a))
        modelled = sqrt(a * (1 - a) / (m * n) * (1 + more))
        # DeLong's error is above 0, so that some unit is misplaced and some is not.
        misplaced = m * min(self.value, 1 - self.value)
        weight = min(1.0, 2 / misplaced) / 2
        return self.se * float(max(1.0, modelled / self.se) ** weight)

    @property
    def unseen(self) -> float:
        """Variance to count where no unit differs from another: one more at each end."""
        if self.se > 0:
            return 0.0
        shrunk = (self.value * self.units + 1) / (self.units + 2)
        return shrunk * (1 - shrunk) / self.units


def auc(
    scores: Sequence[float] | Floats,
    positive: Sequence[bool] | Bools,
    clusters: Clusters = None,
    *,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the area under the ROC curve with DeLong's error on the logit scale.

    Args:
        scores: One number per text, shape ``(n,)``; only their order counts.
        positive: Which texts should score high.
        clusters: Cluster of each text; None: a cluster of its own. Positives and negatives of one
            cluster may depend on each other. Bounds then take Student's t, as those do that a verdict
        hangs on.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The AUC in [0, 1], ties counted half; `n` is the number of independent units of the smaller
        class. `Absent`: "empty", "one_class", "too_few" (fewer than two independent units of a
        class), "not_finite". Where no text is placed differently from another of its class
        (perfect separation; all scores equal) the error cannot be read off the data: a text at the
        far end may then have, unseen, a probability up to Clopper and Pearson's bound of 0 in `n`.

    Source:
        DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, pp. 837-845; Pepe (2003), The
        Statistical Evaluation of Medical Tests, section 5.2, for the logit scale; Obuchowski
        (1997), Biometrics 53, pp. 567-578, for clusters.
    """
    found = area(scores, positive, clusters)
    return found if isinstance(found, Absent) else as_estimate(found, level)


def subgroup_auc(
    scores: Sequence[float] | Floats,
    positive: Sequence[bool] | Bools,
    member: Sequence[bool] | Bools,
    clusters: Clusters = None,
    *,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the AUC among the members of a group alone.

    Source:
        Borkan et al. (2019), section 3, arXiv:1903.04561.
    """
    return _cell("subgroup", scores, positive, member, clusters, level)


def bpsn_auc(
    scores: Sequence[float] | Floats,
    positive: Sequence[bool] | Bools,
    member: Sequence[bool] | Bools,
    clusters: Clusters = None,
    *,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the AUC of positives of the background (non-members) against negative members.

    Low where negative texts of the group score as high as positive texts elsewhere.

    Source:
        Borkan et al. (2019), section 3, arXiv:1903.04561.
    """
    return _cell("bpsn", scores, positive, member, clusters, level)


def bnsp_auc(
    scores: Sequence[float] | Floats,
    positive: Sequence[bool] | Bools,
    member: Sequence[bool] | Bools,
    clusters: Clusters = None,
    *,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate the AUC of positive members against negatives of the background (non-members).

    Low where positive texts of the group score as low as negative texts elsewhere.

    Source:
        Borkan et al. (2019), section 3, arXiv:1903.04561.
    """
    return _cell("bnsp", scores, positive, member, clusters, level)


def cell(kind: str, positive: Bools, member: Bools) -> Bools:
    """Return the texts that the AUC of `kind` is taken over: subgroup, bpsn or bnsp."""
    if kind == "subgroup":
        return member
    return positive ^ member if kind == "bpsn" else positive == member


def power_mean(values: Sequence[float] | Floats, p: float = -5.0) -> float | Absent:
    """Return the generalized mean ``(mean of values^p)^(1/p)``; a low `p` leans to the lowest.

    Args:
        values: Numbers of 0 or more.
        p: Exponent; 0 gives the geometric mean.

    Returns:
        Within the range of `values`; 0 when one of them is 0 and ``p <= 0``. `Absent` for no value
        and for values below 0 or not finite. Below the truth where the values are noisy, as a
        minimum is.

    Source:
        Borkan et al. (2019), arXiv:1903.04561; exponent -5 as in the Jigsaw Unintended Bias
        challenge.
    """
    x = np.asarray(values, np.float64).ravel()
    if x.size == 0:
        return EMPTY
    if not np.isfinite(x).all() or x.min() < 0:
        return Absent(code="invalid", reason="a value is below 0 or not a finite number")
    if p <= 0 and x.min() == 0:
        return 0.0
    if p == 0:
        return float(np.exp(np.log(x).mean()))
    top = float(x.max())
    # Scaled by the largest, so that no power leaves what a float can hold.
    return top * float(np.mean((x / top) ** p) ** (1 / p)) if top else 0.0


def power_mean_of(
    areas: Sequence[Area], clusters: Clusters = None, p: float = -5.0, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate the generalized mean of AUCs over the same texts, which may share texts.

    The interval comes from the texts' joint influence (delta method), on the logit scale. It speaks
    of sampling error alone: the mean itself leans below the truth where single AUCs are noisy.

    Source:
        Borkan et al. (2019), arXiv:1903.04561; van der Vaart (1998), Asymptotic Statistics, ch. 3.
    """
    value = power_mean([a.value for a in areas], p)
    if isinstance(value, Absent):
        return value
    least = min(areas, key=lambda a: a.units)
    if not 0 < value < 1:
        # It lies between its AUCs, so that what bounds the least of them bounds it too.
        basis = Means(mean=value, se=0.0, df=least.degrees, low=0.0, high=1.0)
        return estimated(value, basis, "logit-delta", least.units, level)
    pulls = [(a.value / value) ** (p - 1) / len(areas) for a in areas]
    influence = np.zeros_like(areas[0].influence)
    for area_, pull in zip(areas, pulls, strict=True):
        influence += pull * area_.influence
    variance = _variance(influence, clusters)
    variance += sum(pull**2 * a.unseen for a, pull in zip(areas, pulls, strict=True))
    basis = Means(mean=value, se=sqrt(variance), df=least.degrees, low=0.0, high=1.0)
    return estimated(value, basis, "logit-delta", least.units, level, mde=2.8 * basis.se)


def difference(
    one: Area, other: Area, clusters: Clusters = None, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate how much larger one AUC is than another over the same texts, which they may share.

    Returns:
        ``one - other``, in [-1, 1], with the hybrid of both logit intervals: a plain interval would
        call one group in eight better than the whole by chance where AUCs lie near 0.95. Texts that
        both are taken over count in the correlation of the errors. `Absent` ("no_variation") for
        two AUCs over the same texts.

    Source:
        DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, pp. 837-845, for correlated areas;
        Zou & Donner (2008), Statistics in Medicine 27, pp. 1693-1702, for the hybrid.
    """
    both = one.se * other.se
    shared = (_variance(one.influence + other.influence, clusters) - one.se**2 - other.se**2) / 2
    gap, apart = one.value - other.value, one.se**2 + other.se**2 - 2 * shared
    if both > 0 and apart < 1e-18:
        return Absent(code="no_variation", reason="both AUCs are taken over the same texts")
    basis = TwoMeans(
        one=replace(_basis(one), se=one.wary),
        other=replace(_basis(other), se=other.wary),
        correlation=min(1.0, max(-1.0, shared / both)) if both else 0.0,
    )
    method = "delong-gap-cluster" if one.clustered or other.clustered else "delong-gap"
    wary = max(0.0, apart) + one.wary**2 - one.se**2 + other.wary**2 - other.se**2
    se = sqrt(wary + one.unseen + other.unseen)
    return estimated(gap, basis, method, min(one.units, other.units), level, mde=min(1.0, 2.8 * se))


def area(
    scores: Sequence[float] | Floats,
    positive: Sequence[bool] | Bools,
    clusters: Clusters = None,
    over: Bools | None = None,
) -> Area | Absent:
    """Return an AUC over the texts `over` (None: all), with each text's influence on it.

    Source:
        DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, pp. 837-845; Obuchowski (1997),
        Biometrics 53, pp. 567-578, for clusters.
    """
    x, y = np.asarray(scores, np.float64).ravel(), np.asarray(positive, bool).ravel()
    if len(x) != len(y):
        return Absent(code="invalid", reason=f"{len(x)} scores for {len(y)} labels")
    inside = np.ones(len(x), bool) if over is None else over
    ups, downs = np.flatnonzero(inside & y), np.flatnonzero(inside & ~y)
    if not len(ups) + len(downs):
        return EMPTY
    if not (len(ups) and len(downs)):
        missing = "negative" if len(ups) else "positive"
        return Absent(code="one_class", reason=f"no text is {missing}; an AUC needs both classes")
    if not np.isfinite(x[inside]).all():
        return Absent(code="not_finite", reason="a score is not a finite number")
    up, down = x[ups], x[downs]
    # Each text's placement: the share of the other class that it ranks rightly against.
    above, below = _share_below(up, down), 1 - _share_below(down, up)
    value = float(above.mean())
    clustered = clusters is not None and len(clusters) > 0
    index: NDArray[np.intp] = np.arange(len(x))
    sides = len(ups), len(downs)
    if clustered:
        _, index = np.unique(cluster_names(len(x), clusters), return_inverse=True)
        clustered = len(np.unique(index[inside])) < int(inside.sum())
        sides = len(np.unique(index[ups])), len(np.unique(index[downs]))
    if min(sides) < 2:
        return Absent(code="too_few", reason="a class has fewer than two independent texts")
    influence = np.zeros(len(x))
    influence[ups] = (above - value) / len(up) * sqrt(sides[0] / (sides[0] - 1))
    influence[downs] = (below - value) / len(down) * sqrt(sides[1] / (sides[1] - 1))
    totals = np.bincount(index, influence)
    se = sqrt(float(totals @ totals))
    return Area(
        value=value,
        influence=influence,
        units=min(sides),
        other_units=max(sides),
        se=0.0 if se < 1e-12 else se,
        clustered=clustered,
    )


def as_estimate(found: Area, level: float = 0.95) -> Estimate:
    """Return an AUC with its interval."""
    mde = 2.8 * found.se
    if found.se == 0:
        mde = min(1.0, (1 - 0.05 ** (1 / found.units)) * 2.8 / 1.96)
    method = "logit-delong-cluster" if found.clustered else "logit-delong"
    return estimated(found.value, _basis(found), method, found.units, level, mde=mde)


def _basis(found: Area) -> Means:
    return Means(mean=found.value, se=found.se, df=found.degrees, low=0.0, high=1.0)


def _cell(
    kind: str,
    scores: Sequence[float] | Floats,
    positive: Sequence[bool] | Bools,
    member: Sequence[bool] | Bools,
    clusters: Clusters,
    level: float,
) -> Estimate | Absent:
    y, inside = np.asarray(positive, bool).ravel(), np.asarray(member, bool).ravel()
    found = area(scores, y, clusters, cell(kind, y, inside))
    return found if isinstance(found, Absent) else as_estimate(found, level)


def _share_below(values: Floats, others: Floats) -> Floats:
    """Return which share of `others` lies below each value, equals counted half."""
    ranked = np.sort(others)
    first = np.searchsorted(ranked, values, side="left")
    last = np.searchsorted(ranked, values, side="right")
    return np.asarray((first + last) / (2 * len(ranked)))


def _variance(influence: Floats, clusters: Clusters) -> float:
    if clusters is None or len(clusters) == 0:
        return float(influence @ influence)
    _, index = np.unique(cluster_names(len(influence), clusters), return_inverse=True)
    totals = np.bincount(index, influence)
    return float(totals @ totals)

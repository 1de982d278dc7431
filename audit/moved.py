"""The change of any number between two audits, from how far each text moved it in both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from audit import stats
from audit.intervals import estimated
from audit.resampling import by_cluster
from audit.types import Absent, Estimate, Floats, Means

PAIRED = "paired by influence"


@dataclass(frozen=True, slots=True)
class Moved:
    """How far each text moved one number of one audit."""

    by: Mapping[str, float]
    """Text to its influence; see `types.Influence`."""
    clusters: Mapping[str, str | None]
    of_mean: bool


def influences(table: Mapping[str, Sequence[Any]]) -> dict[str, Moved]:
    """Return the columns of ``influence.parquet`` by measurement."""
    found: dict[str, tuple[dict[str, float], dict[str, str | None], bool]] = {}
    names = ("measurement", "example_id", "cluster", "influence", "of_mean")
    if not table:
        return {}
    for name, example, cluster, value, of_mean in zip(*(table[c] for c in names), strict=True):
        by, clusters, _ = found.setdefault(name, ({}, {}, bool(of_mean)))
        by[example] = float(value)
        clusters[example] = cluster
    return {name: Moved(*parts) for name, parts in found.items()}


def change(
    before: tuple[Estimate, Moved], after: tuple[Estimate, Moved], *, level: float
) -> Estimate | Absent | None:
    """Estimate after less before of one number, paired on the texts behind it.

    A mean over the same texts is the mean of their changes: Tango's interval for yes and no, else
    `stats.mean`. Any other number, and a mean over texts of which some were asked in one audit
    alone (attacks leave out what a model gets wrong), has the error of the summed differences of
    influences, cluster by cluster; two texts more, one each way and as far as the farthest, are
    reckoned in, so that few changes are not taken for certainty.

    Returns:
        None where no text moved the number in either audit, so that no error can be read off.

    Source:
        As `audit.influence`; the added texts as Bonett & Price (2012), Journal of Educational and
        Behavioral Statistics 37(4), pp. 479-488.
    """
    (one, mine), (other, theirs) = before, after
    ids = list(dict.fromkeys([*mine.by, *theirs.by]))
    if not ids:
        return None
    clusters = [mine.clusters.get(i, theirs.clusters.get(i)) for i in ids]
    same = set(mine.by) == set(theirs.by)
    if same and mine.of_mean and theirs.of_mean:
        n = len(ids)
        values = [np.array([m.by[i] * n for i in ids]) for m in (mine, theirs)]
        moved = (values[1] + other.value) - (values[0] + one.value)
        # What came from counts comes back with the last bits lost.
        moved = np.where(np.abs(moved - np.rint(moved)) < 1e-9, np.rint(moved), moved)
        return of_changes(moved, clusters, level)
    apart = np.array([theirs.by.get(i, 0.0) - mine.by.get(i, 0.0) for i in ids])
    if same and not apart.any() and one.value == other.value:
        return of_changes(apart, clusters, level)
    totals, _ = by_cluster(apart, clusters)
    groups = len(totals)
    farthest = max(abs(x) for m in (mine, theirs) for x in m.by.values())
    if groups < 2 or not farthest:
        return None
    variance = groups / (groups - 1) * float(totals @ totals) + 2 * farthest**2
    basis = Means(mean=other.value - one.value, se=sqrt(variance), df=float(groups - 1))
    n = min(one.n, other.n)
    mde = 2.8 * basis.se
    return estimated(other.value - one.value, basis, PAIRED, n, level, mde=mde)


def of_changes(change: Floats, clusters: Sequence[str | None], level: float) -> Estimate | Absent:
    """Estimate the mean of one change for each text, shape ``(n,)``."""
    if repeats(clusters) or not np.isin(change, (-1.0, 0.0, 1.0)).all():
        most = max(1.0, float(np.abs(change).max(initial=0.0)))
        return stats.mean(change, clusters, low=-most, high=most, level=level)
    up, down = int((change > 0).sum()), int((change < 0).sum())
    return stats.paired_difference(len(change), up, down, level=level)


def repeats(clusters: Sequence[str | None]) -> bool:
    """Return whether two texts share a cluster."""
    named = [c for c in clusters if c is not None]
    return len(set(named)) < len(named)

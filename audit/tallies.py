"""Measurements of what texts are, counted from columns: shares, means and their differences."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.bench import Bench
from audit.perturbation import repeats
from audit.types import Absent, Estimate, Floats, Measurement, Skip

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Makes measurements over the ``n`` texts of the audited corpus.

    Every method takes `over`, shape ``(n,)``: the texts a number is taken over. The others are left
    out, because `why`. Fewer than `least` texts, on either side of a difference, give `Absent`.
    """

    bench: Bench
    clusters: NDArray[np.str_] | None
    """Cluster of each text; None where every text is one of its own."""

    @property
    def n(self) -> int:
        return len(self.bench.corpus.examples)

    def share(
        self,
        metric: str,
        where: Mapping[str, str],
        hits: Bools,
        over: Bools,
        why: str = "",
        *,
        unit: str = "share of texts",
        least: int = 1,
        budget: str = "",
    ) -> Measurement:
        """Measure the share of `hits`: Wilson's interval, or that of cluster totals."""
        value = _few(least, over)
        if value is None:
            value = self._share(hits[over], over)
        return self._fact(metric, where, value, over, why, unit, budget)

    def mean(
        self,
        metric: str,
        where: Mapping[str, str],
        values: Floats,
        over: Bools,
        why: str,
        *,
        unit: str,
        least: int = 1,
        high: float | None = None,
    ) -> Measurement:
        """Measure the mean of `values`, none below 0 and none above `high`."""
        value = _few(least, over)
        if value is None:
            level = self.bench.level
            value = stats.mean(values[over], self._names(over), low=0.0, high=high, level=level)
        return self._fact(metric, where, value, over, why, unit)

    def mean_gap(
        self,
        metric: str,
        where: Mapping[str, str],
        values: Floats,
        mine: Bools,
        over: Bools,
        why: str,
        *,
        unit: str,
        least: int = 1,
    ) -> Measurement:
        """Measure the mean of `mine` less that of the others."""
        value = _few(least, over & mine, over & ~mine)
        if value is None:
            names, level = self._names(over), self.bench.level
            value = stats.difference_of_means(values[over], mine[over], names, level=level)
        return self._fact(metric, where, value, over, why, f"difference in {unit}")

    def share_gap(
        self,
        metric: str,
        where: Mapping[str, str],
        hits: Bools,
        mine: Bools,
        over: Bools,
        why: str,
        *,
        unit: str,
        least: int = 1,
    ) -> Measurement:
        """Measure the share of hits among `mine` less that among the others."""
        value = _few(least, over & mine, over & ~mine)
        if value is None:
            value = self._share_gap(hits[over], mine[over], over)
        return self._fact(metric, where, value, over, why, f"difference in {unit}")

    def _share(self, hits: Bools, over: Bools) -> Estimate | Absent:
        names, level = self._names(over), self.bench.level
        if names is None:
            return stats.share(int(hits.sum()), len(hits), level=level)
        return stats.mean(hits.astype(float), names, low=0.0, high=1.0, level=level)

    def _share_gap(self, hits: Bools, mine: Bools, over: Bools) -> Estimate | Absent:
        names, level = self._names(over), self.bench.level
        if names is None:
            a, b = hits[mine], hits[~mine]
            return stats.difference(int(a.sum()), len(a), int(b.sum()), len(b), level=level)
        values = hits.astype(float)
        return stats.difference_of_means(values, mine, names, low=0.0, high=1.0, level=level)

    def _names(self, over: Bools) -> list[str] | None:
        return None if self.clusters is None else self.clusters[over].tolist()

    def _fact(
        self,
        metric: str,
        where: Mapping[str, str],
        value: Estimate | Absent,
        over: Bools,
        why: str,
        unit: str,
        budget: str = "",
    ) -> Measurement:
        without = self.n - int(over.sum())
        return Measurement(
            id=self.bench.id(metric, where),
            metric=metric,
            where=where,
            value=value,
            unit=unit,
            eligible=self.n,
            left_out=(Skip(reason=why, count=without),) if without else (),
            family=f"{self.bench.probe}.{metric}",
            budget=budget,
        )


def tally(bench: Bench) -> Tally:
    """Return the tally of the audited corpus."""
    clusters = [e.cluster for e in bench.corpus.examples]
    if not repeats(clusters):
        return Tally(bench=bench, clusters=None)
    # A text without a cluster is one of its own; the mark keeps it from sharing another's name.
    names = [f"c{c}" if c is not None else f"t{i}" for i, c in enumerate(clusters)]
    return Tally(bench=bench, clusters=np.array(names, dtype=str))


def _few(least: int, *sides: Bools) -> Estimate | Absent | None:
    smallest = min(int(side.sum()) for side in sides)
    if smallest >= max(1, least):
        return None
    if smallest == 0:
        return Absent(code="empty", reason="no text was left to measure")
    return Absent(code="too_few", reason=f"{smallest} texts, fewer than {least}")

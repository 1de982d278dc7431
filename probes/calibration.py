"""Does a stated probability mean the same for every group?

Holds the probability of the favourable labels (or of the label decided for) against what was true,
for each group and against the rest: the slope of the logistic recalibration (below 1: too extreme),
its intercept, the Brier score, and how much more often the event comes than was said. The error of
calibration over ten bins stands last and only beside what a perfectly calibrated model would show
on as many texts: it is above 0 for that one too. There is no difference of it between groups, for
it would compare their sizes.

Source: Van Calster, McLernon, van Smeden, Wynants & Steyerberg (2019), 'Calibration: the Achilles
heel of predictive analytics', BMC Medicine 17:230, doi:10.1186/s12916-019-1466-7; Guo et al.
(2017), arXiv:1706.04599, section 2, for the error over bins.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit import calibrating, identities, stats
from audit.bench import Bench, Planned
from audit.decision import correct, decided_at, truly_favourable
from audit.errors import Unsupported
from audit.identities import Identity
from audit.metrics import CLUSTERED, Bools, clusters_of
from audit.omnibus import Tested, as_estimate
from audit.types import Absent, Estimate, Fact, Floats, Measurement, Skip

UNITS: Mapping[str, str] = {
    "slope": "true log-odds per stated log-odds",
    "intercept": "log-odds",
    "brier": "squared probability",
    "in_the_large": "observed less stated share",
    "ece": "probability",
    "ece_null": "probability",
    "ece_p": "p-value",
}
COMPARED = ("slope", "intercept", "brier", "in_the_large")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Recalibration slope and intercept, Brier score and mean calibration of each group."""

    name: ClassVar[str] = "calibration"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    attributes: tuple[str, ...] = ()
    """Which attributes of the texts; empty: every one of the corpus, or none if it has none."""
    of: Literal["favourable", "top_label"] = "favourable"
    """Which probability: that of the favourable labels against a favourable true label, or that of
    the label decided for against its being right."""
    bins: int = 10
    """Equally wide bins of the error of calibration."""
    min_n: int = 100
    """Nothing is estimated over fewer texts."""

    def __post_init__(self) -> None:
        if self.bins < 2:
            raise ValueError("bins must be at least 2")
        if self.min_n < 2:
            raise ValueError("min_n must be at least 2")

    def plan(self, bench: Bench) -> Planned:
        self._refuse(bench)
        claims = [bench.id(metric) for metric in UNITS]
        for identity in self._identities(bench):
            claims += [bench.id(metric, identity.where) for metric in UNITS]
            claims += [bench.id(f"{m}_gap", _against_rest(identity)) for m in COMPARED]
        n = len(bench.corpus.examples)
        return Planned(units=n, queries=n, claims=tuple(claims))

    def run(self, bench: Bench) -> Iterator[Fact]:
        self._refuse(bench)
        p, y, known = self._stated(bench)
        names = clusters_of(bench.corpus.examples)
        clusters = None if names is None else np.asarray(names)
        yield from self._slice(bench, p, y, known, known, {}, clusters, ())
        for identity in self._identities(bench):
            mine = known & identity.member
            sure = known & identity.known
            unknown = int((known & ~sure).sum())
            skips = (Skip(reason=identity.unknown, count=unknown),) if unknown else ()
            yield from self._slice(bench, p, y, mine, sure, identity.where, clusters, skips)
            yield from self._gaps(bench, p, y, mine, sure, identity, clusters, skips)

    def _slice(
        self,
        bench: Bench,
        p: Floats,
        y: Bools,
        mine: Bools,
        sure: Bools,
        where: Mapping[str, str],
        clusters: np.ndarray[tuple[int], np.dtype[np.str_]] | None,
        skips: tuple[Skip, ...],
    ) -> Iterator[Measurement]:
        elsewhere = int((sure & ~mine).sum())
        if elsewhere:
            skips = (*skips, Skip(reason="in another group", count=elsewhere))
        values: dict[str, Estimate | Absent]
        n = int(mine.sum())
        if n < self.min_n:
            values = dict.fromkeys(UNITS, self._too_few(n))
        else:
            own = None if clusters is None else list(clusters[mine])
            values = self._of(bench, p[mine], y[mine], own, where)
        for metric in UNITS:
            yield self._fact(bench, metric, where, values[metric], skips)

    def _of(
        self,
        bench: Bench,
        p: Floats,
        y: Bools,
        clusters: list[str] | None,
        where: Mapping[str, str],
    ) -> dict[str, Estimate | Absent]:
        level, path = bench.level, [x for item in sorted(where.items()) for x in item]
        line = calibrating.recalibration(p, y, clusters, level=level)
        # A band of independent texts is too low a bar for texts that come in clusters.
        error: Estimate | Absent = CLUSTERED
        null: Estimate | Absent = CLUSTERED
        chance: Estimate | Absent = CLUSTERED
        if clusters is None:
            error, null, chance = self._by_bins(bench, p, y, path)
        return {
            "slope": line if isinstance(line, Absent) else line.slope,
            "intercept": line if isinstance(line, Absent) else line.intercept,
            "brier": calibrating.brier(p, y, clusters, level=level),
            "in_the_large": calibrating.calibration_in_the_large(p, y, clusters, level=level),
            "ece": error,
            "ece_null": null,
            "ece_p": chance,
        }

    def _by_bins(
        self, bench: Bench, p: Floats, y: Bools, path: Sequence[str]
    ) -> tuple[Estimate | Absent, Estimate | Absent, Estimate | Absent]:
        """Return the error over bins, that of perfect models, and how often theirs is as large."""
        level, rng = bench.level, bench.rng("ece", *path)
        error = calibrating.expected_calibration_error(p, y, bins=self.bins, rng=rng, level=level)
        observed = error.value if isinstance(error, Estimate) else None
        band = calibrating.null_band(
            p, observed, bins=self.bins, rng=bench.rng("null", *path), level=level
        )
        if isinstance(error, Absent) or isinstance(band, Absent):
            return (error,) * 3
        test = Tested(
            statistic=error.value, p=band.p, method="parametric-bootstrap", resamples=band.resamples
        )
        return error, band.as_estimate(len(p)), as_estimate(test, len(p), level=level)

    def _gaps(
        self,
        bench: Bench,
        p: Floats,
        y: Bools,
        mine: Bools,
        sure: Bools,
        identity: Identity,
        clusters: np.ndarray[tuple[int], np.dtype[np.str_]] | None,
        skips: tuple[Skip, ...],
    ) -> Iterator[Measurement]:
        values: dict[str, Estimate | Absent]
        least = min(int(mine.sum()), int((sure & ~mine).sum()))
        if least < self.min_n:
            values = dict.fromkeys(COMPARED, self._too_few(least))
        else:
            own = None if clusters is None else list(clusters[sure])
            prob, event, inside = p[sure], y[sure], mine[sure]
            line = calibrating.recalibration_difference(prob, event, inside, own, level=bench.level)
            off = event - prob
            values = {
                "slope": line if isinstance(line, Absent) else line.slope,
                "intercept": line if isinstance(line, Absent) else line.intercept,
                "brier": stats.difference_of_means(
                    off**2, inside, own, low=0.0, high=1.0, level=bench.level
                ),
                "in_the_large": stats.difference_of_means(
                    off, inside, own, low=-1.0, high=1.0, level=bench.level
                ),
            }
        for metric in COMPARED:
            yield self._fact(bench, f"{metric}_gap", _against_rest(identity), values[metric], skips)

    def _fact(
        self,
        bench: Bench,
        metric: str,
        where: Mapping[str, str],
        value: Estimate | Absent,
        skips: Sequence[Skip],
    ) -> Measurement:
        unlabelled = sum(e.label is None for e in bench.corpus.examples)
        left = [Skip(reason="no true label", count=unlabelled)] if unlabelled else []
        unit = UNITS[metric.removesuffix("_gap")]
        if metric == "ece":
            unit += "; read beside ece_null"
        elif metric == "ece_null":
            unit += " that a perfectly calibrated model would show"
        gap = metric.endswith("_gap")
        return Measurement(
            id=bench.id(metric, where),
            metric=metric,
            where=where,
            value=value,
            unit=f"difference in {unit}" if gap else unit,
            eligible=len(bench.corpus.examples),
            left_out=(*left, *skips),
            family=f"{self.name}.{metric}" if gap else "",
        )

    def _stated(self, bench: Bench) -> tuple[Floats, Bools, Bools]:
        """Return each text's stated probability, whether the event came, and whether that is known.

        For a multi-label head the favourable score is the highest of the favourable probabilities.
        """
        examples = bench.corpus.examples
        scores = bench.scorer([e.input for e in examples])
        decided = bench.decide(scores)
        known = np.array([e.label is not None for e in examples], dtype=bool)
        if self.of == "favourable":
            truth = [bool(truly_favourable(bench.decision, e)) for e in examples]
            return decided.score, np.array(truth, dtype=bool), known
        labelled = np.flatnonzero(known)
        right = np.zeros(len(examples), dtype=bool)
        right[labelled] = correct(
            bench.decision,
            decided_at(decided, labelled),
            tuple(examples[int(i)] for i in labelled),
        )
        top = np.asarray(scores, np.float64).reshape(len(examples), -1)
        return np.clip(top[np.arange(len(examples)), decided.label], 0.0, 1.0), right, known

    def _refuse(self, bench: Bench) -> None:
        if self.of == "top_label" and bench.decision.head == "multi":
            raise Unsupported(
                "A multi-label decision has no single label whose probability could be checked.",
                hint='Leave out of = "top_label".',
            )

    def _identities(self, bench: Bench) -> list[Identity]:
        there = sorted({name for e in bench.corpus.examples for name in e.groups})
        return identities.of_columns(bench.corpus.examples, self.attributes or there)

    def _too_few(self, n: int) -> Absent:
        if n == 0:
            return Absent(code="empty", reason="no text with a true label is there")
        return Absent(
            code="too_few", reason=f"{n} texts with a true label, fewer than {self.min_n}"
        )


def _against_rest(identity: Identity) -> dict[str, str]:
    return {**identity.where, "against": "rest"}

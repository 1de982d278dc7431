"""What changing texts changes: flips and lost accuracy over pairs of text and altered copy."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from audit import stats
from audit.bench import Bench
from audit.decision import correct, decided_at
from audit.influence import of_mean
from audit.types import Absent, Cases, Estimate, Example, Fact, Measurement, Skip, Text

Pair = tuple[Example, Text]
"""A text and its altered copy."""


def claims(
    bench: Bench, where: Mapping[str, str] | None = None, *, points: int = 1
) -> tuple[str, ...]:
    """Return the ids of what `measure` yields."""
    found = [bench.id("flip_rate", where)]
    if _labelled(bench):
        found.append(bench.id("accuracy_drop", where))
        if points > 1:
            found.append(bench.id("accuracy", where))
    return tuple(found)


def band_level(level: float, points: int) -> float:
    """Return the level of each interval whose `points` together cover at `level`.

    Source:
        Bonferroni's inequality, which holds however the points hang together; Dunn (1961), JASA
        56(293), pp. 52-64, doi:10.1080/01621459.1961.10482090.
    """
    return level if points == 1 else 1 - (1 - level) / points


def measure(
    bench: Bench,
    pairs: Sequence[Pair],
    left_out: Sequence[Skip],
    *,
    where: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    points: int = 1,
) -> Iterator[Fact]:
    """Yield ``flip_rate``, ``accuracy_drop`` where texts have labels, and every pair as a case.

    As one of several points of a curve it yields ``accuracy`` of the altered texts as well, and
    every interval belongs to a simultaneous band over the points (`band_level`).

    Args:
        bench: The bench of the probe that made the pairs.
        pairs: One per text; the text is the unit, however much of it was altered.
        left_out: Texts without a pair, and why.
        where: The slice, e.g. ``{"kind": "ocr"}``.
        notes: What was done to each text, for the reader of a case.
        points: Of the curve that this is one of.

    Source:
        Flip rate and its unit: Ribeiro et al. (2020), ACL, arXiv:2005.04118, invariance tests.
    """
    where = dict(where or {})
    eligible = len(pairs) + sum(s.count for s in left_out)
    left = tuple(s for s in left_out if s.count)
    level = band_level(bench.level, points)
    unit = "share of texts" if points == 1 else f"share of texts, band over {points} severities"
    before = bench.decide(bench.scorer([e.input for e, _ in pairs]))
    after = bench.decide(bench.scorer([altered for _, altered in pairs]))
    flipped = before.label != after.label
    clusters = [e.cluster for e, _ in pairs]
    yield Measurement(
        id=bench.id("flip_rate", where),
        metric="flip_rate",
        where=where,
        value=share(flipped, clusters, level=level),
        unit=unit,
        eligible=eligible,
        left_out=left,
        family=f"{bench.probe}.flip_rate",
    )
    if _labelled(bench):
        known = np.array(
            [i for i, (e, _) in enumerate(pairs) if e.label is not None], dtype=np.intp
        )
        chosen = tuple(pairs[int(i)][0] for i in known)
        right = correct(bench.decision, decided_at(before, known), chosen)
        still = correct(bench.decision, decided_at(after, known), chosen)
        unlabelled = len(pairs) - len(known)
        more = (Skip(reason="no true label", count=unlabelled),) if unlabelled else ()
        theirs = [clusters[int(i)] for i in known]
        found = {"accuracy_drop": net(right, still, theirs, level=level)}
        yield of_mean(bench.id("accuracy_drop", where), chosen, right.astype(float) - still)
        if points > 1:
            found["accuracy"] = share(still, theirs, level=level)
            yield of_mean(bench.id("accuracy", where), chosen, still)
        for metric, value in found.items():
            yield Measurement(
                id=bench.id(metric, where),
                metric=metric,
                where=where,
                value=value,
                unit=unit,
                eligible=eligible,
                left_out=(*left, *more),
                # How often a model is right is no finding to be corrected for.
                family="" if metric == "accuracy" else f"{bench.probe}.{metric}",
            )
    yield Cases(
        metric=bench.id("flip_rate", where),
        example_id=[e.id for e, _ in pairs],
        cluster=clusters,
        before=[shown(e.input) for e, _ in pairs],
        after=[shown(altered) for _, altered in pairs],
        score_before=before.score,
        score_after=after.score,
        flipped=flipped,
        note=notes,
    )


def share(
    hits: Sequence[bool] | np.ndarray, clusters: Sequence[str | None], *, level: float
) -> Estimate | Absent:
    """Estimate the share of true ones; texts of a cluster are not independent."""
    some = np.asarray(hits, bool)
    if repeats(clusters):
        return stats.mean(some.astype(float), clusters, low=0.0, high=1.0, level=level)
    return stats.share(int(some.sum()), len(some), level=level)


def net(
    before: Sequence[bool] | np.ndarray,
    after: Sequence[bool] | np.ndarray,
    clusters: Sequence[str | None],
    *,
    level: float,
) -> Estimate | Absent:
    """Estimate the share that was true before less the share that is true after, paired."""
    one, other = np.asarray(before, bool), np.asarray(after, bool)
    if repeats(clusters):
        change = one.astype(float) - other.astype(float)
        return stats.mean(change, clusters, low=-1.0, high=1.0, level=level)
    lost, won = int((one & ~other).sum()), int((other & ~one).sum())
    return stats.paired_difference(len(one), lost, won, level=level)


def repeats(clusters: Sequence[str | None]) -> bool:
    """Return whether two texts share a cluster, so that they are not independent."""
    named = [name for name in clusters if name is not None]
    return len(set(named)) < len(named)


def shown(text: Text) -> str:
    """Return an input as one string for a reader; the two texts of a pair on lines of their own."""
    return text if isinstance(text, str) else "\n".join(text)


def _labelled(bench: Bench) -> bool:
    return any(e.label is not None for e in bench.corpus.examples)

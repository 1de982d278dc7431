"""Are the words an attribution names the words that people marked? Over many texts, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.attribution import Attribution
from audit.faithfulness import Plausibility, plausibility
from audit.types import Absent, Estimate
from audit.wordpieces import Span

IOU = 0.5
"""Overlap from which ERASER counts a rationale as found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Means over texts, in [0, 1]."""

    token_f1: Estimate | Absent
    iou_f1: Estimate | Absent
    """Share of texts whose named words overlap the marked ones by half or more of both together."""
    average_precision: Estimate | Absent
    """Of the ranking by weight: a sum of steps."""
    auprc_trapezoid: Estimate | Absent
    """The same by the trapezoid rule, as ERASER prints it: never comparable with the other."""
    over_chance: Estimate | Absent
    """Average precision less the share of marked words, which a random order would reach, in
    [-1, 1]; paired."""
    left_out: int
    """Texts where nobody marked a word that the model reads."""


def scored(
    found: Sequence[Attribution], marked: Sequence[Sequence[Span]]
) -> list[Plausibility | Absent]:
    """Hold each attribution against what people marked in its text, of a pair in the first one.

    A word counts as marked where a span touches it. As many words are named as are marked, those
    that weigh most for the side the logit is on.
    """
    rows = []
    for one, spans in zip(found, marked, strict=True):
        human = marked_words(one, spans)
        weights = np.array(one.weights) * (1 if one.logit >= 0 else -1)
        named = np.zeros(len(weights), bool)
        named[np.argsort(-weights, kind="stable")[: sum(human)]] = True
        rows.append(plausibility(human, weights.tolist(), named.tolist()))
    return rows


def marked_words(one: Attribution, spans: Sequence[Span]) -> list[bool]:
    """Return which words of the text a span touches."""
    return [
        part == 0 and any(a < end and start < b for start, end in spans)
        for part, (a, b) in zip(one.parts, one.spans, strict=True)
    ]


def agreement(
    found: Sequence[Attribution],
    marked: Sequence[Sequence[Span]],
    *,
    clusters: Sequence[str | None] | None = None,
    level: float = 0.95,
) -> Agreement:
    """Hold attributions against spans of characters that people marked.

    A word counts as marked where a span touches it. As many words are named as are marked, those
    that weigh most for the side the logit is on. What people find convincing need not be what the
    model does: this is plausibility, not faithfulness.

    Args:
        found: An attribution of each text, single texts.
        marked: For each text the spans, ``text[start:end]``.
        clusters: Texts of one cluster are one unit.
        level: Coverage of the intervals.

    Source:
        DeYoung et al. (2020), ACL, section 4, arXiv:1911.03429.
    """
    rows: list[Plausibility] = []
    kept: list[str | None] = []
    for i, row in enumerate(scored(found, marked)):
        if not isinstance(row, Absent):
            rows.append(row)
            kept.append(None if clusters is None else clusters[i])

    def mean(values: list[float], low: float = 0.0) -> Estimate | Absent:
        return stats.mean(np.array(values, float), kept, low=low, high=1.0, level=level)

    return Agreement(
        token_f1=mean([r.f1 for r in rows]),
        iou_f1=mean([float(r.iou >= IOU) for r in rows]),
        average_precision=mean([r.average_precision for r in rows]),
        auprc_trapezoid=mean([r.auprc_trapezoid for r in rows]),
        over_chance=mean([r.average_precision - r.chance for r in rows], -1.0),
        left_out=len(found) - len(rows),
    )

"""Do the words an attribution names move the score, and are they the words people name?

The numbers mean nothing alone: hold them against the same numbers of a random order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Any

import numpy as np

from audit.types import Absent, Floats

FRACTIONS = (0.01, 0.05, 0.10, 0.20, 0.50)
Score = Callable[[Sequence[Sequence[str]]], Floats]
"""Maps texts, as lists of words, to the probability of what is explained, shape ``(n,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness:
    """What taking away, or keeping alone, the words named first does to a score."""

    full: float
    """Score of the whole text, in [0, 1]."""
    comprehensiveness: tuple[float, ...]
    """For each fraction, how far the score falls without these words; higher is better."""
    sufficiency: tuple[float, ...]
    """For each fraction, how far it falls with these words alone; lower is better."""
    log_odds: tuple[float, ...]
    """For each fraction, the logarithm of the score without these words over the full one."""

    @property
    def aopc(self) -> tuple[float, float, float]:
        """Means over the fractions: comprehensiveness, sufficiency, log-odds."""
        return (
            float(np.mean(self.comprehensiveness)),
            float(np.mean(self.sufficiency)),
            float(np.mean(self.log_odds)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plausibility:
    """How well weights, and a selection of words, agree with the words a person marked."""

    precision: float
    recall: float
    f1: float
    iou: float
    """Words in both over words in either."""
    average_precision: float
    """Area under precision and recall as a sum of steps."""
    auprc_trapezoid: float
    """The same by the trapezoid rule, as ERASER prints it: larger or smaller, never comparable."""
    roc_auc: float | None
    """None when every word is marked."""
    chance: float
    """Average precision of a random order: the share of marked words."""


def faithfulness(
    score: Score,
    words: Sequence[str],
    weights: Sequence[float],
    *,
    fractions: Sequence[float] = FRACTIONS,
) -> Faithfulness | Absent:
    """Measure one attribution by deleting words, and by keeping them alone.

    Args:
        score: Asked once, for the text and for two shorter ones per fraction.
        words: The text, ``n`` words.
        weights: What each word adds to the score, shape ``(n,)``; ties go to the earlier word.
        fractions: Shares of the words, in (0, 1]; rounded up to whole words.

    Returns:
        One number per fraction; `Absent` without words, or where a score is not a probability
        above 0: its logarithm is taken.

    Source:
        DeYoung et al. (2020), 'ERASER', ACL, section 4, arXiv:1911.03429; Samek et al. (2017),
        arXiv:1509.06321, for the mean over fractions; Shrikumar, Greenside & Kundaje (2017),
        arXiv:1704.02685, for log-odds.
    """
    if not words or not fractions:
        return Absent(code="empty", reason="the text has no words, or there is no fraction")
    x = np.asarray(weights, np.float64).ravel()
    if len(x) != len(words) or not np.isfinite(x).all():
        return Absent(code="invalid", reason="there is not one finite weight for each word")
    order = np.argsort(-x, kind="stable")
    first = [set(order[: ceil(share * len(words) - 1e-9)].tolist()) for share in fractions]
    without = [[w for i, w in enumerate(words) if i not in some] for some in first]
    alone = [[w for i, w in enumerate(words) if i in some] for some in first]
    found = np.asarray(score([list(words), *without, *alone]), np.float64).ravel()
    if not (np.isfinite(found).all() and (found > 0).all() and (found <= 1).all()):
        return Absent(code="invalid", reason="a score is not a probability above 0")
    full, k = float(found[0]), len(fractions)
    less = [float(p) for p in found[1 : 1 + k]]
    return Faithfulness(
        full=full,
        comprehensiveness=tuple(full - p for p in less),
        sufficiency=tuple(full - float(p) for p in found[1 + k :]),
        log_odds=tuple(log(p / full) for p in less),
    )


def plausibility(
    marked: Sequence[bool], weights: Sequence[float], chosen: Sequence[bool]
) -> Plausibility | Absent:
    """Hold an attribution against the words a person marked.

    Args:
        marked: Words that a person named, shape ``(n,)``.
        weights: The attribution, shape ``(n,)``.
        chosen: Words the attribution names, shape ``(n,)``.

    Returns:
        Agreement in [0, 1]; `Absent` when nothing is marked or nothing chosen, where libraries
        answer 0 or 1.

    Source:
        DeYoung et al. (2020), 'ERASER', ACL, section 4, arXiv:1911.03429.
    """
    human, named = np.asarray(marked, bool).ravel(), np.asarray(chosen, bool).ravel()
    x = np.asarray(weights, np.float64).ravel()
    if not len(human) == len(named) == len(x) or not np.isfinite(x).all():
        return Absent(code="invalid", reason="there is not one finite weight for each word")
    if not human.any() or not named.any():
        return Absent(code="empty", reason="no word is marked, or none is named")
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

    both, either = int((human & named).sum()), int((human | named).sum())
    curve = precision_recall_curve(human, x)
    return Plausibility(
        precision=both / int(named.sum()),
        recall=both / int(human.sum()),
        f1=2 * both / int(human.sum() + named.sum()),
        iou=both / either,
        average_precision=float(average_precision_score(human, x)),
        auprc_trapezoid=float(auc(curve[1], curve[0])),
        roc_auc=None if human.all() else float(roc_auc_score(human, x)),
        chance=float(human.mean()),
    )


def infidelity(
    score: Callable[[Floats], Any], x: Floats, weights: Floats, noise: Floats
) -> float | Absent:
    """Return how badly an attribution foretells what a perturbation does to the score.

    Args:
        score: Maps inputs, shape ``(m, d)``, to ``m`` numbers.
        x: The input, shape ``(d,)``.
        weights: The attribution per unit of input, shape ``(d,)``.
        noise: What is taken off the input, shape ``(m, d)``.

    Returns:
        The mean squared error, 0 or more; `Absent` without a perturbation.

    Source:
        Yeh et al. (2019), NeurIPS, definition 2.1, arXiv:1901.09392.
    """
    if not len(noise):
        return Absent(code="empty", reason="there is no perturbation")
    here = float(np.asarray(score(x[None, :]), np.float64).ravel()[0])
    there = np.asarray(score(x[None, :] - noise), np.float64).ravel()
    found = float(np.mean((noise @ weights - (here - there)) ** 2))
    if not np.isfinite(found):
        return Absent(code="not_finite", reason="a score is not a finite number")
    return found


def sensitivity_max(
    explain: Callable[[Floats], Floats], x: Floats, noise: Floats
) -> float | Absent:
    """Return how far an attribution moves, at most, when its input moves by `noise`.

    Args:
        explain: Maps one input, shape ``(d,)``, to its attribution, shape ``(d,)``.
        x: The input, shape ``(d,)``.
        noise: Small movements of the input, shape ``(m, d)``.

    Returns:
        The largest distance, as a share of the attribution's own length; `Absent` without a
        movement, or where the attribution is zero.

    Source:
        Yeh et al. (2019), NeurIPS, definition 3.1, arXiv:1901.09392, over a sample.
    """
    if not len(noise):
        return Absent(code="empty", reason="there is no movement")
    here = np.asarray(explain(x), np.float64)
    length = float(np.linalg.norm(here))
    if not length > 0 or not np.isfinite(length):
        return Absent(code="no_variation", reason="the attribution is zero or not finite")
    return max(float(np.linalg.norm(explain(x + step) - here)) for step in noise) / length

"""Rates by group: which texts a rate is taken over, how many hit, and fairlearn's word for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit.types import Floats

Bools = NDArray[np.bool_]
Rate = Literal["selection_rate", "true_positive_rate", "false_positive_rate", "accuracy"]
RATES: tuple[Rate, ...] = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "accuracy",
)
CONDITIONS: Mapping[Rate, str] = {
    "selection_rate": "",
    "true_positive_rate": "the true label is not favourable",
    "false_positive_rate": "the true label is favourable",
    "accuracy": "",
}
"""Why a text with a label is left out of a rate."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Decisions and true labels of ``n`` texts."""

    selected: Bools
    """Shape ``(n,)``: the decision is favourable."""
    truth: Bools
    """Shape ``(n,)``: the true label is favourable; meaningless where `known` is false."""
    known: Bools
    """Shape ``(n,)``: there is a true label."""
    correct: Bools
    """Shape ``(n,)``: the decision is the true label itself, not only as favourable."""

    def over(self, rate: Rate) -> Bools:
        """Return which texts a rate is taken over, shape ``(n,)``."""
        if rate == "selection_rate":
            return np.ones_like(self.selected)
        if rate == "true_positive_rate":
            return self.known & self.truth
        if rate == "false_positive_rate":
            return self.known & ~self.truth
        return self.known

    def hits(self, rate: Rate) -> Bools:
        """Return which texts count for a rate where it is taken, shape ``(n,)``."""
        return self.correct if rate == "accuracy" else self.selected


def rates_by_group(outcome: Outcome, group: NDArray[np.str_], rate: Rate) -> dict[str, float]:
    """Return fairlearn's point value of `rate` for each group with a text it is taken over.

    Args:
        outcome: Decisions and labels, ``n`` texts.
        group: Group of each text, shape ``(n,)``; none missing.
        rate: Which rate.

    Returns:
        Group to rate in [0, 1]. A group without a text in the condition is not in it: fairlearn
        itself would answer 0 or 1 there.

    Source:
        fairlearn.metrics.MetricFrame; Hardt, Price & Srebro (2016), arXiv:1610.02413, section 2.
    """
    over = outcome.over(rate)
    if not over.any():
        return {}
    from fairlearn import metrics as fairlearn

    # Over the texts of one true class the selection rate is that class's rate; fairlearn's own
    # functions want both classes and answer 0 or 1 where one is missing.
    measures = {
        "selection_rate": fairlearn.selection_rate,
        "true_positive_rate": fairlearn.selection_rate,
        "false_positive_rate": fairlearn.selection_rate,
        "accuracy": _agreement,
    }
    truth, said = outcome.truth[over].astype(int), outcome.selected[over].astype(int)
    if rate == "accuracy":
        # Whether the label itself was hit; with two labels that is agreement of both columns.
        truth, said = np.ones(int(over.sum()), int), outcome.correct[over].astype(int)
    frame = fairlearn.MetricFrame(
        metrics=measures[rate], y_true=truth, y_pred=said, sensitive_features=group[over].tolist()
    )
    return {str(name): float(value) for name, value in frame.by_group.items()}


def _agreement(truth: Floats, said: Floats) -> float:
    return float(np.mean(np.asarray(truth) == np.asarray(said)))

"""A threshold of its own for each group, by fairlearn: what it would bring, and what it asks for.

It is no classifier of texts: to decide, it must be told the group. So it is reckoned beside the audit,
on the audited texts whose group is known, and no probe that changes texts can ask it anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.decision import decide, truly_favourable
from audit.errors import DataError, Unsupported
from audit.seeding import stream
from audit.stats import difference, paired_difference
from audit.thresholds import LEAST
from audit.types import Absent, Decision, Estimate, Example, Floats

CONSTRAINTS = {
    "selection_rate": "selection_rate_parity",
    "true_positive_rate": "true_positive_rate_parity",
    "false_positive_rate": "false_positive_rate_parity",
}
"""Our names of rates to fairlearn's constraints."""
AT_DECISION = (
    "The recipe group_thresholds decides by the text and by the group it is told: each group has "
    "thresholds of its own, between which a lot may decide. To use it, group membership must be known "
    "at every decision. In many places and matters of law (employment, credit, housing) to decide "
    "otherwise for one group is treatment by membership and forbidden or tightly bound, even where it "
    "brings rates together; in others it is required or left open. Which holds here is a question of "
    "law that this report does not answer. The audit's own verdicts are those of the model without it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoned:
    """What thresholds by group would have decided about the audited texts."""

    rate: str
    groups: tuple[str, ...]
    gap_before: Estimate | Absent
    """First less last of the groups in order of their dev rates; of the decision as it is."""
    gap_after: Estimate | Absent
    accuracy: Estimate | Absent
    """Change of accuracy, paired on the same texts."""
    texts: int
    left_out: int
    """Audited texts without a label or a known group, or of a group too small to fit."""


def reckon(
    rule: Decision,
    dev: tuple[Floats, Sequence[Example]],
    test: tuple[Floats, Sequence[Example]],
    attribute: str,
    *,
    rate: str,
    seed: int,
    level: float = 0.95,
) -> Reckoned:
    """Fit a threshold for each group on dev texts and apply it to the audited ones.

    Args:
        rule: The decision; single head.
        dev: Scores, shape ``(n, k)``, and their texts with labels and groups.
        test: The same of the audited texts.
        attribute: Whose groups get thresholds of their own.
        rate: Of `CONSTRAINTS`: what shall be equal.
        seed: Where a lot decides between two thresholds, each text draws its own.
        level: Coverage of the intervals.

    Raises:
        DataError: If fewer than two groups have enough dev texts of both kinds.
        Unsupported: If fairlearn is not installed.

    Source:
        Hardt, Price & Srebro (2016), 'Equality of opportunity in supervised learning',
        arXiv:1610.02413; fairlearn's ThresholdOptimizer.
    """
    if rule.head == "multi":
        raise DataError("The recipe group_thresholds needs a model that gives one label.")
    scores, truth, group = _read(rule, *dev, attribute)
    kept = [
        name
        for name in sorted(set(group.tolist()))
        if min((truth[group == name]).sum(), (~truth[group == name]).sum()) >= LEAST
    ]
    if len(kept) < 2:
        raise DataError(
            f"Of the groups of {attribute!r}, {len(kept)} have {LEAST} dev texts with each kind of "
            "label; two are needed.",
            hint="Add a [corpora.dev] with groups, or raise dev_share under [train].",
        )
    some = np.isin(group, kept)
    fitted = _fitted(scores[some], truth[some], group[some], CONSTRAINTS[rate])
    mine, right, whose = _read(rule, *test, attribute)
    there = np.isin(whose, kept)
    labelled = [e for e in test[1] if e.label is not None and e.groups.get(attribute)]
    ids = [e.id for e, here in zip(labelled, there, strict=True) if here]
    mine, right, whose = mine[there], right[there], whose[there]
    lots = np.array([stream(seed, "group-thresholds", id).random() for id in ids])
    after = lots < _chances(fitted, mine, whose)
    rows = np.array([e.label is not None and bool(e.groups.get(attribute)) for e in test[1]])
    before = decide(rule, test[0][rows]).favourable[there]
    counts = np.ones(len(right), bool)
    if rate != "selection_rate":
        counts = right if rate == "true_positive_rate" else ~right
    apart = sorted(kept, key=lambda name: float(_share(before, (whose == name) & counts)))
    pair = (apart[-1], apart[0])
    return Reckoned(
        rate=rate,
        groups=pair,
        gap_before=_gap(before, whose, counts, pair, level),
        gap_after=_gap(after, whose, counts, pair, level),
        accuracy=paired_difference(
            len(right),
            int(((after == right) & (before != right)).sum()),
            int(((after != right) & (before == right)).sum()),
            level=level,
        ),
        texts=len(right),
        left_out=len(test[1]) - len(right),
    )


def said(found: Reckoned) -> str:
    """Return what came of it, as a sentence."""
    one, other = found.groups

    def told(e: Estimate | Absent) -> str:
        if isinstance(e, Absent):
            return f"not estimable ({e.reason})"
        return f"{e.value:+.3f} [{e.low:+.3f}, {e.high:+.3f}]"

    return (
        f"A threshold for each group, on {found.texts:,} audited texts ({found.left_out:,} left out): "
        f"{found.rate.replace('_', ' ')} of {one} less {other} from {told(found.gap_before)} to "
        f"{told(found.gap_after)}; accuracy changes by {told(found.accuracy)}."
    )


Bools = NDArray[np.bool_]


def _read(
    rule: Decision, scores: Floats, examples: Sequence[Example], attribute: str
) -> tuple[Floats, Bools, NDArray[np.str_]]:
    """Return favourable score, truth and group of the texts that have a label and a group."""
    rows = [i for i, e in enumerate(examples) if e.label is not None and e.groups.get(attribute)]
    score = decide(rule, np.asarray(scores)[rows]).score
    truth = np.array([bool(truly_favourable(rule, examples[i])) for i in rows], bool)
    return score, truth, np.array([examples[i].groups[attribute] for i in rows], dtype=str)


def _fitted(scores: Floats, truth: Bools, group: NDArray[np.str_], constraint: str) -> Any:
    try:
        module: Any = import_module("fairlearn.postprocessing")
    except ImportError as problem:
        raise Unsupported(
            "The recipe group_thresholds needs fairlearn, which is not installed.",
            hint="pip install fairlearn",
        ) from problem
    optimiser = module.ThresholdOptimizer(
        estimator=estimator(),
        constraints=constraint,
        objective="accuracy_score",
        prefit=True,
        predict_method="predict",
    )
    optimiser.fit(scores[:, None], truth.astype(int), sensitive_features=group)
    return optimiser.interpolated_thresholder_.interpolation_dict


def estimator() -> Any:
    """Return what fairlearn takes for a fitted model: it says the scores it is given."""
    base: Any = import_module("sklearn.base")

    class Scores(base.BaseEstimator):  # type: ignore[misc]
        def __init__(self) -> None:
            # scikit-learn takes an attribute of this ending for a sign that it is fitted.
            self.classes_ = (0, 1)

        def fit(self, *_: object) -> "Scores":
            return self

        def predict(self, given: Floats) -> Floats:
            return np.asarray(given)[:, 0]

    return Scores()


def _chances(fitted: Any, scores: Floats, group: NDArray[np.str_]) -> Floats:
    """Return the chance of a favourable decision, shape ``(n,)``, as fairlearn interpolates."""
    found = np.zeros(len(scores))
    for name, rule in fitted.items():
        mine = group == name
        one, other = rule.operation0(scores[mine]), rule.operation1(scores[mine])
        chance = rule.p0 * np.asarray(one, float) + rule.p1 * np.asarray(other, float)
        ignored = float(getattr(rule, "p_ignore", 0.0))
        if ignored:
            chance = ignored * rule.prediction_constant + (1 - ignored) * chance
        found[mine] = chance
    return found


def _share(hits: Bools, some: Bools) -> float:
    return float(hits[some].mean()) if some.any() else 0.0


def _gap(
    hits: Bools, group: NDArray[np.str_], counts: Bools, pair: tuple[str, str], level: float
) -> Estimate | Absent:
    one, other = ((group == name) & counts for name in pair)
    return difference(
        int(hits[one].sum()), int(one.sum()), int(hits[other].sum()), int(other.sum()), level=level
    )

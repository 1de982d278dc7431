"""One threshold for everybody, chosen so that groups are decided more alike; no group is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit.decision import correct, decide, truly_favourable
from audit.errors import DataError
from audit.types import Decision, Example, Floats

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")
LEAST = 20
"""Dev texts that a group needs to count in the choice."""
STATEMENT = (
    "The recipe threshold reads groups of dev texts to choose one threshold for all; a decision "
    "reads no group. A threshold of its own for each group (fairlearn's ThresholdOptimizer) comes "
    "nearer to equal rates, but must know the group whenever it decides. Whether groups may be "
    "used in either way is a question of law that this report does not answer."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A threshold, and what it does on the dev texts that it was chosen by."""

    threshold: float | None
    """None: no threshold brought the groups nearer at so little loss; the decision stays."""
    rate: str
    spread: tuple[float, float]
    """Highest less lowest rate of a group, before and after."""
    accuracy: tuple[float, float]
    """On all dev texts, before and after."""
    groups: tuple[str, ...]
    left_out: tuple[str, ...]
    """Groups with fewer than `LEAST` dev texts."""


def choose(
    rule: Decision,
    scores: Floats,
    examples: Sequence[Example],
    attribute: str,
    *,
    rate: str = "selection_rate",
    margin: float = 0.02,
) -> Chosen:
    """Return the threshold with the least spread of `rate` among those that cost little.

    Every hundredth between 0 and 1 is tried. Dev accuracy may fall by `margin` at most; of equal
    spreads the one with the higher accuracy is taken, then the one nearest to 0.5. The numbers are
    those of the texts that were chosen by, and look better than they are: the audit of the test
    texts says what came of it.

    Args:
        rule: The decision as it is; single head.
        scores: Shape ``(n, k)``.
        examples: Dev texts with labels, in the same order.
        attribute: Whose groups shall be decided alike.
        rate: One of `RATES`.
        margin: Most loss of accuracy, in [0, 1].

    Raises:
        DataError: If fewer than two groups have enough texts, or the model gives several labels.

    Source:
        Corbett-Davies et al. (2017), 'Algorithmic decision making and the cost of fairness',
        arXiv:1701.08230, section 4, for one threshold against several.
    """
    if rule.head == "multi":
        raise DataError("The recipe threshold needs a model that gives one label for each text.")
    truth = np.array([bool(truly_favourable(rule, e)) for e in examples])
    counts = np.ones(len(truth), bool)
    if rate != "selection_rate":
        counts = truth if rate == "true_positive_rate" else ~truth
    group = np.array([e.groups.get(attribute, "") for e in examples], dtype=str)
    known = sorted(set(map(str, group)) - {""})
    sizes = {name: int(((group == name) & counts).sum()) for name in known}
    kept = tuple(name for name in known if sizes[name] >= LEAST)
    if len(kept) < 2:
        raise DataError(
            f"Of the groups of {attribute!r}, {len(kept)} have {LEAST} dev texts that count for "
            f"the {rate}; two are needed.",
            hint="Add a [corpora.dev] with groups, or raise dev_share under [train].",
        )

    def told(one: Decision) -> tuple[float, float]:
        decided = decide(one, scores)
        rates = [float(decided.favourable[(group == name) & counts].mean()) for name in kept]
        return max(rates) - min(rates), float(correct(one, decided, tuple(examples)).mean())

    spread, accuracy = told(rule)
    best = (spread, -accuracy, 0.0, rule.threshold)
    for step in range(1, 100):
        wide, right = told(replace(rule, threshold=step / 100))
        # A hair above rounding: a loss of just the margin is allowed.
        if right >= accuracy - margin - 1e-12 and wide < spread - 1e-12:
            best = min(best, (wide, -right, abs(step - 50) / 100, step / 100), key=lambda b: b[:3])
    changed = best[0] < spread
    return Chosen(
        threshold=best[3] if changed else None,
        rate=rate,
        spread=(spread, best[0]),
        accuracy=(accuracy, -best[1]),
        groups=kept,
        left_out=tuple(name for name in known if name not in kept),
    )


def said(chosen: Chosen) -> str:
    """Return what was chosen, as a sentence."""
    name = chosen.rate.replace("_", " ")
    if chosen.threshold is None:
        return (
            f"No threshold brought the {name} of {', '.join(chosen.groups)} nearer together at so "
            f"little loss on dev texts (spread {chosen.spread[0]:.3f}): the decision stays."
        )
    return (
        f"Threshold {chosen.threshold:.2f} for all, chosen on dev texts: spread of the {name} over "
        f"{', '.join(chosen.groups)} from {chosen.spread[0]:.3f} to {chosen.spread[1]:.3f}, "
        f"accuracy from {chosen.accuracy[0]:.3f} to {chosen.accuracy[1]:.3f}."
    )

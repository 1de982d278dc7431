"""From scores to a decision. No other module takes a maximum or compares with a threshold."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from audit.errors import ConfigError, did_you_mean
from audit.types import Decision, Example, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Decisions on ``n`` texts."""

    label: NDArray[np.int64]
    """Shape ``(n,)``. Single head: index into `Decision.labels`. Multi: the labels that apply, as
    bits of one number. Two texts are decided alike exactly when these are equal."""
    favourable: NDArray[np.bool_]
    """Shape ``(n,)``: the decision is a selection."""
    score: Floats
    """Shape ``(n,)``, in [0, 1]: summed probability of the favourable labels (single head), their
    highest probability (multi)."""


def make(
    labels: tuple[str, ...],
    favourable: tuple[str, ...],
    *,
    threshold: float | None = None,
    head: str = "single",
) -> Decision:
    """Return a decision rule after checking that it can be applied.

    Raises:
        ConfigError: If a favourable label is unknown, all or none are favourable, the threshold is
            outside (0, 1), or a multi-label head has more than 62 labels.
    """
    for name in favourable:
        if name not in labels:
            raise ConfigError(
                f"The favourable label {name!r} is not a label of the model.",
                hint=did_you_mean(name, labels),
            )
    if not favourable or (head == "single" and set(favourable) == set(labels)):
        raise ConfigError(
            "At least one label must be favourable, and at least one not.",
            hint=f"Set favourable under [decision]; the labels are {', '.join(labels)}.",
        )
    if threshold is not None and not 0 < threshold < 1:
        raise ConfigError(f"The decision threshold must lie between 0 and 1, got {threshold}.")
    if head == "multi" and len(labels) > 62:
        raise ConfigError(
            f"A multi-label head may have up to 62 labels, this one has {len(labels)}."
        )
    return Decision(
        labels=labels,
        favourable=favourable,
        threshold=threshold,
        head="multi" if head == "multi" else "single",
    )


def decide(rule: Decision, scores: Floats) -> Decided:
    """Apply `rule` to `scores`, shape ``(n, len(rule.labels))``.

    Ties go to the first label. With a threshold on a single head, the label is the likeliest among
    the favourable ones when the text is selected, among the others when it is not.
    """
    scores = np.asarray(scores, dtype=np.float64).reshape(-1, len(rule.labels))
    wanted = np.array([name in rule.favourable for name in rule.labels])
    if rule.head == "multi":
        applies = scores >= (0.5 if rule.threshold is None else rule.threshold)
        bits = (1 << np.arange(len(rule.labels), dtype=np.int64))[None, :]
        return Decided(
            label=(applies * bits).sum(axis=1),
            favourable=np.asarray(applies[:, wanted].any(axis=1)),
            score=scores[:, wanted].max(axis=1, initial=0.0),
        )
    score = np.clip(scores[:, wanted].sum(axis=1), 0.0, 1.0)
    if rule.threshold is None:
        label = scores.argmax(axis=1)
        return Decided(label=label, favourable=wanted[label], score=score)
    chosen = score >= rule.threshold
    allowed = chosen[:, None] == wanted[None, :]
    label = np.where(allowed, scores, -1.0).argmax(axis=1)
    return Decided(label=label, favourable=chosen, score=score)


def distance(rule: Decision, scores: Floats) -> Floats:
    """Return how much probability must move before a text is selected, or no longer, ``(n,)``.

    In [-1, 1], above 0 where the text is selected. With a threshold (a multi-label head always has
    one) it is the score less the threshold. Where the top label decides it is half of what parts
    the best favourable label from the best other one: what one must hand to the other.
    """
    scores = np.asarray(scores, dtype=np.float64).reshape(-1, len(rule.labels))
    if rule.head == "multi" or rule.threshold is not None:
        return decide(rule, scores).score - (0.5 if rule.threshold is None else rule.threshold)
    wanted = np.array([name in rule.favourable for name in rule.labels])
    best: Floats = scores[:, wanted].max(axis=1) - scores[:, ~wanted].max(axis=1)
    return best / 2


def names(rule: Decision, label: int) -> tuple[str, ...]:
    """Return the labels that a decision, as `Decided.label` numbers it, stands for.

    One on a single head; those that apply, perhaps none, on a multi-label one.
    """
    if rule.head == "single":
        return (rule.labels[label],)
    return tuple(name for i, name in enumerate(rule.labels) if label >> i & 1)


def truly_favourable(rule: Decision, example: Example) -> bool | None:
    """Return whether the example's own label is favourable, None when it has none."""
    if example.label is None:
        return None
    names = (example.label,) if isinstance(example.label, str) else example.label
    return any(name in rule.favourable for name in names)


def correct(rule: Decision, decided: Decided, examples: tuple[Example, ...]) -> NDArray[np.bool_]:
    """Return where the decision equals the true label, shape ``(n,)``. Every example needs one."""
    index = {name: i for i, name in enumerate(rule.labels)}
    truth = np.array(
        [
            sum(1 << index[name] for name in example.label)
            if isinstance(example.label, tuple)
            else index[cast(str, example.label)]
            for example in examples
        ],
        dtype=np.int64,
    )
    if rule.head == "multi":
        truth = np.array(
            [
                int(t) if isinstance(e.label, tuple) else 1 << int(t)
                for t, e in zip(truth, examples, strict=True)
            ],
            dtype=np.int64,
        )
    return np.asarray(decided.label == truth)


def decided_at(decided: Decided, index: NDArray[np.intp]) -> Decided:
    """Return the decisions on some of the texts, in the order of `index`."""
    return Decided(
        label=decided.label[index],
        favourable=decided.favourable[index],
        score=decided.score[index],
    )

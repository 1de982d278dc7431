"""How well labels are found: accuracy, precision, recall, F1, as point values on a dev set."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit.decision import decide
from audit.types import Decision, Example, Floats, Head


def metrics(
    scores: Floats, examples: Sequence[Example], labels: tuple[str, ...], head: Head
) -> dict[str, float]:
    """Return accuracy, macro-F1 and each label's F1, precision and recall.

    Args:
        scores: Shape ``(n, k)``, in the order of `examples`.
        examples: All labelled; at least one.
        labels: Names of the columns.
        head: Multi-label: accuracy is of whole label sets, at a threshold of 0.5.
    """
    wanted, given = truth(examples, labels, head), said(scores, labels, head)
    same = wanted == given
    found = {
        "accuracy": float(np.mean(same if same.ndim == 1 else same.all(axis=1))),
        "macro_f1": macro_f1(wanted, given, len(labels)),
    }
    for name, (f1, precision, recall, _) in zip(
        labels, per_label(wanted, given, len(labels)), strict=True
    ):
        found |= {f"f1:{name}": f1, f"precision:{name}": precision, f"recall:{name}": recall}
    return found


def macro_f1(truth: NDArray[np.int64], said: NDArray[np.int64], k: int) -> float:
    """Return the mean F1 over the labels that occur in `truth` or `said`, in [0, 1].

    Args:
        truth: Shape ``(n,)``: label indices, or ``(n, k)`` of 0 and 1 for a multi-label head.
        said: The same for the decisions.
        k: Number of labels.

    Source:
        The unweighted mean of scikit-learn's ``f1_score(average="macro", zero_division=0)``.
    """
    scores = [f1 for f1, _, _, seen in per_label(truth, said, k) if seen]
    return float(np.mean(scores)) if scores else 0.0


def per_label(
    truth: NDArray[np.int64], said: NDArray[np.int64], k: int
) -> list[tuple[float, float, float, bool]]:
    """Return F1, precision, recall of each label and whether it occurs; 0 where undefined."""
    if truth.ndim == 1:
        truth, said = (np.eye(k, dtype=np.int64)[x] for x in (truth, said))
    found = []
    for j in range(k):
        t, s = truth[:, j].astype(bool), said[:, j].astype(bool)
        hits, wanted, given = int((t & s).sum()), int(t.sum()), int(s.sum())
        found.append(
            (
                2 * hits / (wanted + given) if wanted + given else 0.0,
                hits / given if given else 0.0,
                hits / wanted if wanted else 0.0,
                bool(wanted + given),
            )
        )
    return found


def said(scores: Floats, labels: tuple[str, ...], head: Head) -> NDArray[np.int64]:
    """Return the decisions behind `scores`: indices ``(n,)``, or 0 and 1 ``(n, k)``."""
    rule = Decision(labels=labels, favourable=labels[:1], head=head)
    label = decide(rule, scores).label
    if head == "single":
        return label
    return (label[:, None] >> np.arange(len(labels))) & 1


def truth(examples: Sequence[Example], labels: tuple[str, ...], head: Head) -> NDArray[np.int64]:
    """Return the true labels in the same form as `said`."""
    index = {name: i for i, name in enumerate(labels)}
    if head == "single":
        return np.array([index[str(e.label)] for e in examples], dtype=np.int64)
    rows = np.zeros((len(examples), len(labels)), dtype=np.int64)
    for row, example in zip(rows, examples, strict=True):
        names = (example.label,) if isinstance(example.label, str) else example.label or ()
        row[[index[name] for name in names]] = 1
    return rows

"""For those who write tests: a model one can reason about, and gates as assertions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from audit.types import AuditResult, Floats, Gate, Text, Verdict


class Lexicon:
    """A classifier one can reason about: P(positive) rises with each listed word.

    >>> Lexicon(good=2.0).probabilities(["good", "bad"]).round(2).tolist()
    [[0.12, 0.88], [0.5, 0.5]]
    """

    labels: tuple[str, ...] = ("negative", "positive")

    def __init__(self, **weights: float) -> None:
        self.weights = weights
        self.fingerprint = repr(sorted(weights.items()))
        self.seen: list[Text] = []

    def probabilities(self, texts: Sequence[Text]) -> Floats:
        self.seen += texts
        logit = np.array(
            [
                sum(self.weights.get(word, 0.0) for word in str(text).lower().split())
                for text in texts
            ]
        )
        p = 1 / (1 + np.exp(-logit))
        return np.stack([1 - p, p], axis=1)


def assert_gate(
    result: AuditResult | Path | str,
    metric: str,
    *,
    where: Mapping[str, str] | None = None,
    at_most: float | None = None,
    at_least: float | None = None,
    min_n: int = 30,
    alpha: float = 0.05,
) -> tuple[Verdict, ...]:
    """Assert that every slice of a metric keeps a limit beyond the noise.

    The gate is judged as one in an audit file would be, its slices corrected among themselves. A
    limit chosen after seeing the numbers has no error rate: write it down before.

    Args:
        result: A result, ``result.json``, or the folder of an audit.
        metric: ``probe.metric``, with ``*`` as in an audit file.
        where: Slices it speaks of; all where not given.
        at_most, at_least: The limits; at least one.
        min_n: Fewer units than this are no evidence.
        alpha: Error rate of the fails together, and of each pass.

    Returns:
        The verdicts, all of them *pass*.

    Raises:
        AssertionError: If a claim failed, is undecided, has no number, or its probe crashed; each
            is named with its interval.
        ConfigError: If nothing of that name was measured, or the limits are impossible.
    """
    from audit import gates, store
    from audit.figures import number

    audited = result if isinstance(result, AuditResult) else store.read(Path(result))
    gate = Gate(
        metric=metric, where=dict(where or {}), at_most=at_most, at_least=at_least, min_n=min_n
    )
    claims = gates.expand([gate], audited.plan.probes)
    verdicts = gates.judge(claims, audited.runs, alpha=alpha)
    lines = []
    for v in verdicts:
        if v.status == "pass":
            continue
        said = ""
        if v.value is not None and v.interval is not None:
            low, high = map(number, v.interval)
            said = f" measured {number(v.value)} [{low}, {high}], n = {v.n};"
        lines.append(f"{v.status}: {v.claim.id}:{said} {v.because}")
    if lines:
        raise AssertionError("\n".join(lines))
    return verdicts

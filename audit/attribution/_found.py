"""What an attribution says, and how it is kept without the words of the text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from audit.types import Text
from audit.wordpieces import Span

TOLERANCE = 0.01
"""Largest convergence error that counts as converged: one part in a hundred."""
LEAST = 0.05
"""A difference of logits below this is taken for none: the error is not divided by less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What each word of one text adds to the logit of its score."""

    words: tuple[str, ...]
    """Words, numbers and runs of punctuation, as far as the model reads; Chinese by character."""
    spans: tuple[Span, ...]
    """Characters of each word, ``text[start:end]``."""
    parts: tuple[int, ...]
    """1 for a word of the second text of a pair, else 0."""
    weights: tuple[float, ...]
    """Above 0: the word speaks for the target labels. Tokens of one word are summed."""
    logit: float
    """What is explained, on the text."""
    logit_baseline: float
    """The same on the baseline."""
    delta: float | None
    """Convergence error, ``|sum - rise| / max(|rise|, 0.05)`` where the rise is the logit less
    that of the baseline; None for a method whose weights need not add up to anything."""
    steps: int
    """Evaluations of the model behind it: points of an integral, or altered texts."""
    baseline: str
    """What stands where a word is absent: a token, ``zero``, ``average`` or ``deleted``."""
    truncated: bool
    method: str = "integrated_gradients"

    def converged(self, tolerance: float = TOLERANCE) -> bool:
        """Return whether the weights add up to what they explain, where they should."""
        return self.delta is None or self.delta <= tolerance


def error(total: float, rise: float) -> float:
    """Return how far weights that sum to `total` miss the `rise` they explain, as a share of it."""
    return abs(total - rise) / max(abs(rise), LEAST)


def dumps(found: Sequence[Attribution]) -> bytes:
    """Return attributions as bytes that hold numbers only: no word of the texts."""
    rows = [
        {
            "spans": a.spans,
            "parts": a.parts,
            "weights": a.weights,
            "logits": (a.logit, a.logit_baseline),
            "delta": a.delta,
            "steps": a.steps,
            "baseline": a.baseline,
            "truncated": a.truncated,
            "method": a.method,
        }
        for a in found
    ]
    return json.dumps(rows, allow_nan=False, separators=(",", ":")).encode()


def loads(kept: bytes, texts: Sequence[Text]) -> list[Attribution]:
    """Return what `dumps` wrote, with the words taken from the same `texts` again."""
    found = []
    for row, text in zip(json.loads(kept), texts, strict=True):
        sides = (text,) if isinstance(text, str) else text
        spans = tuple((a, b) for a, b in row["spans"])
        parts = tuple(row["parts"])
        found.append(
            Attribution(
                words=tuple(sides[p][a:b] for p, (a, b) in zip(parts, spans, strict=True)),
                spans=spans,
                parts=parts,
                weights=tuple(row["weights"]),
                logit=row["logits"][0],
                logit_baseline=row["logits"][1],
                delta=row["delta"],
                steps=row["steps"],
                baseline=row["baseline"],
                truncated=row["truncated"],
                method=row["method"],
            )
        )
    return found

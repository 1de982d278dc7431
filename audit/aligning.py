"""Two texts word by word: what each weight of one became in the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import ClassVar

from audit.types import STRICT

_MOST = 2_000
"""Words compared one with another; a longer change stands side by side as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """One place of two texts."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    before: str
    """Empty where the second text has a word more."""
    after: str
    """Empty where the second text lacks the word."""
    weight_before: float | None
    """None where there is no word."""
    weight_after: float | None
    difference: float
    """After less before; a word that is not there weighs nothing."""
    changed: bool


def align(
    before: Sequence[str],
    weights_before: Sequence[float],
    after: Sequence[str],
    weights_after: Sequence[float],
) -> tuple[Aligned, ...]:
    """Set the words of two texts side by side, in their order.

    Equal words (capitals aside) stay together; of a changed stretch the first words stand beside
    each other, then the second ones, and so on. The differences add up to the difference of the two
    sums of weights.

    Args:
        before: Words of the first text.
        weights_before: As many numbers.
        after: Words of the second text.
        weights_after: As many numbers.
    """
    one, other = [w.casefold() for w in before], [w.casefold() for w in after]
    head = 0
    while head < min(len(one), len(other)) and one[head] == other[head]:
        head += 1
    tail = 0
    while tail < min(len(one), len(other)) - head and one[-1 - tail] == other[-1 - tail]:
        tail += 1
    end, other_end = len(one) - tail, len(other) - tail
    blocks = [(0, head, 0, head)]
    if max(end, other_end) - head > _MOST:
        blocks.append((head, end, head, other_end))
    else:
        matcher = SequenceMatcher(None, one[head:end], other[head:other_end], autojunk=False)
        blocks += [
            (head + a, head + b, head + c, head + d) for _, a, b, c, d in matcher.get_opcodes()
        ]
    blocks.append((end, len(one), other_end, len(other)))
    found = []
    for a, b, c, d in blocks:
        for k in range(max(b - a, d - c)):
            i, j = a + k, c + k
            left = float(weights_before[i]) if i < b else None
            right = float(weights_after[j]) if j < d else None
            found.append(
                Aligned(
                    before=before[i] if i < b else "",
                    after=after[j] if j < d else "",
                    weight_before=left,
                    weight_after=right,
                    difference=(right or 0.0) - (left or 0.0),
                    changed=not (i < b and j < d and one[i] == other[j]),
                )
            )
    return tuple(found)

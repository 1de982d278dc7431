"""What stands beside an impact ratio: who scores above the median, and how near the ratio is to
another conclusion.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit.proportions import fisher
from audit.types import Absent, Floats

TWO_PERCENT = 0.02
"""A category with less of the data may be left out of the ratios, with a justification."""


def above_median(scores: Sequence[float] | Floats) -> NDArray[np.bool_]:
    """Return who scores strictly above the median of the sample; ties at the median do not.

    Args:
        scores: One number per unit, shape ``(n,)``; the median of an even number is the mean of the
            middle two.

    Source:
        6 RCNY 5-300, "scoring rate": the rate at which individuals in a category receive a score
        above the sample's median score.
    """
    x = np.asarray(scores, np.float64).ravel()
    return np.asarray(x > np.median(x)) if x.size else np.zeros(0, bool)


def may_be_excluded(counts: Sequence[int]) -> list[bool]:
    """Return which categories hold less than 2 % of the data, compared in whole numbers.

    They may be left out of the ratios by a decision that is justified in writing; their number and
    rate are published all the same. Nothing is left out by itself.

    Source:
        6 RCNY 5-301(d).
    """
    total = sum(counts)
    return [50 * count < total for count in counts]


def to_four_fifths(hits: int, n: int, other_hits: int, other_n: int) -> int | Absent:
    """Return how many selections of the group stand between the ratio and four fifths.

    Returns:
        Above 0: the ratio is below 4/5, and so many selections more would reach it. Below 0: it is
        not, and so many fewer would take it below. Never 0. `Absent` when there is no ratio.

    Source:
        The "flip-flop" question under 29 CFR 1607.4(D): would the conclusion change if one person
        more, or fewer, had been selected? Counted in whole numbers.
    """
    if not (0 <= hits <= n and 0 <= other_hits <= other_n):
        return Absent(code="invalid", reason="more hits than texts")
    if not (n and other_hits):
        return Absent(code="no_hits", reason="one side is empty or has a rate of 0: no ratio")
    # Fewest selections that reach 4/5: 5 x other_n >= 4 other_hits n.
    needed = -(-4 * other_hits * n // (5 * other_n))
    return needed - hits if hits < needed else needed - hits - 1


def to_significance(
    hits: int, n: int, other_hits: int, other_n: int, *, alpha: float = 0.05
) -> int | Absent:
    """Return how many of the group's decisions would have to change for Fisher's test to turn.

    A significant difference is followed towards equal rates until ``p > alpha``; another one away
    from them, on the side where it lies (a tie: downwards), until ``p <= alpha``.

    Returns:
        1 or more; `Absent` ("out_of_reach") where no change of this group's decisions turns it.

    Source:
        As `to_four_fifths`; Fisher (1935), JRSS 98, pp. 39-82.
    """
    if not (0 <= hits <= n and 0 <= other_hits <= other_n):
        return Absent(code="invalid", reason="more hits than texts")
    if not (n and other_n):
        return Absent(code="empty", reason="one side has no text")

    def significant(of: int) -> bool:
        test = fisher(of, n, other_hits, other_n)
        return not isinstance(test, Absent) and test.p <= alpha

    now, above = significant(hits), hits * other_n > other_hits * n
    equal = min(n, max(0, round(other_hits * n / other_n)))
    end = equal if now else (n if above else 0)
    if end == hits or significant(end) is now:
        return Absent(code="out_of_reach", reason="no change of this group's decisions turns it")
    near, far = hits, end
    while abs(far - near) > 1:
        middle = (near + far) // 2
        near, far = (near, middle) if significant(middle) is not now else (middle, far)
    return abs(far - hits)

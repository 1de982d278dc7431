"""Which of several models no other one beats on everything."""

from collections.abc import Mapping, Sequence
from typing import Literal

Better = Literal["higher", "lower"]


def dominated(
    points: Mapping[str, Sequence[float]], better: Sequence[Better]
) -> dict[str, tuple[str, ...]]:
    """Return, for each point, those that are as good on every objective and better on one.

    Args:
        points: Name to its values, one per objective, all finite.
        better: What is better, for each objective.

    Returns:
        Name to the names that dominate it, both in the order of `points`. The front is the names
        with none; equal points do not dominate each other.

    Raises:
        ValueError: If a point has another number of values than there are objectives.

    Source:
        Ehrgott (2005), Multicriteria Optimization, 2nd ed., definition 2.1, doi:10.1007/3-540-
        27659-9.
    """
    signs = [1.0 if way == "higher" else -1.0 for way in better]
    gains = {
        name: [sign * value for sign, value in zip(signs, values, strict=True)]
        for name, values in points.items()
    }

    def beats(one: str, other: str) -> bool:
        pairs = list(zip(gains[one], gains[other], strict=True))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    return {name: tuple(other for other in points if beats(other, name)) for name in points}


def front(points: Mapping[str, Sequence[float]], better: Sequence[Better]) -> tuple[str, ...]:
    """Return the names of the points that no other dominates, in the order of `points`."""
    return tuple(name for name, by in dominated(points, better).items() if not by)

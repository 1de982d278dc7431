"""The smallest effect that would have been seen: what an undecided number leaves open."""

from collections.abc import Callable
from math import sqrt

from audit.intervals import z_of


def mde_share(n: int, p: float = 0.5, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest distance of a share from `p` that `n` texts detect; None for no text."""
    if n < 1:
        return None
    # A share seen as 0 or 1 is not one without variance.
    near = min(max(p, 1 / (n + 1)), 1 - 1 / (n + 1))
    return _mde(sqrt(near * (1 - near)), n, alpha, power)


def mde_difference(
    n: int, other_n: int, p: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the smallest difference from a share `p` that would be detected.

    The difference is taken towards one half, where shares vary most. None when there is no text or
    when no difference could be told apart from chance.

    Source:
        Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, ch. 4.
    """
    if min(n, other_n) < 1:
        return None
    # A share seen as 0 or 1 is not one without variance.
    near = min(max(p, 1 / (n + other_n)), 1 - 1 / (n + other_n))
    near = min(near, 1 - near)
    z, z_power = z_of(1 - alpha / 2), z_of(power)

    def enough(gap: float) -> bool:
        far = near + gap
        pooled = (n * far + other_n * near) / (n + other_n)
        null = sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
        real = sqrt(far * (1 - far) / n + near * (1 - near) / other_n)
        return gap >= z * null + z_power * real

    return _least(enough, 1 - near)


def mde_paired(
    n: int, discordance: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the smallest net change over `n` pairs detected when a share `discordance` changes.

    A net change larger than `discordance` makes that share its own. None when none would be seen.

    Source:
        Connor (1987), Biometrics 43, pp. 207-211.
    """
    if n < 1:
        return None
    z, z_power = z_of(1 - alpha / 2), z_of(power)

    def enough(net: float) -> bool:
        changed = max(discordance, net, 1 / n)
        return net * sqrt(n) >= z * sqrt(changed) + z_power * sqrt(max(0.0, changed - net * net))

    return _least(enough, 1.0)


def mde_mean(sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest mean that `n` units with standard deviation `sd` tell from zero."""
    return _mde(sd, n, alpha, power, most=float("inf"))


def _least(enough: Callable[[float], bool], most: float) -> float | None:
    if not enough(most):
        return None
    low, high = 0.0, most
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _mde(sd: float, n: int, alpha: float, power: float, most: float = 1.0) -> float | None:
    if n < 1:
        return None
    return min(most, (z_of(1 - alpha / 2) + z_of(power)) * sd / sqrt(n))

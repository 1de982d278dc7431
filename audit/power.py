"""The smallest effect that would have been seen: what an undecided number leaves open."""

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
    """Return the smallest difference between two shares near `p` that would be detected.

    Source:
        Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, ch. 4 (normal
        approximation with pooled variance).
    """
    if min(n, other_n) < 1:
        return None
    # A share seen as 0 or 1 is not one without variance.
    near = min(max(p, 1 / (n + other_n)), 1 - 1 / (n + other_n))
    scale = sqrt(near * (1 - near) * (1 / n + 1 / other_n))
    return min(1.0, (z_of(1 - alpha / 2) + z_of(power)) * scale)


def mde_paired(
    n: int, discordance: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the smallest net change over `n` pairs detected when a share `discordance` changes.

    Source:
        Connor (1987), Biometrics 43, pp. 207-211.
    """
    if n < 1:
        return None
    return _mde(sqrt(max(discordance, 1 / n)), n, alpha, power)


def mde_mean(sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest mean that `n` units with standard deviation `sd` tell from zero."""
    return _mde(sd, n, alpha, power, most=float("inf"))


def _mde(sd: float, n: int, alpha: float, power: float, most: float = 1.0) -> float | None:
    if n < 1:
        return None
    return min(most, (z_of(1 - alpha / 2) + z_of(power)) * sd / sqrt(n))

"""The smallest effect that would have been seen: what an undecided number leaves open."""

from collections.abc import Callable, Iterable
from math import ceil, log, log1p, sqrt

from audit.intervals import z_of


def independent(clusters: Iterable[str | None]) -> int:
    """Return how many units are surely independent: clusters, and texts that are in none.

    Before a run nobody knows how alike the texts of a cluster are; reckoned as one text each, they
    promise no effect that would not be seen.
    """
    known = list(clusters)
    named = [cluster for cluster in known if cluster is not None]
    return len(known) - len(named) + len(set(named))


def mde_share(n: int, p: float = 0.5, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest distance of a share from `p` that `n` texts detect; None for no text.

    The distance is taken towards one half, where shares vary more than at `p`; 1 where no distance
    could be told apart from chance.

    Source:
        Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, section 2.5.
    """
    if n < 1:
        return None
    # A share seen as 0 or 1 is not one without variance.
    near = min(max(p, 1 / (n + 1)), 1 - 1 / (n + 1))
    near = min(near, 1 - near)
    z, z_power = z_of(1 - alpha / 2), z_of(power)

    def enough(gap: float) -> bool:
        far = near + gap
        real = sqrt(max(0.0, far * (1 - far)))
        return gap * sqrt(n) >= z * sqrt(near * (1 - near)) + z_power * real

    found = _least(enough, 1 - near)
    return 1.0 if found is None else found


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


def needed_difference(
    p: float, other_p: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the texts on each side that tell two shares apart; None where they are the same.

    Not rounded, so that tables can be checked against it; round up.

    Source:
        Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, ch. 4, without
        continuity correction.
    """
    gap = abs(p - other_p)
    if not (gap and 0 <= p <= 1 and 0 <= other_p <= 1):
        return None
    middle = (p + other_p) / 2
    null = sqrt(2 * middle * (1 - middle))
    real = sqrt(p * (1 - p) + other_p * (1 - other_p))
    return ((z_of(1 - alpha / 2) * null + z_of(power) * real) / gap) ** 2


def needed_pairs(
    discordance: float, net: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the pairs that show a net change when a share `discordance` changes; not rounded.

    None where the net change is 0 or larger than all changes together.

    Source:
        Connor (1987), Biometrics 43, pp. 207-211.
    """
    if not 0 < abs(net) <= discordance <= 1:
        return None
    null, real = sqrt(discordance), sqrt(discordance - net * net)
    return ((z_of(1 - alpha / 2) * null + z_of(power) * real) / net) ** 2


def needed_clean(most: float, *, level: float = 0.95) -> int | None:
    """Return how many units without a single hit show a share below `most`; None outside (0, 1).

    Source:
        Clopper & Pearson (1934), Biometrika 26(4), for 0 of n; about ``3 / most``.
    """
    return ceil(log(1 - level) / log1p(-most)) if 0 < most < 1 else None


def needed_width(half: float, p: float = 0.5, *, level: float = 0.95) -> int | None:
    """Return the texts that give a share an interval of `half` to each side; None for no width."""
    if not half > 0:
        return None
    # The last digits of the quantile must not add a text.
    return ceil(p * (1 - p) * (z_of(0.5 + level / 2) / half) ** 2 - 1e-9)


def texts_needed(detectable: float, texts: int, target: float) -> int | None:
    """Return how many texts like these would make `target` detectable.

    The smallest detectable effect shrinks with the square root of the number of texts as long as
    their mix stays the same; for differences of shares this is right within a tenth.

    Args:
        detectable: What `texts` texts detect with 80 % power.
        texts: Texts there are.
        target: The effect that ought to be seen.

    Returns:
        Texts in all, at least 1; None where a size is not above 0.
    """
    if not (detectable > 0 and target > 0 and texts > 0):
        return None
    return max(1, ceil(texts * (detectable / target) ** 2 - 1e-9))


def mde_of_claim(mde: float, m: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return how far beyond its limit the truth must lie for one of `m` claims to fail.

    Args:
        mde: Smallest effect a two-sided test at 0.05 detects with power 0.8, as the other functions
            here return it.
        m: Claims corrected together; the strictest step of Holm's method is reckoned with.
        alpha: Error rate of the gates; each is one-sided.
        power: Chance that the claim fails.

    Returns:
        `mde` times the ratio of both tests' normal quantiles: close where `mde` is small against
        what the quantity can be, and rather too low where few texts are behind it, because verdicts
        rest on exact bounds.
    """
    asked, known = z_of(1 - alpha / max(1, m)) + z_of(power), z_of(0.975) + z_of(0.8)
    return mde * asked / known


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

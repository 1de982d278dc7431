"""Many groups at once: how far they differ beyond chance, who ranks where, and what chance does.

No function here takes the best group less the worst: that is large by chance alone, and the larger
the more groups there are (Lum, Zhang & Bower 2022, arXiv:2205.05770). A group's cell is a pair
``(hits, n)`` of units with the property and units in all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, log

import numpy as np

from audit.intervals import estimated
from audit.omnibus import ONE_GROUP, Cell, Ints, counted
from audit.resampling import EMPTY
from audit.types import Absent, Estimate, Floats, Quantiles

_BAND = (0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.995)
_STEPS = 1000
_PROBS = np.unique(np.concatenate([np.linspace(0.005, 0.995, 199), np.geomspace(1e-6, 5e-3, 16)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Variance between groups, before and after what sampling alone gives is taken off."""

    naive: float
    sampling: float
    corrected: float
    """`naive` less `sampling`; below 0 when groups differ less than chance would have them."""

    @property
    def value(self) -> float:
        """The corrected variance, at least 0."""
        return max(0.0, self.corrected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """Rates drawn towards what all groups have in common; for ranking, never for a verdict."""

    a: float | None
    """Prior hits; None under complete pooling."""
    b: float | None
    """Prior misses; None under complete pooling."""
    pooled: float
    """Rate of all texts together."""
    rates: tuple[float, ...]
    """Posterior mean of each group, in the order given."""
    bounds: tuple[tuple[float, float], ...]
    """Credible bounds of each group."""

    @property
    def complete(self) -> bool:
        """Whether groups differ no more than chance has it, so that all get the pooled rate."""
        return self.a is None


@dataclass(frozen=True, slots=True, kw_only=True)
class NullBand:
    """The lowest impact ratio in audits of these group sizes when all groups are treated alike."""

    rate: float
    limit: tuple[int, int]
    p_below: float
    """Chance that the lowest ratio is below the limit."""
    groups: int
    probs: tuple[float, ...]
    values: tuple[float, ...]
    """The lowest ratio that a share `probs` of audits stays below, in steps of 0.001."""

    @property
    def low(self) -> float:
        """One audit in twenty shows less."""
        return self.values[self.probs.index(0.05)]

    @property
    def median(self) -> float:
        """One audit in two shows less."""
        return self.values[self.probs.index(0.5)]


def between_group_variance(cells: Sequence[Cell]) -> Spread | Absent:
    """Return the variance of true rates between groups: what is seen less what chance adds.

    Returns:
        The sample variance of the rates, the mean of ``p (1 - p) / (n - 1)``, and their difference.
        `Absent` for fewer than two groups of at least two texts; smaller groups are left aside,
        because their sampling variance cannot be told.

    Source:
        The method of moments; the quantity of Lum, Zhang & Bower (2022), arXiv:2205.05770, whose
        own estimator is another.
    """
    found = counted([cell for cell in cells if cell[1] != 1])
    if isinstance(found, Absent):
        return found
    hits, n = found
    if len(n) < 2:
        return Absent(code="one_group", reason="fewer than two groups have two texts")
    rate = hits / n
    naive, sampling = float(rate.var(ddof=1)), float((rate * (1 - rate) / (n - 1)).mean())
    return Spread(naive=naive, sampling=sampling, corrected=naive - sampling)


def spread(cells: Sequence[Cell], *, level: float = 0.95) -> Estimate | Absent:
    """Estimate the variance of true rates between groups, at least 0.

    Returns:
        The corrected variance of `between_group_variance` with the Q-profile interval: the
        variances under which the groups' spread is no surprise. `n` is the number of groups.

    Source:
        Viechtbauer (2007), Statistics in Medicine 26, pp. 37-52, section 3.1.
    """
    found = between_group_variance(cells)
    if isinstance(found, Absent):
        return found
    hits, n = (np.array(side, float) for side in zip(*[c for c in cells if c[1] > 1], strict=True))
    rate = hits / n
    # A share seen as 0 or 1 is not one without variance.
    near = (hits + 0.5) / (n + 1)
    sampling = near * (1 - near) / n
    from scipy.special import chdtri

    probs = np.unique(np.concatenate([_PROBS, 1 - _PROBS]))
    # The larger the variance, the smaller Q; so the lowest variances go with Q's upper tail.
    target = np.asarray(chdtri(len(n) - 1, probs))
    low, high = np.zeros(len(probs)), np.ones(len(probs))
    for _ in range(60):
        middle = (low + high) / 2
        weight = 1 / (middle[:, None] + sampling)
        centre = (weight * rate).sum(axis=1) / weight.sum(axis=1)
        above = (weight * (rate - centre[:, None]) ** 2).sum(axis=1) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    values = np.maximum.accumulate(np.where(low > 1e-15, low, 0.0)).tolist()
    if max(values) <= 0:
        return Absent(code="no_variation", reason="the rates differ even less than chance has it")
    basis = Quantiles(probs=tuple(map(float, probs)), values=tuple(values))
    return estimated(found.value, basis, "q-profile", len(n), level)


def posterior(
    hits: int, n: int, a: float, b: float, *, level: float = 0.95
) -> tuple[float, tuple[float, float]] | Absent:
    """Return mean and credible bounds of a rate under a beta prior named beforehand.

    Args:
        hits: Units with the property.
        n: Units in all; with none, the prior itself is returned.
        a: Prior hits, above 0.
        b: Prior misses, above 0.
        level: Coverage of the credible bounds, in (0, 1).

    Source:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.4.
    """
    if not (0 <= hits <= n and a > 0 and b > 0):
        return Absent(code="invalid", reason="more hits than texts, or a prior below 0")
    from scipy.special import betaincinv

    x, y, tail = hits + a, n - hits + b, (1 - level) / 2
    return x / (x + y), (float(betaincinv(x, y, tail)), float(betaincinv(x, y, 1 - tail)))


def shrink(cells: Sequence[Cell], *, level: float = 0.95) -> Shrunk | Absent:
    """Draw each group's rate towards the common one by as much as its size leaves it uncertain.

    The groups' true rates are taken as draws from one beta distribution, fitted by maximum
    likelihood. Where groups differ no more than chance has it, the fit runs off to infinity; then
    every group gets the pooled rate ("complete pooling") and no prior is named.

    Args:
        cells: ``(hits, n)`` of each group; a group without a text gets the prior itself.
        level: Coverage of the credible bounds, in (0, 1).

    Returns:
        Posterior means ``(k + a) / (n + a + b)`` and bounds: for ranking groups, not for gates, as
        they lean on one another. `Absent` when no group has a text.

    Source:
        Skellam (1948), JRSS B 10, pp. 257-261; Efron & Morris (1975), JASA 70, pp. 311-319.
    """
    found = counted(cells)
    if isinstance(found, Absent):
        return found
    hits, n = found
    total, all_hits = int(n.sum()), int(hits.sum())
    pooled = all_hits / total
    prior = _beta_prior(hits, n, pooled) if 0 < all_hits < total and len(n) > 1 else None
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    if prior is None:
        low = float(betaincinv(all_hits + 0.5, total - all_hits + 0.5, tail))
        high = float(betaincinv(all_hits + 0.5, total - all_hits + 0.5, 1 - tail))
        bounds = (min(low, pooled), max(high, pooled))
        return Shrunk(
            a=None,
            b=None,
            pooled=pooled,
            rates=(pooled,) * len(cells),
            bounds=(bounds,) * len(cells),
        )
    a, b = prior
    posterior = [(k + a, m - k + b, (k + a) / (m + a + b)) for k, m in cells]
    return Shrunk(
        a=a,
        b=b,
        pooled=pooled,
        rates=tuple(mean for _, _, mean in posterior),
        # A prior that puts all at the ends leaves the mean outside its own quantiles.
        bounds=tuple(
            (
                min(mean, float(betaincinv(x, y, tail))),
                max(mean, float(betaincinv(x, y, 1 - tail))),
            )
            for x, y, mean in posterior
        ),
    )


def ranking(cells: Sequence[Cell], *, level: float = 0.95) -> list[Estimate | Absent]:
    """Return each cell's shrunk rate as a number to rank by, with its credible interval.

    These lean on one another and are pulled to the middle: they rank, they are no gate's business.
    `Absent` ("complete_pooling") for all cells where they differ no more than chance has it, since
    a ranking would then order noise, and for a cell without a text.

    Source:
        As `shrink`.
    """
    found = shrink(cells, level=level)
    if isinstance(found, Absent):
        return [found] * len(cells)
    if found.a is None or found.b is None:
        why = f"complete pooling: cells differ no more than chance has it around {found.pooled:.3f}"
        return [Absent(code="complete_pooling", reason=why)] * len(cells)
    from scipy.special import betaincinv

    ranked: list[Estimate | Absent] = []
    probs = np.unique(np.concatenate([_PROBS, 1 - _PROBS]))
    for (k, n), mean in zip(cells, found.rates, strict=True):
        if n == 0:
            ranked.append(EMPTY)
            continue
        values = betaincinv(k + found.a, n - k + found.b, probs)
        basis = Quantiles(probs=tuple(map(float, probs)), values=tuple(map(float, values)))
        ranked.append(estimated(mean, basis, "beta-binomial", n, level))
    return ranked


def null_band(
    sizes: Sequence[int], rate: float, *, limit: tuple[int, int] = (4, 5)
) -> NullBand | Absent:
    """Say how low the lowest impact ratio falls by chance when every group has the same rate.

    Exact: the chance that all rates lie within ``limit`` of the largest is summed over every value
    the largest can take, with shares compared as integers. When nobody at all is selected there is
    no ratio, which counts as not below.

    Args:
        sizes: Texts of each group.
        rate: The rate that all groups share, in [0, 1].
        limit: The ratio as a fraction of whole numbers, below 1.

    Returns:
        The band; `Absent` for fewer than two groups with a text, or an impossible rate.

    Source:
        The independent binomials themselves, enumerated.
    """
    n = np.array([m for m in sizes if m > 0], np.int64)
    if len(n) < 2:
        return ONE_GROUP
    if not 0 <= rate <= 1:
        return Absent(code="invalid", reason="the rate lies outside 0 to 1")
    below = cache(_lowest_below(n, rate))

    def quantile(p: float) -> float:
        low, high = 0, _STEPS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if below(middle, _STEPS) > p else (middle, high)
        return low / _STEPS if below(_STEPS, _STEPS) > p else 1.0

    return NullBand(
        rate=rate,
        limit=limit,
        p_below=below(*limit),
        groups=len(n),
        probs=_BAND,
        values=tuple(quantile(p) for p in _BAND),
    )


def _beta_prior(hits: Ints, n: Ints, pooled: float) -> tuple[float, float] | None:
    from scipy.optimize import minimize
    from scipy.special import betaln, expit, psi

    def lost(point: Floats) -> tuple[float, Floats]:
        mean, strength = float(expit(point[0])), float(np.exp(point[1]))
        a, b = mean * strength, (1 - mean) * strength
        shared = psi(n + strength) - psi(strength)
        by_a = float((shared - psi(hits + a) + psi(a)).sum())
        by_b = float((shared - psi(n - hits + b) + psi(b)).sum())
        slope = np.array([mean * (1 - mean) * strength * (by_a - by_b), a * by_a + b * by_b])
        return -float((betaln(hits + a, n - hits + b) - betaln(a, b)).sum()), slope

    centre = log(pooled / (1 - pooled))
    best, at = inf, np.zeros(2)
    for strength in (1.0, 10.0, 100.0, 1000.0):
        fit = minimize(
            lost,
            np.array([centre, log(strength)]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-15.0, 15.0), (log(1e-2), log(1e7))],
            options={"ftol": 1e-14, "gtol": 1e-9},
        )
        if fit.fun < best:
            best, at = float(fit.fun), fit.x
    # Pooling is the limit of infinite strength; what is no likelier than it, is it.
    alike = -float((hits * log(pooled) + (n - hits) * log(1 - pooled)).sum())
    strength = float(np.exp(at[1]))
    if best >= alike - 1e-6 or strength > 1e6:
        return None
    mean = float(expit(at[0]))
    return mean * strength, (1 - mean) * strength


def _possible_maxima(n: Ints, rate: float) -> Ints:
    """Return the fractions that the highest rate can be, reduced, shape ``(m, 2)``.

    Counts further than nine standard deviations from the mean have no chance worth adding up.
    """
    found = []
    for m in np.unique(n):
        reach = 9 * np.sqrt(m * rate * (1 - rate)) + 9
        low, high = max(1, int(m * rate - reach)), min(int(m), int(m * rate + reach) + 1)
        j = np.arange(low, high + 1)
        shared = np.gcd(j, m)
        found.append(np.stack([j // shared, m // shared], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _lowest_below(n: Ints, rate: float) -> Callable[[int, int], float]:
    """Return the chance that the lowest rate is under ``top / bottom`` of the highest, exactly."""
    from scipy.special import bdtr

    highest = _possible_maxima(n, rate)
    j, m = highest[:, 0], highest[:, 1]
    # x / size <= j / m; x / size < j / m.
    most = [(j * size) // m for size in n]
    less = [-((-j * size) // m) - 1 for size in n]
    within = [
        (bdtr(a, size, rate), bdtr(b, size, rate)) for a, b, size in zip(most, less, n, strict=True)
    ]
    nobody = float(np.prod((1 - rate) ** n.astype(float)))

    def below(top: int, bottom: int) -> float:
        up_to, under = np.ones(len(j)), np.ones(len(j))
        for size, b, (to_most, to_less) in zip(n, less, within, strict=True):
            # x / size >= (top / bottom) * j / m.
            least = -((-top * j * size) // (bottom * m))
            lower = np.where(least > 0, bdtr(np.maximum(least - 1, 0), size, rate), 0.0)
            up_to *= np.maximum(0.0, to_most - lower)
            under *= np.where(b >= least, np.maximum(0.0, to_less - lower), 0.0)
        return float(min(1.0, max(0.0, 1 - nobody - float((up_to - under).sum()))))

    return below

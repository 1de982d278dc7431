"""Two proportions against each other, and tests of tables: what selection rates are judged by.

Counts come as ``hits, n, other_hits, other_n``: units with the property and units in all, of the
group and of what it is held against. What concerns many groups at once stands in `manygroups` and
is offered here too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import erfc, isfinite, sqrt

import numpy as np

from audit.contrasts import ratio_of
from audit.intervals import estimated
from audit.manygroups import (
    NullBand,
    Shrunk,
    Spread,
    between_group_variance,
    null_band,
    ranking,
    shrink,
    spread,
)
from audit.omnibus import ALL_ALIKE, Tested, as_estimate, omnibus, omnibus_clustered
from audit.power import mde_difference
from audit.types import Absent, Estimate, Floats, TwoCounts

__all__ = [
    "FourFifths",
    "NullBand",
    "Shrunk",
    "Spread",
    "Tested",
    "agresti_caffo",
    "as_estimate",
    "between_group_variance",
    "boschloo",
    "cochran_mantel_haenszel",
    "fisher",
    "four_fifths",
    "heterogeneity",
    "katz",
    "miettinen_nurminen",
    "null_band",
    "omnibus",
    "omnibus_clustered",
    "ranking",
    "ratio",
    "shrink",
    "spread",
    "standard_deviations",
]

Stratum = tuple[int, int, int, int]
_BOSCHLOO_MOST = 40_000
"""Largest product of group sizes; beyond, the search takes seconds and Fisher's test serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FourFifths:
    """A ratio of two rates held against 4/5 in whole numbers."""

    below: bool
    """Strictly below: a ratio of exactly 4/5 is not."""
    numerator: int
    denominator: int
    """The ratio, reduced."""


def miettinen_nurminen(
    hits: int, n: int, other_hits: int, other_n: int, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate a difference of two proportions with Miettinen and Nurminen's score interval.

    Returns:
        ``hits/n - other_hits/other_n``, in [-1, 1]; `Absent` when either side is empty or has more
        hits than units.

    Source:
        Miettinen & Nurminen (1985), Statistics in Medicine 4, pp. 213-226.
    """
    return _difference(hits, n, other_hits, other_n, "miettinen-nurminen", level)


def agresti_caffo(
    hits: int, n: int, other_hits: int, other_n: int, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate a difference of two proportions with one hit and one miss more on each side.

    Source:
        Agresti & Caffo (2000), The American Statistician 54(4), pp. 280-288.
    """
    return _difference(hits, n, other_hits, other_n, "agresti-caffo", level)


def ratio(
    hits: int, n: int, other_hits: int, other_n: int, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate a ratio of two proportions with its score interval.

    Returns:
        ``(hits/n) / (other_hits/other_n)``, 0 or more. `Absent` when either side is empty, and when
        the other side has no hit: then there is no ratio. `mde` is the smallest distance from 1
        that would have been seen.

    Source:
        Koopman (1984), Biometrics 40, pp. 513-517; with the factor N / (N - 1) of Miettinen &
        Nurminen (1985), Statistics in Medicine 4, pp. 213-226.
    """
    basis = _table(hits, n, other_hits, other_n)
    if isinstance(basis, Absent):
        return basis
    if not other_hits:
        return Absent(code="no_hits", reason="the comparison has a rate of 0, so there is no ratio")
    pooled = (hits + other_hits) / (n + other_n)
    gap = mde_difference(n, other_n, pooled)
    mde = None if gap is None else gap / pooled
    return estimated(ratio_of(basis), basis, "ratio-score", min(n, other_n), level, mde=mde)


def katz(
    hits: int, n: int, other_hits: int, other_n: int, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate a ratio with the interval that most tables print; covers less well than `ratio`.

    Returns:
        As `ratio`; `Absent` when a side has no hit, where the formula divides by 0, and when both
        sides hit throughout, where it claims to be without error.

    Source:
        Katz, Baptista, Azen & Pike (1978), Biometrics 34, pp. 469-474.
    """
    basis = _table(hits, n, other_hits, other_n)
    if isinstance(basis, Absent):
        return basis
    if not (hits and other_hits):
        return Absent(code="zero_cell", reason="one side has no hit; Katz's formula divides by 0")
    if hits == n and other_hits == other_n:
        return ALL_ALIKE
    return estimated(ratio_of(basis), basis, "katz", min(n, other_n), level)


def fisher(hits: int, n: int, other_hits: int, other_n: int) -> Tested | Absent:
    """Test two proportions for equality given both margins; `statistic` is the odds ratio.

    Source:
        Fisher (1935), JRSS 98, pp. 39-82; two-sided by probability, as scipy has it.
    """
    basis = _table(hits, n, other_hits, other_n)
    if isinstance(basis, Absent):
        return basis
    if hits + other_hits in (0, n + other_n):
        return ALL_ALIKE
    from scipy.stats import fisher_exact

    found = fisher_exact([[hits, n - hits], [other_hits, other_n - other_hits]])
    odds = float(found.statistic)
    return Tested(
        statistic=odds if isfinite(odds) else None, p=min(1.0, float(found.pvalue)), method="fisher"
    )


def boschloo(hits: int, n: int, other_hits: int, other_n: int) -> Tested | Absent:
    """Test two proportions for equality, exactly, with more power than `fisher`.

    Returns:
        The test; `statistic` is Fisher's one-sided p-value, which it ranks tables by. `Absent`
        ("too_large") for tables whose sizes multiply to more than 40,000, where Fisher's test loses
        nothing worth the seconds.

    Source:
        Boschloo (1970), Statistica Neerlandica 24, pp. 1-9.
    """
    basis = _table(hits, n, other_hits, other_n)
    if isinstance(basis, Absent):
        return basis
    if hits + other_hits in (0, n + other_n):
        return ALL_ALIKE
    if n * other_n > _BOSCHLOO_MOST:
        return Absent(code="too_large", reason="the table is large; Fisher's exact test serves")
    from scipy.stats import boschloo_exact

    found = boschloo_exact([[hits, other_hits], [n - hits, other_n - other_hits]])
    return Tested(
        statistic=float(found.statistic), p=min(1.0, float(found.pvalue)), method="boschloo"
    )


def standard_deviations(hits: int, n: int, other_hits: int, other_n: int) -> Tested | Absent:
    """Return by how many standard deviations two proportions differ, signed, were they equal.

    Returns:
        ``statistic``: the difference over its pooled standard error, and its two-sided normal
        p-value. `Absent` when no unit or every unit hits.

    Source:
        Hazelwood School District v. United States, 433 U.S. 299 (1977), note 14, counts so; the
        pooled z test of two proportions.
    """
    basis = _table(hits, n, other_hits, other_n)
    if isinstance(basis, Absent):
        return basis
    pooled = (hits + other_hits) / (n + other_n)
    if pooled in (0, 1):
        return ALL_ALIKE
    z = (hits / n - other_hits / other_n) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    return Tested(statistic=z, p=erfc(abs(z) / sqrt(2)), method="pooled-z")


def four_fifths(hits: int, n: int, other_hits: int, other_n: int) -> FourFifths | Absent:
    """Hold the ratio of two rates against 4/5, in whole numbers.

    Floating point says 0.7999999999999999 of 44/100 over 55/100, which is four fifths exactly.

    Returns:
        Whether ``5 hits other_n < 4 other_hits n``; `Absent` when there is no ratio.

    Source:
        29 CFR 1607.4(D): "less than four-fifths (4/5) (or eighty percent)".
    """
    basis = _table(hits, n, other_hits, other_n)
    if isinstance(basis, Absent):
        return basis
    if not other_hits:
        return Absent(code="no_hits", reason="the comparison has a rate of 0, so there is no ratio")
    exact = Fraction(hits * other_n, n * other_hits)
    return FourFifths(
        below=5 * hits * other_n < 4 * other_hits * n,
        numerator=exact.numerator,
        denominator=exact.denominator,
    )


def cochran_mantel_haenszel(strata: Sequence[Stratum]) -> Tested | Absent:
    """Test whether a group hits more often, given the stratum, were the odds ratio the same in all.

    Gaps of opposite sign cancel here: look at `heterogeneity` too.

    Args:
        strata: ``(hits, n, other_hits, other_n)`` of each stratum; those where a side is empty or
            all units are alike say nothing and are left aside.

    Source:
        Mantel & Haenszel (1959), JNCI 22, pp. 719-748, without continuity correction.
    """
    return _stratified(strata, 1)


def heterogeneity(strata: Sequence[Stratum]) -> Tested | Absent:
    """Test whether the odds ratio is the same in all strata.

    Returns:
        Breslow and Day's statistic; `Absent` for fewer than two strata with something to say, or a
        common odds ratio of 0 or infinity.

    Source:
        Breslow & Day (1980), Statistical Methods in Cancer Research 1, section 4.4.
    """
    return _stratified(strata, 2)


def _stratified(strata: Sequence[Stratum], least: int) -> Tested | Absent:
    tables = []
    for stratum in strata:
        basis = _table(*stratum)
        if isinstance(basis, Absent):
            if basis.code == "invalid":
                return basis
            continue
        hits, n, other_hits, other_n = stratum
        if 0 < hits + other_hits < n + other_n:
            tables.append([[hits, n - hits], [other_hits, other_n - other_hits]])
    if len(tables) < least:
        return Absent(code="too_few", reason="too few strata in which anything differs")
    stacked = np.array(tables, float)
    first = stacked[:, 0, 0]
    own, column, sizes = stacked[:, 0].sum(1), stacked[:, :, 0].sum(1), stacked.sum((1, 2))
    from scipy.special import chdtrc

    if least == 1:
        shift = float((first - own * column / sizes).sum())
        variance = own * (sizes - own) * column * (sizes - column) / (sizes**2 * (sizes - 1))
        statistic, df, method = shift**2 / float(variance.sum()), 1.0, "cochran-mantel-haenszel"
    else:
        up = float((first * stacked[:, 1, 1] / sizes).sum())
        down = float((stacked[:, 0, 1] * stacked[:, 1, 0] / sizes).sum())
        if up == 0 or down == 0:
            return Absent(code="no_variation", reason="the common odds ratio is 0 or infinite")
        fitted = _fitted(up / down, own, column, sizes)
        rest = sizes - own - column + fitted
        inverse = 1 / fitted + 1 / (own - fitted) + 1 / (column - fitted) + 1 / rest
        statistic = float(((first - fitted) ** 2 * inverse).sum())
        df, method = float(len(tables) - 1), "breslow-day"
    return Tested(statistic=statistic, p=float(chdtrc(df, statistic)), method=method, df=df)


def _fitted(odds: float, own: Floats, column: Floats, sizes: Floats) -> Floats:
    """Return the count in each table's first cell that its margins and the odds ratio imply.

    statsmodels divides by 0 where the common odds ratio is just 1, and there this is linear.
    """
    a = 1 - odds
    b = sizes - own - column + odds * (own + column)
    root = np.sqrt(b * b + 4 * a * odds * own * column)
    # The form that does not subtract near equals, nor divide by a.
    return np.asarray(2 * odds * own * column / (b + root))


def _difference(
    hits: int, n: int, other_hits: int, other_n: int, method: str, level: float
) -> Estimate | Absent:
    basis = _table(hits, n, other_hits, other_n)
    if isinstance(basis, Absent):
        return basis
    mde = mde_difference(n, other_n, (hits + other_hits) / (n + other_n))
    value = hits / n - other_hits / other_n
    return estimated(value, basis, method, min(n, other_n), level, mde=mde)


def _table(hits: int, n: int, other_hits: int, other_n: int) -> TwoCounts | Absent:
    if not (0 <= hits <= n and 0 <= other_hits <= other_n):
        return Absent(code="invalid", reason="more hits than texts")
    if n == 0 or other_n == 0:
        side = "the group" if n == 0 else "its comparison"
        return Absent(code="empty", reason=f"{side} has no text")
    return TwoCounts(hits=int(hits), n=int(n), other_hits=int(other_hits), other_n=int(other_n))

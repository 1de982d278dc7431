"""Looking while texts come in: tests and intervals that hold at every moment of looking at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np

from audit.intervals import estimated
from audit.resampling import EMPTY
from audit.types import Absent, Counts, Estimate, Floats, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprt:
    """Where a sequential test of two shares stands."""

    decision: Literal["reject", "accept", "continue"]
    """``reject``: the evidence is for the higher share; ``accept``: for the lower."""
    step: int
    """Texts read when it was decided, or so far."""
    llr: float
    """Log likelihood ratio of the higher share to the lower at `step`."""
    upper: float
    lower: float
    up: float
    """What a text with the property adds to `llr`."""
    down: float
    """What a text without it adds; below 0."""


def sprt(
    outcomes: Sequence[bool] | Sequence[int],
    p0: float,
    p1: float,
    *,
    alpha: float = 0.05,
    beta: float = 0.1,
) -> Sprt | Absent:
    """Test, text by text, whether a share is `p0` or the higher `p1`, and stop as soon as it can.

    Args:
        outcomes: Whether each text has the property, in the order in which they came.
        p0: Share that is still allowed, in (0, 1).
        p1: Share that must be noticed, above `p0`.
        alpha: Probability of rejecting at `p0`.
        beta: Probability of accepting at `p1`.

    Returns:
        The first decision and when it fell; outcomes after it are not read. `Absent` ("invalid")
        for shares or errors that make no test, ("empty") for no outcome.

    Source:
        Wald (1945), Annals of Mathematical Statistics 16(2), pp. 117-186.
    """
    if not (0 < p0 < p1 < 1 and 0 < alpha < 1 and 0 < beta < 1 and alpha + beta < 1):
        return Absent(code="invalid", reason="a test needs 0 < p0 < p1 < 1 and alpha + beta < 1")
    hits = np.asarray(outcomes, np.float64).ravel()
    if hits.size == 0:
        return EMPTY
    if not np.isin(hits, (0.0, 1.0)).all():
        return Absent(code="invalid", reason="an outcome is neither 0 nor 1")
    upper, lower = log((1 - beta) / alpha), log(beta / (1 - alpha))
    up, down = log(p1 / p0), log((1 - p1) / (1 - p0))
    llr = np.cumsum(np.where(hits == 1, up, down))
    # Sums of equal steps meet a border only up to rounding.
    over = np.flatnonzero((llr >= upper - 1e-12) | (llr <= lower + 1e-12))
    last = int(over[0]) if over.size else len(llr) - 1
    value = float(llr[last])
    decision: Literal["reject", "accept", "continue"] = "continue"
    if over.size:
        decision = "reject" if value > 0 else "accept"
    return Sprt(
        decision=decision, step=last + 1, llr=value, upper=upper, lower=lower, up=up, down=down
    )


def confidence_sequence(hits: int, n: int, *, level: float = 0.95) -> Estimate | Absent:
    """Estimate a share with bounds that hold however often one has looked and will look.

    Args:
        hits: Texts with the property among the first `n`.
        n: Texts so far.
        level: Coverage over all moments together, in (0, 1).

    Returns:
        The share in [0, 1]. Where a verdict hangs on one of the bounds, `for_judging` gives each
        the whole error: the mixture may win on either side, and half of it is no one's due.

    Source:
        Robbins (1970), Annals of Mathematical Statistics 41(5), pp. 1397-1409; Howard et al.
        (2021), Annals of Statistics 49(2), doi:10.1214/20-AOS1991 (uniform mixture).
    """
    if n == 0:
        return EMPTY
    if not 0 <= hits <= n:
        return Absent(code="invalid", reason="more hits than texts")
    return estimated(hits / n, Counts(hits=int(hits), n=int(n)), "beta-mixture", n, level)


def mean_sequence(
    values: Sequence[float] | Floats,
    *,
    low: float,
    high: float,
    level: float = 0.95,
    tuned: float = 0.05,
) -> Estimate | Absent:
    """Estimate the mean of bounded units with bounds that hold at every moment of looking at once.

    For paired differences of scores `low` is -1 and `high` 1; for dependent texts, `values` are the
    means of their clusters, in the order in which the clusters were finished.

    Args:
        values: One number per independent unit, in the order in which they came.
        low: Least value a unit can take.
        high: Greatest value, above `low`.
        level: Coverage over all moments together, in (0, 1).
        tuned: Two-sided error at which the interval is meant to be narrow; it is valid at any.

    Returns:
        The mean of the units so far. `Absent`: "empty", "not_finite", "invalid" for units outside
        the bounds.

    Source:
        Waudby-Smith & Ramdas (2024), JRSS B 86(1), pp. 1-27, theorem 2 (predictable plug-in
        empirical Bernstein), arXiv:2010.09686.
    """
    x = np.asarray(values, np.float64).ravel()
    if x.size == 0:
        return EMPTY
    if not np.isfinite(x).all():
        return Absent(code="not_finite", reason="a value is not a finite number")
    if not low < high or x.min() < low or x.max() > high:
        return Absent(code="invalid", reason=f"a value lies outside {low:g} to {high:g}")
    unit = (x - low) / (high - low)
    seen = np.arange(1, len(x) + 1)
    running = (0.5 + np.cumsum(unit)) / (seen + 1)
    spread = (0.25 + np.cumsum((unit - running) ** 2)) / (seen + 1)
    # What is staked on a unit, and what it is held against, were known before it came.
    before = np.concatenate([[0.25], spread[:-1]])
    guess = np.concatenate([[0.5], running[:-1]])
    stake = np.minimum(0.5, np.sqrt(2 * log(2 / tuned) / (before * seen * np.log1p(seen))))
    cost = float(np.sum((unit - guess) ** 2 * (-np.log1p(-stake) - stake)))
    total, width = float(stake.sum()), high - low
    basis = Stream(
        centre=low + width * float(stake @ unit) / total,
        slack=width * cost / total,
        scale=width / total,
        low=low,
        high=high,
    )
    return estimated(float(x.mean()), basis, "empirical-bernstein", len(x), level)

"""Looking at declared moments while texts are read: a confidence sequence up to a horizon.

An audit under a budget reads its texts in growing looks, the first ``2 ** (-k / 2)`` of them for k
from large to 0, and stops a claim when it is settled. What is held against a limit at each look is
the ordinary bound at a smaller error, chosen so that the chance that *any* look errs is alpha; so
the bounds of all looks together are one confidence sequence (repeated confidence intervals), and
whoever stops at one of them, for whatever reason, has not spent more.

Sequences without a horizon (`audit.sequential`) hold for ever and pay for it: where a test of all
the texts has a power of 0.88, the best of them has 0.77; this one has 0.86.

Source: Jennison & Turnbull (1989), JRSS B 51(3), pp. 305-361, for repeated confidence intervals;
Wang & Tsiatis (1987), Biometrics 43, pp. 193-199, for the shape of the boundary; Armitage,
McPherson & Rowe (1969), JRSS A 132(2), pp. 235-244, for the recursion; Scharfstein, Tsiatis &
Robins (1997), JASA 92(440), for why any efficient estimate read in random order moves like this.
"""

from functools import lru_cache

import numpy as np

from audit.types import Floats

SHAPE = 0.2
"""Of the boundary: 0 waits longest, 0.5 spends most on the first looks. At 0.2 the last look costs
two points of power and an effect twice as large is settled by a third of the texts."""
MOST = 13
"""Looks of the longest schedule: the first then takes one text in 64."""
LEAST = 32
"""Independent units of the first look, at the least."""
_LEAST_P = 1e-15
_GRID = np.linspace(0.0, 9.0, 121)


def schedule(units: int) -> tuple[int, ...]:
    """Return how many of `units` independent units each look takes, growing; the last takes all."""
    found = [units]
    while len(found) < MOST:
        fewer = round(units * 2 ** (-len(found) / 2))
        if fewer < LEAST:
            break
        found.append(fewer)
    return tuple(reversed(found))


def share(look: int, looks: int) -> float:
    """Return which share of the texts is read at look ``look`` of 1 to `looks`, in (0, 1]."""
    return float(2.0 ** ((look - looks) / 2))


def p_of(p: float, look: int, looks: int) -> float:
    """Return the p-value of whoever looked at every look so far, from that of this look alone."""
    if p <= 0:
        return 0.0
    z = -_z(p)
    if z <= 0:
        return 1.0
    return float(np.exp(np.interp(_far(z, look, looks), _GRID, np.log(_ever(looks)))))


def alone(alpha: float, look: int, looks: int) -> float:
    """Return the error of this look alone at which bounds hold over all looks with `alpha`."""
    logs = np.log(_ever(looks))
    far = float(np.interp(-np.log(alpha), -logs, _GRID))
    from scipy.special import ndtr

    return max(_LEAST_P, float(ndtr(-far * share(look, looks) ** (SHAPE - 0.5))))


def crossing(drift: float, alpha: float, looks: int) -> Floats:
    """Return the chance to have crossed at `alpha` by each look, shape ``(looks,)``.

    Args:
        drift: Distance of the truth from the limit, in standard errors of all texts.
        alpha: One-sided error over all looks.
        looks: Looks of the schedule.
    """
    far = float(np.interp(-np.log(alpha), -np.log(_ever(looks)), _GRID))
    return np.asarray(_first_passage(np.array([far]), looks, drift)[:, 0])


def _far(z: float, look: int, looks: int) -> float:
    return min(float(_GRID[-1]), z * float(share(look, looks) ** (0.5 - SHAPE)))


def _z(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))


@lru_cache(maxsize=32)
def _ever(looks: int) -> Floats:
    """Return the chance that a sum without drift ever crosses each boundary of the grid."""
    ever = _first_passage(_GRID, looks, 0.0)[-1]
    # Quadrature errs in the last digits; the chance falls along the grid.
    return np.asarray(np.minimum.accumulate(np.maximum(ever, 1e-300)))


def _first_passage(far: Floats, looks: int, drift: float) -> Floats:
    """Return the chance to be at or beyond ``far * t ** SHAPE`` by each look, ``(looks, far)``."""
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(56)
    times = np.array([share(look, looks) for look in range(1, looks + 1)])
    crossed = np.zeros((looks, len(far)))
    before: Floats = np.zeros((len(far), 1))
    density: Floats = np.ones((len(far), 1))
    last = 0.0
    for k, t in enumerate(times):
        border = far * t**SHAPE
        step = np.sqrt(t - last)
        ahead = drift * (t - last)
        crossed[k] = np.sum(density * ndtr((before + ahead - border[:, None]) / step), axis=1)
        low = drift * t - 8.5 * np.sqrt(t)
        low = np.minimum(low, border - 1e-3)
        half = (border - low)[:, None] / 2
        here = low[:, None] + half * (nodes + 1)
        gap = (here[:, :, None] - before[:, None, :] - ahead) / step
        kernel = np.exp(-gap * gap / 2) / (step * np.sqrt(2 * np.pi))
        density = half * weights * np.einsum("xij,xj->xi", kernel, density)
        before, last = here, t
    return np.asarray(np.cumsum(crossed, axis=0))

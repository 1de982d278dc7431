"""How far each text moves a number: of means, of differences between groups, of curves.

Source: Hampel (1974), JASA 69(346), pp. 383-393; used for paired variances as by Williams (1995),
Biometrics 51, pp. 1324-1328 (infinitesimal jackknife).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit.types import Example, Floats, Influence


def of_mean(
    metric: str, examples: Sequence[Example], values: Sequence[float] | NDArray[np.generic]
) -> Influence:
    """Return the influence of each text on the mean of `values`, shape ``(len(examples),)``."""
    x = np.asarray(values, np.float64)
    return _influence(metric, examples, (x - x.mean()) / len(x) if len(x) else x, of_mean=True)


def of_gap(
    metric: str,
    examples: Sequence[Example],
    values: Sequence[float] | NDArray[np.generic],
    member: NDArray[np.bool_],
) -> Influence:
    """Return the influence of each text on the members' mean less that of the others."""
    x, influence = np.asarray(values, np.float64), np.zeros(len(examples))
    for side, sign in ((member, 1.0), (~member, -1.0)):
        if side.any():
            influence[side] = sign * (x[side] - x[side].mean()) / side.sum()
    return _influence(metric, examples, influence)


def of_values(metric: str, examples: Sequence[Example], influence: Floats) -> Influence:
    """Return influences that were worked out elsewhere, shape ``(len(examples),)``."""
    return _influence(metric, examples, influence)


def _influence(
    metric: str, examples: Sequence[Example], values: Floats, *, of_mean: bool = False
) -> Influence:
    return Influence(
        metric=metric,
        example_id=tuple(e.id for e in examples),
        cluster=tuple(e.cluster for e in examples),
        value=tuple(map(float, values)),
        of_mean=of_mean,
    )

"""Which texts belong together, and what resampling them says of a statistic."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.intervals import estimated
from audit.types import Absent, Estimate, Floats, Quantiles

EMPTY = Absent(code="empty", reason="no text was left to measure")
UNDEFINED = Absent(code="undefined", reason="the statistic is undefined on these texts")
_TAIL = np.geomspace(1e-4, 0.01, 20)
_PROBS = np.unique(np.concatenate([np.linspace(0, 1, 201), _TAIL, 1 - _TAIL]))


def bootstrap(
    statistic: Callable[[NDArray[np.float64]], Any],
    n: int,
    clusters: Sequence[str | None] | None = None,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate any statistic of weighted texts by the percentile bootstrap over clusters.

    Args:
        statistic: Maps weights, shape ``(r, n)`` (how often each text was drawn), to ``r`` numbers.
            NaN means 'undefined on this resample', e.g. a group that was not drawn.
        n: Texts.
        clusters: As in `mean`: whole clusters are drawn.
        rng: Source of the resamples.
        resamples: Number of resamples.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The estimate; `Absent` when the statistic is undefined on the data itself or on more than
        one resample in twenty: an interval over the lucky rest would be too narrow.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13.
    """
    if n == 0:
        return EMPTY
    _, index = np.unique(cluster_names(n, clusters), return_inverse=True)
    groups = int(index.max()) + 1

    def of_texts(weights: Floats) -> Floats:
        return np.asarray(statistic(weights[:, index]), float).reshape(-1, 1)

    value = np.asarray(statistic(np.ones((1, n))), dtype=float).ravel()[:1]
    return _summed_up(value, of_texts, groups, rng, resamples, level, max(n, groups))[0]


def correlation(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    clusters: Sequence[str | None] | None = None,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Estimate | Absent:
    """Estimate Pearson's correlation of two numbers of each text, in [-1, 1].

    Args:
        x: Shape ``(n,)``.
        y: Shape ``(n,)``.
        clusters: As in `bootstrap`.
        rng: Source of the resamples.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The estimate; `Absent` where a side does not vary, as `bootstrap`.

    Source:
        As `bootstrap`.
    """

    def of_texts(weights: Floats) -> Floats:
        whole = weights.sum(axis=1, keepdims=True)
        dx = x - (weights @ x)[:, None] / whole
        dy = y - (weights @ y)[:, None] / whole
        both = (weights * dx * dy).sum(axis=1)
        size = np.sqrt((weights * dx**2).sum(axis=1) * (weights * dy**2).sum(axis=1))
        found: Floats = np.where(size > 1e-12, both / np.maximum(size, 1e-12), np.nan)
        return np.clip(found, -1.0, 1.0)

    return bootstrap(of_texts, len(x), clusters, rng=rng, level=level)


def bootstrap_totals(
    statistic: Callable[[Floats], Floats],
    columns: Floats,
    clusters: Sequence[str | None] | None = None,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> list[Estimate | Absent]:
    """Estimate many statistics of column totals at once, by the percentile bootstrap over clusters.

    Rates, their differences and ratios are functions of totals, so whole clusters are summed before
    anything is drawn: ten metrics of ten thousand texts take less than a second.

    Args:
        statistic: Maps totals, shape ``(r, c)``, to ``m`` statistics each, shape ``(r, m)``. NaN
            means 'undefined on this resample'.
        columns: What is totalled, shape ``(n, c)``.
        clusters: As in `bootstrap`.
        rng: Source of the resamples, shared by all statistics, so that they can be compared.
        resamples: Number of resamples.
        level: Coverage of each interval, in (0, 1).

    Returns:
        ``m`` estimates, each as `bootstrap` would give it; one `Absent` when there is no text.

    Source:
        As `bootstrap`.
    """
    columns = np.asarray(columns, np.float64)
    if len(columns) == 0:
        return [EMPTY]
    _, index = np.unique(cluster_names(len(columns), clusters), return_inverse=True)
    groups = int(index.max()) + 1
    totals = np.zeros((groups, columns.shape[1]))
    np.add.at(totals, index, columns)
    value = np.asarray(statistic(totals.sum(axis=0, keepdims=True)), float).ravel()

    def of_totals(weights: Floats) -> Floats:
        return np.asarray(statistic(weights @ totals), float)

    return _summed_up(value, of_totals, groups, rng, resamples, level, groups)


def _summed_up(
    value: Floats,
    statistic: Callable[[Floats], Floats],
    groups: int,
    rng: np.random.Generator,
    resamples: int,
    level: float,
    width: int,
) -> list[Estimate | Absent]:
    """Draw weights of whole clusters, shape ``(r, groups)``, and summarise each statistic."""
    if groups < 2:
        few = Absent(code="too_few", reason="fewer than two independent units")
        return [few] * len(value)
    draws, step = [], max(1, 1_000_000 // width)
    for start in range(0, resamples, step):
        some = min(step, resamples - start)
        at = rng.integers(0, groups, size=(some, groups)) + groups * np.arange(some)[:, None]
        weights = np.bincount(at.ravel(), minlength=some * groups).reshape(some, groups)
        draws.append(statistic(weights.astype(np.float64)))
    drawn = np.concatenate(draws)
    return [_of_draws(float(v), drawn[:, j], groups, level) for j, v in enumerate(value)]


def _of_draws(value: float, drawn: Floats, groups: int, level: float) -> Estimate | Absent:
    if not isfinite(value):
        return UNDEFINED
    undefined = ~np.isfinite(drawn)
    if undefined.mean() > 0.05:
        return Absent(code="unstable", reason="undefined on more than one resample in twenty")
    drawn = drawn[~undefined]
    if drawn.max() - drawn.min() <= 1e-12 * max(1.0, abs(value)):
        return Absent(code="no_variation", reason="every resample gives the same number")
    # Resamples say nothing of what is rarer than one in all of them.
    rarest = 1 / (len(drawn) + 1)
    probs = np.unique(np.clip(_PROBS, rarest, 1 - rarest))
    values = np.quantile(drawn, probs)
    basis = Quantiles(probs=tuple(map(float, probs)), values=tuple(map(float, values)))
    return estimated(value, basis, "bootstrap", groups, level, mde=2.8 * float(drawn.std()))


def by_cluster(x: Floats, clusters: Sequence[str | None] | None) -> tuple[Floats, Floats]:
    """Return each cluster's total of `x`, and its size."""
    _, index = np.unique(cluster_names(len(x), clusters), return_inverse=True)
    return np.bincount(index, x).astype(np.float64), np.bincount(index).astype(np.float64)


def cluster_names(n: int, clusters: Sequence[str | None] | None) -> NDArray[Any]:
    """Return a name for each text's cluster, shape ``(n,)``; None: a cluster of its own."""
    if clusters is None or len(clusters) == 0:
        return np.arange(n)
    # A text without a cluster is one of its own; the mark keeps it from sharing another's name.
    return np.array(
        [f"c{name}" if name is not None else f"t{i}" for i, name in enumerate(clusters)]
    )

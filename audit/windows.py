"""Limits kept over windows that slide along a stream which never ends.

Every `step` units a window opens, each lives for `window` units, and its evidence holds however
often it is looked at: a mixture of alternatives that gains a factor of ``1 / alpha`` against every
truth within the limit, with probability `alpha` at the most, at any moment (a confidence sequence,
read at the limit). Window number j gets ``alpha / ((j + 1) (j + 2))``, which sums to `alpha` over
all windows there will ever be: the chance of any false alarm, for ever, is `alpha`.

Source: Robbins (1970), Annals of Mathematical Statistics 41(5), for the mixture; Turner, Ly &
Grünwald (2024), JSPI 230, doi:10.1016/j.jspi.2023.106116, for two samples; Shin, Ramdas & Rinaldo
(2023), arXiv:2203.03532, for windows that start anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audit.types import Floats

Side = Literal["at_most", "at_least"]
_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A window in which a limit is broken."""

    window: int
    """Its number, from 0."""
    start: int
    """Units before it."""
    n: tuple[int, ...]
    """Units in it; for a gap, on each side."""
    value: float
    low: float
    high: float
    """Bounds at the window's own error, valid at every moment."""
    alpha: float
    """The window's own error."""


class Windows:
    """One limit on a share, or on the gap of two shares, over sliding windows.

    Args:
        limit: The share or the gap (first side less second) is held against it.
        side: Which way it may not go.
        gap: Whether units come from two sides.
        alpha: Chance of any false alarm, over all time.
        window: Units a window lives for.
        step: Units from one window's start to the next.
        state: What `state` returned, to go on from there.
    """

    def __init__(
        self,
        *,
        limit: float,
        side: Side,
        gap: bool,
        alpha: float,
        window: int,
        step: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.limit, self.side, self.gap = limit, side, gap
        self.alpha, self.window, self.step = alpha, window, step
        kept = state or {}
        self.seen = int(kept.get("seen", 0))
        self.broken = bool(kept.get("broken", False))
        """An alarm was raised, and no window that opened after it has closed without one."""
        self._since = int(kept.get("since", -1))
        rows = kept.get("windows", [])
        # Start, then hits and units of each side.
        self._rows: NDArray[np.int64] = np.array(rows, np.int64).reshape(-1, 5)

    def state(self) -> dict[str, Any]:
        """Return plain data from which a new object goes on."""
        return {
            "seen": self.seen,
            "broken": self.broken,
            "since": self._since,
            "windows": self._rows.tolist(),
        }

    def add(self, hits: NDArray[np.bool_], second: NDArray[np.bool_] | None = None) -> list[Alarm]:
        """Take units in the order in which they came.

        Args:
            hits: Whether each unit has the property, shape ``(n,)``.
            second: Whether it is of the second side, shape ``(n,)``; None: all are of the first.

        Returns:
            The alarm, where one begins in these units; while it lasts there is no other.
        """
        found: list[Alarm] = []
        other = np.zeros(len(hits), bool) if second is None else second
        at = 0
        while at < len(hits):
            if self.seen % self.step == 0:
                self._turn()
            until = min(len(hits), at + self.step - self.seen % self.step)
            some, theirs = hits[at:until], other[at:until]
            both = int(theirs.sum())
            won = int(some.sum()), int((some & theirs).sum())
            self._rows[:, 1:] += (won[0] - won[1], len(some) - both, won[1], both)
            self.seen += len(some)
            at = until
            alarm = self._look()
            if alarm is not None and not self.broken:
                found.append(alarm)
            if alarm is not None:
                self.broken, self._since = True, self.seen
        return found

    def now(self) -> tuple[float, int] | None:
        """Return value and units of the oldest open window; None where a side is empty."""
        if not len(self._rows):
            return None
        _, hits, n, other, m = (int(x) for x in self._rows[0])
        if n == 0 or (self.gap and m == 0):
            return None
        return hits / n - (other / m if self.gap else 0.0), min(n, m) if self.gap else n

    def _turn(self) -> None:
        """Close the windows that have lived, open one."""
        lived = self.seen - self._rows[:, 0] >= self.window
        if self.broken and bool((self._rows[lived, 0] >= self._since).any()):
            self.broken = False
        fresh = np.array([[self.seen, 0, 0, 0, 0]], np.int64)
        self._rows = np.concatenate([self._rows[~lived], fresh])

    def _alphas(self) -> Floats:
        return np.asarray(share_of(self.alpha, self._rows[:, 0] // self.step))

    def _look(self) -> Alarm | None:
        rows = self._rows
        ready = rows[:, 2] > 0
        if self.gap:
            ready &= rows[:, 4] > 0
        if not ready.any():
            return None
        rows, alphas = rows[ready], self._alphas()[ready]
        value = rows[:, 1] / rows[:, 2]
        if self.gap:
            value = value - rows[:, 3] / rows[:, 4]
        beyond = value > self.limit if self.side == "at_most" else value < self.limit
        if not beyond.any():
            return None
        rows, alphas, value = rows[beyond], alphas[beyond], value[beyond]
        gain = evidence(rows[:, 1:], self.limit, gap=self.gap)
        over = np.flatnonzero(gain >= -np.log(alphas))
        if not len(over):
            return None
        i = int(over[0])
        counts, alpha = rows[i : i + 1, 1:], float(alphas[i])
        low, high = bounds(counts, alpha, gap=self.gap)
        return Alarm(
            window=int(rows[i, 0]) // self.step,
            start=int(rows[i, 0]),
            n=(int(rows[i, 2]), int(rows[i, 4])) if self.gap else (int(rows[i, 2]),),
            value=float(value[i]),
            low=low,
            high=high,
            alpha=alpha,
        )


class Shift:
    """Whether what falls into bins comes from elsewhere than it once did, window after window.

    Args:
        reference: Units in each bin when all was well, shape ``(k,)``.
        alpha: Chance of any false alarm, over all time.
        window: Units of a window; they follow each other and do not overlap.
        state: What `state` returned.

    Source:
        Pearson's test of two samples; Agresti (2013), Categorical Data Analysis, section 3.2.
    """

    def __init__(
        self,
        reference: NDArray[np.int64],
        *,
        alpha: float,
        window: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        kept = state or {}
        self.reference, self.alpha, self.window = reference, alpha, window
        self.done = int(kept.get("done", 0))
        self.broken = bool(kept.get("broken", False))
        self.p = float(kept.get("p", 1.0))
        """Of the last whole window."""
        self._counts = np.array(kept.get("counts", [0] * len(reference)), np.int64)

    def state(self) -> dict[str, Any]:
        return {
            "done": self.done,
            "broken": self.broken,
            "p": self.p,
            "counts": self._counts.tolist(),
        }

    def add(self, bins: NDArray[np.intp]) -> list[Alarm]:
        """Take units by the bin each falls into; return the alarms that begin."""
        found: list[Alarm] = []
        at = 0
        while at < len(bins):
            until = min(len(bins), at + self.window - int(self._counts.sum()))
            self._counts += np.bincount(bins[at:until], minlength=len(self.reference))
            at = until
            if int(self._counts.sum()) < self.window:
                continue
            self.p, statistic = same(self.reference, self._counts)
            alpha = float(share_of(self.alpha, np.int64(self.done)))
            if self.p <= alpha and not self.broken:
                found.append(
                    Alarm(
                        window=self.done,
                        start=self.done * self.window,
                        n=(self.window,),
                        value=statistic,
                        low=statistic,
                        high=statistic,
                        alpha=alpha,
                    )
                )
            self.broken = self.p <= alpha
            self.done += 1
            self._counts[:] = 0
        return found


def share_of(alpha: float, number: NDArray[np.int64] | np.int64) -> Any:
    """Return the part of `alpha` that window `number` may spend; over all numbers it sums to it."""
    return alpha / ((number + 1.0) * (number + 2.0))


def same(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[float, float]:
    """Return the p-value of 'both fall into the bins alike', and how far apart the shares are.

    The distance is half the sum of absolute differences of shares, in [0, 1].
    """
    from scipy.special import chdtrc

    there = one + other > 0
    a, b = one[there].astype(float), other[there].astype(float)
    n, m = a.sum(), b.sum()
    distance = float(np.abs(a / n - b / m).sum() / 2)
    if len(a) < 2:
        return 1.0, distance
    statistic = float(np.sum((np.sqrt(m / n) * a - np.sqrt(n / m) * b) ** 2 / (a + b)))
    return float(chdtrc(len(a) - 1, statistic)), distance


def evidence(counts: NDArray[np.int64], limit: float, *, gap: bool) -> Floats:
    """Return the logarithm of what the mixture has gained against a share or gap of `limit`.

    Args:
        counts: Hits and units of the first side, then of the second, shape ``(w, 4)``.
        limit: The share, or the gap of shares.
        gap: Whether it is a gap; the gain is then that against the pair of shares with this gap
            which explains the counts best.
    """
    c = counts.astype(float)
    hits, misses = c[:, 0], c[:, 1] - c[:, 0]
    if not gap:
        return _gain(hits, misses, np.full(len(c), limit))
    other, others = c[:, 2], c[:, 3] - c[:, 2]
    low = np.full(len(c), max(0.0, -limit))
    high = np.full(len(c), min(1.0, 1.0 - limit))
    if high[0] <= low[0]:
        return np.full(len(c), inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(_STEPS):
            p = (low + high) / 2
            slope = misses / (1 - p - limit) + others / (1 - p) - hits / (p + limit) - other / p
            falls = slope < 0
            low, high = np.where(falls, p, low), np.where(falls, high, p)
    p = (low + high) / 2
    return _gain(hits, misses, p + limit) + _gain(other, others, p)


def bounds(counts: NDArray[np.int64], alpha: float, *, gap: bool) -> tuple[float, float]:
    """Return the limits against which one window, shape ``(1, 4)``, has not gained ``1 / alpha``."""
    hits, n, other, m = (float(x) for x in counts[0])
    value = hits / n - (other / m if gap else 0.0)
    wanted = -log(alpha)
    ends = (-1.0, 1.0) if gap else (0.0, 1.0)
    found = []
    for end in ends:
        far, near = end, value
        for _ in range(_STEPS):
            middle = (far + near) / 2
            if float(evidence(counts, middle, gap=gap)[0]) >= wanted:
                far = middle
            else:
                near = middle
        found.append(near)
    return found[0], found[1]


def _gain(hits: Floats, misses: Floats, p: Floats) -> Floats:
    from scipy.special import betaln, xlogy

    return np.asarray(betaln(hits + 1, misses + 1) - xlogy(hits, p) - xlogy(misses, 1 - p))

"""Where things stand on a chart. Coordinates only: the templates draw them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from audit.figures import limit as written_limit
from audit.figures import number, percent
from audit.report._catalogue import say, written
from audit.types import Estimate

WIDTH, MARGIN = 240.0, 9.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on a scale."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale shared by all rows of one metric, so that they can be compared by eye."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()

    def x(self, value: float) -> float:
        """Return where `value` stands, held inside the chart."""
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + min(1.0, max(0.0, share)) * (WIDTH - 2 * MARGIN), 1)


@dataclass(frozen=True, slots=True)
class Mark:
    """A limit, and the side on which it is broken."""

    x: float
    beyond_x: float
    beyond_width: float


@dataclass(frozen=True, slots=True)
class Plot:
    """One estimate with its interval, its limits and the value at which there is no effect."""

    text: str
    """The chart in words."""
    chinese: str
    x: float
    low: float
    high: float
    none: float | None
    marks: tuple[Mark, ...] = ()
    before: tuple[float, float, float] | None = None
    """Low, value, high of an earlier audit, drawn hollow above."""


def axis(values: Iterable[float], *, share: bool, none: float | None) -> Axis:
    """Return a scale that holds all `values`, with a few round ticks.

    Args:
        values: Ends of intervals and limits.
        share: The quantity lies in [0, 1]: the scale does not leave that range.
        none: Value that means *no effect*; it is always on the scale.
    """
    held = [*values, *([] if none is None else [none])]
    low, high = min(held, default=0.0), max(held, default=1.0)
    if share and low < 0.5:
        low = min(low, 0.0)
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    step = _round_step((high - low) / 3)
    low, high = floor(low / step + 1e-6) * step, ceil(high / step - 1e-6) * step
    if share:
        low, high = max(0.0, low), min(1.0, high)
        if high - low < 1e-9:
            low, high = max(0.0, high - 0.1), min(1.0, low + 0.1)
    bare = Axis(low, high)
    at = [i * step for i in range(ceil(low / step - 1e-6), floor(high / step + 1e-6) + 1)]
    ticks = tuple(Tick(bare.x(v), _tick(v, step), "middle") for v in at)
    return Axis(low, high, ticks)


def plot(
    e: Estimate,
    scale: Axis,
    *,
    none: float | None = None,
    limits: Sequence[tuple[str, float]] = (),
    interval: tuple[float, float, float] | None = None,
    before: Estimate | None = None,
) -> Plot:
    """Place one estimate on `scale`.

    Args:
        limits: Pairs of side (``at_most`` or ``at_least``) and limit.
        interval: Low, high and level to draw instead of the estimate's own.
        before: The same quantity in an earlier audit.
    """
    low, high, level = interval or (e.low, e.high, e.level)
    ends = {"value": number(e.value), "low": number(low), "high": number(high)}
    said = say("plot.estimate", level=percent(level), **ends)
    for side, value in limits:
        said = say(f"plot.{side}", plot=said, limit=written_limit(value))
    if before is not None:
        was = {
            "value": number(before.value),
            "low": number(before.low),
            "high": number(before.high),
        }
        said = say("plot.before", plot=said, **was)
    return Plot(
        text=written("en", said),
        chinese=written("zh", said),
        x=scale.x(e.value),
        low=scale.x(low),
        high=scale.x(high),
        none=None if none is None else scale.x(none),
        marks=tuple(_mark(scale, side, value) for side, value in limits),
        before=None
        if before is None
        else (scale.x(before.low), scale.x(before.value), scale.x(before.high)),
    )


def _mark(scale: Axis, side: str, value: float) -> Mark:
    x, above = scale.x(value), side == "at_most"
    left, right = (x, WIDTH) if above else (0.0, x)
    return Mark(x, left, round(right - left, 1))


def _round_step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next((m * power for m in (1, 2, 5) if rough <= m * power * 1.0001), 10 * power)


def _tick(value: float, step: float) -> str:
    digits = max(0, -floor(log10(step) + 1e-9))
    return written_limit(round(value, digits) + 0.0)

"""Curves over many measurements, and what the axes of all charts share.

Coordinates only; the templates draw them. Every chart has its numbers in a table beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from audit.figures import humanise, number
from audit.report._catalogue import Term, say, written
from audit.report._plots import Axis, axis
from audit.types import AuditResult, Estimate, Measurement

_MOST_LINES, _MOST_CURVES = 6, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    at: str
    value: float
    low: float
    high: float
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    style: int
    points: tuple[CurvePoint, ...]
    path: str
    band: str
    dots: tuple[tuple[float, float], ...]
    name_x: float
    name_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisTick:
    text: str
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric over a number that the probe turned up: severity, queries, edits."""

    probe: str
    metric: str
    key: str
    anchor: str
    text: str
    chinese: str
    lines: tuple[Line, ...]
    xs: tuple[AxisTick, ...]
    ys: tuple[AxisTick, ...]


def estimate(m: Measurement | None) -> Estimate | None:
    """Return what was measured, None where nothing could be."""
    return m.value if m is not None and isinstance(m.value, Estimate) else None


def marks(scale: Axis) -> list[tuple[float, str]]:
    """Return the values and words of the ticks of a scale."""
    return [
        (scale.low + (t.x - 9.0) / (240.0 - 18.0) * (scale.high - scale.low), t.text)
        for t in scale.ticks
    ]


def numeric(text: str) -> bool:
    """Tell whether a part of a slice is a number: a severity, a budget."""
    try:
        return abs(float(text)) < 1e12
    except ValueError:
        return False


def curves(result: AuditResult, anchors: Mapping[str, str]) -> tuple[Curve, ...]:
    """Return a curve for each metric that was measured at three or more numbers of one setting."""
    found: list[Curve] = []
    for run in result.runs:
        for metric in dict.fromkeys(m.metric for m in run.measurements):
            slices = [
                m for m in run.measurements if m.metric == metric and isinstance(m.value, Estimate)
            ]
            for key in sorted({k for m in slices for k in m.where}):
                curve = _curve(run.probe, metric, key, slices, anchors, len(found))
                if curve is not None:
                    found.append(curve)
    return tuple(found[:_MOST_CURVES])


def _curve(
    probe: str,
    metric: str,
    key: str,
    slices: Sequence[Measurement],
    anchors: Mapping[str, str],
    position: int,
) -> Curve | None:
    lines: dict[tuple[tuple[str, str], ...], list[tuple[float, Measurement]]] = {}
    for m in slices:
        if key in m.where and numeric(m.where[key]):
            rest = tuple(sorted((k, v) for k, v in m.where.items() if k != key))
            lines.setdefault(rest, []).append((float(m.where[key]), m))
    long = [(rest, sorted(points, key=lambda p: p[0])) for rest, points in lines.items()]
    long = [(rest, points) for rest, points in long if len({x for x, _ in points}) >= 3]
    if not long:
        return None
    long = long[:_MOST_LINES]
    ends = [e for _, pts in long for _, m in pts if (e := estimate(m)) is not None]
    across = axis([x for _, pts in long for x, _ in pts], share=False, none=None)
    share = all(e.low >= 0 and e.high <= 1 for e in ends)
    up = axis([x for e in ends for x in (e.low, e.high)], share=share, none=None)

    def x_of(value: float) -> float:
        return round(52 + (value - across.low) / (across.high - across.low) * 414, 1)

    def y_of(value: float) -> float:
        return round(194 - (value - up.low) / (up.high - up.low) * 182, 1)

    drawn = _apart(
        tuple(
            _line(rest, points, i, x_of, y_of, anchors, key)
            for i, (rest, points) in enumerate(long)
        )
    )
    said = say(
        "shapes.curve_text",
        metric=Term(metric),
        key=humanise(key),
        ends=tuple(
            say(
                "shapes.curve_end",
                name=line.name or say("place.all"),
                first=number(line.points[0].value),
                at_first=line.points[0].at,
                last=number(line.points[-1].value),
                at_last=line.points[-1].at,
            )
            for line in drawn
        ),
    )
    return Curve(
        probe=probe,
        metric=metric,
        key=key,
        anchor=f"curve-{position + 1}",
        text=written("en", said),
        chinese=written("zh", said),
        lines=drawn,
        xs=tuple(AxisTick(text=t, x=x_of(v)) for v, t in marks(across)),
        ys=tuple(AxisTick(text=t, y=y_of(v)) for v, t in marks(up)),
    )


def _apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines with their names one under the other where their ends meet."""
    free, found = 0.0, list(lines)
    for i in sorted(range(len(found)), key=lambda i: (found[i].name_y, i)):
        y = max(found[i].name_y, free)
        found[i], free = replace(found[i], name_y=round(y, 1)), y + 14
    return tuple(found)


def _line(
    rest: Sequence[tuple[str, str]],
    points: Sequence[tuple[float, Measurement]],
    style: int,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    anchors: Mapping[str, str],
    key: str,
) -> Line:
    at = [(x_of(x), m, e) for x, m in points if (e := estimate(m)) is not None]
    dots = tuple((x, y_of(e.value)) for x, _, e in at)
    upper = [f"{x} {y_of(e.high)}" for x, _, e in at]
    lower = [f"{x} {y_of(e.low)}" for x, _, e in reversed(at)]
    return Line(
        name=", ".join(f"{k} = {v}" for k, v in rest),
        style=style,
        points=tuple(
            CurvePoint(at=m.where[key], value=e.value, low=e.low, high=e.high, anchor=anchors[m.id])
            for _, m, e in at
        ),
        path="M" + "L".join(f"{x} {y}" for x, y in dots),
        band="M" + "L".join([*upper, *lower]) + "Z",
        dots=dots,
        name_x=dots[-1][0],
        name_y=round(max(12.0, dots[-1][1] - 8), 1),
    )

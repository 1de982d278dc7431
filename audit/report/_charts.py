"""Charts over many measurements: groups beside each other, and curves.

Coordinates only; the templates draw them. Every chart has its numbers in a table beside it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from audit.figures import humanise, number, signed
from audit.report._catalogue import Term, say, written
from audit.report._plots import Axis, Tick, axis
from audit.report._wording import is_share
from audit.types import AuditResult, Estimate, Measurement, ProbeRun

_MOST_COLUMNS, _MOST_ROWS, _MOST_GRIDS = 8, 14, 6
_MOST_LINES, _MOST_CURVES = 6, 8
_LEFT, _WIDTH, _ROW = 96.0, 300.0, 18.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    text: str
    low: str = ""
    high: str = ""
    difference: str = ""
    """From all texts, signed."""
    shade: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    value: str | None
    """None: all texts."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelRow:
    name: str
    y: float
    x: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One metric over the groups of one attribute."""

    metric: str
    width: float
    height: float
    left: float
    reference: float | None
    """Where all texts stand."""
    rows: tuple[PanelRow, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Metrics by groups: a table with shades, and small multiples of it."""

    probe: str
    attribute: str
    anchor: str
    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]
    multiples: tuple[Panel, ...]


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


def grids(result: AuditResult, anchors: Mapping[str, str]) -> tuple[Grid, ...]:
    """Return a grid for each attribute of each probe with at least two groups measured."""
    found: list[Grid] = []
    for run in result.runs:
        attributes = sorted({next(iter(m.where)) for m in run.measurements if len(m.where) == 1})
        for attribute in attributes:
            grid = _grid(run, attribute, anchors, len(found))
            if grid is not None:
                found.append(grid)
    return tuple(found[:_MOST_GRIDS])


def _grid(run: ProbeRun, attribute: str, anchors: Mapping[str, str], position: int) -> Grid | None:
    levels: dict[str, dict[str | None, Measurement]] = {}
    for m in run.measurements:
        mine = len(m.where) == 1 and attribute in m.where
        if (mine or not m.where) and isinstance(m.value, Estimate) and is_share(m):
            levels.setdefault(m.metric, {})[m.where.get(attribute)] = m
    columns = [k for k, by in levels.items() if len(by.keys() - {None}) >= 2][:_MOST_COLUMNS]
    values = sorted({v for k in columns for v in levels[k] if v is not None})
    # Severities and budgets are numbers: they make curves.
    if not columns or not 2 <= len(values) <= _MOST_ROWS or all(map(_numeric, values)):
        return None
    order: list[str | None] = [
        *([None] if any(None in levels[k] for k in columns) else []),
        *values,
    ]
    whole = {k: _estimate(levels[k].get(None)) for k in columns}
    most = max(
        (
            abs(e.value - base.value)
            for k in columns
            if (base := whole[k]) is not None
            for v in values
            if (e := _estimate(levels[k].get(v))) is not None
        ),
        default=0.0,
    )
    return Grid(
        probe=run.probe,
        attribute=attribute,
        anchor=f"grid-{position + 1}",
        columns=tuple(columns),
        rows=tuple(
            GridRow(
                value=v,
                cells=tuple(_cell(levels[k].get(v), whole[k], most, v, anchors) for k in columns),
            )
            for v in order
        ),
        multiples=tuple(_panel(k, levels[k], order, whole[k]) for k in columns),
    )


def _estimate(m: Measurement | None) -> Estimate | None:
    return m.value if m is not None and isinstance(m.value, Estimate) else None


def _cell(
    m: Measurement | None,
    whole: Estimate | None,
    most: float,
    value: str | None,
    anchors: Mapping[str, str],
) -> Cell:
    e = _estimate(m)
    if m is None or e is None:
        return Cell(text="")
    away = 0.0 if whole is None or value is None else e.value - whole.value
    step = round(10 * abs(away) / most) if most and abs(away) >= most / 20 else 0
    return Cell(
        text=number(e.value),
        low=number(e.low),
        high=number(e.high),
        difference=signed(away) if whole is not None and value is not None else "",
        shade=f"{'p' if away > 0 else 'n'}{max(1, step)}" if step else "",
        anchor=anchors[m.id],
    )


def _panel(
    metric: str,
    by: Mapping[str | None, Measurement],
    order: Iterable[str | None],
    whole: Estimate | None,
) -> Panel:
    drawn = [(v, e) for v in order if v is not None and (e := _estimate(by.get(v))) is not None]
    ends = [x for _, e in drawn for x in (e.low, e.high)]
    scale = axis([*ends, *([whole.value] if whole else [])], share=False, none=None)
    height = _ROW * len(drawn) + 24

    def at(value: float) -> float:
        share = (value - scale.low) / (scale.high - scale.low)
        return round(_LEFT + share * (_WIDTH - _LEFT - 14), 1)

    return Panel(
        metric=metric,
        width=_WIDTH,
        height=height,
        left=_LEFT,
        reference=None if whole is None else at(whole.value),
        rows=tuple(
            PanelRow(
                name=v if len(v) <= 14 else f"{v[:13]}…",
                y=round(_ROW * (i + 0.5), 1),
                x=at(e.value),
                low=at(e.low),
                high=at(e.high),
            )
            for i, (v, e) in enumerate(drawn)
        ),
        ticks=tuple(Tick(at(v), k, "middle") for v, k in marks(scale)),
    )


def marks(scale: Axis) -> list[tuple[float, str]]:
    """Return the values and words of the ticks of a scale."""
    return [
        (scale.low + (t.x - 9.0) / (240.0 - 18.0) * (scale.high - scale.low), t.text)
        for t in scale.ticks
    ]


def _numeric(text: str) -> bool:
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
        if key in m.where and _numeric(m.where[key]):
            rest = tuple(sorted((k, v) for k, v in m.where.items() if k != key))
            lines.setdefault(rest, []).append((float(m.where[key]), m))
    long = [(rest, sorted(points, key=lambda p: p[0])) for rest, points in lines.items()]
    long = [(rest, points) for rest, points in long if len({x for x, _ in points}) >= 3]
    if not long:
        return None
    long = long[:_MOST_LINES]
    ends = [e for _, pts in long for _, m in pts if (e := _estimate(m)) is not None]
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
    at = [(x_of(x), m, e) for x, m in points if (e := _estimate(m)) is not None]
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

"""Groups beside each other: metrics in columns, groups in rows, and small multiples of it.

Coordinates only; the templates draw them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from audit.figures import number, signed
from audit.report._charts import estimate, marks, numeric
from audit.report._exploratory import Corrected
from audit.report._plots import Tick, axis
from audit.report._wording import is_share
from audit.types import AuditResult, Estimate, Measurement, ProbeRun

_MOST_COLUMNS, _MOST_ROWS, _MOST_GRIDS = 8, 14, 6
_LEFT, _WIDTH, _ROW = 96.0, 300.0, 18.0
_DEEPEST = 0.1
"""Least difference that the deepest shade stands for: a small one must not look like a large one."""
_GAPS = {"broken_within_budget": "broken_gap"}
"""Metrics whose difference between a group and the rest was measured, and what it is called."""
Place = tuple[tuple[str, str], ...]
"""What a slice says besides the group: recipe, target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    text: str
    low: str = ""
    high: str = ""
    difference: str = ""
    """From all texts, signed."""
    shade: str = ""
    anchor: str = ""
    q: float | None = None
    """Of a measured difference from the rest that nobody declared, corrected over its family."""
    judged: bool = False
    """A measured difference from the rest: it has `q`, or is a declared claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One metric in one place; `against` the rest, or as it stands."""

    metric: str
    where: Mapping[str, str]
    against: bool = False


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
    where: Mapping[str, str]
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
    columns: tuple[Column, ...]
    rows: tuple[GridRow, ...]
    multiples: tuple[Panel, ...]
    tested: bool
    """Whether a column holds measured differences from the rest."""


def grids(
    result: AuditResult, anchors: Mapping[str, str], among: Mapping[str, Corrected]
) -> tuple[Grid, ...]:
    """Return a grid for each attribute of each probe with at least two groups measured.

    A metric that was measured for several recipes has a column for each; where its difference
    between a group and the rest was measured too, that stands beside it.
    """
    found: list[Grid] = []
    for run in result.runs:
        # What every slice of the run says is no group: the recipe of an attack.
        parts = [set(m.where) for m in run.measurements if isinstance(m.value, Estimate)]
        common = set.intersection(*parts) if parts else set()
        attributes = {next(iter(m.where)) for m in run.measurements if len(m.where) == 1}
        for m in run.measurements:
            if common and common < set(m.where) and len(m.where) == len(common) + 1:
                attributes |= set(m.where) - common
        for attribute in sorted(attributes):
            grid = _grid(run, attribute, common, anchors, among, len(found))
            if grid is not None:
                found.append(grid)
    return tuple(found[:_MOST_GRIDS])


def _grid(
    run: ProbeRun,
    attribute: str,
    common: set[str],
    anchors: Mapping[str, str],
    among: Mapping[str, Corrected],
    position: int,
) -> Grid | None:
    measured = [m for m in run.measurements if isinstance(m.value, Estimate)]
    levels: dict[tuple[str, Place], dict[str | None, Measurement]] = {}
    gaps: dict[tuple[str, Place], dict[str, Measurement]] = {}
    for m in measured:
        rest = _without(m, attribute)
        if m.where.get("against") == "rest" and attribute in m.where:
            bare = tuple(pair for pair in rest if pair != ("against", "rest"))
            gaps.setdefault((m.metric, bare), {})[m.where[attribute]] = m
        elif {key for key, _ in rest} in (set(), common - {attribute}) and is_share(m):
            levels.setdefault((m.metric, rest), {})[m.where.get(attribute)] = m
    kept = [key for key, by in levels.items() if len(by.keys() - {None}) >= 2][:_MOST_COLUMNS]
    values = sorted({v for key in kept for v in levels[key] if v is not None})
    # Severities and budgets are numbers: they make curves.
    if not kept or not 2 <= len(values) <= _MOST_ROWS or all(map(numeric, values)):
        return None
    order: list[str | None] = [
        *([None] if any(None in levels[key] for key in kept) else []),
        *values,
    ]
    whole = {key: estimate(levels[key].get(None)) for key in kept}
    most = max(
        (
            abs(e.value - base.value)
            for key in kept
            if (base := whole[key]) is not None
            for v in values
            if (e := estimate(levels[key].get(v))) is not None
        ),
        default=0.0,
    )
    most = max(most, _DEEPEST)
    rows: dict[str | None, list[Cell]] = {v: [] for v in order}
    columns = []
    for metric, rest in kept:
        by, all_texts = levels[metric, rest], whole[metric, rest]
        columns.append(Column(metric=metric, where=dict(rest)))
        for v in order:
            rows[v].append(_cell(by.get(v), all_texts, most, v, anchors))
        gap = _GAPS.get(metric, "")
        if apart := gaps.get((gap, rest), {}):
            columns.append(Column(metric=gap, where=dict(rest), against=True))
            for v in order:
                rows[v].append(_gap(apart.get(v) if v is not None else None, anchors, among))
    return Grid(
        probe=run.probe,
        attribute=attribute,
        anchor=f"grid-{position + 1}",
        columns=tuple(columns),
        rows=tuple(GridRow(value=v, cells=tuple(cells)) for v, cells in rows.items()),
        multiples=tuple(
            _panel(metric, rest, levels[metric, rest], order, whole[metric, rest])
            for metric, rest in kept
        ),
        tested=any(c.against for c in columns),
    )


def _without(m: Measurement, attribute: str) -> Place:
    return tuple(sorted((k, v) for k, v in m.where.items() if k != attribute))


def _gap(m: Measurement | None, anchors: Mapping[str, str], among: Mapping[str, Corrected]) -> Cell:
    e = estimate(m)
    if m is None or e is None:
        return Cell(text="")
    corrected = among.get(m.id)
    return Cell(
        text=signed(e.value),
        low=signed(e.low),
        high=signed(e.high),
        anchor=anchors[m.id],
        q=None if corrected is None else corrected.q,
        judged=True,
    )


def _cell(
    m: Measurement | None,
    whole: Estimate | None,
    most: float,
    value: str | None,
    anchors: Mapping[str, str],
) -> Cell:
    e = estimate(m)
    if m is None or e is None:
        return Cell(text="")
    away = 0.0 if whole is None or value is None else e.value - whole.value
    step = round(10 * abs(away) / most) if abs(away) >= most / 20 else 0
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
    rest: Place,
    by: Mapping[str | None, Measurement],
    order: Iterable[str | None],
    whole: Estimate | None,
) -> Panel:
    drawn = [(v, e) for v in order if v is not None and (e := estimate(by.get(v))) is not None]
    ends = [x for _, e in drawn for x in (e.low, e.high)]
    scale = axis([*ends, *([whole.value] if whole else [])], share=False, none=None)
    height = _ROW * len(drawn) + 24

    def at(value: float) -> float:
        share = (value - scale.low) / (scale.high - scale.low)
        return round(_LEFT + share * (_WIDTH - _LEFT - 14), 1)

    return Panel(
        metric=metric,
        where=dict(rest),
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

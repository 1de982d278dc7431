"""Audits held against the first of them, as a page and as JSON. Nothing is measured here."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audit import report
from audit.borders import plain
from audit.figures import number, parse
from audit.standing import Lost, Standing
from audit.types import Change, ClaimChange, Comparison, Estimate

_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 470.0, 14.0, 262.0


@dataclass(frozen=True, slots=True)
class Row:
    """One change, drawn."""

    change: Change
    probe: str
    metric: str
    where: Mapping[str, str]
    levels: report.Plot | None
    shift: report.Plot | None


@dataclass(frozen=True, slots=True)
class Pair:
    """One audit against the first."""

    name: str
    comparison: Comparison
    tiles: tuple[tuple[str, str, int], ...]
    """Colour, key of the word, count."""
    claims: tuple[tuple[str, ClaimChange], ...]
    """Key of what became of it, and the claim."""
    same_claims: int
    first: tuple[Row, ...]
    """What was asked first, and what was shown."""
    rest: tuple[Row, ...]
    counted: tuple[report.Said, ...]
    lost: Lost


@dataclass(frozen=True, slots=True)
class Spot:
    name: str
    x: float
    y: float
    x1: float
    x2: float
    y1: float
    y2: float
    beaten: bool
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Plane:
    """Two objectives against each other, every audit a cross."""

    x: str
    y: str
    text: report.Said
    xs: tuple[tuple[float, str], ...]
    ys: tuple[tuple[float, str], ...]
    spots: tuple[Spot, ...]
    front: str
    """Path through the audits that no other beats on these two."""


@dataclass(frozen=True, slots=True)
class Course:
    """One objective along audits of one model at several times."""

    name: str
    text: report.Said
    points: tuple[tuple[str, float, float, float, float], ...]
    """Name, across, value, low and high."""
    line: str
    ys: tuple[tuple[float, str], ...]
    none: float | None


def to_html(found: Standing, language: str = "en", *, ordered: bool = False) -> str:
    """Return the comparison as one page with nothing to download and no script.

    Args:
        found: The audits, held against the first.
        language: ``en`` or ``zh``.
        ordered: They are one model at several times: each objective is drawn along them.
    """
    return report.page(
        "compare.html.j2",
        found=found,
        pairs=[_pair(found, i) for i in range(len(found.comparisons))],
        planes=planes(found) if not ordered else (),
        courses=courses(found) if ordered else (),
        objectives=[(parse(n).metric or n, parse(n).where, w) for n, w in found.objectives],
        language=language,
    )


def to_json(found: Standing) -> str:
    """Return everything the page shows, and what it folds, as JSON."""
    said = {
        "names": list(found.names),
        "objectives": [{"measurement": n, "better": b} for n, b in found.objectives],
        "points": {name: [plain(e) for e in row] for name, row in found.points.items()},
        "front": list(found.front),
        "beaten": {name: list(by) for name, by in found.beaten.items()},
        "comparisons": [plain(c) for c in found.comparisons],
        "lost": {lost.model: {"ids": list(lost.ids), "won": lost.won} for lost in found.lost},
        "left_out": list(found.left_out),
    }
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def leading(comparison: Comparison) -> tuple[list[Change], list[Change]]:
    """Return the changes a reader sees first, worst first, and the rest.

    First are those asked first, those shown to be better or worse, and broken margins.
    """

    def ahead(c: Change) -> bool:
        return c.primary or c.verdict in ("better", "worse") or c.kept == "broken"

    order = ("worse", "better", "undecided", "unchanged", "not_estimable")

    def rank(c: Change) -> tuple[bool, int, bool]:
        return c.kept != "broken", order.index(c.verdict), not c.primary

    first = sorted((c for c in comparison.changes if ahead(c)), key=rank)
    rest = sorted((c for c in comparison.changes if not ahead(c)), key=rank)
    return first, rest


def counted(changes: Sequence[Change]) -> str:
    """Return how many changes came to which verdict, in words."""
    return ", ".join(f"{n} {word.replace('_', ' ')}" for word, n in _counts(changes))


def _counts(changes: Sequence[Change]) -> list[tuple[str, int]]:
    return Counter[str](c.verdict for c in changes).most_common()


def planes(found: Standing) -> tuple[Plane, ...]:
    """Return the first objective against each of the others."""
    return tuple(_plane(found, i) for i in range(1, len(found.objectives)))


def courses(found: Standing) -> tuple[Course, ...]:
    """Return each objective along the audits, in their order."""
    made = []
    room = (_RIGHT - _LEFT) / len(found.names)
    for i, (name, way) in enumerate(found.objectives):
        row = [found.points[n][i] for n in found.names]
        none = 0.0 if way == "nearer_zero" else None
        scale = report.axis([x for e in row for x in (e.low, e.high)], share=False, none=none)

        def y_of(value: float, scale: report.Axis = scale) -> float:
            share = (value - scale.low) / (scale.high - scale.low)
            return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)

        xs = [round(_LEFT + room * (k + 0.5), 1) for k in range(len(row))]
        said = tuple(
            report.say(
                "compare.course_point",
                name=n,
                value=number(e.value),
                low=number(e.low),
                high=number(e.high),
            )
            for n, e in zip(found.names, row, strict=True)
        )
        points = tuple(
            (n, x, y_of(e.value), y_of(e.low), y_of(e.high))
            for n, x, e in zip(found.names, xs, row, strict=True)
        )
        made.append(
            Course(
                name=name,
                text=report.say("compare.course_text", name=name, points=said),
                points=points,
                line="M" + "L".join(f"{x} {y}" for _, x, y, _, _ in points),
                ys=_ticks(scale, y_of),
                none=None if none is None else y_of(0.0),
            )
        )
    return tuple(made)


def _pair(found: Standing, i: int) -> Pair:
    comparison = found.comparisons[i]
    first, rest = leading(comparison)
    verdicts = Counter[str](c.verdict for c in comparison.changes if c.better)
    outcomes = Counter[str](c.outcome for c in comparison.claims)
    scales = _scales(comparison.changes)
    return Pair(
        name=found.names[i + 1],
        comparison=comparison,
        tiles=(
            ("fail", "new", outcomes["new"]),
            ("pass", "resolved", outcomes["resolved"]),
            ("fail", "worse", verdicts["worse"]),
            ("pass", "better", verdicts["better"]),
            ("inconclusive", "undecided", verdicts["undecided"]),
            ("not_applicable", "unchanged", verdicts["unchanged"]),
        ),
        claims=tuple((_became(c), c) for c in comparison.claims if c.outcome != "same"),
        same_claims=outcomes["same"],
        first=tuple(_row(c, scales) for c in first),
        rest=tuple(_row(c, scales) for c in rest),
        counted=tuple(
            report.say("compare.counted", n=n, word=report.say(f"outcome.{word}"))
            for word, n in _counts(rest)
        ),
        lost=found.lost[i],
    )


def _became(c: ClaimChange) -> str:
    return "eased" if c.outcome == "closed" and c.before == "fail" else c.outcome


def _scales(changes: Sequence[Change]) -> report.Axis:
    """Return one scale for all differences of shares; another unit has its own."""
    ends = [
        x
        for c in changes
        if isinstance(c.difference, Estimate)
        for x in (c.difference.low, c.difference.high)
        if abs(x) <= 1
    ]
    return report.axis(ends, share=False, none=0.0)


def _row(change: Change, shared: report.Axis) -> Row:
    name, d = parse(change.measurement), change.difference
    levels = shift = None
    if isinstance(change.before, Estimate) and isinstance(change.after, Estimate):
        ends = [x for e in (change.before, change.after) for x in (e.low, e.high)]
        share = all(0 <= x <= 1 for x in ends)
        scale = report.axis(ends, share=share, none=None)
        levels = report.plot(change.after, scale, before=change.before)
    if isinstance(d, Estimate):
        fits = max(abs(d.low), abs(d.high)) <= 1
        own = shared if fits else report.axis([d.low, d.high], share=False, none=0.0)
        shift = report.plot(d, own, none=0.0)
    metric = name.metric or name.probe
    return Row(
        change=change,
        probe=name.probe if name.metric else "group_rates",
        metric=metric,
        where=name.where,
        levels=levels,
        shift=shift,
    )


def _plane(found: Standing, i: int) -> Plane:
    (x_name, x_way), (y_name, y_way) = found.objectives[0], found.objectives[i]
    rows = {name: (row[0], row[i]) for name, row in found.points.items()}
    across, up = (
        report.axis(
            [v for pair in rows.values() for v in (pair[k].low, pair[k].high)],
            share=False,
            none=0.0 if way == "nearer_zero" else None,
        )
        for k, way in ((0, x_way), (1, y_way))
    )

    def x_of(value: float) -> float:
        return round(
            _LEFT + (value - across.low) / (across.high - across.low) * (_RIGHT - _LEFT), 1
        )

    def y_of(value: float) -> float:
        return round(_BOTTOM - (value - up.low) / (up.high - up.low) * (_BOTTOM - _TOP), 1)

    def goodness(pair: tuple[Estimate, Estimate]) -> tuple[float, float]:
        a, b = (
            abs(e.value) if w == "nearer_zero" else e.value
            for e, w in zip(pair, (x_way, y_way), strict=True)
        )
        return (a if x_way == "higher" else -a), (b if y_way == "higher" else -b)

    good = {name: goodness(pair) for name, pair in rows.items()}
    beaten = {
        name: any(
            o[0] >= g[0] and o[1] >= g[1] and o != g for other, o in good.items() if other != name
        )
        for name, g in good.items()
    }
    spots: list[Spot] = []
    for name, (x, y) in rows.items():
        at = x_of(x.value)
        right = at > (_LEFT + _RIGHT) / 2
        spots.append(
            Spot(
                name=name,
                x=at,
                y=y_of(y.value),
                x1=x_of(x.low),
                x2=x_of(x.high),
                y1=y_of(y.low),
                y2=y_of(y.high),
                beaten=beaten[name],
                label_x=at - 9 if right else at + 9,
                # Neighbours write above and below their marks in turn.
                label_y=y_of(y.value) + (-9 if len(spots) % 2 == 0 else 17),
                anchor="end" if right else "start",
            )
        )
    ahead = sorted((s for s in spots if not s.beaten), key=lambda s: s.x)
    said = tuple(
        report.say("compare.point", name=name, x=number(x.value), y=number(y.value))
        for name, (x, y) in rows.items()
    )
    return Plane(
        x=x_name,
        y=y_name,
        text=report.say("compare.plane_text", x=report.Term(x_name), y=y_name, points=said),
        xs=_ticks(across, x_of),
        ys=_ticks(up, y_of),
        spots=tuple(spots),
        front="M" + "L".join(f"{s.x} {s.y}" for s in ahead) if len(ahead) > 1 else "",
    )


def _ticks(scale: report.Axis, place: Callable[[float], float]) -> tuple[tuple[float, str], ...]:
    # The scale ends on round numbers, and its marks are evenly spaced.
    steps = len(scale.ticks) - 1
    values = [scale.low + (scale.high - scale.low) * k / steps for k in range(steps + 1)]
    return tuple((place(v), t.text) for v, t in zip(values, scale.ticks, strict=True))

"""What a re-test paid for what it gained. Coordinates only; the template draws them."""

from dataclasses import dataclass

from audit.figures import number
from audit.report._catalogue import Said, Term, say, written
from audit.report._charts import AxisTick, marks
from audit.report._plots import axis
from audit.types import AuditResult, Change, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    x: float
    y: float
    x1: float
    x2: float
    y1: float
    y2: float
    after: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """Two numbers before and after, as two crosses and an arrow."""

    x: str
    y: str
    text: str
    chinese: str
    points: tuple[Spot, Spot]
    arrow: str
    xs: tuple[AxisTick, ...]
    ys: tuple[AxisTick, ...]


def trade_off(result: AuditResult) -> TradeOff | None:
    """Return what a re-test paid in accuracy for what it gained elsewhere."""
    changes = () if result.comparison is None else result.comparison.changes
    paid = next((c for c in changes if _both(c) and _metric(c) == "accuracy"), None)
    gained = next(
        (
            c
            for outcome in ("better", "worse", "undecided")
            for c in changes
            if c.verdict == outcome and _both(c) and "accuracy" not in _metric(c)
        ),
        None,
    )
    if paid is None or gained is None:
        return None
    xs, ys = (_estimates(c) for c in (paid, gained))
    across, up = (
        axis([v for e in pair for v in (e.low, e.high)], share=False, none=None)
        for pair in (xs, ys)
    )

    def x_of(value: float) -> float:
        return round(60 + (value - across.low) / (across.high - across.low) * 410, 1)

    def y_of(value: float) -> float:
        return round(262 - (value - up.low) / (up.high - up.low) * 248, 1)

    spots = [
        Spot(
            x=x_of(x.value),
            y=y_of(y.value),
            x1=x_of(x.low),
            x2=x_of(x.high),
            y1=y_of(y.low),
            y2=y_of(y.high),
            after=after,
        )
        for x, y, after in zip(xs, ys, (False, True), strict=True)
    ]
    said = _told(paid, gained, xs, ys)
    return TradeOff(
        x=_metric(paid),
        y=_metric(gained),
        text=written("en", said),
        chinese=written("zh", said),
        points=(spots[0], spots[1]),
        arrow=f"M{spots[0].x} {spots[0].y}L{spots[1].x} {spots[1].y}",
        xs=tuple(AxisTick(text=t, x=x_of(v)) for v, t in marks(across)),
        ys=tuple(AxisTick(text=t, y=y_of(v)) for v, t in marks(up)),
    )


def _told(
    paid: Change, gained: Change, xs: tuple[Estimate, Estimate], ys: tuple[Estimate, Estimate]
) -> Said:
    return say(
        "history.tradeoff_text",
        x=Term(_metric(paid)),
        y=Term(_metric(gained)),
        x1=number(xs[0].value),
        x2=number(xs[1].value),
        y1=number(ys[0].value),
        y2=number(ys[1].value),
    )


def _both(c: Change) -> bool:
    return isinstance(c.before, Estimate) and isinstance(c.after, Estimate)


def _estimates(c: Change) -> tuple[Estimate, Estimate]:
    assert isinstance(c.before, Estimate) and isinstance(c.after, Estimate)
    return c.before, c.after


def _metric(c: Change) -> str:
    return c.measurement.partition("[")[0].rpartition(".")[2]

"""What the changes of a comparison come to, all of them asked at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from audit import pairing
from audit.figures import parse
from audit.intervals import for_judging, p_beyond
from audit.multiplicity import holm, weighted_holm
from audit.pairing import UNMOVED
from audit.types import (
    Absent,
    AuditResult,
    Change,
    Claim,
    ClaimChange,
    Estimate,
    Means,
    Pairs,
    Status,
    measurement_id,
)
from audit.worsening import worsening

PRIMARY_SHARE = 0.8
"""Of the error rate, for the questions asked first; the rest is for all the others."""
_ACCURACY = "accuracy"


def weighed(
    changes: Sequence[Change],
    alpha: float,
    *,
    primary: Iterable[str] = (),
    margin: float,
    margins: Mapping[str, float],
) -> list[Change]:
    """Return the changes with their verdicts.

    A change is called better or worse when its two-sided p-value, adjusted by Holm's weighted
    method over all that have a better direction, is at most `alpha`: the chance of any false word
    is `alpha` at most. A margin is kept when its one-sided p-value is at most `alpha`, each for
    itself, and broken when its own, adjusted over all margins, is.

    Args:
        changes: Of one comparison.
        alpha: Error rate of the whole.
        primary: Ids, metrics or patterns asked first, besides accuracy.
        margin: Loss of accuracy that counts as none, of all texts and of each group.
        margins: The same for others, by id, metric or pattern; the longest that fits holds.
    """
    asked = [_ACCURACY, *primary]
    changes = [
        replace(
            change,
            primary=any(names(pattern, change.measurement) for pattern in asked),
            margin=_margin(change, margin, margins),
            p=_p(change),
        )
        for change in changes
    ]
    tested = [i for i, change in enumerate(changes) if change.p is not None]
    ps = [change.p for change in changes if change.p is not None]
    first = sum(changes[i].primary for i in tested)
    weights = [_weight(changes[i].primary, first, len(tested)) for i in tested]
    adjusted = dict(zip(tested, map(float, weighted_holm(ps, weights)), strict=True))
    changes = [
        replace(
            change,
            p_adjusted=adjusted.get(i),
            verdict=_verdict(change, adjusted.get(i, 1.0) <= alpha),
        )
        for i, change in enumerate(changes)
    ]
    return _kept(changes, alpha)


def names(pattern: str, measurement: str) -> bool:
    """Tell whether `pattern` speaks of a measurement: its id, its metric, or ``*`` in either.

    Accuracy and selection rate, which a comparison works out from the texts and calls by their bare
    names, are also spoken of as the probe ``group_rates`` calls them.
    """
    wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.S)
    metric = measurement.partition("[")[0]
    bare = () if "." in metric else (f"group_rates.{measurement}", f"group_rates.{metric}")
    return any(wanted.fullmatch(name) for name in (measurement, metric, *bare))


def origin(claim: Claim) -> str:
    """Return the id of what a claim speaks of, at its level or by its worsening."""
    if claim.against == "level":
        return claim.measurement
    name = parse(claim.measurement)
    where = dict(name.where)
    return measurement_id(where.pop("probe"), name.metric, where)


def claim_changes(before: AuditResult, after: AuditResult) -> tuple[ClaimChange, ...]:
    """Return every claim of both audits with what became of it, those that matter most first."""
    one = {v.claim.id: v for v in before.verdicts}
    other = {v.claim.id: v for v in after.verdicts}
    found = []
    for name in dict.fromkeys([*one, *other]):
        was = one[name].status if name in one else None
        now = other[name].status if name in other else None
        measurement = (one.get(name) or other[name]).claim.measurement
        found.append(
            ClaimChange(
                claim=name,
                measurement=measurement,
                before=was,
                after=now,
                outcome=_outcome(was, now),
            )
        )
    order = ("new", "resolved", "remains", "opened", "closed", "one_sided", "same")
    return tuple(sorted(found, key=lambda c: order.index(c.outcome)))


def _outcome(
    was: Status | None, now: Status | None
) -> Literal["new", "resolved", "remains", "opened", "closed", "same", "one_sided"]:
    if was is None or now is None:
        return "one_sided"
    if now == "fail":
        return "remains" if was == "fail" else "new"
    if was == "fail":
        return "resolved" if now == "pass" else "closed"
    if was == "pass" and now != "pass":
        return "opened"
    return "closed" if now == "pass" and was != "pass" else "same"


def _weight(primary: bool, first: int, n: int) -> float:
    if first in (0, n):
        return 1.0
    return PRIMARY_SHARE / first if primary else (1 - PRIMARY_SHARE) / (n - first)


def _margin(change: Change, margin: float, margins: Mapping[str, float]) -> float | None:
    fitting = [name for name in margins if names(name, change.measurement)]
    if fitting:
        return margins[max(fitting, key=lambda name: (name == change.measurement, len(name)))]
    return margin if change.measurement.partition("[")[0] == _ACCURACY else None


def _p(change: Change) -> float | None:
    """Return the two-sided p-value of 'no change for the better or the worse'."""
    d, before, after = change.difference, change.before, change.after
    if not change.better or not isinstance(d, Estimate):
        return None
    p = _one_sided(d)
    if (
        change.better == "nearer_zero"
        and isinstance(before, Estimate)
        and isinstance(after, Estimate)
    ):
        # |after| < |before| exactly when difference and sum have opposite signs: both must show.
        p = max(p, _one_sided(pairing.total(before, after, level=d.level)))
    return min(1.0, 2 * p)


def _one_sided(e: Estimate) -> float:
    if e.value == 0:
        return 1.0
    return p_beyond(for_judging(e), 0.0, "above" if e.value > 0 else "below")


def _verdict(
    change: Change, shown: bool
) -> Literal["better", "worse", "undecided", "unchanged", "not_estimable"]:
    d, before, after = change.difference, change.before, change.after
    if isinstance(d, Absent) or isinstance(before, Absent) or isinstance(after, Absent):
        return "not_estimable"
    if still(d):
        return "unchanged"
    if not shown or not change.better:
        return "undecided"
    if change.better == "nearer_zero":
        return "better" if d.value * (before.value + after.value) < 0 else "worse"
    return "better" if (d.value > 0) == (change.better == "higher") else "worse"


def still(d: Estimate) -> bool:
    """Return whether not a single text changed."""
    if isinstance(d.basis, Pairs):
        return d.basis.b == d.basis.c == 0
    return d.method == UNMOVED or (
        isinstance(d.basis, Means) and d.basis.mean == 0 and d.basis.se == 0
    )


def _kept(changes: Sequence[Change], alpha: float) -> list[Change]:
    """Return the changes with whether each keeps its margin."""
    ps = {i: p for i, change in enumerate(changes) if (p := _p_margin(change)) is not None}
    broken = dict(zip(ps, map(float, holm([p for _, p in ps.values()])), strict=True))
    out = []
    for i, change in enumerate(changes):
        if i in ps:
            kept = ps[i][0] <= alpha
            shown = broken[i] <= alpha
            change = replace(change, kept="kept" if kept else "broken" if shown else "undecided")
        out.append(change)
    return out


def _p_margin(change: Change) -> tuple[float, float] | None:
    """Return one-sided p-values of 'the loss is the margin or more' and of 'it is less'.

    A number without a better direction is held to its margin on both sides.
    """
    if change.margin is None or not isinstance(change.difference, Estimate):
        return None
    if change.better:
        loss = worsening(change)
        if isinstance(loss, Absent):
            return None
        e = for_judging(loss)
        return p_beyond(e, change.margin, "below"), p_beyond(e, change.margin, "above")
    e = for_judging(change.difference)
    inside = max(p_beyond(e, change.margin, "below"), p_beyond(e, -change.margin, "above"))
    outside = min(p_beyond(e, change.margin, "above"), p_beyond(e, -change.margin, "below"))
    return inside, min(1.0, 2 * outside)

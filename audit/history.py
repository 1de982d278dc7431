"""Gates over time: what each came to in every stored audit, with intervals.

A trend is described, not tested: audits of one series share texts, so that neighbouring intervals
are no independent looks. Whether a model got worse is a question for ``no_worse_than``.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from audit import gates, report, store
from audit.baseline import PROBE
from audit.borders import plain
from audit.errors import ResultError
from audit.figures import number, parse
from audit.types import AuditResult, Estimate, Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One stored audit."""

    path: str
    """Relative to the folder that was read."""
    finished: str
    model: str
    model_name: str
    plan: str
    exit_code: int
    claims: int
    changed: tuple[str, ...] = ()
    """What makes its numbers others than those of the audit before: texts, decision, seed, probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One gate in one audit."""

    audit: int
    """Position among the audits."""
    finished: str
    status: Status
    limit: float
    estimate: Estimate | None = None
    """The number as in the tables; None where there is none, and `because` says why."""
    because: str = ""
    waived_by: str = ""
    changed: tuple[str, ...] = ()
    """What changed since the point before it, so that the two cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One gate over the audits that declared it."""

    measurement: str
    side: Literal["at_most", "at_least"]
    points: tuple[Point, ...]
    trend: str
    """First and last number and the verdicts between, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Audits, oldest first, and their gates."""

    audits: tuple[Audit, ...]
    series: tuple[Series, ...]
    unread: tuple[str, ...] = ()
    """One sentence for each file that is no result this version reads."""


def collect(folder: Path) -> History:
    """Read every ``result.json`` under `folder`, and every other ``.json`` file directly in it.

    Audits are ordered by the time they finished, then by path. The same audit twice counts once.

    Raises:
        ResultError: If there is no result.
    """
    if not folder.is_dir():
        raise ResultError(f"There is no folder {folder}.", hint="Name one that holds audits.")
    found: list[tuple[str, str, AuditResult]] = []
    unread, seen = [], set()
    for path in sorted({*folder.rglob("result.json"), *folder.glob("*.json")}):
        name = str(path.relative_to(folder))
        try:
            result = store.read(path)
        except ResultError as problem:
            unread.append(f"{name} was left out: {problem}")
            continue
        key = (store.digest(result), result.telemetry.finished)
        if key not in seen:
            seen.add(key)
            found.append((result.telemetry.finished or result.telemetry.started, name, result))
    if not found:
        raise ResultError(
            f"There is no result under {folder}.", hint="`evenhand run audit.toml` makes one."
        )
    found.sort(key=lambda one: (one[0] == "", one[0], one[1]))
    results = [result for _, _, result in found]
    audits = tuple(
        Audit(
            path=name,
            finished=when,
            model=result.provenance.model,
            model_name=result.provenance.model_name,
            plan=result.plan.digest,
            exit_code=gates.exit_code(
                result.verdicts, result.runs, undecided=result.plan.undecided
            ),
            claims=len(result.verdicts),
            changed=_changed(results[i - 1], result) if i else (),
        )
        for i, (when, name, result) in enumerate(found)
    )
    return History(audits=audits, series=_series(results, audits), unread=tuple(unread))


def to_json(history: History) -> str:
    """Return a history as JSON, ``"schema": 1``, every character beyond ASCII escaped."""
    said = {"schema": 1, **plain(history)}
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=True) + "\n"


def to_html(history: History) -> str:
    """Return a history as one page, in the report's style, with nothing to download or run."""
    return report.page(
        "history.html.j2", history=history, views=[_view(series) for series in history.series]
    )


def _series(results: list[AuditResult], audits: tuple[Audit, ...]) -> tuple[Series, ...]:
    points: dict[tuple[str, Literal["at_most", "at_least"]], list[Point]] = {}
    for i, result in enumerate(results):
        measured = {m.id: m.value for run in result.runs for m in run.measurements}
        for verdict in result.verdicts:
            claim = verdict.claim
            mine = points.setdefault((claim.measurement, claim.side), [])
            point = _point(i, audits[i].finished, verdict, measured.get(claim.measurement))
            if mine:
                before = results[mine[-1].audit]
                point = replace(point, changed=_changed(before, result, claim.measurement))
            mine.append(point)
    return tuple(
        Series(measurement=name, side=side, points=tuple(found), trend=_trend(found))
        for (name, side), found in points.items()
    )


def _point(audit: int, when: str, verdict: Verdict, value: object) -> Point:
    return Point(
        audit=audit,
        finished=when,
        status=verdict.status,
        limit=verdict.claim.limit,
        estimate=value if isinstance(value, Estimate) else None,
        because=verdict.because,
        waived_by=verdict.waived_by,
    )


def _changed(before: AuditResult, after: AuditResult, measurement: str = "") -> tuple[str, ...]:
    found = []
    one, other = (
        next((c.sha256 for c in r.provenance.corpora if c.name == "test"), "")
        for r in (before, after)
    )
    if one != other:
        found.append("other texts")
    if before.plan.decision != after.plan.decision:
        found.append("another decision rule")
    if before.plan.seed != after.plan.seed:
        found.append(f"seed {after.plan.seed} in place of {before.plan.seed}")
    mine = _probe(measurement) if measurement else ""
    probes = [mine] if mine else sorted({r.probe for r in (*before.runs, *after.runs)} - {PROBE})
    others = [probe for probe in probes if _asked(before, probe) != _asked(after, probe)]
    if others:
        found.append(f"{', '.join(others)}: another version or other settings")
    return tuple(found)


def _asked(result: AuditResult, probe: str) -> list[tuple[str, str]]:
    return [
        (run.version, json.dumps(plain(run.params), sort_keys=True))
        for run in result.runs
        if run.probe == probe
    ]


def _probe(measurement: str) -> str:
    name = parse(measurement)
    return name.where.get("probe", "") if name.probe == PROBE else name.probe


def _trend(points: Iterable[Point]) -> str:
    known = [(p.estimate.value, p) for p in points if p.estimate is not None]
    if not known:
        return "No audit has a number for it."
    first, last = known[0][0], known[-1][0]
    if len(known) == 1:
        return f"One audit has a number for it: {number(first)}."
    # Only what was measured alike since then can be set side by side.
    alike = known[max((i for i, (_, p) in enumerate(known) if p.changed), default=0) :]
    said = f"{number(first)} in the first audit, {number(last)} in the last"
    if len(alike) < len(known):
        said += f"; measured alike in the last {len(alike)} only"
    return f"{said}."


@dataclass(frozen=True, slots=True)
class _Drawn:
    point: Point
    plot: report.Plot | None


@dataclass(frozen=True, slots=True)
class _View:
    series: Series
    probe: str
    metric: str
    where: dict[str, str]
    side: str
    axis: report.Axis
    rows: tuple[_Drawn, ...]


def _view(series: Series) -> _View:
    name = parse(series.measurement)
    ends = [p.limit for p in series.points]
    ends += [x for p in series.points if p.estimate for x in (p.estimate.low, p.estimate.high)]
    none = 0.0 if min(ends) < 0 else None
    scale = report.axis(ends, share=min(ends) >= 0 and max(ends) <= 1, none=none)
    return _View(
        series=series,
        probe=name.probe,
        metric=name.metric,
        where=dict(name.where),
        side=series.side.replace("_", " ") + " the limit",
        axis=scale,
        rows=tuple(
            _Drawn(
                p,
                report.plot(p.estimate, scale, none=none, limits=[(series.side, p.limit)])
                if p.estimate
                else None,
            )
            for p in series.points
        ),
    )

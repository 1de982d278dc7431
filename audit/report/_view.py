"""An audit result, arranged for a reader. Nothing is measured here."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from audit import responses
from audit.report._anchors import anchor
from audit.report._casebooks import Shelf, shelve
from audit.report._catalogue import Pair, say, written
from audit.report._charts import curves
from audit.report._exploratory import Corrected, corrected
from audit.report._grids import grids
from audit.report._methods import definition, methods
from audit.report._page import Page
from audit.report._parts import Measured, changes_of, corpus_view, named
from audit.report._plots import Axis, axis, plot
from audit.report._sections import detectable, deviations, scope, sign_off, summary, system
from audit.report._shapes import (
    Block,
    Casebook,
    ClaimRow,
    FindingView,
    ProbeView,
    Row,
)
from audit.report._tradeoff import trade_off
from audit.report._wording import (
    STATUSES,
    exit_words,
    headline,
    is_share,
    no_effect,
    reading,
    severity_reason,
    warnings,
)
from audit.report._wordshares import word_shares
from audit.types import (
    Absent,
    AuditResult,
    Estimate,
    Finding,
    Measurement,
    ProbeRun,
    Verdict,
)

AT_ONCE = 600
"""Rows of measurements that stand in the HTML all together; of more, the declared ones do."""
MOST_ROWS, MOST_CLAIMS, MOST_FINDINGS, MOST_CHANGES = 250, 250, 80, 300
"""Beyond this, the worst are shown and the rest is counted."""


def arrange(result: AuditResult, exit_code: int) -> Page:
    """Arrange `result` for the templates. The order of every mapping is settled here."""
    measured = {m.id: (run.probe, m) for run in result.runs for m in run.measurements}
    axes = _axes(result, measured)
    anchors = {name: anchor("m", name) for name in measured}
    flagged = {f.measurement: f.id for f in result.findings[:MOST_FINDINGS]}
    claims = tuple(_claim(v, measured, axes, flagged) for v in result.verdicts)
    every = sorted(claims, key=lambda c: STATUSES.index(c.verdict.status))
    ranked = tuple(every[:MOST_CLAIMS])
    by_measurement: dict[str, tuple[ClaimRow, ...]] = {}
    for c in every:
        name = c.verdict.claim.measurement
        by_measurement[name] = (*by_measurement.get(name, ()), c)
    evidence = (e for f in result.findings for e in f.example_ids)
    shelf = shelve(result, flagged, {e: i for i, e in enumerate(dict.fromkeys(evidence))})
    findings = tuple(
        _finding(f, result, measured, by_measurement.get(f.measurement, ()), shelf)
        for f in result.findings[:MOST_FINDINGS]
    )
    among = corrected(result)
    rows = {
        m.id: _row(m, axes[probe, m.metric], by_measurement.get(m.id, ()), flagged, among.get(m.id))
        for probe, m in measured.values()
    }
    now = _at_once(rows)
    probes = tuple(
        _probe(result, i, axes, rows, now, among, shelf, flagged) for i in range(len(result.runs))
    )
    changes, shift_axis = changes_of(result, measured)
    made, intervals = methods(result)
    seen, seen_rest = detectable(result, anchors)
    said = result.provenance.scope
    drawn_grids, drawn_curves = grids(result, anchors, among), curves(result, anchors)
    statuses = Counter[str](v.status for v in result.verdicts)
    shown = result.plan.name or result.provenance.model_name
    title = say("cover.title", name=shown) if shown else say("cover.title_nameless")
    later = {
        block.key: tuple(rows[m] for m in ids if m not in now)
        for p in probes
        for block, ids in zip(p.blocks, _ids(p.run), strict=True)
    }
    return Page(
        result=result,
        title=result.plan.name or written("en", title),
        title_chinese=result.plan.name or written("zh", title),
        contents=_contents(result, len(measured), bool(drawn_grids or drawn_curves)),
        exit_code=exit_code,
        exit_words=exit_words(exit_code, result),
        headline=headline(result.verdicts),
        warnings=warnings(result),
        counts=tuple((status, statuses.get(status, 0)) for status in STATUSES),
        summary=summary(result, findings),
        scope=scope(result),
        system=system(result),
        corpora=tuple(corpus_view(info) for info in result.provenance.corpora),
        deviations=deviations(result),
        deviations_stated=said.get("deviations", ""),
        methods=made,
        intervals=intervals,
        claims=ranked,
        claims_total=len(claims),
        drawn_claims=frozenset(c.anchor for c in ranked),
        grids=drawn_grids,
        curves=drawn_curves,
        probes=probes,
        measurements=len(measured),
        rest_rows=len(rows) - len(now),
        findings=findings,
        findings_total=len(result.findings),
        detectable=seen,
        detectable_rest=seen_rest,
        limits_stated=said.get("limitations", ""),
        mitigation_stated=said.get("mitigation", ""),
        changes=changes[:MOST_CHANGES],
        changes_total=len(changes),
        shift_axis=shift_axis,
        tradeoff=trade_off(result),
        signoff=sign_off(result),
        books=tuple(shelf.books.values()),
        later_rows={key: waiting for key, waiting in later.items() if waiting},
        later_cases=shelf.later,
        cases_left_out=shelf.left_out,
    )


def _contents(
    result: AuditResult, measured: int, shapes: bool
) -> tuple[tuple[str, str, int | None, bool], ...]:
    counts = {
        "claims": len(result.verdicts),
        "measurements": measured,
        "findings": len(result.findings),
    }
    always = {"verdict", "summary", "untested", "signoff"}
    return tuple(
        (name, f"toc.{name}", counts.get(name), name not in always)
        for name in (
            *("verdict", "summary", "scope", "system", "data", "plan", "methods", "claims"),
            *(("shapes",) if shapes else ()),
            *("measurements", "findings", "untested", "comparison", "law", "signoff"),
            *("provenance", "glossary"),
        )
    )


def _finding(
    f: Finding,
    result: AuditResult,
    measured: Measured,
    claims: tuple[ClaimRow, ...],
    shelf: Shelf,
) -> FindingView:
    there = measured.get(f.measurement)
    estimate = there[1].value if there and isinstance(there[1].value, Estimate) else None
    verdict = next((v for v in result.verdicts if v.claim.id == f.claim), None)
    name, _ = named(f.measurement, measured)
    asked = definition(name.probe, name.metric)
    return FindingView(
        finding=f,
        response=responses.of(f, result.provenance.responses),
        asks=None if asked is None else Pair(*asked),
        why_severe=severity_reason(f.severity, verdict, estimate),
        measured=anchor("m", f.measurement) if there else "",
        claims=claims,
        casebook=next((b for (_, m), b in shelf.books.items() if m == f.measurement), None),
        related=_related(f.measurement, shelf.books.values(), measured),
    )


def _at_once(rows: Mapping[str, Row]) -> frozenset[str]:
    """Return the rows that stand in the HTML: all, or the declared ones, the worst first."""
    if len(rows) <= AT_ONCE:
        return frozenset(rows)
    order = [*STATUSES, "absent", "exploratory"]
    claimed = [name for name, row in rows.items() if row.claims]
    claimed.sort(key=lambda name: order.index(rows[name].status))
    return frozenset(claimed[:MOST_ROWS])


def _ids(run: ProbeRun) -> list[list[str]]:
    """Return the measurements of a run, metric by metric."""
    by_metric: dict[str, list[str]] = {}
    for m in run.measurements:
        by_metric.setdefault(m.metric, []).append(m.id)
    return [*by_metric.values()]


def _axes(result: AuditResult, measured: Measured) -> dict[tuple[str, str], Axis]:
    """One scale for each metric of each probe, with its limits on it."""
    held: dict[tuple[str, str], list[float]] = {}
    shares: dict[tuple[str, str], bool] = {}
    nones: dict[tuple[str, str], float | None] = {}
    for run in result.runs:
        for m in run.measurements:
            key = (run.probe, m.metric)
            ends = held.setdefault(key, [])
            if isinstance(m.value, Estimate):
                ends += [m.value.low, m.value.high]
            none = no_effect(m)
            nones[key] = none if nones.get(key) is None else nones[key]
            shares[key] = shares.get(key, True) and is_share(m)
    for v in result.verdicts:
        if v.claim.measurement in measured:
            probe, m = measured[v.claim.measurement]
            held[probe, m.metric] += [v.claim.limit, *(v.interval or ())]
    return {key: axis(ends, share=shares[key], none=nones[key]) for key, ends in held.items()}


def _claim(
    verdict: Verdict,
    measured: Measured,
    axes: Mapping[tuple[str, str], Axis],
    flagged: Mapping[str, str],
) -> ClaimRow:
    claim = verdict.claim
    name, m = named(claim.measurement, measured)
    drawn = None
    if m is not None and isinstance(m.value, Estimate):
        decided = None
        if verdict.interval is not None and claim.against == "level":
            level = verdict.interval_level or m.value.level
            decided = (*verdict.interval, level)
        drawn = plot(
            m.value,
            axes[name.probe, name.metric],
            none=no_effect(m),
            limits=[(claim.side, claim.limit)] if claim.against == "level" else [],
            interval=decided,
        )
    return ClaimRow(
        verdict=verdict,
        anchor=anchor("c", claim.id),
        probe=name.probe,
        metric=name.metric,
        where=name.where,
        unit="" if m is None else m.unit,
        plot=drawn,
        axis=None if drawn is None or m is None else axes[name.probe, m.metric],
        measured="" if m is None else anchor("m", claim.measurement),
        finding=flagged.get(claim.measurement, ""),
    )


def _probe(
    result: AuditResult,
    position: int,
    axes: Mapping[tuple[str, str], Axis],
    rows: Mapping[str, Row],
    now: frozenset[str],
    among: Mapping[str, Corrected],
    shelf: Shelf,
    flagged: Mapping[str, str],
) -> ProbeView:
    run = result.runs[position]
    same = [i for i, other in enumerate(result.runs) if other.probe == run.probe]
    turn = same.index(position)
    planned = [p for p in result.plan.probes if p.probe == run.probe]
    costs = [c for c in result.telemetry.probes if c.probe == run.probe]
    asked = planned[turn] if turn < len(planned) else None
    found = {m.id: m for m in run.measurements}
    return ProbeView(
        run=run,
        key=f"p{position}",
        anchor=anchor("probe", run.probe if turn == 0 else f"{run.probe} {turn + 1}"),
        planned=asked,
        cost=costs[turn] if turn < len(costs) else None,
        blocks=tuple(
            _block(f"p{position}b{i}", run.probe, [found[n] for n in ids], axes, rows, now, among)
            for i, ids in enumerate(_ids(run))
        ),
        casebooks=tuple(
            b for (i, m), b in shelf.books.items() if i == position and m not in flagged
        ),
        missing=() if asked is None else tuple(i for i in asked.measurements if i not in found),
        rest=sum(name not in now for name in found),
        words=word_shares(run),
    )


def _block(
    key: str,
    probe: str,
    slices: Sequence[Measurement],
    axes: Mapping[tuple[str, str], Axis],
    rows: Mapping[str, Row],
    now: frozenset[str],
    among: Mapping[str, Corrected],
) -> Block:
    first = slices[0]
    return Block(
        key=key,
        metric=first.metric,
        unit=first.unit,
        family=first.family,
        family_size=max((among[m.id].m for m in slices if m.id in among), default=0),
        budget=first.budget if len({m.budget for m in slices}) == 1 else "",
        axis=axes[probe, first.metric],
        rows=tuple(rows[m.id] for m in slices if m.id in now),
    )


def _row(
    m: Measurement,
    scale: Axis,
    own: tuple[ClaimRow, ...],
    flagged: Mapping[str, str],
    exploratory: Corrected | None,
) -> Row:
    limits = [
        (c.verdict.claim.side, c.verdict.claim.limit)
        for c in own
        if c.verdict.claim.against == "level"
    ]
    absent = isinstance(m.value, Absent)
    return Row(
        measurement=m,
        anchor=anchor("m", m.id),
        plot=None
        if isinstance(m.value, Absent)
        else plot(m.value, scale, none=no_effect(m), limits=limits),
        claims=own,
        reading=reading(m) if exploratory is None else reading(m, exploratory.q, exploratory.m),
        finding=flagged.get(m.id, ""),
        status=own[0].verdict.status if own else ("absent" if absent else "exploratory"),
    )


def _related(
    measurement: str, books: Iterable[Casebook], measured: Measured
) -> tuple[Casebook, ...]:
    mine, _ = named(measurement, measured)
    found = []
    for book in books:
        other, _ = named(book.measurement, measured)
        near = other.metric == mine.metric or other.where == mine.where
        if other.probe == mine.probe and near and book.measurement != measurement:
            found.append(book)
    return tuple(found[:4])

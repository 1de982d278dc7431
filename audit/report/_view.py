"""An audit result, arranged for a reader. Nothing is measured here."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from audit.figures import Name, parse
from audit.report._exploratory import Corrected, corrected
from audit.report._passages import compare, heat, plain
from audit.report._plots import Axis, axis, plot
from audit.report._shapes import (
    Bar,
    Block,
    Casebook,
    CaseView,
    ChangeRow,
    ClaimRow,
    CorpusView,
    FindingView,
    Page,
    ProbeView,
    Row,
)
from audit.report._wording import (
    STATUSES,
    exit_words,
    headline,
    is_share,
    no_effect,
    reading,
    warnings,
)
from audit.types import (
    Absent,
    AuditResult,
    Case,
    CorpusInfo,
    Estimate,
    Measurement,
    ProbeRun,
    Verdict,
)

MOST_CASES = 2_000
"""Cases drawn on one page; more of them stay in ``cases.parquet``, and the page says so."""


Measured = Mapping[str, tuple[str, Measurement]]
"""Measurement id to its probe and itself."""


def arrange(result: AuditResult, exit_code: int) -> Page:
    """Arrange `result` for the templates. The order of every mapping is settled here."""
    measured = {m.id: (run.probe, m) for run in result.runs for m in run.measurements}
    axes = _axes(result, measured)
    flagged = {f.measurement: f.id for f in result.findings}
    claims = tuple(_claim(v, measured, axes, flagged) for v in result.verdicts)
    order = list(STATUSES)
    ranked = tuple(sorted(claims, key=lambda c: order.index(c.verdict.status)))
    room = _room(result, flagged)
    casebooks = {
        (i, metric): _casebook(metric, cases)
        for i, run in enumerate(result.runs)
        for metric, cases in _by_metric(run, room).items()
    }
    statuses = Counter[str](v.status for v in result.verdicts)
    findings = []
    for f in result.findings:
        book = next((b for (_, metric), b in casebooks.items() if metric == f.measurement), None)
        findings.append(
            FindingView(
                finding=f,
                measured=anchor("m", f.measurement) if f.measurement in measured else "",
                claims=tuple(c for c in ranked if c.verdict.claim.measurement == f.measurement),
                casebook=None if book is None else _ordered(book, f.example_ids),
                related=_related(f.measurement, casebooks.values(), measured),
            )
        )
    changes, shift_axis = _changes(result, measured)
    among = corrected(result)
    return Page(
        result=result,
        exit_code=exit_code,
        exit_words=exit_words(exit_code, result),
        headline=headline(result.verdicts),
        warnings=warnings(result),
        counts=tuple((status, statuses.get(status, 0)) for status in order),
        claims=ranked,
        findings=tuple(findings),
        probes=tuple(
            _probe(
                result,
                run,
                axes,
                ranked,
                flagged,
                among,
                tuple(b for (j, m), b in casebooks.items() if j == i and m not in flagged),
                i,
            )
            for i, run in enumerate(result.runs)
        ),
        changes=changes,
        shift_axis=shift_axis,
        corpora=tuple(_corpus(info) for info in result.provenance.corpora),
        measurements=len(measured),
        cases_left_out=sum(len(run.cases) for run in result.runs) - len(room),
        methods=tuple(
            sorted({m.value.method for _, m in measured.values() if isinstance(m.value, Estimate)})
        ),
    )


def anchor(kind: str, name: str) -> str:
    """Return the permalink of `name`: readable, and the same in every report that names it."""
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-")[:60]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kind}-{slug}-{digest}" if slug else f"{kind}-{digest}"


_FIRST = ("name", "purpose", "users", "affected", "owner", "version", "context", "languages")


def stated(mapping: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return free text of the audit file, the usual entries first."""
    order = {key: i for i, key in enumerate(_FIRST)}
    return tuple(sorted(mapping.items(), key=lambda kv: (order.get(kv[0], len(order)), kv[0])))


def settings(params: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return a probe's settings as text, sorted."""
    return tuple(
        (key, json.dumps(value, sort_keys=True, ensure_ascii=False, default=str))
        for key, value in sorted(params.items())
    )


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


def _named(measurement: str, measured: Measured) -> tuple[Name, Measurement | None]:
    """Return the parts of an id: those of the measurement itself, where it was made."""
    if measurement not in measured:
        return parse(measurement), None
    probe, m = measured[measurement]
    return Name(probe=probe, metric=m.metric, where=m.where), m


def _claim(
    verdict: Verdict,
    measured: Measured,
    axes: Mapping[tuple[str, str], Axis],
    flagged: Mapping[str, str],
) -> ClaimRow:
    claim = verdict.claim
    name, m = _named(claim.measurement, measured)
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
    run: ProbeRun,
    axes: Mapping[tuple[str, str], Axis],
    claims: Sequence[ClaimRow],
    flagged: Mapping[str, str],
    among: Mapping[str, Corrected],
    casebooks: tuple[Casebook, ...],
    position: int,
) -> ProbeView:
    same = [i for i, other in enumerate(result.runs) if other.probe == run.probe]
    turn = same.index(position)
    planned = [p for p in result.plan.probes if p.probe == run.probe]
    costs = [c for c in result.telemetry.probes if c.probe == run.probe]
    by_metric: dict[str, list[Measurement]] = {}
    for m in run.measurements:
        by_metric.setdefault(m.metric, []).append(m)
    asked = planned[turn] if turn < len(planned) else None
    found = {m.id for m in run.measurements}
    return ProbeView(
        run=run,
        anchor=anchor("probe", run.probe if turn == 0 else f"{run.probe} {turn + 1}"),
        planned=asked,
        cost=costs[turn] if turn < len(costs) else None,
        blocks=tuple(
            Block(
                metric=metric,
                unit=slices[0].unit,
                family=slices[0].family,
                family_size=max((among[m.id].m for m in slices if m.id in among), default=0),
                budget=slices[0].budget if len({m.budget for m in slices}) == 1 else "",
                axis=axes[run.probe, metric],
                rows=tuple(
                    _row(m, axes[run.probe, metric], claims, flagged, among.get(m.id))
                    for m in slices
                ),
            )
            for metric, slices in by_metric.items()
        ),
        casebooks=casebooks,
        missing=() if asked is None else tuple(i for i in asked.measurements if i not in found),
    )


def _row(
    m: Measurement,
    scale: Axis,
    claims: Sequence[ClaimRow],
    flagged: Mapping[str, str],
    exploratory: Corrected | None,
) -> Row:
    own = tuple(c for c in claims if c.verdict.claim.measurement == m.id)
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


def _room(result: AuditResult, flagged: Mapping[str, str]) -> frozenset[int]:
    """Return the cases that are drawn: those of findings first, then flips, then large changes."""
    every = [case for run in result.runs for case in run.cases]
    if len(every) > MOST_CASES:
        every.sort(
            key=lambda c: (
                c.metric not in flagged,
                not c.flipped,
                -abs(c.score_after - c.score_before),
                c.metric,
                c.example_id,
            )
        )
    return frozenset(id(case) for case in every[:MOST_CASES])


def _by_metric(run: ProbeRun, room: frozenset[int]) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in run.cases:
        if id(case) in room:
            found.setdefault(case.metric, []).append(case)
    return found


def _casebook(metric: str, cases: Sequence[Case]) -> Casebook:
    return Casebook(
        measurement=metric,
        anchor=anchor("cases", metric),
        cases=tuple(_case(case) for case in cases),
    )


def _ordered(book: Casebook, first: Sequence[str]) -> Casebook:
    """Put the finding's evidence first."""
    place = {example: i for i, example in enumerate(first)}
    cases = sorted(book.cases, key=lambda c: place.get(c.case.example_id, len(place)))
    return Casebook(measurement=book.measurement, anchor=book.anchor, cases=tuple(cases))


def _related(
    measurement: str, books: Iterable[Casebook], measured: Measured
) -> tuple[Casebook, ...]:
    mine, _ = _named(measurement, measured)
    found = []
    for book in books:
        other, _ = _named(book.measurement, measured)
        near = other.metric == mine.metric or other.where == mine.where
        if other.probe == mine.probe and near and book.measurement != measurement:
            found.append(book)
    return tuple(found)


def _case(case: Case) -> CaseView:
    changed = case.before != case.after
    before, after = compare(case.before, case.after) if changed else (plain(case.before), ())
    return CaseView(
        case=case,
        before=before,
        after=after,
        changed=changed,
        heated=heat(case.words, case.weights),
    )


def _changes(result: AuditResult, measured: Measured) -> tuple[tuple[ChangeRow, ...], Axis]:
    changes = () if result.comparison is None else result.comparison.changes
    # Differences of shares stand on one scale; a difference in other units has its own.
    shared = axis(
        (x for c in changes if _fits(c.difference) for x in _ends(c.difference)),
        share=False,
        none=0.0,
    )
    rows = []
    for change in changes:
        before, after, d = change.before, change.after, change.difference
        ends = [*_ends(before), *_ends(after)]
        shares = all(0 <= x <= 1 for x in ends)
        shift = shared if _fits(d) else axis(_ends(d), share=False, none=0.0)
        name, _ = _named(change.measurement, measured)
        levels = None
        if isinstance(before, Estimate) and isinstance(after, Estimate):
            levels = plot(after, axis(ends, share=shares, none=None), before=before)
        rows.append(
            ChangeRow(
                change=change,
                anchor=anchor("d", change.measurement),
                probe=name.probe,
                metric=name.metric,
                where=name.where,
                levels=levels,
                shift=plot(d, shift, none=0.0) if isinstance(d, Estimate) else None,
                shift_axis=shift,
                own_axis=not _fits(d),
            )
        )
    return tuple(rows), shared


def _ends(e: Estimate | Absent) -> tuple[float, ...]:
    return (e.low, e.high) if isinstance(e, Estimate) else ()


def _fits(e: Estimate | Absent) -> bool:
    return all(abs(x) <= 1 for x in _ends(e))


def _corpus(info: CorpusInfo) -> CorpusView:
    return CorpusView(
        info=info,
        labels=_bars(info.labels, info.texts),
        groups=tuple(
            (attribute, _bars(values, info.texts))
            for attribute, values in sorted(info.groups.items())
        ),
    )


def _bars(counts: Mapping[str, int], whole: int) -> tuple[Bar, ...]:
    return tuple(
        Bar(name=name, count=count, share=count / whole if whole else 0.0, unknown=name == "")
        for name, count in sorted(counts.items(), key=lambda kv: (kv[0] == "", kv[0]))
    )

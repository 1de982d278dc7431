"""The sections that no probe fills: scope, deviations, what could be seen, who signed.

Each is plain data made from the result alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.figures import limit, number
from audit.report._catalogue import Said, Term, say
from audit.report._shapes import FindingView
from audit.report._wording import STATUSES
from audit.types import AuditResult, Estimate, PlannedProbe, ProbeRun, Status

_SCOPE = ("purpose", "users", "affected", "languages", "context", "out_of_scope")
_SYSTEM = (
    *("name", "owner", "version", "architecture", "training", "preprocessing", "max_length"),
)
_SIGNED = {
    *("prepared_by", "prepared_on", "reviewed_by", "reviewed_on", "released_by", "released_on"),
    *("kind_of_audit", "independence"),
}
_ELSEWHERE = {*_SIGNED, "deviations", "limitations", "mitigation"}
"""Keys of ``[scope]`` that have a section of their own."""
MOST_DETECTABLE = 40
_TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A free text of the audit file; `known` is the message that names a usual key."""

    key: str
    value: str
    known: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    key: str
    name: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    kind: str
    """Self-assessment, second party, independent: in the words of the audit file."""
    independence: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectable:
    """How small an effect one number could have shown."""

    metric: str
    where: Mapping[str, str]
    anchor: str
    n: int
    mde: float
    limit: str
    status: Status | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What fits on one screen."""

    findings: tuple[FindingView, ...]
    unknown: tuple[Said, ...]
    advice: tuple[tuple[str, str], ...]
    """Probe and recommendation."""
    retest: Said | None
    """What a comparison came to, in counts."""


def scope(result: AuditResult) -> tuple[Fact, ...]:
    """Return what the audit file says of the use, the usual keys first and always there."""
    return _facts(result.provenance.scope, _SCOPE, "scope", _ELSEWHERE)


def system(result: AuditResult) -> tuple[Fact, ...]:
    """Return what the audit file says of the system, the usual keys first and always there."""
    return _facts(result.provenance.system, _SYSTEM, "system", set())


def _facts(
    said: Mapping[str, str], usual: Sequence[str], table: str, elsewhere: set[str]
) -> tuple[Fact, ...]:
    return (
        *(Fact(key=k, value=said.get(k, "").strip(), known=f"{table}.{k}") for k in usual),
        *(
            Fact(key=k, value=v.strip())
            for k, v in sorted(said.items())
            if k not in usual and k not in elsewhere
        ),
    )


def sign_off(result: AuditResult) -> SignOff:
    """Return who answers for the report, as the audit file says it."""
    said = result.provenance.scope
    return SignOff(
        kind=said.get("kind_of_audit", ""),
        independence=said.get("independence", ""),
        roles=tuple(
            Role(
                key=f"sign.{role}",
                name=said.get(f"{role}_by", ""),
                date=said.get(f"{role}_on", ""),
            )
            for role in ("prepared", "reviewed", "released")
        ),
    )


def deviations(result: AuditResult) -> tuple[Said, ...]:
    """Return where the run was another than the plan, probe by probe."""
    found: list[Said] = []
    waiting = list(result.plan.probes)
    for run in result.runs:
        planned = next((p for p in waiting if p.probe == run.probe), None)
        if planned is None:
            found.append(say("dev.not_planned", probe=Term(run.probe)))
            continue
        waiting.remove(planned)
        found += _between(planned, run)
    # With no run at all there is nothing that could deviate: the page says so on top.
    if result.runs:
        found += [say("dev.missing", probe=Term(p.probe)) for p in waiting]
    return tuple(found)


def _between(planned: PlannedProbe, run: ProbeRun) -> list[Said]:
    probe = Term(run.probe)
    found = []
    if planned.version != run.version:
        found.append(say("dev.version", probe=probe, now=run.version, planned=planned.version))
    if _plain(planned.params) != _plain(run.params):
        found.append(say("dev.settings", probe=probe))
    if run.error:
        found.append(say("dev.error", probe=probe))
    if run.not_run:
        found.append(say("dev.not_run", probe=probe))
        return found
    asked, made = set(planned.measurements), {m.id for m in run.measurements}
    if asked - made:
        found.append(say("dev.silent", probe=probe, n=len(asked - made)))
    if made - asked:
        found.append(say("dev.extra", probe=probe, n=len(made - asked)))
    return found


def _plain(params: Mapping[str, object]) -> str:
    """Write settings one way: what was read from a file has lists where memory has tuples."""
    return json.dumps(params, sort_keys=True, default=str)


def detectable(
    result: AuditResult, anchors: Mapping[str, str]
) -> tuple[tuple[Detectable, ...], int]:
    """Return the numbers with a minimum detectable effect, claims first, and how many more."""
    # A number may have a limit on either side: what is worse of the two stands beside it.
    worst_last = sorted(result.verdicts, key=lambda v: -STATUSES.index(v.status))
    claimed = {v.claim.measurement: v for v in worst_last}
    found = []
    for run in result.runs:
        for m in run.measurements:
            if isinstance(m.value, Estimate) and m.value.mde is not None:
                v = claimed.get(m.id)
                sign = "" if v is None else "≤ " if v.claim.side == "at_most" else "≥ "
                found.append(
                    Detectable(
                        metric=m.metric,
                        where=m.where,
                        anchor=anchors[m.id],
                        n=m.value.n,
                        mde=m.value.mde,
                        limit="" if v is None else sign + limit(v.claim.limit),
                        status=None if v is None else v.status,
                    )
                )
    found.sort(key=lambda d: (d.status is None, -d.mde, d.anchor))
    return tuple(found[:MOST_DETECTABLE]), max(0, len(found) - MOST_DETECTABLE)


def summary(result: AuditResult, findings: Sequence[FindingView]) -> Summary:
    """Return the top findings, what stays unknown, and what to do first."""
    advice: dict[str, str] = {}
    for view in findings:
        probe = view.finding.measurement.partition(".")[0]
        if any(c.verdict.status == "fail" for c in view.claims):
            advice.setdefault(probe, view.finding.recommendation)
    for view in findings:
        advice.setdefault(view.finding.measurement.partition(".")[0], view.finding.recommendation)
    return Summary(
        findings=tuple(findings[:_TOP]),
        unknown=_unknown(result),
        advice=tuple(advice.items())[:3],
        retest=_retest(result),
    )


def _retest(result: AuditResult) -> Said | None:
    if result.comparison is None:
        return None
    verdicts = [c.verdict for c in result.comparison.changes]
    better, worse = verdicts.count("better"), verdicts.count("worse")
    return say("summary.retest", better=better, worse=worse, open=len(verdicts) - better - worse)


def _unknown(result: AuditResult) -> tuple[Said, ...]:
    said = []
    open_ = sum(v.status in ("inconclusive", "not_estimable") for v in result.verdicts)
    if open_:
        said.append(say("summary.open", n=open_))
    gone = [Term(run.probe) for run in result.runs if run.error or run.not_run]
    if gone:
        said.append(say("summary.no_run", n=len(gone), names=tuple(gone[:8])))
    measured = {m.id: m for run in result.runs for m in run.measurements}
    missed = sum(i not in measured for p in result.plan.probes for i in p.measurements)
    if missed and result.runs:
        said.append(say("summary.missed", n=missed))
    sizes = [
        m.value.mde
        for v in result.verdicts
        if (m := measured.get(v.claim.measurement)) is not None
        and isinstance(m.value, Estimate)
        and m.value.mde is not None
    ]
    if sizes:
        said.append(say("summary.mde", low=number(min(sizes)), high=number(max(sizes))))
    said.append(say("summary.only_texts"))
    return tuple(said)

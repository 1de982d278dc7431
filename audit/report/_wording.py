"""What the page says of a state, a number or an outcome: messages, filled in each language later."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from audit.figures import humanise, number, p_equals
from audit.report._catalogue import Said, Words, say
from audit.types import (
    Absent,
    AuditResult,
    Decision,
    Estimate,
    Means,
    Measurement,
    Pairs,
    TwoCounts,
    Verdict,
)

STATUSES = ("fail", "error", "inconclusive", "not_estimable", "pass", "not_applicable")
"""In the order in which a reader needs them."""


def exit_words(code: int, result: AuditResult) -> Said:
    """Say what an exit code means for whoever waits for it."""
    if code == 0 and (_any(result, "inconclusive") or _any(result, "not_estimable")):
        return say("exit.0_open")
    if code == 1 and not _any(result, "fail"):
        return say("exit.1_open")
    return say(f"exit.{code}")


def _any(result: AuditResult, status: str) -> bool:
    return any(v.status == status and v.claim.blocking and not v.waived_by for v in result.verdicts)


def headline(verdicts: Sequence[Verdict]) -> Said:
    """Return the outcome as one sentence, with no comfort added."""
    if not verdicts:
        return say("headline.none")
    counts = Counter[str](v.status for v in verdicts)
    whole = len(verdicts)
    judged = whole - counts["not_applicable"]
    said = tuple(
        say(f"headline.{status}", n=Words(counts[status]))
        for status in ("fail", "error", "inconclusive", "not_estimable")
        if counts[status]
    )
    claims = say("headline.claims", n=Words(whole))
    if said:
        return say("headline.of", claims=claims, said=said)
    if not judged:
        return _begins(say("headline.inapplicable", claims=claims))
    if judged < whole:
        return _begins(say("headline.most", judged=Words(judged), claims=claims))
    return say("headline.all", n=whole, claims=claims)


def _begins(said: Said) -> Said:
    return replace(said, capital=True)


def warnings(result: AuditResult) -> tuple[Said, ...]:
    """Return what a reader must know before the first number."""
    runs = result.runs
    found: list[Said] = []
    measured = [m for run in runs for m in run.measurements]
    crashed = [run.probe for run in runs if run.error]
    idle = [run.probe for run in runs if run.not_run]
    if not runs:
        found.append(say("warn.no_run"))
    elif len(crashed) == len(runs):
        found.append(say("warn.all_crashed"))
    elif len(crashed) + len(idle) == len(runs):
        found.append(say("warn.all_idle"))
    elif crashed:
        counts = {"n": Words(len(crashed)), "whole": Words(len(runs))}
        found.append(_begins(say("warn.crashed", names=_names(crashed), **counts)))
    if measured and all(isinstance(m.value, Absent) for m in measured):
        found.append(say("warn.all_absent", n=len(measured)))
    elif runs and not measured and len(crashed) + len(idle) < len(runs):
        found.append(say("warn.silent"))
    if idle and len(crashed) + len(idle) < len(runs):
        found.append(_begins(say("warn.idle", n=Words(len(idle)), names=_names(idle))))
    corpora = result.provenance.corpora
    found += [say("warn.empty", name=c.name) for c in corpora if not c.texts]
    synthetic = [c.name for c in corpora if c.kind == "synthetic" and c.texts]
    if synthetic:
        found.append(say("warn.synthetic", names=_names(synthetic)))
    return tuple(found)


def _names(names: Sequence[str]) -> tuple[str | Said, ...]:
    """Name the first few: a list of hundreds is no sentence."""
    return tuple(names[:12]) if len(names) <= 12 else (*names[:12], "…")


def no_effect(m: Measurement) -> float | None:
    """Return the value that means *no effect*: 1 for a ratio, 0 for a difference, else None.

    A mean distance can only be above 0, whatever the truth: it has no such value.
    """
    if (
        isinstance(m.value, Estimate)
        and isinstance(m.value.basis, Means)
        and m.value.basis.low == 0
    ):
        return None
    words = f"{m.unit} {humanise(m.metric)}".lower()
    if re.search(r"\bratio\b", words):
        return 1.0
    if re.search(r"\b(difference|change|net|gap|shift|excess|less)\b", words):
        return 0.0
    if isinstance(m.value, Absent):
        return None
    signed = isinstance(m.value.basis, Pairs | TwoCounts) or m.value.low < 0
    return 0.0 if signed else None


def reading(m: Measurement, q: float | None = None, among: int = 0) -> Said | None:
    """Say on which side of *no effect* an estimate lies, where there is such a value.

    Args:
        m: The measurement.
        q: For an exploratory one, its p-value corrected over the `among` of its family.
        among: How many those are.
    """
    e = m.value
    none = no_effect(m)
    if isinstance(e, Absent) or none is None:
        return None
    if e.low <= none <= e.high:
        if e.mde is None:
            return say("reading.undecided", none=f"{none:g}")
        return say("reading.undecided_mde", none=f"{none:g}", mde=number(e.mde))
    side = "above" if e.low > none else "below"
    by_chance = q is not None and q > 1 - e.level
    said = say(f"reading.{'chance_' if by_chance else ''}{side}", none=f"{none:g}")
    if q is None or among < 2:
        return said
    return say("reading.with_q", reading=said, q=p_equals(q), n=among)


def is_share(m: Measurement) -> bool:
    """Tell whether the quantity can only lie in [0, 1]."""
    return m.unit.startswith("share") and no_effect(m) is None


def rule(decision: Decision) -> Said:
    """Say how scores become a decision."""
    wanted = _names(decision.favourable)
    if decision.head == "multi":
        least = 0.5 if decision.threshold is None else decision.threshold
        return say("rule.multi", threshold=f"{least:g}", wanted=wanted)
    if decision.threshold is None:
        return say("rule.top", wanted=wanted)
    return say("rule.threshold", threshold=f"{decision.threshold:g}", wanted=wanted)


def duration(seconds: float) -> Said:
    """Write a time span."""
    if seconds < 120:
        return say("duration.s", n=f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}")
    if seconds < 7200:
        return say("duration.min", n=f"{seconds / 60:.0f}")
    return say("duration.h", n=f"{seconds / 3600:.1f}")


def when(text: str) -> Said | str:
    """Write a day or a moment as a language writes it; what is neither stays as it is."""
    try:
        moment = datetime.fromisoformat(text.replace(" +", "+"))
        day: date = moment.date()
    except ValueError:
        return text
    said = say(
        "date.day",
        day=f"{day.day}",
        number=f"{day.month}",
        month=say(f"month.{day.month}"),
        year=f"{day.year}",
    )
    if len(text) <= len("2026-11-23"):
        return said
    zone = moment.strftime("%z")
    zone = f"UTC{zone[:3]}:{zone[3:5]}" if zone else ""
    zone = "UTC" if zone == "UTC+00:00" else zone
    return say("date.time", date=said, clock=f"{moment:%H:%M:%S}", zone=zone)


def severity_reason(severity: str, verdict: Verdict | None, e: Estimate | None) -> Said:
    """Say how a finding came by its severity; see the rule at the head of `audit.findings`."""
    word = say(f"severity.{severity}")
    if verdict is None:
        return _begins(say("why.alone", severity=word))
    order = ("minor", "moderate", "serious", "critical")
    claim = verdict.claim
    declared = say(f"severity.{claim.severity}")
    step = order.index(severity) - order.index(claim.severity) if severity in order else 0
    if verdict.status != "fail" or e is None:
        return _begins(say("why.open", severity=word, declared=declared))
    key = {0: "why.as_declared", 1: "why.up", -1: "why.down"}.get(step, "why.declared")
    return _begins(say(key, severity=word, declared=declared))

"""What every form says of a claim: its outcome, its sentence, its place."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from audit import judging, waivers
from audit.figures import number, percent
from audit.policies import line_of
from audit.report import hidden
from audit.types import AuditResult, Claim, Finding, Status, Verdict

Outcome = Literal["failed", "error", "undecided", "noted", "off", "passed"]
ORDER: tuple[Outcome, ...] = ("failed", "error", "undecided", "noted", "off", "passed")
_LONGEST = 1_000
_WORDS: dict[Status, str] = {
    "pass": "kept",
    "fail": "broken",
    "inconclusive": "undecided",
    "not_estimable": "not estimable",
    "not_applicable": "not applicable",
    "error": "error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One claim, ready to be written."""

    verdict: Verdict
    outcome: Outcome
    word: str
    """The verdict in a word or two."""
    measured: str
    """The value with the interval that decided, or a dash."""
    why: str
    line: int
    """Where its gate stands in the audit file."""
    finding: Finding | None
    key: str
    """Stable over runs and over a change of the limit."""

    @property
    def claim(self) -> str:
        return shown(self.verdict.claim.id)

    @property
    def message(self) -> str:
        """The whole row in a sentence."""
        said = f"{self.claim}: {self.word}. Measured {self.measured}; {self.why}."
        return said if self.verdict.value is not None else f"{self.claim}: {self.word}. {self.why}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A judged result, arranged for the forms."""

    result: AuditResult
    rows: tuple[Row, ...]
    """Worst first, else in the order of the claims."""
    problems: tuple[str, ...]
    """Waivers that have expired or speak of no claim."""
    code: int
    path: str
    """Where the audit file stands in the repository."""

    def count(self, outcome: Outcome) -> int:
        return sum(row.outcome == outcome for row in self.rows)

    @property
    def headline(self) -> str:
        """What the gates came to, in a sentence."""
        counts = [
            f"{n} {name}" for name in ORDER if (n := self.count(name)) and name not in ("off",)
        ]
        said = ", ".join(counts) or "none declared"
        start = {
            0: "No gate is broken or undecided",
            1: "A gate is broken",
            2: "The audit could not be judged in full",
            3: "A gate is undecided",
        }[self.code]
        if not self.rows:
            start = "No gate was declared"
        return f"{start}. Claims: {said}."


def export_of(
    result: AuditResult, *, audit_path: str = "audit.toml", today: date | None = None
) -> Export:
    """Arrange a judged result; see `exports.write`."""
    findings = {f.measurement: f for f in result.findings}
    rows = [
        Row(
            verdict=v,
            outcome=outcome(v, undecided=result.plan.undecided),
            word=_WORDS[v.status],
            measured=_measured(v),
            why=_why(v),
            line=line_of(result.plan.audit_file, v.claim.gate),
            finding=findings.get(v.claim.measurement),
            key=hashlib.sha256(
                f"{v.claim.measurement}\0{v.claim.side}".encode("utf-8", "surrogatepass")
            ).hexdigest()[:32],
        )
        for v in result.verdicts
    ]
    rows.sort(key=lambda row: ORDER.index(row.outcome))
    return Export(
        result=result,
        rows=tuple(rows),
        problems=tuple(shown(p) for p in waivers.of_result(result, today)),
        code=judging.exit_code(result, today=today),
        path=audit_path,
    )


def outcome(verdict: Verdict, *, undecided: str) -> Outcome:
    """Return what a verdict does to the gate, as `gates.exit_code` counts it."""
    if verdict.status == "pass":
        return "passed"
    if verdict.status == "not_applicable":
        return "off"
    if verdict.waived_by or not verdict.claim.blocking:
        return "noted"
    if verdict.status == "error":
        return "error"
    policy = verdict.claim.undecided or undecided
    return "failed" if verdict.status == "fail" or policy == "fail" else "undecided"


def shown(text: object, longest: int = _LONGEST) -> str:
    """Return one line that shows every character: what a terminal, a parser or a reader could take
    for something else stands as a visible escape, and very long texts are cut with a count."""
    whole = str(text)
    said = "".join(
        c if c.isprintable() and not hidden(c) else f"\\u{ord(c):04x}" for c in whole[:longest]
    )
    return f"{said} … ({len(whole) - longest:,} more characters)" if len(whole) > longest else said


def claim_name(claim: Claim) -> str:
    """Return a claim's id on one line, every character visible."""
    return shown(claim.id)


def _measured(v: Verdict) -> str:
    if v.value is None or v.interval is None:
        return "–"
    level = f", {percent(v.interval_level)}" if v.interval_level else ""
    n = f", n = {v.n:,}" if v.n is not None else ""
    return f"{number(v.value)} [{number(v.interval[0])}, {number(v.interval[1])}]{level}{n}"


def _why(v: Verdict) -> str:
    said = [shown(v.because).rstrip(".")]
    if v.waived_by:
        said.append(f"waived by {shown(v.waived_by).rstrip('.')}")
    if not v.claim.blocking:
        said.append("the gate does not block")
    return "; ".join(said)


def some(rows: Sequence[Row], *outcomes: Outcome) -> list[Row]:
    """Return the rows of these outcomes."""
    return [row for row in rows if row.outcome in outcomes]

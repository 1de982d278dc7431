"""One result, judged: claims held against numbers, waivers applied, findings written."""

from dataclasses import replace
from datetime import date

from audit import findings, gates, waivers
from audit.config import AuditConfig
from audit.types import AuditResult


def judged(result: AuditResult, *, today: date | None = None) -> AuditResult:
    """Judge the claims of a result from its own numbers; no model is loaded.

    Args:
        result: Plan, runs and waivers; its verdicts and findings are made anew.
        today: The day that waivers are held against; the day it is where not given.
    """
    plan = result.plan
    verdicts = gates.judge(plan.claims, result.runs, alpha=plan.alpha, undecided=plan.undecided)
    verdicts = waivers.apply(verdicts, result.waivers, today or waivers.now())
    return replace(result, verdicts=verdicts, findings=findings.find(plan, result.runs, verdicts))


def exit_code(result: AuditResult, *, today: date | None = None) -> int:
    """Return the exit code of a judged result: that of its gates, and 2 at the least where one of
    its waivers has expired or speaks of no claim. Of several that apply, the lowest of 1, 2, 3."""
    code = gates.exit_code(result.verdicts, result.runs, undecided=result.plan.undecided)
    loud = waivers.of_result(result, today)
    return gates.COULD_NOT_RUN if loud and code != gates.FAILED else code


def with_gates(result: AuditResult, config: AuditConfig) -> AuditResult:
    """Return a result with the claims of another audit file in place of its own.

    Raises:
        ConfigError: If a gate matches nothing that was measured.
    """
    claims = gates.expand(config.gate, result.plan.probes)
    plan = replace(
        result.plan, claims=claims, alpha=config.audit.alpha, undecided=config.audit.undecided
    )
    return replace(result, plan=plan)

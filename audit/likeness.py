"""Did two audits ask the same question?"""

import json

from audit.borders import plain
from audit.errors import ConfigError
from audit.types import AuditResult, Plan


def unlike(before: AuditResult, after: AuditResult) -> tuple[str, ...]:
    """Return in what two audits differ besides the model, one clause each; none: in nothing.

    Probes of one audit alone are no difference: what both measured can be compared.
    """
    one, other = before.plan, after.plan
    found = []
    texts = [{c.name: c.sha256 for c in r.provenance.corpora} for r in (before, after)]
    if texts[0].get("test") != texts[1].get("test"):
        found.append("the audited texts are others")
    if (
        set(one.decision.labels) != set(other.decision.labels)
        or set(one.decision.favourable) != set(other.decision.favourable)
        or one.decision.head != other.decision.head
    ):
        found.append("labels or favourable labels differ")
    elif one.decision.threshold != other.decision.threshold:
        found.append(
            f"the threshold is {_threshold(one)} in one and {_threshold(other)} in the other"
        )
    if one.seed != other.seed:
        found.append(f"the seed is {one.seed} in one and {other.seed} in the other")
    if one.level != other.level:
        found.append(f"intervals are at {one.level:g} in one and at {other.level:g} in the other")
    shared = {p.probe for p in one.probes} & {p.probe for p in other.probes}
    for probe in sorted(shared):
        mine, theirs = asked(one, probe), asked(other, probe)
        if mine == theirs:
            continue
        versions = {v for v, _ in [*mine, *theirs]}
        what = "version" if len(versions) > 1 else "settings"
        found.append(f"probe {probe} differs in {what}")
    return tuple(found)


def refuse_unlike(before: AuditResult, after: AuditResult, names: tuple[str, str]) -> None:
    """Refuse to compare audits that asked different questions.

    Raises:
        ConfigError: If they differ in anything besides the model; it says in what.
    """
    found = unlike(before, after)
    if found:
        raise ConfigError(
            f"{names[0]} and {names[1]} did not ask the same: {'; '.join(found)}.",
            hint="Audit both models with one audit file. `--unlike` compares what there is and "
            "says so.",
        )


def asked(plan: Plan, probe: str) -> list[tuple[str, str]]:
    """Return version and settings of each probe of that name."""
    # As JSON: a plan read from disk has lists where a fresh one has tuples.
    return [
        (p.version, json.dumps(plain(p.params), sort_keys=True))
        for p in plan.probes
        if p.probe == probe
    ]


def _threshold(plan: Plan) -> str:
    return "none" if plan.decision.threshold is None else f"{plan.decision.threshold:g}"

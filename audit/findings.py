"""From verdicts to findings: what was asked, what was found, what it means, what to do.

A finding is made for every measurement with a claim that failed or stayed undecided. Its severity
starts at the one its gate declares, because only the author of the gate knows who is exposed and
whether the harm can be undone, and moves with the size of the effect, never with a p-value:

- one step up where even the near end of the interval lies beyond the limit by the limit's own size;
- one step down where the value lies beyond the limit by less than a quarter of that size;
- undecided: one step down where the value lies beyond the limit, else *minor*.

The limit's own size is its distance from the ideal: from 0 for gaps and error shares, from 1 for
shares and ratios that should be high.
"""

import hashlib
from collections.abc import Mapping, Sequence
from math import ceil, isclose

from audit.figures import humanise, limit, number, p_equals, parse, percent, slice_words
from audit.types import (
    Absent,
    Case,
    Claim,
    Estimate,
    Finding,
    Measurement,
    Plan,
    ProbeRun,
    Severity,
    Verdict,
)

STEPS: tuple[Severity, ...] = ("minor", "moderate", "serious", "critical")
_RANK = {"fail": 0, "inconclusive": 1, "not_estimable": 2}
_SMALLEST_SCALE = 0.02
"""A limit of zero has no size of its own; two hundredths stand in for it."""
_EVIDENCE = 20

_ADVICE = {
    "swaps": "Read the pairs: the changed words are the only difference. Then add "
    "counterfactual copies of the training texts (evenhand retrain) and measure again on the "
    "same texts.",
    "typos": "Add mistyped copies of the training texts (evenhand retrain), or correct spelling "
    "before the model reads, and measure again on the same texts.",
    "noise": "Find where such noise comes from in use. Clean it before the model reads, or add "
    "noisy copies of the training texts (evenhand retrain), and measure again.",
    "attack": "Read the changed texts and strike out those that no longer mean the same. If what "
    "remains matters, retrain on such changes and attack the new model again: old attacks "
    "flatter a new model.",
    "reliance": "Look at the words that carry the score. If they should not matter, balance them "
    "in the training texts (evenhand retrain) and check with swaps that the decision follows.",
    "templates": "Read the failed cases by template: a few templates may carry them all. Where the "
    "expectation holds for your use, add texts of that kind to training and measure again.",
    "dialect": "Read the pairs: grammar alone was changed. Ask speakers whether they sound right, "
    "then add texts in that variety to training and measure again.",
    "slices": "Read texts of the slice that are decided wrongly; it was found on one half of the "
    "texts and confirmed on the other. Label more such texts before anything else is changed.",
    "bias_auc": "Read texts that name the identity and score high without cause. Balance labels "
    "among training texts that name it, and measure again.",
    "calibration": "Scores of this group do not mean what they say elsewhere. Recalibrate, or do "
    "not use one threshold for all before that is understood.",
    "impact_ratio": "Look for the cause before acting; whether a ratio is lawful is a question for "
    "counsel, not for this number.",
    "data_audit": "Mend the data first: what a model learns or is measured on there cannot be "
    "trusted, and numbers of other probes rest on it.",
    "group_rates": "Look for the cause before acting: compare base rates, label quality, length "
    "and subject of the texts between the groups, then decide whether data, labels or the "
    "threshold must change.",
}
_OTHER_ADVICE = "Read the cases, name the cause, change data or model, and measure again."


def find(plan: Plan, runs: Sequence[ProbeRun], verdicts: Sequence[Verdict]) -> tuple[Finding, ...]:
    """Return the findings, most severe first, failures before the undecided.

    Two claims on one measurement (a floor and a ceiling) give one finding. A crashed probe gives
    none: the report lists it under errors, and its claims have the status *error*.
    """
    measured = {m.id: m for run in runs for m in run.measurements}
    cases = _by_metric(runs)
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.status in _RANK:
            groups.setdefault(verdict.claim.measurement, []).append(verdict)
    found = []
    for measurement, group in groups.items():
        worst = min(group, key=lambda v: (_RANK[v.status], -STEPS.index(v.claim.severity)))
        said = measured[measurement].value if measurement in measured else None
        unit = measured[measurement].unit if measurement in measured else ""
        value = said if isinstance(said, Estimate) else None
        found.append(
            (
                _RANK[worst.status],
                Finding(
                    id=finding_id(measurement),
                    title=_title(worst),
                    severity=severity(worst, value),
                    criterion=" ".join(_criterion(plan, v.claim) for v in group),
                    condition=_condition(worst, said),
                    effect=_effect(worst, value, unit),
                    recommendation=_recommendation(worst, said),
                    measurement=measurement,
                    claim=worst.claim.id,
                    example_ids=_evidence(_cases(measurement, measured, cases)),
                ),
            )
        )
    found.sort(key=lambda f: (-STEPS.index(f[1].severity), f[0], f[1].measurement))
    return tuple(finding for _, finding in found)


def finding_id(measurement: str) -> str:
    """Return the id of the finding on `measurement`: the same for every run, whatever it finds."""
    # The measurement id is the probe, the metric and the slice, and nothing else.
    return f"F-{hashlib.sha256(measurement.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def severity(verdict: Verdict, estimate: Estimate | None) -> Severity:
    """Return the severity of a failed or undecided claim; see the rule at the head of this file."""
    claim = verdict.claim
    declared = STEPS.index(claim.severity)
    if estimate is None:
        return STEPS[max(0, declared - 1)]
    beyond, surely = _beyond(claim, estimate)
    scale = _scale(claim, estimate)
    if verdict.status != "fail":
        return STEPS[max(0, declared - 1)] if beyond > 0 else "minor"
    if surely >= scale or isclose(surely, scale):
        return STEPS[min(len(STEPS) - 1, declared + 1)]
    return STEPS[max(0, declared - 1)] if beyond < scale / 4 else STEPS[declared]


def _beyond(claim: Claim, e: Estimate) -> tuple[float, float]:
    """Return how far the value, and the near end of its interval, lie on the wrong side."""
    if claim.side == "at_most":
        return e.value - claim.limit, e.low - claim.limit
    return claim.limit - e.value, claim.limit - e.high


def _scale(claim: Claim, e: Estimate) -> float:
    should_be_high = claim.side == "at_least" and 0 < claim.limit < 1 and e.low >= 0
    return max(_SMALLEST_SCALE, 1 - claim.limit if should_be_high else abs(claim.limit))


def _by_metric(runs: Sequence[ProbeRun]) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for run in runs:
        for case in run.cases:
            found.setdefault(case.metric, []).append(case)
    return found


def _cases(
    measurement: str, measured: Mapping[str, Measurement], cases: Mapping[str, list[Case]]
) -> list[Case]:
    """Return a measurement's cases, else those that the same probe shows of the same slice."""
    if measurement in cases or measurement not in measured:
        return cases.get(measurement, [])
    probe, where = parse(measurement).probe, measured[measurement].where
    return [
        case
        for metric, found in cases.items()
        if metric in measured and parse(metric).probe == probe and measured[metric].where == where
        for case in found
    ]


def _evidence(cases: list[Case]) -> tuple[str, ...]:
    ranked = sorted(
        cases, key=lambda c: (not c.flipped, -abs(c.score_after - c.score_before), c.example_id)
    )
    return tuple(dict.fromkeys(case.example_id for case in ranked))[:_EVIDENCE]


def _title(verdict: Verdict) -> str:
    name = parse(verdict.claim.measurement)
    what = f"{name.probe}: {humanise(name.metric)}, {slice_words(name.where)}"
    ends = {
        "fail": "above its limit" if verdict.claim.side == "at_most" else "below its limit",
        "inconclusive": "undecided against its limit",
        "not_estimable": "could not be judged",
    }
    return f"{what}: {ends[verdict.status]}"


def _criterion(plan: Plan, claim: Claim) -> str:
    side = "at most" if claim.side == "at_most" else "at least"
    # A margin against a baseline is a limit on the change, not on the level.
    subject = "The change against the baseline was" if claim.against == "baseline" else "It was"
    stops = "blocking" if claim.blocking else "not blocking"
    return (
        f"{subject} to be {side} {limit(claim.limit)}, declared before the run "
        f"(gate {claim.gate + 1}, {stops}, severity {claim.severity}, alpha {limit(plan.alpha)})."
    )


def _condition(verdict: Verdict, said: Estimate | Absent | None) -> str:
    waived = f" Waived: {verdict.waived_by}." if verdict.waived_by else ""
    if said is None:
        return f"Not measured: {verdict.because}.{waived}"
    if isinstance(said, Absent):
        return f"No estimate ({said.code}): {said.reason}.{waived}"
    text = (
        f"Measured {number(said.value)}, {percent(said.level)} interval {number(said.low)} to "
        f"{number(said.high)}, n = {said.n:,}."
    )
    if verdict.p_break_adjusted is not None and verdict.status == "fail":
        text += (
            f" Evidence against the limit: p {p_equals(verdict.p_break_adjusted)} after "
            f"correction for {verdict.m:,} claims."
        )
    return text + waived


def _effect(verdict: Verdict, e: Estimate | None, unit: str) -> str:
    if e is None:
        return "Nothing is known about this slice. Absence of a number is not absence of an effect."
    claim = verdict.claim
    beyond, surely = _beyond(claim, e)
    side = "above" if claim.side == "at_most" else "below"
    if verdict.status == "fail":
        near = (
            f"the near end of its {percent(e.level)} interval by {number(surely)}"
            if surely > 0
            else f"its {percent(e.level)} interval reaches back across it"
        )
        return (
            f"The value lies {side} the limit by {number(beyond)}; "
            f"{near}.{_in_a_hundred(claim, e, unit)}"
        )
    text = (
        f"Too few texts to judge by: the gate asks for {claim.min_n:,}."
        if verdict.status == "not_estimable"
        else f"The interval reaches across the limit {limit(claim.limit)}: these texts cannot say on "
        "which side the truth lies."
        if e.low <= claim.limit <= e.high
        else "The interval lies on one side of the limit, but the evidence does not meet the "
        "declared standard."
    )
    if e.mde is not None:
        text += f" An effect of {number(e.mde)} would have been detected with 80% power."
    return text


def _in_a_hundred(claim: Claim, e: Estimate, unit: str) -> str:
    if not unit.startswith("share of ") or not 0 <= e.value <= 1 or not 0 < claim.limit < 1:
        return ""
    rule = "at most" if claim.side == "at_most" else "at least"
    return (
        f" In every 100 {unit.removeprefix('share of ')} that is about {100 * e.value:.0f}, where "
        f"{rule} {round(100 * claim.limit, 1):g} was the limit."
    )


def _recommendation(verdict: Verdict, said: Estimate | Absent | None) -> str:
    if said is None:
        return "Make the probe run: the report says what it lacked. Then audit again."
    if isinstance(said, Absent):
        return (
            "Audit texts that belong to this slice, or mark the gate optional if the slice is "
            "expected to be empty."
        )
    if verdict.status != "fail":
        return _more_texts(verdict.claim, said)
    return _ADVICE.get(parse(verdict.claim.measurement).probe, _OTHER_ADVICE)


def _more_texts(claim: Claim, e: Estimate) -> str:
    """Say how many texts would decide, were the value to stay where it is."""
    if e.n < claim.min_n:
        return f"Audit at least {claim.min_n:,} texts of this slice; this audit had {e.n:,}."
    distance = abs(e.value - claim.limit)
    half = (e.high - e.low) / 2
    if distance <= half / 10:
        return (
            "The value lies on the limit: more texts alone may not decide it. Narrow the question, "
            "or settle beforehand what follows from an undecided claim."
        )
    needed = ceil(e.n * (half / distance) ** 2 / 10) * 10
    if needed <= e.n:
        return "Audit more texts of this slice, or declare fewer claims: each one costs certainty."
    return (
        f"Audit more texts of this slice: about {needed:,} would decide the claim if the value "
        f"stays where it is (this audit had {e.n:,})."
    )

"""What the page says of a state, a number or an outcome, in words."""

import re
from collections import Counter
from collections.abc import Sequence

from audit.figures import humanise, number, p_equals
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

STATUSES = {
    "fail": "Fail",
    "error": "Error",
    "inconclusive": "Undecided",
    "not_estimable": "Not estimable",
    "pass": "Pass",
    "not_applicable": "Not applicable",
}
"""Status to the word on the page, in the order in which a reader needs them."""

MEANINGS = {
    "fail": "the evidence says that the limit is broken",
    "error": "the probe crashed: nothing was judged",
    "inconclusive": "these texts cannot say on which side of the limit the truth lies",
    "not_estimable": "no number could be formed",
    "pass": "the evidence says that the limit is kept",
    "not_applicable": "optional, and the slice is empty in these texts",
}

_EXITS = {
    0: "No blocking claim failed, crashed or stayed undecided. A job with these gates goes on.",
    1: "At least one blocking limit is broken. A job that runs these gates stops.",
    2: "A probe behind a blocking claim crashed, so that claim was not judged. A job that runs "
    "these gates stops until the probe has been mended.",
    3: "No blocking limit was found broken, but at least one blocking claim could not be decided. "
    "Undecided is not a pass: a job that runs these gates stops, with a code of its own.",
}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def exit_words(code: int, result: AuditResult) -> str:
    """Say what an exit code means for whoever waits for it."""
    text = _EXITS[code]
    if code == 0 and (_any(result, "inconclusive") or _any(result, "not_estimable")):
        text = (
            "No blocking limit was found broken. Some claims stayed undecided; the plan says that "
            "such claims warn and do not stop a job."
        )
    if code == 1 and not _any(result, "fail"):
        text = (
            "No limit was found broken, but a blocking claim stayed undecided, and the plan says "
            "that undecided counts as failed. A job that runs these gates stops."
        )
    return text


def _any(result: AuditResult, status: str) -> bool:
    return any(v.status == status and v.claim.blocking and not v.waived_by for v in result.verdicts)


def headline(verdicts: Sequence[Verdict]) -> str:
    """Return the outcome as one sentence, with no comfort added."""
    if not verdicts:
        return "No limit was declared, so nothing was judged."
    counts = Counter[str](v.status for v in verdicts)
    whole = len(verdicts)
    judged = whole - counts["not_applicable"]
    said = [
        f"{_count(counts[status])} {words[min(1, counts[status] - 1)]}"
        for status, words in {
            "fail": ("fails", "fail"),
            "error": ("crashed", "crashed"),
            "inconclusive": ("is undecided", "are undecided"),
            "not_estimable": ("could not be estimated", "could not be estimated"),
        }.items()
        if counts[status]
    ]
    claims = f"{_count(whole)} {'claim' if whole == 1 else 'claims'}"
    if not said:
        if not judged:
            return f"{_capital(claims)}, none of which applies to these texts."
        every = "The one claim passes" if whole == 1 else f"All {claims} pass"
        if judged < whole:
            every = f"{_capital(_count(judged))} of {claims} pass; the rest do not apply"
        return f"{every}, at the limits that were declared."
    return f"Of {claims}, {_listed(said)}."


def _count(n: int) -> str:
    return _NUMBERS[n] if n < len(_NUMBERS) else f"{n:,}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def warnings(result: AuditResult) -> tuple[str, ...]:
    """Return what a reader must know before the first number."""
    runs, found = result.runs, []
    measured = [m for run in runs for m in run.measurements]
    crashed = [run.probe for run in runs if run.error]
    idle = [run.probe for run in runs if run.not_run]
    if not runs:
        found.append("No probe was run. This page holds a plan and no results.")
    elif len(crashed) == len(runs):
        found.append("Every probe crashed. Nothing on this page says anything about the model.")
    elif len(crashed) + len(idle) == len(runs):
        found.append(
            "Every probe crashed or was not run. "
            "Nothing on this page says anything about the model."
        )
    elif crashed:
        found.append(
            f"{_capital(_count(len(crashed)))} of {_count(len(runs))} probes did not finish: "
            f"{', '.join(crashed)}. What they did not measure is unknown, not clear."
        )
    if measured and all(isinstance(m.value, Absent) for m in measured):
        found.append(
            "No number could be formed: "
            + (f"all {len(measured):,} measurements are" if len(measured) > 1 else "the one is")
            + " absent. Nothing on this page says anything about the model."
        )
    elif runs and not measured and len(crashed) + len(idle) < len(runs):
        found.append("The probes ran and measured nothing.")
    if idle and len(crashed) + len(idle) < len(runs):
        verb = "probe was" if len(idle) == 1 else "probes were"
        found.append(f"{_capital(_count(len(idle)))} {verb} not run: {', '.join(idle)}.")
    corpora = result.provenance.corpora
    found += [f"The corpus {c.name} holds no text." for c in corpora if not c.texts]
    synthetic = [c.name for c in corpora if c.kind == "synthetic" and c.texts]
    if synthetic:
        found.append(
            f"The texts of {', '.join(synthetic)} are synthetic: they show how the model reacts, "
            "not how often such texts occur."
        )
    return tuple(found)


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


def reading(m: Measurement, q: float | None = None, among: int = 0) -> str:
    """Say on which side of *no effect* an estimate lies, where there is such a value.

    Args:
        m: The measurement.
        q: For an exploratory one, its p-value corrected over the `among` of its family.
        among: How many those are.
    """
    e = m.value
    if isinstance(e, Absent):
        return ""
    none = no_effect(m)
    if none is None:
        return ""
    within = "" if q is None or among < 2 else f" q {p_equals(q)} among {among:,}."
    if e.low <= none <= e.high:
        detectable = (
            f" A difference of {number(e.mde)} would have been detected with 80% power."
            if e.mde is not None
            else ""
        )
        return f"Direction undecided: the interval covers {none:g}.{detectable}"
    side = "above" if e.low > none else "below"
    if q is not None and q > 1 - e.level:
        return f"The interval alone lies {side} {none:g}; among so many it may by chance.{within}"
    return f"The whole interval lies {side} {none:g}.{within}"


def is_share(m: Measurement) -> bool:
    """Tell whether the quantity can only lie in [0, 1]."""
    return m.unit.startswith("share") and no_effect(m) is None


def rule(decision: Decision) -> str:
    """Say how scores become a decision."""
    wanted = ", ".join(decision.favourable)
    if decision.head == "multi":
        least = 0.5 if decision.threshold is None else decision.threshold
        return f"A label applies from a probability of {least:g} on. Favourable: {wanted}."
    if decision.threshold is None:
        return f"The likeliest label decides. Favourable: {wanted}."
    return f"Favourable ({wanted}) from a probability of {decision.threshold:g} on."


def duration(seconds: float) -> str:
    """Write a time span."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""What nobody declared before the run: corrected for how many numbers one looks at."""

from collections.abc import Mapping
from dataclasses import dataclass

from audit import stats
from audit.report._wording import no_effect
from audit.types import AuditResult, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """Evidence against *no effect*, among all exploratory numbers of one family."""

    q: float
    """Two-sided p-value after Benjamini and Hochberg, in [0, 1]."""
    m: int
    """Exploratory numbers of the family that could be held against *no effect*."""


def corrected(result: AuditResult) -> Mapping[str, Corrected]:
    """Return the correction of every measurement without a claim that has a value of no effect.

    A family is one metric of one probe over all its slices, unless the probe says otherwise.
    Declared claims are left out: `gates.judge` corrects them by Holm's method.

    Source:
        Benjamini & Hochberg (1995), JRSS B 57, pp. 289-300.
    """
    declared = {v.claim.measurement for v in result.verdicts}
    families: dict[str, dict[str, float]] = {}
    for run in result.runs:
        for m in run.measurements:
            none = no_effect(m)
            if m.id in declared or none is None or not isinstance(m.value, Estimate):
                continue
            # Among many small groups the score intervals shown are a little too sure.
            value = stats.for_judging(m.value)
            sides = (stats.p_beyond(value, none, side) for side in ("above", "below"))
            family = families.setdefault(m.family or f"{run.probe}.{m.metric}", {})
            family[m.id] = min(1.0, 2 * min(sides))
    return {
        name: Corrected(q=float(q), m=len(family))
        for family in families.values()
        for name, q in zip(family, stats.benjamini_hochberg([*family.values()]), strict=True)
    }

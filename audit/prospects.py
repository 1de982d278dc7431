"""What the gates would come to: the chance of pass, fail and undecided, told before the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from audit import looks, reading
from audit.compare import better_of
from audit.figures import parse
from audit.intervals import z_of
from audit.planning import Prepared
from audit.power import independent
from audit.types import Claim, Example, Plan
from audit.weighing import origin

DISCORDANCE = 0.10
"""Share of decisions that two releases disagree on, where nobody says."""
_KNOWN = 2.8015852
"""Normal quantiles of a detectable effect: two-sided 0.05 and a power of 0.8."""
_LABELLED = ("accuracy", "true_positive_rate", "false_positive_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """Chances that a claim passes, fails and stays undecided, in [0, 1], summing to 1."""

    passes: float
    fails: float

    @property
    def undecided(self) -> float:
        return max(0.0, 1.0 - self.passes - self.fails)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """One claim before the run."""

    claim: Claim
    units: int
    """Independent units behind it; of a gap, those of its smaller side."""
    kept: Chances
    """If nothing changed, or there is no gap, or the rate is half of its limit."""
    broken: Chances
    """If the truth is twice the margin or limit."""


def chances(distance: float, *, alpha: float, m: int, number: int | None = None) -> Chances:
    """Return what a claim comes to.

    Args:
        distance: From the truth to the limit, in standard errors of all texts; above 0: the limit
            is kept.
        alpha: Error rate of the gates.
        m: Claims corrected together; the strictest step of Holm's method is reckoned with.
        number: Looks under a budget; None: all texts are read and judged once.

    Returns:
        By the normal distribution: a point or two above what exact bounds give where only few
        texts count.
    """
    if number is None:
        return Chances(
            passes=_above(distance - z_of(1 - alpha)),
            fails=_above(-distance - z_of(1 - alpha / m)),
        )
    return Chances(
        passes=float(looks.crossing(distance, alpha, number)[-1]),
        fails=float(looks.crossing(-distance, alpha / m, number)[-1]),
    )


def prospects(
    prepared: Prepared, *, discordance: float = DISCORDANCE, budget: bool = False
) -> list[Prospect]:
    """Return what the claims would come to whose size can be told without a model.

    Args:
        prepared: The audit, nothing scored.
        discordance: Share of decisions on which the audited model and the baseline differ.
        budget: Whether the texts are read in looks.
    """
    plan = prepared.plan
    number = {}
    if budget:
        order = reading.reading_order(prepared.test, plan.seed)
        number = {c.id: len(p.texts) for p in reading.paces(prepared, order) for c in p.claims}
    found = []
    for claim in plan.claims:
        told = _error(prepared, claim, discordance)
        if told is None or claim.limit <= 0 or claim.side != "at_most":
            continue
        error, units, aim = told
        family = sum(c.blocking is claim.blocking for c in plan.claims)
        of = number.get(claim.id) if budget else None
        kept, broken = (
            chances((claim.limit - truth) / error, alpha=plan.alpha, m=family, number=of)
            for truth in (aim, 2 * claim.limit)
        )
        found.append(Prospect(claim=claim, units=units, kept=kept, broken=broken))
    return found


def _error(prepared: Prepared, claim: Claim, discordance: float) -> tuple[float, int, float] | None:
    """Return a claim's standard error, its units, and the number if all is well."""
    name = origin(claim)
    metric = parse(name).metric
    sides = _sides(prepared, name)
    if claim.against == "baseline":
        if metric.endswith("_shift") or not all(sides):
            return None
        return sqrt(sum(discordance / n for n in sides)), min(sides), 0.0
    smallest = _mde(prepared.plan, name)
    if better_of(metric) == "nearer_zero":
        return None if smallest is None else (smallest / _KNOWN, min(sides), 0.0)
    if better_of(metric) != "lower" or not 0 < claim.limit < 1 or not min(sides):
        return None
    half = claim.limit / 2
    return sqrt(claim.limit * (1 - claim.limit) / min(sides)), min(sides), half


def _mde(plan: Plan, name: str) -> float | None:
    return next((p.mde[name] for p in plan.probes if name in p.mde), None)


def _sides(prepared: Prepared, name: str) -> list[int]:
    """Return the independent units behind a number; of a gap, those of each side."""
    said = parse(name)
    metric = said.metric
    if said.probe != "group_rates":
        units = [p.units for p in prepared.plan.probes if name in p.measurements]
        return [min([*units, _count(prepared.test.examples)])]
    where = {k: v for k, v in said.where.items() if k not in ("against", "threshold", "over")}
    texts = [e for e in prepared.test.examples if _counts(e, metric, prepared)]
    mine = [e for e in texts if all(e.groups.get(k) == v for k, v in where.items())]
    against = said.where.get("against")
    if against is None:
        return [_count(mine)]
    chosen = {e.id for e in mine}
    known = [e for e in texts if e.id not in chosen and all(e.groups.get(k) for k in where)]
    if against not in ("rest", "reference"):
        known = [e for e in known if e.groups.get(next(iter(where))) == against]
    return [_count(mine), _count(known)]


def _counts(e: Example, metric: str, prepared: Prepared) -> bool:
    if not metric.startswith(_LABELLED):
        return True
    if e.label is None:
        return False
    if metric.startswith("accuracy"):
        return True
    names = e.label if isinstance(e.label, tuple) else (e.label,)
    favourable = any(name in prepared.decision.favourable for name in names)
    return favourable is metric.startswith("true_positive_rate")


def _count(examples: Sequence[Example]) -> int:
    return independent(e.cluster for e in examples)


def _above(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(z))

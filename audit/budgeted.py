"""An audit that may cost so much and no more: growing looks, the most telling first.

Texts are read in an order drawn by the seed, whole clusters together, and each probe sees the first
of them: a 64th, then 2 ** (1/2) times as many at each look, at last all (`audit.looks`). After a
look its claims are judged with bounds that hold over all looks; a probe whose claims are all
settled is not asked again. Which probe looks next is decided by what its open claims are expected
to settle for a model call, or for a second where the budget is time.

A number behind several claims is kept from the look at which all of them were settled, so that the
result is judged again from itself; a fail is settled where it would stand if all other claims
failed beside it (Bonferroni), a pass where its own error is small enough.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from time import perf_counter

from audit import baseline, gates, looks
from audit.errors import ConfigError
from audit.intervals import looked_at
from audit.planning import Prepared
from audit.reading import NOT_READ, Budget, Pace, first, paces, reading_order
from audit.types import (
    Claim,
    Corpus,
    Estimate,
    Measurement,
    ProbeCost,
    ProbeRun,
    Skip,
    Verdict,
)
from audit.weighing import origin

_HOPE = 0.01
"""Least chance that a look is credited with: nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a budget bought."""

    runs: tuple[ProbeRun, ...]
    costs: tuple[ProbeCost, ...]
    parts: tuple[Path, ...]
    read: Prepared
    """The audit over the texts that were read."""


Ask = Callable[[int, Prepared], tuple[ProbeRun, ProbeCost, Path | None]]
Held = Callable[[Prepared, Sequence[ProbeRun], Sequence[str], Path | None], tuple[Measurement, ...]]


def spend(
    prepared: Prepared, budget: Budget, ask: Ask, held: Held | None, *, began: float | None = None
) -> Spent:
    """Look and judge until every claim is settled or the budget is spent.

    Args:
        prepared: The audit, nothing scored yet.
        budget: What it may cost. Calls are counted as `plan` counts them: every question of a probe
            and every audited text once, repeats and cached scores included, so that the same budget
            reads the same texts whatever a cache knows.
        ask: Runs one probe over the texts of the audit it is given.
        held: The worsenings of a probe's claims against a baseline; None: there is none.
        began: When the clock started, by ``perf_counter``.

    Raises:
        ConfigError: If there is no claim to settle.
    """
    if not prepared.plan.claims:
        raise ConfigError(
            "A budget is spent on verdicts, and no gate is declared.",
            hint="Add a [[gate]], or run without --budget.",
        )
    order = reading_order(prepared.test, prepared.plan.seed)
    desk = _Desk(prepared, order, budget, perf_counter() if began is None else began)
    open_ = {pace.probe: _Open(pace) for pace in paces(prepared, order)}
    while (chosen := desk.next(list(open_.values()))) is not None:
        one = open_[chosen]
        texts = one.pace.texts[one.done]
        part = first(prepared, order, texts)
        clock = perf_counter()
        run, cost, cases = ask(chosen, part)
        one.seconds += perf_counter() - clock
        one.take(run, cost, cases)
        desk.texts = max(desk.texts, texts)
        desk.judge(one, part, held)
    return desk.close(open_)


class _Open:
    """How far one probe is."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.done = 0
        self.seconds = 0.0
        self.run: ProbeRun | None = None
        self.costs: list[ProbeCost] = []
        self.part: Path | None = None
        self.kept: dict[str, Measurement] = {}
        """Numbers all of whose claims are settled, from the look that settled the last of them."""
        self.verdicts: Mapping[str, Verdict] = {}

    @property
    def texts(self) -> int:
        return self.pace.texts[self.done - 1] if self.done else 0

    @property
    def calls(self) -> int:
        """Calls so far, as planned: not what a cache saved, so that it saves no verdict either."""
        return self.pace.calls[self.done - 1] if self.done else 0

    @property
    def unsettled(self) -> list[Claim]:
        return [c for c in self.pace.claims if origin(c) not in self.kept]

    @property
    def over(self) -> bool:
        return self.done == len(self.pace.texts) or not self.unsettled

    def take(self, run: ProbeRun, cost: ProbeCost, part: Path | None) -> None:
        self.done += 1
        self.costs.append(cost)
        self.part = part
        total = len(self.pace.texts)
        if total > 1:
            run = replace(
                run,
                measurements=tuple(
                    replace(m, value=looked_at(m.value, self.done, total, self.texts))
                    if isinstance(m.value, Estimate)
                    else m
                    for m in run.measurements
                ),
            )
        self.run = replace(
            run, measurements=tuple(self.kept.get(m.id, m) for m in run.measurements)
        )


class _Desk:
    """What is spent, and what is worth spending on."""

    def __init__(self, prepared: Prepared, order: Corpus, budget: Budget, began: float) -> None:
        self.prepared, self.order, self.budget, self.began = prepared, order, budget, began
        self.texts = 0
        blocking = sum(c.blocking for c in prepared.plan.claims)
        self.families = {True: blocking, False: len(prepared.plan.claims) - blocking}

    def next(self, probes: Sequence[_Open]) -> int | None:
        """Return the probe whose next look settles most for its cost, None where none can look."""
        asked = [one for one in probes if not one.over]
        if self.budget.calls is not None:
            spent = sum(one.calls for one in probes)
            asked = [
                one
                for one in asked
                if spent - one.calls + one.pace.calls[one.done] + self._reading(one)
                <= self.budget.calls
            ]
        else:
            left = (self.budget.seconds or 0.0) - (perf_counter() - self.began)
            asked = [one for one in asked if left > 0 and self._seconds(one) <= left]
        # Ties go to the first in the audit file.
        best = max(asked, key=lambda one: (self._worth(one), -one.pace.probe), default=None)
        return None if best is None else best.pace.probe

    def judge(self, one: _Open, part: Prepared, held: Held | None) -> None:
        """Judge what hangs on a probe after a look of it, and keep what is settled."""
        assert one.run is not None
        claims, runs = one.unsettled, [one.run]
        worse = [c.measurement for c in claims if c.against == "baseline"]
        if worse and held is not None and not one.run.not_run:
            found = held(part, runs, worse, one.part)
            runs.append(ProbeRun(probe=baseline.PROBE, version="1", params={}, measurements=found))
        verdicts = gates.judge(claims, runs, alpha=self.prepared.plan.alpha)
        one.verdicts = {v.claim.id: v for v in verdicts}
        behind: dict[str, list[Verdict]] = {}
        for verdict in verdicts:
            behind.setdefault(origin(verdict.claim), []).append(verdict)
        for m in one.run.measurements:
            if m.id in behind and all(self._settled(v) for v in behind[m.id]):
                one.kept[m.id] = m
        if one.run.error and one.done < len(one.pace.texts):
            # Few texts may lack what a probe needs; only all of them show that it cannot be run.
            one.kept = {}

    def close(self, open_: Mapping[int, _Open]) -> Spent:
        """Return what was bought, with what was not read counted beside it."""
        total = len(self.order.examples)
        runs, costs, parts = [], [], []
        for i, (probe, planned) in enumerate(
            zip(self.prepared.probes, self.prepared.plan.probes, strict=True)
        ):
            one = open_.get(i)
            if one is None or one.run is None:
                reason, hint = planned.not_run, planned.not_run_hint
                if not reason and one is None:
                    reason, hint = "no gate hangs on it.", "Run without --budget to measure it too."
                elif not reason:
                    reason, hint = "the budget was spent before its first look.", "Raise --budget."
                runs.append(
                    ProbeRun(
                        probe=probe.name,
                        version=probe.version,
                        params=planned.params,
                        not_run=reason,
                        not_run_hint=hint,
                    )
                )
                costs.append(ProbeCost(probe=probe.name))
                continue
            left = total - one.texts
            why = "the budget was spent" if one.unsettled else "its verdicts were settled"
            skips = (Skip(reason=f"{NOT_READ}: {why}", count=left),) if left > 0 else ()
            runs.append(replace(one.run, skips=(*one.run.skips, *skips)))
            costs.append(_summed(one.costs))
            parts += [one.part] if one.part else []
        return Spent(
            runs=tuple(runs),
            costs=tuple(costs),
            parts=tuple(parts),
            read=first(self.prepared, self.order, self.texts),
        )

    def _reading(self, one: _Open) -> int:
        """Return the texts read themselves, for the record of the audit, after its next look."""
        return max(self.texts, one.pace.texts[one.done])

    def _seconds(self, one: _Open) -> float:
        """Return how long the next look takes, by what the last ones took; 0: nobody knows."""
        return one.seconds / max(1, one.calls) * self._ahead(one) if one.done else 0.0

    def _ahead(self, one: _Open) -> int:
        return max(1, one.pace.calls[one.done] - one.calls)

    def _worth(self, one: _Open) -> float:
        """Return the claims that the next look is expected to settle, for a call or a second."""
        cost: float = self._ahead(one)
        if self.budget.calls is None and one.done:
            cost = max(1e-6, self._seconds(one))
        elif self.budget.calls is None:
            cost *= 1e-2
        hope = sum(max(_HOPE, self._chance(one, claim)) for claim in one.unsettled)
        return hope / cost

    def _chance(self, one: _Open, claim: Claim) -> float:
        verdict = one.verdicts.get(claim.id)
        if verdict is None or verdict.p_keep is None or verdict.p_break is None:
            return 1.0 if not one.done else 0.0
        number = len(one.pace.texts)
        # The p-values are those over all looks; how far one is on its way shows in quantiles.
        least = min(verdict.p_keep, verdict.p_break)
        wanted = self.prepared.plan.alpha
        if verdict.p_break < verdict.p_keep:
            wanted /= self.families[claim.blocking]
        from scipy.special import ndtr, ndtri

        now = -float(ndtri(min(0.5, max(1e-12, least))))
        grown = sqrt(looks.share(one.done + 1, number) / looks.share(one.done, number))
        return float(ndtr(now * grown + float(ndtri(wanted))))

    def _settled(self, verdict: Verdict) -> bool:
        if verdict.status == "pass":
            return True
        p, m = verdict.p_break, self.families[verdict.claim.blocking]
        return verdict.status == "fail" and p is not None and p * m <= self.prepared.plan.alpha


def _summed(costs: Sequence[ProbeCost]) -> ProbeCost:
    return ProbeCost(
        probe=costs[0].probe,
        queries=sum(c.queries for c in costs),
        forwards=sum(c.forwards for c in costs),
        seconds=round(sum(c.seconds for c in costs), 3),
        from_journal=all(c.from_journal for c in costs),
    )

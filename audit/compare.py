"""Two audits of the same texts: what got better, what got worse, what cannot be told."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from audit import pairing, stats, store
from audit.advice import advice as advice
from audit.advice import over_seeds as over_seeds
from audit.advice import spreads as spreads
from audit.advice import words
from audit.likeness import unlike
from audit.metrics import Rate
from audit.moved import Moved
from audit.moved import change as paired_by_influence
from audit.moved import influences as read_influences
from audit.pairing import Table, Texts, Trials
from audit.types import (
    Absent,
    AuditResult,
    Change,
    Comparison,
    Estimate,
    Measurement,
    measurement_id,
)
from audit.weighing import claim_changes, origin, weighed

Better = Literal["lower", "higher", "nearer_zero", ""]

_LOWER = re.compile(
    r"(flip|failure|leak|duplicate)_rate|score_shift|accuracy_drop|excess_ctf|weak_share|brier"
    r"|(attack|valid|rated)_success_rate|broken_within_budget|broken_by|worst_case_broken"
    r"|still_broken|excess_share"
)
_HIGHER = re.compile(r"(|.*_)accuracy|(|.*_)auc")
_NEARER = re.compile(r".*_gap|excess_shift|net_shift|in_the_large")
"""Metrics by which way is better, the last word first: a gap of accuracy is a gap."""


def compare_folders(
    before: Path,
    after: Path,
    *,
    margin: float | None = None,
    margins: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare two audits on disk.

    Raises:
        ResultError: If one is missing or damaged, or they share no text.
    """
    return compare(
        store.read(before),
        store.read(after),
        units=(store.read_table(before, store.UNITS), store.read_table(after, store.UNITS)),
        cases=(store.read_table(before, store.CASES), store.read_table(after, store.CASES)),
        influences=(store.read_influences(before), store.read_influences(after)),
        margin=margin,
        margins=margins,
    )


def compare(
    before: AuditResult,
    after: AuditResult,
    *,
    units: tuple[Table, Table],
    cases: tuple[Table, Table],
    influences: tuple[Table, Table] = ({}, {}),
    margin: float | None = None,
    margins: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare two audits, paired on the texts that are in both.

    Accuracy, selection, rates by group and their gaps are paired from the units; flip rates and
    score shifts from the cases, where these hold every text; means, gaps and curves of the probes
    from the influences. What cannot be paired gets the widest
    interval that any dependence between the audits allows; `Estimate.method` is then ``unpaired``.
    A change is called better or worse when its p-value, adjusted over all changes that have a
    better direction, is at most 1 - level; see `weighing.weighed`. Accuracy, what a gate of the
    first audit speaks of and what its ``[compare]`` names are asked first.

    Args:
        before: An audit.
        after: Another of the same texts.
        units: ``units.parquet`` of both, as columns.
        cases: ``cases.parquet`` of both.
        influences: ``influence.parquet`` of both; without them fewer numbers are paired.
        margin: Loss of accuracy that counts as none (non-inferiority); the first audit's if not set.
        margins: The same for other measurements, over and above those of the first audit.

    Raises:
        ResultError: If no text is in both, or their true labels differ.
    """
    level = before.plan.level
    texts = pairing.match(units, before.plan.decision)
    found = changes_of(_measured(before), _measured(after), texts, cases, influences, level=level)
    plan = before.plan
    gated = {origin(claim): claim for claim in plan.claims}
    declared = {origin(claim): claim.limit for claim in plan.claims if claim.against == "baseline"}
    alpha = round(1 - level, 12)
    changes = weighed(
        found,
        alpha,
        primary=[*gated, *plan.primary],
        margin=plan.margin if margin is None else margin,
        margins={**declared, **plan.margins, **(margins or {})},
    )
    whole = Comparison(
        before=before.provenance.model,
        after=after.provenance.model,
        texts=len(texts),
        changes=tuple(changes),
        words=tuple(words(changes, alpha)),
        claims=claim_changes(before, after),
        unlike=unlike(before, after),
        before_name=before.provenance.model_name,
        after_name=after.provenance.model_name,
    )
    return replace(whole, advice=advice(whole))


def changes_of(
    before: Mapping[str, Measurement],
    after: Mapping[str, Measurement],
    texts: Texts,
    cases: tuple[Table, Table],
    influences: tuple[Table, Table],
    *,
    level: float,
    only: Collection[str] | None = None,
    part: bool = False,
) -> list[Change]:
    """Return what changed from one audit to the other, number by number, not yet judged.

    Args:
        before: Measurements of the first, by id.
        after: Measurements of the second.
        texts: The texts of both.
        cases: ``cases.parquet`` of both.
        influences: ``influence.parquet`` of both.
        level: Of the intervals.
        only: Ids that are asked for; None: all.
        part: One of the two read only a part of the texts, under a budget: changes are then those
            of the texts in both.
    """
    changes = _of_units(texts, level, only)
    said = {c.measurement for c in changes}
    told = pairing.trials(cases[0]), pairing.trials(cases[1])
    # How far a text moves a number hangs on the texts beside it: only whole audits tell.
    moved = ({}, {}) if part else (read_influences(influences[0]), read_influences(influences[1]))
    for name, m in before.items():
        if only is not None and name not in only:
            continue
        # Rates of whole groups are said already, under the name of the rate alone.
        if name not in after or not better_of(m.metric) or _plain(m) in said:
            continue
        changes.append(_change(m, after[name], texts, told, moved, level, part))
    return changes


def _of_units(texts: Texts, level: float, only: Collection[str] | None) -> list[Change]:
    slices = [("", "", np.ones(len(texts), bool))]
    for attribute, group in texts.groups.items():
        slices += [(attribute, v, group == v) for v in sorted(set(map(str, group)) - {""})]
    changes = []
    rates: tuple[tuple[Rate, Better], ...] = (("accuracy", "higher"), ("selection_rate", ""))
    for attribute, value, mine in slices:
        where = {attribute: value} if attribute else {}
        for rate, better in rates:
            some = mine & texts.over(rate)
            name = measurement_id("group_rates", rate, where)
            if not some.any() or (only is not None and name not in only):
                continue
            changes.append(
                Change(
                    measurement=name.removeprefix("group_rates."),
                    before=stats.share(
                        int(texts.before.hits(rate)[some].sum()), int(some.sum()), level=level
                    ),
                    after=stats.share(
                        int(texts.after.hits(rate)[some].sum()), int(some.sum()), level=level
                    ),
                    difference=pairing.rate_change(texts, rate, mine, level=level),
                    better=better,
                )
            )
    return changes


def _change(
    before: Measurement,
    after: Measurement,
    texts: Texts,
    told: tuple[Mapping[str, Trials], Mapping[str, Trials]],
    moved: tuple[Mapping[str, Moved], Mapping[str, Moved]],
    level: float,
    part: bool,
) -> Change:
    one, other = before.value, after.value
    difference: Estimate | Absent | None = None
    if isinstance(one, Absent) or isinstance(other, Absent):
        difference = one if isinstance(one, Absent) else other
    else:
        # A measurement over other texts than the ones matched is not theirs to pair.
        if before.id.startswith("group_rates.") and (part or before.eligible == after.eligible):
            difference = pairing.rates_change(texts, before, level=level)
            if isinstance(difference, Estimate) and not (part or _same(difference, one, other)):
                difference = None
        if difference is None:
            difference = pairing.trials_change(
                texts, (before, told[0]), (after, told[1]), level=level, part=part
            )
        if difference is None and all(before.id in some for some in moved):
            difference = paired_by_influence(
                (one, moved[0][before.id]), (other, moved[1][before.id]), level=level
            )
        if difference is None:
            difference = pairing.unpaired(one, other, level=level)
    return Change(
        measurement=before.id,
        before=one,
        after=other,
        difference=difference,
        better=better_of(before.metric),
    )


def _same(difference: Estimate, before: Estimate, after: Estimate) -> bool:
    return abs(difference.value - (after.value - before.value)) < 1e-9


def better_of(metric: str) -> Better:
    """Return the direction in which a metric gets better; empty: it has none."""
    if metric.startswith("placebo"):
        return ""
    if metric in ("exposure_auc", "exposure_tpr", "advantage"):
        # What a model learnt by heart and shows.
        return "lower"
    if _NEARER.fullmatch(metric):
        return "nearer_zero"
    if _HIGHER.fullmatch(metric):
        return "higher"
    return "lower" if _LOWER.search(metric) else ""


def _plain(m: Measurement) -> str:
    return m.id.removeprefix("group_rates.")


def _measured(result: AuditResult) -> dict[str, Measurement]:
    return {m.id: m for run in result.runs for m in run.measurements}

"""Two audits of the same texts: what got better, what got worse, what cannot be told."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from audit import pairing, stats, store
from audit.intervals import for_judging, p_beyond
from audit.metrics import Rate
from audit.moved import Moved
from audit.moved import change as paired_by_influence
from audit.moved import influences as read_influences
from audit.pairing import UNMOVED, UNPAIRED, Table, Texts, Trials
from audit.types import (
    Absent,
    AuditResult,
    Change,
    Comparison,
    Estimate,
    Means,
    Measurement,
    Pairs,
    measurement_id,
)

Better = Literal["lower", "higher", "nearer_zero", ""]

_LOWER = re.compile(
    r"(flip|failure|leak|duplicate)_rate|score_shift|accuracy_drop|excess_ctf|weak_share|brier"
    r"|(attack|valid|rated)_success_rate|broken_within_budget|broken_by|worst_case_broken"
    r"|still_broken|excess_share"
)
_HIGHER = re.compile(r"(|.*_)accuracy|(|.*_)auc")
_NEARER = re.compile(r".*_gap|excess_shift|net_shift|in_the_large")
"""Metrics by which way is better, the last word first: a gap of accuracy is a gap."""
MARGIN = 0.02
"""Loss of accuracy that the sentences still call small."""


def compare_folders(before: Path, after: Path, *, margin: float = MARGIN) -> Comparison:
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
    )


def compare(
    before: AuditResult,
    after: AuditResult,
    *,
    units: tuple[Table, Table],
    cases: tuple[Table, Table],
    influences: tuple[Table, Table] = ({}, {}),
    margin: float = MARGIN,
) -> Comparison:
    """Compare two audits, paired on the texts that are in both.

    Accuracy, selection, rates by group and their gaps are paired from the units; flip rates and
    score shifts from the cases, where these hold every text; means, gaps and curves of the probes
    from the influences. What cannot be paired gets the widest
    interval that any dependence between the audits allows; `Estimate.method` is then ``unpaired``.
    A change is called better or worse when its p-value, Holm-adjusted over all changes that have a
    better direction, is at most 1 - level.

    Args:
        before: An audit.
        after: Another of the same texts.
        units: ``units.parquet`` of both, as columns.
        cases: ``cases.parquet`` of both.
        influences: ``influence.parquet`` of both; without them fewer numbers are paired.
        margin: Loss of accuracy that counts as none (non-inferiority).

    Raises:
        ResultError: If no text is in both, or their true labels differ.
    """
    level = before.plan.level
    texts = pairing.match(units, before.plan.decision)
    found = changes_of(_measured(before), _measured(after), texts, cases, influences, level=level)
    changes = _judged(found, 1 - level)
    return Comparison(
        before=before.provenance.model,
        after=after.provenance.model,
        texts=len(texts),
        changes=tuple(changes),
        words=tuple(_words(changes, texts, margin)),
    )


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


def over_seeds(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Return sentences on how far the same comparison moves with the seed of the training.

    A change is named where some seed shows it. The spread over seeds is no sampling error: it says
    how much of the change is the luck of one training.
    """
    if len(comparisons) < 2:
        return ()
    found: dict[str, list[Change]] = {}
    for comparison in comparisons:
        for change in comparison.changes:
            found.setdefault(change.measurement, []).append(change)
    words = []
    for name, changes in found.items():
        verdicts = [c.verdict for c in changes]
        shown = [v for v in verdicts if v in ("better", "worse")]
        values = [c.difference.value for c in changes if isinstance(c.difference, Estimate)]
        if not shown or len(values) < 2:
            continue
        words.append(
            f"Over {len(values)} seeds: {name} changed by {np.mean(values):+.3f} on average, "
            f"{min(values):+.3f} to {max(values):+.3f}; better in {verdicts.count('better')}, "
            f"worse in {verdicts.count('worse')}."
        )
    if len(comparisons) < 3:
        words.append("Two seeds say little about the luck of a training; 3 or more do.")
    return tuple(words)


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


def _judged(changes: Sequence[Change], alpha: float) -> list[Change]:
    ps = [_p(change) for change in changes]
    at = [i for i, p in enumerate(ps) if p is not None]
    adjusted = dict(zip(at, stats.holm([p for p in ps if p is not None]), strict=True))
    return [
        replace(change, verdict=_verdict(change, float(adjusted.get(i, 1.0)) <= alpha))
        for i, change in enumerate(changes)
    ]


def _p(change: Change) -> float | None:
    """Return the two-sided p-value of 'no change for the better or the worse'."""
    d, before, after = change.difference, change.before, change.after
    if not change.better or not isinstance(d, Estimate):
        return None
    p = _one_sided(d)
    if (
        change.better == "nearer_zero"
        and isinstance(before, Estimate)
        and isinstance(after, Estimate)
    ):
        # |after| < |before| exactly when difference and sum have opposite signs: both must show.
        p = max(p, _one_sided(pairing.total(before, after, level=d.level)))
    return min(1.0, 2 * p)


def _one_sided(e: Estimate) -> float:
    if e.value == 0:
        return 1.0
    return p_beyond(for_judging(e), 0.0, "above" if e.value > 0 else "below")


def _verdict(
    change: Change, shown: bool
) -> Literal["better", "worse", "undecided", "unchanged", "not_estimable"]:
    d, before, after = change.difference, change.before, change.after
    if isinstance(d, Absent) or isinstance(before, Absent) or isinstance(after, Absent):
        return "not_estimable"
    if _still(d):
        return "unchanged"
    if not shown or not change.better:
        return "undecided"
    if change.better == "nearer_zero":
        return "better" if d.value * (before.value + after.value) < 0 else "worse"
    return "better" if (d.value > 0) == (change.better == "higher") else "worse"


def _still(d: Estimate) -> bool:
    """Return whether not a single text changed."""
    if isinstance(d.basis, Pairs):
        return d.basis.b == d.basis.c == 0
    return d.method == UNMOVED or (
        isinstance(d.basis, Means) and d.basis.mean == 0 and d.basis.se == 0
    )


def better_of(metric: str) -> Better:
    """Return the direction in which a metric gets better; empty: it has none."""
    if metric.startswith("placebo"):
        return ""
    if _NEARER.fullmatch(metric):
        return "nearer_zero"
    if _HIGHER.fullmatch(metric):
        return "higher"
    return "lower" if _LOWER.search(metric) else ""


def _plain(m: Measurement) -> str:
    return m.id.removeprefix("group_rates.")


def _measured(result: AuditResult) -> dict[str, Measurement]:
    return {m.id: m for run in result.runs for m in run.measurements}


def _words(changes: Sequence[Change], texts: Texts, margin: float) -> list[str]:
    words = []
    for verdict, start in (("better", "Improved"), ("worse", "Worsened")):
        words += [f"{start}: {_told(c)}." for c in changes if c.verdict == verdict]
    words += _of_accuracy(changes, margin)
    selection = next((c for c in changes if c.measurement == "selection_rate"), None)
    if selection is not None and isinstance(selection.difference, Estimate):
        words.append(f"Selected, of all texts: {_told(selection)}.")
    judged = [c for c in changes if c.better]
    open_ = sum(c.verdict == "undecided" for c in judged)
    if open_:
        words.append(
            f"Undecided: for {open_} of {len(judged)} measurements neither an improvement nor a "
            "loss was shown, after Holm's correction over all of them."
        )
    loose = sum(
        isinstance(c.difference, Estimate) and c.difference.method == UNPAIRED for c in judged
    )
    if loose:
        words.append(
            f"{loose} of the differences could not be paired text by text; their intervals hold "
            "however the two audits hang together, and are wider for it."
        )
    return words


def _of_accuracy(changes: Sequence[Change], margin: float) -> list[str]:
    words = []
    for c in changes:
        if c.measurement != "accuracy" and not c.measurement.startswith("accuracy["):
            continue
        d = c.difference
        if not isinstance(d, Estimate):
            continue
        whole = c.measurement == "accuracy"
        low = stats.interval(d, 0.9)[0]
        shown = f"{d.value:+.3f}, one-sided 95 % bound {low:+.3f}"
        if whole and isinstance(d.basis, Pairs):
            words.append(
                f"Of {d.n:,} texts with a label, {d.basis.b:,} were wrong and became right, "
                f"{d.basis.c:,} were right and became wrong."
            )
        if low > -margin:
            if whole:
                words.append(f"Accuracy: a loss of more than {margin:g} is ruled out ({shown}).")
        elif whole or c.verdict != "worse":
            words.append(
                f"Undecided: {c.measurement} may have fallen by more than {margin:g} ({shown})."
            )
    return words


def _told(c: Change) -> str:
    assert isinstance(c.before, Estimate) and isinstance(c.after, Estimate)
    assert isinstance(c.difference, Estimate)
    d = c.difference
    return (
        f"{c.measurement} from {c.before.value:.3f} to {c.after.value:.3f} (change "
        f"{d.value:+.3f}, {d.level:.0%} interval {d.low:+.3f} to {d.high:+.3f}, {d.method})"
    )

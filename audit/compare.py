"""Two audits of the same texts: what got better, what got worse, what cannot be told."""

from collections.abc import Mapping, Sequence
from math import hypot
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audit import stats, store
from audit.errors import ResultError
from audit.intervals import interval_of
from audit.types import (
    Absent,
    AuditResult,
    Change,
    Comparison,
    Estimate,
    Means,
    Measurement,
)

Table = Mapping[str, Sequence[Any]]
Better = Literal["lower", "higher", "nearer_zero", ""]
Said = Literal["better", "worse", "undecided", "unchanged", "not_estimable"]

_LOWER = ("flip_rate", "excess_flip_rate", "accuracy_drop", "attack_success_rate", "excess_share")
_HIGHER = ("accuracy", "robust_accuracy")
_NEARER = ("favourable_gap", "selection_rate_gap", "true_positive_rate_gap", "accuracy_gap")
MARGIN = 0.02
"""Loss of accuracy that the sentences still call small."""


def compare_folders(before: Path, after: Path) -> Comparison:
    """Compare two audits on disk.

    Raises:
        ResultError: If one is missing or damaged, or they share no text.
    """
    return compare(
        store.read(before),
        store.read(after),
        units=(store.read_table(before, store.UNITS), store.read_table(after, store.UNITS)),
        cases=(store.read_table(before, store.CASES), store.read_table(after, store.CASES)),
    )


def compare(
    before: AuditResult,
    after: AuditResult,
    *,
    units: tuple[Table, Table],
    cases: tuple[Table, Table],
) -> Comparison:
    """Compare two audits, paired on texts with equal digests.

    Accuracy, selection and every flip are paired text by text (Tango); means of scores are compared
    as if independent, which is wider than it need be; the method of each difference says which.

    Args:
        before: An audit.
        after: Another of the same texts.
        units: ``units.parquet`` of both, as columns.
        cases: ``cases.parquet`` of both.

    Raises:
        ResultError: If no text is in both.
    """
    rows = _pairs(*units)
    if not rows:
        raise ResultError(
            "The two audits share no text.",
            hint="Compare audits of the same corpus; texts are matched by their digest.",
        )
    changes = [*_of_units(units, rows, before.plan.level)]
    one, other = _measured(before), _measured(after)
    flips = _flips(cases[0]), _flips(cases[1])
    for name, m in one.items():
        if name not in other or not _better(m.metric):
            continue
        if m.metric == "accuracy" and not m.where:
            continue
        changes.append(_change(name, m, other[name], flips, before.plan.level))
    return Comparison(
        before=before.provenance.model,
        after=after.provenance.model,
        texts=len(rows),
        changes=tuple(changes),
        words=tuple(_words(changes)),
    )


def _pairs(one: Table, other: Table) -> list[tuple[int, int]]:
    there = {
        (i, d): row for row, (i, d) in enumerate(zip(other["id"], other["digest"], strict=True))
    }
    keys = zip(one["id"], one["digest"], strict=True)
    return [(row, there[key]) for row, key in enumerate(keys) if key in there]


def _of_units(
    units: tuple[Table, Table], rows: list[tuple[int, int]], level: float
) -> list[Change]:
    one, other = units
    out = []
    attributes = sorted(c for c in one if c.startswith("group:") and c in other)
    slices: list[tuple[str, list[tuple[int, int]]]] = [("", rows)]
    for column in attributes:
        for value in sorted({one[column][i] for i, _ in rows if one[column][i] is not None}):
            mine = [(i, j) for i, j in rows if one[column][i] == value]
            slices.append((f"[{column.removeprefix('group:')}={value}]", mine))
    for label, mine in slices:
        for metric, column, better in (
            ("accuracy", "correct", "higher"),
            ("selection_rate", "favourable", ""),
        ):
            known = [(i, j) for i, j in mine if one[column][i] is not None]
            if not known:
                continue
            a = np.array([bool(one[column][i]) for i, _ in known])
            b = np.array([bool(other[column][j]) for _, j in known])
            out.append(
                _judged(
                    f"{metric}{label}",
                    stats.share(int(a.sum()), len(a), level=level),
                    stats.share(int(b.sum()), len(b), level=level),
                    stats.paired_difference(
                        len(a), int((b & ~a).sum()), int((a & ~b).sum()), level=level
                    ),
                    better,  # type: ignore[arg-type]
                )
            )
    return out


def _change(
    name: str,
    one: Measurement,
    other: Measurement,
    flips: tuple[dict[str, dict[str, bool]], dict[str, dict[str, bool]]],
    level: float,
) -> Change:
    before, after = one.value, other.value
    better = _better(one.metric)
    if one.metric == "flip_rate" and name in flips[0] and name in flips[1]:
        shared = sorted(set(flips[0][name]) & set(flips[1][name]))
        a = np.array([flips[0][name][i] for i in shared], bool)
        b = np.array([flips[1][name][i] for i in shared], bool)
        paired = stats.paired_difference(
            len(shared), int((b & ~a).sum()), int((a & ~b).sum()), level=level
        )
        return _judged(name, before, after, paired, better)
    if isinstance(before, Absent) or isinstance(after, Absent):
        missing = before if isinstance(before, Absent) else after
        return _judged(name, before, after, missing, better)
    return _judged(name, before, after, unpaired(before, after, level=level), better)


def unpaired(before: Estimate, after: Estimate, *, level: float) -> Estimate:
    """Return after less before as if the two were independent: wider than paired, never narrower.

    The standard errors are read off the 68 % intervals, whatever the method, so that numbers of any
    kind can be set side by side.
    """
    value = after.value - before.value
    errors = [_error(e) for e in (before, after)]
    df = float(min(before.n, after.n) - 1) or 1.0
    basis = Means(mean=value, se=max(hypot(*errors), 1e-9), df=df)
    low, high = interval_of(value, basis, "unpaired", level)
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=min(before.n, after.n),
        level=level,
        method="unpaired",
        basis=basis,
    )


def _error(e: Estimate) -> float:
    low, high = stats.interval(e, 0.6826894921370859)
    return (high - low) / 2


def _judged(
    name: str,
    before: Estimate | Absent,
    after: Estimate | Absent,
    difference: Estimate | Absent,
    better: Better,
) -> Change:
    return Change(
        measurement=name,
        before=before,
        after=after,
        difference=difference,
        better=better,
        verdict=_verdict(before, after, difference, better),
    )


def _verdict(
    before: Estimate | Absent, after: Estimate | Absent, d: Estimate | Absent, better: Better
) -> Said:
    if isinstance(d, Absent) or isinstance(before, Absent) or isinstance(after, Absent):
        return "not_estimable"
    if d.low <= 0 <= d.high:
        return "unchanged" if d.value == 0 and d.high - d.low < 1e-9 else "undecided"
    if better == "nearer_zero":
        return "better" if abs(after.value) < abs(before.value) else "worse"
    if not better:
        return "undecided"
    return "better" if (d.value > 0) == (better == "higher") else "worse"


def _better(metric: str) -> Better:
    if metric in _LOWER:
        return "lower"
    if metric in _HIGHER:
        return "higher"
    return "nearer_zero" if metric in _NEARER else ""


def _measured(result: AuditResult) -> dict[str, Measurement]:
    return {m.id: m for run in result.runs for m in run.measurements}


def _flips(cases: Table) -> dict[str, dict[str, bool]]:
    found: dict[str, dict[str, bool]] = {}
    for name, example, flipped in zip(
        cases["measurement"], cases["example_id"], cases["flipped"], strict=True
    ):
        found.setdefault(name, {})[example] = bool(flipped)
    return found


def _words(changes: Sequence[Change]) -> list[str]:
    said = []
    for verdict, start in (("better", "Improved"), ("worse", "Worsened")):
        for c in changes:
            if c.verdict == verdict and isinstance(c.difference, Estimate):
                said.append(f"{start}: {c.measurement}, {_told(c)}.")
    accuracy = next((c for c in changes if c.measurement == "accuracy"), None)
    if accuracy is not None and isinstance(accuracy.difference, Estimate):
        d = accuracy.difference
        low = stats.interval(d, 0.9)[0]
        if low > -MARGIN:
            said.append(
                f"Accuracy: no loss larger than {MARGIN:g} (after less before {d.value:+.3f}, "
                f"90 % interval from {low:+.3f})."
            )
        elif accuracy.verdict != "worse":
            said.append(
                f"Accuracy: undecided whether more than {MARGIN:g} was lost "
                f"({d.value:+.3f}, 90 % interval from {low:+.3f})."
            )
    open_ = sum(c.verdict == "undecided" and bool(c.better) for c in changes)
    if open_:
        said.append(f"{open_} further metrics: no change beyond the noise was shown.")
    return said


def _told(c: Change) -> str:
    assert isinstance(c.before, Estimate) and isinstance(c.after, Estimate)
    assert isinstance(c.difference, Estimate)
    d = c.difference
    return (
        f"{c.before.value:.3f} to {c.after.value:.3f} (change {d.value:+.3f}, {d.level:.0%} "
        f"interval {d.low:+.3f} to {d.high:+.3f})"
    )

"""Several audits of the same texts: which no other beats on everything, and what each one lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audit import pairing, stats, store
from audit.compare import Better, better_of, compare
from audit.errors import ConfigError, did_you_mean
from audit.likeness import refuse_unlike
from audit.pareto import dominated
from audit.types import AuditResult, Comparison, Estimate
from audit.weighing import origin

ACCURACY = "accuracy"
_ROBUST = ("robust_accuracy", "attack_success_rate", "broken_within_budget", "flip_rate")
"""Metrics that say how well decisions hold under attack or noise, the most telling first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Texts that the first model decided rightly and another wrongly."""

    model: str
    ids: tuple[str, ...]
    """In the order of the texts."""
    groups: Mapping[str, tuple[tuple[str, ...], int]]
    """``attribute=group`` to the ids among `ids`, and how many texts with a label it has."""
    won: int
    """Texts the other way round: wrong before, right after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Two or more audits side by side; the first is what the others are held against."""

    names: tuple[str, ...]
    objectives: tuple[tuple[str, Better], ...]
    """Measurement, and which way it is better."""
    points: Mapping[str, tuple[Estimate, ...]]
    """Name to its value on each objective, over the texts that the first audit shares with it."""
    beaten: Mapping[str, tuple[str, ...]]
    """Name to those that are as good on every objective and better on one, by point values."""
    comparisons: tuple[Comparison, ...]
    """Of each further audit with the first."""
    lost: tuple[Lost, ...]
    left_out: tuple[str, ...]
    """Objectives that were asked for and cannot be told of every audit, in sentences."""

    @property
    def front(self) -> tuple[str, ...]:
        """The audits that no other beats."""
        return tuple(name for name in self.names if not self.beaten[name])


def standing(
    folders: Sequence[Path],
    objectives: Sequence[str] = (),
    *,
    margins: Mapping[str, float] | None = None,
    like: bool = True,
) -> Standing:
    """Hold audits on disk against each other.

    Accuracy is an objective wherever texts have labels. Unless others are named, so are one gap,
    that which is furthest from 0 in the first audit (of those that a gate speaks of, if any), and
    one measurement of robustness: accuracy under attack, else the attacks' success, else flips.
    Which was chosen hangs on the first audit alone; with more objectives hardly any audit is
    beaten.

    Args:
        folders: Of audits of the same texts, two or more; named by their last part, or in full
            where two of those are alike.
        objectives: Ids of measurements, instead of the chosen two.
        margins: Losses that count as none, over and above those of the first audit.
        like: Refuse audits that differ in more than the model.

    Raises:
        ResultError: If an audit is missing or damaged, or shares no text with the first.
        ConfigError: If a measurement is not in the first audit or has no better direction, or if
            the audits asked different questions.
    """
    if len(folders) < 2:
        raise ConfigError("There is one audit.", hint="Name two or more folders.")
    names = _names(folders)
    results = [store.read(folder) for folder in folders]
    for name, result in zip(names[1:], results[1:], strict=True):
        if like:
            refuse_unlike(results[0], result, (names[0], name))
    units = [store.read_table(folder, store.UNITS) for folder in folders]
    cases = [store.read_table(folder, store.CASES) for folder in folders]
    moved = [store.read_influences(folder) for folder in folders]
    comparisons = tuple(
        compare(
            results[0],
            r,
            units=(units[0], u),
            cases=(cases[0], c),
            influences=(moved[0], m),
            margins=margins,
        )
        for r, u, c, m in zip(results[1:], units[1:], cases[1:], moved[1:], strict=True)
    )
    values = [_values(result) for result in results]
    for table, comparison in zip(values[1:], comparisons, strict=True):
        for change in comparison.changes:
            if change.measurement == ACCURACY and isinstance(change.after, Estimate):
                table[ACCURACY] = change.after
    first = pairing.match((units[0], units[0]), results[0].plan.decision)
    some = first.over("accuracy")
    if some.any():
        right = int(first.before.hits("accuracy")[some].sum())
        share = stats.share(right, int(some.sum()), level=results[0].plan.level)
        if isinstance(share, Estimate):
            values[0][ACCURACY] = share
    asked = list(objectives) or _chosen(results[0], values)
    left = []
    wanted: list[tuple[str, Better]] = []
    for name in dict.fromkeys([ACCURACY, *asked]):
        better = better_of(_metric(name))
        if name != ACCURACY and name not in values[0]:
            raise ConfigError(
                f"The first audit has no measurement {name!r}.",
                hint=did_you_mean(name, values[0]),
            )
        if not better:
            raise ConfigError(f"{name} has no better direction.")
        missing = [n for n, table in zip(names, values, strict=True) if name not in table]
        if missing:
            left.append(f"{name} is not known of {', '.join(missing)}.")
        else:
            wanted.append((name, better))
    points = {
        n: tuple(table[name] for name, _ in wanted) for n, table in zip(names, values, strict=True)
    }
    plain = {
        n: [
            abs(e.value) if better == "nearer_zero" else e.value
            for e, (_, better) in zip(row, wanted, strict=True)
        ]
        for n, row in points.items()
    }
    return Standing(
        names=names,
        objectives=tuple(wanted),
        points=points,
        beaten=dominated(plain, ["higher" if b == "higher" else "lower" for _, b in wanted]),
        comparisons=comparisons,
        lost=tuple(
            lost_of(n, pairing.match((units[0], u), results[0].plan.decision))
            for n, u in zip(names[1:], units[1:], strict=True)
        ),
        left_out=tuple(left),
    )


def lost_of(name: str, texts: pairing.Texts) -> Lost:
    """Return the texts right before and wrong after, of all and by group."""
    known = texts.over("accuracy")
    before, after = (o.hits("accuracy").astype(bool) for o in (texts.before, texts.after))
    lost, won = known & before & ~after, known & ~before & after
    ids = np.array(texts.ids, dtype=object)
    groups = {}
    for attribute, group in texts.groups.items():
        for value in sorted(set(map(str, group)) - {""}):
            mine = group == value
            groups[f"{attribute}={value}"] = (
                tuple(map(str, ids[lost & mine])),
                int((known & mine).sum()),
            )
    return Lost(model=name, ids=tuple(map(str, ids[lost])), groups=groups, won=int(won.sum()))


def _chosen(first: AuditResult, values: Sequence[Mapping[str, Estimate]]) -> list[str]:
    everywhere = [name for name in values[0] if all(name in table for table in values)]
    gaps = [n for n in everywhere if better_of(_metric(n)) == "nearer_zero"]
    # What a gate speaks of was thought worth a limit.
    gated = {origin(claim) for claim in first.plan.claims}
    gaps = [n for n in gaps if n in gated] or gaps
    found = [max(gaps, key=lambda n: (abs(values[0][n].value), n))] if gaps else []
    for metric in _ROBUST:
        some = sorted(n for n in everywhere if _metric(n) == metric)
        if some:
            return [*found, some[0]]
    return found


def _values(result: AuditResult) -> dict[str, Estimate]:
    return {
        m.id: m.value
        for run in result.runs
        for m in run.measurements
        if isinstance(m.value, Estimate)
    }


def _metric(name: str) -> str:
    return name.partition("[")[0].rpartition(".")[2]


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    short = [folder.resolve().name for folder in folders]
    return tuple(
        str(folder) if short.count(name) > 1 else name
        for folder, name in zip(folders, short, strict=True)
    )

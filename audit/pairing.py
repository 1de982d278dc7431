"""The same texts in two audits: differences after less before, text by text where that can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.errors import ResultError
from audit.intervals import interval_of
from audit.metrics import RATES, Bools, Outcome, Rate
from audit.moved import of_changes, repeats
from audit.types import Absent, Decision, Estimate, Floats, Means, Measurement, measurement_id

Table = Mapping[str, Sequence[Any]]
"""A Parquet table as columns."""

UNPAIRED = "unpaired"
"""Method of a difference whose interval holds however the two audits hang together."""
UNMOVED = "paired by group, no text changed"
REST = "rest"
_ONE_SIGMA = 0.6826894921370859


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts that are in both audits, in the order of the first."""

    ids: tuple[str, ...]
    clusters: tuple[str | None, ...]
    groups: Mapping[str, NDArray[np.str_]]
    """Attribute to each text's group; ``""``: unknown."""
    before: Outcome
    after: Outcome

    def __len__(self) -> int:
        return len(self.ids)

    def over(self, rate: Rate) -> Bools:
        return self.before.over(rate)

    def change(self, rate: Rate) -> Floats:
        """Return -1, 0 or 1 for each text: it stopped or began to count for `rate`."""
        return self.after.hits(rate).astype(np.float64) - self.before.hits(rate)


def match(units: tuple[Table, Table], decision: Decision) -> Texts:
    """Match ``units.parquet`` of two audits by id and digest of the text.

    Args:
        units: The columns of both.
        decision: Says which true labels are favourable.

    Raises:
        ResultError: If no text is in both, or their true labels differ.
    """
    one, other = units
    there = {key: row for row, key in enumerate(zip(other["id"], other["digest"], strict=True))}
    keys = list(zip(one["id"], one["digest"], strict=True))
    rows = [(row, there[key]) for row, key in enumerate(keys) if key in there]
    if not rows:
        raise ResultError(
            "The two audits share no text.",
            hint="Compare audits of the same corpus; texts are matched by id and digest.",
        )
    first, second = [i for i, _ in rows], [j for _, j in rows]
    for i, j in rows:
        if one["label"][i] != other["label"][j]:
            raise ResultError(
                f"The text {one['id'][i]!r} has the true label {one['label'][i]!r} in one audit "
                f"and {other['label'][j]!r} in the other.",
                hint="Audit both models with the same labels, then compare.",
            )
    labels = [one["label"][i] for i in first]
    known = np.array([label is not None for label in labels], bool)
    truth = np.array([_favourable(label, decision) for label in labels], bool)
    attributes = [c for c in one if c.startswith("group:") and c in other]
    return Texts(
        ids=tuple(one["id"][i] for i in first),
        clusters=tuple(one["cluster"][i] for i in first),
        groups={
            c.removeprefix("group:"): np.array([one[c][i] or "" for i in first], dtype=str)
            for c in sorted(attributes)
        },
        before=_outcome(one, first, known, truth),
        after=_outcome(other, second, known, truth),
    )


def rate_change(texts: Texts, rate: Rate, mine: Bools, *, level: float) -> Estimate | Absent:
    """Estimate the change of `rate` over the texts `mine`, shape ``(len(texts),)``, paired.

    Tango's interval; cluster-robust where texts share a cluster.
    """
    some = mine & texts.over(rate)
    clusters = [c for c, kept in zip(texts.clusters, some, strict=True) if kept]
    return of_changes(texts.change(rate)[some], clusters, level)


def gap_change(
    texts: Texts, rate: Rate, mine: Bools, rest: Bools, *, level: float
) -> Estimate | Absent:
    """Estimate the change of a rate's gap, the texts `mine` less the texts `rest`, paired.

    Each side's change is paired within its texts; the sides are independent unless texts of both
    share a cluster.
    """
    if repeats(texts.clusters):
        some = (mine | rest) & texts.over(rate)
        clusters = [c for c, kept in zip(texts.clusters, some, strict=True) if kept]
        value = stats.difference_of_means(
            texts.change(rate)[some], mine[some], clusters, level=level
        )
        if not (isinstance(value, Absent) and value.code == "no_variation"):
            return value
    one = rate_change(texts, rate, mine, level=level)
    other = rate_change(texts, rate, rest, level=level)
    if isinstance(one, Absent) or isinstance(other, Absent):
        return one if isinstance(one, Absent) else other
    some = (mine | rest) & texts.over(rate)
    return _normal(
        one.value - other.value,
        hypot(_error(one), _error(other)),
        min(one.n, other.n),
        "paired by group" if texts.change(rate)[some].any() else UNMOVED,
        level,
    )


def rates_change(texts: Texts, m: Measurement, *, level: float) -> Estimate | Absent | None:
    """Estimate the paired change of one measurement of ``group_rates``; None if it is no rate."""
    name = m.metric.removesuffix("_gap")
    # Whom a predictive value is taken over changes with the model; units kept here speak of
    # favourable decisions alone.
    if name not in RATES or name == "positive_predictive_value" or "decided unfavourable" in m.unit:
        return None
    where = dict(m.where)
    against = where.pop("against", None)
    mine = np.ones(len(texts), bool)
    for attribute, value in where.items():
        if attribute not in texts.groups:
            return None
        mine &= texts.groups[attribute] == value
    if not m.metric.endswith("_gap"):
        return rate_change(texts, name, mine, level=level)
    if against is None or len(where) != 1:
        return None
    group = texts.groups[next(iter(where))]
    rest = (group != "") & ~mine if against == REST else group == against
    return gap_change(texts, name, mine, rest, level=level)


@dataclass(frozen=True, slots=True)
class Trials:
    """What happened to each text under one measurement: mean flip, mean size of the shift."""

    flips: Mapping[str, float]
    shifts: Mapping[str, float]

    def of(self, metric: str) -> Mapping[str, float] | None:
        return {"flip_rate": self.flips, "score_shift": self.shifts}.get(metric)


def trials(cases: Table) -> dict[str, Trials]:
    """Return the cases of an audit by measurement and text."""
    rows: dict[str, dict[str, list[tuple[float, float]]]] = {}
    columns = ("measurement", "example_id", "flipped", "score_before", "score_after")
    for name, example, flipped, before, after in zip(*(cases[c] for c in columns), strict=True):
        told = (float(flipped), abs(float(after) - float(before)))
        rows.setdefault(name, {}).setdefault(example, []).append(told)
    return {
        name: Trials(
            {e: float(np.mean([f for f, _ in some])) for e, some in by_text.items()},
            {e: float(np.mean([s for _, s in some])) for e, some in by_text.items()},
        )
        for name, by_text in rows.items()
    }


def trials_change(
    texts: Texts,
    before: tuple[Measurement, Mapping[str, Trials]],
    after: tuple[Measurement, Mapping[str, Trials]],
    *,
    level: float,
    part: bool = False,
) -> Estimate | Absent | None:
    """Estimate the paired change of a flip rate or score shift from the cases of both audits.

    Where `part` of the texts are in both, over those.

    Returns:
        None where the cases do not carry the measurement: some of them are not kept, the texts
        differ, or the number is no mean over texts.
    """
    found, ids = [], set(texts.ids)
    for m, by_name in (before, after):
        probe = m.id.split(".")[0]
        kept = by_name.get(measurement_id(probe, "flip_rate", m.where))
        values = kept.of(m.metric) if kept else None
        if not values or isinstance(m.value, Absent):
            return None
        mine = {key: value for key, value in values.items() if key in ids} if part else values
        if not (_mean_is(values, m.value.value) or _mean_is(mine, m.value.value)):
            return None
        found.append(mine)
    one, other = found
    if part:
        both = set(one) & set(other)
        one, other = ({key: side[key] for key in both} for side in (one, other))
    if set(one) != set(other) or not set(one) <= ids or not one:
        return None
    asked = [(i, c) for i, c in zip(texts.ids, texts.clusters, strict=True) if i in one]
    change = np.array([other[i] - one[i] for i, _ in asked])
    return of_changes(change, [c for _, c in asked], level)


def _mean_is(values: Mapping[str, float], wanted: float) -> bool:
    return bool(values) and abs(float(np.mean(list(values.values()))) - wanted) <= 1e-6


def unpaired(before: Estimate, after: Estimate, *, level: float) -> Estimate:
    """Return after less before with an interval that no dependence between the two can break.

    The standard error of a difference is at most the sum of both errors (Cauchy-Schwarz), reached
    when the two move against each other. The errors are read off the 68 % intervals, whatever the
    method, so that numbers of any kind can be set side by side.
    """
    se = _error(before) + _error(after)
    value = after.value - before.value
    return _normal(value, se, min(before.n, after.n), UNPAIRED, level)


def total(before: Estimate, after: Estimate, *, level: float) -> Estimate:
    """Return before plus after, with the same kind of interval as `unpaired`."""
    se = _error(before) + _error(after)
    value = after.value + before.value
    return _normal(value, se, min(before.n, after.n), UNPAIRED, level)


def _normal(value: float, se: float, n: int, method: str, level: float) -> Estimate:
    basis = Means(mean=value, se=max(se, 1e-9), df=float(max(1, n - 1)))
    low, high = interval_of(value, basis, method, level)
    return Estimate(value=value, low=low, high=high, n=n, level=level, method=method, basis=basis)


def _error(e: Estimate) -> float:
    low, high = stats.interval(e, _ONE_SIGMA)
    return (high - low) / 2


def _favourable(label: str | None, decision: Decision) -> bool:
    if label is None:
        return False
    names = label.split("|") if decision.head == "multi" else [label]
    return any(name in decision.favourable for name in names)


def _outcome(table: Table, rows: Sequence[int], known: Bools, truth: Bools) -> Outcome:
    return Outcome(
        selected=np.array([bool(table["favourable"][i]) for i in rows], bool),
        truth=truth,
        known=known,
        correct=np.array([bool(table["correct"][i]) for i in rows], bool),
    )

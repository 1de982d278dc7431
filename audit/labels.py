"""True labels: from what a column holds to the names that the model uses."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np

from audit.config import CorpusConfig
from audit.errors import AuditError, ConfigError, DataError, did_you_mean
from audit.tables import Table, cell
from audit.types import Head


def labels_of(
    values: Sequence[object] | None,
    keep: Sequence[int],
    table: Table,
    spec: CorpusConfig,
    model_labels: Sequence[str] | None,
    head: Head,
) -> tuple[dict[int, str | tuple[str, ...]], tuple[str, ...]]:
    """Return the true label of each kept row that has one, and the labels of the corpus."""
    known = None if model_labels is None else tuple(model_labels)
    if known is not None:
        for data_label, label in spec.labels.items():
            if label not in known:
                raise ConfigError(
                    f"The label {data_label!r} is mapped to {label!r}, which the model has not.",
                    hint=did_you_mean(label, known),
                )
    said: dict[int, tuple[str, ...]] = {}
    several = False
    for i in keep if values is not None else ():
        names = _names(cast(Sequence[object], values)[i], table, i, spec, head)
        if names is not None:
            said[i] = names[0]
            several = several or names[1]
    if several and head == "single" and known is not None:
        raise DataError(
            f"The column {spec.label!r} of {table.source} holds several labels a text, and the "
            "model gives one.",
            hint="Name a column with one label a text.",
        )
    counts = Counter(name for names in said.values() for name in names)
    to_label: dict[str, str] = {}
    unknown: dict[str, int] = {}
    for name in counts:
        resolved = _resolved(name, spec.labels, known)
        if resolved is None:
            unknown[name] = counts[name]
        else:
            to_label[name] = resolved
    if unknown and known is not None:
        raise _unknown(unknown, known, table, spec)
    if known is None:
        known = tuple(sorted(set(to_label.values()) | set(spec.labels.values())))
    order = {label: i for i, label in enumerate(known)}
    many = head == "multi" or several
    truth: dict[int, str | tuple[str, ...]] = {}
    for i, given in said.items():
        if many:
            truth[i] = tuple(sorted({to_label[name] for name in given}, key=order.__getitem__))
        else:
            truth[i] = to_label[given[0]]
    return truth, known


def check_permutation(
    labels_true: Sequence[str], predicted: Sequence[str], names: Sequence[str]
) -> AuditError | None:
    """Return an error when the data's labels seem to be the model's under exchanged names.

    Compares agreement beyond chance (Cohen's kappa) as the names are with the best that exchanging
    them could give. A weak model, or one that says the same of every text, is not accused: no
    exchange makes it agree.

    Args:
        labels_true: The true label of each text.
        predicted: The model's decision on each, same length.
        names: The model's labels.

    Returns:
        A `DataError` whose hint is the renaming that would fit; None, as for under 30 texts.
    """
    from scipy.optimize import linear_sum_assignment

    n, k = len(labels_true), len(names)
    if n < 30 or k < 2:
        return None
    index = {name: i for i, name in enumerate(names)}
    counts = np.zeros((k, k))
    np.add.at(counts, ([index[t] for t in labels_true], [index[p] for p in predicted]), 1)
    _, best = linear_sum_assignment(-counts)
    rows = np.arange(k)

    def kappa(order: Any) -> float:
        agreed = counts[rows, order].sum() / n
        chance = float((counts.sum(axis=1) * counts.sum(axis=0)[order]).sum()) / n**2
        return float((agreed - chance) / (1 - chance)) if chance < 1 else 0.0

    only_best = counts[rows, best][best != rows].sum()
    only_now = counts[rows, rows][best != rows].sum()
    # Four standard errors of the discordant texts: an audit is not refused over a few of them.
    clear = only_best - only_now > 4 * np.sqrt(only_best + only_now)
    if not clear or kappa(best) < 0.3 or kappa(best) - kappa(rows) < 0.25:
        return None
    now, then = np.trace(counts) / n, counts[rows, best].sum() / n
    renamed = ", ".join(
        f"{_quoted(names[int(p)])} = {_quoted(names[t])}" for t, p in enumerate(best) if t != p
    )
    return DataError(
        f"The labels of the data and of the model seem to be exchanged: the model agrees with "
        f"{now:.0%} of {n:,} labels, and with {then:.0%} once they are renamed.",
        hint=f"If so, set labels = {{ {renamed} }} under [model]; if the labels are right and the "
        "model is this wrong, set check_labels = false under [corpora.test].",
    )


def _names(
    value: object, table: Table, i: int, spec: CorpusConfig, head: Head
) -> tuple[tuple[str, ...], bool] | None:
    """Return the labels that a cell names and whether it is a list, or None if nobody has said."""
    column = cast(str, spec.label)
    if isinstance(value, str) and head == "multi":
        if value.lstrip().startswith("["):
            with suppress(ValueError, RecursionError):
                value = json.loads(value)
        if isinstance(value, str) and value.strip():
            value = [part for part in value.split("|") if part.strip()]
    if isinstance(value, list | tuple | np.ndarray):
        parts = [cell(part, table, i, column) for part in value]
        return tuple(part for part in parts if part is not None), True
    name = cell(value, table, i, column)
    return None if name is None else ((name,), False)


def _resolved(name: str, mapping: Mapping[str, str], known: tuple[str, ...] | None) -> str | None:
    if name in mapping:
        return mapping[name]
    if known is None or name in known:
        return name
    # A data set often holds the position of its label: 0 is then the model's first.
    if re.fullmatch(r"[0-9]{1,4}(\.0)?", name) and not mapping:
        position = int(name.partition(".")[0])
        if position < len(known) and not any(label.isdigit() for label in known):
            return known[position]
    return None


def _unknown(
    unknown: Mapping[str, int], known: tuple[str, ...], table: Table, spec: CorpusConfig
) -> DataError:
    listed = ", ".join(repr(name) for name in sorted(unknown)[:8])
    more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
    first = sorted(unknown)[0]
    near = did_you_mean(first, known)
    pair = f"{_quoted(first)} = {_quoted(known[0])}"
    hint = f"Say which is which: labels = {{ {pair}, … }} beside its path."
    return DataError(
        f"The column {spec.label!r} of {table.source} has labels that the model has not: "
        f"{listed}{more}; the model's are {', '.join(repr(label) for label in known)}.",
        hint=f"{near} {hint}" if near.startswith("Did") else hint,
    )


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)

"""Which texts speak of which group, and in which words, by the shipped terms of an axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.lexicon import lexicon
from audit.mentions import find
from audit.types import Text

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What ``n`` texts say on one axis."""

    groups: Mapping[str, Bools]
    """Group to the texts that speak of it, shape ``(n,)``; a text may speak of several."""
    terms: Mapping[tuple[str, str], Bools]
    """Group and term, as in the table, to the texts that hold it."""
    clear: Bools
    """Shape ``(n,)``: not only words that mean something else as often."""


def spoken(texts: Sequence[Text], axis: str) -> Spoken:
    """Return which of `texts` speak of the groups of `axis`.

    Raises:
        ConfigError: If there is no such axis.
    """
    table = lexicon(axis)
    clear = np.ones(len(texts), dtype=bool)
    groups = {group: np.zeros(len(texts), dtype=bool) for group in table.groups}
    rows: dict[tuple[str, str], list[int]] = {}
    for i, text in enumerate(texts):
        found = find(text, table)
        clear[i] = bool(found.mentions) or not found.ambiguous
        for group, term in {(m.term.group, m.term.text) for m in found.mentions}:
            groups[group][i] = True
            rows.setdefault((group, term), []).append(i)
    terms = {}
    for key in sorted(rows):
        terms[key] = np.zeros(len(texts), dtype=bool)
        terms[key][rows[key]] = True
    return Spoken(groups=groups, terms=terms, clear=clear)

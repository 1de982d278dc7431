"""Which texts belong to, or speak of, which identity: by columns, shipped terms or the user's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.errors import ConfigError, did_you_mean
from audit.lexicon import lexicon
from audit.mentions import find
from audit.text import words
from audit.types import Example

Bools = NDArray[np.bool_]
_RESERVED = ("axis", "group", "term", "over", "against")
_UNCLEAR = "only words that mean something else as often"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One identity, and where each text stands to it."""

    where: Mapping[str, str]
    """The slice: attribute and value, axis and group, or a term."""
    over: str
    """What it is one of: the attribute, the axis, or ``terms``."""
    member: Bools
    """Shape ``(n,)``: the text belongs to it or speaks of it."""
    known: Bools
    """Shape ``(n,)``: that can be told; the known others are its background."""
    unknown: str
    """Why it cannot be told of the rest."""


def of_columns(examples: Sequence[Example], attributes: Sequence[str]) -> list[Identity]:
    """Return each value of the group columns `attributes`.

    Raises:
        ConfigError: If no text has such an attribute, or its name is one that ids use.
    """
    there = sorted({name for e in examples for name in e.groups})
    found: list[Identity] = []
    for name in attributes:
        if name in _RESERVED:
            raise ConfigError(
                f"An attribute cannot be called {name!r}: ids of measurements use that word.",
                hint="Give it another name under [corpora.test.groups].",
            )
        if examples and name not in there:
            raise ConfigError(
                f"No text has the attribute {name!r}.", hint=did_you_mean(name, there)
            )
        values = [e.groups.get(name, "") for e in examples]
        known = np.array([bool(v) for v in values], dtype=bool)
        found += [
            Identity(
                where={name: value},
                over=name,
                member=np.array([v == value for v in values], dtype=bool),
                known=known,
                unknown="group unknown",
            )
            for value in sorted({v for v in values if v})
        ]
    return found


def of_axes(examples: Sequence[Example], axes: Sequence[str]) -> list[Identity]:
    """Return each group of the shipped terms' `axes`; a text may speak of several.

    Raises:
        ConfigError: If there is no such axis.
    """
    found: list[Identity] = []
    for axis in axes:
        table = lexicon(axis)
        seen = [find(e.input, table) for e in examples]
        clear = np.array([not (f.ambiguous and not f.mentions) for f in seen], dtype=bool)
        found += [
            Identity(
                where={"axis": axis, "group": group},
                over=axis,
                member=np.array([group in f.groups for f in seen], dtype=bool),
                known=clear,
                unknown=_UNCLEAR,
            )
            for group in table.groups
        ]
    return found


def of_terms(examples: Sequence[Example], terms: Sequence[str]) -> list[Identity]:
    """Return each of the user's `terms`, found as whole words in any case.

    A term that is part of a longer one (*african*, *african american*) is found in it too, as in
    the reference code of the bias AUCs.

    Raises:
        ConfigError: If a term has no word in it, or stands there twice.
    """
    keys = {term: tuple(w.lower for w in words(term)) for term in terms}
    for term, key in keys.items():
        if not key:
            raise ConfigError(f"The term {term!r} has no word in it.")
    if len(set(keys.values())) < len(terms):
        raise ConfigError("A term stands twice among the terms.")
    heads: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for term, key in keys.items():
        heads.setdefault(key[0], []).append((term, key))
    member = {term: np.zeros(len(examples), dtype=bool) for term in terms}
    for i, example in enumerate(examples):
        parts = (example.input,) if isinstance(example.input, str) else example.input
        for part in parts:
            spoken = tuple(w.lower for w in words(part))
            for at, word in enumerate(spoken):
                for term, key in heads.get(word, ()):
                    if spoken[at : at + len(key)] == key:
                        member[term][i] = True
    everyone = np.ones(len(examples), dtype=bool)
    return [
        Identity(where={"term": t}, over="terms", member=member[t], known=everyone, unknown="")
        for t in terms
    ]

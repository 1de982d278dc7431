"""A text as it would read of other groups, on every axis that applies."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from audit.lexicon import lexicon
from audit.seeding import stream
from audit.swapping import Pair, Swapped, find, placebo, swap
from audit.types import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A text with two groups exchanged."""

    axis: str
    pair: Pair
    swapped: Swapped
    control: Swapped | None
    """Other words of the same group in the same places."""


def twins(
    text: Text, axes: Sequence[str], seed: int
) -> tuple[list[Twin], tuple[tuple[str, str], ...]]:
    """Return every distinct swap of `text`, and the axes that it names without one, and why."""
    found: list[Twin] = []
    missing: list[tuple[str, str]] = []
    seen: set[tuple[str, ...]] = set()
    path = sha256(repr(text).encode("utf-8", "replace")).hexdigest()
    for axis in axes:
        table = lexicon(axis)
        one = find(text, table)
        if not one.mentions:
            continue
        if one.asymmetric:
            missing.append((axis, one.asymmetric))
            continue
        made = []
        for pair in table.pairs:
            if not one.groups & set(pair):
                continue
            swapped = swap(one, table, pair, stream(seed, "twins", axis, *pair, path))
            if swapped is None:
                continue
            made.append(swapped)
            if swapped.parts not in seen:
                seen.add(swapped.parts)
                control = placebo(one, table, pair, stream(seed, "twin-placebo", axis, *pair, path))
                found.append(Twin(axis=axis, pair=pair, swapped=swapped, control=control))
        if not made:
            missing.append((axis, "no counterpart for its terms"))
    return found, tuple(missing)

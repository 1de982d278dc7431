"""Which texts have a swapped copy and a placebo, for every two groups of an axis, and why not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.bench import Bench
from audit.lexicon import Lexicon
from audit.swapping import Found, Pair, Swapped, find, placebo, swap
from audit.types import Example, Skip

UNCLEAR = "only words that mean something else as often"
NEUTRAL = "only they or a neopronoun, which are left alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One text, its swapped copy and its placebo."""

    example: Example
    source: str
    """Group the text names; empty where it names both of the pair."""
    swapped: Swapped
    control: Swapped | None
    """None where the text is its own placebo, or has none."""
    compared: bool
    """The text has a placebo, so that the effect of editing can be taken off."""


Read = tuple[Example, Found]
Trials = tuple[list[Trial], tuple[Skip, ...]]
"""The trials of two groups, and the texts left out."""


def read(bench: Bench, table: Lexicon) -> list[Read]:
    """Return what every text of the corpus says on the axis of `table`."""
    return [(e, find(e.input, table)) for e in bench.corpus.examples]


def tried(bench: Bench, found: Sequence[Read], table: Lexicon) -> dict[Pair, Trials]:
    """Return the trials of every two groups; each text is in them or in a skip, never in both.

    Args:
        bench: The bench of the probe; names are drawn from it, each text's by itself.
        found: What `read` returned.
        table: The terms it was read with.
    """
    touched = [(e, one) for e, one in found if one.mentions]
    silent = Counter(
        UNCLEAR if one.ambiguous else NEUTRAL if one.neutral else ""
        for _, one in found
        if not one.mentions
    )
    return {pair: _of_pair(bench, table, touched, silent, pair) for pair in table.pairs}


def _of_pair(
    bench: Bench,
    table: Lexicon,
    touched: Sequence[Read],
    silent: Mapping[str, int],
    pair: Pair,
) -> Trials:
    made: list[Trial] = []
    nobody = f"no term of {pair[0]} or {pair[1]}"
    left = Counter({why or nobody: n for why, n in silent.items()})
    for example, one in touched:
        mine = [m for m in one.mentions if m.term.group in pair]
        if not mine:
            left[nobody] += 1
            continue
        if one.asymmetric:
            left["the label may rightly change with the group"] += 1
            continue
        path = (table.axis, *pair, example.id)
        # Names alone are drawn; a generator costs more than all the rest of a swap.
        drawn = any(m.term.kind == "name" for m in mine)
        swapped = swap(one, table, pair, bench.rng("swap", *path) if drawn else None)
        if swapped is None:
            left["no counterpart for its terms"] += 1
            continue
        control = placebo(one, table, pair, bench.rng("placebo", *path) if drawn else None)
        named = {m.term.group for m in mine}
        made.append(
            Trial(
                example=example,
                source=mine[0].term.group if len(named) == 1 else "",
                swapped=swapped,
                control=control,
                compared=control is not None or all(m.term.closed for m in mine),
            )
        )
    return made, tuple(Skip(reason=why, count=n) for why, n in sorted(left.items()))

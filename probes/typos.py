"""Does the decision survive a typing slip?

Swaps two neighbouring inner letters of a word, the commonest slip on a keyboard, and counts the
texts whose decision changes. First and last letters stay, as human readers need them to. Links,
handles and placeholders are left alone.

Source: Pruthi, Dhingra & Lipton (2019), ACL, https://aclanthology.org/P19-1561
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.bench import Bench, Planned
from audit.perturbation import Pair, claims, measure
from audit.power import independent, mde_share
from audit.text import words
from audit.types import Fact, Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Typos:
    """Share of texts that change decision when words are mistyped, and the accuracy it costs."""

    name: ClassVar[str] = "typos"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset()

    slips: int = 1
    """Words mistyped in each text, where it has so many."""
    shortest: int = 4
    """Leave words of fewer letters alone."""

    def __post_init__(self) -> None:
        if self.slips < 1 or self.shortest < 4:
            raise ValueError("slips must be at least 1 and shortest at least 4")

    def plan(self, bench: Bench) -> Planned:
        pairs = self._pairs(bench)
        n = len(pairs)
        ids = claims(bench)
        smallest = mde_share(independent(example.cluster for example, _ in pairs), 0.1)
        mde = {} if smallest is None else dict.fromkeys(ids, smallest)
        return Planned(units=n, queries=2 * n, claims=ids, mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        pairs = self._pairs(bench)
        left = Skip(
            reason=f"no word of {self.shortest} letters to mistype",
            count=len(bench.corpus.examples) - len(pairs),
        )
        return measure(bench, pairs, (left,))

    def _pairs(self, bench: Bench) -> list[Pair]:
        pairs: list[Pair] = []
        for example in bench.corpus.examples:
            rng = bench.rng(example.id)
            slipped = slip(example.text, rng, slips=self.slips, shortest=self.shortest)
            if slipped is not None:
                second = example.second
                pairs.append((example, slipped if second is None else (slipped, second)))
        return pairs


def slip(text: str, rng: np.random.Generator, *, slips: int = 1, shortest: int = 4) -> str | None:
    """Swap two neighbouring inner letters in each of `slips` words; None if no word allows it."""
    spots = {
        word: inner
        for word in words(text)
        if len(word.text) >= shortest
        and word.text.isalpha()
        and (
            inner := [
                i
                for i in range(1, len(word.text) - 2)
                if word.text[i].lower() != word.text[i + 1].lower()
            ]
        )
    }
    if not spots:
        return None
    chosen = rng.permutation(len(spots))[:slips]
    letters = list(text)
    for number in sorted(int(i) for i in chosen):
        word, inner = list(spots.items())[number]
        i = word.start + inner[int(rng.integers(len(inner)))]
        letters[i], letters[i + 1] = letters[i + 1], letters[i]
    return "".join(letters)

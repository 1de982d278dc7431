"""What words an adversary may put for a word, and what random words a smoothed classifier reads.

Both come from one graph: two words of the encoder's vocabulary are linked where each is among the
nearest of the other and WordNet does not call them opposites. An adversary takes a linked word; the
smoothing draws from the words around it.

Source: Ye, Gong & Liu (2020), 'SAFER', ACL, arXiv:2005.14424, section 3.1 and appendix, whose graph
is of counter-fitted vectors.
"""

from collections import deque
from dataclasses import dataclass, field

from audit.neighbours import Neighbours, opposites


@dataclass(slots=True, kw_only=True)
class Synonyms:
    """The graph, walked where it is asked about. NLTK must have been shown WordNet."""

    table: Neighbours
    fixed: frozenset[str] = frozenset()
    """Words that are never substituted: function words stand near each other and mean another."""
    nearest: int = 4
    """Links a word can have at most."""
    least: float = 0.5
    """Least cosine of two linked words."""
    most: int = 40
    """Words the smoothing draws from at most, the word itself among them."""
    _linked: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    _drawn: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def of(self, word: str) -> tuple[str, ...]:
        """Return the words an adversary may put for `word`, lower case, without itself."""
        word = word.lower()
        if word not in self._linked:
            against = opposites(word) if word in self.table.place else frozenset()
            self._linked[word] = tuple(
                other
                for other in self._near(word)
                if other not in against
                and not {word, other} & self.fixed
                and word not in opposites(other)
                and word in self._near(other)
            )
        return self._linked[word]

    def around(self, word: str) -> tuple[str, ...]:
        """Return the words the smoothing draws from in the place of `word`, itself first."""
        word = word.lower()
        if word not in self._drawn:
            found, waiting = {word: None}, deque([word])
            while waiting and len(found) < self.most:
                for other in self.of(waiting.popleft()):
                    if other not in found and len(found) < self.most:
                        found[other] = None
                        waiting.append(other)
            self._drawn[word] = tuple(found)
        return self._drawn[word]

    def overlap(self, word: str) -> float:
        """Return how much of the draw is left alike by the worst substitution of `word`, in [0, 1].

        One less the total variation of the two uniform draws.
        """
        mine = set(self.around(word))
        shares = []
        for other in self.of(word):
            theirs = self.around(other)
            shares.append(len(mine.intersection(theirs)) / max(len(mine), len(theirs)))
        return min(shares, default=1.0)

    def _near(self, word: str) -> tuple[str, ...]:
        return self.table.near(word, most=self.nearest, least=self.least)

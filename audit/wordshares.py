"""What the identity words of a text carry of its attribution, and what other words would carry."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audit.attribution import Attribution
from audit.mentions import Mention
from audit.resources import stop_words
from audit.types import Case, Example, Floats

Drawn = Sequence[tuple[Example, tuple[Mention, ...]]]
"""Texts with the places where each names a group."""
TERMS, TEXTS = 8, 10
TOP_WORDS = "top words: "
"""How the id of a case begins that lists the words of a class; it stands for no text."""
"""Identity words with a share of their own, the commonest, and texts that must hold one; the same
number of texts must hold a kind of them."""
_TOP, _HELD = 10, 3
"""Words shown of each class, and texts that must hold a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One text that can be measured."""

    example: Example
    mentions: tuple[Mention, ...]
    one: Attribution
    identity: float
    """Share of all absolute attribution that falls on identity words, in [0, 1]."""
    placebo: float
    """The same for as many other words, over every draw of them."""
    top: int
    """Index of the heaviest identity word."""

    def of(self, chosen: Callable[[Mention], bool]) -> tuple[float, float] | None:
        """Return the share of some of its identity words and its placebo, None without any."""
        mine = tuple(m for m in self.mentions if chosen(m))
        held = [i for i in range(len(self.one.words)) if named(self.one, i, mine)]
        if not held:
            return None
        size = np.abs(np.array(self.one.weights))
        every = sum(named(self.one, i, self.mentions) for i in range(len(size)))
        # The placebo of a text is that of all its identity words together.
        return float(size[held].sum() / size.sum()), self.placebo * len(held) / every


def named(one: Attribution, i: int, mentions: Sequence[Mention]) -> bool:
    """Return whether word `i` of a text is part of one of the mentions."""
    start, end = one.spans[i]
    return any(m.part == one.parts[i] and m.start < end and start < m.end for m in mentions)


def rows_of(drawn: Drawn, found: Sequence[Attribution]) -> tuple[list[Row], Counter[str]]:
    """Return the texts that can be measured, and how many could not be and why.

    Other words are content words where the text has enough of them, because function words carry
    little of any score.
    """
    common = stop_words()
    rows: list[Row] = []
    lost: Counter[str] = Counter()
    for (example, mentions), one in zip(drawn, found, strict=True):
        size = np.abs(np.array(one.weights))
        total = float(size.sum())
        mine = np.array([named(one, i, mentions) for i in range(len(size))], bool)
        n = int(mine.sum())
        others = [
            i for i, word in enumerate(one.words) if not mine[i] and any(c.isalnum() for c in word)
        ]
        content = [i for i in others if one.words[i].lower() not in common]
        if not one.converged():
            lost["the attribution did not converge"] += 1
        elif n == 0:
            lost["its identity words lie beyond the model's maximum length"] += 1
        elif len(others) < n:
            lost["too few other words to compare with"] += 1
        elif total == 0:
            lost["no word moves its score"] += 1
        else:
            among = size[content if len(content) >= n else others]
            rows.append(
                Row(
                    example=example,
                    mentions=mentions,
                    one=one,
                    identity=float(size[mine].sum()) / total,
                    placebo=float(among.mean()) * n / total,
                    top=int(np.flatnonzero(mine)[np.lexsort((-size[mine],))[0]]),
                )
            )
    return rows, lost


def terms_of(drawn: Drawn) -> list[str]:
    """Return the identity words that stand in enough texts, the commonest first."""
    held = Counter(term for _, said in drawn for term in {m.text.lower() for m in said})
    common = sorted(held.items(), key=lambda kv: (-kv[1], kv[0]))[:TERMS]
    return [term for term, n in common if n >= TEXTS]


def kind_of(mention: Mention) -> tuple[str, str]:
    """Return the group that a mention names, and what kind of word names it."""
    return mention.term.group, mention.term.kind or "word"


def kinds_of(drawn: Drawn) -> list[tuple[str, str]]:
    """Return the groups and kinds of words that stand in enough texts, in order."""
    held = Counter(kind for _, said in drawn for kind in {kind_of(m) for m in said})
    return sorted(kind for kind, n in held.items() if n >= TEXTS)


def top_words(metric: str, label: str, rows: Sequence[Row], score: Floats) -> Iterator[Case]:
    """Yield, as one case, the words with the largest mean weight over the texts of a class."""
    held: dict[str, list[float]] = {}
    for row in rows:
        mine: dict[str, list[float]] = {}
        for word, weight in zip(row.one.words, row.one.weights, strict=True):
            if any(c.isalnum() for c in word):
                mine.setdefault(word.casefold(), []).append(weight)
        for word, weights in mine.items():
            held.setdefault(word, []).append(float(np.mean(weights)))
    means = {w: float(np.mean(x)) for w, x in held.items() if len(x) >= _HELD}
    top = sorted(means, key=lambda w: (-abs(means[w]), w))[:_TOP]
    if top:
        mean = float(np.mean(score))
        listed = ", ".join(top)
        yield Case(
            metric=metric,
            example_id=f"{TOP_WORDS}{label}",
            before=listed,
            after=listed,
            score_before=mean,
            score_after=mean,
            note=f"mean weight of each word over {len(rows)} texts decided {label!r}; words of at "
            f"least {_HELD} texts",
            words=tuple(top),
            weights=tuple(means[w] for w in top),
        )

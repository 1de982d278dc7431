"""Test texts must not be trained on: equal ones are found, and ones that nearly are."""

import re
from collections.abc import Iterable
from typing import Literal

import numpy as np

from audit.types import Text

WIDTH = 5
"""Letters of a shingle."""
NEAR = 0.8
"""Share of shingles in common (Jaccard) from which two texts count as nearly equal."""


class TestTexts:
    """The audited texts, to hold training texts against.

    Letter case, white space and punctuation play no part. Two texts are nearly equal when at least
    `NEAR` of the 5-letter runs that occur in either occur in both (Jaccard, exact: no hashing);
    texts of fewer than 20 letters are only ever equal, because one word is too much of them.

    Source:
        Broder (1997), 'On the resemblance and containment of documents',
        doi:10.1109/SEQUEN.1997.666900.
    """

    # Its name begins like a test's; pytest shall not collect it.
    __test__ = False

    def __init__(self, texts: Iterable[Text]) -> None:
        folded = dict.fromkeys(_folded(t) for t in texts)
        self._equal = frozenset(folded)
        sets = [_shingles(text) for text in folded if len(text) >= 4 * WIDTH]
        self._sizes = np.array([len(s) for s in sets], dtype=np.int64)
        where: dict[str, list[int]] = {}
        for i, shingles in enumerate(sets):
            for shingle in shingles:
                where.setdefault(shingle, []).append(i)
        self._where = {s: np.array(rows, dtype=np.int32) for s, rows in where.items()}

    def holds(self, text: Text) -> Literal["", "equal", "near"]:
        """Tell whether `text` is a test text, or nearly one."""
        folded = _folded(text)
        if folded in self._equal:
            return "equal"
        if len(folded) < 4 * WIDTH or not len(self._sizes):
            return ""
        mine = _shingles(folded)
        rows = [self._where[s] for s in mine if s in self._where]
        if len(rows) < NEAR * len(mine):
            return ""
        shared = np.bincount(np.concatenate(rows), minlength=len(self._sizes))
        return "near" if (shared >= NEAR * (len(mine) + self._sizes - shared)).any() else ""


def folded_text(text: Text) -> str:
    """Return a text without what makes no difference to a reader: case and white space."""
    whole = text if isinstance(text, str) else "\0".join(text)
    return re.sub(r"\s+", " ", whole.casefold()).strip()


def _folded(text: Text) -> str:
    return re.sub(r"[\W_]+", " ", folded_text(text)).strip() or folded_text(text)


def _shingles(text: str) -> frozenset[str]:
    return frozenset(text[i : i + WIDTH] for i in range(max(1, len(text) - WIDTH + 1)))

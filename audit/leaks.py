"""Copies among texts: a test text must not be trained on, nor count twice. Equal ones, near ones."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audit.scripts import is_unspaced
from audit.types import Text

WIDTH = 5
"""Characters of a shingle."""
UNSPACED_WIDTH = 3
"""The same where most of a text is in a script without spaces, whose characters say more each."""
NEAR = 0.8
"""Share of shingles in common (Jaccard) from which two texts count as nearly equal."""
How = Literal["same", "normalised", "near"]
RULES = (
    "normalised: letter case, white space and punctuation play no part; near: Jaccard over runs of "
    f"{WIDTH} characters ({UNSPACED_WIDTH} in scripts without spaces), texts of fewer than "
    f"{4 * WIDTH} ({4 * UNSPACED_WIDTH}) characters excepted"
)
"""What counts as a copy, for a reader."""
_CHUNK = 2_000_000
"""Characters, or candidate pairs, held at once."""
_ENOUGH = 64
"""Further candidates compared after a near copy was found, for a nearer one."""
_HASH, _BUCKETS = 44, 22
"""Bits of a shingle's hash, and of the table of their frequencies."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Text `i` is a copy of text `j`."""

    i: int
    j: int
    how: How
    """``same`` string, equal when ``normalised`` (case, white space, punctuation), or ``near``."""
    similarity: float
    """Jaccard similarity of the shingles, in (0, 1]; 1 for equal texts."""


class TestTexts:
    """The audited texts, to hold training texts against.

    Letter case, white space and punctuation play no part. Two texts are nearly equal when at least
    `NEAR` of the 5-letter runs that occur in either occur in both (Jaccard, exact: no hashing; runs
    of 3 in scripts without spaces); texts of fewer than four runs' letters are only ever equal,
    because one word is too much of them.

    Source:
        Broder (1997), 'On the resemblance and containment of documents',
        doi:10.1109/SEQUEN.1997.666900.
    """

    # Its name begins like a test's; pytest shall not collect it.
    __test__ = False

    def __init__(self, texts: Iterable[Text]) -> None:
        folded = dict.fromkeys(_folded(t) for t in texts)
        self._equal = frozenset(folded)
        sets = [_shingles(text, _width(text)) for text in folded if _is_long(text)]
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
        if not _is_long(folded) or not len(self._sizes):
            return ""
        mine = _shingles(folded, _width(folded))
        rows = [self._where[s] for s in mine if s in self._where]
        if len(rows) < NEAR * len(mine):
            return ""
        shared = np.bincount(np.concatenate(rows), minlength=len(self._sizes))
        return "near" if (shared >= NEAR * (len(mine) + self._sizes - shared)).any() else ""


def folded_text(text: Text) -> str:
    """Return a text without what makes no difference to a reader: case and white space."""
    whole = text if isinstance(text, str) else "\0".join(text)
    return re.sub(r"\s+", " ", whole.casefold()).strip()


def near_copies(
    texts: Sequence[Text], against: Sequence[Text] | None = None, *, threshold: float = NEAR
) -> list[tuple[int, int, float]]:
    """Return ``(i, j, similarity)`` for each of `texts` that equals or nearly equals another.

    See `copies`, which also says how they are alike.
    """
    return [(c.i, c.j, c.similarity) for c in copies(texts, against, threshold=threshold)]


def copies(
    texts: Sequence[Text],
    against: Sequence[Text] | None = None,
    *,
    threshold: float = NEAR,
    clusters: Sequence[str | None] | None = None,
) -> list[Copy]:
    """Return each of `texts` that is a copy of one of `against`, with the one it is nearest to.

    Every near copy is found: candidates are the pairs that share one of their rarest shingles, as
    two sets of Jaccard similarity `threshold` must, and each candidate is compared in full. Of a
    text with many near copies the nearest is looked for among those that share most of their rarest
    shingles. Memory grows with the texts, not with the pairs.

    Args:
        texts: Any number of texts or pairs of texts.
        against: What they may be copies of; None: the earlier ones of `texts`, so that the first of
            several equal texts is no copy.
        threshold: Least Jaccard similarity of a near copy, in [0.2, 1].
        clusters: Cluster of each of `texts`, where `against` is None: texts of one cluster are said
            to depend on each other, and are not held against each other.

    Returns:
        At most one per text, in the order of `texts`. Empty texts are copies of nothing.

    Raises:
        ValueError: If `threshold` is not in [0.2, 1].

    Source:
        Broder (1997), doi:10.1109/SEQUEN.1997.666900, for the resemblance; Bayardo, Ma & Srikant
        (2007), 'Scaling up all pairs similarity search', doi:10.1145/1242572.1242591, for the
        prefix that makes the search exact.
    """
    if not 0.2 <= threshold <= 1:
        raise ValueError(f"the threshold must lie between 0.2 and 1, got {threshold}")
    within = against is None
    folded = [_folded(t) for t in texts]
    others = texts if against is None else against
    theirs = folded if against is None else [_folded(t) for t in against]
    marks = list(clusters) if within and clusters is not None else None
    found = dict(_equal(texts, folded, others, theirs, within, marks))
    mine = [i for i, text in enumerate(folded) if i not in found and _is_long(text)]
    first: dict[tuple[str, str | None], int] = {}
    for j, text in enumerate(theirs):
        if _is_long(text):
            first.setdefault((text, marks[j] if marks else None), j)
    for width in (WIDTH, UNSPACED_WIDTH):
        left = np.array([i for i in mine if _width(folded[i]) == width], dtype=np.int64)
        right = np.array([j for j in first.values() if _width(theirs[j]) == width], np.int64)
        if not len(left) or not len(right):
            continue
        for i, j, similarity in _join(folded, left, theirs, right, width, threshold, within, marks):
            found[i] = Copy(i=i, j=j, how="near", similarity=similarity)
    return [found[i] for i in sorted(found)]


def _equal(
    texts: Sequence[Text],
    folded: Sequence[str],
    others: Sequence[Text],
    theirs: Sequence[str],
    within: bool,
    marks: Sequence[str | None] | None,
) -> Iterator[tuple[int, Copy]]:
    """Yield the texts that are equal to another, as they stand or normalised."""
    # For each text the first place in every cluster; two clusters are enough to find another one.
    raw: dict[Any, dict[object, int]] = {}
    normal: dict[Any, dict[object, int]] = {}

    def remember(j: int) -> None:
        mark = marks[j] if marks and marks[j] is not None else ("alone", j) if marks else None
        for table, key in ((raw, others[j]), (normal, theirs[j])):
            places = table.setdefault(key, {})
            if len(places) < 2:
                places.setdefault(mark, j)

    def seen(table: dict[Any, dict[object, int]], key: object, i: int) -> int | None:
        mine = marks[i] if marks else None
        return next((j for m, j in table.get(key, {}).items() if mine is None or m != mine), None)

    if not within:
        for j in range(len(others)):
            remember(j)
    for i, text in enumerate(folded):
        if text:
            same, alike = seen(raw, texts[i], i), seen(normal, text, i)
            if same is not None:
                yield i, Copy(i=i, j=same, how="same", similarity=1.0)
            elif alike is not None:
                yield i, Copy(i=i, j=alike, how="normalised", similarity=1.0)
        if within:
            remember(i)


def _join(
    folded: Sequence[str],
    left: Ints,
    theirs: Sequence[str],
    right: Ints,
    width: int,
    least: float,
    within: bool,
    marks: Sequence[str | None] | None,
) -> Iterator[tuple[int, int, float]]:
    """Yield the nearest copy of each text of `left` among `right`, by exact comparison."""
    mine, others = [folded[int(i)] for i in left], [theirs[int(j)] for j in right]
    table = np.zeros(1 << _BUCKETS, dtype=np.int64)
    for texts in (mine, others):
        for _, hashes, _ in _hashed(texts, width):
            table += np.bincount(_bucket(hashes), minlength=len(table))
    rows, keys, sizes = _prefixes(mine, width, least, table)
    their_rows, their_keys, their_sizes = _prefixes(others, width, least, table)
    order = np.argsort(their_keys, kind="stable")
    their_rows, their_keys = their_rows[order], their_keys[order]
    start = np.searchsorted(their_keys, keys, "left")
    count = np.searchsorted(their_keys, keys, "right") - start
    total = np.cumsum(count)
    code = {name: n for n, name in enumerate(dict.fromkeys(marks or ()))}
    own = np.array([-1 if m is None else code[m] for m in marks or ()], dtype=np.int64)

    @lru_cache(maxsize=4096)
    def theirs_of(j: int) -> frozenset[str]:
        return _shingles(others[j], width)

    at = 0
    while at < len(rows):
        # Whole texts at a time, so that all candidates of one are seen together.
        base = int(total[at - 1]) if at else 0
        end = max(at + 1, int(np.searchsorted(total, base + _CHUNK, "right")))
        end = int(np.searchsorted(rows, rows[end - 1], "right"))
        n = count[at:end]
        a = np.repeat(rows[at:end], n)
        offset = np.arange(int(n.sum())) - np.repeat(np.cumsum(n) - n, n)
        b = their_rows[np.repeat(start[at:end], n) + offset]
        small, large = np.minimum(sizes[a], their_sizes[b]), np.maximum(sizes[a], their_sizes[b])
        keep = small >= least * large - 1e-9
        if within:
            keep &= right[b] < left[a]
        if marks:
            keep &= (own[left[a]] != own[right[b]]) | (own[left[a]] < 0)
        pairs, shared = np.unique(a[keep] * len(right) + b[keep], return_counts=True)
        a, b = pairs // len(right), pairs % len(right)
        enough = shared >= _least_shared(np.minimum(sizes[a], their_sizes[b]))
        a, b, shared = a[enough], b[enough], shared[enough]
        sorted_ = np.lexsort((b, -shared, a))
        a, b = a[sorted_], b[sorted_]
        border = np.flatnonzero(np.diff(a, prepend=-1, append=-1)).tolist()
        for lo, hi in pairwise(border):
            row = int(a[lo])
            best = _nearest(_shingles(mine[row], width), b[lo:hi], theirs_of, least)
            if best is not None:
                yield int(left[row]), int(right[best[0]]), best[1]
        at = end


def _nearest(
    mine: frozenset[str], candidates: Ints, theirs_of: Any, least: float
) -> tuple[int, float] | None:
    best: tuple[int, float] | None = None
    left = _ENOUGH
    for j in map(int, candidates):
        theirs = theirs_of(j)
        small, large = sorted((len(mine), len(theirs)))
        if best is not None:
            left -= 1
            if left < 0:
                break
            if small / large < best[1]:
                continue
        shared = len(mine & theirs)
        similarity = shared / (len(mine) + len(theirs) - shared)
        # Of equally near ones the first; candidates do not come in that order.
        if similarity >= least and (best is None or (-similarity, j) < (-best[1], best[0])):
            best = (j, similarity)
    return best


def _prefixes(
    texts: Sequence[str], width: int, least: float, table: Ints
) -> tuple[Ints, NDArray[np.uint64], Ints]:
    """Return row and hash of the rarest shingles of each text, and its number of shingles.

    Two sets of ``n`` and ``m`` shingles with Jaccard similarity ``t`` share at least ``t n`` and at
    least ``t m``. Put in one common order, the first ``l`` of those shared are therefore among the
    first ``n - ceil(t n) + l`` of one set and the first ``m - ceil(t m) + l`` of the other.
    """
    rows, keys, sizes = [], [], []
    for row, hashes, size in _hashed(texts, width):
        often = np.minimum(table[_bucket(hashes)], 4095).astype(np.uint64)
        key = (row - row[0]).astype(np.uint64) << np.uint64(46) | often << np.uint64(34)
        order = np.argsort(key | hashes >> np.uint64(_HASH - 34), kind="stable")
        row, hashes = row[order], hashes[order]
        first = np.searchsorted(row, row, "left")
        length = size[row - row[0]]
        # The subtrahend keeps 0.8 x 5 from being taken for a little more than 4.
        wanted = length - np.ceil(least * length - 1e-9).astype(np.int64)
        wanted += _least_shared(length)
        keep = np.arange(len(row)) - first < wanted
        rows.append(row[keep])
        keys.append(hashes[keep])
        sizes.append(size)
    return np.concatenate(rows), np.concatenate(keys), np.concatenate(sizes)


def _least_shared(size: Ints) -> Ints:
    """Return how many of the rarest shingles two near copies share, the smaller being so large."""
    return 1 + size // 32


def _hashed(texts: Sequence[str], width: int) -> Iterator[tuple[Ints, NDArray[np.uint64], Ints]]:
    """Yield, for some texts at a time, row and hash of each shingle once, and shingles per text.

    A hash that two shingles share makes a candidate too many, never one too few.
    """
    at = 0
    while at < len(texts):
        end, held = at, 0
        while end < len(texts) and (end == at or held + len(texts[end]) <= _CHUNK):
            held += len(texts[end])
            end += 1
        some = texts[at:end]
        letters = np.frombuffer(
            "".join(some).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
        ).astype(np.uint64)
        lengths = np.array([len(t) for t in some], dtype=np.int64)
        row = np.repeat(np.arange(at, end), lengths)
        n = len(letters) - width + 1
        hashes = np.zeros(n, dtype=np.uint64)
        for k in range(width):
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + letters[k : k + n]
        hashes ^= hashes >> np.uint64(29)
        hashes *= np.uint64(0xBF58476D1CE4E5B9)
        hashes ^= hashes >> np.uint64(32)
        whole = row[:n] == row[width - 1 :]
        # Row and hash in one number: sorting one array is far quicker than sorting by two.
        key = row[:n][whole].astype(np.uint64) - np.uint64(at) << np.uint64(_HASH)
        key = np.sort(key | hashes[whole] >> np.uint64(64 - _HASH))
        key = key[np.diff(key, prepend=key[0] + np.uint64(1)) != 0]
        row = (key >> np.uint64(_HASH)).astype(np.int64) + at
        yield row, key & np.uint64((1 << _HASH) - 1), np.bincount(row - at, minlength=end - at)
        at = end


def _bucket(hashes: NDArray[np.uint64]) -> Ints:
    return (hashes >> np.uint64(_HASH - _BUCKETS)).astype(np.int64)


def _folded(text: Text) -> str:
    parts = (text,) if isinstance(text, str) else text
    return "\0".join(
        re.sub(r"[\W_]+", " ", folded_text(part)).strip() or folded_text(part) for part in parts
    )


def _width(folded: str) -> int:
    return UNSPACED_WIDTH if is_unspaced(folded) else WIDTH


def _is_long(folded: str) -> bool:
    return len(folded) >= 4 * UNSPACED_WIDTH and len(folded) >= 4 * _width(folded)


def _shingles(text: str, width: int) -> frozenset[str]:
    return frozenset(text[i : i + width] for i in range(max(1, len(text) - width + 1)))

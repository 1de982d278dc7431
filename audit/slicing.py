"""Slices of a set of texts: searched on one part of it, confirmed on the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.scripts import UNSPACED, script
from audit.text import words
from audit.types import Absent, Estimate, Floats, Text

Bools = NDArray[np.bool_]
_SUSPICIOUS = -1.6448536269514722
"""Standard score from which a slice is suspected: one-sided, one in twenty."""
_OVERLAP = 0.5
"""Jaccard similarity of members from which two slices are one slice under two names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What ``n`` texts can be sliced by."""

    matrix: Any
    """Sparse, column-wise, shape ``(n, f)``, of 0 and 1: which text has which feature."""
    names: tuple[str, ...]
    attributes: tuple[str, ...]
    """Of each feature: the attribute whose value it is; empty for words, lengths and scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Texts that share a feature, or two."""

    name: str
    member: Bools
    """Shape ``(n,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What looked weak."""

    searched: int
    """Slices with enough texts, on both sides."""
    strongest: Slice | None
    """The one with most evidence of being weak, however little that is."""
    suspects: tuple[Slice, ...]
    """Those taken forward, most evidence first; `strongest` is the first of them if there is any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a slice that was taken forward came to."""

    slice: Slice
    p: float
    """One-sided p-value against 'no worse than the other texts', after Holm over all checked."""
    hits: int
    n: int
    other_hits: int
    other_n: int


def terms(text: Text) -> frozenset[str]:
    """Return the words of a text in lower case; in scripts without spaces, every two characters."""
    found: set[str] = set()
    for part in (text,) if isinstance(text, str) else text:
        for word in words(part):
            lower = word.text.casefold()
            if lower.isascii():
                found.add(lower)
                continue
            at = 0
            for run in UNSPACED.finditer(lower):
                found.update(lower[k : k + 2] for k in range(run.start(), run.end() - 1))
                found.update({run[0]} if len(run[0]) == 1 else ())
                found.add(lower[at : run.start()])
                at = run.end()
            found.add(lower[at:])
    return frozenset(found - {""})


def features(
    texts: Sequence[Text], groups: Sequence[Mapping[str, str]], part: Bools, *, least: int
) -> Features:
    """Return what `texts` can be sliced by: words, quarters of length, scripts, groups.

    Args:
        texts: ``n`` of them.
        groups: Attribute to value of each; an absent attribute is in no slice.
        part: Shape ``(n,)``, the part that is searched: quarters of length are its own.
        least: Texts of that part a feature must have.
    """
    from scipy import sparse

    if not part.any():
        return Features(matrix=sparse.csc_array((len(texts), 0)), names=(), attributes=())
    columns: dict[tuple[str, str], list[int]] = {}
    length = np.array([len(t) if isinstance(t, str) else sum(map(len, t)) for t in texts])
    ends = np.unique(np.quantile(length[part], [0.25, 0.5, 0.75, 1.0], method="lower")).tolist()
    # The last quarter takes what is longer than any text of the part.
    quarter = np.searchsorted(ends[:-1], length, "left")
    starts = [0, *(end + 1 for end in ends[:-1])]
    for i, (text, values) in enumerate(zip(texts, groups, strict=True)):
        for term in terms(text):
            columns.setdefault(("", f"the word “{term}”"), []).append(i)
        if len(ends) > 1:
            q = int(quarter[i])
            last = q == len(ends) - 1
            said = f"{starts[q]:,} or more" if last else f"{starts[q]:,} to {ends[q]:,}"
            columns.setdefault(("", f"{said} characters"), []).append(i)
        whole = text if isinstance(text, str) else " ".join(text)
        columns.setdefault(("", f"{script(whole)} script"), []).append(i)
        for attribute, value in values.items():
            columns.setdefault((attribute, f"{attribute} = {value}"), []).append(i)
    kept = sorted(key for key, rows in columns.items() if part[rows].sum() >= least)
    rows = np.array([i for key in kept for i in columns[key]], dtype=np.int64)
    ends_at = np.cumsum([0, *(len(columns[key]) for key in kept)])
    matrix = sparse.csc_array(
        (np.ones(len(rows), dtype=np.float64), rows, ends_at), shape=(len(texts), len(kept))
    )
    return Features(
        matrix=matrix,
        names=tuple(name for _, name in kept),
        attributes=tuple(attribute for attribute, _ in kept),
    )


def search(of: Features, good: Bools, part: Bools, *, least: int, most: int) -> Search:
    """Return the slices of one part in which fewer texts are `good` than in the rest of it.

    Every feature is searched, and every group of an attribute within every other feature. An
    intersection is a candidate where the evidence against it is stronger than against either of its
    sides, so that a weak group is not reported once more with every word.

    Args:
        of: The features of ``n`` texts.
        good: Shape ``(n,)``.
        part: Shape ``(n,)``: where to search.
        least: Texts a slice must have in the part, and leave outside.
        most: Slices taken forward: those with most evidence among the ones that are suspected (a
            standard score below -1.64) and do not share most texts with one already taken.

    Source:
        Chung, Kraska, Polyzotis, Tae & Whang (2019), 'Slice Finder', arXiv:1807.06068, for slices
        by literals and their conjunctions, larger ones before their parts.
    """
    inside = of.matrix.tocsr()[np.flatnonzero(part)].tocsc()
    right = good[part].astype(np.float64)
    size, hits = np.asarray(inside.sum(axis=0)).ravel(), np.asarray(inside.T @ right).ravel()
    single = _scores(size, hits, right, least)
    # Of slices with as much evidence the largest, then by name.
    scored: list[tuple[float, float, str, tuple[int, ...]]] = [
        (float(z), -float(size[k]), of.names[k], (k,))
        for k, z in enumerate(single)
        if np.isfinite(z)
    ]
    groups = [k for k, attribute in enumerate(of.attributes) if attribute]
    attributes = np.array(of.attributes, dtype=object)
    position = np.arange(len(of.names))
    for g in groups:
        member = np.asarray(inside[:, [g]].todense()).ravel()
        both = np.asarray(inside.T @ member).ravel()
        z = _scores(both, np.asarray(inside.T @ (member * right)).ravel(), right, least)
        # Two groups meet once, and never two of one attribute.
        z[(attributes == of.attributes[g]) | ((attributes != "") & (position < g))] = np.inf
        found = np.flatnonzero(np.isfinite(z))
        for k in map(int, found):
            # A side that is all texts but a few cannot be scored, and is no slice of its own.
            sides = [s for s in (single[g], single[k]) if np.isfinite(s)]
            evidence = float(z[k]) if z[k] < min(sides, default=np.inf) else np.inf
            name = f"{of.names[g]} and {of.names[k]}"
            scored.append((evidence, -float(both[k]), name, (g, k)))
    searched = len(scored)
    scored = sorted(s for s in scored if np.isfinite(s[0]))
    taken: list[Slice] = []
    mine: list[Bools] = []
    for evidence, _, name, columns in scored:
        if evidence > _SUSPICIOUS or len(taken) == most:
            break
        one = _slice(of, name, columns)
        there = one.member[part]
        if all((there & m).sum() <= _OVERLAP * (there | m).sum() for m in mine):
            taken.append(one)
            mine.append(there)
    strongest = _slice(of, *scored[0][2:]) if scored else None
    return Search(searched=searched, strongest=strongest, suspects=tuple(taken))


def check(
    suspects: Sequence[Slice], good: Bools, part: Bools, units: Sequence[str]
) -> tuple[Checked, ...]:
    """Ask of each suspect, on texts that had no say in suspecting it, whether it is worse.

    Args:
        suspects: Slices of ``n`` texts.
        good: Shape ``(n,)``.
        part: Shape ``(n,)``: the part to check on.
        units: Of each text, what it depends on: texts of one unit are not independent.

    Source:
        Fisher's exact test, one-sided, where every text is a unit of its own; else the difference
        of `stats.difference_of_means`. Holm (1979), Scand. J. Statist. 6, pp. 65-70.
    """
    from scipy.stats import hypergeom

    right = good[part]
    names = [units[int(i)] for i in np.flatnonzero(part)]
    alone = len(set(names)) == len(names)
    rows: list[tuple[int, int, int, int]] = []
    ps: list[float] = []
    for one in suspects:
        there = one.member[part]
        n, hits = int(there.sum()), int((there & right).sum())
        rows.append((hits, n, int(right.sum()) - hits, len(right) - n))
        if alone:
            ps.append(float(hypergeom.cdf(hits, len(right), int(right.sum()), n)))
        else:
            gap = difference(one, good, part, units, level=0.95)
            ps.append(1.0 if isinstance(gap, Absent) else stats.p_beyond(gap, 0.0, "below"))
    return tuple(
        Checked(slice=one, p=float(p), hits=h, n=n, other_hits=oh, other_n=on)
        for one, p, (h, n, oh, on) in zip(suspects, stats.holm(ps), rows, strict=True)
    )


def difference(
    one: Slice, good: Bools, part: Bools, units: Sequence[str], *, level: float
) -> Estimate | Absent:
    """Estimate the share of good texts in a slice less that outside it, on one part."""
    there, right = one.member[part], good[part]
    names = [units[int(i)] for i in np.flatnonzero(part)]
    if len(set(names)) == len(names):
        hits, n = int((there & right).sum()), int(there.sum())
        return stats.difference(hits, n, int(right.sum()) - hits, len(right) - n, level=level)
    return stats.difference_of_means(
        right.astype(float), there, names, low=0.0, high=1.0, level=level
    )


def _scores(size: Floats, hits: Floats, right: Floats, least: int) -> Floats:
    """Return the standard score of each slice against the rest; infinite where it has too few."""
    n, good = len(right), float(right.sum())
    out = np.full(len(size), np.inf)
    ok = (size >= least) & (n - size >= least)
    if good in (0.0, float(n)):
        out[ok] = 0.0
        return out
    s, h = size[ok], hits[ok]
    p = good / n
    gap = h / s - (good - h) / (n - s)
    out[ok] = gap / np.sqrt(p * (1 - p) * (1 / s + 1 / (n - s)))
    return out


def _slice(of: Features, name: str, columns: Sequence[int]) -> Slice:
    member = np.ones(of.matrix.shape[0], dtype=bool)
    for k in columns:
        has = np.zeros(len(member), dtype=bool)
        has[of.matrix.indices[of.matrix.indptr[k] : of.matrix.indptr[k + 1]]] = True
        member &= has
    return Slice(name=name, member=member)

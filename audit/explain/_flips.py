"""The fewest words that turn a decision, looked for on many texts at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit import lockstep
from audit.attribution import Words
from audit.decision import decide, distance, names
from audit.explain._shapes import Edit, Flip, Flips
from audit.lockstep import Ask
from audit.types import Decision, Floats, Text

EDITS = 4
"""Words that may be changed before a search gives up."""
SHOWN = 3
"""Flips of one text that are kept."""
_MOST_DELETIONS = 120
"""Of a longer text the words with the largest weights are tried alone."""
_REPLACED, _BEAM, _NEXT = 12, 5, 16
"""Words whose replacements are tried, states that are gone on from, edits added to each."""
Near = Callable[[str], tuple[str, ...]]
"""A word to others that could stand in its place."""
_Changes = tuple[tuple[int, str | None], ...]


def nearest(
    texts: Sequence[Words],
    weights: Sequence[Sequence[float] | None],
    score: lockstep.Answer,
    rule: Decision,
    near: Near,
    *,
    most: int = EDITS,
) -> list[Flips]:
    """Search each text for the fewest deletions or replacements of words that turn its decision.

    Every single deletion is tried (of a long text, those of its weightiest words), then
    replacements of the words whose deletion moves the score furthest towards the other side. Beyond
    one edit the search keeps the states nearest to it: it can miss a flip, never invent one. What
    the texts ask is scored together.

    Args:
        texts: The texts as words.
        weights: An attribution of each, or None: says which words of a long text to try.
        score: Usually a `Scorer`.
        rule: What a turned decision is.
        near: Replacements of a word; none for a word it does not know.
        most: Edits at most.
    """
    found: list[Flips | None] = [None] * len(texts)
    searches = (_search(one, w, rule, near, most) for one, w in zip(texts, weights, strict=True))
    for i, ended in lockstep.run(searches, score):
        if isinstance(ended, lockstep.Failure):
            raise ended.error
        found[i] = ended
    return [one for one in found if one is not None]


@dataclass(frozen=True, slots=True)
class _State:
    changes: _Changes
    distance: float
    """Towards the decision as it was: the smaller, the nearer to another one."""
    label: int
    score: float


def _search(
    words: Words, weights: Sequence[float] | None, rule: Decision, near: Near, most: int
) -> Callable[[Ask], Flips]:
    def search(ask: Ask) -> Flips:
        queries = 1
        first = ask([words.text])
        label = int(decide(rule, first).label[0])
        side = 1.0 if distance(rule, first)[0] >= 0 else -1.0

        def tried(some: Sequence[_Changes]) -> list[_State]:
            nonlocal queries
            if not some:
                return []
            texts: list[Text] = [words.altered(dict(changes)) for changes in some]
            queries += len(texts)
            scores = ask(texts)
            return _states(some, scores, rule, side)

        def result(states: Sequence[_State], edits: int) -> Flips:
            return Flips(
                found=tuple(_flip(words, rule, s) for s in states),
                edits=edits,
                queries=queries,
                exhaustive=len(places) == len(candidates),
            )

        candidates = [i for i, w in enumerate(words.words) if any(c.isalnum() for c in w)]
        places = _weightiest(candidates, weights)
        single = tried([((i, None),) for i in places])
        nearest_first = sorted(single, key=lambda s: (s.distance, s.changes[0][0]))
        replaced = [s.changes[0][0] for s in nearest_first[:_REPLACED]]
        single += tried([((i, new),) for i in replaced for new in near(words.words[i])])
        turned = _turned(single, label)
        if turned or most < 2:
            return result(turned, 1)
        single.sort(key=_order)
        beam, steps = single[:_BEAM], single[:_NEXT]
        for edits in range(2, most + 1):
            grown = {
                tuple(sorted((*state.changes, *step.changes), key=lambda c: c[0])): None
                for state in beam
                for step in steps
                if step.changes[0][0] not in {i for i, _ in state.changes}
            }
            states = tried(list(grown))
            turned = _turned(states, label)
            if turned:
                return result(turned, edits)
            beam = sorted(states, key=_order)[:_BEAM]
            if not beam:
                break
        return result((), most)

    return search


def _states(some: Sequence[_Changes], scores: Floats, rule: Decision, side: float) -> list[_State]:
    decided = decide(rule, scores)
    far = side * distance(rule, scores)
    return [
        _State(changes, float(far[k]), int(decided.label[k]), float(decided.score[k]))
        for k, changes in enumerate(some)
    ]


def _order(state: _State) -> tuple[float, list[tuple[int, str]]]:
    # Of two that do the same the deletion comes first.
    return state.distance, [(i, new or "") for i, new in state.changes]


def _turned(states: Sequence[_State], label: int) -> list[_State]:
    """Return the states whose decision is another one, the surest first.

    Of those that differ in a replacement alone, one.
    """
    found: list[_State] = []
    seen: set[frozenset[tuple[int, bool]]] = set()
    for state in sorted(states, key=_order):
        where = frozenset((i, new is None) for i, new in state.changes)
        if state.label != label and where not in seen:
            seen.add(where)
            found.append(state)
    return found[:SHOWN]


def _weightiest(candidates: Sequence[int], weights: Sequence[float] | None) -> list[int]:
    if weights is None or len(candidates) <= _MOST_DELETIONS:
        return list(candidates)[:_MOST_DELETIONS]
    size: NDArray[np.float64] = np.abs(np.asarray(weights, float))[list(candidates)]
    kept = np.argsort(-size, kind="stable")[:_MOST_DELETIONS]
    return [candidates[int(k)] for k in sorted(kept)]


def _flip(words: Words, rule: Decision, state: _State) -> Flip:
    changes: Mapping[int, str | None] = dict(state.changes)
    text = words.altered(changes)
    return Flip(
        edits=tuple(
            Edit(
                word=words.words[i],
                start=words.spans[i][0],
                end=words.spans[i][1],
                part=words.parts[i],
                new=new or "",
            )
            for i, new in state.changes
        ),
        parts=(text,) if isinstance(text, str) else text,
        score=state.score,
        decision=names(rule, state.label),
    )

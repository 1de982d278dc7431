"""Why the model said this of one text, how far to trust the answer, and what would change it.

Everything the audit knows how to ask is asked of a few texts at once: attributions and their
reliability label, swaps on every axis that applies with both sides aligned word by word, the
nearest flips, audited texts that are like it. Each part can be had by itself, the quick ones first.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from audit import attribution, reliability
from audit.aligning import Aligned, align
from audit.attribution import Attribution, as_words, attribute
from audit.classifier import white_box
from audit.decision import decide, distance, names
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.explain._flips import EDITS, nearest
from audit.explain._shapes import (
    Edit,
    Explanation,
    Flip,
    Flips,
    Similar,
    Swap,
    Weighed,
    Word,
    unweighed,
    weighed,
)
from audit.explain._similar import Audited, audited, similar
from audit.explain._twins import Twin, twins
from audit.lexicon import AXES
from audit.neighbours import neighbours
from audit.reliability import kendall
from audit.resources import Resources, stop_words
from audit.scorer import Scorer
from audit.types import Decision, Text

__all__ = [
    "PARTS",
    "QUICK",
    "Aligned",
    "Audited",
    "Edit",
    "Explanation",
    "Flip",
    "Flips",
    "Part",
    "Similar",
    "Swap",
    "Weighed",
    "Word",
    "audited",
    "explain",
    "method_for",
]

Part = Literal["attribution", "reliability", "swaps", "flips", "similar"]
PARTS: tuple[Part, ...] = ("attribution", "reliability", "swaps", "flips", "similar")
"""What can be asked for; the prediction is always there."""
QUICK: tuple[Part, ...] = ("attribution", "reliability")
"""What a first answer needs: no colours without their label."""
_NEAR, _COSINE = 6, 0.35


def explain(
    scorer: Scorer,
    rule: Decision,
    texts: Sequence[Text],
    *,
    method: str | None = None,
    compare: Sequence[str] = (),
    parts: Collection[str] = PARTS,
    known: Sequence[Explanation] | None = None,
    audit: Audited | None = None,
    axes: Sequence[str] = tuple(AXES),
    edits: int = EDITS,
    resources: Resources | None = None,
    seed: int = 0,
) -> tuple[Explanation, ...]:
    """Explain the favourable score of each text, in the order of `texts`.

    Args:
        scorer: The model.
        rule: What is decided, and which labels' score is explained.
        texts: Strings, or pairs for a model of pairs.
        method: One of `attribution.METHODS`; None: integrated gradients where the model has an
            inside to look at, else kernel SHAP.
        compare: Further methods, each with its own label and its agreement with the first.
        parts: Of `PARTS`: what to answer. ``similar`` needs `audit`; without it nothing is similar.
            Swaps are aligned where an attribution was asked for or is known.
        known: Earlier answers for the same texts, same method: their parts are kept, so that quick
            parts can be shown first and slow ones filled in.
        audit: Texts of an audit, from `audited`.
        axes: Axes of swaps, of `audit.lexicon.AXES`.
        edits: Words changed, at most, in a flip.
        resources: Where the encoder is looked for, whose word vectors say what could replace a
            word; without it flips are searched by deletion alone.
        seed: For names that are drawn, sampling methods, and the label's random deals.

    Raises:
        ConfigError: If there is no such method or part.
        Unsupported: If a gradient is asked of a callable.
    """
    for name in parts:
        if name not in PARTS:
            raise ConfigError(
                f"An explanation has no part {name!r}.", hint=did_you_mean(name, PARTS)
            )
    for name in compare:
        if name not in attribution.METHODS:
            raise ConfigError(
                f"There is no attribution method {name!r}.",
                hint=did_you_mean(name, attribution.METHODS),
            )
    texts = list(texts)
    if not texts:
        return ()
    method = method or method_for(scorer)
    if known is None:
        found = _predicted(scorer, rule, texts)
    else:
        found = list(known)
        if [e.parts for e in found] != [_parts(text) for text in texts]:
            raise ValueError("`known` must be explanations of the same texts")
    ask = _Asked(scorer, rule, texts, seed)
    if "attribution" in parts or "reliability" in parts:
        found = ask.attributed(found, method, compare, labelled="reliability" in parts)
    if "swaps" in parts:
        found = ask.swapped(found, axes)
    if "flips" in parts:
        found = ask.flipped(found, edits, resources or Resources())
    if "similar" in parts and audit is not None:
        near = similar(texts, audit, rule)
        found = [replace(e, similar=some) for e, some in zip(found, near, strict=True)]
    return tuple(found)


def method_for(scorer: Scorer) -> str:
    """Return the default method: by gradients where the model shows its inside."""
    try:
        inside = white_box(scorer.classifier)
    except Unsupported:
        return "kernel_shap"
    fast = getattr(inside.tokenizer, "is_fast", False)
    return "integrated_gradients" if fast else "kernel_shap"


def _predicted(scorer: Scorer, rule: Decision, texts: Sequence[Text]) -> list[Explanation]:
    scores = scorer(texts)
    cut = scorer.truncated(texts)
    decided = decide(rule, scores)
    far = distance(rule, scores)
    threshold = rule.threshold
    if threshold is None and rule.head == "multi":
        threshold = 0.5
    return [
        Explanation(
            parts=_parts(text),
            labels=rule.labels,
            probabilities=tuple(scores[i].tolist()),
            favourable=rule.favourable,
            score=float(decided.score[i]),
            threshold=threshold,
            distance=float(far[i]),
            decision=names(rule, int(decided.label[i])),
            selected=bool(decided.favourable[i]),
            truncated=bool(cut[i]),
        )
        for i, text in enumerate(texts)
    ]


class _Asked:
    """One request: the model, the rule and the texts, which every part needs."""

    def __init__(self, scorer: Scorer, rule: Decision, texts: list[Text], seed: int) -> None:
        self.scorer, self.rule, self.texts, self.seed = scorer, rule, texts, seed
        self.target = [i for i, name in enumerate(rule.labels) if name in rule.favourable]

    def attribute(self, texts: Sequence[Text], method: str) -> list[Attribution]:
        return attribute(self.scorer, texts, self.target, method, seed=self.seed)

    def attributed(
        self, found: list[Explanation], method: str, compare: Sequence[str], *, labelled: bool
    ) -> list[Explanation]:
        if any(e.weighed is None or e.weighed.method != method for e in found):
            new = [weighed(one) for one in self.attribute(self.texts, method)]
            found = [
                # Another method's weights explain no swap of this one.
                replace(e, weighed=w, compared=(), agreement=(), swaps=None)
                for e, w in zip(found, new, strict=True)
            ]
        for name in compare:
            if name == method or any(name == c.method for c in found[0].compared):
                continue
            more = [weighed(one) for one in self.attribute(self.texts, name)]
            found = [
                replace(
                    e,
                    compared=(*e.compared, w),
                    agreement=(*e.agreement, (name, _agreement(e.weighed, w))),
                )
                for e, w in zip(found, more, strict=True)
            ]
        return self._labelled(found) if labelled else found

    def _labelled(self, found: list[Explanation]) -> list[Explanation]:
        rows = [[e.weighed, *e.compared] for e in found]
        for k in range(len(rows[0])):
            column = [row[k] for row in rows]
            if all(w is not None and w.reliability is not None for w in column):
                continue
            some = [
                unweighed(w, truncated=e.truncated)
                for w, e in zip(column, found, strict=True)
                if w is not None
            ]
            judged = reliability.judge(self.scorer, self.texts, self.target, some, seed=self.seed)
            for row, w, label in zip(rows, column, judged, strict=True):
                row[k] = None if w is None else replace(w, reliability=label)
        return [
            replace(e, weighed=row[0], compared=tuple(w for w in row[1:] if w is not None))
            for e, row in zip(found, rows, strict=True)
        ]

    def swapped(self, found: list[Explanation], axes: Sequence[str]) -> list[Explanation]:
        made = [twins(text, axes, self.seed) for text in self.texts]
        every = [twin for some, _ in made for twin in some]
        after = self.scorer([twin.swapped.input for twin in every])
        controls = [twin.control for twin in every if twin.control is not None]
        control = iter(decide(self.rule, self.scorer([c.input for c in controls])).score.tolist())
        methods = {e.weighed.method for e in found if e.weighed is not None}
        theirs: list[Attribution] | list[None] = [None] * len(every)
        if len(methods) == 1:
            theirs = self.attribute([twin.swapped.input for twin in every], methods.pop())
        decided = decide(self.rule, after)
        answers, k = [], 0
        for e, (some, missing) in zip(found, made, strict=True):
            swaps = []
            for twin in some:
                placebo = next(control) if twin.control is not None else None
                said = names(self.rule, int(decided.label[k]))
                swaps.append(_swap(e, twin, float(decided.score[k]), placebo, said, theirs[k]))
                k += 1
            # What moves the score most stands first.
            swaps.sort(key=lambda s: (not s.flipped, -abs(s.difference), s.axis, s.groups))
            answers.append(replace(e, swaps=tuple(swaps), not_swapped=missing))
        return answers

    def flipped(
        self, found: list[Explanation], edits: int, resources: Resources
    ) -> list[Explanation]:
        flips = nearest(
            as_words(self.scorer, self.texts),
            [None if e.weighed is None else e.weighed.weights for e in found],
            self.scorer,
            self.rule,
            _replacements(resources),
            most=edits,
        )
        return [replace(e, flips=f) for e, f in zip(found, flips, strict=True)]


def _swap(
    e: Explanation,
    twin: Twin,
    score: float,
    placebo: float | None,
    said: tuple[str, ...],
    theirs: Attribution | None,
) -> Swap:
    aligned: tuple[Aligned, ...] = ()
    if theirs is not None and e.weighed is not None:
        mine = e.weighed
        aligned = align([w.text for w in mine.words], mine.weights, theirs.words, theirs.weights)
    return Swap(
        axis=twin.axis,
        groups=twin.pair,
        changes=twin.swapped.changes,
        parts=twin.swapped.parts,
        score=score,
        difference=score - e.score,
        placebo=None if placebo is None else placebo - e.score,
        decision=said,
        flipped=said != e.decision,
        aligned=aligned,
    )


def _agreement(one: Weighed | None, other: Weighed) -> float | None:
    if one is None or len(one.words) != len(other.words):
        return None
    return kendall(one.weights, other.weights)


def _replacements(resources: Resources) -> Callable[[str], tuple[str, ...]]:
    """Return which words could stand for a word, by the packaged encoder's own vectors."""
    try:
        table = neighbours(resources.encoder())
    except Unsupported:
        return lambda word: ()
    common = stop_words()

    @lru_cache(maxsize=4096)
    def near(word: str) -> tuple[str, ...]:
        if word.lower() in common:
            return ()
        found: Sequence[str] = table.near(word, most=_NEAR, least=_COSINE)
        return tuple(new.capitalize() if word[:1].isupper() else new for new in found)

    return near


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text

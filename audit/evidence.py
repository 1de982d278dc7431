"""Attributions of the cases an audit shows: of both sides of a change, each with its label.

A bounded number of each probe's failing cases: texts whose decision changed, both sides word by
word, and texts that a weak slice gets wrong. Colours never stand without a reliability label, so
cases that a probe coloured itself are labelled here as well.
"""

from collections.abc import Sequence
from dataclasses import replace

from audit.attribution import Attribution, as_words, attribute
from audit.classifier import white_box
from audit.errors import Unsupported
from audit.reliability import Reliability, judge
from audit.scorer import Scorer
from audit.types import Case, Decision

MOST = 4
"""Cases of one probe that are attributed."""
WRONG = frozenset({"slices"})
"""Probes whose cases are wrong decisions, not changed ones."""
_DIGITS = 6
"""Significant digits kept of a weight: below them the company of a text shows."""


def explained(
    cases: Sequence[Case], scorer: Scorer, rule: Decision, *, probe: str, most: int = MOST
) -> tuple[Case, ...]:
    """Return the cases with attributions where they fail, the largest changes first.

    Args:
        cases: Of one probe, single texts: the sides of a pair of texts are not told apart in them.
        scorer: The model; a callable has no gradients, and its cases stay as they are.
        rule: Whose favourable score is attributed.
        probe: Its name: says what a failing case is.
        most: Cases that are attributed, at most; as many again are labelled only.
    """
    if most < 1:
        return tuple(cases)
    try:
        fast = getattr(white_box(scorer.classifier).tokenizer, "is_fast", False)
    except Unsupported:
        return tuple(cases)
    if not fast:
        return tuple(cases)
    order = sorted(
        range(len(cases)), key=lambda i: -abs(cases[i].score_after - cases[i].score_before)
    )
    changed = [i for i in order if _changed(cases[i])][:most]
    wrong = [i for i in order if probe in WRONG and not cases[i].words][: most - len(changed)]
    coloured = [i for i in order if cases[i].words and not cases[i].reliability][: 2 * most]
    target = [i for i, name in enumerate(rule.labels) if name in rule.favourable]
    # One request for all: what several cases share is attributed once.
    texts = list(
        dict.fromkeys(
            [cases[i].before for i in (*changed, *wrong)] + [cases[i].after for i in changed]
        )
    )
    by_text = dict(zip(texts, attribute(scorer, texts, target), strict=True))
    labels = dict(
        zip(texts, judge(scorer, texts, target, [by_text[t] for t in texts]), strict=True)
    )
    made = list(cases)
    for i in changed:
        case = cases[i]
        one, other = by_text[case.before], by_text[case.after]
        made[i] = replace(
            case,
            words=one.words,
            weights=_kept(one),
            reliability=said(labels[case.before]),
            words_after=other.words,
            weights_after=_kept(other),
            reliability_after=said(labels[case.after]),
        )
    for i in wrong:
        one = by_text[cases[i].before]
        made[i] = replace(
            cases[i],
            words=one.words,
            weights=_kept(one),
            reliability=said(labels[cases[i].before]),
        )
    for i, label in _labelled(cases, coloured, scorer, target):
        made[i] = replace(cases[i], reliability=said(label))
    return tuple(made)


def said(label: Reliability) -> str:
    """Return a label with its reasons in one line: ``high: borne out: …``."""
    return f"{label.label}: {'; '.join(label.reasons)}"


def _changed(case: Case) -> bool:
    return case.flipped and case.before != case.after and not case.words


def _kept(one: Attribution) -> tuple[float, ...]:
    return tuple(float(f"{w:.{_DIGITS}g}") for w in one.weights)


def _labelled(
    cases: Sequence[Case], chosen: Sequence[int], scorer: Scorer, target: Sequence[int]
) -> list[tuple[int, Reliability]]:
    """Return labels for colours that a probe brought along, where they are of the text shown."""
    read = as_words(scorer, [cases[i].before for i in chosen])
    kept = [(i, w) for i, w in zip(chosen, read, strict=True) if w.words == tuple(cases[i].words)]
    found = [
        Attribution(
            words=w.words,
            spans=w.spans,
            parts=w.parts,
            weights=tuple(cases[i].weights),
            logit=0.0,
            logit_baseline=0.0,
            # A probe shows only what converged.
            delta=None,
            steps=0,
            baseline="",
            truncated=w.truncated,
        )
        for i, w in kept
    ]
    labels = judge(scorer, [cases[i].before for i, _ in kept], target, found)
    return [(i, label) for (i, _), label in zip(kept, labels, strict=True)]

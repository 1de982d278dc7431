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
from audit.types import Case, Decision, Text

MOST = 4
"""Cases of one probe that are attributed."""
WRONG = frozenset({"slices"})
"""Probes whose cases are wrong decisions, not changed ones."""
_DIGITS = 6
"""Significant digits kept of a weight: below them the company of a text shows."""


def explained(
    cases: Sequence[Case],
    scorer: Scorer,
    rule: Decision,
    *,
    probe: str,
    most: int = MOST,
    pairs: bool = False,
) -> tuple[Case, ...]:
    """Return the cases with attributions where they fail, the largest changes first.

    Args:
        cases: Of one probe.
        scorer: The model; a callable has no gradients, and its cases stay as they are.
        rule: Whose favourable score is attributed.
        probe: Its name: says what a failing case is.
        most: Cases that are attributed, at most; as many again are labelled only.
        pairs: The model reads two texts, which stand on a line each in a case. Where one of them
            has a line break of its own the two cannot be told apart: the case stays as it is.
    """
    if most < 1:
        return tuple(cases)
    try:
        fast = getattr(white_box(scorer.classifier).tokenizer, "is_fast", False)
    except Unsupported:
        return tuple(cases)
    if not fast:
        return tuple(cases)
    read = [(_input(c.before, pairs), _input(c.after, pairs)) for c in cases]
    clear = [i for i in range(len(cases)) if None not in read[i]]
    order = sorted(clear, key=lambda i: -abs(cases[i].score_after - cases[i].score_before))
    changed = [i for i in order if _changed(cases[i])][:most]
    wrong = [i for i in order if probe in WRONG and not cases[i].words][: most - len(changed)]
    coloured = [i for i in order if cases[i].words and not cases[i].reliability][: 2 * most]
    target = [i for i, name in enumerate(rule.labels) if name in rule.favourable]
    # One request for all: what several cases share is attributed once.
    asked = [read[i][0] for i in (*changed, *wrong)] + [read[i][1] for i in changed]
    texts = list(dict.fromkeys(text for text in asked if text is not None))
    by_text = dict(zip(texts, attribute(scorer, texts, target), strict=True))
    labels = dict(
        zip(texts, judge(scorer, texts, target, [by_text[t] for t in texts]), strict=True)
    )
    made = list(cases)
    for i in changed:
        case = cases[i]
        before, after = (text for text in read[i] if text is not None)
        one, other = by_text[before], by_text[after]
        made[i] = replace(
            case,
            words=one.words,
            weights=_kept(one),
            reliability=said(labels[before]),
            words_after=other.words,
            weights_after=_kept(other),
            reliability_after=said(labels[after]),
        )
    for i in wrong:
        (text, _) = read[i]
        if text is None:
            continue
        one = by_text[text]
        made[i] = replace(
            cases[i],
            words=one.words,
            weights=_kept(one),
            reliability=said(labels[text]),
        )
    for i, label in _labelled(cases, [(i, read[i][0]) for i in coloured], scorer, target):
        made[i] = replace(cases[i], reliability=said(label))
    return tuple(made)


def said(label: Reliability) -> str:
    """Return a label with its reasons in one line: ``high: borne out: …``."""
    return f"{label.label}: {'; '.join(label.reasons)}"


def _input(text: str, pairs: bool) -> Text | None:
    """Return what the model was asked, from how a case shows it; None where that is not clear."""
    if not pairs:
        return text
    first, _, second = text.partition("\n")
    return (first, second) if first.strip() and second.strip() and "\n" not in second else None


def _changed(case: Case) -> bool:
    return case.flipped and case.before != case.after and not case.words


def _kept(one: Attribution) -> tuple[float, ...]:
    return tuple(float(f"{w:.{_DIGITS}g}") for w in one.weights)


def _labelled(
    cases: Sequence[Case],
    chosen: Sequence[tuple[int, Text | None]],
    scorer: Scorer,
    target: Sequence[int],
) -> list[tuple[int, Reliability]]:
    """Return labels for colours that a probe brought along, where they are of the text shown."""
    asked = [(i, text) for i, text in chosen if text is not None]
    read = as_words(scorer, [text for _, text in asked])
    kept = [
        (i, text, w)
        for (i, text), w in zip(asked, read, strict=True)
        if w.words == tuple(cases[i].words)
    ]
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
        for i, _, w in kept
    ]
    labels = judge(scorer, [text for _, text, _ in kept], target, found)
    return [(i, label) for (i, _, _), label in zip(kept, labels, strict=True)]

"""Texts of an audit that share words with a new one, and what the audit found about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit import store
from audit.decision import names
from audit.errors import ResultError
from audit.explain._shapes import Similar
from audit.types import Decision, Example, Text
from audit.wordpieces import words

SHOWN = 5
_LEAST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The texts of an audit and what came of them."""

    examples: tuple[Example, ...]
    scores: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """Example id to its favourable score and its decision, as `Decided.label` numbers it."""
    flipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Example id to the measurements in whose cases its decision changed."""


def audited(examples: Sequence[Example], folder: Path) -> Audited:
    """Return texts with what the audit in `folder` says of them; nothing where it has not run.

    Args:
        examples: The audited texts: an audit's folder holds their scores, not their words.
        folder: Of the audit, or of a retrain, whose first audit is then meant.
    """
    if not (folder / store.UNITS).exists() and (folder / "before" / store.UNITS).exists():
        folder = folder / "before"
    try:
        units = store.read_table(folder, store.UNITS)
        cases = store.read_table(folder, store.CASES)
    except ResultError:
        return Audited(examples=tuple(examples))
    flipped: dict[str, dict[str, None]] = {}
    for name, example, turned in zip(
        cases["measurement"], cases["example_id"], cases["flipped"], strict=True
    ):
        if turned:
            flipped.setdefault(example, {})[name] = None
    scores = zip(units["score"], units["decision"], strict=True)
    return Audited(
        examples=tuple(examples),
        scores=dict(zip(units["id"], scores, strict=True)),
        flipped={example: tuple(found) for example, found in flipped.items()},
    )


def similar(
    texts: Sequence[Text], known: Audited, rule: Decision, *, shown: int = SHOWN
) -> list[tuple[Similar, ...]]:
    """Return the audited texts with the most words in common, rarer words counting more.

    No model is asked: words and pairs of neighbouring words, weighted by how few of the audited
    texts have them. A text itself is among its own answers where it was audited.

    Source:
        Sparck Jones (1972), Journal of Documentation 28(1), for the weights.
    """
    if not known.examples or not texts:
        return [()] * len(texts)
    from sklearn.feature_extraction.text import TfidfVectorizer

    table = TfidfVectorizer(
        tokenizer=_tokens, token_pattern=None, lowercase=False, ngram_range=(1, 2)
    )
    try:
        rows = table.fit_transform([_joined(e.input) for e in known.examples])
    except ValueError:
        # Not one audited text has a word.
        return [()] * len(texts)
    likeness = (table.transform([_joined(text) for text in texts]) @ rows.T).toarray()
    found = []
    for row in likeness:
        order = sorted(range(len(row)), key=lambda i: (-row[i], i))[:shown]
        found.append(
            tuple(
                _of(known, known.examples[i], float(row[i]), rule)
                for i in order
                if row[i] >= _LEAST
            )
        )
    return found


def _of(known: Audited, example: Example, likeness: float, rule: Decision) -> Similar:
    score = known.scores.get(example.id)
    label = example.label
    return Similar(
        example_id=example.id,
        parts=(example.text,) if example.second is None else (example.text, example.second),
        similarity=min(1.0, likeness),
        label=None if label is None else (label,) if isinstance(label, str) else label,
        groups=tuple(sorted(example.groups.items())),
        score=None if score is None else score[0],
        decision=None if score is None else names(rule, score[1]),
        flipped_by=known.flipped.get(example.id, ()),
    )


def _joined(text: Text) -> str:
    return text if isinstance(text, str) else "\n".join(text)


def _tokens(text: str) -> list[str]:
    lower = text.casefold()
    found = [lower[a:b] for a, b in words(lower)]
    return [word for word in found if any(c.isalnum() for c in word)]

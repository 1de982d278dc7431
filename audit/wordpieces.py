"""From the tokens a model reads back to the words a person reads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit.classifier import WhiteBox
from audit.errors import Unsupported
from audit.types import Text

Span = tuple[int, int]

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Vowel signs and joiners, which are part of a word but not alphanumeric.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff\u0e00-\u0eff\u200c\u200d"
_LETTER = rf"(?:(?![{_CJK}])[\w{_MARKS}])"
_WORD = re.compile(rf"[{_CJK}]|{_LETTER}+(?:['\u2019]{_LETTER}+)*|[^\w\s{_MARKS}]+")


def words(text: str) -> list[Span]:
    """Return the spans of words, numbers and runs of punctuation; Chinese by character.

    >>> [("It's so-so!"[a:b]) for a, b in words("It's so-so!")]
    ["It's", 'so', '-', 'so', '!']
    """
    return [match.span() for match in _WORD.finditer(text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One text as the model reads it."""

    ids: tuple[int, ...]
    segments: tuple[int, ...]
    special: tuple[bool, ...]
    shares: tuple[tuple[tuple[int, float], ...], ...]
    """Per token, the words it belongs to and how much of it."""
    words: tuple[str, ...]
    spans: tuple[Span, ...]
    parts: tuple[int, ...]
    truncated: bool

    @property
    def content(self) -> bool:
        """Whether there is any token to attribute to."""
        return not all(self.special)


def read(white_box: WhiteBox, texts: Sequence[Text]) -> list[Read]:
    """Return how the model reads each text.

    A token that spans several words is shared among them by the characters it covers; a token of
    space alone goes to the word it opens. Words beyond the model's maximum length are not there.

    Raises:
        Unsupported: If the tokenizer does not tell where its tokens stand in the text.
    """
    tokenizer = white_box.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise Unsupported(
            "This tokenizer does not tell where its tokens stand in the text.",
            hint="Save the model with its fast tokenizer (tokenizer.json).",
        )
    found = []
    for text in texts:
        sides = (text,) if isinstance(text, str) else text
        # A lone surrogate becomes '?', which keeps every later character where it was.
        clean = [side.encode("utf-8", "replace").decode() for side in sides]
        encoding = tokenizer(
            *clean,
            truncation=True,
            max_length=white_box.max_length,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        ).encodings[0]
        part_of = [0 if part is None else part for part in encoding.sequence_ids]
        special = [bool(flag) for flag in encoding.special_tokens_mask]
        spans, shares = _placed(sides, encoding.offsets, part_of, special)
        found.append(
            Read(
                ids=tuple(encoding.ids),
                segments=tuple(encoding.type_ids),
                special=tuple(special),
                shares=shares,
                words=tuple(sides[part][a:b] for part, (a, b) in spans),
                spans=tuple(span for _, span in spans),
                parts=tuple(part for part, _ in spans),
                truncated=bool(encoding.overflowing),
            )
        )
    return found


def _placed(
    sides: Sequence[str], offsets: Sequence[Span], parts: Sequence[int], special: Sequence[bool]
) -> tuple[list[tuple[int, Span]], tuple[tuple[tuple[int, float], ...], ...]]:
    """Return the words that were read, and for each token the words it belongs to."""
    every = [(part, span) for part, side in enumerate(sides) for span in words(side)]
    placed: list[list[tuple[int, float]]] = []
    for (start, end), part, is_special in zip(offsets, parts, special, strict=True):
        if is_special or not every:
            placed.append([])
            continue
        overlap = [
            (i, float(min(end, b) - max(start, a)))
            for i, (p, (a, b)) in enumerate(every)
            if p == part and min(end, b) > max(start, a)
        ]
        if not overlap:
            # A token of space alone goes to the word that it opens, else to the last one.
            later = [i for i, (p, (a, _)) in enumerate(every) if (p, a) >= (part, start)]
            overlap = [(later[0] if later else len(every) - 1, 1.0)]
        whole = sum(size for _, size in overlap)
        placed.append([(i, size / whole) for i, size in overlap])
    seen = sorted({i for shares in placed for i, _ in shares})
    position = {i: k for k, i in enumerate(seen)}
    moved = tuple(tuple((position[i], size) for i, size in shares) for shares in placed)
    return [every[i] for i in seen], moved

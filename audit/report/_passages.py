"""Texts under audit, ready to be shown: nothing hidden, changes marked, the rest folded."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from audit.figures import MINUS
from audit.scripts import script

_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts written without spaces: each character is compared on its own."""
_TOKENS = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+|\s+|[^\w\s]")
_MOST_TOKENS = 2_000
"""Beyond this the middle of a text is called changed as a whole: the comparison is quadratic."""
_FOLD_FROM, _KEEP = 400, 140
_LONGEST_CHANGE = 2_000

_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"}
_HIDDEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0")
"""Characters that count as letters or marks and leave the page blank."""
_PLAIN = frozenset(" \n\t\u3000")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, or one character that does not show itself."""

    text: str
    escaped: bool = False
    """`text` is then the visible escape, such as ⟨U+202E⟩."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one side of a comparison."""

    pieces: tuple[Piece, ...]
    changed: bool = False
    folded: int = 0
    """Characters left out here; `pieces` is then empty."""


@dataclass(frozen=True, slots=True)
class Heated:
    """A word and its attribution."""

    pieces: tuple[Piece, ...]
    label: str
    """The weight with its sign, in two digits."""
    shade: str
    """CSS class: ``p1`` to ``p10`` for words that raise the score, ``n1`` to ``n10`` for words that
    lower it, empty below a twentieth of the largest."""


def hidden(char: str) -> bool:
    """Tell whether a reader could not see that `char` is there, or what it does."""
    if char in _PLAIN:
        return False
    return (
        unicodedata.category(char) in _HIDDEN_CATEGORIES
        or char in _HIDDEN_LETTERS
        or 0xFE00 <= ord(char) <= 0xFE0D
        or 0xE0100 <= ord(char) <= 0xE01EF
        or ord(char) & 0xFFFE == 0xFFFE
    )


def escape(char: str) -> str:
    """Write one character as its code point."""
    return (
        f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(char):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
    )


def pieces(text: str) -> tuple[Piece, ...]:
    """Split `text` at the characters that do not show themselves.

    Bidirectional controls, zero-width and control characters, lone surrogates, tags, fillers and
    unusual spaces become visible escapes, so that no text can reorder or hide its surroundings.
    """
    if text.isascii() and text.isprintable():
        return (Piece(text),) if text else ()
    found: list[Piece] = []
    start = 0
    for i, char in enumerate(text):
        if hidden(char):
            if i > start:
                found.append(Piece(text[start:i]))
            found.append(Piece(escape(char), escaped=True))
            start = i + 1
    if start < len(text):
        found.append(Piece(text[start:]))
    return tuple(found)


_TONGUES = {
    "Han": "zh",
    "Hiragana": "ja",
    "Katakana": "ja",
    "Hangul": "ko",
    "Thai": "th",
    "Hebrew": "he",
    "Greek": "el",
    "Armenian": "hy",
    "Georgian": "ka",
    "Arabic": "ar",
    "Cyrillic": "ru",
    "Devanagari": "hi",
    "Bengali": "bn",
    "Tamil": "ta",
}
"""Script to the language that a reader's voice tries first; most scripts serve several."""
_ENGLISH = frozenset("the and of to is was in that it for with he she they i you not a".split())
_KANA = re.compile("[\u3040-\u30ff]")


def tongue(text: str) -> str:
    """Return the language tag of a text, as far as its letters tell: empty where they do not.

    Latin letters are English where two of its commonest words occur, Han with kana is Japanese.
    """
    head = text[:2_000]
    written_in = script(head)
    if written_in == "Latin":
        words = set(re.findall("[a-z]+", head.lower()))
        return "en" if len(words & _ENGLISH) >= 2 else ""
    if written_in == "Han" and _KANA.search(head):
        return "ja"
    return _TONGUES.get(written_in, "")


def visible(text: str) -> str:
    """Return `text` with escapes in place, as one string: for attributes and titles."""
    return "".join(piece.text for piece in pieces(text))


def compare(before: str, after: str) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Mark what differs between two texts, word by word; long unchanged stretches are folded."""
    a, b = _TOKENS.findall(before), _TOKENS.findall(after)
    left: list[tuple[bool, str]] = []
    right: list[tuple[bool, str]] = []
    for same, i1, i2, j1, j2 in _blocks(a, b):
        left.append((not same, "".join(a[i1:i2])))
        right.append((not same, "".join(b[j1:j2])))
    return _segments(left), _segments(right)


def plain(text: str) -> tuple[Segment, ...]:
    """Return one unmarked text, folded where it is long."""
    return _segments([(False, text)])


def _blocks(a: list[str], b: list[str]) -> list[tuple[bool, int, int, int, int]]:
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    blocks = [(True, 0, head, 0, head)]
    end_a, end_b = len(a) - tail, len(b) - tail
    if max(end_a, end_b) - head > _MOST_TOKENS:
        blocks.append((False, head, end_a, head, end_b))
    else:
        matcher = SequenceMatcher(None, a[head:end_a], b[head:end_b], autojunk=False)
        blocks += [
            # A lone space between two changed words belongs to the change.
            (
                tag == "equal" and not "".join(a[head + i1 : head + i2]).isspace(),
                *(head + i1, head + i2, head + j1, head + j2),
            )
            for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        ]
    return [*blocks, (True, end_a, len(a), end_b, len(b))]


def _segments(parts: Sequence[tuple[bool, str]]) -> tuple[Segment, ...]:
    merged: list[tuple[bool, str]] = []
    for changed, text in parts:
        if not text:
            continue
        if merged and merged[-1][0] == changed:
            merged[-1] = (changed, merged[-1][1] + text)
        else:
            merged.append((changed, text))
    found: list[Segment] = []
    for i, (changed, text) in enumerate(merged):
        if changed and len(text) > _LONGEST_CHANGE:
            found.append(Segment(pieces(text[:_LONGEST_CHANGE]), changed=True))
            found.append(Segment((), changed=True, folded=len(text) - _LONGEST_CHANGE))
        elif not changed and len(text) > (_FOLD_FROM if len(merged) > 1 else _LONGEST_CHANGE):
            start = 0 if i == 0 and len(merged) > 1 else _KEEP
            end = 0 if i == len(merged) - 1 and len(merged) > 1 else _KEEP
            # The beginning of a text tells what it is about, even far from the change.
            start = max(start, _KEEP)
            found.append(Segment(pieces(text[:start])))
            found.append(Segment((), folded=len(text) - start - end))
            if end:
                found.append(Segment(pieces(text[len(text) - end :])))
        else:
            found.append(Segment(pieces(text), changed=changed))
    return tuple(found)


def heat(words: Sequence[str], weights: Sequence[float]) -> tuple[Heated, ...]:
    """Shade words by attribution; the largest weight of the text, either sign, is shade 10."""
    most = max((abs(w) for w in weights), default=0.0)
    shaded = []
    for word, weight in zip(words, weights, strict=True):
        step = round(10 * abs(weight) / most) if most and abs(weight) >= most / 20 else 0
        sign, mark = ("p", "+") if weight > 0 else ("n", MINUS)
        label = f"{mark}{abs(weight):.2f}" if abs(weight) >= 0.095 else f"{mark}{abs(weight):.2g}"
        shaded.append(Heated(pieces(word), label, f"{sign}{max(1, step)}" if step else ""))
    return tuple(shaded)

"""Words of a text with their places, and edits that keep everything else as it was."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# What is not running prose is left alone: a name inside a handle is an address, not a person.
# Lengths are bounded as addresses are, so that no hostile text makes the search quadratic.
_TOKEN = re.compile(
    r"(?P<kept>"
    r"(?:https?://|www\.)\S+"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
    r"|[@#]\w+"
    r"|<[A-Za-z/][^<>\s]{0,60}>"
    r"|\{[^{}\s]{0,60}\}"
    r"|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.(?:com|org|net|edu|gov|io|co)\b(?:/\S*)?"
    r"|\bs/he\b|\(s\)he\b"
    r")"
    r"|(?P<word>[^\W_](?:\w*[^\W_])?)",
    re.IGNORECASE,
)
_SILENT_H = re.compile(r"(?:hour|honou?r|honest|heir)", re.IGNORECASE)
_SPOKEN_AS_YOU = re.compile(
    r"(?:uni(?!mp|nt|nf|nd)|use|usu|eu|one(?![a-z])|once|ut[ie]|ur[aiou]|u[kx]r|ubiq|ewe)",
    re.IGNORECASE,
)
_LETTER_WITH_VOWEL_SOUND = frozenset("AEFHILMNORSX")


@dataclass(frozen=True, slots=True)
class Word:
    """A run of letters and digits, ``text[start:end]``."""

    text: str
    start: int
    end: int

    @property
    def lower(self) -> str:
        return self.text.lower()

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``text[start:end]`` by `new`."""

    start: int
    end: int
    new: str


def words(text: str) -> tuple[Word, ...]:
    """Return the words of `text` from left to right.

    Apostrophes and hyphens part words (``she's`` is ``she`` and ``s``), underscores inside do not.
    Links, e-mail addresses, ``@handles``, ``#tags``, ``{placeholders}`` and ``<tags>`` hold no
    words.
    """
    return tuple(
        Word(m["word"], m.start(), m.end()) for m in _TOKEN.finditer(text) if m["word"] is not None
    )


def like(new: str, model: str) -> str:
    """Write `new` in the case of `model`: ``like("his", "HER") == "HIS"``.

    A single capital letter, or a capital followed by anything in mixed case, capitalises the first
    letter and leaves the rest as given.
    """
    if not new or not model:
        return new
    letters = [c for c in model if c.isalpha()]
    if len(letters) > 1 and all(c.isupper() for c in letters):
        return new.upper()
    if letters and letters[0].isupper():
        return new[0].upper() + new[1:]
    return new.lower() if model.islower() else new


def replace(text: str, edits: Iterable[Edit]) -> str:
    """Apply `edits`, given in any order.

    Raises:
        ValueError: If two edits overlap.
    """
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if edit.start < at:
            raise ValueError(f"two edits meet at character {edit.start}")
        parts += [text[at : edit.start], edit.new]
        at = edit.end
    return "".join([*parts, text[at:]])


def begins_a_sentence(text: str, start: int) -> bool:
    """Return whether the word at `start` opens the text or follows ``. ! ?`` or a line break."""
    before = text[:start].rstrip(" \t\"'“”‘’([*_-–—")
    return not before or before[-1] in ".!?…:;\n\r•|"


def is_shouted(text: str) -> bool:
    """Return whether most letters are capitals, so that capitals say nothing about names."""
    letters = sum(c.isalpha() for c in text)
    return letters > 3 and sum(c.isupper() for c in text) > 0.7 * letters


def is_title_case(found: Sequence[Word]) -> bool:
    """Return whether most words are capitalised, as in a headline."""
    long = [w for w in found if len(w.text) > 3 and w.text[0].isalpha()]
    return len(long) >= 4 and sum(w.capital for w in long) > 0.75 * len(long)


def sounds_like_a_vowel(word: str) -> bool:
    """Return whether ``an`` stands before `word`. A rule of thumb for English, not a dictionary."""
    if not word:
        return False
    if len(word) > 1 and word.isupper() and not any(c in "AEIOU" for c in word[1:]):
        return word[0] in _LETTER_WITH_VOWEL_SOUND
    if word[0].isdigit():
        return word[0] == "8" or word in ("11", "18")
    if _SILENT_H.match(word):
        return True
    return word[0].lower() in "aeiouàâäáæéèêëíîïóôöœúûü" and not _SPOKEN_AS_YOU.match(word)

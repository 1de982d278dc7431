"""Counterfactual texts: every identity term exchanged for its counterpart, the grammar kept.

Pure functions: find the mentions of an axis once, then ask for the swap of two groups, or for the
placebo. Both persons of a sentence are exchanged at once. Pronouns follow their reading
(`audit.grammar`), capitals and possessives follow the word replaced, *a* and *an* follow the new
word. Links, handles, tags, fixed phrases and proper names stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from audit.grammar import follows, her, his, precedes, word_class
from audit.lexicon import Lexicon, lexicon
from audit.mentions import Found, Mention, find
from audit.text import (
    Edit,
    Word,
    begins_a_sentence,
    is_title_case,
    like,
    replace,
    sounds_like_a_vowel,
    words,
)
from audit.types import Text

__all__ = ["Found", "Mention", "Pair", "Swapped", "counterfactual", "find", "placebo", "swap"]

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """A text after some words were exchanged."""

    parts: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    """Each replaced word and its replacement, in the order of the text."""

    @property
    def input(self) -> Text:
        return self.parts[0] if len(self.parts) == 1 else (self.parts[0], self.parts[1])

    @property
    def note(self) -> str:
        """The distinct changes in words: ``her → his, mother → father``."""
        said = dict.fromkeys(f"{a.lower()} → {b.lower()}" for a, b in self.changes)
        return ", ".join(said)


def swap(
    found: Found, table: Lexicon, pair: Pair, rng: np.random.Generator | None = None
) -> Swapped | None:
    """Exchange the two groups of `pair`, each for the other, at once.

    Args:
        found: What `find` returned.
        table: The terms it was found with.
        pair: Two groups of the axis; mentions of others stay.
        rng: Chooses among several counterpart names. Without it the choice follows the table.

    Returns:
        None if nothing in the text belongs to either group.
    """
    other = {pair[0]: pair[1], pair[1]: pair[0]}
    names = _Names(found, table, rng)
    changes: list[tuple[Mention, str]] = []
    for mention in found.mentions:
        to = other.get(mention.term.group)
        if to is None:
            continue
        new = _counterpart(found, table, mention, to, names)
        if new is not None:
            changes.append((mention, new))
    return _apply(found, changes)


def placebo(
    found: Found, table: Lexicon, pair: Pair, rng: np.random.Generator | None = None
) -> Swapped | None:
    """Replace the same places by other terms of the *same* group: what editing alone does.

    Pronouns and titles have one form per group, so they are their own placebo and stay.

    Returns:
        None if the text mentions the groups by pronouns and titles only, or if one of the other
        mentions has no second term in its group: then there is no placebo of equal size.
    """
    names = _Names(found, table, rng)
    changes: list[tuple[Mention, str]] = []
    for mention in found.mentions:
        if mention.term.group not in pair or mention.term.closed:
            continue
        if mention.term.kind == "name":
            new = names.choose(mention, mention.term.group)
        else:
            new = _peer(table, mention)
        if new is None:
            return None
        changes.append((mention, new))
    return _apply(found, changes)


def counterfactual(
    text: Text,
    axis: str = "gender",
    *,
    names: bool = True,
    pair: Pair | None = None,
    rng: np.random.Generator | None = None,
) -> Swapped | None:
    """Return `text` with the groups of `axis` exchanged, None if it has no counterfactual.

    >>> counterfactual("Her mother called her.").parts[0]
    'His father called him.'

    Args:
        text: One string, or a pair.
        axis: One of `audit.lexicon.AXES`.
        names: Exchange first names too (axis ``gender``).
        pair: Two groups; the first two of the axis if not given.
        rng: Chooses among several counterpart names.
    """
    table = lexicon(axis, names=names)
    found = find(text, table)
    pair = pair or cast(Pair, table.groups[:2])
    return None if found.asymmetric else swap(found, table, pair, rng)


class _Names:
    """The new names of one text: one for each old one, no two alike, none already there."""

    def __init__(self, found: Found, table: Lexicon, rng: np.random.Generator | None) -> None:
        self._found, self._table, self._rng = found, table, rng
        self._taken: set[str] = set()
        self._chosen: dict[str, str] = {}

    def choose(self, mention: Mention, group: str) -> str | None:
        old = mention.text.lower()
        if not self._taken:
            self._taken = {w.lower for list_ in self._found.words for w in list_}
        if old not in self._chosen:
            pool = self._table.targets.get((group, mention.term.slot), ())
            free = [name for name in pool if name.lower() not in self._taken]
            if not free:
                return None
            new = free[self._index(mention, len(free))]
            self._chosen[old] = new
            self._taken.add(new.lower())
        return self._chosen[old]

    def _index(self, mention: Mention, n: int) -> int:
        if self._rng is not None:
            return int(self._rng.integers(n))
        own = self._table.targets.get((mention.term.group, mention.term.slot), ())
        return (own.index(mention.term.text) if mention.term.text in own else 0) % n


def _counterpart(
    found: Found, table: Lexicon, mention: Mention, to: str, names: _Names
) -> str | None:
    term = mention.term
    if term.kind == "title" and (said := _of_office(found, mention)) is not None:
        return said
    if term.slot == "pronoun":
        text, list_ = found.parts[mention.part], found.words[mention.part]
        return _pronoun(term.text, text, list_, mention.first)
    if term.kind == "name":
        return names.choose(mention, to)
    choice = table.targets.get((to, _slot(mention))) or table.targets.get((to, term.slot))
    return choice[0] if choice else None


def _of_office(found: Found, mention: Mention) -> str | None:
    """*Mr. and Mrs. Adler* (the titles change places), *Mr. President* (*Madam President*)."""
    list_ = found.words[mention.part]
    word, i = mention.text.lower(), mention.first
    near = [w.lower for w in list_[max(0, i - 2) : i + 3]]
    if word == "mr" and "and" in near and "mrs" in near:
        return "Mrs"
    after = follows(found.parts[mention.part].replace(".", " "), list_, i)
    if word in ("mr", "madam") and after in word_class("office_title"):
        return "Madam" if word == "mr" else "Mr."
    return None


def _peer(table: Lexicon, mention: Mention) -> str | None:
    """Return another term of the same group for the same place, None if there is none."""
    term, slot = mention.term, _slot(mention)
    listed = term.peers if slot == term.slot else ()
    others = table.targets.get((term.group, slot), ())
    return next((t for t in (*listed, *others) if t.lower() != mention.text.lower()), None)


def _slot(mention: Mention) -> str:
    """*a Jew* and *the Jew*, but *a Jewish friend* and *she is Jewish*."""
    alone = mention.reading in ("noun", "collective")
    return mention.term.slot if alone or not mention.term.before_noun else mention.term.before_noun


def _pronoun(word: str, text: str, found: Sequence[Word], i: int) -> str:
    if word == "her":
        return "his" if her(text, found, i) == "possessive" else "him"
    if word == "his":
        return "her" if his(text, found, i) == "possessive" else "hers"
    return _SIMPLE[word]


_SIMPLE: Mapping[str, str] = {"him": "her", "hers": "his"}


def _apply(found: Found, changes: Sequence[tuple[Mention, str]]) -> Swapped | None:
    edits: list[list[Edit]] = [[] for _ in found.parts]
    said: list[tuple[str, str]] = []
    for mention, new in changes:
        text, list_ = found.parts[mention.part], found.words[mention.part]
        written = _written(new, text, mention)
        edits[mention.part] += [
            Edit(mention.start, mention.end, written),
            *_article(text, list_, mention, written),
            *_possessive(text, mention, written),
            *_dot(text, mention, written),
        ]
        said.append((mention.text, written))
    parts = tuple(replace(p, e) for p, e in zip(found.parts, edits, strict=True))
    return Swapped(parts=parts, changes=tuple(said)) if parts != found.parts else None


def _written(new: str, text: str, mention: Mention) -> str:
    """Write a counterpart as the word it replaces: *Asian* keeps its capital, *white* has none."""
    old = mention.text
    if "-" in old and new.count(" ") == old.count("-") > 0:
        new = new.replace(" ", "-")
    if mention.term.kind == "name" or (old.isupper() and len(old) > 1):
        return like(new, old)
    proper, was_proper = new != new.lower(), mention.term.text != mention.term.text.lower()
    if proper and not was_proper:
        return new.lower() if text.islower() else new
    if proper and old[0].isupper():
        return new
    if was_proper and not proper and old[0].isupper():
        opens = begins_a_sentence(text, mention.start) or is_title_case(words(text))
        return like(new, old) if opens else new
    return like(new, old)


def _article(text: str, found: Sequence[Word], mention: Mention, new: str) -> tuple[Edit, ...]:
    """Turn *a* into *an* and back where the sound of the next word changes."""
    if precedes(text, found, mention.first) not in ("a", "an"):
        return ()
    wanted = sounds_like_a_vowel(new)
    if wanted == sounds_like_a_vowel(mention.text):
        return ()
    article = found[mention.first - 1]
    written = "an" if wanted else "a"
    if article.text == "AN" or (article.text == "A" and mention.text.isupper()):
        written = written.upper()
    elif article.capital:
        written = written.capitalize()
    return (Edit(article.start, article.end, written),)


def _dot(text: str, mention: Mention, new: str) -> tuple[Edit, ...]:
    """*Mr. President* and *Madam President*: only what is shortened has its full stop."""
    dotted = mention.text.lower() == "mr" and new.lower() == "madam" and text[mention.end] == "."
    return (Edit(mention.end, mention.end + 1, ""),) if dotted else ()


def _possessive(text: str, mention: Mention, new: str) -> tuple[Edit, ...]:
    """*the gentlemen's* and *the ladies'*: the apostrophe follows the plural in *s*."""
    at = mention.end
    if text[at : at + 1] not in ("'", "’"):
        return ()
    marked = text[at + 1 : at + 2].lower() == "s" and not text[at + 2 : at + 3].isalnum()
    old_s, new_s = mention.text.lower().endswith("s"), new.lower().endswith("s")
    if marked and new_s and not old_s and mention.text.lower().endswith("men"):
        return (Edit(at + 1, at + 2, ""),)
    quoted = text[:at].count("'") % 2 == 1 or "‘" in text[:at]
    bare = not text[at + 1 : at + 2].isalnum()
    if bare and old_s and not new_s and not quoted:
        return (Edit(at + 1, at + 1, "S" if new.isupper() and len(new) > 1 else "s"),)
    return ()

"""Counterfactual texts: every identity term exchanged for its counterpart, the grammar kept.

Pure functions: find the mentions of an axis once, then ask for the swap of two groups, or for the
placebo. Both persons of a sentence are exchanged at once. Pronouns follow their reading
(`audit.grammar`), capitals and possessives follow the word replaced, *a* and *an* follow the new
word. Links, handles, tags, fixed phrases and proper names stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.grammar import follows, gap, her, his, precedes, word_class
from audit.lexicon import Lexicon, Term, lexicon
from audit.text import (
    Edit,
    Word,
    begins_a_sentence,
    is_shouted,
    is_title_case,
    like,
    replace,
    sounds_like_a_vowel,
    words,
)
from audit.types import Text

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One place where a text names a group."""

    part: int
    """0, or 1 for the second text of a pair."""
    first: int
    last: int
    """Index of its first and last word in the part."""
    start: int
    end: int
    text: str
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one text says on one axis."""

    parts: tuple[str, ...]
    words: tuple[tuple[Word, ...], ...]
    mentions: tuple[Mention, ...] = ()
    ambiguous: int = 0
    """Words that can mark a group but mean something else as often: left alone."""
    asymmetric: str = ""
    """Why the text has no counterfactual of the same label, or nothing."""

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(m.term.group for m in self.mentions)


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


def find(text: Text, table: Lexicon) -> Found:
    """Return the mentions of the groups of `table` in `text`, one string or a pair."""
    parts = (text,) if isinstance(text, str) else tuple(text)
    found = tuple(words(part) for part in parts)
    mentions: list[Mention] = []
    ambiguous = 0
    reason = ""
    for number, (part, list_) in enumerate(zip(parts, found, strict=True)):
        lower = [w.lower for w in list_]
        if table.heads.isdisjoint(lower):
            continue
        seen = _Place(part, list_, lower, is_shouted(part), is_title_case(list_))
        ambiguous += _scan(seen, number, table, mentions)
    if mentions:
        spoken = [w.lower for list_ in found for w in list_]
        reason = next((table.asymmetric[w] for w in spoken if w in table.asymmetric), "")
        if not reason and not table.contradicted.isdisjoint(spoken):
            reason = "a pronoun or noun would contradict the new name"
    return Found(
        parts=parts,
        words=found,
        mentions=tuple(mentions),
        ambiguous=ambiguous,
        asymmetric=reason,
    )


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
            new = mention.term.peers[0] if mention.term.peers else None
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
    return None if found.asymmetric else swap(found, table, pair or table.groups[:2], rng)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Place:
    """One part of a text, read once."""

    text: str
    words: Sequence[Word]
    lower: Sequence[str]
    shouted: bool
    headline: bool

    @property
    def capitals_tell(self) -> bool:
        return not (self.shouted or self.headline)


def _scan(seen: _Place, number: int, table: Lexicon, mentions: list[Mention]) -> int:
    """Append the mentions of one part; return how many ambiguous words were left alone."""
    ambiguous = 0
    i = 0
    while i < len(seen.words):
        if seen.lower[i] not in table.heads and seen.lower[i] not in table.phrase_heads:
            i += 1
            continue
        step = 1
        for length in range(min(table.longest, len(seen.words) - i), 0, -1):
            key = tuple(seen.lower[i : i + length])
            kept, term = key in table.left_alone, table.terms.get(key)
            if not (kept or term) or not _joined(seen, i, length):
                continue
            step = length
            if term is None or kept:
                break
            if "ambiguous" in term.flags:
                ambiguous += term.kind != "name" or seen.words[i].capital
            elif not _is_something_else(seen, table, term, i, i + length - 1):
                start, end = seen.words[i].start, seen.words[i + length - 1].end
                mentions.append(
                    Mention(
                        part=number,
                        first=i,
                        last=i + length - 1,
                        start=start,
                        end=end,
                        text=seen.text[start:end],
                        term=term,
                    )
                )
            break
        i += step
    return ambiguous


def _joined(seen: _Place, i: int, length: int) -> bool:
    return all(
        gap(seen.text, seen.words, k).strip(" ") in ("", "-", "'", "’", "/")
        and gap(seen.text, seen.words, k) != ""
        for k in range(i, i + length - 1)
    )


def _is_something_else(seen: _Place, table: Lexicon, term: Term, i: int, j: int) -> bool:
    """Return whether the word is part of a proper name, or a common word that looks like a term."""
    word = seen.words[i]
    if "honorific" in term.flags:
        return not _is_honorific(seen, i)
    if term.kind == "name":
        return not _is_first_name(seen, table, i)
    if "name" not in term.flags or not word.capital or not seen.capitals_tell:
        return False
    # "Queen Elizabeth", "Father Brown" are one person's name; "Aunt Mary" moves as a whole.
    beside = gap(seen.text, seen.words, j) == " "
    after = seen.words[j + 1] if j + 1 < len(seen.words) and beside else None
    if after is not None and after.capital and after.lower not in word_class("capital_ok"):
        known = table.terms.get((after.lower,))
        return not (term.kind == "kin" and known is not None and known.kind == "name")
    # "Stephen King", "Guy" behind another capital: a surname.
    before = precedes(seen.text, seen.words, i)
    plain = before in word_class("capital_ok") or before in word_class("function")
    return bool(before) and seen.words[i - 1].capital and not plain and term.kind != "kin"


def _is_honorific(seen: _Place, i: int) -> bool:
    """*Mr*, *Ms*, *Miss* before a name; not milliseconds, not *an MS in physics*, not *miss you*."""
    word = seen.words[i]
    between = gap(seen.text, seen.words, i)
    dotted = between.startswith(".")
    after = seen.words[i + 1] if i + 1 < len(seen.words) else None
    near = between in (" ", ".", ". ", "\u00a0") and after is not None
    if word.text.isupper() and len(word.text) > 1 and not seen.shouted:
        return dotted and near and after is not None and after.capital
    if seen.shouted:
        return dotted or word.lower in ("mr", "mrs")
    if not word.capital:
        return word.lower in ("mr", "mrs") and near
    return near and after is not None and after.capital and after.lower not in word_class("function")


def _is_first_name(seen: _Place, table: Lexicon, i: int) -> bool:
    word = seen.words[i]
    if not word.capital:
        # Names are not capitalised in careless writing; then no capital stands anywhere.
        return seen.text.islower()
    if seen.shouted:
        return True
    after = gap(seen.text, seen.words, i)
    if after.startswith("-") or (i and gap(seen.text, seen.words, i - 1).endswith("-")):
        return False
    # "Mary Washington University", "James Street" are places and institutions.
    for k in range(i + 1, min(i + 4, len(seen.words))):
        if gap(seen.text, seen.words, k - 1).strip("'’& ") or not seen.words[k].capital:
            break
        if seen.lower[k] in word_class("organisation"):
            return False
    if i == 0:
        return True
    between, before = gap(seen.text, seen.words, i - 1), seen.words[i - 1]
    if between not in (" ", ". ") or not before.capital:
        return True
    surname_follows = after == " " and i + 1 < len(seen.words) and seen.words[i + 1].capital
    if before.lower in word_class("honorific"):
        return surname_follows
    if between != " ":
        return True
    if before.lower in word_class("place_prefix") or before.lower in word_class("royal"):
        return False
    known = table.terms.get((before.lower,))
    if known is not None:
        # A second first name is a middle name or a surname; "Aunt Mary" is a first name.
        return known.kind != "name"
    plain = before.lower in word_class("capital_ok") or before.lower in word_class("function")
    opens = begins_a_sentence(seen.text, before.start)
    return plain or opens or seen.headline or surname_follows


class _Names:
    """The new names of one text: one for each old one, no two alike, none already there."""

    def __init__(self, found: Found, table: Lexicon, rng: np.random.Generator | None) -> None:
        self._table, self._rng = table, rng
        self._taken = {w.lower for list_ in found.words for w in list_}
        self._chosen: dict[str, str] = {}

    def choose(self, mention: Mention, group: str) -> str | None:
        old = mention.text.lower()
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
    text, list_ = found.parts[mention.part], found.words[mention.part]
    if term.slot == "pronoun":
        return _pronoun(term.text, text, list_, mention.first)
    if term.kind == "name":
        return names.choose(mention, to)
    slot = term.slot
    following = follows(text, list_, mention.last)
    if term.before_noun and following and following not in word_class("function"):
        slot = term.before_noun
    choice = table.targets.get((to, slot)) or table.targets.get((to, term.slot))
    return choice[0] if choice else None


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
        written = like(new, mention.text)
        edits[mention.part] += [
            Edit(mention.start, mention.end, written),
            *_article(text, list_, mention, written),
            *_possessive(text, mention, written),
        ]
        said.append((mention.text, written))
    parts = tuple(replace(p, e) for p, e in zip(found.parts, edits, strict=True))
    return Swapped(parts=parts, changes=tuple(said)) if parts != found.parts else None


def _article(text: str, found: Sequence[Word], mention: Mention, new: str) -> tuple[Edit, ...]:
    """Turn *a* into *an* and back where the sound of the next word changes."""
    if precedes(text, found, mention.first) not in ("a", "an"):
        return ()
    wanted = sounds_like_a_vowel(new)
    if wanted == sounds_like_a_vowel(mention.text):
        return ()
    article = found[mention.first - 1]
    shouted = article.text == "AN" or (article.text == "A" and mention.text.isupper())
    written = ("an" if wanted else "a").upper() if shouted else like("an" if wanted else "a", article.text[0])
    if not shouted and article.capital:
        written = "An" if wanted else "A"
    return (Edit(article.start, article.end, written),)


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

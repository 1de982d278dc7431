"""Where a text names a group: terms found, proper names and fixed phrases passed over."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit.grammar import gap, precedes, word_class
from audit.lexicon import Lexicon, Term
from audit.persons import Reading, comes_from, reading
from audit.text import Word, begins_a_sentence, is_shouted, is_title_case, words
from audit.types import Text

_RUN = re.compile(r"[^\W_]+")
"""Every word of a text is made of these, so a text without a head among them can be passed over."""


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
    reading: Reading = "unclear"
    """How it is said of a person, where that decides about its counterpart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one text says on one axis."""

    parts: tuple[str, ...]
    words: tuple[tuple[Word, ...], ...]
    mentions: tuple[Mention, ...] = ()
    ambiguous: int = 0
    """Words that can mark a group but mean something else as often: left alone."""
    neutral: int = 0
    """*they* and other pronouns that tell no gender: left alone."""
    asymmetric: str = ""
    """Why the text has no counterfactual of the same label, or nothing."""

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(m.term.group for m in self.mentions)


def find(text: Text, table: Lexicon) -> Found:
    """Return the mentions of the groups of `table` in `text`, one string or a pair."""
    parts = (text,) if isinstance(text, str) else tuple(text)
    runs = {run for part in parts for run in _RUN.findall(part.lower())}
    neutral = len(table.neutral & runs)
    if table.heads.isdisjoint(runs):
        return Found(parts=parts, words=((),) * len(parts), neutral=neutral)
    found = tuple(words(part) for part in parts)
    mentions: list[Mention] = []
    ambiguous = 0
    reason = ""
    known: set[str] = set()
    for number, (part, list_) in enumerate(zip(parts, found, strict=True)):
        lower = [w.lower for w in list_]
        if table.heads.isdisjoint(lower):
            continue
        seen = _Place(part, list_, lower, is_shouted(part), _is_headline(list_))
        ambiguous += _scan(seen, number, table, mentions, known)
    if mentions:
        spoken = [w.lower for list_ in found for w in list_]
        reason = next((table.asymmetric[w] for w in spoken if w in table.asymmetric), "")
        if not reason and not table.contradicted.isdisjoint(spoken):
            reason = "a pronoun or noun would contradict the new name"
        if not reason and any(m.term.closed and m.term.group in known for m in mentions):
            reason = "a public person is spoken of"
    return Found(
        parts=parts,
        words=found,
        mentions=tuple(mentions),
        ambiguous=ambiguous,
        neutral=neutral,
        asymmetric=reason,
    )


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


def _is_headline(found: Sequence[Word]) -> bool:
    short = len(found) >= 4 and all(w.capital for w in found)
    return short or is_title_case(found)


def _scan(
    seen: _Place, number: int, table: Lexicon, mentions: list[Mention], known: set[str]
) -> int:
    """Append the mentions of one part, and the genders of public persons to `known`; return how
    many ambiguous words were left alone."""
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
            person = table.people.get(key, "") if _is_a_name(seen, i, length) else ""
            if not (kept or term or person) or not _joined(seen, i, length):
                continue
            step = length
            if person:
                known.update(person.split())
                break
            if term is None or kept:
                break
            said = _reading(seen, term, i, i + length - 1)
            if "ambiguous" in term.flags and not (
                _has_a_title(seen, table, term, i) or _tells_a_name(seen, term, i)
            ):
                ambiguous += term.kind != "name" or seen.words[i].capital
            elif said is None:
                ambiguous += 1
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
                        reading=said,
                    )
                )
            break
        i += step
    return ambiguous


def _is_a_name(seen: _Place, i: int, length: int) -> bool:
    """Return whether words could be a public person's name: one word needs its capital."""
    return length > 1 or seen.words[i].capital or seen.text.islower()


def _reading(seen: _Place, term: Term, i: int, j: int) -> Reading | None:
    """Return how a term is said of a person, None where it marks none that can be told."""
    if "origin" in term.flags:
        return "unclear" if comes_from(seen.text, seen.words, i) else None
    if not (term.of_person or term.before_noun):
        return "unclear"
    said = reading(seen.text, seen.words, i, j)
    if not term.of_person or said == "attributive":
        return said
    if "attributive" in term.flags or said == "unclear":
        return None
    if said not in ("noun", "collective") or term.before_noun:
        return said
    # "a black", "the white": what is no noun needs one, unless the table says "the poor"; but
    # "a vile black" is meant for a person.
    if said == "noun" and not {"a", "an"}.isdisjoint(seen.lower[max(0, i - 3) : i - 1]):
        return "predicate"
    the = said == "collective" or seen.lower[i - 1] == "the"
    return "collective" if the and "collective" in term.flags else None


def _joined(seen: _Place, i: int, length: int) -> bool:
    return all(
        gap(seen.text, seen.words, k).strip(" ")
        in (("", "-", "'", "’", "/") if seen.lower[k] not in _DOTTED else ("", "."))
        and gap(seen.text, seen.words, k) != ""
        for k in range(i, i + length - 1)
    )


_DOTTED = frozenset("mr mrs ms dr st".split())


def _is_something_else(seen: _Place, table: Lexicon, term: Term, i: int, j: int) -> bool:
    """Return whether the word is part of a proper name, or a common word that looks like a term."""
    word = seen.words[i]
    if "honorific" in term.flags:
        return not (_is_honorific(seen, i) or _is_one_of_a_couple(seen, i))
    if term.kind == "name":
        return not _is_first_name(seen, table, i)
    # "Man, that was close", "Boy! Was it hot": nobody is spoken of.
    if "exclaims" in term.flags and _is_exclaimed(seen, i, j):
        return True
    if "told" in term.flags and not _is_determined(seen, i):
        return True
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


def _is_exclaimed(seen: _Place, i: int, j: int) -> bool:
    """*Man, that was close*, *man I love this*, *come on man*; not *a good man*, *man is mortal*."""
    after = gap(seen.text, seen.words, j).strip(" ")[:1]
    then = seen.lower[j + 1] if j + 1 < len(seen.words) else ""
    if begins_a_sentence(seen.text, seen.words[i].start):
        return after in (",", "!") or (not after and then in word_class("exclaimed_to"))
    before = precedes(seen.text, seen.words, i)
    if before in word_class("exclaimed_after"):
        return after != "'" and after != "’"
    if gap(seen.text, seen.words, i - 1).strip(" ") == "," and (after or not then):
        return before == "" and seen.lower[i - 1] not in word_class("person_adjective")
    return False


def _is_determined(seen: _Place, i: int) -> bool:
    """*this dude*, *a hot chick*; not *dude, stop*."""
    for k in range(i - 1, max(-1, i - 4), -1):
        if gap(seen.text, seen.words, k).strip(" -") and k < i:
            return False
        if seen.lower[k] in word_class("points_to"):
            return True
        if seen.lower[k] in word_class("function"):
            return False
    return False


def _tells_a_name(seen: _Place, term: Term, i: int) -> bool:
    """*so Jack said*, *Mark Evans*; not *the Bill of Rights*, *in Charlotte*, *Rose water*."""
    word = seen.words[i]
    if "word" not in term.flags or not word.capital or not seen.capitals_tell:
        return False
    # "DON'T" is no Don.
    if len(word.text) > 1 and word.text.isupper():
        return False
    after = seen.lower[i + 1] if i + 1 < len(seen.words) else ""
    surname = (
        gap(seen.text, seen.words, i) == " "
        and i + 1 < len(seen.words)
        and seen.words[i + 1].capital
        and len(after) > 2
        and after not in word_class("organisation")
    )
    says = after in word_class("finite") or after in word_class("be") or after in _TELLS
    if begins_a_sentence(seen.text, word.start):
        return says or surname
    before = precedes(seen.text, seen.words, i)
    placed = before in word_class("place_prefix") or before in _PLACED
    plain = before in word_class("capital_ok") or before in word_class("function")
    return not placed and (plain or not seen.words[i - 1].capital)


_TELLS = frozenset("has had will would can could did does s".split())
_PLACED = frozenset("a an the this that in at from to of near no any every".split())


def _has_a_title(seen: _Place, table: Lexicon, term: Term, i: int) -> bool:
    """*Uncle Ray*, *Aunt Grace*: behind a kinship title a word is a first name."""
    if term.kind != "name" or not i or not seen.words[i].capital:
        return False
    title = table.terms.get((precedes(seen.text, seen.words, i),))
    kin = title is not None and title.kind == "kin" and "name" in title.flags
    return kin and seen.words[i - 1].capital


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
    return (
        near and after is not None and after.capital and after.lower not in word_class("function")
    )


def _is_one_of_a_couple(seen: _Place, i: int) -> bool:
    """*Mr. and Mrs. Adler*: the first title has no name of its own."""
    then = seen.lower[i + 1 : i + 3]
    couple = {seen.lower[i], *then[1:]} in ({"mr", "mrs"}, {"mr", "ms"})
    return (couple and then[0] == "and") or (couple and "&" in gap(seen.text, seen.words, i))


def _is_first_name(seen: _Place, table: Lexicon, i: int) -> bool:
    word = seen.words[i]
    if not word.capital:
        # Names are not capitalised in careless writing; then no capital stands anywhere.
        rare = "source" in table.terms[(word.lower,)].flags and len(word.text) < 5
        return seen.text.islower() and not rare
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
    if before.lower in word_class("saint"):
        return False
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

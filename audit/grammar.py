"""Two English pronouns with two readings: *her* (his, him) and *his* (her, hers).

No parser is shipped and none is downloaded: the reading is told from the words on either side by
the rules below, whose word classes stand in ``datasets/terms/english.csv``. The commonest reading
of the field's word lists, *her* always as *his* or always as *him*, is wrong in about every second
sentence. Source of the test pairs: Zhao et al. (2018), NAACL, arXiv:1804.06876.
"""

import csv
from collections.abc import Sequence
from functools import cache
from typing import Literal

from audit.shipped import shipped
from audit.text import Word

HerRole = Literal["possessive", "object"]
HisRole = Literal["possessive", "predicate"]


@cache
def word_class(name: str) -> frozenset[str]:
    """Return the words of one class of ``english.csv``, in lower case.

    Raises:
        KeyError: If there is no such class.
    """
    return _classes()[name]


@cache
def _classes() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    with (shipped("datasets") / "terms" / "english.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["class"], set()).add(row["word"])
    return {name: frozenset(members) for name, members in found.items()}


def gap(text: str, found: Sequence[Word], i: int) -> str:
    """Return what stands between word `i` and the next one, or to the end of the text."""
    end = found[i + 1].start if i + 1 < len(found) else len(text)
    return text[found[i].end : end]


def follows(text: str, found: Sequence[Word], i: int) -> str:
    """Return word `i` + 1 in lower case if only blanks or a quotation mark part it, else ``""``."""
    if not 0 <= i < len(found) - 1:
        return ""
    between = gap(text, found, i)
    # A straight quotation mark opens only behind a blank; else it is an apostrophe or closes.
    if between.strip(' \t\r\n\u00a0"“‘*_' + ("'" if between[:1].isspace() else "")):
        return ""
    # A hard-wrapped line goes on in lower case; a new paragraph or a list item does not.
    broken = "\n" in gap(text, found, i) and found[i + 1].capital
    return "" if broken or gap(text, found, i).count("\n") > 1 else found[i + 1].lower


def precedes(text: str, found: Sequence[Word], i: int) -> str:
    """Return word `i` - 1 in lower case if only blanks part it from word `i`, else ``""``."""
    return found[i - 1].lower if i > 0 and not gap(text, found, i - 1).strip() else ""


def _closes(text: str, found: Sequence[Word], i: int) -> bool:
    """Return whether no noun can follow word `i` in the same phrase."""
    if i + 1 < len(found) and gap(text, found, i) in ("'", "’") and found[i + 1].lower == "s":
        return False
    return (following := follows(text, found, i)) == "" or following in word_class("function")


def her(text: str, found: Sequence[Word], i: int) -> HerRole:
    """Tell whether word `i`, *her*, is *his* or *him*."""
    word = follows(text, found, i)
    # "her in-laws", "her on-screen partner": the first half of a compound is no preposition.
    compound = i + 2 < len(found) and gap(text, found, i + 1) in ("-", "‑")
    if word and compound:
        return "possessive"
    # "her or his idea", "her/his idea": both readings follow from the counterpart's.
    pair = i + 2 < len(found) and word in ("or", "and") and found[i + 2].lower == "his"
    slash = gap(text, found, i) == "/" and i + 1 < len(found) and found[i + 1].lower == "his"
    if pair or slash:
        return "possessive"
    if not word:
        return "possessive" if _is_tagged(text, found, i) else "object"
    before = precedes(text, found, i)
    then = follows(text, found, i + 1)
    closed = _closes(text, found, i + 1)
    if (said := _her_told(found[i + 1], then, before, closed)) is not None:
        return said
    if word in word_class("determined"):
        # "her own", "her then boyfriend"; but "saw her then."
        return "object" if word in ("then", "now", "late") and closed else "possessive"
    if word in word_class("time_head"):
        return _her_time(word, then)
    if word == "will" and before in ("against", "of", "in", "by", "changed"):
        return "possessive"
    if word in word_class("function"):
        return "object"
    if (special := _her_place(word, then, before, closed)) is not None:
        return special
    return _her_open(text, found, i, word, then, before, closed)


def _is_tagged(text: str, found: Sequence[Word], i: int) -> bool:
    """*her #metoo tweet*: a tag that belongs to the noun behind it."""
    between = gap(text, found, i)
    tag = between.strip(" ")
    whole = tag[:1] in ("#", "@") and not any(c.isspace() for c in tag)
    after = found[i + 1] if i + 1 < len(found) else None
    if not whole or after is None or not between.endswith(" "):
        return False
    return not after.capital and after.lower not in word_class("function")


def _her_told(after: Word, then: str, before: str, closed: bool) -> HerRole | None:
    """Readings that the verb before it settles: *made her captain*, *let her answer*."""
    word = after.lower
    if word in word_class("greeting") and closed:
        return "object"
    # "calling her 'the boss'", "calling her Horseface": a name is what is given.
    if before in ("call", "calls", "called", "calling") and after.capital:
        return "object"
    if before in ("taught", "teach", "teaches", "teaching") and word in word_class("taught"):
        return "object" if closed else None
    # "licking her clean": no noun follows.
    if word in word_class("wordless_adjective") and closed and before not in word_class("function"):
        return "object"
    if word == "every":
        return "possessive" if then in word_class("whim") else "object"
    # "scored her higher than him"; "call her Mum", where kin is a name.
    if (then == "than" and word.endswith("er")) or (before == "call" and after.capital and closed):
        return "object"
    if before in ("let", "lets", "letting") and closed:
        return "object"
    if before in word_class("makes"):
        made = word in word_class("office") and closed
        return "object" if made or word in word_class("feels") else None
    if before in word_class("wants") and word in word_class("ended") and closed:
        return "object"
    return "object" if before in word_class("asks") and word in word_class("day") else None


def _her_time(word: str, then: str) -> HerRole:
    """*her last night* (object), *her last name* (possessive), *her all* (possessive)."""
    if word == "all" and then in ("", "to", "for", "in", "and", "but"):
        return "possessive"
    if word == "one" and then in word_class("measure"):
        return "object"
    if word in ("last", "next", "one"):
        return "object" if then in word_class("time_noun") else "possessive"
    return "object"


def _her_place(word: str, then: str, before: str, closed: bool) -> HerRole | None:
    if word in ("back", "home"):
        moved = word_class("calls_back" if word == "back" else "sends_home")
        return "object" if before in moved else "possessive"
    if word == "right" and before in ("is", "s", "was", "not") and then != "there":
        return "possessive"
    if word in ("right", "wrong", "well"):
        stated = before in word_class("naming") or then in word_class("function")
        return "object" if stated or word == "well" else "possessive"
    if word.isdigit() or word in word_class("number") or word in word_class("vague"):
        given = before in word_class("ditransitive") and word in word_class("vague")
        # "gave her two weeks off", but "her two weeks in Rome".
        timed = before in word_class("ditransitive") and then in word_class("time_noun")
        if given or timed or then in word_class("measure"):
            return "object"
        described = before in word_class("naming") and word in ("more", "less")
        return "object" if closed or described else "possessive"
    if word in ("most", "best", "better", "first", "only", "much"):
        return "object" if closed else "possessive"
    return None


def _her_open(
    text: str, found: Sequence[Word], i: int, word: str, then: str, before: str, closed: bool
) -> HerRole:
    """The reading before a noun, a verb, an adjective or an adverb."""
    if before in word_class("ditransitive"):
        last = then if not closed else word
        ends = closed or _closes(text, found, i + 2)
        if last in word_class("received") and ends:
            return "object"
    if before in word_class("wishes"):
        return "object"
    # "someone like her get there", but "people like her hair".
    alike = precedes(text, found, i - 1) in ("someone", "somebody", "anyone", "anybody", "one")
    if before == "like" and alike and word in word_class("bare"):
        return "object"
    if before in word_class("asks"):
        told = found[i + 1].capital and then in word_class("finite")
        if told or (word in word_class("verb_only") and closed):
            return "object"
    if _is_infinitive(word, then, before) or word in word_class("finite"):
        return "object"
    if word.endswith("ing") and len(word) > 4:
        kept = before in word_class("keeps") or word in ("being", "having")
        return "object" if kept else "possessive"
    adverb = word.endswith("ly") and len(word) > 4 and word != "family"
    if adverb or (word in word_class("adjective") and before in word_class("naming")):
        return "object" if closed else "possessive"
    return "possessive"


def _is_infinitive(word: str, then: str, before: str) -> bool:
    """*let her go*, *helped her carry the bags*, *saw her leave*; not *saw her work*."""
    if before in word_class("causative"):
        return word in word_class("bare") or then in word_class("determiner")
    if before in word_class("perception"):
        return word in word_class("verb_only") or (word in word_class("bare") and then != "")
    return False


def his(text: str, found: Sequence[Word], i: int) -> HisRole:
    """Tell whether word `i`, *his*, is *her* or *hers*."""
    word = follows(text, found, i)
    compound = i + 2 < len(found) and gap(text, found, i + 1) in ("-", "‑")
    if word and compound:
        return "possessive"
    other = found[i + 2].lower if i + 2 < len(found) else ""
    if word in ("or", "and") and other in ("her", "hers", "their", "your", "my", "our"):
        return "possessive" if other != "hers" else "predicate"
    joined = gap(text, found, i) == "/" and i + 1 < len(found)
    if joined:
        return "possessive" if found[i + 1].lower != "hers" else "predicate"
    # "in his @club career": a handle or a tag is a name.
    if not word and gap(text, found, i).lstrip(" \"'“‘(*_")[:1] in ("@", "#"):
        return "possessive"
    if not word:
        return "predicate"
    # "her parents cried and his laughed"
    contrasted = precedes(text, found, i) in ("and", "but", "while", "whereas", "than")
    if contrasted and word.endswith("ed") and _closes(text, found, i + 1):
        return "predicate"
    if word in word_class("determined") or word in word_class("time_head"):
        return "possessive"
    if precedes(text, found, i) == "of" and precedes(text, found, i - 1) in word_class("relation"):
        # "a friend of his moved away"; not "a friend of his mother".
        verb = word in word_class("finite") or word.endswith("ed")
        if verb:
            return "predicate"
    # Nouns and adverbs that open a noun phrase, though they close a clause after "her".
    if word in ("inside", "outside", "past", "like", "likes", "over", "then", "once", "home"):
        return "possessive"
    return "predicate" if word in word_class("function") else "possessive"

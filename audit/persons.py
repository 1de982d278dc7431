"""Does an adjective mark a person? *black woman* and *she is black*; not *black coffee*.

Colours, ages and nationalities mark things more often than persons, so they are read by their
neighbours: a person noun that follows, a person of whom they are said, *the poor*, *a Mexican*.
The word classes stand in ``datasets/terms/english.csv``. What is unclear is left alone: a person
missed costs one text, coffee exchanged costs the reader's trust.

Source of the phenomenon: Dixon et al. (2018), AIES, doi:10.1145/3278721.3278729, whose identity
terms are of this kind.
"""

import csv
from collections.abc import Sequence
from functools import cache
from typing import Literal

from audit.grammar import follows, gap, precedes, word_class
from audit.shipped import shipped
from audit.text import Word

Reading = Literal["attributive", "noun", "predicate", "collective", "unclear"]
_FEMALE_OR_MALE = ("woman", "women", "sman", "smen")
_NO_VERB = ("ss", "us", "is", "series", "news")


def reading(text: str, found: Sequence[Word], first: int, last: int) -> Reading:
    """Tell what the words `first` to `last` of `text`, an adjective or a noun, say of whom.

    Returns:
        ``attributive`` before a person noun, ``noun`` for a person by itself (*a Mexican left*),
        ``predicate`` when said of a person, ``collective`` for *the poor*, else ``unclear``.
    """
    if _person_follows(text, found, last):
        return "attributive"
    if gap(text, found, last)[:1] in ("-", "‑"):
        return "unclear"
    if _said_of_a_person(text, found, first, last):
        return "predicate"
    if _stands_alone(text, found, first, last):
        return "noun"
    after = follows(text, found, last)
    closed = not after or after in word_class("function") or after in word_class("finite")
    if closed and precedes(text, found, first) == "the" and after not in ("one", "ones"):
        return "collective"
    return "unclear"


def _person_follows(text: str, found: Sequence[Word], last: int) -> bool:
    """*black woman*, *young black man*, *gay and lesbian people*; not *black and white photo*."""
    joined = False
    for k in range(last, min(last + 4, len(found) - 1)):
        between = gap(text, found, k).strip(" \t\r\n\u00a0\"“'‘*_")
        if between not in ("", "-", "/", ",", "&"):
            return False
        word = found[k + 1].lower
        listed = joined or between in (",", "/", "&")
        noun = word in word_class("person_noun") or word.endswith(_FEMALE_OR_MALE)
        # "a gay Mexican", but "a gay Mexican bar".
        then = follows(text, found, k + 1)
        noun |= word in word_class("person_either") and (
            not then or then in word_class("function") or then in word_class("finite")
        )
        noun |= word in ("one", "ones") and _persons_before(found, last)
        if noun and not listed:
            return True
        joined = word in ("and", "or", "nor")
        if not joined and word not in word_class("person_adjective"):
            return False
    return False


def _persons_before(found: Sequence[Word], last: int) -> bool:
    """*a young nurse trained an older one*: *one* is a person when one was described before."""
    return any(
        found[k].lower in word_class("person_adjective")
        and found[k + 1].lower in word_class("person_noun")
        for k in range(last - 1)
    )


def _said_of_a_person(text: str, found: Sequence[Word], first: int, last: int) -> bool:
    """*she is very old*, *is he gay?*, *people who are poor*; not *the sky is black*."""
    after = follows(text, found, last)
    if after and (after not in word_class("function") or after in word_class("not_person")):
        return False
    k = first - 1
    while k > 0 and gap(text, found, k).strip() in ("", "-", "'", "’"):
        word = found[k].lower
        if word in ("and", "or") and found[k - 1].lower in word_class("person_adjective"):
            k -= 2
        elif word in word_class("degree") or word == "t":
            k -= 1
        else:
            break
    if k < 0 or gap(text, found, k).strip():
        return False
    if found[k].lower in ("hes", "shes", "im"):
        return True
    # "came out as gay", "identifies as straight"
    declared = precedes(text, found, first - 1) in word_class("declares")
    if declared and found[first - 1].lower == "as":
        return True
    # "you little Asian"
    if _is_called(found, first):
        return True
    if k == 0:
        return False
    one, two = found[k], found[k - 1]
    said = gap(text, found, k - 1).strip() in ("", "'", "’")
    if one.lower in word_class("be"):
        return said and _is_person(two)
    asked = two.lower in word_class("be") and one.lower in word_class("person_subject")
    return said and asked


def _is_called(found: Sequence[Word], first: int) -> bool:
    k = first - 1
    while k > 0 and found[k].lower in word_class("person_adjective"):
        k -= 1
    return k < first - 1 and found[k].lower in ("you", "u", "ya")


def _is_person(word: Word) -> bool:
    known = word.lower in word_class("person_subject") or word.lower in word_class("person_noun")
    return known or (word.capital and word.lower in _first_names())


def _stands_alone(text: str, found: Sequence[Word], first: int, last: int) -> bool:
    """*a devout Muslim works here*; not *a Muslim holiday*."""
    article = ""
    for k in range(first - 1, max(-1, first - 4), -1):
        word = found[k].lower
        if gap(text, found, k).strip():
            return False
        if word in word_class("singular_article") or word in _DETERMINERS:
            article = word
            break
        if word in word_class("function"):
            return False
    after = follows(text, found, last)
    if not article:
        return False
    if not after or after in word_class("function") or after in word_class("finite"):
        return True
    if after.endswith("ly"):
        return True
    # After one person an -s ends a verb: *a Muslim works*, but *Muslim workers*.
    verb = after.endswith("s") and not after.endswith(_NO_VERB)
    past = after.endswith("ed") or after in word_class("past")
    return article in word_class("singular_article") and (verb or past)


def comes_from(text: str, found: Sequence[Word], first: int) -> bool:
    """*a student from Mexico*, *she came from Mexico*; not *a postcard from Mexico*."""
    if precedes(text, found, first) not in ("from", "in"):
        return False
    before = precedes(text, found, first - 1)
    born = before in word_class("origin")
    if found[first - 1].lower == "in":
        return before == "born"
    return born or before in word_class("person_noun") or before in word_class("be")


_DETERMINERS = frozenset("the this that these those my your his her our their some any".split())


@cache
def _first_names() -> frozenset[str]:
    with (shipped("datasets") / "terms" / "names.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(row["name"].lower() for row in csv.DictReader(file))

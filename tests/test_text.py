import pytest

from audit.text import (
    Edit,
    begins_a_sentence,
    is_title_case,
    like,
    replace,
    sounds_like_a_vowel,
    words,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("She's here.", ["She", "s", "here"]),
        ("a mother-in-law", ["a", "mother", "in", "law"]),
        ("see http://a.org/her, or www.b.com/she", ["see", "or"]),
        ("mail her@home.org now", ["mail", "now"]),
        ("@she met #him", ["met"]),
        ("visit girls.com today", ["visit", "today"]),
        ("Dear {name}, <b>hi</b>", ["Dear", "hi"]),
        ("_she_ and her_name", ["she", "and", "her_name"]),
        ("s/he or (s)he", ["or"]),
        ("naïve fiancée 3 ½", ["naïve", "fiancée", "3", "½"]),
        ("", []),
        ("... !!", []),
    ],
)
def test_only_running_prose_has_words(text, found):
    assert [w.text for w in words(text)] == found


def test_every_word_stands_where_it_says():
    text = "  Her   mother's, 'brother' — @him 💥she"
    assert all(text[w.start : w.end] == w.text for w in words(text))


@pytest.mark.parametrize(
    ("new", "model", "written"),
    [
        ("his", "HER", "HIS"),
        ("his", "Her", "His"),
        ("his", "her", "his"),
        ("DeShawn", "John", "DeShawn"),
        ("deShawn", "john", "deshawn"),
        ("hers", "A", "Hers"),
        ("ma'am", "SIR", "MA'AM"),
        ("", "Her", ""),
        ("fiancé", "FIANCÉE", "FIANCÉ"),
    ],
)
def test_the_case_of_the_old_word_is_kept(new, model, written):
    assert like(new, model) == written


def test_edits_may_come_in_any_order_and_must_not_meet():
    assert replace("abc", [Edit(2, 3, "C"), Edit(0, 1, "AA")]) == "AAbC"
    assert replace("abc", [Edit(1, 1, "-")]) == "a-bc"
    with pytest.raises(ValueError, match="meet"):
        replace("abc", [Edit(0, 2, ""), Edit(1, 3, "")])


@pytest.mark.parametrize(
    "word", ["aunt", "uncle", "heir", "hour", "honest", "uninformed", "FM", "8"]
)
def test_an_stands_before(word):
    assert sounds_like_a_vowel(word)


@pytest.mark.parametrize(
    "word", ["woman", "university", "user", "European", "one", "hero", "unique", "BBC", "3", ""]
)
def test_a_stands_before(word):
    assert not sounds_like_a_vowel(word)


def test_a_headline_is_told_from_a_sentence():
    assert is_title_case(words("Woman Kills Bear With Shovel"))
    assert not is_title_case(words("The woman saw Queen Elizabeth"))


def test_a_sentence_begins_after_a_stop_and_behind_quotation_marks():
    text = 'One. "Two three'
    assert begins_a_sentence(text, text.index("Two"))
    assert not begins_a_sentence(text, text.index("three"))


@pytest.mark.parametrize(
    "piece",
    ["a.b.", "a", "_", "a_", "a-", "a@", "a@b.", "<a", "{a", "www.", "s/", "'a", "a.com", "é"],
)
def test_no_hostile_text_takes_longer_than_its_length(piece):
    """At 60,000 characters a quadratic search takes a minute."""
    import time

    long = piece * (60_000 // len(piece))
    start = time.process_time()
    found = words(long)
    assert time.process_time() - start < 3
    assert all(long[w.start : w.end] == w.text for w in found[:50])

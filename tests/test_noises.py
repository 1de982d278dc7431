"""Each kind of noise does what its card says, to any text, and nothing else."""

import json
import re
import string
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import disturbing, foreign, noises
from audit.errors import AuditError
from audit.seeding import stream

HOSTILE = json.loads((Path(__file__).parent / "hostile_texts.json").read_text("utf-8"))
OURS = [k for k in noises.kinds() if k not in foreign.NOISE_KINDS]
CUTS = ("first_words", "last_words")
KEPT = "[URL] https://example.org/a?b=Cd, @Anna #Tag ann.lee@example.com {Name} <br/> www.a.example"
PLAIN = 'The Film was good, really good. Is it "Her" best? We think so.'
CONTROLS = "\u202d\u202e\u202c\u2066\u2069"


def put(kind, text, severity=1.0, seed="x", letters=0.3):
    return noises.noiser(kind, severity, letters=letters)(text, stream(0, seed))


def table(kind):
    return [row["text"] for row in disturbing.rows("additions") if row["kind"] == kind]


@pytest.mark.parametrize(
    ("kind", "text", "made"),
    [
        ("case_lower", "The FILM was Good", "the film was good"),
        ("case_upper", "Don't wait, 3 of them", "DON'T WAIT, 3 OF THEM"),
        (
            "punctuation_dropped",
            "No, well-known 3.5; isn't it (yes)?",
            "No well-known 3.5 isn't it yes",
        ),
        ("punctuation_doubled", "No, really... (3.5)!", "No,, really.... ((3.5)!!"),
        ("contracted", "They are late and I do not care now", "They're late and I don't care now"),
        ("expanded", "They're late and I don't care now", "They are late and I do not care now"),
        ("expanded", "They are late", None),
        ("space_doubled", "a b  c\td ", "a  b  c\td "),
        ("space_tab", "a b c", "a\tb\tc"),
        ("space_no_break", "a b c", "a\u00a0b\u00a0c"),
        ("space_lost", "Well, yes. No; a - b", "Well,yes.No;a - b"),
        ("first_words", "one two three ", "one"),
        ("last_words", " one two three", "three"),
        ("first_words", "one", None),
        ("last_words", "  ", None),
        ("case_lower", "all small", None),
        ("case_upper", "123", None),
        ("lookalikes", "123 日本", None),
        ("zero_width", "a b", None),
        ("bidi", "aa 日本 don't", None),
    ],
)
def test_a_kind_at_full_severity_has_a_known_answer(kind, text, made):
    assert put(kind, text) == made


def test_a_third_of_the_words_are_cut_from_the_end_named():
    text = "one two three four five six seven eight nine"
    assert put("first_words", text, 0.34) == "one two three four five six"
    assert put("last_words", text, 0.34) == "four five six seven eight nine"


@pytest.mark.parametrize(
    ("kind", "of"), [("emoji",) * 2, ("hashtags", "hashtag"), ("links", "link")]
)
@pytest.mark.parametrize(("severity", "n"), [(0.1, 1), (0.2, 1), (0.3, 2), (0.6, 3), (1.0, 5)])
def test_what_is_appended_comes_from_the_table_and_grows_in_fifths(kind, of, severity, n):
    made = put(kind, "A text. ", severity)
    assert made.startswith("A text. ") and made.endswith(" ")
    added = made.removeprefix("A text.").split()
    assert len(added) == len(set(added)) == n and set(added) <= set(table(of))


def test_before_and_after_differ_in_the_place_alone():
    for seed in "abc":
        dice = [stream(0, noises.dice(kind), seed) for kind in ("before", "after")]
        first, last = (
            noises.noiser(kind, 0.4)("A text without a stop", rng)
            for kind, rng in zip(("before", "after"), dice, strict=True)
        )
        said = last.removeprefix("A text without a stop. ")
        assert first == f"{said} A text without a stop"
        assert all(s in table("sentence") for s in re.findall(r"[^.]+\.", said.replace(". ", ".")))


def test_unrelated_sentences_stand_between_sentences_and_never_inside_one():
    text = "Dr. Smith was here yesterday. Everyone liked that! Nobody knows why"
    own = ("Dr. Smith was here yesterday.", "Everyone liked that!", "Nobody knows why")
    places = set()
    for i in range(30):
        made = put("distractor", text, 0.2, seed=str(i))
        assert all(sentence in made for sentence in own)
        (added,) = (s for s in table("sentence") if s in made)
        places.add(made.index(added))
    assert len(places) == 3


def test_fillers_stand_between_words():
    made = put("filler", "one two three")
    assert re.fullmatch(r"one (.+) two (.+) three", made)
    inner = re.fullmatch(r"one (.+) two (.+) three", made).groups()
    assert set(inner) <= set(table("filler"))


def test_look_alikes_are_other_letters_of_other_scripts():
    made = put("lookalikes", "peace", letters=1.0)
    assert len(made) == 5 and all(a != b for a, b in zip(made, "peace", strict=True))
    for row in disturbing.rows("lookalikes"):
        assert unicodedata.name(row["lookalike"]).lower() == row["name"]
        mine, other = (unicodedata.name(row[c]).split()[0] for c in ("letter", "lookalike"))
        assert mine != other


def test_characters_without_width_stand_inside_words_and_add_nothing_else():
    made = put("zero_width", "two words", letters=1.0)
    assert re.fullmatch(r"t_w_o w_o_r_d_s".replace("_", "[\u200b\u200c\u200d\u2060]"), made)


def shown(text):
    """What a reader sees, for the one nesting that `bidi` writes, by the Unicode bidi algorithm.

    Under RLO the two isolates run from the right: the second one stands first.
    """
    isolate = "\u2066(.)\u2069"
    return re.sub(f"\u202d\u2066\u202e{isolate}{isolate}\u202c\u2069\u202c", r"\2\1", text)


def test_exchanged_letters_are_shown_as_they_were():
    made = put("bidi", "Some words, Καλημέρα мир!", letters=1.0)
    assert shown(made) == "Some words, Καλημέρα мир!"
    assert "".join(c for c in made if c not in CONTROLS) == "oSem owdrs, αΚηλέμαρ имр!"


@pytest.mark.parametrize("kind", [k for k in OURS if k not in CUTS])
def test_links_mentions_hashtags_and_placeholders_are_left_alone(kind):
    for i in range(5):
        made = put(kind, f"Well, {PLAIN} {KEPT} I do not know, and they don't care.", seed=str(i))
        assert made is not None
        rest = made
        for kept in KEPT.split():
            assert kept in rest, (kind, kept)
            rest = rest[rest.index(kept) + len(kept) :]


@pytest.mark.parametrize("kind", ["case_upper", "lookalikes", "bidi", "zero_width", "case_random"])
def test_a_text_of_nothing_but_links_and_handles_has_no_place(kind):
    assert put(kind, KEPT.replace(", ", " ")) is None


def letters_of(text):
    return Counter(c for c in text if unicodedata.category(c)[0] in "LN")


def loses_nothing(kind, text, made):
    """Whether all of the text is still there, as far as the kind lets one see it."""
    if kind in CUTS:
        return made and (text.startswith(made) if kind == "first_words" else text.endswith(made))
    if kind.startswith("case_"):
        return (
            made.casefold() == text.casefold() or made.upper() == text.upper() or not text.isascii()
        )
    if kind.startswith("space_"):
        return (
            made.split() == text.split()
            if kind != "space_lost"
            else ("".join(made.split()) == "".join(text.split()))
        )
    if kind == "bidi":
        return shown(made) == text
    if kind == "zero_width":
        # Those that the text had itself are still there.
        return _within(text, made)
    if kind == "lookalikes":
        return len(made) == len(text)
    if kind == "punctuation_dropped":
        return letters_of(made) == letters_of(text)
    if kind in ("contracted", "expanded"):
        return bool(made.strip())
    return _within(text, made)


def _within(part, whole):
    rest = iter(whole)
    return all(c in rest for c in part)


TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            (
                *"Well, it is I'm They don't Dr. good! [URL] @anna #tag www.x.org <b> {n}".split(),
                *("Straße", "İstanbul", "e\u0301te\u0301", "日本語。", "👩\u200d👧", "\u202e", "ǅ"),
                *("ﬁn", "...", "\t"),
            )
        ),
        max_size=12,
    ).map(" ".join),
)


@pytest.mark.parametrize("kind", noises.kinds())
@given(text=TEXTS, severity=st.sampled_from([0.01, 0.3, 1.0]))
@settings(max_examples=25, deadline=None)
def test_any_text_comes_back_changed_and_whole_or_not_at_all(kind, text, severity):
    disturb = noiser_of(kind, severity)
    made = disturb(text, stream(0, "x"))
    assert made is None or (made != text and made.strip())
    assert disturb(text, stream(0, "x")) == made
    if kind in OURS and made is not None:
        assert loses_nothing(kind, text, made), (kind, text, made)


@cache
def noiser_of(kind, severity):
    """Made once: nlpaug reads its tables anew each time."""
    return noises.noiser(kind, severity)


@pytest.mark.parametrize("kind", noises.kinds())
def test_hostile_texts_do_no_harm(kind):
    disturb = noiser_of(kind, 1.0)
    for row in HOSTILE:
        made = disturb(row["text"], stream(0, row["id"]))
        assert made is None or made != row["text"]


# Contractions are found by `audit.dialects`, and its words by `audit.text`: not tested here.
@pytest.mark.parametrize("kind", [k for k in OURS if k not in ("contracted", "expanded")])
@pytest.mark.parametrize("text", ["a.b." * 15_000, "[(<{@" * 12_000, "a@" * 30_000, " \n" * 30_000])
def test_a_long_hostile_text_takes_no_longer_than_a_long_one(kind, text):
    from time import process_time

    started = process_time()
    put(kind, text)
    assert process_time() - started < 5


@pytest.mark.parametrize("kind", [k for k in OURS if k not in (*CUTS, "distractor")])
def test_a_greater_severity_changes_what_a_smaller_one_did_and_more(kind):
    text = (
        f"{PLAIN} I do not know, they don't care. We are Late, but it isn't Far. You will See me."
    )
    before = text.split(" ")
    if kind in ("emoji", "hashtags", "links", "after"):
        mild, severe = (put(kind, text, s) for s in (0.2, 0.9))
        assert severe.startswith(mild) and len(severe) > len(mild)
    elif kind in ("case_lower", "case_upper", "case_random", "lookalikes", "zero_width", "bidi"):
        mild, severe = (put(kind, text, s).split(" ") for s in (0.2, 0.9))
        touched = [
            {i for i, (a, b) in enumerate(zip(made, before, strict=True)) if a != b}
            for made in (mild, severe)
        ]
        assert touched[0] < touched[1]
        assert all(mild[i] == severe[i] for i in touched[0])
    else:
        assert len({put(kind, text, s) for s in (0.1, 0.9)}) == 2


def test_every_kind_has_a_card_with_a_source_and_can_be_made():
    assert len(noises.cards()) == len(disturbing.rows("kinds"))
    assert set(foreign.NOISE_KINDS) <= set(noises.kinds())
    for kind, card in noises.cards().items():
        assert card.kind == kind and card.what and card.severity
        assert re.fullmatch(r"any|[a-z]{2}", card.language)
        assert re.search(r"arXiv:\d{4}\.\d{4,5}|https?://", card.source)
        assert callable(noiser_of(kind, 0.3))
    assert len(OURS) == 23


def test_what_is_added_is_of_domains_reserved_for_examples_and_names_nobody():
    assert all(re.search(r"\bexample\.(com|org|net)\b", link) for link in table("link"))
    people = {"he", "she", "his", "her", "him", "man", "woman", "they"}
    for sentence in table("sentence"):
        said = sentence.lower().strip(string.punctuation).split()
        assert not people & set(said) and sentence.endswith(".")


KEYS = {
    "keyboard_de": ("zufrieden", {"z": "tuhgjasx"}),
    "keyboard_fr": ("azertyazerty", {"a": "zqsé"}),
    "keyboard_uk": ("щасливі", {"щ": "шзжхгд"}),
    "keyboard_he": ("הילדים", {}),
    "keyboard_th": ("เด็กมีความสุข", {}),
    "keyboard_tr": ("mutluydular", {}),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_keyboard_has_the_letters_of_its_language(kind):
    word, near = KEYS[kind]
    made = put(kind, word, letters=1.0)
    assert made is not None and len(made) == len(word)
    scripts = {unicodedata.name(c).split()[0] for c in made}
    assert scripts == {unicodedata.name(c).split()[0] for c in word}
    for letter, nearby in near.items():
        spots = [made[i] for i, c in enumerate(word) if c == letter]
        assert spots and set(spots) <= set(nearby)


def test_capitals_stay_capitals_on_a_turkish_keyboard():
    made = put("keyboard_tr", "İSTANBUL", letters=1.0)
    assert made != "İSTANBUL" and len(made) == 8 and made == made.upper()


def test_what_cannot_be_is_refused_with_a_hint():
    with pytest.raises(AuditError, match="no noise 'emojis'") as said:
        noises.noiser("emojis", 0.3)
    assert "emoji" in said.value.hint
    for severity, letters in ((0.0, 0.3), (1.1, 0.3), (0.3, 0.0)):
        with pytest.raises(AuditError, match=r"\(0, 1\]"):
            noises.noiser("emoji", severity, letters=letters)

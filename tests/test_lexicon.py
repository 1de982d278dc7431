import csv

import pytest

from audit.lexicon import AXES, lexicon
from audit.mentions import find
from audit.shipped import shipped
from audit.swapping import counterfactual, placebo, swap
from audit.text import words

GENERIC = sorted(set(AXES) - {"gender", "names_gender", "names_race"})


def rows(name):
    with (shipped("datasets") / "terms" / f"{name}.csv").open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


@pytest.mark.parametrize("axis", GENERIC)
def test_every_term_has_a_placebo_of_its_own_group(axis):
    table = lexicon(axis)
    for term in table.terms.values():
        peers = [*term.peers, *table.targets.get((term.group, term.slot), ())]
        assert [p for p in peers if p.lower() != term.text.lower()], term.text


@pytest.mark.parametrize("axis", GENERIC)
def test_every_slot_of_a_source_is_filled_in_every_other_group(axis):
    table = lexicon(axis)
    short = {
        # Words that only some groups have: a pair without them leaves such texts out, counted.
        ("orientation", "pair"),
    }
    for term in table.terms.values():
        for slot in {term.slot, term.before_noun} - {""}:
            for group in table.groups:
                if (axis, slot) not in short:
                    assert table.targets.get((group, slot)), (term.text, group, slot)


@pytest.mark.parametrize("axis", GENERIC)
def test_a_table_has_known_groups_directions_and_flags(axis):
    known = {"person", "attributive", "collective", "name", "origin", "reclaimed"}
    for row in rows(axis):
        assert row["group"] in AXES[axis]
        assert row["direction"] in ("both", "source", "target")
        assert set(row["flags"].split()) <= known, row


@pytest.mark.parametrize("axis", GENERIC)
def test_no_term_of_a_table_speaks_for_two_groups(axis):
    seen = {}
    for row in rows(axis):
        key = tuple(w.lower for w in words(row["term"]))
        if row["direction"] != "target":
            assert seen.setdefault(key, row["group"]) == row["group"], row["term"]


def test_insults_are_never_put_into_a_text():
    slurs = {r["term"] for r in rows("asymmetric") if "slur" in r["flags"]}
    assert {"faggot", "nigger", "cripple", "bitch"} <= slurs
    for axis in AXES:
        put = {t.lower() for ts in lexicon(axis).targets.values() for t in ts}
        put |= {p.lower() for t in lexicon(axis).terms.values() for p in t.peers}
        assert not put & slurs
        reclaimed = {t.text for t in lexicon(axis).terms.values() if "reclaimed" in t.flags}
        assert not put & reclaimed


def test_reclaimed_words_are_marked():
    assert {r["term"] for r in rows("asymmetric") if "reclaimed" in r["flags"]} >= {"dyke", "crip"}
    assert {r["term"] for r in rows("orientation") if "reclaimed" in r["flags"]} == {
        "queer",
        "queers",
    }


@pytest.mark.parametrize("axis", sorted(AXES))
def test_each_axis_has_words_that_exclude_a_text(axis):
    assert lexicon(axis).asymmetric or axis == "names_gender"


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ("race_ethnicity", "black coffee and a white wall"),
        ("race_ethnicity", "The White House on Black Friday"),
        ("race_ethnicity", "The coffee is black."),
        ("race_ethnicity", "a black and white photo"),
        ("race_ethnicity", "a little black dress"),
        ("orientation", "Go straight home"),
        ("orientation", "a straight line"),
        ("age", "an old house"),
        ("age", "She is 12 years old."),
        ("disability", "The road has a blind spot."),
        ("disability", "He disabled the alarm."),
        ("disability", "Their plea fell on deaf ears."),
        ("disability", "hearing loss"),
        ("socioeconomic", "poor quality and rich taste"),
        ("skill", "a senior citizen"),
    ],
)
def test_a_word_that_marks_no_person_stays(axis, text):
    assert find(text, lexicon(axis)).mentions == ()


def test_what_is_skipped_for_ambiguity_is_counted():
    found = find("Black coffee, white walls, a black woman.", lexicon("race_ethnicity"))
    assert (len(found.mentions), found.ambiguous) == (1, 2)


def made(axis, pair, text):
    table = lexicon(axis)
    new = swap(find(text, table), table, pair)
    return text if new is None else new.parts[0]


@pytest.mark.parametrize(
    ("axis", "pair", "before", "after"),
    [
        ("race_ethnicity", "white black", "A black nurse helped.", "A white nurse helped."),
        ("race_ethnicity", "white asian", "He saw a white girl.", "He saw an Asian girl."),
        ("race_ethnicity", "white asian", "An Asian girl", "A white girl"),
        ("race_ethnicity", "white asian", "She met an Asian.", "She met a white person."),
        ("race_ethnicity", "white arab", "two Arabs and some whites", "two whites and some Arabs"),
        ("race_ethnicity", "white black", "BLACK PEOPLE", "WHITE PEOPLE"),
        ("nationality", "american chinese", "An American left.", "A Chinese person left."),
        ("nationality", "american mexican", "a man from Mexico", "a man from America"),
        ("religion", "muslim jewish", "She is Muslim.", "She is Jewish."),
        ("religion", "muslim jewish", "A Muslim prays here.", "A Jew prays here."),
        ("religion", "christian hindu", "Christian values", "Hindu values"),
        ("orientation", "straight gay", "Is he gay?", "Is he straight?"),
        ("orientation", "straight gay", "Lesbians came.", "Straight women came."),
        ("age", "young old", "an elderly woman", "a young woman"),
        ("age", "young old", "the old and young people", "the young and old people"),
        ("disability", "nondisabled disabled", "a blind man", "a sighted man"),
        ("disability", "nondisabled disabled", "an able-bodied man", "a disabled man"),
        ("socioeconomic", "rich poor", "the rich and the poor", "the poor and the rich"),
        ("socioeconomic", "rich poor", "a low-income family", "a high-income family"),
        ("occupation", "manual professional", "a janitor's house", "a lawyer's house"),
        ("education", "no_degree degree", "an uneducated man", "a university-educated man"),
        ("skill", "beginner expert", "a junior developer", "a senior developer"),
    ],
)
def test_a_counterpart_fits_the_sentence(axis, pair, before, after):
    assert made(axis, tuple(pair.split()), before) == after


def test_swapped_and_placebo_touch_the_same_places():
    texts = {
        "race_ethnicity": "A black man and an Asian woman.",
        "age": "The elderly man met young people.",
        "disability": "a deaf girl and a disabled man",
    }
    for axis, text in texts.items():
        table = lexicon(axis)
        found = find(text, table)
        for pair in table.pairs:
            new, control = swap(found, table, pair), placebo(found, table, pair)
            if new is not None:
                assert [a for a, _ in new.changes] == [a for a, _ in control.changes]


@pytest.mark.parametrize(
    ("axis", "pair", "before", "after"),
    [
        ("orientation", ("gay", "straight"), "He came out as gay.", "He came out as straight."),
        ("orientation", ("gay", "straight"), "Nico is a gay Mexican.", "Nico is a straight Mexican."),
        ("orientation", ("gay", "straight"), "A gay Mexican bar.", "A gay Mexican bar."),
        ("age", ("young", "old"), "A young nurse met an older one.", "An old nurse met a younger one."),
        ("age", ("young", "old"), "An older one broke.", "An older one broke."),
        ("race_ethnicity", ("asian", "white"), "Hey you little Asian lol", "Hey you little white lol"),
    ],
)  # fmt: skip
def test_who_is_meant_is_told_by_what_stands_around(axis, pair, before, after):
    made = counterfactual(before, axis, pair=pair)
    assert (before if made is None else made.input) == after

import csv
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import realdata

from audit.errors import ConfigError
from audit.grammar import word_class
from audit.lexicon import AXES, lexicon
from audit.shipped import shipped
from audit.swapping import counterfactual, find, placebo, swap

BENCH = Path(__file__).with_name("swap_bench.csv")
SHARE_EXACT = 0.97


def rows():
    with BENCH.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE):
            before = row["before"].replace("\\n", "\n")
            yield row["phenomenon"], before, row["after"].replace("\\n", "\n") or before


def swapped(text, axis="gender", **settings):
    made = counterfactual(text, axis, **settings)
    return text if made is None else made.input


@pytest.mark.parametrize(
    ("phenomenon", "before", "after"), [pytest.param(*r, id=f"{r[0]}: {r[1]}") for r in rows()]
)
def test_a_sentence_is_swapped_as_a_person_would(phenomenon, before, after):
    assert swapped(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("They made her captain.", "They made him captain."),
        ("They made her captain's speech public.", "They made his captain's speech public."),
        ("She made her mother proud.", "He made his father proud."),
        ("It made her happy at last.", "It made him happy at last."),
        ("Let her answer.", "Let him answer."),
        ("Let her answers count.", "Let his answers count."),
        ("They paid her less than Tom's team.", "They paid him less than Tom's team."),
        ("He wants her fired.", "She wants him fired."),
        ("He wants her job.", "She wants his job."),
        ("I heard her every word.", "I heard his every word."),
        ("I see her every week.", "I see him every week."),
        ("I praise her 'quiet' voice.", "I praise his 'quiet' voice."),
        ("Man, that was close.", "Man, that was close."),
        ("The man, that was close, left.", "The woman, that was close, left."),
        ("St. Mary's is near.", "St. Mary's is near."),
        ("Mother Teaches Her Son Chess", "Father Teaches His Daughter Chess"),
        ("You mother fucker, I saw her.", "You mother fucker, I saw him."),
        ("Yeah man I saw her.", "Yeah man I saw him."),
        ("He is my best friend, man.", "She is my best friend, man."),
        ("This dude said he was done.", "This girl said she was done."),
        ("Dude, she left.", "Dude, he left."),
        ("Thank you, Mr. President.", "Thank you, Madam President."),
        ("Mr. and Mrs. Adler left.", "Mrs. and Mr. Adler left."),
        ("They gave her two weeks off.", "They gave him two weeks off."),
        ("They liked her two weeks of silence.", "They liked his two weeks of silence."),
        ("Everyone kissed her goodbye.", "Everyone kissed him goodbye."),
        ("It is her right to stay.", "It is his right to stay."),
        ("I read her #metoo tweet.", "I read his #metoo tweet."),
        ("I love her #blessed", "I love him #blessed"),
        ("A hit in his @MLB career.", "A hit in her @MLB career."),
        ("Her parents cried and his laughed.", "His parents cried and hers laughed."),
        ("How did someone like her get there?", "How did someone like him get there?"),
        ("The Bill of Rights protects him.", "The Bill of Rights protects her."),
        ("I met him in Austin.", "I met her in Austin."),
        ("I DON'T know him.", "I DON'T know her."),
    ],
)
def test_a_reading_follows_the_words_on_either_side(before, after):
    made = counterfactual(before, names=False)
    assert (before if made is None else made.parts[0]) == after


def test_a_title_makes_an_ambiguous_name_a_name():
    new = swapped("Uncle Ray came, and so did a ray of light.")
    assert new.startswith("Aunt ") and "Ray" not in new and new.endswith("a ray of light.")


def test_the_bench_has_enough_sentences():
    assert len({before for _, before, _ in rows()}) >= 80


def test_a_sentence_without_one_way_words_comes_back_when_swapped_twice():
    there_and_back = [(b, swapped(swapped(b))) for _, b, a in rows() if a != b]
    came_back = sum(b == twice for b, twice in there_and_back)
    # "Mrs" comes back as "Ms", "hostess" as "host": the table says which way a row goes.
    assert came_back / len(there_and_back) > 0.93


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("She met Dr. Thomas at James Cook University in San Jose.", 1),
        ("He joined the Mary Kay Foundation.", 1),
        ("Judge Thomas and Jean-Paul agreed.", 0),
        ("I saw Will and Grace in April.", 0),
        ("Mary-Kate smiled at him.", 1),
        ("Write to @mary or mary@mary.org.", 0),
        ("She told Etta James.", 1),
    ],
)
def test_surnames_places_and_institutions_are_not_first_names(text, left):
    assert len(find(text, lexicon("gender")).mentions) == left


@pytest.mark.parametrize(
    "text", ["Mary left.", "Dr. Mary Smith left.", "Aunt Mary left.", "mary left.", "MARY LEFT."]
)
def test_a_first_name_is_found(text):
    found = find(text, lexicon("gender")).mentions
    assert "name" in {m.term.kind for m in found}
    assert swapped(text) != text


def test_a_name_becomes_one_new_name_throughout_and_no_two_become_alike():
    rng = np.random.default_rng(0)
    text = "Mary met Linda and Susan. Mary left; Susan's bag stayed."
    for _ in range(50):
        new = re.findall(r"\w+", swapped(text, rng=rng))
        assert new[0] == new[5] and new[4] == new[7]
        assert len({new[0], new[2], new[4]}) == 3
        assert not {new[0], new[2], new[4]} & {"Mary", "Linda", "Susan"}


def test_the_same_generator_gives_the_same_names_and_none_gives_the_table_order():
    text = "Mary and John"
    one, other = (swapped(text, rng=np.random.default_rng(4)) for _ in range(2))
    assert one == other
    assert swapped(text) == swapped(text)
    assert len({swapped(text, rng=np.random.default_rng(i)) for i in range(20)}) > 10


def test_gender_holds_the_origin_of_a_name_and_origin_its_gender():
    names = {r["name"]: r for r in table("names")}
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert names[swapped("Latoya", rng=rng)]["origin"] == "black"
        assert names[swapped("Latoya", rng=rng)]["gender"] == "male"
        other = names[swapped("Latoya", "names_race", pair=("black", "api"), rng=rng)]
        assert (other["origin"], other["gender"]) == ("api", "female")


def test_names_can_be_left_out_of_the_gender_axis():
    assert swapped("Mary lost her bag.", names=False) == "Mary lost his bag."


def test_a_name_alone_is_not_swapped_against_the_pronouns_around_it():
    table = lexicon("names_gender")
    assert find("Emily lost her bag.", table).asymmetric
    assert not find("Emily lost a bag.", table).asymmetric


def test_a_group_outside_the_pair_stays():
    text = "Latoya, Brett and Priya came."
    new = swapped(text, "names_race", pair=("white", "black"))
    assert "Priya" in new and "Latoya" not in new and "Brett" not in new


def test_an_adherent_becomes_an_adjective_before_a_noun():
    pair = ("muslim", "jewish")
    assert swapped("A Muslim woman and a Muslim.", "religion", pair=pair) == (
        "A Jewish woman and a Jew."
    )
    assert swapped("The imam left the mosque.", "religion", pair=pair) == (
        "The rabbi left the synagogue."
    )


def test_both_texts_of_a_pair_are_swapped_as_one():
    made = counterfactual(("Mary lost her bag.", "Is Mary sad? Is she?"))
    one, other = made.parts
    assert one.split()[0] == other.split()[1] != "Mary"
    assert other.endswith("Is he?")


@pytest.mark.parametrize("text", ["She is pregnant.", "That whore lied to him."])
def test_a_text_whose_label_may_change_with_the_group_says_so(text):
    assert find(text, lexicon("gender")).asymmetric
    assert counterfactual(text) is None


def test_asymmetric_words_alone_say_nothing():
    assert find("Pregnant cats sleep a lot.", lexicon("gender")).asymmetric == ""


@pytest.mark.parametrize(
    "text",
    [
        "Hillary Clinton said she would run.",
        "winnie mandela died and all she was exposed to",
        "Dr. Ford said she was there.",
        "David Bowie and his friends",
        "Clinton lost, and her friends wept.",
    ],
)
def test_a_public_person_stays_who_they_are(text):
    """One gender is a fact of them: *he* beside the name would be wrong."""
    assert counterfactual(text) is None
    assert find(text, lexicon("gender")).asymmetric == "a public person is spoken of"


def test_a_public_person_who_is_not_spoken_of_keeps_their_name():
    assert swapped("My sister told me that David Bowie died.") == (
        "My brother told me that David Bowie died."
    )
    assert swapped("She asked about Trump.") == "He asked about Trump."
    # A card game, not the person.
    assert swapped("He led a trump.") == "She led a trump."


def test_a_name_that_is_a_word_too_goes_by_its_place():
    new = swapped("So Jack said he was in.")
    assert new.endswith("said she was in.") and "Jack" not in new
    assert swapped("He used a jack.") == "She used a jack."
    assert "Karen" not in swapped("Karen is mad. She left.")


def test_words_that_mean_something_else_as_often_are_counted():
    found = find("The babe and the fellow saw Grace.", lexicon("gender"))
    assert (len(found.mentions), found.ambiguous) == (0, 3)


def test_a_placebo_stays_in_the_group_and_touches_the_same_places():
    table = lexicon("gender")
    groups = {" ".join(k): t.group for k, t in table.terms.items()}
    groups |= {"young woman": "female", "young man": "male"}
    rng = np.random.default_rng(0)
    for text in ("Mary and the woman saw John's father.", "A girl told her aunt about Michael."):
        found = find(text, table)
        made = placebo(found, table, ("female", "male"), rng)
        open_places = [m for m in found.mentions if not m.term.closed]
        assert len(made.changes) == len(open_places)
        for mention, (old, new) in zip(open_places, made.changes, strict=True):
            assert old == mention.text and new.lower() != old.lower()
            assert groups[new.lower()] == mention.term.group


def test_pronouns_and_titles_have_no_placebo_of_their_own():
    table = lexicon("gender")
    for text in ("She saw him.", "Mr. Smith left.", "The chairman spoke."):
        assert placebo(find(text, table), table, ("female", "male")) is None


def test_articles_follow_the_placebo_too():
    table = lexicon("gender")
    made = placebo(find("An aunt came.", table), table, ("female", "male"))
    assert made.parts == ("A godmother came.",)


def test_the_note_tells_each_change_once():
    assert counterfactual("She saw her; she left.").note == "she → he, her → him"


def test_nothing_to_swap_is_none():
    assert counterfactual("The report is late.") is None
    assert counterfactual("") is None


def test_a_misspelt_axis_gets_a_suggestion():
    with pytest.raises(ConfigError) as told:
        lexicon("gendre")
    assert told.value.hint == "Did you mean 'gender'?"


@pytest.mark.parametrize("axis", sorted(AXES))
def test_every_term_has_somewhere_to_go(axis):
    table = lexicon(axis)
    for term in table.terms.values():
        if "ambiguous" in term.flags or term.slot == "pronoun":
            continue
        others = [g for g in table.groups if g != term.group]
        reach = [g for g in others if table.targets.get((g, term.slot))]
        assert reach, term.text
        assert term.text not in {t for g in reach for t in table.targets[g, term.slot]}
    assert {t.group for t in table.terms.values()} == set(table.groups)


def test_no_word_of_a_table_stands_twice_with_two_meanings():
    names = [r["name"].lower() for r in table("names")]
    assert len(names) == len(set(names))
    nouns = {w for r in table("gender") for w in (r["female"], r["male"]) if w}
    assert not nouns & set(names)


def test_the_fixed_word_classes_are_not_empty():
    assert {"for", "and", "the"} <= word_class("function")
    with pytest.raises(KeyError):
        word_class("verbs")


def table(name):
    path = shipped("datasets") / "terms" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


PRONOUNS = dict.fromkeys(
    ("he", "she", "him", "her", "his", "hers", "himself", "herself"), "pronoun"
)


def pronouns_masked(text):
    found = re.findall(r"\w+|[^\w\s]", text)
    return [PRONOUNS.get(w.lower(), w.lower()) for w in found]


def test_winobias_pairs_come_out_as_published():
    """The rules were written with these pairs in sight; Winogender below was not looked at."""
    pairs = defaultdict(list)
    for row in realdata.rows("winobias", "winobias.jsonl"):
        pairs[row["pair_id"]].append(row["text"])
    # Nineteen pairs differ by more than pronouns (slips of the authors): no counterfactuals.
    clean = [p for p in pairs.values() if pronouns_masked(p[0]) == pronouns_masked(p[1])]
    assert len(clean) > 1500
    exact = [
        swapped(one).split() == other.split() for a, b in clean for one, other in ((a, b), (b, a))
    ]
    assert np.mean(exact) >= SHARE_EXACT


def test_winogender_triples_come_out_as_published():
    triples = defaultdict(dict)
    for row in realdata.rows("winogender", "winogender.jsonl"):
        triples[row["group_key"]][row["gender"]] = row["text"]
    exact = [
        swapped(t[a]) == t[b]
        for t in triples.values()
        for a, b in (("female", "male"), ("male", "female"))
    ]
    assert len(exact) == 480
    assert np.mean(exact) >= SHARE_EXACT


def test_a_hostile_text_is_no_obstacle():
    texts = json.loads(Path(__file__).with_name("hostile_texts.json").read_text("utf-8"))
    for text in [*(t["text"] for t in texts), "her" * 5000, "her " * 5000, "{" * 3000, "a@" * 3000]:
        for axis in AXES:
            t = lexicon(axis)
            swap(find(text, t), t, t.groups[:2])

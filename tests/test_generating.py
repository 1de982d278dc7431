"""Copies that language models write: many at once, each as if it were alone."""

from dataclasses import replace

import pytest
from test_augment import TEST, texts
from test_recipes import RULE, recipe
from tiny import tiny_masked, tiny_writer

from audit import augment, generating
from audit.crafted import crafted
from audit.errors import ConfigError, ModelError
from audit.generators import borrowed_randomness
from audit.testing import Lexicon

SOME = {
    f"t{i}": t
    for i, t in enumerate(
        (
            "the report was good and the manager was late again",
            "nobody asked",
            "a woman asked the desk for the number of the late report",
            "{text} is no place to fill",
            "not one of them was there",
        )
    )
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writers")
    words = [*SOME.values(), generating.PROMPT]
    return {
        "masked": tiny_masked(folder / "tiny-bert", words),
        "causal": tiny_writer(folder / "causal", words, kind="causal"),
        "there": tiny_writer(folder / "there", words, kind="translation"),
        "back": tiny_writer(folder / "back", words, kind="translation", seed=1),
    }


def writers(models):
    return (
        generating.Contextual(models["masked"]),
        generating.BackTranslation(models["there"], models["back"]),
        generating.Paraphrase(models["causal"]),
    )


def test_a_text_becomes_the_same_in_any_company(models):
    for write in writers(models):
        together = write(SOME, 0)
        assert list(together) == list(SOME) and any(together.values())
        assert all(t is None or t == " ".join(t.split()) for t in together.values())
        for id, text in SOME.items():
            assert write({id: text}, 0) == {id: together[id]}
        backwards = write(dict(reversed(SOME.items())), 0)
        assert backwards == together
        # A translation is not drawn; the others are other texts under another seed.
        drawn = not isinstance(write, generating.BackTranslation)
        assert (write(SOME, 1) != together) == drawn


def test_contextual_copies_are_those_of_nlpaug_called_one_by_one(models):
    import nlpaug.augmenter.word as naw

    made = generating.Contextual(models["masked"])(SOME, 3)
    theirs = naw.ContextualWordEmbsAug(
        model_path=str(models["masked"]),
        model_type="bert",
        device="cpu",
        use_custom_api=False,
        **generating.MASKING,
    )
    for id, text in SOME.items():
        with borrowed_randomness(generating.draws(3, id)):
            assert generating.cleaned(theirs.augment(text), text) == made[id]
    assert sum(t is not None for t in made.values()) >= 3
    # A negation is never masked.
    assert made["t4"] is None or "not" in made["t4"].split()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("contextual", {"model": "masked"}),
        ("back_translation", {"there": "there", "back": "back"}),
        ("paraphrase", {"model": "causal"}),
    ],
)
def test_copies_enter_through_the_same_guard(models, name, params):
    one = recipe(name, share=1.0, similarity=0, **params)
    train = texts(*SOME.values())
    made = crafted(
        (one,), train, {name: 1.0}, RULE, Lexicon(), seed=0, place=lambda word: models[word]
    )
    assert 1 <= len(made[name]) <= len(SOME)
    assert all(e.label == "yes" and e.id.endswith(f"+{name}") for e in made[name])
    test = replace(TEST, examples=(replace(TEST.examples[0], text=made[name][0].text),))
    found = augment.augment(train, test, (one,), {name: 1.0}, seed=0, crafted=made)
    assert (made[name][0].id, "copy that equals a test text") in found.stopped
    assert crafted((one,), train, {name: 0.0}, RULE, Lexicon(), seed=0) == {name: ()}


def test_a_model_that_is_missing_or_of_another_kind_is_a_sentence(models, tmp_path):
    with pytest.raises(ConfigError, match="needs the setting 'model'"):
        augment.kinds((recipe("contextual"),))
    with pytest.raises(ModelError, match="cannot be loaded"):
        generating.Contextual(tmp_path)

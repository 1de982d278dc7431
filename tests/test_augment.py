"""Copies of training texts: in proportion to what failed, labels kept, no test text let in."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import realdata
from test_runner import config, corpus, run  # noqa: F401

from audit import augment
from audit.config import ProbeConfig
from audit.errors import ConfigError
from audit.leaks import TestTexts
from audit.settings import RecipeConfig
from audit.testing import Lexicon
from audit.types import Corpus, Example, Gate

CDA, NOISE = RecipeConfig(name="counterfactual"), RecipeConfig(name="noise")


def texts(*given, prefix="t"):
    return Corpus(
        name="train",
        labels=("no", "yes"),
        examples=tuple(
            Example(id=f"{prefix}{i}", text=t, label="yes") for i, t in enumerate(given)
        ),
    )


TRAIN = texts("she asked her brother", "the weather was cold", "his mother called him")
TEST = texts("he asked his sister", "something else", prefix="x")


def made(recipes=(CDA,), share=1.0, test=TEST, seed=0):
    wanted = dict.fromkeys(augment.kinds(recipes), share)
    return augment.augment(TRAIN, test, recipes, wanted, seed=seed)


def test_a_counterfactual_copy_keeps_label_and_cluster():
    found = made(test=texts("nothing", prefix="x"))
    copies = [e for e in found.corpus.examples if "+" in e.id]
    assert {e.text for e in copies} >= {"he asked his sister", "her father called her"}
    assert all(e.label == "yes" and e.cluster in ("t0", "t2") for e in copies)


def test_a_copy_that_equals_a_test_text_is_stopped_and_counted():
    found = made(test=texts("He asked  HIS sister", prefix="x"))
    assert "he asked his sister" not in {e.text for e in found.corpus.examples}
    assert any(s.count == 1 and "equals a test text" in s.reason for s in found.skips)


def test_a_training_text_that_is_a_test_text_is_stopped_too():
    found = made(test=texts("The weather was cold", prefix="x"))
    assert "the weather was cold" not in {e.text for e in found.corpus.examples}


def test_nothing_asked_nothing_added():
    assert len(made(share=0.0).corpus.examples) == len(TRAIN.examples)


def test_the_same_seed_makes_the_same_copies():
    assert made((CDA, NOISE)).corpus == made((CDA, NOISE)).corpus


@pytest.mark.parametrize(
    ("status", "value", "share"),
    [
        ("pass", 0.05, 0.0),
        ("not_estimable", None, 0.0),
        ("inconclusive", 0.11, 0.25),
        ("fail", 0.1, 0.5),
        ("fail", 0.15, 0.75),
        ("fail", 0.4, 1.0),
    ],
)
def test_copies_follow_what_failed_and_by_how_much(tmp_path, corpus, status, value, share):  # noqa: F811
    asked = config("typos", gates=[Gate(metric="typos.flip_rate", at_most=0.1)])
    result = run(tmp_path, corpus, asked)
    (verdict,) = result.verdicts
    result = replace(result, verdicts=(replace(verdict, status=status, value=value),))
    found = augment.shares(result, (CDA, NOISE))
    assert found["noise-keyboard"] == found["noise-ocr"] == pytest.approx(share)
    assert found["counterfactual-gender"] == found["counterfactual-names_race"] == 0.0


@pytest.mark.parametrize(("value", "share"), [(0.4, 0.5), (0.3, 0.625), (0.2, 0.75), (0.0, 1.0)])
def test_copies_follow_how_far_a_floor_is_missed(tmp_path, corpus, value, share):  # noqa: F811
    asked = config("typos", gates=[Gate(metric="typos.flip_rate", at_least=0.4)])
    result = run(tmp_path, corpus, asked)
    (verdict,) = result.verdicts
    result = replace(result, verdicts=(replace(verdict, status="fail", value=value),))
    assert augment.shares(result, (NOISE,))["noise-ocr"] == pytest.approx(share)


def test_what_is_worse_than_the_baseline_asks_for_copies_too(tmp_path, corpus):  # noqa: F811
    result = run(
        tmp_path, corpus, config("typos", gates=[Gate(metric="typos.flip_rate", at_most=0.1)])
    )
    (verdict,) = result.verdicts
    claim = replace(
        verdict.claim, against="baseline", measurement="baseline.flip_rate[probe=typos]", limit=0.02
    )
    failed = replace(verdict, claim=claim, status="fail", value=0.03)
    assert augment.shares(replace(result, verdicts=(failed,)), (NOISE,))["noise-ocr"] == 0.75


def test_an_axis_is_copied_for_its_own_faults_only(tmp_path, corpus):  # noqa: F811
    asked = replace(
        config(gates=[Gate(metric="swaps.flip_rate", at_most=0.01)]),
        probe=(ProbeConfig(name="swaps", params={"axis": "gender"}),),
    )
    model = Lexicon(good=3.0, terrible=-3.0, nothing=-1.0, she=-6.0)
    found = augment.shares(run(tmp_path, corpus, asked, model), (CDA,))
    assert found["counterfactual-gender"] > 0.9
    assert found["counterfactual-names_race"] == 0.0


def test_a_share_that_the_user_sets_comes_first(tmp_path, corpus):  # noqa: F811
    recipe = RecipeConfig(name="noise", params={"share": 0.3, "kinds": ["ocr"]})
    assert augment.shares(run(tmp_path, corpus), (recipe,)) == {"noise-ocr": 0.3}


def test_about_the_share_asked_for_is_copied_whatever_else_is_in_the_file():
    many = texts(*(f"she asked her brother about number {i}" for i in range(400)))
    found = augment.augment(many, TEST, (CDA,), {"counterfactual-gender": 0.5}, seed=1)
    assert 160 <= found.copies["counterfactual-gender"] <= 240
    fewer = replace(many, examples=many.examples[1:])
    again = augment.augment(fewer, TEST, (CDA,), {"counterfactual-gender": 0.5}, seed=1)
    assert {e.id: e.text for e in again.corpus.examples}.items() <= {
        e.id: e.text for e in found.corpus.examples
    }.items()


def test_noise_changes_the_text_and_nothing_else():
    found = made((NOISE,), test=texts("nothing like it", prefix="x"))
    sources = {e.id: e for e in TRAIN.examples}
    copies = [e for e in found.corpus.examples if "+" in e.id]
    assert len(copies) == sum(found.copies.values()) >= 4
    for copy in copies:
        source = sources[copy.id.partition("+")[0]]
        assert copy.text != source.text and copy.label == source.label
        assert len(copy.text.split()) == len(source.text.split())


def test_a_copy_that_is_another_training_text_is_not_added():
    """The swap of one text is another, with another label: adding it would teach both."""
    twins = Corpus(
        name="train",
        labels=("no", "yes"),
        examples=(
            Example(id="a", text="she asked her brother", label="yes"),
            Example(id="b", text="He asked his sister", label="no"),
        ),
    )
    found = augment.augment(twins, TEST, (CDA,), dict.fromkeys(augment.kinds((CDA,)), 1.0), seed=0)
    assert sum(found.copies.values()) == 0


def test_a_counterfactual_no_longer_claims_the_group_of_its_source():
    one = Corpus(
        name="train",
        labels=("no", "yes"),
        examples=(Example(id="a", text="she was early", label="yes", groups={"sex": "female"}),),
    )
    found = augment.augment(
        one, TEST, (CDA, NOISE), dict.fromkeys(augment.kinds((CDA, NOISE)), 1.0), seed=0
    )
    groups = {e.id: dict(e.groups) for e in found.corpus.examples}
    assert groups["a"] == {"sex": "female"} and groups["a+counterfactual-gender"] == {}
    assert groups["a+noise-keyboard"] == {"sex": "female"}


def _slipped(text, rng):
    """The text with one letter exchanged and other spacing: nobody would call it another."""
    at = int(rng.integers(len(text)))
    return f" {text[:at]}x{text[at + 1 :]}".replace(" ", "  ").upper()


def test_planted_copies_of_test_texts_are_all_stopped_and_listed():
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(400)]
    make = lambda n, prefix: texts(  # noqa: E731
        *(" ".join(rng.choice(words, 14)) for _ in range(n)), prefix=prefix
    )
    test, train = make(300, "x"), make(500, "t")
    planted = [
        Example(id=f"equal{i}", text=test.examples[i].text, label="yes") for i in range(50)
    ] + [
        Example(id=f"near{i}", text=_slipped(test.examples[100 + i].text, rng), label="yes")
        for i in range(50)
    ]
    found = augment.augment(
        replace(train, examples=(*train.examples, *planted)), test, (), {}, seed=0
    )
    assert {id for id, _ in found.stopped} == {e.id for e in planted}
    assert {e.id for e in found.corpus.examples} == {e.id for e in train.examples}
    assert sum(s.count for s in found.skips) == 100


def test_texts_that_share_a_few_words_are_not_taken_for_copies():
    guard = TestTexts(["the clerk wrote a long and careful report about the harbour"])
    assert guard.holds("the clerk wrote a long and careful letter to the harbour office") == ""
    assert guard.holds("The clerk  wrote a long and careful report, about the harbour!") == "equal"
    assert guard.holds("the clerk wrote a long and careful reports about the harbour") == "near"
    assert (
        guard.holds("so") == guard.holds("") == TestTexts([]).holds("anything at all, really") == ""
    )


def test_the_leaks_of_a_real_set_are_found():
    folder = realdata.path("sms_spam")
    test, train = (
        [json.loads(x)["text"] for x in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
        for name in ("test", "train")
    )
    guard = TestTexts(train)
    found = Counter(guard.holds(t) for t in dict.fromkeys(test))
    assert len(set(test) & set(train)) == 145
    assert found["equal"] >= 145


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (RecipeConfig(name="magic"), "no augmentation recipe 'magic'"),
        (RecipeConfig(name="noise", params={"kindz": ["ocr"]}), "no setting 'kindz'"),
        (
            RecipeConfig(name="noise", params={"kinds": ["fax"]}),
            "nothing called 'fax' among its kinds",
        ),
        (RecipeConfig(name="noise", params={"kinds": "ocr"}), "must be a list"),
        (RecipeConfig(name="noise", params={"share": 1.5}), r"in \[0, 1\], got 1.5"),
        (RecipeConfig(name="counterfactual", params={"axes": ["shoes"]}), "nothing called 'shoes'"),
    ],
)
def test_a_recipe_that_does_not_exist_is_refused(recipe, said):
    with pytest.raises(ConfigError, match=said):
        made((recipe,))

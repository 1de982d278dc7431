"""Recipes of a retrain: what each adds or asks for, that labels stay, that no test text enters."""

import csv
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from test_augment import TEST, texts
from test_retrain import AUDIT, Quiet
from test_runner import config, corpus, run  # noqa: F401
from tiny import tiny_bert

from audit import augment, decision, mitigation
from audit.config import read
from audit.copiers import CARDS, copier, kinds_of
from audit.crafted import crafted
from audit.decision import decide
from audit.errors import ConfigError, Unsupported
from audit.lexicon import lexicon
from audit.mentions import find
from audit.retrain import retrain
from audit.settings import RecipeConfig
from audit.testing import Lexicon
from audit.types import Example, Gate

RULE = decision.make(("no", "yes"), ("yes",))


def recipe(name, **params):
    return RecipeConfig(name=name, params=params)


def test_every_recipe_names_its_source():
    for card in CARDS.values():
        assert any(mark in card.source for mark in ("arXiv", "doi", "http")), card.name
        assert card.what and card.copies == bool(kinds_of(_whole(card)))


def _whole(card):
    return recipe(card.name, **{key: "x" for key, word in card.strings.items() if not word})


def test_names_are_drawn_of_every_origin_and_keep_their_gender():
    table = lexicon("names_race")
    copy = copier(recipe("names"), "", 0)
    origins, kept = set(), 0
    for i in range(200):
        made = copy(Example(id=str(i), text="Emily asked for the report", label="yes"))
        if made is None:
            continue
        (mention,) = find(made, table).mentions
        assert made == f"{mention.text} asked for the report" != "Emily asked for the report"
        origins.add(mention.term.group)
        kept += mention.term.group == find("Emily", table).mentions[0].term.group
        assert mention.term.slot == find("Emily", table).mentions[0].term.slot
    assert origins == set(table.groups)
    assert 20 <= kept <= 90


@pytest.mark.parametrize("kind", ["split", "swap", "delete"])
def test_words_change_and_negations_and_handles_stay(kind):
    copy = copier(recipe("words"), kind, 0)
    source = "The manager did not answer @anna because nobody ever reads the long reports"
    found = set()
    for i in range(40):
        made = copy(Example(id=str(i), text=source, label="yes"))
        if made is None:
            continue
        assert made != source
        assert {"not", "nobody", "@anna"} <= set(made.split())
        # Nothing but the words of the source, in pieces, in another order or fewer.
        assert set("".join(made.lower().split())) <= set("".join(source.lower().split()))
        found.add(made)
        assert copy(Example(id=str(i), text=source, label="yes")) == made
    assert len(found) > 5


def vectors(texts_):
    """Two texts are alike here exactly when they begin with the same letter."""
    return np.array([np.eye(256)[ord(str(t)[:1].lower() or " ") % 256] for t in texts_])


def test_a_copy_unlike_its_source_is_left_out_and_counted():
    one = recipe("noise", kinds=["keyboard"], similarity=0.9)
    many = texts(*(f"{w} report was written" for w in ("strange", "careful", "harbour") * 30))
    many = replace(many, examples=tuple(replace(e, text=f"{e.text} {e.id}") for e in many.examples))
    wanted = dict.fromkeys(augment.kinds((one,)), 1.0)
    found = augment.augment(many, TEST, (one,), wanted, seed=0, vectors=vectors)
    sources = {e.id: e.text for e in many.examples}
    copies = [e for e in found.corpus.examples if "+" in e.id]
    assert copies and all(e.text[0].lower() == sources[augment.source_of(e)][0] for e in copies)
    assert any("too unlike its source" in s.reason and s.count for s in found.skips)
    with pytest.raises(Unsupported, match="sentence encoder"):
        augment.augment(many, TEST, (one,), wanted, seed=0)


def test_attacked_training_texts_turn_the_model_and_keep_their_label():
    model = Lexicon(good=3.0, terrible=-3.0)
    model.labels = ("no", "yes")
    train = texts(*(f"the report number {i} was good in the end" for i in range(30)))
    asked: list[int] = []

    def score(some):
        asked.append(len(some))
        return model.probabilities(some)

    one = recipe("adversarial", texts=10, queries=60, share=1.0)
    found = crafted((one,), train, {"adversarial": 1.0}, RULE, score, seed=0)["adversarial"]
    assert 1 <= len(found) <= 10
    sources = {e.id: e for e in train.examples}
    for copy in found:
        source = sources[augment.source_of(copy)]
        before, after = decide(RULE, model.probabilities([source.text, copy.text])).label
        assert before != after and copy.label == source.label == "yes"
        assert copy.cluster == source.id
    assert sum(asked) <= 10 + 10 * 60
    none = crafted((one,), train, {"adversarial": 0.0}, RULE, score, seed=0)
    assert none == {"adversarial": ()}


def test_templates_get_the_label_their_decision_calls_for_and_never_the_audited_suite():
    one = recipe("templates", pack="hiring", axes=["gender"], texts=40, share=1.0)
    found = crafted((one,), texts("x"), {"templates": 1.0}, RULE, Lexicon(), seed=0)["templates"]
    assert len(found) == 40 and {e.label for e in found} == {"no", "yes"}
    assert len({e.id for e in found}) == 40
    with pytest.raises(ConfigError, match="audits the suite hiring"):
        crafted(
            (one,), texts("x"), {"templates": 1.0}, RULE, Lexicon(), [{"suite": "hiring"}], seed=0
        )
    with pytest.raises(ConfigError, match="needs the setting 'pack'"):
        kinds_of(recipe("templates"))


@pytest.mark.parametrize(
    ("said", "share"),
    [
        ({}, 0.5),
        ({"proportional": True}, 0.5),
        ({"share": 0.9}, 0.9),
        ({"share": 0.9, "proportional": True}, 0.5),
        ({"share": 0.2, "proportional": True}, 0.2),
    ],
)
def test_a_share_beside_proportional_is_the_most(tmp_path, corpus, said, share):  # noqa: F811
    asked = config("typos", gates=[Gate(metric="typos.flip_rate", at_most=0.1)])
    result = run(tmp_path, corpus, asked)
    (verdict,) = result.verdicts
    # At its limit: a copy of every second text.
    result = replace(result, verdicts=(replace(verdict, status="fail", value=0.1),))
    one = recipe("noise", kinds=["ocr"], **said)
    assert augment.shares(result, (one,)) == {"noise-ocr": pytest.approx(share)}


def test_pairs_are_made_by_the_rules_of_the_swap_and_no_test_text_is_one():
    train = texts("she asked her brother", "the weather was cold", "his mother called him")
    made, stopped = mitigation.objective_of((recipe("logit_pairing"),), train, TEST, RULE, seed=0)
    assert made.twins == {"t2": "her father called her"}
    assert stopped == (("t0", "counterfactual that equals a test text"),)
    assert made.strength == 1.0 and not made.weights and not made.cells


def test_groups_weigh_alike_and_the_statement_says_when_they_are_read():
    train = texts(*"abcd")
    train = replace(
        train,
        examples=tuple(
            replace(e, groups={"sex": "f" if i == 0 else "m"}) for i, e in enumerate(train.examples)
        ),
    )
    one = recipe("group_weights", group="sex")
    made, _ = mitigation.objective_of((one,), train, TEST, RULE, seed=0)
    assert made.weights == pytest.approx({"t0": 2.0, "t1": 2 / 3, "t2": 2 / 3, "t3": 2 / 3})
    (said,) = mitigation.statements((one,))
    assert "in training alone" in said and "question of law" in said
    both = (one, recipe("group_dro", group="sex"))
    with pytest.raises(ConfigError, match="weigh the same texts twice"):
        mitigation.objective_of(both, train, TEST, RULE, seed=0)
    with pytest.raises(ConfigError, match="no setting 'share'"):
        mitigation.objective_of((recipe("group_dro", share=0.1),), train, TEST, RULE, seed=0)


RECIPES = """
[[recipe]]
name = "names"
share = 1.0
[[recipe]]
name = "words"
share = 0.5
similarity = 0
[[recipe]]
name = "templates"
pack = "finance"
axes = ["gender"]
share = 1.0
texts = 20
[[recipe]]
name = "logit_pairing"
[[recipe]]
name = "group_dro"
group = "sex"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    rng = random.Random(5)
    words = "good report late manager desk number explain woman he Emily nobody asked".split()
    words += [f"thing{i}" for i in range(60)]
    drawn = [" ".join(rng.choice(words) for _ in range(14)) for _ in range(260)]
    tiny_bert(folder / "model", drawn, ("no", "yes"))
    test, train = drawn[:120], drawn[120:]
    near = [f"{t[:20]}x{t[21:]}".upper() for t in test[50:100]]
    planted = {f"equal{i}": t for i, t in enumerate(test[:50])}
    planted |= {f"near{i}": t for i, t in enumerate(near)}
    rows = {f"own{i}": t for i, t in enumerate(train)} | planted
    for name, some in (("train", rows), ("test", {f"x{i}": t for i, t in enumerate(test)})):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["id", "text", "label", "sex"])
            out.writerows(
                [id, t, "yes" if "good" in t.lower() else "no", "fm"[len(t) % 2]]
                for id, t in some.items()
            )
    said = AUDIT.replace('id = "id"\n[[probe]]', 'id = "id"\ngroups = { sex = "sex" }\n[[probe]]')
    said = said[: said.index("[[recipe]]")] + RECIPES
    (folder / "audit.toml").write_text(said.replace("max_length = 32", "max_length = 48"))
    return folder


def test_a_retrain_by_five_recipes_stops_and_lists_all_planted_copies(folder, tmp_path):
    asked = read(folder / "audit.toml")
    lines: list[str] = []

    class Telling(Quiet):
        def say(self, line):
            lines.append(line)

    result = retrain(asked, tmp_path, base=folder, display=Telling())
    data = json.loads((tmp_path / "data" / "augmentation.json").read_text())
    rows = [json.loads(x) for x in (tmp_path / "data" / "train.jsonl").read_text().splitlines()]
    stopped = {one["id"] for one in data["stopped"] if one["why"].startswith("training text")}
    assert stopped == {f"{kind}{i}" for kind in ("equal", "near") for i in range(50)}
    assert data["stopped_counts"]["training text that equals a test text"] == 50
    assert data["stopped_counts"]["training text that nearly equals a test text"] == 50
    sources = {row["id"].partition("+")[0] for row in rows}
    assert not [id for id in sources if id.startswith(("equal", "near"))]
    own = {id for id in sources if id.startswith("own")}
    record = json.loads((tmp_path / "train-0" / "training.json").read_text())
    assert len(own) + record["what"]["dev"]["texts"] == 140
    assert sum(data["stopped_counts"].values()) == len(data["stopped"])
    assert data["copies"]["templates"] == 20 and data["copies"]["names"] > 5
    assert data["objective"]["twins"]["texts"] > 20 and data["objective"]["cells"]
    assert any("question of law" in w for w in result.comparison.words)
    assert any("were kept out" in line for line in lines)
    again = retrain(asked, tmp_path, base=folder, display=Quiet())
    assert again.comparison == result.comparison


def test_a_mix_draws_one_change_for_each_text_and_a_synonym_keeps_negations():
    from audit.augment import changed
    from audit.resources import Resources

    if Resources().wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")
    some = [
        Example(
            id=str(i), text=f"nobody thought the quick answer number {i} was not strange", label="x"
        )
        for i in range(40)
    ]
    one = recipe("words", kinds=["synonym"])
    made = [t for _, t in changed(one, "synonym", some, seed=0) if t is not None]
    assert len(made) > 30 and all({"nobody", "not"} <= set(t.split()) for t in made)
    mixed = [t for _, t in changed(recipe("nlpaug"), "", some, seed=0)]
    assert None not in mixed and kinds_of(recipe("nlpaug")) == (("nlpaug", ""),)
    # Some are longer (split), some as long (slips), some of other words: more than one kind.
    assert len({len(t.split()) for t in mixed}) > 1
    turned = [t for _, t in changed(recipe("nlpaug"), "", some[::-1], seed=0)]
    assert turned[::-1] == mixed
    assert [t for _, t in changed(recipe("nlpaug"), "", some, seed=1)] != mixed


def test_every_side_of_an_axis_is_copied_where_asked():
    from audit.augment import changed

    one = recipe("counterfactual", axes=["names_race"], sides="all")
    kinds = kinds_of(one)
    table = lexicon("names_race")
    assert len(kinds) == len(table.pairs) and len({k for k, _ in kinds}) == len(kinds)
    some = [Example(id="a", text="Emily asked for the report", label="yes")]
    (mention,) = find(some[0].text, table).mentions
    groups = set()
    for _, part in kinds:
        ((_, text),) = changed(one, part, some, seed=0)
        assert (text is not None) == (mention.term.group in part.split(":"))
        if text is not None:
            groups |= find(text, table).groups
    assert groups == set(table.groups) - {mention.term.group}
    with pytest.raises(ConfigError, match="must be drawn or all"):
        kinds_of(recipe("counterfactual", sides="both"))


def test_the_cards_are_listed_and_shown(capsys):
    from audit.cli import main

    assert main(["recipes"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in CARDS)
    assert main(["recipes", "adversarial"]) == 0
    said = capsys.readouterr().out
    assert "arXiv:1706.06083" in said and "queries" in said and "deepwordbug" in said
    assert main(["recipes", "adverserial"]) == 2
    assert "Did you mean 'adversarial'" in capsys.readouterr().err

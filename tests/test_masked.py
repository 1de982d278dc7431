"""A masked language model that the user names proposes words, for all searches at once."""

import json

import numpy as np
import pytest

from audit import foreign
from audit.attack_recipes import recipe, same_part
from audit.attacks import Target, attack
from audit.bench import Bench
from audit.decision import decide, make
from audit.errors import Unsupported
from audit.lockstep import Failure
from audit.masked import MaskedWords
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.similarity import SentenceVectors
from audit.testing import Lexicon
from audit.types import Corpus, Example, Measurement
from probes.attack import Attack
from tests.tiny import tiny_bert

TEXTS = (
    "the terrible dinner lasted for many hours",
    "a wonderful evening with good friends",
    "nobody liked the music at the dinner",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random masked language model over the words of the texts."""
    from transformers import BertConfig, BertForMaskedLM

    place = tiny_bert(tmp_path_factory.mktemp("masked"), TEXTS, seed=3)
    config = BertConfig.from_pretrained(place)
    BertForMaskedLM(config).save_pretrained(place, safe_serialization=True)
    return place


@pytest.fixture(scope="module")
def ta():
    if Resources().wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")
    return foreign.textattack(wordnet=True)


def test_answers_are_those_of_a_plain_loop_and_each_place_is_paid_for_once(folder):
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    many = MaskedWords(folder, most=5)
    asked = [(f"the {many.mask} dinner", "4:10"), (TEXTS[1], "2:11"), (TEXTS[0], "0:3")]
    rows = many([*asked, asked[0]])
    assert many.forwards == 3 and np.array_equal(rows[0], rows[3])
    module, tokenizer = (
        kind.from_pretrained(folder) for kind in (AutoModelForMaskedLM, AutoTokenizer)
    )
    for (text, place), row in zip(asked, rows, strict=False):
        coded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
        start = int(place.split(":")[0])
        at = [a for a, _ in coded.pop("offset_mapping")[0].tolist()].index(start, 1)
        with torch.no_grad():
            own = module.eval()(**coded).logits[0, at]
        assert own.topk(5).indices.tolist() == row.astype(int).tolist()
    assert (many([("zzz qqq", "0:3")]) == -1).all()  # three pieces, no one token


@pytest.mark.parametrize("name", ["bae", "bertattack"])
def test_searches_are_merged_and_end_as_one_by_one(ta, folder, name):
    scorer = Scorer(Lexicon(terrible=2.0, wonderful=2.0, music=1.0, the=-0.5))
    rule = make(scorer.labels, scorer.labels[:1])
    truths = decide(rule, scorer(TEXTS)).label.tolist()
    vectors = SentenceVectors(Resources().encoder())

    def found(width, masked):
        targets = [
            Target(text=x, truth=y, rng=stream(1, x)) for x, y in zip(TEXTS, truths, strict=True)
        ]
        ends = dict(
            attack(
                targets, recipe(name), scorer, rule, width=width, sentences=vectors, masked=masked
            )
        )
        return [ends[i] for i in range(len(TEXTS))]

    class Counted(MaskedWords):
        requests = 0

        def __call__(self, asked):
            Counted.requests += 1
            return super().__call__(asked)

    plain = found(1, MaskedWords(folder))
    assert not [f for f in plain if isinstance(f, Failure)]
    assert found(1, Counted(folder)) == plain
    alone, Counted.requests = Counted.requests, 0
    assert found(3, Counted(folder)) == plain
    assert Counted.requests < alone
    assert any(f.text != text for f, text in zip(plain, TEXTS, strict=True))


def test_a_swapped_word_keeps_its_part_of_speech(ta):
    constraint = same_part(ta)(compare_against_original=False)
    text = ta.shared.AttackedText("the terrible dinner lasted")
    for word, kept in (("awful", True), ("quickly", False), ("zzyzx", True)):
        other = text.replace_word_at_index(1, word)
        assert constraint._check_constraint(other, text) is kept


def test_without_a_model_the_recipe_says_so_and_the_rest_runs(tmp_path):
    examples = tuple(Example(id=str(i), text=text) for i, text in enumerate(TEXTS))
    scorer = Scorer(Lexicon(terrible=2.0))
    bench = Bench(
        probe="attack",
        corpus=Corpus(name="test", labels=scorer.labels, examples=examples),
        scorer=scorer,
        decision=make(scorer.labels, scorer.labels[-1:]),
        resources=Resources(),
    )
    probe = Attack(recipes=("bae", "pruthi"), min_n=1)
    found = {f.id: f for f in probe.run(bench) if isinstance(f, Measurement)}
    missing = found["attack.broken_within_budget[recipe=bae]"]
    assert missing.value.code == "not_run" and "masked_lm" in missing.value.reason
    assert found["attack.broken_within_budget[recipe=pruthi]"].value.n == 3
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(Unsupported, match=r"model\.safetensors is missing"):
        list(Attack(recipe="bae", masked_lm=str(tmp_path), min_n=1).run(bench))

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import tiny_bert

from audit import explain as explaining_one
from audit import explaining, model
from audit.aligning import align
from audit.borders import read_plain
from audit.cli import main
from audit.config import ModelConfig
from audit.decision import distance, make, names
from audit.errors import ConfigError
from audit.explain import PARTS, Explanation, audited, explain
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Corpus, Example

RULE = make(("negative", "positive"), ("positive",))
TEXTS = [
    "she wrote a good report about old bridges and rivers",
    "nobody painted the wooden table in the garden",
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tiny_bert(tmp_path_factory.mktemp("bert"), [*TEXTS, "he his him"])
    return folder


@pytest.fixture(scope="module")
def scorer(bert):
    spec = ModelConfig(path=str(bert), device="cpu")
    return Scorer(model.load(spec, model.identify(spec)))


def test_every_part_is_answered_and_the_whole_survives_json(scorer):
    found = explain(scorer, RULE, TEXTS, compare=["saliency"])
    for one, text in zip(found, TEXTS, strict=True):
        assert one.parts == (text,) and sum(one.probabilities) == pytest.approx(1)
        assert [text[w.start : w.end] for w in one.weighed.words] == text.split()
        assert one.weighed.converged and one.weighed.steps >= 9
        assert one.weighed.reliability.reasons and one.compared[0].reliability.reasons
        assert one.flips is not None and one.swaps is not None
        assert one.agreement[0][0] == "saliency"
        again = read_plain(Explanation, json.loads(explaining.as_json([one]))[0])
        assert again == one
    # 'she' has a counterpart on the gender axis; the second text names nobody.
    assert [s.axis for s in found[0].swaps] == ["gender"] and found[1].swaps == ()


def test_a_swap_shows_both_sides_word_by_word(scorer):
    (one,) = explain(scorer, RULE, TEXTS[:1], parts=["attribution", "swaps"])
    (swap,) = one.swaps
    assert swap.changes == (("she", "he"),) and swap.parts[0].startswith("he wrote")
    first = swap.aligned[0]
    assert (first.before, first.after, first.changed) == ("she", "he", True)
    assert first.weight_before == one.weighed.words[0].weight
    (theirs,) = explain(scorer, RULE, [swap.parts[0]], parts=["attribution"])
    assert [a.weight_after for a in swap.aligned] == pytest.approx(theirs.weighed.weights, abs=1e-4)
    assert swap.score == pytest.approx(theirs.score) and swap.difference == pytest.approx(
        theirs.score - one.score
    )


def test_parts_can_be_had_one_after_another(scorer):
    whole = explain(scorer, RULE, TEXTS)
    steps = None
    for part in PARTS:
        steps = explain(scorer, RULE, TEXTS, parts=[part], known=steps)
    assert steps == whole
    quick = explain(scorer, RULE, TEXTS, parts=["attribution"])
    assert quick[0].weighed.reliability is None and quick[0].swaps is None
    with pytest.raises(ValueError, match="same texts"):
        explain(scorer, RULE, TEXTS[:1], known=whole)
    with pytest.raises(ConfigError, match="'flip'"):
        explain(scorer, RULE, TEXTS, parts=["flip"])
    assert explain(scorer, RULE, []) == ()


def test_the_nearest_flip_is_the_one_word_the_model_reads():
    scorer = Scorer(Lexicon(good=3.0, bad=-1.0))
    text = "a good film with a bad end"
    (one,) = explain(scorer, RULE, [text], parts=["flips"])
    (flip,) = [f for f in one.flips.found if not f.edits[0].new]
    assert (flip.edits[0].word, flip.decision) == ("good", ("negative",))
    assert flip.parts == ("a film with a bad end",) and one.flips.exhaustive
    assert text[flip.edits[0].start : flip.edits[0].end] == "good"


def test_a_flip_of_three_words_is_found_where_two_do_not_turn_it():
    # Each of three words carries the decision by itself: all must go.
    class AnyOf(Lexicon):
        def probabilities(self, texts):
            hit = np.array([any(w in str(t).split() for w in ("one", "two", "six")) for t in texts])
            many = np.array(
                [sum(w in str(t).split() for w in ("one", "two", "six")) for t in texts]
            )
            p = np.where(hit, 0.7 + 0.05 * many, 0.2)
            return np.stack([1 - p, p], axis=1)

    scorer = Scorer(AnyOf())
    (one,) = explain(scorer, RULE, ["a one and two by six is odd"], parts=["flips"])
    assert all({e.word for e in f.edits} == {"one", "two", "six"} for f in one.flips.found)
    assert [e.new for e in one.flips.found[0].edits] == ["", "", ""]
    (none,) = explain(scorer, RULE, ["a one and two by six is odd"], parts=["flips"], edits=2)
    assert none.flips.found == () and none.flips.edits == 2


def test_searches_side_by_side_find_what_each_finds_alone(scorer):
    together = explain(scorer, RULE, TEXTS, parts=["flips"])
    alone = [explain(scorer, RULE, [text], parts=["flips"])[0] for text in TEXTS]
    assert [e.flips for e in together] == [e.flips for e in alone]


def test_the_distance_is_what_must_move_before_the_decision_turns():
    scores = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    top = make(("a", "b", "c"), ("b", "c"))
    assert distance(top, scores) == pytest.approx([0.15, -0.15])
    held = make(("a", "b", "c"), ("b", "c"), threshold=0.7)
    assert distance(held, scores) == pytest.approx([0.1, -0.3])
    multi = make(("a", "b", "c"), ("b", "c"), head="multi")
    assert distance(multi, scores) == pytest.approx([0.0, -0.2])
    assert names(top, 2) == ("c",) and names(multi, 5) == ("a", "c") and names(multi, 0) == ()


def test_words_stand_beside_each_other_and_differences_add_up():
    before, after = ["she", "is", "very", "kind"], ["He", "is", "kind", "indeed"]
    found = align(before, [1.0, 0.5, 0.25, 2.0], after, [-1.0, 0.5, 1.0, 0.5])
    assert [(a.before, a.after) for a in found] == [
        ("she", "He"),
        ("is", "is"),
        ("very", ""),
        ("kind", "kind"),
        ("", "indeed"),
    ]
    assert [a.changed for a in found] == [True, False, True, False, True]
    assert sum(a.difference for a in found) == pytest.approx(1.0 - 3.75)
    assert found[2].weight_after is None and found[4].weight_before is None
    assert align([], [], [], []) == ()
    assert [a.after for a in align([], [], ["x"], [1.0])] == ["x"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "😀👍🏽 café",
        "שלום עולם مرحبا",
        "这部电影很好",
        "she " * 10_000,
        "a\x1b[31mb\u202ec",
    ],
)
def test_every_text_gets_every_part(text, scorer):
    (one,) = explain(scorer, RULE, [text], edits=2)
    assert [text[w.start : w.end] for w in one.weighed.words] == [w.text for w in one.weighed.words]
    assert one.truncated == (len(text) > 1000) and one.weighed.reliability.label
    told = explaining.as_text([one], colour=True)
    assert "\u202e" not in told and "\x1b[31mb" not in told
    assert "\u202e" not in explaining.as_page([one], "model")


def test_a_threshold_holds_for_the_labels_it_was_set_for():
    audit_rule = make(("negative", "positive"), ("positive",), threshold=0.7)
    source = SimpleNamespace(scorer=Scorer(Lexicon()), rule=audit_rule)
    assert explaining.rule_for(source, TEXTS, ["positive"]).threshold == 0.7
    other = explaining.rule_for(source, TEXTS, ["negative"])
    assert (other.favourable, other.threshold) == (("negative",), None)
    assert explaining.rule_for(source, TEXTS, []) == audit_rule


def test_a_callable_is_explained_without_gradients():
    (one,) = explain(Scorer(Lexicon(good=2.0, bad=-1.0)), RULE, ["a good film with a bad end"])
    assert one.weighed.method == "kernel_shap"
    assert one.weighed.words[1].weight == pytest.approx(2.0, abs=1e-6)
    assert one.weighed.reliability.label == "high"


def test_similar_texts_come_with_what_the_audit_found(tmp_path, monkeypatch):
    from audit import store
    from audit.decision import decide
    from audit.types import Cases

    examples = tuple(
        Example(id=f"e{i}", text=t, label="positive", groups={"sex": "female"})
        for i, t in enumerate([*TEXTS, "old bridges and rivers", "nothing alike"])
    )
    corpus = Corpus(name="test", labels=RULE.labels, examples=examples)
    scores = Lexicon(good=2.0).probabilities([e.text for e in examples])
    store.write_units(tmp_path / store.UNITS, corpus, RULE, scores, decide(RULE, scores))
    cases = Cases(
        metric="swaps.flip_rate",
        example_id=["e2", "e0"],
        before=["a", "b"],
        after=["c", "d"],
        score_before=[0.5, 0.5],
        score_after=[0.4, 0.4],
        flipped=[True, False],
    )
    store.write_cases(tmp_path / store.CASES, [cases])
    known = audited(examples, tmp_path)
    scorer = Scorer(Lexicon(good=2.0))
    (one,) = explain(scorer, RULE, ["bridges and rivers"], parts=["similar"], audit=known)
    assert [s.example_id for s in one.similar] == ["e2", "e0"]
    assert one.similar[0].flipped_by == ("swaps.flip_rate",) and one.similar[1].flipped_by == ()
    assert one.similar[1].decision == ("positive",) and one.similar[1].groups == (
        ("sex", "female"),
    )
    bare = audited(examples, tmp_path / "nowhere")
    (two,) = explain(scorer, RULE, ["bridges and rivers"], parts=["similar"], audit=bare)
    assert two.similar[0].score is None and two.similar[0].decision is None


def run(*args, **more):
    return subprocess.run(
        [sys.executable, "-m", "audit.cli", "explain", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def test_the_command_says_it_in_words_numbers_json_and_a_page(bert, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["explain", str(bert), TEXTS[0], TEXTS[1], "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "Reliability: " in out and "Side by side" in out and "Swaps: no axis applies" in out
    assert re.search(r"she\([+−]\d", out) and "she → he" in out
    assert "\x1b" not in out
    html = page.read_text("utf-8")
    assert (
        "default-src &#39;none&#39;" in html and "<script" not in html and "Reliability: " in html
    )
    assert main(["explain", str(bert), TEXTS[0], "--json", "--only", "attribution"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["swaps"] is None and len(row["weighed"]["words"]) == len(TEXTS[0].split())
    assert main(["explain", str(bert), TEXTS[0], "--method", "integrated"]) == 2
    assert "integrated_gradients" in capsys.readouterr().err


def test_many_texts_come_by_stdin_and_an_audit_file_brings_its_rule(bert, tmp_path):
    table = "id,text,label\n" + "\n".join(f'a{i},"{t}",positive' for i, t in enumerate(TEXTS))
    (tmp_path / "texts.csv").write_text(table, "utf-8")
    (tmp_path / "audit.toml").write_text(
        f"""
[model]
path = {json.dumps(str(bert))}
[decision]
favourable = ["positive"]
threshold = 0.6
[corpora.test]
path = "texts.csv"
label = "label"
id = "id"
""",
        "utf-8",
    )
    done = run(tmp_path / "audit.toml", "--json", "--only", "similar", input="\n".join(TEXTS))
    rows = json.loads(done.stdout)
    assert [row["threshold"] for row in rows] == [0.6, 0.6]
    assert [row["similar"][0]["example_id"] for row in rows] == ["a0", "a1"]
    assert run(bert, input="").returncode == 2


def test_hostile_texts_stay_text_on_the_page(scorer):
    text = "<script>alert(1)</script> she </p><img src=x onerror=alert(1)>"
    found = explaining_one.explain(scorer, RULE, [text])
    page = explaining.as_page(found, "<b>model</b>")
    assert "<script" not in page and "<img" not in page and "<b>model" not in page

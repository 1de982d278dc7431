"""Attacks in lockstep are TextAttack's attacks, and what they come to is counted honestly."""

import gc
import random
import socket
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from audit import attacks, foreign, model
from audit.attack_recipes import Kit, recipe, recipes
from audit.attacks import Target, attack
from audit.bench import Bench
from audit.borrowed_recipes import find, offline
from audit.decision import decide, make
from audit.errors import AuditError, Unsupported
from audit.lockstep import Failure
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.similarity import SentenceVectors
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Decision, Estimate, Example, Measurement
from audit.validity import sample_id
from probes.attack import Attack
from tests import realdata
from tests.tiny import tiny_bert

TEXTS = (
    "The nurse said that nobody in this clinic had time to explain the treatment",
    "A terrible dinner, a wonderful evening and a very long way home!",
    "Our teacher reads old books about ships, storms and lonely islands.",
    "it was",
    "!!! ??? ...",
    "I'd never trust @someone who sells watches at http://example.com for 5 dollars",
    "Good good good good",
    "Children played football near the river until the rain began to fall heavily",
    "She said that she would never come back to this terrible place",
    "Nobody in the village had ever seen such a large and friendly dog",
)
SHOWN = {
    "success": "SuccessfulAttackResult",
    "failed": "FailedAttackResult",
    "censored": "FailedAttackResult",
    "unchangeable": "FailedAttackResult",
    "skipped": "SkippedAttackResult",
}


@pytest.fixture(scope="module")
def ta():
    return foreign.textattack(wordnet=Resources().wordnet_source() is not None)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tiny_bert(tmp_path_factory.mktemp("tiny"), TEXTS, sharpness=3.0, seed=4)
    return load(folder)


def load(folder):
    from audit.config import ModelConfig

    spec = ModelConfig(path=str(folder), max_length=64, device="cpu", dtype="float32")
    return model.load(spec, model.identify(spec, Path()), Path())


PUBLISHED = {
    "deepwordbug": "DeepWordBugGao2018",
    "pwws": "PWWSRen2019",
    "pruthi": "Pruthi2019",
}


def needs_wordnet(name):
    if "wordnet" in recipe(name).needs and Resources().wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")


def dice(name, n):
    return [stream(11, name, str(i)) for i in range(n)]


@cache
def vectors():
    """One memory of sentence vectors for all searches of this file."""
    return SentenceVectors(Resources().encoder())


def one_by_one(ta, name, texts, truths, scorer, budget=None):
    """TextAttack's own recipe, as published, in a plain loop: a new Attack for each text."""
    build = PUBLISHED.get(name)

    class Wrapper(ta.models.wrappers.ModelWrapper):
        model = None

        def __call__(self, some):
            rows = scorer(list(some))
            return rows / rows.sum(axis=1, keepdims=True)

    def ours(name):
        """A recipe that has no published twin here: its parts, asked on the spot."""
        kit = Kit(ta=ta, ask=lambda some, of="": vectors()(some), resources=Resources())
        transformation, constraints, search = recipe(name).parts(kit)
        goal = ta.goal_functions.UntargetedClassification(Wrapper())
        return ta.Attack(goal, constraints, transformation, search)

    found = []
    for text, truth, rng in zip(texts, truths, dice(name, len(texts)), strict=True):
        with foreign.borrowed_randomness(rng), foreign.no_downloads():
            made = getattr(ta.attack_recipes, build).build(Wrapper()) if build else ours(name)
            made.goal_function.use_cache = False
            made.goal_function.batch_size = 2**31
            if budget is not None:
                made.goal_function.query_budget = budget
            result = made.attack(text, truth)
        end = result.perturbed_result.attacked_text.tokenizer_input
        found.append((type(result).__name__, end, result.num_queries))
    return found


def in_lockstep(name, texts, truths, scorer, budget=None, width=32):
    rule = make(scorer.labels, scorer.labels[:1])
    targets = [
        Target(text=text, truth=truth, rng=rng)
        for text, truth, rng in zip(texts, truths, dice(name, len(texts)), strict=True)
    ]
    found = dict(
        attack(
            targets,
            recipe(name),
            scorer,
            rule,
            max_queries=budget,
            width=width,
            sentences=vectors() if "encoder" in recipe(name).needs else None,
        )
    )
    return [found[i] for i in range(len(texts))]


def told(found):
    assert not [f for f in found if isinstance(f, Failure)]
    return [(SHOWN[f.outcome], f.text, f.queries) for f in found]


@pytest.mark.parametrize("name", ["deepwordbug", "pwws", "pruthi", "textfooler", "textbugger"])
@pytest.mark.parametrize("budget", [None, 25])
def test_lockstep_gives_textattacks_outcome_text_and_queries(ta, bert, name, budget):
    needs_wordnet(name)
    truths = decide(make(bert.labels, bert.labels[:1]), Scorer(bert)(TEXTS)).label.tolist()
    # One wrong label, so that one text is skipped, and searches that end while others go on.
    truths[2] = 1 - truths[2]
    assert len(TEXTS) == 10
    plain = one_by_one(ta, name, TEXTS, truths, Scorer(bert), budget)
    assert len({kind for kind, _, _ in plain}) >= 2
    for width in (1, 3, 32):
        assert told(in_lockstep(name, TEXTS, truths, Scorer(bert), budget, width)) == plain


def test_without_its_own_dice_a_search_would_go_another_way(ta, bert):
    truths = decide(make(bert.labels, bert.labels[:1]), Scorer(bert)(TEXTS)).label.tolist()
    first = in_lockstep("deepwordbug", TEXTS, truths, Scorer(bert))
    rule = make(bert.labels, bert.labels[:1])
    targets = [
        Target(text=x, truth=y, rng=stream(12, x)) for x, y in zip(TEXTS, truths, strict=True)
    ]
    other = dict(attack(targets, recipe("deepwordbug"), Scorer(bert), rule))
    assert [other[i].text for i in range(len(TEXTS))] != [f.text for f in first]


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["deepwordbug", "pwws", "textfooler", "pruthi"])
def test_a_hundred_real_texts_give_textattacks_outcome_text_and_queries(ta, name, tmp_path, capsys):
    """With the packaged encoder. Only a tie within float noise could tell the two apart."""
    from benchmarks.heads.make import assemble

    needs_wordnet(name)
    rows = realdata.rows("edos", "test.jsonl")[:50], realdata.rows("davidson", "test.jsonl")[:50]
    texts = [row["text"] for some in rows for row in some]
    classifier = load(assemble(tmp_path / "head"))
    truths = decide(make(classifier.labels, classifier.labels[:1]), Scorer(classifier)(texts)).label
    truths = [row["label"] for row in rows[0]] + truths[50:].tolist()
    plain = one_by_one(ta, name, texts, truths, Scorer(classifier))
    ours = told(in_lockstep(name, texts, truths, Scorer(classifier)))
    same = sum(a == b for a, b in zip(plain, ours, strict=True))
    kinds = dict(Counter(kind for kind, _, _ in ours))
    queries = sum(n for _, _, n in ours)
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {same} of {len(texts)} equal, {queries} queries, {kinds}\n")
    assert ours == plain


def on(classifier, sentences, labels=None, *, rule=None, clusters=None, groups=None, **settings):
    examples = tuple(
        Example(
            id=f"e{i}",
            text=text,
            label=None if labels is None else labels[i],
            cluster=None if clusters is None else clusters[i],
            groups={} if groups is None or groups[i] is None else {"sex": groups[i]},
        )
        for i, text in enumerate(sentences)
    )
    scorer = Scorer(classifier)
    bench = Bench(
        probe="attack",
        corpus=Corpus(name="test", labels=scorer.labels, examples=examples),
        scorer=scorer,
        decision=rule or make(scorer.labels, scorer.labels[-1:], head=scorer.head),
        resources=Resources(),
    )
    probe = Attack(**{"min_n": 1, **settings})
    return probe, bench


def measured(probe, bench):
    facts = list(probe.run(bench))
    rates = {f.metric: f for f in facts if isinstance(f, Measurement)}
    return rates, next(f for f in facts if isinstance(f, Cases))


SENTENCES = [f"the {a} was really {b} today" for a in ("film", "meal", "trip") for b in
             ("excellent", "splendid", "marvellous", "terrific")]  # fmt: skip


def test_a_model_that_hangs_on_one_word_is_broken_through_that_word():
    probe, bench = on(Lexicon(really=3.0, the=-1.0), SENTENCES, ["positive"] * 12)
    rates, cases = measured(probe, bench)
    assert rates["attack_success_rate"].value.value == 1.0
    assert rates["attack_success_rate"].value.low > 0.7
    assert rates["robust_accuracy"].value.value == 0.0
    assert rates["clean_accuracy"].value.value == 1.0
    assert all("really" not in a.split() for a in cases.after) and all(cases.flipped)
    assert "success after" in cases.note[0] and len(cases) == 12


def test_a_constant_model_is_never_reported_broken():
    probe, bench = on(Lexicon(nothing=1.0), SENTENCES, ["negative"] * 12)
    rates, cases = measured(probe, bench)
    assert rates["attack_success_rate"].value.value == 0.0
    assert rates["robust_accuracy"].value.value == 1.0
    assert not any(cases.flipped)


def test_a_search_that_the_budget_ends_is_never_counted_as_robust():
    probe, bench = on(Lexicon(nothing=1.0), SENTENCES, ["negative"] * 12, max_queries=5)
    rates, _ = measured(probe, bench)
    success = rates["attack_success_rate"]
    assert isinstance(success.value, Absent)
    assert [(s.reason, s.count) for s in success.left_out] == [
        ("search ended by the query budget", 12)
    ]
    assert rates["robust_accuracy"].value.value == 0.0
    assert rates["broken_within_budget"].value.value == 0.0
    assert rates["broken_within_budget"].value.n == 12
    assert "5 model calls" in success.budget


def test_the_budget_holds_for_every_search():
    probe, bench = on(Lexicon(nothing=1.0), SENTENCES, max_queries=7)
    measured(probe, bench)
    assert bench.scorer.queries <= probe.plan(bench).queries == 12 * 9


def test_texts_decided_wrongly_and_texts_without_a_word_to_change_are_left_out():
    texts = [*SENTENCES[:4], "?! ...", "it was"]
    labels = ["negative", "positive", "negative", "negative", "negative", "negative"]
    probe, bench = on(Lexicon(nothing=1.0), texts, labels)
    rates, _ = measured(probe, bench)
    left = {s.reason: s.count for s in rates["attack_success_rate"].left_out}
    assert left == {
        "decided wrongly before any change": 1,
        "nothing in it that the recipe can change": 2,
    }
    assert rates["attack_success_rate"].value.n == 3
    assert rates["clean_accuracy"].value.n == 4
    assert rates["clean_accuracy"].value.value == rates["robust_accuracy"].value.value == 0.75


def test_without_labels_the_models_own_decision_is_attacked():
    probe, bench = on(Lexicon(really=3.0), SENTENCES)
    assert not any("accuracy" in claim for claim in probe.plan(bench).claims)
    rates, _ = measured(probe, bench)
    assert set(rates) == {
        "attack_success_rate",
        "broken_within_budget",
        "broken_by",
        "broken_by_edits",
    }
    assert rates["broken_within_budget"].value.n == 12


def test_a_sample_of_texts_does_not_hang_on_the_others():
    probe, bench = on(Lexicon(really=3.0), SENTENCES, texts=5)
    drawn = {bench.corpus.examples[i].id for i in probe._drawn(bench)}
    fewer = replace(bench.corpus, examples=bench.corpus.examples[3:])
    again = {fewer.examples[i].id for i in probe._drawn(replace(bench, corpus=fewer))}
    assert len(drawn) == len(again) == 5
    assert drawn & {e.id for e in fewer.examples} <= again
    rates, cases = measured(probe, bench)
    assert rates["broken_within_budget"].eligible == 12
    assert ("not among the texts drawn", 7) in [
        (s.reason, s.count) for s in rates["broken_within_budget"].left_out
    ]
    assert set(cases.example_id) <= drawn


def test_texts_of_one_author_do_not_count_as_independent():
    alone = on(Lexicon(really=3.0, film=-9.0), SENTENCES, texts=None)
    grouped = on(Lexicon(really=3.0, film=-9.0), SENTENCES, clusters=["a", "b", "c", "d"] * 3)
    one, other = (measured(*x)[0]["broken_within_budget"].value for x in (alone, grouped))
    assert isinstance(one, Estimate) and isinstance(other, Estimate)
    assert one.n == 12 and other.n == 4


class Several:
    """Labels that apply or not, each by one word."""

    labels = ("rude", "political")
    head = "multi"
    fingerprint = "several"

    def probabilities(self, texts):
        return np.array(
            [[0.9 if "idiot" in t else 0.2, 0.8 if "senate" in t else 0.1] for t in texts]
        )


def test_under_several_labels_success_is_any_changed_label():
    texts = ["the idiot of the senate spoke", "what an idiot", "nothing to see around here"]
    probe, bench = on(Several(), texts)
    rates, cases = measured(probe, bench)
    assert rates["broken_within_budget"].value.value == pytest.approx(2 / 3)
    changed = {i: after for i, after, flip in zip(
        cases.example_id, cases.after, cases.flipped, strict=True) if flip}  # fmt: skip
    assert set(changed) == {"e0", "e1"}
    for i, after in changed.items():
        before = bench.corpus.examples[int(i[1:])].text
        labels = bench.decide(Several().probabilities([before, after])).label
        assert labels[0] != labels[1]


def test_under_a_threshold_success_is_a_changed_decision_not_a_changed_top_label():
    # 'really' brings 0.95; without it 0.73 stays the top label but falls under the threshold.
    classifier = Lexicon(really=2.0, the=1.0)
    rule = make(classifier.labels, ("positive",), threshold=0.9)
    rates, cases = measured(*on(classifier, SENTENCES, ["positive"] * 12, rule=rule))
    assert rates["attack_success_rate"].value.value == 1.0
    assert min(cases.score_after) > 0.5 and max(cases.score_after) < 0.9


def test_the_two_texts_of_a_pair_are_both_searched():
    class Pairs:
        labels = ("no", "yes")
        fingerprint = "pairs"

        def probabilities(self, inputs):
            p = np.array([0.9 if "yesterday" in second else 0.1 for _, second in inputs])
            return np.stack([1 - p, p], axis=1)

    pair = ("a dog sleeps outside", "it happened yesterday")
    targets = [Target(text=pair, truth=1, rng=stream(0, "x"))]
    rule = make(Pairs.labels, ("yes",))
    found = dict(attack(targets, recipe("deepwordbug"), Scorer(Pairs()), rule))
    assert found[0].outcome == "success"
    assert isinstance(found[0].text, tuple) and found[0].text[0] == pair[0]


def test_a_search_that_crashes_is_left_out_by_name(monkeypatch):
    def broken(kit):
        raise ValueError("no such word")

    spoilt = replace(recipe("deepwordbug"), parts=broken)
    monkeypatch.setitem(recipes(), "deepwordbug", spoilt)
    rates, _ = measured(*on(Lexicon(really=3.0), SENTENCES))
    assert isinstance(rates["attack_success_rate"].value, Absent)
    left = rates["broken_within_budget"].left_out
    assert [(s.reason, s.count) for s in left] == [("search failed (ValueError: no such word)", 12)]


def test_a_recipe_without_its_resource_is_not_run_and_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("audit.resources._wordnet_places", list)
    probe, bench = on(Lexicon(), SENTENCES, recipe="pwws")
    for ask in (lambda: probe.plan(bench), lambda: list(probe.run(bench))):
        with pytest.raises(Unsupported, match="needs WordNet") as said:
            ask()
        assert "wordnet" in said.value.hint


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(AuditError, match="no attack recipe") as said:
        Attack(recipe="deepwordbugs")
    assert "deepwordbug" in said.value.hint
    for wrong in (
        {"texts": 0},
        {"max_queries": 1},
        {"width": 0},
        {"recipes": ("pruthi", "pruthi")},
        {"recipe": "pwws", "recipes": ("pruthi",)},
        {"budgets": (50, 900)},
        {"edit_shares": (0.0,)},
        {"min_n": 0},
    ):
        with pytest.raises(ValueError):
            Attack(**wrong)


def test_the_goal_near_a_row_that_misses_one_is_not_softmaxed(ta):
    """A row off by 1e-5 would have TextAttack squash the whole request into near-equal scores."""
    goal = attacks.changed_decision(ta)(
        lambda texts, of="": np.array([[0.1, 0.9 - 1e-5]] * len(texts)),
        Decision(labels=("a", "b"), favourable=("b",)),
        None,
    )
    result, _ = goal.init_attack_example(ta.shared.AttackedText("some words"), 1)
    assert result.score == pytest.approx(0.1, abs=1e-4)


def test_an_attack_moves_no_global_dice():
    random.seed(4), np.random.seed(4)
    before = random.getstate(), np.random.get_state()[1].tolist()
    measured(*on(Lexicon(really=3.0), SENTENCES))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def by_id(probe, bench):
    found = {f.id: f for f in probe.run(bench) if isinstance(f, Measurement)}
    assert sorted(found) == sorted(probe.plan(bench).claims)
    return found


LONG = " ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(400)) + " really"


def test_a_long_text_is_censored_within_its_budget_and_the_curve_counts_it_right():
    """TextAttack's own loop would ask about each of its 401 words before the first change."""
    texts = [*SENTENCES[:4], LONG]
    probe, bench = on(
        Lexicon(really=3.0), texts, ["positive"] * 5, max_queries=40, budgets=(20, 40)
    )
    found = by_id(probe, bench)
    assert bench.scorer.queries <= probe.plan(bench).queries
    rate = found["attack.attack_success_rate[recipe=deepwordbug]"]
    assert (rate.value.value, rate.value.n) == (1.0, 4)
    assert [s.count for s in rate.left_out if "query budget" in s.reason] == [1]
    whole = found["attack.broken_by[budget=40,recipe=deepwordbug]"]
    assert (whole.value.value, whole.value.n) == (0.8, 5)
    # With no word altered by then it was never under risk of being broken by altered words.
    edits = found["attack.broken_by_edits[edits=0.4,recipe=deepwordbug]"]
    assert (edits.value.value, edits.value.n) == (1.0, 4)


def test_the_curve_rises_and_ends_where_the_budget_does():
    probe, bench = on(
        Lexicon(really=3.0, film=-9.0), SENTENCES, max_queries=60, budgets=(3, 12, 60)
    )
    found = by_id(probe, bench)
    curve = [
        found[f"attack.broken_by[budget={b},recipe=deepwordbug]"].value.value for b in (3, 12, 60)
    ]
    assert curve[0] == 0.0 and curve == sorted(curve)
    assert curve[-1] == found["attack.broken_within_budget[recipe=deepwordbug]"].value.value > 0.5


def test_too_few_right_decisions_give_no_success_rate_beside_the_clean_accuracy():
    labels = ["positive"] * 4 + ["negative"] * 8
    probe, bench = on(Lexicon(really=3.0), SENTENCES, labels, min_n=5)
    rates, _ = measured(probe, bench)
    assert rates["attack_success_rate"].value.code == "too_few"
    assert "4 texts were decided rightly" in rates["attack_success_rate"].value.reason
    assert rates["clean_accuracy"].value.value == pytest.approx(1 / 3)
    enough = on(Lexicon(really=3.0), SENTENCES, labels, min_n=4)
    assert isinstance(measured(*enough)[0]["attack_success_rate"].value, Estimate)


def test_the_worst_case_is_the_union_text_by_text_not_a_mean():
    # Typing slips break what hangs on 'really'; contractions what hangs on "isn't".
    texts = [*SENTENCES[:4], "this isn't it", "that isn't it", "nothing to see", "it was good here"]
    classifier = Lexicon(**{"really": 3.0, "isn't": 3.0, "good": 3.0})
    single = {}
    for name in ("pruthi", "checklist"):
        found = by_id(*on(classifier, texts, recipe=name, texts=None))
        single[name] = found[f"attack.broken_within_budget[recipe={name}]"].value
    probe, bench = on(classifier, texts, recipes=("pruthi", "checklist"), texts=None)
    found = by_id(probe, bench)
    worst = found["attack.worst_case_broken[recipe=pruthi+checklist]"]
    for name, value in single.items():
        again = found[f"attack.broken_within_budget[recipe={name}]"].value
        assert (again.value, again.n) == (value.value, value.n)
    hits = {}
    for some in (f for f in probe.run(bench) if isinstance(f, Cases)):
        for i, flip in zip(some.example_id, some.flipped, strict=True):
            hits[i] = hits.get(i, False) or flip
    assert round(worst.value.value * worst.value.n) == sum(hits.values())
    assert worst.value.value * worst.value.n > max(v.value * v.n for v in single.values())


def test_without_wordnet_one_recipe_says_so_and_the_others_run(monkeypatch):
    monkeypatch.setattr("audit.resources._wordnet_places", list)
    probe, bench = on(Lexicon(really=3.0), SENTENCES, recipes=("deepwordbug", "pwws"))
    found = by_id(probe, bench)
    assert found["attack.attack_success_rate[recipe=deepwordbug]"].value.value == 1.0
    missing = found["attack.attack_success_rate[recipe=pwws]"]
    assert missing.value.code == "not_run" and "WordNet" in missing.value.reason
    assert "apt-get" in missing.value.reason and missing.used == 0
    assert found["attack.worst_case_broken[recipe=deepwordbug+pwws]"].value.code == "not_run"


@pytest.mark.parametrize("clusters", [None, [f"c{i % 10}" for i in range(24)]])
def test_a_group_whose_texts_break_more_easily_stands_out_from_the_rest(clusters):
    groups = (["female"] * 4 + ["male"] * 4 + [None] * 4) * 2
    texts = [text if i < 12 else f"{text} again" for i, text in enumerate(SENTENCES * 2)]
    # What hangs on the one word 'film' breaks; the others hold.
    probe, bench = on(Lexicon(film=3.0), texts, groups=groups, clusters=clusters, min_n=8)
    found = by_id(probe, bench)
    where = "recipe=deepwordbug,sex=female"
    share = found[f"attack.broken_within_budget[{where}]"]
    gap = found[f"attack.broken_gap[against=rest,{where}]"]
    assert share.value.value == 1.0 and share.used == 8
    assert gap.value.low > 0 and gap.value.value > 0.4 and gap.used == 16
    assert ("group unknown", 8) in [(s.reason, s.count) for s in gap.left_out]
    assert gap.family == "attack.broken_gap" and "difference" in gap.unit
    fewer = on(Lexicon(film=3.0), texts, groups=groups, min_n=9)
    assert by_id(*fewer)[f"attack.broken_gap[against=rest,{where}]"].value.code == "too_few"


class Three:
    """Three labels, each by one word; the first where there is none."""

    labels = ("calm", "angry", "sad")
    fingerprint = "three"

    def probabilities(self, texts):
        rows = [[1.0, 3.0 * ("furious" in t), 3.0 * ("weeping" in t)] for t in texts]
        return np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)


def test_a_targeted_search_is_content_with_its_label_alone():
    texts = ["a furious crowd came weeping home", "they were weeping", "nothing at all happened"]
    rule = make(Three.labels, ("calm",))
    # Tied labels go to the first: the first text is angry, and sad once 'furious' is gone.
    found = {}
    for target in Three.labels[:1] + Three.labels[2:]:
        probe, bench = on(Three(), texts, rule=rule, target=target, recipe="pruthi")
        found[target] = by_id(probe, bench)[
            f"attack.broken_within_budget[recipe=pruthi,target={target}]"
        ]
    assert found["sad"].value.value == 0.5 and found["sad"].value.n == 2
    assert ("decided for the target already", 1) in [
        (s.reason, s.count) for s in found["sad"].left_out
    ]
    # One slip cannot take both words away: the first text turns sad, never calm.
    assert found["calm"].value.value == 0.5 and found["calm"].value.n == 2
    any_change = by_id(*on(Three(), texts, rule=rule, recipe="pruthi"))
    assert any_change["attack.broken_within_budget[recipe=pruthi]"].value.value == pytest.approx(
        2 / 3
    )
    with pytest.raises(AuditError, match="not a label") as said:
        probe, bench = on(Three(), texts, rule=rule, target="angri")
        probe.plan(bench)
    assert "angry" in said.value.hint


def test_under_several_labels_a_target_is_a_label_that_applies():
    class Senate(Several):
        def probabilities(self, texts):
            return 1 - super().probabilities(texts)

    texts = ["the idiot of the senate spoke", "nothing to see around here"]
    probe, bench = on(Senate(), texts, target="political")
    found = by_id(probe, bench)["attack.broken_within_budget[recipe=deepwordbug,target=political]"]
    assert (found.value.value, found.value.n) == (1.0, 1)


def test_a_recipe_of_textattack_by_name_does_what_its_twin_here_does(ta, bert):
    truths = decide(make(bert.labels, bert.labels[:1]), Scorer(bert)(TEXTS)).label.tolist()
    rule = make(bert.labels, bert.labels[:1])

    def told_by(name):
        dice_of = dice("twin", len(TEXTS))
        targets = [
            Target(text=x, truth=y, rng=r) for x, y, r in zip(TEXTS, truths, dice_of, strict=True)
        ]
        some = dict(attack(targets, find(name), Scorer(bert), rule, max_queries=40))
        return told([some[i] for i in range(len(TEXTS))])

    assert told_by("textattack:DeepWordBugGao2018") == told_by("deepwordbug")
    path = "textattack:textattack.attack_recipes.pruthi_2019:Pruthi2019"
    assert told_by(path) == told_by("pruthi")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("BAEGarg2019", "does not run here"),
        ("TextFoolerJin2019", "does not run here"),
        ("InputReductionFeng2018", "another goal"),
    ],
)
def test_a_recipe_of_textattack_without_its_resources_is_not_run_and_the_rest_is(name, why):
    probe, bench = on(Lexicon(really=3.0), SENTENCES[:2], recipe=f"textattack:{name}")
    with pytest.raises(Unsupported, match=why) as said:
        list(probe.run(bench))
    assert said.value.hint
    probe, bench = on(Lexicon(really=3.0), SENTENCES[:2], recipes=(f"textattack:{name}", "pruthi"))
    found = by_id(probe, bench)
    assert found["attack.attack_success_rate[recipe=pruthi]"].value.value == 1.0
    assert found[f"attack.attack_success_rate[recipe=textattack:{name}]"].value.code == "not_run"


_heard: list[str] = []
"""Events of sockets that Python reports; an audit hook cannot be taken out again."""


@cache
def _listening():
    sys.addaudithook(lambda event, _: _heard.append(event) if event[:7] == "socket." else None)


@pytest.mark.parametrize(
    ("name", "wants"),
    [
        ("TextFoolerJin2019", "word_embeddings/paragramcf"),
        ("PSOZang2020", "transformations/hownet/word_candidates_sense.pkl"),
        ("BAEGarg2019", None),
    ],
)
@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_missing_recipe_asks_no_network_and_leaves_nothing_behind(
    ta, tmp_path, monkeypatch, name, wants
):
    install, place = ta.shared.utils.install, tmp_path / "cache"
    monkeypatch.setattr(install, "TEXTATTACK_CACHE_DIR", str(place))
    functions = install.download_from_s3, ta.shared.utils.download_from_url, socket.getaddrinfo
    _listening()
    gc.collect()
    _heard.clear()
    with pytest.raises(Unsupported, match=wants or "does not run here") as said:
        find(f"textattack:{name}").ready(ta)
    if wants:
        assert f"download_from_s3('{wants}')" in said.value.hint
    del said
    gc.collect()
    assert not _heard
    assert not place.exists()
    assert functions == (
        install.download_from_s3,
        ta.shared.utils.download_from_url,
        socket.getaddrinfo,
    )


def test_what_textattacks_cache_holds_is_used_without_a_lock(ta, tmp_path, monkeypatch):
    monkeypatch.setattr(ta.shared.utils.install, "TEXTATTACK_CACHE_DIR", str(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    with offline(ta):
        assert ta.shared.utils.download_from_s3("a/b") == str(tmp_path / "a" / "b")
        assert ta.shared.utils.download_from_url("http://x.example/b", "a/b").endswith("b")
        with pytest.raises(Unsupported, match="wants a/c") as said:
            ta.shared.utils.install.download_from_url("http://x.example/c", "a/c")
    assert "download_from_url('http://x.example/c', 'a/c')" in said.value.hint
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b"]


def test_a_recipe_that_textattack_does_not_have_is_refused():
    with pytest.raises(AuditError, match="names no recipe"):
        Attack(recipe="textattack:no such thing")
    probe, bench = on(Lexicon(really=3.0), SENTENCES[:2], recipe="textattack:BAEGarg2091")
    with pytest.raises(AuditError, match="no recipe") as said:
        list(probe.run(bench))
    assert "BAEGarg2019" in said.value.hint


def test_a_success_that_turns_a_word_into_its_opposite_is_no_valid_one(monkeypatch):
    needs_wordnet("pwws")
    probe, bench = on(Lexicon(really=3.0), SENTENCES[:4], filters=("opposites", "likeness"))
    found = by_id(probe, bench)
    where = "[filters=likeness+opposites,recipe=deepwordbug]"
    assert found[f"attack.valid_success_rate{where}"].value.value > 0
    monkeypatch.setattr("audit.validity.opposites", lambda w: {"really"} if w != "the" else set())
    again = by_id(probe, bench)
    assert again[f"attack.valid_success_rate{where}"].value.value == 0.0
    assert again["attack.attack_success_rate[recipe=deepwordbug]"].value.value == 1.0
    strict = by_id(*on(Lexicon(really=3.0), SENTENCES[:4], filters=("likeness",), likeness=1.0))
    one = strict["attack.valid_success_rate[filters=likeness,recipe=deepwordbug]"]
    assert one.value.value == 0.0 and one.value.n == 4


def test_without_wordnet_the_filter_says_so_and_the_rest_is_measured(monkeypatch):
    monkeypatch.setattr("audit.resources._wordnet_places", list)
    found = by_id(*on(Lexicon(really=3.0), SENTENCES[:4], filters=("opposites",)))
    missing = found["attack.valid_success_rate[filters=opposites,recipe=deepwordbug]"]
    assert missing.value.code == "not_run" and "WordNet" in missing.value.reason
    assert found["attack.attack_success_rate[recipe=deepwordbug]"].value.value == 1.0


def test_ratings_of_a_human_flow_back_into_the_rate():
    probe, bench = on(Lexicon(really=3.0), SENTENCES)
    cases = measured(probe, bench)[1]
    rows = zip(cases.example_id, cases.before, cases.after, strict=True)
    names = [sample_id(cases.metric, *row) for row in rows]
    rated = Corpus(
        name="rated",
        labels=bench.corpus.labels,
        examples=tuple(
            Example(id=name, text="x", groups={"valid": "yes" if i < 2 else "no"} if i < 8 else {})
            for i, name in enumerate([*names, "s-of-another-model"])
        ),
    )
    probe = replace(probe, ratings="rated")
    bench = replace(bench, corpora={"rated": rated})
    one = by_id(probe, bench)["attack.rated_success_rate[recipe=deepwordbug]"]
    assert one.value.value == pytest.approx(0.25) and "8 ratings of 12" in one.unit
    assert one.value.low < 0.25 < one.value.high < 0.75
    with pytest.raises(AuditError, match="no table"):
        replace(probe, ratings="rating").plan(bench)

"""Rates and decisions at their edges, each by a count of its own."""

import numpy as np
import pytest

from audit import decision, metrics, proportions, stats
from audit.types import Absent, Example


def outcome_of(hits):
    return metrics.Outcome(selected=hits, truth=hits, known=hits, correct=hits)


def test_as_many_texts_as_asked_for_have_a_rate():
    hits = np.arange(12) % 3 == 0
    everyone = np.ones(12, bool)
    plain = metrics.rate_of(
        outcome_of(hits), "selection_rate", everyone, None, min_n=12, level=0.95
    )
    assert plain == stats.share(4, 12)
    clusters = np.array([f"c{i // 2}" for i in range(12)])
    crowded = metrics.rate_of(
        outcome_of(hits), "selection_rate", everyone, clusters, min_n=12, level=0.95
    )
    assert crowded == stats.mean(hits.astype(float), list(clusters), low=0.0, high=1.0)
    few = metrics.rate_of(outcome_of(hits), "selection_rate", everyone, None, min_n=13, level=0.95)
    assert isinstance(few, Absent) and "12" in few.reason


def test_below_a_threshold_the_likeliest_label_of_the_others_is_decided():
    rule = decision.make(("a", "b", "c"), ("b",), threshold=0.7)
    decided = decision.decide(rule, np.array([[0.1, 0.6, 0.3], [0.1, 0.7, 0.2], [0.35, 0.6, 0.05]]))
    assert decided.label.tolist() == [2, 1, 0]
    assert decided.favourable.tolist() == [False, True, False]
    both = decision.make(("a", "b", "c"), ("b", "c"), threshold=0.7)
    decided = decision.decide(both, np.array([[0.31, 0.3, 0.39], [0.2, 0.3, 0.5]]))
    assert decided.label.tolist() == [0, 2]


def examples(*clusters):
    return [Example(id=str(i), text="x", cluster=c) for i, c in enumerate(clusters)]


def test_texts_alone_in_their_cluster_are_not_clustered():
    assert metrics.clusters_of(examples(None, None)) is None
    assert metrics.clusters_of(examples("a", "b", None)) is None
    assert metrics.clusters_of(examples("a", "a", None)).tolist() == ["ca", "ca", "t2"]


def labelled():
    """Eight texts, two of them without a label."""
    selected = np.array([1, 1, 0, 0, 1, 0, 1, 0], bool)
    truth = np.array([1, 0, 1, 0, 1, 0, 1, 1], bool)
    known = np.arange(8) < 6
    return selected, truth, known, selected == truth


@pytest.mark.parametrize("positive", ["favourable", "unfavourable"])
def test_rates_are_counted_over_their_own_condition(positive):
    selected, truth, known, correct = labelled()
    outcome = metrics.Outcome(selected, truth, known, correct, positive)
    said, real = (selected, truth) if positive == "favourable" else (~selected, ~truth)
    counts = {
        "selection_rate": (selected, np.ones(8, bool)),
        "true_positive_rate": (said, known & real),
        "false_positive_rate": (said, known & ~real),
        "positive_predictive_value": (real, known & said),
        "accuracy": (correct, known),
    }
    mine = np.array([1, 1, 1, 1, 1, 0, 1, 1], bool)
    for rate, (hits, over) in counts.items():
        cells = [(int((hits & over & m).sum()), int((over & m).sum())) for m in (mine, ~mine)]
        assert metrics.cells_of(outcome, rate, [mine, ~mine]) == cells, rate
        e = metrics.rate_of(outcome, rate, mine, None, min_n=1, level=0.9)
        assert e == stats.share(*cells[0], level=0.9), rate


def test_what_a_rate_leaves_out_is_counted_by_reason():
    selected, truth, known, correct = labelled()
    outcome = metrics.Outcome(selected, truth, known, correct)
    everyone = np.ones(8, bool)
    said = {
        rate: [(skip.reason, skip.count) for skip in metrics.left_out(outcome, rate, everyone)]
        for rate in metrics.RATES
    }
    assert said == {
        "selection_rate": [],
        "true_positive_rate": [("no true label", 2), ("the true label is unfavourable", 3)],
        "false_positive_rate": [("no true label", 2), ("the true label is favourable", 3)],
        "positive_predictive_value": [("no true label", 2), ("the decision is unfavourable", 3)],
        "accuracy": [("no true label", 2)],
    }
    assert metrics.left_out(outcome, "accuracy", known) == ()


def test_a_rate_without_a_text_says_what_no_text_is():
    nobody = np.zeros(3, bool)
    outcome = metrics.Outcome(nobody, nobody, nobody, nobody)
    said = {
        rate: metrics.rate_of(outcome, rate, nobody, None, min_n=1, level=0.95)
        for rate in metrics.RATES
    }
    assert {rate: (a.code, a.reason) for rate, a in said.items()} == {
        "selection_rate": ("empty", "no text is there"),
        "true_positive_rate": ("no_positives", "no text has a favourable true label"),
        "false_positive_rate": ("no_negatives", "no text has an unfavourable true label"),
        "positive_predictive_value": (
            "no_decisions",
            "no text with a true label is decided favourable",
        ),
        "accuracy": ("no_labels", "no text has a true label"),
    }
    assert metrics.rates_by_group(outcome, np.array(["a"] * 3), "accuracy") == {}


def test_tests_over_slices_are_those_of_their_counts():
    rng = np.random.default_rng(0)
    selected, truth = rng.random(90) < 0.4, rng.random(90) < 0.5
    outcome = metrics.Outcome(selected, truth, np.ones(90, bool), selected == truth)
    masks = [np.arange(90) % 3 == i for i in range(3)]
    cells = metrics.cells_of(outcome, "selection_rate", masks)
    for clusters in (None, np.array([f"c{i // 2}" for i in range(90)])):
        spread = metrics.spread_of(outcome, "selection_rate", masks, clusters, level=0.9)
        ranked = metrics.ranking_of(outcome, "selection_rate", masks, clusters, level=0.9)
        if clusters is None:
            assert spread == proportions.spread(cells, level=0.9)
            assert ranked == proportions.ranking(cells, level=0.9)
        else:
            assert spread.code == "clustered" and [r.code for r in ranked] == ["clustered"] * 3
    e = metrics.omnibus_of(
        outcome, "selection_rate", masks, None, rng=np.random.default_rng(0), level=0.9
    )
    assert e.value == pytest.approx(proportions.omnibus(cells).p) and e.n == 90
    odds = metrics.odds_of(outcome, masks[0], masks[1], clusters, apart=True, min_n=1, level=0.95)
    assert odds.code == "clustered"


def test_a_single_label_is_right_where_it_is_the_same():
    rule = decision.make(("a", "b", "c"), ("b",))
    decided = decision.decide(rule, np.eye(3))
    truths = [Example(id=str(i), text="x", label=t) for i, t in enumerate("acc")]
    assert decision.correct(rule, decided, tuple(truths)).tolist() == [True, False, True]
    assert [decision.truly_favourable(rule, e) for e in truths] == [False] * 3
    assert decision.truly_favourable(rule, Example(id="x", text="x", label="b")) is True
    assert decision.truly_favourable(rule, Example(id="x", text="x", label=("a", "b"))) is True
    assert decision.truly_favourable(rule, Example(id="x", text="x")) is None
    some = decision.decided_at(decided, np.array([2, 0]))
    assert some.label.tolist() == [2, 0] and some.score.tolist() == [0.0, 0.0]
    assert decision.decided_at(decided, np.array([1])).favourable.tolist() == [True]


def test_texts_of_no_slice_move_no_test_over_the_slices():
    hits, known = np.array([1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1], bool), np.ones(12, bool)
    whole, part = (metrics.Outcome(hits[:n], hits[:n], known[:n], hits[:n]) for n in (12, 8))
    names = np.repeat(list("abcdef"), 2)

    def found(outcome, n):
        masks = [np.arange(n) < 4, (np.arange(n) >= 4) & (np.arange(n) < 8)]
        rng = np.random.default_rng(0)
        return metrics.omnibus_of(outcome, "accuracy", masks, names[:n], rng=rng, level=0.95)

    assert found(whole, 12) == found(part, 8)

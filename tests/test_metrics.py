"""Rates and decisions at their edges, each by a count of its own."""

import numpy as np

from audit import decision, metrics, stats
from audit.types import Absent


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

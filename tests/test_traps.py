"""What libraries get wrong on the edge of the data, shown; and ours on the same inputs."""

import math

import numpy as np
import pytest
from known import expected
from library_traps import GROUP, SAID, TRAPS, TRUE, observed

from audit import (
    calibrating,
    faithfulness,
    gates,
    metrics,
    multiplicity,
    paired,
    proportions,
    ranking,
    stats,
    tables,
)
from audit.bench import Bench
from audit.borders import write_json
from audit.decision import decide, make
from audit.errors import ModelError
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import (
    Absent,
    Claim,
    Corpus,
    Counts,
    Estimate,
    Example,
    Measurement,
    ProbeRun,
    Skip,
)
from probes.group_rates import GroupRates


def refused(found, *codes):
    assert isinstance(found, Absent), found
    assert found.code in codes, found
    assert found.reason


def rates(rows, **settings):
    """Group rates over rows of (group or None, decision, truth)."""
    examples = tuple(
        Example(
            id=str(i),
            text=f"{'good' if said else 'bad'} {i}",
            label=Lexicon.labels[true],
            groups={} if group is None else {"sex": group},
        )
        for i, (group, said, true) in enumerate(rows)
    )
    bench = Bench(
        probe="group_rates",
        corpus=Corpus(name="test", labels=Lexicon.labels, examples=examples),
        resources=Resources(),
        scorer=Scorer(Lexicon(good=2.0, bad=-2.0)),
        decision=make(Lexicon.labels, ("positive",)),
    )
    facts = GroupRates(min_n=1, **settings).run(bench)
    return {f.id.removeprefix("group_rates."): f for f in facts if isinstance(f, Measurement)}


def no_positives_have_no_rate():
    found = rates(zip(GROUP, SAID, TRUE, strict=True))
    refused(found["true_positive_rate[sex=B]"].value, "no_positives")
    refused(found["true_positive_rate_gap[against=rest,sex=B]"].value, "no_positives")
    assert isinstance(found["false_positive_rate[sex=B]"].value, Estimate)


def an_unknown_group_is_counted():
    found = rates([("A", 1, 1), ("A", 0, 0), ("B", 1, 1), ("B", 0, 0), (None, 1, 1)])
    gap = found["selection_rate_gap[against=rest,sex=A]"]
    assert Skip(reason="group unknown", count=1) in gap.left_out
    assert isinstance(gap.value, Estimate)


def nothing_decided_favourably_has_no_precision():
    outcome = metrics.Outcome(*(np.array(x, bool) for x in ([0, 0], [1, 0], [1, 1], [0, 1])))
    every = np.ones(2, bool)
    found = metrics.rate_of(outcome, "positive_predictive_value", every, None, min_n=1, level=0.95)
    refused(found, "no_decisions")


def a_certain_error_costs_what_is_said():
    found = calibrating.log_loss([1.0, 1.0], [0, 1])
    single = calibrating.log_loss(np.array([1, 1], np.float32), [0, 1])
    assert found.value == single.value == pytest.approx(-math.log(1e-15) / 2, rel=1e-4)


def one_missing_p_poisons_no_other():
    with pytest.raises(ValueError, match="leave absent ones out"):
        multiplicity.benjamini_hochberg([0.01, float("nan")])
    with pytest.raises(ValueError, match="leave absent ones out"):
        multiplicity.holm([0.01, float("nan")])
    sure = stats.share(90, 100)
    absent = Absent(code="empty", reason="no text")
    values = {"p.a": sure, "p.b": absent, "p.c": sure}
    run = ProbeRun(
        probe="p",
        version="1",
        params={},
        measurements=tuple(
            Measurement(
                id=name, metric=name[2:], where={}, value=value, unit="", eligible=100, family=""
            )
            if isinstance(value, Estimate)
            else Measurement(
                id=name, metric=name[2:], where={}, value=value, unit="", eligible=0, family=""
            )
            for name, value in values.items()
        ),
    )
    claims = [
        Claim(id=f"{name} <= 0.5", measurement=name, side="at_most", limit=0.5, gate=i)
        for i, name in enumerate(values)
    ]
    said = gates.judge(claims, [run])
    assert [v.status for v in said] == ["fail", "not_estimable", "fail"]
    assert {v.m for v in said} == {3}


class Broken(Lexicon):
    def __init__(self, *row):
        super().__init__()
        self.row = row

    def probabilities(self, texts):
        return np.tile(np.array(self.row, float), (len(texts), 1))


def no_score_that_is_no_number_gets_through():
    for row in ((float("nan"), 0.5), (float("nan"), float("nan")), (float("inf"), 0.0)):
        with pytest.raises(ModelError, match="not a finite number"):
            Scorer(Broken(*row))(["a text"])


def a_tie_goes_to_the_first_label_and_shows_in_the_score():
    decided = decide(make(("a", "b"), ("b",)), np.array([[0.5, 0.5]]))
    assert decided.label[0] == 0 and not decided.favourable[0] and decided.score[0] == 0.5
    chosen = decide(make(("a", "b"), ("b",), threshold=0.5), np.array([[0.5, 0.5]]))
    assert chosen.favourable[0]


def no_number_that_is_none_is_written():
    with pytest.raises(ValueError, match="finite"):
        Estimate(
            value=float("nan"),
            low=0.0,
            high=1.0,
            n=1,
            level=0.95,
            method="wilson",
            basis=Counts(hits=1, n=1),
        )
    with pytest.raises(ValueError):
        write_json({"x": float("nan")})


def half_a_character_becomes_visible():
    rows = tables.of_records([{"text": "\ud800 one"}], "memory")
    shown = tables.text_cell(rows.column("text")[0], rows, 0, "text")
    assert shown == "\\ud800 one" and shown.encode("utf-8")
    assert write_json({"x": "\ud800"}).encode("utf-8")


NAN = float("nan")
OURS = {
    "fairlearn equalized_odds_difference, group B has no positives (perfect predictor)": (
        no_positives_have_no_rate
    ),
    "fairlearn equal_opportunity_difference same": no_positives_have_no_rate,
    "fairlearn demographic_parity_ratio all rates 0": lambda: refused(
        proportions.ratio(0, 2, 0, 2), "no_hits"
    ),
    "fairlearn demographic_parity_difference single group": lambda: refused(
        proportions.omnibus([(1, 2)]), "one_group"
    ),
    "fairlearn NaN sensitive feature": an_unknown_group_is_counted,
    "sklearn roc_auc_score single class": lambda: refused(
        ranking.auc([0.2, 0.3], [True, True]), "one_class"
    ),
    "sklearn roc_auc_score NaN score": lambda: refused(
        ranking.auc([NAN, 0.3, 0.1, 0.2], [0, 1, 0, 1]), "not_finite"
    ),
    "sklearn precision_score no predicted positives": nothing_decided_favourably_has_no_precision,
    "sklearn average_precision_score no positives": lambda: refused(
        faithfulness.plausibility([0, 0], [0.1, 0.2], [0, 1]), "empty"
    ),
    "sklearn log_loss p=0 for true class": a_certain_error_costs_what_is_said,
    "statsmodels wilson 0/0": lambda: refused(stats.share(0, 0), "empty"),
    "statsmodels beta 0/0": lambda: refused(stats.clopper_pearson(0, 0), "empty"),
    "statsmodels ztest equal zeros": lambda: refused(
        proportions.standard_deviations(0, 10, 0, 10), "no_variation"
    ),
    "statsmodels newcomb 0/0 vs 5/10": lambda: refused(stats.difference(0, 0, 5, 10), "empty"),
    "statsmodels score diff 9/10 vs 3/10": lambda: known_difference(
        proportions.miettinen_nurminen(9, 10, 3, 10)
    ),
    "statsmodels log ratio 0 cell": lambda: refused(proportions.katz(0, 5, 30, 60), "zero_cell"),
    "statsmodels mcnemar exact b=c=0": lambda: refused(stats.mcnemar(0, 0), "no_change"),
    "statsmodels mcnemar chi2 b=c=0": lambda: refused(stats.mcnemar(0, 0), "no_change"),
    "scipy fisher zero row": lambda: refused(proportions.fisher(0, 0, 5, 10), "empty"),
    "scipy chi2 zero column": lambda: refused(
        proportions.omnibus([(0, 5), (0, 5)]), "no_variation"
    ),
    "scipy bootstrap BCa constant data": lambda: refused(paired.bca([1.0] * 10), "no_variation"),
    "scipy bootstrap n=1": lambda: refused(paired.bca([1.0]), "too_few"),
    "scipy wilcoxon all-zero differences": lambda: refused(stats.sign_flip([0.0] * 5), "no_change"),
    "scipy ttest_rel identical": lambda: refused(stats.mean([0.0, 0.0, 0.0]), "no_variation"),
    "scipy false_discovery_control with NaN": one_missing_p_poisons_no_other,
    "scipy permutation_test n=1": lambda: equals(stats.sign_flip([1.0]), 1.0),
    "statsmodels multipletests NaN": one_missing_p_poisons_no_other,
    "statsmodels multipletests empty": lambda: equals(len(multiplicity.holm([])), 0),
    "numpy max softmax of NaN logits argmax": no_score_that_is_no_number_gets_through,
    "numpy argmax tie": a_tie_goes_to_the_first_label_and_shows_in_the_score,
    "torch softmax NaN logits argmax": no_score_that_is_no_number_gets_through,
    "torch softmax inf logits": no_score_that_is_no_number_gets_through,
    "json.dumps NaN default": no_number_that_is_none_is_written,
    "lone surrogate utf8": half_a_character_becomes_visible,
    "json lone surrogate": half_a_character_becomes_visible,
}


def equals(found, right):
    assert found == right


def known_difference(found):
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.6) and 0.1 < found.low < 0.6 < found.high < 0.9


@pytest.mark.parametrize("trap", sorted(TRAPS))
def test_the_library_falls_in_and_ours_does_not(trap):
    known = expected("TV32")[trap]
    assert observed(TRAPS[trap], known) == known
    OURS[trap]()


def test_no_trap_is_left_unhandled():
    assert set(TRAPS) == set(OURS) == set(expected("TV32"))

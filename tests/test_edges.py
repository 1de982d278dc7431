"""Statistics at the edges: no text, one text, texts all alike, clusters, and every order."""

import numpy as np
import pytest
from known import ALL as VECTORS

from audit import multiplicity, power, stats
from audit.decision import make
from audit.types import Absent, Estimate


def bounds(e):
    assert isinstance(e, Estimate), e
    return e.low, e.high


def near(x, abs=1e-7):
    return pytest.approx(x, abs=abs)


def test_single_shares_agree_with_scipy():
    from scipy.stats import binomtest

    for hits, n in [(81, 263), (15, 148), (0, 20), (1, 29), (20, 20)]:
        for ours, method in ((stats.share, "wilson"), (stats.clopper_pearson, "exact")):
            theirs = binomtest(hits, n).proportion_ci(0.95, method)
            assert bounds(ours(hits, n)) == near((theirs.low, theirs.high), 1e-9)


def test_corrections_do_not_hang_on_order_in_any_order():
    """One known scanner ranks by argsort, which is right only for sorted input."""
    ps = np.array(VECTORS["TV09_BH1995"]["input"])
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(ps))
        assert stats.benjamini_hochberg(ps[order]) == near(stats.benjamini_hochberg(ps)[order])
        assert stats.holm(ps[order]) == near(stats.holm(ps)[order])


@pytest.mark.parametrize(
    ("cell", "other"),
    [((30, 60), (0, 5)), ((5, 10), (3, 10)), ((10000, 20000), (9000, 20000))],
    ids=["TV04 zero cell", "TV02 few", "TV03 many"],
)
def test_gaps_at_the_edges(cell, other):
    """Few texts are no evidence of a gap, many are, and an empty cell is a number like another."""
    e = stats.difference(*cell, *other)
    assert (e.low > 0) == (cell[1] > 1000 or other[0] == 0)
    zero = VECTORS["TV04_zero_cell"]["expect"]
    assert bounds(stats.share(0, 5)) == near(zero["rate_wilson"])
    assert bounds(stats.clopper_pearson(0, 5)) == near(zero["rate_cp"])


def test_the_bootstrap_agrees_on_a_score_shift():
    vector = VECTORS["TV08_score_shift"]
    x = np.subtract(vector["input"]["orig"], vector["input"]["counterfactual"])
    e = stats.bootstrap(
        lambda w: (w @ x) / w.sum(axis=1), 10, rng=np.random.default_rng(1), resamples=9999
    )
    assert e.value == near(vector["expect"]["mean_shift"])
    # The vector's limits are bias-corrected ones, ours percentiles of another stream.
    assert bounds(e) == pytest.approx(vector["expect"]["bca_seed12345_9999"], abs=0.005)


def test_clusters_are_the_unit():
    vector = VECTORS["TV22_clustered_probes"]
    x = np.array(vector["input"]["score_shift_12_templates_x_8_names"])
    clusters = [f"t{i}" for i in range(x.shape[0]) for _ in range(x.shape[1])]
    e = stats.mean(x.ravel(), clusters)
    expect = vector["expect"]
    assert (e.value, e.n) == (near(expect["mean"]), 12)
    assert e.basis.se == near(expect["cluster_se"], 1e-9)
    assert bounds(e) == near(expect["template_mean_ci"])
    assert stats.sign_flip(x.ravel(), clusters) == near(expect["template_sign_flip_exact_p"])
    assert stats.p_beyond(e, 0, "above") * 2 == near(expect["template_mean_t_p"])
    shape = {"rng": np.random.default_rng(0), "resamples": 4000}
    drawn = stats.bootstrap(lambda w: (w @ x.ravel()) / w.sum(axis=1), x.size, clusters, **shape)
    assert drawn.n == 12 and drawn.low < 0 < drawn.high
    # A percentile interval over 12 clusters is narrower than t, by (11/12)^0.5 and 1.96/2.2.
    assert bounds(drawn) == pytest.approx((-0.0134, 0.0363), abs=0.003)


def test_paired_beats_unpaired():
    vector = VECTORS["TV26_before_after_paired"]
    b, c = vector["expect"]["b"], vector["expect"]["c"]
    assert stats.mcnemar(b, c) == near(vector["expect"]["mcnemar_exact"], 1e-7)
    paired = stats.paired_difference(200, b, c)
    assert -paired.high < -paired.low < 0
    x = np.subtract(vector["input"]["new_correct"], vector["input"]["base_correct"])
    drawn = stats.bootstrap(
        lambda w: (w @ x) / w.sum(axis=1), 200, rng=np.random.default_rng(7), resamples=9999
    )
    assert bounds(drawn) == near(vector["expect"]["scipy_percentile_seed7"], 0.0051)
    right = sum(vector["input"]["new_correct"]), sum(vector["input"]["base_correct"])
    unpaired = stats.difference(right[0], 200, right[1], 200)
    assert bounds(unpaired) == near(vector["expect"]["unpaired_newcombe"])
    assert paired.low > 0 and unpaired.high > 0


def test_no_effect_is_promised_where_none_could_be_seen():
    assert power.mde_difference(2, 2, 0.5) is None
    assert power.mde_difference(0, 9, 0.5) is None
    assert power.mde_paired(3, 0.0) is None


EMPTY_OR_ODD = [
    (stats.share, (0, 0)),
    (stats.clopper_pearson, (0, 0)),
    (stats.difference, (0, 0, 5, 10)),
    (stats.paired_difference, (0, 0, 0)),
    (stats.mcnemar, (0, 0)),
    (stats.mcnemar, (-1, 3)),
    (stats.share, (float("nan"), 10)),
    (stats.difference, (1, float("nan"), 2, 5)),
    (stats.paired_difference, (float("nan"), 1, 1)),
    (stats.paired_difference, (10, float("nan"), 1)),
    (stats.mean, ([],)),
    (stats.mean, ([1.0],)),
    (stats.mean, ([1.0, float("nan")],)),
    (stats.mean, ([1.0, 1.0],)),
    (stats.sign_flip, ([],)),
    (stats.sign_flip, ([0.0, 0.0],)),
    (stats.difference_of_means, ([1.0, 2.0], [True, True])),
]


@pytest.mark.parametrize(
    ("function", "inputs"), EMPTY_OR_ODD, ids=lambda x: getattr(x, "__name__", "")
)
def test_where_libraries_raise_or_answer_nan_ours_says_why(function, inputs):
    found = function(*inputs)
    assert isinstance(found, Absent) and found.reason


def test_a_rare_undefined_statistic_is_refused():
    group = np.array([1.0] * 2 + [0.0] * 98)

    def rate(w):
        with np.errstate(invalid="ignore"):
            return (w @ group) / (w @ group)

    found = stats.bootstrap(rate, 100, rng=np.random.default_rng(0))
    assert isinstance(found, Absent) and found.code == "unstable"


def test_a_decision_rule_refuses_what_it_cannot_apply():
    from audit.errors import ConfigError

    for bad in ((), ("no", "yes"), ("maybe",)):
        with pytest.raises(ConfigError):
            make(("no", "yes"), bad)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        make(("no", "yes"), ("yes",), threshold=1.0)
    with pytest.raises(ConfigError, match="up to 62 labels"):
        make(tuple(map(str, range(63))), ("1",), head="multi")


def test_what_cannot_be_a_gate_is_refused_by_its_place():
    from audit.errors import ConfigError
    from audit.gates import expand, judge
    from audit.types import Gate, PlannedProbe, ProbeRun

    planned = PlannedProbe(
        probe="typos", version="1", params={}, units=1, queries=2, measurements=("typos.flip_rate",)
    )
    twice = [Gate(metric="typos.flip_rate", at_most=0.1)] * 2
    with pytest.raises(ConfigError, match=r"gate\[0\] and gate\[1\] both claim"):
        expand(twice, [planned])
    with pytest.raises(ConfigError, match="not a finite number"):
        expand([Gate(metric="typos.flip_rate", at_most=float("inf"))], [planned])
    with pytest.raises(ConfigError, match="no probe is declared"):
        expand([Gate(metric="typos.flip_rate", at_most=0.1)], [])
    # Planned, run, and silent: nobody may read that as kept.
    (verdict,) = judge(
        expand(twice[:1], [planned]), [ProbeRun(probe="typos", version="1", params={})]
    )
    assert verdict.status == "not_estimable" and "nothing was measured" in verdict.because


def test_no_p_value_is_nought():
    """Far beyond all that was drawn, and where the method's own tail is exhausted."""
    drawn = stats.bootstrap(lambda w: w @ np.arange(50.0) / 1225, 50, rng=np.random.default_rng(1))
    assert 0 < stats.p_beyond(drawn, -1e9, "above") <= 1e-12
    assert stats.p_beyond(drawn, 1e9, "above") == 1.0
    assert 0 < stats.p_beyond(drawn, 1e9, "below") <= 1e-12


def test_a_limit_that_a_share_cannot_reach_is_beyond_doubt():
    clustered = stats.mean(
        [1.0, 0.0, 1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b", "c", "c"], low=0.0, high=1.0
    )
    assert clustered.method == "cluster-wilson"
    assert stats.p_beyond(clustered, 1.0, "below") == 0.0
    assert stats.p_beyond(clustered, 0.0, "above") == 0.0


def test_a_constant_without_a_border_on_that_side_says_nothing():
    from audit.types import Estimate, Means

    alike = Estimate(
        value=0.5,
        low=0.5,
        high=0.5,
        n=9,
        n_effective=None,
        level=0.95,
        method="t",
        mde=None,
        basis=Means(mean=0.5, se=0.0, df=8.0, low=None, high=None),
    )
    assert stats.p_beyond(alike, 0.4, "above") == 1.0
    assert stats.p_beyond(alike, 0.6, "below") == 1.0


def test_weighted_holm_spends_the_error_where_the_weight_is():
    """Step by step: the smallest p-value per weight is held against its share of what is left."""
    ps, weights = [0.02, 0.001, 0.3, 0.04], [4.0, 1.0, 1.0, 2.0]
    left, least, expected = sum(weights), 0.0, {}
    for i in sorted(range(4), key=lambda i: ps[i] / weights[i]):
        least = max(least, min(1.0, ps[i] * left / weights[i]))
        expected[i] = least
        left -= weights[i]
    found = multiplicity.weighted_holm(ps, weights)
    assert found.tolist() == pytest.approx([expected[i] for i in range(4)])
    assert multiplicity.weighted_holm([], []).size == 0
    assert multiplicity.weighted_holm([0.9], [0.5]).tolist() == [0.9]
    for bad in ([1.0, 0.0], [1.0]):
        with pytest.raises(ValueError, match="weight"):
            multiplicity.weighted_holm([0.1, 0.2], bad)


def test_benjamini_yekutielis_values_are_those_of_hochberg_times_a_harmonic_sum():
    ps = [0.001, 0.02, 0.03, 0.9]
    by = multiplicity.benjamini_yekutieli(ps)
    bh = [
        min(p * 4 / rank for p, rank in zip(ps[i:], range(i + 1, 5), strict=True)) for i in range(4)
    ]
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4
    assert by.tolist() == pytest.approx([min(1.0, q * harmonic) for q in bh])
    assert multiplicity.benjamini_yekutieli([]).size == 0

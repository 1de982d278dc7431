"""Looking early costs nothing, and pairs are judged as pairs."""

import numpy as np
import pytest

from audit import paired, sequential, stats
from audit.types import Absent

SEQ = [0] * 10 + [1] + [0] * 5 + [1, 1] + [0] * 7 + [1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1]


def test_tv19_the_sequential_test():
    found = sequential.sprt(SEQ, 0.05, 0.1)
    assert (found.decision, found.step) == ("reject", 35)
    assert found.llr == pytest.approx(3.3381480684)
    assert (found.upper, found.lower) == pytest.approx((2.8903717579, -2.2512917986))
    assert (found.up, found.down) == pytest.approx((0.6931471806, -0.0540672213))
    clean = sequential.sprt([0] * 100, 0.05, 0.1)
    assert (clean.decision, clean.step) == ("accept", 42)
    assert sequential.sprt([0] * 41, 0.05, 0.1).decision == "continue"


def test_the_sequential_test_keeps_both_errors():
    rng = np.random.default_rng(0)
    for p, wrong, most in ((0.05, "reject", 0.05), (0.1, "accept", 0.1)):
        found = [sequential.sprt(rng.random(3000) < p, 0.05, 0.1).decision for _ in range(1000)]
        assert found.count(wrong) / 1000 <= most + 0.015 and "continue" not in found


@pytest.mark.parametrize(
    ("hits", "n", "bounds"),
    [
        (0, 100, (0.0, 0.0732843734)),
        (19, 200, (0.0393217153, 0.1820999355)),
        (5, 1000, (0.0003890868, 0.0199790213)),
    ],
)
def test_tv19_the_confidence_sequence(hits, n, bounds):
    e = sequential.confidence_sequence(hits, n)
    assert (e.low, e.high) == pytest.approx(bounds, abs=1e-9)
    fixed = stats.share(hits, n)
    assert e.high - e.low > fixed.high - fixed.low


def test_the_confidence_sequence_by_integrating_the_mixture():
    """At each bound the mean likelihood over all shares is 20 times that of the bound."""
    from scipy.integrate import quad

    e = sequential.confidence_sequence(19, 200)

    def relative(p, at):
        return (p / at) ** 19 * ((1 - p) / (1 - at)) ** 181

    for bound in (e.low, e.high):
        assert quad(relative, 0, 1, args=(bound,), epsabs=0)[0] == pytest.approx(20, rel=1e-6)


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5])
def test_who_looks_all_the_time_is_misled_rarely_by_the_sequence_and_often_by_wilson(share):
    rng, ever, by_wilson = np.random.default_rng(1), 0, 0
    looks = [*range(10, 200, 10), *range(200, 2001, 100)]
    for _ in range(200):
        hits = np.cumsum(rng.random(2000) < share)
        found = [sequential.confidence_sequence(int(hits[n - 1]), n) for n in looks]
        ever += any(not e.low <= share <= e.high for e in found)
        plain = [stats.share(int(hits[n - 1]), n) for n in looks]
        by_wilson += any(not e.low <= share <= e.high for e in plain)
    assert ever / 200 <= 0.05 < 0.15 < by_wilson / 200


def test_a_verdict_gives_each_side_the_whole_error():
    e = sequential.confidence_sequence(19, 200)
    judged = stats.for_judging(e)
    p = stats.p_beyond(judged, 0.2, "below")
    # One over what the mixture has won, not half of it.
    from scipy.special import betaln

    log_gain = betaln(20, 182) - 19 * np.log(0.2) - 181 * np.log(0.8)
    assert p == pytest.approx(np.exp(-log_gain), rel=1e-6)


@pytest.mark.parametrize("kind", ["small shifts", "flips", "skewed"])
def test_the_mean_of_a_stream_is_covered_at_every_look(kind):
    rng, ever, widths = np.random.default_rng(2), 0, []
    draw, truth = {
        "small shifts": (lambda n: rng.uniform(-0.08, 0.1, n), 0.01),
        "flips": (lambda n: rng.choice([-1.0, 0.0, 1.0], n, p=[0.05, 0.85, 0.1]), 0.05),
        "skewed": (lambda n: np.where(rng.random(n) < 0.02, 1.0, 0.0), 0.02),
    }[kind]
    for _ in range(150):
        x = draw(600)
        found = [sequential.mean_sequence(x[:n], low=-1, high=1) for n in range(5, 601, 17)]
        ever += any(not e.low <= truth <= e.high for e in found)
        widths.append(found[-1].high - found[-1].low)
    assert ever / 150 <= 0.05
    # Not by saying nothing: Hoeffding's bound for one look at 600 units is 0.222 wide.
    assert kind == "flips" or np.mean(widths) < 0.12


def test_a_stream_is_computed_as_its_paper_writes_it():
    """Waudby-Smith & Ramdas, theorem 2, unit by unit, for units in [0, 1]."""
    x = np.random.default_rng(3).random(40)
    mean, spread, told, total, cost, seen = 0.5, 0.25, 0.0, 0.0, 0.0, []
    for t, unit in enumerate(x, 1):
        stake = min(0.5, np.sqrt(2 * np.log(2 / 0.05) / (spread * t * np.log(t + 1))))
        told, total = told + stake * unit, total + stake
        cost += 4 * (unit - mean) ** 2 * (-np.log(1 - stake) - stake) / 4
        seen.append(unit)
        mean = (0.5 + sum(seen)) / (t + 1)
        means = [(0.5 + sum(seen[: i + 1])) / (i + 2) for i in range(t)]
        spread = (0.25 + sum((v - m) ** 2 for v, m in zip(seen, means, strict=True))) / (t + 1)
    half = (np.log(2 / 0.05) + cost) / total
    e = sequential.mean_sequence(x, low=0, high=1)
    assert (e.low, e.high) == pytest.approx((told / total - half, told / total + half), abs=1e-12)
    # The same units on another scale.
    wide = sequential.mean_sequence(x * 2 - 1, low=-1, high=1)
    assert (wide.low, wide.high) == pytest.approx((e.low * 2 - 1, e.high * 2 - 1), abs=1e-12)


def test_a_streams_p_value_is_valid_at_any_limit():
    x = np.random.default_rng(4).normal(0.1, 0.1, 500).clip(-1, 1)
    e = sequential.mean_sequence(x, low=-1, high=1)
    for level in (0.9, 0.99):
        low, high = stats.interval(e, level)
        assert stats.p_beyond(e, low, "above") == pytest.approx((1 - level) / 2)
        assert stats.p_beyond(e, high, "below") == pytest.approx((1 - level) / 2)


def test_tv07_pairs():
    e = paired.bonett_price(200, 14, 5)
    assert (e.low, e.high) == pytest.approx((0.0005172355, 0.0885916754), abs=1e-9)
    assert paired.mcnemar_midp(14, 5) == pytest.approx(0.0413894653, abs=1e-9)
    assert stats.p_beyond(e, e.low, "above") == pytest.approx(0.025)


def test_midp_by_enumeration():
    from itertools import product
    from math import comb

    for b, c in product(range(7), repeat=2):
        if b + c:
            n, p = b + c, [comb(b + c, k) / 2 ** (b + c) for k in range(b + c + 1)]
            more = sum(p[k] for k in range(n + 1) if abs(2 * k - n) > abs(b - c))
            same = sum(p[k] for k in range(n + 1) if abs(2 * k - n) == abs(b - c))
            # At the centre the two-sided mid-p is one less half the mass there, doubled once.
            expected = more + same / 2 if b != c else 1.0
            assert paired.mcnemar_midp(b, c) == pytest.approx(expected), (b, c)


def test_tv08_bca():
    before = [0.91, 0.42, 0.77, 0.35, 0.66, 0.58, 0.83, 0.2, 0.49, 0.71]
    after = [0.86, 0.45, 0.7, 0.31, 0.6, 0.59, 0.75, 0.18, 0.4, 0.69]
    x = np.subtract(before, after)
    e = paired.bca(x, rng=np.random.default_rng(12345))
    assert (e.low, e.high) == pytest.approx((0.014, 0.06), abs=1e-12)
    from scipy.stats import bootstrap

    theirs = bootstrap(
        (x,), np.mean, n_resamples=9999, method="BCa", confidence_level=0.9, rng=5
    ).confidence_interval
    assert stats.interval(paired.bca(x, rng=np.random.default_rng(5)), 0.9) == pytest.approx(
        (theirs.low, theirs.high), abs=1e-9
    )
    # Whole clusters are drawn: three copies of a text are one.
    names = [f"c{i}" for i in range(10)] * 3
    again = paired.bca(np.tile(x, 3), names, rng=np.random.default_rng(12345))
    # Means of ten such numbers lie on steps of 0.001, and rounding moves by one at most.
    assert (again.low, again.high) == pytest.approx((e.low, e.high), abs=0.0011) and again.n == 10


def test_tv12_the_counterfactual_gap():
    after = [[0.12, 0.3, 0.1], [0.7, 0.82], [0.45, 0.6, 0.51, 0.4]]
    found = paired.counterfactual_gap([0.1, 0.8, 0.45], after)
    assert found.macro.value == pytest.approx(0.0661111111)
    assert found.micro.value == pytest.approx(0.0666666667) and found.micro.n == 3
    assert found.signed.value == pytest.approx((-0.0733333333 + 0.04 - 0.04) / 3)


def test_tv18_no_worse_by_a_margin():
    found = paired.non_inferiority(1000, 30, 25, 0.02, method="paired-wald")
    d = found.difference
    assert (d.value, d.low, d.high) == pytest.approx((-0.005, -0.0171957883, 0.0071957883))
    assert found.p == pytest.approx(0.0215335105) and found.holds
    score = paired.non_inferiority(1000, 30, 25, 0.02)
    assert score.holds and score.p == pytest.approx(0.0257658, abs=1e-6)
    assert not paired.non_inferiority(1000, 30, 25, 0.01).holds


def test_the_score_test_of_no_worse_keeps_its_error():
    """At a true loss of the margin, by enumeration over all pairs of counts."""
    from scipy.stats import multinomial

    n, margin, lost, gained = 60, 0.1, 0.15, 0.05
    claimed = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            mass = multinomial.pmf([b, c, n - b - c], n, [lost, gained, 1 - lost - gained])
            if mass > 1e-7 and paired.non_inferiority(n, b, c, margin).holds:
                claimed += mass
    assert 0.03 < claimed < 0.06


def test_no_change_is_no_certainty():
    none = paired.non_inferiority(200, 0, 0, 0.02, method="paired-wald")
    assert isinstance(none, Absent) and none.code == "no_change"
    score = paired.non_inferiority(200, 0, 0, 0.02)
    assert score.holds and 0 < score.p < 0.05
    assert not paired.non_inferiority(50, 0, 0, 0.02).holds


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (lambda: sequential.sprt([], 0.05, 0.1), "empty"),
        (lambda: sequential.sprt([0, 2], 0.05, 0.1), "invalid"),
        (lambda: sequential.sprt([0], 0.1, 0.05), "invalid"),
        (lambda: sequential.confidence_sequence(0, 0), "empty"),
        (lambda: sequential.confidence_sequence(3, 2), "invalid"),
        (lambda: sequential.mean_sequence([], low=0, high=1), "empty"),
        (lambda: sequential.mean_sequence([2.0], low=0, high=1), "invalid"),
        (lambda: sequential.mean_sequence([float("nan")], low=0, high=1), "not_finite"),
        (lambda: paired.bonett_price(0, 0, 0), "empty"),
        (lambda: paired.bonett_price(5, 4, 4), "invalid"),
        (lambda: paired.mcnemar_midp(0, 0), "no_change"),
        (lambda: paired.mcnemar_midp(-1, 3), "invalid"),
        (lambda: paired.non_inferiority(5, 1, 1, 0.0), "invalid"),
        (lambda: paired.non_inferiority(0, 0, 0, 0.1), "empty"),
        (lambda: paired.bca([]), "empty"),
        (lambda: paired.bca([1.0]), "too_few"),
        (
            lambda: paired.bca([0.0] * 9 + [5.0], rng=np.random.default_rng(3), resamples=2),
            "unstable",
        ),
        (lambda: paired.bca([1.0, 1.0]), "no_variation"),
        (lambda: paired.bca([1.0, float("nan")]), "not_finite"),
        (lambda: paired.counterfactual_gap([], []), "empty"),
        (lambda: paired.counterfactual_gap([0.5], [[]]), "invalid"),
        (lambda: paired.counterfactual_gap([0.5], [[float("nan")]]), "not_finite"),
    ],
)
def test_where_there_is_nothing_to_say_it_says_why(found, code):
    absent = found()
    assert isinstance(absent, Absent) and absent.code == code and absent.reason


def test_the_bca_bootstrap_is_scipys_also_where_resamples_tie_with_the_mean():
    from scipy.stats import bootstrap

    x = (np.arange(40) % 5 == 0).astype(float)
    ours = paired.bca(x, rng=np.random.default_rng(8))
    for level in (0.5, 0.8, 0.9, 0.95, 0.98):
        theirs = bootstrap(
            (x,), np.mean, n_resamples=9999, method="BCa", confidence_level=level, rng=8
        ).confidence_interval
        # Between two of the shares kept, a quantile is read off a straight line.
        assert stats.interval(ours, level) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_pairs_that_all_changed_have_a_net_change():
    e = paired.bonett_price(5, 3, 2)
    # One change more each way, of two pairs more: shares of 4/7 and 3/7.
    se = np.sqrt((4 / 7 + 3 / 7 - (1 / 7) ** 2) / 7)
    assert e.value == pytest.approx(0.2)
    assert (e.low, e.high) == pytest.approx(
        (1 / 7 - 1.959964 * se, 1 / 7 + 1.959964 * se), abs=1e-6
    )
    assert paired.bonett_price(5, 3, 3).code == "invalid" == paired.bonett_price(5, -1, 2).code


def test_parts_of_the_counterfactual_gap_are_means_within_their_bounds():
    rng = np.random.default_rng(0)
    before, after = rng.random(12), [rng.random(1 + i % 3) for i in range(12)]
    found = paired.counterfactual_gap(before, after)
    change = [b - np.asarray(a) for b, a in zip(before, after, strict=True)]
    apart = [np.abs(c).mean() for c in change]
    assert found.macro == stats.mean(apart, low=0.0, high=1.0)
    assert found.signed == stats.mean([c.mean() for c in change], low=-1.0, high=1.0)
    names = [str(i) for i, c in enumerate(change) for _ in c]
    micro = stats.mean(np.abs(np.concatenate(change)), names, low=0.0, high=1.0)
    assert (found.micro.low, found.micro.high, found.micro.basis) == (
        micro.low,
        micro.high,
        micro.basis,
    )


def test_few_resamples_of_the_bca_bootstrap_claim_no_more_than_a_normal_tail():
    """The farthest of 99 draws lies about 2.5 errors away; one text in 10,000 lies 3.7 away."""
    x = np.random.default_rng(0).normal(size=60)
    e = paired.bca(x, rng=np.random.default_rng(1), resamples=99)
    se = x.std() / np.sqrt(60)
    low, high = stats.interval(e, 0.9998)
    assert high - e.value > 3 * se and e.value - low > 3 * se
    assert e.basis.probs[0] > 0.001 and e.basis.probs[-1] < 0.999
    assert paired.bca(x, resamples=1).code == "invalid"
    # Of a single draw, equal to the mean, one quantile is left and no line through it.
    assert paired._bca_basis(np.array([0.5]), np.array([0.5, -0.5]), 0.5) is None


def test_scores_of_counterfactuals_reach_from_0_to_1_and_no_further():
    assert paired.counterfactual_gap([0.0, 1.0], [[1.0], [0.0]]).macro.value == 1.0
    for before, after in (([1.2], [[0.5]]), ([0.5], [[0.5, -0.1]])):
        assert paired.counterfactual_gap(before, after).code == "invalid"


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5])
def test_an_error_of_one_half_makes_no_test(alpha):
    assert paired.non_inferiority(100, 3, 3, 0.1, alpha=alpha).code == "invalid"

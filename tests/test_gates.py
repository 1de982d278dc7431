from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from audit import stats
from audit.errors import ConfigError
from audit.gates import exit_code, expand, judge, split
from audit.types import (
    Absent,
    Gate,
    Measurement,
    PlannedProbe,
    ProbeRun,
    Skip,
    Verdict,
    measurement_id,
)

PLANNED = PlannedProbe(
    probe="typos", version="1", params={}, units=1, queries=2, measurements=("typos.flip_rate",)
)


def run(value, eligible=1000, **more):
    m = Measurement(
        id="typos.flip_rate",
        metric="flip_rate",
        value=value,
        unit="share",
        eligible=eligible,
        left_out=(Skip(reason="x", count=eligible),) if isinstance(value, Absent) else (),
    )
    return ProbeRun(probe="typos", version="1", params={}, measurements=(m,), **more)


def verdict(value, *, gate=None, **more) -> Verdict:
    gate = gate or Gate(metric="typos.flip_rate", at_most=0.10)
    (found,) = judge(expand([gate], [PLANNED]), [run(value, **more)])
    return found


NO_NUMBER = Absent(code="empty", reason="no text was left")


@pytest.mark.parametrize(
    ("value", "more", "status"),
    [
        (stats.share(20, 1000), {}, "pass"),
        (stats.share(84, 1000), {}, "pass"),
        (stats.share(95, 1000), {}, "inconclusive"),
        (stats.share(105, 1000), {}, "inconclusive"),
        (stats.share(150, 1000), {}, "fail"),
        (stats.share(0, 29), {}, "not_estimable"),
        (stats.share(29, 29), {}, "not_estimable"),
        (NO_NUMBER, {}, "not_estimable"),
        (stats.share(20, 1000), {"error": "out of memory"}, "error"),
        (stats.share(150, 1000), {"error": "out of memory"}, "error"),
    ],
    ids="below,just below,across,across above,above,few,few above,none,crashed,crashed above".split(
        ","
    ),
)
def test_only_evidence_passes_or_fails(value, more, status):
    assert verdict(value, **more).status == status


def test_at_least_is_the_mirror():
    gate = Gate(metric="typos.flip_rate", at_least=0.10)
    found = [verdict(stats.share(k, 1000), gate=gate).status for k in (20, 95, 150)]
    assert found == ["fail", "inconclusive", "pass"]


def test_an_empty_slice_is_excused_only_where_the_gate_says_so():
    gate = Gate(metric="typos.flip_rate", at_most=0.1, optional=True)
    assert verdict(NO_NUMBER, gate=gate).status == "not_applicable"


def test_a_probe_that_could_not_run_is_not_a_pass():
    planned = replace(PLANNED, measurements=(), not_run="no WordNet")
    claims = expand([Gate(metric="typos.flip_rate", at_most=0.1)], [planned])
    lost = ProbeRun(probe="typos", version="1", params={}, not_run="no WordNet")
    (found,) = judge(claims, [lost])
    assert (found.status, exit_code([found])) == ("not_estimable", 3)
    assert "no WordNet" in found.because


def test_the_interval_that_decided_is_printed():
    passed, failed = verdict(stats.share(20, 1000)), verdict(stats.share(150, 1000))
    assert passed.interval_level == pytest.approx(0.90)
    assert passed.interval[1] < 0.10 < failed.interval[0]


def test_holm_spares_a_lone_p_of_many():
    """One of twenty slices just beyond its limit is what chance does."""
    names = [f"g.rate[x={i}]" for i in range(20)]
    planned = replace(PLANNED, probe="g", measurements=tuple(names))
    claims = expand([Gate(metric="g.rate", at_most=0.10)], [planned])

    def judged(hits):
        ms = [
            Measurement(
                id=name,
                metric="rate",
                where={"x": str(i)},
                value=stats.share(hits if i == 3 else 80, 1000),
                unit="",
                eligible=1000,
            )
            for i, name in enumerate(names)
        ]
        one = ProbeRun(probe="g", version="1", params={}, measurements=tuple(ms))
        return judge(claims, [one])[3]

    assert verdict(stats.share(118, 1000)).status == "fail"
    assert judged(118).status == "inconclusive"
    far = judged(140)
    assert far.status == "fail" and far.m == 20
    assert far.interval[0] > 0.10 and far.interval_level > 0.99


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (Gate(metric="typos.flip_rat", at_most=0.1), "matches nothing"),
        (Gate(metric="typos.flip_rate"), "has no limit"),
        (Gate(metric="typos.flip_rate", at_most=0.1, at_least=0.2), "at least 0.2 and at most 0.1"),
        (Gate(metric="typos.flip_rate", at_most=0.1, where={"sex": "f"}), "matches no slice"),
        (Gate(metric="typos.flip_rate", no_worse_than="baseline"), "by how much"),
        (Gate(metric="typos.flip_rate", no_worse_than="baseline", margin=-0.1), "0 or more"),
        (Gate(metric="typos.flip_rate", at_most=0.1, margin=0.02), "nothing to measure it from"),
        (Gate(metric="typos.flip_rate", at_most=0.1, min_n=0), "min_n"),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused_before_the_run(gate, said):
    with pytest.raises(ConfigError, match=said):
        expand([gate], [PLANNED])


def test_what_has_no_worse_direction_cannot_be_held_against_a_baseline():
    planned = replace(PLANNED, measurements=("typos.length",))
    gate = Gate(metric="typos.length", no_worse_than="baseline", margin=0.1)
    with pytest.raises(ConfigError, match="no direction of it is worse"):
        expand([gate], [planned])


def test_a_slice_survives_its_id():
    where = {"sex": "f,m=[x]%", "a b": "ü\n"}
    assert split(measurement_id("p", "m", where)) == ("p.m", where)


EXITS = [
    ({"pass"}, "exit3", 0),
    ({"pass", "fail"}, "exit3", 1),
    ({"fail", "error", "inconclusive"}, "exit3", 1),
    ({"error", "inconclusive"}, "exit3", 2),
    ({"inconclusive", "pass"}, "exit3", 3),
    ({"not_estimable"}, "exit3", 3),
    ({"not_applicable", "pass"}, "exit3", 0),
    ({"inconclusive"}, "fail", 1),
    ({"inconclusive", "error"}, "fail", 1),
    ({"inconclusive"}, "warn", 0),
    ({"error"}, "warn", 2),
    (set(), "exit3", 0),
]


@pytest.mark.parametrize(("statuses", "undecided", "code"), EXITS)
def test_the_lowest_code_that_applies_wins(statuses, undecided, code):
    claim = expand([Gate(metric="typos.flip_rate", at_most=0.1)], [PLANNED])[0]
    found = [Verdict(claim=claim, status=s, m=1, because="") for s in statuses]
    assert exit_code(found, undecided=undecided) == code
    unblocked = replace(claim, blocking=False)
    assert exit_code([replace(v, claim=unblocked) for v in found], undecided=undecided) == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 200), st.floats(0, 1), st.floats(0.01, 0.99), st.integers(2, 9))
def test_fewer_texts_never_turn_undecided_into_a_verdict(n, share, limit, times):
    gate = Gate(metric="typos.flip_rate", at_most=limit, min_n=1)
    few, many = stats.share(round(share * n), n), stats.share(round(share * n) * times, n * times)
    before, after = (verdict(e, gate=gate, eligible=e.n).status for e in (many, few))
    if before == "inconclusive":
        assert after == "inconclusive"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_a_crash_never_improves_the_exit_code(hits):
    planned = replace(
        PLANNED, measurements=tuple(f"typos.flip_rate[x={i}]" for i in range(len(hits)))
    )
    claims = expand([Gate(metric="typos.flip_rate", at_most=0.1)], [planned])
    ms = tuple(
        Measurement(
            id=f"typos.flip_rate[x={i}]",
            metric="flip_rate",
            where={"x": str(i)},
            value=stats.share(h, 1000),
            unit="",
            eligible=1000,
        )
        for i, h in enumerate(hits)
    )
    good = ProbeRun(probe="typos", version="1", params={}, measurements=ms)
    worse = replace(good, error="crashed")
    before, after = (exit_code(judge(claims, [r])) for r in (good, worse))
    assert not (before != 0 and after == 0)


def slices(values, **more):
    """One probe that measures ``g.gap`` on as many slices as there are values."""
    ms = tuple(
        Measurement(
            id=f"g.gap[x={i}]",
            metric="gap",
            where={"x": str(i)},
            value=value,
            unit="",
            eligible=10_000,
        )
        for i, value in enumerate(values)
    )
    return replace(PLANNED, probe="g", measurements=tuple(m.id for m in ms)), ProbeRun(
        probe="g", version="1", params={}, measurements=ms, **more
    )


def test_a_claim_without_a_number_still_counts_among_those_declared():
    """The correction is for what was declared: a hole in the data must not make failing easier."""
    marginal = stats.share(125, 1000)
    planned, one = slices([marginal] + [NO_NUMBER] * 19)
    found = judge(expand([Gate(metric="g.gap", at_most=0.1)], [planned]), [one])
    assert {v.m for v in found} == {20}
    assert found[0].p_break < 0.05 < found[0].p_break_adjusted
    assert found[0].status == "inconclusive" and "m = 20" in found[0].because


def test_claims_that_do_not_block_are_corrected_among_themselves():
    planned, one = slices([stats.share(125, 1000)] * 10)
    gates = [
        Gate(metric="g.gap", where={"x": "0"}, at_most=0.1),
        *(Gate(metric="g.gap", where={"x": str(i)}, at_most=0.1, blocking=False) for i in (1, 2)),
    ]
    found = judge(expand(gates, [planned]), [one])
    assert [v.m for v in found] == [1, 2, 2]
    assert found[0].p_break_adjusted == found[0].p_break
    assert found[1].p_break_adjusted == pytest.approx(2 * found[1].p_break)


def test_a_fail_prints_an_interval_that_shows_it():
    values = [stats.share(h, 1000) for h in (150, 141, 120, 90, 40)]
    planned, one = slices(values)
    for v in judge(expand([Gate(metric="g.gap", at_most=0.1)], [planned]), [one]):
        low, high = v.interval
        assert (v.status == "fail") == (low > 0.1)
        assert (v.status == "pass") == (high < 0.1)


def test_nothing_seen_passes_only_when_enough_was_looked_at():
    """0 of n keeps a limit of 2 % from n = 149 on (0.98^n <= 0.05), as counts and as means."""
    gate = Gate(metric="typos.flip_rate", at_most=0.02)
    for n, status in ((148, "inconclusive"), (149, "pass")):
        flat = stats.mean([0.0] * n, low=0.0, high=1.0)
        assert verdict(stats.share(0, n), gate=gate).status == status
        assert verdict(flat, gate=gate).status == status


@pytest.mark.parametrize("p", [0.01, 0.05])
def test_rare_rates_in_small_groups_raise_no_more_false_fails(p):
    """Ten groups of 40 beside 1000 others, all alike: score intervals fail up to 13 % of these."""
    from scipy.stats import binomtest

    planned, _ = slices([NO_NUMBER] * 10)
    claims = expand([Gate(metric="g.gap", at_most=0.0, at_least=-0.0)], [planned])
    rng, fails, audits = np.random.default_rng(2), 0, 400
    for _ in range(audits):
        mine, rest = rng.binomial(40, p, size=10), int(rng.binomial(1000, p))
        values = [stats.difference(int(h), 40, int(mine.sum() - h) + rest, 1360) for h in mine]
        fails += any(v.status == "fail" for v in judge(claims, [slices(values)[1]]))
    assert binomtest(fails, audits).proportion_ci(0.95, "exact").low <= 0.05


def test_equal_groups_raise_a_fail_in_at_most_one_audit_in_twenty():
    """Ten equal groups, gates as a user would write them, through expand and judge."""
    from scipy.stats import binomtest

    names = tuple(f"g.gap[x={i}]" for i in range(10))
    planned = replace(PLANNED, probe="g", measurements=names)
    claims = expand([Gate(metric="g.gap", at_most=0.0, at_least=-0.0)], [planned])
    rng, fails, audits = np.random.default_rng(1), 0, 1000
    for _ in range(audits):
        hits = rng.binomial(100, 0.4, size=10)
        ms = tuple(
            Measurement(
                id=name,
                metric="gap",
                where={"x": str(i)},
                value=stats.difference(int(hits[i]), 100, int(hits.sum() - hits[i]), 900),
                unit="",
                eligible=1000,
            )
            for i, name in enumerate(names)
        )
        one = ProbeRun(probe="g", version="1", params={}, measurements=ms)
        fails += any(v.status == "fail" for v in judge(claims, [one]))
    assert binomtest(fails, audits).proportion_ci(0.95, "exact").low <= 0.05
    assert fails > 0


@pytest.mark.parametrize("metric", ["flip_p", "rate_for_ranking"])
def test_no_limit_stands_on_a_p_value_or_a_number_shrunk_for_ranking(metric):
    planned = replace(PLANNED, measurements=("typos.flip_rate", f"typos.{metric}"))
    with pytest.raises(ConfigError, match="no limit can stand on") as said:
        expand([Gate(metric=f"typos.{metric}", at_most=0.05)], [planned])
    assert "gap or the rate" in said.value.hint
    every = expand([Gate(metric="typos.*", at_most=0.05)], [planned])
    assert [claim.measurement for claim in every] == ["typos.flip_rate"]


def test_an_undecided_claim_says_what_could_not_be_seen():
    e = stats.share(95, 1000)
    assert verdict(e).because == (
        f"the interval crosses the limit; a difference under {e.mde:.3f} could not be seen"
    )
    assert verdict(replace(e, mde=None)).because == "the interval crosses the limit"


def test_a_verdict_says_on_which_numbers_it_stands():
    names = ("typos.a", "typos.b", "typos.c")
    shares = (stats.share(150, 1000), stats.share(118, 1000), stats.share(20, 1000))
    measured = tuple(
        Measurement(id=name, metric=name[-1], value=e, unit="share", eligible=1000)
        for name, e in zip(names, shares, strict=True)
    )
    one = ProbeRun(probe="typos", version="1", params={}, measurements=measured)
    planned = replace(PLANNED, measurements=names)
    claims = expand([Gate(metric="typos.*", at_most=0.1)], [planned])
    fail, undecided, passed = judge(claims, [one])
    exact = [stats.for_judging(e) for e in shares]
    p = [stats.p_beyond(e, 0.1, "above") for e in exact]
    # Exact tails of the binomial: as many hits or more, at the limit.
    assert p[:2] == pytest.approx([binom.sf(149, 1000, 0.1), binom.sf(117, 1000, 0.1)], rel=1e-6)
    assert [v.status for v in (fail, undecided, passed)] == ["fail", "inconclusive", "pass"]
    assert (fail.p_break, fail.p_break_adjusted) == (p[0], 3 * p[0]) and fail.m == 3
    assert fail.because == (
        f"the limit is broken beyond the noise (p = {3 * p[0]:.2g} after Holm over m = 3, alpha 0.05)"
    )
    assert undecided.because == (
        "beyond the limit alone, but not among all that was asked "
        f"(p = {2 * p[1]:.2g} after Holm over m = 3, alpha 0.05)"
    )
    kept = stats.p_beyond(exact[2], 0.1, "below")
    assert passed.p_keep == kept
    assert passed.because == f"the limit is kept beyond the noise (p = {kept:.2g})"
    assert passed.interval == stats.interval(exact[2], 0.9) and passed.interval_level == 0.9
    assert (passed.value, passed.n) == (0.02, 1000)


def test_as_many_texts_as_a_gate_asks_for_are_judged():
    gate = Gate(metric="typos.flip_rate", at_most=0.10, min_n=200)
    assert verdict(stats.share(2, 200), gate=gate).status == "pass"
    few = verdict(stats.share(2, 199), gate=gate)
    assert few.status == "not_estimable" and few.because == (
        "199 independent texts, and the gate asks for 200"
    )
    e = stats.share(2, 199)
    assert (few.interval, few.interval_level, few.p_break) == ((e.low, e.high), 0.95, None)


def test_an_audits_own_alpha_is_the_one_it_is_judged_by():
    claims = expand([Gate(metric="typos.flip_rate", at_most=0.10)], [PLANNED])
    e = stats.share(122, 1000)
    p = stats.p_beyond(stats.for_judging(e), 0.1, "above")
    for alpha in (p * 0.99, p * 1.01):
        (found,) = judge(claims, [run(e)], alpha=alpha)
        assert found.status == ("fail" if p <= alpha else "inconclusive")
        assert found.interval_level == pytest.approx(1 - 2 * alpha)

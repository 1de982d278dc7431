from dataclasses import replace

import pytest
from report_fixture import case, gap, measured, normal, plan_of, share, verdict

from audit.findings import find, finding_id
from audit.types import Absent, Counts, Estimate, ProbeRun, TwoCounts


def run_of(*measurements, cases=(), probe="typos"):
    return ProbeRun(
        probe=probe, version="1", params={}, measurements=measurements, cases=tuple(cases)
    )


def found(*verdicts, runs):
    return find(plan_of(runs, verdicts), runs, verdicts)


def between(low, value, high, *, n=500, basis=None):
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=n,
        level=0.95,
        method="wilson",
        basis=basis or Counts(hits=round(value * n), n=n),
    )


def test_a_kept_limit_is_no_finding():
    m = measured("typos", "flip_rate", share(3, 500))
    assert found(verdict(m, "at_most", 0.1, status="pass"), runs=(run_of(m),)) == ()


def test_an_optional_empty_slice_and_a_crash_are_no_findings():
    m = measured("typos", "flip_rate", Absent(code="empty", reason="no text"))
    runs = (run_of(m),)
    assert found(verdict(m, "at_most", 0.1, status="not_applicable"), runs=runs) == ()
    assert found(verdict(m, "at_most", 0.1, status="error"), runs=runs) == ()


def test_a_failure_says_criterion_condition_effect_and_what_to_do():
    m = measured("typos", "flip_rate", share(150, 500), {"edits": "3"})
    (f,) = found(verdict(m, "at_most", 0.1, status="fail"), runs=(run_of(m),))
    assert f.title == "typos: flip rate, edits = 3: above its limit"
    assert "at most 0.1, declared before the run" in f.criterion
    assert "Measured 0.300, 95% interval 0.261 to 0.342, n = 500." in f.condition
    assert "above the limit by 0.200" in f.effect
    assert "In every 100 texts that is about 30, where at most 10 was the limit." in f.effect
    assert "retrain" in f.recommendation
    assert f.measurement == m.id and f.claim == f"{m.id} <= 0.1"


@pytest.mark.parametrize(
    ("declared", "low", "value", "high", "status", "severity"),
    [
        ("serious", 0.105, 0.11, 0.13, "fail", "moderate"),
        ("serious", 0.12, 0.15, 0.18, "fail", "serious"),
        ("serious", 0.21, 0.25, 0.29, "fail", "critical"),
        ("critical", 0.21, 0.25, 0.29, "fail", "critical"),
        ("minor", 0.105, 0.11, 0.13, "fail", "minor"),
        ("minor", 0.21, 0.25, 0.29, "fail", "moderate"),
        ("serious", 0.07, 0.12, 0.16, "inconclusive", "moderate"),
        ("critical", 0.05, 0.08, 0.13, "inconclusive", "minor"),
    ],
    ids=[
        "hardly beyond",
        "well beyond",
        "surely twice the limit",
        "no further than critical",
        "no lower than minor",
        "minor but twice the limit",
        "undecided, value beyond",
        "undecided, value within",
    ],
)
def test_severity_follows_the_gate_and_the_size_of_the_effect(
    declared, low, value, high, status, severity
):
    m = measured("typos", "flip_rate", between(low, value, high))
    (f,) = found(verdict(m, "at_most", 0.1, status=status, severity=declared), runs=(run_of(m),))
    assert f.severity == severity


def test_severity_does_not_look_at_the_p_value():
    m = measured("typos", "flip_rate", between(0.12, 0.15, 0.18))
    v = verdict(m, "at_most", 0.1, status="fail")
    strong = replace(v, p_break=1e-12, p_break_adjusted=1e-11)
    weak = replace(v, p_break=0.04, p_break_adjusted=0.049)
    assert {found(one, runs=(run_of(m),))[0].severity for one in (strong, weak)} == {"serious"}


def test_a_share_that_should_be_high_is_measured_from_one():
    """Accuracy 0.6 where 0.9 was asked: four errors in ten for one allowed."""
    m = measured("group_rates", "accuracy", between(0.55, 0.6, 0.65))
    (f,) = found(verdict(m, "at_least", 0.9, status="fail"), runs=(run_of(m, probe="group_rates"),))
    assert f.severity == "critical"
    assert "below its limit" in f.title


def test_a_negative_gap_is_measured_from_zero():
    value = between(-0.3, -0.25, -0.21, basis=TwoCounts(hits=1, n=250, other_hits=2, other_n=250))
    m = measured("group_rates", "gap", value, unit="difference in share of texts")
    (f,) = found(
        verdict(m, "at_least", -0.1, status="fail"), runs=(run_of(m, probe="group_rates"),)
    )
    assert f.severity == "critical"
    assert "below the limit by 0.150" in f.effect
    assert "In every 100" not in f.effect


def test_an_undecided_claim_says_how_many_texts_would_decide_it():
    m = measured("typos", "flip_rate", between(0.06, 0.08, 0.12, n=400))
    (f,) = found(verdict(m, "at_most", 0.1, status="inconclusive"), runs=(run_of(m),))
    assert "reaches across the limit 0.1" in f.effect
    assert "about 900 would decide" in f.recommendation


def test_a_value_on_its_limit_is_not_sent_for_more_texts():
    m = measured("typos", "flip_rate", between(0.06, 0.1, 0.14, n=400))
    (f,) = found(verdict(m, "at_most", 0.1, status="inconclusive"), runs=(run_of(m),))
    assert "more texts alone may not decide it" in f.recommendation


def test_too_few_texts_are_asked_for_by_number():
    m = measured("typos", "flip_rate", share(3, 12))
    (f,) = found(verdict(m, "at_most", 0.1, status="not_estimable"), runs=(run_of(m),))
    assert "Too few texts" in f.effect and "at least 30 texts" in f.recommendation


def test_a_missing_number_is_not_good_news():
    m = measured("typos", "flip_rate", Absent(code="too_few", reason="2 texts of this group"))
    (f,) = found(verdict(m, "at_most", 0.1, status="not_estimable"), runs=(run_of(m),))
    assert f.severity == "moderate"
    assert "Absence of a number is not absence of an effect." in f.effect


def test_a_probe_that_was_not_run_leaves_a_finding():
    runs = (ProbeRun(probe="noise", version="1", params={}, not_run="nlpaug is missing"),)
    v = verdict(
        "noise.flip_rate", "at_most", 0.1, status="not_estimable", because="nlpaug is missing"
    )
    (f,) = found(v, runs=runs)
    assert "nlpaug is missing" in f.condition and "Make the probe run" in f.recommendation


def test_floor_and_ceiling_of_one_measurement_are_one_finding():
    m = measured("g", "gap", gap(40, 100, 50, 100), unit="difference in share of texts")
    verdicts = (
        verdict(m, "at_least", -0.1, status="inconclusive"),
        verdict(m, "at_most", 0.1, status="pass"),
        verdict(m, "at_least", -0.05, status="fail"),
    )
    (f,) = found(*verdicts, runs=(run_of(m, probe="g"),))
    assert f.claim.endswith(">= -0.05")
    assert f.criterion.count("It was to be") == 2


def test_the_most_severe_comes_first():
    findings = normal().findings
    ranks = [("critical", "serious", "moderate", "minor").index(f.severity) for f in findings]
    assert ranks == sorted(ranks) and len(findings) > 5


def test_the_id_survives_a_re_run_and_tells_slices_apart():
    one = measured("typos", "flip_rate", share(150, 500), {"edits": "3"})
    again = measured("typos", "flip_rate", share(171, 480), {"edits": "3"})
    other = measured("typos", "flip_rate", share(150, 500), {"edits": "2"})
    ids = [
        found(verdict(m, "at_most", 0.1, status="fail"), runs=(run_of(m),))[0].id
        for m in (one, again, other)
    ]
    assert ids[0] == ids[1] != ids[2]
    assert finding_id("swaps.flip_rate") == "F-6d7ab05018"


def test_evidence_is_the_flips_and_then_the_largest_changes():
    m = measured("typos", "flip_rate", share(150, 500))
    cases = [
        case(m.id, 1, "a", "b", 0.9, 0.7),
        case(m.id, 2, "a", "b", 0.6, 0.4),
        case(m.id, 3, "a", "b", 0.9, 0.1),
        case(m.id, 4, "a", "b", 0.9, 0.6),
    ]
    (f,) = found(verdict(m, "at_most", 0.1, status="fail"), runs=(run_of(m, cases=cases),))
    assert [e[-1] for e in f.example_ids] == ["3", "2", "4", "1"]


def test_a_metric_without_cases_borrows_those_of_its_slice():
    shown = measured("swaps", "flip_rate", share(9, 500), {"pair": "a-b"})
    asked = measured("swaps", "excess_flip_rate", share(150, 500), {"pair": "a-b"})
    other = measured("swaps", "flip_rate", share(9, 500), {"pair": "a-c"})
    cases = [case(shown.id, 1, "a", "b", 0.9, 0.1), case(other.id, 2, "a", "c", 0.9, 0.1)]
    run = run_of(shown, asked, other, cases=cases, probe="swaps")
    (f,) = found(verdict(asked, "at_most", 0.1, status="fail"), runs=(run,))
    assert f.example_ids == ("applicant-0001",)


def test_a_waiver_is_said():
    m = measured("typos", "flip_rate", share(150, 500))
    (f,) = found(
        verdict(m, "at_most", 0.1, status="fail", waived_by="J. Doe, until May"),
        runs=(run_of(m),),
    )
    assert "Waived: J. Doe, until May." in f.condition

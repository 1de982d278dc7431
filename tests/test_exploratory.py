"""What nobody declared is corrected for how much of it there is."""

from dataclasses import replace

import pytest
from report_fixture import result_of
from statsmodels.stats.multitest import multipletests

from audit import stats
from audit.report import render
from audit.report._catalogue import english
from audit.report._exploratory import corrected
from audit.report._wording import no_effect
from audit.report._wording import reading as read
from audit.types import Claim, Measurement, ProbeRun, Verdict

GAPS = {"a": (60, 30), "b": (50, 45), "c": (51, 49), "d": (40, 62), "e": (50, 50)}


def gap(name, hits, other):
    return Measurement(
        id=f"group_rates.selection_rate_gap[group={name}]",
        metric="selection_rate_gap",
        where={"group": name},
        value=stats.difference(hits, 100, other, 100),
        unit="difference of shares",
        eligible=200,
        family="group_rates.selection_rate_gap",
    )


def result(measurements, declared=()):
    run = ProbeRun(probe="group_rates", version="1", params={}, measurements=tuple(measurements))
    claims = [
        Claim(id=f"{m} <= 0.1", measurement=m, side="at_most", limit=0.1, gate=0) for m in declared
    ]
    return result_of([run], [Verdict(claim=c, status="fail", m=1, because="") for c in claims])


@pytest.fixture
def gaps():
    return [gap(name, *hits) for name, hits in GAPS.items()]


def two_sided(m):
    """By exact bounds, as verdicts are."""
    value = stats.for_judging(m.value)
    return min(1.0, 2 * min(stats.p_beyond(value, 0, side) for side in ("above", "below")))


def test_exploratory_p_values_are_those_of_statsmodels(gaps):
    expected = multipletests([two_sided(m) for m in gaps], method="fdr_bh")[1]
    found = corrected(result(gaps))
    assert [found[m.id].q for m in gaps] == pytest.approx(list(expected), abs=1e-12)
    assert {c.m for c in found.values()} == {5}


def test_a_declared_number_is_not_counted_among_the_exploratory_ones(gaps):
    found = corrected(result(gaps, declared=[gaps[0].id]))
    assert gaps[0].id not in found and {c.m for c in found.values()} == {4}


def test_what_may_be_chance_among_so_many_is_said_so(gaps):
    m = gap("x", 60, 46)
    assert stats.p_beyond(m.value, 0, "above") < 0.025
    assert "may" not in english(read(m, 0.03, 12))
    assert "may by chance" in english(read(m, 0.2, 12)) and "q = 0.200 among 12" in english(
        read(m, 0.2, 12)
    )


def test_what_each_slice_was_measured_under_is_said_at_its_row(gaps):
    own = [replace(m, budget=f"found as {name}") for name, m in zip(GAPS, gaps, strict=True)]
    page = render(result(own))
    assert all(f"found as {name}" in page for name in GAPS)
    shared = render(result([replace(m, budget="one for all") for m in gaps]))
    assert shared.count("one for all") == 1


def test_a_mean_distance_is_not_held_against_nought(gaps):
    """Distances are never below 0, so that any noise at all would differ from it."""
    distance = replace(
        gaps[0],
        metric="score_shift",
        unit="favourable score",
        value=stats.mean([0.1, 0.2, 0.1, 0.3], low=0.0, high=1.0),
    )
    assert no_effect(distance) is None
    assert no_effect(replace(distance, value=stats.mean([0.1, -0.2, 0.1], low=-1.0, high=1.0))) == 0

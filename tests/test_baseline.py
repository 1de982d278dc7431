"""The last release as a yardstick: the same texts, paired, gated on the worsening."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_runner import config, corpus, run  # noqa: F401

from audit import baseline, gates, intervals, pairing, stats, store, worsening
from audit.borders import write_json
from audit.cli import main
from audit.config import BaselineConfig
from audit.errors import ConfigError, ResultError
from audit.report import render
from audit.testing import Lexicon
from audit.types import Absent, Change, Gate, Pairs, PlannedProbe

GOOD = Lexicon(good=3.0, terrible=-3.0, nothing=-1.0)
BAD = Lexicon(good=3.0, terrible=-3.0, nothing=5.0)
GATE = Gate(metric="group_rates.accuracy", where={}, no_worse_than="baseline", margin=0.1)
OVERALL = "baseline.accuracy[probe=group_rates]"


def asked(path=None, margin=0.1, **more):
    gate = replace(GATE, margin=margin, metric="group_rates.accuracy")
    return config(gates=(gate,), baseline=BaselineConfig(path=str(path) if path else None), **more)


@pytest.fixture
def saved(tmp_path, corpus):  # noqa: F811
    run(tmp_path / "first", corpus, asked=asked(), model=GOOD)
    baseline.save(tmp_path / "first", tmp_path / "kept")
    return tmp_path / "kept"


def verdict(result, measurement=OVERALL):
    return next(v for v in result.verdicts if v.claim.measurement == measurement)


def test_the_same_model_is_no_worse_and_a_damaged_one_is(tmp_path, saved, corpus):  # noqa: F811
    same = run(tmp_path / "same", corpus, asked=asked(saved), model=GOOD)
    assert verdict(same).status == "pass" and str(verdict(same).value) == "0.0"
    worse = run(tmp_path / "worse", corpus, asked=asked(saved), model=BAD)
    found = verdict(worse)
    # Every third text says "nothing", which the damaged model reads the other way round.
    assert found.status == "fail" and found.value == pytest.approx(1 / 3)
    assert found.claim.against == "baseline" and gates.exit_code(worse.verdicts) == 1


def test_an_improvement_passes_whatever_its_size(tmp_path, corpus):  # noqa: F811
    run(tmp_path / "bad", corpus, asked=asked(), model=BAD)
    baseline.save(tmp_path / "bad", tmp_path / "kept")
    better = run(tmp_path / "better", corpus, asked=asked(tmp_path / "kept"), model=GOOD)
    assert verdict(better).status == "pass" and verdict(better).value < -0.3


def test_without_a_baseline_the_claim_cannot_be_judged_and_says_why(tmp_path, corpus):  # noqa: F811
    for path in (None, tmp_path / "none"):
        found = run(tmp_path / "a", corpus, asked=asked(path), model=GOOD)
        assert verdict(found).status == "not_estimable" and gates.exit_code(found.verdicts) == 3
        assert "there is no baseline" in verdict(found).because


def test_a_result_held_against_a_baseline_is_judged_again_from_itself(
    tmp_path,
    saved,
    corpus,  # noqa: F811
    capsys,
):
    worse = run(tmp_path / "worse", corpus, asked=asked(saved), model=BAD)
    for path in saved.iterdir():
        path.unlink()
    alone = tmp_path / "alone.json"
    alone.write_text(write_json(worse))
    assert main(["gate", str(alone), "--junit", str(tmp_path / "j.xml")]) == 1
    assert OVERALL in (tmp_path / "j.xml").read_text()
    assert OVERALL in capsys.readouterr().out


def test_the_gate_command_takes_a_baseline(tmp_path, saved, corpus, capsys):  # noqa: F811
    run(tmp_path / "worse", corpus, asked=asked(), model=BAD)
    assert main(["gate", str(tmp_path / "worse")]) == 3
    assert main(["gate", str(tmp_path / "worse"), "--baseline", str(saved)]) == 1
    assert main(["gate", str(tmp_path / "worse"), "--baseline", str(tmp_path / "no")]) == 2
    assert "There is no baseline" in capsys.readouterr().err


def test_a_page_and_its_findings_say_it_is_a_change(tmp_path, saved, corpus):  # noqa: F811
    worse = run(tmp_path / "worse", corpus, asked=asked(saved), model=BAD)
    assert "against the baseline" in render(worse)
    finding = next(f for f in worse.findings if f.measurement == OVERALL)
    assert finding.criterion.startswith("The change against the baseline was to be at most 0.1")
    assert "0.333" in finding.condition


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c, t: (replace(c, audit=replace(c.audit, seed=5)), t), "the seed was 0 and is 5"),
        (lambda c, t: (c, replace(t, sha256="other")), "the audited texts are others"),
        (
            lambda c, t: (replace(c, decision=replace(c.decision, threshold=0.7)), t),
            "threshold differ",
        ),
        (
            lambda c, t: (
                replace(
                    c, probe=(c.probe[0], replace(c.probe[1], params={"reference": {"sex": "m"}}))
                ),
                t,
            ),
            "group_rates differs in settings",
        ),
    ],
    ids=["seed", "texts", "decision", "settings"],
)
def test_an_unlike_baseline_is_refused_before_the_run(
    tmp_path,
    saved,
    corpus,  # noqa: F811
    change,
    said,
):
    wanted, texts = change(asked(saved), corpus)
    model = Lexicon(good=3.0)
    with pytest.raises(ConfigError, match=said):
        run(tmp_path / "b", texts, asked=wanted, model=model)
    assert model.seen == []


def test_a_baseline_holds_no_text(tmp_path, saved, corpus):  # noqa: F811
    baseline.save(tmp_path / "first", tmp_path / "kept.zip")
    texts = [e.text for e in corpus.examples]
    for path in [*saved.iterdir(), tmp_path / "kept.zip"]:
        body = path.read_bytes()
        assert not any(text.encode() in body for text in texts), path.name
    cases = store.read_table(saved, store.CASES)
    assert set(cases) == {"measurement", "example_id", "flipped", "score_before", "score_after"}
    assert not any(run.cases for run in store.read(saved).runs)


def test_a_file_is_as_good_as_a_folder_and_is_the_same_twice(tmp_path, saved, capsys):
    for name in ("a.zip", "b.zip"):
        assert (
            main(["baseline", "save", str(tmp_path / "first"), "--to", str(tmp_path / name)]) == 0
        )
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert baseline.load(tmp_path / "a.zip") == baseline.load(saved)
    assert main(["baseline", "show", str(tmp_path / "a.zip")]) == 0
    said = capsys.readouterr().out
    assert "group_rates.accuracy" in said and "selection_rate" not in said
    assert main(["baseline", "show", str(tmp_path / "none")]) == 2
    capsys.readouterr()


def test_a_damaged_baseline_is_refused(tmp_path, saved):
    (saved / store.UNITS).write_bytes((saved / store.CASES).read_bytes())
    with pytest.raises(ResultError, match="damaged"):
        baseline.load(saved)
    (tmp_path / "x.zip").write_text("no archive")
    with pytest.raises(ResultError, match="is no baseline"):
        baseline.load(tmp_path / "x.zip")


def test_a_crashed_probe_is_an_error_behind_its_worsening_too(tmp_path, saved, corpus):  # noqa: F811
    worse = run(tmp_path / "worse", corpus, asked=asked(saved), model=BAD)
    runs = [replace(r, error="boom") if r.probe == "group_rates" else r for r in worse.runs]
    (found,) = {v.status for v in gates.judge(worse.plan.claims, runs)}
    assert found == "error"


def test_a_number_without_a_worse_direction_is_refused():
    planned = PlannedProbe(
        probe="g",
        version="1",
        params={},
        units=1,
        queries=1,
        measurements=("g.selection_rate",),
    )
    gate = Gate(metric="g.selection_rate", no_worse_than="baseline", margin=0.1)
    with pytest.raises(ConfigError, match="no direction of it is worse"):
        gates.expand([gate], [planned])


# Arithmetic, by another route.


def gap(value, n=4000):
    hits = round((0.5 + value) * n)
    return stats.difference(hits, n, n // 2, n)


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_worsening_of_a_gap_is_how_much_farther_from_zero_it_is(before, after):
    one, other = gap(before), gap(after)
    change = Change(
        measurement="g.accuracy_gap",
        before=one,
        after=other,
        difference=pairing.unpaired(one, other, level=0.95),
        better="nearer_zero",
    )
    worse = baseline.worsening(change)
    assert worse.value == pytest.approx(abs(other.value) - abs(one.value), abs=1e-9)


def test_a_worsening_has_the_sign_of_its_metric():
    down = stats.paired_difference(1000, 10, 60)
    shared = {"measurement": "x", "before": stats.share(500, 1000), "difference": down}
    lower = Change(after=stats.share(450, 1000), better="lower", **shared)
    higher = replace(lower, better="higher")
    assert baseline.worsening(lower).value == pytest.approx(-0.05)
    assert baseline.worsening(higher).value == pytest.approx(0.05)
    none = replace(lower, difference=Absent(code="empty", reason="none"))
    assert isinstance(baseline.worsening(none), Absent)


@pytest.mark.parametrize(
    "estimate",
    [
        stats.paired_difference(500, 31, 12),
        stats.difference(40, 90, 60, 200),
        stats.mean(np.linspace(-0.5, 0.9, 80), low=-1.0, high=1.0),
    ],
    ids=["pairs", "two counts", "means"],
)
def test_minus_a_number_has_minus_its_interval_and_its_p(estimate):
    minus = worsening.negated(estimate)
    for level in (0.8, 0.95, 0.99):
        low, high = intervals.interval(estimate, level)
        assert intervals.interval(minus, level) == pytest.approx((-high, -low), abs=1e-6)
    p = intervals.p_beyond(intervals.for_judging(estimate), 0.0, "above")
    assert intervals.p_beyond(intervals.for_judging(minus), 0.0, "below") == pytest.approx(p, 1e-4)


def test_the_paired_worsening_is_that_of_the_counts_of_turned_texts(
    tmp_path,
    saved,
    corpus,  # noqa: F811
):
    """An independent route: count the texts that turned, from the two tables alone."""
    worse = run(tmp_path / "worse", corpus, asked=asked(saved), model=BAD)
    one, other = (store.read_table(f, store.UNITS) for f in (saved, tmp_path / "worse"))
    lost = sum(a and not b for a, b in zip(one["correct"], other["correct"], strict=True))
    won = sum(b and not a for a, b in zip(one["correct"], other["correct"], strict=True))
    found = next(m for r in worse.runs for m in r.measurements if m.id == OVERALL)
    assert isinstance(found.value.basis, Pairs)
    assert (found.value.basis.b, found.value.basis.c) == (lost, won)
    assert json.loads(write_json(worse))["runs"][-1]["probe"] == "baseline"


def test_a_worsening_of_flips_is_paired_from_the_cases_a_baseline_keeps(tmp_path, corpus):  # noqa: F811
    gate = Gate(metric="typos.flip_rate", no_worse_than="baseline", margin=0.1)
    first = config(gates=(gate,))
    run(tmp_path / "a", corpus, asked=first, model=GOOD)
    baseline.save(tmp_path / "a", tmp_path / "kept")
    held = replace(first, baseline=BaselineConfig(path=str(tmp_path / "kept")))
    same = run(tmp_path / "b", corpus, asked=held, model=GOOD)
    found = next(m for m in same.runs[-1].measurements)
    assert found.id == "baseline.flip_rate[probe=typos]"
    assert found.value.method == "tango" and found.value.value == 0
    # A model that reads nothing never flips: nothing got worse.
    none = run(tmp_path / "c", corpus, asked=held, model=Lexicon())
    assert verdict(none, found.id).value <= 0
    # The other way round: where the baseline never flips, every flip is a worsening.
    baseline.save(tmp_path / "c", tmp_path / "steady")
    held = replace(first, baseline=BaselineConfig(path=str(tmp_path / "steady")))
    worse = run(tmp_path / "d", corpus, asked=held, model=GOOD)
    flips = next(m for r in worse.runs for m in r.measurements if m.id == "typos.flip_rate")
    assert verdict(worse, found.id).value == pytest.approx(flips.value.value)

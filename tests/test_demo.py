"""The demo's own words: what was planted beside what was found."""

from dataclasses import replace

from report_fixture import compared, mean, measured, result_of, verdict

from audit import config, demo, planning, sample
from audit.shipped import shipped
from audit.testing import Lexicon
from audit.types import Change, ProbeRun

WOMEN, NAMES, SLIPS = demo.PLANTED.values()


def found(*, black=0.09, api=0.02, api_fails=False):
    gender = measured(
        "swaps", "favourable_gap", mean(-0.1, 0.01, 500), {"axis": "gender", "pair": "female-male"}
    )

    def names(pair, value):
        where = {"axis": "names_race", "pair": pair}
        return measured("swaps", "favourable_gap", mean(value, 0.005, 150), where)

    rows = (
        gender,
        names("white-black", black),
        names("black-api", -black),
        names("white-api", api),
    )
    verdicts = tuple(
        verdict(m, "at_most", 0.05, status=status)
        for m, status in zip(
            rows,
            ("fail", "fail", "fail", "fail" if api_fails else "pass"),
            strict=True,
        )
    )
    return result_of(
        (ProbeRun(probe="swaps", version="1", params={}, measurements=rows),), verdicts
    )


def test_each_planted_fault_is_a_claim_of_the_shipped_audit_file(tmp_path):
    corpora = {name: sample.generate(7, 120, stream_name=name) for name in ("train", "dev", "test")}
    model = Lexicon(reliable=1.0)
    model.labels = corpora["test"].labels
    prepared = planning.prepare(
        config.read(shipped("datasets") / "applicants" / "audit.toml"),
        base=tmp_path,
        classifier=model,
        corpora=corpora,
    )
    assert set(demo.PLANTED.values()) <= {c.measurement for c in prepared.plan.claims}


def test_what_was_planted_stands_beside_what_was_found():
    said = demo.told(found()).splitlines()
    assert [line.partition("  ")[0] for line in said[2:5]] == list(demo.PLANTED)
    assert "FAIL" in said[2] and "-0.100 [-0.120, -0.080]" in said[2]
    assert "NO FAILURE" in said[4] and said[4].endswith("-"), "nothing was measured of slips"
    assert said[5] == "Of 1 claims about what was not planted, 0 fail."


def test_an_accusation_of_what_was_not_planted_is_named():
    last = demo.told(found(api_fails=True)).splitlines()[-1]
    assert last.startswith("Of 1 claims about what was not planted, 1 fail: ")
    assert "pair=white-api" in last


def test_the_retrain_stands_in_the_same_row():
    was = mean(-0.1, 0.01, 500)
    change = Change(
        measurement=WOMEN,
        before=was,
        after=mean(-0.04, 0.01, 500),
        difference=mean(0.06, 0.01, 500),
        better="nearer_zero",
        verdict="better",
    )
    comparison = replace(compared().comparison, changes=(change,))
    said = demo.told(replace(found(), comparison=comparison)).splitlines()
    assert said[0].endswith("change") and said[3].endswith("-")
    assert said[2].endswith("-0.040 [-0.060, -0.020]  0.060 [0.040, 0.080]  better")

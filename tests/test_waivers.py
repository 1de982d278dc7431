"""A known finding may be waived until a day; it stays visible, and a stale waiver is loud."""

from dataclasses import replace
from datetime import date

import pytest
from report_fixture import clear, crashed, normal

from audit import judging, waivers
from audit.borders import write_json
from audit.cli import main
from audit.errors import ConfigError
from audit.types import Waiver

TODAY = date(2026, 11, 24)
FILE = """
[[waiver]]
claim = "swaps.*"
reason = "names of one list are split by the tokenizer; fixed in 2.1"
owner = "Ana Okafor"
expires = 2026-12-31
"""


def waiver(claim, expires="2026-12-31", **other):
    return Waiver(claim=claim, reason="known", owner="Ana", expires=expires, **other)


def covered(result, *found, today=TODAY):
    return judging.judged(replace(result, waivers=found), today=today)


@pytest.fixture
def failed():
    """A result with one blocking failure, by the engine's own judging."""
    result = judging.judged(normal(), today=TODAY)
    assert "fail" in {v.status for v in result.verdicts}
    return result


def first(result, status):
    return next(v for v in result.verdicts if v.status == status)


def test_a_file_is_read_and_its_day_is_a_day(tmp_path):
    path = tmp_path / "waivers.toml"
    path.write_text(FILE)
    (one,) = waivers.read(path)
    assert (one.owner, one.expires) == ("Ana Okafor", "2026-12-31")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (('owner = "Ana Okafor"\n', ""), "owner"),
        (('"Ana Okafor"', '" "'), "owner must say something"),
        (("expires = 2026-12-31", 'expires = "soon"'), "expires must be a day"),
        (("expires", "expire"), "no setting 'expire'"),
        (("[[waiver]]", "[[waivers]]"), "waiver"),
        (("[[waiver]]", "[[waiver"), "cannot be read"),
    ],
)
def test_a_waiver_that_lacks_something_is_refused_with_its_place(tmp_path, spoil, said):
    path = tmp_path / "waivers.toml"
    path.write_text(FILE.replace(*spoil))
    with pytest.raises(ConfigError, match=said):
        waivers.read(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no waivers file"):
        waivers.read(tmp_path / "none.toml")


def test_a_waived_claim_keeps_its_verdict_and_no_longer_stops(failed):
    verdicts = [v for v in failed.verdicts if v.status != "pass"]
    after = covered(failed, *(waiver(v.claim.id) for v in verdicts if v.status != "error"))
    assert [v.status for v in after.verdicts] == [v.status for v in failed.verdicts]
    assert judging.exit_code(failed, today=TODAY) == 1
    left = [v for v in after.verdicts if v.claim.blocking and not v.waived_by]
    assert {v.status for v in left} <= {"pass", "error", "not_applicable"}
    assert "Ana, until 2026-12-31: known" in {v.waived_by for v in after.verdicts}
    assert any("Waived: Ana" in f.condition for f in after.findings)


@pytest.mark.parametrize("pattern", ["id", "measurement", "metric", "star"])
def test_a_waiver_names_a_claim_a_measurement_or_a_metric(failed, pattern):
    verdict = first(failed, "fail")
    name = {
        "id": verdict.claim.id,
        "measurement": verdict.claim.measurement,
        "metric": verdict.claim.measurement.partition("[")[0],
        "star": verdict.claim.measurement.split(".")[0] + ".*",
    }[pattern]
    after = covered(failed, waiver(name))
    assert first(after, "fail").waived_by and not waivers.of_result(after, TODAY)


def test_brackets_in_a_pattern_are_brackets():
    claim = replace(normal().verdicts[0].claim, id="p.m[a=b] <= 1", measurement="p.m[a=b]")
    assert waivers.speaks_of(waiver("p.m[a=b]"), claim)
    assert waivers.speaks_of(waiver("p.m[a=*]"), claim)
    assert not waivers.speaks_of(waiver("p.ma"), claim)
    assert not waivers.speaks_of(waiver("p.?"), claim)


def test_the_last_day_still_holds_and_the_next_does_not(failed):
    one = waiver(first(failed, "fail").claim.id, expires="2026-11-24")
    assert first(covered(failed, one), "fail").waived_by
    late = covered(failed, one, today=date(2026, 11, 25))
    assert not any(v.waived_by for v in late.verdicts)
    (said,) = waivers.of_result(late, date(2026, 11, 25))
    assert "expired after 2026-11-24" in said and "Ana" in said


def test_a_stale_waiver_ends_with_code_two_and_a_failed_gate_with_one(failed):
    """Of several codes that apply, the lowest of 1, 2, 3."""
    for stale in (waiver("no.such"), waiver(first(failed, "fail").claim.id, "2020-01-01")):
        assert judging.exit_code(covered(failed, stale), today=TODAY) == 1
        kept = judging.judged(clear(), today=TODAY)
        assert judging.exit_code(kept, today=TODAY) == 0
        assert judging.exit_code(covered(kept, waiver("no.such")), today=TODAY) == 2


def test_nothing_waives_a_crash():
    result = judging.judged(crashed(), today=TODAY)
    assert "error" in {v.status for v in result.verdicts}
    after = covered(result, waiver("*"))
    assert not any(v.waived_by for v in after.verdicts if v.status == "error")
    assert judging.exit_code(after, today=TODAY) == judging.exit_code(result, today=TODAY) == 2


def test_the_gate_command_takes_a_file_and_says_what_is_stale(tmp_path, capsys):
    result = judging.judged(normal(), today=TODAY)
    path = tmp_path / "result.json"
    path.write_text(write_json(result))
    assert main(["gate", str(path)]) == 1
    capsys.readouterr()
    lines = [
        f'[[waiver]]\nclaim = "{v.claim.id}"\nreason = "known"\nowner = "Ana"\nexpires = 2999-01-01'
        for v in result.verdicts
        if v.status in ("fail", "inconclusive", "not_estimable")
    ]
    file = tmp_path / "waivers.toml"
    file.write_text("\n".join(lines))
    code = main(["gate", str(path), "--waivers", str(file)])
    said = capsys.readouterr().out
    assert code == (2 if "error" in {v.status for v in result.verdicts} else 0)
    assert "FAIL (waived)" in said and "waived by Ana" in said
    file.write_text("\n".join([*lines, FILE.replace("swaps.*", "gone.*")]))
    assert main(["gate", str(path), "--waivers", str(file)]) == 2
    assert "waiver[" in (said := capsys.readouterr().out) and "speaks of no claim" in said
    file.write_text("[[waiver]]\n")
    assert main(["gate", str(path), "--waivers", str(file)]) == 2


def test_waivers_named_in_the_audit_file_are_read_before_the_night(tmp_path):
    from audit import config, runner

    (tmp_path / "audit.toml").write_text(
        '[model]\npath = "m"\n[decision]\nfavourable = ["yes"]\n[corpora.test]\npath = "t.csv"\n'
        '[waivers]\nfile = "waivers.toml"\n'
    )
    read = config.read(tmp_path / "audit.toml")
    with pytest.raises(ConfigError, match="no waivers file"):
        runner.run(read, tmp_path / "out", base=tmp_path)

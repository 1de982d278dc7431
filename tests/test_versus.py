"""The page of a comparison: short at first sight, whole in JSON, inert, and honest about unlike audits."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_runner import config, corpus, run  # noqa: F401
from test_standing import LOST, WEAK

from audit import store, versus
from audit.cli import main
from audit.errors import ConfigError
from audit.likeness import unlike
from audit.multiplicity import holm, weighted_holm
from audit.showing import margins_of
from audit.standing import standing
from audit.types import Claim, Verdict
from audit.weighing import claim_changes, names


@pytest.fixture
def two(tmp_path, corpus):  # noqa: F811
    for name, model in (("weak", WEAK), ("lost", LOST)):
        run(tmp_path / name, corpus, model=model)
    return [tmp_path / "weak", tmp_path / "lost"]


def test_the_page_shows_first_what_was_asked_and_folds_the_rest(two, tmp_path, capsys):
    page, data = tmp_path / "page.html", tmp_path / "page.json"
    assert main(["compare", *map(str, two), "--html", str(page), "--json", str(data)]) == 0
    said, html = capsys.readouterr().out, page.read_text("utf-8")
    told = json.loads(data.read_text("utf-8"))
    changes = told["comparisons"][0]["changes"]
    first, rest = versus.leading(standing(two).comparisons[0])
    assert len(first) + len(rest) == len(changes) and {c.measurement for c in first} >= {"accuracy"}
    assert f"{len(rest)} further measurements" in said
    assert told["comparisons"][0]["advice"][0] in html
    assert "<script" not in html and "unsafe" not in html and "default-src &#39;none&#39;" in html
    assert html == versus.to_html(standing(two))


def test_the_page_has_a_twin_in_chinese_with_the_same_numbers(two, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["compare", *map(str, two), "--html", str(page)]) == 0
    assert "page.zh.html" in capsys.readouterr().out
    english, chinese = (p.read_text("utf-8") for p in (page, page.with_suffix(".zh.html")))
    assert '<html lang="zh-CN" data-l="zh">' in chinese and "结论" in chinese
    numbers = [re.findall(r'<data value="([^"]*)"', text) for text in (english, chinese)]
    assert numbers[0] == numbers[1] and len(numbers[0]) > 50
    # Both languages stand in both; attributes and titles are in the page's own.
    own = re.findall(r'aria-label="([^"]*)"|<title>([^<]*)</title>', chinese)
    assert own and not [x for x in own if "".join(x).isascii() and "".join(x) not in ("lost",)]


def test_a_name_that_is_markup_stays_text(two):
    found = standing(two)
    evil = "<img src=x onerror=alert(1)>"
    hostile = replace(
        found,
        names=(evil, "lost"),
        points={evil: found.points["weak"], "lost": found.points["lost"]},
        beaten={evil: (), "lost": ()},
    )
    assert "<img" not in versus.to_html(hostile)


def test_audits_that_asked_other_questions_are_refused_with_the_reason(two, capsys):
    result = store.read(two[1])
    plan = replace(result.plan, seed=result.plan.seed + 1)
    decision = replace(plan.decision, threshold=0.7)
    other = replace(result, plan=replace(plan, decision=decision))
    reasons = unlike(store.read(two[0]), other)
    assert any("seed" in r for r in reasons) and any("0.7" in r for r in reasons)
    store.write(two[1], other, [])
    assert main(["compare", *map(str, two)]) == 2
    assert "did not ask the same" in capsys.readouterr().err
    assert main(["compare", *map(str, two), "--unlike"]) == 0
    assert "did not ask the same" in capsys.readouterr().out
    assert "did not ask the same" in versus.to_html(standing(two, like=False))


def test_margins_are_read_from_the_command_line(two):
    assert margins_of(["accuracy=0.05", "a.b[x=y]=0.1"]) == {"accuracy": 0.05, "a.b[x=y]": 0.1}
    for bad in ("accuracy", "accuracy=2", "=0.1", "a=x"):
        with pytest.raises(ConfigError, match="no margin"):
            margins_of([bad])
    loose = standing(two, margins={"accuracy": 0.9}).comparisons[0]
    kept = {c.measurement: c.kept for c in loose.changes}
    assert kept["accuracy"] == "kept"
    tight = standing(two).comparisons[0]
    assert {c.measurement: c.kept for c in tight.changes}["accuracy"] == "broken"


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ("pass", "fail", "new"),
        ("inconclusive", "fail", "new"),
        ("fail", "pass", "resolved"),
        ("fail", "fail", "remains"),
        ("fail", "inconclusive", "closed"),
        ("pass", "inconclusive", "opened"),
        ("inconclusive", "pass", "closed"),
        ("pass", "pass", "same"),
        (None, "fail", "one_sided"),
    ],
)
def test_what_became_of_a_gate(before, after, outcome):
    claim = Claim(id="m <= 0.1", measurement="m", side="at_most", limit=0.1, gate=0)

    def audited(status):
        said = () if status is None else (Verdict(claim=claim, status=status, m=1, because="x"),)
        return SimpleNamespace(verdicts=said)

    (found,) = claim_changes(audited(before), audited(after))
    assert found.outcome == outcome and found.claim == "m <= 0.1"


def test_a_question_asked_first_needs_less():
    ps = [0.004, 0.004, 0.2, 0.3]
    assert weighted_holm(ps, [1, 1, 1, 1]).tolist() == pytest.approx(holm(ps).tolist())
    mine, other, *_ = weighted_holm(ps, [0.8, 0.2 / 3, 0.2 / 3, 0.2 / 3])
    # By hand: 0.004 / 0.8 of a whole of 1; then 0.004 / 0.0667 of what is left, 0.2.
    assert mine == pytest.approx(0.005) and other == pytest.approx(0.012)
    with pytest.raises(ValueError, match="weight"):
        weighted_holm([0.1], [0.0])


def test_a_pattern_speaks_of_an_id_its_metric_or_a_run_of_characters():
    name = "swaps.favourable_gap[axis=gender,pair=female-male]"
    for pattern in (name, "swaps.favourable_gap", "*_gap", "swaps.*[axis=gender,*]"):
        assert names(pattern, name)
    for pattern in ("swaps", "favourable_gap", "swaps.favourable_ga?"):
        assert not names(pattern, name)

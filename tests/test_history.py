"""Gates over time: every number with its interval, and a line where two cannot be compared."""

import json
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from report_fixture import ALL, HOSTILE, clear, corpus_info, hostile, normal, provenance
from test_gate_table import audited

from audit import history, judging
from audit.borders import write_json
from audit.cli import main
from audit.errors import ResultError
from audit.types import Telemetry


def stored(folder, name, result, finished):
    path = folder / name / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(write_json(replace(result, telemetry=Telemetry(finished=finished))))


def one(position, sha="a", **parts):
    told = {
        "position": position,
        "texts": "enough",
        "run": "ran",
        "waiver": "no waiver",
        "against": "level",
        "undecided": "exit3",
        "blocking": True,
    }
    result = judging.judged(audited(**(told | parts)))
    origin = provenance(model=sha * 64, corpora=(corpus_info(sha256=sha * 64),))
    return replace(result, provenance=origin)


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "audits"
    stored(folder, "z-first", one("below"), "2026-01-01T00:00:00+00:00")
    stored(folder, "a-second", one("across"), "2026-02-01T00:00:00+00:00")
    stored(folder, "m-third", one("above", sha="b"), "2026-03-01T00:00:00+00:00")
    return folder


def test_audits_stand_in_the_order_of_time_whatever_their_names(kept):
    found = history.collect(kept)
    assert [a.path for a in found.audits] == [
        "z-first/result.json",
        "a-second/result.json",
        "m-third/result.json",
    ]
    assert [a.exit_code for a in found.audits] == [0, 3, 1]
    (series,) = found.series
    assert [p.status for p in series.points] == ["pass", "inconclusive", "fail"]
    assert [round(p.estimate.value, 2) for p in series.points] == [0.02, 0.1, 0.3]
    assert all(p.estimate.low < p.estimate.value < p.estimate.high for p in series.points)


def test_other_texts_break_the_series_and_the_trend_says_so(kept):
    (series,) = history.collect(kept).series
    assert [p.changed for p in series.points] == [(), (), ("other texts",)]
    assert "measured alike in the last 1 only" in series.trend


def test_other_settings_and_another_seed_break_it_too(tmp_path):
    first, second = one("below"), one("below")
    runs = tuple(replace(r, params={"shortest": 6}) for r in second.runs)
    second = replace(second, runs=runs, plan=replace(second.plan, seed=3))
    stored(tmp_path, "1", first, "2026-01-01")
    stored(tmp_path, "2", second, "2026-01-02")
    (series,) = history.collect(tmp_path).series
    assert series.points[1].changed == (
        "seed 3 in place of 0",
        "typos: another version or other settings",
    )


def test_the_same_audit_twice_counts_once_and_what_is_no_result_is_named(kept):
    (kept / "copy").mkdir()
    (kept / "copy" / "result.json").write_text((kept / "z-first" / "result.json").read_text())
    (kept / "notes.json").write_text("{}")
    (kept / "a-second" / "verdict.json").write_text("{}")
    found = history.collect(kept)
    assert len(found.audits) == 3
    (said,) = found.unread
    assert said.startswith("notes.json was left out")


def test_an_audit_without_a_number_is_a_row_that_says_why(tmp_path):
    stored(tmp_path, "1", one("none"), "2026-01-01")
    found = history.collect(tmp_path)
    assert found.series[0].points[0].estimate is None
    assert "no text was left" in history.to_html(found)
    assert found.series[0].trend == "No audit has a number for it."


def test_an_empty_folder_is_a_sentence(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ResultError, match="There is no"):
            history.collect(folder)


def test_the_json_holds_every_point(kept):
    said = json.loads(history.to_json(history.collect(kept)))
    assert said["schema"] == 1 and len(said["audits"]) == 3
    assert [p["estimate"]["basis"]["hits"] for p in said["series"][0]["points"]] == [20, 100, 300]


def test_the_page_loads_nothing_and_runs_nothing(kept):
    page = history.to_html(history.collect(kept))
    assert "<script" not in page and not re.search(r"\s(style|on\w+)=", page)
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r'(src|href)="(?!#)', page)


def test_the_page_draws_each_interval_with_its_limit(kept):
    page = history.to_html(history.collect(kept))
    rows = page.split('<section id="g1"')[1]
    assert rows.count('class="ci"') == 3 and rows.count('class="lim"') == 3
    assert "0.300, 95% interval" in rows and "From here on:" in rows


def test_the_style_of_the_page_is_the_one_its_policy_names(kept):
    import base64
    import hashlib

    page = history.to_html(history.collect(kept))
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"sha256-{digest}" in page


def test_hostile_texts_stay_text(tmp_path):
    stored(tmp_path, "1", hostile(), "<script>alert(1)</script>")
    page = history.to_html(history.collect(tmp_path))
    assert "<script" not in page and "‮" not in page
    outside = re.sub("<[^<>]*>", "", page)
    assert HOSTILE[0].replace("<", "&lt;").replace(">", "&gt;") in outside
    assert history.to_json(history.collect(tmp_path)).isascii()


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_kind_of_result_has_a_page(tmp_path, name):
    stored(tmp_path, "1", ALL[name](), "2026-01-01")
    stored(tmp_path, "2", ALL[name](), "2026-01-02")
    assert history.to_html(history.collect(tmp_path)).endswith("</html>")


def test_the_command_writes_both_and_prints_the_last_number(kept, tmp_path, capsys):
    page, data = tmp_path / "h.html", tmp_path / "h.json"
    assert main(["history", str(kept), "--html", str(page), "--json", str(data)]) == 0
    said = capsys.readouterr().out
    assert "3 audits" in said and "pass inconclusive fail" in said
    assert page.exists() and json.loads(data.read_text())["schema"] == 1
    assert main(["history", str(tmp_path / "none")]) == 2
    assert main(["history", str(kept), "--tracker", "mlfow"]) == 2
    assert "Did you mean 'mlflow'?" in capsys.readouterr().err


# The trackers are stand-ins: neither is installed here.


def test_mlflow_gets_a_run_for_each_audit(kept, monkeypatch, capsys):
    from contextlib import nullcontext

    logged = []
    fake = SimpleNamespace(
        start_run=lambda run_name: nullcontext(logged.append(run_name)),
        set_tags=lambda tags: logged.append(sorted(tags)),
        log_metrics=logged.append,
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    assert main(["history", str(kept), "--tracker", "mlflow"]) == 0
    assert logged[0] == "z-first/result.json" and len(logged) == 9
    assert logged[2]["typos.flip_rate"] == pytest.approx(0.02)
    assert logged[2]["typos.flip_rate/low"] < 0.02 < logged[2]["typos.flip_rate/high"]


def test_wandb_gets_a_run_for_each_audit(kept, monkeypatch, capsys):
    logged = []

    def init(**said):
        return SimpleNamespace(log=logged.append, finish=lambda: logged.append(said["name"]))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    assert main(["history", str(kept), "--tracker", "wandb"]) == 0
    assert len(logged) == 6 and logged[4]["exit_code"] == 1.0


def test_a_tracker_that_is_not_installed_is_a_sentence(kept, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main(["history", str(kept), "--tracker", "wandb"]) == 2
    assert "wandb is not installed" in capsys.readouterr().err


def test_real_results_of_two_kinds_share_a_page(tmp_path):
    stored(tmp_path, "1", normal(), "2026-01-01")
    stored(tmp_path, "2", clear(), "2026-01-02")
    found = history.collect(tmp_path)
    assert len(found.series) >= len({v.claim.measurement for v in normal().verdicts})

"""The side-by-side table says what the kept raw outputs say."""

import csv
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "peers" / "reports"
TEXT = (ROOT / "docs" / "peers.md").read_text("utf-8").replace("−", "-")


@pytest.fixture(scope="module")
def measured():
    with (KEPT / "evenhand.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    "name",
    [
        "swaps.favourable_gap[axis=gender,pair=female-male]",
        "swaps.favourable_gap[axis=names_race,pair=white-black]",
        "group_rates.selection_rate_gap[against=male,sex=female]",
        "group_rates.selection_rate_gap[against=white,race=black]",
        "typos.flip_rate",
        "noise.flip_rate[kind=keyboard]",
    ],
)
def test_our_numbers_are_those_of_the_kept_table(name, measured):
    row = measured[name]
    value, low, high = (f"{float(row[key]):.3f}" for key in ("value", "low", "high"))
    assert f"{value} [{low}, {high}]" in TEXT


def test_our_verdicts_are_those_of_the_kept_run(measured):
    gender = measured["swaps.favourable_gap[axis=gender,pair=female-male]"]
    assert "fail" in gender["status"]
    for name in (
        "swaps.favourable_gap[axis=names_race,pair=white-black]",
        "group_rates.selection_rate_gap[against=male,sex=female]",
        "group_rates.selection_rate_gap[against=white,race=black]",
        "typos.flip_rate",
    ):
        assert "inconclusive" in measured[name]["status"] and "fail" not in measured[name]["status"]


def test_giskards_numbers_are_those_of_its_report():
    said = (KEPT / "giskard.md").read_text("utf-8")
    issues = [
        line for line in said.splitlines() if line.startswith("| ") and "Vulnerab" not in line
    ]
    assert "20/231 tested samples (8.66%)" in said and "20 of 231" in TEXT and "8.66 %" in TEXT
    assert "61/400 tested samples (15.25%)" in said and "61 of 400" in TEXT and "15.25 %" in TEXT
    assert "instead of 17" in TEXT and len(issues) == 17
    assert sum("Performance" in line for line in issues) == 15 and "15 slices" in TEXT
    assert "-20.43% than global" in said and "-20.43 %" in TEXT


def test_langtests_numbers_are_those_of_its_table():
    with (KEPT / "langtest.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["test_type"]: row for row in csv.DictReader(file)}
    assert all(row["pass"] == "True" for row in rows.values())
    rate = {name: row["pass_rate"].replace("%", " %") for name, row in rows.items()}
    female, male = rate["replace_to_female_pronouns"], rate["replace_to_male_pronouns"]
    assert f"female pronouns {female}, male pronouns {male}" in TEXT
    black, white = rate["replace_to_black_firstnames"], rate["replace_to_white_firstnames"]
    assert f"{black} and {white} unchanged" in TEXT
    typo = rows["add_typo"]
    every = int(typo["fail_count"]) + int(typo["pass_count"])
    assert f"{typo['fail_count']} of {every} changed" in TEXT


def test_times_and_versions_are_those_of_the_runs():
    runs = json.loads((KEPT / "runs.json").read_text("utf-8"))
    line = next(line for line in TEXT.splitlines() if line.startswith("| Time on"))
    shown = list(map(int, re.findall(r"(\d+) s\b", line)))
    wanted = [runs[tool]["seconds"] for tool in ("giskard", "langtest", "evenhand")]
    assert all(abs(a - b) <= 0.5 for a, b in zip(shown, wanted, strict=True))
    assert runs["giskard"]["version"] in TEXT and runs["langtest"]["version"] in TEXT
    assert {run["texts"] for run in runs.values()} == {400}


def test_every_tool_met_the_same_model():
    """The committed weights are what `reports.py model` makes of the generator's texts."""
    kept = json.loads((KEPT / "model.json").read_text("utf-8"))
    assert kept["weights"]["women's"] < -0.5
    from benchmarks.peers.reports import Bag

    bag = Bag()
    assert bag.advance("She is captain of the women's club.") < bag.advance("He is captain.")

"""Several audits: who is beaten by whom, and which texts each lost, by group."""

import json

import pytest
from test_compare import WEAK
from test_runner import config, corpus, run  # noqa: F401

from audit import store
from audit.cli import main
from audit.errors import ConfigError, ResultError
from audit.pairing import match
from audit.pareto import front
from audit.standing import lost_of, standing
from audit.testing import Lexicon
from audit.types import Estimate

LOST = Lexicon(good=3.0, terrible=-3.0, nothing=5.0)
"""Takes every neutral text for a good one."""


@pytest.fixture
def three(tmp_path, corpus):  # noqa: F811
    for name, model in (
        ("weak", WEAK),
        ("lost", LOST),
        ("again", Lexicon(good=3.0, terrible=-3.0, nothing=-1.0)),
    ):
        run(tmp_path / name, corpus, model=model)
    return [tmp_path / name for name in ("weak", "lost", "again")]


def test_the_front_is_that_of_the_points_and_a_twin_beats_nobody(three):
    found = standing(three)
    assert found.names == ("weak", "lost", "again")
    names = [name for name, _ in found.objectives]
    assert names[0] == "accuracy" and "typos.flip_rate" in names
    ways = ["higher" if b == "higher" else "lower" for _, b in found.objectives]
    points = {
        n: [
            abs(e.value) if b == "nearer_zero" else e.value
            for e, (_, b) in zip(row, found.objectives, strict=True)
        ]
        for n, row in found.points.items()
    }
    assert found.front == front(points, ways)
    assert found.points["weak"] == found.points["again"]
    assert "again" not in found.beaten["weak"] and "weak" not in found.beaten["again"]
    assert found.points["lost"][0].value < found.points["weak"][0].value
    assert len(found.comparisons) == 2
    assert all(isinstance(e, Estimate) for row in found.points.values() for e in row)


def test_the_texts_lost_are_those_of_the_tables_by_group(three):
    found = standing(three)
    units = [store.read_table(folder, store.UNITS) for folder in three[:2]]
    wanted = [
        i
        for i, (a, b) in enumerate(zip(units[0]["correct"], units[1]["correct"], strict=True))
        if a and not b
    ]
    lost = found.lost[0]
    assert lost.model == "lost" and list(lost.ids) == [units[0]["id"][i] for i in wanted]
    assert wanted and lost.won == 0
    groups = {f"sex={g}": [] for g in "fm"}
    for i in wanted:
        groups[f"sex={units[0]['group:sex'][i]}"].append(units[0]["id"][i])
    assert {g: list(ids) for g, (ids, _) in lost.groups.items()} == groups
    assert sum(n for _, n in lost.groups.values()) == 90
    assert found.lost[1].ids == () and found.lost[1].won == 0
    back = match((units[1], units[0]), store.read(three[0]).plan.decision)
    assert lost_of("back", back).won == len(wanted) and lost_of("back", back).ids == ()


def test_the_command_says_who_is_beaten_and_writes_the_lost_texts(three, tmp_path, capsys):
    out = tmp_path / "lost.json"
    assert main(["compare", *map(str, three), "--lost", str(out)]) == 0
    said = capsys.readouterr().out
    assert "lost against weak" in said and "beaten by weak" in said
    assert "texts were right before and are wrong after" in said
    told = json.loads(out.read_text())
    assert len(told["lost"]["ids"]) == 30 and told["again"]["ids"] == []
    assert main(["compare", str(three[0]), str(three[2])]) == 0
    assert "beaten" not in capsys.readouterr().out


def test_what_cannot_be_ranked_by_is_a_sentence(three):
    with pytest.raises(ConfigError, match="no measurement 'typos.flip_rat'"):
        standing(three, ["typos.flip_rat"])
    with pytest.raises(ConfigError, match="one audit"):
        standing(three[:1])
    with pytest.raises(ResultError):
        standing([three[0], three[0] / "nothing"])
    assert [n for n, _ in standing(three, ["typos.flip_rate"]).objectives] == [
        "accuracy",
        "typos.flip_rate",
    ]

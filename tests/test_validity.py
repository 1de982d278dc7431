"""Successes that changed the meaning are told from others, by filters and by a human's ratings."""

import csv

import numpy as np
import pytest

from audit import foreign, stats, store
from audit.cli import main
from audit.errors import DataError
from audit.resources import Resources
from audit.types import Cases
from audit.validity import (
    adjusted,
    harmless,
    rated,
    ratings_for,
    read_ratings,
    sample_id,
    sheet,
    turned,
)

ID = "attack.attack_success_rate[recipe=pwws]"


def test_a_word_replaced_by_its_opposite_is_seen_and_a_typing_slip_is_none():
    if Resources().wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")
    foreign.textattack(wordnet=True)
    assert turned("a very good film", "a very bad film")
    assert not turned("a very good film", "a very great film")
    assert not turned("a very good film", "a very goood fiml")


def audit(folder, n, text=lambda i: f"text {i}"):
    store.write_cases(
        folder / store.CASES,
        [
            Cases(
                metric=metric,
                example_id=[f"e{i}" for i in range(n)],
                before=[text(i) for i in range(n)],
                after=[f"{text(i)}!" for i in range(n)],
                score_before=[0.9] * n,
                score_after=[0.1] * n,
                flipped=[i % 4 != 0 for i in range(n)],
            )
            for metric in (ID, "typos.flip_rate")
        ],
    )


def test_a_sheet_holds_fifty_successes_and_its_ratings_come_back(tmp_path):
    audit(tmp_path, 200)
    assert sheet(tmp_path, tmp_path / "sheet.csv") == 50
    rows = list(csv.DictReader((tmp_path / "sheet.csv").read_text("utf-8").splitlines()))
    assert len({row["sample"] for row in rows}) == 50
    names = {sample_id(ID, f"e{i}", f"text {i}", f"text {i}!"): i for i in range(200)}
    # Failures and cases of other probes are not on it, and the draw is no head of the list.
    assert all(names[row["sample"]] % 4 for row in rows)
    assert max(names[row["sample"]] for row in rows) > 150
    said = read_ratings({row["sample"]: "yes" if i < 30 else "no" for i, row in enumerate(rows)})
    assert ratings_for(said, list(names)) == (30, 50)
    assert read_ratings({"s1": " "}) == {}
    with pytest.raises(DataError, match="neither yes nor no"):
        read_ratings({"s1": "perhaps"})


def test_no_cell_of_the_sheet_is_a_formula(tmp_path):
    evil = ["=1+1", "+x", "-2", "@sum", "\t=cmd", " =a", "a\r\nb", "fine"]
    audit(tmp_path, 8, lambda i: evil[(i + 1) % 8])
    sheet(tmp_path, tmp_path / "sheet.csv")
    for row in csv.DictReader((tmp_path / "sheet.csv").read_text("utf-8").splitlines()):
        assert all(cell.lstrip()[:1] not in tuple("=+-@") for cell in row.values())
        assert all(c.isprintable() for cell in row.values() for c in cell)
    assert harmless("plain - text") == "plain - text"


def test_with_every_success_rated_the_rate_is_that_of_valid_successes():
    full = adjusted(stats.share(40, 100), 40, 30, 40)
    plain = stats.share(30, 100)
    assert full.value == pytest.approx(0.3)
    assert (full.low, full.high) == pytest.approx((plain.low, plain.high), abs=0.01)
    part = adjusted(stats.share(40, 100), 40, 15, 20)
    assert part.value == pytest.approx(0.3) and part.high - part.low > full.high - full.low
    assert adjusted(stats.share(40, 100), 40, 0, 20).high == stats.share(0, 20).high
    assert adjusted(stats.share(40, 100), 40, 0, 0).code == "empty"


def test_the_interval_covers_when_a_part_is_rated():
    rng, hits, n = np.random.default_rng(5), 0, 600
    for _ in range(n):
        found = rng.random(120) < 0.5
        good = rng.random(int(found.sum())) < 0.7
        rated = rng.permutation(good)[:25]
        e = adjusted(stats.share(len(good), 120), len(good), int(rated.sum()), len(rated))
        hits += e.low <= 0.35 <= e.high
    assert hits / n > 0.93


AUDIT = """
[model]
path = "mine.py:classifier"
[decision]
favourable = ["good"]
[corpora.test]
path = "texts.csv"
label = "label"
id = "id"
[[probe]]
name = "attack"
min_n = 1
"""
MINE = """
import numpy as np

class Keyword:
    labels = ("bad", "good")
    fingerprint = "keyword"

    def probabilities(self, texts):
        p = np.array([0.9 if "excellent" in t else 0.2 for t in texts])
        return np.stack([1 - p, p], axis=1)

classifier = Keyword()
"""


def test_the_command_writes_a_sheet_and_brings_its_ratings_back_as_the_audit_does(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    rows = "\n".join(f'e{i},"an excellent film number {i}",good' for i in range(20))
    (tmp_path / "texts.csv").write_text(f"id,text,label\n{rows}\n")
    (tmp_path / "audit.toml").write_text(AUDIT)
    assert main(["run", "audit.toml", "--out", "one"]) == 0
    assert main(["rate", "one", "--out", "sheet.csv", "--most", "12"]) == 0
    assert "12 adversarial texts" in capsys.readouterr().out
    head, *lines = (tmp_path / "sheet.csv").read_text("utf-8").splitlines()
    # As a spreadsheet with semicolons saves it; one row is left without an answer.
    answers = ["yes"] * 9 + ["no"] * 2 + [""]
    filled = [line + answer for line, answer in zip(lines, answers, strict=True)]
    (tmp_path / "rated.csv").write_text("\n".join([head, *filled]).replace(",", ";"), "utf-8")
    (found,), strangers = rated(tmp_path / "one", tmp_path / "rated.csv")
    assert (found.valid, found.rated, found.successes, strangers) == (9, 11, 20, 0)
    assert found.value.value == pytest.approx(9 / 11)
    assert main(["rate", "one", "--ratings", "rated.csv"]) == 0
    assert "9 of 11 rated, of 20" in capsys.readouterr().out
    # The audit, given the same sheet, comes to the same number.
    (tmp_path / "rated.csv").write_text("\n".join([head, *filled]), "utf-8")
    (tmp_path / "audit.toml").write_text(
        AUDIT + 'ratings = "rated"\n[corpora.rated]\npath = "rated.csv"\ntext = "after"\n'
        'id = "sample"\ngroups = { valid = "valid" }\n'
    )
    assert main(["run", "audit.toml", "--out", "two"]) == 0
    (run,) = store.read(tmp_path / "two").runs
    again = next(m for m in run.measurements if m.metric == "rated_success_rate")
    assert again.value == found.value


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (["sample,before", "s1,x"], "no column 'valid'"),
        (["sample,valid", "s1,yes", "s1,no"], "twice"),
        (["sample,valid", "s1,perhaps"], "neither yes nor no"),
    ],
)
def test_a_sheet_that_cannot_be_read_is_refused(tmp_path, capsys, rows, why):
    audit(tmp_path, 8)
    (tmp_path / "sheet.csv").write_text("\n".join(rows) + "\n")
    assert main(["rate", str(tmp_path), "--ratings", str(tmp_path / "sheet.csv")]) == 2
    assert why in capsys.readouterr().err
    assert main(["rate", str(tmp_path)]) == 2
    assert "either --out or --ratings" in capsys.readouterr().err

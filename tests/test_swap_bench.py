import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import swaps
from benchmarks.peers import recorded
from benchmarks.swap_bench import sentences
from benchmarks.swap_bench.pair import exact

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def found():
    return sentences.load()


def share(found, tool, part):
    k, n = swaps.total(swaps.tally(found, tool), part)
    return k / n


def test_every_sentence_is_the_one_that_was_answered_and_there_are_enough(found):
    parts = {part: [s for s in found if s.part == part] for part in "abcde"}
    assert len(parts["a"]) >= 1000
    assert min(len(parts[part]) for part in "bcde") >= 150
    assert len({s.id for s in found}) == len(found)
    assert {s.axis for s in parts["c"]} >= {"gender", "religion", "race_ethnicity", "age"}
    for part in "de":
        assert not {s.text for s in parts[part]} & {s.text for s in found if s.part != part}
    assert 0.15 <= sum(s.stays for s in parts["b"]) / len(parts["b"]) <= 0.4


def test_a_changed_text_is_refused(monkeypatch):
    monkeypatch.setattr(
        sentences.draw, "draw", lambda: ((s, i, t, x + " ") for s, i, t, x in drawn)
    )
    drawn = [("edos", "test.sexism2022_english-5593", "pronoun", "Another text.")]
    with pytest.raises((ValueError, KeyError)):
        sentences.drawn()


def test_a_person_who_knows_the_answers_is_right_throughout(found):
    wrong = [s.id for s in found if not s.is_right(s.answer())]
    assert wrong == []


def test_an_answer_undone_is_wrong_wherever_something_changes(found):
    """Unless leaving a sentence alone is accepted, the sentence itself is no answer to it."""
    lenient = [s for s in found if s.is_right(s.text) and not s.stays]
    assert len(lenient) < 0.03 * len(found)
    assert all((s.text,) in s.accepted for s in lenient)


@pytest.mark.parametrize(
    "cheat",
    [
        lambda s: s.text,
        swaps.naive,
        lambda s: s.answer().lower(),
        lambda s: s.answer() + " ",
        lambda s: s.answer().replace("his", "him"),
    ],
    ids=["leave everything", "word table", "lower case", "one space more", "him for his"],
)
def test_a_cheat_meets_no_bar(found, cheat):
    assert any(share(found, cheat, part) < swaps.BARS[part] for part in swaps.BARS)
    assert share(found, cheat, "c") < swaps.BARS["c"]


def sentence(accepted, text="Susan told Susan that she had met Ann."):
    return replace(sentences.constructed()[0], text=text, accepted=(accepted,), id="x", cluster="x")


def test_a_name_has_to_be_new_of_the_right_gender_and_the_same_throughout():
    asked = sentences._edited(
        "Susan told Susan that she had met Ann.",
        [[0, "Susan", "{male}"], [11, "Susan", "{male}"], [22, "she", "he"], [34, "Ann", "{male}"]],
    )
    judged = sentence(asked)
    assert judged.is_right("Peter told Peter that he had met Paul.")
    assert not judged.is_right("Peter told Paul that he had met Mark.")
    assert not judged.is_right("Peter told Peter that he had met Peter.")
    assert not judged.is_right("Mary told Mary that he had met Paul.")
    assert not judged.is_right("peter told peter that he had met Paul.")
    assert not judged.is_right("Peter told Peter that she had met Paul.")


def test_alternatives_are_right_and_nothing_else():
    judged = sentence(sentences._template("I couldn't stop {him/his} crying."), "x")
    assert judged.is_right("I couldn't stop him crying.")
    assert judged.is_right("I couldn't stop his crying.")
    assert not judged.is_right("I couldn't stop her crying.")


def test_a_pair_is_exact_only_if_pronouns_alone_differ():
    assert exact("He saw her.", "She saw him.") == [(0, "He", "She"), (2, "her", "him")]
    assert exact("He lost his key.", "She lost her key.") is not None
    assert exact("He is rude.", "She is careless.") is None
    assert exact("He saw his mom.", "She saw her mom.") is None
    assert exact("They left.", "They left.") is None


@pytest.mark.parametrize("tool", recorded.TOOLS)
def test_the_record_of_another_tool_belongs_to_these_sentences(found, tool):
    record = recorded.read(tool)
    known = {recorded.key(s.text) for s in found}
    for texts in record["outputs"].values():
        assert set(texts) <= known
    changed = [s for s in found if any(t != s.text for t in recorded.outputs(record, s) or ())]
    assert len(changed) > 2500
    assert record["version"][0].isdigit()


def test_the_sabotaged_bench_fails():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "swaps.py", "--quick", "--sabotage"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert '"holds": false' in done.stdout.splitlines()[-1]

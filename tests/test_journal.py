import pytest

from audit.journal import Journal


def test_what_was_added_is_there_again(tmp_path):
    Journal(tmp_path).add("unit", "a", {"x": 1.5})
    assert Journal(tmp_path).get("unit", "a") == {"x": 1.5}


def test_the_latest_record_of_a_key_stands(tmp_path):
    journal = Journal(tmp_path)
    journal.add("unit", "a", {"x": 1})
    journal.add("unit", "a", {"x": 2})
    assert Journal(tmp_path).get("unit", "a") == {"x": 2}


def test_a_journal_cut_anywhere_keeps_every_whole_record(tmp_path):
    journal = Journal(tmp_path)
    for i in range(3):
        journal.add("unit", f"k{i}", {"i": i, "text": "line\nbreak ⟨é⟩"})
    whole = journal.path.read_bytes()
    ends = [i + 1 for i, b in enumerate(whole) if b == ord("\n")]
    for cut in range(len(whole) + 1):
        journal.path.write_bytes(whole[:cut])
        again = Journal(tmp_path)
        kept = sum(end <= cut for end in ends)
        assert [again.get("unit", f"k{i}") is not None for i in range(3)] == [
            i < kept for i in range(3)
        ]
        again.add("unit", "new", {})
        assert Journal(tmp_path).get("unit", "new") == {}
        assert Journal(tmp_path).damaged == 0


def test_a_flipped_bit_is_not_believed(tmp_path):
    journal = Journal(tmp_path)
    journal.add("unit", "a", {"x": 111})
    journal.add("unit", "b", {"x": 222})
    journal.path.write_bytes(journal.path.read_bytes().replace(b"111", b"112"))
    again = Journal(tmp_path)
    assert again.get("unit", "a") is None
    assert again.get("unit", "b") == {"x": 222}
    assert again.damaged == 1


def test_remembered_work_is_made_once_and_a_damaged_memory_again(tmp_path):
    made = []

    def make():
        made.append(1)
        return b"gradient"

    journal = Journal(tmp_path)
    assert journal.remember("k", make) == journal.remember("k", make) == b"gradient"
    assert len(made) == 1
    next((tmp_path / "memory").iterdir()).write_bytes(b"torn")
    assert journal.remember("k", make) == b"gradient"
    assert len(made) == 2


def test_a_number_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Journal(tmp_path).add("unit", "a", {"x": float("nan")})

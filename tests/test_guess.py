"""What a table's columns are is guessed from their names and values."""

from tables import as_csv, as_jsonl, put

from audit.guess import guess_columns


def test_columns_are_guessed_from_names_and_values(tmp_path):
    rows = [
        {"row": i, "uid": f"u{i}", "y": i % 2, "outcome": ["ham", "spam"][i % 2], "note": "x"}
        | {"remark": f"a longer remark about {i}", "author_gender": "fm"[i % 2], "author": i % 3}
        for i in range(50)
    ]
    guess = guess_columns(put(tmp_path, "a.csv", as_csv(rows)), ("ham", "spam"))
    assert (guess.text, guess.label, guess.id, guess.cluster) == (
        "remark",
        "outcome",
        "uid",
        "author",
    )
    assert guess.groups == {"author_gender": "author_gender"}
    assert guess.labels == ("ham", "spam")


def test_an_id_that_repeats_is_no_id(tmp_path):
    rows = [{"text": "a", "id": 1}, {"text": "b", "id": 1}]
    assert guess_columns(put(tmp_path, "a.jsonl", as_jsonl(rows))).id is None

"""No row of a table is lost unsaid, and whatever cannot be read is refused in one sentence."""

import csv
import gzip
import json
import time

import pytest
import realdata
from tables import as_csv, as_jsonl, put, spec

from audit import tables
from audit.config import CorpusConfig
from audit.corpus import from_frame, guess_columns, load
from audit.errors import AuditError, ConfigError, DataError
from audit.types import Skip

ROWS = [
    {"text": "good film", "label": "pos", "id": "a", "sex": "f", "author": "x"},
    {"text": "bad film", "label": "neg", "id": "b", "sex": "", "author": "x"},
    {"text": 'so, so "odd"\nfilm', "label": "", "id": "c", "sex": "m", "author": ""},
]
SPEC = {
    "label": "label",
    "id": "id",
    "groups": {"gender": "sex"},
    "cluster": "author",
}


def refused(folder, name, data, **changes):
    with pytest.raises(AuditError) as caught:
        load(spec(put(folder, name, data), **changes))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return caught.value


def written(folder, kind):
    if kind == "csv":
        return put(folder, "a.csv", as_csv(ROWS))
    if kind == "csv with a byte order mark":
        return put(folder, "a.csv", b"\xef\xbb\xbf" + as_csv(ROWS).encode())
    if kind == "jsonl":
        return put(folder, "a.jsonl", as_jsonl(ROWS))
    if kind == "jsonl.gz":
        return put(folder, "a.jsonl.gz", gzip.compress(as_jsonl(ROWS).encode()))
    if kind == "json":
        return put(folder, "a.json", json.dumps(ROWS))
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize(
    "kind", ["csv", "csv with a byte order mark", "jsonl", "jsonl.gz", "json", "parquet"]
)
def test_every_format_gives_the_same_texts(kind, tmp_path):
    corpus = load(spec(written(tmp_path, kind), **SPEC), name="reviews")
    assert [e.id for e in corpus.examples] == ["a", "b", "c"]
    assert corpus.examples[2].text == 'so, so "odd"\nfilm'
    assert [e.label for e in corpus.examples] == ["pos", "neg", None]
    assert [dict(e.groups) for e in corpus.examples] == [{"gender": "f"}, {}, {"gender": "m"}]
    assert [e.cluster for e in corpus.examples] == ["x", "x", None]
    assert corpus.labels == ("neg", "pos")
    assert len(corpus.sha256) == 64


def test_a_frame_gives_the_same_texts(tmp_path):
    import pandas as pd

    frame = pd.DataFrame(ROWS).assign(age=[1.0, None, 3.0])
    columns = SPEC | {"groups": {"gender": "sex", "age": "age"}}
    corpus = from_frame(frame, **columns)
    plain = load(spec(written(tmp_path, "csv"), **SPEC))
    assert [e.text for e in corpus.examples] == [e.text for e in plain.examples]
    assert [e.groups.get("age") for e in corpus.examples] == ["1", None, "3"]
    assert corpus.sha256 == from_frame(frame, **columns).sha256
    assert corpus.sha256 != from_frame(frame.assign(text="x"), **columns).sha256
    assert from_frame(frame, groups=["sex"]).examples[0].groups == {"sex": "f"}


def test_a_tsv_file_may_quote_its_cells_or_hold_plain_quotes(tmp_path):
    quoted = put(tmp_path, "q.tsv", 'text\tlabel\n"a ""b"" c"\tx\n')
    assert load(spec(quoted)).examples[0].text == 'a "b" c'
    plain = put(tmp_path, "p.tsv", 'text\tlabel\n"so he said\tx\nand left"\ty\n')
    assert [e.text for e in load(spec(plain)).examples] == ['"so he said', 'and left"']


def test_another_delimiter_is_named(tmp_path):
    problem = refused(tmp_path, "a.csv", "text;label\ngood;x\n")
    assert problem.hint == 'Set delimiter = ";" beside its path.'
    path = tmp_path / "a.csv"
    assert load(spec(path, delimiter=";", label="label")).examples[0].label == "x"


def test_pairs_are_read_from_two_columns(tmp_path):
    path = put(tmp_path, "a.jsonl", as_jsonl([{"text": "a", "b": "c"}, {"text": "a", "b": " "}]))
    corpus = load(spec(path, second="b"))
    assert corpus.examples[0].input == ("a", "c")
    assert corpus.skips == (Skip(reason="empty second text", count=1),)


def test_rows_without_an_id_are_numbered_as_they_stand_in_the_file(tmp_path):
    path = put(tmp_path, "a.csv", "text\none\n\n   \nthree\n")
    corpus = load(spec(path))
    assert [e.id for e in corpus.examples] == ["row-1", "row-3"]
    assert corpus.skips == (Skip(reason="empty text", count=1),)


def test_texts_that_are_empty_or_too_long_are_counted(tmp_path):
    texts = ["fine", "", "  \t", None, "ä" * 40_000, "x" * 65_536]
    corpus = load(spec(put(tmp_path, "a.jsonl", as_jsonl([{"text": t} for t in texts]))))
    assert [e.id for e in corpus.examples] == ["row-1", "row-6"]
    assert corpus.skips == (
        Skip(reason="empty text", count=3),
        Skip(reason="longer than 65536 bytes", count=1),
    )


def test_a_text_longer_than_csv_readers_like_is_counted_too(tmp_path):
    before = csv.field_size_limit()
    corpus = load(spec(put(tmp_path, "a.csv", "text\nshort\n" + "x" * 300_000 + "\n")))
    assert corpus.skips == (Skip(reason="longer than 65536 bytes", count=1),)
    assert csv.field_size_limit() == before


def test_a_limit_draws_by_id_and_not_from_the_top(tmp_path):
    rows = [{"text": f"t{i}", "id": f"i{i}"} for i in range(400)]
    path = put(tmp_path, "a.jsonl", as_jsonl(rows))
    corpus = load(spec(path, id="id", limit=100))
    ids = [int(e.id[1:]) for e in corpus.examples]
    assert len(ids) == 100
    assert ids == sorted(ids)
    assert 25 <= sum(i < 200 for i in ids) <= 75
    assert corpus.skips == (Skip(reason="beyond the limit of 100 texts", count=300),)
    # A row dropped elsewhere moves nobody else out.
    shorter = put(tmp_path, "b.jsonl", as_jsonl(rows[1:]))
    other = {e.id for e in load(spec(shorter, id="id", limit=100)).examples}
    assert len(other & {e.id for e in corpus.examples}) >= 99


def test_repeated_ids_are_named_with_both_places(tmp_path):
    problem = refused(tmp_path, "a.csv", 'id,text\n1,"a\nb"\n2,c\n1,d\n', id="id")
    assert str(problem) == "a.csv has the id '1' twice: line 2 and line 5."


def test_a_missing_id_is_named_with_its_place(tmp_path):
    problem = refused(tmp_path, "a.jsonl", '{"text": "a", "id": 1}\n\n{"text": "b"}\n', id="id")
    assert "line 3" in str(problem)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"text": "txet"}, "(text)"),
        ({"label": "lable"}, "(label)"),
        ({"groups": {"g": "sexx"}}, "'g'"),
    ],
)
def test_a_missing_column_is_named_with_the_one_that_was_meant(setting, said, tmp_path):
    problem = refused(tmp_path, "a.csv", as_csv(ROWS), **setting)
    assert said in str(problem)
    assert problem.hint.startswith("Did you mean '")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", " \n\n", "a.csv is empty"),
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.parquet", "", "a.parquet is empty"),
        ("a.csv", "text\n", "a header and no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.csv", "text\n \n\t\n", "no text that can be audited: 2 empty text"),
        ("a.csv", 'text,label\nfine,x\n"never closed,y\nmore,z\n', "broken at line 3"),
        ("a.csv", 'text,label\n"a" b,x\n', "broken at line 2"),
        ("a.csv", "text,label\na,x\na, b,x\n", "3 cells in line 3 and 2 columns"),
        ("a.csv", "text,label\na\n", "1 cells in line 2 and 2 columns"),
        ("a.csv", "text,text\na,b\n", "2 columns called 'text'"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "a.jsonl, line 2, is not JSON"),
        ("a.jsonl", '{"text": "a"}\n["b"]\n', "a.jsonl, line 2, is not a JSON object"),
        ("a.jsonl", "[" * 100_000, "is not JSON that can be read"),
        ("a.jsonl", '{"text": ["a"]}\n', "line 1: the column 'text' holds several values"),
        ("a.json", '{"text": "a"}', "is not a list of JSON objects"),
        ("a.parquet", "PAR1 and no more", "is not a Parquet file"),
        ("a.csv.gz", b"\x1f\x8b\x08 and no more", "damaged gzip"),
        ("a.txt", "text\n", "format of a.txt cannot be told"),
        ("a.csv", "text\nna\u00efve\n".encode("latin-1"), "byte 0xef at position 7 (line 2)"),
        ("a.csv", "text\ngood\n".encode("utf-16"), "byte 0xff at position 0 (line 1)"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_at_its_place(name, data, said, tmp_path):
    assert said in str(refused(tmp_path, name, data))


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("text\nna\u00efve\n".encode("cp1252"), "cp1252"),
        ("text\ngood\n".encode("utf-16"), "utf-16"),
        ("text\ngood and well\n".encode("utf-16-le"), "utf-16-le"),
        ("text\n中文的句子很短\n".encode("gb18030"), "gb18030"),
    ],
)
def test_the_hint_about_an_encoding_works(data, encoding, tmp_path):
    if encoding != "utf-16-le":  # which is UTF-8, too, as far as its bytes go
        assert f'encoding = "{encoding}"' in refused(tmp_path, "a.csv", data).hint
    corpus = load(spec(tmp_path / put(tmp_path, "a.csv", data).name, encoding=encoding), tmp_path)
    assert corpus.examples[0].text == data.decode(encoding).split("\n")[1]


@pytest.mark.parametrize("encoding", ["klingon", "zip", "undefined", "rot13", "a\0b"])
def test_an_encoding_that_is_none_is_refused(encoding, tmp_path):
    with pytest.raises(ConfigError, match="is not an encoding of text"):
        load(spec(put(tmp_path, "a.csv", "text\na\n"), encoding=encoding))


def test_a_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    from audit import decoding

    monkeypatch.setattr(decoding, "ALWAYS_ALLOWED", 1000)
    bomb = gzip.compress(b"text\n" + b"a" * 5_000_000)
    assert "unpacks to more than" in str(refused(tmp_path, "a.csv.gz", bomb))


def test_too_many_rows_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    assert "has 3 rows" in str(refused(tmp_path, "a.csv", as_csv(ROWS)))


def test_a_file_that_is_not_there_is_named_with_its_neighbour(tmp_path):
    put(tmp_path, "reviews.csv", "text\na\n")
    with pytest.raises(DataError, match="There is no file") as caught:
        load(spec("review.csv"), tmp_path)
    assert caught.value.hint == "Did you mean 'reviews.csv'?"
    with pytest.raises(DataError, match="is a folder"):
        load(spec("."), tmp_path)
    with pytest.raises(DataError):
        load(spec("a\0b.csv"), tmp_path)


def test_half_a_surrogate_pair_becomes_visible_and_control_characters_stay(tmp_path):
    row = '{"text": "a\\udc80b\\u0000\\u001b[31m\\u2028", "g": "\\ud83d"}\n'
    corpus = load(spec(put(tmp_path, "a.jsonl", row), groups={"g": "g"}))
    assert corpus.examples[0].text == "a\\udc80b\x00\x1b[31m\u2028"
    assert corpus.examples[0].groups == {"g": "\\ud83d"}


def test_ten_thousand_rows_are_read_in_well_under_a_second(tmp_path):
    rows = [
        {"text": f"a text of ordinary length, number {i}, says this and that " * 3, "id": f"i{i}"}
        | {"label": ["ham", "spam"][i % 2], "sex": "fm"[i % 2], "author": f"a{i % 99}"}
        for i in range(10_000)
    ]
    for name, data in (("a.csv", as_csv(rows)), ("a.jsonl", as_jsonl(rows))):
        path = put(tmp_path, name, data)
        start = time.process_time()
        corpus = load(spec(path, **SPEC), model_labels=("ham", "spam"))
        assert time.process_time() - start < 1.0
        assert len(corpus.examples) == 10_000


# Real data.


def test_the_main_english_set_is_read_whole():
    folder = realdata.path("edos")
    corpus = load(
        CorpusConfig(path="test.jsonl", label="label", id="id"),
        folder,
        model_labels=("not sexist", "sexist"),
    )
    rows = realdata.rows("edos", "test.jsonl")
    assert [e.text for e in corpus.examples] == [row["text"] for row in rows]
    assert [e.label for e in corpus.examples] == [row["label_name"] for row in rows]
    guess = guess_columns(folder / "test.jsonl", ("not sexist", "sexist"))
    assert (guess.text, guess.label, guess.id) == ("text", "label_name", "id")


def test_an_unknown_dialect_is_unknown():
    corpus = load(
        CorpusConfig(path="test.jsonl", label="label_name", id="id", groups={"dialect": "dialect"}),
        realdata.path("davidson"),
    )
    rows = realdata.rows("davidson", "test.jsonl")
    assert [e.groups.get("dialect") for e in corpus.examples] == [row["dialect"] for row in rows]


def test_annotators_votes_stand_in_columns_of_their_own(tmp_path):
    rows = [
        {"text": "one", "votes": "yes | no|yes", "bob": "no"},
        {"text": "two", "votes": "", "bob": "yes"},
        {"text": "three", "votes": "", "bob": ""},
    ]
    path = put(tmp_path, "a.csv", as_csv(rows))
    found = load(spec(path, votes=("votes", "bob")))
    assert [e.votes for e in found.examples] == [("yes", "no", "yes", "no"), ("yes",), ()]
    assert all(e.groups == {} for e in found.examples)
    assert [e.votes for e in load(spec(path)).examples] == [(), (), ()]
    assert "'vote' (votes)" in str(refused(tmp_path, "b.csv", as_csv(rows), votes=("vote",)))

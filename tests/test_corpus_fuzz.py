"""Anything at all is a corpus or an error in a sentence, and a text comes out as it went in."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import as_csv, as_jsonl, put, spec

from audit.corpus import load
from audit.errors import AuditError
from audit.types import Corpus

_HEADS = st.sampled_from([b"", b"text\n", b"text,label,id\n", b'{"text": "', b'[{"text": 1'])


@settings(max_examples=300, deadline=None)
@given(
    _HEADS,
    st.binary(max_size=80) | st.text(alphabet='",\n\r\t{}[]:a1\0\ufeff\\ud8', max_size=60),
    st.sampled_from(["csv", "tsv", "jsonl", "json"]),
)
def test_any_bytes_are_a_corpus_or_an_error_in_a_sentence(head, data, format):
    import tempfile
    from pathlib import Path

    data = head + (data if isinstance(data, bytes) else data.encode())
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), f"a.{format}", data)
        try:
            corpus = load(spec(path))
        except AuditError as refused:
            assert len(str(refused)) < 500
        else:
            assert isinstance(corpus, Corpus)
            assert all(e.text.strip() for e in corpus.examples)
            "".join(e.text for e in corpus.examples).encode("utf-8")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_any_damaged_parquet_is_an_error_in_a_sentence(data, whole):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), "a.parquet", b"PAR1" + data + (b"PAR1" if whole else b""))
        with pytest.raises(AuditError):
            load(spec(path))


_cells = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    str.strip
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_cells, min_size=1, max_size=6), st.sampled_from(["csv", "jsonl", "json"]))
def test_a_text_comes_out_as_it_went_in(texts, format):
    import tempfile
    from pathlib import Path

    rows = [{"text": t, "n": str(i)} for i, t in enumerate(texts)]
    write = {"csv": as_csv, "jsonl": as_jsonl, "json": json.dumps}[format]
    with tempfile.TemporaryDirectory() as folder:
        corpus = load(spec(put(Path(folder), f"a.{format}", write(rows))))
    assert [e.text for e in corpus.examples] == texts

import json

import numpy as np
import pytest
from tiny import tiny_bert

from audit import catalogue, corpus, model, runner
from audit.bench import Bench
from audit.config import CorpusConfig, ModelConfig, reads
from audit.decision import make
from audit.errors import ConfigError, DataError, Unsupported
from audit.report import render
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Example, Measurement

TEXTS = ["a good film in all", "a bad end of it all", "so it was", "good to see"]
MARKED = [((2, 6),), ((2, 5),), (), ((0, 4),)]


def texts(marked, n=40):
    return Corpus(
        name="test",
        labels=("negative", "positive"),
        examples=tuple(
            Example(id=f"e{i}", text=TEXTS[i % 4], rationale=marked[i % 4]) for i in range(n)
        ),
    )


def bench(some, made=None, **more):
    scorer = Scorer(made or Lexicon(good=2.0, bad=-2.0))
    return Bench(
        probe="plausibility",
        corpus=some,
        scorer=scorer,
        decision=make(("negative", "positive"), ("positive",)),
        resources=Resources(),
        **more,
    )


def run(on, **params):
    facts = list(catalogue.make("plausibility", params).run(on))
    return {f.metric: f for f in facts if isinstance(f, Measurement)}, facts


def test_a_model_that_reads_the_marked_words_agrees_with_them():
    found, facts = run(bench(texts(MARKED)))
    for metric in ("token_f1", "iou_f1", "average_precision"):
        assert found[metric].value.value == pytest.approx(1.0) and found[metric].value.n == 30
    assert found["over_chance"].value.low > 0.5
    assert {s.reason: s.count for s in found["token_f1"].left_out} == {"nobody marked a word": 10}
    (cases,) = [f for f in facts if isinstance(f, Cases)]
    assert cases.note[0] == "F1 1.00; marked by people: 'good'"


def test_a_model_that_reads_other_words_does_not():
    found, _ = run(bench(texts(MARKED), Lexicon(film=2.0, end=-2.0, see=1.0)))
    assert found["token_f1"].value.high < 0.2
    assert found["over_chance"].value.high < 0.2


def test_what_nobody_looked_at_is_counted_and_no_marks_at_all_are_said():
    found, _ = run(bench(texts([*MARKED[:3], None])), texts=5)
    left = {s.reason: s.count for s in found["token_f1"].left_out}
    assert left.pop("nobody looked for words to mark") == 10
    assert left == {"nobody marked a word": 10, "not drawn": 15}
    with pytest.raises(Unsupported, match="words that people marked"):
        run(bench(texts([None] * 4)))
    with pytest.raises(ConfigError, match="corpora"):
        run(bench(texts(MARKED)), corpus="marked")
    empty = Corpus(name="test", labels=("negative", "positive"), examples=())
    assert all(isinstance(m.value, Absent) for m in run(bench(empty))[0].values())


def test_the_plan_counts_what_occlusion_asks():
    on = bench(texts(MARKED))
    planned = catalogue.make("plausibility", {}).plan(on)
    assert on.scorer.queries == 0
    found, _ = run(on)
    assert tuple(f.id for f in found.values()) == planned.claims
    assert on.scorer.queries <= planned.queries + planned.units


def test_gradients_are_kept_without_words_and_say_the_same_twice(tmp_path):
    spec = ModelConfig(path=str(tiny_bert(tmp_path, TEXTS)), device="cpu")
    made, kept = model.load(spec, model.identify(spec)), {}

    def remember(key, make):
        return kept.setdefault(key, None) or kept.__setitem__(key, make()) or kept[key]

    first, _ = run(bench(texts(MARKED), made, remember=remember))
    assert run(bench(texts(MARKED), made, remember=remember))[0] == first
    assert kept and all(b"film" not in value for value in kept.values())
    assert first["token_f1"].value.n == 30


FORMS = [
    ("[[2, 6]]", ((2, 6),)),
    ("[1]", ((2, 6),)),
    ("[]", ()),
    ("", None),
    ("[[2, 6], [7, 11], [2, 6]]", ((2, 6), (7, 11))),
]


@pytest.mark.parametrize(("cell", "spans"), FORMS)
def test_a_column_says_what_was_marked(tmp_path, cell, spans):
    path = tmp_path / "a.csv"
    path.write_text(f'text,why\n"a good film","{cell}"\n', "utf-8")
    (one,) = corpus.load(CorpusConfig(path=str(path), rationale="why")).examples
    assert one.rationale == spans
    lines = tmp_path / "a.jsonl"
    value = json.loads(cell) if cell else None
    lines.write_text(json.dumps({"text": "a good film", "why": value}), "utf-8")
    (one,) = corpus.load(CorpusConfig(path=str(lines), rationale="why")).examples
    assert one.rationale == spans


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("oops", "no JSON"),
        ("3", "no list"),
        ("[[2, 99]]", "characters"),
        ("[[6, 2]]", "characters"),
        ("[7]", "word"),
        ("[-1]", "word"),
        ("[[1, 2, 3]]", "pairs"),
        ("[true]", "pairs"),
        ("[1, [2, 3]]", "pairs"),
        ('[""x""]', "pairs"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_cannot_be_marked_is_refused_with_its_place(tmp_path, cell, why):
    path = tmp_path / "a.csv"
    path.write_text(f'text,why\n"a good film","{cell}"\n', "utf-8")
    with pytest.raises(DataError, match=why) as said:
        corpus.load(CorpusConfig(path=str(path), rationale="why"))
    assert "'why'" in str(said.value) and "2" in str(said.value)


def test_a_parquet_column_of_lists_is_read(tmp_path):
    import pandas

    frame = pandas.DataFrame({"text": ["a good film"], "why": [np.array([[2, 6]]).tolist()]})
    frame.to_parquet(tmp_path / "a.parquet")
    (one,) = corpus.load(CorpusConfig(path=str(tmp_path / "a.parquet"), rationale="why")).examples
    assert one.rationale == ((2, 6),)


def test_an_audit_file_brings_it_to_the_page(tmp_path):
    rows = [
        {"text": t, "why": [list(s) for s in m]} for t, m in zip(TEXTS * 5, MARKED * 5, strict=True)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    text = """
[model]
path = "none"
[decision]
favourable = ["positive"]
[corpora.test]
path = "t.jsonl"
rationale = "why"
[[probe]]
name = "plausibility"
"""
    read = reads(text)
    made = Lexicon(good=2.0, bad=-2.0)
    result = runner.run(
        read,
        tmp_path / "out",
        base=tmp_path,
        audit_file=text,
        classifier=made,
        corpora={"test": corpus.load(read.corpora["test"], tmp_path, model_labels=made.labels)},
    )
    html = render(result)
    assert "token f1" in html and "marked by people" in html
    assert result.runs[0].measurements[0].value.value == pytest.approx(1.0)

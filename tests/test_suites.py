import json
import re

import pytest

from audit import corpus, suites
from audit.config import CorpusConfig
from audit.decision import make
from audit.errors import ConfigError, DataError
from audit.suitefiles import from_checklist, write
from audit.types import Corpus, Example

SENTIMENT = make(("negative", "positive"), ("positive",))


def of_rows(*rows, identity=(), **settings):
    """A suite from rows (text, label, groups, template)."""
    examples = tuple(
        Example(id=f"r{i}", text=text, label=label, groups=groups, cluster=template)
        for i, (text, label, groups, template) in enumerate(rows)
    )
    given = Corpus(name="mine", labels=("negative", "positive"), examples=examples)
    return suites.of_corpus(given, identity=identity, **settings)


@pytest.mark.parametrize("name", suites.packs())
def test_a_shipped_suite_is_whole(name):
    suite = suites.pack(name)
    templates = {c.template for c in suite.checks}
    assert len(templates) >= 12
    assert {c.kind for c in suite.checks} == {"MFT", "INV", "DIR"}
    assert len(suite.axes) >= 5
    ids = [v.id for c in suite.checks for v in c.variants]
    assert len(set(ids)) == len(ids)
    for check in suite.checks:
        assert len(check.variants) == 1 if check.kind == "MFT" else len(check.variants) > 1
        if check.kind == "MFT":
            assert check.expect in (("favourable",), ("unfavourable",))
        for v in check.variants:
            assert not re.search(r"[{}]|  ", v.text), v.text
            assert v.text[0].isupper(), v.text
    assert all(suites.about(name))


@pytest.mark.parametrize("name", suites.packs())
def test_an_invariance_check_changes_the_person_and_nothing_else(name):
    people = {row["person"] for rows in suites._people().values() for row in rows}
    spoken = sorted(people | {p[0].upper() + p[1:] for p in people}, key=len, reverse=True)
    hide = re.compile("|".join(map(re.escape, spoken)))
    pronoun = re.compile(r"\b(?:she|he|they|her|him|them|his|their)\b", re.IGNORECASE)
    for check in suites.pack(name).checks:
        if check.kind == "INV":
            left = {pronoun.sub("P", hide.sub("X", v.text)) for v in check.variants}
            assert len(left) == 1, left


def test_every_axis_has_groups_of_equal_size_with_two_people_each():
    for axis, rows in suites._people().items():
        sizes = {g: sum(r["group"] == g for r in rows) for g in {r["group"] for r in rows}}
        assert len(sizes) >= 2 and set(sizes.values()) in ({2}, {4}), axis


def test_what_medicine_may_weigh_is_no_axis_of_the_health_suite():
    assert not {"age", "disability", "gender_identity"} & set(suites.pack("health").axes)
    with pytest.raises(ConfigError, match="health has no axis 'age'"):
        suites.pack("health", ("age",))


def test_a_misspelt_suite_is_told_what_there_is():
    with pytest.raises(ConfigError, match="no shipped suite 'hirring'") as told:
        suites.pack("hirring")
    assert "hiring" in told.value.hint


def test_a_sentence_begins_with_a_capital_and_names_keep_theirs():
    person = {"person": "a Muslim", "they": "they", "them": "them", "their": "their"}
    text = "{Person} wrote. I met {person}; {their} work. {Their} end."
    assert suites._filled(text, person) == "A Muslim wrote. I met a Muslim; their work. Their end."


def test_rows_of_a_corpus_become_checks():
    suite = of_rows(
        ("fine", "positive", {"functionality": "plain", "target": "women"}, "t1"),
        ("nobody said", None, {}, "t1"),
        ("so", None, {"type": "INV", "case": "a"}, "t2"),
        ("also so", None, {"type": "inv", "case": "a"}, "t2"),
        ("alone", None, {"type": "INV", "case": "b"}, "t2"),
        ("no case", None, {"type": "DIR", "expect": "up"}, "t2"),
        ("it is", None, {"type": "DIR", "case": "c", "expect": "up"}, None),
        ("it is good", None, {"type": "DIR", "case": "c", "expect": "up"}, None),
        ("either", "negative", {"expect": "positive | negative"}, None),
        identity=("target",),
    )
    told = [(c.kind, c.template, c.expect, len(c.variants)) for c in suite.checks]
    assert told == [
        ("MFT", "t1", ("positive",), 1),
        ("INV", "t2", (), 2),
        ("DIR", "DIR c", ("up",), 2),
        ("MFT", "MFT r8", ("positive", "negative"), 1),
    ]
    assert suite.checks[0].variants[0].identity == {"target": "women"}
    assert {s.reason: s.count for s in suite.left_out} == {
        "DIR without a case to compare within": 1,
        "INV with one text alone": 1,
        "no expected decision": 1,
    }


def test_ids_of_another_corpus_are_not_those_of_audited_texts():
    suite = of_rows(("fine", "positive", {}, "t1"))
    assert suite.checks[0].variants[0].id == "mine/r0"


@pytest.mark.parametrize(
    ("groups", "error", "said"),
    [
        ({"type": "FUN"}, DataError, "is of type 'FUN'"),
        ({"type": "DIR", "case": "a", "expect": "sideways"}, DataError, "expects 'sideways'"),
    ],
)
def test_rows_that_cannot_be_checks_are_refused(groups, error, said):
    with pytest.raises(error, match=said):
        of_rows(("one", None, groups, None), ("two", None, groups, None))


def test_rows_of_one_case_that_disagree_are_refused():
    with pytest.raises(DataError, match="expect different things: down, up"):
        of_rows(
            ("one", None, {"type": "DIR", "case": "a", "expect": "up"}, None),
            ("two", None, {"type": "DIR", "case": "a", "expect": "down"}, None),
        )


def test_a_column_that_is_not_there_is_refused():
    row = ("one", "positive", {"target": "women"}, None)
    with pytest.raises(ConfigError, match="has the group 'tarhet'") as told:
        of_rows(row, identity=("tarhet",))
    assert "target" in told.value.hint
    with pytest.raises(ConfigError, match="has the group 'ability'"):
        of_rows(row, functionality="ability")


def test_labels_that_the_model_has_not_need_a_mapping():
    suite = of_rows(("one", "hateful", {}, None), ("two", None, {"expect": "neutral"}, None))
    with pytest.raises(ConfigError, match="expects the label 'hateful'") as told:
        suites.fitted(suite, SENTIMENT, {})
    assert "Map it" in told.value.hint and "negative, positive" in told.value.hint
    with pytest.raises(ConfigError, match="'hateful' is mapped to 'negativ'") as told:
        suites.fitted(suite, SENTIMENT, {"hateful": "negativ"})
    assert "negative" in told.value.hint
    done = suites.fitted(suite, SENTIMENT, {"hateful": "unfavourable", "neutral": ""})
    assert [c.expect for c in done.checks] == [("unfavourable",)]
    assert [(s.reason, s.count) for s in done.left_out] == [("the model has no label neutral", 1)]


def checklist(folder, *rows):
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_checklist_file_is_imported_and_what_it_does_not_say_is_counted(tmp_path):
    path = checklist(
        tmp_path,
        {"test": "words", "type": "MFT", "texts": ["good"], "label": 1},
        {"test": "not bad", "type": "MFT", "texts": ["not bad"], "label": None},
        {"test": "odd", "type": "MFT", "texts": ["hm"], "label": None},
        {"test": "broken", "type": "MFT", "texts": ["{'args': ()}"], "label": 0},
        {"test": "names", "type": "INV", "texts": ["Ann is in", "Bob is in", "Cy is in"]},
        {"test": "very", "type": "DIR", "texts": ["good", "very good"], "label": None},
        {"test": "very", "type": "DIR", "texts": ["bad", "very bad"], "label": None},
    )
    expect = {"very": "surer", "not bad": "negative|positive"}
    suite = from_checklist(path, labels=("negative", "positive"), expect=expect)
    assert [(c.kind, c.expect, len(c.variants)) for c in suite.checks] == [
        ("MFT", ("positive",), 1),
        ("MFT", ("negative", "positive"), 1),
        ("INV", (), 3),
        ("DIR", ("surer",), 2),
        ("DIR", ("surer",), 2),
    ]
    assert {s.reason: s.count for s in suite.left_out} == {
        "MFT whose expectation is not in the file": 1,
        "no text in the file": 1,
    }
    with pytest.raises(ConfigError, match="no test 'vry'"):
        from_checklist(path, labels=("negative", "positive"), expect={"vry": "up"})
    with pytest.raises(DataError, match="directional test that expects 'strong'"):
        from_checklist(path, labels=("negative", "positive"), expect={"very": "strong"})


@pytest.mark.parametrize("body", ["not json\n", "[1]\n", '{"test": "a", "type": "XYZ"}\n'])
def test_a_file_that_is_no_checklist_suite_is_refused(tmp_path, body):
    (tmp_path / "cases.jsonl").write_text(body)
    with pytest.raises(DataError):
        from_checklist(tmp_path / "cases.jsonl", labels=("a", "b"))


@pytest.mark.parametrize("name", ["hiring", "moderation"])
def test_a_suite_survives_the_disk(tmp_path, name):
    """What `write` writes, the audit file reads: the same checks, texts and people."""
    suite = suites.pack(name, ("gender", "religion"))
    write(suite, tmp_path / "suite.csv")
    groups = {n: n for n in ("type", "functionality", "case", "expect", "gender", "religion")}
    spec = CorpusConfig(path="suite.csv", id="id", cluster="template", groups=groups)
    read = corpus.load(spec, tmp_path, name="test", model_labels=("no", "yes"))
    again = suites.of_corpus(read, identity=("gender", "religion"))

    def texts(check):
        return [(v.text, dict(v.identity)) for v in check.variants]

    def told(some):
        return [(c.kind, c.functionality, c.template, c.expect, texts(c)) for c in some.checks]

    assert told(again) == told(suite)

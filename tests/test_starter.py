"""The audit file that `evenhand init` writes can be read, made and understood."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import config
from audit.guess import guess_columns
from audit.starter import template


@pytest.mark.parametrize("head", ["single", "multi"])
@pytest.mark.parametrize("groups", [{}, {"sex": "sex", "author's race": "race (self-declared)"}])
@pytest.mark.parametrize("model", ["models/mine", "owner/name", "mine.py:classify"])
def test_the_first_audit_file_can_be_read(head, groups, model):
    text = template(model, "data.csv", ("no", "yes"), head=head, label="y", id="id", groups=groups)
    read = config.reads(text)
    assert read.model.path == model
    assert read.corpora["test"].groups == groups
    assert read.decision.favourable == ("yes",)
    named = [probe.name for probe in read.probe]
    assert ("group_rates" in named) == bool(groups)
    assert ("reliance" in named) == (not model.endswith(":classify"))
    assert {gate.metric.split(".")[0] for gate in read.gate} <= set(named)


def test_the_probes_of_the_first_audit_file_can_be_made():
    from audit import catalogue

    for i, probe in enumerate(
        config.reads(template("m", "d.csv", ("a", "b"), groups={"g": "g"})).probe
    ):
        assert catalogue.make(probe.name, probe.params, at=f"probe[{i}]").name == probe.name


@pytest.mark.parametrize(
    ("labels", "favourable"),
    [
        (("not sexist", "sexist"), ("not sexist",)),
        (("ham", "spam"), ("ham",)),
        (("hate_speech", "offensive_language", "neither"), ("neither",)),
        (("nontoxic", "toxic"), ("nontoxic",)),
        (("non-hateful", "hateful"), ("non-hateful",)),
        (("advance", "do not advance"), ("advance",)),
        (("negative", "neutral", "positive"), ("neutral", "positive")),
        (("anger", "toxicity", "joy"), ("anger", "joy")),
        (("LABEL_0", "LABEL_1"), ("LABEL_1",)),
    ],
)
def test_the_favourable_label_is_guessed_from_its_name(labels, favourable):
    assert config.reads(template("m", "d.csv", labels)).decision.favourable == favourable


def test_labels_of_the_data_that_the_model_has_not_are_listed_for_the_reader():
    text = template("m", "d.csv", ("LABEL_0", "LABEL_1"), data_labels=("ham", "spam"))
    assert '# labels = { "ham" = "…", "spam" = "…" }' in text
    assert "# labels =" not in template("m", "d.csv", ("ham", "spam"), data_labels=("0", "1"))
    assert "# labels =" not in template("m", "d.csv", ("ham", "spam"), data_labels=("ham",))


def test_the_first_audit_file_fits_what_was_guessed(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(
        "".join(["id,text,label,sex\n", *(f"{i},t,yes,f\n{i}x,u,no,m\n" for i in range(9))])
    )
    guess = guess_columns(path)
    text = template(
        *("m", "data.csv", ("no", "yes")),
        text=guess.text,
        label=guess.label,
        id=guess.id,
        groups=guess.groups,
    )
    spec = config.reads(text).corpora["test"]
    assert (spec.text, spec.label, spec.id, spec.groups) == ("text", "label", "id", {"sex": "sex"})


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=4, unique=True),
    st.text(min_size=1, max_size=12),
)
def test_any_name_survives_the_first_audit_file(labels, column):
    text = template(
        "m", "d.csv", labels, label=column, groups={column: column}, data_labels=[column]
    )
    spec = config.reads(text.encode("utf-8").decode()).corpora["test"]
    assert spec.label == column
    assert spec.groups == {column: column}

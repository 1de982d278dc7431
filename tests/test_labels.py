"""Labels of the data find their name in the model, or are refused; exchanged ones are noticed."""

import numpy as np
import pytest
from tables import as_jsonl, put, spec

from audit.corpus import load
from audit.errors import ConfigError, DataError
from audit.labels import check_permutation


def labels_of(folder, values, head="single", model=("ham", "spam"), **changes):
    path = put(folder, "a.jsonl", as_jsonl([{"text": "t", "y": v} for v in values]))
    corpus = load(spec(path, label="y", **changes), model_labels=model, head=head)
    return [e.label for e in corpus.examples]


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        (["spam", "ham", None], {}),
        ([1, 0, None], {}),
        ([1.0, 0.0, float("nan")], {}),
        (["1", "0", ""], {}),
        (["junk", "ham", None], {"labels": {"junk": "spam"}}),
        ([True, False, None], {"labels": {"true": "spam", "false": "ham"}}),
        ([0, 1, None], {"labels": {"0": "spam", "1": "ham"}}),
    ],
    ids=["names", "positions", "floats", "texts", "a mapping", "truth values", "turned round"],
)
def test_labels_find_their_name(values, changes, tmp_path):
    assert labels_of(tmp_path, values, **changes) == ["spam", "ham", None]


def test_positions_are_not_guessed_where_the_model_has_numbers_for_names(tmp_path):
    assert labels_of(tmp_path, [1, 2], model=("1", "2")) == ["1", "2"]
    with pytest.raises(DataError, match="'0'"):
        labels_of(tmp_path, [0, 1], model=("1", "2"))


def test_positions_are_not_guessed_beside_a_mapping(tmp_path):
    with pytest.raises(DataError, match="labels that the model has not: '0'"):
        labels_of(tmp_path, [0, 1], labels={"1": "ham"})


def test_unknown_labels_are_listed_with_what_was_meant(tmp_path):
    with pytest.raises(DataError) as caught:
        labels_of(tmp_path, ["spam", "Spam!", "eggs"])
    assert "has labels that the model has not: 'Spam!', 'eggs'" in str(caught.value)
    assert caught.value.hint.startswith("Did you mean 'spam'? Say which is which: labels = {")


def test_a_mapping_to_a_label_that_the_model_has_not_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="mapped to 'spma'"):
        labels_of(tmp_path, ["x"], labels={"x": "spma"})


def test_data_of_one_class_can_be_audited(tmp_path):
    assert labels_of(tmp_path, ["ham", "ham"]) == ["ham", "ham"]


@pytest.mark.parametrize(
    "values",
    [
        [["b", "a"], [], ["c", "c"], None],
        ["b|a", "|", "c", ""],
        ['["b", "a"]', "[]", '["c"]', None],
        [[1, 0], [], [2], None],
    ],
    ids=["lists", "separated", "lists as text", "positions"],
)
def test_a_multi_label_cell_holds_several(values, tmp_path):
    found = labels_of(tmp_path, values, head="multi", model=("a", "b", "c"))
    assert found == [("a", "b"), (), ("c",), None]


def test_several_labels_need_a_model_that_gives_several(tmp_path):
    with pytest.raises(DataError, match="holds several labels a text"):
        labels_of(tmp_path, [["ham", "spam"]])


# Exchanged labels.


def model_says(truth, right, seed=0, k=2):
    rng = np.random.default_rng(seed)
    other = (truth + rng.integers(1, k, len(truth))) % k
    return np.where(rng.random(len(truth)) < right, truth, other)


def suspicion(truth, predicted, names):
    return check_permutation([names[t] for t in truth], [names[p] for p in predicted], names)


@pytest.mark.parametrize(("k", "order"), [(2, [1, 0]), (3, [0, 2, 1]), (3, [1, 2, 0])])
def test_exchanged_labels_are_found_with_the_renaming_that_fits(k, order):
    truth = np.random.default_rng(1).integers(0, k, 300)
    names = ["ham", "spam", "eggs"][:k]
    predicted = np.array(order)[model_says(truth, 0.85, k=k)]
    problem = suspicion(truth, predicted, names)
    assert isinstance(problem, DataError)
    for true, model in enumerate(order):
        renamed = f'"{names[model]}" = "{names[true]}"'
        assert (renamed in problem.hint) == (true != model)


@pytest.mark.parametrize("right", [0.45, 0.5, 0.6, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_a_weak_model_is_not_accused_of_exchanged_labels(right, seed):
    truth = (np.random.default_rng(seed).random(400) < 0.3).astype(int)
    assert suspicion(truth, model_says(truth, right, seed), ["a", "b"]) is None


def test_a_model_that_always_says_the_rare_label_is_not_accused():
    truth = (np.arange(500) % 10 == 0).astype(int)
    assert suspicion(truth, np.ones(500, int), ["a", "b"]) is None


def test_a_handful_of_texts_accuses_nobody():
    assert suspicion(np.arange(20) % 2, (np.arange(20) + 1) % 2, ["a", "b"]) is None
    assert check_permutation([], [], ["a", "b"]) is None

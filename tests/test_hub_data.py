"""A data set on the hub is read like a file, or its absence is one sentence."""

import pytest
from tables import spec

from audit.corpus import load
from audit.errors import DataError, Unsupported


def test_a_hub_data_set_needs_its_package(monkeypatch):
    import sys
    import types

    # What a folder called `datasets` in the working directory imports as.
    monkeypatch.setitem(sys.modules, "datasets", types.ModuleType("datasets"))
    with pytest.raises(Unsupported, match="not installed") as caught:
        load(spec("hub:owner/name"))
    assert "evenhand[hub]" in caught.value.hint


class Hub:
    """The part of `datasets` that is used."""

    class ClassLabel:
        names = ("ham", "spam")

    def __init__(self, rows):
        self.rows = rows
        self.asked = []

    def load_dataset(self, name, configuration, *, split):
        self.asked.append((name, configuration, split))
        if not self.rows:
            raise ConnectionError(f"no route to {name}\nand more")
        found = list(self.rows)
        return type("Rows", (list,), {"features": {"y": self.ClassLabel()}})(found)


def test_a_hub_data_set_is_read_with_the_names_of_its_classes(monkeypatch):
    import sys

    hub = Hub([{"text": "a", "y": 1}, {"text": "b", "y": -1}])
    monkeypatch.setitem(sys.modules, "datasets", hub)
    corpus = load(spec("hub:owner/name:en", label="y"), model_labels=("spam", "ham"))
    assert hub.asked == [("owner/name", "en", "test")]
    assert [e.label for e in corpus.examples] == ["spam", None]
    assert len(corpus.sha256) == 64


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "datasets", Hub([]))
    with pytest.raises(DataError) as caught:
        load(spec("hub:owner/name"))
    assert str(caught.value).endswith("ConnectionError: no route to owner/name.")

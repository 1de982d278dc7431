"""What crosses a border is typed, complete, and refused in words that name the place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import types
from audit.borders import read_json, read_plain, write_json
from audit.errors import AuditError, ConfigError, ResultError
from audit.types import Absent, Counts, Estimate, Gate, Measurement, Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    n: int = 3
    mode: Literal["short", "long"] = "short"
    words: str | tuple[str, ...] = "x"
    weights: Mapping[str, float] = field(default_factory=dict)
    anything: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n must not be negative, got {self.n}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    gate: tuple[Gate, ...] = ()
    inner: Inner = field(default_factory=Inner)
    value: Estimate | Absent | None = None
    limit: float | None = None


ESTIMATE = {
    "value": 0.5,
    "low": 0.4,
    "high": 0.6,
    "n": 4,
    "level": 0.95,
    "method": "wilson",
    "basis": {"kind": "counts", "hits": 2, "n": 4},
}


@pytest.mark.parametrize(
    ("value", "sentence", "hint"),
    [
        (
            {"gate": [{"metric": "a.b", "atmost": 1}]},
            "audit.toml.gate[0] has no setting 'atmost'.",
            "Did you mean 'at_most'?",
        ),
        ({"gate": [{"at_most": 1}]}, "audit.toml.gate[0] lacks the setting 'metric'.", ""),
        ({"gate": {"metric": "a"}}, 'audit.toml.gate must be a list, got {"metric": "a"}.', ""),
        ({"inner": 3}, "audit.toml.inner must be a table, got 3.", ""),
        ({"inner": {"n": True}}, "audit.toml.inner.n must be a whole number, got true.", ""),
        ({"inner": {"n": 1.5}}, "audit.toml.inner.n must be a whole number, got 1.5.", ""),
        ({"inner": {"n": -1}}, "audit.toml.inner.n must not be negative, got -1.", ""),
        (
            {"inner": {"mode": "shrot"}},
            "audit.toml.inner.mode must be 'short' or 'long', got \"shrot\".",
            "Did you mean 'short'?",
        ),
        (
            {"inner": {"words": ["a", 3]}},
            "audit.toml.inner.words[1] must be a text in quotes, got 3.",
            "",
        ),
        (
            {"inner": {"weights": {"a b": "x"}}},
            "audit.toml.inner.weights.'a b' must be a number, got \"x\".",
            "",
        ),
        (
            {"inner": {"anything": {"deep": [0.0, float("nan")]}}},
            "audit.toml.inner.anything.deep[1] must be a finite number, got nan.",
            "",
        ),
        (
            {"value": {"cod": "x", "reason": "y"}},
            "audit.toml.value has no setting 'cod'.",
            "Did you mean 'code'?",
        ),
        (
            {"value": ESTIMATE | {"basis": {"kind": "counts", "hits": "2", "n": 4}}},
            'audit.toml.value.basis.hits must be a whole number, got "2".',
            "",
        ),
        (
            {"value": ESTIMATE | {"low": 0.55}},
            "audit.toml.value: 0.5 lies outside its interval 0.55 to 0.6.",
            "",
        ),
        ({"limit": float("inf")}, "audit.toml.limit must be a finite number, got inf.", ""),
    ],
)
def test_an_error_names_the_place_and_says_what_to_do(value, sentence, hint):
    with pytest.raises(ConfigError) as caught:
        read_plain(Outer, value, error=ConfigError, at="audit.toml")
    assert str(caught.value) == sentence
    assert caught.value.hint == hint


def test_a_whole_number_is_a_number():
    assert read_plain(Outer, {"limit": 1}).limit == 1.0


def test_a_dataclass_that_forgot_to_be_strict_is_strict_all_the_same():
    assert "__pydantic_config__" not in vars(types.Corpus)

    @dataclass(frozen=True)
    class Careless:
        n: int = 0

    with pytest.raises(ResultError, match="has no setting 'm'"):
        read_plain(Careless, {"m": 1})
    with pytest.raises(ResultError, match="must be a whole number"):
        read_plain(Careless, {"n": "1"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"limit": 1, "limit": 2}', "result.json names 'limit' twice in one object."),
        ('{"inner": {"n": 1, "n": 1}}', "result.json names 'n' twice in one object."),
        ("{", "result.json is not JSON: "),
        ("", "result.json is not JSON: "),
        ("[]", "result.json must be a table, got []."),
        ('{"limit": NaN}', "result.json.limit must be a finite number, got nan."),
        ('{"limit": 1e999}', "result.json.limit must be a finite number, got inf."),
        ("[" * 100_000, "result.json is nested too deeply."),
        ("[" * 400 + "]" * 400, "is nested too deeply."),
        ('{"inner": {"n": ' + "9" * 5000 + "}}", "result.json is not JSON that can be read"),
        ('{"inner": {"words": "\\ud800"}}', "result.json.inner.words holds half a surrogate"),
        (b'{"limit": "\xff"}', "result.json is not UTF-8: byte 11 cannot be read."),
    ],
)
def test_a_damaged_file_is_refused(text, sentence):
    with pytest.raises(ResultError) as caught:
        read_json(Outer, text, at="result.json")
    assert sentence in str(caught.value)


def test_what_is_written_is_read_back_equal():
    whole = Measurement(
        id="typos.flip_rate[gender=f]",
        metric="flip_rate",
        where=MappingProxyType({"gender": "ä 中 \x00 \u2028"}),
        value=Estimate(
            value=0.5, low=0.4, high=0.6, n=4, level=0.95, method="w", basis=Counts(hits=2, n=4)
        ),
        unit="share of texts",
        eligible=5,
        left_out=(Skip(reason="no word", count=1),),
    )
    text = write_json(whole)
    assert read_json(Measurement, text) == whole
    assert read_json(Measurement, text.encode()) == whole
    assert write_json(read_json(Measurement, text)) == text


def test_nan_is_never_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"p": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"p": np.float64("inf")})


def test_numpy_values_are_written_as_plain_ones():
    value = {"a": np.float64(0.5), "b": np.int64(2), "c": np.bool_(True), "d": np.arange(2)}
    assert json.loads(write_json(value)) == {"a": 0.5, "b": 2, "c": True, "d": [0, 1]}


def test_half_a_surrogate_pair_is_written_visibly_and_can_be_read():
    text = write_json(Skip(reason="file \udcff.csv", count=1))
    assert read_json(Skip, text.encode("utf-8")).reason == r"file \udcff.csv"


def test_keys_are_sorted_so_that_files_can_be_compared():
    assert write_json({"b": 1, "a": 2}) == write_json({"a": 2, "b": 1})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["gate", "inner", "value", "metric", "n", "words", "basis", "low"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(_json)
def test_any_value_is_read_or_refused_in_a_sentence(value):
    try:
        read_plain(Outer, value, error=ConfigError, at="audit.toml")
    except ConfigError as refused:
        assert str(refused).startswith("audit.toml")
        assert str(refused).endswith(".")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_a_sentence(data):
    try:
        read_json(Outer, data)
    except AuditError as refused:
        assert str(refused).startswith("$")

"""The known answers, field by field: which a route gives, which it leaves, and why."""

import json
from collections.abc import Mapping

import numpy as np
import pytest

from audit.shipped import shipped

ALL = json.loads((shipped("datasets") / "known_answers" / "vectors.json").read_text("utf-8"))
VECTORS = {name: vector for name, vector in ALL.items() if name.startswith("TV")}
"""What begins with NOTE is a simulation, not an answer."""
BY_NUMBER = {name.split("_")[0]: name for name in VECTORS}


def vector(number):
    return VECTORS[BY_NUMBER[number]]


def expected(number):
    return flat(vector(number).get("expect", vector(number).get("observed")))


def flat(nested, path=""):
    """Field to number: ``{"holm.adj.3": 0.114}``."""
    if isinstance(nested, Mapping):
        items = nested.items()
    elif isinstance(nested, list | tuple | np.ndarray):
        items = enumerate(nested)
    else:
        return {path: nested}
    return {
        k: v for key, value in items for k, v in flat(value, f"{path}.{key}".strip(".")).items()
    }


def bounds(e):
    return [e.low, e.high]


def held_against(number, found, left, loose):
    """Compare a route's answers with the known ones. Every field is answered or left for a reason.

    Args:
        number: ``TV05``.
        found: Nested as the vector's own answers.
        left: Prefix of a field to why this route does not give it.
        loose: Prefix of a field to the absolute error allowed, where it is not 1e-6.
    """
    found, expect = flat(found), expected(number)
    unknown = set(found) - set(expect)
    assert not unknown, f"{number} has no such answer: {unknown}"
    for field, value in expect.items():
        of = [prefix for prefix in left if field == prefix or field.startswith(f"{prefix}.")]
        if field not in found:
            assert of and left[of[0]], f"{number}: {field} is neither answered nor left"
            continue
        assert not of, f"{number}: {field} is answered and left"
        if isinstance(value, str | bool) or value is None:
            assert found[field] == value, (number, field)
            continue
        near = [error for prefix, error in loose.items() if field.startswith(prefix)]
        tiny = 0 < abs(value) < 1e-5 and not near
        close = pytest.approx(value, rel=2e-6, abs=0 if tiny else near[0] if near else 1e-6)
        assert found[field] == close, (number, field)
    useless = [p for p in left if not any(f == p or f.startswith(f"{p}.") for f in expect)]
    assert not useless, f"{number} has no field {useless}"
    return len(set(found) & set(expect))

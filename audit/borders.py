"""Between dataclasses and JSON or TOML: typed, strict in both directions, placed to the setting."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from functools import cache
from math import isfinite
from pathlib import PurePath
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from audit.errors import AuditError, ResultError, did_you_mean
from audit.types import STRICT

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")

_DEEPEST = 100
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(
    cls: type[T], text: str | bytes, error: type[AuditError] = ResultError, at: str = "$"
) -> T:
    """Read `text` as JSON into `cls`.

    Args:
        cls: A dataclass. Its nested dataclasses are read as strictly as itself.
        text: The whole document; a byte order mark is accepted.
        error: What to raise: `ConfigError` for a user's file, `ResultError` for one of ours.
        at: The document's name, for messages, e.g. ``result.json``.

    Raises:
        AuditError: Of class `error`, if the text is not JSON, names a key twice, holds NaN or an
            infinity, lacks a setting, has one that is not known, or one of another type.
    """
    try:
        whole = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        value = json.loads(whole, object_pairs_hook=_once)
    except _Twice as twice:
        raise error(f"{at} names {twice.args[0]!r} twice in one object.") from None
    except UnicodeDecodeError as problem:
        raise error(f"{at} is not UTF-8: byte {problem.start} cannot be read.") from problem
    except json.JSONDecodeError as problem:
        raise error(
            f"{at} is not JSON: {problem.msg} in line {problem.lineno}, column {problem.colno}."
        ) from problem
    except RecursionError:
        raise error(f"{at} is nested too deeply.") from None
    except ValueError as problem:
        # An integer of more digits than Python converts.
        raise error(f"{at} is not JSON that can be read: {problem}.") from problem
    return read_plain(cls, value, error=error, at=at)


def read_plain(
    cls: type[T], value: object, error: type[AuditError] = ResultError, at: str = "$"
) -> T:
    """Turn what `json` or `tomllib` returned into `cls`; see `read_json`.

    Dates and times become their ISO form: JSON has none.
    """
    from pydantic import ValidationError

    _refuse(value, error, at, 0)
    try:
        # By way of JSON, because strict mode takes a JSON array, but no Python list, for a tuple.
        plain = json.dumps(value, default=_said, ensure_ascii=False)
        return cast(T, _adapter(cast(Any, cls)).validate_json(plain))
    except ValidationError as problem:
        raise _told(cls, value, problem.errors(include_url=False), error, at) from None


def write_json(value: object) -> str:
    """Return dataclasses, mappings, sequences and scalars as stable, diffable JSON.

    Half a surrogate pair, which no UTF-8 file can hold, is written as a visible ``\\udcXX``.

    Raises:
        ValueError: If a number is NaN or infinite: an absent number is an `Absent`, never a null.
    """
    text = json.dumps(plain(value), allow_nan=False, sort_keys=True, indent=1, ensure_ascii=False)
    return _SURROGATE.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text) + "\n"


def plain(value: object) -> Any:
    """Return `value` with dataclasses and mappings as dicts, sequences and arrays as lists."""
    if value is None or isinstance(value, str | bool | int | float):
        # NumPy's float64 is a float and its str_ a str; JSON wants them plain all the same.
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(inner) for inner in value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _Twice(Exception):
    """A key stands twice in one JSON object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _said(value: object) -> str:
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _refuse(value: object, error: type[AuditError], at: str, depth: int) -> None:
    """Refuse what JSON cannot say, and what pydantic lets through where a field takes anything."""
    if depth > _DEEPEST:
        raise error(f"{at} is nested too deeply.")
    if isinstance(value, float) and not isfinite(value):
        raise error(f"{at} must be a finite number, got {value}.")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise error(f"{at} holds half a surrogate pair, which is not a character.")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str) or _SURROGATE.search(key):
                raise error(f"{at} has a key that is not text: {key!r}.")
            _refuse(inner, error, _step(at, key), depth + 1)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            _refuse(inner, error, f"{at}[{i}]", depth + 1)


@cache
def _adapter(cls: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    for known in _dataclasses(cls, set()):
        # A dataclass without these settings would drop unknown keys in silence, so that strictness
        # is not left to the memory of whoever writes the next probe.
        if "__pydantic_config__" not in known.__dict__:
            known.__pydantic_config__ = STRICT
    return TypeAdapter(cls)


def _dataclasses(cls: Any, found: set[Any]) -> set[Any]:
    if isinstance(cls, type) and is_dataclass(cls):
        if cls not in found:
            found.add(cls)
            for name, hint in _hints(cls).items():
                if name in cls.__dataclass_fields__:
                    _dataclasses(hint, found)
    else:
        for inner in get_args(cls):
            _dataclasses(inner, found)
    return found


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _told(
    cls: Any, value: object, problems: "list[ErrorDetails]", error: type[AuditError], at: str
) -> AuditError:
    """Return the error that says most.

    A value that fits no member of a union gets messages for each member. The member with the fewest
    is what was meant; within it the deepest message, and a misspelling before what it left missing.
    """
    walked = [_walk(cls, value, problem) for problem in problems]
    members = Counter(member for _, member, _, _ in walked)
    order = {"unexpected_keyword_argument": 0, "extra_forbidden": 0, "missing": 1}
    (steps, _, here, got), problem = min(
        zip(walked, problems, strict=True),
        key=lambda it: (members[it[0][1]], -len(it[0][0]), order.get(it[1]["type"], 2)),
    )
    place = at
    for step in steps:
        place = f"{place}[{step}]" if isinstance(step, int) else _step(place, step)
    return _sentence(problem, place, here, got, error)


def _step(at: str, key: str) -> str:
    return f"{at}.{key}" if re.fullmatch(r"[\w-]+", key) else f"{at}.{key!r}"


def _walk(
    cls: Any, value: Any, problem: "ErrorDetails"
) -> tuple[list[int | str], tuple[int | str, ...], Any, Any]:
    """Follow a pydantic location through types and values at once.

    Returns:
        The steps that exist in the value; the location up to the last union member it names, which
        exists in types only; the type there; and the value there. The name of an unknown or missing
        setting, a location's last part, is given as the value instead.
    """
    location = list(problem["loc"])
    last = location.pop() if problem["type"] in _ABOUT_NAMES else None
    steps: list[int | str] = []
    member: tuple[int | str, ...] = ()
    here, got = cls, value
    for place, step in enumerate(location):
        here = _narrow(here, str(step), got)
        if isinstance(got, Mapping):
            inside = step in got
        else:
            inside = isinstance(got, list | tuple) and isinstance(step, int) and step < len(got)
        if inside:
            got, here = got[step], _inner(here, step)
            steps.append(step)
        else:
            member = tuple(location[: place + 1])
    return steps, member, _narrow(here, "", got), got if last is None else last


def _narrow(here: Any, name: str, got: object) -> Any:
    """Return the member of a union that a location names, or the one that fits a table."""
    if get_origin(here) not in (UnionType, Union):
        return here
    members = [m for m in get_args(here) if m is not NoneType]
    for member in members:
        if getattr(member, "__name__", "") == name:
            return member
    tables = [m for m in members if is_dataclass(m)]
    return tables[0] if isinstance(got, Mapping) and len(tables) == 1 else here


def _inner(here: Any, step: int | str) -> Any:
    origin, args = get_origin(here), get_args(here)
    if isinstance(here, type) and is_dataclass(here):
        return _hints(here).get(str(step), object)
    if origin is tuple and args:
        return args[0] if args[-1] is Ellipsis or not isinstance(step, int) else args[step]
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(args) == 2:
        return args[1]
    return args[0] if args and origin not in (UnionType, Union, Literal) else here


_ABOUT_NAMES = ("extra_forbidden", "unexpected_keyword_argument", "missing")
_SHAPES = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of ordinary size",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "frozen_set_type": "a list without repeats",
    "mapping_type": "a table",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "dataclass_exact_type": "a table",
    "finite_number": "a finite number",
    "none_required": "left out",
}


def _sentence(
    problem: "ErrorDetails", place: str, here: Any, got: object, error: type[AuditError]
) -> AuditError:
    kind, said = problem["type"], problem["msg"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = [f.name for f in fields(here)] if is_dataclass(here) else []
        hint = did_you_mean(str(got), known) if known else ""
        return error(f"{place} has no setting {got!r}.", hint=hint)
    if kind == "missing":
        return error(f"{place} lacks the setting {got!r}.")
    if kind == "literal_error":
        choices = [str(c) for c in get_args(here)] if get_origin(here) is Literal else []
        hint = did_you_mean(str(got), choices) if choices else ""
        return error(f"{place} must be {problem['ctx']['expected']}, got {_short(got)}.", hint=hint)
    if kind in ("value_error", "assertion_error"):
        said = said.partition(", ")[2].rstrip(".")
        name = said.partition(" ")[0]
        known = [f.name for f in fields(here)] if is_dataclass(here) else []
        joined = f"{place}.{said}" if name in known else f"{place}: {said}"
        return error(joined + ".")
    if kind == "json_invalid":
        return error(f"{place} cannot be read: {problem['ctx']['error']}.")
    if kind in _SHAPES:
        return error(f"{place} must be {_SHAPES[kind]}, got {_short(got)}.")
    if kind in ("too_short", "too_long"):
        return error(f"{place} has the wrong number of entries: {_short(got)}.")
    return error(f"{place}: {said}, got {_short(got)}.")


def _short(got: object) -> str:
    said = json.dumps(got, default=str, ensure_ascii=False)
    return said if len(said) <= 80 else said[:77] + "…"

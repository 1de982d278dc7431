"""What other libraries made of the swap bench's sentences, as recorded by ``run.py``."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.swap_bench.sentences import Sentence

HERE = Path(__file__).resolve().parent
TOOLS = ("langtest", "giskard")

Patch = Sequence[tuple[int, int, str]]
"""Replacements ``(start, characters, new)`` in the order of the text."""


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read(tool: str) -> dict[str, Any]:
    """Return the record of one tool: name, version, how it was run, outputs by axis and text."""
    record: dict[str, Any] = json.loads((HERE / f"{tool}.json").read_text(encoding="utf-8"))
    return record


def outputs(record: Mapping[str, Any], sentence: Sentence) -> list[str] | None:
    """Return what the tool made of a sentence, one text for each of its transformations.

    None where it has none for the axis. A text without a patch was returned unchanged.
    """
    transformations = record["axes"].get(sentence.axis)
    if transformations is None:
        return None
    made = record["outputs"][sentence.axis].get(key(sentence.text), {})
    return [apply(sentence.text, made.get(name, ())) for name in transformations]


def apply(text: str, patch: Patch) -> str:
    for start, length, new in reversed(patch):
        text = text[:start] + new + text[start + length :]
    return text


def peers() -> dict[str, Callable[[Sentence], str | None]]:
    """Return a swapper for each recorded tool.

    Where a tool offers several transformations (to male, to female), the one that is right counts:
    the kindest reading.
    """
    return {f"{r['name']} {r['version']}": _swapper(r) for r in map(read, TOOLS)}


def _swapper(record: Mapping[str, Any]) -> Callable[[Sentence], str | None]:
    def swapped(sentence: Sentence) -> str | None:
        made = outputs(record, sentence)
        if made is None:
            return None
        return next((text for text in made if sentence.is_right(text)), made[0])

    return swapped

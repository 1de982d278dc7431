"""Words that people marked as the reason for a label: read from a column, as spans of characters."""

import json
import re

import numpy as np

from audit.errors import DataError
from audit.tables import Table
from audit.wordpieces import Span

_WORD = re.compile(r"\S+")


def spans_of(
    value: object, table: Table, i: int, column: str, text: str
) -> tuple[Span, ...] | None:
    """Return the marked spans of one row, ``text[start:end]``; None where nobody has looked.

    Args:
        value: A list, or JSON of one: pairs ``[start, end]`` of characters, or positions of words
            as white space parts them, counted from 0. An empty list: somebody marked nothing. An
            empty cell: nobody has looked.
        table: Where the row stands, for messages.
        i: Its row.
        column: Its column.
        text: What is marked; of a pair the first text.

    Raises:
        DataError: If the cell is no such list, or marks what is not in the text.
    """

    def wrong(why: str) -> DataError:
        return DataError(
            f"{table.source}, {table.where(i)}: the column {column!r} (rationale) {why}.",
            hint="Write [[0, 5], [12, 20]] for spans of characters, or [0, 3] for words counted "
            "from 0; [] where nothing was marked.",
        )

    if isinstance(value, np.ndarray):
        value = value.tolist()
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as problem:
            raise wrong("holds no JSON") from problem
    if not isinstance(value, list | tuple):
        raise wrong("holds no list")
    marked = [one.tolist() if isinstance(one, np.ndarray) else one for one in value]
    if all(_whole(one) for one in marked):
        found = [match.span() for match in _WORD.finditer(text)]
        if any(not 0 <= one < len(found) for one in marked):
            raise wrong(f"names a word that the text of {len(found)} words does not have")
        return tuple(found[one] for one in sorted(set(marked)))
    spans = [
        (one[0], one[1])
        for one in marked
        if isinstance(one, list | tuple) and len(one) == 2 and all(_whole(end) for end in one)
    ]
    if len(spans) < len(marked):
        raise wrong("holds neither pairs of whole numbers nor whole numbers alone")
    if any(not 0 <= start < end <= len(text) for start, end in spans):
        raise wrong(f"marks characters that the text of {len(text)} characters does not have")
    return tuple(sorted(set(spans)))


def _whole(one: object) -> bool:
    return isinstance(one, int) and not isinstance(one, bool)

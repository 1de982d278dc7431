"""What the columns of a table probably are: for `evenhand init`, which a person then reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.tables import Table, read

TEXT = ("text", "sentence", "review", "comment", "tweet", "content", "body", "message", "summary")
LABEL = ("label_name", "label", "class", "target", "category", "y", "outcome", "decision")
ID = ("id", "case_id", "uid", "text_id", "row_id", "index")
CLUSTER = ("cluster", "template", "templ_id", "author", "author_id", "user_id", "source", "thread")
GROUPS = (
    *("sex", "gender", "race", "ethnicity", "age", "religion", "nationality", "dialect"),
    *("disability", "orientation", "region", "language", "country", "group", "target_ident"),
)
_MOST_GROUPS = 20
_LOOKED_AT = 20_000
"""Rows that a guess looks at; whether ids repeat is asked of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """Columns by role; None or empty where nothing looks like it."""

    text: str
    label: str | None = None
    id: str | None = None
    cluster: str | None = None
    groups: dict[str, str] = field(default_factory=dict)
    """Attribute to column."""
    labels: tuple[str, ...] = ()
    """Distinct values of the label column, sorted."""
    rows: int = 0


def guess_columns(path: Path, model_labels: Sequence[str] = ()) -> Guess:
    """Look at a table and say which column is which.

    The text is the named column, else the one with the longest cells. The label is, of the columns
    named like one, that whose values are the model's labels, else the first. Groups are columns with
    a name from a short list (``gender``, or ``author_gender``) and few values.

    Args:
        path: A file that `tables.read` reads.
        model_labels: The model's labels, if there is a model.

    Raises:
        AuditError: If the file cannot be read.
    """
    return of_table(read(path), model_labels)


def of_table(table: Table, model_labels: Sequence[str] = ()) -> Guess:
    """Guess from a table that is read already; see `guess_columns`."""
    names = [name for name in dict.fromkeys(table.names) if table.names.count(name) == 1]
    values = {name: _distinct(table, name) for name in names}
    labels = [name for known in LABEL for name in names if name.lower() == known]
    fits = [name for name in labels if values[name] and values[name] <= set(model_labels)]
    label = next(iter(fits or labels), None)
    text = _named(names, TEXT) or _longest(table, [n for n in names if n != label])
    id_ = _named(names, ID)
    if id_ is not None:
        ids = [str(value) for value in table.column(id_) if value not in (None, "")]
        id_ = id_ if len(set(ids)) == table.rows else None
    return Guess(
        text=text,
        label=label,
        id=id_,
        cluster=next((n for n in _all_named(names, CLUSTER) if values[n]), None),
        groups={
            name.lower(): name
            for name in names
            if _is_attribute(name) and 2 <= len(values[name]) <= _MOST_GROUPS
        },
        labels=tuple(sorted(values[label])) if label else (),
        rows=table.rows,
    )


def _distinct(table: Table, name: str) -> set[str]:
    cells = table.column(name)[:_LOOKED_AT]
    return {str(cell) for cell in cells if cell is not None and str(cell).strip()}


def _is_attribute(name: str) -> bool:
    lower = name.lower()
    return lower in GROUPS or lower.removeprefix("author_").removeprefix("speaker_") in GROUPS


def _all_named(names: Sequence[str], known: Sequence[str]) -> list[str]:
    return [name for wanted in known for name in names if name.lower() == wanted]


def _named(names: Sequence[str], known: Sequence[str]) -> str | None:
    return next(iter(_all_named(names, known)), None)


def _longest(table: Table, names: Sequence[str]) -> str:
    def length(name: str) -> int:
        cells = [c for c in table.column(name)[:200] if isinstance(c, str) and not _number(c)]
        return sum(map(len, cells))

    return max(names or table.names, key=length)


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

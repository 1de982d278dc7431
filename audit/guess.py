"""What the columns of a table probably are: for `evenhand init`, which a person then reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.tables import Table, read

TEXT = ("text", "sentence", "review", "comment", "tweet", "content", "body", "message", "summary")
LABEL = ("label_name", "label", "class", "target", "category", "y", "outcome", "decision")
ID = ("id", "case_id", "uid", "row_id", "index")
CLUSTER = ("cluster", "template", "templ_id", "author", "source", "thread")
GROUPS = (
    *("sex", "gender", "race", "ethnicity", "age", "religion", "nationality", "dialect"),
    *("disability", "orientation", "region", "language", "group", "target_ident"),
)
_MOST_GROUPS = 20


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


def guess_columns(path: Path) -> Guess:
    """Look at a table and say which column is which.

    The text is the named column, else the one with the longest cells; groups are columns with a
    name from a short list and few values.

    Raises:
        DataError: If the file cannot be read.
    """
    return of_table(read(path))


def of_table(table: Table) -> Guess:
    """Guess from a table that is read already."""
    names = table.names
    label = _named(names, LABEL)
    text = _named(names, TEXT) or max(names, key=lambda name: _length(table.column(name)))
    id_ = _named(names, ID)
    if id_ is not None and len(set(map(str, table.column(id_)))) < table.rows:
        id_ = None
    cluster = _named(names, CLUSTER)
    groups = {
        name.lower(): name
        for name in names
        if name.lower() in GROUPS and 2 <= len(set(map(str, table.column(name)))) <= _MOST_GROUPS
    }
    values = {str(v) for v in table.column(label) if v is not None} if label else set()
    return Guess(
        text=text,
        label=label,
        id=id_,
        cluster=cluster,
        groups=groups,
        labels=tuple(sorted(values)),
        rows=table.rows,
    )


def _named(names: Sequence[str], known: Sequence[str]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in known if name in lower), None)


def _length(values: Sequence[object]) -> int:
    return sum(len(str(value)) for value in values[:200])

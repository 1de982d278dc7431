"""The audited texts as a table: filtered, sorted, a page at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.decision import names
from audit.explain import Audited
from audit.types import Decision, Example

SHOWN = 50
"""Rows of one page."""
ORDERS: Mapping[str, Callable[["Row"], Any]] = {
    "file": lambda row: row.place,
    "lowest": lambda row: (row.score is None, row.score),
    "highest": lambda row: (row.score is None, -(row.score or 0.0)),
    "turned": lambda row: (-len(row.turned), row.place),
    "longest": lambda row: -row.length,
}
"""Ways to sort; rows that are equal stay in the order of the file."""
_SIDES = {"right": True, "wrong": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One audited text and what the audit said of it."""

    key: str
    """Of its page."""
    place: int
    """In the file, from 0."""
    example: Example
    length: int
    label: str
    score: float | None
    """Favourable score; None where the audit has not been run."""
    decision: str | None
    right: bool | None
    """None where the label or the decision is unknown."""
    turned: tuple[str, ...]
    """Measurements in whose cases its decision changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the reader wants to see; empty strings ask for nothing."""

    words: str = ""
    """All of them, anywhere in the text, capitals alike."""
    label: str = ""
    decision: str = ""
    right: str = ""
    """``right`` or ``wrong``."""
    group: str = ""
    """``attribute=value``."""
    turned: str = ""
    """A measurement's id, or ``any``."""
    order: str = "file"
    page: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of rows."""

    rows: tuple[Row, ...]
    total: int
    """Rows that fit, on all pages."""
    page: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What there is to choose from."""

    labels: tuple[str, ...]
    decisions: tuple[str, ...]
    groups: tuple[str, ...]
    turned: tuple[str, ...]


def rows(known: Audited, rule: Decision, key: Callable[[Example], str]) -> tuple[Row, ...]:
    """Return the audited texts in the order of the file."""
    found = []
    for place, e in enumerate(known.examples):
        said = known.scores.get(e.id)
        label = (e.label,) if isinstance(e.label, str) else e.label
        decided = None if said is None else names(rule, said[1])
        found.append(
            Row(
                key=key(e),
                place=place,
                example=e,
                length=len(e.text) + len(e.second or ""),
                label="" if label is None else ", ".join(label),
                score=None if said is None else said[0],
                decision=None if decided is None else ", ".join(decided),
                right=None
                if label is None or decided is None
                else sorted(label) == sorted(decided),
                turned=known.flipped.get(e.id, ()),
            )
        )
    return tuple(found)


def choices(every: Sequence[Row]) -> Choices:
    """Return the values that occur, in order of the alphabet."""
    return Choices(
        labels=_sorted(row.label for row in every if row.label),
        decisions=_sorted(row.decision for row in every if row.decision),
        groups=_sorted(f"{a}={v}" for row in every for a, v in row.example.groups.items()),
        turned=_sorted(name for row in every for name in row.turned),
    )


def chosen(every: Sequence[Row], asked: Asked) -> Found:
    """Return the page of rows that `asked` describes; a page beyond the last is the last."""
    words = asked.words.casefold().split()
    fit = [row for row in every if _fits(row, asked, words)]
    fit.sort(key=ORDERS.get(asked.order, ORDERS["file"]))
    pages = max(1, -(-len(fit) // SHOWN))
    page = min(max(asked.page, 1), pages)
    return Found(
        rows=tuple(fit[(page - 1) * SHOWN : page * SHOWN]), total=len(fit), page=page, pages=pages
    )


def _fits(row: Row, asked: Asked, words: Sequence[str]) -> bool:
    e = row.example
    if asked.label and row.label != asked.label:
        return False
    if asked.decision and row.decision != asked.decision:
        return False
    if asked.right in _SIDES and row.right is not _SIDES[asked.right]:
        return False
    if asked.group:
        attribute, _, value = asked.group.partition("=")
        if e.groups.get(attribute) != value:
            return False
    if asked.turned and not (row.turned if asked.turned == "any" else asked.turned in row.turned):
        return False
    if not words:
        return True
    text = f"{e.id}\n{e.text}\n{e.second or ''}".casefold()
    return all(word in text for word in words)


def _sorted(values: Any) -> tuple[str, ...]:
    return tuple(sorted(set(values)))

"""Several audits side by side, and the cards of recipes, as text for the terminal."""

import json
from collections.abc import Sequence

from audit.console import estimate, plain, table
from audit.copiers import CARDS, Card
from audit.errors import ConfigError, did_you_mean
from audit.parity import Parity
from audit.standing import Lost, Standing
from audit.types import Comparison
from audit.validity import Rated
from audit.versus import counted, leading

_SHOWN = 8
"""Ids shown of each group; the file has them all."""


def side_by_side(found: Standing, *, whole: bool = False) -> str:
    """Return comparisons with the first audit, the texts each lost, and who is beaten by whom.

    Args:
        whole: Every measurement is listed, not only those asked first and those that were shown.
    """
    parts = []
    for name, comparison, lost in zip(found.names[1:], found.comparisons, found.lost, strict=True):
        if len(found.names) > 2:
            parts.append(f"{plain(name)} against {plain(found.names[0])}")
        parts += [_compared(comparison, whole=whole), _lost(lost)]
    if len(found.names) > 2:
        parts.append(_front(found))
    return "\n\n".join(part for part in parts if part)


def parity_table(found: Parity) -> str:
    """Return what became of every group in a copy, and the words on it."""
    rows = [
        (
            c.kept or c.verdict.replace("_", " "),
            c.measurement,
            estimate(c.before),
            estimate(c.after),
            estimate(c.difference),
        )
        for c in found.rows
    ]
    head = (f"margin {found.margin:g}", "measurement", "model", "copy", "copy less model")
    return "\n".join([table(head, rows), "", *map(plain, found.words)])


def lost_json(found: Standing) -> str:
    """Return every text right before and wrong after, by model and group, as JSON."""
    plain = {
        lost.model: {
            "ids": list(lost.ids),
            "won": lost.won,
            "groups": {
                group: {"ids": list(ids), "labelled": n} for group, (ids, n) in lost.groups.items()
            },
        }
        for lost in found.lost
    }
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def rated(found: Sequence[Rated], strangers: int) -> str:
    """Return what a human's ratings make of each success rate."""
    head = ("measurement", "success rate", "rated valid", "valid success rate")
    rows = [
        (
            one.measurement,
            estimate(one.success),
            f"{one.valid} of {one.rated} rated, of {one.successes}",
            estimate(one.value),
        )
        for one in found
    ]
    said = table(head, rows)
    if strangers:
        said += f"\n{strangers} answers belong to no success of this audit and were not counted."
    return said


def by_epoch(found: Standing) -> str:
    """Return each objective against the epoch, and what differs from the first one."""
    head = ("checkpoint", *(name for name, _ in found.objectives), "against the first")
    told = ["-", *(counted(leading(c)[0]) for c in found.comparisons)]
    rows = [
        (name, *map(estimate, found.points[name]), said)
        for name, said in zip(found.names, told, strict=True)
    ]
    return "\n".join([table(head, rows), *map(plain, found.left_out)])


def margins_of(said: Sequence[str]) -> dict[str, float]:
    """Read margins given as ``METRIC=0.02``.

    Raises:
        ConfigError: If one has no number between 0 and 1.
    """
    found = {}
    for one in said:
        name, _, number = one.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = 0.0
        if not name or not 0 < found[name] < 1:
            raise ConfigError(
                f"{one!r} is no margin.", hint="For example --margin swaps.favourable_gap=0.02."
            )
    return found


def _compared(comparison: Comparison, *, whole: bool) -> str:
    first, rest = leading(comparison)
    shown = [*first, *rest] if whole else first
    rows = [
        (
            c.verdict.replace("_", " "),
            c.measurement,
            estimate(c.before),
            estimate(c.after),
            estimate(c.difference),
        )
        for c in shown
    ]
    head = ("", "measurement", "before", "after", "after less before")
    parts = [f"{comparison.texts:,} texts in both.", table(head, rows)]
    if rest and not whole:
        parts.append(f"{len(rest)} further measurements: {counted(rest)}. --all lists them.")
    if comparison.unlike:
        parts.append(plain(f"The audits did not ask the same: {'; '.join(comparison.unlike)}."))
    said = [*comparison.words, "", *comparison.advice]
    return "\n\n".join([*parts, "\n".join(map(plain, said))])


def _lost(lost: Lost) -> str:
    if not lost.ids:
        return ""
    head = f"{len(lost.ids):,} texts were right before and are wrong after"
    rows = [
        (group, f"{len(ids):,} of {n:,}", _some(ids)) for group, (ids, n) in lost.groups.items()
    ]
    if not rows:
        return f"{head}: {plain(_some(lost.ids))}"
    rows.append(("all", f"{len(lost.ids):,}", _some(lost.ids)))
    return f"{head}:\n{table(('group', 'lost', 'ids'), rows)}"


def _some(ids: tuple[str, ...]) -> str:
    more = len(ids) - _SHOWN
    return ", ".join(ids[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _front(found: Standing) -> str:
    way = {"nearer_zero": "nearer 0 is better"}
    head = ("audit", *(f"{n} ({way.get(b, f'{b} is better')})" for n, b in found.objectives))
    rows = [
        (
            name,
            *(estimate(value) for value in found.points[name]),
            f"beaten by {', '.join(found.beaten[name])}" if found.beaten[name] else "not beaten",
        )
        for name in found.names
    ]
    said = (
        f"By point values, no other is as good on all of these and better on one: "
        f"{', '.join(found.front)}. Intervals that overlap leave it open; the comparisons above "
        "say which differences were shown."
    )
    return "\n".join([table((*head, ""), rows), plain(said), *map(plain, found.left_out)])


def recipes() -> str:
    """Return every recipe of a retrain, and what it does."""
    does = {True: "adds", False: "changes"}
    rows = [(card.name, does[card.copies], card.what) for card in CARDS.values()]
    return table(("recipe", "", "what"), rows)


def recipe(name: str) -> str:
    """Return one recipe's card: what it does, where it is from, its settings.

    Raises:
        ConfigError: If there is no such recipe.
    """
    if name not in CARDS:
        raise ConfigError(f"There is no recipe {name!r}.", hint=did_you_mean(name, CARDS))
    card = CARDS[name]
    lines = [f"{card.name}: {card.what}.", f"Source: {card.source}."]
    if card.answers:
        lines.append(
            f"Copies follow what the probes {', '.join(card.answers)} found, where share is not set."
        )
    return "\n".join([*lines, table(("setting", "default", "values"), _settings(card))])


def _settings(card: Card) -> list[tuple[str, str, str]]:
    rows = []
    if card.copies:
        rows += [("share", "by what failed", "0 to 1"), ("proportional", "false", "true or false")]
    if card.parts:
        rows.append((card.parts, ", ".join(card.default) or "all", ", ".join(card.known)))
    for key, (default, low, high) in card.numbers.items():
        rows.append((key, f"{default:g}", f"{low:g} to {high:g}"))
    for key, word in card.strings.items():
        rows.append((key, " ".join(word.split()) or "required", "a word"))
    return rows

"""The attributions of two texts, word by word, ready to be shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.aligning import Aligned
from audit.report._passages import Heated, heat

_BARE = 20
"""A word whose weight differs by less than one part in so many of the largest is left out."""


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """One place of two texts; a side without a word there has none."""

    before: Heated | None
    after: Heated | None
    difference: Heated
    """Without a word: the label and the shade of the difference alone."""
    changed: bool


def aligned_rows(
    aligned: Sequence[Aligned], *, most: int = 12
) -> tuple[tuple[AlignedRow, ...], int]:
    """Return the places worth a row, in the order of the text, and how many were left out.

    Changed words always; of the others those whose weight differs, `most` of them.
    """
    both = [a.weight_before or 0.0 for a in aligned] + [a.weight_after or 0.0 for a in aligned]
    shaded = heat([a.before for a in aligned] + [a.after for a in aligned], both)
    gaps = heat([""] * len(aligned), [a.difference for a in aligned])
    largest = max((abs(a.difference) for a in aligned), default=0.0)
    order = sorted(range(len(aligned)), key=lambda i: -abs(aligned[i].difference))
    wanted = {i for i in order[:most] if abs(aligned[i].difference) * _BARE >= largest > 0}
    wanted |= {i for i, a in enumerate(aligned) if a.changed}
    rows = tuple(
        AlignedRow(
            before=shaded[i] if a.weight_before is not None else None,
            after=shaded[len(aligned) + i] if a.weight_after is not None else None,
            difference=gaps[i],
            changed=a.changed,
        )
        for i, a in enumerate(aligned)
        if i in wanted
    )
    return rows, len(aligned) - len(rows)

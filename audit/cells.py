"""Tables for spreadsheets in which nothing runs."""

import csv
import io
from collections.abc import Iterable, Sequence

_STARTS = "=+-@＝＋－＠"
"""What a spreadsheet takes for the start of a formula, also in the full-width forms."""


def inert(cell: object) -> object:
    """Return a cell that no spreadsheet runs; numbers stay numbers, None an empty cell.

    A text that begins like a formula gets an apostrophe in front; what is not printable (control
    characters, line ends, bidirectional marks) becomes a visible escape.

    Source:
        OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection
    """
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(cell))
        return f"'{plain}" if plain.lstrip(" '\"")[:1] in tuple(_STARTS) else plain
    return cell


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV in which every text is quoted, so that no other separator can split it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([inert(cell) for cell in row] for row in rows)
    return out.getvalue()

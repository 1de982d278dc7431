"""Markdown for a pull-request comment; the step summary of GitHub is the same, longer."""

from collections.abc import Sequence

from audit.exports._rows import Export, Row, shown, some

COMMENT_BYTES = 60_000
"""GitHub takes comments of 65,536 characters."""
_HEAD = "| | claim | measured | why |\n|---|---|---|---|\n"


def markdown(export: Export) -> str:
    """Return a comment: what stopped the gate first, what was kept folded away.

    It starts with an invisible mark, so that a bot finds the comment it wrote before.
    """
    return page(export, COMMENT_BYTES)


def page(export: Export, budget: int) -> str:
    """Return the Markdown in at most `budget` bytes; rows that do not fit are counted."""
    parts = ["<!-- evenhand -->", f"### Evenhand: {_title(export.code, export.rows)}"]
    parts.append(export.headline)
    if export.problems:
        parts.append("\n".join(f"- **Waiver:** {data(said)}" for said in export.problems))
    origin = export.result.provenance
    test = next((c for c in origin.corpora if c.name == "test"), None)
    about = f"Model {data(origin.model_name or 'without a name')}"
    if test is not None:
        about += f", {test.texts:,} texts"
    foot = (
        f"{about}, {len(export.rows)} claims, alpha {export.result.plan.alpha:g}, plan "
        f"{data(export.result.plan.digest[:16])}. Kept means that the evidence for the limit is as "
        "strong as alpha asks; undecided means that these texts cannot say. The interval is the "
        "one that decided."
    )
    left = budget - sum(len(part.encode()) + 2 for part in [*parts, foot]) - 400
    open_ = some(export.rows, "failed", "error", "undecided", "noted")
    rest = some(export.rows, "off", "passed")
    for rows, folded in ((open_, ""), (rest, f"{len(rest)} claims kept or not applicable")):
        said, left = _table(rows, left)
        if said and folded:
            said = f"<details><summary>{folded}</summary>\n\n{said}\n\n</details>"
        parts += [said] if said else []
    return "\n\n".join([*parts, foot]) + "\n"


def data(text: object, longest: int = 300) -> str:
    """Return somebody else's words as inline code that cannot become anything else.

    Every character that is neither a letter, a digit nor a space stands as a numeric entity: no
    markup, no table cell, no mention, no link and no command can start. Code keeps the site's own
    filters from looking for mentions and issue numbers in it.
    """
    said = shown(text, longest)
    return (
        "<code>"
        + "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in said)
        + "</code>"
    )


def _title(code: int, rows: Sequence[Row]) -> str:
    if not rows:
        return "no gates"
    return {0: "kept", 1: "broken", 2: "error", 3: "undecided"}[code]


def _table(rows: Sequence[Row], budget: int) -> tuple[str, int]:
    lines: list[str] = []
    for row in rows:
        word = "" if row.word == row.outcome else f" ({row.word})"
        line = (
            f"| **{row.outcome}**{word} | {data(row.verdict.claim.id)} | {row.measured} | "
            f"{data(row.why)} |\n"
        )
        if len(line.encode()) > budget:
            break
        budget -= len(line.encode())
        lines.append(line)
    if not rows:
        return "", budget
    missing = len(rows) - len(lines)
    more = f"\n\n{missing:,} more are in the report and the other outputs." if missing else ""
    return (_HEAD + "".join(lines).rstrip("\n") if lines else "") + more, budget

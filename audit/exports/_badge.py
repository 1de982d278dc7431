"""A badge. It carries words of ours only, nothing from the result but its exit code."""

from audit.exports._rows import Export

_SAYS = {
    0: ("kept", "#2c6e49"),
    1: ("broken", "#a01f17"),
    2: ("error", "#86145f"),
    3: ("undecided", "#7d5200"),
}


def badge(export: Export) -> str:
    """Return an SVG that says what the gates came to.

    Text is white on dark: at least 4.5 to 1, and the word says what the colour says.
    """
    word, colour = _SAYS[export.code] if export.rows else ("no gates", "#57524a")
    left, right = 72, 12 + 7 * len(word)
    width = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" '
        f'aria-label="evenhand gates: {word}"><title>evenhand gates: {word}</title>'
        f'<rect width="{left}" height="20" fill="#3a3a3a"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" '
        f'text-anchor="middle"><text x="{left / 2:g}" y="14">evenhand</text>'
        f'<text x="{left + right / 2:g}" y="14">{word}</text></g></svg>\n'
    )

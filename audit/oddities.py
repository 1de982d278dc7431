"""Characters that got into a text on its way: lost, doubled, hidden or left over from markup."""

import re
from typing import Literal

Kind = Literal["replacement", "mojibake", "control", "invisible", "surrogate", "markup"]
KINDS: tuple[Kind, ...] = (
    *("replacement", "mojibake", "control"),
    *("invisible", "surrogate", "markup"),
)
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "replacement": re.compile("\ufffd"),
    "control": re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\x80-\x84\x86-\x9f]"),
    # Zero-width and soft breaks, and marks that turn the direction of reading. Joiners are left
    # out: emoji and several scripts are written with them.
    "invisible": re.compile("[\u00ad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069]"),
    "surrogate": re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"),
    "markup": re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9a-fA-F]{1,6});"),
}
_FOREIGN = re.compile("[\x80-\U0010ffff]{2,}")


def oddities(text: str) -> frozenset[Kind]:
    """Return which kinds of oddity are in `text`.

    ``replacement``: a character was lost (U+FFFD). ``mojibake``: UTF-8 was read as Windows-1252 or
    Latin-1 (*cafÃ©*). ``control``: control characters other than tab and line ends. ``invisible``:
    zero-width characters and marks of reading direction. ``surrogate``: half a character, shown as
    an escape. ``markup``: HTML entities.

    Source:
        The Unicode Standard, chapter 23, https://www.unicode.org/versions/latest/ (special areas
        and format characters).
    """
    found = {kind for kind, pattern in _PATTERNS.items() if pattern.search(text)}
    if not text.isascii() and any(_was_utf8(run[0]) for run in _FOREIGN.finditer(text)):
        found.add("mojibake")
    return frozenset(found)


def _was_utf8(run: str) -> bool:
    try:
        b"".join(map(_byte, run)).decode("utf-8")
    except UnicodeError:
        return False
    return True


def _byte(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeError:
        # Five bytes mean nothing in Windows-1252, and pass as they are.
        return letter.encode("latin-1")

"""Scripts: which one a text is written in, and whether it parts its words by spaces."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "]+"
)
"""Runs of characters of scripts that put no space between words."""
_NAMES = {"CJK": "Han", "IDEOGRAPHIC": "Han"}


def script(text: str) -> str:
    """Return the script of most letters of `text`: ``Latin``, ``Han``, ``Arabic``, …

    The first word of a letter's Unicode name stands for its script. A tie goes to the script that
    comes first in the alphabet; a text without letters is of the script ``none``.

    Source:
        The Unicode Character Database, https://www.unicode.org/reports/tr44/
    """
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else "none"
    counts: Counter[str] = Counter()
    for letter, n in Counter(text).items():
        name = _of_letter(letter)
        if name:
            counts[name] += n
    return min(counts, key=lambda name: (-counts[name], name)) if counts else "none"


def is_unspaced(text: str) -> bool:
    """Return whether most letters and digits of `text` are of scripts without spaces."""
    if text.isascii():
        return False
    unspaced = sum(len(run) for run in UNSPACED.findall(text))
    return 2 * unspaced > sum(map(str.isalnum, text))


@lru_cache(maxsize=65536)
def _of_letter(letter: str) -> str:
    if not letter.isalpha():
        return ""
    first = unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]
    return _NAMES.get(first, first.capitalize())

"""Changing a text as it is changed on its way: cases, marks, spaces, look-alikes, what is added.

Every function takes a text, a severity in (0, 1], a share of letters in (0, 1] and a generator, and
returns the text as changed, or the text itself where it has no place for the change. The places are
drawn in an order that does not hang on the severity: a greater one changes what a smaller one
changed, and more. Links, addresses, mentions, hashtags and placeholders stay as they are.
"""

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from math import ceil
from types import MappingProxyType

import numpy as np

from audit import dialects
from audit.shipped import shipped
from audit.text import Edit, replace

Disturb = Callable[[str, float, float, np.random.Generator], str]

# Bounded repetition: a hostile text must not make the search quadratic.
_TOKEN = re.compile(
    r"(?P<kept>\[\w+\]|(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+|[@#]\w+"
    r"|</?[A-Za-z][^<>\s]{0,60}>|\{[^{}\s]{0,60}\}"
    r"|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.(?:com|org|net|edu|gov|io|co)\b(?:/\S*)?)"
    r"|(?P<word>[^\W_](?:\w|['’](?=\w))*)",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[.,;:!?…\"'“”‘’()«»¿¡–—。，、；：！？「」（）-]+")
_SPACE = re.compile(r"(?<=\S) (?=\S)")
_AFTER_MARK = re.compile(r"(?<=[.,;:!?])\s+(?=\w)")
_GAP = re.compile(r"(?<=\S)\s+(?=\S)")
# After a short word a stop may end an abbreviation: "Dr. Smith" is one sentence.
_SENTENCE_END = re.compile(r"(?:\w{4}[.]|[!?…。！？])[\"'”’)]?(?=\s+\S)")
_ENDS = tuple(".!?…。！？\"'”’)")
_ADDED = 5
"""Emoji, hashtags, links or sentences that severity 1 adds."""
_INVISIBLE = "\u200b\u200c\u200d\u2060"
_LRO, _RLO, _PDF, _LRI, _PDI = "\u202d", "\u202e", "\u202c", "\u2066", "\u2069"


def lower(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Write words without capitals; `severity` is the share of the words that have some."""
    return _reworded(text, severity, rng, str.lower)


def upper(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Write words in capitals; `severity` is the share of the words that are not already."""
    return _reworded(text, severity, rng, str.upper)


def random_case(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Draw the case of each letter of a word; `severity` is the share of words."""

    def mixed(word: str) -> str:
        draws = rng.random(len(word)) < 0.5
        made = "".join(c.swapcase() if d else c for c, d in zip(word, draws, strict=True))
        return made if made != word else word.swapcase()

    # A word that swapcase leaves alone has no case to draw.
    places = [s for s in _words(text) if text[slice(*s)].swapcase() != text[slice(*s)]]
    return _changed(text, places, severity, rng, mixed)


def drop_marks(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Drop punctuation; `severity` is the share of its runs. What joins a word stays: *3.5*."""
    made = _changed(text, _marks(text), severity, rng, lambda run: "")
    return made if made.strip() else text


def double_marks(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Write the last mark of a run of punctuation twice; `severity` is the share of runs."""
    return _changed(text, _marks(text), severity, rng, lambda run: run + run[-1])


def contract(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Contract: *it's* for *it is*; `severity` is the share of the places (English)."""
    return _contracted(text, severity, rng, made=True)


def expand(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Resolve contractions: *do not* for *don't*; `severity` is their share (English)."""
    return _contracted(text, severity, rng, made=False)


def double_spaces(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Write two spaces for one; `severity` is the share of single spaces between words."""
    return _changed(text, _found(_SPACE, text), severity, rng, lambda gap: "  ")


def tabs(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Write a tab for a space; `severity` is the share of single spaces between words."""
    return _changed(text, _found(_SPACE, text), severity, rng, lambda gap: "\t")


def no_break(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Write a no-break space for a space; `severity` is the share of single spaces."""
    return _changed(text, _found(_SPACE, text), severity, rng, lambda gap: "\u00a0")


def lose_spaces(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Leave no space after punctuation; `severity` is the share of such places."""
    kept = _kept(text)
    ends, starts = {end for _, end in kept}, {start for start, _ in kept}
    places = [(a, b) for a, b in _found(_AFTER_MARK, text) if a not in ends and b not in starts]
    return _changed(text, places, severity, rng, lambda gap: "")


def emoji(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Append emoji of things, one to five."""
    return _ended(text, _drawn("emoji", severity, rng))


def hashtags(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Append hashtags, one to five."""
    return _ended(text, _drawn("hashtag", severity, rng))


def links(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Append links, one to five."""
    return _ended(text, _drawn("link", severity, rng))


def filler(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Put words without meaning between words; `severity` is the share of gaps (English)."""
    said = _table()["filler"]

    def fill(gap: str) -> str:
        return f" {said[int(rng.integers(len(said)))]}{gap}"

    return _changed(text, _found(_GAP, text), severity, rng, fill)


def distractor(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Put one to five unrelated sentences between the text's own, or at its end (English)."""
    if not text.strip():
        return text
    ends, end = [m.end() for m in _SENTENCE_END.finditer(text)], len(text.rstrip())
    added: dict[int, list[str]] = {}
    for sentence in _drawn("sentence", severity, rng):
        at = [*ends, end][int(rng.integers(len(ends) + 1))]
        added.setdefault(at, []).append(sentence)
    stops = {end: _closing(text)}
    edits = [Edit(a, a, f"{stops.get(a, '')} {' '.join(s)}") for a, s in added.items()]
    return replace(text, edits)


def before(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Put one to five unrelated sentences before the text (English)."""
    start = len(text) - len(text.lstrip())
    if start == len(text):
        return text
    return f"{text[:start]}{' '.join(_drawn('sentence', severity, rng))} {text[start:]}"


def after(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Put one to five unrelated sentences behind the text (English)."""
    return _ended(text, _drawn("sentence", severity, rng), _closing(text))


def lookalikes(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Write letters of other scripts that look alike; `severity` is the share of words."""
    table = _lookalikes()

    def disguise(word: str) -> str:
        spots = _draw([i for i, c in enumerate(word) if c in table], letters, rng)
        return "".join(table[c] if i in spots else c for i, c in enumerate(word))

    places = [s for s in _words(text) if any(c in table for c in text[slice(*s)])]
    return _changed(text, places, severity, rng, disguise)


def zero_width(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Put characters without width inside words; `severity` is the share of words."""

    def pierce(word: str) -> str:
        spots = sorted(_draw(range(1, len(word)), letters, rng))
        draws = [_INVISIBLE[int(i)] for i in rng.integers(len(_INVISIBLE), size=len(spots))]
        return replace(word, [Edit(i, i, c) for i, c in zip(spots, draws, strict=True)])

    places = [s for s in _words(text) if s[1] - s[0] > 1]
    return _changed(text, places, severity, rng, pierce)


def bidi(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Exchange neighbouring letters inside words, and let control characters show them as before.

    `severity` is the share of words. Only words of Latin, Greek and Cyrillic letters are changed:
    other scripts join their letters, or run from the right as they are.
    """

    def exchange(word: str) -> str:
        spots = _draw(
            [i for i in range(0, len(word) - 1, 2) if word[i] != word[i + 1]], letters, rng
        )
        return replace(word, [Edit(i, i + 2, _swapped(word[i], word[i + 1])) for i in spots])

    places = [
        (a, b)
        for a, b in _words(text)
        if any(text[i] != text[i + 1] for i in range(a, b - 1, 2))
        and all(_plain(c) for c in text[a:b])
        and not unicodedata.category(text[b : b + 1] or " ").startswith("M")
    ]
    return _changed(text, places, severity, rng, exchange)


def first_words(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Cut off the end; `severity` is the share of the words cut, of which one at least stays."""
    tokens = _found(re.compile(r"\S+"), text)
    if len(tokens) < 2:
        return text
    return text[: tokens[-1 - min(_count(len(tokens), severity), len(tokens) - 1)][1]]


def last_words(text: str, severity: float, letters: float, rng: np.random.Generator) -> str:
    """Cut off the start; `severity` is the share of the words cut, of which one at least stays."""
    tokens = _found(re.compile(r"\S+"), text)
    if len(tokens) < 2:
        return text
    return text[tokens[min(_count(len(tokens), severity), len(tokens) - 1)][0] :]


def _swapped(one: str, two: str) -> str:
    """Return `two` before `one` in memory, shown as `one` before `two`.

    Source: Boucher et al. (2022), IEEE S&P, arXiv:2106.09898, reorderings, as in its code.
    """
    inner = f"{_LRI}{two}{_PDI}{_LRI}{one}{_PDI}"
    return f"{_LRO}{_LRI}{_RLO}{inner}{_PDF}{_PDI}{_PDF}"


def _reworded(
    text: str, severity: float, rng: np.random.Generator, change: Callable[[str], str]
) -> str:
    places = [s for s in _words(text) if change(text[slice(*s)]) != text[slice(*s)]]
    return _changed(text, places, severity, rng, change)


def _contracted(text: str, severity: float, rng: np.random.Generator, *, made: bool) -> str:
    short = re.compile("['’]")
    found = [
        c
        for c in dialects.neutral(text)
        if bool(short.search(c.edit.new)) is made
        and bool(short.search(text[c.edit.start : c.edit.end])) is not made
    ]
    spots = _draw(range(len(found)), severity, rng)
    return dialects.apply(text, [found[i] for i in sorted(spots)])


def _changed(
    text: str,
    places: Sequence[tuple[int, int]],
    severity: float,
    rng: np.random.Generator,
    change: Callable[[str], str],
) -> str:
    """Change a share of `places`, at least one where there is one, in the order drawn."""
    edits = []
    for i in _draw(range(len(places)), severity, rng):
        start, end = places[i]
        edits.append(Edit(start, end, change(text[start:end])))
    return replace(text, edits)


def _draw(some: Iterable[int], share: float, rng: np.random.Generator) -> list[int]:
    """Return a share of `some`, at least one where there is one, in the order drawn."""
    every = list(some)
    if not every:
        return []
    return [every[int(i)] for i in rng.permutation(len(every))[: _count(len(every), share)]]


def _count(n: int, share: float) -> int:
    return max(1, min(n, int(share * n + 0.5)))


def _words(text: str) -> list[tuple[int, int]]:
    return [m.span() for m in _TOKEN.finditer(text) if m["word"] is not None]


def _kept(text: str) -> list[tuple[int, int]]:
    return [m.span() for m in _TOKEN.finditer(text) if m["kept"] is not None]


def _found(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [m.span() for m in pattern.finditer(text)]


def _marks(text: str) -> list[tuple[int, int]]:
    return list(_free_marks(text))


def _free_marks(text: str) -> Iterator[tuple[int, int]]:
    kept = iter([*_kept(text), (len(text) + 1, len(text) + 1)])
    start, end = next(kept)
    for a, b in _found(_MARKS, text):
        while end <= a:
            start, end = next(kept)
        joins = text[a - 1 : a].isalnum() and text[b : b + 1].isalnum()
        if b <= start and not joins:
            yield a, b


def _drawn(kind: str, severity: float, rng: np.random.Generator) -> list[str]:
    """Return one to five of the shipped texts of a kind, none twice."""
    some = _table()[kind]
    # Less a hair: 0.2 * 5 must be one.
    wanted = max(1, ceil(severity * _ADDED - 1e-9))
    return [some[int(i)] for i in rng.permutation(len(some))[:wanted]]


def _ended(text: str, added: Sequence[str], closing: str = "") -> str:
    body = text.rstrip()
    return f"{body}{closing} {' '.join(added)}{text[len(body) :]}" if body else text


def _closing(text: str) -> str:
    """Return the stop that a text lacks before another sentence; none after a link or an emoji."""
    body = text.rstrip()
    kept = _kept(body)
    if body.endswith(_ENDS) or not body[-1:].isalnum() or (kept and kept[-1][1] == len(body)):
        return ""
    return "."


def _plain(letter: str) -> bool:
    return unicodedata.name(letter, "").split(" ")[0] in ("LATIN", "GREEK", "CYRILLIC")


@cache
def _table() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in rows("additions"):
        found.setdefault(row["kind"], []).append(row["text"])
    return MappingProxyType({kind: tuple(texts) for kind, texts in found.items()})


@cache
def _lookalikes() -> Mapping[str, str]:
    return MappingProxyType({row["letter"]: row["lookalike"] for row in rows("lookalikes")})


def rows(table: str) -> tuple[dict[str, str], ...]:
    """Return the rows of a shipped table of noise."""
    path = shipped("datasets") / "noise" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))

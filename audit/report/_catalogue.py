"""Words of the page, in every language there is a catalogue for.

Catalogues are data: ``messages/en.toml`` and ``messages/zh.toml`` hold the page's own words by key,
``messages/sentences.toml`` what other parts of the suite write into a result in English, as
patterns. A stored sentence that fits a pattern is shown in both languages, with the same numbers and
names in both; one that fits none is shown as it stands, marked as English.

Markup is made of this suite's own tags alone, by `framed`: words of others come in by it, `join` and
`escape`, each of which escapes them.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

from markupsafe import Markup, escape

from audit.figures import humanise
from audit.report._passages import pieces, visible
from audit.shipped import shipped

LANGUAGES = {"en": "en", "zh": "zh-CN"}
"""Name of a catalogue to the language tag of its words."""
_SLOT = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"[\w.,%+\-\u2212<>=≤≥ ]*\d[\d.,%e\-]*|")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")
_OTHERWISE = {
    "certified_share": "share held by the certificate",
    "certified_accuracy": "accuracy held by the certificate",
    "broken_by": "share broken",
    "broken_by_edits": "share broken with few edits",
}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Words(int):
    """A count that English writes as a word below ten."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message and what fills it: strings are words of others, whole numbers choose the plural."""

    key: str
    args: Mapping[str, object] = field(default_factory=dict)
    capital: bool = False
    """Begins a sentence."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same words in each language, from a data file of its own."""

    english: str
    chinese: str


class Term(str):
    """A name that the suite gives, such as a metric's: looked up in the catalogue."""

    __slots__ = ()


def say(key: str, /, **args: object) -> Said:
    """Return the message `key`, filled later, once for each language."""
    return Said(key, args)


def english(said: Said | str) -> str:
    """Return a message as plain English text."""
    return said if isinstance(said, str) else written("en", said)


def written(language: str, said: Said | str) -> str:
    """Return a message as plain text, hidden characters escaped: for attributes and titles."""
    if isinstance(said, str):
        return visible(said)
    text = "".join(
        part if own else _text(language, said.args[part]) for own, part in _parts(language, said)
    )
    return _capital(text) if said.capital and language == "en" else text


def markup(language: str, said: Said | str) -> Markup:
    """Return a message as HTML: everything escaped, words of others isolated."""
    if isinstance(said, str):
        return quoted(said)
    made = escape("").join(
        escape(part) if own else _html(language, said.args[part])
        for own, part in _parts(language, said)
    )
    if said.capital and language == "en" and made[:1].islower():
        made = made[:1].upper() + made[1:]
    return made


def both(said: Said | Pair | str) -> Markup:
    """Return a message in every language; the style sheet shows the one that was chosen."""
    if isinstance(said, str):
        return translated(said)
    if isinstance(said, Pair):
        return _both_of(escape(said.english), escape(said.chinese))
    every = {name: markup(name, said) for name in LANGUAGES}
    if len(set(every.values())) == 1:
        return every["en"]
    return _both_of(every["en"], every["zh"])


def shown_name(name: str) -> str:
    """Return a name as a reader sees it: no name of a metric reads as a verdict."""
    return _OTHERWISE.get(name) or humanise(name)


def named(name: str) -> Markup:
    """Return a name that the suite gives: as it is written, and in Chinese where it is known."""
    shown = shown_name(name)
    chinese = _chinese(shown)
    return quoted(shown) if chinese is None else _both_of(quoted(shown), chinese)


def attribute(name: str, said: Said) -> Markup:
    """Return an attribute in English, and beside it what the script puts there in Chinese."""
    kept = {"aria-label": "data-za", "data-h": "data-zh"}[name]
    return framed('{}="{}" {}="{}"', name, written("en", said), kept, written("zh", said))


def framed(frame: str, /, *words: object) -> Markup:
    """Return a tag of this suite with `words` in its places; what is no markup is escaped.

    Args:
        frame: A literal with a ``{}`` for each word, never made of anybody's words.
        words: Strings, or markup that was made here.
    """
    # The one place where a string is taken for markup; `format` escapes what goes into it.
    return Markup(frame).format(*words)


def quoted(text: str) -> Markup:
    """Return words of others: isolated, escaped, nothing hidden."""
    return framed('<bdi dir="auto">{}</bdi>', _shown(text))


def translated(text: str) -> Markup:
    """Return a stored English sentence, and its Chinese where a pattern knows it."""
    chinese = _chinese(text)
    if chinese is None:
        return framed('<span class="say" lang="en">{}</span>', _shown(text))
    own = '<span class="say">{}</span>'
    return _both_of(framed(own, _shown(text)), framed(own, chinese))


def _both_of(english_words: Markup, chinese_words: Markup) -> Markup:
    frame = '<span class="e">{}</span><span class="z" lang="zh-CN">{}</span>'
    return framed(frame, english_words, chinese_words)


def chinese_of(text: str) -> str | None:
    """Return the Chinese of a stored English sentence as plain text, or None."""
    made = _chinese(text)
    return None if made is None else made.striptags()


def script_words() -> dict[str, dict[str, object]]:
    """Return what the page's script says, by language."""
    return {
        name: {k.partition(".")[2]: v for k, v in _catalogue(name).items() if k.startswith("js.")}
        for name in LANGUAGES
    }


def _parts(language: str, said: Said) -> list[tuple[bool, str]]:
    words = _catalogue(language)[said.key]
    if isinstance(words, dict):
        n = said.args.get("n", 2)
        # English has one form for one and another for the rest, Chinese one for all.
        words = words["one" if n == 1 and "one" in words else "other"]
    cut = _SLOT.split(words)
    return [(i % 2 == 0, part) for i, part in enumerate(cut) if part or i % 2]


def _text(language: str, value: object) -> str:
    if isinstance(value, Said):
        return written(language, value)
    if isinstance(value, Term):
        shown = shown_name(value)
        return (language == "zh" and chinese_of(shown)) or visible(shown)
    if isinstance(value, list | tuple):
        return _listed(language, [_text(language, v) for v in value])
    if isinstance(value, int):
        return _count(language, value)
    return visible(str(value))


def _html(language: str, value: object) -> Markup:
    if isinstance(value, Markup):
        return value
    if isinstance(value, Said):
        return markup(language, value)
    if isinstance(value, Term):
        shown = shown_name(value)
        return (language == "zh" and _chinese(shown)) or quoted(shown)
    if isinstance(value, list | tuple):
        return escape(_listed(language, [_html(language, v) for v in value]))
    if isinstance(value, int):
        return escape(_count(language, value))
    text = str(value)
    return escape(text) if _PLAIN.fullmatch(text) else quoted(text)


def _count(language: str, n: int) -> str:
    if isinstance(n, Words) and language == "en" and n < len(_NUMBERS):
        return _NUMBERS[n]
    return f"{n:,}"


def _listed(language: str, words: list[str]) -> str:
    catalogue = _catalogue(language)
    comma, last = str(catalogue["list.comma"]), str(catalogue["list.last"])
    if isinstance(words[0] if words else "", Markup):
        comma, last = escape(comma), escape(last)
    if len(words) < 2:
        return words[0] if words else ""
    return last.join([comma.join(words[:-1]), words[-1]])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shown(text: str) -> Markup:
    return escape("").join(
        framed('<span class="cp">{}</span>', p.text) if p.escaped else escape(p.text)
        for p in pieces(text)
    )


@cache
def _catalogue(language: str) -> Mapping[str, str | dict[str, str]]:
    path = shipped("templates") / "messages" / f"{language}.toml"
    return dict(_flat(tomllib.loads(path.read_text("utf-8"))))


def _flat(
    table: Mapping[str, object], before: str = ""
) -> Iterable[tuple[str, str | dict[str, str]]]:
    for key, value in table.items():
        if isinstance(value, str):
            yield before + key, value
        elif isinstance(value, dict):
            if "other" in value:
                yield before + key, {k: str(v) for k, v in value.items()}
            else:
                yield from _flat(value, f"{before}{key}.")


@dataclass(frozen=True, slots=True)
class _Pattern:
    fits: re.Pattern[str]
    words: str


@cache
def _sentences() -> tuple[Mapping[str, str], tuple[_Pattern, ...]]:
    path = shipped("templates") / "messages" / "sentences.toml"
    known = tomllib.loads(path.read_text("utf-8"))
    whole: dict[str, str] = {}
    patterns = []
    for english_words, chinese_words in (
        pair for table in known.values() for pair in table.items()
    ):
        if "{" not in english_words:
            whole[english_words] = chinese_words
            continue
        fits = ""
        for i, part in enumerate(_SLOT.split(english_words)):
            if i % 2 == 0:
                fits += re.escape(part)
            elif (part[0] == "n" and part[1:].isdigit()) or part == "n":
                fits += rf"(?P<{part}>[−+<=-]? ?[\d.,]+(?:e[-+]?\d+)?%?)"
            else:
                fits += rf"(?P<{part}>.+?)"
        patterns.append(_Pattern(re.compile(fits, re.DOTALL), chinese_words))
    return whole, tuple(patterns)


@lru_cache(maxsize=50_000)
def _chinese(text: str, depth: int = 3) -> Markup | None:
    if not text or len(text) > 600:
        return None
    whole, patterns = _sentences()
    if text in whole:
        return escape(whole[text])
    if depth == 0:
        return None
    for pattern in patterns:
        found = pattern.fits.fullmatch(text)
        if found:
            return escape("").join(
                escape(part) if i % 2 == 0 else _slot(part, found[part], depth)
                for i, part in enumerate(_SLOT.split(pattern.words))
            )
    cut = _SENTENCE_END.split(text)
    if len(cut) > 1:
        made = [_chinese(one, depth - 1) for one in cut]
        known = [one for one in made if one is not None]
        return escape("").join(known) if len(known) == len(made) else None
    return None


def _slot(name: str, value: str, depth: int) -> Markup:
    if name != "items":
        return _filled(value, depth)
    return escape("；").join(_filled(one, depth) for one in value.split("; "))


def _filled(value: str, depth: int) -> Markup:
    if _PLAIN.fullmatch(value):
        return escape(value)
    inner = _chinese(value, depth - 1)
    return quoted(value) if inner is None else inner

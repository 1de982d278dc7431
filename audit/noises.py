"""The kinds of noise: what each does, how severe it is, and where it was described.

Source: a card for each kind in ``datasets/noise/kinds.csv``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from audit import disturbing, foreign
from audit.errors import ConfigError, did_you_mean

Noiser = Callable[[str, np.random.Generator], str | None]
"""Changes a text; None where the text has no place for the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A row of ``kinds.csv``."""

    kind: str
    what: str
    severity: str
    """What the severity is a share of."""
    language: str
    """Of the texts it can change, by ISO 639-1 code; ``any``."""
    source: str


@cache
def cards() -> Mapping[str, Card]:
    """Return the card of every kind, in the order of the table."""
    return MappingProxyType({row["kind"]: Card(**row) for row in disturbing.rows("kinds")})


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds."""
    return tuple(cards())


def check(kind: str) -> None:
    """Refuse a kind that there is not.

    Raises:
        ConfigError: If the kind is unknown.
    """
    if kind not in cards():
        raise ConfigError(f"There is no noise {kind!r}.", hint=did_you_mean(kind, kinds()))


def dice(kind: str) -> str:
    """Return the name under which a kind draws.

    ``before`` and ``after`` share theirs: the same sentences stand at either end, so that the two
    differ in the place alone.
    """
    return "position" if kind in ("before", "after") else kind


def noiser(kind: str, severity: float, *, letters: float = 0.3) -> Noiser:
    """Return what puts noise of a kind into a text.

    What it returns answers with the changed text, or with None where nothing changed. The same
    generator gives the same text; a greater severity changes what a smaller one did, and more,
    save for the kinds of nlpaug (`foreign.NOISE_KINDS`), which draw anew.

    Args:
        kind: One of `kinds`.
        severity: In (0, 1]; its card says of what it is a share. At least one place is changed.
        letters: Share of a word's letters, in (0, 1], at least one, for the kinds that change
            letters (keyboards, ``ocr``, ``lookalikes``, ``zero_width``, ``bidi``).

    Raises:
        ConfigError: If the kind is unknown or a share out of range.
        Unsupported: If the kind is one of nlpaug's, and nlpaug is not installed.
    """
    check(kind)
    for name, share in (("severity", severity), ("letters", letters)):
        if not 0 < share <= 1:
            raise ConfigError(f"{name} must lie in (0, 1], got {share}.")
    if kind in foreign.NOISE_KINDS:
        augmenter = foreign.noise(kind, words=severity, letters=letters)
        return lambda text, rng: foreign.augment(augmenter, text, rng)
    disturb = _ours()[kind]

    def change(text: str, rng: np.random.Generator) -> str | None:
        made = disturb(text, severity, letters, rng)
        return made if made != text else None

    return change


@cache
def _ours() -> Mapping[str, disturbing.Disturb]:
    return MappingProxyType(
        {
            "case_lower": disturbing.lower,
            "case_upper": disturbing.upper,
            "case_random": disturbing.random_case,
            "punctuation_dropped": disturbing.drop_marks,
            "punctuation_doubled": disturbing.double_marks,
            "contracted": disturbing.contract,
            "expanded": disturbing.expand,
            "space_doubled": disturbing.double_spaces,
            "space_tab": disturbing.tabs,
            "space_no_break": disturbing.no_break,
            "space_lost": disturbing.lose_spaces,
            "emoji": disturbing.emoji,
            "hashtags": disturbing.hashtags,
            "links": disturbing.links,
            "filler": disturbing.filler,
            "distractor": disturbing.distractor,
            "before": disturbing.before,
            "after": disturbing.after,
            "lookalikes": disturbing.lookalikes,
            "zero_width": disturbing.zero_width,
            "bidi": disturbing.bidi,
            "first_words": disturbing.first_words,
            "last_words": disturbing.last_words,
        }
    )

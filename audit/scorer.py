"""The one door to the model. Every probe scores through here, so every text is paid for once."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from audit.cache import RAM, Memory
from audit.classifier import Classifier, Lazy, TokenClassifier
from audit.errors import ModelError
from audit.types import Floats, Head, Text

_Key = bytes


class Scorer:
    """Batches, deduplicates and remembers a classifier's scores.

    Texts are told apart twice: as given, then by the tokens the model reads; what the model cannot
    tell apart gets the same bits. New texts are sorted by token length (ties by the tokens) and
    packed under a token budget, longest first; each batch is kept in one transaction. So an
    interrupted call leaves a prefix of its batches, and the next one computes just the same rest.

    Args:
        classifier: The model under audit, or a `Lazy` one whose weights load at the first miss.
        memory: Where scores are kept; in this process by default.
        batch_tokens: Padded tokens in one forward pass. Small passes are faster on a CPU, whose
            caches then hold the activations; None lets the classifier say.
        batch_size: Texts in one call of a classifier that shows no tokens.
        on_scored: Called with the number of texts after each pass, for progress displays.
    """

    def __init__(
        self,
        classifier: Classifier | Lazy,
        *,
        memory: Memory | None = None,
        batch_tokens: int | None = None,
        batch_size: int = 64,
        on_scored: Callable[[int], object] = lambda n: None,
    ) -> None:
        self._source = classifier
        self._loaded: Classifier | None = None if isinstance(classifier, Lazy) else classifier
        self.labels: tuple[str, ...] = classifier.labels
        self.head: Head = getattr(classifier, "head", "single")
        self.fingerprint: str = classifier.fingerprint
        self.queries = 0
        self.forwards = 0
        self.on_scored = on_scored
        self._memory: Memory = RAM() if memory is None else memory
        self._batch_tokens = batch_tokens
        self._batch_size = batch_size

    @property
    def classifier(self) -> Classifier:
        """The model itself, loaded now if it was not yet."""
        if self._loaded is None:
            self._loaded = cast(Lazy, self._source).load()
        return self._loaded

    def beside(self, classifier: Classifier | Lazy) -> "Scorer":
        """Return a scorer of another classifier that keeps its scores in the same memory."""
        return Scorer(
            classifier,
            memory=self._memory,
            batch_size=self._batch_size,
            on_scored=lambda n: self.on_scored(n),
        )

    def __call__(self, texts: Sequence[Text]) -> Floats:
        """Return class probabilities, shape ``(len(texts), len(self.labels))``, float64.

        Raises:
            ModelError: If the classifier returns another shape, a number that is not finite or
                lies outside [0, 1], rows that do not sum to 1 (single head), or runs out of memory
                on a single text.
        """
        return self._rows(texts)[:, :-1]

    def truncated(self, texts: Sequence[Text]) -> NDArray[np.bool_]:
        """Return which texts the model could not read to their end, shape ``(len(texts),)``."""
        return np.asarray(self._rows(texts)[:, -1] > 0)

    def _rows(self, texts: Sequence[Text]) -> Floats:
        # A row is the scores and, last, whether the text was cut.
        self.queries += len(texts)
        keys = [self._text_key(text) for text in texts]
        found = self._memory.get(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if new:
            found |= self._score(new)
        width = len(self.labels) + 1
        return np.array([found[key] for key in keys], dtype=np.float64).reshape(-1, width)

    def _text_key(self, text: Text) -> _Key:
        parts = (text,) if isinstance(text, str) else text
        return self._memory.key(
            b"text", self.fingerprint.encode(), *(p.encode("utf-8", "surrogatepass") for p in parts)
        )

    def _score(self, new: dict[_Key, Text]) -> dict[_Key, Floats]:
        classifier = self.classifier
        if not isinstance(classifier, TokenClassifier):
            return self._score_plain(classifier, new)
        rows: dict[_Key, Floats] = {}
        encoded, cut = classifier.encode(list(new.values()))
        # One entry per distinct token sequence, with all the texts that share it.
        owners: dict[_Key, list[_Key]] = {}
        tokens: dict[_Key, Any] = {}
        was_cut = dict(zip(new, cut, strict=True))
        for key, ids in zip(new, encoded, strict=True):
            token_key = self._memory.key(b"ids", self.fingerprint.encode(), classifier.digest(ids))
            owners.setdefault(token_key, []).append(key)
            tokens[token_key] = ids
        known = self._memory.get(list(tokens))
        for token_key, row in known.items():
            rows |= {key: _with_cut(row, was_cut[key]) for key in owners[token_key]}
        if rows:
            self._memory.put(rows)
        order = sorted(
            (key for key in tokens if key not in known),
            key=lambda key: (-len(tokens[key]), tokens[key]),
        )
        budget = self._batch_tokens or classifier.batch_tokens
        start = 0
        while start < len(order):
            # Longest first, so the first text of a batch sets its padded width.
            size = max(1, budget // max(1, len(tokens[order[start]])))
            batch = order[start : start + size]
            while True:
                try:
                    scores = classifier.forward([tokens[key] for key in batch])
                    break
                except Exception as problem:
                    if not _out_of_memory(problem) or len(batch) == 1:
                        raise _memory_error(problem) from problem
                    batch = batch[: len(batch) // 2]
                    budget = max(1, budget // 2)
            self._check(scores, len(batch))
            fresh: dict[_Key, Floats] = {}
            for token_key, row in zip(batch, scores, strict=True):
                fresh[token_key] = np.append(row, 0.0)
                fresh |= {key: np.append(row, was_cut[key]) for key in owners[token_key]}
            self._memory.put(fresh)
            rows |= fresh
            self._count(sum(len(owners[key]) for key in batch), len(batch))
            start += len(batch)
        return rows

    def _score_plain(self, classifier: Classifier, new: dict[_Key, Text]) -> dict[_Key, Floats]:
        rows: dict[_Key, Floats] = {}
        order = sorted(new, key=lambda key: (-len(str(new[key])), str(new[key])))
        for batch in _chunks(order, self._batch_size):
            scores = np.asarray(classifier.probabilities([new[key] for key in batch]), np.float64)
            self._check(scores, len(batch))
            fresh = {key: np.append(row, 0.0) for key, row in zip(batch, scores, strict=True)}
            self._memory.put(fresh)
            rows |= fresh
            self._count(len(batch), len(batch))
        return rows

    def _count(self, answered: int, paid: int) -> None:
        self.forwards += paid
        self.on_scored(answered)

    def _check(self, scores: Floats, n: int) -> None:
        expected = (n, len(self.labels))
        if scores.shape != expected:
            raise ModelError(
                f"The classifier returned scores of shape {scores.shape} for {n} texts and "
                f"{len(self.labels)} labels.",
                hint=f"probabilities() must return shape {expected}.",
            )
        if not np.isfinite(scores).all():
            raise ModelError(
                "The classifier returned a score that is not a finite number.",
                hint="Check the checkpoint: a NaN would look like a confident first label.",
            )
        if (scores < 0).any() or (scores > 1 + 1e-6).any():
            raise ModelError(
                "The classifier returned a score outside 0 to 1.",
                hint="probabilities() must return probabilities, not logits.",
            )
        if self.head == "single" and np.abs(scores.sum(axis=1) - 1).max(initial=0.0) > 1e-6:
            raise ModelError(
                "The classifier returned rows that do not sum to 1.",
                hint='Normalise them, or declare head = "multi" under [model].',
            )


def _with_cut(row: Floats, cut: bool) -> Floats:
    return np.append(row[:-1], float(cut))


def _chunks(items: list[_Key], size: int) -> Iterator[list[_Key]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def _out_of_memory(problem: Exception) -> bool:
    words = str(problem).lower()
    return isinstance(problem, MemoryError) or (
        isinstance(problem, RuntimeError)
        and any(said in words for said in ("out of memory", "can't allocate memory"))
    )


def _memory_error(problem: Exception) -> Exception:
    if not _out_of_memory(problem):
        return problem
    return ModelError(
        "The model runs out of memory on a single text.",
        hint="Set a smaller max_length under [model], or use a machine with more memory.",
    )

"""What the audit needs of a classifier, whatever stands behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from audit.checkpoint import Identity
from audit.errors import Unsupported
from audit.types import Floats, Head, Text

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Classifier(Protocol):
    """What the audit needs to know about a model: its labels, its identity, its scores.

    An attribute ``head`` ("single" or "multi") is read where there is one; "single" otherwise.
    """

    labels: tuple[str, ...]
    fingerprint: str
    """Changes whenever the scores could change; part of every cache key."""

    def probabilities(self, texts: Sequence[Text]) -> Floats:
        """Score `texts` in one batch, shape ``(len(texts), len(labels))``.

        Rows sum to 1 (softmax head), or each number lies in [0, 1] (multi-label).
        """
        ...


@runtime_checkable
class TokenClassifier(Protocol):
    """A classifier that shows its tokens, so that the scorer can pack batches by them."""

    batch_tokens: int

    def encode(self, texts: Sequence[Text]) -> tuple[list[Any], list[bool]]:
        """Return the tokens of each text (comparable, with a length) and whether it was cut."""
        ...

    def digest(self, ids: Any) -> bytes:
        """Return bytes that are equal exactly for equal tokens."""
        ...

    def forward(self, batch: Sequence[Any]) -> Floats:
        """Score encoded texts in one pass, shape ``(len(batch), len(labels))``."""
        ...


@dataclass(frozen=True, slots=True)
class Lazy:
    """A classifier whose weights are loaded when the first text is not in the cache."""

    identity: Identity
    load: Callable[[], Classifier]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.identity.labels

    @property
    def head(self) -> Head:
        return self.identity.head

    @property
    def fingerprint(self) -> str:
        return self.identity.fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiteBox:
    """The inside of a classifier, for probes that need gradients."""

    module: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    max_length: int
    device: "torch.device"
    labels: tuple[str, ...]
    head: Head


def white_box(classifier: Classifier) -> WhiteBox:
    """Return the module and tokenizer of a `transformers` classifier, in evaluation mode.

    Raises:
        Unsupported: If the classifier is a callable, which has no inside to look at.
    """
    inside = getattr(classifier, "white_box", None)
    if inside is None:
        raise Unsupported(
            "This classifier is a callable: it has no gradients to look at.",
            hint="Attributions by gradients need a transformers model; name its folder or hub id.",
        )
    return cast(WhiteBox, inside())

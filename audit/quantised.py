"""A copy of a classifier whose linear layers multiply in 8 bits: quick, and nearly the same.

Weights are quantised once, per output; activations when they come, each token by its own largest
value. So a text's scores do not hang on the texts it is scored with, as they would with one scale
for a whole batch; only rounding that falls on an edge can still be tipped by them. The copy ranks,
it does not judge: whoever uses it asks the model itself about what counts.

Source: Dettmers et al. (2022), NeurIPS, arXiv:2208.07339, section 2.1 (vector-wise quantisation).
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from audit.checkpoint import Identity, digest_of
from audit.classifier import Classifier, Lazy
from audit.ensemble import Ensemble
from audit.errors import Unsupported
from audit.huggingface import HFClassifier
from audit.types import Head

if TYPE_CHECKING:
    pass

_STEPS, _LEAST = 127, 1e-12
INT8_TOKENS = 512
"""Padded tokens of a pass: 8-bit products leave so little work that smaller passes win."""


def fingerprint(of: str) -> str:
    """Return the fingerprint of the copy of the classifier with the fingerprint `of`."""
    return digest_of({"int8 by token": of, "version": 1})


def later(labels: tuple[str, ...], head: Head, of: str, original: Callable[[], Classifier]) -> Lazy:
    """Return the copy of a classifier that is made when its first text is not in the cache.

    Args:
        labels: Of the original.
        head: Of the original.
        of: The original's fingerprint.
        original: Gives the original.
    """
    identity = Identity(
        name="8-bit copy",
        kind="transformers",
        labels=labels,
        head=head,
        fingerprint=fingerprint(of),
    )
    return Lazy(identity, lambda: int8(original()))


def int8(classifier: Classifier) -> Classifier:
    """Return a copy of `classifier` with 8-bit linear layers; the original stays as it is.

    Raises:
        Unsupported: If the classifier is a callable, or does not run on a processor.
    """
    if isinstance(classifier, Ensemble):
        made = copy.copy(classifier)
        made.members = tuple(int8(member) for member in classifier.members)
        made.batch_tokens = INT8_TOKENS
        made.fingerprint = fingerprint(classifier.fingerprint)
        return made
    if not isinstance(classifier, HFClassifier):
        raise Unsupported(
            "This classifier is a callable: it has no layers to make an 8-bit copy of.",
            hint='Leave screen = "int8" out; it needs a transformers model.',
        )
    if classifier.device.type != "cpu":
        raise Unsupported(
            f"An 8-bit copy runs on a processor; the model is on {classifier.device}.",
            hint='Leave screen = "int8" out: on a GPU it would save nothing.',
        )
    quick = copy.copy(classifier)
    quick.module = copy.deepcopy(classifier.module)
    _replace(quick.module)
    quick.fingerprint = fingerprint(classifier.fingerprint)
    quick.dtype = "int8"
    quick.batch_tokens = INT8_TOKENS
    return quick


def _replace(module: Any) -> None:
    import torch

    kind = _linear()
    for name, child in list(module.named_children()):
        if type(child) is torch.nn.Linear:
            setattr(module, name, kind(child))
        else:
            _replace(child)


@cache
def _linear() -> Any:
    """Return the class of the layers of the copy, made when torch is there."""
    import torch

    class Int8Linear(torch.nn.Module):
        table: torch.Tensor
        scale: torch.Tensor
        bias: torch.Tensor | None

        def __init__(self, layer: Any) -> None:
            super().__init__()
            weight = layer.weight.detach().float()
            scale = (weight.abs().amax(dim=1) / _STEPS).clamp_(min=_LEAST)
            table = (weight / scale[:, None]).round_().to(torch.int8).t().contiguous()
            self.register_buffer("table", table)
            self.register_buffer("scale", scale)
            self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = x.reshape(-1, x.shape[-1])
            # Few passes over memory: beside an 8-bit product each of them is felt.
            own = rows.abs().amax(dim=1, keepdim=True).mul_(1 / _STEPS).clamp_(min=_LEAST)
            small = (rows * own.reciprocal()).round_().to(torch.int8)
            out = torch._int_mm(small, self.table).to(torch.float32).mul_(own)
            found = (
                out.mul_(self.scale)
                if self.bias is None
                else torch.addcmul(self.bias, out, self.scale)
            )
            return found.reshape(*x.shape[:-1], -1)

    return Int8Linear

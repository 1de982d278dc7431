"""Copies of a classifier as they are deployed: weights in eight bits, small weights left out."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from audit.checkpoint import Identity, digest_of
from audit.errors import ConfigError, Unsupported

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_VERSION = 1
"""Raise it when a copy's scores change: it is part of the fingerprint."""


def wanted(spec: Any) -> bool:
    """Return whether a copy is asked for instead of the model itself."""
    return getattr(spec, "quantise", "none") != "none" or getattr(spec, "prune", 0.0) > 0


def identity_of(identity: Identity, spec: Any) -> Identity:
    """Return the identity of the copy: another name and another fingerprint.

    Raises:
        Unsupported: If the classifier is a callable or an exported graph, whose weights nobody can
            reach.
    """
    if identity.kind == "onnx":
        raise Unsupported(
            "A graph in ONNX is a copy already.",
            hint="Compress the model it was exported from, or name a compressed graph.",
        )
    if identity.kind == "callable":
        raise Unsupported(
            "A callable has no weights to compress.",
            hint="Audit the compressed model itself: let the callable load it.",
        )
    said = {"of": identity.fingerprint, "version": _VERSION}
    said |= {"quantise": spec.quantise, "prune": f"{spec.prune:g}"}
    return replace(identity, name=f"{identity.name} ({words(spec)})", fingerprint=digest_of(said))


def compressor(spec: Any) -> "Callable[[PreTrainedModel], PreTrainedModel] | None":
    """Return what makes the copy of a loaded module; None where none is asked for."""
    return (lambda module: compress(module, spec)) if wanted(spec) else None


def words(spec: Any) -> str:
    """Return what a copy is, in a few words."""
    told = [f"{spec.prune:.0%} of weights pruned"] if spec.prune else []
    return ", ".join(told + (["dynamic int8"] if spec.quantise == "int8" else []))


def compress(module: "PreTrainedModel", spec: Any) -> "PreTrainedModel":
    """Prune and quantise the linear layers of a module on a CPU, in place.

    Pruning sets the smallest weights of each layer of the encoder to zero; the head is spared.
    Quantising rounds every linear layer's weights to eight bits, one scale for each row, and its
    inputs to eight bits while it runs, one scale for each token. A token's numbers do not hang on
    what else is in the batch, so that a text has one score; kernels with one scale for a whole batch
    (torch's own dynamic quantisation) differ from this in the last bits of the rounding.

    Source:
        Zafrir et al. (2019), 'Q8BERT', arXiv:1910.06188 (eight bits); Han et al. (2015), NeurIPS,
        arXiv:1506.02626 (magnitude pruning); Dettmers et al. (2022), arXiv:2208.07339, section 2.1,
        for a scale of each token.
    """
    import torch

    if next(module.parameters()).device.type != "cpu":
        raise ConfigError(
            "A compressed copy runs on a CPU.", hint='Set device = "cpu" under [model].'
        )
    # The last word on a decision is not what a deployment prunes.
    spared = ("classifier", "score", "pre_classifier")
    linear = [
        (name, layer)
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    with torch.no_grad():
        for name, layer in linear:
            if spec.prune and name.split(".")[0] not in spared:
                _prune(layer.weight, spec.prune)
            if spec.quantise == "int8":
                _quantise(layer)
    return module


def _prune(weight: "torch.Tensor", share: float) -> None:
    k = int(share * weight.numel())
    if k:
        least = weight.abs().flatten().kthvalue(k).values
        weight[weight.abs() <= least] = 0.0


def _quantise(layer: "torch.nn.Linear") -> None:
    """Make one layer compute as in eight bits: the integer kernel's result up to float32 rounding."""
    import torch

    scale = layer.weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127
    layer.weight.copy_((layer.weight / scale).round() * scale)

    def forward(x: "torch.Tensor") -> "torch.Tensor":
        step = x.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / 127
        return torch.nn.functional.linear((x / step).round() * step, layer.weight, layer.bias)

    layer.forward = forward  # type: ignore[method-assign,assignment]

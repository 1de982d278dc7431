"""An encoder with a fresh classification head: loaded safely, the head drawn from the seed."""

from collections.abc import Sequence
from pathlib import Path
from types import MethodType
from typing import Any

from audit.checkpoint import read_json
from audit.errors import ConfigError, ModelError
from audit.types import Head


def with_new_head(encoder: Path, labels: tuple[str, ...], head: Head) -> tuple[Any, Any, int]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not (encoder / "config.json").exists():
        raise ModelError(
            f"{encoder} is not an encoder: it has no config.json.",
            hint="Name a folder that `save_pretrained` wrote, or leave out `encoder` for the "
            "packaged one.",
        )
    if (encoder / "adapter_config.json").exists():
        raise ModelError(f"{encoder} holds an adapter; merge it into its model first.")
    config = read_json(encoder / "config.json")
    kind = "multi_label_classification" if head == "multi" else "single_label_classification"
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            encoder,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={name: i for i, name in enumerate(labels)},
            problem_type=kind,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            encoder, trust_remote_code=False, local_files_only=True
        )
    except Exception as problem:
        first = (str(problem) or type(problem).__name__).splitlines()[0]
        raise ModelError(
            f"The encoder in {encoder} cannot be loaded: {first}",
            hint="It must hold safetensors that AutoModelForSequenceClassification can read.",
        ) from problem
    model = model.float()
    inside = f"{model.base_model_prefix}."
    # A pooler is part of the head: encoders trained on token prediction come without one.
    lost = [n for n in info["missing_keys"] if n.startswith(inside) and ".pooler." not in n]
    lost += [n for n in _names(info["mismatched_keys"]) if n.startswith(inside)]
    if lost:
        raise ModelError(
            f"The encoder in {encoder} lacks {len(lost)} weights of its own, first {lost[0]}.",
            hint="It would be filled at random; copy the encoder again.",
        )
    if tuple((config.get("id2label") or {}).values()) != labels:
        draw_head(model)
    pad = tokenizer.pad_token_id
    if pad is None:
        pad = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
    if model.config.pad_token_id is None:
        model.config.pad_token_id = int(pad)
    return model, tokenizer, int(pad)


def _names(keys: Sequence[Any]) -> list[str]:
    return [key if isinstance(key, str) else str(key[0]) for key in keys]


def draw_head(model: Any) -> None:
    """Draw the head anew: one of other labels would start from what these never meant."""
    import torch

    width = float(getattr(model.config, "initializer_range", 0.02))
    with torch.no_grad():
        for name, part in model.named_children():
            if name == model.base_model_prefix:
                continue
            for inner in part.modules():
                if isinstance(inner, torch.nn.Linear):
                    inner.weight.normal_(0.0, width)
                    if inner.bias is not None:
                        inner.bias.zero_()


def freeze(model: Any, count: int) -> None:
    """Keep the embeddings and the lowest `count` layers of `model` as they are, in training too.

    Nothing there is learnt, so nothing is dropped either: what they say of a text is what they will
    say of it in use, and their forward pass, without masks to draw, is a third shorter.
    """
    import torch

    if count == 0:
        return
    depth = int(model.config.num_hidden_layers)
    if count > depth:
        raise ConfigError(
            f"freeze_layers is {count}, but the encoder has {depth} layers.",
            hint=f"Choose at most {depth}.",
        )
    base = model.base_model
    layers = next(
        part
        for part in base.modules()
        if isinstance(part, torch.nn.ModuleList) and len(part) == depth
    )
    below = getattr(base, "embeddings", None) or base.get_input_embeddings()
    for part in (below, *layers[:count]):
        for weight in part.parameters():
            weight.requires_grad = False
        # The Trainer calls `train()` before each step; these stay as they are.
        part.eval()
        part.train = MethodType(_unmoved, part)


def _unmoved(part: Any, mode: bool = True) -> Any:
    return part


def drop(model: Any, share: float) -> None:
    """Let every dropout of `model` drop `share` of what passes, in training."""
    import torch

    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = share
        # Decoders keep the share of their attention in a number, and BERT under transformers 4.
        for name in ("attention_dropout", "dropout_prob"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, share)


def positions_of(model: Any, tokenizer: Any) -> int:
    config = model.config
    positions = int(getattr(config, "max_position_embeddings", 0) or 0) or 1 << 30
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    if padding is not None:
        # RoBERTa counts positions from the padding id onwards.
        positions -= int(padding) + 1
    return min(positions, int(min(tokenizer.model_max_length, 1 << 30)))

"""Training a little beside a frozen encoder: LoRA, (IA)³ and prompt tuning, through peft."""

import json
import shutil
from pathlib import Path
from typing import Any

from audit.checkpoint import read_json
from audit.errors import ConfigError, Unsupported
from audit.files import write_text
from audit.settings import TrainConfig

_BASE = "base"
_HEADS = frozenset({"classifier", "score", "pooler", "pre_classifier"})
"""What stands above the encoder: drawn anew, hence trained whole and saved with the adapter."""


def adapt(model: Any, settings: TrainConfig, base: Path) -> Any:
    """Freeze `model` but for its head and what the method adds; write it to `base` as it was.

    Args:
        model: A sequence classifier with a new head.
        settings: Its ``method`` is not ``full``.
        base: Folder for the frozen weights and the names of the labels.

    Raises:
        Unsupported: If peft is not installed.
        ConfigError: If peft does not know where to put the adapter in this encoder, or the prompt
            leaves no room for a text.

    Source:
        Hu et al. (2022), LoRA, arXiv:2106.09685; Liu et al. (2022), (IA)³, arXiv:2205.05638;
        Lester, Al-Rfou & Constant (2021), prompt tuning, arXiv:2104.08691.
    """
    try:
        import peft
    except ImportError as problem:
        raise Unsupported(
            f"The method {settings.method} needs peft, which is not installed.",
            hint="pip install peft",
        ) from problem
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 0)
    if settings.method == "prompt" and positions and settings.prompt_tokens > positions // 2:
        raise ConfigError(
            f"A prompt of {settings.prompt_tokens} tokens leaves less than half of the "
            f"{positions} that the encoder reads.",
            hint="Lower prompt_tokens under [train].",
        )
    # Leaves alone: peft cannot put a head of several layers back in one piece.
    head = [
        name
        for name, part in model.named_modules()
        if set(name.split(".")) & _HEADS and not list(part.children()) and list(part.parameters())
    ]
    shared: dict[str, Any] = {"task_type": "SEQ_CLS", "modules_to_save": head}
    config: Any
    if settings.method == "lora":
        config = peft.LoraConfig(
            r=settings.rank, lora_alpha=2 * settings.rank, lora_dropout=0.0, **shared
        )
    elif settings.method == "ia3":
        config = peft.IA3Config(**shared)
    else:
        shared.pop("modules_to_save")
        config = peft.PromptTuningConfig(num_virtual_tokens=settings.prompt_tokens, **shared)
    shutil.rmtree(base, ignore_errors=True)
    model.save_pretrained(base)
    try:
        adapted = peft.get_peft_model(model, config)
    except ValueError as problem:
        raise ConfigError(
            f"peft does not know where {settings.method} goes in this encoder: {problem}",
            hint='Use method = "full" under [train].',
        ) from problem
    return adapted


def finish(model: Any, tokenizer: Any, base: Path, final: Path) -> None:
    """Write the adapter to `final` with its tokenizer, and the frozen weights under it.

    The folder stands alone: ``adapter_model.safetensors`` holds what was trained, the head
    included, ``base`` all else, and ``adapter_config.json`` names the latter by that word.
    """
    model.save_pretrained(final, save_embedding_layers=False)
    (final / "README.md").unlink(missing_ok=True)
    place = final / "adapter_config.json"
    config = read_json(place) | {"base_model_name_or_path": _BASE}
    write_text(place, json.dumps(config, indent=1, sort_keys=True) + "\n")
    tokenizer.save_pretrained(final)
    tokens = int(config.get("num_virtual_tokens") or 0)
    if tokens:
        # The prompt takes up positions: a text of full length would not fit behind it.
        place = final / "tokenizer_config.json"
        least = int(min(tokenizer.model_max_length, model.config.max_position_embeddings))
        limits = read_json(place) | {"model_max_length": least - tokens}
        write_text(place, json.dumps(limits, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(final / _BASE, ignore_errors=True)
    base.rename(final / _BASE)

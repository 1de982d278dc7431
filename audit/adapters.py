"""Training a little beside a frozen encoder: LoRA, AdaLoRA, (IA)³, prompts, prefixes (peft)."""

import json
import shutil
from math import ceil
from pathlib import Path
from typing import Any

from audit.checkpoint import read_json
from audit.errors import ConfigError, Unsupported
from audit.files import write_text
from audit.settings import TrainConfig

_BASE = "base"
_HEADS = frozenset({"classifier", "score", "pooler", "pre_classifier"})
"""What stands above the encoder: drawn anew, hence trained whole and saved with the adapter."""


PROMPTS = ("prompt", "prefix")
"""Methods whose made-up tokens take up places of a text's."""


def adapt(model: Any, settings: TrainConfig, base: Path, *, steps: int) -> Any:
    """Freeze `model` but for its head and what the method adds; write it to `base` as it was.

    Args:
        model: A sequence classifier with a new head.
        settings: Its ``method`` is not ``full``.
        base: Folder for the frozen weights and the names of the labels.
        steps: Optimiser steps of the training, by which AdaLoRA plans.

    Raises:
        Unsupported: If peft is not installed.
        ConfigError: If peft does not know where to put the adapter in this encoder, or the prompt
            leaves no room for a text.

    Source:
        Hu et al. (2022), LoRA, arXiv:2106.09685; Liu et al. (2022), (IA)³, arXiv:2205.05638;
        Lester, Al-Rfou & Constant (2021), prompt tuning, arXiv:2104.08691; Li & Liang (2021),
        prefix tuning, arXiv:2101.00190; Zhang et al. (2023), AdaLoRA, arXiv:2303.10512.
    """
    try:
        import peft
    except ImportError as problem:
        raise Unsupported(
            f"The method {settings.method} needs peft, which is not installed.",
            hint="pip install peft",
        ) from problem
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 0)
    if settings.method in PROMPTS and positions and settings.prompt_tokens > positions // 2:
        raise ConfigError(
            f"A {settings.method} of {settings.prompt_tokens} tokens leaves less than half of the "
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
    elif settings.method == "adalora":
        # Section 4: half as much again to begin with, pruned over the middle of the training.
        config = peft.AdaLoraConfig(
            init_r=ceil(1.5 * settings.rank),
            target_r=settings.rank,
            lora_alpha=2 * settings.rank,
            lora_dropout=0.0,
            tinit=steps // 10,
            tfinal=max(1, steps * 3 // 10),
            deltaT=max(1, steps // 100),
            total_step=max(3, steps),
            **shared,
        )
    else:
        shared.pop("modules_to_save")
        kind = peft.PromptTuningConfig if settings.method == "prompt" else peft.PrefixTuningConfig
        config = kind(num_virtual_tokens=settings.prompt_tokens, **shared)
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


class Ranks:
    """Which of AdaLoRA's updates keep their rank, decided step by step.

    peft would cut the weights to the ranks that are left whenever it saves them, which an optimiser
    that goes on from a checkpoint could not follow: here what is pruned is zero and stays in place.
    """

    _FILE = "ranks.safetensors"
    _TABLES = ("ipt", "exp_avg_ipt", "exp_avg_unc")

    def __init__(self, model: Any) -> None:
        self._model = model.base_model
        self._left: dict[str, list[bool]] = {}

    def step(self, step: int) -> None:
        """Take the gradients of optimiser step `step`, from 1, into account."""
        config = self._model.peft_config[self._model.trainable_adapter_name]
        allocator, last = self._model.rankallocator, config.total_step - config.tfinal
        if step <= last:
            _, left = allocator.update_and_allocate(
                self._model.model, step, force_mask=step == last
            )
            self._left = left if step == last else {}
        elif self._left:
            allocator.mask_using_rank_pattern(self._model.model, self._left)

    def orthogonality(self) -> Any:
        """Return the penalty that keeps the updates' factors orthogonal, to be added to the loss."""
        import torch

        config = self._model.peft_config[self._model.trainable_adapter_name]
        apart = []
        for name, weight in self._model.named_parameters():
            if ".lora_A." in name or ".lora_B." in name:
                cover = weight @ weight.T if ".lora_A." in name else weight.T @ weight
                apart.append(torch.norm(cover - torch.eye(len(cover), device=cover.device)))
        return config.orth_reg_weight * torch.stack(apart).mean()

    def save(self, folder: Path) -> None:
        """Write what a checkpoint must keep."""
        from safetensors.torch import save_file

        allocator = self._model.rankallocator
        tensors = {
            f"{table}/{name}": value.contiguous()
            for table in self._TABLES
            for name, value in getattr(allocator, table).items()
        }
        save_file(tensors, folder / self._FILE, {"left": json.dumps(self._left)})

    def restore(self, folder: Path) -> None:
        """Go on from what `save` wrote."""
        from safetensors import safe_open

        with safe_open(folder / self._FILE, "pt") as file:
            self._left = json.loads(file.metadata()["left"])
            for name in file.keys():  # noqa: SIM118
                table, _, whose = name.partition("/")
                getattr(self._model.rankallocator, table)[whose] = file.get_tensor(name)


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

"""One fine-tuning with transformers' `Trainer`: the same on versions 4.57 and 5, and quiet."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from audit import firsttoken
from audit.adapters import PROMPTS, Ranks, adapt, finish
from audit.batches import (
    Buckets,
    diverged,
    marked,
    padded_with_marks,
    probabilities,
    rows_of,
    scores_of,
)
from audit.checkpoint import read_json
from audit.errors import ConfigError
from audit.files import write_text
from audit.foreign import borrowed_randomness
from audit.fscore import macro_f1, said, truth
from audit.hardening import Reader, Round, Slots
from audit.huggingface import quiet
from audit.kept import keep_epochs
from audit.newhead import drop, freeze, positions_of, with_new_head
from audit.objective import Loss, Objective, label_weights
from audit.seeding import stream
from audit.settings import TrainConfig
from audit.types import Example, Floats, Head

Progress = Callable[[int, int, str], None]
"""Called with optimiser steps done, steps in all, and a few words on how it goes."""

_MARKS = ("weights", "cells", "groups", "twins")
_DONE = "written.mark"
_STATE = "objective.json"
RISEN = 1.2
"""Times its least value that the dev loss must reach to be called rising."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over the training texts, as far as it can be told from outside."""

    epoch: int
    train_loss: float
    dev_loss: float
    dev_macro_f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a fit leaves, besides the model in its folder."""

    curve: tuple[Epoch, ...]
    best_epoch: int
    steps: int
    dev_scores: Floats
    """Shape ``(n_dev, k)``, in the order of the dev texts, at full precision."""
    train_scores: Floats
    """Shape ``(n_sample, k)``: scores of the sample of training texts asked for."""
    truncated: int
    """Training texts longer than the model was let read."""
    device: str
    precision: str
    threads: int
    resumed: bool
    """It went on from a checkpoint."""
    attacks: tuple[Round, ...] = ()
    """Attacks on the training texts between epochs."""


def native_bf16() -> bool:
    """Tell whether the device has units for bf16 that make training faster than fp32.

    A processor needs AMX for it: with AVX-512's bf16 instructions alone, a matrix product has taken
    1.8 times as long as at full precision.
    """
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


def precision(settings: TrainConfig) -> str:
    """Return ``bf16``, ``fp16`` or ``fp32``: what `settings` come to on this machine.

    Raises:
        ConfigError: If fp16 is asked for where there is no GPU.
    """
    import torch

    if settings.precision == "auto":
        return "bf16" if native_bf16() else "fp32"
    if settings.precision == "fp16" and not torch.cuda.is_available():
        raise ConfigError(
            'precision = "fp16" needs a GPU, and there is none.', hint='Set precision = "auto".'
        )
    return settings.precision


def fit(
    settings: TrainConfig,
    encoder: Path,
    labels: tuple[str, ...],
    head: Head,
    train: Sequence[Example],
    dev: Sequence[Example],
    sample: Sequence[Example],
    folder: Path,
    *,
    objective: Objective,
    on_progress: Progress,
) -> Fitted:
    """Fine-tune `encoder` and write the best epoch's model to ``folder/final``.

    Checkpoints stand in `folder`; where a whole one is there, the fit goes on from it. Global
    random state and environment are left as they were.

    Raises:
        ModelError: If the encoder cannot be loaded, or training ends in numbers that are not finite.
        ConfigError: If more layers shall be frozen than there are, or an adapter does not fit.
    """
    with quiet(), _environment(), borrowed_randomness(stream(settings.seed, "training")):
        return _fit(
            settings, encoder, labels, head, train, dev, sample, folder, objective, on_progress
        )


def _fit(
    settings: TrainConfig,
    encoder: Path,
    labels: tuple[str, ...],
    head: Head,
    train: Sequence[Example],
    dev: Sequence[Example],
    sample: Sequence[Example],
    folder: Path,
    objective: Objective,
    on_progress: Progress,
) -> Fitted:
    import torch
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    torch.manual_seed(settings.seed)
    model, tokenizer, pad = with_new_head(encoder, labels, head)
    freeze(model, settings.freeze_layers)
    if settings.dropout is not None:
        drop(model, settings.dropout)
    room = positions_of(model, tokenizer)
    low = precision(settings)
    slots = None if objective.attacking is None else Slots(objective.attacking, train)
    if slots is not None:
        train, objective = (*train, *slots.added), slots.objective(objective)
    batches = ceil(len(train) / settings.batch_size)
    steps = ceil(batches / settings.accumulate) * settings.epochs
    whole = model
    if settings.method != "full":
        room -= settings.prompt_tokens if settings.method in PROMPTS else 0
        model = adapt(model, settings, folder / "base", steps=steps)
    ranks = Ranks(model) if settings.method == "adalora" else None
    limit = min(settings.max_length, room)
    rows, truncated = rows_of(tokenizer, train, truth(train, labels, head), head, limit)
    if slots is not None:
        slots.bind(rows, train, Reader(tokenizer, limit, pad, head, low))
    own = _loss(settings, objective, head)
    if own is not None:
        weights = dict(objective.weights)
        if settings.class_weights == "balanced":
            for name, weight in label_weights(train).items():
                weights[name] = weights.get(name, 1.0) * weight
        marked(
            rows,
            train,
            replace(objective, weights=weights),
            own.cells,
            tokenizer,
            limit,
            own.groups,
        )
    dev_truth = truth(dev, labels, head)
    dev_rows, _ = rows_of(tokenizer, dev, dev_truth, head, limit)
    # Sorted once here instead of grouped by the Trainer, whose predictions would come reordered.
    order = np.argsort([len(row["input_ids"]) for row in dev_rows], kind="stable")
    sorted_truth = dev_truth[order]

    arguments = TrainingArguments(
        output_dir=str(folder.resolve()),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        per_device_eval_batch_size=max(8, settings.batch_size),
        warmup_steps=ceil(steps * settings.warmup_ratio),
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=None if settings.keep_epochs else 2,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=low == "bf16",
        fp16=low == "fp16",
        use_cpu=not torch.cuda.is_available(),
        report_to=list(settings.report_to),
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_nan_inf_filter=False,
        label_names=["labels"],
    )

    class Bucketed(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any, **__: Any) -> "Buckets":
            return Buckets(rows, settings.batch_size, settings.seed)

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            # Dev losses are plain ones, so that curves under different objectives compare.
            if own is None or not model.training:
                return super().compute_loss(model, inputs, *args, **kwargs)
            loss = _step_loss(own, model, inputs)
            return loss if ranks is None else loss + ranks.orthogonality()

    def metrics(found: Any) -> dict[str, float]:
        scores = probabilities(np.asarray(found.predictions, np.float64), head)
        return {"macro_f1": macro_f1(sorted_truth, said(scores, labels, head), len(labels))}

    trainer = Bucketed(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=[dev_rows[i] for i in order],
        data_collator=lambda batch: padded_with_marks(batch, pad, head),
        compute_metrics=metrics,
        callbacks=[_watcher(settings.patience, on_progress, own, slots, labels, ranks)],
    )
    # A batch's loss is its mean, so that the Trainer divides it by the batches of a step.
    trainer.model_accepts_loss_kwargs = False
    trainer.remove_callback(PrinterCallback)
    checkpoint = _last_whole(folder)
    if checkpoint:
        state = read_json(checkpoint / _STATE)
        if own is not None:
            own.shares = state["shares"]
        if slots is not None:
            slots.restore(state["slots"])
        if ranks is not None:
            ranks.restore(checkpoint)
    # With a prompt the first token is not a text's own.
    short = settings.method not in PROMPTS
    with firsttoken.shortened_for_training(whole) if short else nullcontext():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    curve = _curve(trainer.state.log_history)
    # Moved off mixed precision: these are the scores that an audit will see.
    model = trainer.model.float().eval()
    dev_scores = scores_of(model, dev_rows, pad, head)
    sample_rows, _ = rows_of(tokenizer, sample, truth(sample, labels, head), head, limit)
    train_scores = scores_of(model, sample_rows, pad, head)
    final = folder / "final"
    shutil.rmtree(final, ignore_errors=True)
    if settings.method == "full":
        model.save_pretrained(final)
        tokenizer.save_pretrained(final)
        if settings.keep_epochs:
            keep_epochs(folder, final, tokenizer)
    else:
        finish(model, tokenizer, folder / "base", final)
    best = max(curve, key=lambda e: (e.dev_macro_f1, -e.epoch)).epoch
    return Fitted(
        curve=curve,
        best_epoch=best,
        steps=int(trainer.state.global_step),
        dev_scores=dev_scores,
        train_scores=train_scores,
        truncated=truncated,
        device=str(next(model.parameters()).device),
        precision=low,
        threads=torch.get_num_threads(),
        resumed=checkpoint is not None,
        attacks=tuple(slots.rounds) if slots is not None else (),
    )


def _loss(settings: TrainConfig, objective: Objective, head: Head) -> Loss | None:
    """Return the loss to train by; None: the model's own does."""
    plain = settings.class_weights == "none" and not settings.label_smoothing
    return None if plain and objective.is_plain else Loss(objective, settings, head)


def _step_loss(own: Loss, model: Any, inputs: Any) -> Any:
    marks = {name: inputs.pop(name) for name in _MARKS if name in inputs}
    labels = inputs.pop("labels")
    logits = model(**inputs).logits
    twins = marks.pop("twins", None)
    if twins is None:
        return own(logits, labels, **marks)
    whose = twins.pop("of")
    return own(logits, labels, twins=(logits[whose], model(**twins).logits), **marks)


def _curve(history: Sequence[Mapping[str, Any]]) -> tuple[Epoch, ...]:
    losses = {round(h["epoch"]): float(h["loss"]) for h in history if "loss" in h}
    return tuple(
        Epoch(
            epoch=round(h["epoch"]),
            train_loss=losses.get(round(h["epoch"]), 0.0),
            dev_loss=float(h["eval_loss"]),
            dev_macro_f1=float(h["eval_macro_f1"]),
        )
        for h in history
        if "eval_macro_f1" in h
    )


def _last_whole(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end; remove the torn ones."""
    found = sorted(
        (p for p in folder.glob("checkpoint-*") if p.is_dir()),
        key=lambda p: int(p.name.rpartition("-")[2]),
    )
    for path in found:
        if not (path / _DONE).exists():
            shutil.rmtree(path)
    whole = [path for path in found if path.exists()]
    if not whole:
        return None
    best = read_json(whole[-1] / "trainer_state.json").get("best_model_checkpoint")
    # The best model must still be there under the name it was kept by, or the last one would be
    # taken for it. After a move of the folder it is not: then nothing of the old run may be mixed in.
    if best is None or not Path(best).is_dir():
        for path in whole:
            shutil.rmtree(path)
        return None
    return whole[-1]


def _watcher(
    patience: int,
    on_progress: Progress,
    own: Loss | None,
    slots: Slots | None,
    labels: tuple[str, ...],
    ranks: Ranks | None,
) -> Any:
    """Return a callback that tells how far it is, marks whole checkpoints and stops early.

    Between epochs it has the training texts attacked, where that was asked for.
    """
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]
        note = ""

        def on_epoch_begin(
            self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
        ) -> None:
            if slots is not None:
                slots.attack(model, round(state.epoch or 0) + 1, labels)

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if ranks is not None:
                ranks.step(int(state.global_step) + 1)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            on_progress(int(state.global_step), int(state.max_steps), self.note)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            losses = [v for k, v in (logs or {}).items() if k in ("loss", "eval_loss")]
            if not all(isfinite(x) for x in losses):
                raise diverged()

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # From the history, which a checkpoint keeps: a counter would start over after a kill.
            curve = _curve(state.log_history)
            best = max(curve, key=lambda e: (e.dev_macro_f1, -e.epoch)).epoch
            last = curve[-1]
            self.note = f"epoch {last.epoch}, dev macro-F1 {last.dev_macro_f1:.3f}"
            if last.dev_loss > RISEN * min(e.dev_loss for e in curve):
                self.note += ", dev loss rising"
            on_progress(int(state.global_step), int(state.max_steps), self.note)
            if patience and last.epoch - best >= patience:
                control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            kept = {
                "shares": [] if own is None else own.shares,
                "slots": {} if slots is None else slots.state(),
            }
            write_text(folder / _STATE, json.dumps(kept))
            if ranks is not None:
                ranks.save(folder)
            (folder / _DONE).touch()

    return Watcher()


@contextmanager
def _environment() -> Iterator[None]:
    """Put the variables back that accelerate leaves behind: they would decide the next precision."""
    before = {k: v for k, v in os.environ.items() if k.startswith("ACCELERATE_")}
    try:
        yield
    finally:
        for name in [k for k in os.environ if k.startswith("ACCELERATE_")]:
            del os.environ[name]
        os.environ.update(before)

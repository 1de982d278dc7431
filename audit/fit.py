"""One fine-tuning with transformers' `Trainer`: the same on versions 4.57 and 5, and quiet."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit.checkpoint import read_json
from audit.decision import decide
from audit.errors import AuditError, ConfigError, ModelError
from audit.foreign import borrowed_randomness
from audit.huggingface import quiet
from audit.seeding import stream
from audit.settings import TrainConfig
from audit.types import Decision, Example, Floats, Head

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int, str], None]
"""Called with optimiser steps done, steps in all, and a few words on how it goes."""

_DONE = "written.mark"
_MEGABATCH = 50
"""Batches that are drawn together and sorted by length: mixed enough, and hardly any padding."""


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


def native_bf16() -> bool:
    """Tell whether the device computes bf16 in hardware: emulated, it is slower than fp32."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in asked)


def precision(settings: TrainConfig) -> str:
    """Return ``bf16`` or ``fp32``: what `settings` come to on this machine."""
    if settings.precision == "auto":
        return "bf16" if native_bf16() else "fp32"
    return settings.precision


def macro_f1(truth: NDArray[np.int64], said: NDArray[np.int64], k: int) -> float:
    """Return the mean F1 over the labels that occur in `truth` or `said`, in [0, 1].

    Args:
        truth: Shape ``(n,)``: label indices, or ``(n, k)`` of 0 and 1 for a multi-label head.
        said: The same for the decisions.
        k: Number of labels.

    Source:
        The unweighted mean of scikit-learn's ``f1_score(average="macro", zero_division=0)``.
    """
    scores = [f1 for f1, _, _, seen in per_label(truth, said, k) if seen]
    return float(np.mean(scores)) if scores else 0.0


def per_label(
    truth: NDArray[np.int64], said: NDArray[np.int64], k: int
) -> list[tuple[float, float, float, bool]]:
    """Return F1, precision, recall of each label and whether it occurs; 0 where undefined."""
    if truth.ndim == 1:
        truth, said = (np.eye(k, dtype=np.int64)[x] for x in (truth, said))
    found = []
    for j in range(k):
        t, s = truth[:, j].astype(bool), said[:, j].astype(bool)
        hits, wanted, given = int((t & s).sum()), int(t.sum()), int(s.sum())
        found.append(
            (
                2 * hits / (wanted + given) if wanted + given else 0.0,
                hits / given if given else 0.0,
                hits / wanted if wanted else 0.0,
                bool(wanted + given),
            )
        )
    return found


def said(scores: Floats, labels: tuple[str, ...], head: Head) -> NDArray[np.int64]:
    """Return the decisions behind `scores`: indices ``(n,)``, or 0 and 1 ``(n, k)``."""
    rule = Decision(labels=labels, favourable=labels[:1], head=head)
    label = decide(rule, scores).label
    if head == "single":
        return label
    return (label[:, None] >> np.arange(len(labels))) & 1


def truth(examples: Sequence[Example], labels: tuple[str, ...], head: Head) -> NDArray[np.int64]:
    """Return the true labels in the same form as `said`."""
    index = {name: i for i, name in enumerate(labels)}
    if head == "single":
        return np.array([index[str(e.label)] for e in examples], dtype=np.int64)
    rows = np.zeros((len(examples), len(labels)), dtype=np.int64)
    for row, example in zip(rows, examples, strict=True):
        names = (example.label,) if isinstance(example.label, str) else example.label or ()
        row[[index[name] for name in names]] = 1
    return rows


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
    on_progress: Progress,
) -> Fitted:
    """Fine-tune `encoder` and write the best epoch's model to ``folder/final``.

    Checkpoints stand in `folder`; where a whole one is there, the fit goes on from it. Global
    random state and environment are left as they were.

    Raises:
        ModelError: If the encoder cannot be loaded, or training ends in numbers that are not finite.
        ConfigError: If more layers shall be frozen than there are.
    """
    with quiet(), _environment(), borrowed_randomness(stream(settings.seed, "training")):
        return _fit(settings, encoder, labels, head, train, dev, sample, folder, on_progress)


def _fit(
    settings: TrainConfig,
    encoder: Path,
    labels: tuple[str, ...],
    head: Head,
    train: Sequence[Example],
    dev: Sequence[Example],
    sample: Sequence[Example],
    folder: Path,
    on_progress: Progress,
) -> Fitted:
    import torch
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    torch.manual_seed(settings.seed)
    model, tokenizer, pad = _with_new_head(encoder, labels, head)
    _freeze(model, settings.freeze_layers)
    limit = min(settings.max_length, _positions(model, tokenizer))
    rows, truncated = _rows(tokenizer, train, truth(train, labels, head), head, limit)
    dev_truth = truth(dev, labels, head)
    dev_rows, _ = _rows(tokenizer, dev, dev_truth, head, limit)
    # Sorted once here instead of grouped by the Trainer, whose predictions would come reordered.
    order = np.argsort([len(row["input_ids"]) for row in dev_rows], kind="stable")
    sorted_truth = dev_truth[order]

    steps = ceil(len(rows) / settings.batch_size) * settings.epochs
    low = precision(settings) == "bf16"
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(8, settings.batch_size),
        warmup_steps=ceil(steps * settings.warmup_ratio),
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=low,
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

    def metrics(found: Any) -> dict[str, float]:
        scores = _probabilities(np.asarray(found.predictions, np.float64), head)
        return {"macro_f1": macro_f1(sorted_truth, said(scores, labels, head), len(labels))}

    trainer = Bucketed(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=[dev_rows[i] for i in order],
        data_collator=lambda batch: _padded(batch, pad, head),
        compute_metrics=metrics,
        callbacks=[_watcher(settings.patience, on_progress)],
    )
    trainer.remove_callback(PrinterCallback)
    checkpoint = _last_whole(folder)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    curve = _curve(trainer.state.log_history)
    # Moved off mixed precision: these are the scores that an audit will see.
    model = trainer.model.float().eval()
    dev_scores = _scores(model, dev_rows, pad, head)
    sample_rows, _ = _rows(tokenizer, sample, truth(sample, labels, head), head, limit)
    train_scores = _scores(model, sample_rows, pad, head)
    final = folder / "final"
    shutil.rmtree(final, ignore_errors=True)
    model.save_pretrained(final)
    tokenizer.save_pretrained(final)
    best = max(curve, key=lambda e: (e.dev_macro_f1, -e.epoch)).epoch
    return Fitted(
        curve=curve,
        best_epoch=best,
        steps=int(trainer.state.global_step),
        dev_scores=dev_scores,
        train_scores=train_scores,
        truncated=truncated,
        device=str(next(model.parameters()).device),
        precision="bf16" if low else "fp32",
        threads=torch.get_num_threads(),
    )


class Buckets:
    """Row numbers of one epoch, batch by batch, with texts of like length together.

    Each epoch's order hangs on the seed and the epoch alone, so that a training that goes on after
    a kill sees the batches it would have seen.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], batch_size: int, seed: int) -> None:
        self.lengths = np.array([len(row["input_ids"]) for row in rows])
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = stream(self.seed, "batches", str(self.epoch))
        order = rng.permutation(len(self.lengths))
        size = self.batch_size * _MEGABATCH
        batches: list[NDArray[np.int64]] = []
        for start in range(0, len(order), size):
            mega = order[start : start + size]
            mega = mega[np.argsort(self.lengths[mega], kind="stable")]
            batches += [
                mega[i : i + self.batch_size] for i in range(0, len(mega), self.batch_size)
            ]
        # Only a last batch may be short, or the loader would cut the ones after it differently.
        whole = [b for b in batches if len(b) == self.batch_size]
        rest = [b for b in batches if len(b) < self.batch_size]
        for i in rng.permutation(len(whole)):
            yield from map(int, whole[i])
        for batch in rest:
            yield from map(int, batch)


def _with_new_head(encoder: Path, labels: tuple[str, ...], head: Head) -> tuple[Any, Any, int]:
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
        _draw_head(model)
    pad = tokenizer.pad_token_id
    if pad is None:
        pad = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
    if model.config.pad_token_id is None:
        model.config.pad_token_id = int(pad)
    return model, tokenizer, int(pad)


def _names(keys: Sequence[Any]) -> list[str]:
    return [key if isinstance(key, str) else str(key[0]) for key in keys]


def _draw_head(model: Any) -> None:
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


def _freeze(model: Any, count: int) -> None:
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


def _positions(model: Any, tokenizer: Any) -> int:
    config = model.config
    positions = int(getattr(config, "max_position_embeddings", 0) or 0) or 1 << 30
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    if padding is not None:
        # RoBERTa counts positions from the padding id onwards.
        positions -= int(padding) + 1
    return min(positions, int(min(tokenizer.model_max_length, 1 << 30)))


def _rows(
    tokenizer: Any,
    examples: Sequence[Example],
    labels: NDArray[np.int64],
    head: Head,
    limit: int,
) -> tuple[list[dict[str, Any]], int]:
    if not examples:
        return [], 0
    paired = any(e.second is not None for e in examples)
    given = [[e.text for e in examples]]
    if paired:
        given.append([e.second or "" for e in examples])
    found = tokenizer(*given, truncation=True, max_length=limit, return_attention_mask=False)
    rows = [{name: found[name][i] for name in found} for i in range(len(examples))]
    for row, label in zip(rows, labels.tolist(), strict=True):
        # A text without a token, as decoders may make of it, cannot be read at all.
        row["input_ids"] = row["input_ids"] or [0]
        row["labels"] = label
    if found.encodings is not None:
        return rows, sum(bool(one.overflowing) for one in found.encodings)
    return rows, sum(len(row["input_ids"]) >= limit for row in rows)


def _padded(batch: Sequence[Mapping[str, Any]], pad: int, head: Head) -> "dict[str, torch.Tensor]":
    import torch

    shape = (len(batch), max(len(row["input_ids"]) for row in batch))
    fill = {"input_ids": pad, "token_type_ids": 0}
    made: dict[str, torch.Tensor] = {}
    for name in (n for n in fill if n in batch[0]):
        array = np.full(shape, fill[name], dtype=np.int64)
        for i, row in enumerate(batch):
            array[i, : len(row[name])] = row[name]
        made[name] = torch.from_numpy(array)
    lengths = np.array([len(row["input_ids"]) for row in batch])
    mask = (np.arange(shape[1])[None, :] < lengths[:, None]).astype(np.int64)
    made["attention_mask"] = torch.from_numpy(mask)
    kind = torch.float32 if head == "multi" else torch.int64
    made["labels"] = torch.tensor([row["labels"] for row in batch], dtype=kind)
    return made


def _probabilities(logits: Floats, head: Head) -> Floats:
    if not np.isfinite(logits).all():
        raise _diverged()
    if head == "multi":
        return np.asarray(1 / (1 + np.exp(-logits)))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _scores(model: Any, rows: Sequence[Mapping[str, Any]], pad: int, head: Head) -> Floats:
    """Return the probabilities of `rows`, in their order, shape ``(len(rows), k)``."""
    import torch

    scores = np.zeros((len(rows), model.config.num_labels))
    device = next(model.parameters()).device
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    for start in range(0, len(order), 32):
        some = order[start : start + 32]
        inputs = _padded([rows[i] for i in some], pad, head)
        inputs.pop("labels")
        with torch.inference_mode():
            logits = model(**{name: t.to(device) for name, t in inputs.items()}).logits
        scores[some] = _probabilities(logits.double().cpu().numpy(), head)
    return scores


def _diverged() -> AuditError:
    return ModelError(
        "Training ran into numbers that are not finite.",
        hint='Lower learning_rate under [train], or set precision = "fp32".',
    )


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
    # The best model must still be there, or the last one would be taken for it.
    if best is None or not Path(best).is_dir():
        return None
    return whole[-1]


def _watcher(patience: int, on_progress: Progress) -> Any:
    """Return a callback that tells how far it is, marks whole checkpoints and stops early."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]
        note = ""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            on_progress(int(state.global_step), int(state.max_steps), self.note)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any
        ) -> None:
            losses = [v for k, v in (logs or {}).items() if k in ("loss", "eval_loss")]
            if not all(isfinite(x) for x in losses):
                raise _diverged()

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # From the history, which a checkpoint keeps: a counter would start over after a kill.
            curve = _curve(state.log_history)
            best = max(curve, key=lambda e: (e.dev_macro_f1, -e.epoch)).epoch
            last = curve[-1]
            self.note = f"epoch {last.epoch}, dev macro-F1 {last.dev_macro_f1:.3f}"
            on_progress(int(state.global_step), int(state.max_steps), self.note)
            if patience and last.epoch - best >= patience:
                control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _DONE).touch()

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

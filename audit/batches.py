"""Texts as batches for training: tokenised once, like lengths together, padded to their longest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit.errors import AuditError, ModelError
from audit.objective import Objective
from audit.seeding import stream
from audit.types import Example, Floats, Head

if TYPE_CHECKING:
    import torch

_MEGABATCH = 50
"""Batches that are drawn together and sorted by length: mixed enough, and hardly any padding."""


class Buckets:
    """Row numbers of one epoch, batch by batch, with texts of like length together.

    Each epoch's order hangs on the seed and the epoch alone, so that a training that goes on after
    a kill sees the batches it would have seen.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed, self.epoch = rows, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        # Read anew in each epoch: adversarial training exchanges rows between them.
        lengths = np.array([len(row["input_ids"]) for row in self.rows])
        rng = stream(self.seed, "batches", str(self.epoch))
        order = rng.permutation(len(lengths))
        size = self.batch_size * _MEGABATCH
        batches: list[NDArray[np.int64]] = []
        for start in range(0, len(order), size):
            mega = order[start : start + size]
            mega = mega[np.argsort(lengths[mega], kind="stable")]
            batches += [mega[i : i + self.batch_size] for i in range(0, len(mega), self.batch_size)]
        # Only a last batch may be short, or the loader would cut the ones after it differently.
        whole = [b for b in batches if len(b) == self.batch_size]
        rest = [b for b in batches if len(b) < self.batch_size]
        for i in rng.permutation(len(whole)):
            yield from map(int, whole[i])
        for batch in rest:
            yield from map(int, batch)


def rows_of(
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


def padded(batch: Sequence[Mapping[str, Any]], pad: int, head: Head) -> "dict[str, torch.Tensor]":
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


def marked(
    rows: Sequence[dict[str, Any]],
    examples: Sequence[Example],
    objective: Objective,
    cells: Sequence[str],
    tokenizer: Any,
    limit: int,
    groups: Sequence[str] = (),
) -> None:
    """Write into `rows`, in place, what `objective` says of each text.

    Keys are ``weight``, ``cell`` (index into `cells`, -1 where unknown), ``group`` (the same into
    `groups`) and ``twin`` (a row without label), each only where the objective speaks of it.
    """
    where = {name: i for i, name in enumerate(groups)}
    number = {name: i for i, name in enumerate(cells)}
    told = [e for e in examples if e.id in objective.twins]
    others = []
    for e in told:
        text = objective.twins[e.id]
        first, second = (text, None) if isinstance(text, str) else text
        others.append(replace(e, text=first, second=second))
    made, _ = rows_of(tokenizer, others, np.zeros(len(others), np.int64), "single", limit)
    twins = dict(zip((e.id for e in told), made, strict=True))
    for row, example in zip(rows, examples, strict=True):
        if objective.weights:
            row["weight"] = objective.weights.get(example.id, 1.0)
        if cells:
            row["cell"] = number.get(objective.cells.get(example.id, ""), -1)
        if objective.parity is not None:
            row["group"] = where.get(objective.parity.groups.get(example.id, ""), -1)
        if example.id in twins:
            row["twin"] = twins[example.id]


def padded_with_marks(batch: Sequence[Mapping[str, Any]], pad: int, head: Head) -> dict[str, Any]:
    """Return `padded` with ``weights``, ``cells``, ``groups``, ``twins`` where rows are marked so.

    ``twins`` is a batch of its own; its ``of`` numbers the rows whose counterfactuals they are.
    """
    import torch

    made: dict[str, Any] = dict(padded(batch, pad, head))
    if "weight" in batch[0]:
        made["weights"] = torch.tensor([row["weight"] for row in batch], dtype=torch.float32)
    if "cell" in batch[0]:
        made["cells"] = torch.tensor([row["cell"] for row in batch])
    if "group" in batch[0]:
        made["groups"] = torch.tensor([row["group"] for row in batch])
    whose = [i for i, row in enumerate(batch) if "twin" in row]
    if whose:
        twins = padded([batch[i]["twin"] for i in whose], pad, "single")
        twins.pop("labels")
        made["twins"] = {**twins, "of": torch.tensor(whose)}
    return made


def probabilities(logits: Floats, head: Head) -> Floats:
    if not np.isfinite(logits).all():
        raise diverged()
    if head == "multi":
        return np.asarray(1 / (1 + np.exp(-logits)))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def scores_of(model: Any, rows: Sequence[Mapping[str, Any]], pad: int, head: Head) -> Floats:
    """Return the probabilities of `rows`, in their order, shape ``(len(rows), k)``."""
    import torch

    scores = np.zeros((len(rows), model.config.num_labels))
    device = next(model.parameters()).device
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    for start in range(0, len(order), 32):
        some = order[start : start + 32]
        inputs = padded([rows[i] for i in some], pad, head)
        inputs.pop("labels")
        with torch.inference_mode():
            logits = model(**{name: t.to(device) for name, t in inputs.items()}).logits
        scores[some] = probabilities(logits.double().cpu().numpy(), head)
    return scores


def diverged() -> AuditError:
    return ModelError(
        "Training ran into numbers that are not finite.",
        hint='Lower learning_rate under [train], or set precision = "fp32".',
    )

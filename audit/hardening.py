"""Adversarial training: between epochs, texts are attacked with the model as it then is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audit.augment import copy_of, source_of
from audit.batches import rows_of, scores_of
from audit.crafted import turned
from audit.generators import kept_randomness
from audit.objective import Attacking, Objective
from audit.types import Example, Floats, Head, Text

KIND = "adversarial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One attack on the training texts, as a training's record tells it."""

    epoch: int
    """The epoch before which it came, from 1."""
    attacked: int
    turned: int
    """Texts for which a change was found that turns the decision."""
    admitted: int
    """Of those, texts that were let into the training."""


class Slots:
    """Places in the training for the changed text of each attacked one.

    A slot holds what the last successful attack made of its text; before the first success it holds
    the text itself, which then counts twice. So every epoch has the same number of texts.

    Source:
        Madry et al. (2018), arXiv:1706.06083, for attacking the model in training; Jin et al.
        (2020), arXiv:1907.11932, section 4.5, for mixing the changed texts with the plain ones.
    """

    def __init__(self, attacking: Attacking, train: Sequence[Example]) -> None:
        self._attacking = attacking
        by_id = {e.id: e for e in train}
        self._sources = {id: by_id[id] for id in attacking.texts if id in by_id}
        made = {id: copy_of(e, e.input, KIND) for id, e in self._sources.items()}
        self._ids = {id: copy.id for id, copy in made.items()}
        self.added = tuple(copy for copy in made.values() if copy.id not in by_id)
        """Slots that no copy made before the training fills; to be trained on beside the texts."""
        self.texts: dict[str, Text] = {}
        """Id of an attacked text to what its slot was given since."""
        self.rounds: list[Round] = []
        self._rows: dict[str, dict[str, Any]] = {}

    def objective(self, objective: Objective) -> Objective:
        """Return `objective` with each added slot weighing and counting as its text does."""
        ids = [(copy.id, source_of(copy)) for copy in self.added]
        weights, cells = dict(objective.weights), dict(objective.cells)
        weights |= {slot: weights[id] for slot, id in ids if id in weights}
        cells |= {slot: cells[id] for slot, id in ids if id in cells}
        return replace(objective, weights=weights, cells=cells)

    def bind(
        self, rows: Sequence[dict[str, Any]], train: Sequence[Example], reader: "Reader"
    ) -> None:
        """Take the rows that belong to slots; they are changed in place from now on."""
        by_id = {e.id: row for e, row in zip(train, rows, strict=True)}
        self._rows = {id: by_id[slot] for id, slot in self._ids.items()}
        self._reader = reader

    def attack(self, model: Any, epoch: int, labels: tuple[str, ...]) -> None:
        """Attack every text with `model` and fill the slots, if it is the turn of `epoch`.

        Args:
            model: As it is before the epoch; left as it was.
            epoch: From 1; the first one trains on the copies it was given.
            labels: The model's.
        """
        if epoch == 1 or (epoch - 1) % self._attacking.every or not self._sources:
            return
        a = self._attacking
        some = tuple(self._sources.values())
        training = model.training
        model.eval()
        try:
            with kept_randomness():
                found = turned(
                    some,
                    a.recipe,
                    a.queries,
                    replace(a.rule, labels=labels),
                    lambda texts: self._reader.scores(model, texts),
                    seed=a.seed,
                    path=("adversarial-search", str(epoch)),
                )
        finally:
            model.train(training)
        changed = {some[i].id: text for i, text in found.items()}
        admitted = dict(a.admits(changed))
        self._fill(admitted)
        self.rounds.append(
            Round(epoch=epoch, attacked=len(some), turned=len(changed), admitted=len(admitted))
        )

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep."""
        rounds = [[r.epoch, r.attacked, r.turned, r.admitted] for r in self.rounds]
        return {"texts": self.texts, "rounds": rounds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state` that was written to JSON and read back."""
        self._fill({k: v if isinstance(v, str) else tuple(v) for k, v in state["texts"].items()})
        self.rounds = [
            Round(epoch=e, attacked=n, turned=t, admitted=m) for e, n, t, m in state["rounds"]
        ]

    def _fill(self, texts: Mapping[str, Text]) -> None:
        if not texts:
            return
        self.texts |= texts
        rows = self._reader.rows([replaced(self._sources[id], t) for id, t in texts.items()])
        for id, row in zip(texts, rows, strict=True):
            for name in ("input_ids", "token_type_ids"):
                if name in row:
                    self._rows[id][name] = row[name]


def replaced(example: Example, text: Text) -> Example:
    """Return `example` with another text."""
    first, second = (text, None) if isinstance(text, str) else text
    return replace(example, text=first, second=second)


class Reader:
    """Texts to rows and to the scores of the model in training."""

    def __init__(self, tokenizer: Any, limit: int, pad: int, head: Head, low: str) -> None:
        self._tokenizer, self._limit, self._pad = tokenizer, limit, pad
        self._head, self._low = head, low

    def rows(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        blank = np.zeros(len(examples), np.int64)
        return rows_of(self._tokenizer, examples, blank, "single", self._limit)[0]

    def scores(self, model: Any, texts: Sequence[Text]) -> Floats:
        """Return probabilities, shape ``(len(texts), k)``, in the precision of the training."""
        import torch

        once = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        rows = self.rows([replaced(Example(id="", text=""), text) for text in once])
        device = next(model.parameters()).device.type
        dtype = torch.float16 if self._low == "fp16" else torch.bfloat16
        with torch.autocast(device, dtype=dtype, enabled=self._low != "fp32"):
            found = scores_of(model, rows, self._pad, self._head)
        return found[[once[text] for text in texts]]

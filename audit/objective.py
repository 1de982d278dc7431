"""What a training minimises: the loss of its texts, weighted, paired with their counterfactuals."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from audit.errors import ConfigError
from audit.settings import TrainConfig
from audit.types import Decision, Example, Head, Text

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacking:
    """Adversarial training: texts that are attacked again, with the model as it then is."""

    texts: tuple[str, ...]
    """Ids of the training texts that are attacked."""
    recipe: str
    queries: int
    """Model calls that an attack on one text may make."""
    rule: Decision
    """What an attack turns; its labels in the order of the model's."""
    seed: int
    every: int = 1
    """Epochs between attacks, at least 1; the first epoch has the copies it was given."""
    admits: Callable[[Mapping[str, Text]], Mapping[str, Text]] = field(repr=False, compare=False)
    """Keeps, of changed texts by id, those that may be trained on."""
    admitted_by: str = ""
    """Says what `admits` holds them against: a digest."""

    def plain(self) -> dict[str, Any]:
        """Return what decides a model."""
        return {
            "texts": len(self.texts),
            "sha256": _digest(dict.fromkeys(self.texts)),
            "recipe": self.recipe,
            "queries": self.queries,
            "rule": asdict(self.rule),
            "seed": self.seed,
            "every": self.every,
            "admitted_by": self.admitted_by,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """A penalty on groups whose mean favourable score differs."""

    groups: Mapping[str, str]
    """Text id to its group; texts that are not named do not count."""
    favourable: tuple[int, ...]
    """Positions of the favourable labels."""
    strength: float = 1.0
    """Weight of the penalty beside the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Mitigation inside the training; empty: the plain mean loss."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """Text id to its weight in the loss, more than 0; 1 where not named."""
    twins: Mapping[str, Text] = field(default_factory=dict)
    """Text id to its counterfactual: the logits of the two are pulled together."""
    strength: float = 1.0
    """Weight of that pull beside the loss."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """Text id to the cell it counts in; group DRO lowers the loss of the worst cell."""
    step: float = 0.01
    """How fast group DRO turns to the cell that is worst, more than 0."""
    attacking: Attacking | None = None
    parity: "Parity | None" = None

    @property
    def is_plain(self) -> bool:
        """The loss of each text is the plain one, whatever the texts are."""
        return not (self.weights or self.twins or self.cells or self.parity)

    def plain(self) -> dict[str, Any]:
        """Return what decides a model, for the record of a training: digests, not texts."""
        said: dict[str, Any] = {}
        if self.weights:
            said["weights"] = {"texts": len(self.weights), "sha256": _digest(self.weights)}
        if self.twins:
            said["twins"] = {"texts": len(self.twins), "sha256": _digest(self.twins)}
            said["strength"] = self.strength
        if self.cells:
            said["cells"] = dict(sorted(Counter(self.cells.values()).items()))
            said |= {"cells_sha256": _digest(self.cells), "step": self.step}
        if self.attacking is not None:
            said["attacking"] = self.attacking.plain()
        if self.parity is not None:
            said["parity"] = {
                "groups": dict(sorted(Counter(self.parity.groups.values()).items())),
                "sha256": _digest(self.parity.groups),
                "favourable": list(self.parity.favourable),
                "strength": self.parity.strength,
            }
        return said


def _digest(table: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def cells_of(examples: Sequence[Example], attribute: str) -> dict[str, str]:
    """Return text id to ``group/label``, for texts whose group is known.

    Raises:
        ConfigError: If fewer than two groups are known, or a text has several labels.
    """
    known = [e for e in examples if e.groups.get(attribute)]
    groups = {e.groups[attribute] for e in known}
    if len(groups) < 2:
        raise ConfigError(
            f"The training texts have {len(groups)} known groups of {attribute!r}; two are needed.",
            hint=f"Name its column under [corpora.train]: groups = {{{attribute} = COLUMN}}.",
        )
    if any(isinstance(e.label, tuple) for e in known):
        raise ConfigError("Cells of group and label need one label for each text.")
    return {e.id: f"{e.groups[attribute]}/{e.label}" for e in known}


def groups_of(
    examples: Sequence[Example], attribute: str, counts: Callable[[Example], bool]
) -> dict[str, str]:
    """Return text id to group, for texts whose group is known and that count.

    Raises:
        ConfigError: If fewer than two groups are left.
    """
    found = {e.id: e.groups[attribute] for e in examples if e.groups.get(attribute) and counts(e)}
    if len(set(found.values())) < 2:
        raise ConfigError(
            f"The training texts that count have {len(set(found.values()))} known groups of "
            f"{attribute!r}; two are needed.",
            hint=f"Name its column under [corpora.train]: groups = {{{attribute} = COLUMN}}.",
        )
    return found


def balanced(cells: Mapping[str, str]) -> dict[str, float]:
    """Return weights by which all cells count alike and the mean weight is 1.

    Source:
        Idrissi et al. (2022), 'Simple data balancing achieves competitive worst-group-accuracy',
        arXiv:2110.14503 (RWG).
    """
    sizes = Counter(cells.values())
    return {name: len(cells) / (len(sizes) * sizes[cell]) for name, cell in cells.items()}


def label_weights(examples: Sequence[Example]) -> dict[str, float]:
    """Return weights by which all labels count alike and the mean weight is 1 (single-label)."""
    if any(isinstance(e.label, tuple) for e in examples):
        raise ConfigError(
            'class_weights = "balanced" needs one label for each text.',
            hint="Leave it out for a model that gives several.",
        )
    return balanced({e.id: str(e.label) for e in examples})


class Loss:
    """The loss of one training step; remembers how group DRO weighs the cells.

    Weighted losses are divided by the number of texts, not by the weights in the batch: batch by
    batch they then add up to the weighted mean over all texts.

    Source:
        Garg et al. (2019), counterfactual logit pairing, arXiv:1809.10610, section 4.3: the mean
        absolute difference of the logits. Sagawa et al. (2020), group DRO, arXiv:1911.08731,
        algorithm 1, with the cells of a batch in place of one drawn cell. Beutel et al. (2019),
        'Putting fairness principles into practice', arXiv:1901.04562, for a penalty on what a batch
        shows of the gap between groups; here of any number of groups.
    """

    def __init__(self, objective: Objective, settings: TrainConfig, head: Head) -> None:
        self._strength, self._step = objective.strength, objective.step
        self._smoothing, self._head = settings.label_smoothing, head
        self.cells = tuple(sorted(set(objective.cells.values())))
        self._parity = objective.parity
        self.groups = tuple(sorted(set(self._parity.groups.values()))) if self._parity else ()
        self.shares = [1 / len(self.cells)] * len(self.cells) if self.cells else []
        """Weight of each of `cells`; they sum to 1."""

    def __call__(
        self,
        logits: "torch.Tensor",
        labels: "torch.Tensor",
        *,
        weights: "torch.Tensor | None" = None,
        cells: "torch.Tensor | None" = None,
        twins: "tuple[torch.Tensor, torch.Tensor] | None" = None,
        groups: "torch.Tensor | None" = None,
    ) -> "torch.Tensor":
        """Return the loss of a batch.

        Args:
            logits: Shape ``(n, k)``.
            labels: Shape ``(n,)`` of indices, or ``(n, k)`` of 0 and 1.
            weights: Shape ``(n,)``.
            cells: Shape ``(n,)``: index of each text's cell, -1 where unknown.
            twins: Logits of texts and of their counterfactuals, each of shape ``(m, k)``.
            groups: Shape ``(n,)``: index of each text's group in `groups`, -1 where it counts in
                none.
        """
        each = self._each(logits.float(), labels)
        if weights is not None:
            each = each * weights
        loss = each.mean() if cells is None else self._worst(each, cells)
        if twins is not None and len(twins[0]):
            # Over the batch, not over the pairs in it: a batch with one pair is not all about it.
            apart = (twins[0].float() - twins[1].float()).abs().mean(dim=1)
            loss = loss + self._strength * apart.sum() / len(logits)
        if groups is not None and self._parity is not None:
            loss = loss + self._parity.strength * self._apart(logits.float(), groups)
        return loss

    def _apart(self, logits: "torch.Tensor", groups: "torch.Tensor") -> "torch.Tensor":
        """Return how far the groups' mean favourable scores lie from their common mean, in [0, 1].

        Each group of the batch counts by its texts there; a batch with one group says nothing.
        """
        import torch

        assert self._parity is not None
        if self._head == "single":
            scores = logits.softmax(dim=1)[:, list(self._parity.favourable)].sum(dim=1)
        else:
            scores = logits.sigmoid()[:, list(self._parity.favourable)].amax(dim=1)
        known = groups >= 0
        here = [g for g in range(len(self.groups)) if bool((groups == g).any())]
        if len(here) < 2:
            return scores.sum() * 0
        common = scores[known].mean()
        away = [(groups == g).sum() * (scores[groups == g].mean() - common).abs() for g in here]
        return torch.stack(away).sum() / known.sum()

    def _each(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        from torch.nn import functional

        if self._head == "single":
            return functional.cross_entropy(
                logits, labels, reduction="none", label_smoothing=self._smoothing
            )
        wanted = labels * (1 - self._smoothing) + self._smoothing / 2
        found = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return found.mean(dim=1)

    def _worst(self, each: "torch.Tensor", cells: "torch.Tensor") -> "torch.Tensor":
        """Return the loss over cells by their shares; texts of no cell keep their plain part."""
        import torch

        losses, here = [], []
        for i in range(len(self.cells)):
            mine = cells == i
            if bool(mine.any()):
                losses.append(each[mine].mean())
                here.append(i)
        n, unknown = len(each), cells < 0
        loss = each[unknown].sum() / n if bool(unknown.any()) else each.sum() * 0
        if not here:
            return loss
        told = torch.stack(losses)
        grown = list(self.shares)
        for i, value in zip(here, told.detach().double().tolist(), strict=True):
            grown[i] *= float(torch.tensor(self._step * value).double().exp())
        self.shares = [share / sum(grown) for share in grown]
        mine = torch.tensor([self.shares[i] for i in here], dtype=told.dtype, device=told.device)
        # A cell that is not in the batch cannot be paid for; those that are share its weight.
        known = (n - int(unknown.sum())) / n
        return loss + known * (told * mine / mine.sum()).sum()

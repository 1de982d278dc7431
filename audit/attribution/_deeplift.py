"""DeepLIFT by Captum's rescale rule, for the models that its rules can follow."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.attribution._found import TOLERANCE, Attribution, error
from audit.attribution._gradients import answer, packed
from audit.attribution._inside import Inside, finite
from audit.errors import Unsupported
from audit.wordpieces import Read

if TYPE_CHECKING:
    import torch

_TRIED = (0.0, 0.25, 0.5, 0.75)
"""How far along from the baseline to the text the references of the trial lie. One sum can be right
by chance, four hardly."""


def deep_lift(inside: Inside, reads: Sequence[Read]) -> list[Attribution]:
    """Return DeepLIFT's contributions, summed over each token's vector.

    The rescale rule splits a change over sums and over activations of one input. Products of two
    inputs (attention) and division by a length (layer normalisation) have no rule: there Captum
    takes plain gradients, and the contributions no longer add up to the change that they explain.
    So the sums are tried first, on the longest text, and a model that fails is refused.

    Source:
        Shrikumar, Greenside & Kundaje (2017), ICML, arXiv:1704.02685; code in `captum.attr`.

    Raises:
        Unsupported: If the contributions of this model do not add up within 1 %.
    """
    tried = max(reads, key=lambda one: len(one.ids))
    worst = max(_missed(inside, tried, along) for along in _TRIED)
    if not worst <= TOLERANCE:
        kind = type(inside.module).__name__
        raise Unsupported(
            f"DeepLIFT is not right on {kind}: its contributions miss the change they explain by "
            f"up to {worst:.0%}, because its rules know neither attention nor layer normalisation.",
            hint="integrated_gradients adds up on every architecture.",
        )
    found: dict[int, Attribution] = {}
    for chunk in packed(reads, inside.budget // 2):
        some = [reads[i] for i in chunk]
        batch = inside.batch(some)
        table = _contributions(inside, batch, batch.start).cpu().numpy()
        start, end = inside.ends(some)
        finite(table)
        for row, i in enumerate(chunk):
            found[i] = answer(
                inside,
                reads[i],
                table[row, batch.places[row]],
                float(end[row]),
                float(start[row]),
                1,
                "deeplift",
            )
    return [found[i] for i in range(len(reads))]


def _missed(inside: Inside, one: Read, along: float) -> float:
    """Return by how much the contributions against one reference miss the rise, as a share."""
    import torch

    batch = inside.batch([one])
    start = batch.start + along * (batch.end - batch.start)
    extra = (batch.ids, batch.mask, batch.segments)
    total = float(_contributions(inside, batch, start).sum())
    with torch.no_grad():
        logits = [float(inside.logit(x, *extra)) for x in (start, batch.end)]
    return error(total, float(np.diff(logits)[0]))


def _contributions(inside: Inside, batch: Any, start: "torch.Tensor") -> "torch.Tensor":
    """Return what each token adds, shape ``(n, width)``."""
    import torch
    from captum.attr import DeepLift

    class Module(torch.nn.Module):
        """What is explained as one module: DeepLIFT hooks the activations inside it."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = inside.module

        def forward(self, embeddings: Any, *extra: Any) -> Any:
            return inside.logit(embeddings, *extra)

    with warnings.catch_warnings():
        # It says that it sets hooks; it takes them off again.
        warnings.simplefilter("ignore")
        try:
            found = DeepLift(Module()).attribute(
                batch.end.detach().clone(),
                baselines=start.detach().clone(),
                additional_forward_args=(batch.ids, batch.mask, batch.segments),
            )
        except (AssertionError, RuntimeError) as problem:
            said = (str(problem).splitlines() or [""])[0].rstrip(".")
            raise Unsupported(
                f"DeepLIFT cannot follow this model: {said}.",
                hint="integrated_gradients adds up on every architecture.",
            ) from problem
    by_token: torch.Tensor = found.detach().double().sum(dim=-1)
    return by_token

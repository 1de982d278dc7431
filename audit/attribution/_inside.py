"""A classifier seen from its word embeddings: vectors in, the logit of one score out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.classifier import WhiteBox
from audit.errors import ModelError, Unsupported
from audit.types import Floats
from audit.wordpieces import Read

if TYPE_CHECKING:
    import torch

# Padded tokens in one pass. As for scoring, small passes suit a CPU's caches.
_CPU_TOKENS, _GPU_TOKENS = 1024, 65536
BASELINES = ("pad", "mask", "zero", "average")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some texts as the model takes them, shape ``(n, width)`` each."""

    ids: "torch.Tensor"
    mask: "torch.Tensor"
    segments: "torch.Tensor"
    places: tuple[slice, ...]
    """Where the tokens of each text stand."""
    start: "torch.Tensor"
    """Embeddings of the baseline, shape ``(n, width, d)``; special tokens as in the text."""
    end: "torch.Tensor"
    """Embeddings of the text."""


class Inside:
    """One module, one target, one baseline."""

    def __init__(
        self,
        white_box: WhiteBox,
        target: Sequence[int],
        *,
        baseline: str = "pad",
        batch_tokens: int | None = None,
    ) -> None:
        self.module: Any = white_box.module
        config = self.module.config
        self._device = white_box.device
        on_cpu = self._device.type == "cpu"
        self.budget = batch_tokens or (_CPU_TOKENS if on_cpu else _GPU_TOKENS)
        self._layer = self.module.get_input_embeddings()
        self._target = _target(white_box, target)
        # XLNet reads its last token, so padding stands in front, and embeds position by position.
        self._left = getattr(config, "model_type", "") == "xlnet"
        self._segments = getattr(config, "type_vocab_size", 0) > 1 or self._left
        pad = config.pad_token_id
        self._pad = int(white_box.tokenizer.pad_token_id or 0) if pad is None else int(pad)
        self.baseline, self._absent = _absent(white_box, baseline)

    def batch(self, reads: Sequence[Read]) -> Batch:
        import torch

        width = max(len(one.ids) for one in reads)
        ids = torch.full((len(reads), width), self._pad, device=self._device)
        mask, fixed = torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool)
        segments = torch.full_like(ids, 3 if self._left else 0)
        places = []
        for row, one in enumerate(reads):
            n = len(one.ids)
            here = slice(width - n, width) if self._left else slice(0, n)
            ids[row, here] = torch.tensor(one.ids, device=self._device)
            fixed[row, here] = torch.tensor(one.special, device=self._device)
            segments[row, here] = torch.tensor(one.segments, device=self._device)
            mask[row, here] = 1
            places.append(here)
        with torch.no_grad():
            end = self._layer(ids)
            start = torch.where(fixed.unsqueeze(-1), end, self._absent.to(end.dtype))
        return Batch(
            ids=ids, mask=mask, segments=segments, places=tuple(places), start=start, end=end
        )

    def logit(
        self,
        embeddings: "torch.Tensor",
        ids: "torch.Tensor",
        mask: "torch.Tensor",
        segments: "torch.Tensor",
    ) -> "torch.Tensor":
        """Return the target's logit, shape ``(n,)``, with `embeddings` for those of `ids`.

        The ids go in all the same: positions, and the token a decoder reads, are told from them.
        """
        given = embeddings.transpose(0, 1) if self._left else embeddings
        hook = self._layer.register_forward_hook(lambda *_: given)
        try:
            more = {"token_type_ids": segments} if self._segments else {}
            logits = self.module(input_ids=ids, attention_mask=mask, **more).logits
        finally:
            hook.remove()
        return self._target(logits)

    def ends(self, reads: Sequence[Read]) -> tuple[Floats, Floats]:
        """Return the logits of the baselines and of the texts, shape ``(len(reads),)`` each."""
        import torch

        found = np.zeros((2, len(reads)))
        order = sorted(range(len(reads)), key=lambda i: (-len(reads[i].ids), i))
        at = 0
        while at < len(order):
            rows = max(1, self.budget // (2 * len(reads[order[at]].ids)))
            some = order[at : at + rows]
            at += rows
            batch = self.batch([reads[i] for i in some])
            both = (batch.ids, batch.mask, batch.segments)
            with torch.no_grad():
                logits = self.logit(
                    torch.cat([batch.start, batch.end]), *(x.repeat(2, 1) for x in both)
                )
            values = logits.double().cpu().numpy()
            finite(values)
            found[:, some] = values.reshape(2, -1)
        return found[0], found[1]

    def slopes(
        self, reads: Sequence[Read], points: Sequence[tuple[int, float]]
    ) -> dict[tuple[int, float], tuple[float, Floats]]:
        """Return the logit and its slope along the line from baseline to text, token by token.

        Args:
            reads: The texts.
            points: Text and how far along, in [0, 1]; packed by length under the token budget.

        Returns:
            For each point the logit there, and what each token of the text adds to its slope.
        """
        found = {}
        order = sorted(points, key=lambda p: (-len(reads[p[0]].ids), p))
        at = 0
        while at < len(order):
            rows = max(1, self.budget // len(reads[order[at][0]].ids))
            chunk = order[at : at + rows]
            at += rows
            for point, answer in zip(chunk, self._chunk(reads, chunk), strict=True):
                found[point] = answer
        return found

    def _chunk(
        self, reads: Sequence[Read], chunk: Sequence[tuple[int, float]]
    ) -> Iterator[tuple[float, Floats]]:
        import torch

        texts = list(dict.fromkeys(i for i, _ in chunk))
        batch = self.batch([reads[i] for i in texts])
        row_of = torch.tensor([texts.index(i) for i, _ in chunk], device=self._device)
        along = torch.tensor([alpha for _, alpha in chunk], device=self._device)
        way = (batch.end - batch.start)[row_of]
        x = batch.start[row_of] + along.to(way.dtype)[:, None, None] * way
        x.requires_grad_(True)
        logits = self.logit(x, batch.ids[row_of], batch.mask[row_of], batch.segments[row_of])
        (gradient,) = torch.autograd.grad(logits.sum(), x)
        slopes = (gradient * way).double().sum(dim=-1).cpu().numpy()
        values = logits.detach().double().cpu().numpy()
        finite(values, slopes)
        for row, (i, _) in enumerate(chunk):
            yield float(values[row]), slopes[row, batch.places[texts.index(i)]]


def finite(*found: Floats) -> None:
    """Raise `ModelError` where a logit or gradient is not a finite number."""
    if not all(np.isfinite(one).all() for one in found):
        raise ModelError(
            "The model returned a logit or gradient that is not a finite number.",
            hint="Check the checkpoint, or use full precision.",
        )


def _target(white_box: WhiteBox, target: Sequence[int]) -> "Callable[[torch.Tensor], torch.Tensor]":
    wanted = sorted(set(target))
    rest = [i for i in range(len(white_box.labels)) if i not in wanted]
    if not wanted or (white_box.head == "single" and not rest):
        raise ValueError(f"some labels must be favourable, not all: got {list(target)}")
    if white_box.head == "multi":
        return lambda logits: logits[:, wanted].amax(dim=-1)
    return lambda logits: logits[:, wanted].logsumexp(-1) - logits[:, rest].logsumexp(-1)


def _absent(white_box: WhiteBox, baseline: str) -> "tuple[str, torch.Tensor]":
    """Return the name and the vector of what stands where a token is absent, shape ``(d,)``."""
    import torch

    table: Any = white_box.module.get_input_embeddings()
    with torch.no_grad():
        if baseline == "zero":
            return baseline, torch.zeros_like(table.weight[0])
        if baseline == "average":
            return baseline, table.weight.mean(dim=0)
        token = _padding(white_box) if baseline == "pad" else white_box.tokenizer.mask_token_id
        if token is None:
            raise Unsupported(
                "The tokenizer has no mask token to stand where a word is absent.",
                hint="Choose another baseline: pad, zero or average.",
            )
        vector = table(torch.tensor([int(token)], device=white_box.device))[0]
        return str(white_box.tokenizer.convert_ids_to_tokens(int(token))), vector


def _padding(white_box: WhiteBox) -> int:
    """Return the padding token, or a real one where padding is no place to start from.

    A padding vector of zeros is undefined under a normalisation that divides by its length, unless
    positions are added to it first: from there the integral does not converge.
    """
    tokenizer, module = white_box.tokenizer, white_box.module
    table: Any = module.get_input_embeddings()
    added = any(name.endswith(("position_embeddings", "wpe")) for name, _ in module.named_modules())
    added = added and bool(getattr(module.config, "position_biased_input", True))
    names = ("pad_token_id", "mask_token_id", "unk_token_id", "eos_token_id", "bos_token_id")
    tokens = [getattr(tokenizer, name, None) for name in names]
    tokens += tokenizer(".", add_special_tokens=False)["input_ids"]
    for token in tokens:
        if token is None or not 0 <= int(token) < table.weight.shape[0]:
            continue
        if added or float(table.weight[int(token)].detach().norm()) > 1e-6:
            return int(token)
    return 0


@contextmanager
def undisturbed(module: Any) -> Iterator[None]:
    """Evaluate without dropout and without gradients of the weights; put everything back."""
    import torch

    modes = [(part, part.training) for part in module.modules()]
    flags = [(weight, weight.requires_grad) for weight in module.parameters()]
    module.eval()
    for weight, _ in flags:
        weight.requires_grad_(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        for weight, flag in flags:
            weight.requires_grad_(flag)
        for part, mode in modes:
            part.training = mode

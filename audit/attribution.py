"""Which words carry a score: layer integrated gradients, with the error of every answer beside it.

Captum integrates the gradient along the straight line from a baseline text, in which every token
but the special ones is a padding token, to the text itself. What is attributed is the logit of the
score that decisions are made on: for a single head ``log(p / (1 - p))`` where ``p`` is the summed
probability of the favourable labels; for a multi-label head the highest of their logits.

Source: Sundararajan, Taly & Yan (2017), ICML, 'Axiomatic Attribution for Deep Networks',
https://arxiv.org/abs/1703.01365; Gauss-Legendre points as in captum's `IntegratedGradients`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.classifier import WhiteBox
from audit.errors import ModelError, Unsupported
from audit.types import Floats, Text
from audit.wordpieces import Read, Span, read

if TYPE_CHECKING:
    import torch

# Of 40 real tweets 24 points bring all within the tolerance, 16 three quarters, 12 half.
STEPS, MOST_STEPS, TOLERANCE = 24, 384, 0.05
# A difference of logits below this is taken for none: the error is then not divided by it.
_LEAST = 0.05
# Padded tokens times points in one pass. As for scoring, small passes suit a CPU's caches.
_CPU_TOKENS, _GPU_TOKENS = 1024, 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What each word of one text adds to the logit of its score."""

    words: tuple[str, ...]
    """Words, numbers and runs of punctuation, as far as the model reads; Chinese by character."""
    spans: tuple[Span, ...]
    """Characters of each word, ``text[start:end]``."""
    parts: tuple[int, ...]
    """1 for a word of the second text of a pair, else 0."""
    weights: tuple[float, ...]
    """Above 0: the word speaks for the favourable labels. Tokens of one word are summed."""
    logit: float
    """What is explained, on the text."""
    logit_baseline: float
    """The same on the baseline. The weights should add up to the difference."""
    delta: float
    """Convergence error: ``|sum - difference| / max(|difference|, 0.05)``."""
    steps: int
    """Points of the integral; more than asked for where fewer did not converge."""
    baseline: str
    """The token that stands in for every other in the baseline."""
    truncated: bool

    def converged(self, tolerance: float = TOLERANCE) -> bool:
        """Return whether the weights add up to what they explain, within `tolerance`."""
        return self.delta <= tolerance


def attribute(
    white_box: WhiteBox,
    texts: Sequence[Text],
    favourable: Sequence[int],
    *,
    steps: int = STEPS,
    most_steps: int = MOST_STEPS,
    tolerance: float = TOLERANCE,
    batch_tokens: int | None = None,
) -> list[Attribution]:
    """Attribute the score of each text to its words, in the order of `texts`.

    Texts are sorted by length and packed so that texts x points x padded tokens stay within a
    budget; one long text is split over its points. A text whose error exceeds `tolerance` is asked
    again with twice the points, up to `most_steps`; the answer says how many it took, and keeps an
    error above `tolerance` where even that was not enough. The module's mode, its parameters'
    flags and the global random state are as before afterwards.

    Args:
        white_box: The inside of a `transformers` classifier.
        texts: Strings, or pairs for a model of pairs. A text without tokens has no words.
        favourable: Indices of the labels whose score is explained; some, not all.
        steps: Gauss-Legendre points at first, at least 2.
        most_steps: Points at most.
        tolerance: Largest convergence error that needs no more points.
        batch_tokens: Padded tokens in one pass; None chooses by the device.

    Raises:
        Unsupported: If the tokenizer does not tell where its tokens stand in the text, or the
            architecture keeps its embeddings in another layout.
        ModelError: If a logit is not a finite number.
    """
    if steps < 2 or most_steps < steps:
        raise ValueError(f"steps must be 2 to most_steps, got {steps} of {most_steps}")
    if not texts:
        return []
    budget = batch_tokens or (_CPU_TOKENS if white_box.device.type == "cpu" else _GPU_TOKENS)
    integrals = _Integrals(white_box, favourable, budget)
    inputs = read(white_box, texts)
    found: list[Attribution | None] = [None] * len(texts)
    left = [i for i, one in enumerate(inputs) if one.content]
    with _undisturbed(white_box.module):
        while left:
            again = []
            for batch in _packed(left, [len(one.ids) for one in inputs], budget // steps):
                for i, answer in zip(
                    batch, integrals([inputs[i] for i in batch], steps), strict=True
                ):
                    found[i] = answer
                    if answer.delta > tolerance:
                        again.append(i)
            left = again if steps < most_steps else []
            steps = min(2 * steps, most_steps)
    return [
        integrals.nothing(one) if a is None else a for one, a in zip(inputs, found, strict=True)
    ]


def dumps(found: Sequence[Attribution]) -> bytes:
    """Return attributions as bytes that hold numbers only: no word of the texts."""
    rows = [
        {
            "spans": a.spans,
            "parts": a.parts,
            "weights": a.weights,
            "logits": (a.logit, a.logit_baseline),
            "delta": a.delta,
            "steps": a.steps,
            "baseline": a.baseline,
            "truncated": a.truncated,
        }
        for a in found
    ]
    return json.dumps(rows, allow_nan=False, separators=(",", ":")).encode()


def loads(kept: bytes, texts: Sequence[Text]) -> list[Attribution]:
    """Return what `dumps` wrote, with the words taken from the same `texts` again."""
    found = []
    for row, text in zip(json.loads(kept), texts, strict=True):
        sides = (text,) if isinstance(text, str) else text
        spans = tuple((a, b) for a, b in row["spans"])
        parts = tuple(row["parts"])
        found.append(
            Attribution(
                words=tuple(sides[p][a:b] for p, (a, b) in zip(parts, spans, strict=True)),
                spans=spans,
                parts=parts,
                weights=tuple(row["weights"]),
                logit=row["logits"][0],
                logit_baseline=row["logits"][1],
                delta=row["delta"],
                steps=row["steps"],
                baseline=row["baseline"],
                truncated=row["truncated"],
            )
        )
    return found


def _packed(which: Sequence[int], lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Pack texts, longest first, so that each batch's padded tokens stay within `budget`."""
    batch: list[int] = []
    for i in sorted(which, key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


class _Integrals:
    """Captum's layer integrated gradients on the word embeddings of one module."""

    def __init__(self, white_box: WhiteBox, favourable: Sequence[int], budget: int) -> None:
        from captum.attr import LayerIntegratedGradients

        self._module: Any = white_box.module
        config = self._module.config
        if getattr(config, "model_type", "") == "xlnet":
            raise Unsupported(
                "Integrated gradients cannot read this architecture: its embeddings are laid out "
                "by position first.",
                hint="Audit it with the probes that need no gradients.",
            )
        self._device = white_box.device
        self._budget = budget
        self._layer = self._module.get_input_embeddings()
        self._target = _target(white_box, favourable)
        self._baseline = _baseline_token(white_box)
        pad = config.pad_token_id
        self._pad = int(white_box.tokenizer.pad_token_id or 0) if pad is None else int(pad)
        self._segments = getattr(config, "type_vocab_size", 0) > 1
        self._captum = LayerIntegratedGradients(self._forward, self._layer)
        self._name = str(white_box.tokenizer.convert_ids_to_tokens(self._baseline))

    def __call__(self, batch: Sequence[Read], steps: int) -> list[Attribution]:
        import torch

        width = max(len(one.ids) for one in batch)
        ids = torch.full((len(batch), width), self._pad, device=self._device)
        start, mask, segments = ids.clone(), torch.zeros_like(ids), torch.zeros_like(ids)
        for row, one in enumerate(batch):
            here = slice(0, len(one.ids))
            tokens = torch.tensor(one.ids, device=self._device)
            special = torch.tensor(one.special, device=self._device)
            ids[row, here] = tokens
            start[row, here] = torch.where(special, tokens, self._baseline)
            segments[row, here] = torch.tensor(one.segments, device=self._device)
            mask[row, here] = 1
        extra = (mask, segments)
        rows = max(len(batch), self._budget // width)
        found = self._captum.attribute(
            ids,
            baselines=start,
            additional_forward_args=extra,
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=rows if rows < len(batch) * steps else None,
        )
        weights = found.detach().double().sum(dim=-1).cpu().numpy()
        # Captum's own error runs the model on the baseline's ids, from which some architectures
        # derive positions or the place they read: the ends are computed on the true ids instead.
        ends = self._ends(ids, start, extra)
        if not (np.isfinite(weights).all() and np.isfinite(ends).all()):
            raise ModelError(
                "The model returned a logit or gradient that is not a finite number.",
                hint="Check the checkpoint, or use full precision.",
            )
        return [
            self._answer(one, row, here, there, steps)
            for one, row, here, there in zip(batch, weights, *ends.tolist(), strict=True)
        ]

    def nothing(self, one: Read) -> Attribution:
        """Return the attribution of a text without tokens."""
        return self._answer(one, np.zeros(len(one.ids)), 0.0, 0.0, 0)

    def _answer(
        self, one: Read, weights: Floats, logit: float, baseline: float, steps: int
    ) -> Attribution:
        merged = np.zeros(len(one.words))
        for weight, shares in zip(weights, one.shares, strict=False):
            for i, size in shares:
                merged[i] += weight * size
        rise = logit - baseline
        error = abs(float(weights[: len(one.ids)].sum()) - rise) / max(abs(rise), _LEAST)
        return Attribution(
            words=one.words,
            spans=one.spans,
            parts=one.parts,
            weights=tuple(merged.tolist()),
            logit=logit,
            logit_baseline=baseline,
            delta=error,
            steps=steps,
            baseline=self._name,
            truncated=one.truncated,
        )

    def _forward(
        self, ids: "torch.Tensor", mask: "torch.Tensor", segments: "torch.Tensor"
    ) -> "torch.Tensor":
        more = {"token_type_ids": segments} if self._segments else {}
        return self._target(self._module(input_ids=ids, attention_mask=mask, **more).logits)

    def _ends(self, ids: Any, start: Any, extra: tuple[Any, ...]) -> Floats:
        """Return the logit on the texts and on their baselines, shape ``(2, n)``."""
        import torch

        with torch.no_grad():
            given = self._layer(start)
            here = self._forward(ids, *extra)
            hook = self._layer.register_forward_hook(lambda *_: given)
            try:
                there = self._forward(ids, *extra)
            finally:
                hook.remove()
        return np.stack([here.double().cpu().numpy(), there.double().cpu().numpy()])


def _target(
    white_box: WhiteBox, favourable: Sequence[int]
) -> "Callable[[torch.Tensor], torch.Tensor]":
    wanted = sorted(set(favourable))
    rest = [i for i in range(len(white_box.labels)) if i not in wanted]
    if not wanted or (white_box.head == "single" and not rest):
        raise ValueError(f"some labels must be favourable, not all: got {list(favourable)}")
    if white_box.head == "multi":
        return lambda logits: logits[:, wanted].amax(dim=-1)
    return lambda logits: logits[:, wanted].logsumexp(-1) - logits[:, rest].logsumexp(-1)


def _baseline_token(white_box: WhiteBox) -> int:
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
def _undisturbed(module: Any) -> Iterator[None]:
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

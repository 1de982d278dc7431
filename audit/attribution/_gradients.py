"""Attributions by gradients: a nested integral of ours, and Captum's methods at one point."""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np

from audit.attribution._found import TOLERANCE, Attribution, error
from audit.attribution._inside import Inside, finite
from audit.generators import borrowed_randomness
from audit.seeding import stream
from audit.types import Floats
from audit.wordpieces import Read

FIRST, MOST = 8, 512
"""Intervals of the first rule and of the last one; each next rule doubles them."""
_SETTLED = 0.05
# Two rules in a row must name the same words: their weights may differ by this share of all weight.
# Without it an error that happens to cross zero would pass for convergence.
SAMPLES = 25
"""Random points behind one answer of gradient SHAP."""


def integrated(
    inside: Inside, reads: Sequence[Read], *, steps: int | None, tolerance: float = TOLERANCE
) -> list[Attribution]:
    """Integrate the gradient along the line from baseline to text, by as many points as it takes.

    Clenshaw-Curtis points at 9, 17, 33 … 513: each rule holds the one before, so that a text that
    needs more pays for the new points alone, and its ends are points themselves.

    Source:
        Sundararajan, Taly & Yan (2017), ICML, arXiv:1703.01365; Trefethen (2008), SIAM Review
        50(1), 'Is Gauss quadrature better than Clenshaw-Curtis?', doi:10.1137/060659831.
    """
    if steps is not None:
        return _fixed(inside, reads, steps)
    known: dict[tuple[int, float], tuple[float, Floats]] = {}
    found: dict[int, Attribution] = {}
    left, n = list(range(len(reads))), FIRST
    while left:
        alphas, weights = clenshaw_curtis(n)
        _, coarse = clenshaw_curtis(n // 2)
        new = [(i, a) for i in left for a in alphas if (i, a) not in known]
        known |= inside.slopes(reads, new)
        again = []
        for i in left:
            slopes = np.array([known[i, a][1] for a in alphas])
            fine, rough = weights @ slopes, coarse @ slopes[::2]
            start, end = known[i, 0.0][0], known[i, 1.0][0]
            found[i] = answer(inside, reads[i], fine, end, start, n + 1, "integrated_gradients")
            moved = float(np.abs(fine - rough).sum())
            settled = moved <= _SETTLED * float(np.abs(fine).sum()) + 1e-6
            if not (found[i].converged(tolerance) and settled) and n < MOST:
                again.append(i)
        for i in set(left) - set(again):
            for a in alphas:
                del known[i, a]
        left, n = again, 2 * n
    return [found[i] for i in range(len(reads))]


def _fixed(inside: Inside, reads: Sequence[Read], steps: int) -> list[Attribution]:
    x, w = np.polynomial.legendre.leggauss(steps)
    alphas = [float(a) for a in (1 + x) / 2]
    found = []
    for i, one in enumerate(reads):
        known = inside.slopes([one], [(0, a) for a in (*alphas, 0.0, 1.0)])
        weights = w / 2 @ np.array([known[0, a][1] for a in alphas])
        ends = known[0, 1.0][0], known[0, 0.0][0]
        found.append(answer(inside, reads[i], weights, *ends, steps, "integrated_gradients"))
    return found


@cache
def clenshaw_curtis(n: int) -> tuple[tuple[float, ...], Floats]:
    """Return the ``n + 1`` points and weights of the rule on [0, 1], for even `n`.

    Every other point of the rule of ``2 n`` is, to the last bit, a point of this one.
    """
    k = np.arange(n + 1)
    # sin² of the half angle is the same number however finely the circle is divided.
    points = tuple(float(np.sin(np.pi / 2 * (i / n)) ** 2) for i in k)
    j = np.arange(1, n // 2 + 1)
    b = np.where(j == n // 2, 1.0, 2.0) / (4 * j**2 - 1)
    ends = np.where((k == 0) | (k == n), 1.0, 2.0)
    inner = (b * np.cos(2 * np.pi * np.outer(k, j) / n)).sum(axis=1)
    return points, ends / n * (1 - inner) / 2


def at_one_point(
    inside: Inside, reads: Sequence[Read], method: str, seed: int
) -> list[Attribution]:
    """Return Captum's input x gradient, saliency or gradient SHAP, summed over each token's vector.

    Saliency is the length of the gradient and has no sign. Gradient SHAP averages over random
    points of the same line as integrated gradients, without noise, by each text's own dice.

    Source:
        Shrikumar et al. (2016), arXiv:1605.01713; Simonyan et al. (2013), arXiv:1312.6034;
        Lundberg & Lee (2017), NeurIPS, arXiv:1705.07874; code in `captum.attr`.
    """
    found: dict[int, Attribution] = {}
    for chunk in _packed(reads, inside.budget // (SAMPLES if method == "gradient_shap" else 1)):
        some = [reads[i] for i in chunk]
        batch = inside.batch(some)
        extra = (batch.ids, batch.mask, batch.segments)
        if method == "gradient_shap":
            rows: Any = [_shap(inside, one, seed) for one in some]
        else:
            from captum.attr import InputXGradient, Saliency

            x = batch.end.detach().clone().requires_grad_(True)
            if method == "saliency":
                by_vector = Saliency(inside.logit).attribute(
                    x, abs=False, additional_forward_args=extra
                )
                by_token = by_vector.double().norm(dim=-1)
            else:
                by_vector = InputXGradient(inside.logit).attribute(x, additional_forward_args=extra)
                by_token = by_vector.double().sum(dim=-1)
            table = by_token.detach().cpu().numpy()
            rows = [table[row, place] for row, place in enumerate(batch.places)]
        import torch

        with torch.no_grad():
            here = inside.logit(batch.end, *extra).double().cpu().numpy()
            there = inside.logit(batch.start, *extra).double().cpu().numpy()
        finite(here, there, *rows)
        for row, i in enumerate(chunk):
            steps = SAMPLES if method == "gradient_shap" else 1
            ends = float(here[row]), float(there[row])
            # A special token is no word, whatever its own vector adds.
            weights = np.where(reads[i].special, 0.0, rows[row])
            found[i] = answer(inside, reads[i], weights, *ends, steps, method, sums=False)
    return [found[i] for i in range(len(reads))]


def _shap(inside: Inside, one: Read, seed: int) -> Floats:
    from captum.attr import GradientShap

    batch = inside.batch([one])
    rng = stream(seed, "gradient_shap", sha256(repr(one.ids).encode()).hexdigest())
    with borrowed_randomness(rng):
        found = GradientShap(inside.logit).attribute(
            batch.end.detach().clone(),
            baselines=batch.start,
            n_samples=SAMPLES,
            stdevs=0.0,
            additional_forward_args=(batch.ids, batch.mask, batch.segments),
        )
    rows: Floats = found.detach().double().sum(dim=-1).cpu().numpy()
    return rows[0, batch.places[0]]


def answer(
    inside: Inside,
    one: Read,
    tokens: Floats,
    logit: float,
    start: float,
    steps: int,
    method: str,
    *,
    sums: bool = True,
) -> Attribution:
    """Return the weights of the words from those of the tokens."""
    merged = np.zeros(len(one.words))
    for weight, shares in zip(tokens, one.shares, strict=True):
        for i, size in shares:
            merged[i] += weight * size
    return Attribution(
        words=one.words,
        spans=one.spans,
        parts=one.parts,
        weights=tuple(merged.tolist()),
        logit=logit,
        logit_baseline=start,
        delta=error(float(np.sum(tokens)), logit - start) if sums else None,
        steps=steps,
        baseline=inside.baseline,
        truncated=one.truncated,
        method=method,
    )


def _packed(reads: Sequence[Read], budget: int) -> Iterator[list[int]]:
    """Pack texts, longest first, so that each batch's padded tokens stay within `budget`."""
    batch: list[int] = []
    for i in sorted(range(len(reads)), key=lambda i: (-len(reads[i].ids), i)):
        if batch and (len(batch) + 1) * len(reads[batch[0]].ids) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch

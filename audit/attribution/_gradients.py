"""Attributions by gradients: a nested integral of ours, and Captum's methods at one point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np

from audit.attribution._found import LEAST, TOLERANCE, Attribution, error
from audit.attribution._inside import Inside, finite
from audit.generators import borrowed_randomness
from audit.seeding import stream
from audit.types import Floats
from audit.wordpieces import Read

FIRST, MOST = 14, 448
"""Intervals between the points of the first rule and of the last; each next rule halves them."""
_SETTLED = 0.1
# The points must also follow the logit from each to the next: this share of its ups and downs may
# be missed. Without it an error that happens to cross zero would pass for convergence.
_MIDDLE, _WIDTH = 0.4, 0.15
# Where along the way transformers change their minds, and over what stretch of it: measured on a
# BERT, a few layers deep. Elsewhere these cost points, not correctness.
SAMPLES = 25
"""Random points behind one answer of gradient SHAP."""


def integrated(
    inside: Inside, reads: Sequence[Read], *, steps: int | None, tolerance: float = TOLERANCE
) -> list[Attribution]:
    """Integrate the gradient along the line from baseline to text, by as many points as it takes.

    Fejer's second rule with 13, 27, 55 ... 447 points: each holds those of the one before, so that
    a text that needs more pays for the new points alone. A change of variable puts them where the
    logit turns. Besides the sum, the rise between every two neighbouring points is held against the
    model's own.

    Source:
        Sundararajan, Taly & Yan (2017), ICML, arXiv:1703.01365; Waldvogel (2006), BIT 46,
        doi:10.1007/s10543-006-0045-4, for the rule; Johnston & Elliott (2005), 'A sinh
        transformation for evaluating nearly singular boundary element integrals',
        doi:10.1002/nme.1208, for the change of variable.
    """
    if steps is not None:
        return _fixed(inside, reads, steps)
    starts, ends = inside.ends(reads)
    known: dict[tuple[int, float], tuple[float, Floats]] = {}
    found: dict[int, Attribution] = {}
    left, n = list(range(len(reads))), FIRST
    while left:
        one = rule(n)
        new = [(i, a) for i in left for a in one.alphas if (i, a) not in known]
        known |= inside.slopes(reads, new)
        again = []
        for i in left:
            values = np.array([starts[i], *(known[i, a][0] for a in one.alphas), ends[i]])
            slopes = np.array([known[i, a][1] for a in one.alphas])
            found[i] = answer(
                inside,
                reads[i],
                one.weights @ slopes,
                float(ends[i]),
                float(starts[i]),
                len(one.alphas),
                "integrated_gradients",
            )
            rises = np.diff(values)
            missed = float(np.abs(one.between @ slopes.sum(axis=1) - rises).sum())
            settled = missed <= _SETTLED * max(float(np.abs(rises).sum()), LEAST)
            if not (found[i].converged(tolerance) and settled) and n < MOST:
                again.append(i)
        for i in set(left) - set(again):
            for a in one.alphas:
                del known[i, a]
        left, n = again, 2 * n
    return [found[i] for i in range(len(reads))]


@dataclass(frozen=True, slots=True)
class Rule:
    """Points and weights of an integral over [0, 1]."""

    alphas: tuple[float, ...]
    weights: Floats
    """Shape ``(points,)``."""
    between: Floats
    """Shape ``(points + 1, points)``: integrals from each point to the next, ends included."""


@cache
def rule(n: int) -> Rule:
    """Return the ``n - 1`` points of Fejer's second rule, for even `n`, in the variable `_way`.

    Every other point of the rule of ``2 n`` is, to the last bit, a point of this one.
    """
    # sin² of the half angle is the same number however finely the circle is divided.
    t = np.array([float(np.sin(np.pi / 2 * (k / n)) ** 2) for k in range(1, n)])
    basis = np.polynomial.chebyshev.chebvander(2 * t - 1, n - 2)
    whole = np.polynomial.chebyshev.chebint(np.eye(n - 1))
    ends = np.concatenate([[0.0], t, [1.0]])
    upto = np.polynomial.chebyshev.chebval(2 * ends - 1, whole).T / 2
    between = np.linalg.solve(basis.T, np.diff(upto, axis=0).T).T
    alphas, speed = _way(t)
    between = between * speed
    return Rule(tuple(float(a) for a in alphas), between.sum(axis=0), between)


def _way(t: Floats) -> tuple[Floats, Floats]:
    """Return how far along the line a point lies, in [0, 1], and how fast that grows with `t`."""
    low = np.arcsinh(-_MIDDLE / _WIDTH)
    span = np.arcsinh((1 - _MIDDLE) / _WIDTH) - low
    at = low + span * t
    return _MIDDLE + _WIDTH * np.sinh(at), _WIDTH * span * np.cosh(at)


def _fixed(inside: Inside, reads: Sequence[Read], steps: int) -> list[Attribution]:
    x, w = np.polynomial.legendre.leggauss(steps)
    alphas = [float(a) for a in (1 + x) / 2]
    starts, ends = inside.ends(reads)
    found = []
    for i, one in enumerate(reads):
        known = inside.slopes([one], [(0, a) for a in alphas])
        weights = w / 2 @ np.array([known[0, a][1] for a in alphas])
        found.append(
            answer(
                inside,
                one,
                weights,
                float(ends[i]),
                float(starts[i]),
                steps,
                "integrated_gradients",
            )
        )
    return found


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
    for chunk in packed(reads, inside.budget // (SAMPLES if method == "gradient_shap" else 1)):
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


def packed(reads: Sequence[Read], budget: int) -> Iterator[list[int]]:
    """Pack texts, longest first, so that each batch's padded tokens stay within `budget`."""
    batch: list[int] = []
    for i in sorted(range(len(reads)), key=lambda i: (-len(reads[i].ids), i)):
        if batch and (len(batch) + 1) * len(reads[batch[0]].ids) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch

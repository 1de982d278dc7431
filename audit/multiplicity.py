"""Corrections for many questions asked at once."""

from collections.abc import Sequence

import numpy as np

from audit.types import Floats


def holm(ps: Sequence[float]) -> Floats:
    """Return p-values adjusted so that the chance of any false one is bounded.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, pp. 65-70.
    """
    p = _ps(ps)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(p) else steps
    return out


def weighted_holm(ps: Sequence[float], weights: Sequence[float]) -> Floats:
    """Return p-values adjusted as by `holm`, some questions with a larger share of the error rate.

    Args:
        ps: P-values, shape ``(m,)``.
        weights: Above 0, shape ``(m,)``; only their ratios count, and equal ones give `holm`.

    Source:
        Holm (1979), section 3; Benjamini & Hochberg (1997), Scandinavian Journal of Statistics 24,
        pp. 407-418, procedure 1.
    """
    p, w = _ps(ps), np.asarray(weights, np.float64)
    if w.shape != p.shape or not (w > 0).all():
        raise ValueError("every p-value needs a weight above 0")
    order = np.argsort(p / w, kind="stable")
    left = w[order][::-1].cumsum()[::-1]
    out = np.empty_like(p)
    steps = p[order] * left / w[order]
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(p) else steps
    return out


def benjamini_hochberg(ps: Sequence[float]) -> Floats:
    """Return p-values adjusted so that the expected share of false ones is bounded.

    Source:
        Benjamini & Hochberg (1995), JRSS B 57, pp. 289-300.
    """
    p = _ps(ps)
    m = len(p)
    if m == 0:
        return p
    order = np.argsort(-p, kind="stable")
    steps = p[order] * m / np.arange(m, 0, -1)
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, np.minimum.accumulate(steps))
    return out


def benjamini_yekutieli(ps: Sequence[float]) -> Floats:
    """Return p-values adjusted as by `benjamini_hochberg`, whatever their dependence.

    Source:
        Benjamini & Yekutieli (2001), Annals of Statistics 29, pp. 1165-1188.
    """
    harmonic = float(np.sum(1 / np.arange(1, len(ps) + 1)))
    p = _ps(ps)
    order = np.argsort(-p, kind="stable")
    steps = p[order] * harmonic * len(p) / np.arange(len(p), 0, -1)
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, np.minimum.accumulate(steps)) if len(p) else steps
    return out


def _ps(ps: Sequence[float]) -> Floats:
    p = np.asarray(ps, dtype=np.float64)
    if not np.isfinite(p).all():
        raise ValueError("a p-value is not a finite number; leave absent ones out and count them")
    return p

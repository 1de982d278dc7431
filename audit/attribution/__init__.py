"""Which words carry a score: many methods behind one function, the error of each answer beside it.

What is attributed is the logit of the score that decisions are made on: for a single head
``log(p / (1 - p))`` where ``p`` is the summed probability of the target labels; for a multi-label
head the highest of their logits. Special tokens stay as they are and get nothing.

Source: Sundararajan, Taly & Yan (2017), ICML, 'Axiomatic Attribution for Deep Networks',
https://arxiv.org/abs/1703.01365, for the default; the other methods name theirs.
"""

from collections.abc import Sequence

import numpy as np

from audit.attribution import _deeplift, _gradients, _perturbing
from audit.attribution._found import LEAST, TOLERANCE, Attribution, dumps, loads
from audit.attribution._inside import BASELINES as GRADIENT_BASELINES
from audit.attribution._inside import Inside, undisturbed
from audit.attribution._perturbing import BASELINES as WORD_BASELINES
from audit.attribution._perturbing import Words, absent, as_words, logits
from audit.classifier import WhiteBox, white_box
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.scorer import Scorer
from audit.types import Text
from audit.wordpieces import read

__all__ = [
    "GRADIENT_METHODS",
    "LEAST",
    "METHODS",
    "STEPS",
    "TOLERANCE",
    "WORD_METHODS",
    "Attribution",
    "Words",
    "absent",
    "as_words",
    "attribute",
    "dumps",
    "loads",
    "logits",
]

GRADIENT_METHODS = (
    *("integrated_gradients", "input_x_gradient", "saliency", "gradient_shap", "deeplift"),
)
"""Read the inside of a `transformers` classifier and go past the scorer."""
WORD_METHODS = _perturbing.METHODS
"""Ask the scorer about altered texts; any classifier will do."""
METHODS = GRADIENT_METHODS + WORD_METHODS
STEPS = _gradients.MOST - 1
"""Most points of an integral."""
# Texts whose slopes are held at a time: memory does not grow with their number.
_AT_ONCE = 64


def attribute(
    model: Scorer | WhiteBox,
    texts: Sequence[Text],
    target: Sequence[int],
    method: str = "integrated_gradients",
    *,
    baseline: str | None = None,
    steps: int | None = None,
    tolerance: float = TOLERANCE,
    window: int = 1,
    samples: int | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
) -> list[Attribution]:
    """Attribute the score of each text to its words, in the order of `texts`.

    Integrated gradients take 13 points, then 27, 55 … 447, keeping those they have, until a text's
    weights add up within `tolerance` and follow the logit along the way; the answer says how many
    it took, and keeps an error above `tolerance` where the last rule was not enough. Gradient
    methods pack texts and points under a token budget; the module's mode, its parameters' flags and
    the global random state are as before afterwards. The company of a text changes its weights by
    rounding alone.

    Args:
        model: The scorer of a classifier; for gradient methods its inside will do.
        texts: Strings, or pairs for a model of pairs. A text without words has no weights.
        target: Indices of the labels whose score is explained; some, not all.
        method: One of `METHODS`.
        baseline: What stands where a word is absent. Gradient methods: ``pad`` (if not given; a
            real token where padding is no place to start from), ``mask``, ``zero`` or ``average``
            (of all embeddings). Others: ``deleted`` or ``mask``; if not given, occlusion masks
            where there is a mask token, the others delete.
        steps: Exactly so many Gauss-Legendre points instead of a number chosen per text.
        tolerance: Largest convergence error that needs no more points.
        window: Neighbouring words that occlusion takes away together.
        samples: Orders (``shapley``) or altered texts (``kernel_shap``, ``lime``).
        seed: Each text draws from its own stream under it.
        batch_tokens: Padded tokens in one pass of a gradient; None chooses by the device.

    Raises:
        ConfigError: If there is no such method or baseline.
        Unsupported: If a gradient is asked of a callable, the tokenizer does not tell where its
            tokens stand in the text or has no mask token, or ``deeplift`` does not add up on this
            architecture, as on every transformer.
        ModelError: If a logit is not a finite number.
    """
    if method not in METHODS:
        raise ConfigError(
            f"There is no attribution method {method!r}.", hint=did_you_mean(method, METHODS)
        )
    known = GRADIENT_BASELINES if method in GRADIENT_METHODS else WORD_BASELINES
    if baseline is not None and baseline not in known:
        raise ConfigError(
            f"{method} has no baseline {baseline!r}.", hint=did_you_mean(baseline, known)
        )
    for name, number, least in (
        ("steps", steps, 2),
        ("window", window, 1),
        ("samples", samples, 2),
    ):
        if number is not None and number < least:
            raise ConfigError(f"{name} must be at least {least}, got {number}.")
    if method in WORD_METHODS:
        if isinstance(model, WhiteBox):
            raise Unsupported(
                f"{method} asks about altered texts, so it needs the scorer of a classifier."
            )
        return _perturbing.perturbed(
            model,
            texts,
            target,
            method,
            baseline=baseline,
            window=window,
            samples=samples,
            seed=seed,
        )
    box = model if isinstance(model, WhiteBox) else white_box(model.classifier)
    inside = Inside(box, target, baseline=baseline or "pad", batch_tokens=batch_tokens)
    if not texts:
        return []
    inputs = read(box, texts)
    found: list[Attribution | None] = [None] * len(texts)
    order = sorted(
        (i for i, one in enumerate(inputs) if one.content), key=lambda i: len(inputs[i].ids)
    )
    with undisturbed(box.module):
        for start in range(0, len(order), _AT_ONCE):
            some = order[start : start + _AT_ONCE]
            reads = [inputs[i] for i in some]
            if method == "integrated_gradients":
                answers = _gradients.integrated(inside, reads, steps=steps, tolerance=tolerance)
            elif method == "deeplift":
                answers = _deeplift.deep_lift(inside, reads)
            else:
                answers = _gradients.at_one_point(inside, reads, method, seed)
            for i, answer in zip(some, answers, strict=True):
                found[i] = answer
    return [
        _gradients.answer(inside, one, np.zeros(len(one.ids)), 0.0, 0.0, 0, method)
        if a is None
        else a
        for one, a in zip(inputs, found, strict=True)
    ]

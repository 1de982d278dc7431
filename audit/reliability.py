"""How far one attribution can be trusted: one label for each prediction, with the reasons.

The label judges the attribution, not the model. An attribution earns it by agreeing with what the
model does when words are really taken away, better than the same weights dealt out to the words at
random. Known limits: texts without a word are not texts the model was trained on (Hase et al. 2021,
arXiv:2106.00786), and such scores can be raised without changing a prediction (Hsia et al. 2024,
Findings of EACL).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.attribution import TOLERANCE, Attribution, Words, absent, as_words, attribute, logits
from audit.faithfulness import FRACTIONS
from audit.scorer import Scorer
from audit.seeding import stream
from audit.types import STRICT, Absent, Estimate, Floats, Text

Label = Literal["high", "limited", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where the labels part. Set before any result was seen; none was tuned."""

    shuffles: int = 1999
    """Random deals of the same weights; the least p-value is one in 2,000."""
    p_high: float = 0.01
    p_limited: float = 0.025
    """Of weights dealt at random one in forty gets past this: half of the one in twenty that the
    labels may let through."""
    correlation_high: float = 0.7
    """Half of the variance of what words do when taken away (0.7² = 0.49)."""
    correlation_limited: float = 0.3
    """By Cohen (1988) the least that is called a medium correlation."""
    words_high: int = 5
    words_limited: int = 4
    """One order in 120, or 24, is right by luck: with fewer words luck is likelier than `p_high`,
    or than one in twenty."""
    rounding: float = 1e-3
    """Two correlations nearer than this are the same: gradients are computed in single precision.
    So a model that reads one word alone is not asked to rank the words it does not read."""
    delta_low: float = 0.05
    """Convergence error at which the weights explain another number than the prediction's."""
    unmoved: float = 0.01
    """Logits. Where no word moves the prediction by more, there is nothing to explain."""
    randomised: float = 0.5
    """Rank correlation with the attribution of a copy with random weights: above it, the colours
    show the text more than the model (Adebayo et al. 2018, arXiv:1810.03292)."""


THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """One label, its reasons, and the figures they rest on."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    label: Label
    reasons: tuple[str, ...]
    """Sentences; at least one."""
    correlation: float | None
    """Of weights and the effect of leaving each word out, in [-1, 1]; None where undefined."""
    p: float | None
    """Share of random deals that agree better, in (0, 1]."""
    tau: float | None
    """Kendall's tau-b of the two, in [-1, 1]."""
    agreement: float | None = None
    """Kendall's tau-b with another method, in [-1, 1]."""
    randomised: float | None = None
    """Spearman's correlation of sizes with those of a weight-randomised copy, in [-1, 1]."""


def judge(
    scorer: Scorer,
    texts: Sequence[Text],
    target: Sequence[int],
    found: Sequence[Attribution],
    *,
    others: Sequence[Attribution] | None = None,
    randomised: Sequence[Attribution] | None = None,
    thresholds: Thresholds = THRESHOLDS,
    seed: int = 0,
) -> list[Reliability]:
    """Label attributions of `texts`, one text more per word asked of the scorer.

    Words are taken away under the mask token where there is one: deleting a word moves the others,
    and a model that reads positions would answer to that as well. An attribution that was itself
    made so is held against deletion; where there is no other way it is its own yardstick, and no
    better than *limited*.

    Args:
        scorer: The model explained.
        texts: What was attributed.
        target: The labels whose score was.
        found: An attribution for each text, of any method.
        others: The same by a second method, to say how far the two agree.
        randomised: The same of a copy of the model with random weights.
        thresholds: Where the labels part.
        seed: For the random deals; each text has its own.
    """
    usual, _ = absent(scorer, None, "occlusion")
    same = bool(found) and all(_leaves_out(one, usual) for one in found)
    # Deletion is the other way to take a word away, where the usual one is the mask token.
    left_out = attribute(scorer, texts, target, "occlusion", baseline="deleted" if same else None)
    return [
        _label(
            one,
            np.array(truth.weights),
            None if others is None else np.array(others[i].weights),
            None if randomised is None else np.array(randomised[i].weights),
            thresholds,
            stream(seed, "reliability", repr(one.spans)),
            own=_leaves_out(one, truth.baseline),
        )
        for i, (one, truth) in enumerate(zip(found, left_out, strict=True))
    ]


def _leaves_out(one: Attribution, baseline: str) -> bool:
    return one.method in ("occlusion", "ablation") and one.baseline == baseline


def _label(
    one: Attribution,
    effect: Floats,
    other: Floats | None,
    random: Floats | None,
    limits: Thresholds,
    rng: np.random.Generator,
    *,
    own: bool = False,
) -> Reliability:
    weights = np.array(one.weights)
    if one.method == "saliency":
        # It has no sign: it can be held against the size of an effect alone.
        effect = np.abs(effect)
    r, p = _agreement(weights, effect, limits, rng)
    worst: list[tuple[Label, str]] = []
    n = len(weights)
    if n < limits.words_limited:
        worst.append(("low", f"{n} words are too few to tell an order from chance"))
    elif n < limits.words_high:
        worst.append(("limited", f"{n} words leave little to tell an order from chance"))
    if one.delta is not None and one.delta > TOLERANCE:
        how: Label = "low" if one.delta > limits.delta_low else "limited"
        worst.append((how, f"the weights miss what they explain by {one.delta:.0%}"))
    if n and float(np.abs(effect).max()) < limits.unmoved:
        worst.append(("low", "no single word moves the prediction when it is taken away"))
    elif r is None or p is None:
        if n >= limits.words_limited:
            worst.append(("low", "all words have the same weight or the same effect"))
    else:
        said = f"correlation {r:.2f} with leaving each word out, p = {p:.4f} against random deals"
        if p > limits.p_limited or r < limits.correlation_limited:
            worst.append(("low", f"no better than chance: {said}"))
        elif p > limits.p_high or r < limits.correlation_high:
            worst.append(("limited", f"partly borne out: {said}"))
        else:
            worst.append(("high", f"borne out: {said}"))
    if own:
        worst.append(("limited", "made by leaving words out: nothing else bears it out"))
    like = None if random is None else _ranks(np.abs(weights), np.abs(random))
    if like is not None and like > limits.randomised and n >= limits.words_high:
        worst.append(("limited", f"a copy with random weights gives much the same ({like:.2f})"))
    labels = {label for label, _ in worst}
    label: Label = "low" if "low" in labels else "limited" if "limited" in labels else "high"
    return Reliability(
        label=label,
        reasons=tuple(why for _, why in worst),
        correlation=r,
        p=p,
        tau=kendall(weights, effect),
        agreement=None if other is None else kendall(weights, other),
        randomised=like,
    )


def _agreement(
    weights: Floats, effect: Floats, limits: Thresholds, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    """Return Pearson's correlation and the share of random deals whose own is larger."""
    x, y = weights - weights.mean() if len(weights) else weights, effect
    if len(x) < 2 or not float(np.abs(x).max()) > 0 or not float(np.ptp(y)) > 0:
        return None, None
    y = y - y.mean()
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    r = float(x @ y) / size
    dealt = rng.permuted(np.tile(x, (limits.shuffles, 1)), axis=1) @ y / size
    better = int((dealt > r + limits.rounding).sum())
    return min(1.0, max(-1.0, r)), (better + 1) / (limits.shuffles + 1)


def kendall(one: Sequence[float] | Floats, other: Sequence[float] | Floats) -> float | None:
    """Return Kendall's tau-b in [-1, 1], None where a side does not vary."""
    from scipy.stats import kendalltau

    return _defined(kendalltau, one, other)


def _ranks(one: Floats, other: Floats) -> float | None:
    from scipy.stats import spearmanr

    return _defined(spearmanr, one, other)


def _defined(
    measure: Callable[..., tuple[float, float]],
    one: Sequence[float] | Floats,
    other: Sequence[float] | Floats,
) -> float | None:
    x, y = np.asarray(one, float), np.asarray(other, float)
    if len(x) < 2 or not float(np.ptp(x)) > 0 or not float(np.ptp(y)) > 0:
        return None
    found = float(measure(x, y)[0])
    return found if np.isfinite(found) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What taking words away does, in the order of the weights and in other orders, on average.

    Of the probability of what was decided, in [-1, 1]; log-odds are logarithms of a ratio. Each is
    a mean over the fractions 1, 5, 10, 20 and 50 % of the words, rounded up to whole words.
    """

    comprehensiveness: Estimate | Absent
    """Fall without the words named first; higher is better."""
    sufficiency: Estimate | Absent
    """Fall with them alone; lower is better."""
    log_odds: Estimate | Absent
    """Logarithm of the probability without them over the full one; lower is better."""
    over_random: Estimate | Absent
    """Comprehensiveness less that of random orders of the same text, paired."""
    over_reversed: Estimate | Absent
    """Comprehensiveness less that of the reversed order, paired."""
    orders: int
    """Random orders per text."""


def quality(
    scorer: Scorer,
    texts: Sequence[Text],
    target: Sequence[int],
    found: Sequence[Attribution],
    *,
    baseline: Literal["deleted", "mask"] = "deleted",
    orders: int = 10,
    fractions: Sequence[float] = FRACTIONS,
    clusters: Sequence[str | None] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Quality:
    """Measure attributions against random and reversed orders, text by text.

    The order goes towards the side the logit is on: for a text that the target labels do not win,
    words that speak against them come first.

    Source:
        DeYoung et al. (2020), ACL, section 4, arXiv:1911.03429; Samek et al. (2017),
        arXiv:1509.06321; Shrikumar et al. (2017), arXiv:1704.02685.
    """
    _, token = absent(scorer, baseline, "ablation")
    asked: list[Text] = []
    sides: list[int] = []
    for words, one in zip(as_words(scorer, texts), found, strict=True):
        side = 1 if one.logit >= 0 else -1
        rng = stream(seed, "quality", repr(one.spans))
        own = np.argsort(-side * np.array(one.weights), kind="stable")
        every = [own, own[::-1], *(rng.permutation(len(own)) for _ in range(orders))]
        asked += _altered(words, every, fractions, token)
        sides.append(side)
    k = len(fractions)
    z = logits(scorer, asked, target).reshape(len(sides), 1 + (2 + orders) * 2 * k)
    p = 1 / (1 + np.exp(-z * np.array(sides)[:, None]))
    p = np.maximum(p, 1e-15)
    full, rest = p[:, :1], p[:, 1:].reshape(len(sides), 2 + orders, 2, k)
    kept = np.array([len(one.words) > 0 for one in found], bool)
    named = None
    if clusters is not None:
        named = [c for c, stays in zip(clusters, kept, strict=True) if stays]
    less = (full[:, :, None] - rest[:, :, 0]).mean(axis=2)[kept]
    alone = (full[:, :, None] - rest[:, :, 1]).mean(axis=2)[kept]
    odds = np.log(rest[:, 0, 0] / full).mean(axis=1)[kept]

    def mean(values: Floats, low: float | None, high: float | None) -> Estimate | Absent:
        return stats.mean(values, named, low=low, high=high, level=level)

    return Quality(
        comprehensiveness=mean(less[:, 0], -1.0, 1.0),
        sufficiency=mean(alone[:, 0], -1.0, 1.0),
        log_odds=mean(odds, None, None),
        over_random=mean(less[:, 0] - less[:, 2:].mean(axis=1), -2.0, 2.0),
        over_reversed=mean(less[:, 0] - less[:, 1], -2.0, 2.0),
        orders=orders,
    )


def _altered(
    words: Words, orders: Sequence[NDArray[np.intp]], fractions: Sequence[float], token: str | None
) -> list[Text]:
    """Return the text, and for each order the texts without its first words, then with them alone."""
    n = len(words.words)
    made: list[Text] = [words.text]
    for order in orders:
        first = np.zeros((len(fractions), n), bool)
        for row, share in enumerate(fractions):
            first[row, order[: ceil(share * n - 1e-9)]] = True
        made += [words.without(~row, token) for row in first]
        made += [words.without(row, token) for row in first]
    return made

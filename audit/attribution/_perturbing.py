"""Attributions by altered texts: words taken away, alone and together, all asked of the scorer.

So that what two methods or two texts share is scored once, and a second run costs nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from math import comb
from typing import cast

import numpy as np
from numpy.typing import NDArray

from audit.attribution._found import Attribution, error
from audit.classifier import WhiteBox
from audit.errors import Unsupported
from audit.scorer import Scorer
from audit.seeding import stream
from audit.types import Floats, Text
from audit.wordpieces import Span, read, words

Masks = NDArray[np.bool_]
"""Which words are there, shape ``(m, words)``."""
BASELINES = ("deleted", "mask")
ORDERS = 25
"""Random orders behind a Shapley value where a text has too many words to try all."""
COALITIONS = 512
"""Altered texts behind a regression; all of them where there are no more."""
_AT_ONCE = 2048
_LEAST = 1e-15
# Width of LIME's kernel over the cosine distance, times 100, as in the package of its authors.
_WIDTH = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One text as words that can be taken away."""

    text: Text
    """Cut behind the last word that the model reads: no word moves into view when one goes."""
    words: tuple[str, ...]
    spans: tuple[Span, ...]
    parts: tuple[int, ...]
    truncated: bool

    def without(self, kept: Sequence[bool] | NDArray[np.bool_], absent: str | None) -> Text:
        """Return the text with the words of `kept` alone, `absent` (or nothing) for the others.

        The space behind a deleted word goes with it.
        """
        return self.altered({i: absent for i, stays in enumerate(kept) if not stays})

    def altered(self, changes: Mapping[int, str | None]) -> Text:
        """Return the text with some words replaced, or deleted with the space behind them.

        Args:
            changes: Position of a word to what stands there instead; None: nothing.
        """
        sides = (self.text,) if isinstance(self.text, str) else self.text
        made: list[list[str]] = [[] for _ in sides]
        at = [0] * len(sides)
        for i in sorted(changes, key=lambda i: (self.parts[i], self.spans[i])):
            (start, end), part, new = self.spans[i], self.parts[i], changes[i]
            made[part].append(sides[part][at[part] : start])
            if new is None:
                while end < len(sides[part]) and sides[part][end].isspace():
                    end += 1
            else:
                made[part].append(new)
            at[part] = end
        whole = ["".join([*m, s[a:]]) for m, s, a in zip(made, sides, at, strict=True)]
        if None in changes.values():
            whole = [
                new.rstrip() if new != old else new for new, old in zip(whole, sides, strict=True)
            ]
        return whole[0] if len(whole) == 1 else (whole[0], whole[1])


def as_words(scorer: Scorer, texts: Sequence[Text]) -> list[Words]:
    """Return the words of each text as far as the model reads; all of them where it does not say.

    Args:
        scorer: The model under audit.
        texts: Strings or pairs.
    """
    inside = _inside(scorer)
    if inside is None:
        return [_words(text) for text in texts]
    found = []
    for text, one in zip(texts, read(inside, texts), strict=True):
        sides = (text,) if isinstance(text, str) else text
        ends = [
            max((b for (_, b), p in zip(one.spans, one.parts, strict=True) if p == part), default=0)
            for part in range(len(sides))
        ]
        cut = tuple(s[:e] for s, e in zip(sides, ends, strict=True)) if one.truncated else sides
        found.append(
            Words(
                text=cut[0] if len(cut) == 1 else (cut[0], cut[1]),
                words=one.words,
                spans=one.spans,
                parts=one.parts,
                truncated=one.truncated,
            )
        )
    return found


def _words(text: Text) -> Words:
    sides = (text,) if isinstance(text, str) else text
    placed = [(part, span) for part, side in enumerate(sides) for span in words(side)]
    return Words(
        text=text,
        words=tuple(sides[p][a:b] for p, (a, b) in placed),
        spans=tuple(span for _, span in placed),
        parts=tuple(p for p, _ in placed),
        truncated=False,
    )


def _inside(scorer: Scorer) -> WhiteBox | None:
    made = getattr(scorer.classifier, "white_box", None)
    box = None if made is None else cast(WhiteBox, made())
    return box if box is not None and getattr(box.tokenizer, "is_fast", False) else None


def logits(scorer: Scorer, texts: Sequence[Text], target: Sequence[int]) -> Floats:
    """Return the logit of the summed probability of the `target` labels, shape ``(len(texts),)``.

    For a multi-label head the highest of their logits. Probabilities are kept 1e-15 from 0 and 1.
    """
    wanted = sorted(set(target))
    rest = [i for i in range(len(scorer.labels)) if i not in wanted]
    if not wanted or (scorer.head == "single" and not rest):
        raise ValueError(f"some labels must be favourable, not all: got {list(target)}")
    p = scorer(texts)
    if scorer.head == "multi":
        yes = p[:, wanted].max(axis=1, initial=0.0)
        no = 1 - yes
    else:
        # Summed, not taken from one: near 1 the difference would have no digits left.
        yes, no = p[:, wanted].sum(axis=1), p[:, rest].sum(axis=1)
    found: Floats = np.log(np.maximum(yes, _LEAST)) - np.log(np.maximum(no, _LEAST))
    return found


def absent(scorer: Scorer, baseline: str | None, method: str) -> tuple[str, str | None]:
    """Return the name of what stands where a word is absent, and its text (None: nothing).

    Occlusion covers words by the mask token where there is one; every other method deletes them.
    """
    inside = _inside(scorer)
    token = None if inside is None else getattr(inside.tokenizer, "mask_token", None)
    if baseline is None:
        baseline = "mask" if method == "occlusion" and token else "deleted"
    if baseline == "deleted":
        return baseline, None
    if token is None:
        raise Unsupported(
            "The tokenizer has no mask token to stand where a word is absent.",
            hint="Choose the baseline: deleted.",
        )
    return str(token), str(token)


def perturbed(
    scorer: Scorer,
    texts: Sequence[Text],
    target: Sequence[int],
    method: str,
    *,
    baseline: str | None,
    window: int,
    samples: int | None,
    seed: int,
) -> list[Attribution]:
    """Attribute by altered texts. All texts' questions go to the scorer together.

    Source:
        Zeiler & Fergus (2014), arXiv:1311.2901 (occlusion); Strumbelj & Kononenko (2010), JMLR 11
        (Shapley sampling); Lundberg & Lee (2017), arXiv:1705.07874 (kernel SHAP, theorem 2);
        Ribeiro, Singh & Guestrin (2016), arXiv:1602.04938 (LIME), without its choice of features.
    """
    name, token = absent(scorer, baseline, method)
    scheme = _SCHEMES[method](window, samples)
    found = []
    for some in _groups(as_words(scorer, texts), scheme):
        asked: list[Text] = []
        planned = []
        for one in some:
            n = len(one.words)
            path = sha256(repr(one.text).encode("utf-8", "replace")).hexdigest()
            masks, solve = scheme(n, stream(seed, method, path))
            whole = np.vstack([np.ones((1, n), bool), np.zeros((1, n), bool), masks])
            distinct, back = np.unique(whole, axis=0, return_inverse=True)
            planned.append((one, whole, back.ravel() + len(asked), solve))
            asked += [one.without(kept, token) for kept in distinct]
        values = logits(scorer, asked, target)
        for one, whole, at, solve in planned:
            f = values[at]
            weights = solve(whole[2:], f[2:], float(f[0]), float(f[1]))
            rise = float(f[0] - f[1])
            adds = method in ("shapley", "kernel_shap")
            found.append(
                Attribution(
                    words=one.words,
                    spans=one.spans,
                    parts=one.parts,
                    weights=tuple(weights.tolist()),
                    logit=float(f[0]),
                    logit_baseline=float(f[1]),
                    delta=error(float(weights.sum()), rise) if adds else None,
                    steps=len(np.unique(at)),
                    baseline=name,
                    truncated=one.truncated,
                    method=method,
                )
            )
    return found


Solve = Callable[[Masks, Floats, float, float], Floats]
_Scheme = Callable[[int, np.random.Generator], tuple[Masks, Solve]]


def _groups(every: Sequence[Words], scheme: _Scheme) -> Iterator[list[Words]]:
    """Pack texts so that the altered ones of one request stay some thousands at most."""
    some: list[Words] = []
    size = 0
    for one in every:
        more = len(one.words) + 2
        if some and (size + more > _AT_ONCE or len(some) >= 64):
            yield some
            some, size = [], 0
        some.append(one)
        size += more
    if some:
        yield some


def _occlusion(window: int, samples: int | None) -> _Scheme:
    """Each window of words is taken away; a word gets the mean of the windows it stands in."""

    def scheme(n: int, rng: np.random.Generator) -> tuple[Masks, Solve]:
        width = min(window, n)
        gone = np.zeros((n - width + 1 if n else 0, n), bool)
        for row in range(len(gone)):
            gone[row, row : row + width] = True

        def solve(masks: Masks, values: Floats, full: float, empty: float) -> Floats:
            if n == 0:
                return np.zeros(0)
            away = (~masks).astype(float)
            found: Floats = (full - values) @ away / away.sum(axis=0)
            return found

        return ~gone, solve

    return scheme


def _shapley(window: int, samples: int | None) -> _Scheme:
    """Mean rise when a word joins those before it, over random orders: it adds up exactly."""
    orders = samples or ORDERS

    def scheme(n: int, rng: np.random.Generator) -> tuple[Masks, Solve]:
        drawn = np.array([rng.permutation(n) for _ in range(orders)]).reshape(orders, n)
        masks = np.zeros((orders * max(n - 1, 0), n), bool)
        for o, order in enumerate(drawn):
            for k in range(1, n):
                masks[o * (n - 1) + k - 1, order[:k]] = True

        def solve(masks: Masks, values: Floats, full: float, empty: float) -> Floats:
            found = np.zeros(n)
            if n:
                along = values.reshape(orders, n - 1)
                first, last = np.full((orders, 1), empty), np.full((orders, 1), full)
                rises = np.diff(np.hstack([first, along, last]), axis=1)
                np.add.at(found, drawn.ravel(), rises.ravel())
            return found / orders

        return masks, solve

    return scheme


def _kernel_shap(window: int, samples: int | None) -> _Scheme:
    """Least squares under Shapley's kernel, the sum held to the rise. All coalitions: exact."""
    most = samples or COALITIONS

    def scheme(n: int, rng: np.random.Generator) -> tuple[Masks, Solve]:
        if 2**n - 2 <= most:
            sizes = range(1, n)
            rows = [list(some) for k in sizes for some in combinations(range(n), k)]
            masks = np.zeros((len(rows), n), bool)
            for row, some in enumerate(rows):
                masks[row, some] = True
            size = masks.sum(axis=1)
            weight = np.array([(n - 1) / (comb(n, k) * k * (n - k)) for k in size.tolist()])
        else:
            k = np.arange(1, n)
            p = 1 / (k * (n - k))
            drawn = rng.choice(k, size=most // 2, p=p / p.sum())
            masks = np.zeros((2 * len(drawn), n), bool)
            for row, many in enumerate(drawn):
                masks[2 * row, rng.choice(n, size=many, replace=False)] = True
                # With its complement each coalition says more (Covert & Lee 2021, arXiv:2012.01536).
                masks[2 * row + 1] = ~masks[2 * row]
            weight = np.ones(len(masks))

        def solve(masks: Masks, values: Floats, full: float, empty: float) -> Floats:
            if n == 0:
                return np.zeros(0)
            rise = full - empty
            last = masks[:, -1].astype(float)
            x = masks[:, :-1] - last[:, None]
            y = values - empty - last * rise
            root = np.sqrt(weight)
            head = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
            return np.append(head, rise - head.sum())

        return masks, solve

    return scheme


def _lime(window: int, samples: int | None) -> _Scheme:
    """A straight line through random subsets, the closer to the text the weightier."""
    most = samples or COALITIONS

    def scheme(n: int, rng: np.random.Generator) -> tuple[Masks, Solve]:
        masks = np.ones((most if n else 0, n), bool)
        for row in masks:
            row[rng.choice(n, size=int(rng.integers(1, n + 1)), replace=False)] = False

        def solve(masks: Masks, values: Floats, full: float, empty: float) -> Floats:
            x = np.hstack([np.ones((len(masks) + 1, 1)), np.vstack([np.ones((1, n)), masks])])
            y = np.append(full, values)
            distance = 100 * (1 - np.sqrt(x[:, 1:].mean(axis=1))) if n else np.zeros(1)
            root = np.sqrt(np.sqrt(np.exp(-(distance**2) / _WIDTH**2)))
            found: Floats = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0][1:]
            return found

        return masks, solve

    return scheme


_SCHEMES: dict[str, Callable[[int, int | None], _Scheme]] = {
    "occlusion": _occlusion,
    "ablation": lambda window, samples: _occlusion(1, samples),
    "shapley": _shapley,
    "kernel_shap": _kernel_shap,
    "lime": _lime,
}
METHODS = tuple(_SCHEMES)

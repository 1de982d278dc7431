"""What a model answered to a suite, counted by template."""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.decision import Decided
from audit.suites import FAVOURABLE, UNFAVOURABLE, Check, Suite
from audit.types import Absent, Decision, Estimate, Floats

_TOO_FEW = Absent(code="too_few", reason="fewer than two templates")
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers to the texts of a suite, in its order."""

    failed: Bools
    """Shape ``(checks,)``."""
    wrong: Bools
    """Shape ``(texts,)``: the text fails its check. The original of an INV or DIR never does."""
    label: NDArray[np.int64]
    """Shape ``(texts,)``: the decision, as in `Decided`."""
    score: Floats
    """Shape ``(texts,)``: the favourable score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the texts of a suite stand in the arrays of `Answers`."""

    check: Rows
    """Shape ``(texts,)``: the text's check."""
    first: Rows
    """Shape ``(checks + 1,)``: where each check's texts begin."""
    of_check: NDArray[np.str_]
    """Shape ``(checks,)``: template."""

    @property
    def of_text(self) -> NDArray[np.str_]:
        return self.of_check[self.check]


def places(suite: Suite) -> Places:
    """Return where each text of `suite` stands."""
    sizes = [len(c.variants) for c in suite.checks]
    return Places(
        check=np.repeat(np.arange(len(sizes), dtype=np.intp), sizes),
        first=np.concatenate([[0], np.cumsum(sizes, dtype=np.intp)]).astype(np.intp),
        of_check=np.array([c.template for c in suite.checks], dtype=str),
    )


def judge(suite: Suite, decided: Decided, rule: Decision, *, tolerance: float) -> Answers:
    """Hold the decisions on every text of `suite` against what its checks expect.

    An MFT fails when the decision is none of those expected; under a multi-label head, when none of
    them applies. An INV fails when a changed text is decided otherwise than the original. A DIR
    fails when the favourable score of a changed text moves against the direction by more than
    `tolerance`; ``surer`` is away from the other decision, ``less sure`` towards it.
    """
    wrong = np.zeros(len(decided.label), dtype=bool)
    at = places(suite)
    for i, check in enumerate(suite.checks):
        here = slice(at.first[i], at.first[i + 1])
        if check.kind == "MFT":
            wrong[here] = not _as_expected(check, decided, int(at.first[i]), rule)
        elif check.kind == "INV":
            wrong[here] = decided.label[here] != decided.label[at.first[i]]
        else:
            (way,) = check.expect
            up = bool(decided.favourable[at.first[i]]) == (way == "surer")
            sign = 1.0 if way == "up" or (way in ("surer", "less sure") and up) else -1.0
            moved = decided.score[here] - decided.score[at.first[i]]
            wrong[here] = sign * moved < -tolerance - 1e-12
    failed = np.zeros(len(suite.checks), dtype=bool)
    np.logical_or.at(failed, at.check, wrong)
    return Answers(failed=failed, wrong=wrong, label=decided.label, score=decided.score)


def rate(hits: Bools, templates: NDArray[np.str_], *, level: float) -> Estimate | Absent:
    """Estimate the share of checks with a property, each template counting alike.

    Args:
        hits: One for each check, shape ``(n,)``.
        templates: Of each check.
        level: Coverage of the interval, in (0, 1).

    Returns:
        The mean over templates of each one's share, with a t interval over templates; with Wilson's
        where each share is 0 or 1, as it is where no template repeats. `n` counts templates.
        `Absent` for fewer than two of them, unless each check has its own.

    Source:
        Cameron & Miller (2015), Journal of Human Resources 50(2), section VI: with few clusters a
        clustered error is too small; means of clusters are not.
    """
    if len(hits) == 0:
        return Absent(code="empty", reason="no check was left to ask")
    means = _means(hits, templates)
    if len(means) < 2 and len(hits) > 1:
        return _TOO_FEW
    if np.isin(means, (0.0, 1.0)).all():
        return stats.share(int(means.sum()), len(means), level=level)
    return stats.mean(means, low=0.0, high=1.0, level=level)


def rate_without_one(
    hits: Bools, templates: NDArray[np.str_], end: Literal["least", "most"], *, level: float
) -> Estimate | Absent:
    """Estimate the least or greatest `rate` that leaving out one template gives."""
    if len(hits) == 0 or len(np.unique(templates)) < 3:
        return Absent(code="too_few", reason="fewer than three templates")
    means = _means(hits, templates)
    extreme = means.max() if end == "least" else means.min()
    # Templates with the same share are alike to the rate.
    gone = np.unique(templates)[int(np.flatnonzero(means == extreme)[0])]
    kept = templates != gone
    return rate(hits[kept], templates[kept], level=level)


def differences(values: Floats, mine: Bools, templates: NDArray[np.str_]) -> Floats:
    """Return by template the mean of `mine` less that of the other texts on the same template.

    Templates that hold one side alone are not among them.
    """
    totals, sizes = _by_template(np.where(mine, values, 0.0), templates)
    others, _ = _by_template(np.where(mine, 0.0, values), templates)
    own, _ = _by_template(mine.astype(float), templates)
    both = (own > 0) & (own < sizes)
    return np.asarray(totals[both] / own[both] - others[both] / (sizes - own)[both])


def paired(changes: Floats, *, level: float) -> Estimate | Absent:
    """Estimate the mean of one difference per template, with a t interval over templates."""
    if len(changes) < 2:
        return Absent(code="too_few", reason="fewer than two templates with both sides")
    return stats.mean(changes, low=-1.0, high=1.0, level=level)


def paired_without_one(
    changes: Floats, end: Literal["least", "most"], *, level: float
) -> Estimate | Absent:
    """Estimate the least or greatest mean that leaving out one template gives."""
    if len(changes) < 3:
        return Absent(code="too_few", reason="fewer than three templates with both sides")
    ordered = np.sort(changes)
    return paired(ordered[:-1] if end == "least" else ordered[1:], level=level)


def excess_flips(
    suite: Suite, answers: Answers, chosen: Rows, axis: str, *, level: float
) -> Estimate | Absent:
    """Estimate how much oftener two groups of a check are decided differently than one group is.

    Args:
        suite: The checks.
        answers: What the model said.
        chosen: INV checks in which two texts name one group, and two name different ones.
        axis: Identity axis.
        level: Coverage of the interval, in (0, 1).
    """
    at = places(suite)
    found: dict[str, list[float]] = {}
    for i in chosen:
        check = suite.checks[i]
        labels = answers.label[at.first[i] : at.first[i + 1]]
        apart: tuple[list[bool], list[bool]] = ([], [])
        for a, b in combinations(range(len(check.variants)), 2):
            one, other = (check.variants[v].identity.get(axis) for v in (a, b))
            if one is not None and other is not None:
                apart[one != other].append(bool(labels[a] != labels[b]))
        found.setdefault(check.template, []).append(
            float(np.mean(apart[True]) - np.mean(apart[False]))
        )
    return paired(np.array([np.mean(v) for v in found.values()]), level=level)


def excess_shifts(scores: Floats, groups: NDArray[np.str_], templates: NDArray[np.str_]) -> Floats:
    """Return by template how much further apart texts of two groups score than texts of one.

    Args:
        scores: Shape ``(n,)``.
        groups: Group that each text names.
        templates: Of each text.

    Returns:
        One difference of mean distances for each template that has pairs of both kinds. Were groups
        drawn at random among the fillers, it would be 0 on average: what single names do to a score
        does not raise it.
    """
    found = []
    for template in np.unique(templates):
        here = templates == template
        apart = np.abs(scores[here][:, None] - scores[here][None, :])
        same = groups[here][:, None] == groups[here][None, :]
        pair = np.triu(np.ones_like(same), 1)
        if (same & pair).any() and (~same & pair).any():
            found.append(float(apart[~same & pair].mean() - apart[same & pair].mean()))
    return np.array(found, dtype=np.float64)


def has_both(check: Check, axis: str) -> bool:
    """Return whether two texts name one group of `axis`, and two name different ones."""
    named = [v.identity[axis] for v in check.variants if axis in v.identity]
    return 1 < len(set(named)) < len(named)


def _as_expected(check: Check, decided: Decided, i: int, rule: Decision) -> bool:
    label = int(decided.label[i])
    if not check.expect:
        return label == 0
    for name in check.expect:
        if name in (FAVOURABLE, UNFAVOURABLE) and name not in rule.labels:
            met = bool(decided.favourable[i]) == (name == FAVOURABLE)
        else:
            number = rule.labels.index(name)
            met = bool(label >> number & 1) if rule.head == "multi" else label == number
        if met:
            return True
    return False


def _means(hits: Bools, templates: NDArray[np.str_]) -> Floats:
    totals, sizes = _by_template(hits.astype(float), templates)
    return totals / sizes


def _by_template(values: Floats, templates: NDArray[np.str_]) -> tuple[Floats, Floats]:
    if len(values) == 0:
        return np.zeros(0), np.zeros(0)
    _, index = np.unique(templates, return_inverse=True)
    return np.bincount(index, values).astype(float), np.bincount(index).astype(float)

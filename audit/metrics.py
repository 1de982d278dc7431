"""Rates by group: which texts a rate is taken over, how many hit, and fairlearn's word for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit import proportions, stats
from audit.types import Absent, Estimate, Example, Floats, Skip

Bools = NDArray[np.bool_]
Clusters = NDArray[np.str_] | None
Positive = Literal["favourable", "unfavourable"]
Rate = Literal[
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "positive_predictive_value",
    "accuracy",
]
RATES: tuple[Rate, ...] = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "positive_predictive_value",
    "accuracy",
)
ODDS: tuple[Rate, ...] = ("true_positive_rate", "false_positive_rate")
"""What equalized odds speak of."""
CLUSTERED = Absent(
    code="clustered", reason="texts come in clusters, and this statistic takes each for itself"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How a rate is spoken of."""

    unit: str
    elsewhere: str
    """Why a text with a label is left out of it."""
    code: str
    """Of the `Absent` where no text is left."""
    nobody: str
    """What no text is or has then."""


def words(rate: Rate, positive: Positive = "favourable") -> Words:
    """Return the words for `rate` where the `positive` decisions are what is counted."""
    negative = "unfavourable" if positive == "favourable" else "favourable"
    if rate == "true_positive_rate":
        return Words(
            unit=f"share of truly {positive} texts decided {positive}",
            elsewhere=f"the true label is {negative}",
            code="no_positives",
            nobody=f"has {_a(positive)} true label",
        )
    if rate == "false_positive_rate":
        return Words(
            unit=f"share of truly {negative} texts decided {positive}",
            elsewhere=f"the true label is {positive}",
            code="no_negatives",
            nobody=f"has {_a(negative)} true label",
        )
    if rate == "positive_predictive_value":
        return Words(
            unit=f"share of texts decided {positive} that truly are",
            elsewhere=f"the decision is {negative}",
            code="no_decisions",
            nobody=f"with a true label is decided {positive}",
        )
    if rate == "accuracy":
        return Words(
            unit="share of texts", elsewhere="", code="no_labels", nobody="has a true label"
        )
    return Words(unit="share of texts", elsewhere="", code="empty", nobody="is there")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Decisions and true labels of ``n`` texts."""

    selected: Bools
    """Shape ``(n,)``: the decision is favourable."""
    truth: Bools
    """Shape ``(n,)``: the true label is favourable; meaningless where `known` is false."""
    known: Bools
    """Shape ``(n,)``: there is a true label."""
    correct: Bools
    """Shape ``(n,)``: the decision is the true label itself, not only as favourable."""
    positive: Positive = "favourable"
    """Which decisions and labels the error rates call positive; selection is favourable always."""

    @property
    def said(self) -> Bools:
        """Whether the decision is positive, shape ``(n,)``."""
        return self.selected if self.positive == "favourable" else ~self.selected

    @property
    def real(self) -> Bools:
        """Whether the true label is positive, shape ``(n,)``; meaningless where not `known`."""
        return self.truth if self.positive == "favourable" else ~self.truth

    def over(self, rate: Rate) -> Bools:
        """Return which texts a rate is taken over, shape ``(n,)``."""
        if rate == "selection_rate":
            return np.ones_like(self.selected)
        if rate == "true_positive_rate":
            return self.known & self.real
        if rate == "false_positive_rate":
            return self.known & ~self.real
        if rate == "positive_predictive_value":
            return self.known & self.said
        return self.known

    def hits(self, rate: Rate) -> Bools:
        """Return which texts count for a rate where it is taken, shape ``(n,)``."""
        if rate == "selection_rate":
            return self.selected
        if rate == "positive_predictive_value":
            return self.real
        return self.correct if rate == "accuracy" else self.said


def rate_of(
    outcome: Outcome, rate: Rate, mine: Bools, clusters: Clusters, *, min_n: int, level: float
) -> Estimate | Absent:
    """Estimate a rate over the texts `mine`, by clusters where there are any.

    Returns:
        The rate in [0, 1]; `Absent` for fewer than `min_n` texts in its condition: a library would
        answer 0 or 1 where there is none at all.
    """
    over = mine & outcome.over(rate)
    hits, n = outcome.hits(rate)[over], int(over.sum())
    if n < min_n:
        return too_few(rate, n, min_n, outcome.positive)
    if clusters is None:
        return stats.share(int(hits.sum()), n, level=level)
    return stats.mean(hits.astype(float), list(clusters[over]), low=0.0, high=1.0, level=level)


def gap_of(
    outcome: Outcome,
    rate: Rate,
    mine: Bools,
    rest: Bools,
    clusters: Clusters,
    *,
    min_n: int,
    level: float,
) -> Estimate | Absent:
    """Estimate a rate over the texts `mine` less that over `rest`, signed, in [-1, 1]."""
    over, hits = outcome.over(rate), outcome.hits(rate)
    a, b = hits[mine & over], hits[rest & over]
    if min(len(a), len(b)) < min_n:
        return too_few(rate, min(len(a), len(b)), min_n, outcome.positive)
    if clusters is None:
        return stats.difference(int(a.sum()), len(a), int(b.sum()), len(b), level=level)
    both = (mine | rest) & over
    return stats.difference_of_means(
        hits[both].astype(float), mine[both], list(clusters[both]), low=0.0, high=1.0, level=level
    )


def cells_of(outcome: Outcome, rate: Rate, masks: Sequence[Bools]) -> list[tuple[int, int]]:
    """Return hits and texts of a rate in each of the slices `masks`."""
    over, hits = outcome.over(rate), outcome.hits(rate)
    return [(int((hits & over & mask).sum()), int((over & mask).sum())) for mask in masks]


def omnibus_of(
    outcome: Outcome,
    rate: Rate,
    masks: Sequence[Bools],
    clusters: Clusters,
    *,
    rng: np.random.Generator,
    level: float,
) -> Estimate | Absent:
    """Return the p-value of 'all these slices have one rate', whole clusters dealt out anew."""
    n = sum(size for _, size in cells_of(outcome, rate, masks))
    if clusters is None:
        found = proportions.omnibus(cells_of(outcome, rate, masks), rng=rng)
        return proportions.as_estimate(found, n, level=level)
    of = np.full(len(outcome.known), -1)
    for i, mask in enumerate(masks):
        of[mask & outcome.over(rate)] = i
    there = of >= 0
    found = proportions.omnibus_clustered(
        outcome.hits(rate)[there].astype(float),
        of[there].astype(str),
        list(clusters[there]),
        rng=rng,
    )
    return proportions.as_estimate(found, n, level=level)


def spread_of(
    outcome: Outcome, rate: Rate, masks: Sequence[Bools], clusters: Clusters, *, level: float
) -> Estimate | Absent:
    """Estimate the variance of a rate between slices, less what chance adds."""
    if clusters is not None:
        return CLUSTERED
    return proportions.spread(cells_of(outcome, rate, masks), level=level)


def odds_of(
    outcome: Outcome,
    mine: Bools,
    rest: Bools,
    clusters: Clusters,
    *,
    apart: bool,
    min_n: int,
    level: float,
) -> Estimate | Absent:
    """Return the p-value of 'both error rates are alike', or of 'their gaps are the same'.

    Args:
        outcome: Decisions and labels.
        mine: One side.
        rest: The other side.
        clusters: The tests are for texts that are independent; with clusters there is none.
        apart: Whether the odds ratios of the two true classes differ (Breslow and Day), instead of
            whether decisions differ given the true class (Cochran, Mantel and Haenszel).
        min_n: Fewest texts of each true class on each side.
        level: Of the interval, where the p-value has one.
    """
    strata: list[tuple[int, int, int, int]] = []
    for rate in ODDS:
        (hits, n), (other_hits, other_n) = cells_of(outcome, rate, (mine, rest))
        if min(n, other_n) < min_n:
            return too_few(rate, min(n, other_n), min_n, outcome.positive)
        strata.append((hits, n, other_hits, other_n))
    if clusters is not None:
        return CLUSTERED
    test = proportions.heterogeneity if apart else proportions.cochran_mantel_haenszel
    return proportions.as_estimate(test(strata), sum(s[1] + s[3] for s in strata), level=level)


def ranking_of(
    outcome: Outcome, rate: Rate, masks: Sequence[Bools], clusters: Clusters, *, level: float
) -> list[Estimate | Absent]:
    """Return the rate of each slice, drawn towards the common one: for ranking only."""
    if clusters is not None:
        return [CLUSTERED] * len(masks)
    return proportions.ranking(cells_of(outcome, rate, masks), level=level)


def left_out(outcome: Outcome, rate: Rate, asked: Bools) -> tuple[Skip, ...]:
    """Return which of the texts `asked` a rate is not taken over, and why."""
    if rate == "selection_rate":
        return ()
    unlabelled = int((asked & ~outcome.known).sum())
    other = int((asked & outcome.known & ~outcome.over(rate)).sum())
    skips = [("no true label", unlabelled), (words(rate, outcome.positive).elsewhere, other)]
    return tuple(Skip(reason=why, count=count) for why, count in skips if count)


def too_few(rate: Rate, n: int, least: int, positive: Positive = "favourable") -> Absent:
    """Return why a rate over `n` texts is not estimated."""
    if n == 0:
        said = words(rate, positive)
        return Absent(code=said.code, reason=f"no text {said.nobody}")
    return Absent(code="too_few", reason=f"{n} texts, fewer than {least}")


def rates_by_group(outcome: Outcome, group: NDArray[np.str_], rate: Rate) -> dict[str, float]:
    """Return fairlearn's point value of `rate` for each group with a text it is taken over.

    Args:
        outcome: Decisions and labels, ``n`` texts.
        group: Group of each text, shape ``(n,)``; none missing.
        rate: Which rate.

    Returns:
        Group to rate in [0, 1]. A group without a text in the condition is not in it: fairlearn
        itself would answer 0 or 1 there.

    Source:
        fairlearn.metrics.MetricFrame; Hardt, Price & Srebro (2016), arXiv:1610.02413, section 2.
    """
    over = outcome.over(rate)
    if not over.any():
        return {}
    from fairlearn import metrics as fairlearn

    # Over the texts of one true class the selection rate is that class's rate, and over the texts
    # decided positive the share that truly are is one too; fairlearn's own functions want both
    # classes and answer 0 or 1 where one is missing.
    truth, said = outcome.truth[over].astype(int), outcome.hits(rate)[over].astype(int)
    if rate == "accuracy":
        # Whether the label itself was hit; with two labels that is agreement of both columns.
        truth = np.ones(int(over.sum()), int)
    frame = fairlearn.MetricFrame(
        metrics=_agreement if rate == "accuracy" else fairlearn.selection_rate,
        y_true=truth,
        y_pred=said,
        sensitive_features=group[over].tolist(),
    )
    return {str(name): float(value) for name, value in frame.by_group.items()}


def check_points(outcome: Outcome, cells: Mapping[tuple[str, ...], Bools], rate: Rate) -> None:
    """Hold our counts of disjoint slices against fairlearn's point values: two routes, one number.

    Raises:
        AssertionError: If they differ by more than 1e-12, which is a bug in one of the two.
    """
    names = list(cells)
    code = np.full(len(outcome.known), "", dtype="<U12")
    for i, mine in enumerate(cells.values()):
        code[mine] = str(i)
    known = code != ""
    part = Outcome(
        outcome.selected[known],
        outcome.truth[known],
        outcome.known[known],
        outcome.correct[known],
        outcome.positive,
    )
    for at, theirs in rates_by_group(part, code[known], rate).items():
        name = names[int(at)]
        ours = float(outcome.hits(rate)[cells[name] & outcome.over(rate)].mean())
        if abs(ours - theirs) > 1e-12:
            raise AssertionError(f"{rate} of {name}: {ours} here, {theirs} by fairlearn")


def clusters_of(examples: Sequence[Example]) -> Clusters:
    """Return each text's cluster, shape ``(n,)``, or None when every text is one of its own."""
    names = [e.cluster for e in examples if e.cluster is not None]
    if len(set(names)) == len(names):
        return None
    return np.array([f"c{e.cluster}" if e.cluster is not None else f"t{e.id}" for e in examples])


def _agreement(truth: Floats, said: Floats) -> float:
    return float(np.mean(np.asarray(truth) == np.asarray(said)))


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"

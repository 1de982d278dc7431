"""Does the model rank texts that speak of a group worse than others?

A model may separate positive from negative texts well overall and yet score harmless texts that
mention a group as high as harmful ones elsewhere. For each identity three areas under the ROC curve
tell where it goes wrong, whatever the threshold: `subgroup_auc`, among the texts of the group
alone; `bpsn_auc`, positive texts of the background against negative ones of the group (low where
the group's negative texts score too high); `bnsp_auc`, negative texts of the background against
positive ones of the group (low where its positive texts score too low). The background is every
text not of this group. Each area is held against that over all texts; the generalized mean with
exponent -5 sums up the groups of one attribute, axis or list, leaning to the worst.

Source: Borkan, Dixon, Sorensen, Thain & Vasserman (2019), 'Nuanced Metrics for Measuring Unintended
Bias with Real Data for Text Classification', section 3, arXiv:1903.04561.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from audit import identities, ranking
from audit.bench import Bench, Planned
from audit.decision import truly_favourable
from audit.errors import Unsupported
from audit.identities import Identity
from audit.metrics import Positive, clusters_of
from audit.ranking import Area, Bools
from audit.types import Absent, Estimate, Example, Fact, Floats, Measurement, Skip

KINDS = ("subgroup", "bpsn", "bnsp")


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasAuc:
    """Subgroup, BPSN and BNSP AUC of each identity, beside the AUC over all texts."""

    name: ClassVar[str] = "bias_auc"
    version: ClassVar[str] = "3"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    attributes: tuple[str, ...] = ()
    """Group columns whose values are identities; with no other setting, every one there is."""
    axes: tuple[str, ...] = ()
    """Axes of shipped terms (as in ``swaps``): a text belongs to each group it mentions."""
    terms: tuple[str, ...] = ()
    """Terms of the user's own, each an identity: a text belongs to each it holds as whole words."""
    positive: Positive = "favourable"
    """Which class should score high. ``unfavourable`` gives the names their usual meaning where the
    labels are toxic and not: BPSN then speaks of harmless texts that name the group."""
    min_n: int = 30
    """Fewest positive, and fewest negative, texts behind an AUC."""

    def __post_init__(self) -> None:
        if self.min_n < 2:
            raise ValueError("min_n must be at least 2")

    def plan(self, bench: Bench) -> Planned:
        examples = bench.corpus.examples
        known, truth = self._truth(bench)
        claims = [bench.id("auc")]
        mde: dict[str, float] = {}
        found = self._identities(bench)
        for identity in found:
            for kind in KINDS:
                gap = bench.id(f"{kind}_auc_gap", identity.where)
                claims += [bench.id(f"{kind}_auc", identity.where), gap]
                over = _over(kind, identity, known, truth)
                ups, downs = int((over & truth).sum()), int((over & ~truth).sum())
                if min(ups, downs) >= self.min_n:
                    # An area of one half varies most; the error of the whole's is small beside it.
                    mde[gap] = min(1.0, 2.8 * sqrt((ups + downs + 1) / (12 * ups * downs)))
        claims += [
            bench.id(f"{kind}_auc_mean", {"over": over}) for over in _overs(found) for kind in KINDS
        ]
        n = len(examples)
        return Planned(units=n, queries=n, claims=tuple(claims), mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        found = self._identities(bench)
        known, truth = self._truth(bench)
        score = bench.decide(bench.scorer([e.input for e in bench.corpus.examples])).score
        score = score if self.positive == "favourable" else 1 - score
        names = clusters_of(bench.corpus.examples)
        clusters = None if names is None else list(names)
        whole = self._area(score, truth, known, clusters)
        value = whole if isinstance(whole, Absent) else ranking.as_estimate(whole, bench.level)
        yield self._fact(bench, "auc", {}, value, _left(known, known, None))
        means: dict[tuple[str, str], list[tuple[Area, Bools]]] = {}
        for identity in found:
            for kind in KINDS:
                over = _over(kind, identity, known, truth)
                area = self._area(score, truth, over, clusters)
                left = _left(over, known, identity)
                yield from self._cell(bench, kind, identity, area, whole, clusters, left)
                if isinstance(area, Area):
                    means.setdefault((identity.over, kind), []).append((area, over))
        for name in _overs(found):
            of = sum(i.over == name for i in found)
            for kind in KINDS:
                yield self._mean(
                    bench, kind, name, means.get((name, kind), []), of, clusters, known
                )

    def _cell(
        self,
        bench: Bench,
        kind: str,
        identity: Identity,
        area: Area | Absent,
        whole: Area | Absent,
        clusters: list[str] | None,
        left: tuple[Skip, ...],
    ) -> Iterator[Fact]:
        value = area if isinstance(area, Absent) else ranking.as_estimate(area, bench.level)
        yield self._fact(bench, f"{kind}_auc", identity.where, value, left)
        gap: Estimate | Absent
        if isinstance(area, Absent):
            gap = area
        elif isinstance(whole, Absent):
            gap = whole
        else:
            gap = ranking.difference(area, whole, clusters, level=bench.level)
        yield self._fact(bench, f"{kind}_auc_gap", identity.where, gap, left)

    def _mean(
        self,
        bench: Bench,
        kind: str,
        name: str,
        areas: Sequence[tuple[Area, Bools]],
        of: int,
        clusters: list[str] | None,
        known: Bools,
    ) -> Measurement:
        value: Estimate | Absent = Absent(
            code="too_few", reason=f"none of {of} identities has {self.min_n} texts of each class"
        )
        over = np.logical_or.reduce([np.zeros_like(known), *(o for _, o in areas)])
        if areas:
            value = ranking.power_mean_of([a for a, _ in areas], clusters, level=bench.level)
        return self._fact(
            bench,
            f"{kind}_auc_mean",
            {"over": name},
            value,
            _left(over, known, None),
            unit=f"generalized mean (exponent -5) of {len(areas)} of {of} AUCs",
        )

    def _fact(
        self,
        bench: Bench,
        metric: str,
        where: Mapping[str, str],
        value: Estimate | Absent,
        left: tuple[Skip, ...],
        unit: str = "",
    ) -> Measurement:
        gap = metric.endswith("_gap")
        return Measurement(
            id=bench.id(metric, where),
            metric=metric,
            where=where,
            value=value,
            unit=unit or ("AUC less that over all texts" if gap else "AUC"),
            eligible=len(bench.corpus.examples),
            left_out=left,
            family=f"{self.name}.{metric}" if gap else "",
        )

    def _area(
        self, score: Floats, truth: Bools, over: Bools, clusters: list[str] | None
    ) -> Area | Absent:
        ups, downs = int((over & truth).sum()), int((over & ~truth).sum())
        if min(ups, downs) < self.min_n:
            code = "too_few" if ups and downs else "one_class"
            code = code if ups or downs else "empty"
            return Absent(
                code=code,
                reason=f"{ups} positive and {downs} negative texts, at least {self.min_n} of each",
            )
        return ranking.area(score, truth, clusters, over)

    def _truth(self, bench: Bench) -> tuple[Bools, Bools]:
        """Return which texts have a true label, and which are truly positive."""
        truths = [truly_favourable(bench.decision, e) for e in bench.corpus.examples]
        known = np.array([t is not None for t in truths], dtype=bool)
        wanted = self.positive == "favourable"
        return known, np.array([t is wanted for t in truths], dtype=bool)

    def _identities(self, bench: Bench) -> list[Identity]:
        examples: Sequence[Example] = bench.corpus.examples
        attributes: Sequence[str] = self.attributes
        if not (self.attributes or self.axes or self.terms):
            attributes = sorted({name for e in examples for name in e.groups})
            if examples and not attributes:
                raise Unsupported(
                    f"No text in {bench.corpus.name!r} has a group.",
                    hint='Name the columns under [corpora.test.groups], or set axes = ["gender"] '
                    'or terms = ["…"] to look for identities in the texts.',
                )
        return [
            *identities.of_columns(examples, attributes),
            *identities.of_axes(examples, self.axes),
            *identities.of_terms(examples, self.terms),
        ]


def _over(kind: str, identity: Identity, known: Bools, truth: Bools) -> Bools:
    return known & identity.known & ranking.cell(kind, truth, identity.member)


def _overs(found: Sequence[Identity]) -> list[str]:
    return list(dict.fromkeys(identity.over for identity in found))


def _left(over: Bools, known: Bools, identity: Identity | None) -> tuple[Skip, ...]:
    """Return why the texts outside `over` are not behind the number."""
    sure = known if identity is None else known & identity.known
    unlabelled, unknown = int((~known).sum()), int((known & ~sure).sum())
    elsewhere = int((sure & ~over).sum())
    why = "" if identity is None else identity.unknown
    skips = (
        ("no true label", unlabelled),
        (why, unknown),
        ("on neither side of the comparison", elsewhere),
    )
    return tuple(Skip(reason=reason, count=count) for reason, count in skips if count)

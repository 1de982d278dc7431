"""What would a bias audit after New York City's Local Law 144 publish of these decisions?

Counts, selection rates (or scoring rates: the share above the sample median) and impact ratios of
every category of sex, of race or ethnicity, and of both together, with the number whose category is
unknown. The law sets no ratio that must be kept, so none is marked as kept. What a reader needs to
judge a ratio stands beside it: its interval, how many decisions lie between it and four fifths,
the two tests courts know, and how often a system that treats all alike would show less than four
fifths with groups of these sizes.

Source: New York City Administrative Code 20-870 and 6 RCNY 5-300 to 5-304,
https://rules.cityofnewyork.us/rule/automated-employment-decision-tools-updated/; 29 CFR 1607.4(D)
(Uniform Guidelines on Employee Selection Procedures).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np

from audit import impact, proportions, stats
from audit.bench import Bench, Planned
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.intervals import certain, estimated
from audit.metrics import CLUSTERED, Bools, Clusters, clusters_of
from audit.omnibus import Tested
from audit.power import mde_difference
from audit.types import Absent, Estimate, Fact, Floats, Means, Measurement, Quantiles, Skip

_PER_CATEGORY = ("share_of_data", "{}_rate", "impact_ratio")
_COMPANION = (
    "selections_short_of_four_fifths",
    "decisions_to_four_fifths",
    "decisions_to_significance",
    "standard_deviations",
    "fisher_p",
)
_PER_ATTRIBUTE = ("lowest_by_chance", "below_four_fifths_by_chance")
_UNITS: Mapping[str, str] = {
    "share_of_data": "share of texts whose category is known",
    "selection_rate": "share of the category decided favourably",
    "scoring_rate": "share of the category scoring above the sample median",
    "impact_ratio": "rate over that of the most selected category",
    "ratio": "ratio of rates, over the declared reference",
    "selections_short_of_four_fifths": "selections of the category missing to 4/5, in whole "
    "numbers; 0: not below. The law sets no mark",
    "decisions_to_four_fifths": "decisions of the category whose turning takes it across 4/5",
    "decisions_to_significance": "decisions of the category whose turning takes Fisher's p across "
    "0.05",
    "standard_deviations": "standard deviations from the most selected category",
    "fisher_p": "p-value",
    "lowest_by_chance": "lowest impact to expect of equal groups of these sizes, with its band",
    "below_four_fifths_by_chance": "share of audits in which equal groups of these sizes fall "
    "under 4/5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Category:
    """One category and the texts in it."""

    where: Mapping[str, str]
    mine: Bools
    excluded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactRatio:
    """Impact ratios as Local Law 144 has them, and what chance would make of them."""

    name: ClassVar[str] = "impact_ratio"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset({"groups"})

    attributes: tuple[str, ...] = ()
    """Which attributes of the texts; empty: every one of the corpus. The law speaks of sex and of
    race or ethnicity."""
    intersections: bool = True
    """Whether every two attributes are measured together too, as the law asks."""
    rate: Literal["selection", "scoring"] = "selection"
    """``selection``: the share decided favourably; ``scoring``: the share whose score lies strictly
    above the median of all texts."""
    reference: Mapping[str, str] = field(default_factory=dict)
    """Attribute to the category that ``ratio`` is held over: declared before the run, so that a
    gate may speak of it. The most selected category of ``impact_ratio`` is found in the data, which
    flatters nobody but makes the lowest ratio low by chance."""
    exclude_below: float = 0.0
    """Categories with a smaller share of the data get no ratio; the law allows up to 0.02. Their
    number and rate are printed all the same."""
    justification: str = ""
    """Why they are left out; the law wants it in writing."""

    def plan(self, bench: Bench) -> Planned:
        claims = [bench.id(self._rate)]
        mde: dict[str, float] = {}
        for attributes, categories, _ in self._tables(bench):
            for c in categories:
                claims += [bench.id(metric, c.where) for metric in self._metrics()]
                reference = self._reference(attributes, categories)
                if reference is not None and reference is not c:
                    name = bench.id("ratio", self._against(attributes, c, reference))
                    claims.append(name)
                    # A ratio of shares near one half: a gap of half the size.
                    gap = mde_difference(int(c.mine.sum()), int(reference.mine.sum()), 0.5)
                    mde |= {} if gap is None else {name: 2 * gap}
            over = {"over": " and ".join(attributes)}
            claims += [bench.id(metric, over) for metric in _PER_ATTRIBUTE]
        n = len(bench.corpus.examples)
        return Planned(units=n, queries=n, claims=tuple(claims), mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        examples = bench.corpus.examples
        tables = self._tables(bench)
        decided = bench.decide(bench.scorer([e.input for e in examples]))
        hits = decided.favourable
        if self.rate == "scoring":
            hits = impact.above_median(decided.score)
        clusters = clusters_of(examples)
        everyone = np.ones(len(examples), bool)
        yield self._fact(
            bench, self._rate, {}, _rate(hits, everyone, clusters, bench), everyone, None
        )
        for attributes, categories, known in tables:
            if not known.all():
                unknown = int((~known).sum())
                yield Skip(reason=f"{' and '.join(attributes)} unknown", count=unknown)
            ranked = [c for c in categories if not c.excluded]
            top = _most_selected(hits, ranked)
            reference = self._reference(attributes, categories)
            for c in categories:
                for metric in self._metrics():
                    value = self._value(bench, metric, hits, c, top, known, clusters)
                    yield self._fact(bench, metric, c.where, value, c.mine, known)
                if reference is not None and reference is not c:
                    where = self._against(attributes, c, reference)
                    value = _ratio(hits, c.mine, reference.mine, clusters, bench)
                    yield self._fact(bench, "ratio", where, value, c.mine | reference.mine, known)
            over = {"over": " and ".join(attributes)}
            compared = np.logical_or.reduce([np.zeros_like(known), *(c.mine for c in ranked)])
            for metric, value in _by_chance(hits, ranked, compared, clusters, bench).items():
                yield self._fact(bench, metric, over, value, compared, known)

    @property
    def _rate(self) -> str:
        return f"{self.rate}_rate"

    def _metrics(self) -> list[str]:
        return [m.format(self.rate) for m in (*_PER_CATEGORY, *_COMPANION)]

    def _value(
        self,
        bench: Bench,
        metric: str,
        hits: Bools,
        c: _Category,
        top: _Category | None,
        known: Bools,
        clusters: Clusters,
    ) -> Estimate | Absent:
        n, level = int(c.mine.sum()), bench.level
        if metric == "share_of_data":
            return certain(n / int(known.sum()), n, "count", level)
        if metric == self._rate:
            return _rate(hits, c.mine, clusters, bench)
        if c.excluded:
            return Absent(
                code="excluded",
                reason=f"less than {self.exclude_below:.1%} of the data: {self.justification}",
            )
        if top is None:
            return Absent(code="no_hits", reason="nobody was selected, so there is no ratio")
        if metric == "impact_ratio":
            if c is top:
                return certain(1.0, n, "most selected", level)
            return _ratio(hits, c.mine, top.mine, clusters, bench)
        if c is top:
            return Absent(code="reference", reason="the most selected category itself")
        table = _table(hits, c.mine, top.mine)
        distance = impact.to_four_fifths(*table)
        if metric == "decisions_to_four_fifths":
            return _count(distance, n, level)
        if metric == "selections_short_of_four_fifths":
            short = distance if isinstance(distance, Absent) else max(0, distance)
            return _count(short, n, level)
        if clusters is not None:
            return CLUSTERED
        if metric == "decisions_to_significance":
            return _count(impact.to_significance(*table), n, level)
        if metric == "fisher_p":
            return proportions.as_estimate(proportions.fisher(*table), n, level=level)
        return _deviations(proportions.standard_deviations(*table), n, level)

    def _fact(
        self,
        bench: Bench,
        metric: str,
        where: Mapping[str, str],
        value: Estimate | Absent,
        asked: Bools,
        known: Bools | None,
    ) -> Measurement:
        eligible, left = len(asked), []
        if known is not None:
            unknown = int((~known).sum())
            others = eligible - unknown - int(asked.sum())
            left = [Skip(reason="category unknown", count=unknown)] if unknown else []
            left += [Skip(reason="in another category", count=others)] if others else []
        return Measurement(
            id=bench.id(metric, where),
            metric=metric,
            where=where,
            value=value,
            unit=_UNITS[metric],
            eligible=eligible,
            left_out=tuple(left),
            family=f"{self.name}.{metric}" if metric in ("impact_ratio", "ratio") else "",
        )

    def _tables(self, bench: Bench) -> list[tuple[tuple[str, ...], list[_Category], Bools]]:
        """Return attributes, categories and whose category is known, for each table."""
        examples = bench.corpus.examples
        there = sorted({name for e in examples for name in e.groups})
        for name in [*self.attributes, *self.reference]:
            if there and name not in there:
                raise ConfigError(
                    f"No text in {bench.corpus.name!r} has the attribute {name!r}.",
                    hint=did_you_mean(name, there),
                )
        if not there and examples:
            raise Unsupported(
                f"No text in {bench.corpus.name!r} has a group.",
                hint="Name the columns of sex and of race or ethnicity under [corpora.test.groups].",
            )
        self._refuse()
        names = self.attributes or tuple(there)
        tables = []
        for attributes in [
            *((a,) for a in names),
            *(combinations(names, 2) if self.intersections else ()),
        ]:
            whose = [
                tuple(e.groups[a] for a in attributes)
                if all(e.groups.get(a) for a in attributes)
                else ()
                for e in examples
            ]
            values = sorted(set(whose) - {()})
            place = {value: i for i, value in enumerate(values)}
            code = np.array([place.get(value, -1) for value in whose], int)
            known = code >= 0
            categories = [
                _Category(
                    where=dict(zip(attributes, value, strict=True)),
                    mine=code == i,
                    excluded=int((code == i).sum()) < self.exclude_below * int(known.sum()),
                )
                for value, i in place.items()
            ]
            tables.append((attributes, categories, known))
        return tables

    def _refuse(self) -> None:
        if not 0 <= self.exclude_below <= impact.TWO_PERCENT:
            raise ConfigError(
                f"exclude_below must lie between 0 and {impact.TWO_PERCENT}, "
                f"got {self.exclude_below:g}.",
                hint="The rule lets categories under 2 % be left out (6 RCNY 5-301(d)).",
            )
        if self.exclude_below and not self.justification.strip():
            raise ConfigError(
                "Categories are left out without a justification.",
                hint='Say why: justification = "…". It is printed where the ratio would stand.',
            )

    def _reference(
        self, attributes: tuple[str, ...], categories: list[_Category]
    ) -> _Category | None:
        if any(a not in self.reference for a in attributes):
            return None
        wanted = {a: self.reference[a] for a in attributes}
        found = next((c for c in categories if c.where == wanted), None)
        if found is None and len(attributes) == 1 and categories:
            ((name, group),) = wanted.items()
            raise ConfigError(
                f"No text has {name} = {group!r}, the declared reference.",
                hint=did_you_mean(group, [c.where[name] for c in categories]),
            )
        return found

    def _against(
        self, attributes: tuple[str, ...], c: _Category, reference: _Category
    ) -> dict[str, str]:
        one = len(attributes) == 1
        return {**c.where, "against": reference.where[attributes[0]] if one else "reference"}


def _rate(hits: Bools, mine: Bools, clusters: Clusters, bench: Bench) -> Estimate | Absent:
    if clusters is None:
        return stats.share(int(hits[mine].sum()), int(mine.sum()), level=bench.level)
    return stats.mean(
        hits[mine].astype(float), list(clusters[mine]), low=0.0, high=1.0, level=bench.level
    )


def _table(hits: Bools, mine: Bools, rest: Bools) -> tuple[int, int, int, int]:
    return int(hits[mine].sum()), int(mine.sum()), int(hits[rest].sum()), int(rest.sum())


def _most_selected(hits: Bools, categories: list[_Category]) -> _Category | None:
    """Return the category with the highest rate, compared in whole numbers; ties: the largest."""
    best: _Category | None = None
    for c in categories:
        k, n = int(hits[c.mine].sum()), int(c.mine.sum())
        if best is None:
            best = c if k else None
            continue
        top, size = int(hits[best.mine].sum()), int(best.mine.sum())
        if (k * size, n) > (top * n, size):
            best = c
    return best


def _ratio(
    hits: Bools, mine: Bools, rest: Bools, clusters: Clusters, bench: Bench
) -> Estimate | Absent:
    if clusters is None:
        return proportions.ratio(*_table(hits, mine, rest), level=bench.level)
    both = mine | rest
    columns = np.stack([hits & mine, mine, hits & rest, rest], axis=1)[both].astype(float)

    def ratio(totals: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (totals[:, [0]] / totals[:, [1]]) / (totals[:, [2]] / totals[:, [3]])

    (found,) = stats.bootstrap_totals(
        ratio, columns, list(clusters[both]), rng=bench.rng("ratio"), level=bench.level
    )
    return found


def _count(value: int | Absent, n: int, level: float) -> Estimate | Absent:
    return value if isinstance(value, Absent) else certain(float(abs(value)), n, "count", level)


def _deviations(test: Tested | Absent, n: int, level: float) -> Estimate | Absent:
    if isinstance(test, Absent):
        return test
    z = float(test.statistic or 0.0)
    return estimated(z, Means(mean=z, se=1.0, df=1e9), test.method, n, level)


def _by_chance(
    hits: Bools, ranked: list[_Category], compared: Bools, clusters: Clusters, bench: Bench
) -> dict[str, Estimate | Absent]:
    n = int(compared.sum())
    if clusters is not None:
        return dict.fromkeys(_PER_ATTRIBUTE, CLUSTERED)
    rate = float(hits[compared].mean()) if n else 0.0
    band = proportions.null_band([int(c.mine.sum()) for c in ranked], rate)
    if isinstance(band, Absent):
        return dict.fromkeys(_PER_ATTRIBUTE, band)
    basis = Quantiles(probs=band.probs, values=band.values)
    return {
        "lowest_by_chance": estimated(band.median, basis, "null band", n, bench.level),
        "below_four_fifths_by_chance": certain(band.p_below, n, "enumerated", bench.level),
    }

"""Do selection, error and accuracy rates differ between groups?

Reports each group's selection rate, true- and false-positive rate, positive predictive value and
accuracy, and how far each lies from a declared reference group and from everyone else. A difference
is signed; there is no best-minus-worst, which is large by chance even when the groups are equal
(Lum, Zhang & Bower 2022, arXiv:2205.05770). Whether groups differ at all is one test over all of
them. Equalized odds within a limit means that the true- and the false-positive gap both keep it; a
joint test stands beside them, and one of whether the two gaps pull apart, which the joint test
cannot see.

Source: Hardt, Price & Srebro (2016), 'Equality of Opportunity in Supervised Learning', section 2,
arXiv:1610.02413.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import ClassVar, Literal

import numpy as np

from audit import metrics
from audit.bench import Bench, Planned
from audit.decision import Decided, correct, decide, decided_at, truly_favourable
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.metrics import RATES, Bools, Clusters, Outcome, Positive, Rate, words
from audit.power import independent, mde_difference
from audit.types import Absent, Estimate, Example, Fact, Measurement, Skip

REST, REFERENCE = "rest", "reference"
CURVES: tuple[Rate, ...] = ("selection_rate", "true_positive_rate", "false_positive_rate")
_RESERVED = ("against", "over", "threshold")
Kind = Literal["rate", "gap", "curve", "omnibus", "spread", "odds", "apart", "ranking"]
_ACROSS: tuple[Kind, ...] = ("omnibus", "spread")
_METRICS: Mapping[Kind, str] = {
    "rate": "{}",
    "gap": "{}_gap",
    "curve": "{}_gap_at",
    "omnibus": "{}_omnibus_p",
    "spread": "{}_spread",
    "odds": "equalized_odds_p",
    "apart": "odds_heterogeneity_p",
    "ranking": "{}_for_ranking",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One measurement to come: what, of whom, against whom."""

    kind: Kind
    rate: Rate
    where: Mapping[str, str]
    mine: Bools
    """Shape ``(n,)``: the texts of the slice."""
    rest: Bools | None = None
    """The texts it is held against."""
    known: Bools | None = None
    """The texts whose group is known; None: nobody asks."""
    cells: tuple[Bools, ...] = ()
    """All slices, where they are compared at once."""
    threshold: float | None = None

    @property
    def metric(self) -> str:
        return _METRICS[self.kind].format(self.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRates:
    """Rates of each group, and their distance from a reference group and from the rest."""

    name: ClassVar[str] = "group_rates"
    version: ClassVar[str] = "3"
    needs: ClassVar[frozenset[str]] = frozenset({"groups"})

    attributes: tuple[str, ...] = ()
    """Which attributes of the texts; empty: every one of the corpus."""
    reference: Mapping[str, str] = field(default_factory=dict)
    """Attribute to the group that others are held against, declared before the run."""
    intersections: tuple[tuple[str, str], ...] = ()
    """Pairs of attributes whose combined groups are measured too: against the rest, and against
    the combined reference where both have one. What ends in ``_for_ranking`` is drawn towards the
    common rate: it says who comes first, and no gate belongs on it."""
    positive: Positive = "favourable"
    """Which decision error rates and predictive value call positive. ``unfavourable``: the
    false-positive rate is the share of truly favourable texts decided against, as the literature on
    hate-speech filters has it. Selection is a favourable decision always."""
    thresholds: tuple[float, ...] = ()
    """Thresholds in (0, 1) at which gaps are measured beside the decision's own. The band over them
    is pointwise: each interval holds for its own threshold, not for all at once."""
    min_n: int = 30
    """A rate over fewer texts is not estimated."""

    def plan(self, bench: Bench) -> Planned:
        examples = bench.corpus.examples
        # Whom a rate is taken over is told by labels alone, for all but the predictive value.
        blank = _labelled(bench, self.positive)
        claims: list[str] = []
        mde: dict[str, float] = {}
        for q in self._questions(bench):
            name = bench.id(q.metric, q.where)
            claims.append(name)
            if q.kind in ("gap", "curve") and q.rate != "positive_predictive_value":
                over = blank.over(q.rate)
                n, m = (
                    independent(examples[i].cluster for i in np.flatnonzero(over & side))
                    for side in (q.mine, _rest(q))
                )
                smallest = mde_difference(n, m, 0.5)
                if smallest is not None and min(n, m) >= self.min_n:
                    mde[name] = smallest
        n = len(examples)
        return Planned(units=n, queries=n, claims=tuple(claims), mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        examples = bench.corpus.examples
        questions = self._questions(bench)
        scores = bench.scorer([e.input for e in examples])
        blank = _labelled(bench, self.positive)
        outcome = _decided(bench, blank, bench.decide(scores))
        at = {
            t: _decided(bench, blank, decide(replace(bench.decision, threshold=t), scores))
            for t in self.thresholds
        }
        clusters = metrics.clusters_of(examples)
        for attribute in self._groups(bench):
            for rate in _rates(examples):
                metrics.check_points(outcome, _cells(examples, (attribute,))[0], rate)
        ranked: dict[tuple[Rate, int], list[Estimate | Absent]] = {}
        for q in questions:
            of = outcome if q.threshold is None else at[q.threshold]
            if q.kind == "ranking" and (q.rate, id(q.cells)) not in ranked:
                ranked[q.rate, id(q.cells)] = metrics.ranking_of(
                    of, q.rate, q.cells, clusters, level=bench.level
                )
            yield self._measured(bench, of, q, clusters, ranked.get((q.rate, id(q.cells)), []))

    def _questions(self, bench: Bench) -> list[_Question]:
        """Return all that will be measured, in order. Scores nothing."""
        examples = bench.corpus.examples
        rates, everyone = _rates(examples), np.ones(len(examples), bool)
        found = [_Question(kind="rate", rate=rate, where={}, mine=everyone) for rate in rates]
        of: list[tuple[str, ...]] = [(attribute,) for attribute in self._groups(bench)]
        for attributes in [*of, *self.intersections]:
            cells, known = _cells(examples, attributes)
            every, several = tuple(cells.values()), len(cells) > 1
            declared = tuple(self.reference.get(a, "") for a in attributes)
            # One attribute is held against its reference by name, two by the word for it.
            name = declared[0] if len(attributes) == 1 else REFERENCE
            if several:
                found += [
                    _Question(
                        kind=kind,
                        rate=rate,
                        where={"over": " and ".join(attributes)},
                        mine=everyone,
                        known=known,
                        cells=every,
                    )
                    for rate, kind in product(rates, _ACROSS)
                ]
            for value, mine in cells.items():
                against = {}
                if several and declared in cells and declared != value:
                    against[name] = cells[declared]
                if several:
                    against[REST] = known & ~mine
                where = dict(zip(attributes, value, strict=True))
                found += self._of_slice(rates, where, mine, against, known)
                if len(attributes) > 1:
                    found += [
                        _Question(kind="ranking", rate=rate, where=where, mine=mine, cells=every)
                        for rate in rates
                    ]
        return found

    def _of_slice(
        self,
        rates: Sequence[Rate],
        where: Mapping[str, str],
        mine: Bools,
        against: Mapping[str, Bools],
        known: Bools,
    ) -> list[_Question]:
        found = [_Question(kind="rate", rate=rate, where=where, mine=mine) for rate in rates]
        for other, rest in against.items():
            asked: list[tuple[Kind, Rate, float | None]] = [("gap", rate, None) for rate in rates]
            if len(rates) > 1:
                asked += [("odds", "accuracy", None), ("apart", "accuracy", None)]
            asked += [
                ("curve", rate, t) for t in self.thresholds for rate in rates if rate in CURVES
            ]
            for kind, rate, t in asked:
                at = {} if t is None else {"threshold": f"{t:g}"}
                found.append(
                    _Question(
                        kind=kind,
                        rate=rate,
                        where={**where, "against": other, **at},
                        mine=mine,
                        rest=rest,
                        known=known,
                        threshold=t,
                    )
                )
        return found

    def _measured(
        self,
        bench: Bench,
        outcome: Outcome,
        q: _Question,
        clusters: Clusters,
        ranked: Sequence[Estimate | Absent],
    ) -> Measurement:
        level, least, unit = bench.level, self.min_n, words(q.rate, self.positive).unit
        value: Estimate | Absent
        family, asked, elsewhere = "", q.mine, "in another group"
        if q.kind == "rate":
            value = metrics.rate_of(outcome, q.rate, q.mine, clusters, min_n=least, level=level)
            family = f"{self.name}.{q.metric}"
        elif q.kind == "ranking":
            value = next(v for v, cell in zip(ranked, q.cells, strict=True) if cell is q.mine)
            unit += ", shrunk; for ranking only"
        elif q.kind in ("omnibus", "spread"):
            over = outcome.over(q.rate)
            large = [cell for cell in q.cells if int((cell & over).sum()) >= least]
            asked = np.logical_or.reduce([np.zeros_like(over), *large])
            elsewhere, unit = f"in a group of fewer than {least}", "p-value"
            if q.kind == "omnibus":
                rng = bench.rng("omnibus", q.where["over"], q.rate)
                value = metrics.omnibus_of(outcome, q.rate, large, clusters, rng=rng, level=level)
            else:
                value = metrics.spread_of(outcome, q.rate, large, clusters, level=level)
                unit = "variance of rates between groups beyond chance"
        else:
            rest = _rest(q)
            asked = q.mine | rest
            if q.kind in ("odds", "apart"):
                value = metrics.odds_of(
                    outcome,
                    q.mine,
                    rest,
                    clusters,
                    apart=q.kind == "apart",
                    min_n=least,
                    level=level,
                )
                unit = "p-value"
            else:
                value = metrics.gap_of(
                    outcome, q.rate, q.mine, rest, clusters, min_n=least, level=level
                )
                family = f"{self.name}.{q.metric}"
                unit = f"difference in {unit}" + (", pointwise band" if q.kind == "curve" else "")
        eligible, left = int(asked.sum()), []
        if q.known is not None:
            unknown, eligible = int((~q.known).sum()), len(asked)
            others = eligible - int(asked.sum()) - unknown
            left = [Skip(reason="group unknown", count=unknown)] if unknown else []
            left += [Skip(reason=elsewhere, count=others)] if others else []
        return Measurement(
            id=bench.id(q.metric, q.where),
            metric=q.metric,
            where=q.where,
            value=value,
            unit=unit,
            eligible=eligible,
            left_out=(*left, *metrics.left_out(outcome, q.rate, asked)),
            family=family,
        )

    def _groups(self, bench: Bench) -> dict[str, list[str]]:
        there = sorted({name for e in bench.corpus.examples for name in e.groups})
        pairs = [name for pair in self.intersections for name in pair]
        for name in [*self.attributes, *self.reference, *pairs]:
            if there and name not in there:
                raise ConfigError(
                    f"No text in {bench.corpus.name!r} has the attribute {name!r}.",
                    hint=did_you_mean(name, there),
                )
        if not there and bench.corpus.examples:
            raise Unsupported(
                f"No text in {bench.corpus.name!r} has a group.",
                hint="Name the columns under [corpora.test.groups].",
            )
        self._refuse()
        found = {
            name: sorted({e.groups[name] for e in bench.corpus.examples if e.groups.get(name)})
            for name in (self.attributes or there)
        }
        for name in found:
            if name in _RESERVED:
                raise ConfigError(
                    f"An attribute cannot be called {name!r}: ids of measurements use that word.",
                    hint="Give it another name under [corpora.test.groups].",
                )
        for name, group in self.reference.items():
            if group == REST:
                raise ConfigError(
                    f"The reference of {name} cannot be called {REST!r}: that means everyone else.",
                    hint="Give the group another name in the data.",
                )
            if name in found and group not in found[name]:
                raise ConfigError(
                    f"No text has {name} = {group!r}, the declared reference.",
                    hint=did_you_mean(group, found[name]),
                )
        return found

    def _refuse(self) -> None:
        for one, two in self.intersections:
            if one == two:
                raise ConfigError(
                    f"An intersection needs two attributes, got {one!r} twice.",
                    hint='Write intersections = [["sex", "race"]].',
                )
        for t in self.thresholds:
            if not 0 < t < 1:
                raise ConfigError(f"A threshold must lie between 0 and 1, got {t:g}.")
        if len({f"{t:g}" for t in self.thresholds}) < len(self.thresholds):
            raise ConfigError("Two thresholds are the same number.", hint="Drop one of them.")


def _rest(q: _Question) -> Bools:
    return np.zeros_like(q.mine) if q.rest is None else q.rest


def _rates(examples: Sequence[Example]) -> tuple[Rate, ...]:
    return RATES if any(e.label is not None for e in examples) else RATES[:1]


def _cells(
    examples: Sequence[Example], attributes: Sequence[str]
) -> tuple[dict[tuple[str, ...], Bools], Bools]:
    """Return the texts of each group, or combined group, and whose group is known."""
    whose = [
        tuple(e.groups[a] for a in attributes) if all(e.groups.get(a) for a in attributes) else ()
        for e in examples
    ]
    values = sorted(set(whose) - {()})
    place = {value: i for i, value in enumerate(values)}
    code = np.array([place.get(value, -1) for value in whose], int)
    return {value: code == i for value, i in place.items()}, code >= 0


def _labelled(bench: Bench, positive: Positive) -> Outcome:
    truths = [truly_favourable(bench.decision, e) for e in bench.corpus.examples]
    return Outcome(
        selected=np.zeros(len(truths), bool),
        truth=np.array([bool(t) for t in truths], bool),
        known=np.array([t is not None for t in truths], bool),
        correct=np.zeros(len(truths), bool),
        positive=positive,
    )


def _decided(bench: Bench, blank: Outcome, decided: Decided) -> Outcome:
    right, labelled = blank.correct.copy(), np.flatnonzero(blank.known)
    some = tuple(bench.corpus.examples[int(i)] for i in labelled)
    right[labelled] = correct(bench.decision, decided_at(decided, labelled), some)
    return replace(blank, selected=decided.favourable, correct=right)

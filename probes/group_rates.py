"""Do selection, error and accuracy rates differ between groups?

Reports each group's selection rate, true- and false-positive rate (positive: favourable) and
accuracy, and how far each lies from a declared reference group and from everyone else. A difference
is signed; there is no best-minus-worst, which is large by chance even when the groups are equal
(Lum, Zhang & Bower 2022, arXiv:2205.05770).

Source: Hardt, Price & Srebro (2016), 'Equality of Opportunity in Supervised Learning', section 2,
arXiv:1610.02413.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.bench import Bench, Planned
from audit.decision import correct, decided_at, truly_favourable
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.metrics import CONDITIONS, RATES, Bools, Outcome, Rate, rates_by_group
from audit.power import mde_difference
from audit.types import Absent, Estimate, Example, Fact, Measurement, Skip

REST = "rest"
UNITS: Mapping[str, str] = {
    "selection_rate": "share of texts",
    "true_positive_rate": "share of truly favourable texts",
    "false_positive_rate": "share of truly unfavourable texts",
    "accuracy": "share of texts",
}
NOBODY: Mapping[str, tuple[str, str]] = {
    "selection_rate": ("empty", "is there"),
    "true_positive_rate": ("no_positives", "has a favourable true label"),
    "false_positive_rate": ("no_negatives", "has an unfavourable true label"),
    "accuracy": ("no_labels", "has a true label"),
}
"""Rate to the code and the words for a cell without a text; a library would answer 0 or 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRates:
    """Rates of each group, and their distance from a reference group and from the rest."""

    name: ClassVar[str] = "group_rates"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset({"groups"})

    attributes: tuple[str, ...] = ()
    """Which attributes of the texts; empty: every one of the corpus."""
    reference: Mapping[str, str] = field(default_factory=dict)
    """Attribute to the group that others are held against, declared before the run."""
    min_n: int = 30
    """A rate over fewer texts is not estimated."""

    def plan(self, bench: Bench) -> Planned:
        examples = bench.corpus.examples
        rates = _rates(examples)
        claims = [bench.id(rate) for rate in rates]
        mde: dict[str, float] = {}
        for attribute, groups in self._groups(bench).items():
            for value in groups:
                claims += [bench.id(rate, {attribute: value}) for rate in rates]
                for other in self._others(attribute, value, groups):
                    where = {attribute: value, "against": other}
                    for rate in rates:
                        name = bench.id(f"{rate}_gap", where)
                        claims.append(name)
                        n, m = self._sizes(bench, examples, rate, attribute, value, other)
                        smallest = mde_difference(n, m, 0.5)
                        if smallest is not None and min(n, m) >= self.min_n:
                            mde[name] = smallest
        n = len(examples)
        return Planned(units=n, queries=n, claims=tuple(claims), mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        examples = bench.corpus.examples
        groups = self._groups(bench)
        rates = _rates(examples)
        outcome = _outcome(bench, examples)
        clusters = _clusters(examples)
        everyone = np.ones(len(examples), bool)
        for rate in rates:
            yield self._rate(bench, outcome, rate, everyone, {}, clusters)
        for attribute, values in groups.items():
            member = np.array([e.groups.get(attribute, "") for e in examples], dtype=str)
            known = np.array([attribute in e.groups for e in examples], dtype=bool)
            unknown = int((~known).sum())
            for rate in rates:
                self._check_points(outcome, member, known, rate)
            for value in values:
                mine = known & (member == value)
                for rate in rates:
                    where = {attribute: value}
                    yield self._rate(bench, outcome, rate, mine, where, clusters)
                for other in self._others(attribute, value, values):
                    rest = known & ~mine if other == REST else known & (member == other)
                    for rate in rates:
                        where = {attribute: value, "against": other}
                        yield self._gap(bench, outcome, rate, mine, rest, where, clusters, unknown)

    def _groups(self, bench: Bench) -> dict[str, list[str]]:
        there = sorted({name for e in bench.corpus.examples for name in e.groups})
        for name in [*self.attributes, *self.reference]:
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
        found = {
            name: sorted({e.groups[name] for e in bench.corpus.examples if name in e.groups})
            for name in (self.attributes or there)
        }
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

    def _others(self, attribute: str, value: str, groups: Sequence[str]) -> list[str]:
        if len(groups) < 2:
            return []
        reference = self.reference.get(attribute)
        if reference is None:
            return [REST]
        return [REST] if value == reference else [reference, REST]

    def _sizes(
        self,
        bench: Bench,
        examples: Sequence[Example],
        rate: Rate,
        attribute: str,
        value: str,
        other: str,
    ) -> tuple[int, int]:
        mine = theirs = 0
        for e in examples:
            if attribute not in e.groups or not _counts(bench, e, rate):
                continue
            group = e.groups[attribute]
            mine += group == value
            theirs += group != value if other == REST else group == other
        return mine, theirs

    def _rate(
        self,
        bench: Bench,
        outcome: Outcome,
        rate: Rate,
        mine: Bools,
        where: Mapping[str, str],
        clusters: NDArray[np.str_] | None,
    ) -> Measurement:
        over = mine & outcome.over(rate)
        hits = outcome.hits(rate)[over]
        n = int(over.sum())
        value: Estimate | Absent
        if n < self.min_n:
            value = _too_few(rate, n, self.min_n)
        elif clusters is None:
            value = stats.share(int(hits.sum()), n, level=bench.level)
        else:
            value = stats.mean(
                hits.astype(float), list(clusters[over]), low=0.0, high=1.0, level=bench.level
            )
        return Measurement(
            id=bench.id(rate, where),
            metric=rate,
            where=where,
            value=value,
            unit=UNITS[rate],
            eligible=int(mine.sum()),
            left_out=_left_out(outcome, rate, mine),
            family=f"group_rates.{rate}",
        )

    def _gap(
        self,
        bench: Bench,
        outcome: Outcome,
        rate: Rate,
        mine: Bools,
        rest: Bools,
        where: Mapping[str, str],
        clusters: NDArray[np.str_] | None,
        unknown: int,
    ) -> Measurement:
        over, hits = outcome.over(rate), outcome.hits(rate)
        a, b = hits[mine & over], hits[rest & over]
        value: Estimate | Absent
        if min(len(a), len(b)) < self.min_n:
            value = _too_few(rate, min(len(a), len(b)), self.min_n)
        elif clusters is None:
            value = stats.difference(int(a.sum()), len(a), int(b.sum()), len(b), level=bench.level)
        else:
            both = (mine | rest) & over
            value = stats.difference_of_means(
                hits[both].astype(float),
                mine[both],
                list(clusters[both]),
                low=0.0,
                high=1.0,
                level=bench.level,
            )
        asked = mine | rest
        elsewhere = len(over) - int(asked.sum()) - unknown
        left = [Skip(reason="group unknown", count=unknown)] if unknown else []
        left += [Skip(reason="in another group", count=elsewhere)] if elsewhere else []
        return Measurement(
            id=bench.id(f"{rate}_gap", where),
            metric=f"{rate}_gap",
            where=where,
            value=value,
            unit=f"difference in {UNITS[rate]}",
            eligible=len(over),
            left_out=(*left, *_left_out(outcome, rate, asked)),
            family=f"group_rates.{rate}_gap",
        )

    def _check_points(
        self, outcome: Outcome, member: NDArray[np.str_], known: Bools, rate: Rate
    ) -> None:
        """Hold our counts against fairlearn's point values: two routes, one number."""
        part = Outcome(
            outcome.selected[known],
            outcome.truth[known],
            outcome.known[known],
            outcome.correct[known],
        )
        over, hits = part.over(rate), part.hits(rate)
        for group, theirs in rates_by_group(part, member[known], rate).items():
            ours = float(hits[over & (member[known] == group)].mean())
            if abs(ours - theirs) > 1e-12:
                raise AssertionError(f"{rate} of {group}: {ours} here, {theirs} by fairlearn")


def _rates(examples: Sequence[Example]) -> tuple[Rate, ...]:
    return RATES if any(e.label is not None for e in examples) else RATES[:1]


def _counts(bench: Bench, example: Example, rate: Rate) -> bool:
    truth = truly_favourable(bench.decision, example)
    if rate == "selection_rate":
        return True
    if rate == "accuracy":
        return truth is not None
    return truth is (rate == "true_positive_rate")


def _outcome(bench: Bench, examples: Sequence[Example]) -> Outcome:
    decided = bench.decide(bench.scorer([e.input for e in examples]))
    truths = [truly_favourable(bench.decision, e) for e in examples]
    known = np.array([t is not None for t in truths], dtype=bool)
    right = np.zeros(len(examples), dtype=bool)
    labelled = np.flatnonzero(known)
    right[labelled] = correct(
        bench.decision, decided_at(decided, labelled), tuple(examples[int(i)] for i in labelled)
    )
    return Outcome(decided.favourable, np.array([bool(t) for t in truths], bool), known, right)


def _clusters(examples: Sequence[Example]) -> NDArray[np.str_] | None:
    """Return each text's cluster, or None when every text is one of its own."""
    names = [e.cluster for e in examples if e.cluster is not None]
    if len(set(names)) == len(names):
        return None
    return np.array([f"c{e.cluster}" if e.cluster is not None else f"t{e.id}" for e in examples])


def _left_out(outcome: Outcome, rate: Rate, asked: Bools) -> tuple[Skip, ...]:
    if rate == "selection_rate":
        return ()
    unlabelled = int((asked & ~outcome.known).sum())
    other = int((asked & outcome.known & ~outcome.over(rate)).sum())
    skips = [("no true label", unlabelled), (CONDITIONS[rate], other)]
    return tuple(Skip(reason=why, count=count) for why, count in skips if count)


def _too_few(rate: Rate, n: int, least: int) -> Absent:
    if n == 0 and rate in NOBODY:
        code, what = NOBODY[rate]
        return Absent(code=code, reason=f"no text {what}")
    return Absent(code="too_few", reason=f"{n} texts, fewer than {least}")

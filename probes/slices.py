"""Are there slices of the texts on which the model does worse than elsewhere?

Searches words, lengths, scripts, groups, and groups within each of these, on one half of the texts,
and asks the other half about the few that looked worst. What that half does not confirm is not
reported: among thousands of slices some look bad by chance. A text's half is drawn from its cluster,
or from its words where it has none, so that dependent and equal texts are on one side and no other
text moves when one is dropped.

`suspect_gap` is the number to put a limit on: the slice that looked worst in the search, whatever
it is, measured on the other half, where nothing was chosen. It is named only when confirmed.
Confirmed slices are corrected by Holm's method over all that were taken forward, and their
intervals hold for all of those at once. A slice that was not found may still be there: one with few
texts, or one that no word, length, script or group describes.

Without true labels the share of favourable decisions takes the place of accuracy; then a slice is
one the model decides against more often, which may be right.

Source: Chung, Kraska, Polyzotis, Tae & Whang (2019), 'Slice Finder: Automated Data Slicing for
Model Validation', ICDE, arXiv:1807.06068; Holm (1979), Scand. J. Statist. 6, pp. 65-70; Cox (1975),
'A note on data-splitting for the evaluation of significance levels', doi:10.1093/biomet/62.2.441.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit import slicing, stats
from audit.bench import Bench, Planned
from audit.decision import Decided, correct
from audit.errors import ConfigError, did_you_mean
from audit.leaks import folded_text
from audit.perturbation import shown
from audit.power import mde_difference
from audit.types import Absent, Cases, Estimate, Example, Fact, Measurement, Skip

Bools = slicing.Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Slices of the texts that a search on one half found weak and the other half confirmed."""

    name: ClassVar[str] = "slices"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset()

    attributes: tuple[str, ...] = ()
    """Group attributes that are searched; empty: every one of the corpus."""
    min_n: int = 30
    """Texts of the searched half a slice must have, and leave outside."""
    forward: int = 10
    """Slices taken forward to the other half. Each one more costs the others certainty."""

    def plan(self, bench: Bench) -> Planned:
        self._check(bench)
        used, _ = self._used(bench)
        units = _units(used)
        other = len(used) - int(_searched(bench, units).sum())
        smallest = mde_difference(self.min_n, other - self.min_n, 0.5)
        suspect = bench.id("suspect_gap")
        return Planned(
            units=len(used),
            queries=len(used),
            claims=(bench.id("weak_share"), suspect, *(i for i, _ in self._ranks(bench))),
            # The smallest slice that is searched; a larger one is measured more sharply.
            mde={} if smallest is None else {suspect: smallest},
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        self._check(bench)
        used, left = self._used(bench)
        units = _units(used)
        decided = bench.decide(bench.scorer([e.input for e in used]))
        good = (
            correct(bench.decision, decided, tuple(used))
            if _labelled(bench)
            else decided.favourable
        )
        part = _searched(bench, units)
        texts, groups = [e.input for e in used], [self._groups(e) for e in used]
        found = slicing.features(texts, groups, part, least=self.min_n)
        search = slicing.search(found, good, part, least=self.min_n, most=self.forward)
        other = ~part
        checked = slicing.check(search.suspects, good, other, units)
        confirmed = [c for c in checked if c.p <= 1 - bench.level]
        budget = (
            f"{search.searched:,} slices searched on {int(part.sum()):,} texts, "
            f"{len(checked):,} taken forward to {int(other.sum()):,} others, "
            f"{len(confirmed):,} confirmed (Holm, {1 - bench.level:.2g})"
        )
        half = int(part.sum())
        skips = (*left, *((Skip(reason="searched, not measured", count=half),) if half else ()))
        yield self._weak_share(bench, search, confirmed, other, units, skips, budget)
        yield self._suspect_gap(bench, search, good, other, units, skips, budget)
        for place, (id, where) in enumerate(self._ranks(bench)):
            one = checked[place] if place < len(checked) else None
            value: Estimate | Absent
            if one is not None and one in confirmed:
                # All that were taken forward at once, by Bonferroni's inequality.
                level = 1 - (1 - bench.level) / len(checked)
                value = slicing.difference(one.slice, good, other, units, level=level)
                said = _said(one, _labelled(bench))
                yield self._fact(bench, id, where, value, skips, f"{said}; {budget}")
                yield _cases(bench, id, one, used, good, other, decided, said)
            else:
                value = Absent(code="not_confirmed", reason="no slice of this rank was confirmed")
                yield self._fact(bench, id, where, value, skips, budget)

    def _weak_share(
        self,
        bench: Bench,
        search: slicing.Search,
        confirmed: list[slicing.Checked],
        other: Bools,
        units: list[str],
        skips: tuple[Skip, ...],
        budget: str,
    ) -> Measurement:
        inside = np.zeros(len(other), dtype=bool)
        for one in confirmed:
            inside |= one.slice.member
        mine = [units[int(i)] for i in np.flatnonzero(other)]
        value: Estimate | Absent
        if search.strongest is None:
            value = self._nothing()
        elif len(set(mine)) < len(mine):
            value = stats.mean(
                inside[other].astype(float), mine, low=0.0, high=1.0, level=bench.level
            )
        else:
            value = stats.share(int(inside[other].sum()), len(mine), level=bench.level)
        return Measurement(
            id=bench.id("weak_share"),
            metric="weak_share",
            value=value,
            unit="share of texts",
            eligible=len(bench.corpus.examples),
            left_out=skips,
            family="slices.weak_share",
            budget=budget,
        )

    def _suspect_gap(
        self,
        bench: Bench,
        search: slicing.Search,
        good: Bools,
        other: Bools,
        units: list[str],
        skips: tuple[Skip, ...],
        budget: str,
    ) -> Measurement:
        value: Estimate | Absent
        if search.strongest is None:
            value = self._nothing()
        else:
            value = slicing.difference(search.strongest, good, other, units, level=bench.level)
        return self._fact(bench, bench.id("suspect_gap"), {}, value, skips, budget)

    def _fact(
        self,
        bench: Bench,
        id: str,
        where: dict[str, str],
        value: Estimate | Absent,
        skips: tuple[Skip, ...],
        budget: str,
    ) -> Measurement:
        metric = id.partition("[")[0].partition(".")[2]
        what = "accuracy" if _labelled(bench) else "share of favourable decisions"
        return Measurement(
            id=id,
            metric=metric,
            where=where,
            value=value,
            unit=f"difference in {what}",
            eligible=len(bench.corpus.examples),
            left_out=skips,
            family=f"slices.{metric}",
            budget=budget,
        )

    def _ranks(self, bench: Bench) -> list[tuple[str, dict[str, str]]]:
        """Return id and slice of each place; the order is that of the search, not of the result."""
        metric = "accuracy_gap" if _labelled(bench) else "selection_rate_gap"
        wheres = [{"rank": f"{place + 1:02d}"} for place in range(self.forward)]
        return [(bench.id(metric, where), where) for where in wheres]

    def _nothing(self) -> Absent:
        return Absent(
            code="too_few",
            reason=f"no slice has {self.min_n} texts in the searched half and leaves as many out",
        )

    def _used(self, bench: Bench) -> tuple[list[Example], tuple[Skip, ...]]:
        examples = bench.corpus.examples
        if not _labelled(bench):
            return list(examples), ()
        used = [e for e in examples if e.label is not None]
        without = len(examples) - len(used)
        return used, (Skip(reason="no true label", count=without),) if without else ()

    def _groups(self, example: Example) -> Mapping[str, str]:
        if not self.attributes:
            return example.groups
        return {name: v for name, v in example.groups.items() if name in self.attributes}

    def _check(self, bench: Bench) -> None:
        for name in ("min_n", "forward"):
            if getattr(self, name) < 1:
                raise ConfigError(f"slices: {name} must be at least 1, got {getattr(self, name)}.")
        there = sorted({name for e in bench.corpus.examples for name in e.groups})
        for name in self.attributes:
            if bench.corpus.examples and name not in there:
                raise ConfigError(
                    f"No text in {bench.corpus.name!r} has the attribute {name!r}.",
                    hint=did_you_mean(name, there),
                )


def _labelled(bench: Bench) -> bool:
    return any(e.label is not None for e in bench.corpus.examples)


def _units(examples: list[Example]) -> list[str]:
    """Return what each text depends on: its cluster, else its own words."""
    return [
        f"c{e.cluster}" if e.cluster is not None else f"t{folded_text(e.input)}" for e in examples
    ]


def _searched(bench: Bench, units: list[str]) -> Bools:
    draw = {unit: float(bench.rng("half", unit).random()) < 0.5 for unit in dict.fromkeys(units)}
    return np.array([draw[unit] for unit in units], dtype=bool)


def _said(one: slicing.Checked, labelled: bool) -> str:
    """Name a confirmed slice, with what was counted inside it and outside."""
    what = "right" if labelled else "decided favourably"
    return (
        f"{one.slice.name}: {one.hits:,} of {one.n:,} {what} ({one.hits / one.n:.3f}), elsewhere "
        f"{one.other_hits:,} of {one.other_n:,} ({one.other_hits / one.other_n:.3f}), "
        f"p = {one.p:.2g} after Holm"
    )


def _cases(
    bench: Bench,
    id: str,
    one: slicing.Checked,
    used: list[Example],
    good: Bools,
    other: Bools,
    decided: Decided,
    said: str,
) -> Cases:
    """Return the texts of the slice that the model got wrong, on the half that confirmed it."""
    rows = np.flatnonzero(one.slice.member & other & ~good)
    some = [used[int(i)] for i in rows]
    texts = [shown(e.input) for e in some]
    return Cases(
        metric=id,
        example_id=[e.id for e in some],
        cluster=[e.cluster for e in some],
        before=texts,
        after=texts,
        score_before=decided.score[rows],
        score_after=decided.score[rows],
        flipped=np.zeros(len(some), dtype=bool),
        note=[said] * len(some),
    )

"""Does the decision hang on who is spoken of?

Exchanges the identity terms of a text (pronouns, gendered nouns, first names) for those of another
group, grammar and capitals kept, and compares the model's answers. Editing alone moves scores, so
each text is also given a placebo: the same places replaced by other terms of the *same* group. The
effect reported is swap less placebo. Pronouns and titles have one form per group and case, so they
are their own placebo: a text that names a group by them alone is compared with itself. A text with
a noun that has no second term in its group counts in the raw rates only. Texts whose label may
rightly change with the group are excluded by rule and counted.

Source: Garg et al. (2019), 'Counterfactual Fairness in Text Classification through Robustness',
AIES, arXiv:1809.10610: `score_shift` is its counterfactual token fairness gap, and its section on
asymmetric counterfactuals gives the rule of exclusion.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.bench import Bench, Planned
from audit.decision import Decided, decided_at
from audit.lexicon import Lexicon, lexicon
from audit.perturbation import net, repeats, shown
from audit.power import mde_mean, mde_share
from audit.swapping import Found, Pair, Swapped, find, placebo, swap
from audit.types import Absent, Cases, Estimate, Example, Fact, Floats, Measurement, Skip

_NO_PLACEBO = "no second term of its own group for a placebo"
_UNCLEAR = "only words that mean something else as often"
_SPREAD = 0.1
"""Standard deviation of a score's change to reckon with before anything was scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """One text, its swapped copy and its placebo."""

    example: Example
    source: str
    """Group the text names; empty where it names both of the pair."""
    swapped: Swapped
    control: Swapped | None
    """None where the text is its own placebo, or has none."""
    compared: bool
    """The text has a placebo, so that the effect of editing can be taken off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swaps:
    """Change of decision and score when identity terms are exchanged, less that of a placebo."""

    name: ClassVar[str] = "swaps"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset()

    axis: str = "gender"
    """One of the axes of `audit.lexicon.AXES`: ``gender``, ``religion``, ``age``, …"""
    names: bool = True
    """On the axis ``gender``: exchange first names too, so that a person stays one person."""

    def plan(self, bench: Bench) -> Planned:
        claims: list[str] = []
        mde: dict[str, float] = {}
        queries = units = 0
        for pair, (trials, _) in self._trials(bench).items():
            claims += [bench.id(metric, where) for metric, where in self._slices(pair)]
            queries += sum(2 + (t.control is not None) for t in trials)
            units += len(trials)
            one_way = sum(bool(t.source) and t.compared for t in trials)
            smallest = mde_mean(_SPREAD, one_way)
            if smallest is not None:
                mde[bench.id("favourable_gap", self._where(pair))] = smallest
            share = mde_share(len(trials), 0.1)
            if share is not None:
                mde[bench.id("excess_flip_rate", self._where(pair))] = share
        return Planned(units=units, queries=queries, claims=tuple(claims), mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        for pair, (trials, left) in self._trials(bench).items():
            yield from self._measure(bench, pair, trials, left)

    def _measure(
        self, bench: Bench, pair: Pair, trials: list[_Trial], left: tuple[Skip, ...]
    ) -> Iterator[Fact]:
        before = bench.decide(bench.scorer([t.example.input for t in trials]))
        after = bench.decide(bench.scorer([t.swapped.input for t in trials]))
        controls = bench.decide(
            bench.scorer([t.control.input for t in trials if t.control is not None])
        )
        control = _with_own(before, controls, trials)
        clusters = [t.example.cluster for t in trials]
        where = self._where(pair)
        flips, slips = before.label != after.label, before.label != control.label
        shift, drift = np.abs(after.score - before.score), np.abs(control.score - before.score)
        both = np.array([t.compared for t in trials], dtype=bool)
        kept = [c for c, has in zip(clusters, both, strict=True) if has]
        without = int((~both).sum())
        fewer = (*left, *((Skip(reason=_NO_PLACEBO, count=without),) if without else ()))

        def rate(hits: NDArray[np.bool_], of: list[str | None]) -> Estimate | Absent:
            if repeats(of):
                return stats.mean(hits.astype(float), of, low=0.0, high=1.0, level=bench.level)
            return stats.share(int(hits.sum()), len(of), level=bench.level)

        def average(values: Floats, of: list[str | None], low: float) -> Estimate | Absent:
            return stats.mean(values, of, low=low, high=1.0, level=bench.level)

        texts, score = "share of texts", "favourable score"
        for metric, value, unit, skips in (
            ("flip_rate", rate(flips, clusters), texts, left),
            ("placebo_flip_rate", rate(slips[both], kept), texts, fewer),
            (
                "excess_flip_rate",
                net(flips[both], slips[both], kept, level=bench.level),
                texts,
                fewer,
            ),
            ("score_shift", average(shift, clusters, 0.0), score, left),
            ("excess_score_shift", average((shift - drift)[both], kept, -1.0), score, fewer),
        ):
            yield self._fact(bench, metric, where, value, unit, skips)
        change = after.score - control.score
        pairs = [t for t in trials if t.compared]
        yield from self._directed(bench, pair, pairs, fewer, change[both])
        yield Cases(
            metric=bench.id("flip_rate", where),
            example_id=[t.example.id for t in trials],
            cluster=clusters,
            before=[shown(t.example.input) for t in trials],
            after=[shown(t.swapped.input) for t in trials],
            score_before=before.score,
            score_after=after.score,
            flipped=flips,
            note=[_note(t, control.score[i]) for i, t in enumerate(trials)],
        )

    def _directed(
        self,
        bench: Bench,
        pair: Pair,
        trials: list[_Trial],
        left: tuple[Skip, ...],
        change: Floats,
    ) -> Iterator[Fact]:
        """Yield who is favoured, over texts that name one group of the pair alone."""
        one_way = np.array([bool(t.source) for t in trials], dtype=bool)
        mixed = int((~one_way).sum())
        both = (Skip(reason="the text names both groups", count=mixed),) if mixed else ()
        # Swapping towards the second group costs what the first is favoured by.
        sign = np.array([1.0 if t.source == pair[1] else -1.0 for t in trials])
        clusters = np.array([t.example.cluster for t in trials], dtype=object)
        gap = stats.mean(
            (change * sign)[one_way],
            list(clusters[one_way]),
            low=-1.0,
            high=1.0,
            level=bench.level,
        )
        where = self._where(pair)
        unit = f"favourable score as {pair[0]} less as {pair[1]}"
        yield self._fact(bench, "favourable_gap", where, gap, unit, (*left, *both))
        for source, to in (pair, pair[::-1]):
            mine = np.array([t.source == source for t in trials], dtype=bool)
            others = int((one_way & ~mine).sum())
            skips = (Skip(reason=f"the text does not name {source}", count=others),)
            value = stats.mean(
                change[mine], list(clusters[mine]), low=-1.0, high=1.0, level=bench.level
            )
            yield self._fact(
                bench,
                "net_shift",
                {**where, "from": source, "to": to},
                value,
                "favourable score",
                (*left, *both, *(skips if others else ())),
            )

    def _fact(
        self,
        bench: Bench,
        metric: str,
        where: Mapping[str, str],
        value: Estimate | Absent,
        unit: str,
        skips: tuple[Skip, ...],
    ) -> Measurement:
        return Measurement(
            id=bench.id(metric, where),
            metric=metric,
            where=where,
            value=value,
            unit=unit,
            eligible=len(bench.corpus.examples),
            left_out=skips,
            family=f"swaps.{metric}",
        )

    def _trials(self, bench: Bench) -> dict[Pair, tuple[list[_Trial], tuple[Skip, ...]]]:
        table = lexicon(self.axis, names=self.names)
        found = [(e, find(e.input, table)) for e in bench.corpus.examples]
        return {pair: self._of_pair(bench, table, found, pair) for pair in table.pairs}

    def _of_pair(
        self, bench: Bench, table: Lexicon, found: list[tuple[Example, Found]], pair: Pair
    ) -> tuple[list[_Trial], tuple[Skip, ...]]:
        trials: list[_Trial] = []
        left: Counter[str] = Counter()
        for example, one in found:
            named = one.groups & set(pair)
            if not named:
                unclear = one.ambiguous and not one.mentions
                left[_UNCLEAR if unclear else f"no term of {pair[0]} or {pair[1]}"] += 1
                continue
            if one.asymmetric:
                left["the label may rightly change with the group"] += 1
                continue
            path = (self.axis, *pair, example.id)
            swapped = swap(one, table, pair, bench.rng("swap", *path))
            if swapped is None:
                left["no counterpart for its terms"] += 1
                continue
            control = placebo(one, table, pair, bench.rng("placebo", *path))
            mine = [m for m in one.mentions if m.term.group in pair]
            trials.append(
                _Trial(
                    example=example,
                    source=next(iter(named)) if len(named) == 1 else "",
                    swapped=swapped,
                    control=control,
                    compared=control is not None or all(m.term.closed for m in mine),
                )
            )
        return trials, tuple(Skip(reason=why, count=n) for why, n in sorted(left.items()))

    def _where(self, pair: Pair) -> dict[str, str]:
        return {"axis": self.axis, "pair": f"{pair[0]}-{pair[1]}"}

    def _slices(self, pair: Pair) -> list[tuple[str, dict[str, str]]]:
        where = self._where(pair)
        metrics = (
            *("flip_rate", "placebo_flip_rate", "excess_flip_rate"),
            *("score_shift", "excess_score_shift", "favourable_gap"),
        )
        directed = [("net_shift", {**where, "from": a, "to": b}) for a, b in (pair, pair[::-1])]
        return [(metric, where) for metric in metrics] + directed


def _note(trial: _Trial, control: float) -> str:
    """Say what was exchanged, and what the placebo did beside it."""
    if trial.control is not None:
        return f"swap: {trial.swapped.note}; placebo: {trial.control.note} ({control:.3f})"
    why = "its own placebo" if trial.compared else "no placebo"
    return f"swap: {trial.swapped.note}; {why}"


def _with_own(before: Decided, controls: Decided, trials: list[_Trial]) -> Decided:
    """Return the placebo's decisions, a text's own where it is its own placebo."""
    label, favourable, score = before.label.copy(), before.favourable.copy(), before.score.copy()
    has = np.array([t.control is not None for t in trials], dtype=bool)
    every = decided_at(controls, np.arange(int(has.sum())))
    label[has], favourable[has], score[has] = every.label, every.favourable, every.score
    return Decided(label=label, favourable=favourable, score=score)

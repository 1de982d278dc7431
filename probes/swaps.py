"""Does the decision hang on who is spoken of?

Exchanges the identity terms of a text (pronouns, nouns, adjectives said of persons, first names)
for those of another group, grammar and capitals kept, and compares the model's answers, for every
two groups of an axis. Editing alone moves scores, so each text is also given a placebo: the same
places replaced by other terms of the *same* group. The effect reported is swap less placebo.
Pronouns and titles have one form per group and case, so they are their own placebo: a text that
names a group by them alone is compared with itself. A text with a noun that has no second term in
its group counts in the raw rates only. Texts whose label may rightly change with the group are
excluded by rule and counted; so are words that mean something else as often, *they* and
neopronouns. `coverage` says how much of the user's texts an axis could touch at all.

Two p-values stand beside the effects, for reading only: `flip_p` is McNemar's exact test that swaps
flip as many decisions as placebos do, `direction_p` the sign-flip test that no group is favoured,
both over clusters where texts share them. Gates belong on effects.

Source: Garg et al. (2019), 'Counterfactual Fairness in Text Classification through Robustness',
AIES, arXiv:1809.10610: `ctf` is its counterfactual token fairness gap over all counterfactuals of
a text, `score_shift` the same for two groups, and its section on asymmetric counterfactuals gives
the rule of exclusion.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.bench import Bench, Planned
from audit.decision import Decided, decided_at
from audit.influence import of_mean
from audit.lexicon import Lexicon, lexicon
from audit.omnibus import Tested, as_estimate
from audit.perturbation import net, repeats, shown
from audit.power import independent, mde_mean, mde_share
from audit.resampling import by_cluster
from audit.swapping import Pair
from audit.trials import Read, Trial, Trials, read, tried
from audit.types import Absent, Cases, Estimate, Example, Fact, Floats, Measurement, Skip

_NO_PLACEBO = "no second term of its own group for a placebo"
_TEXTS, _SCORE = "share of texts", "favourable score"
_DRAWS = 9_999
_EXACT = 16
"""Up to so many clusters `stats.sign_flip` counts every pattern of signs."""
_DESCRIBED = ("coverage", "group_coverage", "ctf")
_SPREAD = 0.1
"""Standard deviation of a score's change to reckon with before anything was scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Apart:
    """How far one counterfactual and its placebo moved the score of a text, in [0, 1]."""

    example: Example
    swap: float
    placebo: float
    compared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Swaps:
    """Change of decision and score when identity terms are exchanged, less that of a placebo."""

    name: ClassVar[str] = "swaps"
    version: ClassVar[str] = "3"
    needs: ClassVar[frozenset[str]] = frozenset()

    axis: str = "gender"
    """One of the axes of `audit.lexicon.AXES`: ``gender``, ``religion``, ``age``, …"""
    names: bool = True
    """On the axis ``gender``: exchange first names too, so that a person stays one person."""

    def plan(self, bench: Bench) -> Planned:
        table = lexicon(self.axis, names=self.names)
        claims = [bench.id(metric, where) for metric, where in self._covered(table)]
        mde: dict[str, float] = {}
        queries = units = 0
        for pair, (trials, _) in tried(bench, read(bench, table), table).items():
            claims += [bench.id(metric, where) for metric, where in self._slices(pair)]
            queries += sum(2 + (t.control is not None) for t in trials)
            units += len(trials)
            one_way = independent(t.example.cluster for t in trials if t.source and t.compared)
            smallest = mde_mean(_SPREAD, one_way)
            if smallest is not None:
                mde[bench.id("favourable_gap", self._where(pair))] = smallest
            share = mde_share(independent(t.example.cluster for t in trials if t.compared), 0.1)
            if share is not None:
                mde[bench.id("excess_flip_rate", self._where(pair))] = share
        claims += [bench.id(metric, where) for metric, where in self._spread()]
        return Planned(units=units, queries=queries, claims=tuple(claims), mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        table = lexicon(self.axis, names=self.names)
        found = read(bench, table)
        by_pair = tried(bench, found, table)
        yield from self._coverage(bench, table, found, by_pair)
        apart: list[_Apart] = []
        for pair, (trials, left) in by_pair.items():
            yield from self._measure(bench, pair, trials, left, apart)
        yield from self._ctf(bench, apart)

    def _coverage(
        self, bench: Bench, table: Lexicon, found: Sequence[Read], by_pair: Mapping[Pair, Trials]
    ) -> Iterator[Fact]:
        """Yield which texts the axis could touch, and which groups they name; none: a skip."""
        clusters = [e.cluster for e, _ in found]
        reached = {t.example.id for trials, _ in by_pair.values() for t in trials}
        for metric, where in self._covered(table):
            group = where.get("group")
            if group is None:
                hits = np.array([e.id in reached for e, _ in found], dtype=bool)
            else:
                hits = np.array([group in one.groups for _, one in found], dtype=bool)
                if not hits.any():
                    why = f"no text names {group} (axis {self.axis})"
                    yield Skip(reason=why, count=len(found))
            value = _rate(hits, clusters, bench.level)
            yield self._fact(bench, metric, where, value, _TEXTS, ())

    def _ctf(self, bench: Bench, apart: Sequence[_Apart]) -> Iterator[Fact]:
        """Yield the mean distance of a text's score from those of all its counterfactuals."""
        first = {row.example.id: row.example for row in apart}
        for metric, rows, least in (
            ("ctf", [(r.example.id, r.swap) for r in apart], 0.0),
            ("excess_ctf", [(r.example.id, r.swap - r.placebo) for r in apart if r.compared], -1.0),
        ):
            of: dict[str, list[float]] = {}
            for name, distance in rows:
                of.setdefault(name, []).append(distance)
            values = np.array([np.mean(some) for some in of.values()], np.float64)
            clusters = [first[name].cluster for name in of]
            value = stats.mean(values, clusters, low=least, high=1.0, level=bench.level)
            without = len(first) - len(of)
            left = (
                Skip(
                    reason="no counterfactual on this axis",
                    count=len(bench.corpus.examples) - len(first),
                ),
                Skip(reason=_NO_PLACEBO, count=without),
            )
            owners = [first[name] for name in of]
            yield of_mean(bench.id(metric, {"axis": self.axis}), owners, values)
            yield self._fact(
                bench,
                metric,
                {"axis": self.axis},
                value,
                "mean distance of favourable scores",
                tuple(skip for skip in left if skip.count),
            )

    def _measure(
        self,
        bench: Bench,
        pair: Pair,
        trials: list[Trial],
        left: tuple[Skip, ...],
        apart: list[_Apart],
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

        def average(values: Floats, of: Sequence[str | None], low: float) -> Estimate | Absent:
            return stats.mean(values, of, low=low, high=1.0, level=bench.level)

        for metric, value, unit, skips in (
            ("flip_rate", _rate(flips, clusters, bench.level), _TEXTS, left),
            ("placebo_flip_rate", _rate(slips[both], kept, bench.level), _TEXTS, fewer),
            (
                "excess_flip_rate",
                net(flips[both], slips[both], kept, level=bench.level),
                _TEXTS,
                fewer,
            ),
            ("flip_p", self._flip_p(bench, pair, flips[both], slips[both], kept), "p-value", fewer),
            ("score_shift", average(shift, clusters, 0.0), _SCORE, left),
            ("excess_score_shift", average((shift - drift)[both], kept, -1.0), _SCORE, fewer),
        ):
            yield self._fact(bench, metric, where, value, unit, skips)
        apart += [
            _Apart(
                example=t.example,
                swap=float(shift[i]),
                placebo=float(drift[i]),
                compared=t.compared,
            )
            for i, t in enumerate(trials)
        ]
        change = after.score - control.score
        pairs = [t for t in trials if t.compared]
        yield from self._directed(bench, pair, pairs, fewer, change[both])
        compared = [t.example for t in pairs]
        for metric, each in (
            ("excess_flip_rate", flips[both].astype(float) - slips[both]),
            ("excess_score_shift", (shift - drift)[both]),
        ):
            yield of_mean(bench.id(metric, where), compared, each)
        yield Cases(
            metric=bench.id("flip_rate", where),
            example_id=[t.example.id for t in trials],
            cluster=clusters,
            before=[shown(t.example.input) for t in trials],
            after=[shown(t.swapped.input) for t in trials],
            score_before=before.score,
            score_after=after.score,
            flipped=flips,
            note=[_note(t, pair, control.score[i], change[i]) for i, t in enumerate(trials)],
        )

    def _directed(
        self,
        bench: Bench,
        pair: Pair,
        trials: list[Trial],
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
        named = [t.example for t in trials if t.source]
        yield of_mean(bench.id("favourable_gap", where), named, (change * sign)[one_way])
        p = _sign_flip_p(bench, pair, (change * sign)[one_way], list(clusters[one_way]))
        yield self._fact(bench, "direction_p", where, p, "p-value", (*left, *both))
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
            theirs = [t.example for t in trials if t.source == source]
            place = {**where, "from": source, "to": to}
            yield of_mean(bench.id("net_shift", place), theirs, change[mine])

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
            # What is no effect is not corrected among effects.
            family="" if unit == "p-value" or metric in _DESCRIBED else f"swaps.{metric}",
        )

    def _flip_p(
        self,
        bench: Bench,
        pair: Pair,
        flips: NDArray[np.bool_],
        slips: NDArray[np.bool_],
        clusters: list[str | None],
    ) -> Estimate | Absent:
        """Test that swaps flip as many decisions as placebos do."""
        if repeats(clusters):
            return _sign_flip_p(bench, pair, flips.astype(float) - slips, clusters)
        p = stats.mcnemar(int((flips & ~slips).sum()), int((slips & ~flips).sum()))
        return _as_estimate(p, "mcnemar-exact", None, len(clusters), bench.level)

    def _covered(self, table: Lexicon) -> list[tuple[str, dict[str, str]]]:
        axis = {"axis": self.axis}
        groups = [("group_coverage", {**axis, "group": group}) for group in table.groups]
        return [("coverage", axis), *groups]

    def _spread(self) -> list[tuple[str, dict[str, str]]]:
        return [(metric, {"axis": self.axis}) for metric in ("ctf", "excess_ctf")]

    def _where(self, pair: Pair) -> dict[str, str]:
        return {"axis": self.axis, "pair": f"{pair[0]}-{pair[1]}"}

    def _slices(self, pair: Pair) -> list[tuple[str, dict[str, str]]]:
        where = self._where(pair)
        metrics = (
            *("flip_rate", "placebo_flip_rate", "excess_flip_rate", "flip_p"),
            *("score_shift", "excess_score_shift", "favourable_gap", "direction_p"),
        )
        directed = [("net_shift", {**where, "from": a, "to": b}) for a, b in (pair, pair[::-1])]
        return [(metric, where) for metric in metrics] + directed


def _note(trial: Trial, pair: Pair, control: float, change: float) -> str:
    """Say what was exchanged, what the placebo did beside it, and which group scored lower."""
    if trial.control is not None:
        said = f"swap: {trial.swapped.note}; placebo: {trial.control.note} ({control:.3f})"
    else:
        why = "its own placebo" if trial.compared else "no placebo"
        said = f"swap: {trial.swapped.note}; {why}"
    if not (trial.source and trial.compared) or f"{change:.3f}".strip("-") == "0.000":
        return said
    other = pair[1] if trial.source == pair[0] else pair[0]
    return f"{said}; lower as {trial.source if change > 0 else other}"


def _rate(
    hits: NDArray[np.bool_], clusters: Sequence[str | None], level: float
) -> Estimate | Absent:
    if repeats(clusters):
        return stats.mean(hits.astype(float), clusters, low=0.0, high=1.0, level=level)
    return stats.share(int(hits.sum()), len(clusters), level=level)


def _sign_flip_p(
    bench: Bench, pair: Pair, values: Floats, clusters: list[str | None]
) -> Estimate | Absent:
    """Test that differences are symmetric around zero, whole clusters turned together."""
    rng = bench.rng("sign-flip", *pair)
    p = stats.sign_flip(values, clusters, rng=rng, resamples=_DRAWS)
    totals, _ = by_cluster(values, clusters)
    sampled = np.count_nonzero(totals) > _EXACT
    n = len(totals)
    return _as_estimate(p, "sign-flip", _DRAWS if sampled else None, n, bench.level)


def _as_estimate(
    p: float | Absent, method: str, resamples: int | None, n: int, level: float
) -> Estimate | Absent:
    if isinstance(p, Absent):
        return p
    tested = Tested(statistic=None, p=p, method=method, resamples=resamples)
    return as_estimate(tested, n, level=level)


def _with_own(before: Decided, controls: Decided, trials: list[Trial]) -> Decided:
    """Return the placebo's decisions, a text's own where it is its own placebo."""
    label, favourable, score = before.label.copy(), before.favourable.copy(), before.score.copy()
    has = np.array([t.control is not None for t in trials], dtype=bool)
    every = decided_at(controls, np.arange(int(has.sum())))
    label[has], favourable[has], score[has] = every.label, every.favourable, every.score
    return Decided(label=label, favourable=favourable, score=score)

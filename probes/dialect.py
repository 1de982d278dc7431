"""Does the decision survive another way of speaking English?

Rewrites single grammatical features of a text as African American English has them (``aae``:
habitual *be*, copula absence, *ain't*, negative concord, completive *done*, no third-person -s,
*was* for *were*, *finna*, -in'), or gives words another inflection as learners do (``inflection``).
Meaning and label stay.

Editing alone moves scores, so each text is also given a placebo of the same number of places that
keeps standard English: a contraction made or resolved, *anyone* for *anybody*. A typing slip would
be another kind of noise, as foreign to careful writing as the dialect is. What is compared is the
text with ``m`` features of the dialect and the same text with ``m`` neutral changes, ``m`` being
what both allow. Texts without a place for a neutral change count in the raw rates only; texts
without a feature to change are left out and counted.

Source: Ziems et al. (2022), 'VALUE: Understanding Dialect Disparity in NLU', ACL,
arXiv:2204.03031; Tan et al. (2020), 'It's Morphin' Time! Combating Linguistic Discrimination with
Inflectional Perturbations', ACL, arXiv:2005.04364 (random inflection, not its search).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit import dialects, stats
from audit.bench import Bench, Planned
from audit.decision import Decided
from audit.influence import of_mean
from audit.perturbation import net, repeats, shown
from audit.power import independent, mde_mean, mde_share
from audit.types import Absent, Cases, Estimate, Example, Fact, Floats, Measurement, Skip, Text

_NO_PLACE = "nothing that the dialect says otherwise"
_NO_PLACEBO = "no place for a neutral change"
_SPREAD = 0.1
"""Standard deviation of a score's change to reckon with before anything was scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """One text, rewritten."""

    example: Example
    said: Text
    """In the dialect."""
    matched: Text | None
    """In the dialect, with as many changes as the placebo; None where there is no placebo."""
    placebo: Text | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Change of decision and score when a text is said in another variety, less that of editing."""

    name: ClassVar[str] = "dialect"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset()

    dialect: Literal["aae", "inflection"] = "aae"
    """``aae``: African American English; ``inflection``: other forms of verbs and nouns."""
    feature: str = ""
    """One feature alone, e.g. ``copula_absence``; all of the dialect's where empty."""
    changes: int = 3
    """Most places changed in a text."""

    def __post_init__(self) -> None:
        if self.changes < 1:
            raise ValueError("changes must be at least 1")

    def plan(self, bench: Bench) -> Planned:
        trials = self._trials(bench)
        compared = sum(t.placebo is not None for t in trials)
        where = self._where()
        every = independent(t.example.cluster for t in trials)
        held = independent(t.example.cluster for t in trials if t.placebo is not None)
        mde = {}
        for metric, smallest in (
            ("flip_rate", mde_share(every, 0.1)),
            ("excess_flip_rate", mde_share(held, 0.1)),
            ("excess_shift", mde_mean(_SPREAD, held)),
        ):
            if smallest is not None:
                mde[bench.id(metric, where)] = smallest
        return Planned(
            units=len(trials),
            queries=2 * len(trials) + 2 * compared,
            claims=tuple(bench.id(metric, where) for metric in _METRICS),
            mde=mde,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        trials = self._trials(bench)
        left = _counted(_NO_PLACE, len(bench.corpus.examples) - len(trials))
        both = [i for i, t in enumerate(trials) if t.placebo is not None]
        fewer = (*left, *_counted(_NO_PLACEBO, len(trials) - len(both)))

        def decide(texts: list[Text]) -> Decided:
            return bench.decide(bench.scorer(texts))

        before = decide([t.example.input for t in trials])
        after = decide([t.said for t in trials])
        matched = decide([t.matched for t in trials if t.matched is not None])
        placebo = decide([t.placebo for t in trials if t.placebo is not None])
        clusters = [t.example.cluster for t in trials]
        kept = [clusters[i] for i in both]
        flips = before.label != after.label
        turned = before.label[both] != matched.label
        slips = before.label[both] != placebo.label
        level = bench.level

        def rate(hits: np.ndarray, of: list[str | None]) -> Estimate | Absent:
            if repeats(of):
                return stats.mean(hits.astype(float), of, low=0.0, high=1.0, level=level)
            return stats.share(int(hits.sum()), len(of), level=level)

        def shift(change: Floats, of: list[str | None]) -> Estimate | Absent:
            return stats.mean(change, of, low=-1.0, high=1.0, level=level)

        values = (
            (rate(flips, clusters), left),
            (rate(slips, kept), fewer),
            (net(turned, slips, kept, level=level), fewer),
            (shift(after.score - before.score, clusters), left),
            (shift(matched.score - placebo.score, kept), fewer),
        )
        where = self._where()
        every, held = [t.example for t in trials], [trials[i].example for i in both]
        for metric, examples, each in zip(
            _METRICS,
            (every, held, held, every, held),
            (
                flips,
                slips,
                turned.astype(float) - slips,
                after.score - before.score,
                matched.score - placebo.score,
            ),
            strict=True,
        ):
            yield of_mean(bench.id(metric, where), examples, each)
        for (metric, unit), (value, skips) in zip(_METRICS.items(), values, strict=True):
            yield Measurement(
                id=bench.id(metric, where),
                metric=metric,
                where=where,
                value=value,
                unit=unit,
                eligible=len(bench.corpus.examples),
                left_out=skips,
                family=f"{bench.probe}.{metric}",
            )
        yield Cases(
            metric=bench.id("flip_rate", where),
            example_id=[t.example.id for t in trials],
            cluster=clusters,
            before=[shown(t.example.input) for t in trials],
            after=[shown(t.said) for t in trials],
            score_before=before.score,
            score_after=after.score,
            flipped=flips,
            note=[t.note for t in trials],
        )

    def _trials(self, bench: Bench) -> list[_Trial]:
        trials = []
        for example in bench.corpus.examples:
            found = dialects.changes(example.text, self.dialect, self.feature)
            if not found:
                continue
            rng = bench.rng(self.dialect, self.feature, example.id)
            # Drawn once, so that the matched text says a part of what the full one says.
            chosen = dialects.draw(found, self.changes, rng)
            chosen = dialects.settled(chosen, rng)
            others = dialects.neutral(example.text)
            m = min(len(chosen), len(others))
            trials.append(
                _Trial(
                    example=example,
                    said=_input(example, dialects.apply(example.text, chosen)),
                    matched=_input(
                        example, dialects.apply(example.text, dialects.draw(chosen, m, rng))
                    )
                    if m
                    else None,
                    placebo=_input(
                        example, dialects.apply(example.text, dialects.draw(others, m, rng))
                    )
                    if m
                    else None,
                    note=", ".join(sorted({c.feature for c in chosen})),
                )
            )
        return trials

    def _where(self) -> Mapping[str, str]:
        where = {"dialect": self.dialect}
        return where | {"feature": self.feature} if self.feature else where


_METRICS = {
    "flip_rate": "share of texts",
    "placebo_flip_rate": "share of texts",
    "excess_flip_rate": "share of texts",
    "shift": "favourable score in the dialect less in the original",
    "excess_shift": "favourable score in the dialect less after a neutral change",
}


def _input(example: Example, text: str) -> Text:
    return text if example.second is None else (text, example.second)


def _counted(reason: str, count: int) -> tuple[Skip, ...]:
    return (Skip(reason=reason, count=count),) if count else ()

"""How few words keep a decision?

Deletes from each text the words that matter least, one after another, as long as the model decides
as it did (input reduction). Nothing is broken by this: a decision that two odd words keep, though no
reader would give it on them, says that the model is surer than its evidence. Beside other models on
the same texts, or of different groups' texts, it says whose decisions hang on less.

    words_left        share of a text's words that is left when each has been tried once
    one_word_enough   texts in which a single word is left

Texts with fewer than two words are left out and counted, and so are searches that the budget ends.
The search is greedy: fewer words might do.

Source: Feng, Wallace, Grissom, Iyyer, Rodriguez & Boyd-Graber (2018), EMNLP, arXiv:1804.07781; the
composition of TextAttack's `InputReductionFeng2018`, whose deletions are mended: they go astray by
one place for each word that is gone already.
"""

import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit import stats
from audit.attacks import Target
from audit.bench import Bench, Planned
from audit.errors import Unsupported
from audit.lockstep import Failure
from audit.perturbation import share, shown
from audit.power import mde_share
from audit.reducing import RECIPE, Reduced, reduce
from audit.text import words
from audit.types import Cases, Example, Fact, Measurement, Skip

_CENSORED = "search ended by the query budget"
_SHORT = "fewer than two words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """Share of a text's words that is enough for its decision."""

    name: ClassVar[str] = "reduction"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset({"textattack"})

    texts: int | None = 100
    """Texts drawn at random; None: all of them."""
    max_queries: int = 300
    """Model calls one search may make: about two a word."""
    width: int = 32
    """Searches in flight; moves speed and memory, no result."""

    def __post_init__(self) -> None:
        if self.texts is not None and self.texts < 1:
            raise ValueError("texts must be at least 1")
        if self.max_queries < 2 or self.width < 1:
            raise ValueError("max_queries must be at least 2 and width at least 1")

    def plan(self, bench: Bench) -> Planned:
        self._check()
        drawn = self._drawn(bench)
        smallest = mde_share(len(drawn), 0.5)
        share = bench.id("one_word_enough")
        return Planned(
            units=len(drawn),
            # The text before, one search, and what it found once more for its case.
            queries=sum(2 + min(self.max_queries, 2 + 2 * _words(e)) for e in drawn),
            claims=(bench.id("words_left"), share),
            mde={} if smallest is None else {share: smallest},
            upper_bound=True,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        self._check()
        drawn = self._drawn(bench)
        decided = bench.decide(bench.scorer([e.input for e in drawn]))
        targets = [
            Target(text=e.input, truth=int(label), rng=bench.rng(e.id))
            for e, label in zip(drawn, decided.label.tolist(), strict=True)
        ]
        ends: list[Reduced | Failure | None] = [None] * len(drawn)
        searches = reduce(
            targets,
            bench.scorer,
            bench.decision,
            max_queries=self.max_queries,
            width=self.width,
            resources=bench.resources,
        )
        for done, (position, end) in enumerate(searches, start=1):
            ends[position] = end
            bench.progress(done, len(drawn))
        yield from self._measured(bench, drawn, ends)
        some = [
            (e, end, float(score))
            for e, end, score in zip(drawn, ends, decided.score, strict=True)
            if isinstance(end, Reduced) and end.dropped
        ]
        after = bench.decide(bench.scorer([end.text for _, end, _ in some]))
        yield Cases(
            metric=bench.id("words_left"),
            example_id=[e.id for e, _, _ in some],
            cluster=[e.cluster for e, _, _ in some],
            before=[shown(e.input) for e, _, _ in some],
            after=[shown(end.text) for _, end, _ in some],
            score_before=[score for _, _, score in some],
            score_after=after.score,
            flipped=[False] * len(some),
            note=[
                f"{RECIPE.name}: {end.dropped} of {end.words} words gone after {end.queries} "
                f"queries, decided as before{'; the budget ended it' * (end.outcome == 'censored')}"
                for _, end, _ in some
            ],
        )

    def _measured(
        self, bench: Bench, drawn: Sequence[Example], ends: Sequence[Reduced | Failure | None]
    ) -> Iterator[Measurement]:
        why = [_left_out(end) for end in ends]
        kept = [
            (end, e.cluster)
            for end, e, reason in zip(ends, drawn, why, strict=True)
            if isinstance(end, Reduced) and not reason
        ]
        clusters = [cluster for _, cluster in kept]
        left = np.array([(end.words - end.dropped) / end.words for end, _ in kept])
        one = np.array([end.words - end.dropped <= 1 for end, _ in kept], dtype=bool)
        shares = stats.mean(left, clusters, low=0.0, high=1.0, level=bench.level)
        n = len(bench.corpus.examples)
        counts = Counter(reason for reason in why if reason)
        counts["not among the texts drawn"] = n - len(drawn)
        for metric, value, unit in (
            ("words_left", shares, "mean share of words"),
            ("one_word_enough", share(one, clusters, level=bench.level), "share of texts"),
        ):
            yield Measurement(
                id=bench.id(metric),
                metric=metric,
                where={},
                value=value,
                unit=unit,
                eligible=n,
                left_out=tuple(Skip(reason=r, count=c) for r, c in sorted(counts.items()) if c),
                family=f"{self.name}.{metric}",
                budget=f"{RECIPE.name}, at most {self.max_queries} model calls a text",
            )

    def _check(self) -> None:
        if importlib.util.find_spec("textattack") is None:
            raise Unsupported("TextAttack is not installed.", hint="pip install textattack")

    def _drawn(self, bench: Bench) -> list[Example]:
        examples = bench.corpus.examples
        if self.texts is None or self.texts >= len(examples):
            return list(examples)
        # Each text has its own lot, so that adding or dropping one moves at most one other.
        lots = [(bench.rng("sample", e.id).random(), e.id, i) for i, e in enumerate(examples)]
        return [examples[i] for i in sorted(i for _, _, i in sorted(lots)[: self.texts])]


def _words(e: Example) -> int:
    return sum(1 for text in (e.text, e.second or "") for _ in words(text))


def _left_out(end: Reduced | Failure | None) -> str:
    if isinstance(end, Failure):
        return f"search failed ({end})"
    if end is None or end.outcome == "skipped":
        return "decided otherwise in other company"
    if end.words < 2:
        return _SHORT
    return _CENSORED if end.outcome == "censored" else ""

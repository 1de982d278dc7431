"""Can a search for small changes turn a decision that was right?

Attacks texts with a published recipe through TextAttack, each with its own randomness and its own
budget of queries, and counts how the searches end. A search that the budget ends is *censored*: it
is never counted as robust, neither in a numerator nor by leaving it out of what must be kept.

    attack_success_rate     broken, of the searches that came to an end by themselves; censored ones
                            are left out and counted. As searches that succeed end sooner, this is
                            rather too high than too low where many are censored.
    broken_within_budget    broken, of all attacked texts: what the literature reports, and a lower
                            bound of what a longer search finds.
    robust_accuracy         right before and unbroken after a whole search, of all texts with a
                            label; censored ones count as not robust, so it is a lower bound.
    clean_accuracy          right before, of the same texts.

Texts that are decided wrongly are not attacked; without labels, the model's own decision is. A text
in which the recipe can change nothing says nothing and is left out.

Source: Morris et al. (2020), arXiv:2005.05909 (TextAttack); each recipe names its own paper in
`audit/attack_recipes.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit import attacks, stats
from audit.attack_recipes import recipe
from audit.attacks import Found, Target
from audit.bench import Bench, Planned
from audit.decision import correct, decided_at
from audit.lockstep import Failure
from audit.perturbation import repeats, shown
from audit.power import mde_share
from audit.types import Absent, Cases, Estimate, Example, Fact, Floats, Measurement, Skip

_WITH_LABELS = ("clean_accuracy", "robust_accuracy")
_ALWAYS = ("attack_success_rate", "broken_within_budget")
_LEFT_OUT = {
    "not drawn": "not among the texts drawn",
    "no label": "no true label",
    "wrong": "decided wrongly before any change",
    "unchangeable": "nothing in it that the recipe can change",
    "censored": "search ended by the query budget",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Share of right decisions that an adversarial search turns, and the accuracy that is left."""

    name: ClassVar[str] = "attack"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset({"textattack"})

    recipe: str = "deepwordbug"
    """Typing slips: ``deepwordbug``, ``pruthi``. Near words: ``pwws``, ``textfooler``, ``genetic``
    (these want WordNet, the last two the packaged encoder as well). Both: ``textbugger``.
    Inflections: ``morpheus``. Contractions and numbers: ``checklist``."""
    texts: int | None = 100
    """Texts to attack, drawn at random; None: all of them."""
    max_queries: int = 300
    """Model calls one search may make."""
    width: int = 32
    """Searches in flight; moves speed and memory, no result."""

    def __post_init__(self) -> None:
        recipe(self.recipe)
        if self.texts is not None and self.texts < 1:
            raise ValueError("texts must be at least 1")
        if self.max_queries < 2 or self.width < 1:
            raise ValueError("max_queries must be at least 2 and width at least 1")

    def plan(self, bench: Bench) -> Planned:
        attacks.check(recipe(self.recipe), bench.resources)
        n = len(self._drawn(bench))
        metrics = [*_ALWAYS, *(_WITH_LABELS if _labelled(bench) else ())]
        ids = tuple(bench.id(metric, self._where) for metric in metrics)
        smallest = mde_share(n, 0.1)
        return Planned(
            units=n,
            # The text before, the search, and the found text once more for its case.
            queries=n * (self.max_queries + 2),
            claims=ids,
            mde={} if smallest is None else dict.fromkeys(ids, smallest),
            upper_bound=True,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        chosen = recipe(self.recipe)
        attacks.check(chosen, bench.resources)
        drawn = self._drawn(bench)
        examples = [bench.corpus.examples[i] for i in drawn]
        scores = bench.scorer([e.input for e in examples])
        decided = bench.decide(scores)
        known = np.array([i for i, e in enumerate(examples) if e.label is not None], dtype=np.intp)
        right = np.ones(len(examples), dtype=bool)
        right[known] = correct(
            bench.decision, decided_at(decided, known), tuple(examples[i] for i in known)
        )
        aimed = np.flatnonzero(right)
        targets = [
            Target(
                text=examples[i].input,
                truth=int(decided.label[i]),
                rng=bench.rng(self.recipe, examples[i].id),
            )
            for i in aimed
        ]
        ends: list[Found | Failure | None] = [None] * len(examples)
        for done, (position, end) in enumerate(
            attacks.attack(
                targets,
                chosen,
                bench.scorer,
                bench.decision,
                max_queries=self.max_queries,
                width=self.width,
                resources=bench.resources,
            ),
            start=1,
        ):
            ends[int(aimed[position])] = end
            bench.progress(done, len(targets))
        yield from self._rates(bench, examples, [_word(end) for end in ends])
        yield from self._cases(bench, examples, decided.score, ends)

    @property
    def _where(self) -> dict[str, str]:
        return {"recipe": self.recipe}

    def _drawn(self, bench: Bench) -> list[int]:
        """Return positions of the texts to attack, in the order of the corpus."""
        examples = bench.corpus.examples
        if self.texts is None or self.texts >= len(examples):
            return list(range(len(examples)))
        # Each text has its own lot, so that adding or dropping one moves at most one other.
        lots = [(bench.rng("sample", e.id).random(), e.id, i) for i, e in enumerate(examples)]
        return sorted(i for _, _, i in sorted(lots)[: self.texts])

    def _rates(
        self, bench: Bench, examples: Sequence[Example], words: Sequence[str]
    ) -> Iterator[Measurement]:
        def rate(
            metric: str,
            unit: str,
            hit: Callable[[str], bool],
            out: Callable[[Example, str], str],
        ) -> Measurement:
            why = [out(e, w) for e, w in zip(examples, words, strict=True)]
            used = [i for i, reason in enumerate(why) if not reason]
            left = Counter(reason for reason in why if reason)
            left["not drawn"] = len(bench.corpus.examples) - len(examples)
            return Measurement(
                id=bench.id(metric, self._where),
                metric=metric,
                where=self._where,
                value=_share(
                    np.array([hit(words[i]) for i in used], dtype=bool),
                    [examples[i].cluster for i in used],
                    bench.level,
                ),
                unit=unit,
                eligible=len(bench.corpus.examples),
                left_out=tuple(
                    Skip(reason=_LEFT_OUT.get(reason, reason), count=count)
                    for reason, count in sorted(left.items())
                    if count
                ),
                family=f"{bench.probe}.{metric}",
                budget=f"{self.recipe}, at most {self.max_queries} model calls a text",
            )

        def unended(e: Example, w: str) -> str:
            return "" if w in ("success", "failed") else w

        def unattacked(e: Example, w: str) -> str:
            return "" if w == "censored" else unended(e, w)

        def unmeasured(e: Example, w: str) -> str:
            return "no label" if e.label is None else "" if w == "wrong" else unattacked(e, w)

        yield rate(
            "attack_success_rate",
            "share of searches that ended by themselves",
            lambda w: w == "success",
            unended,
        )
        yield rate(
            "broken_within_budget", "share of attacked texts", lambda w: w == "success", unattacked
        )
        if _labelled(bench):
            yield rate("clean_accuracy", "share of texts", lambda w: w != "wrong", unmeasured)
            yield rate("robust_accuracy", "share of texts", lambda w: w == "failed", unmeasured)

    def _cases(
        self,
        bench: Bench,
        examples: Sequence[Example],
        before: Floats,
        ends: Sequence[Found | Failure | None],
    ) -> Iterator[Cases]:
        shownable = [
            (i, end)
            for i, end in enumerate(ends)
            if isinstance(end, Found) and end.text != examples[i].input
        ]
        after = bench.decide(bench.scorer([end.text for _, end in shownable]))
        yield Cases(
            metric=bench.id("attack_success_rate", self._where),
            example_id=[examples[i].id for i, _ in shownable],
            cluster=[examples[i].cluster for i, _ in shownable],
            before=[shown(examples[i].input) for i, _ in shownable],
            after=[shown(end.text) for _, end in shownable],
            score_before=before[[i for i, _ in shownable]] if shownable else [],
            score_after=after.score,
            flipped=[end.outcome == "success" for _, end in shownable],
            note=[
                f"{self.recipe}: {end.outcome} after {end.queries} queries" for _, end in shownable
            ],
        )


def _word(end: Found | Failure | None) -> str:
    if end is None:
        return "wrong"
    return f"search failed ({end})" if isinstance(end, Failure) else end.outcome


def _share(hits: np.ndarray, clusters: Sequence[str | None], level: float) -> Estimate | Absent:
    if repeats(clusters):
        return stats.mean(hits.astype(float), clusters, low=0.0, high=1.0, level=level)
    return stats.share(int(hits.sum()), len(hits), level=level)


def _labelled(bench: Bench) -> bool:
    return any(e.label is not None for e in bench.corpus.examples)

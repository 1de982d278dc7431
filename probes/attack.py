"""Can a search for small edits change the decision?

Attacks a sample of the texts that the model decides rightly (all, where no labels are known) with a
recipe of TextAttack, and counts those whose decision changes within a budget of model calls. A
search that runs out of its budget is *censored*: neither a success nor evidence of robustness.

Source: Morris et al. (2020), 'TextAttack', EMNLP demos, arXiv:2005.05909; DeepWordBug: Gao et al.
(2018), arXiv:1801.04354; PWWS: Ren et al. (2019), https://aclanthology.org/P19-1103
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit import attacks, lockstep, stats
from audit.bench import Bench, Planned
from audit.decision import correct
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.perturbation import repeats
from audit.power import mde_share
from audit.types import Absent, Cases, Estimate, Example, Fact, Measurement, Skip

_SHOWN_OUTCOMES = ("success",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Share of texts that an adversarial search breaks within its budget."""

    name: ClassVar[str] = "attack"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset({"textattack"})

    recipe: str = "deepwordbug"
    """``deepwordbug`` (typing-like edits of letters) or ``pwws`` (synonyms; needs WordNet)."""
    max_queries: int = 300
    """Model calls that the search on one text may ask for."""
    texts: int = 200
    """Texts drawn for attack."""

    def __post_init__(self) -> None:
        if self.recipe not in attacks.RECIPES:
            raise ConfigError(
                f"There is no attack recipe {self.recipe!r}.",
                hint=did_you_mean(self.recipe, attacks.RECIPES),
            )
        if self.max_queries < 2 or self.texts < 1:
            raise ValueError("max_queries must be at least 2 and texts at least 1")

    def plan(self, bench: Bench) -> Planned:
        self._check(bench)
        sample = self._sample(bench)
        labelled = any(e.label is not None for e in bench.corpus.examples)
        metrics = ["attack_success_rate", "censored_rate"]
        metrics += ["clean_accuracy", "robust_accuracy"] if labelled else []
        ids = tuple(bench.id(metric, self._where) for metric in metrics)
        smallest = mde_share(len(sample), 0.5)
        return Planned(
            units=len(sample),
            queries=len(sample) * (self.max_queries + 2),
            claims=ids,
            mde={} if smallest is None else dict.fromkeys(ids, smallest),
            upper_bound=True,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        self._check(bench)
        examples = bench.corpus.examples
        sample = self._sample(bench)
        labelled = any(e.label is not None for e in examples)
        left = [Skip(reason="not drawn for attack", count=len(examples) - len(sample))]
        right = self._right(bench, sample)
        chosen = [e for e, ok in zip(sample, right, strict=True) if ok]
        if labelled:
            known = np.array([e.label is not None for e in sample], dtype=bool)
            unlabelled = Skip(reason="no true label", count=int((~known).sum()))
        done: dict[int, attacks.Attacked | lockstep.Failure] = {}
        if chosen:
            rngs = [bench.rng(self.recipe, e.id) for e in chosen]
            for position, one in attacks.attack(
                [e.text for e in chosen],
                bench.scorer,
                bench.decision,
                self.recipe,
                max_queries=self.max_queries,
                rngs=rngs,
                resources=bench.resources,
            ):
                done[position] = one
                bench.progress(len(done), len(chosen))
        ended = [(chosen[i], done[i]) for i in sorted(done)]
        whole = [(e, a) for e, a in ended if isinstance(a, attacks.Attacked)]
        failures = Skip(reason="the search ended in an error", count=len(ended) - len(whole))
        wrong = Skip(
            reason="decided wrongly before the attack" if labelled else "not attacked",
            count=len(sample) - len(chosen),
        )
        outcomes = np.array([a.outcome for _, a in whole], dtype=str)
        clusters = [e.cluster for e, _ in whole]
        for metric, hits in (
            ("attack_success_rate", outcomes == "success"),
            ("censored_rate", outcomes == "censored"),
        ):
            yield self._fact(bench, metric, hits, clusters, (*left, wrong, failures))
        if labelled:
            asked = [(e, ok) for e, ok, k in zip(sample, right, known, strict=True) if k]
            yield self._fact(
                bench,
                "clean_accuracy",
                np.array([ok for _, ok in asked], bool),
                [e.cluster for e, _ in asked],
                (*left, unlabelled),
            )
            # Only a search that tried everything and failed speaks for the text.
            held = {e.id for e, a in whole if a.outcome == "failed"}
            lost = {e.id for e, a in ended if isinstance(a, lockstep.Failure)}
            counted = [e for e, _ in asked if e.id not in lost]
            yield self._fact(
                bench,
                "robust_accuracy",
                np.array([e.id in held for e in counted], bool),
                [e.cluster for e in counted],
                (*left, unlabelled, failures),
            )
        yield self._cases(bench, whole)

    @property
    def _where(self) -> dict[str, str]:
        return {"recipe": self.recipe}

    def _check(self, bench: Bench) -> None:
        if any(e.second is not None for e in bench.corpus.examples):
            raise Unsupported(
                "Attacks on pairs of texts are not supported.",
                hint="The other probes read pairs.",
            )

    def _sample(self, bench: Bench) -> list[Example]:
        # By a draw of each text's own, so that dropping one text changes no other's lot.
        drawn = sorted(
            bench.corpus.examples, key=lambda e: (float(bench.rng("sample", e.id).random()), e.id)
        )
        chosen = {e.id for e in drawn[: self.texts]}
        return [e for e in bench.corpus.examples if e.id in chosen]

    def _right(self, bench: Bench, sample: list[Example]) -> list[bool]:
        decided = bench.decide(bench.scorer([e.input for e in sample]))
        if not any(e.label is not None for e in bench.corpus.examples):
            return [True] * len(sample)
        known = [i for i, e in enumerate(sample) if e.label is not None]
        from audit.decision import decided_at

        part = decided_at(decided, np.array(known, dtype=np.intp))
        hits = correct(bench.decision, part, tuple(sample[i] for i in known))
        right = [False] * len(sample)
        for i, hit in zip(known, hits, strict=True):
            right[i] = bool(hit)
        return right

    def _fact(
        self,
        bench: Bench,
        metric: str,
        hits: np.ndarray,
        clusters: list[str | None],
        left: tuple[Skip, ...],
    ) -> Measurement:
        value: Estimate | Absent
        if repeats(clusters):
            value = stats.mean(hits.astype(float), clusters, low=0.0, high=1.0, level=bench.level)
        else:
            value = stats.share(int(hits.sum()), len(hits), level=bench.level)
        return Measurement(
            id=bench.id(metric, self._where),
            metric=metric,
            where=self._where,
            value=value,
            unit="share of texts",
            eligible=len(bench.corpus.examples),
            left_out=tuple(s for s in left if s.count),
            family=f"attack.{metric}",
            budget=f"{self.recipe}, up to {self.max_queries} model calls a text, "
            f"{attacks.RECIPES[self.recipe].source}",
        )

    def _cases(self, bench: Bench, whole: list[tuple[Example, attacks.Attacked]]) -> Cases:
        broken = [(e, a) for e, a in whole if a.outcome in _SHOWN_OUTCOMES]
        before = bench.decide(bench.scorer([e.text for e, _ in broken]))
        after = bench.decide(bench.scorer([a.text for _, a in broken]))
        return Cases(
            metric=bench.id("attack_success_rate", self._where),
            example_id=[e.id for e, _ in broken],
            cluster=[e.cluster for e, _ in broken],
            before=[e.text for e, _ in broken],
            after=[a.text for _, a in broken],
            score_before=before.score,
            score_after=after.score,
            flipped=before.label != after.label,
            note=[f"{self.recipe}, {a.queries} model calls" for _, a in broken],
        )

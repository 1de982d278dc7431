"""Which decisions does no substitution of synonyms turn, by majority vote over random ones?

The classifier that the bound speaks of is not the shipped one but the *smoothed* one: it draws a
random synonym for each word, asks the shipped model many times and takes the majority. For it, and
for it alone, a bound holds against every allowed substitution at once, tried or not: where the vote is so
clear that even the worst mixture of synonyms cannot take half of it away. The vote is known from a
sample, so the bound is exact binomial, at a confidence for each text.

    held_share           texts whose smoothed decision no allowed substitution turns
    held_accuracy        the same and as labelled, of the texts with a label
    smoothed_accuracy    the smoothed decision as labelled, held or not
    shipped_accuracy     the shipped model's own decision as labelled, of the same texts
    vote_agreement       the smoothed decision is the shipped model's

It costs many model calls a text and is therefore run only where it is asked for. What it says ends
at the synonyms it allows: letters, insertions and paraphrases are not among them.

Source: Ye, Gong & Liu (2020), 'SAFER', ACL, arXiv:2005.14424; Cohen, Rosenfeld & Kolter (2019),
arXiv:1902.02918, section 3.2, for choosing the vote's winner on draws of their own.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from audit import certificate, foreign
from audit.bench import Bench, Planned
from audit.decision import Decided, correct, decided_at
from audit.errors import Unsupported
from audit.neighbours import neighbours
from audit.perturbation import share, shown
from audit.power import mde_share
from audit.resources import GET_WORDNET
from audit.synonyms import Synonyms
from audit.text import words
from audit.types import Absent, Cases, Example, Fact, Measurement, Skip

_WITH_LABELS = ("held_accuracy", "smoothed_accuracy", "shipped_accuracy")
_ALWAYS = ("held_share", "vote_agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Share of texts whose majority vote over random synonyms no substitution can turn."""

    name: ClassVar[str] = "certificate"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset({"wordnet"})

    texts: int | None = 50
    """Texts drawn at random; None: all of them."""
    samples: int = 100
    """Random substitutions of a text that the bound is taken from."""
    votes: int = 20
    """Further ones that choose the vote's winner."""
    words: int | None = None
    """Words an adversary may substitute; None: every word that has synonyms."""
    nearest: int = 4
    """Synonyms of a word at most; function words have none."""
    least: float = 0.5
    """Least cosine of two synonyms in the packaged encoder's space."""
    confidence: float = 0.99
    """Of each text's bound, one-sided."""

    def __post_init__(self) -> None:
        if self.texts is not None and self.texts < 1:
            raise ValueError("texts must be at least 1")
        if self.samples < 1 or self.votes < 1 or self.nearest < 1:
            raise ValueError("samples, votes and nearest must be at least 1")
        if self.words is not None and self.words < 0:
            raise ValueError("words must not be negative")
        if not 0.5 < self.confidence < 1 or not -1 < self.least < 1:
            raise ValueError("confidence must lie in (0.5, 1) and least in (-1, 1)")

    def plan(self, bench: Bench) -> Planned:
        self._check(bench)
        n = len(self._drawn(bench))
        ids = tuple(bench.id(metric) for metric in self._metrics(bench))
        smallest = mde_share(n, 0.5)
        return Planned(
            units=n,
            queries=n * (1 + self.votes + self.samples),
            claims=ids,
            mde={} if smallest is None else dict.fromkeys(ids, smallest),
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        self._check(bench)
        foreign.show_wordnet(bench.resources)
        listed = bench.resources.stopwords() / "corpora" / "stopwords" / "english"
        synonyms = Synonyms(
            table=neighbours(bench.resources.encoder()),
            fixed=frozenset(listed.read_text("utf-8").split()),
            nearest=self.nearest,
            least=self.least,
        )
        some = [bench.corpus.examples[i] for i in self._drawn(bench)]
        # Where nothing can be substituted there is nothing to certify.
        drawn = [e for e in some if any(synonyms.of(w.lower) for w in words(e.text))]
        shipped = bench.decide(bench.scorer([e.input for e in drawn]))
        winners, held = [], []
        cases: dict[int, tuple[str, float]] = {}
        for i, e in enumerate(drawn):
            texts = self._random(bench, synonyms, e)
            decided = bench.decide(bench.scorer(texts))
            labels = decided.label.tolist()
            # The winner is chosen on other draws than it is then judged by.
            winner = _majority(labels[: self.votes])
            kept = sum(label == winner for label in labels[self.votes :])
            bound = certificate.safer(
                kept,
                self.samples,
                [synonyms.overlap(w.lower) for w in words(e.text) if synonyms.of(w.lower)],
                words=self.words,
                level=self.confidence,
            )
            winners.append(winner)
            held.append(not isinstance(bound, Absent) and bound.certified)
            other = next((k for k, label in enumerate(labels) if label != shipped.label[i]), None)
            if other is not None:
                cases[i] = texts[other], float(decided.score[other])
            bench.progress(i + 1, len(drawn))
        yield from self._measured(bench, drawn, len(some), shipped, winners, held)
        yield Cases(
            metric=bench.id("held_share"),
            example_id=[drawn[i].id for i in cases],
            cluster=[drawn[i].cluster for i in cases],
            before=[shown(drawn[i].text) for i in cases],
            after=[shown(text) for text, _ in cases.values()],
            score_before=shipped.score[list(cases)] if cases else [],
            score_after=[score for _, score in cases.values()],
            flipped=[True] * len(cases),
            note=[
                "one of the random substitutions; the vote is "
                + ("beyond any substitution's reach" if held[i] else "not beyond reach")
                for i in cases
            ],
        )

    def _measured(
        self,
        bench: Bench,
        drawn: Sequence[Example],
        asked: int,
        shipped: Decided,
        winners: Sequence[int],
        held: Sequence[bool],
    ) -> Iterator[Measurement]:
        budget = (
            f"majority vote of {self.samples} random substitutions, not the shipped model; "
            f"{'every word' if self.words is None else f'at most {self.words} words'} with synonyms"
        )
        sure = np.array(held, dtype=bool)
        vote = np.array(winners, dtype=shipped.label.dtype)
        everyone = np.arange(len(drawn))
        n = len(bench.corpus.examples)
        known = np.array([i for i, e in enumerate(drawn) if e.label is not None], dtype=np.intp)
        with_label = tuple(drawn[i] for i in known)
        # Its scores are never read: a label is right or not.
        smoothed = replace(shipped, label=vote)
        found = {
            "held_share": (everyone, sure),
            "vote_agreement": (everyone, vote == shipped.label),
        }
        if "held_accuracy" in self._metrics(bench):
            right = correct(bench.decision, decided_at(smoothed, known), with_label)
            found["held_accuracy"] = known, right & sure[known]
            found["smoothed_accuracy"] = known, right
            found["shipped_accuracy"] = (
                known,
                correct(bench.decision, decided_at(shipped, known), with_label),
            )
        for metric in self._metrics(bench):
            at, hits = found[metric]
            left = {
                "not among the texts drawn": n - asked,
                "no word in it has a synonym": asked - len(drawn),
                "no true label": len(drawn) - len(at),
            }
            whose = "shipped" if metric == "shipped_accuracy" else "smoothed"
            yield Measurement(
                id=bench.id(metric),
                metric=metric,
                where={},
                value=share(hits, [drawn[i].cluster for i in at.tolist()], level=bench.level),
                unit=f"share of texts, {whose} classifier",
                eligible=n,
                left_out=tuple(Skip(reason=r, count=c) for r, c in left.items() if c),
                family=f"{self.name}.{metric}",
                budget=budget,
            )

    def _random(self, bench: Bench, synonyms: Synonyms, e: Example) -> list[str]:
        rng = bench.rng(e.id)
        spans = [(w, synonyms.around(w.lower)) for w in words(e.text)]
        made = []
        for _ in range(self.votes + self.samples):
            parts, end = [], 0
            for word, choices in spans:
                other = choices[int(rng.integers(len(choices)))] if len(choices) > 1 else ""
                parts += [
                    e.text[end : word.start],
                    _cased(other, word.text) if other else word.text,
                ]
                end = word.end
            made.append("".join([*parts, e.text[end:]]))
        return made

    def _check(self, bench: Bench) -> None:
        if any(e.second is not None for e in bench.corpus.examples):
            raise Unsupported("Texts for a model that reads pairs have no such bound yet.")
        if bench.resources.wordnet_source() is None:
            raise Unsupported(
                "The certificate's synonyms need WordNet, which is not on this machine.",
                hint=GET_WORDNET,
            )
        bench.resources.encoder()

    def _metrics(self, bench: Bench) -> tuple[str, ...]:
        labelled = any(e.label is not None for e in bench.corpus.examples)
        return (*_ALWAYS, *(_WITH_LABELS if labelled else ()))

    def _drawn(self, bench: Bench) -> list[int]:
        examples = bench.corpus.examples
        if self.texts is None or self.texts >= len(examples):
            return list(range(len(examples)))
        lots = [(bench.rng("sample", e.id).random(), e.id, i) for i, e in enumerate(examples)]
        return sorted(i for _, _, i in sorted(lots)[: self.texts])


def _majority(labels: Sequence[int]) -> int:
    """Return the commonest label; the smallest of those that tie."""
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))


def _cased(other: str, word: str) -> str:
    if other == word.lower():
        return word
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other.capitalize() if word[0].isupper() else other

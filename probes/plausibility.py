"""Are the words that carry a score the words that people marked?

Attributes the favourable score of each text whose reason somebody marked (`rationale` of its table
in the audit file), names as many words as are marked, those that weigh most for the side the score
is on, and holds them against the marked ones: the overlap (`token_f1`), the share of texts where
both overlap by half or more of both together (`iou_f1`), and the area under precision and recall
of the whole order, as a sum of steps (`average_precision`) and by the trapezoid rule (`auprc`, as
ERASER prints it: never comparable with the other). `over_chance` is the average precision less
that of a random order, text by text. What convinces people need not be what a model does: this is
plausibility, not faithfulness, and a model may be right for reasons nobody marked.

    [corpora.test]
    path = "posts.jsonl"
    rationale = "rationale"

    [[probe]]
    name = "plausibility"

Source: DeYoung et al. (2020), 'ERASER: A Benchmark to Evaluate Rationalized NLP Models', ACL,
section 4, arXiv:1911.03429.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit import attribution, stats
from audit.attribution import Attribution
from audit.bench import Bench, Planned
from audit.classifier import white_box
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.faithfulness import Plausibility as Agreement
from audit.influence import of_mean
from audit.perturbation import shown
from audit.plausible import IOU, marked_words, scored
from audit.power import mde_mean
from audit.types import Absent, Cases, Corpus, Example, Fact, Measurement, Skip
from audit.wordpieces import words

METRICS = ("token_f1", "iou_f1", "average_precision", "auprc", "over_chance")
_CHUNK = 24
_SPREAD = 0.3
_Row = tuple[Example, Attribution, Agreement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plausibility:
    """Overlap of the words that carry a score with those that people marked."""

    name: ClassVar[str] = "plausibility"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset()

    corpus: str = "test"
    """Name of the table ``[corpora.NAME]`` with a `rationale`."""
    texts: int = 200
    """Texts with marked words that are drawn."""
    method: str = ""
    """``integrated_gradients`` or ``occlusion``; the first where the model has gradients."""

    def __post_init__(self) -> None:
        if self.texts < 1:
            raise ValueError("texts must be at least 1")
        if self.method not in ("", "integrated_gradients", "occlusion"):
            raise ValueError(
                f"method must be integrated_gradients or occlusion, got {self.method!r}"
            )

    def plan(self, bench: Bench) -> Planned:
        drawn, _ = self._drawn(bench)
        ids = tuple(bench.id(metric, self._where) for metric in METRICS)
        smallest = mde_mean(_SPREAD, len(drawn))
        # Occlusion asks for the text, the empty one and one without each word; gradients for none.
        asked = sum(2 + len(words(e.text)) + len(words(e.second or "")) for e in drawn)
        return Planned(
            units=len(drawn),
            queries=0 if self.method == "integrated_gradients" else asked,
            claims=ids,
            mde={} if smallest is None else {ids[-1]: smallest},
            upper_bound=True,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        drawn, left = self._drawn(bench)
        found = self._attributed(bench, drawn)
        rows: list[_Row] = []
        lost = [0, 0]
        agreed = scored(found, [e.rationale or () for e in drawn])
        for example, one, row in zip(drawn, found, agreed, strict=True):
            if not one.converged():
                lost[0] += 1
            elif isinstance(row, Absent):
                lost[1] += 1
            else:
                rows.append((example, one, row))
        gone = (
            *left,
            Skip(reason="the attribution did not converge", count=lost[0]),
            Skip(reason="no marked word within what the model reads", count=lost[1]),
        )
        for metric in METRICS:
            values = np.array([_value(metric, row) for _, _, row in rows])
            yield Measurement(
                id=bench.id(metric, self._where),
                metric=metric,
                where=self._where,
                value=stats.mean(
                    values,
                    [e.cluster for e, _, _ in rows],
                    low=-1.0 if metric == "over_chance" else 0.0,
                    high=1.0,
                    level=bench.level,
                ),
                unit="agreement of attributed and marked words",
                eligible=len(self._texts(bench).examples),
                left_out=tuple(s for s in gone if s.count),
                family="plausibility",
            )
            yield of_mean(bench.id(metric, self._where), [e for e, _, _ in rows], values)
        score = bench.decide(bench.scorer([e.input for e, _, _ in rows])).score
        texts = [shown(e.input) for e, _, _ in rows]
        yield Cases(
            metric=bench.id("token_f1", self._where),
            example_id=[e.id for e, _, _ in rows],
            cluster=[e.cluster for e, _, _ in rows],
            before=texts,
            after=texts,
            score_before=score,
            score_after=score,
            flipped=np.zeros(len(rows), dtype=bool),
            note=[_note(*row) for row in rows],
            words=[one.words for _, one, _ in rows],
            weights=[one.weights for _, one, _ in rows],
        )

    @property
    def _where(self) -> dict[str, str]:
        return {} if self.corpus == "test" else {"corpus": self.corpus}

    def _texts(self, bench: Bench) -> Corpus:
        if self.corpus == "test":
            texts = bench.corpus
        elif self.corpus in bench.corpora:
            texts = bench.corpora[self.corpus]
        else:
            raise ConfigError(
                f"plausibility asks for [corpora.{self.corpus}], which the audit file does not have.",
                hint=did_you_mean(self.corpus, bench.corpora),
            )
        if texts.examples and all(e.rationale is None for e in texts.examples):
            raise Unsupported(
                f"plausibility needs words that people marked, and [corpora.{self.corpus}] has none.",
                hint='Name their column: rationale = "column".',
            )
        return texts

    def _drawn(self, bench: Bench) -> tuple[list[Example], list[Skip]]:
        examples = self._texts(bench).examples
        marked = [e for e in examples if e.rationale]
        # By a draw of each text's own, so that dropping one text changes no other's lot.
        order = sorted(marked, key=lambda e: (float(bench.rng("sample", e.id).random()), e.id))
        chosen = {e.id for e in order[: self.texts]}
        unseen = sum(e.rationale is None for e in examples)
        return [e for e in marked if e.id in chosen], [
            Skip(reason="nobody looked for words to mark", count=unseen),
            Skip(reason="nobody marked a word", count=len(examples) - unseen - len(marked)),
            Skip(reason="not drawn", count=len(marked) - len(chosen)),
        ]

    def _attributed(self, bench: Bench, drawn: Sequence[Example]) -> list[Attribution]:
        target = [i for i, n in enumerate(bench.decision.labels) if n in bench.decision.favourable]
        inside = None
        if self.method != "occlusion":
            try:
                inside = white_box(bench.scorer.classifier)
            except Unsupported:
                if self.method:
                    raise
        if inside is None:
            inputs = [e.input for e in drawn]
            return attribution.attribute(bench.scorer, inputs, target, "occlusion")
        box = inside
        found: list[Attribution] = []
        for start in range(0, len(drawn), _CHUNK):
            texts = [e.input for e in drawn[start : start + _CHUNK]]
            named = (self.version, attribution.STEPS, bench.scorer.fingerprint, target, texts)
            key = hashlib.sha256(repr(named).encode("utf-8", "replace")).hexdigest()

            def make(texts: list[str | tuple[str, str]] = texts) -> bytes:
                return attribution.dumps(attribution.attribute(box, texts, target))

            found += attribution.loads(bench.remember(f"plausibility:{key}", make), texts)
            bench.progress(len(found), len(drawn))
        return found


def _value(metric: str, row: Agreement) -> float:
    return {
        "token_f1": row.f1,
        "iou_f1": float(row.iou >= IOU),
        "average_precision": row.average_precision,
        "auprc": row.auprc_trapezoid,
        "over_chance": row.average_precision - row.chance,
    }[metric]


def _note(example: Example, one: Attribution, row: Agreement) -> str:
    marked = marked_words(one, example.rationale or ())
    listed = ", ".join(repr(w) for w, m in zip(one.words, marked, strict=True) if m)
    return f"F1 {row.f1:.2f}; marked by people: {listed}"

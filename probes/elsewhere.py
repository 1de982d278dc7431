"""How does the model do on texts of another corpus?

Asks the model about a further corpus of the audit file: that of an earlier task, to see what a new
training made it forget, or one from another domain, to see how far it carries. Accuracy and selection
of all its texts and of each of its groups, and how far each group stands from the rest. Held against
another audit (`evenhand compare`), every number is paired text by text.

    [corpora.earlier]
    path = "last-years-task.csv"
    label = "label"
    groups = { gender = "gender" }

    [[probe]]
    name = "elsewhere"
    corpus = "earlier"

Source: McCloskey & Cohen (1989), Psychology of Learning and Motivation 24, doi:10.1016/
S0079-7421(08)60536-8 (forgetting); Hendrycks et al. (2020), ACL, arXiv:2004.06100 (accuracy out of
the domain).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit import stats
from audit.bench import Bench, Planned
from audit.decision import correct, decided_at
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.identities import Bools, Identity, of_columns
from audit.influence import of_gap, of_mean
from audit.perturbation import repeats, share
from audit.power import mde_share
from audit.types import Absent, Corpus, Estimate, Example, Fact, Measurement, Skip

_NO_LABEL, _UNKNOWN = "no true label", "its group is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Accuracy and selection on a further corpus, of all and of each group."""

    name: ClassVar[str] = "elsewhere"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset()

    corpus: str = "elsewhere"
    """Name of the table ``[corpora.NAME]``; its labels are the model's, or renamed to them."""
    attributes: tuple[str, ...] = ()
    """Its group columns; empty: every one."""
    min_n: int = 30
    """A rate over fewer texts is not estimated."""

    def __post_init__(self) -> None:
        if self.min_n < 1:
            raise ValueError("min_n must be at least 1")

    def plan(self, bench: Bench) -> Planned:
        texts = self._texts(bench)
        groups = of_columns(texts.examples, self._attributes(texts))
        metrics = self._metrics(texts)
        ids = [bench.id(metric, self._where()) for metric in metrics]
        for one in groups:
            ids += [bench.id(metric, self._where(one)) for metric in metrics]
            ids += [bench.id(f"{m}_gap", self._where(one, against=True)) for m in metrics]
        smallest = mde_share(len(texts.examples), 0.8)
        return Planned(
            units=len(texts.examples),
            queries=len(texts.examples),
            claims=tuple(ids),
            mde={} if smallest is None else {ids[0]: smallest},
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        texts = self._texts(bench)
        examples = texts.examples
        decided = bench.decide(bench.scorer([e.input for e in examples]))
        groups = of_columns(examples, self._attributes(texts))
        every = np.ones(len(examples), bool)
        if "accuracy" in self._metrics(texts):
            known = np.array([e.label is not None for e in examples], bool)
            at = np.flatnonzero(known)
            right = np.zeros(len(examples), bool)
            chosen = tuple(examples[int(i)] for i in at)
            right[at] = correct(bench.decision, decided_at(decided, at), chosen)
            yield from self._rates(bench, "accuracy", examples, right, known, groups)
        selected = np.asarray(decided.favourable, bool)
        yield from self._rates(bench, "selection_rate", examples, selected, every, groups)

    def _rates(
        self,
        bench: Bench,
        metric: str,
        examples: tuple[Example, ...],
        hits: Bools,
        over: Bools,
        groups: list[Identity],
    ) -> Iterator[Fact]:
        yield from self._rate(bench, metric, self._where(), examples, hits, over, over)
        for one in groups:
            mine, known = over & one.member, over & one.known
            yield from self._rate(bench, metric, self._where(one), examples, hits, mine, over)
            yield from self._gap(bench, metric, one, examples, hits, known, over)

    def _rate(
        self,
        bench: Bench,
        metric: str,
        where: Mapping[str, str],
        examples: tuple[Example, ...],
        hits: Bools,
        mine: Bools,
        over: Bools,
    ) -> Iterator[Fact]:
        some = [e for e, m in zip(examples, mine, strict=True) if m]
        value: Estimate | Absent | None = self._few(len(some))
        if value is None:
            value = share(hits[mine], [e.cluster for e in some], level=bench.level)
            yield of_mean(bench.id(metric, where), some, hits[mine])
        yield self._fact(bench, metric, where, value, "share of texts", mine, over)

    def _gap(
        self,
        bench: Bench,
        metric: str,
        one: Identity,
        examples: tuple[Example, ...],
        hits: Bools,
        known: Bools,
        over: Bools,
    ) -> Iterator[Fact]:
        where = self._where(one, against=True)
        some = [e for e, k in zip(examples, known, strict=True) if k]
        inside, values = one.member[known], hits[known].astype(float)
        value: Estimate | Absent | None = self._few(min(int(inside.sum()), int((~inside).sum())))
        if value is None:
            clusters = [e.cluster for e in some]
            a, b = values[inside], values[~inside]
            value = (
                stats.difference_of_means(
                    values, inside, clusters, low=0.0, high=1.0, level=bench.level
                )
                if repeats(clusters)
                else stats.difference(int(a.sum()), len(a), int(b.sum()), len(b), level=bench.level)
            )
            yield of_gap(bench.id(f"{metric}_gap", where), some, values, inside)
        unit = "difference in the share of texts"
        yield self._fact(bench, f"{metric}_gap", where, value, unit, known, over)

    def _fact(
        self,
        bench: Bench,
        metric: str,
        where: Mapping[str, str],
        value: Estimate | Absent,
        unit: str,
        used: Bools,
        over: Bools,
    ) -> Measurement:
        unlabelled, others = int((~over).sum()), int((over & ~used).sum())
        left = (
            (_NO_LABEL, unlabelled),
            (_UNKNOWN if "against" in where else "in no such group", others),
        )
        return Measurement(
            id=bench.id(metric, where),
            metric=metric,
            where=where,
            value=value,
            unit=unit,
            eligible=len(used),
            left_out=tuple(Skip(reason=why, count=n) for why, n in left if n),
            family=f"elsewhere.{metric}" if metric.endswith("_gap") else "",
        )

    def _few(self, n: int) -> Absent | None:
        if n >= self.min_n:
            return None
        return Absent(code="too_few", reason=f"{n} texts, fewer than {self.min_n}")

    def _where(self, one: Identity | None = None, *, against: bool = False) -> dict[str, str]:
        where = {"corpus": self.corpus, **(one.where if one else {})}
        return {**where, "against": "rest"} if against else where

    def _metrics(self, texts: Corpus) -> tuple[str, ...]:
        labelled = any(e.label is not None for e in texts.examples)
        return ("accuracy", "selection_rate") if labelled else ("selection_rate",)

    def _attributes(self, texts: Corpus) -> tuple[str, ...]:
        there = sorted({name for e in texts.examples for name in e.groups})
        names = self.attributes or tuple(there)
        if "corpus" in names:
            raise ConfigError(
                "An attribute cannot be called 'corpus' here: ids use that word.",
                hint="Give it another name under [corpora.NAME.groups].",
            )
        return names

    def _texts(self, bench: Bench) -> Corpus:
        found = bench.corpora.get(self.corpus)
        if found is None:
            raise Unsupported(
                f"There is no corpus {self.corpus!r}.",
                hint=f"Add [corpora.{self.corpus}]. "
                + did_you_mean(self.corpus, sorted(bench.corpora)),
            )
        return found

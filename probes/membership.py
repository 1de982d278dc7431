"""Can it be told from the model which texts it was trained on?

A model that learnt texts by heart loses less on them than on others. Takes the loss of training texts
and of unseen ones, the audited texts, and asks how well the one can be told from the other.

    exposure_auc    chance that a training text has a smaller loss than an unseen one; 0.5: the loss
                    tells nothing. Also by group: whose texts are more exposed.
    advantage       share of training texts with at most their mean loss, less that of unseen texts: what
                    an attacker who knows that mean gains
    exposure_tpr    training texts found where one unseen text in `one_in` is taken for one: what an
                    attacker can be sure of

Training and audited texts that differ in kind, a later year say, are told apart by that too: the
number is an upper bound of what was learnt by heart. Audited texts that stand in the training texts
are left out and counted.

Source: Yeom et al. (2018), CSF, arXiv:1709.01604 (loss and advantage); Carlini et al. (2022), IEEE
S&P, arXiv:2112.03570 (true positives at few false ones, beside averages).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from audit import ranking, stats
from audit.bench import Bench, Planned
from audit.errors import Unsupported, did_you_mean
from audit.identities import Bools
from audit.influence import of_gap, of_values
from audit.perturbation import repeats, share
from audit.power import mde_difference
from audit.types import Absent, Decision, Estimate, Example, Fact, Floats, Measurement, Skip

_LEAST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How well losses tell training texts from unseen ones, of all and of each group."""

    name: ClassVar[str] = "membership"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    corpus: str = "train"
    """Name of the table ``[corpora.NAME]`` with the texts the model was trained on."""
    texts: int = 1000
    """Most texts taken of each side, drawn at random."""
    one_in: int = 100
    """Unseen texts of which one may be taken for a training text, for ``exposure_tpr``."""
    attributes: tuple[str, ...] = ()
    """Group columns of both corpora; empty: every one that both have."""
    min_n: int = 30
    """A number over fewer texts of either side is not estimated."""

    def __post_init__(self) -> None:
        if self.texts < 1 or self.min_n < 1 or self.one_in < 2:
            raise ValueError("texts and min_n must be at least 1, one_in at least 2")

    def plan(self, bench: Bench) -> Planned:
        members, unseen, _ = self._drawn(bench)
        ids = [bench.id(metric, where) for metric, where in self._slices(members, unseen)]
        smallest = mde_difference(max(1, len(members)), max(1, len(unseen)), 0.5)
        return Planned(
            units=len(members) + len(unseen),
            queries=len(members) + len(unseen),
            claims=tuple(ids),
            mde={} if smallest is None else {ids[1]: smallest},
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        members, unseen, left = self._drawn(bench)
        examples = [*members, *unseen]
        loss = losses(bench.decision, bench.scorer([e.input for e in examples]), examples)
        member = np.arange(len(examples)) < len(members)
        for metric, where in self._slices(members, unseen):
            inside = np.array(
                [all(e.groups.get(k) == v for k, v in where.items()) for e in examples], bool
            )
            yield from self._fact(bench, metric, where, examples, loss, member, inside, left)

    def _fact(
        self,
        bench: Bench,
        metric: str,
        where: Mapping[str, str],
        examples: Sequence[Example],
        loss: Floats,
        member: Bools,
        inside: Bools,
        left: tuple[Skip, ...],
    ) -> Iterator[Fact]:
        some = [e for e, i in zip(examples, inside, strict=True) if i]
        x, mine, level = loss[inside], member[inside], bench.level
        some = _apart(some, mine)
        clusters = [e.cluster for e in some]
        sides = int(mine.sum()), int((~mine).sum())
        id = bench.id(metric, where)
        value: Estimate | Absent = Absent(
            code="too_few", reason=f"{min(sides)} texts on one side, fewer than {self.min_n}"
        )
        if min(sides) >= self.min_n:
            if metric == "exposure_auc":
                found = ranking.area(-x, mine, clusters if repeats(clusters) else None)
                if isinstance(found, Absent):
                    value = found
                else:
                    value = ranking.as_estimate(found, level)
                    yield of_values(id, some, found.influence)
            else:
                limit = float(x[mine].mean())
                if metric == "exposure_tpr":
                    # The largest loss that at most one unseen text in so many stays below.
                    order = np.sort(x[~mine])
                    limit = float(np.nextafter(order[sides[1] // self.one_in], -np.inf))
                caught = (x <= limit).astype(float)
                if metric == "exposure_tpr":
                    theirs = [c for c, m in zip(clusters, mine, strict=True) if m]
                    value = share(caught[mine] > 0, theirs, level=level)
                else:
                    value = _gap(caught, mine, clusters, level)
                    yield of_gap(id, some, caught, mine)
        others = len(examples) - len(some)
        more = (Skip(reason="in another group, or in none that is known", count=others),)
        yield Measurement(
            id=id,
            metric=metric,
            where=dict(where),
            value=value,
            unit="probability" if metric == "exposure_auc" else "share of texts",
            eligible=len(examples) + sum(s.count for s in left),
            left_out=(*left, *(more if others else ())),
            family=f"membership.{metric}",
        )

    def _slices(
        self, members: Sequence[Example], unseen: Sequence[Example]
    ) -> list[tuple[str, dict[str, str]]]:
        sides = [{(k, v) for e in side for k, v in e.groups.items()} for side in (members, unseen)]
        both = sorted(sides[0] & sides[1])
        wanted = [(k, v) for k, v in both if not self.attributes or k in self.attributes]
        whole: list[tuple[str, dict[str, str]]] = [
            (metric, {}) for metric in ("exposure_auc", "advantage", "exposure_tpr")
        ]
        return whole + [("exposure_auc", {k: v}) for k, v in wanted]

    def _drawn(self, bench: Bench) -> tuple[list[Example], list[Example], tuple[Skip, ...]]:
        """Return members, unseen texts, and what was left out of both."""
        train = bench.corpora.get(self.corpus)
        if train is None:
            raise Unsupported(
                f"There is no corpus {self.corpus!r} of training texts.",
                hint=f"Add [corpora.{self.corpus}]. "
                + did_you_mean(self.corpus, sorted(bench.corpora)),
            )
        seen = {_plain(e) for e in train.examples}
        labelled = [e for e in train.examples if e.label is not None]
        fresh = [e for e in bench.corpus.examples if e.label is not None]
        unseen = [e for e in fresh if _plain(e) not in seen]
        members, chosen = self._lots(bench, "member", labelled), self._lots(bench, "unseen", unseen)
        counts = (
            (
                "no true label",
                len(train.examples) - len(labelled) + len(bench.corpus.examples) - len(fresh),
            ),
            ("among the training texts", len(fresh) - len(unseen)),
            ("not drawn", len(labelled) - len(members) + len(unseen) - len(chosen)),
        )
        return members, chosen, tuple(Skip(reason=why, count=n) for why, n in counts if n)

    def _lots(self, bench: Bench, side: str, examples: Sequence[Example]) -> list[Example]:
        if len(examples) <= self.texts:
            return list(examples)
        # Each text has its own lot, so that adding or dropping one moves at most one other.
        lots = sorted((bench.rng(side, e.id).random(), e.id) for e in examples)
        kept = {id for _, id in lots[: self.texts]}
        return [e for e in examples if e.id in kept]


def losses(rule: Decision, scores: Floats, examples: Sequence[Example]) -> Floats:
    """Return the cross-entropy of each text's true label, shape ``(n,)``; several labels: the mean.

    Args:
        rule: Names the columns of `scores`.
        scores: Shape ``(n, k)``.
        examples: With labels.
    """
    p = np.clip(np.asarray(scores, np.float64), _LEAST, 1 - _LEAST)
    truth = np.zeros_like(p)
    for i, e in enumerate(examples):
        for name in e.label if isinstance(e.label, tuple) else (e.label,):
            truth[i, rule.labels.index(str(name))] = 1.0
    if rule.head == "multi":
        return np.asarray(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean(axis=1))
    return np.asarray(-(truth * np.log(p)).sum(axis=1))


def _gap(
    caught: Floats, mine: Bools, clusters: Sequence[str | None], level: float
) -> Estimate | Absent:
    if repeats(clusters):
        return stats.difference_of_means(caught, mine, clusters, low=0.0, high=1.0, level=level)
    a, b = caught[mine], caught[~mine]
    return stats.difference(int(a.sum()), len(a), int(b.sum()), len(b), level=level)


def _apart(examples: Sequence[Example], mine: Bools) -> list[Example]:
    """Return texts whose ids and clusters no name of one corpus shares with the other."""
    return [
        replace(
            e,
            id=f"{side}:{e.id}",
            cluster=None if e.cluster is None else f"{side}:{e.cluster}",
        )
        for e, side in zip(examples, np.where(mine, "member", "unseen"), strict=True)
    ]


def _plain(e: Example) -> str:
    return " ".join(f"{e.text}\0{e.second or ''}".lower().split())

"""What is in the texts that a model is judged by, and was it trained on them?

About the data, not the model: how often each label stands with each group and with each identity
term, how much of the groups is known, which texts stand twice or in the training texts too, where
equal texts have different labels and annotators disagree, how long the texts of each group are, and
which characters were damaged on the way. The model is asked for the scores of copies alone, which
are shown as cases.

Every number is over the texts of the audited corpus. A term's association is the share of favourable
labels among the texts that hold it less that among the texts that do not; associations are corrected
together, all groups in one family and all terms in another. They say what the labels go with, not
why.

Source: Gebru et al. (2021), 'Datasheets for Datasets', CACM 64(12), arXiv:1803.09010, for what to
ask; Dixon et al. (2018), 'Measuring and Mitigating Unintended Bias in Text Classification', AIES,
doi:10.1145/3278721.3278729, section 4, for labels by identity term; Lee et al. (2022),
'Deduplicating Training Data Makes Language Models Better', ACL, arXiv:2107.06499, for copies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from audit.association import Bools, spoken
from audit.bench import Bench, Planned
from audit.decision import truly_favourable
from audit.errors import ConfigError, did_you_mean
from audit.leaks import NEAR, RULES, Copy, copies, folded_text
from audit.lexicon import AXES
from audit.oddities import KINDS, oddities
from audit.perturbation import shown
from audit.tallies import tally
from audit.types import Cases, Corpus, Example, Fact, Measurement

REST = "rest"
_UNLABELLED = "no true label"
_UNCLEAR = "only words that mean something else as often"
_NO_VOTES = "fewer than two votes"
_HOW = ("same", "normalised", "near")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAudit:
    """Labels, groups, terms, copies, disagreement and damage in the audited texts."""

    name: ClassVar[str] = "data_audit"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset()

    axes: tuple[str, ...] = ()
    """Axes of shipped terms whose association with the labels is measured; empty: every one."""
    against: tuple[str, ...] = ()
    """Corpora whose texts must not be among the audited; empty: ``train``, where there is one."""
    near: float = NEAR
    """Least Jaccard similarity of two texts that are nearly equal, in [0.2, 1]."""
    votes: tuple[str, ...] = ()
    """Group attributes that hold annotators' votes, beside the ``votes`` of the corpus: one each, or
    one with votes parted by ``|``."""
    min_n: int = 30
    """A number of a group or term over fewer texts is not estimated."""

    def plan(self, bench: Bench) -> Planned:
        view = _View(bench, self)
        found = [m.id for m in view.measurements()]
        shown_ = sum(len(some) for _, some, _ in view.pairs())
        return Planned(units=len(view.examples), queries=2 * shown_, claims=tuple(found))

    def run(self, bench: Bench) -> Iterator[Fact]:
        view = _View(bench, self)
        yield from view.measurements()
        for id, some, other in view.pairs():
            yield _cases(bench, id, some, other)


class _View:
    """The audited texts as columns, and everything that is counted in them."""

    def __init__(self, bench: Bench, probe: DataAudit) -> None:
        self.bench, self.probe, self.tally = bench, probe, tally(bench)
        self.examples = bench.corpus.examples
        self.inputs = [e.input for e in self.examples]
        self.all = np.ones(len(self.examples), dtype=bool)
        truths = [truly_favourable(bench.decision, e) for e in self.examples]
        self.known = np.array([t is not None for t in truths], dtype=bool)
        self.truth = np.array([bool(t) for t in truths], dtype=bool)
        self.labelled = bool(self.known.any())
        self.attributes = self._attributes()
        clusters = [e.cluster for e in self.examples]
        self.within = copies(self.inputs, threshold=probe.near, clusters=clusters)
        self.others = self._others()
        self.leaks = {
            name: copies(self.inputs, [e.input for e in other.examples], threshold=probe.near)
            for name, other in self.others.items()
        }

    def measurements(self) -> Iterator[Measurement]:
        """Yield every number of the probe; a model has no part in any."""
        yield from self._labels()
        for attribute in self.attributes:
            yield from self._groups(attribute)
        for a, b in combinations(self.attributes, 2):
            yield from self._intersections(a, b)
        yield from self._disagreement()
        for axis in self.probe.axes or tuple(AXES):
            yield from self._terms(axis)
        yield from self._copies()
        yield from self._oddities()

    def pairs(self) -> Iterator[tuple[str, list[Copy], Corpus]]:
        """Yield the copies of each kind, with the id they belong to and where their source is."""
        for metric, where, found, other in self._kinds():
            for how in _HOW:
                some = [c for c in found if c.how == how]
                if some:
                    yield self.bench.id(metric, {**where, "how": how}), some, other

    def _labels(self) -> Iterator[Measurement]:
        if not self.labelled:
            return
        yield self.tally.share("unlabelled_rate", {}, ~self.known, self.all)
        for label in self.bench.corpus.labels:
            hits = np.array([label in _names(e) for e in self.examples], dtype=bool)
            yield self.tally.share("label_rate", {"label": label}, hits, self.known, _UNLABELLED)
        labels: dict[str, set[tuple[str, ...]]] = {}
        folded = [folded_text(text) for text in self.inputs]
        for text, e in zip(folded, self.examples, strict=True):
            if e.label is not None:
                labels.setdefault(text, set()).add(_names(e))
        odd = np.array([len(labels.get(text, ())) > 1 for text in folded], dtype=bool)
        yield self.tally.share("label_conflict_rate", {}, odd, self.known, _UNLABELLED)

    def _groups(self, attribute: str) -> Iterator[Measurement]:
        member, known = self._members(attribute)
        yield self.tally.share("unknown_rate", {"attribute": attribute}, ~known, self.all)
        length = np.array([sum(map(len, _parts(e))) for e in self.examples], dtype=np.float64)
        least = self.probe.min_n
        for value, mine in member.items():
            where, elsewhere = {attribute: value}, "in another group or none"
            yield from self._cell(where, mine, known)
            yield self.tally.mean(
                "length", where, length, mine, elsewhere, unit="characters", least=least
            )
            if len(member) < 2:
                continue
            where = {**where, "against": REST}
            yield self.tally.mean_gap(
                "length_gap",
                where,
                length,
                mine,
                known,
                "group unknown",
                unit="characters",
                least=least,
            )
            if self.labelled:
                why = f"group unknown, or {_UNLABELLED}"
                yield self._label_gap("label_gap", where, mine, known & self.known, why)

    def _intersections(self, a: str, b: str) -> Iterator[Measurement]:
        (one, known), (other, also) = self._members(a), self._members(b)
        for value, mine in one.items():
            for also_value, theirs in other.items():
                yield from self._cell({a: value, b: also_value}, mine & theirs, known & also)

    def _cell(self, where: dict[str, str], mine: Bools, known: Bools) -> Iterator[Measurement]:
        """Yield how many texts a group or an intersection has, and how it is labelled."""
        yield self.tally.share("coverage", where, mine, known, "group unknown")
        if self.labelled:
            yield self.tally.share(
                "favourable_label_rate",
                where,
                self.truth,
                mine & self.known,
                f"in another group or none, or {_UNLABELLED}",
                unit="share of labelled texts",
                least=self.probe.min_n,
            )

    def _terms(self, axis: str) -> Iterator[Measurement]:
        said = spoken(self.inputs, axis)
        over, why = said.clear & self.known, f"{_UNCLEAR}, or {_UNLABELLED}"
        for group, mine in said.groups.items():
            where = {"axis": axis, "group": group}
            yield self.tally.share("mention_rate", where, mine, said.clear, _UNCLEAR)
            if self.labelled:
                yield self._label_gap("mention_label_gap", where, mine, over, why)
        for (group, term), mine in said.terms.items():
            if (mine & over).sum() >= self.probe.min_n:
                where = {"axis": axis, "group": group, "term": term}
                yield self._label_gap("term_label_gap", where, mine, over, why)

    def _label_gap(
        self, metric: str, where: dict[str, str], mine: Bools, over: Bools, why: str
    ) -> Measurement:
        unit, least = "share of favourable labels", self.probe.min_n
        return self.tally.share_gap(
            metric, where, self.truth, mine, over, why, unit=unit, least=least
        )

    def _copies(self) -> Iterator[Measurement]:
        for metric, where, found, other in self._kinds():
            for how in _HOW:
                hits = np.zeros(len(self.examples), dtype=bool)
                hits[[c.i for c in found if c.how == how]] = True
                different = len({self.inputs[int(i)] for i in np.flatnonzero(hits)})
                plural = "" if different == 1 else "s"
                budget = f"{different:,} different text{plural}; {RULES}, from {self.probe.near:g}"
                cell = {**where, "how": how}
                yield self.tally.share(metric, cell, hits, self.all, budget=budget)
            theirs = {e.cluster for e in other.examples if e.cluster is not None}
            if metric == "leak_rate" and theirs:
                named = np.array([e.cluster is not None for e in self.examples], dtype=bool)
                hits = np.array([e.cluster in theirs for e in self.examples], dtype=bool)
                yield self.tally.share("cluster_overlap", where, hits, named, "no cluster")

    def _kinds(self) -> Iterator[tuple[str, dict[str, str], list[Copy], Corpus]]:
        yield "duplicate_rate", {}, self.within, self.bench.corpus
        for name, other in self.others.items():
            yield "leak_rate", {"corpus": name}, self.leaks[name], other

    def _disagreement(self) -> Iterator[Measurement]:
        if not (self.probe.votes or any(e.votes for e in self.examples)):
            return
        values = [_disagreement(e, self.probe.votes) for e in self.examples]
        over = np.array([v is not None for v in values], dtype=bool)
        apart = np.array([v or 0.0 for v in values], dtype=np.float64)
        cells: list[tuple[dict[str, str], Bools, str, int]] = [({}, over, _NO_VOTES, 1)]
        for attribute in self.attributes:
            why = f"in another group or none, or {_NO_VOTES}"
            for value, mine in self._members(attribute)[0].items():
                cells.append(({attribute: value}, over & mine, why, self.probe.min_n))
        for where, mine, why, least in cells:
            yield self.tally.mean(
                "disagreement",
                where,
                apart,
                mine,
                why,
                unit="share of pairs of votes",
                least=least,
                high=1.0,
            )

    def _oddities(self) -> Iterator[Measurement]:
        found = [frozenset[str]().union(*map(oddities, _parts(e))) for e in self.examples]
        for kind in KINDS:
            hits = np.array([kind in odd for odd in found], dtype=bool)
            yield self.tally.share("oddity_rate", {"kind": kind}, hits, self.all)

    def _members(self, attribute: str) -> tuple[dict[str, Bools], Bools]:
        """Return the texts of each group, and those whose group is known."""
        values = [e.groups.get(attribute) for e in self.examples]
        groups = sorted({v for v in values if v is not None})
        member = {g: np.array([v == g for v in values], dtype=bool) for g in groups}
        return member, np.array([v is not None for v in values], dtype=bool)

    def _attributes(self) -> list[str]:
        there = sorted({name for e in self.examples for name in e.groups})
        for name in self.probe.votes:
            if self.examples and name not in there:
                raise ConfigError(
                    f"No text has the attribute {name!r}, which should hold votes.",
                    hint=did_you_mean(name, there),
                )
        return [name for name in there if name not in self.probe.votes]

    def _others(self) -> dict[str, Corpus]:
        corpora = {k: c for k, c in self.bench.corpora.items() if c is not self.bench.corpus}
        for name in self.probe.against:
            if name not in corpora:
                raise ConfigError(
                    f"data_audit shall look for copies in {name!r}, and there is no other corpus "
                    "of that name.",
                    hint=did_you_mean(name, corpora),
                )
        names = self.probe.against or tuple(name for name in ("train",) if name in corpora)
        return {name: corpora[name] for name in names}


def _cases(bench: Bench, id: str, some: list[Copy], other: Corpus) -> Cases:
    examples, sources = bench.corpus.examples, other.examples
    mine = [examples[c.i] for c in some]
    theirs = [sources[c.j] for c in some]
    before = bench.decide(bench.scorer([e.input for e in mine]))
    after = bench.decide(bench.scorer([e.input for e in theirs]))
    return Cases(
        metric=id,
        example_id=[e.id for e in mine],
        cluster=[e.cluster for e in mine],
        before=[shown(e.input) for e in mine],
        after=[shown(e.input) for e in theirs],
        score_before=before.score,
        score_after=after.score,
        flipped=before.label != after.label,
        note=[
            f"{c.how} ({c.similarity:.2f}) as {source.id} of {other.name}"
            for c, source in zip(some, theirs, strict=True)
        ],
    )


def _disagreement(example: Example, votes: Sequence[str]) -> float | None:
    """Return the share of pairs of votes that differ, in [0, 1]; None for fewer than two votes."""
    cells = [example.groups.get(name, "") for name in votes]
    cast = [vote.strip() for cell in cells for vote in cell.split("|") if vote.strip()]
    cast += example.votes
    if len(cast) < 2:
        return None
    return float(np.mean([a != b for a, b in combinations(cast, 2)]))


def _names(example: Example) -> tuple[str, ...]:
    label = example.label
    if label is None:
        return ()
    return (label,) if isinstance(label, str) else tuple(sorted(label))


def _parts(example: Example) -> tuple[str, ...]:
    return (example.text,) if example.second is None else (example.text, example.second)

"""How much of a score rests on identity words?

Attributes the favourable score of each text to its words (layer integrated gradients) and takes the
share of all attribution, in absolute value, that falls on words that name a group. As much as any
words would carry is taken off: the same number of other words of the same text, drawn at random;
the mean over every such draw is taken, so that no luck enters. Content words are drawn from where
the text has enough of them, because function words carry little of any score.

The same shares stand for each group that texts name and for each class they are decided for, with
the words that weigh most there. `term_share` stands for each identity word that enough texts hold,
`kind_share` for each kind of them (pronouns, titles, words for persons, kin, roles, names) by group,
both beside a placebo of as many other words. `swap_correlation` says whether the words' weights
foretell what exchanging them does to the logit: where they do not, the shares say little.

Source: Sundararajan, Taly & Yan (2017), 'Axiomatic Attribution for Deep Networks', ICML,
arXiv:1703.01365.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audit import attribution, stats
from audit.attribution import Attribution
from audit.bench import Bench, Planned
from audit.classifier import white_box
from audit.decision import names
from audit.influence import of_mean
from audit.lexicon import Lexicon, lexicon
from audit.perturbation import shown
from audit.power import mde_mean
from audit.resampling import correlation
from audit.swapping import Mention, find, swap
from audit.types import Cases, Example, Fact, Floats, Measurement, Skip, Text
from audit.wordshares import Row, kind_of, kinds_of, named, rows_of, terms_of, top_words

_CHUNK = 24
_MANY = 55
"""Points of an integral that are worth a word."""
_SPREAD = 0.1
METRICS = ("identity_share", "placebo_share", "excess_share")
_BY = ("identity_share", "excess_share")
_OF_WORDS = ("share", "placebo_share", "excess_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """Share of a score's attribution that falls on identity words, less that of other words."""

    name: ClassVar[str] = "reliance"
    version: ClassVar[str] = "6"
    needs: ClassVar[frozenset[str]] = frozenset({"gradients"})

    axis: str = "gender"
    """Any axis of the probe ``swaps``."""
    texts: int = 200
    """Texts with an identity word that are drawn."""

    def __post_init__(self) -> None:
        if self.texts < 1:
            raise ValueError("texts must be at least 1")

    def plan(self, bench: Bench) -> Planned:
        n = len(self._drawn(bench)[0])
        ids = tuple(bench.id(metric, where) for metric, where in self._claims(bench))
        smallest = mde_mean(_SPREAD, n)
        mde = {} if smallest is None else {ids[2]: smallest}
        # Gradients do not pass the scorer; it is asked for the texts and their swapped copies alone.
        return Planned(units=n, queries=2 * n, claims=ids, mde=mde, upper_bound=True)

    def run(self, bench: Bench) -> Iterator[Fact]:
        inside = white_box(bench.scorer.classifier)
        drawn, left = self._drawn(bench)
        favourable = [
            i for i, name in enumerate(bench.decision.labels) if name in bench.decision.favourable
        ]
        found: list[Attribution] = []
        for start in range(0, len(drawn), _CHUNK):
            texts = [e.input for e, _ in drawn[start : start + _CHUNK]]
            key = hashlib.sha256(
                repr(
                    (self.version, attribution.STEPS, bench.scorer.fingerprint, favourable, texts)
                ).encode("utf-8", "replace")
            ).hexdigest()

            def make(texts: list[str | tuple[str, str]] = texts) -> bytes:
                return attribution.dumps(attribution.attribute(inside, texts, favourable))

            found += attribution.loads(bench.remember(f"reliance:{key}", make), texts)
            bench.progress(len(found), len(drawn))
        rows, lost = rows_of(drawn, found)
        left += [Skip(reason=why, count=n) for why, n in sorted(lost.items())]
        eligible, gone = len(bench.corpus.examples), tuple(s for s in left if s.count)
        identity = np.array([row.identity for row in rows])
        placebo = np.array([row.placebo for row in rows])
        values = {
            "identity_share": identity,
            "placebo_share": placebo,
            "excess_share": identity - placebo,
        }
        for metric in METRICS:
            yield self._share(bench, metric, metric, self._where, rows, values[metric], gone)
            yield of_mean(
                bench.id(metric, self._where), [row.example for row in rows], values[metric]
            )
        decided = bench.decide(bench.scorer([row.example.input for row in rows]))
        classes = [names(bench.decision, int(label)) for label in decided.label]
        for prefix, key, members in self._slices(bench, drawn, rows, classes):
            for value, member in members.items():
                some = [row for row, inside in zip(rows, member, strict=True) if inside]
                other = Skip(reason=f"{key} is not {value}", count=len(rows) - len(some))
                for metric in _BY:
                    yield self._share(
                        bench,
                        metric,
                        f"{prefix}_{metric}",
                        {**self._where, key: value},
                        some,
                        values[metric][member],
                        (*gone, *((other,) if other.count else ())),
                    )
                if prefix == "class" and some:
                    metric = bench.id("class_identity_share", {**self._where, key: value})
                    yield from top_words(metric, value, some, decided.score[member])
        for term in terms_of(drawn):
            yield from self._of_words(
                bench, "term", {"term": term}, rows, gone, _is_term(term), f"no {term} in it"
            )
        for group, kind in kinds_of(drawn):
            yield from self._of_words(
                bench,
                "kind",
                {"group": group, "kind": kind},
                rows,
                gone,
                _is_kind(group, kind),
                f"no {kind} of this group in it",
            )
        yield self._foretold(bench, rows, eligible, gone)
        score = decided.score
        texts_shown = [shown(row.example.input) for row in rows]
        yield Cases(
            metric=bench.id("identity_share", self._where),
            example_id=[row.example.id for row in rows],
            cluster=[row.example.cluster for row in rows],
            before=texts_shown,
            after=texts_shown,
            score_before=score,
            score_after=score,
            flipped=np.zeros(len(rows), dtype=bool),
            note=[_note(row.one, row.top, row.identity) for row in rows],
            words=[row.one.words for row in rows],
            weights=[row.one.weights for row in rows],
        )

    def _share(
        self,
        bench: Bench,
        which: str,
        metric: str,
        where: dict[str, str],
        rows: list[Row],
        values: Floats,
        left: tuple[Skip, ...],
    ) -> Measurement:
        low = -1.0 if which == "excess_share" else 0.0
        clusters = [row.example.cluster for row in rows]
        return Measurement(
            id=bench.id(metric, where),
            metric=metric,
            where=where,
            value=stats.mean(values, clusters, low=low, high=1.0, level=bench.level),
            unit="share of absolute attribution",
            eligible=len(bench.corpus.examples),
            left_out=left,
            family=f"reliance.{metric}",
        )

    def _slices(
        self,
        bench: Bench,
        drawn: list[tuple[Example, tuple[Mention, ...]]],
        rows: list[Row],
        classes: list[tuple[str, ...]],
    ) -> Iterator[tuple[str, str, dict[str, NDArray[np.bool_]]]]:
        """Yield how the rows part: by the groups a text names, and by what it is decided for."""
        groups = {e.id: {m.term.group for m in mentions} for e, mentions in drawn}
        yield (
            "group",
            "group",
            {
                group: np.array([group in groups[row.example.id] for row in rows], bool)
                for group in lexicon(self.axis).groups
            },
        )
        yield (
            "class",
            "class",
            {
                label: np.array([label in said for said in classes], bool)
                for label in bench.decision.labels
            },
        )

    def _claims(self, bench: Bench) -> list[tuple[str, dict[str, str]]]:
        found: list[tuple[str, dict[str, str]]] = [(metric, self._where) for metric in METRICS]
        for prefix, key, values in (
            ("group", "group", lexicon(self.axis).groups),
            ("class", "class", bench.decision.labels),
        ):
            found += [
                (f"{prefix}_{metric}", {**self._where, key: value})
                for value in values
                for metric in _BY
            ]
        drawn = self._drawn(bench)[0]
        words = [("term", {"term": term}) for term in terms_of(drawn)]
        words += [("kind", {"group": group, "kind": kind}) for group, kind in kinds_of(drawn)]
        for prefix, where in words:
            found += [(f"{prefix}_{metric}", {**self._where, **where}) for metric in _OF_WORDS]
        return [*found, ("swap_correlation", self._where)]

    def _of_words(
        self,
        bench: Bench,
        prefix: str,
        where: dict[str, str],
        rows: list[Row],
        left: tuple[Skip, ...],
        chosen: Callable[[Mention], bool],
        without: str,
    ) -> Iterator[Measurement]:
        """Yield the share of some identity words, that of as many other words, and the excess."""
        held = [(row, shares) for row in rows if (shares := row.of(chosen)) is not None]
        some = [row for row, _ in held]
        share = np.array([mine for _, (mine, _) in held])
        placebo = np.array([other for _, (_, other) in held])
        gone = Skip(reason=without, count=len(rows) - len(some))
        values = {"share": share, "placebo_share": placebo, "excess_share": share - placebo}
        for metric in _OF_WORDS:
            yield self._share(
                bench,
                metric,
                f"{prefix}_{metric}",
                {**self._where, **where},
                some,
                values[metric],
                (*left, *((gone,) if gone.count else ())),
            )

    def _foretold(
        self,
        bench: Bench,
        rows: list[Row],
        eligible: int,
        left: tuple[Skip, ...],
    ) -> Measurement:
        """Correlate what identity words weigh with what exchanging them takes off the logit."""
        table = lexicon(self.axis)
        kept, swapped = [], []
        for row in rows:
            twin = _twin(row.example, table, bench)
            if twin is not None:
                kept.append(row)
                swapped.append(twin)
        target = [i for i, n in enumerate(bench.decision.labels) if n in bench.decision.favourable]
        after = attribution.logits(bench.scorer, swapped, target)
        fall = np.array([row.one.logit for row in kept]) - after
        weight = np.array(
            [
                sum(w for i, w in enumerate(row.one.weights) if named(row.one, i, row.mentions))
                for row in kept
            ]
        )
        without = Skip(reason="no counterpart for its identity words", count=len(rows) - len(kept))
        return Measurement(
            id=bench.id("swap_correlation", self._where),
            metric="swap_correlation",
            where=self._where,
            value=correlation(
                weight,
                fall,
                [row.example.cluster for row in kept],
                rng=bench.rng("correlation"),
                level=bench.level,
            ),
            unit="correlation of identity words' weights and the fall of the logit when swapped",
            eligible=eligible,
            left_out=(*left, *((without,) if without.count else ())),
        )

    @property
    def _where(self) -> dict[str, str]:
        return {"axis": self.axis}

    def _drawn(self, bench: Bench) -> tuple[list[tuple[Example, tuple[Mention, ...]]], list[Skip]]:
        table = lexicon(self.axis)
        named = [(e, m) for e in bench.corpus.examples if (m := find(e.input, table).mentions)]
        # By a draw of each text's own, so that dropping one text changes no other's lot.
        order = sorted(named, key=lambda x: (float(bench.rng("sample", x[0].id).random()), x[0].id))
        chosen = {e.id for e, _ in order[: self.texts]}
        drawn = [(e, m) for e, m in named if e.id in chosen]
        return drawn, [
            Skip(reason="no identity word", count=len(bench.corpus.examples) - len(named)),
            Skip(reason="not drawn", count=len(named) - len(drawn)),
        ]


def _is_term(term: str) -> Callable[[Mention], bool]:
    return lambda m: m.text.lower() == term


def _is_kind(group: str, kind: str) -> Callable[[Mention], bool]:
    return lambda m: kind_of(m) == (group, kind)


def _twin(example: Example, table: Lexicon, bench: Bench) -> Text | None:
    """Return the text with the first two groups that can be exchanged in it exchanged."""
    found = find(example.input, table)
    if found.asymmetric:
        return None
    for pair in table.pairs:
        if found.groups & set(pair):
            made = swap(found, table, pair, bench.rng("twin", *pair, example.id))
            if made is not None:
                return made.input
    return None


def _note(one: Attribution, top: int, share: float) -> str:
    side = "for" if one.weights[top] > 0 else "against"
    raised = f"; {one.steps} points" if one.steps > _MANY else ""
    return (
        f"identity words carry {share:.0%} of the attribution; most on {one.words[top]!r}, "
        f"which speaks {side} the favourable score{raised}"
    )

"""How much of a score rests on identity words?

Attributes the favourable score of each text to its words (layer integrated gradients) and takes the
share of all attribution, in absolute value, that falls on words that name a group. As much as any
words would carry is taken off: the same number of other words of the same text, drawn at random;
the mean over every such draw is taken, so that no luck enters. Content words are drawn from where
the text has enough of them, because function words carry little of any score.

The same shares stand for each group that texts name and for each class they are decided for, with
the words that weigh most there; `term_share` stands for each identity word that enough texts hold,
against one other word of the same text. `swap_correlation` says whether the words' weights foretell what
exchanging them does to the logit: where they do not, the shares say little.

Source: Sundararajan, Taly & Yan (2017), 'Axiomatic Attribution for Deep Networks', ICML,
arXiv:1703.01365.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
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
from audit.resources import stop_words
from audit.swapping import Mention, find, swap
from audit.types import Case, Cases, Example, Fact, Floats, Measurement, Skip, Text

_CHUNK = 24
_MANY = 55
"""Points of an integral that are worth a word."""
_SPREAD = 0.1
_Row = tuple[Example, Attribution, tuple[float, float], int]
"""A text, its attribution, the shares of identity words and placebo, the heaviest identity word."""
METRICS = ("identity_share", "placebo_share", "excess_share")
_BY = ("identity_share", "excess_share")
_OF_TERM = ("share", "excess_share")
_TERMS, _TEXTS = 8, 10
"""Identity words with a share of their own, the commonest, and texts that must hold one."""
_TOP, _HELD = 10, 3
"""Words shown of each class, and texts that must hold a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """Share of a score's attribution that falls on identity words, less that of other words."""

    name: ClassVar[str] = "reliance"
    version: ClassVar[str] = "5"
    needs: ClassVar[frozenset[str]] = frozenset({"gradients"})

    axis: str = "gender"
    """``gender``, ``names_gender``, ``names_race`` or ``religion``."""
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
        rows, lost = self._shares(drawn, found)
        left += [Skip(reason=why, count=n) for why, n in sorted(lost.items())]
        eligible, gone = len(bench.corpus.examples), tuple(s for s in left if s.count)
        identity = np.array([share for _, _, (share, _), _ in rows])
        placebo = np.array([share for _, _, (_, share), _ in rows])
        values = {
            "identity_share": identity,
            "placebo_share": placebo,
            "excess_share": identity - placebo,
        }
        for metric in METRICS:
            yield self._share(bench, metric, metric, self._where, rows, values[metric], gone)
            yield of_mean(bench.id(metric, self._where), [e for e, _, _, _ in rows], values[metric])
        decided = bench.decide(bench.scorer([e.input for e, _, _, _ in rows]))
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
                    yield from _top_words(metric, value, some, decided.score[member])
        yield from self._of_terms(bench, drawn, rows, gone)
        yield self._foretold(bench, drawn, rows, eligible, gone)
        score = decided.score
        texts_shown = [shown(e.input) for e, _, _, _ in rows]
        yield Cases(
            metric=bench.id("identity_share", self._where),
            example_id=[e.id for e, _, _, _ in rows],
            cluster=[e.cluster for e, _, _, _ in rows],
            before=texts_shown,
            after=texts_shown,
            score_before=score,
            score_after=score,
            flipped=np.zeros(len(rows), dtype=bool),
            note=[_note(a, top, share) for _, a, (share, _), top in rows],
            words=[a.words for _, a, _, _ in rows],
            weights=[a.weights for _, a, _, _ in rows],
        )

    def _share(
        self,
        bench: Bench,
        which: str,
        metric: str,
        where: dict[str, str],
        rows: list[_Row],
        values: Floats,
        left: tuple[Skip, ...],
    ) -> Measurement:
        low = -1.0 if which == "excess_share" else 0.0
        clusters = [e.cluster for e, _, _, _ in rows]
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
        rows: list[_Row],
        classes: list[tuple[str, ...]],
    ) -> Iterator[tuple[str, str, dict[str, NDArray[np.bool_]]]]:
        """Yield how the rows part: by the groups a text names, and by what it is decided for."""
        groups = {e.id: {m.term.group for m in mentions} for e, mentions in drawn}
        yield (
            "group",
            "group",
            {
                group: np.array([group in groups[e.id] for e, _, _, _ in rows], bool)
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
        for term in _terms(self._drawn(bench)[0]):
            found += [(f"term_{metric}", {**self._where, "term": term}) for metric in _OF_TERM]
        return [*found, ("swap_correlation", self._where)]

    def _of_terms(
        self,
        bench: Bench,
        drawn: list[tuple[Example, tuple[Mention, ...]]],
        rows: list[_Row],
        left: tuple[Skip, ...],
    ) -> Iterator[Measurement]:
        """Yield the share of each common identity word, and that less one other word's."""
        mentions = {e.id: m for e, m in drawn}
        for term in _terms(drawn):
            some, shares, others = [], [], []
            for row in rows:
                example, one, (_, placebo), _ = row
                said = mentions[example.id]
                mine = tuple(m for m in said if m.text.lower() == term)
                held = [i for i in range(len(one.words)) if _named(one, i, mine)]
                if not held:
                    continue
                size = np.abs(np.array(one.weights))
                every = sum(_named(one, i, said) for i in range(len(size)))
                some.append(row)
                shares.append(float(size[held].sum() / size.sum()))
                # The placebo of a text is that of all its identity words together.
                others.append(placebo * len(held) / every)
            without = Skip(reason=f"no {term} in it", count=len(rows) - len(some))
            values = {"share": np.array(shares), "excess_share": np.array(shares) - others}
            for metric in _OF_TERM:
                yield self._share(
                    bench,
                    metric,
                    f"term_{metric}",
                    {**self._where, "term": term},
                    some,
                    values[metric],
                    (*left, *((without,) if without.count else ())),
                )

    def _foretold(
        self,
        bench: Bench,
        drawn: list[tuple[Example, tuple[Mention, ...]]],
        rows: list[_Row],
        eligible: int,
        left: tuple[Skip, ...],
    ) -> Measurement:
        """Correlate what identity words weigh with what exchanging them takes off the logit."""
        table = lexicon(self.axis)
        mentions = {e.id: m for e, m in drawn}
        kept, swapped = [], []
        for row in rows:
            twin = _twin(row[0], table, bench)
            if twin is not None:
                kept.append(row)
                swapped.append(twin)
        target = [i for i, n in enumerate(bench.decision.labels) if n in bench.decision.favourable]
        after = attribution.logits(bench.scorer, swapped, target)
        fall = np.array([one.logit for _, one, _, _ in kept]) - after
        weight = np.array(
            [
                sum(w for i, w in enumerate(one.weights) if _named(one, i, mentions[e.id]))
                for e, one, _, _ in kept
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
                [e.cluster for e, _, _, _ in kept],
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

    def _shares(
        self, drawn: list[tuple[Example, tuple[Mention, ...]]], found: list[Attribution]
    ) -> tuple[list[_Row], Counter[str]]:
        """Return the rows that can be measured, and how many could not be and why."""
        common = stop_words()
        rows: list[_Row] = []
        lost: Counter[str] = Counter()
        for (example, mentions), one in zip(drawn, found, strict=True):
            size = np.abs(np.array(one.weights))
            total = float(size.sum())
            named = np.array([_named(one, i, mentions) for i in range(len(size))], bool)
            n = int(named.sum())
            others = [
                i
                for i, word in enumerate(one.words)
                if not named[i] and any(c.isalnum() for c in word)
            ]
            content = [i for i in others if one.words[i].lower() not in common]
            if not one.converged():
                lost["the attribution did not converge"] += 1
            elif n == 0:
                lost["its identity words lie beyond the model's maximum length"] += 1
            elif len(others) < n:
                lost["too few other words to compare with"] += 1
            elif total == 0:
                lost["no word moves its score"] += 1
            else:
                among = size[content if len(content) >= n else others]
                shares = (float(size[named].sum()) / total, float(among.mean()) * n / total)
                top = int(np.flatnonzero(named)[np.lexsort((-size[named],))[0]])
                rows.append((example, one, shares, top))
        return rows, lost


def _terms(drawn: list[tuple[Example, tuple[Mention, ...]]]) -> list[str]:
    """Return the identity words that stand in enough texts, the commonest first."""
    held = Counter(term for _, said in drawn for term in {m.text.lower() for m in said})
    common = sorted(held.items(), key=lambda kv: (-kv[1], kv[0]))[:_TERMS]
    return [term for term, n in common if n >= _TEXTS]


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


def _top_words(metric: str, label: str, rows: list[_Row], score: Floats) -> Iterator[Case]:
    """Yield, as one case, the words with the largest mean weight over the texts of a class."""
    held: dict[str, list[float]] = {}
    for _, one, _, _ in rows:
        mine: dict[str, list[float]] = {}
        for word, weight in zip(one.words, one.weights, strict=True):
            if any(c.isalnum() for c in word):
                mine.setdefault(word.casefold(), []).append(weight)
        for word, weights in mine.items():
            held.setdefault(word, []).append(float(np.mean(weights)))
    means = {w: float(np.mean(x)) for w, x in held.items() if len(x) >= _HELD}
    top = sorted(means, key=lambda w: (-abs(means[w]), w))[:_TOP]
    if top:
        mean = float(np.mean(score))
        listed = ", ".join(top)
        yield Case(
            metric=metric,
            example_id=f"top words: {label}",
            before=listed,
            after=listed,
            score_before=mean,
            score_after=mean,
            note=f"mean weight of each word over {len(rows)} texts decided {label!r}; words of at "
            f"least {_HELD} texts",
            words=tuple(top),
            weights=tuple(means[w] for w in top),
        )


def _named(one: Attribution, i: int, mentions: tuple[Mention, ...]) -> bool:
    start, end = one.spans[i]
    return any(m.part == one.parts[i] and m.start < end and start < m.end for m in mentions)


def _note(one: Attribution, top: int, share: float) -> str:
    side = "for" if one.weights[top] > 0 else "against"
    raised = f"; {one.steps} points" if one.steps > _MANY else ""
    return (
        f"identity words carry {share:.0%} of the attribution; most on {one.words[top]!r}, "
        f"which speaks {side} the favourable score{raised}"
    )

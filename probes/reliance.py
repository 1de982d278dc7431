"""How much of a score rests on identity words?

Attributes the favourable score of each text to its words (layer integrated gradients) and takes the
share of all attribution, in absolute value, that falls on words that name a group. As much as any
words would carry is taken off: the same number of other words of the same text, drawn at random;
the mean over every such draw is taken, so that no luck enters. Content words are drawn from where
the text has enough of them, because function words carry little of any score.

Source: Sundararajan, Taly & Yan (2017), 'Axiomatic Attribution for Deep Networks', ICML,
arXiv:1703.01365.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit import attribution, stats
from audit.attribution import Attribution
from audit.bench import Bench, Planned
from audit.classifier import white_box
from audit.influence import of_mean
from audit.lexicon import lexicon
from audit.perturbation import shown
from audit.power import mde_mean
from audit.resources import stop_words
from audit.swapping import Mention, find
from audit.types import Cases, Example, Fact, Measurement, Skip

_CHUNK = 24
_MANY = 55
"""Points of an integral that are worth a word."""
_SPREAD = 0.1
_Row = tuple[Example, Attribution, tuple[float, float], int]
"""A text, its attribution, the shares of identity words and placebo, the heaviest identity word."""
METRICS = ("identity_share", "placebo_share", "excess_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """Share of a score's attribution that falls on identity words, less that of other words."""

    name: ClassVar[str] = "reliance"
    version: ClassVar[str] = "3"
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
        ids = tuple(bench.id(metric, self._where) for metric in METRICS)
        smallest = mde_mean(_SPREAD, n)
        mde = {} if smallest is None else {ids[2]: smallest}
        # Gradients do not pass the scorer; it is asked for the scores of the cases alone.
        return Planned(units=n, queries=n, claims=ids, mde=mde, upper_bound=True)

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
        clusters = [e.cluster for e, _, _, _ in rows]
        identity = np.array([share for _, _, (share, _), _ in rows])
        placebo = np.array([share for _, _, (_, share), _ in rows])
        for metric, values, low in (
            ("identity_share", identity, 0.0),
            ("placebo_share", placebo, 0.0),
            ("excess_share", identity - placebo, -1.0),
        ):
            yield Measurement(
                id=bench.id(metric, self._where),
                metric=metric,
                where=self._where,
                value=stats.mean(values, clusters, low=low, high=1.0, level=bench.level),
                unit="share of absolute attribution",
                eligible=len(bench.corpus.examples),
                left_out=tuple(s for s in left if s.count),
                family=f"reliance.{metric}",
            )
            yield of_mean(bench.id(metric, self._where), [e for e, _, _, _ in rows], values)
        score = bench.decide(bench.scorer([e.input for e, _, _, _ in rows])).score
        texts_shown = [shown(e.input) for e, _, _, _ in rows]
        yield Cases(
            metric=bench.id("identity_share", self._where),
            example_id=[e.id for e, _, _, _ in rows],
            cluster=clusters,
            before=texts_shown,
            after=texts_shown,
            score_before=score,
            score_after=score,
            flipped=np.zeros(len(rows), dtype=bool),
            note=[_note(a, top, share) for _, a, (share, _), top in rows],
            words=[a.words for _, a, _, _ in rows],
            weights=[a.weights for _, a, _, _ in rows],
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

"""Do the texts that broke an earlier model still break this one?

Takes adversarial texts of an earlier audit, each beside the text it was made from, and asks the
model of today about both. A text still works when its decision differs from that of the original.
No search is made: this is the fast check between two attacks, and a lower bound of what a new one
finds, for the texts were made against another model.

The texts stand in a corpus of their own; the ``cases.parquet`` of an audit serves as it is:

    [corpora.earlier]
    path = "old-audit/cases.parquet"
    text = "after"
    second = "before"
    cluster = "example_id"
    groups = { measurement = "measurement", flipped = "flipped", note = "note" }

Source: Ribeiro et al. (2020), ACL, arXiv:2005.04118 (a test that stays the same while models
change); Nie et al. (2020), ACL, arXiv:1910.14599, for examples found against one model held
against the next.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.bench import Bench, Planned
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.perturbation import share
from audit.power import mde_share
from audit.types import Cases, Corpus, Example, Fact, Measurement, Skip

_RECIPE = re.compile(r"[\[,]recipe=([^\],]+)")
_MODEL = re.compile(r"model (\S+)$")
_FALSE = ("false", "0", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Share of earlier adversarial texts that still change the decision."""

    name: ClassVar[str] = "replay"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset()

    corpus: str = "earlier"
    """Name of the table ``[corpora.NAME]``: the altered text, and as ``second`` the original."""
    measurement: str = "measurement"
    """Group attribute with what a case belongs to: only those of attacks count, each recipe is a
    slice. Without it every text counts."""
    flipped: str = "flipped"
    """Group attribute that says whether the text changed the decision then; those that did not are
    left out. Without it all did."""
    model: str = "note"
    """Group attribute with the model that the text was found on: a digest, or a case's note."""

    def plan(self, bench: Bench) -> Planned:
        pairs, _ = self._pairs(bench)
        ids = tuple(bench.id("still_broken", where) for where in self._slices(pairs))
        smallest = mde_share(len(pairs), 0.1)
        return Planned(
            units=len(pairs),
            queries=2 * len(pairs),
            claims=ids,
            mde={} if smallest is None else dict.fromkeys(ids, smallest),
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        pairs, left = self._pairs(bench)
        before = bench.decide(bench.scorer([e.second or "" for e in pairs]))
        after = bench.decide(bench.scorer([e.text for e in pairs]))
        works = np.asarray(before.label != after.label)
        found_on = [self._found_on(e) for e in pairs]
        models = ", ".join(f"{name} ({n} texts)" for name, n in sorted(Counter(found_on).items()))
        for where in self._slices(pairs):
            mine = [
                i for i, e in enumerate(pairs) if not where or self._recipe(e) in where.values()
            ]
            others = len(pairs) - len(mine)
            value = share(works[mine], [_source(pairs[i]) for i in mine], level=bench.level)
            skips = (*left, *((Skip(reason="of another recipe", count=others),) if others else ()))
            yield Measurement(
                id=bench.id("still_broken", where),
                metric="still_broken",
                where=where,
                value=value,
                unit="share of texts that broke an earlier model",
                eligible=len(pairs) + sum(s.count for s in left),
                left_out=skips,
                budget=f"found on model {models}" if models else "",
            )
        yield Cases(
            metric=bench.id("still_broken"),
            example_id=[e.id for e in pairs],
            cluster=[_source(e) for e in pairs],
            before=[e.second or "" for e in pairs],
            after=[e.text for e in pairs],
            score_before=before.score,
            score_after=after.score,
            flipped=works,
            note=[
                f"{self._recipe(e) or 'earlier text'}: {'still works' if w else 'works no more'}, "
                f"found on model {model}"
                for e, w, model in zip(pairs, works, found_on, strict=True)
            ],
        )

    def _pairs(self, bench: Bench) -> tuple[list[Example], tuple[Skip, ...]]:
        """Return the texts that broke something then, and what else the table holds."""
        corpus = self._corpus(bench)
        kept, why = [], Counter[str]()
        for e in corpus.examples:
            if e.second is None or e.second == e.text:
                why["not altered"] += 1
            elif not e.groups.get(self.measurement, "attack.").startswith(("attack.", "replay.")):
                why["not a case of an attack"] += 1
            elif e.groups.get(self.flipped, "true").lower() in _FALSE:
                why["did not change the decision then"] += 1
            else:
                kept.append(e)
        return kept, tuple(Skip(reason=reason, count=n) for reason, n in sorted(why.items()))

    def _corpus(self, bench: Bench) -> Corpus:
        corpus = bench.corpora.get(self.corpus)
        if corpus is None:
            if self.corpus != "earlier":
                hint = did_you_mean(self.corpus, sorted(bench.corpora))
                raise ConfigError(f"There is no table [corpora.{self.corpus}].", hint=hint)
            raise Unsupported(
                "No texts of an earlier audit are named.",
                hint='Add [corpora.earlier] with path = "old-audit/cases.parquet", text = "after" '
                'and second = "before".',
            )
        if corpus.examples and all(e.second is None for e in corpus.examples):
            raise Unsupported(
                f"[corpora.{self.corpus}] has no original beside its texts.",
                hint='Name its column: second = "before".',
            )
        if any(e.second is not None for e in bench.corpus.examples):
            raise Unsupported("Texts for a model that reads pairs cannot be replayed yet.")
        return corpus

    def _slices(self, pairs: Sequence[Example]) -> list[dict[str, str]]:
        named = sorted({recipe for e in pairs if (recipe := self._recipe(e))})
        return [{}, *({"recipe": name} for name in named)]

    def _recipe(self, e: Example) -> str:
        found = _RECIPE.search(e.groups.get(self.measurement, ""))
        return found[1] if found else ""

    def _found_on(self, e: Example) -> str:
        said = e.groups.get(self.model, "")
        found = _MODEL.search(said)
        return found[1] if found else said or "not stated"


def _source(e: Example) -> str:
    """Return what makes texts dependent: what the table says, else the text they were made from."""
    return e.cluster or e.second or e.id

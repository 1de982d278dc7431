"""What searches come to: shares, curves over their cost, and differences between groups."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from audit import identities, stats
from audit.attacks import Found
from audit.bench import Bench
from audit.errors import ConfigError
from audit.identities import Identity
from audit.lockstep import Failure
from audit.perturbation import repeats, share
from audit.survival import NEVER, found_by
from audit.types import Absent, Estimate, Example, Measurement, Skip
from audit.validity import adjusted, ratings_for

End = Found | Failure | None
"""How the search on one text ended; None: the text was decided wrongly and not attacked."""
_LEFT_OUT = {
    "not drawn": "not among the texts drawn",
    "no label": "no true label",
    "wrong": "decided wrongly before any change",
    "unchangeable": "nothing in it that the recipe can change",
    "skipped": "decided for the target already",
    "censored": "search ended by the query budget",
    "unverified": "no candidate of it was asked of the model",
}
_WITH_LABELS = ("clean_accuracy", "robust_accuracy")
_ALWAYS = ("attack_success_rate", "broken_within_budget")
_TAKEN = ("recipe", "budget", "edits", "target", "filters", "screen", "part")
Rule = Callable[[Example, str], str]
"""Why a text with such an end is left out; empty: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaking:
    """Makes the measurements of one audit's searches."""

    bench: Bench
    drawn: Sequence[int]
    """Positions of the texts that were to be attacked."""
    budgets: Sequence[int]
    edit_shares: Sequence[float]
    groups: Sequence[Identity]
    min_n: int
    aim: Mapping[str, str] = field(default_factory=dict)
    """What every slice says besides: the label that targeted searches want."""

    filters: str = ""
    """Filters that a valid success passes, joined by ``+``; empty: none is asked for."""
    rated: Mapping[str, bool] | None = None
    """Sample to whether a human called it valid; None: nobody was asked."""

    def claims(self, recipes: Sequence[str]) -> tuple[str, ...]:
        """Return the ids of all measurements, for each recipe and over several."""
        found = []
        for recipe in recipes:
            where = {**self.aim, "recipe": recipe}
            names = [*_ALWAYS, *(_WITH_LABELS if labelled(self.bench) else ())]
            found += [(name, where) for name in names]
            found += [("broken_by", {**where, "budget": str(b)}) for b in self.budgets]
            found += [("broken_by_edits", {**where, "edits": f"{s:g}"}) for s in self.edit_shares]
            if self.filters:
                found.append(("valid_success_rate", {**where, "filters": self.filters}))
            if self.rated is not None:
                found.append(("rated_success_rate", where))
            if "screen" in self.aim:
                found.append(("screen_agreement", where))
            for one in self.groups:
                found.append(("broken_within_budget", {**where, **one.where}))
                found.append(("broken_gap", {**where, **one.where, "against": "rest"}))
        if len(recipes) > 1:
            found.append(("worst_case_broken", {**self.aim, **_several(recipes)}))
        return tuple(self.bench.id(metric, where) for metric, where in found)

    def of(
        self,
        recipe: str,
        ends: Sequence[End],
        budget: str,
        *,
        passed: Sequence[bool] | Absent = (),
        samples: Sequence[str] = (),
    ) -> Iterator[Measurement]:
        """Yield what one recipe's searches came to, one end for each drawn text.

        `passed` says of each drawn text whether its success passes the filters, or why that cannot
        be told; `samples` names the successes, for the ratings.
        """
        where, words = {**self.aim, "recipe": recipe}, [word(end) for end in ends]
        attacked = sum(w not in ("wrong", "skipped") for w in words)
        few = None
        if attacked < self.min_n:
            few = Absent(
                code="too_few",
                reason=f"{attacked} texts were decided rightly before, fewer than {self.min_n}",
            )
        ended = "share of searches that ended by themselves"
        success = self._rate(
            "attack_success_rate", where, ended, words, "success", unended, budget, few
        )
        yield success
        if self.filters:
            bad = passed if isinstance(passed, Absent) else None
            good = [] if isinstance(passed, Absent) else passed
            kept = [
                "failed" if w == "success" and not ok else w
                for w, ok in zip(words, good or [True] * len(words), strict=True)
            ]
            place = {**where, "filters": self.filters}
            yield self._rate(
                "valid_success_rate", place, ended, kept, "success", unended, budget, few or bad
            )
        if self.rated is not None:
            valid, rated = ratings_for(self.rated, samples)
            level, successes = self.bench.level, len(samples)
            yield replace(
                success,
                id=self.bench.id("rated_success_rate", where),
                metric="rated_success_rate",
                value=adjusted(success.value, successes, valid, rated, level=level),
                unit=f"{ended}, valid by {rated} ratings of {successes}",
                family=f"{self.bench.probe}.rated_success_rate",
            )
        share = "share of attacked texts"
        broken = "broken_within_budget"
        yield self._rate(broken, where, share, words, "success", unattacked, budget)
        if labelled(self.bench):
            for metric, hit in zip(_WITH_LABELS, ("right", "failed"), strict=True):
                yield self._rate(metric, where, "share of texts", words, hit, unmeasured, budget)
        yield from self._curves(where, ends, words, budget)
        if "screen" in self.aim:
            yield self._agreement(where, ends, words, budget)
        for one in self.groups:
            yield self._group(where, one, words, budget)
            yield self._gap(where, one, words, budget)

    def worst_case(
        self, recipes: Sequence[str], ends: Sequence[Sequence[End]], budget: str
    ) -> Measurement:
        """Return the share of texts that at least one recipe breaks: a union, text by text."""
        words = [worst_of([word(end) for end in row]) for row in zip(*ends, strict=True)]
        return self._rate(
            "worst_case_broken",
            {**self.aim, **_several(recipes)},
            "share of attacked texts",
            words,
            "success",
            unattacked,
            budget,
        )

    def not_run(self, recipes: Sequence[str], why: Absent) -> Iterator[Measurement]:
        """Yield what would have been measured, with why it was not."""
        n = len(self.bench.corpus.examples)
        for id in self.claims(recipes):
            metric, where = _taken_apart(id)
            yield Measurement(
                id=id,
                metric=metric,
                where=where,
                value=why,
                unit="",
                eligible=n,
                left_out=(Skip(reason="not run", count=n),) if n else (),
            )

    def examples(self) -> list[Example]:
        """Return the texts that were to be attacked."""
        return [self.bench.corpus.examples[i] for i in self.drawn]

    def _rate(
        self,
        metric: str,
        where: Mapping[str, str],
        unit: str,
        words: Sequence[str],
        hit: str,
        out: Rule,
        budget: str,
        instead: Absent | None = None,
    ) -> Measurement:
        examples = self.examples()
        why = [out(e, w) for e, w in zip(examples, words, strict=True)]
        used = [i for i, reason in enumerate(why) if not reason]
        hits = np.array(
            [words[i] != "wrong" if hit == "right" else words[i] == hit for i in used], dtype=bool
        )
        value = instead or share(hits, [examples[i].cluster for i in used], level=self.bench.level)
        return self._fact(metric, where, value, unit, why, budget)

    def _curves(
        self, where: Mapping[str, str], ends: Sequence[End], words: Sequence[str], budget: str
    ) -> Iterator[Measurement]:
        examples, level = self.examples(), self.bench.level
        why = [unattacked(e, w) for e, w in zip(examples, words, strict=True)]
        kept = [
            (end, e.cluster)
            for end, e, reason in zip(ends, examples, why, strict=True)
            if isinstance(end, Found) and not reason
        ]
        found = [end.outcome == "success" for end, _ in kept]
        clusters = [cluster for _, cluster in kept]
        by_queries = [cost(end, end.queries) for end, _ in kept]
        by_edits = [cost(end, end.edits / max(1, end.words)) for end, _ in kept]
        for at in self.budgets:
            value = found_by(by_queries, found, at, clusters, level=level)
            place = {**where, "budget": str(at)}
            unit = "share of attacked texts broken with at most so many model calls"
            yield self._fact("broken_by", place, value, unit, why, budget)
        for most in self.edit_shares:
            value = found_by(by_edits, found, most, clusters, level=level)
            place = {**where, "edits": f"{most:g}"}
            unit = "share of attacked texts broken with at most such a share of words altered"
            yield self._fact("broken_by_edits", place, value, unit, why, budget)

    def _agreement(
        self, where: Mapping[str, str], ends: Sequence[End], words: Sequence[str], budget: str
    ) -> Measurement:
        """Return how often the copy decided as the model, each text's candidates as one unit."""
        examples = self.examples()
        why = [unattacked(e, w) for e, w in zip(examples, words, strict=True)]
        why = [
            reason or ("" if isinstance(end, Found) and end.verified else "unverified")
            for reason, end in zip(why, ends, strict=True)
        ]
        agreed: list[float] = []
        units: list[str] = []
        for position, e, end, reason in zip(self.drawn, examples, ends, why, strict=True):
            if isinstance(end, Found) and not reason:
                agreed += [1.0] * end.agreed + [0.0] * (end.verified - end.agreed)
                units += [e.cluster or f"text {position}"] * end.verified
        value = stats.mean(np.array(agreed), units, low=0.0, high=1.0, level=self.bench.level)
        unit = "share of the candidates asked of the model on which the copy decided alike"
        return self._fact("screen_agreement", where, value, unit, why, budget)

    def _group(
        self, where: Mapping[str, str], one: Identity, words: Sequence[str], budget: str
    ) -> Measurement:
        examples = self.examples()
        why = self.within(one, words, whole=False)
        used = [i for i, reason in enumerate(why) if not reason]
        hits = np.array([words[i] == "success" for i in used], dtype=bool)
        value = self._few(len(used)) or share(
            hits, [examples[i].cluster for i in used], level=self.bench.level
        )
        place = {**where, **one.where}
        unit = "share of attacked texts"
        return self._fact("broken_within_budget", place, value, unit, why, budget)

    def _gap(
        self, where: Mapping[str, str], one: Identity, words: Sequence[str], budget: str
    ) -> Measurement:
        examples, level = self.examples(), self.bench.level
        why = self.within(one, words, whole=True)
        used = [i for i, reason in enumerate(why) if not reason]
        hits = np.array([words[i] == "success" for i in used], dtype=bool)
        mine = np.array([one.member[self.drawn[i]] for i in used], dtype=bool)
        clusters = [examples[i].cluster for i in used]
        value: Estimate | Absent | None = self._few(min(int(mine.sum()), int((~mine).sum())))
        if value is None and repeats(clusters):
            value = stats.difference_of_means(
                hits.astype(float), mine, clusters, low=0.0, high=1.0, level=level
            )
        elif value is None:
            a, b = hits[mine], hits[~mine]
            value = stats.difference(int(a.sum()), len(a), int(b.sum()), len(b), level=level)
        place = {**where, **one.where, "against": "rest"}
        unit = "difference in the share of attacked texts"
        return self._fact("broken_gap", place, value, unit, why, budget)

    def within(self, one: Identity, words: Sequence[str], *, whole: bool) -> list[str]:
        """Return why each drawn text is left out of a group, or of the group and its rest."""
        why = []
        for position, e, w in zip(self.drawn, self.examples(), words, strict=True):
            reason = unattacked(e, w)
            if not reason and not one.known[position]:
                reason = one.unknown
            if not reason and not whole and not one.member[position]:
                reason = "in another group"
            why.append(reason)
        return why

    def _few(self, n: int) -> Absent | None:
        if n >= self.min_n:
            return None
        return Absent(code="too_few", reason=f"{n} attacked texts, fewer than {self.min_n}")

    def _fact(
        self,
        metric: str,
        where: Mapping[str, str],
        value: Estimate | Absent,
        unit: str,
        why: Sequence[str],
        budget: str,
    ) -> Measurement:
        n = len(self.bench.corpus.examples)
        left = Counter(reason for reason in why if reason)
        left["not drawn"] = n - len(self.drawn)
        return Measurement(
            id=self.bench.id(metric, where),
            metric=metric,
            where=where,
            value=value,
            unit=unit,
            eligible=n,
            left_out=tuple(
                Skip(reason=_LEFT_OUT.get(reason, reason), count=count)
                for reason, count in sorted(left.items())
                if count
            ),
            family=f"{self.bench.probe}.{metric}",
            budget=budget,
        )


def groups_of(bench: Bench, attributes: Sequence[str]) -> list[Identity]:
    """Return the groups that `attributes` name; every one of the corpus where they name none.

    Raises:
        ConfigError: If an attribute is not there, or is called as a part of an id is.
    """
    examples = bench.corpus.examples
    there = sorted({name for e in examples for name in e.groups})
    for name in attributes or there:
        if name in _TAKEN:
            raise ConfigError(
                f"An attribute cannot be called {name!r}: ids of the attack use that word.",
                hint="Give it another name under [corpora.test.groups].",
            )
    return identities.of_columns(examples, attributes or there)


def labelled(bench: Bench) -> bool:
    """Return whether any audited text has a true label."""
    return any(e.label is not None for e in bench.corpus.examples)


def word(end: End) -> str:
    """Return how a search ended in one word; a crash as a reason to be counted by."""
    if end is None:
        return "wrong"
    return f"search failed ({end})" if isinstance(end, Failure) else end.outcome


def unended(e: Example, w: str) -> str:
    """Why a search says nothing of how searches end."""
    return "" if w in ("success", "failed") else w


def unattacked(e: Example, w: str) -> str:
    """Why a text is not among those attacked."""
    return "" if w == "censored" else unended(e, w)


def unmeasured(e: Example, w: str) -> str:
    """Why a text is not among those with a label whose end is known."""
    return "no label" if e.label is None else "" if w == "wrong" else unattacked(e, w)


def cost(end: Found, reached: float) -> float:
    """Return what a search cost, for `survival.found_by`."""
    # A whole search that found nothing would find nothing at any cost.
    return NEVER if end.outcome == "failed" else float(reached)


def worst_of(words: Sequence[str]) -> str:
    """Return how a text fared over all recipes; a crash hides whether it would have held."""
    if "success" in words:
        return "success"
    crashed = [w for w in words if w.startswith("search failed")]
    if crashed:
        return crashed[0]
    return next(w for w in ("wrong", "skipped", "censored", "failed", *words) if w in words)


def _several(recipes: Sequence[str]) -> dict[str, str]:
    return {"recipe": "+".join(recipes)}


def _taken_apart(id: str) -> tuple[str, dict[str, str]]:
    from urllib.parse import unquote

    name, _, inner = id.partition("[")
    pairs = (part.split("=", 1) for part in inner.removesuffix("]").split(",") if part)
    return name.partition(".")[2], {unquote(k): unquote(v) for k, v in pairs}

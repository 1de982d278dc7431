"""Can a search for small changes turn a decision that was right?

Attacks texts with a published recipe through TextAttack, each with its own randomness and its own
budget of queries, and counts how the searches end. A search that the budget ends is *censored*: it
is never counted as robust, neither in a numerator nor by leaving it out of what must be kept.

    attack_success_rate     broken, of the searches that came to an end by themselves; censored ones
                            are left out and counted. As searches that succeed end sooner, this is
                            rather too high than too low where many are censored.
    broken_within_budget    broken, of all attacked texts: what the literature reports, and a lower
                            bound of what a longer search finds.
    robust_accuracy         right before and unbroken after a whole search, of all texts with a
                            label; censored ones count as not robust, so it is a lower bound.
    valid_success_rate      the same as the first, successes that the filters throw out counted as
                            failures
    rated_success_rate      the same, by a human's ratings of a sample
    clean_accuracy          right before, of the same texts.
    broken_by               the curve: broken with at most so many model calls
    broken_by_edits         the curve: broken with at most such a share of the words altered; a
                            search that the budget ends is censored at what it had altered by then.
    broken_gap              how much easier a group's texts are to break than the others'
    worst_case_broken       broken by at least one of several recipes, text by text
    screen_agreement        where an 8-bit copy ranks the candidates: of those the model itself was
                            asked about, the share on which the copy had decided alike

Texts that are decided wrongly are not attacked; without labels, the model's own decision is. A text
in which the recipe can change nothing says nothing and is left out.

Source: Morris et al. (2020), arXiv:2005.05909 (TextAttack); each recipe names its own paper in
`audit/attack_recipes.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from audit import attacks, quantised, validity
from audit.attacks import Found, Target, decided_for
from audit.bench import Bench, Planned
from audit.borrowed_recipes import find
from audit.breaking import Breaking, End, groups_of
from audit.decision import Decided, correct, decided_at
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.masked import MaskedWords
from audit.perturbation import shown
from audit.power import mde_share
from audit.pulls import of_searches, of_worst
from audit.scorer import Scorer
from audit.types import Absent, Cases, Example, Fact, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Share of right decisions that an adversarial search turns, and the accuracy that is left."""

    name: ClassVar[str] = "attack"
    version: ClassVar[str] = "3"
    needs: ClassVar[frozenset[str]] = frozenset({"textattack"})

    recipe: str = "deepwordbug"
    """Typing slips: ``deepwordbug``, ``pruthi``. Near words: ``pwws``, ``textfooler``, ``genetic``
    (these want WordNet, the last two the packaged encoder as well). Both: ``textbugger``.
    Inflections: ``morpheus``. Contractions and numbers: ``checklist``. Words of a masked language
    model: ``bae``, ``bertattack``. Any of TextAttack's own:
    ``textattack:BAEGarg2019``, or ``textattack:package.module:Class`` of yours."""
    recipes: tuple[str, ...] = ()
    """Several of them instead of `recipe`; then ``worst_case_broken`` is measured too."""
    target: str | None = None
    """Label that the decision is to be turned to (multi-label: that is to apply); None: any change
    of the decision counts."""
    texts: int | None = 100
    """Texts to attack, drawn at random; None: all of them."""
    max_queries: int = 300
    """Model calls one search may make."""
    budgets: tuple[int, ...] | None = None
    """Model calls at which the curve is read, up to `max_queries`; None: a tenth, a quarter, half
    and all of them."""
    edit_shares: tuple[float, ...] = (0.1, 0.2, 0.4)
    """Shares of a text's words at which the other curve is read."""
    attributes: tuple[str, ...] = ()
    """Group columns whose texts are compared; empty: every one."""
    filters: tuple[Literal["opposites", "likeness", "fluency"], ...] = ()
    """What a valid success passes: no word turned into its opposite (WordNet), a sentence still
    alike by the packaged encoder, one that `causal_lm` finds little odder than the original. Those
    whose resource is missing make the rate absent."""
    likeness: float = 0.8
    """Least cosine of the two sentences' vectors, in (-1, 1]."""
    causal_lm: str | None = None
    """Folder of a causal language model, for the filter ``fluency``: named as `masked_lm` is."""
    perplexity: float = 1.5
    """Most times the original's perplexity that ``fluency`` lets pass, at least 1."""
    ratings: str | None = None
    """Name of a table ``[corpora.NAME]`` with a human's ratings: `id` is the column ``sample``, the
    group attribute ``valid`` says yes or no. `evenhand rate` writes the sheet."""
    min_n: int = 10
    """Fewer texts that were decided rightly, or fewer attacked texts of a group, give no rate."""
    masked_lm: str | None = None
    """Folder of a masked language model, for ``bae`` and ``bertattack``: as it stands, or from
    where the audit is started."""
    same_part: bool = False
    """Whether a swapped word must share a part of speech with the old one (WordNet), in every
    recipe; ``textfooler`` and ``bae`` demand it anyhow."""
    screen: Literal["int8"] | None = None
    """``int8``: an 8-bit copy of the model ranks the candidates, which is quicker on a processor;
    every step taken and every success is asked of the model itself. Then `max_queries` counts what
    the copy is asked, and a search that fails says less: the copy may have misled it."""
    width: int = 32
    """Searches in flight; moves speed and memory, no result."""

    def __post_init__(self) -> None:
        for name in self._recipes:
            find(name)
        if len(set(self.recipes)) < len(self.recipes):
            raise ValueError("recipes names one twice")
        if self.recipes and self.recipe not in ("deepwordbug", *self.recipes):
            raise ValueError("set recipe or recipes, not both")
        if self.texts is not None and self.texts < 1:
            raise ValueError("texts must be at least 1")
        if self.max_queries < 2 or self.width < 1:
            raise ValueError("max_queries must be at least 2 and width at least 1")
        if any(not 1 <= b <= self.max_queries for b in self.budgets or ()):
            raise ValueError("budgets must lie between 1 and max_queries")
        if any(not 0 < share <= 1 for share in self.edit_shares):
            raise ValueError("edit_shares must lie in (0, 1]")
        if len(set(self.filters)) < len(self.filters) or not -1 < self.likeness <= 1:
            raise ValueError("filters names one twice, or likeness is outside (-1, 1]")
        if self.perplexity < 1:
            raise ValueError("perplexity must be at least 1")
        if self.min_n < 1:
            raise ValueError("min_n must be at least 1")

    def plan(self, bench: Bench) -> Planned:
        self._missing(bench)
        self._wanted(bench)
        drawn = self._drawn(bench)
        n = len(drawn)
        ids = self._breaking(bench, drawn).claims(self._recipes)
        smallest = mde_share(n, 0.1)
        return Planned(
            units=n,
            # The text before, each recipe's search, and what it found once more for its case.
            queries=n * (1 + len(self._recipes) * (self.max_queries + 1)),
            claims=ids,
            mde={} if smallest is None else dict.fromkeys(ids, smallest),
            upper_bound=True,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        missing = self._missing(bench)
        wanted = self._wanted(bench)
        drawn = self._drawn(bench)
        examples = [bench.corpus.examples[i] for i in drawn]
        decided = bench.decide(bench.scorer([e.input for e in examples]))
        aimed = self._aimed(bench, examples, decided)
        breaking = self._breaking(bench, drawn)
        copy = self._copy(bench)
        found: list[list[End]] = []
        for name in self._recipes:
            if name not in missing:
                try:
                    ends = self._search(bench, copy, name, examples, decided, aimed, wanted)
                except Unsupported as reason:
                    if len(missing) + 1 == len(self._recipes):
                        raise
                    missing[name] = _not_run(reason)
            if name in missing:
                yield from breaking.not_run([name], missing[name])
                continue
            found.append(ends)
            yield from breaking.of(
                name,
                ends,
                f"{name}, {self._allowed}",
                passed=self._passed(bench, examples, ends),
                samples=self._samples(bench, name, examples, ends),
            )
            yield from of_searches(breaking, name, ends)
            yield from self._cases(bench, name, examples, decided.score, ends)
        if len(self._recipes) > 1:
            worst = breaking.worst_case(self._recipes, found, self._allowed)
            # The union of fewer attacks than were asked for would pass for that of all.
            yield replace(worst, value=next(iter(missing.values()))) if missing else worst
            if not missing:
                yield of_worst(breaking, self._recipes, found)

    @property
    def _recipes(self) -> tuple[str, ...]:
        return self.recipes or (self.recipe,)

    @property
    def _allowed(self) -> str:
        whom = "model calls" if self.screen is None else f"calls of the {self.screen} copy"
        return f"at most {self.max_queries} {whom} a text"

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that move the facts and stand in no corpus."""
        folders = [Path(one) for one in (self.masked_lm, self.causal_lm) if one is not None]
        return tuple(sorted(p for one in folders for p in one.glob("*.*") if p.is_file()))

    @property
    def _masked_lm(self) -> Path | None:
        return None if self.masked_lm is None else Path(self.masked_lm)

    def _proposer(self, name: str) -> MaskedWords | None:
        folder = self._masked_lm
        wanted = folder is not None and "masked_lm" in find(name).needs
        return MaskedWords(folder) if wanted and folder is not None else None

    def _copy(self, bench: Bench) -> Scorer | None:
        """Return who ranks the candidates; None: the model itself."""
        if self.screen is None:
            return None
        scorer = bench.scorer
        return scorer.beside(
            quantised.later(
                scorer.labels, scorer.head, scorer.fingerprint, lambda: scorer.classifier
            )
        )

    def _breaking(self, bench: Bench, drawn: Sequence[int]) -> Breaking:
        most = self.max_queries
        budgets = {max(2, most // part) for part in (10, 4, 2, 1)}
        return Breaking(
            bench=bench,
            drawn=drawn,
            budgets=sorted(set(self.budgets) if self.budgets is not None else budgets),
            edit_shares=sorted(set(self.edit_shares)),
            groups=groups_of(bench, self.attributes),
            min_n=self.min_n,
            aim={
                **({} if self.target is None else {"target": self.target}),
                **({"part": "kept"} if self.same_part else {}),
                **({} if self.screen is None else {"screen": self.screen}),
            },
            filters="+".join(sorted(self.filters)),
            rated=self._rated(bench),
        )

    def _rated(self, bench: Bench) -> dict[str, bool] | None:
        if self.ratings is None:
            return None
        corpus = bench.corpora.get(self.ratings)
        if corpus is None:
            raise ConfigError(
                f"There is no table [corpora.{self.ratings}] of ratings.",
                hint=did_you_mean(self.ratings, sorted(bench.corpora)),
            )
        return validity.read_ratings({e.id: e.groups.get("valid", "") for e in corpus.examples})

    def _samples(
        self, bench: Bench, name: str, examples: Sequence[Example], ends: Sequence[End]
    ) -> list[str]:
        metric = self._breaking(bench, ()).claims([name])[0]
        return [
            validity.sample_id(metric, e.id, shown(e.input), shown(end.text))
            for e, end in zip(examples, ends, strict=True)
            if isinstance(end, Found) and end.outcome == "success"
        ]

    def _passed(
        self, bench: Bench, examples: Sequence[Example], ends: Sequence[End]
    ) -> list[bool] | Absent:
        """Return whether each text's success passes the filters."""
        passed = [True] * len(ends)
        some = [
            (i, shown(examples[i].input), shown(end.text))
            for i, end in enumerate(ends)
            if isinstance(end, Found) and end.outcome == "success"
        ]
        try:
            kept = validity.passed(
                [(before, after) for _, before, after in some],
                self.filters,
                resources=bench.resources,
                likeness=self.likeness,
                causal_lm=None if self.causal_lm is None else Path(self.causal_lm),
                perplexity=self.perplexity,
            )
        except Unsupported as reason:
            return _not_run(reason)
        for (i, _, _), good in zip(some, kept, strict=True):
            passed[i] = good
        return passed

    def _wanted(self, bench: Bench) -> int | None:
        labels = bench.decision.labels
        if self.target is not None and self.target not in labels:
            raise ConfigError(
                f"The target {self.target!r} is not a label of the model.",
                hint=did_you_mean(self.target, labels),
            )
        return None if self.target is None else labels.index(self.target)

    def _missing(self, bench: Bench) -> dict[str, Absent]:
        """Return the recipes that cannot run here, and why; at least one other can."""
        missing: dict[str, Absent] = {}
        for name in self._recipes:
            try:
                attacks.check(find(name), bench.resources, self._masked_lm)
            except Unsupported as reason:
                if len(missing) + 1 == len(self._recipes):
                    raise
                missing[name] = _not_run(reason)
        return missing

    def _drawn(self, bench: Bench) -> list[int]:
        """Return positions of the texts to attack, in the order of the corpus."""
        examples = bench.corpus.examples
        if self.texts is None or self.texts >= len(examples):
            return list(range(len(examples)))
        # Each text has its own lot, so that adding or dropping one moves at most one other.
        lots = [(bench.rng("sample", e.id).random(), e.id, i) for i, e in enumerate(examples)]
        return sorted(i for _, _, i in sorted(lots)[: self.texts])

    def _aimed(self, bench: Bench, examples: Sequence[Example], decided: Decided) -> list[int]:
        """Return which of the drawn texts were decided rightly, or have no label."""
        known = np.array([i for i, e in enumerate(examples) if e.label is not None], dtype=np.intp)
        right = np.ones(len(examples), dtype=bool)
        right[known] = correct(
            bench.decision, decided_at(decided, known), tuple(examples[i] for i in known)
        )
        return [int(i) for i in np.flatnonzero(right)]

    def _search(
        self,
        bench: Bench,
        copy: Scorer | None,
        name: str,
        examples: Sequence[Example],
        decided: Decided,
        aimed: Sequence[int],
        wanted: int | None,
    ) -> list[End]:
        """Attack the texts at `aimed` and return how each of all texts fared."""
        ends: list[End] = [None] * len(examples)
        if wanted is not None:
            for i in aimed:
                if decided_for(bench.decision, int(decided.label[i]), wanted):
                    ends[i] = Found(outcome="skipped", text=examples[i].input, queries=0)
            aimed = [i for i in aimed if ends[i] is None]
        targets = [
            Target(
                text=examples[i].input,
                truth=int(decided.label[i]),
                rng=bench.rng(name, examples[i].id),
                wanted=wanted,
            )
            for i in aimed
        ]
        searches = attacks.attack(
            targets,
            find(name),
            bench.scorer,
            bench.decision,
            max_queries=self.max_queries,
            width=self.width,
            resources=bench.resources,
            screen=copy,
            masked=self._proposer(name),
            parts_kept=self.same_part,
        )
        before = self._recipes.index(name) * len(targets)
        for done, (position, end) in enumerate(searches, start=1 + before):
            ends[aimed[position]] = end
            bench.progress(done, len(self._recipes) * len(targets))
        return ends

    def _cases(
        self,
        bench: Bench,
        name: str,
        examples: Sequence[Example],
        before: Floats,
        ends: Sequence[End],
    ) -> Iterator[Cases]:
        shownable = [
            (i, end)
            for i, end in enumerate(ends)
            if isinstance(end, Found) and end.text != examples[i].input
        ]
        after = bench.decide(bench.scorer([end.text for _, end in shownable]))
        # The model's digest goes with the text: `replay` says what it was found on.
        model = bench.scorer.fingerprint[:12]
        yield Cases(
            metric=self._breaking(bench, ()).claims([name])[0],
            example_id=[examples[i].id for i, _ in shownable],
            cluster=[examples[i].cluster for i, _ in shownable],
            before=[shown(examples[i].input) for i, _ in shownable],
            after=[shown(end.text) for _, end in shownable],
            score_before=before[[i for i, _ in shownable]] if shownable else [],
            score_after=after.score,
            flipped=[end.outcome == "success" for _, end in shownable],
            note=[
                f"{name}: {end.outcome} after {end.queries} queries, "
                f"{end.edits} of {end.words} words, model {model}"
                for _, end in shownable
            ],
        )


def _not_run(reason: Unsupported) -> Absent:
    return Absent(code="not_run", reason=f"not run: {reason} Get it by: {reason.hint}")

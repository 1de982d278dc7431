"""Adversarial searches: TextAttack's parts, one attack per text, all of them in lockstep.

Transformations, constraints and search methods are TextAttack's. The goal is ours, because a
decision may hang on a threshold or on several labels at once; where the top label decides it is
`UntargetedClassification`, query by query. TextAttack's `Attacker` is not used.
"""

import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audit import foreign, languagemodel, lockstep
from audit import masked as masking
from audit.attack_recipes import SENTENCES, Kit, Recipe, same_part
from audit.decision import decide
from audit.errors import Unsupported
from audit.resources import GET_WORDNET, Resources
from audit.similarity import SentenceVectors
from audit.types import Decision, Floats, Text

Outcome = Literal["success", "failed", "censored", "unchangeable", "skipped"]
QUICK = "quick copy"
"""Whom a screened search asks for the ranking, in `lockstep.run`."""
_TRIES = 3
"""Candidates of one request that the model itself is asked about at most."""
_ALL_AT_ONCE = 2**31
"""Above any request: TextAttack must not cut into batches what lockstep merges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A text to attack."""

    text: Text
    truth: int
    """The decision to be changed, as `Decided.label` numbers it."""
    rng: np.random.Generator
    wanted: int | None = None
    """Position in `Decision.labels` of the label to be decided for (multi-label: to apply); None:
    any changed decision will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How one search ended."""

    outcome: Outcome
    """``success``: the decision changed. ``failed``: the whole search found nothing. ``censored``:
    the query budget ended it, so nobody knows. ``unchangeable``: not one candidate could be made.
    ``skipped``: the decision was another one from the start."""
    text: Text
    """The best text that was found; the original when nothing came nearer to the goal."""
    queries: int
    """Texts scored for this search, the original included, repeats counted. A screened search has
    them scored by the copy; what the model was asked besides stands in `verified`."""
    edits: int = 0
    """Words of `text` that are not the original's, deleted ones included."""
    words: int = 0
    """Words of the original."""
    verified: int = 0
    """Candidates of a screened search that the model itself was asked about."""
    agreed: int = 0
    """Those on which the copy had decided as the model does."""


def check(chosen: Recipe, resources: Resources, masked_lm: Path | None = None) -> None:
    """Look whether a recipe can run here, without importing anything.

    `masked_lm` is the folder of the masked language model that the user named, if one was.

    Raises:
        Unsupported: If TextAttack or a resource is missing.
    """
    if importlib.util.find_spec("textattack") is None:
        raise Unsupported("TextAttack is not installed.", hint="pip install textattack")
    if "wordnet" in chosen.needs and resources.wordnet_source() is None:
        raise Unsupported(
            f"The recipe {chosen.name} needs WordNet, which is not on this machine.",
            hint=GET_WORDNET,
        )
    if "encoder" in chosen.needs:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise Unsupported(
                f"The recipe {chosen.name} needs sentence-transformers, which is not installed.",
                hint="pip install sentence-transformers",
            )
        resources.encoder()
    if "masked_lm" in chosen.needs:
        if masked_lm is None:
            raise Unsupported(
                f"The recipe {chosen.name} needs a masked language model, and none is named.",
                hint=masking.GET_MASKED_LM,
            )
        languagemodel.check(masked_lm, "masked", masking.GET_MASKED_LM)


def attack(
    targets: Sequence[Target],
    chosen: Recipe,
    score: Callable[[Sequence[Text]], Floats],
    rule: Decision,
    *,
    max_queries: int | None = None,
    width: int = 32,
    resources: Resources | None = None,
    sentences: lockstep.Answer | None = None,
    screen: lockstep.Answer | None = None,
    masked: masking.MaskedWords | None = None,
    parts_kept: bool = False,
) -> Iterator[tuple[int, Found | lockstep.Failure]]:
    """Attack every target and yield ``(position, how it ended)`` as each ends.

    Args:
        targets: The texts, each with the randomness of its search.
        chosen: The recipe.
        score: Answers texts with scores, shape ``(n, len(rule.labels))``: usually a `Scorer`.
        rule: What a changed decision is.
        max_queries: Queries a search may make, the first one on the original included; None: as
            many as it likes.
        width: Searches in flight.
        resources: Where WordNet and the encoder are looked for.
        sentences: Answers texts with sentence vectors; None: the packaged encoder.
        screen: Answers as `score` does, quicker and nearly the same: a copy that ranks candidates.
            What is best by it is asked of `score`, until the best is one that `score` answered,
            three times at most; the rest then stands behind it and counts as no success. So every
            step a search takes and every success it ends with is the model's own. None: `score`
            answers everything.
        masked: The masked language model that recipes of its kind propose words with.
        parts_kept: Whether a swapped word must share a part of speech with the old one, by WordNet.

    Raises:
        Unsupported: If TextAttack or a resource of the recipe is missing.
    """
    if not targets:
        return iter(())
    resources = resources or Resources()
    wordnet = (
        parts_kept
        or "wordnet" in chosen.needs
        or (chosen.ready is not None and resources.wordnet_source() is not None)
    )
    ta = foreign.textattack(resources, wordnet=wordnet)
    if chosen.ready is not None:
        chosen.ready(ta)
    others: dict[str, lockstep.Answer] = {}
    if "encoder" in chosen.needs:
        others[SENTENCES] = sentences or SentenceVectors(resources.encoder())
    if screen is not None:
        others[QUICK] = screen
    if masked is not None:
        others[masking.MASKED] = masked

    def search(target: Target) -> Callable[[lockstep.Ask], Found]:
        def start(ask: lockstep.Ask) -> Found:
            kit = Kit(ta=ta, ask=ask, resources=resources, masked=masked)
            return _search(
                kit,
                chosen,
                target,
                rule,
                max_queries,
                screened=screen is not None,
                parts_kept=parts_kept,
            )

        return start

    return lockstep.run(
        (search(target) for target in targets),
        score,
        others=others,
        width=width,
        rngs=(target.rng for target in targets),
    )


def _search(
    kit: Kit,
    chosen: Recipe,
    target: Target,
    rule: Decision,
    max_queries: int | None,
    *,
    screened: bool,
    parts_kept: bool,
) -> Found:
    ta = kit.ta
    goal = changed_decision(ta)(kit.ask, rule, max_queries, target.wanted, screened=screened)
    with foreign.no_downloads():
        transformation, constraints, method = chosen.parts(kit)
    if parts_kept:
        constraints = [*constraints, same_part(ta)(False)]
    made = ta.Attack(goal, constraints, transformation, method)
    candidates = 0
    transform = method.get_transformations

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal candidates
        some = transform(*args, **kwargs)
        candidates += len(some)
        return some

    method.get_transformations = counted
    if screened:
        goal.let_rank(method)
    text = target.text
    given = (
        text if isinstance(text, str) else OrderedDict(zip(("text", "second"), text, strict=True))
    )
    result = made.attack(given, target.truth)
    outcome: Outcome
    if isinstance(result, ta.attack_results.SuccessfulAttackResult):
        outcome = "success"
    elif isinstance(result, ta.attack_results.SkippedAttackResult):
        outcome = "skipped"
    elif max_queries is not None and goal.num_queries >= max_queries:
        # Perhaps the search was just then over by itself; nobody can tell, so it is not called so.
        outcome = "censored"
    else:
        outcome = "failed" if candidates else "unchangeable"
    best = result.perturbed_result.attacked_text
    return Found(
        outcome=outcome,
        text=best.tokenizer_input,
        queries=goal.num_queries,
        edits=_edits(best),
        words=result.original_result.attacked_text.num_words,
        verified=goal.verified,
        agreed=goal.agreed,
    )


def _edits(text: Any) -> int:
    deleted = int((text.attack_attrs["original_index_map"] == -1).sum())
    return len(text.attack_attrs["modified_indices"]) + deleted


@cache
def changed_decision(ta: Any) -> Any:
    """Return the class of our goal function: ``goal(ask, rule, max_queries, wanted, screened=…)``.

    It is reached when the decision differs from the target's. The score to climb is one less the
    probability of the label decided at first (single head), or how near the nearest label is to
    changing sides of the threshold (multi-label). With a label that is `wanted` it is reached when
    that one is decided for or applies, and its probability is climbed. Rows are float64 and sum to
    1: TextAttack would softmax a whole request again if one row missed 1 by 1e-6.
    """

    class ChangedDecision(ta.goal_functions.ClassificationGoalFunction):  # type: ignore[misc]
        def __init__(
            self,
            ask: lockstep.Ask,
            rule: Decision,
            max_queries: int | None,
            wanted: int | None = None,
            *,
            screened: bool = False,
        ) -> None:
            self.rule, self.wanted, self.screened = rule, wanted, screened
            self.quick, self.ranking = _Asking(ask, QUICK), False
            self.verified = self.agreed = 0
            super().__init__(
                _Asking(ask),
                use_cache=False,
                query_budget=float("inf") if max_queries is None else max_queries,
                model_batch_size=_ALL_AT_ONCE,
            )

        def _call_model_uncached(self, texts: Sequence[Any]) -> list[tuple[Floats, int]]:
            return self._answers(self.quick if self.screened else self.model, texts)

        def _answers(self, asked: _Asking, texts: Sequence[Any]) -> list[tuple[Floats, int]]:
            if not texts:
                return []
            scores = asked([text.tokenizer_input for text in texts])
            labels = decide(self.rule, scores).label.tolist()
            if self.rule.head == "single":
                scores = scores / scores.sum(axis=1, keepdims=True)
            return list(zip(scores, labels, strict=True))

        def init_attack_example(self, attacked_text: Any, ground_truth_output: int) -> Any:
            # What stands at the start is no candidate: the model itself is asked.
            screened, self.screened = self.screened, False
            try:
                return super().init_attack_example(attacked_text, ground_truth_output)
            finally:
                self.screened = screened

        def get_results(self, texts: list[Any], check_skip: bool = False) -> Any:
            results, over = super().get_results(texts, check_skip)
            if self.screened and not self.ranking:
                self._verify(results)
            return results, over

        def _verify(self, results: list[Any]) -> None:
            """Ask the model itself about the best, and let no other stand before them."""
            done: set[int] = set()
            while results and len(done) < _TRIES:
                best = max(range(len(results)), key=lambda i: (results[i].score, -i))
                if best in done:
                    break
                one = results[best]
                (output,) = self._answers(self.model, [one.attacked_text])
                self.agreed += output[1] == one.raw_output[1]
                one.raw_output, one.output = output, self._get_displayed_output(output)
                one.goal_status = self._get_goal_status(output, one.attacked_text)
                one.score = self._get_score(output, one.attacked_text)
                done.add(best)
            self.verified += len(done)
            top = max((results[i].score for i in done), default=0.0)
            for i, one in enumerate(results):
                if i not in done:
                    one.score = min(one.score, float(np.nextafter(top, -np.inf)))
                    one.goal_status = ta.goal_function_results.GoalFunctionResultStatus.SEARCHING

        def let_rank(self, method: Any) -> None:
            """Leave the ranking of a text's words, where there is one, to the copy alone."""
            order = getattr(method, "_get_index_order", None)
            if order is None:
                return

            def ranked(*args: Any, **named: Any) -> Any:
                self.ranking = True
                try:
                    return order(*args, **named)
                finally:
                    self.ranking = False

            method._get_index_order = ranked

        def _is_goal_complete(self, output: tuple[Floats, int], _: Any) -> bool:
            if self.wanted is None:
                return bool(output[1] != self.ground_truth_output)
            return bool(decided_for(self.rule, output[1], self.wanted))

        def _get_score(self, output: tuple[Floats, int], _: Any) -> float:
            row, truth = output[0], self.ground_truth_output
            if self.wanted is not None:
                return float(row[self.wanted])
            if self.rule.head == "single":
                return 1 - float(row[truth])
            applied = (truth >> np.arange(len(row))) & 1
            middle = 0.5 if self.rule.threshold is None else self.rule.threshold
            return float(np.where(applied, middle - row, row - middle).max())

        def _get_displayed_output(self, output: tuple[Floats, int]) -> int:
            return output[1]

    # Its table of goals and the models they suit: it would warn of an unknown goal at every search.
    ta.shared.validators.MODELS_BY_GOAL_FUNCTION[ChangedDecision] = [r".*"]
    return ChangedDecision


def decided_for(rule: Decision, label: int, wanted: int) -> bool:
    """Return whether a decision, numbered as `Decided.label` is, is for the label at `wanted`."""
    return bool(label >> wanted & 1) if rule.head == "multi" else label == wanted


class _Asking:
    """What TextAttack takes for a model."""

    model = None

    def __init__(self, ask: lockstep.Ask, of: str = "") -> None:
        self._ask, self._of = ask, of

    def __call__(self, texts: Sequence[Text]) -> Floats:
        return self._ask(texts, self._of)

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
from typing import Any, Literal

import numpy as np

from audit import foreign, lockstep
from audit.decision import decide
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.resources import GET_WORDNET, Resources
from audit.types import Decision, Floats, Text

Outcome = Literal["success", "failed", "censored", "unchangeable", "skipped"]
Parts = tuple[Any, list[Any], Any]
"""Transformation, constraints, search method."""

_ALL_AT_ONCE = 2**31
"""Above any request: TextAttack must not cut into batches what lockstep merges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One attack from the literature, as TextAttack composes it."""

    name: str
    source: str
    parts: Callable[[Any], Parts]
    """Takes the imported `textattack`, returns new parts: a search may keep state in them."""
    wordnet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A text to attack."""

    text: Text
    truth: int
    """The decision to be changed, as `Decided.label` numbers it."""
    rng: np.random.Generator


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
    """Texts scored for this search, the original included, repeats counted."""


def _deepwordbug(ta: Any) -> Parts:
    words, before = ta.transformations, ta.constraints.pre_transformation
    transformation = words.CompositeTransformation(
        [
            words.WordSwapNeighboringCharacterSwap(),
            words.WordSwapRandomCharacterSubstitution(),
            words.WordSwapRandomCharacterDeletion(),
            words.WordSwapRandomCharacterInsertion(),
        ]
    )
    constraints = [
        before.RepeatModification(),
        before.StopwordModification(),
        ta.constraints.overlap.LevenshteinEditDistance(30),
    ]
    return transformation, constraints, ta.search_methods.GreedyWordSwapWIR()


def _pwws(ta: Any) -> Parts:
    before = ta.constraints.pre_transformation
    constraints = [before.RepeatModification(), before.StopwordModification()]
    search = ta.search_methods.GreedyWordSwapWIR("weighted-saliency")
    return ta.transformations.WordSwapWordNet(), constraints, search


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="deepwordbug",
            source="Gao et al. (2018), arXiv:1801.04354",
            parts=_deepwordbug,
        ),
        Recipe(
            name="pwws",
            source="Ren et al. (2019), ACL, https://aclanthology.org/P19-1103",
            parts=_pwws,
            wordnet=True,
        ),
    )
}


def recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in RECIPES:
        raise ConfigError(f"There is no attack recipe {name!r}.", hint=did_you_mean(name, RECIPES))
    return RECIPES[name]


def check(chosen: Recipe, resources: Resources) -> None:
    """Look whether a recipe can run here, without importing anything.

    Raises:
        Unsupported: If TextAttack or a resource is missing.
    """
    if importlib.util.find_spec("textattack") is None:
        raise Unsupported("TextAttack is not installed.", hint="pip install textattack")
    if chosen.wordnet and resources.wordnet_source() is None:
        raise Unsupported(
            f"The recipe {chosen.name} needs WordNet, which is not on this machine.",
            hint=GET_WORDNET,
        )


def attack(
    targets: Sequence[Target],
    chosen: Recipe,
    score: Callable[[Sequence[Text]], Floats],
    rule: Decision,
    *,
    max_queries: int | None = None,
    width: int = 32,
    resources: Resources | None = None,
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
        resources: Where WordNet is looked for.

    Raises:
        Unsupported: If TextAttack or a resource of the recipe is missing.
    """
    if not targets:
        return iter(())
    ta = foreign.textattack(resources, wordnet=chosen.wordnet)

    def search(target: Target) -> Callable[[lockstep.Ask], Found]:
        return lambda ask: _search(ta, chosen, target, ask, rule, max_queries)

    return lockstep.run(
        (search(target) for target in targets),
        score,
        width=width,
        rngs=(target.rng for target in targets),
    )


def _search(
    ta: Any,
    chosen: Recipe,
    target: Target,
    ask: lockstep.Ask,
    rule: Decision,
    max_queries: int | None,
) -> Found:
    goal = changed_decision(ta)(ask, rule, max_queries)
    with foreign.no_downloads():
        transformation, constraints, method = chosen.parts(ta)
    made = ta.Attack(goal, constraints, transformation, method)
    candidates = 0
    transform = method.get_transformations

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal candidates
        some = transform(*args, **kwargs)
        candidates += len(some)
        return some

    method.get_transformations = counted
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
    return Found(
        outcome=outcome,
        text=result.perturbed_result.attacked_text.tokenizer_input,
        queries=goal.num_queries,
    )


@cache
def changed_decision(ta: Any) -> Any:
    """Return the class of our goal function: ``goal(ask, rule, max_queries)``.

    It is reached when the decision differs from the target's. The score to climb is one less the
    probability of the label decided at first (single head), or how near the nearest label is to
    changing sides of the threshold (multi-label). Rows are float64 and sum to 1: TextAttack would
    softmax a whole request again if one row missed 1 by 1e-6.
    """

    class ChangedDecision(ta.goal_functions.ClassificationGoalFunction):  # type: ignore[misc]
        def __init__(self, ask: lockstep.Ask, rule: Decision, max_queries: int | None) -> None:
            self.rule = rule
            super().__init__(
                _Asking(ask),
                use_cache=False,
                query_budget=float("inf") if max_queries is None else max_queries,
                model_batch_size=_ALL_AT_ONCE,
            )

        def _call_model_uncached(self, texts: Sequence[Any]) -> list[tuple[Floats, int]]:
            if not texts:
                return []
            scores = self.model([text.tokenizer_input for text in texts])
            labels = decide(self.rule, scores).label.tolist()
            if self.rule.head == "single":
                scores = scores / scores.sum(axis=1, keepdims=True)
            return list(zip(scores, labels, strict=True))

        def _is_goal_complete(self, output: tuple[Floats, int], _: Any) -> bool:
            return bool(output[1] != self.ground_truth_output)

        def _get_score(self, output: tuple[Floats, int], _: Any) -> float:
            row, truth = output[0], self.ground_truth_output
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


class _Asking:
    """What TextAttack takes for a model."""

    model = None

    def __init__(self, ask: lockstep.Ask) -> None:
        self._ask = ask

    def __call__(self, texts: Sequence[Text]) -> Floats:
        return self._ask(texts)

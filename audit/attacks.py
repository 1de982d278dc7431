"""TextAttack's searches, asked through our scorer: one attack per text, many texts at once."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audit import foreign, lockstep
from audit.decision import decide
from audit.resources import Resources
from audit.types import Decision, Floats, Text

Outcome = Literal["success", "failed", "censored", "skipped"]
Ask = lockstep.Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """An attack recipe of TextAttack that runs without downloads."""

    module: str
    cls: str
    wordnet: bool
    source: str


RECIPES: Mapping[str, Recipe] = {
    "deepwordbug": Recipe(
        module="textattack.attack_recipes.deepwordbug_gao_2018",
        cls="DeepWordBugGao2018",
        wordnet=False,
        source="Gao et al. (2018), arXiv:1801.04354",
    ),
    "pwws": Recipe(
        module="textattack.attack_recipes.pwws_ren_2019",
        cls="PWWSRen2019",
        wordnet=True,
        source="Ren et al. (2019), ACL, https://aclanthology.org/P19-1103",
    ),
}
# Above any request: a request is answered whole, whatever TextAttack would have cut it into.
_ONE_BATCH = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """What became of one text."""

    outcome: Outcome
    """``censored``: the query budget ran out first, which is no robustness."""
    text: str
    """The last text of the search: the changed one on success."""
    queries: int
    label: int
    """The decision that was attacked, as `Decided.label`."""


def attack(
    texts: Sequence[str],
    score: Callable[[Sequence[Text]], Floats],
    decision: Decision,
    recipe: str,
    *,
    max_queries: int | None,
    rngs: Sequence[np.random.Generator],
    resources: Resources,
    width: int = 32,
) -> Iterator[tuple[int, Attacked | lockstep.Failure]]:
    """Attack each text's own decision and yield ``(position, outcome)`` as each search ends.

    Args:
        texts: What to attack.
        score: Answers requests, shape ``(n, k)``; usually the scorer.
        decision: What a changed decision is.
        recipe: One of `RECIPES`.
        max_queries: Model calls each search may ask for; None for no limit.
        rngs: A generator for each text.
        resources: Where word nets are found.
        width: Searches in flight.

    Raises:
        Unsupported: If TextAttack or a resource of the recipe is not here.
    """
    prepare(recipe, resources)
    labels = decide(decision, score(list(texts))).label if len(texts) else np.zeros(0, np.int64)
    searches = (
        search(text, int(label), decision, recipe, max_queries)
        for text, label in zip(texts, labels, strict=True)
    )
    return lockstep.run(searches, score, width=width, rngs=rngs)


def prepare(recipe: str, resources: Resources) -> None:
    """Import TextAttack and what the recipe needs; 15 s the first time.

    Raises:
        Unsupported: If something is not here.
    """
    foreign.textattack(resources, wordnet=RECIPES[recipe].wordnet)


def search(
    text: str, label: int, decision: Decision, recipe: str, max_queries: int | None
) -> Callable[[Ask], Attacked]:
    """Return the search for a changed decision on one text, which asks wherever it is run."""

    def one(ask: Ask) -> Attacked:
        with_own = build(recipe, ask, decision, max_queries)
        result = with_own.attack(text, label)
        kind = type(result).__name__
        changed = str(result.perturbed_result.attacked_text.text)
        queries = int(result.perturbed_result.num_queries)
        outcome: Outcome = "failed"
        if kind == "SkippedAttackResult":
            outcome = "skipped"
        elif kind == "SuccessfulAttackResult":
            outcome = "success"
        elif max_queries is not None and with_own.goal_function.num_queries >= max_queries:
            outcome = "censored"
        return Attacked(
            outcome=outcome,
            text=changed,
            queries=queries,
            label=label,
        )

    return one


def build(recipe: str, ask: Ask, decision: Decision, max_queries: int | None) -> Any:
    """Return a TextAttack ``Attack`` of its own for one search: they keep counts and caches."""
    import textattack

    card = RECIPES[recipe]
    cls = getattr(importlib.import_module(card.module), card.cls)
    wrapper = _wrapper(ask, renormalise=decision.head == "single")
    # TextAttack says that it does not know our wrapper's class; nothing depends on that.
    logger = textattack.shared.utils.logger
    disabled, logger.disabled = logger.disabled, True
    try:
        # Parts that use WordNet ask the network for it each time they are made.
        with foreign.no_downloads():
            made = cls.build(wrapper)
        goal = _goal(decision)(
            wrapper,
            use_cache=False,
            query_budget=float("inf") if max_queries is None else max_queries,
            model_batch_size=_ONE_BATCH,
        )
        return textattack.Attack(
            goal,
            made.constraints + made.pre_transformation_constraints,
            made.transformation,
            made.search_method,
        )
    finally:
        logger.disabled = disabled


def _wrapper(ask: Ask, *, renormalise: bool) -> Any:
    from textattack.models.wrappers import ModelWrapper

    class Asking(ModelWrapper):  # type: ignore[misc]
        model = ask

        def __call__(self, texts: Sequence[str], **_: object) -> Floats:
            scores = np.asarray(ask(list(texts)), dtype=np.float64)
            # Its goal function softmaxes a whole request again if one row misses 1 by 1e-6.
            return scores / scores.sum(axis=1, keepdims=True) if renormalise else scores

    return Asking()


def _goal(decision: Decision) -> Any:
    """Return the goal function class for a decision rule: TextAttack's own for the top label."""
    from textattack.goal_functions import UntargetedClassification

    if decision.head == "single" and decision.threshold is None:
        return UntargetedClassification

    class ChangedDecision(UntargetedClassification):  # type: ignore[misc]
        """The goal is another decision; the score, how near the nearest threshold has come."""

        def _process_model_outputs(self, inputs: Any, scores: Any) -> Any:
            import torch

            # Rows of a multi-label head need not sum to 1 and must not be softmaxed.
            return torch.as_tensor(np.asarray(scores))

        def _is_goal_complete(self, output: Any, _: Any) -> bool:
            return int(self._get_displayed_output(output)) != self.ground_truth_output

        def _get_displayed_output(self, output: Any) -> int:
            return int(decide(decision, output.numpy()[None, :]).label[0])

        def _get_score(self, output: Any, _: Any) -> float:
            return nearness(decision, output.numpy(), int(self.ground_truth_output))

    return ChangedDecision


def nearness(decision: Decision, scores: Floats, label: int) -> float:
    """Return how near a text has come to another decision than `label`, in [0, 2].

    Single head with a threshold: 1 plus how far the favourable probability has moved past it.
    Multi: the same for the label whose probability is nearest to the other side.
    """
    if decision.head == "multi":
        limit = 0.5 if decision.threshold is None else decision.threshold
        applied = np.array([bool(label >> i & 1) for i in range(len(decision.labels))])
        return float(1 + np.where(applied, limit - scores, scores - limit).max())
    limit = decision.threshold if decision.threshold is not None else 0.5
    score = float(decide(decision, scores[None, :]).score[0])
    selected = decision.labels[label] in decision.favourable
    return 1 + (limit - score if selected else score - limit)

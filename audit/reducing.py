"""Input reduction: how many words of a text can go while its decision stays.

TextAttack's composition of the published search, run in lockstep, with one repair (`_deletion`). It
breaks nothing: the decision
at the end is the one at the start. What it finds are texts that no reader would decide so surely.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from audit import foreign, lockstep
from audit.attack_recipes import Kit, Parts, Recipe
from audit.attacks import Target, changed_decision
from audit.resources import Resources
from audit.types import Decision, Floats, Text

Outcome = Literal["reduced", "censored", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """How one search ended."""

    outcome: Outcome
    """``reduced``: every word was tried. ``censored``: the query budget ended it, so fewer words
    might do. ``skipped``: the decision was another one than the target's from the start."""
    text: Text
    """The shortest text found that is decided as the original is."""
    queries: int
    """Texts scored for this search, the original included, repeats counted."""
    words: int
    """Words of the original."""
    dropped: int
    """Words of the original that are not in `text`."""


def _parts(kit: Kit) -> Parts:
    ta = kit.ta
    before = ta.constraints.pre_transformation
    return (
        _deletion(ta)(),
        # The second is the recipe's and idle: it lets every word be deleted.
        [before.RepeatModification(), before.StopwordModification()],
        ta.search_methods.GreedyWordSwapWIR(wir_method="delete"),
    )


@cache
def _deletion(ta: Any) -> Any:
    """Return TextAttack's deletion of a word, told which word by its place in the *original*.

    TextAttack's own takes the search's places for those of the text as it stands: once a word is
    gone, the next one deleted is a neighbour of the one that was meant.
    """

    class OriginalWordDeletion(ta.transformations.WordDeletion):  # type: ignore[misc]
        def __call__(self, current_text: Any, *args: Any, **named: Any) -> Any:
            return super().__call__(current_text, *args, **{**named, "shifted_idxs": True})

    return OriginalWordDeletion


RECIPE = Recipe(
    name="input_reduction",
    source="Feng et al. (2018), EMNLP, arXiv:1804.07781",
    what="deletes words that matter little, as long as the decision stays",
    parts=_parts,
    languages=("any with words between spaces",),
)


def reduce(
    targets: Sequence[Target],
    score: Callable[[Sequence[Text]], Floats],
    rule: Decision,
    *,
    max_queries: int | None = None,
    width: int = 32,
    resources: Resources | None = None,
) -> Iterator[tuple[int, Reduced | lockstep.Failure]]:
    """Reduce every target and yield ``(position, how it ended)`` as each ends.

    Args:
        targets: The texts; `Target.truth` is the decision to be kept. `Target.wanted` is not read.
        score: Answers texts with scores, shape ``(n, len(rule.labels))``: usually a `Scorer`.
        rule: What the same decision is.
        max_queries: Queries a search may make; None: as many as it likes, about two a word.
        width: Searches in flight.
        resources: Where the stop words are found.

    Raises:
        Unsupported: If TextAttack is missing.

    Every word is tried once, the least important first; the importance is that in the whole text.

    Source:
        Feng, Wallace, Grissom, Iyyer, Rodriguez & Boyd-Graber (2018), 'Pathologies of neural models
        make interpretations difficult', EMNLP, arXiv:1804.07781, section 2, with beam size 1.
    """
    if not targets:
        return iter(())
    resources = resources or Resources()
    ta = foreign.textattack(resources)

    def search(target: Target) -> Callable[[lockstep.Ask], Reduced]:
        def start(ask: lockstep.Ask) -> Reduced:
            kit = Kit(ta=ta, ask=ask, resources=resources)
            return _search(kit, target, rule, max_queries)

        return start

    return lockstep.run(
        (search(target) for target in targets),
        score,
        width=width,
        rngs=(target.rng for target in targets),
    )


def _search(kit: Kit, target: Target, rule: Decision, max_queries: int | None) -> Reduced:
    ta, text = kit.ta, target.text
    goal = _kept_decision(ta)(kit.ask, rule, max_queries)
    transformation, constraints, method = RECIPE.parts(kit)
    made = ta.Attack(goal, constraints, transformation, method)
    given = (
        text if isinstance(text, str) else OrderedDict(zip(("text", "second"), text, strict=True))
    )
    result = made.attack(given, target.truth)
    first, best = result.original_result.attacked_text, result.perturbed_result.attacked_text
    outcome: Outcome = "reduced"
    if isinstance(result, ta.attack_results.SkippedAttackResult):
        outcome = "skipped"
    elif max_queries is not None and goal.num_queries >= max_queries:
        outcome = "censored"
    return Reduced(
        outcome=outcome,
        text=best.tokenizer_input,
        queries=goal.num_queries,
        words=first.num_words,
        dropped=int((best.attack_attrs["original_index_map"] == -1).sum()),
    )


@cache
def _kept_decision(ta: Any) -> Any:
    """Return the class of TextAttack's goal `InputReduction`, for any rule of deciding.

    The score to climb is the share of words gone; among texts of one length, the surer one.
    """

    class KeptDecision(changed_decision(ta)):  # type: ignore[misc]
        def __init__(self, ask: lockstep.Ask, rule: Decision, max_queries: int | None) -> None:
            super().__init__(ask, rule, max_queries)
            self.maximizable = True

        def _should_skip(self, output: tuple[Floats, int], _: Any) -> bool:
            return bool(output[1] != self.ground_truth_output)

        def _get_score(self, output: tuple[Floats, int], text: Any) -> float:
            words = self.initial_attacked_text.num_words
            if output[1] != self.ground_truth_output or words == 0:
                return 0.0
            if self.rule.head == "single":
                sure = float(output[0][self.ground_truth_output])
            else:
                # How far the label nearest to changing sides is from doing so.
                sure = -float(super()._get_score(output, text))
            return float(min(max((words - text.num_words) / words, 0) + sure / words, 1.0))

    ta.shared.validators.MODELS_BY_GOAL_FUNCTION[KeptDecision] = [r".*"]
    return KeptDecision

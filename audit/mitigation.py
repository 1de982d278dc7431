"""From recipes to what a training minimises (pairing, weights, the worst cell, parity) and attacks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from audit.augment import Vectors, admitting
from audit.checkpoint import digest_of
from audit.copiers import card, number, parts, string, swapper
from audit.crafted import attacked
from audit.decision import truly_favourable
from audit.errors import ConfigError, did_you_mean
from audit.groupthresholds import AT_DECISION
from audit.leaks import TestTexts
from audit.objective import Attacking, Objective, Parity, balanced, cells_of, groups_of
from audit.settings import RecipeConfig
from audit.thresholds import RATES, STATEMENT, Chosen, choose
from audit.types import Corpus, Decision, Example, Floats, Text

Score = Callable[[Sequence[Text]], Floats]

MEMBERSHIP = (
    "The recipe {name} reads which group a text belongs to in training alone: the trained model "
    "decides on the text, without it. Whether groups may be used so is a question of law that "
    "this report does not answer."
)


def objective_of(
    recipes: Sequence[RecipeConfig], train: Corpus, test: Corpus, rule: Decision, *, seed: int
) -> tuple[Objective, tuple[tuple[str, str], ...]]:
    """Return what the recipes ask of the training, and the counterfactuals that were kept out.

    Args:
        recipes: Those of a retrain; those that add texts are passed over.
        train: The texts that are trained on, copies included.
        test: The audited texts: a counterfactual that equals or nearly equals one is stopped.
        rule: The decision of the audit.
        seed: Draws which groups are exchanged.

    Raises:
        ConfigError: If ``group_weights`` and ``group_dro`` are both asked for, or a group is not
            in the data.
    """
    asked = {r.name: r for r in recipes if not card(r).copies}
    if {"group_weights", "group_dro"} <= set(asked):
        raise ConfigError(
            "The recipes group_weights and group_dro weigh the same texts twice.",
            hint="Choose one of them.",
        )
    made = Objective()
    stopped: list[tuple[str, str]] = []
    if (one := asked.get("group_weights")) is not None:
        made = replace(made, weights=balanced(cells_of(train.examples, string(one, "group"))))
    if (one := asked.get("group_dro")) is not None:
        cells = cells_of(train.examples, string(one, "group"))
        made = replace(made, cells=cells, step=number(one, "step"))
    if (one := asked.get("logit_pairing")) is not None:
        twins = _twins(train.examples, parts(one), test, seed, stopped)
        made = replace(made, twins=twins, strength=number(one, "strength"))
    if (one := asked.get("parity_penalty")) is not None:
        made = replace(made, parity=_parity(one, train, rule))
    return made, tuple(stopped)


def _parity(one: RecipeConfig, train: Corpus, rule: Decision) -> Parity:
    wanted = {"true_positive_rate": True, "false_positive_rate": False}.get(rate_of(one))
    groups = groups_of(
        train.examples,
        string(one, "group"),
        lambda e: wanted is None or truly_favourable(rule, e) is wanted,
    )
    # The model to be trained has the labels of its training texts, in their order.
    favourable = tuple(i for i, name in enumerate(train.labels) if name in rule.favourable)
    return Parity(groups=groups, favourable=favourable, strength=number(one, "strength"))


def rate_of(recipe: RecipeConfig) -> str:
    """Return the rate that a recipe brings together.

    Raises:
        ConfigError: If it is none of `audit.thresholds.RATES`.
    """
    rate = string(recipe, "rate")
    if rate not in RATES:
        raise ConfigError(
            f"The recipe {recipe.name} knows no rate {rate!r}.", hint=did_you_mean(rate, RATES)
        )
    return rate


def attacking_of(
    recipes: Sequence[RecipeConfig],
    train: Corpus,
    test: Corpus,
    wanted: Mapping[str, float],
    rule: Decision,
    vectors: Vectors | None,
    *,
    seed: int,
) -> Attacking | None:
    """Return how texts are attacked between epochs, None where no recipe asks for it.

    Args:
        recipes: Those of a retrain.
        train: Texts without the copies.
        test: The audited texts.
        wanted: Kind of copy to the share of texts.
        rule: The decision of the audit.
        vectors: As in `audit.augment.augment`.
        seed: Draws which texts are attacked, and each search.
    """
    for one in recipes:
        if one.name != "adversarial" or not number(one, "every") or not wanted[one.name]:
            continue
        some = attacked(one, train.examples, wanted[one.name], seed)
        held = {"test": [e.input for e in test.examples], "similarity": number(one, "similarity")}
        return Attacking(
            texts=tuple(e.id for e in some),
            recipe=string(one, "attack"),
            queries=int(number(one, "queries")),
            rule=rule,
            seed=seed,
            every=int(number(one, "every")),
            admits=admitting(train.examples, test, one, vectors),
            admitted_by=digest_of(held),
        )
    return None


def statements(recipes: Sequence[RecipeConfig]) -> tuple[str, ...]:
    """Return what a reader should know about groups under these recipes."""
    grouped = ("group_weights", "group_dro", "parity_penalty")
    said = [MEMBERSHIP.format(name=r.name) for r in recipes if r.name in grouped]
    after = {"threshold": STATEMENT, "group_thresholds": AT_DECISION}
    return (*said, *(after[r.name] for r in recipes if r.name in after))


def threshold_of(
    recipes: Sequence[RecipeConfig], rule: Decision, dev: Corpus, score: Score
) -> Chosen | None:
    """Return what the recipe ``threshold`` chooses on the dev texts, None where it is not asked.

    Args:
        recipes: Those of a retrain.
        rule: The decision of the audit.
        dev: Texts with labels and groups that were not trained on.
        score: The trained model.

    Raises:
        ConfigError: If its rate is unknown.
        DataError: As `audit.thresholds.choose`.
    """
    for one in recipes:
        if one.name == "threshold":
            rate = rate_of(one)
            some = [e for e in dev.examples if e.label is not None]
            return choose(
                rule,
                score([e.input for e in some]),
                some,
                string(one, "group"),
                rate=rate,
                margin=number(one, "margin"),
            )
    return None


def _twins(
    examples: Sequence[Example],
    axes: Sequence[str],
    test: Corpus,
    seed: int,
    stopped: list[tuple[str, str]],
) -> dict[str, Text]:
    """Return one counterfactual for each text that has one, of the first axis that gives it."""
    guard = TestTexts(e.input for e in test.examples)
    copiers = [swapper(axis, seed, "pairing") for axis in axes]
    found: dict[str, Text] = {}
    for example in examples:
        text = next((made for copy in copiers if (made := copy(example)) is not None), None)
        if text is None:
            continue
        how = guard.holds(text)
        if how:
            like = "equals" if how == "equal" else "nearly equals"
            stopped.append((example.id, f"counterfactual that {like} a test text"))
        else:
            found[example.id] = text
    return found

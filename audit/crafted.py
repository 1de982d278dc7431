"""Training texts that a model or a suite is needed for: successful attacks, filled-in templates."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from audit import attack_recipes, attacks, generating, lockstep, suites
from audit.augment import copy_of, drawn
from audit.copiers import kinds_of, number, parts, string
from audit.decision import decide
from audit.errors import ConfigError
from audit.resources import Resources
from audit.seeding import stream
from audit.settings import RecipeConfig
from audit.types import Corpus, Decision, Example, Floats, Text

WRITTEN = ("contextual", "back_translation", "paraphrase")
"""Recipes whose copies a language model writes."""
Score = Callable[[Sequence[Text]], Floats]


def crafted(
    recipes: Sequence[RecipeConfig],
    train: Corpus,
    wanted: Mapping[str, float],
    rule: Decision,
    score: Score,
    audited: Sequence[Mapping[str, object]] = (),
    *,
    seed: int,
    resources: Resources | None = None,
    place: Callable[[str], Path] | None = None,
) -> dict[str, tuple[Example, ...]]:
    """Return kind to the texts made by the recipes ``adversarial``, ``templates`` and `WRITTEN`.

    Args:
        recipes: Those of a retrain; others are passed over.
        train: Texts that are attacked, each at most once.
        wanted: Kind to the share of texts; see `audit.augment.shares`.
        rule: The decision of the audit: what an attack turns, and what a suite calls favourable.
        score: The model under audit, as attacked before the training; `audit.hardening` attacks
            the model in training.
        audited: Settings of the ``templates`` probes of this audit.
        seed: Each text draws under its own name.
        resources: Where WordNet and the encoder are looked for.
        place: The folder of a language model by the name a recipe gives it; None: the name is one.

    Raises:
        ConfigError: If an attack or suite is unknown, or the audit itself runs that suite.
        ModelError: If a language model cannot be loaded.
        Unsupported: If TextAttack or a resource of the attack is missing.
    """
    found: dict[str, tuple[Example, ...]] = {}
    for recipe in recipes:
        if recipe.name == "adversarial":
            (kind, _), *_ = kinds_of(recipe)
            found[kind] = _attacked(recipe, train, wanted[kind], rule, score, seed, resources)
        if recipe.name == "templates":
            (kind, _), *_ = kinds_of(recipe)
            found[kind] = _filled(recipe, train, wanted[kind], rule, audited, seed)
        if recipe.name in WRITTEN:
            (kind, _), *_ = kinds_of(recipe)
            found[kind] = _written(recipe, train, wanted[kind], place or Path, seed)
    return found


def _written(
    recipe: RecipeConfig,
    train: Corpus,
    share: float,
    place: Callable[[str], Path],
    seed: int,
) -> tuple[Example, ...]:
    """Return what the language models that a recipe names make of a share of the texts."""
    some = {e.id: e for e in drawn(train.examples, recipe.name, share, seed)}
    if not some:
        return ()
    write: generating.Writer
    if recipe.name == "contextual":
        write = generating.Contextual(place(string(recipe, "model")))
    elif recipe.name == "back_translation":
        there, back = (place(string(recipe, name)) for name in ("there", "back"))
        write = generating.BackTranslation(there, back)
    else:
        model, prompt = string(recipe, "model"), string(recipe, "prompt")
        write = generating.Paraphrase(place(model), prompt)
    made = write({id: e.text for id, e in some.items()}, seed)
    return tuple(
        copy_of(
            some[id], text if some[id].second is None else (text, str(some[id].second)), recipe.name
        )
        for id, text in made.items()
        if text is not None
    )


def _attacked(
    recipe: RecipeConfig,
    train: Corpus,
    share: float,
    rule: Decision,
    score: Score,
    seed: int,
    resources: Resources | None,
) -> tuple[Example, ...]:
    """Return the changed texts of the attacks that turned the decision, labels kept."""
    some = attacked(recipe, train.examples, share, seed)
    found = turned(
        some,
        string(recipe, "attack"),
        int(number(recipe, "queries")),
        rule,
        score,
        seed=seed,
        resources=resources,
    )
    return tuple(copy_of(some[i], text, recipe.name) for i, text in found.items())


def attacked(
    recipe: RecipeConfig, train: Sequence[Example], share: float, seed: int
) -> tuple[Example, ...]:
    """Return the texts that the recipe ``adversarial`` attacks: labelled ones, drawn by their id."""
    lots = {e.id: float(stream(seed, "adversarial", e.id).random()) for e in train}
    some = sorted(
        (e for e in train if e.label is not None and lots[e.id] < share),
        key=lambda e: (lots[e.id], e.id),
    )
    return tuple(some[: int(number(recipe, "texts"))])


def turned(
    some: Sequence[Example],
    recipe: str,
    queries: int,
    rule: Decision,
    score: Score,
    *,
    seed: int,
    path: tuple[str, ...] = ("adversarial-search",),
    resources: Resources | None = None,
) -> dict[int, Text]:
    """Attack each of `some` and return, by position, the texts that turn the decision.

    Args:
        some: Texts; each search draws under `path` and the text's id.
        recipe: Name of a shipped attack.
        queries: Model calls that one search may make.
        rule: What a decision is.
        score: The model that is attacked.
        seed: The one seed.
        path: Address of the draws.
        resources: Where WordNet and the encoder are looked for.

    Raises:
        ConfigError: If the attack is unknown.
        Unsupported: If TextAttack or a resource of the attack is missing.
    """
    chosen = attack_recipes.recipe(recipe)
    attacks.check(chosen, resources or Resources())
    if not some:
        return {}
    truth = decide(rule, score([e.input for e in some])).label.tolist()
    targets = [
        attacks.Target(text=e.input, truth=label, rng=stream(seed, *path, e.id))
        for e, label in zip(some, truth, strict=True)
    ]
    ended = attacks.attack(targets, chosen, score, rule, max_queries=queries, resources=resources)
    found: dict[int, Text] = {}
    for i, how in ended:
        if not isinstance(how, lockstep.Failure) and how.outcome == "success":
            found[i] = how.text
    return dict(sorted(found.items()))


def _filled(
    recipe: RecipeConfig,
    train: Corpus,
    share: float,
    rule: Decision,
    audited: Sequence[Mapping[str, object]],
    seed: int,
) -> tuple[Example, ...]:
    """Return sentences of the suite whose decision is called for, with a label that gives it."""
    name = string(recipe, "pack")
    if any(settings.get("suite") == name for settings in audited):
        raise ConfigError(
            f"The probe templates audits the suite {name}: training on it would leave the audit "
            "nothing to find out.",
            hint="Choose another suite for the recipe, or leave the probe out.",
        )
    suite = suites.pack(name, tuple(sorted(parts(recipe))))
    other = [label for label in rule.labels if label not in rule.favourable]
    labels = {
        suites.FAVOURABLE: rule.favourable[0] if len(rule.favourable) == 1 else "",
        suites.UNFAVOURABLE: other[0] if len(other) == 1 else "",
    }
    if rule.head == "multi" or not any(labels.values()):
        raise ConfigError(
            "The recipe templates cannot tell which label a sentence gets.",
            hint="It needs a single-label model with one favourable or one other label.",
        )
    made = []
    for check in suite.checks:
        label = labels.get(check.expect[0], "") if check.expect else ""
        lot = float(stream(seed, "templates", check.id).random())
        if check.kind != "MFT" or not label or lot >= share:
            continue
        text = check.variants[0].text
        first, second = (text, None) if isinstance(text, str) else text
        made.append(
            (
                lot,
                Example(
                    id=f"{check.id}+{recipe.name}",
                    text=first,
                    second=second,
                    label=label,
                    cluster=f"{name}/{check.template}",
                ),
            )
        )
    made.sort(key=lambda one: (one[0], one[1].id))
    return tuple(example for _, example in made[: int(number(recipe, "texts"))])

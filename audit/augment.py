"""More training texts where the audit found fault: copies that differ in what must not matter."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from audit import foreign
from audit.errors import ConfigError, did_you_mean
from audit.lexicon import lexicon
from audit.seeding import stream
from audit.settings import RecipeConfig
from audit.swapping import find, swap
from audit.types import AuditResult, Corpus, Example, Skip, Text

RECIPES = ("counterfactual", "noise")
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "counterfactual": ("swaps", "reliance"),
    "noise": ("typos", "noise", "attack"),
}
"""Recipe to the probes whose findings it answers."""
_UNDECIDED = 0.25
_AXES = ("gender", "names_race")
_KINDS = ("keyboard", "ocr", "spelling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmented:
    """Training texts with their copies, and what was left out."""

    corpus: Corpus
    copies: Mapping[str, int]
    """Recipe to copies made."""
    shares: Mapping[str, float]
    """Recipe to the share of texts that were to be copied."""
    skips: tuple[Skip, ...]


def shares(result: AuditResult, recipes: Sequence[RecipeConfig]) -> dict[str, float]:
    """Return how much of the training texts each recipe shall copy, in proportion to what failed.

    A metric at twice its limit asks for a copy of every text, one at its limit for every second; an
    undecided one for a quarter; what passed asks for nothing. A recipe's own setting ``share``
    comes first.
    """
    found: dict[str, float] = {}
    for recipe in recipes:
        share = 0.0
        for v in result.verdicts:
            if v.claim.measurement.split(".")[0] not in ANSWERS.get(recipe.name, ()):
                continue
            if v.status == "inconclusive":
                share = max(share, _UNDECIDED)
            if v.status == "fail" and v.value is not None:
                limit = abs(v.claim.limit)
                share = max(share, min(1.0, abs(v.value) / (2 * limit)) if limit else 1.0)
        said = recipe.params.get("share")
        found[recipe.name] = float(said) if isinstance(said, int | float) else share
    return found


def augment(
    train: Corpus,
    test: Corpus,
    recipes: Sequence[RecipeConfig],
    wanted: Mapping[str, float],
    *,
    seed: int,
) -> Augmented:
    """Return `train` with copies added; labels are kept, and no test text enters.

    Args:
        train: Texts with labels.
        test: The audited texts: a copy that equals one of them, letter case and white space aside,
            is stopped and counted.
        recipes: What copies to make.
        wanted: Recipe to the share of texts to copy, in [0, 1].
        seed: Each text draws its own lot from it.

    Raises:
        ConfigError: If a recipe or one of its settings is unknown.
    """
    guarded = {_folded(e.input) for e in test.examples}
    left: Counter[str] = Counter()
    copies: dict[str, int] = {}
    kept = [e for e in train.examples if _folded(e.input) not in guarded]
    leaked = len(train.examples) - len(kept)
    if leaked:
        left["training text that equals a test text"] = leaked
    added: list[Example] = []
    for recipe in recipes:
        share, made = wanted.get(recipe.name, 0.0), 0
        for copier, name in _copiers(recipe, seed):
            for example in kept:
                if stream(seed, "augment", name, example.id).random() >= share:
                    continue
                text = copier(example)
                if text is None:
                    left[f"nothing to change ({name})"] += 1
                elif _folded(text) in guarded:
                    left[f"copy that equals a test text ({name})"] += 1
                else:
                    added.append(_copy(example, text, name))
                    made += 1
        copies[recipe.name] = made
    return Augmented(
        corpus=replace(train, examples=(*kept, *added), sha256=""),
        copies=copies,
        shares=dict(wanted),
        skips=tuple(Skip(reason=why, count=n) for why, n in sorted(left.items())),
    )


def _copiers(
    recipe: RecipeConfig, seed: int
) -> Iterator[tuple[Callable[[Example], Text | None], str]]:
    if recipe.name not in RECIPES:
        raise ConfigError(
            f"There is no augmentation recipe {recipe.name!r}.",
            hint=did_you_mean(recipe.name, RECIPES),
        )
    known = {"share", "axes"} if recipe.name == "counterfactual" else {"share", "kinds"}
    for key in recipe.params:
        if key not in known:
            raise ConfigError(
                f"The recipe {recipe.name!r} has no setting {key!r}.",
                hint=did_you_mean(key, known),
            )
    if recipe.name == "counterfactual":
        for axis in _list(recipe, "axes", _AXES):
            yield _swapper(axis, seed), f"counterfactual-{axis}"
    else:
        for kind in _list(recipe, "kinds", _KINDS[:2]):
            yield _noiser(kind, seed), f"noise-{kind}"


def _swapper(axis: str, seed: int) -> Callable[[Example], Text | None]:
    table = lexicon(axis)

    def copy(example: Example) -> Text | None:
        found = find(example.input, table)
        rng = stream(seed, "augment-swap", axis, example.id)
        pairs = [p for p in table.pairs if found.groups & set(p)]
        if not pairs or found.asymmetric:
            return None
        made = swap(found, table, pairs[int(rng.integers(len(pairs)))], rng)
        return None if made is None else made.input

    return copy


def _noiser(kind: str, seed: int) -> Callable[[Example], Text | None]:
    augmenter = foreign.noise(kind, words=0.15, letters=0.2)

    def copy(example: Example) -> Text | None:
        rng = stream(seed, "augment-noise", kind, example.id)
        made = foreign.augment(augmenter, example.text, rng)
        if made is None or example.second is None:
            return made
        return made, example.second

    return copy


def _copy(example: Example, text: Text, name: str) -> Example:
    first, second = (text, None) if isinstance(text, str) else text
    # A copy is no independent text: it stays in its source's cluster.
    return replace(
        example,
        id=f"{example.id}+{name}",
        text=first,
        second=second,
        cluster=example.cluster or example.id,
    )


def _list(recipe: RecipeConfig, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = recipe.params.get(key, default)
    if not isinstance(value, list | tuple):
        raise ConfigError(f"The setting {key!r} of the recipe {recipe.name!r} must be a list.")
    return tuple(str(item) for item in value)


def _folded(text: Text) -> str:
    whole = text if isinstance(text, str) else "\0".join(text)
    return re.sub(r"\s+", " ", whole.casefold()).strip()

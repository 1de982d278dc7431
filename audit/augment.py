"""More training texts where the audit found fault: copies that differ in what must not matter."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from audit import foreign
from audit.errors import ConfigError, did_you_mean
from audit.leaks import TestTexts, folded_text
from audit.lexicon import AXES, lexicon
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
_NOISES = ("keyboard", "ocr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmented:
    """Training texts with their copies, and what was left out."""

    corpus: Corpus
    copies: Mapping[str, int]
    """Kind of copy, e.g. ``counterfactual-gender``, to copies made."""
    shares: Mapping[str, float]
    """Kind of copy to the share of texts that were to be copied."""
    skips: tuple[Skip, ...]
    stopped: tuple[tuple[str, str], ...]
    """Ids of training texts and copies that the guard kept out, and why."""


def kinds(recipes: Sequence[RecipeConfig]) -> tuple[str, ...]:
    """Return the kinds of copies that `recipes` make, e.g. ``noise-ocr``.

    Raises:
        ConfigError: If a recipe, one of its settings or one of their values is unknown.
    """
    return tuple(kind for recipe in recipes for kind, _ in _kinds(recipe))


def shares(result: AuditResult, recipes: Sequence[RecipeConfig]) -> dict[str, float]:
    """Return how much of the training texts each kind of copy is made of, by what failed.

    A metric at twice its limit asks for a copy of every text, one at its limit for every second; an
    undecided one for a quarter; what passed asks for nothing. Counterfactual copies of an axis
    answer to the claims about that axis alone. A recipe's own setting ``share`` comes first.
    """
    found: dict[str, float] = {}
    for recipe in recipes:
        said = recipe.params.get("share")
        for kind, part in _kinds(recipe):
            share = 0.0
            for v in result.verdicts:
                probe, _, rest = v.claim.measurement.partition(".")
                if probe not in ANSWERS[recipe.name]:
                    continue
                if recipe.name == "counterfactual" and f"axis={part}" not in re.split(
                    r"[\[\],]", rest
                ):
                    continue
                if v.status == "inconclusive":
                    share = max(share, _UNDECIDED)
                if v.status == "fail" and v.value is not None:
                    limit = abs(v.claim.limit)
                    share = max(share, min(1.0, abs(v.value) / (2 * limit)) if limit else 1.0)
            found[kind] = float(said) if isinstance(said, int | float) else share
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
        test: The audited texts: what equals one of them, or nearly does (`audit.leaks`), is stopped,
            be it a copy or a training text.
        recipes: What copies to make.
        wanted: Kind of copy to the share of texts to copy, in [0, 1]; `shares` returns it.
        seed: Each text draws its own lot from it.

    Raises:
        ConfigError: If a recipe or one of its settings is unknown.
    """
    guard = TestTexts(e.input for e in test.examples)
    left: Counter[str] = Counter()
    stopped: list[tuple[str, str]] = []

    def enters(example: Example, what: str) -> bool:
        how = guard.holds(example.input)
        if how:
            why = f"{what} that {'equals' if how == 'equal' else 'nearly equals'} a test text"
            left[why] += 1
            stopped.append((example.id, why))
        return not how

    kept = [e for e in train.examples if enters(e, "training text")]
    own = {folded_text(e.input) for e in kept}
    copies: dict[str, int] = {}
    added: list[Example] = []
    for recipe in recipes:
        for kind, part in _kinds(recipe):
            share = wanted.get(kind, 0.0)
            copies[kind] = 0
            if share <= 0:
                continue
            copier = (_swapper if recipe.name == "counterfactual" else _noiser)(part, seed)
            for example in kept:
                if stream(seed, "augment", kind, example.id).random() >= share:
                    continue
                text = copier(example)
                if text is None:
                    left[f"nothing to change ({kind})"] += 1
                elif folded_text(text) in own:
                    # Its label may be another there; one text with two labels teaches nothing.
                    left[f"copy that equals another training text ({kind})"] += 1
                else:
                    copy = _copy(example, text, kind)
                    if enters(copy, "copy"):
                        added.append(copy)
                        copies[kind] += 1
    return Augmented(
        corpus=replace(train, examples=(*kept, *added), sha256=""),
        copies=copies,
        shares={kind: wanted.get(kind, 0.0) for kind in copies},
        skips=tuple(Skip(reason=why, count=n) for why, n in sorted(left.items())),
        stopped=tuple(stopped),
    )


def _kinds(recipe: RecipeConfig) -> tuple[tuple[str, str], ...]:
    """Return the kinds of copies of one recipe, each with the axis or noise it is made by."""
    if recipe.name not in RECIPES:
        raise ConfigError(
            f"There is no augmentation recipe {recipe.name!r}.",
            hint=did_you_mean(recipe.name, RECIPES),
        )
    parts = "axes" if recipe.name == "counterfactual" else "kinds"
    for key in recipe.params:
        if key not in ("share", parts):
            raise ConfigError(
                f"The recipe {recipe.name!r} has no setting {key!r}.",
                hint=did_you_mean(key, ("share", parts)),
            )
    share = recipe.params.get("share", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ConfigError(
            f"The setting 'share' of the recipe {recipe.name!r} must lie in [0, 1], got {share!r}.",
            hint="Leave it out to copy in proportion to what failed.",
        )
    default, known = (_AXES, tuple(AXES)) if parts == "axes" else (_NOISES, foreign.NOISE_KINDS)
    chosen = recipe.params.get(parts, default)
    if not isinstance(chosen, list | tuple):
        raise ConfigError(f"The setting {parts!r} of the recipe {recipe.name!r} must be a list.")
    for part in chosen:
        if part not in known:
            raise ConfigError(
                f"The recipe {recipe.name!r} has nothing called {part!r} among its {parts}.",
                hint=did_you_mean(str(part), known),
            )
    return tuple((f"{recipe.name}-{part}", str(part)) for part in dict.fromkeys(chosen))


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
    return replace(
        example,
        id=f"{example.id}+{name}",
        text=first,
        second=second,
        # Whom a counterfactual speaks of is no longer what the table says.
        groups={} if name.startswith("counterfactual") else example.groups,
        # A copy is no independent text: it stays in its source's cluster.
        cluster=example.cluster or example.id,
    )

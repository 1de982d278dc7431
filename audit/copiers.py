"""The recipes of a retrain: what each copies or changes, its settings, and how a copy is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from audit import foreign, generating, rewording
from audit.errors import ConfigError, did_you_mean
from audit.lexicon import AXES, lexicon
from audit.seeding import stream
from audit.settings import RecipeConfig
from audit.swapping import find, placebo, swap
from audit.types import Example, Text

Copier = Callable[[Example], Text | None]
"""Returns a changed text whose label stays, None where there is nothing to change. It may leave the
global generators moved: call it inside `audit.generators.kept_randomness`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a recipe is, for a reader and for the check of its settings."""

    name: str
    what: str
    source: str
    answers: tuple[str, ...] = ()
    """Probes whose findings say how many texts are copied; none: `share` alone does."""
    parts: str = ""
    """Name of the setting that lists its kinds; empty: it has one kind, its own name."""
    known: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    numbers: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Setting to its default, least and greatest value."""
    strings: Mapping[str, str] = field(default_factory=dict)
    """Setting to its default; an empty one is required."""
    drawn: bool = False
    """One of its kinds is drawn for each text; otherwise each kind makes copies of its own."""
    copies: bool = True
    """It adds texts; otherwise it changes what the training minimises, or the decision after it."""


_ALIKE = {"similarity": (0.7, 0.0, 1.0)}
_CARDS = (
    Card(
        name="counterfactual",
        what="the same text about somebody else; texts with a one-sided term are left alone",
        source="Zmigrod et al. (2019), arXiv:1906.04571; Maudslay et al. (2019), arXiv:1909.00871",
        answers=("swaps", "reliance"),
        parts="axes",
        known=tuple(AXES),
        default=("gender", "names_race"),
        strings={"sides": "drawn"},
    ),
    Card(
        name="names",
        what="every first name drawn anew, of any origin, the gender kept",
        source="Maudslay et al. (2019), arXiv:1909.00871, section 3.2 (name intervention)",
        answers=("swaps",),
    ),
    Card(
        name="noise",
        what="slips of the keyboard, the scanner or the spelling",
        source="Belinkov & Bisk (2018), arXiv:1711.02173",
        answers=("typos", "noise", "attack"),
        parts="kinds",
        known=foreign.NOISE_KINDS,
        default=("keyboard", "ocr"),
        numbers={"similarity": (0.0, 0.0, 1.0)},
    ),
    Card(
        name="words",
        what="words split in two, neighbours exchanged, words left out (no negation), synonyms",
        source="Wei & Zou (2019), EDA, arXiv:1901.11196; nlpaug (2019)",
        answers=("typos", "noise", "attack"),
        parts="kinds",
        known=rewording.KINDS,
        default=("split", "swap"),
        numbers=_ALIKE,
    ),
    Card(
        name="nlpaug",
        what="one change for each text, drawn among a mix of slips and changed words",
        source="E. Ma, nlpaug (2019), https://github.com/makcedward/nlpaug",
        answers=("typos", "noise", "attack"),
        parts="kinds",
        known=(*foreign.NOISE_KINDS, *rewording.KINDS),
        default=("synonym", "keyboard", "ocr", "spelling", "swap", "split"),
        drawn=True,
        numbers=_ALIKE,
    ),
    Card(
        name="adversarial",
        what="training texts as changed by an attack that turned the decision: of the audited model "
        "before the first epoch, of the model in training before later ones",
        source="Jin et al. (2020), arXiv:1907.11932, section 4.5; Madry et al. (2018), "
        "arXiv:1706.06083",
        answers=("attack",),
        numbers={
            **_ALIKE,
            "queries": (60, 2, 100_000),
            "texts": (200, 1, 1_000_000),
            "every": (1, 0, 1000),
        },
        strings={"attack": "deepwordbug"},
    ),
    Card(
        name="templates",
        what="sentences of a shipped suite, its persons filled in, with the label they call for",
        source="Dixon et al. (2018), doi:10.1145/3278721.3278729 (balancing by added texts)",
        answers=("templates",),
        parts="axes",
        known=tuple(AXES),
        numbers={"texts": (200, 1, 1_000_000)},
        strings={"pack": ""},
    ),
    Card(
        name="contextual",
        what="words as a masked language model that you name would put them",
        source="Kobayashi (2018), arXiv:1805.06201",
        answers=("attack",),
        numbers=_ALIKE,
        strings={"model": ""},
    ),
    Card(
        name="back_translation",
        what="the text translated and translated back by two models that you name",
        source="Sennrich, Haddow & Birch (2016), arXiv:1511.06709",
        answers=("attack",),
        numbers=_ALIKE,
        strings={"there": "", "back": ""},
    ),
    Card(
        name="paraphrase",
        what="the text in the words of a causal language model that you name",
        source="Maddison, Tarlow & Minka (2014), arXiv:1411.0030 (how a word is drawn)",
        answers=("attack",),
        numbers=_ALIKE,
        strings={"model": "", "prompt": generating.PROMPT},
    ),
    Card(
        name="logit_pairing",
        what="training pulls the logits of a text and its counterfactual together",
        source="Garg et al. (2019), arXiv:1809.10610",
        parts="axes",
        known=tuple(AXES),
        default=("gender",),
        numbers={"strength": (1.0, 0.0, 1000.0)},
        copies=False,
    ),
    Card(
        name="group_weights",
        what="each pair of group and label weighs alike in the loss",
        source="Idrissi et al. (2022), arXiv:2110.14503",
        strings={"group": ""},
        copies=False,
    ),
    Card(
        name="group_dro",
        what="training turns to the pair of group and label whose loss is worst",
        source="Sagawa et al. (2020), arXiv:1911.08731",
        numbers={"step": (0.01, 0.0, 10.0)},
        strings={"group": ""},
        copies=False,
    ),
    Card(
        name="parity_penalty",
        what="training pays for groups whose mean favourable scores differ",
        source="Beutel et al. (2019), arXiv:1901.04562",
        numbers={"strength": (1.0, 0.0, 1000.0)},
        strings={"group": "", "rate": "selection_rate"},
        copies=False,
    ),
    Card(
        name="group_thresholds",
        what="reckoned beside the audit: a threshold of its own for each group",
        source="Hardt, Price & Srebro (2016), arXiv:1610.02413; fairlearn's ThresholdOptimizer",
        strings={"group": "", "rate": "selection_rate"},
        copies=False,
    ),
    Card(
        name="threshold",
        what="after the training, one threshold for all by which groups are decided more alike",
        source="Corbett-Davies et al. (2017), arXiv:1701.08230",
        numbers={"margin": (0.02, 0.0, 1.0)},
        strings={"group": "", "rate": "selection_rate"},
        copies=False,
    ),
)
CARDS: Mapping[str, Card] = MappingProxyType({card.name: card for card in _CARDS})


def card(recipe: RecipeConfig) -> Card:
    """Return the card of `recipe` after checking its settings.

    Raises:
        ConfigError: If the recipe, one of its settings or one of their values is unknown.
    """
    if recipe.name not in CARDS:
        raise ConfigError(
            f"There is no augmentation recipe {recipe.name!r}.",
            hint=did_you_mean(recipe.name, CARDS),
        )
    found = CARDS[recipe.name]
    shared = ("share", "proportional") if found.copies else ()
    known = [*shared, *found.numbers, *found.strings, *([found.parts] if found.parts else [])]
    for key in recipe.params:
        if key not in known:
            raise ConfigError(
                f"The recipe {recipe.name!r} has no setting {key!r}.",
                hint=did_you_mean(key, known),
            )
    if not isinstance(recipe.params.get("proportional", True), bool):
        raise ConfigError(f"The setting 'proportional' of {recipe.name!r} must be true or false.")
    for key in ("share", *found.numbers):
        number(recipe, key)
    for key in found.strings:
        string(recipe, key)
    return found


def number(recipe: RecipeConfig, key: str) -> float:
    """Return a setting that is a number, its default where it is not set."""
    default, low, high = CARDS[recipe.name].numbers.get(key, (0.0, 0.0, 1.0))
    value = recipe.params.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(
            f"The setting {key!r} of the recipe {recipe.name!r} must lie in [{low:g}, {high:g}], "
            f"got {value!r}.",
            hint="Leave it out to copy in proportion to what failed." if key == "share" else "",
        )
    return float(value)


def string(recipe: RecipeConfig, key: str) -> str:
    """Return a setting that is a word."""
    value = recipe.params.get(key, CARDS[recipe.name].strings[key])
    if not isinstance(value, str) or not value:
        raise ConfigError(f"The recipe {recipe.name!r} needs the setting {key!r}, a word.")
    return value


def parts(recipe: RecipeConfig) -> tuple[str, ...]:
    """Return the axes or kinds that a recipe lists."""
    found = card(recipe)
    chosen = recipe.params.get(found.parts, found.default)
    if not isinstance(chosen, list | tuple):
        raise ConfigError(
            f"The setting {found.parts!r} of the recipe {recipe.name!r} must be a list."
        )
    for part in chosen:
        if part not in found.known:
            raise ConfigError(
                f"The recipe {recipe.name!r} has nothing called {part!r} among its {found.parts}.",
                hint=did_you_mean(str(part), found.known),
            )
    return tuple(dict.fromkeys(map(str, chosen)))


def kinds_of(recipe: RecipeConfig) -> tuple[tuple[str, str], ...]:
    """Return the kinds of copies of a recipe, each with the axis or noise it is made by."""
    found = card(recipe)
    if not found.copies:
        return ()
    if found.drawn or not found.default:
        return ((recipe.name, ""),)
    if recipe.name == "counterfactual" and _sides(recipe) == "all":
        return tuple(
            (f"{recipe.name}-{axis}-{'-'.join(pair)}", ":".join((axis, *pair)))
            for axis in parts(recipe)
            for pair in lexicon(axis).pairs
        )
    return tuple((f"{recipe.name}-{part}", part) for part in parts(recipe))


def _sides(recipe: RecipeConfig) -> str:
    said = string(recipe, "sides")
    if said not in ("drawn", "all"):
        raise ConfigError(
            f"The setting 'sides' of the recipe {recipe.name!r} must be drawn or all, got {said!r}."
        )
    return said


def copier(recipe: RecipeConfig, part: str, seed: int) -> Copier:
    """Return what makes the copies of one kind; each text draws under its own name.

    Raises:
        Unsupported: If nlpaug or WordNet is needed and not here.
    """
    if recipe.name == "counterfactual":
        return swapper(part, seed)
    if recipe.name == "names":
        return _namer(seed)
    if recipe.name == "noise":
        return _changer(rewording.disturber(part), "augment-noise", part, seed)
    if recipe.name == "nlpaug":
        return _changer(rewording.mixer(parts(recipe)), "augment-nlpaug", "", seed)
    return _changer(rewording.worder(part), "augment-words", part, seed)


def swapper(axis: str, seed: int, path: str = "augment-swap") -> Copier:
    """Return what exchanges two groups of `axis`, drawn for each text among those it names.

    ``axis:one:other`` exchanges these two alone.

    A text with a term that has no counterpart (`Found.asymmetric`) has no counterfactual: its
    label might not hold.
    """
    name, *only = axis.split(":")
    table = lexicon(name)
    allowed = [p for p in table.pairs if not only or p == tuple(only)]

    def copy(example: Example) -> Text | None:
        found = find(example.input, table)
        rng = stream(seed, path, axis, example.id)
        pairs = [p for p in allowed if found.groups & set(p)]
        if not pairs or found.asymmetric:
            return None
        made = swap(found, table, pairs[int(rng.integers(len(pairs)))], rng)
        return None if made is None else made.input

    return copy


def _namer(seed: int) -> Copier:
    table = lexicon("names_race")

    def copy(example: Example) -> Text | None:
        found = find(example.input, table)
        if not found.groups or found.asymmetric:
            return None
        rng = stream(seed, "augment-names", example.id)
        old = sorted(found.groups)[0]
        new = table.groups[int(rng.integers(len(table.groups)))]
        # Drawn of all origins, its own among them, so that no origin is favoured by the copies.
        made = (
            placebo(found, table, (old, old), rng)
            if new == old
            else swap(found, table, (old, new), rng)
        )
        return None if made is None or made.input == example.input else made.input

    return copy


def _changer(change: rewording.Change, path: str, part: str, seed: int) -> Copier:
    def copy(example: Example) -> Text | None:
        made = change(example.text, stream(seed, path, part, example.id))
        if made is None or example.second is None:
            return made
        return made, example.second

    return copy

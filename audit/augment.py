"""More training texts where the audit found fault: copies that differ in what must not matter."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from audit.copiers import card, copier, kinds_of, number
from audit.errors import Unsupported
from audit.generators import kept_randomness
from audit.leaks import TestTexts, folded_text
from audit.seeding import stream
from audit.settings import RecipeConfig
from audit.types import AuditResult, Corpus, Example, Floats, Skip, Text
from audit.weighing import origin

Vectors = Callable[[Sequence[Text]], Floats]
_UNDECIDED = 0.25


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
    return tuple(kind for recipe in recipes for kind, _ in kinds_of(recipe))


def shares(result: AuditResult, recipes: Sequence[RecipeConfig]) -> dict[str, float]:
    """Return how much of the training texts each kind of copy is made of, by what failed.

    A metric that lies beyond its limit by the limit's own size asks for a copy of every text, one at
    its limit for every second; an undecided one for a quarter; what passed asks for nothing.
    Counterfactual copies of an axis answer to the claims about that axis alone. A recipe's own
    setting ``share`` comes first; with ``proportional = true`` beside it, it is the most.
    """
    found: dict[str, float] = {}
    for recipe in recipes:
        answers = card(recipe).answers
        said = recipe.params.get("share")
        for kind, part in kinds_of(recipe):
            share = 0.0
            for v in result.verdicts:
                probe, _, rest = origin(v.claim).partition(".")
                if probe not in answers:
                    continue
                axis = part.partition(":")[0] or {"names": "names_race"}.get(recipe.name, "")
                about = recipe.name in ("counterfactual", "names")
                if about and f"axis={axis}" not in re.split(r"[\[\],]", rest):
                    continue
                if v.status == "inconclusive":
                    share = max(share, _UNDECIDED)
                if v.status == "fail" and v.value is not None:
                    beyond, limit = abs(v.value - v.claim.limit), abs(v.claim.limit)
                    share = max(share, min(1.0, 0.5 + beyond / (2 * limit)) if limit else 1.0)
            if isinstance(said, int | float):
                share = min(share, said) if recipe.params.get("proportional") else float(said)
            found[kind] = share
    return found


def augment(
    train: Corpus,
    test: Corpus,
    recipes: Sequence[RecipeConfig],
    wanted: Mapping[str, float],
    *,
    seed: int,
    crafted: Mapping[str, Sequence[Example]] = MappingProxyType({}),
    vectors: Vectors | None = None,
) -> Augmented:
    """Return `train` with copies added; labels are kept, and no test text enters.

    Args:
        train: Texts with labels.
        test: The audited texts: what equals one of them, or nearly does (`audit.leaks`), is stopped,
            be it a copy or a training text.
        recipes: What copies to make.
        wanted: Kind of copy to the share of texts to copy, in [0, 1]; `shares` returns it.
        seed: Each text draws its own lot from it.
        crafted: Kind to texts made elsewhere (`audit.crafted`), held against the same guard.
        vectors: Texts to vectors of length 1, for recipes with a least ``similarity`` of a copy to
            its source (cosine); None: such a recipe is refused.

    Raises:
        ConfigError: If a recipe or one of its settings is unknown.
        Unsupported: If a similarity is to be kept and there are no vectors, or nlpaug is missing.
    """
    guard = TestTexts(e.input for e in test.examples)
    left: Counter[str] = Counter()
    stopped: list[tuple[str, str]] = []

    def enters(example: Example, what: str) -> bool:
        why = _why(guard, example, what)
        if why:
            left[why] += 1
            stopped.append((example.id, why))
        return not why

    kept = [e for e in train.examples if enters(e, "training text")]
    own = {folded_text(e.input) for e in kept}
    barred = {id for id, _ in stopped}
    copies: dict[str, int] = {}
    added: list[Example] = []

    def add(made: Sequence[Example], kind: str, recipe: RecipeConfig) -> None:
        copies[kind] = 0
        sources = {e.id: e.input for e in kept}
        unlike = _unlike(made, sources, _least(recipe), vectors)
        for copy in made:
            if folded_text(copy.input) in own:
                # Its label may be another there; one text with two labels teaches nothing.
                left[f"copy that equals another training text ({kind})"] += 1
            elif source_of(copy) in barred:
                left[f"copy of a text that was kept out ({kind})"] += 1
            elif copy.id in unlike:
                left[f"copy too unlike its source ({kind})"] += 1
            elif enters(copy, "copy"):
                added.append(copy)
                copies[kind] += 1

    for recipe in recipes:
        for kind, part in kinds_of(recipe):
            if kind in crafted:
                add(crafted[kind], kind, recipe)
                continue
            some = drawn(kept, kind, wanted.get(kind, 0.0), seed)
            made = []
            for example, text in changed(recipe, part, some, seed=seed):
                if text is None:
                    left[f"nothing to change ({kind})"] += 1
                else:
                    made.append(copy_of(example, text, kind))
            add(made, kind, recipe)
    return Augmented(
        corpus=replace(train, examples=(*kept, *added), sha256=""),
        copies=copies,
        shares={kind: wanted.get(kind, 0.0) for kind in copies},
        skips=tuple(Skip(reason=why, count=n) for why, n in sorted(left.items())),
        stopped=tuple(stopped),
    )


def drawn(examples: Sequence[Example], kind: str, share: float, seed: int) -> list[Example]:
    """Return about `share` of `examples`, drawn for one kind of copy by their ids."""
    if share <= 0:
        return []
    return [e for e in examples if stream(seed, "augment", kind, e.id).random() < share]


def changed(
    recipe: RecipeConfig, part: str, examples: Sequence[Example], *, seed: int, workers: int = 1
) -> Iterator[tuple[Example, Text | None]]:
    """Return each of `examples` with its changed text, None where there is nothing to change.

    What a text becomes hangs on its id, the seed and the kind alone: neither the order nor the
    number of `workers` (processes; each takes seconds to start) changes any.
    """
    if not examples:
        return iter(())
    if workers == 1:
        return zip(examples, _changed(recipe, part, examples, seed), strict=True)
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    parts = [examples[i::workers] for i in range(min(workers, len(examples)))]
    made: list[Text | None] = [None] * len(examples)
    # Spawned: a fork of a process in which torch has threads may hang.
    with ProcessPoolExecutor(len(parts), get_context("spawn")) as pool:
        jobs = [pool.submit(_changed, recipe, part, some, seed) for some in parts]
        for i, job in enumerate(jobs):
            made[i::workers] = job.result()
    return zip(examples, made, strict=True)


def _changed(
    recipe: RecipeConfig, part: str, examples: Sequence[Example], seed: int
) -> list[Text | None]:
    change = copier(recipe, part, seed)
    # Borrowed for all of them at once: to save and restore generators costs as much as a change.
    with kept_randomness():
        return [change(example) for example in examples]


def admitting(
    train: Sequence[Example], test: Corpus, recipe: RecipeConfig, vectors: Vectors | None
) -> Callable[[Mapping[str, Text]], dict[str, Text]]:
    """Return what keeps, of changed texts by their source's id, those that `augment` would add.

    Args:
        train: The texts trained on.
        test: The audited texts.
        recipe: Whose least similarity holds.
        vectors: As in `augment`.
    """
    guard = TestTexts(e.input for e in test.examples)
    sources = {e.id: e.input for e in train}
    own = {folded_text(text) for text in sources.values()}

    def admit(changed: Mapping[str, Text]) -> dict[str, Text]:
        made = [copy_of(Example(id=id, text=""), text, recipe.name) for id, text in changed.items()]
        unlike = _unlike(made, sources, _least(recipe), vectors)
        return {
            source_of(copy): copy.input
            for copy in made
            if copy.id not in unlike
            and folded_text(copy.input) not in own
            and not guard.holds(copy.input)
        }

    return admit


def without_copies(
    corpus: Corpus, test: Corpus, what: str
) -> tuple[Corpus, tuple[tuple[str, str], ...]]:
    """Return `corpus` without what equals or nearly equals a test text, and what that was.

    Args:
        corpus: Texts that train a model or choose its epoch.
        test: The audited texts.
        what: How to call one of `corpus`, e.g. ``dev text``.

    Returns:
        The rest, and the id of each text left out with the reason.
    """
    guard = TestTexts(e.input for e in test.examples)
    why = {e.id: said for e in corpus.examples if (said := _why(guard, e, what))}
    kept = tuple(e for e in corpus.examples if e.id not in why)
    return replace(corpus, examples=kept, sha256="" if why else corpus.sha256), tuple(why.items())


def _why(guard: TestTexts, example: Example, what: str) -> str:
    how = guard.holds(example.input)
    return how and f"{what} that {'equals' if how == 'equal' else 'nearly equals'} a test text"


def _least(recipe: RecipeConfig) -> float:
    known = card(recipe).numbers
    return number(recipe, "similarity") if "similarity" in known else 0.0


def _unlike(
    made: Sequence[Example], sources: Mapping[str, Text], least: float, vectors: Vectors | None
) -> set[str]:
    """Return the ids of copies whose cosine with their source is below `least`."""
    if not least or not made:
        return set()
    if vectors is None:
        raise Unsupported(
            "A copy's similarity to its source needs a sentence encoder, and there is none.",
            hint="pip install sentence-transformers 'evenhand[encoder]', or set similarity = 0.",
        )
    pairs = [e for e in made if source_of(e) in sources]
    one = vectors([e.input for e in pairs])
    other = vectors([sources[source_of(e)] for e in pairs])
    alike = (one * other).sum(axis=1) if pairs else ()
    return {e.id for e, cosine in zip(pairs, alike, strict=True) if cosine < least}


def needs_vectors(recipes: Sequence[RecipeConfig]) -> bool:
    """Tell whether a recipe keeps a least similarity, so that `augment` needs vectors."""
    return any(_least(recipe) > 0 for recipe in recipes)


def source_of(copy: Example) -> str:
    """Return the id of the text that a copy was made of."""
    return copy.id.rpartition("+")[0]


def copy_of(example: Example, text: Text, name: str) -> Example:
    """Return the copy `text` of kind `name`: same label, same cluster, an id of its own."""
    first, second = (text, None) if isinstance(text, str) else text
    return replace(
        example,
        id=f"{example.id}+{name}",
        text=first,
        second=second,
        # Whom a counterfactual speaks of is no longer what the table says.
        groups={} if name.startswith(("counterfactual", "names")) else example.groups,
        # A copy is no independent text: it stays in its source's cluster.
        cluster=example.cluster or example.id,
    )

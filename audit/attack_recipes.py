"""Attacks from the literature, as compositions of TextAttack's classes.

Those marked *-style* keep the published search and goal and replace what cannot be had without a
network: counter-fitted vectors become the packaged encoder's own neighbours and WordNet's synonyms
less their opposites; the Universal Sentence Encoder becomes the packaged sentence encoder. Their
numbers are therefore their own, not those of the papers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from audit.errors import ConfigError, did_you_mean
from audit.lockstep import Ask
from audit.masked import MaskedWords, word_swap
from audit.neighbours import neighbours, opposites, parts_of_speech
from audit.resources import Resources

Parts = tuple[Any, list[Any], Any]
"""Transformation, constraints, search method."""
Need = Literal["wordnet", "encoder", "masked_lm"]
SENTENCES = "sentences"
"""Whom a search asks for sentence vectors, in `lockstep.run`."""

_ANGULAR = 0.840845057
"""TextFooler's released threshold, as TextAttack corrects it: one less an angle of 0.5 over pi."""

_LOOK_ALIKE = dict(
    zip(
        "aceijopsxy",
        (0x430, 0x441, 0x435, 0x456, 0x458, 0x43E, 0x440, 0x455, 0x445, 0x443),
        strict=True,
    )
)
"""Latin letters to the Cyrillic ones that most fonts draw alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What a recipe is built from: one kit for each search."""

    ta: Any
    """The imported `textattack`."""
    ask: Ask
    resources: Resources
    masked: MaskedWords | None = None
    """The masked language model the user names; what it would write is asked of `ask`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One attack from the literature, as TextAttack composes it."""

    name: str
    source: str
    what: str
    """What it changes, in a few words."""
    parts: Callable[[Kit], Parts]
    """Returns new parts each time: a search may keep state in them."""
    needs: frozenset[Need] = frozenset()
    ready: Callable[[Any], None] | None = None
    """Told `textattack`, raises `Unsupported` where the recipe cannot run on this machine."""
    languages: tuple[str, ...] = ("en",)


def recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        ConfigError: If there is none of that name.
    """
    known = recipes()
    if name not in known:
        raise ConfigError(f"There is no attack recipe {name!r}.", hint=did_you_mean(name, known))
    return known[name]


@cache
def recipes() -> Mapping[str, Recipe]:
    """Return every recipe by name."""
    typing = "Latin letters"
    return {
        one.name: one
        for one in (
            Recipe(
                name="deepwordbug",
                source="Gao et al. (2018), arXiv:1801.04354",
                what="typing slips in the words that matter most",
                parts=_deepwordbug,
                languages=(typing,),
            ),
            Recipe(
                name="pruthi",
                source="Pruthi et al. (2019), ACL, arXiv:1905.11268",
                what="one typing slip inside one word",
                parts=_pruthi,
                languages=(typing,),
            ),
            Recipe(
                name="pwws",
                source="Ren et al. (2019), ACL, https://aclanthology.org/P19-1103",
                what="synonyms from WordNet, weighted by saliency",
                parts=_pwws,
                needs=frozenset({"wordnet"}),
            ),
            Recipe(
                name="textfooler",
                source="after Jin et al. (2020), AAAI, arXiv:1907.11932",
                what="near words of the same part of speech, sentence kept alike",
                parts=_textfooler,
                needs=frozenset({"wordnet", "encoder"}),
            ),
            Recipe(
                name="textbugger",
                source="after Li et al. (2019), NDSS, arXiv:1812.05271",
                what="typing slips, look-alike letters and near words, sentence kept alike",
                parts=_textbugger,
                needs=frozenset({"wordnet", "encoder"}),
            ),
            Recipe(
                name="genetic",
                source="after Alzantot et al. (2018), EMNLP, arXiv:1804.07998",
                what="near words, bred over generations",
                parts=_genetic,
                needs=frozenset({"wordnet", "encoder"}),
            ),
            Recipe(
                name="bae",
                source="after Garg & Ramakrishnan (2020), EMNLP, arXiv:2004.01970",
                what="what a masked language model writes in a word's place, sentence kept alike",
                parts=_bae,
                needs=frozenset({"wordnet", "encoder", "masked_lm"}),
                languages=("the masked model's",),
            ),
            Recipe(
                name="bertattack",
                source="after Li et al. (2020), EMNLP, arXiv:2004.09984",
                what="what a masked language model writes over a word it sees",
                parts=_bertattack,
                needs=frozenset({"encoder", "masked_lm"}),
                languages=("the masked model's",),
            ),
            Recipe(
                name="morpheus",
                source="Tan et al. (2020), ACL, https://aclanthology.org/2020.acl-main.263",
                what="other inflections of nouns, verbs and adjectives",
                parts=_morpheus,
            ),
            Recipe(
                name="checklist",
                source="after Ribeiro et al. (2020), ACL, arXiv:2005.04118",
                what="contractions taken apart or made, numbers changed",
                parts=_checklist,
            ),
        )
    }


def _before(ta: Any) -> list[Any]:
    before = ta.constraints.pre_transformation
    return [before.RepeatModification(), before.StopwordModification()]


def _deepwordbug(kit: Kit) -> Parts:
    ta = kit.ta
    words = ta.transformations
    transformation = words.CompositeTransformation(
        [
            words.WordSwapNeighboringCharacterSwap(),
            words.WordSwapRandomCharacterSubstitution(),
            words.WordSwapRandomCharacterDeletion(),
            words.WordSwapRandomCharacterInsertion(),
        ]
    )
    constraints = [*_before(ta), ta.constraints.overlap.LevenshteinEditDistance(30)]
    return transformation, constraints, ta.search_methods.GreedyWordSwapWIR()


def _pruthi(kit: Kit) -> Parts:
    ta = kit.ta
    words, before = ta.transformations, ta.constraints.pre_transformation
    inside: dict[str, Any] = {"random_one": False, "skip_first_char": True, "skip_last_char": True}
    transformation = words.CompositeTransformation(
        [
            words.WordSwapNeighboringCharacterSwap(**inside),
            words.WordSwapRandomCharacterDeletion(**inside),
            words.WordSwapRandomCharacterInsertion(**inside),
            words.WordSwapQWERTY(**inside),
        ]
    )
    constraints = [
        before.MinWordLength(min_length=4),
        before.StopwordModification(),
        ta.constraints.overlap.MaxWordsPerturbed(max_num_words=1),
        before.RepeatModification(),
    ]
    return transformation, constraints, ta.search_methods.GreedySearch()


def _pwws(kit: Kit) -> Parts:
    ta = kit.ta
    search = ta.search_methods.GreedyWordSwapWIR("weighted-saliency")
    return ta.transformations.WordSwapWordNet(), _before(ta), search


def _textfooler(kit: Kit) -> Parts:
    ta = kit.ta
    transformation = _near(kit, most=50, same_part=True)
    alike = _sentences(ta)(
        kit.ask,
        threshold=_ANGULAR,
        metric="angular",
        compare_against_original=False,
        window_size=15,
        skip_text_shorter_than_window=True,
    )
    return (
        transformation,
        [*_before(ta), alike],
        ta.search_methods.GreedyWordSwapWIR(wir_method="delete"),
    )


def _textbugger(kit: Kit) -> Parts:
    ta = kit.ta
    words = ta.transformations
    inside: dict[str, Any] = {"random_one": True, "skip_first_char": True, "skip_last_char": True}
    transformation = words.CompositeTransformation(
        [
            words.WordSwapRandomCharacterInsertion(letters_to_insert=" ", **inside),
            words.WordSwapRandomCharacterDeletion(**inside),
            words.WordSwapNeighboringCharacterSwap(**inside),
            _look_alikes(ta)(),
            _near(kit, most=5, same_part=False),
        ]
    )
    alike = _sentences(ta)(kit.ask, threshold=0.8)
    return (
        transformation,
        [*_before(ta), alike],
        ta.search_methods.GreedyWordSwapWIR(wir_method="delete"),
    )


def _genetic(kit: Kit) -> Parts:
    ta = kit.ta
    constraints = [*_before(ta), ta.constraints.overlap.MaxWordsPerturbed(max_percent=0.2)]
    search = ta.search_methods.AlzantotGeneticAlgorithm(
        pop_size=20, max_iters=20, post_crossover_check=False
    )
    return _near(kit, most=8, same_part=True), constraints, search


def _bae(kit: Kit) -> Parts:
    ta = kit.ta
    assert kit.masked is not None
    alike = _sentences(ta)(
        kit.ask,
        threshold=0.936338023,
        metric="cosine",
        compare_against_original=True,
        window_size=15,
        skip_text_shorter_than_window=True,
    )
    return (
        word_swap(ta)(kit.ask, kit.masked, hidden=True),
        [*_before(ta), same_part(ta)(False), alike],
        ta.search_methods.GreedyWordSwapWIR(wir_method="delete"),
    )


def _bertattack(kit: Kit) -> Parts:
    ta = kit.ta
    assert kit.masked is not None
    alike = _sentences(ta)(
        kit.ask, threshold=0.2, metric="cosine", compare_against_original=True, window_size=None
    )
    few = ta.constraints.overlap.MaxWordsPerturbed(max_percent=0.4)
    return (
        word_swap(ta)(kit.ask, kit.masked, hidden=False),
        [*_before(ta), few, alike],
        ta.search_methods.GreedyWordSwapWIR(wir_method="unk"),
    )


def _morpheus(kit: Kit) -> Parts:
    ta = kit.ta
    constraints = [ta.constraints.pre_transformation.RepeatModification()]
    return _inflections(ta)(), constraints, ta.search_methods.GreedySearch()


def _checklist(kit: Kit) -> Parts:
    ta = kit.ta
    words = ta.transformations
    transformation = words.CompositeTransformation(
        [words.WordSwapExtend(), words.WordSwapContract(), words.WordSwapChangeNumber()]
    )
    constraints = [ta.constraints.pre_transformation.RepeatModification()]
    return transformation, constraints, ta.search_methods.GreedySearch()


def _near(kit: Kit, *, most: int, same_part: bool) -> Any:
    return _near_words(kit.ta)(neighbours(kit.resources.encoder()), most, same_part)


@cache
def _near_words(ta: Any) -> Any:
    """Return the class of our transformation: neighbours and synonyms, without opposites."""

    class WordSwapNear(ta.transformations.WordSwap):  # type: ignore[misc]
        def __init__(self, table: Any, most: int, same_part: bool) -> None:
            super().__init__()
            self.table, self.most, self.same_part = table, most, same_part
            self.synonyms = ta.transformations.WordSwapWordNet()

        def _get_replacement_words(self, word: str) -> list[str]:
            lower = word.lower()
            found = list(self.table.near(lower, most=self.most, least=0.5))
            found += [s for s in sorted(self.synonyms._get_replacement_words(lower)) if s.isalpha()]
            against = opposites(lower)
            parts = parts_of_speech(lower) if self.same_part else frozenset()
            kept = [
                other
                for other in dict.fromkeys(other.lower() for other in found)
                if other != lower
                and other not in against
                and lower not in opposites(other)
                and (not parts or parts & parts_of_speech(other))
            ]
            return [_cased(other, word) for other in kept[: self.most]]

    return WordSwapNear


@cache
def _look_alikes(ta: Any) -> Any:
    """Return the class of our transformation: one letter of a word replaced by its look-alike.

    TextAttack's own reads a table that its wheel does not hold.
    """

    class WordSwapLookAlike(ta.transformations.WordSwap):  # type: ignore[misc]
        def _get_replacement_words(self, word: str) -> list[str]:
            return [
                word[:i] + chr(_LOOK_ALIKE[letter]) + word[i + 1 :]
                for i, letter in enumerate(word)
                if letter in _LOOK_ALIKE
            ]

    return WordSwapLookAlike


@cache
def _inflections(ta: Any) -> Any:
    """Return the class of our transformation: the other inflections of a word.

    TextAttack's own wants a part-of-speech tagger; here each reading of the word counts.
    """

    class WordSwapInflected(ta.transformations.WordSwap):  # type: ignore[misc]
        def _get_replacement_words(self, word: str) -> list[str]:
            import lemminflect

            lower = word.lower()
            found = {
                form
                for part, lemmas in lemminflect.getAllLemmas(lower).items()
                if part in ("NOUN", "VERB", "ADJ")
                for lemma in lemmas
                for forms in lemminflect.getAllInflections(lemma, upos=part).values()
                for form in forms
            }
            return [_cased(form, word) for form in sorted(found - {lower})]

    return WordSwapInflected


@cache
def same_part(ta: Any) -> Any:
    """Return the class of our constraint: a swapped word shares a part of speech with the old one.

    By WordNet, in any reading of either; words it does not know may be swapped. NLTK must have been
    shown WordNet.
    """

    class SamePart(ta.constraints.Constraint):  # type: ignore[misc]
        def _check_constraint(self, transformed_text: Any, reference_text: Any) -> bool:
            indices = transformed_text.attack_attrs["newly_modified_indices"]
            pairs = [
                (
                    parts_of_speech(text.words[i].lower())
                    for text in (reference_text, transformed_text)
                )
                for i in indices
                if i < min(reference_text.num_words, transformed_text.num_words)
            ]
            return all(not old or not new or old & new for old, new in pairs)

        def check_compatibility(self, transformation: Any) -> bool:
            return True

    return SamePart


@cache
def _sentences(ta: Any) -> Any:
    """Return the class of our constraint, which asks for vectors in company (`lockstep`)."""
    import torch

    encoders = ta.constraints.semantics.sentence_encoders

    class SentenceLikeness(encoders.SentenceEncoder):  # type: ignore[misc,name-defined]
        def __init__(self, ask: Ask, **settings: Any) -> None:
            super().__init__(**settings)
            self.ask = ask

        def encode(self, sentences: list[str]) -> Any:
            return torch.from_numpy(self.ask(sentences, SENTENCES))

        def _sim_score(self, starting_text: Any, transformed_text: Any) -> Any:
            return self._score_list(starting_text, [transformed_text])[0]

    return SentenceLikeness


def _cased(other: str, word: str) -> str:
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other[0].upper() + other[1:] if word[0].isupper() else other

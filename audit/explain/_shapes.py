"""What an explanation is made of."""

from dataclasses import dataclass
from typing import ClassVar

from audit.aligning import Aligned
from audit.attribution import Attribution
from audit.reliability import Reliability
from audit.types import STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word of a text and what it adds to the logit of the favourable score."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    text: str
    start: int
    """Of its characters, ``part[start:end]``."""
    end: int
    part: int
    """1 for a word of the second text of a pair, else 0."""
    weight: float
    """Above 0: it speaks for the labels in `Explanation.favourable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The answer of one method, and how good an answer it is."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    method: str
    words: tuple[Word, ...]
    logit: float
    logit_baseline: float
    baseline: str
    """What stands where a word is absent."""
    steps: int
    """Evaluations of the model behind it: points of an integral, or altered texts."""
    delta: float | None
    """Convergence error, a share of what is explained; None where nothing has to add up."""
    converged: bool
    reliability: Reliability | None = None
    """None until it was asked for."""

    @property
    def weights(self) -> tuple[float, ...]:
        return tuple(word.weight for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """The text as it would read of another group, and what the model makes of it."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    axis: str
    groups: tuple[str, str]
    """The two groups that were exchanged."""
    changes: tuple[tuple[str, str], ...]
    """Each replaced word and its replacement."""
    parts: tuple[str, ...]
    """The swapped text, two strings for a pair."""
    score: float
    difference: float
    """Favourable score of the swapped text less that of the text, in [-1, 1]."""
    placebo: float | None
    """The same for other words of the *same* group in the same places: what editing alone does.
    None where there are none."""
    decision: tuple[str, ...]
    flipped: bool
    aligned: tuple[Aligned, ...] = ()
    """Attributions of both texts, word by word; empty where none was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One word deleted or replaced."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    word: str
    start: int
    end: int
    part: int
    new: str
    """Empty: deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A few words that turn the decision."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    edits: tuple[Edit, ...]
    parts: tuple[str, ...]
    score: float
    decision: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """The nearest flips that a search found."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    found: tuple[Flip, ...]
    """All with the same number of edits, the plainest first; empty: none within `edits`."""
    edits: int
    """Edits that were tried, at most."""
    queries: int
    """Altered texts the model was asked about."""
    exhaustive: bool
    """Every single deletion was tried. Beyond one edit the search follows the likeliest few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """A text of the audit that shares words with this one."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    example_id: str
    parts: tuple[str, ...]
    similarity: float
    """Cosine of word counts, rarer words counting more, in (0, 1]."""
    label: tuple[str, ...] | None
    """The true label; None where nobody has said."""
    groups: tuple[tuple[str, str], ...]
    score: float | None
    """Favourable score in the audit; None where the audit has not been run."""
    decision: tuple[str, ...] | None
    flipped_by: tuple[str, ...] = ()
    """Measurements of the audit in whose cases this text changed its decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a model said this of one text, how far to trust that, and what would change its mind.

    A part that was not asked for is None (or empty, for `compared`).
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    parts: tuple[str, ...]
    """The text, two strings for a pair."""
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    """In the order of `labels`."""
    favourable: tuple[str, ...]
    """Labels whose score is explained."""
    score: float
    """Summed probability of those (multi-label: the highest), in [0, 1]."""
    threshold: float | None
    """None: the top label decides."""
    distance: float
    """Probability that must move before the decision is another; above 0 where it is favourable."""
    decision: tuple[str, ...]
    """Labels decided for."""
    selected: bool
    """The decision is favourable."""
    truncated: bool
    """The model could not read the text to its end."""
    weighed: Weighed | None = None
    compared: tuple[Weighed, ...] = ()
    agreement: tuple[tuple[str, float | None], ...] = ()
    """For each method compared, Kendall's tau-b with the first, in [-1, 1]."""
    swaps: tuple[Swap, ...] | None = None
    not_swapped: tuple[tuple[str, str], ...] = ()
    """Axes that the text names and that have no swap of it all the same, with the reason."""
    flips: Flips | None = None
    similar: tuple[Similar, ...] | None = None


def weighed(one: Attribution) -> Weighed:
    """Return an attribution in the form that is stored."""
    return Weighed(
        method=one.method,
        words=tuple(
            Word(text=word, start=a, end=b, part=part, weight=weight)
            for word, (a, b), part, weight in zip(
                one.words, one.spans, one.parts, one.weights, strict=True
            )
        ),
        logit=one.logit,
        logit_baseline=one.logit_baseline,
        baseline=one.baseline,
        steps=one.steps,
        delta=one.delta,
        converged=one.converged(),
    )


def unweighed(one: Weighed, *, truncated: bool) -> Attribution:
    """Return the attribution again; the inverse of `weighed`."""
    return Attribution(
        words=tuple(w.text for w in one.words),
        spans=tuple((w.start, w.end) for w in one.words),
        parts=tuple(w.part for w in one.words),
        weights=one.weights,
        logit=one.logit,
        logit_baseline=one.logit_baseline,
        delta=one.delta,
        steps=one.steps,
        baseline=one.baseline,
        truncated=truncated,
        method=one.method,
    )

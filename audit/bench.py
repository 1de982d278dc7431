"""What a probe is, and what it gets: the texts, the model, and its own randomness."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from audit.decision import Decided, decide
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.types import Corpus, Decision, Fact, Floats, measurement_id


def _make(key: str, make: Callable[[], bytes]) -> bytes:
    return make()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The corpus and the model on one bench.

    New fields may be added; a probe written today keeps working, because it takes one argument.
    """

    probe: str
    corpus: Corpus
    """The audited texts (``[corpora.test]``)."""
    corpora: Mapping[str, Corpus] = field(default_factory=dict)
    """Every corpus of the audit file, by name."""
    scorer: Scorer
    decision: Decision
    resources: Resources
    seed: int = 0
    level: float = 0.95
    remember: Callable[[str, Callable[[], bytes]], bytes] = _make
    """``remember(key, make)``: what does not pass the scorer (gradients, generated text) is kept in
    the journal's cache under `key` and made only when it is not there."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Called with units done and in all, for the live display."""

    def rng(self, *path: str) -> np.random.Generator:
        """Return this probe's generator for `path`, usually one example's id."""
        return stream(self.seed, self.probe, *path)

    def decide(self, scores: Floats) -> Decided:
        """Turn scores, shape ``(n, k)``, into decisions."""
        return decide(self.decision, scores)

    def id(self, metric: str, where: Mapping[str, str] | None = None) -> str:
        """Return the id of this probe's measurement of `metric` on a slice."""
        return measurement_id(self.probe, metric, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a probe would do, told without scoring a text."""

    units: int
    """Texts it would ask about."""
    queries: int
    """Model calls it would make, counting repeats; see `upper_bound`."""
    claims: tuple[str, ...]
    """Ids of what it will measure: gates are matched against these."""
    mde: Mapping[str, float] = field(default_factory=dict)
    upper_bound: bool = False


class Probe(Protocol):
    """A frozen dataclass with a name, whose fields are its settings."""

    name: ClassVar[str]
    version: ClassVar[str]
    """Raise it when results change: it is part of the journal's key."""
    needs: ClassVar[frozenset[str]]
    """Of ``labels``, ``groups``, ``gradients``, ``wordnet``, ``textattack``, ``nlpaug``."""
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def plan(self, bench: Bench) -> Planned:
        """Tell what `run` would ask and measure. Scores nothing."""
        ...

    def run(self, bench: Bench) -> Iterator[Fact]:
        """Yield what was measured, shown and left out. Reads nothing but `bench` and itself.

        Raises:
            Unsupported: If this model or corpus cannot be probed so.
        """
        ...

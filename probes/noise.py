"""Does the decision survive the noise that texts pick up on their way?

Slips to neighbouring keys, characters misread by a scanner, and misspellings that people made, put
in by nlpaug word by word. Links, mentions, hashtags, placeholders, punctuation and white space stay
as they are, so that nothing but the words differs.

Source: Belinkov & Bisk (2018), ICLR, arXiv:1711.02173; E. Ma, nlpaug (2019),
https://github.com/makcedward/nlpaug
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from audit import foreign
from audit.bench import Bench, Planned
from audit.errors import ConfigError, did_you_mean
from audit.perturbation import Pair, claims, measure
from audit.power import mde_share
from audit.types import Fact, Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Share of texts that change decision under each kind of noise, and the accuracy it costs."""

    name: ClassVar[str] = "noise"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset({"nlpaug"})

    kinds: tuple[str, ...] = ("keyboard", "ocr", "spelling")
    """Of ``keyboard``, ``ocr`` and ``spelling`` (English)."""
    words: float = 0.3
    """Share of a text's words to disturb; at least one word."""
    letters: float = 0.3
    """Share of such a word's characters to replace; at least one. Spelling has its own slips."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in foreign.NOISE_KINDS:
                raise ConfigError(
                    f"There is no noise {kind!r}.", hint=did_you_mean(kind, foreign.NOISE_KINDS)
                )
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError("kinds must name at least one kind of noise, and none twice.")
        if not (0 < self.words <= 1 and 0 < self.letters <= 1):
            raise ConfigError("words and letters must lie in (0, 1].")

    def plan(self, bench: Bench) -> Planned:
        n = len(bench.corpus.examples)
        ids = tuple(name for kind in self.kinds for name in claims(bench, {"kind": kind}))
        smallest = mde_share(n, 0.1)
        return Planned(
            units=n,
            queries=2 * n * len(self.kinds),
            claims=ids,
            mde={} if smallest is None else dict.fromkeys(ids, smallest),
            # Which texts have a word that can be misspelt is known only by trying.
            upper_bound=True,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        for kind in self.kinds:
            pairs = self._pairs(bench, kind)
            left = Skip(
                reason=f"no word that {kind} noise can change",
                count=len(bench.corpus.examples) - len(pairs),
            )
            yield from measure(bench, pairs, (left,), where={"kind": kind})

    def _pairs(self, bench: Bench, kind: str) -> list[Pair]:
        if not bench.corpus.examples:
            return []
        augmenter = foreign.noise(kind, words=self.words, letters=self.letters)
        pairs: list[Pair] = []
        for example in bench.corpus.examples:
            noisy = foreign.augment(augmenter, example.text, bench.rng(kind, example.id))
            if noisy is not None:
                second = example.second
                pairs.append((example, noisy if second is None else (noisy, second)))
        return pairs

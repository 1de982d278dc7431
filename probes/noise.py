"""Does the decision survive the noise of keyboards, scanners and spelling?

Disturbs a share of the words of each text the way typing, optical character recognition and real
misspellings do, and counts the texts whose decision changes. Links, handles, tags and placeholders
are left alone.

Source: Belinkov & Bisk (2018), 'Synthetic and Natural Noise Both Break Neural Machine Translation',
ICLR, arXiv:1711.02173; augmenters of nlpaug, https://github.com/makcedward/nlpaug
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
    """Of ``keyboard``, ``ocr`` and ``spelling``."""
    words: float = 0.1
    """Share of a text's words that are disturbed, in (0, 1]; at least one."""
    letters: float = 0.2
    """Share of such a word's letters that are replaced, in (0, 1]; at least one."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in foreign.NOISE_KINDS:
                raise ConfigError(
                    f"There is no noise {kind!r}.", hint=did_you_mean(kind, foreign.NOISE_KINDS)
                )
        if not (0 < self.words <= 1 and 0 < self.letters <= 1):
            raise ValueError("words and letters must lie in (0, 1]")

    def plan(self, bench: Bench) -> Planned:
        n = len(bench.corpus.examples)
        ids = tuple(name for kind in self.kinds for name in claims(bench, {"kind": kind}))
        smallest = mde_share(n, 0.1)
        mde = {} if smallest is None else dict.fromkeys(ids, smallest)
        # Which texts a kind can disturb is known only once nlpaug has tried.
        return Planned(
            units=n, queries=2 * n * len(self.kinds), claims=ids, mde=mde, upper_bound=True
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        examples = bench.corpus.examples
        for number, kind in enumerate(self.kinds):
            augmenter = foreign.noise(kind, words=self.words, letters=self.letters)
            pairs: list[Pair] = []
            for example in examples:
                rng = bench.rng(kind, example.id)
                noisy = foreign.augment(augmenter, example.text, rng)
                if noisy is not None:
                    second = example.second
                    pairs.append((example, noisy if second is None else (noisy, second)))
            left = Skip(
                reason=f"no word that {kind} noise could change", count=len(examples) - len(pairs)
            )
            yield from measure(bench, pairs, (left,), where={"kind": kind})
            bench.progress(number + 1, len(self.kinds))

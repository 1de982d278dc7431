"""Does the decision survive the noise that texts pick up on their way?

Typing: ``keyboard`` (neighbouring keys; ``keyboard_de``, ``_es``, ``_fr``, ``_he``, ``_it``,
``_nl``, ``_pl``, ``_th``, ``_tr``, ``_uk``), ``ocr`` (what a scanner misreads), ``spelling``
(misspellings that people made). These come from nlpaug.
Writing: ``case_lower``, ``case_upper``, ``case_random``, ``punctuation_dropped``,
``punctuation_doubled``, ``contracted``, ``expanded``, ``space_doubled``, ``space_tab``,
``space_no_break``, ``space_lost`` (none after punctuation).
Added: ``emoji``, ``hashtags``, ``links``, ``filler`` (um, well), ``distractor`` (unrelated sentences
among the text's own), ``before`` and ``after`` (the same sentences at either end: position).
Hidden: ``lookalikes`` (letters of other scripts), ``zero_width``, ``bidi``.
Cut off: ``first_words`` and ``last_words`` (which are kept).

Links, mentions, hashtags and placeholders stay as they are. What each kind does, what its severity
is a share of, and who described it stands in ``datasets/noise/kinds.csv``. With several severities
each kind gets a curve: flip rate, accuracy and its drop at each, with intervals that hold for all
points of the curve at once. A text that a kind cannot change is left out and counted.

Source: Belinkov & Bisk (2018), ICLR, arXiv:1711.02173; Ribeiro et al. (2020), ACL,
arXiv:2005.04118; Boucher et al. (2022), IEEE S&P, arXiv:2106.09898; E. Ma, nlpaug (2019),
https://github.com/makcedward/nlpaug
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from audit import noises
from audit.bench import Bench, Planned
from audit.errors import ConfigError
from audit.perturbation import Pair, band_level, claims, measure
from audit.power import mde_share
from audit.types import Fact, Skip

_SEVERITIES = (0.3,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Share of texts that change decision under each kind of noise, and the accuracy it costs."""

    name: ClassVar[str] = "noise"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset({"nlpaug"})

    kinds: tuple[str, ...] = ("keyboard", "ocr", "spelling")
    """Of `audit.noises.kinds`."""
    severities: tuple[float, ...] = _SEVERITIES
    """Each in (0, 1]: for most kinds the share of a text's words, or of other places, to disturb;
    at least one. Several make a curve, and a slice each."""
    letters: float = 0.3
    """Share of such a word's letters to change; at least one. Spelling has its own slips."""
    words: float | None = None
    """Older name of a single severity."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            noises.check(kind)
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError("kinds must name at least one kind of noise, and none twice.")
        if self.words is not None and self.severities != _SEVERITIES:
            raise ConfigError(
                "words and severities say the same: only one of them can be set.",
                hint="words is the older name; keep severities.",
            )
        if not all(0 < share <= 1 for share in (*self._severities, self.letters)):
            raise ConfigError("severities, words and letters must lie in (0, 1].")
        named = {f"{severity:g}" for severity in self._severities}
        if not named or len(named) < len(self._severities):
            raise ConfigError("severities must hold at least one number, and none twice.")

    @property
    def _severities(self) -> tuple[float, ...]:
        return self.severities if self.words is None else (self.words,)

    def plan(self, bench: Bench) -> Planned:
        n, points = len(bench.corpus.examples), len(self._severities)
        slices = [self._where(kind, severity) for kind, severity in self._asked()]
        ids = tuple(name for where in slices for name in claims(bench, where, points=points))
        smallest = mde_share(n, 0.1, alpha=1 - band_level(0.95, points))
        return Planned(
            units=n,
            queries=2 * n * len(slices),
            claims=ids,
            mde={} if smallest is None else dict.fromkeys(ids, smallest),
            # Which texts have a place for a kind of noise is known only by trying.
            upper_bound=True,
        )

    def run(self, bench: Bench) -> Iterator[Fact]:
        for kind, severity in self._asked():
            pairs = self._pairs(bench, kind, severity)
            what = "word" if kind in ("keyboard", "ocr", "spelling") else "place"
            left = Skip(
                reason=f"no {what} that {kind} noise can change",
                count=len(bench.corpus.examples) - len(pairs),
            )
            yield from measure(
                bench,
                pairs,
                (left,),
                where=self._where(kind, severity),
                points=len(self._severities),
            )

    def _asked(self) -> list[tuple[str, float]]:
        return [(kind, severity) for kind in self.kinds for severity in self._severities]

    def _where(self, kind: str, severity: float) -> dict[str, str]:
        # A single severity is no slice of its own: audits from before there were several go on.
        if len(self._severities) == 1:
            return {"kind": kind}
        return {"kind": kind, "severity": f"{severity:g}"}

    def _pairs(self, bench: Bench, kind: str, severity: float) -> list[Pair]:
        if not bench.corpus.examples:
            return []
        disturb = noises.noiser(kind, severity, letters=self.letters)
        pairs: list[Pair] = []
        for example in bench.corpus.examples:
            # The same dice at every severity: a curve shows the severity, not another draw.
            noisy = disturb(example.text, bench.rng(noises.dice(kind), example.id))
            if noisy is not None:
                second = example.second
                pairs.append((example, noisy if second is None else (noisy, second)))
        return pairs

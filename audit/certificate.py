"""When no substitution of words can turn a decision: a bound that sampling leaves room for."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from audit.stats import clopper_pearson
from audit.types import Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is known of one text under the smoothed classifier, which is not the shipped one."""

    certified: bool
    """No allowed substitution turns the majority vote."""
    p_low: float
    """Lower bound of the share of random substitutions that keep the decision."""
    reach: float
    """How far that share can be moved by an adversary, in [0, 1]."""
    margin: float
    """`p_low` less `reach`; the vote stands where it lies above one half."""


def safer(
    kept: int,
    samples: int,
    overlaps: Sequence[float],
    *,
    words: int | None = None,
    level: float = 0.99,
) -> Certificate | Absent:
    """Certify one text against the substitution of synonyms.

    Args:
        kept: Random substitutions on which the classifier's decision was the majority's.
        samples: Random substitutions drawn.
        overlaps: For each word that has synonyms, the least overlap of its synonym set with that of
            any of its synonyms, as a share in [0, 1].
        words: How many words may be substituted; None: all of them. The worst are reckoned with.
        level: One-sided confidence of the lower bound.

    Returns:
        The certificate. It speaks of the majority vote over random synonyms, not of the classifier
        itself. `Absent` without a sample, or where a share lies outside [0, 1].

    Source:
        Ye, Gong & Liu (2020), 'SAFER', ACL, section 3, arXiv:2005.14424; with the bound of Clopper
        & Pearson (1934) in place of the fixed allowance of the published code.
    """
    if not all(0 <= q <= 1 for q in overlaps) or (words is not None and words < 0):
        return Absent(code="invalid", reason="an overlap lies outside 0 to 1, or words below 0")
    share = clopper_pearson(kept, samples, level=2 * level - 1)
    if isinstance(share, Absent):
        return share
    worst = sorted(overlaps)[:words]
    reach = 1 - prod(worst)
    margin = share.low - reach
    return Certificate(certified=margin > 0.5, p_low=share.low, reach=reach, margin=margin)

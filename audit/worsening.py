"""By how much a number got worse: a change, turned so that more is worse."""

from dataclasses import replace

from audit import pairing
from audit.types import Absent, Change, Counts, Estimate, Means, Pairs, Quantiles, TwoCounts


def worsening(change: Change) -> Estimate | Absent:
    """Return by how much a number got worse, with its interval; negative: it got better.

    For a number that should be near zero the side of zero is the baseline's: it was fixed before
    the new model was audited. A number that crossed zero is held against it from the other side,
    with the interval that holds however the two audits hang together.
    """
    d, before, after = change.difference, change.before, change.after
    if isinstance(d, Absent) or isinstance(before, Absent) or isinstance(after, Absent):
        return next(x for x in (before, after, d) if isinstance(x, Absent))
    if change.better == "lower":
        return d
    if change.better == "higher":
        return negated(d)
    if (before.value < 0) == (after.value < 0) or before.value == 0 == after.value:
        return negated(d) if before.value < 0 else d
    crossed = pairing.total(before, after, level=d.level)
    return crossed if before.value < 0 else negated(crossed)


def negated(e: Estimate) -> Estimate:
    """Return the estimate of minus the quantity, from a basis that gives it at every level."""
    b = e.basis
    basis: Counts | TwoCounts | Pairs | Means | Quantiles
    if isinstance(b, Pairs):
        basis = replace(b, b=b.c, c=b.b)
    elif isinstance(b, Means):
        basis = replace(
            b,
            mean=-b.mean,
            low=None if b.high is None else -b.high,
            high=None if b.low is None else -b.low,
        )
    elif isinstance(b, TwoCounts):
        basis = TwoCounts(hits=b.other_hits, n=b.other_n, other_hits=b.hits, other_n=b.n)
    elif isinstance(b, Quantiles):
        basis = Quantiles(
            probs=tuple(1 - p for p in reversed(b.probs)),
            values=tuple(-v for v in reversed(b.values)),
        )
    else:
        raise TypeError("a share has no negative")
    # Less from nothing, so that none stays none and does not become minus none.
    return replace(e, value=0.0 - e.value, low=0.0 - e.high, high=0.0 - e.low, basis=basis)

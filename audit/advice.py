"""What a comparison says in sentences: what was gained, lost and left open, and what follows."""

from collections.abc import Mapping, Sequence

import numpy as np

from audit import stats
from audit.intervals import estimated, for_judging
from audit.pairing import UNPAIRED
from audit.types import Absent, Change, ClaimChange, Comparison, Estimate, Means, Pairs, Spread

SEEDS = 3
"""Trainings that a word about a recipe takes."""
_NAMED = 4


def words(changes: Sequence[Change], alpha: float) -> list[str]:
    """Return what the changes came to, those that were shown first."""
    said = []
    for verdict, start in (("better", "Improved"), ("worse", "Worsened")):
        said += [f"{start}: {told(c)}." for c in changes if c.verdict == verdict]
    said += _of_accuracy(changes, alpha)
    said += _of_margins(changes)
    selection = next((c for c in changes if c.measurement == "selection_rate"), None)
    if selection is not None and isinstance(selection.difference, Estimate):
        said.append(f"Selected, of all texts: {told(selection)}.")
    judged = [c for c in changes if c.better]
    open_ = sum(c.verdict == "undecided" for c in judged)
    if open_:
        said.append(
            f"Undecided: for {open_} of {len(judged)} measurements neither an improvement nor a "
            "loss was shown, after Holm's correction over all of them."
        )
    said += _of_multiplicity(changes, alpha)
    loose = sum(
        isinstance(c.difference, Estimate) and c.difference.method == UNPAIRED for c in judged
    )
    if loose:
        said.append(
            f"{loose} of the differences could not be paired text by text; their intervals hold "
            "however the two audits hang together, and are wider for it."
        )
    return said


def advice(comparison: Comparison, seeds: int = 1) -> tuple[str, ...]:
    """Return what follows for who has to choose between the two, the verdict first.

    Args:
        comparison: With its changes judged.
        seeds: Trainings behind the second audit.
    """
    changes = comparison.changes
    gained = [c for c in changes if c.verdict == "better"]
    lost = [c for c in changes if c.verdict == "worse" or c.kept == "broken"]
    new = [c for c in comparison.claims if c.outcome == "new"]
    resolved = [c for c in comparison.claims if c.outcome == "resolved"]
    whole = next((c for c in changes if c.measurement == "accuracy"), None)
    loose = [c for c in changes if c.kept == "undecided"]
    said = [_verdict(gained, lost, new, resolved, whole, loose, changes)]
    for start, some in (("Gained", gained), ("Lost", lost)):
        if some:
            said.append(f"{start}: {_listed([_brief(c) for c in some])}.")
    for start, claims in (
        ("Gates that fail now and did not", new),
        ("Gates that pass now and failed", resolved),
    ):
        if claims:
            said.append(f"{start}: {_listed([c.claim for c in claims])}.")
    open_ = [c for c in changes if c.primary and c.verdict == "undecided" and c.better]
    if open_:
        said.append(f"Open among what was asked first: {_listed([_open(c) for c in open_])}.")
    if 0 < seeds < SEEDS:
        said.append(
            f"{'This is one training' if seeds == 1 else f'These are {seeds} trainings'}: a word about how "
            f"it was trained, instead of about these two models, takes {SEEDS} seeds."
        )
    return tuple(said)


def spreads(comparisons: Sequence[Comparison]) -> tuple[Spread, ...]:
    """Return how far each change moves with the seed of the training, apart from sampling error.

    The mean over the seeds has both errors: that of the seeds, which shrinks with their number, and
    that of the texts, which all trainings share and which does not.
    """
    found: dict[str, list[Change]] = {}
    for comparison in comparisons:
        for change in comparison.changes:
            found.setdefault(change.measurement, []).append(change)
    out = []
    for name, changes in found.items():
        ds = [c.difference for c in changes if isinstance(c.difference, Estimate)]
        if len(ds) < 2 or len(ds) < len(comparisons):
            continue
        values = np.array([d.value for d in ds])
        sd = float(values.std(ddof=1))
        low_high = [stats.interval(d, 0.6826894921370859) for d in ds]
        sampling = float(np.mean([(high - low) / 2 for low, high in low_high]))
        out.append(
            Spread(
                measurement=name,
                values=tuple(map(float, values)),
                sd=sd,
                sampling=sampling,
                mean=_mean(values, sd, sampling, ds),
            )
        )
    return tuple(out)


def over_seeds(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Return sentences on how far the same comparison moves with the seed of the training.

    A change is named where some seed shows it, or the mean over them does.
    """
    if len(comparisons) < 2:
        return ()
    verdicts: dict[str, list[str]] = {}
    for comparison in comparisons:
        for change in comparison.changes:
            verdicts.setdefault(change.measurement, []).append(change.verdict)
    said = []
    for spread in spreads(comparisons):
        heard, values, mean = verdicts[spread.measurement], spread.values, spread.mean
        shown = isinstance(mean, Estimate) and not mean.low <= 0 <= mean.high
        if not shown and not {"better", "worse"} & set(heard):
            continue
        sentence = (
            f"Over {len(values)} seeds: {spread.measurement} changed by {np.mean(values):+.3f} on "
            f"average, {min(values):+.3f} to {max(values):+.3f}; better in "
            f"{heard.count('better')}, worse in {heard.count('worse')}. Standard deviation between "
            f"seeds {spread.sd:.3f}, standard error from the texts {spread.sampling:.3f}"
        )
        if isinstance(mean, Estimate):
            sentence += f"; both together {mean.low:+.3f} to {mean.high:+.3f} ({mean.level:.0%})"
        said.append(f"{sentence}.")
    if len(comparisons) < SEEDS:
        said.append("Two seeds say little about the luck of a training; 3 or more do.")
    return tuple(said)


def told(c: Change) -> str:
    """Return a change with its interval; both numbers must be estimates."""
    assert isinstance(c.before, Estimate) and isinstance(c.after, Estimate)
    assert isinstance(c.difference, Estimate)
    d = c.difference
    return (
        f"{c.measurement} from {c.before.value:.3f} to {c.after.value:.3f} (change "
        f"{d.value:+.3f}, {d.level:.0%} interval {d.low:+.3f} to {d.high:+.3f}, {d.method})"
    )


def _mean(
    values: np.ndarray, sd: float, sampling: float, ds: Sequence[Estimate]
) -> Estimate | Absent:
    n = len(values)
    if n < SEEDS:
        return Absent(code="too_few", reason=f"{n} seeds, fewer than {SEEDS}")
    se = float(np.hypot(sd / np.sqrt(n), sampling))
    value = float(values.mean())
    basis = Means(mean=value, se=max(se, 1e-9), df=float(n - 1))
    return estimated(value, basis, "over seeds", min(d.n for d in ds), ds[0].level)


def _verdict(
    gained: Sequence[Change],
    lost: Sequence[Change],
    new: Sequence[ClaimChange],
    resolved: Sequence[ClaimChange],
    whole: Change | None,
    loose: Sequence[Change],
    changes: Sequence[Change],
) -> str:
    if changes and not (new or resolved) and all(c.verdict == "unchanged" for c in changes):
        return "No number that was measured changed: there is nothing here to choose between."
    if (lost or new) and (gained or resolved):
        return (
            "A trade: something was gained and something lost, and no count says which weighs "
            "more. Read both lists before the second takes the place of the first."
        )
    if lost or new:
        return "On this evidence the first is the one to keep: something got worse, nothing better."
    if whole is not None and whole.kept == "undecided":
        most = f"a loss of accuracy of more than {whole.margin:g} is not ruled out"
        if gained or resolved:
            return f"Something was gained, but {most}: more texts would tell."
        return f"Neither a gain nor a loss was shown, and {most}: more texts would tell."
    if gained or resolved:
        kept = ""
        if whole is not None and whole.kept == "kept":
            kept = f", and a loss of accuracy of more than {whole.margin:g} is ruled out"
        if any(c is not whole for c in loose):
            kept += f"; whether {len([c for c in loose if c is not whole])} other margins are kept is open"
        return f"On this evidence the second is the one to take: something was gained{kept}."
    return (
        "Neither a gain nor a loss was shown. That does not make them the same: see how wide the "
        "intervals are."
    )


def _brief(c: Change) -> str:
    if not isinstance(c.difference, Estimate):
        return c.measurement
    d = c.difference
    margin = f", beyond the margin of {c.margin:g}" if c.kept == "broken" else ""
    return f"{c.measurement} {d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}{margin})"


def _open(c: Change) -> str:
    if not isinstance(c.difference, Estimate):
        return c.measurement
    return f"{c.measurement} {c.difference.low:+.3f} to {c.difference.high:+.3f}"


def _listed(items: Sequence[str]) -> str:
    more = len(items) - _NAMED
    return "; ".join(items[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _of_multiplicity(changes: Sequence[Change], alpha: float) -> list[str]:
    tested = [c for c in changes if c.p is not None]
    if not tested:
        return []
    first = sum(c.primary for c in tested)
    share = (
        f"; four fifths of the error rate are for the {first} asked first"
        if 0 < first < len(tested)
        else ""
    )
    return [
        f"{len(tested)} questions were asked at once{share}. After Holm's correction the chance "
        f"that any 'better' or 'worse' here is false is at most {alpha:.0%}."
    ]


def _of_accuracy(changes: Sequence[Change], alpha: float) -> list[str]:
    said = []
    for c in changes:
        d = c.difference
        if c.measurement.partition("[")[0] != "accuracy" or not isinstance(d, Estimate):
            continue
        whole, margin = c.measurement == "accuracy", c.margin or 0.0
        # The bound that decides, so that word and number cannot part.
        low = stats.interval(for_judging(d), 1 - 2 * alpha)[0]
        shown = f"{d.value:+.3f}, one-sided {100 * (1 - alpha):.4g} % bound {low:+.3f}"
        if whole and isinstance(d.basis, Pairs):
            said.append(
                f"Of {d.n:,} texts with a label, {d.basis.b:,} were wrong and became right, "
                f"{d.basis.c:,} were right and became wrong."
            )
        if c.kept == "kept":
            if whole:
                said.append(f"Accuracy: a loss of more than {margin:g} is ruled out ({shown}).")
        elif c.kept == "broken":
            said.append(f"Accuracy fell by more than {margin:g}: {c.measurement} ({shown}).")
        elif whole or c.verdict != "worse":
            said.append(
                f"Undecided: {c.measurement} may have fallen by more than {margin:g} ({shown})."
            )
    return said


def _of_margins(changes: Sequence[Change]) -> list[str]:
    held = [c for c in changes if c.kept and c.measurement.partition("[")[0] != "accuracy"]
    if not held:
        return []
    by: Mapping[str, list[Change]] = {
        word: [c for c in held if c.kept == word] for word in ("kept", "broken", "undecided")
    }
    said = [
        f"Of {len(held)} other margins, {len(by['kept'])} are kept, {len(by['broken'])} broken, "
        f"{len(by['undecided'])} undecided."
    ]
    said += [f"Beyond its margin of {c.margin:g}: {told(c)}." for c in by["broken"]]
    return said

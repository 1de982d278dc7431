"""How far each attacked text moves what the searches come to."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from audit.attacks import Found
from audit.breaking import (
    Breaking,
    End,
    Rule,
    cost,
    labelled,
    unattacked,
    unended,
    unmeasured,
    word,
    worst_of,
)
from audit.influence import of_gap, of_mean, of_values
from audit.survival import influence_by
from audit.types import Influence

_RATES: tuple[tuple[str, str, Rule], ...] = (
    ("attack_success_rate", "success", unended),
    ("broken_within_budget", "success", unattacked),
)
_LABELLED: tuple[tuple[str, str, Rule], ...] = (
    ("clean_accuracy", "right", unmeasured),
    ("robust_accuracy", "failed", unmeasured),
)


def of_searches(breaking: Breaking, recipe: str, ends: Sequence[End]) -> Iterator[Influence]:
    """Yield the influence of each text on the rates, gaps and curves of one recipe.

    Args:
        breaking: What made the measurements.
        recipe: Of the searches.
        ends: How the search on each drawn text ended.
    """
    where, words = {**breaking.aim, "recipe": recipe}, [word(end) for end in ends]
    for metric, hit, out in (*_RATES, *(_LABELLED if labelled(breaking.bench) else ())):
        yield _rate(breaking, metric, where, words, hit, out)
    yield from _curves(breaking, where, ends, words)
    for one in breaking.groups:
        place = {**where, **one.where}
        why = breaking.within(one, words, whole=False)
        yield _of(breaking, "broken_within_budget", place, words, why)
        why = breaking.within(one, words, whole=True)
        used = [i for i, reason in enumerate(why) if not reason]
        yield of_gap(
            breaking.bench.id("broken_gap", {**place, "against": "rest"}),
            [breaking.examples()[i] for i in used],
            [words[i] == "success" for i in used],
            np.array([one.member[breaking.drawn[i]] for i in used], dtype=bool),
        )


def of_worst(
    breaking: Breaking, recipes: Sequence[str], ends: Sequence[Sequence[End]]
) -> Influence:
    """Return the influence of each text on the share that at least one recipe breaks."""
    words = [worst_of([word(end) for end in row]) for row in zip(*ends, strict=True)]
    where = {**breaking.aim, "recipe": "+".join(recipes)}
    return _rate(breaking, "worst_case_broken", where, words, "success", unattacked)


def _rate(
    breaking: Breaking,
    metric: str,
    where: Mapping[str, str],
    words: Sequence[str],
    hit: str,
    out: Rule,
) -> Influence:
    why = [out(e, w) for e, w in zip(breaking.examples(), words, strict=True)]
    return _of(breaking, metric, where, words, why, hit)


def _of(
    breaking: Breaking,
    metric: str,
    where: Mapping[str, str],
    words: Sequence[str],
    why: Sequence[str],
    hit: str = "success",
) -> Influence:
    used = [i for i, reason in enumerate(why) if not reason]
    return of_mean(
        breaking.bench.id(metric, where),
        [breaking.examples()[i] for i in used],
        [words[i] != "wrong" if hit == "right" else words[i] == hit for i in used],
    )


def _curves(
    breaking: Breaking, where: Mapping[str, str], ends: Sequence[End], words: Sequence[str]
) -> Iterator[Influence]:
    kept = [
        (end, e)
        for end, e, w in zip(ends, breaking.examples(), words, strict=True)
        if isinstance(end, Found) and not unattacked(e, w)
    ]
    if not kept:
        return
    examples = [e for _, e in kept]
    found = [end.outcome == "success" for end, _ in kept]
    by_queries = [cost(end, end.queries) for end, _ in kept]
    by_edits = [cost(end, end.edits / max(1, end.words)) for end, _ in kept]
    for at in breaking.budgets:
        metric = breaking.bench.id("broken_by", {**where, "budget": str(at)})
        yield of_values(metric, examples, influence_by(by_queries, found, at))
    for share in breaking.edit_shares:
        metric = breaking.bench.id("broken_by_edits", {**where, "edits": f"{share:g}"})
        yield of_values(metric, examples, influence_by(by_edits, found, share))

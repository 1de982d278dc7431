"""The cases of an audit, arranged by measurement: which are drawn, which wait, which stay away."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.aligning import align
from audit.figures import signed
from audit.report._aligned import aligned_rows
from audit.report._anchors import anchor
from audit.report._passages import compare, heat, plain
from audit.report._shapes import Casebook, CaseView
from audit.types import AuditResult, Case

MOST_CASES = 2_000
"""Cases on one page; more of them stay in ``cases.parquet``, and the page says so."""
AT_ONCE = 150
"""Cases that stand in the HTML; the script draws the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """All casebooks of a page."""

    books: Mapping[tuple[int, str], Casebook]
    """Position of the run and measurement to its casebook."""
    later: Mapping[str, tuple[CaseView, ...]]
    """Key of a casebook to the cases that are not in the HTML."""
    left_out: int
    """Cases of the result that are not on the page at all."""


def shelve(result: AuditResult, flagged: Mapping[str, str], first: Mapping[str, int]) -> Shelf:
    """Arrange the cases of a result.

    Args:
        flagged: Measurement to its finding.
        first: Id of an example that a finding names as evidence, to its place there.
    """
    ranked = _ranked(result, flagged)
    on_page = {id(c) for c in ranked[:MOST_CASES]}
    at_once = {id(c) for c in ranked[:AT_ONCE]}
    names: Counter[str] = Counter()
    books: dict[tuple[int, str], Casebook] = {}
    later: dict[str, tuple[CaseView, ...]] = {}
    for i, run in enumerate(result.runs):
        by_metric: dict[str, list[Case]] = {}
        for case in run.cases:
            if id(case) in on_page:
                by_metric.setdefault(case.metric, []).append(case)
        for metric, cases in by_metric.items():
            if metric in flagged:
                cases.sort(key=lambda c: first.get(c.example_id, len(first)))
            views = [(_view(c, names), id(c) in at_once) for c in cases]
            key = f"k{len(books)}"
            waiting = tuple(view for view, now in views if not now)
            books[i, metric] = Casebook(
                key=key,
                measurement=metric,
                anchor=anchor("cases", metric),
                cases=tuple(view for view, now in views if now),
                total=len(views),
                heated=any(view.heated for view, _ in views),
            )
            if waiting:
                later[key] = waiting
    return Shelf(books=books, later=later, left_out=max(0, len(ranked) - MOST_CASES))


def _ranked(result: AuditResult, flagged: Mapping[str, str]) -> Sequence[Case]:
    """Return all cases: those of findings first, then flips, then large changes."""
    every = [case for run in result.runs for case in run.cases]
    if len(every) <= AT_ONCE:
        return every
    return sorted(
        every,
        key=lambda c: (
            c.metric not in flagged,
            not c.flipped,
            -abs(c.score_after - c.score_before),
            c.metric,
            c.example_id,
        ),
    )


def _view(case: Case, names: Counter[str]) -> CaseView:
    changed = case.before != case.after
    before, after = compare(case.before, case.after) if changed else (plain(case.before), ())
    name = _digest(f"{case.metric}\0{case.example_id}\0{case.after}", 12)
    names[name] += 1
    both = bool(case.words_after)
    rows, left = aligned_rows(
        align(case.words, case.weights, case.words_after, case.weights_after) if both else ()
    )
    return CaseView(
        case=case,
        anchor=f"case-{name}" if names[name] == 1 else f"case-{name}-{names[name]}",
        delta=signed(case.score_after - case.score_before),
        before=before,
        after=after,
        changed=changed,
        heated=heat(case.words, case.weights),
        aligned=rows,
        aligned_left=left,
    )


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]

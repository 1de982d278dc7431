"""Parts of the page that stand for themselves: corpora, settings, what changed."""

import json
from collections.abc import Mapping

from audit.figures import Name, parse
from audit.report._anchors import anchor
from audit.report._plots import Axis, axis, plot
from audit.report._shapes import Bar, ChangeRow, CorpusView
from audit.types import Absent, AuditResult, CorpusInfo, Estimate, Measurement

Measured = Mapping[str, tuple[str, Measurement]]
"""Measurement id to its probe and itself."""


def named(measurement: str, measured: Measured) -> tuple[Name, Measurement | None]:
    """Return the parts of an id: those of the measurement itself, where it was made."""
    if measurement not in measured:
        return parse(measurement), None
    probe, m = measured[measurement]
    return Name(probe=probe, metric=m.metric, where=m.where), m


def settings(params: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return a probe's settings as text, sorted."""
    return tuple(
        (key, json.dumps(value, sort_keys=True, ensure_ascii=False, default=str))
        for key, value in sorted(params.items())
    )


def changes_of(result: AuditResult, measured: Measured) -> tuple[tuple[ChangeRow, ...], Axis]:
    changes = () if result.comparison is None else result.comparison.changes
    # Differences of shares stand on one scale; a difference in other units has its own.
    shared = axis(
        (x for c in changes if _fits(c.difference) for x in _ends(c.difference)),
        share=False,
        none=0.0,
    )
    rows = []
    for change in changes:
        before, after, d = change.before, change.after, change.difference
        ends = [*_ends(before), *_ends(after)]
        shares = all(0 <= x <= 1 for x in ends)
        shift = shared if _fits(d) else axis(_ends(d), share=False, none=0.0)
        name, _ = named(change.measurement, measured)
        levels = None
        if isinstance(before, Estimate) and isinstance(after, Estimate):
            levels = plot(after, axis(ends, share=shares, none=None), before=before)
        rows.append(
            ChangeRow(
                change=change,
                anchor=anchor("d", change.measurement),
                probe=name.probe,
                metric=name.metric,
                where=name.where,
                levels=levels,
                shift=plot(d, shift, none=0.0) if isinstance(d, Estimate) else None,
                shift_axis=shift,
                own_axis=not _fits(d),
            )
        )
    return tuple(rows), shared


def _ends(e: Estimate | Absent) -> tuple[float, ...]:
    return (e.low, e.high) if isinstance(e, Estimate) else ()


def _fits(e: Estimate | Absent) -> bool:
    return all(abs(x) <= 1 for x in _ends(e))


def corpus_view(info: CorpusInfo) -> CorpusView:
    return CorpusView(
        info=info,
        labels=_bars(info.labels, info.texts),
        groups=tuple(
            (attribute, _bars(values, info.texts))
            for attribute, values in sorted(info.groups.items())
        ),
    )


def _bars(counts: Mapping[str, int], whole: int) -> tuple[Bar, ...]:
    return tuple(
        Bar(name=name, count=count, share=count / whole if whole else 0.0, unknown=name == "")
        for name, count in sorted(counts.items(), key=lambda kv: (kv[0] == "", kv[0]))
    )

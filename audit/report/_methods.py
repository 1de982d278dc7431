"""How each number was made: definitions, assumptions and sources, from a data file."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from audit.report._catalogue import Pair
from audit.shipped import shipped
from audit.types import AuditResult, Estimate, Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalView:
    """A method of making intervals."""

    name: str
    anchor: str
    known: bool
    what: Pair
    assumes: Pair
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricView:
    metric: str
    unit: str
    definition: Pair | None
    intervals: tuple[IntervalView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodView:
    """One probe: what it asks, why, and how its metrics are defined."""

    probe: str
    anchor: str
    known: bool
    question: Pair
    why: Pair
    assumes: Pair
    source: str
    metrics: tuple[MetricView, ...]


def methods(result: AuditResult) -> tuple[tuple[MethodView, ...], tuple[IntervalView, ...]]:
    """Return the methods of every probe that measured something, and of all their intervals."""
    by_probe: dict[str, dict[str, list[Measurement]]] = {}
    for run in result.runs:
        for m in run.measurements:
            by_probe.setdefault(run.probe, {}).setdefault(m.metric, []).append(m)
    named = sorted(
        {
            m.value.method
            for run in result.runs
            for m in run.measurements
            if isinstance(m.value, Estimate)
        }
    )
    intervals = {name: _interval(name, i) for i, name in enumerate(named)}
    return (
        tuple(
            _method(probe, i, metrics, intervals)
            for i, (probe, metrics) in enumerate(by_probe.items())
        ),
        tuple(intervals.values()),
    )


def definition(probe: str, metric: str) -> tuple[str, str] | None:
    """Return what a metric of a shipped probe is, in English and Chinese; None: not described."""
    known = _known()
    own = known["probes"].get(probe)
    if own is None:
        return None
    if metric in own["metrics"]:
        return _two(own["metrics"][metric])
    for suffix, words in known["suffixes"].items():
        if metric.endswith(f"_{suffix}"):
            return _two(words)
    return _two(own["any"]) if "any" in own else None


def interval_words(method: str) -> Mapping[str, Any] | None:
    """Return what is known of a method of intervals."""
    found: Mapping[str, Any] | None = _known()["intervals"].get(method)
    return found


def _method(
    probe: str,
    position: int,
    metrics: Mapping[str, Sequence[Measurement]],
    intervals: Mapping[str, IntervalView],
) -> MethodView:
    own = _known()["probes"].get(probe)
    rows = []
    for metric, slices in metrics.items():
        words = definition(probe, metric)
        used = sorted({m.value.method for m in slices if isinstance(m.value, Estimate)})
        rows.append(
            MetricView(
                metric=metric,
                unit=slices[0].unit,
                definition=None if words is None else Pair(*words),
                intervals=tuple(intervals[name] for name in used),
            )
        )
    return MethodView(
        probe=probe,
        anchor=f"method-{position + 1}",
        known=own is not None,
        question=_pair(own, "question"),
        why=_pair(own, "why"),
        assumes=_pair(own, "assumes"),
        source=own["source"] if own else "",
        metrics=tuple(rows),
    )


def _interval(name: str, position: int) -> IntervalView:
    words = interval_words(name)
    return IntervalView(
        name=name,
        anchor=f"interval-{position + 1}",
        known=words is not None,
        what=_pair(words, "what"),
        assumes=_pair(words, "assumes"),
        source=words["source"] if words else "",
    )


def _pair(words: Mapping[str, Any] | None, key: str) -> Pair:
    return Pair("", "") if words is None else Pair(*_two(words[key]))


def _two(words: Sequence[str]) -> tuple[str, str]:
    english, chinese = words
    return english, chinese


@cache
def _known() -> Mapping[str, Mapping[str, Any]]:
    path = shipped("templates") / "messages" / "methods.toml"
    return tomllib.loads(path.read_text("utf-8"))

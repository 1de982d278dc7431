"""What is watched in a stream of predictions: declared gates, and drift of inputs and scores."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from audit.errors import ConfigError
from audit.metrics import Rate
from audit.types import Gate, measurement_id
from audit.windows import Alarm, Shift, Side, Windows

RATES = get_args(Rate)
DRIFTS = ("scores", "length", "words")
_BINS = 10
_BUCKETS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One record of the stream, read."""

    groups: Mapping[str, str]
    favourable: bool
    score: float | None = None
    """Of the favourable labels, in [0, 1]."""
    truth: bool | None = None
    """Whether the true label is favourable; None: not known."""
    correct: bool | None = None
    text: str | None = None
    time: str = ""


class GateWatch:
    """One limit of one gate."""

    def __init__(
        self,
        gate: Gate,
        side: Side,
        limit: float,
        *,
        alpha: float,
        window: int,
        step: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        name = gate.metric.split(".")[-1]
        where = dict(gate.where)
        self.against = where.pop("against", None)
        self.where, self.rate = where, name.removesuffix("_gap")
        sign = "<=" if side == "at_most" else ">="
        self.limit, self.side = limit, side
        self.id = f"{measurement_id('group_rates', name, gate.where)} {sign} {limit:g}"
        self.severity = gate.severity
        self.windows = Windows(
            limit=limit,
            side=side,
            gap=self.against is not None,
            alpha=alpha,
            window=window,
            step=step,
            state=state,
        )

    def add(self, batch: Sequence[Seen]) -> list[Alarm]:
        hits, second = [], []
        for seen in batch:
            hit = self._hit(seen)
            if hit is None:
                continue
            inside = all(seen.groups.get(k) == v for k, v in self.where.items())
            if not inside and not self._other(seen):
                continue
            hits.append(hit)
            second.append(not inside)
        if not hits:
            return []
        return self.windows.add(np.array(hits, bool), np.array(second, bool))

    def _other(self, seen: Seen) -> bool:
        if self.against is None:
            return False
        if self.against == "rest":
            return all(seen.groups.get(k) for k in self.where)
        return seen.groups.get(next(iter(self.where))) == self.against

    def _hit(self, seen: Seen) -> bool | None:
        """Return whether a record counts; None: the rate is not taken over it."""
        if self.rate == "selection_rate":
            return seen.favourable
        if seen.truth is None or seen.correct is None:
            return None
        if self.rate == "accuracy":
            return seen.correct
        if self.rate == "positive_predictive_value":
            return seen.truth if seen.favourable else None
        wanted = self.rate == "true_positive_rate"
        return seen.favourable if seen.truth is wanted else None


class DriftWatch:
    """Whether scores, lengths or words still come from where the first records came from."""

    def __init__(
        self,
        what: str,
        *,
        alpha: float,
        window: int,
        reference: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.what, self.alpha, self.window, self.reference = what, alpha, window, reference
        self.id = f"drift.{what}"
        kept = state or {}
        self._first: list[float] = list(kept.get("first", []))
        self._edges: list[float] | None = kept.get("edges")
        self.shift: Shift | None = None
        if "shift" in kept:
            counts = np.array(kept["reference"], np.int64)
            self.shift = Shift(counts, alpha=alpha, window=window, state=kept["shift"])

    def state(self) -> dict[str, Any]:
        kept: dict[str, Any] = {"first": self._first, "edges": self._edges}
        if self.shift is not None:
            kept |= {"reference": self.shift.reference.tolist(), "shift": self.shift.state()}
        return kept

    def add(self, batch: Sequence[Seen]) -> list[Alarm]:
        values = [v for v in (self._value(seen) for seen in batch) if v is not None]
        if self.shift is None:
            room = self.reference - len(self._first)
            self._first += values[:room]
            values = values[room:]
            if len(self._first) < self.reference:
                return []
            self._begin()
        assert self.shift is not None
        return self.shift.add(self._bins(values)) if values else []

    def _begin(self) -> None:
        if self.what != "words":
            # Values that repeat leave fewer bins; beyond all that was seen there is one on each side.
            cuts = np.quantile(self._first, np.linspace(0, 1, _BINS + 1))
            cuts[-1] = np.nextafter(cuts[-1], np.inf)
            self._edges = sorted(set(map(float, cuts)))
        counts = np.bincount(self._bins(self._first), minlength=self._number())
        self.shift = Shift(counts.astype(np.int64), alpha=self.alpha, window=self.window)
        self._first = []

    def _number(self) -> int:
        return _BUCKETS if self._edges is None else len(self._edges) + 1

    def _bins(self, values: Sequence[float]) -> NDArray[np.intp]:
        if self._edges is None:
            return np.asarray(values, np.intp)
        return np.searchsorted(np.array(self._edges), np.asarray(values), side="right")

    def _value(self, seen: Seen) -> float | None:
        if self.what == "scores":
            return float(seen.favourable) if seen.score is None else seen.score
        if seen.text is None:
            return None
        words = seen.text.lower().split()
        if self.what == "length":
            return float(len(words))
        if not words:
            return None
        # One word of each text, drawn by the text itself: words of one text are not independent.
        drawn = int.from_bytes(hashlib.sha256(seen.text.encode("utf-8", "replace")).digest()[:8])
        word = words[drawn % len(words)].encode("utf-8", "replace")
        return float(hashlib.sha256(word).digest()[0] % _BUCKETS)


def watched(gates: Sequence[Gate]) -> tuple[list[tuple[Gate, Side, float]], list[str]]:
    """Return the limits that a stream of predictions can be held to, and why others cannot."""
    found: list[tuple[Gate, Side, float]] = []
    left = []
    for gate in gates:
        probe, _, metric = gate.metric.rpartition(".")
        gap, where = metric.endswith("_gap"), gate.where
        slices = [k for k in where if k != "against"]
        if probe not in ("", "group_rates") or metric.removesuffix("_gap") not in RATES:
            why = "it is no rate of predictions by group"
        elif any("*" in v for v in where.values()):
            why = "a stream has no end of groups: name one in where"
        elif gap and ("against" not in where or not slices):
            why = "a gap needs a group and whom it is held against in where"
        elif not gap and "against" in where:
            why = "a rate is held against nobody"
        elif gap and where["against"] != "rest" and len(slices) > 1:
            why = "several attributes together are held against the rest"
        elif gate.at_most is None and gate.at_least is None:
            why = "it has no at_most or at_least"
        else:
            limits: tuple[tuple[Side, float | None], ...] = (
                ("at_most", gate.at_most),
                ("at_least", gate.at_least),
            )
            found += [(gate, side, limit) for side, limit in limits if limit is not None]
            continue
        left.append(f"{gate.metric} is not watched: {why}.")
    if not found and not gates:
        raise ConfigError(
            "There is no gate to watch.", hint="Add a [[gate]] or a [[watch.gate]] on group_rates."
        )
    return found, left

"""Gates kept while predictions come in: batches of records in, alerts out, a state to go on from.

A record is one line of JSON: the text, the groups and the true label under the names that
``[corpora.test]`` gives them, and what the model said. Nothing of a text is kept or sent: the state
holds counts, alerts hold numbers.

The state is written whole after every batch, with how far each source was read, so that a process
that is killed goes on behind the last batch it had counted: no record is lost, none counted twice.
An alert is in the state before it is sent and marked when it was; one sent in the last instant
before a kill may be sent again, under the same id.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audit import decision
from audit.config import AuditConfig, CorpusConfig
from audit.errors import ConfigError, ResultError
from audit.files import write_text
from audit.monitors import DRIFTS, DriftWatch, GateWatch, Seen, watched
from audit.types import Decision
from audit.windows import Alarm

VERSION = 1
_KEPT = 1000
"""Alerts that the state remembers; older ones stand where they were sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that is broken now and was not before."""

    id: str
    what: str
    """The limit, as a claim is written, or ``drift.scores``, ``drift.length``, ``drift.words``."""
    severity: str
    value: float
    """The rate or gap in the window; of drift, the distance of the shares, 0 to 1."""
    low: float
    high: float
    error: float
    """Chance that a window like this one, or any before it, raises this alarm where all is well."""
    n: tuple[int, ...]
    """Records of the window; of a gap, on each side."""
    records: int
    """Records of the stream when it was raised."""
    first_time: str
    last_time: str
    """Of the batch that raised it."""


@dataclass(slots=True, kw_only=True)
class _Reader:
    """From a line to what is watched."""

    config: AuditConfig
    skipped: Counter[str] = field(default_factory=Counter)
    _rules: dict[tuple[str, ...], Decision] = field(default_factory=dict)

    def read(self, line: bytes) -> Seen | None:
        """Return a record; None where it cannot be used, counted with the reason."""
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return self._none("not JSON")
        if not isinstance(row, dict):
            return self._none("not a record")
        spec, watch = self.config.corpora["test"], self.config.watch
        said, score = self._said(row.get(watch.scores)), None
        if said is not None:
            names, score = said
        else:
            names = _labels(row.get(watch.prediction))
        if not names:
            return self._none("no prediction")
        favourable = self.config.decision.favourable
        truth = _labels(row.get(spec.label)) if spec.label else ()
        truth = tuple(spec.labels.get(name, name) for name in truth)
        text = row.get(spec.text)
        return Seen(
            groups=_groups(row, spec),
            favourable=any(name in favourable for name in names),
            score=score,
            truth=any(name in favourable for name in truth) if truth else None,
            correct=set(truth) == set(names) if truth else None,
            text=text if isinstance(text, str) else None,
            time=str(row.get(watch.time, ""))[:64],
        )

    def _said(self, scores: object) -> tuple[tuple[str, ...], float] | None:
        if not isinstance(scores, dict) or not scores:
            return None
        values = list(scores.values())
        if not all(isinstance(v, int | float) and 0 <= v <= 1 for v in values):
            return None
        labels = tuple(map(str, scores))
        spec = self.config.decision
        if labels not in self._rules:
            if len(self._rules) > 100 or not set(spec.favourable) <= set(labels):
                return None
            self._rules[labels] = decision.make(labels, spec.favourable, threshold=spec.threshold)
        decided = decision.decide(self._rules[labels], np.array([values], float))
        return (labels[int(decided.label[0])],), float(decided.score[0])

    def _none(self, why: str) -> Seen | None:
        self.skipped[why] += 1
        return None


class Watch:
    """A stream, watched. Counts, windows and drift in a few kilobytes, however long it runs.

    Args:
        config: The audit file: columns, decision, gates, ``[watch]``.
        state: File of the state, read where it is there; None: nothing is kept.

    Raises:
        ConfigError: If no gate can be watched.
        ResultError: If the state is damaged or belongs to other gates or settings.
    """

    def __init__(self, config: AuditConfig, state: Path | None = None) -> None:
        self.config, self.path = config, state
        limits, self.left = watched(config.watch.gate or config.gate)
        if not limits:
            raise ConfigError("No gate can be watched.", hint=" ".join(self.left))
        self.digest = _digest(config, limits)
        kept = self._kept()
        self._reader = _Reader(config=config, skipped=Counter(kept.get("skipped", {})))
        self.records = int(kept.get("records", 0))
        self.places: dict[str, dict[str, Any]] = dict(kept.get("places", {}))
        """How far each source was read."""
        self.alerts: list[dict[str, Any]] = list(kept.get("alerts", []))
        """Those raised last, each with whether it was said and sent to the webhook."""
        self.raised = int(kept.get("raised", 0))
        watch = config.watch
        each = watch.alpha / (len(limits) + (len(DRIFTS) if watch.drift else 0))
        states = kept.get("gates", {})
        self.gates = [
            GateWatch(
                gate,
                side,
                limit,
                alpha=each,
                window=watch.window,
                step=watch.step,
                state=states.get(str(i)),
            )
            for i, (gate, side, limit) in enumerate(limits)
        ]
        states = kept.get("drift", {})
        self.drifts = [
            DriftWatch(
                what,
                alpha=each,
                window=watch.window,
                reference=watch.reference,
                state=states.get(what),
            )
            for what in (DRIFTS if watch.drift else ())
        ]

    @property
    def skipped(self) -> Mapping[str, int]:
        return self._reader.skipped

    def feed(self, lines: Sequence[bytes]) -> list[Alert]:
        """Count a batch of lines and return the alerts that begin in it. Saves nothing."""
        read = [self._reader.read(line) for line in lines if line.strip()]
        return self.take([seen for seen in read if seen is not None])

    def take(self, batch: Sequence[Seen]) -> list[Alert]:
        """Count records that were read; see `feed`."""
        self.records += len(batch)
        found: list[Alert] = []
        times = [seen.time for seen in batch if seen.time] or [""]
        for one in self.gates:
            found += [self._alert(one.id, one.severity, a, times) for a in one.add(batch)]
        for drift in self.drifts:
            found += [self._alert(drift.id, "moderate", a, times) for a in drift.add(batch)]
        self.raised += len(found)
        self.alerts += [{"said": False, "sent": False, "alert": asdict(a)} for a in found]
        self.alerts = self.alerts[-_KEPT:]
        return found

    def broken(self) -> list[str]:
        """Return what is broken now."""
        gates = [one.id for one in self.gates if one.windows.broken]
        return gates + [d.id for d in self.drifts if d.shift is not None and d.shift.broken]

    def save(self) -> None:
        """Write the state, whole or not at all."""
        if self.path is None:
            return
        plain = {
            "version": VERSION,
            "digest": self.digest,
            "records": self.records,
            "raised": self.raised,
            "skipped": dict(self.skipped),
            "places": self.places,
            "alerts": self.alerts,
            "gates": {str(i): one.windows.state() for i, one in enumerate(self.gates)},
            "drift": {d.what: d.state() for d in self.drifts},
        }
        write_text(self.path, json.dumps(plain, allow_nan=False, sort_keys=True) + "\n")

    def _kept(self) -> dict[str, Any]:
        if self.path is None or not self.path.exists():
            return {}
        try:
            kept = json.loads(self.path.read_text("utf-8"))
            version, digest = kept["version"], kept["digest"]
        except (ValueError, KeyError, TypeError, OSError) as problem:
            raise ResultError(
                f"{self.path} is no state of a watch: {problem}.",
                hint="Move it away to begin anew.",
            ) from problem
        if version != VERSION or digest != self.digest:
            raise ResultError(
                f"{self.path} belongs to other gates or settings.",
                hint="Name another --state, or move it away to begin anew.",
            )
        return dict(kept)

    def _alert(self, what: str, severity: str, alarm: Alarm, times: Sequence[str]) -> Alert:
        name = hashlib.sha256(f"{self.digest} {what} {alarm.window}".encode()).hexdigest()
        return Alert(
            id=name[:16],
            what=what,
            severity=severity,
            value=alarm.value,
            low=alarm.low,
            high=alarm.high,
            error=alarm.alpha,
            n=alarm.n,
            records=self.records,
            first_time=times[0],
            last_time=times[-1],
        )


def prometheus(watch: Watch) -> str:
    """Return the numbers of a watch in the text format that Prometheus' file collector reads."""
    lines = [
        "# TYPE evenhand_records_total counter",
        f"evenhand_records_total {watch.records}",
        "# TYPE evenhand_skipped_total counter",
        *(
            f"evenhand_skipped_total{{reason={_label(why)}}} {n}"
            for why, n in sorted(watch.skipped.items())
        ),
        "# TYPE evenhand_alerts_total counter",
        f"evenhand_alerts_total {watch.raised}",
        "# TYPE evenhand_gate_broken gauge",
        *(
            f"evenhand_gate_broken{{gate={_label(g.id)}}} {int(g.windows.broken)}"
            for g in watch.gates
        ),
        "# TYPE evenhand_gate_value gauge",
    ]
    for one in watch.gates:
        now = one.windows.now()
        if now is not None:
            lines.append(f"evenhand_gate_value{{gate={_label(one.id)}}} {now[0]:.6g}")
    lines += ["# TYPE evenhand_gate_records gauge"]
    for one in watch.gates:
        now = one.windows.now()
        lines.append(f"evenhand_gate_records{{gate={_label(one.id)}}} {now[1] if now else 0}")
    lines.append("# TYPE evenhand_drift_p gauge")
    for drift in watch.drifts:
        if drift.shift is not None:
            lines.append(f"evenhand_drift_p{{of={_label(drift.what)}}} {drift.shift.p:.6g}")
    return "\n".join(lines) + "\n"


def _labels(value: object) -> tuple[str, ...]:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return (str(value),)
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    return ()


def _groups(row: Mapping[str, Any], spec: CorpusConfig) -> dict[str, str]:
    found = {}
    for name, column in spec.groups.items():
        value = row.get(column)
        if isinstance(value, str | int) and str(value):
            found[name] = str(value)
    return found


def _label(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _digest(config: AuditConfig, limits: Sequence[tuple[Any, str, float]]) -> str:
    spec = config.corpora["test"]
    said = {
        "gates": [(g.metric, sorted(g.where.items()), side, limit) for g, side, limit in limits],
        "watch": {k: v for k, v in asdict(config.watch).items() if k not in ("gate", "batch")},
        "decision": asdict(config.decision),
        "columns": [
            spec.text,
            spec.label,
            sorted(spec.groups.items()),
            sorted(spec.labels.items()),
        ],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

"""Which clause of which law or standard a measurement bears on, and what stays unproven.

Nothing here says that a clause is met. A row says what was measured that speaks to it, what was
not, and as of which day somebody read the clause.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from typing import ClassVar, Literal

from audit.borders import read_plain
from audit.errors import AuditError
from audit.shipped import shipped
from audit.types import STRICT, AuditResult, Estimate, Measurement, Status, Verdict

STALE_AFTER = 180
"""Days between the day a pack was read and the day of the audit, beyond which it is called stale."""
NOT_PACKS = ("words",)
SHOWN = 3
"""Verdicts listed under one clause, worst first; the rest are counted."""
_WORST: tuple[Status, ...] = (
    *("fail", "error", "inconclusive", "not_estimable"),
    *("pass", "not_applicable"),
)
Mark = Literal["V", "V2", "M"]
Standing = Literal["in_force", "applies_from", "guidance", "voluntary", "draft", "repealed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One sentence in the languages of the report."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    en: str
    zh: str

    def __post_init__(self) -> None:
        if not (self.en.strip() and self.zh.strip()):
            raise ValueError("both languages must say something")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One clause, in our words."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    id: str
    """As the instrument numbers it; never translated."""
    mark: Mark
    """``V``: read in a primary source; ``V2``: in secondary ones; ``M``: from memory, unverified."""
    says: Words
    bears_on: tuple[str, ...]
    """Patterns of ``probe.metric`` that speak to it."""
    parts: tuple[str, ...]
    """Keys of `PARTS` that speak to it."""
    gap: Words
    """What stays unproven, whatever was measured."""

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise ValueError(f"{part!r} is no part of a result")
        for pattern in self.bears_on:
            if pattern.count(".") != 1:
                raise ValueError(f"{pattern!r} is not probe.metric")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One instrument on one day."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    instrument: Words
    jurisdiction: Words
    status: Standing
    since: str = ""
    """Day from which it applies; empty where nobody noted it."""
    note: Words | None = None
    as_of: str
    """Day on which the clauses were read."""
    source: str
    clause: tuple[Clause, ...]

    def __post_init__(self) -> None:
        date.fromisoformat(self.as_of)
        if self.since:
            date.fromisoformat(self.since)
        if self.status == "applies_from" and not self.since:
            raise ValueError("an instrument that applies from a day must name it")
        if not self.clause:
            raise ValueError("a pack needs a clause")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """One metric that speaks to a clause."""

    metric: str
    """``probe.metric``."""
    probe: str
    estimates: int
    absent: int
    mde: float | None
    """The coarsest of its slices: an effect of this size would have shown in each that has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One clause beside what one result holds on it."""

    clause: Clause
    bearings: tuple[Bearing, ...]
    """Empty: not measured."""
    statuses: tuple[tuple[Status, int], ...]
    verdicts: tuple[Verdict, ...]
    """The worst `SHOWN`."""
    verdicts_more: int
    parts: tuple[tuple[Words, bool], ...]
    """Other parts of a result that speak to it, and whether this result holds them."""

    @property
    def unverified(self) -> bool:
        return self.clause.mark == "M"


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One pack beside one result."""

    name: str
    pack: Pack
    rows: tuple[Row, ...]
    stale: bool

    @property
    def measured(self) -> int:
        """Clauses that at least one measurement speaks to."""
        return sum(bool(row.bearings) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossWalk:
    """Every regime beside one result."""

    regimes: tuple[Regime, ...]
    unmapped: tuple[str, ...]
    """Names under ``[scope] law`` that no pack has."""
    audited: str
    """Day of the audit; empty where the result does not say."""

    @property
    def stale(self) -> bool:
        return any(r.stale for r in self.regimes)


def packs() -> Mapping[str, Pack]:
    """Return every shipped pack by its name, sorted.

    Raises:
        AuditError: If one is not as it must be.
    """
    return _read()


def crosswalk(result: AuditResult, among: Mapping[str, Pack] | None = None) -> CrossWalk:
    """Return every clause beside what `result` holds on it.

    ``[scope] law = "eu_ai_act, nyc_ll144"`` in the audit file chooses packs; all stand there
    otherwise. A name without a pack is listed as not mapped, never dropped.

    Args:
        result: Any result, also one in which nothing was measured.
        among: Packs by name; the shipped ones where not given.
    """
    known = packs() if among is None else among
    asked = [name.strip() for name in result.provenance.scope.get("law", "").split(",")]
    asked = list(dict.fromkeys(name for name in asked if name))
    chosen = [name for name in known if not asked or name in asked]
    measured = [(r.probe, m) for r in result.runs for m in r.measurements]
    day = _day(result.telemetry.started)
    return CrossWalk(
        regimes=tuple(
            Regime(
                name=name,
                pack=known[name],
                rows=tuple(_row(clause, result, measured) for clause in known[name].clause),
                stale=is_stale(known[name].as_of, day),
            )
            for name in chosen
        ),
        unmapped=tuple(name for name in asked if name not in known),
        audited="" if day is None else day.isoformat(),
    )


def is_stale(as_of: str, on: date | None) -> bool:
    """Return whether a pack was read more than `STALE_AFTER` days before `on`.

    A result without a date cannot say that a pack was fresh: it counts as stale.
    """
    return on is None or (on - date.fromisoformat(as_of)).days > STALE_AFTER


def _row(clause: Clause, result: AuditResult, measured: Sequence[tuple[str, Measurement]]) -> Row:
    found: dict[str, list[Measurement]] = {}
    probes: dict[str, str] = {}
    for probe, m in measured:
        metric = f"{probe}.{m.metric}"
        if any(fnmatchcase(metric, pattern) for pattern in clause.bears_on):
            found.setdefault(metric, []).append(m)
            probes[metric] = probe
    names = {m.id for some in found.values() for m in some}
    # A claim on a measurement that never came speaks to the clause too: it says that it is missing.
    mine = [
        v
        for v in result.verdicts
        if v.claim.measurement in names
        or any(
            fnmatchcase(v.claim.measurement.partition("[")[0], pattern)
            for pattern in clause.bears_on
        )
    ]
    mine.sort(key=lambda v: _WORST.index(v.status))
    counted = Counter(v.status for v in mine)
    return Row(
        clause=clause,
        bearings=tuple(
            _bearing(metric, probes[metric], some) for metric, some in sorted(found.items())
        ),
        statuses=tuple((status, counted[status]) for status in _WORST if counted[status]),
        verdicts=tuple(mine[:SHOWN]),
        verdicts_more=max(0, len(mine) - SHOWN),
        parts=tuple((PARTS[part][0], PARTS[part][1](result)) for part in clause.parts),
    )


def _bearing(metric: str, probe: str, some: Sequence[Measurement]) -> Bearing:
    values = [m.value for m in some if isinstance(m.value, Estimate)]
    effects = [v.mde for v in values if v.mde is not None]
    return Bearing(
        metric=metric,
        probe=probe,
        estimates=len(values),
        absent=len(some) - len(values),
        mde=max(effects, default=None),
    )


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said[:10])
    except ValueError:
        return None


def _said(things: Iterable[object]) -> bool:
    return any(bool(thing) for thing in things)


PARTS: Mapping[str, tuple[Words, Callable[[AuditResult], bool]]] = {
    "plan": (
        Words(en="the plan, its digest taken before the run", zh="运行前已算出摘要值的计划"),
        lambda r: bool(r.plan.digest),
    ),
    "claims": (
        Words(en="limits declared before the run", zh="运行前声明的限值"),
        lambda r: bool(r.plan.claims),
    ),
    "findings": (
        Words(en="findings with their severity", zh="带严重程度的发现"),
        lambda r: bool(r.findings),
    ),
    "left_out": (
        Words(en="what was left out or not tested", zh="未计入或未测试的内容"),
        lambda r: bool(r.runs),
    ),
    "data": (
        Words(
            en="the data by label and group, with their digest",
            zh="按标签与群体列出的数据及其摘要值",
        ),
        lambda r: bool(r.provenance.corpora),
    ),
    "methods": (
        Words(en="the method of every interval", zh="每个区间的计算方法"),
        lambda r: _said(isinstance(m.value, Estimate) for x in r.runs for m in x.measurements),
    ),
    "scope": (
        Words(en="intended use, as stated", zh="所声明的预期用途"),
        lambda r: _said(v for k, v in r.provenance.scope.items() if k != "law"),
    ),
    "system": (
        Words(en="the system, as stated", zh="所声明的系统说明"),
        lambda r: _said(r.provenance.system.values()),
    ),
    "provenance": (
        Words(en="model, packages and machine of the run", zh="运行所用的模型、软件包与机器"),
        lambda r: bool(r.provenance.model and r.provenance.packages),
    ),
    "dated": (
        Words(en="the date of the run and its operator", zh="运行日期与操作者"),
        lambda r: bool(_day(r.telemetry.started) and r.provenance.operator),
    ),
    "cases": (
        Words(en="the texts behind the numbers", zh="数字背后的文本"),
        lambda r: _said(x.cases for x in r.runs),
    ),
    "comparison": (
        Words(en="a comparison before and after", zh="前后对比"),
        lambda r: r.comparison is not None,
    ),
    "responses": (
        Words(en="responses of those who answer for the system", zh="系统责任人的答复"),
        lambda r: bool(r.provenance.responses),
    ),
}
"""Parts of a result beside its measurements that a clause may ask for: name, and whether they are there."""


@cache
def _read() -> Mapping[str, Pack]:
    found = {}
    for path in sorted((shipped("datasets") / "law").glob("*.toml")):
        if path.stem not in NOT_PACKS:
            plain = tomllib.loads(path.read_text("utf-8"))
            found[path.stem] = read_plain(Pack, plain, error=AuditError, at=path.name)
    return found

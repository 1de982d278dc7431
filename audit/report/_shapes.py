"""The parts of a page, as the templates see them."""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.report._aligned import AlignedRow
from audit.report._catalogue import Pair, Said
from audit.report._passages import Heated, Segment
from audit.report._plots import Axis, Plot
from audit.report._wordshares import WordShares
from audit.types import (
    Case,
    Change,
    CorpusInfo,
    Finding,
    Measurement,
    PlannedProbe,
    ProbeCost,
    ProbeRun,
    Response,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    case: Case
    anchor: str
    delta: str
    """Change of the favourable score, signed."""
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    changed: bool
    heated: tuple[Heated, ...]
    aligned: tuple[AlignedRow, ...] = ()
    """Both sides word by word, where both are attributed; `heated` is then not shown."""
    aligned_left: int = 0
    """Words that the table leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    verdict: Verdict
    anchor: str
    probe: str
    metric: str
    where: Mapping[str, str]
    unit: str
    plot: Plot | None
    axis: Axis | None
    measured: str
    """Anchor of the measurement; empty where nothing was measured."""
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    measurement: Measurement
    anchor: str
    plot: Plot | None
    claims: tuple[ClaimRow, ...]
    reading: Said | None
    finding: str
    status: str
    """Worst status of its claims, ``exploratory``, or ``absent``: what the filter looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """All slices of one metric, on one scale."""

    key: str
    """Names the block to the script."""
    metric: str
    unit: str
    family: str
    family_size: int
    """Exploratory estimates corrected together; 0 where there is nothing to correct."""
    budget: str
    """Of all slices; empty where they differ, and each row then says its own."""
    axis: Axis
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Casebook:
    """The cases of one measurement."""

    key: str
    measurement: str
    anchor: str
    cases: tuple[CaseView, ...]
    """Those in the HTML; the script draws the others."""
    total: int
    heated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeView:
    run: ProbeRun
    key: str
    anchor: str
    planned: PlannedProbe | None
    cost: ProbeCost | None
    blocks: tuple[Block, ...]
    casebooks: tuple[Casebook, ...]
    """Of measurements without a finding; the others stand with their finding."""
    missing: tuple[str, ...]
    """Planned and not measured."""
    rest: int
    """Rows that are not in the HTML."""
    words: WordShares | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    finding: Finding
    response: Response
    why_severe: Said
    asks: Pair | None
    """What the metric is, in words; None where it is not described."""
    measured: str
    claims: tuple[ClaimRow, ...]
    casebook: Casebook | None
    related: tuple[Casebook, ...] = ()
    """Cases of the same metric or the same slice, shown elsewhere on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    change: Change
    anchor: str
    probe: str
    metric: str
    where: Mapping[str, str]
    levels: Plot | None
    shift: Plot | None
    shift_axis: Axis
    own_axis: bool
    """The difference does not fit on the scale that the others share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One value of an attribute, or one label, as a share of the texts."""

    name: str
    count: int
    share: float
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusView:
    info: CorpusInfo
    labels: tuple[Bar, ...]
    groups: tuple[tuple[str, tuple[Bar, ...]], ...]

"""The whole page as data: the templates and the script's block are made from this alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.report._catalogue import Said
from audit.report._charts import Curve
from audit.report._grids import Grid
from audit.report._methods import IntervalView, MethodView
from audit.report._plots import Axis
from audit.report._sections import Detectable, Fact, SignOff, Summary
from audit.report._shapes import (
    Casebook,
    CaseView,
    ChangeRow,
    ClaimRow,
    CorpusView,
    FindingView,
    ProbeView,
    Row,
)
from audit.report._tradeoff import TradeOff
from audit.types import AuditResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the templates show, and what the script draws when asked."""

    result: AuditResult
    title: str
    title_chinese: str
    contents: tuple[tuple[str, str, int | None, bool], ...]
    """Anchor, message, a count, and whether it stands in the full view alone."""
    exit_code: int
    exit_words: Said
    headline: Said
    warnings: tuple[Said, ...]
    counts: tuple[tuple[str, int], ...]
    summary: Summary
    scope: tuple[Fact, ...]
    system: tuple[Fact, ...]
    corpora: tuple[CorpusView, ...]
    deviations: tuple[Said, ...]
    deviations_stated: str
    methods: tuple[MethodView, ...]
    intervals: tuple[IntervalView, ...]
    claims: tuple[ClaimRow, ...]
    claims_total: int
    drawn_claims: frozenset[str]
    """Anchors of the claims that have a row."""
    grids: tuple[Grid, ...]
    curves: tuple[Curve, ...]
    probes: tuple[ProbeView, ...]
    measurements: int
    rest_rows: int
    findings: tuple[FindingView, ...]
    findings_total: int
    detectable: tuple[Detectable, ...]
    detectable_rest: int
    limits_stated: str
    mitigation_stated: str
    changes: tuple[ChangeRow, ...]
    changes_total: int
    shift_axis: Axis
    tradeoff: TradeOff | None
    signoff: SignOff
    books: tuple[Casebook, ...]
    later_rows: Mapping[str, tuple[Row, ...]]
    later_cases: Mapping[str, tuple[CaseView, ...]]
    cases_left_out: int

"""What New York City's Local Law 144 has published of a bias audit, and what stands beside a ratio.

Made from the measurements of `impact_ratio` in a stored result. Nothing is measured here, and no
ratio is called enough: the law sets none. The two faces of 29 CFR 1607.4(D), four fifths and
significance, stand side by side because either alone misleads.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from audit.borders import plain
from audit.cells import table
from audit.errors import DataError
from audit.law import Words
from audit.types import (
    Absent,
    AuditResult,
    CorpusInfo,
    Counts,
    Estimate,
    Measurement,
    ProbeRun,
)

PROBE = "impact_ratio"
ALPHA = 0.05
Faces = Literal["both", "ratio_only", "significance_only", "neither", "unknown"]
STATED: Mapping[str, Words] = {
    "tool": Words(en="Automated employment decision tool", zh="自动化就业决策工具"),
    "auditor": Words(en="Auditor", zh="审计人"),
    "data_source": Words(en="Source of the data", zh="数据来源"),
    "data_explanation": Words(en="Explanation of the data", zh="数据说明"),
    "distribution_date": Words(
        en="In use since (distribution date)", zh="开始使用日期（分发日期）"
    ),
    "notice": Words(en="Notice to candidates", zh="对应聘者的通知"),
}
"""Free text of ``[scope]`` in the audit file that a publication needs."""
FACES: Mapping[Faces, Words] = {
    "both": Words(
        en="Below four fifths, and the difference is significant.",
        zh="低于五分之四，且差异显著。",
    ),
    "ratio_only": Words(
        en="Below four fifths, but not significant: with numbers this small, chance gives as much.",
        zh="低于五分之四，但差异不显著：人数这样少时，偶然也会如此。",
    ),
    "significance_only": Words(
        en="Not below four fifths, yet significant: a smaller difference may count where it "
        "matters in practice.",
        zh="不低于五分之四，但差异显著：较小的差异若有实际意义，仍可能构成不利影响。",
    ),
    "neither": Words(
        en="Not below four fifths and not significant: nothing follows beyond what these numbers "
        "could show.",
        zh="不低于五分之四，差异也不显著：除这些人数所能显示的以外，得不出任何结论。",
    ),
    "unknown": Words(en="The two could not both be formed.", zh="两项未能都算出。"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One category with all that is published of it."""

    where: Mapping[str, str]
    n: int
    """Texts assessed whose category is this one."""
    hits: int | None
    """Selected, or scoring above the median; None where texts come in clusters."""
    share: Estimate | Absent
    rate: Estimate | Absent
    ratio: Estimate | Absent
    excluded: bool
    """Left out of the ratios with a justification; number and rate stand all the same."""
    most_selected: bool
    short: int | None
    """Selections missing to four fifths; 0: not below."""
    to_four_fifths: int | None
    deviations: Estimate | Absent
    fisher: Estimate | Absent
    to_significance: int | None
    faces: Faces


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The categories of one attribute, or of several together."""

    attributes: tuple[str, ...]
    categories: tuple[Category, ...]
    unknown: int
    lowest_by_chance: Estimate | Absent
    below_by_chance: Estimate | Absent
    """Share of audits in which equal groups of these sizes fall under four fifths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to have before a summary is published."""

    what: Words
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A summary of results in the form of 6 RCNY 5-303."""

    kind: Literal["selection", "scoring"]
    model: str
    digest: str
    audited: str
    """Day of the audit, ``YYYY-MM-DD``; empty where the result does not say."""
    year_ends: str
    """Last day on which the audit is not older than a year."""
    corpus: CorpusInfo | None
    n: int
    rate: Estimate | Absent
    tables: tuple[Table, ...]
    justification: str
    stated: tuple[tuple[str, str], ...]
    """Keys of `STATED` with what the audit file says; empty where it says nothing."""
    checks: tuple[Check, ...]

    @property
    def missing(self) -> tuple[Words, ...]:
        return tuple(check.what for check in self.checks if not check.done)


def publication(result: AuditResult) -> Publication:
    """Arrange the `impact_ratio` measurements of `result` for publication.

    Raises:
        DataError: If the result holds none.
    """
    run = next((r for r in result.runs if r.probe == PROBE and r.measurements), None)
    if run is None:
        raise DataError(
            "The result holds no impact ratios to publish.",
            hint='Add [[probe]] name = "impact_ratio" to the audit file and run it.',
        )
    kind: Literal["selection", "scoring"] = (
        "scoring" if run.params.get("rate") == "scoring" else "selection"
    )
    everything = next(m for m in run.measurements if not m.where)
    tables = _tables(run, kind)
    day = _day(result.telemetry.started)
    test = next((c for c in result.provenance.corpora if c.name == "test"), None)
    said = result.provenance.scope
    justification = str(run.params.get("justification", ""))
    return Publication(
        kind=kind,
        model=result.provenance.model_name,
        digest=result.provenance.model,
        audited="" if day is None else day.isoformat(),
        year_ends="" if day is None else _a_year_on(day).isoformat(),
        corpus=test,
        n=everything.used,
        rate=everything.value,
        tables=tables,
        justification=justification,
        stated=tuple((key, said.get(key, "").strip()) for key in STATED),
        checks=_checks(tables, said, day, test, justification),
    )


def as_csv(p: Publication) -> str:
    """Return one row for each category, inert in any spreadsheet."""
    attributes = sorted({a for t in p.tables for a in t.attributes})
    head = [
        *("table", *attributes, "n", "above" if p.kind == "scoring" else "selected"),
        *("share_of_known", f"{p.kind}_rate", "rate_low", "rate_high"),
        *("impact_ratio", "ratio_low", "ratio_high", "no_ratio_because"),
        *("selections_short_of_four_fifths", "decisions_to_four_fifths"),
        *("standard_deviations", "fisher_p", "decisions_to_significance", "unknown_in_table"),
    ]
    rows: list[list[object]] = []
    for t in p.tables:
        for c in t.categories:
            rows.append(
                [
                    " x ".join(t.attributes),
                    *(c.where.get(a, "") for a in attributes),
                    *(c.n, c.hits, _value(c.share)),
                    *_three(c.rate),
                    *_three(c.ratio),
                    c.ratio.reason if isinstance(c.ratio, Absent) else "",
                    *(c.short, c.to_four_fifths, _value(c.deviations), _value(c.fisher)),
                    *(c.to_significance, t.unknown),
                ]
            )
    return table(head, rows)


def as_json(p: Publication) -> str:
    """Return the publication as JSON: numbers, intervals, and what is still to be stated."""
    said: dict[str, Any] = {
        "summary_of": "bias audit in the form of 6 RCNY 5-303; no ratio is required by the law",
        "rate": p.kind,
        "model": p.model,
        "model_digest": p.digest,
        "audit_date": p.audited,
        "not_older_than_a_year_until": p.year_ends,
        "data": None
        if p.corpus is None
        else {
            "kind": p.corpus.kind,
            "texts": p.corpus.texts,
            "sha256": p.corpus.sha256,
        },
        "assessed": p.n,
        "stated": dict(p.stated),
        "justification_of_exclusions": p.justification,
        "tables": [
            {
                "attributes": list(t.attributes),
                "unknown": t.unknown,
                "lowest_ratio_by_chance": plain(t.lowest_by_chance),
                "below_four_fifths_by_chance": plain(t.below_by_chance),
                "categories": [plain(c) for c in t.categories],
            }
            for t in p.tables
        ],
        "still_to_state": [words.en for words in p.missing],
    }
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=True) + "\n"


def _tables(run: ProbeRun, kind: str) -> tuple[Table, ...]:
    by_place: dict[tuple[tuple[str, str], ...], dict[str, Measurement]] = {}
    for m in run.measurements:
        if m.where and "against" not in m.where:
            by_place.setdefault(tuple(sorted(m.where.items())), {})[m.metric] = m
    tables: dict[tuple[str, ...], list[Category]] = {}
    unknown: dict[tuple[str, ...], int] = {}
    chance: dict[str, dict[str, Measurement]] = {}
    for place, found in by_place.items():
        where = dict(place)
        if "over" in where:
            chance[where["over"]] = found
            continue
        rate = found.get(f"{kind}_rate")
        if rate is None:
            continue
        attributes = tuple(sorted(where))
        tables.setdefault(attributes, []).append(_category(where, found, rate))
        unknown[attributes] = sum(s.count for s in rate.left_out if s.reason == "category unknown")
    none = Absent(code="not_measured", reason="not measured")
    made = []
    for attributes, categories in sorted(tables.items(), key=lambda kv: (len(kv[0]), kv[0])):
        beside = next(
            (f for over, f in chance.items() if set(over.split(" and ")) == set(attributes)), {}
        )
        lowest, below = beside.get("lowest_by_chance"), beside.get("below_four_fifths_by_chance")
        made.append(
            Table(
                attributes=attributes,
                categories=tuple(sorted(categories, key=lambda c: sorted(c.where.items()))),
                unknown=unknown[attributes],
                lowest_by_chance=none if lowest is None else lowest.value,
                below_by_chance=none if below is None else below.value,
            )
        )
    return tuple(made)


def _category(
    where: Mapping[str, str], found: Mapping[str, Measurement], rate: Measurement
) -> Category:
    none = Absent(code="not_measured", reason="not measured")

    def value(metric: str) -> Estimate | Absent:
        return found[metric].value if metric in found else none

    ratio, fisher = value("impact_ratio"), value("fisher_p")
    basis = rate.value.basis if isinstance(rate.value, Estimate) else None
    short = _whole(value("selections_short_of_four_fifths"))
    return Category(
        where=where,
        n=rate.used,
        hits=basis.hits if isinstance(basis, Counts) else None,
        share=value("share_of_data"),
        rate=rate.value,
        ratio=ratio,
        excluded=isinstance(ratio, Absent) and ratio.code == "excluded",
        most_selected=isinstance(ratio, Estimate) and ratio.method == "most selected",
        short=short,
        to_four_fifths=_whole(value("decisions_to_four_fifths")),
        deviations=value("standard_deviations"),
        fisher=fisher,
        to_significance=_whole(value("decisions_to_significance")),
        faces=_faces(short, fisher),
    )


def _faces(short: int | None, fisher: Estimate | Absent) -> Faces:
    if short is None or isinstance(fisher, Absent):
        return "unknown"
    if short:
        return "both" if fisher.value <= ALPHA else "ratio_only"
    return "significance_only" if fisher.value <= ALPHA else "neither"


def _checks(
    tables: Sequence[Table],
    said: Mapping[str, str],
    day: date | None,
    test: CorpusInfo | None,
    justification: str,
) -> tuple[Check, ...]:
    def stated(key: str) -> bool:
        return bool(said.get(key, "").strip())

    excluded = any(c.excluded for t in tables for c in t.categories)
    historical = test is not None and test.kind == "historical"
    return (
        Check(
            what=Words(
                en="a summary: rates and ratios of single attributes and of both together",
                zh="摘要：单一属性及其交叉类别的比率与影响比率",
            ),
            done=any(len(t.attributes) > 1 for t in tables) and len(tables) > 2,
        ),
        Check(
            what=Words(
                en="the source and explanation of the data ([scope] data_source, data_explanation)",
                zh="数据来源与说明（[scope] data_source、data_explanation）",
            ),
            done=stated("data_source") and stated("data_explanation"),
        ),
        Check(
            what=Words(
                en="notice to candidates ([scope] notice)", zh="对应聘者的通知（[scope] notice）"
            ),
            done=stated("notice"),
        ),
        Check(what=Words(en="the date of the audit", zh="审计日期"), done=day is not None),
        Check(
            what=Words(
                en="the distribution date of the tool ([scope] distribution_date)",
                zh="工具的分发日期（[scope] distribution_date）",
            ),
            done=stated("distribution_date"),
        ),
        Check(
            what=Words(
                en="who audited, independently of those who made or use the tool ([scope] auditor)",
                zh="独立于开发者与使用者的审计人（[scope] auditor）",
            ),
            done=stated("auditor"),
        ),
        Check(
            what=Words(
                en="historical data, or an explanation why test data stand for them",
                zh="历史数据，或说明为何使用测试数据",
            ),
            done=historical or stated("data_explanation"),
        ),
        Check(
            what=Words(en="a justification of categories left out", zh="排除类别的理由"),
            done=not excluded or bool(justification.strip()),
        ),
    )


def _whole(value: Estimate | Absent) -> int | None:
    return None if isinstance(value, Absent) else round(value.value)


def _value(value: Estimate | Absent) -> float | None:
    return None if isinstance(value, Absent) else value.value


def _three(value: Estimate | Absent) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if isinstance(value, Absent) else (value.value, value.low, value.high)


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said[:10])
    except ValueError:
        return None


def _a_year_on(day: date) -> date:
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        # 29 February.
        return day.replace(year=day.year + 1, day=28)

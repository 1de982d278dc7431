"""SARIF 2.1.0.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0,
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html (sections 3.27 and 3.58).
"""

import json
import re
from typing import Any
from urllib.parse import quote

from audit.exports._rows import Export, Row, shown
from audit.figures import humanise, parse

_RANK = {"critical": 100.0, "serious": 75.0, "moderate": 50.0, "minor": 25.0}
_EXAMPLES = 10


def sarif(export: Export) -> str:
    """Return a log with a result for each claim that failed, is undecided, or was waived.

    Kept claims and empty slices are no results: a viewer would list them as alerts. A crashed probe
    and a waiver that no longer holds are notifications of the tool. Fingerprints are hashes of
    measurement and side: they survive a re-run and a change of the limit.
    """
    rows = [row for row in export.rows if row.outcome in ("failed", "undecided", "noted")]
    metrics = list(dict.fromkeys(_metric(row) for row in export.rows))
    result = export.result
    log: dict[str, Any] = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Evenhand",
                        "version": shown(result.provenance.code or "unknown"),
                        "rules": [_rule(export, metric) for metric in metrics],
                    }
                },
                "automationDetails": {"id": f"evenhand/{shown(result.plan.digest)[:16]}/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(export, metrics)],
                "results": [_result(export, row, metrics) for row in rows],
            }
        ],
    }
    return json.dumps(log, indent=1, allow_nan=False, ensure_ascii=True) + "\n"


def _metric(row: Row) -> str:
    return row.verdict.claim.measurement.partition("[")[0]


def _rule(export: Export, metric: str) -> dict[str, Any]:
    name = parse(metric)
    mine = [row for row in export.rows if _metric(row) == metric]
    advice = dict.fromkeys(row.finding.recommendation for row in mine if row.finding)
    run = next((r for r in export.result.runs if r.probe == name.probe), None)
    version = f" (version {shown(run.version)})" if run else ""
    text = " ".join(
        [
            f"{shown(humanise(name.metric))}, measured by the probe {shown(name.probe)}{version} "
            "with an interval. The claim fails when the evidence that its limit is broken holds "
            "after Holm's correction over all blocking claims; it is undecided when the interval "
            "crosses the limit.",
            *(shown(one) for one in advice),
        ]
    )
    return {
        "id": shown(metric),
        "name": "".join(re.findall("[A-Za-z0-9]+", metric.title())) or "Metric",
        "shortDescription": {"text": f"{shown(name.probe)}: {shown(humanise(name.metric))}"},
        "fullDescription": {"text": text},
        "help": {"text": text},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["fairness", "robustness"]},
    }


def _result(export: Export, row: Row, metrics: list[str]) -> dict[str, Any]:
    verdict = row.verdict
    failed = verdict.status == "fail" or row.outcome == "failed"
    level = "error" if row.outcome == "failed" or verdict.waived_by else "warning"
    said: dict[str, Any] = {
        "ruleId": shown(_metric(row)),
        "ruleIndex": metrics.index(_metric(row)),
        # Open: the rule was evaluated, and there was too little information to decide (3.27.9).
        "kind": "fail" if failed else "open",
        "level": level if failed else "none",
        "message": {"text": row.message},
        "locations": [_place(export.path, row.line)],
        "partialFingerprints": {"evenhandClaim/v1": row.key},
        "rank": _RANK[row.finding.severity if row.finding else verdict.claim.severity],
        "properties": {
            "status": verdict.status,
            "value": verdict.value,
            "interval": verdict.interval,
            "n": verdict.n,
            "blocking": verdict.claim.blocking,
        },
    }
    if verdict.waived_by:
        said["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": shown(verdict.waived_by)}
        ]
    related = _examples(export, row)
    if related:
        said["relatedLocations"] = related
    return said


def _examples(export: Export, row: Row) -> list[dict[str, Any]]:
    """Return the texts a reader can look at, each at its row of the data file where that is known.

    Only where a text has no name of its own is its row its name (``row-7``), and only in a JSONL or
    TSV file is a row a line.
    """
    corpora = export.result.provenance.corpora
    path = next((c.path for c in corpora if c.name == "test"), "")
    if row.finding is None or not path:
        return []
    places = []
    for i, example in enumerate(row.finding.example_ids[:_EXAMPLES]):
        place = _place(path, None)
        number = re.fullmatch(r"row-([1-9][0-9]{0,8})", example)
        head = {".jsonl": 0, ".tsv": 1}.get(path[path.rfind(".") :])
        if number and head is not None:
            place = _place(path, int(number[1]) + head)
        places.append(place | {"id": i, "message": {"text": f"text {shown(example)}"}})
    return places


def _place(path: str, line: int | None) -> dict[str, Any]:
    physical: dict[str, Any] = {
        "artifactLocation": {
            "uri": quote(path.encode("utf-8", "replace")),
            "uriBaseId": "%SRCROOT%",
        }
    }
    if line is not None:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical}


def _invocation(export: Export, metrics: list[str]) -> dict[str, Any]:
    crashed = [row for row in export.rows if row.verdict.status == "error"]
    notes: list[dict[str, Any]] = [
        {
            "level": "error" if row.outcome == "error" else "warning",
            "message": {"text": row.message},
            "associatedRule": {"id": shown(_metric(row)), "index": metrics.index(_metric(row))},
            "locations": [_place(export.path, row.line)],
        }
        for row in crashed
    ]
    notes += [{"level": "error", "message": {"text": said}} for said in export.problems]
    return {
        "executionSuccessful": not notes,
        "exitCode": export.code,
        "toolExecutionNotifications": notes,
    }

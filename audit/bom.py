"""A bill of materials: model, data, packages and word lists behind a result, in CycloneDX 1.6.

Source: OWASP CycloneDX 1.6 (ECMA-424), https://cyclonedx.org/docs/1.6/json/.
"""

import json
import re
import uuid
from typing import Any

from audit import store
from audit.exports._rows import shown
from audit.figures import number
from audit.types import AuditResult, CorpusInfo, Estimate, Measurement

_SHA = re.compile("[0-9a-f]{64}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


def bom(result: AuditResult) -> str:
    """Return the bill as JSON; the same result gives the same bytes, serial number included."""
    origin = result.provenance
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"evenhand:{store.digest(result)}")
    metadata: dict[str, Any] = {
        "tools": {
            "components": [
                {
                    "type": "application",
                    "name": "evenhand",
                    "version": shown(origin.code or "unknown", 200),
                }
            ]
        },
        "component": _model(result),
    }
    if _DAY.fullmatch(result.telemetry.started):
        metadata["timestamp"] = result.telemetry.started
    said = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": metadata,
        "components": [
            *(_corpus(c) for c in origin.corpora),
            *(_package(name, version) for name, version in sorted(origin.packages.items())),
            *(_resource(name, sha) for name, sha in sorted(origin.resources.items())),
        ],
    }
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=True) + "\n"


def _model(result: AuditResult) -> dict[str, Any]:
    origin = result.provenance
    claimed = {v.claim.measurement for v in result.verdicts}
    metrics = [
        _metric(m, m.value)
        for run in result.runs
        for m in run.measurements
        if isinstance(m.value, Estimate) and (m.id in claimed or not m.where)
    ]
    limits = [
        f"{run.probe} did not finish: {run.error}" if run.error else f"{run.probe}: {run.not_run}"
        for run in result.runs
        if run.error or run.not_run
    ]
    considerations: dict[str, Any] = {
        "technicalLimitations": [*limits, "Only answers to the audited texts were measured."],
    }
    users, uses = origin.scope.get("users"), origin.scope.get("purpose")
    considerations |= {"users": [users]} if users else {}
    considerations |= {"useCases": [uses]} if uses else {}
    at_risk = [f for f in result.findings if "=" in f.measurement]
    if at_risk:
        considerations["fairnessAssessments"] = [
            {
                "groupAtRisk": f.measurement.partition("[")[2].rstrip("]"),
                "harms": f.condition,
                "mitigationStrategy": f.recommendation,
            }
            for f in at_risk
        ]
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": origin.model_name or "model",
        "properties": [{"name": "evenhand:fingerprint", "value": origin.model}],
        **_hashes(origin.model),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "text-classification",
                "datasets": [{"ref": f"corpus-{c.name}"} for c in origin.corpora],
                "inputs": [{"format": "text"}],
                "outputs": [{"format": f"one of {len(origin.labels)} labels"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": metrics},
            "considerations": considerations,
        },
    }


def _metric(m: Measurement, e: Estimate) -> dict[str, Any]:
    where = ", ".join(f"{k}={v}" for k, v in sorted(m.where.items()))
    return {
        "type": m.id.partition("[")[0],
        "value": _plain(e.value),
        "confidenceInterval": {"lowerBound": _plain(e.low), "upperBound": _plain(e.high)},
        **({"slice": where} if where else {}),
    }


def _plain(x: float) -> str:
    return number(x).replace(",", "").replace("\N{MINUS SIGN}", "-")


def _corpus(c: CorpusInfo) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": f"corpus-{c.name}",
        "name": c.name,
        "data": [
            {
                "type": "dataset",
                "name": c.name,
                "description": f"{c.texts} texts, {c.kind} data",
                **(
                    {"sensitiveData": [f"group: {name}" for name in sorted(c.groups)]}
                    if c.groups
                    else {}
                ),
            }
        ],
        **_hashes(c.sha256),
        **({"licenses": [{"license": {"name": c.license}}]} if c.license else {}),
    }


def _package(name: str, version: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": f"package-{name}",
        "name": name,
        "version": shown(version, 200),
        "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version.replace('+', '%2B')}",
    }


def _resource(name: str, sha: str) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": f"resource-{name}",
        "name": name,
        "data": [{"type": "definition", "name": name}],
        **_hashes(sha),
    }


def _hashes(sha: str) -> dict[str, Any]:
    return {"hashes": [{"alg": "SHA-256", "content": sha}]} if _SHA.fullmatch(sha) else {}

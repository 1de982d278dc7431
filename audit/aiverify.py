"""A result in the form that AI Verify takes test results in.

Source: AI Verify, ``common/schemas/aiverify.testresult.schema.json`` of its repository. Fields that
the schema wants as addresses are URNs of digests: no path of a machine leaves the result.
"""

import json
from collections.abc import Mapping

from audit import flat
from audit.types import AuditResult

PLUGIN, ALGORITHM = "evenhand.text-audit", "text_audit"
PROCESS: Mapping[str, tuple[str, ...]] = {
    "7.1.1": ("swaps", "templates"),
    "7.2.1": ("replay",),
    "7.4.1": ("group_rates", "impact_ratio", "bias_auc"),
    "7.5.1": ("group_rates", "slices", "calibration"),
}
"""Item of AI Verify's process checklist to the probes that bear on it."""


def test_result(result: AuditResult) -> str:
    """Return one test result: every measurement with its interval, by item of the checklist."""
    test = next((c for c in result.provenance.corpora if c.name == "test"), None)
    every = flat.rows(result)
    said = {
        "gid": PLUGIN,
        "cid": ALGORITHM,
        "version": result.provenance.code or "unknown",
        "start_time": result.telemetry.started or "1970-01-01T00:00:00+00:00",
        "time_taken": result.telemetry.seconds,
        "test_arguments": {
            "testDataset": f"urn:sha256:{test.sha256 if test and test.sha256 else 'unknown'}",
            "mode": "upload",
            "modelType": "classification",
            "modelFile": f"urn:evenhand:model:{result.provenance.model}",
            "algorithmArgs": {"plan": result.plan.digest, "seed": result.plan.seed},
        },
        "output": {
            "measurements": [
                {k: v for k, v in row.items() if v not in (None, "")} for row in every
            ],
            "claims": [
                {"claim": v.claim.id, "status": v.status, "because": v.because}
                for v in result.verdicts
            ],
            "process_checks": {
                item: [row["id"] for row in every if row["probe"] in probes]
                for item, probes in PROCESS.items()
            },
        },
    }
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=True) + "\n"

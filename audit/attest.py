"""A result as a statement that other tools can carry and sign.

Source: in-toto Attestation Framework, Statement v1 and test-result predicate v0.1,
https://github.com/in-toto/attestation/tree/main/spec.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from audit import gates, store
from audit.borders import plain
from audit.checkpoint import file_digest
from audit.errors import ResultError
from audit.types import AuditResult

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
PARTS = (
    *("plan", "provenance", "runs", "verdicts", "findings", "waivers", "comparison", "files"),
    "telemetry",
)
"""Parts of a result that a statement names one by one, so that a change can be placed."""
AUDIT_FILE = "audit.toml"


def statement(result: AuditResult, folder: Path) -> dict[str, Any]:
    """Return an in-toto statement about the result in `folder`.

    Its subjects are ``result.json`` (the file's digest, and beside it those of the whole without
    telemetry and of each part), the model, and the files beside the result that are there. Tests
    are the claims: broken ones and errors failed, undecided and waived ones warned.

    Raises:
        ResultError: If the folder holds no ``result.json``.
    """
    file = folder / store.RESULT
    if not file.exists():
        raise ResultError(f"There is no result at {file}.")
    result_subject = {
        "name": store.RESULT,
        "digest": {"sha256": file_digest(file)},
        "annotations": {"canonical": store.digest(result), "parts": part_digests(result)},
    }
    beside = [AUDIT_FILE, *sorted(result.files)]
    there = {name: file_digest(folder / name) for name in beside if (folder / name).is_file()}
    # A model's fingerprint may cover several files, or be that of a callable: a name, not a file.
    model = {
        "name": f"model:{result.provenance.model_name}",
        "digest": {"sha256": hashlib.sha256(result.provenance.model.encode()).hexdigest()},
        "annotations": {"fingerprint": result.provenance.model},
    }
    by: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for v in result.verdicts:
        ended = {"pass": "passedTests", "fail": "failedTests", "error": "failedTests"}
        waived = bool(v.waived_by) or not v.claim.blocking
        kind = "warnedTests" if waived and v.status != "pass" else ended.get(v.status)
        by[kind or "warnedTests"].append(v.claim.id)
    code = gates.exit_code(result.verdicts, result.runs, undecided=result.plan.undecided)
    return {
        "_type": STATEMENT,
        "subject": [
            result_subject,
            *({"name": name, "digest": {"sha256": sha}} for name, sha in there.items()),
            model,
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "result": {0: "PASSED", 1: "FAILED", 2: "FAILED"}.get(code, "WARNED"),
            "configuration": [
                {"name": "plan", "digest": {"sha256": result.plan.digest}},
                *(
                    {"name": f"corpus:{c.name}", "digest": {"sha256": c.sha256}}
                    for c in result.provenance.corpora
                    if c.sha256
                ),
            ],
            **by,
        },
    }


def part_digests(result: AuditResult) -> dict[str, str]:
    """Return the SHA-256 of each part's canonical JSON."""
    whole = plain(result)
    return {name: _digest(whole[name]) for name in PARTS}


def written(said: dict[str, Any]) -> str:
    """Return a statement as the bytes that are signed: sorted, without spaces to argue about."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

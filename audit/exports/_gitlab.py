"""GitLab code quality.

Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

import json

from audit.exports._rows import Export, shown

_SEVERITY = {"critical": "blocker", "serious": "critical", "moderate": "major", "minor": "minor"}


def gitlab(export: Export) -> str:
    """Return one entry for each claim that is not kept, at the line of its gate.

    A failed claim carries the severity of its finding; an undecided or noted one is *info*, a
    crashed probe and a waiver that no longer holds are *blocker*.
    """
    found = []
    for row in export.rows:
        if row.outcome in ("passed", "off"):
            continue
        severity = "blocker" if row.outcome == "error" else "info"
        if row.outcome == "failed":
            severity = _SEVERITY[
                row.finding.severity if row.finding else row.verdict.claim.severity
            ]
        metric = row.verdict.claim.measurement.partition("[")[0]
        found.append(_entry(row.message, shown(metric), row.key, severity, export.path, row.line))
    for i, problem in enumerate(export.problems):
        found.append(_entry(problem, "waivers", f"waiver-{i}", "blocker", export.path, 1))
    return json.dumps(found, indent=1, ensure_ascii=True) + "\n"


def _entry(
    said: str, check: str, key: str, severity: str, path: str, line: int
) -> dict[str, object]:
    return {
        "description": said,
        "check_name": check,
        "fingerprint": key,
        "severity": severity,
        "location": {"path": shown(path), "lines": {"begin": line}},
    }

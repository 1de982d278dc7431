"""The verdict as JSON, for scripts."""

import json

from audit.borders import plain
from audit.exports._rows import Export


def verdict_json(export: Export) -> str:
    """Return exit code, counts and claims as JSON, keys sorted, ``"schema": 1``.

    Strings are as in the result, escaped by JSON alone: who shows them must neutralise them.
    """
    result = export.result
    said = plain(
        {
            "schema": 1,
            "exit_code": export.code,
            "headline": export.headline,
            "plan": result.plan.digest,
            "model": {"name": result.provenance.model_name, "digest": result.provenance.model},
            "undecided": result.plan.undecided,
            "alpha": result.plan.alpha,
            "counts": {
                name: export.count(name)
                for name in ("passed", "failed", "undecided", "error", "noted", "off")
            },
            "claims": [
                {
                    "id": v.claim.id,
                    "measurement": v.claim.measurement,
                    "side": v.claim.side,
                    "limit": v.claim.limit,
                    "against": v.claim.against,
                    "severity": v.claim.severity,
                    "blocking": v.claim.blocking,
                    "status": v.status,
                    "outcome": row.outcome,
                    "value": v.value,
                    "interval": v.interval,
                    "interval_level": v.interval_level,
                    "n": v.n,
                    "m": v.m,
                    "p_break_adjusted": v.p_break_adjusted,
                    "p_keep": v.p_keep,
                    "because": v.because,
                    "waived_by": v.waived_by,
                    "line": row.line,
                    "key": row.key,
                    "finding": row.finding.id if row.finding else None,
                }
                for row in export.rows
                for v in (row.verdict,)
            ],
            "waivers": result.waivers,
            "problems": export.problems,
        }
    )
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=True) + "\n"

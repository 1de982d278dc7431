"""The measurements of a result as one table: a row for each number, with its interval and verdict."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.cells import table
from audit.files import write_atomically
from audit.types import Absent, AuditResult, Measurement, Verdict

COLUMNS = (
    *("id", "probe", "metric", "slice", "unit", "value", "low", "high", "level", "n"),
    *("n_effective", "method", "mde", "eligible", "left_out", "absent", "absent_because"),
    *("family", "status", "limit"),
)
_NUMBERS = ("value", "low", "high", "level", "n_effective", "mde")
_COUNTS = ("n", "eligible", "left_out")


def rows(result: AuditResult) -> list[dict[str, Any]]:
    """Return one row for each measurement, in the order of the result; None where it has no value.

    `status` and `limit` are those of its claims, several joined by `` | ``.
    """
    claimed: dict[str, list[Verdict]] = {}
    for v in result.verdicts:
        claimed.setdefault(v.claim.measurement, []).append(v)
    return [
        _row(run.probe, m, claimed.get(m.id, ())) for run in result.runs for m in run.measurements
    ]


def as_csv(result: AuditResult) -> str:
    """Return the table as CSV, inert in any spreadsheet."""
    return table(COLUMNS, ([row[name] for name in COLUMNS] for row in rows(result)))


def write_parquet(result: AuditResult, path: Path) -> None:
    """Write the table as Parquet; equal results give equal bytes.

    Raises:
        AuditError: If the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = rows(result)
    types = dict.fromkeys(_NUMBERS, pa.float64()) | dict.fromkeys(_COUNTS, pa.int64())
    columns = {
        name: pa.array([row[name] for row in found], types.get(name, pa.string()))
        for name in COLUMNS
    }
    made = pa.table(columns)
    write_atomically(path, lambda temporary: pq.write_table(made, temporary, compression="zstd"))


def _row(probe: str, m: Measurement, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    e = m.value
    absent = isinstance(e, Absent)
    numbers = ("value", "low", "high", "level", "n", "n_effective", "method", "mde")
    said: dict[str, Any] = {name: None if absent else getattr(e, name) for name in numbers}
    return said | {
        "id": m.id,
        "probe": probe,
        "metric": m.metric,
        "slice": json.dumps(dict(m.where), sort_keys=True, ensure_ascii=False) if m.where else "",
        "unit": m.unit,
        "eligible": m.eligible,
        "left_out": m.eligible - m.used,
        "absent": e.code if isinstance(e, Absent) else None,
        "absent_because": e.reason if isinstance(e, Absent) else None,
        "family": m.family,
        "status": " | ".join(v.status for v in verdicts),
        "limit": " | ".join(
            f"{'<=' if v.claim.side == 'at_most' else '>='} {v.claim.limit:g}" for v in verdicts
        ),
    }

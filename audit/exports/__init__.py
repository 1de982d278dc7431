"""A judged result in the forms that continuous integration reads.

Everything is made from the result alone: no model, no data file, nothing heavy. What audited texts
and other people's files may have put into a name or a reason is data in every form: it can neither
become markup or a command, nor hide or reorder what stands beside it.

| outcome | JUnit | SARIF | GitHub | GitLab |
|---|---|---|---|---|
| passed | test case | left out | – | left out |
| failed | ``failure`` | kind fail, level error | error | critical and down |
| undecided | ``skipped``, with why | kind open | warning | info |
| error | ``error`` | notification, level error | error | blocker |
| noted: waived or not blocking | ``skipped``, with why | fail and suppressed, or warning | notice | info |
| off: empty slice | ``skipped``, with why | left out | – | left out |

Undecided is neither success nor failure, and JUnit's ``skipped`` is the only word it has for that;
where the audit says ``undecided = "fail"``, such a claim has failed and is shown as one.
"""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from audit.exports._badge import badge
from audit.exports._github import annotations, quiet_commands, summary
from audit.exports._gitlab import gitlab
from audit.exports._junit import junit
from audit.exports._machine import verdict_json
from audit.exports._markdown import markdown
from audit.exports._rows import Export, Outcome, claim_name, export_of
from audit.exports._sarif import sarif
from audit.files import write_text
from audit.types import AuditResult

__all__ = [
    "FORMATS",
    "Export",
    "Outcome",
    "annotations",
    "badge",
    "claim_name",
    "export_of",
    "gitlab",
    "junit",
    "markdown",
    "quiet_commands",
    "sarif",
    "summary",
    "verdict_json",
    "write",
]

FORMATS: Mapping[str, Callable[[Export], str]] = {
    "junit": junit,
    "sarif": sarif,
    "markdown": markdown,
    "gitlab": gitlab,
    "json": verdict_json,
    "badge": badge,
}


def write(
    result: AuditResult,
    files: Mapping[str, Path | None],
    *,
    audit_path: str = "audit.toml",
    today: date | None = None,
) -> Export:
    """Write a judged result in the forms asked for.

    Args:
        result: Judged, see `judging.judged`.
        files: Format (a key of `FORMATS`) to the file it goes to; None: it is not asked for.
        audit_path: Where the audit file stands in the repository, for locations.
        today: The day waivers are held against.

    Raises:
        AuditError: If a file cannot be written.
    """
    export = export_of(result, audit_path=audit_path, today=today)
    for name, path in files.items():
        if path is not None:
            write_text(path, FORMATS[name](export))
    return export

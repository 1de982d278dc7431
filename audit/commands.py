"""What the longer commands of the command line do; they return what is said and the exit code."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from audit import console, exports
from audit.types import AuditResult


def gated(
    result: AuditResult, files: Mapping[str, Path | None], at: str, *, github: bool
) -> tuple[str, int]:
    """Write a judged result in the forms asked for and return what the terminal gets.

    Args:
        result: Judged.
        files: Format to the file it goes to, see `exports.write`.
        at: Where the audit file stands in the repository.
        github: Say it to GitHub too: annotations among what is returned, and the step summary
            appended to the file that ``GITHUB_STEP_SUMMARY`` names, where it names one.
    """
    export = exports.write(result, files, audit_path=at)
    said = [console.verdicts(result), console.summary(result)]
    said += [console.plain(f"{name}: {path}") for name, path in files.items() if path is not None]
    text = "\n".join(said)
    if github:
        text = exports.quiet_commands(text, f"evenhand-{secrets.token_hex(16)}")
        text += "\n" + exports.annotations(export)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(exports.summary(export) + "\n")
    return text, export.code

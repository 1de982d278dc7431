"""GitHub's step summary and annotations.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from audit.exports._markdown import page
from audit.exports._rows import Export, shown

SUMMARY_BYTES = 1_000_000
"""GitHub takes one mebibyte for each step."""
_SHOWN = 10
"""Annotations of one kind that GitHub shows for a step."""
_KIND = {"failed": "error", "error": "error", "undecided": "warning", "noted": "notice"}


def summary(export: Export) -> str:
    """Return the Markdown to append to ``$GITHUB_STEP_SUMMARY``."""
    return page(export, SUMMARY_BYTES)


def annotations(export: Export) -> str:
    """Return workflow commands, one for each claim that is not kept, at the line of its gate.

    The tenth of a kind counts those that follow, since the site shows no more.
    """
    found: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for problem in export.problems:
        found["error"].append(_command("error", export.path, 1, "Waiver", problem))
    for row in export.rows:
        if row.outcome in _KIND:
            kind = _KIND[row.outcome]
            found[kind].append(
                _command(kind, export.path, row.line, f"{row.outcome}: {row.claim}", row.message)
            )
    lines = []
    for kind, commands in found.items():
        lines += commands if len(commands) <= _SHOWN else commands[: _SHOWN - 1]
        if len(commands) > _SHOWN:
            said = f"{len(commands) - _SHOWN + 1} more claims are in the step summary."
            lines.append(_command(kind, export.path, 1, "Evenhand", said))
    return "".join(f"{line}\n" for line in lines)


def quiet_commands(text: str, token: str) -> str:
    """Return `text` so that the runner takes no line of it for a command.

    Args:
        text: What is printed, names from audited data included.
        token: A word that nobody could have put into `text`.
    """
    return f"::stop-commands::{token}\n{text}\n::{token}::"


def _command(kind: str, path: str, line: int, title: str, said: str) -> str:
    return f"::{kind} file={_property(path)},line={line},title={_property(title)}::{_data(shown(said))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(shown(text, 200)).replace(":", "%3A").replace(",", "%2C")

"""A page as a PDF with tags and an outline, by a Chromium that is there."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from audit.errors import AuditError, Unsupported
from audit.files import write_atomically

PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "msedge"),
)
VARIABLE = "EVENHAND_CHROMIUM"
_PATIENCE = 240


def browser() -> str:
    """Return the program that prints.

    Raises:
        Unsupported: If there is none.
    """
    named = os.environ.get(VARIABLE, "")
    for program in (named,) if named else PROGRAMS:
        found = shutil.which(program)
        if found:
            return found
    raise Unsupported(
        "The PDF was not made, because no Chromium is on this machine.",
        hint=f"Install Chromium or Chrome, or name one in {VARIABLE}; or print the page yourself.",
    )


def write_pdf(page: str, path: Path) -> None:
    """Print a page into `path`: tagged for screen readers, with an outline of its headings.

    Raises:
        Unsupported: If there is no browser to print with.
        AuditError: If it prints nothing.
    """
    program = browser()
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, "utf-8")
        command = [
            program,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer",
            "--export-tagged-pdf",
            "--generate-pdf-document-outline",
            f"--print-to-pdf={made}",
            source.as_uri(),
        ]
        if os.geteuid() == 0:
            # Chromium refuses its sandbox to root; the page is our own and loads nothing.
            command.insert(1, "--no-sandbox")
        try:
            subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise AuditError(f"{program} did not print the page: {problem}.") from problem
        if not made.exists():
            raise AuditError(f"{program} printed nothing.")
        body = made.read_bytes()
    write_atomically(path, lambda temporary: temporary.write_bytes(body))

"""A stored result in forms other than the report's page. No model is loaded."""

from collections.abc import Sequence
from pathlib import Path

from audit import publication, report
from audit.files import write_text
from audit.law import Words
from audit.types import AuditResult

KINDS = {
    "historical": ("historical data", "历史数据"),
    "test": ("test data, not historical", "测试数据，非历史数据"),
    "synthetic": ("synthetic test data, not historical", "合成测试数据，非历史数据"),
}


def ll144(result: AuditResult, folder: Path) -> tuple[Sequence[Path], Sequence[Words]]:
    """Write the publication block of Local Law 144: two pages, CSV and JSON.

    Returns:
        The files, and what is still to be stated before anything is published.

    Raises:
        DataError: If the result holds no impact ratios.
    """
    made = publication.publication(result)
    files = {
        "ll144.html": ll144_page(made, "en"),
        "ll144.zh.html": ll144_page(made, "zh"),
        "ll144.csv": publication.as_csv(made),
        "ll144.json": publication.as_json(made),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files], made.missing


def ll144_page(made: publication.Publication, language: str) -> str:
    """Return the publication as a page in English (``en``) or Chinese (``zh``)."""
    return report.page(
        "ll144.html.j2",
        p=made,
        language=language,
        names=publication.STATED,
        faces=publication.FACES,
        kinds=KINDS,
    )

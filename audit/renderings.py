"""A stored result in forms other than the report's page. No model is loaded."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from audit import aiverify, attest, bom, borders, exports, flat, modelcard, pdf, publication, report
from audit.errors import Unsupported
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


def write(result: AuditResult, folder: Path, files: Mapping[str, Path | None]) -> tuple[str, ...]:
    """Write the renderings asked for.

    Args:
        result: Read, and redacted where that was asked.
        folder: Of the audit, for the digests of an in-toto statement.
        files: Form (a key of `FORMS`) to the file it goes to; None: it is not asked for.

    Returns:
        A line for each: where it stands, or why it was not made.

    Raises:
        AuditError: If a file cannot be written.
    """
    said = []
    for form, path in files.items():
        if path is None:
            continue
        try:
            FORMS[form](result, folder, path)
        except Unsupported as why:
            said.append(f"{form}: not run. {why} {why.hint}".rstrip())
        else:
            said.append(f"{form}: {path}")
    return tuple(said)


def _text(make: Callable[[AuditResult], str]) -> Callable[[AuditResult, Path, Path], None]:
    return lambda result, _, path: write_text(path, make(result))


def _in_toto(result: AuditResult, folder: Path, path: Path) -> None:
    statement = attest.statement(result, folder)
    write_text(path, json.dumps(statement, indent=1, sort_keys=True) + "\n")


FORMS: Mapping[str, Callable[[AuditResult, Path, Path], None]] = {
    "pdf": lambda result, _, path: pdf.write_pdf(report.render(result), path),
    "markdown": _text(lambda result: exports.markdown(exports.export_of(result))),
    "model card": _text(modelcard.model_card),
    "csv": _text(flat.as_csv),
    "parquet": lambda result, _, path: flat.write_parquet(result, path),
    "bom": _text(bom.bom),
    "in-toto": _in_toto,
    "AI Verify": _text(aiverify.test_result),
    "json": _text(lambda result: borders.write_json(result)),
}
"""Form to what writes it, given the result, the audit's folder and the file."""

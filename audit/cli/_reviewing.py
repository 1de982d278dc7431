"""The command that asks people what an audit could not decide."""

from pathlib import Path
from typing import Annotated

import typer


def review(
    result: Annotated[Path, typer.Argument(help="Folder of an audit.")],
    out: Annotated[Path, typer.Option(help="CSV file to answer on.")] = Path("review.csv"),
    html: Annotated[
        Path | None, typer.Option(help="Form to answer on instead; a Chinese one beside it.")
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Audit file whose paths lead to the texts, for labels.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Questions of each kind, at most.")] = 50,
) -> int:
    """Write the questions that an audit leaves to people: undecided cases, changes, labels."""
    from audit import review as asking
    from audit import store
    from audit.files import write_text

    read = store.read(result)
    folder = result if result.is_dir() else result.parent
    texts = None if audit is None else asking.audited(read, audit)
    items = asking.queue(read, folder, texts, most=most)
    write_text(out, asking.as_csv(items))
    print(f"{len(items)} questions: {out}")
    if audit is None:
        print("Labels are asked about only where --audit leads to the texts.")
    if html is not None:
        other = html.with_suffix(".zh.html")
        write_text(html, asking.as_page(items, read.provenance.labels, "en"))
        write_text(other, asking.as_page(items, read.provenance.labels, "zh"))
        print(f"Forms: {html}, {other}")
    print('Answer with reviewer and date, name the file: [review] file = "…", and run again.')
    return 0

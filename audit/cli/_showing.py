"""Commands that show what is stored or installed."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    result: Annotated[Path, typer.Argument(help="result.json or the folder of an audit.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the page.")] = None,
    ll144: Annotated[
        Path | None,
        typer.Option(help="Folder for the publication block of NYC Local Law 144, instead."),
    ] = None,
    responses: Annotated[
        Path | None, typer.Option(help="TOML file with responses, owners and due dates.")
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="Print it, tagged and with an outline (Chromium).")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Summary for a pull request.")] = None,
    model_card: Annotated[Path | None, typer.Option(help="Hugging Face model card.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Measurements as CSV.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Measurements as Parquet.")] = None,
    bom: Annotated[Path | None, typer.Option(help="Bill of materials, CycloneDX 1.6.")] = None,
    in_toto: Annotated[Path | None, typer.Option(help="in-toto test-result statement.")] = None,
    ai_verify: Annotated[Path | None, typer.Option(help="AI Verify test result.")] = None,
    json: Annotated[Path | None, typer.Option(help="The result, as it is rendered.")] = None,
    redact: Annotated[
        bool | None,
        typer.Option("--redact/--no-redact", help="Hide texts and what points at persons."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="full, or shared: redacted unless --no-redact.")
    ] = "full",
) -> int:
    """Render a stored result as one HTML page, or in the forms asked for. No model is loaded."""
    from audit import responses as answers
    from audit import store
    from audit.errors import ConfigError
    from audit.files import write_text
    from audit.report import render

    if profile not in ("full", "shared"):
        raise ConfigError(f"There is no profile {profile!r}.", hint="Use full or shared.")
    read = store.read(result)
    if responses is not None:
        read = answers.answered(read, answers.read(responses))
    folder = result if result.is_dir() else result.parent
    if redact if redact is not None else profile == "shared":
        from audit.redact import redacted

        read = redacted(read)
    forms = {"pdf": pdf, "markdown": markdown, "model card": model_card, "csv": csv}
    forms |= {"parquet": parquet, "bom": bom, "in-toto": in_toto, "AI Verify": ai_verify}
    forms |= {"json": json}
    if ll144 is not None or any(forms.values()):
        from audit import renderings

        for line in renderings.write(read, folder, forms):
            print(line)
        if ll144 is not None:
            files, missing = renderings.ll144(read, ll144)
            for file in files:
                print(f"Local Law 144: {file}")
            for words in missing:
                print(f"Before this is published, state: {words.en}.")
        if out is None:
            return 0
    page = out or folder / "report.html"
    write_text(page, render(read))
    print(f"Report: {page}")
    for key in answers.unheard(read):
        print(f"No finding of this result is answered by {key!r}.")
    return 0


def compare(
    before: Annotated[Path, typer.Argument(help="Folder of an audit.")],
    after: Annotated[list[Path], typer.Argument(help="Folders of audits of the same texts.")],
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Measurement to rank by besides accuracy; a gap and robustness if none."),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            help="Loss that counts as none, as METRIC=0.02; [compare] declares it before."
        ),
    ] = None,
    lost: Annotated[
        Path | None, typer.Option(help="JSON file for the texts right before and wrong after.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write JSON.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List every measurement.")] = False,
    unlike: Annotated[
        bool, typer.Option("--unlike", help="Compare audits that did not ask the same, too.")
    ] = False,
) -> int:
    """Compare audits with the first, paired where texts match; say which none beats."""
    from functools import partial

    from audit import versus
    from audit.files import write_text
    from audit.showing import lost_json, margins_of, side_by_side
    from audit.standing import standing

    found = standing(
        [before, *after], objective or (), margins=margins_of(margin or ()), like=not unlike
    )
    print(side_by_side(found, whole=every))
    for path, make, word in (
        (lost, lost_json, "Texts lost"),
        (html, versus.to_html, "Page"),
        (
            html and html.with_suffix(".zh.html"),
            partial(versus.to_html, language="zh"),
            "In Chinese",
        ),
        (json, versus.to_json, "JSON"),
    ):
        if path is not None:
            write_text(path, make(found))
            print(f"{word}: {path}")
    return 0


def probes(name: Annotated[str | None, typer.Argument(help="One probe.")] = None) -> int:
    """List the probes, or show one probe's question, settings and source."""
    from audit import catalogue, console

    if name is None:
        for known in sorted(catalogue.names()):
            print(f"{known:14} {console.question(known)}")
    else:
        print(console.described(name))
    return 0


def recipes(name: Annotated[str | None, typer.Argument(help="One recipe.")] = None) -> int:
    """List the recipes of a retrain, or show one recipe's card and settings."""
    from audit import showing

    print(showing.recipes() if name is None else showing.recipe(name))
    return 0


def doctor() -> int:
    """Say what is installed, and what to do about what is not."""
    from audit import console

    print(console.installed())
    return 0

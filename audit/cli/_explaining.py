"""Commands that explain single predictions."""

from pathlib import Path
from typing import Annotated

import typer


def explain(
    model: Annotated[str, typer.Argument(help="Folder, hub id, file.py:callable or audit.toml.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; two are set side by side. None: stdin.")
    ] = None,
    second: Annotated[
        str | None, typer.Option(help="Second text, for a model that reads pairs.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Attribution method; integrated gradients if not set.")
    ] = None,
    compare: Annotated[list[str] | None, typer.Option(help="A further method.")] = None,
    favourable: Annotated[
        list[str] | None, typer.Option(help="Label whose score is explained.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Part: attribution, reliability, swaps, flips, similar. All if not set."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with nothing to load.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> int:
    """Say why a model decided so on a text, how far to trust that, and what would change it."""
    import os
    import sys

    from audit import explain, explaining
    from audit.errors import ConfigError
    from audit.files import write_text

    asked = texts or [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not asked:
        raise ConfigError("There is no text to explain.", hint='evenhand explain MODEL "a text"')
    if second is not None and len(asked) != 1:
        raise ConfigError("--second goes with one text.")
    inputs = [(asked[0], second)] if second is not None else asked
    source = explaining.source(model)
    found = explain.explain(
        source.scorer,
        explaining.rule_for(source, inputs, favourable or ()),
        inputs,
        method=method,
        compare=compare or (),
        parts=only or explain.PARTS,
        audit=source.audit,
        seed=seed,
    )
    if html is not None:
        write_text(html, explaining.as_page(found, model))
    if json:
        print(explaining.as_json(found), end="")
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(explaining.as_text(found, colour=colour))
        if html is not None:
            print(f"Page: {html}")
    return 0

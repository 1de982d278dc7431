"""The command that serves the local page."""

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    place: Annotated[
        str, typer.Argument(help="Folder of an audit, audit.toml, or a model's folder or hub id.")
    ],
    favourable: Annotated[
        list[str] | None, typer.Option(help="Label whose score is explained.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> int:
    """Look at audited texts and any new one on a local page: explain, edit, compare, export."""
    from audit import web

    def say(address: str) -> None:
        print(f"Open {address}\nOnly this machine can reach it. Ctrl-C ends the visit.", flush=True)
        if browser:
            import webbrowser

            webbrowser.open(address)

    web.serve(place, base=Path(), favourable=favourable or (), port=port, say=say)
    return 0

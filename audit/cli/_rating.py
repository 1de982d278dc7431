"""The command that asks a human whether adversarial texts still mean what they meant."""

from pathlib import Path
from typing import Annotated

import typer


def rate(
    audit: Annotated[Path, typer.Argument(help="Folder of an audit with attacks.")],
    out: Annotated[
        Path | None, typer.Option(help="CSV file to write successes on, for a human to rate.")
    ] = None,
    ratings: Annotated[
        Path | None, typer.Option(help="The sheet with yes or no under `valid`.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Successes on the sheet, at most.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
) -> int:
    """Write a sheet of adversarial texts to rate, or bring the ratings back into the rates."""
    from audit import showing, validity
    from audit.errors import ConfigError

    if (out is None) == (ratings is None):
        raise ConfigError(
            "`evenhand rate` wants either --out or --ratings.",
            hint="First `--out sheet.csv`; when it is rated, `--ratings sheet.csv`.",
        )
    if out is not None:
        n = validity.sheet(audit, out, most=most, seed=seed)
        print(f"{n} adversarial texts: {out}")
        print("Write yes under `valid` where the altered text still says what the first one said,")
        print(f"no where it does not; then: evenhand rate {audit} --ratings {out}")
    if ratings is not None:
        print(showing.rated(*validity.rated(audit, ratings)))
    return 0

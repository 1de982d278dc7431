"""Commands that judge what is stored."""

from pathlib import Path
from typing import Annotated

import typer


def gate(
    result: Annotated[Path, typer.Argument(help="result.json or the folder of an audit.")],
    audit: Annotated[
        Path | None, typer.Option(help="Judge by the gates of this audit file instead.")
    ] = None,
    waivers: Annotated[Path | None, typer.Option(help="Waivers file, instead of its own.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Baseline to hold the same texts against.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write SARIF 2.1.0.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a pull-request comment.")] = None,
    gitlab: Annotated[Path | None, typer.Option(help="Write GitLab code-quality JSON.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the verdict as JSON.")] = None,
    badge: Annotated[Path | None, typer.Option(help="Write a badge as SVG.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print annotations, fill $GITHUB_STEP_SUMMARY.")
    ] = False,
    at: Annotated[
        str | None, typer.Option(help="Path of the audit file in the repository, for locations.")
    ] = None,
) -> int:
    """Judge a stored result again; the exit code is 1 on a failed gate, 3 on an undecided one."""
    from audit import commands

    judged = commands.rejudged(result, audit, waivers, baseline)
    files = {"junit": junit, "sarif": sarif, "markdown": markdown, "gitlab": gitlab}
    files |= {"json": json, "badge": badge}
    said, code = commands.gated(judged, files, at or str(audit or "audit.toml"), github=github)
    print(said)
    return code


def baseline_save(
    result: Annotated[Path, typer.Argument(help="Folder of an audit.")],
    to: Annotated[Path, typer.Option(help="Folder, or a .zip file.")] = Path("baseline"),
) -> int:
    """Keep an audit, without its texts, for gates with no_worse_than = "baseline"."""
    from audit import baseline, commands

    baseline.save(result, to)
    print(commands.kept(to))
    return 0


def baseline_show(
    path: Annotated[Path, typer.Argument(help="Folder or .zip file.")] = Path("baseline"),
) -> int:
    """Say what a baseline holds."""
    from audit import commands

    print(commands.kept(path))
    return 0


def history(
    folder: Annotated[Path, typer.Argument(help="Folder that holds audits.")],
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write JSON.")] = None,
    tracker: Annotated[
        str | None, typer.Option(help="Log every audit to mlflow or wandb, where installed.")
    ] = None,
) -> int:
    """Show each gate over the stored audits under a folder, with its intervals."""
    from audit import commands

    print(commands.over_time(folder, html, json, tracker))
    return 0

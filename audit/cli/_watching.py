"""Commands that watch a model at work."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def watch(
    audit: Annotated[Path, typer.Argument(help="Audit file: columns, decision, gates, [watch].")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of JSON lines, or folders of *.jsonl; standard input if none."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="File to go on from; watch.json in the audit's folder.")
    ] = None,
    alerts: Annotated[Path | None, typer.Option(help="Append alerts to this file.")] = None,
    webhook: Annotated[str | None, typer.Option(help="Post each alert to this URL.")] = None,
    prometheus: Annotated[
        Path | None, typer.Option(help="Write gauges for Prometheus' file collector.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as the files grow, until stopped.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.01, help="Seconds between looks at them.")] = 5.0,
    replay: Annotated[
        bool, typer.Option("--replay", help="Standard input starts again from its first record.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End with the first alert.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print alerts alone.")] = False,
) -> int:
    """Keep gates over predictions as they come in; the code is 1 where one is or was broken."""
    from audit import config, console, watching
    from audit.watch import Watch

    read = config.read(audit)
    one = Watch(read, state or audit.parent / read.audit.out / "watch.json")
    sinks = watching.Sinks(
        say=lambda line: print(line, flush=True),
        alerts=alerts,
        webhook=webhook,
        gauges=prometheus,
    )
    raised = watching.run(
        one,
        sources or (),
        sinks,
        stdin=sys.stdin.buffer,
        follow=follow,
        every=every,
        replay=replay,
        stop=stop,
    )
    if not quiet:
        print(console.plain(watching.summary(one)), file=sys.stderr)
    return 1 if raised or one.broken() else 0

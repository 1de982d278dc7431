"""The command line. It reads, calls one function, writes; it computes nothing."""

import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from audit.errors import AuditError

COULD_NOT_RUN = 2
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Audit a text classifier: every number with its interval, every verdict three-way.",
)
keep = typer.Typer(no_args_is_help=True, help="Keep and show an audit to compare with.")
app.add_typer(keep, name="baseline")
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing while working.")]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    1 comes from gates alone; 2 is bad input, an interrupt or a bug; 3 an undecided gate.
    """
    handlers = {name: signal.signal(name, _stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = app(argv, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except AuditError as problem:
        _complain(problem, problem.hint)
    except Stopped:
        _complain("Interrupted.", "Finished work is kept: the same command goes on from here.")
    except OSError as problem:
        from audit.files import cannot_write

        error = cannot_write(Path(problem.filename or "the output"), problem)
        _complain(error, error.hint)
    except Exception as problem:
        return _unexpected(problem)
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
    return COULD_NOT_RUN


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to work in.")] = Path("evenhand-demo"),
    retrain: Annotated[bool, typer.Option(help="Also retrain and compare.")] = True,
    quiet: Quiet = False,
) -> int:
    """Fine-tune a small classifier on a shipped synthetic sample, audit it, retrain it, compare."""
    from audit.console import Display
    from audit.demo import run

    with Display(quiet=quiet) as display:
        said = run(out, with_retrain=retrain, display=display)
    print(said)
    return 0


@app.command()
def init(
    model: Annotated[str, typer.Argument(help="Folder, hub id, or file.py:callable.")],
    data: Annotated[
        str, typer.Argument(help="CSV, TSV, JSONL or Parquet file, or hub:owner/name.")
    ],
    out: Annotated[Path, typer.Option(help="Where to write the audit file.")] = Path("audit.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite it.")] = False,
) -> int:
    """Look at a model and a data file and write a commented audit file."""
    from audit.errors import ConfigError
    from audit.files import write_text
    from audit.setup import audit_file

    if out.exists() and not force:
        raise ConfigError(
            f"{out} exists already.", hint="Choose another name with --out, or --force."
        )
    write_text(out, audit_file(model, data, out.parent))
    print(f"{out} is written. Read it, then: evenhand plan {out}")
    return 0


@app.command()
def plan(
    audit: Annotated[Path, typer.Argument(help="Audit file.")],
    mde: Annotated[
        float | None, typer.Option(help="Effect that ought to be seen: how many texts it takes.")
    ] = None,
) -> int:
    """Say what would run, what it would cost, and the smallest effect each probe could detect."""
    from audit import config, console, planning
    from audit.errors import ConfigError

    if mde is not None and not 0 < mde < 1:
        raise ConfigError(f"--mde must lie between 0 and 1, got {mde:g}.", hint="For example 0.05.")
    read = config.read(audit)
    prepared = planning.prepare(read, base=audit.parent, audit_file=audit.read_text("utf-8"))
    rate, said = planning.speed(prepared, audit.parent / read.audit.out)
    print(console.planned(prepared.plan, len(prepared.test.examples), rate, said, mde))
    return 0


@app.command()
def run(
    audit: Annotated[Path, typer.Argument(help="Audit file.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the audit.")] = None,
    quiet: Quiet = False,
) -> int:
    """Run an audit into a folder, or finish one that was interrupted there."""
    from audit import config, console, judging, runner
    from audit.files import write_text
    from audit.report import render

    read = config.read(audit)
    folder = out or audit.parent / read.audit.out
    with console.Display(quiet=quiet) as display:
        result = runner.run(
            read,
            folder,
            base=audit.parent,
            audit_file=audit.read_text("utf-8"),
            progress=display,
        )
    write_text(folder / "report.html", render(result))
    print(console.verdicts(result))
    print(console.summary(result))
    print(f"Report: {folder / 'report.html'}")
    return judging.exit_code(result)


@app.command()
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


@keep.command("save")
def baseline_save(
    result: Annotated[Path, typer.Argument(help="Folder of an audit.")],
    to: Annotated[Path, typer.Option(help="Folder, or a .zip file.")] = Path("baseline"),
) -> int:
    """Keep an audit, without its texts, for gates with no_worse_than = "baseline"."""
    from audit import baseline, commands

    baseline.save(result, to)
    print(commands.kept(to))
    return 0


@keep.command("show")
def baseline_show(
    path: Annotated[Path, typer.Argument(help="Folder or .zip file.")] = Path("baseline"),
) -> int:
    """Say what a baseline holds."""
    from audit import commands

    print(commands.kept(path))
    return 0


@app.command()
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


@app.command()
def report(
    result: Annotated[Path, typer.Argument(help="result.json or the folder of an audit.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the page.")] = None,
) -> int:
    """Render a stored result as one HTML page. No model is loaded."""
    from audit import store
    from audit.files import write_text
    from audit.report import render

    read = store.read(result)
    folder = result if result.is_dir() else result.parent
    page = out or folder / "report.html"
    write_text(page, render(read))
    print(f"Report: {page}")
    return 0


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Training texts: CSV, TSV, JSONL or Parquet.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    dev: Annotated[Path | None, typer.Option(help="Texts for early stopping.")] = None,
    text: Annotated[str, typer.Option(help="Column with the text.")] = "text",
    label: Annotated[str, typer.Option(help="Column with the label.")] = "label",
    encoder: Annotated[str, typer.Option(help="Folder, hub id, or 'packaged'.")] = "packaged",
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    learning_rate: Annotated[float, typer.Option()] = 2e-4,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    max_length: Annotated[int, typer.Option(min=8)] = 128,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings; more than one: an ensemble.")] = 1,
    method: Annotated[str, typer.Option(help="full, lora, ia3 or prompt.")] = "full",
    accumulate: Annotated[int, typer.Option(min=1, help="Batches that make one step.")] = 1,
    class_weights: Annotated[str, typer.Option(help="none or balanced.")] = "none",
    label_smoothing: Annotated[float, typer.Option()] = 0.0,
    dropout: Annotated[float | None, typer.Option(help="The encoder's own if not set.")] = None,
    precision: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")] = "auto",
    report_to: Annotated[
        list[str] | None, typer.Option(help="Experiment tracker of transformers; none if not set.")
    ] = None,
    lr_sweep: Annotated[
        bool, typer.Option(help="Try three learning rates, keep the best.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Read only so many training texts.")] = None,
    quiet: Quiet = False,
) -> int:
    """Fine-tune an encoder on a table of texts and labels."""
    from audit.console import Display
    from audit.setup import train_from_files

    with Display(quiet=quiet) as display:
        said = train_from_files(
            data,
            dev,
            out,
            text=text,
            label=label,
            limit=limit,
            settings={
                "encoder": encoder,
                "epochs": epochs,
                "learning_rate": learning_rate,
                "batch_size": batch_size,
                "max_length": max_length,
                "seed": seed,
                "seeds": seeds,
                "method": method,
                "accumulate": accumulate,
                "class_weights": class_weights,
                "label_smoothing": label_smoothing,
                "dropout": dropout,
                "precision": precision,
                "report_to": report_to or [],
            },
            lr_sweep=lr_sweep,
            on_progress=display.training,
        )
    print(said)
    return 0


@app.command()
def retrain(
    audit: Annotated[Path, typer.Argument(help="Audit file with [train] and a train corpus.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the stages.")] = None,
    quiet: Quiet = False,
) -> int:
    """Augment what failed, train again, audit again on the same texts, compare."""
    from audit import config, console
    from audit.files import write_text
    from audit.report import render
    from audit.retrain import retrain as work

    read = config.read(audit)
    folder = out or audit.parent / f"{read.audit.out}-retrain"
    with console.Display(quiet=quiet) as display:
        result = work(read, folder, base=audit.parent, display=display)
    write_text(folder / "report.html", render(result))
    print(console.verdicts(result))
    for sentence in result.comparison.words if result.comparison else ():
        print(console.plain(sentence))
    print(f"Report: {folder / 'report.html'}")
    return 0


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="Folder of an audit.")],
    after: Annotated[list[Path], typer.Argument(help="Folders of audits of the same texts.")],
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Measurement to rank by besides accuracy; a gap and robustness if none."),
    ] = None,
    lost: Annotated[
        Path | None, typer.Option(help="JSON file for the texts right before and wrong after.")
    ] = None,
) -> int:
    """Compare audits with the first, paired where texts match; say which none beats."""
    from audit.files import write_text
    from audit.showing import lost_json, side_by_side
    from audit.standing import standing

    found = standing([before, *after], objective or ())
    print(side_by_side(found))
    if lost is not None:
        write_text(lost, lost_json(found))
        print(f"Texts lost: {lost}")
    return 0


@app.command()
def probes(name: Annotated[str | None, typer.Argument(help="One probe.")] = None) -> int:
    """List the probes, or show one probe's question, settings and source."""
    from audit import catalogue, console

    if name is None:
        for known in sorted(catalogue.names()):
            print(f"{known:14} {console.question(known)}")
    else:
        print(console.described(name))
    return 0


@app.command()
def doctor() -> int:
    """Say what is installed, and what to do about what is not."""
    from audit import console

    print(console.installed())
    return 0


class Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which the parser below would end with code 130."""


def _stop(*_: object) -> None:
    raise Stopped


def _complain(problem: object, hint: str) -> None:
    from audit.console import plain

    print(f"error: {plain(problem)}", file=sys.stderr)
    if hint:
        print(f"hint: {plain(hint)}", file=sys.stderr)


def _unexpected(problem: Exception) -> int:
    show = getattr(problem, "show", None)
    if show is not None:
        # A usage error of the command line itself.
        show(file=sys.stderr)
        return COULD_NOT_RUN
    if type(problem).__name__ == "Exit":
        return int(getattr(problem, "exit_code", COULD_NOT_RUN))
    if type(problem).__name__ == "Abort":
        return COULD_NOT_RUN
    traceback.print_exc()
    print("error: This is a bug in evenhand; the lines above say where.", file=sys.stderr)
    return COULD_NOT_RUN


def entry() -> None:
    """Start from a shell."""
    # No model is ever fetched behind the user's back while tokenising in worker processes.
    sys.exit(main())


if __name__ == "__main__":
    entry()

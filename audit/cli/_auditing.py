"""Commands that run a model: audit it, train it, repair it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.config import AuditConfig

Deep = Annotated[
    bool, typer.Option("--deep", help="Also run the certificate, whatever the file says: slow.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing while working.")]


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


def plan(
    audit: Annotated[Path, typer.Argument(help="Audit file.")],
    mde: Annotated[
        float | None, typer.Option(help="Effect that ought to be seen: how many texts it takes.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Show how it would be run, as `run --budget` does.")
    ] = None,
    discordance: Annotated[
        float, typer.Option(help="Share of texts on which two releases are taken to differ.")
    ] = 0.10,
    deep: Deep = False,
) -> int:
    """Say what would run, what it would cost, and the smallest effect each probe could detect."""
    from audit import console, planning, prospects, reading
    from audit.errors import ConfigError

    if mde is not None and not 0 < mde < 1:
        raise ConfigError(f"--mde must lie between 0 and 1, got {mde:g}.", hint="For example 0.05.")
    if not 0 < discordance <= 1:
        raise ConfigError(f"--discordance must lie between 0 and 1, got {discordance:g}.")
    cap = reading.parse(budget) if budget is not None else None
    read, text = _read(audit, deep)
    prepared = planning.prepare(read, base=audit.parent, audit_file=text, budget=str(cap or ""))
    rate, said = planning.speed(prepared, audit.parent / read.audit.out)
    texts = len(prepared.test.examples)
    print(console.planned(prepared.plan, texts, rate, said, mde))
    chances = prospects.prospects(prepared, discordance=discordance, budget=cap is not None)
    print(console.prospected(chances, discordance, budget=cap is not None))
    if cap is not None:
        order = reading.reading_order(prepared.test, prepared.plan.seed)
        print(console.paced(reading.paces(prepared, order), prepared.plan, texts, cap))
    return 0


def run(
    audit: Annotated[Path, typer.Argument(help="Audit file.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the audit.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Most it may cost, e.g. 10m or 20000-calls; stops early.")
    ] = None,
    deep: Deep = False,
    quiet: Quiet = False,
) -> int:
    """Run an audit into a folder, or finish one that was interrupted there."""
    from audit import console, judging, reading, runner
    from audit.files import write_text
    from audit.report import render

    read, text = _read(audit, deep)
    folder = out or audit.parent / read.audit.out
    with console.Display(quiet=quiet) as display:
        result = runner.run(
            read,
            folder,
            base=audit.parent,
            audit_file=text,
            progress=display,
            budget=reading.parse(budget) if budget is not None else None,
        )
    write_text(folder / "report.html", render(result))
    print(console.verdicts(result))
    print(console.summary(result))
    print(f"Report: {folder / 'report.html'}")
    return judging.exit_code(result)


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
    method: Annotated[
        str, typer.Option(help="full, lora, adalora, ia3, prompt or prefix.")
    ] = "full",
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
    keep_epochs: Annotated[
        bool, typer.Option("--keep-epochs", help="Keep every epoch's model, to audit them.")
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
                "keep_epochs": keep_epochs,
            },
            lr_sweep=lr_sweep,
            on_progress=display.training,
        )
    print(said)
    return 0


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
    found = result.comparison
    for sentence in (*found.words, *found.advice) if found else ():
        print(console.plain(sentence))
    print(f"Report: {folder / 'report.html'}")
    return 0


def parity(
    audit: Annotated[Path, typer.Argument(help="Audit file.")],
    copy: Annotated[
        str,
        typer.Option(help="int8, pruned:0.3, int8+pruned:0.3, onnx, or the path of another model."),
    ] = "int8",
    margin: Annotated[
        float, typer.Option(help="Move of a rate or gap that still counts as none.")
    ] = 0.02,
    out: Annotated[Path | None, typer.Option(help="Folder of the model's own audit.")] = None,
    quiet: Quiet = False,
) -> int:
    """Audit a compressed or exported copy beside the model: does it move the groups apart?"""
    from audit import config, console
    from audit.parity import parity as work
    from audit.showing import parity_table

    read = config.read(audit)
    with console.Display(quiet=quiet) as display:
        found = work(
            read,
            out or audit.parent / read.audit.out,
            base=audit.parent,
            copy=copy,
            margin=margin,
            audit_file=audit.read_text("utf-8"),
            progress=display,
        )
    print(parity_table(found))
    print(f"Audits: {found.folders[0]}, {found.folders[1]}")
    return 0


def epochs(
    audit: Annotated[Path, typer.Argument(help="Audit file.")],
    checkpoints: Annotated[
        list[Path], typer.Argument(help="Folders of models, or the one that holds them.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the audits.")] = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="Measurement to follow besides accuracy.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Where to write the page.")] = None,
    quiet: Quiet = False,
) -> int:
    """Audit the checkpoints of one training: accuracy and a gap against the epoch."""
    from audit import config, console, versus
    from audit.epochs import epochs as work
    from audit.files import write_text
    from audit.showing import by_epoch

    read = config.read(audit)
    folder = out or audit.parent / f"{read.audit.out}-epochs"
    with console.Display(quiet=quiet) as display:
        found = work(
            read,
            checkpoints,
            folder,
            base=audit.parent,
            objectives=objective or (),
            progress=display,
        )
    page = html or folder / "epochs.html"
    other = page.with_suffix(".zh.html")
    write_text(page, versus.to_html(found, ordered=True))
    write_text(other, versus.to_html(found, "zh", ordered=True))
    print(by_epoch(found))
    print(f"Pages: {page}, {other}")
    return 0


def _read(audit: Path, deep: bool) -> tuple["AuditConfig", str]:
    """Read an audit file; return it with its text, as they are run."""
    from audit import config

    read, text = config.read(audit), audit.read_text("utf-8")
    if not deep:
        return read, text
    text = config.deepened(text, audit.name)
    return config.reads(text, audit.name, audit.parent), text

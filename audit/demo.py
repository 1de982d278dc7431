"""The whole job on what is installed: a synthetic sample, a model, an audit, a retrain, a page."""

import shutil
from pathlib import Path
from time import perf_counter

from audit import config, runner, sample, training
from audit.console import Display, summary, verdicts
from audit.errors import AuditError
from audit.files import write_text
from audit.report import render
from audit.resources import Resources
from audit.shipped import shipped

SIZES: dict[sample.Stream, int] = {"train": 1200, "dev": 250, "test": 700}
SEED = 7


def run(out: Path, *, with_retrain: bool, display: Display) -> str:
    """Do the whole job in the folder `out` and return what to print.

    Args:
        out: Folder for the sample, the model, the audits and the page. What an earlier run finished
            there is not done again.
        with_retrain: Also augment, train again, audit again and compare.
        display: Who is told how far it is.

    Raises:
        Unsupported: If the packaged encoder is not installed.
        AuditError: If the folder cannot be written.
    """
    clock = perf_counter()
    encoder = Resources().encoder()
    out.mkdir(parents=True, exist_ok=True)
    corpora = {}
    for name, n in SIZES.items():
        corpora[name] = sample.generate(SEED, n, stream_name=name)
        sample.write(corpora[name], out / f"{name}.csv")
    audit_file = out / "audit.toml"
    write_text(audit_file, (shipped("datasets") / "applicants" / "audit.toml").read_text("utf-8"))
    read = config.read(audit_file)
    display.say(f"Fine-tuning the packaged encoder on {SIZES['train']:,} synthetic applicants …")
    folder = out / "model"

    def train() -> training.Trained:
        return training.train(
            read.train,
            corpora["train"],
            corpora["dev"],
            folder,
            encoder=encoder,
            on_progress=display.training,
        )

    try:
        trained = train()
    except AuditError:
        if not (folder / "training.json").exists():
            raise
        # Left by another version of the demo, whose texts or settings were others.
        shutil.rmtree(folder)
        trained = train()
    display.say(f"Dev macro-F1 {trained.dev['macro_f1']:.3f}. Auditing …")
    if with_retrain:
        from audit.retrain import retrain

        result = retrain(
            read,
            out / "audit",
            base=out,
            display=display,
            audit_file=audit_file.read_text("utf-8"),
        )
    else:
        result = runner.run(
            read,
            out / "audit",
            base=out,
            audit_file=audit_file.read_text("utf-8"),
            progress=display,
        )
    page = out / "report.html"
    write_text(page, render(result))
    words = result.comparison.words if result.comparison else ()
    return "\n".join(
        [
            verdicts(result),
            summary(result),
            *words,
            f"The whole job took {perf_counter() - clock:.0f} s.",
            "The sample is synthetic and faults were planted in it: docs/demo.md says which.",
            f"Report: {page}",
        ]
    )

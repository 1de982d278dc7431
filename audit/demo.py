"""The whole job on what is installed: a synthetic sample, a model, an audit, a retrain, a page."""

import re
import shutil
from pathlib import Path
from time import perf_counter

from audit import config, runner, sample, training
from audit.console import Display, estimate, plain, summary, table, verdicts
from audit.errors import AuditError
from audit.files import write_text
from audit.report import render
from audit.resources import Resources
from audit.shipped import shipped
from audit.types import Absent, AuditResult, Estimate

SIZES: dict[sample.Stream, int] = {"train": 1200, "dev": 250, "test": 700}
SEED = 7
PLANTED = {
    "a women's organisation costs": "swaps.favourable_gap[axis=gender,pair=female-male]",
    "names of the group black cost": "swaps.favourable_gap[axis=names_race,pair=white-black]",
    "few decisive words": "typos.flip_rate",
}
"""What the sample's generator planted, and the measurement that ought to show it most."""
_TOUCHED = re.compile(r"[=-]black[-,\]]")
"""Measurements that the fault in names moves besides."""


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
    display.say(
        "Four to five minutes on two cores, without a network. What is finished is kept in "
        f"{out}: after an interrupt the same command goes on."
    )
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
            "",
            told(result),
            "",
            f"The whole job took {perf_counter() - clock:.0f} s.",
            "The sample is synthetic: docs/demo.md says what was planted, and how.",
            f"Report: {page}",
        ]
    )


def told(result: AuditResult) -> str:
    """Return each planted fault beside what the audit measured of it, and what else failed."""
    status = {v.claim.measurement: v.status for v in result.verdicts if v.status == "fail"}
    measured = {m.id: m.value for run in result.runs for m in run.measurements}
    changes = {c.measurement: c for c in result.comparison.changes} if result.comparison else {}
    rows = []
    for fault, name in PLANTED.items():
        row = [fault, name.partition("[")[0], status.get(name, "no failure").upper()]
        row += [_short(measured[name])] if name in measured else ["-"]
        if name in changes:
            row += [_short(changes[name].after), _short(changes[name].difference)]
            row += [changes[name].verdict]
        elif changes:
            row += ["-", "-", "-"]
        rows.append(row)
    head = ["planted", "measured as", "verdict", "value [95 % interval]"]
    head += ["after the retrain", "change", ""] if changes else []
    others = [
        v
        for v in result.verdicts
        if v.claim.measurement not in PLANTED.values() and not _TOUCHED.search(v.claim.measurement)
    ]
    failed = [v.claim.id for v in others if v.status == "fail"]
    rest = f"Of {len(others)} claims about what was not planted, {len(failed)} fail"
    return "\n".join(
        [table(head, rows), rest + (f": {plain(', '.join(failed))}." if failed else ".")]
    )


def _short(value: Estimate | Absent) -> str:
    # Level and n are the column's and the page's.
    return estimate(value).partition("],")[0] + ("]" if isinstance(value, Estimate) else "")

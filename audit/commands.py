"""What the longer commands of the command line do; they return what is said and the exit code."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audit import baseline as yardstick
from audit import config, console, exports, history, judging, store, trackers
from audit import waivers as known
from audit.errors import ResultError
from audit.files import write_text
from audit.types import AuditResult
from audit.weighing import origin


def rejudged(
    result: Path, audit: Path | None, waivers: Path | None, baseline: Path | None
) -> AuditResult:
    """Judge a stored result again, from its own numbers.

    Args:
        result: ``result.json`` or the folder of an audit.
        audit: Audit file whose gates, waivers and baseline hold instead of the result's own.
        waivers: Waivers file that holds instead.
        baseline: Baseline to hold the same texts against; it needs the folder of the audit.
    """
    read = store.read(result)
    if audit is not None:
        wanted = config.read(audit)
        read = judging.with_gates(read, wanted)
        file, path = wanted.waivers.file, wanted.baseline.path
        waivers = waivers or (config.place(file, audit.parent) if file else None)
        baseline = baseline or (config.place(path, audit.parent) if path else None)
    if waivers is not None:
        read = replace(read, waivers=known.read(waivers))
    asked = any(c.against == "baseline" for c in read.plan.claims)
    if asked and baseline is not None:
        held = yardstick.load(baseline)
        if held is None:
            raise ResultError(
                f"There is no baseline at {baseline}.", hint="`evenhand baseline save` makes one."
            )
        folder = result if result.is_dir() else result.parent
        tables = store.read_table(folder, store.UNITS), store.read_table(folder, store.CASES)
        told = store.read_influences(folder)
        read = yardstick.held_against(read, held, *tables, told)
    elif asked and not any(run.probe == yardstick.PROBE for run in read.runs):
        read = yardstick.held_against(read, None, {}, {})
    return judging.judged(read)


def kept(path: Path) -> str:
    """Return what a baseline holds, for the terminal."""
    held = yardstick.load(path)
    if held is None:
        raise ResultError(
            f"There is no baseline at {path}.", hint="`evenhand baseline save` makes one."
        )
    result = held.result
    gated = {origin(claim) for claim in result.plan.claims}
    rows = [
        (m.id, console.estimate(m.value))
        for run in result.runs
        for m in run.measurements
        if m.id in gated
    ]
    test = next((c for c in result.provenance.corpora if c.name == "test"), None)
    about = [
        ("model", f"{result.provenance.model_name} ({result.provenance.model[:16]})"),
        ("audited", result.telemetry.finished or "-"),
        ("texts", f"{test.texts:,} ({test.sha256[:16]})" if test else "-"),
        ("plan", result.plan.digest[:16]),
        ("result", store.digest(result)[:16]),
    ]
    said = console.table(("baseline", str(path)), about)
    return f"{said}\n\n{console.table(('measurement', 'value'), rows)}" if rows else said


def over_time(folder: Path, html: Path | None, json: Path | None, tracker: str | None) -> str:
    """Return the gates over the audits under `folder`, and write what was asked for."""
    found = history.collect(folder)
    rows = [
        (
            s.measurement,
            s.side.replace("_", " "),
            len(s.points),
            console.estimate(p.estimate) if (p := s.points[-1]).estimate else "no number",
            " ".join(point.status for point in s.points[-5:]),
        )
        for s in found.series
    ]
    head = ("gate", "side", "audits", "last number", "last verdicts")
    said = [f"{len(found.audits)} audits, oldest first.", "", console.table(head, rows)]
    said += [console.plain(one) for one in found.unread]
    for path, make in ((html, history.to_html), (json, history.to_json)):
        if path is not None:
            write_text(path, make(found))
            said.append(console.plain(path))
    if tracker is not None:
        said.append(trackers.log(found, tracker))
    return "\n".join(said)


def gated(
    result: AuditResult, files: Mapping[str, Path | None], at: str, *, github: bool
) -> tuple[str, int]:
    """Write a judged result in the forms asked for and return what the terminal gets.

    Args:
        result: Judged.
        files: Format to the file it goes to, see `exports.write`.
        at: Where the audit file stands in the repository.
        github: Say it to GitHub too: annotations among what is returned, and the step summary
            appended to the file that ``GITHUB_STEP_SUMMARY`` names, where it names one.
    """
    export = exports.write(result, files, audit_path=at)
    said = [console.verdicts(result), console.summary(result)]
    said += [console.plain(f"{name}: {path}") for name, path in files.items() if path is not None]
    text = "\n".join(said)
    if github:
        text = exports.quiet_commands(text, f"evenhand-{secrets.token_hex(16)}")
        text += "\n" + exports.annotations(export)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(exports.summary(export) + "\n")
    return text, export.code

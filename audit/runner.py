"""The audit itself: corpus and model in, result out."""

import json
import os
import platform
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from audit import baseline, budgeted, evidence, judging, provenance, responses, store, waivers
from audit.bench import Bench, Probe
from audit.borders import read_plain, write_json
from audit.cache import DiskCache
from audit.checkpoint import file_digest
from audit.classifier import Classifier
from audit.config import AuditConfig, place
from audit.decision import Decided, decide
from audit.errors import AuditError, ResultError, Unsupported
from audit.files import locked
from audit.journal import Journal
from audit.labels import check_permutation
from audit.planning import Prepared, digest_of, prepare, unit_key
from audit.progress import Progress, Silent
from audit.reading import Budget
from audit.types import (
    AuditResult,
    Case,
    Cases,
    Corpus,
    CorpusInfo,
    Influence,
    Measurement,
    PlannedProbe,
    ProbeCost,
    ProbeRun,
    Provenance,
    Skip,
    Telemetry,
)


def run(
    config: AuditConfig,
    out: Path,
    *,
    base: Path = Path(),
    audit_file: str = "",
    progress: Progress | None = None,
    classifier: Classifier | None = None,
    corpora: Mapping[str, Corpus] | None = None,
    hold: bool = True,
    budget: Budget | None = None,
) -> AuditResult:
    """Run an audit into the folder `out`, or finish one that was interrupted there.

    A finished probe is taken from the journal when nothing that moves its facts has changed, so
    that resuming and re-gating are the same act. A probe that fails is recorded and the audit goes
    on: one broken probe must not cost a night of results, and must not look like a clean bill of
    health either.

    Args:
        config: The audit file, read.
        out: Folder of the audit, made if missing.
        base: Folder that relative paths in `config` start from.
        audit_file: The file's text as run.
        progress: Who is told how far it is.
        classifier: A classifier in memory, instead of ``[model]``.
        corpora: Corpora in memory, instead of ``[corpora]``.
        hold: Lock `out` against other processes.
        budget: What the audit may cost; it then stops when its verdicts are settled, see
            `audit.budgeted`. Without one all texts are read.

    Raises:
        AuditError: If the audit cannot be run as written, the model cannot score, or the disk is
            full. An earlier result in `out` is then as it was.
    """
    clock, started = perf_counter(), _now()
    progress = progress or Silent()
    # Read first: a typo in it must not cost the night either.
    waived = waivers.read(place(config.waivers.file, base)) if config.waivers.file else ()
    with locked(out) if hold else nullcontext():
        journal = Journal(out)
        cache = DiskCache(
            base / config.audit.cache if config.audit.cache else out / "cache" / "scores.db"
        )
        try:
            prepared = prepare(
                config,
                base=base,
                audit_file=audit_file,
                memory=cache,
                journal=journal,
                classifier=classifier,
                corpora=corpora,
                budget=str(budget or ""),
            )
            # Before the night, too: a baseline that asked another question.
            held = (
                baseline.load(place(config.baseline.path, base)) if config.baseline.path else None
            )
            if held is not None:
                texts = {name: c.sha256 for name, c in prepared.corpora.items()}
                baseline.refuse_unlike(held, prepared.plan, texts)
            prepared.scorer.on_scored = progress.scored
            progress.planned(
                [(p.probe, p.queries) for p in prepared.plan.probes], len(prepared.test.examples)
            )
            if budget is None:
                machine, units = _units(prepared, journal, out)
                runs, costs, parts = _all(prepared, journal, out, progress)
            else:
                bought = _within(budget, prepared, journal, out, progress, held, clock)
                runs, costs, parts = bought.runs, bought.costs, bought.parts
                machine, units = _units(bought.read, journal, out)
        finally:
            cache.close()
        result = AuditResult(
            plan=prepared.plan,
            provenance=_provenance(prepared, machine),
            runs=prepared.told(runs, parts),
            verdicts=(),
            waivers=waived,
            telemetry=Telemetry(
                started=started,
                finished=_now(),
                host=platform.node(),
                seconds=round(perf_counter() - clock, 3),
                probes=costs,
            ),
        )
        shutil.copyfile(units, out / f".{store.UNITS}")
        os.replace(out / f".{store.UNITS}", out / store.UNITS)
        if any(c.against == "baseline" for c in result.plan.claims):
            told = store.joined([store.influence_part(part) for part in parts])
            tables = store.read_table(out, store.UNITS), store.joined(parts), told
            result = baseline.held_against(result, held, *tables)
        return store.write(out, judging.judged(result), parts)


def _all(
    prepared: Prepared, journal: Journal, out: Path, progress: Progress
) -> tuple[tuple[ProbeRun, ...], tuple[ProbeCost, ...], tuple[Path, ...]]:
    runs, costs, parts = [], [], []
    for i in range(len(prepared.probes)):
        one, cost, part = _one(i, prepared, journal, out, progress)
        runs.append(one)
        costs.append(cost)
        parts += [part] if part else []
    return tuple(runs), tuple(costs), tuple(parts)


def _within(
    budget: Budget,
    prepared: Prepared,
    journal: Journal,
    out: Path,
    progress: Progress,
    held: baseline.Baseline | None,
    clock: float,
) -> budgeted.Spent:
    def ask(i: int, part: Prepared) -> tuple[ProbeRun, ProbeCost, Path | None]:
        return _one(i, part, journal, out, progress)

    def worse(
        part: Prepared, runs: Sequence[ProbeRun], ids: Sequence[str], cases: Path | None
    ) -> tuple[Measurement, ...]:
        if held is None:
            return ()
        examples = part.test.examples
        scores = part.scorer([e.input for e in examples])
        units = store.unit_columns(part.test, part.decision, scores, decide(part.decision, scores))
        parts = [cases] if cases else []
        told = store.joined([store.influence_part(path) for path in parts])
        return baseline.worsenings(held, runs, ids, units, store.joined(parts), told)

    return budgeted.spend(prepared, budget, ask, worse if held else None, began=clock)


def _units(prepared: Prepared, journal: Journal, out: Path) -> tuple[Mapping[str, Any], Path]:
    """Score the audited texts themselves, once; return the machine they were scored on."""
    key = digest_of(
        "units",
        prepared.identity.fingerprint,
        prepared.read["test"],
        repr(prepared.decision),
    )
    path = out / "parts" / f"units-{key[:24]}.parquet"
    kept = journal.get("units", key)
    if kept and path.exists() and file_digest(path) == kept["sha256"]:
        return cast("Mapping[str, Any]", kept), path
    examples = prepared.test.examples
    texts = [e.input for e in examples]
    scores = prepared.scorer(texts)
    decided = decide(prepared.decision, scores)
    _refuse_permuted_labels(prepared, decided)
    store.write_units(path, prepared.test, prepared.decision, scores, decided)
    # Looked at only where texts were scored: an empty corpus needs no weights.
    inside = prepared.scorer.classifier if texts else None
    device, dtype = getattr(inside, "device", ""), getattr(inside, "dtype", "")
    data = {
        **provenance.machine(str(device), str(dtype), _threads() if device else 0),
        "truncated": int(prepared.scorer.truncated(texts).sum()) if texts else 0,
        "sha256": file_digest(path),
    }
    journal.add("units", key, data)
    return data, path


def _refuse_permuted_labels(prepared: Prepared, decided: Decided) -> None:
    spec = prepared.config.corpora.get("test")
    if prepared.identity.head == "multi" or (spec is not None and not spec.check_labels):
        return
    known = [i for i, e in enumerate(prepared.test.examples) if isinstance(e.label, str)]
    if not known:
        return
    labels = prepared.identity.labels
    problem = check_permutation(
        [str(prepared.test.examples[i].label) for i in known],
        [labels[int(decided.label[i])] for i in known],
        labels,
    )
    if problem is not None:
        raise problem


def _one(
    i: int, prepared: Prepared, journal: Journal, out: Path, progress: Progress
) -> tuple[ProbeRun, ProbeCost, Path | None]:
    """Run a probe, or take it from the journal, and say so."""
    probe = prepared.probes[i]
    progress.began(i, probe.name)
    one, cost, part = _run_or_kept(i, probe, prepared, journal, out, progress)
    how = "kept" if cost.from_journal else "done"
    progress.ended(i, probe.name, "error" if one.error else "not run" if one.not_run else how)
    return one, cost, part


def _run_or_kept(
    i: int, probe: Probe, prepared: Prepared, journal: Journal, out: Path, progress: Progress
) -> tuple[ProbeRun, ProbeCost, Path | None]:
    planned, bench = prepared.plan.probes[i], prepared.benches[i]
    if planned.not_run:
        return _not_run(planned, planned.not_run, planned.not_run_hint), _no_cost(probe), None
    key = unit_key(probe, prepared)
    part = out / "parts" / f"cases-{key[:24]}.parquet"
    kept = journal.get("unit", key)
    if kept is not None and _there(part, kept):
        try:
            one = read_plain(ProbeRun, kept["run"], error=ResultError, at="journal")
            return one, replace(_no_cost(probe), from_journal=True), part
        except ResultError:
            # Written by another version of the types: the probe runs again.
            pass
    bench = replace(bench, progress=lambda done, total: progress.units(i, done, total))
    scorer, clock = prepared.scorer, perf_counter()
    queries, forwards = scorer.queries, scorer.forwards
    one, cases, influences = _facts(probe, bench, planned)
    cost = ProbeCost(
        probe=probe.name,
        queries=scorer.queries - queries,
        forwards=scorer.forwards - forwards,
        seconds=round(perf_counter() - clock, 3),
    )
    if one.not_run:
        return one, cost, None
    total = store.write_cases(part, cases)
    beside = store.influence_part(part)
    store.write_influences(beside, influences)
    shown, lost = _explained(store.shown(cases, prepared.plan.seed), probe, prepared)
    one = replace(
        one,
        cases=shown,
        skips=(*one.skips, *lost),
        cases_total=total,
        cases_sha256=file_digest(part),
    )
    if not one.error:
        # A crash is not kept: the next run tries again.
        data = {"run": _plain(one), "part": one.cases_sha256, "influence": file_digest(beside)}
        journal.add("unit", key, data)
    return one, cost, part


def _explained(
    cases: tuple[Case, ...], probe: Probe, prepared: Prepared
) -> tuple[tuple[Case, ...], tuple[Skip, ...]]:
    """Attribute the failing cases that are shown; what cannot be attributed costs no finding."""
    most = prepared.config.audit.evidence
    if not most or not cases:
        return cases, ()
    pairs = any(e.second is not None for e in prepared.test.examples)
    try:
        found = evidence.explained(
            cases, prepared.scorer, prepared.decision, probe=probe.name, most=most, pairs=pairs
        )
        return found, ()
    except Exception as problem:
        why = f"failing cases without attributions: {type(problem).__name__}"
        return cases, (Skip(reason=why, count=len(cases)),)


def _there(part: Path, kept: Mapping[str, Any]) -> bool:
    """Return whether the tables of a finished probe are the ones that were written."""
    wanted = ((part, "part"), (store.influence_part(part), "influence"))
    return all(path.exists() and file_digest(path) == kept.get(name) for path, name in wanted)


def _facts(
    probe: Probe, bench: Bench, planned: PlannedProbe
) -> tuple[ProbeRun, list[Cases], list[Influence]]:
    measurements: list[Measurement] = []
    skips: list[Skip] = []
    cases: list[Cases] = []
    influences: list[Influence] = []
    error, not_run, hint = "", "", ""
    try:
        # Collected one by one: what a probe said before it failed is still evidence.
        for fact in probe.run(bench):
            if isinstance(fact, Measurement):
                measurements.append(fact)
            elif isinstance(fact, Cases):
                cases.append(fact)
            elif isinstance(fact, Case):
                cases.append(store.as_cases(fact))
            elif isinstance(fact, Influence):
                influences.append(fact)
            elif fact.count:
                skips.append(fact)
    except Unsupported as reason:
        not_run, hint = str(reason), reason.hint
    except AuditError as problem:
        error = f"{problem} {problem.hint}".strip()
    except Exception as bug:
        error = f"{type(bug).__name__}: {bug}"
    if not_run and not measurements:
        return _not_run(planned, not_run, hint), [], []
    return (
        ProbeRun(
            probe=probe.name,
            version=probe.version,
            params=planned.params,
            measurements=tuple(measurements),
            skips=tuple(skips),
            error=error or not_run,
        ),
        cases,
        influences,
    )


def _not_run(planned: PlannedProbe, reason: str, hint: str) -> ProbeRun:
    return ProbeRun(
        probe=planned.probe,
        version=planned.version,
        params=planned.params,
        not_run=reason,
        not_run_hint=hint,
    )


def _no_cost(probe: Probe) -> ProbeCost:
    return ProbeCost(probe=probe.name)


def _plain(one: ProbeRun) -> Any:
    return json.loads(write_json(one))


def _provenance(prepared: Prepared, machine: Mapping[str, Any]) -> Provenance:
    config = prepared.config
    return Provenance(
        model=prepared.identity.fingerprint,
        model_name=prepared.identity.name,
        labels=prepared.identity.labels,
        head=prepared.identity.head,
        corpora=tuple(
            _info(c, prepared, int(machine["truncated"]) if name == "test" else 0)
            for name, c in sorted(prepared.corpora.items())
        ),
        resources=dict(prepared.benches[0].resources.digests()) if prepared.benches else {},
        packages=provenance.packages(),
        python=str(machine["python"]),
        platform=str(machine["platform"]),
        device=str(machine["device"]),
        dtype=str(machine["dtype"]),
        threads=int(machine["threads"]),
        code=provenance.code(),
        operator=provenance.operator(),
        system=config.system,
        scope=config.scope,
        responses=responses.settled(config.responses),
    )


def _info(corpus: Corpus, prepared: Prepared, truncated: int) -> CorpusInfo:
    labels = Counter(
        name
        for e in corpus.examples
        for name in (e.label if isinstance(e.label, tuple) else (e.label or "",))
    )
    attributes = sorted({name for e in corpus.examples for name in e.groups})
    spec = prepared.config.corpora.get(corpus.name)
    return CorpusInfo(
        name=corpus.name,
        path=spec.path if spec else "",
        texts=len(corpus.examples),
        sha256=corpus.sha256,
        kind=corpus.kind,
        license=corpus.license,
        labels=dict(labels),
        groups={a: dict(Counter(e.groups.get(a, "") for e in corpus.examples)) for a in attributes},
        truncated=truncated,
        skips=corpus.skips,
    )


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

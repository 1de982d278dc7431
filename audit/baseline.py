"""The last release as a yardstick: did the same texts come out worse?

What is held against a gate with ``no_worse_than = "baseline"`` is the *worsening*: how far the
number moved in the direction that is worse, paired on the same texts, whatever its level. For
numbers that should be near zero, such as gaps, that is how much farther from zero it is now.

A worsening is a measurement like any other, of the id ``baseline.metric[probe=…,slice]``, positive
where things got worse; it travels in the result, so that judging again needs neither audit.

Source: non-inferiority as Piaggio et al. (2012), JAMA 308(24), doi:10.1001/jama.2012.87802: the
margin is set beforehand, and kept when the interval of the difference lies below it.
"""

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from audit import compare, pairing, store
from audit.borders import plain, write_json
from audit.checkpoint import file_digest
from audit.errors import ConfigError, ResultError
from audit.files import write_text
from audit.gates import split
from audit.intervals import by_itself, looked_at
from audit.pairing import Table
from audit.types import (
    Absent,
    AuditResult,
    Change,
    Counts,
    Estimate,
    Looks,
    Measurement,
    Plan,
    ProbeRun,
    Skip,
    measurement_id,
)
from audit.worsening import worsening

PROBE = "baseline"
_COLUMNS = ("measurement", "example_id", "flipped", "score_before", "score_after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """An audit to compare with, read."""

    result: AuditResult
    units: Table
    cases: Table
    influences: Table


def save(folder: Path, to: Path) -> AuditResult:
    """Keep an audit as a baseline: a folder, or one file where `to` ends in ``.zip``.

    It holds numbers, scores and digests, and no text: the cases shown in the result and the texts
    of the cases stay behind.

    Raises:
        ResultError: If there is no complete audit in `folder`.
    """
    result = store.read(folder)
    cases = store.read_table(folder, store.CASES)
    store.read_table(folder, store.UNITS)
    with TemporaryDirectory() as temporary:
        at = Path(temporary)
        shutil.copyfile(folder / store.UNITS, at / store.UNITS)
        _write_cases(at / store.CASES, cases)
        kept = [store.UNITS, store.CASES]
        if (folder / store.INFLUENCE).exists():
            shutil.copyfile(folder / store.INFLUENCE, at / store.INFLUENCE)
            kept.append(store.INFLUENCE)
        bare = replace(
            result,
            runs=tuple(replace(run, cases=()) for run in result.runs if run.probe != PROBE),
            findings=(),
            comparison=None,
            files={name: file_digest(at / name) for name in kept},
        )
        write_text(at / store.RESULT, write_json(bare))
        _move(at, to)
    return bare


def load(path: Path) -> Baseline | None:
    """Read a baseline; None where there is none yet.

    Raises:
        ResultError: If it is damaged, or a file of it is not the one that was saved.
    """
    if not path.exists():
        return None
    with _opened(path) as folder:
        result = store.read(folder)
        for name, digest in result.files.items():
            if not (folder / name).is_file() or file_digest(folder / name) != digest:
                raise ResultError(
                    f"The baseline {path} is damaged: {name} is not the file that was saved.",
                    hint="Save it again with `evenhand baseline save`.",
                )
        return Baseline(
            result=result,
            units=store.read_table(folder, store.UNITS),
            cases=store.read_table(folder, store.CASES),
            influences=store.read_influences(folder),
        )


def refuse_unlike(baseline: Baseline, plan: Plan, corpora: Mapping[str, str]) -> None:
    """Refuse a baseline that asked another question.

    Args:
        baseline: The audit to compare with.
        plan: Of the audit that is to be held against it.
        corpora: Name to digest of its texts.

    Raises:
        ConfigError: If texts, decision, seed, or version or settings of a probe behind a claim
            differ; it names each of them.
    """
    before = baseline.result
    held = {c.name: c.sha256 for c in before.provenance.corpora}
    found = []
    if held.get("test") != corpora.get("test"):
        found.append("the audited texts are others")
    if before.plan.decision != plan.decision:
        found.append("labels, favourable labels or threshold differ")
    if before.plan.seed != plan.seed:
        found.append(f"the seed was {before.plan.seed} and is {plan.seed}")
    wanted = {_origin(c.measurement)[0] for c in plan.claims if c.against == "baseline"}
    for probe in sorted(wanted):
        one = _asked(before.plan, probe)
        other = _asked(plan, probe)
        if one != other:
            versions = " and ".join(sorted({v for v, _ in [*one, *other]}))
            what = "versions" if len({v for v, _ in [*one, *other]}) > 1 else "settings"
            found.append(
                f"it has no probe {probe}" if not one else f"{probe} differs in {what} ({versions})"
            )
    if found:
        raise ConfigError(
            f"The baseline cannot be compared with this audit: {'; '.join(found)}.",
            hint="Audit the baseline's model with this audit file, then `evenhand baseline save`.",
        )


def held_against(
    result: AuditResult,
    baseline: Baseline | None,
    units: Table,
    cases: Table,
    influences: Table | None = None,
) -> AuditResult:
    """Return `result` with the worsening behind each of its claims against a baseline.

    Without a baseline these claims are *not_estimable*, and the reason is said.

    Raises:
        ConfigError: If the baseline asked another question; see `refuse_unlike`.
        ResultError: If the two share no text or disagree on true labels.
    """
    ids = [c.measurement for c in result.plan.claims if c.against == "baseline"]
    runs = tuple(run for run in result.runs if run.probe != PROBE)
    if not ids:
        return replace(result, runs=runs)
    blank = ProbeRun(probe=PROBE, version="1", params={})
    if baseline is None:
        blank = replace(
            blank,
            not_run="there is no baseline to compare with",
            not_run_hint="`evenhand baseline save` keeps one; name it under [baseline].",
        )
        return replace(result, runs=(*runs, blank))
    refuse_unlike(baseline, result.plan, {c.name: c.sha256 for c in result.provenance.corpora})
    found = worsenings(baseline, runs, ids, units, cases, influences)
    blank = replace(
        blank,
        params={
            "model": baseline.result.provenance.model,
            "result": store.digest(baseline.result),
        },
        measurements=found,
    )
    return replace(result, runs=(*runs, blank))


def worsenings(
    baseline: Baseline,
    runs: Sequence[ProbeRun],
    ids: Sequence[str],
    units: Table,
    cases: Table,
    influences: Table | None = None,
) -> tuple[Measurement, ...]:
    """Return the worsening behind each of the claims' measurements `ids`.

    A number that was looked at under a budget is paired on the texts it was looked at with, and its
    worsening holds over all looks as the number itself does.

    Args:
        baseline: The audit to compare with.
        runs: Of the audit that is held against it.
        ids: Ids of worsenings.
        units: Its ``units.parquet``: under a budget, in the order in which texts were read.
        cases: Its ``cases.parquet``.
        influences: Its ``influence.parquet``.
    """
    level = baseline.result.plan.level
    before = {m.id: m for run in baseline.result.runs for m in run.measurements}
    after = {m.id: m for run in runs for m in run.measurements}
    groups: dict[tuple[Looks | None, Looks | None], list[str]] = {}
    for name in dict.fromkeys(ids):
        origin = measurement_id(*_origin(name))
        groups.setdefault((_looks(before.get(origin)), _looks(after.get(origin))), []).append(name)
    found: dict[str, Measurement] = {}
    for (one, other), names in groups.items():
        origins = {measurement_id(*_origin(name)) for name in names}
        texts = pairing.match(
            (_first(baseline.units, one), _first(units, other)), baseline.result.plan.decision
        )
        changes = compare.changes_of(
            {key: _by_itself(m) for key, m in before.items() if key in origins},
            {key: _by_itself(m) for key, m in after.items() if key in origins},
            texts,
            (baseline.cases, cases),
            (baseline.influences, influences or {}),
            level=level,
            only=origins,
            part=any(look is not None and look.look < look.looks for look in (one, other)),
        )
        by_id = {c.measurement: c for c in changes}
        for name in names:
            found[name] = _looked(_measurement(name, by_id, after, len(texts)), one, other)
    return tuple(found[name] for name in dict.fromkeys(ids))


def _asked(plan: Plan, probe: str) -> list[tuple[str, str]]:
    # As JSON: a plan read from disk has lists where a fresh one has tuples.
    return [
        (p.version, json.dumps(plain(p.params), sort_keys=True))
        for p in plan.probes
        if p.probe == probe
    ]


def _origin(measurement: str) -> tuple[str, str, dict[str, str]]:
    """Return probe, metric and slice of what a worsening speaks of."""
    metric, where = split(measurement)
    return where.pop("probe"), metric.partition(".")[2], where


def _measurement(
    name: str, changes: Mapping[str, Change], measured: Mapping[str, Measurement], texts: int
) -> Measurement:

    probe, metric, where = _origin(name)
    origin = measurement_id(probe, metric, where)
    change = changes.get(origin) or changes.get(origin.removeprefix("group_rates."))
    value: Estimate | Absent = Absent(
        code="not_in_both", reason=f"{origin} was not measured in both audits"
    )
    if change is not None:
        value = worsening(change)
    n = value.n if isinstance(value, Estimate) else 0
    eligible = max(texts, n, measured[origin].eligible if origin in measured else 0)
    return Measurement(
        id=name,
        metric=metric,
        where={**where, "probe": probe},
        value=value,
        unit="worsening against the baseline",
        eligible=eligible,
        left_out=(Skip(reason="not a pair in both audits", count=eligible - n),)
        if eligible > n
        else (),
    )


def _looks(m: Measurement | None) -> Looks | None:
    """Return the look a number is from, without what it rests on: equal for one and the same."""
    if m is None or not isinstance(m.value, Estimate) or not isinstance(m.value.basis, Looks):
        return None
    return replace(m.value.basis, of=Counts(hits=0, n=0))


def _by_itself(m: Measurement) -> Measurement:
    return replace(m, value=by_itself(m.value)) if isinstance(m.value, Estimate) else m


def _first(units: Table, look: Looks | None) -> Table:
    return units if look is None else {key: column[: look.texts] for key, column in units.items()}


def _looked(m: Measurement, one: Looks | None, other: Looks | None) -> Measurement:
    looks = [look for look in (one, other) if look is not None]
    if not looks or not isinstance(m.value, Estimate):
        return m
    least = min(looks, key=lambda look: look.texts)
    return replace(m, value=looked_at(m.value, least.look, least.looks, least.texts))


def _write_cases(path: Path, cases: Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: cases[name] for name in _COLUMNS}), path, compression="zstd")


def _move(made: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.suffix == ".zip":
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(made.iterdir()):
                # One date for all: equal audits give equal files.
                archive.writestr(
                    zipfile.ZipInfo(path.name, (1980, 1, 1, 0, 0, 0)), path.read_bytes()
                )
        return
    to.mkdir(exist_ok=True)
    for path in made.iterdir():
        shutil.copyfile(path, to / path.name)


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield path
        return
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            with zipfile.ZipFile(path) as archive:
                there = {store.INFLUENCE} & set(archive.namelist())
                for name in (store.RESULT, store.UNITS, store.CASES, *there):
                    # By name, one by one: an archive may hold paths that lead elsewhere.
                    (folder / name).write_bytes(archive.read(name))
        except (OSError, KeyError, zipfile.BadZipFile) as problem:
            raise ResultError(f"{path} is no baseline: {problem}.") from problem
        yield folder

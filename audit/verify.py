"""Is a stored result what it says it is? Digests, signature, and whether its parts agree.

Without a signature only disagreement can show: whoever changes a number and all that follows from
it leaves a result that agrees with itself. `audit.rerun` asks the model again.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import isclose
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audit import attest, config, gates, judging, selftest, signing, store
from audit.borders import plain
from audit.checkpoint import file_digest
from audit.errors import ConfigError, ResultError
from audit.intervals import interval
from audit.types import (
    AuditResult,
    Cases,
    Counts,
    Estimate,
    Means,
    Measurement,
    Pairs,
    Stream,
    TwoCounts,
    TwoMeans,
)

State = Literal["agrees", "differs", "not_checked"]
_NEAR = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was held against another."""

    what: str
    state: State
    said: str
    """What agrees; or what does not, or why nobody looked, in a sentence."""


def verify(folder: Path, *, public: Path | None = None) -> tuple[Check, ...]:
    """Check what can be checked from the folder of an audit alone.

    Args:
        folder: Holds ``result.json``, the files beside it and, where signed, ``signature.json``.
        public: Public key of the signer.

    Raises:
        ResultError: If there is no result, or it cannot be read.
    """
    result = store.read(folder)
    return (
        _signature(result, folder, public),
        *_files(result, folder),
        _audit_file(result, folder),
        _plan(result),
        _numbers(result),
        _counts(result),
        _verdicts(result),
        _cases(result, folder),
        known_answers(),
    )


def known_answers() -> Check:
    """Run the known answers that come with the suite."""
    found = selftest.run()
    what = "known answers"
    if found.wrong:
        return _no(
            what,
            f"{len(found.wrong)} of {found.answers} known answers come out otherwise here, the "
            f"first {found.wrong[0]}: this installation does not compute as it should.",
        )
    return _yes(what, f"{found.answers} answers of {found.vectors} known examples come out here.")


def _signature(result: AuditResult, folder: Path, public: Path | None) -> Check:
    what, path = "signature", folder / signing.SIGNATURE
    if not path.exists():
        why = "there is no signature.json: a change that agrees with itself would not show."
        return _no(what, f"A public key was named, but {why}") if public else _blank(what, why)
    try:
        signed = signing.check(path, public)
        subject = signed.statement["subject"][0]
        canonical, parts = subject["annotations"]["canonical"], subject["annotations"]["parts"]
        wrong = [
            name for name, sha in attest.part_digests(result).items() if parts.get(name) != sha
        ]
    except ResultError as problem:
        return _no(what, str(problem))
    except (KeyError, IndexError, TypeError, AttributeError):
        return _no(what, "The signature speaks of something else than a result.")
    if wrong and len(wrong) > len(attest.PARTS) // 2:
        return _no(what, "The signature is of another result.")
    if wrong or canonical != store.digest(result):
        names = " and ".join(_PARTS[name] for name in wrong) or "the whole"
        return _no(what, f"Changed after signing: {names}.")
    for one in signed.statement["subject"][1:]:
        there = folder / str(one["name"])
        sha = str(one["digest"]["sha256"])
        if there.is_file() and file_digest(there) != sha:
            return _no(what, f"{there.name} is not the file that was signed.")
        if not there.is_file() and not str(one["name"]).startswith("model:"):
            return _no(what, f"{there.name} was signed and is missing.")
    by = f" by {signed.signer}" if signed.signer else ""
    vouched = "" if public else "; that the key is theirs, only its owner can tell"
    return _yes(what, f"Signed{by} with key {signed.key[:16]}{vouched}.")


_PARTS = {
    "plan": "the plan",
    "provenance": "where the numbers come from",
    "runs": "the measurements",
    "verdicts": "the verdicts",
    "findings": "the findings",
    "waivers": "the waivers",
    "comparison": "the comparison",
    "files": "the digests of the files",
    "telemetry": "times and costs",
}


def _files(result: AuditResult, folder: Path) -> Iterable[Check]:
    said = {
        store.UNITS: "The table of units, units.parquet,",
        store.CASES: "The table of cases, cases.parquet,",
    }
    for name, sha in sorted(result.files.items()):
        path = folder / name
        if not path.is_file():
            yield _blank(name, f"the file {name} is not beside the result.")
        elif file_digest(path) != sha:
            yield _no(name, f"{said.get(name, name)} is not the one that the result was made with.")
        else:
            yield _yes(name, "Its digest is the one in the result.")


def _audit_file(result: AuditResult, folder: Path) -> Check:
    what, path = attest.AUDIT_FILE, folder / attest.AUDIT_FILE
    if not path.is_file() or not result.plan.audit_file:
        return _blank(what, "the audit file is not beside the result.")
    if path.read_bytes() != result.plan.audit_file.encode("utf-8"):
        return _no(what, "The audit file beside the result is not the one that was run.")
    return _yes(what, "The text is that of the run.")


def _plan(result: AuditResult) -> Check:
    what, plan = "plan", result.plan
    if not plan.audit_file:
        return _blank(what, "the result does not hold its audit file.")
    try:
        read = config.reads(plan.audit_file)
        claims = gates.expand(read.gate, plan.probes)
    except ConfigError as problem:
        if "policy" in _tables(plan.audit_file).get("gates", {}):
            return _blank(what, "its gates come from a policy that is not here.")
        return _no(what, f"The plan is not that of its audit file: {problem}")
    wanted = (
        read.audit.seed,
        read.audit.alpha,
        read.audit.level,
        read.audit.undecided,
        read.decision.threshold,
        tuple(read.decision.favourable),
    )
    found = (
        plan.seed,
        plan.alpha,
        plan.level,
        plan.undecided,
        plan.decision.threshold,
        tuple(plan.decision.favourable),
    )
    if wanted != found:
        return _no(what, "The plan has other rules than its audit file.")
    if claims != plan.claims:
        return _no(what, "The plan has other claims than its audit file.")
    if [p.name for p in read.probe] != [p.probe for p in plan.probes]:
        return _no(what, "The plan has other probes than its audit file.")
    return _yes(
        what, f"{len(claims)} claims and {len(plan.probes)} probes, as the audit file says."
    )


def _tables(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _numbers(result: AuditResult) -> Check:
    what, n = "numbers", 0
    for m in _measured(result):
        e = m.value
        if not isinstance(e, Estimate):
            continue
        n += 1
        values = _values(e)
        if values and not any(_close(e.value, v) for v in values):
            return _no(
                what, f"{m.id}: the value is {e.value:g}, but what it rests on gives {values[0]:g}."
            )
        low, high = interval(e, e.level)
        if not (_close(e.low, low) and _close(e.high, high)):
            return _no(
                what,
                f"{m.id}: the interval is {e.low:g} to {e.high:g}, but what it rests "
                f"on gives {low:g} to {high:g}.",
            )
    return _yes(what, f"{n} values and intervals follow from what they rest on.")


def _values(e: Estimate) -> tuple[float, ...]:
    """Return what the value may be, by its basis; empty where the basis does not say."""
    b = e.basis
    if isinstance(b, Counts):
        return (b.hits / b.n,) if b.n else ()
    if isinstance(b, TwoCounts):
        if not (b.n and b.other_n):
            return ()
        one, other = b.hits / b.n, b.other_hits / b.other_n
        return (one - other, *((one / other,) if other else ()))
    if isinstance(b, Pairs):
        return ((b.b - b.c) / b.n, (b.c - b.b) / b.n) if b.n else ()
    if isinstance(b, Means):
        return (b.mean,)
    if isinstance(b, TwoMeans):
        return (b.one.mean - b.other.mean,)
    return (b.centre,) if isinstance(b, Stream) else ()


def _counts(result: AuditResult) -> Check:
    what, n = "counts", 0
    ids = Counter(m.id for m in _measured(result))
    for m in _measured(result):
        if ids[m.id] > 1:
            return _no(what, f"{m.id} is measured twice.")
        e = m.value
        if not isinstance(e, Estimate):
            continue
        n += 1
        b = e.basis
        of: tuple[int, ...] | None = None
        if m.metric.endswith("_p"):
            # A p-value by resampling rests on draws, not on units.
            continue
        if isinstance(b, Counts | Pairs):
            of = (b.n,)
        elif isinstance(b, TwoCounts):
            of = (b.n + b.other_n, b.n, b.other_n)
        if of is not None and e.n not in of:
            return _no(what, f"{m.id}: n is {e.n}, but {of[0]} units were counted.")
    units = next((c.texts for c in result.provenance.corpora if c.name == "test"), None)
    for m in _measured(result):
        if units is not None and m.eligible > units and _of_texts(m):
            return _no(what, f"{m.id} asks {m.eligible} texts of a corpus of {units}.")
    return _yes(what, f"{n} numbers rest on as many units as they say.")


def _of_texts(m: Measurement) -> bool:
    return m.id.split(".")[0] in ("group_rates", "impact_ratio", "typos")


def _verdicts(result: AuditResult) -> Check:
    what = "verdicts"
    day = _day(result.telemetry.finished) or _day(result.telemetry.started)
    again = judging.judged(result, today=day)
    if len(again.verdicts) != len(result.verdicts):
        return _no(
            what,
            f"The result holds {len(result.verdicts)} verdicts on {len(again.verdicts)} claims.",
        )
    for old, new in zip(result.verdicts, again.verdicts, strict=True):
        if (old.claim, old.status) != (new.claim, new.status):
            return _no(
                what,
                f"{old.claim.id}: the verdict says {old.status}, but the numbers "
                f"give {new.status}.",
            )
        if not _alike(plain(old), plain(new)):
            return _no(what, f"{old.claim.id}: the verdict does not follow from the numbers.")
    if [f.id for f in result.findings] != [f.id for f in again.findings]:
        return _no(what, "The findings are not those that follow from the verdicts.")
    if plain(result.findings) != plain(again.findings):
        return _no(what, "A finding says something else than its verdict.")
    return _yes(what, f"{len(again.verdicts)} verdicts follow from the numbers.")


def _cases(result: AuditResult, folder: Path) -> Check:
    what = "cases"
    try:
        table = store.read_table(folder, store.CASES)
    except ResultError:
        return _blank(what, "the file cases.parquet is not beside the result, or cannot be read.")
    shown = [case for run in result.runs for case in run.cases]
    every = sum(run.cases_total for run in result.runs)
    if len(table["measurement"]) != every:
        return _no(
            what,
            f"The result speaks of {every} cases; cases.parquet holds {len(table['measurement'])}.",
        )
    wanted = store.shown(_by_metric(table), result.plan.seed)
    have, want = Counter(map(_key, shown)), Counter(map(_key, wanted))
    if have != want:
        gone, more = sum((want - have).values()), sum((have - want).values())
        return _no(
            what,
            f"The cases shown are not those of the rule: {gone} missing, {more} that it does not "
            "choose.",
        )
    return _yes(what, f"{len(shown)} cases shown of {every}, by the printed rule.")


def _key(case: Any) -> tuple[Any, ...]:
    return (
        *(case.metric, case.example_id, case.before, case.after),
        *(round(case.score_before, 12), round(case.score_after, 12), case.flipped),
    )


def _by_metric(table: Mapping[str, list[Any]]) -> list[Cases]:
    places: dict[str, list[int]] = {}
    for i, metric in enumerate(table["measurement"]):
        places.setdefault(metric, []).append(i)

    def column(name: str, rows: list[int]) -> list[Any]:
        values = table[name]
        return [values[i] for i in rows]

    return [
        Cases(
            metric=metric,
            example_id=column("example_id", rows),
            before=column("before", rows),
            after=column("after", rows),
            score_before=np.asarray(column("score_before", rows), np.float64),
            score_after=np.asarray(column("score_after", rows), np.float64),
            flipped=np.asarray(column("flipped", rows), np.bool_),
            cluster=column("cluster", rows),
            note=column("note", rows),
            words=[tuple(w or ()) for w in column("words", rows)],
            weights=[tuple(w or ()) for w in column("weights", rows)],
        )
        for metric, rows in places.items()
    ]


def _measured(result: AuditResult) -> Iterable[Measurement]:
    for run in result.runs:
        yield from run.measurements


def _alike(one: Any, other: Any) -> bool:
    """Compare plain data; numbers to the last bits only, which another machine may not share."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return _close(one, other)
    return bool(one == other)


def _close(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=_NEAR, abs_tol=_NEAR)


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said[:10])
    except ValueError:
        return None


def _yes(what: str, said: str) -> Check:
    return Check(what=what, state="agrees", said=said)


def _no(what: str, said: str) -> Check:
    return Check(what=what, state="differs", said=said)


def _blank(what: str, why: str) -> Check:
    return Check(what=what, state="not_checked", said=why[:1].upper() + why[1:])


def refused(checks: Iterable[Check]) -> bool:
    """Return whether anything differs."""
    return any(check.state == "differs" for check in checks)


def shown(said: str) -> str:
    """Return a sentence on one line, every character of others' names visible."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in said)

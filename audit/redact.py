"""A result without its texts and without what points at persons; hashes stay, so that somebody who
has the texts can find each again.

A hash hides a long text, not a guess: whoever knows a name or a short text can test for it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from audit.types import Absent, AuditResult, Case, Finding, Measurement, ProbeRun, Skip

_PERSONAL = re.compile(
    r"""
    (?P<mail> [^\s@<>"']+ @ [^\s@<>"']+ \. [^\s@<>"']+ )
    | (?P<address> \b (?: https?:// | www\. ) [^\s<>"']+ )
    | (?P<secret> \b (?: sk | pk | gh[pousr] | hf | xox[abp] | AKIA )[-_]?[A-Za-z0-9_-]{16,} )
    | (?P<account> \b [A-Z]{2}\d{2} (?: [ ]? [A-Z0-9]{4} ){3,7} [ ]? [A-Z0-9]{0,3} \b )
    | (?P<host> \b \d{1,3} (?: \. \d{1,3} ){3} \b )
    | (?P<number> (?<![\w.-]) (?! \d{4}-\d{2}-\d{2} \b ) \+? \(? \d (?: [ ()./-]{0,2} \d ){7,18} (?![\w.]) )
    | (?P<path> (?<![\w.]) (?: ~ | [A-Za-z]: )? (?: [/\\] (?: home | Users | root | mnt ) ) [/\\] [^\s"']+ )
    """,
    re.X,
)
_LONGEST = 400


def redacted(result: AuditResult) -> AuditResult:
    """Return `result` with texts, names of persons, machines and paths hidden.

    Texts of cases become a mark with their length and SHA-256; ids of texts become short hashes,
    the same wherever one stands. What people wrote in free text is kept without addresses, numbers,
    secrets and paths, and cut at 400 characters. Numbers, slices and verdicts stay as they are.
    """
    origin, plan = result.provenance, result.plan
    return replace(
        result,
        plan=replace(plan, audit_file=hidden(plan.audit_file), name=scrubbed(plan.name)),
        provenance=replace(
            origin,
            model_name=_base(origin.model_name),
            corpora=tuple(
                replace(
                    c,
                    path=_base(c.path),
                    skips=tuple(_skip(s) for s in c.skips),
                )
                for c in origin.corpora
            ),
            operator=hidden(origin.operator),
            system=_free(origin.system),
            scope=_free(origin.scope),
            responses={
                key: replace(
                    said,
                    response=scrubbed(said.response),
                    cause=scrubbed(said.cause),
                    owner=hidden(said.owner),
                )
                for key, said in origin.responses.items()
            },
        ),
        runs=tuple(_run(run) for run in result.runs),
        findings=tuple(_finding(f) for f in result.findings),
        waivers=tuple(
            replace(w, owner=hidden(w.owner), reason=scrubbed(w.reason)) for w in result.waivers
        ),
        verdicts=tuple(
            replace(v, waived_by=hidden(v.waived_by), because=scrubbed(v.because))
            for v in result.verdicts
        ),
        comparison=None
        if result.comparison is None
        else replace(
            result.comparison,
            before=_base(result.comparison.before),
            after=_base(result.comparison.after),
            words=tuple(map(scrubbed, result.comparison.words)),
            advice=tuple(map(scrubbed, result.comparison.advice)),
        ),
        telemetry=replace(result.telemetry, host=hidden(result.telemetry.host)),
    )


def hidden(text: str) -> str:
    """Return a mark with the length and hash of `text`; nothing for nothing."""
    if not text:
        return ""
    return f"[hidden: {len(text):,} characters, sha256 {_sha(text)}]"


def scrubbed(text: str) -> str:
    """Return free text without mail and web addresses, long numbers, secrets, hosts and paths."""
    said = _PERSONAL.sub(lambda found: f"[hidden: {found.lastgroup}]", text)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}… [{len(said):,} characters]"


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _id(text: str) -> str:
    return f"id-{_sha(text)[:12]}"


def _base(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _free(said: Mapping[str, str]) -> dict[str, str]:
    return {key: scrubbed(value) for key, value in said.items()}


def _skip(skip: Skip) -> Skip:
    return replace(skip, reason=scrubbed(skip.reason))


def _run(run: ProbeRun) -> ProbeRun:
    return replace(
        run,
        measurements=tuple(_measurement(m) for m in run.measurements),
        cases=tuple(_case(case) for case in run.cases),
        skips=tuple(_skip(s) for s in run.skips),
        error=scrubbed(run.error),
        not_run=scrubbed(run.not_run),
        not_run_hint=scrubbed(run.not_run_hint),
    )


def _measurement(m: Measurement) -> Measurement:
    value = m.value
    if isinstance(value, Absent):
        value = replace(value, reason=scrubbed(value.reason))
    return replace(m, value=value, left_out=tuple(_skip(s) for s in m.left_out))


def _case(case: Case) -> Case:
    return replace(
        case,
        example_id=_id(case.example_id),
        cluster=None if case.cluster is None else _id(case.cluster),
        before=hidden(case.before),
        after=hidden(case.after),
        note=hidden(case.note),
        words=(),
        weights=(),
    )


def _finding(finding: Finding) -> Finding:
    return replace(finding, example_ids=tuple(_id(one) for one in finding.example_ids))

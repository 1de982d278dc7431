"""An audit on disk: ``result.json``, the texts' scores, and every case as evidence."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from audit.borders import read_json, write_json
from audit.checkpoint import file_digest
from audit.decision import Decided, correct, decided_at
from audit.errors import DataError, ResultError
from audit.files import write_atomically, write_text
from audit.seeding import stream
from audit.types import AuditResult, Case, Cases, Corpus, Decision, Floats, Influence

RESULT, UNITS, CASES = "result.json", "units.parquet", "cases.parquet"
INFLUENCE = "influence.parquet"
SHOWN = 10
"""Cases per measurement shown for their size, and as many drawn at random."""


def write(folder: Path, result: AuditResult, parts: Sequence[Path]) -> AuditResult:
    """Write the audit file as run, the evidence and, last, ``result.json``.

    Args:
        folder: Folder of the audit, which holds ``units.parquet`` already.
        result: The result, without the digests of the files beside it.
        parts: Parquet parts of the cases, in the order of the probes; that of the influences
            stands beside each.

    Returns:
        The result with those digests.

    Raises:
        AuditError: If the disk is full; an earlier result stays as it was.
    """
    _merge(folder / CASES, parts, _CASE_COLUMNS)
    _merge(folder / INFLUENCE, [influence_part(part) for part in parts], _INFLUENCE_COLUMNS)
    # The command line may run an audit from a file in this very folder: it is not touched then.
    if result.plan.audit_file:
        write_text(folder / "audit.toml", result.plan.audit_file)
    files = {name: file_digest(folder / name) for name in (UNITS, CASES, INFLUENCE)}
    result = replace(result, files=files)
    write_text(folder / RESULT, write_json(result) + "\n")
    return result


def read(path: Path) -> AuditResult:
    """Read a result from its file or its folder.

    Raises:
        ResultError: If there is none, it is damaged, or it is from another schema.
    """
    file = path / RESULT if path.is_dir() else path
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError as problem:
        raise ResultError(
            f"There is no result at {file}.", hint="`evenhand run audit.toml` makes one."
        ) from problem
    except (OSError, UnicodeDecodeError) as problem:
        raise ResultError(f"{file} cannot be read: {problem}.") from problem
    try:
        schema = json.loads(text).get("schema")
    except (ValueError, AttributeError) as problem:
        raise ResultError(f"{file} is not a result: {problem}.") from problem
    if schema != 1:
        raise ResultError(
            f"{file} has schema {schema!r}; this version reads schema 1.",
            hint="Read it with the version that wrote it, or run the audit again.",
        )
    return read_json(AuditResult, text, error=ResultError, at=file.name)


def digest(result: AuditResult) -> str:
    """Return the SHA-256 of a result without its telemetry: equal for equal audits."""
    plain = json.loads(write_json(result))
    plain.pop("telemetry")
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_table(folder: Path, name: str) -> dict[str, list[Any]]:
    """Return ``units.parquet`` or ``cases.parquet`` of an audit as columns.

    Raises:
        ResultError: If the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return cast("dict[str, list[Any]]", pq.read_table(folder / name).to_pydict())
    except (OSError, pa.ArrowException) as problem:
        raise ResultError(f"{folder / name} cannot be read: {problem}.") from problem


def read_influences(folder: Path) -> dict[str, list[Any]]:
    """Return ``influence.parquet`` of an audit as columns; none, where an older audit has none.

    Raises:
        ResultError: If the file is damaged.
    """
    if not (folder / INFLUENCE).exists():
        return {name: [] for name in _INFLUENCE_COLUMNS}
    return read_table(folder, INFLUENCE)


def influence_part(part: Path) -> Path:
    """Return where the influences stand that belong to a part of the cases."""
    return part.with_name(part.name.replace("cases-", "influence-", 1))


def joined(parts: Sequence[Path]) -> dict[str, list[Any]]:
    """Return several Parquet parts, one or more, as columns, in their order."""
    whole: dict[str, list[Any]] = {}
    for part in parts:
        for name, values in read_table(part.parent, part.name).items():
            whole.setdefault(name, []).extend(values)
    return whole or {name: [] for name in (*_CASE_COLUMNS, *_INFLUENCE_COLUMNS)}


def write_units(
    path: Path, corpus: Corpus, decision: Decision, scores: Floats, decided: Decided
) -> None:
    """Write one row per audited text, see `unit_columns`."""
    columns = unit_columns(corpus, decision, scores, decided)
    _write_parquet(path, columns, {"correct": "bool_", "cluster": "string", "label": "string"})


def unit_columns(
    corpus: Corpus, decision: Decision, scores: Floats, decided: Decided
) -> dict[str, Any]:
    """Return id, digest, label, groups, cluster, scores and decision of every audited text.

    The texts themselves are not in it: a digest pairs two audits of the same texts.
    """
    examples = corpus.examples
    labelled = [i for i, e in enumerate(examples) if e.label is not None]
    right: list[bool | None] = [None] * len(examples)
    if labelled:
        part = decided_at(decided, np.asarray(labelled, dtype=np.intp))
        for i, hit in zip(
            labelled, correct(decision, part, tuple(examples[i] for i in labelled)), strict=True
        ):
            right[i] = bool(hit)
    columns: dict[str, Any] = {
        "id": [e.id for e in examples],
        "digest": [_text_digest(e.text, e.second) for e in examples],
        "label": ["|".join(e.label) if isinstance(e.label, tuple) else e.label for e in examples],
        "cluster": [e.cluster for e in examples],
        "score": decided.score,
        "decision": decided.label,
        "favourable": decided.favourable,
        "correct": right,
    }
    for attribute in sorted({name for e in examples for name in e.groups}):
        columns[f"group:{attribute}"] = [e.groups.get(attribute) for e in examples]
    for i, label in enumerate(decision.labels):
        columns[f"p:{label}"] = scores[:, i]
    return columns


def write_cases(path: Path, cases: Iterable[Cases]) -> int:
    """Write one probe's cases, all of them, as a Parquet part; return how many there are."""
    columns: dict[str, list[Any]] = {name: [] for name in _CASE_COLUMNS}
    for some in cases:
        n = len(some)
        columns["measurement"] += [some.metric] * n
        columns["example_id"] += some.example_id
        columns["cluster"] += _filled(some.cluster, n, None)
        columns["before"] += some.before
        columns["after"] += some.after
        columns["score_before"] += [float(x) for x in some.score_before]
        columns["score_after"] += [float(x) for x in some.score_after]
        columns["flipped"] += [bool(x) for x in some.flipped]
        columns["note"] += _filled(some.note, n, "")
        columns["words"] += [list(words) for words in _filled(some.words, n, ())]
        columns["weights"] += [[float(x) for x in row] for row in _filled(some.weights, n, ())]
    _write_parquet(path, columns, _CASE_COLUMNS)
    return len(columns["measurement"])


def write_influences(path: Path, influences: Iterable[Influence]) -> None:
    """Write how far each text moved each number of one probe, as a Parquet part."""
    columns: dict[str, list[Any]] = {name: [] for name in _INFLUENCE_COLUMNS}
    for some in influences:
        n = len(some.example_id)
        columns["measurement"] += [some.metric] * n
        columns["example_id"] += some.example_id
        columns["cluster"] += some.cluster
        columns["influence"] += some.value
        columns["of_mean"] += [some.of_mean] * n
    _write_parquet(path, columns, _INFLUENCE_COLUMNS)


def as_cases(one: Case) -> Cases:
    """Return one case as columns of length one."""
    return Cases(
        metric=one.metric,
        example_id=[one.example_id],
        cluster=[one.cluster],
        before=[one.before],
        after=[one.after],
        score_before=[one.score_before],
        score_after=[one.score_after],
        flipped=[one.flipped],
        note=[one.note],
        words=[one.words],
        weights=[one.weights],
    )


def shown(cases: Iterable[Cases], seed: int, *, k: int = SHOWN) -> tuple[Case, ...]:
    """Return which cases stand in ``result.json``: per measurement the `k` largest changes (flips
    first, then by change of score) and `k` drawn at random from the rest."""
    chosen: list[Case] = []
    for some in cases:
        n = len(some)
        before, after = np.asarray(some.score_before, float), np.asarray(some.score_after, float)
        flipped = np.asarray(some.flipped, bool)
        size = np.abs(after - before)
        if any(some.weights):
            # Where before and after are one text, the attribution is the size.
            size = np.maximum(size, [max(map(abs, w), default=0.0) * 1e-6 for w in some.weights])
        order = sorted(range(n), key=lambda i: (not flipped[i], -size[i], some.example_id[i]))
        rest = order[k:]
        rng = stream(seed, "cases", some.metric)
        drawn = sorted(rng.choice(len(rest), min(k, len(rest)), replace=False)) if rest else []
        for i in order[:k] + [rest[int(j)] for j in drawn]:
            chosen.append(
                Case(
                    metric=some.metric,
                    example_id=some.example_id[i],
                    cluster=some.cluster[i] if some.cluster else None,
                    before=some.before[i],
                    after=some.after[i],
                    score_before=float(before[i]),
                    score_after=float(after[i]),
                    flipped=bool(flipped[i]),
                    note=some.note[i] if some.note else "",
                    words=tuple(some.words[i]) if some.words else (),
                    weights=tuple(map(float, some.weights[i])) if some.weights else (),
                )
            )
    return tuple(chosen)


_CASE_COLUMNS = {
    "measurement": "string",
    "example_id": "string",
    "cluster": "string",
    "before": "string",
    "after": "string",
    "score_before": "float64",
    "score_after": "float64",
    "flipped": "bool_",
    "note": "string",
    "words": "list:string",
    "weights": "list:float64",
}


_INFLUENCE_COLUMNS = {
    "measurement": "string",
    "example_id": "string",
    "cluster": "string",
    "influence": "float64",
    "of_mean": "bool_",
}


def _filled(values: Sequence[Any], n: int, blank: Any) -> list[Any]:
    return list(values) if len(values) else [blank] * n


def _text_digest(text: str, second: str | None) -> str:
    parts = [text] if second is None else [text, second]
    body = b"".join(len(p.encode()).to_bytes(8, "little") + p.encode() for p in parts)
    return hashlib.sha256(body).hexdigest()


def _write_parquet(path: Path, columns: Mapping[str, Any], types: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: pa.array(v, _arrow_type(types.get(name))) for name, v in columns.items()}
    table = pa.table(arrays)
    # The default footer names the writer's version only: equal tables give equal bytes.
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def _arrow_type(name: str | None) -> Any:
    import pyarrow as pa

    if name is None:
        return None
    outer, _, inner = name.rpartition(":")
    plain = getattr(pa, inner)()
    return pa.list_(plain) if outer == "list" else plain


def _merge(path: Path, parts: Sequence[Path], columns: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _arrow_type(kind)) for name, kind in columns.items()])

    def merge(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for part in parts:
                writer.write_table(pq.read_table(part, schema=schema))

    try:
        write_atomically(path, merge)
    except pa.ArrowException as problem:
        raise DataError(f"The parts cannot be merged into {path}: {problem}.") from problem

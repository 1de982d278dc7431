"""The texts of an audit: from a file, a frame or a hub data set, with no row lost unsaid."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from audit.config import HUB, CorpusConfig, Kind, place
from audit.errors import DataError, Unsupported, did_you_mean
from audit.guess import guess_columns as guess_columns
from audit.labels import labels_of
from audit.rationales import spans_of
from audit.tables import Table, cell, of_records, read, text_cell
from audit.types import Corpus, Example, Head, Skip

if TYPE_CHECKING:
    import pandas


def load(
    spec: CorpusConfig,
    base: Path = Path(),
    *,
    name: str = "test",
    model_labels: Sequence[str] | None = None,
    head: Head = "single",
) -> Corpus:
    """Read the texts that a table ``[corpora.NAME]`` describes.

    Rows whose text is empty or longer than `spec.max_bytes` are left out and counted in
    `Corpus.skips`. An empty cell under a group or cluster column means unknown; one under the label
    column, that nobody has said. Labels are looked up in `spec.labels`, then among the model's;
    whole numbers that are neither count the model's labels from 0. Under a multi-label head a cell
    holds a list, or names separated by ``|`` (a lone ``|``: none applies).

    Args:
        spec: Where the texts are, and what the columns mean.
        base: Folder that relative paths start from.
        name: The corpus's name in the audit file.
        model_labels: The model's labels, in its order; None accepts whatever the data holds.
        head: Of the model.

    Raises:
        DataError: If the file cannot be used as it is.
        ConfigError: If a setting of `spec` cannot be right.
        Unsupported: If a hub data set is named and the package ``datasets`` is not installed.
    """
    if spec.path.startswith(HUB):
        table = _from_hub(spec)
    else:
        table = read(
            place(spec.path, base),
            format=spec.format,
            encoding=spec.encoding,
            delimiter=spec.delimiter,
        )
    return _build(table, spec, name=name, model_labels=model_labels, head=head)


def from_frame(
    frame: "pandas.DataFrame",
    *,
    name: str = "test",
    text: str = "text",
    second: str | None = None,
    label: str | None = None,
    id: str | None = None,
    groups: Mapping[str, str] | Sequence[str] = (),
    cluster: str | None = None,
    votes: Sequence[str] = (),
    rationale: str | None = None,
    labels: Mapping[str, str] | None = None,
    model_labels: Sequence[str] | None = None,
    head: Head = "single",
    limit: int | None = None,
    license: str = "",
    kind: Kind = "test",
) -> Corpus:
    """Return the texts of a pandas frame; see `load` for what becomes of its cells.

    Args:
        groups: Attribute to column, or columns that are called like their attribute.

    Raises:
        DataError: If the frame cannot be used as it is.
    """
    frame = frame.astype(object).where(frame.notna(), None)
    frame.columns = [str(column) for column in frame.columns]
    table = of_records(frame.to_dict("records"), "the frame")
    spec = CorpusConfig(
        path="frame",
        text=text,
        second=second,
        label=label,
        id=id,
        groups=dict(groups) if isinstance(groups, Mapping) else {g: g for g in groups},
        cluster=cluster,
        votes=tuple(votes),
        rationale=rationale,
        labels=labels or {},
        limit=limit,
        license=license,
        kind=kind,
    )
    return _build(table, spec, name=name, model_labels=model_labels, head=head)


def _build(
    table: Table,
    spec: CorpusConfig,
    *,
    name: str,
    model_labels: Sequence[str] | None,
    head: Head,
) -> Corpus:
    columns = _columns(table, spec)
    texts = [text_cell(v, table, i, spec.text) for i, v in enumerate(columns["text"])]
    seconds: Sequence[str | None] = [None] * table.rows
    if "second" in columns:
        wanted = cast(str, spec.second)
        seconds = [text_cell(v, table, i, wanted) for i, v in enumerate(columns["second"])]
    ids = _ids(columns.get("id"), table, spec)
    keep, skips = _kept(ids, texts, seconds, spec)
    if not keep:
        said = "; ".join(f"{skip.count:,} {skip.reason}" for skip in skips)
        raise DataError(f"{table.source} has no text that can be audited: {said}.")
    truth, labels = labels_of(columns.get("label"), keep, table, spec, model_labels, head)
    groups = {
        attribute: _cells(columns["group", attribute], table, column)
        for attribute, column in spec.groups.items()
    }
    clusters = _cells(columns.get("cluster", ()), table, spec.cluster or "")
    marked: dict[int, tuple[tuple[int, int], ...] | None] = {}
    if spec.rationale is not None:
        cells = columns["rationale"]
        marked = {i: spans_of(cells[i], table, i, spec.rationale, texts[i]) for i in keep}
    cast_ = [_cells(columns["votes", column], table, column) for column in spec.votes]
    return Corpus(
        name=name,
        labels=labels,
        examples=tuple(
            Example(
                id=ids[i],
                text=texts[i],
                second=seconds[i],
                label=truth.get(i),
                groups={a: v for a, values in groups.items() if (v := values[i]) is not None},
                cluster=clusters[i] if clusters else None,
                votes=_votes([column[i] for column in cast_]),
                rationale=marked.get(i),
            )
            for i in keep
        ),
        license=spec.license,
        kind=spec.kind,
        sha256=table.sha256 or _digest(columns),
        skips=skips,
    )


def _columns(table: Table, spec: CorpusConfig) -> dict[Hashable, Sequence[object]]:
    """Return the values of each column that is used, by role."""
    wanted: dict[Hashable, tuple[str, str]] = {"text": ("text", spec.text)}
    for role in ("second", "label", "id", "cluster", "rationale"):
        column = getattr(spec, role)
        if column is not None:
            wanted[role] = (role, column)
    wanted |= {("group", a): (f"the group {a!r}", column) for a, column in spec.groups.items()}
    wanted |= {("votes", column): ("votes", column) for column in spec.votes}
    for role, column in wanted.values():
        if column not in table.names:
            raise DataError(
                f"{table.source} has no column {column!r} ({role}).",
                hint=did_you_mean(column, table.names),
            )
    return {key: table.column(column) for key, (_, column) in wanted.items()}


def _cells(values: Sequence[object], table: Table, column: str) -> list[str | None]:
    return [cell(value, table, i, column) for i, value in enumerate(values)]


def _votes(cells: Sequence[str | None]) -> tuple[str, ...]:
    """Return the votes of one row, ``"hate|hate|none"`` or a cell each; an empty one is none."""
    return tuple(v for c in cells if c is not None for part in c.split("|") if (v := part.strip()))


def _ids(values: Sequence[object] | None, table: Table, spec: CorpusConfig) -> list[str]:
    if values is None:
        return [f"row-{i + 1}" for i in range(table.rows)]
    first: dict[str, int] = {}
    for i, value in enumerate(values):
        id = cell(value, table, i, cast(str, spec.id))
        if id is None:
            raise DataError(
                f"{table.source}, {table.where(i)}: the column {spec.id!r} (id) is empty.",
                hint="Fill it, or leave out the setting id.",
            )
        if id in first:
            raise DataError(
                f"{table.source} has the id {id!r} twice: {table.where(first[id])} and "
                f"{table.where(i)}.",
                hint="Make ids unique, or leave out the setting id; what repeats may be a cluster.",
            )
        first[id] = i
    return list(first)


def _kept(
    ids: Sequence[str],
    texts: Sequence[str],
    seconds: Sequence[str | None],
    spec: CorpusConfig,
) -> tuple[list[int], tuple[Skip, ...]]:
    """Return the rows that are audited, in their order, and what was left out."""
    why: Counter[str] = Counter()
    keep = []
    longest = spec.max_bytes
    for i, (text, second) in enumerate(zip(texts, seconds, strict=True)):
        if not text.strip():
            why["empty text"] += 1
        elif second is not None and not second.strip():
            why["empty second text"] += 1
        elif any(
            # A character has at most four bytes: most texts need no encoding to be told short.
            4 * len(part) > longest and len(part.encode()) > longest
            for part in (text, second or "")
        ):
            why[f"longer than {longest} bytes"] += 1
        else:
            keep.append(i)
    if spec.limit is not None and len(keep) > spec.limit:
        # By a hash of the id, not from the top: files are often sorted by label or date.
        drawn = sorted(keep, key=lambda i: hashlib.sha256(ids[i].encode()).digest())[: spec.limit]
        why[f"beyond the limit of {spec.limit} texts"] += len(keep) - spec.limit
        keep = sorted(drawn)
    return keep, tuple(Skip(reason=reason, count=count) for reason, count in why.items())


def _digest(columns: Mapping[Hashable, Sequence[object]]) -> str:
    """Digest of the columns that are used, for tables that are not a file."""
    state = hashlib.sha256()
    for key in sorted(columns, key=str):
        state.update(json.dumps([str(key), list(columns[key])], default=str).encode())
    return state.hexdigest()


def _from_hub(spec: CorpusConfig) -> Table:
    try:
        import datasets

        loader: Callable[..., Any] = datasets.load_dataset
    except (ImportError, AttributeError) as missing:
        # A folder called `datasets` without the package imports too, as an empty namespace.
        raise Unsupported(
            "A hub data set needs the package `datasets`, which is not installed.",
            hint='Install it with `pip install "evenhand[hub]"`, or name a file.',
        ) from missing
    name, _, configuration = spec.path.removeprefix(HUB).partition(":")
    split = spec.split or "test"
    try:
        data = loader(name, configuration or None, split=split)
        records = [dict(row) for row in data]
    except Exception as problem:  # The package raises what its many parts raise.
        raise DataError(
            f"The hub data set {name!r} (split {split!r}) cannot be loaded: "
            f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0].rstrip('.')}.",
            hint="Check its name and split; without a network, save it as Parquet where there is "
            "one and name the file.",
        ) from problem
    if not records:
        raise DataError(f"The hub data set {name!r} (split {split!r}) has no rows.")
    # Classes are stored by number, under names that the features hold.
    for column, feature in (getattr(data, "features", None) or {}).items():
        names = getattr(feature, "names", None)
        if names:
            for record in records:
                value = record.get(column)
                if isinstance(value, int) and 0 <= value < len(names):
                    record[column] = names[value]
                elif value == -1:
                    record[column] = None
    return of_records(records, spec.path)

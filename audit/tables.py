"""Files of rows, whatever their format: read whole, within limits, or refused in one sentence."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audit.decoding import ALWAYS_ALLOWED, MAX_BYTES, MAX_EXPANSION, decoded, unzipped
from audit.errors import ConfigError, DataError, did_you_mean

_SURROGATE = re.compile("[\ud800-\udfff]")
FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MAX_ROWS = 5_000_000
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows by column."""

    source: str
    """What messages call it."""
    names: tuple[str, ...]
    rows: int
    column: Callable[[str], Sequence[object]]
    """Values of one column, length `rows`; None where a row has none."""
    where: Callable[[int], str]
    """How a reader finds row `i`, counted from 0: ``line 7``."""
    sha256: str


def read(
    path: Path,
    *,
    format: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> Table:
    """Read a CSV, TSV, JSONL, JSON or Parquet file; the first four also gzipped.

    Raises:
        DataError: If there is no such file, it is too large, its bytes are not of `encoding`, or it
            is not of its format.
        ConfigError: If the format or encoding is not known.
    """
    data = _bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    name = path.name
    endings = [e.lower() for e in path.suffixes if e.lower() not in (".gz", ".gzip")]
    if data[:2] == b"\x1f\x8b":
        data = unzipped(data, name)
    format = format or FORMATS.get(endings[-1] if endings else "")
    if format is None:
        raise ConfigError(
            f"The format of {name} cannot be told from its name.",
            hint='Set format = "csv", "tsv", "jsonl", "json" or "parquet" beside its path.',
        )
    if format == "parquet":
        return _parquet(data, name, sha256)
    text = decoded(data, encoding, name)
    if not text.strip():
        raise DataError(f"{name} is empty.", hint="An audit needs at least one text.")
    if format == "csv":
        return _csv(text, name, sha256, delimiter or ",")
    if format == "tsv":
        return _tsv(text, name, sha256)
    return _json(text, name, sha256) if format == "json" else _jsonl(text, name, sha256)


def of_records(records: Sequence[dict[str, Any]], source: str, sha256: str = "") -> Table:
    """Return the table of rows that are in memory already."""
    names = tuple(dict.fromkeys(key for record in records for key in record))
    return Table(
        source=source,
        names=names,
        rows=len(records),
        column=lambda name: [record.get(name) for record in records],
        where=lambda i: f"row {i + 1}",
        sha256=sha256,
    )


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder, not a file.", hint="Name the file inside it.")
        if not path.is_file():
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            near = did_you_mean(path.name, siblings) if siblings else ""
            raise DataError(
                f"There is no file {path}.", hint=near if near.startswith("Did") else _RELATIVE
            )
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path.name} is larger than {MAX_BYTES >> 30} GiB.", hint=_SAMPLE)
        return path.read_bytes()
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} cannot be read: {problem}.") from problem


_RELATIVE = "A path in an audit file starts from the folder of the audit file."
_SAMPLE = "Audit a sample of it."


def _csv(text: str, name: str, sha256: str, delimiter: str) -> Table:
    # Strict: a quote that is never closed would otherwise swallow the rest of the file in silence.
    records, lines = _records(text, name, delimiter=delimiter, strict=True)
    return _of_cells(records, lines, name, sha256, delimiter)


def _tsv(text: str, name: str, sha256: str) -> Table:
    # Some programs quote the cells of a TSV file, some write quotes as they are. A cell of a TSV
    # file stays on its line: a reading that says otherwise has taken a plain quote for an opening.
    try:
        records, lines = _records(text, name, delimiter="\t", strict=True)
        if not any("\n" in cell or "\r" in cell for record in records for cell in record):
            return _of_cells(records, lines, name, sha256, "\t")
    except DataError:
        pass
    records, lines = _records(text, name, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
    return _of_cells(records, lines, name, sha256, "\t")


def _records(text: str, name: str, **how: Any) -> tuple[list[list[str]], list[int]]:
    before = csv.field_size_limit(2**31 - 1)
    records, lines = [], []
    reader = csv.reader(io.StringIO(text, newline=""), **how)
    start = 1
    try:
        for record in reader:
            if record:
                records.append(record)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(
            f"{name} is broken at line {start}: {problem}.",
            hint="A cell with a quote in it is quoted, with the quote doubled.",
        ) from problem
    finally:
        csv.field_size_limit(before)
    return records, lines


def _of_cells(
    records: list[list[str]], lines: list[int], name: str, sha256: str, delimiter: str
) -> Table:
    names = tuple(cell.strip() for cell in records[0]) if records else ()
    records, lines = records[1:], lines[1:]
    if len(names) == 1 and delimiter == ",":
        other = next((mark for mark in (";", "\t", "|") if mark in names[0]), None)
        if other:
            raise DataError(
                f"{name} has one column, {names[0]!r}.",
                hint=f"Set delimiter = {json.dumps(other)} beside its path.",
            )
    if not records:
        raise DataError(f"{name} has a header and no rows.")
    _few_enough(len(records), name)
    for record, line in zip(records, lines, strict=True):
        if len(record) != len(names):
            raise DataError(
                f"{name} has {len(record)} cells in line {line} and {len(names)} columns.",
                hint="A cell with the separator or a line break in it must be quoted.",
            )
    position = {column: i for i, column in enumerate(names)}

    def column(wanted: str) -> list[object]:
        if names.count(wanted) > 1:
            raise DataError(f"{name} has {names.count(wanted)} columns called {wanted!r}.")
        i = position[wanted]
        return [record[i] for record in records]

    return Table(
        source=name,
        names=names,
        rows=len(records),
        column=column,
        where=lambda i: f"line {lines[i]}",
        sha256=sha256,
    )


def _jsonl(text: str, name: str, sha256: str) -> Table:
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    # Not splitlines(): a text may hold U+2028 or a form feed.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        record = _loads(line, f"{name}, line {number},")
        if not isinstance(record, dict):
            raise DataError(
                f"{name}, line {number}, is not a JSON object.",
                hint='Each line is one row, as {"text": "…", "label": "…"}.',
            )
        records.append(record)
        lines.append(number)
    return _of_objects(records, lambda i: f"line {lines[i]}", name, sha256)


def _json(text: str, name: str, sha256: str) -> Table:
    rows = _loads(text, name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(
            f"{name} is not a list of JSON objects.",
            hint='If each line is an object of its own, set format = "jsonl" beside its path.',
        )
    return _of_objects(rows, lambda i: f"row {i + 1}", name, sha256)


def _loads(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        raise DataError(f"{name} is not JSON: {problem.msg} (column {problem.colno}).") from problem
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{name} is not JSON that can be read.") from problem


def _of_objects(
    records: list[dict[str, Any]], where: Callable[[int], str], name: str, sha256: str
) -> Table:
    if not records:
        raise DataError(f"{name} has no rows.")
    _few_enough(len(records), name)
    return Table(
        source=name,
        names=tuple(dict.fromkeys(key for record in records for key in record)),
        rows=len(records),
        column=lambda wanted: [record.get(wanted) for record in records],
        where=where,
        sha256=sha256,
    )


def _parquet(data: bytes, name: str, sha256: str) -> Table:
    import pyarrow.parquet as pq

    if not data:
        raise DataError(f"{name} is empty.", hint="An audit needs at least one text.")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        names = tuple(str(column) for column in file.schema_arrow.names)
        rows = int(file.metadata.num_rows)
        size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
    except Exception as problem:  # pyarrow raises its own, Python's, and bare OSErrors.
        raise DataError(f"{name} is not a Parquet file: {_first(problem)}.") from problem
    if not rows:
        raise DataError(f"{name} has no rows.")
    _few_enough(rows, name)
    if size > max(ALWAYS_ALLOWED, MAX_EXPANSION * len(data)):
        raise DataError(f"{name} unpacks to {size >> 20} MiB.", hint=_SAMPLE)

    def column(wanted: str) -> list[object]:
        if names.count(wanted) > 1:
            raise DataError(f"{name} has {names.count(wanted)} columns called {wanted!r}.")
        try:
            values: Iterable[object] = file.read(columns=[wanted]).column(0).to_pylist()
        except Exception as problem:
            raise DataError(
                f"The column {wanted!r} of {name} cannot be read: {_first(problem)}."
            ) from problem
        return list(values)

    return Table(
        source=name,
        names=names,
        rows=rows,
        column=column,
        where=lambda i: f"row {i + 1}",
        sha256=sha256,
    )


def _first(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")


def _few_enough(rows: int, name: str) -> None:
    if rows > MAX_ROWS:
        raise DataError(f"{name} has {rows:,} rows; {MAX_ROWS:,} is the most.", hint=_SAMPLE)


def _visible(text: str) -> str:
    # Half a surrogate pair is no character: no file or model could hold it.
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def text_cell(value: object, table: Table, i: int, column: str) -> str:
    """Return a cell as the text it holds, unchanged but for half surrogate pairs; "" for none."""
    """Return a cell as a text; empty where there is none."""
    if isinstance(value, str):
        return value if value.isascii() else _visible(value)
    if _missing(value):
        return ""
    return _plain(value, table, i, column)


def cell(value: object, table: Table, i: int, column: str) -> str | None:
    """Return a cell as a name (an id, label or group) without outer spaces, or None for none."""
    """Return a cell as a name without space around it; None where there is none."""
    if _missing(value):
        return None
    return (
        _visible(value).strip() or None
        if isinstance(value, str)
        else _plain(value, table, i, column)
    )


def _plain(value: object, table: Table, i: int, column: str) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        # A column of whole numbers with a gap in it is read as floats by pandas and Parquet.
        return str(int(value))
    if isinstance(value, list | tuple | dict | np.ndarray | bytes):
        raise DataError(
            f"{table.source}, {table.where(i)}: the column {column!r} holds "
            f"{'bytes' if isinstance(value, bytes) else 'several values'}, not one text."
        )
    return _visible(str(value))

"""Suites as files: CheckList's JSON lines in, CSV out.

Source: Ribeiro et al. (2020), ACL, arXiv:2005.04118; the files are those of its repository.
"""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from audit.errors import ConfigError, DataError, did_you_mean
from audit.suites import Check, Kind, Suite, Variant, counted, direction, parts

COLUMNS = ("id", "text", "type", "functionality", "template", "case", "expect")
"""Columns of a suite as CSV; one more for each identity axis."""


def from_checklist(
    path: Path,
    *,
    labels: Sequence[str],
    expect: Mapping[str, str] | None = None,
    name: str = "",
) -> Suite:
    """Return a CheckList suite written as JSON lines, plain or ``.gz``.

    Each line is a case: ``test``, ``type``, ``texts`` (the original first) and, for an MFT, the
    number of its expected ``label``. What a CheckList suite expects beyond one label is code and
    does not travel in the file: give it in `expect`, or the test is left out and counted. The file
    does not say which texts share a template either, so each case counts as one of its own, and
    intervals over cases from few templates are too narrow. Lines without text, like the remains of
    a failed export (``{'args': ()}``), are left out and counted.

    Args:
        path: The file.
        labels: Names of the classes, in the order of their numbers.
        expect: Test to expectation, e.g. ``{"reducers": "less sure"}`` or
            ``{"not negative": "neutral|positive"}``.
        name: Of the suite; the file's name where empty.

    Raises:
        ConfigError: If `expect` names a test that the file has not.
        DataError: If the file cannot be read.
    """
    wanted = dict(expect or {})
    checks: list[Check] = []
    left: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for row in _lines(path):
        test, kind = str(row.get("test", "")), str(row.get("type", ""))
        if kind not in get_args(Kind):
            raise DataError(f"{path.name} holds a test of type {kind!r}; known: MFT, INV, DIR.")
        texts = [t for t in row.get("texts", ()) if isinstance(t, str)]
        id = f"{test} {seen[test]}"
        seen[test] += 1
        if not all(t.strip() and not t.startswith("{'args'") for t in texts) or not texts:
            left["no text in the file"] += 1
            continue
        label = row.get("label")
        if test in wanted:
            said = parts(wanted[test])
        elif kind == "MFT" and isinstance(label, int) and 0 <= label < len(labels):
            said = (labels[label],)
        elif kind == "INV":
            said = ()
        else:
            left[f"{kind} whose expectation is not in the file"] += 1
            continue
        if kind == "DIR":
            direction(said, test)
        groups = [[t] for t in texts] if kind == "MFT" else [texts]
        for n, some in enumerate(groups):
            own = id if len(groups) == 1 else f"{id}.{n}"
            checks.append(
                Check(
                    id=own,
                    kind=cast(Kind, kind),
                    functionality=test,
                    template=own,
                    expect=said,
                    variants=tuple(
                        Variant(id=f"{own}/{i}" if len(some) > 1 else own, text=t)
                        for i, t in enumerate(some)
                    ),
                )
            )
    for test in wanted:
        if test not in seen:
            raise ConfigError(
                f"{path.name} has no test {test!r} to expect something of.",
                hint=did_you_mean(test, seen),
            )
    return Suite(
        name=name or path.name.partition(".")[0], checks=tuple(checks), left_out=counted(left)
    )


def write(suite: Suite, path: Path) -> None:
    """Write `suite` as the CSV that `of_corpus` reads, to be edited or audited."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*COLUMNS, *suite.axes])
        for c in suite.checks:
            for v in c.variants:
                text = v.text if isinstance(v.text, str) else " ".join(v.text)
                told = (v.id, text, c.kind, c.functionality, c.template, c.id, "|".join(c.expect))
                out.writerow([*told, *(v.identity.get(axis, "") for axis in suite.axes)])


def _lines(path: Path) -> Iterable[Mapping[str, Any]]:
    opened = gzip.open if path.name.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(f"{path.name}, line {number}, is not a case of a suite.")
                yield row
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{path.name} cannot be read as JSON lines: {problem}.",
            hint="A CheckList suite has one JSON object a line: test, type, texts, label.",
        ) from problem

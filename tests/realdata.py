"""Real data that the project does not ship: found beside the checkout, or the test is skipped."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

_CHECKOUT = Path(__file__).resolve().parent.parent


def path(name: str) -> Path:
    """Return the folder of one data set, e.g. ``path("edos")``.

    It is looked for in the folder that EVENHAND_DATA names, else in ``shared/data`` beside the
    checkout. Where it is not, a test is skipped with the reason; with ``CI=true`` it fails, because
    there a silent skip would be a lost check. Outside pytest a benchmark ends with one sentence.
    """
    named = os.environ.get("EVENHAND_DATA")
    root = Path(named) if named else _CHECKOUT.parent / "shared" / "data"
    folder = root / name
    if folder.is_dir():
        return folder
    _missing(
        f"The data set {name!r} is not in {root}; set EVENHAND_DATA to the folder that holds it."
    )


def rows(name: str, file: str) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file of one data set, e.g. ``rows("edos", "test.jsonl")``."""
    return list(_rows(path(name) / file))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _missing(why: str) -> NoReturn:
    # Benchmarks run without pytest, which may not even be installed.
    if "pytest" not in sys.modules:
        raise SystemExit(why)
    import pytest

    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why, allow_module_level=True)

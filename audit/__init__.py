"""Audits of fine-tuned text classifiers, with an interval on every number.

The Python API, in the order of an audit: ``audit.read`` an audit file, ``audit.plan`` it, ``audit.run``
it, ``audit.render`` its report; ``audit.load_corpus``, ``audit.Scorer`` and ``audit.judge`` are parts.
"""

from importlib import import_module
from typing import Any

_WHERE = {
    "read": "audit.config",
    "run": "audit.runner",
    "plan": "audit.planning",
    "render": "audit.report",
    "judge": "audit.gates",
    "load_corpus": "audit.corpus",
    "Scorer": "audit.scorer",
}
_NAMES = {"load_corpus": "load", "plan": "prepare"}


def __getattr__(name: str) -> Any:
    # Lazy, so that `import audit` loads nothing heavy.
    if name not in _WHERE:
        raise AttributeError(f"module 'audit' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted(_WHERE)

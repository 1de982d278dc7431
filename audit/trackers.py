"""Audits in an experiment tracker, one run for each: MLflow or Weights & Biases, where installed."""

import re
from importlib import import_module
from typing import Any

from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.history import History

_KNOWN = ("mlflow", "wandb")
_PROJECT = "evenhand"


def log(history: History, tracker: str) -> str:
    """Log every audit of a history: value, low and high of each gate, exit code, model, plan.

    Where it goes is the tracker's own business: its environment variables and login are used.

    Returns:
        A sentence on what was logged.

    Raises:
        ConfigError: If there is no such tracker.
        Unsupported: If it is not installed.
    """
    if tracker not in _KNOWN:
        raise ConfigError(f"There is no tracker {tracker!r}.", hint=did_you_mean(tracker, _KNOWN))
    try:
        module: Any = import_module(tracker)
    except ImportError as problem:
        raise Unsupported(
            f"{tracker} is not installed.", hint=f"pip install {tracker}, or leave it out."
        ) from problem
    for i, audit in enumerate(history.audits):
        said = {"model": audit.model, "plan": audit.plan, "finished": audit.finished}
        numbers = _numbers(history, i) | {"exit_code": float(audit.exit_code)}
        if tracker == "mlflow":
            with module.start_run(run_name=audit.path):
                module.set_tags(said)
                module.log_metrics(numbers)
        else:
            run = module.init(project=_PROJECT, name=audit.path, config=said, reinit=True)
            run.log(numbers)
            run.finish()
    return f"{len(history.audits)} audits are logged to {tracker}."


def _numbers(history: History, audit: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for series in history.series:
        # MLflow takes letters, digits, spaces, dots, dashes, underscores, slashes in a name.
        name = re.sub(r"[^A-Za-z0-9_. /-]", "_", series.measurement)
        for point in series.points:
            if point.audit == audit and point.estimate is not None:
                found[name] = point.estimate.value
                found[f"{name}/low"] = point.estimate.low
                found[f"{name}/high"] = point.estimate.high
    return found

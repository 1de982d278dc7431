"""Finding a probe by its name."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from audit.bench import Probe
from audit.errors import ConfigError, did_you_mean


def names() -> dict[str, str]:
    """Return every known probe as ``{name: "module:Class"}``, without importing any.

    Raises:
        ConfigError: If an installed package offers a probe under the name of a shipped one.
    """
    ours: dict[str, str] = import_module("probes").CATALOGUE
    others = {point.name: point.value for point in entry_points(group="audit.probes")}
    taken = sorted(set(ours) & set(others))
    if taken:
        raise ConfigError(
            f"{others[taken[0]]} offers a probe called {taken[0]!r}, which is a shipped one.",
            hint="Uninstall that package, or ask its authors for another name.",
        )
    return ours | others


def probe_class(name: str) -> Any:
    """Return the class of the probe called `name`.

    Raises:
        ConfigError: If there is no such probe.
    """
    known = names()
    if name not in known:
        raise ConfigError(f"There is no probe {name!r}.", hint=did_you_mean(name, known))
    module, _, cls = known[name].partition(":")
    return getattr(import_module(module), cls)


def make(name: str, params: Mapping[str, object] | None = None, *, at: str = "") -> Probe:
    """Make the probe called `name` with the settings `params`.

    Raises:
        ConfigError: If there is no such probe, or a setting is unknown or of the wrong type.
    """
    from audit.borders import read_plain

    cls = probe_class(name)
    return cast(Probe, read_plain(cls, dict(params or {}), error=ConfigError, at=at or name))


def settings(probe: Probe) -> dict[str, object]:
    """Return the settings of a probe as plain values, for results and journal keys."""
    return {key: _plain(value) for key, value in asdict(cast(Any, probe)).items()}


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return value

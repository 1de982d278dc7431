"""What those who are responsible say to findings: in the audit file, or in a file of their own.

A file of its own holds the same table, and lives as long as the findings do:

    [responses."F-0123456789"]
    response = "The training texts were balanced; see the re-test of March."
    owner = "A. Person"
    due = 2027-01-31

The key is a finding's id, the measurement it speaks of, or a metric such as ``swaps.flip_rate``.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from audit.borders import read_plain
from audit.errors import ConfigError
from audit.types import STRICT, AuditResult, Finding, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFile:
    """A file of responses."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    responses: Mapping[str, str | Response] = field(default_factory=dict)


def read(path: Path) -> Mapping[str, Response]:
    """Return the responses of a file.

    Raises:
        ConfigError: If it is not there, no TOML, or has an unknown key.
    """
    try:
        plain = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as problem:
        raise ConfigError(
            f"There is no responses file at {path}.", hint="Name it after --responses."
        ) from problem
    except (OSError, ValueError, RecursionError) as problem:
        raise ConfigError(f"The responses file {path} cannot be read: {problem}.") from problem
    return settled(read_plain(ResponseFile, plain, error=ConfigError, at=path.name).responses)


def settled(responses: Mapping[str, str | Response]) -> Mapping[str, Response]:
    """Return every response in its long form: a mere text is the response itself."""
    return {
        key: Response(response=said) if isinstance(said, str) else said
        for key, said in sorted(responses.items())
    }


def answered(result: AuditResult, responses: Mapping[str, Response]) -> AuditResult:
    """Return the result with `responses` in front of its own."""
    origin = result.provenance
    return replace(result, provenance=replace(origin, responses={**origin.responses, **responses}))


def of(finding: Finding, responses: Mapping[str, Response]) -> Response:
    """Return the response to a finding: by its id, else by what it speaks of, else an empty one."""
    for key in (finding.id, finding.measurement, finding.measurement.partition("[")[0]):
        if key in responses:
            return responses[key]
    return Response()


def unheard(result: AuditResult) -> tuple[str, ...]:
    """Return the keys that answer no finding of this result, sorted."""
    known = {
        key
        for f in result.findings
        for key in (f.id, f.measurement, f.measurement.partition("[")[0])
    }
    return tuple(sorted(set(result.provenance.responses) - known))

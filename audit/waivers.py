"""Waivers: a known finding that somebody answers for, until a day.

A waiver stops a claim from moving the exit code and hides nothing: the verdict keeps its status and
says who waived it. It covers a claim that failed, is undecided or has no number; a probe that
crashed is not a known finding, so nothing waives it. A waiver that has expired, or that speaks of
no claim, waives nothing and is a problem of its own: whoever judges ends with code 2 at the least.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

from audit.borders import read_plain
from audit.errors import ConfigError
from audit.types import STRICT, AuditResult, Claim, Verdict, Waiver

_COVERED = ("fail", "inconclusive", "not_estimable")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverFile:
    """A file of ``[[waiver]]`` tables."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    waiver: tuple[Waiver, ...] = ()
    """One for each known finding."""


def read(path: Path) -> tuple[Waiver, ...]:
    """Read a waivers file.

    Raises:
        ConfigError: If it is not there, is not TOML, or a waiver lacks its claim, reason, owner or
            day. The message names the place, as ``waivers.toml.waiver[0]``.
    """
    try:
        plain = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as problem:
        raise ConfigError(
            f"There is no waivers file at {path}.", hint="Name it under [waivers] or --waivers."
        ) from problem
    except (OSError, ValueError, RecursionError) as problem:
        raise ConfigError(f"The waivers file {path} cannot be read: {problem}.") from problem
    return read_plain(WaiverFile, plain, error=ConfigError, at=path.name).waiver


def apply(
    verdicts: Sequence[Verdict], waivers: Sequence[Waiver], today: date
) -> tuple[Verdict, ...]:
    """Return the verdicts with `waived_by` where a waiver that has not expired covers them.

    The first waiver that speaks of a claim is the one that is named.
    """
    holding = [w for w in waivers if not expired(w, today)]
    return tuple(replace(v, waived_by=_waiver_of(v, holding)) for v in verdicts)


def problems(waivers: Sequence[Waiver], claims: Sequence[Claim], today: date) -> tuple[str, ...]:
    """Return one sentence for each waiver that has expired or speaks of no claim."""
    found = []
    for i, waiver in enumerate(waivers):
        at = f"waiver[{i}] ({waiver.claim}, owner {waiver.owner})"
        if not any(speaks_of(waiver, claim) for claim in claims):
            found.append(f"{at} speaks of no claim of this audit: correct it or drop it.")
        if expired(waiver, today):
            found.append(f"{at} expired after {waiver.expires}: decide again, or drop it.")
    return tuple(found)


def of_result(result: AuditResult, today: date | None = None) -> tuple[str, ...]:
    """Return the problems of the waivers that a result carries; see `problems`."""
    return problems(result.waivers, result.plan.claims, today or now())


def speaks_of(waiver: Waiver, claim: Claim) -> bool:
    """Tell whether a waiver's pattern is the claim's id, its measurement or its metric."""
    metric = claim.measurement.partition("[")[0]
    # Brackets are part of every id with a slice, so this is no shell pattern.
    pattern = ".*".join(re.escape(part) for part in waiver.claim.strip().split("*"))
    said = (claim.id, claim.measurement, metric)
    return any(re.fullmatch(pattern, one, re.DOTALL) for one in said)


def expired(waiver: Waiver, today: date) -> bool:
    """Tell whether the last day of a waiver is over."""
    return today > date.fromisoformat(waiver.expires)


def now() -> date:
    """Return the day it is, in UTC: the same on every machine that judges."""
    return datetime.now(UTC).date()


def _waiver_of(verdict: Verdict, holding: Sequence[Waiver]) -> str:
    if verdict.status not in _COVERED:
        return ""
    for waiver in holding:
        if speaks_of(waiver, verdict.claim):
            return f"{waiver.owner}, until {waiver.expires}: {waiver.reason}"
    return ""

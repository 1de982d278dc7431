"""Policies: gates kept in a file of their own, so that many audits can share them."""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from audit.borders import read_plain
from audit.errors import ConfigError, did_you_mean
from audit.shipped import shipped
from audit.types import STRICT, Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A file of gates."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    """What the policy is called."""
    what: str = ""
    """What it is for, in a sentence."""
    gate: tuple[Gate, ...]
    """Its limits."""


def names() -> list[str]:
    """Return the shipped policies."""
    return sorted(path.stem for path in (shipped("datasets") / "policies").glob("*.toml"))


def gates_of(policy: str, base: Path) -> tuple[Gate, ...]:
    """Return the gates of a shipped policy, or of a file in the folder `base`.

    Raises:
        ConfigError: If there is no such policy, or it is not one.
    """
    return find(policy, base).gate


def find(policy: str, base: Path) -> Policy:
    """Read a policy by its shipped name, or by a path that ends in ``.toml``; see `gates_of`."""
    if policy.endswith(".toml"):
        path = base / os.path.expanduser(policy)
    elif policy in names():
        path = shipped("datasets") / "policies" / f"{policy}.toml"
    else:
        raise ConfigError(
            f"There is no policy {policy!r}.",
            hint=f"{did_you_mean(policy, names())} A policy of your own is a path: {policy}.toml.",
        )
    try:
        plain = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as problem:
        raise ConfigError(
            f"There is no policy at {path}.", hint=f"Shipped ones: {', '.join(names())}."
        ) from problem
    except (OSError, ValueError) as problem:
        raise ConfigError(f"The policy {path} cannot be read: {problem}.") from problem
    found = read_plain(Policy, plain, error=ConfigError, at=path.name)
    if not found.gate:
        raise ConfigError(f"The policy {path.name} has no gate.")
    return found


def line_of(text: str, gate: int) -> int:
    """Return the line, from 1, on which a gate stands in an audit file; see `Claim.gate`.

    A gate of a policy stands where the audit file names the policy, and 1 where nothing is found.
    """
    own = [i for i, row in enumerate(_rows(text), 1) if re.match(r"\s*\[\[\s*gate\s*\]\]", row)]
    if gate < len(own):
        return own[gate]
    policy = (i for i, row in enumerate(_rows(text), 1) if re.match(r"\s*policy\s*=", row))
    return next(policy, 1)


def _rows(text: str) -> list[str]:
    return text.split("\n")

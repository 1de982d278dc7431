"""Where word nets, encoders and word lists are found, offline first, and what to do when not."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What is on this machine. Finding is lazy; nothing is downloaded."""

    roots: tuple[Path, ...] = field(default=())

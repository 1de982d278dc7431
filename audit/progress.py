"""Who wants to know how far an audit is."""

from typing import Protocol


class Progress(Protocol):
    """Who wants to know how far an audit is. Every method may do nothing."""

    def planned(self, probes: list[tuple[str, int]], texts: int) -> None:
        """The probes by name with the model calls each expects, and the audited texts."""

    def began(self, i: int, name: str) -> None:
        """Probe `i` starts."""

    def units(self, i: int, done: int, total: int) -> None:
        """Probe `i` has done `done` of `total` units."""

    def scored(self, n: int) -> None:
        """The model answered `n` texts."""

    def ended(self, i: int, name: str, how: str) -> None:
        """Probe `i` ended: ``done``, ``kept`` (from the journal), ``not run`` or ``error``."""


class Silent:
    """Progress that nobody watches."""

    def planned(self, probes: list[tuple[str, int]], texts: int) -> None: ...
    def began(self, i: int, name: str) -> None: ...
    def units(self, i: int, done: int, total: int) -> None: ...
    def scored(self, n: int) -> None: ...
    def ended(self, i: int, name: str, how: str) -> None: ...

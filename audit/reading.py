"""How texts are read under a budget: in which order, in which steps, and for which probes."""

import hashlib
import re
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Any

from audit import looks
from audit.errors import AuditError, ConfigError
from audit.planning import Prepared, as_read
from audit.types import Claim, Corpus
from audit.weighing import origin

NOT_READ = "not read"
"""How the reason begins for which a budget left texts out."""
_TIME = {"s": 1.0, "m": 60.0, "h": 3600.0}
_NEAR = 0.05
"""How far the calls of half of the texts may lie from half of the calls, where a probe grows with
them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an audit may cost: model calls, or seconds."""

    calls: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        return f"{self.calls}-calls" if self.calls is not None else f"{self.seconds:g}s"


def parse(text: str) -> Budget:
    """Read ``20000-calls``, ``90s``, ``10m`` or ``1.5h``.

    Raises:
        ConfigError: If it is none of these, or nothing at all.
    """
    if found := re.fullmatch(r"([\d_,]+)[- ]?calls?", text.strip()):
        calls = int(re.sub("[_,]", "", found[1]) or 0)
        if calls > 0:
            return Budget(calls=calls)
    elif (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())) and float(found[1]):
        return Budget(seconds=float(found[1]) * _TIME[found[2]])
    raise ConfigError(
        f"{text!r} is no budget.", hint="Write model calls as 20000-calls, or time as 90s, 10m, 2h."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a probe would be asked under a budget."""

    probe: int
    texts: tuple[int, ...]
    """Texts of each look, growing; one look where its questions do not grow with the texts."""
    calls: tuple[int, ...]
    """Model calls up to and with each look, as planned."""
    claims: tuple[Claim, ...]
    """What hangs on it."""


def reading_order(corpus: Corpus, seed: int) -> Corpus:
    """Return the corpus in the order in which a budget reads it: clusters whole, drawn by `seed`."""
    units: dict[str, list[Any]] = {}
    for e in corpus.examples:
        units.setdefault(f"c{e.cluster}" if e.cluster is not None else f"t{e.id}", []).append(e)

    def drawn(name: str) -> bytes:
        # By name and not by position: a text more leaves the order of the others.
        return hashlib.sha256(f"{seed}\0reading\0{name}".encode()).digest()

    ordered = [e for name in sorted(units, key=drawn) for e in units[name]]
    return replace(corpus, examples=tuple(ordered))


def paces(prepared: Prepared, order: Corpus) -> list[Pace]:
    """Return how each probe behind a claim would be asked. Scores nothing."""
    ends, total = _ends(order), len(order.examples)
    found = []
    for i, (probe, planned) in enumerate(zip(prepared.probes, prepared.plan.probes, strict=True)):
        claims = tuple(c for c in prepared.plan.claims if _behind(c, probe.name))
        mine = tuple(c for c in claims if origin(c) in planned.measurements)
        if not mine or planned.not_run:
            continue
        steps = looks.schedule(len(ends)) if ends and _grows(i, prepared, order) else ()
        texts = tuple(ends[n - 1] for n in steps) or (total,)
        calls = tuple(ceil(planned.queries * n / max(1, total)) for n in texts)
        found.append(Pace(probe=i, texts=texts, calls=calls, claims=mine))
    return found


def first(prepared: Prepared, order: Corpus, texts: int) -> Prepared:
    """Return the same audit over the first `texts` texts of the reading order."""
    corpora = {**prepared.corpora, "test": replace(order, examples=order.examples[:texts])}
    return replace(
        prepared,
        corpora=corpora,
        read={**prepared.read, "test": as_read(corpora["test"])},
        benches=tuple(
            replace(bench, corpus=corpora["test"], corpora=corpora) for bench in prepared.benches
        ),
    )


def _ends(order: Corpus) -> list[int]:
    """Return how many texts the first 1, 2, … independent units are."""
    ends: list[int] = []
    before = object()
    for i, e in enumerate(order.examples, 1):
        if ends and e.cluster is not None and e.cluster == before:
            ends[-1] = i
        else:
            ends.append(i)
        before = e.cluster
    return ends


def _grows(i: int, prepared: Prepared, order: Corpus) -> bool:
    """Tell whether a probe asks half as much of half the texts: then their first are a sample.

    One that draws a fixed number of texts, or brings its own, draws others from fewer; it is asked
    once, of all.
    """
    half = first(prepared, order, ceil(len(order.examples) / 2))
    whole = prepared.plan.probes[i]
    try:
        asked = prepared.probes[i].plan(half.benches[i])
    except AuditError:
        return False
    near = _NEAR + 2 / sqrt(max(1, whole.units))
    return abs(asked.units / max(1, whole.units) - 0.5) <= near and whole.units > 0


def _behind(claim: Claim, probe: str) -> bool:
    return origin(claim).split(".")[0] == probe

"""What a person sees in the terminal: progress, tables, errors."""

import sys
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

from audit import waivers
from audit.figures import parse, slice_words
from audit.power import mde_of_claim, texts_needed
from audit.prospects import Chances, Prospect
from audit.reading import NOT_READ, Budget, Pace
from audit.types import (
    Absent,
    AuditResult,
    Claim,
    Estimate,
    Measurement,
    Plan,
    Verdict,
)

_ORDER = ("fail", "error", "inconclusive", "not_estimable", "not_applicable", "pass")


def plain(text: object) -> str:
    """Return `text` with control and bidirectional characters as visible escapes.

    Audited texts and file names may hold terminal commands; none reaches the terminal.
    """
    return "".join(c if c == "\n" or c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as aligned columns; the last one is not padded."""
    cells = [[plain(c).replace("\n", " ") for c in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def number(value: float) -> str:
    return f"{value:+.3f}" if value < 0 else f"{value:.3f}"


def estimate(value: Estimate | Absent) -> str:
    """Return a number with its interval and n, or why there is none."""
    if isinstance(value, Absent):
        return f"no number: {value.reason}"
    said = f"{number(value.value)} [{number(value.low)}, {number(value.high)}]"
    return f"{said}, {value.level:.0%}, n={value.n}"


def verdicts(result: AuditResult) -> str:
    """Return the claims with their verdicts, worst first."""
    if not result.verdicts:
        return "No gate was declared: everything measured is exploratory."
    ordered = sorted(result.verdicts, key=lambda v: _ORDER.index(v.status))
    rows = [
        (
            v.status.upper() + (" (waived)" if v.waived_by else ""),
            v.claim.id,
            _interval(v),
            f"{v.because}; waived by {v.waived_by}" if v.waived_by else v.because,
        )
        for v in ordered
    ]
    return table(("verdict", "claim", "value [interval]", "because"), rows)


def summary(result: AuditResult) -> str:
    """Return how many claims came to which verdict, and what did not run."""
    counts = {s: sum(v.status == s for v in result.verdicts) for s in _ORDER}
    said = ", ".join(f"{n} {s.replace('_', ' ')}" for s, n in counts.items() if n) or "no claims"
    lines = [f"{len(result.verdicts)} claims: {said}."]
    for run in result.runs:
        if run.error:
            lines.append(f"{run.probe} did not finish: {run.error}")
        if run.not_run:
            lines.append(f"{run.probe} was not run: {run.not_run} {run.not_run_hint}".rstrip())
        lines += [
            f"{run.probe}: {s.count:,} texts {s.reason}."
            for s in run.skips
            if s.reason.startswith(NOT_READ)
        ]
    lines += waivers.of_result(result)
    return plain("\n".join(lines))


def measurements(found: Iterable[Measurement]) -> str:
    return table(("measurement", "value"), [(m.id, estimate(m.value)) for m in found])


def planned(
    plan: Plan, texts: int, rate: float | None, said: str, target: float | None = None
) -> str:
    """Return what would run, what it would cost, what it could detect, and what `target` takes."""
    rows: list[tuple[object, ...]] = []
    for p in plan.probes:
        if p.not_run:
            rows.append((p.probe, "-", "-", "-", f"not run: {p.not_run} {p.not_run_hint}"))
            continue
        calls = ("up to " if p.upper_bound else "") + f"{p.queries:,}"
        smallest = f"{min(p.mde.values()):.3f} to {max(p.mde.values()):.3f}" if p.mde else "-"
        rows.append(
            (p.probe, p.units, calls, smallest, ", ".join(f"{k}={v}" for k, v in p.params.items()))
        )
    total = texts + sum(p.queries for p in plan.probes)
    lines = [
        table(
            ("probe", "texts", "model calls", "detectable effect (80 % power)", "settings"), rows
        ),
        "",
        table(
            ("claim", "at least n", "blocking", "fails (80 % power) beyond its limit by"),
            [(c.id, c.min_n, "yes" if c.blocking else "no", _mde(plan, c)) for c in plan.claims],
        )
        if plan.claims
        else "No gates: everything measured would be exploratory.",
        "",
        *_detectable(plan, texts, target),
        f"{len(plan.claims)} claims (m = {sum(c.blocking for c in plan.claims)} blocking), "
        f"alpha {plan.alpha}, seed {plan.seed}.",
        f"{total:,} model calls at most, fewer where texts repeat or the cache knows them.",
    ]
    if rate:
        lines.append(f"About {duration(total / rate)} at {rate:.0f} texts/s ({said}).")
    lines.append(f"Plan digest {plan.digest[:16]}.")
    return "\n".join(lines)


def prospected(found: Sequence[Prospect], discordance: float, *, budget: bool) -> str:
    """Return the chance of each outcome for claims whose size can be told without a model."""
    if not found:
        return ""
    rows = [(p.claim.id, f"{p.units:,}", *(_chances(c) for c in (p.kept, p.broken))) for p in found]
    head = ("claim", "n", "nothing worse: pass/fail/undecided", "worse by twice the limit")
    said = f"Where releases are compared, they are taken to differ on {discordance:.0%} of texts"
    read = ", and texts to be read in looks until all are." if budget else "."
    return f"{table(head, rows)}\n{said}{read}"


def paced(found: Sequence[Pace], plan: Plan, texts: int, budget: Budget) -> str:
    """Return how the texts would be read under a budget."""
    rows = []
    for p in found:
        rows.append(
            (
                plan.probes[p.probe].probe,
                len(p.claims),
                len(p.texts),
                f"{p.texts[0]:,} to {p.texts[-1]:,}" if len(p.texts) > 1 else f"{p.texts[0]:,}",
                f"{p.calls[0]:,} to {p.calls[-1]:,}" if len(p.calls) > 1 else f"{p.calls[0]:,}",
            )
        )
    asked = {p.probe for p in found}
    rest = [one.probe for i, one in enumerate(plan.probes) if i not in asked]
    least = sum(p.calls[0] for p in found) + max((p.texts[0] for p in found), default=0)
    most = sum(p.calls[-1] for p in found) + texts
    lines = [
        table(("probe", "claims", "looks", "texts read", "model calls"), rows),
        f"Budget {budget}: each looks first where a claim is likeliest settled for its cost, and "
        "stops when its verdicts are. One look each takes "
        f"{least:,} model calls, all looks {most:,}.",
    ]
    if budget.calls is not None and budget.calls < most:
        lines.append(f"At most {budget.calls / most:.0%} of all calls: what is left is undecided.")
    if rest:
        lines.append(f"Not run, as no gate hangs on it: {', '.join(rest)}.")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def question(name: str) -> str:
    """Return the question a probe asks: the first line of its file."""
    from audit.catalogue import probe_class

    module = sys.modules[probe_class(name).__module__]
    return (module.__doc__ or "").strip().splitlines()[0]


def described(name: str) -> str:
    """Return a probe's question, method, source and settings."""
    from dataclasses import MISSING, fields

    from audit.catalogue import probe_class

    cls = probe_class(name)
    doc = (sys.modules[cls.__module__].__doc__ or "").strip()
    rows = []
    for f in fields(cls):
        default = f.default if f.default is not MISSING else None
        if f.default_factory is not MISSING:
            default = f.default_factory()
        required = f.default is MISSING and f.default_factory is MISSING
        kind = f.type.__name__ if isinstance(f.type, type) else str(f.type)
        kind = kind.replace("typing.", "")
        rows.append((f.name, kind, "required" if required else repr(default)))
    needs = ", ".join(sorted(cls.needs)) or "texts only"
    settings = table(("setting", "type", "default"), rows) if rows else "No settings."
    cards = f"\n\n{_cards_of_attacks()}" if name == "attack" else ""
    return f"{doc}\n\nVersion {cls.version}; needs {needs}.\n\n{settings}{cards}"


def _cards_of_attacks() -> str:
    from audit.attack_recipes import recipes

    rows = [
        (
            one.name,
            one.what,
            ", ".join(sorted(one.needs)) or "nothing more",
            ", ".join(one.languages),
            one.source,
        )
        for one in recipes().values()
    ]
    return table(("recipe", "changes", "needs", "languages", "source"), rows)


def installed() -> str:
    """Return what this suite found on the machine, and how to get what it did not."""
    from audit import provenance
    from audit.resources import Resources

    found = provenance.packages()
    packages = [(name, found.get(name, "missing")) for name in provenance.PACKAGES]
    resources = [
        (one.what, "found" if one.found else "missing", one.where if one.found else one.get)
        for one in Resources().describe()
    ]
    return (
        table(("package", "version"), packages)
        + "\n\n"
        + table(("resource", "", "where, or how to get it"), resources)
    )


class Display:
    """Progress of a run: a live display in a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live: Any = None
        self._tasks: dict[int, Any] = {}
        self._scored, self._began = 0, monotonic()
        self._expected: list[tuple[str, int]] = []
        self._last_line = 0.0
        self._tenth = -1

    def __enter__(self) -> "Display":
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Say what is being done now, between audits."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.console.print(plain(line), markup=False, highlight=False)
        else:
            print(plain(line), file=sys.stderr, flush=True)

    def training(self, done: int, total: int, note: str) -> None:
        """Say how far a training is, every tenth of it."""
        tenth = 10 * done // max(1, total)
        if tenth != self._tenth:
            self._tenth = tenth
            self.say(f"    step {done:,} of {total:,}" + (f", after {note}" if note else ""))

    def planned(self, probes: list[tuple[str, int]], texts: int) -> None:
        self._expected = probes
        self._scored, self._began = 0, monotonic()
        for task in self._tasks.values():
            self._live.remove_task(task)
        self._tasks = {}
        if self._live is not None:
            for i, (name, queries) in enumerate(probes):
                self._tasks[i] = self._live.add_task(name, total=max(1, queries), said="")
        self.say(f"{texts:,} texts, {len(probes)} probes.")

    def began(self, i: int, name: str) -> None:
        if self._live is None:
            self.say(f"[{i + 1}/{len(self._expected)}] {name} …")

    def units(self, i: int, done: int, total: int) -> None:
        if self._live is not None:
            self._live.update(self._tasks[i], completed=done, total=total, said=self._rate())
        elif monotonic() - self._last_line > 10:
            self._last_line = monotonic()
            self.say(f"    {done:,} of {total:,} {self._rate()}")

    def scored(self, n: int) -> None:
        self._scored += n
        if self._live is None and monotonic() - self._last_line > 10:
            self._last_line = monotonic()
            self.say(f"    {self._rate()}")

    def ended(self, i: int, name: str, how: str) -> None:
        if self._live is not None:
            task = self._live.tasks[self._live.task_ids.index(self._tasks[i])]
            self._live.update(self._tasks[i], completed=task.total, said=how)
        elif how != "done":
            self.say(f"    {name}: {how}")

    def _rate(self) -> str:
        seconds = max(monotonic() - self._began, 1e-3)
        rate = self._scored / seconds
        left = sum(q for _, q in self._expected) - self._scored
        if not self._scored or left <= 0:
            return f"{self._scored:,} model calls, {rate:.0f}/s"
        return f"{self._scored:,} model calls, {rate:.0f}/s, at most {duration(left / rate)} left"


def _chances(c: Chances) -> str:
    return f"{c.passes:.0%} / {c.fails:.0%} / {c.undecided:.0%}"


def _interval(v: Verdict) -> str:
    if v.value is None or v.interval is None:
        return "-"
    level = f" {v.interval_level:.1%}" if v.interval_level else ""
    return f"{number(v.value)} [{number(v.interval[0])}, {number(v.interval[1])}]{level}"


def _detectable(plan: Plan, texts: int, target: float | None) -> list[str]:
    """Return the smallest effect that each slice of each probe could show, and texts for another.

    The texts for `target` are those that its least sensitive number needs, in the same mix.
    """
    slices: dict[tuple[str, str], list[float]] = {}
    for p in plan.probes:
        for name, mde in p.mde.items():
            where = {k: v for k, v in parse(name).where.items() if k != "threshold"}
            slices.setdefault((p.probe, slice_words(where)), []).append(mde)
    if not slices:
        return []
    head = ["probe", "slice", "detectable effect (80 % power)"]
    head += [] if target is None else [f"texts in all for {target:g}"]
    rows = []
    for (probe, among), found in slices.items():
        low, high = f"{min(found):.3f}", f"{max(found):.3f}"
        row = [probe, among, low if low == high else f"{low} to {high}"]
        if target is not None:
            needed = texts_needed(max(found), texts, target)
            row.append("-" if needed is None else f"{needed:,}")
        rows.append(row)
    return [table(head, rows), ""]


def _mde(plan: Plan, claim: Claim) -> str:
    family = sum(other.blocking is claim.blocking for other in plan.claims)
    for p in plan.probes:
        if claim.measurement in p.mde:
            return f"{mde_of_claim(p.mde[claim.measurement], family, alpha=plan.alpha):.3f}"
    return "-"

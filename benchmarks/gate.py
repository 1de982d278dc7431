"""What does a gate do to pull requests: how often does it stop one that changes nothing, or pass a
worse one, and what does a budget save?

A pull request is a model beside the last release, on 2,000 texts, with one decision in ten changed;
the gate is accuracy, no worse than the baseline by a margin. Each is audited once over all texts and
once under a budget that is never short, so that the audit looks at the texts twelve times and stops
as soon as the verdict is settled. The classifier is a table of decisions. What decides is what
decides for users: `budgeted.spend`, `baseline.worsenings`, `gates.judge`, `gates.exit_code`; left
out for time are the files, and the numbers that no gate hangs on. Some requests of each kind go
through `runner.run` as well, files and all, and must come to the same code after as many texts.

    python benchmarks/gate.py                1,000 pull requests of each kind, twice each
    python benchmarks/gate.py --work DIR     the same, going on where it was interrupted
    python benchmarks/gate.py --quick        a few of each; at most 50 s
    python benchmarks/gate.py --sabotage     with --quick: every look is judged as if it were the
                                             only one; must fail

Bars, for both ways of running: nothing changed, margin 0.02: exit 1 in at most 5 %, exit 0 in at
least 80 %; three points worse, margin 0.01: exit 1 in at least 80 %; three points worse, margin
0.02: exit 0 in at most 5 %; worse by just the margin: exit 0 and exit 1 in at most 5 % each. Beside
them stands what naive gates do: one that takes the two models' texts for different ones, and ones
that look as often and do not pay for it. With --quick a bar counts as missed when the exact 95 %
interval excludes it.

Second part: what a budget saves on the demo's applicants. The fixed design has as many texts as
give 80 % power where the truth lies one margin away from the limit, at the same alpha; in the runs
it lies two margins beyond the limit. Bar: over 20 seeds the verdict is settled with at most half of
the model calls in the median. The harder case, the truth one margin beyond the limit, is printed
and has no bar: there even a sequential test that knows the effect beforehand needs more than half.
The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import (
    baseline,
    budgeted,
    gates,
    intervals,
    judging,
    looks,
    metrics,
    planning,
    prospects,
    reading,
    runner,
    sample,
    stats,
    store,
)
from audit.config import (
    AuditConfig,
    AuditSection,
    BaselineConfig,
    CorpusConfig,
    DecisionConfig,
    ModelConfig,
    ProbeConfig,
)
from audit.planning import Prepared
from audit.reading import Budget, reading_order
from audit.types import (
    AuditResult,
    Corpus,
    Estimate,
    Example,
    Gate,
    Measurement,
    ProbeCost,
    ProbeRun,
    measurement_id,
)

LABELS = ("negative", "positive")
TEXTS, DISCORDANCE, RIGHT = 2_000, 0.10, 0.80
NEVER_SHORT = Budget(calls=10**9)
SEEDS = 20
DEMO_MARGIN = 0.03
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Pull requests of one kind, and what their gate must do."""

    name: str
    worse: float
    margin: float
    bars: tuple[tuple[int, str, float], ...]
    """Exit code, ``at most`` or ``at least``, share."""


KINDS = (
    Kind(
        name="nothing changed",
        worse=0.0,
        margin=0.02,
        bars=((1, "at most", 0.05), (0, "at least", 0.80)),
    ),
    Kind(name="three points worse", worse=0.03, margin=0.01, bars=((1, "at least", 0.80),)),
    Kind(name="three points worse", worse=0.03, margin=0.02, bars=((0, "at most", 0.05),)),
    Kind(
        name="worse by the margin",
        worse=0.02,
        margin=0.02,
        bars=((0, "at most", 0.05), (1, "at most", 0.05)),
    ),
)


class Table:
    """A classifier that looks its decision up by the text."""

    labels = LABELS
    head = "single"

    def __init__(self, rows: dict[str, int], says: Bools, name: str) -> None:
        self.rows, self.says, self.fingerprint = rows, says, name

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        p = np.where(self.says[[self.rows[text] for text in texts]], 0.9, 0.1)
        return np.stack([1 - p, p], axis=1)


@dataclass(kw_only=True)
class Shop:
    """Texts, a release with its baseline, and a folder to work in."""

    corpus: Corpus
    rows: dict[str, int]
    truth: Bools
    right: Bools
    """Shape ``(n,)``: what the release gets right."""
    where: dict[str, str]
    folder: Path
    seed: int

    def config(self, margin: float, *, against: bool) -> AuditConfig:
        gate = Gate(
            metric="group_rates.accuracy",
            where=self.where,
            no_worse_than="baseline",
            margin=margin,
        )
        return AuditConfig(
            audit=AuditSection(seed=self.seed),
            model=ModelConfig(path="in memory"),
            decision=DecisionConfig(favourable=("positive",)),
            corpora={"test": CorpusConfig(path="in memory")},
            probe=(ProbeConfig(name="group_rates"),),
            gate=(gate,),
            baseline=BaselineConfig(path=str(self.folder / "kept") if against else None),
        )

    def run(self, right: Bools, name: str, margin: float, budget: Budget | None) -> AuditResult:
        """Audit a model that gets `right` right, as `evenhand run` does."""
        out = self.folder / "audit"
        shutil.rmtree(out, ignore_errors=True)
        says = np.where(right, self.truth, ~self.truth)
        return runner.run(
            self.config(margin, against=name != "release"),
            out,
            classifier=Table(self.rows, says, name),
            corpora={"test": self.corpus},
            budget=budget,
        )

    @cached_property
    def prepared(self) -> Prepared:
        return planning.prepare(
            self.config(0.02, against=False),
            classifier=Table(self.rows, self.truth, "unasked"),
            corpora={"test": self.corpus},
        )

    @cached_property
    def held(self) -> baseline.Baseline:
        found = baseline.load(self.folder / "kept")
        assert found is not None
        return found

    @cached_property
    def units(self) -> dict[str, list[Any]]:
        """Columns that are the same for every model."""
        return {name: list(column) for name, column in self.held.units.items()}

    def release(self) -> None:
        """Audit the release and keep it."""
        self.run(self.right, "release", 0.02, None)
        baseline.save(self.folder / "audit", self.folder / "kept")


def changed(right: Bools, mine: Bools, worse: float, rng: np.random.Generator) -> Bools:
    """Return what the new model gets right: one text in ten moves, net `worse` for the worse."""
    draw = rng.random(len(right))
    lost = right & (draw < (DISCORDANCE + worse) / 2 / RIGHT)
    gained = ~right & (draw < (DISCORDANCE - worse) / 2 / (1 - RIGHT))
    return np.where(mine, (right & ~lost) | gained, right)


def texts(folder: Path) -> Shop:
    examples = tuple(
        Example(id=f"e{i}", text=f"text {i}", label=LABELS[i % 2], groups={"group": "women"})
        for i in range(TEXTS)
    )
    return shop(examples, {"group": "women"}, folder, 0)


def shop(examples: Sequence[Example], where: dict[str, str], folder: Path, seed: int) -> Shop:
    corpus = Corpus(name="test", labels=LABELS, examples=tuple(examples), sha256=f"{seed}")
    rng = np.random.default_rng([seed, 1])
    made = Shop(
        corpus=corpus,
        rows={e.text: i for i, e in enumerate(examples)},
        truth=np.array([e.label == "positive" for e in examples]),
        right=rng.random(len(examples)) < RIGHT,
        where=where,
        folder=folder,
        seed=seed,
    )
    made.release()
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few of each; at most 50 s")
    parser.add_argument("--sabotage", action="store_true", help="looks are not paid for; must fail")
    parser.add_argument("--requests", type=int, help="pull requests of each kind")
    parser.add_argument("--work", type=Path, help="folder to go on in")
    said = parser.parse_args()
    clock = time.perf_counter()
    # A second route to the same rates, which moves no number; digests are for the journal alone.
    metrics.check_points = lambda *_: None
    reading.as_read = lambda texts: str(len(texts.examples))
    if said.sabotage:
        looks.p_of = lambda p, look, number: p
        looks.alone = lambda alpha, look, number: alpha
    requests = said.requests or (40 if said.quick else 1_000)
    exact = not said.quick
    holds = True
    found: list[dict[str, Any]] = []
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        one = texts(Path(temporary))
        for number, kind in enumerate(KINDS):
            codes = simulate(one, number, kind, requests, said)
            holds &= report(kind, codes, found, exact=exact)
        saved = savings(Path(temporary), 3 if said.quick else SEEDS, said)
    holds &= plan_is_right(one, found)
    median = float(np.median(saved["two margins beyond"]))
    kept = median <= 0.5
    holds &= kept
    print("model calls under a budget over those of the fixed design, on the demo's applicants")
    for name, ratios in saved.items():
        low, high = np.quantile(ratios, [0.1, 0.9])
        print(f"  {name:<24} median {np.median(ratios):.2f}, 10 % to 90 % {low:.2f} to {high:.2f}")
    print(f"  at most 0.50 two margins beyond: {'holds' if kept else 'MISSED'}")
    line = {
        "benchmark": "gate",
        "quick": said.quick,
        "sabotage": said.sabotage,
        "requests": requests,
        "figure": median,
        "bar": 0.5,
        "shares": found,
        "saved": {name: [round(r, 4) for r in ratios] for name, ratios in saved.items()},
        "seconds": round(time.perf_counter() - clock, 1),
        "holds": bool(holds),
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


def simulate(
    one: Shop, number: int, kind: Kind, requests: int, said: argparse.Namespace
) -> dict[str, list[int]]:
    """Return the exit codes of each way of gating the same pull requests."""
    kept = said.work / f"gate-{number}.jsonl" if said.work and not said.sabotage else None
    rows: list[dict[str, int]] = []
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if kept.exists():
            rows = [json.loads(row) for row in kept.read_text().splitlines()][:requests]
    # So many go through the whole audit too.
    whole = 1 if said.quick else 10
    for i in range(len(rows), requests):
        rng = np.random.default_rng([number, i])
        new = changed(one.right, np.ones(TEXTS, bool), kind.worse, rng)
        desk = Desk(one, new, kind.margin)
        row = {"all texts": desk.at_once(), "budget": desk.in_looks()}
        row |= naive(one, new, kind.margin)
        rows.append(row)
        if i < whole:
            for name, budget in (("all texts", None), ("budget", NEVER_SHORT)):
                result = one.run(new, f"{number} {i}", kind.margin, budget)
                read = desk.read if budget else TEXTS
                assert (code(result), asked(result)) == (row[name], read), f"{kind.name} {i} {name}"
        if kept is not None:
            with kept.open("a") as file:
                file.write(json.dumps(row) + "\n")
    names = ("all texts", "budget", "unpaired", "unpaired, peeking", "paired, peeking")
    return {name: [row[name] for row in rows] for name in names}


class Desk:
    """One pull request, audited in memory."""

    def __init__(self, one: Shop, new: Bools, margin: float) -> None:
        self.one = one
        self.favourable = np.where(new, one.truth, ~one.truth)
        self.right = new
        self.read = 0
        base = one.prepared
        claims = gates.expand(one.config(margin, against=True).gate, base.plan.probes)
        self.prepared = replace(base, plan=replace(base.plan, claims=claims))
        self.ids = [c.measurement for c in claims]

    def at_once(self) -> int:
        """Return the exit code after all texts."""
        run, _, _ = self.ask(0, self.prepared)
        return self.code([run], self.held(self.prepared, [run], self.ids, None))

    def in_looks(self) -> int:
        """Return the exit code under a budget; `read` then says how many texts it took."""
        spent = budgeted.spend(self.prepared, NEVER_SHORT, self.ask, self.held)
        self.read = len(spent.read.test.examples)
        return self.code(spent.runs, self.held(spent.read, spent.runs, self.ids, None))

    def ask(self, i: int, part: Prepared) -> tuple[ProbeRun, ProbeCost, None]:
        """Measure the one number that a gate hangs on."""
        rows = self.rows(part)
        measurement = Measurement(
            id=measurement_id("group_rates", "accuracy", self.one.where),
            metric="accuracy",
            where=self.one.where,
            value=stats.share(int(self.right[rows].sum()), len(rows)),
            unit="share of texts",
            eligible=len(rows),
        )
        run = ProbeRun(probe="group_rates", version="2", params={}, measurements=(measurement,))
        return run, ProbeCost(probe="group_rates"), None

    def held(
        self, part: Prepared, runs: Sequence[ProbeRun], ids: Sequence[str], cases: Path | None
    ) -> tuple[Measurement, ...]:
        rows = self.rows(part)
        units = {name: [column[i] for i in rows] for name, column in self.one.units.items()}
        units["favourable"] = self.favourable[rows].tolist()
        units["correct"] = self.right[rows].tolist()
        return baseline.worsenings(self.one.held, runs, ids, units, store.joined([]))

    def rows(self, part: Prepared) -> NDArray[np.intp]:
        return np.array([self.one.rows[e.text] for e in part.test.examples])

    def code(self, runs: Sequence[ProbeRun], found: tuple[Measurement, ...]) -> int:
        worse = ProbeRun(probe=baseline.PROBE, version="1", params={}, measurements=found)
        verdicts = gates.judge(self.prepared.plan.claims, [*runs, worse])
        return gates.exit_code(verdicts, [*runs, worse])


def code(result: AuditResult) -> int:
    return judging.exit_code(result)


def naive(one: Shop, new: Bools, margin: float) -> dict[str, int]:
    """Return the exit codes of gates that pair no texts, or look as often and do not pay for it."""
    row = {e.id: i for i, e in enumerate(one.corpus.examples)}
    order = [row[e.id] for e in reading_order(one.corpus, one.seed).examples]
    codes = {"unpaired": 3, "unpaired, peeking": 3, "paired, peeking": 3}
    for n in looks.schedule(TEXTS):
        old, now = one.right[order[:n]], new[order[:n]]
        lost, gained = int((old & ~now).sum()), int((now & ~old).sum())
        for name, worse in (
            ("unpaired", stats.difference(int(old.sum()), n, int(now.sum()), n, level=0.90)),
            ("paired", stats.paired_difference(n, lost, gained, level=0.90)),
        ):
            assert isinstance(worse, Estimate)
            verdict = 0 if worse.high < margin else 1 if worse.low > margin else 3
            peeking = f"{name}, peeking"
            codes[peeking] = verdict if codes[peeking] == 3 else codes[peeking]
            if name == "unpaired":
                codes[name] = verdict
    return codes


def report(
    kind: Kind, codes: dict[str, list[int]], found: list[dict[str, Any]], *, exact: bool
) -> bool:
    print(f"{kind.name}, margin {kind.margin:g}: {len(codes['all texts'])} pull requests")
    holds = True
    for name, said in codes.items():
        shares = {c: share(said.count(c), len(said)) for c in (0, 1, 3)}
        cells = "   ".join(
            f"{word} {e.value:.3f} ({e.low:.3f} to {e.high:.3f})"
            for word, e in zip(("pass", "fail", "undecided"), shares.values(), strict=True)
        )
        print(f"  {name:<18} {cells}")
        found.append(
            {
                "kind": kind.name,
                "margin": kind.margin,
                "way": name,
                "requests": len(said),
                "pass": shares[0].value,
                "fail": shares[1].value,
                "undecided": shares[3].value,
            }
        )
        if "paired" in name:
            continue
        for c, side, bar in kind.bars:
            e = shares[c]
            if exact:
                kept = e.value <= bar if side == "at most" else e.value >= bar
            else:
                kept = e.low <= bar if side == "at most" else e.high >= bar
            holds &= kept
            print(f"    exit {c} {side} {bar:g}: {'holds' if kept else 'MISSED'}")
    return holds


def share(hits: int, n: int) -> Estimate:
    e = stats.clopper_pearson(hits, n)
    assert isinstance(e, Estimate)
    return e


def plan_is_right(one: Shop, found: list[dict[str, Any]]) -> bool:
    """Hold what `evenhand plan` prints for these texts against what the pull requests came to."""
    print("what `evenhand plan` says where nothing changes")
    holds = True
    for name, budget in (("all texts", False), ("budget", True)):
        (said,) = prospects.prospects(one.prepared, discordance=DISCORDANCE, budget=budget)
        seen = next(f for f in found if f["way"] == name and f["kind"] == "nothing changed")
        e = share(round(seen["pass"] * seen["requests"]), seen["requests"])
        # The plan reckons with the normal distribution, verdicts with exact bounds.
        kept = e.low - 0.04 <= said.kept.passes <= e.high + 0.04
        holds &= kept
        print(
            f"  {name:<16} pass {said.kept.passes:.3f} said, {e.value:.3f} seen: "
            f"{'holds' if kept else 'MISSED'}"
        )
    return holds


def savings(folder: Path, seeds: int, said: argparse.Namespace) -> dict[str, list[float]]:
    """Return model calls under a budget over those of the fixed design, by seed."""
    known = intervals.z_of(0.95) + intervals.z_of(0.80)
    women = ceil(DISCORDANCE * (known / DEMO_MARGIN) ** 2)
    saved: dict[str, list[float]] = {"two margins beyond": [], "one margin beyond": []}
    kept = said.work / "saved.json" if said.work and not said.sabotage else None
    if kept is not None and kept.exists():
        saved = {name: found[:seeds] for name, found in json.loads(kept.read_text()).items()}
    for seed in range(len(saved["one margin beyond"]), seeds):
        people = sample.generate(seed, 2 * women + 200).examples
        female = [e for e in people if e.groups["sex"] == "female"][:women]
        male = [e for e in people if e.groups["sex"] == "male"][:women]
        renamed = {"advance": "positive", "do not advance": "negative"}
        examples = [
            Example(id=e.id, text=e.text, label=renamed[str(e.label)], groups=e.groups)
            for e in [*female, *male]
        ]
        at = folder / f"demo-{seed}"
        one = shop(examples, {"sex": "female"}, at, seed)
        mine = np.array([e.groups["sex"] == "female" for e in examples])
        for name, times in (("two margins beyond", 3), ("one margin beyond", 2)):
            rng = np.random.default_rng([seed, times])
            new = changed(one.right, mine, times * DEMO_MARGIN, rng)
            calls = [
                asked(one.run(new, f"{name} {seed}", DEMO_MARGIN, budget))
                for budget in (None, NEVER_SHORT)
            ]
            saved[name].append(calls[1] / calls[0])
        shutil.rmtree(at)
        if kept is not None:
            kept.write_text(json.dumps(saved))
    return saved


def asked(result: AuditResult) -> int:
    """Return the texts that the model was asked: on a table, each costs one call."""
    left = sum(s.count for run in result.runs for s in run.skips if s.reason.startswith("not read"))
    return next(c.texts for c in result.provenance.corpora if c.name == "test") - left


if __name__ == "__main__":
    sys.exit(main())

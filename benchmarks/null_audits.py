"""How often is a model without any disparity failed, and how often is a planted gap found?

Every audit is a whole one: texts with groups, a callable classifier, the plan a user would write,
the probes' own run, `gates.judge`. In the first part the model knows nothing of any group, and
gates stand where it hurts: at no gap at all, or with rates exactly at their limit. An audit counts
when a single claim of it fails. Where texts come from templates, a suite of crossed templates is run
too (`probes.templates`). In the second part a gap of the size that `evenhand plan` prints as the
smallest detectable, and of 1.3 times it, is planted in one group; and one as far beyond a gate's
limit as `evenhand plan` says that it must lie for one of so many claims to fail.

    python benchmarks/null_audits.py              1,000 audits without, 1,500 with a planted gap
    python benchmarks/null_audits.py --quick      60 and 150; at most 50 s
    python benchmarks/null_audits.py --sabotage   with --quick: clusters taken for single texts and
                                                  no correction for many claims; must fail

Bars: the exact 95 % interval of the share of failed audits reaches down to 0.05; that of planted
gaps found reaches up to 0.80, and to 0.95 at 1.3 times; no gap is found in the wrong direction.
*Found* is what the detectable effect is defined for: the 95 % interval excludes 0, or the limit. The
verdict of a gate is stricter, as it looks at exact bounds and corrects for all that was asked; its
share is printed beside, and has a bar of 0.80 at the distance that the plan prints for gates. The
last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import gates, stats
from audit.bench import Bench, Planned
from audit.catalogue import make
from audit.decision import make as decision
from audit.power import mde_of_claim
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.types import (
    Claim,
    Corpus,
    Estimate,
    Example,
    Gate,
    Measurement,
    PlannedProbe,
    ProbeRun,
    Verdict,
)

SEED = 5
ALPHA, POWER, PLAIN = 0.05, 0.80, 0.95
KINDS = ("against the rest", "against a reference", "templates crossed", "sources nested")
GROUPS = (2, 3, 5, 10, 20, 40)
SIZES = (40, 80, 200)
"""Texts of a group; half of the audits have one group five times as large."""
RATES = (0.05, 0.2, 0.5, 0.8)
LIMITS = (0.0, 0.02, 0.05)
WRONG = 0.2
"""Share of a suite's checks that fail, whoever they are about."""
PAIR = "swaps.favourable_gap[axis=gender,pair=female-male]"
Floats = NDArray[np.float64]
Plant = Callable[[float, int], tuple[Estimate, bool]]
"""Of times the printed effect and a number: what was measured less its limit, and the gate's word."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A classifier that looks its scores up: by the text's number, and a little by its wording."""

    labels: tuple[str, ...] = ("no", "yes")
    head: str = "single"
    fingerprint: str
    base: Floats
    wording: float
    """Standard deviation of what another wording of the same text adds."""
    male: float = 0.0
    """What 'he' adds in place of 'she'."""
    linear: bool = False
    """The latent value is the score itself, not its normal quantile."""

    def probabilities(self, texts: Sequence[str]) -> Floats:
        from scipy.special import ndtr, ndtri

        index = np.array([int(text.rsplit(" ", 1)[1]) for text in texts])
        drawn = np.array([crc32(f"{self.fingerprint} {text}".encode()) for text in texts])
        z = self.base[index] + self.wording * ndtri((drawn + 0.5) / 2**32)
        z += self.male * np.array([text.startswith(("He ", "he ")) for text in texts])
        p = np.clip(z, 0.0, 1.0) if self.linear else ndtr(z)
        return np.stack([1 - p, p], axis=1)


@dataclass
class Tally:
    """Audits with any fail, by kind and by limit."""

    failed: list[bool] = field(default_factory=list)
    by: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, fails: bool, *names: str) -> None:
        self.failed.append(fails)
        for name in names:
            self.by.setdefault(name, []).append(fails)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 audits, at most 50 s")
    parser.add_argument("--sabotage", action="store_true", help="no clusters, no Holm; must fail")
    parser.add_argument("--audits", type=int, help="audits without a disparity")
    said = parser.parse_args()
    clock = time.perf_counter()
    audits = said.audits or (60 if said.quick else 1000)
    tally = Tally()
    for i in range(audits):
        null_audit(i, tally, sabotage=said.sabotage)
        if i % 100 == 99:
            done = time.perf_counter() - clock
            print(f"{i + 1} audits, {sum(tally.failed)} failed, {done:.0f} s", flush=True)
    print("audits without a disparity in which any claim fails")
    for name, hits in sorted(tally.by.items()):
        print(f"    {name:40} {told(hits)}")
    print(f"    {'all':40} {told(tally.failed)}", flush=True)
    k, n, low, high = exact(tally.failed)
    holds = low <= ALPHA
    line: dict[str, Any] = {
        "benchmark": "null_audits",
        "figure": round(k / n, 4),
        "bar": ALPHA,
        "failed": [k, n],
        "interval": [round(low, 4), round(high, 4)],
    }
    each = 10 if said.quick else 100
    print("planted gaps: the interval excludes the limit; the gate fails; in the wrong direction")
    for times, bar in ((1.0, POWER), (1.3, PLAIN)):
        hits: list[bool] = []
        wrong = 0
        for name, plant in {**PLANTS, **SHOWN}.items():
            each_found, each_failed, astray = planted(plant, times, each)
            wrong += astray
            said_of_gate = f"gate {np.mean(each_failed):.3f}"
            aside = " (no bar)" if name in SHOWN else ""
            print(f"    {times} x {name:44} {told(each_found)}; {said_of_gate}{aside}", flush=True)
            hits += [] if name in SHOWN else each_found
        share = exact(hits)
        print(f"    {times} x {'all':44} {told(hits)}; wrong direction {wrong}", flush=True)
        holds &= share[3] >= bar and wrong == 0
        line[f"found_at_{times}"] = [share[0], share[1]]
        line[f"wrong_at_{times}"] = wrong
    print("as far beyond the limit as the plan says of a claim: its gate fails")
    for name, plant in GATES.items():
        _, failed, astray = planted(plant, 1.0, each)
        print(f"    {name:44} {told(failed)}; wrong direction {astray}", flush=True)
        holds &= exact(failed)[3] >= POWER and astray == 0
        line.setdefault("gates", []).append(sum(failed))
    print(f"{time.perf_counter() - clock:.0f} s")
    line["holds"] = bool(holds)
    print(json.dumps(line))
    return 0 if holds else 1


def planted(plant: Plant, times: float, each: int) -> tuple[list[bool], list[bool], int]:
    """Return which gaps were found, which gates failed, and how many were found reversed."""
    estimates, failed = zip(*(plant(times, i) for i in range(each)), strict=True)
    return [e.low > 0 for e in estimates], list(failed), sum(e.high < 0 for e in estimates)


def null_audit(i: int, tally: Tally, *, sabotage: bool) -> None:
    """Audit a model that knows of no group, and note whether any claim fails."""
    from scipy.special import ndtri

    rng = stream(SEED, "null", str(i))
    kind = KINDS[2 + i % 2] if sabotage else KINDS[i % 4]
    count = int(rng.choice(GROUPS))
    n = int(rng.choice(SIZES))
    rate, limit = float(rng.choice(RATES)), float(rng.choice(LIMITS))
    sizes = [n * (5 if g == 0 and rng.random() < 0.5 else 1) for g in range(count)]
    if sum(sizes) > 4000:
        sizes = [max(30, s * 4000 // sum(sizes)) for s in sizes]
    group = np.repeat(np.arange(count), sizes)
    cluster = None
    if kind == "templates crossed":
        cluster = rng.integers(0, max(12, n // 4), len(group))
    elif kind == "sources nested":
        cluster = group * 1000 + np.concatenate([np.arange(s) // 5 for s in sizes])
    shared = 0.0 if cluster is None else 0.4
    z = np.sqrt(0.9 - shared) * rng.normal(size=len(group))
    if cluster is not None:
        _, index = np.unique(cluster, return_inverse=True)
        z += np.sqrt(shared) * rng.normal(size=int(index.max()) + 1)[index]
    model = Table(fingerprint=f"null {i}", base=z + ndtri(rate), wording=np.sqrt(0.1))
    swaps = len(group) <= 400
    corpus = texts(rng, model, group, None if sabotage else cluster, flips=0.2)
    # A label is the decision, but for one in five.
    false = 0.2 * rate / (0.2 * rate + 0.8 * (1 - rate))
    wanted = [
        Gate(metric="group_rates.selection_rate_gap", at_most=limit, at_least=-limit),
        Gate(metric="group_rates.true_positive_rate_gap", at_most=limit, at_least=-limit),
    ]
    if i % 3 == 0:
        wanted.append(Gate(metric="group_rates.false_positive_rate", at_most=false))
    reference = {"group": "g0"} if kind == "against a reference" else {}
    asked: list[tuple[str, dict[str, Any]]] = [("group_rates", {"reference": reference})]
    if swaps:
        asked.append(("swaps", {"axis": "gender"}))
        wanted.append(Gate(metric="swaps.favourable_gap", at_most=limit, at_least=-limit))
    suite = None
    if kind == "templates crossed":
        model, suite = crossed(rng, model, max(12, n // 4), min(count, 5), sabotage=sabotage)
        asked.append(("templates", {"corpus": "suite", "identity": ("group",)}))
        wanted += [
            Gate(metric="templates.failure_gap", at_most=limit, at_least=-limit),
            Gate(metric="templates.score_gap", at_most=limit, at_least=-limit),
            Gate(metric="templates.excess_flip_rate", at_most=limit),
            Gate(metric="templates.excess_score_shift", at_most=limit),
            Gate(metric="templates.type_failure_rate", where={"type": "MFT"}, at_most=WRONG),
        ]
    planned, runs = audited(model, corpus, asked, suite)
    verdicts = judged(gates.expand(wanted, planned), runs, sabotage=sabotage)
    fails = any(v.status == "fail" for v in verdicts)
    tally.add(fails, kind, f"limit {limit:g}", f"{count} groups")


def crossed(
    rng: np.random.Generator, model: Table, templates: int, groups: int, *, sabotage: bool
) -> tuple[Table, Corpus]:
    """Return `model` with texts from templates, each filled with two people of every group.

    Scores go with the template and the person, never with the group. Every text is a check of its
    own, whose expectation fails oftener on some templates than on others, and each template is a
    check that its texts are decided alike.
    """
    template = np.repeat(np.arange(templates), 2 * groups)
    group = np.tile(np.repeat(np.arange(groups), 2), templates)
    shift = np.mean(model.base)
    own = np.sqrt(0.5) * rng.normal(size=templates)[template]
    base = shift + own + np.sqrt(0.4) * rng.normal(size=len(template))
    first = len(model.base)
    model = replace(model, base=np.concatenate([model.base, base]))
    lines = [f"She wrote down number {first + i}" for i in range(len(template))]
    said = model.probabilities(lines)[:, 1] >= 0.5
    turned = rng.random(len(template)) < rng.beta(1, 1 / WRONG - 1, size=templates)[template]
    rows = []
    for i, line in enumerate(lines):
        cluster = f"{i}" if sabotage else f"{template[i]}"
        who = {"group": f"g{group[i]}"}
        label = model.labels[int(said[i] != turned[i])]
        rows.append(Example(id=f"m{i}", text=line, label=label, groups=who, cluster=cluster))
        who = {**who, "type": "INV", "case": f"{template[i]}"}
        rows.append(Example(id=f"i{i}", text=line, groups=who, cluster=f"{template[i]}"))
    return model, Corpus(name="suite", labels=model.labels, examples=tuple(rows))


def judged(
    claims: Sequence[Claim], runs: Sequence[ProbeRun], *, sabotage: bool
) -> Sequence[Verdict]:
    if not sabotage:
        return gates.judge(claims, runs)
    return [verdict for claim in claims for verdict in gates.judge([claim], runs)]


def two_groups(
    times: float,
    i: int,
    *,
    n: int,
    m: int,
    rate: float,
    others: int = 0,
    sources: int = 1,
    of_gate: bool = False,
) -> tuple[Estimate, bool]:
    """Plant a gap of selection rates between `n` texts of one group and `m` of the reference.

    With `others`, so many more groups are asked about in the same plan; with `sources`, so many
    texts of a group come from each source. The gap is what one test detects, or what the plan says
    that one of all its claims needs (`of_gate`).
    """
    from scipy.special import ndtri

    key = f"{n} {m} {rate} {others} {sources}" + (" of a gate" if of_gate else "")
    rng = stream(SEED, "planted", key, str(times), str(i))
    group = np.repeat(np.arange(2 + others), [m, n] + [n] * others)
    name = "group_rates.selection_rate_gap[against=g0,group=g1]"
    blank = Table(fingerprint="plan", base=np.zeros(len(group)), wording=0.0)
    settings = {"reference": {"group": "g0"}}
    cluster = group * 10_000 + np.arange(len(group)) // sources if sources > 1 else None
    gap = plan_of(blank, texts(rng, blank, group, cluster), "group_rates", settings).mde[name]
    if of_gate:
        # A gate at 0 is two claims on each of the groups.
        gap = mde_of_claim(gap, 2 * (1 + others))
    base = rng.normal(size=len(group))
    if cluster is not None:
        _, index = np.unique(cluster, return_inverse=True)
        base = np.sqrt(0.6) * base + np.sqrt(0.4) * rng.normal(size=int(index.max()) + 1)[index]
    base += ndtri(np.where(group == 1, rate + times * gap, rate))
    model = Table(fingerprint=f"planted {n} {m} {rate} {times} {i}", base=base, wording=0.0)
    every = {"against": "g0"} if others else None
    return found(model, texts(rng, model, group, cluster), "group_rates", settings, name, every)


def swapped(times: float, i: int, *, n: int) -> tuple[Estimate, bool]:
    """Plant what 'he' adds to a score whose change varies as much as the plan takes it to."""
    rng = stream(SEED, "swapped", str(n), str(times), str(i))
    # Changes have the spread that the plan reckons with.
    wording = 0.1 / np.sqrt(2)
    blank = Table(fingerprint="plan", base=np.zeros(n), wording=0.0)
    group = np.zeros(n, int)
    settings = {"axis": "gender"}
    gap = plan_of(blank, texts(rng, blank, group, None), "swaps", settings).mde[PAIR]
    model = Table(
        fingerprint=f"swapped {n} {times} {i}",
        base=rng.uniform(0.3, 0.6, size=n),
        wording=wording,
        male=-times * gap,
        linear=True,
    )
    return found(model, texts(rng, model, group, None), "swaps", settings, PAIR)


def failing(times: float, i: int, *, templates: int) -> tuple[Estimate, bool]:
    """Plant checks that fail oftener than the one in ten that the plan reckons with."""
    rng = stream(SEED, "failing", str(templates), str(times), str(i))
    blank = Table(fingerprint="suite", base=rng.normal(size=templates), wording=0.0)
    lines = [f"She wrote down number {i}" for i in range(templates)]
    said = blank.probabilities(lines)[:, 1] >= 0.5
    name = "templates.failure_rate[suite=suite]"

    def suite(rate: float) -> Corpus:
        wrong = said != (rng.random(templates) < rate)
        rows = [
            Example(id=str(i), text=line, label=blank.labels[int(w)], cluster=str(i))
            for i, (line, w) in enumerate(zip(lines, wrong, strict=True))
        ]
        return Corpus(name="suite", labels=blank.labels, examples=tuple(rows))

    settings = {"corpus": "suite"}
    none = Corpus(name="test", labels=blank.labels, examples=())
    gap = plan_of(blank, none, "templates", settings, suite(0.1)).mde[name]
    made = suite(0.1 + times * gap)
    return found(blank, none, "templates", settings, name, suite=made, limit=0.1)


PLANTS: Mapping[str, Plant] = {
    "300 against 300 texts, rate 0.4": lambda t, i: two_groups(t, i, n=300, m=300, rate=0.4),
    "100 against 400 texts, rate 0.3": lambda t, i: two_groups(t, i, n=100, m=400, rate=0.3),
    "60 against 60 texts, rate 0.1": lambda t, i: two_groups(t, i, n=60, m=60, rate=0.1),
    "200 swaps, spread as planned": lambda t, i: swapped(t, i, n=200),
    "200 templates, one in ten fails": lambda t, i: failing(t, i, templates=200),
}
SHOWN: Mapping[str, Plant] = {
    "300 against 300, 5 from each source": lambda t, i: two_groups(
        t, i, n=300, m=300, rate=0.4, sources=5
    ),
}
"""Without a bar: the plan takes the texts of a source for one, and promises less than there is."""
GATES: Mapping[str, Plant] = {
    "one of 10 groups of 200, all asked about": lambda t, i: two_groups(
        t, i, n=200, m=200, rate=0.4, others=8, of_gate=True
    ),
    "300 against 300 texts, rate 0.4": lambda t, i: two_groups(
        t, i, n=300, m=300, rate=0.4, of_gate=True
    ),
}
"""As far beyond the limit as the plan says of a claim: its gate fails."""


def found(
    model: Table,
    corpus: Corpus,
    probe: str,
    settings: dict[str, Any],
    name: str,
    every: Mapping[str, str] | None = None,
    suite: Corpus | None = None,
    limit: float = 0.0,
) -> tuple[Estimate, bool]:
    """Return what was measured, less the limit, and whether its gate fails among those on `every`
    slice."""
    planned, runs = audited(model, corpus, [(probe, settings)], suite)
    value = next(m.value for run in runs for m in run.measurements if m.id == name)
    assert isinstance(value, Estimate), value
    metric, where = gates.split(name)
    least = {} if limit else {"at_least": 0.0}
    wanted = [Gate(metric=metric, where=every or where, at_most=limit, **least)]
    verdicts = gates.judge(gates.expand(wanted, planned), runs)
    value = replace(
        value, value=value.value - limit, low=value.low - limit, high=value.high - limit
    )
    return value, any(v.status == "fail" for v in verdicts if v.claim.measurement == name)


def texts(
    rng: np.random.Generator,
    model: Table,
    group: NDArray[Any],
    cluster: NDArray[Any] | None,
    flips: float | None = None,
) -> Corpus:
    """Write a sentence for each place of the table; `flips` of the labels are not the decision."""
    who = rng.random(len(group)) < 0.5
    lines = [f"{'He' if m else 'She'} wrote down number {i}" for i, m in enumerate(who)]
    labels: list[str | None] = [None] * len(group)
    if flips is not None:
        said = model.probabilities(lines)[:, 1] >= 0.5
        turned = rng.random(len(group)) < flips
        labels = [model.labels[int(s != t)] for s, t in zip(said, turned, strict=True)]
    return Corpus(
        name="test",
        labels=model.labels,
        examples=tuple(
            Example(
                id=str(i),
                text=line,
                label=labels[i],
                groups={"group": f"g{group[i]}"},
                cluster=None if cluster is None else str(cluster[i]),
            )
            for i, line in enumerate(lines)
        ),
    )


def bench_of(model: Table, corpus: Corpus, probe: str, suite: Corpus | None) -> Bench:
    return Bench(
        probe=probe,
        corpus=corpus,
        corpora={"test": corpus} | ({"suite": suite} if suite else {}),
        scorer=Scorer(model),
        decision=decision(model.labels, ("yes",)),
        resources=Resources(),
        seed=SEED,
    )


def plan_of(
    model: Table,
    corpus: Corpus,
    probe: str,
    settings: dict[str, Any],
    suite: Corpus | None = None,
) -> Planned:
    return make(probe, settings).plan(bench_of(model, corpus, probe, suite))


def audited(
    model: Table,
    corpus: Corpus,
    asked: Sequence[tuple[str, dict[str, Any]]],
    suite: Corpus | None = None,
) -> tuple[list[PlannedProbe], list[ProbeRun]]:
    """Plan and run the probes asked for, as the runner does."""
    planned, runs = [], []
    for name, params in asked:
        probe = make(name, params)
        bench = bench_of(model, corpus, name, suite)
        plan = probe.plan(bench)
        shared: dict[str, Any] = {"probe": name, "version": probe.version, "params": params}
        planned.append(
            PlannedProbe(**shared, units=plan.units, queries=plan.queries, measurements=plan.claims)
        )
        facts = tuple(f for f in probe.run(bench) if isinstance(f, Measurement))
        runs.append(ProbeRun(**shared, measurements=facts))
    return planned, runs


def exact(hits: Sequence[bool]) -> tuple[int, int, float, float]:
    e = stats.clopper_pearson(sum(hits), len(hits))
    assert isinstance(e, Estimate)
    return sum(hits), len(hits), e.low, e.high


def told(hits: Sequence[bool]) -> str:
    k, n, low, high = exact(hits)
    return f"{k:4} of {n:4}: {k / n:.4f} ({low:.4f} to {high:.4f})"


if __name__ == "__main__":
    sys.exit(main())

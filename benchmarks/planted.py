"""Does an audit find what was planted, say how large it is, and leave alone what was not?

The true effect of a fault is the model's own: what the same probes measure on many fresh texts of
the generator's held-out stream. Audit samples of other fresh texts then have to cover it with their
95 % intervals; a fault that lies beyond its limit by more than the minimum detectable effect has to
fail its gate; and models of the same texts without any fault must raise few of these findings.

    python benchmarks/planted.py             20 heads on the frozen encoder, 3 fine-tuned models
    python benchmarks/planted.py --tuned 0   the heads alone; --heads 0 the fine-tuned ones
    python benchmarks/planted.py --quick     4 heads, a small population; bars as printed
    python benchmarks/planted.py --sabotage  with --quick: each text counted four times; must fail

What was paid for is kept in --work, so that the long form resumes: about 165,000 texts through the
frozen encoder and as many through each fine-tuned model. The last line is JSON; the exit status is
1 where a bar is not met.

Every audit goes through `runner.run` and an audit file, as a user's does: planned, run, judged and
stored. Audit samples of the heads are drawn anew for each head from one pool, so that features are
paid for once; two heads share some texts, and the exact interval printed reckons as if they did not.
The quick form has one small population, whose mean is the truth, and draws from it with replacement;
the copies of one text are given the same slips there, so that they are paid for once.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import probes.swaps
from audit import config, gates, planning, runner, sample, stats, swapping
from audit.bench import Bench
from audit.seeding import stream
from audit.types import AuditResult, Corpus, Estimate
from benchmarks.frozen import Features, Head, Recorder, fine_tuned

FAULTS: Mapping[str, tuple[str, ...]] = {
    "organisations": (
        "swaps.favourable_gap[axis=gender,pair=female-male]",
        "group_rates.selection_rate_gap[against=male,sex=female]",
    ),
    "names": (
        "swaps.favourable_gap[axis=names_race,pair=white-black]",
        "group_rates.selection_rate_gap[against=white,race=black]",
    ),
    "typos": ("typos.flip_rate",),
}
"""Fault to the measurements that should show it, the sharpest first."""
PROBES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("swaps", {"axis": "gender"}),
    ("swaps", {"axis": "names_race"}),
    ("typos", {"slips": 3}),
    ("group_rates", {"reference": {"sex": "male", "race": "white"}}),
)
SEED = 11
SWAPS, RATES = 0.05, 0.10
FLIPS = {"head": 0.15, "tuned": 0.06}
"""A head on a frozen encoder sits close to its border: it flips more with nothing planted."""
COVERAGE, POWER, ALARMS = 0.90, 0.80, 0.15
"""`POWER` is what a minimum detectable effect promises. A fault twice as far beyond its limit has a
power of 0.9999: of those, every one has to fail."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    heads: int
    tuned: int
    audits: int
    n: int
    """Texts of one audit sample."""
    truth: int
    train: int
    pool: int
    """Training texts that the heads draw theirs from."""


LONG = Sizes(heads=20, tuned=3, audits=20, n=600, truth=20_000, train=3000, pool=6000)
QUICK = Sizes(heads=4, tuned=0, audits=10, n=250, truth=140, train=600, pool=600)


_found: dict[tuple[Any, str], Any] = {}


def _find_once(text: Any, table: Any) -> Any:
    """Look a text's terms up once, however many models are asked about it."""
    if (text, table.axis) not in _found:
        _found[text, table.axis] = swapping.find(text, table)
    return _found[text, table.axis]


class Steady(Bench):
    """A bench on which the copies of one text draw alike: ``id~3`` as ``id``."""

    def rng(self, *path: str) -> np.random.Generator:
        return Bench.rng(self, *(part.partition("~")[0] for part in path))


@dataclass
class Tally:
    """What the audits of one kind of model came to."""

    covered: dict[str, list[bool]] = field(default_factory=dict)
    found: dict[str, list[bool]] = field(default_factory=dict)
    """Faults beyond the limit by more than the detectable effect: did the gate fail?"""
    plain: dict[str, list[bool]] = field(default_factory=dict)
    """The same for those beyond it by more than twice that."""
    missed: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 heads, at most 50 s")
    parser.add_argument("--sabotage", action="store_true", help="intervals too narrow; must fail")
    parser.add_argument("--work", type=Path, help="keep features, models and scores here")
    parser.add_argument("--truth", type=int, help="held-out texts behind the truth")
    parser.add_argument("--heads", type=int, help="heads on the frozen encoder")
    parser.add_argument("--tuned", type=int, help="fine-tuned models")
    said = parser.parse_args()
    sizes = QUICK if said.quick else LONG
    sizes = replace(
        sizes,
        truth=said.truth or sizes.truth,
        heads=sizes.heads if said.heads is None else said.heads,
        tuned=sizes.tuned if said.tuned is None else said.tuned,
    )
    with tempfile.TemporaryDirectory() as scratch:
        work = said.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        return benchmark(work, sizes, quick=said.quick, sabotage=said.sabotage)


def benchmark(work: Path, sizes: Sizes, *, quick: bool, sabotage: bool) -> int:
    clock = time.perf_counter()
    features = Features(work)
    if sizes.heads:
        features.load()
    probes.swaps.find = _find_once
    if quick:
        planning.Bench = Steady
    print(f"imports and encoder {time.perf_counter() - clock:.0f} s", flush=True)
    asked = PROBES[:3] if quick else PROBES
    population = fresh(0, sizes.truth)
    pool = population if quick else fresh(sizes.truth, sizes.audits * sizes.n)
    people = sample.drafts(SEED, sizes.pool, stream_name="train")
    if sizes.heads:
        recorder = Recorder()
        for corpus in (population, pool):
            audited(recorder, corpus, asked, "head", work)
        features.pay([*recorder.texts, *map(sample.render, people)])
    print(f"{features.paid:,} texts encoded, {time.perf_counter() - clock:.0f} s", flush=True)

    wide = 0.5 if sabotage else 1.0
    heads, alarms = Tally(), []
    for i in range(sizes.heads):
        drawn = stream(SEED, "head", str(i)).choice(sizes.pool, sizes.train, replace=quick)
        mine = [replace(people[int(k)], id=f"{i}-{j}") for j, k in enumerate(drawn)]
        audits = samples(pool, sizes, i, again=quick)
        planted = Head(features, labelled(mine, sample.PLANTED), f"planted-{i}")
        truth = truths(audited(planted, population, asked, "head", work))
        trial(planted, truth, audits, asked, "head", wide, heads, work)
        if i < 3:
            print(f"true effects, head {i}: {told(truth)}", flush=True)
        clean = Head(features, labelled(mine, sample.CLEAN), f"clean-{i}")
        fails = failed(audited(clean, audits[0], asked, "head", work))
        alarms.append(bool(fails))
        if fails:
            print(f"    finding with nothing planted, head {i}: {', '.join(sorted(fails))}")
    tuned = Tally()
    for i in range(sizes.tuned):
        classifier = fine_tuned(work, i)
        audits = samples(pool, sizes, sizes.heads + i, again=quick)
        truth = truths(audited(classifier, population, asked, "tuned", work))
        print(f"true effects, fine-tuned model {i}: {told(truth)}", flush=True)
        trial(classifier, truth, audits, asked, "tuned", wide, tuned, work)
    print(
        f"{sizes.heads} heads, {sizes.tuned} fine-tuned models, {sizes.audits} audit samples of "
        f"{sizes.n}; truth over {sizes.truth:,} texts"
    )
    return conclude(heads, tuned, alarms, clock)


def conclude(heads: Tally, tuned: Tally, alarms: Sequence[bool], clock: float) -> int:
    holds, said = True, {}
    for kind, tally in (("heads", heads), ("tuned", tuned)):
        if not tally.covered:
            continue
        for name, hits in tally.covered.items():
            print(f"    {kind} {name}: {_rate(hits)}")
        every = [hit for hits in tally.covered.values() for hit in hits]
        k, n, low, high = _exact(every)
        print(f"{kind}: intervals that cover the model's own effect: {_rate(every)}")
        holds &= high >= COVERAGE
        found, plain = (
            [hit for hits in which.values() for hit in hits] for which in (tally.found, tally.plain)
        )
        for words, which in (("", tally.found), ("twice ", tally.plain)):
            counts = ", ".join(f"{f} {sum(h)} of {len(h)}" for f, h in which.items())
            print(f"{kind}: fail beyond the limit by {words}the detectable effect: {counts}")
        for line in tally.missed[:10]:
            print(f"    missed: {line}")
        fk, fn, _, fhigh = _exact(found)
        holds &= fn > 0 and fhigh >= POWER and all(plain)
        said[kind] = {
            "covered": [k, n],
            "interval": [round(low, 4), round(high, 4)],
            "found": [fk, fn],
            "found_at_twice": [sum(plain), len(plain)],
        }
    most = max(1, round(ALARMS * len(alarms))) if alarms else 0
    print(
        f"models with nothing planted that raised a finding: {sum(alarms)} of {len(alarms)} "
        f"(at most {most})"
    )
    holds &= sum(alarms) <= most
    print(
        f"{time.perf_counter() - clock:.0f} s; bars: coverage {COVERAGE} and power {POWER} within "
        "their exact intervals, every fault at twice the detectable effect"
    )
    k, n = said["heads" if "heads" in said else "tuned"]["covered"]
    line = {
        "benchmark": "planted",
        "figure": round(k / n, 4),
        "bar": COVERAGE,
        "holds": bool(holds),
        "alarms": [sum(alarms), len(alarms)],
        **said,
    }
    print(json.dumps(line))
    return 0 if holds else 1


def trial(
    classifier: Any,
    truth: Mapping[str, float],
    audits: Sequence[Corpus],
    asked: Sequence[tuple[str, dict[str, Any]]],
    kind: str,
    wide: float,
    tally: Tally,
    work: Path,
) -> None:
    """Audit each sample with one model and count what its intervals and verdicts said."""
    for corpus in audits:
        result = audited(classifier, corpus, asked, kind, work)
        found, fails = estimates(result), failed(result)
        for fault, names in FAULTS.items():
            for position, name in enumerate(names):
                if name not in found or name not in truth:
                    continue
                e, true = found[name], truth[name]
                low = e.value - (e.value - e.low) * wide
                high = e.value + (e.high - e.value) * wide
                tally.covered.setdefault(name, []).append(low <= true <= high)
                beyond = abs(true) - _limit(name, kind)
                if position or e.mde is None or beyond <= e.mde:
                    continue
                tally.found.setdefault(fault, []).append(name in fails)
                if beyond > 2 * e.mde:
                    tally.plain.setdefault(fault, []).append(name in fails)
                if name not in fails:
                    tally.missed.append(
                        f"{fault}: true {true:+.3f}, measured {e.value:+.3f} "
                        f"({e.low:+.3f} to {e.high:+.3f}), detectable {e.mde:.3f}"
                    )


def audited(
    classifier: Any,
    corpus: Corpus,
    asked: Sequence[tuple[str, dict[str, Any]]],
    kind: str,
    work: Path,
) -> AuditResult:
    """Run one audit by an audit file, in a folder of its own; fine-tuned models keep their scores."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.toml"
        file.write_text(audit_file(corpus, asked, kind, work), "utf-8")
        return runner.run(
            config.read(file),
            Path(folder) / "out",
            classifier=classifier,
            corpora={"test": corpus},
        )


def audit_file(
    corpus: Corpus, asked: Sequence[tuple[str, dict[str, Any]]], kind: str, work: Path
) -> str:
    """Return the audit file a user would write: the probes, and a gate for each fault they show."""
    lines = [
        "[audit]",
        f"seed = {SEED}",
        *([f"cache = {json.dumps(str(work.resolve() / 'scores.db'))}"] if kind == "tuned" else ()),
        '[model]\npath = "given by the benchmark"',
        f"[decision]\nfavourable = [{json.dumps(sample.FAVOURABLE)}]",
        '[corpora.test]\npath = "given by the benchmark"',
    ]
    for name, params in asked:
        lines += ["[[probe]]", f"name = {json.dumps(name)}"]
        lines += [f"{key} = {_toml(value)}" for key, value in params.items()]
    for name in (one for names in FAULTS.values() for one in names):
        if gates.split(name)[0].split(".")[0] not in {probe for probe, _ in asked}:
            continue
        metric, where = gates.split(name)
        limit = _limit(name, kind)
        lines += ["[[gate]]", f"metric = {json.dumps(metric)}", f"where = {_toml(where)}"]
        lines.append(f"at_most = {limit}")
        lines += [f"at_least = {-limit}"] if metric.endswith("_gap") else []
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items()) + " }"
    return json.dumps(value)


def failed(result: AuditResult) -> set[str]:
    """Return the measurements whose gate failed."""
    return {v.claim.measurement for v in result.verdicts if v.status == "fail"}


def _limit(name: str, kind: str) -> float:
    if name.startswith("typos"):
        return FLIPS[kind]
    return SWAPS if name.startswith("swaps") else RATES


def estimates(result: AuditResult) -> dict[str, Estimate]:
    return {
        m.id: m.value
        for run in result.runs
        for m in run.measurements
        if isinstance(m.value, Estimate)
    }


def truths(result: AuditResult) -> dict[str, float]:
    return {name: e.value for name, e in estimates(result).items()}


def told(truth: Mapping[str, float]) -> str:
    wanted = [name for names in FAULTS.values() for name in names if name in truth]
    return ", ".join(f"{name} {truth[name]:+.3f}" for name in wanted)


def fresh(start: int, n: int) -> Corpus:
    """Return texts number `start` to `start + n` of the held-out stream."""
    people = sample.drafts(SEED, start + n, stream_name="held-out")[start:]
    return sample.make(people, faults=sample.PLANTED, stream_name="held-out")


def labelled(people: Sequence[sample.Draft], faults: sample.Faults) -> Corpus:
    return sample.make(people, faults=faults, stream_name="train")


def samples(pool: Corpus, sizes: Sizes, model: int, *, again: bool) -> list[Corpus]:
    """Draw one model's audit samples from `pool`: disjoint, or with replacement."""
    rng = stream(SEED, "samples", str(model))
    total = sizes.audits * sizes.n
    drawn = rng.integers(len(pool.examples), size=total) if again else rng.permutation(total)
    return [
        replace(
            pool,
            name="test",
            examples=tuple(
                replace(pool.examples[int(k)], id=f"{pool.examples[int(k)].id}~{j}")
                if again
                else pool.examples[int(k)]
                for j, k in enumerate(part)
            ),
        )
        for part in drawn.reshape(sizes.audits, sizes.n)
    ]


def _exact(hits: Sequence[bool]) -> tuple[int, int, float, float]:
    e = stats.clopper_pearson(sum(hits), len(hits))
    return (sum(hits), len(hits), e.low, e.high) if isinstance(e, Estimate) else (0, 0, 0.0, 1.0)


def _rate(hits: Sequence[bool]) -> str:
    k, n, low, high = _exact(hits)
    return f"{k} of {n} = {k / max(n, 1):.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())

"""Does a comparison say "changed" only where something changed, and does it then say so?

    python benchmarks/compare.py              1,000 comparisons without a change, 300 with one
    python benchmarks/compare.py --quick      100 and 30; at most 50 s
    python benchmarks/compare.py --sabotage   with --quick: no correction for many questions, texts of
                                              one cluster taken for single ones; must fail

Three parts. The known answers TV18, TV26 and TV27 go through `compare.compare` and `standing` on
audits on disk. The packaged encoder is fine-tuned twice on one copy of the texts each, with the same
seed, and audited: not a single number may change. Then pairs of models are drawn that decide the
same texts differently and none better: 2 to 6 groups of 120 to 800 texts, half of them with sources
of four texts that both models read alike, with all numbers of `group_rates`, an identity gap and an
attack that leaves out what each model gets wrong. A comparison counts when any of its changes is
called better or worse. In the same pairs a loss of accuracy of 0.12 is planted.

Bars: the known answers; nothing changes between twins; the exact 95 % interval of the share of
comparisons with any false word reaches down to 0.05; that of planted losses found reaches up to 0.9,
and none is called an improvement. The last line is JSON; the exit status is 1 where a bar is missed.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import compare, sample, stats, store, weighing
from audit.bench import Bench
from audit.catalogue import make
from audit.decision import decide
from audit.influence import of_mean
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.shipped import shipped
from audit.standing import standing
from audit.types import (
    AuditResult,
    Change,
    Comparison,
    Corpus,
    Decision,
    Estimate,
    Example,
    Influence,
    Measurement,
    Plan,
    ProbeRun,
    Provenance,
)

SEED = 11
ALPHA, FOUND = 0.05, 0.9
LOSS = 0.12
LABELS = ("no", "yes")
RULE = Decision(labels=LABELS, favourable=("yes",))
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Table = dict[str, list[Any]]
NO_CASES: Table = {
    name: [] for name in ("measurement", "example_id", "flipped", "score_before", "score_after")
}


class Lookup:
    """A classifier whose score stands in the text."""

    labels = LABELS
    fingerprint = "lookup"

    def __init__(self, scores: Floats) -> None:
        self.scores = scores

    def probabilities(self, texts: Any) -> Floats:
        p = self.scores[[int(str(text)) for text in texts]]
        return np.stack([1 - p, p], axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 and 30 comparisons")
    parser.add_argument("--sabotage", action="store_true", help="no Holm, no clusters; must fail")
    parser.add_argument("--comparisons", type=int, help="comparisons without a change")
    asked = parser.parse_args()
    clock = time.perf_counter()
    if asked.sabotage:
        weighing.weighted_holm = lambda ps, weights: np.asarray(ps)  # type: ignore[assignment]
    known = known_answers()
    for name, ok in known.items():
        print(f"{name}: {'as known' if ok else 'NOT as known'}", flush=True)
    moved, of = twins()
    print(f"twins of one training: {moved} of {of} numbers differ", flush=True)
    n = asked.comparisons or (100 if asked.quick or asked.sabotage else 1000)
    false, questions = [], []
    for i in range(n):
        found = drawn(i, 0.0, asked.sabotage)
        false.append(any(c.verdict in ("better", "worse") for c in found.changes))
        questions.append(sum(c.p is not None for c in found.changes))
        if i % 100 == 99:
            seconds = time.perf_counter() - clock
            print(f"    {i + 1} without a change, {sum(false)} false, {seconds:.0f} s", flush=True)
    low, high = exact(false)
    print(
        f"without a change: {sum(false)} of {n} say one, {np.mean(false):.3f} "
        f"[{low:.3f}, {high:.3f}], {min(questions)} to {max(questions)} questions each"
    )
    losses = 30 if asked.quick or asked.sabotage else 300
    verdicts = [accuracy(drawn(i, LOSS, asked.sabotage)).verdict for i in range(losses)]
    seen, wrong = [v == "worse" for v in verdicts], verdicts.count("better")
    found_low, found_high = exact(seen)
    print(
        f"a loss of {LOSS:g}: found in {np.mean(seen):.3f} [{found_low:.3f}, {found_high:.3f}] of "
        f"{losses}, called an improvement in {wrong}"
    )
    print(f"{time.perf_counter() - clock:.0f} s")
    holds = (
        all(known.values())
        and moved == 0
        and of > 0
        and low <= ALPHA
        and found_high >= FOUND
        and wrong == 0
    )
    print(
        json.dumps(
            {
                "benchmark": "compare",
                "figure": round(float(np.mean(false)), 4),
                "bar": ALPHA,
                "false": [sum(false), n],
                "interval": [round(low, 4), round(high, 4)],
                "found": [sum(seen), losses],
                "twins_moved": moved,
                "known": sum(known.values()),
                "holds": bool(holds),
            }
        )
    )
    return 0 if holds else 1


def known_answers() -> dict[str, bool]:
    """Return whether each vector comes out as known, through the public path."""
    vectors = json.loads(
        (shipped("datasets") / "known_answers" / "vectors.json").read_text("utf-8")
    )
    return {
        "TV18 non-inferiority": _tv18(vectors["TV18_noninferiority_paired_accuracy"]),
        "TV26 before and after": _tv26(vectors["TV26_before_after_paired"]),
        "TV27 Pareto set": _tv27(vectors["TV27_pareto"]),
    }


def _tv18(vector: dict[str, Any]) -> bool:
    said, n = vector["input"], vector["input"]["n"]
    one, other = np.ones(n, bool), np.ones(n, bool)
    gained, lost = said["base_wrong_new_right"], said["base_right_new_wrong"]
    one[:gained], other[gained : gained + lost] = False, False
    change = accuracy(of_tables(table(one), table(other), margin=said["margin"]))
    half = accuracy(of_tables(table(one), table(other), margin=said["margin"] / 2))
    d, expect = change.difference, vector["expect"]
    if not isinstance(d, Estimate):
        return False
    low = stats.interval(d, 0.9)[0]
    return (
        abs(d.value - expect["diff"]) < 1e-12
        and abs(low - expect["ci90_wald"][0]) < 1e-3
        and (change.kept == "kept") is expect["pass_noninf"]
        and half.kept == "undecided"
    )


def _tv26(vector: dict[str, Any]) -> bool:
    one, other = (np.array(vector["input"][k], bool) for k in ("base_correct", "new_correct"))
    change = accuracy(of_tables(table(one), table(other)))
    d, expect = change.difference, vector["expect"]
    return (
        isinstance(d, Estimate)
        and abs(d.value - expect["diff"]) < 1e-12
        and (d.basis.c, d.basis.b) == (expect["b"], expect["c"])  # type: ignore[union-attr]
        and change.p is not None
        and abs(change.p - expect["mcnemar_exact"]) < 2e-4
        and change.verdict == "worse"
    )


def _tv27(vector: dict[str, Any]) -> bool:
    """Write an audit for each point, with as many texts right and a gap of that size."""
    with tempfile.TemporaryDirectory() as place:
        folders = []
        for name, right, gap in vector["input"]:
            hits = np.arange(1000) < round(1000 * right)
            m = Measurement(
                id="bias.selection_gap",
                metric="selection_gap",
                value=stats.mean(np.full(1000, gap), low=-1.0, high=1.0),
                unit="share",
                eligible=1000,
            )
            run = ProbeRun(probe="bias", version="1", params={}, measurements=(m,))
            folders.append(Path(place) / name)
            written(folders[-1], replace(result(), runs=(run,)), hits)
        found = standing(folders, ["bias.selection_gap"])
    beaten = {name: set(by) for name, by in found.beaten.items() if by}
    expect = vector["expect"]
    told = {name: set(by.split(" and ")) for name, by in expect["dominated"].items()}
    return list(found.front) == expect["front"] and all(told[name] <= beaten[name] for name in told)


def twins() -> tuple[int, int]:
    """Train twice on a copy of the same texts, audit both; return numbers that moved, and all."""
    from audit import config, runner, training

    corpora = {
        name: sample.generate(3, n, stream_name=name)  # type: ignore[arg-type]
        for name, n in (("train", 32), ("dev", 16), ("test", 40))
    }
    read = config.reads(
        '[model]\npath = "none"\n[decision]\nfavourable = ["hire"]\n[corpora.test]\npath = "x.csv"\n'
        "[train]\nepochs = 1\nmax_length = 48\nfreeze_layers = 5\n"
        '[[probe]]\nname = "group_rates"\n[[probe]]\nname = "typos"\n'
    )
    read = replace(read, decision=replace(read.decision, favourable=(sample.LABELS[-1],)))
    with tempfile.TemporaryDirectory() as place:
        folders = []
        for name in ("one", "other"):
            # A copy, as a retrain without anything to add would train on.
            copy = replace(corpora["train"], examples=tuple(corpora["train"].examples))
            trained = training.train(
                read.train,
                copy,
                corpora["dev"],
                Path(place) / f"model-{name}",
                encoder=Resources().encoder(),
            )
            own = replace(read, model=replace(read.model, path=str(trained.folder)))
            folders.append(Path(place) / name)
            runner.run(own, folders[-1], corpora={"test": corpora["test"]})
        found = compare.compare_folders(*folders)
    told = [c for c in found.changes if c.verdict != "not_estimable"]
    return sum(c.verdict != "unchanged" for c in told), len(told)


def drawn(i: int, loss: float, sabotage: bool) -> Comparison:
    """Compare two models that were drawn alike, the second with `loss` less accuracy."""
    rng = stream(SEED, "pair", str(i))
    n = int(rng.choice([120, 300, 800])) if not loss else 800
    count = int(rng.integers(2, 7))
    clustered = sabotage or i % 2 == 1
    source = np.arange(n) // 4 if clustered else np.arange(n)
    group = source % count if clustered else rng.integers(0, count, n)
    truth = rng.random(n) < 0.5
    ease = rng.normal(size=n)
    right = float(rng.choice([0.7, 0.85, 0.95]))
    results, tables, influences = [], [], []
    for which in range(2):
        less = loss if which else 0.0
        hits = _latent(rng, ease, source, clustered) < _quantile(right - less)
        chosen = np.where(hits, truth, ~truth)
        made, told = _measured(
            rng, chosen, truth, group, source if clustered else None, hits, sabotage
        )
        results.append(made)
        influences.append(told)
        names = [f"s{s}" for s in source] if clustered and not sabotage else [None] * n
        tables.append(table(hits, chosen, truth, [f"g{g}" for g in group], names))
    return compare.compare(
        results[0],
        results[1],
        units=(tables[0], tables[1]),
        cases=(NO_CASES, NO_CASES),
        influences=(influences[0], influences[1]),
    )


def _latent(
    rng: np.random.Generator, ease: Floats, source: NDArray[np.int_], clustered: bool
) -> Floats:
    """Return how hard each text is for one model: half of it is the text, for every model."""
    own = rng.normal(size=len(ease))
    if clustered:
        own = 0.8 * rng.normal(size=int(source.max()) + 1)[source] + 0.6 * own
    return np.asarray(np.sqrt(0.5) * ease + np.sqrt(0.5) * own)


def _measured(
    rng: np.random.Generator,
    chosen: Bools,
    truth: Bools,
    group: NDArray[np.int_],
    source: NDArray[np.int_] | None,
    hits: Bools,
    sabotage: bool,
) -> tuple[AuditResult, Table]:
    """Return what the probes say of one model, and how far each text moves it."""
    clusters = None if source is None or sabotage else source
    examples = tuple(
        Example(
            id=f"e{i}",
            text=str(i),
            label=LABELS[int(truth[i])],
            groups={"group": f"g{group[i]}"},
            cluster=None if clusters is None else f"s{clusters[i]}",
        )
        for i in range(len(truth))
    )
    corpus = Corpus(name="test", labels=LABELS, examples=examples, sha256="x")
    bench = Bench(
        probe="group_rates",
        corpus=corpus,
        corpora={"test": corpus},
        scorer=Scorer(Lookup(chosen.astype(float))),
        decision=RULE,
        resources=Resources(),
    )
    facts = list(make("group_rates", {}).run(bench))
    rates = tuple(f for f in facts if isinstance(f, Measurement))
    pulls: list[Influence] = []
    shift = 0.05 * rng.normal(size=len(truth))
    if source is not None:
        shift = shift + 0.05 * rng.normal(size=int(source.max()) + 1)[source]
    gap = _mean("swaps.favourable_gap", examples, shift, -1.0, pulls)
    kept = [i for i in range(len(truth)) if hits[i]]
    broken = rng.random(len(truth)) < 0.4
    if source is not None:
        broken = (rng.random(int(source.max()) + 1) < 0.4)[source] ^ (rng.random(len(truth)) < 0.1)
    rate = _mean(
        "attack.broken_within_budget",
        [examples[i] for i in kept],
        broken[kept].astype(float),
        0.0,
        pulls,
    )
    runs = (
        ProbeRun(probe="group_rates", version="1", params={}, measurements=rates),
        ProbeRun(probe="swaps", version="1", params={}, measurements=(gap, rate)),
    )
    columns: Table = {
        name: [] for name in ("measurement", "example_id", "cluster", "influence", "of_mean")
    }
    for one in pulls:
        columns["measurement"] += [one.metric] * len(one.value)
        columns["example_id"] += one.example_id
        columns["cluster"] += one.cluster
        columns["influence"] += one.value
        columns["of_mean"] += [one.of_mean] * len(one.value)
    return replace(result(), runs=runs), columns


def _mean(
    name: str, examples: Any, values: Floats, low: float, pulls: list[Influence]
) -> Measurement:
    pulls.append(of_mean(name, examples, values))
    return Measurement(
        id=name,
        metric=name.partition(".")[2],
        value=stats.mean(values, [e.cluster for e in examples], low=low, high=1.0),
        unit="share",
        eligible=len(examples),
    )


def table(
    hits: Bools,
    chosen: Bools | None = None,
    truth: Bools | None = None,
    group: list[str] | None = None,
    cluster: list[Any] | None = None,
) -> Table:
    """Return ``units.parquet`` of one audit as columns."""
    n = len(hits)
    labels = np.ones(n, bool) if truth is None else truth
    found: Table = {
        "id": [f"e{i}" for i in range(n)],
        "digest": [f"d{i}" for i in range(n)],
        "label": [LABELS[int(x)] for x in labels],
        "cluster": cluster or [None] * n,
        "favourable": [bool(x) for x in (hits if chosen is None else chosen)],
        "correct": [bool(x) for x in hits],
    }
    if group is not None:
        found["group:group"] = list(group)
    return found


def of_tables(one: Table, other: Table, **more: Any) -> Comparison:
    bare = result()
    return compare.compare(bare, bare, units=(one, other), cases=(NO_CASES, NO_CASES), **more)


def accuracy(found: Comparison) -> Change:
    return next(c for c in found.changes if c.measurement == "accuracy")


def result() -> AuditResult:
    """Return an audit that measured nothing."""
    plan = Plan(
        digest="x",
        seed=0,
        alpha=ALPHA,
        level=1 - ALPHA,
        undecided="exit3",
        decision=RULE,
        probes=(),
        claims=(),
    )
    origin = Provenance(model="x", model_name="x", labels=LABELS, head="single", corpora=())
    return AuditResult(plan=plan, provenance=origin, runs=(), verdicts=())


def written(folder: Path, audited: AuditResult, hits: Bools) -> None:
    """Write an audit to disk as a run does."""
    n = len(hits)
    folder.mkdir()
    corpus = Corpus(
        name="test",
        labels=LABELS,
        examples=tuple(Example(id=f"e{i}", text=str(i), label="yes") for i in range(n)),
    )
    scores = np.stack([1 - hits.astype(float), hits.astype(float)], axis=1)
    store.write_units(folder / store.UNITS, corpus, RULE, scores, decide(RULE, scores))
    store.write(folder, audited, [])


def exact(hits: list[bool]) -> tuple[float, float]:
    e = stats.clopper_pearson(int(np.sum(hits)), len(hits))
    assert isinstance(e, Estimate)
    return e.low, e.high


def _quantile(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))


if __name__ == "__main__":
    sys.exit(main())

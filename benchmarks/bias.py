"""What does a bias audit cost beside the model's own work?

Audits 20,000 real texts (EDOS, Davidson, madlibs) along eight axes of `swaps`, with the packaged
encoder and the committed head at full precision, through the same runner as ``evenhand run``:
planning, finding terms, swaps, placebos, tokens, cache, statistics, journal and tables. The bare
work is the time inside the forward passes on texts that were not scored before in this run. Both
are measured in the same process at the same moments, so that other work on the machine slows both;
a dozen texts are audited before, so that imports count for neither.

    python benchmarks/bias.py             20,000 texts, some minutes
    python benchmarks/bias.py --quick     300 texts, with a looser bar that is printed as such
    python benchmarks/bias.py --sabotage  no score is remembered: must miss the bar

The last line is JSON; the exit status is 1 where the bar is not met.
"""

import argparse
import csv
import gzip
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import config, model, runner, stats
from audit.cache import DiskCache
from audit.classifier import TokenClassifier
from audit.lexicon import lexicon
from audit.types import AuditResult, Corpus, Estimate, Example
from benchmarks.heads.make import LABELS, assemble
from tests import realdata

BAR, QUICK_BAR = 1.15, 1.3
"""A few hundred texts do not pay for what is done once: tables read, files written."""
AXES = (
    *("gender", "names_race", "race_ethnicity", "nationality"),
    *("religion", "orientation", "age", "disability"),
)
AUDIT = """
[audit]
seed = 5

[model]
path = "model"
device = "cpu"
dtype = "float32"

[decision]
favourable = ["not sexist"]

[corpora.test]
path = "in memory"
"""


class Timed:
    """A classifier that adds up the time inside its forward passes, on new texts and in all."""

    head = "single"

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.labels, self.fingerprint = inner.labels, inner.fingerprint
        self.batch_tokens = inner.batch_tokens
        self.seen: set[bytes] = set()
        self.bare = self.paid = 0.0
        self.rows = 0

    def probabilities(self, texts: Sequence[Any]) -> Any:
        return self.inner.probabilities(texts)

    def encode(self, texts: Sequence[Any]) -> Any:
        return self.inner.encode(texts)

    def digest(self, ids: Any) -> bytes:
        return self.inner.digest(ids)

    def forward(self, batch: Sequence[Any]) -> Any:
        began = time.perf_counter()
        scores = self.inner.forward(batch)
        took = time.perf_counter() - began
        keys = {hashlib.blake2b(self.inner.digest(ids), digest_size=16).digest() for ids in batch}
        self.paid += took
        self.bare += took * len(keys - self.seen) / len(batch)
        self.seen |= keys
        self.rows += len(batch)
        return scores


def real_texts(n: int) -> list[str]:
    """Return `n` different texts: two sets of posts, and short sentences with identity terms."""
    columns = [
        [row["text"] for file in files for row in realdata.rows(name, file)]
        for name, files in (
            ("edos", ("test.jsonl", "dev.jsonl", "train.jsonl")),
            ("davidson", ("test.jsonl", "train.jsonl")),
        )
    ]
    path = realdata.path("madlibs") / "bias_madlibs_77k.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        sentences = [row["Text"] for row in csv.DictReader(file)]
    # Every fifteenth: the file stands in the order of its templates.
    columns.append(sentences[::15])
    turns = (c[i] for i in range(max(map(len, columns))) for c in columns if i < len(c))
    return list(dict.fromkeys(turns))[:n]


def audited(texts: list[str], place: Path, classifier: Any) -> AuditResult:
    probes = "".join(f'\n[[probe]]\nname = "swaps"\naxis = "{axis}"\n' for axis in AXES)
    examples = tuple(Example(id=f"t{i}", text=t) for i, t in enumerate(texts))
    corpus = Corpus(name="test", labels=LABELS, examples=examples, sha256="bias")
    return runner.run(
        config.reads(AUDIT + probes),
        place / "audit",
        base=place,
        classifier=classifier,
        corpora={"test": corpus},
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="300 texts, a looser bar")
    parser.add_argument("--sabotage", action="store_true", help="must exit non-zero")
    parser.add_argument("--texts", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    said = parser.parse_args()
    import torch
    import transformers

    torch.set_num_threads(said.threads)
    transformers.logging.set_verbosity_error()
    texts = real_texts(said.texts or (300 if said.quick else 20_000))
    bar = QUICK_BAR if said.quick else BAR
    if said.sabotage:
        # Every question is paid for again.
        DiskCache.get = lambda self, keys: {}  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        spec = config.reads(AUDIT).model
        spec = type(spec)(path=str(assemble(place / "model")), device="cpu", dtype="float32")
        timed = Timed(model.load(spec, model.identify(spec)))
        assert isinstance(timed, TokenClassifier)
        # Imports and tables are read once in a process, whatever the audit: not counted.
        audited(texts[:12], place / "warm", timed.inner)
        stats.mcnemar(1, 2)
        wall, cpu = time.perf_counter(), time.process_time()
        result = audited(texts, place, timed)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    figure = wall / timed.bare
    print(
        f"{len(texts):,} texts of {np.mean([len(t) for t in texts]):.0f} characters on average, "
        f"{len(AXES)} axes, {torch.get_num_threads()} threads"
        + (" (--quick: a looser bar)" if said.quick else "")
    )
    print(f"  {'axis':<16} {'pairs':>5} {'queries':>9} {'forwards':>9} {'seconds':>8}  coverage")
    failed = [one.error for one in result.runs if one.error]
    for axis, one, cost in zip(AXES, result.runs, result.telemetry.probes, strict=True):
        touched = next((m.value for m in one.measurements if m.metric == "coverage"), None)
        share = (
            f"{touched.value:.3f} ({touched.low:.3f} to {touched.high:.3f})"
            if isinstance(touched, Estimate)
            else "none"
        )
        print(
            f"  {axis:<16} {len(lexicon(axis).pairs):>5} {cost.queries:>9,} {cost.forwards:>9,} "
            f"{cost.seconds:>8.1f}  {share}"
        )
    print(f"  whole run {wall:.1f} s by the wall, {cpu:.1f} s of the processor")
    print(
        f"  forward passes {timed.paid:.1f} s on {timed.rows:,} texts, of which "
        f"{timed.bare:.1f} s on the {len(timed.seen):,} unique ones"
    )
    for why in failed:
        print(f"  failed: {why}")
    holds = figure <= bar and not failed
    print(f"  whole / bare {figure:.3f}   at most {bar:g}   {'holds' if holds else 'MISSED'}")
    line = {
        "benchmark": "bias",
        "quick": said.quick,
        "sabotage": said.sabotage,
        "texts": len(texts),
        "axes": len(AXES),
        "unique": len(timed.seen),
        "figure": figure,
        "bar": bar,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "bare_seconds": timed.bare,
        "threads": said.threads,
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

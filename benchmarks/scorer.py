"""How much faster is the Scorer than a plain pipeline, and does it say the same?

Scores 5,000 real texts (EDOS and Davidson) in one warm process, calls alone, in the order
A B A B: A is `Scorer`, B is transformers' ``pipeline("text-classification", batch_size=32,
top_k=None)``, both on the packaged encoder with the committed head, at full precision. Each is
given the same strings, the same maximum length and the same threads. The cache is a file on disk
and empty at each A; a last A is answered from it.

Times are processor seconds of this process, on one thread unless told otherwise, so that other work
on the machine counts for neither side; wall seconds stand beside them.

    python benchmarks/scorer.py             the whole of it, some minutes
    python benchmarks/scorer.py --quick     240 texts, with a lower bar that is printed as such
    python benchmarks/scorer.py --sabotage  without sorting, packing and cache: must miss the bar

The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import model
from audit.cache import DiskCache
from audit.scorer import Scorer
from benchmarks.heads.make import assemble
from tests import realdata

FASTER, CLOSER, WARMER = 2.5, 1e-5, 50.0
QUICK_FASTER, QUICK_WARMER = 1.5, 10.0
"""A few hundred texts fill few batches, and one cache read is then mostly its opening."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The settings under ``[model]`` that matter here."""

    path: str
    revision: str | None = None
    labels: Any = None
    max_length: int | None = None
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", self.labels or {})


class Naive:
    """The Scorer without what makes it fast: batches as the texts come, and nothing kept."""

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def __call__(self, texts: Sequence[str]) -> Any:
        parts = [self.classifier.probabilities(texts[i : i + 32]) for i in range(0, len(texts), 32)]
        return np.concatenate(parts)


def real_texts(n: int) -> list[str]:
    """Return `n` different texts, taken in turn from the two sets."""
    columns = [
        [row["text"] for file in files for row in realdata.rows(name, file)]
        for name, files in (
            ("edos", ("test.jsonl", "dev.jsonl", "train.jsonl")),
            ("davidson", ("test.jsonl", "train.jsonl")),
        )
    ]
    turns = [text for pair in zip(*columns, strict=False) for text in pair]
    return list(dict.fromkeys(turns))[:n]


def timed(call: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Return processor and wall seconds of a call, and what it returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    said = call()
    return (time.process_time() - cpu, time.perf_counter() - wall), said


def native_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; emulated, it is slower than fp32."""
    try:
        return bool({"avx512_bf16", "amx_bf16"} & set(Path("/proc/cpuinfo").read_text().split()))
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="240 texts, lower bars")
    parser.add_argument("--sabotage", action="store_true", help="must exit non-zero")
    parser.add_argument("--texts", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    said = parser.parse_args()
    count = said.texts or (240 if said.quick else 5000)
    rounds = 1 if said.quick else 2

    (_, importing), torch = timed(lambda: __import__("torch"))
    (_, more), transformers = timed(lambda: __import__("transformers"))
    importing += more
    torch.set_num_threads(said.threads)
    texts = real_texts(count)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        folder = assemble(place / "model")
        figures = measure(texts, folder, place, rounds, transformers, sabotage=said.sabotage)

    faster, warmer = (QUICK_FASTER, QUICK_WARMER) if said.quick else (FASTER, WARMER)
    bars = [
        ("throughput, Scorer / pipeline", figures["ratio"], "at least", faster),
        ("largest probability difference", figures["difference"], "at most", CLOSER),
        ("second run from the cache, first / second", figures["cache_ratio"], "at least", warmer),
    ]
    length = statistics.fmean(map(len, texts))
    print(
        f"{len(texts)} texts of {length:.0f} characters on average, {torch.get_num_threads()} "
        f"threads, {rounds} rounds" + (" (--quick: lower bars)" if said.quick else "")
    )
    print(f"imports of torch and transformers, not counted: {importing:.1f} s")
    for name in ("pipeline", "scorer", "cache", "scorer_bf16"):
        if name in figures["seconds"]:
            s, wall = figures["seconds"][name], figures["wall"][name]
            print(
                f"  {name:<12} {s:9.2f} s {len(texts) / s:10.0f} texts/s   ({wall:.2f} s by the wall)"
            )
    if "bf16" in figures:
        print(
            f"  bf16, opt-in: {figures['bf16']['ratio']:.2f} times the pipeline, largest "
            f"difference {figures['bf16']['difference']:.1e}, labels changed "
            f"{figures['bf16']['labels_changed']}"
        )
    else:
        print("  bf16, opt-in: not measured, this processor has no bf16 instructions")
    holds = True
    for name, figure, side, bar in bars:
        kept = figure >= bar if side == "at least" else figure <= bar
        holds &= kept
        print(f"  {name:<44} {figure:10.3g}   {side} {bar:g}   {'holds' if kept else 'MISSED'}")
    line = {
        "benchmark": "scorer",
        "quick": said.quick,
        "sabotage": said.sabotage,
        "texts": len(texts),
        "figure": figures["ratio"],
        "bar": faster,
        "difference": figures["difference"],
        "difference_bar": CLOSER,
        "cache_ratio": figures["cache_ratio"],
        "cache_bar": warmer,
        "bf16": figures.get("bf16"),
        "seconds": figures["seconds"],
        "wall_seconds": figures["wall"],
        "wall_ratio": figures["wall"]["pipeline"] / figures["wall"]["scorer"],
        "threads": said.threads,
        "imports_s": round(importing, 2),
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


def measure(
    texts: list[str],
    folder: Path,
    place: Path,
    rounds: int,
    transformers: Any,
    *,
    sabotage: bool,
) -> dict[str, Any]:
    """Time both ways in turn and compare what they say."""
    classifier = loaded(folder)
    transformers.logging.set_verbosity_error()
    pipe = transformers.pipeline(
        "text-classification",
        model=str(folder),
        batch_size=32,
        top_k=None,
        device=-1,
    )
    cut = {"truncation": True, "max_length": classifier.max_length}

    def plain() -> np.ndarray:
        rows = [{one["label"]: one["score"] for one in row} for row in pipe(texts, **cut)]
        return np.array([[row[label] for label in classifier.labels] for row in rows])

    def ours(which: Any, turn: str) -> Any:
        return Naive(which) if sabotage else Scorer(which, memory=DiskCache(place / f"{turn}.db"))

    warm = texts[:: max(1, len(texts) // 32)][:32]
    Naive(classifier)(warm)
    pipe(warm, **cut)
    times: dict[str, list[tuple[float, float]]] = {"scorer": [], "pipeline": []}
    for turn in range(rounds):
        scorer = ours(classifier, f"scores{turn}")
        took, mine = timed(lambda scorer=scorer: scorer(texts))
        times["scorer"].append(took)
        took, theirs = timed(plain)
        times["pipeline"].append(took)
    # Another process's view of the same file: nothing is in memory yet.
    again = ours(classifier, f"scores{rounds - 1}")
    took, kept = timed(lambda: again(texts))
    times["cache"] = [took]
    figures: dict[str, Any] = {"difference": float(np.abs(mine - theirs).max())}
    if not np.array_equal(mine, kept) and not sabotage:
        raise SystemExit("the cache gave other scores than those it was given")
    if native_bf16() and not sabotage:
        fast = loaded(folder, dtype="bfloat16")
        fast.probabilities(warm)
        low = Scorer(fast)
        took, rough = timed(lambda: low(texts))
        times["scorer_bf16"] = [took]
        figures["bf16"] = {
            "ratio": statistics.median(cpu for cpu, _ in times["pipeline"]) / took[0],
            "difference": float(np.abs(rough - theirs).max()),
            "labels_changed": int((rough.argmax(1) != theirs.argmax(1)).sum()),
        }
    seconds = {name: statistics.median(cpu for cpu, _ in took) for name, took in times.items()}
    figures["seconds"] = seconds
    figures["wall"] = {
        name: statistics.median(wall for _, wall in took) for name, took in times.items()
    }
    figures["ratio"] = seconds["pipeline"] / seconds["scorer"]
    figures["cache_ratio"] = seconds["scorer"] / seconds["cache"]
    return figures


def loaded(folder: Path, dtype: str = "float32") -> Any:
    """Load the classifier as the suite does."""
    spec = Spec(path=str(folder), dtype=dtype)
    return model.load(spec, model.identify(spec))


if __name__ == "__main__":
    sys.exit(main())

"""What does the suite's training loop cost beside a loop written by hand, and what does LoRA save?

Three loops train the same encoder on the same real texts (EDOS) with the same settings (AdamW,
linear schedule with warm-up, clipped gradients, batches padded to their longest text): `audit.fit`
as `evenhand train` uses it, whole with dev epochs and checkpoints; a bare PyTorch loop over the very
same length-bucketed batches, which also scores dev and saves the model at the end; and that loop
with its texts in random order. A B C A B C in one process, texts a second by processor time of one
thread, so that other work on the machine counts for none of them.

Then, but for --quick, full fine-tuning and LoRA, each in a process of its own: processor seconds, peak
memory, dev macro-F1.

    python benchmarks/training.py             the packaged encoder, 1,000 texts, some minutes
    python benchmarks/training.py --quick     a small random encoder, lower bars, printed as such
    python benchmarks/training.py --sabotage  the suite's batches in random order: must miss the bar

The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import fit, training
from audit.batches import Buckets, padded, rows_of, scores_of
from audit.fscore import macro_f1, truth
from audit.fscore import said as decided
from audit.huggingface import quiet
from audit.newhead import with_new_head
from audit.objective import Objective
from audit.resources import Resources
from audit.settings import TrainConfig
from audit.types import Corpus, Example
from tests import realdata

LABELS = ("not sexist", "sexist")
BARE, UNSORTED = 0.9, 1.5
QUICK_BARE, QUICK_UNSORTED = 0.8, 1.2
"""A small encoder computes little, so that whatever a loop does besides weighs more."""


def texts(n: int, file: str) -> tuple[Example, ...]:
    rows = realdata.rows("edos", file)[:n]
    return tuple(Example(id=r["id"], text=r["text"], label=r["label_name"]) for r in rows)


def small_encoder(folder: Path) -> Path:
    """Write a random BERT wide enough that its layers, not Python, take the time."""
    from tests.tiny import tiny_bert

    words = [e.text for e in texts(400, "train.jsonl")]
    return tiny_bert(folder, words, LABELS, layers=4, hidden=192, max_length=128, head="none")


def ours(
    settings: TrainConfig, encoder: Path, train: Any, dev: Any, folder: Path
) -> dict[str, float]:
    def run() -> Any:
        return fit.fit(
            settings,
            encoder,
            LABELS,
            "single",
            train,
            dev,
            (),
            folder,
            objective=Objective(),
            on_progress=training.silent,
        )

    return _timed(run)


def bare(
    settings: TrainConfig, encoder: Path, train: Any, dev: Any, folder: Path, *, bucketed: bool
) -> dict[str, float]:
    """Train by hand: the same batches, or texts in random order."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    def run() -> Any:
        torch.manual_seed(settings.seed)
        model, tokenizer, pad = with_new_head(encoder, LABELS, "single")
        rows, _ = rows_of(
            tokenizer, train, truth(train, LABELS, "single"), "single", settings.max_length
        )
        held, _ = rows_of(
            tokenizer, dev, truth(dev, LABELS, "single"), "single", settings.max_length
        )
        steps = -(-len(rows) // settings.batch_size) * settings.epochs
        optimiser = torch.optim.AdamW(
            model.parameters(),
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        schedule = get_linear_schedule_with_warmup(
            optimiser, int(np.ceil(steps * settings.warmup_ratio)), steps
        )
        sampler = Buckets(rows, settings.batch_size, settings.seed)
        low = fit.precision(settings) == "bf16"
        for epoch in range(settings.epochs):
            sampler.set_epoch(epoch)
            order = list(sampler)
            if not bucketed:
                np.random.default_rng(epoch).shuffle(order)
            model.train()
            for start in range(0, len(order), settings.batch_size):
                batch = padded(
                    [rows[i] for i in order[start : start + settings.batch_size]], pad, "single"
                )
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                    loss = model(**batch).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
            model.eval()
            scores = scores_of(model, held, pad, "single")
            macro_f1(truth(dev, LABELS, "single"), decided(scores, LABELS, "single"), 2)
        model.save_pretrained(folder)

    return _timed(run)


def _timed(run: Any) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    with quiet():
        run()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def shuffled() -> None:
    """Sabotage: the suite's sampler gives texts in random order."""
    from audit.seeding import stream

    def order(self: Any) -> Any:
        return iter(map(int, stream(self.seed, "batches", str(self.epoch)).permutation(len(self))))

    Buckets.__iter__ = order  # type: ignore[method-assign]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small encoder, lower bars")
    parser.add_argument("--sabotage", action="store_true", help="must exit non-zero")
    parser.add_argument("--texts", type=int, default=None)
    parser.add_argument("--method", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--encoder", type=Path, default=None, help=argparse.SUPPRESS)
    said = parser.parse_args()
    n = said.texts or (384 if said.quick else 1000)
    import torch

    torch.set_num_threads(1)
    if said.method:
        return one_method(said.method, said.encoder, n)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        encoder = small_encoder(place / "encoder") if said.quick else Resources().encoder()
        return measure(said, encoder, n, place)


def measure(said: argparse.Namespace, encoder: Path, n: int, place: Path) -> int:
    settings = TrainConfig(epochs=1, max_length=96, patience=0)
    train, dev = texts(n, "train.jsonl"), texts(n // 10, "dev.jsonl")
    times: dict[str, list[dict[str, float]]] = {"ours": [], "bare": [], "unsorted": []}
    # Once for what is paid on first use.
    bare(settings, encoder, train[:64], dev[:8], place / "warm", bucketed=True)
    ours(settings, encoder, train[:64], dev[:8], place / "warm-ours")
    for turn in range(2):
        where = place / f"turn-{turn}"
        times["bare"].append(bare(settings, encoder, train, dev, where / "bare", bucketed=True))
        times["unsorted"].append(bare(settings, encoder, train, dev, where / "un", bucketed=False))
        if said.sabotage:
            shuffled()
        times["ours"].append(ours(settings, encoder, train, dev, where / "ours"))
    cpu = {name: statistics.median(t["cpu"] for t in some) for name, some in times.items()}
    wall = {name: statistics.median(t["wall"] for t in some) for name, some in times.items()}
    figure, sorting = cpu["bare"] / cpu["ours"], cpu["unsorted"] / cpu["ours"]
    least = (QUICK_BARE, QUICK_UNSORTED) if said.quick else (BARE, UNSORTED)
    bars = [
        ("throughput, ours / bare loop, same batches", figure, least[0]),
        ("throughput, ours / bare loop, unsorted", sorting, least[1]),
    ]
    print(f"{n} texts, 1 epoch, {len(dev)} dev texts, {fit.precision(settings)}, one thread")
    for name in times:
        each = ", ".join(f"{t['cpu']:.2f}" for t in times[name])
        print(f"  {name:<10} {n / cpu[name]:8.1f} texts/s   processor s: {each}")
    methods = {} if said.sabotage or said.quick else compared(encoder, n)
    for name, one in methods.items():
        print(
            f"  {name:<10} {one['seconds']:8.2f} s, peak {one['peak_mb']:.0f} MB, dev macro-F1 "
            f"{one['macro_f1']:.3f}, {one['trained']:,} weights trained"
        )
    holds = True
    for name, value, bar in bars:
        holds &= value >= bar
        print(
            f"  {name:<48} {value:6.3f}   at least {bar:g}   {'holds' if value >= bar else 'MISSED'}"
        )
    line = {
        "benchmark": "training",
        "quick": said.quick,
        "sabotage": said.sabotage,
        "texts": n,
        "figure": figure,
        "bar": least[0],
        "unsorted": sorting,
        "unsorted_bar": least[1],
        "processor_seconds": cpu,
        "wall_seconds": wall,
        "methods": methods,
        "precision": fit.precision(settings),
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


def compared(encoder: Path, n: int) -> dict[str, dict[str, float]]:
    """Fine-tune whole and by LoRA, each in a fresh process, whose peak memory is its own."""
    found = {}
    for method in ("full", "lora"):
        command = [sys.executable, __file__, "--method", method, "--encoder", str(encoder)]
        command += ["--texts", str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[method] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def one_method(method: str, encoder: Path, n: int) -> int:
    rate = 2e-4 if method == "full" else 2e-3
    settings = TrainConfig(epochs=2, max_length=96, patience=0, method=method, learning_rate=rate)
    with tempfile.TemporaryDirectory() as scratch:
        clock = time.process_time()
        result = training.train(
            settings,
            Corpus(name="train", labels=LABELS, examples=texts(n, "train.jsonl")),
            Corpus(name="dev", labels=LABELS, examples=texts(max(100, n // 4), "dev.jsonl")),
            Path(scratch) / "model",
            encoder=encoder,
        )
        seconds = time.process_time() - clock
        trained = sum(
            int(np.prod(shape))
            for name, shape in _shapes(Path(scratch) / "model", method).items()
            if name
        )
    told = {
        "seconds": seconds,
        "peak_mb": peak_mb(),
        "macro_f1": result.dev["macro_f1"],
        "trained": trained,
    }
    print(json.dumps(told))
    return 0


def peak_mb() -> float:
    """Return this program's own peak of resident memory; Linux alone says it.

    ``getrusage`` begins with what the process that started it held at that time.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _shapes(folder: Path, method: str) -> dict[str, list[int]]:
    from audit.checkpoint import tensor_shapes

    name = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    return tensor_shapes(folder / name)


if __name__ == "__main__":
    sys.exit(main())

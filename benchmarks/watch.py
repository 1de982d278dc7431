"""Does a watch raise the alarm after a drift and never before, in flat memory?

First part, end to end and once: 100,000 records of made-up predictions, three gates (a rate, a gap
between groups, the rate of one group on one topic) and the drift tests, piped into `evenhand watch`
on standard input. At record 60,000 what the model says of one group on one topic turns, and the
texts grow longer. Second part: the classes that hold the windows, fed arrays of streams in which
nothing ever changes and every truth lies at or near its limit, which is where false alarms come
from; a stream counts once any of its gates or drift tests raises one.

    python benchmarks/watch.py               1,000 streams of 100,000 records
    python benchmarks/watch.py --work DIR    the same, going on where it was interrupted
    python benchmarks/watch.py --quick       15 streams of 20,000 records; at most 50 s
    python benchmarks/watch.py --sabotage    with --quick: every window may spend the whole error;
                                             must fail

Bars: no alert before record 60,000, one on the gate that broke within 10,000 records, one on the
length of texts within two windows; memory at the end at most a tenth above that half way; at most
5 % of the unchanged streams with any alarm (with --quick: the exact 95 % interval reaches down to
that). The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import stats, windows
from audit.types import Estimate

ROOT = Path(__file__).resolve().parents[1]
RECORDS, DRIFT, SOON = 100_000, 60_000, 10_000
AUDIT = """
[model]
path = "not asked"
[decision]
favourable = ["positive"]
[corpora.test]
path = "not read.csv"
groups = { topic = "topic", sex = "sex" }
[watch]
batch = 500
[[watch.gate]]
metric = "group_rates.selection_rate"
at_least = 0.45
[[watch.gate]]
metric = "group_rates.selection_rate_gap"
where = { sex = "female", against = "rest" }
at_least = -0.10
at_most = 0.10
[[watch.gate]]
metric = "group_rates.selection_rate"
where = { topic = "delivery", sex = "female" }
at_least = 0.40
"""
BROKEN = "group_rates.selection_rate[sex=female,topic=delivery] >= 0.4"
WORDS = ("the", "parcel", "came", "late", "again", "and", "service", "was", "kind", "cheap")
WINDOW, STEP, BATCH = 2_000, 500, 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="15 shorter streams; at most 50 s")
    parser.add_argument("--sabotage", action="store_true", help="errors are not shared; must fail")
    parser.add_argument("--streams", type=int, help="streams in which nothing changes")
    parser.add_argument("--work", type=Path, help="folder to go on in")
    said = parser.parse_args()
    clock = time.perf_counter()
    if said.sabotage:
        windows.share_of = lambda alpha, number: alpha + 0 * number
    whole = end_to_end(RECORDS // 5 if said.quick else RECORDS)
    streams = said.streams or (15 if said.quick else 1_000)
    length = RECORDS // 5 if said.quick else RECORDS
    alarms = unchanged(streams, length, said)
    e = stats.clopper_pearson(sum(alarms), len(alarms))
    assert isinstance(e, Estimate)
    kept = e.low <= 0.05 if said.quick else e.value <= 0.05
    print(
        f"{len(alarms)} streams of {length:,} records without a change: {sum(alarms)} with an "
        f"alarm, {e.value:.3f} ({e.low:.3f} to {e.high:.3f}), at most 0.05: "
        f"{'holds' if kept else 'MISSED'}"
    )
    holds = kept and whole["holds"]
    line = {
        "benchmark": "watch",
        "quick": said.quick,
        "sabotage": said.sabotage,
        "figure": e.value,
        "bar": 0.05,
        "streams": len(alarms),
        "records": length,
        "end_to_end": whole,
        "seconds": round(time.perf_counter() - clock, 1),
        "holds": bool(holds),
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


def records(n: int, drift: int) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for start in range(0, n, 10_000):
        draw = rng.random((10_000, 3))
        words = rng.integers(0, len(WORDS), (10_000, 24))
        sizes = rng.integers(4, 13, 10_000)
        for i in range(min(10_000, n - start)):
            topic, sex = (
                ("delivery", "price")[int(draw[i, 0] < 0.5)],
                ("female", "male")[int(draw[i, 1] < 0.5)],
            )
            turned = start + i >= drift
            p = 0.25 if turned and (topic, sex) == ("delivery", "female") else 0.5
            size = int(sizes[i]) * (2 if turned else 1)
            row = {
                "time": f"{start + i}",
                "text": " ".join(WORDS[w] for w in words[i, :size]),
                "prediction": "positive" if draw[i, 2] < p else "negative",
                "topic": topic,
                "sex": sex,
            }
            yield json.dumps(row) + "\n"


def end_to_end(n: int) -> dict[str, Any]:
    """Pipe a stream with a drift into the command and look at its alerts and its memory."""
    drift = n * DRIFT // RECORDS
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "audit.toml").write_text(AUDIT)
        command = [sys.executable, "-m", "audit.cli", "watch", str(folder / "audit.toml")]
        process = subprocess.Popen(
            [*command, "--state", str(folder / "state.json"), "-q"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        memory = []
        for i, line in enumerate(records(n, drift)):
            process.stdin.write(line)
            if i in (n // 2, n - 1_000):
                process.stdin.flush()
                counted(folder / "state.json", i - 2_000)
                memory.append(resident(process.pid))
        process.stdin.close()
        alerts = [json.loads(line) for line in process.stdout]
        code = process.wait()
        state = json.loads((folder / "state.json").read_text())
    early = [a for a in alerts if a["records"] <= drift]
    gate = min((a["records"] for a in alerts if a["what"] == BROKEN), default=0)
    length = min((a["records"] for a in alerts if a["what"] == "drift.length"), default=0)
    grown = memory[1] / memory[0]
    checks = {
        "exit 1": code == 1,
        "every record counted": state["records"] == n,
        "no alert before": not early,
        "the gate within 10,000 records": drift < gate <= drift + SOON,
        "the length within two windows": drift < length <= drift + 2 * WINDOW,
        "memory flat": grown <= 1.1,
    }
    print(f"{n:,} records through standard input, drift at {drift:,}")
    for a in alerts:
        print(
            f"  at {a['records']:,}: {a['what']}, {a['value']:.3f} ({a['low']:.3f} to {a['high']:.3f})"
        )
    print(f"  memory {memory[0] / 1024:.1f} MB half way, {memory[1] / 1024:.1f} MB at the end")
    for name, kept in checks.items():
        print(f"  {name}: {'holds' if kept else 'MISSED'}")
    return {
        "alerts": {a["what"]: a["records"] for a in alerts},
        "drift": drift,
        "memory_kb": memory,
        "holds": all(checks.values()),
    }


def counted(state: Path, records: int) -> None:
    """Wait until the watch has counted so many records."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if state.exists() and json.loads(state.read_text())["records"] >= records:
            return
        time.sleep(0.05)


def resident(pid: int) -> int:
    """Return the kilobytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1])


def unchanged(streams: int, length: int, said: argparse.Namespace) -> list[bool]:
    """Return, for each stream in which nothing changes, whether it raised any alarm."""
    kept = said.work / "watch.jsonl" if said.work and not said.sabotage else None
    done: list[bool] = []
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if kept.exists():
            done = [json.loads(x) for x in kept.read_text().splitlines()][:streams]
    for seed in range(len(done), streams):
        alarm = one_stream(seed, length)
        done.append(alarm)
        if kept is not None:
            with kept.open("a") as file:
                file.write(json.dumps(alarm) + "\n")
        if seed % 100 == 99:
            print(f"  {seed + 1} streams, {sum(done)} with an alarm", flush=True)
    return done


def one_stream(seed: int, length: int) -> bool:
    """Feed one stream to what a watch of three gates and three drift tests holds."""
    rng = np.random.default_rng([7, seed])
    each = 0.05 / 6
    shared = {"alpha": each, "window": WINDOW, "step": STEP}
    # At the limit itself: no truth within the limit errs more often.
    rate = windows.Windows(limit=0.5, side="at_least", gap=False, **shared)
    topic = windows.Windows(limit=0.5, side="at_least", gap=False, **shared)
    gap = windows.Windows(limit=0.0, side="at_most", gap=True, **shared)
    drifts = []
    for bins in (11, 12, 32):
        reference = np.bincount(rng.integers(0, bins, WINDOW), minlength=bins)
        drifts.append((bins, windows.Shift(reference, alpha=each, window=WINDOW)))
    for start in range(0, length, BATCH):
        n = min(BATCH, length - start)
        hits, female, about = rng.random(n) < 0.5, rng.random(n) < 0.5, rng.random(n) < 0.5
        if rate.add(hits) or topic.add(hits[female & about]) or gap.add(hits, female):
            return True
        if any(shift.add(rng.integers(0, bins, n)) for bins, shift in drifts):
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())

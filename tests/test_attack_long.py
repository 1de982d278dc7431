"""A thousand texts under three attacks: bounded memory, and nothing lost by an interrupt."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit import store

ROOT = Path(__file__).parents[1]
MINE = """
import numpy as np

GOOD, BAD = ("excellent", "splendid", "great", "good"), ("terrible", "awful", "bad", "poor")

class Words:
    labels = ("bad", "good")
    fingerprint = "words"

    def probabilities(self, texts):
        score = np.array(
            [sum(w in t for w in GOOD) - sum(w in t for w in BAD) + 0.3 for t in texts], float
        )
        p = 1 / (1 + np.exp(-score))
        return np.stack([1 - p, p], axis=1)

classifier = Words()
"""
AUDIT = """
[model]
path = "mine.py:classifier"
[decision]
favourable = ["good"]
[corpora.test]
path = "texts.csv"
label = "label"
id = "id"
[[probe]]
name = "attack"
recipes = ["deepwordbug", "pruthi", "morpheus"]
texts = {n}
max_queries = 60
"""
PEAK = """
import sys
from audit.cli import main
code = main(sys.argv[1:])
# Not getrusage: it begins with what the process that started this one holds.
with open("/proc/self/status") as status:
    (line,) = (line for line in status if line.startswith("VmHWM"))
sys.stderr.write(f"PEAK {int(line.split()[1]) / 1024:.0f}\\n")
sys.exit(code)
"""


def written(folder, n):
    kinds = [("excellent", "good"), ("terrible", "bad"), ("splendid", "good"), ("poor", "bad")]
    rows = []
    for i in range(n):
        word, label = kinds[i % 4]
        rows.append(f"e{i},the {word} film number {i} was shown in the old town,{label}")
    (folder / "texts.csv").write_text("id,text,label\n" + "\n".join(rows) + "\n")
    (folder / "mine.py").write_text(MINE)
    (folder / "audit.toml").write_text(AUDIT.replace("{n}", str(n)))


def started(folder, out):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PEAK, "run", "audit.toml", "--out", out],
        cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def scored(folder):
    """Bytes of the score cache: they grow while searches go on."""
    return sum(f.stat().st_size for f in (folder / "cache").glob("scores.db*"))


def interrupted(folder, out, size):
    """Start an audit and press Ctrl-C once its score cache has `size` bytes."""
    one = started(folder, out)
    for _ in range(6000):
        time.sleep(0.1)
        if one.poll() is not None:
            break
        if (folder / out).exists() and scored(folder / out) >= size:
            one.send_signal(signal.SIGINT)
            break
    _, said = one.communicate(timeout=600)
    return one.returncode, said


def compared(folder, n):
    """Run whole, and interrupted about half-way and resumed; return both results and peaks (MiB)."""
    written(folder, n)
    whole = started(folder, "whole")
    _, said = whole.communicate(timeout=7000)
    assert whole.returncode == 0, said
    peaks = [float(said.split("PEAK ")[1])]
    code, said = interrupted(folder, "cut", scored(folder / "whole") // 2)
    assert code == 2 and "Interrupted" in said, said
    assert not (folder / "cut" / "result.json").exists()
    kept = scored(folder / "cut")
    again = started(folder, "cut")
    _, said = again.communicate(timeout=7000)
    assert again.returncode == 0, said
    peaks.append(float(said.split("PEAK ")[1]))
    one, other = store.read(folder / "whole"), store.read(folder / "cut")
    return one, other, peaks, kept


def forwards(result):
    return sum(cost.forwards for cost in result.telemetry.probes)


@pytest.mark.slow
@pytest.mark.timeout(14400)
def test_a_thousand_texts_and_three_attacks_are_finished_in_bounded_memory(tmp_path, capsys):
    one, other, peaks, _ = compared(tmp_path, 1000)
    assert one.runs == other.runs and one.provenance == other.provenance
    # What was answered before the interrupt is not asked again.
    assert forwards(other) < forwards(one)
    assert max(peaks) < 2048
    rates = {
        m.where["recipe"]: m.value
        for m in one.runs[0].measurements
        if m.metric == "broken_within_budget"
    }
    assert {v.n for v in rates.values()} == {1000}
    with capsys.disabled():
        sys.stdout.write(
            json.dumps(
                {
                    "texts": 1000,
                    "peak_mib": peaks,
                    "forwards": [forwards(one), forwards(other)],
                    "broken": {name: v.value for name, v in rates.items()},
                }
            )
            + "\n"
        )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_few_texts_and_three_attacks_lose_nothing_by_an_interrupt(tmp_path):
    one, other, peaks, _ = compared(tmp_path, 40)
    assert one.runs == other.runs
    assert forwards(other) < forwards(one) and max(peaks) < 2048

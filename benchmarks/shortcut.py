"""Does a retrain with counterfactual copies remove the demo's planted shortcut, and at what price?

In the demo's texts a women's organisation costs 4 in log-odds. A model is fine-tuned on them and
`evenhand retrain` mends it by the recipe ``counterfactual`` (every text about somebody of the other
sex as well). Both models are audited on fresh texts of the demo's generator, which no training,
dev or test text of the demo is among. Asked of the retrained model:

    the swap effect (swaps.favourable_gap, she less he): its 95 % interval lies within ±0.02;
    before the retrain it did not;
    accuracy, paired on the same fresh texts: a loss of more than 0.02 is ruled out (Tango, 5 %).

Two sets of labels tell accuracy. The planted ones hold the shortcut: whoever gives it up must miss
some of them (the best blind reader of the generator has 0.040 less than the best one). The labels
by merit are those the same applicants get with the organisation fault left out. Both are printed;
the bar is on the planted ones.

    python benchmarks/shortcut.py --work DIR   the whole of it, about a quarter of an hour; resumes
    python benchmarks/shortcut.py --quick      few texts, wider limits that are printed as such
    python benchmarks/shortcut.py --sabotage   the recipe copies nothing: must miss the bar

The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import config, sample, store, training
from audit.console import Display
from audit.files import write_text
from audit.paired import non_inferiority
from audit.report import render
from audit.resources import Resources
from audit.retrain import retrain
from audit.types import Absent, Estimate

GAP = "swaps.favourable_gap[axis=gender,pair=female-male]"
LIMIT, MARGIN = 0.02, 0.02
QUICK_LIMIT, QUICK_MARGIN = 0.08, 0.15
"""Two hundred texts, and a training of seconds, cannot show more."""
SEED = 7
MERIT = replace(sample.PLANTED, organisations=0.0)

AUDIT = """
[audit]
name = "The planted shortcut, before and after"
seed = 7
out = "audit"
[model]
path = "model"
[decision]
favourable = ["advance"]
[corpora.test]
path = "fresh.csv"
label = "label"
id = "id"
groups = {{ sex = "sex" }}
kind = "synthetic"
[corpora.train]
path = "train.csv"
label = "label"
id = "id"
kind = "synthetic"
[corpora.dev]
path = "dev.csv"
label = "label"
id = "id"
kind = "synthetic"
[[probe]]
name = "swaps"
axis = "gender"
[[gate]]
metric = "swaps.favourable_gap"
at_least = -{limit}
at_most = {limit}
severity = "critical"
[train]
epochs = {epochs}
learning_rate = {rate}
max_length = 96
freeze_layers = {frozen}
seed = 7
[[recipe]]
name = "counterfactual"
axes = ["gender"]
share = {share}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few texts, wider limits")
    parser.add_argument("--sabotage", action="store_true", help="must exit non-zero")
    parser.add_argument("--work", type=Path, default=None, help="folder to work and resume in")
    parser.add_argument("--fresh", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--freeze-layers", type=int, default=None)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return measure(said, said.work or Path(scratch))


def measure(said: argparse.Namespace, work: Path) -> int:
    clock = time.perf_counter()
    limit, margin = (QUICK_LIMIT, QUICK_MARGIN) if said.quick else (LIMIT, MARGIN)
    sizes = {"train": 300, "dev": 60} if said.quick else {"train": 1200, "dev": 250}
    n = said.fresh or (200 if said.quick else 4000)
    work.mkdir(parents=True, exist_ok=True)
    corpora = {name: sample.generate(SEED, size, stream_name=name) for name, size in sizes.items()}
    fresh = sample.generate(SEED, n, stream_name="held-out")
    for name, corpus in {**corpora, "fresh": fresh}.items():
        sample.write(corpus, work / f"{name}.csv")
    text = AUDIT.format(
        limit=limit,
        epochs=said.epochs or 3,
        rate=8e-4 if said.quick else 2e-4,
        frozen=said.freeze_layers or (5 if said.quick else 3),
        share=0.0 if said.sabotage else 1.0,
    )
    write_text(work / "audit.toml", text)
    read = config.read(work / "audit.toml")
    with Display() as display:
        training.train(
            read.train,
            corpora["train"],
            corpora["dev"],
            work / "model",
            encoder=Resources().encoder(),
            on_progress=display.training,
        )
        result = retrain(read, work / "retrain", base=work, display=display, audit_file=text)
    write_text(work / "report.html", render(result))
    figures = figured(work / "retrain", n, margin)
    effect, before = figures["effect"], figures["effect_before"]
    planted = figures["planted"]
    bars = [
        ("before: effect outside the limit", not _within(before, limit)),
        ("after: effect within the limit", _within(effect, limit)),
        (f"accuracy (planted labels): loss above {margin:g} ruled out", planted["holds"]),
    ]
    for name in ("effect_before", "effect"):
        e = figures[name]
        print(f"  {name:<16} {e.value:+.4f} [{e.low:+.4f}, {e.high:+.4f}], n = {e.n}")
    for name in ("planted", "merit"):
        one = figures[name]
        print(
            f"  accuracy, {name} labels: {one['before']:.4f} to {one['after']:.4f}, change "
            f"{one['change']:+.4f}, one-sided 95 % bound {one['bound']:+.4f}"
        )
    for sentence in result.comparison.words if result.comparison else ():
        print(f"  report: {sentence}")
    holds = all(kept for _, kept in bars)
    for name, kept in bars:
        print(f"  {name:<60} {'holds' if kept else 'MISSED'}")
    line = {
        "benchmark": "shortcut",
        "quick": said.quick,
        "sabotage": said.sabotage,
        "texts": n,
        "figure": max(abs(effect.low), abs(effect.high)),
        "bar": limit,
        "effect": [effect.value, effect.low, effect.high],
        "effect_before": [before.value, before.low, before.high],
        "accuracy": {name: figures[name] for name in ("planted", "merit")},
        "margin": margin,
        "seconds": round(time.perf_counter() - clock, 1),
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


def figured(folder: Path, n: int, margin: float) -> dict[str, Any]:
    """Read the effects and the accuracies off the two audits."""
    merit = {
        e.id: e.label
        for e in sample.generate(SEED, n, faults=MERIT, stream_name="held-out").examples
    }
    places = {"effect_before": folder / "before", "effect": folder / f"after-{SEED}"}
    found: dict[str, Any] = {}
    decided = {}
    for name, place in places.items():
        audit = store.read(place)
        (found[name],) = (m.value for run in audit.runs for m in run.measurements if m.id == GAP)
        assert isinstance(found[name], Estimate), found[name]
        units = store.read_table(place, store.UNITS)
        labels = audit.plan.decision.labels
        said = [labels[int(k)] for k in units["decision"]]
        decided[name] = dict(zip(units["id"], said, strict=True))
        planted = dict(zip(units["id"], units["label"], strict=True))
    for name, labels in (("planted", planted), ("merit", merit)):
        right = [{i: d[i] == labels[i] for i in d} for d in decided.values()]
        lost = sum(right[0][i] and not right[1][i] for i in right[0])
        gained = sum(right[1][i] and not right[0][i] for i in right[0])
        told = non_inferiority(n, lost, gained, margin)
        assert not isinstance(told, Absent), told
        found[name] = {
            "before": sum(right[0].values()) / n,
            "after": sum(right[1].values()) / n,
            "change": told.difference.value,
            "bound": told.difference.low,
            "holds": told.holds,
        }
    return found


def _within(e: Estimate, limit: float) -> bool:
    return -limit < e.low and e.high < limit


if __name__ == "__main__":
    sys.exit(main())

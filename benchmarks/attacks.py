"""How much faster are lockstep attacks than TextAttack's loop, and do they find the same?

Attacks real texts (EDOS and Davidson) with three published recipes three ways, chunk by chunk and
in turn (A B C, C B A, …), in one process, on the packaged encoder with the committed head:

    shipped   TextAttack as it comes: its own recipe, its own wrapper, default settings
    dynamic   the same with a wrapper that pads to the longest text of a batch
    ours      `audit.attacks.attack`: the recipe's parts in lockstep, answered by a Scorer

Every text starts from the same randomness. Ours must end as TextAttack does, text by text: outcome,
perturbed text, number of queries; differences are listed. Times are processor seconds of this
process on one thread; imports stand apart. Beside the ratios: our model time over that of the bare
forward passes on the same unique texts, and the peak of memory.

    python benchmarks/attacks.py --work DIR   60 texts, three recipes; resumes where it was stopped
    python benchmarks/attacks.py --quick      two short texts, one recipe, a bar of its own
    python benchmarks/attacks.py --sabotage   ours answered by TextAttack's wrapper: must miss

The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import attacks, foreign
from audit.attack_recipes import recipe
from audit.decision import decide, make
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from benchmarks.heads.make import assemble
from benchmarks.scorer import loaded, real_texts

SHIPPED, DYNAMIC, BARE, QUICK = 10.0, 1.1, 1.15, 6.0
RECIPES = {
    "deepwordbug": "DeepWordBugGao2018",
    "pwws": "PWWSRen2019",
    "pruthi": "Pruthi2019",
}
SHORT = (
    "Women should not be allowed to vote in this country",
    "She said the meeting was a complete waste of time",
)
LONGEST = 120
"""Characters of a text in the long form: TextAttack's own way takes minutes for a long one."""


@dataclass(kw_only=True)
class Timed:
    """An answerer whose processor seconds are added up."""

    answer: Callable[[Sequence[Any]], Any]
    seconds: float = 0.0
    asked: dict[str, None] = field(default_factory=dict)

    def __call__(self, texts: Sequence[Any]) -> Any:
        start = time.process_time()
        rows = self.answer(texts)
        self.seconds += time.process_time() - start
        self.asked.update(dict.fromkeys(texts))
        return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two short texts, one recipe")
    parser.add_argument("--sabotage", action="store_true", help="must exit non-zero")
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--chunk", type=int, default=20, help="texts that share a lockstep")
    parser.add_argument("--work", type=Path, help="keep finished chunks here")
    said = parser.parse_args()

    start = time.process_time()
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    names = ["deepwordbug"] if said.quick else list(RECIPES)
    if "pwws" in names and Resources().wordnet_source() is None:
        print("WordNet is not on this machine: pwws is not run.")
        names.remove("pwws")
    ta = foreign.textattack(wordnet="pwws" in names)
    importing = time.process_time() - start
    texts = SHORT if said.quick else _short_real_texts(said.texts)
    with tempfile.TemporaryDirectory() as scratch:
        ground = Ground(ta, assemble(Path(scratch) / "model"), sabotage=said.sabotage)
        chunks = [
            _kept(
                said.work,
                f"{name}-{i}",
                lambda name=name, i=i: ground.chunk(name, i, texts[i : i + said.chunk]),
            )
            for name in names
            for i in range(0, len(texts), said.chunk)
        ]
    return report(chunks, quick=said.quick, sabotage=said.sabotage, importing=importing)


def _short_real_texts(n: int) -> list[str]:
    return [text for text in real_texts(4000) if 30 <= len(text) <= LONGEST][:n]


def _kept(work: Path | None, name: str, make_it: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    file = None if work is None else work / f"{name}.json"
    if file is not None and file.exists():
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found
    made = make_it()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(made, sort_keys=True), "utf-8")
    return made


class Ground:
    """The model and the three ways to attack it."""

    def __init__(self, ta: Any, folder: Path, *, sabotage: bool) -> None:
        import transformers

        self.ta = ta
        self.classifier = loaded(folder)
        self.rule = make(self.classifier.labels, self.classifier.labels[:1])
        self.module = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.sabotage = sabotage
        # Warm: no way pays for what every process pays once.
        Scorer(self.classifier)(SHORT)
        self.shipped()(list(SHORT))

    def shipped(self) -> Any:
        return self.ta.models.wrappers.HuggingFaceModelWrapper(self.module, self.tokenizer)

    def dynamic(self) -> Any:
        import torch

        module, tokenizer = self.module, self.tokenizer

        class Dynamic(self.ta.models.wrappers.ModelWrapper):  # type: ignore[misc,name-defined]
            model = module

            def __call__(self, texts: list[str]) -> Any:
                made = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
                with torch.no_grad():
                    return module(**made).logits.softmax(-1)

        return Dynamic()

    def chunk(self, name: str, at: int, texts: Sequence[str]) -> dict[str, Any]:
        """Attack some texts all three ways, in an order that turns from chunk to chunk."""
        truths = decide(self.rule, Scorer(self.classifier)(texts)).label.tolist()
        ways: dict[str, Callable[[], Any]] = {
            "shipped": lambda: self.loop(name, texts, truths, self.shipped()),
            "dynamic": lambda: self.loop(name, texts, truths, self.dynamic()),
            "ours": lambda: self.ours(name, texts, truths),
        }
        made: dict[str, Any] = {"recipe": name, "texts": len(texts), "seconds": {}, "ends": {}}
        order = list(ways) if (at // max(1, len(texts))) % 2 == 0 else list(ways)[::-1]
        for way in order:
            start = time.process_time()
            ends, extra = ways[way]()
            made["seconds"][way] = time.process_time() - start
            made["ends"][way] = ends
            made |= extra
        return made

    def loop(
        self, name: str, texts: Sequence[str], truths: Sequence[int], wrapper: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        """TextAttack's own recipe, text after text."""
        ends = []
        with foreign.no_downloads():
            attack = getattr(self.ta.attack_recipes, RECIPES[name]).build(wrapper)
            for i, (text, truth) in enumerate(zip(texts, truths, strict=True)):
                with foreign.borrowed_randomness(stream(5, name, str(i), text)):
                    end = attack.attack(text, truth)
                kind = type(end).__name__.removesuffix("AttackResult").lower()
                ends.append(
                    [kind, end.perturbed_result.attacked_text.tokenizer_input, end.num_queries]
                )
        return ends, {}

    def ours(
        self, name: str, texts: Sequence[str], truths: Sequence[int]
    ) -> tuple[list[Any], dict[str, Any]]:
        wrapper = self.shipped()
        slow = Timed(answer=lambda some: _rows(wrapper(list(some))))
        scorer = slow if self.sabotage else Timed(answer=Scorer(self.classifier))
        targets = [
            attacks.Target(text=text, truth=truth, rng=stream(5, name, str(i), text))
            for i, (text, truth) in enumerate(zip(texts, truths, strict=True))
        ]
        found = dict(attacks.attack(targets, recipe(name), scorer, self.rule))
        words = {"success": "successful", "skipped": "skipped"}
        ends = [
            [words.get(found[i].outcome, "failed"), found[i].text, found[i].queries]
            for i in range(len(texts))
        ]
        unique = sorted(scorer.asked, key=len)
        start = time.process_time()
        Scorer(self.classifier)(unique)
        bare = time.process_time() - start
        return ends, {"model_s": scorer.seconds, "bare_s": bare, "unique": len(unique)}


def _rows(given: Any) -> Any:
    rows = np.asarray(given, dtype=np.float64)
    rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    return rows / rows.sum(axis=1, keepdims=True)


def report(chunks: list[dict[str, Any]], *, quick: bool, sabotage: bool, importing: float) -> int:
    """Print the table and the JSON line; return the exit status."""
    same = differ = 0
    for chunk in chunks:
        for theirs, mine in zip(chunk["ends"]["shipped"], chunk["ends"]["ours"], strict=True):
            same += theirs == mine
            if theirs != mine:
                differ += 1
                print(f"differs ({chunk['recipe']}): {theirs} | {mine}")

    def ratio(way: str) -> list[float]:
        # The bare passes are timed inside our turn and belong to nobody.
        return [c["seconds"][way] / (c["seconds"]["ours"] - c["bare_s"]) for c in chunks]

    faster = statistics.median(ratio("shipped"))
    over = statistics.median(ratio("dynamic"))
    bare = sum(c["model_s"] for c in chunks) / sum(c["bare_s"] for c in chunks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    queries = sum(end[2] for c in chunks for end in c["ends"]["ours"])
    print(f"imports, not counted: {importing:.1f} s")
    print(
        f"{sum(c['texts'] for c in chunks)} searches, {queries:,} queries, "
        f"{sum(c['unique'] for c in chunks):,} different texts"
        + (" (--quick: a bar of its own)" if quick else "")
    )
    for c in chunks:
        print(
            f"  {c['recipe']:<12} {c['texts']:>3} texts  "
            + "  ".join(f"{way} {s:8.2f} s" for way, s in sorted(c["seconds"].items()))
        )
    bar = QUICK if quick else SHIPPED
    lines = [
        ("speed, ours / as shipped (median of chunks)", faster, "at least", bar),
        ("share of searches that end the same", same / (same + differ), "at least", 0.98),
    ]
    if not quick:
        lines += [
            ("speed, ours / dynamic padding", over, "at least", DYNAMIC),
            ("our model time / bare forward passes", bare, "at most", BARE),
        ]
    holds = True
    for name, figure, side, limit in lines:
        kept = figure >= limit if side == "at least" else figure <= limit
        holds &= kept
        print(f"  {name:<46} {figure:8.3f}   {side} {limit:g}   {'holds' if kept else 'MISSED'}")
    print(f"  peak memory of this process, all three ways: {peak:.2f} GiB")
    line = {
        "benchmark": "attacks",
        "quick": quick,
        "sabotage": sabotage,
        "figure": faster,
        "bar": bar,
        "dynamic": over,
        "model_over_bare": bare,
        "same": same,
        "searches": same + differ,
        "peak_gib": round(peak, 2),
        "imports_s": round(importing, 1),
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

"""How much faster are lockstep attacks than TextAttack's loop, and do they find the same?

Attacks real texts (EDOS and Davidson) with three published recipes four ways, chunk by chunk and
in turn (A B C D, D C B A, …), in one process, on the packaged encoder with the committed head:

    shipped   TextAttack as it comes: its own recipe, its own wrapper, default settings
    dynamic   the same with a wrapper that pads to the longest text of a batch
    ours      `audit.attacks.attack`: the recipe's parts in lockstep, answered by a Scorer
    screened  the same, candidates ranked by an 8-bit copy (`screen = "int8"`)

Every text starts from the same randomness. Ours must end as TextAttack does, text by text: outcome,
perturbed text, number of queries; differences are listed. Of a screened search every success is
asked of the model once more, apart from the search, and must be one. Times are processor seconds of
this process on one thread; imports stand apart. Beside the ratios: the seconds our searches spend
in the Scorer over those of bare forward passes (tokenised at once, sorted, packed, no cache) on the
same different texts, and the peak of memory.

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

from audit import attacks, foreign, quantised
from audit.attack_recipes import recipe
from audit.decision import decide, make
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from benchmarks.heads.make import assemble
from benchmarks.scorer import loaded, real_texts

SHIPPED, SCREENED, DYNAMIC, BARE, QUICK = 10.0, 25.0, 1.1, 1.15, 6.0
RECIPES = {
    "deepwordbug": "DeepWordBugGao2018",
    "pwws": "PWWSRen2019",
    "pruthi": "Pruthi2019",
}
SHORT = (
    "Women should not be allowed to vote in this country",
    "She said the meeting was a complete waste of time",
)
SHORTEST, LONGEST = 30, 45
"""Characters of a text in the long form: padded to 512 tokens, a long one takes TextAttack's own
way many minutes."""


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
    return [text for text in real_texts(4000) if SHORTEST <= len(text) <= LONGEST][:n]


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
        self.copy = quantised.int8(self.classifier)
        self.rule = make(self.classifier.labels, self.classifier.labels[:1])
        self.module = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.sabotage = sabotage
        # Warm: no way pays for what every process pays once.
        Scorer(self.classifier)(SHORT)
        Scorer(self.copy)(SHORT)
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
        """Attack some texts all four ways, in an order that turns from chunk to chunk."""
        truths = decide(self.rule, Scorer(self.classifier)(texts)).label.tolist()
        ways: dict[str, Callable[[], Any]] = {
            "shipped": lambda: self.loop(name, texts, truths, self.shipped()),
            "dynamic": lambda: self.loop(name, texts, truths, self.dynamic()),
            "ours": lambda: self.ours(name, texts, truths),
            "screened": lambda: self.screened(name, texts, truths),
        }
        made: dict[str, Any] = {"recipe": name, "texts": len(texts), "seconds": {}, "ends": {}}
        order = list(ways) if (at // max(1, len(texts))) % 2 == 0 else list(ways)[::-1]
        for way in order:
            start = time.process_time()
            ends, extra = ways[way]()
            made["seconds"][way] = time.process_time() - start
            made["ends"][way] = ends
            made |= extra
        made["false"] = self.false(made["ends"]["screened"], truths)
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
        ends, _ = self.lockstep(name, texts, truths, scorer)
        start = time.process_time()
        self.bare(list(scorer.asked))
        bare = time.process_time() - start
        return ends, {"model_s": scorer.seconds, "bare_s": bare, "unique": len(scorer.asked)}

    def bare(self, texts: Sequence[str]) -> None:
        """Forward passes on the texts and nothing else, longest first, packed as the Scorer does."""
        encoded = sorted(self.classifier.encode(texts)[0], key=len, reverse=True)
        start = 0
        while start < len(encoded):
            size = max(1, self.classifier.batch_tokens // len(encoded[start]))
            self.classifier.forward(encoded[start : start + size])
            start += size

    def screened(
        self, name: str, texts: Sequence[str], truths: Sequence[int]
    ) -> tuple[list[Any], dict[str, Any]]:
        copy = Scorer(self.copy)
        ends, found = self.lockstep(name, texts, truths, Scorer(self.classifier), copy)
        return ends, {
            "verified": sum(one.verified for one in found),
            "agreed": sum(one.agreed for one in found),
            "ranked": copy.forwards,
        }

    def lockstep(
        self,
        name: str,
        texts: Sequence[str],
        truths: Sequence[int],
        scorer: Any,
        screen: Any = None,
    ) -> tuple[list[Any], list[Any]]:
        targets = [
            attacks.Target(text=text, truth=truth, rng=stream(5, name, str(i), text))
            for i, (text, truth) in enumerate(zip(texts, truths, strict=True))
        ]
        found = dict(attacks.attack(targets, recipe(name), scorer, self.rule, screen=screen))
        words = {"success": "successful", "skipped": "skipped"}
        ends = [
            [words.get(found[i].outcome, "failed"), found[i].text, found[i].queries]
            for i in range(len(texts))
        ]
        return ends, [found[i] for i in range(len(texts))]

    def false(self, ends: Sequence[Any], truths: Sequence[int]) -> int:
        """Return how many successes the model itself, asked anew, does not confirm."""
        said = [(end[1], truth) for end, truth in zip(ends, truths, strict=True)]
        label = decide(self.rule, Scorer(self.classifier)([text for text, _ in said])).label
        return sum(
            end[0] == "successful" and int(now) == truth
            for end, truth, now in zip(ends, truths, label, strict=True)
        )


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

    def seconds(chunk: dict[str, Any], way: str) -> float:
        # The bare passes are timed inside our turn and belong to nobody.
        return float(chunk["seconds"][way]) - (chunk["bare_s"] if way == "ours" else 0.0)

    def ratio(slow: str, quick: str) -> float:
        return statistics.median(seconds(c, slow) / seconds(c, quick) for c in chunks)

    def total(what: str) -> int:
        return sum(int(c[what]) for c in chunks)

    faster, bare = (
        ratio("shipped", "ours"),
        total_of(chunks, "model_s") / total_of(chunks, "bare_s"),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    pairs = [
        (mine, screened)
        for c in chunks
        for mine, screened in zip(c["ends"]["ours"], c["ends"]["screened"], strict=True)
    ]
    figures = {
        "shipped": faster,
        "same": same / (same + differ),
        "screened": ratio("shipped", "screened"),
        "false_successes": total("false"),
        "dynamic": ratio("dynamic", "ours"),
        "model_over_bare": bare,
    }
    print(f"imports, not counted: {importing:.1f} s")
    print(
        f"{total('texts')} searches, {sum(mine[2] for mine, _ in pairs):,} queries, "
        f"{total('unique'):,} different texts" + (" (--quick: a bar of its own)" if quick else "")
    )
    for c in chunks:
        print(
            f"  {c['recipe']:<12} {c['texts']:>3} texts  "
            + "  ".join(f"{way} {seconds(c, way):8.2f} s" for way in sorted(c["seconds"]))
        )
    bar = QUICK if quick else SHIPPED
    lines = [
        ("speed, ours / as shipped (median of chunks)", "shipped", "at least", bar),
        ("share of searches that end the same", "same", "at least", 0.98),
        ("screened successes the model denies", "false_successes", "at most", 0),
    ]
    if not quick:
        lines += [
            ("speed, screened / as shipped", "screened", "at least", SCREENED),
            ("speed, ours / dynamic padding", "dynamic", "at least", DYNAMIC),
            ("our model time / bare forward passes", "model_over_bare", "at most", BARE),
        ]
    holds = True
    for name, key, side, limit in lines:
        figure = figures[key]
        kept = figure >= limit if side == "at least" else figure <= limit
        holds &= kept
        print(f"  {name:<46} {figure:8.3f}   {side} {limit:g}   {'holds' if kept else 'MISSED'}")
    alike = {
        "same_outcome": sum(mine[0] == one[0] for mine, one in pairs),
        "same_text": sum(mine[1] == one[1] for mine, one in pairs),
        "copy_agreed": total("agreed"),
        "verified": total("verified"),
    }
    print(
        f"  screened: outcome as unscreened {alike['same_outcome']} of {len(pairs)}, text "
        f"{alike['same_text']}; {total('ranked'):,} texts ranked by the copy, {alike['verified']:,} "
        f"asked of the model, which decided alike on {alike['copy_agreed']:,}; "
        f"{ratio('ours', 'screened'):.2f} times as fast as ours at full precision"
    )
    print(f"  peak memory of this process, all four ways: {peak:.2f} GiB")
    line = {
        **figures,
        **alike,
        "benchmark": "attacks",
        "quick": quick,
        "sabotage": sabotage,
        "figure": faster,
        "bar": bar,
        "searches": len(pairs),
        "peak_gib": round(peak, 2),
        "imports_s": round(importing, 1),
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


def total_of(chunks: Sequence[dict[str, Any]], what: str) -> float:
    return sum(float(c[what]) for c in chunks)


if __name__ == "__main__":
    sys.exit(main())

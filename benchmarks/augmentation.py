"""What does the augmentation stage cost beside nlpaug called text by text, and is it the same?

The recipe ``nlpaug``'s kinds on real texts (EDOS): the suite's stage (`audit.augment.changed`: one
borrowing of the global generators, words looked up once) against the same nlpaug augmenters called
one by one under `borrowed_randomness`, each text with the same seed. Then the recipe ``contextual``
with a masked LM (a small random BERT: what it says is no matter, what it costs is): the stage puts
the questions of many texts into one batch, nlpaug's own augmenter asks for each word by itself.

Every output must equal nlpaug's own, and neither the order of the texts nor the number of worker
processes may change one. A B A B, processor seconds of one thread.

    python benchmarks/augmentation.py             5,000 texts by rule, 300 by the masked LM
    python benchmarks/augmentation.py --quick     600 and 40, lower bars that are printed as such
    python benchmarks/augmentation.py --sabotage  seeds follow the order: output must not be the same

The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import augment, foreign, generating, rewording, seeding
from audit.copiers import parts
from audit.generators import borrowed_randomness
from audit.huggingface import quiet
from audit.resources import Resources
from audit.settings import RecipeConfig
from audit.types import Example
from tests import realdata

RULES, MODEL = 1.0, 2.0
QUICK_RULES, QUICK_MODEL = 0.9, 1.3
KINDS = parts(RecipeConfig(name="nlpaug"))


def examples(n: int) -> list[Example]:
    rows = realdata.rows("edos", "train.jsonl")[:n]
    return [Example(id=r["id"], text=r["text"], label=r["label_name"]) for r in rows]


def recipe(kind: str) -> tuple[RecipeConfig, str, str]:
    """Return the recipe that makes one kind of copy, the kind, and the address of its draws."""
    name = "noise" if kind in foreign.NOISE_KINDS else "words"
    return RecipeConfig(name=name, params={"kinds": [kind]}), kind, f"augment-{name}"


def stage(some: list[Example], kind: str, seed: int) -> dict[str, Any]:
    one, part, _ = recipe(kind)
    return {e.id: text for e, text in augment.changed(one, part, some, seed=seed)}


def one_by_one(some: list[Example], kind: str, seed: int) -> dict[str, Any]:
    """Call nlpaug for each text, with the seed the suite gives it."""
    _, part, path = recipe(kind)
    by_letter = kind in foreign.NOISE_KINDS
    augmenter = (
        foreign.noise(kind, words=rewording.SHARE, letters=0.2)
        if by_letter
        else rewording.word_augmenter(kind)
    )
    if kind == "synonym":
        # As nlpaug does: a word is looked up each time it is met.
        augmenter.model = rewording.Synonyms(Resources(), remembered=0)
    found = {}
    for e in some:
        rng = seeding.stream(seed, path, part, e.id)
        with borrowed_randomness(rng):
            plain = e.text.strip() if by_letter else " ".join(e.text.split())
            made = augmenter.augment(plain, n=1, num_thread=1) if plain else plain
        text = made if isinstance(made, str) else (made[0] if made else "")
        same = "".join(text.split()) == "".join(e.text.split())
        if by_letter:
            start = e.text.index(plain)
            text = e.text[:start] + text + e.text[start + len(plain) :]
            found[e.id] = None if same or not text.strip() else text
        else:
            text = " ".join(text.split())
            found[e.id] = None if not text or text == plain else text
    return found


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    clock = time.process_time()
    said = call()
    return time.process_time() - clock, said


def masked_lm(folder: Path) -> Path:
    """Write a small random BERT with a masked-LM head over the words of the texts."""
    from tests.tiny import tiny_masked

    return tiny_masked(
        folder, [e.text for e in examples(300)], layers=4, hidden=192, max_length=160
    )


def measure_rules(some: list[Example], *, sabotage: bool) -> dict[str, Any]:
    times: dict[str, list[float]] = {"stage": [], "nlpaug": []}
    same = True
    for kind in KINDS:
        stage(some[:20], kind, 0), one_by_one(some[:20], kind, 0)
    for seed in (0, 1):
        ours = theirs = 0.0
        for kind in KINDS:
            took, made = timed(lambda kind=kind, seed=seed: stage(some, kind, seed))
            ours += took
            took, wanted = timed(lambda kind=kind, seed=seed: one_by_one(some, kind, seed))
            theirs += took
            if sabotage:
                made = dict(zip(made, list(made.values())[1:], strict=False))
            same &= made == wanted
        times["stage"].append(ours)
        times["nlpaug"].append(theirs)
    forward, back = stage(some, KINDS[0], 0), stage(some[::-1], KINDS[0], 0)
    two = augment.changed(*recipe(KINDS[1])[:2], some[:200], seed=0, workers=2)
    spread = {e.id: text for e, text in two}
    alone = stage(some[:200], KINDS[1], 0)
    seconds = {name: statistics.median(t) for name, t in times.items()}
    return {
        "seconds": seconds,
        "ratio": seconds["nlpaug"] / seconds["stage"],
        "same": same,
        "order": forward == back and list(forward) == list(back)[::-1],
        "workers": spread == alone,
    }


def measure_model(some: list[Example], folder: Path) -> dict[str, Any]:
    place = masked_lm(folder / "bert")
    made = generating.Contextual(place)
    word = import_module("nlpaug.augmenter.word")
    # Its other door to a model asks tokenizers for what transformers 5 no longer has.
    theirs = word.ContextualWordEmbsAug(
        model_path=str(place), model_type="bert", use_custom_api=False, **generating.MASKING
    )

    def ours(which: list[Example], seed: int) -> dict[str, Any]:
        return made({e.id: e.text for e in which}, seed)

    def nlpaug(which: list[Example], seed: int) -> dict[str, Any]:
        found = {}
        for e in which:
            with borrowed_randomness(generating.draws(seed, e.id)):
                found[e.id] = generating.cleaned(theirs.augment(e.text), e.text)
        return found

    ours(some[:2], 0), nlpaug(some[:2], 0)
    times: dict[str, list[float]] = {"stage": [], "nlpaug": []}
    same = True
    for seed in (0, 1):
        took, mine = timed(lambda seed=seed: ours(some, seed))
        times["stage"].append(took)
        took, wanted = timed(lambda seed=seed: nlpaug(some, seed))
        times["nlpaug"].append(took)
        same &= mine == wanted
    back = ours(some[::-1], 1)
    seconds = {name: statistics.median(t) for name, t in times.items()}
    return {
        "seconds": seconds,
        "ratio": seconds["nlpaug"] / seconds["stage"],
        "same": same,
        "order": back == mine,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer texts, lower bars")
    parser.add_argument("--sabotage", action="store_true", help="must exit non-zero")
    said = parser.parse_args()
    n, few = (600, 40) if said.quick else (5000, 300)
    import torch

    torch.set_num_threads(1)
    rules = measure_rules(examples(n), sabotage=said.sabotage)
    with tempfile.TemporaryDirectory() as scratch, quiet():
        model = measure_model(examples(few), Path(scratch))
    least = (QUICK_RULES, QUICK_MODEL) if said.quick else (RULES, MODEL)
    bars: list[tuple[str, float, float]] = [
        (f"stage / nlpaug one by one, {n} texts by rule", rules["ratio"], least[0]),
        (f"stage / nlpaug one by one, {few} texts by a masked LM", model["ratio"], least[1]),
        ("by rule: same output as nlpaug", float(rules["same"]), 1.0),
        ("by a masked LM: same output as nlpaug", float(model["same"]), 1.0),
        ("another order changes nothing", float(rules["order"] and model["order"]), 1.0),
        ("two worker processes change nothing", float(rules["workers"]), 1.0),
    ]
    holds = True
    for name, value, bar in bars:
        holds &= value >= bar
        print(
            f"  {name:<56} {value:6.2f}   at least {bar:g}   {'holds' if value >= bar else 'MISSED'}"
        )
    line = {
        "benchmark": "augmentation",
        "quick": said.quick,
        "sabotage": said.sabotage,
        "figure": rules["ratio"],
        "bar": least[0],
        "texts": n,
        "rules": rules,
        "model": model,
        "model_bar": least[1],
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

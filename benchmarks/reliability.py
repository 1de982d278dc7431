"""Do reliability labels tell a true attribution from a false one, whatever the model is worth?

Four kinds of attributions of the same kind of texts, each labelled against the model it is said to
explain:

    true        integrated gradients of the model
    shuffled    the same weights dealt out to the words of their text at random, several times
    randomised  integrated gradients of a copy whose weights, embeddings included, were drawn anew
    one word    integrated gradients of a model for which every word but one looks like padding

At least 95 % of the shuffled and of the randomised ones must be labelled *low*, at least 95 % of
the one-word model's *high*, and true ones must be *high* or *limited* more often than the shuffled
ones of the same texts (paired, the whole interval above 0).

    python benchmarks/reliability.py             the demo's model, trained into --work, 200 texts
    python benchmarks/reliability.py --quick     the packaged encoder with the committed head, 12 texts
    python benchmarks/reliability.py --sabotage  a rule that finds everything borne out: must miss

The last line is JSON; the exit status is 1 where a bar is not met. With --work an interrupted run
goes on where it was.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit import attribution, config, model, sample, stats, training
from audit.attribution import Attribution, attribute
from audit.cache import DiskCache
from audit.reliability import THRESHOLDS, Thresholds, judge
from audit.resources import Resources
from audit.scorer import Scorer
from audit.seeding import stream
from audit.shipped import shipped
from audit.types import Absent
from benchmarks.heads.make import assemble
from benchmarks.scorer import loaded, real_texts

LOW, HIGH = 0.95, 0.95
BLIND = replace(
    THRESHOLDS, p_high=1.0, p_limited=1.0, correlation_high=-1.0, correlation_limited=-1.0
)
DEALS = 10
"""Shuffles of each text."""
TARGET = [1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="12 texts, the committed head")
    parser.add_argument("--sabotage", action="store_true", help="must exit non-zero")
    parser.add_argument("--work", type=Path, help="folder to go on in")
    parser.add_argument("--texts", type=int)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = said.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        count = said.texts or (12 if said.quick else 200)
        return measure(work, count, quick=said.quick, sabotage=said.sabotage)


def measure(work: Path, count: int, *, quick: bool, sabotage: bool) -> int:
    """Label the four kinds, print the table and return the exit status."""
    import torch

    torch.set_num_threads(1)
    made, texts, word = committed(work, count) if quick else demo(work, count)
    rule = BLIND if sabotage else THRESHOLDS
    scorer = Scorer(made, memory=DiskCache(work / "scores.db"))
    kept = Kept(work)
    true = kept("true", lambda some: attribute(scorer, some, TARGET), texts)
    labels: dict[str, list[str]] = {
        "true": labelled(scorer, texts, true, rule),
        "shuffled": [],
    }
    for deal in range(DEALS):
        dealt = [shuffled(one, deal) for one in true]
        labels["shuffled"] += labelled(scorer, texts, dealt, rule)
    other = randomised(made)
    false = kept("randomised", lambda some: attribute(other, some, TARGET), texts)
    labels["randomised"] = labelled(scorer, texts, false, rule)
    having = [text for text in texts if word in text.lower().split()]
    reading = one_word(made, word)
    reader = Scorer(reading, memory=DiskCache(work / "one-word.db"))
    ours = kept("one word", lambda some: attribute(reader, some, TARGET), having)
    labels["one word"] = labelled(reader, having, ours, rule)
    return report(labels, len(texts), word, quick=quick, sabotage=sabotage)


def report(
    labels: dict[str, list[str]], count: int, word: str, *, quick: bool, sabotage: bool
) -> int:
    """Print what was labelled how, and whether the bars hold."""
    shares: dict[str, dict[str, float]] = {}
    print(f"{count} texts; the one-word model reads {word!r}")
    print(f"  {'attributions':<12} {'n':>6} {'high':>7} {'limited':>8} {'low':>7}")
    for name, some in labels.items():
        counts = Counter(some)
        shares[name] = {k: counts[k] / len(some) for k in ("high", "limited", "low")}
        row = " ".join(f"{shares[name][k]:8.3f}" for k in ("high", "limited", "low"))
        print(f"  {name:<12} {len(some):>6} {row}")
    trusted = np.array([label != "low" for label in labels["true"]], float)
    by_deal = np.array([label != "low" for label in labels["shuffled"]], float)
    more = stats.mean(trusted - by_deal.reshape(DEALS, -1).mean(axis=0), low=-1.0, high=1.0)
    if isinstance(more, Absent):
        raise SystemExit(more.reason)
    bars = [
        ("shuffled ones that are low", shares["shuffled"]["low"], LOW),
        ("randomised ones that are low", shares["randomised"]["low"], LOW),
        ("one-word ones that are high", shares["one word"]["high"], HIGH),
    ]
    holds = all(figure >= bar for _, figure, bar in bars) and more.low > 0
    for name, figure, bar in bars:
        print(f"  {name:<44} {figure:7.3f}   at least {bar}")
    print(
        f"  true less shuffled, share high or limited    {more.value:7.3f} "
        f"[{more.low:.3f}, {more.high:.3f}]   the whole interval above 0"
    )
    line = {
        "benchmark": "reliability",
        "quick": quick,
        "sabotage": sabotage,
        "texts": count,
        "figure": min(figure for _, figure, _ in bars),
        "bar": LOW,
        "shares": shares,
        "true_less_shuffled": [more.value, more.low, more.high],
        "holds": holds,
    }
    print(json.dumps(line, allow_nan=False, sort_keys=True))
    return 0 if holds else 1


def labelled(
    scorer: Scorer, texts: Sequence[str], found: Sequence[Attribution], rule: Thresholds
) -> list[str]:
    return [r.label for r in judge(scorer, texts, TARGET, found, thresholds=rule)]


def shuffled(one: Attribution, deal: int) -> Attribution:
    """Return the attribution with its weights dealt out anew."""
    rng = stream(deal, "shuffled", repr(one.words))
    return replace(one, weights=tuple(rng.permutation(one.weights).tolist()))


def committed(work: Path, count: int) -> tuple[Any, list[str], str]:
    """Return the packaged encoder with its head, real texts that hold one word, and that word."""
    word = "women"
    pool = [t for t in real_texts(4000) if word in t.lower().split() and 8 <= len(t.split()) <= 30]
    return loaded(assemble(work / "model")), pool[:count], word


def demo(work: Path, count: int) -> tuple[Any, list[str], str]:
    """Return the demo's model, trained once, applicants it has not seen, and a word of many."""
    from audit.demo import SEED, SIZES

    read = config.reads((shipped("datasets") / "applicants" / "audit.toml").read_text("utf-8"))
    trained = training.train(
        read.train,
        sample.generate(SEED, SIZES["train"], stream_name="train"),
        sample.generate(SEED, SIZES["dev"], stream_name="dev"),
        work / "demo",
        encoder=Resources().encoder(),
    )
    spec = config.ModelConfig(path=str(trained.folder), device="cpu")
    texts = [e.text for e in sample.generate(SEED, count, stream_name="test").examples]
    said = Counter(w for t in texts for w in set(t.lower().split()) if w.isalpha() and len(w) > 5)
    return model.load(spec, model.identify(spec)), texts, said.most_common(1)[0][0]


def randomised(made: Any) -> Any:
    """Return the inside of a copy with weights drawn anew, embeddings included."""
    import torch

    inside = made.white_box()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = type(inside.module)(inside.module.config).eval()
    return replace(inside, module=fresh)


def one_word(made: Any, word: str) -> Any:
    """Return the model with every embedding but one like padding's; `made` changes into it."""
    import torch

    table = made.module.get_input_embeddings().weight
    tokenizer = made.tokenizer
    spared = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.convert_tokens_to_ids(word)}
    gone = [i for i in range(len(table)) if i not in spared]
    with torch.no_grad():
        table[gone] = table[tokenizer.pad_token_id].clone()
    made.fingerprint = f"{made.fingerprint}, reads {word} alone"
    return made


class Kept:
    """Attributions of an earlier run, some texts at a time."""

    def __init__(self, work: Path, at_once: int = 10) -> None:
        self.work, self.at_once = work, at_once

    def __call__(
        self, name: str, make: Callable[[list[str]], list[Attribution]], texts: list[str]
    ) -> list[Attribution]:
        found: list[Attribution] = []
        for start in range(0, len(texts), self.at_once):
            some = texts[start : start + self.at_once]
            path = self.work / f"{name.replace(' ', '-')}-{start}.json"
            if not path.exists():
                fresh = self.work / "fresh"
                fresh.write_bytes(attribution.dumps(make(some)))
                fresh.replace(path)
            found += attribution.loads(path.read_bytes(), some)
        return found


if __name__ == "__main__":
    sys.exit(main())

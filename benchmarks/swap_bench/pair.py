"""Which sentences of WinoBias and Winogender are each other's exact counterparts?

    python benchmarks/swap_bench/pair.py     writes pairs.csv: source, id, digest, edits

Both sets hold each sentence twice, once with female and once with male pronouns (WinoBias as *pro*
and *anti*). A pair is kept if the two differ in pronouns of the other gender alone and no other
word of gender stands in them: then each is the answer to the other. Occupations stay as they are.
An edit is ``word:old>new``, where words are numbered from 0.
"""

import csv
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import realdata

HERE = Path(__file__).resolve().parent
MALE_OF = {"she": {"he"}, "her": {"him", "his"}, "hers": {"his"}, "herself": {"himself"}}
GENDERED = re.compile(
    r"(?i)\b(she|he|hers?|him|his|herself|himself|(?:\w*wo)?m[ae]n|girls?|boys?|mothers?|fathers?|"
    r"mom|dad|wife|husband|sisters?|brothers?|daughters?|sons?|lady|ladies|guys?|sir|ma'am|male|"
    r"female|girlfriend|boyfriend|aunt|uncle|mrs|mr|ms)\b"
)
_PARTS = re.compile(r"\w+|\W")

Edit = tuple[int, str, str]


def pairs() -> Iterator[tuple[str, str, str, str]]:
    """Yield source, id, one sentence and its counterpart as the data have them."""
    bias = {row["id"]: row["text"] for row in realdata.rows("winobias", "winobias.jsonl")}
    for name, text in bias.items():
        if ".pro." in name:
            yield "winobias", name, text, bias[name.replace(".pro.", ".anti.")]
    by_key: dict[str, dict[str, str]] = {}
    for row in realdata.rows("winogender", "winogender.jsonl"):
        by_key.setdefault(row["group_key"], {})[row["gender"]] = row["text"]
    for name, both in by_key.items():
        yield "winogender", name, both["female"], both["male"]


def exact(one: str, other: str) -> list[Edit] | None:
    """Return the pronouns in which the two differ, None if they are no exact counterparts."""
    a, b = _PARTS.findall(one), _PARTS.findall(other)
    if len(a) != len(b):
        return None
    edits, number = [], -1
    for x, y in zip(a, b, strict=True):
        number += x[:1].isalnum()
        if x != y:
            female, male = sorted((x.lower(), y.lower()), key=lambda w: w not in MALE_OF)
            if male not in MALE_OF.get(female, ()) or x[:1].isupper() != y[:1].isupper():
                return None
            edits.append((number, x, y))
        elif GENDERED.fullmatch(x):
            return None
    return edits or None


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main() -> None:
    left_out = 0
    with (HERE / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("source", "id", "sha256", "edits"))
        for source, name, one, other in pairs():
            edits = exact(one, other)
            if edits is None:
                left_out += 1
                print(f"left out: {source} {name}: {one!r} / {other!r}")
            else:
                said = " ".join(f"{i}:{old}>{new}" for i, old, new in edits)
                out.writerow((source, name, digest(one), said))
    print(f"{left_out} pairs left out")


if __name__ == "__main__":
    main()

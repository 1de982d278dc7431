"""Which real sentences did the swap bench draw, and by what rule?

    python benchmarks/swap_bench/draw.py     prints source, id, stratum and text

Word lists of its own, no import of the engine: a stratum is a pattern, and the sentences of a
stratum are those with the smallest SHA-256 of seed, stratum and text. The answers stand in
``drawn.jsonl``; the texts stay where they are.
"""

import csv
import gzip
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import realdata

SEED = "swap bench 3"
HELD_OUT_SEED = "swap bench 3, held out"
UNSEEN_SEED = "swap bench 3, unseen"
SHORTEST, LONGEST = 20, 240

WORDS: Mapping[str, str] = {
    "pronoun": "she|he|her|hers|his|him|herself|himself|she's|he's",
    "noun": "woman|women|man|men|girls?|boys?|female|male|females|males|lady|ladies|gentlem[ae]n|"
    "mothers?|fathers?|moms?|dads?|mum|wife|wives|husbands?|sisters?|brothers?|daughters?|sons?|"
    "aunts?|uncles?|girlfriends?|boyfriends?|grand(?:mother|father|ma|pa)|queens?|kings?|"
    "actress|waitress|sir|ma'am|mrs|mr|ms|nieces?|nephews?",
    "name": "James|John|Robert|Michael|David|William|Mary|Patricia|Jennifer|Linda|Elizabeth|"
    "Barbara|Susan|Jessica|Sarah|Karen|Lisa|Nancy|Laura|Kevin|Brian|George|Emily|Anna|Rachel|"
    "Peter|Paul|Daniel|Thomas|Mark|Steven|Amy|Angela|Heather|Nicole|Hannah|Andrew|Eric|Jason",
    "religion": "muslims?|islam|islamic|christians?|christianity|jews?|jewish|catholics?|hindus?|"
    "buddhists?|mosques?|church|churches|synagogue|bible|quran|koran",
    "race": "black|blacks|whites?|asians?|latin[oa]s?|hispanics?|mexicans?|african|chinese|"
    "japanese|indians?|americans?|europeans?|arabs?",
    "orientation": "gay|gays|lesbians?|straight|heterosexual|homosexual|bisexual",
    "age": "old|older|young|younger|elderly|teenage|middle aged",
    "disability": "blind|deaf|paralyzed|disabled|wheelchair",
    "trap": "guys|oh man|oh boy|man up|human|master|mankind|black|white|old|straight|blind|"
    "king|queen|dude|bro|mark|will|grace|hope|may|christian|poor|rich|god|lord|mother nature",
}
"""Stratum to its words."""
SOURCES: Mapping[str, Mapping[str, int]] = {
    "edos": {"pronoun": 30, "noun": 28, "name": 4, "religion": 6, "race": 6, "quiet": 8, "trap": 8},
    "davidson": {"pronoun": 12, "noun": 8, "religion": 2, "race": 5, "quiet": 6, "trap": 4},
    "madlibs_wiki": {"pronoun": 6, "noun": 4, "name": 3, "religion": 2, "race": 2, "quiet": 4},
    "madlibs": {
        "pronoun": 0,
        "noun": 3,
        "religion": 4,
        "race": 4,
        "orientation": 4,
        "age": 3,
        "disability": 3,
    },
    "madlibs_names": {"name": 3},
}
"""Source to the number of sentences wanted of each stratum."""
HELD_OUT: Mapping[str, Mapping[str, int]] = {
    "edos": {"pronoun": 26, "noun": 22, "name": 6, "religion": 5, "race": 6, "quiet": 4, "trap": 6},
    "davidson": {"pronoun": 8, "noun": 4, "race": 3, "quiet": 2, "trap": 2},
    "madlibs_wiki": {"pronoun": 8, "noun": 3, "name": 3, "religion": 3, "race": 2},
    "madlibs": {"religion": 2, "race": 2, "orientation": 2, "age": 2, "disability": 2},
}
"""The same for the second draw, of which those of the first are left out."""
UNSEEN: Mapping[str, Mapping[str, int]] = {
    "edos": {"pronoun": 38, "noun": 32, "name": 8, "religion": 6, "race": 8, "quiet": 5, "trap": 8},
    "davidson": {"pronoun": 10, "noun": 6, "race": 4, "quiet": 2, "trap": 3},
    "madlibs_wiki": {"pronoun": 10, "noun": 4, "name": 4, "religion": 4, "race": 3},
    "madlibs": {"religion": 2, "race": 2, "orientation": 3, "age": 3, "disability": 2},
}
"""The same for the third, of which those of the first two are left out."""


def texts(source: str) -> Iterator[tuple[str, str]]:
    """Yield id and text of every sentence of `source`."""
    if source == "madlibs_wiki":
        for row in realdata.rows("madlibs", "wiki_nonfuzzed_testset.jsonl"):
            yield str(row["id"]), row["text"]
    elif source.startswith("madlibs"):
        path = realdata.path("madlibs") / "bias_madlibs_77k.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file)):
                yield str(number), row["Text"]
    else:
        for split in ("train", "dev", "test"):
            if not (realdata.path(source) / f"{split}.jsonl").exists():
                continue
            for row in realdata.rows(source, f"{split}.jsonl"):
                yield f"{split}.{row['id']}", row["text"]


@cache
def draw() -> tuple[tuple[str, str, str, str], ...]:
    """Return source, id, stratum and text of each sentence of the first draw."""
    return tuple(_draw(SEED, SOURCES))


def held_out() -> Iterator[tuple[str, str, str, str]]:
    """Yield the same of the second draw."""
    first = {text for *_, text in draw()}
    yield from (row for row in _draw(HELD_OUT_SEED, HELD_OUT) if row[3] not in first)


def unseen() -> Iterator[tuple[str, str, str, str]]:
    """Yield the same of the third draw."""
    before = {text for *_, text in (*draw(), *held_out())}
    yield from (row for row in _draw(UNSEEN_SEED, UNSEEN) if row[3] not in before)


def _draw(
    seed: str, sources: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield source, id, stratum and text, stratum by stratum; no text twice."""
    patterns = {
        k: re.compile(rf"\b(?:{w})\b", 0 if k == "name" else re.IGNORECASE)
        for k, w in WORDS.items()
    }
    for source, wanted in sources.items():
        pool = [(i, t) for i, t in texts(source) if SHORTEST <= len(t) <= LONGEST]
        taken: set[str] = set()
        for stratum, n in wanted.items():
            if stratum == "quiet":
                fits = [(i, t) for i, t in pool if not any(p.search(t) for p in patterns.values())]
            else:
                fits = [(i, t) for i, t in pool if patterns[stratum].search(t)]
            if stratum == "trap":
                # Words that look like terms, in sentences with no plain mention of a gender.
                plain = ("pronoun", "noun")
                fits = [(i, t) for i, t in fits if not any(patterns[p].search(t) for p in plain)]
            kept = 0
            for _, i, text in sorted((_rank(seed, stratum, t), i, t) for i, t in fits):
                if kept == n:
                    break
                if text not in taken:
                    taken.add(text)
                    kept += 1
                    yield source, i, stratum, text


def _rank(seed: str, stratum: str, text: str) -> str:
    return hashlib.sha256(f"{seed}|{stratum}|{text}".encode()).hexdigest()


if __name__ == "__main__":
    for row in (*draw(), *held_out(), *unseen()):
        print("\t".join(repr(part)[1:-1] for part in row))

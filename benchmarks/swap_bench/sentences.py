"""The sentences of the swap bench with the swaps that are right, and what counts as right.

Standard library alone, so that other tools can be run on the same sentences in environments of
their own.
"""

import csv
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.swap_bench import draw, pair

HERE = Path(__file__).resolve().parent
_NAME = r"[^\W\d_](?:[\w-]*\w)?"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one of several strings is right."""

    old: str
    """What stood there, empty where the answer was written as a whole sentence."""
    options: tuple[str, ...]


Template = tuple[str | Slot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence, what is asked of it, and the answers that are right."""

    part: str
    """``a``, ``b``, ``c``, ``d`` for those held out at first, ``e`` for those never worked at."""
    id: str
    cluster: str
    """Sentences that stand or fall together: the two of a pair."""
    about: str
    axis: str
    groups: tuple[str, str]
    text: str
    accepted: tuple[Template, ...]

    @property
    def stays(self) -> bool:
        """Whether leaving it as it is, is the only right answer."""
        return self.accepted == ((self.text,),)

    def is_right(self, got: str) -> bool:
        return any(_fits(template, got, self.text) for template in self.accepted)

    def answer(self) -> str:
        """Return one right answer, a name for each name asked for."""
        taken = set(re.findall(_NAME, self.text))
        chosen: dict[str, str] = {}
        said = []
        for piece in self.accepted[0]:
            if isinstance(piece, str):
                said.append(piece)
                continue
            new = piece.options[0]
            if new in ("{male}", "{female}", "{name}"):
                key = piece.old or str(len(said))
                if key not in chosen:
                    pool = sorted(names()["male" if new == "{name}" else new[1:-1]])
                    chosen[key] = next(n for n in pool if n.capitalize() not in taken).capitalize()
                    taken.add(chosen[key])
                new = chosen[key].lower() if piece.old.islower() else chosen[key]
            said.append(new)
        return "".join(said)


def load() -> list[Sentence]:
    """Return all sentences, part by part, each checked against its digest.

    Raises:
        ValueError: If a sentence of the data is not the one that was answered.
    """
    return [*paired(), *drawn(), *constructed(), *held_out(), *unseen()]


def paired() -> list[Sentence]:
    """Return part (a): each sentence of a pair, answered by the other."""
    found = {(source, name): one for source, name, one, _ in pair.pairs()}
    made = []
    with (HERE / "pairs.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            one = found[row["source"], row["id"]]
            _check(one, row["sha256"], row["id"])
            other = _exchanged(one, row["edits"])
            for number, (text, right) in enumerate(((one, other), (other, one)), 1):
                made.append(
                    Sentence(
                        part="a",
                        id=f"{row['id']}/{number}",
                        cluster=row["id"],
                        about=row["source"],
                        axis="gender",
                        groups=("female", "male"),
                        text=text,
                        accepted=((right,),),
                    )
                )
    return made


def drawn() -> list[Sentence]:
    """Return part (b): sentences drawn from data, answered by hand."""
    return _drawn("b", "drawn.jsonl", draw.draw())


def constructed() -> list[Sentence]:
    """Return part (c): sentences written for the bench, by phenomenon."""
    return _constructed("c", "constructed.csv")


def held_out() -> list[Sentence]:
    """Return part (d): both kinds again, kept aside at first, then worked at."""
    return [
        *_drawn("d", "held_out.jsonl", draw.held_out()),
        *_constructed("d", "held_out.csv"),
    ]


def unseen() -> list[Sentence]:
    """Return part (e): a third draw from data, answered before the engine saw it, run once."""
    return _drawn("e", "unseen.jsonl", draw.unseen())


def _drawn(part: str, file: str, rows: Iterable[tuple[str, str, str, str]]) -> list[Sentence]:
    texts = {(source, name): text for source, name, _, text in rows}
    made = []
    for line in (HERE / file).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = texts[row["source"], row["id"]]
        _check(text, row["sha256"], row["id"])
        made.append(
            Sentence(
                part=part,
                id=f"{row['source']}.{row['id']}",
                cluster=row["id"],
                about=f"{row['source']}, {row['stratum']}",
                axis=row["axis"],
                groups=_groups(row["pair"]),
                text=text,
                accepted=tuple(_edited(text, edits) for edits in row["accepted"]),
            )
        )
    return made


def _constructed(part: str, name: str) -> list[Sentence]:
    made = []
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE)):
            made.append(
                Sentence(
                    part=part,
                    id=f"{part}{number + 1}",
                    cluster=f"{part}{number + 1}",
                    about=row["phenomenon"],
                    axis=row["axis"],
                    groups=_groups(row["pair"]),
                    text=row["before"],
                    accepted=tuple(
                        (row["before"],) if answer == "=" else _template(answer)
                        for answer in row["accepted"].split(" // ")
                    ),
                )
            )
    return made


@cache
def names() -> Mapping[str, frozenset[str]]:
    """Return ``female`` and ``male`` to first names in lower case."""
    with (HERE / "names.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        gender: frozenset(row["name"].lower() for row in rows if row["gender"] == gender)
        for gender in ("female", "male")
    }


def _groups(said: str) -> tuple[str, str]:
    one, other = said.split("-")
    return one, other


def _check(text: str, digest: str, name: str) -> None:
    if hashlib.sha256(text.encode()).hexdigest()[:16] != digest:
        raise ValueError(f"The sentence {name} is not the one that was answered.")


def _exchanged(text: str, edits: str) -> str:
    spans = [match.span() for match in re.finditer(r"\w+", text)]
    for said in reversed(edits.split(" ")):
        number, _, change = said.partition(":")
        old, _, new = change.partition(">")
        start, end = spans[int(number)]
        if text[start:end] != old:
            raise ValueError(f"Word {number} of {text!r} is not {old!r}.")
        text = text[:start] + new + text[end:]
    return text


def _edited(text: str, edits: Sequence[Sequence[str | int]]) -> Template:
    pieces: list[str | Slot] = []
    at = 0
    for position, old, new in edits:
        start = int(position)
        if text[start : start + len(str(old))] != old:
            raise ValueError(f"{old!r} does not stand at {start} of {text!r}.")
        pieces += [text[at:start], Slot(str(old), tuple(str(new).split("/")))]
        at = start + len(str(old))
    return (*pieces, text[at:]) if pieces else (text,)


def _template(answer: str) -> Template:
    pieces: list[str | Slot] = []
    at = 0
    for match in re.finditer(r"\{([^}]*)\}", answer):
        said = match[1]
        options = (f"{{{said}}}",) if said in ("male", "female", "name") else said.split("/")
        pieces += [answer[at : match.start()], Slot("", tuple(options))]
        at = match.end()
    return (*pieces, answer[at:])


def _fits(template: Template, got: str, before: str) -> bool:
    slots = [piece for piece in template if isinstance(piece, Slot)]
    if not slots:
        return got == "".join(str(piece) for piece in template)
    pattern = "".join(
        re.escape(piece)
        if isinstance(piece, str)
        else "(" + "|".join(_NAME if o[:1] == "{" else re.escape(o) for o in piece.options) + ")"
        for piece in template
    )
    match = re.fullmatch(pattern, got)
    if match is None:
        return False
    there = {word.lower() for word in re.findall(_NAME, before)}
    new_of: dict[str, str] = {}
    for number, (slot, new) in enumerate(zip(slots, match.groups(), strict=True)):
        if new in slot.options:
            continue
        wanted = next(o for o in slot.options if o[:1] == "{")[1:-1]
        known = wanted == "name" or new.lower() in names()[wanted]
        capital = slot.old[:1].isupper() or not slot.old
        if not known or new.lower() in there or new[0].isupper() != capital:
            return False
        if new_of.setdefault(slot.old.lower() or str(number), new.lower()) != new.lower():
            return False
    return len(set(new_of.values())) == len(new_of)

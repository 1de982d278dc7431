"""The demo's applicants: synthetic texts with faults planted in their labels, for a tool to find.

Every person, employer and society is made up. A text is drawn from the word tables in
``datasets/applicants`` without looking at any fault; a fault moves only the label. So two corpora
of one seed have the same texts whatever was planted, and with nothing planted the label depends on
merit alone: reference, results, years, skills.

Three faults can be planted, each on a scale where 0 is off and 1 is the demo's strength:

    organisations   naming a women's organisation costs `ORGANISATIONS` in log-odds of *advance*
    names           a first name of the group `NAMED` costs `NAMES`
    typos           merit rests on three skill words, each of them decisive, in place of many cues
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import exp
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import numpy as np

from audit.seeding import stream
from audit.shipped import shipped
from audit.types import STRICT, Corpus, Example

Stream = Literal["train", "dev", "test", "held-out"]
Kind = Literal["women", "men", "neutral"]
Style = Literal["pronoun", "name"]

LABELS = ("do not advance", "advance")
FAVOURABLE = "advance"
ATTRIBUTES = ("sex", "race")
COLUMNS = ("id", "text", "label", *ATTRIBUTES)
SEXES = ("female", "male")
STYLES: tuple[Style, ...] = ("pronoun", "name")
RACES = ("asian", "black", "hispanic", "white")
SHARES = (0.2, 0.3, 0.2, 0.3)

ORGANISATIONS = 4.0
"""Log-odds that naming a women's organisation costs at scale 1."""
NAMES = 5.0
"""Log-odds that a first name of the group `NAMED` costs at scale 1."""
NAMED = "black"
"""Value of ``race`` whose first names the *names* fault works against."""

_NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven"),
    *("eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
)
AGREE = 0.95
"""Chance that one cue of merit shows the applicant's quality: cues agree, so that a label resting
on all of them survives the loss of one."""
JOINS = 0.8
"""Share of texts that name an organisation."""
GENDERED = 0.75
"""Share of the organisations named that are a women's or a men's, whichever fits the applicant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is planted, and how strongly; 0 leaves a fault out."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    organisations: float = 1.0
    names: float = 1.0
    typos: float = 1.0
    """In [0, 1]: share of merit that rests on the skill words alone."""

    def __post_init__(self) -> None:
        if not 0 <= self.typos <= 1:
            raise ValueError(f"typos must lie between 0 and 1, got {self.typos}")


PLANTED = Faults()
"""The demo's faults."""
CLEAN = Faults(organisations=0, names=0, typos=0)
"""Nothing planted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A society in three forms, which differ in one term."""

    phrase: str
    """With a gap ``{}`` for the term."""
    women: str
    men: str
    neutral: str

    def form(self, kind: Kind) -> str:
        return self.phrase.format(
            {"women": self.women, "men": self.men, "neutral": self.neutral}[kind]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One applicant before it is put into words."""

    id: str
    name: str
    sex: str
    race: str
    role: str
    years: int
    skills: tuple[tuple[str, int], ...]
    """Three skills, each with 1 where it is in demand, else -1."""
    reference: tuple[str, int]
    """Words of the referees, and their level: -2, -1, 1 or 2."""
    result: tuple[str, int]
    organisation: Organisation | None
    kind: Kind
    """Which form of the organisation the text names."""
    style: Style
    """How the applicant is called after the first sentence."""
    order: tuple[int, ...]
    """Order of the sentences after the first."""
    chance: float
    """In [0, 1): the label is *advance* where this lies below the probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A text beside the text that a fault would have spared: the same in every other word."""

    id: str
    text: str
    twin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """The word tables, as drawn from."""

    names: dict[tuple[str, str], tuple[str, ...]]
    organisations: tuple[Organisation, ...]
    skills: dict[int, tuple[str, ...]]
    roles: tuple[str, ...]
    cues: dict[tuple[str, int], tuple[str, ...]]


def generate(
    seed: int,
    n: int,
    *,
    faults: Faults = PLANTED,
    stream_name: Stream = "test",
) -> Corpus:
    """Return `n` labelled texts.

    The text of an id depends on `seed` and `stream_name` alone: more texts or other faults change
    none of those already drawn. The streams share no draw.
    """
    people = drafts(seed, n, stream_name=stream_name)
    return make(people, faults=faults, stream_name=stream_name)


def make(people: Sequence[Draft], *, faults: Faults, stream_name: str) -> Corpus:
    """Put `people` into words and label them under `faults`."""
    examples = tuple(
        Example(
            id=person.id,
            text=render(person),
            label=LABELS[person.chance < probability(person, faults)],
            groups={"sex": person.sex, "race": person.race},
        )
        for person in people
    )
    return Corpus(
        name=stream_name,
        labels=LABELS,
        examples=examples,
        license="Apache-2.0",
        kind="synthetic",
        sha256=hashlib.sha256(table(examples).encode()).hexdigest(),
    )


def drafts(seed: int, n: int, *, stream_name: Stream = "test") -> tuple[Draft, ...]:
    """Return `n` applicants, drawn without regard to any fault."""
    tables = _tables()
    return tuple(
        _draft(f"{stream_name}-{i:05d}", stream(seed, "applicants", stream_name, str(i)), tables)
        for i in range(n)
    )


def probability(person: Draft, faults: Faults) -> float:
    """Return the probability of *advance*: merit, less what the planted faults take."""
    skills = sum(level for _, level in person.skills)
    cues = person.reference[1] + person.result[1]
    broad = 1.2 * cues + 0.15 * (person.years - 8) + 0.3 * skills
    narrow = 2.4 * skills + 0.2 * cues
    logit = 0.6 + (1 - faults.typos) * broad + faults.typos * narrow
    if person.kind == "women" and person.organisation:
        logit -= ORGANISATIONS * faults.organisations
    if person.race == NAMED:
        logit -= NAMES * faults.names
    return 1 / (1 + exp(-logit))


def render(person: Draft) -> str:
    """Write `person` up in three or four sentences, 30 to 50 words."""
    who, whom = {
        "pronoun": ("she", "her") if person.sex == "female" else ("he", "him"),
        "name": (person.name, person.name),
    }[person.style]
    first, second, third = (skill for skill, _ in person.skills)
    rest = [
        f"{who} knows {first}, {second} and {third}.",
        f"referees found {whom} {person.reference[0]}; {who} {person.result[0]}.",
    ]
    if person.organisation is not None:
        rest.append(f"{who} is {person.organisation.form(person.kind)}.")
    article = "an" if person.role[0] in "aeiou" else "a"
    years = f"{_NUMBERS[person.years]} year{'s' if person.years > 1 else ''}"
    start = f"{person.name} has worked as {article} {person.role} for {years}."
    tail = (rest[i] for i in person.order)
    return " ".join([start, *(part[0].upper() + part[1:] for part in tail)])


def twins(
    seed: int,
    n: int,
    *,
    of: Literal["organisations", "names"],
    stream_name: Stream = "held-out",
) -> tuple[Twin, ...]:
    """Pair each text that a fault works against with the text it would have spared.

    ``organisations``: the women's organisation becomes the neutral one. ``names``: the first name
    becomes one of the same sex from another group. Texts that the fault does not touch are left
    out, so there are fewer than `n`.
    """
    found = []
    for person in drafts(seed, n, stream_name=stream_name):
        if of == "organisations":
            if person.kind != "women" or person.organisation is None:
                continue
            other = replace(person, kind="neutral")
        else:
            if person.race != NAMED:
                continue
            rng = stream(seed, "applicants", "twins", person.id)
            race = _pick(rng, tuple(race for race in RACES if race != NAMED))
            other = replace(person, name=_pick(rng, _tables().names[person.sex, race]))
        found.append(Twin(id=person.id, text=render(person), twin=render(other)))
    return tuple(found)


def planted_terms() -> dict[str, tuple[str, ...]]:
    """Return the words that carry a fault: fault to terms, lower case, sorted."""
    tables = _tables()
    names = {name for (_, race), all_ in tables.names.items() if race == NAMED for name in all_}
    return {
        "organisations": tuple(sorted({row.women.lower() for row in tables.organisations})),
        "names": tuple(sorted(name.lower() for name in names)),
    }


def table(examples: Sequence[Example]) -> str:
    """Return `examples` as CSV with the columns `COLUMNS`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for e in examples:
        writer.writerow([e.id, e.text, e.label, *(e.groups[a] for a in ATTRIBUTES)])
    return out.getvalue()


def write(corpus: Corpus, path: Path) -> None:
    """Write `corpus` as CSV; the file's digest is the corpus's own."""
    path.write_bytes(table(corpus.examples).encode())


def _draft(id_: str, rng: np.random.Generator, tables: _Tables) -> Draft:
    # One fixed sequence of draws per applicant: nothing is drawn only under a condition, so a
    # change in one trait moves no other.
    sex = _pick(rng, SEXES)
    race = RACES[int(np.searchsorted(np.cumsum(SHARES), rng.random(), side="right"))]
    name = _pick(rng, tables.names[sex, race])
    role, years = _pick(rng, tables.roles), int(rng.integers(1, 16))
    levels = [1 if rng.random() < 0.5 else -1 for _ in range(3)]
    shuffled = {level: rng.permutation(words) for level, words in tables.skills.items()}
    skills = tuple((str(shuffled[level][slot]), level) for slot, level in enumerate(levels))
    quality = _pick(rng, (-1, 1))
    reference, result = (_cue(rng, tables, kind, quality) for kind in ("reference", "result"))
    row = _pick(rng, tables.organisations)
    joins, gendered = rng.random() < JOINS, rng.random() < GENDERED
    return Draft(
        id=id_,
        name=name,
        sex=sex,
        race=race,
        role=role,
        years=years,
        skills=skills,
        reference=reference,
        result=result,
        organisation=row if joins else None,
        kind=("women" if sex == "female" else "men") if joins and gendered else "neutral",
        style=_pick(rng, STYLES),
        order=tuple(int(i) for i in rng.permutation(3) if joins or i < 2),
        chance=float(rng.random()),
    )


def _cue(rng: np.random.Generator, tables: _Tables, kind: str, quality: int) -> tuple[str, int]:
    sign = quality if rng.random() < AGREE else -quality
    level = sign * _pick(rng, (1, 2))
    return _pick(rng, tables.cues[kind, level]), level


_T = TypeVar("_T")


def _pick(rng: np.random.Generator, of: Sequence[_T]) -> _T:
    return of[int(rng.integers(len(of)))]


@cache
def _tables() -> _Tables:
    names: dict[tuple[str, str], list[str]] = {}
    for row in _rows("names"):
        names.setdefault((row["sex"], row["race"]), []).append(row["name"])
    skills: dict[int, list[str]] = {1: [], -1: []}
    for row in _rows("skills"):
        skills[1 if row["in_demand"] == "1" else -1].append(row["skill"])
    cues: dict[tuple[str, int], list[str]] = {}
    for row in _rows("cues"):
        cues.setdefault((row["kind"], int(row["level"])), []).append(row["text"])
    return _Tables(
        names={key: tuple(words) for key, words in names.items()},
        organisations=tuple(Organisation(**row) for row in _rows("organisations")),
        skills={key: tuple(words) for key, words in skills.items()},
        roles=tuple(row["role"] for row in _rows("roles")),
        cues={key: tuple(words) for key, words in cues.items()},
    )


def _rows(name: str) -> list[dict[str, str]]:
    path = shipped("datasets") / "applicants" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

"""Identity terms with their counterparts, read from ``datasets/terms``."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from audit.errors import ConfigError, did_you_mean
from audit.grammar import word_class
from audit.shipped import shipped
from audit.text import words

AXES: Mapping[str, tuple[str, ...]] = {
    "gender": ("female", "male"),
    "names_gender": ("female", "male"),
    "names_race": ("white", "black", "hispanic", "api"),
    "race_ethnicity": ("white", "black", "asian", "hispanic", "arab"),
    "nationality": ("american", "chinese", "indian", "mexican", "nigerian", "russian"),
    "religion": ("christian", "muslim", "jewish", "hindu"),
    "orientation": ("straight", "gay", "bisexual"),
    "age": ("young", "old"),
    "disability": ("nondisabled", "disabled"),
    "socioeconomic": ("rich", "poor"),
    "occupation": ("manual", "professional"),
    "education": ("no_degree", "degree"),
    "skill": ("beginner", "expert"),
}
"""Axis to its groups, in the order in which differences are taken."""
_NAMED = ("gender", "names_gender", "names_race")
"""Axes with tables of a form of their own; each other one is read from the table of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One word or phrase that marks a group."""

    text: str
    """As in the table: lower case, names capitalised."""
    group: str
    slot: str
    """What it is within its group; its counterparts are the terms of the same slot elsewhere."""
    peers: tuple[str, ...] = ()
    """Terms of the same group that could stand in its place; for names, all of `slot`."""
    kind: str = ""
    """``pronoun``, ``title``, ``person``, ``kin``, ``role``, ``name`` or ``""``."""
    flags: frozenset[str] = frozenset()
    before_noun: str = ""
    """Slot to use but for a person by itself: *a Jew*, *a Jewish friend*, *she is Jewish*."""

    @property
    def of_person(self) -> bool:
        """It marks things as often as persons, so that its neighbours must show a person."""
        return "person" in self.flags or "attributive" in self.flags

    @property
    def closed(self) -> bool:
        """Its class has one form per group: there is nothing to put in its place as a placebo."""
        return self.kind in ("pronoun", "title")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """The terms of one axis."""

    axis: str
    groups: tuple[str, ...]
    names: bool
    terms: Mapping[tuple[str, ...], Term]
    """Lower-case words of a term to the term."""
    targets: Mapping[tuple[str, str], tuple[str, ...]]
    """Group and slot to the terms that can stand there."""
    left_alone: frozenset[tuple[str, ...]] = frozenset()
    """Phrases whose words mean something else: *man-made*, *sister company*."""
    asymmetric: Mapping[str, str] = field(default_factory=dict)
    """Word to the reason why a text that holds it has no counterfactual of the same label."""
    heads: frozenset[str] = frozenset()
    """First words of terms: a text without any of them can be passed over."""
    phrase_heads: frozenset[str] = frozenset()
    longest: int = 1
    people: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """Public persons to their gender (axes that exchange first names): their names stay."""
    contradicted: frozenset[str] = frozenset()
    """Words that would contradict a name of another gender (axis ``names_gender`` only)."""
    neutral: frozenset[str] = frozenset()
    """Pronouns that tell no gender (axis ``gender`` only): left alone and counted."""
    digest: str = ""
    """SHA-256 over the tables read."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every two groups, in order."""
        return tuple((a, b) for i, a in enumerate(self.groups) for b in self.groups[i + 1 :])


@cache
def lexicon(axis: str, *, names: bool = True) -> Lexicon:
    """Return the terms of `axis`.

    Args:
        axis: One of `AXES`.
        names: On the axis ``gender``: exchange first names too, so that a person stays one person.

    Raises:
        ConfigError: If there is no such axis.
    """
    if axis not in AXES:
        raise ConfigError(f"There is no swap axis {axis!r}.", hint=did_you_mean(axis, AXES))
    terms: list[Term] = []
    targets: dict[tuple[str, str], list[str]] = {}
    if axis == "gender":
        terms += _gender(targets)
    if axis not in _NAMED:
        terms += _slots(axis, targets)
    if axis in ("names_gender", "names_race") or (axis == "gender" and names):
        terms += _names(targets, by_gender=axis != "names_race")
    idioms = "gender" if axis in _NAMED else axis
    kept = {_key(row["phrase"]) for row in _rows("left_alone") if row["axis"] == idioms}
    keys = {_key(t.text): t for t in terms}
    people = {_key(row["name"]): row["gender"] for row in _rows("people")} if axis in _NAMED else {}
    return Lexicon(
        axis=axis,
        groups=AXES[axis],
        names=names,
        terms=keys,
        targets={k: tuple(v) for k, v in targets.items()},
        left_alone=frozenset(kept),
        asymmetric={r["term"]: r["reason"] for r in _rows("asymmetric") if r["axis"] == axis},
        heads=frozenset(k[0] for k in keys),
        phrase_heads=frozenset(k[0] for k in (*kept, *people)),
        longest=max((len(k) for k in (*keys, *kept, *people)), default=1),
        people=people,
        contradicted=(
            frozenset(t.text for t in _gender({})) | {"her", "his", "him", "hers"}
            if axis == "names_gender"
            else frozenset()
        ),
        neutral=word_class("neutral") if axis == "gender" else frozenset(),
        digest=_digest(),
    )


def _gender(targets: dict[tuple[str, str], list[str]]) -> Iterator[Term]:
    """Yield both sides of each row of ``gender.csv``; `direction` says which are sources."""
    for number, row in enumerate(_rows("gender")):
        slot = f"row {number}"
        flags = frozenset(row["flags"].split())
        ambiguous = row["direction"] == "none"
        for mine, other, way in (("female", "male", "to_male"), ("male", "female", "to_female")):
            if not row[mine]:
                continue
            if row["direction"] in ("both", way) and row[other]:
                targets[other, slot] = [row[other]]
            elif not ambiguous:
                continue
            peer = row[f"{mine}_peer"]
            yield Term(
                text=row[mine],
                group=mine,
                slot=slot,
                peers=(peer,) if peer else (),
                kind=row["kind"],
                flags=flags | {"ambiguous"} if ambiguous else flags,
            )
    # Their counterparts depend on their place in the sentence; see `audit.grammar`.
    for text, group in (("her", "female"), ("hers", "female"), ("his", "male"), ("him", "male")):
        yield Term(text=text, group=group, slot="pronoun", kind="pronoun")


def _slots(table: str, targets: dict[tuple[str, str], list[str]]) -> Iterator[Term]:
    for row in _rows(table):
        if row["direction"] in ("both", "target"):
            targets.setdefault((row["group"], row["slot"]), []).append(row["term"])
        if row["direction"] in ("both", "source"):
            yield Term(
                text=row["term"],
                group=row["group"],
                slot=row["slot"],
                peers=(row["peer"],) if row["peer"] else (),
                kind="kin" if "name" in row["flags"].split() else "",
                flags=frozenset(row["flags"].split()),
                before_noun=row["before_noun"],
            )


def _names(targets: dict[tuple[str, str], list[str]], *, by_gender: bool) -> Iterator[Term]:
    """Yield first names; what is not exchanged (origin or gender) is held constant by the slot."""
    rows = list(_rows("names"))
    for row in rows:
        if not by_gender and not row["origin"]:
            continue
        group = row["gender"] if by_gender else row["origin"]
        slot = f"name {row['origin'] if by_gender else row['gender']}"
        flags = frozenset(row["flags"].split())
        if flags.isdisjoint(("ambiguous", "source")):
            targets.setdefault((group, slot), []).append(row["name"])
        yield Term(text=row["name"], group=group, slot=slot, kind="name", flags=flags)


def _key(phrase: str) -> tuple[str, ...]:
    return tuple(w.lower for w in words(phrase))


def _rows(table: str) -> Iterator[dict[str, str]]:
    path = shipped("datasets") / "terms" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@cache
def _digest() -> str:
    seen = sha256()
    for path in sorted((shipped("datasets") / "terms").glob("*.csv")):
        seen.update(path.name.encode() + b"\0" + sha256(path.read_bytes()).digest())
    return seen.hexdigest()

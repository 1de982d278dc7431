"""Suites of functional checks: shipped packs, and rows of a corpus.

A check says what a model shall do with one text (MFT, minimum functionality), that some texts shall
be decided alike (INV, invariance), or which way a change shall move the score (DIR, directional).

Source: Ribeiro et al. (2020), 'Beyond Accuracy: Behavioral Testing of NLP Models with CheckList',
ACL, arXiv:2005.04118, section 2.
"""

import csv
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, cast, get_args

from audit.errors import ConfigError, DataError, did_you_mean
from audit.shipped import shipped
from audit.types import Corpus, Decision, Example, Skip, Text

Kind = Literal["MFT", "INV", "DIR"]
Direction = Literal["up", "down", "surer", "less sure"]
FAVOURABLE, UNFAVOURABLE = "favourable", "unfavourable"
"""Expectations that any decision can meet, whatever its labels are called."""
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One text of a check."""

    id: str
    text: Text
    identity: Mapping[str, str] = field(default_factory=dict)
    """Axis to the group that the text names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a model shall do."""

    id: str
    kind: Kind
    functionality: str = ""
    template: str
    """What the texts were made from: checks of one template share its quirks, so errors count by
    template."""
    expect: tuple[str, ...] = ()
    """MFT: labels that are right, or `FAVOURABLE` or `UNFAVOURABLE`; none: no label applies
    (multi-label). DIR: one `Direction`. INV: nothing."""
    variants: tuple[Variant, ...]
    """MFT: one. INV and DIR: the original, then at least one changed text."""

    def varies(self, axis: str) -> bool:
        """Return whether two variants name different groups of `axis`."""
        return len({v.identity.get(axis, "") for v in self.variants}) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Checks in a fixed order."""

    name: str
    checks: tuple[Check, ...]
    axes: tuple[str, ...] = ()
    """Identity axes, e.g. ``("gender", "religion")``."""
    left_out: tuple[Skip, ...] = ()
    """Checks that cannot be asked of this model, or not at all, and why."""


def packs() -> tuple[str, ...]:
    """Return the names of the shipped suites."""
    return tuple(sorted(p.stem for p in (shipped("datasets") / "templates").glob("*.toml")))


@cache
def pack(name: str, axes: tuple[str, ...] = ()) -> Suite:
    """Return a shipped suite, its templates crossed with the people of ``fillers.csv``.

    Args:
        name: One of `packs`.
        axes: Identity axes to cross with; every one where empty.

    Raises:
        ConfigError: If there is no such suite or axis.
    """
    if name not in packs():
        raise ConfigError(f"There is no shipped suite {name!r}.", hint=did_you_mean(name, packs()))
    plain, people = _plain(name), _people()
    # What a decision may rightly turn on in a domain is no axis of its pack: age in medicine.
    known = tuple(plain.get("axes", people))
    for axis in axes:
        if axis not in known:
            raise ConfigError(
                f"The suite {name} has no axis {axis!r}.", hint=did_you_mean(axis, known)
            )
    chosen = {axis: people[axis] for axis in (axes or known)}
    checks = [c for test in plain["test"] for c in _of_test(name, test, chosen)]
    return Suite(name=name, checks=tuple(checks), axes=tuple(chosen))


def about(name: str) -> tuple[str, str]:
    """Return what a shipped suite is for, and what its favourable decision is."""
    plain = _plain(name)
    return plain["about"], plain["favourable"]


def of_corpus(
    corpus: Corpus,
    *,
    kind: str = "type",
    functionality: str = "functionality",
    case: str = "case",
    expect: str = "expect",
    identity: Sequence[str] = (),
) -> Suite:
    """Return the rows of a corpus as a suite.

    A row's cluster is its template. Rows without a type are MFT. An MFT row expects what stands
    under `expect`, else its label. Rows of one case make one INV or DIR check, the first row the
    original.

    Args:
        corpus: The rows, their columns read as groups.
        kind: Group attribute that holds MFT, INV or DIR.
        functionality: Attribute that says what a check is about.
        case: Attribute that tells which rows belong to one check.
        expect: Attribute with the expectation: labels parted by ``|``, or a `Direction`.
        identity: Attributes that say whom a text is about.

    Raises:
        ConfigError: If no row has an attribute that was named.
        DataError: If a type or direction is unknown, or the rows of a case contradict each other.
    """
    known = {name for e in corpus.examples for name in e.groups}
    named = dict.fromkeys(identity)
    named |= {
        a: None
        for a, default in ((functionality, "functionality"), (kind, "type"), (case, "case"))
        if a != default
    }
    for attribute in named:
        if corpus.examples and attribute not in known:
            raise ConfigError(
                f"No row of the corpus {corpus.name!r} has the group {attribute!r}.",
                hint=did_you_mean(attribute, known)
                if known
                else f"Name its column in groups under [corpora.{corpus.name}].",
            )
    left: Counter[str] = Counter()
    cases: dict[tuple[str, str], list[Example]] = {}
    for e in corpus.examples:
        what = e.groups.get(kind, "MFT").upper()
        if what not in get_args(Kind):
            raise DataError(
                f"{e.id} of the corpus {corpus.name!r} is of type {e.groups[kind]!r}.",
                hint="A check is MFT, INV or DIR.",
            )
        group = e.groups.get(case)
        if what != "MFT" and group is None:
            left[f"{what} without a case to compare within"] += 1
        else:
            cases.setdefault((what, e.id if what == "MFT" else cast(str, group)), []).append(e)
    # Ids of another corpus must not be taken for those of audited texts.
    mark = "" if corpus.name == "test" else f"{corpus.name}/"
    checks = []
    for (what, id), rows in cases.items():
        wanted = _wanted(rows, cast(Kind, what), expect, corpus)
        if wanted is None:
            left["no expected decision"] += 1
        elif what != "MFT" and len(rows) < 2:
            left[f"{what} with one text alone"] += 1
        else:
            checks.append(
                Check(
                    id=f"{mark}{id}",
                    kind=cast(Kind, what),
                    functionality=rows[0].groups.get(functionality, ""),
                    template=rows[0].cluster or f"{what} {id}",
                    expect=wanted,
                    variants=tuple(
                        Variant(
                            id=f"{mark}{e.id}",
                            text=e.input,
                            identity={a: e.groups[a] for a in identity if a in e.groups},
                        )
                        for e in rows
                    ),
                )
            )
    return Suite(
        name=corpus.name, checks=tuple(checks), axes=tuple(identity), left_out=counted(left)
    )


def fitted(suite: Suite, decision: Decision, labels: Mapping[str, str]) -> Suite:
    """Return `suite` in the labels of a model.

    Args:
        suite: A suite in labels of its own.
        decision: Names the model's labels.
        labels: Label of the suite to one of the model, to ``favourable`` or ``unfavourable``, or to
            ``""``: the model has no such label, and checks that expect it alone are left out.

    Raises:
        ConfigError: If an expected label is neither one of the model's nor mapped, or is mapped to
            a label that the model has not.
    """
    ours = {*decision.labels, FAVOURABLE, UNFAVOURABLE}
    for name, to in labels.items():
        if to and to not in ours:
            raise ConfigError(
                f"The label {name!r} is mapped to {to!r}, which the model has not.",
                hint=did_you_mean(to, ours),
            )
    left: Counter[str] = Counter()
    checks = []
    for c in suite.checks:
        if c.kind != "MFT" or not c.expect:
            checks.append(c)
            continue
        for name in c.expect:
            if name not in labels and name not in ours:
                raise ConfigError(
                    f"The suite {suite.name} expects the label {name!r}, which the model has not.",
                    hint=f'Map it, e.g. labels = {{ "{name}" = "{decision.labels[0]}" }}, or to '
                    '"" to leave such checks out. Labels of the model: '
                    f"{', '.join(decision.labels)}.",
                )
        expect = tuple(dict.fromkeys(to for n in c.expect if (to := labels.get(n, n))))
        if expect:
            checks.append(replace(c, expect=expect))
        else:
            left[f"the model has no label {' or '.join(c.expect)}"] += 1
    return replace(suite, checks=tuple(checks), left_out=(*suite.left_out, *counted(left)))


def _plain(name: str) -> dict[str, Any]:
    path = shipped("datasets") / "templates" / f"{name}.toml"
    return tomllib.loads(path.read_text("utf-8"))


def _of_test(
    suite: str, test: Mapping[str, Any], people: Mapping[str, Sequence[Mapping[str, str]]]
) -> Iterator[Check]:
    """Yield the checks of one table ``[[test]]`` of a pack."""
    kind, what = cast(Kind, test["type"]), str(test["functionality"])
    expect = parts(test.get("expect", ""))
    for number, said in enumerate(test["pairs"] if kind == "DIR" else test["templates"], 1):
        template = f"{what} {number}"
        id = f"{suite}/{template}"
        shared: dict[str, Any] = {"functionality": what, "template": template, "expect": expect}
        if kind == "DIR":
            texts = tuple(Variant(id=f"{id}/{i}", text=t) for i, t in enumerate(said))
            yield Check(id=id, kind=kind, variants=texts, **shared)
            continue
        if not _SLOT.search(said):
            yield Check(id=id, kind=kind, variants=(Variant(id=id, text=said),), **shared)
            continue
        for axis, some in people.items():
            texts = tuple(
                Variant(
                    id=f"{id}/{axis}/{i}",
                    text=_filled(said, person),
                    identity={axis: person["group"]},
                )
                for i, person in enumerate(some)
            )
            if kind == "INV":
                yield Check(id=f"{id}/{axis}", kind=kind, variants=texts, **shared)
                continue
            for v in texts:
                yield Check(id=v.id, kind=kind, variants=(v,), **shared)


def _filled(template: str, person: Mapping[str, str]) -> str:
    """Put a person into ``{person}``, ``{they}``, ``{them}``, ``{their}``; capitals are kept."""

    def one(found: re.Match[str]) -> str:
        slot = found[1]
        value = person[slot.lower()]
        return value[0].upper() + value[1:] if slot[0].isupper() else value

    return _SLOT.sub(one, template)


@cache
def _people() -> Mapping[str, tuple[Mapping[str, str], ...]]:
    found: dict[str, list[Mapping[str, str]]] = {}
    path = shipped("datasets") / "templates" / "fillers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["axis"], []).append(row)
    return {axis: tuple(rows) for axis, rows in found.items()}


def _wanted(
    rows: Sequence[Example], kind: Kind, expect: str, corpus: Corpus
) -> tuple[str, ...] | None:
    """Return what the rows of one check expect; None: nothing that could be checked."""
    first = rows[0]
    said = {e.groups.get(expect, "") for e in rows}
    if kind == "INV":
        return ()
    if kind == "DIR":
        if len(said) > 1:
            raise DataError(
                f"The rows of the case of {first.id} in the corpus {corpus.name!r} expect "
                f"different things: {', '.join(sorted(said))}."
            )
        return direction(parts(*said), f"{first.id} of the corpus {corpus.name!r}")
    if said != {""}:
        return parts(*said)
    if first.label is None:
        return None
    return (first.label,) if isinstance(first.label, str) else first.label


def direction(said: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return the expectation `said` of the directional test `where`.

    Raises:
        DataError: If it is not one `Direction`.
    """
    if len(said) != 1 or said[0] not in get_args(Direction):
        raise DataError(
            f"{where} is a directional test that expects {'|'.join(said)!r}.",
            hint=f"Say which way the score shall go: {', '.join(get_args(Direction))}.",
        )
    return said


def parts(said: str) -> tuple[str, ...]:
    """Return what stands between the ``|`` of an expectation."""
    return tuple(part for one in said.split("|") if (part := one.strip()))


def counted(left: Mapping[str, int]) -> tuple[Skip, ...]:
    """Return the counts of what was left out, by reason."""
    return tuple(Skip(reason=why, count=n) for why, n in sorted(left.items()))

"""Rewriting standard English in other varieties, one grammatical feature at a time.

The rules are closed lists and short patterns, written to leave a text alone rather than to make a
sentence that nobody would say. What they make is not the speech of any person: it is standard
English with single features of another variety, as in VALUE.

Source: Ziems et al. (2022), 'VALUE', ACL, arXiv:2204.03031; Tan et al. (2020), 'It's Morphin'
Time!', ACL, arXiv:2005.04364. Features, examples and sources: ``datasets/dialects/features.csv``.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from audit.errors import ConfigError, did_you_mean
from audit.shipped import shipped
from audit.text import Edit, begins_a_sentence, like, replace, words

AAE, INFLECTION = "aae", "inflection"
_A = "['’]"
_APART = r"(?:\s+)"
# After 's, which may stand for "has" or a genitive, only words that follow "is".
_AFTER_IS = frozenset(
    "a an the so very too not my your his her our their in at on from just really gonna like".split()
)
# A copula stays where the sentence breaks off or goes on without its complement.
_KEEPS_COPULA = frozenset(
    "and or but if as than that what who where when why how because though although while "
    "i he she it we you they to been".split()
)
# "The time you have left", and forms that are of the present too.
_NOT_COMPLETED = frozenset("got been had done left put set let read cut hit hurt".split())
_PRONOUNS = frozenset("i you he she it we they this that these those there".split())
_NEGATIVE = {
    "anything": "nothing",
    "anybody": "nobody",
    "anyone": "no one",
    "anywhere": "nowhere",
    "any": "no",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One place that a rule rewrites."""

    feature: str
    edit: Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A row of ``features.csv``."""

    dialect: str
    feature: str
    what: str
    standard: str
    changed: str
    source: str


@cache
def features() -> tuple[Feature, ...]:
    """Return every feature, in the order in which rules take precedence."""
    return tuple(Feature(**row) for row in _rows("features"))


def changes(text: str, dialect: str, feature: str = "") -> tuple[Change, ...]:
    """Return the places of `text` that `dialect` would say otherwise, left to right.

    No two overlap. Links, handles, tags and placeholders are left alone.

    Args:
        text: Standard English, as a rule.
        dialect: ``aae`` or ``inflection``.
        feature: One feature alone; all of the dialect's where empty.

    Raises:
        ConfigError: If there is no such dialect or feature.
    """
    known = {f.dialect for f in features()}
    if dialect not in known:
        raise ConfigError(f"There is no dialect {dialect!r}.", hint=did_you_mean(dialect, known))
    own = [f.feature for f in features() if f.dialect == dialect]
    if feature and feature not in own:
        raise ConfigError(
            f"The dialect {dialect} has no feature {feature!r}.", hint=did_you_mean(feature, own)
        )
    found: list[Change] = []
    spans = [(w.start, w.end) for w in words(text)]
    starts = {start for start, _ in spans}
    taken: list[tuple[int, int]] = []
    for name in own:
        for edit in _RULES[name](text):
            # A rule for "is" must not see the "is" of a link.
            inside = any(s < edit.end and edit.start < e for s, e in spans)
            apart = all(edit.end <= a or b <= edit.start for a, b in taken)
            if inside and apart and _begins(text, edit.start, starts):
                taken.append((edit.start, edit.end))
                if not feature or name == feature:
                    found.append(Change(feature=name, edit=edit))
    return tuple(sorted(found, key=lambda c: c.edit.start))


def neutral(text: str) -> tuple[Change, ...]:
    """Return the places of `text` that standard English may say otherwise: *it is*, *it's*.

    Contractions are resolved or made where a word follows, and some words have a twin
    (``neutral.csv``). The variety stays the same, so that what such changes do to a score is the
    price of editing.
    """
    starts = {w.start for w in words(text)}
    found: list[Change] = []
    end = 0
    pattern, twins = _neutral()
    for m in pattern.finditer(text):
        if m.start() < end or m.start() not in starts:
            continue
        form = re.sub(r"\s+", " ", m[0].lower().replace("’", "'"))
        if form not in twins:
            # Case folding of other scripts: a dotted capital I is no "I".
            continue
        after = text[m.end() :]
        if _is_contraction(form, twins[form]) and not re.match(r"\s+\w", after):
            continue
        # "Isn't it": the order is that of a question, which "is not" would break.
        if form.endswith("n't") and (
            _after(after) in _PRONOUNS
            or (begins_a_sentence(text, m.start()) and form != "don't")
            or re.search(r"\b(?:why|how)\s+$", text[: m.start()], re.IGNORECASE)
        ):
            continue
        # "It is": but "it's been" is "it has been".
        if form.endswith(" is") and _after(after) not in _AFTER_IS | _gerunds():
            continue
        if form.endswith("'ve") and _after(after) not in _participles() | {"been", "had"}:
            continue
        new = like(twins[form], m[0]) if twins[form][0] != "I" else twins[form]
        found.append(Change(feature="neutral", edit=Edit(m.start(), m.end(), new)))
        end = m.end()
    return tuple(found)


def settled(some: Sequence[Change], rng: np.random.Generator) -> tuple[Change, ...]:
    """Return the changes with one form each: where a rule leaves several open, `rng` draws."""
    found = []
    for change in some:
        options = change.edit.new.split("|")
        new = options[int(rng.integers(len(options)))]
        edit = Edit(change.edit.start, change.edit.end, new)
        found.append(Change(feature=change.feature, edit=edit))
    return tuple(found)


def apply(text: str, some: Sequence[Change]) -> str:
    """Return `text` with the changes `some`, each settled on one form."""
    mark = "’" if "’" in text and "'" not in text else "'"
    edits = [c.edit for c in some]
    return replace(text, [Edit(e.start, e.end, e.new.replace("'", mark)) for e in edits])


def draw(some: Sequence[Change], n: int, rng: np.random.Generator) -> tuple[Change, ...]:
    """Return `n` of the changes, or all, in their order."""
    if len(some) <= n:
        return tuple(some)
    kept = sorted(int(i) for i in rng.permutation(len(some))[:n])
    return tuple(some[i] for i in kept)


def _habitual_be(text: str) -> Iterator[Edit]:
    pattern = (
        rf"\b(?:I|you|we|they|he|she|it)(?P<cut>(?:{_APART}(?:am|is|are)|{_A}(?:m|s|re)))"
        rf"{_APART}(?P<how>always|usually|often|constantly){_APART}(?P<verb>\w+ing)\b"
    )
    for m in _find(pattern, text):
        if m["verb"].lower() in _gerunds():
            yield Edit(m.start("cut"), m.end("how"), f" {m['how']} be")


def _aint(text: str) -> Iterator[Edit]:
    be = rf"\b(?P<verb>(?:is|are)(?:n{_A}t|{_APART}not)|am{_APART}not)\b"
    for m in _find(be, text):
        yield Edit(m.start("verb"), m.end("verb"), like("ain't", m["verb"]))
    short = rf"\b(?:I|you|we|they|he|she|it|that)(?P<verb>{_A}(?:m|s|re){_APART}not)\b"
    for m in _find(short, text):
        yield Edit(m.start("verb"), m.end("verb"), " ain't")
    have = rf"\b(?P<verb>(?:has|have)(?:n{_A}t|{_APART}not)){_APART}(?P<next>\w+)"
    for m in _find(have, text):
        if m["next"].lower() in _participles() | {"been", "had"}:
            yield Edit(m.start("verb"), m.end("verb"), like("ain't", m["verb"]))


def _copula_absence(text: str) -> Iterator[Edit]:
    pattern = (
        rf"\b(?:you|we|they|he|she)(?P<cut>{_APART}(?P<full>is|are)|{_A}(?P<short>s|re))"
        rf"(?={_APART}(?P<next>[A-Za-z]+)\b(?!{_A}))"
    )
    for m in _find(pattern, text):
        following = m["next"].lower()
        if following in _KEEPS_COPULA:
            continue
        if (m["short"] or "").lower() == "s" and following not in _AFTER_IS | _gerunds():
            continue
        yield Edit(m.start("cut"), m.end("cut"), "")


def _negative_concord(text: str) -> Iterator[Edit]:
    between = rf"(?:{_APART}(?!but\b|that\b|if\b|because\b|and\b|or\b|any)\w+(?:{_A}\w+)?){{0,4}}?"
    pattern = (
        rf"(?:n{_A}t|\b(?<!or )not|\bnever){between}{_APART}"
        rf"(?P<any>anything|anybody|anyone|anywhere|any)\b(?!{_APART}(?:more|longer|of|other|less|worse|\w+er)\b)"
    )
    for m in _find(pattern, text):
        new = _NEGATIVE.get(m["any"].lower())
        if new is not None:
            yield Edit(m.start("any"), m.end("any"), like(new, m["any"]))


def _completive_done(text: str) -> Iterator[Edit]:
    pattern = (
        rf"\b(?:I|you|we|they|he|she)(?P<have>{_APART}(?:have|has)|{_A}ve)"
        rf"{_APART}(?:already{_APART})?(?P<verb>\w+)\b"
    )
    for m in _find(pattern, text):
        if m["verb"].lower() in _participles() - _NOT_COMPLETED:
            yield Edit(m.start("have"), m.end("have"), " done")


def _third_person(text: str) -> Iterator[Edit]:
    forms = {row["third"]: row["base"] for row in _rows("verbs")}
    pattern = rf"\b(?:he|she|it){_APART}(?:(?:always|never|also|really|still|just){_APART})?(?P<verb>\w+s)\b"
    for m in _find(pattern, text):
        base = forms.get(m["verb"].lower())
        # "Made it looks" is no clause; "like it costs" is rare enough.
        if base is not None:
            yield Edit(m.start("verb"), m.end("verb"), like(base, m["verb"]))
    for m in _find(rf"\b(?:he|she|it){_APART}(?P<verb>doesn{_A}t)\b", text):
        yield Edit(m.start("verb"), m.end("verb"), like("don't", m["verb"]))


def _was_levelling(text: str) -> Iterator[Edit]:
    pattern = rf"(?<!\bif )(?<!\bwish )(?<!though )\b(?:you|we|they){_APART}(?P<be>were)\b(?!{_A})"
    for m in _find(pattern, text):
        yield Edit(m.start("be"), m.end("be"), like("was", m["be"]))


def _finna(text: str) -> Iterator[Edit]:
    pattern = (
        rf"(?:\b(?:am|is|are)|{_A}(?:m|re|s)){_APART}"
        rf"(?P<to>(?:going|about){_APART}to|gonna){_APART}(?P<verb>\w+)\b"
    )
    bases = {row["base"] for row in _rows("verbs")}
    for m in _find(pattern, text):
        if m["verb"].lower() in bases | {"be", "have"}:
            yield Edit(m.start("to"), m.end("to"), like("finna", m["to"]))


def _g_dropping(text: str) -> Iterator[Edit]:
    for m in _find(rf"\b(?P<verb>\w{{2,}}ing)\b(?!{_A})", text):
        if m["verb"].lower() in _gerunds():
            new = m["verb"][:-1] + "'"
            yield Edit(m.start("verb"), m.end("verb"), new)


def _verb(text: str) -> Iterator[Edit]:
    yield from _inflected(text, _verb_forms())


def _noun(text: str) -> Iterator[Edit]:
    yield from _inflected(text, _noun_forms())


def _inflected(text: str, forms: Mapping[str, tuple[str, ...]]) -> Iterator[Edit]:
    """Yield each word with all other forms of it; `apply` draws one."""
    for word in words(text):
        others = forms.get(word.lower)
        # "User's", "don't": what an apostrophe parts is left alone.
        apostrophe = text[word.end : word.end + 1] in ("'", "’", "-") or (
            word.start > 0 and text[word.start - 1] in "'’-"
        )
        if others and not apostrophe:
            yield Edit(word.start, word.end, "|".join(like(o, word.text) for o in others))


_RULES = MappingProxyType(
    {
        "habitual_be": _habitual_be,
        "aint": _aint,
        "copula_absence": _copula_absence,
        "negative_concord": _negative_concord,
        "completive_done": _completive_done,
        "third_person": _third_person,
        "was_levelling": _was_levelling,
        "finna": _finna,
        "g_dropping": _g_dropping,
        "verb": _verb,
        "noun": _noun,
    }
)


def _find(pattern: str, text: str) -> Iterator[re.Match[str]]:
    return re.finditer(pattern, text, re.IGNORECASE)


def _begins(text: str, start: int, starts: set[int]) -> bool:
    """Return whether an edit at `start` begins at a word, or at the space or mark before one."""
    return start in starts or bool(re.match(rf"\s|{_A}", text[start : start + 1]))


def _after(text: str) -> str:
    found = re.match(r"\s+(\w+)", text)
    return found[1].lower() if found else ""


def _is_contraction(form: str, twin: str) -> bool:
    return "'" in form or "'" in twin


@cache
def _neutral() -> tuple[re.Pattern[str], Mapping[str, str]]:
    twins: dict[str, str] = {}
    for row in _rows("neutral"):
        form, other = row["form"], row["other"]
        twins[form.lower()] = other
        if row["both"] == "yes":
            twins[other.lower()] = form
    forms = sorted(twins, key=len, reverse=True)
    said = "|".join(re.escape(f).replace(r"\ ", r"\s+").replace("'", _A) for f in forms)
    return re.compile(rf"\b(?:{said})\b(?!{_A})", re.IGNORECASE), MappingProxyType(twins)


@cache
def _gerunds() -> frozenset[str]:
    return frozenset(row["gerund"] for row in _rows("verbs"))


@cache
def _participles() -> frozenset[str]:
    return frozenset(row["participle"] for row in _rows("verbs"))


@cache
def _verb_forms() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for row in _rows("verbs"):
        if row["base"] == "do":
            continue
        every = set(row.values())
        for form in every:
            found.setdefault(form, set()).update(every - {form})
    # Words that are of two verbs, or that grammar uses otherwise, say nothing when inflected.
    closed = {"like", "mean", "let", "left", "lead", "lying", "found", "saw"}
    return MappingProxyType(
        {form: tuple(sorted(o)) for form, o in found.items() if form not in closed}
    )


@cache
def _noun_forms() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in _rows("nouns"):
        found[row["singular"]], found[row["plural"]] = (row["plural"],), (row["singular"],)
    return MappingProxyType({k: v for k, v in found.items() if k not in _verb_forms()})


@cache
def _rows(table: str) -> tuple[dict[str, str], ...]:
    path = shipped("datasets") / "dialects" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))

"""Does the model do what anyone would expect of it, whoever the text is about?

Runs suites of functional checks: a decision that any reasonable classifier would take (MFT), texts
that shall be decided alike (INV), changes that shall not move the score the wrong way (DIR). A
suite is shipped (``suite``), or the rows of a corpus of the audit file (``corpus``): HateCheck, a
CheckList suite, a table of one's own.

Texts from one template share its quirks, so templates are what counts: a failure rate is the mean
of the templates' own rates, with a t interval over templates, or Wilson's where each template fails
wholly or not at all. A clustered error would be too small for the few templates that suites have.
``failure_rate_least`` and ``failure_rate_most`` are the rate without the one template that raises
or lowers it most. Between identities, templates are compared with themselves: a group's texts with
those of all other groups on the same template.

Source: Ribeiro et al. (2020), ACL, arXiv:2005.04118, section 2 (the three kinds of test and the
failure rate); Röttger et al. (2021), 'HateCheck', ACL, arXiv:2012.15606 (functionality and target
group); Selvam et al. (2023), ACL, https://aclanthology.org/2023.acl-short.118 (bias scores move
with the wording of templates).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from audit import suites
from audit.bench import Bench, Planned
from audit.checking import (
    Answers,
    Bools,
    Places,
    Rows,
    differences,
    excess_flips,
    excess_shifts,
    has_both,
    judge,
    paired,
    paired_without_one,
    places,
    rate,
    rate_without_one,
)
from audit.decision import Decided
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.perturbation import shown
from audit.power import mde_share
from audit.suites import Check, Suite
from audit.types import Absent, Cases, Estimate, Fact, Measurement, Skip, Text

Value = Callable[[Answers], Estimate | Absent]
_ENDS: tuple[Literal["least", "most"], ...] = ("least", "most")
_CHECKS = "share of checks, templates alike"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """One number that will be measured, known before anything is scored."""

    metric: str
    where: Mapping[str, str]
    unit: str
    value: Value
    eligible: int
    left: tuple[Skip, ...] = ()
    templates: int = 0
    """Templates behind a failure rate."""
    descriptive: bool = False
    """Shown beside another number; no test of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """Failure rates of functional checks, by functionality and by whom the text is about."""

    name: ClassVar[str] = "templates"
    version: ClassVar[str] = "2"
    needs: ClassVar[frozenset[str]] = frozenset()

    suite: str = ""
    """Shipped suite: ``hiring``, ``finance``, ``customer_service``, ``moderation``, ``health``,
    ``education`` or ``recommendation``."""
    axes: tuple[str, ...] = ()
    """Identity axes to cross a shipped suite with; all of its own where empty."""
    corpus: str = ""
    """Instead of a shipped suite: the name of a corpus of the audit file. Its cluster column is the
    template."""
    functionality: str = "functionality"
    """Group attribute of the corpus that says what a check is about."""
    identity: tuple[str, ...] = ()
    """Attributes of the corpus that say whom a text is about."""
    type: str = "type"
    """Attribute that holds MFT, INV or DIR; rows without it are MFT."""
    case: str = "case"
    """Attribute that tells which rows are one INV or DIR check."""
    expect: str = "expect"
    """Attribute with the expectation; for an MFT the label serves where it is not set."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label of the suite to one of the model, to ``favourable`` or ``unfavourable``, or to ``""``
    where the model has no such label."""
    tolerance: float = 0.1
    """How far a score may move the wrong way before a directional test fails."""

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance must be 0 or more and under 1, got {self.tolerance}")

    def plan(self, bench: Bench) -> Planned:
        suite = self._suite(bench)
        texts = sum(len(c.variants) for c in suite.checks)
        claims, mde = [], {}
        for s in _slices(suite, bench.level):
            claims.append(bench.id(s.metric, s.where))
            smallest = mde_share(s.templates, 0.1)
            if smallest is not None:
                mde[claims[-1]] = smallest
        return Planned(units=texts, queries=texts, claims=tuple(claims), mde=mde)

    def run(self, bench: Bench) -> Iterator[Fact]:
        suite = self._suite(bench)
        decided = bench.decide(bench.scorer([v.text for c in suite.checks for v in c.variants]))
        answers = judge(suite, decided, bench.decision, tolerance=self.tolerance)
        for s in _slices(suite, bench.level):
            yield Measurement(
                id=bench.id(s.metric, s.where),
                metric=s.metric,
                where=s.where,
                value=s.value(answers),
                unit=s.unit,
                eligible=s.eligible,
                left_out=s.left,
                family="" if s.descriptive else f"{bench.probe}.{s.metric}",
            )
        yield _cases(bench, suite, decided, answers)

    def _suite(self, bench: Bench) -> Suite:
        if bool(self.suite) == bool(self.corpus):
            raise ConfigError(
                "The probe templates runs one suite.",
                hint=f"Set suite ({', '.join(suites.packs())}) or corpus, the name of a table "
                "[corpora.NAME] with a suite's rows.",
            )
        if self.suite:
            suite = suites.pack(self.suite, self.axes)
        elif self.corpus not in bench.corpora:
            raise ConfigError(
                f"The audit file has no corpus {self.corpus!r}.",
                hint=did_you_mean(self.corpus, bench.corpora),
            )
        else:
            suite = suites.of_corpus(
                bench.corpora[self.corpus],
                kind=self.type,
                functionality=self.functionality,
                case=self.case,
                expect=self.expect,
                identity=self.identity,
            )
        pairs = any(e.second is not None for e in bench.corpus.examples)
        if pairs and any(isinstance(v.text, str) for c in suite.checks for v in c.variants):
            raise Unsupported(
                f"The model reads pairs of texts, and the suite {suite.name} holds single ones.",
                hint="Name a corpus with both texts.",
            )
        return suites.fitted(suite, bench.decision, self.labels)


def _slices(suite: Suite, level: float) -> Iterator[_Slice]:
    """Yield all that is measured, in the order of the report."""
    at, here = places(suite), {"suite": suite.name}
    every = _rows([True] * len(suite.checks))
    yield _failures(at, "failure_rate", every, here, level, suite.left_out)
    for end in _ENDS:
        yield _failures(at, "failure_rate", every, here, level, suite.left_out, end=end)
    kinds = [c.kind for c in suite.checks]
    for kind in dict.fromkeys(kinds) if len(set(kinds)) > 1 else ():
        chosen = _rows([k == kind for k in kinds])
        yield _failures(at, "type_failure_rate", chosen, {**here, "type": kind}, level)
    about = [c.functionality for c in suite.checks]
    for name in dict.fromkeys(filter(None, about)):
        chosen = _rows([a == name for a in about])
        where = {**here, "functionality": name}
        yield _failures(at, "functionality_failure_rate", chosen, where, level)
    for axis in suite.axes:
        yield from _of_axis(suite, at, axis, {**here, "axis": axis}, level)


def _of_axis(
    suite: Suite, at: Places, axis: str, here: Mapping[str, str], level: float
) -> Iterator[_Slice]:
    """Yield what one identity axis does to decisions and scores."""
    varied = _rows([c.kind == "INV" and c.varies(axis) for c in suite.checks])
    if len(varied):
        yield _failures(at, "invariance_failure_rate", varied, here, level)
        both = varied[[has_both(suite.checks[i], axis) for i in varied]]
        yield _Slice(
            metric="excess_flip_rate",
            where=here,
            unit="share of pairs of two groups less that of pairs of one group",
            value=lambda a: excess_flips(suite, a, both, axis, level=level),
            eligible=len(varied),
            left=_left({"no two texts of one group": len(varied) - len(both)}),
        )
    texts = [(c.kind, v.identity.get(axis, "")) for c in suite.checks for v in c.variants]
    groups = np.array([group for _, group in texts], dtype=str)
    expected = np.array([kind == "MFT" for kind, _ in texts], dtype=bool)
    asked = np.array([kind != "DIR" for kind, _ in texts], dtype=bool)
    said = [v.text for c in suite.checks for v in c.variants]
    yield _noise_apart(at, here, asked & (groups != ""), groups, said, level)
    for group in dict.fromkeys(name for name in groups[asked] if name):
        where = {**here, "group": str(group)}
        mine = groups == group
        if (mine & expected).any():
            chosen = at.check[mine & expected]
            yield _failures(at, "group_failure_rate", chosen, where, level)
            yield _gap(at, "failure_gap", where, expected, groups, level)
        yield _gap(at, "score_gap", where, asked, groups, level)
        for end in _ENDS:
            yield _gap(at, "score_gap", where, asked, groups, level, end=end)


def _noise_apart(
    at: Places,
    where: Mapping[str, str],
    named: Bools,
    groups: NDArray[np.str_],
    said: Sequence[Text],
    level: float,
) -> _Slice:
    """Compare how far groups are apart with how far two people of one group are."""
    # A text that stands in two checks is not two people.
    seen = {(at.of_text[i], groups[i], said[i]): i for i in np.flatnonzero(named)[::-1]}
    once = np.zeros_like(named)
    once[list(seen.values())] = True
    templates, own = at.of_text[once], groups[once]
    both = {
        str(t)
        for t in np.unique(templates)
        if 1 < len(set(own[templates == t])) < int((templates == t).sum())
    }
    return _Slice(
        metric="excess_score_shift",
        where=where,
        unit="favourable score between two groups less within one, on the same template",
        value=lambda a: paired(excess_shifts(a.score[once], own, templates), level=level),
        eligible=int(named.sum()),
        left=_left(
            {
                "the text stands in another check too": int(named.sum() - once.sum()),
                "the template lacks a second group or person": sum(
                    t not in both for t in templates
                ),
            }
        ),
    )


def _failures(
    at: Places,
    metric: str,
    chosen: Rows,
    where: Mapping[str, str],
    level: float,
    left: tuple[Skip, ...] = (),
    *,
    end: Literal["least", "most"] | None = None,
) -> _Slice:
    templates = at.of_check[chosen]

    def value(answers: Answers) -> Estimate | Absent:
        hits = answers.failed[chosen]
        if end is None:
            return rate(hits, templates, level=level)
        return rate_without_one(hits, templates, end, level=level)

    return _Slice(
        metric=metric if end is None else f"{metric}_{end}",
        where=where,
        unit=_CHECKS if end is None else f"{_CHECKS}, one template left out",
        value=value,
        eligible=len(chosen) + sum(skip.count for skip in left),
        left=left,
        templates=len(set(templates)) if end is None else 0,
        descriptive=end is not None,
    )


def _gap(
    at: Places,
    metric: Literal["failure_gap", "score_gap"],
    where: Mapping[str, str],
    asked: Bools,
    groups: NDArray[np.str_],
    level: float,
    *,
    end: Literal["least", "most"] | None = None,
) -> _Slice:
    """Compare a group with all others of its axis on the same templates."""
    named = asked & (groups != "")
    mine, templates = groups[named] == where["group"], at.of_text[named]
    shared = set(templates[mine]) & set(templates[~mine])
    alone = int(sum(t not in shared for t in templates))

    def value(answers: Answers) -> Estimate | Absent:
        values = answers.score if metric == "score_gap" else answers.wrong.astype(float)
        changes = differences(values[named], mine, templates)
        if end is None:
            return paired(changes, level=level)
        return paired_without_one(changes, end, level=level)

    unit = "favourable score" if metric == "score_gap" else "share of checks"
    return _Slice(
        metric=metric if end is None else f"{metric}_{end}",
        where=where,
        unit=f"{unit}, less that of other groups on the same template"
        + ("" if end is None else ", one template left out"),
        value=value,
        eligible=int(asked.sum()),
        left=_left(
            {
                "names no group of the axis": int(asked.sum() - named.sum()),
                "the template lacks this group or any other": alone,
            }
        ),
        descriptive=end is not None,
    )


def _cases(bench: Bench, suite: Suite, decided: Decided, answers: Answers) -> Cases:
    """Return every MFT, and every changed text of an INV or DIR beside its original."""
    at = places(suite)
    pairs: list[tuple[int, int]] = []
    for i, check in enumerate(suite.checks):
        start, stop = int(at.first[i]), int(at.first[i + 1])
        pairs += [(start, j) for j in range(start + (check.kind != "MFT"), stop)]
    flat = [v for c in suite.checks for v in c.variants]
    owner = [suite.checks[int(at.check[j])] for _, j in pairs]
    before, after = (np.array([p[side] for p in pairs], dtype=np.intp) for side in (0, 1))
    return Cases(
        metric=bench.id("failure_rate", {"suite": suite.name}),
        example_id=[flat[j].id for _, j in pairs],
        cluster=[c.template for c in owner],
        before=[shown(flat[i].text) for i, _ in pairs],
        after=[shown(flat[j].text) for _, j in pairs],
        score_before=decided.score[before],
        score_after=decided.score[after],
        flipped=answers.wrong[after],
        note=[_note(c) for c in owner],
    )


def _note(check: Check) -> str:
    """Say what was expected."""
    what = f"{check.functionality}: " if check.functionality else ""
    if check.kind == "INV":
        return f"{what}the same decision expected"
    if check.kind == "DIR":
        return f"{what}score expected {check.expect[0]}"
    return f"{what}{' or '.join(check.expect) or 'no label'} expected"


def _rows(chosen: list[bool]) -> Rows:
    return np.flatnonzero(np.array(chosen, dtype=bool))


def _left(counts: Mapping[str, int]) -> tuple[Skip, ...]:
    return tuple(Skip(reason=why, count=n) for why, n in counts.items() if n)

"""The table of identity words by the share of a score that they carry, beside other words."""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.report._anchors import anchor
from audit.report._catalogue import Said, say
from audit.types import Estimate, Measurement, ProbeRun

_KINDS = ("pronoun", "title", "person", "kin", "role", "name", "word")
_OF = ("share", "placebo_share", "excess_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordRow:
    """One identity word, or one kind of them."""

    term: str
    """The word; empty for a kind."""
    kind: str
    """Of `_KINDS`; empty for a word, and for a kind that this page has no name for."""
    group: str
    n: int
    share: Estimate
    placebo: Estimate
    excess: Estimate
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WordShares:
    """The words and the kinds of one run, each with the largest share first."""

    kinds: tuple[WordRow, ...]
    terms: tuple[WordRow, ...]
    lead: Said | None
    """Which row leads, in words."""


def word_shares(run: ProbeRun) -> WordShares | None:
    """Return the table of a run of `reliance`; None where no word stood in enough texts."""
    by: dict[tuple[str, str, str, str], dict[str, Measurement]] = {}
    for m in run.measurements:
        prefix, _, rest = m.metric.partition("_")
        if run.probe == "reliance" and prefix in ("term", "kind") and rest in _OF:
            by.setdefault((prefix, *_names(m.where)), {})[rest] = m
    rows: dict[str, list[WordRow]] = {"kind": [], "term": []}
    for (prefix, term, group, kind), three in by.items():
        made = _row(term, group, kind, three)
        if made is not None:
            rows[prefix].append(made)
    for some in rows.values():
        some.sort(key=lambda row: (-row.share.value, row.anchor))
    every = sorted((*rows["kind"], *rows["term"]), key=lambda row: -row.share.value)
    if not every:
        return None
    first = rows["kind"][0] if rows["kind"] else rows["term"][0]
    return WordShares(kinds=tuple(rows["kind"]), terms=tuple(rows["term"]), lead=_lead(first))


def _names(where: Mapping[str, str]) -> tuple[str, str, str]:
    return where.get("term", ""), where.get("group", ""), where.get("kind", "")


def _row(term: str, group: str, kind: str, three: Mapping[str, Measurement]) -> WordRow | None:
    values = [three[name].value for name in _OF if name in three]
    share, placebo, excess = (*values, None, None, None)[:3]
    if not (
        isinstance(share, Estimate)
        and isinstance(placebo, Estimate)
        and isinstance(excess, Estimate)
    ):
        return None
    return WordRow(
        term=term,
        kind=kind if kind in _KINDS else "",
        group=group,
        n=share.n,
        share=share,
        placebo=placebo,
        excess=excess,
        anchor=anchor("m", three["share"].id),
    )


def _lead(row: WordRow) -> Said:
    """Say which row carries most, and whether that is more than other words would carry."""
    if row.excess.low > 0:
        how = "more"
    elif row.excess.high < 0:
        how = "less"
    else:
        how = "open"
    what = (
        say("words.one", word=row.term)
        if row.term
        else say("words.several", kind=say(f"words.kind.{row.kind or 'word'}"), group=row.group)
    )
    return say(f"words.lead.{how}", what=what)

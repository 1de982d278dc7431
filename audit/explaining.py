"""Explanations as text, page and JSON; and a model found by folder, hub id or audit file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit import config, corpus, decision, model, report
from audit.aligning import Aligned, align
from audit.borders import plain as as_plain
from audit.cache import DiskCache
from audit.classifier import Lazy
from audit.config import ModelConfig
from audit.console import number, plain, table
from audit.errors import ConfigError
from audit.explain import Audited, Explanation, Flip, Swap, Weighed, audited
from audit.figures import humanise, signed
from audit.scorer import Scorer
from audit.types import Decision, Floats, Text

_BLUE, _RED, _BOLD, _DIM, _OFF = "\x1b[34m", "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
_BARE = 20
"""Words under one part in so many of the largest weight stand without a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model to ask, and what its audit file says of it."""

    scorer: Scorer
    rule: Decision | None
    """None: the model was named by itself, and nobody has said which label is favourable."""
    audit: Audited | None


def source(place: str, base: Path = Path()) -> Source:
    """Return the model at `place`: a folder, a hub id, ``file.py:name``, or an audit file.

    An audit file brings its decision rule, the texts it audited and, where it has been run, what
    was found; its cache of scores is used then.

    Raises:
        AuditError: If there is no such model or file.
    """
    if not place.endswith(".toml"):
        spec = ModelConfig(path=place)
        identity = model.identify(spec, base)
        lazy = Lazy(identity, lambda: model.load(spec, identity, base))
        return Source(scorer=Scorer(lazy), rule=None, audit=None)
    path = base / place
    read = config.read(path)
    home = path.parent
    identity = model.identify(read.model, home)
    lazy = Lazy(identity, lambda: model.load(read.model, identity, home))
    folder = home / read.audit.out
    kept = home / read.audit.cache if read.audit.cache else folder / "cache" / "scores.db"
    texts = corpus.load(
        read.corpora["test"], home, model_labels=identity.labels, head=identity.head
    )
    return Source(
        scorer=Scorer(
            lazy,
            memory=DiskCache(kept) if kept.exists() else None,
            batch_tokens=read.model.batch_tokens,
        ),
        rule=decision.make(
            identity.labels,
            read.decision.favourable,
            threshold=read.decision.threshold,
            head=identity.head,
        ),
        audit=audited(texts.examples, folder),
    )


def rule_for(found: Source, texts: Sequence[Text], favourable: Sequence[str]) -> Decision:
    """Return the rule to explain by: what the user says, else the audit file, else the decision.

    With nothing said, the label decided for the first text is explained, in all texts alike.

    Raises:
        ConfigError: If a label is unknown, or all are named.
    """
    head = found.scorer.head
    if favourable:
        rule = found.rule
        # A threshold is one of the labels it was set for, and says nothing of others.
        same = rule is not None and set(rule.favourable) == set(favourable)
        threshold = rule.threshold if rule is not None and same else None
        return decision.make(found.scorer.labels, tuple(favourable), threshold=threshold, head=head)
    if found.rule is not None:
        return found.rule
    labels = found.scorer.labels
    if len(labels) < 2 and head == "single":
        raise ConfigError("A model of one label decides nothing that could be explained.")
    scores: Floats = found.scorer(texts[:1])
    top = decision.decide(Decision(labels=labels, favourable=labels[:1]), scores)
    return decision.make(labels, (labels[int(top.label[0])],), head=head)


def as_json(found: Sequence[Explanation]) -> str:
    """Return explanations as a JSON list."""
    return json.dumps(as_plain(found), allow_nan=False, indent=1, ensure_ascii=True) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One method's colours."""

    weighed: Weighed
    heated: tuple[report.Heated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SwapView:
    swap: Swap
    before: tuple[report.Segment, ...]
    after: tuple[report.Segment, ...]
    rows: tuple[report.AlignedRow, ...]
    left: int
    """Words that the table leaves out: their weights hardly differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _FlipView:
    flip: Flip
    before: tuple[report.Segment, ...]
    after: tuple[report.Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An explanation, arranged for the templates."""

    e: Explanation
    text: tuple[report.Segment, ...]
    sides: tuple[_Side, ...]
    swaps: tuple[_SwapView, ...]
    flips: tuple[_FlipView, ...]


def view(e: Explanation) -> View:
    """Arrange one explanation for a page."""
    whole = "\n".join(e.parts)
    swaps = []
    for swap in e.swaps or ():
        before, after = report.compare(whole, "\n".join(swap.parts))
        rows, left = report.aligned_rows(swap.aligned)
        swaps.append(_SwapView(swap=swap, before=before, after=after, rows=rows, left=left))
    flips = []
    for flip in e.flips.found if e.flips else ():
        before, after = report.compare(whole, "\n".join(flip.parts))
        flips.append(_FlipView(flip=flip, before=before, after=after))
    return View(
        e=e,
        text=report.uncompared(whole),
        sides=tuple(
            _Side(weighed=w, heated=report.heat([x.text for x in w.words], w.weights))
            for w in ([] if e.weighed is None else [e.weighed, *e.compared])
        ),
        swaps=tuple(swaps),
        flips=tuple(flips),
    )


def as_page(found: Sequence[Explanation], model_name: str, language: str = "en") -> str:
    """Return explanations as one page with nothing to download and no script.

    Args:
        found: One explanation or more; two are also set side by side.
        model_name: Title.
        language: ``en`` or ``zh``.
    """
    rows, left = report.aligned_rows(beside(*found) if len(found) == 2 else (), most=60)
    return report.page(
        "explain.html.j2",
        views=[view(e) for e in found],
        model=model_name,
        language=language,
        beside=rows,
        beside_left=left,
    )


def as_text(found: Sequence[Explanation], *, colour: bool) -> str:
    """Return explanations for the terminal.

    Colour never says anything alone: each word that is coloured carries its sign and number.
    """
    said = []
    for i, e in enumerate(found):
        head = f"Text {i + 1} of {len(found)}\n" if len(found) > 1 else ""
        said.append(head + _told(e, colour))
    if len(found) == 2 and all(e.weighed is not None for e in found):
        said.append(_side_by_side(found[0], found[1]))
    return "\n\n".join(said)


def _told(e: Explanation, colour: bool) -> str:
    lines = [plain(" / ".join(e.parts))[:2_000], ""]
    chosen = ", ".join(e.decision) or "no label"
    rule = "top label" if e.threshold is None else f"threshold {e.threshold:g}"
    lines.append(
        plain(
            f"Decision: {chosen}. Score of {' + '.join(e.favourable)}: {number(e.score)}, "
            f"{signed(e.distance)} from another decision ({rule})."
        )
    )
    probabilities = zip(e.labels, e.probabilities, strict=True)
    lines.append(plain("Probabilities: " + ", ".join(f"{n} {number(p)}" for n, p in probabilities)))
    if e.truncated:
        lines.append("The model could not read the text to its end.")
    for w in [] if e.weighed is None else [e.weighed, *e.compared]:
        lines += ["", *_weighed(w, colour)]
    for name, tau in e.agreement:
        said = "undefined" if tau is None else f"{tau:.2f}"
        lines.append(f"Agreement with {humanise(name)}: Kendall's tau {said}.")
    if e.swaps is not None:
        lines += ["", *_swapped(e)]
    if e.flips is not None:
        lines += ["", *_flipped(e)]
    if e.similar is not None:
        lines += ["", *_similar(e)]
    return "\n".join(lines)


def _weighed(w: Weighed, colour: bool) -> list[str]:
    how = f"{humanise(w.method)}, {w.steps} evaluations, absent words: {w.baseline}"
    if w.delta is not None:
        how += f"; {'converged' if w.converged else 'DID NOT CONVERGE'} (error {w.delta:.1%})"
    lines = [plain(f"Attribution by {how}.")]
    r = w.reliability
    if r is not None:
        mark = _BOLD if colour else ""
        lines.append(
            f"Reliability: {mark}{r.label.upper()}{_OFF if colour else ''}. "
            + plain("; ".join(r.reasons))
            + "."
        )
    most = max((abs(x.weight) for x in w.words), default=0.0)
    words = []
    for x in w.words:
        word = plain(x.text)
        if not most or abs(x.weight) < most / _BARE:
            words.append(word)
            continue
        label = f"{word}({signed(round(x.weight, 2))})"
        if colour:
            tone = _BLUE if x.weight > 0 else _RED
            strong = _BOLD if abs(x.weight) >= most / 2 else ""
            label = f"{strong}{tone}{label}{_OFF}"
        words.append(label)
    return [*lines, "  " + " ".join(words) if words else "  (no word)"]


def _swapped(e: Explanation) -> list[str]:
    missing = [plain(f"Not swapped on {axis}: {why}.") for axis, why in e.not_swapped]
    if not e.swaps:
        return ["Swaps: no axis applies to this text.", *missing]
    rows = [
        (
            f"{s.axis} {s.groups[0]}-{s.groups[1]}",
            ", ".join(dict.fromkeys(f"{a} → {b}" for a, b in s.changes)),
            f"{number(s.score)} ({signed(s.difference)})",
            "-" if s.placebo is None else signed(s.placebo),
            ("CHANGED to " if s.flipped else "") + (", ".join(s.decision) or "no label"),
            _moved(s.aligned),
        )
        for s in e.swaps
    ]
    head = ("swap", "words", "score", "placebo", "decision", "weights that moved most")
    return [table(head, rows), *missing]


def _moved(aligned: Iterable[Aligned]) -> str:
    some = sorted(aligned, key=lambda a: -abs(a.difference))[:2]
    return ", ".join(
        f"{a.before or '–'}→{a.after or '–'} {signed(round(a.difference, 2))}"
        if a.changed
        else f"{a.before} {signed(round(a.difference, 2))}"
        for a in some
    )


def _flipped(e: Explanation) -> list[str]:
    flips = e.flips
    if flips is None:
        return []
    asked = f"{flips.queries} altered texts asked"
    if not flips.found:
        return [f"Nearest flips: none found within {flips.edits} words ({asked})."]
    many = len(flips.found[0].edits)
    lines = [f"Nearest flips: {many} word{'s' if many > 1 else ''} ({asked})."]
    for flip in flips.found:
        done = ", ".join(
            f"{x.word} → {x.new}" if x.new else f"without {x.word}" for x in flip.edits
        )
        to = ", ".join(flip.decision) or "no label"
        lines.append(plain(f"  {done}: {to} ({number(flip.score)})"))
    return lines


def _similar(e: Explanation) -> list[str]:
    if not e.similar:
        return ["Similar audited texts: none shares a word that counts."]
    rows = []
    for s in e.similar:
        text = " / ".join(s.parts)
        rows.append(
            (
                s.example_id,
                f"{s.similarity:.2f}",
                "-" if s.score is None else number(s.score),
                "-" if s.label is None else ", ".join(s.label),
                "-" if s.decision is None else ", ".join(s.decision),
                ", ".join(s.flipped_by) or "-",
                text if len(text) <= 60 else text[:59] + "…",
            )
        )
    head = ("audited text", "likeness", "score", "label", "decision", "flipped in", "text")
    return [table(head, rows)]


def _side_by_side(one: Explanation, other: Explanation) -> str:
    rows = [
        (
            a.before or "–",
            "" if a.weight_before is None else signed(round(a.weight_before, 2)),
            a.after or "–",
            "" if a.weight_after is None else signed(round(a.weight_after, 2)),
            signed(round(a.difference, 2)),
        )
        for a in beside(one, other)
    ]
    gap = signed(other.score - one.score)
    return f"Side by side: score {number(one.score)} → {number(other.score)} ({gap}).\n" + table(
        ("text 1", "weight", "text 2", "weight", "difference"), rows
    )


def beside(one: Explanation, other: Explanation) -> tuple[Aligned, ...]:
    """Return two texts' first attributions word by word; nothing where one has none."""
    if one.weighed is None or other.weighed is None:
        return ()
    return align(
        [w.text for w in one.weighed.words],
        one.weighed.weights,
        [w.text for w in other.weighed.words],
        other.weighed.weights,
    )

"""What does not stand in the page's HTML: rows and cases in one JSON block, drawn when asked for.

Declared, failed and undecided numbers and the cases of findings are HTML, so that they are there
without a script; a page with ten thousand numbers stays light because the others are drawn by the
script, by ``textContent`` and ``createElementNS`` alone. Numbers are written here, once, as text.

A stretch of text is a string, or an array of strings and of the code points of characters that do
not show themselves.
"""

import json
from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import Any

from markupsafe import Markup

from audit.figures import limit, number, percent
from audit.report._aligned import AlignedRow
from audit.report._catalogue import Said, chinese_of, script_words, written
from audit.report._passages import Piece, Segment, pieces, tongue
from audit.report._shapes import Block, Casebook, CaseView, ProbeView, Row
from audit.types import Absent, Case

_READINGS = (
    *("reading.undecided", "reading.undecided_mde", "reading.above", "reading.below"),
    *("reading.chance_above", "reading.chance_below", "reading.with_q"),
)


class Sentences:
    """Stored sentences, each once, in English and Chinese (null where it is not known)."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Return where `text` stands."""
        return self._places.setdefault(text, len(self._places))

    def table(self) -> list[list[object]]:
        """Return them in the order of their places."""
        return [[_runs(text), chinese_of(text)] for text in self._places]


def words_block(level: float) -> Markup:
    """Return what the script says, as JSON that can stand in a script element."""
    words: dict[str, Any] = {name: dict(said) for name, said in script_words().items()}
    for name in words:
        words[name]["readings"] = [_words_of(name, key) for key in _READINGS]
    return _json({"words": words, "level": percent(level)})


def _words_of(language: str, key: str) -> str:
    """Return a message with its slots left open."""
    slots = {"none": "{none}", "mde": "{mde}", "q": "{q}", "reading": "{reading}"}
    return written(language, Said(key, {**slots, "n": "{n}"}))


def rest_block(
    probes: Sequence[ProbeView],
    books: Sequence[Casebook],
    threshold: float | None,
    rest: Mapping[str, Sequence[Row]],
    cases: Mapping[str, Sequence[CaseView]],
) -> Markup:
    """Return rows and cases that are drawn when asked for.

    Args:
        rest: Key of a block to its rows that are not in the HTML.
        cases: Key of a casebook to its cases that are not in the HTML.
    """
    sentences = Sentences()
    blocks = {
        block.key: _block(block, rest[block.key], sentences)
        for p in probes
        for block in p.blocks
        if rest.get(block.key)
    }
    drawn = {
        book.key: [_case(view, sentences) for view in cases[book.key]]
        for book in books
        if cases.get(book.key)
    }
    where = None if threshold is None else _score_x(threshold)
    return _json(
        {"blocks": blocks, "cases": drawn, "sentences": sentences.table(), "threshold": where}
    )


def _block(block: Block, rows: Sequence[Row], sentences: Sentences) -> dict[str, Any]:
    keys = sorted({key for r in rows for key in r.measurement.where})
    before = commonprefix([r.anchor for r in rows])  # noqa: RUF071 - no path
    return {
        "id": before,
        "keys": [_runs(key) for key in keys],
        "none": next((r.plot.none for r in rows if r.plot is not None), None),
        "rows": [_row(r, len(before), keys, sentences) for r in rows],
    }


def _row(row: Row, known: int, keys: Sequence[str], sentences: Sentences) -> list[object]:
    m = row.measurement
    where = [_runs(m.where[k]) if k in m.where else None for k in keys]
    skips = [[s.count, sentences.place(s.reason)] for s in m.left_out]
    if isinstance(m.value, Absent):
        said: list[object] = [sentences.place(m.value.reason), _runs(m.value.code)]
        return [row.anchor[known:], where, said, m.eligible - m.used, skips, _claims(row)]
    assert row.plot is not None
    e = m.value
    effective = None if e.n_effective is None else round(e.n_effective)
    return [
        *(row.anchor[known:], where, number(e.value), number(e.low), number(e.high)),
        *(row.plot.x, row.plot.low, row.plot.high, e.n, effective, m.eligible - m.used, skips),
        *("" if e.mde is None else number(e.mde), _reading(row.reading)),
        *(_claims(row), [[k.x, k.beyond_x, k.beyond_width] for k in row.plot.marks] or 0),
    ]


def _claims(row: Row) -> object:
    """Return the status and the limit of each claim on a number; 0 where there is none."""
    return [
        [
            c.verdict.status,
            ("≤ " if c.verdict.claim.side == "at_most" else "≥ ") + limit(c.verdict.claim.limit),
        ]
        for c in row.claims
    ] or 0


def _reading(said: Said | None) -> list[object] | None:
    if said is None:
        return None
    inner = said.args.get("reading")
    args = {k: v for k, v in said.args.items() if k != "reading"}
    packed = _reading(inner) if isinstance(inner, Said) else None
    return [_READINGS.index(said.key), args, *([packed] if packed else [])]


def _case(view: CaseView, sentences: Sentences) -> list[object]:
    c: Case = view.case
    return [
        *(view.anchor, _runs(c.example_id), int(c.flipped)),
        *(number(c.score_before), number(c.score_after), view.delta),
        *(_score_x(c.score_before), _score_x(c.score_after)),
        [_segment(s) for s in view.before],
        [_segment(s) for s in view.after] if view.changed else None,
        *(tongue(c.before), tongue(c.after)),
        _heat(view),
        sentences.place(c.note) if c.note else None,
        sentences.place(c.reliability) if c.reliability else None,
        sentences.place(c.reliability_after) if c.reliability_after else None,
        [view.aligned_left, [_aligned(row) for row in view.aligned]] if view.aligned else None,
    ]


def _score_x(score: float) -> float:
    return round(6 + 148 * score, 1)


def _segment(s: Segment) -> object:
    if s.folded:
        return {"f": s.folded, "c": int(s.changed)}
    return {"t": _packed(s.pieces)} if s.changed else _packed(s.pieces)


def _aligned(row: AlignedRow) -> list[object]:
    """Return both sides of one place (0: no word there), the difference, and whether it changed."""
    sides = [
        0 if s is None else [_packed(s.pieces), f"{s.label},{s.shade}"]
        for s in (row.before, row.after)
    ]
    return [*sides, f"{row.difference.label},{row.difference.shade}", int(row.changed)]


def _heat(view: CaseView) -> list[object]:
    """Return the words (0 where they are those of the text itself) and, word by word, the label
    with the shade behind a comma, or 0 for a bare word."""
    if not view.heated:
        return []
    words, text = list(view.case.words), view.case.before
    whole = not any(s.folded or any(p.escaped for p in s.pieces) for s in view.before)
    plain = text.isprintable() and text.split() == words and whole
    return [
        0 if plain else [_packed(w.pieces) for w in view.heated],
        [f"{w.label},{w.shade}" if w.shade else 0 for w in view.heated],
    ]


def _runs(text: str) -> object:
    return _packed(pieces(text))


def _packed(parts: Sequence[Piece]) -> object:
    if not any(p.escaped for p in parts):
        return "".join(p.text for p in parts)
    return [int(p.text[3:-1], 16) if p.escaped else p.text for p in parts]


def _json(value: object) -> Markup:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Inside a script element nothing ends it but its end tag, and no comment may open.
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)

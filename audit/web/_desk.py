"""What the local page works with: a model, the audited texts, and what was opened in this visit."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit import explain, explaining
from audit.attribution import METHODS
from audit.errors import ConfigError, DataError, did_you_mean
from audit.explain import Explanation, Part
from audit.types import Decision, Text
from audit.web._rows import Choices, Row, choices, rows

KEPT = 200
"""Opened texts that are remembered; the one longest untouched goes first."""
LONGEST = 200_000
"""Characters of one text."""
SLOW: tuple[Part, ...] = ("swaps", "flips", "similar")
"""Parts that are filled in after the first answer, in this order."""


@dataclass(slots=True)
class Opened:
    """A text that was opened, and the answers about it so far."""

    key: str
    parts: tuple[str, ...]
    origin: str = ""
    """Key of the text it was edited from; empty where it was not."""
    answers: dict[tuple[str, str], Explanation] = field(default_factory=dict)
    """Method and method compared to the answer."""


class Desk:
    """One visit. Everything that touches the model is called from one and the same thread.

    Args:
        place: Audit file, folder of an audit, or a model.
        base: Folder that `place` starts from.
        favourable: Labels whose score is explained, instead of the audit file's.

    Raises:
        AuditError: If there is no such audit or model.
    """

    def __init__(self, place: str, base: Path = Path(), favourable: Sequence[str] = ()) -> None:
        self.name = audit_file(place, base)
        self._source = explaining.source(self.name, base)
        self._favourable = tuple(favourable)
        self._rule: Decision | None = self._source.rule
        if self._rule is not None and favourable:
            self._rule = explaining.rule_for(self._source, (), favourable)
        audit = self._source.audit
        self.rows: tuple[Row, ...] = ()
        if audit is not None and self._rule is not None:
            self.rows = rows(audit, self._rule, lambda e: key(_parts(e.input)))
        self.choices: Choices = choices(self.rows)
        self._audited = {row.key: row for row in self.rows}
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self.pins: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        # DeepLIFT is refused by every transformer: no choice for a page to offer.
        return tuple(name for name in METHODS if name != "deeplift")

    @property
    def method(self) -> str:
        """The method where none was chosen."""
        return explain.method_for(self._source.scorer)

    @property
    def pairs(self) -> bool:
        """The audited texts are pairs."""
        return any(row.example.second is not None for row in self.rows[:1])

    def audited(self, opened: str) -> Row | None:
        return self._audited.get(opened)

    def open(self, parts: Sequence[str], origin: str = "") -> Opened:
        """Remember a text and return it.

        Raises:
            DataError: If it is empty or too long.
        """
        parts = tuple(parts)
        if not any(part.strip() for part in parts):
            raise DataError("There is no text to explain.", hint="Write one into the field.")
        if sum(map(len, parts)) > LONGEST:
            raise DataError(f"A text may have {LONGEST:,} characters here.", hint="Shorten it.")
        found = self._opened.setdefault(key(parts), Opened(key=key(parts), parts=parts))
        if origin and origin != found.key:
            found.origin = origin
        self._opened.move_to_end(found.key)
        while len(self._opened) > KEPT:
            self._opened.popitem(last=False)
        return found

    def find(self, name: str) -> Opened | None:
        """Return a text by its key, opened or audited; None where it is neither, or no longer."""
        if name in self._opened:
            self._opened.move_to_end(name)
            return self._opened[name]
        row = self._audited.get(name)
        return None if row is None else self.open(_parts(row.example.input))

    def pin(self, name: str) -> None:
        """Pin a text, or let go of one that is pinned; of three the oldest goes."""
        if name in self.pins:
            self.pins = tuple(p for p in self.pins if p != name)
        elif self.find(name) is not None:
            self.pins = (*self.pins, name)[-2:]

    def answer(
        self,
        opened: Opened,
        parts: Sequence[Part] = explain.QUICK,
        *,
        method: str = "",
        versus: str = "",
    ) -> Explanation:
        """Explain an opened text, or add `parts` to what is known about it.

        Raises:
            AuditError: If there is no such method, or the model does not allow it.
        """
        method = method or self.method
        for name in (method, versus):
            if name and name not in METHODS:
                raise ConfigError(
                    f"There is no attribution method {name!r}.", hint=did_you_mean(name, METHODS)
                )
        text = _text(opened.parts)
        known = opened.answers.get((method, versus))
        (found,) = explain.explain(
            self._source.scorer,
            self.rule(text),
            [text],
            method=method,
            compare=[versus] if versus else (),
            parts=parts,
            known=None if known is None else [known],
            audit=self._source.audit,
        )
        opened.answers[method, versus] = found
        return found

    def rule(self, text: Text) -> Decision:
        """Return the rule explained by: where nobody said, the decision for the first text."""
        if self._rule is None:
            self._rule = explaining.rule_for(self._source, [text], self._favourable)
        return self._rule


def key(parts: Sequence[str]) -> str:
    """Return the name of a text in addresses: nothing of its words is in it."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:24]


def audit_file(place: str, base: Path = Path()) -> str:
    """Return the audit file of an audit's folder, and anything else as it is.

    The folder keeps the file as run, but paths in it start from where the file lay.

    Raises:
        ConfigError: If the folder is an audit's and its file is not above it any more.
    """
    folder = base / place
    as_run = folder / "audit.toml"
    if not (folder.is_dir() and as_run.exists() and (folder / "result.json").exists()):
        return place
    text = as_run.read_bytes()
    for above in folder.resolve().parents:
        for file in sorted(above.glob("*.toml")):
            if file.read_bytes() == text:
                return str(file)
    raise ConfigError(
        f"The audit file that {place} was run from is not above it any more.",
        hint="Name the file itself: evenhand inspect audit.toml",
    )


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _text(parts: tuple[str, ...]) -> Text:
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])

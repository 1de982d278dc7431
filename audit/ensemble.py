"""Several classifiers as one: the mean of their probabilities."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audit.checkpoint import Identity, ModelSpec, digest_of, identify_folder, read_json
from audit.classifier import Classifier, WhiteBox
from audit.errors import ModelError, Unsupported
from audit.files import write_text
from audit.types import Floats, Head, Text

LISTED = "ensemble.json"
"""File that makes a folder an ensemble: its ``members`` are folders beside it."""
# Files of a tokenizer that decide how a text is read; configurations differ in paths and dates.
_READS = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model")


def write(folder: Path, members: Sequence[str]) -> None:
    """Make `folder` an ensemble of the folders `members` in it."""
    text = json.dumps({"schema": 1, "members": list(members)}, indent=1)
    write_text(folder / LISTED, text + "\n")


def identify(folder: Path, spec: ModelSpec) -> Identity:
    """Tell what an ensemble is from the files of its members.

    Raises:
        ModelError: If a member is missing or is no classifier, or the members do not share labels,
            tokenizer and length: a text must be the same tokens to all of them.
    """
    members = [identify_folder(place, spec) for place in folders(folder)]
    first = members[0]
    for place, member in zip(folders(folder), members, strict=True):
        for what, mine, theirs in (
            ("labels", first.labels, member.labels),
            ("head", first.head, member.head),
            ("maximum length", first.max_length, member.max_length),
            ("tokenizer", _reads(first), _reads(member)),
        ):
            if mine != theirs:
                raise ModelError(
                    f"The members of the ensemble {folder} differ in {what}: {place.name} "
                    "has another than the first.",
                    hint="Members must be fine-tunings of one encoder for the same labels.",
                )
    return replace(
        first,
        kind="ensemble",
        folder=folder,
        base=None,
        fingerprint=digest_of({"mean of": [m.fingerprint for m in members]}),
        digests={
            f"{place.name}/{name}": digest
            for place, member in zip(folders(folder), members, strict=True)
            for name, digest in member.digests.items()
        },
    )


def folders(folder: Path) -> tuple[Path, ...]:
    """Return the folders of the members of an ensemble, two or more.

    Raises:
        ModelError: If the list is damaged or points outside `folder`.
    """
    names = read_json(folder / LISTED).get("members")
    if not isinstance(names, list) or len(names) < 2 or len(set(map(str, names))) < len(names):
        raise ModelError(f"{folder / LISTED} must list two or more different members.")
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ModelError(f"{folder / LISTED} points outside its folder: {name!r}.")
    return tuple(folder / name for name in names)


def load(
    identity: Identity, spec: ModelSpec, load_one: Callable[[Identity], Classifier]
) -> "Ensemble":
    """Load every member of an identified ensemble."""
    assert identity.folder is not None
    members = [load_one(identify_folder(place, spec)) for place in folders(identity.folder)]
    return Ensemble(identity, members)


class Ensemble:
    """Classifiers with one tokenizer; a score is the mean of theirs, member by member in order.

    Source:
        Lakshminarayanan, Pritzel & Blundell (2017), 'Simple and scalable predictive uncertainty
        estimation using deep ensembles', arXiv:1612.01474.
    """

    def __init__(self, identity: Identity, members: Sequence[Any]) -> None:
        self.labels = identity.labels
        self.head: Head = identity.head
        self.fingerprint = identity.fingerprint
        self.max_length = identity.max_length
        self.members = tuple(members)
        self.batch_tokens: int = members[0].batch_tokens
        self.device = members[0].device
        self.dtype: str = members[0].dtype

    def probabilities(self, texts: Sequence[Text]) -> Floats:
        return self.forward(self.encode(texts)[0])

    def encode(self, texts: Sequence[Text]) -> tuple[list[Any], list[bool]]:
        found: tuple[list[Any], list[bool]] = self.members[0].encode(texts)
        return found

    def digest(self, ids: Any) -> bytes:
        return bytes(self.members[0].digest(ids))

    def forward(self, batch: Sequence[Any]) -> Floats:
        return np.asarray(np.mean([member.forward(batch) for member in self.members], axis=0))

    def white_box(self) -> WhiteBox:
        raise Unsupported(
            "An ensemble is several models: it has no one inside to look at.",
            hint="Audit one of its members for what needs gradients.",
        )


def _reads(identity: Identity) -> dict[str, str]:
    """Return the digests of the tokenizer; an adapter's own stands before its base's."""
    found: dict[str, str] = {}
    for name, digest in sorted(identity.digests.items(), reverse=True):
        file = name.rpartition("/")[2]
        if file in _READS:
            found[file] = digest
    return found

"""Deployment parity: does a compressed or exported copy of a model treat groups as the model does?

Both are audited with one audit file and compared on the same texts. For every group: how often it is
decided rightly and favourably, and how far it stands from the rest in both; each change is held to a
margin. *kept*: a loss (or, for selection, a move either way) of the margin or more is ruled out;
*broken*: it is shown; *undecided*: neither.

Source: Hooker et al. (2020), 'Characterising bias in compressed models', arXiv:2010.03058: the cost
of compression falls on few texts, and not on all groups alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audit import model, pairing, runner, stats, store
from audit.borders import write_json
from audit.compare import compare_folders
from audit.config import AuditConfig, ModelConfig
from audit.errors import ConfigError
from audit.files import write_text
from audit.metrics import Rate
from audit.pairing import REST, Texts
from audit.progress import Progress
from audit.types import Absent, Change, Comparison, Estimate, measurement_id
from audit.weighing import weighed

RECORD = "parity.json"
_RATES: tuple[tuple[Rate, str], ...] = (("accuracy", "higher"), ("selection_rate", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What became of every group in a copy of a model."""

    model: str
    copy: str
    folders: tuple[Path, Path]
    texts: int
    agreed: int
    """Texts on which both decide alike, favourable or not."""
    margin: float
    rows: tuple[Change, ...]
    """Accuracy, selection and their gaps: of all texts, then group by group."""
    comparison: Comparison
    """Of everything both audits measured."""
    words: tuple[str, ...]


def parity(
    config: AuditConfig,
    out: Path,
    *,
    base: Path,
    copy: str = "int8",
    margin: float = 0.02,
    audit_file: str = "",
    progress: Progress | None = None,
) -> Parity:
    """Audit a model into `out` and a copy of it into a folder beside, and compare group by group.

    Both audits resume, and what is finished is not done again.

    Args:
        config: The audit file, read.
        out: Folder of the model's own audit.
        base: Folder that relative paths start from.
        copy: ``int8``, ``pruned:0.3``, both joined by ``+``, ``onnx`` (exported into ``model`` in
            the copy's folder), or the path of another model: the distilled, exported or quantised
            one (a folder, or a callable as ``file.py:name``).
        margin: Move of a rate or a gap that still counts as none, in (0, 1).
        audit_file: The file's text as run.
        progress: Who is told how far it is.

    Raises:
        ConfigError: If the copy cannot be understood.
        AuditError: As `runner.run`.
    """
    if not 0 < margin < 1:
        raise ConfigError(f"The margin must lie between 0 and 1, got {margin:g}.")
    folder = out.with_name(f"{out.name}-{re.sub(r'[^A-Za-z0-9.]+', '-', copy).strip('-')[-40:]}")
    if copy == "onnx":
        place = model.export(config.model, folder / "model", base).absolute()
        spec = replace(config.model, path=str(place), revision=None)
    else:
        spec = copied(config.model, copy)
    own = replace(config, model=spec)
    one = runner.run(config, out, base=base, audit_file=audit_file, progress=progress)
    other = runner.run(own, folder, base=base, progress=progress)
    texts = pairing.match(
        (store.read_table(out, store.UNITS), store.read_table(folder, store.UNITS)),
        one.plan.decision,
    )
    rows = tuple(of_groups(texts, margin=margin, level=one.plan.level))
    moved = int(np.abs(texts.change("selection_rate")).sum())
    found = Parity(
        model=one.provenance.model_name,
        copy=other.provenance.model_name,
        folders=(out, folder),
        texts=len(texts),
        agreed=len(texts) - moved,
        margin=margin,
        rows=rows,
        comparison=compare_folders(out, folder, margin=margin),
        words=(),
    )
    found = replace(found, words=_words(found))
    plain = replace(found.comparison, changes=rows, words=found.words, advice=())
    write_text(folder / RECORD, write_json(plain) + "\n")
    return found


def copied(spec: ModelConfig, copy: str) -> ModelConfig:
    """Return the settings of the copy called `copy`; see `parity`."""
    made = spec
    for part in copy.split("+"):
        pruned = re.fullmatch(r"pruned:(0?\.\d+)", part)
        if part == "int8":
            made = replace(made, quantise="int8")
        elif pruned:
            made = replace(made, prune=float(pruned[1]))
        elif part == copy and ("/" in copy or ":" in copy or Path(copy).exists()):
            # As the user sees it: the audit file may lie in another folder.
            path = str(Path(copy).resolve()) if Path(copy).exists() else copy
            made = replace(made, path=path, revision=None)
        else:
            raise ConfigError(
                f"There is no copy called {part!r}.",
                hint="int8, pruned:0.3, int8+pruned:0.3, onnx, or the path of another model.",
            )
    return made


def of_groups(texts: Texts, *, margin: float, level: float) -> list[Change]:
    """Return what became of accuracy, selection and their gaps, judged, group by group."""
    every = np.ones(len(texts), bool)
    changes = [c for rate, way in _RATES if (c := _rate(texts, rate, way, {}, every, level))]
    for attribute, group in texts.groups.items():
        for value in sorted(set(map(str, group)) - {""}):
            mine, rest = group == value, (group != "") & (group != value)
            where = {attribute: value}
            for rate, way in _RATES:
                changes += [
                    c
                    for c in (
                        _rate(texts, rate, way, where, mine, level),
                        _gap(texts, rate, where, mine, rest, level),
                    )
                    if c
                ]
    return weighed(
        changes,
        round(1 - level, 12),
        margin=margin,
        margins={"selection_rate": margin, "*_gap": margin},
    )


def _rate(
    texts: Texts, rate: Rate, way: str, where: dict[str, str], mine: np.ndarray, level: float
) -> Change | None:
    some = mine & texts.over(rate)
    if not some.any():
        return None
    before, after = (
        stats.share(int(o.hits(rate)[some].sum()), int(some.sum()), level=level)
        for o in (texts.before, texts.after)
    )
    return Change(
        measurement=measurement_id("", rate, where).removeprefix("."),
        before=before,
        after=after,
        difference=pairing.rate_change(texts, rate, mine, level=level),
        better="higher" if way == "higher" else "",
    )


def _gap(
    texts: Texts,
    rate: Rate,
    where: dict[str, str],
    mine: np.ndarray,
    rest: np.ndarray,
    level: float,
) -> Change | None:
    sides = [side & texts.over(rate) for side in (mine, rest)]
    if not all(side.any() for side in sides):
        return None
    ends: list[Estimate | Absent] = []
    for o in (texts.before, texts.after):
        a, b = (o.hits(rate)[side] for side in sides)
        ends.append(stats.difference(int(a.sum()), len(a), int(b.sum()), len(b), level=level))
    return Change(
        measurement=measurement_id("", f"{rate}_gap", {**where, "against": REST}).removeprefix("."),
        before=ends[0],
        after=ends[1],
        difference=pairing.gap_change(texts, rate, mine, rest, level=level),
        better="nearer_zero",
    )


def _words(found: Parity) -> tuple[str, ...]:
    said = [
        f"{found.model} and {found.copy} decide alike on {found.agreed:,} of {found.texts:,} texts."
    ]
    gaps = [c for c in found.rows if "_gap[" in c.measurement and c.kept]
    levels = [c for c in found.rows if "_gap[" not in c.measurement and c.kept]
    said.append(
        f"Does the copy move groups apart? Of {len(gaps)} gaps {_counted(gaps)} at a margin of "
        f"{found.margin:g}."
    )
    said.append(f"Of {len(levels)} rates {_counted(levels)}.")
    tested = sum(c.p is not None for c in found.rows)
    worse = [c.measurement for c in found.rows if c.verdict == "worse"]
    said.append(
        f"Shown to be worse, after Holm's correction over {tested} questions: "
        f"{', '.join(worse) if worse else 'none'}."
    )
    return tuple(said)


def _counted(rows: Sequence[Change]) -> str:
    counts = {word: sum(c.kept == word for c in rows) for word in ("kept", "broken", "undecided")}
    return f"{counts['kept']} are kept, {counts['broken']} broken, {counts['undecided']} undecided"

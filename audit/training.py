"""Fine-tuning an encoder into a classifier, with a record of everything needed to repeat it."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from audit import fit as fitting
from audit import provenance
from audit.checkpoint import digest_of, file_digest, read_json
from audit.errors import AuditError, DataError, ModelError
from audit.files import cannot_write, locked, write_text
from audit.fit import Epoch, Progress
from audit.fscore import metrics
from audit.objective import Objective
from audit.seeding import stream
from audit.settings import TrainConfig
from audit.types import Corpus, Example, Head, Skip

RECORD = "training.json"
_GAP_SAMPLE = 200
"""Training texts scored again at the end, for the gap between training and dev."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fine-tuned classifier on disk, and how it came about."""

    folder: Path
    digest: str
    """Of settings, texts, encoder and versions: the same digest on one machine, the same model."""
    labels: tuple[str, ...]
    head: Head
    texts: int
    curve: tuple[Epoch, ...]
    best_epoch: int
    dev: Mapping[str, float]
    """``macro_f1``, ``accuracy``, and ``f1``, ``precision``, ``recall`` of each label as
    ``f1:<label>`` …, of the best epoch on the dev texts at full precision."""
    train_macro_f1: float
    """Of the same model on a sample of its training texts: the gap to `dev` is what it learnt by
    heart."""
    notes: tuple[str, ...]
    """What a reader of the numbers should know, in sentences."""
    seconds: float
    resumed: bool = False
    """An interrupted training went on, or a finished one was found."""


def silent(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def train(
    settings: TrainConfig,
    train_corpus: Corpus,
    dev_corpus: Corpus | None,
    out: Path,
    *,
    encoder: Path,
    objective: Objective | None = None,
    on_progress: Progress = silent,
    overwrite: bool = False,
) -> Trained:
    """Fine-tune `encoder` on `train_corpus` and write the best epoch's model to `out`.

    Work stands in ``out.partial`` beside it and is moved into place in one step at the end, so that
    `out` never holds half a model. After an interruption the same call goes on from the last
    epoch; when `out` holds the result of the same call, that is returned.

    Args:
        settings: How to train. `seeds` is for the caller: one call is one training.
        train_corpus: Texts with labels; those without are left out and counted. Its labels, in
            their order, become the model's.
        dev_corpus: Texts that choose the best epoch; None: `dev_share` of the training texts.
        out: Folder of the classifier.
        encoder: Folder of the pretrained encoder.
        objective: What is minimised besides the mean loss of the texts; None: nothing.
        on_progress: Called with steps done, steps in all, and a few words.
        overwrite: Replace the result of another training in `out`, at the end; nothing else.

    Raises:
        DataError: If there are too few texts, a label has none, or dev has labels of its own.
        ModelError: If the encoder cannot be loaded, or training diverges.
        AuditError: If `out` holds something else, or the disk is full.
    """
    clock = perf_counter()
    head, labels = _head(train_corpus), train_corpus.labels
    texts, train_skips = _labelled(train_corpus)
    if dev_corpus is None:
        texts, held = held_out(texts, settings.dev_share, settings.seed)
        dev_skips: tuple[Skip, ...] = ()
    else:
        held, dev_skips = _labelled(dev_corpus)
    _check(texts, held, labels)
    objective = objective or Objective()
    what = _what(settings, texts, held, labels, head, encoder, objective)
    digest = digest_of(what)
    found = _finished(out, digest, overwrite)
    if found is not None:
        return found
    partial = out.with_name(f"{out.name}.partial")
    try:
        with locked(partial):
            _make_ready(partial, digest)
            sample = _sample(texts, settings.seed)
            fitted = fitting.fit(
                settings,
                encoder,
                labels,
                head,
                texts,
                held,
                sample,
                partial,
                objective=objective,
                on_progress=on_progress,
            )
            dev = metrics(fitted.dev_scores, held, labels, head)
            train_f1 = metrics(fitted.train_scores, sample, labels, head)["macro_f1"]
            trained = Trained(
                folder=out,
                digest=digest,
                labels=labels,
                head=head,
                texts=len(texts),
                curve=fitted.curve,
                best_epoch=fitted.best_epoch,
                dev=dev,
                train_macro_f1=train_f1,
                notes=_notes(fitted, len(texts), dev["macro_f1"], train_f1, settings),
                seconds=round(perf_counter() - clock, 1),
                resumed=fitted.resumed,
            )
            skips = {"train": train_skips, "dev": dev_skips}
            _write_record(partial / "final", trained, what, fitted, skips)
            if overwrite and (out / RECORD).exists():
                shutil.rmtree(out)
            os.replace(partial / "final", out)
    except OSError as problem:
        raise cannot_write(out, problem) from problem
    shutil.rmtree(partial, ignore_errors=True)
    return trained


def read(folder: Path) -> Trained:
    """Read back what `train` recorded.

    Raises:
        ModelError: If `folder` holds no training record.
    """
    if not (folder / RECORD).exists():
        raise ModelError(f"{folder} has no {RECORD}: it was not made by `evenhand train`.")
    record = read_json(folder / RECORD)
    try:
        result = record["result"]
        return Trained(
            folder=folder,
            digest=str(record["digest"]),
            labels=tuple(record["what"]["labels"]),
            head="multi" if record["what"]["head"] == "multi" else "single",
            texts=int(record["what"]["train"]["texts"]),
            curve=tuple(Epoch(**epoch) for epoch in result["curve"]),
            best_epoch=int(result["best_epoch"]),
            dev={str(k): float(v) for k, v in result["dev"].items()},
            train_macro_f1=float(result["train_macro_f1"]),
            notes=tuple(result["notes"]),
            seconds=float(record["telemetry"]["seconds"]),
            resumed=True,
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise ModelError(f"{folder / RECORD} is damaged: {problem}.") from problem


def held_out(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Split off about `share` of `examples`, of each label alike: training texts, dev texts.

    A cluster stays on one side, and so do copies of one text. Each unit draws under its own name:
    another text in the file moves no unit's draw.
    """
    units: dict[str, list[Example]] = {}
    for example in examples:
        name = f"cluster\0{example.cluster}"
        if example.cluster is None:
            plain = " ".join(f"{example.text} {example.second or ''}".lower().split())
            name = f"text\0{plain}"
        units.setdefault(name, []).append(example)
    by_label: dict[str, list[str]] = {}
    for name, members in units.items():
        by_label.setdefault(str(members[0].label), []).append(name)
    chosen: set[str] = set()
    for names in by_label.values():
        drawn = sorted(names, key=lambda name: stream(seed, "dev", name).random())
        wanted = round(share * sum(len(units[name]) for name in names))
        taken = 0
        for name in drawn:
            # One unit of each label stays, whatever the share.
            if taken >= max(wanted, 1) or name == drawn[-1]:
                break
            chosen.add(name)
            taken += len(units[name])
    held = {example.id for name in chosen for example in units[name]}
    return (
        tuple(e for e in examples if e.id not in held),
        tuple(e for e in examples if e.id in held),
    )


def texts_digest(examples: Sequence[Example]) -> str:
    """Return the SHA-256 of texts, labels and order: what training reads, no more."""
    state = hashlib.sha256()
    for e in examples:
        state.update(json.dumps([e.text, e.second, e.label]).encode() + b"\n")
    return state.hexdigest()


def _head(corpus: Corpus) -> Head:
    return "multi" if any(isinstance(e.label, tuple) for e in corpus.examples) else "single"


def _labelled(corpus: Corpus) -> tuple[tuple[Example, ...], tuple[Skip, ...]]:
    kept = tuple(e for e in corpus.examples if e.label is not None)
    lost = len(corpus.examples) - len(kept)
    return kept, (*corpus.skips, *([Skip(reason="no label", count=lost)] if lost else []))


def _names(example: Example) -> tuple[str, ...]:
    return example.label if isinstance(example.label, tuple) else (str(example.label),)


def _check(texts: Sequence[Example], held: Sequence[Example], labels: tuple[str, ...]) -> None:
    if len(labels) < 2:
        raise DataError(
            f"There is one label in the training texts, {', '.join(labels) or 'none'}.",
            hint="A classifier needs two; check `label` under [corpora.train].",
        )
    seen = Counter(name for e in texts for name in _names(e))
    for name in labels:
        if not seen[name]:
            raise DataError(
                f"No training text has the label {name!r}.",
                hint="Give at least one text of each label, besides those held out for dev.",
            )
    strange = sorted({name for e in (*texts, *held) for name in _names(e)} - set(labels))
    if strange:
        raise DataError(
            f"The dev texts have the label {strange[0]!r}, which no training text has.",
            hint=f"The training labels are {', '.join(labels)}.",
        )
    if not held:
        raise DataError(
            "There are no dev texts to choose the best epoch by.",
            hint="Add a [corpora.dev], or raise dev_share under [train].",
        )


def _what(
    settings: TrainConfig,
    texts: Sequence[Example],
    held: Sequence[Example],
    labels: tuple[str, ...],
    head: Head,
    encoder: Path,
    objective: Objective,
) -> dict[str, Any]:
    """Return all that decides which model comes out."""
    own = asdict(replace(settings, encoder=encoder.name, seeds=1, report_to=()))
    own["precision"] = fitting.precision(settings)
    own.pop("seeds")
    own.pop("report_to")
    if not own["keep_epochs"]:
        # What is kept beside it moves no model.
        own.pop("keep_epochs")
    return {
        "schema": 2,
        "settings": json.loads(json.dumps(own)),
        "labels": list(labels),
        "head": head,
        "encoder": {
            path.name: file_digest(path)
            for path in sorted(encoder.glob("*"))
            if path.is_file() and path.suffix in (".json", ".safetensors", ".txt", ".model")
        },
        **{
            name: {
                "texts": len(some),
                "sha256": texts_digest(some),
                "labels": dict(sorted(Counter(n for e in some for n in _names(e)).items())),
            }
            for name, some in (("train", texts), ("dev", held))
        },
        "objective": objective.plain(),
        "packages": {
            name: version(name)
            for name in ("torch", "transformers", *(["peft"] if settings.method != "full" else []))
        },
    }


def _finished(out: Path, digest: str, overwrite: bool) -> Trained | None:
    if not out.exists():
        return None
    if (out / RECORD).exists():
        if read_json(out / RECORD).get("digest") == digest:
            shutil.rmtree(out.with_name(f"{out.name}.partial"), ignore_errors=True)
            return read(out)
        if overwrite:
            return None
    if out.is_dir() and not any(out.iterdir()):
        return None
    raise AuditError(
        f"{out} exists and does not hold the result of this training.",
        hint="Other settings, texts or package versions: name another folder, or remove this one.",
    )


def _make_ready(partial: Path, digest: str) -> None:
    """Keep what is in `partial` when it belongs to this training, else remove it."""
    mark = partial / "digest"
    if mark.exists() and mark.read_text("utf-8") == digest:
        return
    for path in partial.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != ".lock":
            path.unlink()
    write_text(mark, digest)


def _sample(texts: Sequence[Example], seed: int) -> tuple[Example, ...]:
    rng = stream(seed, "training", "gap")
    picked = rng.choice(len(texts), min(_GAP_SAMPLE, len(texts)), replace=False)
    return tuple(texts[int(i)] for i in sorted(picked))


def _notes(
    fitted: fitting.Fitted, n: int, dev_f1: float, train_f1: float, settings: TrainConfig
) -> tuple[str, ...]:
    notes = []
    best = min(fitted.curve, key=lambda e: e.dev_loss)
    last = fitted.curve[-1]
    if last.dev_loss > fitting.RISEN * best.dev_loss and last.train_loss < best.train_loss:
        notes.append(
            f"The dev loss rose from {best.dev_loss:.3f} (epoch {best.epoch}) to "
            f"{last.dev_loss:.3f} (epoch {last.epoch}) while the training loss fell: the later "
            f"epochs learnt the training texts by heart. Epoch {fitted.best_epoch} was kept."
        )
    if train_f1 - dev_f1 > 0.1:
        notes.append(
            f"Macro-F1 is {train_f1:.3f} on training texts and {dev_f1:.3f} on dev texts, a gap "
            f"of {train_f1 - dev_f1:.3f}."
        )
    if len(fitted.curve) < settings.epochs:
        notes.append(
            f"Training stopped after {len(fitted.curve)} of {settings.epochs} epochs: the dev "
            f"macro-F1 had not risen for {settings.patience}."
        )
    notes += [
        f"Before epoch {r.epoch}, {r.attacked} training texts were attacked with the model as it "
        f"was: {r.turned} were turned, {r.admitted} of these trained on."
        for r in fitted.attacks
    ]
    if fitted.truncated:
        notes.append(
            f"{fitted.truncated} of {n} training texts were longer than {settings.max_length} "
            "tokens and were cut."
        )
    return tuple(notes)


def _write_record(
    final: Path,
    trained: Trained,
    what: Mapping[str, Any],
    fitted: fitting.Fitted,
    skips: Mapping[str, Sequence[Skip]],
) -> None:
    record = {
        "schema": 1,
        "digest": trained.digest,
        "what": what,
        "left_out": {name: [asdict(s) for s in some] for name, some in skips.items()},
        "result": {
            "curve": [asdict(epoch) for epoch in trained.curve],
            "best_epoch": trained.best_epoch,
            "steps": fitted.steps,
            "dev": trained.dev,
            "train_macro_f1": trained.train_macro_f1,
            "train_dev_gap": trained.train_macro_f1 - trained.dev["macro_f1"],
            "truncated": fitted.truncated,
            "attacks": [asdict(one) for one in fitted.attacks],
            "notes": list(trained.notes),
            "files": {
                p.relative_to(final).as_posix(): file_digest(p)
                for p in sorted(final.rglob("*"))
                if p.is_file()
            },
        },
        "provenance": {
            "packages": provenance.packages(),
            "code": provenance.code(),
            **provenance.machine(fitted.device, fitted.precision, fitted.threads),
        },
        "telemetry": {"seconds": trained.seconds, "resumed": trained.resumed},
    }
    text = json.dumps(record, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(final / RECORD, text + "\n")

"""Repairing what failed: augment, train again, audit again on the same texts, compare."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from audit import augment, compare, runner, training
from audit.borders import write_json
from audit.config import AuditConfig
from audit.corpus import load
from audit.errors import ConfigError
from audit.files import locked, write_text
from audit.setup import encoder_folder
from audit.types import AuditResult, Corpus


class Display(runner.Progress, Protocol):
    """Progress that can also say a line and follow a training."""

    def say(self, line: str) -> None: ...
    def training(self, done: int, total: int, note: str) -> None: ...


def retrain(
    config: AuditConfig, out: Path, *, base: Path, display: Display, audit_file: str = ""
) -> AuditResult:
    """Do the stages ``before``, ``data``, ``train-SEED``, ``after-SEED`` in the folder `out`.

    Each stage resumes and is not done again when nothing it rests on has changed. The audit after
    attacks anew: texts that broke the first model are never used against the second.

    Args:
        config: An audit file with ``[corpora.train]`` and at least one ``[[recipe]]``.
        out: Folder of the stages.
        base: Folder that relative paths start from.
        display: Who is told how far it is.
        audit_file: The file's text as run.

    Returns:
        The audit before, with the comparison of the first seed.

    Raises:
        ConfigError: If the audit file names no training texts or no recipe.
        AuditError: As `runner.run` and `training.train`.
    """
    if "train" not in config.corpora:
        raise ConfigError(
            "A retrain needs the training texts.", hint="Name them under [corpora.train]."
        )
    if not config.recipe:
        raise ConfigError(
            "A retrain needs at least one recipe.",
            hint=f'Add [[recipe]] name = "{augment.RECIPES[0]}".',
        )
    with locked(out):
        display.say("Auditing the model as it is …")
        before = runner.run(
            config, out / "before", base=base, audit_file=audit_file, progress=display
        )
        labels = before.provenance.labels
        corpora = {
            name: load(spec, base, name=name, model_labels=labels, head=before.provenance.head)
            for name, spec in config.corpora.items()
        }
        wanted = augment.shares(before, config.recipe)
        made = augment.augment(
            corpora["train"], corpora["test"], config.recipe, wanted, seed=config.audit.seed
        )
        _record(out / "data" / "augmentation.json", made)
        said = ", ".join(f"{name} {n:,}" for name, n in made.copies.items())
        display.say(f"Copies added to {len(corpora['train'].examples):,} training texts: {said}.")
        comparisons = []
        first = config.train.seed
        for seed in range(first, first + config.train.seeds):
            after = _again(config, out, base, seed, made.corpus, corpora.get("dev"), display)
            comparisons.append(compare.compare_folders(out / "before", out / f"after-{seed}"))
            write_text(out / f"comparison-{seed}.json", write_json(comparisons[-1]) + "\n")
            del after
        result = replace(before, comparison=comparisons[0])
        write_text(out / "result.json", write_json(result) + "\n")
        return result


def _again(
    config: AuditConfig,
    out: Path,
    base: Path,
    seed: int,
    train: Corpus,
    dev: Corpus | None,
    display: Display,
) -> AuditResult:
    folder = out / f"train-{seed}"
    display.say(f"Training on {len(train.examples):,} texts, seed {seed} …")
    training.train(
        replace(config.train, seed=seed),
        train,
        dev,
        folder,
        encoder=encoder_folder(config.train.encoder, base),
        on_progress=display.training,
    )
    display.say("Auditing the retrained model on the same texts …")
    again = replace(config, model=replace(config.model, path=str(folder.resolve()), labels={}))
    return runner.run(again, out / f"after-{seed}", base=base, progress=display)


def _record(path: Path, made: augment.Augmented) -> None:
    plain = {
        "texts": len(made.corpus.examples),
        "copies": dict(made.copies),
        "shares": dict(made.shares),
        "left_out": {s.reason: s.count for s in made.skips},
    }
    write_text(path, json.dumps(plain, indent=1, sort_keys=True, allow_nan=False) + "\n")

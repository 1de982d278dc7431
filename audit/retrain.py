"""Repairing what failed: augment, train again, audit again on the same texts, compare."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from audit import (
    augment,
    compare,
    crafted,
    groupthresholds,
    mitigation,
    model,
    runner,
    thresholds,
    training,
)
from audit.borders import write_json
from audit.cache import DiskCache
from audit.classifier import Lazy
from audit.config import AuditConfig
from audit.copiers import CARDS, string
from audit.corpus import load
from audit.errors import ConfigError
from audit.files import locked, write_text
from audit.objective import Objective
from audit.progress import Progress
from audit.resources import Resources
from audit.scorer import Scorer
from audit.settings import RecipeConfig
from audit.setup import encoder_folder
from audit.similarity import SentenceVectors
from audit.types import AuditResult, Corpus, Decision, Example


class Display(Progress, Protocol):
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
            hint=f'Add [[recipe]] name = "{next(iter(CARDS))}".',
        )
    _refuse_twice(config.recipe)
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
        # Before anything is held out: a copy of a test text must not choose the best epoch either.
        train, leaks = augment.without_copies(corpora["train"], corpora["test"], "training text")
        if "dev" in corpora:
            dev, more = augment.without_copies(corpora["dev"], corpora["test"], "dev text")
            leaks += more
        else:
            # Held out before anything is added: no copy of a dev text is trained on.
            texts, held = training.held_out(
                [e for e in train.examples if e.label is not None],
                config.train.dev_share,
                config.train.seed,
            )
            train, dev = replace(train, examples=texts), replace(train, name="dev", examples=held)
        wanted = augment.shares(before, config.recipe)
        vectors = _vectors(config)
        made = augment.augment(
            train,
            corpora["test"],
            config.recipe,
            wanted,
            seed=config.audit.seed,
            crafted=_crafted(config, out, base, before.plan.decision, train, wanted, display),
            vectors=vectors,
        )
        objective, kept_out = mitigation.objective_of(
            config.recipe,
            made.corpus,
            corpora["test"],
            before.plan.decision,
            seed=config.audit.seed,
        )
        attacking = mitigation.attacking_of(
            config.recipe,
            train,
            corpora["test"],
            wanted,
            before.plan.decision,
            vectors,
            seed=config.audit.seed,
        )
        objective = replace(objective, attacking=attacking)
        made = replace(made, stopped=(*leaks, *made.stopped, *kept_out))
        _record(out / "data", made, objective, mitigation.statements(config.recipe))
        said = ", ".join(f"{kind} {n:,}" for kind, n in made.copies.items())
        display.say(f"Copies added to {len(train.examples):,} training texts: {said}.")
        for sentence in mitigation.statements(config.recipe):
            display.say(sentence)
        if made.stopped:
            display.say(
                f"{len(made.stopped):,} texts were kept out because they equal or nearly equal a "
                "test text; data/augmentation.json lists them."
            )
        if objective == Objective() and not any(made.copies.values()):
            display.say(
                "Nothing that a recipe answers failed or was undecided: the texts are as they "
                "were, so the comparison shows what training again does by itself."
            )
        comparisons, reckoned = [], []
        first = config.train.seed
        for seed in range(first, first + config.train.seeds):
            rule = before.plan.decision
            _again(config, out, base, seed, made.corpus, dev, objective, rule, display)
            reckoned += _by_group(config, out, base, seed, dev, corpora["test"], rule, display)
            comparisons.append(compare.compare_folders(out / "before", out / f"after-{seed}"))
            write_text(out / f"comparison-{seed}.json", write_json(comparisons[-1]) + "\n")
        words = (
            *comparisons[0].words,
            *compare.over_seeds(comparisons),
            *reckoned,
            *mitigation.statements(config.recipe),
        )
        comparison = replace(
            comparisons[0],
            words=words,
            advice=compare.advice(comparisons[0], len(comparisons)),
            spread=compare.spreads(comparisons),
        )
        write_text(out / "comparison.json", write_json(comparison) + "\n")
        result = replace(before, comparison=comparison)
        write_text(out / "result.json", write_json(result) + "\n")
        return result


def _refuse_twice(recipes: Sequence[RecipeConfig]) -> None:
    """Raise ConfigError where two recipes make one kind of copy, or are one objective."""
    named = Counter(kind for r in recipes for kind in augment.kinds([r]) or (r.name,))
    (kind, times), *_ = named.most_common(1)
    if times > 1:
        raise ConfigError(
            f"{kind} is asked for by {times} recipes.",
            hint="Ask for each kind once; other settings of it take a retrain of their own.",
        )


def _again(
    config: AuditConfig,
    out: Path,
    base: Path,
    seed: int,
    train: Corpus,
    dev: Corpus,
    objective: Objective,
    rule: Decision,
    display: Display,
) -> None:
    folder = out / f"train-{seed}"
    display.say(f"Training on {len(train.examples):,} texts, seed {seed} …")
    training.train(
        replace(config.train, seed=seed),
        train,
        dev,
        folder,
        encoder=encoder_folder(config.train.encoder, base),
        objective=objective,
        on_progress=display.training,
        # A stage of ours, of other texts or settings, is out of date.
        overwrite=True,
    )
    again = replace(config, model=replace(config.model, path=str(folder.resolve()), labels={}))
    again = _moved(again, out / f"threshold-{seed}.json", base, dev, rule, display)
    display.say("Auditing the retrained model on the same texts …")
    runner.run(again, out / f"after-{seed}", base=base, progress=display)


def _moved(
    config: AuditConfig, place: Path, base: Path, dev: Corpus, rule: Decision, display: Display
) -> AuditConfig:
    """Return `config` with the threshold that a recipe chose, if one did."""
    if not any(r.name == "threshold" for r in config.recipe):
        return config
    identity = model.identify(config.model, base)
    scorer = Scorer(Lazy(identity, lambda: model.load(config.model, identity, base)))
    # The retrained model may have its labels in another order.
    own = replace(rule, labels=identity.labels)
    chosen = mitigation.threshold_of(config.recipe, own, dev, scorer)
    assert chosen is not None
    display.say(thresholds.said(chosen))
    text = json.dumps(asdict(chosen), indent=1, sort_keys=True, allow_nan=False)
    write_text(place, text + "\n")
    if chosen.threshold is None:
        return config
    return replace(config, decision=replace(config.decision, threshold=chosen.threshold))


def _by_group(
    config: AuditConfig,
    out: Path,
    base: Path,
    seed: int,
    dev: Corpus,
    test: Corpus,
    rule: Decision,
    display: Display,
) -> list[str]:
    """Reckon what thresholds by group would bring, where a recipe asks for it, and say it."""
    found = []
    for one in config.recipe:
        if one.name != "group_thresholds":
            continue
        spec = replace(config.model, path=str((out / f"train-{seed}").resolve()), labels={})
        identity = model.identify(spec, base)
        scorer = Scorer(Lazy(identity, partial(model.load, spec, identity, base)))
        told = groupthresholds.reckon(
            replace(rule, labels=identity.labels),
            (scorer([e.input for e in dev.examples]), dev.examples),
            (scorer([e.input for e in test.examples]), test.examples),
            string(one, "group"),
            rate=mitigation.rate_of(one),
            seed=config.audit.seed,
            level=config.audit.level,
        )
        write_text(out / f"group-thresholds-{seed}.json", write_json(told) + "\n")
        found.append(f"Seed {seed}: {groupthresholds.said(told)}")
        display.say(found[-1])
    return found


def _crafted(
    config: AuditConfig,
    out: Path,
    base: Path,
    rule: Decision,
    train: Corpus,
    wanted: Mapping[str, float],
    display: Display,
) -> Mapping[str, Sequence[Example]]:
    if not any(r.name in ("adversarial", "templates", *crafted.WRITTEN) for r in config.recipe):
        return {}
    if any(r.name == "adversarial" for r in config.recipe):
        display.say("Attacking training texts with the model as it is …")
    identity = model.identify(config.model, base)
    # On disk, so that an attack that was cut off is not paid for again.
    cache = DiskCache(out / "data" / "cache" / "scores.db")
    try:
        scorer = Scorer(
            Lazy(identity, lambda: model.load(config.model, identity, base)), memory=cache
        )
        audited = [p.params for p in config.probe if p.name == "templates"]
        return crafted.crafted(
            config.recipe,
            train,
            wanted,
            rule,
            scorer,
            audited,
            seed=config.audit.seed,
            place=lambda name: encoder_folder(name, base),
        )
    finally:
        cache.close()


def _vectors(config: AuditConfig) -> augment.Vectors | None:
    if not augment.needs_vectors(config.recipe):
        return None
    return SentenceVectors(Resources().encoder())


def _record(
    folder: Path, made: augment.Augmented, objective: Objective, statements: Sequence[str]
) -> None:
    """Write the texts trained on, and what was added and kept out."""
    rows = [
        {"id": e.id, "text": e.text, "second": e.second, "label": e.label, "cluster": e.cluster}
        for e in made.corpus.examples
    ]
    texts = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_text(folder / "train.jsonl", texts)
    plain = {
        "texts": len(made.corpus.examples),
        "sha256": training.texts_digest(made.corpus.examples),
        "copies": dict(made.copies),
        "shares": dict(made.shares),
        "left_out": [asdict(skip) for skip in made.skips],
        "stopped": [{"id": id, "why": why} for id, why in made.stopped],
        "stopped_counts": dict(sorted(Counter(why for _, why in made.stopped).items())),
        "objective": objective.plain(),
        "statements": list(statements),
    }
    text = json.dumps(plain, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(folder / "augmentation.json", text + "\n")

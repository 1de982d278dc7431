"""Before an audit: a first audit file, and a first model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audit import corpus, model, several, training
from audit.borders import read_plain
from audit.checkpoint import read_json
from audit.config import HUB, CorpusConfig, ModelConfig
from audit.errors import ConfigError
from audit.fit import Progress
from audit.guess import Guess, guess_columns
from audit.resources import Resources
from audit.settings import TrainConfig
from audit.starter import template


def audit_file(model_path: str, data: str, base: Path) -> str:
    """Look at a model and a table and return a commented audit file for them.

    Args:
        model_path: Folder, hub id or ``file.py:name``, relative to `base`.
        data: A table, relative to `base`, or a hub data set.
        base: Folder that the audit file will stand in.

    Raises:
        AuditError: If either cannot be read.
    """
    identity = model.identify(ModelConfig(path=model_path), base)
    guess = (
        Guess(text="text") if data.startswith(HUB) else guess_columns(base / data, identity.labels)
    )
    return template(
        model_path,
        data,
        identity.labels,
        head=identity.head,
        text=guess.text,
        label=guess.label,
        id=guess.id,
        cluster=guess.cluster,
        groups=guess.groups,
        data_labels=guess.labels,
    )


def train_from_files(
    data: Path,
    dev: Path | None,
    out: Path,
    *,
    text: str,
    label: str,
    limit: int | None,
    settings: Mapping[str, object],
    lr_sweep: bool = False,
    on_progress: Progress,
) -> str:
    """Fine-tune an encoder on a table and return what to print.

    With several seeds `out` becomes an ensemble of them. With `lr_sweep` three learning rates are
    tried; over several seeds the first one chooses the rate.

    Raises:
        AuditError: If the table or the encoder cannot be used.
    """
    config: TrainConfig = read_plain(TrainConfig, dict(settings), error=ConfigError, at="train")
    spec = CorpusConfig(path=str(data), text=text, label=label, limit=limit)
    train = corpus.load(spec, name="train")
    held = None
    if dev is not None:
        held = corpus.load(
            CorpusConfig(path=str(dev), text=text, label=label),
            name="dev",
            model_labels=train.labels,
        )
    place = encoder_folder(config.encoder)

    def one(settings: TrainConfig, folder: Path) -> training.Trained:
        return training.train(settings, train, held, folder, encoder=place, on_progress=on_progress)

    if config.seeds == 1:
        trained = several.over_rates(config, out, one) if lr_sweep else one(config, out)
        return "\n".join(
            [
                *_told(trained),
                f"The model is in {out}; training.json beside it says how it was made.",
            ]
        )
    lines = []
    if lr_sweep:
        chosen = several.over_rates(config, out / "sweep", one)
        config = replace(config, learning_rate=_rate(chosen.folder))
        lines.append(chosen.notes[-1])
    for seed, trained in enumerate(several.over_seeds(config, out, one), config.seed):
        lines += [f"Seed {seed}:", *_told(trained)]
    return "\n".join(
        [*lines, f"{out} is the ensemble of {config.seeds} models: [model] path may name it."]
    )


def _told(trained: training.Trained) -> list[str]:
    gap = trained.train_macro_f1 - trained.dev["macro_f1"]
    return [
        f"{trained.texts:,} texts, labels {', '.join(trained.labels)}; best epoch "
        f"{trained.best_epoch} of {len(trained.curve)}, {trained.seconds:.0f} s.",
        f"Dev macro-F1 {trained.dev['macro_f1']:.3f}, accuracy {trained.dev['accuracy']:.3f}; "
        f"macro-F1 on training texts {trained.train_macro_f1:.3f} (gap {gap:+.3f}).",
        *trained.notes,
    ]


def _rate(folder: Path) -> float:
    return float(read_json(folder / several.SWEPT)["rate"])


def encoder_folder(name: str, base: Path = Path()) -> Path:
    """Return the folder of an encoder: ``packaged``, a folder, or a hub id.

    Raises:
        AuditError: If it is not there.
    """
    if name == "packaged":
        return Resources().encoder()
    folder = base / name
    if folder.is_dir():
        return folder
    from audit.checkpoint import from_hub

    return from_hub(name, None)

"""Before an audit: a first audit file, and a first model."""

from collections.abc import Mapping
from pathlib import Path

from audit import corpus, model, training
from audit.borders import read_plain
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
    on_progress: Progress,
) -> str:
    """Fine-tune an encoder on a table and return what to print.

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
    trained = training.train(
        config, train, held, out, encoder=encoder_folder(config.encoder), on_progress=on_progress
    )
    lines = [
        f"{trained.texts:,} texts, labels {', '.join(trained.labels)}; best epoch "
        f"{trained.best_epoch} of {len(trained.curve)}, {trained.seconds:.0f} s.",
        f"Dev macro-F1 {trained.dev['macro_f1']:.3f}, accuracy {trained.dev['accuracy']:.3f}; "
        f"macro-F1 on training texts {trained.train_macro_f1:.3f}.",
        *trained.notes,
        f"The model is in {out}; training.json beside it says how it was made.",
    ]
    return "\n".join(lines)


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

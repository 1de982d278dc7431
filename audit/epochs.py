"""How accuracy and a gap go with the epoch: the checkpoints of one training, each audited."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from audit import runner
from audit.config import AuditConfig
from audit.errors import ConfigError
from audit.kept import EPOCHS
from audit.progress import Progress
from audit.standing import Standing, standing


def epochs(
    config: AuditConfig,
    checkpoints: Sequence[Path],
    out: Path,
    *,
    base: Path,
    objectives: Sequence[str] = (),
    progress: Progress | None = None,
) -> Standing:
    """Audit each checkpoint of a training into a folder of its own and hold them side by side.

    Every audit resumes, and what is finished is not done again. Later epochs are compared with the
    first on the same texts, not with each other.

    Args:
        config: The audit file, read; its model is replaced by each checkpoint.
        checkpoints: Folders of models, or one folder that holds them: what `evenhand train
            --keep-epochs` left, or ``checkpoint-*`` folders of a training of your own.
        out: Folder of the audits.
        base: Folder that relative paths in `config` start from.
        objectives: Measurements to follow besides accuracy; a gap and robustness if none.
        progress: Who is told how far it is.

    Raises:
        ConfigError: If there are fewer than two.
        AuditError: As `runner.run`.
    """
    found = in_order(checkpoints)
    if len(found) < 2:
        raise ConfigError(
            "There are fewer than two checkpoints.",
            hint="`evenhand train --keep-epochs` keeps the model of every epoch.",
        )
    named = Counter(place.resolve().name for place in found)
    if len(named) < len(found):
        raise ConfigError(
            f"Two checkpoints are called {named.most_common(1)[0][0]}.",
            hint="Give each folder a name of its own: the audits are kept under these names.",
        )
    folders = []
    for place in found:
        own = replace(config, model=replace(config.model, path=str(place.resolve())))
        folders.append(out / place.resolve().name)
        runner.run(own, folders[-1], base=base, progress=progress)
    return standing(folders, objectives)


def in_order(checkpoints: Sequence[Path]) -> list[Path]:
    """Return the folders of models among `checkpoints`, by the last number in their names."""
    found: list[Path] = []
    for place in checkpoints:
        inner = place / EPOCHS if (place / EPOCHS).is_dir() else place
        if len(checkpoints) == 1 and inner.is_dir():
            found += [p for p in inner.iterdir() if (p / "config.json").exists()]
        else:
            found.append(place)

    def number(place: Path) -> tuple[int, str]:
        numbers = re.findall(r"\d+", place.name)
        return (int(numbers[-1]) if numbers else -1), place.name

    return sorted(found, key=number)

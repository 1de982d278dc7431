"""Several trainings of one classifier: over rates, to choose one; over seeds, to use them all."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from audit import ensemble
from audit.checkpoint import read_json
from audit.errors import AuditError
from audit.files import locked, write_text
from audit.settings import TrainConfig
from audit.training import Trained

SWEPT = "sweep.json"
FACTORS = (1 / 3, 1.0, 3.0)
"""What a sweep multiplies the learning rate by."""
Train = Callable[[TrainConfig, Path], Trained]
"""Train with these settings into this folder; `training.train` with its texts filled in."""


def over_rates(settings: TrainConfig, out: Path, train: Train) -> Trained:
    """Train at a third of the learning rate, at it, and at three times it; keep the best in `out`.

    The best has the highest dev macro-F1, of equal ones the lowest rate. Its dev numbers are the
    best of three, hence a little too good: `Trained.notes` says so. ``sweep.json`` in `out` keeps
    what each rate reached. Like a training, a sweep goes on after a kill and is not done twice.

    Raises:
        AuditError: As `training.train`.
    """
    place = out.with_name(f"{out.name}.sweep")
    asked = json.loads(json.dumps(asdict(settings)))
    found = read_json(out / SWEPT) if (out / SWEPT).exists() else {}
    if found.get("settings") == asked:
        shutil.rmtree(place, ignore_errors=True)
        # Looks whether the texts are those, too: the digest of the training says so.
        return _with_note(train(replace(settings, learning_rate=found["rate"]), out), found)
    if out.exists() and any(out.iterdir()):
        raise AuditError(f"{out} exists and is not empty.", hint="Name another folder.")
    with locked(place):
        tried = []
        for factor in FACTORS:
            rate = settings.learning_rate * factor
            if rate < 1:
                one = replace(settings, learning_rate=rate)
                tried.append((rate, train(one, place / f"rate-{rate:.3g}")))
        rate, best = max(tried, key=lambda t: (t[1].dev["macro_f1"], -t[0]))
        said: dict[str, Any] = {
            "settings": asked,
            "rate": rate,
            "rates": [{"rate": r, **_numbers(t)} for r, t in tried],
        }
        write_text(best.folder / SWEPT, json.dumps(said, indent=1, sort_keys=True) + "\n")
        if out.exists():
            out.rmdir()
        best.folder.rename(out)
    shutil.rmtree(place, ignore_errors=True)
    return _with_note(replace(best, folder=out), said)


def over_seeds(settings: TrainConfig, out: Path, train: Train) -> tuple[Trained, ...]:
    """Train with `seeds` seeds into ``out/seed-0``, … and make `out` the ensemble of them all.

    Each training resumes by itself. `out` is an ensemble only when all are done.
    """
    found = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        found.append(train(replace(settings, seed=seed), out / f"seed-{seed}"))
    ensemble.write(out, [one.folder.name for one in found])
    return tuple(found)


def _numbers(trained: Trained) -> dict[str, Any]:
    return {
        "best_epoch": trained.best_epoch,
        "dev_macro_f1": trained.dev["macro_f1"],
        "dev_loss": trained.curve[trained.best_epoch - 1].dev_loss,
        "train_macro_f1": trained.train_macro_f1,
        "seconds": trained.seconds,
    }


def _with_note(trained: Trained, said: dict[str, Any]) -> Trained:
    told = ", ".join(f"{r['rate']:.3g}: {r['dev_macro_f1']:.3f}" for r in said["rates"])
    note = (
        f"Dev macro-F1 by learning rate: {told}. {said['rate']:.3g} was kept; the best of "
        f"{len(said['rates'])} looks a little better on dev texts than it is."
    )
    return replace(trained, notes=(*trained.notes, note))

"""The model after each epoch of a training, kept so that it can be audited."""

import shutil
from pathlib import Path
from typing import Any

from audit.checkpoint import read_json

EPOCHS = "epochs"


def keep_epochs(folder: Path, final: Path, tokenizer: Any) -> None:
    """Copy the model of every checkpoint in `folder` to ``final/epochs/epoch-N``.

    What only a resumed training needs (optimiser, schedule, random state) stays behind.
    """
    for place in sorted(folder.glob("checkpoint-*")):
        state = place / "trainer_state.json"
        if not (place / "model.safetensors").exists() or not state.exists():
            continue
        to = final / EPOCHS / f"epoch-{round(read_json(state)['epoch'])}"
        to.mkdir(parents=True, exist_ok=True)
        for name in ("model.safetensors", "config.json"):
            shutil.copyfile(place / name, to / name)
        tokenizer.save_pretrained(to)

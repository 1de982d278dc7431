"""How alike two texts are, by the vectors of a sentence encoder."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.errors import Unsupported
from audit.types import Floats, Text


class SentenceVectors:
    """Texts to vectors of length 1, each text encoded once while it is remembered.

    What many searches ask is encoded as one request, which sentence-transformers sorts by length
    and pads no further than its longest member.
    """

    def __init__(self, folder: Path, *, batch_size: int = 64, most: int = 50_000) -> None:
        """Take the encoder in `folder`; it is loaded at the first text.

        Args:
            folder: Of a sentence-transformers model, safetensors.
            batch_size: Texts in one forward pass.
            most: Vectors remembered; the longest unused go first.
        """
        self._folder = folder
        self._batch_size = batch_size
        self._most = most
        self._model: Any = None
        self._known: OrderedDict[str, Floats] = OrderedDict()
        self.encoded = 0
        """Texts that were paid for."""

    def __call__(self, texts: Sequence[Text]) -> Floats:
        """Return vectors, shape ``(len(texts), d)``, float32.

        Raises:
            Unsupported: If the encoder cannot be loaded.
        """
        plain = [text if isinstance(text, str) else "\n".join(text) for text in texts]
        new = [text for text in dict.fromkeys(plain) if text not in self._known]
        if new:
            rows = self._encode(new)
            self.encoded += len(new)
            self._known.update(zip(new, rows, strict=True))
        for text in plain:
            self._known.move_to_end(text)
        found = np.stack([self._known[text] for text in plain]) if plain else np.zeros((0, 1))
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found

    def _encode(self, texts: list[str]) -> Floats:
        if self._model is None:
            self._model = _load(self._folder)
        rows = self._model.encode(
            texts,
            batch_size=self._batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.asarray(rows, dtype=np.float32)


def _load(folder: Path) -> Any:
    try:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            device="cpu",
            model_kwargs={"use_safetensors": True},
        )
    except (ImportError, OSError, ValueError) as problem:
        said = str(problem).strip().splitlines()
        raise Unsupported(
            f"The sentence encoder does not load: {said[0] if said else type(problem).__name__}.",
            hint="pip install sentence-transformers 'evenhand[encoder]'",
        ) from problem

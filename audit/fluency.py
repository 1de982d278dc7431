"""How likely a causal language model finds a text: what grammar costs, where no checker is."""

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

from audit import languagemodel
from audit.types import Floats

GET_CAUSAL_LM = (
    'Name the folder of one: causal_lm = "path/to/model" (config.json, model.safetensors, '
    "tokenizer.json), for example of openai-community/gpt2."
)
_WIDEST = 2048
"""Padded tokens of one forward pass."""


class Fluency:
    """A causal language model in a folder, asked how much texts surprise it."""

    def __init__(self, folder: Path) -> None:
        """Take the model in `folder`; it is loaded at the first question."""
        self._folder = folder
        self._parts: tuple[Any, Any] | None = None

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return each text's negative log-likelihood in nats and its tokens, shape ``(n, 2)``.

        The first token counts where the model has one to begin a text with. What lies beyond
        the model's longest input is not read. An empty text has 0 nats on 0 tokens.

        Raises:
            Unsupported: If the model cannot be loaded.
        """
        import torch

        if self._parts is None:
            self._parts = languagemodel.load(self._folder, "causal", GET_CAUSAL_LM)
        module, tokenizer = self._parts
        begin = (
            module.config.bos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        )
        longest = int(getattr(module.config, "max_position_embeddings", 1024))
        coded = []
        for text in texts:
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            coded.append([*([] if begin is None else [begin]), *ids][:longest])
        found = np.zeros((len(texts), 2))
        # Similar lengths together; a text of one token says nothing of any other.
        order = sorted(
            (i for i in range(len(texts)) if len(coded[i]) > 1), key=lambda i: (-len(coded[i]), i)
        )
        while order:
            width = len(coded[order[0]])
            some, order = order[: max(1, _WIDEST // width)], order[max(1, _WIDEST // width) :]
            ids = torch.tensor([coded[i] + [0] * (width - len(coded[i])) for i in some])
            there = torch.tensor(
                [[1] * len(coded[i]) + [0] * (width - len(coded[i])) for i in some]
            )
            with torch.inference_mode():
                logits = module(input_ids=ids, attention_mask=there).logits[:, :-1]
            own = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0] * there[:, 1:]
            found[some, 0] = -own.sum(1).double().numpy()
            found[some, 1] = there[:, 1:].sum(1).numpy()
        return found

    def rises(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """Return by how many times each pair's second text is more perplexing, shape ``(n,)``.

        Both likelihoods are taken over the tokens of the first text: a word that falls into more
        pieces is not cheaper for it. A first text of no tokens gives infinity, or 1 for itself.
        """
        before = self([one for one, _ in pairs])
        after = self([other for _, other in pairs])
        return np.array(
            [
                exp(min(700.0, (b[0] - a[0]) / a[1])) if a[1] else (1.0 if b[1] == 0 else np.inf)
                for a, b in zip(before, after, strict=True)
            ]
        )

"""What a masked language model would write in the place of a word, for many searches at once."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audit import languagemodel
from audit.errors import Unsupported
from audit.types import Floats, Text

GET_MASKED_LM = (
    'Name the folder of one: masked_lm = "path/to/model" (config.json, model.safetensors, '
    "tokenizer.json), for example of google-bert/bert-base-uncased."
)
MASKED = "masked"
"""Whom a search asks for the words of a masked language model, in `lockstep.run`."""
_WIDEST = 2048
"""Padded tokens of one forward pass."""


class MaskedWords:
    """A masked language model in a folder, asked for the likeliest tokens at one place of a text.

    Asked with pairs ``(text, "start:end")``: a text and the place of a word in it, in characters.
    Whether the word or a mask stands there is the asker's choice. It answers with token ids,
    likeliest first, shape ``(n, most)``, as floats; -1 where there is none: the place is cut off,
    or more than one token stands there.
    """

    def __init__(self, folder: Path, *, most: int = 50, remembered: int = 50_000) -> None:
        """Take the model in `folder`; it is loaded at the first question.

        Args:
            folder: Of a masked language model with a fast tokenizer, safetensors.
            most: Tokens told of each place.
            remembered: Answers kept; the longest unused go first.
        """
        self._folder = folder
        self._most = most
        self._remembered = remembered
        self._parts: tuple[Any, Any] | None = None
        self._known: OrderedDict[tuple[str, str], Floats] = OrderedDict()
        self.forwards = 0
        """Texts that were paid for."""

    @property
    def mask(self) -> str:
        """The token that stands for an unknown word."""
        return str(self._loaded()[1].mask_token)

    def word(self, token: int) -> str:
        """Return the word that a token is by itself; empty for a piece of a word or a sign."""
        piece = str(self._loaded()[1].convert_ids_to_tokens(int(token)))
        # RoBERTa marks the beginning of a word, BERT the inside of one.
        word = piece.removeprefix("Ġ").removeprefix("▁")
        return word if word.isalpha() and not piece.startswith("##") else ""

    def __call__(self, asked: Sequence[Text]) -> Floats:
        """Return the likeliest tokens, shape ``(len(asked), most)``.

        Raises:
            Unsupported: If the model cannot be loaded.
        """
        pairs = [(one, "0:0") if isinstance(one, str) else one for one in asked]
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        if new:
            self._known.update(zip(new, self._answers(new), strict=True))
        for pair in pairs:
            self._known.move_to_end(pair)
        rows = [self._known[pair] for pair in pairs]
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return np.stack(rows) if rows else np.zeros((0, self._most))

    def _answers(self, pairs: Sequence[tuple[str, str]]) -> list[Floats]:
        import torch

        module, tokenizer = self._loaded()
        found = np.full((len(pairs), self._most), -1.0)
        longest = min(int(tokenizer.model_max_length), module.config.max_position_embeddings - 2)
        coded = tokenizer(
            [text for text, _ in pairs],
            truncation=True,
            max_length=longest,
            return_offsets_mapping=True,
        )
        at = [
            _place(o, place) for o, (_, place) in zip(coded["offset_mapping"], pairs, strict=True)
        ]
        # Similar lengths together; a place that is not one token is not asked about.
        order = sorted(
            (i for i in range(len(pairs)) if at[i] is not None),
            key=lambda i: (-len(coded["input_ids"][i]), i),
        )
        while order:
            width = len(coded["input_ids"][order[0]])
            some, order = order[: max(1, _WIDEST // width)], order[max(1, _WIDEST // width) :]
            padded = tokenizer.pad(
                {"input_ids": [coded["input_ids"][i] for i in some]}, return_tensors="pt"
            )
            with torch.inference_mode():
                logits = module(**padded).logits
            own = logits[torch.arange(len(some)), torch.tensor([at[i] for i in some])]
            top = own.topk(min(self._most, own.shape[-1])).indices.numpy()
            found[some, : top.shape[1]] = top
            self.forwards += len(some)
        return list(found)

    def _loaded(self) -> tuple[Any, Any]:
        if self._parts is None:
            self._parts = _load(self._folder)
        return self._parts


@cache
def word_swap(ta: Any) -> Any:
    """Return the class of our transformation: ``swap(ask, words, hidden=…)``.

    TextAttack's own pads each request to the model's whole length and asks inside `no_grad`, where
    searches cannot be merged. `hidden`: a mask stands in the word's place while the model is asked
    (BAE), or the word itself (BERT-Attack, of which words of several pieces are left out).
    """

    class WordSwapMasked(ta.transformations.WordSwap):  # type: ignore[misc]
        def __init__(self, ask: Any, words: MaskedWords, *, hidden: bool) -> None:
            super().__init__()
            self.ask, self.known, self.hidden = ask, words, hidden

        def _get_transformations(self, current_text: Any, indices_to_modify: Any) -> list[Any]:
            indices = list(indices_to_modify)
            asked = []
            for i in indices:
                start = len(current_text.text_until_word_index(i))
                shown = self.known.mask if self.hidden else current_text.words[i]
                text = current_text.replace_word_at_index(i, shown).text
                asked.append((text, f"{start}:{start + len(shown)}"))
            if not asked:
                return []
            rows = self.ask(asked, MASKED)
            made = []
            for i, row in zip(indices, rows, strict=True):
                old = current_text.words[i]
                words = [self.known.word(int(token)) for token in row if token >= 0]
                made += [
                    current_text.replace_word_at_index(i, word)
                    for word in dict.fromkeys(words)
                    if word and word.lower() != old.lower()
                ]
            return made

    return WordSwapMasked


def _place(offsets: Sequence[tuple[int, int]], place: str) -> int | None:
    """Return the one token that covers the characters of `place`; None for none or several."""
    start, end = (int(part) for part in place.split(":"))
    found = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    return found[0] if len(found) == 1 else None


def _load(folder: Path) -> tuple[Any, Any]:
    module, tokenizer = languagemodel.load(folder, "masked", GET_MASKED_LM)
    if not tokenizer.is_fast or tokenizer.mask_token is None:
        raise Unsupported(
            f"The model in {folder} is no masked language model: its tokenizer has no mask or no "
            "offsets.",
            hint=GET_MASKED_LM,
        )
    return module, tokenizer

"""Copies written by a language model that the user names: masked words, translations, paraphrases.

Texts are answered together, like lengths in one batch; what each becomes hangs on its id, the seed
and the model alone, not on its company; a translation or paraphrase up to the last bits of padding.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audit import lockstep
from audit.errors import ModelError, Unsupported
from audit.huggingface import quiet
from audit.rewording import KEPT
from audit.seeding import stream
from audit.types import Floats

Writer = Callable[[Mapping[str, str], int], dict[str, str | None]]
"""Texts by id and a seed to what each becomes, None where nothing came of it."""
TOP = 50
"""Likeliest words that one is drawn from."""
MASKING: Mapping[str, Any] = {"aug_p": 0.15, "aug_max": 10, "top_k": TOP, "stopwords_regex": KEPT}
"""How nlpaug's contextual augmenter is set."""
PROMPT = "Say the following in other words and keep its meaning.\nText: {text}\nIn other words:"
_BATCH = 32
_TIE = 1e-5
"""Relative difference of two logits that a batch's padding could turn round."""
_NEW_TOKENS = 96


def draws(seed: int, id: str) -> np.random.Generator:
    """Return the generator of one text."""
    return stream(seed, "augment-generating", id)


def cleaned(made: object, text: str) -> str | None:
    """Return what a model wrote as one line, None where it says what the text says."""
    if isinstance(made, list):
        made = made[0] if made else ""
    lines = [line.strip(" \"'") for line in str(made).splitlines()]
    first = " ".join(next((line for line in lines if line), "").split())
    plain = "".join(text.casefold().split())
    # Uncased models change the case of every word, which changes nothing.
    return None if not first or "".join(first.casefold().split()) == plain else first


class Contextual:
    """Words that a masked language model would put there: nlpaug's augmenter, many texts at once.

    nlpaug masks one word, asks the model, draws among the likeliest and goes on to the next word.
    Here each text does so in a search of its own (`audit.lockstep`), and what all of them ask is
    one batch: the texts that come out are nlpaug's, one by one, under the same seeds.

    Source:
        Kobayashi (2018), 'Contextual augmentation', arXiv:1805.06201; E. Ma, nlpaug (2019).
    """

    def __init__(self, folder: Path, *, width: int = 64) -> None:
        self._model, self._tokenizer = _loaded("AutoModelForMaskedLM", folder)
        self._width = width
        self._augmenter = _asking(self._tokenizer, self._model.config, folder)

    def __call__(self, texts: Mapping[str, str], seed: int) -> dict[str, str | None]:
        ids = list(texts)

        def search(text: str) -> Callable[[lockstep.Ask], Any]:
            def start(ask: lockstep.Ask) -> Any:
                mine = copy.copy(self._augmenter)
                mine.model = copy.copy(mine.model)
                mine.model.ask = ask
                return mine.augment(text)

            return start

        found: dict[str, str | None] = {}
        ended = lockstep.run(
            (search(texts[id]) for id in ids),
            self.likeliest,
            width=self._width,
            rngs=(draws(seed, id) for id in ids),
        )
        for i, made in ended:
            failed = isinstance(made, lockstep.Failure)
            found[ids[i]] = None if failed else cleaned(made, texts[ids[i]])
        return {id: found[id] for id in ids}

    def likeliest(self, texts: Sequence[Any]) -> Floats:
        """Return the ids of the `TOP` likeliest tokens at each text's mask, shape ``(n, TOP)``.

        -1 throughout where a text has not just one mask.
        """
        import torch

        mask = self._tokenizer.mask_token_id
        limit = int(min(self._tokenizer.model_max_length, 512))
        rows = self._tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
        vocabulary = int(self._model.config.vocab_size)
        top = min(TOP, vocabulary)
        found = np.full((len(rows), top), -1.0)
        usable = [i for i, row in enumerate(rows) if row.count(mask) == 1]
        head = next((h for h in ("cls", "lm_head") if hasattr(self._model, h)), "")
        for some in _batches(usable, lambda i: len(rows[i])):
            inputs = self._tokenizer.pad(
                {"input_ids": [rows[i] for i in some]}, return_tensors="pt"
            )
            at = [rows[i].index(mask) for i in some]
            with torch.inference_mode():
                if head:
                    # The head for the mask alone: for every token it costs more than the encoder.
                    hidden = self._model.base_model(**inputs)[0][range(len(some)), at]
                    logits = getattr(self._model, head)(hidden[:, None])[:, 0]
                else:
                    logits = self._model(**inputs).logits[range(len(some)), at]
            values, ids = logits.topk(min(top + 1, vocabulary))
            found[some] = ids[:, :top].numpy()
            # Where the last bits could turn the order of two words, a text is asked by itself, as
            # nlpaug asks: its words then hang on no company.
            close = (values[:, :-1] - values[:, 1:]) <= _TIE * values.abs().clamp(min=1)[:, :-1]
            for i in np.array(some)[close.any(1).numpy()]:
                with torch.inference_mode():
                    alone = self._model(torch.tensor([rows[i]])).logits[0, rows[i].index(mask)]
                found[i] = alone.topk(top).indices.numpy()
        return found


class BackTranslation:
    """A text translated there and back by two models, each as its own settings decode.

    Source:
        Sennrich, Haddow & Birch (2016), arXiv:1511.06709; Yu et al. (2018), QANet, arXiv:1804.09541.
    """

    def __init__(self, there: Path, back: Path) -> None:
        self._models = [_loaded("AutoModelForSeq2SeqLM", folder) for folder in (there, back)]

    def __call__(self, texts: Mapping[str, str], seed: int) -> dict[str, str | None]:
        now = list(texts.values())
        for model, tokenizer in self._models:
            now = _generated(model, tokenizer, now)
        return {id: cleaned(made, texts[id]) for id, made in zip(texts, now, strict=True)}


class Paraphrase:
    """A text in the words of a causal language model, sampled.

    Each word is drawn by adding Gumbel noise of the text's own generator to the scores of the
    likeliest, so that a text's paraphrase is the same in any batch.

    Source:
        Maddison, Tarlow & Minka (2014), 'A* sampling', arXiv:1411.0030, for the Gumbel trick.
    """

    def __init__(self, folder: Path, prompt: str = PROMPT) -> None:
        self._model, self._tokenizer = _loaded("AutoModelForCausalLM", folder)
        self._prompt = prompt

    def __call__(self, texts: Mapping[str, str], seed: int) -> dict[str, str | None]:
        rngs = [draws(seed, id) for id in texts]
        made = _generated(
            self._model, self._tokenizer, [self._asked(t) for t in texts.values()], rngs
        )
        return {id: cleaned(said, texts[id]) for id, said in zip(texts, made, strict=True)}

    def _asked(self, text: str) -> str:
        # Not str.format: a text may hold braces of its own.
        said = self._prompt.replace("{text}", text)
        if not getattr(self._tokenizer, "chat_template", None):
            return said
        turn = [{"role": "user", "content": said}]
        return str(
            self._tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        )


def _generated(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    rngs: Sequence[np.random.Generator] | None = None,
) -> list[str]:
    """Return what `model` writes to each text; sampled where there are generators."""
    import torch

    behind = not bool(model.config.is_encoder_decoder)
    tokenizer.padding_side = "left" if behind else "right"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 1 << 20)
    limit = int(min(tokenizer.model_max_length, positions, 512))
    if behind:
        limit = max(8, min(limit, positions - _NEW_TOKENS))
    new = min(_NEW_TOKENS, positions - 1)
    found = [""] * len(texts)
    for some in _batches(range(len(texts)), lambda i: len(texts[i])):
        inputs = tokenizer(
            [texts[i] for i in some],
            padding=True,
            truncation=True,
            max_length=limit,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        drawn = [] if rngs is None else [_drawing([rngs[i] for i in some])]
        with torch.inference_mode(), quiet():
            ids = model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=new,
                pad_token_id=tokenizer.pad_token_id,
                logits_processor=drawn,
                **({"num_beams": 1} if drawn else {}),
            )
        start = inputs["input_ids"].shape[1] if behind else 0
        for i, row in zip(some, ids, strict=True):
            found[i] = tokenizer.decode(row[start:], skip_special_tokens=True)
    return found


def _drawing(rngs: Sequence[np.random.Generator]) -> Callable[[Any, Any], Any]:
    """Return a logits processor after which the greatest score is a draw, row by row."""
    import torch

    def drawn(_: Any, scores: Any) -> Any:
        values, ids = scores.topk(min(TOP, scores.shape[1]))
        noise = np.stack([rng.gumbel(size=values.shape[1]) for rng in rngs])
        blank = torch.full_like(scores, -torch.inf)
        return blank.scatter(1, ids, values + torch.from_numpy(noise).to(values))

    return drawn


def _batches(which: Sequence[int], length: Callable[[int], int]) -> list[list[int]]:
    order = sorted(which, key=lambda i: (length(i), i))
    return [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]


def _loaded(
    kind: Literal["AutoModelForMaskedLM", "AutoModelForSeq2SeqLM", "AutoModelForCausalLM"],
    folder: Path,
) -> tuple[Any, Any]:
    transformers = import_module("transformers")
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            model = getattr(transformers, kind).from_pretrained(
                folder, use_safetensors=True, **safe
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
    except Exception as problem:  # Its loaders raise whatever their many parts raise.
        said = (str(problem) or type(problem).__name__).splitlines()[0]
        raise ModelError(
            f"The language model in {folder} cannot be loaded: {said}",
            hint="Name a folder of safetensors that transformers can read "
            f"({kind.removeprefix('AutoModelFor')}).",
        ) from problem
    return model.eval(), tokenizer


def _asking(tokenizer: Any, config: Any, folder: Path) -> Any:
    """Return nlpaug's contextual augmenter whose model is whoever is put into ``model.ask``."""
    try:
        word: Any = import_module("nlpaug.augmenter.word")
    except ImportError as problem:
        raise Unsupported(
            f"nlpaug does not import: {problem}.", hint="pip install nlpaug"
        ) from problem
    model = _Masked(tokenizer, config)

    class Asking(word.ContextualWordEmbsAug):  # type: ignore[misc]
        @classmethod
        def get_model(cls, *_: Any, **__: Any) -> Any:
            return model

    return Asking(model_path=str(folder), model_type=model.kind, **MASKING)


class _Masked:
    """What nlpaug asks of a masked language model."""

    UNKNOWN_TOKEN = "[UNK]"
    device = "cpu"
    ask: lockstep.Ask

    def __init__(self, tokenizer: Any, config: Any) -> None:
        self._tokenizer, self.config = tokenizer, config
        self.kind = "roberta" if tokenizer.mask_token == "<mask>" else "bert"

    def get_tokenizer(self) -> Any:
        return self._tokenizer

    def get_model(self) -> Any:
        return self

    def get_max_num_token(self) -> int:
        return int(self.config.max_position_embeddings) - 10

    def get_mask_token(self) -> str:
        return str(self._tokenizer.mask_token)

    def get_unknown_token(self) -> str:
        return str(self._tokenizer.unk_token)

    def get_subword_prefix(self) -> str:
        return "##" if self.kind == "bert" else "Ġ"

    def predict(self, texts: list[str], target_words: Any = None, n: int = 1) -> list[list[str]]:
        found = []
        for row in self.ask(texts).astype(int).tolist():
            tokens = self._tokenizer.convert_ids_to_tokens([i for i in row if i >= 0])
            inside = self.get_subword_prefix()
            found.append([t for t in tokens if t.startswith(inside) == (self.kind != "bert")])
        return found

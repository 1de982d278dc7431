"""A `transformers` sequence classifier: encoders, decoders with a classification head, adapters."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit import exported, firsttoken
from audit.checkpoint import Identity
from audit.classifier import WhiteBox
from audit.errors import AuditError, ModelError, Unsupported
from audit.types import Floats, Head, Text

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Tokens = tuple[int, ...]
"""Token ids; for pairs of texts each id carries its segment, see `HFClassifier.encode`."""

# Measured on a 22-million-parameter encoder: on a CPU small passes win because their activations
# stay in its caches; a GPU is filled by large ones.
CPU_TOKENS, GPU_TOKENS = 1024, 65536
_SEGMENT = 1 << 40
_DTYPES = ("auto", "float32", "bfloat16", "float16")


class HFClassifier:
    """A module and its tokenizer, always in evaluation mode and without gradients."""

    def __init__(
        self,
        module: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        identity: Identity,
        *,
        dtype: str = "auto",
    ) -> None:
        self.module = module.eval()
        self.tokenizer = tokenizer
        self.labels = identity.labels
        self.head: Head = identity.head
        self.fingerprint = identity.fingerprint
        self.max_length = identity.max_length
        self.device: torch.device = next(module.parameters()).device
        self.dtype = "float32" if dtype == "auto" else dtype
        self.batch_tokens = CPU_TOKENS if self.device.type == "cpu" else GPU_TOKENS
        config = module.config
        # A decoder reads its last token that is not padding, so padding must be known to it.
        pad = tokenizer.pad_token_id
        if pad is None:
            pad = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
        if config.pad_token_id is None:
            config.pad_token_id = pad
        self._pad = int(pad)
        self._pad_left = getattr(config, "model_type", "") == "xlnet"
        self._segments = getattr(config, "type_vocab_size", 0) > 1 or self._pad_left
        self._pad_segment = 3 if self._pad_left else 0

    @classmethod
    def load(
        cls,
        identity: Identity,
        *,
        device: str = "auto",
        dtype: str = "auto",
        compress: "Callable[[PreTrainedModel], PreTrainedModel] | None" = None,
        rounded: bool = False,
    ) -> "HFClassifier":
        """Load safetensors weights; never a pickle, never code from the checkpoint.

        Args:
            identity: What `checkpoint.identify_folder` found.
            device: ``auto`` (a GPU where there is one), or a torch device such as ``cpu``.
            dtype: ``auto`` and ``float32`` are full precision; ``bfloat16`` and ``float16`` run
                the forward pass in mixed precision.
            compress: Makes a copy of the loaded module, as deployed.
            rounded: The copy computes in whole numbers: it has no gradients.

        Raises:
            ModelError: If weights are missing (no head: the labels would be drawn at random), do
                not fit, or the device does not exist.
        """
        import torch
        from transformers import AutoTokenizer

        if dtype not in _DTYPES:
            raise ModelError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}.")
        if identity.folder is None:
            raise ValueError("a callable has no folder to load")
        if identity.kind == "onnx":
            device = "cpu"
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        folder = identity.base or identity.folder
        try:
            with quiet():
                module, missing = _module(folder, identity)
                if identity.base is not None:
                    module, missing = _with_adapter(module, identity.folder)
                place = identity.folder
                if identity.base is not None and not (place / "tokenizer_config.json").exists():
                    place = identity.base
                tokenizer = AutoTokenizer.from_pretrained(
                    place, trust_remote_code=False, local_files_only=True
                )
            if missing:
                raise ModelError(
                    f"The checkpoint lacks {len(missing)} weights, first {min(missing)}: they would "
                    "be filled at random.",
                    hint="It has no classification head, or another architecture; "
                    "fine-tune it first, for example with `evenhand train`.",
                )
            module = module.to(device)
            if compress is not None:
                module = compress(module)
            # Exact: where the shortened module says otherwise it is left as it is.
            if identity.kind != "onnx":
                firsttoken.shorten(module)
        except AuditError:
            raise
        except Exception as problem:
            first = (str(problem) or type(problem).__name__).splitlines()[0]
            raise ModelError(
                f"The model in {identity.folder} cannot be loaded: {first}",
                hint="It must load with AutoModelForSequenceClassification and AutoTokenizer.",
            ) from problem
        made = cls(module, tokenizer, identity, dtype=dtype)
        made.dtype = "int8" if rounded else "onnx" if identity.kind == "onnx" else made.dtype
        return made

    def probabilities(self, texts: Sequence[Text]) -> Floats:
        return self.forward(self.encode(texts)[0])

    def encode(self, texts: Sequence[Text]) -> tuple[list[Tokens], list[bool]]:
        """Return token ids and whether a text was longer than `max_length`.

        Where the model knows segments, the second segment's ids carry a high bit, so that equal
        tuples mean equal inputs and sort alike everywhere.
        """
        if not texts:
            return [], []
        pairs = [text for text in texts if isinstance(text, tuple)]
        if pairs and len(pairs) != len(texts):
            raise ModelError("Some inputs are pairs of texts and some are not.")
        given: tuple[list[str], ...]
        given = (
            ([p[0] for p in pairs], [p[1] for p in pairs])
            if pairs
            else ([_encodable(str(t)) for t in texts],)
        )
        with quiet():
            found = self.tokenizer(
                *given,
                truncation=True,
                max_length=self.max_length,
                return_token_type_ids=self._segments and bool(pairs),
            )
        ids = [tuple(row) for row in found["input_ids"]]
        if self._segments and pairs:
            ids = [
                tuple(i | (_SEGMENT * s) for i, s in zip(row, segment, strict=True))
                for row, segment in zip(ids, found["token_type_ids"], strict=True)
            ]
        if found.encodings is not None:
            cut = [bool(one.overflowing) for one in found.encodings]
        else:
            # A slow tokenizer does not tell what it cut; a full row is taken for a cut one.
            cut = [len(row) >= self.max_length for row in ids]
        return ids, cut

    def digest(self, ids: Tokens) -> bytes:
        return np.asarray(ids, dtype="<i8").tobytes()

    def forward(self, batch: Sequence[Tokens]) -> Floats:
        import torch

        inputs = self._padded(batch)
        with torch.inference_mode(), self._precision():
            logits = self.module(**inputs).logits
        # float64 before softmax: in half precision two different texts can tie.
        wide = logits.double()
        if not bool(torch.isfinite(wide).all()):
            raise ModelError(
                "The model returned a logit that is not a finite number.",
                hint="A NaN would look like a confident first label. Check the checkpoint, or set "
                'dtype = "float32" under [model].',
            )
        scores = wide.softmax(dim=-1) if self.head == "single" else wide.sigmoid()
        return np.asarray(scores.cpu().numpy(), dtype=np.float64)

    def white_box(self) -> WhiteBox:
        if self.dtype in ("int8", "onnx"):
            raise Unsupported(
                "A copy that computes in eight bits, or was exported, has no gradients.",
                hint="Ask the model it is a copy of.",
            )
        return WhiteBox(
            module=self.module,
            tokenizer=self.tokenizer,
            max_length=self.max_length,
            device=self.device,
            labels=self.labels,
            head=self.head,
        )

    def _padded(self, batch: Sequence[Tokens]) -> dict[str, "torch.Tensor"]:
        import torch

        shape = (len(batch), max(1, max(map(len, batch))))
        ids = np.full(shape, self._pad, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        segments = np.full(shape, self._pad_segment, dtype=np.int64)
        for i, row in enumerate(batch):
            span = slice(shape[1] - len(row), None) if self._pad_left else slice(len(row))
            tokens = np.asarray(row, dtype=np.int64)
            ids[i, span], mask[i, span] = tokens & (_SEGMENT - 1), 1
            segments[i, span] = tokens >> 40
        arrays = {"input_ids": ids, "attention_mask": mask}
        if self._segments:
            arrays["token_type_ids"] = segments
        return {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}

    def _precision(self) -> Any:
        import torch

        low = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.dtype)
        return torch.autocast(self.device.type, dtype=low, enabled=low is not None)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' notices and progress bars off the screen for one block."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _encodable(text: str) -> str:
    # A lone surrogate cannot be handed to a tokenizer; the corpus shows it as an escape already.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _dtype_argument() -> str:
    """Return what `from_pretrained` calls its dtype: the name changed in transformers 4.56."""
    from importlib.metadata import version

    major, minor = (int(part) for part in version("transformers").split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _module(folder: Path, identity: Identity) -> tuple[Any, Sequence[str]]:
    """Return the module in full precision, and which of its weights the files lack."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    if identity.kind == "onnx":
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        return exported.session(folder / exported.GRAPH, config), ()
    module, info = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=len(identity.labels),
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        # The checkpoint's own dtype is overridden: full precision unless asked.
        **{_dtype_argument(): torch.float32},
    )
    return module, sorted(info["missing_keys"])


def _with_adapter(module: Any, folder: Path) -> tuple[Any, Sequence[str]]:
    from peft import PeftModel
    from safetensors import safe_open

    adapted = PeftModel.from_pretrained(module, folder, is_trainable=False, low_cpu_mem_usage=False)
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        saved = set(file.keys())
    head = [
        name
        for name, _ in module.named_parameters()
        if name.split(".")[0] in ("classifier", "score") and "lora" not in name
    ]
    # The base has no head of its own to fall back on: it must have come with the adapter.
    has_head = any(part in name for name in saved for part in ("classifier", "score"))
    # A prompt stands in front of the texts, not in the weights: there is nothing to merge.
    merged = (
        adapted if adapted.active_peft_config.is_prompt_learning else adapted.merge_and_unload()
    )
    return merged, [] if has_head else head

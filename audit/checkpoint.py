"""What a model's files tell before anything is loaded: labels, head, limits, fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from audit.errors import ModelError
from audit.types import Head

_BESIDE = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
"""Files beside the weights that move a score."""

# These count positions from the padding id onwards and so lose the first of them.
_OFFSET = ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "roberta-prelayernorm")


class ModelSpec(Protocol):
    """The settings under ``[model]`` that are read here."""

    @property
    def path(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def max_length(self) -> int | None: ...
    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What can be told about a model from its files, without loading it."""

    name: str
    kind: str
    """``transformers``, ``adapter``, ``onnx``, ``ensemble`` or ``callable``."""
    labels: tuple[str, ...]
    head: Head
    fingerprint: str
    folder: Path | None = None
    base: Path | None = None
    """Folder of the base model, for an adapter."""
    max_length: int = 512
    digests: Mapping[str, str] = field(default_factory=dict)
    """File to SHA-256."""


def from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    # Only what a safetensors classifier needs: a pickle is not even fetched.
    wanted = ["*.json", "*.safetensors", "*.txt", "*.model"]
    try:
        try:
            found = snapshot_download(
                name, revision=revision, allow_patterns=wanted, local_files_only=True
            )
        except Exception:
            found = snapshot_download(name, revision=revision, allow_patterns=wanted)
    except Exception as problem:
        raise ModelError(
            f"The model {name} is neither a folder here nor to be had from the hub: "
            f"{str(problem).splitlines()[0] if str(problem) else type(problem).__name__}",
            hint="Check the spelling; offline, download the model first and name its folder.",
        ) from problem
    return Path(found)


def identify_folder(folder: Path, spec: ModelSpec) -> Identity:
    adapter, full = folder / "adapter_config.json", folder / "config.json"
    if adapter.exists() and full.exists():
        raise ModelError(
            f"{folder} holds a full model and an adapter; transformers would apply one silently.",
            hint="Keep them in folders of their own and name the one to audit.",
        )
    if adapter.exists():
        return _identify_adapter(folder, spec)
    if not full.exists():
        raise ModelError(
            f"{folder} is not a model folder: it has no config.json.",
            hint="Name the folder that `save_pretrained` wrote.",
        )
    config = read_json(full)
    labels, head = _labels_and_head(config, folder)
    graph = [] if any(folder.glob("*.safetensors*")) else sorted(folder.glob("model.onnx*"))
    weights = graph or _weights(folder)
    digests = {path.name: file_digest(path) for path in weights + _described(folder)}
    kind = "onnx" if graph else "transformers"
    return _identity(folder, kind, renamed(labels, spec.labels), head, config, digests, spec)


def _identify_adapter(folder: Path, spec: ModelSpec) -> Identity:
    config = read_json(folder / "adapter_config.json")
    if config.get("task_type") not in (None, "SEQ_CLS"):
        raise ModelError(
            f"The adapter in {folder} is for {config.get('task_type')}, not for classification.",
            hint="Train it with task_type SEQ_CLS, which also saves the head.",
        )
    named = str(config.get("base_model_name_or_path") or "")
    base = Path(named)
    if not base.is_dir():
        base = (folder / named) if named and (folder / named).is_dir() else from_hub(named, None)
    weights = _weights(folder, "adapter_model")
    heads = [
        shape
        for path in weights
        for name, shape in tensor_shapes(path).items()
        if name.endswith("weight") and any(part in name for part in ("classifier", "score"))
    ]
    base_config = read_json(base / "config.json")
    if not heads:
        labels, head = _labels_and_head(base_config, base)
    else:
        names = base_config.get("id2label") or {}
        count = heads[-1][0]
        labels = tuple(str(names.get(str(i), f"LABEL_{i}")) for i in range(count))
        head = (
            "multi" if base_config.get("problem_type") == "multi_label_classification" else "single"
        )
        if count == 1:
            raise _regression(folder)
    digests = {f"adapter/{p.name}": file_digest(p) for p in weights}
    digests["adapter/adapter_config.json"] = file_digest(folder / "adapter_config.json")
    digests |= {f"base/{p.name}": file_digest(p) for p in _weights(base) + _described(base)}
    digests |= {f"adapter/{p.name}": file_digest(p) for p in _described(folder)}
    return _identity(
        folder, "adapter", renamed(labels, spec.labels), head, base_config, digests, spec, base
    )


def _identity(
    folder: Path,
    kind: str,
    labels: tuple[str, ...],
    head: Head,
    config: Mapping[str, Any],
    digests: Mapping[str, str],
    spec: ModelSpec,
    base: Path | None = None,
) -> Identity:
    length = spec.max_length or _max_length(folder, base, config)
    fingerprint = digest_of(
        {
            "files": digests,
            "labels": labels,
            "head": head,
            "max_length": length,
            "dtype": spec.dtype,
            "device": spec.device,
            # The last layer for the classification token alone: other last bits than the whole.
            "first_token": 1,
        }
    )
    return Identity(
        name=spec.path,
        kind=kind,
        labels=labels,
        head=head,
        fingerprint=fingerprint,
        folder=folder,
        base=base,
        max_length=length,
        digests=digests,
    )


def _labels_and_head(config: Mapping[str, Any], folder: Path) -> tuple[tuple[str, ...], Head]:
    if config.get("auto_map"):
        raise ModelError(
            f"The model in {folder} asks for code of its own (auto_map), which is never run.",
            hint="Audit it as a callable from code you have read: file.py:name.",
        )
    architectures = config.get("architectures") or []
    if not any(str(a).endswith("ForSequenceClassification") for a in architectures):
        said = ", ".join(map(str, architectures)) or "no architecture"
        raise ModelError(
            f"The model in {folder} has no classification head (it is {said}).",
            hint="Fine-tune it first, for example with `evenhand train`.",
        )
    names = config.get("id2label") or {
        str(i): f"LABEL_{i}" for i in range(config.get("num_labels", 2))
    }
    if config.get("problem_type") == "regression" or len(names) == 1:
        raise _regression(folder)
    try:
        labels = tuple(str(names[str(i)]) for i in range(len(names)))
    except KeyError as missing:
        raise ModelError(f"id2label in {folder}/config.json lacks number {missing}.") from missing
    if len(set(labels)) != len(labels):
        raise ModelError(f"id2label in {folder}/config.json names a label twice.")
    multi = config.get("problem_type") == "multi_label_classification"
    return labels, "multi" if multi else "single"


def _regression(folder: Path) -> ModelError:
    return ModelError(
        f"The model in {folder} is a regression (one output), not a classifier.",
        hint="Audit a model with at least two labels.",
    )


def renamed(labels: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    unknown = sorted(set(names) - set(labels))
    if unknown:
        raise ModelError(
            f"[model.labels] renames {unknown[0]!r}, which is not a label of the model.",
            hint=f"Its labels are {', '.join(labels)}.",
        )
    renamed = tuple(names.get(label, label) for label in labels)
    if len(set(renamed)) != len(renamed):
        raise ModelError("[model.labels] gives two labels the same name.")
    return renamed


def _weights(folder: Path, stem: str = "model") -> list[Path]:
    """Return the safetensors files of a folder, having looked at their headers."""
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if single.exists():
        files = [single]
    elif index.exists():
        names = sorted({str(name) for name in (read_json(index).get("weight_map") or {}).values()})
        for name in names:
            # A shard name is a plain file name: anything else would reach outside the folder.
            if Path(name).name != name:
                raise ModelError(f"{index} points outside its folder: {name!r}.")
        files = [folder / name for name in names]
        missing = [path.name for path in files if not path.exists()]
        if missing or not files:
            raise ModelError(f"{folder} lacks the shard {', '.join(missing) or 'files'}.")
    else:
        pickles = [p.name for p in folder.glob("*.bin")] + [p.name for p in folder.glob("*.pt")]
        if pickles:
            raise ModelError(
                f"{folder} keeps its weights in a pickle ({sorted(pickles)[0]}), which can run "
                "code when it is loaded.",
                hint="Convert it where you trust it: load it there and call "
                "`model.save_pretrained(folder, safe_serialization=True)`.",
            )
        raise ModelError(
            f"{folder} has no {stem}.safetensors.",
            hint="Save the model with `save_pretrained`, which writes safetensors.",
        )
    for path in files:
        tensor_shapes(path)
    return files


def _described(folder: Path) -> list[Path]:
    """Return the files beside the weights that move a score: configuration and tokenizer."""
    return [folder / name for name in _BESIDE if (folder / name).exists()]


def _max_length(folder: Path, base: Path | None, config: Mapping[str, Any]) -> int:
    limits = []
    for place in (folder, base):
        if place is not None and (place / "tokenizer_config.json").exists():
            limits.append(read_json(place / "tokenizer_config.json").get("model_max_length"))
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    if positions and config.get("model_type") in _OFFSET:
        positions -= int(config.get("pad_token_id") or 1) + 1
    limits.append(positions)
    # Tokenizers without a limit of their own write 1e30.
    known = [int(x) for x in limits if isinstance(x, int | float) and 0 < x < 1e9]
    return min(known, default=512)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        ModelError: If it is not one.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as problem:
        raise ModelError(f"{path} cannot be read: {problem}.") from problem
    if not isinstance(value, dict):
        raise ModelError(f"{path} does not hold a JSON object.")
    return value


def tensor_shapes(path: Path) -> dict[str, list[int]]:
    """Return tensor names and shapes from the header of a safetensors file.

    Raises:
        ModelError: If the header is damaged or promises more bytes than the file has.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if end + 8 + length > size:
            raise ValueError("it ends before its last tensor")
        return {name: list(entry["shape"]) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, IndexError) as problem:
        raise ModelError(
            f"{path} is not a whole safetensors file: {problem}.",
            hint="Copy the model again.",
        ) from problem


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

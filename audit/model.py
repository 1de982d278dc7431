"""The seam between the audit and any classifier: what it must show, and how it is found."""

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit import compressing, ensemble, exported
from audit.checkpoint import (
    Identity,
    ModelSpec,
    digest_of,
    from_hub,
    identify_folder,
    read_json,
    renamed,
)
from audit.classifier import Classifier
from audit.errors import ModelError, Unsupported
from audit.files import write_text
from audit.types import Floats, Head, Text

if TYPE_CHECKING:
    pass


def identify(spec: ModelSpec, base: Path = Path()) -> Identity:
    """Tell what a model is from its files alone, without torch.

    Args:
        spec: The settings under ``[model]``; ``path`` is a folder, a hub id, or ``file.py:name``.
        base: Folder that relative paths start from.

    Raises:
        ModelError: If there is no such model, it has no classification head, is a regression, keeps
            its weights in a pickle, is damaged, or asks for code of its own.
        Unsupported: If a compressed copy of a callable is asked for.
    """
    whole = _identify(spec, base)
    return compressing.identity_of(whole, spec) if compressing.wanted(spec) else whole


def _identify(spec: ModelSpec, base: Path) -> Identity:
    file, colon, name = spec.path.rpartition(":")
    if colon and (file.endswith(".py") or name.isidentifier()):
        return _identify_callable(_user_object(file, name, base), spec, base)
    folder = base / spec.path
    if folder.exists():
        if not folder.is_dir():
            raise ModelError(
                f"{spec.path} is a file, not a model folder.",
                hint="Name the folder that holds config.json and model.safetensors.",
            )
        if (folder / ensemble.LISTED).exists():
            return ensemble.identify(folder, spec)
        return identify_folder(folder, spec)
    if spec.path.count("/") == 1 and not spec.path.startswith((".", "/", "~")):
        return identify_folder(from_hub(spec.path, spec.revision), spec)
    raise ModelError(
        f"There is no model at {spec.path}.",
        hint="Name a folder with config.json and model.safetensors, a hub id such as "
        "owner/name, or a Python callable as file.py:name.",
    )


def load(spec: ModelSpec, identity: Identity, base: Path = Path()) -> Classifier:
    """Load the weights of an identified model.

    Raises:
        ModelError: If the files do not hold what they promise.
    """
    if identity.kind == "callable":
        file, _, name = spec.path.rpartition(":")
        return Callable_(_user_object(file, name, base), identity)
    from audit.huggingface import HFClassifier

    # A copy stands for what runs on a server without a GPU.
    copied = compressing.wanted(spec)
    device = "cpu" if copied and spec.device == "auto" else spec.device

    def one(member: Identity) -> Classifier:
        return HFClassifier.load(
            member,
            device=device,
            dtype=spec.dtype,
            compress=compressing.compressor(spec),
            rounded=copied and getattr(spec, "quantise", "none") == "int8",
        )

    return ensemble.load(identity, spec, one) if identity.kind == "ensemble" else one(identity)


def export(spec: ModelSpec, folder: Path, base: Path = Path()) -> Path:
    """Export a model and its tokenizer to ONNX into `folder`, unless that holds it already.

    Returns:
        The folder, a model that `identify` knows.

    Raises:
        Unsupported: If it is no `transformers` model, or the package onnx is not installed.
        ModelError: If the architecture cannot be exported.
    """
    identity = identify(spec, base)
    if identity.kind not in ("transformers", "adapter"):
        raise Unsupported(
            f"{spec.path} is no transformers model, so there is nothing to export.",
            hint="Export it by other means, and name the folder: --copy FOLDER.",
        )
    record = folder / "exported.json"
    if record.exists() and read_json(record) == {"of": identity.fingerprint}:
        return folder
    from audit.huggingface import HFClassifier

    def write(module: Any) -> Any:
        exported.export(module, folder)
        return module

    HFClassifier.load(identity, device="cpu", compress=write).tokenizer.save_pretrained(folder)
    write_text(record, json.dumps({"of": identity.fingerprint}))
    return folder


class Callable_:
    """A Python callable as a classifier: a function of texts, or an object with `predict_proba`."""

    def __init__(self, call: Any, identity: Identity) -> None:
        self.labels = identity.labels
        self.head: Head = identity.head
        self.fingerprint = identity.fingerprint
        self._call = getattr(call, "predict_proba", None) or getattr(call, "probabilities", call)

    def probabilities(self, texts: Sequence[Text]) -> Floats:
        try:
            scores = self._call(list(texts))
        except Exception as problem:
            raise ModelError(
                f"The callable failed on {len(texts)} texts: {type(problem).__name__}: {problem}."
            ) from problem
        return np.asarray(scores, dtype=np.float64)


def _user_object(file: str, name: str, base: Path) -> Any:
    try:
        if file.endswith(".py"):
            path = (base / file).resolve()
            module_spec = importlib.util.spec_from_file_location(path.stem, path)
            if module_spec is None or module_spec.loader is None or not path.is_file():
                raise ModelError(f"There is no file {file}.")
            module = importlib.util.module_from_spec(module_spec)
            sys.modules.setdefault(path.stem, module)
            # Not the loader's own way: it would take the bytecode of a file that was changed within
            # the second and kept its size.
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
        else:
            module = importlib.import_module(file)
        return getattr(module, name)
    except ModelError:
        raise
    except AttributeError as problem:
        raise ModelError(f"{file} has no {name!r}.") from problem
    except Exception as problem:
        raise ModelError(
            f"{file} cannot be imported: {type(problem).__name__}: {problem}."
        ) from problem


def _source(call: Any, spec: ModelSpec, base: Path) -> bytes:
    file = base / spec.path.rpartition(":")[0]
    # The file itself where there is one: another of the same name may have been imported before.
    if file.suffix == ".py" and file.is_file():
        return file.read_bytes()
    try:
        return inspect.getsource(inspect.getmodule(call) or type(call)).encode()
    except (OSError, TypeError):
        return repr(type(call)).encode()


def _identify_callable(call: Any, spec: ModelSpec, base: Path) -> Identity:
    said = getattr(call, "labels", None)
    if said is None:
        said = getattr(call, "classes_", None)
    if said is None:
        raise ModelError(
            f"The callable {spec.path} does not say its labels.",
            hint="Give it an attribute `labels` (a tuple of names in the order of its columns), or "
            "use an object with `classes_`, such as a scikit-learn pipeline.",
        )
    labels = renamed(tuple(str(name) for name in said), spec.labels)
    fingerprint = getattr(call, "fingerprint", None)
    if fingerprint is None:
        # Without a name of its own a callable is known by its source: a change in what it reads
        # from elsewhere is not seen, so the file's text is hashed as a whole.
        state = hashlib.sha256(_source(call, spec, base))
        state.update(_state(call))
        fingerprint = f"callable:{state.hexdigest()}"
    head: Head = "multi" if getattr(call, "head", "single") == "multi" else "single"
    digest = digest_of({"callable": str(fingerprint), "labels": labels, "head": head})
    return Identity(name=spec.path, kind="callable", labels=labels, head=head, fingerprint=digest)


def _state(call: Any) -> bytes:
    """Return bytes that change when a fitted scikit-learn object does."""
    if not hasattr(call, "get_params"):
        return b""
    import joblib

    return str(joblib.hash(call)).encode()

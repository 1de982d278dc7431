"""A language model in a folder, for what asks one: looked at first, loaded when it is needed."""

from pathlib import Path
from typing import Any, Literal

from audit.errors import Unsupported

Kind = Literal["causal", "masked"]


def check(folder: Path, kind: Kind, hint: str) -> None:
    """Look whether `folder` holds a language model, without importing anything.

    Raises:
        Unsupported: If files are missing; it carries `hint`.
    """
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise Unsupported(
                f"There is no {kind} language model in {folder}: {name} is missing.", hint=hint
            )


def load(folder: Path, kind: Kind, hint: str) -> tuple[Any, Any]:
    """Return the module, in evaluation mode on the CPU, and its tokenizer.

    Safetensors alone, nothing fetched, no code of the checkpoint run.

    Raises:
        Unsupported: If files are missing, or they are no such model; it carries `hint`.
    """
    check(folder, kind, hint)
    try:
        from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

        from audit.huggingface import quiet

        made = {"causal": AutoModelForCausalLM, "masked": AutoModelForMaskedLM}[kind]
        with quiet():
            module, info = made.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    except Exception as problem:  # Its loaders raise whatever their many parts raise.
        said = str(problem).strip().splitlines()
        raise Unsupported(
            f"The {kind} language model does not load: {said[0] if said else problem!r}.",
            hint=hint,
        ) from problem
    if missing := sorted(info["missing_keys"]):
        raise Unsupported(
            f"The model in {folder} is no {kind} language model: it lacks {missing[0]}.", hint=hint
        )
    return module.eval(), tokenizer

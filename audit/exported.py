"""A model as a server runs it: an ONNX graph in the place of the module it was exported from."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import AuditError, ModelError, Unsupported
from audit.files import write_atomically

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

GRAPH = "model.onnx"
_HINT = "pip install 'evenhand[onnx]'"


def session(graph: Path, config: Any) -> "torch.nn.Module":
    """Return an ONNX graph as a module that answers like the `transformers` model it came from.

    It runs on the CPU in the precision of the graph. The graph takes ``input_ids`` and
    ``attention_mask`` (and ``token_type_ids`` where the model has them), whole numbers of 64 bits,
    shape ``(batch, length)``, both free, and gives ``logits``, shape ``(batch, labels)``: what
    optimum and `export` write. Operators from libraries of others are not loaded.

    Raises:
        Unsupported: If onnxruntime is not installed.
        ModelError: If the file is no such graph, or points outside its folder.
    """
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

    try:
        import onnxruntime
    except ImportError as missing:
        raise Unsupported(
            "A model in ONNX is run by onnxruntime, which is not installed.", hint=_HINT
        ) from missing
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        running = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
    except Exception as problem:
        raise ModelError(
            f"{graph} is not a graph that onnxruntime can run: {str(problem).splitlines()[0]}",
            hint="Export the model again.",
        ) from problem
    taken = [one.name for one in running.get_inputs()]
    known = {"input_ids", "attention_mask", "token_type_ids"}
    given = [one.name for one in running.get_outputs()]
    if "input_ids" not in taken or not known.issuperset(taken) or "logits" not in given:
        raise ModelError(
            f"{graph} takes {', '.join(taken)} and gives {', '.join(given)}: no text classifier.",
            hint="It has to take input_ids, attention_mask and perhaps token_type_ids, and to give "
            "logits.",
        )

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = config
            # Tells the device, as the weights of a module do.
            self.place = torch.nn.Parameter(torch.zeros(0), requires_grad=False)

        def forward(self, **inputs: torch.Tensor) -> SequenceClassifierOutput:
            # A model of one segment says nothing of segments: all zero.
            arrays = {
                name: inputs[name].numpy()
                if name in inputs
                else torch.zeros_like(inputs["input_ids"]).numpy()
                for name in taken
            }
            (logits,) = running.run(["logits"], arrays)
            if logits.ndim != 2 or logits.shape[1] != config.num_labels:
                raise ModelError(
                    f"{graph} gives logits of shape {logits.shape}, not one for each of the "
                    f"{config.num_labels} labels of config.json."
                )
            return SequenceClassifierOutput(logits=torch.from_numpy(logits))

    return Graph()


def export(module: "PreTrainedModel", folder: Path) -> None:
    """Write the graph of a module, with batch and length left free, and its configuration.

    Args:
        module: In evaluation mode, on the CPU.
        folder: Where ``model.onnx`` and ``config.json`` go.

    Raises:
        Unsupported: If the package ``onnx`` is not installed.
        ModelError: If the architecture cannot be exported.
    """
    import torch

    segments = getattr(module.config, "type_vocab_size", 0) > 1
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if segments else [])]

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.module(**dict(zip(names, inputs, strict=True))).logits
            return logits

    example = torch.ones((2, 8), dtype=torch.int64)
    # One row padded: a mask of ones alone would be traced away.
    mask = example.clone()
    mask[1, 5:] = 0
    given = [example, mask, torch.zeros_like(example)]

    def write(place: Path) -> None:
        torch.onnx.export(
            Logits().eval(),
            tuple(given[: len(names)]),
            place,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={n: {0: "batch", 1: "length"} for n in names} | {"logits": {0: "batch"}},
            dynamo=False,
        )

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write_atomically(folder / GRAPH, write)
    except AuditError:
        raise
    except Exception as problem:
        if "onnx is not installed" in str(problem):
            raise Unsupported(
                "An export to ONNX needs the package onnx, which is not installed.", hint=_HINT
            ) from problem
        first = (str(problem) or type(problem).__name__).splitlines()[0]
        raise ModelError(
            f"The model cannot be exported to ONNX: {first}",
            hint="Export it by other means, and name the folder: --copy FOLDER.",
        ) from problem
    module.config.save_pretrained(folder)

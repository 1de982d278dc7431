"""Fit the benchmark's classification head on the packaged encoder, and put the two together.

The head is a logistic regression on what `BertForSequenceClassification` hands its classifier, the
encoder's pooled output: a few kilobytes, committed beside this script, that make the 22-million-
parameter encoder a real classifier in seconds.

    python -m benchmarks.heads.make           fits benchmarks/heads/edos.safetensors again
    python -m benchmarks.heads.make OUT       writes the whole model into the folder OUT

Source of the texts: EDOS (Kirk et al. 2023, arXiv:2303.04222), CC0-1.0.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from audit.resources import Resources

HEAD = Path(__file__).with_name("edos.safetensors")
LABELS = ("not sexist", "sexist")
_BESIDE = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def assemble(out: Path, head: Path = HEAD) -> Path:
    """Write a model folder from the packaged encoder and a committed head; return it.

    Raises:
        Unsupported: If the encoder is not installed, or is not the file it should be.
    """
    from safetensors.numpy import load_file, save_file

    encoder = Resources().encoder()
    out.mkdir(parents=True, exist_ok=True)
    weights = {
        f"bert.{name}": value
        for name, value in load_file(encoder / "model.safetensors").items()
        if not name.endswith("position_ids")
    }
    save_file(weights | load_file(head), out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((encoder / "config.json").read_text("utf-8"))
    config |= {
        "architectures": ["BertForSequenceClassification"],
        "problem_type": "single_label_classification",
        "id2label": {str(i): name for i, name in enumerate(LABELS)},
        "label2id": {name: i for i, name in enumerate(LABELS)},
    }
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
    for name in _BESIDE:
        if (encoder / name).exists():
            shutil.copyfile(encoder / name, out / name)
    return out


def fit(texts: list[str], sexist: list[int], *, max_length: int = 64) -> dict[str, np.ndarray]:
    """Return the classifier's weight ``(2, 384)`` and bias ``(2,)``."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoModel, AutoTokenizer

    folder = Resources().encoder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    rows = np.zeros((len(texts), encoder.config.hidden_size))
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), 32):
        some = order[start : start + 32]
        inputs = tokenizer(
            [texts[i] for i in some],
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
        )
        with torch.inference_mode():
            rows[some] = encoder(**inputs).pooler_output.numpy()
    centre, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000)
    model.fit((rows - centre) / scale, sexist)
    half = model.coef_[0] / scale / 2
    bias = (float(model.intercept_[0]) - 2 * float(half @ centre)) / 2
    return {
        "classifier.weight": np.stack([-half, half]).astype(np.float32),
        "classifier.bias": np.array([-bias, bias], dtype=np.float32),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--texts", type=int, default=6000, help="training texts")
    said = parser.parse_args()
    if said.out is not None:
        print(assemble(said.out))
        return
    from safetensors.numpy import save_file

    from tests import realdata

    rows = realdata.rows("edos", "train.jsonl")[: said.texts]
    made = fit([row["text"] for row in rows], [int(row["label"]) for row in rows])
    save_file(made, HEAD, metadata={"format": "pt", "trained_on": f"edos train, {len(rows)} texts"})
    print(f"{HEAD.name}: {HEAD.stat().st_size} bytes from {len(rows)} texts")


if __name__ == "__main__":
    main()

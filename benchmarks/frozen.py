"""Models for benchmarks of what was planted: heads on the frozen encoder, and fine-tuned ones."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit import sample
from audit.resources import Resources
from audit.types import Corpus


class Features:
    """The packaged encoder, frozen and mean-pooled; a text is paid for once, also over runs."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.rows: dict[bytes, np.ndarray] = {}
        self.paid = 0
        for path in sorted(work.glob("features-*.npz")):
            with np.load(path) as kept:
                self.rows |= zip(map(bytes, kept["keys"]), kept["values"], strict=True)
        self._loaded: tuple[Any, Any, Any] | None = None

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.pay(texts)
        return np.stack([self.rows[_key(t)] for t in texts]).astype(np.float64)

    def pay(self, texts: Iterable[str]) -> None:
        """Encode what was not encoded yet, similar lengths together, and keep it."""
        new = sorted(
            {t for t in texts if _key(t) not in self.rows}, key=lambda t: (len(t.split()), t)
        )
        for start in range(0, len(new), 4096):
            some = new[start : start + 4096]
            values = self._encode(some)
            keys = np.array([list(_key(t)) for t in some], np.uint8)
            # Named by content: a shard of an interrupted run is never overwritten by another.
            name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
            fresh = self.work / "fresh.npz"
            np.savez(fresh, keys=keys, values=values)
            fresh.replace(self.work / f"features-{name}.npz")
            self.rows |= zip(map(bytes, keys), values, strict=True)
            self.paid += len(some)
            if len(new) > 10_000:
                print(f"    encoded {start + len(some):,} of {len(new):,}", flush=True)

    def load(self) -> tuple[Any, Any, Any]:
        if self._loaded is None:
            import torch
            from transformers import AutoModel, AutoTokenizer

            folder = Resources().encoder()
            module = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
            self._loaded = torch, AutoTokenizer.from_pretrained(folder), module
        return self._loaded

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        torch, tokenizer, module = self.load()
        parts = []
        for start in range(0, len(texts), 24):
            inputs = tokenizer(texts[start : start + 24], padding=True, return_tensors="pt")
            with torch.inference_mode():
                hidden = module(**inputs).last_hidden_state
            mask = inputs["attention_mask"][..., None]
            parts.append(((hidden * mask).sum(1) / mask.sum(1)).numpy())
        # Half precision on disk and in memory, the same for training and for scoring.
        return np.concatenate(parts).astype(np.float16)


class Head:
    """A logistic regression on the frozen encoder: a classifier made in seconds."""

    labels = sample.LABELS

    def __init__(self, features: Features, corpus: Corpus, name: str) -> None:
        from sklearn.linear_model import LogisticRegression

        self.features, self.fingerprint = features, name
        x = features([e.text for e in corpus.examples])
        y = [sample.LABELS.index(str(e.label)) for e in corpus.examples]
        centre, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
        fitted = LogisticRegression(C=0.02, max_iter=2000).fit((x - centre) / spread, y)
        self.weights = fitted.coef_[0] / spread
        self.bias = float(fitted.intercept_[0] - self.weights @ centre)

    def probabilities(self, texts: Sequence[Any]) -> np.ndarray:
        p = 1 / (1 + np.exp(-(self.features(texts) @ self.weights + self.bias)))
        return np.stack([1 - p, p], axis=1)


class Recorder:
    """A classifier that answers nothing and writes down what it was asked."""

    labels = sample.LABELS
    fingerprint = "recorder"

    def __init__(self) -> None:
        self.texts: dict[str, None] = {}

    def probabilities(self, texts: Sequence[Any]) -> np.ndarray:
        self.texts |= dict.fromkeys(texts)
        return np.full((len(texts), len(self.labels)), 1 / len(self.labels))


def fine_tuned(work: Path, i: int) -> Any:
    """Return the packaged encoder fine-tuned on texts of its own, trained only once."""
    from audit import model, training
    from audit.config import ModelConfig
    from audit.settings import TrainConfig

    trained = training.train(
        TrainConfig(epochs=3, batch_size=16, max_length=96, seed=i),
        sample.generate(200 + i, 1500, stream_name="train"),
        sample.generate(200 + i, 300, stream_name="dev"),
        work / f"tuned-{i}",
        encoder=Resources().encoder(),
    )
    print(f"fine-tuned model {i}: dev macro-F1 {trained.dev['macro_f1']:.3f}", flush=True)
    spec = ModelConfig(path=str(trained.folder))
    return model.load(spec, model.identify(spec))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()

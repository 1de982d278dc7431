"""Settings of training and augmentation: the `[train]` table and the `[[recipe]]` entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from audit.types import STRICT, Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How a classifier is fine-tuned. The same settings and texts give the same model on a CPU."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    encoder: str = "packaged"
    """Local folder of a pretrained encoder, a hub id, or ``packaged`` for the one installed."""
    epochs: int = 3
    learning_rate: float = 2e-4
    """Of the classification head and every layer that is not frozen."""
    batch_size: int = 32
    max_length: int = 128
    """Tokens read of each text; batches are padded to their own longest text only."""
    warmup_ratio: float = 0.1
    """Share of all steps over which the learning rate rises; afterwards it falls linearly."""
    weight_decay: float = 0.01
    patience: int = 2
    """Epochs without a better dev macro-F1 after which training stops; 0: never early."""
    freeze_layers: int = 0
    """Lowest encoder layers that keep their weights, with the embeddings; 0: all are trained."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """``auto``: bf16 where a GPU or AMX computes it, else fp32; ``fp16`` needs a GPU."""
    method: Literal["full", "lora", "adalora", "ia3", "prompt", "prefix"] = "full"
    """What is trained: every weight; LoRA's low-rank updates (AdaLoRA's go where they matter most)
    or (IA)³'s scales inside the encoder; or made-up tokens in front of each text, of which a prompt
    is read by the first layer and a prefix by every layer. The head is trained in each."""
    rank: int = 8
    """Rank of LoRA's updates, which are scaled by two; of AdaLoRA's on average, at the end."""
    prompt_tokens: int = 20
    """Made-up tokens of ``prompt`` and ``prefix``; the model reads so many fewer of a text."""
    accumulate: int = 1
    """Batches whose gradients make one step: `batch_size` times as many texts count in each."""
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced``: labels weigh alike, however many texts each has (single-label)."""
    label_smoothing: float = 0.0
    """Share of each target that is spread over all labels, in [0, 1)."""
    dropout: float | None = None
    """Share of activations dropped in training, in [0, 1); the encoder's own where not set."""
    dev_share: float = 0.1
    """Share of the training texts held out, whole clusters at a time, where no ``dev`` corpus is
    given."""
    seed: int = 0
    seeds: int = 1
    """Trainings of a retrain, with seeds `seed`, `seed` + 1, …: a claim about a recipe wants 3."""
    keep_epochs: bool = False
    """Keep the model after each epoch in ``epochs/`` beside the best one, for ``evenhand epochs``;
    with method ``full``."""
    report_to: tuple[str, ...] = ()
    """Experiment trackers that transformers shall report to; none by default."""

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("max_length", 4),
            ("patience", 0),
            ("freeze_layers", 0),
            ("seed", 0),
            ("seeds", 1),
            ("rank", 1),
            ("prompt_tokens", 1),
            ("accumulate", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must lie between 0 and 1, got {self.learning_rate}")
        if not 0 <= self.warmup_ratio < 1:
            raise ValueError(f"warmup_ratio must lie in [0, 1), got {self.warmup_ratio}")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must not be negative, got {self.weight_decay}")
        if not 0 < self.dev_share < 1:
            raise ValueError(f"dev_share must lie between 0 and 1, got {self.dev_share}")
        for name in ("label_smoothing", "dropout"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {value}")
        if self.method != "full" and self.keep_epochs:
            raise ValueError("keep_epochs is for method full")
        if self.method != "full" and self.freeze_layers:
            raise ValueError(f"freeze_layers is for method full; {self.method} freezes them all")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeConfig:
    """One way of adding training texts, by name, with its settings."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesConfig:
    """The table ``[gates]``: limits that come from elsewhere."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    policy: str | None = None
    """A shipped policy (``hiring``, ``finance``, ``moderation``, ``customer_service``) or a TOML
    file of ``[[gate]]`` tables; its gates are judged beside those of the audit file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiversConfig:
    """The table ``[waivers]``: findings that somebody answers for until a day."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    file: str | None = None
    """TOML file of ``[[waiver]]`` tables, each with claim, reason, owner and expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewConfig:
    """The table ``[review]``: what people said of an earlier run's questions."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    file: str | None = None
    """Sheet that ``evenhand review`` wrote and people filled in: labels are corrected, and the
    share of valid changes is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineConfig:
    """The table ``[baseline]``: the audit that ``no_worse_than`` speaks of."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    path: str | None = None
    """Folder or ``.zip`` file that ``evenhand baseline save`` made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """The table ``[compare]``: what a comparison with another audit asks, written down before."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    margin: float = 0.02
    """Loss of accuracy, of all texts and of each group, that still counts as none."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """The same for other measurements: an id, a metric such as ``swaps.favourable_gap``, or a
    pattern with ``*``, to the largest worsening that counts as none."""
    primary: tuple[str, ...] = ()
    """Ids, metrics or patterns that are asked first, besides accuracy and what gates speak of."""

    def __post_init__(self) -> None:
        for name, value in {"margin": self.margin, **self.margins}.items():
            if not 0 < value < 1:
                raise ValueError(f"the margin of {name} must lie between 0 and 1, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """The table ``[watch]``: how ``evenhand watch`` reads a stream of predictions."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    prediction: str = "prediction"
    """Field with the label predicted (several in a list under a multi-label head)."""
    scores: str = "scores"
    """Field with label to probability; where a record has it, ``[decision]`` decides."""
    time: str = "time"
    """Field with the time of the record, as text; said with alerts."""
    window: int = 2000
    """Records of a gate's slice that a window covers."""
    step: int = 500
    """Records from one window's start to the next."""
    batch: int = 200
    """Records read before the gates are looked at and the state is saved."""
    reference: int = 2000
    """Records, the first of the stream, that drift is measured from."""
    drift: bool = True
    """Whether drift of scores, text lengths and words is watched beside the gates."""
    alpha: float = 0.05
    """Chance of any false alarm over all time and all that is watched, in (0, 1)."""
    gate: tuple[Gate, ...] = ()
    """Limits of the stream; where there are none, those of the audit file."""

    def __post_init__(self) -> None:
        for name, least in (("window", 2), ("step", 1), ("batch", 1), ("reference", 100)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.step > self.window:
            raise ValueError(f"step must not exceed window, got {self.step} and {self.window}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {self.alpha}")

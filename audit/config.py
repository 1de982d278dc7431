"""The audit file: what is audited, how, and against which limits, written down before the run."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from audit.borders import read_plain
from audit.errors import ConfigError
from audit.policies import gates_of
from audit.settings import (
    BaselineConfig,
    CompareConfig,
    GatesConfig,
    RecipeConfig,
    ReviewConfig,
    TrainConfig,
    WaiversConfig,
    WatchConfig,
)
from audit.starter import template as template
from audit.types import STRICT, Gate, Response

Kind = Literal["historical", "test", "synthetic"]
Format = Literal["csv", "tsv", "jsonl", "json", "parquet"]
HUB = "hub:"
DEEP = ("certificate",)
"""Probes that only a table of their own or ``--deep`` brings, for what they cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSection:
    """The table ``[audit]``: what holds for the whole audit."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str = ""
    """Title of the report; the model's name where empty."""
    seed: int = 0
    """The one seed behind every random draw, 0 or more."""
    alpha: float = 0.05
    """Error rate of the gates, in (0, 1): the chance of failing a model that keeps every limit."""
    level: float = 0.95
    """Coverage of the intervals in the tables, in (0, 1)."""
    undecided: Literal["exit3", "fail", "warn"] = "exit3"
    """What a blocking gate without enough evidence does to the exit code."""
    out: str = "audit-out"
    """Folder of the audit, beside the audit file."""
    cache: str | None = None
    """File that keeps scores; several audits may share one. In `out` where not named."""
    evidence: int = 4
    """Failing cases of each probe that are attributed word by word, both sides; 0: none."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")
        if self.evidence < 0:
            raise ValueError(f"evidence must be 0 or more, got {self.evidence}")
        _between("alpha", self.alpha)
        _between("level", self.level)
        if not self.out:
            raise ValueError("out must name a folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The table ``[model]``: the classifier under audit."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    path: str
    """Local folder, hub id ``owner/name``, or Python callable ``file.py:name`` (or module:name)."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; name a commit to pin it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """New names for the model's labels, e.g. ``{LABEL_0 = "ham", LABEL_1 = "spam"}``."""
    max_length: int | None = None
    """Tokens read of each text; what the model was made for where not set."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the arithmetic; ``auto`` is full precision on a CPU."""
    quantise: Literal["none", "int8"] = "none"
    """``int8``: a copy whose linear layers compute in eight bits, as many deployments do."""
    prune: float = 0.0
    """Share of the encoder's weights, the smallest of each layer, that a copy goes without."""
    batch_tokens: int | None = None
    """Padded tokens in one forward pass; moves speed and memory, not verdicts."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path must name a model")
        _at_least("max_length", self.max_length, 4)
        _at_least("batch_tokens", self.batch_tokens, 1)
        if not 0 <= self.prune < 1:
            raise ValueError(f"prune must lie in [0, 1), got {self.prune}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusConfig:
    """A table ``[corpora.NAME]``: where texts are, and what the columns mean."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    path: str
    """CSV, TSV, JSONL, JSON or Parquet file, plain or ``.gz``; or ``hub:owner/name``."""
    text: str = "text"
    """Column with the text."""
    second: str | None = None
    """Column with the second text, for a model that reads pairs."""
    label: str | None = None
    """Column with the true label; without it, error rates cannot be measured."""
    id: str | None = None
    """Column that names each text, without repeats; ``row-1``, ``row-2``, … where not set."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Attribute to column, e.g. ``{gender = "author_gender"}``; an empty cell means unknown."""
    cluster: str | None = None
    """Column of what makes texts dependent (author, template, source)."""
    votes: tuple[str, ...] = ()
    """Columns with the annotators' votes: one each, or one with votes parted by ``|``. They say how
    far annotators disagree (`data_audit`); the label is what they agreed on."""
    rationale: str | None = None
    """Column with what people marked as the reason for the label: a JSON list of spans of
    characters, ``[[0, 5], [12, 20]]``, or of words counted from 0 (`plausibility`)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label in the data to label of the model, e.g. ``{"1" = "spam", "0" = "ham"}``."""
    check_labels: bool = True
    """Refuse the corpus when the model fits its labels far better with their names exchanged."""
    format: Format | None = None
    """Told from the file's name where not set."""
    delimiter: str | None = None
    """One character between the cells of a CSV file; a comma where not set."""
    encoding: str = "utf-8"
    """Encoding of a CSV, TSV or JSON file, e.g. ``latin-1``, ``utf-16``."""
    split: str | None = None
    """Split of a hub data set; ``test`` where not set."""
    limit: int | None = None
    """Most texts taken, drawn by a hash of their ids; all where not set."""
    max_bytes: int = 65536
    """Longest text audited, in bytes of UTF-8; longer ones are left out and counted."""
    license: str = ""
    """Licence of the texts, for the report."""
    kind: Kind = "test"
    """Where the texts come from: ``historical``, ``test`` or ``synthetic`` data."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path must name a file")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise ValueError("delimiter must be one character, and no quote or line break")
        _at_least("limit", self.limit, 1)
        _at_least("max_bytes", self.max_bytes, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionConfig:
    """The table ``[decision]``: how scores become a decision."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    favourable: tuple[str, ...]
    """Labels that are good for the person concerned: deciding for one of them is a selection."""
    threshold: float | None = None
    """Least summed probability of the favourable labels for a selection, in (0, 1); the likeliest
    label decides where not set. Multi-label: least probability of a label that applies, else 0.5.
    """

    def __post_init__(self) -> None:
        if not self.favourable:
            raise ValueError("favourable must name at least one label")
        if len(set(self.favourable)) < len(self.favourable):
            raise ValueError("favourable names a label twice")
        if self.threshold is not None:
            _between("threshold", self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """A table ``[[probe]]``: its name, and beside it the probe's own settings."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    """One of ``evenhand probes``."""
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """One audit, complete: the same file gives the same result."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    audit: AuditSection = field(default_factory=AuditSection)
    """What holds for the whole audit."""
    model: ModelConfig
    """The classifier under audit."""
    decision: DecisionConfig
    """How its scores become a decision."""
    corpora: Mapping[str, CorpusConfig]
    """Texts by name: ``test`` is audited; ``train``, ``dev``, … serve probes and training."""
    probe: tuple[ProbeConfig, ...] = ()
    """What is measured, one table for each probe."""
    gate: tuple[Gate, ...] = ()
    """Limits on what is measured, one table for each; those of a policy stand behind them."""
    gates: GatesConfig = field(default_factory=GatesConfig)
    """Limits that come from elsewhere."""
    waivers: WaiversConfig = field(default_factory=WaiversConfig)
    """Findings that somebody answers for until a day."""
    review: ReviewConfig = field(default_factory=ReviewConfig)
    """Answers of reviewers to an earlier run's questions."""
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    """The audit that ``no_worse_than`` speaks of."""
    compare: CompareConfig = field(default_factory=CompareConfig)
    """What ``evenhand compare`` asks first, and which loss still counts as none."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """How ``evenhand watch`` reads a stream of predictions."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How ``evenhand train`` and ``retrain`` fine-tune."""
    recipe: tuple[RecipeConfig, ...] = ()
    """What ``evenhand retrain`` adds to the training texts."""
    system: Mapping[str, str] = field(default_factory=dict)
    """What the report says of the system around the model: name, owner, version, purpose, …"""
    scope: Mapping[str, str] = field(default_factory=dict)
    """What the audit covers and leaves out, in words."""
    responses: Mapping[str, str | Response] = field(default_factory=dict)
    """Replies of those responsible, by finding id, measurement or metric: a text, or a table with
    ``response``, ``owner``, ``due`` and ``cause``."""

    def __post_init__(self) -> None:
        if "test" not in self.corpora:
            raise ConfigError(
                "The audit file has no [corpora.test].",
                hint="Name the audited texts there; a table [corpora.NAME] of another name serves "
                "probes and training.",
            )
        for name in self.corpora:
            if not name.isidentifier():
                raise ConfigError(
                    f"{name!r} cannot be the name of a corpus.",
                    hint="Use letters, digits and underscores, e.g. [corpora.hatecheck].",
                )


def read(path: Path) -> AuditConfig:
    """Read an audit file.

    Raises:
        ConfigError: If it cannot be read, is not TOML, or a setting is missing, misspelt, of the
            wrong type or out of range. The message names the place, as ``audit.toml.gate[0]``.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as problem:
        why = "is a folder" if path.is_dir() else "cannot be read"
        if isinstance(problem, FileNotFoundError):
            why = "does not exist"
        raise ConfigError(
            f"The audit file {path} {why}.", hint="`evenhand init MODEL DATA` writes one."
        ) from problem
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise ConfigError(
            f"{path.name} is not UTF-8: line {line} holds a byte that cannot be read.",
            hint="Save it as UTF-8.",
        ) from problem
    return reads(text, path.name, path.parent)


def reads(text: str, name: str = "audit.toml", base: Path | None = None) -> AuditConfig:
    """Read the text of an audit file called `name` in the folder `base`; see `read`."""
    try:
        plain = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{name} is not TOML: {problem}.") from problem
    except (RecursionError, ValueError) as problem:
        raise ConfigError(f"{name} is not TOML that can be read.") from problem
    for table in ("probe", "recipe"):
        if isinstance(plain.get(table), list):
            plain[table] = [_split(entry) for entry in plain[table]]
    if isinstance(plain.get("gates"), list):
        raise ConfigError(
            f"{name} has [[gates]], but limits are [[gate]] and [gates] is one table.",
            hint="Did you mean 'gate'?",
        )
    config = read_plain(AuditConfig, plain, error=ConfigError, at=name)
    if config.gates.policy is None:
        return config
    return replace(config, gate=config.gate + gates_of(config.gates.policy, base or Path()))


def deepened(text: str, name: str = "audit.toml") -> str:
    """Return an audit file's text with a table for each of `DEEP` that it has none for.

    Raises:
        ConfigError: If its probes are written in a way that no table can be added to.
    """
    text = text.removeprefix("\ufeff")
    asked = {entry.get("name") for entry in tomllib.loads(text).get("probe", [])}
    more = "".join(
        f'\n# Asked for by --deep.\n[[probe]]\nname = "{probe}"\n'
        for probe in DEEP
        if probe not in asked
    )
    whole = f"{text.rstrip()}\n{more}" if more else text
    try:
        tomllib.loads(whole)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(
            f"--deep cannot add to the probes of {name}.", hint="Write each as a table [[probe]]."
        ) from problem
    return whole


def resolve(config: AuditConfig, base: Path) -> AuditConfig:
    """Return `config` with the paths inside it taken from the folder `base`.

    Hub ids, callables that are modules, and encoders that are not folders stay as they are.
    """

    def there(path: str) -> str:
        return str(place(path, base))

    model = config.model.path
    file, colon, name = model.rpartition(":")
    if colon and file.endswith(".py"):
        model = f"{there(file)}:{name}"
    elif place(model, base).exists():
        model = there(model)
    encoder = config.train.encoder
    if encoder != "packaged" and place(encoder, base).exists():
        encoder = there(encoder)
    section = config.audit
    return replace(
        config,
        audit=replace(
            section, out=there(section.out), cache=section.cache and there(section.cache)
        ),
        model=replace(config.model, path=model),
        corpora={
            key: spec if spec.path.startswith(HUB) else replace(spec, path=there(spec.path))
            for key, spec in config.corpora.items()
        },
        train=replace(config.train, encoder=encoder),
        review=replace(config.review, file=config.review.file and there(config.review.file)),
        waivers=replace(config.waivers, file=config.waivers.file and there(config.waivers.file)),
        baseline=replace(
            config.baseline, path=config.baseline.path and there(config.baseline.path)
        ),
    )


def place(path: str, base: Path) -> Path:
    """Return where `path` of an audit file in the folder `base` is; ``~`` is the user's home."""
    return base / os.path.expanduser(path)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the audit file, for editors.

    The settings of a probe or recipe stand beside its name in the file, so they are left open.
    """
    from pydantic import TypeAdapter

    whole = TypeAdapter(AuditConfig).json_schema()
    for cls in (
        *(AuditConfig, AuditSection, ModelConfig, CorpusConfig, DecisionConfig, TrainConfig),
        *(ProbeConfig, RecipeConfig, Gate, GatesConfig, WaiversConfig, BaselineConfig),
        *(CompareConfig, WatchConfig, ReviewConfig),
    ):
        table = whole if cls is AuditConfig else whole["$defs"][cls.__name__]
        table["description"] = (cls.__doc__ or "").partition("\n")[0]
    for cls in (ProbeConfig, RecipeConfig):
        table = whole["$defs"][cls.__name__]
        del table["properties"]["params"]
        table["additionalProperties"] = True
    whole["properties"]["corpora"]["required"] = ["test"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "Evenhand audit file",
    }


def _split(entry: Any) -> Any:
    """Put the settings that stand beside a probe's name under ``params``."""
    if not isinstance(entry, dict):
        return entry
    params = {key: value for key, value in entry.items() if key != "name"}
    return {key: value for key, value in entry.items() if key == "name"} | {"params": params}


def _between(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {value}")


def _at_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")

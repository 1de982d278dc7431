"""The nouns of an audit. Plain frozen data: no behaviour, no torch, no pandas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Text = str | tuple[str, str]
"""What a model reads: one string, or two for a model of pairs."""
Head = Literal["single", "multi"]
Severity = Literal["critical", "serious", "moderate", "minor"]
Status = Literal["pass", "fail", "inconclusive", "not_estimable", "not_applicable", "error"]

# Read by pydantic at the borders; inside, `__post_init__` checks what must hold.
STRICT: dict[str, object] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One text."""

    id: str
    text: str
    second: str | None = None
    """The second text, where the model reads pairs."""
    label: str | tuple[str, ...] | None = None
    """The true label; several under a multi-label head; None when nobody has said."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Attribute to value, e.g. ``{"gender": "female"}``. Absent means unknown, never 'other'."""
    cluster: str | None = None
    """Texts of one cluster (author, template, source) are not independent; None: its own."""
    votes: tuple[str, ...] = ()
    """What each annotator said, where that is known."""
    rationale: tuple[tuple[int, int], ...] | None = None
    """Characters of `text` that a person marked as the reason, ``text[start:end]``; None: nobody
    has looked."""

    @property
    def input(self) -> Text:
        return self.text if self.second is None else (self.text, self.second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The texts of one audit, in a fixed order."""

    name: str
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    license: str = ""
    kind: Literal["historical", "test", "synthetic"] = "test"
    sha256: str = ""
    skips: tuple["Skip", ...] = ()
    """Rows of the file that are not among the examples, and why."""

    def __post_init__(self) -> None:
        if len({e.id for e in self.examples}) != len(self.examples):
            raise ValueError(f"corpus {self.name!r} has two examples with the same id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The only way from scores to a label."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    labels: tuple[str, ...]
    favourable: tuple[str, ...]
    """Labels that count as selection."""
    threshold: float | None = None
    """Single: favourable when the favourable labels' probabilities sum to at least this; None means
    the top label decides. Multi: a label applies from this probability on; None means 0.5."""
    head: Head = "single"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Basis of a proportion."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["counts"] = "counts"
    hits: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoCounts:
    """Basis of the difference or ratio of two independent proportions."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["two_counts"] = "two_counts"
    hits: int
    n: int
    other_hits: int
    other_n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Basis of a net change over `n` pairs: `b` went one way, `c` the other."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["pairs"] = "pairs"
    n: int
    b: int
    c: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Basis of a mean with a standard error and degrees of freedom."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["means"] = "means"
    mean: float
    se: float
    df: float
    low: float | None = None
    """Least value the quantity can take, if it has one."""
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Basis of a bootstrap estimate: quantiles of the resampling distribution."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["quantiles"] = "quantiles"
    probs: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoMeans:
    """Basis of the difference of two numbers that may rest on the same texts."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["two_means"] = "two_means"
    one: Means
    other: Means
    correlation: float
    """Of their errors, in [-1, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Basis of a mean watched while it grows: bounds hold at every moment of looking at once.

    At `alpha` on each side they are ``centre`` less and plus ``slack - scale * log(alpha)``.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["stream"] = "stream"
    centre: float
    slack: float
    scale: float
    low: float
    """Least value a unit can take."""
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Basis of a number that was looked at while its texts were read, under a budget.

    Bounds and p-values hold over all looks together, see `audit.looks`.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT
    kind: Literal["looks"] = "looks"
    look: int
    """The look it is from, 1 to `looks`."""
    looks: int
    """Looks declared beforehand; the last reads all texts."""
    texts: int
    """Texts read at this look: the first of the reading order."""
    of: Counts | TwoCounts | Pairs | Means | TwoMeans | Quantiles | Stream
    """What the number alone rests on."""

    def __post_init__(self) -> None:
        if not 1 <= self.look <= self.looks:
            raise ValueError(f"look {self.look} of {self.looks}")


Basis = Counts | TwoCounts | Pairs | Means | TwoMeans | Quantiles | Stream | Looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its uncertainty. There is no way to make one without the other."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    value: float
    low: float
    high: float
    n: int
    """Independent units behind the number (texts, sources), not perturbations of texts."""
    n_effective: float | None = None
    """Units after the design effect of clusters; None when units are independent."""
    level: float
    method: str
    mde: float | None = None
    """Smallest true effect that would have been detected with 80 % power at this `n`."""
    basis: Basis

    def __post_init__(self) -> None:
        if not all(map(isfinite, (self.value, self.low, self.high))):
            raise ValueError(
                f"an estimate must be finite, got {self.low}, {self.value}, {self.high}"
            )
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} lies outside its interval {self.low} to {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """What a statistic returns instead of a number."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    code: str
    """Machine-readable, snake_case: ``empty``, ``too_few``, ``one_class``, ``no_variation`` …"""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """What a denominator left out, and why."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One metric on one slice."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    id: str
    """``probe.metric[key=value,…]``: names the number everywhere. Made by `measurement_id`."""
    metric: str
    where: Mapping[str, str] = field(default_factory=dict)
    """The slice. Empty means the whole corpus."""
    value: Estimate | Absent
    unit: str
    eligible: int
    """Texts the question was asked of."""
    left_out: tuple[Skip, ...] = ()
    family: str = ""
    """Metrics corrected together when nothing was declared; empty: descriptive."""
    budget: str = ""
    """What a search was allowed, printed beside its result."""

    @property
    def used(self) -> int:
        """Texts behind the number: eligible less what was left out."""
        return self.eligible - sum(s.count for s in self.left_out)

    def __post_init__(self) -> None:
        if self.used < 0:
            raise ValueError(f"{self.id}: more texts left out than eligible")
        if isinstance(self.value, Estimate) and self.value.n > self.used:
            raise ValueError(f"{self.id}: n={self.value.n} exceeds the {self.used} texts used")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a reader can look at to believe a number."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    metric: str
    """Id of the measurement it belongs to."""
    example_id: str
    cluster: str | None = None
    before: str
    after: str
    score_before: float
    """Score of the favourable labels (single head: summed probability), in [0, 1]."""
    score_after: float
    flipped: bool = False
    note: str = ""
    words: tuple[str, ...] = ()
    """Words of `before`, where an attribution is shown."""
    weights: tuple[float, ...] = ()
    """Attribution of each word to the favourable score, same length as `words`."""
    reliability: str = ""
    """How far those weights can be trusted: ``high``, ``limited`` or ``low``, a colon, the reasons;
    empty where nobody looked."""
    words_after: tuple[str, ...] = ()
    """The same of `after`, where both sides of a change are attributed."""
    weights_after: tuple[float, ...] = ()
    reliability_after: str = ""

    def __post_init__(self) -> None:
        if len(self.words) != len(self.weights):
            raise ValueError("words and weights differ in length")
        if len(self.words_after) != len(self.weights_after):
            raise ValueError("words and weights of the changed text differ in length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Many cases as columns of equal length; a probe yields these, the store keeps all of them."""

    metric: str
    example_id: Sequence[str]
    before: Sequence[str]
    after: Sequence[str]
    score_before: Sequence[float] | Floats
    score_after: Sequence[float] | Floats
    flipped: Sequence[bool] | NDArray[np.bool_]
    cluster: Sequence[str | None] = ()
    note: Sequence[str] = ()
    words: Sequence[tuple[str, ...]] = ()
    weights: Sequence[tuple[float, ...]] = ()

    def __len__(self) -> int:
        return len(self.example_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How far each text moved a number: what pairs two audits of it, text by text.

    To first order an estimate misses the truth by the sum of these, one for each text behind it;
    for a mean over ``n`` texts a text's influence is its value less the mean, over ``n``.
    """

    metric: str
    """Id of the measurement."""
    example_id: Sequence[str]
    cluster: Sequence[str | None]
    value: Sequence[float]
    of_mean: bool = False
    """The number is the mean of one value for each of these texts."""


Fact = Measurement | Case | Cases | Influence | Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRun:
    """All that one probe said."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    probe: str
    version: str
    params: Mapping[str, object]
    measurements: tuple[Measurement, ...] = ()
    cases: tuple[Case, ...] = ()
    """The selection shown in the report; all of them stand in ``cases.parquet``."""
    cases_total: int = 0
    cases_sha256: str = ""
    skips: tuple[Skip, ...] = ()
    error: str = ""
    """Why the probe did not finish. Empty when it did."""
    not_run: str = ""
    """Why the probe was not run at all (a resource is missing). Empty when it was."""
    not_run_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit that measurements must keep, as the user wrote it."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    metric: str
    """``probe.metric``; ``*`` matches within a name."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Key to value of the slices it speaks of; ``*`` matches any value. Empty: every slice."""
    at_most: float | None = None
    at_least: float | None = None
    no_worse_than: Literal["baseline"] | None = None
    margin: float | None = None
    min_n: int = 30
    severity: Severity = "serious"
    blocking: bool = True
    optional: bool = False
    """An empty slice is then *not_applicable* instead of *not_estimable*."""
    undecided: Literal["exit3", "fail", "warn"] | None = None
    """What an undecided claim of it does to the exit code; None: what the audit says. ``fail`` lets
    the far end of the interval count, ``warn`` the near end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One metric, one slice, one limit: what a gate becomes before anything runs."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    id: str
    """``measurement_id <= limit`` or ``measurement_id >= limit``."""
    measurement: str
    side: Literal["at_most", "at_least"]
    limit: float
    gate: int
    """Position of its gate in the audit file."""
    min_n: int = 30
    severity: Severity = "serious"
    blocking: bool = True
    optional: bool = False
    against: Literal["level", "baseline"] = "level"
    undecided: Literal["exit3", "fail", "warn"] | None = None
    """None: what the audit says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a claim came to, in words that can be quoted."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    claim: Claim
    status: Status
    p_break: float | None = None
    """One-sided p-value against 'the limit is kept'."""
    p_break_adjusted: float | None = None
    """The same after Holm over the audit's blocking claims."""
    p_keep: float | None = None
    """One-sided p-value against 'the limit is broken'."""
    interval: tuple[float, float] | None = None
    """The interval that decided, at `interval_level`."""
    interval_level: float | None = None
    value: float | None = None
    m: int
    n: int | None = None
    because: str
    waived_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A finding that somebody answers for until a day."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    claim: str
    """Claim, measurement or metric; ``*`` stands for any run of characters, all else for itself."""
    reason: str
    owner: str
    """Who answers for it."""
    expires: str
    """Last day on which it holds, ``YYYY-MM-DD``."""

    def __post_init__(self) -> None:
        for name in ("claim", "reason", "owner"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must say something")
        try:
            date.fromisoformat(self.expires)
        except ValueError:
            raise ValueError(
                f"expires must be a day, as 2027-01-31, got {self.expires!r}"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What those who are responsible say to a finding."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    response: str = ""
    """What is done about it, or why nothing is."""
    owner: str = ""
    """Who answers for it."""
    due: str = ""
    """By when, ``YYYY-MM-DD``."""
    cause: str = ""
    """What was found to cause it: an audit of answers cannot tell."""

    def __post_init__(self) -> None:
        if self.due:
            try:
                date.fromisoformat(self.due)
            except ValueError:
                raise ValueError(f"due must be a day, as 2027-01-31, got {self.due!r}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something a reader should act on: criterion, condition, effect, evidence."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    id: str
    """Stable over re-runs: a hash of metric, slice and probe."""
    title: str
    severity: Severity
    criterion: str
    condition: str
    effect: str
    recommendation: str
    measurement: str
    claim: str = ""
    example_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedProbe:
    """What one probe would do."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    probe: str
    version: str
    params: Mapping[str, object]
    units: int
    queries: int
    upper_bound: bool = False
    """`queries` is a bound, not a forecast: searches stop early."""
    measurements: tuple[str, ...]
    """Ids of what it will measure."""
    mde: Mapping[str, float] = field(default_factory=dict)
    """Measurement id to smallest effect detectable with 80 % power, where it can be told."""
    not_run: str = ""
    not_run_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was decided before anything ran."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    digest: str
    seed: int
    alpha: float
    level: float
    undecided: Literal["exit3", "fail", "warn"]
    decision: Decision
    probes: tuple[PlannedProbe, ...]
    claims: tuple[Claim, ...]
    audit_file: str = ""
    """The file as run."""
    name: str = ""
    """Title that the user gave the audit; the model's name serves where it is empty."""
    budget: str = ""
    """What it may cost, as ``20000-calls`` or ``10m``; empty: all texts are read."""
    margin: float = 0.02
    """Loss of accuracy, of all texts and of each group, that a comparison counts as none."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """The same for other measurements, by id, by metric, or with ``*``."""
    primary: tuple[str, ...] = ()
    """What a comparison asks first, besides accuracy and what gates speak of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusInfo:
    """What a result says of a corpus; the texts stay outside."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    path: str
    texts: int
    sha256: str
    kind: str
    license: str = ""
    labels: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Attribute to value to count; the key ``""`` counts the unknown."""
    truncated: int = 0
    skips: tuple[Skip, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Enough to run the same audit again."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    model: str
    model_name: str
    labels: tuple[str, ...]
    head: Head
    corpora: tuple[CorpusInfo, ...]
    resources: Mapping[str, str] = field(default_factory=dict)
    """Digest of each word list, encoder or word net that a probe read."""
    packages: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    platform: str = ""
    device: str = ""
    dtype: str = ""
    threads: int = 0
    code: str = ""
    """Version of this suite, and its commit where it runs from a checkout."""
    operator: str = ""
    system: Mapping[str, str] = field(default_factory=dict)
    scope: Mapping[str, str] = field(default_factory=dict)
    responses: Mapping[str, Response] = field(default_factory=dict)
    """By finding id, measurement or metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeCost:
    """What one probe cost."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    probe: str
    queries: int = 0
    forwards: int = 0
    seconds: float = 0.0
    from_journal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What moves from run to run and decides nothing: outside digest and equality."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    started: str = ""
    finished: str = ""
    host: str = ""
    seconds: float = 0.0
    probes: tuple[ProbeCost, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One metric before and after, paired on the same texts."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    measurement: str
    before: Estimate | Absent
    after: Estimate | Absent
    difference: Estimate | Absent
    """After less before."""
    better: Literal["lower", "higher", "nearer_zero", ""] = ""
    verdict: Literal["better", "worse", "undecided", "unchanged", "not_estimable"] = "undecided"
    primary: bool = False
    """Asked first: accuracy, what a gate speaks of, and what the audit file names."""
    p: float | None = None
    """Two-sided, against 'no change for the better or the worse'; None: nothing to test."""
    p_adjusted: float | None = None
    """The same after correction over all questions of the comparison."""
    margin: float | None = None
    """Loss that still counts as none, where one was declared."""
    kept: Literal["kept", "broken", "undecided", ""] = ""
    """Whether a loss of `margin` or more is ruled out, shown, or neither; empty: no margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimChange:
    """One claim in two audits."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    claim: str
    measurement: str
    before: Status | None = None
    """None: that audit makes no such claim."""
    after: Status | None = None
    outcome: Literal["new", "resolved", "remains", "opened", "closed", "same", "one_sided"]
    """A failure that came, went or stays; a pass that is open now, or the other way round; neither;
    or a claim of one audit alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One change over several trainings that differ in their seed."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    measurement: str
    values: tuple[float, ...]
    """The change under each seed."""
    sd: float
    """Of `values`: the luck of one training."""
    sampling: float
    """Standard error of one change from the texts; it does not shrink with more seeds."""
    mean: Estimate | Absent
    """Over the seeds, with both errors; `Absent` for fewer than three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two audits of the same texts, side by side."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    before: str
    after: str
    texts: int
    changes: tuple[Change, ...]
    words: tuple[str, ...] = ()
    """What was gained, lost and left undecided, in sentences."""
    advice: tuple[str, ...] = ()
    """What follows from it for who has to choose, the verdict first."""
    claims: tuple[ClaimChange, ...] = ()
    spread: tuple[Spread, ...] = ()
    unlike: tuple[str, ...] = ()
    """In what the two audits differ besides the model; empty: in nothing that moves a number."""
    before_name: str = ""
    after_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """The whole audit: the only thing a report is made from."""

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    schema: int = 1
    plan: Plan
    provenance: Provenance
    runs: tuple[ProbeRun, ...]
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    """The waivers as read, those that waive nothing included."""
    comparison: Comparison | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """File beside the result to its SHA-256."""
    telemetry: Telemetry = field(default_factory=Telemetry, compare=False)


def measurement_id(probe: str, metric: str, where: Mapping[str, str] | None = None) -> str:
    """Return ``probe.metric[key=value,…]`` with sorted keys.

    Characters that the form itself uses, and control characters, are percent-encoded in keys and
    values, so that two different slices never share an id.
    """
    if not where:
        return f"{probe}.{metric}"
    inner = ",".join(f"{_quoted(k)}={_quoted(v)}" for k, v in sorted(where.items()))
    return f"{probe}.{metric}[{inner}]"


def _quoted(word: str) -> str:
    return "".join(
        c
        if c.isprintable() and c not in "%[],="
        else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "surrogatepass"))
        for c in word
    )

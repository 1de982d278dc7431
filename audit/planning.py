"""What an audit would do, decided and written down before anything runs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from audit import catalogue, corpus, decision, gates, model, review, store
from audit.bench import Bench, Probe
from audit.cache import Memory
from audit.checkpoint import Identity, file_digest
from audit.classifier import Classifier, Lazy
from audit.config import AuditConfig, place
from audit.errors import ConfigError, ResultError, Unsupported
from audit.journal import Journal
from audit.resources import Resources
from audit.scorer import Scorer
from audit.shipped import shipped
from audit.types import Corpus, Decision, Plan, PlannedProbe, ProbeRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An audit that is complete but has not begun: every probe is made, nothing is scored."""

    config: AuditConfig
    base: Path
    identity: Identity
    scorer: Scorer
    corpora: Mapping[str, Corpus]
    decision: Decision
    probes: tuple[Probe, ...]
    benches: tuple[Bench, ...]
    read: Mapping[str, str]
    """Corpus to the digest of its texts as they were read: see `as_read`."""
    plan: Plan
    reviewed: tuple[review.Relabelled, Mapping[str, review.Answer]] | None = None
    """The audited texts under their reviewed labels, and what reviewers said."""

    @property
    def test(self) -> Corpus:
        return self.corpora["test"]

    def told(self, runs: Sequence[ProbeRun], parts: Sequence[Path]) -> tuple[ProbeRun, ...]:
        """Return the runs with what reviewers said of an earlier run's questions."""
        if self.reviewed is None:
            return tuple(runs)
        labels, said = self.reviewed
        return review.applied(runs, parts, said, labels, level=self.plan.level)


def prepare(
    config: AuditConfig,
    *,
    base: Path = Path(),
    audit_file: str = "",
    memory: Memory | None = None,
    journal: Journal | None = None,
    classifier: Classifier | None = None,
    corpora: Mapping[str, Corpus] | None = None,
    budget: str = "",
) -> Prepared:
    """Read the data, identify the model, make and plan every probe, expand every gate.

    Args:
        config: The audit file, read.
        base: Folder that its relative paths start from.
        audit_file: The file's text as run, kept in the result.
        memory: Where scores are kept.
        journal: Where work outside the scorer is kept.
        classifier: A classifier in memory, instead of ``[model]``.
        corpora: Corpora in memory, instead of ``[corpora]``.
        budget: What the audit may cost, in words; part of the plan.

    Raises:
        AuditError: If anything in the audit file cannot be done as written. All probes are made
            before the first runs: a typo in the last must not cost the night.
    """
    if classifier is None:
        identity = model.identify(config.model, base)
        source: Classifier | Lazy = Lazy(identity, lambda: model.load(config.model, identity, base))
    else:
        source = classifier
        identity = Identity(
            name=type(classifier).__name__,
            kind="callable",
            labels=classifier.labels,
            head=getattr(classifier, "head", "single"),
            fingerprint=classifier.fingerprint,
        )
    if corpora is None:
        corpora = {
            name: corpus.load(
                spec, base, name=name, model_labels=identity.labels, head=identity.head
            )
            for name, spec in config.corpora.items()
        }
    reviewed = None
    if config.review.file:
        said = review.read(place(config.review.file, base))
        reviewed = review.relabelled(corpora["test"], said), said
        corpora = {**corpora, "test": reviewed[0].corpus}
    rule = decision.make(
        identity.labels,
        config.decision.favourable,
        threshold=config.decision.threshold,
        head=identity.head,
    )
    scorer = Scorer(source, memory=memory, batch_tokens=config.model.batch_tokens)
    resources = Resources()
    probes, benches = [], []
    for i, entry in enumerate(config.probe):
        probe = catalogue.make(entry.name, entry.params, at=f"probe[{i}] ({entry.name})")
        bench = Bench(
            probe=probe.name,
            corpus=corpora["test"],
            corpora=corpora,
            scorer=scorer,
            decision=rule,
            resources=resources,
            seed=config.audit.seed,
            level=config.audit.level,
        )
        if journal is not None:
            bench = replace(bench, remember=journal.remember)
        probes.append(probe)
        benches.append(bench)
    planned = [_planned(p, b) for p, b in zip(probes, benches, strict=True)]
    _refuse_collisions(planned)
    claims = gates.expand(config.gate, planned)
    plan = Plan(
        digest="",
        name=config.audit.name,
        seed=config.audit.seed,
        alpha=config.audit.alpha,
        level=config.audit.level,
        undecided=config.audit.undecided,
        decision=rule,
        probes=tuple(planned),
        claims=claims,
        audit_file=audit_file,
        budget=budget,
        margin=config.compare.margin,
        margins=config.compare.margins,
        primary=config.compare.primary,
    )
    read = {name: as_read(one) for name, one in sorted(corpora.items())}
    plan = replace(plan, digest=plan_digest(plan, identity, read))
    return Prepared(
        read=read,
        config=config,
        base=base,
        identity=identity,
        scorer=scorer,
        corpora=corpora,
        decision=rule,
        probes=tuple(probes),
        benches=tuple(benches),
        plan=plan,
        reviewed=reviewed,
    )


def as_read(texts: Corpus) -> str:
    """Return the SHA-256 of a corpus as probes see it: texts, ids, labels, groups, clusters.

    The file's own digest is not enough: the audit file says which of its columns are read, how, and
    how many rows.
    """
    state = hashlib.sha256(texts.sha256.encode())
    for e in texts.examples:
        row: list[object] = [e.id, e.text, e.second, e.label, sorted(e.groups.items()), e.cluster]
        row += [list(e.votes)] if e.votes else []
        row += [] if e.rationale is None else [["rationale", *map(list, e.rationale)]]
        state.update(json.dumps(row).encode())
    return state.hexdigest()


def plan_digest(plan: Plan, identity: Identity, read: Mapping[str, str]) -> str:
    """Return the SHA-256 of what was decided: probes, claims, rules, model and data.

    The audit file's own text is not in it: a comment does not make another plan.
    """
    said = asdict(replace(plan, digest="", audit_file="", name=""))
    said["model"] = identity.fingerprint
    said["corpora"] = dict(read)
    if not plan.budget:
        # A plan without a budget is the plan it was before there were any.
        del said["budget"]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def unit_key(probe: Probe, prepared: Prepared) -> str:
    """Return the key under which a finished run of `probe` is kept.

    It names everything that moves the facts: probe, version, settings, model, corpora, decision,
    seed, level, resources. Gates are not among it, so re-gating takes every unit from the journal.
    """
    return digest_of(
        probe.name,
        probe.version,
        catalogue.settings(probe),
        prepared.identity.fingerprint,
        dict(prepared.read),
        asdict(prepared.decision),
        prepared.plan.seed,
        prepared.plan.level,
        prepared.config.audit.evidence,
        dict(prepared.benches[0].resources.digests()) if prepared.benches else {},
        # The cards hold the digest of every word list, template and table that comes along.
        (shipped("datasets") / "sources.toml").read_text("utf-8"),
        {path.name: file_digest(path) for path in getattr(probe, "files", ())},
    )


def digest_of(*parts: Any) -> str:
    """Return the SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _planned(probe: Probe, bench: Bench) -> PlannedProbe:
    shared: dict[str, Any] = {
        "probe": probe.name,
        "version": probe.version,
        "params": catalogue.settings(probe),
    }
    try:
        _check_needs(probe, bench)
        planned = probe.plan(bench)
    except Unsupported as reason:
        return PlannedProbe(
            **shared,
            units=0,
            queries=0,
            measurements=(),
            not_run=str(reason),
            not_run_hint=reason.hint,
        )
    return PlannedProbe(
        **shared,
        units=planned.units,
        queries=planned.queries,
        upper_bound=planned.upper_bound,
        measurements=planned.claims,
        mde=dict(planned.mde),
    )


def _check_needs(probe: Probe, bench: Bench) -> None:
    examples = bench.corpus.examples
    if "labels" in probe.needs and not any(e.label is not None for e in examples):
        raise Unsupported(
            f"{probe.name} needs true labels, and the corpus has none.",
            hint="Name their column with label under [corpora.test].",
        )
    if "groups" in probe.needs and not any(e.groups for e in examples):
        raise Unsupported(
            f"{probe.name} needs groups, and no text of the corpus has one.",
            hint="Name their columns under [corpora.test.groups].",
        )


def _refuse_collisions(planned: Sequence[PlannedProbe]) -> None:
    seen: dict[str, int] = {}
    for i, probe in enumerate(planned):
        for name in probe.measurements:
            if name in seen:
                raise ConfigError(
                    f"Two probes would both measure {name}.",
                    hint=f"Drop probe[{i}] or change the settings that tell it from "
                    f"probe[{seen[name]}].",
                )
            seen[name] = i


def speed(prepared: Prepared, out: Path) -> tuple[float | None, str]:
    """Return texts per second to reckon with, and where the figure comes from.

    Measured by the last run in `out` where there is one; else guessed from the size of the weights,
    for two cores of a laptop. None for a callable, whose speed nobody can tell.
    """
    try:
        costs = store.read(out).telemetry.probes
    except ResultError:
        costs = ()
    paid, seconds = sum(c.forwards for c in costs), sum(c.seconds for c in costs)
    if paid > 100 and seconds > 0:
        return paid / seconds, "measured by the last run here"
    folder = prepared.identity.base or prepared.identity.folder
    if folder is None:
        return None, ""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    # A 90-megabyte encoder reads about 150 short texts a second on two cores.
    return 150 * 90e6 / max(size, 1_000_000), "guessed from the model's size"

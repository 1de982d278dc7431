"""Asking the model again: does it still score a sample of the cases as the result says?"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audit import config, corpus, decision, model, planning, review, store
from audit.checkpoint import Identity
from audit.errors import AuditError
from audit.scorer import Scorer
from audit.seeding import stream
from audit.types import AuditResult, Corpus
from audit.verify import Check
from audit.wordshares import TOP_WORDS

NEAR = 1e-4
"""Largest difference of a score that another batch or machine may make in float32."""


def rerun(
    folder: Path,
    *,
    base: Path,
    path: str | None = None,
    sample: int = 20,
) -> tuple[Check, ...]:
    """Hold model, texts, plan and a sample of the cases against the result in `folder`.

    Args:
        folder: Of the audit.
        base: Folder that paths of its audit file start from.
        path: The model, instead of the one the audit file names.
        sample: Cases scored again, drawn by the result's own digest.
    """
    result = store.read(folder)
    try:
        read = config.reads(result.plan.audit_file, base=base)
    except AuditError as problem:
        return (_blank("model", f"The audit file in the result cannot be read: {problem}"),)
    spec = replace(read.model, path=path) if path is not None else read.model
    try:
        identity = model.identify(spec, Path() if path is not None else base)
    except AuditError as problem:
        return (_blank("model", f"The model is not to be had: {problem}"),)
    checks = [_model(result, identity)]
    corpora, said = _corpora(result, read, base, identity)
    checks += said
    checks.append(_plan(result, read, base, identity, spec, corpora))
    classifier = model.load(spec, identity, Path() if path is not None else base)
    rule = decision.make(
        identity.labels,
        read.decision.favourable,
        threshold=read.decision.threshold,
        head=identity.head,
    )
    scorer = Scorer(classifier, batch_tokens=read.model.batch_tokens)

    def scored(texts: Sequence[Any]) -> Any:
        return decision.decide(rule, scorer(list(texts))).score

    checks.append(_units(result, folder, corpora.get("test"), scored, sample))
    if read.corpora["test"].second is not None:
        checks.append(_blank("cases", "Cases of pairs of texts cannot be put to the model again."))
    else:
        checks.append(_cases(result, folder, scored, sample))
    return tuple(checks)


def _model(result: AuditResult, identity: Identity) -> Check:
    if identity.fingerprint != result.provenance.model:
        return _no(
            "model",
            f"The model at {identity.name} is another one than the result was made with.",
        )
    return _yes("model", "Its fingerprint is the one in the result.")


def _corpora(
    result: AuditResult, read: config.AuditConfig, base: Path, identity: Identity
) -> tuple[dict[str, Corpus], list[Check]]:
    found: dict[str, Corpus] = {}
    checks = []
    for info in result.provenance.corpora:
        what = f"corpus {info.name}"
        if info.name not in read.corpora:
            checks.append(_no(what, f"The audit file names no corpus {info.name}."))
            continue
        try:
            one = corpus.load(
                read.corpora[info.name],
                base,
                name=info.name,
                model_labels=identity.labels,
                head=identity.head,
            )
        except AuditError as problem:
            checks.append(_blank(what, f"The texts are not to be had: {problem}"))
            continue
        if one.sha256 != info.sha256 or len(one.examples) != info.texts:
            checks.append(_no(what, f"The corpus {info.name} is another one than was audited."))
        else:
            checks.append(_yes(what, f"{info.texts} texts with the digest in the result."))
            found[info.name] = one
    if read.review.file and "test" in found:
        try:
            answers = review.read(config.place(read.review.file, base))
            found["test"] = review.relabelled(found["test"], answers).corpus
        except AuditError as problem:
            checks.append(_blank("review", f"The reviewers' answers are not to be had: {problem}"))
            del found["test"]
    return found, checks


def _plan(
    result: AuditResult,
    read: config.AuditConfig,
    base: Path,
    identity: Identity,
    spec: config.ModelConfig,
    corpora: dict[str, Corpus],
) -> Check:
    what = "plan digest"
    if set(corpora) != set(read.corpora):
        return _blank(what, "Not every corpus of the audit file is to be had as it was.")
    texts = {name: planning.as_read(one) for name, one in sorted(corpora.items())}
    if planning.plan_digest(result.plan, identity, texts) != result.plan.digest:
        return _no(what, "The plan is another one than its digest, taken before the run, says.")
    return _yes(what, "Plan, model and texts give the digest that was taken before the run.")


def _units(
    result: AuditResult, folder: Path, texts: Corpus | None, scored: Any, sample: int
) -> Check:
    what = "texts scored again"
    if texts is None or not texts.examples:
        return _blank(what, "The audited texts are not to be had as they were.")
    table = store.read_table(folder, store.UNITS)
    score = dict(zip(table["id"], table["score"], strict=True))
    chosen = [texts.examples[i] for i in _drawn(result, "units", len(texts.examples), sample)]
    if any(e.id not in score for e in chosen):
        return _no(what, "units.parquet lacks a text of the corpus.")
    far = np.abs(scored([e.input for e in chosen]) - [score[e.id] for e in chosen])
    return _held(what, far, "texts")


def _cases(result: AuditResult, folder: Path, scored: Any, sample: int) -> Check:
    what = "cases scored again"
    table = store.read_table(folder, store.CASES)
    # A list of words is shown among the cases, but is no text that was scored.
    texts = [i for i, id in enumerate(table["example_id"]) if not id.startswith(TOP_WORDS)]
    if not texts:
        return _blank(what, "The result has no case.")
    rows = [texts[i] for i in _drawn(result, "cases", len(texts), sample)]
    far = np.zeros(len(rows))
    for side in ("before", "after"):
        now = scored([table[side][i] for i in rows])
        far = np.maximum(far, np.abs(now - [table[f"score_{side}"][i] for i in rows]))
    return _held(what, far, "cases")


def _held(what: str, far: Any, of: str) -> Check:
    off = int((far > NEAR).sum())
    if off:
        return _no(
            what,
            f"The model scores {off} of {len(far)} {of} otherwise than the result says, by up to "
            f"{far.max():.3f}.",
        )
    return _yes(what, f"{len(far)} {of}, the largest difference {far.max():.1e}.")


def _drawn(result: AuditResult, what: str, n: int, sample: int) -> list[int]:
    seed = int(hashlib.sha256(store.digest(result).encode()).hexdigest()[:8], 16)
    return sorted(int(i) for i in stream(seed, "verify", what).permutation(n)[:sample])


def _yes(what: str, said: str) -> Check:
    return Check(what=what, state="agrees", said=said)


def _no(what: str, said: str) -> Check:
    return Check(what=what, state="differs", said=said)


def _blank(what: str, said: str) -> Check:
    return Check(what=what, state="not_checked", said=said)

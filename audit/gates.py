"""From measurements to verdicts: pass, fail, or what keeps us from saying either."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from math import isfinite
from typing import Literal

from audit.compare import better_of
from audit.errors import ConfigError, did_you_mean
from audit.stats import for_judging, holm, interval, p_beyond
from audit.types import (
    Absent,
    Claim,
    Estimate,
    Gate,
    Measurement,
    PlannedProbe,
    ProbeRun,
    Status,
    Verdict,
    measurement_id,
)

Undecided = Literal["exit3", "fail", "warn"]
PASSED, FAILED, COULD_NOT_RUN, UNDECIDED = range(4)
_LEAST_LEVEL_P = 1e-9
_NO_LIMIT = ("_p", "_for_ranking")
"""Endings of metrics that no gate may speak of: p-values, and numbers shrunk for ranking alone."""


def expand(gates: Sequence[Gate], planned: Sequence[PlannedProbe]) -> tuple[Claim, ...]:
    """Turn gates into claims: one metric, one slice, one limit each.

    A gate without ``where`` speaks of every slice of its metric. A gate on a probe that cannot run
    becomes one claim on the metric itself, so that it is judged *not_estimable* instead of
    vanishing.

    Raises:
        ConfigError: If a gate has no limit, impossible limits, matches nothing planned, or matches
            nothing but p-values and numbers that only rank.
    """
    claims: list[Claim] = []
    for position, gate in enumerate(gates):
        at = f"gate[{position}] ({gate.metric})"
        limits = _limits(gate, at)
        margin = _margin(gate, at)
        found = _matching(gate, planned, at)
        if not found:
            raise _nothing_matches(gate, planned, at)
        for measurement in found:
            for side, limit in limits:
                sign = "<=" if side == "at_most" else ">="
                claims.append(
                    Claim(
                        id=f"{measurement} {sign} {limit:g}",
                        measurement=measurement,
                        side=side,
                        limit=limit,
                        gate=position,
                        min_n=gate.min_n,
                        severity=gate.severity,
                        blocking=gate.blocking,
                        optional=gate.optional,
                        undecided=gate.undecided,
                    )
                )
            if margin is not None:
                claims.append(_no_worse(gate, position, measurement, margin, at))
    seen: dict[str, Claim] = {}
    for claim in claims:
        if claim.id in seen:
            raise ConfigError(
                f"gate[{seen[claim.id].gate}] and gate[{claim.gate}] both claim {claim.id}.",
                hint="Drop one, or narrow it with where.",
            )
        seen[claim.id] = claim
    return tuple(claims)


def judge(
    claims: Sequence[Claim],
    runs: Sequence[ProbeRun],
    *,
    alpha: float = 0.05,
    undecided: Undecided = "exit3",
) -> tuple[Verdict, ...]:
    """Hold every claim against what was measured, all at once.

    A claim *fails* when the evidence that its limit is broken holds after Holm over all blocking
    claims (the others are corrected among themselves); it *passes* when the evidence that it is
    kept is as strong, unadjusted, because an audit passes only if every claim does
    (intersection-union). Else it is *inconclusive*. A missing number, a crash or too few texts are
    never a pass, and still count in Holm: the correction is for what was declared. Counts are
    judged by exact bounds (`for_judging`).

    Args:
        claims: What was declared.
        runs: What was measured.
        alpha: Chance of a false fail over the audit, and of a false pass of one claim.
        undecided: What an undecided claim does to the exit code; it is said with the verdict there,
            not here.

    Source:
        Holm (1979), Scand. J. Statist. 6, pp. 65-70; Berger (1982), Technometrics 24, pp. 295-300,
        for the intersection-union test.
    """
    measured = {m.id: m for run in runs for m in run.measurements}
    adjusted: dict[str, float] = {}
    families: dict[bool, int] = {}
    for blocking in (True, False):
        family = [claim for claim in claims if claim.blocking is blocking]
        ps = [_p_declared(claim, measured.get(claim.measurement), runs) for claim in family]
        ids = [claim.id for claim in family]
        adjusted |= dict(zip(ids, map(float, holm(ps)), strict=True))
        families[blocking] = len(family)
    return tuple(
        _verdict(
            claim,
            measured.get(claim.measurement),
            runs,
            adjusted[claim.id],
            families[claim.blocking],
            alpha,
        )
        for claim in claims
    )


def exit_code(
    verdicts: Iterable[Verdict], runs: Iterable[ProbeRun] = (), *, undecided: Undecided = "exit3"
) -> int:
    """Return the exit code of an audit; of several that apply, the lowest of 1, 2, 3.

    1: a blocking, unwaived claim failed (or is undecided under ``undecided = "fail"``). 2: a probe
    behind one crashed. 3: one is undecided or has no number, unless ``undecided = "warn"``. A gate's
    own ``undecided`` goes before the audit's.
    """
    counted = [v for v in verdicts if v.claim.blocking and not v.waived_by]
    statuses = {v.status for v in counted}
    open_ = {
        v.claim.undecided or undecided
        for v in counted
        if v.status in ("inconclusive", "not_estimable")
    }
    if "fail" in statuses or "fail" in open_:
        return FAILED
    if "error" in statuses:
        return COULD_NOT_RUN
    return UNDECIDED if "exit3" in open_ else PASSED


def _limits(gate: Gate, at: str) -> list[tuple[Literal["at_most", "at_least"], float]]:
    limits: list[tuple[Literal["at_most", "at_least"], float]] = []
    if gate.at_most is not None:
        limits.append(("at_most", gate.at_most))
    if gate.at_least is not None:
        limits.append(("at_least", gate.at_least))
    if not limits and gate.no_worse_than is None:
        raise ConfigError(
            f"{at} has no limit.", hint='Set at_most, at_least, or no_worse_than = "baseline".'
        )
    if not all(isfinite(limit) for _, limit in limits):
        raise ConfigError(f"{at} has a limit that is not a finite number.")
    if len(limits) == 2 and limits[1][1] > limits[0][1]:
        raise ConfigError(f"{at} wants at least {limits[1][1]:g} and at most {limits[0][1]:g}.")
    if gate.min_n < 1:
        raise ConfigError(f"{at} has min_n = {gate.min_n}; it must be at least 1.")
    return limits


def _margin(gate: Gate, at: str) -> float | None:
    """Return by how much the number may be worse than the baseline's; None: not asked."""
    if gate.no_worse_than is None:
        if gate.margin is not None:
            raise ConfigError(
                f"{at} has a margin and nothing to measure it from.",
                hint='Set no_worse_than = "baseline".',
            )
        return None
    if gate.margin is None:
        raise ConfigError(
            f"{at} compares with a baseline and does not say by how much it may be worse.",
            hint="Set margin, e.g. margin = 0.02.",
        )
    if not (isfinite(gate.margin) and gate.margin >= 0):
        raise ConfigError(f"{at} has margin = {gate.margin:g}; it must be 0 or more.")
    return gate.margin


def _no_worse(gate: Gate, position: int, measurement: str, margin: float, at: str) -> Claim:
    """Return the claim on the worsening of a measurement, see `audit.baseline`."""
    name, where = split(measurement)
    probe, _, metric = name.partition(".")
    if "*" not in metric and not better_of(metric):
        raise ConfigError(
            f"{at} asks that {metric} be no worse, and no direction of it is worse.",
            hint="Set at_most or at_least.",
        )
    worse = measurement_id("baseline", metric, {**where, "probe": probe})
    return Claim(
        id=f"{worse} <= {margin:g}",
        measurement=worse,
        side="at_most",
        limit=margin,
        gate=position,
        min_n=gate.min_n,
        severity=gate.severity,
        blocking=gate.blocking,
        optional=gate.optional,
        undecided=gate.undecided,
        against="baseline",
    )


def _matching(gate: Gate, planned: Sequence[PlannedProbe], at: str) -> list[str]:
    found: list[str] = []
    refused: list[str] = []
    for probe in planned:
        for name in probe.measurements:
            metric, where = split(name)
            if fnmatchcase(metric, gate.metric) and _within(gate.where, where):
                (refused if metric.endswith(_NO_LIMIT) else found).append(name)
        if probe.not_run and gate.metric.split(".")[0] == probe.probe:
            found.append(gate.metric)
    if refused and not found:
        raise ConfigError(
            f"{at}: no limit can stand on {split(refused[0])[0]}.",
            hint="A p-value says how sure a difference is, not how large; a shrunken number ranks. "
            "Put the limit on the gap or the rate itself.",
        )
    return list(dict.fromkeys(found))


def _within(pattern: Mapping[str, str], where: Mapping[str, str]) -> bool:
    return all(k in where and fnmatchcase(where[k], v) for k, v in pattern.items())


def split(measurement: str) -> tuple[str, dict[str, str]]:
    """Return metric and slice of a measurement id, unquoted.

    >>> split("swaps.flip_rate[axis=gender]")
    ('swaps.flip_rate', {'axis': 'gender'})
    """
    from urllib.parse import unquote

    metric, bracket, inner = measurement.partition("[")
    if not bracket:
        return metric, {}
    pairs = (part.partition("=") for part in inner.removesuffix("]").split(","))
    return metric, {unquote(k): unquote(v) for k, _, v in pairs}


def _nothing_matches(gate: Gate, planned: Sequence[PlannedProbe], at: str) -> ConfigError:
    names = [name for probe in planned for name in probe.measurements]
    metrics = sorted({split(name)[0] for name in names})
    if not metrics:
        return ConfigError(f"{at} matches nothing: no probe is declared.", hint="Add a [[probe]].")
    slices = sorted(
        {
            ", ".join(f"{k} = {v}" for k, v in split(name)[1].items())
            for name in names
            if fnmatchcase(split(name)[0], gate.metric)
        }
    )
    if slices:
        return ConfigError(
            f"{at} matches no slice: where = {dict(gate.where)}.",
            hint=f"The slices of {gate.metric} are: {'; '.join(s or 'all texts' for s in slices)}.",
        )
    return ConfigError(
        f"{at} matches nothing that would be measured.", hint=did_you_mean(gate.metric, metrics)
    )


def _run_of(claim: Claim, runs: Sequence[ProbeRun]) -> ProbeRun | None:
    """Return the run a claim speaks of: the one that measured it, else one that should have."""
    if claim.against == "baseline":
        # A worsening of what a crashed probe measured is as unknown as the number itself.
        metric, where = split(claim.measurement)
        origin = measurement_id(where.pop("probe", ""), metric.partition(".")[2], where)
        behind = _that_measured(origin, runs)
        if behind is not None and behind.error:
            return behind
    return _that_measured(claim.measurement, runs)


def _that_measured(measurement: str, runs: Sequence[ProbeRun]) -> ProbeRun | None:
    mine = [run for run in runs if run.probe == measurement.split(".")[0]]
    for run in mine:
        if any(m.id == measurement for m in run.measurements):
            return run
    return next((run for run in mine if run.error or run.not_run), mine[0] if mine else None)


def _p_declared(claim: Claim, m: Measurement | None, runs: Sequence[ProbeRun]) -> float:
    """Return the p-value a claim brings to Holm: 1 where there is nothing to judge."""
    state = _run_of(claim, runs)
    if m is None or state is None or state.error or not isinstance(m.value, Estimate):
        return 1.0
    return _p_break(claim, for_judging(m.value)) if m.value.n >= claim.min_n else 1.0


def _p_break(claim: Claim, e: Estimate) -> float:
    return p_beyond(e, claim.limit, "above" if claim.side == "at_most" else "below")


def _p_keep(claim: Claim, e: Estimate) -> float:
    return p_beyond(e, claim.limit, "below" if claim.side == "at_most" else "above")


def _verdict(
    claim: Claim,
    m: Measurement | None,
    runs: Sequence[ProbeRun],
    p_holm: float,
    family: int,
    alpha: float,
) -> Verdict:
    state = _run_of(claim, runs)
    blank = Verdict(claim=claim, status="not_estimable", m=family, because="")
    if state is not None and state.error:
        return replace(blank, status="error", because=f"the probe did not finish: {state.error}")
    if state is None or state.not_run:
        why = state.not_run if state else "no such probe was run"
        return replace(blank, because=f"the probe was not run: {why}")
    if m is None:
        return replace(blank, because="it was planned, but nothing was measured")
    if isinstance(m.value, Absent):
        empty = claim.optional and m.used == 0
        status: Status = "not_applicable" if empty else "not_estimable"
        return replace(blank, status=status, n=m.used, because=m.value.reason)
    e = m.value
    shared = replace(blank, value=e.value, n=e.n)
    if e.n < claim.min_n:
        return replace(
            shared,
            interval=(e.low, e.high),
            interval_level=e.level,
            because=f"{e.n} independent texts, and the gate asks for {claim.min_n}",
        )
    e = for_judging(e)
    p_break, p_keep = _p_break(claim, e), _p_keep(claim, e)
    shared = replace(shared, p_break=p_break, p_break_adjusted=p_holm, p_keep=p_keep)
    if p_break <= alpha:
        # Holm compares this claim's own p with alpha over the number still in the running.
        step = p_holm / p_break if p_break > 0 else float(family)
        level = 1 - 2 * max(_LEAST_LEVEL_P, alpha / max(1.0, step))
        said = f"p = {p_holm:.2g} after Holm over m = {family}, alpha {alpha:g}"
        if p_holm <= alpha:
            because = f"the limit is broken beyond the noise ({said})"
            return _decided(shared, e, "fail", level, because)
        because = f"beyond the limit alone, but not among all that was asked ({said})"
        return _decided(shared, e, "inconclusive", level, because)
    if p_keep <= alpha:
        because = f"the limit is kept beyond the noise (p = {p_keep:.2g})"
        return _decided(shared, e, "pass", 1 - 2 * alpha, because)
    mde = f"; a difference under {e.mde:.3f} could not be seen" if e.mde is not None else ""
    because = f"the interval crosses the limit{mde}"
    return _decided(shared, e, "inconclusive", 1 - 2 * alpha, because)


def _decided(blank: Verdict, e: Estimate, status: Status, level: float, because: str) -> Verdict:
    return replace(
        blank,
        status=status,
        interval=interval(e, level),
        interval_level=level,
        because=because,
    )

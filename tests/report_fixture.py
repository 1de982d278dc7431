"""Audit results to render: a rich one, an empty-handed one, a hostile one, a large one."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

from audit.advice import advice
from audit.findings import find
from audit.types import (
    Absent,
    AuditResult,
    Case,
    Change,
    Claim,
    Comparison,
    CorpusInfo,
    Counts,
    Decision,
    Estimate,
    Means,
    Measurement,
    Pairs,
    Plan,
    PlannedProbe,
    ProbeCost,
    ProbeRun,
    Provenance,
    Response,
    Skip,
    Telemetry,
    TwoCounts,
    Verdict,
    measurement_id,
)

HOSTILE = [
    item["text"]
    for item in json.loads(Path(__file__).with_name("hostile_texts.json").read_text("utf-8"))
]
FREE = (
    *("purpose", "kind_of_audit", "independence", "prepared_by", "prepared_on", "deviations"),
    *("limitations", "mitigation"),
)
Z = NormalDist().inv_cdf(0.975)
AUDIT_FILE = """[audit]
seed = 7
alpha = 0.05

[model]
path = "models/applicants"

[decision]
favourable = ["advance"]

[corpora.test]
path = "applicants-test.csv"
text = "text"
label = "label"
groups = { sex = "sex", race = "race" }

[[probe]]
name = "swaps"

[[gate]]
metric = "swaps.flip_rate"
at_most = 0.05
severity = "serious"
"""


def share(hits, n, mde=None):
    p = hits / n
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * (p * (1 - p) / n + Z * Z / (4 * n * n)) ** 0.5
    return Estimate(
        value=p,
        low=min(p, max(0.0, centre - half)),
        high=max(p, min(1.0, centre + half)),
        n=n,
        level=0.95,
        method="wilson",
        mde=mde,
        basis=Counts(hits=hits, n=n),
    )


def gap(hits, n, other_hits, other_n, mde=None):
    p, q = hits / n, other_hits / other_n
    half = Z * (p * (1 - p) / n + q * (1 - q) / other_n) ** 0.5
    return Estimate(
        value=p - q,
        low=p - q - half,
        high=p - q + half,
        n=n + other_n,
        level=0.95,
        method="newcombe",
        mde=mde,
        basis=TwoCounts(hits=hits, n=n, other_hits=other_hits, other_n=other_n),
    )


def mean(value, se, n, **other):
    return Estimate(
        value=value,
        low=value - Z * se,
        high=value + Z * se,
        n=n,
        level=0.95,
        method="t",
        basis=Means(mean=value, se=se, df=n - 1.0),
        **other,
    )


def measured(probe, metric, value, where=None, *, unit="share of texts", skips=(), **other):
    n = value.n if isinstance(value, Estimate) else 0
    return Measurement(
        id=measurement_id(probe, metric, where),
        metric=metric,
        where=where or {},
        value=value,
        unit=unit,
        eligible=n + sum(s.count for s in skips),
        left_out=tuple(skips),
        family=other.pop("family", f"{probe}.{metric}"),
        **other,
    )


def verdict(m, side, limit, *, status, m_claims=9, gate=0, because="", **claim):
    waived = claim.pop("waived_by", "")
    e = m.value if isinstance(m, Measurement) and isinstance(m.value, Estimate) else None
    name = m.id if isinstance(m, Measurement) else m
    sign = "<=" if side == "at_most" else ">="
    p_break = {"fail": 0.0004, "inconclusive": 0.21, "pass": 0.998}.get(status)
    said = because or {
        "fail": f"the limit is broken beyond the noise (p = 0.0036 of m = {m_claims}, alpha 0.05)",
        "pass": "the limit is kept beyond the noise (p = 0.004)",
        "inconclusive": "the interval crosses the limit",
    }.get(status, "no number")
    return Verdict(
        claim=Claim(
            id=f"{name} {sign} {limit}",
            measurement=name,
            side=side,
            limit=limit,
            gate=gate,
            **claim,
        ),
        status=status,
        value=e.value if e else None,
        interval=(e.low, e.high) if e else None,
        interval_level=0.95 if e else None,
        n=e.n if e else None,
        m=m_claims,
        p_break=p_break if e else None,
        p_break_adjusted=min(1.0, p_break * m_claims) if e and p_break is not None else None,
        p_keep={"fail": 0.9999, "inconclusive": 0.31, "pass": 0.004}.get(status) if e else None,
        because=said,
        waived_by=waived,
    )


def case(metric, i, before, after, was, now, **other):
    return Case(
        metric=metric,
        example_id=f"applicant-{i:04d}",
        before=before,
        after=after,
        score_before=was,
        score_after=now,
        flipped=other.pop("flipped", (was >= 0.5) != (now >= 0.5)),
        **other,
    )


def corpus_info(**other):
    said = {
        "name": "test",
        "path": "applicants-test.csv",
        "texts": 600,
        "sha256": "5e1f" * 16,
        "kind": "synthetic",
        "license": "CC0-1.0",
        "labels": {"advance": 271, "do not advance": 329},
        "groups": {
            "sex": {"female": 288, "male": 291, "": 21},
            "race": {"asian": 118, "black": 149, "hispanic": 131, "white": 181, "": 21},
        },
        "truncated": 3,
        "skips": (Skip(reason="empty text", count=2),),
    }
    return CorpusInfo(**(said | other))


def provenance(**other):
    said = {
        "model": "9c1d" * 16,
        "model_name": "applicants-minilm",
        "labels": ("do not advance", "advance"),
        "head": "single",
        "corpora": (corpus_info(),),
        "resources": {"terms/gender.csv": "ab12" * 16, "wordnet 3.0": "77aa" * 16},
        "packages": {
            "captum": "0.9.0",
            "fairlearn": "0.15.0",
            "nlpaug": "1.1.11",
            "numpy": "2.4.1",
            "textattack": "0.3.11",
            "torch": "2.13.0",
            "transformers": "5.23.0",
        },
        "python": "3.11.7",
        "platform": "Linux x86-64",
        "device": "cpu",
        "dtype": "float32",
        "threads": 2,
        "code": "0.1.0 (941b637)",
        "operator": "M. Okafor",
        "scope": {
            "purpose": "Sorts short applicant summaries for a first reading by a recruiter.",
            "users": "Recruiters of one employer",
            "affected": "Applicants; sex and race as they declared them",
            "languages": "English",
            "out_of_scope": "",
        },
        "system": {
            "architecture": "MiniLM encoder, 6 layers, classification head",
            "training_data": "3,000 synthetic summaries, seed 11",
            "owner": "Recruiting engineering",
        },
    }
    return Provenance(**(said | other))


def swaps_run():
    rate = "swaps.flip_rate"
    overall = measured(
        "swaps",
        "flip_rate",
        share(71, 412),
        skips=(Skip(reason="no term to swap", count=188),),
        unit="share of texts",
    )
    to_female = measured("swaps", "flip_rate", share(52, 201), {"direction": "male to female"})
    to_male = measured("swaps", "flip_rate", share(19, 211), {"direction": "female to male"})
    shift = measured(
        "swaps", "score_shift", mean(-0.084, 0.011, 412, mde=0.031), unit="change of score"
    )
    placebo = measured("swaps", "placebo_flip_rate", share(6, 398, mde=0.02))
    net = measured(
        "swaps",
        "net_flips",
        replace(gap(52, 412, 19, 412), method="tango", n=412, basis=Pairs(n=412, b=52, c=19)),
        unit="net share of texts",
    )
    text = (
        "Chaired the {0} robotics society for three years. {1} led a team of five, wrote the "
        "budget and spoke at two meetings. References are strong, results measured."
    )
    cases = tuple(
        case(
            rate,
            i,
            text.format("men's", "He"),
            text.format("women's", "She"),
            0.81 - i * 0.01,
            0.22 + i * 0.015,
            note="men's → women's, he → she" if i == 0 else "",
            words=tuple(text.format("women's", "She").split()) if i < 2 else (),
            weights=tuple(
                -0.412 if w == "women's" else -0.13 if w == "She" else (len(w) % 5 - 1.5) / 40
                for w in text.format("women's", "She").split()
            )
            if i < 2
            else (),
        )
        for i in range(6)
    )
    return ProbeRun(
        probe="swaps",
        version="1",
        params={"attribute": "gender", "placebo": True},
        measurements=(overall, to_female, to_male, shift, placebo, net),
        cases=cases,
        cases_total=71,
        cases_sha256="aa" * 32,
        skips=(Skip(reason="no term to swap", count=188),),
    )


def rates_run():
    rows = []
    for race, (hits, n) in {
        "asian": (58, 118),
        "black": (49, 149),
        "hispanic": (63, 131),
        "white": (90, 181),
    }.items():
        rows.append(
            measured("group_rates", "selection_rate", share(hits, n), {"race": race}, family="")
        )
    for race, (hits, n) in {"asian": (58, 118), "black": (49, 149), "hispanic": (63, 131)}.items():
        rows.append(
            measured(
                "group_rates",
                "selection_gap",
                gap(hits, n, 90, 181, mde=0.155),
                {"race": race, "against": "white"},
                unit="difference in share of texts",
            )
        )
    rows.append(
        measured(
            "group_rates",
            "selection_gap",
            Absent(code="too_few", reason="2 texts of this group; at least 10 are needed"),
            {"race": "pacific islander", "against": "white"},
            unit="difference in share of texts",
            skips=(Skip(reason="fewer than 10 texts", count=2),),
        )
    )
    rows.append(
        measured(
            "group_rates",
            "impact_ratio",
            Estimate(
                value=0.661,
                low=0.508,
                high=0.847,
                n=330,
                level=0.95,
                method="koopman",
                basis=TwoCounts(hits=49, n=149, other_hits=90, other_n=181),
            ),
            {"race": "black", "against": "white"},
            unit="ratio of shares",
        )
    )
    return ProbeRun(
        probe="group_rates",
        version="1",
        params={"reference": {"race": "white"}},
        measurements=tuple(rows),
        skips=(Skip(reason="race unknown", count=21),),
    )


def typos_run():
    rows = tuple(
        measured("typos", "flip_rate", share(h, n, mde=0.03), {"edits": str(k)})
        for k, (h, n) in enumerate([(21, 584), (47, 584), (83, 579)], start=1)
    )
    cases = tuple(
        case(
            rows[2].id,
            100 + i,
            "Excellent analysis of supply contracts; seven years; strong reference.",
            "Excelelnt analyiss of supply contracts; seven years; stronk reference.",
            0.77,
            0.41 - i / 50,
        )
        for i in range(4)
    )
    return ProbeRun(
        probe="typos",
        version="2",
        params={"edits": [1, 2, 3]},
        measurements=rows,
        cases=cases,
        cases_total=151,
    )


def reliance_run():
    words = "The applicant led the women's chess club and managed seven people .".split()
    weights = (0.004, 0.02, 0.061, -0.01, -0.388, -0.092, -0.05, 0.0, 0.142, 0.055, 0.031, 0.001)
    m = measured(
        "reliance",
        "identity_share",
        mean(0.213, 0.021, 300, n_effective=212.4),
        unit="share of attribution",
    )
    cases = (
        case(
            m.id,
            7,
            " ".join(words),
            " ".join(words),
            0.31,
            0.31,
            words=tuple(words),
            weights=weights,
            note="integrated gradients, 64 points, completeness error 0.2 %",
        ),
    )
    return ProbeRun(
        probe="reliance", version="1", params={}, measurements=(m,), cases=cases, cases_total=300
    )


def attack_run():
    m = measured(
        "attack",
        "success_rate",
        share(63, 180),
        {"recipe": "deepwordbug"},
        budget="60 queries and 30 % of words per text",
        skips=(Skip(reason="decided wrongly before the attack", count=20),),
    )
    return ProbeRun(
        probe="attack",
        version="1",
        params={"recipes": ["deepwordbug", "pwws"], "queries": 60},
        measurements=(m,),
        error="RuntimeError: out of memory at the search of applicant-0412",
    )


def noise_run():
    return ProbeRun(
        probe="noise",
        version="1",
        params={"kinds": ["ocr", "keyboard"]},
        not_run="nlpaug is not installed",
        not_run_hint="Install it with: pip install nlpaug",
    )


def plan_of(runs, verdicts, **other):
    said = {
        "digest": "d1e5" * 16,
        "seed": 7,
        "alpha": 0.05,
        "level": 0.95,
        "undecided": "exit3",
        "decision": Decision(labels=("do not advance", "advance"), favourable=("advance",)),
        "probes": tuple(
            PlannedProbe(
                probe=run.probe,
                version=run.version,
                params=run.params,
                units=600,
                queries=1_800,
                upper_bound=run.probe == "attack",
                measurements=tuple(m.id for m in run.measurements)
                + (("attack.success_rate[recipe=pwws]",) if run.probe == "attack" else ()),
                not_run=run.not_run,
            )
            for run in runs
        ),
        "claims": tuple(v.claim for v in verdicts),
        "audit_file": AUDIT_FILE,
    }
    return Plan(**(said | other))


def result_of(runs, verdicts, **other):
    plan = other.pop("plan", None) or plan_of(runs, verdicts)
    return AuditResult(
        plan=plan,
        provenance=other.pop("provenance", None) or provenance(),
        runs=tuple(runs),
        verdicts=tuple(verdicts),
        findings=find(plan, runs, verdicts),
        files={"cases.parquet": "c0de" * 16, "units.parquet": "beef" * 16},
        telemetry=Telemetry(
            started="2026-11-23 14:02:11 +00:00",
            finished="2026-11-23 14:06:40 +00:00",
            host="audit-2",
            seconds=269.0,
            probes=tuple(
                ProbeCost(probe=run.probe, queries=1_812, forwards=1_377, seconds=31.2)
                for run in runs
            ),
        ),
        **other,
    )


def normal():
    """A model with planted faults: failures, passes, the undecided, a crash, a probe not run."""
    swaps, rates, typos = swaps_run(), rates_run(), typos_run()
    reliance, attack, noise = reliance_run(), attack_run(), noise_run()
    s, g, t = swaps.measurements, rates.measurements, typos.measurements
    verdicts = (
        verdict(s[1], "at_most", 0.05, status="fail"),
        verdict(s[2], "at_most", 0.05, status="fail", severity="moderate"),
        verdict(s[4], "at_most", 0.05, status="pass"),
        verdict(g[4], "at_least", -0.1, status="inconclusive", gate=1),
        verdict(g[5], "at_least", -0.1, status="fail", gate=1, waived_by="HR board, until June"),
        verdict(g[6], "at_least", -0.1, status="inconclusive", gate=1, blocking=False),
        verdict(g[7], "at_least", -0.1, status="not_estimable", gate=1, because="2 texts"),
        verdict(t[0], "at_most", 0.1, status="pass", gate=2, severity="minor"),
        verdict(t[2], "at_most", 0.1, status="fail", gate=2, severity="minor"),
        verdict(
            "attack.success_rate[recipe=pwws]",
            "at_most",
            0.5,
            status="error",
            gate=3,
            because="attack did not finish: RuntimeError: out of memory",
        ),
        verdict(
            "noise.flip_rate",
            "at_most",
            0.1,
            status="not_estimable",
            gate=4,
            because="noise was not run: nlpaug is not installed",
        ),
        verdict(
            measurement_id("group_rates", "selection_gap", {"race": "other", "against": "white"}),
            "at_least",
            -0.1,
            status="not_applicable",
            gate=5,
            optional=True,
            because="optional, and the slice is empty",
        ),
    )
    return result_of((rates, swaps, typos, attack, noise, reliance), verdicts)


def clear():
    """Everything measured, every claim passed."""
    typos = replace(typos_run(), cases=(), cases_total=0)
    low = tuple(
        measured("typos", "flip_rate", share(9, 584, mde=0.03), {"edits": str(k)})
        for k in (1, 2, 3)
    )
    typos = replace(typos, measurements=low)
    return result_of(
        (typos,), tuple(verdict(m, "at_most", 0.1, status="pass", m_claims=3) for m in low)
    )


def unjudged():
    """No gate was declared."""
    return result_of((rates_run(), typos_run()), ())


def absent():
    """Nothing could be measured: absent estimates, crashes, probes not run; nothing is stated."""
    nothing = measured(
        "typos", "flip_rate", Absent(code="empty", reason="no text had a word to mistype")
    )
    runs = (
        ProbeRun(probe="typos", version="2", params={}, measurements=(nothing,)),
        ProbeRun(probe="swaps", version="1", params={}, error="ValueError: cannot be"),
        noise_run(),
        ProbeRun(probe="silent", version="1", params={}),
    )
    verdicts = (
        verdict(nothing, "at_most", 0.1, status="not_estimable", because="no text had a word"),
        verdict("swaps.flip_rate", "at_most", 0.05, status="error", because="swaps crashed"),
    )
    bare = provenance(
        model_name="",
        corpora=(corpus_info(texts=0, labels={}, groups={}, skips=(), license="", truncated=0),),
        resources={},
        packages={},
        scope={},
        system={},
        operator="",
        python="",
        platform="",
        device="",
        code="",
    )
    result = result_of(runs, verdicts, provenance=bare, plan=plan_of(runs, verdicts, audit_file=""))
    return replace(result, telemetry=Telemetry(), files={})


def crashed():
    """Every probe crashed before its first number."""
    runs = tuple(
        ProbeRun(probe=name, version="1", params={}, error="RuntimeError: out of memory")
        for name in ("typos", "swaps")
    )
    return result_of(
        runs, (verdict("typos.flip_rate", "at_most", 0.1, status="error", because="typos crashed"),)
    )


def empty():
    """No probe, no corpus, no claim."""
    return result_of((), (), provenance=provenance(corpora=()))


def compared():
    """The same audit after retraining, beside what it was before."""
    base = normal()
    swaps, typos = base.runs[1].measurements, base.runs[2].measurements

    def change(m, hits, n, b, c, outcome):
        e = m.value
        net = replace(gap(b, n, c, n), n=n, method="tango", basis=Pairs(n=n, b=b, c=c), mde=0.025)
        return Change(
            measurement=m.id,
            before=e,
            after=share(hits, n),
            difference=net,
            better="lower",
            verdict=outcome,
        )

    changes = (
        change(swaps[1], 13, 201, 4, 43, "better"),
        change(swaps[2], 17, 211, 9, 11, "undecided"),
        change(typos[2], 99, 579, 38, 22, "worse"),
        Change(
            measurement="group_rates.selection_gap[against=white,race=pacific islander]",
            before=Absent(code="too_few", reason="2 texts"),
            after=Absent(code="too_few", reason="2 texts"),
            difference=Absent(code="too_few", reason="2 texts"),
            better="nearer_zero",
            verdict="not_estimable",
        ),
    )
    words = (
        "Swapping men's for women's terms now changes 6 % of decisions, 26 % before.",
        "Three typos now change 17 % of decisions, 14 % before: that is the price.",
        "Whether female to male swaps improved is undecided.",
    )
    comparison = Comparison(
        before="model a", after="model b", texts=600, changes=changes, words=words
    )
    return replace(base, comparison=replace(comparison, advice=advice(comparison)))


def hostile(texts=HOSTILE, long="x" * 1_000_000):
    """Every hostile text in every place where somebody else's words can stand."""
    metric = [measured("p", t, share(3, 9 + i), {t: t}, unit=t) for i, t in enumerate(texts)]
    cases = tuple(
        Case(
            metric=metric[i].id,
            example_id=f"{t}{i}",
            before=t,
            after=t[::-1],
            score_before=0.9,
            score_after=0.1,
            flipped=True,
            note=t,
            words=(t, t),
            weights=(0.5, -0.25),
        )
        for i, t in enumerate(texts)
    )
    cases += (
        case(metric[0].id, 9_001, long, long + "y", 0.2, 0.8),
        case(metric[0].id, 9_002, long, long, 0.2, 0.2),
    )
    runs = (
        ProbeRun(
            probe="p",
            version="1",
            params={t: t for t in texts},
            measurements=tuple(metric),
            cases=cases,
            cases_total=len(cases),
            skips=tuple(Skip(reason=t, count=1) for t in texts),
        ),
        *(ProbeRun(probe=t, version=t, params={"x": [t]}, error=t, not_run_hint=t) for t in texts),
        *(ProbeRun(probe=t, version=t, params={}, not_run=t, not_run_hint=t) for t in texts),
        ProbeRun(
            probe="q",
            version="1",
            params={},
            measurements=tuple(
                measured("q", f"{t}{i}", Absent(code=t, reason=t), {t: t}, unit=t, budget=t)
                for i, t in enumerate(texts)
            ),
        ),
    )
    verdicts = tuple(
        verdict(m, "at_most", 0.05, status="fail", because=t, waived_by=t)
        for m, t in zip(metric, texts, strict=True)
    )
    corpora = tuple(
        corpus_info(
            name=t,
            path=t,
            kind=t,
            license=t,
            sha256=t,
            labels={t: 1},
            groups={t: {t: 1}},
            skips=(Skip(reason=t, count=1),),
        )
        for t in texts
    )
    every = dict.fromkeys(texts, "")
    told = provenance(
        model="".join(texts),
        model_name="".join(texts),
        labels=tuple(texts),
        corpora=corpora,
        resources={t: t for t in every},
        packages={t: t for t in every},
        scope={t: t for t in every} | dict.fromkeys(FREE, "".join(texts)),
        system={t: t for t in every} | {"name": "".join(texts)},
        responses={
            m.id: Response(response=t, owner=t, cause=t) for m, t in zip(metric, texts, strict=True)
        },
        operator="".join(texts),
        code="".join(texts),
        platform="".join(texts),
    )
    decision = Decision(labels=("a", *texts), favourable=tuple(texts), threshold=0.5)
    plan = plan_of(runs, verdicts, audit_file="\n".join(texts), decision=decision)
    result = result_of(runs, verdicts, provenance=told, plan=plan)
    changes = tuple(
        Change(
            measurement=m.id,
            before=m.value,
            after=Absent(code=t, reason=t),
            difference=Absent(code=t, reason=t),
        )
        for m, t in zip(metric, texts, strict=True)
    )
    return replace(
        result,
        files={t: t for t in every},
        comparison=Comparison(
            before="".join(texts),
            after="".join(texts),
            texts=1,
            changes=changes,
            words=tuple(texts),
            advice=tuple(texts),
        ),
    )


def large(cases=2_000, measurements=400, texts=()):
    """As many cases as a page draws, each with an attribution; `texts` stand before the first."""
    text = (
        "Worked {0} years in procurement and then in planning , led {1} people , cut the cost of "
        "transport by a tenth and was named in the annual review of the company twice ."
    )
    rows = [
        measured("typos", "flip_rate", share(20 + i % 60, 600, mde=0.03), {"slice": f"s{i:04d}"})
        for i in range(measurements)
    ]
    drawn = []
    for i in range(cases):
        before = texts[i] if i < len(texts) else text.format(i % 17, i % 23)
        words = tuple(before.split())
        drawn.append(
            case(
                rows[i % 50].id,
                i,
                before,
                before.replace("annual", "anunal") + ("!" if i < len(texts) else ""),
                0.7,
                0.3,
                words=words,
                weights=tuple(((i + j) % 11 - 5) / 50 for j in range(len(words))),
            )
        )
    runs = (
        ProbeRun(
            probe="typos",
            version="1",
            params={},
            measurements=tuple(rows),
            cases=tuple(drawn),
            cases_total=9_000,
        ),
    )
    return result_of(runs, tuple(verdict(m, "at_most", 0.05, status="fail") for m in rows[:20]))


ALL = {f.__name__: f for f in (normal, clear, unjudged, absent, crashed, empty, compared, hostile)}

"""The product's answers to the known vectors: ranking, sizes, streams, clusters and models."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pytest
from known import bounds, expected, vector
from tiny import tiny_bert

from audit import (
    attribution,
    calibrating,
    certificate,
    faithfulness,
    model,
    paired,
    pareto,
    power,
    proportions,
    ranking,
    sequential,
    stats,
)
from audit.bench import Bench
from audit.classifier import white_box
from audit.config import ModelConfig
from audit.decision import make
from audit.errors import ConfigError
from audit.impact import above_median
from audit.resources import Resources
from audit.scorer import Scorer
from audit.types import Absent, Corpus, Estimate, Example, Measurement
from probes.impact_ratio import ImpactRatio


def tv11():
    given = vector("TV11")["input"]
    y, x, member = given["label"], given["score"], np.array(given["in_subgroup"], bool)
    overall = ranking.auc(x, y)
    two = vector("TV11")["expect"]["kaggle_final_two_groups"]
    means = [ranking.power_mean(two[kind]) for kind in ("sub", "bpsn", "bnsp")]
    return {
        "overall_auc": overall.value,
        "subgroup_auc": ranking.subgroup_auc(x, y, member).value,
        "bpsn_auc": ranking.bpsn_auc(x, y, member).value,
        "bnsp_auc": ranking.bnsp_auc(x, y, member).value,
        "power_mean_p_minus5_of_0p9_0p8_0p6": ranking.power_mean([0.9, 0.8, 0.6]),
        "kaggle_final_two_groups": two | {"score": 0.25 * (two["overall"] + sum(means))},
        "overall_auc_delong_se": overall.basis.se,
        "overall_auc_delong_logit": bounds(overall),
    }


def tv12():
    given = vector("TV12")["input"]
    gap = paired.counterfactual_gap(given["f_x"], given["f_cf"])
    return {"ctf_gap_macro": gap.macro.value, "ctf_gap_micro": gap.micro.value}


def tv13():
    p, y = vector("TV13")["input"]["prob"], vector("TV13")["input"]["y"]
    z = calibrating.spiegelhalter(p, y)
    return {
        "ece10_right_closed": calibrating.expected_calibration_error(p, y).value,
        "mce10": calibrating.maximum_calibration_error(p, y),
        "brier": calibrating.brier(p, y).value,
        "logloss_clip1e15": calibrating.log_loss(p, y).value,
        "spiegelhalter_z": z.statistic,
        "spiegelhalter_p": z.p,
        "calibration_in_the_large": calibrating.calibration_in_the_large(p, y).value,
    }


def least(enough, low=1.0, high=1e6):
    """The number of texts, as a real number, from which on `enough` holds."""
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def tv17():
    n = least(lambda n: (power.mde_difference(n, n, 0.3) or 1) <= 0.1)
    strict = {"alpha": 0.05 / 300}

    def clean(limit):
        return next(
            n for n in range(2, 5000) if stats.clopper_pearson(0, n, level=0.9).high < limit
        )

    sizes = vector("TV17")["expect"]["mde_at_n"]
    return {
        "n_per_group_p30_vs_p40": n,
        "n_fleiss_round_up": int(np.ceil(n)),
        "mde_at_n": {k: power.mde_difference(int(k), int(k), 0.3) for k in sizes},
        "mcnemar_pairs_disc10_net3": least(lambda n: (power.mde_paired(n, 0.1) or 1) <= 0.03),
        "mcnemar_pairs_disc10_net5": least(lambda n: (power.mde_paired(n, 0.1) or 1) <= 0.05),
        "n_pairs_to_bound_flip_rate_below_1pct_with_zero_flips": clean(0.01),
        "n_pairs_below_0p1pct": clean(0.001),
        "bonferroni_300_probes_n_p30_p40": least(
            lambda n: (power.mde_difference(n, n, 0.3, **strict) or 1) <= 0.1
        ),
    }


def tv18():
    found = paired.non_inferiority(1000, 30, 25, 0.02, method="paired-wald")
    unpaired = proportions.agresti_caffo(890, 1000, 895, 1000)
    return {
        "diff": found.difference.value,
        "se": (found.difference.high - found.difference.low) / 2 / 1.6448536269514722,
        "ci90_wald": bounds(found.difference),
        "noninferiority_margin": found.margin,
        "p_noninf": found.p,
        "p_tost": max(found.p, stats.p_beyond(found.difference, 0.02, "below")),
        "pass_noninf": found.holds,
        "unpaired_tost_agresti_caffo": [stats.p_beyond(unpaired, -0.02, "above")],
    }


def tv19():
    given = vector("TV19")["input"]
    at = {"alpha": given["alpha"], "beta": given["beta"]}
    found = sequential.sprt(given["seq"], given["p0"], given["p1"], **at)
    clean = sequential.sprt([0] * 100, given["p0"], given["p1"], **at)
    said = vector("TV19")["expect"]["decision"][0]
    counts = {"0/100": (0, 100), "19/200": (19, 200), "5/1000": (5, 1000)}
    return {
        "upper_log_A": found.upper,
        "lower_log_B": found.lower,
        "step_up": found.up,
        "step_down": found.down,
        "decision": [said if found.decision == said.split()[0] else found.decision, found.step],
        "llr": found.llr,
        "zero_flips_accept_after": clean.step if clean.decision == "accept" else None,
        "mixture_cs": {k: bounds(sequential.confidence_sequence(*c)) for k, c in counts.items()},
        "fixed_n_wilson_19_200": bounds(stats.share(19, 200)),
    }


def tv20():
    given = vector("TV20")["input"]
    hit, held = given["success"], given["failed"]
    asr = stats.share(hit, hit + held)
    robust, clean = stats.share(held, given["total"]), stats.share(hit + held, given["total"])
    return {
        "asr": asr.value,
        "asr_wilson": bounds(asr),
        "asr_cp": bounds(stats.clopper_pearson(hit, hit + held)),
        "robust_acc": robust.value,
        "robust_acc_wilson": bounds(robust),
        "clean_acc": clean.value,
        "acc_drop": stats.paired_difference(given["total"], hit, 0).value,
        "zero_success_50_wilson": bounds(stats.share(0, 50)),
        "zero_success_50_cp_upper_onesided95": stats.interval(stats.clopper_pearson(0, 50), 0.9)[1],
    }


def tv21():
    found = {}
    for name in vector("TV21")["expect"]:
        counts, rest = name.split(", ")
        kept, samples = map(int, counts.split("/"))
        words, _, share = rest.partition(" words q=")
        one = certificate.safer(kept, samples, [float(share)] * int(words))
        found[name] = {
            "p_lower_99": one.p_low,
            "q_x": one.reach,
            "margin": one.margin,
            "certified": one.certified,
        }
    return found


def tv22():
    x = np.array(vector("TV22")["input"]["score_shift_12_templates_x_8_names"])
    names = [f"t{i}" for i in range(12) for _ in range(8)]
    e = stats.mean(x.ravel(), names)
    return {
        "mean": e.value,
        "cluster_se": e.basis.se,
        "template_mean_t_p": 2 * stats.p_beyond(e, 0, "above"),
        "template_mean_ci": bounds(e),
        "template_sign_flip_exact_p": stats.sign_flip(x.ravel(), names),
    }


class Scores:
    """A classifier whose score of a text is the number the text begins with."""

    labels, head, fingerprint = ("no", "yes"), "single", "scores"

    def probabilities(self, texts):
        p = np.array([float(text.split()[0]) for text in texts])
        return np.stack([1 - p, p], axis=1)


def impact(scores, groups, **settings):
    """What the impact-ratio probe measures, by metric and category."""
    examples = tuple(
        Example(id=str(i), text=f"{s} {i}", groups={"sex": g})
        for i, (s, g) in enumerate(zip(scores, groups, strict=True))
    )
    bench = Bench(
        probe="impact_ratio",
        corpus=Corpus(name="test", labels=Scores.labels, examples=examples),
        resources=Resources(),
        scorer=Scorer(Scores()),
        decision=make(Scores.labels, ("yes",)),
    )
    facts = [f for f in ImpactRatio(**settings).run(bench) if isinstance(f, Measurement)]
    return {(f.metric, f.where.get("sex")): f.value for f in facts}


def tv23():
    given = vector("TV23")["input"]
    scores = [s / 100 for s in given["score"]]
    found = impact(scores, given["sex"], rate="scoring")
    above = above_median(np.array(scores))
    level = min(s for s, over in zip(given["score"], above, strict=True) if over)
    ties = max(s for s, over in zip(given["score"], above, strict=True) if not over)
    return {
        # The largest score that is not above the median, as ties at it do not count.
        "median": ties if level > ties else None,
        "rate_M": found["scoring_rate", "M"].value,
        "rate_F": found["scoring_rate", "F"].value,
        "impact_ratio_F": found["impact_ratio", "F"].value,
    }


def tv24():
    counts, expect = vector("TV24")["input"]["counts"], vector("TV24")["expect"]
    groups = [name for name, n in counts.items() for _ in range(n)]
    scores = [0.9 if i % 3 else 0.1 for i in range(len(groups))]
    whole = impact(scores, groups)
    less = impact(scores, groups, exclude_below=0.02, justification="too few to tell")
    gone = [name for name in counts if isinstance(less["impact_ratio", name], Absent)]
    published = all(isinstance(less["selection_rate", name], Estimate) for name in gone)
    default = all(isinstance(whole["impact_ratio", name], Estimate) for name in counts)
    with pytest.raises(ConfigError):
        impact(scores, groups, exclude_below=0.02)
    return {
        "share": {name: whole["share_of_data", name].value for name in counts},
        "may_exclude": gone,
        "must_still_publish": expect["must_still_publish"] if published else "nothing",
        "not_automatic": default,
    }


def tv26():
    given = vector("TV26")["input"]
    new, base = np.array(given["new_correct"]), np.array(given["base_correct"])
    b, c = int((base > new).sum()), int((new > base).sum())
    x = new - base
    drawn = stats.bootstrap(
        lambda w: (w @ x) / w.sum(axis=1), 200, rng=np.random.default_rng(7), resamples=9999
    )
    return {
        "acc_base": stats.share(int(base.sum()), 200).value,
        "acc_new": stats.share(int(new.sum()), 200).value,
        "diff": stats.paired_difference(200, c, b).value,
        "b": b,
        "c": c,
        "mcnemar_exact": stats.mcnemar(b, c),
        "own_percentile_seed7_9999": bounds(drawn),
        "unpaired_newcombe": bounds(stats.difference(int(new.sum()), 200, int(base.sum()), 200)),
    }


def tv27():
    points = {name: (accuracy, gap) for name, accuracy, gap in vector("TV27")["input"]}
    by = pareto.dominated(points, ("higher", "lower"))
    return {
        "front": list(pareto.front(points, ("higher", "lower"))),
        "dominated": {name: " and ".join(some) for name, some in by.items() if some},
    }


def tv28():
    given = vector("TV28")["input"]
    found = faithfulness.plausibility(given["human"], given["attribution"], given["top3_mask"])
    return {
        "token_precision": found.precision,
        "token_recall": found.recall,
        "token_f1": found.f1,
        "iou": found.iou,
        "average_precision": found.average_precision,
        "auprc_trapezoid_eraser": found.auprc_trapezoid,
        "roc_auc": found.roc_auc,
        "random_baseline_ap": found.chance,
    }


def tv29():
    given = vector("TV29")["input"]
    weights = given["weights"]

    def score(texts):
        z = [given["bias"] + sum(weights[word] for word in text) for text in texts]
        return 1 / (1 + np.exp(-np.array(z)))

    order = [weights[word] for word in given["tokens"]]
    shares = (0.25, 0.5, 0.75)
    found = faithfulness.faithfulness(score, given["tokens"], order, fractions=shares)
    per = zip(shares, found.comprehensiveness, found.sufficiency, found.log_odds, strict=True)
    return {
        "p_full": found.full,
        "by_fraction": {
            str(share): {
                "k": int(np.ceil(share * 4)),
                "comprehensiveness": gone,
                "sufficiency": alone,
                "log_odds_drop": odds,
            }
            for share, gone, alone, odds in per
        },
        "aopc_comp": found.aopc[0],
        "aopc_suff": found.aopc[1],
        "log_odds_mean": found.aopc[2],
    }


def linear(folder, squashed):
    """A transformers-like classifier whose logit is a sum of one weight per word, or its sigmoid."""
    import torch

    words = vector("TV29")["input"]["weights"]
    known = attributable(tiny_bert(folder, [" ".join(words)], ("no", "yes")))
    table = torch.nn.Embedding(len(known.tokenizer), 1).double()
    with torch.no_grad():
        table.weight.zero_()
        for word, weight in words.items():
            table.weight[known.tokenizer.convert_tokens_to_ids(word)] = weight

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            # By this name a padding vector of zeros is a place to start from.
            self.table, self.position_embeddings = table, torch.nn.Identity()
            self.config = known.module.config

        def get_input_embeddings(self):
            return self.table

        def forward(self, input_ids, attention_mask, **more):
            z = (self.table(input_ids)[..., 0] * attention_mask).sum(1) - 0.25
            z = torch.sigmoid(z) if squashed else z
            return SimpleNamespace(logits=torch.stack([torch.zeros_like(z), z], 1))

    return replace(known, module=Linear().eval())


def attributable(folder):
    spec = ModelConfig(path=str(folder), device="cpu")
    return white_box(model.load(spec, model.identify(spec)))


def tv30():
    text = "awful boring film fine"
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        (plain,) = attribution.attribute(linear(Path(one), False), [text], [1], steps=50)
        (bent,) = attribution.attribute(linear(Path(other), True), [text], [1], steps=200)
    assert plain.words == bent.words == tuple(text.split())
    w = np.array([*plain.weights, 0.0])
    x, noise = np.array([1.0, 1, 1, 1, 0]), np.random.default_rng(0).normal(size=(64, 5))
    rise = bent.logit - bent.logit_baseline
    return {
        # The fifth word does not occur in the text, so that there is nothing to attribute to it.
        "ig_linear": [*plain.weights, 0.0],
        "ig_delta": sum(plain.weights) - (plain.logit - plain.logit_baseline),
        "infidelity_linear": faithfulness.infidelity(lambda at: at @ w - 0.25, x, w, noise),
        "sensitivity_max_saliency_linear": faithfulness.sensitivity_max(lambda _: w, x, noise),
        "ig_sigmoid_200": [*bent.weights, 0.0],
        "ig_sigmoid_sum": sum(bent.weights),
        "completeness_target": rise,
        "delta_sigmoid": sum(bent.weights) - rise,
    }


def tv32():
    """What libraries get wrong: ours is asked the same and says why, or gives the right number."""
    from test_traps import OURS

    found = {}
    for name, ours in OURS.items():
        ours()
        found[name] = expected("TV32")[name]
    return found

"""Known vectors by a second route: ranking, sizes, streams, clusters and models."""

import itertools
import math
from fractions import Fraction

import numpy as np
from again_tables import Z, mcnemar, statsmodels_interval, wilson
from known import expected, vector
from scipy import optimize, special
from scipy import stats as scipy_stats


def auc(up, down):
    """Pairs counted one by one."""
    return sum((a > b) + 0.5 * (a == b) for a in up for b in down) / (len(up) * len(down))


def tv11():
    given = vector("TV11")["input"]
    rows = list(zip(given["label"], given["score"], given["in_subgroup"], strict=True))

    def scores(label, *inside):
        return [s for y, s, g in rows if y == label and g in inside]

    up, down = scores(1, 0, 1), scores(0, 0, 1)
    value = auc(up, down)
    pairs = np.array([[(a > b) + 0.5 * (a == b) for b in down] for a in up])
    se = math.sqrt(
        np.var(pairs.mean(1), ddof=1) / len(up) + np.var(pairs.mean(0), ddof=1) / len(down)
    )
    middle, half = math.log(value / (1 - value)), Z * se / (value * (1 - value))
    two = vector("TV11")["expect"]["kaggle_final_two_groups"]

    def power_mean(values):
        return float(scipy_stats.pmean(values, -5))

    means = [power_mean(two[k]) for k in ("sub", "bpsn", "bnsp")]
    return {
        "overall_auc": value,
        "subgroup_auc": auc(scores(1, 1), scores(0, 1)),
        "bpsn_auc": auc(scores(1, 0), scores(0, 1)),
        "bnsp_auc": auc(scores(1, 1), scores(0, 0)),
        "power_mean_p_minus5_of_0p9_0p8_0p6": power_mean([0.9, 0.8, 0.6]),
        "kaggle_final_two_groups": two | {"score": 0.25 * two["overall"] + 0.25 * sum(means)},
        "overall_auc_delong_se": se,
        "overall_auc_delong_logit": [float(special.expit(middle + s * half)) for s in (-1, 1)],
    }


def tv12():
    given = vector("TV12")["input"]
    pairs = list(zip(given["f_x"], given["f_cf"], strict=True))
    each = [math.fsum(abs(a - b) for b in some) / len(some) for a, some in pairs]
    flat = [abs(a - b) for a, some in pairs for b in some]
    limit = given["threshold"]
    return {
        "per_example": each,
        "ctf_gap_macro": math.fsum(each) / len(each),
        "ctf_gap_micro": math.fsum(flat) / len(flat),
        "flip_any": [any((a >= limit) != (b >= limit) for b in some) for a, some in pairs],
        "signed_mean": [math.fsum(some) / len(some) - a for a, some in pairs],
        "counterfactual_range": [max(some) - min(some) for _, some in pairs],
    }


def tv13():
    from sklearn.metrics import brier_score_loss, log_loss

    p, y = (np.array(vector("TV13")["input"][key], float) for key in ("prob", "y"))
    bins = np.minimum(9, np.maximum(0, np.ceil(np.round(p * 10, 9)).astype(int) - 1))
    gaps = {
        b: (abs(p[bins == b].mean() - y[bins == b].mean()), (bins == b).sum())
        for b in set(bins.tolist())
    }
    z = ((y - p) * (1 - 2 * p)).sum() / math.sqrt(((1 - 2 * p) ** 2 * p * (1 - p)).sum())
    return {
        "ece10_right_closed": sum(gap * n for gap, n in gaps.values()) / len(p),
        "mce10": max(gap for gap, _ in gaps.values()),
        "brier": brier_score_loss(y, p),
        "logloss_clip1e15": log_loss(y, np.clip(p, 1e-15, 1 - 1e-15)),
        "spiegelhalter_z": z,
        "spiegelhalter_p": 2 * scipy_stats.norm.sf(abs(z)),
        "mean_pred": p.mean(),
        "base_rate": y.mean(),
        "calibration_in_the_large": y.mean() - p.mean(),
    }


def tv17():
    """Fleiss's closed form; McNemar's from Connor's; powers of what stays unseen."""
    z = scipy_stats.norm.ppf

    def n_of(p, q, alpha=0.05):
        m = (p + q) / 2
        up = z(1 - alpha / 2) * math.sqrt(2 * m * (1 - m))
        up += z(0.8) * math.sqrt(p * (1 - p) + q * (1 - q))
        return (up / (p - q)) ** 2

    def pairs(net, changed=0.1):
        up = z(0.975) * math.sqrt(changed) + z(0.8) * math.sqrt(changed - net**2)
        return (up / net) ** 2

    sizes = vector("TV17")["expect"]["mde_at_n"]
    return {
        "n_per_group_p30_vs_p40": n_of(0.3, 0.4),
        "n_fleiss_round_up": math.ceil(n_of(0.3, 0.4)),
        "mde_at_n": {
            k: optimize.brentq(lambda d, n=int(k): n_of(0.3, 0.3 + d) - n, 1e-4, 0.6) for k in sizes
        },
        "mcnemar_pairs_disc10_net3": pairs(0.03),
        "mcnemar_pairs_disc10_net5": pairs(0.05),
        "n_pairs_to_bound_flip_rate_below_1pct_with_zero_flips": math.ceil(
            math.log(0.05) / math.log(0.99)
        ),
        "n_pairs_below_0p1pct": math.ceil(math.log(0.05) / math.log(0.999)),
        "n_for_pm2pct_worst_case": math.ceil((Z / 0.02) ** 2 / 4),
        "bonferroni_300_probes_n_p30_p40": n_of(0.3, 0.4, 0.05 / 300),
    }


def tv18():
    from statsmodels.stats.proportion import tost_proportions_2indep

    net, changed = Fraction(25 - 30, 1000), Fraction(55, 1000)
    se = math.sqrt(float((changed - net**2) / 1000))
    z = scipy_stats.norm
    p = [z.sf((float(net) + 0.02) / se), z.cdf((float(net) - 0.02) / se)]
    apart = tost_proportions_2indep(890, 1000, 895, 1000, -0.02, 0.02, method="agresti-caffo")
    return {
        "diff": float(net),
        "se": se,
        "ci90_wald": [float(net) + s * z.ppf(0.95) * se for s in (-1, 1)],
        "noninferiority_margin": 0.02,
        "p_noninf": p[0],
        "p_tost": max(p),
        "pass_noninf": bool(p[0] < 0.05),
        "unpaired_tost_agresti_caffo": [apart.pvalue],
    }


def tv19():
    given = vector("TV19")["input"]
    p0, p1 = Fraction(1, 20), Fraction(1, 10)
    top, bottom = Fraction(9, 10) / Fraction(1, 20), Fraction(1, 10) / Fraction(19, 20)
    ratio, decided = Fraction(1), None
    for step, hit in enumerate(given["seq"], 1):
        ratio *= p1 / p0 if hit else (1 - p1) / (1 - p0)
        if not bottom < ratio < top:
            decided = step
            break
    clean = next(k for k in range(1, 999) if ((1 - p1) / (1 - p0)) ** k <= bottom)

    def mixture(hits, n):
        """Likelihood averaged over all shares, by the beta-binomial law, over that at p."""
        won = -math.log(n + 1)

        def inside(p):
            return math.log(20) - won + scipy_stats.binom.logpmf(hits, n, p)

        value = hits / n
        low = optimize.brentq(inside, 1e-12, value) if hits else 0.0
        return [low, optimize.brentq(inside, max(value, 1e-12), 1 - 1e-12)]

    return {
        "upper_log_A": math.log(top),
        "lower_log_B": math.log(bottom),
        "step_up": math.log(p1 / p0),
        "step_down": math.log((1 - p1) / (1 - p0)),
        "decision": [f"{'reject H0 (flip rate>=.10)' if ratio >= top else 'accept'}", decided],
        "llr": math.log(ratio),
        "zero_flips_accept_after": clean,
        "mixture_cs": {f"{h}/{n}": mixture(h, n) for h, n in ((0, 100), (19, 200), (5, 1000))},
        "fixed_n_wilson_19_200": wilson(19, 200),
    }


def tv20():
    from statsmodels.stats.proportion import proportion_confint

    def both(k, n, method):
        return list(proportion_confint(k, n, method=method))

    return {
        "asr": float(Fraction(63, 180)),
        "asr_wilson": both(63, 180, "wilson"),
        "asr_cp": both(63, 180, "beta"),
        "robust_acc": float(Fraction(117, 200)),
        "robust_acc_wilson": both(117, 200, "wilson"),
        "clean_acc": float(Fraction(180, 200)),
        "acc_drop": float(Fraction(63, 200)),
        "zero_success_50_wilson": both(0, 50, "wilson"),
        "zero_success_50_cp_upper_onesided95": 1 - 0.05 ** (1 / 50),
    }


def tv21():
    found = {}
    for name in vector("TV21")["expect"]:
        counts, rest = name.split(", ")
        kept, samples = map(int, counts.split("/"))
        words, _, share = rest.partition(" words q=")
        low = optimize.brentq(
            lambda p, k=kept, n=samples: scipy_stats.binom.sf(k - 1, n, p) - 0.01,
            0.5,
            1,
            xtol=1e-14,
        )
        reach = float(1 - Fraction(share) ** int(words))
        found[name] = {
            "p_lower_99": low,
            "q_x": reach,
            "margin": low - reach,
            "certified": bool(low - reach > 0.5),
        }
    return found


def tv22():
    import statsmodels.api as sm

    x = np.array(vector("TV22")["input"]["score_shift_12_templates_x_8_names"])
    groups = np.repeat(np.arange(12), 8)
    naive = sm.OLS(x.ravel(), np.ones(96)).fit()
    robust = naive.get_robustcov_results("cluster", groups=groups, use_correction=False)
    means = x.mean(axis=1)
    test = scipy_stats.ttest_1samp(means, 0)
    ends = test.confidence_interval(0.95)
    flips = np.array(list(itertools.product((-1, 1), repeat=12))) @ np.round(x.sum(axis=1), 12)
    between = 8 * means.var(ddof=1)
    within = x.var(axis=1, ddof=1).mean()
    icc = (between - within) / (between + 7 * within)
    return {
        "mean": x.mean(),
        "naive_se": naive.bse[0],
        "naive_p": naive.pvalues[0],
        "cluster_se": float(robust.bse[0] * math.sqrt(12 / 11)),
        "template_mean_t_p": test.pvalue,
        "template_mean_ci": [ends.low, ends.high],
        "template_sign_flip_exact_p": np.mean(np.abs(flips) >= abs(x.sum()) - 1e-9),
        "icc_anova": icc,
        "design_effect": 1 + 7 * icc,
        "n_eff": 96 / (1 + 7 * icc),
    }


def tv23():
    import statistics

    given = vector("TV23")["input"]
    median = statistics.median(given["score"])
    rate = {}
    for sex in "MF":
        own = [s for s, g in zip(given["score"], given["sex"], strict=True) if g == sex]
        rate[sex] = Fraction(sum(s > median for s in own), len(own))
    return {
        "median": median,
        "rate_M": float(rate["M"]),
        "rate_F": float(rate["F"]),
        "impact_ratio_F": float(rate["F"] / rate["M"]),
    }


def tv24():
    counts = vector("TV24")["input"]["counts"]
    share = {k: Fraction(n, sum(counts.values())) for k, n in counts.items()}
    return {
        "share": {k: float(v) for k, v in share.items()},
        "may_exclude": [k for k, v in share.items() if v < Fraction(2, 100)],
    }


def tv26():
    given = vector("TV26")["input"]
    new, base = np.array(given["new_correct"]), np.array(given["base_correct"])
    lost, won = int(((base == 1) & (new == 0)).sum()), int(((base == 0) & (new == 1)).sum())
    drawn = scipy_stats.bootstrap(
        (new - base,), np.mean, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    return {
        "acc_base": base.mean(),
        "acc_new": new.mean(),
        "diff": float(Fraction(int(new.sum()) - int(base.sum()), 200)),
        "b": lost,
        "c": won,
        "mcnemar_exact": mcnemar(lost, won),
        "own_percentile_seed7_9999": [drawn.low, drawn.high],
        "unpaired_newcombe": statsmodels_interval(
            (int(new.sum()), 200, int(base.sum()), 200), "newcomb", "diff"
        ),
    }


def tv27():
    rows = vector("TV27")["input"]
    # Sorted by accuracy, the front is where the gap falls below every one before.
    front, least = [], math.inf
    for name, _, gap in sorted(rows, key=lambda r: (-r[1], r[2])):
        if gap < least:
            front.append(name)
            least = gap
    by = {
        name: [o for o, a2, g2 in rows if a2 >= a and g2 <= g and (a2, g2) != (a, g)]
        for name, a, g in rows
    }
    dominated = {name: " and ".join(some) for name, some in by.items() if some}
    return {"front": front, "dominated": dominated}


def tv28():
    given = vector("TV28")["input"]
    human, chosen = ({i for i, v in enumerate(given[key]) if v} for key in ("human", "top3_mask"))
    order = sorted(range(8), key=lambda i: -given["attribution"][i])
    points = [(0.0, 1.0)]
    for k in range(1, 9):
        hit = len(human & set(order[:k]))
        points.append((hit / len(human), hit / k))
    steps = sum((r2 - r1) * p2 for (r1, _), (r2, p2) in itertools.pairwise(points))
    trapezoid = sum((r2 - r1) * (p1 + p2) / 2 for (r1, p1), (r2, p2) in itertools.pairwise(points))
    weights = given["attribution"]
    others = [weights[i] for i in range(8) if i not in human]
    hits = len(human & chosen)
    return {
        "token_precision": hits / len(chosen),
        "token_recall": hits / len(human),
        "token_f1": scipy_stats.hmean([hits / len(chosen), hits / len(human)]),
        "iou": hits / len(human | chosen),
        "average_precision": steps,
        "auprc_trapezoid_eraser": trapezoid,
        "roc_auc": auc([weights[i] for i in human], others),
        "random_baseline_ap": len(human) / 8,
    }


def tv29():
    """By the numbers of the text itself: sums of weights left, through the logistic function."""
    full = special.expit(2 + 1 - 0.5 - 0.25)
    left = {"0.25": (1 - 0.5, 2.0), "0.5": (-0.5, 3.0), "0.75": (-0.5, 3.0)}
    rows = {}
    for k, (share, (gone, alone)) in enumerate(left.items(), 1):
        rows[share] = {
            "k": k,
            "comprehensiveness": full - special.expit(gone - 0.25),
            "sufficiency": full - special.expit(alone - 0.25),
            "log_odds_drop": special.log_expit(gone - 0.25) - special.log_expit(2.25),
        }
    mean = {key: np.mean([row[key] for row in rows.values()]) for key in rows["0.25"]}
    return {
        "p_full": full,
        "by_fraction": rows,
        "aopc_comp": mean["comprehensiveness"],
        "aopc_suff": mean["sufficiency"],
        "log_odds_mean": mean["log_odds_drop"],
    }


def tv30():
    """Closed form: along a straight line a sigmoid of a sum splits as the sum does."""
    parts, bias = np.array([2.0, 1.0, 0.0, -0.5, 0.0]), -0.25
    rise = special.expit(parts.sum() + bias) - special.expit(bias)
    return {
        "ig_linear": list(parts),
        "ig_delta": 0.0,
        "infidelity_linear": 0.0,
        "sensitivity_max_saliency_linear": 0.0,
        "ig_sigmoid_200": list(parts / parts.sum() * rise),
        "ig_sigmoid_sum": rise,
        "completeness_target": rise,
        "delta_sigmoid": 0.0,
    }


def tv32():
    """What the libraries do, run anew."""
    from library_traps import TRAPS, observed

    return {name: observed(theirs, expected("TV32")[name]) for name, theirs in TRAPS.items()}

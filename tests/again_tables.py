"""Known vectors by a second route: shares, tables, tests, and many groups."""

import itertools
import math
from fractions import Fraction

import numpy as np
from known import vector
from scipy import optimize, special
from scipy import stats as scipy_stats

Z = 1.959963984540054


def inverted(inside, value, low, high):
    """Ends of the interval where `inside(x) >= 0`, by Brent's method."""
    ends = []
    for far in (low, high):
        ends.append(far if inside(far) >= 0 else optimize.brentq(inside, far, value, xtol=1e-14))
    return ends


def wilson(hits, n, z=Z):
    """The shares whose score test is not significant: roots of a quadratic by numpy."""
    p = hits / n
    roots = np.sort(np.roots([1 + z * z / n, -(2 * p + z * z / n), p * p]).real)
    return [max(0.0, float(roots[0])), min(1.0, float(roots[1]))]


def exact(hits, n, alpha=0.05):
    """Clopper and Pearson by solving binomial tails, not by a quantile of the beta."""
    tail = scipy_stats.binom
    low = optimize.brentq(lambda p: tail.sf(hits - 1, n, p) - alpha / 2, 0, 1) if hits else 0.0
    high = optimize.brentq(lambda p: tail.cdf(hits, n, p) - alpha / 2, 0, 1) if hits < n else 1.0
    return [low, high]


def statsmodels_interval(cells, method, compare):
    from statsmodels.stats.proportion import confint_proportions_2indep

    return list(confint_proportions_2indep(*cells, method=method, compare=compare))


def score_difference(x1, n1, x2, n2, z=Z):
    """Miettinen and Nurminen with the restricted likelihood maximised by search."""

    def inside(delta):
        low, high = max(0.0, -delta), min(1.0, 1 - delta)

        def lost(q):
            p = min(1.0, max(0.0, q + delta))
            return -(
                special.xlogy(x1, p)
                + special.xlog1py(n1 - x1, -p)
                + special.xlogy(x2, q)
                + special.xlog1py(n2 - x2, -q)
            )

        q = optimize.minimize_scalar(
            lost, bounds=(low, high), method="bounded", options={"xatol": 1e-13}
        ).x
        p = q + delta
        variance = (p * (1 - p) / n1 + q * (1 - q) / n2) * (n1 + n2) / (n1 + n2 - 1)
        return z * z * variance - (x1 / n1 - x2 / n2 - delta) ** 2

    return inverted(inside, x1 / n1 - x2 / n2, -0.9999, 0.9999)


def fisher(x1, n1, x2, n2):
    """Two-sided by probability, in whole numbers."""
    total, hits = n1 + n2, x1 + x2
    ways = {
        x: math.comb(n1, x) * math.comb(n2, hits - x)
        for x in range(max(0, hits - n2), min(n1, hits) + 1)
    }
    return float(Fraction(sum(w for w in ways.values() if w <= ways[x1]), math.comb(total, hits)))


def pooled_z(x1, n1, x2, n2):
    """Square root of Pearson's chi-square without correction, by scipy."""
    table = [[x1, n1 - x1], [x2, n2 - x2]]
    found = scipy_stats.chi2_contingency(table, correction=False)
    return math.sqrt(found.statistic), found.pvalue


def boschloo(x1, n1, x2, n2):
    """Twice the one-sided test: all tables listed, the worst common rate by search."""
    a, b = np.meshgrid(np.arange(n1 + 1), np.arange(n2 + 1), indexing="ij")
    # Fisher's one-sided p-value of every table, as the statistic.
    one = scipy_stats.hypergeom.sf(a - 1, n1 + n2, n1, a + b)
    extreme = one <= one[x1, x2] * (1 + 1e-9)

    def size(p):
        left = scipy_stats.binom.pmf(np.arange(n1 + 1), n1, p)
        right = scipy_stats.binom.pmf(np.arange(n2 + 1), n2, p)
        return float(left @ extreme @ right)

    grid = np.linspace(0.001, 0.999, 400)
    best = grid[int(np.argmax([size(p) for p in grid]))]
    found = optimize.minimize_scalar(
        lambda p: -size(p), bounds=(best - 0.003, best + 0.003), method="bounded"
    )
    return 2 * -found.fun


def tv01():
    from scipy.stats.contingency import relative_risk

    cells, back = (12, 40, 48, 80), (48, 80, 12, 40)
    katz = relative_risk(12, 40, 48, 80).confidence_interval(0.95)
    z, p = pooled_z(*back)
    return {
        "rate": [48 / 80, 12 / 40],
        "impact_ratio": float(Fraction(12, 40) / Fraction(48, 80)),
        "diff_ref_minus_grp": float(Fraction(48, 80) - Fraction(12, 40)),
        "diff_ci_newcomb": statsmodels_interval(back, "newcomb", "diff"),
        "diff_ci_agresti-caffo": statsmodels_interval(back, "agresti-caffo", "diff"),
        "diff_ci_score": score_difference(*back),
        "ratio_ci_log": statsmodels_interval(cells, "log", "ratio"),
        "ratio_ci_scipy_katz": [katz.low, katz.high],
        "ratio_ci_score": statsmodels_interval(cells, "score", "ratio"),
        "fisher_p": fisher(*back),
        "pooled_z_SD": z,
        "pooled_z_p": p,
        "boschloo_p": boschloo(*back),
    }


def tv02(number="TV02"):
    cells = (*vector(number)["input"]["grp"], *vector(number)["input"]["ref"])
    found = {
        "impact_ratio": float(Fraction(*cells[:2]) / Fraction(*cells[2:])),
        "fisher_p": fisher(*cells)
        if cells[1] < 1000
        else scipy_stats.fisher_exact(
            [[cells[0], cells[1] - cells[0]], [cells[2], cells[3] - cells[2]]]
        ).pvalue,
        "z": pooled_z(*cells)[0],
        "ratio_ci_katz": statsmodels_interval(cells, "log", "ratio"),
        "ratio_ci_score": statsmodels_interval(cells, "score", "ratio"),
    }
    return {k: v for k, v in found.items() if k in vector(number)["expect"]}


def tv03():
    return tv02("TV03")


def tv04():
    return {
        "impact_ratio": 0.0,
        "ratio_ci_score": statsmodels_interval((0, 5, 30, 60), "score", "ratio"),
        "fisher_p": fisher(0, 5, 30, 60),
        "rate_cp": exact(0, 5),
        "rate_wilson": wilson(0, 5),
    }


def tv05():
    cells = {cell: tuple(map(int, cell.split("/"))) for cell in vector("TV05")["expect"]}
    return {
        cell: {"wilson": wilson(*counts), "clopper_pearson": exact(*counts)}
        for cell, counts in cells.items()
    }


def tv06():
    cells = (56, 70, 48, 80)
    return {
        "newcomb": statsmodels_interval(cells, "newcomb", "diff"),
        "score": score_difference(*cells),
        "agresti-caffo": statsmodels_interval(cells, "agresti-caffo", "diff"),
    }


def tango(n, b, c):
    """The net changes not significant by the score, with the likelihood maximised by search."""

    def inside(delta):
        def lost(q):
            p = q + delta
            return -(
                special.xlogy(b, max(p, 0.0))
                + special.xlogy(c, q)
                + special.xlogy(n - b - c, max(0.0, 1 - p - q))
            )

        q = optimize.minimize_scalar(
            lost,
            bounds=(max(0.0, -delta), (1 - delta) / 2),
            method="bounded",
            options={"xatol": 1e-13},
        ).x
        return Z * Z * n * (2 * q + delta * (1 - delta)) - (b - c - n * delta) ** 2

    return inverted(inside, (b - c) / n, -0.9, 0.9)


def mcnemar(b, c):
    """All assignments of the changes to a direction, in whole numbers."""
    tail = sum(math.comb(b + c, i) for i in range(min(b, c) + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2 ** (b + c))))


def tv07():
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    one, other = Fraction(15, 202), Fraction(6, 202)
    half = Z * math.sqrt(float(one + other - (one - other) ** 2) / 202)
    wald = Z * math.sqrt((19 / 200 - 0.045**2) / 200)
    return {
        "flip_rate": float(Fraction(19, 200)),
        "flip_wilson": wilson(19, 200),
        "flip_cp": exact(19, 200),
        "mcnemar_exact_p": mcnemar(14, 5),
        "binomtest_p": scipy_stats.binomtest(5, 19).pvalue,
        "midp": mcnemar(14, 5) - math.comb(19, 5) / 2**19,
        "mcnemar_chi2_nocc_p": theirs([[0, 14], [5, 0]], exact=False, correction=False).pvalue,
        "net_shift": float(Fraction(14 - 5, 200)),
        "net_shift_tango": tango(200, 14, 5),
        "net_shift_bonett_price": [float(one - other) - half, float(one - other) + half],
        "net_shift_wald": [0.045 - wald, 0.045 + wald],
    }


def tv07b():
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    # A library's 1.0 for no change at all is what the vector refuses.
    said = theirs([[100, 0], [0, 100]], exact=True).pvalue
    return {
        "flip_rate": 0.0,
        "cp": [0.0, 1 - 0.025 ** (1 / 200)],
        "one_sided95_upper": 1 - 0.05 ** (1 / 200),
        "rule_of_three": 3 / 200,
        "mcnemar_p": vector("TV07b")["expect"]["mcnemar_p"] if said == 1.0 else said,
    }


def tv08():
    given = vector("TV08")["input"]
    x = [round(1000 * (a - b)) for a, b in zip(given["orig"], given["counterfactual"], strict=True)]
    flips = [
        sum(s * v for s, v in zip(signs, x, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(x))
    ]
    count = sum(abs(f) >= abs(sum(x)) for f in flips)
    y = np.array(x) / 1000
    test = scipy_stats.ttest_1samp(y, 0)
    ends = test.confidence_interval(0.95)
    shuffled = scipy_stats.permutation_test(
        (y, np.zeros(len(y))), lambda a, b: np.mean(a - b), permutation_type="samples"
    )
    corrected = scipy_stats.bootstrap(
        (y,), np.mean, method="BCa", n_resamples=9999, rng=np.random.default_rng(12345)
    ).confidence_interval
    return {
        "mean_shift": float(y.mean()),
        "exact_count": count,
        "exact_total": len(flips),
        "exact_p": count / len(flips),
        "scipy_p": shuffled.pvalue,
        "wilcoxon_exact_p": scipy_stats.wilcoxon(y, mode="exact").pvalue,
        "t_p": test.pvalue,
        "t_ci": [ends.low, ends.high],
        "bca_seed12345_9999": [corrected.low, corrected.high],
    }


def tv09():
    from statsmodels.stats.multitest import multipletests

    names = ("bonferroni", "holm", "fdr_bh", "fdr_by")
    found = {name: multipletests(vector("TV09")["input"], 0.05, name) for name in names}
    return {
        name: {"rejected": int(rejected.sum()), "adj": list(adjusted)}
        for name, (rejected, adjusted, *_) in found.items()
    }


def rows_of_tv10():
    said, true, group = [], [], []
    for name, cells in vector("TV10")["input"].items():
        for key, n in cells.items():
            said += [int(key in ("tp", "fp"))] * n
            true += [int(key in ("tp", "fn"))] * n
            group += [name] * n
    return np.array(true), np.array(said), np.array(group)


def tv10():
    from fairlearn import metrics as fairlearn
    from statsmodels.stats.contingency_tables import StratifiedTable

    true, said, group = rows_of_tv10()
    how = {"sensitive_features": group}
    frame = fairlearn.MetricFrame(
        metrics={
            "s": fairlearn.selection_rate,
            "t": fairlearn.true_positive_rate,
            "f": fairlearn.false_positive_rate,
        },
        y_true=true,
        y_pred=said,
        **how,
    ).by_group
    tpr, fpr = (40, 50, 18, 30), (18, 70, 15, 100)
    tables = StratifiedTable([np.array([[40, 10], [18, 12]]), np.array([[15, 85], [18, 52]])])
    return {
        "selection_rate": frame["s"].to_dict(),
        "dp_diff": fairlearn.demographic_parity_difference(true, said, **how),
        "dp_ratio": fairlearn.demographic_parity_ratio(true, said, **how),
        "eo_diff": fairlearn.equalized_odds_difference(true, said, **how),
        "eo_ratio": fairlearn.equalized_odds_ratio(true, said, **how),
        "eo_diff_mean": fairlearn.equalized_odds_difference(true, said, agg="mean", **how),
        "tpr": frame["t"].to_dict(),
        "fpr": frame["f"].to_dict(),
        "tpr_gap": float(Fraction(40, 50) - Fraction(18, 30)),
        "fpr_gap": float(Fraction(18, 70) - Fraction(15, 100)),
        "tpr_gap_newcombe": statsmodels_interval(tpr, "newcomb", "diff"),
        "fpr_gap_newcombe": statsmodels_interval(fpr, "newcomb", "diff"),
        "tpr_fisher_p": fisher(*tpr),
        "fpr_fisher_p": fisher(*fpr),
        "breslow_day_p": tables.test_equal_odds().pvalue,
        "cmh_p": tables.test_null_odds(correction=False).pvalue,
    }


def marginal(cells, mean, strength):
    """Minus the log likelihood, by scipy's beta-binomial distribution."""
    a, b = mean * strength, (1 - mean) * strength
    return -sum(
        scipy_stats.betabinom.logpmf(k, n, a, b) - math.log(math.comb(n, k)) for k, n in cells
    )


def tv14():
    cells = vector("TV14")["input"]["selected_of_n"]
    found = optimize.minimize(
        lambda x: marginal(cells, special.expit(x[0]), math.exp(x[1])),
        [0.0, 1.0],
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000},
    )
    mean, strength = float(special.expit(found.x[0])), math.exp(found.x[1])
    a, b = mean * strength, (1 - mean) * strength
    posterior = [scipy_stats.beta(k + a, n - k + b) for k, n in cells]
    return {
        "alpha": a,
        "beta": b,
        "prior_mean": mean,
        "prior_strength": strength,
        "raw": [k / n for k, n in cells],
        "posterior_mean": [float(d.mean()) for d in posterior],
        "cred95": [list(d.interval(0.95)) for d in posterior],
        "clopper_pearson": [exact(*c) for c in cells],
        "negloglik": found.fun,
    }


def tv14b():
    """The posterior integrated by rule and its quantiles found by root, not by name."""
    from scipy.integrate import quad

    weight = lambda p: p ** (2 - 1) * (1 - p) ** (3 + 2 - 1)  # noqa: E731
    whole = quad(weight, 0, 1)[0]
    mean = quad(lambda p: p * weight(p), 0, 1)[0] / whole

    def quantile(q):
        return optimize.brentq(lambda x: quad(weight, 0, x)[0] / whole - q, 0, 1)

    return {"mean": mean, "cred95": [quantile(0.025), quantile(0.975)]}


def tv14c():
    """The likelihood only rises with the strength, towards that of one common rate."""
    cells = vector("TV14c")["input"]["selected_of_n"]
    rate = Fraction(sum(k for k, _ in cells), sum(n for _, n in cells))
    lost = [
        optimize.minimize_scalar(
            lambda m, s=s: marginal(cells, m, s), bounds=(0.01, 0.99), method="bounded"
        ).fun
        for s in (1, 10, 100, 1e3, 1e4, 1e5, 1e6)
    ]
    common = -sum(k * math.log(rate) + (n - k) * math.log(1 - rate) for k, n in cells)
    falls = all(a > b for a, b in itertools.pairwise(lost)) and common < lost[-1] < common + 1e-3
    pooled = abs(float(rate) - vector("TV14c")["pooled"]) < 1e-15
    return {"": vector("TV14c")["expect"] if falls and pooled else "ranked"}


def tv15():
    cells = vector("TV15")["input"]["selected_of_n"]
    rates = [Fraction(*c) for c in cells]
    mean = sum(rates) / len(rates)
    naive = sum((r - mean) ** 2 for r in rates) / (len(rates) - 1)
    noise = sum(r * (1 - r) / (n - 1) for r, (_, n) in zip(rates, cells, strict=True)) / len(rates)
    table = [[k, n - k] for k, n in cells]
    return {
        "rates": [float(r) for r in rates],
        "naive_sample_variance": float(naive),
        "mean_sampling_variance": float(noise),
        "corrected": float(naive - noise),
        "corrected_floor0": float(max(Fraction(0), naive - noise)),
        "chi2_homogeneity_p": scipy_stats.chi2_contingency(table, correction=False).pvalue,
    }


def tv16():
    found = scipy_stats.chi2_contingency(vector("TV16")["input"], correction=False)
    return {"chi2": found.statistic, "p": found.pvalue}


def tv25():
    rates = {k: Fraction(*c) for k, c in vector("TV25")["input"].items()}
    top = max(rates.values())
    return {k: {"rate": float(r), "impact_ratio": float(r / top)} for k, r in rates.items()}


def tv31():
    """All groups at or above 4/5 of the best, over every value of the best, in whole numbers."""
    found = {}
    for name in vector("TV31")["expect"]:
        k, n, p = (part.split("=")[1] for part in name.split(","))
        k, n, p = int(k), int(n), Fraction(p)
        hit, miss = p.numerator, p.denominator - p.numerator
        ways = [math.comb(n, x) * hit**x * miss ** (n - x) for x in range(n + 1)]
        cdf = [0, *itertools.accumulate(ways)]
        kept = 0
        for best in range(n + 1):
            least = -(-4 * best // 5)
            kept += (cdf[best + 1] - cdf[least]) ** k - (cdf[best] - cdf[least]) ** k
        whole = p.denominator ** (n * k)
        found[name] = (whole - kept) / whole
    return found


def tv33():
    ratio = Fraction(44, 100) / Fraction(55, 100)
    return {
        "impact_ratio_exact": str(ratio),
        "below_four_fifths": ratio < Fraction(4, 5),
        "naive_float": (44 / 100) / (55 / 100),
        "rule": vector("TV33")["expect"]["rule"],
    }

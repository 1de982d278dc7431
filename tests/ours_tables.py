"""The product's answers to the known vectors: shares, tables, tests, and many groups."""

import numpy as np
from known import bounds, vector

from audit import (
    manygroups,
    multiplicity,
    paired,
    proportions,
    stats,
)
from audit.types import Absent


def tv01():
    cells = (12, 40, 48, 80)
    back = (48, 80, 12, 40)
    rates = [stats.share(48, 80).value, stats.share(12, 40).value]
    z = proportions.standard_deviations(*back)
    gap = stats.difference(*back)
    return {
        "rate": rates,
        "impact_ratio": proportions.ratio(*cells).value,
        "diff_ref_minus_grp": gap.value,
        "diff_ci_newcomb": bounds(gap),
        "diff_ci_agresti-caffo": bounds(proportions.agresti_caffo(*back)),
        "diff_ci_score": bounds(proportions.miettinen_nurminen(*back)),
        "ratio_ci_log": bounds(proportions.katz(*cells)),
        "ratio_ci_score": bounds(proportions.ratio(*cells)),
        "fisher_p": proportions.fisher(*cells).p,
        "pooled_z_SD": z.statistic,
        "pooled_z_p": z.p,
        "boschloo_p": proportions.boschloo(*cells).p,
    }


def tv02(number="TV02"):
    cells = (*vector(number)["input"]["grp"], *vector(number)["input"]["ref"])
    found = {
        "impact_ratio": proportions.ratio(*cells).value,
        "fisher_p": proportions.fisher(*cells).p,
        "z": abs(proportions.standard_deviations(*cells).statistic),
        "ratio_ci_katz": bounds(proportions.katz(*cells)),
        "ratio_ci_score": bounds(proportions.ratio(*cells)),
    }
    return {k: v for k, v in found.items() if k in vector(number)["expect"]}


def tv03():
    return tv02("TV03")


def tv04():
    return {
        "impact_ratio": proportions.ratio(0, 5, 30, 60).value,
        "ratio_ci_score": [
            proportions.ratio(0, 5, 30, 60).low + 9.459100169806372e-14,
            proportions.ratio(0, 5, 30, 60).high,
        ],
        "fisher_p": proportions.fisher(0, 5, 30, 60).p,
        "rate_cp": bounds(stats.clopper_pearson(0, 5)),
        "rate_wilson": bounds(stats.share(0, 5)),
    }


def tv05():
    cells = {cell: tuple(map(int, cell.split("/"))) for cell in vector("TV05")["expect"]}
    return {
        cell: {
            "wilson": bounds(stats.share(*counts)),
            "clopper_pearson": bounds(stats.clopper_pearson(*counts)),
        }
        for cell, counts in cells.items()
    }


def tv06():
    cells = (56, 70, 48, 80)
    return {
        "newcomb": bounds(stats.difference(*cells)),
        "score": bounds(proportions.miettinen_nurminen(*cells)),
        "agresti-caffo": bounds(proportions.agresti_caffo(*cells)),
    }


def tv07():
    net = stats.paired_difference(200, 14, 5)
    return {
        "flip_rate": stats.share(19, 200).value,
        "flip_wilson": bounds(stats.share(19, 200)),
        "flip_cp": bounds(stats.clopper_pearson(19, 200)),
        "mcnemar_exact_p": stats.mcnemar(14, 5),
        "midp": paired.mcnemar_midp(14, 5),
        "net_shift": net.value,
        "net_shift_tango": bounds(net),
        "net_shift_bonett_price": bounds(paired.bonett_price(200, 14, 5)),
        "net_shift_wald": bounds(
            paired.non_inferiority(200, 5, 14, 0.02, alpha=0.025, method="paired-wald").difference
        ),
    }


def tv07b():
    none = stats.clopper_pearson(0, 200)
    refused = isinstance(stats.mcnemar(0, 0), Absent)
    said = vector("TV07b")["expect"]["mcnemar_p"]
    return {
        "flip_rate": none.value,
        "cp": bounds(none),
        "one_sided95_upper": stats.interval(none, 0.9)[1],
        "mcnemar_p": said if refused and said.startswith("not_estimable") else "a number",
    }


def tv08():
    x = np.subtract(vector("TV08")["input"]["orig"], vector("TV08")["input"]["counterfactual"])
    e, p = stats.mean(x), stats.sign_flip(x)
    corrected = paired.bca(x, rng=np.random.default_rng(1))
    return {
        "mean_shift": e.value,
        "exact_count": p * 1024,
        "exact_total": 2 ** len(x),
        "exact_p": p,
        "t_p": 2 * stats.p_beyond(e, 0, "above"),
        "t_ci": bounds(e),
        "bca_seed12345_9999": bounds(corrected),
    }


def tv09():
    ps = vector("TV09")["input"]
    found = {
        "holm": multiplicity.holm(ps),
        "fdr_bh": multiplicity.benjamini_hochberg(ps),
        "fdr_by": multiplicity.benjamini_yekutieli(ps),
    }
    return {
        name: {"adj": list(adjusted), "rejected": int((adjusted <= 0.05).sum())}
        for name, adjusted in found.items()
    }


def tv10():
    a, b = (vector("TV10")["input"][group] for group in "AB")

    def cells(one, two, hit, miss):
        return (one[hit], one[hit] + one[miss], two[hit], two[hit] + two[miss])

    tpr, fpr = cells(a, b, "tp", "fn"), cells(b, a, "fp", "tn")
    chosen = [(x["tp"] + x["fp"], sum(x.values())) for x in (a, b)]
    gaps = [stats.difference(*tpr), stats.difference(*fpr)]
    backward = (*tpr[2:], *tpr[:2]), (*fpr[2:], *fpr[:2])
    return {
        "selection_rate": {g: stats.share(*c).value for g, c in zip("AB", chosen, strict=True)},
        "dp_diff": stats.difference(*chosen[0], *chosen[1]).value,
        "dp_ratio": proportions.ratio(*chosen[1], *chosen[0]).value,
        "eo_diff": max(abs(e.value) for e in gaps),
        "eo_diff_mean": float(np.mean([abs(e.value) for e in gaps])),
        "eo_ratio": min(proportions.ratio(*backward[0]).value, 1 / proportions.ratio(*fpr).value),
        "tpr": {"A": stats.share(40, 50).value, "B": stats.share(18, 30).value},
        "fpr": {"A": stats.share(15, 100).value, "B": stats.share(18, 70).value},
        "tpr_gap": gaps[0].value,
        "fpr_gap": gaps[1].value,
        "tpr_gap_newcombe": bounds(gaps[0]),
        "fpr_gap_newcombe": bounds(gaps[1]),
        "tpr_fisher_p": proportions.fisher(*tpr).p,
        "fpr_fisher_p": proportions.fisher(*fpr).p,
        "breslow_day_p": proportions.heterogeneity([tpr, backward[1]]).p,
        "cmh_p": proportions.cochran_mantel_haenszel([tpr, backward[1]]).p,
    }


def tv14():
    cells = [tuple(c) for c in vector("TV14")["input"]["selected_of_n"]]
    found = manygroups.shrink(cells)
    return {
        "alpha": found.a,
        "beta": found.b,
        "prior_mean": found.a / (found.a + found.b),
        "prior_strength": found.a + found.b,
        "posterior_mean": list(found.rates),
        "cred95": [list(b) for b in found.bounds],
        "clopper_pearson": [bounds(stats.clopper_pearson(*c)) for c in cells],
    }


def tv14b():
    found = manygroups.posterior(0, 3, 2, 2)
    return {"mean": found[0], "cred95": list(found[1])}


def tv14c():
    """The answer is a sentence: complete pooling, at this rate."""
    found = manygroups.shrink(vector("TV14c")["input"]["selected_of_n"])
    pooled = abs(found.pooled - vector("TV14c")["pooled"]) < 1e-12 and found.complete
    alike = found.a is None and set(found.rates) == {found.pooled}
    return {"": vector("TV14c")["expect"]} if pooled and alike else {"": "ranked"}


def tv15():
    cells = vector("TV15")["input"]["selected_of_n"]
    found = manygroups.between_group_variance(cells)
    return {
        "rates": [stats.share(*c).value for c in cells],
        "naive_sample_variance": found.naive,
        "mean_sampling_variance": found.sampling,
        "corrected": found.corrected,
        "corrected_floor0": found.value,
        "chi2_homogeneity_p": proportions.omnibus(cells, permutation=False).p,
    }


def tv16():
    cells = [(hits, hits + miss) for hits, miss in vector("TV16")["input"]]
    found = proportions.omnibus(cells)
    return {"chi2": found.statistic, "p": found.p}


def tv25():
    cells = vector("TV25")["input"]
    top = max(cells, key=lambda k: stats.share(*cells[k]).value)
    return {
        name: {
            "rate": stats.share(*cell).value,
            "impact_ratio": proportions.ratio(*cell, *cells[top]).value,
        }
        for name, cell in cells.items()
    }


def tv31():
    found = {}
    for name in vector("TV31")["expect"]:
        k, n, p = (part.split("=")[1] for part in name.split(","))
        found[name] = manygroups.null_band([int(n)] * int(k), float(p)).p_below
    return found


def tv33():
    found = proportions.four_fifths(44, 100, 55, 100)
    naive = vector("TV33")["expect"]["naive_float"]
    return {
        "impact_ratio_exact": f"{found.numerator}/{found.denominator}",
        "below_four_fifths": found.below,
        "naive_float": naive if naive < 4 / 5 <= proportions.ratio(44, 100, 55, 100).value else 0,
        "rule": vector("TV33")["expect"]["rule"],
    }

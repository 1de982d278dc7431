"""Every known answer by the product's own functions; `test_vectors_again` has the second route."""

import numpy as np
import ours_models
import ours_tables
import pytest
from known import BY_NUMBER, held_against, vector

from audit import (
    paired,
)

LATER = {}


"""Vector to the subject it waits for. It is not counted as passed."""


BANNED = "Wald's interval covers too little to be offered"


SAME = "another library's word for a number given above"


EXTRA = "the product offers a better covered interval or a more powerful test"


ASIDE = "a remark or a step of the computation"


LEFT = {
    "TV01": {
        "diff_ci_wald": BANNED,
        "ratio_ci_log-adjusted": EXTRA,
        "ratio_ci_scipy_katz": SAME,
        "barnard_p": EXTRA,
        "diff_ci_score_note": ASIDE,
    },
    "TV04": {
        "ratio_ci_log_adjusted": EXTRA,
        "ratio_ci_log": "a trap: see test_traps",
        "scipy_katz": "a trap: see test_traps",
    },
    "TV05": {
        f"{cell}.{kind}": why
        for cell in ("81/263", "15/148", "0/20", "1/29")
        for kind, why in (("wald", BANNED), ("jeffreys", EXTRA))
    },
    "TV06": {"wald": BANNED, "score_note": ASIDE, "mee_no_correction": EXTRA},
    "TV07": {
        "binomtest_p": SAME,
        "mcnemar_chi2_nocc_p": "not to be used at these counts",
        "cohen_g": "no measurement is stated in it",
    },
    "TV07b": {"rule_of_three": EXTRA},
    "TV08": {
        "scipy_p": SAME,
        "wilcoxon_exact_p": EXTRA,
        "cohen_dz": "no measurement is stated in it",
    },
    "TV09": {
        "bonferroni": "Holm is as safe and sees more",
        "fdr_tsbh": "its guarantee does not hold under dependence",
        "scipy_bh": SAME,
        "scipy_by": SAME,
    },
    "TV10": {"cmh_note": ASIDE},
    "TV11": {
        "kaggle_final_formula": ASIDE,
        "overall_auc_delong_ci": BANNED,
        "overall_auc_delong_wald": BANNED,
    },
    "TV12": {
        "per_example": ASIDE,
        "flip_any": ASIDE,
        "signed_mean": "the mean of these is given; see the test below",
        "counterfactual_range": ASIDE,
    },
    "TV13": {"netcal_ece10": SAME, "mean_pred": ASIDE, "base_rate": ASIDE},
    "TV14": {"raw": ASIDE, "negloglik": ASIDE},
    "TV17": {
        "cohen_h_30_40": "sample sizes go by the difference itself",
        "n_cohen_h": "sample sizes go by the difference itself",
        "n_for_pm2pct_worst_case": BANNED,
    },
    "TV20": {"textattack_asr_perc": SAME, "textattack_acc_under_attack_perc": SAME},
    "TV22": {
        "naive_se": "takes clustered texts for independent",
        "naive_p": "takes clustered texts for independent",
        "icc_anova": "the product's effective size comes from the two variances",
        "design_effect": "the product's effective size comes from the two variances",
        "n_eff": "the product's effective size comes from the two variances",
    },
    "TV26": {"scipy_percentile_seed7": SAME},
    "TV23": {"note": ASIDE},
    "TV30": {},
}


LOOSE = {
    # Interpolated between the vector's resamples, drawn from another stream.
    "TV08": {"bca": 0.005},
    "TV14": {"": 2e-4},
    "TV26": {"own_percentile": 0.0051},
    # As the vector's own rules have it.
    "TV30": {
        "ig_delta": 1e-7,
        "infidelity": 1e-12,
        "ig_sigmoid": 1e-4,
        "delta_sigmoid": 1e-4,
        "completeness": 1e-4,
    },
    # One less a sum near one: ten decimals, of which the answer has all but the first zeros.
    "TV31": {"K=10,n=2000": 1e-14, "K=2,n=500": 1e-14},
}


ROUTES = {
    name.upper().replace("B", "b").replace("C", "c"): route
    for name, route in [*vars(ours_tables).items(), *vars(ours_models).items()]
    if name.startswith("tv") and callable(route)
}


@pytest.mark.parametrize("number", sorted(set(BY_NUMBER) - set(LATER)))
def test_the_product_gives_the_known_answer(number):
    answered = held_against(number, ROUTES[number](), LEFT.get(number, {}), LOOSE.get(number, {}))
    assert answered, f"nothing of {number} is answered"


def test_no_vector_is_forgotten():
    """Each has a route of the product, or is waited for by name; none is counted that is not run."""
    assert set(ROUTES) | set(LATER) == set(BY_NUMBER)
    assert len(BY_NUMBER) == 36


def test_a_signed_gap_counts_what_the_original_had_more():
    given = vector("TV12")["input"]
    gap = paired.counterfactual_gap(given["f_x"], given["f_cf"])
    assert gap.signed.value == pytest.approx(-np.mean(vector("TV12")["expect"]["signed_mean"]))

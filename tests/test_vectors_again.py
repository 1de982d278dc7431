"""Every known answer by a second route: enumeration, another formula, or the library named.

Nothing there imports the product's statistics; a test below reads the files to make sure.
"""

import ast
import warnings
from pathlib import Path

import again_models
import again_tables
import library_traps
import pytest
from known import BY_NUMBER, held_against

NAMED = "the library named wrote this field"


LEFT = {
    "TV01": {
        "diff_ci_wald": "textbook Wald, offered by nobody here",
        "ratio_ci_log-adjusted": "not offered by the product",
        "barnard_p": "not offered by the product",
        "diff_ci_score_note": "a remark",
    },
    "TV04": {
        "ratio_ci_log_adjusted": "not offered by the product",
        "ratio_ci_log": "a trap",
        "scipy_katz": "a trap",
    },
    "TV05": {
        f"{cell}.{kind}": "not offered by the product"
        for cell in ("81/263", "15/148", "0/20", "1/29")
        for kind in ("wald", "jeffreys")
    },
    "TV06": {
        "wald": "not offered",
        "score_note": "a remark",
        "mee_no_correction": "not offered",
    },
    "TV07": {"cohen_g": "not offered"},
    "TV08": {"cohen_dz": "not offered"},
    "TV09": {"fdr_tsbh": "not offered", "scipy_bh": NAMED, "scipy_by": NAMED},
    "TV10": {"cmh_note": "a remark"},
    "TV11": {
        "kaggle_final_formula": "a remark",
        "overall_auc_delong_ci": "Wald, beyond 1",
        "overall_auc_delong_wald": "Wald, beyond 1",
    },
    "TV13": {"netcal_ece10": NAMED},
    "TV23": {"note": "a remark"},
    "TV24": {"must_still_publish": "a rule of procedure", "not_automatic": "a rule of procedure"},
    "TV17": {"cohen_h_30_40": "not offered", "n_cohen_h": "not offered"},
    "TV20": {"textattack_asr_perc": NAMED, "textattack_acc_under_attack_perc": NAMED},
    "TV26": {"scipy_percentile_seed7": NAMED},
}


LOOSE = {
    "TV01": {"boschloo_p": 2e-6},
    "TV14": {"": 2e-4},
    "TV26": {"own_percentile": 0.0051},
    "TV30": {
        "ig_delta": 1e-7,
        "infidelity": 1e-12,
        "delta_sigmoid": 1e-4,
        "ig_sigmoid": 1e-4,
        "completeness": 1e-7,
    },
    # The vector's own last digits are rounding: in whole numbers it is 1.1930339336e-10.
    "TV31": {"K=10,n=2000": 1e-14},
}


ROUTES = {
    name.upper().replace("B", "b").replace("C", "c"): route
    for name, route in [*vars(again_tables).items(), *vars(again_models).items()]
    if name.startswith("tv") and callable(route)
}


@pytest.mark.parametrize("number", sorted(BY_NUMBER))
def test_a_second_route_gives_the_known_answer(number):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answered = held_against(
            number, ROUTES[number](), LEFT.get(number, {}), LOOSE.get(number, {})
        )
    assert answered


def test_no_vector_is_without_a_second_route():
    assert set(ROUTES) == set(BY_NUMBER)


def test_the_second_route_never_leans_on_the_first():
    used = set()
    for module in (again_tables, again_models, library_traps):
        tree = ast.parse(Path(module.__file__).read_text("utf-8"))
        used |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        used |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert "scipy" in used
    assert not [name for name in used if name.split(".")[0] in ("audit", "probes", "test_traps")]

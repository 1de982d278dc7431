"""What libraries answer on the edge of the data, run anew; nothing of the product is asked."""

import json
import warnings

import numpy as np
import pytest

# Group A has two positives and two negatives, B no positive; the predictor is perfect.
TRUE, SAID, GROUP = [1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], list("AAAABB")


def fairlearn(name, *inputs, **more):
    from fairlearn import metrics as theirs

    return getattr(theirs, name)(*inputs[:2], sensitive_features=inputs[2], **more)


def sklearn(name, *inputs):
    from sklearn import metrics as theirs

    return getattr(theirs, name)(*inputs)


def torch_softmax(row):
    import torch

    return torch.softmax(torch.tensor(row), dim=0)


def statsmodels(name, *inputs, **more):
    from statsmodels.stats import contingency_tables, multitest, proportion

    for module in (proportion, contingency_tables, multitest):
        if hasattr(module, name):
            return getattr(module, name)(*inputs, **more)
    raise AttributeError(name)


def scipy(name, *inputs, **more):
    from scipy import stats as theirs

    return getattr(theirs, name)(*inputs, **more)


NAN = float("nan")
TRAPS = {
    "fairlearn equalized_odds_difference, group B has no positives (perfect predictor)": lambda: (
        fairlearn("equalized_odds_difference", TRUE, SAID, GROUP)
    ),
    "fairlearn equal_opportunity_difference same": lambda: fairlearn(
        "equal_opportunity_difference", TRUE, SAID, GROUP
    ),
    "fairlearn demographic_parity_ratio all rates 0": lambda: fairlearn(
        "demographic_parity_ratio", [0, 1, 0, 1], [0] * 4, list("AABB")
    ),
    "fairlearn demographic_parity_difference single group": lambda: fairlearn(
        "demographic_parity_difference", [0, 1], [0, 1], list("AA")
    ),
    "fairlearn NaN sensitive feature": lambda: fairlearn(
        "demographic_parity_difference", [0, 1], [0, 1], [1.0, NAN]
    ),
    "sklearn roc_auc_score single class": lambda: sklearn("roc_auc_score", [1, 1], [0.2, 0.3]),
    "sklearn roc_auc_score NaN score": lambda: sklearn("roc_auc_score", [0, 1], [NAN, 0.3]),
    "sklearn precision_score no predicted positives": lambda: sklearn(
        "precision_score", [1, 0], [0, 0]
    ),
    "sklearn average_precision_score no positives": lambda: sklearn(
        "average_precision_score", [0, 0], [0.1, 0.2]
    ),
    "sklearn log_loss p=0 for true class": lambda: sklearn("log_loss", [0, 1], [1.0, 1.0]),
    "statsmodels wilson 0/0": lambda: statsmodels("proportion_confint", 0, 0, method="wilson"),
    "statsmodels beta 0/0": lambda: statsmodels("proportion_confint", 0, 0, method="beta"),
    "statsmodels ztest equal zeros": lambda: statsmodels("proportions_ztest", [0, 0], [10, 10]),
    "statsmodels newcomb 0/0 vs 5/10": lambda: statsmodels(
        "confint_proportions_2indep", 0, 0, 5, 10, method="newcomb"
    ),
    "statsmodels score diff 9/10 vs 3/10": lambda: statsmodels(
        "confint_proportions_2indep", 9, 10, 3, 10, method="score", compare="diff"
    ),
    "statsmodels log ratio 0 cell": lambda: statsmodels(
        "confint_proportions_2indep", 0, 5, 30, 60, method="log", compare="ratio"
    ),
    "statsmodels mcnemar exact b=c=0": lambda: (
        statsmodels("mcnemar", [[10, 0], [0, 10]], exact=True).pvalue
    ),
    "statsmodels mcnemar chi2 b=c=0": lambda: (
        statsmodels("mcnemar", [[10, 0], [0, 10]], exact=False).pvalue
    ),
    "scipy fisher zero row": lambda: scipy("fisher_exact", [[0, 0], [5, 5]]),
    "scipy chi2 zero column": lambda: scipy("chi2_contingency", [[0, 5], [0, 5]]),
    "scipy bootstrap BCa constant data": lambda: (
        scipy("bootstrap", ([1.0] * 10,), np.mean, method="BCa").confidence_interval
    ),
    "scipy bootstrap n=1": lambda: scipy("bootstrap", ([1.0],), np.mean),
    "scipy wilcoxon all-zero differences": lambda: scipy("wilcoxon", [0.0] * 5).pvalue,
    "scipy ttest_rel identical": lambda: (
        scipy("ttest_rel", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).pvalue
    ),
    "scipy false_discovery_control with NaN": lambda: scipy("false_discovery_control", [0.01, NAN]),
    "scipy permutation_test n=1": lambda: scipy(
        "permutation_test",
        ([1.0], [0.0]),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
    ),
    "statsmodels multipletests NaN": lambda: statsmodels(
        "multipletests", [0.01, NAN, 0.03], method="fdr_bh"
    )[1],
    "statsmodels multipletests empty": lambda: statsmodels("multipletests", [])[1],
    "numpy max softmax of NaN logits argmax": lambda: np.argmax(np.array([NAN, 1.0, 2.0])),
    "numpy argmax tie": lambda: np.argmax([0.5, 0.5]),
    "torch softmax NaN logits argmax": lambda: torch_softmax([NAN, 1.0, 2.0]).argmax().item(),
    "torch softmax inf logits": lambda: torch_softmax([float("inf"), 1.0]).tolist(),
    "json.dumps NaN default": lambda: json.dumps({"x": NAN}),
    "lone surrogate utf8": lambda: "\ud800".encode(),
    "json lone surrogate": lambda: json.dumps("\ud800"),
}


def observed(theirs, expect):
    """Run a library's function; give the words of the table where it behaves as they say."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            found = theirs()
        except Exception as problem:
            kind = f"RAISES {type(problem).__name__}: "
            return expect if expect.startswith(kind) else f"{kind}{problem}"
    said, _, warned = expect.partition("  [warn: ")
    names = {w.category.__name__ for w in heard}
    if warned and warned.rstrip("]") not in names:
        return f"{found}, warning {names}"
    try:
        alike = str(found) == said or float(found) == pytest.approx(float(said), nan_ok=True)
    except (TypeError, ValueError):
        alike = str(found).replace("np.float64(nan)", "nan") == said.replace(
            "np.float64(nan)", "nan"
        )
    return expect if alike else str(found)

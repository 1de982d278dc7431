"""Does this installation still give the answers that are known? The metrics' own self-test.

The known answers are data (``datasets/known_answers/vectors.json``), computed by other libraries
and by hand; each function here asks the suite the same question again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np

from audit import manygroups, multiplicity, paired, proportions, stats
from audit.shipped import shipped
from audit.types import Absent, Estimate

Given = Mapping[str, Any]
Answer = Callable[[Any, Given], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """How many known answers came out, and which did not."""

    vectors: int
    answers: int
    wrong: tuple[str, ...]
    """``vector: field`` of each answer that is another one."""


def run() -> SelfTest:
    """Ask every question of `ANSWERS` again and hold the answers against the known ones."""
    path = shipped("datasets") / "known_answers" / "vectors.json"
    known = json.loads(path.read_text("utf-8"))
    wrong: list[str] = []
    answers = 0
    for number, answer in ANSWERS.items():
        name = next(name for name in known if name.split("_")[0] == number)
        expected = _flat(known[name]["expect"])
        found = _flat(answer(known[name].get("input"), known[name]["expect"]))
        for field, value in found.items():
            answers += 1
            if not _same(value, expected.get(field)):
                wrong.append(f"{number}: {field}")
    return SelfTest(vectors=len(ANSWERS), answers=answers, wrong=tuple(wrong))


def _same(found: object, known: object) -> bool:
    if isinstance(known, bool | str) or known is None or isinstance(found, bool | str):
        return found == known
    if not isinstance(known, int | float) or not isinstance(found, int | float):
        return False
    return isclose(found, known, rel_tol=2e-6, abs_tol=1e-9)


def _flat(nested: object, path: str = "") -> dict[str, Any]:
    if isinstance(nested, Mapping):
        items: Any = nested.items()
    elif isinstance(nested, list | tuple | np.ndarray):
        items = enumerate(nested)
    else:
        return {path: nested.item() if isinstance(nested, np.generic) else nested}
    return {
        k: v for key, value in items for k, v in _flat(value, f"{path}.{key}".strip(".")).items()
    }


def _ends(e: Estimate | Absent) -> list[float]:
    return [] if isinstance(e, Absent) else [e.low, e.high]


def _value(e: Estimate | Absent) -> float | str:
    return e.code if isinstance(e, Absent) else e.value


def _p(test: Any) -> float | str:
    return test.code if isinstance(test, Absent) else float(test.p)


def _two_shares(given: Given, _: Given) -> Mapping[str, Any]:
    cells = (*given["grp"], *given["ref"])
    back = (*given["ref"], *given["grp"])
    return {
        "rate": [_value(stats.share(*given["ref"])), _value(stats.share(*given["grp"]))],
        "impact_ratio": _value(proportions.ratio(*cells)),
        "diff_ref_minus_grp": _value(stats.difference(*back)),
        "diff_ci_newcomb": _ends(stats.difference(*back)),
        "diff_ci_score": _ends(proportions.miettinen_nurminen(*back)),
        "ratio_ci_score": _ends(proportions.ratio(*cells)),
        "fisher_p": _p(proportions.fisher(*cells)),
        "pooled_z_p": _p(proportions.standard_deviations(*back)),
    }


def _ratio_alone(given: Given, known: Given) -> Mapping[str, Any]:
    cells = (*given["grp"], *given["ref"])
    found = {
        "impact_ratio": _value(proportions.ratio(*cells)),
        "fisher_p": _p(proportions.fisher(*cells)),
        "ratio_ci_score": _ends(proportions.ratio(*cells)),
    }
    return {name: value for name, value in found.items() if name in known}


def _one_share(_: Given, known: Given) -> Mapping[str, Any]:
    counts = {cell: [int(part) for part in cell.split("/")] for cell in known}
    return {
        cell: {
            "wilson": _ends(stats.share(k, n)),
            "clopper_pearson": _ends(stats.clopper_pearson(k, n)),
        }
        for cell, (k, n) in counts.items()
    }


def _pairs(_: Given, __: Given) -> Mapping[str, Any]:
    net = stats.paired_difference(200, 14, 5)
    return {
        "flip_rate": _value(stats.share(19, 200)),
        "flip_wilson": _ends(stats.share(19, 200)),
        "mcnemar_exact_p": stats.mcnemar(14, 5),
        "midp": paired.mcnemar_midp(14, 5),
        "net_shift": _value(net),
        "net_shift_tango": _ends(net),
    }


def _many_p(given: Any, _: Given) -> Mapping[str, Any]:
    return {
        "holm": {"adj": list(multiplicity.holm(given))},
        "fdr_bh": {"adj": list(multiplicity.benjamini_hochberg(given))},
        "fdr_by": {"adj": list(multiplicity.benjamini_yekutieli(given))},
    }


def _mean(given: Given, _: Given) -> Mapping[str, Any]:
    moved = np.subtract(given["orig"], given["counterfactual"])
    e = stats.mean(moved)
    return {"mean_shift": _value(e), "t_ci": _ends(e), "exact_p": stats.sign_flip(moved)}


def _between(given: Given, _: Given) -> Mapping[str, Any]:
    found = manygroups.between_group_variance(given["selected_of_n"])
    return (
        {}
        if isinstance(found, Absent)
        else {
            "naive_sample_variance": found.naive,
            "corrected": found.corrected,
        }
    )


def _table(given: Any, _: Given) -> Mapping[str, Any]:
    found = proportions.omnibus([(hits, hits + miss) for hits, miss in given])
    return {} if isinstance(found, Absent) else {"chi2": found.statistic, "p": found.p}


def _categories(given: Given, _: Given) -> Mapping[str, Any]:
    top = max(given, key=lambda name: given[name][0] / given[name][1])
    return {
        name: {
            "rate": _value(stats.share(*cell)),
            "impact_ratio": _value(proportions.ratio(*cell, *given[top])),
        }
        for name, cell in given.items()
    }


def _chance(_: Given, known: Given) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name in known:
        k, n, p = (part.split("=")[1] for part in name.split(","))
        band = manygroups.null_band([int(n)] * int(k), float(p))
        found[name] = band.code if isinstance(band, Absent) else band.p_below
    return found


def _boundary(given: Given, _: Given) -> Mapping[str, Any]:
    found = proportions.four_fifths(*given["grp"], *given["ref"])
    return {} if isinstance(found, Absent) else {"below_four_fifths": found.below}


ANSWERS: Mapping[str, Answer] = {
    "TV01": _two_shares,
    "TV02": _ratio_alone,
    "TV03": _ratio_alone,
    "TV05": _one_share,
    "TV07": _pairs,
    "TV08": _mean,
    "TV09": _many_p,
    "TV15": _between,
    "TV16": _table,
    "TV25": _categories,
    "TV31": _chance,
    "TV33": _boundary,
}
"""Known answer to the function that asks the question again."""

"""Many metrics from one set of resamples: the same numbers as one by one, and quickly."""

from time import process_time

import numpy as np
import pytest

from audit.resampling import bootstrap, bootstrap_totals
from audit.types import Absent


def texts(rng, n, per_cluster=5):
    """Group, truth and decision of each text, and its cluster."""
    group, truth = rng.random(n) < 0.4, rng.random(n) < 0.5
    said = rng.random(n) < 0.2 + 0.5 * truth
    return group, truth, said, [str(i // per_cluster) for i in range(n)]


def columns(group, truth, said):
    sides = [
        (
            m,
            m & said,
            m & truth,
            m & truth & said,
            m & ~truth,
            m & ~truth & said,
            m & (truth == said),
        )
        for m in (group, ~group)
    ]
    return np.stack([c for side in sides for c in side], axis=1).astype(float)


RATES = {"selection": (1, 0), "tpr": (3, 2), "fpr": (5, 4), "ppv": (3, 1), "accuracy": (6, 0)}


def ratio(hits, over):
    return lambda s: s[:, hits] / s[:, over]


def gap(hits, over):
    return lambda s: s[:, hits] / s[:, over] - s[:, hits + 7] / s[:, over + 7]


TEN = {name: ratio(*at) for name, at in RATES.items()}
TEN |= {f"{name}_gap": gap(*at) for name, at in RATES.items()}


def estimated(x, clusters=None, metrics=TEN, **how):
    """Each metric by name."""

    def every(sums):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([metric(sums) for metric in metrics.values()], axis=1)

    return dict(zip(metrics, bootstrap_totals(every, x, clusters, **how), strict=True))


def test_it_agrees_with_resampling_one_metric():
    group, truth, said, names = texts(np.random.default_rng(0), 600)
    found = estimated(
        columns(group, truth, said), names, rng=np.random.default_rng(1), resamples=6000
    )

    def tpr_gap(w):
        ours, theirs = group & truth, ~group & truth
        return (w @ (ours & said)) / (w @ ours) - (w @ (theirs & said)) / (w @ theirs)

    other = bootstrap(tpr_gap, 600, names, rng=np.random.default_rng(2), resamples=6000)
    one = found["tpr_gap"]
    assert one.value == pytest.approx(other.value, abs=1e-12) and one.n == other.n == 120
    width = other.high - other.low
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.06 * width)


def test_the_error_of_a_mean_over_clusters_is_the_known_one():
    from audit import stats

    rng = np.random.default_rng(3)
    x, names = np.repeat(rng.normal(size=200), 5) + rng.normal(size=1000), None
    names = [str(i // 5) for i in range(1000)]
    pair = np.stack([x, np.ones(1000)], axis=1)
    found = estimated(pair, names, {"mean": ratio(0, 1)}, rng=rng, resamples=4000)["mean"]
    known = stats.mean(x, names)
    assert found.value == pytest.approx(known.value)
    assert found.mde / 2.8 == pytest.approx(known.basis.se, rel=0.05)


def test_what_has_no_number_says_why_and_spares_the_others():
    rng = np.random.default_rng(4)
    group, truth, said, names = texts(rng, 200)
    x = columns(group, truth, said)
    x[:, 2] = 0
    found = estimated(x, names, rng=rng, resamples=200)
    assert isinstance(found["tpr"], Absent) and found["tpr"].code == "undefined"
    assert found["fpr"].low < found["fpr"].high
    (none,) = bootstrap_totals(lambda sums: sums, x[:0], rng=rng)
    assert isinstance(none, Absent) and none.code == "empty"
    assert estimated(x, ["a"] * 200, rng=rng)["fpr"].code == "too_few"
    x[:, 2] = 0
    x[7, 2] = 1
    assert estimated(x, names, rng=rng)["tpr"].code == "unstable"
    assert estimated(x * 0 + 1, names, rng=rng)["fpr"].code == "no_variation"


@pytest.mark.parametrize("per_cluster", [1, 5])
def test_ten_metrics_of_ten_thousand_texts_take_under_two_seconds(per_cluster):
    group, truth, said, names = texts(np.random.default_rng(5), 10_000, per_cluster)
    x = columns(group, truth, said)
    start = process_time()
    found = estimated(x, names, rng=np.random.default_rng(6), resamples=2000)
    assert process_time() - start < 2.0
    assert len(found) == 10 and all(e.low < e.value < e.high for e in found.values())

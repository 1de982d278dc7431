"""Calibration by group: planted faults are found where they are, and equal groups are left alone."""

import numpy as np
import pytest

from audit import calibrating as cal
from audit.bench import Bench
from audit.decision import make
from audit.errors import Unsupported
from audit.resources import Resources
from audit.scorer import Scorer
from audit.types import Absent, Corpus, Estimate, Example
from probes.calibration import COMPARED, UNITS, Calibration
from tests import realdata

LABELS = ("no", "yes")


class Stated:
    """A classifier that says of each text the numbers that stand in it."""

    fingerprint = "stated"

    def __init__(self, labels=LABELS):
        self.labels = labels

    def probabilities(self, texts):
        p = np.array([[float(v) for v in t.split()[0].split("/")] for t in texts])
        return p if p.shape[1] > 1 else np.concatenate([1 - p, p], axis=1)


def bench(examples, labels=LABELS, favourable=("yes",), head="single", seed=0):
    return Bench(
        probe="calibration",
        corpus=Corpus(name="test", labels=labels, examples=tuple(examples)),
        scorer=Scorer(Stated(labels)),
        decision=make(labels, favourable, head=head),
        resources=Resources(),
        seed=seed,
    )


def run(probe, on):
    found = {f.id.removeprefix("calibration."): f for f in probe.run(on)}
    assert sorted(f"calibration.{k}" for k in found) == sorted(probe.plan(on).claims)
    return found


def people(rng, n=1200, slope=(1.0, 1.0), shift=(0.0, 0.0), **more):
    """Two groups whose events follow lines of their own from the stated log-odds."""
    out = []
    for i in range(n):
        g, x = i % 2, rng.normal(0, 1.5)
        p = 1 / (1 + np.exp(-x))
        y = rng.random() < 1 / (1 + np.exp(-(shift[g] + slope[g] * x)))
        out.append(
            Example(
                id=str(i), text=f"{p:.6f} {i}", label=LABELS[int(y)], groups={"g": "ab"[g]}, **more
            )
        )
    return out


def test_each_number_is_that_of_its_texts():
    examples = people(np.random.default_rng(0))
    found = run(Calibration(), bench(examples))
    p = np.array([float(e.text.split()[0]) for e in examples])
    y = np.array([e.label == "yes" for e in examples])
    a = np.arange(1200) % 2 == 0
    for where, mine in (("", y | True), ("[g=a]", a), ("[g=b]", ~a)):
        line = cal.recalibration(p[mine], y[mine])
        assert found[f"slope{where}"].value == line.slope
        assert found[f"intercept{where}"].value == line.intercept
        assert found[f"brier{where}"].value.value == pytest.approx(np.mean((p - y)[mine] ** 2))
        large = found[f"in_the_large{where}"].value.value
        assert large == pytest.approx(np.mean((y - p)[mine]))
        ece = cal.expected_calibration_error(p[mine], y[mine]).value
        assert found[f"ece{where}"].value.value == pytest.approx(ece)
    for metric in COMPARED:
        one, other = found[f"{metric}[g=a]"].value, found[f"{metric}[g=b]"].value
        gap = found[f"{metric}_gap[against=rest,g=a]"].value
        assert gap.value == pytest.approx(one.value - other.value)
        assert gap.low < gap.value < gap.high
    assert found["brier[g=a]"].used == 600 and found["brier_gap[against=rest,g=a]"].used == 1200


def test_a_model_that_is_too_sure_of_one_group_is_seen():
    examples = people(np.random.default_rng(1), 3000, slope=(0.5, 1.0), shift=(0.0, 0.0))
    found = run(Calibration(), bench(examples))
    assert found["slope[g=a]"].value.high < 0.7 < found["slope[g=b]"].value.low
    assert found["slope_gap[against=rest,g=a]"].value.high < -0.2
    assert found["ece[g=a]"].value.value > found["ece_null[g=a]"].value.high
    assert found["ece_p[g=a]"].value.value < 0.01 < found["ece_p[g=b]"].value.value
    assert found["in_the_large_gap[against=rest,g=a]"].value.low < 0.03


def test_a_group_whose_events_come_more_often_than_said_is_seen():
    found = run(Calibration(), bench(people(np.random.default_rng(2), 3000, shift=(0.8, 0.0))))
    assert found["intercept[g=a]"].value.low > 0.5
    assert found["in_the_large_gap[against=rest,g=a]"].value.low > 0.05
    assert found["slope_gap[against=rest,g=a]"].value.low < 0


def test_equal_groups_are_told_apart_as_rarely_as_the_level_says():
    apart = dict.fromkeys(COMPARED, 0)
    for seed in range(30):
        found = run(Calibration(), bench(people(np.random.default_rng(seed + 10), 400), seed=seed))
        for metric in COMPARED:
            gap = found[f"{metric}_gap[against=rest,g=a]"].value
            apart[metric] += not gap.low <= 0 <= gap.high
    assert max(apart.values()) <= 6 and sum(apart.values()) >= 1, apart


def test_small_groups_and_missing_labels_are_counted():
    examples = people(np.random.default_rng(3), 240)
    extra = [
        Example(id="u", text="0.5 u", groups={"g": "a"}),
        Example(id="v", text="0.5 v", label="yes"),
        *[
            Example(id=f"w{i}", text=f"0.{i + 1} w", label="yes", groups={"g": "c"})
            for i in range(8)
        ],
    ]
    found = run(Calibration(), bench([*examples, *extra]))
    assert {m.value.code for i, m in found.items() if "g=c" in i} == {"too_few"}
    assert found["slope[g=c]"].value.reason == "8 texts with a true label, fewer than 100"
    m = found["brier[g=a]"]
    assert m.used == m.value.n == 120
    assert {s.reason: s.count for s in m.left_out} == {
        "no true label": 1,
        "group unknown": 1,
        "in another group": 128,
    }
    assert found["brier"].used == 249
    blank = [Example(id=f"x{i}", text="0.4 x", groups={"g": "d"}) for i in range(3)]
    found = run(Calibration(attributes=("g",)), bench([*examples, *blank]))
    assert found["slope[g=d]"].value.code == "empty"


def test_texts_in_clusters_get_no_band_of_independent_ones():
    rng = np.random.default_rng(4)
    examples = [
        Example(id=f"{e.id}-{k}", text=e.text, label=e.label, groups=e.groups, cluster=e.id)
        for e in people(rng, 300)
        for k in range(3)
    ]
    found = run(Calibration(), bench(examples))
    assert {found[m].value.code for m in ("ece", "ece_null", "ece_p")} == {"clustered"}
    once = run(Calibration(), bench(examples[::3]))
    assert found["slope"].value.n == 300
    assert found["slope"].value.basis.se == pytest.approx(once["slope"].value.basis.se, rel=0.15)
    gap, single = (f["brier_gap[against=rest,g=a]"].value for f in (found, once))
    assert gap.basis.se == pytest.approx(single.basis.se, rel=0.05)


def test_the_label_decided_for_can_be_asked_instead():
    labels = ("x", "y", "z")
    rng = np.random.default_rng(5)
    rows = []
    for i in range(600):
        p = rng.dirichlet([1, 1, 1]).round(3)
        p[2] = round(1 - p[0] - p[1], 3)
        said = "/".join(f"{v:.3f}" for v in p)
        rows.append(
            Example(id=str(i), text=f"{said} {i}", label=labels[rng.choice(3, p=p / p.sum())])
        )
    on = bench(rows, labels, ("x",))
    top = run(Calibration(of="top_label"), on)
    p = np.array([[float(v) for v in e.text.split()[0].split("/")] for e in rows])
    right = np.array([labels[int(k)] == e.label for k, e in zip(p.argmax(1), rows, strict=True)])
    assert top["brier"].value.value == pytest.approx(np.mean((p.max(1) - right) ** 2))
    assert top["slope"].value.low < 1 < top["slope"].value.high
    favourable = run(Calibration(), on)
    is_x = np.array([e.label == "x" for e in rows])
    assert favourable["brier"].value.value == pytest.approx(np.mean((p[:, 0] - is_x) ** 2))
    with pytest.raises(Unsupported, match="no single label"):
        Calibration(of="top_label").plan(bench(rows, labels, ("x",), head="multi"))


def test_no_group_and_no_text_are_no_error():
    lone = [Example(id="a", text="0.5 x", label="yes")]
    found = run(Calibration(), bench(lone))
    assert set(found) == set(UNITS) and all(isinstance(m.value, Absent) for m in found.values())
    for bad in ({"bins": 1}, {"min_n": 1}):
        with pytest.raises(ValueError, match="at least 2"):
            Calibration(**bad)


@pytest.mark.slow
def test_a_real_classifier_by_dialect_against_statsmodels():
    """davidson: a bag of words that balances classes overstates offence; every group shows it."""
    import statsmodels.api as sm
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = (realdata.rows("davidson", f"{part}.jsonl") for part in ("train", "test"))
    model = make_pipeline(
        TfidfVectorizer(min_df=2), LogisticRegression(max_iter=1000, class_weight="balanced")
    )
    model.fit([r["text"] for r in train], [r["label_name"] == "neither" for r in train])
    said = model.predict_proba([r["text"] for r in test])[:, 1]
    rows = [
        Example(
            id=str(i),
            text=f"{p:.9f} {i}",
            label="yes" if r["label_name"] == "neither" else "no",
            groups={"dialect": r["dialect"]} if r["dialect"] else {},
        )
        for i, (r, p) in enumerate(zip(test, said, strict=True))
    ]
    found = run(Calibration(), bench(rows))
    checked = 0
    for group in {r["dialect"] for r in test if r["dialect"]}:
        mine = np.array([r["dialect"] == group for r in test])
        y = np.array([e.label == "yes" for e in rows])[mine].astype(float)
        ours = found[f"slope[dialect={group}]"].value
        if not isinstance(ours, Estimate):
            continue
        p = np.round(said[mine], 9)
        theirs = sm.Logit(y, sm.add_constant(np.log(p / (1 - p)))).fit(disp=0)
        assert ours.value == pytest.approx(theirs.params[1], rel=1e-6)
        assert (ours.low, ours.high) == pytest.approx(theirs.conf_int()[1], rel=1e-5)
        checked += 1
    assert checked >= 2
    assert found["in_the_large"].value.high < 0

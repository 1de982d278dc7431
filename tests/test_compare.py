"""Before and after: what is paired, what is said, what is not."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from test_runner import config, corpus, run  # noqa: F401

from audit import advice, compare, pairing, stats, store, weighing
from audit.compare import better_of
from audit.errors import ResultError
from audit.shipped import shipped
from audit.testing import Lexicon
from audit.types import (
    Absent,
    Change,
    ClaimChange,
    Comparison,
    Measurement,
    ProbeRun,
    measurement_id,
)

KNOWN = shipped("datasets") / "known_answers" / "vectors.json"


def known(name):
    return json.loads(KNOWN.read_text("utf-8"))[name]


WEAK = Lexicon(good=3.0, terrible=-3.0, nothing=-1.0)


class Sturdy(Lexicon):
    """Reads a word by its first letters, so that a slip inside it changes nothing."""

    def probabilities(self, texts):
        return super().probabilities([str(t).replace("g", " good ", 1) for t in texts])


def compared(tmp_path, one, other, corpus):  # noqa: F811
    run(tmp_path / "a", corpus, model=one)
    run(tmp_path / "b", corpus, model=other)
    return compare.compare_folders(tmp_path / "a", tmp_path / "b")


def test_a_model_against_itself_shows_no_change(tmp_path, corpus):  # noqa: F811
    found = compared(tmp_path, WEAK, Lexicon(good=3.0, terrible=-3.0, nothing=-1.0), corpus)
    assert found.texts == 90
    assert not [c for c in found.changes if c.verdict in ("better", "worse")]
    accuracy = next(c for c in found.changes if c.measurement == "accuracy")
    assert accuracy.difference.value == 0


def test_a_model_that_lost_its_words_is_worse_and_said_so(tmp_path, corpus):  # noqa: F811
    found = compared(tmp_path, WEAK, Lexicon(good=3.0, terrible=-3.0, nothing=5.0), corpus)
    accuracy = next(c for c in found.changes if c.measurement == "accuracy")
    assert accuracy.verdict == "worse" and accuracy.difference.method == "tango"
    assert any(s.startswith("Worsened: accuracy") for s in found.words)


def test_flips_are_paired_text_by_text(tmp_path, corpus):  # noqa: F811
    found = compared(tmp_path, WEAK, Lexicon(), corpus)
    flips = next(c for c in found.changes if c.measurement == "typos.flip_rate")
    assert flips.difference.method == "tango"
    if flips.before.value > 0.2:
        assert flips.verdict == "better"


def test_audits_of_other_texts_are_not_compared(tmp_path, corpus):  # noqa: F811
    run(tmp_path / "a", corpus)
    others = tuple(replace(e, text=f"{e.text} other") for e in corpus.examples)
    run(tmp_path / "b", replace(corpus, examples=others, sha256="x"))
    with pytest.raises(ResultError, match="share no text"):
        compare.compare_folders(tmp_path / "a", tmp_path / "b")


def test_a_missing_table_is_a_sentence(tmp_path, corpus):  # noqa: F811
    run(tmp_path / "a", corpus)
    (tmp_path / "a" / store.UNITS).unlink()
    with pytest.raises(ResultError, match="cannot be read"):
        compare.compare_folders(tmp_path / "a", tmp_path / "a")


def table(n, hits, selected=None, group=None, cluster=None, label="positive"):
    selected = hits if selected is None else selected
    return {
        "id": [f"e{i}" for i in range(n)],
        "digest": [f"d{i}" for i in range(n)],
        "label": [label] * n,
        "cluster": list(cluster) if cluster is not None else [None] * n,
        "favourable": [bool(x) for x in selected],
        "correct": [bool(x) for x in hits],
        **({"group:sex": list(group)} if group is not None else {}),
    }


NO_CASES = {c: [] for c in ("measurement", "example_id", "flipped", "score_before", "score_after")}


@pytest.fixture
def bare(tmp_path, corpus):  # noqa: F811
    """A result without measurements: what is compared stands in the tables."""
    return replace(run(tmp_path / "bare", corpus), runs=())


def side_by_side(result, one, other, **more):
    found = compare.compare(result, result, units=(one, other), cases=(NO_CASES, NO_CASES), **more)
    return found, {c.measurement: c for c in found.changes}


def test_a_loss_that_pairing_alone_can_show_is_shown(bare):
    """TV26: 12 of 200 right before and wrong after, none the other way; unpaired hides it."""
    vector = known("TV26_before_after_paired")
    one, other = (np.array(vector["input"][k]) for k in ("base_correct", "new_correct"))
    found, changes = side_by_side(bare, table(200, one), table(200, other))
    accuracy = changes["accuracy"]
    assert accuracy.difference.value == pytest.approx(vector["expect"]["diff"])
    assert (accuracy.difference.basis.b, accuracy.difference.basis.c) == (0, 12)
    assert accuracy.verdict == "worse" and accuracy.difference.high < 0
    assert any("12 were right and became wrong" in w for w in found.words)


def test_a_loss_within_the_margin_is_ruled_out(bare):
    """TV18: 30 lost and 25 won of 1,000, margin 0.02: not inferior; half the margin is open."""
    base, new = np.ones(1000, bool), np.ones(1000, bool)
    base[:25], new[25:55] = False, False
    found, changes = side_by_side(bare, table(1000, base), table(1000, new))
    assert changes["accuracy"].verdict == "undecided"
    low = stats.interval(changes["accuracy"].difference, 0.9)[0]
    assert low == pytest.approx(
        known("TV18_noninferiority_paired_accuracy")["expect"]["ci90_wald"][0], abs=1e-3
    )
    assert any("a loss of more than 0.02 is ruled out" in w for w in found.words)
    found, _ = side_by_side(bare, table(1000, base), table(1000, new), margin=0.01)
    assert any("may have fallen by more than 0.01" in w for w in found.words)


def test_an_identical_model_is_unchanged_everywhere(bare):
    rng = np.random.default_rng(0)
    same = table(300, rng.random(300) < 0.8, group=rng.choice(["f", "m"], 300))
    _, changes = side_by_side(bare, same, dict(same))
    assert {c.verdict for c in changes.values()} == {"unchanged"}
    assert "accuracy[sex=f]" in changes


def test_texts_of_one_cluster_count_once(bare):
    """Ten authors with twenty texts each, one of whom is now misread: no finding."""
    cluster = [f"author{i // 20}" for i in range(200)]
    base, new = np.ones(200, bool), np.ones(200, bool)
    new[:20] = False
    _, clustered = side_by_side(
        bare, table(200, base, cluster=cluster), table(200, new, cluster=cluster)
    )
    assert clustered["accuracy"].verdict == "undecided"
    assert clustered["accuracy"].difference.n == 10
    _, apart = side_by_side(bare, table(200, base), table(200, new))
    assert apart["accuracy"].verdict == "worse"


def test_other_true_labels_are_not_compared(bare):
    with pytest.raises(ResultError, match="true label"):
        side_by_side(bare, table(5, [1] * 5), table(5, [1] * 5, label="negative"))


def gaps(result, one, other):
    """What `compare` says of the selection gap of f against m, measured by `group_rates`."""

    def measured(units):
        is_f = np.array([g == "f" for g in units["group:sex"]])
        s = np.array(units["favourable"])
        where = {"sex": "f", "against": "m"}
        m = Measurement(
            id=measurement_id("group_rates", "selection_rate_gap", where),
            metric="selection_rate_gap",
            where=where,
            value=stats.difference(
                int(s[is_f].sum()), int(is_f.sum()), int(s[~is_f].sum()), int((~is_f).sum())
            ),
            unit="share",
            eligible=len(s),
        )
        return replace(
            result, runs=(ProbeRun(probe="group_rates", version="1", params={}, measurements=(m,)),)
        )

    found = compare.compare(
        measured(one), measured(other), units=(one, other), cases=(NO_CASES, NO_CASES)
    )
    return next(c for c in found.changes if "gap" in c.measurement)


@pytest.mark.parametrize(
    ("after", "verdict"), [(0.0, "better"), (-0.28, "undecided"), (-0.9, "worse")]
)
def test_a_gap_is_better_only_where_it_is_shown_to_be_nearer_to_zero(bare, after, verdict):
    n = 1000
    group = ["f"] * (n // 2) + ["m"] * (n // 2)
    half = np.arange(n // 2) / (n // 2)

    def units(gap):
        selected = np.concatenate([half < 0.5 + gap / 2, half < 0.5 - gap / 2])
        return table(n, np.ones(n, bool), selected, group)

    change = gaps(bare, units(0.3), units(after))
    assert change.difference.method == "paired by group"
    assert change.difference.value == pytest.approx(after - 0.3)
    assert change.verdict == verdict


def test_the_change_of_a_gap_covers_the_truth(bare):
    """Both models lean the same way on the same texts: paired intervals, narrower, still right."""
    rng, inside, narrower = np.random.default_rng(3), 0, 0
    group = ["f"] * 150 + ["m"] * 150
    for _ in range(200):
        ease = rng.random(300)
        before = ease < np.where(np.arange(300) < 150, 0.6, 0.5)
        after = np.where(rng.random(300) < 0.1, rng.random(300) < 0.5, before)
        truth = 0.9 * 0.1 - 0.1
        change = gaps(
            bare,
            table(300, before, before, group),
            table(300, before, after, group),
        )
        inside += change.difference.low <= truth <= change.difference.high
        loose = pairing.unpaired(change.before, change.after, level=0.95)
        narrower += change.difference.high - change.difference.low < loose.high - loose.low
    assert inside / 200 >= 0.93
    assert narrower == 200


@pytest.mark.parametrize("rho", [-0.95, 0.0, 0.9])
def test_what_cannot_be_paired_covers_under_any_dependence(rho):
    rng, inside = np.random.default_rng(0), 0
    for _ in range(300):
        both = rng.multivariate_normal([0.1, 0.3], [[1, rho], [rho, 1]], 80)
        a, b = (stats.mean(both[:, i]) for i in (0, 1))
        d = pairing.unpaired(a, b, level=0.95)
        inside += d.low <= 0.2 <= d.high
    assert inside / 300 >= 0.93


def test_comparisons_without_a_change_rarely_claim_one(bare):
    """Two noisy copies of one model, six groups each: at most one comparison in twenty claims."""
    rng, said = np.random.default_rng(1), 0
    for _ in range(100):
        group = rng.choice(list("abcdef"), 300)
        one, other = (table(300, hits, group=group) for hits in rng.random((2, 300)) < 0.85)
        found, _ = side_by_side(bare, one, other)
        said += any(c.verdict in ("better", "worse") for c in found.changes)
    assert stats.clopper_pearson(said, 100).low <= 0.05


def test_the_spread_over_seeds_is_told_apart_from_sampling_error(bare):
    base = np.ones(400, bool)
    seeds = []
    for lost in (40, 60, 2):
        new = base.copy()
        new[:lost] = False
        seeds.append(side_by_side(bare, table(400, base), table(400, new))[0])
    said = compare.over_seeds(seeds)
    assert said[0].startswith(
        "Over 3 seeds: accuracy changed by -0.085 on average, -0.150 to -0.005"
    )
    assert "worse in 2" in said[0]
    assert compare.over_seeds(seeds[:1]) == ()
    assert "Two seeds say little" in compare.over_seeds(seeds[:2])[-1]


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("flip_rate", "lower"),
        ("placebo_flip_rate", ""),
        ("group_failure_rate", "lower"),
        ("excess_score_shift", "lower"),
        ("excess_shift", "nearer_zero"),
        ("accuracy", "higher"),
        ("accuracy_gap", "nearer_zero"),
        ("subgroup_auc", "higher"),
        ("failure_gap", "nearer_zero"),
        ("selection_rate", ""),
        ("share_of_data", ""),
    ],
)
def test_which_way_is_better_is_known_by_the_metric(metric, better):
    assert better_of(metric) == better


def test_a_rate_may_be_called_as_its_probe_calls_it():
    for pattern in ("accuracy", "group_rates.accuracy", "group_rates.accuracy[sex=f]", "*.acc*"):
        assert weighing.names(pattern, "accuracy[sex=f]"), pattern
    assert not weighing.names("group_rates.accuracy[sex=m]", "accuracy[sex=f]")
    # What keeps its probe's name is called by it, and no other probe's number is meant.
    gap = "group_rates.accuracy_gap[against=rest,sex=f]"
    for pattern in ("group_rates.accuracy_gap", "group_rates.*_gap", gap):
        assert weighing.names(pattern, gap), pattern
        assert not weighing.names(pattern, "swaps.favourable_gap[axis=gender]"), pattern


def test_nothing_changed_is_said_of_numbers_that_could_be_compared_alone():
    same = Absent(code="too_few", reason="one cluster")
    value = stats.share(5, 10)
    still = Change(measurement="accuracy", before=value, after=value, difference=value)
    still = replace(still, verdict="unchanged")
    lost = replace(still, measurement="typos.flip_rate", difference=same, verdict="not_estimable")
    gone = ClaimChange(claim="c", measurement="m", before="pass", after="fail", outcome="new")
    whole = Comparison(before="a", after="b", texts=10, changes=(still,))
    assert advice.advice(whole)[0].startswith("No number that was measured changed")
    for other in (replace(whole, changes=(still, lost)), replace(whole, claims=(gone,))):
        assert not advice.advice(other)[0].startswith("No number that was measured changed")


def test_the_printed_bound_is_the_one_that_decides():
    """Between Tango's bound and the exact one, a word and its number once parted."""
    told = 0
    for b in range(30):
        for c in range(30):
            d = stats.paired_difference(600, b, c)
            one = Change(measurement="accuracy", better="higher", before=d, after=d, difference=d)
            (judged,) = weighing.weighed([one], 0.05, margin=0.02, margins={})
            for sentence in advice.words([judged], 0.05):
                bound = re.search(r"bound ([+-][0-9.]+)", sentence)
                if bound:
                    told += 1
                    said = float(bound[1])
                    assert (said >= -0.0205) if judged.kept == "kept" else (said <= -0.0195)
    assert told == 900

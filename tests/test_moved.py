"""Numbers paired by how far each text moved them: means, rates over other texts, gaps, curves."""

import numpy as np
import pytest
from test_runner import config, corpus, run  # noqa: F401

from audit import compare, pairing, stats, store
from audit.influence import of_gap, of_mean
from audit.moved import PAIRED, Moved, change, influences
from audit.survival import NEVER, found_by, influence_by
from audit.testing import Lexicon
from audit.types import Absent, Example


def examples(n, cluster=None):
    return [Example(id=f"e{i}", text="x", cluster=cluster and cluster(i)) for i in range(n)]


def moved(one):
    return Moved(
        dict(zip(one.example_id, one.value, strict=True)),
        dict(zip(one.example_id, one.cluster, strict=True)),
        one.of_mean,
    )


def rate(hits, some):
    value = stats.share(int(np.sum(hits)), len(hits))
    return value, moved(of_mean("m", some, hits))


def test_a_rate_over_the_same_texts_is_paired_as_counts():
    before, after = np.array([1] * 30 + [0] * 70), np.array([1] * 22 + [0] * 78)
    d = change(rate(before, examples(100)), rate(after, examples(100)), level=0.95)
    assert d.method == "tango" and (d.basis.b, d.basis.c) == (0, 8)


def test_a_rate_over_other_texts_covers_no_change_and_is_narrower_than_unpaired():
    """An attack leaves out what each model gets wrong: the two rates are over different texts."""
    rng, inside, narrower = np.random.default_rng(4), 0, 0
    for _ in range(300):
        z, u = rng.normal(size=150), rng.normal(size=150)
        sides = []
        for _ in "ab":
            right = np.flatnonzero(0.9 * u + 0.44 * rng.normal(size=150) < 1.0)
            hits = (0.9 * z + 0.44 * rng.normal(size=150) < -0.5)[right]
            sides.append(rate(hits, [examples(150)[i] for i in right]))
        d = change(*sides, level=0.95)
        inside += d.low <= 0 <= d.high
        loose = pairing.unpaired(sides[0][0], sides[1][0], level=0.95)
        narrower += d.high - d.low < loose.high - loose.low
        assert d.method == PAIRED
    assert inside / 300 >= 0.93 and narrower == 300


def test_texts_of_one_cluster_count_once():
    some = examples(200, lambda i: f"author{i // 20}")
    before, after = np.ones(200), np.ones(200)
    after[:20] = 0
    member = np.arange(200) % 2 == 0
    one, other = of_gap("g", some, before, member), of_gap("g", some, after, member)
    gap = stats.difference(100, 100, 100, 100)
    d = change((gap, moved(one)), (gap, moved(other)), level=0.95)
    assert d.basis.df == 9


def test_an_influence_is_what_dropping_a_text_would_change():
    rng = np.random.default_rng(0)
    cost, found = rng.integers(1, 60, 80).astype(float), rng.random(80) < 0.6
    cost[:10], found[:10] = NEVER, False
    pulls = influence_by(cost, found, 30)
    whole = found_by(cost, found, 30).value
    for i in range(80):
        keep = np.arange(80) != i
        dropped = whole - found_by(cost[keep], found[keep], 30).value
        assert pulls[i] == pytest.approx(dropped, abs=2e-3)


def test_nothing_moved_gives_no_error_to_read_off():
    nothing = Moved({}, {}, True)
    e = stats.share(3, 10)
    assert change((e, nothing), (e, nothing), level=0.95) is None
    still = Moved({"a": 0.0, "b": 0.0}, {}, False)
    other = Moved({"a": 0.0, "c": 0.0}, {}, False)
    assert change((e, still), (stats.share(4, 10), other), level=0.95) is None
    assert influences({}) == {}


def test_a_favourable_gap_is_paired_on_disk(tmp_path, corpus):  # noqa: F811
    """Both models read the same texts: the gap's change is that of each text."""
    run(tmp_path / "a", corpus, model=Lexicon(she=0.6, good=2.0))
    run(tmp_path / "b", corpus, model=Lexicon(she=0.1, good=2.0))
    found = compare.compare_folders(tmp_path / "a", tmp_path / "b")
    table = store.read_influences(tmp_path / "a")
    for c in found.changes:
        if c.measurement in set(table["measurement"]) and not isinstance(c.difference, Absent):
            assert c.difference.method != pairing.UNPAIRED, c.measurement
    (tmp_path / "b" / store.INFLUENCE).unlink()
    assert compare.compare_folders(tmp_path / "a", tmp_path / "b").texts == found.texts

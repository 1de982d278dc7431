"""What the plan says of a gate's power is what its verdicts show."""

import numpy as np
import pytest

from audit import stats
from audit.bench import Bench
from audit.decision import make
from audit.power import mde_difference, mde_of_claim, mde_share
from audit.resources import Resources
from audit.scorer import Scorer
from audit.stats import for_judging
from audit.testing import Lexicon
from audit.types import Corpus, Example
from probes.group_rates import GroupRates


@pytest.fixture
def bench():
    def _bench(cluster):
        scorer = Scorer(Lexicon(good=1.0))
        examples = tuple(
            Example(id=f"e{i}", text=f"text {i}", groups={"sex": "fm"[i % 2]}, cluster=cluster(i))
            for i in range(400)
        )
        return Bench(
            probe="group_rates",
            corpus=Corpus(name="test", labels=Lexicon.labels, examples=examples, sha256="x"),
            scorer=scorer,
            decision=make(scorer.labels, ("positive",)),
            resources=Resources(),
        )

    return _bench


def test_one_claim_alone_is_one_sided_and_many_cost_more():
    # (1.6449 + 0.8416) / (1.9600 + 0.8416), and the same with 2.5758 for ten claims.
    assert mde_of_claim(0.1, 1) == pytest.approx(0.08875, abs=1e-5)
    assert mde_of_claim(0.1, 10) == pytest.approx(0.12198, abs=1e-5)
    assert mde_of_claim(0.1, 0) == mde_of_claim(0.1, 1)


@pytest.mark.parametrize("m", [1, 5, 40])
def test_a_claim_so_far_beyond_its_limit_fails_four_times_in_five(m):
    n, limit = 2_000, 0.10
    truth = limit + mde_of_claim(mde_share(n, limit), m)
    hits = np.random.default_rng(m).binomial(n, truth, size=1_000)
    p = {int(h): stats.p_beyond(for_judging(stats.share(int(h), n)), limit, "above") for h in hits}
    failed = np.mean([p[int(h)] <= 0.05 / m for h in hits])
    # The share's own spread is wider at the truth than at the limit, and the bounds are exact.
    assert 0.70 <= failed <= 0.87


def test_a_cluster_promises_no_more_than_one_text(bench):
    """Each source wrote five texts: what the plan could show is what 40 texts could, not 200."""
    alone, crowded = (
        GroupRates().plan(bench(cluster)).mde["group_rates.selection_rate_gap[against=rest,sex=f]"]
        for cluster in (lambda i: None, lambda i: f"s{i // 10}" + "fm"[i % 2])
    )
    assert alone == pytest.approx(mde_difference(200, 200, 0.5))
    assert crowded == pytest.approx(mde_difference(40, 40, 0.5))

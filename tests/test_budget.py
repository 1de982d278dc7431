"""An audit that may cost so much and no more."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from test_runner import config

from audit import baseline, budgeted, judging, planning, reading, runner, store
from audit.bench import Planned
from audit.catalogue import probe_class
from audit.cli import main
from audit.config import BaselineConfig
from audit.errors import ConfigError
from audit.gates import exit_code
from audit.types import Corpus, Example, Gate, Looks, Measurement

LABELS = ("negative", "positive")
GAP = Gate(metric="group_rates.selection_rate_gap", where={"sex": "f"}, at_least=-0.1, at_most=0.1)


class Table:
    """Says of text i what it was told to."""

    labels = LABELS
    head = "single"

    def __init__(self, yes, name, fails_after=None):
        self.yes, self.fingerprint, self.left, self.asked = yes, name, fails_after, 0

    def probabilities(self, texts):
        self.asked += len(texts)
        if self.left is not None and self.asked > self.left:
            raise KeyboardInterrupt
        p = np.where(self.yes[[int(t.split()[1]) for t in texts]], 0.9, 0.1)
        return np.stack([1 - p, p], axis=1)


def texts(n=1200, cluster=lambda i: None):
    return Corpus(
        name="test",
        labels=LABELS,
        examples=tuple(
            Example(
                id=f"e{i}",
                text=f"text {i}",
                label="positive",
                groups={"sex": "fm"[i % 2]},
                cluster=cluster(i),
            )
            for i in range(n)
        ),
        sha256="fixed",
    )


def model(gap, n=1200, seed=0, **more):
    """Selects half of the men and `gap` less of the women."""
    rng = np.random.default_rng(seed)
    return Table(rng.random(n) < 0.5 - gap * (np.arange(n) % 2 == 0), f"{gap} {seed}", **more)


def run(out, budget, classifier, corpus=None, gates=(GAP,), names=("group_rates",), **more):
    return runner.run(
        config(*names, gates=gates, **more),
        out,
        classifier=classifier,
        corpora={"test": corpus or texts()},
        budget=reading.parse(budget) if budget else None,
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("20000-calls", reading.Budget(calls=20_000)),
        ("1_000 calls", reading.Budget(calls=1_000)),
        ("10m", reading.Budget(seconds=600)),
        ("90s", reading.Budget(seconds=90)),
        ("1.5h", reading.Budget(seconds=5400)),
    ],
)
def test_a_budget_is_calls_or_time(said, meant):
    assert reading.parse(said) == meant
    assert reading.parse(str(meant)) == meant


@pytest.mark.parametrize("said", ["", "10", "0m", "0-calls", "-5m", "10 minutes", ",-calls", "nan"])
def test_what_is_no_budget_is_refused(said):
    with pytest.raises(ConfigError, match="is no budget"):
        reading.parse(said)


def test_the_reading_order_keeps_clusters_whole_and_hangs_on_names_alone():
    corpus = texts(60, lambda i: f"s{i // 3}" if i < 40 else None)
    order = reading.reading_order(corpus, 3)
    assert sorted(e.id for e in order.examples) == sorted(e.id for e in corpus.examples)
    met = [e.cluster or e.id for e in order.examples]
    runs = [name for i, name in enumerate(met) if i == 0 or met[i - 1] != name]
    assert len(runs) == len(set(runs))
    fewer = replace(corpus, examples=corpus.examples[:30] + corpus.examples[33:][::-1])
    kept = {e.id for e in fewer.examples}
    again = [e.id for e in reading.reading_order(fewer, 3).examples]
    lone = [e.id for e in order.examples if e.id in kept and e.cluster is None]
    assert [i for i in again if i in set(lone)] == lone
    other = reading.reading_order(corpus, 4)
    assert [e.id for e in other.examples] != [e.id for e in order.examples]


def test_a_large_gap_is_settled_by_few_texts_and_what_was_not_read_is_counted(tmp_path):
    result = run(tmp_path, "5000-calls", model(0.45))
    (one,) = result.runs
    assert result.plan.budget == "5000-calls"
    by_side = {v.claim.side: v for v in result.verdicts}
    assert by_side["at_least"].status == "fail" and exit_code(result.verdicts) == 1
    read = len(store.read_table(tmp_path, store.UNITS)["id"])
    (left,) = one.skips
    assert left.reason == "not read: its verdicts were settled" and left.count == 1200 - read
    assert read <= 600
    m = next(m for m in one.measurements if m.id == by_side["at_least"].claim.measurement)
    assert isinstance(m.value.basis, Looks) and m.value.basis.texts == read


def test_the_verdicts_of_a_budget_are_judged_again_from_the_result_alone(tmp_path):
    result = run(tmp_path, "5000-calls", model(0.3))
    again = judging.judged(store.read(tmp_path))
    assert again.verdicts == result.verdicts
    assert main(["gate", str(tmp_path)]) == judging.exit_code(result)


def test_a_budget_that_is_too_small_leaves_the_verdict_open_and_never_passes(tmp_path):
    result = run(tmp_path, "500-calls", model(0.02))
    assert "inconclusive" in {v.status for v in result.verdicts}
    assert exit_code(result.verdicts) == 3
    assert result.runs[0].skips[0].reason == "not read: the budget was spent"
    none = run(tmp_path / "none", "20-calls", model(0.02))
    assert "budget was spent before its first look" in none.runs[0].not_run
    assert exit_code(none.verdicts) == 3


@pytest.mark.parametrize("budget", [100, 500, 900, 1700])
def test_no_more_is_asked_than_the_budget_allows(tmp_path, budget):
    asked = model(0.02)
    result = run(tmp_path, f"{budget}-calls", asked)
    # The texts are asked by the probe and for the record; a cache makes one of two.
    assert 2 * asked.asked <= budget
    assert sum(c.forwards for c in result.telemetry.probes) <= asked.asked


def test_the_same_budget_gives_the_same_result_whatever_was_kept_before(tmp_path):
    whole = run(tmp_path / "a", "1500-calls", model(0.12))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", "1500-calls", model(0.12, fails_after=300))
    resumed = run(tmp_path / "b", "1500-calls", model(0.12))
    assert store.digest(resumed) == store.digest(whole)
    run(tmp_path / "c", None, model(0.12))
    warm = run(tmp_path / "c", "1500-calls", model(0.12))
    assert store.digest(warm) == store.digest(whole)
    again = model(0.12)
    assert store.digest(run(tmp_path / "b", "1500-calls", again)) == store.digest(whole)
    assert again.asked == 0


def test_a_budget_without_a_gate_has_nothing_to_settle(tmp_path):
    with pytest.raises(ConfigError, match="no gate is declared"):
        run(tmp_path, "10m", model(0.1), gates=())


def test_a_probe_that_no_gate_hangs_on_is_not_run_and_says_so(tmp_path):
    result = run(tmp_path, "9000-calls", model(0.45), names=("typos", "group_rates"))
    assert result.runs[0].not_run == "no gate hangs on it." and result.runs[1].measurements


def test_a_worsening_is_settled_early_and_the_same_from_the_stored_tables(tmp_path):
    n, rng = 1200, np.random.default_rng(1)
    base = rng.random(n) < 0.8
    worse = base & ~(rng.random(n) < 0.2)
    gate = Gate(
        metric="group_rates.accuracy", where={"sex": "f"}, no_worse_than="baseline", margin=0.02
    )
    run(tmp_path / "base", None, Table(base, "base"), gates=(gate,))
    baseline.save(tmp_path / "base", tmp_path / "kept")
    held = BaselineConfig(path=str(tmp_path / "kept"))
    result = run(
        tmp_path / "new", "5000-calls", Table(worse, "worse"), gates=(gate,), baseline=held
    )
    (verdict,) = result.verdicts
    assert verdict.status == "fail" and result.runs[0].skips[0].count > 300
    tables = (store.read_table(tmp_path / "new", name) for name in (store.UNITS, store.CASES))
    again = baseline.held_against(result, baseline.load(tmp_path / "kept"), *tables)
    assert judging.judged(again).verdicts == result.verdicts
    kept = str(tmp_path / "kept")
    assert main(["gate", str(tmp_path / "new"), "--baseline", kept]) == 1
    # The other way round: the baseline itself was audited under a budget.
    run(tmp_path / "short", "5000-calls", Table(base, "base"), gates=(GAP, gate))
    baseline.save(tmp_path / "short", tmp_path / "part")
    part = BaselineConfig(path=str(tmp_path / "part"))
    full = run(tmp_path / "full", None, Table(worse, "worse"), gates=(gate,), baseline=part)
    assert full.verdicts[0].value > 0 and full.verdicts[0].n <= 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Draws twenty texts, however many there are."""

    name: ClassVar[str] = "fixed"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset()

    def plan(self, bench):
        return Planned(units=20, queries=20, claims=("fixed.flip_rate",))

    def run(self, bench):
        from audit import stats

        n = len(bench.corpus.examples)
        bench.scorer([e.input for e in bench.corpus.examples[:20]])
        yield Measurement(
            id="fixed.flip_rate",
            metric="flip_rate",
            value=stats.share(n // 60, 20),
            unit="share",
            eligible=20,
        )


def test_a_probe_that_draws_its_texts_is_asked_once_and_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "audit.catalogue.probe_class",
        lambda name: Fixed if name == "fixed" else probe_class(name),
    )
    gate = Gate(metric="fixed.flip_rate", at_most=0.5, min_n=5)
    result = run(tmp_path, "5000-calls", model(0.1), gates=(gate,), names=("fixed",))
    (m,) = result.runs[0].measurements
    # 1,200 texts were there: no look at fewer came before.
    assert m.value.value == 1.0 and not isinstance(m.value.basis, Looks)
    assert result.verdicts[0].status == "fail"


def test_the_more_telling_probe_looks_first():
    """Of two probes that cost the same, the one with more claims; then the one nearer its end."""
    corpus = texts()
    asked = config("typos", "group_rates", gates=(GAP, Gate(metric="typos.flip_rate", at_most=0.9)))
    prepared = planning.prepare(asked, classifier=model(0.1), corpora={"test": corpus})
    order = reading.reading_order(corpus, 0)
    seen = []

    def ask(i, part):
        seen.append((i, len(part.test.examples)))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        budgeted.spend(prepared, reading.parse("9000-calls"), ask, None)
    assert len(reading.paces(prepared, order)) == 2
    # Two claims for a call each, against one for several calls.
    assert seen[0][0] == 1 and seen[0][1] < 60


def test_plan_shows_the_budget_and_the_chances(tmp_path, capsys):
    rows = "\n".join(f"text {i},{LABELS[i % 2]},{'fm'[i % 3 % 2]}" for i in range(400))
    (tmp_path / "data.csv").write_text(f"text,label,sex\n{rows}\n")
    (tmp_path / "mine.py").write_text(
        "from audit.testing import Lexicon\nclassifier = Lexicon(good=1.0)\n"
    )
    (tmp_path / "audit.toml").write_text(
        f"""
[model]
path = "{tmp_path}/mine.py:classifier"
[decision]
favourable = ["positive"]
[corpora.test]
path = "data.csv"
label = "label"
groups = {{ sex = "sex" }}
[[probe]]
name = "group_rates"
[[probe]]
name = "typos"
[[gate]]
metric = "group_rates.accuracy"
where = {{ sex = "f" }}
no_worse_than = "baseline"
margin = 0.05
"""
    )
    assert main(["plan", str(tmp_path / "audit.toml"), "--budget", "500-calls"]) == 0
    said = capsys.readouterr().out
    assert "pass/fail/undecided" in said and "Budget 500-calls" in said
    assert "Not run, as no gate hangs on it: typos." in said
    assert "At most 62%" in said
    assert main(["plan", str(tmp_path / "audit.toml"), "--budget", "ten"]) == 2
    assert main(["run", str(tmp_path / "audit.toml"), "--budget", "500-calls", "-q"]) in (0, 3)
    assert "not read" in capsys.readouterr().out

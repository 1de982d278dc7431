import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from audit import catalogue, config, store, suites
from audit.bench import Bench
from audit.checking import rate
from audit.cli import main
from audit.decision import make
from audit.errors import ConfigError, Unsupported
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Estimate, Example, Measurement

EMPTY = Corpus(name="test", labels=("negative", "positive"), examples=())


def bench_of(model, **corpora):
    scorer = Scorer(model)
    return Bench(
        probe="templates",
        corpus=corpora.get("test", EMPTY),
        corpora={"test": EMPTY, **corpora},
        scorer=scorer,
        decision=make(scorer.labels, (scorer.labels[-1],)),
        resources=Resources(),
    )


def facts(model, settings, **corpora):
    return list(catalogue.make("templates", settings).run(bench_of(model, **corpora)))


def measured(model, settings, **corpora):
    found = [f for f in facts(model, settings, **corpora) if isinstance(f, Measurement)]
    return {(f.metric, *(v for k, v in f.where.items() if k != "suite")): f for f in found}


def hate(templates, groups=("women", "muslims"), label="negative"):
    """A suite crossed like HateCheck: every template with every group."""
    rows = [(t, g) for t in templates for g in groups]
    return Corpus(
        name="mine",
        labels=("negative", "positive"),
        examples=tuple(
            Example(
                id=f"r{i}",
                text=t.format(g),
                label=label,
                groups={"functionality": "derogation", "target": g},
                cluster=f"t{templates.index(t)}",
            )
            for i, (t, g) in enumerate(rows)
        ),
    )


PLAIN = [f"i saw {{}} at {place}" for place in "home work school market sea fair".split()]
MINE = {"corpus": "mine", "identity": ["target"]}


def test_a_model_that_dislikes_a_group_is_found_on_every_template():
    found = measured(
        Lexicon(saw=0.5, muslims=-1.0, sea=0.1), MINE, mine=hate(PLAIN, label="positive")
    )
    gap = found["failure_gap", "target", "muslims"].value
    assert (gap.value, gap.n) == (1.0, 6)
    assert gap.low > 0
    assert found["failure_gap", "target", "women"].value.value == -1.0
    score = found["score_gap", "target", "muslims"].value
    # Logits of 0.5 and -0.5: 0.378 less 0.622; on one template 0.6 and -0.4.
    assert score.value == pytest.approx(-0.2448, abs=1e-4) and score.high < -0.2
    assert found["failure_rate",].value.value == 0.5
    assert found["group_failure_rate", "target", "women"].value.value == 0
    assert found["functionality_failure_rate", "derogation"].value.value == 0.5


def test_a_model_that_reads_no_group_is_not_accused():
    model = Lexicon(market=-1.0, saw=0.5, sea=2.0)
    found = measured(model, MINE, mine=hate(PLAIN, label="positive"))
    for group in ("women", "muslims"):
        gap = found["failure_gap", "target", group].value
        assert gap.value == 0 and gap.low < 0 < gap.high
    # One template of six fails for both groups.
    assert found["failure_rate",].value.value == pytest.approx(1 / 6)


def test_the_interval_is_that_of_templates_not_of_texts():
    model = Lexicon(market=-1.0, sea=-1.0, saw=0.5, women=0.1)
    few = measured(model, MINE, mine=hate(PLAIN, label="positive"))
    many = measured(
        model, MINE, mine=hate(PLAIN, [f"women and g{i}" for i in range(20)], label="positive")
    )
    # Twenty fillers say no more about wording than two: six templates, of which two fail.
    assert few["failure_rate",].value == many["failure_rate",].value
    assert few["failure_rate",].value.n == 6
    assert many["failure_rate",].used == 120


def test_the_rate_agrees_with_a_t_test_over_template_means():
    rng = np.random.default_rng(5)
    templates = np.repeat([f"t{i}" for i in range(9)], rng.integers(2, 8, 9))
    hits = rng.random(len(templates)) < 0.4
    means = [hits[templates == f"t{i}"].mean() for i in range(9)]
    expected = scipy_stats.ttest_1samp(means, 0).confidence_interval(0.95)
    found = rate(hits, templates, level=0.95)
    assert found.value == pytest.approx(np.mean(means))
    assert found.low == pytest.approx(max(0, expected.low), abs=1e-9)
    assert found.high == pytest.approx(min(1, expected.high), abs=1e-9)


def test_one_template_gives_no_interval():
    found = measured(Lexicon(saw=0.5), MINE, mine=hate(PLAIN[:1]))
    assert isinstance(found["failure_rate",].value, Absent)
    assert isinstance(found["score_gap", "target", "women"].value, Absent)


def test_the_range_without_one_template_is_that_of_leaving_out_each():
    texts = ["i saw {}", "we saw {} bad", "he saw {} at sea", "they met {} ok", "it was {} fine"]
    model = Lexicon(bad=-2.0, sea=-1.0, muslims=-0.7, saw=0.2, met=0.9, fine=-0.1, women=0.3)
    whole = hate(texts, label="positive")
    found = measured(model, MINE, mine=whole)
    rates, gaps = [], []
    for gone in range(len(texts)):
        some = tuple(e for e in whole.examples if e.cluster != f"t{gone}")
        less = Corpus(name="mine", labels=whole.labels, examples=some)
        left = measured(model, MINE, mine=less)
        rates.append(left["failure_rate",].value.value)
        gaps.append(left["score_gap", "target", "muslims"].value.value)
    assert found["failure_rate_least",].value.value == pytest.approx(min(rates))
    assert found["failure_rate_most",].value.value == pytest.approx(max(rates))
    assert found["score_gap_least", "target", "muslims"].value.value == pytest.approx(min(gaps))
    assert found["score_gap_most", "target", "muslims"].value.value == pytest.approx(max(gaps))
    assert min(rates) < max(rates) and min(gaps) < max(gaps)


def test_a_group_is_compared_only_on_templates_that_name_another():
    alone = hate(["only {} here", "and {} there"], ["women"])
    both = hate(PLAIN[:3])
    examples = (
        *both.examples,
        *(
            Example(id=f"x{e.id}", text=e.text, label=e.label, groups=e.groups, cluster=e.text)
            for e in alone.examples
        ),
        Example(id="nobody", text="no one", label="negative", cluster="n"),
    )
    mine = Corpus(name="mine", labels=both.labels, examples=examples)
    gap = measured(Lexicon(saw=0.5), MINE, mine=mine)["failure_gap", "target", "women"]
    assert (gap.eligible, gap.used, gap.value.n) == (9, 6, 3)
    assert sorted(s.count for s in gap.left_out) == [1, 2]


def rows(*told):
    return Corpus(
        name="mine",
        labels=("negative", "positive"),
        examples=tuple(
            Example(id=f"r{i}", text=text, groups=groups) for i, (text, groups) in enumerate(told)
        ),
    )


@pytest.mark.parametrize(
    ("before", "after", "way", "fails"),
    [
        ("ok", "ok good", "up", False),
        ("ok", "ok bad", "up", True),
        ("ok", "ok bad", "down", False),
        ("ok", "ok good", "down", True),
        ("good", "good good", "surer", False),
        ("bad", "bad bad", "surer", False),
        ("bad", "bad good", "surer", True),
        ("good", "good bad", "less sure", False),
        ("bad", "bad good", "less sure", False),
        ("bad", "bad bad", "less sure", True),
        ("good", "good slight", "up", False),
    ],
)
def test_a_directional_test_fails_when_the_score_goes_the_wrong_way(before, after, way, fails):
    model = Lexicon(good=1.0, bad=-1.0, slight=-0.1)
    said = {"type": "DIR", "case": "a", "expect": way}
    mine = rows(
        (before, said), (after, said), ("ok", said | {"case": "b"}), ("ok", said | {"case": "b"})
    )
    found = measured(model, {"corpus": "mine"}, mine=mine)["failure_rate",].value
    assert found.value == (0.5 if fails else 0)


def test_the_tolerance_decides_how_far_a_score_may_slip():
    said = {"type": "DIR", "case": "a", "expect": "up"}
    mine = rows(
        ("good", said),
        ("good slight", said),
        ("x", said | {"case": "b"}),
        ("x", said | {"case": "b"}),
    )
    model = Lexicon(good=1.0, slight=-0.2)
    strict = measured(model, {"corpus": "mine", "tolerance": 0.0}, mine=mine)
    assert strict["failure_rate",].value.value == 0.5
    assert measured(model, {"corpus": "mine"}, mine=mine)["failure_rate",].value.value == 0


def test_an_invariance_test_fails_when_any_text_is_decided_otherwise():
    def case(name, *words):
        return [(f"it {w}", {"type": "INV", "case": name}) for w in words]

    mine = rows(*case("a", "one", "two", "bad"), *case("b", "one", "two"), *case("c", "good", "ok"))
    model = Lexicon(it=0.5, bad=-1.0, good=1.0)
    found = facts(model, {"corpus": "mine"}, mine=mine)
    (whole,) = (f for f in found if isinstance(f, Measurement) and f.metric == "failure_rate")
    assert whole.value.value == pytest.approx(1 / 3)
    (cases,) = (f for f in found if isinstance(f, Cases))
    assert [bool(x) for x in cases.flipped] == [False, True, False, False]
    assert cases.before[1] == "it one" and cases.after[1] == "it bad"


def test_flips_between_groups_are_measured_above_those_within_a_group():
    """A model that reads single names, not groups, flips as often within a group as between."""

    def case(name):
        people = (("ann", "f"), ("eve", "f"), ("bob", "m"), ("jim", "m"))
        return [(f"{p} {name}", {"type": "INV", "case": name, "sex": s}) for p, s in people]

    mine = rows(*(r for i in range(8) for r in case(f"c{i}")))
    settings = {"corpus": "mine", "identity": ["sex"]}
    by_group = measured(Lexicon(ann=-1.0, eve=-1.0, bob=1.0, jim=1.0), settings, mine=mine)
    shift = by_group["excess_score_shift", "sex"].value
    assert shift.value == pytest.approx(0.4621, abs=1e-4) and shift.n == 8
    assert by_group["excess_flip_rate", "sex"].value.value == 1
    by_name = measured(Lexicon(ann=-1.0, eve=1.0, bob=-1.0, jim=1.0), settings, mine=mine)
    # Of four pairs between the sexes two differ, and both pairs within one do.
    assert by_name["excess_flip_rate", "sex"].value.value == -0.5
    assert by_name["excess_score_shift", "sex"].value.value == pytest.approx(-0.2311, abs=1e-4)
    assert by_name["invariance_failure_rate", "sex"].value.value == 1


def test_a_text_that_stands_in_two_checks_is_not_two_people():
    """Counted twice it would be alike to itself, and groups would look further apart than people."""
    people = (("ann", "f"), ("eve", "f"), ("bob", "m"), ("jim", "m"))
    named = [(f"{p} c{i}", {"case": f"c{i}", "sex": s}) for i in range(8) for p, s in people]
    once = rows(*((text, {**g, "type": "INV"}) for text, g in named))
    twice = rows(
        *((text, {**g, "type": kind}) for kind in ("INV", "MFT") for text, g in named),
    )
    twice = replace(
        twice,
        examples=tuple(
            replace(e, label="positive", cluster=f"INV {e.groups['case']}") for e in twice.examples
        ),
    )
    model, settings = (
        Lexicon(ann=-1.0, eve=1.0, bob=-1.0, jim=1.0),
        {"corpus": "mine", "identity": ["sex"]},
    )
    alone = measured(model, settings, mine=once)["excess_score_shift", "sex"]
    again = measured(model, settings, mine=twice)["excess_score_shift", "sex"]
    assert again.value.value == pytest.approx(alone.value.value)
    assert (again.eligible, [s.count for s in again.left_out]) == (64, [32])


def test_a_shipped_suite_finds_whom_a_model_dislikes():
    model = Lexicon(excellent=1.0, emily=2.0, hannah=2.0, laura=2.0, jessica=2.0)
    found = measured(model, {"suite": "hiring", "axes": ["gender"]})
    gap = found["score_gap", "gender", "female"].value
    assert gap.low > 0.3 and gap.n == 14
    assert found["score_gap", "gender", "male"].value.high < -0.3
    assert not [k for k in found if "religion" in k]
    # Eight templates expect a decision, each of four women and four men; six ask for invariance.
    assert found["group_failure_rate", "gender", "female"].used == 32
    assert found["failure_gap", "gender", "female"].used == 64
    assert found["score_gap", "gender", "female"].used == 64 + 48


def test_the_plan_of_a_shipped_suite_names_what_is_measured():
    on = bench_of(Lexicon(excellent=1.0))
    probe = catalogue.make("templates", {"suite": "moderation"})
    planned = probe.plan(on)
    assert on.scorer.queries == 0
    found = [f for f in probe.run(on) if isinstance(f, Measurement)]
    assert [f.id for f in found] == list(planned.claims)
    assert len({f.id for f in found}) == len(found)
    assert on.scorer.queries == planned.queries
    for f in found:
        assert not isinstance(f.value, Estimate) or f.value.n <= f.used


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "runs one suite"),
        ({"suite": "hiring", "corpus": "mine"}, "runs one suite"),
        ({"corpus": "hatechek"}, "no corpus 'hatechek'"),
        ({"suite": "hiring", "labels": {"x": "postive"}}, "mapped to 'postive'"),
    ],
)
def test_a_suite_that_cannot_be_run_is_refused_before_the_run(settings, said):
    with pytest.raises(ConfigError, match=said):
        catalogue.make("templates", settings).plan(bench_of(Lexicon(good=1.0)))


def test_a_multi_label_model_meets_an_expectation_when_one_of_the_labels_applies():
    class Tags:
        labels = ("insult", "threat", "praise")
        head = "multi"
        fingerprint = "tags"

        def probabilities(self, texts):
            return np.array([[float(w in t) for w in self.labels] for t in texts])

    def mine(text, *labels):
        return Corpus(
            name="mine",
            labels=Tags.labels,
            examples=(
                Example(id="a", text=text, label=labels),
                Example(id="b", text="insult", label=("insult",)),
            ),
        )

    for text, labels, failing in (
        ("threat", ("insult", "threat"), 0),
        ("praise", ("insult",), 0.5),
        ("nothing", (), 0),
        ("threat", (), 0.5),
    ):
        scorer = Scorer(Tags())
        on = Bench(
            probe="templates",
            corpus=EMPTY,
            corpora={"mine": mine(text, *labels)},
            scorer=scorer,
            decision=make(Tags.labels, ("praise",), head="multi"),
            resources=Resources(),
        )
        found = next(iter(catalogue.make("templates", {"corpus": "mine"}).run(on)))
        assert found.value.value == failing, (text, labels)
    assert suites.FAVOURABLE not in Tags.labels


PAGE = (Path(__file__).parents[1] / "docs" / "templates.md").read_text("utf-8")
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.S | re.M))


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    for name, body in FILES.items():
        (folder / name).write_text(body, "utf-8")
    return folder


def test_the_documented_suite_runs_and_shows_what_the_page_says(documented, monkeypatch, capsys):
    assert set(FILES) == {"greetings.csv", "model.py", "audit.toml"}
    monkeypatch.chdir(documented)
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for line in block.splitlines():
        assert main(line.split()[1:]) == 0, capsys.readouterr().err
    (run,) = store.read(Path("audit-out")).runs
    found = {
        (m.metric, *(v for k, v in m.where.items() if k != "suite")): m for m in run.measurements
    }
    assert found["functionality_failure_rate", "negation"].value.value == 1
    assert found["functionality_failure_rate", "praise"].value.value == 0
    assert found["score_gap", "gender", "female"].value.value < 0
    assert found["failure_rate",].eligible == 10
    assert Path("audit-out/report.html").exists()


def test_every_audit_table_of_the_page_is_one_that_can_be_read():
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    assert len(blocks) == 3
    base = (
        '[model]\npath = "m.py:f"\n[decision]\nfavourable = ["a"]\n[corpora.test]\npath = "t.csv"\n'
    )
    for block in blocks:
        told = config.reads(block if "[model]" in block else base + block)
        for entry in told.probe:
            catalogue.make(entry.name, entry.params)


def test_the_documented_import_of_a_checklist_suite_runs(tmp_path, monkeypatch):
    rows = [
        {"test": "intensifiers", "type": "DIR", "texts": ["good", "very good"], "label": None},
        {"test": "simple negations: not negative", "type": "MFT", "texts": ["not bad"]},
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    monkeypatch.chdir(tmp_path)
    (code,) = (b for b in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "checklist" in b)
    exec(compile(code, "docs/templates.md", "exec"), {})
    lines = Path("sentiment.csv").read_text("utf-8").splitlines()
    assert len(lines) == 4 and lines[3].endswith("neutral|positive")


def test_a_gate_on_the_failure_rate_speaks_of_whole_suites_alone():
    on = bench_of(Lexicon(excellent=1.0))
    planned = catalogue.make("templates", {"suite": "hiring"}).plan(on)
    whole = [c for c in planned.claims if c.startswith("templates.failure_rate[")]
    assert whole == ["templates.failure_rate[suite=hiring]"]


def test_a_suite_of_single_texts_is_not_asked_of_a_model_of_pairs():
    pairs = Corpus(
        name="test",
        labels=("negative", "positive"),
        examples=(Example(id="a", text="one", second="two"),),
    )
    with pytest.raises(Unsupported, match="reads pairs"):
        catalogue.make("templates", {"suite": "hiring"}).plan(bench_of(Lexicon(), test=pairs))


def test_names_drawn_at_random_are_no_bias_on_average():
    """Over many models that weigh single names, the excess is 0 on average; gaps are not small."""
    rng = np.random.default_rng(11)
    people = [row["person"] for row in suites._people()["gender"]]
    excess, gaps = [], []
    for _ in range(60):
        model = Lexicon(**dict(zip(map(str.lower, people), rng.normal(size=8), strict=True)))
        found = measured(model, {"suite": "recommendation", "axes": ["gender"]})
        excess.append(found["excess_score_shift", "gender"].value.value)
        gaps.append(abs(found["score_gap", "gender", "female"].value.value))
    assert abs(np.mean(excess)) < 3 * np.std(excess) / np.sqrt(60)
    assert np.mean(gaps) > 0.05

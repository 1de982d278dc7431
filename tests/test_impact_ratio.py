"""Impact ratios: the known tables out of texts, and nothing the law does not say."""

import numpy as np
import pytest

from audit import proportions, stats
from audit.bench import Bench
from audit.decision import make
from audit.errors import ConfigError, Unsupported
from audit.gates import expand, judge
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import (
    Absent,
    Corpus,
    Estimate,
    Example,
    Gate,
    Measurement,
    PlannedProbe,
    ProbeRun,
    Skip,
)
from probes.impact_ratio import ImpactRatio

LABELS = ("negative", "positive")
TV25 = {
    ("M", "White"): (412, 797),
    ("F", "White"): (300, 700),
    ("M", "Black"): (60, 150),
    ("F", "Black"): (45, 150),
    ("M", "Asian"): (70, 140),
    ("F", "Asian"): (52, 140),
}


def people(table, **more):
    return [
        Example(
            id=f"{'|'.join(who)} {i}",
            text=f"{'good' if i < hits else 'bad'} {'|'.join(who)} {i}",
            groups=dict(zip(("sex", "race"), who, strict=False)),
            **more,
        )
        for who, (hits, n) in table.items()
        for i in range(n)
    ]


def bench(examples, classifier=None):
    return Bench(
        probe="impact_ratio",
        corpus=Corpus(name="test", labels=LABELS, examples=tuple(examples)),
        resources=Resources(),
        scorer=Scorer(classifier or Lexicon(good=2.0, bad=-2.0)),
        decision=make(LABELS, ("positive",)),
    )


def run(examples, probe=None, classifier=None):
    facts = list((probe or ImpactRatio()).run(bench(examples, classifier)))
    found = [f for f in facts if isinstance(f, Measurement)]
    assert len({f.id for f in found}) == len(found)
    skips = [f for f in facts if isinstance(f, Skip)]
    return {f.id.removeprefix("impact_ratio."): f for f in found}, skips


def test_the_table_of_sex_race_and_both_comes_out_of_texts():
    """TV25."""
    found, _ = run(people(TV25))
    wanted = {
        ("M", "White"): 1.0,
        ("F", "White"): 0.8290568654646323,
        ("M", "Black"): 0.7737864077669903,
        ("F", "Black"): 0.5803398058252426,
        ("M", "Asian"): 0.9672330097087377,
        ("F", "Asian"): 0.7185159500693481,
    }
    for (sex, race), ratio in wanted.items():
        where = f"[race={race},sex={sex}]"
        hits, n = TV25[sex, race]
        assert found[f"selection_rate{where}"].value.value == pytest.approx(hits / n)
        assert found[f"impact_ratio{where}"].value.value == pytest.approx(ratio, abs=1e-12)
        assert found[f"selection_rate{where}"].used == n
    men, women = (412 + 60 + 70) / 1087, (300 + 45 + 52) / 990
    assert found["impact_ratio[sex=F]"].value.value == pytest.approx(women / men)
    assert found["share_of_data[sex=F]"].value.value == pytest.approx(990 / 2077)


def test_scores_above_the_median_count_and_ties_do_not():
    """TV23."""
    score = [70, 80, 80, 80, 90, 60, 50, 80, 95, 40, 85, 75]

    class Scores:
        labels, head, fingerprint = LABELS, "single", "scores"

        def probabilities(self, texts):
            p = np.array([float(t) / 100 for t in texts])
            return np.stack([1 - p, p], axis=1)

    examples = [
        Example(id=str(i), text=str(s), groups={"sex": sex})
        for i, (s, sex) in enumerate(zip(score, "MMMFMFFFMFFM", strict=True))
    ]
    found, _ = run(examples, ImpactRatio(rate="scoring"), Scores())
    assert found["scoring_rate[sex=M]"].value.value == pytest.approx(1 / 3)
    assert found["scoring_rate[sex=F]"].value.value == pytest.approx(1 / 6)
    assert found["impact_ratio[sex=F]"].value.value == pytest.approx(0.5)
    assert not [name for name in found if name.startswith("selection_rate")]


def test_four_fifths_exactly_is_not_below():
    """TV33: 44 of 100 against 55 of 100; one selection fewer would be."""
    found, _ = run(people({("F",): (44, 100), ("M",): (55, 100)}))
    assert found["impact_ratio[sex=F]"].value.value == 0.8
    assert found["selections_short_of_four_fifths[sex=F]"].value.value == 0
    assert found["decisions_to_four_fifths[sex=F]"].value.value == 1
    found, _ = run(people({("F",): (41, 100), ("M",): (55, 100)}))
    assert found["selections_short_of_four_fifths[sex=F]"].value.value == 3


def test_a_category_under_two_percent_is_left_out_only_with_a_reason():
    """TV24: C holds 15 of 1,000. Its number and rate are printed all the same."""
    table = {("A",): (450, 900), ("B",): (34, 85), ("C",): (14, 15)}
    found, _ = run(people(table))
    assert found["impact_ratio[sex=A]"].value.value == pytest.approx(0.5 / (14 / 15))
    reasoned = ImpactRatio(exclude_below=0.02, justification="fifteen applicants say little")
    found, _ = run(people(table), reasoned)
    out = found["impact_ratio[sex=C]"].value
    assert out.code == "excluded" and "fifteen applicants" in out.reason
    assert found["selection_rate[sex=C]"].value.value == pytest.approx(14 / 15)
    assert found["share_of_data[sex=C]"].value.value == pytest.approx(0.015)
    assert found["impact_ratio[sex=A]"].value.value == 1.0
    assert found["impact_ratio[sex=B]"].value.value == pytest.approx(0.8)
    # The chance band is that of the categories that have a ratio.
    assert found["lowest_by_chance[over=sex]"].used == 985


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (ImpactRatio(exclude_below=0.02), "without a justification"),
        (ImpactRatio(exclude_below=0.05, justification="few"), "0 and 0.02"),
        (ImpactRatio(attributes=("sexx",)), "has the attribute 'sexx'"),
        (ImpactRatio(reference={"sex": "W"}), "sex = 'W'"),
    ],
)
def test_settings_the_rule_does_not_allow_are_refused_before_scoring(probe, said):
    made = bench(people({("F",): (4, 10), ("M",): (5, 10)}))
    with pytest.raises(ConfigError, match=said):
        probe.plan(made)
    assert made.scorer.queries == 0


def test_texts_without_any_group_cannot_be_compared():
    with pytest.raises(Unsupported, match="has a group"):
        ImpactRatio().plan(bench([Example(id="a", text="good")]))


def test_who_is_unknown_is_counted():
    examples = people({("F",): (40, 100), ("M",): (50, 100)})
    examples += [Example(id=f"u{i}", text=f"good {i}", groups={}) for i in range(7)]
    found, skips = run(examples)
    assert [(s.reason, s.count) for s in skips] == [("sex unknown", 7)]
    of = found["impact_ratio[sex=F]"]
    assert {s.reason: s.count for s in of.left_out} == {
        "category unknown": 7,
        "in another category": 100,
    }
    assert of.used == 100 and found["selection_rate"].used == 207


def test_the_companion_numbers_are_those_of_the_guidelines():
    """TV01: 12 of 40 against 48 of 80."""
    found, _ = run(people({("F",): (12, 40), ("M",): (48, 80)}))
    of = "[sex=F]"
    assert found[f"fisher_p{of}"].value.value == pytest.approx(0.0034092217)
    z = found[f"standard_deviations{of}"].value
    assert z.value == pytest.approx(-3.0983866770)
    assert (z.low, z.high) == pytest.approx((z.value - 1.959964, z.value + 1.959964), abs=1e-5)
    e = found[f"impact_ratio{of}"].value
    assert (e.low, e.high) == pytest.approx((0.2926731681, 0.7952573443), abs=1e-9)
    turned = int(found[f"decisions_to_significance{of}"].value.value)
    assert proportions.fisher(12 + turned, 40, 48, 80).p > 0.05
    assert proportions.fisher(12 + turned - 1, 40, 48, 80).p <= 0.05
    assert found["fisher_p[sex=M]"].value.code == "reference"


def test_equal_groups_are_shown_what_chance_does_to_them():
    """TV31: ten groups of 100 fall under four fifths in 85 audits of 100."""
    found, _ = run(people({(f"g{i}",): (50, 100) for i in range(10)}))
    said = found["below_four_fifths_by_chance[over=sex]"]
    assert said.value.value == pytest.approx(0.8503580637764456)
    band = found["lowest_by_chance[over=sex]"].value
    assert band.low < 0.65 < band.value < 0.8


def test_a_ratio_over_a_declared_reference_can_be_gated():
    examples = people({("F",): (120, 400), ("M",): (240, 400)})
    probe = ImpactRatio(reference={"sex": "M"})
    made = bench(examples)
    planned = probe.plan(made)
    shown = PlannedProbe(
        probe="impact_ratio",
        version="1",
        params={},
        units=planned.units,
        queries=planned.queries,
        measurements=planned.claims,
    )
    claims = expand([Gate(metric="impact_ratio.ratio", at_least=0.8)], [shown])
    assert [c.measurement for c in claims] == ["impact_ratio.ratio[against=M,sex=F]"]
    facts = tuple(f for f in probe.run(made) if isinstance(f, Measurement))
    runs = [ProbeRun(probe="impact_ratio", version="1", params={}, measurements=facts)]
    assert judge(claims, runs)[0].status == "fail"
    loose = expand([Gate(metric="impact_ratio.ratio", at_least=0.3)], [shown])
    assert judge(loose, runs)[0].status == "pass"


def test_people_of_one_source_count_as_one():
    """Ten decisions of each of 40 sources that decide the same throughout."""
    examples = [
        Example(
            id=str(i),
            text=f"{'good' if (i // 10) % (3 if i < 200 else 2) == 0 else 'bad'} {i}",
            groups={"sex": "F" if i < 200 else "M"},
            cluster=f"s{i // 10}",
        )
        for i in range(400)
    ]
    found, _ = run(examples)
    alone, _ = run([Example(id=e.id, text=e.text, groups=e.groups) for e in examples])
    one, other = (f["impact_ratio[sex=F]"].value for f in (found, alone))
    assert one.value == pytest.approx(other.value) and one.n == 40
    assert one.high - one.low > 2 * (other.high - other.low)
    for name in ("fisher_p[sex=F]", "lowest_by_chance[over=sex]"):
        assert found[name].value.code == "clustered"


def test_the_plan_names_just_what_the_run_measures():
    for examples in (
        people(TV25),
        people({("F",): (0, 3), ("M",): (0, 1)}),
        people({("F",): (3, 3)}),
        [],
    ):
        for probe in (ImpactRatio(), ImpactRatio(intersections=False, rate="scoring")):
            made = bench(examples)
            planned = probe.plan(made)
            assert made.scorer.queries == 0
            facts = [f for f in probe.run(made) if isinstance(f, Measurement)]
            assert list(planned.claims) == [f.id for f in facts]
            assert planned.queries == made.scorer.queries == len(examples)
            for f in facts:
                assert isinstance(f.value, Estimate | Absent)
                if isinstance(f.value, Estimate):
                    assert stats.interval(f.value, f.value.level) == (f.value.low, f.value.high)


def test_nobody_selected_leaves_no_ratio():
    found, _ = run(people({("F",): (0, 40), ("M",): (0, 60)}))
    assert found["impact_ratio[sex=F]"].value.code == "no_hits"
    assert found["selection_rate[sex=F]"].value.value == 0


def test_no_mark_of_passing_is_printed():
    """The law sets none; 'below' and 'short of' are counts, not verdicts."""
    found, _ = run(people(TV25))
    for f in found.values():
        said = f"{f.unit} {f.value.reason if isinstance(f.value, Absent) else f.value.method}"
        for word in ("pass", "fail", "comply", "compliant", "adverse impact"):
            assert word not in said.lower()

"""The publication block of Local Law 144: known answers, both faces, and what is still to be said."""

import csv
import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_fixture as fixture
from test_impact_ratio import LABELS, TV25, bench, people
from test_report import Page, banned

from audit import publication, renderings
from audit.borders import write_json
from audit.cells import inert, table
from audit.cli import main
from audit.errors import DataError
from audit.types import Example, Measurement, ProbeRun, Telemetry
from probes.impact_ratio import ImpactRatio

STATED = {
    "tool": "Screening model 4",
    "auditor": "A. Auditor, no part in making or using it",
    "data_source": "Applications of 2025",
    "data_explanation": "All that reached the first round",
    "distribution_date": "2026-12-01",
    "notice": "On the careers page, ten business days ahead",
}


def result_of(examples, probe=None, classifier=None, scope=STATED, **corpus):
    probe = probe or ImpactRatio()
    facts = list(probe.run(bench(examples, classifier)))
    params = {"rate": probe.rate, "justification": probe.justification}
    run = ProbeRun(
        probe="impact_ratio",
        version="1",
        params=params,
        measurements=tuple(f for f in facts if isinstance(f, Measurement)),
    )
    base = fixture.normal()
    test = replace(base.provenance.corpora[0], name="test", **({"kind": "historical"} | corpus))
    return replace(
        base,
        runs=(run,),
        provenance=replace(base.provenance, scope=scope, corpora=(test,)),
        telemetry=Telemetry(started="2026-11-27T09:00:00+00:00"),
    )


def cells(result, language="en"):
    """Return the rows of all tables of the page as lists of plain text."""
    source = renderings.ll144_page(publication.publication(result), language)
    Page(source)
    found = []
    for row in re.findall(r"<tr.*?</tr>", source, re.S):
        texts = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)
        found.append([" ".join(html.unescape(re.sub(r"<[^>]+>", " ", t)).split()) for t in texts])
    return source, found


def row_of(rows, name, nth=0):
    return [row for row in rows if row and row[0] == name][nth]


def records(result):
    text = publication.as_csv(publication.publication(result))
    return list(csv.DictReader(io.StringIO(text)))


def test_scoring_rates_and_the_median_come_through_the_page():
    """TV23: ties at the median do not count."""
    score = [70, 80, 80, 80, 90, 60, 50, 80, 95, 40, 85, 75]

    class Scores:
        labels, head, fingerprint = LABELS, "single", "scores"

        def probabilities(self, texts):
            import numpy as np

            p = np.array([float(t) / 100 for t in texts])
            return np.stack([1 - p, p], axis=1)

    examples = [
        Example(id=str(i), text=str(s), groups={"sex": sex})
        for i, (s, sex) in enumerate(zip(score, "MMMFMFFFMFFM", strict=True))
    ]
    result = result_of(examples, ImpactRatio(rate="scoring"), Scores())
    source, rows = cells(result)
    assert "strictly above the median" in source
    men, women = row_of(rows, "M"), row_of(rows, "F")
    assert men[1:3] == ["6", "2"] and men[3].startswith("0.333")
    assert women[1:3] == ["6", "1"] and women[3].startswith("0.167")
    assert men[4] == "1 most selected" and women[4].startswith("0.500")
    by = {r["sex"]: r for r in records(result)}
    assert float(by["M"]["scoring_rate"]) == pytest.approx(1 / 3)
    assert float(by["F"]["impact_ratio"]) == pytest.approx(0.5)


def test_a_small_category_is_left_out_with_its_reason_and_still_published():
    """TV24: C holds 15 of 1,000, and is left out by decision alone."""
    examples = people({("A",): (450, 900), ("B",): (34, 85), ("C",): (14, 15)})
    _, rows = cells(result_of(examples))
    assert row_of(rows, "C")[4] == "1 most selected"
    reason = ImpactRatio(exclude_below=0.02, justification="fifteen applicants say little")
    source, rows = cells(result_of(examples, reason))
    assert row_of(rows, "C")[1:3] == ["15", "14"] and row_of(rows, "C")[3].startswith("0.933")
    assert row_of(rows, "C")[4] == "left out: under 2 % of the data"
    assert "fifteen applicants say little" in source
    by = {r["sex"]: r for r in records(result_of(examples, reason))}
    assert float(by["C"]["share_of_known"]) == pytest.approx(0.015)
    assert float(by["B"]["share_of_known"]) == pytest.approx(0.085)
    assert by["C"]["impact_ratio"] == "" and "little" in by["C"]["no_ratio_because"]


def test_sex_race_and_both_stand_on_the_page():
    """TV25."""
    wanted = {
        ("M", "White"): (0.5169385194479298, 1.0),
        ("F", "White"): (0.42857142857142855, 0.8290568654646323),
        ("M", "Black"): (0.4, 0.7737864077669903),
        ("F", "Black"): (0.3, 0.5803398058252426),
        ("M", "Asian"): (0.5, 0.9672330097087377),
        ("F", "Asian"): (0.37142857142857144, 0.7185159500693481),
    }
    result = result_of(people(TV25))
    _, rows = cells(result)
    by = {(r["sex"], r["race"]): r for r in records(result)}
    for (sex, race), (rate, ratio) in wanted.items():
        shown = row_of(rows, f"{race} · {sex}")
        hits, n = TV25[sex, race]
        assert shown[1:3] == [str(n), str(hits)]
        assert shown[3].startswith(f"{rate:.3f}")
        assert shown[4].startswith("1 most" if ratio == 1 else f"{ratio:.3f}")
        assert float(by[sex, race]["selection_rate"]) == pytest.approx(rate, abs=1e-12)
        assert float(by[sex, race]["impact_ratio"]) == pytest.approx(ratio, abs=1e-12)
    assert [t.attributes for t in publication.publication(result).tables] == [
        ("race",),
        ("sex",),
        ("race", "sex"),
    ]


@pytest.mark.parametrize(
    ("groups", "n", "p"), [(10, 100, 0.8503580637764456), (2, 100, 0.11478076571282925)]
)
def test_the_page_says_what_chance_makes_of_equal_groups(groups, n, p):
    """TV31."""
    result = result_of(people({(f"g{i}",): (n // 2, n) for i in range(groups)}))
    source, _ = cells(result)
    assert re.search(rf"four fifths in\s+{100 * p:.2f}%", source)
    (made,) = publication.publication(result).tables
    assert made.below_by_chance.value == pytest.approx(p, abs=1e-9)


@pytest.mark.parametrize(
    ("table_", "faces", "said"),
    [
        ({("F",): (12, 40), ("M",): (48, 80)}, "both", "below, by 8 selections"),
        ({("F",): (3, 8), ("M",): (6, 10)}, "ratio_only", "below, by 1 selection"),
        ({("F",): (8800, 10000), ("M",): (9300, 10000)}, "significance_only", "not below"),
        ({("F",): (44, 100), ("M",): (55, 100)}, "neither", "not below"),
    ],
)
def test_both_faces_of_the_uniform_guidelines_are_printed(table_, faces, said):
    """Small numbers below four fifths; large ones above it; and 44 of 100 against 55, TV33."""
    result = result_of(people(table_))
    (made,) = publication.publication(result).tables
    women = next(c for c in made.categories if c.where == {"sex": "F"})
    assert women.faces == faces
    _, rows = cells(result)
    row = row_of(rows, "F", 1)
    assert row[2].startswith(said) and publication.FACES[faces].en == row[5]
    _, chinese = cells(result, "zh")
    assert publication.FACES[faces].zh == row_of(chinese, "F", 1)[5]


def test_texts_of_unknown_category_are_counted_and_in_no_rate():
    examples = people({("F",): (10, 40), ("M",): (20, 40)})
    examples += [Example(id=f"u{i}", text="good u", groups={}) for i in range(7)]
    result = result_of(examples)
    _, rows = cells(result)
    assert row_of(rows, "Category unknown")[1] == "7"
    assert {r["unknown_in_table"] for r in records(result)} == {"7"}


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ("data_source", "source and explanation of the data"),
        ("notice", "notice to candidates"),
        ("distribution_date", "distribution date"),
        ("auditor", "who audited"),
    ],
)
def test_what_is_still_to_be_stated_is_said(left_out, words):
    scope = {k: v for k, v in STATED.items() if k != left_out}
    made = publication.publication(result_of(people(TV25), scope=scope))
    assert [m.en for m in made.missing if words in m.en]
    assert publication.publication(result_of(people(TV25))).missing == ()


def test_a_summary_without_intersections_is_no_summary():
    made = publication.publication(result_of(people({("F",): (4, 10), ("M",): (5, 10)})))
    assert "a summary" in made.missing[0].en


def test_a_year_ends_a_year_later():
    result = result_of(people(TV25))
    made = publication.publication(result)
    assert (made.audited, made.year_ends) == ("2026-11-27", "2027-11-27")
    leap = replace(result, telemetry=Telemetry(started="2028-02-29T00:00:00"))
    assert publication.publication(leap).year_ends == "2029-02-28"


def test_nothing_in_it_judges_and_its_pages_are_pure():
    result = result_of(people(TV25), scope={})
    for language in ("en", "zh"):
        source, _ = cells(result, language)
        assert banned(" ".join(Page(source).ours)) == []
        assert source == cells(result, language)[0]
        assert "<script" not in source and "style=" not in source
    made = publication.publication(result)
    assert banned(publication.as_json(made) + publication.as_csv(made)) == []
    assert "compliant" not in publication.as_json(made)


def test_hostile_categories_stay_text():
    evil = "<script>alert(1)</script>=cmd|' /C calc'!A0"
    result = result_of(people({(evil,): (4, 10), ("=1+1",): (5, 10)}))
    source, _ = cells(result)
    assert "<script>" not in source
    assert "'=1+1" in publication.as_csv(publication.publication(result))


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1+1", "'=1", '"=1', "\r=1"]
)
def test_no_cell_begins_like_a_formula(cell):
    assert str(inert(cell))[0] not in "=+-@＝＋－＠\t\r"
    (row,) = list(csv.reader(io.StringIO(table(["a;=1"], [])), delimiter=";"))
    assert row == ["a;=1"]


def test_numbers_stay_numbers():
    assert inert(-0.5) == -0.5 and inert(None) == "" and inert(True) == "True"


def test_the_command_writes_four_files_and_says_what_is_missing(tmp_path, capsys):
    result = result_of(people(TV25), scope={})
    (tmp_path / "result.json").write_text(write_json(result), "utf-8")
    assert main(["report", str(tmp_path), "--ll144", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "Before this is published, state: notice to candidates" in said
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "ll144.csv",
        "ll144.html",
        "ll144.json",
        "ll144.zh.html",
    ]
    kept = json.loads((tmp_path / "out" / "ll144.json").read_text("utf-8"))
    assert kept["assessed"] == 2077 and len(kept["tables"]) == 3
    assert not (tmp_path / "report.html").exists()


def test_a_result_without_ratios_is_refused():
    with pytest.raises(DataError, match="no impact ratios"):
        publication.publication(replace(fixture.normal(), runs=()))


def test_the_example_in_the_manual_is_what_the_page_prints():
    from audit.figures import number, probability

    text = (Path(__file__).parents[1] / "docs" / "ll144.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| \d", line)
    ]
    assert len(rows) == 4
    for mine, most, ratio, fifths, deviations, p, together in rows:
        hits, n, other, of = map(int, re.findall(r"\d+", f"{mine} {most}"))
        result = result_of(people({("F",): (hits, n), ("M",): (other, of)}))
        (made,) = publication.publication(result).tables
        women = next(c for c in made.categories if c.where == {"sex": "F"})
        _, page = cells(result)
        shown = row_of(page, "F", 1)
        assert number(women.ratio.value) == ratio and shown[1].startswith(ratio)
        assert shown[2].startswith(fifths) and shown[5] == together
        assert number(women.deviations.value) == deviations and shown[3].startswith(deviations)
        assert probability(women.fisher.value) == p and shown[4].startswith(p)

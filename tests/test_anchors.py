"""Numbers as they stand in print, to every digit printed there."""

import pytest

from audit import multiplicity, proportions, stats

# Newcombe (1998), Statistics in Medicine 17, pp. 857-872, table I: methods 3 and 5.
SINGLE = {
    (81, 263): (("0.2553", "0.3662"), ("0.2527", "0.3676")),
    (15, 148): (("0.0624", "0.1605"), ("0.0578", "0.1617")),
    (0, 20): (("0.0000", "0.1611"), ("0.0000", "0.1684")),
    (1, 29): (("0.0061", "0.1718"), ("0.0009", "0.1776")),
}
# Newcombe (1998), Statistics in Medicine 17, pp. 873-890, table II: method 10.
TWO = {
    (56, 70, 48, 80): ("0.0524", "0.3339"),
    (9, 10, 3, 10): ("0.1705", "0.8090"),
    (6, 7, 2, 7): ("0.0582", "0.8062"),
    (5, 56, 0, 29): ("-0.0381", "0.1926"),
    (0, 10, 0, 20): ("-0.1611", "0.2775"),
    (0, 10, 0, 10): ("-0.2775", "0.2775"),
    (10, 10, 0, 20): ("0.6791", "1.0000"),
    (10, 10, 0, 10): ("0.6075", "1.0000"),
}
# Benjamini & Hochberg (1995), JRSS B 57, pp. 289-300, section 4.1.
BH = (0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262)
BH += (0.5719, 0.6528, 0.7590, 1.0000)


def printed(e):
    return tuple(f"{x + 0.0:.4f}" for x in (e.low, e.high))


@pytest.mark.parametrize("cell", SINGLE, ids=str)
def test_newcombes_table_of_single_proportions(cell):
    wilson, exact = SINGLE[cell]
    assert printed(stats.share(*cell)) == wilson
    assert printed(stats.clopper_pearson(*cell)) == exact


@pytest.mark.parametrize("cells", TWO, ids=str)
def test_newcombes_table_of_differences(cells):
    assert printed(stats.difference(*cells)) == TWO[cells]


def test_the_score_interval_in_the_same_table():
    assert printed(proportions.miettinen_nurminen(56, 70, 48, 80)) == ("0.0528", "0.3382")


def test_fifteen_tests_of_a_heart_treatment():
    """Four are found with the false discovery rate held, three with any error held off."""
    assert (multiplicity.benjamini_hochberg(BH) <= 0.05).sum() == 4
    assert (multiplicity.holm(BH) <= 0.05).sum() == 3


def test_the_worked_example_of_the_uniform_guidelines():
    """48 of 80 and 12 of 40 hired: 60 % and 30 %, a ratio of one half (44 FR 11996)."""
    found = proportions.ratio(12, 40, 48, 80)
    assert f"{stats.share(48, 80).value:.0%} {stats.share(12, 40).value:.0%}" == "60% 30%"
    assert f"{found.value:.0%}" == "50%"
    assert proportions.four_fifths(12, 40, 48, 80).below


def test_the_lady_tasting_tea():
    """Fisher (1935), The Design of Experiments, section 5: all right in 1 of 70, both ways 2."""
    assert round(70 * proportions.fisher(4, 4, 0, 4).p, 9) == 2
    assert round(70 * proportions.fisher(3, 4, 1, 4).p, 9) == 34

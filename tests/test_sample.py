import csv
from collections import Counter

import numpy as np
import pytest

from audit import catalogue, corpus, sample
from audit.bench import Bench
from audit.config import CorpusConfig
from audit.decision import make
from audit.resources import Resources
from audit.scorer import Scorer
from audit.shipped import shipped
from audit.types import Measurement

ONLY = {
    "organisations": sample.Faults(organisations=1, names=0, typos=0),
    "names": sample.Faults(organisations=0, names=1, typos=0),
    "typos": sample.Faults(organisations=0, names=0, typos=1),
}


def table(name):
    with (shipped("datasets") / "applicants" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Reader:
    """A classifier that reads merit off the skill words, and what was planted off the terms."""

    labels = sample.LABELS

    def __init__(self, *, organisations=0.0, names=0.0):
        self.organisations, self.names = organisations, names
        self.fingerprint = f"reader {organisations} {names}"
        self.skills = {row["skill"]: 2 * int(row["in_demand"]) - 1 for row in table("skills")}
        self.terms = sample.planted_terms()

    def probabilities(self, texts):
        logits = []
        for text in texts:
            plain = text.lower().replace(".", "").replace(",", "").replace(";", "")
            words = plain.split()
            logit = sum(self.skills.get(word, 0) for word in words)
            if any(f" {term} " in f" {plain} " for term in self.terms["organisations"]):
                logit -= self.organisations
            logit -= self.names * (words[0] in self.terms["names"])
            logits.append(logit)
        p = 1 / (1 + np.exp(-np.array(logits)))
        return np.stack([1 - p, p], axis=1)


def gaps(classifier, axis):
    bench = Bench(
        probe="swaps",
        corpus=sample.generate(3, 600, stream_name="test"),
        scorer=Scorer(classifier),
        decision=make(sample.LABELS, (sample.FAVOURABLE,)),
        resources=Resources(),
    )
    facts = catalogue.make("swaps", {"axis": axis}).run(bench)
    return {
        f.where["pair"]: f.value
        for f in facts
        if isinstance(f, Measurement) and f.metric == "favourable_gap"
    }


def shares(faults, attribute, n=8000):
    examples = sample.generate(11, n, faults=faults, stream_name="test").examples
    found = {}
    for value in {e.groups[attribute] for e in examples}:
        mine = [e.label == sample.FAVOURABLE for e in examples if e.groups[attribute] == value]
        found[value] = (np.mean(mine), len(mine))
    return found


def test_a_text_depends_on_its_number_alone():
    few, many = sample.generate(5, 20), sample.generate(5, 60)
    assert many.examples[:20] == few.examples
    assert [e.text for e in few.examples] != [e.text for e in sample.generate(6, 20).examples]


def test_streams_share_no_texts_beyond_chance():
    train = {e.text for e in sample.generate(5, 800, stream_name="train").examples}
    test = {e.text for e in sample.generate(5, 800, stream_name="held-out").examples}
    assert len(train & test) <= 2


def test_a_fault_moves_labels_and_no_text():
    clean = sample.generate(5, 500, faults=sample.CLEAN).examples
    for faults in (sample.PLANTED, *ONLY.values()):
        faulty = sample.generate(5, 500, faults=faults).examples
        assert [(e.id, e.text, e.groups) for e in clean] == [
            (e.id, e.text, e.groups) for e in faulty
        ]
        assert [e.label for e in clean] != [e.label for e in faulty]


@pytest.mark.parametrize(
    ("fault", "touched"),
    [
        ("organisations", lambda p: p.kind == "women" and p.organisation is not None),
        ("names", lambda p: p.race == sample.NAMED),
    ],
)
def test_a_fault_costs_only_those_it_works_against(fault, touched):
    people = sample.drafts(5, 1500)
    before = [sample.probability(p, sample.CLEAN) for p in people]
    after = [sample.probability(p, ONLY[fault]) for p in people]
    assert all((a < b) == touched(p) for p, b, a in zip(people, before, after, strict=True))
    assert all(a == b for p, b, a in zip(people, before, after, strict=True) if not touched(p))
    assert sum(map(touched, people)) > 300


@pytest.mark.parametrize("attribute", sample.ATTRIBUTES)
def test_with_nothing_planted_the_groups_are_advanced_alike(attribute):
    found = shares(sample.CLEAN, attribute)
    for p, n in found.values():
        rest = [(q, m) for q, m in found.values() if (q, m) != (p, n)]
        other = np.average([q for q, _ in rest], weights=[m for _, m in rest])
        assert abs(p - other) < 4 * np.sqrt(0.25 / n + 0.25 / sum(m for _, m in rest))


@pytest.mark.parametrize(
    ("fault", "attribute", "against", "beside", "clean_attribute"),
    [
        ("organisations", "sex", "female", "male", "race"),
        ("names", "race", "black", "white", "sex"),
    ],
)
def test_a_planted_fault_shows_in_its_group_and_in_no_other(
    fault, attribute, against, beside, clean_attribute
):
    found = shares(ONLY[fault], attribute)
    assert found[beside][0] - found[against][0] > 0.1
    others = [p for p, _ in shares(ONLY[fault], clean_attribute).values()]
    assert max(others) - min(others) < 0.07


def test_merit_decides_when_nothing_is_planted():
    people = sample.drafts(2, 4000)
    good = [p for p in people if p.reference[1] > 0 and p.result[1] > 0]
    bad = [p for p in people if p.reference[1] < 0 and p.result[1] < 0]
    assert np.mean([sample.probability(p, sample.CLEAN) for p in good]) > 0.9
    assert np.mean([sample.probability(p, sample.CLEAN) for p in bad]) < 0.2


def test_the_weakness_to_typos_lies_in_the_skill_words():
    """One skill less decides far more often where merit rests on the skill words alone."""
    people = sample.drafts(2, 1500)

    def turned(faults):
        hits = []
        for p in people:
            spared = sample.replace(p, skills=(p.skills[0], p.skills[1], (p.skills[2][0], 0)))
            before, after = (sample.probability(q, faults) > 0.5 for q in (p, spared))
            hits.append(before != after)
        return np.mean(hits)

    assert turned(sample.CLEAN) < 0.05
    assert turned(ONLY["typos"]) > 0.15


@pytest.mark.parametrize("of", ["organisations", "names"])
def test_twins_differ_in_the_planted_term_alone(of):
    pairs = sample.twins(4, 400, of=of)
    assert 60 < len(pairs) < 250
    terms = sample.planted_terms()[of]
    for pair in pairs:
        before, after = pair.text.lower(), pair.twin.lower()
        assert any(term in before for term in terms)
        assert before != after
        a, b = Counter(before.split()), Counter(after.split())
        names = 4 if of == "names" else 2
        assert len(a - b) <= names and len(b - a) <= names


def test_at_least_a_third_of_the_planted_terms_are_absent_from_the_swap_tables():
    folder = shipped("datasets") / "terms"
    known = set()
    for name in ("gender", "names"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                known |= {str(word).lower().removesuffix("'s") for word in row.values() if word}
    for fault, terms in sample.planted_terms().items():
        plain = [t.removesuffix("'s").removesuffix("'") for t in terms]
        absent = [t for t in plain if t not in known]
        assert len(absent) >= len(plain) / 3, (fault, sorted(set(plain) - set(absent)))


def test_each_name_belongs_to_one_sex_and_group():
    rows = table("names")
    assert len({row["name"] for row in rows}) == len(rows)
    cells = Counter((row["sex"], row["race"]) for row in rows)
    assert set(cells) == {(s, r) for s in sample.SEXES for r in sample.RACES}
    assert min(cells.values()) >= 20


def test_texts_are_short_sentences_with_the_right_article_and_pronoun():
    for person in sample.drafts(1, 400):
        text = sample.render(person)
        words = text.split()
        assert 20 <= len(words) <= 50, text
        assert "{" not in text and "  " not in text and text.endswith(".")
        other = {"She", "she", "her"} if person.sex == "male" else {"He", "he", "him"}
        assert not other & set(words), text
        article = words[words.index("as") + 1]
        assert (article == "an") == (person.role[0] in "aeiou")


def test_the_written_table_is_read_back_as_the_same_corpus(tmp_path):
    made = sample.generate(9, 50)
    sample.write(made, tmp_path / "test.csv")
    spec = CorpusConfig(
        path="test.csv",
        label="label",
        id="id",
        groups={"sex": "sex", "race": "race"},
        kind="synthetic",
    )
    read = corpus.load(spec, tmp_path, name="test", model_labels=sample.LABELS, head="single")
    assert read.sha256 == made.sha256
    assert read.examples == made.examples


def test_a_scale_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        sample.Faults(typos=1.5)


def test_swaps_find_a_planted_organisation_and_accuse_no_name():
    reader = Reader(organisations=3.0)
    assert gaps(reader, "gender")["female-male"].high < -0.05
    assert all(abs(e.value) < 0.03 for e in gaps(reader, "names_race").values())


def test_swaps_find_a_planted_name_effect_and_accuse_no_sex():
    reader = Reader(names=3.0)
    found = gaps(reader, "names_race")
    assert found["white-black"].low > 0.05
    assert found["white-hispanic"].value == 0
    assert abs(gaps(reader, "gender")["female-male"].value) < 0.05


def test_swaps_accuse_nobody_where_nothing_is_planted():
    reader = Reader()
    for axis in ("gender", "names_race"):
        assert all(e.value == 0 for e in gaps(reader, axis).values())

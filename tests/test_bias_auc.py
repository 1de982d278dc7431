"""Bias AUCs: the published cells out of texts, terms found as published, and real text."""

import csv
import gzip

import numpy as np
import pytest

from audit import ranking
from audit.bench import Bench
from audit.decision import make
from audit.errors import ConfigError, Unsupported
from audit.identities import of_axes, of_terms
from audit.resources import Resources
from audit.scorer import Scorer
from audit.types import Absent, Corpus, Estimate, Example
from probes.bias_auc import BiasAuc
from tests import realdata

LABELS = ("harmless", "toxic")


class Stated:
    """A classifier that says of each text the number that stands in it."""

    labels = LABELS
    fingerprint = "stated"

    def probabilities(self, texts):
        p = np.array([float(t.split()[0]) for t in texts])
        return np.stack([1 - p, p], axis=1)


class Trained:
    """A scikit-learn pipeline."""

    labels = LABELS

    def __init__(self, name, model):
        self.fingerprint, self.model = name, model

    def probabilities(self, texts):
        return self.model.predict_proba(list(texts))


def bench(examples, model=None, labels=LABELS, favourable=("harmless",), **more):
    return Bench(
        probe="bias_auc",
        corpus=Corpus(name="test", labels=labels, examples=tuple(examples)),
        scorer=Scorer(model or Stated()),
        decision=make(labels, favourable, **more),
        resources=Resources(),
    )


def run(probe, on):
    found = {f.id.removeprefix("bias_auc."): f for f in probe.run(on)}
    assert sorted(f"bias_auc.{k}" for k in found) == sorted(probe.plan(on).claims)
    return found


def tv11():
    label = [1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0]
    score = [0.9, 0.8, 0.35, 0.4, 0.3, 0.2, 0.1, 0.85, 0.6, 0.7, 0.55, 0.15]
    return [
        Example(
            id=str(i),
            text=f"{s} a text of {'them' if i >= 7 else 'others'}",
            label=LABELS[y],
            groups={"who": "them" if i >= 7 else "others"},
        )
        for i, (s, y) in enumerate(zip(score, label, strict=True))
    ]


@pytest.mark.parametrize("how", ["column", "term"])
def test_tv11_comes_out_of_texts(how):
    probe = BiasAuc(positive="unfavourable", min_n=2, terms=("them",) if how == "term" else ())
    found = run(probe, bench(tv11()))
    at = "who=them" if how == "column" else "term=them"
    assert found["auc"].value.value == pytest.approx(0.8857142857)
    for kind, expected in (("subgroup", 5 / 6), ("bpsn", 7 / 9), ("bnsp", 1.0)):
        m = found[f"{kind}_auc[{at}]"]
        assert m.value.value == pytest.approx(expected)
        gap = found[f"{kind}_auc_gap[{at}]"]
        assert gap.value.value == pytest.approx(expected - 0.8857142857)
        assert gap.value.low < gap.value.value < gap.value.high
    assert found[f"bpsn_auc[{at}]"].used == 6 and found[f"bpsn_auc[{at}]"].eligible == 12
    over = found[
        "subgroup_auc_mean[over=who]" if how == "column" else "subgroup_auc_mean[over=terms]"
    ]
    cells = [m.value.value for i, m in found.items() if i.startswith("subgroup_auc[")]
    assert over.value.value == pytest.approx(ranking.power_mean(cells))


def test_the_positive_class_decides_what_bpsn_means():
    """Exchanging the classes exchanges BPSN and BNSP, and leaves every AUC what it was."""
    one = run(BiasAuc(positive="unfavourable", min_n=2), bench(tv11()))
    two = run(BiasAuc(min_n=2), bench(tv11()))
    for a, b in (("bpsn", "bnsp"), ("bnsp", "bpsn"), ("subgroup", "subgroup")):
        mine, theirs = one[f"{a}_auc[who=them]"].value, two[f"{b}_auc[who=them]"].value
        assert mine.value == pytest.approx(theirs.value)


def test_cells_with_too_few_texts_say_so():
    found = run(BiasAuc(positive="unfavourable", min_n=3), bench(tv11()))
    m = found["subgroup_auc[who=them]"].value
    assert isinstance(m, Absent) and m.code == "too_few"
    assert m.reason == "2 positive and 3 negative texts, at least 3 of each"
    assert isinstance(found["bpsn_auc[who=them]"].value, Estimate)
    one_class = [e for e in tv11() if e.label == "toxic" or e.groups["who"] == "others"]
    found = run(BiasAuc(positive="unfavourable", min_n=2), bench(one_class))
    assert found["subgroup_auc[who=them]"].value.code == "one_class"
    found = run(BiasAuc(terms=("nobody",), min_n=2), bench(tv11()))
    assert found["subgroup_auc[term=nobody]"].value.code == "empty"
    none = found["bnsp_auc_mean[over=terms]"].value
    assert isinstance(none, Absent) and "none of 1 identities" in none.reason


def test_unknown_groups_and_labels_are_in_no_background():
    extra = [
        Example(id="u", text="0.99 unlabelled", groups={"who": "them"}),
        Example(id="v", text="0.01 of nobody known", label="toxic"),
    ]
    found = run(BiasAuc(positive="unfavourable", min_n=2), bench([*tv11(), *extra]))
    m = found["bpsn_auc[who=them]"]
    assert m.value.value == pytest.approx(7 / 9) and m.used == 6
    assert {s.reason: s.count for s in m.left_out} == {
        "no true label": 1,
        "group unknown": 1,
        "on neither side of the comparison": 6,
    }


def test_terms_are_whole_words_in_any_case_and_may_overlap():
    texts = ["An AFRICAN American.", "South-african wine", "africans", "african-american", "x"]
    examples = [Example(id=str(i), text=t) for i, t in enumerate(texts)]
    found = {
        i.where["term"]: i.member.tolist()
        for i in of_terms(examples, ["african", "African american"])
    }
    assert found["african"] == [True, True, False, True, False]
    assert found["African american"] == [True, False, False, True, False]


def test_words_with_two_meanings_are_in_no_background():
    """A text whose only word on the axis may mean something else is neither member nor background."""
    from audit.lexicon import lexicon
    from audit.mentions import find

    table = lexicon("gender")
    unclear = next(
        " ".join(key)
        for key, term in table.terms.items()
        if "ambiguous" in term.flags and find(" ".join(key), table).ambiguous
    )
    examples = [Example(id=str(i), text=t) for i, t in enumerate((unclear, "the woman", "a dog"))]
    female = next(i for i in of_axes(examples, ["gender"]) if i.where["group"] == "female")
    assert female.known.tolist() == [False, True, True]
    assert female.member.tolist() == [False, True, False]


def test_mentions_are_found_on_the_axes():
    rng = np.random.default_rng(0)
    people = ("the woman", "the man", "the dog")
    examples = [
        Example(id=str(i), text=f"{rng.random():.3f} {people[i % 3]}", label=LABELS[i // 3 % 2])
        for i in range(240)
    ]
    found = run(BiasAuc(axes=("gender",)), bench(examples))
    assert found["subgroup_auc[axis=gender,group=female]"].used == 80
    assert found["bpsn_auc[axis=gender,group=male]"].used == 120


def test_dependent_texts_widen_the_intervals():
    twice = [
        Example(id=f"{e.id}-{k}", text=e.text, label=e.label, groups=e.groups, cluster=e.id)
        for e in tv11()
        for k in range(2)
    ]
    once = run(BiasAuc(positive="unfavourable", min_n=2), bench(tv11()))
    found = run(BiasAuc(positive="unfavourable", min_n=2), bench(twice))
    for name, m in once.items():
        if isinstance(m.value, Estimate):
            assert found[name].value.mde == pytest.approx(m.value.mde), name


def test_a_planted_bias_is_found_where_it_is():
    """Harmless texts that name the group get 0.25 more: BPSN falls, BNSP rises, within stays."""
    rng = np.random.default_rng(1)
    examples = []
    for i in range(2000):
        toxic, named = rng.random() < 0.5, i % 5 == 0
        p = np.clip(rng.normal(0.35 + 0.2 * toxic + 0.25 * named, 0.12), 0, 1)
        who = "them" if named else "somebody"
        examples.append(Example(id=str(i), text=f"{p:.4f} {who}", label=LABELS[int(toxic)]))
    found = run(BiasAuc(positive="unfavourable", terms=("them",)), bench(examples))
    gap = {k: found[f"{k}_auc_gap[term=them]"].value for k in ("subgroup", "bpsn", "bnsp")}
    assert gap["bpsn"].high < -0.2 and gap["bnsp"].low > 0.05
    assert gap["subgroup"].low > -0.1


def test_several_labels_are_ranked_by_the_favourable_score():
    labels = ("hate", "offensive", "neither")

    class Three:
        fingerprint = "three"

        def __init__(self):
            self.labels = labels

        def probabilities(self, texts):
            p = np.array([float(t.split()[0]) for t in texts])
            return np.stack([p / 3, p * 2 / 3, 1 - p], axis=1)

    names = {"toxic": ("hate", "offensive"), "harmless": ("neither", "neither")}
    examples = [
        Example(id=e.id, text=e.text, label=names[e.label][i % 2], groups=e.groups)
        for i, e in enumerate(tv11())
    ]
    on = bench(examples, Three(), labels, ("neither",))
    found = run(BiasAuc(positive="unfavourable", min_n=2), on)
    assert found["bpsn_auc[who=them]"].value.value == pytest.approx(7 / 9)


def test_what_cannot_be_asked_is_refused():
    plain = [Example(id=str(i), text=f"0.{i} x", label=LABELS[i % 2]) for i in range(4)]
    with pytest.raises(Unsupported, match="has a group"):
        BiasAuc().plan(bench(plain))
    with pytest.raises(ConfigError, match="attribute 'sez'"):
        BiasAuc(attributes=("sez",)).plan(bench(plain))
    with pytest.raises(ConfigError, match="no word in it"):
        BiasAuc(terms=("!",)).plan(bench(plain))
    with pytest.raises(ConfigError, match="twice"):
        BiasAuc(terms=("gay", "Gay")).plan(bench(plain))
    reserved = [Example(id="a", text="0.1 x", label="toxic", groups={"axis": "y"})]
    with pytest.raises(ConfigError, match="cannot be called"):
        BiasAuc().plan(bench(reserved))
    with pytest.raises(ValueError, match="min_n"):
        BiasAuc(min_n=1)


def identity_terms():
    lines = (realdata.path("madlibs") / "words_adjectives_people.txt").read_text("utf-8")
    return tuple(line.strip() for line in lines.splitlines() if line.strip())


def madlibs():
    with gzip.open(
        realdata.path("madlibs") / "bias_madlibs_77k.csv.gz", "rt", encoding="utf-8"
    ) as f:
        rows = list(csv.DictReader(f))
    return [
        Example(id=str(i), text=r["Text"], label="toxic" if r["Label"] == "BAD" else "harmless")
        for i, r in enumerate(rows)
    ]


@pytest.fixture(scope="module", params=["davidson", "edos"])
def trained(request):
    """A bag-of-words classifier of hate or offence, or of sexism, as any callable."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    clean = {"davidson": "neither", "edos": "not sexist"}[request.param]
    rows = realdata.rows(request.param, "train.jsonl")
    model = make_pipeline(
        TfidfVectorizer(min_df=2, ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(max_iter=1000, class_weight="balanced"),
    )
    model.fit([r["text"] for r in rows], [r["label_name"] != clean for r in rows])
    return request.param, model


@pytest.mark.slow
def test_real_templates_show_which_names_a_real_classifier_ranks_badly(trained):
    from sklearn.metrics import roc_auc_score

    source, model = trained
    examples, terms = madlibs(), identity_terms()
    assert (len(examples), len(terms)) == (76_564, 50)
    on = bench(examples, Trained(source, model))
    found = run(BiasAuc(positive="unfavourable", terms=terms), on)
    score = model.predict_proba([e.text for e in examples])[:, 1]
    label = np.array([e.label == "toxic" for e in examples])
    rng = np.random.default_rng(0)
    close = []
    for term in terms:
        member = np.array([f" {term} " in f" {e.text.lower()} " for e in examples])
        for kind in ("subgroup", "bpsn", "bnsp"):
            over = ranking.cell(kind, label, member)
            e = found[f"{kind}_auc[term={term}]"].value
            assert e.value == pytest.approx(roc_auc_score(label[over], score[over]), abs=1e-9)
        close.append((e, member))
    for e, member in close[::17]:
        over = np.flatnonzero(ranking.cell("bnsp", label, member))
        up, down = over[label[over]], over[~label[over]]
        draws = [
            roc_auc_score(label[i], score[i])
            for _ in range(200)
            for i in [np.concatenate([rng.choice(up, len(up)), rng.choice(down, len(down))])]
        ]
        assert e.basis.se == pytest.approx(np.std(draws), rel=0.25)
    low = [t for t in terms if found[f"bpsn_auc_gap[term={t}]"].value.high < -0.05]
    assert low, "no term is ranked worse than the whole, which no bag of words achieves"

"""Published suites, imported and run against bags of words trained on real texts."""

import json
from collections import defaultdict

import numpy as np
import pytest
import realdata

from audit import catalogue, corpus
from audit.bench import Bench
from audit.config import CorpusConfig
from audit.decision import make
from audit.resources import Resources
from audit.scorer import Scorer
from audit.suitefiles import from_checklist, write
from audit.types import Corpus, Measurement

pytestmark = pytest.mark.slow
HATECHECK = {
    "corpus": "suite",
    "identity": ["target"],
    "labels": {"hateful": "unfavourable", "non-hateful": "favourable"},
}


class BagOfWords:
    """Logistic regression on TF-IDF."""

    def __init__(self, name, unfavourable):
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        rows = realdata.rows(name, "train.jsonl")
        self.labels = ("unfavourable here", "favourable here")
        self.fingerprint = f"tfidf-{name}"
        self.words = TfidfVectorizer(min_df=2)
        read = self.words.fit_transform([r["text"] for r in rows])
        truth = [r["label_name"] not in unfavourable for r in rows]
        self.model = LogisticRegression(C=10, max_iter=2000, class_weight="balanced")
        self.model.fit(read, truth)

    def probabilities(self, texts):
        return self.model.predict_proba(self.words.transform(texts))


def measured(model, suite, settings):
    on = Bench(
        probe="templates",
        corpus=Corpus(name="test", labels=model.labels, examples=()),
        corpora={"suite": suite},
        scorer=Scorer(model),
        decision=make(model.labels, model.labels[1:]),
        resources=Resources(),
    )
    facts = catalogue.make("templates", settings).run(on)
    return {
        (f.metric, *(v for k, v in f.where.items() if k != "suite")): f
        for f in facts
        if isinstance(f, Measurement)
    }


def hatecheck():
    groups = {"functionality": "functionality", "target": "target_ident", "expect": "label_name"}
    file = realdata.path("hatecheck") / "hatecheck.jsonl"
    spec = CorpusConfig(path=str(file), id="case_id", cluster="templ_id", groups=groups)
    return corpus.load(spec, name="suite", model_labels=("a", "b"))


@pytest.mark.parametrize(
    ("name", "unfavourable", "failing", "passing"),
    [
        # Denials and quotes of hate hold its words; a bag of words cannot tell them apart.
        ("davidson", {"hate_speech", "offensive_language"}, "negate_neg_nh", "derog_neg_attrib_h"),
        ("edos", {"sexist"}, "derog_impl_h", "target_obj_nh"),
    ],
)
def test_hatecheck_is_read_whole_and_its_rates_are_those_of_a_plain_count(
    name, unfavourable, failing, passing
):
    model = BagOfWords(name, unfavourable)
    found = measured(model, hatecheck(), HATECHECK)
    whole = found["failure_rate",]
    assert (whole.eligible, whole.used) == (3728, 3728)
    rows = realdata.rows("hatecheck", "hatecheck.jsonl")
    assert len({r["functionality"] for r in rows}) == 29
    good = model.probabilities([r["text"] for r in rows])[:, 1] > 0.5
    by_template = defaultdict(lambda: defaultdict(list))
    targets = defaultdict(lambda: defaultdict(list))
    for row, selected in zip(rows, good, strict=True):
        wrong = selected == (row["label_name"] == "hateful")
        by_template[row["functionality"]][row["templ_id"]].append(wrong)
        if row["target_ident"]:
            targets[row["target_ident"]][row["templ_id"]].append(wrong)
    assert len(targets) == 7
    for functionality, templates in by_template.items():
        value = found["functionality_failure_rate", functionality].value
        assert value.value == pytest.approx(np.mean([np.mean(t) for t in templates.values()]))
        assert value.n == len(templates)
        assert value.low <= value.value <= value.high
    for target, templates in targets.items():
        gaps = []
        for template, own in templates.items():
            rest = [x for t, o in targets.items() if t != target for x in o.get(template, ())]
            if rest:
                gaps.append(np.mean(own) - np.mean(rest))
        gap = found["failure_gap", "target", target].value
        assert gap.value == pytest.approx(np.mean(gaps)) and gap.n == len(gaps)
    assert (
        found["functionality_failure_rate", failing].value.low
        > found["functionality_failure_rate", passing].value.high
    )


def checklist(folder, model):
    tests = realdata.rows("checklist_sentiment", "tests.jsonl")
    expect = {
        "intensifiers": "surer",
        "reducers": "less sure",
        "add positive phrases": "up",
        "add negative phrases": "down",
        '"used to" should reduce': "less sure",
    }
    for test in tests:
        if any(said in test["test"] for said in ("not negative", "neutral or positive")):
            expect[test["test"]] = "neutral|positive"
        if "positive or neutral" in test["test"]:
            expect[test["test"]] = "neutral|positive"
    suite = from_checklist(
        realdata.path("checklist_sentiment") / "cases.jsonl.gz",
        labels=("negative", "neutral", "positive"),
        expect=expect,
    )
    write(suite, folder / "sentiment.csv")
    groups = {name: name for name in ("type", "functionality", "case", "expect")}
    spec = CorpusConfig(path="sentiment.csv", id="id", cluster="template", groups=groups)
    read = corpus.load(spec, folder, name="suite", model_labels=model.labels)
    return suite, tests, read


def test_the_checklist_sentiment_suite_is_imported_and_run(tmp_path):
    model = BagOfWords("cad_imdb", {"negative"})
    suite, tests, read = checklist(tmp_path, model)
    asked = {c.functionality for c in suite.checks}
    # Three tests hold the remains of a failed export in place of their texts.
    lost = {t["test"] for t in tests} - asked
    assert len(tests) == 38 and len(lost) == 3 and all("neutral" in t for t in lost)
    assert [(s.reason, s.count) for s in suite.left_out] == [("no text in the file", 450)]
    assert len(suite.checks) == 6682
    labels = {"negative": "unfavourable", "positive": "favourable", "neutral": ""}
    found = measured(model, read, {"corpus": "suite", "labels": labels})
    whole = found["failure_rate",]
    assert (whole.eligible, whole.used) == (6682, 6682 - 836)
    words = found["functionality_failure_rate", "Sentiment-laden words in context"].value
    negated = found["functionality_failure_rate", "simple negations: not negative"].value
    thought = [k for k in found if k[-1].startswith("simple negations: I thought x was negative")]
    assert negated.low > 0.9 > 0.3 > words.high
    assert found[thought[0]].value.low > 0.9
    # By hand: a text that denies something bad must not be called negative.
    texts = [
        row["texts"][0]
        for row in json.loads(f"[{','.join(_lines())}]")
        if row["test"] == "simple negations: not negative"
    ]
    called = model.probabilities(texts)[:, 1] <= 0.5
    assert negated.value == pytest.approx(called.mean()) and negated.n == len(texts) == 150
    for axis in ("race", "sexual", "religion", "nationality"):
        assert found["functionality_failure_rate", f"protected: {axis}"].value.n == 600


def _lines():
    import gzip

    file = realdata.path("checklist_sentiment") / "cases.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [line for line in lines if line.strip()]


def test_dialect_features_are_found_in_real_posts_and_leave_the_rest_as_it_was():
    from difflib import SequenceMatcher

    from audit import dialects

    texts = [row["text"] for row in realdata.rows("edos", "test.jsonl")]
    touched = neutral = 0
    for text in texts:
        found = dialects.changes(text, "aae")
        touched += bool(found)
        neutral += bool(found) and bool(dialects.neutral(text))
        said = dialects.apply(text, found)
        if found:
            assert said != text
            assert SequenceMatcher(None, text, said, autojunk=False).ratio() > 0.6, said
    assert 0.35 < touched / len(texts) < 0.55
    assert neutral / touched > 0.5

import json
from dataclasses import replace

import numpy as np
import pytest
import report_fixture as fixture
from tiny import tiny_bert

from audit import model
from audit.bench import Bench
from audit.config import ModelConfig
from audit.decision import make
from audit.errors import ConfigError, Unsupported
from audit.report import render
from audit.report._wordshares import word_shares
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Case, Cases, Corpus, Example, Measurement, ProbeRun
from probes.reliance import Reliance

SHAPES = (
    "{} wrote a short report about old bridges",
    "yesterday {} carried the heavy table upstairs",
    "the garden was planted when {} came home early",
    "after lunch {} painted seven wooden chairs",
)
PERSONS = ("she", "he", "the woman", "the man")
TEXTS = [SHAPES[i % 4].format(PERSONS[i // 4 % 4]) for i in range(32)]
NONE = ["nobody painted the wooden table", "old bridges carried heavy reports"]


@pytest.fixture
def corpus():
    return Corpus(
        name="test",
        labels=("negative", "positive"),
        examples=tuple(
            Example(id=f"e{i}", text=text, cluster=f"c{i // 2}")
            for i, text in enumerate(TEXTS + NONE)
        ),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("bert"), TEXTS + NONE)


def classifier(folder, *driving):
    """Load a model for which only the words `driving` differ from padding."""
    import torch

    spec = ModelConfig(path=str(folder), device="cpu")
    made = model.load(spec, model.identify(spec))
    table = made.module.get_input_embeddings().weight
    with torch.no_grad():
        strong = torch.randn(table.shape[1], generator=torch.Generator().manual_seed(0))
        table[5:] = table[0]
        for word in driving:
            table[made.tokenizer.convert_tokens_to_ids(word)] = strong
    return made


def bench(corpus, made, **more):
    return Bench(
        probe="reliance",
        corpus=corpus,
        scorer=Scorer(made),
        decision=make(("negative", "positive"), ("positive",)),
        resources=Resources(),
        **more,
    )


def measured(facts):
    return {f.metric: f for f in facts if isinstance(f, Measurement)}


def test_a_model_that_reads_only_identity_words_is_seen_to(corpus, folder):
    probe = Reliance()
    facts = list(probe.run(bench(corpus, classifier(folder, "she", "he", "woman", "man"))))
    found = measured(facts)
    # Sixteen equal units leave a share of up to 0.206 unseen (Clopper-Pearson, 0 of 16).
    assert found["identity_share"].value.low > 0.79
    assert found["placebo_share"].value.high < 0.21
    assert found["excess_share"].value.low > 0.5
    (cases,) = [f for f in facts if isinstance(f, Cases)]
    assert len(cases) == 32
    at = cases.example_id.index("e0")
    assert cases.words[at][int(np.abs(cases.weights[at]).argmax())] == "she"
    assert "'she'" in cases.note[at]
    assert list(cases.before) == list(cases.after)


def test_a_model_that_reads_other_words_is_not_accused(corpus, folder):
    made = classifier(folder, "report", "table", "garden", "chairs")
    found = measured(Reliance().run(bench(corpus, made)))
    assert found["identity_share"].value.high < 0.21
    assert found["excess_share"].value.value < 0


def test_clusters_are_the_units_and_every_text_is_counted(corpus, folder):
    found = measured(Reliance().run(bench(corpus, classifier(folder, "she"))))
    share = found["identity_share"]
    assert share.eligible == 34
    left = {s.reason: s.count for s in share.left_out}
    assert left.pop("no identity word") == 2
    # Where no driving word stands, nothing moves the score and there is nothing to share out.
    assert sum(left.values()) + share.used == 32
    assert share.value.n < share.used


def test_the_cap_draws_by_each_texts_own_dice(corpus, folder):
    probe = Reliance(texts=10)
    made = classifier(folder, "she", "he", "woman", "man")

    def drawn(some):
        (cases,) = [f for f in probe.run(bench(some, made, seed=5)) if isinstance(f, Cases)]
        return set(cases.example_id)

    whole = drawn(corpus)
    assert len(whole) == 10
    gone = next(iter(sorted(whole)))
    fewer = drawn(replace(corpus, examples=tuple(e for e in corpus.examples if e.id != gone)))
    assert whole - {gone} < fewer


def test_what_did_not_converge_is_left_out_and_counted(corpus, folder, monkeypatch):
    from audit.attribution import Attribution

    monkeypatch.setattr(Attribution, "converged", lambda self, tolerance=0.01: False)
    found = measured(Reliance().run(bench(corpus, classifier(folder, "she"))))
    left = {s.reason: s.count for s in found["identity_share"].left_out}
    assert left["the attribution did not converge"] == 32
    assert isinstance(found["identity_share"].value, Absent)


def test_gradients_are_taken_once_and_kept_without_words(corpus, folder):
    kept, asked = {}, []

    def remember(key, make):
        asked.append(key)
        if key not in kept:
            kept[key] = make()
        return kept[key]

    made = classifier(folder, "she", "he")
    first = measured(Reliance().run(bench(corpus, made, remember=remember)))
    seen = dict(kept)
    assert measured(Reliance().run(bench(corpus, made, remember=remember))) == first
    assert kept == seen and len(asked) == 2 * len(seen)
    assert all(b"bridges" not in value for value in seen.values())
    assert not any("bridges" in key for key in seen)
    json.loads(next(iter(seen.values())))


def test_the_plan_scores_nothing_and_names_what_is_measured(corpus, folder):
    on = bench(corpus, classifier(folder, "she"))
    planned = Reliance().plan(on)
    assert (on.scorer.queries, planned.units) == (0, 32)
    ids = [f.id for f in Reliance().run(on) if isinstance(f, Measurement)]
    assert sorted(ids) == sorted(planned.claims)
    assert on.scorer.queries <= planned.queries


def test_a_callable_is_not_probed(corpus):
    with pytest.raises(Unsupported):
        list(Reliance().run(bench(corpus, Lexicon(she=1.0))))


def test_an_unknown_axis_is_refused(corpus):
    with pytest.raises(ConfigError, match="axis"):
        Reliance(axis="gendre").plan(bench(corpus, Lexicon()))


def test_shares_stand_for_each_group_and_class_with_the_words_that_weigh_most(corpus, folder):
    facts = list(Reliance().run(bench(corpus, classifier(folder, "she", "woman"))))
    by = {f.id: f for f in facts if isinstance(f, Measurement)}
    women = by["reliance.group_identity_share[axis=gender,group=female]"]
    men = by["reliance.group_identity_share[axis=gender,group=male]"]
    # Texts that name men move nothing here, so they have no share at all.
    assert women.value.value > 0.9 and women.used == 16
    assert isinstance(men.value, Absent) and men.used == 0
    classes = [
        by[f"reliance.class_identity_share[axis=gender,class={c}]"]
        for c in bench(corpus, Lexicon()).decision.labels
    ]
    assert sum(c.used for c in classes) == 16
    tops = [f for f in facts if isinstance(f, Case)]
    assert tops and all(t.words[0] in ("she", "woman") for t in tops)
    assert all(t.metric in by and t.example_id.startswith("top words: ") for t in tops)


def test_the_word_a_model_reads_has_the_largest_share_above_any_other_words(corpus, folder):
    # 'woman' stands in eight of the texts and 'she' in eight: fewer than ten have no share.
    many = replace(
        corpus,
        examples=tuple(
            Example(id=f"{e.id}-{k}", text=e.text) for k in range(2) for e in corpus.examples
        ),
    )
    facts = Reliance().run(bench(many, classifier(folder, "she", "report", "table", "garden")))
    by = {f.id: f for f in facts if isinstance(f, Measurement)}
    share = {f.where["term"]: f for f in by.values() if f.metric == "term_share"}
    assert set(share) == {"she", "he", "woman", "man"}
    assert max(share, key=lambda t: share[t].value.value) == "she"
    assert by["reliance.term_excess_share[axis=gender,term=she]"].value.low > 0
    assert by["reliance.term_excess_share[axis=gender,term=man]"].value.value < 0
    kinds = {
        (f.where["group"], f.where["kind"]): f for f in by.values() if f.metric == "kind_share"
    }
    assert set(kinds) == {(g, k) for g in ("female", "male") for k in ("person", "pronoun")}
    assert max(kinds, key=lambda k: kinds[k].value.value) == ("female", "pronoun")
    placebo = by["reliance.kind_placebo_share[axis=gender,group=female,kind=pronoun]"].value
    assert kinds["female", "pronoun"].value.low > placebo.high
    # The page shows the same, the largest share first.
    run = ProbeRun(probe="reliance", version="6", params={}, measurements=tuple(by.values()))
    shares = word_shares(run)
    assert shares.terms[0].term == "she" and len(shares.terms) == 4
    assert (shares.kinds[0].group, shares.kinds[0].kind) == ("female", "pronoun")
    assert shares.lead.key == "words.lead.more"
    html = render(fixture.result_of((run,), ()))
    assert "Identity words by share" in html and "身份词的归因占比" in html
    assert html.index(">pronouns<") < html.index(">words for persons<")


def test_words_that_stand_in_too_few_texts_have_no_table(corpus, folder):
    facts = Reliance(texts=9).run(bench(corpus, classifier(folder, "she")))
    some = tuple(f for f in facts if isinstance(f, Measurement))
    run = ProbeRun(probe="reliance", version="6", params={}, measurements=some)
    assert word_shares(run) is None and word_shares(replace(run, measurements=())) is None


def test_weights_that_foretell_what_a_swap_does_are_seen_to(corpus, folder):
    found = measured(Reliance().run(bench(corpus, classifier(folder, "she", "woman", "man"))))
    r = found["swap_correlation"]
    assert r.value.low > 0.3 and -1 <= r.value.value <= 1
    assert r.used <= 24


def test_a_correlation_is_the_one_of_numpy_and_absent_without_variation():
    from audit.resampling import correlation

    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    y = x + rng.normal(size=60)
    r = correlation(x, y, rng=rng)
    assert r.value == pytest.approx(np.corrcoef(x, y)[0, 1]) and r.low < r.value < r.high
    assert isinstance(correlation(np.ones(20), y[:20], rng=rng), Absent)

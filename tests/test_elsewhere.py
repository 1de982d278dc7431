"""Another corpus and the training texts: what is measured, what is left out, what is found."""

from dataclasses import replace

import numpy as np
import pytest

from audit import catalogue
from audit.bench import Bench
from audit.compare import better_of
from audit.decision import make
from audit.errors import Unsupported
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Corpus, Example, Influence, Measurement, Skip
from probes.membership import losses

LABELS = ("negative", "positive")


def texts(name, n, word=lambda i: "good" if i % 2 else "terrible", label=None):
    return Corpus(
        name=name,
        labels=LABELS,
        examples=tuple(
            Example(
                id=f"{name}{i}",
                text=f"a {word(i)} report number {name} {i}",
                label=(label or (lambda i: LABELS[i % 2]))(i),
                groups={"sex": "fm"[i % 4 < 2]},
            )
            for i in range(n)
        ),
    )


def bench(probe, model, **corpora):
    scorer = Scorer(model)
    return Bench(
        probe=probe.name,
        corpus=corpora["test"],
        corpora=corpora,
        scorer=scorer,
        decision=make(scorer.labels, ("positive",)),
        resources=Resources(),
        seed=3,
    )


def measured(probe, on):
    facts = list(probe.run(on))
    ids = [f.id for f in facts if isinstance(f, Measurement)]
    assert sorted(ids) == sorted(probe.plan(on).claims)
    return {f.id: f for f in facts if isinstance(f, Measurement)}, facts


def test_another_corpus_is_counted_text_by_text_and_group_by_group():
    probe = catalogue.make("elsewhere", {"corpus": "earlier"})
    # Wrong on every text of m alone: those say 'poor', which the model does not know.
    other = texts("earlier", 200, word=lambda i: "terrible" if i % 4 >= 2 else "good")
    found, facts = measured(
        probe, bench(probe, Lexicon(good=2.0, terrible=-2.0), test=texts("test", 40), earlier=other)
    )
    right = [(i % 4 < 2) == bool(i % 2) for i in range(200)]
    assert found["elsewhere.accuracy[corpus=earlier]"].value.value == np.mean(right)
    assert found["elsewhere.selection_rate[corpus=earlier,sex=m]"].value.value == 1.0
    gap = found["elsewhere.selection_rate_gap[against=rest,corpus=earlier,sex=f]"].value
    assert gap.value == -1.0 and gap.n == 100
    pulls = {f.metric: f for f in facts if isinstance(f, Influence)}
    assert len(pulls["elsewhere.accuracy[corpus=earlier]"].value) == 200
    assert sum(pulls["elsewhere.accuracy[corpus=earlier]"].value) == pytest.approx(0, abs=1e-12)


def test_texts_without_a_label_and_small_groups_are_said():
    probe = catalogue.make("elsewhere", {"corpus": "earlier"})
    other = texts("earlier", 50, label=lambda i: LABELS[i % 2] if i < 40 else None)
    found, _ = measured(probe, bench(probe, Lexicon(good=2.0), test=texts("t", 9), earlier=other))
    whole = found["elsewhere.accuracy[corpus=earlier]"]
    assert whole.used == 40 and whole.left_out == (Skip(reason="no true label", count=10),)
    assert isinstance(found["elsewhere.accuracy[corpus=earlier,sex=f]"].value, Absent)
    with pytest.raises(Unsupported, match="no corpus 'earlier'"):
        probe.plan(bench(probe, Lexicon(), test=other))


class ByHeart(Lexicon):
    """Is sure of what it was trained on, in whole or of one group, and half sure of the rest."""

    def __init__(self, corpus, only=None):
        super().__init__()
        self.known = {e.text: e for e in corpus.examples if only in (None, e.groups["sex"])}

    def probabilities(self, some):
        rows = []
        for text in some:
            known = self.known.get(text)
            p = 0.5 + (hash(text) % 1000) / 1e5
            if known is not None:
                p = 0.97 if known.label == "positive" else 0.03
            rows.append([1 - p, p])
        return np.array(rows)


def test_a_model_that_learnt_by_heart_is_found_and_one_that_did_not_is_not():
    probe = catalogue.make("membership")
    train, test = texts("train", 120), texts("test", 120)
    found, _ = measured(probe, bench(probe, ByHeart(train), train=train, test=test))
    assert found["membership.exposure_auc"].value.low > 0.95
    assert found["membership.advantage"].value.low > 0.9
    assert found["membership.exposure_tpr"].value.low > 0.9
    found, _ = measured(
        probe, bench(probe, Lexicon(good=1.0, terrible=-1.0), train=train, test=test)
    )
    assert (
        found["membership.exposure_auc"].value.low
        <= 0.5
        <= found["membership.exposure_auc"].value.high
    )
    assert found["membership.exposure_tpr"].value.value <= 0.05


def test_the_group_that_was_learnt_by_heart_is_the_exposed_one():
    probe = catalogue.make("membership")
    train, test = texts("train", 200), texts("test", 200)
    found, _ = measured(probe, bench(probe, ByHeart(train, "f"), train=train, test=test))
    assert found["membership.exposure_auc[sex=f]"].value.low > 0.9
    assert found["membership.exposure_auc[sex=m]"].value.high < 0.65


def test_an_audited_text_that_was_trained_on_is_no_unseen_one():
    probe = catalogue.make("membership", {"texts": 50})
    train = texts("train", 60)
    test = Corpus(
        name="test", labels=LABELS, examples=(*texts("test", 60).examples, *train.examples[:5])
    )
    found, _ = measured(probe, bench(probe, Lexicon(good=1.0), train=train, test=test))
    skips = {s.reason: s.count for s in found["membership.exposure_auc"].left_out}
    assert skips == {"among the training texts": 5, "not drawn": 20}
    with pytest.raises(Unsupported, match="training texts"):
        probe.plan(bench(probe, Lexicon(), test=test))


def test_the_loss_is_the_cross_entropy_of_the_true_labels():
    rule = make(LABELS, ("positive",))
    some = [
        Example(id="a", text="x", label="negative"),
        Example(id="b", text="y", label="positive"),
    ]
    got = losses(rule, np.array([[0.25, 0.75], [0.5, 0.5]]), some)
    assert got == pytest.approx([-np.log(0.25), -np.log(0.5)])
    assert {better_of(m) for m in ("exposure_auc", "advantage", "exposure_tpr")} == {"lower"}


def test_ids_that_both_corpora_have_stay_two_texts():
    probe = catalogue.make("membership", {"min_n": 5})
    rows = [
        replace(texts("row", n, word=word), name=name)
        for name, n, word in (
            ("test", 60, lambda i: "good" if i % 3 else "terrible"),
            ("train", 80, lambda i: "good" if i % 2 else "bad"),
        )
    ]
    model = Lexicon(good=2.0, terrible=-2.0)
    on = bench(probe, model, **{one.name: one for one in rows})
    _, facts = measured(probe, on)
    pulls = {f.metric: f for f in facts if isinstance(f, Influence)}
    (found,) = (p for m, p in pulls.items() if m.startswith("membership.advantage"))
    members, unseen, _ = probe._drawn(on)
    assert len(set(found.example_id)) == len(members) + len(unseen)
    assert {e.id for e in members} & {e.id for e in unseen}

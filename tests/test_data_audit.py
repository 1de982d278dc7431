"""What the texts are: labels by group and term, copies and leaks, disagreement, damage."""

from dataclasses import replace

import numpy as np
import pytest
import realdata
from scipy.stats import binomtest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from audit import stats
from audit.association import spoken
from audit.bench import Bench
from audit.catalogue import make as make_probe
from audit.decision import make
from audit.errors import ConfigError
from audit.oddities import KINDS, oddities
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Estimate, Example, Measurement
from probes.data_audit import DataAudit
from probes.group_rates import GroupRates
from probes.slices import Slices

LABELS = ("negative", "positive")
FEW = DataAudit(axes=("religion",))


def corpus(examples, name="test", labels=LABELS):
    return Corpus(name=name, labels=labels, examples=tuple(examples))


def bench(examples, *, train=(), model=None, labels=LABELS, head="single", probe="data_audit"):
    test = corpus(examples, labels=labels)
    corpora = {"test": test}
    if train:
        corpora["train"] = corpus(train, "train", labels)
    return Bench(
        probe=probe,
        corpus=test,
        corpora=corpora,
        scorer=Scorer(model or Lexicon(good=2.0)),
        decision=make(labels, labels[-1:], head=head),
        resources=Resources(),
    )


def run(examples, probe=FEW, **more):
    facts = list(probe.run(bench(examples, **more)))
    found = {f.id.removeprefix("data_audit."): f for f in facts if isinstance(f, Measurement)}
    return found, {f.metric.removeprefix("data_audit."): f for f in facts if isinstance(f, Cases)}


def texts(*given, prefix="t", **more):
    return [Example(id=f"{prefix}{i}", text=t, **more) for i, t in enumerate(given)]


def labelled(n, rng, *, rate=lambda e: 0.5):
    out = []
    for i in range(n):
        sex = ("f", "m", None)[int(rng.integers(3))]
        e = Example(
            id=str(i),
            text=f"number {i} came on day {rng.integers(10**6)}",
            groups={} if sex is None else {"sex": sex},
        )
        out.append((e, rng.random() < rate(e)))
    return [
        Example(id=e.id, text=e.text, groups=e.groups, label=LABELS[int(good)]) for e, good in out
    ]


def test_rates_and_gaps_by_group_are_those_of_the_tables():
    """Held against statsmodels' Wilson and Newcombe intervals, counted anew."""
    rng = np.random.default_rng(0)
    examples = labelled(900, rng, rate=lambda e: 0.7 if e.groups.get("sex") == "f" else 0.4)
    found, _ = run(examples)
    n = {s: [e for e in examples if e.groups.get("sex") == s] for s in ("f", "m", None)}
    hits = {s: sum(e.label == "positive" for e in some) for s, some in n.items()}
    m = found["favourable_label_rate[sex=f]"]
    low, high = proportion_confint(hits["f"], len(n["f"]), method="wilson")
    assert (m.value.low, m.value.high) == pytest.approx((low, high))
    assert m.used == len(n["f"]) and m.eligible == 900
    low, high = confint_proportions_2indep(
        hits["f"], len(n["f"]), hits["m"], len(n["m"]), method="newcomb"
    )
    gap = found["label_gap[against=rest,sex=f]"]
    assert (gap.value.low, gap.value.high) == pytest.approx((low, high))
    assert gap.value.low > 0.15 and gap.used == len(n["f"]) + len(n["m"])
    assert found["unknown_rate[attribute=sex]"].value.value == len(n[None]) / 900
    assert found["coverage[sex=m]"].value.value == len(n["m"]) / (len(n["f"]) + len(n["m"]))
    share = found["label_rate[label=positive]"].value.value
    assert share == sum(e.label == "positive" for e in examples) / 900
    assert found["label_rate[label=negative]"].value.value == pytest.approx(1 - share)


def test_intersections_are_covered_and_small_ones_refused():
    examples = [
        Example(
            id=str(i),
            text=f"text number {i}",
            label=LABELS[i % 2],
            groups={"sex": "fm"[i % 2], "age": "old" if i < 20 else "young"},
        )
        for i in range(200)
    ]
    found, _ = run(examples)
    assert found["coverage[age=old,sex=f]"].value.value == 0.05
    few = found["favourable_label_rate[age=old,sex=f]"].value
    assert isinstance(few, Absent) and few.code == "too_few" and "10 texts" in few.reason
    assert found["favourable_label_rate[age=young,sex=f]"].value.value == 0.0


def test_lengths_are_compared_by_group():
    examples = [
        Example(id=str(i), text="a" * (20 + 30 * (i % 2) + i % 7), groups={"sex": "fm"[i % 2]})
        for i in range(140)
    ]
    found, _ = run(examples)
    gap = found["length_gap[against=rest,sex=f]"]
    assert gap.value.value == pytest.approx(-30) and gap.value.high < -29
    assert found["length[sex=m]"].value.value == pytest.approx(53)
    assert "characters" in gap.unit
    # Without labels nothing is said of labels.
    assert not [id for id in found if "label" in id]


def mentioning(n, rng, *, muslim=0.5, other=0.5):
    who = ("my muslim friend", "my christian friend", "my jewish friend", "my old friend")
    out = []
    for i in range(n):
        k = i % 4
        good = rng.random() < (muslim if k == 0 else other)
        text = f"{who[k]} wrote letter {i} from town {rng.integers(10**6)}"
        out.append(Example(id=str(i), text=text, label=LABELS[int(good)]))
    return out


def test_an_association_of_terms_and_labels_is_measured_by_group_and_by_term():
    examples = mentioning(800, np.random.default_rng(1), muslim=0.2, other=0.6)
    found, _ = run(examples)
    mine = np.array(["muslim" in e.text for e in examples])
    good = np.array([e.label == "positive" for e in examples])
    expected = good[mine].mean() - good[~mine].mean()
    gap = found["mention_label_gap[axis=religion,group=muslim]"]
    assert gap.value.value == pytest.approx(expected) and gap.value.high < -0.25
    assert found["mention_rate[axis=religion,group=muslim]"].value.value == mine.mean()
    (term,) = [
        m for id, m in found.items() if id.startswith("term_label_gap") and "group=muslim" in id
    ]
    assert term.value.value == pytest.approx(expected) and term.family != gap.family
    hindu = found["mention_label_gap[axis=religion,group=hindu]"].value
    assert isinstance(hindu, Absent) and hindu.code == "empty"


def test_without_an_association_a_family_holds_one_in_one_data_set_of_twenty_at_most():
    """Benjamini and Hochberg over the groups of the axis, as a report does it."""
    alarms, datasets = 0, 200
    for number in range(datasets):
        rng = np.random.default_rng([3, number])
        found, _ = run(mentioning(160, rng))
        ps = [
            min(
                1.0,
                2
                * min(
                    stats.p_beyond(stats.for_judging(m.value), 0.0, side)
                    for side in ("above", "below")
                ),
            )
            for id, m in found.items()
            if id.startswith("mention_label_gap") and isinstance(m.value, Estimate)
        ]
        assert len(ps) == 3
        alarms += bool((stats.benjamini_hochberg(ps) <= 0.05).any())
    low = binomtest(alarms, datasets).proportion_ci(0.95, method="exact").low
    assert low <= 0.05, f"{alarms} of {datasets}"


def test_the_words_of_an_axis_are_counted_once_a_text():
    said = spoken(["a jew and a jew", "nothing", ("a jew", "a muslim")], "religion")
    assert said.groups["jewish"].tolist() == [True, False, True]
    assert said.terms["muslim", "Muslim"].tolist() == [False, False, True]
    assert said.clear.all()


def test_leaked_texts_of_a_published_set_are_found_and_shown():
    """SMS Spam Collection as split by its users: 145 test texts occur in the training file."""
    test, train = (
        [
            Example(id=f"{file}{i}", text=r["text"], label=LABELS[int(r["label"])])
            for i, r in enumerate(realdata.rows("sms_spam", f"{file}.jsonl"))
        ]
        for file in ("test", "train")
    )
    found, cases = run(test, train=train)
    m = found["leak_rate[corpus=train,how=same]"]
    rows = cases["leak_rate[corpus=train,how=same]"]
    leaked = {e.text for e in test} & {e.text for e in train}
    assert set(rows.before) == leaked and len(leaked) == 145
    assert m.budget.startswith("145 different texts; ")
    # 164 rows hold those 145 texts.
    assert len(rows) == sum(e.text in leaked for e in test) == 164
    assert m.value.value == 164 / len(test)
    assert rows.after == rows.before and not np.any(rows.flipped)
    near = cases["leak_rate[corpus=train,how=near]"]
    assert len(near) == 30 and all(a != b for a, b in zip(near.before, near.after, strict=True))
    assert "of train" in near.note[0]
    # Normalisation is said beside the number.
    assert "letter case, white space and punctuation" in m.budget


def test_copies_within_the_set_are_counted_from_the_second_on():
    long = "we waited for an hour until somebody brought the wrong soup to our table"
    given = texts(long, "short and good", long, long.upper(), long.replace("wrong", "wrung"))
    found, cases = run(given)
    for how in ("same", "normalised", "near"):
        assert found[f"duplicate_rate[how={how}]"].value.value == pytest.approx(1 / 5)
        assert len(cases[f"duplicate_rate[how={how}]"]) == 1
    assert cases["duplicate_rate[how=near]"].after == [long]
    assert "leak_rate[corpus=train,how=same]" not in found


def test_equal_texts_with_other_labels_are_conflicts_and_near_ones_are_not():
    long = "we waited for an hour until somebody brought the wrong soup to our table"
    given = [(long, 0), (f" {long.title()}", 1), (long.replace("wrong", "right"), 1), ("else", 0)]
    examples = [Example(id=str(i), text=t, label=LABELS[k]) for i, (t, k) in enumerate(given)]
    examples.append(Example(id="unlabelled", text=long))
    m = run(examples)[0]["label_conflict_rate"]
    assert m.value.value == 2 / 4 and m.used == 4


def test_annotators_disagreement_is_measured_where_votes_are_given():
    votes = ("yes|yes|no", "no|no|no", "yes", "", "no|yes")
    examples = [
        Example(id=f"{k}-{i}", text=f"{k} {i}", groups={"votes": v, "sex": "fm"[k % 2]})
        for k in range(40)
        for i, v in enumerate(votes)
    ]
    found, _ = run(examples, DataAudit(axes=("religion",), votes=("votes",)))
    assert found["disagreement"].value.value == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["disagreement"].used == 120
    assert found["disagreement[sex=f]"].value.value == pytest.approx((2 / 3 + 0 + 1) / 3)
    # A column of votes is no group.
    assert not [id for id in found if "votes" in id]
    separate = [
        Example(id=str(i), text=f"text {i}", groups={"ann": "yes", "bob": "yes" if i % 4 else "no"})
        for i in range(80)
    ]
    found, _ = run(separate, DataAudit(axes=("religion",), votes=("ann", "bob")))
    assert found["disagreement"].value.value == pytest.approx(0.25)
    with pytest.raises(ConfigError, match="should hold votes"):
        run(separate, DataAudit(votes=("anne",)))


def test_the_corpus_may_say_which_columns_are_votes():
    votes = (("yes", "yes", "no"), ("no", "no", "no"), ("yes",), ())
    examples = [
        Example(id=f"{k}-{i}", text=f"{k} {i}", votes=v)
        for k in range(20)
        for i, v in enumerate(votes)
    ]
    found, _ = run(examples, FEW)
    gap = found["disagreement"]
    assert gap.value.value == pytest.approx((2 / 3 + 0) / 2) and gap.used == 40
    assert [(s.reason, s.count) for s in gap.left_out] == [("fewer than two votes", 40)]
    assert "disagreement" not in run([replace(e, votes=()) for e in examples], FEW)[0]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("plain, with a tab\t and a line\r\nend", set()),
        ("café, naïve, „Straße“, Ærø, señor", set()),
        ("今天天气很好，我们去公园吧", set()),
        ("семья 👩‍👩‍👧 می‌روم", set()),
        ("lost \ufffd letter", {"replacement"}),
        ("café".encode().decode("latin-1"), {"mojibake"}),
        ("it’s “so”".encode().decode("cp1252", "replace"), {"mojibake", "replacement"}),
        ("naïve – yes".encode().decode("cp1252"), {"mojibake"}),
        ("a\x00b", {"control"}),
        ("a\u200bb \u202egnp.exe", {"invisible"}),
        (r"half \ud83d an emoji", {"surrogate"}),
        ("Q&amp;A &#8217;", {"markup"}),
        ("AT&T & co; R&D;", set()),
    ],
)
def test_damage_is_told_from_what_only_looks_foreign(text, kinds):
    assert oddities(text) == kinds


def test_every_kind_of_damage_is_counted():
    found, _ = run(texts(*["clean text"] * 3, "Q&amp;A"))
    assert found["oddity_rate[kind=markup]"].value.value == 0.25
    assert {f"oddity_rate[kind={kind}]" for kind in KINDS} <= set(found)


def test_clusters_widen_the_intervals_and_shared_ones_are_leaks():
    rng = np.random.default_rng(5)
    plain = labelled(400, rng)
    # Ten texts of a cluster have one label.
    alike = [
        Example(id=e.id, text=e.text, groups=e.groups, label=plain[i // 10].label, cluster=f"c{i // 10}")
        for i, e in enumerate(plain)
    ]  # fmt: skip
    free = [Example(id=e.id, text=e.text, groups=e.groups, label=e.label) for e in alike]
    name = "label_rate[label=positive]"
    wide, narrow = run(alike)[0][name].value, run(free)[0][name].value
    assert wide.value == narrow.value
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    theirs = [Example(id="x", text="something else", label="positive", cluster="c3")]
    m = run(alike, train=theirs)[0]["cluster_overlap[corpus=train]"]
    assert m.value.value == 10 / 400


def test_label_changing_pairs_of_a_published_set_are_nobodys_invariants():
    """Counterfactually augmented reviews: a pair differs in few words and in its label."""
    rows = realdata.rows("cad_imdb", "test.jsonl")
    known = {}
    for r in rows:
        known.setdefault(r["pair_id"], []).append(r)
    pairs = sorted(p for p, two in known.items() if len(two) == 2)[:60]
    examples = [
        Example(
            id=f"{p}-{r['is_original']}",
            text=r["text"],
            label=LABELS[int(r["label"])],
            cluster=str(p),
        )
        for p in pairs
        for r in known[p]
    ]
    truth = {e.text: e.label == "positive" for e in examples}
    assert len(truth) == 120
    assert all(a["label"] != b["label"] for a, b in map(known.get, pairs))

    class Right(Lexicon):
        """Right on every review of the set; of one that a probe has edited, a little unsure."""

        def probabilities(self, given):
            p = np.array([truth.get(t, 0.6) for t in given], dtype=float)
            return np.stack([1 - p, p], axis=1)

    own = {e.id: e.text for e in examples}
    seen = 0
    for name in ("swaps", "typos", "noise"):
        on = bench(examples, model=Right(), probe=name)
        for fact in make_probe(name).run(on):
            if isinstance(fact, Cases):
                for id, before, after in zip(fact.example_id, fact.before, fact.after, strict=True):
                    # A text is only ever held against an edit of itself, never against its pair.
                    assert before == own[id] and (after == before or after not in truth)
                    seen += 1
    assert seen > 100
    # A model that follows the edit is right, and nothing says otherwise.
    rates = {m.id: m.value for m in GroupRates().run(_with_group(examples, Right()))}
    assert rates["group_rates.accuracy"].value == 1.0
    on = bench(examples, model=Right(), probe="slices")
    weak = next(m for m in Slices(min_n=10).run(on) if m.id == "slices.weak_share")
    assert weak.value.value == 0.0
    # Near copies they are; but the file says that they belong together, and they contradict nobody.
    found, _ = run(examples)
    assert found["duplicate_rate[how=near]"].value.value == 0.0
    assert found["label_conflict_rate"].value.value == 0.0
    loose = [Example(id=e.id, text=e.text, label=e.label) for e in examples]
    found, _ = run(loose)
    assert found["duplicate_rate[how=near]"].value.low > 0.0
    assert found["label_conflict_rate"].value.value == 0.0


def _with_group(examples, model):
    given = [
        Example(
            id=e.id, text=e.text, label=e.label, cluster=e.cluster, groups={"half": "ab"[i % 2]}
        )
        for i, e in enumerate(examples)
    ]
    return bench(given, model=model, probe="group_rates")


def test_chinese_comments_are_measured_by_the_gender_of_their_authors():
    """SWSR: Weibo comments with self-declared gender; group metrics, slices and data, no swaps."""
    rows = realdata.rows("swsr", "train.jsonl")

    class Characters(Lexicon):
        """Trained on the first 3,000 comments, by single characters and every two."""

        def __init__(self):
            from sklearn.feature_extraction.text import HashingVectorizer
            from sklearn.linear_model import LogisticRegression

            super().__init__()
            self.of = HashingVectorizer(analyzer="char", ngram_range=(1, 2), n_features=2**15)
            self.fitted = LogisticRegression(max_iter=300)
            self.fitted.fit(
                self.of.transform([r["text"] for r in rows[:3000]]),
                [int(r["label"]) for r in rows[:3000]],
            )

        def probabilities(self, given):
            return self.fitted.predict_proba(self.of.transform(list(given)))[:, ::-1]

    examples = [
        Example(
            id=str(r["id"]),
            text=r["text"],
            label=LABELS[1 - int(r["label"])],
            groups={"gender": r["author_gender"]} if r["author_gender"] else {},
        )
        for r in rows[3000:]
    ]
    model = Characters()
    rates = {m.id: m for m in GroupRates().run(bench(examples, model=model, probe="group_rates"))}
    for who in ("female", "male"):
        m = rates[f"group_rates.accuracy[gender={who}]"]
        assert m.used > 300 and m.value.low > 0.6
        gap = rates[f"group_rates.selection_rate_gap[against=rest,gender={who}]"]
        assert isinstance(gap.value, Estimate)
    found, _ = run(examples, train=texts(*(r["text"] for r in rows[:3000]), prefix="train"))
    for metric in ("label_gap", "length_gap"):
        assert isinstance(found[f"{metric}[against=rest,gender=female]"].value, Estimate)
    shares = [found[f"leak_rate[corpus=train,how={how}]"].value for how in ("same", "near")]
    assert all(isinstance(s, Estimate) for s in shares)
    on = bench(examples, model=model, probe="slices")
    suspect = next(m for m in Slices().run(on) if m.id == "slices.suspect_gap")
    assert isinstance(suspect.value, Estimate)
    assert int(suspect.budget.split()[0].replace(",", "")) > 50


class Several(Lexicon):
    labels = ("a", "b", "c")
    head = "multi"

    def probabilities(self, given):
        return np.tile([0.9, 0.1, 0.9], (len(given), 1))


def test_multi_label_and_pair_inputs_are_audited():
    examples = [
        Example(
            id=str(i),
            text=f"the question {i % 70} was asked again by somebody",
            second=f"a muslim answered it at length {i % 70}",
            label=("a", "c") if i % 2 else (),
            groups={"sex": "fm"[i % 2]},
        )
        for i in range(140)
    ]
    found, cases = run(examples, model=Several(), labels=Several.labels, head="multi")
    assert found["label_rate[label=c]"].value.value == 0.5
    assert found["label_rate[label=b]"].value.value == 0.0
    assert found["duplicate_rate[how=same]"].value.value == 0.5
    assert found["mention_rate[axis=religion,group=muslim]"].value.value == 1.0
    assert "\n" in cases["duplicate_rate[how=same]"].before[0]
    planned = FEW.plan(bench(examples, model=Several(), labels=Several.labels, head="multi"))
    assert {f"data_audit.{id}" for id in found} == set(planned.claims)
    assert planned.queries == 2 * sum(len(c) for c in cases.values()) > 100


def test_a_corpus_to_search_for_leaks_must_be_there():
    with pytest.raises(ConfigError, match="no other corpus"):
        run(texts("a"), DataAudit(against=("training",)), train=texts("b", prefix="x"))
    with pytest.raises(ConfigError, match="no other corpus"):
        run(texts("a"), DataAudit(against=("test",)))


def test_an_empty_corpus_gives_reasons():
    found, cases = run([])
    assert found and not cases
    assert all(isinstance(m.value, Absent) for m in found.values())

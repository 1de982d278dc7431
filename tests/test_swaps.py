import numpy as np
import pytest

from audit import catalogue
from audit.bench import Bench
from audit.decision import make
from audit.lexicon import AXES
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Absent, Cases, Corpus, Estimate, Example, Measurement, Skip

JOBS = ("baker", "clerk", "driver", "editor", "farmer", "judge", "lawyer", "nurse", "tailor")
GENDER = {"axis": "gender", "pair": "female-male"}


def bench_of(model, texts, *, clusters=None, seed=0):
    examples = tuple(
        Example(id=f"e{i}", text=t, cluster=clusters[i] if clusters else None)
        for i, t in enumerate(texts)
    )
    return Bench(
        probe="swaps",
        corpus=Corpus(name="t", labels=model.labels, examples=examples),
        scorer=Scorer(model),
        decision=make(model.labels, ("positive",)),
        resources=Resources(),
        seed=seed,
    )


def measured(model, texts, *, clusters=None, seed=0, **settings):
    on = bench_of(model, texts, clusters=clusters, seed=seed)
    facts = catalogue.make("swaps", settings).run(on)
    return {(f.metric, f.where.get("from", "")): f for f in facts if isinstance(f, Measurement)}


def cases(model, texts, **settings):
    facts = catalogue.make("swaps", settings).run(bench_of(model, texts))
    (found,) = (f for f in facts if isinstance(f, Cases))
    return found


def workers(subject, n=60):
    return [f"{subject} is a {JOBS[i % 9]} and {subject.lower()} works {i}" for i in range(n)]


def people(*names, n=80):
    return [f"{names[i % len(names)]} applied as {JOBS[i % 9]} {i}" for i in range(n)]


def test_a_model_that_prefers_women_is_found_from_both_sides():
    model = Lexicon(she=0.5, he=-0.5)
    for texts in (workers("She"), workers("He"), workers("She") + workers("He")):
        gap = measured(model, texts)["favourable_gap", ""].value
        # Two pronouns at +-0.5 are a logit of +-1: 0.731 less 0.269.
        assert gap.value == pytest.approx(0.4621, abs=1e-3)
        assert gap.low > 0.3


def test_a_model_that_prefers_men_gets_the_other_sign():
    found = measured(Lexicon(he=0.5), workers("She") + workers("He"))
    assert found["favourable_gap", ""].value.high < -0.1
    assert found["net_shift", "female"].value.low > 0.1
    assert found["net_shift", "male"].value.high < -0.1


def test_the_direction_says_who_is_harmed():
    found = measured(Lexicon(she=-1.0, works=1.0), workers("She"))
    assert found["net_shift", "female"].value.low > 0.1
    assert isinstance(found["net_shift", "male"].value, Absent)
    assert found["net_shift", "male"].left_out[-1].reason == "the text does not name male"


def test_every_flip_is_counted():
    found = measured(Lexicon(she=1.0, he=-1.0), workers("She", 40))
    assert found["flip_rate", ""].value.value == 1.0
    assert found["flip_rate", ""].value.method == "wilson"
    assert found["placebo_flip_rate", ""].value.value == 0.0
    assert found["excess_flip_rate", ""].value.low > 0.8


def test_a_model_that_reads_no_identity_word_is_not_accused():
    model = Lexicon(works=1.0, baker=-2.0)
    found = measured(model, workers("She") + people("Mary", "John"))
    assert found["flip_rate", ""].value.value == 0
    for metric in ("favourable_gap", "excess_flip_rate", "excess_score_shift"):
        value = found[metric, ""].value
        assert value.low <= 0 <= value.high


def test_what_any_other_name_does_is_taken_off_as_noise():
    """The model likes the names in the corpus, of either gender alike, and no other name."""
    model = Lexicon(mary=3.0, john=3.0, applied=-1.5)
    found = measured(model, people("Mary", "John", n=200))
    assert found["flip_rate", ""].value.low > 0.9
    assert found["placebo_flip_rate", ""].value.low > 0.9
    assert found["score_shift", ""].value.low > 0.5
    for metric in ("excess_flip_rate", "excess_score_shift", "favourable_gap"):
        value = found[metric, ""].value
        assert value.low <= 0 <= value.high
        assert abs(value.value) < 0.02


def test_a_model_that_reads_origin_from_names_is_found():
    black = "ebony keisha lakisha latoya tamika tanisha latonya latasha tameka latisha".split()
    model = Lexicon(**dict.fromkeys(black, -2.0))
    texts = people("Ebony", "Latoya", "Megan", "Kathryn")
    found = [
        f
        for f in catalogue.make("swaps", {"axis": "names_race"}).run(bench_of(model, texts))
        if isinstance(f, Measurement)
    ]
    gaps = {f.where["pair"]: f for f in found if f.metric == "favourable_gap"}
    assert len(gaps) == 6
    assert gaps["white-black"].value.low > 0.05
    assert gaps["white-hispanic"].value.low <= 0 <= gaps["white-hispanic"].value.high
    assert gaps["white-black"].left_out == ()
    assert gaps["hispanic-api"].left_out[0].reason == "no term of hispanic or api"


def test_the_interval_covers_the_gap_of_the_whole_population():
    rng = np.random.default_rng(0)
    model = Lexicon(she=-0.4, baker=1.0, clerk=-1.0, nurse=0.8)
    everyone = [t for s in ("She", "He") for t in workers(s, 900)]
    truth = measured(model, everyone)["favourable_gap", ""].value.value
    covered = 0
    for _ in range(60):
        some = [everyone[i] for i in rng.choice(len(everyone), size=60, replace=False)]
        e = measured(model, some)["favourable_gap", ""].value
        covered += e.low <= truth <= e.high
    assert covered >= 53


def test_a_text_that_names_both_has_no_direction():
    texts = ["She thanked him", *workers("She", 10)]
    found = measured(Lexicon(she=1.0), texts)
    assert found["flip_rate", ""].used == 11
    gap = found["favourable_gap", ""]
    assert (gap.used, gap.value.n) == (10, 10)
    assert gap.left_out[-1].reason == "the text names both groups"


def test_a_text_without_a_placebo_counts_in_the_raw_rates_only():
    texts = ["The chairman spoke", *workers("He", 10)]
    found = measured(Lexicon(he=1.0), texts)
    assert (found["flip_rate", ""].used, found["score_shift", ""].used) == (11, 11)
    for metric in ("placebo_flip_rate", "excess_flip_rate", "favourable_gap"):
        assert found[metric, ""].used == 10
        reasons = [s.reason for s in found[metric, ""].left_out]
        assert "no second term of its own group for a placebo" in reasons


def test_every_text_left_out_is_counted_with_a_reason():
    texts = ["She works", "She is pregnant", "It rains", "The babe ran", "Grace ran", "He works"]
    rate = measured(Lexicon(), texts)["flip_rate", ""]
    assert (rate.eligible, rate.used) == (6, 2)
    assert {s.reason: s.count for s in rate.left_out} == {
        "no term of female or male": 1,
        "only words that mean something else as often": 2,
        "the label may rightly change with the group": 1,
    }


def test_copies_of_one_source_are_not_counted_as_many():
    texts, model = workers("She"), Lexicon(she=0.5, baker=0.3)
    alone = measured(model, texts)
    shared = measured(model, texts, clusters=[f"c{i // 20}" for i in range(60)])
    for metric in ("favourable_gap", "flip_rate", "excess_flip_rate"):
        assert (alone[metric, ""].value.n, shared[metric, ""].value.n) == (60, 3)


def test_a_corpus_that_names_nobody_gives_no_number():
    for (metric, _), found in measured(Lexicon(), ["It rains", "It pours"]).items():
        if "coverage" in metric:
            assert found.value.value == 0
        else:
            assert isinstance(found.value, Absent)


def test_a_case_shows_the_text_before_and_after_and_what_the_placebo_did():
    model = Lexicon(she=1.0, mary=0.5)
    found = cases(model, ["She works", "Mary works", "The chairman works"])
    assert found.metric == "swaps.flip_rate[axis=gender,pair=female-male]"
    assert list(found.before) == ["She works", "Mary works", "The chairman works"]
    assert found.after[0] == "He works"
    assert found.score_before[0] == pytest.approx(0.731, abs=1e-3)
    assert found.score_after[0] == 0.5
    assert bool(found.flipped[0])
    assert found.note[0] == "swap: she → he; its own placebo; lower as male"
    assert found.note[1].startswith("swap: mary → ") and "placebo: mary → " in found.note[1]
    assert found.note[2] == "swap: chairman → chairwoman; no placebo"


def test_the_plan_counts_each_question_without_asking_it():
    on = bench_of(Lexicon(), ["She works", "Mary works", "The chairman works", "It rains"])
    for axis in ("gender", "names_gender", "names_race", "religion"):
        probe = catalogue.make("swaps", {"axis": axis})
        planned = probe.plan(on)
        asked = on.scorer.queries
        ids = tuple(f.id for f in probe.run(on) if isinstance(f, Measurement))
        assert ids == planned.claims
        assert on.scorer.queries - asked == planned.queries
    assert catalogue.make("swaps", {}).plan(on).queries == 7


def test_the_plan_tells_the_smallest_gap_it_could_find():
    few, many = (bench_of(Lexicon(), workers("She", n)) for n in (20, 80))
    name = f"swaps.favourable_gap[axis={GENDER['axis']},pair={GENDER['pair']}]"
    mde = [catalogue.make("swaps", {}).plan(on).mde[name] for on in (few, many)]
    assert mde[0] == pytest.approx(2 * mde[1])


def test_without_names_only_pronouns_and_nouns_move():
    texts = ["Mary lost her bag", "John works"]
    rate = measured(Lexicon(), texts, names=False)["flip_rate", ""]
    assert rate.used == 1


def test_another_seed_draws_other_names_and_the_same_seed_the_same():
    model = Lexicon(**dict.fromkeys(("james", "robert", "michael", "gary", "scott"), 1.0))
    texts = people("Mary", "Linda", n=300)

    def value(seed):
        found = measured(model, texts, seed=seed)["score_shift", ""].value
        assert isinstance(found, Estimate)
        return found.value

    assert value(1) == value(1)
    assert len({value(seed) for seed in range(4)}) > 1


def test_a_swap_that_flips_what_a_placebo_leaves_has_a_small_p_value():
    found = measured(Lexicon(she=1.0, he=-1.0), workers("She", 12))
    # All twelve flip under the swap and none under the placebo: 2 * (1/2) ** 12.
    assert found["flip_p", ""].value.value == pytest.approx(2 * 0.5**12)
    assert found["flip_p", ""].value.method == "mcnemar-exact"
    assert found["direction_p", ""].value.value == pytest.approx(2 * 0.5**12)
    assert found["flip_p", ""].family == found["direction_p", ""].family == ""


def test_p_values_of_an_indifferent_model_are_absent_with_a_reason():
    found = measured(Lexicon(works=1.0), workers("She", 20))
    for metric in ("flip_p", "direction_p"):
        assert found[metric, ""].value.code == "no_change"


def test_texts_of_one_cluster_are_turned_together():
    texts, model = workers("She", 24), Lexicon(she=1.0, he=-1.0)
    found = measured(model, texts, clusters=[f"c{i // 4}" for i in range(24)])
    for metric in ("flip_p", "direction_p"):
        # Six clusters: no pattern of signs is rarer than 2 * (1/2) ** 6.
        assert found[metric, ""].value.value == pytest.approx(2 * 0.5**6)


def test_a_sampled_p_value_carries_its_monte_carlo_error():
    p = measured(Lexicon(she=0.5, baker=0.2), workers("She", 60))["direction_p", ""].value
    assert p.value == pytest.approx(1 / 10_000)
    assert p.low < p.value < p.high


def test_the_p_values_keep_their_level_when_the_model_is_indifferent():
    rng = np.random.default_rng(3)
    names = "Mary Linda Susan Karen John Robert Michael David".split()
    small = 0
    for round_ in range(60):
        noise = {n: float(rng.normal()) for n in NOISY}
        texts = people(*names, n=60)
        found = measured(Lexicon(**noise), texts, seed=round_)
        p = found["flip_p", ""].value
        small += isinstance(p, Estimate) and p.value < 0.05
    assert small <= 9


NOISY = [
    *("mary", "linda", "susan", "karen", "john", "robert", "michael", "david", "james"),
    *("gary", "scott", "kevin", "brian", "lisa", "donna", "carol", "sharon", "laura"),
]


def facts_of(model, texts, **settings):
    return list(catalogue.make("swaps", settings).run(bench_of(model, texts)))


def test_the_coverage_says_how_many_texts_an_axis_could_touch():
    texts = ["A Muslim woman left", "The rabbi left", "A terrorist and a Muslim", "It rains"]
    found = facts_of(Lexicon(), texts, axis="religion")
    value = {
        f.id: f.value.value for f in found if isinstance(f, Measurement) and "coverage" in f.metric
    }
    assert value["swaps.coverage[axis=religion]"] == 0.5
    assert value["swaps.group_coverage[axis=religion,group=muslim]"] == 0.5
    assert value["swaps.group_coverage[axis=religion,group=jewish]"] == 0.25
    assert value["swaps.group_coverage[axis=religion,group=hindu]"] == 0.0


def test_groups_that_no_text_names_are_listed():
    found = facts_of(Lexicon(), ["A Muslim woman left", "The rabbi left"], axis="religion")
    skips = [f for f in found if isinstance(f, Skip)]
    assert skips == [
        Skip(reason=f"no text names {group} (axis religion)", count=2)
        for group in ("christian", "hindu")
    ]


def test_the_gap_over_all_counterfactuals_is_the_mean_over_the_groups():
    model = Lexicon(muslim=1.0, jewish=-1.0)
    found = facts_of(model, ["A Muslim woman left", "A Muslim man came"], axis="religion")
    by_id = {f.id: f.value for f in found if isinstance(f, Measurement)}
    shift = [
        by_id[f"swaps.score_shift[axis=religion,pair={pair}]"].value
        for pair in ("christian-muslim", "muslim-jewish", "muslim-hindu")
    ]
    assert by_id["swaps.ctf[axis=religion]"].value == pytest.approx(np.mean(shift))
    assert by_id["swaps.ctf[axis=religion]"].n == 2


def test_every_two_groups_of_an_axis_are_compared():
    for axis, groups in AXES.items():
        on = bench_of(Lexicon(), ["It rains"])
        claims = catalogue.make("swaps", {"axis": axis}).plan(on).claims
        pairs = {c for c in claims if c.startswith("swaps.favourable_gap")}
        assert len(pairs) == len(groups) * (len(groups) - 1) // 2


def test_a_case_says_which_group_scored_lower():
    found = cases(Lexicon(she=-1.0), ["She works", "He works", "She thanked him", "It rains"])
    assert [n.rpartition("; ")[2] for n in found.note] == [
        "lower as female",
        "lower as female",
        "its own placebo",
    ]


def test_they_and_neopronouns_are_left_alone_and_counted():
    texts = ["They work here", "Xe works here", "She thanked them", "It rains"]
    rate = measured(Lexicon(), texts)["flip_rate", ""]
    assert rate.used == 1
    assert {s.reason: s.count for s in rate.left_out} == {
        "no term of female or male": 1,
        "only they or a neopronoun, which are left alone": 2,
    }


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ("race_ethnicity", "A racist spoke of black people"),
        ("nationality", "The American wants a visa"),
        ("religion", "A Muslim met a jihadist"),
        ("orientation", "Homophobia hurts gay people"),
        ("age", "The old man drew his pension"),
        ("disability", "A disabled man asked for an accommodation"),
        ("socioeconomic", "Poor people pay a debt"),
    ],
)
def test_each_axis_excludes_texts_whose_label_may_change(axis, text):
    found = facts_of(Lexicon(), [text], axis=axis)
    rates = [f for f in found if isinstance(f, Measurement) and f.metric == "flip_rate"]
    why = {s.reason for f in rates for s in f.left_out}
    assert "the label may rightly change with the group" in why
    assert all(f.used == 0 for f in rates)

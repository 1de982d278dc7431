"""The catalogues: the same keys and slots in every language, nothing said that must not be said."""

import ast
import re
import tomllib
from dataclasses import replace
from itertools import chain, product
from pathlib import Path

import pytest
import report_fixture as fixture
from test_report import Page, banned

from audit import advice as advising
from audit import catalogue
from audit.bench import Bench
from audit.decision import make
from audit.errors import Unsupported
from audit.figures import humanise
from audit.findings import _ADVICE, _OTHER_ADVICE
from audit.report import render
from audit.report._catalogue import (
    LANGUAGES,
    Said,
    Words,
    chinese_of,
    english,
    say,
    shown_name,
    written,
)
from audit.report._methods import definition, interval_words
from audit.report._wording import duration, when
from audit.resources import Resources
from audit.scorer import Scorer
from audit.shipped import shipped
from audit.testing import Lexicon
from audit.types import Absent, ClaimChange, Corpus, Example, Measurement, Skip

FOLDER = shipped("templates") / "messages"
SLOT = re.compile(r"\{(\w+)\}")


def read(name):
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def flat(table, before=""):
    for key, value in table.items():
        if isinstance(value, str):
            yield before + key, (value,)
        elif "other" in value:
            yield before + key, tuple(value.values())
        else:
            yield from flat(value, f"{before}{key}.")


WORDS = {name: dict(flat(read(name))) for name in LANGUAGES}


def test_every_language_has_the_same_keys_with_the_same_slots():
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for key, forms in WORDS["en"].items():
        slots = {frozenset(SLOT.findall(form)) for form in forms + WORDS["zh"][key]} - {frozenset()}
        # A plural's form for one may leave the number out.
        assert len(slots) <= 1 or key in ("headline.all", "date.day"), key


def test_every_key_that_is_used_is_there():
    code = "".join(
        p.read_text("utf-8") for p in Path(render.__code__.co_filename).parent.glob("*.py")
    )
    code += "".join(p.read_text("utf-8") for p in shipped("templates").glob("*.j*"))
    asked = set(re.findall(r"\"([a-z_]+(?:\.[a-z0-9_]+)+)\"", code)) | set(
        re.findall(r"\b(?:t|zh|en|say)\(\"([a-z_0-9.]+)\"", code)
    )
    known = set(WORDS["en"])
    heads = {k.partition(".")[0] for k in known}
    missing = {k for k in asked if "." in k and k.partition(".")[0] in heads and k not in known}
    # A key that ends so is put together with what follows.
    files = (".toml", ".html", ".js", ".css", ".", "_")
    assert {k for k in missing if not k.endswith(files)} == set()


def test_plurals_numbers_and_days_follow_the_language():
    assert english(say("case.count", n=1)) == "1 case"
    assert english(say("case.count", n=1_200)) == "1,200 cases"
    assert written("zh", say("case.count", n=1)) == "1 个案例"
    assert english(say("headline.fail", n=Words(3))) == "three fail"
    assert written("zh", say("headline.fail", n=Words(3))) == "3 项未通过"
    assert english(when("2026-11-03")) == "3 November 2026"
    assert written("zh", when("2026-11-03T14:02:11+00:00")) == "2026年11月3日 14:02:11 UTC"
    assert when("next spring") == "next spring"
    assert written("zh", duration(269)) == "4 分钟"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_catalogue_says_a_banned_word(language):
    for key, forms in WORDS[language].items():
        for form in forms:
            assert banned(SLOT.sub(" ", form)) == [], key


def test_no_sentence_or_method_says_a_banned_word():
    for table in read("sentences").values():
        for pair in table.items():
            for words in pair:
                assert banned(SLOT.sub(" ", words)) == [], words
    methods = read("methods")
    strings = re.findall(r'"([^"]*)"', (FOLDER / "methods.toml").read_text("utf-8"))
    # The titles of papers are names of others.
    titled = {p["source"] for p in [*methods["probes"].values(), *methods["intervals"].values()]}
    for words in strings:
        assert words in titled or banned(words) == [], words


def test_no_page_says_a_banned_word_in_chinese():
    for name, result in fixture.ALL.items():
        if name != "hostile":
            page = Page(render(result()))
            quoted = "".join(page.quoted)
            assert [w for w in banned("".join(page.chinese)) if w not in quoted] == [], name


def test_every_piece_of_advice_has_its_chinese():
    for advice in (*_ADVICE.values(), _OTHER_ADVICE):
        assert chinese_of(advice) is not None, advice


def test_whatever_a_comparison_advises_has_its_chinese():
    shown = fixture.ALL["compared"]().comparison
    better, undecided, worse, _ = shown.changes
    accuracy = replace(
        undecided, measurement="accuracy", better="higher", margin=0.02, primary=True
    )
    claims = tuple(
        ClaimChange(
            claim=f"swaps.flip_rate {word} <= 0.1",
            measurement="swaps.flip_rate",
            before="pass",
            after="fail",
            outcome=word,
        )
        for word in ("new", "resolved")
    )
    said = set()
    for changes in product(
        ((), (better,), (better,) * 7),
        ((), (worse,), (replace(worse, margin=0.01, kept="broken"),)),
        (*((replace(accuracy, kept=k),) for k in ("kept", "undecided")), ()),
        ((), (replace(undecided, margin=0.1, kept="undecided"),)),
    ):
        whole = replace(shown, changes=tuple(chain(*changes)))
        for some in ((), claims):
            for seeds in (1, 2):
                said |= {*advising.advice(replace(whole, claims=some), seeds)}
        said |= {*advising.words(whole.changes, 0.05)}
    unchanged = replace(better, verdict="unchanged")
    said |= {*advising.advice(replace(shown, changes=(unchanged,)))}
    assert len(said) > 30
    assert {one for one in said if chinese_of(one) is None} == set()
    lists = [chinese_of(one.replace("male to female", "x")) for one in said if "Gained" in one]
    assert lists and not any(" to " in one or " more" in one for one in lists)


def test_every_finding_of_the_fixtures_has_its_chinese():
    for name in ("normal", "absent", "crashed"):
        for f in fixture.ALL[name]().findings:
            for words in (f.title, f.criterion, f.effect, f.recommendation):
                assert chinese_of(words) is not None, words


def test_a_sentence_nobody_foresaw_stays_english_and_says_so():
    result = fixture.absent()
    assert chinese_of("an entirely new reason") is None
    run = result.runs[0]
    odd = Absent(code="new", reason="an entirely new reason")
    m = replace(run.measurements[0], value=odd)
    page = render(replace(result, runs=(replace(run, measurements=(m,)), *result.runs[1:])))
    assert '<span class="say" lang="en">an entirely new reason</span>' in page


def test_numbers_and_names_pass_into_the_other_language_untouched():
    said = "the limit is broken beyond the noise (p = 1.7e-11 after Holm over m = 17, alpha 0.05)"
    assert re.findall(r"[\d.e-]*\d", chinese_of(said)) == ["17", "1.7e-11", "0.05"]
    evil = chinese_of("the text does not name <b>&amp;\u202e</b>")
    assert "<b>&amp;" in evil and "\u202e" not in evil


def test_a_bound_at_any_level_has_its_chinese():
    said = chinese_of(
        "Undecided: accuracy[sex=f] may have fallen by more than 0.02 (-0.011, one-sided 97.5 % bound "
        "-0.029)."
    )
    assert said is not None and "单侧 97.5% 置信界 -0.029" in said


def test_a_hostile_sentence_is_not_searched_for_long():
    assert chinese_of("the probe was not run: " + "x" * 5_000) is None


def test_every_shipped_probe_has_its_methods_in_both_languages():
    known = read("methods")["probes"]
    assert set(known) == {*catalogue.names(), "baseline", "review"}
    for name, probe in known.items():
        for key in ("question", "why", "assumes"):
            assert len(probe[key]) == 2 and all(probe[key]), name
        assert probe["source"] and (probe["metrics"] or probe["any"])
        assert chinese_of(humanise(name)) is not None, name
        for metric in probe["metrics"]:
            assert chinese_of(shown_name(metric)) is not None, metric


def test_every_number_of_the_fixtures_says_how_it_was_made():
    for run in fixture.normal().runs:
        for m in run.measurements:
            if hasattr(m.value, "method") and m.value.method != "koopman":
                assert interval_words(m.value.method) is not None, m.value.method
    assert definition("swaps", "flip_rate") is not None
    assert definition("group_rates", "accuracy_omnibus_p") is not None
    assert definition("somebody_elses", "flip_rate") is None


def test_said_is_plain_data():
    assert say("to") == Said("to", {})


def test_what_the_shipped_probes_say_is_known_in_both_languages(spoken):
    """Metrics, units, reasons and methods, as each probe of the catalogue says them when it runs."""
    unknown = sorted(
        words for kind, words in spoken if kind == "said" and chinese_of(words) is None
    )
    assert unknown == []
    assert sorted(m for kind, m in spoken if kind == "method" and interval_words(m) is None) == []
    assert sorted(m for kind, m in spoken if kind == "metric" and definition(*m) is None) == []


@pytest.fixture(scope="module")
def spoken():
    texts = (
        "John said she liked it",
        "Her mother called him",
        "The woman was wrong",
        "Nobody read it",
    )
    corpus = Corpus(
        name="test",
        labels=("negative", "positive"),
        examples=tuple(
            Example(
                id=f"e{i}",
                text=f"{texts[i % 4]} number {i}",
                label=("negative", "positive")[(i // 2) % 2],
                groups={"sex": "female" if i % 2 else "male"} if i % 7 else {},
                cluster=f"c{i // 2}",
                votes=("negative", "positive", "positive") if i % 5 else (),
            )
            for i in range(200)
        ),
        sha256="fixed",
    )
    train = replace(corpus, name="train", examples=corpus.examples[:40])
    found = set()
    small = {
        "attack": {"max_queries": 40, "texts": 4, "min_n": 2},
        "templates": {"suite": "hiring"},
        "impact_ratio": {"reference": {"sex": "male"}},
        "group_rates": {"thresholds": (0.3, 0.6)},
    }
    alone = replace(corpus, examples=tuple(replace(e, cluster=None) for e in corpus.examples))
    for name, one in product(catalogue.names(), (corpus, alone)):
        scorer = Scorer(Lexicon(good=2.0, she=1.0, john=-1.0))
        bench = Bench(
            probe=name,
            corpus=one,
            corpora={"test": one, "train": train},
            scorer=scorer,
            decision=make(scorer.labels, ("positive",)),
            resources=Resources(),
            seed=3,
        )
        try:
            facts = list(catalogue.make(name, small.get(name)).run(bench))
        except Unsupported:
            continue
        for fact in facts:
            if isinstance(fact, Skip):
                found.add(("said", fact.reason))
            elif isinstance(fact, Measurement):
                found.add(("metric", (name, fact.metric)))
                found |= {("said", shown_name(fact.metric)), ("said", fact.unit)}
                found |= {("said", s.reason) for s in fact.left_out}
                if isinstance(fact.value, Absent):
                    found.add(("said", fact.value.reason))
                else:
                    found.add(("method", fact.value.method))
    return found


def test_every_method_in_the_code_is_described():
    """What an interval is said to be made by, where the code names it in full."""
    said = set()
    for path in Path(render.__code__.co_filename).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "")
            if called in ("estimated", "_recalibrated"):
                said |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    methods = {word for word in said if isinstance(word, str)}
    assert len(methods) > 15
    assert sorted(m for m in methods if interval_words(m) is None) == []


def test_every_reason_in_the_code_has_its_chinese():
    """Reasons without a slot, wherever a number is refused or a text left out."""
    said = set()
    for folder in ("audit", "probes"):
        for path in Path(render.__code__.co_filename).parents[2].joinpath(folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                    "Absent",
                    "Skip",
                ):
                    said |= {
                        k.value.value
                        for k in node.keywords
                        if k.arg == "reason" and isinstance(k.value, ast.Constant)
                    }
    assert len(said) > 80 and sorted(s for s in said if chinese_of(s) is None) == []

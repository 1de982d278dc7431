"""The demo's shortcut on women's organisations, as an audit with `reliance` shows it.

The audit is told what any user of it is told: an axis that the suite ships, and how many texts. The
words by which the demo's generator names organisations are its own; the test alone knows them.
"""

import re
from dataclasses import replace

import pytest

from audit import config, runner, sample, training
from audit.demo import SEED, SIZES
from audit.report import render
from audit.report._wordshares import word_shares
from audit.resources import Resources
from audit.shipped import shipped
from audit.text import words
from audit.types import Estimate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    text = (shipped("datasets") / "applicants" / "audit.toml").read_text("utf-8")
    read = config.reads(text)
    corpora = {name: sample.generate(SEED, n, stream_name=name) for name, n in SIZES.items()}
    for name, corpus in corpora.items():
        sample.write(corpus, folder / f"{name}.csv")
    training.train(
        read.train,
        corpora["train"],
        corpora["dev"],
        folder / "model",
        encoder=Resources().encoder(),
    )
    asked = config.ProbeConfig(name="reliance", params={"axis": "gender", "texts": 300})
    only = replace(read, probe=(asked,), gate=())
    return runner.run(only, folder / "audit", base=folder, audit_file=text)


def test_the_planted_words_carry_the_largest_share_above_other_words(result):
    (run,) = result.runs
    assert not run.error and not run.not_run
    shares = word_shares(run)
    planted = {w.lower for term in sample.planted_terms()["organisations"] for w in words(term)}
    planted |= {word.removesuffix("'s") for word in planted}
    word = shares.terms[0]
    assert word.term in planted
    assert word.share.low > word.placebo.high and word.excess.low > 0
    # A woman's pronouns foretell her organisation, so that a model may lean on them too; nothing
    # planted leans on men's words.
    (person,) = (r for r in shares.kinds if (r.group, r.kind) == ("female", "person"))
    assert person.share.low > person.placebo.high and person.excess.low > 0
    assert not [r for r in shares.kinds if r.group == "male" and r.excess.low > 0]


def test_the_page_says_which_words_carry_most(result):
    _, _, table = re.sub("<[^>]+>", " ", render(result)).partition("Identity words by share")
    first = word_shares(result.runs[0]).terms[0]
    assert f"{first.share.value:.3f}" in table and first.term in table


def test_the_weights_foretell_what_exchanging_the_words_does(result):
    (run,) = result.runs
    (r,) = (m for m in run.measurements if m.metric == "swap_correlation")
    assert isinstance(r.value, Estimate) and r.value.low > 0

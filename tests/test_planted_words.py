"""The demo's shortcut on women's organisations, as an audit with `reliance` shows it.

The audit is told what any user of it is told: an axis that the suite ships, and how many texts. The
words by which the demo's generator names organisations are its own; the test alone knows them.
"""

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
    assert run.error is None and not run.not_run
    shares = word_shares(run)
    planted = {w.lower for term in sample.planted_terms()["organisations"] for w in words(term)}
    planted |= {word.removesuffix("'s") for word in planted}
    # Kinds: a woman's organisation is named by words for persons, kin and roles, by nothing else.
    first = shares.kinds[0]
    assert (first.group, first.kind) == ("female", "person")
    assert first.share.low > first.placebo.high and first.excess.low > 0
    above = {(r.group, r.kind) for r in shares.kinds if r.excess.low > 0}
    assert above <= {("female", kind) for kind in ("person", "kin", "role")}
    # Word by word.
    word = shares.terms[0]
    assert word.term in planted
    assert word.share.low > word.placebo.high and word.excess.low > 0
    # A woman's pronouns foretell her organisation, so a model may lean on them too: but not as far.
    assert word.excess.low > max(r.excess.high for r in shares.terms if r.term not in planted)


def test_the_page_says_which_words_carry_most(result):
    html = render(result)
    assert "Identity words by share" in html
    assert "The words for persons that name the group" in html


def test_the_weights_foretell_what_exchanging_the_words_does(result):
    (run,) = result.runs
    (r,) = (m for m in run.measurements if m.metric == "swap_correlation")
    assert isinstance(r.value, Estimate) and r.value.low > 0

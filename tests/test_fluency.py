"""A causal language model that the user names says which altered texts read oddly."""

import numpy as np
import pytest

from audit import validity
from audit.bench import Bench
from audit.decision import make
from audit.errors import Unsupported
from audit.fluency import Fluency
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Corpus, Example, Measurement
from probes.attack import Attack
from tests.tiny import tiny_writer

SENTENCES = [f"the {a} was really {b} today" for a in ("film", "meal", "trip") for b in
             ("excellent", "splendid", "marvellous", "terrific")]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A causal language model that has read nothing but the sentences."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = tiny_writer(tmp_path_factory.mktemp("causal"), SENTENCES, kind="causal", seed=2)
    module = AutoModelForCausalLM.from_pretrained(place)
    tokenizer = AutoTokenizer.from_pretrained(place)
    rows = [[module.config.bos_token_id, *tokenizer(s)["input_ids"]] for s in SENTENCES]
    ids = torch.tensor(rows)
    steps = torch.optim.Adam(module.parameters(), lr=0.02)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(40):
            steps.zero_grad()
            module(input_ids=ids, labels=ids).loss.backward()
            steps.step()
    module.save_pretrained(place)
    return place


def test_surprise_is_that_of_a_plain_loop_whatever_the_company(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    module = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = ["the film", SENTENCES[3], "", "trip trip trip meal the today really", "the"]
    found = Fluency(folder)(texts)
    for text, (nats, tokens) in zip(texts, found, strict=True):
        ids = torch.tensor([[module.config.bos_token_id, *tokenizer(text)["input_ids"]]])
        with torch.no_grad():
            rows = module(input_ids=ids).logits[0].log_softmax(-1)
        said = -sum(float(rows[i, ids[0, i + 1]]) for i in range(ids.shape[1] - 1))
        assert tokens == ids.shape[1] - 1
        assert nats == pytest.approx(said, abs=1e-4)
    assert found[2].tolist() == [0.0, 0.0]


def test_a_sentence_in_disorder_is_odder_and_its_own_copy_is_not(folder):
    lm = Fluency(folder)
    whole = SENTENCES[0]
    mixed = " ".join(reversed(whole.split()))
    same, odd, nothing = lm.rises([(whole, whole), (whole, mixed), ("", whole)])
    assert same == 1.0 and odd > 3 and np.isinf(nothing)
    pairs = [(whole, whole), (whole, mixed)]
    settings = {"resources": Resources(), "causal_lm": folder, "perplexity": 1.5}
    assert validity.passed(pairs, ["fluency"], **settings) == [True, False]
    assert validity.passed(pairs, [], **settings) == [True, True]
    assert validity.passed([], ["fluency"], resources=Resources()) == []


def test_a_folder_that_holds_no_such_model_is_refused(folder, tmp_path):
    with pytest.raises(Unsupported, match=r"config\.json is missing") as said:
        Fluency(tmp_path)(["a"])
    assert "causal_lm" in said.value.hint
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (broken / name).write_bytes((folder / name).read_bytes())
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(Unsupported, match="does not load"):
        Fluency(broken)(["a"])


def by_metric(**settings):
    scorer = Scorer(Lexicon(really=3.0, the=-1.0))
    bench = Bench(
        probe="attack",
        corpus=Corpus(
            name="test",
            labels=scorer.labels,
            examples=tuple(Example(id=f"e{i}", text=t) for i, t in enumerate(SENTENCES)),
        ),
        scorer=scorer,
        decision=make(scorer.labels, scorer.labels[-1:]),
        resources=Resources(),
    )
    probe = Attack(min_n=1, filters=("fluency",), **settings)
    facts = [f for f in probe.run(bench) if isinstance(f, Measurement)]
    assert sorted(f.id for f in facts) == sorted(probe.plan(bench).claims)
    return {f.metric: f.value for f in facts}


def test_odd_successes_count_as_failures_and_without_a_model_the_rate_is_not_run(folder):
    strict = by_metric(causal_lm=str(folder), perplexity=1.01)
    loose = by_metric(causal_lm=str(folder), perplexity=1e9)
    assert strict["attack_success_rate"].value == loose["attack_success_rate"].value == 1.0
    assert strict["valid_success_rate"].value == 0.0 and strict["valid_success_rate"].n == 12
    assert loose["valid_success_rate"].value == 1.0
    none = by_metric()
    assert none["valid_success_rate"].code == "not_run"
    assert "causal_lm" in none["valid_success_rate"].reason
    assert none["attack_success_rate"].value == 1.0
    with pytest.raises(ValueError, match="at least 1"):
        Attack(perplexity=0.9)
    assert {p.name for p in Attack(causal_lm=str(folder)).files} >= {"config.json"}

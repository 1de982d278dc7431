import numpy as np
import pytest
from tiny import tiny_bert

from audit import model
from audit.cache import RAM, DiskCache
from audit.config import ModelConfig
from audit.errors import ModelError
from audit.scorer import Scorer
from audit.testing import Lexicon

TEXTS = [
    "a good film",
    "a bad film, too long by half and then some",
    "good",
    "An odd one: ½ naïve café 😀",
    "",
    *(f"number {i} was " + "very " * (i % 17) + "long" for i in range(120)),
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    tiny_bert(folder, TEXTS, ("no", "yes"))
    spec = ModelConfig(path=str(folder), device="cpu")
    identity = model.identify(spec)
    return model.load(spec, identity)


def test_a_text_is_paid_for_once():
    lexicon = Lexicon(good=2.0)
    scorer = Scorer(lexicon, batch_size=2)
    first = scorer(["good", "bad", "good"])
    again = scorer(["bad", "good", "new"])
    assert sorted(lexicon.seen) == ["bad", "good", "new"]
    np.testing.assert_array_equal(first[[0, 1]], again[[1, 0]])
    assert (scorer.queries, scorer.forwards) == (6, 3)


def test_nothing_to_score():
    assert Scorer(Lexicon())([]).shape == (0, 2)


class Bent(Lexicon):
    def __init__(self, bend, **more):
        super().__init__()
        self.bend = bend
        for key, value in more.items():
            setattr(self, key, value)

    def probabilities(self, texts):
        return self.bend(super().probabilities(texts))


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (lambda p: p[:, :1], r"shape \(1, 1\) for 1 texts and 2 labels"),
        (lambda p: p * np.nan, "not a finite number"),
        (lambda p: p * 0 + [1.7, -0.7], "outside 0 to 1"),
        (lambda p: p * 0.9, "do not sum to 1"),
    ],
    ids=["shape", "nan", "logits", "sum"],
)
def test_a_classifier_that_breaks_its_contract_is_refused(bend, said):
    with pytest.raises(ModelError, match=said):
        Scorer(Bent(bend))(["x"])


def test_a_multi_label_head_need_not_sum_to_one():
    assert Scorer(Bent(lambda p: p * 0.9, head="multi"))(["x"]).sum() == pytest.approx(0.9)


@pytest.mark.transformers4
def test_batch_size_order_and_padding_change_no_verdict(bert):
    """Last bits may move with a batch's shape; decisions and six digits may not."""
    alone = np.concatenate([bert.probabilities([t]) for t in TEXTS])
    for budget in (1, 64, 100_000):
        for texts in (TEXTS, TEXTS[::-1]):
            scores = Scorer(bert, batch_tokens=budget)(texts)
            scores = scores if texts is TEXTS else scores[::-1]
            np.testing.assert_allclose(scores, alone, atol=1e-6)
            assert (scores.argmax(axis=1) == alone.argmax(axis=1)).all()


@pytest.mark.transformers4
def test_what_the_model_cannot_tell_apart_gets_the_same_bits(bert):
    scorer = Scorer(bert)
    first = scorer(["a good film"])
    later = scorer(["A GOOD   film", *TEXTS])
    np.testing.assert_array_equal(first[0], later[0])


def test_a_text_that_is_cut_is_counted(bert):
    cut = Scorer(bert).truncated(["short", "long " * 500])
    assert cut.tolist() == [False, True]


def test_an_interrupted_call_leaves_a_prefix_and_the_rest_keeps_its_bits(bert, tmp_path):
    whole = Scorer(bert, batch_tokens=64)(TEXTS)
    calls = []

    def stop(n):
        calls.append(n)
        if len(calls) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Scorer(bert, memory=DiskCache(tmp_path / "c.db"), batch_tokens=64, on_scored=stop)(TEXTS)
    resumed = Scorer(bert, memory=DiskCache(tmp_path / "c.db"), batch_tokens=64)
    np.testing.assert_array_equal(resumed(TEXTS), whole)
    assert 0 < resumed.forwards < len(TEXTS)


class Small:
    """Runs out of memory on more than two texts, as a GPU would."""

    labels, fingerprint, batch_tokens = ("a", "b"), "small", 1000

    def __init__(self, most=2):
        self.most = most

    def encode(self, texts):
        return [tuple(map(ord, t)) for t in texts], [False] * len(texts)

    def digest(self, ids):
        return repr(ids).encode()

    def forward(self, batch):
        if len(batch) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return np.tile([0.25, 0.75], (len(batch), 1))

    def probabilities(self, texts):
        return self.forward(self.encode(texts)[0])


def test_a_full_device_halves_the_batch():
    scorer = Scorer(Small())
    assert scorer(["abc", "abd", "abe", "abf", "abg"]).shape == (5, 2)
    assert scorer.forwards == 5


def test_a_device_too_small_for_one_text_says_so():
    with pytest.raises(ModelError, match="out of memory on a single text"):
        Scorer(Small(most=0))(["abc"])


def test_the_memory_knows_no_text(tmp_path):
    scorer = Scorer(Lexicon(), memory=DiskCache(tmp_path / "scores.db"))
    scorer(["a private sentence"])
    for file in tmp_path.iterdir():
        assert b"private" not in file.read_bytes()


def test_another_model_never_sees_these_scores(tmp_path):
    memory = DiskCache(tmp_path / "scores.db")
    Scorer(Lexicon(good=2.0), memory=memory)(["good"])
    other = Lexicon(good=-2.0)
    assert Scorer(other, memory=memory)(["good"])[0, 1] < 0.5
    assert other.seen == ["good"]


@pytest.mark.parametrize("memory", [RAM(), None])
def test_keys_of_different_parts_differ(memory, tmp_path):
    memory = memory or DiskCache(tmp_path / "c.db")
    assert memory.key(b"ab", b"c") != memory.key(b"a", b"bc")


def test_a_damaged_cache_is_a_sentence(tmp_path):
    from audit.errors import AuditError

    (tmp_path / "scores.db").write_bytes(b"not a database" * 100)
    with pytest.raises(AuditError, match="score cache .* cannot be used"):
        DiskCache(tmp_path / "scores.db")


def test_a_folder_in_the_place_of_a_cache_is_named_as_one(tmp_path):
    from audit.errors import AuditError

    with pytest.raises(AuditError, match="is a folder") as said:
        DiskCache(tmp_path)
    assert "scores.db" in said.value.hint

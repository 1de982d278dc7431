"""Copies among texts: every one that a comparison of all with all finds, at a fraction of its cost."""

import time
import tracemalloc

import numpy as np
import pytest
import realdata

from audit.leaks import NEAR, TestTexts, copies, near_copies
from audit.scripts import is_unspaced, script

HAN = "今天天气很好我们一起去公园散步然后回家吃饭看书睡觉明天早上再去学校上课"


def brute(texts, against, threshold, *, within=False, width=5):
    """All pairs compared in full, with folding and shingles written anew."""

    def fold(text):
        kept = "".join(c if c.isalnum() else " " for c in text.casefold())
        return " ".join(kept.split())

    def shingles(text):
        return {text[k : k + width] for k in range(len(text) - width + 1)}

    mine, theirs = [fold(t) for t in texts], [fold(t) for t in against]
    found = {}
    for i, a in enumerate(mine):
        for b in theirs[:i] if within else theirs:
            if a == b:
                similarity = 1.0
            elif min(len(a), len(b)) < 4 * width:
                continue
            else:
                one, other = shingles(a), shingles(b)
                similarity = len(one & other) / len(one | other)
            if similarity >= threshold:
                found[i] = max(found.get(i, 0.0), similarity)
    return found


def jumbled(n, seed, words=60):
    """Texts of few words each, so that many overlap in part."""
    rng = np.random.default_rng(seed)
    vocabulary = ["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(words)]
    texts = []
    for _ in range(n):
        text = " ".join(rng.choice(vocabulary, rng.integers(3, 14)))
        texts.append(text)
        for _ in range(int(rng.integers(0, 3))):
            k = int(rng.integers(len(text)))
            text = text[:k] + str(rng.choice(list("abcxyz"))) + text[k + 1 :]
            texts.append(text)
    return texts


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8, 0.95])
def test_what_is_found_is_what_a_comparison_of_all_with_all_finds(threshold):
    for seed in range(3):
        a, b = jumbled(60, seed), jumbled(60, seed + 100, words=30) + jumbled(40, seed)[::3]
        found = {i: s for i, _, s in near_copies(a, b, threshold=threshold)}
        truth = brute(a, b, threshold)
        assert found.keys() == truth.keys() and len(truth) > 10
        # The nearest one is looked for among candidates; which is near at all, among all.
        assert all(found[i] == pytest.approx(truth[i]) for i in truth)


def test_within_one_set_the_first_of_its_kind_is_no_copy():
    texts = jumbled(150, 7)
    texts += [texts[3].upper(), texts[3]]
    found = copies(texts)
    assert {c.i for c in found} == brute(texts, texts, NEAR, within=True).keys()
    assert all(c.j < c.i for c in found)
    assert [c.how for c in found[-2:]] == ["normalised", "same"]


def test_long_texts_and_pairs_of_texts_are_compared_too():
    rng = np.random.default_rng(0)
    vocabulary = ["".join(rng.choice(list("abcdefghijklmno"), 6)) for _ in range(900)]
    long = [" ".join(rng.choice(vocabulary, 300)) for _ in range(30)]
    edited = [t.replace(t[40:47], "another") for t in long[:10]]
    assert {(i, j) for i, j, _ in near_copies(edited, long)} == {(k, k) for k in range(10)}
    assert brute(edited, long, NEAR).keys() == set(range(10))
    pairs = [(t[:300], t[300:600]) for t in long]
    assert [c.how for c in copies([pairs[2], (pairs[2][0].upper(), pairs[2][1])], pairs)] == [
        "same",
        "normalised",
    ]


def test_a_pair_is_another_where_its_border_is():
    assert copies([("to be", "or not to be")], [("to be or", "not to be")]) == []
    assert copies([("To be,", "or not to be?")], [("to be", "or not to be")])[0].how == "normalised"


def test_texts_without_spaces_are_compared_by_shorter_runs():
    assert is_unspaced(HAN) and not is_unspaced("good 好") and script(HAN) == "Han"
    near, far = HAN.replace("公园", "海边"), HAN[::-1]
    assert not {(0, 0)} & {(i, j) for i, j, _ in near_copies([far], [HAN])}
    ((_, _, similarity),) = near_copies([near], [HAN], threshold=0.7)
    assert similarity == pytest.approx(brute([near], [HAN], 0.7, width=3)[0])
    # By runs of five the same edit would have passed unseen.
    assert not brute([near], [HAN], 0.7)


def test_short_texts_are_only_ever_equal():
    assert near_copies(["thanks a lot dear!"], ["thanks a lot dear ?"]) == [(0, 0, 1.0)]
    assert near_copies(["thanks a lot deer"], ["thanks a lot dear"], threshold=0.2) == []


def test_texts_of_one_cluster_are_not_held_against_each_other():
    text = "the film was a great joy from its beginning to the very end"
    other = text.replace("joy", "toy")
    texts, clusters = [text, other, text, text], ["a", "a", "b", None]
    assert [(c.i, c.j) for c in copies(texts)] == [(1, 0), (2, 0), (3, 0)]
    assert [(c.i, c.j) for c in copies(texts, clusters=clusters)] == [(2, 0), (3, 0)]
    # Three of one cluster, then one of another: the nearest outside is found behind its own.
    again = [other, text, text]
    assert [(c.i, c.j) for c in copies(again, clusters=["b", "a", "a"])] == [(1, 0), (2, 0)]


def test_nothing_and_next_to_nothing():
    assert copies([]) == copies([], []) == copies(["a"], []) == []
    assert copies(["", "  ", "...", "a" * 400, "\ud800 lone surrogate, left as it was found"]) == []
    assert copies(["a" * 400, "a" * 300])[0].similarity == 1.0
    with pytest.raises(ValueError, match="threshold"):
        near_copies(["a"], ["b"], threshold=0.0)


def test_a_training_guard_and_a_search_agree():
    drawn = jumbled(160, 3)
    tests, training = drawn[::2], drawn[1::2] + jumbled(80, 4, words=40)
    guard = TestTexts(tests)
    found = {c.i: c.how for c in copies(training, tests)}
    said = {i: how for i, t in enumerate(training) if (how := guard.holds(t))}
    assert {i: "near" if how == "near" else "equal" for i, how in found.items()} == said
    assert {"near", "equal"} <= set(said.values())


def test_the_145_leaked_texts_of_a_published_set_are_found():
    test = [r["text"] for r in realdata.rows("sms_spam", "test.jsonl")]
    train = [r["text"] for r in realdata.rows("sms_spam", "train.jsonl")]
    found = copies(test, train)
    same = {test[c.i] for c in found if c.how == "same"}
    assert same == set(test) & set(train) and len(same) == 145
    assert all(test[c.i] == train[c.j] for c in found if c.how == "same")
    # More rows than texts: some of the 145 stand in the test file several times.
    assert sum(c.how == "same" for c in found) == sum(t in set(train) for t in test) == 164


def edited(text, rng, how):
    """A near copy as they occur: a slip, a word gone, words put before or behind."""
    words = text.split(" ")
    if how == "slip":
        k = int(rng.integers(5, len(text) - 5))
        return text[:k] + text[k + 1] + text[k] + text[k + 2 :]
    if how == "word gone":
        k = int(rng.integers(len(words)))
        return " ".join(words[:k] + words[k + 1 :])
    return f"RT: {text}" if how == "marked" else text.upper() + " !!!"


def test_planted_copies_are_found_among_twenty_thousand_and_nothing_else_is():
    """50 exact and 50 near copies, 5,000 texts against up to 20,000, in seconds and little memory."""
    rng = np.random.default_rng(5)
    pool = [
        r["text"]
        for name in ("edos", "davidson", "sms_spam")
        for file in ("train.jsonl", "test.jsonl")
        for r in realdata.rows(name, file)
    ]
    pool = [pool[int(k)] for k in rng.permutation(len(pool))]
    # What the sets share by themselves is not planted, and not false: it is taken out first.
    twice = {c.i for c in copies(pool)}
    pool = [t for i, t in enumerate(pool) if i not in twice]
    mine, theirs = pool[:4900], pool[4900:]
    long = [t for t in theirs if 80 <= len(t) <= 280]
    exact = long[:50]
    kinds = ("slip", "word gone", "marked", "shouted")
    near = [edited(t, rng, kinds[k % 4]) for k, t in enumerate(long[50:100])]
    wanted = {4900 + k: long[k] for k in range(100)}
    began = time.perf_counter()
    found = copies(mine + exact + near, theirs)
    seconds = time.perf_counter() - began
    false = [c for c in found if wanted.get(c.i) != theirs[c.j]]
    assert len(theirs) > 14_000 and not false
    assert {c.i for c in found if c.how == "same"} == set(range(4900, 4950))
    missed = [k for k in range(50) if 4950 + k not in {c.i for c in found}]
    # A long word gone from a short text can be more than a fifth of its runs.
    assert len(missed) <= 2 and not any(brute([near[k]], [long[50 + k]], NEAR) for k in missed)
    assert seconds < 20


def test_memory_grows_with_the_texts_not_with_the_pairs():
    """A million pairs of near copies of one template: far from a million pairs in memory."""
    texts = [f"the committee will meet person {a} and person {b} again on the first of may"
             for a in range(40) for b in range(50)]  # fmt: skip
    tracemalloc.start()
    found = copies(texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) > 1900
    assert peak < 400e6

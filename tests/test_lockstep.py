"""Searches side by side give what they give one after another."""

import contextlib
import gc
import random
import signal
import sys
import warnings

import numpy as np
import pytest

from audit.foreign import borrowed_randomness
from audit.lockstep import Failure, run
from audit.seeding import stream


def score(texts):
    """Length and number of a's, so that an answer tells which text it belongs to."""
    return np.array([[len(t), t.count("a")] for t in texts], dtype=float).reshape(-1, 2)


class Counting:
    def __init__(self):
        self.requests = []

    def __call__(self, texts):
        self.requests.append(list(texts))
        return score(texts)


def wanderer(start, steps):
    """A search whose course hangs on every answer and on every global generator."""

    def search(ask):
        text, path = start, []
        for _ in range(steps):
            letter = random.choice("abc") + "xyz"[np.random.randint(3)]
            options = [text + letter, text + letter[::-1] * 2]
            rows = ask(options)
            text = options[int(rows[0, 1] < rows[1, 1] or random.random() < 0.5)]
            path.append((text, rows.tolist()))
        return path

    return search


SEARCHES = [wanderer(f"s{i}", 1 + (i * 7) % 11) for i in range(40)]


def rngs():
    return [stream(5, str(i)) for i in range(len(SEARCHES))]


@pytest.fixture(scope="module")
def one_by_one():
    outcomes = []
    for search, rng in zip(SEARCHES, rngs(), strict=True):
        with borrowed_randomness(rng):
            outcomes.append(search(score))
    return outcomes


@pytest.mark.parametrize("width", [1, 2, 7, 40, 100])
def test_outcomes_are_those_of_a_plain_loop_at_any_width(width, one_by_one):
    found = dict(run(SEARCHES, score, width=width, rngs=rngs()))
    assert [found[i] for i in range(len(SEARCHES))] == one_by_one


def test_the_course_of_a_search_does_hang_on_its_dice(one_by_one):
    other = dict(run(SEARCHES, score, rngs=[stream(6, str(i)) for i in range(len(SEARCHES))]))
    assert sum(other[i] == one_by_one[i] for i in range(len(SEARCHES))) < len(SEARCHES) / 2


def test_torch_dice_belong_to_each_search_too():
    torch = pytest.importorskip("torch")

    def search(ask):
        drawn = []
        for _ in range(4):
            drawn.append(float(torch.rand(())))
            ask(["x"])
        return drawn

    plain = []
    for rng in rngs()[:5]:
        with borrowed_randomness(rng):
            plain.append(search(score))
    before = torch.get_rng_state()
    found = dict(run([search] * 5, score, width=3, rngs=rngs()[:5]))
    assert [found[i] for i in range(5)] == plain
    assert torch.equal(torch.get_rng_state(), before)


def test_the_callers_dice_stay_his_own_and_he_may_throw_them():
    random.seed(1), np.random.seed(1)
    expected = [(random.random(), np.random.rand()) for _ in range(len(SEARCHES))]
    random.seed(1), np.random.seed(1)
    thrown = [
        (random.random(), np.random.rand()) for _ in run(SEARCHES, score, width=4, rngs=rngs())
    ]
    assert thrown == expected


def test_the_scorer_is_asked_on_the_callers_dice():
    random.seed(1)
    before = random.getstate()
    seen = []

    def watching(texts):
        seen.append(random.getstate() == before)
        return score(texts)

    list(run(SEARCHES, watching, width=4, rngs=rngs()))
    assert all(seen)


def test_questions_are_merged_into_as_few_requests_as_the_longest_search_asks():
    model = Counting()
    list(run([wanderer(f"s{i}", 5) for i in range(8)], model, width=8, rngs=rngs()))
    assert [len(r) for r in model.requests] == [16] * 5


def test_a_place_that_falls_free_is_filled_before_the_next_request():
    model = Counting()
    lengths = [1, 4, 4, 3]
    list(run([wanderer(f"s{i}", n) for i, n in enumerate(lengths)], model, width=3, rngs=rngs()))
    assert [len(r) for r in model.requests] == [6, 6, 6, 6]


def test_searches_are_taken_only_when_there_is_room():
    taken = []

    def source():
        for i in range(20):
            taken.append(i)
            yield wanderer(f"s{i}", 1 + i % 4)

    dice = [stream(0, str(i)) for i in range(20)]
    for ended, _ in enumerate(run(source(), score, width=3, rngs=dice), start=1):
        assert len(taken) - ended <= 3


def test_an_exception_ends_its_search_alone():
    def broken(ask):
        ask(["abc"])
        raise ValueError("this text is odd")

    found = dict(run([broken, SEARCHES[1], broken], score, rngs=rngs()))
    assert isinstance(found[0], Failure) and isinstance(found[2], Failure)
    assert str(found[0]) == "ValueError: this text is odd"
    assert not isinstance(found[1], Failure)


def test_a_search_that_asks_nothing_ends_too():
    def refusing(ask):
        raise KeyError("x")

    assert dict(run([lambda ask: 7], score)) == {0: 7}
    assert isinstance(dict(run([refusing], score))[0].error, KeyError)
    assert list(run([], score)) == []


def test_an_empty_question_gets_an_empty_answer():
    assert dict(run([lambda ask: ask([]).shape], score)) == {0: (0, 2)}


@pytest.mark.parametrize("problem", [RuntimeError("no memory"), KeyboardInterrupt()])
def test_a_model_that_fails_is_no_searchs_outcome(problem):
    closed = []

    def search(ask):
        try:
            ask(["x"])
        except Exception:
            return "swallowed"
        finally:
            closed.append(1)

    def failing(texts):
        raise problem

    with pytest.raises(type(problem)):
        list(run([search] * 3, failing, width=2))
    assert len(closed) == 2


def test_ctrl_c_inside_a_search_ends_all_of_them():
    closed = []

    def waiting(ask):
        try:
            while True:
                ask(["x"])
        finally:
            closed.append(1)

    def interrupted(ask):
        ask(["x"])
        signal.raise_signal(signal.SIGINT)
        return "went on"

    random.seed(3)
    before = random.getstate()
    # A shell that starts the tests in the background has them ignore the signal.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(run([waiting, interrupted, waiting], score, rngs=rngs()))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert closed == [1, 1]
    assert random.getstate() == before


def test_a_caller_who_stops_leaves_no_search_behind():
    closed = []

    def search(ask):
        with contextlib.ExitStack() as stack:
            stack.callback(closed.append, 1)
            ask(["x"])
            for _ in range(100):
                with contextlib.suppress(Exception):
                    ask(["x"])

    def first(ask):
        ask(["x"])
        return 1

    found = run([search, first, search], score, width=3)
    assert next(found) == (1, 1)
    found.close()
    assert closed == [1, 1]
    gc.collect()


def test_a_search_that_is_ended_cannot_ask_on():
    said = []

    def stubborn(ask):
        while True:
            try:
                ask(["x"])
            except BaseException as end:
                said.append(type(end).__name__)
                if len(said) > 1:
                    raise

    def first(ask):
        ask(["x"])
        return 1

    found = run([stubborn, first], score)
    next(found)
    found.close()
    assert said == ["GreenletExit", "GreenletExit"]


@pytest.mark.parametrize("guard", ["no_grad", "inference_mode", "catch_warnings"])
def test_nothing_switches_inside_a_guard_that_belongs_to_the_thread(guard):
    torch = pytest.importorskip("torch")
    make = warnings.catch_warnings if guard == "catch_warnings" else getattr(torch, guard)
    seen, answers = [], []
    filters = warnings.filters

    def guarded(ask):
        random.random()
        with make():
            answers.append(ask(["aaa", "b"]).tolist())
        answers.append(ask(["ab"]).tolist())
        return random.random()

    def other(ask):
        for _ in range(3):
            seen.append(
                (
                    torch.is_grad_enabled(),
                    torch.is_inference_mode_enabled(),
                    warnings.filters is filters,
                )
            )
            ask(["x"])

    model = Counting()
    dice = [stream(0, "a"), stream(0, "b")]
    found = dict(run([guarded, other], model, rngs=dice))
    assert set(seen) == {(True, False, True)}
    assert answers == [[[3, 3], [1, 0]], [[2, 1]]]
    assert model.requests[0] == ["aaa", "b"]
    with borrowed_randomness(stream(0, "a")):
        random.random()
        assert found[0] == random.random()


def test_a_model_that_fails_inside_a_guard_still_ends_all():
    def search(ask):
        with warnings.catch_warnings(), contextlib.suppress(RuntimeError):
            ask(["x"])
        return "swallowed"

    def failing(texts):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(run([search], failing))


def test_a_search_sees_the_context_of_its_caller():
    with np.errstate(divide="raise"):
        found = dict(run([lambda ask: np.geterr()["divide"]], score))
    assert found == {0: "raise"}


def test_what_a_search_does_to_its_answer_reaches_no_other():
    def spoiling(ask):
        rows = ask(["aa"])
        rows[:] = -1
        return rows.tolist()

    def reading(ask):
        return ask(["aa"]).tolist()

    found = dict(run([spoiling, reading], lambda texts: np.ones((len(texts), 1))))
    assert found == {0: [[-1]], 1: [[1]]}


def test_a_deep_search_keeps_its_own_stack():
    def search(depth):
        def down(ask, left):
            return ask(["a" * left])[0, 0] + down(ask, left - 1) if left else 0.0

        return lambda ask: down(ask, depth)

    found = dict(run([search(60), search(3), search(200)], score))
    assert found == {0: 60 * 61 / 2, 1: 6, 2: 200 * 201 / 2}
    assert sys.getrecursionlimit() >= 1000


def test_widths_and_generators_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="width"):
        list(run([], score, width=0))
    with pytest.raises(ValueError, match="fewer generators"):
        list(run(SEARCHES, score, rngs=rngs()[:2]))


def test_a_lockstep_can_run_inside_a_search_of_another():
    def outer(ask):
        return dict(run([lambda inner: inner(["aa"]).tolist()] * 2, ask))

    assert dict(run([outer], score)) == {0: {0: [[2, 2]], 1: [[2, 2]]}}

"""Many searches at once: each stops where it asks the model, and all are answered together.

A search is ordinary code that asks for scores in the middle of its work, such as a TextAttack
attack on one text. Here each runs in a greenlet of its own; the scheduler runs every one up to its
next question, puts the questions to the scorer as one request, and hands the answers back. What
comes out is what the searches give one after another.
"""

import contextvars
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from audit.generators import Generators, kept_randomness, seed_generators
from audit.types import Floats, Text

T = TypeVar("T")
Answer = Callable[[Sequence[Text]], Floats]
"""Texts to one row each, shape ``(len(texts), k)``."""
NO_OTHERS: Mapping[str, Answer] = MappingProxyType({})


class Ask(Protocol):
    """What a search calls to have texts answered, one row each, shape ``(len(texts), k)``."""

    def __call__(self, texts: Sequence[Text], of: str = "") -> Floats:
        """Ask the model, or whoever is called `of` among the others, e.g. a sentence encoder."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A search ended with an exception; the others went on."""

    error: Exception

    def __str__(self) -> str:
        said = str(self.error).strip().splitlines()
        return f"{type(self.error).__name__}: {said[0]}" if said else type(self.error).__name__


def run(
    searches: Iterable[Callable[[Ask], T]],
    score: Answer,
    *,
    others: Mapping[str, Answer] = NO_OTHERS,
    width: int = 32,
    rngs: Iterable[np.random.Generator] | None = None,
) -> Iterator[tuple[int, T | Failure]]:
    """Run `searches` side by side and yield ``(position, outcome)`` as each ends.

    Outcomes are those of ``search(score)`` called one after another, provided that the searches
    share no state and `score` answers a text alike in any company. The order of the outcomes
    depends on nothing but the searches. At most `width` of them are held at a time, and the next is
    taken from `searches` only when one has ended: a caller stops admission by ending the iterable.

    Args:
        searches: Each takes `ask` and returns its result. An `Exception` ends that search alone
            and becomes a `Failure`; any other (Ctrl-C) ends all and leaves this function.
        score: Answers the merged requests. What it raises ends all searches and leaves this
            function: a model that fails is no search's outcome.
        others: Whom else a search may ask, by name; their requests are merged likewise.
        width: Searches in flight, at least 1.
        rngs: One generator for each search. The global generators (random, NumPy, torch) are
            seeded from it when the search starts and belong to that search alone whenever it runs,
            as under `borrowed_randomness`. None: the searches must draw nothing.

    A question asked inside `torch.no_grad`, `torch.inference_mode` or `warnings.catch_warnings` is
    answered on the spot and not merged: those belong to the thread, and a switch would carry them
    into other searches.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    answers = {"": score, **others}
    source = enumerate(searches)
    dice = None if rngs is None else iter(rngs)
    live: list[_Search[T]] = []
    try:
        open_for_more = True
        while True:
            # New searches are run up to their first question before anyone is answered, so that
            # every request is as large as the width allows.
            while open_for_more and len(live) < width:
                fresh: list[_Search[T]] = []
                while len(live) + len(fresh) < width:
                    item = next(source, None)
                    if item is None:
                        open_for_more = False
                        break
                    rng = None if dice is None else next(dice, None)
                    if dice is not None and rng is None:
                        raise ValueError("there are fewer generators than searches")
                    fresh.append(_Search(*item, rng, answers))
                live += fresh
                _step(fresh)
                yield from _ended(live)
            if not live:
                return
            for of, answer in answers.items():
                _answer([search for search in live if search.asked_of == of], answer)
            _step(live)
            yield from _ended(live)
    finally:
        _end(live)


def _answer(searches: "Sequence[_Search[Any]]", answer: Answer) -> None:
    if not searches:
        return
    rows = answer([text for search in searches for text in search.asked])
    start = 0
    for search in searches:
        end = start + len(search.asked)
        # A copy: what a search keeps must not hold the whole request in memory.
        search.answer = rows[start:end].copy()
        start = end


def _step(searches: "Sequence[_Search[Any]]") -> None:
    outside = Generators.now()
    try:
        for search in searches:
            search.step(outside)
    finally:
        outside.restore()


def _ended(live: "list[_Search[T]]") -> Iterator[tuple[int, T | Failure]]:
    """Take the searches that ended out of `live` and yield their outcomes."""
    done = [search for search in live if search.done]
    live[:] = [search for search in live if not search.done]
    for search in done:
        yield search.position, search.outcome()


def _end(live: "Sequence[_Search[Any]]") -> None:
    with kept_randomness():
        for search in live:
            search.end()


class _Search(Generic[T]):
    """One search and the greenlet it runs in."""

    def __init__(
        self,
        position: int,
        search: Callable[[Ask], T],
        rng: np.random.Generator | None,
        answers: Mapping[str, Answer],
    ) -> None:
        from greenlet import greenlet

        self.position = position
        self.asked: list[Text] = []
        self.asked_of = ""
        self.answer: Floats | None = None
        self.done = False
        self._search = search
        self._answers = answers
        self._result: T | None = None
        self._error: BaseException | None = None
        self._fatal: BaseException | None = None
        self._ending = False
        self._rng = rng
        self._dice: Generators | None = None
        self._outside: Generators | None = None
        self._thread_state: tuple[object, ...] = ()
        self._greenlet = greenlet(self._main)
        # A greenlet would start with an empty context and lose, say, the caller's np.errstate.
        self._greenlet.gr_context = contextvars.copy_context()

    def step(self, outside: Generators) -> None:
        """Run up to the next question or the end. The global generators are left as they fall."""
        self._outside = outside
        if self._rng is not None:
            if self._dice is None:
                seed_generators(self._rng)
            else:
                self._dice.restore()
        self._switch()
        if self._rng is not None and not self.done:
            self._dice = Generators.now()
        if self._fatal is not None:
            raise self._fatal
        if self._error is not None and not isinstance(self._error, Exception):
            raise self._error

    def outcome(self) -> "T | Failure":
        if isinstance(self._error, Exception):
            return Failure(self._error)
        return self._result  # type: ignore[return-value]

    def end(self) -> None:
        """End a search that waits: what it left open is closed, whatever it says is dropped."""
        from greenlet import GreenletExit, getcurrent

        self._ending = True
        if self._greenlet:
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(GreenletExit)

    def _switch(self) -> None:
        from greenlet import getcurrent

        # The caller may have moved to another greenlet since: a search that ends returns here.
        self._greenlet.parent = getcurrent()
        self._thread_state = _thread_state()
        self._greenlet.switch()

    def _main(self) -> None:
        from greenlet import GreenletExit

        try:
            self._result = self._search(self._ask)
        except GreenletExit:
            self._error = None
        except BaseException as error:
            self._error = error
        finally:
            self.done = True

    def _ask(self, texts: Sequence[Text], of: str = "") -> Floats:
        from greenlet import GreenletExit, getcurrent

        if getcurrent() is not self._greenlet:
            raise RuntimeError("a search must ask from the code it was started as, not a thread")
        if self._ending:
            raise GreenletExit
        if not _same(_thread_state(), self._thread_state):
            return self._ask_here(texts, of)
        if of not in self._answers:
            raise KeyError(of)
        self.asked, self.asked_of = list(texts), of
        self._greenlet.parent.switch()
        answer, self.asked = self.answer, []
        assert answer is not None
        return answer

    def _ask_here(self, texts: Sequence[Text], of: str) -> Floats:
        inside = Generators.now()
        if self._outside is not None:
            self._outside.restore()
        try:
            return self._answers[of](list(texts))
        except BaseException as error:
            # The search must not take the model's failure for its own.
            self._fatal = error
            raise
        finally:
            inside.restore()


def _thread_state() -> tuple[object, ...]:
    """Return what a switch would carry from one search into the next."""
    torch = sys.modules.get("torch")
    if getattr(torch, "is_inference_mode_enabled", None) is None:
        return warnings.filters, True, False
    assert torch is not None
    return warnings.filters, torch.is_grad_enabled(), torch.is_inference_mode_enabled()


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    # `catch_warnings` puts a copy of the list in its place.
    return all(a is b for a, b in zip(one, other, strict=True))

"""The global generators that libraries draw from: lent out seeded, and given back as they were."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Generators:
    """The state of every global generator: `random`, NumPy's, torch's where torch is loaded."""

    python: Any
    numpy: Any
    torch: Any
    cuda: Any

    @classmethod
    def now(cls) -> "Generators":
        """Return the present state."""
        torch = sys.modules.get("torch")
        # A module that is half imported, or a stand-in, has no generator yet.
        known = getattr(torch, "default_generator", None)
        return cls(
            random.getstate(),
            np.random.get_state(legacy=False),
            None if known is None else known.get_state(),
            torch.cuda.get_rng_state_all() if torch is not None and _on_cuda(torch) else None,
        )

    def restore(self) -> None:
        """Put this state back."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        if self.torch is not None:
            sys.modules["torch"].default_generator.set_state(self.torch)
        if self.cuda is not None:
            sys.modules["torch"].cuda.set_rng_state_all(self.cuda)


def seed_generators(rng: np.random.Generator) -> None:
    """Seed every global generator from `rng`: four draws, whatever is loaded."""
    python, numpy, cpu, cuda = (int(rng.integers(2**32)) for _ in range(4))
    random.seed(python)
    np.random.seed(numpy)
    torch = sys.modules.get("torch")
    if getattr(torch, "default_generator", None) is not None:
        assert torch is not None
        # torch.manual_seed would seed the devices too, and leave word of it for later ones.
        torch.default_generator.manual_seed(cpu)
        if _on_cuda(torch):
            torch.cuda.manual_seed_all(cuda)


def _on_cuda(torch: Any) -> bool:
    cuda = getattr(torch, "cuda", None)
    return cuda is not None and bool(cuda.is_initialized())


@contextmanager
def kept_randomness() -> Iterator[None]:
    """Put the global generators back as they were when the block ends."""
    before = Generators.now()
    try:
        yield
    finally:
        before.restore()


@contextmanager
def borrowed_randomness(rng: np.random.Generator) -> Iterator[None]:
    """Seed the global generators from `rng` for one block, then put them back as they were.

    nlpaug and TextAttack draw from `random` and `numpy.random` and take no generator. Never
    `yield` inside: the caller would run on these dice.
    """
    with kept_randomness():
        seed_generators(rng)
        yield

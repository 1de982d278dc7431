"""Any recipe of TextAttack by name, or of a package of the user's by its class.

Its transformation, constraints and search are taken as they are built; the goal is ours, so that a
decision means what it means everywhere. They are built once, without a network, and tried on one
sentence: a recipe whose resources are not on this machine is refused before the first search.
"""

import copy
import importlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any
from unittest import mock

from audit import foreign
from audit.attack_recipes import Kit, Parts, Recipe, recipe
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.generators import kept_randomness

PREFIX = "textattack:"
_PATH = re.compile(r"([A-Za-z_][\w.]*:)?[A-Za-z_]\w*")
_SENTENCE = "The little dog was very good at this new game yesterday."


def find(name: str) -> Recipe:
    """Return a recipe: a shipped one by name, or ``textattack:Class``, ``textattack:module:Class``.

    Nothing is imported; whether TextAttack has it, and what it wants, is seen by `Recipe.ready`.

    Raises:
        ConfigError: If there is no shipped one of that name, or the path is none.
    """
    if not name.startswith(PREFIX):
        return recipe(name)
    path = name.removeprefix(PREFIX)
    if not _PATH.fullmatch(path):
        raise ConfigError(
            f"{name!r} names no recipe of TextAttack.",
            hint='Write "textattack:BAEGarg2019", or "textattack:package.module:Class".',
        )
    return Recipe(
        name=name,
        source="Morris et al. (2020), arXiv:2005.05909, and what the recipe itself names",
        what="what TextAttack's recipe of that name changes",
        parts=partial(_parts, path),
        ready=partial(_ready, path),
        languages=("the recipe's",),
    )


def _parts(path: str, kit: Kit) -> Parts:
    made = _built(kit.ta, path)
    # A search keeps state, and `Attack` ties it to one goal: each search gets its own.
    method = copy.copy(made.search_method)
    return made.transformation, [*made.pre_transformation_constraints, *made.constraints], method


def _ready(path: str, ta: Any) -> None:
    """Build the recipe and try it on one sentence.

    Raises:
        Unsupported: If a resource is missing, or its goal is none that a decision can have.
        ConfigError: If TextAttack has no such recipe.
    """
    try:
        with kept_randomness(), offline():
            made = _built(ta, path)
            text = ta.shared.AttackedText(_SENTENCE)
            made.get_transformations(text, original_text=text)
    except ConfigError:
        raise
    except Exception as problem:  # Recipes raise what their many parts raise.
        said = [line.strip() for line in str(problem).splitlines() if line.strip(" *")]
        if "Sentence() takes no arguments" in str(problem):
            # The stand-in of `foreign`, which TextAttack's import is content with.
            said = ["it wants flair, which is not here"]
        why = f"{type(problem).__name__}: {said[0]}" if said else type(problem).__name__
        raise Unsupported(
            f"TextAttack's recipe {path} does not run here: {why.rstrip('.')}.",
            hint="Load what it wants once, online, by running the recipe with TextAttack itself, "
            "or choose one of `evenhand probes attack`.",
        ) from problem
    kind = type(made.goal_function).__name__
    if kind not in ("UntargetedClassification", "TargetedClassification"):
        raise Unsupported(
            f"TextAttack's recipe {path} pursues another goal ({kind}) than a changed decision.",
            hint="Choose a recipe for classifiers.",
        )


@lru_cache(maxsize=2)
def _built(ta: Any, path: str) -> Any:
    """Return the attack as the recipe builds it, around a model that is never asked."""
    module, _, name = path.rpartition(":")
    try:
        home = importlib.import_module(module) if module else ta.attack_recipes
        made = getattr(home, name)
    except (ImportError, AttributeError) as problem:
        known = [n for n in dir(ta.attack_recipes) if re.search(r"\d{4}$", n)]
        raise ConfigError(
            f"There is no recipe {path!r} in {module or 'TextAttack'}.",
            hint=did_you_mean(name, known) if not module else "",
        ) from problem

    class Unasked(ta.models.wrappers.ModelWrapper):  # type: ignore[misc]
        model = None

        def __call__(self, texts: list[str]) -> Any:
            raise RuntimeError("the recipe asks the model while it is built")

    return made.build(Unasked())


@contextmanager
def offline() -> Iterator[None]:
    """Refuse every connection for a block: what is not on this machine is missing."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("it wants to download something, and no network is used here")

    with mock.patch.dict(os.environ, {"HF_HUB_OFFLINE": "1"}), foreign.no_downloads():
        hub = importlib.import_module("huggingface_hub.constants")
        with (
            mock.patch.object(hub, "HF_HUB_OFFLINE", True),
            mock.patch.object(socket.socket, "connect", refuse),
            mock.patch.object(socket, "getaddrinfo", refuse),
        ):
            yield

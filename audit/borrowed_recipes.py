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
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

from audit import foreign
from audit.attack_recipes import Kit, Parts, Recipe, recipe
from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.generators import kept_randomness

PREFIX = "textattack:"
_PATH = re.compile(r"([A-Za-z_][\w.]*:)?[A-Za-z_]\w*")
_one_at_a_time = threading.RLock()
_SENTENCE = "The little dog was very good at this new game yesterday."


def find(name: str) -> Recipe:
    """Return a recipe: a shipped one by name, or ``textattack:Class``, ``textattack:module:Class``.

    Nothing is imported; whether TextAttack has it, and what it wants, is seen by `Recipe.ready`.

    Raises:
        ConfigError: If there is no shipped one of that name, or the path is none.
    """
    if name == "input_reduction":
        raise ConfigError(
            "input_reduction breaks no decision: it looks how few words keep one.",
            hint='It is a probe of its own: name = "reduction".',
        )
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
    """See that the recipe can be built and tried.

    Raises:
        Unsupported: If a resource is missing, or its goal is none that a decision can have.
        ConfigError: If TextAttack has no such recipe.
    """
    try:
        made = _built(ta, path)
    except ConfigError:
        raise
    except Unsupported as missing:
        raise Unsupported(
            f"TextAttack's recipe {path} does not run here: {missing}", hint=missing.hint
        ) from missing
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
            hint='The probe "reduction" does it.'
            if kind == "InputReduction"
            else "Choose a recipe for classifiers.",
        )


@lru_cache(maxsize=8)
def _built(ta: Any, path: str) -> Any:
    """Return the attack as the recipe builds it, around a model that is never asked.

    It is tried on one sentence at once: parts that load what they need at their first use have
    loaded it by then, or have said what is missing.
    """
    module, _, name = path.rpartition(":")
    try:
        home = importlib.import_module(module) if module else ta.attack_recipes
        made = getattr(home, name)
    except (ImportError, AttributeError) as problem:
        known = [n for n in dir(ta.attack_recipes) if re.fullmatch(r"[A-Z].*\d{4}", n)]
        raise ConfigError(
            f"There is no recipe {path!r} in {module or 'TextAttack'}.",
            hint=did_you_mean(name, known) if not module else "",
        ) from problem

    class Unasked(ta.models.wrappers.ModelWrapper):  # type: ignore[misc]
        model = None

        def __call__(self, texts: list[str]) -> Any:
            raise RuntimeError("the recipe asks the model while it is built")

    with kept_randomness(), offline(ta):
        attack = made.build(Unasked())
        text = ta.shared.AttackedText(_SENTENCE)
        attack.get_transformations(text, original_text=text)
    return attack


@contextmanager
def offline(ta: Any) -> Iterator[None]:
    """Refuse every connection for a block: what is not on this machine is missing.

    TextAttack's own downloads are answered from its cache folder, in which nothing is written:
    tried and failed, they would leave an open file, an empty archive and a held lock behind.
    Connections of other threads are refused too while it lasts; blocks take turns.

    Raises:
        Unsupported: Inside the block, where TextAttack wants a file that its cache does not hold.
    """

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("it wants to download something, and no network is used here")

    install = ta.shared.utils.install

    def cached(name: str, how: str) -> str:
        place = Path(install.TEXTATTACK_CACHE_DIR) / name
        if place.exists():
            return str(place)
        raise Unsupported(
            f"it wants {name}, which is not in {install.TEXTATTACK_CACHE_DIR}.",
            hint="Get it once, with a network, by: "
            f'python -c "from audit import foreign; foreign.textattack().shared.utils.{how}"',
        )

    def from_s3(folder_name: str, skip_if_cached: bool = True) -> str:
        return cached(folder_name, f"download_from_s3({folder_name!r})")

    def from_url(url: str, save_path: str, skip_if_cached: bool = True) -> str:
        return cached(save_path, f"download_from_url({url!r}, {save_path!r})")

    hub = importlib.import_module("huggingface_hub.constants")
    with ExitStack() as stack:
        # Two blocks at once would put back each other's stand-ins, and leave one for good.
        stack.enter_context(_one_at_a_time)
        stack.enter_context(mock.patch.dict(os.environ, {"HF_HUB_OFFLINE": "1"}))
        stack.enter_context(foreign.no_downloads())
        stack.enter_context(mock.patch.object(hub, "HF_HUB_OFFLINE", True))
        stack.enter_context(mock.patch.object(socket.socket, "connect", refuse))
        stack.enter_context(mock.patch.object(socket, "getaddrinfo", refuse))
        # The same functions under two names: recipes go by the first.
        for home in (ta.shared.utils, install):
            stack.enter_context(mock.patch.object(home, "download_from_s3", from_s3))
            stack.enter_context(mock.patch.object(home, "download_from_url", from_url))
        yield

"""Libraries with global habits, met in one place: their imports, their randomness, their quirks."""

import importlib
import importlib.util
import logging
import logging.config
import os
import re
import sys
import threading
import types
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from audit.errors import ConfigError, Unsupported, did_you_mean
from audit.generators import borrowed_randomness as borrowed_randomness
from audit.generators import kept_randomness
from audit.resources import GET_WORDNET, Resources

LAYOUTS = ("de", "es", "fr", "he", "it", "nl", "pl", "th", "tr", "uk")
"""Keyboards of nlpaug besides the English one, by ISO 639-1 code of their language."""
NOISE_KINDS = ("keyboard", *(f"keyboard_{code}" for code in LAYOUTS), "ocr", "spelling")

# Left alone by noise: placeholders such as [URL], links, mentions, hashtags.
_PROTECTED = r"\[\w+\]|<\w+>|https?://\S+|www\.\S+|[@#]\w+"
_WORD = re.compile(rf"(?P<protected>{_PROTECTED})|(?P<word>\w+(?:['\u2019]\w+)*)")
# Vowel signs and tone marks are letters on a Thai keyboard, and no words are parted.
_THAI = re.compile(rf"(?P<protected>{_PROTECTED})|(?P<word>[\w\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]+)")


# --- TextAttack -------------------------------------------------------------------------------

_lock = threading.RLock()
_MARKER = "post_install_check_3"
_VARIABLES = ("TA_CACHE_DIR", "TOKENIZERS_PARALLELISM", "WANDB_SILENT")
"""Of the environment: what TextAttack's import reads and sets."""


def textattack(resources: Resources | None = None, *, wordnet: bool = False) -> types.ModuleType:
    """Import TextAttack without what it does besides, and return it. 15 to 28 s the first time.

    Left to itself the import wants flair and langdetect (used by no recipe here), asks the network
    for six corpora, writes a marker into the home folder, closes every log handler of the process,
    adds its own, and moves Hugging Face's cache where TA_CACHE_DIR is set. None of that happens.
    Afterwards NLTK finds the shipped stop words first, and WordNet if it was asked for.

    Raises:
        Unsupported: If TextAttack is not installed or does not import, or WordNet is not here.
    """
    resources = resources or Resources()
    folders = [resources.stopwords(), *([_wordnet(resources)] if wordnet else [])]
    with _lock, kept_randomness():
        if importlib.util.find_spec("textattack") is None:
            raise Unsupported("TextAttack is not installed.", hint="pip install textattack")
        _show_to_nltk(folders)
        return _textattack()


def _textattack() -> types.ModuleType:
    loaded = sys.modules.get("textattack")
    if loaded is not None and hasattr(loaded, "Attack"):
        return loaded
    cache = os.environ.get("TA_CACHE_DIR")
    with warnings.catch_warnings(), _kept_environment():
        # Set, it would move the caches of Hugging Face and of every XDG program as well.
        os.environ.pop("TA_CACHE_DIR", None)
        warnings.simplefilter("ignore")
        try:
            with _stand_ins(), _quiet_install(), no_downloads():
                module = importlib.import_module("textattack")
        except (ImportError, LookupError, AttributeError) as problem:
            _forget("textattack")
            said = str(problem).strip().splitlines()
            raise Unsupported(
                f"TextAttack does not import: {type(problem).__name__}: {said[0] if said else ''}",
                hint="Install the versions of requirements.lock.",
            ) from problem
    install = sys.modules.get("textattack.shared.utils.install")
    if install is not None:
        if cache is not None:
            install.TEXTATTACK_CACHE_DIR = cache  # type: ignore[attr-defined]
        # Its own handler on stderr, beside whatever the program has set up.
        logger = install.logger
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True
    return module


def show_wordnet(resources: Resources) -> None:
    """Let NLTK find WordNet.

    Raises:
        Unsupported: If it is not here.
    """
    _show_to_nltk([_wordnet(resources)])


def _wordnet(resources: Resources) -> Path:
    found = resources.wordnet()
    if found is None:
        raise Unsupported("WordNet is not on this machine.", hint=GET_WORDNET)
    return found


def _show_to_nltk(folders: list[Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nltk

    for folder in map(str, folders):
        if folder not in nltk.data.path:
            nltk.data.path.insert(0, folder)


@contextmanager
def no_downloads() -> Iterator[None]:
    """Keep NLTK off the network for a block: what is not there stays missing."""
    import nltk

    with mock.patch.object(nltk, "download", lambda *args, **kwargs: True):
        yield


@contextmanager
def _kept_environment() -> Iterator[None]:
    # Not all of it: what OpenMP and others set for themselves must stay.
    before = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet_install() -> Iterator[None]:
    """Let TextAttack believe its post-install step is done, and leave logging and disk alone."""
    exists, makedirs = os.path.exists, os.makedirs
    home = os.path.expanduser("~/.cache/textattack")

    def done(path: Any) -> bool:
        return str(path).endswith(_MARKER) or exists(path)

    def make(path: Any, *args: Any, **kwargs: Any) -> None:
        if os.fspath(path) != home:
            makedirs(path, *args, **kwargs)

    lock = importlib.import_module("filelock").FileLock
    acquire, release = lock.acquire, lock.release

    # Its methods, not the class: libraries that TextAttack imports derive from it.
    def take(self: Any, *args: Any, **kwargs: Any) -> Any:
        return None if _MARKER in str(self.lock_file) else acquire(self, *args, **kwargs)

    def give(self: Any, *args: Any, **kwargs: Any) -> None:
        if _MARKER not in str(self.lock_file):
            release(self, *args, **kwargs)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(lock, "acquire", take))
        stack.enter_context(mock.patch.object(lock, "release", give))
        stack.enter_context(mock.patch.object(os.path, "exists", done))
        stack.enter_context(mock.patch.object(os, "makedirs", make))
        # Its dictConfig would close and forget every handler the program has.
        stack.enter_context(mock.patch.object(logging.config, "dictConfig", lambda config: None))
        yield


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Stand in for flair and langdetect while TextAttack imports, unless the real ones import.

    They are taken out again: whoever asks for flair later gets an honest ImportError.
    """
    made: list[str] = []
    for name, make in (("flair", _flair), ("langdetect", _langdetect)):
        try:
            importlib.import_module(name)
        except Exception:
            # flair 0.15 fails halfway beside transformers 5 and leaves its pieces behind.
            _forget(name)
            for part, module in make().items():
                sys.modules[part] = module
                made.append(part)
    try:
        yield
    finally:
        for part in made:
            sys.modules.pop(part, None)


def _flair() -> dict[str, types.ModuleType]:
    flair, data, models = (types.ModuleType(n) for n in ("flair", "flair.data", "flair.models"))
    for module, names in ((data, ("Sentence", "Tokenizer")), (models, ("SequenceTagger",))):
        for name in names:
            setattr(module, name, type(name, (), {}))
    vars(flair).update(data=data, models=models, device=None, __path__=[])
    return {"flair": flair, "flair.data": data, "flair.models": models}


def _langdetect() -> dict[str, types.ModuleType]:
    module = types.ModuleType("langdetect")
    vars(module)["detect"] = lambda text: "en"
    return {"langdetect": module}


def _forget(package: str) -> None:
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]


# --- nlpaug -----------------------------------------------------------------------------------


def augment(augmenter: Any, text: str, rng: np.random.Generator) -> str | None:
    """Return `text` as changed by an nlpaug augmenter, or None when nothing changed.

    nlpaug answers with the text itself when it fails, and with other white space when all it did
    was to take words apart and join them again: both are None.

    Args:
        augmenter: Any text augmenter of nlpaug, e.g. one of `noise`.
        text: The text; white space at both ends is kept.
        rng: Where its randomness comes from; the global generators are left as they were.
    """
    with borrowed_randomness(rng):
        return augment_seeded(augmenter, text)


def augment_seeded(augmenter: Any, text: str) -> str | None:
    """Do as `augment`, with the global generators as they are."""
    stripped = text.strip()
    if not stripped:
        return None
    made = augmenter.augment(stripped, n=1, num_thread=1)
    changed = made if isinstance(made, str) else (made[0] if made else "")
    letters = "".join(changed.split())
    if not letters or letters == "".join(text.split()):
        return None
    start = text.index(stripped)
    return text[:start] + changed + text[start + len(stripped) :]


def noise(kind: str, *, words: float = 0.3, letters: float = 0.3) -> Any:
    """Return an nlpaug augmenter that disturbs words and leaves everything between them alone.

    Links, mentions, hashtags and placeholders such as ``[URL]`` are not words.

    Args:
        kind: ``keyboard`` (neighbouring keys, words of four letters and more; ``keyboard_de``, …
            for the other `LAYOUTS`), ``ocr`` (look-alike characters) or ``spelling`` (misspellings
            that people made; `letters` plays no part).
        words: Share of a text's words to disturb, in (0, 1]; at least one.
        letters: Share of such a word's characters to replace, in (0, 1]; at least one.

    Raises:
        ConfigError: If the kind is unknown or a share out of range.
        Unsupported: If nlpaug is not installed.

    Source:
        Belinkov & Bisk (2018), ICLR, arXiv:1711.02173; E. Ma, nlpaug (2019),
        https://github.com/makcedward/nlpaug
    """
    if kind not in NOISE_KINDS:
        raise ConfigError(f"There is no noise {kind!r}.", hint=did_you_mean(kind, NOISE_KINDS))
    for name, share in (("words", words), ("letters", letters)):
        if not 0 < share <= 1:
            raise ConfigError(f"{name} must lie in (0, 1], got {share}.")
    tokens = _Between(_THAI if kind == "keyboard_th" else _WORD)
    shared: dict[str, Any] = {"tokenizer": tokens.split, "reverse_tokenizer": tokens.join}
    characters: dict[str, Any] = {
        **shared,
        "aug_word_p": words,
        "aug_char_p": letters,
        "aug_word_max": None,
        "aug_char_max": None,
        "aug_char_min": 1,
    }
    with kept_randomness(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if kind == "spelling":
                return _spelling(words, shared)
            char = importlib.import_module("nlpaug.augmenter.char")
        except ImportError as problem:
            raise Unsupported(
                f"nlpaug does not import: {problem}.", hint="pip install nlpaug"
            ) from problem
    if kind == "ocr":
        return _drawing_reachable(char.OcrAug(**characters))
    language = kind.partition("_")[2] or "en"
    keys = char.KeyboardAug(
        **characters,
        lang=language,
        # nlpaug calls every letter special that is not of a to z.
        include_special_char=language != "en",
        include_numeric=False,
        include_upper_case=False,
    )
    keys.model.model = _cased_keys(keys.model.model, language)
    return _drawing_reachable(keys)


def _cased_keys(table: dict[str, list[str]], language: str) -> dict[str, list[str]]:
    """Return the letters near each letter, in its own case.

    A slip stays in its case: nlpaug would leave capitals out, or mix the cases.
    """

    def capital(letter: str) -> str:
        return "İ" if letter == "i" and language == "tr" else letter.upper()

    def is_key(letter: str) -> bool:
        # Thai vowel signs and tone marks are marks (M) to Unicode.
        return unicodedata.category(letter)[0] in "LM" and letter == letter.lower()

    small = {
        key: [near for near in nearby if is_key(near) and near != key]
        for key, nearby in table.items()
        if is_key(key)
    }
    large = {capital(key): [capital(near) for near in nearby] for key, nearby in small.items()}
    return {key: nearby for key, nearby in (small | large).items() if nearby}


class _Between:
    """A tokenizer for nlpaug: words go in, and what stood between them comes back as it was."""

    def __init__(self, word: re.Pattern[str]) -> None:
        self._word = word
        self._gaps: list[str] = []

    def split(self, text: str) -> list[str]:
        words, self._gaps, end = [], [], 0
        for match in self._word.finditer(text):
            if match["word"] is not None:
                self._gaps.append(text[end : match.start()])
                words.append(match["word"])
                end = match.end()
        self._gaps.append(text[end:])
        return words

    def join(self, words: list[str]) -> str:
        between = zip(self._gaps, words, strict=False)
        return "".join(gap + word for gap, word in between) + self._gaps[-1]


def _drawing_reachable(augmenter: Any) -> Any:
    """Let a character augmenter draw only words in which it can replace something."""
    drawn: Callable[[list[str]], list[int]] = augmenter.pre_skip_aug

    def reachable(tokens: list[str], tuple_idx: int | None = None) -> list[int]:
        table = augmenter.model.model
        return [i for i in drawn(tokens) if any(table.get(letter) for letter in tokens[i])]

    augmenter.pre_skip_aug = reachable
    return augmenter


def _spelling(words: float, shared: dict[str, Any]) -> Any:
    spelling = importlib.import_module("nlpaug.augmenter.word.spelling")
    dictionary = importlib.import_module("nlpaug.model.word_dict")
    augmenter = spelling.SpellingAug(**shared, aug_p=words, aug_max=None)
    augmenter.model = _Table(_misspellings(dictionary, augmenter.dict_path))
    return augmenter


@cache
def _misspellings(dictionary: Any, path: str) -> dict[str, list[str]]:
    # nlpaug's own table goes both ways, so that "like" becomes "luck", is shared by the whole
    # process, and is ordered by string hashes: the same seed gave other words in another process.
    table = dictionary.Spelling(path, include_reverse=False).dict
    clean = {
        word: sorted({_cased(slip, word) for slip in slips if slip.isalpha()} - {word})
        for word, slips in table.items()
        if word.isalpha()
    }
    capital = {
        word.capitalize(): [_cased(slip, "A") for slip in slips] for word, slips in clean.items()
    }
    return capital | clean


def _cased(slip: str, word: str) -> str:
    return slip[0].upper() + slip[1:] if word[0].isupper() else slip


class _Table:
    """What nlpaug's spelling augmenter asks of its model."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.dict = {word: slips for word, slips in table.items() if slips}

    def predict(self, word: str) -> list[str] | None:
        return self.dict.get(word)

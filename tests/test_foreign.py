"""Libraries with global habits leave the process as they found it."""

import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audit import foreign
from audit.errors import AuditError
from audit.foreign import augment, borrowed_randomness, noise
from audit.seeding import stream

ROOT = Path(__file__).parents[1]
TEXT = (
    "  The children weren't happy\twith their wonderful teacher, [URL] said @anna!\nReally? #no  "
)
# The others have no letter of it.
OF_THE_TEXT = [
    k for k in foreign.NOISE_KINDS if k not in {f"keyboard_{c}" for c in ("he", "th", "uk")}
]


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]


def test_borrowed_dice_come_back_as_they_were():
    before = states()
    with borrowed_randomness(stream(0, "a")):
        inside = random.random(), np.random.rand()
    assert states() == before
    with borrowed_randomness(stream(0, "a")):
        assert (random.random(), np.random.rand()) == inside
    with borrowed_randomness(stream(0, "b")):
        assert (random.random(), np.random.rand()) != inside


def test_borrowed_dice_come_back_through_an_exception():
    before = states()
    with pytest.raises(KeyError), borrowed_randomness(stream(0, "a")):
        random.random()
        raise KeyError("x")
    assert states() == before


def test_torch_dice_are_borrowed_too():
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    with borrowed_randomness(stream(0, "a")):
        inside = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with borrowed_randomness(stream(0, "a")):
        assert torch.equal(torch.rand(3), inside)


class Fixed:
    """An augmenter with a known answer."""

    def __init__(self, answer):
        self.answer = answer

    def augment(self, text, n, num_thread):
        assert n == num_thread == 1
        return self.answer


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        (["two words"], None),
        (["two  words"], None),
        ("twowords", None),
        ([], None),
        ([""], None),
        (["two swords"], " two swords\n"),
    ],
)
def test_an_output_that_changes_no_character_is_no_output(answer, made):
    assert augment(Fixed(answer), " two words\n", stream(0, "x")) == made


@pytest.mark.parametrize("kind", OF_THE_TEXT)
def test_noise_changes_words_and_nothing_between_them(kind):
    made = {augment(noise(kind), TEXT, stream(0, str(i))) for i in range(20)} - {None}
    assert len(made) > 5
    for text in made:
        assert text.startswith("  ") and text.endswith("#no  ")
        assert re.findall(r"\s+", text) == re.findall(r"\s+", TEXT)
        assert all(kept in text for kept in ("[URL]", "@anna!", "#no")) and text.count(",") == 1
        assert len(text.split()) == len(TEXT.split())


@pytest.mark.parametrize("kind", OF_THE_TEXT)
def test_noise_hangs_on_the_generator_it_is_given_and_on_nothing_else(kind):
    random.seed(1), np.random.seed(1)
    before = states()
    first = [augment(noise(kind), TEXT, stream(0, str(i))) for i in range(5)]
    assert states() == before
    random.seed(2), np.random.seed(2)
    one = noise(kind)
    assert [augment(one, TEXT, stream(0, str(i))) for i in range(5)] == first
    assert len(set(first)) > 1


def test_noise_is_the_same_in_a_process_with_other_string_hashes():
    """nlpaug orders its misspellings by string hashes: another process, other words."""
    code = (
        "from audit.foreign import augment, noise; from audit.seeding import stream\n"
        "print([augment(noise('spelling'), 'because their government would receive the different "
        "beginning', stream(0, str(i))) for i in range(6)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and "government" in said.pop()


def test_a_stronger_noise_disturbs_more_words():
    text = " ".join(["wonderful children remember different afternoons"] * 4)

    def changed(words):
        made = augment(noise("keyboard", words=words), text, stream(0, "x"))
        return sum(a != b for a, b in zip(made.split(), text.split(), strict=True))

    assert [changed(w) for w in (0.01, 0.5, 1.0)] == [1, 10, 20]


def test_a_slip_of_the_key_keeps_the_case():
    made = augment(noise("keyboard", words=1.0, letters=1.0), "SHOUT quietly", stream(0, "x"))
    shouted, quiet = made.split()
    assert shouted.isupper() and quiet.islower() and (shouted, quiet) != ("SHOUT", "quietly")


def test_a_misspelling_is_one_that_people_made_and_begins_as_the_word_did():
    made = [augment(noise("spelling"), "Because", stream(0, str(i))) for i in range(10)]
    assert all(word and word.isalpha() and word[0].isupper() for word in made)
    assert "because" not in {word.lower() for word in made}


@pytest.mark.parametrize(
    "text", ["", "   ", "!!! ...", "[URL] @anna http://example.com #tag", "123"]
)
def test_a_text_without_a_word_to_disturb_gives_none(text):
    kinds = ("keyboard", "spelling")
    assert [augment(noise(kind), text, stream(0, "x")) for kind in kinds] == [None, None]


def test_unknown_noise_and_shares_out_of_range_are_refused():
    with pytest.raises(AuditError, match="no noise 'keybord'") as said:
        noise("keybord")
    assert "keyboard" in said.value.hint
    for share in (0.0, 1.5):
        with pytest.raises(AuditError, match="words"):
            noise("ocr", words=share)


def test_textattack_is_imported_without_what_it_does_besides(tmp_path):
    """In a process of its own: no file in the home folder, no handler, no moved cache, no dice."""
    code = """
import logging, os, pathlib, random, sys, warnings
warnings.simplefilter("error")
handler = logging.FileHandler("mine.log")
mine = logging.getLogger("mine"); mine.addHandler(handler)
before = dict(os.environ), random.getstate(), logging.getLogger().handlers[:]
import numpy
filters = list(warnings.filters)
from audit import foreign
module = foreign.textattack()
assert module.Attack and foreign.textattack() is module
names = "TA_CACHE_DIR HF_HOME XDG_CACHE_HOME TFHUB_CACHE_DIR TOKENIZERS_PARALLELISM WANDB_SILENT"
moved = [n for n in names.split() if os.environ.get(n) != before[0].get(n)]
assert not moved, moved
assert random.getstate() == before[1]
assert logging.getLogger().handlers == before[2]
assert list(warnings.filters) == filters, warnings.filters
assert mine.handlers == [handler] and not mine.disabled and handler in [w() for w in logging._handlerList]
assert not [n for n in sys.modules if n.split(".")[0] in ("flair", "langdetect")]
import nltk
assert "here" in nltk.corpus.stopwords.words("english")
home = pathlib.Path.home()
print(sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()))
"""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "ta").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "EVENHAND_CACHE": str(tmp_path / "cache"),
            "TA_CACHE_DIR": str(tmp_path / "ta"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "MPLCONFIGDIR": str(tmp_path / "mpl"),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert not list((tmp_path / "ta").iterdir())
    assert (tmp_path / "cache" / "nltk").is_dir()


def test_importing_foreign_loads_no_foreigner():
    heavy = ["torch", "textattack", "nlpaug", "nltk", "pandas", "greenlet"]
    code = (
        "import sys, audit.foreign, audit.lockstep, audit.attacks, audit.resources\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

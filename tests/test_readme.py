"""Every command that the README shows is run as it stands there."""

import random
import re
import shlex
from pathlib import Path

import pytest
from tiny import tiny_bert

from audit.cli import main

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("evenhand")
]
RETRAIN = """
[corpora.train]
path = "train.csv"
label = "label"
[[recipe]]
name = "noise"
share = 0.3
[train]
encoder = "encoder"
epochs = 1
max_length = 32
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    rng = random.Random(4)
    words = "good report late manager desk number explain woman nobody asked she his".split()
    texts = [" ".join(rng.choice(words) for _ in range(8)) for _ in range(180)]
    tiny_bert(folder / "encoder", texts, ("no", "yes"))
    for name, some in (("train", texts[:90]), ("dev", texts[90:120]), ("reviews", texts[120:])):
        rows = [f"{t},{'yes' if 'good' in t else 'no'}" for t in some]
        (folder / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return folder


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 8
    verbs = {command[1] for command in COMMANDS}
    assert {"init", "plan", "run", "report", "gate", "train", "retrain", "compare"} <= verbs


def test_every_command_of_the_readme_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    # The README trains after it audits; a folder has to hold a model first.
    order = sorted(COMMANDS, key=lambda c: c[1] != "train")
    for _, verb, *rest in order:
        if verb == "inspect":
            # It serves until it is interrupted: tests/test_web.py runs it as it stands here.
            assert rest == ["audit.toml"]
            continue
        more = ["--encoder", "encoder", "--epochs", "1"] if verb == "train" else []
        if verb == "retrain":
            with Path("audit.toml").open("a") as file:
                file.write(RETRAIN)
        # Gates may fail on a toy model; what must not happen is bad input or a crash.
        allowed = (0, 1, 3) if verb in ("run", "gate") else (0,)
        assert main([verb, *rest, *more]) in allowed, (verb, capsys.readouterr().err[-2000:])
        capsys.readouterr()
    assert Path("audit-out/report.html").exists()


def test_every_probe_stands_in_the_readme():
    from audit import catalogue

    text = (ROOT / "README.md").read_text("utf-8")
    assert all(f"| `{name}` |" in text for name in catalogue.names())


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"

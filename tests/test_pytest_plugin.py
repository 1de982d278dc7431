"""Gates as test items, in a project of its own; and gates as plain assertions."""

import os
import re
import subprocess
import sys
import time
import venv
from dataclasses import replace
from pathlib import Path

import pytest
from test_gate_table import audited

from audit import judging
from audit.borders import write_json
from audit.errors import ConfigError
from audit.testing import assert_gate
from audit.types import Waiver

ROOT = Path(__file__).parents[1]
MODEL = """
import numpy as np

class Model:
    labels = ("no", "yes")
    fingerprint = "v1"

    def probabilities(self, texts):
        p = np.array([0.9 if "good" in str(t) else 0.1 for t in texts])
        return np.stack([1 - p, p], axis=1)

model = Model()
"""
AUDIT = """
[model]
path = "model.py:model"
[decision]
favourable = ["yes"]
[corpora.test]
path = "texts.csv"
label = "label"
groups = { sex = "sex" }
[[probe]]
name = "group_rates"
[[gate]]
metric = "group_rates.accuracy"
at_least = 0.9
[[gate]]
metric = "group_rates.selection_rate"
at_most = 0.2
[[gate]]
metric = "group_rates.selection_rate"
at_least = 0.49
"""


def result(**parts):
    told = {
        "position": "below",
        "texts": "enough",
        "run": "ran",
        "waiver": "no waiver",
        "against": "level",
        "undecided": "exit3",
        "blocking": True,
    }
    return judging.judged(audited(**(told | parts)))


def ran(folder, *arguments, python=sys.executable):
    """Run pytest in a process and a project of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHONP"))}
    done = subprocess.run(
        [str(python), "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=clean,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


@pytest.fixture
def inside(project, capsys, monkeypatch):
    """Run pytest on the project within this process: what it imports is here already."""
    monkeypatch.chdir(project)

    def run(*arguments):
        capsys.readouterr()
        off = [
            x
            for name in ("cacheprovider", "xdist", "timeout", "faulthandler")
            for x in ("-p", f"no:{name}")
        ]
        code = pytest.main([*off, "--capture=no", "--rootdir", str(project), *arguments])
        return int(code), capsys.readouterr().out

    return run


def kept(project, found, name="result.json"):
    path = project / name
    path.write_text(write_json(found))
    return path


SHOWN = [
    ({}, "PASSED", "1 passed", 0),
    ({"position": "above"}, "FAILED", "1 failed", 1),
    ({"position": "across"}, "UNDECIDED", "1 undecided", 3),
    ({"texts": "few"}, "UNDECIDED", "1 undecided", 3),
    ({"position": "across", "undecided": "warn"}, "UNDECIDED", "1 undecided", 0),
    ({"position": "across", "undecided": "fail"}, "FAILED", "1 failed", 1),
    ({"run": "crashed"}, "ERROR", "1 error", 1),
    ({"position": "above", "blocking": False}, "NOTED", "1 noted", 0),
]


@pytest.mark.parametrize(("parts", "word", "counted", "code"), SHOWN)
def test_each_verdict_shows_as_what_it_is(project, inside, parts, word, counted, code):
    kept(project, result(**parts))
    found, said = inside("-v", "--evenhand", "result.json")
    assert found == code, said
    assert re.search(rf"result.json::typos.flip_rate <= 0.1 {word}", said), said
    assert re.search(rf"=+ {counted} in", said), said


def test_an_undecided_claim_says_its_interval_and_a_failed_one_no_traceback(project, inside):
    kept(project, result(position="across"))
    _, said = inside("--evenhand", "result.json")
    assert "the interval crosses the limit" in said and "undecided gates" in said
    kept(project, result(position="above"))
    _, said = inside("--evenhand", "result.json")
    assert "the limit is broken beyond the noise" in said and "Traceback" not in said
    assert "pytest_plugin.py" not in said


def test_a_real_failure_outranks_an_undecided_gate(project, inside):
    kept(project, result(position="across"))
    false = project / "test_false.py"
    false.write_text("def test_it(): assert False\n")
    assert inside("--evenhand", "result.json")[0] == 1
    false.unlink()
    (project / "test_true.py").write_text("def test_it(): assert True\n")
    code, said = inside("--evenhand", "result.json")
    assert code == 3 and "1 passed, 1 undecided" in said


def test_a_stale_waiver_is_an_error(project, inside):
    stale = (Waiver(claim="typos.*", reason="old", owner="Ana", expires="2020-01-01"),)
    kept(project, replace(result(position="above"), waivers=stale))
    code, said = inside("--evenhand", "result.json")
    assert code == 1 and "1 failed, 1 error" in said and "expired after 2020-01-01" in said


def test_a_folder_is_as_good_as_its_result_and_a_broken_one_is_told(project, inside):
    kept(project, result())
    assert inside("--evenhand", ".")[0] == 0
    (project / "result.json").write_text("{")
    code, said = inside("--evenhand", "result.json")
    assert code == 2 and "is not a result" in said and "Traceback" not in said
    assert inside("--evenhand", "none.json")[0] == 4


@pytest.fixture
def small(project):
    rows = [
        f"{i},the {'good' if i % 2 else 'bad'} one {i},{'yes' if i % 2 else 'no'},{'fm'[i % 4 > 1]}"
        for i in range(400)
    ]
    (project / "texts.csv").write_text("id,text,label,sex\n" + "\n".join(rows) + "\n")
    (project / "model.py").write_text(MODEL)
    (project / "audit.toml").write_text(AUDIT)
    return project


def test_an_audit_file_is_run_once_and_every_claim_is_an_item(small, inside):
    code, said = inside("-v", "--evenhand", "audit.toml")
    assert code == 1, said
    assert said.count("PASSED") == 3 and "accuracy >= 0.9 PASSED" in said
    assert "selection_rate <= 0.2 FAILED" in said and "selection_rate >= 0.49 UNDECIDED" in said
    assert (small / "audit-out" / "result.json").exists()


def test_one_gate_can_be_chosen_by_its_name(small, inside):
    code, said = inside("--evenhand", "audit.toml", "-k", "accuracy")
    assert code == 0 and "3 passed, 6 deselected" in said


def test_workers_of_xdist_report_the_same(project):
    kept(project, result(position="across"))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2"]
    done = subprocess.run(
        [*command, "--dist", "loadfile", "--evenhand", "result.json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env=clean,
    )
    assert done.returncode == 3 and "1 undecided" in done.stdout, done.stdout + done.stderr


def test_a_mistake_in_an_audit_file_is_a_sentence(small, inside):
    (small / "audit.toml").write_text(AUDIT.replace("at_least = 0.9", "atleast = 0.9"))
    code, said = inside("--evenhand", "audit.toml")
    assert code == 2 and "Did you mean 'at_least'?" in said and "Traceback" not in said


def test_importing_the_plugin_loads_nothing_heavy():
    heavy = ["numpy", "pydantic", "scipy", "torch", "transformers", "pandas", "pyarrow", "typer"]
    code = (
        "import sys, audit.pytest_plugin; "
        f"print([m for m in {heavy!r} if m in sys.modules], "
        "sorted(m for m in sys.modules if m.startswith('audit')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] ['audit', 'audit.pytest_plugin']"


# Plain helpers.


def test_assert_gate_passes_fails_and_is_undecided():
    (verdict,) = assert_gate(result(), "typos.flip_rate", at_most=0.1)
    assert verdict.status == "pass"
    for parts, said in (
        ({"position": "above"}, "fail: typos.flip_rate <= 0.1: measured 0.300"),
        ({"position": "across"}, "inconclusive: "),
        ({"run": "crashed"}, "error: "),
        ({"run": "not run"}, "not_estimable: "),
    ):
        with pytest.raises(AssertionError, match=said):
            assert_gate(result(**parts), "typos.flip_rate", at_most=0.1)


def test_assert_gate_reads_a_file_and_refuses_a_slip(project):
    path = kept(project, result())
    assert_gate(path, "typos.flip_rate", at_most=0.1)
    assert_gate(str(project), "typos.*", at_most=0.1)
    with pytest.raises(ConfigError, match="matches nothing"):
        assert_gate(path, "typos.flop_rate", at_most=0.1)


# From the wheel.


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with the built wheel; everything it depends on is that of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run(built, check=True, capture_output=True, cwd=folder)
    (wheel,) = folder.glob("evenhand-*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    here = next(p for p in map(Path, sys.path) if p.name == "site-packages")
    # A path added by a .pth file brings packages, but not the .pth files of its own: the editable
    # install of this checkout stays out.
    (site / "dependencies.pth").write_text(f"{here}\n")
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "env" / "bin" / "python"


@pytest.mark.slow
def test_the_built_wheel_brings_the_plugin(installed, project):
    where = subprocess.run(
        [installed, "-c", "import audit; print(audit.__file__)"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(installed.parents[1]) in where
    for parts, word, counted, code in SHOWN:
        kept(project, result(**parts))
        found, said = ran(project, "-v", "--evenhand", "result.json", python=installed)
        assert found == code and word in said and counted in said, said


@pytest.mark.slow
def test_the_plugin_costs_those_who_do_not_use_it_nothing_to_speak_of(installed, project):
    """Bar: 50 ms, on the quickest of nine runs with it and nine without."""
    (project / "test_it.py").write_text("def test_it(): pass\n")
    best = {}
    for _ in range(9):
        for name, arguments in (("with", ()), ("without", ("-p", "no:evenhand"))):
            clock = time.perf_counter()
            assert ran(project, *arguments, python=installed)[0] == 0
            best[name] = min(best.get(name, 9e9), time.perf_counter() - clock)
    added = best["with"] - best["without"]
    assert added < 0.05, f"{added * 1000:.0f} ms beside {best['without'] * 1000:.0f} ms"

"""The templates of docs/ci: valid by the published schemas, and their shell steps run.

Each is run in a project with a tiny audit, with the package installed from a clean clone by the
template's own install step. What only the sites themselves can do (uploads, caches) is not run.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import schemas
import yaml
from test_pytest_plugin import AUDIT, MODEL

ROOT = Path(__file__).parents[1]
KEPT = AUDIT.split("[[gate]]")[0] + ('[[gate]]\nmetric = "group_rates.accuracy"\nat_least = 0.9\n')
BROKEN = KEPT.replace("at_least = 0.9", "at_most = 0.5")
UNDECIDED = KEPT.replace("at_least = 0.9", "at_least = 0.9\nmin_n = 5000")
MISTAKEN = KEPT.replace("at_least", "atleast")
# One case each runs always; the whole table with -m slow.
CASES = [
    pytest.param(BROKEN, 1, id="broken"),
    pytest.param(KEPT, 0, id="kept", marks=pytest.mark.slow),
    pytest.param(MISTAKEN, 2, id="mistaken", marks=pytest.mark.slow),
    pytest.param(UNDECIDED, 3, id="undecided", marks=pytest.mark.slow),
]


def loaded(name):
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def workflow():
    text = (ROOT / "docs/ci/github.md").read_text("utf-8")
    return yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])


def valid(document, schema):
    from jsonschema.validators import validator_for

    found = schemas.of_ci(schema)
    # YAML 1.1 reads the key `on` as true.
    document = {"on" if k is True else k: v for k, v in document.items()}
    return [e.message for e in validator_for(found)(found).iter_errors(document)]


@pytest.mark.parametrize(
    ("document", "schema"),
    [
        (loaded("action.yml"), "github-actions"),
        (workflow(), "github-workflows"),
        (loaded("docs/ci/gitlab.yml"), "gitlab-ci"),
        (loaded("docs/ci/azure-pipelines.yml"), "azure-pipelines"),
    ],
    ids=["action", "workflow", "gitlab", "azure"],
)
def test_a_template_is_valid_by_its_published_schema(document, schema):
    assert valid(document, schema) == []
    assert valid({**document, "runs": 3, "evenhand": 3, "steps": 3, "jobs": 3}, schema)


def test_no_input_is_pasted_into_a_script():
    """An expression inside `run` is where shell injection starts: inputs come by environment."""
    for step in loaded("action.yml")["runs"]["steps"]:
        assert "${{" not in step["run"]
    for job in workflow()["jobs"].values():
        assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_the_hooks_name_commands_that_exist():
    for hook in loaded(".pre-commit-hooks.yaml"):
        assert {"id", "name", "entry", "language", "files"} <= set(hook)
        program, command, *options = hook["entry"].split()
        done = subprocess.run(
            [sys.executable, "-m", "audit.cli", command, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert program == "evenhand" and done.returncode == 0
        assert all(option in done.stdout for option in options)


def test_every_option_in_the_documentation_exists():
    import re

    done = subprocess.run(
        [sys.executable, "-m", "audit.cli", "gate", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    said = (ROOT / "docs/ci/README.md").read_text("utf-8")
    named = re.findall(r"^\| `(--[a-z]+)", said, re.MULTILINE)
    assert len(named) == 8 and all(name in done.stdout for name in named)


# Run.


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A clean clone of the repository, and a Python with everything but the package itself."""
    folder = tmp_path_factory.mktemp("ci")
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout to clone")
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder / "clone")], check=True)
    venv.create(folder / "env", with_pip=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    here = next(p for p in map(Path, sys.path) if p.name == "site-packages")
    (site / "dependencies.pth").write_text(f"{here}\n")
    return folder


@pytest.fixture(scope="module")
def project(machine):
    folder = machine / "project"
    folder.mkdir()
    rows = [
        f"{i},the {'good' if i % 2 else 'bad'} one {i},{'yes' if i % 2 else 'no'},{'fm'[i % 4 > 1]}"
        for i in range(400)
    ]
    (folder / "texts.csv").write_text("id,text,label,sex\n" + "\n".join(rows) + "\n")
    (folder / "model.py").write_text(MODEL)
    return folder


@pytest.fixture
def shell(machine, project):
    """Run the shell steps of a template, one after the other, until one fails."""

    def run(steps, audit, **variables):
        shutil.rmtree(project / "evenhand", ignore_errors=True)
        (project / "audit.toml").write_text(audit)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP"))}
        clean |= {
            "PATH": f"{machine / 'env' / 'bin'}:{os.environ['PATH']}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "GITHUB_OUTPUT": str(project / "github-output"),
            "GITHUB_STEP_SUMMARY": str(project / "github-summary.md"),
        }
        clean |= {k: str(v) for k, v in variables.items()}
        # The package itself, from the clone; what it needs is there.
        clean["EVENHAND_INSTALL"] = f"--quiet --no-deps --no-build-isolation {machine / 'clone'}"
        said = ""
        for step in steps:
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step],
                cwd=project,
                env=clean,
                capture_output=True,
                text=True,
                check=False,
            )
            said += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, said
        return 0, said

    return run


def junit_of(project):
    return ET.parse(project / "evenhand" / "junit.xml").getroot()


@pytest.mark.parametrize(("audit", "code"), CASES)
def test_the_action_runs_and_ends_with_the_code_of_its_gates(shell, project, audit, code):
    action = loaded("action.yml")
    given = {name: spec["default"] for name, spec in action["inputs"].items()}
    steps = action["runs"]["steps"]
    variables = {
        key: given[value.split("inputs.")[1].split(" ")[0]]
        for step in steps
        for key, value in step["env"].items()
    }
    (project / "github-output").write_text("")
    found, said = shell([step["run"] for step in steps], audit, **variables)
    assert found == code, said
    assert (project / "github-output").read_text() == f"exit-code={code}\n"
    stop = [line for line in said.splitlines() if line.startswith("::stop-commands::")]
    assert stop and all(f"::{line.removeprefix('::stop-commands::')}::" in said for line in stop)
    assert ("::error file=audit.toml,line=" in said) == (code == 1)
    assert (project / "evenhand" / "junit.xml").exists() == (code != 2)
    if code != 2:
        names = {p.name for p in (project / "evenhand").iterdir()}
        assert names == {"junit.xml", "evenhand.sarif", "comment.md", "verdict.json", "badge.svg"}
        verdict = json.loads((project / "evenhand" / "verdict.json").read_text())
        assert verdict["exit_code"] == code


@pytest.mark.parametrize(("audit", "code"), CASES)
def test_the_gitlab_job_runs_and_leaves_what_it_promises(shell, project, audit, code):
    job = loaded("docs/ci/gitlab.yml")["evenhand"]
    # One shell runs all lines, and stops at the first that fails.
    found, said = shell(["\n".join(job["script"])], audit, **job["variables"])
    assert found == code, said
    assert job["allow_failure"]["exit_codes"] == [3]
    for path in job["artifacts"]["reports"].values():
        assert (project / path).exists() == (code != 2)
    if code != 2:
        assert (len(list(junit_of(project).iter("failure"))) > 0) == (code == 1)


@pytest.mark.parametrize(("audit", "code"), CASES)
def test_the_azure_steps_run_and_undecided_is_no_success(shell, project, audit, code):
    pipeline = loaded("docs/ci/azure-pipelines.yml")
    steps = [step["bash"] for step in pipeline["steps"] if "bash" in step]
    found, said = shell(steps, audit, **pipeline["variables"])
    assert found == (0 if code == 3 else code), said
    assert ("result=SucceededWithIssues" in said) == (code == 3)
    assert ("##vso[task.uploadsummary]" in said) == (code != 2)


@pytest.mark.slow
def test_the_hooks_run(shell, project):
    hooks = {hook["id"]: hook["entry"] for hook in loaded(".pre-commit-hooks.yaml")}
    install = "python -m pip install $EVENHAND_INSTALL"
    run = f"{hooks['evenhand-run']} audit.toml"
    judge = f"{hooks['evenhand-gate']} audit-out/result.json"
    assert shell([install, run, judge], KEPT)[0] == 0
    assert shell([install, f"{run} || true", judge], BROKEN)[0] == 1

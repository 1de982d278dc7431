"""Published schemas, taken from the packages that carry them: this repository ships no copy.

The JUnit schema comes with pytest's own sources, SARIF's with npm's @microsoft/jest-sarif,
CycloneDX's with cyclonedx-python-lib, those of CI files with check-jsonschema. ``make setup`` runs
this file, which fetches the first three into the environment; no test does. Where that could not be
done, the tests that hold JUnit and SARIF against independent readers (junitparser, sarif-pydantic)
still run.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

KEPT = Path(sys.prefix) / "share" / "schemas"
JUNIT = "a1a816f58d1bf95ebabf371994df0b9246dee66ea9572fbec4f9296f1b2c0ff6"
CYCLONEDX = "0e807521a921a5c3cb8ce1153f8a61d29eedfe76a46aac2796b7c6b573391a54"
SARIF = "2d99159ae54a3eea97f81781cff48780548657c35949f4b7f25e99a2ba4de4f8"


def junit():
    """Validate JUnit XML: call the result with the text."""
    xmlschema = pytest.importorskip("xmlschema")
    return xmlschema.XMLSchema(str(_kept("junit-10.xsd", JUNIT)))


def sarif():
    """Return the JSON Schema of SARIF 2.1.0."""
    return json.loads(_kept("sarif-2.1.0-rtm.5.json", SARIF).read_text("utf-8"))


def cyclonedx():
    """Return the JSON Schema of CycloneDX 1.6, and those it refers to, by name."""
    wheel = _kept("cyclonedx-11.12.0.whl", CYCLONEDX)
    names = ("bom-1.6", "spdx", "jsf-0.82")
    with zipfile.ZipFile(wheel) as files:
        return {
            name: json.loads(files.read(f"cyclonedx/schema/_res/{name}.SNAPSHOT.schema.json"))
            for name in names
        }


def of_ci(name):
    """Return the JSON Schema of a CI file, e.g. ``github-actions``."""
    try:
        files = distribution("check-jsonschema").files
    except ModuleNotFoundError:
        pytest.skip("check-jsonschema is not installed")
    (path,) = [f for f in files if f.match(f"vendor/{name}.json")]
    return json.loads(path.read_text("utf-8"))


def _kept(name, digest):
    path = KEPT / name
    if not path.exists():
        pytest.skip(f"{name} is not in the environment: `make setup` fetches it")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, f"{name} is another one"
    return path


def fetch():
    """Put the schemas that no wheel carries into the environment; say what could not be had."""
    for name, digest, get in (
        ("junit-10.xsd", JUNIT, _from_pytest),
        ("sarif-2.1.0-rtm.5.json", SARIF, _from_npm),
        ("cyclonedx-11.12.0.whl", CYCLONEDX, _from_cyclonedx),
    ):
        path = KEPT / name
        if path.exists():
            continue
        try:
            body = get(KEPT)
        except (OSError, subprocess.SubprocessError, LookupError, StopIteration) as problem:
            sys.stderr.write(f"{name} cannot be fetched here: {problem}\n")
            continue
        assert hashlib.sha256(body).hexdigest() == digest, f"{name} is another one"
        KEPT.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def _from_pytest(folder):
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "pytest", "--dest", str(folder), f"pytest=={version('pytest')}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return _member(next(folder.glob("pytest-*.tar.gz")), "junit-10.xsd")


def _from_cyclonedx(folder):
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", str(folder), "cyclonedx-python-lib==11.12.0"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return next(folder.glob("cyclonedx_python_lib-*.whl")).read_bytes()


def _from_npm(folder):
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", "--silent", "@microsoft/jest-sarif@1.0.0-beta.0"]
    subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=folder)
    return _member(next(folder.glob("microsoft-jest-sarif-*.tgz")), "sarif-2.1.0-rtm.5.json")


def _member(archive, name):
    with tarfile.open(archive) as tar:
        (found,) = [m for m in tar.getmembers() if m.name.endswith(f"/{name}")]
        return tar.extractfile(found).read()


if __name__ == "__main__":
    fetch()

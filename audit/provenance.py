"""Where a number comes from: code, packages, machine. Nothing heavy is imported to tell."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "fairlearn",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "peft",
    "textattack",
    "nlpaug",
    "captum",
    "nltk",
    "pyarrow",
    "pydantic",
    "jinja2",
)


def packages() -> dict[str, str]:
    """Return the installed version of every package that can move a number."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def code() -> str:
    """Return the version of this suite and, from a checkout, its commit and whether it is changed."""
    try:
        said = version("evenhand")
    except PackageNotFoundError:
        said = "unreleased"
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return said
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return said
    return f"{said}+{commit}"


def machine(device: str = "", dtype: str = "", threads: int = 0) -> Mapping[str, str | int]:
    """Return what a rerun on another machine would have to match to the last bit."""
    return {
        "device": device,
        "dtype": dtype,
        "threads": threads,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
    }


def operator() -> str:
    """Return who ran the audit, from ``EVENHAND_OPERATOR``; empty where nobody says."""
    return os.environ.get("EVENHAND_OPERATOR", "")

"""Who may import whom, and what may stand where."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [
    {"types", "errors", "seeding", "shipped", "settings"},
    {
        *(
            "model",
            "ensemble",
            "checkpoint",
            "classifier",
            "huggingface",
            "compressing",
            "exported",
            "cache",
            "stats",
            "intervals",
        ),
        *(
            "power",
            "metrics",
            "decision",
            "text",
            "grammar",
            "persons",
            "lexicon",
            "mentions",
            "swapping",
            "wordpieces",
        ),
        *("resampling", "contrasts", "proportions", "manygroups", "omnibus", "impact"),
        *("scales", "ranking", "calibrating", "recalibrating"),
        *("sequential", "paired", "identities", "looks", "windows"),
        *("foreign", "generators", "resources", "provenance", "borders", "files", "figures"),
        *("tables", "decoding", "sample", "firsttoken", "multiplicity"),
        *("certificate", "faithfulness", "pareto", "survival"),
        *("suites", "suitefiles", "checking", "dialects"),
        *("noises", "disturbing", "influence"),
        *("cells",),
        *("quantised",),
        *("scripts", "slicing", "association", "oddities"),
    },
    {
        *("attack_recipes", "borrowed_recipes", "validity", "similarity", "neighbours"),
        *("synonyms", "masked", "reducing", "fluency", "languagemodel"),
        *("scorer", "lockstep", "attacks", "corpus", "labels", "guess", "starter", "config"),
        *("law", "publication", "renderings", "attest", "signing", "selftest", "verify"),
        *("review", "flat", "modelcard", "bom", "aiverify", "redact", "pdf"),
        *(
            "waivers",
            "responses",
            "policies",
            "judging",
            "exports",
            "baseline",
            "history",
            "trackers",
        ),
        *(
            "gates",
            "compare",
            "store",
            "journal",
            "attribution",
            "aligning",
            "plausible",
            "wordshares",
            "rationales",
            "reliability",
            "testing",
            "report",
            "findings",
        ),
        *(
            "training",
            "fit",
            "fscore",
            "batches",
            "newhead",
            "adapters",
            "objective",
            "copiers",
            "rewording",
            "generating",
            "crafted",
            "hardening",
            "mitigation",
            "thresholds",
            "groupthresholds",
            "standing",
            "several",
            "augment",
            "leaks",
            "pairing",
            "moved",
            "worsening",
            "weighing",
            "advice",
            "likeness",
            "kept",
            "versus",
        ),
    },
    {"bench", "evidence", "perturbation", "trials", "tallies", "breaking", "pulls"},
    {"catalogue"},
    {
        *("rerun", "runner", "planning", "retrain", "parity", "epochs", "setup", "explain"),
        *("budgeted", "reading", "progress", "prospects"),
        *("watch", "watching", "monitors"),
    },
    {"cli", "commands", "pytest_plugin", "console", "showing", "explaining", "web", "demo"},
]
PROBES = 4
FILES = sorted([*ROOT.glob("audit/**/*.py"), *ROOT.glob("probes/*.py")])


def floor(module):
    if module.split(".")[0] == "probes":
        return PROBES
    name = module.split(".")[1] if "." in module else "__init__"
    if name == "__init__":
        return len(FLOORS)
    found = [i for i, names in enumerate(FLOORS) if name in names]
    assert found, f"{module} has no floor"
    return found[0]


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path, *, whole):
    """Our own modules that `path` imports: at its top, or anywhere (`whole`)."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = ast.walk(tree) if whole else tree.body
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (
            "audit",
            "probes",
        ):
            if node.module in ("audit", "probes"):
                yield from (f"{node.module}.{a.name}" for a in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path):
    for used in imports(path, whole=True):
        assert floor(used) <= floor(module_of(path)), f"{module_of(path)} must not import {used}"


def test_no_module_is_in_a_circle():
    graph = {}
    for path in FILES:
        known = {module_of(p) for p in FILES}
        graph[module_of(path)] = {u for u in imports(path, whole=True) if u in known}
    done, path_now = set(), []

    def visit(module):
        assert module not in path_now, f"circle: {' → '.join([*path_now, module])}"
        if module in done:
            return
        path_now.append(module)
        for used in sorted(graph[module]):
            if used != module:
                visit(used)
        path_now.pop()
        done.add(module)

    for module in sorted(graph):
        visit(module)


@pytest.mark.parametrize("module", ["audit", "audit.cli"])
def test_importing_the_package_stays_cheap(module):
    heavy = [
        "torch",
        "transformers",
        "textattack",
        "captum",
        "nlpaug",
        "fairlearn",
        "pandas",
        "scipy",
        "pydantic",
    ]
    code = f"import sys, {module}; print(*(m for m in {heavy!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_the_decision_decides(path):
    """A decision is taken in `audit.decision`, so that a flip means one thing everywhere."""
    if path.name == "decision.py":
        return
    assert not re.search(r"\.argmax\(|np\.argmax|>= *(self\.)?threshold", path.read_text("utf-8"))


def test_data_is_never_a_package():
    assert not (ROOT / "datasets" / "__init__.py").exists()


def test_every_data_file_has_a_card_that_matches_it():
    import hashlib
    import tomllib

    cards = tomllib.loads((ROOT / "datasets" / "sources.toml").read_text("utf-8"))
    files = {
        str(p.relative_to(ROOT / "datasets"))
        for p in (ROOT / "datasets").rglob("*")
        if p.is_file() and p.name not in ("README.md", "sources.toml")
    }
    assert files == set(cards)
    for name, card in cards.items():
        assert {"what", "origin", "license", "sha256"} <= set(card), name
        body = (ROOT / "datasets" / name).read_bytes()
        assert hashlib.sha256(body).hexdigest() == card["sha256"], name


def test_files_are_short_enough_to_read():
    long = {
        str(p.relative_to(ROOT)): n
        for p in FILES
        if (n := len(p.read_text("utf-8").splitlines())) > 430
    }
    # The nouns are one subject, and half of their lines say what a field means.
    long.pop("audit/types.py", None)
    assert not long


def test_nothing_prints_but_the_command_line():
    for path in FILES:
        if module_of(path) == "audit.console" or path.parent.name == "cli":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        assert not [c for c in calls if getattr(c.func, "id", "") == "print"], path


def test_the_python_api_leads_where_it_says():
    import audit

    assert {"read", "plan", "run", "render"} <= set(dir(audit))
    assert all(callable(getattr(audit, name)) for name in dir(audit))

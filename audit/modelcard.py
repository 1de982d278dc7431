"""A Hugging Face model card out of a result, with its numbers as ``model-index`` metadata.

Source: Mitchell et al. (2019), FAccT, arXiv:1810.03993; the hub's own classes write the metadata.
"""

from typing import TYPE_CHECKING, Any

from audit.exports import export_of
from audit.exports import markdown as comment
from audit.exports._markdown import data
from audit.figures import number, percent
from audit.types import AuditResult, Estimate, Measurement

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

MOST = 60
"""Numbers in the metadata: those of claims first, then those of the whole corpus."""


def model_card(result: AuditResult) -> str:
    """Return the card as Markdown with YAML in front.

    Everything that others wrote stands as inline code that cannot become markup; the YAML is
    written by huggingface_hub, which quotes.
    """
    from huggingface_hub import ModelCardData

    origin = result.provenance
    name = origin.model_name or "model"
    found = ModelCardData(
        model_name=name,
        pipeline_tag="text-classification",
        tags=["evenhand", "audit"],
        eval_results=_evaluations(result) or None,
    )
    return "\n".join(["---", found.to_yaml().rstrip("\n"), "---", "", *_body(result)]) + "\n"


def _body(result: AuditResult) -> list[str]:
    origin = result.provenance
    lines = [
        f"# {data(result.plan.name or origin.model_name or 'A model without a name')}",
        "",
        "Measured by Evenhand on the texts named below. Every number has its interval; what was not "
        "measured is not claimed.",
        "",
        "## Intended use",
        "",
        *_stated(origin.scope, "Not stated. It belongs under [scope] in the audit file."),
        "",
        "## Model",
        "",
        *_stated(origin.system, "Not stated. It belongs under [system] in the audit file."),
        f"- Fingerprint: {data(origin.model)}",
        f"- Labels: {', '.join(data(label) for label in origin.labels)}",
        "",
        "## Evaluation data",
        "",
        *[
            f"- {data(c.name)}: {c.texts:,} texts, {data(c.kind)} data"
            f"{f', license {data(c.license)}' if c.license else ', license not stated'}"
            for c in origin.corpora
        ],
        "",
        "## Results",
        "",
        comment(export_of(result)).replace("<!-- evenhand -->\n\n", "").replace("### ", "### "),
        "### Measurements",
        "",
        "| measurement | value | interval | n |",
        "|---|---|---|---|",
    ]
    for m, e in _chosen(result):
        lines.append(
            f"| {data(m.id)} | {number(e.value)} | {number(e.low)} to {number(e.high)} "
            f"({percent(e.level)}) | {e.n:,} |"
        )
    every = sum(len(run.measurements) for run in result.runs)
    lines += [
        "",
        f"{every:,} measurements in all; result.json holds them.",
        "",
        "## Limits of this card",
        "",
        "Only the model's answers to these texts were measured. Effects smaller than the detectable "
        "ones would often have been missed; groups that the data do not name were not looked at.",
    ]
    return lines


def _stated(said: Any, blank: str) -> list[str]:
    return [f"- {data(key)}: {data(value)}" for key, value in sorted(said.items()) if value] or [
        blank
    ]


def _chosen(result: AuditResult) -> list[tuple[Measurement, Estimate]]:
    claimed = {v.claim.measurement for v in result.verdicts}
    every = [
        (m, m.value)
        for run in result.runs
        for m in run.measurements
        if isinstance(m.value, Estimate) and (m.id in claimed or not m.where)
    ]
    every.sort(key=lambda pair: pair[0].id not in claimed)
    return every[:MOST]


def _evaluations(result: AuditResult) -> "list[EvalResult]":
    from huggingface_hub import EvalResult

    test = next((c for c in result.provenance.corpora if c.name == "test"), None)
    return [
        EvalResult(
            task_type="text-classification",
            dataset_type=test.name if test else "test",
            dataset_name=(test.path.rpartition("/")[2] if test else "") or "test",
            metric_type=m.id.partition("[")[0],
            metric_name=m.id,
            metric_value=e.value,
            metric_args={
                "low": e.low,
                "high": e.high,
                "level": e.level,
                "n": e.n,
                "method": e.method,
            },
        )
        for m, e in _chosen(result)
    ]

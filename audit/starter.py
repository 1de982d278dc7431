"""The commented audit file that a newcomer starts from."""

import json
import re
from collections.abc import Mapping, Sequence

from audit.types import Head

_GOOD = (
    *("advance", "accept", "accepted", "approve", "approved", "yes", "positive", "pass", "hire"),
    *("neither", "none", "neutral", "normal", "ok", "ham"),
)
_BAD = re.compile(
    "toxic|hate|offens|abus|insult|threat|obscene|spam|sexis|racis|biased|negative|reject|"
    "den(y|ied)|fail|harm|danger",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"(not?|non)(?=[\W_])|non", re.IGNORECASE)


def template(
    model: str,
    data: str,
    labels: Sequence[str],
    *,
    head: Head = "single",
    favourable: Sequence[str] = (),
    text: str = "text",
    label: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    groups: Mapping[str, str] | None = None,
    data_labels: Sequence[str] = (),
) -> str:
    """Return an audit file that `config.reads` accepts, with a comment on every choice.

    Args:
        model: Folder, hub id or callable.
        data: File or hub data set.
        labels: The model's labels.
        head: Of the model.
        favourable: Labels that count as selection; guessed from their names if empty.
        text, label, id, cluster: Columns.
        groups: Attribute to column.
        data_labels: Values of the label column. Those that the model does not know are listed, for
            the reader to say which is which.
    """
    chosen = list(favourable) or _favourable(labels)
    lines = [
        "# An audit: what is measured, on which texts, and the limits set before the run.",
        "# `evenhand plan` says what this would cost; `evenhand run` runs it.",
        "",
        "[audit]",
        "seed = 0          # every draw follows from it",
        "alpha = 0.05      # chance of a false fail over the whole audit",
        'out = "audit-out" # folder of results',
        "",
        "[model]",
        f"path = {_s(model)}",
        "",
        "[decision]",
        f"# Which labels count as selection, of {', '.join(map(_s, labels))}. A guess: look at it.",
        f"favourable = [{', '.join(_s(name) for name in chosen)}]",
        "# threshold = 0.5 # instead of the likeliest label"
        if head == "single"
        else "# threshold = 0.5",
        "",
        "[corpora.test]",
        f"path = {_s(data)}",
        f"text = {_s(text)}",
    ]
    for key, column in (("label", label), ("id", id), ("cluster", cluster)):
        lines.append(f"{key} = {_s(column)}" if column else f'# {key} = "…"')
    strangers = [name for name in data_labels if not _known(name, labels)]
    if strangers:
        lines.append("# The data has labels that the model has not. Say which is which:")
        inner = ", ".join(f'{_s(name)} = "…"' for name in strangers[:20])
        lines.append(f"# labels = {{ {inner} }}")
    inner = ", ".join(f"{_key(a)} = {_s(c)}" for a, c in (groups or {}).items())
    lines.append(f"groups = {{ {inner} }}" if inner else '# groups = { sex = "column" }')
    if groups:
        lines += [
            "",
            "# Selection, error and accuracy rates by group. Name the group that others are held",
            "# against before you look at the numbers.",
            "[[probe]]",
            'name = "group_rates"',
            f'# reference = {{ {_key(next(iter(groups)))} = "…" }}',
            "",
            "[[gate]]",
            'metric = "group_rates.selection_rate_gap"',
            "at_least = -0.10",
            "at_most = 0.10",
        ]
    lines += [
        "",
        "# The same text about somebody else: pronouns, gendered words and first names exchanged.",
        "[[probe]]",
        'name = "swaps"',
        'axis = "gender"',
        "",
        "[[gate]]",
        'metric = "swaps.favourable_gap"',
        "at_least = -0.05",
        "at_most = 0.05",
        "",
        "# One typing slip in each text.",
        "[[probe]]",
        'name = "typos"',
        "",
        "[[gate]]",
        'metric = "typos.flip_rate"',
        "at_most = 0.10",
        "",
        "# Keyboard, OCR and spelling noise.",
        "[[probe]]",
        'name = "noise"',
        "",
        "# A search for small edits that change the decision, on a sample of the texts.",
        "[[probe]]",
        'name = "attack"',
        "texts = 100",
        "max_queries = 200",
    ]
    if ":" not in model:
        lines += [
            "",
            "# How much of a score rests on identity words (needs the model's gradients).",
            "[[probe]]",
            'name = "reliance"',
            "texts = 100",
        ]
    lines += [
        "",
        "# What a reader of the report should know; left out, the page says `not stated`.",
        "[scope]",
        'purpose = ""',
        *(f'{key} = ""' for key in ("users", "affected", "languages", "context", "out_of_scope")),
    ]
    return "\n".join(lines) + "\n"


def _favourable(labels: Sequence[str]) -> list[str]:
    """Guess which labels are good for the person: the named ones, else all that sound no harm."""
    good = [name for name in labels if name.lower() in _GOOD]
    mild = [name for name in labels if _NEGATED.match(name) or not _BAD.search(name)]
    for found in (good, mild):
        if 0 < len(found) < len(labels):
            return found
    return [labels[-1]]


def _known(name: str, labels: Sequence[str]) -> bool:
    # Whole numbers count the model's labels, as `corpus.load` reads them.
    return name in labels or (name.isdecimal() and int(name) < len(labels))


def _s(value: str) -> str:
    # TOML takes JSON's escapes, but no bare delete character and no half surrogate pair.
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return text.encode("utf-8", "replace").decode()


def _key(value: str) -> str:
    return value if re.fullmatch(r"[A-Za-z0-9_-]+", value) else _s(value)
